//! Wanted blocks found by what a version says of where they lie, without any index volume.

use crate::base::bytes::Cursor;
use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::format::filelist::Content;
use crate::format::locator::{Extent, VolumeId};
use crate::set::needs::dblocks::{ListsInDblocks, VolumeFaults};
use crate::set::needs::lists::{Expander, ListGoal, full_id};
use crate::set::needs::{Goal, Needs};
use crate::set::{BlockIndex, Hints, Place, Set, VolumeNo};
use crate::spill::run::{Run, RunReader};
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 1 << 20;

/// Where the contents lie that are wanted. Spilled: 59 bytes an extent.
pub(crate) struct Placed {
    extents: Sorter,
    /// Of some content it is not known.
    unknown: bool,
}

/// An extent of a wanted content: blocks number `first` and on, in the order in which they are stored.
struct Part {
    target: u64,
    meta: bool,
    first: u64,
    /// It is a blocklist.
    list: bool,
    extent: Extent,
}

impl Part {
    fn encode(&self) -> Vec<u8> {
        let mut out = self.target.to_be_bytes().to_vec();
        out.push(u8::from(self.meta));
        out.extend_from_slice(&self.first.to_be_bytes());
        out.push(u8::from(self.list));
        let e = &self.extent;
        out.push(u8::from(e.volume.sealed));
        out.extend_from_slice(&e.volume.guid);
        for n in [e.at, e.len, e.blocks] {
            out.extend_from_slice(&n.to_be_bytes());
        }
        out
    }

    fn decode(record: &[u8]) -> Result<Part> {
        let parsed = || {
            let mut c = Cursor::new(record);
            Some(Part {
                target: c.u64_be()?,
                meta: c.u8()? == 1,
                first: c.u64_be()?,
                list: c.u8()? == 1,
                extent: Extent {
                    volume: VolumeId {
                        sealed: c.u8()? == 1,
                        guid: c.take(16)?.try_into().ok()?,
                    },
                    at: c.u64_be()?,
                    len: c.u64_be()?,
                    blocks: c.u64_be()?,
                },
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled place reads back"))
    }
}

impl Needs {
    /// As [`Needs::new`], for contents that come with their places ([`Needs::add_at`]).
    pub(crate) fn with_places(mut self) -> Needs {
        self.placed = Some(Placed {
            extents: Sorter::new(&self.tmp, SORT_CAP),
            unknown: false,
        });
        self
    }

    /// As [`Needs::add`], with where the version says that the content lies.
    pub(crate) fn add_at(
        &mut self,
        content: &Content,
        extents: &[Extent],
        target: u64,
        meta: bool,
    ) -> Result<()> {
        self.add(content, target, meta)?;
        if self.placed.is_none() || content.size == 0 {
            return Ok(());
        }
        let (per_list, blocks) = (self.per_list(), self.blocks(content.size));
        let lists = content.lists.len() as u64;
        let Some(placed) = &mut self.placed else {
            return Ok(());
        };
        let mut first = 0u64;
        for extent in extents {
            let list = lists > 0 && list_at(first, per_list, blocks).is_some();
            let part = Part {
                target,
                meta,
                first,
                list,
                extent: *extent,
            };
            placed.extents.add(&part.encode())?;
            first = first.saturating_add(extent.blocks);
        }
        placed.unknown |= first != blocks.saturating_add(lists);
        Ok(())
    }
}

/// Which blocklist is stored at this place of a content of so many blocks, if one is: behind those that it names.
fn list_at(place: u64, per_list: u64, blocks: u64) -> Option<u64> {
    let k = place / (per_list + 1);
    (place == place_of_list(k, per_list, blocks)).then_some(k)
}

/// The place of the `k`th blocklist among the blocks of a content, as they are stored.
pub(crate) fn place_of_list(k: u64, per_list: u64, blocks: u64) -> u64 {
    let named = (k + 1).saturating_mul(per_list).min(blocks);
    named.saturating_add(k)
}

/// The place of the `number`th block of a content among its blocks and blocklists.
pub(crate) fn place_of_block(number: u64, per_list: u64) -> u64 {
    number.saturating_add(number / per_list)
}

/// The parts of contents, asked for in order.
struct Parts {
    reader: RunReader,
    head: Option<Part>,
}

impl Parts {
    fn new(run: &Run) -> Result<Parts> {
        let mut parts = Parts {
            reader: run.reader(),
            head: None,
        };
        parts.step()?;
        Ok(parts)
    }

    fn step(&mut self) -> Result<()> {
        self.head = self.reader.next()?.map(Part::decode).transpose()?;
        Ok(())
    }

    /// The part with a block of a content; `None` where no part has it.
    fn find(&mut self, target: u64, meta: bool, place: u64) -> Result<Option<&Part>> {
        while let Some(part) = &self.head
            && ((part.target, part.meta) < (target, meta)
                || (part.target, part.meta) == (target, meta)
                    && part.first.saturating_add(part.extent.blocks) <= place)
        {
            self.step()?;
        }
        let has = |part: &&Part| (part.target, part.meta) == (target, meta) && part.first <= place;
        Ok(self.head.as_ref().filter(has))
    }
}

impl Expander<'_> {
    /// Follows all blocklists and finds all blocks by what the version says of their places: index and [`Hints`] for the set.
    /// `None` where that cannot be done for all of them.
    pub(super) fn by_places(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        placed: Placed,
    ) -> Result<Option<BlockIndex>> {
        if placed.unknown {
            return Ok(None);
        }
        let run = placed.extents.finish()?.into_run()?;
        if !self.lists_by_places(set, ui, &run)? {
            return Ok(None);
        }
        let needs = &mut *self.needs;
        let wanted = needs.take()?;
        let found = needs.blocks_by_places(set, &wanted, &run);
        needs.ready = Some(wanted);
        let Some((places, hints)) = found? else {
            set.hint(None);
            return Ok(None);
        };
        set.hint(Some(Hints::new(set, hints)?));
        BlockIndex::of_version(set, places).map(Some)
    }

    /// Reads the blocklists; false when not all are where they should be.
    fn lists_by_places(&mut self, set: &mut Set, ui: &mut Ui, run: &Run) -> Result<bool> {
        if self.needs.lists_wanted == 0 {
            return Ok(true);
        }
        let (per_list, tmp) = (self.needs.per_list(), self.needs.tmp.clone());
        let mut wanted = Sorter::new(&tmp, SORT_CAP);
        let mut reader = self.table.reader();
        while let Some(record) = reader.next()? {
            let goal = ListGoal::decode(record)?;
            let mut by_target = goal.target.to_be_bytes().to_vec();
            by_target.push(u8::from(goal.meta));
            by_target.extend_from_slice(&goal.number.to_be_bytes());
            by_target.extend_from_slice(record);
            wanted.add(&by_target)?;
        }
        drop(reader);
        let mut parts = Parts::new(run)?;
        let mut hints = Sorter::new(&tmp, SORT_CAP);
        let mut places = Sorter::new(&tmp, SORT_CAP);
        let mut lists = ListsInDblocks::new(&tmp);
        let id_len = self.needs.params.block_hash.len();
        let mut stream = wanted.finish()?;
        while let Some(record) = stream.next()? {
            let record = record.get(8 + 1 + 4..).unwrap_or_default();
            let goal = ListGoal::decode(record)?;
            let (k, blocks) = (u64::from(goal.number), self.needs.blocks(goal.size));
            let place = place_of_list(k, per_list, blocks);
            let part = parts.find(goal.target, goal.meta, place)?;
            let part = part.filter(|part| part.list);
            let id = record.get(..32).and_then(|id| full_id(id, id_len));
            let no = part.and_then(|part| set.located(&part.extent.volume));
            let (Some(part), Some(id), Some((no, _))) = (part, id, no) else {
                return Ok(false);
            };
            lists.look_in(no, &id)?;
            let key = BlockKey::new(&id, 0);
            places.add(&Place { key, no }.encode())?;
            hints.add(&Hints::record(no, part.extent.at, part.extent.len))?;
        }
        set.hint(Some(Hints::new(set, hints)?));
        let places = BlockIndex::of_version(set, places)?;
        lists.read(set, ui, &places, VolumeFaults::Silent, self)?;
        set.hint(None);
        Ok(self.missing()?.is_empty())
    }
}

impl Needs {
    /// Places of the wanted blocks and spans that hold them; `None` when a place is missing.
    fn blocks_by_places(
        &self,
        set: &Set,
        wanted: &Run,
        run: &Run,
    ) -> Result<Option<(Sorter, Sorter)>> {
        let (per_list, block_size) = (self.per_list(), u64::from(self.params.block_size));
        let mut by_goal = Sorter::new(&self.tmp, SORT_CAP);
        let mut reader = wanted.reader();
        while let Some(record) = reader.next()? {
            let (key, goal) = record.split_at(BlockKey::LEN.min(record.len()));
            let goal = Goal::decode(goal)?;
            let mut out = goal.target.to_be_bytes().to_vec();
            out.push(u8::from(goal.meta));
            out.extend_from_slice(&goal.offset.to_be_bytes());
            out.extend_from_slice(key);
            by_goal.add(&out)?;
        }
        let mut parts = Parts::new(run)?;
        let mut places = Sorter::new(&self.tmp, SORT_CAP);
        let mut hints = Sorter::new(&self.tmp, SORT_CAP);
        // The extent told last, and its volume.
        let mut last: Option<(Extent, VolumeNo)> = None;
        let mut stream = by_goal.finish()?;
        while let Some(record) = stream.next()? {
            let parsed = || {
                let mut c = Cursor::new(record);
                let (target, meta, offset) = (c.u64_be()?, c.u8()? == 1, c.u64_be()?);
                Some((target, meta, offset, BlockKey::from_record(c.rest())?))
            };
            let (target, meta, offset, key) =
                parsed().ok_or_else(|| Error::bug("a wanted block reads back"))?;
            let block = offset / block_size;
            let place = place_of_block(block, per_list);
            let Some(part) = parts.find(target, meta, place)? else {
                return Ok(None);
            };
            let no = match last {
                Some((extent, no)) if extent == part.extent => no,
                _ => {
                    let Some((no, _)) = set.located(&part.extent.volume) else {
                        return Ok(None);
                    };
                    hints.add(&Hints::record(no, part.extent.at, part.extent.len))?;
                    last = Some((part.extent, no));
                    no
                }
            };
            places.add(&Place { key, no }.encode())?;
        }
        Ok(Some((places, hints)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocklists_lie_behind_the_blocks_they_name() {
        for (blocks, want) in [
            (2, &[2][..]),
            (3, &[3]),
            (4, &[3, 5]),
            (6, &[3, 7]),
            (7, &[3, 7, 9]),
        ] {
            let lists = (0..blocks + 4).filter(|&place| list_at(place, 3, blocks).is_some());
            // Behind the last one there is nothing.
            let lists: Vec<u64> = lists.take(want.len()).collect();
            assert_eq!(lists, want, "{blocks}");
            for (k, place) in (0..).zip(want) {
                assert_eq!(list_at(*place, 3, blocks), Some(k));
            }
        }
    }
}
