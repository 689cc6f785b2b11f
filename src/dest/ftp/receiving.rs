//! A whole file on its way over a data connection, taken as far as it has come or waited for.
//!
//! Memory: of its own none; what has come waits in the socket.

use std::cell::Cell;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;

use super::line::{Stream, is_end};
use super::session::Session;
use super::transfer::too_much;
use crate::base::fault::{Done, Fault};
use crate::dest::coming::{Fetching, broken_off};

/// Where a download stands.
enum Phase {
    Content(Stream),
    /// The data connection is closed, and how; the server has to say what it thinks of that.
    Awaiting(io::Result<()>),
    Ended,
}

/// A download, and the conversation that it goes on in until that is wanted for something else.
pub(super) struct Fetch {
    session: Option<Session>,
    phase: Phase,
    /// Bytes that came.
    at: u64,
    /// Length of the file, if the server tells it.
    size: Option<u64>,
    /// Set when this shows that TLS has to be of an older version.
    tls12: Rc<Cell<bool>>,
}

impl Fetch {
    pub(super) fn new(
        session: Session,
        stream: Stream,
        size: Option<u64>,
        tls12: Rc<Cell<bool>>,
    ) -> Fetch {
        Fetch {
            session: Some(session),
            phase: Phase::Content(stream),
            at: 0,
            size,
            tls12,
        }
    }

    /// See [`Fetching::read`].
    fn step(&mut self, buf: &mut [u8]) -> Done<Option<usize>> {
        let Some(session) = &mut self.session else {
            return Err(broken_off());
        };
        if let Phase::Content(stream) = &mut self.phase {
            let ended = match stream.read_now(buf) {
                Ok(0) => Ok(()),
                Ok(n) => {
                    self.at += n as u64;
                    return match self.size.is_some_and(|size| self.at > size) {
                        true => Err(too_much()),
                        false => Ok(Some(n)),
                    };
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                // Some servers end TLS without saying so: what is whole is whole.
                Err(e) if is_end(&e) && self.size == Some(self.at) => Ok(()),
                Err(e) => Err(e),
            };
            let is_good = ended.is_ok();
            if let Phase::Content(stream) =
                std::mem::replace(&mut self.phase, Phase::Awaiting(ended))
                && is_good
            {
                stream.end_download();
            }
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            // Nobody waits for what the server has to say.
            Phase::Awaiting(ended) if session.control.is_well() => {
                self.phase = Phase::Awaiting(ended);
                Ok(None)
            }
            Phase::Awaiting(ended) => session
                .received(ended, self.at, self.size)
                .map(|()| Some(0)),
            _ => Ok(Some(0)),
        }
    }

    fn finish(&mut self, into: &mut dyn Write) -> Done<()> {
        let Some(session) = &mut self.session else {
            return Err(broken_off());
        };
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Content(stream) => session.receive(stream, (self.at, u64::MAX, self.size), into),
            Phase::Awaiting(ended) => session.received(ended, self.at, self.size),
            Phase::Ended => Ok(()),
        }
    }

    /// Where older TLS may do what failed, it is no failure.
    fn judged(&mut self, fault: Fault) -> Fault {
        let wants = self.session.as_ref().is_some_and(Session::wants_tls12);
        match wants && !self.tls12.replace(true) {
            true => broken_off(),
            false => fault,
        }
    }
}

impl Fetching for Fetch {
    type Session = Session;

    fn read(&mut self, buf: &mut [u8]) -> Done<Option<usize>> {
        self.step(buf).map_err(|fault| self.judged(fault))
    }

    fn copy(&mut self, into: &mut dyn Write) -> Done<()> {
        self.finish(into).map_err(|fault| self.judged(fault))
    }

    fn leave(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        // Whether it came whole who reads it has heard, or does not want to know.
        let _ = match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Content(stream) => session.hang_up(stream),
            Phase::Awaiting(ended) => session.received(ended, self.at, None),
            Phase::Ended => Ok(()),
        };
        let older = session.wants_tls12() && self.tls12.get();
        (!session.is_broken() && !older).then_some(session)
    }
}
