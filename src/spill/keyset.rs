//! [`Keyset`]: is this block stored? The newest keys in memory, the rest in sorted tables on disk.
//!
//! A yes always comes from comparing a whole key; a false yes would be lost data. Keys are never removed. Memory: one byte a
//! key (filters) and 2.5 MiB; 10 million keys stay below 13 MiB.

use crate::base::digest::BlockKey;
use crate::base::error::Result;
use crate::base::tmp::Tmp;
use crate::spill::mix;
use crate::spill::table::{Table, TableBuilder};

/// Most keys in the tail: an index fits 16 bits, with one value for "free".
const TAIL_KEYS: usize = 0xffff;
const SLOTS: usize = 1 << 17;
/// Tables of one tier before they become one of the next.
const TIER_TABLES: usize = 8;

/// Membership of block keys.
pub(crate) struct Keyset {
    tmp: Tmp,
    base: Option<Table>,
    tail: Tail,
    tail_cap: usize,
    tiers: Vec<Vec<Table>>,
    len: u64,
}

impl Keyset {
    pub(crate) fn new(tmp: &Tmp) -> Keyset {
        Keyset {
            tmp: tmp.clone(),
            base: None,
            tail: Tail::default(),
            tail_cap: TAIL_KEYS,
            tiers: Vec::new(),
            len: 0,
        }
    }

    /// Starts with the keys of a table of [`BlockKey`]s (key length 36), which stays as it is.
    #[cfg(test)]
    pub(crate) fn with_base(table: Table, tmp: &Tmp) -> Keyset {
        let mut set = Keyset::new(tmp);
        set.len = table.len();
        set.base = Some(table);
        set
    }

    /// Number of keys; records of the base that repeat a key count each.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the key was inserted or is in the base. Fails only when the temporary folder cannot be read.
    pub(crate) fn contains(&mut self, key: &BlockKey) -> Result<bool> {
        if self.tail.contains(key) {
            return Ok(true);
        }
        for table in self.tiers.iter_mut().flatten().chain(&mut self.base) {
            if table.contains(key.as_bytes())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a key; true when it was not there. Now and then it merges tables, at worst all of them but the base.
    pub(crate) fn insert(&mut self, key: &BlockKey) -> Result<bool> {
        if self.contains(key)? {
            return Ok(false);
        }
        if self.tail.keys.len() >= self.tail_cap {
            self.spill()?;
        }
        self.tail.add(key);
        self.len += 1;
        Ok(true)
    }

    /// Moves the tail to disk and merges every tier that is full.
    fn spill(&mut self) -> Result<()> {
        self.tail.keys.sort_unstable();
        let count = self.tail.keys.len() as u64;
        let mut builder = TableBuilder::new(&self.tmp, BlockKey::LEN, BlockKey::LEN, count)?;
        for key in &self.tail.keys {
            builder.push(key.as_bytes())?;
        }
        let mut table = builder.finish()?;
        self.tail.clear();
        for tier in 0.. {
            if self.tiers.len() == tier {
                self.tiers.push(Vec::with_capacity(TIER_TABLES));
            }
            let tables = &mut self.tiers[tier];
            tables.push(table);
            if tables.len() < TIER_TABLES {
                break;
            }
            table = Table::merge(std::mem::take(tables), &self.tmp)?;
        }
        Ok(())
    }
}

/// Keys in order of arrival and an open-addressing index: 36 bytes a key and 256 KiB.
#[derive(Default)]
struct Tail {
    keys: Vec<BlockKey>,
    /// Number of the key plus one; zero is free. Empty until the first key.
    slots: Vec<u16>,
}

impl Tail {
    /// The slot of the key, or the free one where it belongs.
    fn slot(&self, key: &BlockKey) -> usize {
        let mut at = usize::try_from(mix(key.as_bytes()) >> 47).unwrap_or(0);
        loop {
            match self.slots[at] {
                0 => return at,
                n if self.keys[usize::from(n) - 1] == *key => return at,
                _ => at = (at + 1) % SLOTS,
            }
        }
    }

    fn contains(&self, key: &BlockKey) -> bool {
        !self.keys.is_empty() && self.slots[self.slot(key)] != 0
    }

    /// Adds a key that is not there; there must be room.
    fn add(&mut self, key: &BlockKey) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, 0);
        }
        let at = self.slot(key);
        self.keys.push(*key);
        self.slots[at] = u16::try_from(self.keys.len()).expect("the tail has at most 65535 keys");
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.slots.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::{Algo, Hash};
    use crate::base::error::Kind;
    use crate::spill::sorter::Sorter;
    use crate::spill::testing::{Rng, tmp};
    use std::collections::BTreeSet;

    /// SHA-256, MD5 padded with zeros, or nearly nothing but the size.
    fn key(rng: &mut Rng, shape: usize, range: usize) -> BlockKey {
        let n = rng.below(range);
        let text = n.to_be_bytes();
        match shape {
            0 => BlockKey::new(&Algo::Sha256.hash(&text), 1024),
            1 => BlockKey::new(&Algo::Md5.hash(&text), 7),
            _ => {
                let zero = Hash::from_bytes(&[0; 16]).expect("16 bytes");
                BlockKey::new(&zero, u32::try_from(n).expect("small"))
            }
        }
    }

    #[test]
    fn random_inserts_against_a_plain_set() {
        let mut rng = Rng(5);
        for shape in 0..3 {
            for tail_cap in [1, 3, 50, TAIL_KEYS] {
                let mut base = Sorter::new(&tmp(), 1000);
                let mut model = BTreeSet::new();
                for _ in 0..300 {
                    let k = key(&mut rng, shape, 4000);
                    if model.insert(k) {
                        base.add(k.as_bytes()).expect("add");
                    }
                }
                let base = Table::build(base.finish().expect("sort"), 36, 36, &tmp());
                let mut set = Keyset::with_base(base.expect("base"), &tmp());
                set.tail_cap = tail_cap;
                for _ in 0..3000 {
                    let k = key(&mut rng, shape, 4000);
                    assert_eq!(set.contains(&k).expect("contains"), model.contains(&k));
                    let k = key(&mut rng, shape, 4000);
                    assert_eq!(set.insert(&k).expect("insert"), model.insert(k));
                }
                assert_eq!(set.len(), model.len() as u64);
                for k in &model {
                    assert!(set.contains(k).expect("contains"));
                }
                let tables: usize = set.tiers.iter().map(Vec::len).sum();
                assert!(tables < TIER_TABLES * set.tiers.len().max(1));
            }
        }
    }

    #[test]
    fn a_full_tail_goes_to_disk() {
        let mut set = Keyset::new(&tmp());
        let mut k = [0; 16];
        for n in 0..u32::try_from(TAIL_KEYS + 10).expect("fits") {
            k[..4].copy_from_slice(&n.to_le_bytes());
            let hash = Hash::from_bytes(&k).expect("16 bytes");
            assert!(set.insert(&BlockKey::new(&hash, 5)).expect("insert"));
            assert!(!set.insert(&BlockKey::new(&hash, 5)).expect("insert"));
        }
        assert_eq!(set.tail.keys.len(), 10);
        assert_eq!(set.tiers[0].len(), 1);
    }

    #[test]
    fn a_full_disk_is_said_with_the_folder() {
        let mut set = Keyset::new(&Tmp::full_disk());
        let outcome = (0..70_000u32).try_for_each(|n| {
            let hash = Algo::Md5.hash(&n.to_be_bytes());
            set.insert(&BlockKey::new(&hash, 5)).map(drop)
        });
        let e = outcome.expect_err("no space");
        assert_eq!(e.kind(), Kind::NoSpace);
        assert!(e.to_string().contains("/dev/full"), "{e}");
    }
}
