//! Layer 6: the restore. Chooses a version and entries, plans which blocks of which volumes are needed, fetches each volume
//! once, writes blocks where they belong, and finishes every entry under its name only when it is whole.

mod arrange;
mod attrs;
mod choose;
mod directory;
mod finish;
mod lists;
mod place;
mod plan;
mod scatter;
mod targets;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::base::error::{Error, Kind, Result};
use crate::base::rand;
use crate::base::sys::{self, Users};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::EntryKind;
use crate::select::{Case, FilterSet, Selection};
use crate::set::{Record, Set, VersionChoice};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

use arrange::arrange;
use choose::{choose, settle_root, survey};
use finish::{Finish, META_BYTES_AT_MOST, sweep};
use place::{Place, entry_error, parts};
use plan::{Wants, join};
use scatter::Scatter;
use targets::{Action, Target, Targets};

/// What to do where something is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Restore beside it.
    Rename,
    Skip,
    Overwrite,
    /// Overwrite what is older than the stored file.
    Newer,
}

/// What to restore and how.
pub(crate) struct RestoreOptions {
    pub(crate) version: VersionChoice,
    pub(crate) selection: Selection,
    pub(crate) filters: FilterSet,
    pub(crate) case: Case,
    /// `None`: to the original place.
    pub(crate) target: Option<PathBuf>,
    /// Keep whole paths below the target.
    pub(crate) whole_paths: bool,
    pub(crate) existing: Existing,
    pub(crate) permissions: bool,
    pub(crate) symlink_metadata: bool,
    pub(crate) skip_metadata: bool,
    /// Follow links on the way to a target.
    pub(crate) allow_outside: bool,
    /// Compare whole-file hashes.
    pub(crate) verify: bool,
    pub(crate) dry_run: bool,
    /// Do not download dblocks that no index volume describes.
    pub(crate) no_scan: bool,
    /// Filled in by `run`: the folder everything goes below.
    pub(crate) root: PathBuf,
}

/// What a restore did.
#[derive(Default)]
pub(crate) struct RestoreReport {
    pub(crate) version: Option<(usize, Timestamp)>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) folders: u64,
    pub(crate) symlinks: u64,
    pub(crate) unmodified: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    pub(crate) volumes: u64,
    /// Bytes of the volumes needed (dry run: that would be fetched).
    pub(crate) volume_bytes: u64,
    pub(crate) incomplete_count: u64,
    /// The first of them.
    pub(crate) incomplete_names: Vec<String>,
    /// The one counted last: an entry may lose data and metadata.
    incomplete_last: String,
    pub(crate) root: PathBuf,
    /// Selected: files and bytes.
    pub(crate) selected: (u64, u64),
}

const INCOMPLETE_NAMED: usize = 100;

impl RestoreReport {
    fn incomplete(&mut self, name: &str) {
        if self.incomplete_last == name {
            return;
        }
        name.clone_into(&mut self.incomplete_last);
        self.incomplete_count += 1;
        if self.incomplete_names.len() < INCOMPLETE_NAMED {
            self.incomplete_names.push(name.to_owned());
        }
    }
}

/// Restores. Trouble with single entries is told through `ui` and counted; the error is for what ends everything.
pub(crate) fn run(
    set: &mut Set,
    mut options: RestoreOptions,
    ui: &mut Ui,
) -> Result<RestoreReport> {
    let mut report = RestoreReport::default();
    let (no, run) = choose(set, &options, ui)?;
    let time = set
        .versions()
        .nth(no)
        .ok_or_else(|| Error::bug("a chosen version has a time"))?;
    report.version = Some((no, time));
    let params = set.learn_params(ui)?;
    let (prefix, selected) = survey(&run, &options)?;
    report.selected = (selected.files_total, selected.bytes_total);
    let prefix = settle_root(&mut options, prefix)?;
    report.root.clone_from(&options.root);
    let place = Place::open(
        &options.root,
        options.allow_outside,
        options.permissions,
        options.dry_run,
    )?;
    // A dry run into a folder that is not there: everything is absent.
    let fresh = place.is_none();
    let mut place = match place {
        Some(place) => place,
        None => Place::open(&PathBuf::from("/"), false, false, true)?
            .ok_or_else(|| Error::bug("the root folder exists"))?,
    };
    let tmp = set.tmp().clone();
    let mut targets = Targets::new(&tmp)?;
    let mut wants = Wants::new(&tmp, params);
    let date = time.local()[..10].to_owned();
    let mut seen = Progress {
        files: 0,
        bytes: 0,
        ..selected
    };
    let mut reader = run.reader();
    while let Some(raw) = reader.next()? {
        obey()?;
        let record = Record::decode(raw)?;
        seen.files += u64::from(record.entry.kind == EntryKind::File);
        ui.progress("looking at what is there", seen);
        let Some(path) = parts(&record.entry.path, &prefix)
            .map(|p| p.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
        else {
            report.failed += 1;
            ui.error(&format!(
                "{} is not restored: its path leads out of the target",
                text::safe(&record.entry.path)
            ));
            continue;
        };
        if path.is_empty() && record.entry.kind != EntryKind::Folder {
            continue;
        }
        let mut target = Target {
            action: Action::Create,
            parts: path,
            record,
        };
        if !fresh {
            match arrange(
                &mut place,
                &mut target,
                &options,
                params.file_hash,
                &date,
                &mut report,
            ) {
                Ok(()) => {}
                Err(e) => {
                    obey()?;
                    let why = entry_error(&e)?;
                    report.failed += 1;
                    ui.error(&format!(
                        "cannot restore {}: {why}",
                        place.shown(&target.slices())
                    ));
                    continue;
                }
            }
        }
        let number = targets.len();
        let entry = &target.record.entry;
        if matches!(target.action, Action::Create | Action::Replace)
            && entry.kind == EntryKind::File
        {
            match &entry.content {
                Some(content) => wants.add(content, number, false)?,
                None => wants.lose(number, false)?,
            }
        }
        // The target of a link is in its metadata.
        if (!options.skip_metadata || entry.kind == EntryKind::Symlink)
            && target.action != Action::Leave
            && let Some(meta) = &entry.meta
        {
            if meta.size > META_BYTES_AT_MOST {
                wants.lose(number, true)?;
            } else {
                wants.add(meta, number, true)?;
            }
        }
        targets.push(&target)?;
    }
    targets.seal()?;

    let (mut places, index) = wants.resolve(set, ui)?;
    for (name, why) in &index.unreadable {
        ui.warn(
            "unreadable-index",
            &format!("index volume {name} is damaged: {why}"),
        );
    }
    let wanted = wants.take()?;
    let temp_prefix = format!(".duplet-restore-{}", rand::hex::<8>()?);
    let mut scatter = Scatter::new(
        &mut place,
        &targets,
        set,
        temp_prefix.clone(),
        options.permissions,
    );
    scatter.progress = Progress {
        files: 0,
        bytes: 0,
        files_total: 0,
        ..selected
    };
    wants.lost(&mut |number, meta| scatter.spoil(number, meta))?;
    let mut lost = Sorter::new(&tmp, 1 << 20);
    let keep = |sorter: &mut Sorter, key: &crate::base::digest::BlockKey, goal: plan::Goal| {
        let mut record = key.as_bytes().to_vec();
        goal.encode(&mut record);
        sorter.add(&record)
    };
    let mut plan = join(&wanted, &places, set, &scatter.failed, &mut |key, goal| {
        keep(&mut lost, key, goal)
    })?;
    let mut lost = lost.finish()?.into_run()?;
    if !lost.is_empty() && !index.unindexed.is_empty() && !options.no_scan {
        let bytes: u64 = index
            .unindexed
            .iter()
            .filter_map(|&n| set.volumes().dblock(n)?.1)
            .sum();
        ui.note(&format!(
            "reading {} ({}) that no index volume describes",
            text::count(index.unindexed.len() as u64, "dblock volume"),
            crate::base::size::show_size(bytes)
        ));
        set.index_dblocks(ui, &index.unindexed, &mut places)?;
        let mut still = Sorter::new(&tmp, 1 << 20);
        plan = join(&wanted, &places, set, &scatter.failed, &mut |key, goal| {
            keep(&mut still, key, goal)
        })?;
        lost = still.finish()?.into_run()?;
    }
    if !lost.is_empty() {
        tell_lost(&lost, &index, ui);
    }
    report.volume_bytes = plan.bytes;
    report.volumes = plan.volumes;
    if options.dry_run {
        dry_summary(&targets, &mut report, lost.len(), ui)?;
        return Ok(report);
    }
    give_up(&mut scatter, &lost)?;
    let ended = fetch_all(&mut scatter, set, &places, plan, ui).err();
    report.volumes = scatter.volumes;
    let Scatter {
        metas,
        bad,
        settled,
        ..
    } = scatter;
    let only_whole = ended.is_some();
    let finishing = || {
        let mut finish = Finish {
            place: &mut place,
            targets: &targets,
            options: &options,
            params,
            temp_name: &temp_prefix,
            date,
            metas: metas.finish()?,
            bad: bad.finish()?,
            meta_head: None,
            bad_head: None,
            users: Users::new(),
            owner_trouble: false,
            only_whole,
            report: &mut report,
        };
        finish.run(ui)
    };
    let finished = if only_whole && !settled {
        Ok(())
    } else {
        finishing()
    };
    if let Some(e) = ended.or(finished.err()) {
        sweep(&mut place, &targets, &temp_prefix);
        ui.note(&format!(
            "finished before the end: {}",
            text::count(report.files, "file")
        ));
        return Err(match e.kind() {
            Kind::Interrupted => stopped(),
            _ => e,
        });
    }
    if set.cache().is_on() && index.clean() && index.fetched > 0 {
        remember(set, &places, ui);
    }
    Ok(report)
}

/// What ends a restore that was asked to stop.
fn stopped() -> Error {
    Error::new(Kind::Interrupted, "stopped before all files were restored")
        .hint("run again: finished files are kept")
}

/// Fails once a stop is requested.
fn obey() -> Result<()> {
    match sys::stops_requested() {
        0 => Ok(()),
        _ => Err(stopped()),
    }
}

/// Says which volumes the lost blocks were in, as far as index volumes know.
fn tell_lost(lost: &Run, index: &crate::set::IndexReport, ui: &mut Ui) {
    let blocks = text::count(lost.len(), "needed block");
    let named = index.missing.join(", ");
    let rest = index.missing_count - index.missing.len() as u64;
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    let are = if lost.len() == 1 { "is" } else { "are" };
    ui.error(&if named.is_empty() {
        format!("{blocks} {are} in no volume of the destination")
    } else {
        format!("{blocks} {are} in no volume of the destination; missing or changed: {named}{more}")
    });
}

fn remember(set: &mut Set, places: &crate::set::Places, ui: &mut Ui) {
    if let Err(e) = set.store_index(places) {
        ui.verbose(&format!("the cache was not written: {e}"));
    }
}

/// Fetches until there is no volume left to try. When that ends early, all that was not delivered counts as lost.
fn fetch_all(
    scatter: &mut Scatter<'_>,
    set: &mut Set,
    places: &crate::set::Places,
    mut plan: plan::Plan,
    ui: &mut Ui,
) -> Result<()> {
    let tmp = set.tmp().clone();
    loop {
        let done = scatter.run(set, places, &plan, ui);
        let again = std::mem::replace(&mut scatter.again, Sorter::new(&tmp, 1 << 18))
            .finish()?
            .into_run()?;
        if let Err(e) = done {
            scatter.abandon(&plan)?;
            give_up(scatter, &again)?;
            scatter.settled = true;
            return Err(e);
        }
        if again.is_empty() {
            scatter.settled = true;
            return Ok(());
        }
        let mut lost = Sorter::new(&tmp, 1 << 20);
        plan = join(&again, places, set, &scatter.failed, &mut |key, goal| {
            let mut record = key.as_bytes().to_vec();
            goal.encode(&mut record);
            lost.add(&record)
        })?;
        give_up(scatter, &lost.finish()?.into_run()?)?;
    }
}

fn give_up(scatter: &mut Scatter<'_>, lost: &Run) -> Result<()> {
    let mut reader = lost.reader();
    while let Some(record) = reader.next()? {
        let goal = plan::Goal::decode(
            record
                .get(crate::base::digest::BlockKey::LEN..)
                .unwrap_or_default(),
        )?;
        scatter.spoil(goal.target, goal.meta)?;
    }
    Ok(())
}

fn dry_summary(
    targets: &Targets,
    report: &mut RestoreReport,
    lost: u64,
    ui: &mut Ui,
) -> Result<()> {
    for no in 0..targets.len() {
        let target = targets.get(no)?;
        let entry = &target.record.entry;
        if target.action == Action::Leave {
            continue;
        }
        match entry.kind {
            EntryKind::File => {
                report.files += 1;
                report.bytes += entry.content.as_ref().map_or(0, |c| c.size);
            }
            EntryKind::Folder => report.folders += 1,
            EntryKind::Symlink => report.symlinks += 1,
        }
        let verb = match (target.action, entry.kind) {
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
