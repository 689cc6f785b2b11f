//! An upload from its beginning to its end: a file of a temporary name, which gets its own when it is whole.

use super::refusal;
use super::session::{Done, Session};
use super::transfer::TEMPORARY;
use super::wire::{
    Attrs, CLOSE, EXTENDED, FAILURE, OK, OPEN, OPEN_CREATE, OPEN_EXCLUSIVE, OPEN_WRITE, REMOVE,
    RENAME, STAT, UNSUPPORTED,
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
        let first = folders::temporary(TEMPORARY)?;
        let temporary = self.path(&first);
        let wait = Wait::short(self.setup().times.short);
        broken_off.begun(&first);
        // Both at once: the way to the server and back takes as long as some 100 KB.
        let look = match is_new {
            true => Some(self.post(STAT, |p| p.text(&target), wait)?),
            false => None,
        };
        let flags = OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE;
        let open = self.post(OPEN, |p| p.text(&temporary).u32(flags).u32(0), wait)?;
        let there = match look {
            Some(look) => {
                let reply = self.reply(look, wait)?;
                self.attrs(&reply)?.is_ok()
            }
            None => false,
        };
        let reply = self.reply(open, wait)?;
        if let Some(status) = self.refused(&reply)? {
            broken_off.ended(&first);
            if there {
                return Err(exists());
            }
            let fault = self.full_or(&status, body.len());
            return Err(match status.code {
                FAILURE if fault.class != Class::Full => self.in_the_way_or(fault),
                _ => fault,
            });
        }
        let handle = reply.handle().map_err(|e| self.garbled(e))?;
        if there {
            self.close(&handle)?;
            if self.status(REMOVE, |p| p.text(&temporary))?.code == OK {
                broken_off.ended(&first);
            }
            return Err(exists());
        }
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
        let wait = Wait::short(self.setup().times.closing);
        if written.is_err() {
            let close = self.post(CLOSE, |p| p.text(handle), wait)?;
            self.reply(close, wait)?;
            return written;
        }
        // All at once, as with the beginning. The server writes to its medium, where it can.
        let sync = match self.offers.fsync {
            true => {
                let name = b"fsync@openssh.com";
                Some(self.post(EXTENDED, |p| p.text(name).text(handle), wait)?)
            }
            false => None,
        };
        let close = self.post(CLOSE, |p| p.text(handle), wait)?;
        let look = self.post(STAT, |p| p.text(&upload.temporary), wait)?;
        let mut refused = None;
        for (id, may_lack) in sync
            .map(|id| (id, true))
            .into_iter()
            .chain([(close, false)])
        {
            let reply = self.reply(id, wait)?;
            let status = self.expect_status(&reply)?;
            let fine = status.code == OK || may_lack && status.code == UNSUPPORTED;
            if !fine && refused.is_none() {
                refused = Some(status);
            }
        }
        let reply = self.reply(look, wait)?;
        let mut found = self.attrs(&reply)?;
        if let Some(status) = refused {
            return Err(self.full_or(&status, len));
        }
        let other = |facts: &Attrs| facts.size.is_some_and(|size| size != len);
        if found.as_ref().is_ok_and(other) {
            // A server may have looked before it had closed.
            found = self.look(&upload.temporary)?;
        }
        match found {
            Ok(facts) => match facts.size {
                Some(size) if size != len => Err(folders::stored(size, len)),
                _ => Ok(()),
            },
            Err(status) => Err(refusal::refusal(Verb::Put, &status, &self.shown())),
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
