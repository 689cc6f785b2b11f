//! The content of an upload on its way: many requests under way, moved on as far as goes now or waited for, within one thread.
//!
//! Memory: one request and its data, of 32 KiB each.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::refusal;
use super::session::{Done, Session};
use super::transfer::{WINDOW, WINDOW_MAX};
use super::wire::{Frame, Garbled, OK, Packet, Status, WRITE};
use crate::base::fault::Fault;
use crate::base::transfer::NextBytes;
use crate::dest::Body;
use crate::dest::folders::{self, Verb, Wait, fill};

/// So often is moved what can be moved before the caller gets its turn again.
const ROUNDS_MAX: u32 = 128;

/// What is written to an open file.
pub(super) struct Writing {
    pub(super) handle: Vec<u8>,
    /// Bytes of the whole, and of what requests were made of.
    pub(super) len: u64,
    at: u64,
    buffer: Vec<u8>,
    /// The request on its way to the child, and how much of it that has taken.
    out: Vec<u8>,
    out_at: usize,
    under_way: Vec<u32>,
    window: usize,
    /// When a byte last moved.
    moved: Instant,
    /// There is nothing to be sent now, though the content goes on.
    held: bool,
    /// What the server took no more with, and the space that was still needed.
    refused: Option<(Status, u64)>,
    /// Why nothing more is sent.
    fault: Option<Fault>,
    /// Why nothing more can be heard.
    broken: Option<Fault>,
}

impl Writing {
    pub(super) fn new(handle: Vec<u8>, len: u64) -> Writing {
        Writing {
            handle,
            len,
            at: 0,
            buffer: Vec::new(),
            out: Vec::new(),
            out_at: 0,
            under_way: Vec::new(),
            window: WINDOW,
            moved: Instant::now(),
            held: false,
            refused: None,
            fault: None,
            broken: None,
        }
    }

    fn is_open(&self) -> bool {
        self.at < self.len && self.refused.is_none() && self.fault.is_none()
    }

    /// Moves what can be moved, waiting for the next move for `at_most`. True once everything is answered that was sent and
    /// nothing more is to be sent, for whatever reason.
    fn advance(
        &mut self,
        s: &mut Session,
        next: &mut NextBytes<'_>,
        at_most: Duration,
    ) -> Done<bool> {
        let wait = Wait::moving(s.setup().times.transfer);
        for _ in 0..ROUNDS_MAX {
            while let Some(reply) = s.ready()? {
                self.answered(s, &reply)?;
            }
            self.held = false;
            if self.out.is_empty() && self.is_open() && self.under_way.len() < self.window {
                self.fetch(s, next);
            }
            if self.out.is_empty() && self.under_way.is_empty() {
                return Ok(!self.is_open());
            }
            let (before, rest) = (self.moved, self.out.get(self.out_at..));
            self.out_at += s.turn(rest.unwrap_or_default(), (&mut self.moved, wait), at_most)?;
            if self.out_at >= self.out.len() {
                self.out.clear();
                self.out_at = 0;
            }
            if self.moved == before {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Makes a request of the bytes that follow.
    fn fetch(&mut self, s: &mut Session, next: &mut NextBytes<'_>) {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        self.buffer.resize(left.min(s.chunk), 0);
        let mut have = 0;
        while let Some(room) = self.buffer.get_mut(have..).filter(|room| !room.is_empty()) {
            match next(room) {
                Ok(0) => {
                    let found = self.at + have as u64;
                    self.fault = Some(folders::body_short(found, self.len));
                    return;
                }
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.held = true;
                    self.moved = Instant::now();
                    break;
                }
                Err(e) => {
                    self.fault = Some(Fault::local(e));
                    return;
                }
            }
        }
        let Some(data) = self.buffer.get(..have).filter(|data| !data.is_empty()) else {
            return;
        };
        let (handle, at) = (&self.handle, self.at);
        let (id, request) = s.request(WRITE, |p: Packet| p.text(handle).u64(at).text(data));
        self.under_way.push(id);
        self.out = request;
        self.at += have as u64;
    }

    fn answered(&mut self, s: &mut Session, reply: &Frame) -> Done<()> {
        match self.under_way.iter().position(|&id| id == reply.id) {
            Some(found) => drop(self.under_way.swap_remove(found)),
            None => return Err(s.garbled(Garbled)),
        }
        let status = s.expect_status(reply)?;
        if status.code != OK && self.refused.is_none() && self.fault.is_none() {
            let left = self.len - self.at + s.chunk as u64;
            self.refused = Some((status, left));
        }
        self.window = (self.window + 1).min(WINDOW_MAX);
        Ok(())
    }

    /// Waits until all is written that `body` has and the server takes.
    pub(super) fn finish(&mut self, s: &mut Session, body: &mut dyn Body) -> Done<()> {
        let mut next = |buffer: &mut [u8]| fill(body, buffer);
        let done = loop {
            if let Some(fault) = self.broken.take() {
                break Err(fault);
            }
            match self.advance(s, &mut next, Duration::MAX) {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(fault) => break Err(fault),
            }
        };
        self.buffer = Vec::new();
        match (self.refused.take(), self.fault.take()) {
            (Some((status, _)), _) if s.is_broken() => {
                Err(refusal::refusal(Verb::Put, &status, &s.shown()))
            }
            (Some((status, left)), _) => Err(s.full_or(&status, left)),
            (None, Some(fault)) => done.and(Err(fault)),
            (None, None) => done,
        }
    }

    /// Moves what can be moved without waiting. True once it has come to an end, whatever that is.
    pub(super) fn move_on(&mut self, s: &mut Session, next: &mut NextBytes<'_>) -> bool {
        let moved = self.advance(s, next, Duration::ZERO);
        moved.unwrap_or_else(|fault| {
            self.broken = Some(fault);
            true
        })
    }

    /// See [`Busy::watched`](crate::dest::sailing::Busy::watched).
    pub(super) fn watched(&self, s: &Session) -> Option<(RawFd, bool)> {
        let writes = !self.out.is_empty();
        let fd = s.fd(writes).filter(|_| !self.held);
        fd.map(|fd| (fd, writes))
    }

    /// Nothing more is sent. True when all bytes are with the child.
    pub(super) fn land(&mut self, ended: bool) -> bool {
        if !ended && self.refused.is_none() {
            self.fault.get_or_insert_with(folders::broken_off);
        }
        self.at == self.len && self.out.is_empty()
    }
}
