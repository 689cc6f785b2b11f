//! Blocks stored again although an index names them: their volumes are gone or damaged.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Error, Result};
use crate::base::ui::Ui;
use crate::set::{Needed, Owners, Reference};
use crate::spill::sorter::Sorter;
use crate::writer::Writer;

const SORT_CAP: usize = 1 << 20;
/// A copy of a blocklist that is not shorter is not stored, bytes.
const LIST_AT_MOST: u64 = 8 << 20;

impl Writer<'_> {
    /// As [`Writer::add_block`], whatever holds the block now; true when this run had not stored it.
    pub(crate) fn add_again(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size = u32::try_from(data.len()).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        let key = BlockKey::new(hash, size);
        if self.fresh_keys.contains(&key)? {
            return Ok(false);
        }
        self.step(|writer| writer.add_new(ui, hash, &key, data))?;
        Ok(true)
    }

    /// As [`Writer::add_again`], for a blocklist: its copy goes into the index, too.
    pub(crate) fn add_list_again(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size =
            u32::try_from(data.len()).map_err(|_| Error::bug("a blocklist is at most a block"))?;
        if self.fresh_keys.contains(&BlockKey::new(hash, size))? {
            return Ok(false);
        }
        self.copy_list(ui, hash, data)?;
        self.add_again(ui, hash, data)
    }

    /// Stores the blocklists of which these dindexes have copies, those that are `useful` and that [`Writer::holds`] denies `without`
    /// some volumes; how many. Costs a download of each dindex; the lists are spilled.
    pub(crate) fn add_lists_of(
        &mut self,
        ui: &mut Ui,
        dindexes: &[u32],
        without: &[bool],
        useful: &mut dyn FnMut(&Hash) -> Result<bool>,
    ) -> Result<u64> {
        let mut copies = Sorter::new(self.set.tmp(), SORT_CAP);
        let mut record = Vec::new();
        self.set.read_lists(ui, dindexes, &mut |id, data| {
            if useful(id)? {
                record.clear();
                record.push(id.len_octet());
                record.extend_from_slice(id.as_bytes());
                data.take(LIST_AT_MOST)
                    .read_to_end(&mut record)
                    .doing(|| "keep a blocklist".to_owned())?;
                copies.add(&record)?;
            }
            Ok(())
        })?;
        let (mut copies, mut stored) = (copies.finish()?, 0);
        while let Some(record) = copies.next()? {
            let bad = || Error::bug("a spilled blocklist reads back");
            let (len, rest) = record.split_first().ok_or_else(bad)?;
            let (id, list) = rest.split_at_checked(usize::from(*len)).ok_or_else(bad)?;
            let id = Hash::from_bytes(id).ok_or_else(bad)?;
            // One that is longer was cut.
            let whole = (list.len() as u64) < LIST_AT_MOST;
            let key = BlockKey::new(&id, Error::fits(list.len())?);
            if whole && !self.holds(ui, &key, without)? {
                stored += u64::from(self.add_list_again(ui, &id, list)?);
            }
        }
        Ok(stored)
    }

    /// True when the block was stored in this run, or lies in a volume that is not among `without` (by number).
    pub(crate) fn holds(&mut self, ui: &mut Ui, key: &BlockKey, without: &[bool]) -> Result<bool> {
        if self.fresh_keys.contains(key)? {
            return Ok(true);
        }
        let places = &mut self.index(ui)?.0;
        Ok(held(places.find_key(key)?.as_slice(), without))
    }

    /// Tells what the versions need and what [`Writer::holds`] denies, block by block with one entry for each different
    /// content under each path; versions named first own them first. `None`: the content's blocks cannot all be told. Costs as
    /// [`Set::needs`](crate::set::Set::needs).
    pub(crate) fn lost(
        &mut self,
        ui: &mut Ui,
        versions: &[usize],
        without: &[bool],
        each: &mut dyn FnMut(Option<&BlockKey>, Reference) -> Result<()>,
    ) -> Result<()> {
        self.index(ui)?;
        let Some((places, _)) = &mut self.index else {
            return Err(Error::bug("the index was just read"));
        };
        let fresh = &mut self.fresh_keys;
        let mut last: Option<(BlockKey, bool)> = None;
        self.set
            .needs(ui, versions, Owners::Path, &mut |needed| match needed {
                Needed::Unknown(reference) => each(None, reference),
                Needed::Block(key, reference) => {
                    let is_lost = match &last {
                        Some((same, lost)) if same == key => *lost,
                        _ => !fresh.contains(key)? && !held(&places.find_key(key)?, without),
                    };
                    last = Some((*key, is_lost));
                    match is_lost {
                        true => each(Some(key), reference),
                        false => Ok(()),
                    }
                }
            })?;
        Ok(())
    }
}

fn held(volumes: &[u32], without: &[bool]) -> bool {
    let counts = |no: &u32| !without.get(*no as usize).copied().unwrap_or(false);
    volumes.iter().any(counts)
}
