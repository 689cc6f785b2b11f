//! An FTP server in memory that misbehaves by script, with or without TLS: for tests of what a client does on bad networks and with
//! bad servers. How it is in all it does is [`Modes`], what goes wrong once is a [`Trouble`]. One thread a connection.
//!
//! In what it says and does not say it follows vsftpd 3.0.3 and Pure-FTPd 1.0.50 as they are; RFC 959, 2389, 2428, 3659, 4217.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

mod conn;
mod listing;
mod session;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use listing::now;
use session::{Session, split};

/// Where a log-in begins, and the folder in it that [`Server::store`] and its like mean.
pub const HOME: &str = "/home/user";
pub const FOLDER: &str = "/home/user/d";
pub const USER: &str = "user";
/// The authority that signed the server's certificate, which is for `localhost` and `127.0.0.1`.
pub const CA_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");

/// What goes wrong with one command.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Does nothing and says this: whole lines, without the end of the last.
    Says(String),
    /// Does nothing, says this and ends the conversation.
    Ends(String),
    /// Ends the conversation without a word; nothing is done.
    Close,
    /// Does it and ends the conversation without a word at the end.
    Swallow,
    /// Does it and says so; then says this of its own accord and ends the conversation, as servers do with idle clients.
    ThenEnds(String),
    /// Does nothing and says nothing for a minute.
    Hang,
    /// These bytes in place of a reply, as they are.
    Raw(Vec<u8>),
    /// Lines of one reply without end, one every 20 ms.
    Endless,
    /// Transfers so many bytes, closes the data connection and says this. What came of an upload is kept.
    Part(u64, String),
    /// Transfers so many bytes and cuts both connections.
    Cut(u64),
    /// Transfers so many bytes, and then nothing happens for a minute.
    Stall(u64),
    /// Sends so many bytes, then one every 20 ms without end.
    Drip(u64),
    /// Sends in eight pieces with a pause before each.
    Slow,
    /// Transfers all and says this at the end.
    After(String),
    /// Takes a whole upload, keeps so many bytes of it and says that all is well.
    Short(u64),
    /// Sends this in place of the listing or the file.
    Data(Vec<u8>),
    /// Sends the whole file whatever was said with `REST`.
    Whole,
    /// Sends from one byte too late.
    Late,
    /// Speaks in clear on a data connection that was to be protected.
    Clear,
    /// Does nothing and ends TLS on the control connection with alert 50, as OpenSSL does when the connection was ended without it.
    Alert,
    /// Does nothing, says this on the control connection in clear though it is protected, and ends it.
    LastWords(&'static str),
    /// Ends a protected data connection without the message for that.
    Abrupt,
    /// A file in the folder is another before the command is done.
    Replace(&'static str, Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tls {
    #[default]
    None,
    /// After `AUTH TLS`, and nobody logs in without.
    Explicit,
    /// After `AUTH TLS`, or without.
    Offered,
    Implicit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rest {
    #[default]
    Works,
    /// Answered with 350 and then forgotten.
    Ignored,
    /// Neither in `FEAT` nor understood.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lists {
    /// `MLSD`, and `LIST` as on Unix.
    #[default]
    Facts,
    /// `LIST` as on Unix only.
    Unix,
    /// `LIST` as IIS has it only.
    Dos,
}

/// What a server is like all the time.
#[derive(Clone, Debug)]
pub struct Modes {
    pub tls: Tls,
    /// Data connections must resume the session of the control connection.
    pub reuse: bool,
    /// TLS 1.3 is not resumed, or not spoken at all.
    pub no_tickets: bool,
    pub only_tls12: bool,
    /// The password of [`USER`].
    pub password: String,
    pub no_feat: bool,
    pub no_epsv: bool,
    pub no_pasv: bool,
    /// `PASV` names an address behind a router, where nobody is.
    pub nat: bool,
    pub lists: Lists,
    pub rest: Rest,
    pub no_size: bool,
    /// The right to rename is missing, or a name that is taken is no target.
    pub no_rename: bool,
    pub no_replace: bool,
    pub read_only: bool,
    /// The argument of `LIST` and `MLSD` ends at a space; or is not understood at all.
    pub splits: bool,
    pub no_list_path: bool,
    /// Every reply has several lines, with such in it that look like an end.
    pub wordy: bool,
    /// Listings have so many entries at most; the reply says so.
    pub limit: usize,
    /// Says 421 and ends when nothing was said for so long.
    pub idle: Option<Duration>,
    /// So many in a hundred of the commands that transfer, look, rename or delete fail in one way or the other.
    pub flaky: u64,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes {
            tls: Tls::None,
            reuse: false,
            no_tickets: false,
            only_tls12: false,
            password: "s3cr3t/+value".to_owned(),
            no_feat: false,
            no_epsv: false,
            no_pasv: false,
            nat: false,
            lists: Lists::Facts,
            rest: Rest::Works,
            no_size: false,
            no_rename: false,
            no_replace: false,
            read_only: false,
            splits: false,
            no_list_path: false,
            wordy: false,
            limit: usize::MAX,
            idle: None,
            flaky: 0,
        }
    }
}

/// A file and when it was written, in seconds since 1970.
type File = (Vec<u8>, u64);

struct State {
    modes: Modes,
    folders: BTreeSet<String>,
    files: BTreeMap<String, File>,
    /// Verb, part of the argument, trouble: the first that fits a command is used up.
    script: Vec<(&'static str, &'static str, Trouble)>,
    seen: Vec<String>,
    /// Names of files that were sent to their end, as the command had them.
    sent: Vec<String>,
    connections: usize,
    dice: u64,
    /// Nobody asks any more.
    ended: bool,
}

/// A running server. With this value its port closes; what it is being asked goes on until the client hangs up.
pub struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.ended = true;
        }
        // Its thread waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(5));
    }
}

impl Server {
    pub fn start(modes: Modes) -> Server {
        Server::start_at("127.0.0.1:0", modes)
    }

    /// `place`: where it listens, such as `[::1]:0`.
    pub fn start_at(place: &str, modes: Modes) -> Server {
        let listener = TcpListener::bind(place).expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = (modes.tls != Tls::None).then(|| conn::tls_config(&modes));
        let folders = ["/", "/home", HOME, FOLDER].map(str::to_owned);
        let state = Arc::new(Mutex::new(State {
            modes,
            folders: BTreeSet::from(folders),
            files: BTreeMap::new(),
            script: Vec::new(),
            seen: Vec::new(),
            sent: Vec::new(),
            connections: 0,
            dice: 1,
            ended: false,
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let _ = tcp.set_nodelay(true);
                let mut now = shared.lock().unwrap();
                if now.ended {
                    return;
                }
                now.connections += 1;
                drop(now);
                let (state, config) = (shared.clone(), config.clone());
                std::thread::spawn(move || {
                    let _ = Session::new(tcp, state, config).run();
                });
            }
        });
        Server { address, state }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    /// The next command with this verb whose argument holds `part` goes wrong. The verb of the greeting is `(start)`.
    pub fn script(&self, verb: &'static str, part: &'static str, trouble: Trouble) {
        self.with(|s| s.script.push((verb, part, trouble)));
    }

    /// The next command with this verb is refused with these words.
    pub fn says(&self, verb: &'static str, reply: &str) {
        self.script(verb, "", Trouble::Says(reply.to_owned()));
    }

    /// Troubles that have not come.
    pub fn left(&self) -> usize {
        self.with(|s| s.script.len())
    }

    /// Nothing that was scripted goes wrong any more.
    pub fn calm(&self) {
        self.with(|s| s.script.clear());
    }

    /// From now on it is another server.
    pub fn change(&self, change: impl FnOnce(&mut Modes)) {
        self.with(|s| change(&mut s.modes));
    }

    /// All commands so far, as they came, with passwords.
    pub fn seen(&self) -> Vec<String> {
        self.with(|s| s.seen.clone())
    }

    /// Commands so far with this verb.
    pub fn count(&self, verb: &str) -> usize {
        self.with(|s| s.seen.iter().filter(|c| split(c).0 == verb).count())
    }

    /// Files that were sent to their end, as the commands had them; in TLS the client has read them, too.
    pub fn sent(&self) -> Vec<String> {
        self.with(|s| s.sent.clone())
    }

    /// Conversations so far.
    pub fn connections(&self) -> usize {
        self.with(|s| s.connections)
    }

    /// A file in the folder.
    pub fn store(&self, name: &str, data: &[u8]) {
        self.store_aged(name, data, 0);
    }

    /// A file that was written so many days ago.
    pub fn store_aged(&self, name: &str, data: &[u8], days: u64) {
        let file = (data.to_vec(), now() - days * 86400);
        self.with(|s| s.files.insert(format!("{FOLDER}/{name}"), file));
    }

    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.with(|s| {
            s.files
                .get(&format!("{FOLDER}/{name}"))
                .map(|f| f.0.clone())
        })
    }

    /// Names of the files in the folder.
    pub fn names(&self) -> Vec<String> {
        let prefix = format!("{FOLDER}/");
        let name = |path: &String| path.strip_prefix(&prefix).map(str::to_owned);
        self.with(|s| s.files.keys().filter_map(name).collect())
    }

    /// A folder is there, with all above it; the path is absolute.
    pub fn make(&self, path: &str) {
        self.with(|s| {
            for (at, _) in path.match_indices('/').skip(1) {
                s.folders.insert(path[..at].to_owned());
            }
            s.folders.insert(path.to_owned());
        });
    }

    pub fn has_folder(&self, path: &str) -> bool {
        self.with(|s| s.folders.contains(path))
    }

    /// The folder and all in it are gone.
    pub fn unmake(&self) {
        self.with(|s| {
            s.files.retain(|path, _| !path.starts_with(FOLDER));
            s.folders.retain(|path| !path.starts_with(FOLDER));
        });
    }
}
