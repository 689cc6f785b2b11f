//! What stands in the place of a folder, with `--overwrite`: moved to a dated name before anything is written, and removed in the
//! end when all went well. So nothing is gone for a folder whose content turns out to be lost.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::restore::targets::{Action, Targets};
use crate::restore::tree::{TargetTree, entry_error};

/// Moves everything aside that is in a folder's place. Trouble is told; what belongs into the folder then fails by itself.
pub(super) fn move_aside(place: &mut TargetTree, targets: &Targets, ui: &mut Ui) -> Result<()> {
    each(targets, &mut |path, aside| {
        let shown = place.shown(path);
        let moved = place
            .spot(path, false)
            .and_then(|s| s.dir.rename_noreplace(s.name, aside));
        if let Err(e) = moved {
            let why = entry_error(&e)?;
            ui.error(&format!(
                "cannot move {shown}, which is in a folder's place: {why}"
            ));
        }
        Ok(())
    })
}

/// Removes what was moved aside if `all_well`; else says where it is.
pub(super) fn settle(
    place: &mut TargetTree,
    targets: &Targets,
    all_well: bool,
    ui: &mut Ui,
) -> Result<()> {
    each(targets, &mut |path, aside| {
        let shown = place.shown(path);
        let Ok(spot) = place.spot(path, false) else {
            return Ok(());
        };
        if spot.dir.stat(aside).is_err() {
            return Ok(());
        }
        let name = crate::base::text::safe(aside.as_bytes());
        if !all_well {
            ui.note(&format!("what was at {shown} is kept as {name}"));
        } else if let Err(e) = spot.dir.unlink(aside) {
            let why = entry_error(&e)?;
            ui.warn(
                "kept-aside",
                &format!("what was at {shown} cannot be removed and is kept as {name}: {why}"),
            );
        }
        Ok(())
    })
}

/// Hears of the path that has to be free, and of the name that what is there gets.
type Each<'a> = dyn FnMut(&[&[u8]], &OsStr) -> Result<()> + 'a;

fn each(targets: &Targets, each: &mut Each<'_>) -> Result<()> {
    let all = if targets.clears == 0 {
        0
    } else {
        targets.len()
    };
    for no in 0..all {
        let target = targets.get(no)?;
        if target.action == Action::Clear
            && let Some((aside, path)) = target.slices().split_last()
        {
            each(path, OsStr::from_bytes(aside))?;
        }
    }
    Ok(())
}
