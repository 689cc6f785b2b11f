//! Layer 1, larger than memory: sorting, look-up and membership with a stated cap in bytes; the rest goes to unnamed
//! temporary files.
//!
//! Everything here works on byte strings whose byte order is the wanted order; what they mean is the caller's business.

mod filter;
pub(crate) mod keyset;
pub(crate) mod run;
pub(crate) mod sorter;
pub(crate) mod table;

/// Bytes of one sequential read or write.
const CHUNK_BYTES: usize = 64 << 10;

/// First eight bytes as a number of the same order; missing ones count as zero.
fn prefix(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*whole);
    }
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(padded)
}

/// A well-spread number of any bytes, so that padded or made-up keys do not crowd the filters. Not for hostile input.
fn mix(bytes: &[u8]) -> u64 {
    let mut h: u64 = bytes.len() as u64;
    for word in bytes.chunks(8) {
        h = (h ^ prefix(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^= h >> 32;
    }
    h = h.wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^ (h >> 32)
}

#[cfg(test)]
mod testing {
    //! What the tests of this module share.

    use crate::base::tmp::Tmp;

    pub(super) fn tmp() -> Tmp {
        Tmp::open(None).expect("a temporary folder")
    }

    /// A small generator; the same seed gives the same numbers.
    pub(super) struct Rng(pub(super) u64);

    impl Rng {
        pub(super) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        pub(super) fn below(&mut self, n: usize) -> usize {
            usize::try_from(self.next() % (n as u64)).expect("below a usize")
        }

        pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
            (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
        }
    }
}
