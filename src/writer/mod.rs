//! Layer 5: the only writer. [`Writer`] packs blocks into volumes and publishes them in the one safe order: a dblock, its
//! dindex, ..., the dlist last. A version exists exactly when its dlist does. What it takes away goes after that, in the
//! opposite order. What other programs do meanwhile is looked for before and after both.

mod adopt;
mod again;
mod air;
pub(crate) mod by_hand;
mod commit;
mod fill;
mod known;
mod list;
mod others;
mod pack;
mod publish;
pub(crate) mod reseal;
mod retired;
mod trail;
mod uploads;

use crate::base::digest::{Algo, Digests};
use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::dest::Fact;
use crate::format::deflate::Deflater;
use crate::format::manifest::Params;
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::{Permit, RemoteMut};
use crate::set::{BlockIndex, IndexReport, Set};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;
use air::Air;
#[allow(unused_imports, reason = "for the commands that take volumes away")]
pub(crate) use commit::{Committed, Judge, List, Rewrite};
use pack::Pack;
use retired::Numbers;
#[allow(unused_imports, reason = "for the commands that take volumes away")]
pub(crate) use retired::Retired;
use trail::Trail;
use uploads::Uploads;

/// Entries of a dblock after which the next one is begun: below the count that needs zip64 (`format.md` 5.1).
pub(crate) const ENTRIES_AT_MOST: u32 = 65_000;

/// Blocklist copies in one dindex after which the next dblock is begun.
pub(crate) const LISTS_AT_MOST: usize = 4096;

/// How to write.
pub(crate) struct WriteOptions {
    /// Of the destination; for a new one those that it gets.
    pub(crate) params: Params,
    /// Target size of a dblock in bytes.
    pub(crate) dblock_size: u64,
    /// 0 to 9.
    pub(crate) level: u8,
    /// Look at the listing before the dlist goes up and after it, and after the last deletion.
    pub(crate) verify_listing: bool,
    /// Pack the next volume while one is on its way, where the destination can do that.
    pub(crate) overlapped: bool,
}

impl WriteOptions {
    /// Bytes of the smallest volumes: two blocks, and a MiB.
    pub(crate) fn least_dblock(block_size: u64) -> u64 {
        (1 << 20).max(block_size.saturating_mul(2))
    }
}

/// What was written: blocks count once their volume is stored, in a dry run at once.
#[derive(Clone, Copy, Default)]
pub(crate) struct WriteStats {
    pub(crate) new_blocks: u64,
    pub(crate) new_block_bytes: u64,
    /// Blocks copied from other volumes, and their packed bytes.
    pub(crate) copied_blocks: u64,
    pub(crate) copied_bytes: u64,
    pub(crate) dblocks: u64,
    /// Size of the last dblock uploaded, in bytes; 0 when there is none.
    pub(crate) last_dblock: u64,
    /// Bytes of all volumes uploaded, as stored.
    pub(crate) stored_bytes: u64,
}

impl WriteStats {
    /// Adds the blocks of a volume.
    fn add_blocks(&mut self, more: &WriteStats) {
        self.new_blocks += more.new_blocks;
        self.new_block_bytes += more.new_block_bytes;
        self.copied_blocks += more.copied_blocks;
        self.copied_bytes += more.copied_bytes;
    }
}

/// A destination being written. One per run.
pub(crate) struct Writer<'a> {
    pub(crate) set: &'a mut Set,
    permit: Option<Permit>,
    options: WriteOptions,
    deflater: Deflater,
    index: Option<(BlockIndex, IndexReport)>,
    /// What the blocklists of the index volumes read in this run name.
    members: Run,
    /// Blocklists that name a block which is not stored (keys of size 0).
    broken_lists: Keyset,
    fresh_keys: Keyset,
    fresh_places: Sorter,
    pack: Option<Pack>,
    /// The volume before it, on its way.
    air: Option<Air>,
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
    /// dlists uploaded in this run and their sizes in bytes: as many as versions at most.
    lists: Vec<(VolumeName, u64)>,
    /// What the next commit deletes, and what was deleted.
    retired: Numbers,
    gone: Run,
    /// Uploads that earlier runs did not finish were looked for.
    tidied: bool,
    /// Where blocks go.
    trail: Trail,
    /// Blocks that are blocklists where nothing else shows it.
    known_lists: Option<Keyset>,
}

impl<'a> Writer<'a> {
    /// `permit` comes from [`Set::permit`]: `None` exactly for a dry run, which decides everything and changes nothing.
    pub(crate) fn begin(
        set: &'a mut Set,
        permit: Option<Permit>,
        options: WriteOptions,
    ) -> Result<Writer<'a>> {
        let tmp = set.tmp().clone();
        if permit.is_some() {
            sys::writes_from_now_on();
        }
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
            air: None,
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
            lists: Vec::new(),
            retired: Numbers::new(&tmp),
            gone: RunWriter::new(&tmp).finish()?,
            tidied: false,
            trail: Trail::default(),
            known_lists: None,
            set,
        })
    }

    /// One step that stores something; from the first one on a stop is a request to come to a good end. After a failed one, whatever
    /// the reason (a stop, a full disk, a server), this writer cannot say any more what is stored: all further steps fail too, so that
    /// no version can be published on what is lost.
    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.sound()?;
        if self.permit.is_some() {
            sys::save_at_stop();
        }
        let done = step(self);
        if let Err(e) = &done {
            self.lost = Some(e.kind());
            self.abandon();
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

    fn put(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        stored: &mut Spool,
        digests: &Digests,
        size: u64,
    ) -> Result<()> {
        match self.place(ui, name, stored, digests, size)? {
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
        digests: &Digests,
        size: u64,
    ) -> Result<bool> {
        self.get_ready(ui, name, stored, size)?;
        let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
        // Other volumes have names of 128 random bits; two versions of one second have one name.
        let placed = match name.kind() {
            VolumeKind::Dlist => remote.put_new(ui, name.as_str(), stored, digests)?,
            _ => remote
                .put(ui, name.as_str(), stored, digests)
                .map(|()| true)?,
        };
        if placed {
            self.stats.stored_bytes += size;
        }
        Ok(placed)
    }

    /// Makes the folder where it is missing.
    fn ready_folder(&mut self, ui: &mut Ui) -> Result<()> {
        if !self.folder_ready {
            let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
            remote.create_missing_folder(ui)?;
            self.folder_ready = true;
        }
        Ok(())
    }

    /// What comes before each upload.
    fn get_ready(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        stored: &Spool,
        size: u64,
    ) -> Result<()> {
        let spooled = stored.len()?;
        if spooled != size {
            return Err(Error::new(
                Kind::Local,
                format!("a temporary file has {spooled} bytes, {size} were written to it"),
            )
            .doing(format!("upload {}", name.as_str()))
            .hint("choose another folder with --tempdir"));
        }
        self.ready_folder(ui)?;
        let start = format!("{}-", self.set.prefix().as_str());
        let mut remote = RemoteMut::new(self.set.remote(), permit(self.permit.as_ref())?);
        if !std::mem::replace(&mut self.tidied, true) {
            remote.end_unfinished(ui, &start);
        }
        ui.verbose(&format!("uploading {} ({size} bytes)", name.as_str()));
        Ok(())
    }
}

/// The permit of a run that is no dry one.
fn permit(permit: Option<&Permit>) -> Result<&Permit> {
    permit.ok_or_else(|| Error::bug("a dry run uploads nothing"))
}

/// Ends a run that changed the destination: what the destination wants to say about it.
pub(crate) fn finish(set: &mut Set, ui: &mut Ui) -> Result<Vec<Fact>> {
    match set.permit(false)? {
        Some(permit) => RemoteMut::new(set.remote(), &permit).finish(ui),
        None => Ok(Vec::new()),
    }
}
