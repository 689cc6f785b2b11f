//! The walk of references over versions that a writer made.

use super::*;
use crate::base::digest::BlockKey;
use crate::set::{Needed, Owners};

/// Keys of the blocks of a file, and whether each is a blocklist.
fn keys_of(n: u64) -> Vec<(BlockKey, bool)> {
    let data = block(n, if n >= 50 { 3000 } else { 400 });
    let key = |part: &[u8]| {
        BlockKey::new(
            &Algo::Sha256.hash(part),
            u32::try_from(part.len()).expect("short"),
        )
    };
    let mut keys: Vec<_> = data.chunks(1024).map(|part| (key(part), false)).collect();
    if keys.len() > 1 {
        let ids = data.chunks(1024).map(|part| Algo::Sha256.hash(part));
        let list: Vec<u8> = ids.flat_map(|i| i.as_bytes().to_vec()).collect();
        keys.push((key(&list), true));
    }
    keys.push((key(&block(1000 + n, 100)), false));
    keys
}

#[test]
fn the_walk_of_references_tells_what_versions_need_and_what_is_unknown() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let mut ui = Ui::silent();
    build(&base.0, &tmp, &mut ui);
    // Numbers count from the newest.
    let files_of = |version: usize| VERSIONS[2 - version];
    for versions in [&[0][..], &[1], &[2], &[1, 0], &[0, 1, 2]] {
        for owners in [Owners::One, Owners::Path] {
            let mut set = set(&base.0, &Rc::default(), &tmp, &mut ui);
            let mut got = Vec::new();
            let mut last = None;
            set.needs(&mut ui, versions, owners, &mut |needed| {
                let Needed::Block(key, need) = needed else {
                    panic!("everything is there");
                };
                assert!(last.is_none_or(|l| l <= *key));
                last = Some(*key);
                let numbers = files_of(need.version);
                let entry = usize::try_from(need.entry).expect("few");
                let mut sorted: Vec<String> = numbers.iter().map(|&n| path(n)).collect();
                sorted.sort();
                let file = numbers.iter().find(|&&n| path(n) == sorted[entry]);
                let of = keys_of(*file.expect("an entry"));
                assert!(of.contains(&(*key, need.offset.is_none())));
                let is_meta = of.last().expect("metadata").0 == *key;
                assert_eq!(need.meta, is_meta);
                got.push((*key, need.offset.is_none()));
                Ok(())
            })
            .expect("walked");
            let mut numbers: Vec<u64> = versions
                .iter()
                .flat_map(|&v| files_of(v).to_vec())
                .collect();
            // Every file has a content of its own.
            numbers.sort_unstable();
            numbers.dedup();
            let mut want: Vec<_> = numbers.into_iter().flat_map(keys_of).collect();
            want.sort();
            got.sort();
            assert_eq!(got, want, "{versions:?} {owners:?}");
        }
    }
    // The oldest volume holds the blocklist of a file of two versions, and its only copy lies in its index.
    let mut set = set(&base.0, &Rc::default(), &tmp, &mut ui);
    let mut w = Writer::begin(&mut set, None, WRITE).expect("begins");
    let list = keys_of(50)[3].0;
    let places = &mut w.index(&mut ui).expect("an index").0;
    let id = Hash::from_bytes(&list.as_bytes()[..32]).expect("an id");
    let (no, _) = places.find_id(&id).expect("looked up")[0];
    let name = w.set.volumes().dblock(no).expect("listed").0;
    let dindex = places_dindex(&mut w, &mut ui, no);
    for name in [name.as_str(), dindex.as_str()] {
        fs::remove_file(base.0.join(name)).expect("removed");
    }
    let mut set = self::set(&base.0, &Rc::default(), &tmp, &mut ui);
    let mut unknown = Vec::new();
    set.needs(&mut ui, &[0, 1, 2], Owners::Path, &mut |needed| {
        if let Needed::Unknown(need) = needed {
            unknown.push((need.version, need.entry, need.meta));
        }
        Ok(())
    })
    .expect("walked");
    unknown.sort_unstable();
    assert_eq!(unknown, [(1, 2, false)]);
}

/// Name of the dindex that describes a dblock.
fn places_dindex(w: &mut Writer<'_>, ui: &mut Ui, no: u32) -> String {
    let dindex = w.index(ui).expect("an index").0.dindex_of(no);
    let dindex = dindex.expect("described") as usize;
    let (name, _) = w.set.volumes().dindex(dindex).expect("listed");
    name.as_str().to_owned()
}
