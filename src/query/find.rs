//! Looking into versions: what is stored, in which of them, how large. Downloads the dlists of the versions asked for and
//! nothing else. Hits are sorted on disk past a few MiB, whatever the number of versions.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Entry, EntryKind};
use crate::format::manifest::Params;
use crate::query::folder::is_directly_in;
use crate::select::{Best, Case, FilterSet, Fit, Selection};
use crate::set::{Listing, Record, Set, Summary};
use crate::spill::run::Run;
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
    /// Hits say where their attributes are.
    pub(crate) with_meta: bool,
    /// Lists are read in parts where paths are asked for; `Some(true)`: small ones, too.
    pub(crate) in_parts: Option<bool>,
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
    /// The block with its attributes, where that was asked for and they are in a single one.
    pub(crate) meta: Option<BlockKey>,
}

impl Query {
    /// The paths in which everything lies that is asked for, where that can be told.
    fn paths(&self) -> Option<Vec<Vec<u8>>> {
        match &self.folder {
            None => self.selection.plain_paths(self.case),
            Some(folder) => {
                let path = folder.strip_suffix(b"/")?;
                let whole = self.selection.is_empty() && path.first() == Some(&b'/');
                (whole && self.case == Case::Sensitive).then(|| vec![path.to_vec()])
            }
        }
    }

    /// Whether an entry is looked at, and which words it fits.
    fn fits(&self, path: &[u8], fits: &mut Vec<Fit>) -> bool {
        let inside = self
            .folder
            .as_ref()
            .is_none_or(|f| is_directly_in(path, f, self.case))
            && self.filters.decide_stored(path).included;
        if inside {
            self.selection.fit(path, self.case, fits);
        }
        inside && (self.selection.is_empty() || !fits.is_empty())
    }
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
    let paths = query.paths();
    let params = match query.with_meta {
        true => Some(set.learn_params(ui)?),
        false => None,
    };
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
        let parts = match query.in_parts.zip(paths.as_deref()) {
            Some((always, paths)) => in_parts(set, ui, (version, paths, always), query)?,
            None => None,
        };
        let read = each(set, ui, version, parts, &mut |entry| {
            if query.fits(&entry.path, &mut fits) {
                first.note(&fits);
                record.clear();
                let meta = params.and_then(|params| meta_block(&entry, params));
                encode(&entry, meta, rank, &fits, &mut record);
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
        record: Vec::new(),
    })
}

/// The entries around the paths, out of parts of the version's list; `None` where these do not decide what the words mean there.
fn in_parts(
    set: &mut Set,
    ui: &mut Ui,
    (version, paths, always): (usize, &[Vec<u8>], bool),
    query: &Query,
) -> Result<Option<(Run, Listing)>> {
    let Some((run, listing)) = set.sorted_parts(ui, version, paths, always)? else {
        return Ok(None);
    };
    let (mut best, mut fits, mut any) = (query.selection.best(), Vec::new(), false);
    let mut reader = run.reader();
    while let Some(record) = reader.next()? {
        if query.fits(&Record::decode(record)?.entry.path, &mut fits) {
            best.note(&fits);
            any = true;
        }
    }
    // A folder that is not there may be called otherwise.
    let decided = any && query.selection.is_settled(&best)
        || query.folder.is_none() && query.selection.is_decided(&best);
    Ok(decided.then_some((run, listing)))
}

/// Gives every entry that was read of a version, or all of them.
fn each(
    set: &mut Set,
    ui: &mut Ui,
    version: usize,
    parts: Option<(Run, Listing)>,
    on: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<Listing> {
    let Some((run, listing)) = parts else {
        return set.files(ui, version, on);
    };
    let mut reader = run.reader();
    while let Some(record) = reader.next()? {
        on(Record::decode(record)?.entry)?;
    }
    Ok(listing)
}

/// What a search found, on disk past a few MiB.
pub(crate) struct Hits {
    versions: Vec<usize>,
    unread: Vec<usize>,
    partial: Vec<usize>,
    /// Which turn of each word decides, by rank of the version: a byte a word.
    best: Vec<Best>,
    stream: Stream,
    /// The last hit as it is on disk.
    record: Vec<u8>,
}

impl Hits {
    /// The words that found nothing in any of the versions.
    pub(crate) fn unmet<'a>(&self, words: &'a Selection) -> Vec<&'a str> {
        words.unmet(self.best.iter())
    }

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
        Ok(self.next_record()?.map(|(hit, _)| hit))
    }

    /// The next hit, also as the record from which [`Hits::read`] makes it again, but for the number of its version.
    pub(super) fn next_record(&mut self) -> Result<Option<(Hit, &[u8])>> {
        while let Some(record) = self.stream.next()? {
            let (mut hit, rank, fits) =
                decode(record).ok_or_else(|| Error::bug("a spilled entry reads back"))?;
            if self.best.get(rank).is_none_or(|best| best.allows(&fits)) {
                hit.version = self.versions.get(rank).copied().unwrap_or(rank);
                self.record.clear();
                self.record.extend_from_slice(record);
                return Ok(Some((hit, &self.record)));
            }
        }
        Ok(None)
    }

    pub(super) fn read(record: &[u8]) -> Result<Hit> {
        let (hit, ..) = decode(record).ok_or_else(|| Error::bug("a spilled entry reads back"))?;
        Ok(hit)
    }
}

/// The only block of an entry's metadata.
fn meta_block(entry: &Entry, params: Params) -> Option<BlockKey> {
    let meta = entry.meta.as_ref()?;
    let same = params.block_hash == params.file_hash || params.version < 2;
    Some(BlockKey::new(
        &meta.single(same)?,
        u32::try_from(meta.size).ok()?,
    ))
}

/// Byte order is the order of paths, then of versions.
fn encode(entry: &Entry, meta: Option<BlockKey>, rank: u32, fits: &[Fit], out: &mut Vec<u8>) {
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
    if let Some(key) = &meta {
        out.extend_from_slice(key.as_bytes());
    }
    out.push(u8::from(meta.is_some()));
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
    let (has_meta, record) = record.split_last()?;
    let (record, meta) = match has_meta {
        0 => (record, None),
        _ => {
            let (record, key) =
                record.split_at_checked(record.len().checked_sub(BlockKey::LEN)?)?;
            (record, Some(BlockKey::from_record(key)?))
        }
    };
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
        meta,
    };
    Some((
        hit,
        usize::try_from(u32::from_be_bytes(*rank)).ok()?,
        fits.collect(),
    ))
}

/// Counts version `no`. Costs its dlist.
pub(crate) fn count(set: &mut Set, ui: &mut Ui, no: usize) -> Result<Summary> {
    Ok(set.files(ui, no, &mut |_| Ok(()))?.sum)
}

/// Counts version `no` if the cache remembers it, without a download.
pub(crate) fn remembered(set: &mut Set, no: usize) -> Result<Option<Summary>> {
    if let Some(counted) = set.counted(no) {
        return Ok(Some(counted));
    }
    let Some((name, size)) = set.dlist(no).map(|(n, s)| (n.clone(), s)) else {
        return Ok(None);
    };
    let Some(previous) = set.cache().load_previous(&name, size) else {
        return Ok(None);
    };
    let Ok(mut sum) = Summary::of(&previous.run) else {
        return Ok(None);
    };
    sum.full = previous.full;
    set.note_counts(&name, size, &sum);
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;
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
                let key = BlockKey::new(&Algo::Sha256.hash(b"x"), 200);
                let meta = (rank % 2 == 1).then_some(key);
                let fits = &fits[..(rank as usize).min(2)];
                encode(entry, meta, rank, fits, &mut record);
                assert!(last < record, "{entry:?} {rank}");
                let (hit, back, read) = decode(&record).expect("reads back");
                assert_eq!((back, hit.kind), (rank as usize, EntryKind::File));
                assert_eq!((read.as_slice(), hit.meta), (fits, meta));
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
}
