//! What random lives of backups (`tests/model.rs`) have shown, each once more by itself.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/steer.rs"]
mod steer;
mod support;

use std::fs;
use std::path::Path;

use steer::Cut;
use support::snapshot::{But, same, take};
use support::{Rand, Scratch, finish, text, tree, volumes};

const PLAIN: &str = "--no-encryption";

fn backup<'a>(dest: &'a Path, source: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "backup",
        text(dest),
        text(source),
        PLAIN,
        "--blocksize=10kb",
    ];
    [&args[..], more].concat()
}

/// A stop that comes when the version is there already, before the old ones go, is told by the exit code, and the next run
/// lets them go.
#[test]
fn a_stop_between_the_version_and_its_rule_is_told() {
    for (rule, step) in [
        ("--keep-versions=1", 1),
        ("--keep-time=1D", 3),
        ("--retention-policy=1D:U", 3),
    ] {
        let scratch = Scratch::new("lives-stop");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        let mut at = 1_800_000_000;
        for n in 0..4 {
            tree::write(&source.join("f"), &Rand(n).bytes(20_000));
            at += 10 * 86_400;
            let args = backup(&dest, &source, &[]);
            let mut command = scratch.command(&args);
            steer::steer(&mut command, at, None);
            finish(command, &args).code(&[0]);
        }
        tree::write(&source.join("f"), &Rand(9).bytes(20_000));
        at += 10 * 86_400;
        // Of the dblock, its dindex and the dlist.
        let cut = Cut { step, kill: false };
        let args = backup(&dest, &source, &[rule]);
        let mut command = scratch.command(&args);
        steer::steer(&mut command, at, Some(cut));
        let ran = finish(command, &args).code(&[50]);
        let there = volumes(&dest, "dlist").len();
        if there == 5 && !ran.out.contains("partial") {
            ran.says("stopped while old versions");
        }
        let mut command = scratch.command(&args);
        steer::steer(&mut command, at + 5, None);
        finish(command, &args).code(&[0, 1]);
        assert_eq!(volumes(&dest, "dlist").len(), 1, "{rule}");
        let verify = ["verify", text(&dest), "all", PLAIN];
        scratch.run(&verify).code(&[0]);
    }
}

/// A lost block is looked for in every file that has it, not only in the first: copies, hard links, other versions, contents of
/// several blocklists, and metadata.
#[test]
fn lost_blocks_are_found_in_any_copy() {
    for (what, size) in [
        ("one block", 5_000),
        ("blocks", 70_000),
        ("lists", 3_500_000),
    ] {
        for gone in ["changed", "removed", "in an older version"] {
            let scratch = Scratch::new("lives-copies");
            let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
            let bytes = Rand(3).bytes(size);
            for name in ["a", "b", "c"] {
                tree::write(&source.join(name), &bytes);
            }
            scratch
                .run(&backup(&dest, &source, &["--dblock-size=5mb"]))
                .code(&[0]);
            let before = take(&source);
            match gone {
                "changed" => tree::write(&source.join("a"), b"other"),
                "removed" => fs::remove_file(source.join("a")).unwrap(),
                _ => {
                    // The newest version names the blocks by another path than the one that still has them.
                    fs::rename(source.join("a"), source.join("z")).unwrap();
                    fs::remove_file(source.join("b")).unwrap();
                    fs::remove_file(source.join("c")).unwrap();
                    scratch.run(&backup(&dest, &source, &[])).code(&[0]);
                    tree::write(&source.join("z"), b"other");
                    tree::write(&source.join("b"), &bytes);
                }
            }
            let largest = |p: &std::path::PathBuf| p.metadata().unwrap().len();
            let lost = volumes(&dest, "dblock")
                .into_iter()
                .max_by_key(largest)
                .unwrap();
            fs::remove_file(lost).unwrap();
            let repair = [
                "repair",
                text(&dest),
                PLAIN,
                "--rebuild-missing-dblock-files",
            ];
            scratch.run(&repair).code(&[0, 2]);
            let oldest = (volumes(&dest, "dlist").len() - 1).to_string();
            let to = scratch.at("back");
            let (path, version) = (
                format!("--restore-path={}", text(&to)),
                format!("--version={oldest}"),
            );
            scratch
                .run(&["restore", text(&dest), PLAIN, &path, &version])
                .code(&[0, 2, 3]);
            for name in ["a", "b", "c"] {
                let got = fs::read(to.join(name)).unwrap_or_default();
                assert!(got == bytes, "{what}, {gone}: {name}");
            }
            let but = But {
                mode: true,
                mtime: true,
                xattr: true,
                ..But::default()
            };
            same(&before, &take(&to), but, what);
        }
    }
}
