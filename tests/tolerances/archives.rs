//! How volumes are packed and encrypted: zip variants, other archives, AES Crypt, sizes.

use super::*;

/// R6: zip64 with and without marks, descriptors, every deflate level, empty deflated entries, `\` in names, comments.
#[test]
fn r06_zip_variants() {
    let style = Style::default();
    let deflated = Style {
        method: 8,
        level: 9,
        ..style
    };
    let all = [
        deflated,
        Style {
            level: 0,
            ..deflated
        },
        Style {
            descriptors: true,
            ..style
        },
        Style {
            descriptors: true,
            ..deflated
        },
        Style {
            zip64: Zip64::Marked,
            ..style
        },
        Style {
            zip64: Zip64::Marked,
            descriptors: true,
            ..deflated
        },
        Style {
            zip64: Zip64::Unmarked,
            ..deflated
        },
        Style {
            backslash: true,
            ..style
        },
        Style {
            comment: "a comment with PK\x05\x06 in it, and some more after that",
            ..style
        },
    ];
    for style in all {
        let (case, mut m) = Case::new("r06");
        m.style = style;
        case.clean(&simple(&m));
    }
    let (case, mut m) = Case::new("r06-empty");
    m.style = Style {
        empty_deflated: true,
        ..deflated
    };
    let mut volume = Volume::new(1);
    let (entries, want) = basic(&m, &mut volume);
    volume.block(Algo::Sha256, b"");
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    case.clean(&want);
}

/// R6: the count of entries in the end record is the true one modulo 65536.
#[test]
fn r06_entry_count_modulo_65536() {
    let (case, mut m) = Case::new("r06-count");
    m.style.zip64 = Zip64::Unmarked;
    let mut volume = Volume::new(1);
    for n in 0..65_600u32 {
        let data = n.to_be_bytes();
        // Not through `block`, which looks for the same block.
        volume.blocks.push((Algo::Sha256.b64(&data), data.to_vec()));
    }
    let (entries, want) = basic(&m, &mut volume);
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    case.clean(&want);
}

/// R7: a zip method that cannot be read is named with its volume, and the rest is restored.
#[test]
fn r07_zip_methods() {
    for method in [9, 12, 14, 93, 98] {
        let (case, mut m) = Case::new("r07");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        m.both(&mut volumes[0]);
        m.dlist(TIME, &all);
        m.style.method = method;
        m.dblock(&mut volumes[1]);
        m.style.method = 0;
        let vol = m.vol(&volumes[1]);
        m.dindex(2, &[(&volumes[1].name, vol)], &volumes[1].lists);
        let named = format!("zip method {method}");
        let (ran, to) = case.restore(&[]);
        has(&to, &want[..1].to_vec(), &ran);
        let ran = ran.code(&[3]).says(&volumes[1].name).says(&named);
        ran.says("name 2");
        case.verify().code(&[3]).says(&volumes[1].name).says(&named);
    }
    // An index volume of such a method costs only the look into its dblock.
    let (case, mut m) = Case::new("r07-index");
    let (mut volumes, all, want) = apart(&m, &[1]);
    m.dblock(&mut volumes[0]);
    m.dlist(TIME, &all);
    m.style.method = 12;
    let vol = m.vol(&volumes[0]);
    let index = m.dindex(1, &[(&volumes[0].name, vol)], &[]);
    let (ran, to) = case.restore(&[]);
    has(&to, &want, &ran);
    ran.code(&[2]).says(&index).says("zip method 12");
}

/// R7, R12: other archives are named, and the rest is restored; `tgz` too, which a reader need not know.
#[test]
fn r07_archives() {
    for compression in ["7z", "tzstd", "tgz"] {
        let (case, mut m) = Case::new("r07-archive");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        m.both(&mut volumes[0]);
        m.dlist(TIME, &all);
        m.compression = compression;
        m.dblock(&mut volumes[1]);
        m.compression = "zip";
        let vol = m.vol(&volumes[1]);
        m.dindex(2, &[(&volumes[1].name, vol)], &volumes[1].lists);
        let (ran, to) = case.restore(&[]);
        has(&to, &want[..1].to_vec(), &ran);
        ran.code(&[3]).says(&volumes[1].name).says("name 2");
        case.verify()
            .code(&[3])
            .says(&volumes[1].name)
            .says(compression);
        // An older version in such an archive is no reason to stop.
        m.compression = compression;
        let odd = m.dlist("20240131T123459Z", &all);
        case.run("list", &[]).code(&[0]).says("2024-01-31");
        case.run("list", &["1"])
            .code(&[100])
            .says(&odd)
            .says(compression);
    }
}

/// R21: AES Crypt 0 to 3, any extension, garbage for padding, high bits beside the length.
#[test]
fn r21_aes_versions() {
    for version in 0..=3 {
        // Archives of every length modulo 16.
        for comment in ["", "1", "four", "1234567", "123456789012345"] {
            let (case, mut m) = Case::new("r21");
            (m.aes, m.style.comment) = (Some(version), comment);
            case.clean(&simple(&m));
            let dest = case.scratch.at("dest");
            let args = ["list", text(&dest), "0", "--no-cache"];
            let ran = case.scratch.run_env(&args, &[("PASSPHRASE", "wrong")]);
            ran.code(&[100]);
        }
    }
}

/// R26: volumes of any size side by side: nothing states a limit.
#[test]
fn r26_any_volume_size() {
    let (case, mut m) = Case::new("r26");
    m.block_size = 102_400;
    let mut want = Want::new();
    let mut all = Vec::new();
    for (guid, blocks) in [(1, 1), (2, 40), (3, 600), (4, 2)] {
        let mut volume = Volume::new(guid);
        let data = random(u64::from(guid), m.block_size * blocks);
        let name = format!("file {guid}");
        all.push(m.file(&mut volume, &format!("/d/{name}"), &data, Some(META)));
        want.push((name, data));
        m.both(&mut volume);
        if guid > 2 {
            assert_eq!(volume.size > 52_428_800, guid == 3);
        }
    }
    m.dlist(TIME, &all);
    case.clean(&want);
}
