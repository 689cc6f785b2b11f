//! One conversation in SFTP with one child: what the server can do, requests with their replies in whatever order they come.
//!
//! A conversation that broke is of no use any more: the next call begins another.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::cause;
use super::channel::{Broken, Channel};
use super::config::Setup;
use super::launch::{self, Held, Program};
use super::refusal;
use super::wire::{
    Attrs, EXTENDED, FSTAT, Frame, Garbled, INIT, Packet, REALPATH, STAT, Status, VERSION,
};
use crate::base::fault::{Class, Fault};
use crate::dest::folders::{self, Verb, Wait};

pub(super) type Done<T> = std::result::Result<T, Fault>;

/// Most replies that wait to be asked for: as many as there can be requests under way.
const STASH_MAX: usize = 130;
/// Data in one request, in bytes, unless the server wants less: what every server takes.
const CHUNK: usize = 32 << 10;
/// The log-in may take this many times the wait for a small reply: keys are exchanged, and somebody touches a token.
const LOGIN_WAITS: u32 = 2;

/// All kinds of host keys but some: what is left are those of Edwards' curve, RSA and other curves.
const KINDS: [&str; 3] = ["-*ecdsa*,*rsa*", "-*ed25519*,*ecdsa*", "-*ed25519*,*rsa*"];

/// What the server can do beside the protocol's version 3.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Offers {
    /// A rename that replaces.
    pub(super) posix_rename: bool,
    pub(super) fsync: bool,
    pub(super) statvfs: bool,
}

/// A conversation.
pub(super) struct Session {
    channel: Channel,
    held: Held,
    setup: Rc<Setup>,
    next: u32,
    /// Replies that came before their turn.
    stash: Vec<Frame>,
    pub(super) offers: Offers,
    /// Bytes to read or write with one request.
    pub(super) chunk: usize,
    /// The path of the folder, without a slash at its end; empty for `/`.
    pub(super) folder: String,
    /// Where the folders of the URL begin.
    pub(super) start: String,
    greeted: bool,
    broken: bool,
}

impl Session {
    /// Starts a child, greets, and finds out where the folder is. Where the key that the server has shown is not pinned, another
    /// kind of key is asked for, which it may have as well; what is accepted stays the same.
    pub(super) fn open(setup: &Rc<Setup>, program: &Program) -> Done<Session> {
        let is_wrong =
            |done: &Done<Session>| matches!(done, Err(fault) if fault.class == Class::Tls);
        let first = Session::meet(setup, program);
        if !is_wrong(&first) || !program.may_ask(setup) {
            return first;
        }
        for kinds in KINDS {
            setup.kinds.set(Some(kinds));
            let done = Session::meet(setup, program);
            if !is_wrong(&done) {
                return done;
            }
        }
        setup.kinds.set(None);
        first
    }

    fn meet(setup: &Rc<Setup>, program: &Program) -> Done<Session> {
        let (child, held) = launch::start(setup, program)?;
        let mut session = Session {
            channel: Channel::new(child),
            held,
            setup: setup.clone(),
            next: 0,
            stash: Vec::new(),
            offers: Offers::default(),
            chunk: CHUNK,
            folder: String::new(),
            start: String::new(),
            greeted: false,
            broken: false,
        };
        session.greet()?;
        if setup.relative {
            session.start = session.login_folder()?;
        }
        session.folder.clone_from(&session.start);
        for name in &setup.folders {
            session.folder.push('/');
            session.folder.push_str(name);
        }
        Ok(session)
    }

    fn greet(&mut self) -> Done<()> {
        let wait = Wait::short(self.setup.times.short * LOGIN_WAITS);
        // The number's place holds the version here.
        let hello = Packet::new(INIT, 3).finish();
        // A child that ends at once may not take it; why it ended is seen when its reply does not come.
        match self.channel.send(&hello, wait) {
            Ok(()) | Err(Broken::Ended) => {}
            Err(why) => return Err(self.fault(why)),
        }
        let frame = self.channel.receive(wait).map_err(|why| self.fault(why))?;
        if frame.kind != VERSION {
            return Err(self.garbled(Garbled));
        }
        self.greeted = true;
        if frame.id < 3 {
            self.broken = true;
            let text = format!("the server speaks version {} of SFTP, not 3", frame.id);
            return Err(Fault::new(Class::Unsupported, text));
        }
        let mut limits = false;
        let known = frame.extensions().map(|found| {
            let has = |name: &str, version: &[u8]| {
                found
                    .iter()
                    .any(|(n, v)| *n == name.as_bytes() && *v == version)
            };
            limits = has("limits@openssh.com", b"1");
            Offers {
                posix_rename: has("posix-rename@openssh.com", b"1"),
                fsync: has("fsync@openssh.com", b"1"),
                statvfs: has("statvfs@openssh.com", b"2"),
            }
        });
        self.offers = known.map_err(|e| self.garbled(e))?;
        if limits {
            let reply = self.call(EXTENDED, |p| p.text(b"limits@openssh.com"))?;
            if let Ok([_, read, write, _]) = reply.numbers::<4>() {
                for most in [read, write].into_iter().filter(|&most| most > 0) {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    self.chunk = self.chunk.min(most.max(1));
                }
            }
        }
        Ok(())
    }

    fn login_folder(&mut self) -> Done<String> {
        let reply = self.call(REALPATH, |p| p.text(b"."))?;
        if let Some(status) = self.refused(&reply)? {
            return Err(refusal::refusal(Verb::Look, &status, "."));
        }
        let names = reply.names().map_err(|e| self.garbled(e))?;
        let path = names.into_iter().next().map(|entry| entry.name);
        let path = path.and_then(|p| String::from_utf8(p).ok());
        match path {
            Some(path) if path.starts_with('/') => Ok(path.trim_end_matches('/').to_owned()),
            _ => Err(self.garbled(Garbled)),
        }
    }

    /// False when the child is gone, as happens while a run does other things.
    pub(super) fn is_well(&mut self) -> bool {
        !self.broken && self.stash.is_empty() && self.channel.is_well()
    }

    /// True when nothing more can be said here.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn setup(&self) -> &Rc<Setup> {
        &self.setup
    }

    /// The folder for messages.
    pub(super) fn shown(&self) -> String {
        folders::shown(&self.folder)
    }

    /// The path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.folder).into_bytes()
    }

    /// Sends a request and answers with its number; the reply is still to come.
    pub(super) fn post(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Packet) -> Packet,
        wait: Wait,
    ) -> Done<u32> {
        let (id, bytes) = self.request(kind, fill);
        match self.channel.send(&bytes, wait) {
            Ok(()) => Ok(id),
            Err(why) => Err(self.fault(why)),
        }
    }

    /// The number and the bytes of a request that is still to be sent.
    pub(super) fn request(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Packet) -> Packet,
    ) -> (u32, Vec<u8>) {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        (id, fill(Packet::new(kind, id)).finish())
    }

    /// See [`Channel::turn`].
    pub(super) fn turn(
        &mut self,
        bytes: &[u8],
        last: (&mut Instant, Wait),
        at_most: Duration,
    ) -> Done<usize> {
        let turned = self.channel.turn(bytes, last, at_most);
        turned.map_err(|why| self.fault(why))
    }

    /// The reply to any request under way, if it has come.
    pub(super) fn ready(&mut self) -> Done<Option<Frame>> {
        match self.stash.pop() {
            Some(frame) => Ok(Some(frame)),
            None => self.channel.ready().map_err(|why| self.fault(why)),
        }
    }

    /// Takes in what the child has said, without waiting: whether there was anything.
    pub(super) fn has_come(&mut self) -> Done<bool> {
        // Whoever looks now and then does not know for how long nothing came.
        let before = Instant::now();
        let mut moved = before;
        let wait = Wait::moving(self.setup.times.transfer);
        self.turn(&[], (&mut moved, wait), Duration::ZERO)?;
        Ok(moved != before)
    }

    /// See [`Channel::fd`].
    pub(super) fn fd(&self, writes: bool) -> Option<RawFd> {
        self.channel.fd(writes)
    }

    /// The reply to any request under way.
    pub(super) fn any(&mut self, wait: Wait) -> Done<Frame> {
        match self.stash.pop() {
            Some(frame) => Ok(frame),
            None => self.channel.receive(wait).map_err(|why| self.fault(why)),
        }
    }

    /// The reply to one request; others that come meanwhile are kept.
    pub(super) fn reply(&mut self, id: u32, wait: Wait) -> Done<Frame> {
        if let Some(at) = self.stash.iter().position(|f| f.id == id) {
            return Ok(self.stash.swap_remove(at));
        }
        loop {
            let frame = self.channel.receive(wait).map_err(|why| self.fault(why))?;
            if frame.id == id {
                return Ok(frame);
            }
            if self.stash.len() >= STASH_MAX {
                return Err(self.garbled(Garbled));
            }
            self.stash.push(frame);
        }
    }

    /// A small request with its reply.
    pub(super) fn call(&mut self, kind: u8, fill: impl FnOnce(Packet) -> Packet) -> Done<Frame> {
        let wait = Wait::short(self.setup.times.short);
        self.call_within(kind, fill, wait)
    }

    /// As [`Session::call`] with a time of its own.
    pub(super) fn call_within(
        &mut self,
        kind: u8,
        fill: impl FnOnce(Packet) -> Packet,
        wait: Wait,
    ) -> Done<Frame> {
        let id = self.post(kind, fill, wait)?;
        self.reply(id, wait)
    }

    /// A small request that has nothing but a status for an answer.
    pub(super) fn status(&mut self, kind: u8, fill: impl FnOnce(Packet) -> Packet) -> Done<Status> {
        let reply = self.call(kind, fill)?;
        self.expect_status(&reply)
    }

    /// The status that a reply must be.
    pub(super) fn expect_status(&mut self, reply: &Frame) -> Done<Status> {
        match self.refused(reply)? {
            Some(status) => Ok(status),
            None => Err(self.garbled(Garbled)),
        }
    }

    /// The status that a reply is, where it is one.
    pub(super) fn refused(&mut self, reply: &Frame) -> Done<Option<Status>> {
        reply.status().transpose().map_err(|e| self.garbled(e))
    }

    /// Facts of what is at a path, or why not; links are followed.
    pub(super) fn look(&mut self, path: &[u8]) -> Done<Result<Attrs, Status>> {
        let reply = self.call(STAT, |p| p.text(path))?;
        self.attrs(&reply)
    }

    /// As [`Session::look`] for an open file.
    pub(super) fn look_at_open(&mut self, handle: &[u8]) -> Done<Result<Attrs, Status>> {
        let reply = self.call(FSTAT, |p| p.text(handle))?;
        self.attrs(&reply)
    }

    /// Facts that a reply tells, or why it does not.
    pub(super) fn attrs(&mut self, reply: &Frame) -> Done<Result<Attrs, Status>> {
        match self.refused(reply)? {
            Some(status) => Ok(Err(status)),
            None => reply.attrs().map(Ok).map_err(|e| self.garbled(e)),
        }
    }

    /// The fault of a reply that cannot be.
    pub(super) fn garbled(&mut self, _: Garbled) -> Fault {
        self.fault(Broken::Foreign)
    }

    fn fault(&mut self, why: Broken) -> Fault {
        self.broken = true;
        let told = self
            .channel
            .farewell(why == Broken::Ended || !self.greeted && why == Broken::Foreign);
        let report = self.held.report();
        cause::broken(&self.setup, why, &told, &report, self.greeted)
    }

    /// Time for the whole of a listing.
    pub(super) fn for_listing(&self) -> Wait {
        Wait::short(self.setup.times.list)
    }
}
