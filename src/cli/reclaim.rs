//! Versions that go and space that comes back: what `delete`, `compact` and a backup with retention have in common.

use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::session::tell_facts;
use crate::cli::spared::Absent;
use crate::cli::{Call, backup_options, decisions, options as o, retained, spared};
use crate::set::Set;
use crate::upkeep::compact::{self, How, Report};
use crate::upkeep::retention::Retention;
use crate::upkeep::waste::Tally;
use crate::upkeep::whole::Going;
use crate::writer;

/// How the call wants space reclaimed.
pub(super) fn how(call: &Call) -> Result<How> {
    let (volume_size, level) = backup_options::volume_size_and_level(call, 0)?;
    Ok(How {
        rules: retained::compact_rules(call, volume_size)?,
        level,
        dry_run: call.options.flag(&o::DRY_RUN),
    })
}

/// True when space may be reclaimed without being asked for: it is not switched off, and the last time is long enough ago, as
/// far as the cache knows.
pub(super) fn is_due(set: &mut Set, how: &How) -> bool {
    let rules = &how.rules;
    let since = |at: Timestamp| Timestamp::now().0.saturating_sub(at.0);
    let least = i64::try_from(rules.least_seconds_between).unwrap_or(i64::MAX);
    rules.by_itself
        && (least == 0
            || set
                .cache()
                .compacted()
                .is_none_or(|at| !(0..least).contains(&since(at))))
}

/// After a backup: deletes what its rule says, but what is to be spared, then reclaims space if that deleted something, or if the last
/// volume that was written is small and there are enough such volumes. True when it was stopped before its end.
pub(super) fn after_backup(
    set: &mut Set,
    ui: &mut Ui,
    (retention, absent): (&Retention, &Absent),
    how: &How,
    last_dblock: u64,
) -> Result<bool> {
    let (times, going) = match retention.is_empty() {
        true => (Vec::new(), Going::default()),
        false => {
            let mut decided = decisions::decide(set, ui, retention, None)?;
            spared::spare(set, ui, absent, retention, &mut decided)?;
            (decided.times, decided.going)
        }
    };
    let drop = &going.versions;
    let small = last_dblock > 0 && last_dblock <= how.rules.small_size;
    let reclaim = (!drop.is_empty() || small && are_many_small(set, how)) && is_due(set, how);
    if drop.is_empty() && !reclaim {
        return Ok(false);
    }
    let report = compact::run(set, ui, how, &going, reclaim)?;
    let left: Vec<Timestamp> = set.versions().collect();
    let gone = times.iter().filter(|t| !left.contains(t)).count();
    if !drop.is_empty() {
        ui.result(&format!(
            "{} deleted",
            text::count(gone as u64, "old version")
        ));
    }
    ui.json(|w| {
        w.key("DeletedVersions")?;
        w.number(gone as i128)
    });
    tell(&report, how, ui);
    let stopped = report.stopped;
    if stopped {
        ui.result("stopped while old versions and unused space went; the next backup goes on");
    }
    refused(report, ui)?;
    Ok(stopped)
}

/// What a dry run of a backup says of its rule: which versions would go, and what a compaction would free. `new` is the time of
/// the version that would be added, if one would. True when a version would go.
///
/// What that version needs nobody knows yet: for the count the newest one that is there stays in its place.
pub(super) fn would_be_after_backup(
    set: &mut Set,
    ui: &mut Ui,
    (retention, absent): (&Retention, &Absent),
    how: &How,
    new: Option<Timestamp>,
) -> Result<bool> {
    if retention.is_empty() || set.versions().next().is_none() {
        return Ok(false);
    }
    let mut decided = decisions::decide(set, ui, retention, new)?;
    spared::spare(set, ui, absent, retention, &mut decided)?;
    let before = usize::from(new.is_some());
    decisions::show(ui, false, &decided.times, &decided.decisions, before);
    let mut going = decided.going;
    if going.versions.is_empty() {
        return Ok(false);
    }
    let all = going.versions.len();
    going.versions.retain(|no| before == 0 || *no > 0);
    let due = is_due(set, how);
    let report = compact::run(set, ui, how, &going, due)?;
    if due && going.versions.len() < all {
        ui.note("what would come back is counted as if the newest version that is there stayed");
    }
    tell(&report, how, ui);
    refused(report, ui)?;
    Ok(true)
}

/// By the listing alone: small volumes would be put together.
fn are_many_small(set: &Set, how: &How) -> bool {
    let mut small = Tally::default();
    let volumes = set.volumes();
    for (_, size) in (0..volumes.dblock_count()).filter_map(|no| volumes.dblock(no)) {
        if let Some(size) = size.filter(|s| *s <= how.rules.small_size) {
            small.add(size);
        }
    }
    small.volumes > how.rules.small_count || small.bytes > how.rules.volume_size
}

/// Ends a run that may have changed the destination: what the destination wants to say about it, such as the new address of
/// an IPFS folder.
pub(super) fn finish(set: &mut Set, report: &Report, ui: &mut Ui) -> Result<()> {
    if !report.changed() {
        return Ok(());
    }
    tell_facts(&writer::finish(set, ui)?, ui);
    Ok(())
}

/// Says why space was not reclaimed, or not all of it, where other things were done all the same. `Err` when another program
/// wrote meanwhile.
pub(super) fn refused(report: Report, ui: &mut Ui) -> Result<()> {
    if let Some(why) = report.refused {
        ui.warn("not-reclaimed", &why.to_string());
    }
    match report.failed {
        Some(why) if report.disturbed => Err(why),
        Some(why) => {
            ui.error(&why.to_string());
            Ok(())
        }
        None => Ok(()),
    }
}

/// What was found, and what was done or would be.
pub(super) fn tell(report: &Report, how: &How, ui: &mut Ui) {
    let dry = how.dry_run;
    if let Some(plan) = &report.plan {
        let of = |tally: &Tally| format!("{} ({})", tally.volumes, show_size(tally.bytes));
        let line = format!(
            "volumes: {} deletable, {} wasteful, {} small: {}",
            of(&plan.deletable),
            of(&plan.wasteful),
            of(&plan.small),
            measure(how)
        );
        let nothing = plan.is_nothing() && report.deleted[2] == 0;
        match dry || !nothing {
            true => ui.result(&line),
            false => ui.verbose(&line),
        }
        let word = if plan.rewritten.volumes > 0 {
            "rewritten"
        } else {
            "not rewritten"
        };
        ui.verbose(&format!("{word}: {}", plan.why));
        if dry && nothing {
            ui.result(&format!("nothing would be reclaimed: {}", plan.why));
        } else if dry {
            ui.result(&format!(
                "would delete {} and rewrite {}: download up to {}, upload {}, free {}",
                text::count(plan.deletable.volumes, "volume"),
                plan.rewritten.volumes,
                show_size(plan.rewritten.bytes),
                show_size(plan.upload),
                show_size(plan.freed())
            ));
        }
    }
    if report.orphans.volumes > 0 {
        let (all, old) = (report.orphans, report.old_orphans.volumes);
        let volumes = text::count(all.volumes, "volume");
        let (have, they, them) = match all.volumes {
            1 => ("has", "it", "it"),
            _ => ("have", "they", "them"),
        };
        let then = match (dry, old) {
            (_, 0) => format!(
                "; {they} {} left, as the next backup may use {}, or until {they} {} a day older than the newest version",
                if all.volumes == 1 { "is" } else { "are" },
                them,
                if all.volumes == 1 { "is" } else { "are" },
            ),
            _ => String::new(),
        };
        ui.note(&format!(
            "{volumes} ({}) {have} no index and no version needs {them}: interrupted runs leave such{then}",
            show_size(all.bytes)
        ));
    }
    if !dry && report.deleted[1] + report.deleted[2] + report.new_dblocks > 0 {
        ui.result(&format!(
            "{} deleted, {} written: {} freed",
            text::count(report.deleted[2], "volume"),
            report.new_dblocks,
            show_size(report.freed())
        ));
    }
    json(report, how, ui);
}

/// By which size volumes are judged: no volume says what size it was meant to have.
fn measure(how: &How) -> String {
    format!(
        "up to {}, judged by --dblock-size={}",
        show_size(how.rules.small_size),
        exact(how.rules.volume_size)
    )
}

/// A size as an option takes it.
fn exact(bytes: u64) -> String {
    for (unit, suffix) in [(1u64 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return format!("{}{suffix}", bytes / unit);
        }
    }
    format!("{bytes}b")
}

fn json(report: &Report, how: &How, ui: &mut Ui) {
    ui.json(|w| {
        let mut n = |key: &str, n: u64| -> std::io::Result<()> {
            w.key(key)?;
            w.number(n.into())
        };
        if let Some(plan) = &report.plan {
            for (name, tally) in [
                ("Deletable", &plan.deletable),
                ("Wasteful", &plan.wasteful),
                ("Small", &plan.small),
                ("Rewritten", &plan.rewritten),
            ] {
                n(&format!("{name}Volumes"), tally.volumes)?;
                n(&format!("{name}Bytes"), tally.bytes)?;
            }
            n("JudgedByVolumeSize", how.rules.volume_size)?;
            n("JudgedBySmallSize", how.rules.small_size)?;
            n("EstimatedUpload", plan.upload)?;
            n("EstimatedFreed", plan.freed())?;
        }
        n("VolumesWithoutIndex", report.orphans.volumes)?;
        n("DeletedFileCount", report.deleted.iter().sum())?;
        n("DeletedFileSize", report.deleted_bytes)?;
        n("FilesLeft", report.left)?;
        n("NewVolumes", report.new_dblocks)?;
        n("CopiedBlocks", report.copied_blocks)?;
        n("ReclaimUploadedBytes", report.uploaded_bytes)?;
        n("ReclaimDownloadedBytes", report.traffic.bytes_down)?;
        n("ReclaimFilesUploaded", report.traffic.puts)?;
        n("ReclaimFilesDownloaded", report.traffic.gets)?;
        n("ReclaimRemoteCalls", report.traffic.calls)?;
        n("FreedBytes", report.freed())?;
        n("DamagedVolumes", report.damaged)
    });
}
