//! Changing a destination: upload with proof of arrival (`destinations-core.md` 0.9), delete, make the folder.
//!
//! After an upload that failed without a clear answer the destination is asked what it has, so that a file is neither sent
//! twice nor left half.

use std::time::{Duration, Instant};

use crate::base::digest::Digests;
use crate::base::error::{Error, Kind, Result};
use crate::base::fault::{Class, Fault};
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::{Body, FLIES, Fact, Listed, Span};
use crate::remote::Remote;
use crate::remote::check::{Compare, SpoolBody, writable_name};
use crate::remote::flight::Sending;
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
    pub(super) remote: &'a mut Remote,
}

/// What a look at the destination said about a doubtful upload.
enum Settled {
    Arrived,
    Absent,
    Unknown,
    /// Somebody else's file has the name.
    Taken,
}

/// What a file at the destination is, compared with the one being sent.
enum Compared {
    Whole,
    /// The first part of it.
    Part,
    Other,
}

impl<'a> RemoteMut<'a> {
    pub(crate) fn new(remote: &'a mut Remote, _permit: &Permit) -> RemoteMut<'a> {
        RemoteMut { remote }
    }

    /// Uploads the whole spool under `name`, replacing a file of that name. `digests` are those of what was written to the
    /// spool; what the destination wants beside them is read from it. When it returns, the destination has said that it holds a file of this length.
    pub(crate) fn put(
        &mut self,
        ui: &mut Ui,
        name: &str,
        body: &mut Spool,
        digests: &Digests,
    ) -> Result<()> {
        self.replace(ui, name, body, digests, None)
    }

    /// As [`RemoteMut::put`], whose first attempt may be on its way.
    pub(super) fn replace(
        &mut self,
        ui: &mut Ui,
        name: &str,
        body: &mut Spool,
        digests: &Digests,
        first: Option<Sending>,
    ) -> Result<()> {
        match self.place(ui, name, (body, digests), false, first)? {
            true => Ok(()),
            false => Err(Error::bug(
                "an upload that may replace found the name taken",
            )),
        }
    }

    /// As [`RemoteMut::put`] for a name that nobody has yet; false when a file of that name is there, which stays as it is.
    /// Where the destination cannot refuse by itself, it is looked at just before.
    pub(crate) fn put_new(
        &mut self,
        ui: &mut Ui,
        name: &str,
        body: &mut Spool,
        digests: &Digests,
    ) -> Result<bool> {
        self.place(ui, name, (body, digests), true, None)
    }

    fn place(
        &mut self,
        ui: &mut Ui,
        name: &str,
        (body, digests): (&mut Spool, &Digests),
        is_new: bool,
        mut first: Option<Sending>,
    ) -> Result<bool> {
        writable_name(name)?;
        let shown = text::safe(name.as_bytes());
        let doing = format!("upload {shown} to {}", self.remote.shown);
        let mut digests = *digests;
        let mut attempts = Attempts::new(self.remote.policy);
        let stops = first
            .as_ref()
            .map_or_else(sys::stops_requested, Sending::stops);
        let mut made_folder = false;
        let mut doubtful = false;
        loop {
            if doubtful {
                match self.settle(name, body, true, is_new, &doing)? {
                    Settled::Arrived => break,
                    Settled::Taken => return Ok(false),
                    Settled::Absent | Settled::Unknown => {}
                }
            }
            doubtful = false;
            if is_new
                && !self.remote.dest.about().refuses_to_replace
                && self.remote.stat(ui, name)?.is_some()
            {
                match self.settle(name, body, true, true, &doing)? {
                    Settled::Arrived => break,
                    Settled::Taken => return Ok(false),
                    Settled::Absent | Settled::Unknown => {}
                }
            }
            let begun = first.as_ref().map_or_else(Instant::now, Sending::begun);
            let (result, whole) = match first.take().filter(|_| FLIES) {
                Some(sending) => self.arrive(name, body, sending, &doing)?,
                None => self.send(name, body, &mut digests, is_new, &doing)?,
            };
            self.remote.asked(&doing, begun, result.as_ref().err(), ui);
            let mut result = match result {
                Ok(()) => self.verify(ui, name, body, is_new, &doing)?,
                Err(fault) => Err(fault),
            };
            if let Err(fault) = &mut result
                && fault.class == Class::Exists
            {
                // Perhaps it is ours: an attempt whose answer was lost.
                match self.settle(name, body, true, is_new, &doing)? {
                    Settled::Arrived => break,
                    Settled::Taken => return Ok(false),
                    Settled::Absent | Settled::Unknown => fault.class = Class::Transient,
                }
            }
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
            let partial = !self.remote.dest.about().atomic_put;
            let mut answers = true;
            if unclear && (whole || partial || attempts.count() >= 1) {
                match self.settle(name, body, whole, is_new, &doing)? {
                    Settled::Arrived => break,
                    Settled::Taken => return Ok(false),
                    Settled::Absent => {}
                    Settled::Unknown => {
                        doubtful = whole;
                        answers = false;
                    }
                }
            }
            let fault = match answers {
                true => self.full_or(fault, body.len()?),
                false => fault,
            };
            self.remote.again(&mut attempts, fault, &doing, stops, ui)?;
        }
        self.remote.used = true;
        self.remote.stats.files_up += 1;
        if self.remote.list_verify {
            self.look_in_listing(ui, name, body.len()?, &doing)?;
        }
        Ok(true)
    }

    /// One attempt; also whether the whole body was handed to the connection.
    fn send(
        &mut self,
        name: &str,
        spool: &mut Spool,
        digests: &mut Digests,
        is_new: bool,
        doing: &str,
    ) -> Result<(std::result::Result<(), Fault>, bool)> {
        let remote = &mut *self.remote;
        let wants = remote.dest.about().wants;
        let mut body = SpoolBody::new(spool, &mut remote.up, digests, wants, is_new)?;
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
        body: &Spool,
        is_new: bool,
        doing: &str,
    ) -> Result<std::result::Result<(), Fault>> {
        let len = body.len()?;
        if !self.remote.verify || self.remote.dest.about().put_is_proof {
            return Ok(Ok(()));
        }
        let stops = sys::stops_requested();
        let mut waits = LAG_WAITS.iter();
        loop {
            let found = match self.remote.stat(ui, name) {
                Err(e) if e.kind() == Kind::Missing => None,
                other => other?,
            };
            match found {
                Some(file) => match file.size {
                    Some(size) if size != len => {
                        self.remove_part(name, body, is_new);
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
    fn settle(
        &mut self,
        name: &str,
        body: &Spool,
        whole: bool,
        is_new: bool,
        doing: &str,
    ) -> Result<Settled> {
        let len = body.len()?;
        self.remote.stats.calls += 1;
        let looked = self.remote.dest.stat(name);
        self.remote.gather();
        match looked {
            // Two runs can send files of one name and one length: only the bytes tell whose it is.
            Ok(_) if is_new => match self.compare(name, body) {
                Some(Compared::Whole) => Ok(Settled::Arrived),
                Some(Compared::Part) => {
                    self.remove_quietly(name);
                    Ok(Settled::Absent)
                }
                Some(Compared::Other) => Ok(Settled::Taken),
                None => Ok(Settled::Unknown),
            },
            Ok(file) if whole && file.size == Some(len) => Ok(Settled::Arrived),
            Ok(_) => {
                if !self.remote.dest.about().atomic_put {
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

    /// What the file at the destination is; `None` when it cannot be read now.
    fn compare(&mut self, name: &str, body: &Spool) -> Option<Compared> {
        self.remote.stats.calls += 1;
        self.remote.stats.gets += 1;
        let mut sink = Compare::new(body);
        let result = self.remote.dest.get(name, Span::WHOLE, &mut sink);
        self.remote.stats.bytes_down += sink.at;
        match result {
            _ if sink.differs => Some(Compared::Other),
            Ok(_) if body.len().is_ok_and(|len| len == sink.at) => Some(Compared::Whole),
            Ok(_) => Some(Compared::Part),
            Err(_) => None,
        }
    }

    /// Removes a file that has not the length sent; where the name had to be new, only if it is a part of what was sent.
    fn remove_part(&mut self, name: &str, body: &Spool, is_new: bool) {
        if !is_new || matches!(self.compare(name, body), Some(Compared::Part)) {
            self.remove_quietly(name);
        }
    }

    /// A failed upload is one for lack of space where the destination says that it has less than that: it is not sent again.
    fn full_or(&mut self, fault: Fault, len: u64) -> Fault {
        let may_hide_it = matches!(
            fault.class,
            Class::Transient | Class::Integrity | Class::Protocol | Class::Unsupported
        );
        if !may_hide_it {
            return fault;
        }
        match self.remote.quota().free {
            Some(free) if free < len => Fault::new(
                Class::Full,
                format!("no space at the destination: {free} bytes are free, {len} are needed"),
            ),
            _ => fault,
        }
    }

    /// Best effort: what stays is found as an unknown file by the next run.
    fn remove_quietly(&mut self, name: &str) {
        self.remote.stats.calls += 1;
        self.remote.stats.deletes += 1;
        let _ = self.remote.dest.delete(name);
        self.remote.gather();
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
