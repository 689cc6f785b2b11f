//! The volumes of one listing, packed: 32 bytes a volume whose name has the generated form, the whole name otherwise.

use crate::base::bytes;
use crate::base::digest::{Algo, Hash};
use crate::format::names::{VolumeKind, VolumeName};

/// Index of a dblock in [`Volumes`]; stable as long as the listing object lives.
pub(crate) type VolumeNo = u32;

/// Size of a volume that the listing did not state.
const UNKNOWN_SIZE: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    guid: [u8; 16],
    /// Index into `tails`, or `ODD` when `guid` starts with an index into `odd`.
    tail: u16,
    size: u64,
}

const ODD: u16 = u16::MAX;

/// All dblocks, dindexes and dlists with one prefix. Built once by a listing, then read-only.
pub(crate) struct Volumes {
    prefix: String,
    /// Extensions in use, such as `zip.aes`.
    tails: Vec<String>,
    odd: Vec<VolumeName>,
    dblocks: Vec<Packed>,
    dindexes: Vec<Packed>,
    /// Newest first.
    dlists: Vec<(VolumeName, Option<u64>)>,
    /// Names that came more than once.
    pub(crate) repeated: u64,
}

impl Volumes {
    pub(crate) fn new(prefix: &str) -> Volumes {
        Volumes {
            prefix: prefix.to_owned(),
            tails: Vec::new(),
            odd: Vec::new(),
            dblocks: Vec::new(),
            dindexes: Vec::new(),
            dlists: Vec::new(),
            repeated: 0,
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Adds a listed volume of this prefix. Call [`Volumes::seal`] after the last.
    pub(crate) fn add(&mut self, name: VolumeName, size: Option<u64>) {
        match name.kind() {
            VolumeKind::Dlist => self.dlists.push((name, size)),
            VolumeKind::Dblock => {
                let packed = self.pack(name, size);
                self.dblocks.push(packed);
            }
            VolumeKind::Dindex => {
                let packed = self.pack(name, size);
                self.dindexes.push(packed);
            }
        }
    }

    fn pack(&mut self, name: VolumeName, size: Option<u64>) -> Packed {
        let size = size.unwrap_or(UNKNOWN_SIZE);
        let guid = name
            .guid()
            .filter(|g| g.len() == 32)
            .and_then(|g| bytes::hex_decode(g.as_bytes()));
        if let Some(guid) = guid.and_then(|g| <[u8; 16]>::try_from(g).ok()) {
            let tail = match name.encryption() {
                Some(e) => format!("{}.{e}", name.compression()),
                None => name.compression().to_owned(),
            };
            let index = match self.tails.iter().position(|t| *t == tail) {
                Some(i) => Some(i),
                None if self.tails.len() < 100 => {
                    self.tails.push(tail);
                    Some(self.tails.len() - 1)
                }
                None => None,
            };
            if let Some(tail) = index.and_then(|i| u16::try_from(i).ok()) {
                let packed = Packed { guid, tail, size };
                if self.unpack(&packed, name.kind()).as_ref() == Some(&name) {
                    return packed;
                }
            }
        }
        let mut guid = [0; 16];
        guid[..8].copy_from_slice(&(self.odd.len() as u64).to_be_bytes());
        self.odd.push(name);
        Packed {
            guid,
            tail: ODD,
            size,
        }
    }

    fn unpack(&self, packed: &Packed, kind: VolumeKind) -> Option<VolumeName> {
        if packed.tail == ODD {
            let index = u64::from_be_bytes(packed.guid[..8].try_into().ok()?);
            return self.odd.get(usize::try_from(index).ok()?).cloned();
        }
        let tail = self.tails.get(usize::from(packed.tail))?;
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

    /// Sorts and removes repeated names (counted).
    pub(crate) fn seal(&mut self) {
        let before = self.len();
        for list in [&mut self.dblocks, &mut self.dindexes] {
            list.sort_unstable();
            list.dedup_by(|a, b| a.tail != ODD && (a.guid, a.tail) == (b.guid, b.tail));
            list.shrink_to_fit();
        }
        self.dlists
            .sort_by(|a, b| b.0.time().cmp(&a.0.time()).then_with(|| a.0.cmp(&b.0)));
        self.dlists.dedup_by(|a, b| a.0 == b.0);
        self.repeated = (before - self.len()) as u64;
    }

    /// Volumes of all kinds.
    pub(crate) fn len(&self) -> usize {
        self.dblocks.len() + self.dindexes.len() + self.dlists.len()
    }

    pub(crate) fn dblock_count(&self) -> u32 {
        u32::try_from(self.dblocks.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn dindex_count(&self) -> usize {
        self.dindexes.len()
    }

    pub(crate) fn dblock(&self, no: VolumeNo) -> Option<(VolumeName, Option<u64>)> {
        self.named(self.dblocks.get(no as usize)?, VolumeKind::Dblock)
    }

    pub(crate) fn dindex(&self, i: usize) -> Option<(VolumeName, Option<u64>)> {
        self.named(self.dindexes.get(i)?, VolumeKind::Dindex)
    }

    fn named(&self, packed: &Packed, kind: VolumeKind) -> Option<(VolumeName, Option<u64>)> {
        Some((self.unpack(packed, kind)?, known(packed.size)))
    }

    /// Newest first.
    pub(crate) fn dlists(&self) -> &[(VolumeName, Option<u64>)] {
        &self.dlists
    }

    /// The dblock that a dindex means by `name`: the very name, else one with the same guid and other extensions (R8).
    pub(crate) fn find_dblock(&self, name: &VolumeName) -> Option<VolumeNo> {
        let raw = name.guid().and_then(|g| bytes::hex_decode(g.as_bytes()));
        let found = raw
            .and_then(|g| <[u8; 16]>::try_from(g).ok())
            .and_then(|guid| {
                let first = self.dblocks.partition_point(|p| p.guid < guid);
                let same = self.dblocks[first..]
                    .iter()
                    .take_while(|p| p.guid == guid)
                    .filter(|p| p.tail != ODD)
                    .count();
                let exact = (first..first + same).find(|&i| {
                    self.unpack(&self.dblocks[i], VolumeKind::Dblock).as_ref() == Some(name)
                });
                exact.or((same > 0).then_some(first))
            });
        let found = found.or_else(|| {
            let odd = |same: &dyn Fn(&VolumeName) -> bool| {
                let odd = |n: &VolumeName| n.kind() == VolumeKind::Dblock && same(n);
                let index = self.odd.iter().position(odd)? as u64;
                self.dblocks
                    .iter()
                    .position(|p| p.tail == ODD && p.guid[..8] == index.to_be_bytes())
            };
            let guid = name.guid()?;
            odd(&|n| n == name)
                .or_else(|| odd(&|n| n.guid().is_some_and(|g| g.eq_ignore_ascii_case(guid))))
        });
        found.and_then(|i| u32::try_from(i).ok())
    }

    /// The number of the dindex with this very name.
    pub(crate) fn find_dindex(&self, name: &VolumeName) -> Option<u32> {
        let raw = name.guid().and_then(|g| bytes::hex_decode(g.as_bytes()));
        let same = |i: usize| self.dindex(i).is_some_and(|(n, _)| n == *name);
        let by_guid = raw
            .and_then(|g| <[u8; 16]>::try_from(g).ok())
            .and_then(|guid| {
                let first = self.dindexes.partition_point(|p| p.guid < guid);
                (first..self.dindexes.len())
                    .take_while(|&i| self.dindexes[i].guid == guid)
                    .find(|&i| same(i))
            });
        let found = by_guid.or_else(|| {
            (0..self.dindexes.len()).find(|&i| self.dindexes[i].tail == ODD && same(i))
        });
        found.and_then(|i| u32::try_from(i).ok())
    }

    /// True when any volume's name says that it is encrypted.
    pub(crate) fn any_encrypted(&self) -> bool {
        self.tails.iter().any(|t| t.contains('.'))
            || self.odd.iter().any(|n| n.encryption().is_some())
            || self.dlists.iter().any(|d| d.0.encryption().is_some())
    }

    /// Digest of all names and sizes, independent of the order of the listing.
    pub(crate) fn state(&self) -> Hash {
        let mut sum = [0u8; 32];
        let mut each =
            |name: &VolumeName, size: Option<u64>| add_state(&mut sum, name.as_str(), size);
        for no in 0..self.dblock_count() {
            if let Some((name, size)) = self.dblock(no) {
                each(&name, size);
            }
        }
        for i in 0..self.dindexes.len() {
            if let Some((name, size)) = self.dindex(i) {
                each(&name, size);
            }
        }
        for (name, size) in &self.dlists {
            each(name, *size);
        }
        Algo::Sha256.hash(&sum)
    }

    /// This listing once `more` volumes were added to it. Numbers change.
    pub(crate) fn with(&self, more: &[(VolumeName, u64)]) -> Volumes {
        let mut all = Volumes::new(&self.prefix);
        all.tails.clone_from(&self.tails);
        all.odd.clone_from(&self.odd);
        all.dblocks.clone_from(&self.dblocks);
        all.dindexes.clone_from(&self.dindexes);
        all.dlists.clone_from(&self.dlists);
        for (name, size) in more {
            all.add(name.clone(), Some(*size));
        }
        all.seal();
        all
    }
}

/// A sum of digests does not depend on order, so that neither does the state.
fn add_state(sum: &mut [u8; 32], name: &str, size: Option<u64>) {
    let mut h = Algo::Sha256.hasher();
    h.update(name.as_bytes());
    h.update(&[0]);
    h.update(&size.unwrap_or(UNKNOWN_SIZE).to_be_bytes());
    let digest = h.finish();
    let mut carry = 0u16;
    for (s, d) in sum.iter_mut().rev().zip(digest.as_bytes().iter().rev()) {
        let total = u16::from(*s) + u16::from(*d) + carry;
        *s = total.to_be_bytes()[1];
        carry = total >> 8;
    }
}

fn known(size: u64) -> Option<u64> {
    (size != UNKNOWN_SIZE).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> VolumeName {
        VolumeName::parse(text).expect("a volume name")
    }

    fn sample() -> Volumes {
        let mut v = Volumes::new("duplicati");
        v.add(
            name("duplicati-b00000000000000000000000000000002.dblock.zip.aes"),
            Some(2),
        );
        v.add(
            name("duplicati-b00000000000000000000000000000001.dblock.zip.aes"),
            Some(1),
        );
        v.add(name("duplicati-babc.dblock.zip"), None);
        v.add(
            name("duplicati-i00000000000000000000000000000001.dindex.zip.aes"),
            Some(5),
        );
        v.add(name("duplicati-20240101T000000Z.dlist.zip.aes"), Some(7));
        v.add(name("duplicati-20250101T000000Z.dlist.zip.aes"), Some(8));
        v.add(name("duplicati-20250101T000000Z.dlist.zip.aes"), Some(8));
        v.seal();
        v
    }

    #[test]
    fn names_come_back_and_repeats_are_counted() {
        let v = sample();
        assert_eq!(
            (
                v.dblock_count(),
                v.dindex_count(),
                v.dlists().len(),
                v.repeated
            ),
            (3, 1, 2, 1)
        );
        assert_eq!(
            v.dlists()[0].0.as_str(),
            "duplicati-20250101T000000Z.dlist.zip.aes"
        );
        let mut all: Vec<String> = (0..3)
            .map(|i| v.dblock(i).expect("there").0.as_str().to_owned())
            .collect();
        all.sort();
        assert_eq!(
            all,
            [
                "duplicati-b00000000000000000000000000000001.dblock.zip.aes",
                "duplicati-b00000000000000000000000000000002.dblock.zip.aes",
                "duplicati-babc.dblock.zip"
            ]
        );
        assert!(v.any_encrypted());
    }

    #[test]
    fn a_dblock_is_found_by_name_or_by_guid() {
        let v = sample();
        let at = |t: &str| {
            v.find_dblock(&name(t))
                .and_then(|no| v.dblock(no))
                .map(|(_, s)| s)
        };
        assert_eq!(
            at("duplicati-b00000000000000000000000000000002.dblock.zip.aes"),
            Some(Some(2))
        );
        assert_eq!(
            at("duplicati-b00000000000000000000000000000002.dblock.zip"),
            Some(Some(2))
        );
        assert_eq!(at("duplicati-babc.dblock.zip"), Some(None));
        assert_eq!(
            at("duplicati-b00000000000000000000000000000003.dblock.zip"),
            None
        );
    }

    #[test]
    fn the_state_ignores_order_and_sees_every_change() {
        let v = sample();
        let mut other = Volumes::new("duplicati");
        other.add(name("duplicati-20250101T000000Z.dlist.zip.aes"), Some(8));
        other.add(name("duplicati-babc.dblock.zip"), None);
        other.add(
            name("duplicati-b00000000000000000000000000000001.dblock.zip.aes"),
            Some(1),
        );
        other.add(
            name("duplicati-b00000000000000000000000000000002.dblock.zip.aes"),
            Some(2),
        );
        other.add(
            name("duplicati-i00000000000000000000000000000001.dindex.zip.aes"),
            Some(5),
        );
        other.seal();
        assert_ne!(v.state(), other.state());
        let grown = other.with(&[(name("duplicati-20240101T000000Z.dlist.zip.aes"), 7)]);
        assert_eq!(v.state(), grown.state());
        let resized = other.with(&[(name("duplicati-20240101T000000Z.dlist.zip.aes"), 6)]);
        assert_ne!(v.state(), resized.state());
    }
}
