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
use crate::base::digest::{Algo, Hash, HashWriter, WantedDigests};
use crate::base::error::{Doing, Result};
use crate::base::rand;
use crate::format::names::VolumeName;
use crate::set::Volumes;
use crate::set::cache_folder::{self, Owner, default_folder, private};
use crate::set::files::Record;
use crate::spill::run::Run;

const MAGIC: &[u8; 8] = b"duplet\x00\x01";
/// How the records of `previous` are made: 2 since they say where blocks are. Shorter than any name of a dlist, which stood
/// in its place.
const RECORDS: u64 = 2;

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

    /// The remembered entries of the version whose dlist has this name and size.
    pub(crate) fn load_previous(&self, dlist: &VolumeName, size: Option<u64>) -> Option<Previous> {
        self.load_if(&mut |name, stored| {
            name == dlist.as_str().as_bytes() && size.is_none_or(|s| s == stored)
        })
    }

    /// The remembered entries of whatever version they are of: it may be gone.
    pub(crate) fn load_notes(&self) -> Option<Previous> {
        self.load_if(&mut |_, _| true)
    }

    /// The remembered entries if they are of a version whose dlist's name and size in bytes `is_wanted` takes.
    fn load_if(&self, is_wanted: &mut dyn FnMut(&[u8], u64) -> bool) -> Option<Previous> {
        let (file, body) = self.checked("previous")?;
        let mut header = Header::read(&file)?;
        if header.u64()? != RECORDS {
            return None;
        }
        let name = header.bytes()?;
        let stored_size = header.u64()?;
        let full = header.u64()? == 1;
        let state = self.moved(Hash::from_bytes(&header.bytes()?)?);
        let looked = Looked {
            began: i64::try_from(header.u64()?).ok()?,
            exclusions: header.u64()? == 1,
        };
        if !is_wanted(&name, stored_size) {
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
            put_u64(&mut header, RECORDS);
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

    /// Writes a file that is nothing but its header.
    pub(super) fn write_note(&self, name: &str, header: &[u8]) -> Result<()> {
        self.write(name, &mut |out| {
            start_header(out, header.len() as u64)?;
            out.write_all(header).doing(|| "write the cache".to_owned())
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
            let mut out = HashWriter::new(
                BufWriter::with_capacity(64 * 1024, file),
                WantedDigests::default(),
            );
            body(&mut out)?;
            let (mut out, digests, _) = out.finish();
            out.write_all(digests.sha256.as_bytes())
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
