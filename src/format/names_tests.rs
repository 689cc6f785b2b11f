//! Tests of volume names.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;

const GUID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn parts_of_names() {
    // (name, kind, prefix, guid, time, compression, encryption)
    type Row = (
        String,
        VolumeKind,
        &'static str,
        Option<&'static str>,
        Option<i64>,
        &'static str,
        Option<&'static str>,
    );
    let rows: [Row; 11] = [
        (
            format!("duplicati-b{GUID}.dblock.zip.aes"),
            VolumeKind::Dblock,
            "duplicati",
            Some(GUID),
            None,
            "zip",
            Some("aes"),
        ),
        (
            format!("duplicati-i{GUID}.dindex.zip"),
            VolumeKind::Dindex,
            "duplicati",
            Some(GUID),
            None,
            "zip",
            None,
        ),
        (
            "duplicati-20240131T123456Z.dlist.zip.gpg".into(),
            VolumeKind::Dlist,
            "duplicati",
            None,
            Some(1_706_704_496),
            "zip",
            Some("gpg"),
        ),
        // The letter does not decide; guid length and case are free; the separator is any character.
        (
            "p-IAf.dblock.zip".into(),
            VolumeKind::Dblock,
            "p",
            Some("Af"),
            None,
            "zip",
            None,
        ),
        (
            "p-b12édindex.tgz".into(),
            VolumeKind::Dindex,
            "p",
            Some("12"),
            None,
            "tgz",
            None,
        ),
        // The separator is a hex digit too: backtracking as a regular expression does.
        (
            "p-b0123dblock.zip".into(),
            VolumeKind::Dblock,
            "p",
            Some("012"),
            None,
            "zip",
            None,
        ),
        (
            "p-b1.dblock.tzstd".into(),
            VolumeKind::Dblock,
            "p",
            Some("1"),
            None,
            "tzstd",
            None,
        ),
        (
            "p-b1.dblock.7z.gpg".into(),
            VolumeKind::Dblock,
            "p",
            Some("1"),
            None,
            "7z",
            Some("gpg"),
        ),
        (
            "é x-b1.dblock.zip".into(),
            VolumeKind::Dblock,
            "é x",
            Some("1"),
            None,
            "zip",
            None,
        ),
        (
            "p-20240131T123456Z.dblock.zip".into(),
            VolumeKind::Dblock,
            "p",
            None,
            Some(1_706_704_496),
            "zip",
            None,
        ),
        (
            "Copy of other-b1.dblock.zip.aes".into(),
            VolumeKind::Dblock,
            "Copy of other",
            Some("1"),
            None,
            "zip",
            Some("aes"),
        ),
    ];
    for (text, kind, prefix, guid, time, comp, enc) in rows {
        let n = VolumeName::parse(&text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(n.as_str(), text);
        assert_eq!(n.kind(), kind, "{text}");
        assert_eq!(n.prefix(), prefix, "{text}");
        assert_eq!(n.guid(), guid, "{text}");
        assert_eq!(n.time().map(|t| t.0), time, "{text}");
        assert_eq!(n.compression(), comp, "{text}");
        assert_eq!(n.encryption(), enc, "{text}");
    }
}

#[test]
fn everything_else_is_no_volume() {
    for text in [
        "",
        "-",
        "duplicati",
        "-b12.dblock.zip",
        "duplicati-b.dblock.zip",
        "duplicati-c12.dblock.zip",
        "duplicati-bxyz.dblock.zip",
        "dup-licati-b12.dblock.zip",
        "duplicati-b12.dblock",
        "duplicati-b12.dblock.",
        "duplicati-b12.dblock..aes",
        "duplicati-b12.dblock.zip.",
        "duplicati-b12.dother.zip",
        "duplicati-b12..dblock.zip",
        "duplicati-b12dblock",
        "duplicati-b12.dlist.zip",
        "duplicati-20240230T000000Z.dlist.zip",
        "duplicati-20240131T123456.dlist.zip",
        "duplicati-20240131T123456Zdlist.zip",
        "duplicati-b12.dblock.zip.par2",
        "duplicati-b12.dblock.zip.aes.PAR2",
        "duplicati-verification.json",
        "a/b-b12.dblock.zip",
        "duplicati-b12.dblock.zip\n",
        "duplicati-B12.DBLOCK.ZIP",
    ] {
        assert_eq!(VolumeName::parse(text), None, "{text:?}");
    }
    let long = format!("p-b{}.dblock.zip", "0".repeat(2000));
    assert_eq!(VolumeName::parse(&long), None);
}

/// What copying and syncing programs, editors and servers make of a volume's name.
#[test]
fn copies_and_parts_of_volumes_are_no_volumes() {
    let names = [
        "b0123456789abcdef0123456789abcdef.dblock",
        "i0123456789abcdef0123456789abcdef.dindex",
        "20240131T123456Z.dlist",
    ];
    let endings = [
        ".zip.part",
        ".zip.tmp",
        ".zip.md5",
        ".zip.sha256",
        ".zip.bak",
        ".zip.old",
        ".zip.orig",
        ".zip.1",
        ".zip~",
        ".zip.aes.part",
        ".zip.aes.aes",
        ".zip.aes~",
        ".zip.aes.md5",
        ".zip.aes.rclone-partial",
        ".zip.aes.partial",
        ".zip.aes.ocTransferId1.part",
        ".zip.aes.crdownload",
        ".zip.aes.filepart",
        ".zip.aes.!sync",
        ".zip.aes.par2",
        ".zip.gpg.sig",
        ".zip.asc",
        ".zip.aes.1a2b3c4d",
        ".zip (1).aes",
        ".zip.aes (1)",
        ".zip - Copy.aes",
        ".zip (conflicted copy 2026-01-01).aes",
        ".zip.sync-conflict-20260101-120000-ABCDEFG.aes",
        ".zip 2.aes",
        ".zip_1.aes",
        ".zip.AES",
        ".ZIP",
        ".zip..aes",
        ".zip.aes.",
        ".zip.aes ",
        ".zip .aes",
        ".rar",
        ".zipx",
        ".tar.zip",
        " (1).zip.aes",
        " 2.zip",
        ".zip.conflict-1.aes",
        ".zip.7z",
        ".tgz.zip",
        ".zip.nfs0000001",
        ".zip.aes.icloud",
    ];
    for name in names {
        for ending in endings {
            let text = format!("duplicati-{name}{ending}");
            assert_eq!(VolumeName::parse(&text), None, "{text}");
        }
        for ending in [".zip", ".zip.aes", ".zip.gpg", ".tgz.aes", ".tzstd", ".7z"] {
            let text = format!("duplicati-{name}{ending}");
            assert!(VolumeName::parse(&text).is_some(), "{text}");
            let upper = text.to_uppercase();
            assert!(VolumeName::parse(&upper).is_none(), "{upper}");
            assert!(VolumeName::parse_any_case(&upper).is_some(), "{upper}");
        }
    }
}

#[test]
fn without_case_on_request() {
    let n = VolumeName::parse_any_case("DUPLICATI-B12AF.DBLOCK.ZIP.AES").unwrap();
    assert_eq!((n.kind(), n.guid()), (VolumeKind::Dblock, Some("12AF")));
    let n = VolumeName::parse_any_case("p-20240131t123456z.dlist.zip").unwrap();
    assert_eq!(n.time(), Some(Timestamp(1_706_704_496)));
}

#[test]
fn generated_names() {
    let prefix = Prefix::parse("duplicati").unwrap();
    let one = VolumeName::block(&prefix, VolumeKind::Dblock, true).unwrap();
    let two = VolumeName::block(&prefix, VolumeKind::Dblock, true).unwrap();
    assert_ne!(one, two);
    assert_eq!(one.guid().unwrap().len(), 32);
    assert!(one.as_str().starts_with("duplicati-b"));
    assert!(one.as_str().ends_with(".dblock.zip.aes"));
    let index = VolumeName::block(&prefix, VolumeKind::Dindex, false).unwrap();
    assert!(index.as_str().starts_with("duplicati-i"));
    assert!(index.as_str().ends_with(".dindex.zip"));
    assert!(VolumeName::block(&prefix, VolumeKind::Dlist, false).is_err());
    assert_eq!(
        VolumeName::list(&prefix, Timestamp(1_706_704_496), true)
            .unwrap()
            .as_str(),
        "duplicati-20240131T123456Z.dlist.zip.aes"
    );
}

#[test]
fn prefixes() {
    for good in ["duplicati", "a", "my backup.2", "é"] {
        assert_eq!(Prefix::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "a-b", ".a", "a/b", "a\\b", "a\tb", "\u{85}"] {
        assert!(Prefix::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn cut_and_changed_names_never_panic() {
    let name = format!("duplicati-b{GUID}.dblock.zip.aes");
    for cut in 0..name.len() {
        let _ = VolumeName::parse(&name[..cut]);
    }
    let mut seed = 7u64;
    for _ in 0..20_000 {
        let mut bytes = name.clone().into_bytes();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
            bytes[at] = seed.to_be_bytes()[2] & 0x7f;
        }
        let text = String::from_utf8(bytes).unwrap();
        if let Some(n) = VolumeName::parse_any_case(&text) {
            assert_eq!(n.as_str(), text);
            assert!(!n.prefix().is_empty() && !n.compression().is_empty());
            assert!(n.guid().is_some() != n.time().is_some());
        }
    }
}
