//! A file or a span of it on its way: many requests under way, within one thread, waited for or taken as far as they are
//! answered.
//!
//! Memory: at most [`WINDOW_MAX`] pieces of 32 KiB that came before their turn, or before the download was broken off (2 MiB;
//! while it goes on, servers that keep the order need none).

use std::collections::BTreeMap;
use std::io::Write;

use super::refusal;
use super::session::{Done, Session};
use super::transfer::{WINDOW, WINDOW_MAX};
use super::wire::{END, Frame, Garbled, OPEN, OPEN_READ, READ};
use crate::base::fault::{Class, Fault};
use crate::dest::coming::{Fetching, broken_off};
use crate::dest::folders::{Verb, Wait, short};
use crate::dest::{GetFacts, Span};

/// A request for data under way.
struct Asked {
    id: u32,
    at: u64,
    len: usize,
}

/// An open file that is read.
pub(super) struct Reading {
    handle: Vec<u8>,
    /// Length of the file, if the server tells it.
    size: Option<u64>,
    asked: Vec<Asked>,
    window: usize,
    /// What came and is not taken yet, by its place.
    early: BTreeMap<u64, Vec<u8>>,
    /// Place of the next byte to pass on, of the next one to ask for, and of the first one not to ask for.
    at: u64,
    next: u64,
    end: u64,
    /// Place of the first byte that is not wanted.
    wanted: u64,
}

impl Reading {
    pub(super) fn facts(&self) -> GetFacts {
        GetFacts {
            total: self.size,
            sha1: None,
        }
    }

    /// Fills a buffer with what is there and comes next: how far.
    fn give(&mut self, buf: &mut [u8]) -> usize {
        let Some(mut data) = self.early.remove(&self.at) else {
            return 0;
        };
        let n = data.len().min(buf.len());
        buf[..n].copy_from_slice(&data[..n]);
        self.at += n as u64;
        if n < data.len() {
            self.early.insert(self.at, data.split_off(n));
        }
        n
    }

    fn pass(&mut self, data: &[u8], into: &mut dyn Write) -> Done<()> {
        into.write_all(data).map_err(Fault::local)?;
        self.at += data.len() as u64;
        Ok(())
    }

    /// Passes on what is there and comes next.
    fn pass_on(&mut self, into: &mut dyn Write) -> Done<()> {
        while let Some(data) = self.early.remove(&self.at) {
            self.pass(&data, into)?;
        }
        Ok(())
    }

    /// Nothing more comes: whether that was all.
    fn whole(&self) -> Done<()> {
        match self.size {
            Some(size) if self.at < self.wanted => Err(short(self.at, size)),
            _ => Ok(()),
        }
    }

    /// As [`Reading::whole`] where the conversation has gone on with something else.
    fn left(&self) -> Done<()> {
        match self.size {
            Some(_) if self.at >= self.wanted => Ok(()),
            _ => Err(broken_off()),
        }
    }
}

impl Session {
    /// Opens a file to read a span of it.
    pub(super) fn open_reading(&mut self, name: &str, span: Span) -> Done<Reading> {
        let path = self.path(name);
        let reply = self.call(OPEN, |p| p.text(&path).u32(OPEN_READ).u32(0))?;
        if let Some(status) = self.refused(&reply)? {
            return Err(self.absent_or(Verb::Get, &status));
        }
        let handle = reply.handle().map_err(|e| self.garbled(e))?;
        let size = match self.look_at_open(&handle)? {
            Ok(facts) if facts.is_folder() => {
                self.close(&handle)?;
                return Err(Fault::new(Class::NotFound, "it is a folder, not a file"));
            }
            Ok(facts) => facts.size,
            Err(_) => None,
        };
        if let Some(size) = size
            && size < span.from
            && span.is_open()
        {
            self.close(&handle)?;
            return Err(short(size, span.from));
        }
        let end = span.end().min(size.unwrap_or(u64::MAX)).max(span.from);
        let mut reading = Reading {
            handle,
            size,
            asked: Vec::new(),
            window: WINDOW,
            early: BTreeMap::new(),
            at: span.from,
            next: span.from,
            end,
            wanted: end,
        };
        self.ask_on(&mut reading)?;
        Ok(reading)
    }

    /// Asks and takes until all is there, or the file ends.
    pub(super) fn pump(&mut self, r: &mut Reading, into: &mut dyn Write) -> Done<()> {
        let wait = Wait::moving(self.setup().times.transfer);
        loop {
            r.pass_on(into)?;
            self.ask_on(r)?;
            if r.asked.is_empty() {
                return r.whole();
            }
            let frame = self.any(wait)?;
            if let Some(data) = self.took(r, &frame)? {
                r.pass(data, into)?;
            }
        }
    }

    /// As [`Session::pump`], as far as goes without waiting: see [`Fetching::read`].
    fn take_on(&mut self, r: &mut Reading, buf: &mut [u8]) -> Done<Option<usize>> {
        loop {
            self.ask_on(r)?;
            if r.asked.is_empty() {
                return r.whole().map(|()| Some(0));
            }
            match self.ready()? {
                Some(frame) => {
                    if let Some(data) = self.took(r, &frame)? {
                        r.early.insert(r.at, data.to_vec());
                        return Ok(Some(r.give(buf)));
                    }
                }
                None if self.has_come()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Asks for as much as may be under way. The child takes that at once: all requests under way are less than a pipe holds.
    fn ask_on(&mut self, r: &mut Reading) -> Done<()> {
        while r.asked.len() + r.early.len() < r.window && r.next < r.end {
            let left = usize::try_from(r.end - r.next).unwrap_or(usize::MAX);
            let len = left.min(self.chunk);
            self.ask_for(r, r.next, len)?;
            r.next += len as u64;
        }
        Ok(())
    }

    fn ask_for(&mut self, r: &mut Reading, at: u64, len: usize) -> Done<()> {
        let wait = Wait::moving(self.setup().times.transfer);
        let count = u32::try_from(len).unwrap_or(u32::MAX);
        let handle = &r.handle;
        let id = self.post(READ, |p| p.text(handle).u64(at).u32(count), wait)?;
        r.asked.push(Asked { id, at, len });
        Ok(())
    }

    /// Takes a reply: its data where it is what comes next; what comes later is kept.
    fn took<'f>(&mut self, r: &mut Reading, frame: &'f Frame) -> Done<Option<&'f [u8]>> {
        let Some(found) = r.asked.iter().position(|a| a.id == frame.id) else {
            return Err(self.garbled(Garbled));
        };
        let asked = r.asked.swap_remove(found);
        if let Some(status) = self.refused(frame)? {
            if status.code != END {
                return Err(refusal::refusal(Verb::Get, &status, &self.shown()));
            }
            // The file ends here or before.
            r.end = r.end.min(asked.at);
            return Ok(None);
        }
        let data = frame.data().map_err(|e| self.garbled(e))?;
        if data.is_empty() || data.len() > asked.len {
            return Err(self.garbled(Garbled));
        }
        if data.len() < asked.len {
            let from = asked.at + data.len() as u64;
            self.ask_for(r, from, asked.len - data.len())?;
        }
        r.window = (r.window + 1).min(WINDOW_MAX);
        if asked.at == r.at {
            return Ok(Some(data));
        }
        r.early.insert(asked.at, data.to_vec());
        Ok(None)
    }

    /// Takes the replies that are under way, each by its number, and closes the file.
    pub(super) fn end_reading(&mut self, r: &mut Reading) {
        let wait = Wait::short(self.setup().times.short);
        while !r.asked.is_empty() && !self.is_broken() {
            let Ok(frame) = self.any(wait) else {
                return;
            };
            let Some(found) = r.asked.iter().position(|a| a.id == frame.id) else {
                drop(self.garbled(Garbled));
                return;
            };
            let asked = r.asked.swap_remove(found);
            if let Ok(data) = frame.data()
                && (1..=asked.len).contains(&data.len())
            {
                r.early.insert(asked.at, data.to_vec());
            }
        }
        if !self.is_broken() {
            // One that fails is seen by what is asked next.
            let _ = self.close(&r.handle);
        }
    }
}

/// A download, and the conversation that it goes on in until that is wanted for something else.
pub(super) struct Fetch {
    pub(super) session: Option<Session>,
    pub(super) reading: Reading,
}

impl Fetching for Fetch {
    type Session = Session;

    fn read(&mut self, buf: &mut [u8]) -> Done<Option<usize>> {
        match (self.reading.give(buf), &mut self.session) {
            (0, Some(session)) => session.take_on(&mut self.reading, buf),
            (0, None) => self.reading.left().map(|()| Some(0)),
            (n, _) => Ok(Some(n)),
        }
    }

    fn copy(&mut self, into: &mut dyn Write) -> Done<()> {
        match &mut self.session {
            Some(session) => session.pump(&mut self.reading, into),
            None => {
                self.reading.pass_on(into)?;
                self.reading.left()
            }
        }
    }

    fn leave(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        session.end_reading(&mut self.reading);
        (!session.is_broken()).then_some(session)
    }
}
