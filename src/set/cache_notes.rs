//! The small files of the cache: what a run noted for the next one. All of it best effort.

use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::set::Remembered;
use crate::set::cache::{Cache, Header, put_bytes, put_u64};
use crate::set::known_full::{Known, KnownFull, Row};

/// Volumes remembered as of no use.
const ASIDE_AT_MOST: usize = 1000;
/// Versions of which it is remembered whether they are complete.
const FULL_AT_MOST: usize = 4096;

impl Cache {
    /// What an earlier run learnt of the server, as the destination told it.
    pub(crate) fn load_learnt(&self) -> Option<String> {
        let (file, body) = self.checked("server")?;
        let mut header = Header::read(&file)?;
        let text = header.bytes().filter(|text| text.len() as u64 <= body)?;
        String::from_utf8(text).ok()
    }

    /// Remembers what was learnt of the server, at most 255 bytes. Best effort.
    pub(crate) fn store_learnt(&self, learnt: &str) -> Result<()> {
        if learnt.len() > 255 {
            return Ok(());
        }
        let mut header = Vec::new();
        put_bytes(&mut header, learnt.as_bytes());
        self.write_note("server", &header)
    }

    /// Remembers that a run without a new version turned the listing of the first state into that of the second: who trusted
    /// the first may trust the second. Best effort.
    pub(crate) fn move_state(&self, from: &Hash, to: &Hash) -> Result<()> {
        let origin = match self.moves() {
            Some((origin, before)) if before == *from => origin,
            _ => *from,
        };
        let mut header = Vec::new();
        put_bytes(&mut header, origin.as_bytes());
        put_bytes(&mut header, to.as_bytes());
        self.write_note("moved", &header)
    }

    fn moves(&self) -> Option<(Hash, Hash)> {
        let (file, _) = self.checked("moved")?;
        let mut header = Header::read(&file)?;
        let from = Hash::from_bytes(&header.bytes()?)?;
        Some((from, Hash::from_bytes(&header.bytes()?)?))
    }

    /// What a state became since.
    pub(super) fn moved(&self, state: Hash) -> Hash {
        match self.moves() {
            Some((from, to)) if from == state => to,
            _ => state,
        }
    }

    /// Which versions an earlier run found complete or not.
    pub(crate) fn known_full(&self) -> KnownFull {
        KnownFull {
            rows: self.read_full().unwrap_or_default(),
            changed: false,
        }
    }

    fn read_full(&self) -> Option<Vec<Row>> {
        let (file, _) = self.checked("full")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?.min(FULL_AT_MOST as u64);
        let mut all: Vec<Row> = Vec::new();
        for _ in 0..count {
            let name = String::from_utf8(header.bytes()?).ok()?;
            let size = header.u64()?;
            let size = (size != u64::MAX).then_some(size);
            let bits = header.u64()?;
            let known = Known {
                full: bits & 1 != 0,
                replaces: bits & 2 != 0,
            };
            all.push((name, size, known));
        }
        // As it was written; a file that is not is no use.
        all.is_sorted_by(|a, b| a.0 < b.0).then_some(all)
    }

    /// Remembers what is known, the newest 4096 versions of it, if something is new. Best effort.
    pub(crate) fn store_full(&self, known: &mut KnownFull) -> Result<()> {
        if !self.is_on() || !std::mem::take(&mut known.changed) {
            return Ok(());
        }
        let skipped = known.rows.len().saturating_sub(FULL_AT_MOST);
        let mut header = Vec::new();
        put_u64(&mut header, (known.rows.len() - skipped) as u64);
        // A name holds the version's time: the oldest come first.
        for (name, size, known) in known.rows.iter().skip(skipped) {
            put_bytes(&mut header, name.as_bytes());
            put_u64(&mut header, size.unwrap_or(u64::MAX));
            put_u64(
                &mut header,
                u64::from(known.full) | u64::from(known.replaces) << 1,
            );
        }
        self.write_note("full", &header)
    }

    /// When space was last reclaimed, as far as this machine knows.
    pub(crate) fn compacted(&self) -> Option<Timestamp> {
        let (file, _) = self.checked("compacted")?;
        let seconds = Header::read(&file)?.u64()?;
        Some(Timestamp(i64::try_from(seconds).ok()?))
    }

    /// Remembers when space was last reclaimed. Best effort.
    pub(crate) fn store_compacted(&self, at: Timestamp) -> Result<()> {
        let mut header = Vec::new();
        put_u64(&mut header, u64::try_from(at.0).unwrap_or(0));
        self.write_note("compacted", &header)
    }

    /// dblocks that no index volume describes and that could not be used: names and listed sizes in bytes.
    pub(crate) fn load_aside(&self) -> Vec<(String, Option<u64>)> {
        self.read_aside().unwrap_or_default()
    }

    fn read_aside(&self) -> Option<Vec<(String, Option<u64>)>> {
        let (file, _) = self.checked("aside")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?.min(ASIDE_AT_MOST as u64);
        let mut all = Vec::new();
        for _ in 0..count {
            let name = String::from_utf8(header.bytes()?).ok()?;
            let size = header.u64()?;
            all.push((name, (size != u64::MAX).then_some(size)));
        }
        Some(all)
    }

    /// Remembers the last of such volumes, best effort.
    pub(crate) fn store_aside(&self, all: &[(String, Option<u64>)]) -> Result<()> {
        let kept = &all[all.len().saturating_sub(ASIDE_AT_MOST)..];
        let mut header = Vec::new();
        put_u64(&mut header, kept.len() as u64);
        for (name, size) in kept {
            put_bytes(&mut header, name.as_bytes());
            put_u64(&mut header, size.unwrap_or(u64::MAX));
        }
        self.write_note("aside", &header)
    }

    /// How many versions an earlier run saw at the destination, and when.
    pub(crate) fn remembered(&self) -> Option<Remembered> {
        let (file, _) = self.checked("seen")?;
        let mut header = Header::read(&file)?;
        let versions = header.u64()?;
        let at = Timestamp(i64::try_from(header.u64()?).ok()?);
        let sealed = header.u64()? != 0;
        (versions > 0).then_some(Remembered {
            versions,
            at,
            sealed,
        })
    }

    /// Remembers how many versions there are now. Best effort.
    pub(crate) fn remember(&self, seen: Remembered) -> Result<()> {
        let mut header = Vec::new();
        put_u64(&mut header, seen.versions);
        put_u64(&mut header, u64::try_from(seen.at.0).unwrap_or(0));
        put_u64(&mut header, u64::from(seen.sealed));
        self.write_note("seen", &header)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing step fails the test")]
mod tests {
    use super::*;
    use crate::base::rand;
    use crate::format::manifest::Fileset;
    use crate::format::names::VolumeName;
    use crate::set::Owner;

    fn dlist(second: usize) -> VolumeName {
        let time = Timestamp(1_700_000_000 + i64::try_from(second).unwrap()).compact();
        VolumeName::parse(&format!("duplicati-{time}.dlist.zip")).unwrap()
    }

    #[test]
    fn of_thousands_of_versions_the_newest_are_remembered_in_one_file_written_once() {
        let base = std::env::temp_dir().join(rand::hex::<8>().unwrap());
        let owner = Owner {
            place: "a".to_owned(),
            account: String::new(),
        };
        let cache = Cache::open(base.to_str(), &owner, true);
        let mut known = cache.known_full();
        let all = FULL_AT_MOST + 900;
        for n in 0..all {
            assert_eq!(known.get(&dlist(n), Some(7)), None);
            let said = Fileset {
                full: n % 3 > 0,
                replaces: vec![Timestamp(1); n % 2],
            };
            known.note(&dlist(n), Some(7), &said);
        }
        cache.store_full(&mut known).unwrap();
        // Nothing new is nothing to write.
        let Cache::On(folder) = &cache else {
            panic!("there is a cache");
        };
        let file = folder.join("full");
        let before = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        cache.store_full(&mut known).unwrap();
        assert!(!file.exists());
        std::fs::write(&file, &before).unwrap();
        let mut again = cache.known_full();
        assert_eq!(again.rows.len(), FULL_AT_MOST);
        assert_eq!(again.get(&dlist(899), Some(7)), None);
        for n in [900, 901, all - 1] {
            let want = Known {
                full: n % 3 > 0,
                replaces: n % 2 > 0,
            };
            assert_eq!(again.get(&dlist(n), Some(7)), Some(want));
            // Of another size it is another list.
            assert_eq!(again.get(&dlist(n), Some(8)), None);
            assert_eq!(again.get(&dlist(n), None), None);
        }
        let left = dlist(all - 1);
        again.keep(&|name| name == left.as_str());
        cache.store_full(&mut again).unwrap();
        let last = cache.known_full();
        assert_eq!(last.rows.len(), 1);
        assert!(last.get(&left, Some(7)).is_some());
        // Whoever damages it loses no more than it.
        std::fs::write(&file, &before[..before.len() - 1]).unwrap();
        assert!(cache.known_full().rows.is_empty());
        std::fs::remove_dir_all(&base).unwrap();
    }
}
