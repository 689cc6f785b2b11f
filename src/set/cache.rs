//! The disposable cache: what a listing's index volumes said, and the sorted entries of the newest version.
//!
//! Everything in it can be read again from the destination. It may be deleted, truncated or damaged at any moment: each file
//! ends with a SHA-256 over all before it and is dropped when that, or the listing, disagrees. It never holds a secret. Names
//! of source files are in it, so the folder is private to its owner (0700).

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::base::bytes::Cursor;
use crate::base::digest::{Algo, Hash, HashWriter};
use crate::base::error::{Doing, Result};
use crate::base::rand;
use crate::base::time::Timestamp;
use crate::format::names::VolumeName;
use crate::set::cache_folder::{self, Owner, default_folder, private};
use crate::set::files::Record;
use crate::set::{Remembered, Volumes};
use crate::spill::run::Run;

/// Volumes remembered as of no use.
const ASIDE_AT_MOST: usize = 1000;
/// Versions of which it is remembered whether they are complete.
const FULL_AT_MOST: usize = 4096;
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

impl Cache {
    /// Never fails: a cache that cannot be used is off. A missing folder is only made with `make`.
    pub(crate) fn open(chosen: Option<&str>, owner: &Owner, make: bool) -> Cache {
        let folder = match chosen {
            Some(text) => PathBuf::from(text),
            None => match default_folder() {
                Some(folder) => folder,
                None => return Cache::Off("no home folder is known".to_owned()),
            },
        };
        let own = folder.join(owner.folder_name());
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

    /// Takes over what another account left of the same place, as after an account was renamed or its key replaced: only into
    /// a cache without an index of its own, and only what names a dindex of this listing, whose random name no other backup
    /// has. Best effort.
    pub(crate) fn inherit(&mut self, volumes: &Volumes) {
        let Cache::On(own) = self else {
            return;
        };
        if own.join("index").exists() {
            return;
        }
        for folder in cache_folder::siblings(own) {
            let other = Cache::On(folder.clone());
            if other.names_any_of(volumes) && cache_folder::replace(own, &folder).is_ok() {
                return;
            }
        }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        match self {
            Cache::On(folder) => Some(folder.join(name)),
            Cache::Off(_) => None,
        }
    }

    /// Opens a cache file whose checksum is right, positioned after the magic. Costs one read of the file.
    pub(super) fn checked(&self, name: &str) -> Option<(File, u64)> {
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
        let state = self.moved(Hash::from_bytes(&header.bytes()?)?);
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

    /// Remembers that a run without a new version turned the listing of the first state into that of the second: who trusted
    /// the first may trust the second. Best effort.
    pub(crate) fn move_state(&self, from: &Hash, to: &Hash) -> Result<()> {
        let origin = match self.moves() {
            Some((origin, before)) if before == *from => origin,
            _ => *from,
        };
        self.write("moved", &mut |out| {
            let mut header = Vec::new();
            put_bytes(&mut header, origin.as_bytes());
            put_bytes(&mut header, to.as_bytes());
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
        })
    }

    fn moves(&self) -> Option<(Hash, Hash)> {
        let (file, _) = self.checked("moved")?;
        let mut header = Header::read(&file)?;
        let from = Hash::from_bytes(&header.bytes()?)?;
        Some((from, Hash::from_bytes(&header.bytes()?)?))
    }

    /// What a state became since.
    fn moved(&self, state: Hash) -> Hash {
        match self.moves() {
            Some((from, to)) if from == state => to,
            _ => state,
        }
    }

    /// Whether a version is complete, if an earlier run looked.
    pub(crate) fn full(&self, dlist: &VolumeName, size: Option<u64>) -> Option<bool> {
        let known = self.known_full().unwrap_or_default();
        let same = |(name, was, _): &&(String, Option<u64>, bool)| {
            name == dlist.as_str() && (*was == size)
        };
        known.iter().find(same).map(|(_, _, full)| *full)
    }

    fn known_full(&self) -> Option<Vec<(String, Option<u64>, bool)>> {
        let (file, _) = self.checked("full")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?.min(FULL_AT_MOST as u64);
        let mut all = Vec::new();
        for _ in 0..count {
            let name = String::from_utf8(header.bytes()?).ok()?;
            let size = header.u64()?;
            all.push((name, (size != u64::MAX).then_some(size), header.u64()? == 1));
        }
        Some(all)
    }

    /// Remembers whether a version is complete; the last 4096 that were looked at. Best effort.
    pub(crate) fn store_full(
        &self,
        dlist: &VolumeName,
        size: Option<u64>,
        full: bool,
    ) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        let mut known = self.known_full().unwrap_or_default();
        known.retain(|(name, _, _)| name != dlist.as_str());
        known.push((dlist.as_str().to_owned(), size, full));
        let kept = &known[known.len().saturating_sub(FULL_AT_MOST)..];
        self.write("full", &mut |out| {
            let mut header = Vec::new();
            put_u64(&mut header, kept.len() as u64);
            for (name, size, full) in kept {
                put_bytes(&mut header, name.as_bytes());
                put_u64(&mut header, size.unwrap_or(u64::MAX));
                put_u64(&mut header, u64::from(*full));
            }
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
        })
    }

    /// When space was last reclaimed, as far as this machine knows.
    pub(crate) fn compacted(&self) -> Option<Timestamp> {
        let (file, _) = self.checked("compacted")?;
        let seconds = Header::read(&file)?.u64()?;
        Some(Timestamp(i64::try_from(seconds).ok()?))
    }

    /// Remembers when space was last reclaimed. Best effort.
    pub(crate) fn store_compacted(&self, at: Timestamp) -> Result<()> {
        self.write("compacted", &mut |out| {
            let mut header = Vec::new();
            put_u64(&mut header, u64::try_from(at.0).unwrap_or(0));
            start_header(out, header.len() as u64)?;
            out.write_all(&header)
                .doing(|| "write the cache".to_owned())
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

    pub(super) fn write(
        &self,
        name: &str,
        body: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
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

pub(super) fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, data: &[u8]) {
    put_u64(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// The header's `length` bytes follow.
pub(super) fn start_header(out: &mut dyn Write, length: u64) -> Result<()> {
    let mut start = MAGIC.to_vec();
    put_u64(&mut start, length);
    out.write_all(&start).doing(|| "write the cache".to_owned())
}

/// A header read back piece by piece, in the order it was put together.
pub(super) struct Header<'a> {
    reader: BufReader<&'a File>,
    /// Bytes of the header that were not read yet.
    left: u64,
    /// Bytes from the start of the file to the end of the header.
    pub(super) length: u64,
}

/// Longest text in a header, bytes: a volume's name.
const FIELD_AT_MOST: u64 = 4096;

impl Header<'_> {
    pub(super) fn read(file: &File) -> Option<Header<'_>> {
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

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(8)?;
        let mut raw = [0; 8];
        self.reader.read_exact(&mut raw).ok()?;
        Some(u64::from_be_bytes(raw))
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = self.u64()?;
        self.left = self.left.checked_sub(len)?;
        let mut out = vec![0; usize::try_from(len).ok().filter(|_| len <= FIELD_AT_MOST)?];
        self.reader.read_exact(&mut out).ok()?;
        Some(out)
    }
}
