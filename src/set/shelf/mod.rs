//! The block source: one dblock that gives any of its blocks by key. Every block is compared with its hash before it is given,
//! so what is wrong with the volume as a whole costs only the blocks that it touches.
//!
//! Who opens a shelf says how much of the volume is wanted; that decides whether it is downloaded whole. What a damaged
//! volume still gives is in `salvage`.

mod at_hand;
mod directory;
mod fetch;
mod hinted;
mod list_parts;
mod ranged;

use std::io::{Read, Write};
use std::rc::Rc;

use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::read_at::{Page, ReadAt};
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::format::deflate::Inflater;
use crate::format::manifest::Params;
use crate::format::names::VolumeName;
use crate::format::zip_read::{EntryRef, Layout, ZipReader};
use crate::format::zip_write::Packed;
use crate::set::volume::{Expected, Opened, only_zip, reading};
use crate::set::{Set, VolumeNo};
use at_hand::AtHand;
use directory::{Directory, each_block};
pub(crate) use hinted::Hints;
#[cfg(feature = "fuzz")]
pub(crate) use ranged::fuzz as fuzz_ranged;
use ranged::{AtRemote, Ranged};

/// Bytes inflated or copied at a time where a block is not wanted in memory.
const BUFFER_BYTES: usize = 32 << 10;

/// The blocks of one dblock.
pub(crate) struct Shelf {
    name: VolumeName,
    source: Source,
    layout: Layout,
    params: Params,
    tmp: Tmp,
    inflater: Inflater,
    /// All that can be had of it is here.
    complete: bool,
    /// Made when the first block is asked for.
    directory: Option<Directory>,
    /// Why the first block that could not be read could not.
    why: Option<String>,
}

/// How much of a volume its opener wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of it, or nobody knows.
    All,
    /// About so many of its stored bytes.
    Bytes(u64),
}

impl Share {
    /// True when a volume of `size` bytes is better read in parts: less than half of it is wanted.
    pub(super) fn is_in_parts(self, size: u64) -> bool {
        matches!(self, Share::Bytes(wanted) if wanted < size / 2)
    }
}

/// Where the archive is.
enum Source {
    /// Here: whole, or whatever there is of it when it has a flaw.
    Whole(Box<Whole>),
    /// In a folder of this machine, where it lies.
    AtHand(Box<AtHand>),
    /// At the destination; parts of it are here.
    Ranged(Box<Ranged>),
}

impl Source {
    fn archive(&self) -> &dyn ReadAt {
        match self {
            Source::Whole(whole) => &**whole,
            Source::AtHand(at_hand) => &**at_hand,
            Source::Ranged(ranged) => &**ranged,
        }
    }
}

/// A volume that is here, and what was read of it last: blocks are small and mostly wanted in the order of the archive.
struct Whole {
    opened: Rc<Opened>,
    page: Page,
}

impl ReadAt for Whole {
    fn len(&self) -> Result<u64> {
        self.opened.plain.len()
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        self.page.read_at(&self.opened.plain, buf, at)
    }
}

/// What a block turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof<'a> {
    Intact,
    Spoilt,
    /// It is packed in a way that this program does not know, and may be intact: which way.
    Foreign(&'a str),
}

impl Set {
    /// Opens a dblock of the listing as a source of blocks. Errors are those of [`Set::fetch_dblock`], of which
    /// [`Kind::is_volume_or_key`] tells those that other volumes need not share.
    pub(crate) fn shelf(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        expected: Expected,
        share: Share,
    ) -> Result<Shelf> {
        let (name, size) = self
            .volumes
            .dblock(no)
            .ok_or_else(|| Error::bug("a dblock that is opened is listed"))?;
        if let Some(shelf) = self.parts_of(ui, no, expected, share)? {
            return Ok(shelf);
        }
        let opened = self.fetch_dblock(ui, &name, size, expected)?;
        Ok(Shelf::over(opened, &self.tmp))
    }

    /// As [`Set::shelf`] where that reads in parts; `None`, and nothing of it is kept, where it would fetch the whole.
    pub(crate) fn parts_of(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        expected: Expected,
        share: Share,
    ) -> Result<Option<Shelf>> {
        let (name, size) = self
            .volumes
            .dblock(no)
            .ok_or_else(|| Error::bug("a dblock that is opened is listed"))?;
        match size.filter(|&size| share.is_in_parts(size)) {
            Some(size) if expected.size.is_none_or(|stated| stated == size) => {
                match self.shelf_by_hints(ui, no, &name, size)? {
                    Some(shelf) => Ok(Some(shelf)),
                    None => self.shelf_in_parts(ui, &name, size),
                }
            }
            _ => Ok(None),
        }
    }

    /// Whether a volume is encrypted, so that it takes the passphrase to read parts of it; `None` for one that can only be read
    /// whole.
    pub(super) fn takes_key(&self, name: &VolumeName) -> Option<bool> {
        if self.sends_whole || only_zip(name).is_err() || self.judged.knows(name) {
            return None;
        }
        match name.encryption() {
            None => Some(false),
            Some(kind) if kind.eq_ignore_ascii_case("aes") => {
                self.passphrase.as_ref().map(|_| true)
            }
            Some(_) => None,
        }
    }

    /// A shelf that fetches only what it is asked for; `None` where that is not possible: gpg, a server that sends only whole
    /// files, a damaged volume. Then the volume is to be fetched whole, which tells what is wrong with it.
    fn shelf_in_parts(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: u64,
    ) -> Result<Option<Shelf>> {
        let (Some(params), Some(sealed)) = (self.params, self.takes_key(name)) else {
            return Ok(None);
        };
        let key = self.passphrase.as_ref().filter(|_| sealed);
        let secret = key.map(|known| &known.secret);
        let mut line = AtRemote {
            remote: &mut self.remote,
            ui,
            name: name.as_str(),
            sends_whole: &mut self.sends_whole,
        };
        match Ranged::open(&mut line, size, secret, &self.tmp) {
            Ok((ranged, layout)) => {
                self.accepted |= secret.is_some();
                Ok(Some(Shelf {
                    name: name.clone(),
                    source: Source::Ranged(Box::new(ranged)),
                    layout,
                    params,
                    tmp: self.tmp.clone(),
                    inflater: Inflater::new(),
                    complete: false,
                    directory: None,
                    why: None,
                }))
            }
            Err(e) if e.kind().is_volume_or_key() => {
                let doing = reading(name);
                ui.verbose(&format!("cannot {doing} in parts: {}", e.cause()));
                Ok(None)
            }
            Err(e) => Err(e.doing(reading(name))),
        }
    }
}

impl Shelf {
    fn over(opened: Rc<Opened>, tmp: &Tmp) -> Shelf {
        Shelf {
            name: opened.name.clone(),
            layout: opened.layout,
            params: opened.params,
            source: Source::Whole(Box::new(Whole {
                opened,
                page: Page::default(),
            })),
            tmp: tmp.clone(),
            inflater: Inflater::new(),
            complete: true,
            directory: None,
            why: None,
        }
    }

    pub(crate) fn name(&self) -> &VolumeName {
        &self.name
    }

    /// Only what is asked for is fetched, by [`Shelf::fetch`].
    pub(crate) fn is_in_parts(&self) -> bool {
        matches!(self.source, Source::Ranged(_))
    }

    /// What is wrong with the volume as a whole. Then any of its blocks may be missing or spoilt.
    pub(crate) fn flaw(&self) -> Option<&str> {
        match &self.source {
            Source::Whole(whole) => whole.opened.flaw.as_deref(),
            Source::AtHand(at_hand) => at_hand.flaw.as_deref(),
            Source::Ranged(_) => None,
        }
    }

    /// Why blocks of it could not be given: its flaw, else what was met in the first of them.
    pub(crate) fn why(&self) -> Option<&str> {
        self.flaw().or(self.why.as_deref())
    }

    /// The archive.
    pub(crate) fn zip(&self) -> ZipReader<'_> {
        ZipReader::again(self.source.archive(), self.layout)
    }

    fn algo(&self) -> Algo {
        self.params.block_hash
    }

    /// The entries of a key's id, at most four, whatever their length.
    fn entries(&mut self, key: &BlockKey) -> Result<Vec<(Hash, EntryRef)>> {
        if self.directory.is_none() {
            let directory = Directory::read(self.zip(), self.algo().len(), &self.tmp)
                .doing(|| reading(&self.name))?;
            self.directory = Some(directory);
        }
        match &mut self.directory {
            Some(directory) => Ok(directory.find(key)?.to_vec()),
            None => Err(Error::bug("the directory was just read")),
        }
    }

    /// What was read of an entry. Trouble with it is kept for [`Shelf::why`] and is none: another may be the intact one.
    fn tried<T>(&mut self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(e) if e.kind().is_of_one_volume() => {
                self.why.get_or_insert_with(|| e.cause().to_owned());
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// The bytes of a block into `out`. False when the volume does not hold it intact; then `out` holds anything.
    pub(crate) fn block(&mut self, key: &BlockKey, out: &mut Vec<u8>) -> Result<bool> {
        let size = u64::from(key.size());
        for (id, entry) in self.entries(key)? {
            if entry.size != size {
                continue;
            }
            out.clear();
            // Room is taken as data comes, not as the directory promises it. The read past the end checks the archive's own sum.
            let zip = ZipReader::again(self.source.archive(), self.layout);
            let read = zip
                .reader(entry, &mut self.inflater)
                .and_then(|reader| reader.take(size + 1).read_to_end(out).map_err(unwrap_io));
            if self.tried(read)? == Some(key.size() as usize) && self.algo().hash(out) == id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A block as it lies in the archive into `out`, after its content was compared with its hash, for another archive to
    /// hold: its whole id and what [`ZipWriter::add_packed`] wants to know. `None` when the volume does not hold it intact.
    /// Memory: 32 KiB.
    ///
    /// [`ZipWriter::add_packed`]: crate::format::zip_write::ZipWriter::add_packed
    pub(crate) fn packed(
        &mut self,
        key: &BlockKey,
        out: &mut dyn Write,
    ) -> Result<Option<(Hash, Packed)>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        for (id, entry) in self.entries(key)? {
            if entry.size != u64::from(key.size()) {
                continue;
            }
            let zip = ZipReader::again(self.source.archive(), self.layout);
            let algo = self.params.block_hash;
            let read = hash_entry(zip, entry, algo, &mut self.inflater, &mut buffer);
            if let Some((hash, unused)) = self.tried(read)?
                && hash == id
            {
                let packed_len = entry.compressed.saturating_sub(unused);
                self.copy(entry, packed_len, &mut buffer, out)?;
                let packed = Packed {
                    method: entry.method,
                    crc: entry.crc,
                    packed_len,
                    size: entry.size,
                };
                return Ok(Some((id, packed)));
            }
        }
        Ok(None)
    }

    fn copy(
        &self,
        entry: EntryRef,
        packed_len: u64,
        buffer: &mut [u8],
        out: &mut dyn Write,
    ) -> Result<()> {
        let mut at = self.zip().data_at(entry).doing(|| reading(&self.name))?;
        let end = at.saturating_add(packed_len);
        while at < end {
            let n = usize::try_from(end - at).map_or(buffer.len(), |n| n.min(buffer.len()));
            self.source.archive().read_at(&mut buffer[..n], at)?;
            out.write_all(&buffer[..n]).map_err(unwrap_io)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Offers what the volume holds under an id, of whatever length, until `take` takes it, which has to compare it with the
    /// id: so are blocklists read, of which only the id is known. An error that is of one volume when nothing was taken.
    pub(crate) fn offer(
        &mut self,
        id: &Hash,
        take: &mut dyn FnMut(&Hash, &mut dyn Read) -> Result<bool>,
    ) -> Result<()> {
        let mut trouble = None;
        for (id, entry) in self.entries(&BlockKey::new(id, 0))? {
            let zip = ZipReader::again(self.source.archive(), self.layout);
            let taken = zip
                .reader(entry, &mut self.inflater)
                .and_then(|mut reader| take(&id, &mut reader));
            match taken {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(e) if e.kind().is_of_one_volume() => trouble = Some(e),
                Err(e) => return Err(e),
            }
        }
        let trouble = trouble.unwrap_or_else(|| Error::damaged("it lacks or spoils a blocklist"));
        Err(trouble.doing(reading(&self.name)))
    }

    /// Every block that the volume names, with its packed and plain size, in the order of the archive. Nothing of it is
    /// proved; of a damaged volume one may come twice. Costs no read of the blocks.
    pub(crate) fn keys(
        &self,
        each: &mut dyn FnMut(&Hash, &BlockKey, EntryRef) -> Result<()>,
    ) -> Result<()> {
        each_block(self.zip(), self.algo().len(), each)
    }

    /// Compares every block that the volume names with its hash, in the order of the archive. Memory: 32 KiB.
    pub(crate) fn prove(
        &mut self,
        each: &mut dyn FnMut(&BlockKey, Proof<'_>) -> Result<()>,
    ) -> Result<()> {
        let zip = ZipReader::again(self.source.archive(), self.layout);
        let (algo, flawed) = (self.algo(), self.flaw().is_some());
        let (block_size, inflater) = (self.params.block_size, &mut self.inflater);
        let mut buffer = vec![0; BUFFER_BYTES];
        each_block(zip, algo.len(), &mut |id, key, entry| {
            if flawed && key.size() > block_size {
                return Ok(());
            }
            match hash_entry(zip, entry, algo, inflater, &mut buffer) {
                Ok((hash, _)) if hash == *id => each(key, Proof::Intact),
                Ok(_) => each(key, Proof::Spoilt),
                Err(e) if e.kind() == Kind::Unsupported => each(key, Proof::Foreign(e.cause())),
                Err(e) if e.kind().is_of_one_volume() => each(key, Proof::Spoilt),
                Err(e) => Err(e),
            }
        })
    }
}

/// The hash of an entry's content, and how many packed bytes follow it.
fn hash_entry(
    zip: ZipReader<'_>,
    entry: EntryRef,
    algo: Algo,
    inflater: &mut Inflater,
    buffer: &mut [u8],
) -> Result<(Hash, u64)> {
    let mut reader = zip.reader(entry, inflater)?;
    let mut hasher = algo.hasher();
    loop {
        match reader.read(buffer).map_err(unwrap_io)? {
            0 => return Ok((hasher.finish(), reader.unused())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
