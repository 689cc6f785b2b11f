//! The last step of every entry: whole-file check, attributes, the final name; links after files, folders last, from the
//! deepest up.

mod attrs;
mod file;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::sys::{self, Users};
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::format::manifest::Params;
use crate::format::meta::Attrs;
use crate::restore::begun::{UNWRITTEN, order_key, remove_begun};
use crate::restore::naming::shortened;
use crate::restore::targets::{Action, Target, Targets};
use crate::restore::told::{Bits, Left};
use crate::restore::tree::{TargetTree, entry_error, is_windows};
use crate::restore::{RestoreOptions, RestoreReport, obey};
use attrs::Access;
pub(super) use attrs::{Known, On, Recorded, tell_attributes};

/// Metadata longer than this is not believed.
pub(super) const META_BYTES_AT_MOST: u64 = 8 << 20;

pub(super) struct Finish<'a> {
    pub(super) place: &'a mut TargetTree,
    pub(super) targets: &'a Targets,
    pub(super) options: &'a RestoreOptions,
    pub(super) params: Params,
    pub(super) temp_name: &'a str,
    pub(super) date: &'a str,
    /// Targets that have got their names, or could not get them, while the volumes were read: a bit each.
    pub(super) visited: Bits,
    pub(super) users: Users,
    pub(super) owner_trouble: bool,
    /// The restore ended early: finish what is whole, leave the rest.
    pub(super) only_whole: bool,
    /// Bits that new files and folders do not get.
    pub(super) umask: u32,
    /// What the root may be opened to, if this run made it.
    pub(super) root_mode: u32,
    /// The root got the mode that the version lists.
    pub(super) root_settled: bool,
    pub(super) report: &'a mut RestoreReport,
}

impl Finish<'_> {
    /// Gives every target that has not got it its name, its attributes and its metadata.
    pub(super) fn run(&mut self, mut left: Left, ui: &mut Ui) -> Result<()> {
        let count = self.targets.len();
        for no in 0..count {
            let stops = sys::stops_requested();
            if stops > 1 {
                return obey();
            }
            // After a stop the files that are whole still get their names.
            self.only_whole |= stops > 0;
            if self.visited.has(no) {
                continue;
            }
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::File {
                let done = self.one(ui, no, &target, &mut left);
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
        let links = if self.targets.links == 0 { 0 } else { count };
        for no in 0..links {
            obey()?;
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::Symlink {
                self.one(ui, no, &target, &mut left)?;
            }
        }
        for no in (0..count).rev() {
            obey()?;
            let target = self.targets.get(no)?;
            if target.record.entry.kind == EntryKind::Folder {
                self.one(ui, no, &target, &mut left)?;
            }
        }
        self.open_root(ui);
        Ok(())
    }

    /// Gives the root its mode if this run made it and the version has no other for it.
    fn open_root(&mut self, ui: &mut Ui) {
        if !self.place.made_root || self.root_settled {
            return;
        }
        let mode = 0o777 & !self.umask & self.root_mode;
        let done = self
            .place
            .spot(&[], false)
            .and_then(|spot| spot.dir.chmod(spot.name, mode));
        let shown = self.place.shown(&[]);
        tell_attributes(done, ui, &shown);
    }

    fn one(&mut self, ui: &mut Ui, no: u64, target: &Target, left: &mut Left) -> Result<()> {
        let key = order_key(&target.record.entry, no);
        let bad = left.bad_of(&key)?;
        let (lost_content, lost_meta) = (bad[0], bad[1]);
        let blob = left.blob_of(&key)?;
        if matches!(target.action, Action::Leave | Action::Clear)
            || (self.only_whole && (lost_content || lost_meta))
        {
            return Ok(());
        }
        if bad[usize::from(UNWRITTEN)] {
            self.report.failed += 1;
            self.remove_begun(no, target);
            return Ok(());
        }
        let blob = blob.as_deref().filter(|_| !lost_meta);
        self.named(ui, no, target, blob, lost_content, None)
    }

    /// A file whose content was written in one go and whose metadata is at hand.
    pub(super) fn visit(
        &mut self,
        ui: &mut Ui,
        no: u64,
        target: &Target,
        blob: Option<&[u8]>,
        file: File,
    ) -> Result<()> {
        // Whatever comes of it: what is gone is not to be made again without its content.
        self.visited.set(no);
        self.named(ui, no, target, blob, false, Some(file))
    }

    /// `file`: the file in which the target was put together, if it is open.
    fn named(
        &mut self,
        ui: &mut Ui,
        no: u64,
        target: &Target,
        blob: Option<&[u8]>,
        lost_content: bool,
        file: Option<File>,
    ) -> Result<()> {
        let shown = self.place.shown(&target.slices());
        let (attrs, recorded) = self.metadata(ui, target, blob, &shown);
        let known = Known {
            attrs: attrs.as_ref(),
            recorded,
            target,
            shown: &shown,
        };
        let done = match target.record.entry.kind {
            EntryKind::File => self.file(ui, no, &known, lost_content, file),
            EntryKind::Symlink => self.symlink(ui, no, &known),
            EntryKind::Folder => self.folder(ui, &known),
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

    /// The attributes to set, and what is known of the mode.
    fn metadata(
        &mut self,
        ui: &mut Ui,
        target: &Target,
        blob: Option<&[u8]>,
        shown: &str,
    ) -> (Option<Attrs>, Recorded) {
        let wanted = target.record.entry.meta.as_ref().map_or(0, |m| m.size);
        // Of these only the mode counts, and it may fail in silence.
        let quiet = self.options.skip_metadata || target.action == Action::Above;
        if wanted == 0 {
            return (None, Recorded::Unknown);
        }
        let whole = blob.filter(|b| b.len() as u64 == wanted);
        match whole.map(Attrs::parse) {
            Some(Ok(attrs)) => {
                let recorded = match attrs.owner {
                    Some(owner) => Recorded::Mode(owner.mode & 0o777),
                    None if attrs == Attrs::default() => Recorded::Unknown,
                    None => Recorded::Nothing,
                };
                let kept = if !self.options.skip_metadata {
                    Some(attrs)
                } else {
                    attrs.symlink.is_some().then(|| Attrs {
                        symlink: attrs.symlink,
                        ..Attrs::default()
                    })
                };
                (kept, recorded)
            }
            Some(Err(_)) => {
                if !quiet {
                    let line =
                        format!("the metadata of {shown} cannot be understood and is left out");
                    ui.warn("bad-metadata", &line);
                }
                (None, Recorded::Unknown)
            }
            None => {
                if !quiet {
                    self.report.incomplete(shown);
                    ui.error(&format!("the metadata of {shown} is lost"));
                }
                (None, Recorded::Unknown)
            }
        }
    }

    fn remove_begun(&mut self, no: u64, target: &Target) {
        remove_begun(self.place, self.temp_name, no, target);
    }

    /// What was written and where, at `-v`: new `+`, in the place of another `~`.
    pub(super) fn tell_written(
        &self,
        sign: char,
        target: &Target,
        name: &OsStr,
        size: Option<u64>,
        ui: &mut Ui,
    ) {
        ui.detail(|| {
            let mut parts = target.slices();
            parts.pop();
            let shown = self
                .place
                .shown(&[parts.as_slice(), &[name.as_bytes()]].concat());
            let size = size.map_or_else(String::new, |n| format!(" ({})", show_size(n)));
            format!("{sign} {shown}{size}")
        });
    }

    /// Remembers an entry that did not get the name it has in the version.
    pub(super) fn tell_beside(&mut self, target: &Target, name: &OsStr) {
        let stored = &target.record.entry.path;
        let windows = is_windows(stored);
        let is_end = |b: &u8| *b == b'/' || (windows && *b == b'\\');
        let stored = match stored.split_last() {
            Some((last, rest)) if is_end(last) => rest,
            _ => stored,
        };
        let start = stored.iter().rposition(is_end).map_or(0, |i| i + 1);
        let was = &stored[start..];
        let fitting = shortened(was, self.place.longest).unwrap_or_else(|| was.to_vec());
        let drive = windows && was.ends_with(b":");
        if drive || fitting == name.as_bytes() || target.parts.is_empty() {
            return;
        }
        let mut parts = target.slices();
        parts.pop();
        let at = |name: &[u8]| {
            let whole = [parts.as_slice(), &[name]].concat();
            self.place.shown(&whole)
        };
        let (was, is) = (at(&fitting), at(name.as_bytes()));
        self.report.beside(&was, &is);
    }

    fn folder(&mut self, ui: &mut Ui, known: &Known<'_>) -> io::Result<()> {
        let target = known.target;
        let parts = target.slices();
        if target.action == Action::Above && parts.is_empty() {
            self.root_mode &= known.recorded.most();
            return Ok(());
        }
        self.place.folder(&parts, target.action != Action::Above)?;
        let (dir, name) = match self.place.spot(&parts, false) {
            Ok(spot) => (spot.dir, spot.name.to_owned()),
            // The root folder of this machine keeps its attributes.
            Err(_) if parts.is_empty() => {
                self.report.folders += 1;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let access = match target.action {
            Action::Attributes => Access::Keep,
            _ if parts.is_empty() => Access::Keep,
            _ => Access::New(0o777),
        };
        let on = On {
            dir: &dir,
            name: &name,
            file: None,
        };
        if target.action == Action::Above {
            let closed = Known {
                attrs: None,
                target,
                ..*known
            };
            let done = self.mode(on, &closed, &access, true);
            tell_attributes(done, ui, known.shown);
            return Ok(());
        }
        self.report.folders += 1;
        ui.detail(|| format!("+ {}", known.shown));
        if parts.is_empty() {
            self.root_mode &= known.recorded.most();
            let owner = known.attrs.is_some_and(|a| a.owner.is_some());
            self.root_settled |= self.options.permissions && owner;
        }
        // That another name was found for it was told then.
        self.attributes(ui, on, known, &access);
        Ok(())
    }
}
