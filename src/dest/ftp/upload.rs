//! Uploads: a file has another name until it is whole.

use std::io::Write as _;

use super::line::Stream;
use super::listing::{TEMPORARY, is_old};
use super::session::Session;
use super::transfer::PIECE;
use super::wire::time;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::Body;
use crate::dest::folders::{self, BrokenOff, Verb, Wait, body_short, exists, fill};

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

    /// Stores a body under a name, by way of a temporary one.
    pub(super) fn upload(
        &mut self,
        name: &str,
        body: &mut dyn Body,
        broken_off: &mut BrokenOff,
    ) -> Done<()> {
        if body.is_new() && self.is_there(name)? {
            return Err(exists());
        }
        let rename = self.setup.rename;
        let first = match rename {
            true => folders::temporary(TEMPORARY)?,
            false => name.to_owned(),
        };
        if rename {
            broken_off.begun(&first);
        }
        let stored = self.store(&first, body).and_then(|()| match rename {
            true => self.rename(&first, name, body.is_new()),
            false => Ok(()),
        });
        match stored {
            Err((begun, fault)) => {
                let mut gone = !begun;
                if begun && !self.is_broken() {
                    // The first fault counts.
                    let path = self.path(&first)?;
                    let removed = self.call(&format!("DELE {path}"));
                    gone = removed.is_ok_and(|reply| reply.is_good());
                }
                if gone {
                    broken_off.ended(&first);
                }
                Err(fault)
            }
            Ok(()) => {
                broken_off.ended(&first);
                Ok(())
            }
        }
    }

    /// Sends the whole and looks. The fault, and whether there is something to remove.
    fn store(&mut self, name: &str, body: &mut dyn Body) -> Result<(), (bool, Fault)> {
        let not_begun = |fault| (false, fault);
        let begun = |fault| (true, fault);
        let path = self.path(name).map_err(not_begun)?;
        let started = self.begin_transfer(&format!("STOR {path}"), 0);
        let stream = match started.map_err(begun)? {
            Ok(stream) => stream,
            Err(reply) => {
                let fault = match (reply.code, self.enter()) {
                    (550 | 553 | 450, Err(fault)) => fault,
                    _ => self.refuse(Verb::Put, &reply),
                };
                return Err((false, fault));
            }
        };
        let len = body.len();
        self.send(stream, body).map_err(begun)?;
        if !self.setup.verify {
            return Ok(());
        }
        std::thread::sleep(self.setup.delay);
        match self.stat(name) {
            Ok(Some(size)) if size != len => Err((true, folders::stored(size, len))),
            Ok(_) => Ok(()),
            // It was taken a moment ago.
            Err(fault) if fault.class == Class::NotFound => {
                let text = "the server says that it took the file, and then that there is none";
                let fault = Fault::new(Class::Transient, text.to_owned());
                let hint = "if the account may not ask for sizes: --disable-upload-verify";
                Err((true, fault.hint(hint)))
            }
            Err(fault) => Err((true, fault)),
        }
    }

    fn send(&mut self, mut stream: Stream, body: &mut dyn Body) -> Done<()> {
        stream.sock().bound(Wait::moving(self.setup.times.transfer));
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < body.len() {
            let n = match fill(body, &mut buffer) {
                Ok(0) => Err(body_short(at, body.len())),
                Ok(n) => Ok(n),
                Err(e) => Err(Fault::local(e)),
            };
            let n = n.inspect_err(|_| self.give_up())?;
            if let Err(e) = stream.write_all(&buffer[..n]) {
                drop(stream);
                return Err(self.blame(Verb::Put, &e));
            }
            at += n as u64;
        }
        let wait = Wait::short(self.setup.times.closing);
        if let Err(e) = stream.end_upload(wait) {
            return Err(self.blame(Verb::Put, &e));
        }
        self.end_transfer(Verb::Put, wait).map(drop)
    }

    /// Gives a whole file its name.
    fn rename(&mut self, from: &str, to: &str, is_new: bool) -> Result<(), (bool, Fault)> {
        let done = self.rename_once(from, to, is_new);
        done.map_err(|fault| (true, fault))
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
        let fault = self.refuse(Verb::Put, &reply);
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
