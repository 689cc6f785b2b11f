//! How often each symbol comes, and about how many bits the symbols of a stretch take.

use super::slots::{DISTANCE_SYMBOLS, LENGTH_SLOT, LITERAL_SYMBOLS, SHORTEST, distance_slot};

/// How often each symbol of both alphabets comes in some stretch of the block.
#[derive(Clone)]
pub(super) struct Counts {
    pub(super) literals: [u32; LITERAL_SYMBOLS],
    pub(super) distances: [u32; DISTANCE_SYMBOLS],
}

impl Counts {
    pub(super) fn new() -> Counts {
        Counts {
            literals: [0; LITERAL_SYMBOLS],
            distances: [0; DISTANCE_SYMBOLS],
        }
    }

    pub(super) fn clear(&mut self) {
        self.literals.fill(0);
        self.distances.fill(0);
    }

    #[inline(always)]
    pub(super) fn add_literals(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.literals[usize::from(byte)] += 1;
        }
    }

    #[inline(always)]
    pub(super) fn add_match(&mut self, length: u32, distance: u32) {
        let slot = LENGTH_SLOT[((length - SHORTEST) & 0xff) as usize];
        self.literals[257 + usize::from(slot & 31).min(28)] += 1;
        self.distances[distance_slot(distance).min(DISTANCE_SYMBOLS - 1)] += 1;
    }

    /// Adds what another stretch has.
    pub(super) fn add(&mut self, other: &Counts) {
        for (sum, more) in self.literals.iter_mut().zip(&other.literals) {
            *sum += more;
        }
        for (sum, more) in self.distances.iter_mut().zip(&other.distances) {
            *sum += more;
        }
    }

    /// Bits that the best possible codes would need, in 256ths; extra bits do not count.
    pub(super) fn cost(&self) -> u64 {
        entropy(&self.literals, None) + entropy(&self.distances, None)
    }

    /// Bits of a literal on average, in 256ths.
    pub(super) fn literal_bits(&self) -> u32 {
        let literals = &self.literals[..256];
        let total: u32 = literals.iter().sum();
        (entropy(literals, None) / u64::from(total.max(1))) as u32
    }

    /// The cost of both stretches as one.
    pub(super) fn cost_with(&self, other: &Counts) -> u64 {
        entropy(&self.literals, Some(&other.literals))
            + entropy(&self.distances, Some(&other.distances))
    }
}

/// Bits of all symbols with these code lengths.
pub(super) fn bits(counts: &[u32], lengths: &[u8]) -> u64 {
    counts
        .iter()
        .zip(lengths)
        .map(|(&n, &bits)| u64::from(n) * u64::from(bits))
        .sum()
}

/// n log n of the sum less the same of each count: bits in 256ths, by Shannon.
#[inline(always)]
fn entropy(counts: &[u32], more: Option<&[u32]>) -> u64 {
    let mut total = 0;
    let mut sum = 0;
    for (i, &count) in counts.iter().enumerate() {
        let count = count + more.and_then(|more| more.get(i)).unwrap_or(&0);
        total += count;
        sum += n_log_n(count);
    }
    n_log_n(total).saturating_sub(sum)
}

/// n times its binary logarithm, in 256ths; 0 for 0. Integers only, so that every machine comes to the same blocks.
fn n_log_n(n: u32) -> u64 {
    let high = (n | 1).ilog2();
    // The 8 bits below the highest choose the fraction.
    let below = ((u64::from(n) << 8 >> high) & 0xff) as usize;
    let log = high << 8 | u32::from(FRACTIONS[below]);
    u64::from(n) * u64::from(log)
}

/// 256 times the binary logarithm of 1 + i / 256.
static FRACTIONS: [u8; 256] = fractions();

const fn fractions() -> [u8; 256] {
    let mut out = [0; 256];
    let mut i = 0;
    while i < 256 {
        // Squaring doubles the logarithm: each time it comes to 1 or more, the next bit of it is one.
        let mut x = (256 + i as u64) << 22;
        let mut bits = 0;
        let mut n = 0;
        while n < 8 {
            x = (x >> 15) * (x >> 15);
            bits <<= 1;
            if x >> 31 != 0 {
                x >>= 1;
                bits |= 1;
            }
            n += 1;
        }
        out[i] = bits;
        i += 1;
    }
    out
}
