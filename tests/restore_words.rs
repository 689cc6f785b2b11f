//! What a restore and a list are told in words, and what they tell.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::fs;
use support::craft::{META, Maker, Volume};
use support::{Ran, Scratch, names, text};

fn version(scratch: &Scratch, time: &str, full: bool, guid: u32, paths: &[&str]) {
    let mut maker = Maker::new(scratch.at("dest"));
    maker.fileset = Some(full);
    let mut volume = Volume::new(guid);
    let list: Vec<String> = paths
        .iter()
        .map(|path| match path.ends_with('/') {
            true => maker.folder(&mut volume, path, Some(META)),
            false => maker.file(&mut volume, path, path.as_bytes(), Some(META)),
        })
        .collect();
    maker.both(&mut volume);
    maker.dlist(time, &list);
}

fn run(scratch: &Scratch, command: &str, more: &[&str]) -> Ran {
    let target = format!("--restore-path={}", text(&scratch.at("out")));
    let dest = scratch.at("dest");
    let mut args = vec![command, text(&dest)];
    args.extend(more);
    if command == "restore" {
        args.push(&target);
    }
    scratch.run(&args)
}

/// Folders with nothing in them are found in any number of versions; one that once held a file is taken from when it did.
#[test]
fn empty_folders_are_found_in_several_versions() {
    let scratch = Scratch::new("words-empty");
    let full = ["/s/", "/s/emptied/", "/s/emptied/f", "/s/never/"];
    let emptied = ["/s/", "/s/emptied/", "/s/never/", "/s/other"];
    version(&scratch, "20240130T133500Z", true, 1, &full);
    version(&scratch, "20240131T133500Z", true, 1, &emptied);
    version(&scratch, "20240201T133500Z", true, 1, &emptied);
    for word in ["never", "never/", "/s/never", "/s/never/", "s/never"] {
        let _ = fs::remove_dir_all(scratch.at("out"));
        let ran = run(&scratch, "restore", &[word]).code(&[0]);
        ran.says("1 folder").says("from version 0");
        let none = run(&scratch, "restore", &["nowhere"]).code(&[100]);
        none.says("nothing in the backup matches");
    }
    let _ = fs::remove_dir_all(scratch.at("out"));
    // Its data is nowhere, but it is what is looked for.
    let ran = run(&scratch, "restore", &["emptied"]).code(&[3]);
    ran.says("from version 2")
        .says("out/f could not be restored");
}

#[test]
fn folders_and_ends_of_paths_are_found() {
    let scratch = Scratch::new("words-found");
    let paths = [
        "/s/",
        "/s/data/",
        "/s/data/doc/",
        "/s/data/doc/n.txt",
        "/s/[x].txt",
        "/s/x.txt",
    ];
    version(&scratch, "20240131T133500Z", true, 1, &paths);
    for word in [
        "doc",
        "doc/",
        "data/doc",
        "data/doc/n.txt",
        "./doc/n.txt",
        "/s/data/doc",
        "doc/*",
        "n.txt",
    ] {
        let _ = fs::remove_dir_all(scratch.at("out"));
        run(&scratch, "restore", &[word]).code(&[0]);
        assert_eq!(names(&scratch.at("out")), ["n.txt"], "{word}");
        for command in ["list", "find"] {
            run(&scratch, command, &[word])
                .code(&[0])
                .says("/s/data/doc/n.txt");
        }
    }
    let ran = run(&scratch, "list", &["[x].txt"])
        .code(&[0])
        .says("/s/[x].txt");
    assert!(!ran.out.contains("/s/x.txt"), "{}", ran.out);
    for folder in ["/s/data/doc", "data/doc/", "doc"] {
        run(&scratch, "list-folder-content", &[folder])
            .code(&[0])
            .says("n.txt");
    }
    for word in ["nothing", "oc", "/doc"] {
        run(&scratch, "restore", &[word])
            .code(&[100])
            .says("nothing in the backup matches");
    }
    // One of several words finds nothing: the others are restored, and it is named.
    let _ = fs::remove_dir_all(scratch.at("out"));
    for command in [&["restore"][..], &["restore", "--dry-run"]] {
        let words = [&command[1..], &["n.txt", "nosuch"]].concat();
        run(&scratch, command[0], &words)
            .code(&[2])
            .says("nothing in version 0 matches nosuch (see 'duplet find URL nosuch')");
    }
    assert_eq!(names(&scratch.at("out")), ["n.txt"]);
    run(&scratch, "cat", &["n.txt", "nosuch"]).says("matches nosuch");
    for command in ["list", "find"] {
        run(&scratch, command, &["n.txt", "nosuch"])
            .code(&[0])
            .says("nothing matches nosuch");
    }
    for command in ["restore", "list", "find"] {
        run(&scratch, command, &["{NoSuchGroup}"])
            .code(&[200])
            .says("no filter group");
    }
}

#[test]
fn rules_of_a_parameters_file_are_the_backups() {
    let scratch = Scratch::new("words-rules");
    version(
        &scratch,
        "20240131T133500Z",
        true,
        1,
        &["/s/", "/s/a.txt", "/s/b.tmp"],
    );
    for rules in [
        "--exclude=*.tmp\n",
        "--append-filter=-*.tmp\n",
        "--prepend-filter=-*.tmp\n",
        "--replace-filter=-*.tmp\n",
        "--include=*.txt\n",
    ] {
        let file = scratch.at("conf");
        fs::write(&file, rules).unwrap();
        let option = format!("--parameters-file={}", text(&file));
        let _ = fs::remove_dir_all(scratch.at("out"));
        run(&scratch, "restore", &[&option])
            .code(&[0])
            .says("not used by restore");
        assert_eq!(names(&scratch.at("out")), ["a.txt", "b.tmp"], "{rules}");
        for command in ["list", "find"] {
            run(&scratch, command, &["b.tmp", &option])
                .code(&[0])
                .says("/s/b.tmp");
        }
        // What the command line says holds, also beside rules of the file.
        let _ = fs::remove_dir_all(scratch.at("out"));
        run(&scratch, "restore", &[&option, "--exclude=*.txt"]).code(&[0]);
        assert_eq!(names(&scratch.at("out")), ["b.tmp"], "{rules}");
    }
}

#[test]
fn a_day_means_its_end() {
    let scratch = Scratch::new("words-day");
    for (guid, time) in [
        (1, "20240130T100000Z"),
        (2, "20240131T235930Z"),
        (3, "20240201T000000Z"),
    ] {
        version(&scratch, time, true, guid, &["/s/f"]);
    }
    for (time, want) in [
        ("2024-01-31", "2024-01-31 23:59:30"),
        ("2024-01-30", "2024-01-30 10:00:00"),
        ("2024-02-01", "2024-02-01 00:00:00"),
        ("2024-01-31T23:59", "2024-01-31 23:59:30"),
        ("2024-01-31T23:59:29", "2024-01-30 10:00:00"),
    ] {
        let option = format!("--time={time}");
        let _ = fs::remove_dir_all(scratch.at("out"));
        run(&scratch, "restore", &[&option]).code(&[0]).says(want);
    }
    run(&scratch, "restore", &["--time=2024-01-29"]).code(&[100]);
}

#[test]
fn a_partial_version_is_called_so() {
    let scratch = Scratch::new("words-part");
    version(&scratch, "20240130T100000Z", true, 1, &["/s/f", "/s/g"]);
    version(&scratch, "20240131T100000Z", false, 2, &["/s/f"]);
    run(&scratch, "restore", &[])
        .code(&[0])
        .says("from partial version 0")
        .says("version 0 of 2024-01-31 10:00:00 is partial");
    run(&scratch, "restore", &["f"])
        .code(&[0])
        .says("is partial");
    let json = run(&scratch, "restore", &["f", "--json"]).code(&[0]).json();
    assert_eq!(json["IsFullBackup"], false);
    for more in [&["--version=1"][..], &["g"]] {
        let ran = run(&scratch, "restore", more).code(&[0]);
        assert!(!ran.all().contains("partial"), "{}", ran.all());
    }
    run(&scratch, "list", &["0"]).code(&[0]).says("is partial");
    run(&scratch, "list", &["--full-result"])
        .code(&[0])
        .says("1 file, 4 bytes, partial");
    let ran = run(&scratch, "find", &["g"])
        .code(&[0])
        .says("-  (partial version)".replace("  ", " ").as_str());
    assert_eq!(ran.out.matches("partial").count(), 1, "{}", ran.out);
}

#[test]
fn reports_say_what_was_written_and_what_was_not() {
    let scratch = Scratch::new("words-report");
    version(
        &scratch,
        "20240131T133500Z",
        true,
        1,
        &["/s/", "/s/a.txt", "/s/b", "/s/c"],
    );
    let out = scratch.folder("out");
    fs::write(out.join("a.txt"), "mine").unwrap();
    fs::write(out.join("b"), "mine").unwrap();
    let ran = run(&scratch, "restore", &[])
        .code(&[0])
        .says("2 entries got another name");
    for name in ["a.2024-01-31.txt", "b.2024-01-31"] {
        assert!(ran.out.contains(name), "{}", ran.out);
    }
    let _ = fs::remove_dir_all(&out);
    for name in names(&scratch.at("dest")) {
        if name.to_string_lossy().contains("dblock") {
            fs::remove_file(scratch.at("dest").join(name)).unwrap();
        }
    }
    let ran = run(&scratch, "restore", &["--skip-metadata"])
        .code(&[3])
        .says("3 not restored:");
    assert!(!ran.out.contains("incomplete"), "{}", ran.out);
    let ran = run(&scratch, "verify", &["all"])
        .code(&[3])
        .says("what to do: ");
    for line in ran.out.lines().filter(|l| l.starts_with("Missing")) {
        let named = line.split([' ', ':']).nth(1).unwrap();
        assert!(!scratch.at("dest").join(named).exists(), "{line}");
    }
}
