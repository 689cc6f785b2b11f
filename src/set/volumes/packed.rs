//! Names of dblocks and dindexes in 24 bytes each, where they have the generated form.

use crate::base::bytes;
use crate::format::names::{VolumeKind, VolumeName};

/// Bits of a packed size; a volume of 256 TiB or more counts as one whose size is not stated.
const SIZE_BITS: u32 = 48;
const SIZE_MASK: u64 = (1 << SIZE_BITS) - 1;
/// The volume was taken away in this run.
const RETIRED: u64 = 1 << 63;
/// In place of a tail: the name is kept whole.
pub(super) const ODD: u16 = u16::MAX >> 1;
/// Different extensions that are remembered.
const TAILS_AT_MOST: usize = 100;

/// A name of the generated form and a size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Packed {
    /// The 128 random bits of the name; the index of the whole name, big-endian in the first 8 octets, when the tail is
    /// [`ODD`].
    pub(super) guid: [u8; 16],
    /// One bit for what is retired, the tail in the 15 bits below, the size in the lower 48.
    rest: u64,
}

impl Packed {
    pub(super) fn new(guid: [u8; 16], tail: u16, size: Option<u64>) -> Packed {
        let size = size.map_or(SIZE_MASK, |s| s.min(SIZE_MASK));
        Packed {
            guid,
            rest: u64::from(tail & ODD) << SIZE_BITS | size,
        }
    }

    /// Index of the extensions, or [`ODD`].
    pub(super) fn tail(&self) -> u16 {
        u16::try_from((self.rest & !RETIRED) >> SIZE_BITS).unwrap_or(ODD)
    }

    /// Bytes; `None` when the listing did not state them.
    pub(super) fn size(&self) -> Option<u64> {
        Some(self.rest & SIZE_MASK).filter(|&s| s != SIZE_MASK)
    }

    pub(super) fn retired(&self) -> bool {
        self.rest & RETIRED != 0
    }

    pub(super) fn retire(&mut self) {
        self.rest |= RETIRED;
    }
}

/// What packed names have in common, and those that cannot be packed.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
    /// Extensions in use, such as `zip.aes`.
    tails: Vec<String>,
    odd: Vec<VolumeName>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Names {
        Names {
            prefix: prefix.to_owned(),
            tails: Vec::new(),
            odd: Vec::new(),
        }
    }

    pub(super) fn pack(&mut self, name: VolumeName, size: Option<u64>) -> Packed {
        if let Some(guid) = guid(&name) {
            let tail = match name.encryption() {
                Some(e) => format!("{}.{e}", name.compression()),
                None => name.compression().to_owned(),
            };
            let index = match self.tails.iter().position(|t| *t == tail) {
                Some(i) => Some(i),
                None if self.tails.len() < TAILS_AT_MOST => {
                    self.tails.push(tail);
                    Some(self.tails.len() - 1)
                }
                None => None,
            };
            if let Some(tail) = index.and_then(|i| u16::try_from(i).ok()) {
                let packed = Packed::new(guid, tail, size);
                if self.unpack(&packed, name.kind()).as_ref() == Some(&name) {
                    return packed;
                }
            }
        }
        let guid = odd_guid(self.odd.len());
        self.odd.push(name);
        Packed::new(guid, ODD, size)
    }

    fn odd_of(&self, packed: &Packed) -> Option<&VolumeName> {
        let index = u64::from_be_bytes(packed.guid[..8].try_into().ok()?);
        self.odd.get(usize::try_from(index).ok()?)
    }

    pub(super) fn unpack(&self, packed: &Packed, kind: VolumeKind) -> Option<VolumeName> {
        if packed.tail() == ODD {
            return self.odd_of(packed).cloned();
        }
        let tail = self.tails.get(usize::from(packed.tail()))?;
        let (letter, word) = match kind {
            VolumeKind::Dblock => ('b', "dblock"),
            VolumeKind::Dindex => ('i', "dindex"),
            VolumeKind::Dlist => return None,
        };
        VolumeName::parse(&format!(
            "{}-{letter}{}.{word}.{tail}",
            self.prefix,
            bytes::hex(&packed.guid)
        ))
    }

    /// What a packed volume is encrypted with; the outer `None` only for what was never packed.
    pub(super) fn ending(&self, packed: &Packed) -> Option<Option<&str>> {
        if packed.tail() == ODD {
            return Some(self.odd_of(packed)?.encryption());
        }
        let tail = self.tails.get(usize::from(packed.tail()))?;
        Some(tail.split_once('.').map(|(_, encryption)| encryption))
    }

    /// By what a name that is kept whole is found: the first one of this kind that `same` takes.
    pub(super) fn odd_like(
        &self,
        kind: VolumeKind,
        same: &dyn Fn(&VolumeName) -> bool,
    ) -> Option<[u8; 16]> {
        let like = |n: &VolumeName| n.kind() == kind && same(n);
        self.odd.iter().position(like).map(odd_guid)
    }
}

fn odd_guid(index: usize) -> [u8; 16] {
    let mut guid = [0; 16];
    guid[..8].copy_from_slice(&(index as u64).to_be_bytes());
    guid
}

/// The random bits of a name that has as many as a generated one.
pub(super) fn guid(name: &VolumeName) -> Option<[u8; 16]> {
    let raw = bytes::hex_decode(name.guid()?.as_bytes())?;
    raw.try_into().ok()
}
