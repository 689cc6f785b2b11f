//! What a dry run tells: what would be made and replaced. Of links whose name is taken it reads what they lead to, for some may be
//! right as they are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::base::digest::BlockKey;
use crate::base::error::Result;
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::format::meta::Attrs;
use crate::restore::finish::{Finish, Known, Recorded};
use crate::restore::links::Way;
use crate::restore::plan::{Plan, planned};
use crate::restore::targets::{Action, Target};
use crate::restore::told::Bits;
use crate::restore::{obey, tree::entry_error};
use crate::set::{BlockIndex, Set, Share, VolumeNo};

/// Links that are read at a time.
const LINKS_AT_ONCE: usize = 512;
/// Bytes that a block costs at least where a volume is read in parts.
const PART_BYTES: u64 = 32 << 10;

/// Links that are not simply made.
#[derive(Default)]
pub(super) struct Links {
    /// Nothing happens to them.
    left: Bits,
    replaced: Bits,
}

/// Looks at the links whose names are taken, volume by volume of the plan.
pub(super) fn links(
    finish: &mut Finish<'_>,
    set: &mut Set,
    places: &BlockIndex,
    plan: &Plan,
    ui: &mut Ui,
) -> Result<Links> {
    let mut links = Links::default();
    // Into a folder that is not there nothing is in the way.
    if finish.targets.links == 0 || !finish.report.root.is_dir() {
        return Ok(links);
    }
    let mut batch: Vec<(BlockKey, u64)> = Vec::new();
    let mut volume = None;
    let mut reader = plan.run.reader();
    while let Some(record) = reader.next()? {
        obey()?;
        let (place, goal) = planned(record)?;
        if !goal.meta || goal.offset != 0 || !is_taken(finish, &finish.targets.get(goal.target)?) {
            continue;
        }
        if volume.is_some_and(|no| no != place.no) || batch.len() == LINKS_AT_ONCE {
            look(finish, set, places, (volume, &mut batch), &mut links, ui)?;
        }
        volume = Some(place.no);
        batch.push((place.key, goal.target));
    }
    look(finish, set, places, (volume, &mut batch), &mut links, ui)?;
    Ok(links)
}

fn is_taken(finish: &mut Finish<'_>, target: &Target) -> bool {
    let written = matches!(target.action, Action::Create | Action::Replace);
    written && target.record.entry.kind == EntryKind::Symlink && {
        let parts = target.slices();
        let spot = finish.place.spot(&parts, false);
        spot.is_ok_and(|spot| spot.dir.stat(spot.name).is_ok())
    }
}

/// Settles the links of a batch, whose texts are in one volume. Those that cannot be read stay to be made.
fn look(
    finish: &mut Finish<'_>,
    set: &mut Set,
    places: &BlockIndex,
    (volume, batch): (Option<VolumeNo>, &mut Vec<(BlockKey, u64)>),
    links: &mut Links,
    ui: &mut Ui,
) -> Result<()> {
    let Some(no) = volume.filter(|_| !batch.is_empty()) else {
        return Ok(());
    };
    let share = Share::Bytes(PART_BYTES.saturating_mul(batch.len() as u64));
    let keys: Vec<BlockKey> = batch.iter().map(|(key, _)| *key).collect();
    let shelf = set.shelf(ui, no, places.expected(no)?, share);
    let shelf = shelf.and_then(|mut shelf| shelf.fetch(set, ui, &keys).map(|()| shelf));
    let mut shelf = match shelf {
        Ok(shelf) => shelf,
        Err(e) if e.kind().is_volume_or_key() => {
            ui.verbose(&e.to_string());
            batch.clear();
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let mut block = Vec::new();
    for (key, no) in batch.drain(..) {
        if !shelf.block(&key, &mut block)? {
            continue;
        }
        let Ok(attrs) = Attrs::parse(&block) else {
            continue;
        };
        let target = finish.targets.get(no)?;
        let shown = finish.place.shown(&target.slices());
        let known = Known {
            attrs: Some(&attrs),
            recorded: Recorded::Nothing,
            target: &target,
            shown: &shown,
        };
        let Some(link) = known.link() else {
            continue;
        };
        match finish.way(ui, &known, link) {
            Ok(Way::Equal(_)) => {
                finish.report.unmodified += 1;
                links.left.set(no);
            }
            Ok(Way::Skip) => {
                finish.report.skipped += 1;
                links.left.set(no);
            }
            Ok(Way::Replace { .. }) => links.replaced.set(no),
            Ok(Way::New(name)) => finish.tell_beside(&target, &name),
            Err(e) => {
                let why = entry_error(&e)?;
                finish.report.failed += 1;
                links.left.set(no);
                ui.error(&format!("cannot restore {shown}: {why}"));
            }
        }
    }
    Ok(())
}

/// Tells and counts what would be done.
pub(super) fn summary(
    finish: &mut Finish<'_>,
    links: &Links,
    lost: u64,
    ui: &mut Ui,
) -> Result<()> {
    let report = &mut *finish.report;
    for no in 0..finish.targets.len() {
        let target = finish.targets.get(no)?;
        let entry = &target.record.entry;
        let nothing = matches!(target.action, Action::Leave | Action::Above | Action::Clear);
        if nothing || links.left.has(no) {
            continue;
        }
        match entry.kind {
            // Its content is there.
            EntryKind::File if target.action == Action::Attributes => {}
            EntryKind::File => {
                report.files += 1;
                report.bytes += entry.content.as_ref().map_or(0, |c| c.size);
            }
            EntryKind::Folder => report.folders += 1,
            EntryKind::Symlink => report.symlinks += 1,
        }
        let verb = match (target.action, entry.kind) {
            _ if links.replaced.has(no) => "replace",
            (Action::Replace, _) => "replace",
            (Action::Attributes, _) => "set attributes of",
            _ => "create",
        };
        let mut path = report.root.clone();
        path.extend(target.parts.iter().map(|p| OsStr::from_bytes(p)));
        ui.result(&format!(
            "would {verb} {}",
            text::safe(path.as_os_str().as_bytes())
        ));
    }
    if lost > 0 {
        ui.error(&format!(
            "{} of the chosen entries are not stored anywhere",
            text::count(lost, "block")
        ));
    }
    Ok(())
}
