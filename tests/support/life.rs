//! What a backup lives through at any server: sessions of the program, and uploads to be disturbed.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::servers::account::{PASSWORD, PASSWORD_IN_URL};
use super::snapshot::{But, same, take};
use super::{Ran, Rand, Scratch, differs, fixture, names, opens_with, text, tree};

pub const PASSPHRASE: &str = "--passphrase=correct horse";
pub const FAST: [&str; 2] = ["--retry-delay=0s", "--number-of-retries=2"];

/// A command on files that must not show the password.
#[track_caller]
pub fn remote(scratch: &Scratch, args: &[&str]) -> Ran {
    let args = [&["remote"], args, &FAST[..]].concat();
    let ran = scratch.run(&args);
    assert!(
        !ran.all()
            .split("---")
            .skip(1)
            .any(|part| part.contains(PASSWORD) || part.contains(PASSWORD_IN_URL)),
        "{}",
        ran.all()
    );
    ran
}

/// Three versions, each restored and compared; deleted, compacted, a second prefix; the files in `folder`, where
/// the server has them, are good without it. The larger the blocks, the more data there is; `LIFE_MIB=400`: so many MiB of large
/// files besides, in volumes and blocks of the usual sizes.
pub fn whole_life(scratch: &Scratch, url: &str, folder: &Path, block: usize) {
    let source = scratch.folder("source");
    tree::make(&source, 7, block);
    let large: Option<usize> = std::env::var("LIFE_MIB").ok().map(|n| n.parse().unwrap());
    fill(&source.join("large"), large.unwrap_or(0));
    let block = format!("--blocksize={block}b");
    let sizes = match large {
        None => ["--dblock-size=1mb", &block],
        Some(_) => ["--dblock-size=50mb", "--blocksize=1mb"],
    };
    let small = [&sizes[..], &["--retry-delay=0s"]].concat();
    let backup = |more: &[&str], code: i32| {
        let args = ["backup", url, text(&source), PASSPHRASE];
        scratch
            .run(&[&args[..], &small, more].concat())
            .code(&[code])
    };
    let restore = |more: &[&str]| {
        let to = scratch.at("restored");
        let _ = fs::remove_dir_all(&to);
        let path = format!("--restore-path={}", text(&to));
        let args = ["restore", url, &path, "--restore-permissions", PASSPHRASE];
        scratch.run(&[&args[..], more].concat()).code(&[0]);
        take(&to)
    };
    let first = take(&source);
    backup(&[], 0);
    let files = names(folder);
    assert!(files.len() >= 3);
    backup(&[], 1);
    assert_eq!(names(folder), files, "nothing new, nothing changed");
    tree::edit(&source, 8);
    let second = take(&source);
    backup(&[], 0);
    fs::write(source.join("third"), vec![3; 300_000]).unwrap();
    backup(&[], 0);
    same(
        &second,
        &restore(&["--version=1"]),
        But::default(),
        "the second",
    );
    let _ = fs::remove_dir_all(scratch.at("cache"));
    same(
        &first,
        &restore(&["--version=2", "--no-cache"]),
        But::default(),
        "the first",
    );
    scratch
        .run(&[
            "verify",
            url,
            "all",
            "--full-remote-verification",
            PASSPHRASE,
        ])
        .code(&[0]);
    backup(&["--prefix=other"], 0);
    scratch
        .run(&["delete", url, "--version=1,2", PASSPHRASE])
        .code(&[0]);
    scratch
        .run(&["compact", url, PASSPHRASE, "--threshold=1"])
        .code(&[0]);
    same(&take(&source), &restore(&[]), But::default(), "the newest");
    for prefix in ["duplicati", "other"] {
        let prefix = format!("--prefix={prefix}");
        let args = ["verify", text(folder), "all", PASSPHRASE, &prefix];
        scratch.run(&args).code(&[0]);
        scratch
            .run(&["verify", url, "all", PASSPHRASE, &prefix])
            .code(&[0]);
    }
    assert!(
        names(folder)
            .iter()
            .all(|n| n.to_string_lossy().contains(".d") && !n.to_string_lossy().contains("tmp"))
    );
    assert!(scratch.left_in_tmp().is_empty());
}

/// So many MiB in files of 8 MiB, half of it prose.
fn fill(folder: &Path, mib: usize) {
    let mut rand = Rand(77);
    fs::create_dir_all(folder).unwrap();
    for n in 0..mib.div_ceil(8) {
        let data = match n % 2 {
            0 => rand.bytes(8 << 20),
            _ => rand.prose(8 << 20),
        };
        fs::write(folder.join(format!("{n:03}")), data).unwrap();
    }
}

/// A fixture at a URL is restored to the same as from its folder.
#[track_caller]
pub fn restored_alike(scratch: &Scratch, url: &str, name: &str) {
    let dest = fixture(name).join("dest");
    let secret = opens_with(name).unwrap_or("--no-encryption");
    let prefix = if name == "other-prefix" {
        "--prefix=other"
    } else {
        "--prefix=duplicati"
    };
    let mut seen = Vec::new();
    for (at, from) in [url, text(&dest)].iter().enumerate() {
        let to = scratch.at(&format!("out-{at}"));
        let path = format!("--restore-path={}", text(&to));
        let args = ["restore", from, &path, "--no-cache", secret, prefix];
        scratch.run(&args).code(&[0]);
        seen.push(take(&to));
    }
    same(&seen[1], &seen[0], differs(name), name);
    assert!(!seen[0].is_empty(), "{name}");
}

/// Waits for something that must come, for as long as a busy machine may need.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A slow upload under way, of which a part has arrived; what it says goes into the file `said`.
pub fn slow_upload(scratch: &Scratch, url: &str, folder: &Path, size: usize) -> Child {
    let file = scratch.at("big");
    fs::write(&file, Rand(3).bytes(size)).unwrap();
    let child = scratch
        .command(&[
            "remote",
            "put",
            url,
            "big",
            text(&file),
            "--throttle-upload=1mb",
            "--retry-delay=0s",
        ])
        .stdout(Stdio::null())
        .stderr(fs::File::create(scratch.at("said")).unwrap())
        .spawn()
        .unwrap();
    until("a part arrives", || {
        names(folder)
            .iter()
            .any(|name| fs::metadata(folder.join(name)).is_ok_and(|m| m.len() > 0))
    });
    child
}
