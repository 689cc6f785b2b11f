//! The cached index: which blocks the dindexes of a listing name, and what they state of each dblock.

use crate::base::digest::Hash;
use crate::base::error::{Doing, Result};
use crate::base::tmp::Tmp;
use crate::format::names::VolumeName;
use crate::set::block_index::{BlockIndex, ID_LEN};
use crate::set::cache::{Cache, Header, put_bytes, put_u64, start_header};
use crate::set::place::{PLACE_LEN, Place};
use crate::set::volume::Expected;
use crate::set::{VolumeNo, Volumes};
use crate::spill::table::{Table, TableBuilder};

/// A cached index that fits the listing.
pub(crate) struct CachedIndex {
    pub(crate) table: Table,
    /// dindex volumes that are covered.
    pub(crate) dindexes: Vec<u32>,
}

impl Cache {
    /// True when the cached index stands on a dindex of this listing.
    pub(super) fn names_any_of(&self, volumes: &Volumes) -> bool {
        let named = || {
            let (file, _) = self.checked("index")?;
            let mut header = Header::read(&file)?;
            let index_of = index_by_name(volumes);
            for _ in 0..header.u64()? {
                let (_dblock, _size) = (header.bytes()?, header.u64()?);
                let dindex = String::from_utf8(header.bytes()?).ok()?;
                let (_size, _hash) = (header.u64()?, header.bytes()?);
                if index_of(&dindex).is_some() {
                    return Some(());
                }
            }
            None
        };
        named().is_some()
    }

    /// The index as far as it is cached, if every volume it stands on is in the listing with the same size. `Err` only for
    /// temporary files. `each` hears of a dblock, the dindex that describes it and what that says (numbers of the listing
    /// given); it counts only if the whole index is returned.
    pub(crate) fn load_index(
        &self,
        volumes: &Volumes,
        tmp: &Tmp,
        each: &mut dyn FnMut(VolumeNo, u32, Expected) -> Result<()>,
    ) -> Option<Result<CachedIndex>> {
        let (file, body) = self.checked("index")?;
        let mut header = Header::read(&file)?;
        let count = header.u64()?;
        let mut map: Vec<VolumeNo> = Vec::new();
        let mut dindexes: Vec<u32> = Vec::new();
        let index_of = index_by_name(volumes);
        for _ in 0..count {
            let dblock = VolumeName::parse(std::str::from_utf8(&header.bytes()?).ok()?)?;
            let dblock_size = header.u64()?;
            let dindex = String::from_utf8(header.bytes()?).ok()?;
            let dindex_size = header.u64()?;
            let hash = Hash::from_bytes(&header.bytes()?);
            let no = volumes.find_dblock(&dblock)?;
            if volumes.dblock(no)? != (dblock, Some(dblock_size)) {
                return None;
            }
            let at = index_of(&dindex)?;
            if volumes.dindex(at as usize)?.1 != Some(dindex_size) {
                return None;
            }
            map.push(no);
            dindexes.push(at);
            let expected = Expected {
                hash,
                size: Some(dblock_size),
            };
            if let Err(e) = each(no, at, expected) {
                return Some(Err(e));
            }
        }
        let at = header.length;
        drop(header);
        let records = body.checked_sub(at)? / PLACE_LEN as u64;
        dindexes.sort_unstable();
        dindexes.dedup();
        // A checksum is no proof: what would be looked up in other tables has to be in their bounds.
        let numbered =
            |record: &[u8]| Place::decode(record).is_some_and(|p| (p.no as usize) < map.len());
        if !body.checked_sub(at)?.is_multiple_of(PLACE_LEN as u64) {
            return None;
        }
        if map.iter().enumerate().all(|(i, &no)| i == no as usize) {
            let table = Table::adopt(file, at, records, PLACE_LEN, ID_LEN, &numbered).ok()?;
            return Some(Ok(CachedIndex { table, dindexes }));
        }
        // The file counts volumes as its header lists them; this listing counts otherwise.
        let plain = Table::adopt(file, at, records, PLACE_LEN, ID_LEN, &numbered).ok()?;
        let renumber = || {
            let mut builder = TableBuilder::without_filter(tmp, PLACE_LEN, ID_LEN)?;
            let mut reader = plain.reader();
            while let Some(record) = reader.next()? {
                let renumbered = Place::decode(record).and_then(|place| {
                    let no = *map.get(place.no as usize)?;
                    Some(Place { no, ..place })
                });
                let Some(place) = renumbered else {
                    return Ok(None);
                };
                builder.push(&place.encode())?;
            }
            builder.finish().map(Some)
        };
        match renumber() {
            Ok(Some(table)) => Some(Ok(CachedIndex { table, dindexes })),
            Ok(None) => None,
            Err(e) => Some(Err(e)),
        }
    }

    /// Remembers an index. Volumes are counted as the next listing shows them, in the order of their names; those that no
    /// dindex describes, and places in what is retired, are left out.
    pub(crate) fn store_index(&self, volumes: &Volumes, places: &BlockIndex) -> Result<()> {
        if matches!(self, Cache::Off(_)) {
            return Ok(());
        }
        let mut row = Vec::new();
        let put_row = |no: VolumeNo, row: &mut Vec<u8>| -> Option<()> {
            row.clear();
            let (dindex, expected) = (places.dindex_of(no)?, places.expected(no).ok()?);
            let (name, size) = volumes.dblock(no)?;
            let (index_name, index_size) = volumes.dindex(dindex as usize)?;
            let (size, index_size) = (size?, index_size?);
            put_bytes(row, name.as_str().as_bytes());
            put_u64(row, size);
            put_bytes(row, index_name.as_str().as_bytes());
            put_u64(row, index_size);
            put_bytes(row, expected.hash.as_ref().map_or(&[], |h| h.as_bytes()));
            Some(())
        };
        // The header's length comes first, so its rows are made twice instead of kept.
        let mut new_numbers = vec![u32::MAX; volumes.dblock_count() as usize];
        let (mut listed, mut length) = (0u32, 8u64);
        for no in volumes.dblocks_by_name() {
            if put_row(no, &mut row).is_some() {
                new_numbers[no as usize] = listed;
                listed += 1;
                length += row.len() as u64;
            }
        }
        self.write("index", &mut |out| {
            start_header(out, length)?;
            let doing = || "write the cache".to_owned();
            out.write_all(&u64::from(listed).to_be_bytes())
                .doing(doing)?;
            for no in volumes.dblocks_by_name() {
                if put_row(no, &mut row).is_some() {
                    out.write_all(&row).doing(doing)?;
                }
            }
            let mut reader = places.reader()?;
            let mut last = [0; PLACE_LEN];
            while let Some(place) = reader.next()? {
                let new = new_numbers.get(place.no as usize);
                let Some(&no) = new.filter(|&&n| n != u32::MAX) else {
                    continue;
                };
                let record = Place { no, ..place }.encode();
                // Two index volumes may say the same.
                if record == last {
                    continue;
                }
                last = record;
                out.write_all(&record).doing(doing)?;
            }
            Ok(())
        })
    }
}

/// Look-up of a dindex number by name over one listing.
fn index_by_name(volumes: &Volumes) -> impl Fn(&str) -> Option<u32> + '_ {
    move |name| {
        let name = VolumeName::parse(name)?;
        volumes.find_dindex(&name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing step fails the test")]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::rand;
    use crate::set::Owner;

    const DINDEX: &str = "duplicati-i0123456789abcdef0123456789abcdef.dindex.zip";

    fn owner(place: &str, account: &str) -> Owner {
        Owner {
            place: place.to_owned(),
            account: account.to_owned(),
        }
    }

    /// A cache whose index stands on one dindex.
    fn filled(folder: &str, owner: &Owner, dindex: &str) -> Cache {
        let cache = Cache::open(Some(folder), owner, true);
        let mut header = Vec::new();
        put_u64(&mut header, 1);
        put_bytes(&mut header, b"the dblock");
        put_u64(&mut header, 1);
        put_bytes(&mut header, dindex.as_bytes());
        put_u64(&mut header, 1);
        put_bytes(&mut header, b"");
        cache
            .write("index", &mut |out| {
                start_header(out, header.len() as u64)?;
                out.write_all(&header).doing(|| "write".to_owned())
            })
            .unwrap();
        cache
    }

    #[test]
    fn a_renamed_account_keeps_its_cache_and_nobody_else_gets_it() {
        let base = std::env::temp_dir().join(rand::hex::<8>().unwrap());
        let folder = base.to_str().unwrap();
        let mut volumes = Volumes::new("duplicati");
        volumes.add(VolumeName::parse(DINDEX).unwrap(), Some(1));
        volumes.seal();
        let other = DINDEX.replace("0123", "4567");
        for (place, account, holds, kept) in [
            ("a", "new", DINDEX, true),
            ("a", "new", other.as_str(), false),
            ("b", "new", DINDEX, false),
        ] {
            filled(folder, &owner("a", "old"), holds);
            let mut cache = Cache::open(Some(folder), &owner(place, account), true);
            cache.inherit(&volumes);
            assert_eq!(cache.names_any_of(&volumes), kept, "{place} {holds}");
            let old = Cache::open(Some(folder), &owner("a", "old"), false);
            assert_eq!(old.is_on(), !kept, "{place} {holds}");
            fs::remove_dir_all(&base).unwrap();
        }
        // One of its own is not given up for another's.
        filled(folder, &owner("a", "old"), DINDEX);
        let mut own = filled(folder, &owner("a", "new"), &other);
        own.inherit(&volumes);
        assert!(!own.names_any_of(&volumes));
        fs::remove_dir_all(&base).unwrap();
    }
}
