//! Numbers, names and states of volumes.

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

/// Numbers stay and names are found, however often the listing grows and whatever is taken away.
#[test]
fn a_volume_keeps_its_number_when_the_listing_grows_and_shrinks() {
    let mut seed = 1u64;
    let mut guid = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Few first octets, so that some volumes are next to each other.
        format!("{:02x}{:030x}", seed >> 60, seed >> 20)
    };
    for (before, more) in [(0, 0), (0, 5), (5, 0), (1, 1), (40, 3), (3, 40), (50, 50)] {
        let mut named = |n: usize, kind: &str| -> Vec<VolumeName> {
            let (letter, word) = (&kind[1..2], kind);
            (0..n)
                .map(|i| match i % 7 {
                    6 => name(&format!("duplicati-{letter}{}.{word}.zip", &guid()[23..])),
                    _ => name(&format!("duplicati-{letter}{}.{word}.zip", guid())),
                })
                .collect()
        };
        let mut v = Volumes::new("duplicati");
        let (old, old_index) = (named(before, "dblock"), named(before, "dindex"));
        for n in old.iter().chain(&old_index) {
            v.add(n.clone(), Some(1));
        }
        v.seal();
        let number = |v: &Volumes, n: &VolumeName| match n.kind() {
            VolumeKind::Dblock => v.find_dblock(n).expect("there"),
            _ => v.find_dindex(n).expect("there"),
        };
        let mut known: Vec<(VolumeName, u32)> = Vec::new();
        for n in old.iter().chain(&old_index) {
            known.push((n.clone(), number(&v, n)));
        }
        for _ in 0..3 {
            let (blocks, indexes) = (v.dblock_count(), v.dindex_count());
            let (added, added_index) = (named(more, "dblock"), named(more, "dindex"));
            for n in added.iter().chain(&added_index) {
                v.add(n.clone(), Some(2));
            }
            v.seal();
            known.extend(added.into_iter().zip(blocks..));
            known.extend(
                added_index
                    .into_iter()
                    .zip(u32::try_from(indexes).expect("few")..),
            );
            for (n, no) in &known {
                assert_eq!(number(&v, n), *no);
                let there = match n.kind() {
                    VolumeKind::Dblock => v.dblock(*no),
                    _ => v.dindex(*no as usize),
                };
                assert_eq!(there.expect("there").0, *n);
            }
            let names: Vec<VolumeName> = v
                .dblocks_by_name()
                .map(|no| v.dblock(no).expect("there").0)
                .filter(|n| n.guid().is_some_and(|g| g.len() == 32))
                .collect();
            assert!(names.is_sorted());
            // Every third one goes.
            let whole = v.state();
            let mut sum = v.sum();
            let mut at = 0;
            known.retain(|(n, no)| {
                at += 1;
                if at % 3 != 0 {
                    return true;
                }
                let size = match n.kind() {
                    VolumeKind::Dblock => v.dblock(*no),
                    _ => v.dindex(*no as usize),
                }
                .expect("there")
                .1;
                sum.take_away(n, size);
                match n.kind() {
                    VolumeKind::Dblock => {
                        v.retire_dblock(*no);
                        assert!(v.dblock(*no).is_none() && v.find_dblock(n).is_none());
                    }
                    _ => {
                        v.retire_dindex(*no);
                        assert!(v.dindex(*no as usize).is_none() && v.find_dindex(n).is_none());
                    }
                }
                false
            });
            assert_eq!((v.len(), v.state()), (known.len(), sum.finish()));
            assert!(at < 3 || v.state() != whole);
        }
    }
}
