//! Where each chosen entry goes and what happens to it: names made to fit, ways found around what stands there, and which blocks
//! that takes. Writes nothing but removes what ended restores left.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::error::Result;
use crate::base::sys::FileKind;
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::EntryKind;
use crate::format::manifest::Params;
use crate::restore::arrange::arrange;
use crate::restore::choose::{Chosen, Wanted};
use crate::restore::finish::META_BYTES_AT_MOST;
use crate::restore::naming::{ATTEMPTS, beside, free_name, shortened};
use crate::restore::targets::{Action, Target, Targets};
use crate::restore::tree::{TargetTree, entry_error, parts};
use crate::restore::{Existing, RestoreOptions, RestoreReport, obey};
use crate::set::Needs;

/// Parts of a path, owned.
type Parts = Vec<Vec<u8>>;

/// A folder that cannot be where it belongs.
struct Detour {
    from: Parts,
    /// Where it goes instead; `None`: nowhere, what is there stays.
    to: Option<Parts>,
    /// What stood there will be gone, so nothing is below.
    cleared: bool,
}

pub(super) struct Gather<'a> {
    /// `None` for a dry run into a folder that is not there: everything is absent.
    pub(super) place: Option<&'a mut TargetTree>,
    pub(super) options: &'a RestoreOptions,
    pub(super) params: Params,
    /// Of the version, for names beside what is there.
    pub(super) date: &'a str,
    pub(super) prefix: &'a [u8],
    pub(super) targets: &'a mut Targets,
    pub(super) needs: &'a mut Needs,
    pub(super) report: &'a mut RestoreReport,
    pub(super) way: Way,
}

/// Where the pass over the entries is.
#[derive(Default)]
pub(super) struct Way {
    detours: Vec<Detour>,
    /// The folder looked through last for what was left; it and all above it are done.
    tidied: Option<Parts>,
    /// Files of ended restores that were removed.
    tidied_files: u64,
    /// The folder of which it was last said that its name is too long.
    shortened: Parts,
    /// The entry at hand is a folder for which a link to one makes way.
    own: bool,
    /// Folders of the version around the entry at hand, as stored.
    around: Vec<Vec<u8>>,
}

impl Way {
    /// True when the version lists the folder in which the entry `path` lies.
    fn is_inside(&mut self, path: &[u8], folder: bool) -> bool {
        while self.around.pop_if(|f| !path.starts_with(f)).is_some() {}
        let rest = self.around.last().and_then(|f| path.strip_prefix(&f[..]));
        let inside = rest.is_some_and(|rest| match rest.split_last() {
            Some((_, name)) => !name.contains(&b'/'),
            None => true,
        });
        if folder {
            self.around.push(path.to_vec());
        }
        inside
    }
}

impl Gather<'_> {
    pub(super) fn run(mut self, chosen: &Chosen, totals: Progress, ui: &mut Ui) -> Result<()> {
        let mut seen = totals;
        self.tidy(&[]);
        chosen.each(&mut |wanted| {
            obey()?;
            seen.files += u64::from(wanted.record.entry.kind == EntryKind::File);
            ui.progress("looking at what is there", seen);
            self.one(wanted, ui)
        })?;
        if self.way.tidied_files > 0 {
            let files = text::count(self.way.tidied_files, "file");
            ui.note(&format!("removed {files} that ended restores left"));
        }
        self.targets.seal()
    }

    fn one(&mut self, wanted: Wanted, ui: &mut Ui) -> Result<()> {
        let Wanted { record, above } = wanted;
        let path = &record.entry.path;
        let inside = if above && self.prefix.starts_with(path) {
            Some(Vec::new())
        } else {
            parts(path, self.prefix)
        };
        let Some(inside) = inside else {
            if !above {
                self.report.failed += 1;
                let shown = text::safe(path);
                ui.error(&format!(
                    "{shown} is not restored: its path leads out of the target"
                ));
            }
            return Ok(());
        };
        let folder = record.entry.kind == EntryKind::Folder;
        // A source that was a link to a folder is listed as a folder: in its own place the link stays.
        let home = self.options.target.is_none() || self.options.root.parent().is_none();
        self.way.own = (self.way.is_inside(path, folder) || !home) && folder;
        if inside.is_empty() && !folder {
            return Ok(());
        }
        let fitting = self.fit(&inside, path, above, ui);
        let mut target = Target {
            action: if above { Action::Above } else { Action::Create },
            parts: fitting,
            record,
        };
        match self.settle(&mut target, ui) {
            Ok(true) => self.push(&target),
            Ok(false) => Ok(()),
            Err(e) => {
                obey()?;
                let why = entry_error(&e)?;
                if !above {
                    self.report.failed += 1;
                    let shown = self.shown(&target.slices());
                    ui.error(&format!("cannot restore {shown}: {why}"));
                }
                Ok(())
            }
        }
    }

    fn shown(&self, parts: &[&[u8]]) -> String {
        match &self.place {
            Some(place) => place.shown(parts),
            None => text::safe(&parts.join(&b'/')),
        }
    }

    /// The parts with names that the file system takes.
    fn fit(&mut self, parts: &[&[u8]], path: &[u8], above: bool, ui: &mut Ui) -> Parts {
        let longest = self.place.as_ref().map_or(255, |p| p.longest);
        let mut out: Parts = Vec::with_capacity(parts.len());
        let mut cut = None;
        for (i, part) in parts.iter().enumerate() {
            match shortened(part, longest) {
                Some(short) => {
                    out.push(short);
                    cut = Some(i);
                }
                None => out.push(part.to_vec()),
            }
        }
        if let Some(i) = cut
            && !above
            && self.way.shortened != out[..=i]
        {
            self.way.shortened = out[..=i].to_vec();
            let name = text::safe(&out[i]);
            let shown = text::safe_cut(path, 400);
            ui.warn(
                "long-name",
                &format!(
                    "a name in {shown} is longer than the file system takes: it becomes {name}"
                ),
            );
        }
        out
    }

    /// Finds the way and what happens there; false when nothing does.
    fn settle(&mut self, target: &mut Target, ui: &mut Ui) -> io::Result<bool> {
        if self.place.is_none() {
            return Ok(true);
        }
        let cleared = match self.find_way(target, ui)? {
            Some(cleared) => cleared,
            None => {
                if target.action != Action::Above {
                    self.report.skipped += 1;
                }
                return Ok(false);
            }
        };
        let folder = target.record.entry.kind == EntryKind::Folder;
        let around = target.parts.len().saturating_sub(usize::from(!folder));
        let around = target.parts[..around].to_vec();
        self.tidy(&around);
        let Some(place) = self.place.as_mut() else {
            return Ok(true);
        };
        if !folder {
            if !cleared {
                arrange(
                    place,
                    target,
                    self.options,
                    self.params.file_hash,
                    self.date,
                    self.report,
                    ui,
                )?;
            }
            return Ok(true);
        }
        let slices = target.slices();
        if cleared || place.is_unfinished(&slices)? {
            place
                .close(&slices)
                .map_err(|e| io::Error::other(e.to_string()))?;
            return Ok(true);
        }
        drop(slices);
        if target.action == Action::Above {
            return Ok(false);
        }
        target.action = Action::Attributes;
        Ok(true)
    }

    /// Leads a target around what stands in its folders' places. True when nothing can be there; `None` when it has to stay out.
    fn find_way(&mut self, target: &mut Target, ui: &mut Ui) -> io::Result<Option<bool>> {
        let original = target.parts.clone();
        while self
            .way
            .detours
            .pop_if(|d| !original.starts_with(&d.from))
            .is_some()
        {}
        if let Some(detour) = self.way.detours.last() {
            let Some(to) = &detour.to else {
                return Ok(None);
            };
            target.parts.splice(..detour.from.len(), to.iter().cloned());
            if detour.cleared {
                return Ok(Some(true));
            }
        }
        let folder = target.record.entry.kind == EntryKind::Folder;
        loop {
            let Some(place) = self.place.as_mut() else {
                return Ok(Some(false));
            };
            let Some(depth) = place.obstacle(&target.slices(), folder, self.way.own)? else {
                return Ok(Some(false));
            };
            let mut detour = Detour {
                from: original[..depth].to_vec(),
                to: None,
                cleared: false,
            };
            match self.options.existing {
                Existing::Skip => {
                    self.way.detours.push(detour);
                    return Ok(None);
                }
                Existing::Overwrite => {
                    detour.to = Some(target.parts[..depth].to_vec());
                    detour.cleared = true;
                    let clear = self.clear(&target.parts[..depth], target)?;
                    self.targets
                        .push(&clear)
                        .map_err(|e| io::Error::other(e.to_string()))?;
                    self.way.detours.push(detour);
                    return Ok(Some(true));
                }
                Existing::Rename | Existing::Newer => {
                    let to = self.dated(&target.parts[..depth])?;
                    let (was, is) = (
                        self.shown(&slices(&target.parts[..depth])),
                        self.shown(&slices(&to)),
                    );
                    self.report.beside(&was, &is);
                    ui.verbose(&format!(
                        "{was} is there and no folder: what belongs into it goes to {is}"
                    ));
                    target.parts.splice(..depth, to.iter().cloned());
                    detour.to = Some(to);
                    self.way.detours.push(detour);
                }
            }
        }
    }

    /// The target that moves away what stands in the place of the folder `parts`.
    fn clear(&mut self, parts: &[Vec<u8>], like: &Target) -> io::Result<Target> {
        let longest = self.place.as_ref().map_or(255, |p| p.longest);
        let mut aside = parts.to_vec();
        if let Some(place) = self.place.as_mut() {
            let slices = slices(parts);
            let spot = place.spot(&slices, false)?;
            let name = free_name(&spot.dir, spot.name, self.date, longest)?;
            aside.push(name.into_vec());
        }
        let mut raw = Vec::new();
        like.record.encode(&mut raw);
        Ok(Target {
            action: Action::Clear,
            parts: aside,
            record: crate::set::Record::decode(&raw)
                .map_err(|e| io::Error::other(e.to_string()))?,
        })
    }

    /// Where a folder goes whose name is taken by something else: a dated name that is free, or a folder already.
    fn dated(&mut self, parts: &[Vec<u8>]) -> io::Result<Parts> {
        let mut to = parts.to_vec();
        let Some(place) = self.place.as_mut() else {
            return Ok(to);
        };
        let longest = place.longest;
        let slices = slices(parts);
        let spot = place.spot(&slices, false)?;
        for attempt in 0..ATTEMPTS {
            let name = beside(spot.name.as_bytes(), self.date, attempt, longest);
            match spot.dir.stat(OsStr::from_bytes(&name)) {
                Ok(there) if there.kind != FileKind::Folder => continue,
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            if let Some(last) = to.last_mut() {
                *last = name;
            }
            return Ok(to);
        }
        let name: OsString = free_name(&spot.dir, spot.name, self.date, longest)?;
        if let Some(last) = to.last_mut() {
            *last = name.into_vec();
        }
        Ok(to)
    }

    /// Removes what ended restores left in a folder and in those above it, each once.
    fn tidy(&mut self, folder: &[Vec<u8>]) {
        let (Some(place), false) = (self.place.as_mut(), self.options.dry_run) else {
            return;
        };
        let done = self.way.tidied.as_ref().map_or(0, |done| {
            1 + done.iter().zip(folder).take_while(|(a, b)| a == b).count()
        });
        if done > folder.len() {
            return;
        }
        for depth in done..=folder.len() {
            self.way.tidied_files += place.tidy(&slices(&folder[..depth]));
        }
        self.way.tidied = Some(folder.to_vec());
    }

    /// Adds a settled target and wants its blocks.
    fn push(&mut self, target: &Target) -> Result<()> {
        let number = self.targets.len();
        let entry = &target.record.entry;
        let written = matches!(target.action, Action::Create | Action::Replace);
        if written && entry.kind == EntryKind::File {
            match &entry.content {
                Some(content) => {
                    let at = &target.record.extents.data;
                    self.needs.add_at(content, at, number, false)?;
                }
                None => self.needs.lose(number, false)?,
            }
        }
        // Without metadata, too, a link needs its text, and what is new its mode.
        let wanted = match target.action {
            Action::Leave | Action::Clear => false,
            Action::Attributes => !self.options.skip_metadata || entry.kind == EntryKind::Symlink,
            Action::Create | Action::Replace | Action::Above => true,
        };
        if wanted && let Some(meta) = &entry.meta {
            if meta.size > META_BYTES_AT_MOST {
                self.needs.lose(number, true)?;
            } else {
                let at = &target.record.extents.meta;
                self.needs.add_at(meta, at, number, true)?;
            }
        }
        self.targets.push(target)
    }
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}
