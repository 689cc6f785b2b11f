//! `purge` and `purge-broken-files`: what goes, what stays, and what is refused before anything is changed.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::Path;

use support::snapshot::{But, Kind, expected_at, same, take};
use support::{Rand, Scratch, lifecycle, names, outside, text, tree, volumes};

fn copy(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle(name), &dest);
    dest
}

/// Every version, oldest first, is what Duplicati made of it; compared is the tree below the source folder.
fn restores_as(scratch: &Scratch, dest: &Path, expected: &Path, files: &[&str], but: But) {
    for (n, file) in files.iter().rev().enumerate() {
        let to = scratch.at("restored");
        let _ = fs::remove_dir_all(&to);
        let (path, version) = (
            format!("--restore-path={}", text(&to)),
            format!("--version={n}"),
        );
        let args = [
            "restore",
            text(dest),
            &path,
            &version,
            "--restore-permissions",
        ];
        scratch.run(&args).code(&[0]);
        let (mut want, mut got) = (expected_at(&expected.join(file)), take(&to));
        // Folders of which the entry went have no times of their own.
        let folders: Vec<_> = got
            .keys()
            .filter(|p| !want.contains_key(*p))
            .cloned()
            .collect();
        for path in folders {
            if got[&path].kind == Kind::Folder {
                got.remove(&path);
            }
        }
        if !got.contains_key(&b""[..]) {
            want.remove(&b""[..]);
        }
        same(&want, &got, but, file);
    }
}

fn verified(scratch: &Scratch, dest: &Path) {
    scratch
        .run(&["verify", text(dest), "all", "--full-remote-verification"])
        .code(&[0]);
    outside(dest);
}

#[test]
fn purged_as_duplicati_does() {
    let but = But {
        root: true,
        ..But::default()
    };
    for (name, options, expected) in [
        (
            "purge-files",
            &["--include=*/docs/note 1.txt", "--include=*.jpg"][..],
            "expected",
        ),
        ("purge-files", &["*/docs/note 1.txt", "*.jpg"], "expected"),
        ("purge-folder", &["*/mail/"], "expected"),
        ("purge-folder", &["--include=*/mail/"], "expected"),
    ] {
        let scratch = Scratch::new("purge");
        let dest = copy(&scratch, name);
        let mut args = vec!["purge", text(&dest)];
        args.extend(options);
        let before = names(&dest);
        let mut dry = args.clone();
        dry.push("--dry-run");
        scratch.run(&dry).code(&[0]).says("nothing was changed");
        assert_eq!(names(&dest), before);
        scratch.run(&args).code(&[0]);
        let golden = lifecycle(name).with_file_name(expected);
        let said = fs::read_to_string(golden.join("versions.json")).unwrap();
        let wanted: Vec<String> = serde_json::from_str(&said).unwrap();
        let now: Vec<String> = volumes(&dest, "dlist")
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(now, wanted, "{name}");
        let files = ["1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"];
        let but = But {
            mtime: name == "purge-folder",
            mode: name == "purge-folder",
            ..but
        };
        restores_as(&scratch, &dest, &golden, &files, but);
        verified(&scratch, &dest);
        scratch.run(&args).code(&[0]).says("nothing matches");
    }
}

#[test]
fn one_version_is_purged_and_the_others_are_not_touched() {
    let scratch = Scratch::new("purge-one");
    let dest = copy(&scratch, "purge-files");
    let kept = fs::read(dest.join("duplicati-20240203T100000Z.dlist.zip")).unwrap();
    let args = [
        "purge",
        text(&dest),
        "--version=1",
        "--include=*/docs/note 1.txt",
        "--include=*.jpg",
        "--json",
    ];
    let said = scratch.run(&args).code(&[0]).json();
    assert_eq!(said["RewrittenFileLists"], 1);
    assert_eq!(said["RemovedEntries"], 4);
    assert_eq!(said["DeletedFileLists"], 1);
    let lists: Vec<_> = names(&dest).into_iter().take(4).collect();
    assert_eq!(
        lists,
        [
            "duplicati-20240131T100001Z.dlist.zip",
            "duplicati-20240201T100000Z.dlist.zip",
            "duplicati-20240202T100001Z.dlist.zip",
            "duplicati-20240203T100000Z.dlist.zip"
        ]
    );
    assert_eq!(fs::read(dest.join(&lists[3])).unwrap(), kept);
    let golden = lifecycle("purge-files").with_file_name("expected-version-1");
    let files = ["1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"];
    let but = But {
        root: true,
        ..But::default()
    };
    restores_as(&scratch, &dest, &golden, &files, but);
    verified(&scratch, &dest);
}

#[test]
fn what_would_take_too_much_is_refused() {
    let scratch = Scratch::new("purge-refused");
    let dest = copy(&scratch, "purge-files");
    let before = take(&dest);
    for (words, code, says) in [
        (&[][..], 200, "needs a pattern"),
        (&["--exclude=*.jpg"], 200, "names what stays"),
        (&[""], 200, "empty"),
        (&[" "], 200, ""),
        (&["*"], 200, "matches everything"),
        (&["**"], 200, "matches everything"),
        (&["[.*]"], 200, "matches everything"),
        (&["/home/*"], 200, "matches everything"),
        (&["*", "--force"], 200, "matches everything"),
        (&["--include=*"], 200, "matches everything"),
        (&["*", "--version=1"], 200, "matches everything"),
        (&["*", "--exclude=*.conf"], 200, "more than half"),
        (&["[(]"], 200, ""),
        (&["{Nonsense}"], 200, ""),
        (&["*.jpg", "--version=9"], 100, "does not exist"),
        (&["*.jpg", "--version=1", "--time=3D"], 200, "together"),
        (&["*.jpg", "--passphrase=x"], 100, ""),
        (&["*.jpg", "--prefix=other"], 100, "no backup"),
    ] {
        let mut args = vec!["purge", text(&dest)];
        args.extend(words);
        scratch.run(&args).code(&[code]).says(says);
        same(&before, &take(&dest), But::default(), &format!("{words:?}"));
    }
    let args = ["purge", text(&dest), "*", "--exclude=*.conf", "--force"];
    // A dry run says beforehand what the run needs.
    for (args, told) in [(&args[..4], true), (&args[..], false)] {
        let ran = scratch.run(&[args, &["--dry-run"]].concat()).code(&[0]);
        let ran = ran.says("nothing was changed");
        let says = ran.out.contains("without --dry-run it needs --force: ");
        assert_eq!(says && ran.out.contains("more than half"), told);
        same(&before, &take(&dest), But::default(), "dry");
    }
    scratch.run(&args).code(&[0]);
    verified(&scratch, &dest);
}

/// A backup of four files in versions of the given seconds.
fn made(scratch: &Scratch, count: usize, how: &[&str]) -> std::path::PathBuf {
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    for n in 0..4 {
        tree::write(&source.join(format!("f{n}")), &Rand(n).bytes(40_000));
    }
    let mut args = vec![
        "backup",
        text(&dest),
        text(&source),
        "--blocksize=1kb",
        "--dblock-size=1mb",
    ];
    args.extend(how);
    for n in 0..count {
        tree::write(
            &source.join(format!("new {n}")),
            &Rand(90 + n as u64).bytes(3000),
        );
        scratch.run(&args).code(&[0]);
    }
    dest
}

fn rename_lists(dest: &Path, times: &[&str]) {
    for (list, time) in volumes(dest, "dlist").into_iter().zip(times) {
        let name = list.file_name().unwrap().to_string_lossy().into_owned();
        let new = format!("duplicati-{time}Z{}", &name[name.find(".dlist").unwrap()..]);
        fs::rename(&list, dest.join(new)).unwrap();
    }
}

#[test]
fn versions_a_second_apart_are_refused_before_the_first_write() {
    let scratch = Scratch::new("purge-close");
    let dest = made(&scratch, 3, &["--no-encryption"]);
    rename_lists(
        &dest,
        &["20240101T000000", "20240101T000005", "20240101T000006"],
    );
    let before = take(&dest);
    let args = ["purge", text(&dest), "*/f1"];
    scratch.run(&args).code(&[100]).says("no free second");
    same(&before, &take(&dest), But::default(), "the destination");
    let args = ["purge", text(&dest), "*/f1", "--version=0,2"];
    scratch.run(&args).code(&[0]);
    verified(&scratch, &dest);
}

/// Encrypted lists tell when they were made: one of a purge in the very second of its version, too.
#[test]
fn versions_that_are_purged_at_once_do_not_look_forged() {
    let scratch = Scratch::new("purge-at-once");
    let key = "--passphrase=key";
    let dest = made(&scratch, 2, &[key]);
    for (file, version) in [("*/f1", "--version=0"), ("*/f2", "--version=1")] {
        let args = ["purge", text(&dest), file, version, key];
        scratch.run(&args).code(&[0]);
    }
    let args = ["verify", text(&dest), "all", key];
    scratch.run(&args).code(&[0]);
}

#[test]
fn nothing_goes_while_a_list_cannot_be_read() {
    for command in ["purge", "purge-broken-files"] {
        let scratch = Scratch::new("purge-damaged");
        let dest = made(&scratch, 3, &["--passphrase=x y"]);
        let list = volumes(&dest, "dlist").remove(1);
        let mut data = fs::read(&list).unwrap();
        let middle = data.len() / 2;
        data[middle] ^= 1;
        fs::write(&list, data).unwrap();
        fs::remove_file(volumes(&dest, "dblock").remove(0)).unwrap();
        let before = take(&dest);
        for passphrase in ["--passphrase=x y", "--passphrase=other"] {
            let mut args = vec![command, text(&dest), passphrase];
            args.extend((command == "purge").then_some("*/f1"));
            scratch.run(&args).code(&[100]);
            same(&before, &take(&dest), But::default(), command);
        }
    }
}

#[test]
fn what_a_lost_volume_took_along_goes_as_with_duplicati() {
    let scratch = Scratch::new("purge-broken");
    let dest = copy(&scratch, "purge-broken-files");
    let before = names(&dest);
    let args = ["purge-broken-files", text(&dest)];
    scratch
        .run(&["purge-broken-files", text(&dest), "--dry-run"])
        .code(&[0])
        .says("would delete duplicati-i2521337d9ce646adb49de3b8176f0b84.dindex.zip");
    assert_eq!(names(&dest), before);
    scratch
        .run(&args)
        .code(&[0])
        .says("1 left without metadata");
    let golden = lifecycle("purge-broken-files").with_file_name("expected");
    let files: Vec<String> = names(&golden)
        .iter()
        .map(|n| n.to_string_lossy().into_owned())
        .collect();
    let now: Vec<String> = volumes(&dest, "dlist")
        .iter()
        .map(|p| {
            p.file_name()
                .unwrap()
                .to_string_lossy()
                .replace(".dlist.zip", ".jsonl")
        })
        .collect();
    assert_eq!(now, files);
    // Times as Duplicati restored them are not those of the entries.
    let but = But {
        root: true,
        mtime: true,
        mode: true,
        ..But::default()
    };
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    restores_as(&scratch, &dest, &golden, &files, but);
    verified(&scratch, &dest);
    scratch.run(&args).code(&[0]).says("nothing is broken");
}

#[test]
fn without_their_metadata_entries_go_too_when_asked() {
    let scratch = Scratch::new("purge-broken-meta");
    let dest = copy(&scratch, "purge-broken-files");
    let args = [
        "purge-broken-files",
        text(&dest),
        "--disable-replace-missing-metadata",
        "--json",
    ];
    let said = scratch.run(&args).code(&[0]).json();
    assert_eq!(said["ReplacedMetadata"], 0);
    assert_eq!(said["RemovedEntries"], 10);
    verified(&scratch, &dest);
}

#[test]
fn a_version_without_a_file_goes_and_the_last_one_does_not() {
    let scratch = Scratch::new("purge-broken-all");
    let source = scratch.folder("source");
    let dest = scratch.at("dest");
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--blocksize=1kb",
    ];
    tree::write(&source.join("a"), &Rand(1).bytes(9000));
    scratch.run(&args).code(&[0]);
    let first = volumes(&dest, "dblock");
    fs::remove_file(source.join("a")).unwrap();
    tree::write(&source.join("b"), &Rand(2).bytes(9000));
    scratch.run(&args).code(&[0]);
    let kept = scratch.at("kept");
    support::copy_folder(&dest, &kept);
    fs::remove_file(&first[0]).unwrap();
    scratch
        .run(&["purge-broken-files", text(&dest)])
        .code(&[0])
        .says("version 1");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    verified(&scratch, &dest);
    for volume in volumes(&kept, "dblock") {
        fs::remove_file(volume).unwrap();
    }
    let before = take(&kept);
    scratch
        .run(&["purge-broken-files", text(&kept)])
        .code(&[100])
        .says("data volume");
    same(&before, &take(&kept), But::default(), "the destination");
}

/// A name that fits nothing says how it is compared, where that may be the reason.
#[test]
fn a_name_that_matches_nothing_says_how_it_is_compared() {
    let scratch = Scratch::new("purge-nothing");
    let dest = copy(&scratch, "purge-files");
    let before = support::contents(&dest);
    for (words, says) in [
        (&["nothing"][..], Some("'*nothing*' finds parts of names")),
        (&["@nothing"], Some("'*nothing*' finds parts of names")),
        (&["*/nothing", "nix"], Some("'*nix*' finds parts")),
        (&["nix*"], None),
        (&["docs/nothing"], None),
        (&["*/nothing"], None),
        (&["/nothing/*"], None),
        (&["[.*nothing]"], None),
        (&["--include=*/nothing"], None),
    ] {
        for more in [&[][..], &["--dry-run"]] {
            let args = [&["purge", text(&dest)], words, more].concat();
            let ran = scratch.run(&args).code(&[0]).says("nothing matches");
            match says {
                Some(says) => drop(ran.says(says)),
                None => assert_eq!(ran.out.lines().count(), 1, "{}", ran.all()),
            }
        }
    }
    assert_eq!(support::contents(&dest), before);
}

#[test]
fn words_mean_what_they_mean_to_find_and_restore() {
    let scratch = Scratch::new("purge-words");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    let files = [
        "emoji",
        "@at",
        "at",
        "[brack]",
        "back\\slash",
        "sub/emoji",
        "sub/em/inner",
        "{Temp}",
        "a b",
        "plain.txt",
        "sub/plain.txt",
        "what?",
        "whats",
        "rest1",
        "rest2",
        "rest3",
        "rest4",
        "rest5",
        "rest6",
    ];
    fs::create_dir_all(source.join("sub/em")).unwrap();
    for name in files {
        tree::write(&source.join(name), name.as_bytes());
    }
    let args = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&args).code(&[0]);
    let paths = |ran: &support::Ran, key: &str| -> Vec<String> {
        let all = ran.json();
        let files = match key {
            "Files" => &all["Files"],
            _ => &all["Filesets"][0]["Entries"],
        };
        let entries = files.as_array().cloned().unwrap_or_default();
        let path = |e: &serde_json::Value| e["Path"].as_str().unwrap().to_owned();
        let mut out: Vec<String> = entries.iter().map(path).collect();
        out.sort();
        out
    };
    for (word, folders) in [
        ("emoji", false),
        ("em*", false),
        ("@at", false),
        ("at", false),
        ("[brack]", false),
        ("back\\slash", false),
        ("{Temp}", false),
        ("a b", false),
        ("what?", false),
        ("sub/plain.txt", false),
        ("pl*txt", false),
        ("*/pl*", false),
        ("[.*/wh.*]", false),
        ("em", true),
        ("sub/", true),
        ("em/*", false),
    ] {
        let find = ["find", text(&dest), word, "--json", "--version=0"];
        let found = paths(&scratch.run(&find).code(&[0]), "Files");
        let purge = [
            "purge",
            text(&dest),
            word,
            "--json",
            "--dry-run",
            "--full-result",
        ];
        let taken = paths(&scratch.run(&purge).code(&[0]), "Filesets");
        match folders {
            // Entries go one by one, not what lies in a folder of that name.
            true => {
                assert!(taken.len() < found.len(), "{word}: {taken:?}");
                assert!(taken.iter().all(|p| found.contains(p)), "{word}: {taken:?}");
            }
            false => assert_eq!(taken, found, "{word}"),
        }
    }
    // What goes is what the dry run showed, and it is not found any more.
    for word in ["@at", "em*", "[brack]", "back\\slash"] {
        let find = ["find", text(&dest), word];
        scratch.run(&find).code(&[0]);
        scratch.run(&["purge", text(&dest), word]).code(&[0]);
        if word == "@at" {
            // Now the word means the other name.
            scratch.run(&find).code(&[0]).says("/at");
        } else {
            scratch.run(&find).code(&[100]);
        }
    }
    scratch.run(&["purge", text(&dest), "{Nope}"]).code(&[200]);
    verified(&scratch, &dest);
    let dest = text(&dest);
    scratch
        .run(&["restore", dest, "a b", "--restore-path=to"])
        .code(&[0]);
}

#[test]
fn a_dry_run_says_so_also_where_nothing_would_go() {
    let scratch = Scratch::new("purge-dry");
    let dest = made(&scratch, 2, &["--no-encryption"]);
    let d = text(&dest);
    for (args, dry) in [
        (&["purge", d, "no such", "--dry-run"][..], true),
        (&["purge", d, "--include=*/none", "-n"], true),
        (&["purge-broken-files", d, "--dry-run"], true),
        (&["purge", d, "no such"], false),
        (&["purge-broken-files", d], false),
    ] {
        let ran = scratch.run(&[args, &["--json"]].concat()).code(&[0]);
        let all = ran.json();
        assert_eq!(all["Dryrun"], dry, "{}", ran.all());
        assert_eq!(all["RewrittenFileLists"], 0, "{}", ran.all());
        assert!(all["Filesets"].as_array().unwrap().is_empty());
    }
}
