//! Which blocks are needed, and in which volumes they are: two sorted streams joined on disk.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::filelist::Content;
use crate::format::manifest::Params;
use crate::set::{Places, Set, VolumeNo};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 4 << 20;

/// Temporary bytes of a wanted block: a key, a goal and a frame.
const WANT_BYTES: u64 = BlockKey::LEN as u64 + 17 + 1;
/// Blocks for which the room is looked up at a time.
const GRANTED_AT_ONCE: u64 = 1 << 16;

/// Where a block goes: 17 bytes after the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// Number of the target.
    pub(super) target: u64,
    pub(super) offset: u64,
    /// Part of the metadata, not of the content.
    pub(super) meta: bool,
}

impl Goal {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.target.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.push(u8::from(self.meta));
    }

    pub(super) fn decode(raw: &[u8]) -> Result<Goal> {
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
pub(super) struct Wants {
    pub(super) sorter: Sorter,
    pub(super) tmp: Tmp,
    pub(super) params: Params,
    /// Blocklists wanted: id (32 bytes), target, number of the list, meta flag, size of the content.
    pub(super) lists: Sorter,
    pub(super) lists_wanted: u64,
    /// Blocks that those lists name together, by the sizes that the version states, and for how many there is room.
    listed_blocks: u64,
    granted_blocks: u64,
    /// Why contents were refused whose blocks are more than there is room for.
    pub(super) no_room: Option<Error>,
    /// What cannot be had: target, meta flag.
    lost: Sorter,
}

pub(super) const LIST_RECORD: usize = 32 + 8 + 4 + 1 + 8;

impl Wants {
    pub(super) fn new(tmp: &Tmp, params: Params) -> Wants {
        Wants {
            sorter: Sorter::new(tmp, SORT_CAP),
            tmp: tmp.clone(),
            params,
            lists: Sorter::new(tmp, 1 << 20),
            lists_wanted: 0,
            listed_blocks: 0,
            granted_blocks: 0,
            no_room: None,
            lost: Sorter::new(tmp, 1 << 18),
        }
    }

    /// Wants all blocks of a content; one of which the version does not say which they are (R20) is lost.
    pub(super) fn add(&mut self, content: &Content, target: u64, meta: bool) -> Result<()> {
        if content.size == 0 {
            return Ok(());
        }
        if content.lists.is_empty() {
            let single = content
                .single(self.params.block_hash == self.params.file_hash)
                .or(if meta && self.params.version < 2 {
                    content.hash
                } else {
                    None
                });
            let size = u32::try_from(content.size)
                .ok()
                .filter(|&size| size <= self.params.block_size);
            let (Some(id), Some(size)) = (single, size) else {
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
        let lists = self.blocks(content.size).div_ceil(self.per_list());
        if content.lists.len() as u64 != lists {
            return self.lose(target, meta);
        }
        if !self.has_room(self.blocks(content.size)) {
            return self.lose(target, meta);
        }
        for (k, list) in content.lists.iter().enumerate() {
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
        }
        Ok(())
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
    pub(super) fn lose(&mut self, target: u64, meta: bool) -> Result<()> {
        let mut record = target.to_be_bytes().to_vec();
        record.push(u8::from(meta));
        self.lost.add(&record)
    }

    /// Tells `each` what cannot be had: target, meta flag.
    pub(super) fn lost(&mut self, each: &mut dyn FnMut(u64, bool) -> Result<()>) -> Result<()> {
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
    pub(super) fn blocks(&self, size: u64) -> u64 {
        size.div_ceil(u64::from(self.params.block_size).max(1))
    }

    pub(super) fn per_list(&self) -> u64 {
        u64::from(self.params.hashes_per_list()).max(1)
    }

    pub(super) fn want(&mut self, key: &BlockKey, goal: Goal) -> Result<()> {
        let mut record = key.as_bytes().to_vec();
        goal.encode(&mut record);
        self.sorter.add(&record)
    }

    /// Blocks wanted so far, ready for [`join`].
    pub(super) fn take(&mut self) -> Result<Run> {
        std::mem::replace(&mut self.sorter, Sorter::new(&self.tmp, SORT_CAP))
            .finish()?
            .into_run()
    }
}

/// The outcome of a join.
pub(super) struct Plan {
    /// Volume, key, goal; sorted by volume.
    pub(super) run: Run,
    /// Volumes needed and their sizes together, as far as listed.
    pub(super) volumes: u64,
    pub(super) bytes: u64,
}

/// Finds a volume for every wanted block, preferring volumes that are needed anyway; goals without one go to `lost`.
/// `failed` volumes do not count.
pub(super) fn join(
    wants: &Run,
    places: &Places,
    set: &Set,
    failed: &[bool],
    lost: &mut dyn FnMut(&BlockKey, Goal) -> Result<()>,
) -> Result<Plan> {
    let mut plan = Sorter::new(set.tmp(), SORT_CAP);
    let count = set.volumes().dblock_count() as usize;
    let mut needed = vec![false; count];
    let mut places = places.reader()?;
    let mut place = next_place(&mut places)?;
    let mut wanted = wants.reader();
    let mut current: Option<(BlockKey, Option<VolumeNo>)> = None;
    let mut record = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while let Some(want) = wanted.next()? {
        if last == want {
            continue;
        }
        last.clear();
        last.extend_from_slice(want);
        let key =
            BlockKey::from_record(want).ok_or_else(|| Error::bug("a wanted block has a key"))?;
        if current.is_none_or(|(k, _)| k != key) {
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
            current = Some((key, choice));
        }
        match current.and_then(|(_, choice)| choice) {
            Some(no) => {
                record.clear();
                record.extend_from_slice(&no.to_be_bytes());
                record.extend_from_slice(want);
                plan.add(&record)?;
            }
            None => lost(
                &key,
                Goal::decode(want.get(BlockKey::LEN..).unwrap_or_default())?,
            )?,
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

fn next_place(reader: &mut crate::set::PlacesReader<'_>) -> Result<Option<(BlockKey, VolumeNo)>> {
    Ok(reader.next()?.and_then(crate::set::split_place))
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
        let mut wants = Wants::new(&Tmp::open(None).unwrap(), params);
        let per_list = wants.per_list() << 26;
        for (target, lists) in [(1, 1), (2, 60_000), (3, 1)] {
            let content = Content {
                hash: Some(id),
                size: per_list * lists - u64::from(lists == 1) * (per_list - (5 << 26)),
                block: None,
                lists: vec![id; usize::try_from(lists).unwrap()],
            };
            wants.add(&content, target, false).unwrap();
        }
        let mut lost = Vec::new();
        let mut each = |target, _| {
            lost.push(target);
            Ok(())
        };
        wants.lost(&mut each).unwrap();
        assert_eq!((lost, wants.lists_wanted), (vec![2], 2));
        let why = wants.no_room.unwrap().to_string();
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
            let mut wants = Wants::new(&Tmp::open(None).unwrap(), params);
            let content = Content {
                hash: Some(id),
                size,
                block: None,
                lists: vec![id; lists],
            };
            wants.add(&content, 7, true).unwrap();
            let mut lost = Vec::new();
            wants
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
