//! What a backup goes through in its life, by commands, at any destination whose files are a folder of this machine, too.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;

use crate::support::snapshot::{But, same, take};
use crate::support::{Scratch, names, text, tree};

const PASSPHRASE: &str = "--passphrase=correct horse";

/// Three versions, each restored and compared; deleted, compacted, a second prefix; the files on the disk are good without SFTP.
pub fn life(scratch: &Scratch, url: &str, folder: &Path) {
    let source = scratch.folder("source");
    tree::make(&source, 7, 10 << 10);
    let small = ["--dblock-size=1mb", "--blocksize=10kb", "--retry-delay=0s"];
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
            .all(|n| !n.to_string_lossy().starts_with('.'))
    );
    assert!(scratch.left_in_tmp().is_empty());
}
