//! Which volumes of the source a copy takes.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::set::{BlockIndex, Needed, Owners, Set, VolumeNo};
use crate::spill::run::{Run, RunWriter};
use crate::upkeep::copy::Target;

/// What is copied, by number.
pub(super) struct Chosen {
    pub(super) dblocks: Vec<bool>,
    pub(super) dindexes: Vec<bool>,
    /// Oldest first.
    pub(super) dlists: Vec<usize>,
    /// dindexes with the dblocks that they state another size of.
    pub(super) resized: Vec<(u32, VolumeNo)>,
    /// dblocks that an index volume describes and that are not there: a few by name, and how many.
    pub(super) missing: (Vec<String>, u64),
    /// Blocks that the versions need and no volume holds.
    pub(super) lost: u64,
}

impl Chosen {
    pub(super) fn count(&self) -> u64 {
        let marked = |marks: &[bool]| marks.iter().filter(|m| **m).count();
        (marked(&self.dblocks) + marked(&self.dindexes) + self.dlists.len()) as u64
    }
}

/// What a copy of these versions takes, of all when `None`; of volumes with the same blocks those that the target has.
pub(super) fn choose(
    set: &mut Set,
    ui: &mut Ui,
    target: &Target,
    versions: Option<&[usize]>,
) -> Result<(BlockIndex, Chosen)> {
    let Some(versions) = versions else {
        let (places, report) = set.load_index(ui, true, &mut |_, _| Ok(()))?;
        let volumes = set.volumes();
        let is_there = |no| volumes.dblock(no).is_some();
        let chosen = Chosen {
            dblocks: (0..volumes.dblock_count()).map(is_there).collect(),
            dindexes: vec![true; volumes.dindex_count()],
            dlists: (0..volumes.dlists().len()).rev().collect(),
            resized: report.resized,
            missing: (report.missing, report.missing_count),
            lost: 0,
        };
        return Ok((places, chosen));
    };
    let mut keys = RunWriter::new(set.tmp());
    let mut last = None;
    let (places, report) = set.needs(ui, versions, Owners::One, &mut |needed| {
        if let Needed::Block(key, _) = needed
            && last.replace(*key) != Some(*key)
        {
            keys.push(key.as_bytes())?;
        }
        Ok(())
    })?;
    let volumes = set.volumes();
    let mut dblocks = vec![false; volumes.dblock_count() as usize];
    let already: Vec<bool> = (0..volumes.dblock_count())
        .map(|no| volumes.dblock(no).is_some_and(|(n, s)| target.has(&n, s)))
        .collect();
    let lost = mark(&keys.finish()?, &places, &already, &mut dblocks)?;
    let mut dindexes = vec![false; volumes.dindex_count()];
    for no in (0..volumes.dblock_count()).filter(|&no| dblocks[no as usize]) {
        let own = dindex_of(no, &places, &report.resized);
        if let Some(mark) = own.and_then(|i| dindexes.get_mut(i as usize)) {
            *mark = true;
        }
    }
    let mut dlists = versions.to_vec();
    dlists.sort_unstable_by(|a, b| b.cmp(a));
    dlists.dedup();
    let chosen = Chosen {
        dblocks,
        dindexes,
        dlists,
        resized: report.resized,
        missing: (Vec::new(), 0),
        lost,
    };
    Ok((places, chosen))
}

/// The dindex that describes a dblock, if with another size.
pub(super) fn dindex_of(
    no: VolumeNo,
    places: &BlockIndex,
    resized: &[(u32, VolumeNo)],
) -> Option<u32> {
    let other = || resized.iter().find(|r| r.1 == no).map(|r| r.0);
    places.dindex_of(no).or_else(other)
}

/// Marks for each key one volume that holds it: one that is at the target, else one that is marked, else the first. How many keys
/// none holds.
fn mark(keys: &Run, places: &BlockIndex, already: &[bool], marks: &mut [bool]) -> Result<u64> {
    let mut lost = 0;
    let mut keys = keys.reader();
    let mut places = places.reader()?;
    let mut place = places.next()?;
    let mut holders: Vec<VolumeNo> = Vec::new();
    while let Some(record) = keys.next()? {
        let key = BlockKey::from_record(record);
        let key = key.ok_or_else(|| Error::bug("a spilled key reads back"))?;
        holders.clear();
        while let Some(p) = place.as_ref().filter(|p| p.key <= key) {
            if p.key == key {
                holders.push(p.no);
            }
            place = places.next()?;
        }
        lost += u64::from(holders.is_empty());
        let is = |marks: &[bool], no: VolumeNo| marks.get(no as usize) == Some(&true);
        let found = holders.iter().copied();
        let best = found
            .clone()
            .find(|&no| is(already, no))
            .or_else(|| found.clone().find(|&no| is(marks, no)))
            .or_else(|| holders.first().copied());
        if let Some(mark) = best.and_then(|no| marks.get_mut(no as usize)) {
            *mark = true;
        }
    }
    Ok(lost)
}
