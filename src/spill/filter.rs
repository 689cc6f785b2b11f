//! [`Filter`]: which keys are certainly absent. It may say no; its yes means nothing.

use crate::spill::mix;

/// Filter bits for each key and probes for each look-up: 2.2 % false yes.
const FILTER_BITS: u64 = 8;
const FILTER_PROBES: u64 = 5;

/// Which keys are certainly absent.
pub(super) struct Filter(Vec<u64>);

impl Filter {
    /// Lets every key pass and takes no memory.
    pub(super) fn none() -> Filter {
        Filter(Vec::new())
    }

    /// For so many keys; more of them only make it weaker. One byte a key.
    pub(super) fn new(records: u64) -> Filter {
        let words = records.saturating_mul(FILTER_BITS).div_ceil(64).max(1);
        Filter(vec![0; usize::try_from(words).unwrap_or(usize::MAX)])
    }

    fn places(&self, key: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let bits = self.0.len() as u64 * 64;
        let h = mix(key);
        let step = h.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..FILTER_PROBES).map(move |i| {
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
            self.0[word] |= bit;
        }
    }

    /// False: certainly absent.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        self.0.is_empty() || self.places(key).all(|(word, bit)| self.0[word] & bit != 0)
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
}
