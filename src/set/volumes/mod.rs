//! The volumes of one listing, packed: 24 bytes a volume whose name has the generated form, the whole name otherwise; 4 more
//! for those that this run adds.

mod kept;
mod packed;
mod state;

use crate::base::digest::Hash;
use crate::base::text::count;
use crate::format::names::{VolumeKind, VolumeName};
use kept::Kept;
use packed::{Names, ODD, Packed, guid};
pub(crate) use state::StateSum;

/// Number of a dblock in [`Volumes`]: given when this run sees it first, and its own for as long as the run lives, whatever is
/// added to the listing or taken away.
pub(crate) type VolumeNo = u32;

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

/// All dblocks, dindexes and dlists with one prefix: those of the listing, and what the run adds and takes away.
#[derive(Clone)]
pub(crate) struct Volumes {
    names: Names,
    dblocks: Kept,
    dindexes: Kept,
    /// Newest first.
    dlists: Vec<(VolumeName, Option<u64>)>,
    /// Names that came more than once.
    pub(crate) repeated: u64,
}

impl Volumes {
    pub(crate) fn new(prefix: &str) -> Volumes {
        Volumes {
            names: Names::new(prefix),
            dblocks: Kept::default(),
            dindexes: Kept::default(),
            dlists: Vec::new(),
            repeated: 0,
        }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.names.prefix
    }

    /// Adds a volume of this prefix. Call [`Volumes::seal`] after the last. Names that are added after the first call are new
    /// ones: the caller made them.
    pub(crate) fn add(&mut self, name: VolumeName, size: Option<u64>) {
        match name.kind() {
            VolumeKind::Dlist => self.dlists.push((name, size)),
            VolumeKind::Dblock => self.dblocks.add(self.names.pack(name, size)),
            VolumeKind::Dindex => self.dindexes.add(self.names.pack(name, size)),
        }
    }

    /// Makes what was added findable. Of repeated names in the listing one stays (counted). Numbers given before stay.
    pub(crate) fn seal(&mut self) {
        let before = self.len();
        self.dblocks.seal();
        self.dindexes.seal();
        self.dlists
            .sort_by(|a, b| b.0.time().cmp(&a.0.time()).then_with(|| a.0.cmp(&b.0)));
        self.dlists.dedup_by(|a, b| a.0 == b.0);
        self.repeated += (before - self.len()) as u64;
    }

    /// Volumes of all kinds that are there.
    pub(crate) fn len(&self) -> usize {
        self.dblocks.iter().count() + self.dindexes.iter().count() + self.dlists.len()
    }

    /// What is to be said where there are volumes but not one list of files.
    pub(crate) fn listless(&self) -> Option<String> {
        let counts = [self.dblocks.iter().count(), self.dindexes.iter().count()];
        let [blocks, index] = counts.map(|n| n as u64);
        let any = self.dlists.is_empty() && blocks + index > 0;
        any.then(|| {
            let (blocks, index) = (count(blocks, "dblock"), count(index, "index volume"));
            format!(
                "there is the list of no version, but {blocks} and {index}: a first backup that did not end, or lists (dlist) that are gone"
            )
        })
    }

    /// Numbers of dblocks are below this, those of retired ones included.
    pub(crate) fn dblock_count(&self) -> u32 {
        self.dblocks.count()
    }

    /// Numbers of dindexes are below this, those of retired ones included.
    pub(crate) fn dindex_count(&self) -> usize {
        self.dindexes.count() as usize
    }

    /// Name and listed size; `None` for a retired one.
    pub(crate) fn dblock(&self, no: VolumeNo) -> Option<(VolumeName, Option<u64>)> {
        self.named(self.dblocks.get(no)?, VolumeKind::Dblock)
    }

    /// Name and listed size; `None` for a retired one.
    pub(crate) fn dindex(&self, i: usize) -> Option<(VolumeName, Option<u64>)> {
        let packed = self.dindexes.get(u32::try_from(i).ok()?)?;
        self.named(packed, VolumeKind::Dindex)
    }

    fn named(&self, packed: &Packed, kind: VolumeKind) -> Option<(VolumeName, Option<u64>)> {
        Some((self.names.unpack(packed, kind)?, packed.size()))
    }

    /// Numbers of the dblocks that are there, in the order of their names.
    pub(super) fn dblocks_by_name(&self) -> impl Iterator<Item = VolumeNo> {
        self.dblocks.by_name()
    }

    /// Newest first.
    pub(crate) fn dlists(&self) -> &[(VolumeName, Option<u64>)] {
        &self.dlists
    }

    /// The dblock that a dindex means by `name`: the very name, else one with the same guid and other extensions (R8).
    pub(crate) fn find_dblock(&self, name: &VolumeName) -> Option<VolumeNo> {
        let packed = guid(name).and_then(|guid| {
            let whole = |no: &u32| self.dblocks.get(*no).is_some_and(|p| p.tail() != ODD);
            let same = || self.dblocks.with_guid(guid).filter(whole);
            let exact = same().find(|&no| self.dblock(no).is_some_and(|(n, _)| n == *name));
            exact.or_else(|| same().next())
        });
        packed.or_else(|| {
            let id = name.guid()?;
            let odd = |same: &dyn Fn(&VolumeName) -> bool| self.odd(VolumeKind::Dblock, same);
            odd(&|n| n == name)
                .or_else(|| odd(&|n| n.guid().is_some_and(|g| g.eq_ignore_ascii_case(id))))
        })
    }

    /// The number of the dindex with this very name.
    pub(crate) fn find_dindex(&self, name: &VolumeName) -> Option<u32> {
        let same = |no: &u32| self.dindex(*no as usize).is_some_and(|(n, _)| n == *name);
        let packed = guid(name).and_then(|guid| self.dindexes.with_guid(guid).find(same));
        packed.or_else(|| self.odd(VolumeKind::Dindex, &|n| n == name))
    }

    /// The volume whose name could not be packed and that `same` takes.
    fn odd(&self, kind: VolumeKind, same: &dyn Fn(&VolumeName) -> bool) -> Option<u32> {
        let kept = match kind {
            VolumeKind::Dblock => &self.dblocks,
            _ => &self.dindexes,
        };
        let at = self.names.odd_like(kind, same)?;
        let odd = |no: &u32| kept.get(*no).is_some_and(|p| p.tail() == ODD);
        kept.with_guid(at).find(odd)
    }

    /// Marks a dblock as gone from the destination. Its number is not given again.
    pub(crate) fn retire_dblock(&mut self, no: VolumeNo) {
        self.dblocks.retire(no);
    }

    /// Marks a dindex as gone from the destination. Its number is not given again.
    pub(crate) fn retire_dindex(&mut self, no: u32) {
        self.dindexes.retire(no);
    }

    /// Takes up the dblocks and dindexes of a listing that came later. Numbers stay; what this run knew of and the listing does
    /// not have, or has in another size, is retired.
    pub(super) fn complete(&mut self, all: &Volumes) {
        for no in 0..self.dblock_count() {
            let listed = |name: &VolumeName| all.dblock(all.find_dblock(name)?);
            if let Some((name, size)) = self.dblock(no)
                && listed(&name).is_none_or(|(n, s)| n != name || s.is_some() && s != size)
            {
                self.retire_dblock(no);
            }
        }
        for (name, size) in (0..all.dblock_count()).filter_map(|no| all.dblock(no)) {
            if self.dblock_called(&name).is_none() {
                self.add(name, size);
            }
        }
        for (name, size) in (0..all.dindex_count()).filter_map(|i| all.dindex(i)) {
            self.add(name, size);
        }
        self.seal();
    }

    /// The number of the dblock with this very name.
    pub(super) fn dblock_called(&self, name: &VolumeName) -> Option<VolumeNo> {
        let no = self.find_dblock(name)?;
        self.dblock(no)
            .is_some_and(|(n, _)| n == *name)
            .then_some(no)
    }

    /// Takes the version with this name out: it is gone from the destination. Versions are numbered anew.
    pub(crate) fn retire_dlist(&mut self, name: &VolumeName) {
        self.dlists.retain(|(n, _)| n != name);
    }

    /// How many volumes are encrypted, and with what, by their names.
    pub(super) fn sealed(&self) -> Sealed {
        let mut sealed = Sealed::default();
        let packed = self.dblocks.iter().chain(self.dindexes.iter());
        for end in packed.filter_map(|p| self.names.ending(p)) {
            sealed.add(end);
        }
        for (name, _) in &self.dlists {
            sealed.add(name.encryption());
        }
        sealed
    }

    /// The `most` smallest encrypted volumes of a known size, smallest first.
    pub(crate) fn smallest_sealed(&self, most: usize) -> Vec<(VolumeName, u64)> {
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
            for packed in list.iter() {
                if let Some(size) = packed.size() {
                    offer(size, &|| self.names.unpack(packed, kind));
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

    /// Takes all volumes out that are not encrypted; `each` hears their names. For a listing whose numbers nobody knows yet.
    pub(super) fn drop_plain(&mut self, each: &mut dyn FnMut(&VolumeName)) {
        let names = &self.names;
        for (kept, kind) in [
            (&mut self.dblocks, VolumeKind::Dblock),
            (&mut self.dindexes, VolumeKind::Dindex),
        ] {
            kept.remove(&mut |packed| {
                let plain = names.ending(packed) == Some(None);
                if let Some(name) = names.unpack(packed, kind).filter(|_| plain) {
                    each(&name);
                }
                plain
            });
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
        for i in 0..self.dindex_count() {
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

#[cfg(test)]
mod tests;
