//! Frames to and from the child. Reading and writing go on at the same time, so that neither side waits for the other, whatever
//! the pipes hold; every wait has an end.
//!
//! Memory: at most one frame and one read beyond it (321 KiB), as much again that was taken already, and the last 8 KiB of what
//! the child says beside it.

use std::os::fd::RawFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::wire::{Begun, FRAME_MAX, Frame, frame};
use crate::base::sys::{self, Piped};
use crate::dest::folders::Wait;

/// What is kept of the child's standard error, in bytes.
const ERRORS_MAX: usize = 8 << 10;
/// Time for a child to say why it ends, and to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The child has closed its output or ended.
    Ended,
    /// Nothing came in time.
    Silent,
    /// What came is no SFTP.
    Foreign,
    /// The child asks a question that nobody is there to answer.
    Asks,
    /// The run ends.
    Stopped,
}

/// A child that speaks in frames.
pub(super) struct Channel {
    child: Piped,
    /// What came, of which the first `taken` bytes are done with.
    input: Vec<u8>,
    taken: usize,
    errors: Vec<u8>,
}

impl Channel {
    pub(super) fn new(child: Piped) -> Channel {
        Channel {
            child,
            input: Vec::new(),
            taken: 0,
            errors: Vec::new(),
        }
    }

    /// Hands all of a request to the child.
    pub(super) fn send(&mut self, mut bytes: &[u8], wait: Wait) -> Result<(), Broken> {
        let mut moved = Instant::now();
        while !bytes.is_empty() {
            let n = self.exchange(bytes, &mut moved, wait)?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// The next frame from the child.
    pub(super) fn receive(&mut self, wait: Wait) -> Result<Frame, Broken> {
        let mut moved = Instant::now();
        loop {
            match self.ready()? {
                Some(frame) => return Ok(frame),
                None => self.exchange(&[], &mut moved, wait)?,
            };
        }
    }

    /// The next frame, if it has come.
    pub(super) fn ready(&mut self) -> Result<Option<Frame>, Broken> {
        match frame(&self.input[self.taken..]) {
            Begun::Whole(frame, len) => {
                self.taken += len;
                Ok(Some(frame))
            }
            Begun::Foreign => Err(Broken::Foreign),
            Begun::Part => Ok(None),
        }
    }

    /// What is to be watched for the child to take more, or to say more.
    pub(super) fn fd(&self, writes: bool) -> Option<RawFd> {
        self.child.fd(writes)
    }

    /// True when the child is still there and has said nothing that nobody asked for.
    pub(super) fn is_well(&mut self) -> bool {
        let now = Wait {
            pause: Duration::ZERO,
            end: None,
        };
        let looked = self.exchange(&[], &mut Instant::now(), now);
        !matches!(looked, Err(Broken::Ended)) && self.taken == self.input.len()
    }

    /// Moves something; how much of `bytes` the child took.
    fn exchange(&mut self, bytes: &[u8], last: &mut Instant, wait: Wait) -> Result<usize, Broken> {
        self.turn(bytes, (last, wait), Duration::MAX)
    }

    /// Moves what can be moved, waiting for that for `at_most`: how much of `bytes` the child took. `last` says when something
    /// moved before, and moves on when something does.
    pub(super) fn turn(
        &mut self,
        bytes: &[u8],
        (last, wait): (&mut Instant, Wait),
        at_most: Duration,
    ) -> Result<usize, Broken> {
        let now = Instant::now();
        let quiet = now.saturating_duration_since(*last);
        let mut left = wait.pause.saturating_sub(quiet);
        if let Some(end) = wait.end {
            left = left.min(end.saturating_duration_since(now));
        }
        // What is left is moved to the front when that is less than what went before: a byte moves once at most.
        if self.taken >= self.input.len() - self.taken {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        let room = self.taken + FRAME_MAX + 4;
        let Channel {
            child,
            input,
            errors,
            ..
        } = self;
        let limit = match left.min(at_most) {
            Duration::ZERO => Duration::ZERO,
            wait => sys::slice(wait).map_err(|_| Broken::Stopped)?,
        };
        let moved = child
            .exchange(bytes, input, room, errors, limit)
            .map_err(|_| Broken::Ended)?;
        let over = errors.len().saturating_sub(ERRORS_MAX);
        errors.drain(..over);
        // So asks dbclient about a host whose key it does not know, and for a password that it has not got.
        if errors.ends_with(b"(y/n) ") || errors.ends_with(b"assword: ") {
            return Err(Broken::Asks);
        }
        if moved.output_ended || moved.input_ended && !bytes.is_empty() {
            return Err(Broken::Ended);
        }
        if moved.read > 0 || moved.written > 0 {
            *last = Instant::now();
        } else if left.is_zero() {
            return Err(Broken::Silent);
        }
        Ok(moved.written)
    }

    /// Lets the child end, or ends it: how it ended if it did so by itself, what it said last, and what it had sent that is no
    /// frame.
    pub(super) fn farewell(&mut self, patient: bool) -> Farewell {
        self.child.close_input();
        self.input.drain(..std::mem::take(&mut self.taken));
        let exit = if patient { self.last_words() } else { None };
        self.child.kill();
        Farewell {
            exit,
            errors: String::from_utf8_lossy(&self.errors).into_owned(),
            input: std::mem::take(&mut self.input),
        }
    }
}

impl Channel {
    /// Reads what the child still says until it ends, and how it ended.
    fn last_words(&mut self) -> Option<ExitStatus> {
        let end = Instant::now() + FAREWELL;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Channel {
                child,
                input,
                errors,
                ..
            } = self;
            let moved = child.exchange(&[], input, FRAME_MAX, errors, left);
            let done = moved.map_or(true, |m| m.output_ended && m.errors_ended);
            let over = errors.len().saturating_sub(ERRORS_MAX);
            errors.drain(..over);
            if done || left.is_zero() || input.len() >= FRAME_MAX {
                return child.wait(end.saturating_duration_since(Instant::now()));
            }
        }
    }
}

/// What is known of a child that is no more.
pub(super) struct Farewell {
    pub(super) exit: Option<ExitStatus>,
    pub(super) errors: String,
    pub(super) input: Vec<u8>,
}
