//! Uploads: a file has another name until it is whole.

use super::listing::{TEMPORARY, is_old};
use super::refusal;
use super::sending::Sending;
use super::session::Session;
use super::wire::time;
use crate::base::fault::{Class, Done, Fault};
use crate::base::sys;
use crate::dest::Body;
use crate::dest::folders::{self, BrokenOff, Verb, exists};

/// Whether there is something to remove, and why.
type Failed = (bool, Fault);

fn begun(fault: Fault) -> Failed {
    (true, fault)
}

/// An upload that was begun.
pub(super) struct Upload {
    /// The name that it has until it is whole, and its own.
    pub(super) first: String,
    name: String,
    is_new: bool,
    len: u64,
    pub(super) sending: Sending,
}

impl Session {
    /// Removes what uploads that were killed left behind.
    pub(super) fn sweep(&mut self, names: &[String]) -> Done<()> {
        for name in names {
            let path = self.path(name)?;
            let reply = self.call(&format!("MDTM {path}"))?;
            let modified = time(reply.message().trim()).filter(|_| reply.code == 213);
            if modified.is_some_and(is_old) {
                let _ = self.call(&format!("DELE {path}"))?;
            }
        }
        Ok(())
    }

    /// Removes what uploads of this run left when their conversation broke.
    pub(super) fn remove_broken_off(&mut self, names: &mut BrokenOff) -> Done<()> {
        names.sweep(&mut |name| {
            let path = self.path(name)?;
            Ok(self.call(&format!("DELE {path}"))?.is_good())
        })
    }

    /// Begins an upload, under a temporary name where it gets its own later.
    pub(super) fn begin_upload(
        &mut self,
        name: &str,
        body: &mut dyn Body,
        broken_off: &mut BrokenOff,
    ) -> Done<Upload> {
        if body.is_new() && self.is_there(name)? {
            return Err(exists());
        }
        let first = match self.setup.rename {
            true => folders::temporary(TEMPORARY)?,
            false => name.to_owned(),
        };
        if self.setup.rename {
            broken_off.begun(&first);
        }
        match self.open_upload(&first, body.len()) {
            Ok(sending) => Ok(Upload {
                first,
                name: name.to_owned(),
                is_new: body.is_new(),
                len: body.len(),
                sending,
            }),
            Err(failed) => Err(self.clear_away(&first, failed, broken_off)),
        }
    }

    /// Sends what is left of an upload, and gives the file its name.
    pub(super) fn complete_upload(
        &mut self,
        upload: Upload,
        body: &mut dyn Body,
        broken_off: &mut BrokenOff,
    ) -> Done<()> {
        let Upload {
            first,
            name,
            is_new,
            len,
            sending,
        } = upload;
        let sent = self.send(sending, body).map_err(begun);
        let stored = sent.and_then(|()| self.look_whether(&first, len));
        let stored = stored.and_then(|()| match self.setup.rename {
            true => self.rename(&first, &name, is_new),
            false => Ok(()),
        });
        match stored {
            Ok(()) => {
                broken_off.ended(&first);
                self.setup.stored.set(true);
                Ok(())
            }
            Err(failed) => Err(self.clear_away(&first, failed, broken_off)),
        }
    }

    /// Removes what a failed upload left, if something was begun. The first fault counts.
    fn clear_away(
        &mut self,
        first: &str,
        (begun, fault): Failed,
        broken_off: &mut BrokenOff,
    ) -> Fault {
        let mut gone = !begun;
        if begun
            && !self.is_broken()
            && let Ok(path) = self.path(first)
        {
            let removed = self.call(&format!("DELE {path}"));
            gone = removed.is_ok_and(|reply| reply.is_good());
        }
        if gone {
            broken_off.ended(first);
        }
        fault
    }

    fn open_upload(&mut self, name: &str, len: u64) -> Result<Sending, Failed> {
        let path = self.path(name).map_err(|fault| (false, fault))?;
        let started = self.begin_transfer(&format!("STOR {path}"), 0);
        match started.map_err(begun)? {
            Ok(stream) => {
                let sending = Sending::new(stream, len, self.setup.times);
                sending.map_err(|e| begun(self.blame(Verb::Put, &e)))
            }
            Err(reply) => {
                let fault = match (reply.code, self.enter()) {
                    (550 | 553 | 450, Err(fault)) => fault,
                    _ => self.refuse(Verb::Put, &reply),
                };
                Err((false, fault))
            }
        }
    }

    /// Whether a file that was sent has its length.
    fn look_whether(&mut self, name: &str, len: u64) -> Result<(), Failed> {
        if !self.setup.verify {
            return Ok(());
        }
        if !sys::sleep_until_end(self.setup.delay) {
            return Err(begun(Fault::local(sys::stopped())));
        }
        match self.stat(name) {
            Ok(Some(size)) if size != len => Err(begun(folders::stored(size, len))),
            Ok(_) => Ok(()),
            // It was taken a moment ago.
            Err(fault) if fault.class == Class::NotFound => {
                let text = "the server says that it took the file, and then that there is none";
                let fault = Fault::new(Class::Transient, text.to_owned());
                let hint = "if the account may not ask for sizes: --disable-upload-verify";
                Err(begun(fault.hint(hint)))
            }
            Err(fault) => Err(begun(fault)),
        }
    }

    /// Gives a whole file its name.
    fn rename(&mut self, from: &str, to: &str, is_new: bool) -> Result<(), Failed> {
        self.rename_once(from, to, is_new).map_err(begun)
    }

    fn rename_once(&mut self, from: &str, to: &str, is_new: bool) -> Done<()> {
        if is_new && self.is_there(to)? {
            return Err(exists());
        }
        let (path, target) = (self.path(from)?, self.path(to)?);
        let (first, second) = (format!("RNFR {path}"), format!("RNTO {target}"));
        let mut reply = self.call(&first)?;
        if reply.code == 350 {
            reply = self.call(&second)?;
            if reply.is_good() {
                return Ok(());
            }
            // Some replace nothing: for a moment there is no file of the name.
            let taken = matches!(reply.code, 550 | 553) && self.is_there(to)?;
            if !is_new && taken && self.is_there(from)? {
                let removed = self.call(&format!("DELE {target}"))?;
                if removed.is_good() && self.call(&first)?.code == 350 {
                    reply = self.call(&second)?;
                    if reply.is_good() {
                        return Ok(());
                    }
                }
            }
        }
        // Some servers do not rename.
        let fault = match self.setup.stored.get() {
            true => self.refuse(Verb::Put, &reply),
            false => refusal::refusal(Verb::Put, &reply, &self.shown(), false),
        };
        Err(match fault.class {
            Class::Auth | Class::Unsupported | Class::Protocol => Fault {
                text: format!("the upload could not be renamed: {}", fault.text),
                hint: "if the account may not rename: --ftp-no-rename (aftp: --aftp-no-rename)"
                    .to_owned(),
                ..fault
            },
            _ => fault,
        })
    }
}
