//! What versions hold, in a few numbers: counted whenever a list is read to its end, and remembered, so that the table of
//! versions needs no download.

use std::collections::HashSet;

use crate::base::error::Result;
use crate::format::filelist::{Entry, EntryKind};
use crate::format::names::VolumeName;
use crate::set::Set;
use crate::set::cache::{Cache, Header, put_bytes, put_u64};
use crate::set::files::Record;
use crate::spill::run::Run;

/// Sources that are named; whether there are more is known.
const ROOTS_AT_MOST: usize = 3;
/// Bytes of a source that are remembered.
const ROOT_BYTES: usize = 200;
/// Versions that are remembered.
const COUNTED_AT_MOST: usize = 4096;
/// Marks a number that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Counts of one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// False for a partial version.
    pub(crate) full: bool,
    pub(crate) files: u64,
    /// Sum of the lengths of all files in bytes.
    pub(crate) bytes: u64,
    /// Bytes of the dblocks that its backup added, where that run was on this machine.
    pub(crate) stored: Option<u64>,
    /// Files and folders that lie in no other one of the version: its sources, the first of them.
    pub(crate) roots: Vec<Vec<u8>>,
    /// There are further ones.
    pub(crate) more_roots: bool,
}

impl Summary {
    /// Counts records of [`Record`]; whether they are a complete version is not known from them.
    pub(crate) fn of(records: &Run) -> Result<Summary> {
        let mut sum = Summary::default();
        let mut reader = records.reader();
        while let Some(record) = reader.next()? {
            sum.add(&Record::decode(record)?.entry);
        }
        Ok(sum)
    }

    pub(crate) fn add(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::File {
            self.files += 1;
            let size = entry.content.as_ref().map_or(0, |c| c.size);
            self.bytes = self.bytes.saturating_add(size);
        }
        let path = &entry.path;
        if self.roots.iter().any(|root| lies_in(path, root)) {
            return;
        }
        self.roots.retain(|root| !lies_in(root, path));
        match self.roots.len() < ROOTS_AT_MOST {
            true => self.roots.push(path.clone()),
            false => self.more_roots = true,
        }
    }
}

/// True for a folder's own path, and for what is in it.
fn lies_in(path: &[u8], folder: &[u8]) -> bool {
    matches!(folder.last(), Some(b'/' | b'\\')) && path.starts_with(folder)
}

/// Name of a dlist, its listed size in bytes, and what is in it.
type Row = (String, Option<u64>, Summary);

/// What is known of versions, by the names and sizes of their dlists: about 200 bytes each.
#[derive(Default)]
pub(crate) struct Counts {
    /// By name; a name once.
    rows: Vec<Row>,
    /// Not yet written to the cache.
    changed: bool,
}

impl Counts {
    /// `None` when nobody counted a dlist of this size.
    fn get(&self, dlist: &VolumeName, size: Option<u64>) -> Option<&Summary> {
        let (_, was, counted) = self.rows.get(self.find(dlist.as_str()).ok()?)?;
        (*was == size).then_some(counted)
    }

    /// What one run counted; how much was stored for it stays known.
    fn note(&mut self, dlist: &VolumeName, size: Option<u64>, counted: &Summary) {
        let mut counted = counted.clone();
        for root in &mut counted.roots {
            root.truncate(ROOT_BYTES);
        }
        let before = self.get(dlist, size);
        counted.stored = counted.stored.or(before.and_then(|b| b.stored));
        if before == Some(&counted) {
            return;
        }
        let row = (dlist.as_str().to_owned(), size, counted);
        match self.find(dlist.as_str()) {
            Ok(at) => self.rows[at] = row,
            Err(at) => self.rows.insert(at, row),
        }
        // Not without end where a run reads more versions than are remembered.
        if self.rows.len() > 2 * COUNTED_AT_MOST {
            self.rows.drain(..COUNTED_AT_MOST);
        }
        self.changed = true;
    }

    fn find(&self, name: &str) -> std::result::Result<usize, usize> {
        self.rows.binary_search_by(|(n, ..)| n.as_str().cmp(name))
    }
}

impl Set {
    fn counts(&mut self) -> &mut Counts {
        let cache = &self.cache;
        self.counts.get_or_insert_with(|| Counts {
            rows: read(cache).unwrap_or_default(),
            changed: false,
        })
    }

    /// Counts of version `no` without a download, where a run on this machine read or made it.
    pub(crate) fn counted(&mut self, no: usize) -> Option<Summary> {
        let (name, size) = self.dlist(no).map(|(n, s)| (n.clone(), s))?;
        self.counts().get(&name, size).cloned()
    }

    /// Remembers what a dlist of this name and listed size holds, for later runs once this one is done with the set.
    pub(crate) fn note_counts(&mut self, dlist: &VolumeName, size: Option<u64>, sum: &Summary) {
        self.counts().note(dlist, size, sum);
    }
}

impl Drop for Set {
    /// Keeps what was counted, of the newest 4096 versions that are there. Best effort: it only spares a later download.
    fn drop(&mut self) {
        let Some(mut counts) = self.counts.take() else {
            return;
        };
        if counts.changed && self.cache.is_on() {
            let there = self.volumes.dlists().iter();
            let there: HashSet<&str> = there.map(|(name, _)| name.as_str()).collect();
            counts.rows.retain(|(name, ..)| there.contains(&**name));
            let _ = write(&self.cache, &counts.rows);
        }
    }
}

fn read(cache: &Cache) -> Option<Vec<Row>> {
    let (file, _) = cache.checked("counts")?;
    let mut header = Header::read(&file)?;
    let known = |n: u64| (n != UNKNOWN).then_some(n);
    let count = header.u64()?.min(COUNTED_AT_MOST as u64);
    let mut all: Vec<Row> = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(header.bytes()?).ok()?;
        let size = known(header.u64()?);
        let bits = header.u64()?;
        let mut sum = Summary {
            full: bits & 1 != 0,
            more_roots: bits & 2 != 0,
            files: header.u64()?,
            bytes: header.u64()?,
            stored: known(header.u64()?),
            roots: Vec::new(),
        };
        for _ in 0..header.u64()?.min(ROOTS_AT_MOST as u64) {
            sum.roots.push(header.bytes()?);
        }
        all.push((name, size, sum));
    }
    all.is_sorted_by(|a, b| a.0 < b.0).then_some(all)
}

fn write(cache: &Cache, rows: &[Row]) -> Result<()> {
    // A name holds the version's time: the oldest come first.
    let kept = &rows[rows.len().saturating_sub(COUNTED_AT_MOST)..];
    let mut header = Vec::new();
    put_u64(&mut header, kept.len() as u64);
    for (name, size, sum) in kept {
        put_bytes(&mut header, name.as_bytes());
        put_u64(&mut header, size.unwrap_or(UNKNOWN));
        put_u64(
            &mut header,
            u64::from(sum.full) | u64::from(sum.more_roots) << 1,
        );
        put_u64(&mut header, sum.files);
        put_u64(&mut header, sum.bytes);
        put_u64(&mut header, sum.stored.unwrap_or(UNKNOWN));
        put_u64(&mut header, sum.roots.len() as u64);
        for root in &sum.roots {
            put_bytes(&mut header, root);
        }
    }
    cache.write_note("counts", &header)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing step fails the test")]
mod tests {
    use super::*;
    use crate::base::rand;
    use crate::format::filelist::Content;
    use crate::set::Owner;

    fn entry(path: &str) -> Entry {
        let kind = match path.ends_with('/') {
            true => EntryKind::Folder,
            false => EntryKind::File,
        };
        Entry {
            kind,
            path: path.into(),
            time: None,
            content: (kind == EntryKind::File).then(|| Content {
                size: 5,
                ..Content::default()
            }),
            meta: None,
        }
    }

    fn counted(paths: &[&str]) -> Summary {
        let mut sum = Summary::default();
        for path in paths {
            sum.add(&entry(path));
        }
        sum
    }

    #[test]
    fn sources_are_what_lies_in_nothing_else_in_whatever_order_entries_come() {
        for (paths, roots, more) in [
            (&["/a/", "/a/b", "/a/c/", "/a/c/d"][..], &["/a/"][..], false),
            (&["/a/c/d", "/a/b", "/a/c/", "/a/"], &["/a/"], false),
            (&["/a/", "/ab/", "/a/x"], &["/a/", "/ab/"], false),
            (
                &["/etc/fstab", "/home/", "/home/x"],
                &["/etc/fstab", "/home/"],
                false,
            ),
            (
                &["C:\\x\\", "C:\\x\\y", "D:\\z"],
                &["C:\\x\\", "D:\\z"],
                false,
            ),
            (&["/a", "/b", "/c", "/d"], &["/a", "/b", "/c"], true),
            (&[], &[], false),
        ] {
            let sum = counted(paths);
            let found: Vec<_> = sum
                .roots
                .iter()
                .map(|r| std::str::from_utf8(r).unwrap())
                .collect();
            assert_eq!(
                (found.as_slice(), sum.more_roots),
                (roots, more),
                "{paths:?}"
            );
            let files = paths.iter().filter(|p| !p.ends_with(['/', '\\'])).count() as u64;
            assert_eq!(
                sum.files,
                files + u64::from(paths.contains(&"C:\\x\\")),
                "{paths:?}"
            );
            assert_eq!(sum.bytes, 5 * sum.files);
        }
    }

    #[test]
    fn counts_read_back_and_what_a_backup_stored_stays_known() {
        let base = std::env::temp_dir().join(rand::hex::<8>().unwrap());
        let owner = Owner {
            place: "a".to_owned(),
            account: String::new(),
        };
        let cache = Cache::open(base.to_str(), &owner, true);
        let name = |n: usize| {
            let name = format!("duplicati-2024010{n}T000000Z.dlist.zip");
            VolumeName::parse(&name).unwrap()
        };
        let mut counts = Counts::default();
        let long = format!("/{}/", "x".repeat(5000));
        let made = Summary {
            stored: Some(77),
            full: true,
            ..counted(&["/a/", "/a/x", &long])
        };
        counts.note(&name(3), Some(9), &made);
        counts.note(&name(1), None, &counted(&["/b"]));
        // Read again by another run, which knows nothing of what was stored.
        let seen = Summary {
            stored: None,
            ..made.clone()
        };
        counts.note(&name(3), Some(9), &seen);
        write(&cache, &counts.rows).unwrap();
        let rows = read(&cache).unwrap();
        assert_eq!(rows, counts.rows);
        let again = Counts {
            rows,
            changed: false,
        };
        let got = again.get(&name(3), Some(9)).unwrap();
        assert_eq!((got.stored, got.files, got.full), (Some(77), 1, true));
        assert_eq!(got.roots[1].len(), ROOT_BYTES);
        assert_eq!(again.get(&name(3), Some(8)), None);
        assert_eq!(again.get(&name(2), Some(9)), None);
        assert_eq!(again.get(&name(1), None).unwrap().stored, None);
        // Of thousands of versions the newest are kept.
        let rows: Vec<Row> = (0..COUNTED_AT_MOST + 5)
            .map(|n| (format!("{n:09}"), None, Summary::default()))
            .collect();
        write(&cache, &rows).unwrap();
        assert_eq!(read(&cache).unwrap(), rows[5..]);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
