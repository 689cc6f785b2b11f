//! Looking into versions: what is stored, in which of them, how large. Downloads the dlists of the versions asked for and
//! nothing else. Hits are sorted on disk past a few MiB, whatever the number of versions.

use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Entry, EntryKind};
use crate::select::{Best, Case, FilterSet, Fit, Selection};
use crate::set::{Record, Set};
use crate::spill::sorter::{Sorter, Stream};

/// Memory of the sort by path.
const SORT_CAP: usize = 4 << 20;

/// Which entries.
pub(crate) struct Query {
    pub(crate) selection: Selection,
    pub(crate) filters: FilterSet,
    pub(crate) case: Case,
    /// Only what lies directly in this folder, which ends with its separator.
    pub(crate) folder: Option<Vec<u8>>,
}

/// An entry of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) path: Vec<u8>,
    pub(crate) version: usize,
    pub(crate) kind: EntryKind,
    /// Length in bytes of a file whose length is known.
    pub(crate) size: Option<u64>,
    /// Last write time of a file.
    pub(crate) time: Option<Timestamp>,
}

/// Counts of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// False for a partial version.
    pub(crate) full: bool,
    pub(crate) files: u64,
    /// Sum of the lengths of all files in bytes.
    pub(crate) bytes: u64,
}

impl Query {
    /// Whether an entry is looked at, and which words it fits.
    fn fits(&self, path: &[u8], fits: &mut Vec<Fit>) -> bool {
        let inside = self.folder.as_ref().is_none_or(|f| is_directly_in(path, f))
            && self.filters.decide_stored(path).included;
        if inside {
            self.selection.fit(path, self.case, fits);
        }
        inside && (self.selection.is_empty() || !fits.is_empty())
    }
}

/// True for `/a/b` and `/a/b/` in `/a/`; a folder that begins at no root is one of that name anywhere.
fn is_directly_in(path: &[u8], folder: &[u8]) -> bool {
    let inside = path
        .strip_suffix(b"/")
        .or(path.strip_suffix(b"\\"))
        .unwrap_or(path);
    let Some(end) = inside.iter().rposition(|b| is_separator(*b, folder)) else {
        return false;
    };
    let parent = &path[..=end];
    let from_root = folder.first() == Some(&b'/')
        || folder.get(1) == Some(&b':')
        || folder.starts_with(b"\\\\");
    parent == folder
        || !from_root
            && parent
                .strip_suffix(folder)
                .and_then(<[u8]>::last)
                .is_some_and(|b| is_separator(*b, folder))
}

/// A backslash separates only where the folder's own separator is one.
fn is_separator(byte: u8, folder: &[u8]) -> bool {
    folder.last() == Some(&byte)
}

/// The entries of `versions` that fit, by path and then in order of `versions`. When several versions are asked for, one
/// that cannot be read is an error told and counted; when none can, the error ends the search.
pub(crate) fn find(set: &mut Set, ui: &mut Ui, versions: &[usize], query: &Query) -> Result<Hits> {
    let mut unread = Vec::new();
    let mut sorter = Sorter::new(set.tmp(), SORT_CAP);
    let mut failed = None;
    let mut partial = Vec::new();
    let mut best: Vec<Best> = Vec::new();
    let mut fits = Vec::new();
    for (turn, &version) in versions.iter().enumerate() {
        let progress = Progress {
            files: turn as u64,
            files_total: versions.len() as u64,
            ..Progress::default()
        };
        ui.progress("reading versions", progress);
        let rank = u32::try_from(turn).map_err(|_| Error::usage("too many versions"))?;
        let mut record = Vec::new();
        let mut first = query.selection.best();
        let read = set.files(ui, version, &mut |entry| {
            if query.fits(&entry.path, &mut fits) {
                first.note(&fits);
                record.clear();
                encode(&entry, rank, &fits, &mut record);
                sorter.add(&record)?;
            }
            Ok(())
        });
        best.push(first);
        match read {
            Ok(listing) => {
                if !listing.full {
                    partial.push(version);
                }
                if let Some(line) = listing.misdated {
                    ui.warn("misdated-version", &line);
                }
            }
            Err(e) if versions.len() > 1 && e.kind().is_of_one_volume() => {
                ui.error(&format!("version {version} is left out: {e}"));
                unread.push(version);
                failed = Some(e);
            }
            Err(e) => return Err(e),
        }
    }
    if let Some(e) = failed
        && unread.len() == versions.len()
    {
        return Err(e);
    }
    Ok(Hits {
        versions: versions.to_vec(),
        unread,
        partial,
        best,
        stream: sorter.finish()?,
    })
}

/// What a search found, on disk past a few MiB.
pub(crate) struct Hits {
    versions: Vec<usize>,
    unread: Vec<usize>,
    partial: Vec<usize>,
    /// Which turn of each word decides, by rank of the version: a byte a word.
    best: Vec<Best>,
    stream: Stream,
}

impl Hits {
    pub(crate) fn is_empty(&self) -> bool {
        self.stream.is_empty()
    }

    /// The versions that were searched.
    pub(crate) fn versions(&self) -> &[usize] {
        &self.versions
    }

    /// True for a version that could not be read to its end.
    pub(crate) fn is_unread(&self, version: usize) -> bool {
        self.unread.contains(&version)
    }

    /// The versions that are partial: what they lack may have been there.
    pub(crate) fn partial(&self) -> &[usize] {
        &self.partial
    }

    pub(crate) fn next(&mut self) -> Result<Option<Hit>> {
        while let Some(record) = self.stream.next()? {
            let (mut hit, rank, fits) =
                decode(record).ok_or_else(|| Error::bug("a spilled entry reads back"))?;
            if self.best.get(rank).is_none_or(|best| best.allows(&fits)) {
                hit.version = self.versions.get(rank).copied().unwrap_or(rank);
                return Ok(Some(hit));
            }
        }
        Ok(None)
    }
}

/// Byte order is the order of paths, then of versions.
fn encode(entry: &Entry, rank: u32, fits: &[Fit], out: &mut Vec<u8>) {
    for &b in &entry.path {
        out.push(b);
        if b == 0 {
            out.push(0xff);
        }
    }
    out.push(0);
    out.extend_from_slice(&rank.to_be_bytes());
    out.push(match entry.kind {
        EntryKind::File => 0,
        EntryKind::Folder => 1,
        EntryKind::Symlink => 2,
    });
    let size = entry.content.as_ref().map_or(u64::MAX, |c| c.size);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&entry.time.map_or(i64::MIN, |t| t.0).to_be_bytes());
    for (word, turn) in fits {
        out.extend_from_slice(&word.to_be_bytes());
        out.push(*turn);
    }
    // The number of words is that of a command line.
    let count = u32::try_from(fits.len()).unwrap_or(0);
    out.extend_from_slice(&count.to_be_bytes());
}

const TAIL: usize = 4 + 1 + 8 + 8;

fn decode(record: &[u8]) -> Option<(Hit, usize, Vec<Fit>)> {
    let (record, count) = record.split_last_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let (record, fits) =
        record.split_at_checked(record.len().checked_sub(count.checked_mul(5)?)?)?;
    let (fits, _) = fits.as_chunks::<5>();
    let fits = fits
        .iter()
        .map(|&[a, b, c, d, turn]| (u32::from_be_bytes([a, b, c, d]), turn));
    let (path, tail) = record.split_at_checked(record.len().checked_sub(TAIL)?)?;
    let path = path.strip_suffix(&[0])?;
    let mut plain = Vec::with_capacity(path.len());
    let mut escaped = false;
    for &b in path {
        if !std::mem::replace(&mut escaped, b == 0) || b != 0xff {
            plain.push(b);
        }
    }
    let (rank, tail) = tail.split_first_chunk::<4>()?;
    let (kind, tail) = tail.split_first()?;
    let (size, time) = tail.split_first_chunk::<8>()?;
    let (size, time) = (
        u64::from_be_bytes(*size),
        i64::from_be_bytes(time.try_into().ok()?),
    );
    let hit = Hit {
        path: plain,
        version: 0,
        kind: match kind {
            0 => EntryKind::File,
            1 => EntryKind::Folder,
            2 => EntryKind::Symlink,
            _ => return None,
        },
        size: (size != u64::MAX).then_some(size),
        time: (time != i64::MIN).then_some(Timestamp(time)),
    };
    Some((
        hit,
        usize::try_from(u32::from_be_bytes(*rank)).ok()?,
        fits.collect(),
    ))
}

/// Counts version `no`. Costs its dlist, unless the cache remembers the version.
pub(crate) fn count(set: &mut Set, ui: &mut Ui, no: usize) -> Result<Summary> {
    let mut sum = Summary {
        full: true,
        files: 0,
        bytes: 0,
    };
    let read = set.files(ui, no, &mut |entry| {
        sum.add(&entry);
        Ok(())
    })?;
    sum.full = read.full;
    Ok(sum)
}

/// Counts version `no` if the cache remembers it, without a download.
pub(crate) fn remembered(set: &mut Set, no: usize) -> Result<Option<Summary>> {
    let Some((name, size)) = set.dlist(no).map(|(n, s)| (n.clone(), s)) else {
        return Ok(None);
    };
    let Some(previous) = set.cache().load_previous(&name, size) else {
        return Ok(None);
    };
    let mut sum = Summary {
        full: previous.full,
        files: 0,
        bytes: 0,
    };
    let mut reader = previous.run.reader();
    while let Some(record) = reader.next()? {
        match Record::decode(record) {
            Ok(record) => sum.add(&record.entry),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(sum))
}

impl Summary {
    fn add(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::File {
            self.files += 1;
            let size = entry.content.as_ref().map_or(0, |c| c.size);
            self.bytes = self.bytes.saturating_add(size);
        }
    }
}

/// The longest folder that all entries of a version lie in, with its separator; empty when they have none in common.
pub(crate) fn common_folder(set: &mut Set, ui: &mut Ui, no: usize) -> Result<Vec<u8>> {
    let mut common: Option<Vec<u8>> = None;
    set.files(ui, no, &mut |entry| {
        let folder = parent_or_self(&entry.path);
        match &mut common {
            None => common = Some(folder.to_vec()),
            Some(so_far) => shorten(so_far, folder),
        }
        Ok(())
    })?;
    Ok(common.unwrap_or_default())
}

fn cut_to_separator(path: &[u8]) -> usize {
    let separator = if path.starts_with(b"/") || !path.contains(&b'\\') {
        b'/'
    } else {
        b'\\'
    };
    path.iter()
        .rposition(|&b| b == separator)
        .map_or(0, |i| i + 1)
}

fn parent_or_self(path: &[u8]) -> &[u8] {
    &path[..cut_to_separator(path)]
}

/// Cuts `so_far`, a folder, to what it has in common with `folder`.
fn shorten(so_far: &mut Vec<u8>, folder: &[u8]) {
    let same = so_far
        .iter()
        .zip(folder)
        .take_while(|(a, b)| a == b)
        .count();
    if same < so_far.len() {
        so_far.truncate(same);
        so_far.truncate(cut_to_separator(so_far));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::filelist::Content;

    fn file(path: &[u8], size: Option<u64>, time: Option<i64>) -> Entry {
        Entry {
            kind: EntryKind::File,
            path: path.to_vec(),
            time: time.map(Timestamp),
            content: size.map(|size| Content {
                size,
                ..Content::default()
            }),
            meta: None,
        }
    }

    #[test]
    fn records_read_back_and_sort_by_path_then_version() {
        let entries = [
            file(b"", None, None),
            file(b"\0", Some(0), Some(-5)),
            file(b"\0\xff", Some(1), Some(5)),
            file(b"/a", Some(7), Some(1)),
            file(b"/a\0b\0", Some(u64::MAX - 1), None),
            file(b"/a/b", None, Some(0)),
            file(b"/ab", Some(3), None),
        ];
        let mut last = Vec::new();
        for entry in &entries {
            for rank in [0, 1, 300, 70_000] {
                let mut record = Vec::new();
                let fits = [(rank, 1), (7, 2)];
                encode(entry, rank, &fits[..(rank as usize).min(2)], &mut record);
                assert!(last < record, "{entry:?} {rank}");
                let (hit, back, read) = decode(&record).expect("reads back");
                assert_eq!((back, hit.kind), (rank as usize, EntryKind::File));
                assert_eq!(read, fits[..(rank as usize).min(2)]);
                assert_eq!(hit.path, entry.path);
                assert_eq!(hit.size, entry.content.as_ref().map(|c| c.size));
                assert_eq!(hit.time, entry.time);
                for cut in 0..record.len().min(TAIL) {
                    assert!(decode(&record[..cut]).is_none());
                }
                last = record;
            }
        }
    }

    #[test]
    fn one_level_of_a_folder() {
        for (path, folder, want) in [
            ("/a/b", "/a/", true),
            ("/a/b/", "/a/", true),
            ("/a/b/c", "/a/", false),
            ("/a/", "/a/", false),
            ("/ab", "/a/", false),
            ("/a/b\\c", "/a/", true),
            ("/x/a/b", "a/", true),
            ("/x/a/b/", "x/a/", true),
            ("/xa/b", "a/", false),
            ("/x/a/", "a/", false),
            ("C:\\a\\b\\", "C:\\a\\", true),
            ("C:\\a\\b\\c", "C:\\a\\", false),
        ] {
            assert_eq!(
                is_directly_in(path.as_bytes(), folder.as_bytes()),
                want,
                "{path}"
            );
        }
    }

    #[test]
    fn the_common_folder() {
        for (paths, want) in [
            (&["/a/b/c", "/a/b/d/e"][..], "/a/b/"),
            (&["/a/b/", "/a/b/c"], "/a/b/"),
            (&["/a/bc/x", "/a/bd/x"], "/a/"),
            (&["/a", "/b"], "/"),
            (&["C:\\x\\a", "C:\\x\\b\\c"], "C:\\x\\"),
            (&["C:\\x", "D:\\x"], ""),
        ] {
            let mut common = parent_or_self(paths[0].as_bytes()).to_vec();
            for path in &paths[1..] {
                shorten(&mut common, parent_or_self(path.as_bytes()));
            }
            assert_eq!(String::from_utf8_lossy(&common), want);
        }
    }
}
