//! The one walk of references: which blocks versions need, with all blocklists followed. For restoring, and for everything
//! that has to know what may go.

mod dblocks;
mod lists;
mod placed;
mod walk;
mod whole;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::filelist::Content;
use crate::format::manifest::Params;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
pub(crate) use dblocks::{ListReader, ListsInDblocks, VolumeFaults};
use placed::Placed;
#[cfg(feature = "mount")]
pub(crate) use placed::{place_of_block, place_of_list};
#[allow(unused_imports, reason = "for the commands that count references")]
pub(crate) use walk::{Needed, Owners, Reference};
pub(crate) use whole::{ListState, State, Stored};
pub(crate) use whole::{Told, blocks, per_list, told};

const SORT_CAP: usize = 4 << 20;

/// Temporary bytes of a wanted block: a key, a goal and a frame.
const WANT_BYTES: u64 = BlockKey::LEN as u64 + 17 + 1;
/// Blocks for which the room is looked up at a time.
const GRANTED_AT_ONCE: u64 = 1 << 16;

/// Where a block goes: 17 bytes after the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// Number of the target.
    pub(crate) target: u64,
    pub(crate) offset: u64,
    /// Part of the metadata, not of the content.
    pub(crate) meta: bool,
}

impl Goal {
    /// The offset of a block that is no part of the content but one of its blocklists.
    pub(crate) const LIST: u64 = u64::MAX;

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.target.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.push(u8::from(self.meta));
    }

    pub(crate) fn decode(raw: &[u8]) -> Result<Goal> {
        let parsed = || {
            let mut c = crate::base::bytes::Cursor::new(raw);
            Some(Goal {
                target: c.u64_be()?,
                offset: c.u64_be()?,
                meta: c.u8()? == 1,
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled goal reads back"))
    }
}

/// Blocks wanted: key, then goal.
pub(crate) struct Needs {
    pub(crate) sorter: Sorter,
    pub(crate) tmp: Tmp,
    pub(crate) params: Params,
    /// Blocklists wanted: id (32 bytes), target, number of the list, meta flag, size of the content.
    pub(crate) lists: Sorter,
    pub(crate) lists_wanted: u64,
    /// Blocklists themselves are wanted, too.
    pub(crate) with_lists: bool,
    /// Volumes are not looked through for blocklists that no index names.
    pub(crate) no_scan: bool,
    /// Blocks that those lists name together, by the sizes that the version states, and for how many there is room.
    listed_blocks: u64,
    granted_blocks: u64,
    /// Why contents were refused whose blocks are more than there is room for.
    pub(crate) no_room: Option<Error>,
    /// What cannot be had: target, meta flag.
    lost: Sorter,
    /// Where contents lie, if that is asked.
    placed: Option<Placed>,
    /// The blocks wanted, if they were sorted already.
    ready: Option<Run>,
}

pub(crate) const LIST_RECORD: usize = 32 + 8 + 4 + 1 + 8;

impl Needs {
    pub(crate) fn new(tmp: &Tmp, params: Params) -> Needs {
        Needs {
            sorter: Sorter::new(tmp, SORT_CAP),
            tmp: tmp.clone(),
            params,
            lists: Sorter::new(tmp, 1 << 20),
            lists_wanted: 0,
            with_lists: false,
            no_scan: false,
            listed_blocks: 0,
            granted_blocks: 0,
            no_room: None,
            lost: Sorter::new(tmp, 1 << 18),
            placed: None,
            ready: None,
        }
    }

    /// Asks for all blocks of a content; one of which the version does not say which they are (R20) is lost.
    pub(crate) fn add(&mut self, content: &Content, target: u64, meta: bool) -> Result<()> {
        let lists = match told(self.params, content, meta) {
            Told::Empty => return Ok(()),
            Told::Untold => return self.lose(target, meta),
            Told::Block(id) => {
                let size = u32::try_from(content.size)
                    .ok()
                    .filter(|&size| size <= self.params.block_size);
                let Some(size) = size else {
                    return self.lose(target, meta);
                };
                return self.want(
                    &BlockKey::new(&id, size),
                    Goal {
                        target,
                        offset: 0,
                        meta,
                    },
                );
            }
            Told::Lists(lists) => lists,
        };
        if !self.has_room(self.blocks(content.size)) {
            return self.lose(target, meta);
        }
        for (k, list) in lists.iter().enumerate() {
            let mut record = BlockKey::new(list, 0).as_bytes()[..32].to_vec();
            record.extend_from_slice(&target.to_be_bytes());
            record.extend_from_slice(
                &u32::try_from(k)
                    .map_err(|_| Error::damaged("too many blocklists"))?
                    .to_be_bytes(),
            );
            record.push(u8::from(meta));
            record.extend_from_slice(&content.size.to_be_bytes());
            self.lists.add(&record)?;
            self.lists_wanted += 1;
            if self.with_lists {
                self.want_list(list, k as u64, content.size, target, meta)?;
            }
        }
        Ok(())
    }

    /// Asks for the `k`th blocklist of a content of `size` bytes as a block of its own.
    fn want_list(&mut self, list: &Hash, k: u64, size: u64, target: u64, meta: bool) -> Result<()> {
        let blocks = self
            .blocks(size)
            .saturating_sub(k.saturating_mul(self.per_list()));
        let bytes = blocks.min(self.per_list()) * self.params.block_hash.len() as u64;
        let bytes = u32::try_from(bytes).map_err(|_| Error::damaged("a blocklist is too long"))?;
        let goal = Goal {
            target,
            offset: Goal::LIST,
            meta,
        };
        self.want(&BlockKey::new(list, bytes), goal)
    }

    /// A few bytes can claim petabytes, and then as many temporary ones: what the version states is compared with the room
    /// there is before any list is followed.
    fn has_room(&mut self, blocks: u64) -> bool {
        let all = self.listed_blocks.saturating_add(blocks);
        if all > self.granted_blocks {
            if let Err(e) = self.tmp.need(all.saturating_mul(WANT_BYTES)) {
                self.no_room.get_or_insert(e);
                return false;
            }
            self.granted_blocks = all.saturating_add(GRANTED_AT_ONCE);
        }
        self.listed_blocks = all;
        true
    }

    /// Remembers that a target's content or metadata cannot be had whole.
    pub(crate) fn lose(&mut self, target: u64, meta: bool) -> Result<()> {
        let mut record = target.to_be_bytes().to_vec();
        record.push(u8::from(meta));
        self.lost.add(&record)
    }

    /// Tells `each` what cannot be had: target, meta flag.
    pub(crate) fn lost(&mut self, each: &mut dyn FnMut(u64, bool) -> Result<()>) -> Result<()> {
        let lost = std::mem::replace(&mut self.lost, Sorter::new(&self.tmp, 1 << 10));
        let mut stream = lost.finish()?;
        while let Some(record) = stream.next()? {
            if let Some((target, [meta])) = record.split_first_chunk() {
                each(u64::from_be_bytes(*target), *meta == 1)?;
            }
        }
        Ok(())
    }

    /// Blocks of a content of `size` bytes.
    pub(crate) fn blocks(&self, size: u64) -> u64 {
        blocks(self.params, size)
    }

    pub(crate) fn per_list(&self) -> u64 {
        per_list(self.params)
    }

    pub(crate) fn want(&mut self, key: &BlockKey, goal: Goal) -> Result<()> {
        let mut record = key.as_bytes().to_vec();
        goal.encode(&mut record);
        self.sorter.add(&record)
    }

    /// Blocks wanted so far, ready for [`join`].
    pub(crate) fn take(&mut self) -> Result<Run> {
        if let Some(ready) = self.ready.take() {
            return Ok(ready);
        }
        std::mem::replace(&mut self.sorter, Sorter::new(&self.tmp, SORT_CAP))
            .finish()?
            .into_run()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::digest::Algo;

    /// What claims more than there is room for is refused, the rest is not.
    #[test]
    fn claims_of_petabytes_are_refused_one_by_one() {
        let id = Algo::Sha256.hash(b"x");
        let params = Params {
            block_size: 1 << 26,
            block_hash: Algo::Md5,
            file_hash: Algo::Sha256,
            version: 2,
        };
        let mut needs = Needs::new(&Tmp::open(None).unwrap(), params);
        let per_list = needs.per_list() << 26;
        for (target, lists) in [(1, 1), (2, 60_000), (3, 1)] {
            let content = Content {
                hash: Some(id),
                size: per_list * lists - u64::from(lists == 1) * (per_list - (5 << 26)),
                block: None,
                lists: vec![id; usize::try_from(lists).unwrap()],
            };
            needs.add(&content, target, false).unwrap();
        }
        let mut lost = Vec::new();
        let mut each = |target, _| {
            lost.push(target);
            Ok(())
        };
        needs.lost(&mut each).unwrap();
        assert_eq!((lost, needs.lists_wanted), (vec![2], 2));
        let why = needs.no_room.unwrap().to_string();
        assert!(why.contains("free") && why.contains("--tempdir"), "{why}");
    }

    /// What is said of content and lists does not fit together: nothing is believed.
    #[test]
    fn contents_that_lie_about_their_size_are_lost() {
        let id = Algo::Sha256.hash(b"x");
        let params = Params {
            block_size: 1024,
            block_hash: Algo::Sha256,
            file_hash: Algo::Sha256,
            version: 2,
        };
        for (size, lists, is_lost) in [
            (0, 0, false),
            (1024, 0, false),
            (1025, 0, true),
            (1025, 1, false),
            (32 * 1024, 1, false),
            (32 * 1024 + 1, 1, true),
            (32 * 1024 + 1, 2, false),
            (1, 2, true),
            (1 << 60, 1, true),
            (u64::MAX, 1, true),
        ] {
            let mut needs = Needs::new(&Tmp::open(None).unwrap(), params);
            let content = Content {
                hash: Some(id),
                size,
                block: None,
                lists: vec![id; lists],
            };
            needs.add(&content, 7, true).unwrap();
            let mut lost = Vec::new();
            needs
                .lost(&mut |target, meta| {
                    lost.push((target, meta));
                    Ok(())
                })
                .unwrap();
            let want: &[_] = if is_lost { &[(7, true)] } else { &[] };
            assert_eq!(lost, want, "{size} bytes in {lists} lists");
        }
    }
}
