//! What a source may be, and what may happen to it while it is looked at: nothing ends the backup, nothing outside is read,
//! nothing that is left out goes unsaid.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Child;

use support::{Ran, Rand, Scratch, is_root, text, tool, volumes};

fn backup(scratch: &Scratch, words: &[&str]) -> Ran {
    let dest = scratch.at("dest");
    scratch.run(&[&["backup", text(&dest), "--no-encryption"], words].concat())
}

fn listed(scratch: &Scratch) -> String {
    let dest = scratch.at("dest");
    scratch.run(&["list", text(&dest), "0"]).code(&[0]).out
}

/// A large file `folder/1` that is read for seconds before the walk goes on to what comes after it; returns while it is read.
fn while_reading(scratch: &Scratch, more: &[&str]) -> Child {
    let folder = scratch.folder("src/folder");
    fs::write(folder.join("1"), Rand(3).bytes(6 << 20)).unwrap();
    let (dest, source) = (scratch.at("dest"), scratch.at("src"));
    let words = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--dblock-size=1mb",
    ];
    let slow = ["--blocksize=100kb", "--throttle-upload=1mb"];
    let mut child = scratch
        .command(&[&words[..], &slow, more].concat())
        .spawn()
        .unwrap();
    while volumes(&dest, "dblock").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::yield_now();
    }
    child
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("panicked"), "{err}");
    (output.status.code(), err)
}

/// The walk holds folders, not their names: one that is replaced by a link while the walk is in it leads nowhere else.
#[test]
fn a_folder_replaced_by_a_link_does_not_lead_out() {
    for (label, how) in [("moved", true), ("above", false)] {
        let scratch = Scratch::new("swapped");
        let folder = scratch.folder("src/folder");
        for name in ["2", "sub/3", "sub/sub/4"] {
            fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            fs::write(folder.join(name), "inside").unwrap();
            let secret = scratch.at("secret").join(name);
            fs::create_dir_all(secret.parent().unwrap()).unwrap();
            fs::write(secret, "a secret").unwrap();
        }
        let running = while_reading(&scratch, &[]);
        if how {
            fs::rename(&folder, scratch.at("away")).unwrap();
            symlink(scratch.at("secret"), &folder).unwrap();
        } else {
            // The folder above: every path from now on leads into the secrets.
            fs::rename(scratch.at("src"), scratch.at("away")).unwrap();
            fs::create_dir(scratch.at("src")).unwrap();
            symlink(scratch.at("secret"), scratch.at("src/folder")).unwrap();
        }
        let (code, err) = ended(running);
        assert!(matches!(code, Some(0 | 2)), "{label}: {err}");
        let out = format!("--restore-path={}", text(&scratch.at("out")));
        scratch
            .run(&["restore", text(&scratch.at("dest")), &out])
            .code(&[0]);
        for name in ["2", "sub/3", "sub/sub/4"] {
            let is = fs::read_to_string(scratch.at("out/folder").join(name)).unwrap();
            assert_eq!(is, "inside", "{label}: {name}");
        }
    }
}

#[test]
fn a_file_that_grows_ends_at_the_size_it_had() {
    let scratch = Scratch::new("growing");
    let running = while_reading(&scratch, &[]);
    let mut file = OpenOptions::new()
        .append(true)
        .open(scratch.at("src/folder/1"))
        .unwrap();
    file.write_all(&Rand(9).bytes(6 << 20)).unwrap();
    let (code, err) = ended(running);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("changed while it was read"), "{err}");
    assert!(
        listed(&scratch).contains("folder/1 (6.00 MiB)"),
        "{}",
        listed(&scratch)
    );
    // What was stored of it is not taken for the file.
    backup(&scratch, &[text(&scratch.at("src"))]).code(&[0]);
    assert!(listed(&scratch).contains("folder/1 (12.00 MiB)"));
}

/// Of several files one cannot be held by blocks of its destination's size: it alone is missing.
#[test]
fn a_file_too_large_for_its_blocks_is_left_out_alone() {
    for (label, more, size, fits) in [
        ("sha256", &["--blocksize=1kb"][..], 8u64 << 30, false),
        (
            "sha512",
            &["--blocksize=1kb", "--block-hash-algorithm=SHA512"],
            5 << 30,
            false,
        ),
        ("endless", &["--blocksize=1kb"], 1 << 62, false),
        ("small", &["--blocksize=1kb"], 1 << 20, true),
    ] {
        let scratch = Scratch::new("too-large");
        let source = scratch.folder("src");
        fs::write(source.join("a"), "first").unwrap();
        fs::write(source.join("z"), "last").unwrap();
        let file = fs::File::create(source.join("huge")).unwrap();
        if file.set_len(size).is_err() {
            // This file system has no such files.
            continue;
        }
        let ran = backup(&scratch, &[&[text(&source)], more].concat());
        if fits {
            ran.code(&[0]);
            continue;
        }
        let ran = ran.code(&[2]).says("huge is left out").says("--blocksize");
        assert!(ran.err.lines().count() < 4, "{label}: {}", ran.err);
        let list = listed(&scratch);
        assert!(
            list.contains("/a") && list.contains("/z") && !list.contains("huge"),
            "{label}"
        );
        // It stays so, and costs nothing.
        backup(&scratch, &[text(&source)]).code(&[2]);
        assert_eq!(volumes(&scratch.at("dest"), "dlist").len(), 1, "{label}");
    }
}

const DEEP: &str = r"
import os, sys
os.chdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    name = sys.argv[3]; os.mkdir(name); os.chdir(name)
    if i % 20 == 0: open('file', 'w').write(str(i))
open('deepest', 'w').write('x')
";

fn deep(at: &Path, levels: &str, name: &str) {
    let words = ["-c", DEEP, text(at), levels, name].map(AsRef::as_ref);
    tool("python3", &words, "apt-get install python3");
}

/// More folders than handles, paths longer than the system takes at once, and the two limits by their names.
#[test]
fn deep_trees_are_stored_or_their_limit_is_named() {
    let long = "n".repeat(250);
    for (levels, name, limit) in [
        ("100", "d", None),
        ("30", long.as_str(), None),
        ("2100", "d", Some("more than 2000 folders deep")),
        ("300", long.as_str(), Some("more than 65536 bytes")),
    ] {
        let scratch = Scratch::new("deep");
        let source = scratch.folder("src");
        deep(&source, levels, name);
        let ran = backup(&scratch, &[text(&source), "--json"]);
        match limit {
            Some(limit) => {
                let ran = ran.code(&[2]).says(limit);
                assert_eq!(
                    ran.json()["FilesWithError"].as_u64(),
                    Some(1),
                    "{}",
                    ran.err
                );
            }
            None => {
                let ran = ran.code(&[0]);
                let files = ran.json()["AddedFiles"].as_u64().unwrap();
                let all: u64 = levels.parse().unwrap();
                assert_eq!(files, all.div_ceil(20) + 1, "{levels}");
            }
        }
        scratch
            .run(&["verify", text(&scratch.at("dest")), "all"])
            .code(&[0]);
        backup(&scratch, &[text(&source)]).code(&[if limit.is_some() { 2 } else { 1 }]);
        // Python removes what the system's tools may find too deep.
        let words = [
            "-c",
            "import shutil, sys; sys.setrecursionlimit(9999); shutil.rmtree(sys.argv[1])",
        ];
        let words = [words[0], words[1], text(&source)].map(AsRef::as_ref);
        tool("python3", &words, "apt-get install python3");
    }
}

/// What the kernel makes up is not entered, with one note, unless it is named: alone, beside or inside another source.
#[test]
fn file_systems_without_files_are_entered_only_when_named() {
    let scratch = Scratch::new("pseudo");
    let source = scratch.folder("src");
    fs::write(source.join("file"), "text").unwrap();
    let mounts = ["proc", "sys"].map(|n| (n, scratch.folder(&format!("src/{n}"))));
    let mount = |kind: &str, at: &Path| {
        let kind = if kind == "sys" { "sysfs" } else { kind };
        let mut command = std::process::Command::new("mount");
        command.args(["-t", kind, kind]).arg(at);
        command.output().is_ok_and(|o| o.status.success())
    };
    if !is_root() || !mounts.iter().all(|(kind, at)| mount(kind, at)) {
        // Only root in a container of its own may do that.
        for (_, at) in &mounts {
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(at)
                .output();
        }
        return;
    }
    let run = |words: &[&str]| {
        let _ = fs::remove_dir_all(scratch.at("dest"));
        let _ = fs::remove_dir_all(scratch.at("cache"));
        let ran = backup(&scratch, words);
        (ran.code, ran.err.clone(), listed(&scratch))
    };
    let src = text(&source);
    let named = source.join("proc/sys/kernel/ostype");
    let folder = source.join("proc/sys/kernel/random");
    let runs = [
        run(&[src]),
        run(&[src, "--one-file-system"]),
        run(&[src, "--symlink-policy=Follow"]),
        run(&[src, text(&named)]),
        run(&[src, text(&folder)]),
        run(&[text(&folder)]),
        run(&[src, text(&folder), "--exclude=*.tmp"]),
    ];
    let explained = scratch.run(&["test-filters", src]);
    for (_, at) in &mounts {
        let done = std::process::Command::new("umount")
            .arg("-l")
            .arg(at)
            .output();
        assert!(done.unwrap().status.success());
    }
    for (i, (code, err, list)) in runs.iter().enumerate() {
        assert!(matches!(code, 0 | 2), "{i}: {err}");
        assert_eq!(list.contains("/src/file"), i != 5, "{i}: {list}");
        // Nothing of the rest.
        assert!(
            !list.contains("proc/version") && !list.contains("sys/kernel/mm"),
            "{i}: {list}"
        );
        let notes = err.matches("not entered").count();
        assert_eq!(notes, usize::from(![1, 5].contains(&i)), "{i}: {err}");
        assert_eq!(list.contains("kernel/ostype"), i == 3, "{i}: {list}");
        assert_eq!(list.contains("random/boot_id"), i > 3, "{i}: {list}");
        // A size of nothing hides no content.
        assert!(i != 3 || list.contains("ostype (6 bytes)"), "{list}");
    }
    assert_eq!(runs[0].0, 0, "{}", runs[0].1);
    explained.code(&[0]).says("the kernel's own file system");
}

/// Words that cannot mean what is to be backed up: nothing, standard input by any of its names, what is neither file nor folder.
#[test]
fn a_source_that_cannot_be_stored_is_refused() {
    let scratch = Scratch::new("streams");
    let source = scratch.folder("src");
    fs::write(source.join("file"), "text").unwrap();
    let (pipe, link, socket) = (scratch.at("pipe"), scratch.at("link"), scratch.at("socket"));
    tool("mkfifo", &[pipe.as_ref()], "part of any system");
    symlink(&pipe, &link).unwrap();
    let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let refused = [
        ("", "is empty"),
        ("  ", "is empty"),
        ("-", "standard input"),
        ("/dev/stdin", "standard input"),
        ("/dev/../dev/stdin", "standard input"),
        ("/dev/fd/0", "standard input"),
        ("/proc/self/fd/0", "standard input"),
        (text(&pipe), "is a pipe"),
        ("pipe", "is a pipe"),
        (text(&link), "is a pipe"),
        (text(&socket), "is a socket"),
        ("/dev/null", "is a device"),
    ];
    for (word, says) in refused {
        for words in [&[word][..], &[text(&source), word], &[word, text(&source)]] {
            backup(&scratch, words).code(&[200]).says(says);
            scratch
                .run(&[&["test-filters"], words].concat())
                .code(&[200]);
        }
        assert!(!scratch.at("dest").exists(), "{word}: nothing is made");
    }
    // A file of that name is one.
    fs::write(scratch.at("-"), "text").unwrap();
    backup(&scratch, &["-"]).code(&[0]);
    assert!(listed(&scratch).contains("/- (4 bytes)"));
    // One that is in a folder is left out as before, and a source that is gone is a warning.
    fs::rename(&pipe, source.join("pipe")).unwrap();
    backup(&scratch, &[text(&source), "./-"]).code(&[0]);
    backup(&scratch, &[text(&source), "gone", "./-"])
        .code(&[2])
        .says("does not exist");
}

/// A disk that is not mounted, other sources than before: a version is made, and what it lacks is said.
#[test]
fn a_version_that_lost_nearly_everything_says_so() {
    let scratch = Scratch::new("losses");
    let (disk, other) = (scratch.folder("disk"), scratch.folder("other"));
    let fill = |n: usize| (0..n).for_each(|i| fs::write(disk.join(format!("f{i}")), "x").unwrap());
    fs::write(other.join("file"), "text").unwrap();
    fill(3);
    let both = [text(&disk), text(&other)];
    backup(&scratch, &both).code(&[0]);
    for i in 0..3 {
        fs::remove_file(disk.join(format!("f{i}"))).unwrap();
    }
    let emptied = "/disk/, of which the newest version has 3 entries";
    backup(&scratch, &[&both[..], &["--dry-run"]].concat())
        .code(&[2])
        .says(emptied);
    backup(&scratch, &both).code(&[2]).says(emptied);
    // Once: it is empty now.
    backup(&scratch, &both).code(&[1]);
    // By a rule it is the same.
    fill(30);
    backup(&scratch, &both).code(&[0]);
    backup(&scratch, &[&both[..], &["--exclude=*/disk/*"]].concat())
        .code(&[2])
        .says("has 30 entries");
    backup(&scratch, &both).code(&[0]);
    // Few of many is daily life; nearly all is not.
    for i in 0..5 {
        fs::remove_file(disk.join(format!("f{i}"))).unwrap();
    }
    backup(&scratch, &both).code(&[0]);
    backup(&scratch, &[text(&other)])
        .code(&[2])
        .says("gone: 26 of 28 entries");
    backup(&scratch, &[text(&disk)])
        .code(&[2])
        .says("gone: 2 of 2 entries");
}

#[test]
fn a_folder_is_a_cache_by_the_signature_of_its_tag() {
    let scratch = Scratch::new("tags");
    let source = scratch.folder("src");
    for (name, tag) in [
        (
            "cache",
            "Signature: 8a477f597d28d172789f06886806bc55\n# made by a program",
        ),
        ("thesis", "my notes on the tag"),
        ("empty", ""),
    ] {
        let folder = scratch.folder(&format!("src/{name}"));
        fs::write(folder.join("CACHEDIR.TAG"), tag).unwrap();
        fs::write(folder.join("text"), "x").unwrap();
    }
    fs::write(scratch.folder("src/other").join("nobackup"), "").unwrap();
    let list = |words: &[&str]| {
        let _ = fs::remove_dir_all(scratch.at("dest"));
        let _ = fs::remove_dir_all(scratch.at("cache"));
        backup(&scratch, &[&[text(&source)], words].concat()).code(&[0]);
        let list = listed(&scratch);
        ["cache", "thesis", "empty", "other"].map(|n| list.contains(&format!("/src/{n}/")))
    };
    assert_eq!(list(&[]), [false, true, true, true]);
    assert_eq!(
        list(&["--ignore-filenames=nobackup:CACHEDIR.TAG"]),
        [false, true, true, false]
    );
    assert_eq!(
        list(&["--ignore-filenames=nobackup"]),
        [true, true, true, false]
    );
    // A source is taken whatever it holds.
    let _ = fs::remove_dir_all(scratch.at("dest"));
    let _ = fs::remove_dir_all(scratch.at("cache"));
    backup(&scratch, &[text(&source.join("cache"))]).code(&[0]);
    assert!(listed(&scratch).contains("cache/text"));
}
