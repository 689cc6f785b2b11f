//! One conversation with the server: greeting, TLS, log-in, what it can do, commands with their replies, data connections.
//!
//! A conversation that broke is of no use any more: the next call begins another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::config::{Mode, Setup};
use super::line::{Broken, Control, Cover, Sock, Stream, is_end};
use super::refusal;
use super::wire::{Reply, quoted};
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::folders::{self, Verb, Wait};
use crate::net::resolve;

/// After so long without a word the server is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(30);
/// Replies that ask to wait, before the greeting.
const WAITS_MAX: usize = 5;

/// What the server offers, as far as it is known.
pub(super) struct Offers {
    /// Listings for programs.
    pub(super) facts: bool,
    /// `REST` in front of a download works; `None` until it was tried.
    pub(super) rest: Option<bool>,
    /// `PASV` comes before `EPSV`.
    pub(super) pasv_first: bool,
}

/// A conversation.
pub(super) struct Session {
    pub(super) setup: Rc<Setup>,
    pub(super) control: Control,
    pub(super) peer: IpAddr,
    pub(super) cover: Option<Cover>,
    pub(super) offers: Offers,
    /// Where the path of the URL begins, without a slash at its end; empty for the root.
    pub(super) start: String,
    /// Bare names are used, in the folder, and whether this is it.
    cwd: bool,
    in_folder: bool,
    /// TLS was wanted where it can be had, and it could not.
    pub(super) is_clear: bool,
    greeted: bool,
    broken: bool,
    /// The server has answered since [`Session::resumed`].
    answered: bool,
    /// It does not take up a session of TLS 1.3 on data connections.
    pub(super) wants_tls12: bool,
    used: Instant,
}

/// Connects to the host.
fn dial(setup: &Setup) -> Done<Sock> {
    let found = resolve::resolve(&setup.host).and_then(|all| match all.is_empty() {
        true => Err("no such host".to_owned()),
        false => Ok(all),
    });
    let found = found.map_err(|why| {
        let host = text::safe_cut(setup.host.as_bytes(), 100);
        let class = resolve::class(&why);
        Fault::new(class, format!("cannot resolve '{host}': {why}"))
    })?;
    let wait = Wait::short(setup.times.short);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for ip in found {
        match Sock::connect(SocketAddr::new(ip, setup.port), wait) {
            Ok(sock) => return Ok(sock),
            Err(e) => last = e,
        }
    }
    Err(match last.kind() {
        io::ErrorKind::TimedOut => Fault::new(
            Class::Transient,
            format!("{}: no connection in time", setup.shown()),
        ),
        _ => refusal::failed(setup, &last, true),
    })
}

impl Session {
    /// Connects and logs in. `tls12`: TLS of no later version.
    pub(super) fn open(setup: &Rc<Setup>, tls12: bool) -> Done<Session> {
        let tls = match &setup.tls12 {
            Some(old) if tls12 => Some(old),
            _ => setup.tls.as_ref().map(|(tls, _)| tls),
        };
        let first = Session::begin(setup, tls12);
        match (&first, tls) {
            // The server's key may be one of a kind that was not offered: its name is worth knowing.
            (Err(fault), Some(tls)) if crate::net::tls::may_be_the_key(fault) => {
                tls.offer_more(true);
                let second = Session::begin(setup, tls12);
                tls.offer_more(false);
                match second {
                    Err(fault) if fault.class == Class::Tls => Err(fault),
                    _ => first,
                }
            }
            _ => first,
        }
    }

    fn begin(setup: &Rc<Setup>, tls12: bool) -> Done<Session> {
        let sock = dial(setup)?;
        let peer = sock.peer().map_err(|e| refusal::failed(setup, &e, true))?;
        let cover = setup.tls.as_ref().map(|(tls, name)| Cover {
            config: match &setup.tls12 {
                Some(old) if tls12 => old.config.clone(),
                _ => tls.config.clone(),
            },
            name: name.clone(),
        });
        let stream = match &cover {
            Some(cover) if setup.mode == Mode::Implicit => {
                Stream::covered(sock, cover).map_err(|e| refusal::failed(setup, &e, true))?
            }
            _ => Stream::Plain(sock),
        };
        let mut session = Session {
            setup: setup.clone(),
            control: Control::new(stream),
            peer: peer.ip(),
            cover,
            offers: Offers {
                facts: false,
                rest: None,
                pasv_first: setup.pasv_first,
            },
            start: String::new(),
            cwd: setup.cwd,
            in_folder: false,
            is_clear: false,
            greeted: false,
            broken: false,
            answered: false,
            wants_tls12: false,
            used: Instant::now(),
        };
        session.greet()?;
        session.log_in()?;
        session.learn()?;
        setup.met.set(true);
        Ok(session)
    }

    fn greet(&mut self) -> Done<()> {
        let wait = Wait::short(self.setup.times.short);
        let mut reply = self.reply(wait)?;
        for _ in 0..WAITS_MAX {
            if reply.code != 120 {
                break;
            }
            reply = self.reply(wait)?;
        }
        if reply.code != 220 {
            return Err(refusal::login(&self.setup, &reply));
        }
        self.greeted = true;
        if !matches!(self.setup.mode, Mode::Explicit | Mode::Auto) {
            return Ok(());
        }
        let reply = self.call("AUTH TLS")?;
        if reply.code != 234 {
            if self.setup.mode == Mode::Auto && reply.code >= 500 {
                self.is_clear = true;
                self.cover = None;
                return Ok(());
            }
            return Err(refusal::no_tls(&self.setup, &reply));
        }
        let Some(cover) = &self.cover else {
            return Ok(());
        };
        if let Ok(stream) = self.control.stream() {
            stream.sock().bound(Wait::short(self.setup.times.short));
        }
        self.control
            .cover(cover)
            .map_err(|e| self.fault(Broken::Failed(e)))
    }

    fn log_in(&mut self) -> Done<()> {
        let setup = self.setup.clone();
        let mut reply = self.call(&format!("USER {}", setup.user))?;
        if reply.code == 331 {
            let anonymous = setup.user == "anonymous";
            let password = match setup.password.as_ref().map(Secret::reveal) {
                None if anonymous => "duplet@",
                None => return Err(refusal::login(&setup, &reply)),
                Some(password) => password,
            };
            let line = Secret::new(format!("PASS {password}"));
            reply = self.call(line.reveal())?;
        }
        match reply.code {
            230 | 202 => {}
            _ => return Err(refusal::login(&setup, &reply)),
        }
        if self.cover.is_some() {
            let _ = self.call("PBSZ 0")?;
            let reply = self.call("PROT P")?;
            if !reply.is_good() {
                return Err(refusal::no_tls(&setup, &reply));
            }
        }
        Ok(())
    }

    /// What the server can do, and where the folder is.
    fn learn(&mut self) -> Done<()> {
        let features = self.call("FEAT")?;
        if features.is_good() {
            let has = |name: &str| {
                let mut lines = features.lines.iter().map(|l| l.trim().to_ascii_uppercase());
                lines.any(|l| l.starts_with(name))
            };
            self.offers.facts = has("MLST") || has("MLSD");
            if !has("REST") {
                self.offers.rest = Some(false);
            }
            if has("UTF8") {
                let _ = self.call("OPTS UTF8 ON")?;
            }
        }
        let reply = self.call("TYPE I")?;
        if !reply.is_good() {
            return Err(refusal::refusal(Verb::Get, &reply, "binary", true));
        }
        if self.setup.relative {
            let reply = self.call("PWD")?;
            match quoted(reply.message()).filter(|path| reply.code == 257 && path.starts_with('/'))
            {
                Some(path) => self.start = path.trim_end_matches('/').to_owned(),
                // The folder has no path that could be told: it is gone into.
                None => {
                    self.start = ".".to_owned();
                    self.cwd = true;
                }
            }
        }
        Ok(())
    }

    /// Takes the conversation up again: false when it is over.
    pub(super) fn resumed(&mut self) -> bool {
        let idle = self.used.elapsed() >= IDLE;
        let well = !self.broken && self.control.is_well();
        let well = well && (!idle || self.call("NOOP").is_ok_and(|reply| reply.is_good()));
        self.answered = false;
        well
    }

    /// True when nothing more can be said here.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// True when the server had hung up before anything was asked of it.
    pub(super) fn was_over(&self) -> bool {
        self.broken && !self.answered
    }

    /// True when an older version of TLS may do what failed.
    pub(super) fn wants_tls12(&self) -> bool {
        self.wants_tls12
    }

    /// The conversation is not gone on with.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    /// The folder's path, for messages and commands.
    pub(super) fn folder(&self) -> String {
        let mut path = self.start.clone();
        for name in &self.setup.folders {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    pub(super) fn shown(&self) -> String {
        folders::shown(&self.folder())
    }

    /// The name of a file in the folder as commands have it.
    pub(super) fn path(&mut self, name: &str) -> Done<String> {
        if !self.cwd {
            return Ok(format!("{}/{name}", self.folder()));
        }
        self.enter()?;
        Ok(name.to_owned())
    }

    /// Goes into the folder.
    pub(super) fn enter(&mut self) -> Done<()> {
        if self.in_folder && self.cwd {
            return Ok(());
        }
        let folder = self.folder();
        let reply = self.call(&format!("CWD {}", folders::path_or_root(&folder)))?;
        if reply.is_good() {
            self.in_folder = true;
            return Ok(());
        }
        Err(match reply.code {
            550 | 450 | 553 => match self.file_in_the_way()? {
                Some(path) => folders::is_a_file(&path),
                None => folders::no_folder(&self.shown()),
            },
            _ => self.refuse(Verb::List, &reply),
        })
    }

    /// The folder, or one above it, where that is a file: only files have a size.
    fn file_in_the_way(&mut self) -> Done<Option<String>> {
        let mut path = self.folder();
        while path.len() > self.start.len() {
            if self.call(&format!("SIZE {path}"))?.code == 213 {
                return Ok(Some(folders::shown(&path)));
            }
            path.truncate(path.rfind('/').unwrap_or(0));
        }
        Ok(None)
    }

    /// Makes the folder and those above it, as far as they are not there.
    pub(super) fn make_folder(&mut self) -> Done<()> {
        match self.enter() {
            Err(fault) if fault.class == Class::FolderMissing => {}
            done => return done,
        }
        let setup = self.setup.clone();
        // Whole paths where there are any, for a user may be kept from what lies above the folder.
        let bare = self.start == ".";
        let mut step = self.start.clone();
        let mut refused = None;
        for name in &setup.folders {
            if bare {
                step.clear();
            } else {
                step.push('/');
            }
            step.push_str(name);
            let enter = format!("CWD {step}");
            if self.call(&enter)?.is_good() {
                continue;
            }
            let reply = self.call(&format!("MKD {step}"))?;
            if bare && !self.call(&enter)?.is_good() {
                self.give_up();
                return Err(self.refuse(Verb::MakeFolder, &reply));
            }
            refused = (!reply.is_good()).then_some(reply);
        }
        if bare {
            self.in_folder = true;
            return Ok(());
        }
        match (self.enter(), refused) {
            (Err(fault), Some(reply)) if fault.class == Class::FolderMissing => {
                Err(self.refuse(Verb::MakeFolder, &reply))
            }
            (done, _) => done,
        }
    }

    /// A command with its reply.
    pub(super) fn call(&mut self, command: &str) -> Done<Reply> {
        let wait = Wait::short(self.setup.times.short);
        self.post(command, wait)?;
        self.reply(wait)
    }

    fn post(&mut self, command: &str, wait: Wait) -> Done<()> {
        if command.contains(['\r', '\n', '\0']) {
            let text = "the name has characters that FTP cannot carry";
            return Err(Fault::new(Class::Unsupported, text));
        }
        let sent = self.control.send(command, wait);
        // What the server said before it hung up is still there to be read.
        match sent {
            Err(e) if !is_end(&e) => Err(self.fault(Broken::Failed(e))),
            _ => Ok(()),
        }
    }

    /// The next reply. One that ends the conversation is a fault.
    pub(super) fn reply(&mut self, wait: Wait) -> Done<Reply> {
        match self.control.reply(wait) {
            Ok(reply) if reply.code == 421 => {
                self.broken = true;
                match self.greeted {
                    true => Err(refusal::gone(&reply)),
                    false => Err(refusal::login(&self.setup, &reply)),
                }
            }
            Ok(reply) if refusal::is_oops(&reply) => {
                self.broken = true;
                Err(refusal::oops(&self.setup, &reply))
            }
            Ok(reply) => {
                self.answered = true;
                self.used = Instant::now();
                Ok(reply)
            }
            Err(why) => Err(self.fault(why)),
        }
    }

    fn fault(&mut self, why: Broken) -> Fault {
        self.broken = true;
        refusal::broken(&self.setup, why, self.greeted)
    }

    /// A reply that cannot be.
    pub(super) fn garbled(&mut self, reply: &Reply) -> Fault {
        self.fault(Broken::Foreign(format!(
            "{} {}",
            reply.code,
            reply.message()
        )))
    }
}

impl Drop for Session {
    /// Takes leave; nobody waits for the answer.
    fn drop(&mut self) {
        if !self.broken {
            let wait = Wait::short(Duration::from_secs(1));
            let _ = self.control.send("QUIT", wait);
        }
    }
}
