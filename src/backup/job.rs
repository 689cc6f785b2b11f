//! A backup under way: each entry the walk finds is compared with the previous version's entry of the same path, and kept,
//! stored anew or counted as deleted.

use crate::backup::attrs::{Collector, bare};
use crate::backup::changed::{Evidence, Judge, Verdict, is_meta, stamp};
use crate::backup::losses::Losses;
use crate::backup::newlist::NewList;
use crate::backup::split::Splitter;
use crate::backup::walk::{Found, Visitor};
use crate::backup::{BackupOptions, BackupReport};
use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::sys::{self, FileKind};
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::locator::Extent;
use crate::set::Record;
use crate::spill::run::RunReader;
use crate::writer::Writer;

/// A backup under way.
pub(super) struct Job<'a> {
    pub(super) options: &'a BackupOptions,
    pub(super) writer: Writer<'a>,
    pub(super) collector: Collector,
    pub(super) splitter: Splitter,
    pub(super) judge: Judge,
    /// The destination is exactly as the previous run left it: what that run listed is stored.
    pub(super) trusted: bool,
    pub(super) old: Option<RunReader>,
    /// The previous version's next entry, encoded.
    pub(super) head: Option<Vec<u8>>,
    pub(super) list: NewList,
    pub(super) report: BackupReport,
    pub(super) totals: Progress,
    pub(super) last_path: Vec<u8>,
    /// The last metadata blob stored: neighbours often share it.
    pub(super) blob_memo: Option<(Hash, u64, Content, Vec<Extent>)>,
    pub(super) stopped: bool,
    /// Nothing is written, and each difference is named.
    pub(super) dry_run: bool,
    /// What is gone from each source.
    pub(super) losses: Losses,
}

/// True when an entry has the metadata of a run that was told to skip it; `link` is the target of a link that has not changed.
fn is_bare(entry: &Entry, link: Option<&[u8]>) -> bool {
    let empty = bare(link).len() as u64;
    entry.meta.as_ref().is_none_or(|m| m.size <= empty)
}

pub(super) fn kind_index(kind: EntryKind) -> usize {
    match kind {
        EntryKind::File => 0,
        EntryKind::Folder => 1,
        EntryKind::Symlink => 2,
    }
}

/// An entry at `-v` and in a dry run: new `+`, changed `~`, gone `-`; files with their size.
pub(super) fn tell(sign: char, path: &[u8], size: Option<u64>, dry_run: bool, ui: &mut Ui) {
    let line = || {
        let size = size.map_or_else(String::new, |n| format!(" ({})", show_size(n)));
        format!("{sign} {}{size}", text::safe(path))
    };
    // What it is asked for.
    match dry_run {
        true => ui.result(&line()),
        false => ui.detail(line),
    }
}

fn size_of(found: &Found<'_>) -> Option<u64> {
    (found.stat.kind == FileKind::File).then_some(found.stat.size)
}

impl Job<'_> {
    pub(super) fn advance(&mut self) -> Result<()> {
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
    pub(super) fn old_record(&mut self, path: &[u8], ui: &mut Ui) -> Result<Option<Record>> {
        while let Some(head) = &self.head {
            match Record::path(head).cmp(path) {
                std::cmp::Ordering::Less => self.drop_head(ui)?,
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

    fn drop_head(&mut self, ui: &mut Ui) -> Result<()> {
        if let Some(head) = &self.head {
            let kind = Record::decode(head)?.entry.kind;
            self.losses.gone(Record::path(head));
            tell('-', Record::path(head), None, self.dry_run, ui);
            self.report.deleted[kind_index(kind)] += 1;
            self.list.skip_old()?;
        }
        self.advance()
    }

    pub(super) fn rest_is_deleted(&mut self, ui: &mut Ui) -> Result<()> {
        while self.head.is_some() {
            self.drop_head(ui)?;
        }
        Ok(())
    }

    /// After a stop the previous version's remaining entries stay: their data is stored.
    pub(super) fn keep_the_rest(&mut self) -> Result<()> {
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
        let old = self.old_record(found.path, ui)?;
        self.losses.there(found.path);
        let old = match old {
            Some(o) if o.entry.kind != kind => {
                // Another kind of thing has this path now.
                self.list.skip_old()?;
                self.report.deleted[kind_index(o.entry.kind)] += 1;
                tell('-', found.path, None, self.dry_run, ui);
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
            return self.store_changed(ui, found, kind, None, (None, None));
        }
        match old {
            Some(old) => self.compare(ui, found, kind, old),
            None => {
                let before = self.list.added();
                self.store(ui, found, kind, None, (None, None))?;
                let added = self.list.added() - before;
                self.report.added[kind_index(kind)] += added;
                if added > 0 {
                    tell('+', found.path, size_of(found), self.dry_run, ui);
                }
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
        let evidence = self.judge.evidence(found.stat, &old);
        if self
            .judge
            .settled(evidence, is_bare(&old.entry, found.link))
        {
            return self.list.unchanged(&old, &old);
        }
        if evidence == Evidence::Doubt {
            self.list.proven();
        }
        if kind == EntryKind::File && self.judge.reads_at_once(evidence) {
            self.list.skip_old()?;
            return self.read_again(ui, found, &old, None);
        }
        let Some(blob) = self.blob(ui, found, None)? else {
            self.list.skip_old()?;
            self.report.deleted[kind_index(kind)] += 1;
            tell('-', found.path, None, self.dry_run, ui);
            return Ok(());
        };
        let hash = self.writer.params().file_hash.hash(&blob);
        let now = (&hash, blob.len() as u64);
        let verdict = match kind {
            EntryKind::File => self.judge.file(found.stat, now, &old, evidence),
            _ if is_meta(old.entry.meta.as_ref(), now) => Verdict::Same,
            _ => Verdict::Metadata,
        };
        if verdict == Verdict::Same {
            let stamped = Record {
                entry: old.entry.clone(),
                stamp: stamp(found.stat),
                extents: old.extents.clone(),
            };
            return self.list.unchanged(&old, &stamped);
        }
        self.list.skip_old()?;
        let content = (verdict == Verdict::Metadata)
            .then(|| old.entry.content.clone())
            .flatten();
        if kind != EntryKind::File || content.is_some() {
            self.report.modified[kind_index(kind)] += 1;
            return self.store_changed(ui, found, kind, Some(blob), (content, Some(&old)));
        }
        self.read_again(ui, found, &old, Some(blob))
    }

    /// An entry that the previous version has otherwise.
    fn store_changed(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        kind: EntryKind,
        blob: Option<Vec<u8>>,
        before: (Option<Content>, Option<&Record>),
    ) -> Result<()> {
        let added = self.list.added();
        self.store(ui, found, kind, blob, before)?;
        if self.list.added() > added {
            tell('~', found.path, size_of(found), self.dry_run, ui);
        }
        Ok(())
    }

    /// A file that the previous version has, whatever it held then.
    fn read_again(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        old: &Record,
        blob: Option<Vec<u8>>,
    ) -> Result<()> {
        let before = self.list.added();
        self.store(ui, found, EntryKind::File, blob, (None, Some(old)))?;
        if self.list.added() == before && self.stopped {
            let mut record = Vec::new();
            old.encode(&mut record);
            self.list.keep(&record)?;
        } else if self.list.added() == before {
            // It could not be read, so it is not in the new version.
            self.report.deleted[0] += 1;
            tell('-', found.path, None, self.dry_run, ui);
        } else {
            let same = self.list.last_equals(&old.entry);
            if !same {
                self.report.modified[0] += 1;
                tell('~', found.path, size_of(found), self.dry_run, ui);
            }
        }
        Ok(())
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
        let progress = Progress {
            files: self.report.examined_files,
            bytes: self.report.opened_bytes,
            ..self.totals
        };
        ui.progress_at("backup", progress, found.path);
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
        self.writer.tick();
        self.stopped |= sys::stops_requested() > 0;
        self.stopped
    }
}
