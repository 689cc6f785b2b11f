//! Parameters of a destination that Duplicati chose: what is added keeps them, and old command lines run.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use support::craft::{Algo, Maker, Volume};
use support::{Scratch, fixture, names, text, tool, tree, volumes};

const INSTALL: &str = "apt install unzip";

/// What an index volume says of its dblock.
fn vol(dindex: &Path) -> serde_json::Value {
    let args = ["-p".as_ref(), dindex.as_os_str(), OsStr::new("vol/*")];
    serde_json::from_slice(&tool("unzip", &args, INSTALL)).unwrap()
}

/// The volume hashes that a backup adds to `dest`.
fn added(scratch: &Scratch, dest: &Path, options: &[&str]) -> Vec<(String, u64)> {
    let source = scratch.folder("source");
    tree::write(&source.join("new"), format!("{:?}", names(dest)).as_bytes());
    let had = volumes(dest, "dindex");
    let words = ["backup", text(dest), text(&source), "--no-encryption"];
    // A warning: what the version before held is not in this source.
    scratch.run(&[&words, options].concat()).code(&[0, 2]);
    let verify = ["verify", text(dest), "all"];
    scratch.run(&verify).code(&[0]);
    let place = format!("--restore-path={}", text(&scratch.at("to")));
    let restore = ["restore", text(dest), &place, "--overwrite"];
    scratch.run(&restore).code(&[0]);
    let same = fs::read(source.join("new")).unwrap() == fs::read(scratch.at("to/new")).unwrap();
    assert!(same);
    let new = volumes(dest, "dindex");
    new.iter()
        .filter(|n| !had.contains(n))
        .map(|n| {
            let vol = vol(n);
            let hash = vol["volumehash"].as_str().unwrap().to_owned();
            (hash, vol["volumesize"].as_u64().unwrap())
        })
        .collect()
}

/// By which algorithm a hash in base64 is, by its length.
fn length(hash: &str) -> usize {
    hash.trim_end_matches('=').len() * 3 / 4
}

/// The hash of a dblock is stated as the destination's own indexes do it, or not at all.
#[test]
fn volume_hashes_are_stated_as_the_destination_does() {
    for (file_hash, own) in [
        (Algo::Sha384, 48),
        (Algo::Sha512, 64),
        (Algo::Sha1, 20),
        (Algo::Md5, 16),
        (Algo::Sha256, 32),
    ] {
        for (hashes, want) in [
            (vec![Algo::Sha256], 32),
            (vec![file_hash], own),
            (
                vec![Algo::Sha256, file_hash],
                if own == 32 { 32 } else { 0 },
            ),
        ] {
            let scratch = Scratch::new("parameters-hash");
            let mut m = Maker::new(scratch.at("dest"));
            m.file_hash = file_hash;
            let mut entries = Vec::new();
            for (i, hash) in hashes.iter().enumerate() {
                m.volume_hash = *hash;
                let mut volume = Volume::new(u32::try_from(i).unwrap() + 1);
                let data = [i.to_le_bytes()[0]; 700];
                entries.push(m.file(&mut volume, &format!("/d/file{i}"), &data, None));
                m.both(&mut volume);
            }
            m.dlist("20240131T123500Z", &entries);
            for options in [&["--no-cache"][..], &[], &[]] {
                let added = added(&scratch, &m.dest, options);
                assert_eq!(added.len(), 1);
                assert_eq!(length(&added[0].0), want, "{own} {hashes:?}");
                assert!(added[0].1 > 0);
            }
        }
    }
    // By a real Duplicati of the old way.
    let scratch = Scratch::new("parameters-fixture");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("filehash-sha384").join("dest"), &dest);
    assert_eq!(length(&added(&scratch, &dest, &[])[0].0), 32);
    // A new destination has nobody to follow.
    for (hash, want) in [("SHA384", 0), ("SHA512", 0), ("MD5", 0), ("SHA256", 32)] {
        let scratch = Scratch::new("parameters-new");
        let option = format!("--file-hash-algorithm={hash}");
        let dest = scratch.at("dest");
        for _ in 0..2 {
            let added = added(&scratch, &dest, &[&option]);
            assert_eq!(length(&added[0].0), want, "{hash}");
        }
    }
}

/// Block sizes that no whole number of hashes fills, new and repeated, with files of several blocklists.
#[test]
fn block_sizes_need_be_no_multiple_of_the_hash_length() {
    for (hash, size) in [
        ("SHA1", "1kb"),
        ("SHA384", "1kb"),
        ("SHA1", "1025b"),
        ("SHA256", "1025b"),
        ("SHA512", "1500b"),
        ("MD5", "1031b"),
    ] {
        let scratch = Scratch::new("parameters-block");
        let (dest, source) = (scratch.at("dest"), scratch.folder("source"));
        let mut data = Vec::new();
        for i in 0u32..70_000 {
            data.extend_from_slice(&i.to_le_bytes());
        }
        tree::write(&source.join("large"), &data);
        let (hash, size) = (
            format!("--block-hash-algorithm={hash}"),
            format!("--blocksize={size}"),
        );
        let words = ["backup", text(&dest), text(&source), "--no-encryption"];
        scratch
            .run(&[&words[..], &[&hash, &size]].concat())
            .code(&[0]);
        // The same again, and each option alone: what is there decides the rest.
        tree::write(&source.join("more"), b"more");
        scratch.run(&[&words[..], &[&hash]].concat()).code(&[0]);
        scratch
            .run(&[&words[..], &[&hash, &size]].concat())
            .code(&[1]);
        scratch.run(&[&words[..], &[&size]].concat()).code(&[1]);
        scratch.run(&words).code(&[1]);
        scratch
            .run(&[&words[..], &["--blocksize=2kb"]].concat())
            .code(&[100]);
        scratch.run(&["verify", text(&dest), "all"]).code(&[0]);
        let place = format!("--restore-path={}", text(&scratch.at("to")));
        scratch.run(&["restore", text(&dest), &place]).code(&[0]);
        assert!(
            fs::read(scratch.at("to/large")).unwrap() == data,
            "{hash} {size}"
        );
    }
    // The default block size is none of SHA1's.
    let scratch = Scratch::new("parameters-default");
    let (dest, source) = (scratch.at("dest"), scratch.folder("source"));
    tree::write(&source.join("file"), b"x");
    let words = ["backup", text(&dest), text(&source), "--no-encryption"];
    let args = [&words[..], &["--block-hash-algorithm=SHA1"]].concat();
    scratch.run(&args).code(&[0]);
    scratch.run(&args).code(&[1]);
}

/// Options of Duplicati's command lines for gpg stop nothing but writing.
#[test]
fn the_encryption_module_is_no_reason_to_stop() {
    let gpg = std::process::Command::new("gpg").arg("--version").output();
    let scratch = Scratch::new("parameters-gpg");
    let (dest, source) = (scratch.at("gpg"), scratch.folder("source"));
    support::copy_folder(&fixture("gpg").join("dest"), &dest);
    tree::write(&source.join("file"), b"x");
    let module = "--encryption-module=gpg";
    let more = [
        "--passphrase=abc",
        module,
        "--gpg-encryption-enable-armor=true",
    ];
    if gpg.is_ok() {
        let place = format!("--restore-path={}", text(&scratch.at("to")));
        for words in [
            vec!["list", text(&dest)],
            vec!["list", text(&dest), "0"],
            vec!["restore", text(&dest), &place],
            vec!["verify", text(&dest), "all"],
        ] {
            scratch.run(&[&words[..], &more].concat()).code(&[0]);
        }
    }
    let backup = ["backup", text(&dest), text(&source)];
    let had = names(&dest);
    scratch
        .run(&[&backup[..], &more].concat())
        .code(&[100])
        .says("gpg");
    assert_eq!(names(&dest), had);
    let fresh = scratch.at("fresh");
    let backup = ["backup", text(&fresh), text(&source)];
    scratch
        .run(&[&backup[..], &more].concat())
        .code(&[100])
        .says("--encryption-module=gpg");
    assert!(names(&fresh).is_empty());
    let aes = ["--passphrase=abc", "--encryption-module=aes"];
    scratch.run(&[&backup[..], &aes].concat()).code(&[0]);
    scratch
        .run(&[&backup[..], &more].concat())
        .code(&[100])
        .says("encrypted with aes");
    let place = format!("--restore-path={}", text(&scratch.at("to 2")));
    let restore = ["restore", text(&fresh), &place];
    scratch.run(&[&restore[..], &more].concat()).code(&[0]);
}
