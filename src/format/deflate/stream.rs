//! Raw deflate out, for content that comes in pieces and is never whole in memory: file lists and index volumes.
//!
//! What is written is collected and deflated in parts of equal length, by the encoder of blocks; none refers to what is before it.
//! The output depends on the bytes, the cuts and the level, not on how the bytes came.

use std::borrow::BorrowMut;
use std::io::{self, Write};

use block_deflate::NOTHING;

use super::{Deflater, PART_BYTES};
use crate::format::crc32::Crc32;

/// What a zip entry's headers need to know about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamFacts {
    /// CRC-32 of the plain bytes.
    pub(crate) crc: u32,
    /// Plain bytes.
    pub(crate) size: u64,
    /// Deflated bytes.
    pub(crate) compressed: u64,
}

/// A place in a stream from which it can be inflated by itself, and what lies before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Deflated bytes so far.
    pub(crate) packed: u64,
    /// Plain bytes so far.
    pub(crate) plain: u64,
    /// CRC-32 of the plain bytes since the cut before.
    pub(crate) crc: u32,
}

/// A `Write` that deflates into `out`. `D` is a [`Deflater`] or a `&mut Deflater`, which it uses alone until it ends: no block and
/// no other stream can come between its parts.
pub(crate) struct DeflateStream<W: Write, D: BorrowMut<Deflater> = Deflater> {
    out: W,
    deflater: D,
    crc: Crc32,
    /// Of the bytes since the last cut.
    since_cut: Crc32,
    size: u64,
    compressed: u64,
}

impl<W: Write, D: BorrowMut<Deflater>> DeflateStream<W, D> {
    pub(crate) fn new(out: W, mut deflater: D) -> Self {
        // What another stream left when it failed is not of this one.
        let part = &mut deflater.borrow_mut().part;
        part.clear();
        part.reserve_exact(PART_BYTES);
        DeflateStream {
            out,
            deflater,
            crc: Crc32::new(),
            since_cut: Crc32::new(),
            size: 0,
            compressed: 0,
        }
    }

    /// Deflates what waits.
    fn put(&mut self, last: bool) -> io::Result<()> {
        let Deflater { encoder, part, .. } = self.deflater.borrow_mut();
        let packed = match (part.is_empty(), last) {
            (true, true) => &NOTHING,
            (true, false) => return Ok(()),
            (false, _) => encoder.deflate_part(part, last),
        };
        self.compressed = self.compressed.saturating_add(packed.len() as u64);
        self.out.write_all(packed)?;
        part.clear();
        Ok(())
    }

    /// Ends a part of the stream: at a byte boundary, and what follows refers to nothing before. Costs some bytes, and what
    /// repetitions across the cut would have saved.
    pub(crate) fn cut(&mut self) -> io::Result<Cut> {
        self.put(false)?;
        let since = std::mem::replace(&mut self.since_cut, Crc32::new());
        Ok(Cut {
            packed: self.compressed,
            plain: self.size,
            crc: since.finish(),
        })
    }

    /// Ends the stream: the inner writer and what was written.
    pub(crate) fn finish(mut self) -> io::Result<(W, StreamFacts)> {
        self.put(true)?;
        let facts = StreamFacts {
            crc: self.crc.finish(),
            size: self.size,
            compressed: self.compressed,
        };
        Ok((self.out, facts))
    }
}

impl<W: Write, D: BorrowMut<Deflater>> Write for DeflateStream<W, D> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // A full part waits until there is more: it may be the last.
        if self.deflater.borrow_mut().part.len() >= PART_BYTES && !data.is_empty() {
            self.put(false)?;
        }
        let part = &mut self.deflater.borrow_mut().part;
        let room = PART_BYTES.saturating_sub(part.len());
        let data = data.get(..room).unwrap_or(data);
        part.extend_from_slice(data);
        self.crc.update(data);
        self.since_cut.update(data);
        self.size = self.size.saturating_add(data.len() as u64);
        Ok(data.len())
    }

    /// Does not force out the part that waits: that would cost ratio.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
