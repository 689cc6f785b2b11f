//! Layer 6: the backup. Walks the sources in path order, in step with the previous version's entries in the same order;
//! unchanged files keep their entry, the rest is read, cut and stored; the dlist comes last.

mod attrs;
mod before;
mod changed;
mod choice;
mod explain;
mod given;
mod job;
mod levels;
mod losses;
mod names;
mod newlist;
mod pseudo;
mod rebuild;
mod source;
mod split;
mod store;
mod stream;
mod walk;

use crate::base::digest::Hash;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::manifest::Params;
use crate::format::names::VolumeName;
use crate::remote::Permit;
use crate::set::{Looked, Set, Summary};
use crate::spill::run::Run;
use crate::writer::{List, WriteOptions, WriteStats, Writer};

use attrs::Collector;
use before::{agree, count, preflight, previous, unknown_state, version_time};
use changed::Judge;
use job::Job;
use losses::Losses;
use newlist::NewList;
use split::{Splitter, blob_at_most};
use walk::Walk;

pub(crate) use changed::Rule;
pub(crate) use choice::{Choice, HardlinkPolicy, Reason, SymlinkPolicy};
pub(crate) use explain::{FilterTest, test_filters};
pub(crate) use rebuild::rebuild;
pub(crate) use source::{Source, fs_path, normalized, sources};
pub(crate) use stream::{Producer, Streamed};
/// Largest block that is written, bytes: two of them are held in memory.
pub(crate) const BLOCK_SIZE_MOST: u32 = 8 << 20;

/// What to back up and how.
pub(crate) struct BackupOptions {
    pub(crate) sources: Vec<Source>,
    /// A file that is read while it is stored; it shares no path with a source.
    pub(crate) stream: Option<Streamed>,
    pub(crate) choice: Choice,
    pub(crate) rule: Rule,
    pub(crate) skip_metadata: bool,
    /// Write a version although nothing changed.
    pub(crate) upload_unchanged: bool,
    /// Parameters for a new destination; explicit ones must agree with an existing one.
    pub(crate) params: Params,
    /// Parameters that the person named: block size, block hash, file hash.
    pub(crate) explicit: [bool; 3],
}

/// What a backup did.
#[derive(Default)]
pub(crate) struct BackupReport {
    pub(crate) examined_files: u64,
    pub(crate) examined_bytes: u64,
    pub(crate) opened_files: u64,
    pub(crate) opened_bytes: u64,
    /// By kind: files, folders, links.
    pub(crate) added: [u64; 3],
    pub(crate) modified: [u64; 3],
    pub(crate) deleted: [u64; 3],
    pub(crate) added_bytes: u64,
    /// Files read again because stored data of theirs is gone.
    pub(crate) healed: u64,
    pub(crate) unreadable: u64,
    pub(crate) excluded: u64,
    pub(crate) too_large: u64,
    pub(crate) written: WriteStats,
    /// The version that was made.
    pub(crate) version: Option<Timestamp>,
    pub(crate) partial: bool,
    pub(crate) entries: u64,
    /// The version was added, but may need what another program deleted meanwhile: the backup failed.
    pub(crate) disturbed: Option<Error>,
    /// It was warned of what is gone from the sources.
    pub(crate) lost_much: bool,
    /// Source folders that hold nothing; `Source::path`.
    pub(crate) hollow: Vec<Vec<u8>>,
}

impl BackupReport {
    fn changed(&self) -> bool {
        [self.added, self.modified, self.deleted]
            .iter()
            .flatten()
            .any(|&n| n > 0)
    }

    /// A file or a link is new, different or gone: without one a partial version is of no use.
    fn has_news(&self) -> bool {
        let kinds = [self.added, self.modified, self.deleted];
        kinds.iter().any(|[files, _, links]| files + links > 0)
    }
}

/// Runs a backup. `permit` is `None` for a dry run. `Interrupted` only when not even a partial version could be written.
pub(crate) fn run(
    set: &mut Set,
    permit: Option<Permit>,
    options: &BackupOptions,
    write: WriteOptions,
    ui: &mut Ui,
) -> Result<BackupReport> {
    let params = agree(set, options, ui)?;
    let time = version_time(set)?;
    let looked = Looked {
        began: now_nanos(),
        exclusions: options.choice.exclusion_attributes,
    };
    let previous = previous(set, ui)?;
    let had_previous = previous.is_some();
    let trusted = previous.as_ref().is_some_and(|p| p.state == set.state());
    let was_full = previous.as_ref().is_none_or(|p| p.full);
    let totals = count(options, set, ui)?;
    let dry_run = permit.is_none();
    let verify = write.verify_listing;
    let tmp = set.tmp().clone();
    let newest = set.dlist(0).map(|(n, s)| (n.clone(), s));
    let judge = Judge::new(
        options.rule,
        options.skip_metadata,
        previous.as_ref().and_then(|p| p.looked),
        looked,
        newest.as_ref().and_then(|n| n.0.time()).map_or(0, |t| t.0),
    );
    let write = WriteOptions { params, ..write };
    let mut writer = Writer::begin(set, permit, write)?;
    if !trusted {
        writer.adopt(ui)?;
    }
    if let Some(p) = previous.as_ref().filter(|_| !trusted) {
        preflight(&mut writer, &p.run, verify, ui)?;
    }
    let mut job = Job {
        options,
        writer,
        collector: Collector::new(options.skip_metadata, blob_at_most(&params)),
        splitter: Splitter::new(),
        judge,
        trusted,
        old: previous.as_ref().map(|p| p.run.reader()),
        head: None,
        list: NewList::new(&tmp, previous.as_ref().map(|p| p.run.clone())),
        report: BackupReport::default(),
        totals,
        last_path: Vec::new(),
        blob_memo: None,
        stopped: false,
        dry_run,
        losses: Losses::new(
            &options.sources,
            previous.as_ref().map_or(0, |p| p.run.len()),
        ),
    };
    job.advance()?;
    let mut walk = Walk::new(&options.choice, &tmp);
    let whole = walk_all(&mut walk, &mut job, options, dry_run, ui)? && !job.stopped;
    job.report.excluded += walk.stats.excluded;
    job.report.too_large = walk.stats.too_large;
    if whole {
        job.rest_is_deleted(ui)?;
        job.report.lost_much = job.losses.tell(ui);
        job.report.hollow = job.losses.hollow();
    } else {
        job.keep_the_rest()?;
    }
    let Job {
        mut writer,
        list,
        mut report,
        ..
    } = job;
    report.partial = !whole;
    let needed =
        report.changed() || options.upload_unchanged || !had_previous || (!was_full && whole);
    let refresh = list.differs() || !trusted;
    let run = list.finish()?;
    report.entries = run.len();
    let ended = Ended {
        run,
        whole,
        trusted,
        looked,
    };
    if needed && (report.has_news() || !report.partial) {
        ended.add_version(writer, time, dry_run, &mut report, ui)?;
    } else if let (true, false, Some((name, Some(size)))) =
        (refresh, dry_run || report.partial, newest)
    {
        writer.settle(ui)?;
        let state = writer.state_after()?;
        ended.remember(&mut writer, (&name, size), was_full, &state, ui);
        report.written = writer.finish(ui)?;
    } else {
        writer.settle(ui)?;
        report.written = writer.stats();
    }
    Ok(report)
}

/// Walks the sources, and reads the streamed file where its path has its place among theirs. False when it was stopped.
fn walk_all(
    walk: &mut Walk<'_>,
    job: &mut Job<'_>,
    options: &BackupOptions,
    dry_run: bool,
    ui: &mut Ui,
) -> Result<bool> {
    let Some(stream) = &options.stream else {
        return walk.run(ui, &options.sources, job);
    };
    let at = options.sources.partition_point(|s| s.path < stream.path);
    let (before, after) = options.sources.split_at(at);
    if !walk.run(ui, before, job)? || job.stopped {
        return Ok(false);
    }
    job.stream(ui, stream, dry_run)?;
    walk.run(ui, after, job)
}

/// The end of a walk.
struct Ended {
    /// The entries of the version.
    run: Run,
    /// It was not stopped early.
    whole: bool,
    /// What the cache told of the previous version was true.
    trusted: bool,
    looked: Looked,
}

impl Ended {
    /// Adds the version of `time`. What fails once it is there is told and no failure of the backup.
    fn add_version(
        &self,
        mut writer: Writer<'_>,
        time: Timestamp,
        dry_run: bool,
        report: &mut BackupReport,
        ui: &mut Ui,
    ) -> Result<()> {
        let list = List::New {
            run: &self.run,
            time,
            full: self.whole,
        };
        let mut done = writer.commit(ui, list)?;
        let (name, size) = done
            .lists
            .pop()
            .ok_or_else(|| Error::bug("a version was added"))?;
        report.version = name.time().or(Some(time));
        report.disturbed = done.disturbed;
        report.written = writer.stats();
        if dry_run {
            return Ok(());
        }
        let remember = || {
            // What a stopped run kept without a look must be looked up by the next one, and everything once volumes are gone.
            let state = if report.disturbed.is_none() && (self.trusted || self.whole) {
                writer.state_after()?
            } else {
                unknown_state()
            };
            self.remember(&mut writer, (&name, size), self.whole, &state, ui);
            if writer.set.cache().is_on() {
                let sum = Summary {
                    full: self.whole,
                    stored: Some(report.written.stored_bytes),
                    ..Summary::of(&self.run)?
                };
                writer.set.note_counts(&name, Some(size), &sum);
            }
            writer.finish(ui)
        };
        if let Err(e) = remember() {
            ui.error(&format!("the version was added, but then: {e}"));
        }
        Ok(())
    }

    /// Keeps the entries of a version in the cache for the next run: its dlist with its size, and whether it is a full one.
    fn remember(
        &self,
        writer: &mut Writer<'_>,
        (name, size): (&VolumeName, u64),
        full: bool,
        state: &Hash,
        ui: &mut Ui,
    ) {
        let cache = writer.set.cache();
        let kept = cache.store_previous(name.as_str(), size, full, state, self.looked, &self.run);
        tell_cache(kept, ui);
    }
}

fn tell_cache(kept: Result<()>, ui: &mut Ui) {
    if let Err(e) = kept {
        ui.verbose(&format!("the cache was not written: {e}"));
    }
}

fn now_nanos() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(all(test, feature = "dest-file", feature = "overlap"))]
#[path = "turns_tests.rs"]
mod tests;
