//! The state of a listing: one digest over all names and sizes.

use crate::base::digest::{Algo, Hash};
use crate::format::names::VolumeName;

/// Size of a volume that the listing did not state.
const UNKNOWN_SIZE: u64 = u64::MAX;

/// The state of a listing while volumes are added and taken away: a sum of digests, so that it does not depend on their
/// order.
#[derive(Default)]
pub(crate) struct StateSum([u8; 32]);

impl StateSum {
    /// A volume more. `size` in bytes, `None` where the listing does not state it.
    pub(crate) fn add(&mut self, name: &VolumeName, size: Option<u64>) {
        let mut carry = 0u16;
        let digest = digest(name, size);
        for (s, d) in self.0.iter_mut().rev().zip(digest.as_bytes().iter().rev()) {
            let total = u16::from(*s) + u16::from(*d) + carry;
            *s = total.to_be_bytes()[1];
            carry = total >> 8;
        }
    }

    /// A volume less, which was added with the same name and size.
    pub(crate) fn take_away(&mut self, name: &VolumeName, size: Option<u64>) {
        let mut borrow = 0u16;
        let digest = digest(name, size);
        for (s, d) in self.0.iter_mut().rev().zip(digest.as_bytes().iter().rev()) {
            let left = 0x100 + u16::from(*s) - u16::from(*d) - borrow;
            *s = left.to_be_bytes()[1];
            borrow = 1 - (left >> 8);
        }
    }

    pub(crate) fn finish(&self) -> Hash {
        Algo::Sha256.hash(&self.0)
    }
}

fn digest(name: &VolumeName, size: Option<u64>) -> Hash {
    let mut h = Algo::Sha256.hasher();
    h.update(name.as_str().as_bytes());
    h.update(&[0]);
    h.update(&size.unwrap_or(UNKNOWN_SIZE).to_be_bytes());
    h.finish()
}
