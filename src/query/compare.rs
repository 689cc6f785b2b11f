//! How two versions differ. Both lists are sorted by path on disk and then merged: memory does not grow with them.

use std::cmp::Ordering;

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::select::FilterSet;
use crate::set::{Record, Set};
use crate::spill::run::{Run, RunReader};

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// Counts of one [`Change`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) links: u64,
    /// Bytes of the files, of modified ones those they have now.
    pub(crate) bytes: u64,
}

impl Counts {
    fn add(&mut self, kind: EntryKind, bytes: u64) {
        match kind {
            EntryKind::File => self.files += 1,
            EntryKind::Folder => self.folders += 1,
            EntryKind::Symlink => self.links += 1,
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.files + self.folders + self.links
    }
}

/// What all of a comparison comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) added: Counts,
    pub(crate) modified: Counts,
    pub(crate) deleted: Counts,
    /// Bytes of all files of the base, and of the other version.
    pub(crate) bytes: (u64, u64),
}

impl Totals {
    pub(crate) fn is_equal(&self) -> bool {
        self.added.sum() + self.modified.sum() + self.deleted.sum() == 0
    }

    pub(crate) fn of(&self, change: Change) -> &Counts {
        match change {
            Change::Added => &self.added,
            Change::Modified => &self.modified,
            Change::Deleted => &self.deleted,
        }
    }
}

/// Receives how an entry differs, what it was and what it is.
pub(crate) type ChangeSink<'a> =
    dyn FnMut(Change, Option<&Entry>, Option<&Entry>) -> Result<()> + 'a;

/// Two versions, sorted by path.
pub(crate) struct Pair {
    base: Run,
    other: Run,
    /// False for a version that is partial: what it lacks may have been there.
    pub(crate) full: (bool, bool),
}

/// Reads both versions. Costs their dlists; rules are for both sides alike.
pub(crate) fn compare(set: &mut Set, ui: &mut Ui, base: usize, other: usize) -> Result<Pair> {
    ui.progress("reading versions", crate::base::ui::Progress::default());
    let (before, old) = set.sorted_files(ui, base)?;
    let (after, new) = set.sorted_files(ui, other)?;
    for listing in [&old, &new] {
        if let Some(line) = &listing.misdated {
            ui.warn("misdated-version", line);
        }
    }
    Ok(Pair {
        base: before,
        other: after,
        full: (old.full, new.full),
    })
}

impl Pair {
    /// Every entry that differs and that the rules do not leave out, by path: how, and what it was and is. Can be called again.
    pub(crate) fn each(&self, filters: &FilterSet, on: &mut ChangeSink<'_>) -> Result<Totals> {
        let mut totals = Totals::default();
        let mut left = Side::open(&self.base, filters)?;
        let mut right = Side::open(&self.other, filters)?;
        loop {
            let order = match (&left.head, &right.head) {
                (None, None) => return Ok(totals),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => order(&a.path, &b.path),
            };
            let (old, new) = match order {
                Ordering::Less => (left.take()?, None),
                Ordering::Equal => (left.take()?, right.take()?),
                Ordering::Greater => (None, right.take()?),
            };
            let (was, is) = (bytes(old.as_ref()), bytes(new.as_ref()));
            totals.bytes.0 = totals.bytes.0.saturating_add(was);
            totals.bytes.1 = totals.bytes.1.saturating_add(is);
            let (change, kind) = match (&old, &new) {
                (Some(old), Some(new)) if same(old, new) => continue,
                (Some(_), Some(new)) => (Change::Modified, new.kind),
                (Some(old), None) => (Change::Deleted, old.kind),
                (None, Some(new)) => (Change::Added, new.kind),
                (None, None) => continue,
            };
            let counts = match change {
                Change::Added => &mut totals.added,
                Change::Modified => &mut totals.modified,
                Change::Deleted => &mut totals.deleted,
            };
            counts.add(kind, if change == Change::Deleted { was } else { is });
            on(change, old.as_ref(), new.as_ref())?;
        }
    }
}

/// The order of encoded records: NUL in a path comes before its end.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    match (a.get(common), b.get(common)) {
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (x, y) => x.cmp(&y),
    }
}

/// One version while it is read.
struct Side<'a> {
    reader: RunReader,
    filters: &'a FilterSet,
    head: Option<Entry>,
}

impl<'a> Side<'a> {
    fn open(run: &Run, filters: &'a FilterSet) -> Result<Side<'a>> {
        let mut side = Side {
            reader: run.reader(),
            filters,
            head: None,
        };
        side.take()?;
        Ok(side)
    }

    /// The entry at the head; the next one that the rules do not leave out takes its place.
    fn take(&mut self) -> Result<Option<Entry>> {
        let mut next = None;
        while let Some(record) = self.reader.next()? {
            let entry = Record::decode(record)?.entry;
            if self.filters.decide_stored(&entry.path).included {
                next = Some(entry);
                break;
            }
        }
        Ok(std::mem::replace(&mut self.head, next))
    }
}

/// Bytes of a file whose length is known.
fn bytes(entry: Option<&Entry>) -> u64 {
    let content = entry.filter(|e| e.kind == EntryKind::File);
    content
        .and_then(|e| e.content.as_ref())
        .map_or(0, |c| c.size)
}

/// Neither content nor metadata nor type differ. How content is divided into blocks does not count.
fn same(a: &Entry, b: &Entry) -> bool {
    a.kind == b.kind
        && alike(a.content.as_ref(), b.content.as_ref())
        && alike(a.meta.as_ref(), b.meta.as_ref())
}

fn alike(a: Option<&Content>, b: Option<&Content>) -> bool {
    let facts = |c: &Content| (c.hash, c.size);
    a.map(facts) == b.map(facts)
}

/// True when a modified entry has the same bytes as before: only its metadata differs.
pub(crate) fn only_metadata(old: &Entry, new: &Entry) -> bool {
    old.kind == new.kind && alike(old.content.as_ref(), new.content.as_ref())
}
