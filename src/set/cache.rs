//! The disposable cache: what a listing's index volumes said, and the sorted entries of the newest version.
//!
//! Everything in it can be read again from the destination. It may be deleted, truncated or damaged at any moment: each file
//! ends with a SHA-256 over all before it and is dropped when that, or the listing, disagrees. It never holds a secret. Names
//! of source files are in it, so the folder is private to its owner (0700).

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::base::bytes::{self, Cursor};
use crate::base::digest::{Algo, Hash, HashWriter};
use crate::base::error::{Doing, Result};
use crate::base::rand;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::format::names::VolumeName;
use crate::set::cache_folder::{default_folder, private};
use crate::set::files::Record;
use crate::set::places::{ID_LEN, PLACE_LEN, Places, split};
use crate::set::volume::Expected;
use crate::set::{Remembered, VolumeNo, Volumes};
use crate::spill::run::Run;
use crate::spill::table::{Table, TableBuilder};

/// Layout of the files; another number is another file name, so unknown layouts are simply not found.
const LAYOUT: u32 = 2;
/// Volumes remembered as of no use.
const ASIDE_AT_MOST: usize = 1000;
const MAGIC: &[u8; 8] = b"duplet\x00\x01";

/// The cache of one destination and prefix, or nothing.
pub(crate) enum Cache {
    /// Why there is none, for `-v`.
    Off(String),
    On(PathBuf),
}

/// The newest version as a run remembered it.
pub(crate) struct Previous {
    /// Records of `files::Record`, sorted by path.
    pub(crate) run: Run,
    pub(crate) full: bool,
    /// State of the listing when that run ended.
    pub(crate) state: Hash,
    /// How that run looked at files; `None` when the version comes from the destination and its records have no stamps.
    pub(crate) looked: Option<Looked>,
}

/// How a run looked at files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// When it began to, Unix nanoseconds.
    pub(crate) began: i64,
    /// Also for attributes that ask for exclusion.
    pub(crate) exclusions: bool,
}

/// A cached index that fits the listing.
pub(crate) struct CachedIndex {
    pub(crate) table: Table,
    /// dindex volumes that are covered.
    pub(crate) dindexes: Vec<u32>,
}

impl Cache {
    /// Never fails: a cache that cannot be used is off. `id` tells destinations apart and holds no secret. A missing folder is
    /// only made with `make`.
    pub(crate) fn open(chosen: Option<&str>, id: &str, make: bool) -> Cache {
        let folder = match chosen {
            Some(text) => PathBuf::from(text),
            None => match default_folder() {
                Some(folder) => folder,
                None => return Cache::Off("no home folder is known".to_owned()),
            },
        };
        let name = bytes::hex(&Algo::Sha256.hash(id.as_bytes()).as_bytes()[..16]);
        let own = folder.join(format!("{name}-v{LAYOUT}"));
        if !make && !own.exists() {
            return Cache::Off("there is none yet".to_owned());
        }
        match private(&own, &folder) {
            Ok(folder) => Cache::On(folder),
            Err(e) => Cache::Off(e.to_string()),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        matches!(self, Cache::On(_))
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        match self {
            Cache::On(folder) => Some(folder.join(name)),
            Cache::Off(_) => None,
        }
    }

    /// Opens a cache file whose checksum is right, positioned after the magic. Costs one read of the file.
    fn checked(&self, name: &str) -> Option<(File, u64)> {
        let file = File::open(self.file(name)?).ok()?;
        let body = file.metadata().ok()?.len().checked_sub(32)?;
        let mut reader = BufReader::with_capacity(64 * 1024, &file);
        let mut hasher = Algo::Sha256.hasher();
        let mut left = body;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let want = usize::try_from(left.min(buffer.len() as u64)).ok()?;
            reader.read_exact(&mut buffer[..want]).ok()?;
            hasher.update(&buffer[..want]);
            left -= want as u64;
        }
        let mut stored = [0; 32];
        reader.read_exact(&mut stored).ok()?;
        (hasher.finish().as_bytes() == stored).then_some((file, body))
    }

    /// What an earlier run learnt of the server, as the destination told it.
    pub(crate) fn load_learnt(&self) -> Option<String> {
        let (file, body) = self.checked("server")?;
        let mut header = Header::read(&file)?;
        let text = header.bytes().filter(|text| text.len() as u64 <= body)?;
        String::from_utf8(text).ok()
    }

    /// Remembers what was learnt of the server, at most 255 bytes. Best effort.
    pub(crate) fn store_learnt(&self, learnt: &str) -> Result<()> {
        if learnt.len() > 255 {
            return Ok(());
        }
        self.write("server", &mut |out| {
            let mut header = Vec::new();
            put_bytes(&mut header, learnt.as_bytes());
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
        })
    }

    /// The remembered entries of the version whose dlist has this name and size.
    pub(crate) fn load_previous(&self, dlist: &VolumeName, size: Option<u64>) -> Option<Previous> {
        let (file, body) = self.checked("previous")?;
        let mut header = Header::read(&file)?;
        let name = header.bytes()?;
        let stored_size = header.u64()?;
        let full = header.u64()? == 1;
        let state = Hash::from_bytes(&header.bytes()?)?;
        let looked = Looked {
            began: i64::try_from(header.u64()?).ok()?,
            exclusions: header.u64()? == 1,
        };
        if name != dlist.as_str().as_bytes() || size.is_some_and(|s| s != stored_size) {
            return None;
        }
        let records = header.u64()?;
        let longest = usize::try_from(header.u64()?).ok()?;
        let at = header.length;
        drop(header);
        let run = Run::adopt(file, at, body.checked_sub(at)?, records, longest);
        if !reads_back(&run) {
            return None;
        }
        Some(Previous {
            run,
            full,
            state,
            looked: Some(looked),
        })
    }

    /// Remembers the entries of a version. Best effort: an error only means that the next run reads the destination.
    pub(crate) fn store_previous(
        &self,
        dlist: &str,
        size: u64,
        full: bool,
        state: &Hash,
        looked: Looked,
        run: &Run,
    ) -> Result<()> {
        self.write("previous", &mut |out| {
            let mut header = Vec::new();
            put_bytes(&mut header, dlist.as_bytes());
            put_u64(&mut header, size);
            put_u64(&mut header, u64::from(full));
            put_bytes(&mut header, state.as_bytes());
            put_u64(&mut header, u64::try_from(looked.began).unwrap_or(0));
            put_u64(&mut header, u64::from(looked.exclusions));
            put_u64(&mut header, run.len());
            put_u64(&mut header, run.longest() as u64);
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())?;
            run.copy_to(out).map(|_| ())
        })
    }

    /// dblocks that no index volume describes and that could not be used: names and listed sizes in bytes.
    pub(crate) fn load_aside(&self) -> Vec<(String, Option<u64>)> {
        self.read_aside().unwrap_or_default()
    }

    fn read_aside(&self) -> Option<Vec<(String, Option<u64>)>> {
        let (file, _) = self.checked("aside")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?.min(ASIDE_AT_MOST as u64);
        let mut all = Vec::new();
        for _ in 0..count {
            let name = String::from_utf8(header.bytes()?).ok()?;
            let size = header.u64()?;
            all.push((name, (size != u64::MAX).then_some(size)));
        }
        Some(all)
    }

    /// Remembers the last of such volumes, best effort.
    pub(crate) fn store_aside(&self, all: &[(String, Option<u64>)]) -> Result<()> {
        let kept = &all[all.len().saturating_sub(ASIDE_AT_MOST)..];
        self.write("aside", &mut |out| {
            let mut header = Vec::new();
            put_u64(&mut header, kept.len() as u64);
            for (name, size) in kept {
                put_bytes(&mut header, name.as_bytes());
                put_u64(&mut header, size.unwrap_or(u64::MAX));
            }
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
        })
    }

    /// How many versions an earlier run saw at the destination, and when.
    pub(crate) fn remembered(&self) -> Option<Remembered> {
        let (file, _) = self.checked("seen")?;
        let mut header = Header::read(&file)?;
        let versions = header.u64()?;
        let at = Timestamp(i64::try_from(header.u64()?).ok()?);
        let sealed = header.u64()? != 0;
        (versions > 0).then_some(Remembered {
            versions,
            at,
            sealed,
        })
    }

    /// Remembers how many versions there are now. Best effort.
    pub(crate) fn remember(&self, seen: Remembered) -> Result<()> {
        self.write("seen", &mut |out| {
            let mut header = Vec::new();
            put_u64(&mut header, seen.versions);
            put_u64(&mut header, u64::try_from(seen.at.0).unwrap_or(0));
            put_u64(&mut header, u64::from(seen.sealed));
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
        })
    }

    /// The index as far as it is cached, if every volume it stands on is in the listing with the same size. `Err` only for
    /// temporary files. `each` hears of a dblock, the dindex that describes it and what that says (numbers of the listing
    /// given); it counts only if the whole index is returned.
    pub(crate) fn load_index(
        &self,
        volumes: &Volumes,
        tmp: &Tmp,
        each: &mut dyn FnMut(VolumeNo, u32, Expected) -> Result<()>,
    ) -> Option<Result<CachedIndex>> {
        let (file, body) = self.checked("index")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?;
        let mut map: Vec<VolumeNo> = Vec::new();
        let mut dindexes: Vec<u32> = Vec::new();
        let index_of = index_by_name(volumes);
        for _ in 0..count {
            let dblock = VolumeName::parse(std::str::from_utf8(&header.bytes()?).ok()?)?;
            let dblock_size = header.u64()?;
            let dindex = String::from_utf8(header.bytes()?).ok()?;
            let dindex_size = header.u64()?;
            let hash = Hash::from_bytes(&header.bytes()?);
            let no = volumes.find_dblock(&dblock)?;
            if volumes.dblock(no)? != (dblock, Some(dblock_size)) {
                return None;
            }
            let at = index_of(&dindex)?;
            if volumes.dindex(at as usize)?.1 != Some(dindex_size) {
                return None;
            }
            map.push(no);
            dindexes.push(at);
            let expected = Expected {
                hash,
                size: Some(dblock_size),
            };
            if let Err(e) = each(no, at, expected) {
                return Some(Err(e));
            }
        }
        let at = header.length;
        drop(header);
        let records = body.checked_sub(at)? / PLACE_LEN as u64;
        dindexes.sort_unstable();
        dindexes.dedup();
        // A checksum is no proof: what would be looked up in other tables has to be in their bounds.
        let numbered = |record: &[u8]| split(record).is_some_and(|p| (p.1 as usize) < map.len());
        if !body.checked_sub(at)?.is_multiple_of(PLACE_LEN as u64) {
            return None;
        }
        if map.iter().enumerate().all(|(i, &no)| i == no as usize) {
            let table = Table::adopt(file, at, records, PLACE_LEN, ID_LEN, &numbered).ok()?;
            return Some(Ok(CachedIndex { table, dindexes }));
        }
        // The file counts volumes as its header lists them; this listing counts otherwise.
        let plain = Table::adopt(file, at, records, PLACE_LEN, ID_LEN, &numbered).ok()?;
        let renumber = || {
            let mut builder = TableBuilder::new(tmp, PLACE_LEN, ID_LEN, records)?;
            let mut reader = plain.reader();
            let mut record = [0; PLACE_LEN];
            while let Some(place) = reader.next()? {
                record.copy_from_slice(place);
                let old = split(place).map_or(u32::MAX, |(_, no)| no);
                let Some(new) = map.get(old as usize) else {
                    return Ok(None);
                };
                record[PLACE_LEN - 4..].copy_from_slice(&new.to_be_bytes());
                builder.push(&record)?;
            }
            builder.finish().map(Some)
        };
        match renumber() {
            Ok(Some(table)) => Some(Ok(CachedIndex { table, dindexes })),
            Ok(None) => None,
            Err(e) => Some(Err(e)),
        }
    }

    /// Remembers an index. Volumes are counted as the next listing shows them, in the order of their names; those that no
    /// dindex describes, and places in what is retired, are left out.
    pub(crate) fn store_index(&self, volumes: &Volumes, places: &Places) -> Result<()> {
        if matches!(self, Cache::Off(_)) {
            return Ok(());
        }
        let mut row = Vec::new();
        let put_row = |no: VolumeNo, row: &mut Vec<u8>| -> Option<()> {
            row.clear();
            let (dindex, expected) = (places.dindex_of(no)?, places.expected(no).ok()?);
            let (name, size) = volumes.dblock(no)?;
            let (index_name, index_size) = volumes.dindex(dindex as usize)?;
            let (size, index_size) = (size?, index_size?);
            put_bytes(row, name.as_str().as_bytes());
            put_u64(row, size);
            put_bytes(row, index_name.as_str().as_bytes());
            put_u64(row, index_size);
            put_bytes(row, expected.hash.as_ref().map_or(&[], |h| h.as_bytes()));
            Some(())
        };
        // The header's length comes first, so its rows are made twice instead of kept.
        let mut new_numbers = vec![u32::MAX; volumes.dblock_count() as usize];
        let (mut listed, mut length) = (0u32, 8u64);
        for no in volumes.dblocks_by_name() {
            if put_row(no, &mut row).is_some() {
                new_numbers[no as usize] = listed;
                listed += 1;
                length += row.len() as u64;
            }
        }
        self.write("index", &mut |out| {
            start_header(out, length)?;
            let doing = || "write the cache".to_owned();
            out.write_all(&u64::from(listed).to_be_bytes())
                .doing(doing)?;
            for no in volumes.dblocks_by_name() {
                if put_row(no, &mut row).is_some() {
                    out.write_all(&row).doing(doing)?;
                }
            }
            let mut reader = places.reader()?;
            let mut last = [0; PLACE_LEN];
            while let Some(place) = reader.next()? {
                let new = split(place).and_then(|(_, no)| new_numbers.get(no as usize));
                let Some(&new) = new.filter(|&&n| n != u32::MAX) else {
                    continue;
                };
                let mut record = [0; PLACE_LEN];
                record.copy_from_slice(place);
                record[PLACE_LEN - 4..].copy_from_slice(&new.to_be_bytes());
                // Two index volumes may say the same.
                if record == last {
                    continue;
                }
                last = record;
                out.write_all(&record).doing(doing)?;
            }
            Ok(())
        })
    }

    fn write(&self, name: &str, body: &mut dyn FnMut(&mut dyn Write) -> Result<()>) -> Result<()> {
        let Some(path) = self.file(name) else {
            return Ok(());
        };
        let temporary = path.with_file_name(format!(".{name}-{}", rand::hex::<8>()?));
        let write = || {
            let file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)
                .doing(|| "write the cache".to_owned())?;
            let mut out = HashWriter::new(BufWriter::with_capacity(64 * 1024, file), Algo::Sha256);
            body(&mut out)?;
            let (mut out, digest, _) = out.finish();
            out.write_all(digest.as_bytes())
                .and_then(|()| out.flush())
                .doing(|| "write the cache".to_owned())?;
            fs::rename(&temporary, &path).doing(|| "write the cache".to_owned())
        };
        let mut write = write;
        let done = write();
        if done.is_err() {
            let _gone = fs::remove_file(&temporary);
        }
        done
    }
}

/// True when every record is one, their number is right and they are sorted: who can write the file can write a checksum.
fn reads_back(run: &Run) -> bool {
    let mut reader = run.reader();
    let mut last: Vec<u8> = Vec::new();
    let mut records = 0;
    while let Ok(Some(record)) = reader.next() {
        let path = Record::path(record);
        if records > 0 && path <= last.as_slice() || Record::decode(record).is_err() {
            return false;
        }
        last.clear();
        last.extend_from_slice(path);
        records += 1;
    }
    records == run.len()
}

/// Look-up of a dindex number by name over one listing.
fn index_by_name(volumes: &Volumes) -> impl Fn(&str) -> Option<u32> + '_ {
    move |name| {
        let name = VolumeName::parse(name)?;
        volumes.find_dindex(&name)
    }
}

fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

fn put_bytes(out: &mut Vec<u8>, data: &[u8]) {
    put_u64(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// The header's `length` bytes follow.
fn start_header(out: &mut dyn Write, length: u64) -> Result<()> {
    let mut start = MAGIC.to_vec();
    put_u64(&mut start, length);
    out.write_all(&start).doing(|| "write the cache".to_owned())
}

/// A header read back piece by piece, in the order it was put together.
struct Header<'a> {
    reader: BufReader<&'a File>,
    /// Bytes of the header that were not read yet.
    left: u64,
    /// Bytes from the start of the file to the end of the header.
    length: u64,
}

/// Longest text in a header, bytes: a volume's name.
const FIELD_AT_MOST: u64 = 4096;

impl Header<'_> {
    fn read(file: &File) -> Option<Header<'_>> {
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        std::io::Seek::rewind(&mut reader).ok()?;
        let mut start = [0; 16];
        reader.read_exact(&mut start).ok()?;
        let mut cursor = Cursor::new(&start);
        if cursor.take(8)? != MAGIC {
            return None;
        }
        let left = cursor.u64_be()?;
        let length = left.checked_add(16)?;
        (length <= file.metadata().ok()?.len()).then_some(Header {
            reader,
            left,
            length,
        })
    }

    fn u64(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(8)?;
        let mut raw = [0; 8];
        self.reader.read_exact(&mut raw).ok()?;
        Some(u64::from_be_bytes(raw))
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.u64()?;
        self.left = self.left.checked_sub(len)?;
        let mut out = vec![0; usize::try_from(len).ok().filter(|_| len <= FIELD_AT_MOST)?];
        self.reader.read_exact(&mut out).ok()?;
        Some(out)
    }
}
