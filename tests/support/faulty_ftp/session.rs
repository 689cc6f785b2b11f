//! One conversation: the commands that transfer nothing, and what goes wrong with them.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;

use super::conn::{Conn, Io};
use super::listing::{now, stamp};
use super::{FOLDER, HOME, Lists, Modes, Rest, State, Tls, Trouble, USER};

/// A minute, for a server that is silent.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// The conversation is over.
pub(super) fn over<T>() -> Io<T> {
    Err(Error::from(ErrorKind::ConnectionAborted))
}

pub(super) struct Session {
    pub(super) control: Option<Conn>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) config: Option<Arc<ServerConfig>>,
    pub(super) modes: Modes,
    /// What came after the last line.
    pub(super) ahead: Vec<u8>,
    pub(super) user: String,
    pub(super) inside: bool,
    pub(super) binary: bool,
    pub(super) private: bool,
    pub(super) cwd: String,
    pub(super) rest: u64,
    pub(super) from: Option<String>,
    pub(super) listener: Option<TcpListener>,
}

impl Session {
    pub(super) fn new(
        tcp: TcpStream,
        state: Arc<Mutex<State>>,
        config: Option<Arc<ServerConfig>>,
    ) -> Session {
        let modes = state.lock().unwrap().modes.clone();
        Session {
            control: Some(Conn::Plain(tcp)),
            modes,
            state,
            config,
            ahead: Vec::new(),
            user: String::new(),
            inside: false,
            binary: false,
            private: false,
            cwd: HOME.to_owned(),
            rest: 0,
            from: None,
            listener: None,
        }
    }

    pub(super) fn conn(&mut self) -> &mut Conn {
        self.control.as_mut().expect("a connection")
    }

    pub(super) fn run(mut self) -> Io<()> {
        if self.modes.tls == Tls::Implicit {
            self.protect()?;
        }
        match self.trouble("(start)", "") {
            None => self.say("220 at your service")?,
            Some(trouble) => self.go_wrong(&trouble, "220 at your service")?,
        }
        loop {
            let line = self.line()?;
            self.modes = self.state.lock().unwrap().modes.clone();
            self.state.lock().unwrap().seen.push(line.clone());
            let (verb, argument) = split(&line);
            let trouble = self.trouble(&verb, argument);
            self.command(&verb, argument, trouble)?;
            if verb == "QUIT" {
                return Ok(());
            }
        }
    }

    /// The control connection is spoken in TLS from now on.
    pub(super) fn protect(&mut self) -> Io<()> {
        let Some(Conn::Plain(tcp)) = self.control.take() else {
            return over();
        };
        let config = self.config.clone().expect("TLS");
        self.control = Some(Conn::protected(tcp, &config)?);
        Ok(())
    }

    pub(super) fn line(&mut self) -> Io<String> {
        let idle = self.modes.idle;
        self.conn().tcp().set_read_timeout(idle)?;
        loop {
            if let Some(at) = self.ahead.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned());
            }
            let mut buffer = [0; 1024];
            match self.conn().read(&mut buffer) {
                Ok(0) => return over(),
                Ok(n) => self.ahead.extend(&buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.say("421 Timeout.")?;
                    return over();
                }
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn trouble(&mut self, verb: &str, argument: &str) -> Option<Trouble> {
        let mut state = self.state.lock().unwrap();
        let fits = |(v, part, _): &(&str, &str, Trouble)| *v == verb && argument.contains(part);
        if let Some(at) = state.script.iter().position(fits) {
            return Some(state.script.remove(at).2);
        }
        let transfers = matches!(verb, "RETR" | "STOR" | "LIST" | "MLSD");
        let operates = transfers || matches!(verb, "DELE" | "RNTO" | "SIZE");
        if self.modes.flaky == 0 || !self.inside || !operates {
            return None;
        }
        let mut dice = || {
            state.dice = state
                .dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state.dice >> 33) % 100
        };
        (dice() < self.modes.flaky).then(|| match dice() % 5 {
            0 => Trouble::Close,
            1 => Trouble::Swallow,
            2 => Trouble::Cut(300),
            3 if transfers => Trouble::Part(300, "426 Failure writing network stream.".to_owned()),
            _ => Trouble::Says("451 Local error, try again.".to_owned()),
        })
    }

    /// One reply, or several lines of it.
    pub(super) fn say(&mut self, reply: &str) -> Io<()> {
        let (code, words) = reply.split_at(reply.len().min(3));
        let text = match self.modes.wordy && !words.starts_with('-') && code.len() == 3 {
            true => format!(
                "{code}-Hear, hear:\r\n {code} is not the end\r\n599 nor is this\r\n\r\n{code}\u{a0}x\r\n{code}-more\r\n{reply}\r\n"
            ),
            false => format!("{reply}\r\n"),
        };
        let conn = self.conn();
        conn.write_all(text.as_bytes())?;
        conn.flush()
    }

    /// What has nothing to do with a transfer; `good` is the right reply.
    pub(super) fn go_wrong(&mut self, trouble: &Trouble, good: &str) -> Io<()> {
        match trouble {
            Trouble::Says(reply) | Trouble::After(reply) => self.say(reply),
            Trouble::Ends(reply) => {
                self.say(reply)?;
                over()
            }
            Trouble::ThenEnds(reply) => {
                self.say(good)?;
                self.say(reply)?;
                over()
            }
            Trouble::Hang | Trouble::Stall(_) => {
                std::thread::sleep(LONG);
                over()
            }
            Trouble::Raw(bytes) => {
                let conn = self.conn();
                conn.write_all(bytes)?;
                conn.flush()
            }
            Trouble::Alert => {
                self.conn().alert()?;
                over()
            }
            Trouble::LastWords(words) => {
                self.conn().tcp().write_all(words.as_bytes())?;
                over()
            }
            Trouble::Endless => loop {
                let line = format!("{}-and so on", &good[..3]);
                self.say(&line)?;
                std::thread::sleep(Duration::from_millis(20));
            },
            Trouble::Part(_, reply) => self.say(reply),
            Trouble::Close | Trouble::Swallow | Trouble::Cut(_) => over(),
            _ => self.say(good),
        }
    }

    pub(super) fn command(
        &mut self,
        verb: &str,
        argument: &str,
        trouble: Option<Trouble>,
    ) -> Io<()> {
        if let Some(Trouble::Replace(name, data)) = &trouble {
            let file = (data.clone(), now());
            self.state
                .lock()
                .unwrap()
                .files
                .insert(format!("{FOLDER}/{name}"), file);
        }
        let transfers = matches!(verb, "RETR" | "STOR" | "APPE" | "LIST" | "NLST" | "MLSD");
        let undone = matches!(
            trouble,
            Some(
                Trouble::Says(_)
                    | Trouble::Ends(_)
                    | Trouble::Close
                    | Trouble::Hang
                    | Trouble::Raw(_)
                    | Trouble::Alert
                    | Trouble::LastWords(_)
                    | Trouble::Endless
            )
        );
        // What needs a log-in, and what a transfer does.
        if undone {
            self.listener = None;
            return self.go_wrong(&trouble.expect("undone"), "250 Yes");
        }
        let early = matches!(
            verb,
            "USER" | "PASS" | "AUTH" | "PBSZ" | "PROT" | "FEAT" | "QUIT" | "NOOP"
        );
        if !early && !self.inside {
            return self.say("530 Please login with USER and PASS.");
        }
        if transfers {
            return match verb {
                "STOR" | "APPE" => self.take(argument, trouble),
                _ => self.send(verb, argument, trouble),
            };
        }
        let good = self.plain(verb, argument);
        match trouble {
            None => self.say(&good)?,
            Some(trouble) => self.go_wrong(&trouble, &good)?,
        }
        if verb == "AUTH" && good.starts_with("234") {
            if !self.ahead.is_empty() {
                return over();
            }
            return self.protect();
        }
        Ok(())
    }

    /// The reply to a command that transfers nothing, which is done.
    pub(super) fn plain(&mut self, verb: &str, argument: &str) -> String {
        let tls = matches!(self.control, Some(Conn::Tls(_)));
        let no = |text: &str| text.to_owned();
        match verb {
            "AUTH" if self.config.is_some() && !tls => no("234 Proceed with negotiation."),
            "USER" if self.modes.tls == Tls::Explicit && !tls => {
                no("530 Non-anonymous sessions must use encryption.")
            }
            "USER" => {
                self.user = argument.to_owned();
                no("331 Please specify the password.")
            }
            "PASS" => {
                self.inside = self.user == USER && argument == self.modes.password;
                match self.inside {
                    true => no("230 Login successful."),
                    false => no("530 Login incorrect."),
                }
            }
            "PBSZ" if tls => no("200 PBSZ set to 0."),
            "PROT" if tls => {
                self.private = argument == "P";
                no("200 PROT now Private.")
            }
            "FEAT" if self.modes.no_feat => no("500 Unknown command."),
            "FEAT" => self.features(),
            "OPTS" | "NOOP" | "MODE" | "STRU" => no("200 All right."),
            "SYST" => no("215 UNIX Type: L8"),
            "TYPE" => {
                self.binary = argument == "I";
                no("200 Switching mode.")
            }
            "PWD" => format!(
                "257 \"{}\" is the current directory",
                self.cwd.replace('"', "\"\"")
            ),
            "CWD" | "CDUP" => {
                let to = self.path(if verb == "CWD" { argument } else { ".." });
                match self.state.lock().unwrap().folders.contains(&to) {
                    true => {
                        self.cwd = to;
                        no("250 Directory successfully changed.")
                    }
                    false => no("550 Failed to change directory."),
                }
            }
            "EPSV" if !self.modes.no_epsv => match self.listen() {
                0 => no("425 No port."),
                port => format!("229 Entering Extended Passive Mode (|||{port}|)"),
            },
            "PASV" if !self.modes.no_pasv => {
                let port = self.listen();
                let address = if self.modes.nat {
                    "10,99,98,97"
                } else {
                    "127,0,0,1"
                };
                format!(
                    "227 Entering Passive Mode ({address},{},{}).",
                    port / 256,
                    port % 256
                )
            }
            "REST" if self.modes.rest != Rest::Unknown => {
                self.rest = match self.modes.rest {
                    Rest::Works => argument.parse().unwrap_or(0),
                    _ => 0,
                };
                format!("350 Restart position accepted ({argument}).")
            }
            "SIZE" if !self.modes.no_size && !self.binary => {
                no("550 SIZE not allowed in ASCII mode")
            }
            "SIZE" if !self.modes.no_size => {
                let path = self.path(argument);
                match self.state.lock().unwrap().files.get(&path) {
                    Some((data, _)) => format!("213 {}", data.len()),
                    None => no("550 Could not get file size."),
                }
            }
            "MDTM" => {
                let path = self.path(argument);
                match self.state.lock().unwrap().files.get(&path) {
                    Some((_, time)) => format!("213 {}", stamp(*time)),
                    None => no("550 Could not get file modification time."),
                }
            }
            "DELE" | "MKD" | "RMD" | "RNFR" | "RNTO" => self.change(verb, argument),
            "ABOR" => no("225 No transfer to ABOR."),
            "QUIT" => no("221 Goodbye."),
            _ => no("500 Unknown command."),
        }
    }

    pub(super) fn features(&self) -> String {
        let mut all = String::from("211-Features:\r\n UTF8\r\n PASV\r\n");
        if !self.modes.no_epsv {
            all += " EPSV\r\n";
        }
        if self.config.is_some() {
            all += " AUTH TLS\r\n PBSZ\r\n PROT\r\n";
        }
        if self.modes.lists == Lists::Facts {
            all += " MLST type*;size*;modify*;UNIX.mode*;\r\n MLSD\r\n";
        }
        if self.modes.rest != Rest::Unknown {
            all += " REST STREAM\r\n";
        }
        if !self.modes.no_size {
            all += " SIZE\r\n";
        }
        all + "211 End"
    }

    pub(super) fn change(&mut self, verb: &str, argument: &str) -> String {
        let path = self.path(argument);
        let modes = &self.modes;
        let mut state = self.state.lock().unwrap();
        let (folder, file) = (
            state.folders.contains(&path),
            state.files.contains_key(&path),
        );
        let inside = state.folders.contains(parent(&path));
        match verb {
            _ if modes.read_only => "550 Permission denied.",
            "DELE" if file => {
                state.files.remove(&path);
                "250 Delete operation successful."
            }
            "DELE" => "550 Delete operation failed.",
            "MKD" if folder || file || !inside => "550 Create directory operation failed.",
            "MKD" => {
                state.folders.insert(path);
                "257 Created"
            }
            "RMD" if folder => {
                state.folders.remove(&path);
                "250 Remove directory operation successful."
            }
            "RNFR" if modes.no_rename => "550 Permission denied.",
            "RNFR" if file => {
                self.from = Some(path);
                "350 Ready for RNTO."
            }
            "RNFR" => "550 RNFR command failed.",
            "RNTO" if self.from.is_none() => "503 RNFR required first.",
            "RNTO" if !inside || (file && modes.no_replace) => "550 Rename failed.",
            "RNTO" => {
                let from = self.from.take().expect("a name");
                match state.files.remove(&from) {
                    Some(file) => {
                        state.files.insert(path, file);
                        "250 Rename successful."
                    }
                    None => "550 Rename failed.",
                }
            }
            _ => "550 Remove directory operation failed.",
        }
        .to_owned()
    }

    /// The absolute form of a path.
    pub(super) fn path(&self, argument: &str) -> String {
        let whole = match argument.starts_with('/') {
            true => argument.to_owned(),
            false => format!("{}/{argument}", self.cwd),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    /// The port of a new data connection.
    pub(super) fn listen(&mut self) -> u16 {
        let at = self.conn().tcp().local_addr().expect("an address").ip();
        let listener = TcpListener::bind((at, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        self.listener = Some(listener);
        port
    }
}
/// Verb, in capitals, and argument of a command.
pub(super) fn split(line: &str) -> (String, &str) {
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    (verb.to_ascii_uppercase(), argument)
}

pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}
