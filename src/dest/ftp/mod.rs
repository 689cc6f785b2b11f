//! FTP, in the clear or in TLS (`destinations-more.md` 2.2): `ftp://user@host/folder`, `ftps://`, and `aftp://`, which is the same
//! with other options.
//!
//! A volume appears under its name only when it is whole. Nothing is retried here, but for a conversation that the server ended
//! while nothing was asked of it, and for data connections that only an older TLS can have; a conversation that broke is begun
//! anew by the next call.

mod config;
mod data;
mod flight;
mod line;
mod listing;
mod receiving;
mod refusal;
mod sending;
mod session;
mod transfer;
mod upload;
mod wire;

use std::cell::Cell;
use std::rc::Rc;

use self::config::Setup;
use self::flight::Begun;
use self::receiving::Fetch;
use self::session::Session;
use self::upload::Upload;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::{Opt, Options};
use crate::base::transfer::Strip;
use crate::dest::coming::Lane;
use crate::dest::folders::BrokenOff;
use crate::dest::sailing::{Landed, Sailing};
use crate::dest::{
    About, Body, Destination, FLIES, Flight, GetFacts, Listed, RemoteFile, Said, Scheme, Sink, Span,
};
use crate::net::url::DestUrl;

#[cfg(feature = "fuzz")]
pub(crate) use self::wire::fuzz;

pub(crate) static FTP: Scheme = Scheme {
    names: &["ftp"],
    help: "FTP, with TLS as ftps://user@host/folder",
    options: config::FTP,
    open: |url, options| Folder::open(url, options, config::FTP),
};

pub(crate) static AFTP: Scheme = Scheme {
    names: &["aftp"],
    help: "FTP as Duplicati's alternative client has it: aftp://user@host/folder from /",
    options: config::AFTP,
    open: |url, options| Folder::open(url, options, config::AFTP),
};

/// What is done with an upload that was begun.
type Act<'a, T> = dyn FnMut(&mut Session, &mut dyn Body, Upload, &mut BrokenOff) -> Done<T> + 'a;

/// A folder on a server.
struct Folder {
    setup: Rc<Setup>,
    shown: String,
    session: Option<Session>,
    /// A download that was left for later, with the conversation that it goes on in.
    lane: Lane<Fetch>,
    /// TLS of no later version than 1.2.
    tls12: Rc<Cell<bool>>,
    /// What may be old temporary files in the last listing.
    leftovers: Vec<String>,
    broken_off: BrokenOff,
    /// Where an upload that was sent on its way comes back with its conversation.
    strip: Strip<Landed<Begun>>,
    notices: Vec<String>,
    warned: bool,
    warnings: Vec<String>,
}

impl Folder {
    fn open(
        url: &DestUrl,
        options: &Options,
        rows: &'static [Opt],
    ) -> Result<Box<dyn Destination>> {
        let setup = Setup::new(url, options, rows)?;
        let mut notices = Vec::new();
        if setup.is_open() {
            notices.push(
                "user name and password go to the server unencrypted; ftps:// protects them"
                    .to_owned(),
            );
        }
        Ok(Box::new(Folder {
            setup: Rc::new(setup),
            shown: url.display(),
            session: None,
            lane: Lane::default(),
            tls12: Rc::default(),
            leftovers: Vec::new(),
            broken_off: BrokenOff::default(),
            strip: Strip::default(),
            notices,
            warned: false,
            warnings: Vec::new(),
        }))
    }

    /// Begins an upload, and does something with it.
    fn begin<T>(&mut self, name: &str, body: &mut dyn Body, act: &mut Act<'_, T>) -> Done<T> {
        let leftovers = std::mem::take(&mut self.leftovers);
        if !leftovers.is_empty() {
            self.with(&mut |s| s.sweep(&leftovers))?;
        }
        let mut broken_off = std::mem::take(&mut self.broken_off);
        let done = self.with(&mut |s| {
            body.seek_to(0).map_err(Fault::local)?;
            s.remove_broken_off(&mut broken_off)?;
            let upload = s.begin_upload(name, body, &mut broken_off)?;
            act(s, body, upload, &mut broken_off)
        });
        self.broken_off = broken_off;
        done
    }

    /// As [`Folder::begin`] to do nothing yet, beside a download that was left for later, if the server takes a second conversation.
    fn begin_beside(&mut self, name: &str, body: &mut dyn Body) -> Done<Upload> {
        let begin = |folder: &mut Folder, body: &mut dyn Body| {
            folder.begin(name, body, &mut |_, _, upload, broken_off| {
                // What another conversation is begun for meanwhile must not remove it.
                broken_off.ended(&upload.first);
                Ok(upload)
            })
        };
        if self.session.is_none() && self.lane.is_busy() {
            let lane = std::mem::take(&mut self.lane);
            let begun = begin(self, body);
            self.lane = lane;
            if begun.is_ok() {
                return begun;
            }
        }
        begin(self, body)
    }

    /// A whole file, of which the sink may take what follows its beginning later.
    fn fetch(&mut self, name: &str, into: &mut dyn Sink) -> Done<GetFacts> {
        // Where there are two conversations, the one that brought the last file brings this one.
        let last = self.lane.idle();
        let other = last.and_then(|session| self.session.replace(session));
        let done = loop {
            let begun = self.with(&mut |s| s.begin_download(name, Span::WHOLE, into));
            let (facts, stream) = match begun {
                Ok((facts, Some((stream, _)))) => (facts, stream),
                Ok((facts, None)) => break Ok(facts),
                Err(fault) => break Err(fault),
            };
            let Some(session) = self.session.take() else {
                let text = "the conversation has ended";
                break Err(Fault::new(Class::Transient, text));
            };
            let is_older = self.tls12.get();
            let fetch = Fetch::new(session, stream, facts.total, self.tls12.clone());
            let (done, session) = self.lane.hand(fetch, into);
            self.session = session;
            if done.is_ok() || self.tls12.get() == is_older {
                break done.map(|()| facts);
            }
            // Once more with older TLS.
            if let Err(e) = into.restart() {
                break Err(Fault::local(e));
            }
        };
        self.session = self.session.take().or(other);
        done
    }

    /// Does something in the conversation, which is begun where there is none. It is done once more where the server had hung up
    /// while volumes were made, or wants older TLS. A download that was left for later in it is broken off.
    fn with<T>(&mut self, act: &mut dyn FnMut(&mut Session) -> Done<T>) -> Done<T> {
        let mut kept = self.session.take();
        kept = kept.or_else(|| self.lane.idle());
        kept = kept.or_else(|| self.lane.back());
        kept = kept.and_then(|mut session| session.resumed().then_some(session));
        loop {
            let (mut session, is_old) = match kept.take() {
                Some(session) => (session, true),
                None => {
                    let mut session = Session::open(&self.setup, self.tls12.get())?;
                    // If this breaks, so does what comes now.
                    let _ = session.remove_broken_off(&mut self.broken_off);
                    (session, false)
                }
            };
            if session.is_clear && !std::mem::replace(&mut self.warned, true) {
                self.warnings.push(
                    "the server has no TLS: password and data go to it unencrypted, as --ftp-encryption-mode=Auto allows"
                        .to_owned(),
                );
            }
            let done = act(&mut session);
            if done.is_err() {
                if session.wants_tls12() && !self.tls12.replace(true) {
                    continue;
                }
                if is_old && session.was_over() {
                    continue;
                }
            }
            if !session.is_broken() {
                self.session = Some(session);
            }
            return done;
        }
    }
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.leftovers = self.with(&mut |s| s.list(false, each))?;
        Ok(())
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let size = self.with(&mut |s| s.stat(name))?;
        Ok(RemoteFile {
            name: name.to_owned(),
            size,
            modified: None,
            is_folder: false,
            is_archived: false,
        })
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        match FLIES && span == Span::WHOLE {
            true => self.fetch(name, into),
            false => self.with(&mut |s| s.download(name, span, into)),
        }
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let landed = self.strip.take().filter(|(of, _)| FLIES && of == name);
        if let Some((_, begun)) = landed {
            let Begun {
                mut session,
                upload,
            } = begun?;
            self.broken_off.begun(&upload.first);
            let done = session.complete_upload(upload, body, &mut self.broken_off);
            let older = done.is_err() && session.wants_tls12() && !self.tls12.replace(true);
            if !session.is_broken() && !older {
                self.session = Some(session);
            }
            if !older {
                return done;
            }
        }
        self.begin(name, body, &mut |s, body, upload, broken_off| {
            s.complete_upload(upload, body, broken_off)
        })
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if !FLIES {
            return None;
        }
        let upload = self.begin_beside(name, body);
        let begun = match (upload, self.session.take()) {
            (Ok(upload), Some(session)) => Ok(Begun { session, upload }),
            (Ok(_), None) => return None,
            (Err(fault), session) => {
                self.session = session;
                Err(fault)
            }
        };
        Sailing::send(name, begun, &self.strip)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.with(&mut |s| s.delete(name))
    }

    fn create_folder(&mut self) -> Done<()> {
        self.with(&mut |s| s.make_folder())
    }

    fn about(&self) -> About {
        About {
            atomic_put: self.setup.rename,
            put_is_proof: true,
            refuses_to_replace: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: std::mem::take(&mut self.notices),
            warnings: std::mem::take(&mut self.warnings),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        self.setup.place()
    }

    fn account(&self) -> String {
        self.setup.user.clone()
    }
}
