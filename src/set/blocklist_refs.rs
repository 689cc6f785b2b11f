//! Which blocks the stored blocklists name, and so which blocklists are of no use because a block is gone.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Result};
use crate::base::tmp::Tmp;
use crate::set::VolumeNo;
use crate::set::block_index::{BlockIndex, BlockIndexReader};
use crate::spill::keyset::Keyset;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 2 << 20;
const ID_LEN: usize = 32;

/// Collects the members of blocklists: 64 bytes a member, spilled.
pub(crate) struct BlocklistRefs {
    sorter: Sorter,
    hash_len: usize,
}

impl BlocklistRefs {
    pub(crate) fn new(tmp: &Tmp, hash_len: usize) -> BlocklistRefs {
        BlocklistRefs {
            sorter: Sorter::new(tmp, SORT_CAP),
            hash_len,
        }
    }

    /// Adds one blocklist. A length that is no multiple of the hash length ends it early.
    pub(crate) fn add(&mut self, id: &Hash, data: &mut dyn Read) -> Result<()> {
        let mut record = [0; 2 * ID_LEN];
        record[ID_LEN..].copy_from_slice(&BlockKey::new(id, 0).as_bytes()[..ID_LEN]);
        let mut member = vec![0; self.hash_len];
        loop {
            match data.read_exact(&mut member) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(e).doing(|| "read a blocklist".to_owned()),
            }
            if let Some(hash) = Hash::from_bytes(&member) {
                record[..ID_LEN].copy_from_slice(&BlockKey::new(&hash, 0).as_bytes()[..ID_LEN]);
                self.sorter.add(&record)?;
            }
        }
    }

    /// Sorted by member.
    pub(crate) fn finish(self) -> Result<Run> {
        self.sorter.finish()?.into_run()
    }
}

/// Receives a member (32 bytes) with the id of a list that names it (32 more), and the volumes that store it.
pub(crate) type MemberSink<'a> = dyn FnMut(&[u8], &[VolumeNo]) -> Result<()> + 'a;

/// Puts the ids (keys of size 0) of blocklists with a member that has no place, or is in `lost` (keys of size 0), into
/// `broken`. One pass over both.
pub(crate) fn broken(
    members: &Run,
    places: &BlockIndex,
    lost: &mut Keyset,
    broken: &mut Keyset,
    each: &mut MemberSink<'_>,
) -> Result<()> {
    let mut stored = places.reader()?;
    let mut head = next_place(&mut stored)?;
    let mut reader = members.reader();
    let mut last: Option<[u8; ID_LEN]> = None;
    let mut volumes: Vec<VolumeNo> = Vec::new();
    while let Some(record) = reader.next()? {
        let Some((member, list)) = record.split_first_chunk::<ID_LEN>() else {
            continue;
        };
        if last != Some(*member) {
            last = Some(*member);
            volumes.clear();
            while let Some((id, no)) = head.filter(|(id, _)| id <= member) {
                if id == *member {
                    volumes.push(no);
                }
                head = next_place(&mut stored)?;
            }
        }
        each(record, &volumes)?;
        let mut gone = volumes.is_empty();
        if !gone
            && !lost.is_empty()
            && let Some(id) = Hash::from_bytes(member)
        {
            gone = lost.contains(&BlockKey::new(&id, 0))?;
        }
        if gone && let Some(id) = Hash::from_bytes(list) {
            broken.insert(&BlockKey::new(&id, 0))?;
        }
    }
    Ok(())
}

fn next_place(reader: &mut BlockIndexReader<'_>) -> Result<Option<([u8; ID_LEN], VolumeNo)>> {
    Ok(reader.next()?.map(|place| (place.key.id(), place.no)))
}
