//! Blocks by the entries of the data volumes themselves: of volumes that no index describes, and where an index lacks what its
//! volume holds.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::sys;
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::set::blocks::SORT_CAP;
use crate::set::place::Place;
use crate::set::{BlockIndex, Set, Share, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;

impl Set {
    /// Opens dblocks that no dindex describes, each once, and adds the blocks that they name (R8). Of a damaged one, which
    /// `only_whole` leaves out with a warning, some may not be what their name says. Costs one download each. How many could
    /// not be read.
    pub(crate) fn index_dblocks(
        &mut self,
        ui: &mut Ui,
        numbers: &[VolumeNo],
        places: &mut BlockIndex,
        only_whole: bool,
    ) -> Result<u64> {
        let mut unread = 0;
        let mut sorter = Sorter::new(&self.tmp, SORT_CAP);
        for &no in numbers {
            let mut add = |key: &BlockKey| sorter.add(&Place { key: *key, no }.encode());
            let read = self.keys_inside(ui, no, places, only_whole, &mut add)?;
            unread += u64::from(!read);
        }
        places.add(sorter, &self.tmp)?;
        Ok(unread)
    }

    /// Tells the blocks that a dblock names, unless they were told before. False when it cannot be read, which is warned of.
    fn keys_inside(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        places: &mut BlockIndex,
        only_whole: bool,
        each: &mut dyn FnMut(&BlockKey) -> Result<()>,
    ) -> Result<bool> {
        let Some(scanned) = places.scanned.get_mut(no as usize) else {
            return Ok(true);
        };
        if self.volumes.dblock(no).is_none() || std::mem::replace(scanned, true) {
            return Ok(true);
        }
        let shelf = self.shelf(ui, no, places.expected(no)?, Share::All);
        let done = shelf.and_then(|shelf| {
            if let Some(flaw) = shelf.flaw().filter(|_| only_whole) {
                return Err(Error::damaged(flaw)
                    .doing(crate::set::reading(shelf.name()))
                    .hint("nothing is built upon it; 'duplet verify URL all' tells what it still holds"));
            }
            shelf.keys(&mut |_, key, _| each(key))
        });
        match done {
            Err(e) if e.kind().is_of_one_volume() => {
                ui.warn("unreadable-dblock", &e.to_string());
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }
}

/// Blocks that are needed and are not where an index says. An index may lack what its volume holds, or state another size of it:
/// before a block is given up, the volumes are asked. Memory: 2 bytes a volume; ids are looked up on disk.
pub(crate) struct Search {
    /// Ids (keys of size 0) that no index names and keys of which an index names another size; and those that were found.
    sought: Keyset,
    found: Keyset,
    /// No index names one of them.
    anywhere: bool,
    /// By number: volumes that have a block by their index, but of another size.
    volumes: Vec<bool>,
    /// All volumes are read, whatever was found.
    pub(crate) everywhere: bool,
    /// By number: those in which something was found that their index does not tell.
    pub(crate) hits: Vec<bool>,
    /// Volumes that could not be read.
    pub(crate) unread: u64,
}

impl Search {
    pub(crate) fn new(set: &Set) -> Search {
        let count = set.volumes.dblock_count() as usize;
        Search {
            sought: Keyset::new(&set.tmp),
            found: Keyset::new(&set.tmp),
            anywhere: false,
            volumes: vec![false; count],
            everywhere: false,
            hits: vec![false; count],
            unread: 0,
        }
    }

    /// Looks for a block, too, unless index volumes name it: in a volume that could not be read, or that is not there. A size of 0
    /// stands for any. True when it may be found.
    pub(crate) fn add(&mut self, places: &mut BlockIndex, key: &BlockKey) -> Result<bool> {
        let id = key.of_any_size();
        let held = places.find_like(key)?;
        let is = |size: u32| key.size() == 0 || size == key.size();
        if held.iter().any(|&(_, size)| is(size)) || places.elsewhere.contains(&id)? {
            return Ok(false);
        }
        for &(no, _) in &held {
            if let Some(mark) = self.volumes.get_mut(no as usize) {
                *mark = true;
            }
        }
        self.anywhere |= held.is_empty();
        let sought = if held.is_empty() { &id } else { key };
        self.sought.insert(sought)?;
        Ok(true)
    }

    /// Reads volumes that were not read for this before and are not among `without` (by number), until all is found, and adds what
    /// they hold to `places`. True when any was read. Costs a download each: at worst of all there are. A stop is an error: what was
    /// not found by then is not lost.
    pub(crate) fn run(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        places: &mut BlockIndex,
        without: &[bool],
    ) -> Result<bool> {
        let is = |marks: &[bool], no: VolumeNo| marks.get(no as usize) == Some(&true);
        let mut numbers: Vec<VolumeNo> = (0..set.volumes.dblock_count())
            .filter(|&no| self.everywhere || self.anywhere || is(&self.volumes, no))
            .filter(|&no| set.volumes.dblock(no).is_some())
            .filter(|&no| !is(&places.scanned, no) && !is(without, no))
            .collect();
        if numbers.is_empty() {
            return Ok(false);
        }
        numbers.sort_by_key(|&no| !is(&self.volumes, no));
        let sizes = numbers.iter().filter_map(|&no| set.volumes.dblock(no)?.1);
        ui.note(&format!(
            "needed blocks are in no volume by the index volumes: looking for them in {} ({})",
            text::count(numbers.len() as u64, "dblock volume"),
            show_size(sizes.sum())
        ));
        let mut sorter = Sorter::new(&set.tmp, SORT_CAP);
        for (at, &no) in (0..).zip(&numbers) {
            let all_found = !self.everywhere && self.found.len() == self.sought.len();
            if all_found {
                break;
            }
            if sys::stops_requested() > 0 {
                return Err(Error::new(Kind::Interrupted, "stopped").doing("look for blocks"));
            }
            let progress = Progress {
                files: at,
                files_total: numbers.len() as u64,
                ..Progress::default()
            };
            ui.progress("looking for blocks", progress);
            let (sought, found, mut hit) = (&mut self.sought, &mut self.found, false);
            let read = set.keys_inside(ui, no, places, false, &mut |key| {
                for key in [*key, key.of_any_size()] {
                    if sought.contains(&key)? {
                        found.insert(&key)?;
                        hit = true;
                    }
                }
                sorter.add(&Place { key: *key, no }.encode())
            })?;
            self.unread += u64::from(!read);
            if let Some(mark) = self.hits.get_mut(no as usize) {
                *mark = hit;
            }
        }
        places.add(sorter, &set.tmp)?;
        let poor = self.hits.iter().filter(|hit| **hit).count() as u64;
        if poor > 0 {
            let volumes = text::count(poor, "volume");
            ui.note(&format!(
                "found in {volumes} whose index lacks them: 'duplet repair URL' writes it anew"
            ));
        }
        Ok(true)
    }
}
