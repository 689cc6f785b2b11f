//! Which blocks are needed, and in which volumes they are: two sorted streams joined on disk.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::set::{BlockIndex, Goal, Place, Set, VolumeNo};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 4 << 20;

/// The record of a wanted block: key, then goal.
pub(super) fn want(key: &BlockKey, goal: Goal) -> Vec<u8> {
    let mut record = key.as_bytes().to_vec();
    goal.encode(&mut record);
    record
}

/// What a record of a wanted block says.
pub(super) fn wanted(record: &[u8]) -> Result<(BlockKey, Goal)> {
    let key =
        BlockKey::from_record(record).ok_or_else(|| Error::bug("a wanted block has a key"))?;
    let goal = Goal::decode(record.get(BlockKey::LEN..).unwrap_or_default())?;
    Ok((key, goal))
}

/// What a record of a plan says: a block and its volume, and where it goes.
pub(super) fn planned(record: &[u8]) -> Result<(Place, Goal)> {
    let parsed = || {
        let (no, rest) = record.split_first_chunk::<4>()?;
        let (key, goal) = rest.get(LEADER..)?.split_at_checked(BlockKey::LEN)?;
        let place = Place {
            key: BlockKey::from_record(key)?,
            no: u32::from_be_bytes(*no),
        };
        Some((place, goal))
    };
    let (place, goal) = parsed().ok_or_else(|| Error::bug("a planned block has a place"))?;
    Ok((place, Goal::decode(goal)?))
}

/// The first goal of a block in the order of fetching: target, metadata before content, offset.
const LEADER: usize = 8 + 1 + 8;

fn leader(goal: Goal) -> [u8; LEADER] {
    let mut out = [0; LEADER];
    out[..8].copy_from_slice(&goal.target.to_be_bytes());
    out[8] = u8::from(!goal.meta);
    out[9..].copy_from_slice(&goal.offset.to_be_bytes());
    out
}

/// The outcome of a join.
pub(super) struct Plan {
    /// As [`planned`] takes them apart: by volume, there in the order of the first target that wants a block, then by block.
    pub(super) run: Run,
    /// Volumes needed and their sizes together, as far as listed.
    pub(super) volumes: u64,
    pub(super) bytes: u64,
}

/// Finds a volume for every wanted block, preferring volumes that are needed anyway; goals without one go to `lost`.
/// `failed` volumes do not count.
pub(super) fn join(
    wants: &Run,
    places: &BlockIndex,
    set: &Set,
    failed: &[bool],
    lost: &mut dyn FnMut(&BlockKey, Goal) -> Result<()>,
) -> Result<Plan> {
    let mut plan = Sorter::new(set.tmp(), SORT_CAP);
    let count = set.volumes().dblock_count() as usize;
    let mut needed = vec![false; count];
    let mut places = places.reader()?;
    let mut place = next_place(&mut places)?;
    let mut reader = wants.reader();
    let mut current: Option<(BlockKey, Option<VolumeNo>, [u8; LEADER])> = None;
    let mut record = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while let Some(want) = reader.next()? {
        if last == want {
            continue;
        }
        last.clear();
        last.extend_from_slice(want);
        let (key, goal) = wanted(want)?;
        if current.is_none_or(|(k, ..)| k != key) {
            while place.is_some_and(|(k, _)| k < key) {
                place = next_place(&mut places)?;
            }
            let mut choice: Option<VolumeNo> = None;
            while let Some((k, no)) = place.filter(|(k, _)| *k == key) {
                debug_assert!(k == key);
                let usable = !failed.get(no as usize).copied().unwrap_or(true);
                let wanted_anyway = needed.get(no as usize).copied().unwrap_or(false);
                let better = choice.is_none_or(|c| {
                    wanted_anyway && !needed.get(c as usize).copied().unwrap_or(false)
                });
                if usable && better {
                    choice = Some(no);
                }
                place = next_place(&mut places)?;
            }
            if let Some(slot) = choice.and_then(|no| needed.get_mut(no as usize)) {
                *slot = true;
            }
            current = Some((key, choice, leader(goal)));
        }
        match current.and_then(|(_, choice, first)| Some((choice?, first))) {
            Some((no, first)) => {
                record.clear();
                record.extend_from_slice(&no.to_be_bytes());
                record.extend_from_slice(&first);
                record.extend_from_slice(key.as_bytes());
                record.extend_from_slice(want.get(BlockKey::LEN..).unwrap_or_default());
                plan.add(&record)?;
            }
            None => lost(&key, goal)?,
        }
    }
    let mut bytes = 0;
    let mut volumes = 0;
    for no in 0..set.volumes().dblock_count() {
        if needed.get(no as usize) == Some(&true) {
            volumes += 1;
            bytes += set
                .volumes()
                .dblock(no)
                .and_then(|(_, size)| size)
                .unwrap_or(0);
        }
    }
    Ok(Plan {
        run: plan.finish()?.into_run()?,
        volumes,
        bytes,
    })
}

fn next_place(
    reader: &mut crate::set::BlockIndexReader<'_>,
) -> Result<Option<(BlockKey, VolumeNo)>> {
    Ok(reader.next()?.map(|place| (place.key, place.no)))
}
