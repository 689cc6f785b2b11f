//! An upload on its way while other work goes on: the request of a `PUT` or `POST` over a connection of its own, moved on from
//! time to time by who has time ([`Flight`]).
//!
//! What counts is what counts in a request that is waited for: nothing is read before the whole body is out or a write failed;
//! the bytes that are there come before the end of the connection; a server that answers and closes in the middle is heard; the
//! time without a byte is limited, and is no server's fault while we have nothing for it.

use std::io;
use std::time::{Duration, Instant};

use ureq_proto::client::{
    Await100Result, Call, RecvBodyResult, RecvResponseResult, SendRequestResult, state,
};

use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::base::transfer::{Flight, NextBytes, Strip};
use crate::net::http::fault::{
    Late, Place, closed_early, endless_header, io_fault, not_http, silent,
};
use crate::net::http::landed::{Answered, Landed};
use crate::net::http::line::{Got, Line};
use crate::net::http::{BUFFER_BYTES, EXPECT_WAIT, HEADER_MAX_BYTES};

/// Most of a reply's body that is kept.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// Wait for an answer after a write that failed.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// So often is moved what can be moved before the caller gets its turn again.
const ROUNDS_MAX: u32 = 256;

/// How long the other side may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Without a byte going out.
    pub(super) write: Duration,
    /// For the reply to begin.
    pub(super) reply: Duration,
    /// For the body of the reply.
    pub(super) body: Duration,
}

/// Where a request stands.
enum Phase {
    /// Its head goes out.
    Head(SendRequestResult),
    /// The server was asked whether it wants the body, and may answer until then.
    Asking(Call<state::Await100>, Option<Instant>),
    Body(Call<state::SendBody>),
    /// The reply is waited for until then.
    Reply(Call<state::RecvResponse>, Option<Instant>),
    /// Its body is read until then.
    Rest(Call<state::RecvBody>, Answered, Option<Instant>),
    Over,
}

/// What a step came to.
enum Step {
    /// There may be more to do.
    On(Phase),
    /// Nothing can be moved now.
    Still(Phase),
    Done(Answered),
}

/// A request under way.
pub(super) struct Upload {
    line: Line,
    phase: Phase,
    /// Bytes on their way to the line, and how many of them it has taken.
    out: Vec<u8>,
    out_at: usize,
    /// Bytes of the reply that are not understood yet.
    input: Vec<u8>,
    /// Bytes of the body that were not fetched yet.
    left: u64,
    len: u64,
    /// When a byte last moved.
    moved: Instant,
    /// There is nothing to be sent now, though the body goes on.
    held: bool,
    /// The write that failed: the reply to what the server had read is looked for.
    failed: Option<io::Error>,
    limits: Limits,
    place: Place,
    landed: Landed,
    strip: Strip<Landed>,
}

/// `None`: later than any run lasts.
fn until(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn is_past(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

impl Upload {
    /// `head`: the bytes of the request before its body of `len` bytes; `call` is in the state after them.
    pub(super) fn new(
        line: Line,
        (head, call): (Vec<u8>, SendRequestResult),
        len: u64,
        limits: Limits,
        place: Place,
        (landed, strip): (Landed, Strip<Landed>),
    ) -> Upload {
        Upload {
            line,
            phase: Phase::Head(call),
            out: head,
            out_at: 0,
            input: Vec::new(),
            left: len,
            len,
            moved: Instant::now(),
            held: false,
            failed: None,
            limits,
            place,
            landed,
            strip,
        }
    }

    fn go(&mut self, next: &mut NextBytes<'_>) -> Result<Option<Answered>, Fault> {
        for _ in 0..ROUNDS_MAX {
            self.held = false;
            let step = match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Head(call) => self.head(call)?,
                Phase::Asking(call, end) => self.asking(call, end)?,
                Phase::Body(call) => self.body(call, next)?,
                Phase::Reply(call, end) => self.reply(call, end)?,
                Phase::Rest(call, answered, end) => self.rest(call, answered, end)?,
                Phase::Over => return Ok(None),
            };
            match step {
                Step::On(phase) => self.phase = phase,
                Step::Still(phase) => {
                    self.phase = phase;
                    return Ok(None);
                }
                Step::Done(answered) => return self.judged(answered).map(Some),
            }
        }
        Ok(None)
    }

    /// A success before the whole body was read is none.
    fn judged(&self, answered: Answered) -> Result<Answered, Fault> {
        match self.failed.is_some() && (200..300).contains(&answered.status) {
            true => Err(closed_early(&self.place)),
            false => Ok(answered),
        }
    }

    fn io(&self, e: &io::Error) -> Fault {
        io_fault(e, &self.place)
    }

    fn proto(&self, e: &ureq_proto::Error) -> Fault {
        not_http(e, &self.place)
    }

    /// Hands to the system what is to go out; true when that was all.
    fn push(&mut self) -> io::Result<bool> {
        let (moved, all) = self.line.push(&self.out, &mut self.out_at)?;
        if moved {
            self.moved = Instant::now();
        }
        Ok(all)
    }

    /// Nothing goes out: the fault once that lasts too long.
    fn stuck(&self, phase: Phase) -> Result<Step, Fault> {
        match self.moved.elapsed() > self.limits.write {
            true => Err(silent(&self.place)),
            false => Ok(Step::Still(phase)),
        }
    }

    fn head(&mut self, call: SendRequestResult) -> Result<Step, Fault> {
        if !self.push().map_err(|e| self.io(&e))? {
            return self.stuck(Phase::Head(call));
        }
        Ok(Step::On(match call {
            SendRequestResult::Await100(call) => Phase::Asking(call, until(EXPECT_WAIT)),
            SendRequestResult::SendBody(call) => Phase::Body(call),
            SendRequestResult::RecvResponse(call) => self.awaiting(call),
        }))
    }

    fn awaiting(&self, call: Call<state::RecvResponse>) -> Phase {
        Phase::Reply(call, until(self.limits.reply))
    }

    fn asking(
        &mut self,
        mut call: Call<state::Await100>,
        end: Option<Instant>,
    ) -> Result<Step, Fault> {
        let got = self.fetch().map_err(|e| self.io(&e))?;
        let used = call.try_read_100(&self.input).map_err(|e| self.proto(&e))?;
        self.input.drain(..used.min(self.input.len()));
        if call.can_keep_await_100() {
            match got {
                Got::End => return Err(self.io(&io::ErrorKind::UnexpectedEof.into())),
                Got::Bytes(_) => return Ok(Step::On(Phase::Asking(call, end))),
                Got::Nothing if !is_past(end) => {
                    return Ok(Step::Still(Phase::Asking(call, end)));
                }
                // A server that lets the question run out has no use for others.
                Got::Nothing => self.landed.unheard = true,
            }
        }
        self.moved = Instant::now();
        let next = call.proceed().map_err(|e| self.proto(&e))?;
        Ok(Step::On(match next {
            Await100Result::SendBody(call) => Phase::Body(call),
            Await100Result::RecvResponse(call) => self.awaiting(call),
        }))
    }

    fn body(
        &mut self,
        mut call: Call<state::SendBody>,
        next: &mut NextBytes<'_>,
    ) -> Result<Step, Fault> {
        match self.push() {
            Ok(true) => {}
            Ok(false) => return self.stuck(Phase::Body(call)),
            Err(e) if self.left == self.len => return Err(self.io(&e)),
            Err(e) => {
                // What the server read may have an answer, which is read before its end is; the rest goes nowhere.
                self.failed = Some(e);
                let mut left = self.left;
                while left > 0 {
                    let part = usize::try_from(left).unwrap_or(usize::MAX);
                    call.consume_direct_write(part)
                        .map_err(|e| self.proto(&e))?;
                    left -= part as u64;
                }
                let call = call.proceed().ok_or_else(|| closed_early(&self.place))?;
                return Ok(Step::On(Phase::Reply(call, until(ANSWER_WAIT))));
            }
        }
        if self.left == 0 {
            let call = call.proceed().ok_or_else(|| closed_early(&self.place))?;
            return Ok(Step::On(self.awaiting(call)));
        }
        let room = usize::try_from(self.left).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
        self.out.resize(room, 0);
        self.out_at = room;
        let n = match next(&mut self.out) {
            Ok(n) => n.min(room),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.held = true;
                self.moved = Instant::now();
                return Ok(Step::Still(Phase::Body(call)));
            }
            Err(e) => return Err(self.io(&e)),
        };
        if n == 0 {
            return Err(self.io(&io::ErrorKind::UnexpectedEof.into()));
        }
        self.out.truncate(n);
        self.out_at = 0;
        self.left -= n as u64;
        call.consume_direct_write(n).map_err(|e| self.proto(&e))?;
        Ok(Step::On(Phase::Body(call)))
    }

    /// Adds to the input what is there.
    fn fetch(&mut self) -> io::Result<Got> {
        let at = self.input.len();
        self.input.resize(at + BUFFER_BYTES, 0);
        let got = self.line.read(self.input.get_mut(at..).unwrap_or_default());
        let n = match &got {
            Ok(Got::Bytes(n)) => *n,
            _ => 0,
        };
        self.input.truncate(at + n);
        got
    }

    fn reply(
        &mut self,
        mut call: Call<state::RecvResponse>,
        end: Option<Instant>,
    ) -> Result<Step, Fault> {
        let got = match (self.fetch(), self.failed.take()) {
            (Ok(got), failed) => {
                self.failed = failed;
                got
            }
            (Err(_), Some(first)) => return Err(self.io(&first)),
            (Err(e), None) => return Err(self.io(&e)),
        };
        loop {
            let (used, response) = call
                .try_response(&self.input, false)
                .map_err(|e| self.proto(&e))?;
            let head = if response.is_some() {
                used
            } else {
                self.input.len()
            };
            if head > HEADER_MAX_BYTES {
                return Err(endless_header(&self.place));
            }
            self.input.drain(..used.min(self.input.len()));
            if let Some(response) = response {
                return self.begun(call, response);
            }
            if used == 0 {
                break;
            }
        }
        match got {
            Got::Bytes(_) => Ok(Step::On(Phase::Reply(call, end))),
            Got::Nothing if !is_past(end) => Ok(Step::Still(Phase::Reply(call, end))),
            got => Err(match (&self.failed, got) {
                (Some(first), _) => self.io(first),
                (None, Got::End) => self.io(&io::ErrorKind::UnexpectedEof.into()),
                (None, _) => silent(&self.place),
            }),
        }
    }

    /// The head of the reply is there.
    fn begun(
        &mut self,
        call: Call<state::RecvResponse>,
        response: ureq::http::Response<()>,
    ) -> Result<Step, Fault> {
        let (parts, ()) = response.into_parts();
        let answered = Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: Vec::new(),
            broken: None,
            keeps: false,
        };
        let next = call.proceed();
        Ok(match next {
            Some(RecvResponseResult::RecvBody(call)) => {
                Step::On(Phase::Rest(call, answered, until(self.limits.body)))
            }
            Some(RecvResponseResult::Cleanup(call)) => Step::Done(Answered {
                keeps: !call.must_close_connection(),
                ..answered
            }),
            Some(_) => Step::Done(answered),
            None => return Err(closed_early(&self.place)),
        })
    }

    fn rest(
        &mut self,
        mut call: Call<state::RecvBody>,
        mut answered: Answered,
        end: Option<Instant>,
    ) -> Result<Step, Fault> {
        let got = self.fetch();
        let mut part = [0; 4096];
        loop {
            let (used, made) = match call.read(&self.input, &mut part) {
                Ok(done) => done,
                Err(e) => {
                    answered.broken = Some(io::Error::other(e));
                    return Ok(Step::Done(answered));
                }
            };
            self.input.drain(..used.min(self.input.len()));
            answered.body.extend(part.iter().take(made));
            if used == 0 && made == 0 {
                break;
            }
        }
        let closes = matches!(call.body_mode(), ureq_proto::BodyMode::CloseDelimited);
        if call.can_proceed() && !closes {
            if let Some(RecvBodyResult::Cleanup(call)) = call.proceed() {
                answered.keeps = !call.must_close_connection();
            }
            return Ok(Step::Done(answered));
        }
        if answered.body.len() >= BODY_MAX_BYTES {
            let long = io::Error::new(io::ErrorKind::InvalidData, "the reply is too long");
            answered.broken = Some(long);
            return Ok(Step::Done(answered));
        }
        answered.broken = match got {
            Ok(Got::Bytes(_)) => return Ok(Step::On(Phase::Rest(call, answered, end))),
            Ok(Got::Nothing) if !is_past(end) => {
                return Ok(Step::Still(Phase::Rest(call, answered, end)));
            }
            Ok(Got::Nothing) => Some(io::Error::new(
                io::ErrorKind::TimedOut,
                Late {
                    bound: self.limits.body,
                    list: false,
                },
            )),
            Ok(Got::End) if closes => None,
            Ok(Got::End) => Some(io::ErrorKind::UnexpectedEof.into()),
            Err(e) => Some(e),
        };
        Ok(Step::Done(answered))
    }
}

impl Flight for Upload {
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool {
        if self.landed.outcome.is_none() {
            self.landed.outcome = self.go(next).transpose();
        }
        self.landed.outcome.is_some()
    }

    fn wait(&self, at_most: Duration) {
        if self.held || self.landed.outcome.is_some() {
            sys::sleep_until_end(at_most);
            return;
        }
        let writes = matches!(self.phase, Phase::Head(_) | Phase::Body(_));
        // Who waits looks by itself whether the run ends.
        let _ = sys::await_ready(self.line.fd(), writes, at_most);
    }

    fn land(self: Box<Self>) -> bool {
        let whole = self.left == 0;
        let mut landed = self.landed;
        landed.whole = whole;
        landed.begun = self.left < self.len;
        let keeps = matches!(&landed.outcome, Some(Ok(answered)) if answered.keeps);
        if keeps && self.input.is_empty() && self.failed.is_none() {
            landed.line = Some(self.line);
        }
        landed
            .outcome
            .get_or_insert_with(|| Err(Fault::new(Class::Stopped, "the upload was broken off")));
        self.strip.replace(Some(landed));
        whole
    }
}
