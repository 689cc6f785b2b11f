//! [`BlockCache`]: blocks that were read, as they are, in an unnamed temporary file; what is used least makes room.

use std::os::unix::fs::FileExt;

use crate::base::digest::BlockKey;
use crate::base::error::Result;
use crate::base::tmp::{Spool, Tmp};

/// Slots at most, of 48 bytes of memory each.
const SLOTS_AT_MOST: u64 = 1 << 15;
/// Slots at least, whatever that takes on disk.
const SLOTS_AT_LEAST: u64 = 4;
/// Slots in which a block may be.
const WAYS: usize = 8;

#[derive(Clone, Copy)]
struct Slot {
    key: Option<BlockKey>,
    used: u32,
}

/// Blocks by key. Memory: 1.5 MiB at most.
pub(super) struct BlockCache {
    file: Spool,
    slot_bytes: u64,
    slots: Vec<Slot>,
    clock: u32,
}

impl BlockCache {
    /// Takes up to `bytes` on disk, for blocks of up to `block_size` bytes.
    pub(super) fn new(tmp: &Tmp, bytes: u64, block_size: u32) -> Result<BlockCache> {
        let slot_bytes = u64::from(block_size).max(1);
        let count = (bytes / slot_bytes).clamp(SLOTS_AT_LEAST, SLOTS_AT_MOST);
        let empty = Slot { key: None, used: 0 };
        Ok(BlockCache {
            file: Spool::new(tmp)?,
            slot_bytes,
            slots: vec![empty; usize::try_from(count).unwrap_or(1)],
            clock: 0,
        })
    }

    /// The slots of a key, which begin with this one.
    fn group(&self, key: &BlockKey) -> std::ops::Range<usize> {
        let ways = WAYS.min(self.slots.len());
        let groups = self.slots.len() / ways;
        let id = key.id();
        let spread = u32::from_le_bytes([id[0], id[1], id[2], id[3]]) as usize;
        let first = spread % groups.max(1) * ways;
        first..first + ways
    }

    fn find(&self, key: &BlockKey) -> Option<usize> {
        let mut group = self.group(key);
        group.find(|&at| {
            self.slots
                .get(at)
                .is_some_and(|slot| slot.key == Some(*key))
        })
    }

    pub(super) fn holds(&self, key: &BlockKey) -> bool {
        self.find(key).is_some()
    }

    /// Fills `out` from byte `from` of a block on; false when it is not here, or cannot be read any more.
    pub(super) fn get(&mut self, key: &BlockKey, from: u64, out: &mut [u8]) -> bool {
        let Some(at) = self.find(key) else {
            return false;
        };
        let end = from.saturating_add(out.len() as u64);
        if end > u64::from(key.size()) {
            return false;
        }
        self.clock = self.clock.wrapping_add(1);
        let read = self.file.read_at(out, at as u64 * self.slot_bytes + from);
        if let Some(slot) = self.slots.get_mut(at) {
            slot.used = self.clock;
            if read.is_err() {
                slot.key = None;
            }
        }
        read.is_ok()
    }

    /// Keeps a block, if there is room on the disk.
    pub(super) fn put(&mut self, key: &BlockKey, block: &[u8]) {
        if block.len() as u64 > self.slot_bytes || self.holds(key) {
            return;
        }
        self.clock = self.clock.wrapping_add(1);
        let clock = self.clock;
        let age = |at: &usize| match self.slots.get(*at) {
            Some(Slot { key: Some(_), used }) => clock.wrapping_sub(*used),
            _ => u32::MAX,
        };
        let Some(at) = self.group(key).max_by_key(age) else {
            return;
        };
        let written = self
            .file
            .file()
            .write_all_at(block, at as u64 * self.slot_bytes);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot {
                key: written.is_ok().then_some(*key),
                used: clock,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::digest::Algo;

    fn block(n: u32) -> (BlockKey, Vec<u8>) {
        let bytes = n.to_le_bytes().repeat(8 + n as usize % 17);
        let size = u32::try_from(bytes.len()).unwrap();
        (BlockKey::new(&Algo::Sha256.hash(&bytes), size), bytes)
    }

    #[test]
    fn a_block_is_given_as_it_was_or_not_at_all() {
        for bytes in [0, 1 << 10, 1 << 20] {
            let mut cache = BlockCache::new(&Tmp::open(None).unwrap(), bytes, 100).unwrap();
            let mut held = 0;
            for n in 0..400u32 {
                let (key, data) = block(n);
                cache.put(&key, &data);
                assert!(cache.holds(&key));
                let (old, was) = block(n / 2);
                let mut out = vec![0; was.len() - 3];
                if cache.get(&old, 3, &mut out) {
                    held += 1;
                    assert_eq!(out, was[3..]);
                }
                assert!(!cache.get(&key, 3, &mut vec![0; data.len()]));
            }
            assert!(held > 0);
        }
    }

    #[test]
    fn the_one_used_last_stays_and_a_full_disk_keeps_none() {
        let mut cache = BlockCache::new(&Tmp::open(None).unwrap(), 0, 100).unwrap();
        let (first, data) = block(0);
        cache.put(&first, &data);
        for n in 1..100 {
            let (key, data) = block(n);
            cache.put(&key, &data);
            assert!(cache.get(&first, 0, &mut [0; 8]), "{n}");
        }
        let mut cache = BlockCache::new(&Tmp::full_disk(), 1 << 20, 100).unwrap();
        cache.put(&first, &data);
        assert!(!cache.holds(&first));
        cache.put(&first, &[0; 101]);
        assert!(!cache.holds(&first));
    }
}
