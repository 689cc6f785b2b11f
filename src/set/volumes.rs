//! The volumes of one listing, packed: 24 bytes a volume whose name has the generated form, the whole name otherwise.

use crate::base::bytes;
use crate::base::digest::{Algo, Hash};
use crate::format::names::{VolumeKind, VolumeName};

/// Index of a dblock in [`Volumes`]; stable as long as the listing object lives.
pub(crate) type VolumeNo = u32;

/// Size of a volume that the listing did not state.
const UNKNOWN_SIZE: u64 = u64::MAX;

/// Bits of a packed size; a volume of 256 TiB or more counts as one whose size is not stated.
const SIZE_BITS: u32 = 48;
const SIZE_MASK: u64 = (1 << SIZE_BITS) - 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    guid: [u8; 16],
    /// The tail in the upper 16 bits, the size in the lower ones.
    rest: u64,
}

impl Packed {
    fn new(guid: [u8; 16], tail: u16, size: Option<u64>) -> Packed {
        let size = size.map_or(SIZE_MASK, |s| s.min(SIZE_MASK));
        Packed {
            guid,
            rest: u64::from(tail) << SIZE_BITS | size,
        }
    }

    /// Index into `tails`, or `ODD` when `guid` starts with an index into `odd`.
    fn tail(&self) -> u16 {
        u16::try_from(self.rest >> SIZE_BITS).unwrap_or(ODD)
    }

    fn size(&self) -> Option<u64> {
        Some(self.rest & SIZE_MASK).filter(|&s| s != SIZE_MASK)
    }
}

const ODD: u16 = u16::MAX;

/// Numbers of volumes by what encrypts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) plain: u64,
    pub(super) aes: u64,
    pub(super) gpg: u64,
}

impl Sealed {
    fn add(&mut self, encryption: Option<&str>) {
        match encryption {
            None => self.plain += 1,
            Some(e) if e.eq_ignore_ascii_case("gpg") => self.gpg += 1,
            Some(_) => self.aes += 1,
        }
    }
}

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
                let packed = Packed::new(guid, tail, size);
                if self.unpack(&packed, name.kind()).as_ref() == Some(&name) {
                    return packed;
                }
            }
        }
        let mut guid = [0; 16];
        guid[..8].copy_from_slice(&(self.odd.len() as u64).to_be_bytes());
        self.odd.push(name);
        Packed::new(guid, ODD, size)
    }

    fn unpack(&self, packed: &Packed, kind: VolumeKind) -> Option<VolumeName> {
        if packed.tail() == ODD {
            let index = u64::from_be_bytes(packed.guid[..8].try_into().ok()?);
            return self.odd.get(usize::try_from(index).ok()?).cloned();
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

    /// Sorts and removes repeated names (counted).
    pub(crate) fn seal(&mut self) {
        let before = self.len();
        for list in [&mut self.dblocks, &mut self.dindexes] {
            list.sort_unstable();
            list.dedup_by(|a, b| a.tail() != ODD && (a.guid, a.tail()) == (b.guid, b.tail()));
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
        Some((self.unpack(packed, kind)?, packed.size()))
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
                    .filter(|p| p.tail() != ODD)
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
                    .position(|p| p.tail() == ODD && p.guid[..8] == index.to_be_bytes())
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
            (0..self.dindexes.len()).find(|&i| self.dindexes[i].tail() == ODD && same(i))
        });
        found.and_then(|i| u32::try_from(i).ok())
    }

    /// How many volumes are encrypted, and with what, by their names.
    pub(super) fn sealed(&self) -> Sealed {
        let mut sealed = Sealed::default();
        let packed = self.dblocks.iter().chain(&self.dindexes);
        for end in packed.filter_map(|p| self.ending(p)) {
            sealed.add(end);
        }
        for (name, _) in &self.dlists {
            sealed.add(name.encryption());
        }
        sealed
    }

    /// What a packed volume is encrypted with; the outer `None` only for what was never packed.
    fn ending(&self, packed: &Packed) -> Option<Option<&str>> {
        if packed.tail() == ODD {
            let index = u64::from_be_bytes(packed.guid[..8].try_into().ok()?);
            let name = self.odd.get(usize::try_from(index).ok()?)?;
            return Some(name.encryption());
        }
        let tail = self.tails.get(usize::from(packed.tail()))?;
        Some(tail.split_once('.').map(|(_, encryption)| encryption))
    }

    /// The `most` smallest encrypted volumes of a known size, smallest first.
    pub(super) fn smallest_sealed(&self, most: usize) -> Vec<(VolumeName, u64)> {
        let mut found: Vec<(u64, VolumeName)> = Vec::new();
        let mut offer = |size: u64, name: &dyn Fn() -> Option<VolumeName>| {
            if found.len() == most && found.last().is_none_or(|(largest, _)| *largest <= size) {
                return;
            }
            if let Some(name) = name().filter(|n| n.encryption().is_some()) {
                let at = found.partition_point(|(s, _)| *s <= size);
                found.insert(at, (size, name));
                found.truncate(most);
            }
        };
        for (list, kind) in [
            (&self.dblocks, VolumeKind::Dblock),
            (&self.dindexes, VolumeKind::Dindex),
        ] {
            for packed in list {
                if let Some(size) = packed.size() {
                    offer(size, &|| self.unpack(packed, kind));
                }
            }
        }
        for (name, size) in &self.dlists {
            if let Some(size) = size {
                offer(*size, &|| Some(name.clone()));
            }
        }
        found.into_iter().map(|(size, name)| (name, size)).collect()
    }

    /// Takes all volumes out that are not encrypted; `each` hears their names.
    pub(super) fn drop_plain(&mut self, each: &mut dyn FnMut(&VolumeName)) {
        for kind in [VolumeKind::Dblock, VolumeKind::Dindex] {
            let list = match kind {
                VolumeKind::Dblock => &mut self.dblocks,
                _ => &mut self.dindexes,
            };
            let all = std::mem::take(list);
            let (plain, kept): (Vec<Packed>, Vec<Packed>) =
                all.into_iter().partition(|p| self.ending(p) == Some(None));
            for name in plain.iter().filter_map(|p| self.unpack(p, kind)) {
                each(&name);
            }
            match kind {
                VolumeKind::Dblock => self.dblocks = kept,
                _ => self.dindexes = kept,
            }
        }
        self.dlists.retain(|(name, _)| {
            let keep = name.encryption().is_some();
            if !keep {
                each(name);
            }
            keep
        });
    }

    /// Digest of all names and sizes, independent of the order of the listing.
    pub(crate) fn state(&self) -> Hash {
        self.sum().finish()
    }

    /// The state as a sum to which more volumes can be added.
    pub(crate) fn sum(&self) -> StateSum {
        let mut sum = StateSum::default();
        let mut each = |name: &VolumeName, size: Option<u64>| sum.add(name, size);
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
        sum
    }
}

/// The state of a listing while its volumes are added: a sum of digests, so that it does not depend on their order.
#[derive(Default)]
pub(crate) struct StateSum([u8; 32]);

impl StateSum {
    pub(crate) fn add(&mut self, name: &VolumeName, size: Option<u64>) {
        let mut h = Algo::Sha256.hasher();
        h.update(name.as_str().as_bytes());
        h.update(&[0]);
        h.update(&size.unwrap_or(UNKNOWN_SIZE).to_be_bytes());
        let digest = h.finish();
        let mut carry = 0u16;
        for (s, d) in self.0.iter_mut().rev().zip(digest.as_bytes().iter().rev()) {
            let total = u16::from(*s) + u16::from(*d) + carry;
            *s = total.to_be_bytes()[1];
            carry = total >> 8;
        }
    }

    pub(crate) fn finish(&self) -> Hash {
        Algo::Sha256.hash(&self.0)
    }
}

/// Where volumes lie in a listing that grew by others: numbers of the added ones, ascending, each with what it is known by.
pub(crate) struct Added(Vec<(u32, u32)>);

impl Added {
    /// From the numbers that the added volumes have now, in the order they are known by.
    pub(crate) fn new(numbers: impl Iterator<Item = u32>) -> Added {
        let mut added: Vec<(u32, u32)> = numbers.zip(0..).collect();
        added.sort_unstable();
        Added(added)
    }

    /// The number now of a volume that was there before.
    pub(crate) fn renumber(&self, old: u32) -> u32 {
        let (mut lo, mut hi) = (0, self.0.len());
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            // The volumes from before that lie before this added one.
            if u64::from(self.0[middle].0) <= u64::from(old) + middle as u64 {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        old.saturating_add(u32::try_from(lo).unwrap_or(u32::MAX))
    }

    /// What an added volume is known by, or the number before of one that was there.
    pub(crate) fn origin(&self, new: u32) -> Result<u32, u32> {
        match self.0.binary_search_by_key(&new, |a| a.0) {
            Ok(at) => Ok(self.0[at].1),
            Err(before) => Err(new - u32::try_from(before).unwrap_or(new)),
        }
    }
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
        let sealed = v.sealed();
        assert_eq!((sealed.plain, sealed.aes, sealed.gpg), (1, 5, 0));
    }

    #[test]
    fn what_is_not_encrypted_is_taken_out_by_name() {
        let mut v = sample();
        for text in [
            "duplicati-b00000000000000000000000000000003.dblock.zip",
            "duplicati-i00000000000000000000000000000003.dindex.zip",
            "duplicati-20260101T000000Z.dlist.zip",
            "duplicati-20260102T000000Z.dlist.zip.gpg",
        ] {
            v.add(name(text), Some(1));
        }
        v.seal();
        let mut out = Vec::new();
        v.drop_plain(&mut |n| out.push(n.as_str().to_owned()));
        out.sort();
        assert_eq!(
            out,
            [
                "duplicati-20260101T000000Z.dlist.zip",
                "duplicati-b00000000000000000000000000000003.dblock.zip",
                "duplicati-babc.dblock.zip",
                "duplicati-i00000000000000000000000000000003.dindex.zip",
            ]
        );
        assert_eq!((v.dblock_count(), v.dindex_count()), (2, 1));
        let sealed = v.sealed();
        assert_eq!((sealed.plain, sealed.aes, sealed.gpg), (0, 5, 1));
        let sizes = |n| v.smallest_sealed(n).iter().map(|s| s.1).collect::<Vec<_>>();
        assert_eq!((sizes(0), sizes(2)), (vec![], vec![1, 1]));
        assert_eq!(sizes(9), [1, 1, 2, 5, 7, 8]);
        let gone = name("duplicati-b00000000000000000000000000000003.dblock.zip.aes");
        assert_eq!(v.find_dblock(&gone), None);
        let odd = name("duplicati-babc.dblock.zip");
        assert_eq!(v.find_dblock(&odd), None);
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
        let last = name("duplicati-20240101T000000Z.dlist.zip.aes");
        for (size, same) in [(Some(7), true), (Some(6), false), (None, false)] {
            let mut sum = other.sum();
            sum.add(&last, size);
            assert_eq!(v.state() == sum.finish(), same, "{size:?}");
        }
        other.add(last, Some(7));
        other.seal();
        assert_eq!(v.state(), other.state());
    }

    #[test]
    fn a_volume_takes_24_bytes_and_keeps_its_size() {
        assert_eq!(size_of::<Packed>(), 24);
        for (size, want) in [
            (Some(0), Some(0)),
            (Some((1 << 48) - 2), Some((1 << 48) - 2)),
            (Some(1 << 48), None),
            (Some(u64::MAX), None),
            (None, None),
        ] {
            let packed = Packed::new([1; 16], 7, size);
            assert_eq!((packed.tail(), packed.size()), (7, want));
        }
        assert_eq!(Packed::new([1; 16], ODD, None).tail(), ODD);
    }

    #[test]
    fn a_grown_listing_gives_every_volume_its_new_number() {
        let mut seed = 1u64;
        let mut guid = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few first octets, so that some volumes are next to each other.
            format!("{:02x}{:030x}", seed >> 60, seed >> 20)
        };
        for (before, more) in [(0, 0), (0, 5), (5, 0), (1, 1), (40, 3), (3, 40), (50, 50)] {
            let mut named = |n: usize| -> Vec<VolumeName> {
                (0..n)
                    .map(|_| name(&format!("duplicati-b{}.dblock.zip", guid())))
                    .collect()
            };
            let (old, added) = (named(before), named(more));
            let mut v = Volumes::new("duplicati");
            for n in &old {
                v.add(n.clone(), Some(1));
            }
            v.seal();
            let at: Vec<VolumeName> = (0..v.dblock_count())
                .map(|no| v.dblock(no).expect("there").0)
                .collect();
            for n in &added {
                v.add(n.clone(), Some(2));
            }
            v.seal();
            let numbers: Vec<u32> = added
                .iter()
                .map(|n| v.find_dblock(n).expect("added"))
                .collect();
            let moved = Added::new(numbers.iter().copied());
            for (no, n) in (0..).zip(&at) {
                let new = v.find_dblock(n).expect("there before");
                assert_eq!((moved.renumber(no), moved.origin(new)), (new, Err(no)));
            }
            for (i, &new) in (0..).zip(&numbers) {
                assert_eq!(moved.origin(new), Ok(i));
            }
        }
    }
}
