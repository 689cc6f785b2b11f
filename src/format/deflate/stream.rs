//! Raw deflate out, for content that comes in pieces and is never whole in memory: file lists and index volumes.

use std::borrow::BorrowMut;
use std::io::{self, Write};

use miniz_oxide::deflate::core::{TDEFLFlush, TDEFLStatus, compress_to_output};

use super::Deflater;
use crate::base::error::Error;
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

/// A `Write` that deflates into `out`. `D` is a [`Deflater`] or a `&mut Deflater`, which it uses alone until it ends.
pub(crate) struct DeflateStream<W: Write, D: BorrowMut<Deflater> = Deflater> {
    out: W,
    deflater: D,
    crc: Crc32,
    /// Of the bytes since the last cut.
    part: Crc32,
    size: u64,
    compressed: u64,
}

impl<W: Write, D: BorrowMut<Deflater>> DeflateStream<W, D> {
    pub(crate) fn new(out: W, mut deflater: D) -> Self {
        deflater.borrow_mut().core().reset();
        DeflateStream {
            out,
            deflater,
            crc: Crc32::new(),
            part: Crc32::new(),
            size: 0,
            compressed: 0,
        }
    }

    fn push(&mut self, data: &[u8], flush: TDEFLFlush) -> io::Result<()> {
        let mut failed = None;
        let out = &mut self.out;
        let compressed = &mut self.compressed;
        let core = self.deflater.borrow_mut().core();
        let (status, taken) =
            compress_to_output(core, data, flush, |piece| match out.write_all(piece) {
                Ok(()) => {
                    *compressed = compressed.saturating_add(piece.len() as u64);
                    true
                }
                Err(e) => {
                    failed = Some(e);
                    false
                }
            });
        if let Some(e) = failed {
            return Err(e);
        }
        let want = match flush {
            TDEFLFlush::Finish => TDEFLStatus::Done,
            _ => TDEFLStatus::Okay,
        };
        if status != want || taken != data.len() {
            return Err(Error::bug("the compressor takes all it is given").into());
        }
        Ok(())
    }

    /// Ends a part of the stream: at a byte boundary, and what follows refers to nothing before. Costs some bytes, and what
    /// repetitions across the cut would have saved.
    pub(crate) fn cut(&mut self) -> io::Result<Cut> {
        self.push(&[], TDEFLFlush::Full)?;
        let part = std::mem::replace(&mut self.part, Crc32::new());
        Ok(Cut {
            packed: self.compressed,
            plain: self.size,
            crc: part.finish(),
        })
    }

    /// Ends the stream: the inner writer and what was written.
    pub(crate) fn finish(mut self) -> io::Result<(W, StreamFacts)> {
        self.push(&[], TDEFLFlush::Finish)?;
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
        self.push(data, TDEFLFlush::None)?;
        self.crc.update(data);
        self.part.update(data);
        self.size = self.size.saturating_add(data.len() as u64);
        Ok(data.len())
    }

    /// Does not force out what the compressor holds: that would cost ratio.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
