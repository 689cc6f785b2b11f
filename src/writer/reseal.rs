//! A volume of one backup encrypted for a copy under another passphrase. The archive inside stays as it is, but that a dindex
//! states what its dblock is as a file now.

use std::io::{self, BufWriter, Read};

use crate::base::digest::Hash;
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::read_at::ReadAt;
use crate::base::secret::Secret;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::{Deflater, Inflater};
use crate::format::index::{self, IndexEntry, VolWriter};
use crate::format::names::VolumeName;
use crate::format::zip_read::{EntryRef, ZipReader};
use crate::format::zip_write::{Packed, ZipWriter};
use crate::set::Sealing;
use crate::writer::pack::{Seal, add_vol};

const BUFFER_BYTES: usize = 16 * 1024;

/// How small the lists of blocks in a dindex are made: as Duplicati does by default.
const LEVEL: u8 = 9;

/// A dblock as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// As its index is to state it, if it is to state one.
    pub(crate) hash: Option<Hash>,
    /// In bytes.
    pub(crate) size: u64,
}

/// What the dindex of a copy is to say of a dblock.
pub(crate) enum Stated {
    /// It has this name, and is this file.
    As(VolumeName, FileFacts),
    /// Nothing: the copy does not have it.
    Gone,
    /// It is not known yet.
    Later,
}

/// What came of a dindex.
pub(crate) enum Index {
    /// The stored bytes, rewound.
    Sealed(Spool),
    /// A dblock that it describes comes later.
    Later,
    /// It describes no dblock that the copy has.
    Empty,
}

/// Encrypts volumes with one passphrase. Memory: 400 KiB.
pub(crate) struct Resealer<'a> {
    secret: &'a Secret,
    inflater: Inflater,
    deflater: Deflater,
}

impl<'a> Resealer<'a> {
    pub(crate) fn new(secret: &'a Secret) -> Resealer<'a> {
        Resealer {
            secret,
            inflater: Inflater::new(),
            deflater: Deflater::new(LEVEL),
        }
    }

    /// The copy is uploaded by whoever asked for it, who makes the digests.
    fn sealing(&self) -> Sealing<'a> {
        Sealing {
            secret: Some(self.secret),
            ..Sealing::default()
        }
    }

    /// An archive as it is: the stored bytes, rewound, and their number.
    pub(crate) fn seal(&self, archive: &mut Spool, tmp: &Tmp) -> Result<(Spool, u64)> {
        archive.rewind()?;
        let mut seal = Seal::new(tmp, self.sealing())?;
        io::copy(archive, &mut seal).doing(|| "encrypt a volume".to_owned())?;
        let (stored, _, size) = seal.finish()?;
        Ok((stored, size))
    }

    /// The archive of a dindex, with what `stated` tells of the dblocks that it describes, by the names it calls them.
    pub(crate) fn seal_index(
        &mut self,
        archive: &Spool,
        tmp: &Tmp,
        stated: &mut dyn FnMut(&str) -> Stated,
    ) -> Result<Index> {
        let zip = ZipReader::open(archive)?;
        let mut out = ZipWriter::new(Seal::new(tmp, self.sealing())?, tmp)?;
        let (mut described, mut later) = (false, false);
        zip.entries(&mut |name, entry| match index::parse_index_entry(name) {
            Some(IndexEntry::Vol(dblock)) => match stated(dblock) {
                Stated::As(name, facts) => {
                    described = true;
                    self.vol(zip, entry, &mut out, &name, facts, tmp)
                }
                Stated::Gone => Ok(()),
                Stated::Later => {
                    later = true;
                    Ok(())
                }
            },
            _ => as_it_is(archive, zip, name, entry, &mut out),
        })?;
        match (later, described) {
            (true, _) => Ok(Index::Later),
            (false, false) => Ok(Index::Empty),
            (false, true) => Ok(Index::Sealed(out.finish()?.finish()?.0)),
        }
    }

    fn vol(
        &mut self,
        zip: ZipReader<'_>,
        entry: EntryRef,
        out: &mut ZipWriter<Seal>,
        dblock: &VolumeName,
        facts: FileFacts,
        tmp: &Tmp,
    ) -> Result<()> {
        let mut reader = zip.reader(entry, &mut self.inflater)?;
        let mut vol = VolWriter::new(BufWriter::with_capacity(BUFFER_BYTES, Spool::new(tmp)?));
        index::read_vol(&mut reader, &mut |hash, size| {
            let size = u32::try_from(size);
            vol.add(
                &hash,
                size.map_err(|_| Error::damaged("a block of more than 4 GiB"))?,
            )
        })?;
        let vol = vol.finish(facts.hash.as_ref(), facts.size)?;
        add_vol(out, dblock.as_str(), vol, &mut self.deflater, tmp)
    }
}

/// An entry as it lies in the archive.
fn as_it_is(
    archive: &Spool,
    zip: ZipReader<'_>,
    name: &[u8],
    entry: EntryRef,
    out: &mut ZipWriter<Seal>,
) -> Result<()> {
    if !matches!(entry.method, 0 | 8) {
        let cause = "an entry of it is packed in a way that is not known";
        return Err(Error::new(Kind::Unsupported, cause));
    }
    let packed = Packed {
        method: entry.method,
        crc: entry.crc,
        packed_len: entry.compressed,
        size: entry.size,
    };
    let at = zip.data_at(entry)?;
    let end = at.saturating_add(entry.compressed);
    out.add_packed(name, &packed, &mut Part { archive, at, end })
}

/// Bytes of a file from one place to another.
struct Part<'a> {
    archive: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at);
        let n = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.archive.read_at(&mut buf[..n], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
