//! Volumes that a run takes away: remembered while it works, deleted only by its commit.

use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::names::VolumeName;
use crate::set::{Set, VolumeNo};
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;

/// A volume that is no longer needed. In the order in which they are deleted: a version first, so that none refers to what is
/// gone, and an index before its dblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retired {
    /// By the version's number in the listing, 0 = newest.
    Dlist(usize),
    Dindex(u32),
    Dblock(VolumeNo),
}

const RECORD: usize = 5;

impl Retired {
    pub(super) fn encode(self) -> Result<[u8; RECORD]> {
        let (kind, no) = match self {
            Retired::Dlist(no) => (0, u32::try_from(no).ok()),
            Retired::Dindex(no) => (1, Some(no)),
            Retired::Dblock(no) => (2, Some(no)),
        };
        let no = no.ok_or_else(|| Error::bug("volumes have numbers of 32 bits"))?;
        let mut record = [kind; RECORD];
        record[1..].copy_from_slice(&no.to_be_bytes());
        Ok(record)
    }

    pub(super) fn decode(record: &[u8]) -> Result<Retired> {
        let parsed = || {
            let no = u32::from_be_bytes(record.get(1..RECORD)?.try_into().ok()?);
            Some(match record.first()? {
                0 => Retired::Dlist(usize::try_from(no).ok()?),
                1 => Retired::Dindex(no),
                _ => Retired::Dblock(no),
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled number reads back"))
    }

    /// Name and listed size; `None` when it is not in the listing any more.
    pub(super) fn named(self, set: &Set) -> Option<(VolumeName, Option<u64>)> {
        match self {
            Retired::Dlist(no) => set.dlist(no).map(|(n, s)| (n.clone(), s)),
            Retired::Dindex(no) => set.volumes().dindex(no as usize),
            Retired::Dblock(no) => set.volumes().dblock(no),
        }
    }
}

/// Volumes in the order of [`Retired`], each once: 5 bytes each, spilled.
pub(super) struct Numbers(Sorter);

impl Numbers {
    pub(super) fn new(tmp: &Tmp) -> Numbers {
        Numbers(Sorter::new(tmp, 1 << 18))
    }

    pub(super) fn add(&mut self, volume: Retired) -> Result<()> {
        self.0.add(&volume.encode()?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, and nothing is left in `self`.
    pub(super) fn take(&mut self, tmp: &Tmp) -> Result<Run> {
        let all = std::mem::replace(self, Numbers::new(tmp));
        let mut stream = all.0.finish()?;
        let mut run = RunWriter::new(tmp);
        let mut last = [0xff; RECORD];
        while let Some(record) = stream.next()? {
            if record != last {
                run.push(record)?;
                last.copy_from_slice(record);
            }
        }
        run.finish()
    }
}

/// Calls `each` with the volumes of a run in their order.
pub(super) fn each_of(run: &Run, each: &mut dyn FnMut(Retired) -> Result<()>) -> Result<()> {
    let mut reader = run.reader();
    while let Some(record) = reader.next()? {
        each(Retired::decode(record)?)?;
    }
    Ok(())
}
