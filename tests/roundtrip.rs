//! A tree with one of everything goes in and comes out the same, version by version.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::Path;

use support::snapshot::{But, Snapshot, same, take};
use support::{Scratch, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=correct horse";

fn backup(scratch: &Scratch, more: &[&str], code: i32) {
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    let mut args = vec!["backup", text(&dest), text(&source)];
    args.extend(more);
    scratch.run(&args).code(&[code]);
    assert!(scratch.left_in_tmp().is_empty());
}

fn restore(scratch: &Scratch, version: usize, more: &[&str]) -> Snapshot {
    let to = scratch.at(&format!("restored {version}"));
    let _ = fs::remove_dir_all(&to);
    let (dest, version) = (scratch.at("dest"), format!("--version={version}"));
    let path = format!("--restore-path={}", text(&to));
    let mut args = vec![
        "restore",
        text(&dest),
        &path,
        &version,
        "--restore-permissions",
    ];
    args.extend(more);
    scratch.run(&args).code(&[0]);
    assert!(scratch.left_in_tmp().is_empty());
    take(&to)
}

fn verify(scratch: &Scratch, more: &[&str]) {
    let dest = scratch.at("dest");
    let mut args = vec!["verify", text(&dest), "all", "--full-remote-verification"];
    args.extend(more);
    scratch.run(&args).code(&[0]);
}

fn bytes_in(folder: &Path) -> u64 {
    names(folder)
        .iter()
        .map(|n| folder.join(n).metadata().unwrap().len())
        .sum()
}

#[test]
fn two_versions_restore_exactly() {
    let ways: [(usize, &[&str]); 3] = [
        (
            1 << 10,
            &["--blocksize=1kb", "--dblock-size=1mb", PASSPHRASE],
        ),
        (
            64 << 10,
            &["--blocksize=64kb", "--dblock-size=1mb", "--no-encryption"],
        ),
        (1 << 20, &[PASSPHRASE]),
    ];
    for (block, options) in ways {
        let scratch = Scratch::new("roundtrip");
        let source = scratch.folder("source");
        tree::make(&source, 11, block);
        backup(&scratch, options, 0);
        let first = take(&source);
        let had = names(&scratch.at("dest"));
        let size = bytes_in(&scratch.at("dest"));
        backup(&scratch, options, 1);
        assert_eq!(
            names(&scratch.at("dest")),
            had,
            "an unchanged source uploads nothing"
        );
        tree::edit(&source, 12);
        let second = take(&source);
        backup(&scratch, options, 0);
        let grown = bytes_in(&scratch.at("dest")) - size;
        assert!(
            grown < size / 2,
            "{block}: the second version took {grown} of {size} bytes"
        );
        let secret = if options.contains(&PASSPHRASE) {
            &[PASSPHRASE][..]
        } else {
            &[]
        };
        same(
            &second,
            &restore(&scratch, 0, secret),
            But::default(),
            "second version",
        );
        same(
            &first,
            &restore(&scratch, 1, secret),
            But::default(),
            "first version",
        );
        verify(&scratch, secret);
    }
}

/// The choice of hashes is the destination's for ever; what changed is found whatever they are.
#[test]
fn other_hashes_restore_exactly() {
    for (blocks, files) in [
        ("MD5", "SHA256"),
        ("SHA256", "SHA512"),
        ("SHA512", "SHA1"),
        ("SHA256", "SHA384"),
    ] {
        let scratch = Scratch::new("roundtrip-hash");
        let source = scratch.folder("source");
        tree::make(&source, 5, 1 << 10);
        let (b, f) = (
            format!("--block-hash-algorithm={blocks}"),
            format!("--file-hash-algorithm={files}"),
        );
        backup(&scratch, &["--blocksize=1kb", "--no-encryption", &b, &f], 0);
        let first = take(&source);
        tree::edit(&source, 6);
        backup(&scratch, &[], 0);
        backup(&scratch, &[], 1);
        same(
            &take(&source),
            &restore(&scratch, 0, &[]),
            But::default(),
            blocks,
        );
        same(&first, &restore(&scratch, 1, &[]), But::default(), blocks);
        verify(&scratch, &[]);
    }
}

/// A changed byte in a file whose size and time stay the same is found when asked to look.
#[test]
fn reading_every_file_finds_hidden_changes() {
    let scratch = Scratch::new("roundtrip-hidden");
    let source = scratch.folder("source");
    let file = source.join("file");
    tree::write(&file, b"before");
    tree::set_time(&file, 1_000_000_000, 0);
    backup(&scratch, &["--no-encryption"], 0);
    tree::write(&file, b"hidden");
    tree::set_time(&file, 1_000_000_000, 0);
    tree::set_time(&source, 1_000_000_000, 0);
    backup(&scratch, &["--disable-filetime-check"], 0);
    same(
        &take(&source),
        &restore(&scratch, 0, &[]),
        But::default(),
        "hidden change",
    );
}

/// Without the cache everything works the same, only slower.
#[test]
fn without_a_cache() {
    let scratch = Scratch::new("roundtrip-no-cache");
    let source = scratch.folder("source");
    tree::make(&source, 21, 1 << 12);
    let options = ["--blocksize=4kb", "--no-cache", PASSPHRASE];
    backup(&scratch, &options, 0);
    backup(&scratch, &options, 1);
    // The lock of one run at a time lies there, as long as the run lasts.
    assert!(names(&scratch.at("cache/duplet")).is_empty());
    same(
        &take(&source),
        &restore(&scratch, 0, &["--no-cache", PASSPHRASE]),
        But::default(),
        "no cache",
    );
}

/// A dry run says what it would do and does nothing.
#[test]
fn dry_runs_write_nothing() {
    let scratch = Scratch::new("roundtrip-dry");
    let source = scratch.folder("source");
    let dest = scratch.folder("dest");
    tree::make(&source, 31, 1 << 12);
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--dry-run",
    ];
    scratch.run(&args).code(&[0, 1]);
    assert!(names(&dest).is_empty());
    backup(&scratch, &["--no-encryption"], 0);
    let to = scratch.at("to");
    let path = format!("--restore-path={}", text(&to));
    scratch
        .run(&["restore", text(&dest), &path, "--dry-run"])
        .code(&[0]);
    assert!(!to.exists());
    assert_eq!(volumes(&dest, "dlist").len(), 1);
}

/// Zero runs come back as holes.
#[test]
fn sparse_files_stay_sparse() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new("roundtrip-sparse");
    let source = scratch.folder("source");
    fs::File::create(source.join("hole"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    backup(&scratch, &["--no-encryption"], 0);
    assert!(bytes_in(&scratch.at("dest")) < 64 << 10);
    same(
        &take(&source),
        &restore(&scratch, 0, &[]),
        But::default(),
        "sparse",
    );
    let meta = fs::metadata(scratch.at("restored 0").join("hole")).unwrap();
    assert!(
        meta.blocks() * 512 < 1 << 20,
        "{} bytes on disk",
        meta.blocks() * 512
    );
}
