//! Listings: entries of the folder as they come, several requests under way.

use super::refusal;
use super::session::{Done, Session};
use super::transfer::TEMPORARY;
use super::wire::{Attrs, END, Entry, OPENDIR, READDIR, Status};
use crate::base::fault::Fault;
use crate::base::time::Timestamp;
use crate::dest::folders::{
    self, LEFTOVER_AGE, LEFTOVERS_MAX, Verb, path_or_root as folder_or_root,
};
use crate::dest::{Listed, RemoteFile};

/// Requests for entries of a folder under way at once.
const LISTS_UNDER_WAY: usize = 2;

/// Every entry of the folder, to `each`.
pub(super) fn list(
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

pub(super) fn remote_file(name: String, facts: &Attrs) -> RemoteFile {
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
