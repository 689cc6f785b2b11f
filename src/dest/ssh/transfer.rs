//! Spans of files, why a file cannot be had, what uploads that broke off left, and space.

use super::refusal;
use super::session::{Done, Session};
use super::wire::{CLOSE, EXTENDED, FAILURE, NO_FILE, OK, REMOVE, Status};
use crate::base::fault::{Class, Fault};
use crate::base::size::show_size;
use crate::dest::folders::{self, BrokenOff, Verb, path_or_root as folder_or_root};
use crate::dest::{GetFacts, Quota, Sink, Span};

/// Requests under way at first; one more with each reply, up to the most.
pub(super) const WINDOW: usize = 8;
pub(super) const WINDOW_MAX: usize = 64;

/// Start of the names that uploads have until they are whole; no volume is called so.
pub(super) const TEMPORARY: &str = ".duplet-tmp-";

impl Session {
    /// The bytes of a span, in order.
    pub(super) fn download(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let mut reading = self.open_reading(name, span)?;
        let done = self.pump(&mut reading, into);
        if !self.is_broken() {
            self.end_reading(&mut reading);
        }
        done.map(|()| reading.facts())
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
