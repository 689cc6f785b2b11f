//! The places of all blocks: sorted tables on disk, looked up by digest or read in key order; and what the index states of each
//! dblock.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Result};
use crate::base::tmp::{Spool, Tmp};
use crate::set::place::{PLACE_LEN, Place};
use crate::set::volume::Expected;
use crate::set::{Set, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;
use crate::spill::table::{Table, TableReader};

/// Places are looked up by digest alone: who reads a blocklist does not know the length of a file's last block.
pub(crate) const ID_LEN: usize = 32;

/// All known places of all blocks.
pub(crate) struct BlockIndex {
    pub(super) tables: Vec<Table>,
    pub(super) facts: Facts,
    /// Index of the dindex that describes each dblock, `u32::MAX` = none. 4 bytes a volume.
    pub(super) described_by: Vec<u32>,
    /// Whether the own entries of each dblock were added.
    pub(super) scanned: Vec<bool>,
    /// Made from what a version says of its own blocks: it has those that were asked for and no others, and nothing is known of the
    /// volumes.
    pub(super) from_version: bool,
    /// Blocks (keys of size 0) of volumes that index volumes describe and that are not there.
    pub(super) elsewhere: Keyset,
}

impl BlockIndex {
    /// Places, each as [`Place::encode`] gives it, as a version's locator tells them.
    pub(super) fn of_version(set: &Set, places: Sorter) -> Result<BlockIndex> {
        let count = set.volumes.dblock_count() as usize;
        let mut index = BlockIndex {
            tables: Vec::new(),
            facts: Facts::new(set)?,
            described_by: vec![u32::MAX; count],
            scanned: vec![false; count],
            from_version: true,
            elsewhere: Keyset::new(&set.tmp),
        };
        index.add(places, &set.tmp)?;
        Ok(index)
    }

    /// It was not read from index volumes: a block that is not where it says may be somewhere else.
    pub(crate) fn is_of_version(&self) -> bool {
        self.from_version
    }

    /// Entries; a block in two volumes counts twice.
    pub(crate) fn len(&self) -> u64 {
        self.tables.iter().map(Table::len).sum()
    }

    /// True when a block of this id and size is stored somewhere.
    pub(crate) fn contains(&mut self, key: &BlockKey) -> Result<bool> {
        let mut found = false;
        self.each_place(&key.as_bytes()[..ID_LEN], &mut |k, _| found |= k == *key)?;
        Ok(found)
    }

    /// True when a block of this id is stored, whatever its size.
    pub(crate) fn contains_id(&mut self, id: &Hash) -> Result<bool> {
        let mut found = false;
        self.each_place(&BlockKey::new(id, 0).as_bytes()[..ID_LEN], &mut |_, _| {
            found = true
        })?;
        Ok(found)
    }

    /// Volumes that hold a block of this id and size.
    pub(crate) fn find_key(&mut self, key: &BlockKey) -> Result<Vec<VolumeNo>> {
        let mut out = Vec::new();
        self.each_place(&key.as_bytes()[..ID_LEN], &mut |k, no| {
            if k == *key {
                out.push(no);
            }
        })?;
        Ok(out)
    }

    /// Volumes that hold a block of this id, each with the block's size in bytes.
    pub(crate) fn find_id(&mut self, id: &Hash) -> Result<Vec<(VolumeNo, u32)>> {
        self.find_like(&BlockKey::new(id, 0))
    }

    /// As [`BlockIndex::find_id`], by the id of a key.
    pub(super) fn find_like(&mut self, key: &BlockKey) -> Result<Vec<(VolumeNo, u32)>> {
        let mut out = Vec::new();
        self.each_place(&key.id(), &mut |key, no| out.push((no, key.size())))?;
        Ok(out)
    }

    fn each_place(&mut self, id: &[u8], each: &mut dyn FnMut(BlockKey, VolumeNo)) -> Result<()> {
        for table in &mut self.tables {
            table.lookup_all(id, &mut |record| {
                if let Some(place) = Place::decode(record) {
                    each(place.key, place.no);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// All places in key order.
    pub(crate) fn reader(&self) -> Result<BlockIndexReader<'_>> {
        let mut sources = Vec::new();
        for table in &self.tables {
            let mut reader = table.reader();
            let head = reader.next()?.map(<[u8]>::to_vec);
            sources.push((reader, head));
        }
        Ok(BlockIndexReader { sources })
    }

    /// Adds places, each as [`Place::encode`] gives it, that were found by other means. Tables that are not much larger are
    /// merged with the new one: however often it is called, there are few, and a place is copied a few times at most.
    pub(crate) fn add(&mut self, found: Sorter, tmp: &Tmp) -> Result<()> {
        let mut table = Table::build(found.finish()?, PLACE_LEN, ID_LEN, tmp)?;
        while let Some(other) = self.tables.pop_if(|other| other.len() / 2 <= table.len()) {
            table = Table::merge(vec![other, table], tmp)?;
        }
        if table.len() > 0 {
            self.tables.push(table);
        }
        Ok(())
    }

    /// Makes room for what is known of dblocks that came after the index was read: numbers below `count`.
    pub(crate) fn grow(&mut self, count: u32) -> Result<()> {
        self.described_by.resize(count as usize, u32::MAX);
        self.scanned.resize(count as usize, false);
        self.facts.grow(count)
    }

    /// A dindex that was written in this run describes the dblock.
    pub(crate) fn describe(&mut self, no: VolumeNo, dindex: u32, expected: Expected) -> Result<()> {
        if let Some(slot) = self.described_by.get_mut(no as usize) {
            *slot = dindex;
        }
        self.facts.set(no, expected)
    }

    /// What the index says of a dblock.
    pub(crate) fn expected(&self, no: VolumeNo) -> Result<Expected> {
        self.facts.get(no)
    }

    /// The dindex that describes a dblock.
    pub(crate) fn dindex_of(&self, no: VolumeNo) -> Option<u32> {
        self.described_by
            .get(no as usize)
            .copied()
            .filter(|&i| i != u32::MAX)
    }
}

/// A merge over the tables.
pub(crate) struct BlockIndexReader<'a> {
    sources: Vec<(TableReader<'a>, Option<Vec<u8>>)>,
}

impl BlockIndexReader<'_> {
    /// The next place in key order; the same block comes once a volume.
    pub(crate) fn next(&mut self) -> Result<Option<Place>> {
        let heads = self.sources.iter().enumerate();
        let least = heads
            .filter_map(|(i, s)| Some((s.1.as_ref()?, i)))
            .min()
            .map(|(_, i)| i);
        let Some(source) = least.and_then(|i| self.sources.get_mut(i)) else {
            return Ok(None);
        };
        let next = source.0.next()?.map(<[u8]>::to_vec);
        let record = std::mem::replace(&mut source.1, next);
        Ok(record.and_then(|record| Place::decode(&record)))
    }
}

/// Hash and size that the index states for each dblock: 73 bytes a volume in a temporary file.
pub(super) struct Facts {
    pub(super) file: Spool,
}

const FACT_LEN: usize = 73;

impl Facts {
    pub(super) fn new(set: &Set) -> Result<Facts> {
        let mut facts = Facts {
            file: Spool::new(&set.tmp)?,
        };
        facts.grow(set.volumes.dblock_count())?;
        Ok(facts)
    }

    fn grow(&mut self, count: u32) -> Result<()> {
        self.file.truncate(u64::from(count) * FACT_LEN as u64)
    }

    pub(super) fn set(&mut self, no: VolumeNo, expected: Expected) -> Result<()> {
        use std::os::unix::fs::FileExt;
        let mut record = [0u8; FACT_LEN];
        if let Some(hash) = expected.hash {
            let raw = hash.as_bytes();
            record[0] = hash.len_octet();
            record[1..=raw.len()].copy_from_slice(raw);
        }
        // A file of zeros knows nothing.
        let size = expected.size.map_or(0, |size| size.saturating_add(1));
        record[65..].copy_from_slice(&size.to_be_bytes());
        let done = self
            .file
            .file()
            .write_all_at(&record, u64::from(no) * FACT_LEN as u64);
        done.doing(|| "use a temporary file".to_owned())
    }

    pub(super) fn get(&self, no: VolumeNo) -> Result<Expected> {
        let mut record = [0u8; FACT_LEN];
        self.file
            .read_at(&mut record, u64::from(no) * FACT_LEN as u64)?;
        let size = record[65..].try_into().map(u64::from_be_bytes).unwrap_or(0);
        let hash = record
            .get(1..=usize::from(record[0]))
            .and_then(Hash::from_bytes);
        Ok(Expected {
            hash,
            size: size.checked_sub(1),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing step fails the test")]
mod tests {
    use super::*;
    use crate::base::digest::Algo;

    /// As when thousands of volumes are indexed again, one by one.
    #[test]
    fn places_that_come_volume_by_volume_stay_in_few_tables() {
        let tmp = Tmp::open(None).unwrap();
        let mut index = BlockIndex {
            tables: Vec::new(),
            facts: Facts {
                file: Spool::new(&tmp).unwrap(),
            },
            described_by: Vec::new(),
            scanned: Vec::new(),
            from_version: false,
            elsewhere: Keyset::new(&tmp),
        };
        let key = |no: u32, n: u32| {
            let id = Algo::Sha256.hash(&[no.to_be_bytes(), n.to_be_bytes()].concat());
            BlockKey::new(&id, n + 1)
        };
        for no in 0..1000 {
            let mut found = Sorter::new(&tmp, 1 << 10);
            for n in 0..no % 7 {
                let key = key(no, n);
                found.add(&Place { key, no }.encode()).unwrap();
            }
            index.add(found, &tmp).unwrap();
            assert!(index.tables.len() <= 12, "{}", index.tables.len());
        }
        // What is said twice is known once.
        let mut found = Sorter::new(&tmp, 1 << 10);
        for _ in 0..2 {
            let place = Place {
                key: key(6, 5),
                no: 6,
            };
            found.add(&place.encode()).unwrap();
        }
        index.add(found, &tmp).unwrap();
        for no in 0..1000 {
            for n in 0..no % 7 {
                assert!(index.find_key(&key(no, n)).unwrap().contains(&no));
            }
            assert!(!index.contains(&key(no, 7)).unwrap());
        }
        let (mut reader, mut count, mut last) = (index.reader().unwrap(), 0, None);
        while let Some(place) = reader.next().unwrap() {
            assert!(last.is_none_or(|last| last <= place.key));
            last = Some(place.key);
            count += 1;
        }
        assert_eq!(count, index.len());
    }
}
