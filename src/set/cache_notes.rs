//! The small files of the cache: what a run noted for the next one. All of it best effort.

use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::format::names::VolumeName;
use crate::set::Remembered;
use crate::set::cache::{Cache, Header, put_bytes, put_u64};

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

    /// Whether a version is complete, if an earlier run looked.
    pub(crate) fn full(&self, dlist: &VolumeName, size: Option<u64>) -> Option<bool> {
        let known = self.known_full().unwrap_or_default();
        let same = |(name, was, _): &&(String, Option<u64>, bool)| {
            name == dlist.as_str() && (*was == size)
        };
        known.iter().find(same).map(|(_, _, full)| *full)
    }

    fn known_full(&self) -> Option<Vec<(String, Option<u64>, bool)>> {
        let (file, _) = self.checked("full")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?.min(FULL_AT_MOST as u64);
        let mut all = Vec::new();
        for _ in 0..count {
            let name = String::from_utf8(header.bytes()?).ok()?;
            let size = header.u64()?;
            all.push((name, (size != u64::MAX).then_some(size), header.u64()? == 1));
        }
        Some(all)
    }

    /// Remembers whether a version is complete; the last 4096 that were looked at. Best effort.
    pub(crate) fn store_full(
        &self,
        dlist: &VolumeName,
        size: Option<u64>,
        full: bool,
    ) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        let mut known = self.known_full().unwrap_or_default();
        known.retain(|(name, _, _)| name != dlist.as_str());
        known.push((dlist.as_str().to_owned(), size, full));
        let kept = &known[known.len().saturating_sub(FULL_AT_MOST)..];
        let mut header = Vec::new();
        put_u64(&mut header, kept.len() as u64);
        for (name, size, full) in kept {
            put_bytes(&mut header, name.as_bytes());
            put_u64(&mut header, size.unwrap_or(u64::MAX));
            put_u64(&mut header, u64::from(*full));
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
