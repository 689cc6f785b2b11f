//! Changing a destination: upload with proof of arrival (`destinations-core.md` 0.9), delete, make the folder.
//!
//! After an upload that failed without a clear answer the destination is asked what it has, so that a file is neither sent
//! twice nor left half.

use std::time::Duration;

use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::{Body, Fact, Listed};
use crate::remote::Remote;
use crate::remote::check::{SpoolBody, writable_name};
use crate::remote::retry::Attempts;

/// Waits for a file that was accepted but cannot be seen yet.
const LAG_WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Proof that somebody asked whether the destination may be changed.
pub(crate) struct Permit(());

impl Permit {
    /// The one place a permit comes from; the caller has decided that this run may write (no dry run).
    pub(crate) fn to_write() -> Permit {
        Permit(())
    }
}

/// A destination that can be changed, for as long as the writer borrows it.
pub(crate) struct RemoteMut<'a> {
    remote: &'a mut Remote,
}

/// What a look at the destination said about a doubtful upload.
enum Settled {
    Arrived,
    Absent,
    Unknown,
}

impl<'a> RemoteMut<'a> {
    pub(crate) fn new(remote: &'a mut Remote, _permit: &Permit) -> RemoteMut<'a> {
        RemoteMut { remote }
    }

    /// Uploads the whole spool under `name`, replacing a file of that name. `sha256` is the digest of the spool. When it
    /// returns, the destination has said that it holds a file of this length.
    pub(crate) fn put(
        &mut self,
        ui: &mut Ui,
        name: &str,
        body: &mut Spool,
        sha256: &Hash,
    ) -> Result<()> {
        writable_name(name)?;
        let shown = text::safe(name.as_bytes());
        let doing = format!("upload {shown} to {}", self.remote.shown);
        let mut attempts = Attempts::new(self.remote.policy);
        let stops = sys::stops_requested();
        let mut made_folder = false;
        let mut doubtful = false;
        loop {
            if doubtful && let Settled::Arrived = self.settle(name, body.len()?, true, &doing)? {
                break;
            }
            doubtful = false;
            let (result, whole) = self.send(name, body, sha256, &doing)?;
            self.remote.tell(ui);
            let result = match result {
                Ok(()) => self.verify(ui, name, body.len()?, &doing)?,
                Err(fault) => Err(fault),
            };
            let fault = match result {
                Ok(()) => break,
                Err(fault) => fault,
            };
            if fault.class == Class::FolderMissing
                && self.remote.autocreate
                && !made_folder
                && !self.remote.used
            {
                self.create_folder(ui)?;
                made_folder = true;
                continue;
            }
            let unclear = matches!(fault.class, Class::Transient);
            let partial = !self.remote.dest.atomic_put();
            if unclear && (whole || partial || attempts.count() >= 1) {
                match self.settle(name, body.len()?, whole, &doing)? {
                    Settled::Arrived => break,
                    Settled::Absent => {}
                    Settled::Unknown => doubtful = whole,
                }
            }
            self.remote.again(&mut attempts, fault, &doing, stops, ui)?;
        }
        self.remote.used = true;
        self.remote.stats.files_up += 1;
        if self.remote.list_verify {
            self.look_in_listing(ui, name, body.len()?, &doing)?;
        }
        Ok(())
    }

    /// One attempt; also whether the whole body was handed to the connection.
    fn send(
        &mut self,
        name: &str,
        spool: &mut Spool,
        sha256: &Hash,
        doing: &str,
    ) -> Result<(std::result::Result<(), Fault>, bool)> {
        let remote = &mut *self.remote;
        let wants = remote.dest.wants();
        let mut body = SpoolBody::new(spool, &mut remote.up, sha256.as_bytes(), wants)?;
        remote.stats.calls += 1;
        remote.stats.puts += 1;
        let result = match body.seek_to(0) {
            Ok(()) => remote.dest.put(name, &mut body),
            Err(e) => Err(Fault::local(e)),
        };
        remote.stats.bytes_up += body.sent;
        match body.own_error {
            Some(e) => Err(e.doing(doing)),
            None => Ok((result, body.whole)),
        }
    }

    /// After a success: the destination must show a file of this length.
    fn verify(
        &mut self,
        ui: &mut Ui,
        name: &str,
        len: u64,
        doing: &str,
    ) -> Result<std::result::Result<(), Fault>> {
        if !self.remote.verify || self.remote.dest.put_is_proof() {
            return Ok(Ok(()));
        }
        let stops = sys::stops_requested();
        let mut waits = LAG_WAITS.iter();
        loop {
            match self.remote.stat(ui, name)? {
                Some(file) => match file.size {
                    Some(size) if size != len => {
                        self.remove_quietly(name);
                        return Ok(Err(Fault::new(
                            Class::Integrity,
                            format!("the destination holds {size} bytes of it instead of {len}"),
                        )));
                    }
                    Some(_) => return Ok(Ok(())),
                    None => {
                        if !std::mem::replace(&mut self.remote.size_unknown_told, true) {
                            ui.verbose(
                                "the destination does not tell sizes; uploads cannot be verified",
                            );
                        }
                        return Ok(Ok(()));
                    }
                },
                None => match waits.next() {
                    Some(&wait) => self.remote.pause(wait, stops, doing)?,
                    None => {
                        return Ok(Err(Fault::new(
                            Class::Integrity,
                            "the destination accepted it but does not show it",
                        )));
                    }
                },
            }
        }
    }

    /// After a failure without a clear answer: is the file there after all? Removes a part where parts can stay. A refusal of
    /// the credentials, hidden until now by resets, is the final error.
    fn settle(&mut self, name: &str, len: u64, whole: bool, doing: &str) -> Result<Settled> {
        self.remote.stats.calls += 1;
        match self.remote.dest.stat(name) {
            Ok(file) if whole && file.size == Some(len) => Ok(Settled::Arrived),
            Ok(_) => {
                if !self.remote.dest.atomic_put() {
                    self.remove_quietly(name);
                }
                Ok(Settled::Absent)
            }
            Err(f) if matches!(f.class, Class::NotFound | Class::FolderMissing) => {
                Ok(Settled::Absent)
            }
            Err(f) if matches!(f.class, Class::Auth | Class::Tls | Class::Stopped) => {
                Err(self.remote.error(f, doing))
            }
            Err(_) => Ok(Settled::Unknown),
        }
    }

    /// Best effort: what stays is found as an unknown file by the next run.
    fn remove_quietly(&mut self, name: &str) {
        self.remote.stats.calls += 1;
        self.remote.stats.deletes += 1;
        let _ = self.remote.dest.delete(name);
    }

    fn look_in_listing(&mut self, ui: &mut Ui, name: &str, len: u64, doing: &str) -> Result<()> {
        let mut found = false;
        self.remote.list(ui, &mut |item| {
            match item {
                Listed::Restart => found = false,
                Listed::Entry(file) => {
                    found |= file.name == name && file.size.is_none_or(|size| size == len);
                }
            }
            Ok(())
        })?;
        if found {
            return Ok(());
        }
        let fault = Fault::new(
            Class::Integrity,
            "the listing does not show it with its length",
        );
        Err(self.remote.error(fault, doing))
    }

    /// Removes a file; a missing one is success.
    pub(crate) fn delete(&mut self, ui: &mut Ui, name: &str) -> Result<()> {
        let shown = text::safe(name.as_bytes());
        let doing = format!("delete {shown} in {}", self.remote.shown);
        let mut deletes = 0;
        let done = self.remote.retried(&doing, ui, |dest| {
            deletes += 1;
            match dest.delete(name) {
                Err(f) if f.class == Class::NotFound => Ok(()),
                other => other,
            }
        });
        self.remote.stats.deletes += deletes;
        done
    }

    /// Makes the folder with its parents; an existing one is success.
    pub(crate) fn create_folder(&mut self, ui: &mut Ui) -> Result<()> {
        let doing = format!("create {}", self.remote.shown);
        self.remote
            .retried(&doing, ui, |dest| dest.create_folder())?;
        ui.note(&format!("created {}", self.remote.shown));
        Ok(())
    }

    /// End of a run that changed something: what the person should know of the result.
    pub(crate) fn finish(&mut self, ui: &mut Ui) -> Result<Vec<Fact>> {
        let doing = format!("finish with {}", self.remote.shown);
        let mut facts = self.remote.retried(&doing, ui, |dest| dest.finish())?;
        for fact in &mut facts {
            fact.value = self.remote.redact.clean(std::mem::take(&mut fact.value));
        }
        Ok(facts)
    }
}
