//! `copy` under another passphrase: what comes out is a whole backup, whatever the first one was encrypted with, and nothing but
//! the new passphrase opens it.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::harm::flip;
use support::snapshot::{But, same, take};
use support::{
    Ran, Rand, Scratch, contents, differs, fixture, fixture_names, names, opens_with, text, tree,
    volumes,
};

const OLD: &str = "--passphrase=the old one";
const NEW: &str = "--passphrase=the new one";
const ANEW: &str = "--new-passphrase=the new one";
const SIZES: [&str; 3] = ["--no-cache", "--blocksize=20kb", "--dblock-size=1mb"];

/// Two versions in several volumes, in `first`.
fn two_versions(scratch: &Scratch, secret: &str) -> PathBuf {
    let (source, first) = (scratch.folder("source"), scratch.at("first"));
    for n in 0..2 {
        tree::write(&source.join(format!("of {n}")), &Rand(n).bytes(1_500_000));
        let args = ["backup", text(&first), text(&source), secret];
        scratch.run(&[&args[..], &SIZES].concat()).code(&[0]);
    }
    first
}

fn copy(scratch: &Scratch, from: &Path, to: &Path, more: &[&str]) -> Ran {
    let args = ["copy", text(from), text(to), "--no-cache"];
    scratch.run(&[&args[..], more].concat())
}

#[track_caller]
fn whole(scratch: &Scratch, to: &Path) {
    let args = ["verify", text(to), "all", "--full-remote-verification"];
    let args = [&args[..], &["--no-cache", NEW]].concat();
    scratch.run(&args).code(&[0]);
}

/// Every backup of Duplicati's: plain, by AES, by gpg, with other hashes, without indexes.
#[test]
fn whatever_duplicati_wrote() {
    let mut from: Vec<(String, PathBuf, Option<&str>)> = Vec::new();
    for name in fixture_names() {
        let folder = fixture(&name).join("dest");
        let secret = opens_with(&name);
        from.push((name, folder, secret));
    }
    assert!(from.len() > 10);
    for (name, folder, secret) in from {
        let scratch = Scratch::new("anew-fixture");
        let to = scratch.at("to");
        let secret: Vec<&str> = secret.into_iter().collect();
        let ran = copy(&scratch, &folder, &to, &[&secret[..], &[ANEW]].concat());
        ran.code(&[0, 2]).says("copied to");
        assert!(
            names(&to)
                .iter()
                .all(|n| text(n.as_ref()).ends_with(".zip.aes")),
            "{name}"
        );
        let listed = scratch.run(&[&["list", text(&folder), "--no-cache"], &secret[..]].concat());
        let versions = listed.out.lines().filter(|l| l.contains(':')).count();
        for no in 0..versions.clamp(1, 4) {
            let no = format!("--version={no}");
            let restored = |from: &Path, at: &str, secret: &[&str]| {
                let at = scratch.at(at);
                let _ = fs::remove_dir_all(&at);
                let path = format!("--restore-path={}", text(&at));
                let args = ["restore", text(from), &path, "--no-cache", &no];
                scratch.run(&[&args[..], secret].concat()).code(&[0]);
                take(&at)
            };
            let want = restored(&folder, "want", &secret);
            same(&want, &restored(&to, "got", &[NEW]), differs(&name), &name);
        }
        // A second run finds all of it there, though the lengths differ from those of the source; all that an index states.
        let ran = copy(&scratch, &folder, &to, &[&secret[..], &[ANEW]].concat());
        if name == "no-dindex" {
            ran.code(&[0, 2]).says("1 volume (");
            continue;
        }
        ran.code(&[0, 2]).says("0 volumes (0 bytes) copied");
        let all = contents(&to);
        copy(&scratch, &folder, &to, &[&secret[..], &[ANEW]].concat());
        assert!(all == contents(&to), "{name}");
    }
}

/// Volumes that are lost stay lost, and what describes them does not come.
#[test]
fn with_volumes_that_are_gone() {
    let scratch = Scratch::new("anew-gone");
    let first = two_versions(&scratch, OLD);
    let lost = volumes(&first, "dblock").pop().unwrap();
    fs::remove_file(&lost).unwrap();
    let to = scratch.at("to");
    let ran = copy(&scratch, &first, &to, &[OLD, ANEW]);
    ran.says("1 index volume left out");
    assert_eq!(names(&to).len() + 1, names(&first).len());
    let args = ["list-broken-files", text(&to), "--no-cache", NEW];
    let broken = scratch.run(&args);
    let args = ["list-broken-files", text(&first), "--no-cache", OLD];
    let missing = scratch.run(&args).out;
    let (line, rest) = missing.split_once('\n').unwrap();
    assert!(
        line.starts_with("missing: ") && broken.out == rest,
        "{}",
        broken.out
    );
}

/// Killed after the n-th volume came, the first ones and the last ones: the next run goes on, and all of it fits together.
#[test]
fn killed_after_every_volume() {
    let scratch = Scratch::new("anew-cut");
    for secret in [OLD, "--no-encryption"] {
        let _ = fs::remove_dir_all(scratch.at("first"));
        let first = two_versions(&scratch, secret);
        let count = names(&first).len();
        let to = scratch.at("to");
        // Each kind of volume is the last one once; all of them take long.
        for n in (1..count).filter(|n| *n < 5 || n + 3 > count) {
            let _ = fs::remove_dir_all(&to);
            fs::create_dir(&to).unwrap();
            let args = ["copy", text(&first), text(&to), "--no-cache", secret, ANEW];
            let mut child = scratch.start(&args);
            while names(&to).len() < n && child.try_wait().unwrap().is_none() {}
            child.kill().unwrap();
            child.wait().unwrap();
            copy(&scratch, &first, &to, &[secret, ANEW]).code(&[0]);
            let ours = |name: &&std::ffi::OsString| text(name.as_ref()).starts_with("duplicati-");
            assert_eq!(names(&to).iter().filter(ours).count(), count, "after {n}");
            whole(&scratch, &to);
        }
    }
}

/// Damage at the source stays there, and damage at the copy is mended by the next run.
#[test]
fn damage_on_either_side() {
    for word in ["dblock", "dindex", "dlist"] {
        let scratch = Scratch::new("anew-damage");
        let first = two_versions(&scratch, OLD);
        let hurt = volumes(&first, word).pop().unwrap();
        let was = fs::read(&hurt).unwrap();
        flip(&hurt, Some(was.len() / 3));
        let to = scratch.at("to");
        let ran = copy(&scratch, &first, &to, &[OLD, ANEW]).says("left out");
        assert!([2, 3].contains(&ran.code), "{word}: {}", ran.all());
        fs::write(&hurt, &was).unwrap();
        copy(&scratch, &first, &to, &[OLD, ANEW]).code(&[0]);
        whole(&scratch, &to);
        for cut in [false, true] {
            let there = volumes(&to, word).pop().unwrap();
            let data = fs::read(&there).unwrap();
            match cut {
                true => fs::write(&there, &data[..data.len() / 2]).unwrap(),
                false => fs::remove_file(&there).unwrap(),
            }
            copy(&scratch, &first, &to, &[OLD, ANEW]).code(&[0]);
            whole(&scratch, &to);
        }
    }
}

/// Where the passphrase of the copy comes from, and what it must not be.
#[test]
fn the_passphrase_of_the_copy() {
    let scratch = Scratch::new("anew-secret");
    let first = two_versions(&scratch, OLD);
    let file = scratch.at("secret file");
    fs::write(&file, "the new one\n").unwrap();
    let from_file = format!("--new-passphrase-file={}", text(&file));
    let variable = [("NEW_PASSPHRASE", "the new one")];
    let base = |to: &str| vec!["copy".to_owned(), text(&first).to_owned(), to.to_owned()];
    for (n, (more, env)) in [
        (vec![ANEW], &[][..]),
        (vec![from_file.as_str()], &[]),
        (vec!["--new-passphrase-command=echo the new one"], &[]),
        (vec!["--change-passphrase"], &variable),
    ]
    .into_iter()
    .enumerate()
    {
        let to = scratch.at(&format!("to {n}"));
        let mut args = base(text(&to));
        args.extend(["--no-cache", OLD].map(str::to_owned));
        args.extend(more.iter().map(|m| (*m).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = scratch.run_env(&args, env).code(&[0]);
        let told = format!("{}{}", ran.out, ran.err);
        assert!(!told.contains("new one"), "{told}");
        whole(&scratch, &to);
        let old = scratch.run(&["list", text(&to), "0", "--no-cache", OLD]);
        assert!(old.code == 100, "{}", old.all());
    }
    // The variable alone may be another run's.
    let to = scratch.at("as it is");
    let args = ["copy", text(&first), text(&to), "--no-cache", OLD];
    let ran = scratch.run_env(&args, &variable).code(&[2]);
    ran.says("NEW_PASSPHRASE is set and not used");
    assert!(contents(&first) == contents(&to));
    // A copy that has another one is not mixed with it.
    let before = contents(&to);
    for secret in [ANEW, "--new-passphrase=a third one"] {
        let ran = copy(&scratch, &first, &to, &[OLD, secret]).code(&[100]);
        ran.says("wrong passphrase").says("--new-passphrase");
    }
    assert!(before == contents(&to));
    // Nor is one with another passphrase taken for a copy as it is.
    let anew = scratch.at("to 0");
    let before = contents(&anew);
    for to in [&anew, &scratch.at("to 3")] {
        let ran = copy(&scratch, &first, to, &[OLD]).code(&[100]);
        ran.says("has another passphrase")
            .says("nothing was changed");
    }
    assert!(before == contents(&anew));
    let third = copy(
        &scratch,
        &first,
        &scratch.at("to 0"),
        &[OLD, "--new-passphrase=3"],
    );
    third.code(&[100]).says("wrong passphrase");
    for (more, says) in [
        ("--change-passphrase", "none is given"),
        ("--new-passphrase=", "empty or blank"),
        ("--new-passphrase-file=/nonexistent/file", "passphrase file"),
        ("--new-passphrase-command=false", "--new-passphrase-command"),
    ] {
        let none = scratch.at("none");
        let ran = copy(&scratch, &first, &none, &[OLD, more]).says(says);
        assert!([100, 200].contains(&ran.code), "{more}: {}", ran.all());
        assert!(!none.exists(), "{more}");
    }
    let wrong = copy(&scratch, &first, &scratch.at("none"), &[NEW, ANEW]);
    wrong.code(&[100]).says("wrong passphrase");
    let dry = scratch.at("dry");
    copy(&scratch, &first, &dry, &[OLD, ANEW, "--dry-run"])
        .code(&[0])
        .says("would be copied");
    assert!(!dry.exists());
}

/// A version alone, read back; both go on each by itself; and the copy's copy has the first passphrase again.
#[test]
fn chosen_versions_and_what_follows() {
    let scratch = Scratch::new("anew-versions");
    let first = two_versions(&scratch, OLD);
    let (to, back) = (scratch.at("to"), scratch.at("back"));
    let one = ["--version=1", "--verify", OLD, ANEW];
    copy(&scratch, &first, &to, &one)
        .code(&[0])
        .says("copied and read back");
    assert_eq!(volumes(&to, "dlist").len(), 1);
    whole(&scratch, &to);
    copy(&scratch, &first, &to, &[OLD, ANEW]).code(&[0]);
    whole(&scratch, &to);
    let again = "--new-passphrase=the old one";
    copy(&scratch, &to, &back, &[NEW, again]).code(&[0]);
    let tree = |from: &Path, secret: &str| {
        let at = scratch.at("restored");
        let _ = fs::remove_dir_all(&at);
        let path = format!("--restore-path={}", text(&at));
        let args = ["restore", text(from), &path, "--no-cache", secret];
        scratch.run(&args).code(&[0]);
        take(&at)
    };
    same(
        &tree(&first, OLD),
        &tree(&back, OLD),
        But::default(),
        "there and back",
    );
    tree::write(&scratch.at("source").join("more"), &Rand(9).bytes(100_000));
    let source = scratch.at("source");
    for (dest, secret) in [(&to, NEW), (&back, OLD)] {
        let args = ["backup", text(dest), text(&source), secret, "--no-cache"];
        scratch.run(&args).code(&[0]).says("1 added");
        let args = [
            "delete",
            text(dest),
            "--keep-versions=1",
            "--no-cache",
            secret,
        ];
        scratch.run(&args).code(&[0]);
    }
    whole(&scratch, &to);
}

/// Two that went on by themselves have each a version of the same second: neither takes the place of the other.
#[test]
fn versions_of_one_second_are_not_taken_for_each_other() {
    for (secret, more) in [
        (OLD, &[][..]),
        ("--no-encryption", &[]),
        (OLD, &[ANEW]),
        ("--no-encryption", &[ANEW]),
    ] {
        let scratch = Scratch::new("anew-second");
        let first = two_versions(&scratch, secret);
        let to = scratch.at("to");
        let options = [&[secret][..], more].concat();
        copy(&scratch, &first, &to, &options).code(&[0]);
        let theirs = if more.is_empty() { secret } else { NEW };
        let other = scratch.folder("other");
        tree::write(
            &other.join("a file with a name of its own"),
            &Rand(77).bytes(9_000),
        );
        let args = ["backup", text(&to), text(&other), theirs, "--no-cache"];
        scratch.run(&args).code(&[0, 2]);
        // The second is that of a version of the first, which is not there.
        let newest = |folder: &Path| volumes(folder, "dlist").pop().unwrap();
        let name = newest(&first);
        let name = text(name.file_name().unwrap().as_ref())
            .trim_end_matches(".aes")
            .to_owned();
        let end = if theirs == "--no-encryption" {
            ""
        } else {
            ".aes"
        };
        let kept = to.join(format!("{name}{end}"));
        fs::rename(newest(&to), &kept).unwrap();
        let before = fs::read(&kept).unwrap();
        let ran = copy(&scratch, &first, &to, &options).code(&[3]);
        ran.says("another version of the same second");
        assert!(fs::read(&kept).unwrap() == before, "{secret} {more:?}");
    }
}

/// A list of Duplicati's that is damaged since it was copied keeps nothing else from being copied: the copy has it whole.
#[test]
fn a_list_that_is_damaged_at_the_source_by_now() {
    let scratch = Scratch::new("anew-later");
    let name = "four-versions-aes";
    let secret = opens_with(name).unwrap();
    let (first, to) = (scratch.folder("first"), scratch.at("to"));
    let dest = fixture(name).join("dest");
    for (file, data) in contents(&dest) {
        tree::write(&first.join(file), &data);
    }
    copy(&scratch, &first, &to, &[secret, ANEW]).code(&[0]);
    let before = contents(&to);
    let hurt = volumes(&first, "dlist").remove(0);
    flip(&hurt, Some(fs::read(&hurt).unwrap().len() / 3));
    let ran = copy(&scratch, &first, &to, &[secret, ANEW]).code(&[0]);
    ran.says("0 volumes (0 bytes) copied");
    assert!(before == contents(&to));
}

/// What a plain backup says of where its blocks lie holds for its encrypted copy, too.
#[test]
fn places_of_a_plain_backup_hold_in_its_copy() {
    let scratch = Scratch::new("anew-places");
    let first = two_versions(&scratch, "--no-encryption");
    let to = scratch.at("to");
    copy(&scratch, &first, &to, &[ANEW])
        .code(&[0])
        .says("under the new passphrase");
    let file = scratch.at("source").join("of 1");
    let args = [
        "cat",
        text(&to),
        text(&file),
        "--no-cache",
        NEW,
        "-v",
        "--partial-reads=always",
    ];
    let ran = scratch.command(&args).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.stdout == fs::read(&file).unwrap(), "{said}");
    assert!(!said.contains("index volumes are read"), "{said}");
}
