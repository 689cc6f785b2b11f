//! Looks at files, downloads and deletes them. Memory: one piece of 64 KiB.

use std::io::{self, Read as _, Write};
use std::time::Duration;

use super::line::{Stream, is_end};
use super::session::Session;
use super::wire::Reply;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::folders::{self, Verb, Wait, short};
use crate::dest::{GetFacts, Listed, Sink, Span};

pub(super) const PIECE: usize = 64 << 10;
/// What is read for nothing behind a span, so that the conversation goes on without a quarrel, and the end of the file shows
/// whether it began where it was to.
const DRAINED: u64 = 64 << 10;
impl Session {
    /// The size of a file, where it has one; else the refusal.
    pub(super) fn size(&mut self, name: &str) -> Done<Result<u64, Reply>> {
        let path = self.path(name)?;
        let reply = self.call(&format!("SIZE {path}"))?;
        let size = reply.message().trim().parse().ok();
        Ok(size.filter(|_| reply.code == 213).ok_or(reply))
    }

    /// As [`Session::size`] also where the server does not tell single ones; `None` for a file that is there and has none.
    pub(super) fn stat(&mut self, name: &str) -> Done<Option<u64>> {
        let reply = match self.size(name)? {
            Ok(size) => return Ok(Some(size)),
            Err(reply) => reply,
        };
        match reply.code {
            500..=504 | 202 => {
                let mut found = None;
                self.list(true, &mut |item| {
                    if let Listed::Entry(file) = item
                        && file.name == name
                        && !file.is_folder
                    {
                        found = Some(file.size);
                    }
                    Ok(())
                })?;
                found.ok_or_else(|| folders::no_file(&self.shown()))
            }
            550 => Err(self.absent()),
            // Whatever else goes wrong says nothing of whether it is there.
            _ => Err(self.refuse(Verb::Look, &reply)),
        }
    }

    /// The fault of a file that is not there: its folder may be missing.
    fn absent(&mut self) -> Fault {
        match self.enter() {
            Err(fault) => fault,
            Ok(()) => folders::no_file(&self.shown()),
        }
    }

    pub(super) fn is_there(&mut self, name: &str) -> Done<bool> {
        match self.stat(name) {
            Ok(_) => Ok(true),
            Err(fault) if matches!(fault.class, Class::NotFound | Class::FolderMissing) => {
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn delete(&mut self, name: &str) -> Done<()> {
        let path = self.path(name)?;
        let reply = self.call(&format!("DELE {path}"))?;
        if reply.is_good() {
            return Ok(());
        }
        match reply.code {
            450 | 550 if !self.is_there(name)? => Ok(()),
            _ => Err(self.refuse(Verb::Delete, &reply)),
        }
    }

    /// The bytes of a span, in order.
    pub(super) fn download(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let (facts, begun) = self.begin_download(name, span, into)?;
        if let Some((stream, from)) = begun {
            self.receive(stream, (from, span.end(), facts.total), into)?;
        }
        Ok(facts)
    }

    /// Asks for a span: the data connection with the place of its first byte; none where the file ends before.
    pub(super) fn begin_download(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
    ) -> Done<(GetFacts, Option<(Stream, u64)>)> {
        let size = match self.size(name)? {
            Ok(size) => Some(size),
            Err(reply) => match reply.code {
                500..=504 | 202 => None,
                550 => return Err(self.absent()),
                _ => return Err(self.refuse(Verb::Get, &reply)),
            },
        };
        let facts = GetFacts {
            total: size,
            sha1: None,
        };
        let mut from = span.from;
        match size {
            Some(size) if size < from && span.is_open() => return Err(short(size, from)),
            Some(size) if size <= from && from > 0 => return Ok((facts, None)),
            _ => {}
        }
        if from > 0 && !self.can_begin_at(name, size)? {
            into.restart().map_err(Fault::local)?;
            from = 0;
        }
        let path = self.path(name)?;
        match self.begin_transfer(&format!("RETR {path}"), from)? {
            Ok(stream) => Ok((facts, Some((stream, from)))),
            Err(reply) => Err(match reply.code {
                450 | 550 if !self.is_there(name)? => self.absent(),
                _ => self.refuse(Verb::Get, &reply),
            }),
        }
    }

    /// Whether the server begins where it is told to. One that says so and begins at the start would have bytes put in the wrong
    /// place: so it is asked for the last byte of the file, and must send no more.
    fn can_begin_at(&mut self, name: &str, size: Option<u64>) -> Done<bool> {
        if let Some(known) = self.offers.rest {
            return Ok(known);
        }
        let Some(size) = size.filter(|&size| size > 1) else {
            return Ok(false);
        };
        let path = self.path(name)?;
        let able = match self.begin_transfer(&format!("RETR {path}"), size - 1)? {
            Err(_) => false,
            Ok(stream) => {
                let mut last = Count(0);
                let received = self.receive(stream, (size - 1, size, Some(size)), &mut last);
                match received {
                    Ok(()) => last.0 == 1,
                    Err(fault) if fault.class == Class::Integrity => false,
                    Err(fault) => return Err(fault),
                }
            }
        };
        self.offers.rest = Some(able);
        Ok(able)
    }

    /// Reads from `at` to `end`, at most; the file is `size` bytes long.
    pub(super) fn receive(
        &mut self,
        mut stream: Stream,
        (mut at, end, size): (u64, u64, Option<u64>),
        into: &mut dyn Write,
    ) -> Done<()> {
        let wait = Wait::moving(self.setup.times.transfer);
        stream.wait(wait);
        let mut buffer = vec![0; PIECE];
        let last = end.saturating_add(DRAINED);
        let ended = loop {
            let n = match stream.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(n) => n as u64,
                Err(e) => break Err(e),
            };
            let wanted = end.saturating_sub(at).min(n);
            let wanted = &buffer[..usize::try_from(wanted).unwrap_or(0)];
            if !wanted.is_empty()
                && let Err(e) = into.write_all(wanted)
            {
                self.give_up();
                return Err(Fault::local(e));
            }
            at += n;
            if at >= end && (at > last || size.is_none_or(|size| size > last)) {
                return self.hang_up(stream);
            }
            if size.is_some_and(|size| at > size) {
                self.hang_up(stream)?;
                return Err(too_much());
            }
        };
        let ended = match ended {
            Ok(()) => {
                stream.end_download();
                Ok(())
            }
            Err(e) => {
                drop(stream);
                // Some servers end TLS without saying so: what is whole is whole.
                match is_end(&e) && size == Some(at) {
                    true => Ok(()),
                    false => Err(e),
                }
            }
        };
        self.received(ended, at, size)
    }

    /// The end of a download of which the data connection is closed.
    pub(super) fn received(
        &mut self,
        ended: io::Result<()>,
        at: u64,
        size: Option<u64>,
    ) -> Done<()> {
        if let Err(e) = ended {
            return Err(self.blame(Verb::Get, &e));
        }
        self.end_transfer(Verb::Get, Wait::short(self.setup.times.short))?;
        match size.filter(|&size| at < size) {
            Some(size) => Err(short(at, size)),
            None => Ok(()),
        }
    }

    /// Ends a download in its middle: the server answers that it was broken off, or not at all.
    pub(super) fn hang_up(&mut self, stream: Stream) -> Done<()> {
        drop(stream);
        let wait = Wait::short(self.setup.times.short.min(Duration::from_secs(5)));
        if self.reply(wait).is_err() {
            self.give_up();
        }
        Ok(())
    }
}

/// The fault of a download that does not end where the file does.
pub(super) fn too_much() -> Fault {
    let text = "the server sends more of it than it has: it does not begin where it was told to";
    Fault::new(Class::Integrity, text)
}

/// Counts.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 += data.len();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
