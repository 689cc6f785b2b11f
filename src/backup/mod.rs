//! Layer 6: the backup. Walks the sources in path order, in step with the previous version's entries in the same order;
//! unchanged files keep their entry, the rest is read, cut and stored; the dlist comes last.

mod attrs;
mod changed;
mod newlist;
mod split;
mod walk;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::base::digest::{Algo, Hash};
use crate::base::error::{Error, Kind, Result, io_text};
use crate::base::sys::{self, FileKind, Stat};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::manifest::Params;
use crate::format::meta::EMPTY_BLOB;
use crate::remote::Permit;
use crate::set::{Previous, Record, Set};
use crate::spill::run::{Run, RunReader};
use crate::writer::{WriteOptions, WriteStats, Writer};

use attrs::{Collected, Collector};
use changed::{Judge, Verdict, is_meta, nanos};
use newlist::NewList;
use split::{Splitter, Trouble};
use walk::{Found, Visitor, Walk};

pub(crate) use changed::Rule;
pub(crate) use walk::{Choice, HardlinkPolicy, Reason, Source, SymlinkPolicy, sources};

/// A clock this many seconds behind the newest version is still believed.
const CLOCK_SLACK: i64 = 5;
/// Largest block that is written, bytes: two of them are held in memory.
pub(crate) const BLOCK_SIZE_MOST: u32 = 8 << 20;

/// What to back up and how.
pub(crate) struct BackupOptions {
    pub(crate) sources: Vec<Source>,
    pub(crate) choice: Choice,
    pub(crate) rule: Rule,
    /// Honour the attributes that ask for exclusion.
    pub(crate) exclusion_attributes: bool,
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
}

impl BackupReport {
    fn changed(&self) -> bool {
        [self.added, self.modified, self.deleted]
            .iter()
            .flatten()
            .any(|&n| n > 0)
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
    // Stamps tell nothing of attributes that this run does not look at.
    let began = if options.exclusion_attributes {
        now_nanos()
    } else {
        0
    };
    let previous = previous(set, ui)?;
    let had_previous = previous.is_some();
    let trusted = previous.as_ref().is_some_and(|p| p.state == set.state());
    let was_full = previous.as_ref().is_none_or(|p| p.full);
    let totals = count(options, set, ui)?;
    let dry_run = write.dry_run;
    let verify = write.verify_listing;
    let tmp = set.tmp().clone();
    let newest = set.dlist(0).map(|(n, s)| (n.clone(), s));
    let judge = Judge::new(
        options.rule,
        previous.as_ref().map_or(0, |p| p.began),
        newest.as_ref().and_then(|n| n.0.time()).map_or(0, |t| t.0),
    );
    let mut writer = Writer::begin(set, permit, params, write)?;
    if let Some(p) = previous.as_ref().filter(|_| !trusted) {
        preflight(&mut writer, &p.run, verify, ui)?;
    }
    let mut job = Job {
        options,
        writer,
        collector: Collector::new(options.exclusion_attributes, options.skip_metadata),
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
    };
    job.advance()?;
    let mut walk = Walk::new(&options.choice, &tmp);
    let whole = walk.run(ui, &options.sources, &mut job)? && !job.stopped;
    job.report.excluded = walk.stats.excluded;
    job.report.too_large = walk.stats.too_large;
    if whole {
        job.rest_is_deleted()?;
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
    let refresh = list.differs();
    let run = list.finish()?;
    report.entries = run.len();
    if needed && (report.changed() || !report.partial) {
        let (name, size) = writer.publish(ui, &run, time, whole)?;
        report.version = Some(time);
        if !dry_run {
            let after = writer.volumes_after(Some((&name, size)))?;
            // What a stopped run kept without a look must be looked up by the next one.
            let state = if trusted || whole {
                after.state()
            } else {
                unknown_state()
            };
            let kept =
                writer
                    .set
                    .cache()
                    .store_previous(name.as_str(), size, whole, &state, began, &run);
            tell_cache(kept, ui);
            report.written = writer.finish(ui, &after)?;
            set.grow(after);
            return Ok(report);
        }
    } else if let (true, false, Some((name, Some(size)))) =
        (refresh || !trusted, dry_run || report.partial, newest)
    {
        let state = writer.set.state();
        let kept =
            writer
                .set
                .cache()
                .store_previous(name.as_str(), size, was_full, &state, began, &run);
        tell_cache(kept, ui);
        let after = writer.set.volumes().with(&[]);
        report.written = writer.finish(ui, &after)?;
        return Ok(report);
    }
    report.written = writer.stats();
    Ok(report)
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

/// The destination's parameters; new ones for an empty destination.
fn agree(set: &mut Set, options: &BackupOptions, ui: &mut Ui) -> Result<Params> {
    if set.volumes().len() == 0 {
        return Ok(options.params);
    }
    let versionless = set.volumes().dlists().is_empty() && set.volumes().dindex_count() == 0;
    let have = match set.learn_params(ui) {
        // What a first run left that was cut off: no version can need it.
        Err(e) if versionless && e.kind() == Kind::Damaged => {
            ui.note(&format!("{e}; left aside, no version uses it"));
            return Ok(options.params);
        }
        other => other?,
    };
    let wanted = &options.params;
    let clash = if options.explicit[0] && wanted.block_size != have.block_size {
        Some(format!(
            "--blocksize is {} bytes, the backup uses {}",
            wanted.block_size, have.block_size
        ))
    } else if options.explicit[1] && wanted.block_hash != have.block_hash {
        Some(format!(
            "--block-hash-algorithm is {}, the backup uses {}",
            wanted.block_hash.name(),
            have.block_hash.name()
        ))
    } else if options.explicit[2] && wanted.file_hash != have.file_hash {
        Some(format!(
            "--file-hash-algorithm is {}, the backup uses {}",
            wanted.file_hash.name(),
            have.file_hash.name()
        ))
    } else {
        None
    };
    if have.block_size > BLOCK_SIZE_MOST {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "its blocks have {} bytes; more than {BLOCK_SIZE_MOST} can be read but not written",
                have.block_size
            ),
        )
        .doing("add a version")
        .hint("use a new destination"));
    }
    match clash {
        Some(text) => Err(Error::new(Kind::Unsupported, text)
            .doing("add a version")
            .hint("it cannot be changed after the first backup; leave the option out")),
        None => Ok(Params { version: 2, ..have }),
    }
}

/// Now, but later than every version there is.
fn version_time(set: &Set) -> Result<Timestamp> {
    let now = Timestamp::now();
    match set.versions().next() {
        Some(newest) if newest.0 > now.0 + CLOCK_SLACK => Err(Error::new(
            Kind::Local,
            format!(
                "the newest version is of {}, later than this machine's clock ({})",
                newest.local(),
                now.local()
            ),
        )
        .doing("add a version")
        .hint("set the clock")),
        Some(newest) if newest.0 >= now.0 => Ok(Timestamp(newest.0 + 1)),
        _ => Ok(now),
    }
}

/// The newest readable version's entries, from the cache or from its dlist.
fn previous(set: &mut Set, ui: &mut Ui) -> Result<Option<Previous>> {
    let count = set.volumes().dlists().len();
    for no in 0..count {
        let Some((name, size)) = set.dlist(no).map(|(n, s)| (n.clone(), s)) else {
            break;
        };
        if no == 0
            && let Some(cached) = set.cache().load_previous(&name, size)
        {
            ui.verbose("the previous version's list comes from the cache");
            return Ok(Some(cached));
        }
        match set.sorted_files(ui, no) {
            Ok((run, listing)) => {
                return Ok(Some(Previous {
                    run,
                    full: listing.full && no == 0,
                    state: unknown_state(),
                    began: 0,
                }));
            }
            Err(e) if matches!(e.kind(), Kind::Damaged | Kind::Missing | Kind::Unsupported) => {
                ui.warn(
                    "damaged-version",
                    &format!("version {no} cannot be compared with: {e}"),
                );
            }
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Nothing equals this state of a listing, so everything reused is looked up.
fn unknown_state() -> Hash {
    Algo::Sha256.hash(b"unknown")
}

/// Looks whether the stored data that the previous version needs is there, as far as the index volumes give reason to doubt.
fn preflight(writer: &mut Writer<'_>, run: &Run, verify: bool, ui: &mut Ui) -> Result<()> {
    let (_, report) = writer.whole_index(ui)?;
    for (name, why) in &report.unreadable {
        ui.warn(
            "unreadable-index",
            &format!("index volume {name} is damaged: {why}"),
        );
    }
    if report.clean() && report.unindexed.is_empty() {
        return Ok(());
    }
    let missing = report.missing.clone();
    let missing_count = report.missing_count;
    let unindexed = report.unindexed.clone();
    let mut lost = lost_entries(writer, run, ui)?;
    if lost.0 > 0 && !unindexed.is_empty() {
        ui.note(&format!(
            "reading {} that no index volume describes",
            text::count(unindexed.len() as u64, "dblock volume")
        ));
        writer.index_dblocks(ui, &unindexed)?;
        lost = lost_entries(writer, run, ui)?;
    }
    if lost.0 == 0 {
        return Ok(());
    }
    let named = if missing.is_empty() {
        String::new()
    } else {
        format!("; missing or changed: {}", missing.join(", "))
    };
    let more = if missing_count > missing.len() as u64 {
        format!(" and {} more", missing_count - missing.len() as u64)
    } else {
        String::new()
    };
    let text = format!(
        "stored data that the newest version needs is missing, for {}, first {}{named}{more}",
        text::count(lost.0, "entry"),
        lost.1
    );
    if verify {
        return Err(Error::damaged(text).doing("add a version").hint(
            "see 'duplet verify URL all'; --no-backend-verification backs those files up again",
        ));
    }
    ui.warn("missing-data", &text);
    Ok(())
}

fn lost_entries(writer: &mut Writer<'_>, run: &Run, ui: &mut Ui) -> Result<(u64, String)> {
    let mut reader = run.reader();
    let mut lost = 0;
    let mut first = String::new();
    while let Some(record) = reader.next()? {
        let record = Record::decode(record)?;
        if !writer.intact(ui, &record.entry)? {
            lost += 1;
            if first.is_empty() {
                first = text::safe(&record.entry.path);
            }
        }
    }
    Ok((lost, first))
}

/// Totals for the progress line; only counted when somebody watches.
fn count(options: &BackupOptions, set: &Set, ui: &mut Ui) -> Result<Progress> {
    struct Counter(Progress);
    impl Visitor for Counter {
        fn found(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()> {
            if found.stat.kind == FileKind::File {
                self.0.files += 1;
                self.0.bytes += found.stat.size;
            }
            ui.progress("counting", self.0);
            Ok(())
        }
        fn stopped(&mut self) -> bool {
            sys::stops_requested() > 0
        }
    }
    let mut counter = Counter(Progress::default());
    if ui.shows_progress() {
        let tmp = set.tmp().clone();
        let mut silent = Ui::silent();
        Walk::new(&options.choice, &tmp).run(&mut silent, &options.sources, &mut counter)?;
    }
    Ok(Progress {
        files: 0,
        bytes: 0,
        files_total: counter.0.files,
        bytes_total: counter.0.bytes,
    })
}

/// A backup under way.
struct Job<'a> {
    options: &'a BackupOptions,
    writer: Writer<'a>,
    collector: Collector,
    splitter: Splitter,
    judge: Judge,
    /// The destination is exactly as the previous run left it: what that run listed is stored.
    trusted: bool,
    old: Option<RunReader>,
    /// The previous version's next entry, encoded.
    head: Option<Vec<u8>>,
    list: NewList,
    report: BackupReport,
    totals: Progress,
    last_path: Vec<u8>,
    /// The last metadata blob stored: neighbours often share it.
    blob_memo: Option<(Hash, u64, Content)>,
    stopped: bool,
}

/// True when an entry has the empty metadata of a run that was told to skip it.
fn is_empty_meta(entry: &Entry) -> bool {
    let empty = EMPTY_BLOB.len() as u64;
    entry.meta.as_ref().is_none_or(|m| m.size <= empty)
}

fn kind_index(kind: EntryKind) -> usize {
    match kind {
        EntryKind::File => 0,
        EntryKind::Folder => 1,
        EntryKind::Symlink => 2,
    }
}

impl Job<'_> {
    fn advance(&mut self) -> Result<()> {
        let Some(old) = &mut self.old else {
            return Ok(());
        };
        match (old.next()?, &mut self.head) {
            (Some(record), Some(head)) => {
                head.clear();
                head.extend_from_slice(record);
            }
            (Some(record), none) => *none = Some(record.to_vec()),
            (None, head) => *head = None,
        }
        Ok(())
    }

    /// The previous record of `path`; entries before it are gone from the source.
    fn old_record(&mut self, path: &[u8]) -> Result<Option<Record>> {
        while let Some(head) = &self.head {
            match Record::path(head).cmp(path) {
                std::cmp::Ordering::Less => self.drop_head()?,
                std::cmp::Ordering::Equal => {
                    let record = Record::decode(head)?;
                    self.advance()?;
                    return Ok(Some(record));
                }
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    fn drop_head(&mut self) -> Result<()> {
        if let Some(head) = &self.head {
            let kind = Record::decode(head)?.entry.kind;
            self.report.deleted[kind_index(kind)] += 1;
            self.list.skip_old()?;
        }
        self.advance()
    }

    fn rest_is_deleted(&mut self) -> Result<()> {
        while self.head.is_some() {
            self.drop_head()?;
        }
        Ok(())
    }

    /// After a stop the previous version's remaining entries stay: their data is stored.
    fn keep_the_rest(&mut self) -> Result<()> {
        while let Some(head) = self.head.take() {
            if Record::path(&head) > self.last_path.as_slice() {
                self.list.keep(&head)?;
            } else {
                self.list.skip_old()?;
            }
            self.advance()?;
        }
        Ok(())
    }

    fn entry(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()> {
        let kind = match found.stat.kind {
            FileKind::Folder => EntryKind::Folder,
            FileKind::Symlink => EntryKind::Symlink,
            _ => EntryKind::File,
        };
        if kind == EntryKind::File {
            self.report.examined_files += 1;
            self.report.examined_bytes += found.stat.size;
        }
        let old = self.old_record(found.path)?;
        let old = match old {
            Some(o) if o.entry.kind != kind => {
                // Another kind of thing has this path now.
                self.list.skip_old()?;
                self.report.deleted[kind_index(o.entry.kind)] += 1;
                None
            }
            other => other,
        };
        if !self.trusted
            && let Some(o) = &old
            && !self.writer.intact(ui, &o.entry)?
        {
            self.report.healed += 1;
            ui.warn(
                "missing-data",
                &format!(
                    "stored data of {} is missing; it is backed up again",
                    text::safe(found.path)
                ),
            );
            self.list.skip_old()?;
            self.report.modified[kind_index(kind)] += 1;
            return self.store(ui, found, kind, None, None);
        }
        match old {
            Some(old) => self.compare(ui, found, kind, old),
            None => {
                let before = self.list.added();
                self.store(ui, found, kind, None, None)?;
                self.report.added[kind_index(kind)] += self.list.added() - before;
                Ok(())
            }
        }
    }

    fn compare(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        kind: EntryKind,
        old: Record,
    ) -> Result<()> {
        let bare = is_empty_meta(&old.entry);
        if bare == self.options.skip_metadata && self.judge.untouched(found.stat, &old) {
            return self.list.unchanged(&old, &old);
        }
        let Some(blob) = self.blob(ui, found)? else {
            self.list.skip_old()?;
            self.report.deleted[kind_index(kind)] += 1;
            return Ok(());
        };
        let hash = self.writer.params().file_hash.hash(&blob);
        let now = (&hash, blob.len() as u64);
        let verdict = match kind {
            EntryKind::File => self.judge.file(found.stat, now, &old),
            _ if is_meta(old.entry.meta.as_ref(), now) => Verdict::Same,
            _ => Verdict::Metadata,
        };
        if verdict == Verdict::Same {
            let stamped = Record {
                entry: old.entry.clone(),
                ino: found.stat.ino,
                ctime: nanos(found.stat.ctime),
            };
            return self.list.unchanged(&old, &stamped);
        }
        self.list.skip_old()?;
        let content = (verdict == Verdict::Metadata)
            .then(|| old.entry.content.clone())
            .flatten();
        if kind != EntryKind::File || content.is_some() {
            self.report.modified[kind_index(kind)] += 1;
            return self.store(ui, found, kind, Some(blob), content);
        }
        let before = self.list.added();
        self.store(ui, found, kind, Some(blob), None)?;
        if self.list.added() == before && self.stopped {
            let mut record = Vec::new();
            old.encode(&mut record);
            self.list.keep(&record)?;
        } else if self.list.added() == before {
            // It could not be read, so it is not in the new version.
            self.report.deleted[0] += 1;
        } else {
            let same = self.list.last_equals(&old.entry);
            if !same {
                self.report.modified[0] += 1;
            }
        }
        Ok(())
    }

    /// The metadata blob; `None` when the entry is to be left out (warned about or asked for).
    fn blob(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<Option<Vec<u8>>> {
        match self
            .collector
            .collect(fs_path(found.path), found.stat, found.link)
        {
            Ok(Collected::Blob(blob)) => Ok(Some(blob)),
            Ok(Collected::Excluded) => {
                self.report.excluded += 1;
                Ok(None)
            }
            Err(e) => {
                self.trouble(ui, found.path, &e);
                Ok(None)
            }
        }
    }

    fn trouble(&mut self, ui: &mut Ui, path: &[u8], e: &io::Error) {
        self.report.unreadable += 1;
        let (kind, what) = if e.kind() == io::ErrorKind::NotFound {
            ("vanished", "it vanished while the backup ran".to_owned())
        } else {
            ("unreadable", io_text(e))
        };
        ui.warn(kind, &format!("{} is left out: {what}", text::safe(path)));
    }

    /// Stores an entry anew: metadata, and content unless `content` is known to be stored.
    fn store(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        kind: EntryKind,
        blob: Option<Vec<u8>>,
        content: Option<Content>,
    ) -> Result<()> {
        let blob = match blob {
            Some(blob) => blob,
            None => match self.blob(ui, found)? {
                Some(blob) => blob,
                None => return Ok(()),
            },
        };
        let mut stat = *found.stat;
        let content = match (kind, content) {
            (EntryKind::File, None) => match self.content(ui, found, &mut stat)? {
                Some(content) => Some(content),
                None => return Ok(()),
            },
            (_, content) => content,
        };
        let meta = self.metadata(ui, found.path, &blob)?;
        if kind == EntryKind::File {
            self.report.added_bytes += content.as_ref().map_or(0, |c| c.size);
        }
        let time = (kind == EntryKind::File).then_some(Timestamp(found.stat.mtime.0));
        let entry = Entry {
            kind,
            path: found.path.to_vec(),
            time,
            content,
            meta: Some(meta),
        };
        self.list.add(&Record {
            entry,
            ino: stat.ino,
            ctime: nanos(stat.ctime),
        })
    }

    fn metadata(&mut self, ui: &mut Ui, path: &[u8], blob: &[u8]) -> Result<Content> {
        let hash = self.writer.params().file_hash.hash(blob);
        if let Some((h, n, content)) = &self.blob_memo
            && (*h, *n) == (hash, blob.len() as u64)
        {
            return Ok(content.clone());
        }
        let (content, fits) = self.splitter.store_blob(&mut self.writer, ui, blob)?;
        if fits {
            self.blob_memo = Some((hash, blob.len() as u64, content.clone()));
        } else {
            ui.warn(
                "metadata-too-large",
                &format!(
                    "the metadata of {} is too large for this block size and is left out",
                    text::safe(path)
                ),
            );
        }
        Ok(content)
    }

    /// Reads a file; `None` when it cannot be read (warned about) or the run was stopped.
    fn content(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        stat: &mut Stat,
    ) -> Result<Option<Content>> {
        let follow = self.options.choice.symlinks == SymlinkPolicy::Follow;
        let mut file = match open(fs_path(found.path), follow) {
            Ok(file) => file,
            Err(e) => {
                self.trouble(ui, found.path, &e);
                return Ok(None);
            }
        };
        self.report.opened_files += 1;
        let (files, totals) = (self.report.examined_files, self.totals);
        let before = self.report.opened_bytes;
        let mut read = 0;
        let stored = self.splitter.store(
            &mut self.writer,
            ui,
            &mut file as &mut dyn Read,
            &mut |ui, n| {
                if sys::stops_requested() > 0 {
                    return Err(Error::new(Kind::Interrupted, "stopped"));
                }
                read += n;
                ui.progress(
                    "backup",
                    Progress {
                        files,
                        bytes: before + read,
                        ..totals
                    },
                );
                Ok(())
            },
        );
        if let Ok(content) = &stored {
            read = content.size;
        }
        self.report.opened_bytes += read;
        match stored {
            Ok(content) => {
                match file.metadata() {
                    Ok(after)
                        if after.size() != found.stat.size
                            || (after.mtime(), after.mtime_nsec())
                                != (found.stat.mtime.0, i64::from(found.stat.mtime.1)) =>
                    {
                        // Its stamps are of no use for the next comparison.
                        stat.ino = 0;
                        ui.warn(
                            "changed",
                            &format!(
                                "{} changed while it was read; it is stored as it was read",
                                text::safe(found.path)
                            ),
                        );
                    }
                    _ => {}
                }
                Ok(Some(content))
            }
            Err(Trouble::Source(e)) => {
                self.trouble(ui, found.path, &e);
                Ok(None)
            }
            Err(Trouble::Fatal(e))
                if e.kind() == Kind::Interrupted && !self.stopped && sys::stops_requested() > 0 =>
            {
                self.stopped = true;
                Ok(None)
            }
            Err(Trouble::Fatal(e)) => Err(e),
        }
    }
}

impl Visitor for Job<'_> {
    fn found(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()> {
        if self.stopped() {
            return Ok(());
        }
        if found.path <= self.last_path.as_slice() {
            ui.warn(
                "changed",
                &format!(
                    "{} is left out: its folder changed while the backup ran",
                    text::safe(found.path)
                ),
            );
            return Ok(());
        }
        ui.progress(
            "backup",
            Progress {
                files: self.report.examined_files,
                bytes: self.report.opened_bytes,
                ..self.totals
            },
        );
        self.entry(ui, found)?;
        if !self.stopped {
            self.last_path.clear();
            self.last_path.extend_from_slice(found.path);
        }
        Ok(())
    }

    fn unreadable(&mut self, _path: &[u8]) {
        self.report.unreadable += 1;
    }

    fn stopped(&mut self) -> bool {
        self.stopped |= sys::stops_requested() > 0;
        self.stopped
    }
}

/// Opens a regular file for reading, without touching its access time where that is allowed.
fn open(path: &Path, follow: bool) -> io::Result<File> {
    let guard = libc::O_NONBLOCK | if follow { 0 } else { libc::O_NOFOLLOW };
    let try_open = |flags: i32| {
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
    };
    let file = match try_open(guard | libc::O_NOATIME) {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => try_open(guard)?,
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no longer a regular file"));
    }
    Ok(file)
}

fn fs_path(stored: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(stored))
}

/// Totals of a walk whose only purpose is to explain.
#[derive(Clone, Copy, Default)]
pub(crate) struct FilterTest {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Hears each decision: path as stored, in or out, why.
pub(crate) type Explain<'a> = dyn FnMut(&mut Ui, &[u8], bool, &Reason) + 'a;

/// Walks the sources as a backup would and tells `explain` every decision.
pub(crate) fn test_filters(
    choice: &Choice,
    sources: &[Source],
    tmp: &Tmp,
    ui: &mut Ui,
    explain: &mut Explain<'_>,
) -> Result<FilterTest> {
    struct Teller<'a, 'b> {
        explain: &'a mut Explain<'b>,
        total: FilterTest,
    }
    impl Visitor for Teller<'_, '_> {
        fn found(&mut self, _ui: &mut Ui, found: &Found<'_>) -> Result<()> {
            if found.stat.kind == FileKind::File {
                self.total.files += 1;
                self.total.bytes += found.stat.size;
            }
            Ok(())
        }
        fn decided(
            &mut self,
            ui: &mut Ui,
            path: &[u8],
            included: bool,
            reason: &Reason,
            _size: u64,
        ) {
            (self.explain)(ui, path, included, reason);
        }
        fn stopped(&mut self) -> bool {
            sys::stops_requested() > 0
        }
    }
    let mut teller = Teller {
        explain,
        total: FilterTest::default(),
    };
    Walk::new(choice, tmp).run(ui, sources, &mut teller)?;
    Ok(teller.total)
}
