//! Layer 5: the only writer. [`Writer`] packs blocks into volumes and publishes them in the one safe order: a dblock, its
//! dindex, ..., the dlist last. A version exists exactly when its dlist does.

mod adopt;
pub(crate) mod direct;
mod list;
mod pack;
mod publish;
mod uploads;

use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::Fact;
use crate::format::deflate::Deflater;
use crate::format::filelist::Entry;
use crate::format::manifest::Params;
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::{Permit, RemoteMut};
use crate::set::{IndexReport, Members, Places, Set, VolumeNo, broken};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;
use pack::Pack;
use uploads::Uploads;

/// Entries of a dblock after which the next one is begun: below the count that needs zip64 (`format.md` 5.1).
const ENTRIES_AT_MOST: u32 = 65_000;

/// Blocklist copies in one dindex after which the next dblock is begun.
const LISTS_AT_MOST: usize = 4096;

/// How to write.
pub(crate) struct WriteOptions {
    /// Of the destination; for a new one those that it gets.
    pub(crate) params: Params,
    /// Target size of a dblock in bytes.
    pub(crate) dblock_size: u64,
    /// 0 to 9.
    pub(crate) level: u8,
    /// Look at the listing before the dlist goes up.
    pub(crate) verify_listing: bool,
}

/// What was written.
#[derive(Clone, Copy, Default)]
pub(crate) struct WriteStats {
    pub(crate) new_blocks: u64,
    pub(crate) new_block_bytes: u64,
    pub(crate) dblocks: u64,
    /// Bytes of all volumes uploaded, as stored.
    pub(crate) stored_bytes: u64,
}

/// A destination being written. One per run.
pub(crate) struct Writer<'a> {
    pub(crate) set: &'a mut Set,
    permit: Option<Permit>,
    options: WriteOptions,
    deflater: Deflater,
    index: Option<(Places, IndexReport)>,
    /// What the blocklists of the index volumes read in this run name.
    members: Run,
    /// Blocklists that name a block which is not stored (keys of size 0).
    broken_lists: Keyset,
    fresh_keys: Keyset,
    fresh_places: Sorter,
    pack: Option<Pack>,
    uploads: Uploads,
    /// dblocks sent in this run.
    sent: u32,
    stats: WriteStats,
    /// What indexes state hashes by, once that was looked up.
    volume_algo: Option<Option<Algo>>,
    /// The folder is known to exist.
    folder_ready: bool,
    /// No volume is ended now: what is being stored belongs together.
    hold: bool,
    /// Kind of the error that ended a step half-way: blocks that count as stored may be stored nowhere.
    lost: Option<Kind>,
    /// Uploads that earlier runs did not finish were looked for.
    tidied: bool,
}

impl<'a> Writer<'a> {
    /// `permit` comes from [`Set::permit`]: `None` exactly for a dry run, which decides everything and changes nothing.
    pub(crate) fn begin(
        set: &'a mut Set,
        permit: Option<Permit>,
        options: WriteOptions,
    ) -> Result<Writer<'a>> {
        let tmp = set.tmp().clone();
        Ok(Writer {
            permit,
            deflater: Deflater::new(options.level),
            options,
            index: None,
            members: RunWriter::new(&tmp).finish()?,
            broken_lists: Keyset::new(&tmp),
            fresh_keys: Keyset::new(&tmp),
            fresh_places: Sorter::new(&tmp, 1 << 20),
            pack: None,
            uploads: Uploads {
                file: Spool::new(&tmp)?,
                count: 0,
            },
            sent: 0,
            stats: WriteStats::default(),
            volume_algo: None,
            folder_ready: set.folder_exists(),
            hold: false,
            lost: None,
            tidied: false,
            set,
        })
    }

    /// One step that stores something. After a failed one, whatever the reason (a stop, a full disk, a server), this writer
    /// cannot say any more what is stored: all further steps fail too, so that no version can be published on what is lost.
    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.sound()?;
        let done = step(self);
        if let Err(e) = &done {
            self.lost = Some(e.kind());
        }
        done
    }

    /// Fails once a step has failed.
    fn sound(&self) -> Result<()> {
        match self.lost {
            None => Ok(()),
            Some(kind) => Err(Error::new(kind, "a volume of this run could not be stored")
                .doing("add a version")
                .hint("run again; what was uploaded is reused")),
        }
    }

    /// Nothing is changed: everything is decided only.
    pub(crate) fn is_dry(&self) -> bool {
        self.permit.is_none()
    }

    pub(crate) fn params(&self) -> &Params {
        &self.options.params
    }

    pub(crate) fn stats(&self) -> WriteStats {
        self.stats
    }

    /// The index volumes' account of what is stored, read at the first call.
    pub(crate) fn index(&mut self, ui: &mut Ui) -> Result<&mut (Places, IndexReport)> {
        self.read_index(ui, true)
    }

    /// As [`Writer::index`], before its first call: reads every index volume, so that [`Writer::intact`] also knows the
    /// blocklists that name a block which no volume holds. The cache does not hold blocklists.
    pub(crate) fn whole_index(&mut self, ui: &mut Ui) -> Result<&mut (Places, IndexReport)> {
        self.read_index(ui, false)
    }

    fn read_index(&mut self, ui: &mut Ui, cached: bool) -> Result<&mut (Places, IndexReport)> {
        if self.index.is_none() {
            let tmp = self.set.tmp().clone();
            let mut members = Members::new(&tmp, self.options.params.block_hash.len());
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

    fn find_broken_lists(&mut self) -> Result<()> {
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
            &mut |_| {},
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
        Ok(self.fresh_keys.contains(key)? || self.index(ui)?.0.contains(key)?)
    }

    /// Stores a block of 1 to block-size bytes unless it is stored already; true when it was new. May upload a volume.
    pub(crate) fn add_block(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size = u32::try_from(data.len()).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        let key = BlockKey::new(hash, size);
        if self.has(ui, &key)? {
            return Ok(false);
        }
        self.step(|writer| writer.add_new(ui, hash, &key, data))?;
        Ok(true)
    }

    fn add_new(&mut self, ui: &mut Ui, hash: &Hash, key: &BlockKey, data: &[u8]) -> Result<()> {
        let size = key.size();
        self.fresh_keys.insert(key)?;
        self.stats.new_blocks += 1;
        self.stats.new_block_bytes += u64::from(size);
        if self.is_dry() {
            return Ok(());
        }
        let number = self.set.volumes().dblock_count() + self.sent;
        self.open_pack()?;
        if let Some(pack) = &mut self.pack {
            pack.add(hash, data, &mut self.deflater)?;
        }
        let mut place = [0; BlockKey::LEN + 4];
        place[..BlockKey::LEN].copy_from_slice(key.as_bytes());
        place[BlockKey::LEN..].copy_from_slice(&number.to_be_bytes());
        self.fresh_places.add(&place)?;
        self.roll_over(ui)
    }

    /// Stores a blocklist: as a block, and as a copy in the index of the volume being written (W6). When the block is stored
    /// already only the copy is added, and only if a volume is open: readers then need no dblock for it (`format.md` 9).
    pub(crate) fn add_list(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size =
            u32::try_from(data.len()).map_err(|_| Error::bug("a blocklist is at most a block"))?;
        let known = self.has(ui, &BlockKey::new(hash, size))?;
        self.step(|writer| {
            if !known && !writer.is_dry() {
                writer.open_pack()?;
            }
            match &mut writer.pack {
                Some(pack) if !known || pack.lists() < LISTS_AT_MOST => pack.add_list(hash, data),
                _ => Ok(()),
            }
        })?;
        if known {
            Ok(false)
        } else {
            self.add_block(ui, hash, data)
        }
    }

    fn open_pack(&mut self) -> Result<()> {
        if self.pack.is_none() {
            let tmp = self.set.tmp().clone();
            tmp.need(self.options.dblock_size.saturating_mul(2))?;
            let secret = self.set.seal()?;
            self.pack = Some(Pack::begin(
                &tmp,
                self.set.prefix(),
                &self.options.params,
                secret,
                &mut self.deflater,
            )?);
        }
        Ok(())
    }

    /// Until [`Writer::apart`] all new blocks go into one volume, `bytes` of them at most: a volume that has no room for so
    /// many is ended first. Duplicati 2.0.8.1 does not apply metadata whose blocks lie in two volumes.
    pub(crate) fn together(&mut self, ui: &mut Ui, bytes: u64) -> Result<()> {
        let full = self.pack.as_ref().is_some_and(|pack| {
            let blocks = bytes.div_ceil(u64::from(self.options.params.block_size)) + 1;
            pack.size().saturating_add(bytes) > self.options.dblock_size
                || u64::from(pack.entries()) + blocks > u64::from(ENTRIES_AT_MOST)
        });
        if full {
            self.flush(ui)?;
        }
        self.hold = true;
        Ok(())
    }

    /// Ends what [`Writer::together`] began.
    pub(crate) fn apart(&mut self, ui: &mut Ui) -> Result<()> {
        self.hold = false;
        self.step(|writer| writer.roll_over(ui))
    }

    fn roll_over(&mut self, ui: &mut Ui) -> Result<()> {
        if self.hold {
            return Ok(());
        }
        let limit = self
            .options
            .dblock_size
            .saturating_sub(u64::from(self.options.params.block_size));
        match &self.pack {
            Some(pack)
                if pack.size() > limit
                    || pack.entries() >= ENTRIES_AT_MOST
                    || pack.lists() >= LISTS_AT_MOST =>
            {
                self.send_pack(ui)
            }
            _ => Ok(()),
        }
    }

    /// What an index of ours states the hash of its dblock by (`format.md` 9). Duplicati took SHA256 up to 2.1.0.107 and takes
    /// the file hash since; the destination's own indexes tell which one writes there. As long as none does, or both did,
    /// no hash is stated, which every Duplicati takes.
    fn volume_hash(&mut self, ui: &mut Ui) -> Result<Option<Algo>> {
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

    /// Uploads the open volume, if any, and its index.
    pub(crate) fn flush(&mut self, ui: &mut Ui) -> Result<()> {
        self.step(|writer| writer.send_pack(ui))
    }

    fn send_pack(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(pack) = self.pack.take() else {
            return Ok(());
        };
        let algo = self.volume_hash(ui)?;
        let mut finished = pack.finish(algo)?;
        self.put(
            ui,
            &finished.name,
            &mut finished.stored,
            &finished.sha256,
            finished.size,
        )?;
        let index = VolumeName::block(self.set.prefix(), VolumeKind::Dindex, self.set.encrypts())?;
        let secret = self.set.seal()?;
        let (mut stored, sha256, size) = finished.index(
            &self.options.params,
            secret,
            &mut self.deflater,
            self.set.tmp(),
        )?;
        self.put(ui, &index, &mut stored, &sha256, size)?;
        self.stats.dblocks += 1;
        self.sent += 1;
        self.uploads.push(&finished, &index, size, false)
    }

    fn put(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        stored: &mut Spool,
        sha256: &Hash,
        size: u64,
    ) -> Result<()> {
        match self.place(ui, name, stored, sha256, size)? {
            true => Ok(()),
            false => Err(
                Error::new(Kind::Busy, format!("{} is there already", name.as_str()))
                    .doing("store a volume")
                    .hint("run again"),
            ),
        }
    }

    /// Uploads a volume; false when a file of its name is there, which stays as it is.
    fn place(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        stored: &mut Spool,
        sha256: &Hash,
        size: u64,
    ) -> Result<bool> {
        let start = format!("{}-", self.set.prefix().as_str());
        let permit = self
            .permit
            .as_ref()
            .ok_or_else(|| Error::bug("a dry run uploads nothing"))?;
        let spooled = stored.len()?;
        if spooled != size {
            return Err(Error::new(
                Kind::Local,
                format!("a temporary file has {spooled} bytes, {size} were written to it"),
            )
            .doing(format!("upload {}", name.as_str()))
            .hint("choose another folder with --tempdir"));
        }
        let mut remote = RemoteMut::new(self.set.remote(), permit);
        if !self.folder_ready {
            remote.create_missing_folder(ui)?;
        }
        if !std::mem::replace(&mut self.tidied, true) {
            remote.end_unfinished(ui, &start);
        }
        ui.verbose(&format!("uploading {} ({size} bytes)", name.as_str()));
        // Other volumes have names of 128 random bits; two versions of one second have one name.
        let placed = match name.kind() {
            VolumeKind::Dlist => remote.put_new(ui, name.as_str(), stored, sha256)?,
            _ => remote
                .put(ui, name.as_str(), stored, sha256)
                .map(|()| true)?,
        };
        self.folder_ready = true;
        if placed {
            self.stats.stored_bytes += size;
        }
        Ok(placed)
    }
}

/// Ends a run that changed the destination: what the destination wants to say about it.
pub(crate) fn finish(set: &mut Set, ui: &mut Ui) -> Result<Vec<Fact>> {
    match set.permit(false)? {
        Some(permit) => RemoteMut::new(set.remote(), &permit).finish(ui),
        None => Ok(Vec::new()),
    }
}
