//! Writes one block of the stream in whichever of its three forms is the shortest.

use std::ops::Range;

use super::bits::BitWriter;
use super::count::{Counts, bits};
use super::header::Header;
use super::lengths::{Code, code_lengths, code_of, codes};
use super::slots::{
    DISTANCE_SYMBOLS, END, LENGTH_BASE, LENGTH_EXTRA, LITERAL_SYMBOLS, LONGEST, SHORTEST,
    distance_extra, distance_slot,
};

/// Literals and lengths get at most this many bits, so that four literals fit between two flushes.
const LITERAL_LIMIT: usize = 14;
const DISTANCE_LIMIT: usize = 15;
/// Bytes of one stored block at most.
pub(super) const STORED_BYTES: usize = 0xffff;
/// Bytes of an empty stored block, at most: it leads to the edge of a byte.
pub(super) const EDGE: usize = 5;

/// Some literals, then a match; or literals alone. In one word, as many are kept: a length in the low 9 bits (0: no match), the
/// literals above, in 8 bits where a distance follows.
#[derive(Clone, Copy, Default)]
pub(super) struct Step(u32);

/// Literals of a step that has a match, at most.
pub(super) const MOST_BEFORE: u32 = 255;

impl Step {
    /// At most [`MOST_BEFORE`] literals, then a match.
    #[inline(always)]
    pub(super) fn new(literals: u32, length: u32, distance: u32) -> Step {
        Step(length | literals << 9 | distance << 17)
    }

    /// Literals and no match.
    pub(super) fn of_literals(literals: u32) -> Step {
        Step(literals << 9)
    }

    #[inline(always)]
    pub(super) fn literals(self) -> usize {
        self.parts().0
    }

    /// Literals, length, distance.
    #[inline(always)]
    fn parts(self) -> (usize, u32, u32) {
        let length = self.0 & 0x1ff;
        let literals = self.0 >> 9 & if length > 0 { MOST_BEFORE } else { u32::MAX };
        (literals as usize, length, self.0 >> 17)
    }
}

/// The codes of one block.
struct Tables {
    literal_lengths: [u8; LITERAL_SYMBOLS + 2],
    distance_lengths: [u8; DISTANCE_SYMBOLS],
    literals: [Code; LITERAL_SYMBOLS + 2],
    distances: [Code; 32],
    matches: [Code; 256],
}

/// Writes the bytes `part` of `data` as `steps` says, whose symbols are counted in `counts`. `None` if more than `room` bytes
/// would be written in all, and where an inflater would not make these bytes of them: each match is compared with its bytes, each
/// code is looked at, and the bits are counted twice. A defect then costs space and no data.
pub(super) fn write(
    out: &mut BitWriter<'_>,
    data: &[u8],
    part: Range<usize>,
    steps: &[Step],
    counts: &mut Counts,
    last: bool,
    room: usize,
) -> Option<()> {
    counts.literals[END] += 1;
    let mut t = Tables {
        literal_lengths: [0; LITERAL_SYMBOLS + 2],
        distance_lengths: [0; DISTANCE_SYMBOLS],
        literals: [0; LITERAL_SYMBOLS + 2],
        distances: [0; 32],
        matches: [0; 256],
    };
    code_lengths(
        &counts.literals,
        LITERAL_LIMIT,
        &mut t.literal_lengths[..LITERAL_SYMBOLS],
    );
    code_lengths(&counts.distances, DISTANCE_LIMIT, &mut t.distance_lengths);
    let header = Header::of(&t.literal_lengths[..LITERAL_SYMBOLS], &t.distance_lengths);
    let extra = extra_bits(counts);
    let dynamic = header.bits()
        + bits(&counts.literals, &t.literal_lengths)
        + bits(&counts.distances, &t.distance_lengths)
        + extra;
    let fixed = bits(&counts.literals, &FIXED_LENGTHS)
        + 5 * counts.distances.iter().map(|&n| u64::from(n)).sum::<u64>()
        + extra;
    let written = out.written();
    let bytes = data.get(part.clone())?;
    let parts = bytes.len().div_ceil(STORED_BYTES).max(1) as u64;
    // Three bits and zeros to the edge of a byte once; then each part begins on an edge.
    let stored =
        (written + 3).next_multiple_of(8) - written - 3 + 40 * parts - 8 + bytes.len() as u64 * 8;
    let least = dynamic.min(fixed).min(stored);
    if (written + 3 + least).div_ceil(8) > room as u64 {
        return None;
    }
    if least == stored {
        write_stored(out, bytes, last);
    } else {
        out.put(u32::from(last), 1);
        let mut sound = true;
        if least == fixed {
            out.put(1, 2);
            out.flush();
            t.literals = FIXED_LITERALS;
            t.distances = FIXED_DISTANCES;
        } else {
            out.put(2, 2);
            sound = header.write(out)
                && are_told(&counts.literals, &t.literal_lengths)
                && are_told(&counts.distances, &t.distance_lengths)
                && codes(&t.literal_lengths, &mut t.literals)
                && codes(&t.distance_lengths, &mut t.distances);
        }
        with_extra_bits(&t.literals, &counts.literals, &mut t.matches);
        if !sound || write_steps(out, data, part.start, steps, &t)? != part.end {
            return None;
        }
    }
    (out.written() == written + 3 + least).then_some(())
}

/// Every symbol that comes has a code.
fn are_told(counts: &[u32], lengths: &[u8]) -> bool {
    let mut both = counts.iter().zip(lengths);
    both.all(|(&count, &length)| count == 0 || length > 0)
}

pub(super) fn write_stored(out: &mut BitWriter<'_>, data: &[u8], last: bool) {
    let mut rest = data;
    loop {
        let (part, more) = rest.split_at(rest.len().min(STORED_BYTES));
        out.put(u32::from(last && more.is_empty()), 3);
        out.align();
        let len = part.len() as u32;
        out.put(len, 16);
        out.put(len ^ 0xffff, 16);
        out.flush();
        out.bytes(part);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

/// Writes what `steps` says of `data` from `at` on. Where they end; `None` when a match is none.
fn write_steps(
    to: &mut BitWriter<'_>,
    data: &[u8],
    mut at: usize,
    steps: &[Step],
    t: &Tables,
) -> Option<usize> {
    // By itself it is kept in registers.
    let mut out = std::mem::take(to);
    for step in steps {
        let (count, length, distance) = step.parts();
        let mut literals = data.get(at..at + count)?;
        at += count;
        // Four fit between two flushes. The last ones by themselves: a loop ends where the processor does not expect it (4 % on programs).
        while let Some((four, rest)) = literals.split_first_chunk::<4>() {
            for &byte in four {
                out.code(t.literals[usize::from(byte)]);
            }
            out.flush_here();
            literals = rest;
        }
        if let [first, rest @ ..] = literals {
            out.code(t.literals[usize::from(*first)]);
            if let [second, rest @ ..] = rest {
                out.code(t.literals[usize::from(*second)]);
                if let [third, ..] = rest {
                    out.code(t.literals[usize::from(*third)]);
                }
            }
            out.flush_here();
        }
        if length > 0 {
            let from = at.checked_sub(distance as usize)?;
            let end = at + length as usize;
            let known = (SHORTEST..=LONGEST).contains(&length) && from < at;
            if !known || data.get(from..from + length as usize)? != data.get(at..end)? {
                return None;
            }
            at = end;
            // At most 7 bits wait; these are at most 14 + 5 + 15 + 13.
            out.code(t.matches[(length - SHORTEST) as usize & 0xff]);
            let slot = distance_slot(distance) & 31;
            out.code(t.distances[slot]);
            let extra = distance_extra(slot);
            out.put((distance - 1) & ((1 << extra) - 1), extra);
            out.flush_here();
        }
    }
    out.flush();
    out.code(t.literals[END]);
    out.flush();
    *to = out;
    Some(at)
}

/// The code of each length less 3 that comes, its extra bits behind it.
fn with_extra_bits(literals: &[Code], counts: &[u32], matches: &mut [Code; 256]) {
    for (slot, &extra) in LENGTH_EXTRA.iter().enumerate() {
        if counts[257 + slot] == 0 {
            continue;
        }
        let code = literals[257 + slot];
        let (bits, count) = (code >> 8, code & 0xff);
        // The last slot takes its one length from the slot before.
        let base = usize::from(LENGTH_BASE[slot]);
        for value in 0..1u32 << extra {
            if let Some(to) = matches.get_mut(base + value as usize) {
                *to = (bits | value << count) << 8 | (count + u32::from(extra));
            }
        }
    }
}

/// Extra bits after lengths and distances.
fn extra_bits(counts: &Counts) -> u64 {
    let distances = counts.distances.iter().enumerate();
    bits(&counts.literals[257..], &LENGTH_EXTRA)
        + distances
            .map(|(slot, &n)| u64::from(n) * u64::from(distance_extra(slot)))
            .sum::<u64>()
}

/// The lengths of the literal codes of a fixed block (RFC 1951, 3.2.6).
const FIXED_LENGTHS: [u8; LITERAL_SYMBOLS + 2] = fixed_lengths();

const fn fixed_lengths() -> [u8; LITERAL_SYMBOLS + 2] {
    let mut out = [8; LITERAL_SYMBOLS + 2];
    let mut symbol = 144;
    while symbol < 280 {
        out[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    out
}

const FIXED_LITERALS: [Code; LITERAL_SYMBOLS + 2] = fixed_literals();
const FIXED_DISTANCES: [Code; 32] = fixed_distances();

const fn fixed_literals() -> [Code; LITERAL_SYMBOLS + 2] {
    let mut out = [0; LITERAL_SYMBOLS + 2];
    let mut symbol = 0;
    while symbol < out.len() {
        let number = match symbol {
            0..144 => 0x30 + symbol,
            144..256 => 0x190 + symbol - 144,
            256..280 => symbol - 256,
            _ => 0xc0 + symbol - 280,
        };
        out[symbol] = code_of(number as u32, FIXED_LENGTHS[symbol]);
        symbol += 1;
    }
    out
}

const fn fixed_distances() -> [Code; 32] {
    let mut out = [0; 32];
    let mut symbol = 0;
    while symbol < out.len() {
        out[symbol] = code_of(symbol as u32, 5);
        symbol += 1;
    }
    out
}
