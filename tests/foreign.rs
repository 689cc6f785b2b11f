//! What lies beside the volumes of a backup is not of it: copies, parts and checksums under other names, the volumes of
//! other machines. Every command works as without them, and `verify` names them once.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::Path;

use support::{Ran, Scratch, names, text, tree};

const SECRET: &str = "--passphrase=foreign files";

fn backed_up(options: &[&str]) -> Scratch {
    let scratch = Scratch::new("foreign");
    let source = scratch.folder("source");
    tree::write(&source.join("one"), b"1");
    tree::write(&source.join("two"), &[2; 5000]);
    run(&scratch, "backup", options).code(&[0]);
    scratch
}

/// A command on the destination, with a source or a place where it wants one.
fn run(scratch: &Scratch, command: &str, options: &[&str]) -> Ran {
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    let to = scratch.at("to");
    let place = format!("--restore-path={}", text(&to));
    let mut words = vec![command, text(&dest)];
    match command {
        "backup" => words.push(text(&source)),
        "restore" => {
            let _ = fs::remove_dir_all(&to);
            words.push(&place);
        }
        "verify" => words.push("all"),
        _ => {}
    }
    words.extend(options);
    scratch.run(&words)
}

/// All of it as if there were nothing else.
#[track_caller]
fn undisturbed(scratch: &Scratch, options: &[&str], label: &str) {
    let listed = run(scratch, "list", options).code(&[0]);
    assert_eq!(listed.out.lines().count(), 1, "{label}: {}", listed.all());
    run(scratch, "restore", options).code(&[0]);
    for name in ["one", "two"] {
        let read = |folder: &str| fs::read(scratch.at(folder).join(name)).unwrap();
        assert!(read("source") == read("to"), "{label}: {name}");
    }
    run(scratch, "backup", options).code(&[1]);
    run(scratch, "verify", options).code(&[0]);
}

/// Name templates of what other programs put beside a file; `NAME` is the file's, `STEM` its name to the last dot.
const FORMS: [&str; 24] = [
    "._NAME",
    ".NAME.Xy12Ab",
    "~NAME",
    "~$NAME",
    "Copy of NAME",
    "Copy (2) of NAME",
    ".syncthing.NAME.tmp",
    ".~NAME",
    ".nfs-NAME",
    "#NAME#",
    ".#NAME",
    "NAME.part",
    "NAME.tmp",
    "NAME.md5",
    "NAME.rclone-partial",
    "NAME~",
    "NAME.ocTransferId7.part",
    "NAME.par2",
    "NAME.aes",
    "STEM (1).EXT",
    "STEM - Copy.EXT",
    "STEM (conflicted copy 2026-01-01).EXT",
    "STEM.sync-conflict-20260101-120000-ABCDEFG.EXT",
    "trashNAME.old",
];

#[test]
fn copies_and_parts_disturb_nothing() {
    for options in [&["--no-encryption"][..], &[SECRET]] {
        let scratch = backed_up(options);
        let dest = scratch.at("dest");
        let had = names(&dest);
        for form in FORMS {
            let mut put = Vec::new();
            for volume in &had {
                let volume = volume.to_str().unwrap();
                let (stem, ext) = volume.rsplit_once('.').unwrap();
                let name = form
                    .replace("NAME", volume)
                    .replace("STEM", stem)
                    .replace("EXT", ext);
                // A plain volume of an encrypted sort is no copy of a plain one.
                if name == format!("{volume}.aes") && ext == "zip" {
                    continue;
                }
                let junk: &[u8] = b"\0\x05\x16\x07 not a volume";
                let whole = fs::read(dest.join(volume)).unwrap();
                let data = if form.contains("opy") { &whole } else { junk };
                fs::write(dest.join(&name), data).unwrap();
                put.push(name);
            }
            undisturbed(&scratch, options, form);
            for name in put {
                fs::remove_file(dest.join(name)).unwrap();
            }
        }
        assert_eq!(names(&dest), had);
    }
}

#[test]
fn verify_names_what_is_foreign_once() {
    let scratch = backed_up(&["--no-encryption"]);
    let dest = scratch.at("dest");
    for i in 0..15 {
        fs::write(dest.join(format!("holiday-{i}.jpg")), b"x").unwrap();
    }
    for name in names(&dest) {
        let name = name.to_str().unwrap();
        if name.starts_with("duplicati-") {
            fs::copy(
                dest.join(name),
                dest.join(name.replacen("duplicati", "box2", 1)),
            )
            .unwrap();
        }
    }
    let ran = run(&scratch, "verify", &["--no-encryption"]).code(&[0]);
    let lines: Vec<_> = ran.err.lines().filter(|l| l.contains("ignored")).collect();
    assert_eq!(lines.len(), 1, "{}", ran.all());
    assert!(
        lines[0].contains("15 foreign files (holiday-"),
        "{}",
        ran.all()
    );
    assert!(
        lines[0].contains("3 volumes of other prefixes"),
        "{}",
        ran.all()
    );
}

/// Two machines in one folder: whichever wrote first, neither changes what the other sees.
#[test]
fn a_second_prefix_never_disturbs_the_first() {
    for options in [&["--no-encryption"][..], &[SECRET]] {
        let scratch = backed_up(options);
        let dest = scratch.at("dest");
        let second = scratch.folder("source 2");
        tree::write(&second.join("three"), b"3");
        let args = [
            "backup",
            text(&dest),
            text(&second),
            "--prefix=box2",
            "--new-backup",
        ];
        for other in [SECRET, "--passphrase=another", "--no-encryption"] {
            scratch.run(&[&args[..], &[other]].concat()).code(&[0]);
            undisturbed(&scratch, options, other);
            let one = [options, &["--prefix=duplicati"]].concat();
            undisturbed(&scratch, &one, other);
            let list = ["list", text(&dest), "0", "--prefix=box2", other];
            let ran = scratch.run(&list).code(&[0]);
            assert!(
                ran.out.contains("three") && !ran.out.contains("/one"),
                "{}",
                ran.all()
            );
            remove(&dest, "box2-");
        }
    }
}

fn remove(dest: &Path, start: &str) {
    for name in names(dest) {
        if name.to_string_lossy().starts_with(start) {
            fs::remove_file(dest.join(name)).unwrap();
        }
    }
}

/// Without volumes of the default prefix the one that has a version which opens is meant, and no other.
#[test]
fn another_prefix_is_meant_if_it_alone_opens() {
    let scratch = backed_up(&[SECRET, "--prefix=box2"]);
    let dest = scratch.at("dest");
    let had = names(&dest);
    let prefixed = |scratch: &Scratch| {
        run(scratch, "restore", &[SECRET]).code(&[0]);
        assert!(scratch.at("to/one").exists());
        run(scratch, "verify", &[SECRET]).code(&[0]);
    };
    prefixed(&scratch);
    for form in ["._NAME", "~NAME", "Copy of NAME", ".box2.NAME", "#NAME"] {
        for volume in &had {
            let name = form.replace("NAME", volume.to_str().unwrap());
            fs::write(dest.join(name), b"junk").unwrap();
        }
        prefixed(&scratch);
    }
    // A plain one was put there by a stranger, one with another passphrase is another machine's.
    let source = scratch.at("source");
    for other in ["--no-encryption", "--passphrase=another"] {
        let args = [
            "backup",
            text(&dest),
            text(&source),
            "--prefix=evil",
            "--new-backup",
            other,
        ];
        scratch.run(&args).code(&[0]);
        prefixed(&scratch);
        remove(&dest, "evil-");
    }
    // Two that open: which one has to be said; and so for writing.
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--prefix=box3",
        SECRET,
    ];
    scratch.run(&args).code(&[0]);
    run(&scratch, "restore", &[SECRET])
        .code(&[100])
        .says("--prefix");
    run(&scratch, "list", &[]).code(&[100]).says("--prefix");
    run(&scratch, "backup", &[SECRET])
        .code(&[100])
        .says("--prefix");
    run(&scratch, "restore", &[SECRET, "--prefix=box3"]).code(&[0]);
}
