//! The last step of every entry: whole-file check, attributes, the final name; links after files, folders last, from the
//! deepest up.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::digest::Algo;
use crate::base::error::{Kind, Result, unwrap_io};
use crate::base::sys::{self, Dir, FileKind, Users};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::{Content, EntryKind};
use crate::format::manifest::Params;
use crate::format::meta::Attrs;
use crate::restore::attrs::tell_attributes;
use crate::restore::place::{Place, beside, entry_error};
use crate::restore::scatter::{UNWRITTEN, begin_file, order_key, temp_name};
use crate::restore::targets::{Action, Target, Targets};
use crate::restore::{Existing, RestoreOptions, RestoreReport, obey};
use crate::spill::sorter::Stream;

/// Metadata longer than this is not believed.
pub(super) const META_BYTES_AT_MOST: u64 = 8 << 20;

pub(super) struct Finish<'a> {
    pub(super) place: &'a mut Place,
    pub(super) targets: &'a Targets,
    pub(super) options: &'a RestoreOptions,
    pub(super) params: Params,
    pub(super) temp_name: &'a str,
    pub(super) date: String,
    pub(super) metas: Stream,
    pub(super) bad: Stream,
    pub(super) meta_head: Option<Vec<u8>>,
    pub(super) bad_head: Option<Vec<u8>>,
    pub(super) users: Users,
    pub(super) owner_trouble: bool,
    /// The restore ended early: finish what is whole, leave the rest.
    pub(super) only_whole: bool,
    pub(super) report: &'a mut RestoreReport,
}

impl Finish<'_> {
    pub(super) fn run(&mut self, ui: &mut Ui) -> Result<()> {
        self.meta_head = self.metas.next()?.map(<[u8]>::to_vec);
        self.bad_head = self.bad.next()?.map(<[u8]>::to_vec);
        let count = self.targets.len();
        for no in 0..count {
            let stops = sys::stops_requested();
            if stops > 1 {
                return obey();
            }
            // After a stop the files that are whole still get their names.
            self.only_whole |= stops > 0;
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::File {
                let done = self.one(ui, no, &target);
                // What ended the restore is told; that it also ends this file adds nothing.
                if !self.only_whole {
                    done?;
                }
            }
        }
        obey()?;
        if self.only_whole {
            return Ok(());
        }
        for no in 0..count {
            obey()?;
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::Symlink {
                self.one(ui, no, &target)?;
            }
        }
        for no in (0..count).rev() {
            obey()?;
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::Folder {
                self.one(ui, no, &target)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, ui: &mut Ui, no: u64, target: &Target) -> Result<()> {
        let key = order_key(&target.record.entry, no);
        let bad = self.bad_of(&key)?;
        let (lost_content, lost_meta) = (bad[0], bad[1]);
        let blob = self.blob_of(&key)?;
        if target.action == Action::Leave || (self.only_whole && (lost_content || lost_meta)) {
            return Ok(());
        }
        if bad[usize::from(UNWRITTEN)] {
            self.report.failed += 1;
            self.remove_begun(no, target);
            return Ok(());
        }
        let shown = self.place.shown(&target.slices());
        let wanted = target.record.entry.meta.as_ref().map_or(0, |m| m.size);
        let mut attrs = None;
        let is_link = target.record.entry.kind == EntryKind::Symlink;
        if (is_link || !self.options.skip_metadata) && wanted > 0 {
            let whole = blob
                .as_ref()
                .filter(|b| b.len() as u64 == wanted && !lost_meta);
            match whole.map(|b| Attrs::parse(b)) {
                Some(Ok(parsed)) => attrs = Some(parsed),
                Some(Err(_)) => ui.warn(
                    "bad-metadata",
                    &format!("the metadata of {shown} cannot be understood and is left out"),
                ),
                None => {
                    self.report.incomplete(&shown);
                    ui.error(&format!("the metadata of {shown} is lost"));
                }
            }
        }
        let done = match target.record.entry.kind {
            EntryKind::File => self.file(ui, no, target, attrs.as_ref(), lost_content, &shown),
            EntryKind::Symlink => self.symlink(ui, target, attrs.as_ref(), &shown),
            EntryKind::Folder => self.folder(ui, target, attrs.as_ref(), &shown),
        };
        match done {
            Ok(()) => Ok(()),
            Err(e) => {
                self.remove_begun(no, target);
                let why = entry_error(&e)?;
                self.report.failed += 1;
                ui.error(&format!("cannot restore {shown}: {why}"));
                Ok(())
            }
        }
    }

    fn remove_begun(&mut self, no: u64, target: &Target) {
        remove_begun(self.place, self.temp_name, no, target);
    }

    /// What is bad of a target, by the flags of `Scatter::bad`.
    fn bad_of(&mut self, key: &[u8; 9]) -> Result<[bool; 3]> {
        let mut bad = [false; 3];
        while let Some(head) = self.bad_head.take() {
            let (mine, flag) = head.split_at(head.len().min(9));
            match mine.cmp(key.as_slice()) {
                std::cmp::Ordering::Greater => {
                    self.bad_head = Some(head);
                    break;
                }
                std::cmp::Ordering::Equal => {
                    let slot = flag.first().and_then(|&f| bad.get_mut(usize::from(f)));
                    if let Some(slot) = slot {
                        *slot = true;
                    }
                }
                std::cmp::Ordering::Less => {}
            }
            self.bad_head = self.bad.next()?.map(<[u8]>::to_vec);
        }
        Ok(bad)
    }

    fn blob_of(&mut self, key: &[u8; 9]) -> Result<Option<Vec<u8>>> {
        let mut blob: Option<Vec<u8>> = None;
        while let Some(head) = self.meta_head.take() {
            let (mine, rest) = head.split_at(head.len().min(9));
            match mine.cmp(key.as_slice()) {
                std::cmp::Ordering::Greater => {
                    self.meta_head = Some(head);
                    break;
                }
                std::cmp::Ordering::Equal => {
                    let out = blob.get_or_insert_with(Vec::new);
                    let (offset, bytes) = rest.split_at(rest.len().min(8));
                    let offset = offset.try_into().map_or(u64::MAX, u64::from_be_bytes);
                    // A block that two volumes hold may come twice.
                    if offset == out.len() as u64 {
                        out.extend_from_slice(bytes);
                    }
                }
                std::cmp::Ordering::Less => {}
            }
            self.meta_head = self.metas.next()?.map(<[u8]>::to_vec);
        }
        Ok(blob)
    }

    fn file(
        &mut self,
        ui: &mut Ui,
        no: u64,
        target: &Target,
        attrs: Option<&Attrs>,
        lost: bool,
        shown: &str,
    ) -> io::Result<()> {
        let parts = target.slices();
        if target.action == Action::Attributes {
            let spot = self.place.spot(&parts, false)?;
            let name = spot.name.to_owned();
            self.attributes(ui, &parts, &name, attrs, target, shown);
            return Ok(());
        }
        let temp = OsString::from(temp_name(self.temp_name, no));
        let Some(content) = target.record.entry.content.as_ref().filter(|_| !lost) else {
            return self.incomplete(ui, target, &temp, shown);
        };
        let temp_text = temp_name(self.temp_name, no);
        let file = begin_file(
            self.place,
            &parts,
            &temp_text,
            content.size,
            self.options.permissions,
        )?;
        if !self.right(&file, content)? {
            self.report.incomplete(shown);
            ui.error(&format!("{shown} was restored, but its content does not have the hash that the version lists"));
        }
        drop(file);
        self.attributes(ui, &parts, &temp, attrs, target, shown);
        let spot = self.place.spot(&parts, false)?;
        let placed = if target.action == Action::Replace {
            let there = spot.dir.stat(spot.name);
            match there.is_ok_and(|s| s.kind == FileKind::Folder) {
                true => spot.dir.rmdir(spot.name),
                false => Ok(()),
            }
            .and_then(|()| spot.dir.rename(&temp, spot.name))
        } else {
            match spot.dir.rename_noreplace(&temp, spot.name) {
                // By now something has the name: a file restored beside another one, or one made meanwhile.
                Err(e)
                    if e.kind() == io::ErrorKind::AlreadyExists
                        && self.options.existing == Existing::Rename =>
                {
                    let name = free_name(spot.dir, spot.name, &self.date)?;
                    spot.dir.rename_noreplace(&temp, &name)
                }
                done => done,
            }
        };
        placed?;
        self.report.files += 1;
        self.report.bytes += content.size;
        Ok(())
    }

    /// Whether the whole file is what the version lists. A file of one block was checked as that block.
    fn right(&self, file: &File, content: &Content) -> io::Result<bool> {
        let Some(wanted) = content.hash else {
            return Ok(true);
        };
        let same = self.params.block_hash == self.params.file_hash;
        let named = content.block.is_none() || content.block == content.hash;
        let one_block = content.lists.is_empty() && same && named && content.size > 0;
        if one_block || !self.options.verify {
            return Ok(true);
        }
        if wanted.as_bytes().len() != self.params.file_hash.len() {
            return Ok(false);
        }
        match hash_file(file, self.params.file_hash).map_err(unwrap_io) {
            // Each block was checked. The next run compares the whole.
            Err(e) if e.kind() == Kind::Interrupted => Ok(true),
            hash => Ok(hash? == wanted),
        }
    }

    /// What there is of a file with lost blocks is kept under another name, so that it never passes for the file.
    fn incomplete(
        &mut self,
        ui: &mut Ui,
        target: &Target,
        temp: &OsStr,
        shown: &str,
    ) -> io::Result<()> {
        self.report.incomplete(shown);
        let parts = target.slices();
        let date = format!("{}.incomplete", self.date);
        let Ok(spot) = self.place.spot(&parts, false) else {
            ui.error(&format!("{shown} could not be restored: its data is lost"));
            return Ok(());
        };
        if spot.dir.stat(temp).is_err() {
            ui.error(&format!("{shown} could not be restored: its data is lost"));
            return Ok(());
        }
        for attempt in 0..100 {
            let name = OsString::from_vec(beside(spot.name.as_bytes(), &date, attempt));
            match spot.dir.rename_noreplace(temp, &name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
                Ok(()) => {
                    let name = text::safe(name.as_bytes());
                    ui.error(&format!("{shown} is incomplete: part of its data is lost; the rest is in {name}, with zeros for what is lost"));
                    return Ok(());
                }
            }
        }
        spot.dir.unlink(temp)
    }

    fn symlink(
        &mut self,
        ui: &mut Ui,
        target: &Target,
        attrs: Option<&Attrs>,
        shown: &str,
    ) -> io::Result<()> {
        let Some(link) = attrs
            .and_then(|a| a.symlink.as_deref())
            .filter(|l| !l.is_empty() && !l.contains(&0))
        else {
            self.report.incomplete(shown);
            ui.error(&format!(
                "the symbolic link {shown} could not be restored: its target is not known"
            ));
            return Ok(());
        };
        let parts = target.slices();
        let spot = self.place.spot(&parts, true)?;
        let mut name = spot.name.to_owned();
        let link = OsStr::from_bytes(link);
        match spot.dir.stat(&name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
            Ok(there) => {
                let mut at = self.options.root.clone();
                at.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
                if there.kind == FileKind::Symlink
                    && std::fs::read_link(&at).is_ok_and(|have| have.as_os_str() == link)
                {
                    self.report.unmodified += 1;
                    return Ok(());
                }
                match self.options.existing {
                    Existing::Skip => {
                        self.report.skipped += 1;
                        return Ok(());
                    }
                    Existing::Overwrite | Existing::Newer if there.kind == FileKind::Folder => {
                        spot.dir.rmdir(&name)?
                    }
                    Existing::Overwrite | Existing::Newer => spot.dir.unlink(&name)?,
                    Existing::Rename => name = free_name(spot.dir, spot.name, &self.date)?,
                }
            }
        }
        spot.dir.symlink(link, &name)?;
        self.report.symlinks += 1;
        let mut done = Ok(());
        if self.options.permissions && !self.options.skip_metadata {
            done = self.owner(ui, &parts, &name, attrs, shown);
        }
        if self.options.symlink_metadata {
            done = done.and_then(|()| self.times(&parts, &name, attrs, None));
        }
        tell_attributes(done, ui, shown);
        Ok(())
    }

    fn folder(
        &mut self,
        ui: &mut Ui,
        target: &Target,
        attrs: Option<&Attrs>,
        shown: &str,
    ) -> io::Result<()> {
        let parts = target.slices();
        self.place.folder(&parts, true)?;
        self.report.folders += 1;
        let name = match self.place.spot(&parts, false) {
            Ok(spot) => spot.name.to_owned(),
            // The root folder of this machine keeps its attributes.
            Err(_) if parts.is_empty() => return Ok(()),
            Err(e) => return Err(e),
        };
        self.attributes(ui, &parts, &name, attrs, target, shown);
        Ok(())
    }
}

/// Removes what is left of files under way, after an error.
pub(super) fn sweep(place: &mut Place, targets: &Targets, temp_prefix: &str) {
    for no in 0..targets.len() {
        let Ok(target) = targets.get(no) else {
            return;
        };
        remove_begun(place, temp_prefix, no, &target);
    }
}

fn remove_begun(place: &mut Place, temp_prefix: &str, no: u64, target: &Target) {
    if matches!(target.action, Action::Create | Action::Replace)
        && target.record.entry.kind == EntryKind::File
        && let Ok(spot) = place.spot(&target.slices(), false)
    {
        // It may never have been begun.
        let _gone = spot.dir.unlink(OsStr::new(&temp_name(temp_prefix, no)));
    }
}

/// A name that is free beside `name`.
pub(super) fn free_name(dir: &Dir, name: &OsStr, date: &str) -> io::Result<OsString> {
    for attempt in 0..100 {
        let candidate = OsString::from_vec(beside(name.as_bytes(), date, attempt));
        match dir.stat(&candidate) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(candidate),
            Err(e) => return Err(e),
            Ok(_) => {}
        }
    }
    Err(io::Error::other(
        "a hundred files of that name are there already",
    ))
}

/// Digest of a whole file, read from its start; a stop ends it.
pub(super) fn hash_file(file: &File, algo: Algo) -> io::Result<crate::base::digest::Hash> {
    use std::io::Seek;
    let mut hasher = algo.hasher();
    let mut buffer = vec![0; 128 * 1024];
    let mut file = file;
    file.rewind()?;
    loop {
        obey()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
