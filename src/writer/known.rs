//! What is stored: the index volumes' account, and which entries of a version are whole by it.

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::format::filelist::{Content, Entry};
use crate::format::locator::Extent;
use crate::format::manifest::Params;
use crate::set::{BlockIndex, BlocklistRefs, IndexReport, Set, VolumeNo, broken};
use crate::spill::keyset::Keyset;
use crate::writer::Writer;
use crate::writer::trail::id_of;

/// Whether a block is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    No,
    /// By this run.
    Now,
    /// Since an earlier run, in this dblock and perhaps others.
    Before(VolumeNo),
}

/// Where the only block of a content lies by the index, if it is in hand: the volume alone.
pub(super) fn only_block(
    set: &Set,
    index: Option<&mut (BlockIndex, IndexReport)>,
    content: &Content,
    params: &Params,
) -> Result<Option<Extent>> {
    let same = params.block_hash == params.file_hash;
    let (Some((places, _)), true, Ok(size)) =
        (index, content.lists.is_empty(), u32::try_from(content.size))
    else {
        return Ok(None);
    };
    let Some(id) = content.single(same).filter(|_| size > 0) else {
        return Ok(None);
    };
    let found = places.find_key(&BlockKey::new(&id, size))?;
    let mut named = found.iter().filter_map(|no| set.volumes().dblock(*no));
    let volume = named.find_map(|(name, _)| id_of(&name));
    Ok(volume.map(Extent::inside))
}

impl Writer<'_> {
    /// Gives the index to a writer that has not read it.
    pub(crate) fn know(&mut self, index: (BlockIndex, IndexReport)) {
        self.index = Some(index);
    }

    /// The dindex that describes a dblock, as far as the index was read.
    pub(crate) fn described(&self, no: VolumeNo) -> Option<u32> {
        self.index.as_ref()?.0.dindex_of(no)
    }

    /// The index volumes' account of what is stored, read at the first call.
    pub(crate) fn index(&mut self, ui: &mut Ui) -> Result<&mut (BlockIndex, IndexReport)> {
        self.read_index(ui, true)
    }

    /// As [`Writer::index`], before its first call: reads every index volume, so that [`Writer::intact`] also knows the
    /// blocklists that name a block which no volume holds. The cache does not hold blocklists.
    pub(crate) fn whole_index(&mut self, ui: &mut Ui) -> Result<&mut (BlockIndex, IndexReport)> {
        self.read_index(ui, false)
    }

    fn read_index(&mut self, ui: &mut Ui, cached: bool) -> Result<&mut (BlockIndex, IndexReport)> {
        if self.index.is_none() {
            let tmp = self.set.tmp().clone();
            let mut members = BlocklistRefs::new(&tmp, self.options.params.block_hash.len());
            // Several indexes may copy one list.
            let mut seen = Keyset::new(&tmp);
            let loaded = self.set.load_index(ui, cached, &mut |id, data| {
                if seen.insert(&BlockKey::new(id, 0))? {
                    members.add(id, data)?;
                }
                Ok(())
            })?;
            self.members = members.finish()?;
            self.index = Some(loaded);
            self.find_broken_lists()?;
        }
        self.index
            .as_mut()
            .ok_or_else(|| Error::bug("the index was just read"))
    }

    pub(super) fn find_broken_lists(&mut self) -> Result<()> {
        let Some((places, _)) = &self.index else {
            return Ok(());
        };
        let tmp = self.set.tmp();
        let mut lists = Keyset::new(tmp);
        broken(
            &self.members,
            places,
            &mut Keyset::new(tmp),
            &mut lists,
            &mut |_, _| Ok(()),
        )?;
        self.broken_lists = lists;
        Ok(())
    }

    /// Also counts the blocks of dblocks that no dindex describes, unless they are damaged. Costs a download each.
    pub(crate) fn index_dblocks(&mut self, ui: &mut Ui, numbers: &[VolumeNo]) -> Result<()> {
        self.index(ui)?;
        if let Some((places, _)) = &mut self.index {
            self.set.index_dblocks(ui, numbers, places, true)?;
        }
        self.find_broken_lists()
    }

    /// True when every block that the entry needs is stored, as far as index volumes tell.
    pub(crate) fn intact(&mut self, ui: &mut Ui, entry: &Entry) -> Result<bool> {
        let same = self.options.params.block_hash == self.options.params.file_hash;
        for content in entry.content.iter().chain(&entry.meta) {
            if content.size == 0 {
                continue;
            }
            for list in &content.lists {
                let here = self.index(ui)?.0.contains_id(list)?;
                if !here || self.broken_lists.contains(&BlockKey::new(list, 0))? {
                    return Ok(false);
                }
            }
            if content.lists.is_empty() {
                let (Some(id), Ok(size)) = (content.single(same), u32::try_from(content.size))
                else {
                    return Ok(false);
                };
                if !self.has(ui, &BlockKey::new(&id, size))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// True when the block is stored at the destination or was added in this run.
    pub(crate) fn has(&mut self, ui: &mut Ui, key: &BlockKey) -> Result<bool> {
        Ok(self.look_up(ui, key)? != Stored::No)
    }

    /// As [`Writer::has`], and where the block is.
    pub(super) fn look_up(&mut self, ui: &mut Ui, key: &BlockKey) -> Result<Stored> {
        if self.fresh_keys.contains(key)? {
            return Ok(Stored::Now);
        }
        let found = self.index(ui)?.0.find_key(key)?;
        Ok(found.first().map_or(Stored::No, |&no| Stored::Before(no)))
    }

    /// What an index of ours states the hash of its dblock by (`format.md` 9). Duplicati took SHA256 up to 2.1.0.107 and takes
    /// the file hash since; the destination's own indexes tell which one writes there. As long as none does, or both did,
    /// no hash is stated, which every Duplicati takes.
    pub(super) fn volume_hash(&mut self, ui: &mut Ui) -> Result<Option<Algo>> {
        let file_hash = self.options.params.file_hash;
        if file_hash == Algo::Sha256 {
            return Ok(Some(Algo::Sha256));
        }
        if let Some(known) = self.volume_algo {
            return Ok(known);
        }
        let count = self.set.volumes().dblock_count();
        let places = &self.index(ui)?.0;
        let (mut sha256, mut own) = (false, false);
        for no in 0..count {
            let len = places.expected(no)?.hash.map(|h| h.as_bytes().len());
            sha256 |= len == Some(Algo::Sha256.len());
            own |= len == Some(file_hash.len());
        }
        let algo = match (sha256, own) {
            (true, false) => Some(Algo::Sha256),
            (false, true) => Some(file_hash),
            _ => None,
        };
        self.volume_algo = Some(algo);
        Ok(algo)
    }
}
