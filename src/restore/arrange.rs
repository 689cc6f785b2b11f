//! What happens to an entry, by what is at its place already. Writes nothing.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::sys::FileKind;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::restore::begun::hash_file;
use crate::restore::naming::{ATTEMPTS, beside, free_name};
use crate::restore::targets::{Action, Target};
use crate::restore::tree::TargetTree;
use crate::restore::{Existing, RestoreOptions, RestoreReport};

/// Decides what happens to one entry by what is at its place (`commands.md` 10.2).
pub(super) fn arrange(
    place: &mut TargetTree,
    target: &mut Target,
    options: &RestoreOptions,
    algo: crate::base::digest::Algo,
    date: &str,
    report: &mut RestoreReport,
    ui: &mut Ui,
) -> io::Result<()> {
    let longest = place.longest;
    let entry = &target.record.entry;
    if entry.kind != EntryKind::File {
        return Ok(());
    }
    let slices = target.slices();
    let spot = place.spot(&slices, false);
    let there = match spot.and_then(|spot| spot.dir.stat(spot.name)) {
        Ok(stat) => stat,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let full = there.kind == FileKind::Folder && place.is_full_folder(&slices);
    let shown = full.then(|| place.shown(&slices));
    let spot = place.spot(&slices, false)?;
    let content = entry.content.as_ref();
    let same = |name: &OsStr| -> io::Result<bool> {
        let Some((wanted, size)) = content.and_then(|c| Some((c.hash?, c.size))) else {
            return Ok(false);
        };
        let stat = spot.dir.stat(name)?;
        if stat.kind != FileKind::File || stat.size != size {
            return Ok(false);
        }
        Ok(hash_file(&spot.dir.open_file(name, false)?, algo)? == wanted)
    };
    let equal = there.kind == FileKind::File && same(spot.name)?;
    let (action, name) = match options.existing {
        _ if equal => {
            report.unmodified += 1;
            let overwrite = matches!(options.existing, Existing::Overwrite | Existing::Newer);
            (
                if overwrite {
                    Action::Attributes
                } else {
                    Action::Leave
                },
                None,
            )
        }
        Existing::Skip => {
            report.skipped += 1;
            (Action::Leave, None)
        }
        Existing::Newer if entry.time.is_none_or(|t| there.mtime.0 >= t.0) => {
            report.skipped += 1;
            (Action::Leave, None)
        }
        Existing::Overwrite | Existing::Newer if !full => (Action::Replace, None),
        existing => {
            if existing != Existing::Rename {
                let shown = shown.unwrap_or_default();
                ui.warn("folder-in-the-way", &format!("{shown} is a folder with something in it, which stays: the file gets another name"));
            }
            let mut choice = None;
            for attempt in 0..ATTEMPTS {
                let name = std::ffi::OsString::from_vec(beside(
                    spot.name.as_bytes(),
                    date,
                    attempt,
                    longest,
                ));
                if spot.dir.stat(&name).is_err() {
                    choice = Some((Action::Create, Some(name)));
                    break;
                }
                if same(&name).unwrap_or(false) {
                    report.unmodified += 1;
                    choice = Some((Action::Leave, None));
                    break;
                }
            }
            match choice {
                Some(choice) => choice,
                None => (
                    Action::Create,
                    Some(free_name(&spot.dir, spot.name, date, longest)?),
                ),
            }
        }
    };
    drop(slices);
    target.action = action;
    if let (Some(name), Some(last)) = (name, target.parts.last_mut()) {
        *last = name.into_vec();
    }
    Ok(())
}
