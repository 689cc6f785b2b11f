//! Where the blocks of a content went, for the locator of the list that will name it.

use crate::base::bytes::hex_decode;
use crate::base::digest::BlockKey;
use crate::format::locator::{Extent, VolumeId, extend};
use crate::format::names::VolumeName;

/// Blocks of this run whose places are remembered, for those that come again: 80 bytes each.
const RECENT: usize = 4096;
/// Blocks with equal first bits share so many places, of which the one goes that was not wanted for longest.
const SHARED: usize = 4;

/// A block and where it lies.
#[derive(Clone, Copy)]
struct Spot {
    key: BlockKey,
    volume: VolumeId,
    at: u64,
    len: u64,
}

/// Follows what is stored. Memory: 330 KiB, and the extents of one content.
#[derive(Default)]
pub(super) struct Trail {
    extents: Vec<Extent>,
    /// A block since [`Trail::begin`] is somewhere else.
    lost: bool,
    /// The next block begins an extent: it, or the one before, is a blocklist.
    apart: bool,
    recent: Vec<Option<Spot>>,
}

impl Trail {
    /// Forgets the blocks so far: another content begins.
    pub(super) fn begin(&mut self) {
        self.extents.clear();
        (self.lost, self.apart) = (false, false);
    }

    /// What follows has an extent of its own: a blocklist is read without the blocks around it.
    pub(super) fn part(&mut self) {
        self.apart = true;
    }

    fn add(&mut self, volume: VolumeId, at: u64, len: u64) {
        let apart = std::mem::take(&mut self.apart);
        self.lost |= !extend(&mut self.extents, volume, at, len, apart);
    }

    /// A block was stored in the volume of this name, from `at` on.
    pub(super) fn stored(&mut self, key: &BlockKey, name: &VolumeName, at: u64, len: u64) {
        let Some(volume) = id_of(name) else {
            self.lost = true;
            return;
        };
        self.add(volume, at, len);
        self.recent.resize(RECENT, None);
        let places = self.recent.get_mut(places_of(key)).unwrap_or_default();
        places.rotate_right(1);
        if let Some(first) = places.first_mut() {
            let key = *key;
            *first = Some(Spot {
                key,
                volume,
                at,
                len,
            });
        }
    }

    /// A block is stored already; `inside` tells the volume, where the place is not remembered.
    pub(super) fn known(&mut self, key: &BlockKey, inside: impl FnOnce() -> Option<VolumeId>) {
        match self.remembered(key) {
            Some(spot) => self.add(spot.volume, spot.at, spot.len),
            None => match inside().map(Extent::inside) {
                Some(extent) => self.add(extent.volume, extent.at, extent.len),
                None => self.lost = true,
            },
        }
    }

    fn remembered(&mut self, key: &BlockKey) -> Option<Spot> {
        let places = self.recent.get_mut(places_of(key))?;
        let is_it = |spot: &Option<Spot>| spot.is_some_and(|spot| spot.key == *key);
        let found = places.iter().position(is_it)?;
        places.get_mut(..=found)?.rotate_right(1);
        places.first().copied().flatten()
    }

    /// Where the blocks since [`Trail::begin`] are, if that is known of all of them.
    pub(super) fn take(&mut self) -> Vec<Extent> {
        match self.lost {
            true => Vec::new(),
            false => std::mem::take(&mut self.extents),
        }
    }
}

fn places_of(key: &BlockKey) -> std::ops::Range<usize> {
    let raw = key.as_bytes().iter().take(4);
    let first = raw.fold(0, |n, &b| n << 8 | usize::from(b)) % (RECENT / SHARED) * SHARED;
    first..first + SHARED
}

/// The random part of a dblock's name; `None` where it has another form than this program gives.
pub(super) fn id_of(name: &VolumeName) -> Option<VolumeId> {
    let sealed = match (name.compression(), name.encryption()) {
        ("zip", None) => false,
        ("zip", Some("aes")) => true,
        _ => return None,
    };
    let guid = hex_decode(name.guid()?.as_bytes())?;
    Some(VolumeId {
        guid: guid.try_into().ok()?,
        sealed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;
    use crate::format::names::VolumeName;

    /// As metadata that many files have in common, among blocks of their own.
    #[test]
    fn a_block_that_is_wanted_again_and_again_is_not_forgotten() {
        let name = "duplicati-b00000000000000000000000000000001.dblock.zip";
        let name = VolumeName::parse(name).expect("a name");
        let key = |n: u64| BlockKey::new(&Algo::Sha256.hash(&n.to_be_bytes()), 8);
        let mut trail = Trail::default();
        for n in 0..10 {
            trail.stored(&key(n), &name, n * 100, 50);
        }
        for n in 10..20_000 {
            trail.stored(&key(n), &name, n * 100, 50);
            trail.begin();
            trail.known(&key(n % 10), || None);
            let found = trail.take();
            assert_eq!(
                found.first().map(|e| (e.at, e.len)),
                Some((n % 10 * 100, 50)),
                "{n}"
            );
        }
    }
}
