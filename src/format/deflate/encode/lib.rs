//! Deflates a block that is whole in memory (RFC 1951), at one go and with nothing kept from one block to the next. A part of a
//! stream is deflated as a block is, and another may follow it.
//!
//! The way of a block: `parse` goes through it and asks `matcher`, at each place, for the longest earlier stretch of equal bytes.
//! What it decides, some literals and then a match, is a step. `pieces` collects the steps and counts symbols (`count`); where the
//! statistics change it ends a block of the stream, which `block` writes in the shortest of the three forms of deflate, with
//! Huffman codes from `lengths`, told to the reader by `header`, through `bits`. `slots` has the symbols of lengths and distances.
//!
//! Order, lowest first: `slots`, `lengths`, `bits`, `count`, `header`, `block`, `pieces`, `matcher`, `parse`.
//!
//! A crate of its own, for the compiler is to make this fast, and the rest of the program small.
//!
//! The output depends on the block and the level alone: not on blocks before, nor on the width or byte order of the machine.

// What is indexed are tables by symbols, hashes and offsets of the encoder's own, no bytes from outside; numbers are below the
// block's 2 GiB, and what goes to fewer bits is a symbol, a length or a distance.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "as told above"
)]

mod bits;
mod block;
mod count;
mod header;
mod lengths;
mod matcher;
mod parse;
mod pieces;
mod slots;

use bits::BitWriter;
use matcher::Matcher;
use parse::Effort;
use pieces::{Pieces, Sink};

/// The last of a stream that has nothing more to say.
pub const NOTHING: [u8; 2] = [3, 0];
/// A longer block is not deflated: offsets have 31 bits.
const MOST_BYTES: usize = 1 << 31;

/// The state (386 KiB) for any number of blocks, and a buffer that keeps the size of the largest.
pub struct Encoder {
    matcher: Matcher,
    pieces: Pieces,
    /// `None`: nothing is deflated.
    effort: Option<Effort>,
    part_effort: Option<Effort>,
    /// Only grows: what a block does not fill keeps what it held.
    out: Vec<u8>,
}

impl Encoder {
    /// `level` 0 to 9; more counts as 9.
    pub fn new(level: u8) -> Encoder {
        Encoder {
            matcher: Matcher::new(),
            pieces: Pieces::new(),
            effort: Effort::of_level(level),
            part_effort: Effort::of_level(part_level(level)),
            out: Vec::new(),
        }
    }

    /// The deflate stream of `data`, in a buffer that stays here. `None` when that is not shorter than `data`. The buffer has
    /// seven bytes more than `data`, whatever comes.
    /// `tick` is called now and then.
    pub fn deflate(&mut self, data: &[u8], tick: &mut dyn FnMut()) -> Option<&[u8]> {
        self.encode(data, self.effort?, true, tick)
    }

    /// A part of a stream, which begins on the edge of a byte and refers to no other: the stream ends with the `last`, any other
    /// ends on the edge of a byte. Stored, five bytes for each 64 KiB longer, when it would not be shorter than `data` otherwise.
    pub fn deflate_part(&mut self, data: &[u8], last: bool) -> &[u8] {
        let deflated = self.part_effort.and_then(|effort| {
            let packed = self.encode(data, effort, last, &mut || {});
            packed.map(<[u8]>::len)
        });
        let written = deflated.unwrap_or_else(|| self.store(data, last));
        &self.out[..written]
    }

    fn store(&mut self, data: &[u8], last: bool) -> usize {
        let blocks = data.len().div_ceil(block::STORED_BYTES).max(1);
        let most = data.len() + blocks * block::EDGE + bits::SLACK;
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        let mut out = BitWriter::new(&mut self.out);
        block::write_stored(&mut out, data, last);
        out.finish()
    }

    fn encode(
        &mut self,
        data: &[u8],
        effort: Effort,
        last: bool,
        tick: &mut dyn FnMut(),
    ) -> Option<&[u8]> {
        let room = data.len().checked_sub(1)?;
        if data.len() >= MOST_BYTES {
            return None;
        }
        let most = room + bits::SLACK + if last { 0 } else { block::EDGE };
        if self.out.len() < most {
            self.out.resize(most, 0);
        }
        let mut sink = Sink::new(data, &mut self.pieces, self.out.get_mut(..most)?, room);
        parse::parse(
            self.matcher.begin(data),
            data.len() as u32,
            &effort,
            (&mut sink, tick),
        )?;
        let written = sink.finish(last)?;
        let packed = self.out.get(..written)?;
        debug_assert!(
            match last {
                true => comes_back(packed, data),
                false => comes_back(&[packed, &NOTHING].concat(), data),
            },
            "a block comes back as it was"
        );
        Some(packed)
    }
}

/// Parts at 3 to 5 are deflated as at 6: lists, which are written whole each time, are then 1.1 to 1.6 % shorter, for a third more of
/// the little time they take.
fn part_level(level: u8) -> u8 {
    match level {
        3..=5 => 6,
        _ => level,
    }
}

/// Another program's inflater makes `data` of `packed`.
fn comes_back(packed: &[u8], data: &[u8]) -> bool {
    miniz_oxide::inflate::decompress_to_vec_with_limit(packed, data.len())
        .is_ok_and(|back| back == data)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod samples;
#[cfg(test)]
#[path = "tests.rs"]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
