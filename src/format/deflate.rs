//! Raw deflate, out and in. The states (300 KB out, 43 KB in) are made once and reset for each use, never rebuilt.
//!
//! Does not know zip: checksums of what is inflated are the reader's matter.

use std::borrow::BorrowMut;
use std::io::{self, Write};

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, compress_to_output,
};
use miniz_oxide::inflate::stream::{InflateState, ZeroReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::base::error::{Error, Result};
use crate::format::crc32::Crc32;

/// Below this, trying a sample costs as much as trying the block.
const SMALL_BLOCK_BYTES: usize = 4096;
/// A sample is this many pieces from evenly spread places, each this long.
const SAMPLE_PIECES: usize = 8;
const PIECE_BYTES: usize = 1024;
/// Bytes of compressed input an [`Inflater`] reads at a time.
const INPUT_BYTES: usize = 16 << 10;

/// One compressor state (300 KB) for any number of blocks, one after the other.
pub(crate) struct Deflater {
    core: Box<CompressorOxide>,
    level: u8,
    sample: Vec<u8>,
    /// Only grows: what a block does not fill keeps what it held.
    out: Vec<u8>,
}

impl Deflater {
    /// `level` 0 to 9; more counts as 9. At level 0 nothing is ever worth deflating.
    pub(crate) fn new(level: u8) -> Deflater {
        let level = level.min(9);
        let mut core = Box::new(CompressorOxide::default());
        core.set_format_and_level(DataFormat::Raw, level);
        Deflater {
            core,
            level,
            sample: Vec::new(),
            out: Vec::new(),
        }
    }

    /// The raw deflate stream of `data`, in a buffer that stays with the deflater (it keeps the size of the largest block).
    /// `None` when that is not shorter than `data`; gives up as soon as this is certain.
    pub(crate) fn deflate(&mut self, data: &[u8]) -> Option<&[u8]> {
        self.core.reset();
        let room = data.len().checked_sub(1)?;
        if self.out.len() < room {
            self.out.resize(room, 0);
        }
        let out = self.out.get_mut(..room)?;
        let (status, _, written) = compress(&mut self.core, data, out, TDEFLFlush::Finish);
        let done = status == TDEFLStatus::Done;
        self.out.get(..written).filter(|_| done)
    }

    /// Decides by a sample of up to 8 KiB; a block of up to 4 KiB is always worth a try. A sample that uses some bytes much
    /// more than others is; any other is deflated and must shrink by a 64th. Data that repeats only over more than 1 KiB
    /// is taken for incompressible.
    pub(crate) fn worth_deflating(&mut self, data: &[u8]) -> bool {
        if self.level == 0 {
            return false;
        }
        if data.len() <= SMALL_BLOCK_BYTES {
            return true;
        }
        let pieces = (data.len() / (4 * PIECE_BYTES)).clamp(1, SAMPLE_PIECES);
        let stride = data.len() / pieces;
        let mut sample = std::mem::take(&mut self.sample);
        sample.clear();
        for part in data.chunks_exact(stride) {
            // From the middle: heads of files are not typical of them.
            let skip = (part.len() - PIECE_BYTES.min(part.len())) / 2;
            sample.extend(part.iter().skip(skip).take(PIECE_BYTES));
        }
        let most = sample.len() - sample.len() / 64;
        let worth =
            is_uneven(&sample) || self.deflate(&sample).is_some_and(|out| out.len() <= most);
        self.sample = sample;
        worth
    }
}

/// Some byte values come much more often than others: the sum of the squares of their counts is half as much again as that
/// of even counts. So is text and most programs; what is compressed already is not.
fn is_uneven(sample: &[u8]) -> bool {
    let mut counts = [0u32; 256];
    for &byte in sample {
        if let Some(n) = counts.get_mut(usize::from(byte)) {
            *n += 1;
        }
    }
    let squares: u64 = counts.iter().map(|&n| u64::from(n) * u64::from(n)).sum();
    let len = sample.len() as u64;
    // Even counts of a sample this short differ by chance: that adds its length.
    squares.saturating_sub(len) * 512 > 3 * len * len
}

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

/// A `Write` that deflates into `out`. `D` is a [`Deflater`] or a `&mut Deflater`, which it uses alone until it ends.
pub(crate) struct DeflateStream<W: Write, D: BorrowMut<Deflater> = Deflater> {
    out: W,
    deflater: D,
    crc: Crc32,
    size: u64,
    compressed: u64,
}

impl<W: Write, D: BorrowMut<Deflater>> DeflateStream<W, D> {
    pub(crate) fn new(out: W, mut deflater: D) -> Self {
        deflater.borrow_mut().core.reset();
        DeflateStream {
            out,
            deflater,
            crc: Crc32::new(),
            size: 0,
            compressed: 0,
        }
    }

    fn push(&mut self, data: &[u8], flush: TDEFLFlush) -> io::Result<()> {
        let mut failed = None;
        let out = &mut self.out;
        let compressed = &mut self.compressed;
        let core = &mut self.deflater.borrow_mut().core;
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
        self.size = self.size.saturating_add(data.len() as u64);
        Ok(data.len())
    }

    /// Does not force out what the compressor holds: that would cost ratio.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One decompressor state (43 KB) and its input buffer (16 KiB), for any number of entries.
pub(crate) struct Inflater {
    state: Box<InflateState>,
    pub(crate) input: Vec<u8>,
    /// Range of `input` that was not taken yet.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One step of an [`Inflater`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes came out, at least one.
    Out(usize),
    /// Nothing came out: more input is needed.
    Hungry,
    /// The stream has ended, nothing came out.
    End,
}

impl Inflater {
    pub(crate) fn new() -> Inflater {
        Inflater {
            state: InflateState::new_boxed(DataFormat::Raw),
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// Ready for another stream; nothing of the last one can come out.
    pub(crate) fn reset(&mut self) {
        self.state.reset_as(ZeroReset);
        self.start = 0;
        self.end = 0;
    }

    /// Inflates from the input buffer to `out` (not empty). Damaged data is `Damaged`.
    pub(crate) fn step(&mut self, out: &mut [u8]) -> Result<Step> {
        loop {
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let done = inflate(&mut self.state, input, out, MZFlush::None);
            self.start = self.start.saturating_add(done.bytes_consumed).min(self.end);
            if done.bytes_written > 0 {
                return Ok(Step::Out(done.bytes_written));
            }
            match done.status {
                Ok(MZStatus::StreamEnd) => return Ok(Step::End),
                Ok(_) if done.bytes_consumed > 0 && self.start < self.end => {}
                Ok(_) | Err(MZError::Buf) if self.start >= self.end => return Ok(Step::Hungry),
                _ => return Err(Error::damaged("the compressed data is not valid")),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
pub(crate) mod tests {
    use super::*;

    /// Seeded bytes that do not compress.
    pub(crate) fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        std::iter::repeat_with(|| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            seed.to_be_bytes()[1]
        })
        .take(len)
        .collect()
    }

    pub(crate) fn prose(len: usize) -> Vec<u8> {
        (0..)
            .flat_map(|i: u32| {
                format!("line {} of {}\n", i, i.wrapping_mul(7919) % 1000).into_bytes()
            })
            .take(len)
            .collect()
    }

    fn inflate_all(data: &[u8], most: usize) -> Result<Vec<u8>> {
        let mut inflater = Inflater::new();
        inflate_with(&mut inflater, data, most)
    }

    fn inflate_with(inflater: &mut Inflater, data: &[u8], most: usize) -> Result<Vec<u8>> {
        inflater.reset();
        let mut out = Vec::new();
        let mut rest = data;
        let mut piece = [0; 700];
        while out.len() <= most {
            match inflater.step(&mut piece)? {
                Step::Out(n) => out.extend_from_slice(&piece[..n]),
                Step::End => return Ok(out),
                Step::Hungry if rest.is_empty() => return Err(Error::damaged("cut")),
                Step::Hungry => {
                    let (head, tail) = rest.split_at(rest.len().min(501));
                    inflater.input[..head.len()].copy_from_slice(head);
                    inflater.start = 0;
                    inflater.end = head.len();
                    rest = tail;
                }
            }
        }
        Err(Error::damaged("long"))
    }

    #[test]
    fn blocks_come_back_at_every_level() {
        let mut inflater = Inflater::new();
        for level in 1..=9 {
            let mut d = Deflater::new(level);
            for data in [prose(100_000), prose(50), vec![0; 1_000_000], prose(3)] {
                if let Some(out) = d.deflate(&data) {
                    assert!(out.len() < data.len());
                    let back = inflate_with(&mut inflater, out, data.len()).unwrap();
                    assert!(back == data, "level {level}");
                } else {
                    assert!(data.len() < 10);
                }
            }
        }
    }

    #[test]
    fn nothing_grows() {
        for level in [0, 1, 9] {
            let mut d = Deflater::new(level);
            for data in [noise(1 << 17, 1), Vec::new(), vec![7], noise(2000, 2)] {
                assert!(d.deflate(&data).is_none());
            }
        }
        assert!(Deflater::new(0).deflate(&prose(5000)).is_none());
        // The state is usable after giving up.
        let mut d = Deflater::new(1);
        assert!(d.deflate(&noise(1 << 17, 3)).is_none());
        let out = d.deflate(&prose(5000)).unwrap();
        assert_eq!(inflate_all(out, 5000).unwrap(), prose(5000));
    }

    #[test]
    fn samples_tell_text_from_noise() {
        let mut d = Deflater::new(1);
        for len in [4097, 10_240, 102_400, 1 << 20] {
            assert!(d.worth_deflating(&prose(len)), "{len}");
            assert!(!d.worth_deflating(&noise(len, 9)), "{len}");
            let mut half = noise(len / 2, 9);
            half.extend(prose(len - len / 2));
            assert!(d.worth_deflating(&half), "{len}");
        }
        assert!(d.worth_deflating(&noise(100, 9)));
        assert!(!Deflater::new(0).worth_deflating(&prose(10_000)));
        // Even bytes that repeat: the counts say nothing, the sample deflated does.
        let even: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        assert!(!is_uneven(&even) && d.worth_deflating(&even));
        // A third of the bytes is one value: worth it by the counts alone.
        let mut skewed = noise(9000, 5);
        skewed.iter_mut().step_by(3).for_each(|b| *b = 0);
        assert!(is_uneven(&skewed));
        assert!(!is_uneven(&[]) && !is_uneven(&noise(1024, 6)));
    }

    #[test]
    fn streams_count_and_come_back() {
        let mut shared = Deflater::new(1);
        for data in [Vec::new(), prose(300_000), noise(70_000, 4)] {
            let mut s = DeflateStream::new(Vec::new(), &mut shared);
            for piece in data.chunks(997) {
                s.write_all(piece).unwrap();
            }
            let (out, facts) = s.finish().unwrap();
            assert_eq!(facts.crc, Crc32::of(&data));
            assert_eq!(facts.size, data.len() as u64);
            assert_eq!(facts.compressed, out.len() as u64);
            assert!(inflate_all(&out, data.len()).unwrap() == data);
        }
        let mut own: DeflateStream<Vec<u8>> = DeflateStream::new(Vec::new(), Deflater::new(9));
        own.write_all(b"x").unwrap();
        assert_eq!(inflate_all(&own.finish().unwrap().0, 1).unwrap(), b"x");
    }

    #[test]
    fn an_error_of_the_inner_writer_comes_out() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(libc::ENOSPC))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut s = DeflateStream::new(Full, Deflater::new(1));
        let e = s
            .write_all(&noise(1 << 20, 5))
            .and_then(|()| s.finish().map(|_| ()))
            .unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::ENOSPC));
    }

    #[test]
    fn cut_and_changed_streams_end() {
        let data = prose(3000);
        let mut good = Deflater::new(6).deflate(&data).unwrap().to_vec();
        for cut in 0..good.len() {
            assert!(inflate_all(&good[..cut], data.len()).is_err(), "{cut}");
        }
        let mut inflater = Inflater::new();
        let mut seed = 11u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % good.len();
            let before = good[at];
            good[at] = seed.to_be_bytes()[2];
            if let Ok(out) = inflate_with(&mut inflater, &good, 1 << 16) {
                assert!(out.len() <= 1 << 17);
            }
            good[at] = before;
        }
        assert_eq!(inflate_with(&mut inflater, &good, 3000).unwrap(), data);
    }
}
