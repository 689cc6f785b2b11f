//! SFTP through a child `ssh` or `dbclient` (`destinations-more.md` 2.1): `ssh://user@host/folder`.
//!
//! The child brings what people have set up for it: known hosts, keys, agents, jump hosts. A volume appears under its name only
//! when it is whole. Nothing is retried here; a conversation that broke is begun anew by the next call.

mod cause;
mod channel;
mod config;
mod flight;
mod helper;
mod launch;
mod listing;
mod pins;
mod reading;
mod refusal;
mod session;
mod transfer;
mod upload;
mod wire;
mod writing;

use std::rc::Rc;

use self::config::Setup;
use self::flight::Begun;
use self::launch::Program;
use self::listing::{list, remote_file};
use self::reading::Fetch;
use self::session::{Done, Session};
use self::wire::{DENIED, FAILURE, MKDIR, NO_FILE, OK, REMOVE, SETSTAT, Status};
use crate::base::error::Result;
use crate::base::fault::Fault;
use crate::base::opt::Options;
use crate::base::transfer::Strip;
use crate::dest::coming::Lane;
use crate::dest::folders::{self, BrokenOff, Verb, path_or_root as folder_or_root};
use crate::dest::sailing::{Landed, Sailing};
use crate::dest::{
    About, Body, Destination, FLIES, Flight, GetFacts, Listed, Quota, RemoteFile, Said, Scheme,
    Sink, Span,
};
use crate::net::url::DestUrl;

pub(crate) use self::helper::answer;
#[cfg(feature = "fuzz")]
pub(crate) use self::wire::fuzz;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["ssh", "sftp"],
    help: "SFTP, by way of an ssh that is on this machine: ssh://user@host/folder",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

/// A folder on a server.
struct Folder {
    setup: Rc<Setup>,
    shown: String,
    program: Option<Program>,
    session: Option<Session>,
    /// A download that was left for later, with the conversation that it goes on in.
    lane: Lane<Fetch>,
    /// Old temporary files seen in the last listing.
    leftovers: Vec<String>,
    broken_off: BrokenOff,
    /// Where an upload that was sent on its way comes back with its conversation.
    strip: Strip<Landed<Begun>>,
    notices: Vec<String>,
}

impl Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<Folder> {
        let setup = Setup::new(url, options)?;
        let mut notices = Vec::new();
        if setup.any_host {
            notices.push(
                "every host key is accepted: anybody on the way can read the log-in and change what is stored"
                    .to_owned(),
            );
        }
        if !setup.relative && setup.folders.first().is_some_and(|name| name == "~") {
            notices.push(
                "~ in the path of the URL is a folder of that name: --ssh-relative-path begins where the server logs in to"
                    .to_owned(),
            );
        }
        Ok(Folder {
            setup: Rc::new(setup),
            shown: url.display(),
            program: None,
            session: None,
            lane: Lane::default(),
            leftovers: Vec::new(),
            broken_off: BrokenOff::default(),
            strip: Strip::default(),
            notices,
        })
    }

    /// The conversation, which is begun where there is none. A download that was left for later in it is broken off.
    fn talk(&mut self) -> Done<Session> {
        let kept = self.session.take();
        let kept = kept.or_else(|| self.lane.idle());
        let kept = kept.or_else(|| self.lane.back());
        // While volumes are made a server may have hung up: that is no failure of what comes now.
        match kept.and_then(|mut kept| kept.is_well().then_some(kept)) {
            Some(session) => Ok(session),
            None => {
                let program = match &self.program {
                    Some(program) => program.clone(),
                    None => launch::find(&self.setup)?,
                };
                self.program = Some(program.clone());
                let mut session = Session::open(&self.setup, &program)?;
                // If this breaks, so does what comes now.
                let _ = session.remove_broken_off(&mut self.broken_off);
                Ok(session)
            }
        }
    }

    /// Does something in the conversation.
    fn with<T>(&mut self, act: impl FnOnce(&mut Session) -> Done<T>) -> Done<T> {
        let mut session = self.talk()?;
        let done = act(&mut session);
        self.keep(session);
        done
    }

    fn keep(&mut self, session: Session) {
        if !session.is_broken() {
            self.session = Some(session);
        }
    }

    /// A whole file, of which the sink may take what follows its beginning later.
    fn fetch(&mut self, name: &str, into: &mut dyn Sink) -> Done<GetFacts> {
        // Where there are two conversations, the one that brought the last file brings this one.
        let last = self.lane.idle();
        let other = last.and_then(|session| self.session.replace(session));
        let done = self.begin_reading(name).and_then(|fetch| {
            let facts = fetch.reading.facts();
            let (done, session) = self.lane.hand(fetch, into);
            self.session = session;
            done.map(|()| facts)
        });
        self.session = self.session.take().or(other);
        done
    }

    /// Begins a download, which has the conversation until it is over.
    fn begin_reading(&mut self, name: &str) -> Done<Fetch> {
        let mut session = self.talk()?;
        match session.open_reading(name, Span::WHOLE) {
            Ok(reading) => Ok(Fetch {
                session: Some(session),
                reading,
            }),
            Err(fault) => {
                self.keep(session);
                Err(fault)
            }
        }
    }

    /// Begins an upload, which has the conversation until it is over.
    fn begin(&mut self, name: &str, body: &mut dyn Body) -> Done<Begun> {
        self.sweep()?;
        body.seek_to(0).map_err(Fault::local)?;
        let mut session = self.talk()?;
        let names = &mut self.broken_off;
        let begun = session
            .remove_broken_off(names)
            .and_then(|()| session.begin(name, body, names));
        match begun {
            Ok(upload) => Ok(Begun { session, upload }),
            Err(fault) => {
                self.keep(session);
                Err(fault)
            }
        }
    }

    /// As [`Folder::begin`], beside a download that was left for later, if the server takes a second conversation.
    fn begin_beside(&mut self, name: &str, body: &mut dyn Body) -> Done<Begun> {
        if self.session.is_none() && self.lane.is_busy() {
            let lane = std::mem::take(&mut self.lane);
            let begun = self.begin(name, body);
            self.lane = lane;
            if begun.is_ok() {
                return begun;
            }
        }
        self.begin(name, body)
    }

    /// Removes what killed runs left behind. Failures wait for the next run.
    fn sweep(&mut self) -> Done<()> {
        for name in std::mem::take(&mut self.leftovers) {
            self.with(|s| {
                let path = s.path(&name);
                s.status(REMOVE, |p| p.text(&path))
            })?;
        }
        Ok(())
    }
}

fn delete(s: &mut Session, name: &str) -> Done<()> {
    let path = s.path(name);
    let status = s.status(REMOVE, |p| p.text(&path))?;
    if matches!(status.code, OK | NO_FILE) {
        return Ok(());
    }
    if matches!(status.code, DENIED | FAILURE) {
        match s.look(&path)? {
            Err(looked) if looked.code == NO_FILE => return Ok(()),
            _ => {}
        }
        // Some servers keep what is marked as read-only.
        const MODE: u32 = 4;
        let marked = s.status(SETSTAT, |p| p.text(&path).u32(MODE).u32(0o600))?;
        if marked.code == OK {
            let again = s.status(REMOVE, |p| p.text(&path))?;
            if matches!(again.code, OK | NO_FILE) {
                return Ok(());
            }
        }
    }
    Err(refusal::refusal(Verb::Delete, &status, &s.shown()))
}

/// Makes the folder and those above it, as far as they are not there.
fn make_folder(s: &mut Session) -> Done<()> {
    let whole = folder_or_root(&s.folder).as_bytes().to_vec();
    if is_folder(s, &whole)? {
        return Ok(());
    }
    let setup = s.setup().clone();
    let mut path = s.start.clone();
    let mut last = None;
    for name in &setup.folders {
        path.push('/');
        path.push_str(name);
        if is_folder(s, path.as_bytes())? {
            continue;
        }
        let status = s.status(MKDIR, |p| p.text(path.as_bytes()).u32(0))?;
        last = (status.code != OK).then_some(status);
    }
    match last {
        // Above it may lie folders that this user cannot see; another may have made it meanwhile.
        Some(status) if !is_folder(s, &whole)? => {
            let refused = Status {
                code: if status.code == NO_FILE {
                    DENIED
                } else {
                    status.code
                },
                ..status
            };
            Err(refusal::refusal(Verb::MakeFolder, &refused, &s.shown()))
        }
        _ => Ok(()),
    }
}

/// True for a folder, false where nothing is; a file is a fault.
fn is_folder(s: &mut Session, path: &[u8]) -> Done<bool> {
    match s.look(path)? {
        Ok(facts) if facts.mode.is_some() && facts.is_file() => {
            let path = crate::base::text::safe_cut(path, 120);
            Err(folders::is_a_file(&path))
        }
        Ok(_) => Ok(true),
        Err(_) => Ok(false),
    }
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let mut leftovers = Vec::new();
        self.with(|s| list(s, &mut leftovers, each))?;
        self.leftovers = leftovers;
        Ok(())
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.with(|s| {
            let path = s.path(name);
            match s.look(&path)? {
                Ok(facts) => Ok(remote_file(name.to_owned(), &facts)),
                Err(status) => Err(s.absent_or(Verb::Look, &status)),
            }
        })
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        match FLIES && span == Span::WHOLE {
            true => self.fetch(name, into),
            false => self.with(|s| s.download(name, span, into)),
        }
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let landed = self
            .strip
            .take()
            .filter(|(landed, _)| FLIES && landed == name);
        let Begun {
            mut session,
            upload,
        } = match landed {
            Some((_, begun)) => begun?,
            None => self.begin(name, body)?,
        };
        self.broken_off.begun(&upload.first);
        let done = session.complete(upload, body, &mut self.broken_off);
        self.keep(session);
        done
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if !FLIES {
            return None;
        }
        let begun = self.begin_beside(name, body);
        if let Ok(Begun { upload, .. }) = &begun {
            // What another conversation is begun for meanwhile must not remove it.
            self.broken_off.ended(&upload.first);
        }
        Sailing::send(name, begun, &self.strip)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.with(|s| delete(s, name))
    }

    fn create_folder(&mut self) -> Done<()> {
        self.with(make_folder)
    }

    fn about(&self) -> About {
        About {
            put_is_proof: true,
            refuses_to_replace: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: std::mem::take(&mut self.notices),
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
        self.setup.user.clone().unwrap_or_default()
    }

    fn quota(&mut self) -> Done<Quota> {
        self.with(Session::space)
    }
}
