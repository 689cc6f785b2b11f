//! Where the blocks of a content went, for the locator of the list that will name it.

use crate::base::bytes::hex_decode;
use crate::base::digest::BlockKey;
use crate::format::locator::{Extent, VolumeId, extend};
use crate::format::names::VolumeName;

/// Blocks of this run whose places are remembered, for those that come again: 80 bytes each.
const RECENT: usize = 4096;

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
        if let Some(slot) = self.recent.get_mut(slot(key)) {
            let key = *key;
            *slot = Some(Spot {
                key,
                volume,
                at,
                len,
            });
        }
    }

    /// A block is stored already; `inside` tells the volume, where the place is not remembered.
    pub(super) fn known(&mut self, key: &BlockKey, inside: impl FnOnce() -> Option<VolumeId>) {
        let spot = self.recent.get(slot(key)).copied().flatten();
        match spot.filter(|spot| spot.key == *key) {
            Some(spot) => self.add(spot.volume, spot.at, spot.len),
            None => match inside().map(Extent::inside) {
                Some(extent) => self.add(extent.volume, extent.at, extent.len),
                None => self.lost = true,
            },
        }
    }

    /// Where the blocks since [`Trail::begin`] are, if that is known of all of them.
    pub(super) fn take(&mut self) -> Vec<Extent> {
        match self.lost {
            true => Vec::new(),
            false => std::mem::take(&mut self.extents),
        }
    }
}

fn slot(key: &BlockKey) -> usize {
    let raw = key.as_bytes();
    raw.iter().take(4).fold(0, |n, &b| n << 8 | usize::from(b)) % RECENT
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
