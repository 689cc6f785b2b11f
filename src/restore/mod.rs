//! Layer 6: the restore. Chooses a version and entries, plans which blocks of which volumes are needed, fetches each volume
//! once, writes blocks where they belong, and finishes every entry under its name only when it is whole.

mod arrange;
mod begun;
mod by_index;
mod choose;
mod clear;
mod dry;
mod fetcher;
mod finish;
mod gather;
mod links;
mod naming;
mod options;
mod plan;
mod stream;
mod targets;
mod told;
mod tree;
mod upcoming;
mod visits;

use std::path::PathBuf;

use crate::base::error::{Error, Kind, Result};
use crate::base::leftover;
use crate::base::size::show_size;
use crate::base::sys::{self, Users};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::EntryKind;
use crate::format::manifest::Params;
use crate::set::{BlockIndex, IndexReport, Needs, Search, Set, VolumeNo};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

use begun::sweep;
use choose::{choose, settle_root, survey};
use fetcher::Fetcher;
use finish::Finish;
use gather::{Gather, Way};
pub(crate) use options::{Existing, NOTHING, Partial, Reading, RestoreOptions, RestoreReport};
use plan::join;
pub(crate) use stream::stream;
use targets::Targets;
use told::{Bits, Left};
use tree::TargetTree;

/// Restores. Trouble with single entries is told through `ui` and counted; the error is for what ends everything.
pub(crate) fn run(set: &mut Set, options: RestoreOptions, ui: &mut Ui) -> Result<RestoreReport> {
    let (mut restore, mut needs, selected) = Restore::begin(set, options, ui)?;
    let (mut places, index) = needs.resolve(set, ui)?;
    for (name, why) in &index.unreadable {
        ui.warn(
            "unreadable-index",
            &format!("index volume {name} is damaged: {why}"),
        );
    }
    let wanted = needs.take()?;
    if !restore.options.dry_run {
        clear::move_aside(&mut restore.tree, &restore.targets, ui)?;
    }
    let mut fetcher = Fetcher::new(restore.finisher(), set);
    fetcher.reading = Some(fetcher.finish.options.reading);
    fetcher.progress = Progress {
        files: 0,
        bytes: 0,
        files_total: 0,
        ..selected
    };
    needs.lost(&mut |number, meta| fetcher.spoil(number, meta))?;
    fetcher.unindexed.clone_from(&index.unindexed);
    let (plan, lost) = fetcher.seek(set, &mut places, &wanted, ui)?;
    let finish = &mut fetcher.finish;
    let missed = missed(&lost, finish.targets, finish.options)?;
    if missed > 0 {
        tell_lost(missed, &index, ui);
    }
    finish.report.volume_bytes = plan.bytes;
    finish.report.volumes = plan.volumes;
    if finish.options.dry_run {
        let links = dry::links(finish, set, &places, &plan, ui)?;
        dry::summary(finish, &links, missed, ui)?;
        return Ok(restore.report);
    }
    give_up(&mut fetcher, &lost)?;
    let ended = fetch_all(&mut fetcher, set, &mut places, plan, ui).err();
    let Fetcher {
        mut finish,
        metas,
        bad,
        settled,
        volumes,
        ..
    } = fetcher;
    finish.report.volumes = volumes;
    finish.only_whole = ended.is_some();
    let finished = match finish.only_whole && !settled {
        true => Ok(()),
        false => Left::new(metas, bad).and_then(|left| finish.run(left, ui)),
    };
    restore.end(ended.or(finished.err()), ui)?;
    if set.cache().is_on() && index.clean() && index.fetched > 0 {
        remember(set, &places, ui);
    }
    Ok(restore.report)
}

/// A restore whose entries are chosen and whose way was looked at.
struct Restore {
    options: RestoreOptions,
    params: Params,
    /// Of the version, for names beside what is there.
    date: String,
    tree: TargetTree,
    targets: Targets,
    /// Names of files under way begin with this.
    temp_name: String,
    report: RestoreReport,
}

impl Restore {
    /// Chooses version and entries and looks at what is there; with what that needs, and how much was selected.
    fn begin(
        set: &mut Set,
        mut options: RestoreOptions,
        ui: &mut Ui,
    ) -> Result<(Restore, Needs, Progress)> {
        let mut report = RestoreReport::default();
        let chosen = choose(set, &options, ui)?;
        let no = chosen.no;
        let time = set
            .versions()
            .nth(no)
            .ok_or_else(|| Error::bug("a chosen version has a time"))?;
        report.version = Some((no, time));
        report.partial = !chosen.full;
        if report.partial {
            tell_partial(no, time, ui);
        }
        let params = set.learn_params(ui)?;
        let (prefix, selected) = survey(&chosen, &options)?;
        report.selected = (selected.files_total, selected.bytes_total);
        let prefix = settle_root(&mut options, prefix)?;
        report.root.clone_from(&options.root);
        let tmp = set.tmp().clone();
        let place = TargetTree::open(&options.root, options.allow_outside, options.dry_run, &tmp)?;
        // A dry run into a folder that is not there: everything is absent.
        let fresh = place.is_none();
        let mut place = match place {
            Some(place) => place,
            None => TargetTree::open(&PathBuf::from("/"), false, true, &tmp)?
                .ok_or_else(|| Error::bug("the root folder exists"))?,
        };
        let mut targets = Targets::new(&tmp)?;
        let mut needs = options.needs(set, params);
        let date = time.local()[..10].to_owned();
        let totals = Progress {
            files: 0,
            bytes: 0,
            ..selected
        };
        let gather = Gather {
            place: (!fresh).then_some(&mut place),
            options: &options,
            params,
            date: &date,
            prefix: &prefix,
            targets: &mut targets,
            needs: &mut needs,
            report: &mut report,
            way: Way::default(),
        };
        gather.run(&chosen, totals, ui)?;
        let restore = Restore {
            options,
            params,
            date,
            tree: place,
            targets,
            temp_name: leftover::run_name()?,
            report,
        };
        Ok((restore, needs, selected))
    }

    /// What gives targets their names, their attributes and their metadata.
    fn finisher(&mut self) -> Finish<'_> {
        Finish {
            place: &mut self.tree,
            targets: &self.targets,
            options: &self.options,
            params: self.params,
            temp_name: &self.temp_name,
            date: &self.date,
            visited: Bits::default(),
            users: Users::new(),
            owner_trouble: false,
            only_whole: false,
            umask: sys::umask(),
            root_mode: 0o777,
            root_settled: false,
            report: &mut self.report,
        }
    }

    /// Settles what was moved aside. What ended the restore early leaves no file under way.
    fn end(&mut self, ended: Option<Error>, ui: &mut Ui) -> Result<()> {
        let all_well = ended.is_none() && self.report.failed + self.report.incomplete_count == 0;
        clear::settle(&mut self.tree, &self.targets, all_well, ui)?;
        let Some(e) = ended else {
            return Ok(());
        };
        sweep(&mut self.tree, &self.targets, &self.temp_name);
        ui.note(&format!(
            "finished before the end: {}",
            text::count(self.report.files, "file")
        ));
        Err(match e.kind() {
            Kind::Interrupted => stopped(),
            _ => e,
        })
    }
}

/// Finds a volume for every wanted block; also the blocks that are in none.
fn find(
    set: &Set,
    wanted: &Run,
    places: &BlockIndex,
    failed: &[bool],
) -> Result<(plan::Plan, Run)> {
    let mut lost = Sorter::new(set.tmp(), 1 << 20);
    let plan = join(wanted, places, set, failed, &mut |key, goal| {
        lost.add(&plan::want(key, goal))
    })?;
    Ok((plan, lost.finish()?.into_run()?))
}

/// A plan for blocks, and those that are in no volume. If some are not in the volumes that index volumes describe, those of `unread`,
/// which none describes, are read through, once; then the others, for blocks that no index names. `None`: neither.
fn seek(
    set: &mut Set,
    places: &mut BlockIndex,
    wanted: &Run,
    (failed, unread): (&[bool], Option<&mut Vec<VolumeNo>>),
    ui: &mut Ui,
) -> Result<(plan::Plan, Run)> {
    let mut found = find(set, wanted, places, failed)?;
    let Some(unread) = unread else {
        return Ok(found);
    };
    if !found.1.is_empty() && !unread.is_empty() {
        scan(set, &std::mem::take(unread), places, ui)?;
        found = find(set, wanted, places, failed)?;
    }
    if !found.1.is_empty() && !places.is_of_version() {
        let mut search = Search::new(set);
        let mut reader = found.1.reader();
        while let Some(record) = reader.next()? {
            search.add(places, &plan::wanted(record)?.0)?;
        }
        if search.run(set, ui, places, failed)? {
            found = find(set, wanted, places, failed)?;
        }
    }
    Ok(found)
}

/// Adds the blocks of these dblocks, which no index volume describes.
fn scan(set: &mut Set, unindexed: &[VolumeNo], places: &mut BlockIndex, ui: &mut Ui) -> Result<()> {
    let sizes = unindexed.iter().filter_map(|&n| set.volumes().dblock(n)?.1);
    let bytes: u64 = sizes.sum();
    ui.note(&format!(
        "reading {} ({}) that no index volume describes",
        text::count(unindexed.len() as u64, "dblock volume"),
        show_size(bytes)
    ));
    set.index_dblocks(ui, unindexed, places, false).map(|_| ())
}

/// Reads the index volumes, after the places that a version tells did not do: as if there were none.
fn read_index(set: &mut Set, places: &mut BlockIndex, ui: &mut Ui) -> Result<IndexReport> {
    ui.note("blocks are not where the version says: reading the index volumes");
    set.hint(None);
    let (whole, index) = set.load_index(ui, true, &mut |_, _| Ok(()))?;
    for (name, why) in &index.unreadable {
        ui.warn(
            "unreadable-index",
            &format!("index volume {name} is damaged: {why}"),
        );
    }
    *places = whole;
    Ok(index)
}

/// Says that a version lacks what its backup did not come to.
fn tell_partial(no: usize, time: Timestamp, ui: &mut Ui) {
    ui.note(&format!(
        "version {no} of {} is partial: its backup was stopped, so it may lack files (duplet list URL shows older versions)",
        time.local()
    ));
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

/// How many of the lost blocks are missed: without metadata that of files and folders is not, only their mode comes from it.
fn missed(lost: &Run, targets: &Targets, options: &RestoreOptions) -> Result<u64> {
    if !options.skip_metadata {
        return Ok(lost.len());
    }
    let mut count = 0;
    let mut reader = lost.reader();
    while let Some(record) = reader.next()? {
        let (_, goal) = plan::wanted(record)?;
        let link = || Ok(targets.get(goal.target)?.record.entry.kind == EntryKind::Symlink);
        count += u64::from(!goal.meta || link()?);
    }
    Ok(count)
}

/// Says which volumes the lost blocks were in, as far as index volumes know.
fn tell_lost(lost: u64, index: &IndexReport, ui: &mut Ui) {
    let blocks = text::count(lost, "needed block");
    let are = if lost == 1 { "is" } else { "are" };
    let named = index.missing.join(", ");
    let rest = index.missing_count - index.missing.len() as u64;
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    ui.error(&if named.is_empty() {
        format!("{blocks} {are} in no volume of the destination")
    } else {
        format!("{blocks} {are} in no volume of the destination; missing or changed: {named}{more}")
    });
}

fn remember(set: &mut Set, places: &BlockIndex, ui: &mut Ui) {
    if let Err(e) = set.store_index(places) {
        ui.verbose(&format!("the cache was not written: {e}"));
    }
}

/// Fetches until there is no volume left to try. When that ends early, all that was not delivered counts as lost.
fn fetch_all(
    fetcher: &mut Fetcher<'_>,
    set: &mut Set,
    places: &mut BlockIndex,
    mut plan: plan::Plan,
    ui: &mut Ui,
) -> Result<()> {
    let tmp = set.tmp().clone();
    loop {
        let done = fetcher.run(set, places, &plan, ui);
        let again = std::mem::replace(&mut fetcher.again, Sorter::new(&tmp, 1 << 18))
            .finish()?
            .into_run()?;
        if let Err(e) = done {
            fetcher.abandon(&plan)?;
            give_up(fetcher, &again)?;
            fetcher.settled = true;
            return Err(e);
        }
        if again.is_empty() {
            fetcher.settled = true;
            return Ok(());
        }
        let lost;
        (plan, lost) = match places.is_of_version() {
            true => fetcher.by_index(set, places, &again, ui)?,
            false => fetcher.seek(set, places, &again, ui)?,
        };
        give_up(fetcher, &lost)?;
    }
}

fn give_up(fetcher: &mut Fetcher<'_>, lost: &Run) -> Result<()> {
    let mut reader = lost.reader();
    while let Some(record) = reader.next()? {
        let (_, goal) = plan::wanted(record)?;
        fetcher.spoil(goal.target, goal.meta)?;
    }
    Ok(())
}
