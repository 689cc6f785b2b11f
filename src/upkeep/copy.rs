//! A backup copied to another destination as it is stored: the same names, the same bytes. Order: each dblock, then its dindex,
//! at last the dlists, so that a copy that is cut off is a whole backup of what it has.

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::{Progress, Ui};
use crate::dest::Listed;
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::Remote;
use crate::set::{BlockIndex, Expected, Needed, Owners, Set, VolumeNo, Volumes, digest};
use crate::spill::run::{Run, RunWriter};
use crate::writer::by_hand;

/// How to copy.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    /// Only these versions, by number, and what they need; `None`: everything.
    pub(crate) versions: Option<Vec<usize>>,
    /// Each volume is read back from the target and compared.
    pub(crate) read_back: bool,
    pub(crate) dry_run: bool,
}

/// Volumes and their bytes as far as the listing states them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) volumes: u64,
    pub(crate) bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.volumes += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What was copied; in a dry run what would be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copied {
    pub(crate) copied: Sum,
    /// At the target before, with the same name and length.
    pub(crate) there: Sum,
    /// Damaged or gone at the source: named, and not copied.
    pub(crate) left_out: u64,
    /// dindexes that were left out with their dblock.
    pub(crate) without_dblock: u64,
    /// Volumes of this prefix at the target of which the source knows nothing: older versions, as a rule.
    pub(crate) beside: u64,
    pub(crate) stopped: bool,
}

/// What the target holds of the prefix.
struct Target {
    volumes: Volumes,
    folder_exists: bool,
}

impl Target {
    fn list(remote: &mut Remote, ui: &mut Ui, prefix: &str) -> Result<Target> {
        let mut volumes = Volumes::new(prefix);
        let folder_exists = remote.list(ui, &mut |item| {
            match item {
                Listed::Restart => volumes = Volumes::new(prefix),
                Listed::Entry(file) => {
                    let name = VolumeName::parse(&file.name);
                    if let Some(name) = name.filter(|n| n.prefix() == prefix) {
                        volumes.add(name, file.size);
                    }
                }
            }
            Ok(())
        })?;
        volumes.seal();
        Ok(Target {
            volumes,
            folder_exists,
        })
    }

    /// Listed length of a volume with this very name; the outer `None`: it is not there.
    fn size_of(&self, name: &VolumeName) -> Option<Option<u64>> {
        let there = &self.volumes;
        let found = match name.kind() {
            VolumeKind::Dlist => there.dlists().iter().find(|d| d.0 == *name).cloned(),
            VolumeKind::Dblock => there.find_dblock(name).and_then(|no| there.dblock(no)),
            VolumeKind::Dindex => {
                let no = there.find_dindex(name);
                no.and_then(|no| there.dindex(no as usize))
            }
        };
        found.filter(|f| f.0 == *name).map(|f| f.1)
    }

    /// The same name and, where both lengths are known, the same length.
    fn has(&self, name: &VolumeName, size: Option<u64>) -> bool {
        self.size_of(name)
            .is_some_and(|there| there.is_none() || size.is_none() || there == size)
    }
}

/// What is copied, by number.
struct Chosen {
    dblocks: Vec<bool>,
    dindexes: Vec<bool>,
    /// Oldest first.
    dlists: Vec<usize>,
    /// dindexes with the dblocks that they state another size of.
    resized: Vec<(u32, VolumeNo)>,
}

impl Chosen {
    fn count(&self) -> u64 {
        let marked = |marks: &[bool]| marks.iter().filter(|m| **m).count();
        (marked(&self.dblocks) + marked(&self.dindexes) + self.dlists.len()) as u64
    }
}

/// Copies what the target lacks. `Usage` when the target holds another backup under this prefix, before anything is changed.
/// A volume that is damaged at the source is named as an error and left out; of a dblock that is left out no dindex is copied.
///
/// Costs the index volumes that are not cached, with chosen versions their lists, and each copied volume one download and one
/// upload (and one download more to read it back). Memory: as the index, and 30 bytes a volume of both sides; temporary
/// space: one volume, two to read back.
pub(crate) fn copy(set: &mut Set, to: &mut Remote, ui: &mut Ui, orders: &Orders) -> Result<Copied> {
    let prefix = set.prefix().as_str().to_owned();
    set.learn_params(ui)?;
    let target = Target::list(to, ui, &prefix)?;
    let done = Copied {
        beside: beside(set, &target, to)?,
        ..Copied::default()
    };
    let (places, chosen) = choose(set, ui, &target, orders.versions.as_deref())?;
    if !orders.dry_run {
        if !target.folder_exists {
            by_hand::create_missing_folder(to, ui)?;
        }
        by_hand::end_unfinished(to, ui, &prefix);
    }
    let mut run = Copying {
        set,
        to,
        ui,
        orders,
        total: chosen.count(),
        target,
        done,
    };
    run.all(&places, &chosen)?;
    Ok(run.done)
}

/// Volumes of the target that the source has not. `Usage` when it has none of the source's.
fn beside(set: &Set, target: &Target, to: &Remote) -> Result<u64> {
    let (mut same, mut other) = (0u64, 0u64);
    let ours = set.volumes();
    let there = &target.volumes;
    let dblocks = (0..there.dblock_count()).filter_map(|no| there.dblock(no));
    let dindexes = (0..there.dindex_count()).filter_map(|i| there.dindex(i));
    for (name, _) in dblocks.chain(dindexes) {
        let known = ours.find_dblock(&name).is_some() || ours.find_dindex(&name).is_some();
        same += u64::from(known);
        other += u64::from(!known);
    }
    for (name, _) in there.dlists() {
        let known = ours.dlists().iter().any(|d| d.0 == *name);
        // Two backups may have a version of the same second: that alone makes them not one.
        other += u64::from(!known);
    }
    match same {
        0 if there.len() > 0 => Err(Error::usage(format!(
            "{} holds another backup of the prefix {}",
            to.describe(),
            there.prefix()
        ))
        .hint("copy to an empty folder; nothing was changed")),
        _ => Ok(other),
    }
}

fn choose(
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
    mark(&keys.finish()?, &places, &already, &mut dblocks)?;
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
    };
    Ok((places, chosen))
}

/// The dindex that describes a dblock, if with another size.
fn dindex_of(no: VolumeNo, places: &BlockIndex, resized: &[(u32, VolumeNo)]) -> Option<u32> {
    let other = || resized.iter().find(|r| r.1 == no).map(|r| r.0);
    places.dindex_of(no).or_else(other)
}

/// Marks for each key one volume that holds it: one that is at the target, else one that is marked, else the first.
fn mark(keys: &Run, places: &BlockIndex, already: &[bool], marks: &mut [bool]) -> Result<()> {
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
    Ok(())
}

/// One copy under way.
struct Copying<'a> {
    set: &'a mut Set,
    to: &'a mut Remote,
    ui: &'a mut Ui,
    orders: &'a Orders,
    target: Target,
    total: u64,
    done: Copied,
}

impl Copying<'_> {
    fn all(&mut self, places: &BlockIndex, chosen: &Chosen) -> Result<()> {
        let mut left = chosen.dindexes.clone();
        for (no, _) in (0u32..).zip(&chosen.dblocks).filter(|(_, m)| **m) {
            let Some((name, size)) = self.set.volumes().dblock(no) else {
                continue;
            };
            let arrived = self.one(&name, size, places.expected(no)?)?;
            let own = dindex_of(no, places, &chosen.resized);
            let Some(mark) = own.and_then(|i| left.get_mut(i as usize)).filter(|m| **m) else {
                continue;
            };
            *mark = false;
            match (arrived, own) {
                (true, Some(i)) => self.dindex(i as usize)?,
                _ => self.done.without_dblock += u64::from(!self.done.stopped),
            }
        }
        // Those of volumes that are gone, and those that describe one which another describes, too.
        for (i, _) in left.iter().enumerate().filter(|(_, m)| **m) {
            self.dindex(i)?;
        }
        for &no in &chosen.dlists {
            let Some((name, size)) = self.set.volumes().dlists().get(no).cloned() else {
                continue;
            };
            self.one(&name, size, Expected::default())?;
        }
        Ok(())
    }

    fn dindex(&mut self, i: usize) -> Result<()> {
        match self.set.volumes().dindex(i) {
            Some((name, size)) => self.one(&name, size, Expected::default()).map(drop),
            None => Ok(()),
        }
    }

    /// One volume; true when the target has it now.
    fn one(&mut self, name: &VolumeName, size: Option<u64>, expected: Expected) -> Result<bool> {
        if self.done.stopped || sys::stops_requested() > 0 {
            self.done.stopped = true;
            return Ok(false);
        }
        let done = &mut self.done;
        let progress = Progress {
            files: done.copied.volumes + done.there.volumes,
            files_total: self.total,
            bytes: done.copied.bytes,
            ..Progress::default()
        };
        self.ui.progress("copying volumes", progress);
        let size = size.or(expected.size);
        if self.target.has(name, size) {
            done.there.add(size.unwrap_or(0));
            return Ok(true);
        }
        if self.orders.dry_run {
            done.copied.add(size.unwrap_or(0));
            return Ok(true);
        }
        let shown = text::safe(name.as_str().as_bytes());
        let mut stored = match self.set.fetch_stored(self.ui, name, size, expected) {
            Ok(stored) => stored,
            Err(e) if e.kind().is_of_one_volume() => {
                done.left_out += 1;
                self.ui.error(&format!("left out: {e}"));
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        let bytes = stored.len()?;
        by_hand::put(self.to, self.ui, name.as_str(), &mut stored)?;
        if self.orders.read_back {
            self.compare(name, &mut stored, bytes)?;
        }
        self.done.copied.add(bytes);
        self.ui.verbose(&format!("copied {shown}"));
        Ok(true)
    }

    /// `Damaged` when the target gives back something else than what was sent; that is removed again.
    fn compare(&mut self, name: &VolumeName, sent: &mut Spool, bytes: u64) -> Result<()> {
        let mut back = Spool::new(self.set.tmp())?;
        self.to
            .get(self.ui, name.as_str(), Some(bytes), &mut back)?;
        if digest(&mut back, Algo::Sha256)? == digest(sent, Algo::Sha256)? {
            return Ok(());
        }
        by_hand::delete(self.to, self.ui, name.as_str())?;
        Err(
            Error::new(Kind::Damaged, "it comes back otherwise than it was sent")
                .doing(format!(
                    "copy {} to {}",
                    text::safe(name.as_str().as_bytes()),
                    self.to.describe()
                ))
                .hint("do not trust this destination with a backup"),
        )
    }
}
