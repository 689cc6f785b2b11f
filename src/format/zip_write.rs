//! Writes zip archives in the profile every Duplicati reads (`format.md` 5.1): known sizes in local headers, no descriptors,
//! no extra fields but zip64 where sizes, offsets or the count of entries need it.
//!
//! The archive is valid only after [`ZipWriter::finish`]. Unique entry names are the caller's duty.

use std::io::{Read, Write};

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::tmp::{Spool, Tmp};
use crate::format::crc32::Crc32;
use crate::format::deflate::{Deflater, StreamFacts};

/// Directory bytes collected before they go to the spool, and bytes copied at a time.
const BUFFER_BYTES: usize = 16 << 10;
/// From this many entries on the end record cannot count them.
const ZIP64_ENTRIES: u32 = 0xffff;
/// From here on a 32-bit field holds this mark and the value is in the zip64 extra field.
const MARK: u32 = u32::MAX;
/// 2024-01-01 00:00:00 as a DOS date and time: constant, so that equal content gives equal archives.
const DOS_TIME: u16 = 0;
const DOS_DATE: u16 = (44 << 9) | (1 << 5) | 1;
const END_BYTES: u64 = 22;
const ZIP64_END_BYTES: u64 = 56 + 20;

/// A zip archive written front to back. Memory: 16 KiB; the directory waits in a temporary file.
pub(crate) struct ZipWriter<W: Write> {
    out: W,
    written: u64,
    directory: Spool,
    pending: Vec<u8>,
    directory_len: u64,
    entries: u32,
}

/// What a directory says of an entry whose packed bytes go from one archive to another, never unpacked on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// 0 stored, 8 deflated.
    pub(crate) method: u16,
    /// CRC-32 of the unpacked bytes.
    pub(crate) crc: u32,
    /// Bytes in the archive, without headers.
    pub(crate) packed_len: u64,
    /// Bytes unpacked.
    pub(crate) size: u64,
}

/// One entry as its headers describe it.
struct Entry<'a> {
    name: &'a [u8],
    method: u16,
    facts: StreamFacts,
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(out: W, tmp: &Tmp) -> Result<Self> {
        Ok(ZipWriter {
            out,
            written: 0,
            directory: Spool::new(tmp)?,
            pending: Vec::new(),
            directory_len: 0,
            entries: 0,
        })
    }

    /// Adds `data` deflated, or stored when that is not smaller or a sample says so. Memory: one block in `deflater`.
    pub(crate) fn add(&mut self, name: &[u8], data: &[u8], deflater: &mut Deflater) -> Result<()> {
        self.add_ticking(name, data, deflater, &mut || {})
    }

    /// As [`ZipWriter::add`]; `tick` is called now and then while the data is deflated.
    pub(crate) fn add_ticking(
        &mut self,
        name: &[u8],
        data: &[u8],
        deflater: &mut Deflater,
        tick: &mut dyn FnMut(),
    ) -> Result<()> {
        if !deflater.worth_deflating(data) {
            return self.add_stored(name, data);
        }
        let Some(packed) = deflater.deflate_ticking(data, tick) else {
            return self.add_stored(name, data);
        };
        let facts = StreamFacts {
            crc: Crc32::of(data),
            size: data.len() as u64,
            compressed: packed.len() as u64,
        };
        self.header(&Entry {
            name,
            method: 8,
            facts,
        })?;
        self.put(packed)
    }

    /// Adds `data` as it is.
    pub(crate) fn add_stored(&mut self, name: &[u8], data: &[u8]) -> Result<()> {
        let len = data.len() as u64;
        let facts = StreamFacts {
            crc: Crc32::of(data),
            size: len,
            compressed: len,
        };
        self.header(&Entry {
            name,
            method: 0,
            facts,
        })?;
        self.put(data)
    }

    /// Adds content that was deflated before; `compressed` must give exactly `facts.compressed` bytes.
    pub(crate) fn add_stream(
        &mut self,
        name: &[u8],
        facts: &StreamFacts,
        compressed: &mut dyn Read,
    ) -> Result<()> {
        self.header(&Entry {
            name,
            method: 8,
            facts: *facts,
        })?;
        self.copy(facts.compressed, compressed)
    }

    /// Adds an entry as another archive holds it; `bytes` must give exactly `packed.packed_len` bytes, and the caller has
    /// checked that they unpack to what the name promises. `Bug` for a method that no Duplicati reads.
    pub(crate) fn add_packed(
        &mut self,
        name: &[u8],
        packed: &Packed,
        bytes: &mut dyn Read,
    ) -> Result<()> {
        if !matches!(packed.method, 0 | 8) {
            return Err(Error::bug("a packed entry is stored or deflated"));
        }
        let facts = StreamFacts {
            crc: packed.crc,
            size: packed.size,
            compressed: packed.packed_len,
        };
        self.header(&Entry {
            name,
            method: packed.method,
            facts,
        })?;
        self.copy(packed.packed_len, bytes)
    }

    /// Adds content as it is; `plain` must give exactly `size` bytes whose CRC-32 is `crc`.
    #[cfg(test)]
    pub(crate) fn add_stored_stream(
        &mut self,
        name: &[u8],
        crc: u32,
        size: u64,
        plain: &mut dyn Read,
    ) -> Result<()> {
        let facts = StreamFacts {
            crc,
            size,
            compressed: size,
        };
        self.header(&Entry {
            name,
            method: 0,
            facts,
        })?;
        self.copy(size, plain)
    }

    /// Bytes given to the inner writer so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Bytes [`ZipWriter::finish`] would still write now: directory and end records.
    pub(crate) fn directory_len(&self) -> u64 {
        let zip64 = if self.needs_zip64() {
            ZIP64_END_BYTES
        } else {
            0
        };
        self.directory_len
            .saturating_add(END_BYTES)
            .saturating_add(zip64)
    }

    #[cfg(test)]
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Writes directory and end records; the inner writer comes back.
    pub(crate) fn finish(mut self) -> Result<W> {
        let zip64 = self.needs_zip64();
        let start = self.written;
        let len = self.directory_len;
        self.spill()?;
        self.directory.rewind()?;
        let mut buffer = std::mem::take(&mut self.pending);
        buffer.resize(BUFFER_BYTES, 0);
        let mut left = len;
        while left > 0 {
            let n = self.directory.read(&mut buffer).map_err(unwrap_io)?;
            let part = buffer.get(..n).unwrap_or_default();
            if n == 0 {
                return Err(Error::bug("the zip directory spool holds the directory"));
            }
            put(&mut self.out, &mut self.written, part)?;
            left = left.saturating_sub(n as u64);
        }
        let mut end = Vec::with_capacity(98);
        if zip64 {
            let count = u64::from(self.entries);
            let record_at = self.written;
            end.extend_from_slice(b"PK\x06\x06");
            u64s(&mut end, &[44]);
            u16s(&mut end, &[45, 45]);
            u32s(&mut end, &[0, 0]);
            u64s(&mut end, &[count, count, len, start]);
            end.extend_from_slice(b"PK\x06\x07");
            u32s(&mut end, &[0]);
            u64s(&mut end, &[record_at]);
            u32s(&mut end, &[1]);
        }
        let count = u16::try_from(self.entries).unwrap_or(u16::MAX);
        end.extend_from_slice(b"PK\x05\x06");
        u16s(&mut end, &[0, 0, count, count]);
        u32s(&mut end, &[clip(len), clip(start)]);
        u16s(&mut end, &[0]);
        put(&mut self.out, &mut self.written, &end)?;
        Ok(self.out)
    }

    fn needs_zip64(&self) -> bool {
        self.entries >= ZIP64_ENTRIES
            || self.written >= u64::from(MARK)
            || self.directory_len >= u64::from(MARK)
    }

    /// The local header to the archive, the central one to the directory.
    fn header(&mut self, entry: &Entry<'_>) -> Result<()> {
        let name_len =
            u16::try_from(entry.name.len()).map_err(|_| Error::bug("a zip entry name is short"))?;
        let flags = if entry.name.is_ascii() { 0 } else { 1 << 11 };
        let StreamFacts {
            crc,
            size,
            compressed,
        } = entry.facts;
        let offset = self.written;
        let wide = size >= u64::from(MARK) || compressed >= u64::from(MARK);
        let far = offset >= u64::from(MARK);
        let mut sizes = Vec::new();
        if wide {
            u64s(&mut sizes, &[size, compressed]);
        }
        let sizes_len = if wide { 20 } else { 0 };
        // A local header with one wide size must hold both; the central one follows suit.
        let (short_size, short_compressed) = if wide {
            (MARK, MARK)
        } else {
            (clip(size), clip(compressed))
        };

        let mut local = Vec::with_capacity(128);
        local.extend_from_slice(b"PK\x03\x04");
        let needed = if wide { 45 } else { 20 };
        u16s(
            &mut local,
            &[needed, flags, entry.method, DOS_TIME, DOS_DATE],
        );
        u32s(&mut local, &[crc, short_compressed, short_size]);
        u16s(&mut local, &[name_len, sizes_len]);
        local.extend_from_slice(entry.name);
        if wide {
            u16s(&mut local, &[1, 16]);
            local.extend_from_slice(&sizes);
        }

        let before = self.pending.len();
        let central = &mut self.pending;
        let needed = if wide || far { 45 } else { 20 };
        let extra_len = match (wide, far) {
            (false, false) => 0,
            (false, true) => 12,
            (true, false) => 20,
            (true, true) => 28,
        };
        central.extend_from_slice(b"PK\x01\x02");
        u16s(
            central,
            &[needed, needed, flags, entry.method, DOS_TIME, DOS_DATE],
        );
        u32s(central, &[crc, short_compressed, short_size]);
        u16s(central, &[name_len, extra_len, 0, 0, 0]);
        u32s(central, &[0, clip(offset)]);
        central.extend_from_slice(entry.name);
        if extra_len > 0 {
            u16s(central, &[1, extra_len.saturating_sub(4)]);
            central.extend_from_slice(&sizes);
            if far {
                u64s(central, &[offset]);
            }
        }
        let grown = central.len().saturating_sub(before) as u64;
        self.directory_len = self.directory_len.saturating_add(grown);
        self.entries = self
            .entries
            .checked_add(1)
            .ok_or_else(|| Error::bug("entries of a volume"))?;
        if self.pending.len() >= BUFFER_BYTES {
            self.spill()?;
        }
        self.put(&local)
    }

    fn spill(&mut self) -> Result<()> {
        self.directory.write_all(&self.pending).map_err(unwrap_io)?;
        self.pending.clear();
        Ok(())
    }

    fn put(&mut self, data: &[u8]) -> Result<()> {
        put(&mut self.out, &mut self.written, data)
    }

    fn copy(&mut self, len: u64, src: &mut dyn Read) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut left = len;
        while left > 0 {
            let most = usize::try_from(left).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
            let Some(room) = buffer.get_mut(..most) else {
                return Err(Error::bug("a copy buffer"));
            };
            src.read_exact(room).map_err(unwrap_io)?;
            put(&mut self.out, &mut self.written, room)?;
            left = left.saturating_sub(most as u64);
        }
        Ok(())
    }
}

fn put(out: &mut impl Write, written: &mut u64, data: &[u8]) -> Result<()> {
    out.write_all(data).map_err(unwrap_io)?;
    *written = written.saturating_add(data.len() as u64);
    Ok(())
}

/// The value, or the mark that says it is elsewhere.
fn clip(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(MARK)
}

fn u16s(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

fn u32s(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

fn u64s(out: &mut Vec<u8>, values: &[u64]) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

#[cfg(test)]
#[path = "zip_write_tests.rs"]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
