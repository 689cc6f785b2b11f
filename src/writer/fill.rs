//! Blocks into volumes: the one being filled, and when the next is begun.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::tmp::{Spool, Tmp};
use crate::base::transfer::FLIES;
use crate::base::ui::Ui;
use crate::format::deflate::Deflater;
use crate::format::locator::Extent;
use crate::format::names::{VolumeKind, VolumeName};
use crate::format::zip_write::Packed;
use crate::remote::RemoteMut;
use crate::set::Place;
use crate::writer::known::Stored;
use crate::writer::pack::{Finished, Pack};
use crate::writer::trail::id_of;
use crate::writer::{ENTRIES_AT_MOST, LISTS_AT_MOST, WriteOptions, WriteStats, Writer, permit};

/// A volume's index and directory take so small a part of its size, and mostly less.
const BESIDE_A_VOLUME: u64 = 4;

impl Writer<'_> {
    /// Stores a block of 1 to block-size bytes unless it is stored already; true when it was new. May upload a volume.
    pub(crate) fn add_block(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size = u32::try_from(data.len()).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        let key = BlockKey::new(hash, size);
        self.tick();
        let stored = self.look_up(ui, &key)?;
        if stored != Stored::No {
            self.is_known(&key, stored);
            return Ok(false);
        }
        self.step(|writer| writer.add_new(ui, hash, &key, data))?;
        Ok(true)
    }

    fn is_known(&mut self, key: &BlockKey, stored: Stored) {
        let set = &*self.set;
        self.trail.known(key, || match stored {
            Stored::Before(no) => id_of(&set.volumes().dblock(no)?.0),
            _ => None,
        });
    }

    /// A content begins: the blocks that are added from now on are its own.
    pub(crate) fn follow(&mut self) {
        self.trail.begin();
    }

    /// Where the blocks since [`Writer::follow`] are; empty where that is not known of all of them.
    pub(crate) fn followed(&mut self) -> Vec<Extent> {
        self.trail.take()
    }

    /// Where the same content was in the version before, if that says more than what is known now and still holds.
    pub(crate) fn place_better(&self, now: &mut Vec<Extent>, before: &[Extent]) {
        let exact = |list: &[Extent]| !list.is_empty() && list.iter().all(|e| e.len > 0);
        let there = |e: &Extent| self.set.row(&e.volume).is_some();
        if !exact(now) && (now.is_empty() || exact(before)) && before.iter().all(there) {
            now.clear();
            now.extend_from_slice(before);
        }
    }

    pub(super) fn add_new(
        &mut self,
        ui: &mut Ui,
        hash: &Hash,
        key: &BlockKey,
        data: &[u8],
    ) -> Result<()> {
        let counts = WriteStats {
            new_blocks: 1,
            new_block_bytes: u64::from(key.size()),
            ..WriteStats::default()
        };
        self.enter(ui, key, &counts, &mut |pack, deflater, tick| {
            pack.add(hash, data, deflater, tick)
        })
    }

    /// Stores a blocklist: as a block, and as a copy in the index of the volume being written (W6). When the block is stored
    /// already only the copy is added, and only if a volume is open: readers then need no dblock for it (`format.md` 9).
    pub(crate) fn add_list(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size =
            u32::try_from(data.len()).map_err(|_| Error::bug("a blocklist is at most a block"))?;
        let key = BlockKey::new(hash, size);
        let stored = self.look_up(ui, &key)?;
        let known = stored != Stored::No;
        self.step(|writer| {
            if !known && !writer.is_dry() {
                writer.make_room(ui)?;
                writer.open_pack(ui)?;
            }
            match &mut writer.pack {
                Some(pack) if !known || pack.lists() < LISTS_AT_MOST => pack.add_list(hash, data),
                _ => Ok(()),
            }
        })?;
        self.trail.part();
        let added = match known {
            true => {
                self.is_known(&key, stored);
                Ok(false)
            }
            false => self.add_block(ui, hash, data),
        };
        self.trail.part();
        added
    }

    /// Stores a block again, packed as another volume holds it: not unpacked, not deflated. The caller has checked that the
    /// block is what its id says. `bytes` gives exactly `packed.packed_len` bytes. False when this run stored the block before:
    /// then nothing is read. May upload a volume.
    pub(crate) fn copy_block(
        &mut self,
        ui: &mut Ui,
        id: &Hash,
        packed: &Packed,
        bytes: &mut dyn Read,
    ) -> Result<bool> {
        let size =
            u32::try_from(packed.size).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        let key = BlockKey::new(id, size);
        if self.fresh_keys.contains(&key)? {
            return Ok(false);
        }
        self.step(|writer| {
            let counts = WriteStats {
                copied_blocks: 1,
                copied_bytes: packed.packed_len,
                ..WriteStats::default()
            };
            writer.enter(ui, &key, &counts, &mut |pack, _, _| {
                pack.copy(id, packed, bytes)
            })
        })?;
        Ok(true)
    }

    /// Puts a copy of a blocklist into the index of the volume being written. Before [`Writer::copy_block`] of the same block,
    /// so that both are in one volume and its index.
    pub(crate) fn copy_list(&mut self, ui: &mut Ui, id: &Hash, data: &[u8]) -> Result<()> {
        if self.is_dry() {
            return Ok(());
        }
        self.step(|writer| {
            writer.open_pack(ui)?;
            match &mut writer.pack {
                Some(pack) => pack.add_list(id, data),
                None => Ok(()),
            }
        })
    }

    /// Puts a block into the volume being written, and what it `counts` for.
    fn enter(
        &mut self,
        ui: &mut Ui,
        key: &BlockKey,
        counts: &WriteStats,
        put: &mut Putting<'_>,
    ) -> Result<()> {
        self.fresh_keys.insert(key)?;
        if self.is_dry() {
            self.stats.add_blocks(counts);
            return Ok(());
        }
        self.make_room(ui)?;
        let number = self.next_number();
        self.open_pack(ui)?;
        let Writer {
            pack,
            deflater,
            air,
            set,
            ..
        } = self;
        if let Some(pack) = pack {
            let at = pack.written();
            put(pack, deflater, &mut || {
                if let Some(air) = air
                    && FLIES
                {
                    air.advance(set.remote());
                }
            })?;
            pack.counts.add_blocks(counts);
            let len = pack.written().saturating_sub(at);
            self.trail.stored(key, pack.name(), at, len);
        }
        let place = Place {
            key: *key,
            no: number,
        };
        self.fresh_places.add(&place.encode())?;
        self.roll_over(ui)
    }

    /// Bytes that a volume and its index may need in the temporary folder.
    pub(super) fn room(&self) -> u64 {
        self.options.dblock_size.saturating_mul(2)
    }

    fn open_pack(&mut self, ui: &mut Ui) -> Result<()> {
        if self.pack.is_none() {
            let least = WriteOptions::least_dblock(self.options.params.block_size.into());
            let tmp = self.set.tmp().clone();
            let tmp = tmp.for_volumes(self.options.dblock_size, least);
            let out = self.new_volume(ui, &tmp)?;
            let sealing = self.set.seal()?;
            self.pack = Some(Pack::begin(
                out,
                &tmp,
                self.set.prefix(),
                &self.options.params,
                sealing,
                &mut self.deflater,
            )?);
        }
        Ok(())
    }

    /// Where a volume comes to be: at the destination if that can be, else in the temporary folder.
    fn new_volume(&mut self, ui: &mut Ui, tmp: &Tmp) -> Result<Spool> {
        if self.set.remote().local_folder().is_some() {
            self.ready_folder(ui)?;
            let sealed = self.set.encrypts();
            let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
            if let Some(spool) = remote.unnamed_spool(self.options.dblock_size, sealed) {
                tmp.need(self.options.dblock_size / BESIDE_A_VOLUME)?;
                return Ok(spool);
            }
        }
        tmp.need(self.room())?;
        Spool::new(tmp)
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
            self.step(|writer| writer.send_off(ui))?;
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
                self.send_off(ui)
            }
            _ => Ok(()),
        }
    }

    /// Uploads the open volume, if any, and its index.
    #[cfg(test)]
    pub(crate) fn flush(&mut self, ui: &mut Ui) -> Result<()> {
        self.step(|writer| writer.send_pack(ui))
    }

    /// Nothing is open, and nothing on its way, when it returns.
    pub(super) fn send_pack(&mut self, ui: &mut Ui) -> Result<()> {
        self.land(ui)?;
        let Some(finished) = self.end_pack(ui)? else {
            return Ok(());
        };
        self.put_finished(ui, finished)
    }

    /// Ends the open volume.
    pub(super) fn end_pack(&mut self, ui: &mut Ui) -> Result<Option<Finished>> {
        let Some(pack) = self.pack.take() else {
            return Ok(None);
        };
        let algo = self.volume_hash(ui)?;
        pack.finish(algo).map(Some)
    }

    /// Uploads a volume, and its index.
    pub(super) fn put_finished(&mut self, ui: &mut Ui, mut finished: Finished) -> Result<()> {
        self.put(
            ui,
            &finished.name,
            &mut finished.stored,
            &finished.digests,
            finished.size,
        )?;
        self.put_index(ui, finished)
    }

    /// Uploads the index of a volume that is there.
    pub(super) fn put_index(&mut self, ui: &mut Ui, mut finished: Finished) -> Result<()> {
        let index = VolumeName::block(self.set.prefix(), VolumeKind::Dindex, self.set.encrypts())?;
        let sealing = self.set.seal()?;
        let (mut stored, digests, size) = finished.index(
            &self.options.params,
            sealing,
            &mut self.deflater,
            self.set.tmp(),
        )?;
        self.put(ui, &index, &mut stored, &digests, size)?;
        self.stats.add_blocks(&finished.counts);
        self.stats.dblocks += 1;
        self.stats.last_dblock = finished.size;
        self.sent += 1;
        self.uploads.push(&finished, &index, size, false)
    }
}

/// Puts a block into a volume; what it is given last is called now and then.
type Putting<'p> = dyn FnMut(&mut Pack, &mut Deflater, &mut dyn FnMut()) -> Result<()> + 'p;

#[cfg(all(test, feature = "dest-file"))]
#[path = "fill_tests.rs"]
mod tests;
