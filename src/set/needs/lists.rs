//! Blocklists, wherever they are found, turned into wanted blocks.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::set::needs::dblocks::{ListReader, ListsInDblocks, VolumeFaults};
use crate::set::needs::{Goal, LIST_RECORD, Needs};
use crate::set::{BlockIndex, IndexReport, Search, Set, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
use crate::spill::table::Table;

/// A blocklist longer than this is not believed: 512 Ki blocks of one file.
const LIST_BYTES_AT_MOST: u64 = 16 << 20;

impl Needs {
    /// Finds all blocks, following all blocklists: by the places that came with the contents ([`Needs::add_at`]) if those are
    /// known of all of them, else by the index volumes; goals whose blocklist cannot be had are lost.
    pub(crate) fn resolve(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
    ) -> Result<(BlockIndex, IndexReport)> {
        if let Some(why) = self.no_room.take() {
            ui.error(&format!("files of too many blocks are not restored: {why}"));
        }
        let lists = std::mem::replace(&mut self.lists, Sorter::new(&self.tmp, 1 << 10));
        let table = Table::build(lists.finish()?, LIST_RECORD, 32, &self.tmp)?;
        let mut expander = Expander {
            needs: self,
            table,
            done: None,
        };
        if let Some(placed) = expander.needs.placed.take() {
            if let Some(places) = expander.by_places(set, ui, placed)? {
                return Ok((places, IndexReport::default()));
            }
            ui.verbose("where the blocks are is not all known from the version: the index volumes are read");
        }
        let (mut places, report) =
            set.load_index(ui, true, &mut |id, data| expander.offer(id, data))?;
        if expander.needs.lists_wanted > 0 {
            // What the cache covered was not read; ask the index volumes that describe the blocklists' dblocks.
            let missing = expander.missing()?;
            let mut dindexes: Vec<u32> = Vec::new();
            let mut reader = missing.reader();
            while let Some(id) = reader.next()? {
                for no in volumes_of(&mut places, id)? {
                    dindexes.extend(places.dindex_of(no));
                }
            }
            dindexes.sort_unstable();
            dindexes.dedup();
            if !dindexes.is_empty() && report.fetched < set.volumes().dindex_count() as u64 {
                set.read_lists(ui, &dindexes, &mut |id, data| expander.offer(id, data))?;
            }
            expander.read_dblocks(set, ui, &mut places, &report.unindexed)?;
            let missing = expander.missing()?;
            let mut reader = missing.reader();
            while let Some(id) = reader.next()? {
                let id = id.to_vec();
                let needs = &mut *expander.needs;
                expander.table.lookup_all(&id, &mut |record| {
                    let wanted = ListGoal::decode(record)?;
                    needs.lose(wanted.target, wanted.meta)
                })?;
            }
        }
        Ok((places, report))
    }
}

fn volumes_of(places: &mut BlockIndex, id: &[u8]) -> Result<Vec<VolumeNo>> {
    match Hash::from_bytes(id) {
        Some(hash) => Ok(places
            .find_id(&hash)?
            .into_iter()
            .map(|(no, _)| no)
            .collect()),
        None => Ok(Vec::new()),
    }
}

/// Who wants a blocklist.
pub(super) struct ListGoal {
    pub(super) target: u64,
    pub(super) number: u32,
    pub(super) meta: bool,
    pub(super) size: u64,
}

impl ListGoal {
    pub(super) fn decode(record: &[u8]) -> Result<ListGoal> {
        let parsed = || {
            let mut c = crate::base::bytes::Cursor::new(record.get(32..)?);
            Some(ListGoal {
                target: c.u64_be()?,
                number: c.u32_be()?,
                meta: c.u8()? == 1,
                size: c.u64_be()?,
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled blocklist goal reads back"))
    }
}

/// Turns blocklists into wanted blocks, each blocklist once.
pub(super) struct Expander<'a> {
    pub(super) needs: &'a mut Needs,
    pub(super) table: Table,
    done: Option<Keyset>,
}

impl Expander<'_> {
    /// A blocklist from anywhere; ignored unless it is wanted, not yet seen, and what its name says.
    fn offer(&mut self, id: &Hash, data: &mut dyn Read) -> Result<()> {
        let key = BlockKey::new(id, 0);
        let prefix = &key.as_bytes()[..32];
        if self.needs.lists_wanted == 0 || !self.table.contains(prefix)? {
            return Ok(());
        }
        let done = self
            .done
            .get_or_insert_with(|| Keyset::new(&self.needs.tmp));
        if done.contains(&key)? {
            return Ok(());
        }
        let mut bytes = Vec::new();
        data.take(LIST_BYTES_AT_MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(crate::base::error::unwrap_io)?;
        let params = self.needs.params;
        let len = params.block_hash.len();
        if bytes.len() as u64 > LIST_BYTES_AT_MOST
            || bytes.len() % len != 0
            || params.block_hash.hash(&bytes) != *id
        {
            return Ok(());
        }
        done.insert(&key)?;
        let needs = &mut *self.needs;
        let per_list = needs.per_list();
        self.table.lookup_all(prefix, &mut |record| {
            let goal = ListGoal::decode(record)?;
            let before = u64::from(goal.number) * per_list;
            let named = needs.blocks(goal.size).saturating_sub(before);
            if (bytes.len() / len) as u64 != named.min(per_list) {
                needs.lose(goal.target, goal.meta)?;
            }
            for (j, raw) in bytes.chunks_exact(len).enumerate() {
                let offset = (before + j as u64).saturating_mul(u64::from(params.block_size));
                let size = goal
                    .size
                    .saturating_sub(offset)
                    .min(u64::from(params.block_size));
                let (Some(hash), Ok(size)) = (Hash::from_bytes(raw), u32::try_from(size)) else {
                    continue;
                };
                if size > 0 {
                    needs.want(
                        &BlockKey::new(&hash, size),
                        Goal {
                            target: goal.target,
                            offset,
                            meta: goal.meta,
                        },
                    )?;
                }
            }
            Ok(())
        })
    }

    fn seen(&mut self, id: &Hash) -> Result<bool> {
        match &mut self.done {
            Some(done) => done.contains(&BlockKey::new(id, 0)),
            None => Ok(false),
        }
    }

    /// Ids of wanted blocklists that were not seen, sorted.
    pub(super) fn missing(&mut self) -> Result<Run> {
        let mut out = crate::spill::run::RunWriter::new(&self.needs.tmp);
        let mut last: Vec<u8> = Vec::new();
        let mut reader = self.table.reader();
        let done = self
            .done
            .get_or_insert_with(|| Keyset::new(&self.needs.tmp));
        while let Some(record) = reader.next()? {
            let id = record.get(..32).unwrap_or_default();
            if last == id {
                continue;
            }
            last = id.to_vec();
            if let Some(hash) = Hash::from_bytes(id)
                && !done.contains(&BlockKey::new(&hash, 0))?
            {
                out.push(id)?;
            }
        }
        out.finish()
    }

    /// Blocklists without a copy in an index volume come from their dblocks (R9), one after the other.
    fn read_dblocks(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        places: &mut BlockIndex,
        unindexed: &[VolumeNo],
    ) -> Result<()> {
        let missing = self.missing()?;
        if missing.is_empty() {
            return Ok(());
        }
        if !unindexed.is_empty() {
            set.index_dblocks(ui, unindexed, places, false)?;
        }
        if !self.needs.no_scan {
            let mut search = Search::new(set);
            let mut reader = missing.reader();
            while let Some(id) = reader.next()? {
                if let Some(id) = Hash::from_bytes(id) {
                    search.add(places, &BlockKey::new(&id, 0))?;
                }
            }
            search.run(set, ui, places, &[])?;
        }
        let mut wanted = ListsInDblocks::new(&self.needs.tmp);
        let mut reader = missing.reader();
        while let Some(id) = reader.next()? {
            let Some(hash) = full_id(id, self.needs.params.block_hash.len()) else {
                continue;
            };
            for no in volumes_of(places, id)? {
                wanted.look_in(no, &hash)?;
            }
        }
        wanted.read(set, ui, places, VolumeFaults::Warned, self)
    }
}

impl ListReader for Expander<'_> {
    /// Another volume may have given it already.
    fn wants(&mut self, id: &Hash) -> Result<bool> {
        Ok(!self.seen(id)?)
    }

    fn take(&mut self, id: &Hash, data: &mut dyn Read) -> Result<bool> {
        self.offer(id, data)?;
        self.seen(id)
    }
}

/// An id cut to 32 bytes compares with any longer one by those.
pub(super) fn full_id(id: &[u8], len: usize) -> Option<Hash> {
    Hash::from_bytes(id.get(..len.min(32))?)
}
