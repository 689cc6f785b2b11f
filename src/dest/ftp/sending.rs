//! The content of an upload on its way: a data connection on which nothing waits, moved on as far as goes now.
//!
//! Memory: one piece of 64 KiB.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::line::{Control, Stream};
use super::session::Session;
use super::transfer::PIECE;
use crate::base::fault::{Done, Fault};
use crate::base::sys;
use crate::base::transfer::NextBytes;
use crate::dest::Body;
use crate::dest::folders::{self, Times, Verb, Wait, fill};
use crate::net::http::line::{Got, Line};

/// So often is moved what can be moved before the caller gets its turn again.
const ROUNDS_MAX: u32 = 128;
/// Longest wait between two looks at what can be moved.
const LOOK: Duration = Duration::from_secs(1);

/// Where an upload stands.
enum Phase {
    Content,
    /// All is handed over; the end of the connection goes out.
    Closing,
    /// The server reads and stores what is still under way, and then answers on the other connection.
    Awaiting(Wait),
}

/// What a step came to.
enum Step {
    /// There may be more to do.
    On,
    /// Nothing can be moved now.
    Still,
    Ended,
}

/// What is sent over a data connection.
pub(super) struct Sending {
    line: Line,
    phase: Phase,
    len: u64,
    /// Bytes of the content that were fetched.
    at: u64,
    /// Those on their way to the line, and how many of them it has taken.
    out: Vec<u8>,
    out_at: usize,
    times: Times,
    /// When a byte last moved.
    moved: Instant,
    /// There is nothing to be sent now, though the content goes on.
    held: bool,
    /// In TLS, until the other side has ended it, too.
    open: bool,
    /// Why nothing more is sent.
    fault: Option<Fault>,
    /// Why nothing more can be sent.
    failed: Option<io::Error>,
}

impl Sending {
    pub(super) fn new(stream: Stream, len: u64, times: Times) -> io::Result<Sending> {
        let line = stream.into_line()?;
        Ok(Sending {
            open: line.is_tls(),
            line,
            phase: Phase::Content,
            len,
            at: 0,
            out: Vec::new(),
            out_at: 0,
            times,
            moved: Instant::now(),
            held: false,
            fault: None,
            failed: None,
        })
    }

    /// Moves what can be moved without waiting. True once the server has something to say or should have, or nothing more can be
    /// sent.
    pub(super) fn move_on(&mut self, control: &mut Control, next: &mut NextBytes<'_>) -> bool {
        for _ in 0..ROUNDS_MAX {
            if self.fault.is_some() || self.failed.is_some() {
                return true;
            }
            self.held = false;
            match self.step(control, next) {
                Ok(Step::On) => {}
                Ok(Step::Still) => return false,
                Ok(Step::Ended) => return true,
                Err(e) => self.failed = Some(e),
            }
        }
        false
    }

    fn step(&mut self, control: &mut Control, next: &mut NextBytes<'_>) -> io::Result<Step> {
        match self.phase {
            Phase::Content => {
                let (moved, all) = self.line.push(&self.out, &mut self.out_at)?;
                if !self.has_moved(moved, all)? {
                    return Ok(Step::Still);
                }
                if self.at < self.len {
                    return Ok(self.fetch(next));
                }
                self.line.say_end();
                self.phase = Phase::Closing;
                Ok(Step::On)
            }
            Phase::Closing => {
                let (moved, all) = self.line.flush()?;
                if !self.has_moved(moved > 0, all)? {
                    return Ok(Step::Still);
                }
                self.line.shut()?;
                self.phase = Phase::Awaiting(Wait::short(self.times.closing));
                Ok(Step::On)
            }
            // In TLS it is read to its end: tickets for further connections would else be lost, and closing on unread bytes is a
            // reset, at which servers throw the upload away.
            Phase::Awaiting(wait) if self.open => {
                match self.line.read(&mut [0; 512]) {
                    Ok(Got::Bytes(_)) => {}
                    Ok(Got::Nothing) if !wait.is_over() => return Ok(Step::Still),
                    _ => self.open = false,
                }
                Ok(Step::On)
            }
            Phase::Awaiting(wait) => Ok(match control.is_well() && !wait.is_over() {
                true => Step::Still,
                false => Step::Ended,
            }),
        }
    }

    /// Whether all of it went out; an error once nothing does for too long.
    fn has_moved(&mut self, moved: bool, all: bool) -> io::Result<bool> {
        if moved {
            self.moved = Instant::now();
        }
        match !all && self.moved.elapsed() > self.times.transfer {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(all),
        }
    }

    fn fetch(&mut self, next: &mut NextBytes<'_>) -> Step {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        self.out.resize(left.min(PIECE), 0);
        self.out_at = self.out.len();
        match next(&mut self.out) {
            Ok(0) => self.fault = Some(folders::body_short(self.at, self.len)),
            Ok(n) => {
                self.out.truncate(n);
                self.out_at = 0;
                self.at += n as u64;
                self.moved = Instant::now();
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.held = true;
                self.moved = Instant::now();
                return Step::Still;
            }
            Err(e) => self.fault = Some(Fault::local(e)),
        }
        Step::On
    }

    /// See [`Busy::watched`](crate::dest::sailing::Busy::watched).
    pub(super) fn watched(&self, control: &Control) -> Option<(RawFd, bool)> {
        match self.phase {
            _ if self.held => None,
            Phase::Content | Phase::Closing => Some((self.line.fd(), true)),
            Phase::Awaiting(_) if self.open => Some((self.line.fd(), false)),
            Phase::Awaiting(_) => control.fd().map(|fd| (fd, false)),
        }
    }

    /// Nothing more is sent. True when all bytes were handed to the connection.
    pub(super) fn land(&mut self, ended: bool) -> bool {
        if !ended {
            self.fault.get_or_insert_with(folders::broken_off);
        }
        matches!(self.phase, Phase::Awaiting(_))
    }
}

impl Session {
    /// Sends what is left, and waits until the server has it.
    pub(super) fn send(&mut self, mut sending: Sending, body: &mut dyn Body) -> Done<()> {
        let mut next = |buffer: &mut [u8]| fill(body, buffer);
        while !sending.move_on(&mut self.control, &mut next) {
            if let Some((fd, writes)) = sending.watched(&self.control)
                && let Err(e) = sys::await_ready(fd, writes, LOOK)
            {
                sending.failed = Some(e);
            }
        }
        if let Some(fault) = sending.fault {
            self.give_up();
            return Err(fault);
        }
        let wait = match sending.phase {
            Phase::Awaiting(wait) => wait,
            _ => Wait::short(self.setup.times.closing),
        };
        drop(sending.line);
        match sending.failed {
            Some(e) => Err(self.blame(Verb::Put, &e)),
            None => self.end_transfer(Verb::Put, wait).map(drop),
        }
    }
}
