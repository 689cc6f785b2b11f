//! Raw deflate, out and in. The states are made once and reset for each use, never rebuilt.
//!
//! Blocks, which are whole in memory, are deflated by an encoder made for exactly that (the crate in `encode`); of what comes in pieces it
//! deflates one part after the other (`stream`). Everything is inflated by miniz_oxide (`inflate`).

mod inflate;
mod stream;

use block_deflate::Encoder;
pub(crate) use inflate::{Inflater, Step};
pub(crate) use stream::{Cut, DeflateStream, StreamFacts};

/// A stream is deflated in parts of this length. A file list is cut when 256 KiB and an entry are full: that is two parts.
const PART_BYTES: usize = 136 << 10;
/// Below this, trying a sample costs as much as trying the block.
const SMALL_BLOCK_BYTES: usize = 4096;
/// A sample is this many pieces from evenly spread places, each this long.
const SAMPLE_PIECES: usize = 8;
const PIECE_BYTES: usize = 1024;
/// So many bytes of each piece tell most blocks apart from what is compressed already.
const GLANCE_BYTES: usize = 256;

/// One compressor state for any number of blocks and streams, one after the other: a stream borrows it until it ends. It takes
/// 395 KB and as much as the largest block has; from the first stream on 136 KiB more, and that counts as a block.
pub(crate) struct Deflater {
    encoder: Encoder,
    /// Of the stream at hand, what waits to be deflated.
    part: Vec<u8>,
    level: u8,
    sample: Vec<u8>,
}

impl Deflater {
    /// `level` 0 to 9; more counts as 9. At level 0 nothing is ever worth deflating.
    pub(crate) fn new(level: u8) -> Deflater {
        let level = level.min(9);
        Deflater {
            encoder: Encoder::new(level),
            part: Vec::new(),
            level,
            sample: Vec::new(),
        }
    }

    /// The raw deflate stream of `data`, in a buffer that stays with the deflater (it keeps the size of the largest block).
    /// `None` when that is not shorter than `data`; gives up as soon as this is certain.
    pub(crate) fn deflate(&mut self, data: &[u8]) -> Option<&[u8]> {
        self.deflate_ticking(data, &mut || {})
    }

    /// As [`Deflater::deflate`]; `tick` is called after each 64 KiB or so, and changes nothing of the result.
    pub(crate) fn deflate_ticking(&mut self, data: &[u8], tick: &mut dyn FnMut()) -> Option<&[u8]> {
        self.encoder.deflate(data, tick)
    }

    /// Decides by a sample of up to 8 KiB; a block of up to 4 KiB is always worth a try. If a quarter of the sample or all of it
    /// uses some bytes much more than others, it is; any other sample is deflated and must shrink by a 64th. Data that repeats
    /// only over more than 1 KiB is taken for incompressible.
    pub(crate) fn worth_deflating(&mut self, data: &[u8]) -> bool {
        if self.level == 0 {
            return false;
        }
        if data.len() <= SMALL_BLOCK_BYTES {
            return true;
        }
        let mut sample = std::mem::take(&mut self.sample);
        take_sample(data, GLANCE_BYTES, &mut sample);
        let mut worth = is_uneven(&sample);
        if !worth {
            take_sample(data, PIECE_BYTES, &mut sample);
            let most = sample.len() - sample.len() / 64;
            worth =
                is_uneven(&sample) || self.deflate(&sample).is_some_and(|out| out.len() <= most);
        }
        self.sample = sample;
        worth
    }
}

/// Up to eight pieces of `data`, each `piece` bytes from the middle of its part: heads of files are not typical of them.
fn take_sample(data: &[u8], piece: usize, sample: &mut Vec<u8>) {
    let pieces = (data.len() / (4 * PIECE_BYTES)).clamp(1, SAMPLE_PIECES);
    sample.clear();
    for part in data.chunks_exact(data.len() / pieces) {
        let skip = (part.len() - piece.min(part.len())) / 2;
        sample.extend(part.iter().skip(skip).take(piece));
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

#[cfg(test)]
#[path = "encode/samples.rs"]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod samples;
#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
pub(crate) mod tests;
