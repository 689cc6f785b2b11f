//! Blocklists as they are met: which are known, what their members are, and which name a block that is gone.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Result};
use crate::base::tmp::{Spool, Tmp};
use crate::format::manifest::Params;
use crate::set::{BlockIndex, BlocklistRefs, ListReader, ListState, VolumeNo, broken};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;

const LASTS_CAP: usize = 1 << 18;

/// Marks the size of a list's last block among the sizes of keys: blocks have at most 2 GiB.
const LAST: u32 = 1 << 31;

/// Blocklists whose content was read. 64 bytes a member, spilled.
pub(super) struct Lists {
    tmp: Tmp,
    params: Params,
    /// Of each list a key of size 0, one of as many bytes as it has members, and one with [`LAST`] and the size of its last block
    /// for every size that is stored of it.
    known: Keyset,
    /// Lists that were added since the members were looked up last, each with its last member.
    lasts: Sorter,
    broken: Keyset,
    fresh: BlocklistRefs,
    any_fresh: bool,
    scratch: Spool,
}

impl Lists {
    pub(super) fn new(tmp: &Tmp, params: Params) -> Result<Lists> {
        Ok(Lists {
            tmp: tmp.clone(),
            params,
            known: Keyset::new(tmp),
            lasts: Sorter::new(tmp, LASTS_CAP),
            broken: Keyset::new(tmp),
            fresh: BlocklistRefs::new(tmp, params.block_hash.len()),
            any_fresh: false,
            scratch: Spool::new(tmp)?,
        })
    }

    /// Takes a blocklist if its bytes hash to `id`; else says what is wrong. Errors are those of this machine.
    pub(super) fn add(&mut self, id: &Hash, data: &mut dyn Read) -> Result<Option<String>> {
        let said = || {
            Some(format!(
                "its copy of the blocklist {} is damaged",
                id.base64()
            ))
        };
        self.scratch.clear()?;
        let mut hasher = self.params.block_hash.hasher();
        let mut len = 0u64;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let n = match data.read(&mut buffer) {
                Ok(n) => n,
                Err(e) => {
                    let e = crate::base::error::unwrap_io(e);
                    return if e.kind().is_of_one_volume() {
                        Ok(said())
                    } else {
                        Err(e)
                    };
                }
            };
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            len += n as u64;
            std::io::Write::write_all(&mut self.scratch, &buffer[..n])
                .doing(|| "keep a blocklist".to_owned())?;
        }
        let whole = len.is_multiple_of(self.params.block_hash.len() as u64);
        if hasher.finish() != *id || !whole {
            return Ok(said());
        }
        if !self.known.insert(&BlockKey::new(id, 0))? {
            return Ok(None);
        }
        self.any_fresh = true;
        let hash_len = self.params.block_hash.len() as u64;
        if let Ok(members) = u32::try_from(len / hash_len)
            && members > 0
        {
            self.known.insert(&BlockKey::new(id, members))?;
            let mut last = vec![0; self.params.block_hash.len()];
            self.scratch.read_at(&mut last, len - hash_len)?;
            if let Some(member) = Hash::from_bytes(&last) {
                let key = BlockKey::new(&member, 0).id();
                self.lasts.add(&[key, BlockKey::new(id, 0).id()].concat())?;
            }
        }
        self.scratch.rewind()?;
        let mut input = std::io::BufReader::with_capacity(16 * 1024, &mut self.scratch);
        self.fresh.add(id, &mut input)?;
        Ok(None)
    }

    /// Looks up the members of what was added since the last call; true when a list turned out broken.
    /// `held` hears of the volumes that hold each member, with the list's id.
    pub(super) fn settle(
        &mut self,
        places: &mut BlockIndex,
        lost: &mut Keyset,
        held: &mut dyn FnMut(&[u8], &[VolumeNo]),
    ) -> Result<bool> {
        if !std::mem::take(&mut self.any_fresh) {
            return Ok(false);
        }
        let next = BlocklistRefs::new(&self.tmp, self.params.block_hash.len());
        let members = std::mem::replace(&mut self.fresh, next).finish()?;
        let before = self.broken.len();
        broken(
            &members,
            places,
            lost,
            &mut self.broken,
            &mut |record, volumes| {
                if !volumes.is_empty() {
                    held(record.get(32..).unwrap_or_default(), volumes);
                }
                Ok(())
            },
        )?;
        let lasts = std::mem::replace(&mut self.lasts, Sorter::new(&self.tmp, LASTS_CAP));
        let mut lasts = lasts.finish()?;
        while let Some(record) = lasts.next()? {
            let (member, list) = record.split_at_checked(32).unwrap_or_default();
            if let (Some(member), Some(list)) = (Hash::from_bytes(member), Hash::from_bytes(list)) {
                for (_, size) in places.find_id(&member)? {
                    self.known.insert(&BlockKey::new(&list, LAST | size))?;
                }
            }
        }
        Ok(self.broken.len() > before)
    }

    /// False when a known list has another number of members than `blocks`, or, where that is asked, a last one that is stored
    /// with other sizes than `last` alone.
    pub(super) fn fits(&mut self, id: &Hash, blocks: u64, last: Option<u64>) -> Result<bool> {
        let mut has = |size: u64, mark: u32| match u32::try_from(size) {
            Ok(size) => self.known.contains(&BlockKey::new(id, mark | size)),
            Err(_) => Ok(false),
        };
        Ok(has(blocks, 0)? && last.map_or(Ok(true), |size| has(size, LAST))?)
    }

    pub(super) fn knows(&mut self, id: &Hash) -> Result<bool> {
        self.known.contains(&BlockKey::new(id, 0))
    }

    pub(super) fn state(&mut self, id: &Hash) -> Result<ListState> {
        let key = BlockKey::new(id, 0);
        if !self.broken.is_empty() && self.broken.contains(&key)? {
            return Ok(ListState::Broken);
        }
        Ok(match self.known.contains(&key)? {
            true => ListState::Whole,
            false => ListState::Unknown,
        })
    }
}

impl ListReader for Lists {
    fn take(&mut self, id: &Hash, data: &mut dyn Read) -> Result<bool> {
        Ok(self.add(id, data)?.is_none())
    }
}
