//! Downloads with many requests under way, within one thread; what uploads that broke off left, and space.
//!
//! Memory: a download holds at most [`WINDOW_MAX`] pieces of 32 KiB that came before their turn (2 MiB; servers that keep the
//! order need none).

use std::collections::BTreeMap;

use super::refusal;
use super::session::{Done, Session};
use super::wire::{
    CLOSE, END, EXTENDED, FAILURE, Garbled, NO_FILE, OK, OPEN, OPEN_READ, READ, REMOVE, Status,
};
use crate::base::fault::{Class, Fault};
use crate::base::size::show_size;
use crate::dest::folders::{self, BrokenOff, Verb, Wait, path_or_root as folder_or_root, short};
use crate::dest::{GetFacts, Quota, Sink, Span};

/// Requests under way at first; one more with each reply, up to the most.
pub(super) const WINDOW: usize = 8;
pub(super) const WINDOW_MAX: usize = 64;

/// Start of the names that uploads have until they are whole; no volume is called so.
pub(super) const TEMPORARY: &str = ".duplet-tmp-";

/// A request for data under way.
struct Asked {
    id: u32,
    at: u64,
    len: usize,
}

/// A download under way.
struct Download<'a> {
    handle: Vec<u8>,
    into: &'a mut dyn Sink,
    asked: Vec<Asked>,
    /// What came before its turn, by its place.
    early: BTreeMap<u64, Vec<u8>>,
    /// Place of the next byte to pass on, of the next one to ask for, and of the first one not wanted.
    at: u64,
    next: u64,
    end: u64,
}

impl Session {
    /// The bytes of a span, in order.
    pub(super) fn download(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
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
        let mut download = Download {
            handle,
            into,
            asked: Vec::new(),
            early: BTreeMap::new(),
            at: span.from,
            next: span.from,
            end,
        };
        let done = self.pump(&mut download);
        let Download {
            handle, asked, at, ..
        } = download;
        if done.is_err() {
            self.settle(asked.len());
        }
        if !self.is_broken() {
            self.close(&handle)?;
        }
        done?;
        match size {
            Some(size) if at < end => Err(short(at, size)),
            _ => Ok(GetFacts {
                total: size,
                sha1: None,
            }),
        }
    }

    /// Asks and takes until all is there, or the file ends.
    fn pump(&mut self, d: &mut Download<'_>) -> Done<()> {
        let wait = Wait::moving(self.setup().times.transfer);
        let mut window = WINDOW;
        loop {
            while d.asked.len() + d.early.len() < window && d.next < d.end {
                let left = usize::try_from(d.end - d.next).unwrap_or(usize::MAX);
                let len = left.min(self.chunk);
                self.ask_for(d, d.next, len, wait)?;
                d.next += len as u64;
            }
            if d.asked.is_empty() {
                return Ok(());
            }
            let frame = self.any(wait)?;
            let Some(found) = d.asked.iter().position(|a| a.id == frame.id) else {
                return Err(self.garbled(Garbled));
            };
            let asked = d.asked.swap_remove(found);
            if let Some(status) = self.refused(&frame)? {
                if status.code != END {
                    return Err(refusal::refusal(Verb::Get, &status, &self.shown()));
                }
                // The file ends here or before.
                d.end = d.end.min(asked.at);
                continue;
            }
            let data = frame.data().map_err(|e| self.garbled(e))?;
            if data.is_empty() || data.len() > asked.len {
                return Err(self.garbled(Garbled));
            }
            if data.len() < asked.len {
                let from = asked.at + data.len() as u64;
                self.ask_for(d, from, asked.len - data.len(), wait)?;
            }
            if asked.at == d.at {
                d.take(data)?;
            } else {
                d.early.insert(asked.at, data.to_vec());
            }
            while let Some(data) = d.early.remove(&d.at) {
                d.take(&data)?;
            }
            window = (window + 1).min(WINDOW_MAX);
        }
    }

    fn ask_for(&mut self, d: &mut Download<'_>, at: u64, len: usize, wait: Wait) -> Done<()> {
        let count = u32::try_from(len).unwrap_or(u32::MAX);
        let handle = &d.handle;
        let id = self.post(READ, |p| p.text(handle).u64(at).u32(count), wait)?;
        d.asked.push(Asked { id, at, len });
        Ok(())
    }

    pub(super) fn close(&mut self, handle: &[u8]) -> Done<Status> {
        self.status(CLOSE, |p| p.text(handle))
    }

    /// The fault of a file that cannot be had: it or its folder may be missing.
    pub(super) fn absent_or(&mut self, verb: Verb, status: &Status) -> Fault {
        let fault = refusal::refusal(verb, status, &self.shown());
        if status.code == FAILURE {
            return self.in_the_way_or(fault);
        }
        if status.code != NO_FILE {
            return fault;
        }
        let folder = self.folder.clone();
        match self.look(folder_or_root(&folder).as_bytes()) {
            Ok(Err(status)) if status.code == NO_FILE => {
                let fault = refusal::refusal(Verb::List, &status, &self.shown());
                self.in_the_way_or(fault)
            }
            Ok(Ok(facts)) if facts.mode.is_some() && facts.is_file() => {
                folders::is_a_file(&self.shown())
            }
            Err(fault) => fault,
            Ok(_) => fault,
        }
    }

    /// The fault of [`Session::file_in_the_way`], or else this one.
    pub(super) fn in_the_way_or(&mut self, fault: Fault) -> Fault {
        match self.file_in_the_way() {
            Ok(None) => fault,
            Ok(Some(fault)) | Err(fault) => fault,
        }
    }

    /// The fault where the folder, or one above it, is a file: servers say of both that there is none.
    pub(super) fn file_in_the_way(&mut self) -> Done<Option<Fault>> {
        let mut path = self.folder.clone();
        while path.len() > self.start.len() {
            match self.look(path.as_bytes())? {
                Ok(facts) if facts.mode.is_some() && facts.is_file() => {
                    return Ok(Some(folders::is_a_file(&folders::shown(&path))));
                }
                Ok(_) => return Ok(None),
                Err(_) => path.truncate(path.rfind('/').unwrap_or(0)),
            }
        }
        Ok(None)
    }

    /// Removes what uploads of this run left when their conversation broke.
    pub(super) fn remove_broken_off(&mut self, names: &mut BrokenOff) -> Done<()> {
        names.sweep(&mut |name| {
            let path = self.path(name);
            Ok(self.status(REMOVE, |p| p.text(&path))?.code == OK)
        })
    }

    /// What a refusal of an upload means: servers have one code for all failures, and a full disk is one of them.
    pub(super) fn full_or(&mut self, status: &Status, need: u64) -> Fault {
        let fault = refusal::refusal(Verb::Put, status, &self.shown());
        if status.code != FAILURE || fault.class == Class::Full {
            return fault;
        }
        match self.space() {
            Ok(Quota {
                free: Some(free), ..
            }) if free < need.max(1) => Fault::new(
                Class::Full,
                format!("no space left on the server: {} are free", show_size(free)),
            ),
            _ => fault,
        }
    }

    /// Space on the server's disk, as far as it tells.
    pub(super) fn space(&mut self) -> Done<Quota> {
        if !self.offers.statvfs {
            return Ok(Quota::default());
        }
        let folder = folder_or_root(&self.folder).as_bytes().to_vec();
        let reply = self.call(EXTENDED, |p| p.text(b"statvfs@openssh.com").text(&folder))?;
        if self.refused(&reply)?.is_some() {
            return Ok(Quota::default());
        }
        let [_, unit, blocks, _, free, ..] = reply.numbers::<11>().map_err(|e| self.garbled(e))?;
        // A server that knows no figures says zero to all of them.
        let known = blocks > 0 && unit > 0;
        Ok(Quota {
            total: known.then(|| blocks.saturating_mul(unit)),
            free: known.then(|| free.saturating_mul(unit)),
        })
    }
}

impl Download<'_> {
    fn take(&mut self, data: &[u8]) -> Done<()> {
        self.into.write_all(data).map_err(Fault::local)?;
        self.at += data.len() as u64;
        Ok(())
    }
}
