//! One dblock being filled, and the dindex that will describe it. Nothing of either is held in memory.

use std::io::{self, BufReader, BufWriter, Read, Write};

use crate::base::digest::{Algo, Digests, Hash, HashWriter};
use crate::base::error::{Doing, Error, Result, unwrap_io};
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::format::aes_write::AesWriter;
use crate::format::deflate::{DeflateStream, Deflater};
use crate::format::index::{self, VolWriter};
use crate::format::manifest::{self, Params};
use crate::format::names::{Prefix, VolumeKind, VolumeName};
use crate::format::zip_write::{Packed, ZipWriter};
use crate::set::Sealing;
use crate::writer::WriteStats;

/// Encrypted or plain, the bytes go on to the spool through the digests of its upload.
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, moved once a volume"
)]
pub(super) enum Seal {
    Plain(HashWriter<Spool>),
    Aes(AesWriter<HashWriter<Spool>>),
}

impl Seal {
    pub(super) fn new(tmp: &Tmp, sealing: Sealing<'_>) -> Result<Seal> {
        Seal::into(Spool::new(tmp)?, sealing)
    }

    /// Into a spool that is there.
    fn into(spool: Spool, sealing: Sealing<'_>) -> Result<Seal> {
        let out = HashWriter::new(spool, sealing.wants);
        match sealing.secret {
            None => Ok(Seal::Plain(out)),
            Some(secret) => Ok(Seal::Aes(AesWriter::new(out, secret)?)),
        }
    }

    /// The stored bytes (rewound), their digests and their number.
    pub(super) fn finish(self) -> Result<(Spool, Digests, u64)> {
        let out = match self {
            Seal::Plain(out) => out,
            Seal::Aes(aes) => aes.finish()?,
        };
        let (mut spool, digests, size) = out.finish();
        spool.rewind()?;
        Ok((spool, digests, size))
    }
}

impl Write for Seal {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Seal::Plain(out) => out.write(data),
            Seal::Aes(out) => out.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Seal::Plain(out) => out.flush(),
            Seal::Aes(out) => out.flush(),
        }
    }
}

/// A dblock being filled.
pub(super) struct Pack {
    name: VolumeName,
    zip: ZipWriter<Seal>,
    vol: VolWriter<BufWriter<Spool>>,
    lists: Spool,
    list_ids: Vec<(Hash, u32)>,
    entries: u32,
    /// Its blocks, for the time when they are stored.
    pub(super) counts: WriteStats,
}

/// A dblock ready to be sent.
pub(super) struct Finished {
    pub(super) name: VolumeName,
    pub(super) stored: Spool,
    pub(super) digests: Digests,
    /// As the index states it, if it states one.
    pub(super) volume_hash: Option<Hash>,
    pub(super) size: u64,
    pub(super) vol: VolWriter<BufWriter<Spool>>,
    pub(super) lists: Spool,
    pub(super) list_ids: Vec<(Hash, u32)>,
    /// Its blocks, as far as this run packed them.
    pub(super) counts: WriteStats,
}

impl Pack {
    /// The volume goes to `out`.
    pub(super) fn begin(
        out: Spool,
        tmp: &Tmp,
        prefix: &Prefix,
        params: &Params,
        sealing: Sealing<'_>,
        deflater: &mut Deflater,
    ) -> Result<Pack> {
        let name = VolumeName::block(prefix, VolumeKind::Dblock, sealing.secret.is_some())?;
        let mut zip = ZipWriter::new(Seal::into(out, sealing)?, tmp)?;
        zip.add(
            b"manifest",
            &manifest::manifest_bytes(params, Timestamp::now()),
            deflater,
        )?;
        let vol = VolWriter::new(BufWriter::with_capacity(16 * 1024, Spool::new(tmp)?));
        Ok(Pack {
            name,
            zip,
            vol,
            lists: Spool::new(tmp)?,
            list_ids: Vec::new(),
            entries: 0,
            counts: WriteStats::default(),
        })
    }

    /// The caller makes sure that an id comes once. `tick` is called now and then.
    pub(super) fn add(
        &mut self,
        hash: &Hash,
        data: &[u8],
        deflater: &mut Deflater,
        tick: &mut dyn FnMut(),
    ) -> Result<()> {
        self.zip
            .add_ticking(&index::block_name(hash), data, deflater, tick)?;
        let size = u32::try_from(data.len()).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        self.vol.add(hash, size)?;
        self.entries += 1;
        Ok(())
    }

    /// As [`Pack::add`], packed as another volume holds it.
    pub(super) fn copy(
        &mut self,
        hash: &Hash,
        packed: &Packed,
        bytes: &mut dyn Read,
    ) -> Result<()> {
        self.zip
            .add_packed(&index::block_name(hash), packed, bytes)?;
        let size =
            u32::try_from(packed.size).map_err(|_| Error::bug("a block is at most 2 GiB"))?;
        self.vol.add(hash, size)?;
        self.entries += 1;
        Ok(())
    }

    /// A blocklist copy for the index.
    pub(super) fn add_list(&mut self, hash: &Hash, data: &[u8]) -> Result<()> {
        if self.list_ids.iter().any(|(h, _)| h == hash) {
            return Ok(());
        }
        self.lists
            .write_all(data)
            .doing(|| "spool a blocklist".to_owned())?;
        self.list_ids.push((
            *hash,
            u32::try_from(data.len()).map_err(|_| Error::bug("a blocklist is at most a block"))?,
        ));
        Ok(())
    }

    /// Bytes of the archive so far: where the next block begins.
    pub(super) fn written(&self) -> u64 {
        self.zip.written()
    }

    pub(super) fn name(&self) -> &VolumeName {
        &self.name
    }

    /// Bytes so far with the directory that is still to come.
    pub(super) fn size(&self) -> u64 {
        self.zip.written() + self.zip.directory_len()
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    pub(super) fn lists(&self) -> usize {
        self.list_ids.len()
    }

    /// Closes the archive. `algo`: what the index states the hash by; `None` to state none.
    pub(super) fn finish(self, algo: Option<Algo>) -> Result<Finished> {
        let (mut stored, digests, size) = self.zip.finish()?.finish()?;
        let volume_hash = match algo {
            None => None,
            Some(Algo::Sha256) => Some(digests.sha256),
            Some(algo) => Some(crate::set::digest(&mut stored, algo)?),
        };
        Ok(Finished {
            name: self.name,
            stored,
            digests,
            volume_hash,
            size,
            vol: self.vol,
            lists: self.lists,
            list_ids: self.list_ids,
            counts: self.counts,
        })
    }
}

impl Finished {
    /// The dindex: its stored bytes (rewound), digests, size. Once only.
    pub(super) fn index(
        &mut self,
        params: &Params,
        sealing: Sealing<'_>,
        deflater: &mut Deflater,
        tmp: &Tmp,
    ) -> Result<(Spool, Digests, u64)> {
        let mut zip = ZipWriter::new(Seal::new(tmp, sealing)?, tmp)?;
        zip.add(
            b"manifest",
            &manifest::manifest_bytes(params, Timestamp::now()),
            deflater,
        )?;
        let empty = VolWriter::new(BufWriter::with_capacity(0, Spool::new(tmp)?));
        let vol =
            std::mem::replace(&mut self.vol, empty).finish(self.volume_hash.as_ref(), self.size)?;
        add_vol(&mut zip, self.name.as_str(), vol, deflater, tmp)?;
        self.lists.rewind()?;
        let mut input = BufReader::with_capacity(64 * 1024, &mut self.lists);
        let mut data = Vec::new();
        for (hash, len) in &self.list_ids {
            data.resize(*len as usize, 0);
            input
                .read_exact(&mut data)
                .doing(|| "read a temporary file".to_owned())?;
            zip.add_stored(&index::list_name(hash), &data)?;
        }
        zip.finish()?.finish()
    }
}

/// Adds what an index says of a dblock of this name, as a [`VolWriter`] wrote it.
pub(super) fn add_vol(
    zip: &mut ZipWriter<Seal>,
    dblock: &str,
    vol: BufWriter<Spool>,
    deflater: &mut Deflater,
    tmp: &Tmp,
) -> Result<()> {
    let doing = || "pack an index volume".to_owned();
    let mut json = vol.into_inner().map_err(|e| unwrap_io(e.into_error()))?;
    json.rewind()?;
    let mut packed = DeflateStream::new(Spool::new(tmp)?, deflater);
    io::copy(&mut json, &mut packed).doing(doing)?;
    let (mut packed, facts) = packed.finish().doing(doing)?;
    packed.rewind()?;
    zip.add_stream(&index::vol_name(dblock), &facts, &mut packed)
}

#[cfg(all(test, feature = "dest-file"))]
#[path = "digests_tests.rs"]
mod tests;
