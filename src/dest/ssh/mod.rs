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
mod pins;
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
use self::session::{Done, Session};
use self::transfer::TEMPORARY;
use self::wire::{
    Attrs, DENIED, END, Entry, FAILURE, MKDIR, NO_FILE, OK, OPENDIR, READDIR, REMOVE, SETSTAT,
    Status,
};
use crate::base::error::Result;
use crate::base::fault::Fault;
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::base::transfer::Strip;
use crate::dest::folders::{
    self, BrokenOff, LEFTOVER_AGE, LEFTOVERS_MAX, Verb, path_or_root as folder_or_root,
};
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

/// Requests for entries of a folder under way at once.
const LISTS_UNDER_WAY: usize = 2;

/// A folder on a server.
struct Folder {
    setup: Rc<Setup>,
    shown: String,
    program: Option<Program>,
    session: Option<Session>,
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
        Ok(Folder {
            setup: Rc::new(setup),
            shown: url.display(),
            program: None,
            session: None,
            leftovers: Vec::new(),
            broken_off: BrokenOff::default(),
            strip: Strip::default(),
            notices,
        })
    }

    /// The conversation, which is begun where there is none.
    fn talk(&mut self) -> Done<Session> {
        // While volumes are made a server may have hung up: that is no failure of what comes now.
        let kept = self.session.take();
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

/// Every entry of the folder, to `each`.
fn list(
    s: &mut Session,
    leftovers: &mut Vec<String>,
    each: &mut dyn FnMut(Listed) -> Done<()>,
) -> Done<()> {
    let wait = s.for_listing();
    let folder = folder_or_root(&s.folder).as_bytes().to_vec();
    let reply = s.call_within(OPENDIR, |p| p.text(&folder), wait)?;
    if let Some(status) = s.refused(&reply)? {
        return Err(no_folder(s, &status)?);
    }
    let handle = reply.handle().map_err(|e| s.garbled(e))?;
    let (mut under_way, mut ended, mut done) = (0, false, Ok(()));
    loop {
        while under_way < LISTS_UNDER_WAY && !ended && done.is_ok() {
            s.post(READDIR, |p| p.text(&handle), wait)?;
            under_way += 1;
        }
        if under_way == 0 {
            break;
        }
        let reply = s
            .any(wait)
            .map_err(|fault| folders::incomplete(Some(wait), wait.pause, fault))?;
        under_way -= 1;
        if let Some(status) = s.refused(&reply)? {
            ended = true;
            if status.code != END {
                let fault = refusal::refusal(Verb::List, &status, &s.shown());
                done = done.and(Err(folders::incomplete(None, wait.pause, fault)));
            }
            continue;
        }
        let entries = reply.names().map_err(|e| s.garbled(e))?;
        drop(reply);
        if entries.is_empty() {
            // A reply without entries would never come to an end.
            ended = true;
        }
        for entry in entries {
            if done.is_ok() {
                done = show(s, entry, leftovers, each);
            }
            if s.is_broken() {
                return done;
            }
        }
    }
    s.close(&handle)?;
    done
}

/// Passes on one entry of a listing, if it is a file or a folder.
fn show(
    s: &mut Session,
    entry: Entry,
    leftovers: &mut Vec<String>,
    each: &mut dyn FnMut(Listed) -> Done<()>,
) -> Done<()> {
    // Names that are not text become ones with U+FFFD, which no volume has.
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    if name == "." || name == ".." {
        return Ok(());
    }
    let mut facts = entry.attrs;
    if facts.is_link() {
        if name.contains('/') {
            return Ok(());
        }
        let path = s.path(&name);
        match s.look(&path)? {
            Ok(found) => facts = found,
            Err(_) => return Ok(()),
        }
    }
    if name.starts_with(TEMPORARY) {
        let old = Timestamp::now().0 - LEFTOVER_AGE;
        let is_old = facts.modified.is_some_and(|m| m < old);
        if is_old && facts.is_file() && !name.contains('/') && leftovers.len() < LEFTOVERS_MAX {
            leftovers.push(name);
        }
        return Ok(());
    }
    if !facts.is_file() && !facts.is_folder() {
        return Ok(());
    }
    each(Listed::Entry(remote_file(name, &facts)))
}

fn remote_file(name: String, facts: &Attrs) -> RemoteFile {
    let is_folder = facts.is_folder();
    RemoteFile {
        name,
        size: facts.size.filter(|_| !is_folder),
        modified: facts.modified,
        is_folder,
        is_archived: false,
    }
}

/// Why the folder cannot be listed.
fn no_folder(s: &mut Session, status: &Status) -> Done<Fault> {
    let fault = refusal::refusal(Verb::List, status, &s.shown());
    Ok(s.file_in_the_way()?.unwrap_or(fault))
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
        self.with(|s| s.download(name, span, into))
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
        let begun = self.begin(name, body);
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
