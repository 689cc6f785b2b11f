//! Which blocks the stored blocklists name, and so which blocklists are of no use because a block is gone.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Result};
use crate::base::tmp::Tmp;
use crate::set::blocks::Places;
use crate::spill::keyset::Keyset;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 2 << 20;
const ID_LEN: usize = 32;

/// Collects the members of blocklists: 64 bytes a member, spilled.
pub(crate) struct Members {
    sorter: Sorter,
    hash_len: usize,
}

impl Members {
    pub(crate) fn new(tmp: &Tmp, hash_len: usize) -> Members {
        Members {
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

/// Puts the ids (keys of size 0) of blocklists with a member that has no place, or is in `lost` (keys of size 0), into
/// `broken`. One pass over both.
pub(crate) fn broken(
    members: &Run,
    places: &Places,
    lost: &mut Keyset,
    broken: &mut Keyset,
) -> Result<()> {
    let mut stored = places.reader()?;
    let mut head: Option<[u8; ID_LEN]> = None;
    let mut ended = false;
    let mut reader = members.reader();
    while let Some(record) = reader.next()? {
        let (member, list) = record.split_at(ID_LEN);
        while !ended && head.is_none_or(|h| h.as_slice() < member) {
            head = match stored.next()? {
                Some(place) => place.get(..ID_LEN).and_then(|id| id.try_into().ok()),
                None => {
                    ended = true;
                    None
                }
            };
        }
        let mut gone = head.is_none_or(|h| h.as_slice() != member);
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
