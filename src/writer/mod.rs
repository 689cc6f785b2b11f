//! Layer 5: the only writer. [`Writer`] packs blocks into volumes and publishes them in the one safe order: a dblock, its
//! dindex, ..., the dlist last. A version exists exactly when its dlist does.

pub(crate) mod direct;
mod list;
mod pack;

use std::os::unix::fs::FileExt;

use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::Fact;
use crate::format::deflate::Deflater;
use crate::format::filelist::Entry;
use crate::format::manifest::Params;
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::{Permit, RemoteMut};
use crate::set::{IndexReport, Members, Places, Set, VolumeNo, Volumes, broken};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;
use pack::{Finished, Pack};

/// Entries of a dblock after which the next one is begun: below the count that needs zip64 (`format.md` 5.1).
const ENTRIES_AT_MOST: u32 = 65_000;

/// Blocklist copies in one dindex after which the next dblock is begun.
const LISTS_AT_MOST: usize = 4096;

/// How to write.
pub(crate) struct WriteOptions {
    /// Target size of a dblock in bytes.
    pub(crate) dblock_size: u64,
    /// 0 to 9.
    pub(crate) level: u8,
    pub(crate) encrypt: bool,
    /// Look at the listing before the dlist goes up.
    pub(crate) verify_listing: bool,
    /// Decide everything, upload nothing.
    pub(crate) dry_run: bool,
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
    params: Params,
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
    stats: WriteStats,
    /// The folder is known to exist.
    folder_ready: bool,
}

impl<'a> Writer<'a> {
    /// `permit` is `None` exactly for a dry run.
    pub(crate) fn begin(
        set: &'a mut Set,
        permit: Option<Permit>,
        params: Params,
        options: WriteOptions,
    ) -> Result<Writer<'a>> {
        let tmp = set.tmp().clone();
        Ok(Writer {
            permit,
            params,
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
            stats: WriteStats::default(),
            folder_ready: set.folder_exists(),
            set,
        })
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
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
            let mut members = Members::new(&tmp, self.params.block_hash.len());
            let loaded = self
                .set
                .load_index(ui, cached, &mut |id, data| members.add(id, data))?;
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

    /// Also counts the blocks of dblocks that no dindex describes. Costs a download each.
    pub(crate) fn index_dblocks(&mut self, ui: &mut Ui, numbers: &[VolumeNo]) -> Result<()> {
        self.index(ui)?;
        if let Some((places, _)) = &mut self.index {
            self.set.index_dblocks(ui, numbers, places)?;
        }
        self.find_broken_lists()
    }

    /// True when every block that the entry needs is stored, as far as index volumes tell.
    pub(crate) fn intact(&mut self, ui: &mut Ui, entry: &Entry) -> Result<bool> {
        let same = self.params.block_hash == self.params.file_hash;
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
        self.fresh_keys.insert(&key)?;
        self.stats.new_blocks += 1;
        self.stats.new_block_bytes += u64::from(size);
        if self.options.dry_run {
            return Ok(true);
        }
        let number = self.uploads.count;
        let pack = self.open_pack()?;
        pack.add(hash, data)?;
        let mut place = [0; BlockKey::LEN + 4];
        place[..BlockKey::LEN].copy_from_slice(key.as_bytes());
        place[BlockKey::LEN..].copy_from_slice(&number.to_be_bytes());
        self.fresh_places.add(&place)?;
        self.roll_over(ui)?;
        Ok(true)
    }

    /// Stores a blocklist: as a block, and as a copy in the index of the volume being written (W6). When the block is stored
    /// already only the copy is added, and only if a volume is open: readers then need no dblock for it (`format.md` 9).
    pub(crate) fn add_list(&mut self, ui: &mut Ui, hash: &Hash, data: &[u8]) -> Result<bool> {
        let size =
            u32::try_from(data.len()).map_err(|_| Error::bug("a blocklist is at most a block"))?;
        let known = self.has(ui, &BlockKey::new(hash, size))?;
        if !known && !self.options.dry_run {
            self.open_pack()?;
        }
        if let Some(pack) = &mut self.pack
            && (!known || pack.lists() < LISTS_AT_MOST)
        {
            pack.add_list(hash, data)?;
        }
        if known {
            Ok(false)
        } else {
            self.add_block(ui, hash, data)
        }
    }

    fn open_pack(&mut self) -> Result<&mut Pack> {
        if self.pack.is_none() {
            let tmp = self.set.tmp().clone();
            tmp.need(self.options.dblock_size.saturating_mul(2))?;
            let secret = if self.options.encrypt {
                self.set.passphrase()
            } else {
                None
            };
            if self.options.encrypt && secret.is_none() {
                return Err(Error::bug("encryption needs a passphrase"));
            }
            self.pack = Some(Pack::begin(
                &tmp,
                self.set.prefix(),
                &self.params,
                secret,
                std::mem::replace(&mut self.deflater, Deflater::new(0)),
            )?);
        }
        self.pack
            .as_mut()
            .ok_or_else(|| Error::bug("the volume was just opened"))
    }

    fn roll_over(&mut self, ui: &mut Ui) -> Result<()> {
        let limit = self
            .options
            .dblock_size
            .saturating_sub(u64::from(self.params.block_size));
        match &self.pack {
            Some(pack)
                if pack.size() > limit
                    || pack.entries() >= ENTRIES_AT_MOST
                    || pack.lists() >= LISTS_AT_MOST =>
            {
                self.flush(ui)
            }
            _ => Ok(()),
        }
    }

    /// Uploads the open volume, if any, and its index.
    pub(crate) fn flush(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(pack) = self.pack.take() else {
            return Ok(());
        };
        let (mut finished, deflater) = pack.finish(self.params.file_hash)?;
        self.deflater = deflater;
        self.put(
            ui,
            &finished.name,
            &mut finished.stored,
            &finished.sha256,
            finished.size,
        )?;
        let index = VolumeName::block(self.set.prefix(), VolumeKind::Dindex, self.options.encrypt)?;
        let secret = if self.options.encrypt {
            self.set.passphrase()
        } else {
            None
        };
        let (mut stored, sha256, size) =
            finished.index(&self.params, secret, &mut self.deflater, self.set.tmp())?;
        self.put(ui, &index, &mut stored, &sha256, size)?;
        self.stats.dblocks += 1;
        self.uploads.push(&finished, &index, size)
    }

    fn put(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        stored: &mut Spool,
        sha256: &Hash,
        size: u64,
    ) -> Result<()> {
        let permit = self
            .permit
            .as_ref()
            .ok_or_else(|| Error::bug("a dry run uploads nothing"))?;
        let mut remote = RemoteMut::new(self.set.remote(), permit);
        if !self.folder_ready {
            remote.create_folder(ui)?;
        }
        ui.verbose(&format!("uploading {} ({size} bytes)", name.as_str()));
        remote.put(ui, name.as_str(), stored, sha256)?;
        self.folder_ready = true;
        self.stats.stored_bytes += size;
        Ok(())
    }

    /// Uploads everything that is open, looks at the listing, then uploads the dlist: after this the version exists.
    /// `run` holds the version's records sorted by path. Returns the dlist's name and size.
    ///
    /// `Busy` when another program wrote to the destination meanwhile, `Damaged` when a volume of ours is not as it was
    /// sent: in both cases no dlist is written and nothing is lost.
    pub(crate) fn publish(
        &mut self,
        ui: &mut Ui,
        run: &Run,
        time: Timestamp,
        full: bool,
    ) -> Result<(VolumeName, u64)> {
        self.flush(ui)?;
        let name = VolumeName::list(self.set.prefix(), time, self.options.encrypt)?;
        if self.options.dry_run {
            return Ok((name, 0));
        }
        let secret = if self.options.encrypt {
            self.set.passphrase()
        } else {
            None
        };
        let (mut stored, sha256, size) = list::build(
            run,
            &self.params,
            time,
            full,
            secret,
            &mut self.deflater,
            self.set.tmp(),
        )?;
        if self.options.verify_listing && (self.uploads.count > 0 || self.set.folder_exists()) {
            self.check_listing(ui)?;
        }
        self.put(ui, &name, &mut stored, &sha256, size)?;
        Ok((name, size))
    }

    fn check_listing(&mut self, ui: &mut Ui) -> Result<()> {
        let expected = self.volumes_after(None)?;
        let found = self.set.list_again(ui)?;
        if found.state() == expected.state() {
            return Ok(());
        }
        for no in 0..expected.dblock_count() {
            let Some((name, size)) = expected.dblock(no) else {
                continue;
            };
            let there = found.find_dblock(&name).and_then(|n| found.dblock(n));
            self.expect_same(&name, size, there)?;
        }
        for i in 0..expected.dindex_count() {
            let Some((name, size)) = expected.dindex(i) else {
                continue;
            };
            let there = found
                .find_dindex(&name)
                .and_then(|n| found.dindex(n as usize));
            self.expect_same(&name, size, there)?;
        }
        Err(Error::new(Kind::Busy, "another program wrote to the destination during this run")
            .doing("finish the version".to_owned())
            .hint("make sure that only one program writes there, then run again; what was uploaded is reused"))
    }

    fn expect_same(
        &self,
        name: &VolumeName,
        size: Option<u64>,
        there: Option<(VolumeName, Option<u64>)>,
    ) -> Result<()> {
        let shown = text::safe(name.as_str().as_bytes());
        match there {
            Some((found, found_size))
                if found == *name
                    && (found_size == size || found_size.is_none() || size.is_none()) =>
            {
                Ok(())
            }
            Some((found, Some(now))) if found == *name => Err(Error::damaged(format!(
                "volume {shown} has {now} bytes at the destination, {} were sent",
                size.unwrap_or(0)
            ))
            .doing("finish the version".to_owned())
            .hint("run again")),
            _ => Err(Error::new(
                Kind::Busy,
                format!("volume {shown} vanished from the destination during this run"),
            )
            .doing("finish the version".to_owned())
            .hint("make sure that only one program writes there, then run again")),
        }
    }

    /// The listing as it is after this run's uploads, and the dlist if one was written.
    pub(crate) fn volumes_after(&self, dlist: Option<(&VolumeName, u64)>) -> Result<Volumes> {
        let mut volumes = self.set.volumes().with(&[]);
        for i in 0..self.uploads.count {
            let upload = self.uploads.get(i)?;
            volumes.add(upload.dblock, Some(upload.dblock_size));
            volumes.add(upload.dindex, Some(upload.dindex_size));
        }
        if let Some((name, size)) = dlist {
            volumes.add(name.clone(), Some(size));
        }
        volumes.seal();
        Ok(volumes)
    }

    /// Ends the run: remembers the index in the cache (best effort) if it was read whole and clean.
    pub(crate) fn finish(mut self, ui: &mut Ui, after: &Volumes) -> Result<WriteStats> {
        if let Some((places, report)) = self.index.take()
            && report.clean()
            && !self.options.dry_run
            && (report.fetched > 0 || self.uploads.count > 0)
            && let Err(e) = self.remember(&places, after)
        {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
        Ok(self.stats)
    }

    fn remember(&mut self, places: &Places, after: &Volumes) -> Result<()> {
        let tmp = self.set.tmp().clone();
        let old_to_new = crate::set::renumber(self.set.volumes(), after)?;
        let mut uploaded = Vec::new();
        // Where each volume's facts are: in the old index, or among the uploads.
        let mut origin = vec![None; after.dblock_count() as usize];
        for (old, &new) in old_to_new.iter().enumerate() {
            let old = u32::try_from(old).map_err(|_| Error::bug("volume numbers are 32 bits"))?;
            if let Some(slot) = origin.get_mut(new as usize) {
                *slot = Some((true, old));
            }
        }
        for i in 0..self.uploads.count {
            let no = after
                .find_dblock(&self.uploads.get(i)?.dblock)
                .ok_or_else(|| Error::bug("an uploaded volume is in the grown listing"))?;
            if let Some(slot) = origin.get_mut(no as usize) {
                *slot = Some((false, i));
            }
            uploaded.push(no);
        }
        let before = self.set.volumes();
        let index_numbers: Vec<Option<u32>> = (0..before.dindex_count())
            .map(|i| {
                before
                    .dindex(i)
                    .and_then(|(name, _)| after.find_dindex(&name))
            })
            .collect();
        let fresh = std::mem::replace(&mut self.fresh_places, Sorter::new(&tmp, 1 << 16));
        let mut stream = fresh.finish()?;
        let mut run = RunWriter::new(&tmp);
        let mut record = Vec::new();
        while let Some(place) = stream.next()? {
            record.clear();
            record.extend_from_slice(place);
            let number = record
                .get(BlockKey::LEN..)
                .and_then(|b| b.try_into().ok())
                .map(u32::from_be_bytes);
            if let Some(&no) = number.and_then(|n| uploaded.get(n as usize)) {
                record[BlockKey::LEN..].copy_from_slice(&no.to_be_bytes());
                run.push(&record)?;
            }
        }
        let run = run.finish()?;
        let renumber = |no: u32| old_to_new.get(no as usize).copied();
        let uploads = &self.uploads;
        let mut described = |no: VolumeNo| match origin.get(no as usize).copied().flatten()? {
            (true, old) => {
                let index = places.dindex_of(old)?;
                let index = index_numbers.get(index as usize).copied().flatten()?;
                Some((index, places.expected(old).ok()?))
            }
            (false, i) => {
                let upload = uploads.get(i).ok()?;
                Some((after.find_dindex(&upload.dindex)?, upload.expected()))
            }
        };
        self.set
            .cache()
            .store_index(after, places, &renumber, Some(&run), &mut described)
    }
}

/// The volumes uploaded in this run, in order: a fixed-length record each in a temporary file.
struct Uploads {
    file: Spool,
    count: u32,
}

struct Upload {
    dblock: VolumeName,
    dblock_size: u64,
    hash: Hash,
    dindex: VolumeName,
    dindex_size: u64,
}

impl Upload {
    fn expected(&self) -> crate::set::Expected {
        crate::set::Expected {
            hash: Some(self.hash),
            size: Some(self.dblock_size),
        }
    }
}

/// Two names (length octet, up to 250), hash (length octet, up to 64), two sizes.
const UPLOAD_LEN: usize = 2 * 251 + 65 + 16;

impl Uploads {
    fn push(&mut self, dblock: &Finished, dindex: &VolumeName, dindex_size: u64) -> Result<()> {
        let mut record = Vec::with_capacity(UPLOAD_LEN);
        let mut field = |data: &[u8], room: usize| {
            record.push(u8::try_from(data.len()).unwrap_or(0));
            record.extend_from_slice(data);
            record.resize(record.len() + room.saturating_sub(data.len()), 0);
        };
        if dblock.name.as_str().len() > 250 || dindex.as_str().len() > 250 {
            return Err(Error::usage("the prefix is too long"));
        }
        field(dblock.name.as_str().as_bytes(), 250);
        field(dindex.as_str().as_bytes(), 250);
        field(dblock.volume_hash.as_bytes(), 64);
        record.extend_from_slice(&dblock.size.to_be_bytes());
        record.extend_from_slice(&dindex_size.to_be_bytes());
        let done = self
            .file
            .file()
            .write_all_at(&record, u64::from(self.count) * UPLOAD_LEN as u64);
        done.doing(|| "use a temporary file".to_owned())?;
        self.count += 1;
        Ok(())
    }

    fn get(&self, i: u32) -> Result<Upload> {
        let mut record = [0; UPLOAD_LEN];
        self.file
            .read_at(&mut record, u64::from(i) * UPLOAD_LEN as u64)?;
        let field = |at: usize| record.get(at + 1..at + 1 + usize::from(record[at]));
        let name = |at: usize| {
            field(at)
                .and_then(|b| std::str::from_utf8(b).ok())
                .and_then(VolumeName::parse)
        };
        let number = |at: usize| record[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        let parsed = || {
            Some(Upload {
                dblock: name(0)?,
                dindex: name(251)?,
                hash: Hash::from_bytes(field(502)?)?,
                dblock_size: number(567)?,
                dindex_size: number(575)?,
            })
        };
        parsed().ok_or_else(|| Error::bug("an upload record reads back"))
    }
}

/// SHA-256 for the server, the file hash algorithm for the index (`format.md` 9).
fn volume_hash(stored: &mut Spool, sha256: Hash, algo: Algo) -> Result<Hash> {
    if algo == Algo::Sha256 {
        Ok(sha256)
    } else {
        crate::set::digest(stored, algo)
    }
}

/// Ends a run that changed the destination: what the destination wants to say about it.
pub(crate) fn finish(set: &mut Set, ui: &mut Ui) -> Result<Vec<Fact>> {
    RemoteMut::new(set.remote(), &Permit::to_write()).finish(ui)
}
