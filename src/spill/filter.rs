//! [`Filter`]: which keys are certainly absent. It may say no; its yes means nothing.

use crate::spill::mix;

/// Filter bits for each key and probes for each look-up: 2.2 % false yes.
const FILTER_BITS: u64 = 8;
const FILTER_PROBES: u64 = 5;
/// Bits of one filter at most, 8 MiB: with more than 8 million keys it says no less often, with 40 million to half of what is
/// absent.
const BITS_AT_MOST: u64 = 64 << 20;

/// Which keys are certainly absent.
pub(super) struct Filter {
    bits: Vec<u64>,
    probes: u64,
}

impl Filter {
    /// Lets every key pass and takes no memory.
    pub(super) fn none() -> Filter {
        Filter {
            bits: Vec::new(),
            probes: FILTER_PROBES,
        }
    }

    /// For so many keys; more of them only make it weaker. One byte a key, 8 MiB at most.
    pub(super) fn new(records: u64) -> Filter {
        Filter::with_at_most(records, BITS_AT_MOST)
    }

    fn with_at_most(records: u64, most: u64) -> Filter {
        let bits = records.saturating_mul(FILTER_BITS).clamp(1, most);
        // Where bits are few, more probes would only fill them: 0.7 times the bits of a key is best.
        let probes = (bits.saturating_mul(7) / records.max(1)).div_ceil(10);
        Filter {
            bits: vec![0; usize::try_from(bits.div_ceil(64)).unwrap_or(usize::MAX)],
            probes: probes.clamp(1, FILTER_PROBES),
        }
    }

    fn places(&self, key: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let bits = self.bits.len() as u64 * 64;
        let h = mix(key);
        let step = h.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..self.probes).map(move |i| {
            let spread = h.wrapping_add(i.wrapping_mul(step));
            let bit = (u128::from(spread) * u128::from(bits)) >> 64;
            let bit = u64::try_from(bit).unwrap_or(0);
            (
                usize::try_from(bit / 64).unwrap_or(usize::MAX),
                1 << (bit % 64),
            )
        })
    }

    pub(super) fn add(&mut self, key: &[u8]) {
        for (word, bit) in self.places(key) {
            self.bits[word] |= bit;
        }
    }

    /// False: certainly absent.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        self.bits.is_empty()
            || self
                .places(key)
                .all(|(word, bit)| self.bits[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::testing::Rng;

    #[test]
    fn the_filter_says_no_to_most_and_never_to_a_stored_key() {
        let mut rng = Rng(4);
        let mut filter = Filter::new(20_000);
        let keys: Vec<Vec<u8>> = (0..20_000).map(|_| rng.bytes(36)).collect();
        keys.iter().for_each(|k| filter.add(k));
        assert!(keys.iter().all(|k| filter.may_hold(k)));
        let wrong = (0..20_000)
            .filter(|_| filter.may_hold(&rng.bytes(36)))
            .count();
        assert!((200..700).contains(&wrong), "{wrong} of 20000");
    }

    /// It is weaker then, and still of use as long as there is a bit for every second key.
    #[test]
    fn a_filter_does_not_outgrow_its_cap() {
        let mut rng = Rng(5);
        for (keys, at_most) in [(2_000, 3_000), (5_000, 10_500), (20_000, 18_000)] {
            let mut filter = Filter::with_at_most(keys, 10_000);
            assert!(filter.bits.len() <= 157);
            let keys: Vec<Vec<u8>> = (0..keys).map(|_| rng.bytes(36)).collect();
            keys.iter().for_each(|k| filter.add(k));
            assert!(keys.iter().all(|k| filter.may_hold(k)));
            let wrong = (0..20_000)
                .filter(|_| filter.may_hold(&rng.bytes(36)))
                .count();
            assert!(wrong < at_most, "{wrong} of 20000, {} keys", keys.len());
        }
    }
}
