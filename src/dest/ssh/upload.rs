//! An upload from its beginning to its end: a file of a temporary name, which gets its own when it is whole.

use super::refusal;
use super::session::{Done, Session};
use super::transfer::TEMPORARY;
use super::wire::{
    CLOSE, EXTENDED, FAILURE, OK, OPEN, OPEN_CREATE, OPEN_EXCLUSIVE, OPEN_WRITE, Packet, REMOVE,
    RENAME, Status, UNSUPPORTED,
};
use super::writing::Writing;
use crate::base::fault::Class;
use crate::dest::Body;
use crate::dest::folders::{self, BrokenOff, Verb, Wait, exists};

/// An upload that was begun.
pub(super) struct Upload {
    /// The name that it has until it is whole, and the path of that.
    pub(super) first: String,
    temporary: Vec<u8>,
    target: Vec<u8>,
    is_new: bool,
    pub(super) writing: Writing,
}

impl Session {
    /// Opens a file for an upload, under a temporary name.
    pub(super) fn begin(
        &mut self,
        name: &str,
        body: &mut dyn Body,
        broken_off: &mut BrokenOff,
    ) -> Done<Upload> {
        let (target, is_new) = (self.path(name), body.is_new());
        if is_new && self.look(&target)?.is_ok() {
            return Err(exists());
        }
        let first = folders::temporary(TEMPORARY)?;
        let temporary = self.path(&first);
        broken_off.begun(&first);
        let flags = OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE;
        let reply = self.call(OPEN, |p| p.text(&temporary).u32(flags).u32(0))?;
        if let Some(status) = self.refused(&reply)? {
            broken_off.ended(&first);
            let fault = self.full_or(&status, body.len());
            return Err(match status.code {
                FAILURE if fault.class != Class::Full => self.in_the_way_or(fault),
                _ => fault,
            });
        }
        let handle = reply.handle().map_err(|e| self.garbled(e))?;
        Ok(Upload {
            first,
            temporary,
            target,
            is_new,
            writing: Writing::new(handle, body.len()),
        })
    }

    /// Waits for what is still to be written, and gives the file its name.
    pub(super) fn complete(
        &mut self,
        mut upload: Upload,
        body: &mut dyn Body,
        broken_off: &mut BrokenOff,
    ) -> Done<()> {
        let stored = self.store(&mut upload, body);
        let Upload {
            first,
            temporary,
            target,
            is_new,
            ..
        } = upload;
        let stored = stored.and_then(|()| self.rename(&temporary, &target, is_new));
        // The first fault counts.
        let gone = match &stored {
            Ok(()) => true,
            Err(_) if self.is_broken() => false,
            Err(_) => self
                .status(REMOVE, |p| p.text(&temporary))
                .is_ok_and(|status| status.code == OK),
        };
        if gone {
            broken_off.ended(&first);
        }
        stored
    }

    /// Writes, closes and looks.
    fn store(&mut self, upload: &mut Upload, body: &mut dyn Body) -> Done<()> {
        let written = upload.writing.finish(self, body);
        if self.is_broken() {
            return written;
        }
        let (handle, len) = (&upload.writing.handle, upload.writing.len);
        // Where it failed for want of space, the space is looked at before anything is removed.
        let written = written.and_then(|()| self.sync(handle, len));
        let closed = self.status_within_closing(handle);
        written?;
        let status = closed?;
        if status.code != OK {
            return Err(self.full_or(&status, len));
        }
        let stored = match self.look(&upload.temporary)? {
            Ok(facts) => facts.size,
            Err(status) => return Err(refusal::refusal(Verb::Put, &status, &self.shown())),
        };
        match stored {
            Some(size) if size != len => Err(folders::stored(size, len)),
            _ => Ok(()),
        }
    }

    fn status_within_closing(&mut self, handle: &[u8]) -> Done<Status> {
        let wait = Wait::short(self.setup().times.closing);
        let reply = self.call_within(CLOSE, |p| p.text(handle), wait)?;
        self.expect_status(&reply)
    }

    /// Has the server write to its medium, where it can.
    fn sync(&mut self, handle: &[u8], len: u64) -> Done<()> {
        if !self.offers.fsync {
            return Ok(());
        }
        let wait = Wait::short(self.setup().times.closing);
        let fill = |p: Packet| p.text(b"fsync@openssh.com").text(handle);
        let reply = self.call_within(EXTENDED, fill, wait)?;
        let status = self.expect_status(&reply)?;
        match status.code {
            OK | UNSUPPORTED => Ok(()),
            _ => Err(self.full_or(&status, len)),
        }
    }

    /// Gives a whole file its name.
    fn rename(&mut self, from: &[u8], to: &[u8], is_new: bool) -> Done<()> {
        if self.offers.posix_rename && !is_new {
            let name = b"posix-rename@openssh.com";
            let status = self.status(EXTENDED, |p| p.text(name).text(from).text(to))?;
            match status.code {
                OK => return Ok(()),
                UNSUPPORTED => self.offers.posix_rename = false,
                _ => return Err(self.full_or(&status, 0)),
            }
        }
        let status = self.status(RENAME, |p| p.text(from).text(to))?;
        if status.code == OK {
            return Ok(());
        }
        let there = self.look(to)?.is_ok();
        if !there {
            return Err(self.full_or(&status, 0));
        }
        if is_new {
            return Err(exists());
        }
        // It replaces nothing: for a moment there is no file of the name.
        let removed = self.status(REMOVE, |p| p.text(to))?;
        if removed.code != OK {
            return Err(refusal::refusal(Verb::Put, &removed, &self.shown()));
        }
        let status = self.status(RENAME, |p| p.text(from).text(to))?;
        match status.code {
            OK => Ok(()),
            _ => Err(refusal::refusal(Verb::Put, &status, &self.shown())),
        }
    }
}
