//! What chosen versions need, block by block.

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Error, Result};
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry};
use crate::set::needs::{Goal, Needs};
use crate::set::{BlockIndex, IndexReport, Set};
use crate::spill::keyset::Keyset;

/// For whom blocks are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// For one entry of all that have the same content: enough to know which blocks are needed.
    One,
    /// For one entry of all that have the same content under the same path: enough to look for it in the files of a machine.
    Path,
}

/// Why a block is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Number of the version, 0 = newest.
    pub(crate) version: usize,
    /// Number of the entry in its list, in stored order.
    pub(crate) entry: u64,
    /// For the entry's metadata, not for its content.
    pub(crate) meta: bool,
    /// Where it lies in the content, bytes; `None` for a blocklist.
    pub(crate) offset: Option<u64>,
}

/// Bits for the number of an entry in its version.
const ENTRY_BITS: u32 = 44;

impl Reference {
    fn target(version: usize, entry: u64) -> Result<u64> {
        let version = u64::try_from(version).unwrap_or(u64::MAX);
        match entry >> ENTRY_BITS == 0 && version >> (64 - ENTRY_BITS) == 0 {
            true => Ok(version << ENTRY_BITS | entry),
            false => Err(Error::damaged("too many versions or entries")),
        }
    }

    fn of(target: u64, meta: bool, offset: Option<u64>) -> Reference {
        Reference {
            version: usize::try_from(target >> ENTRY_BITS).unwrap_or(usize::MAX),
            entry: target & ((1 << ENTRY_BITS) - 1),
            meta,
            offset,
        }
    }
}

/// What the walk hears of.
pub(crate) enum Needed<'a> {
    /// A block, in the order of keys; with several owners once for each.
    Block(&'a BlockKey, Reference),
    /// A content whose blocks cannot all be told: a blocklist is gone or spoilt, or does not fit the content. `offset` says
    /// nothing.
    Unknown(Reference),
}

impl Set {
    /// Tells all blocks that these versions need: of contents, of metadata, and their blocklists. Reads the lists of the
    /// versions, the index volumes that are not cached, and dblocks only for blocklists of which no index has a copy. A version
    /// that cannot be read is an error: nothing may be concluded without it.
    ///
    /// Memory: 16 MiB, whatever the number of blocks; on disk 53 bytes for each block told, and 33 for each different content.
    pub(crate) fn needs(
        &mut self,
        ui: &mut Ui,
        versions: &[usize],
        owners: Owners,
        each: &mut dyn FnMut(Needed<'_>) -> Result<()>,
    ) -> Result<(BlockIndex, IndexReport)> {
        let tmp = self.tmp().clone();
        let params = self.learn_params(ui)?;
        let mut needs = Needs::new(&tmp, params);
        needs.with_lists = true;
        needs.no_scan = true;
        let mut told = Keyset::new(&tmp);
        for (at, &version) in (0u64..).zip(versions) {
            ui.progress(
                "reading versions",
                Progress {
                    files: at,
                    files_total: versions.len() as u64,
                    ..Progress::default()
                },
            );
            let mut number = 0;
            self.files(ui, version, &mut |entry: Entry| {
                let target = Reference::target(version, number)?;
                number += 1;
                for (content, meta) in [(&entry.content, false), (&entry.meta, true)] {
                    let Some(content) = content else { continue };
                    let first = match owners {
                        Owners::One => told.insert(&same(content, &[]))?,
                        Owners::Path => told.insert(&same(content, &entry.path))?,
                    };
                    if first {
                        needs.add(content, target, meta)?;
                    }
                }
                Ok(())
            })?;
        }
        // Some bytes for each different content, which the index has better use for.
        drop(told);
        let found = needs.resolve(self, ui)?;
        needs.lost(&mut |target, meta| each(Needed::Unknown(Reference::of(target, meta, None))))?;
        let run = needs.take()?;
        let mut reader = run.reader();
        while let Some(record) = reader.next()? {
            let key = BlockKey::from_record(record)
                .ok_or_else(|| Error::bug("a needed block has a key"))?;
            let goal = Goal::decode(record.get(BlockKey::LEN..).unwrap_or_default())?;
            let offset = (goal.offset != Goal::LIST).then_some(goal.offset);
            each(Needed::Block(
                &key,
                Reference::of(goal.target, goal.meta, offset),
            ))?;
        }
        Ok(found)
    }
}

/// Equal for contents that need the same blocks, of the same path.
fn same(content: &Content, path: &[u8]) -> BlockKey {
    let mut h = Algo::Sha256.hasher();
    h.update(&(path.len() as u64).to_be_bytes());
    h.update(path);
    h.update(&content.size.to_be_bytes());
    for hash in content
        .block
        .iter()
        .chain(&content.hash)
        .chain(&content.lists)
    {
        h.update(&[hash.len_octet()]);
        h.update(hash.as_bytes());
    }
    BlockKey::new(&h.finish(), 0)
}
