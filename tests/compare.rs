//! How versions differ, and what volumes that are lost cost.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::collections::BTreeMap;
use std::fs;

use support::snapshot::{But, Kind, expected, same, take};
use support::{Scratch, fixture, lifecycle, names, text, tree, volumes};

/// Sign and path of every entry that `compare` shows.
fn shown(out: &str) -> Vec<(char, String)> {
    let rows = out.lines().filter_map(|l| {
        let (sign, rest) = l.split_once(' ')?;
        let sign = sign.chars().next().filter(|c| "+~-".contains(*c))?;
        let path = rest.rsplit_once(" (").map_or(rest, |(p, _)| p);
        Some((sign, path.to_owned()))
    });
    rows.collect()
}

#[test]
fn what_was_added_changed_and_deleted_is_shown() {
    let scratch = Scratch::new("compare");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    for (name, content) in [
        ("stays", "1"),
        ("grows", "12"),
        ("goes", "123"),
        ("mode", "x"),
    ] {
        tree::write(&source.join(name), content.as_bytes());
    }
    fs::create_dir(source.join("old")).unwrap();
    std::os::unix::fs::symlink("stays", source.join("link")).unwrap();
    let backup = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--blocksize=1kb",
    ];
    scratch.run(&backup).code(&[0]);
    tree::write(&source.join("grows"), &[b'2'; 3000]);
    fs::remove_file(source.join("goes")).unwrap();
    fs::remove_dir(source.join("old")).unwrap();
    fs::create_dir(source.join("new")).unwrap();
    tree::write(&source.join("new/file"), b"12345");
    fs::remove_file(source.join("link")).unwrap();
    std::os::unix::fs::symlink("grows", source.join("link")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(source.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    scratch.run(&backup).code(&[0]);
    let root = text(&source).to_owned();
    let (before, d) = (take(&dest), text(&dest));
    for words in [&["compare"][..], &["diff"]] {
        let ran = scratch.run(&[words[0], d]).code(&[0]);
        let mut rows = shown(&ran.out);
        // The times of the folder itself are no subject here.
        rows.retain(|r| r.1 != format!("{root}/"));
        let want = [
            ('+', "/new/"),
            ('+', "/new/file"),
            ('~', "/grows"),
            ('~', "/link"),
            ('~', "/mode"),
            ('-', "/goes"),
            ('-', "/old/"),
        ];
        let want: Vec<_> = want
            .iter()
            .map(|(c, p)| (*c, format!("{root}{p}")))
            .collect();
        assert_eq!(rows, want, "{}", ran.all());
        for line in [
            "size 7 bytes -> 2.93 KiB (+2.92 KiB)",
            "folders  1 added, ",
            "links    0 added, 1 modified, 0 deleted",
            "files    1 added, 2 modified, 1 deleted",
            "/grows (2 bytes -> 2.92 KiB)",
            "/mode (only metadata)",
            "/goes (3 bytes)",
        ] {
            assert!(ran.out.contains(line), "{line}: {}", ran.all());
        }
    }
    // The other way round, by number, by age and by date.
    let back = scratch.run(&["compare", d, "0", "1"]).code(&[0]);
    assert!(shown(&back.out).contains(&('+', format!("{root}/goes"))));
    let list = scratch.run(&["list", d, "--json"]).json();
    let oldest = list["Filesets"][1]["Time"].as_str().unwrap().to_owned();
    for words in [&[oldest.as_str(), "now"][..], &[&oldest]] {
        let ran = scratch.run(&[&["compare", d], words].concat());
        ran.code(&[0]).says("files    1 added");
    }
    // No version is as old as that, and none is made up for it.
    for words in [
        &["100D", "now"][..],
        &["1970-01-01"],
        &["5Y"],
        &["9Y", "0"],
        &["0", "2000-01-01"],
        &["1000000000"],
    ] {
        let ran = scratch.run(&[&["compare", d], words].concat());
        ran.code(&[100]).says("no version is as old as");
    }
    // Equal or not, by the exit code.
    for (words, code) in [
        (&["1", "0"][..], 1),
        (&["0", "0"], 0),
        (&["1", "1"], 0),
        (&[], 1),
        (&["0"], 0),
    ] {
        let mut args = vec!["compare", d, "--exit-code"];
        args.extend(words);
        scratch.run(&args).code(&[code]);
    }
    // Rules are for both sides.
    for (rules, code, rows) in [
        (&["--include=*/goes"][..], 1, 1),
        (&["--exclude=*"], 0, 0),
        (&["--include=*/stays"], 0, 0),
        (
            &["--exclude=*/new/", "--exclude=*/goes", "--include=*e*"],
            1,
            99,
        ),
    ] {
        let mut args = vec!["compare", d, "--exit-code", "-q"];
        args.extend(rules);
        let ran = scratch.run(&args).code(&[code]);
        let found = shown(&ran.out);
        assert!(
            rows == 99 && !found.iter().any(|r| r.1.contains("goes")) || found.len() == rows,
            "{}",
            ran.all()
        );
    }
    let json = scratch
        .run(&["compare", d, "--json", "--exit-code"])
        .code(&[1])
        .json();
    assert_eq!(json["AddedFiles"], 1);
    assert_eq!(
        (&json["ModifiedSymlinks"], &json["DeletedFolders"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&json["PreviousSize"], &json["CurrentSize"]),
        (&7.into(), &3007.into())
    );
    assert!(json["ChangeDetails"].as_array().unwrap().len() >= 7);
    assert_eq!(json["Code"], "different");
    same(&before, &take(&dest), But::default(), "the destination");
}

/// Ten of a kind, or all.
#[test]
fn long_lists_are_cut_unless_all_are_asked_for() {
    let scratch = Scratch::new("compare-long");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    tree::write(&source.join("first"), b"1");
    let backup = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&backup).code(&[0]);
    for n in 0..25 {
        tree::write(&source.join(format!("file {n:02}")), b"1");
    }
    scratch.run(&backup).code(&[0]);
    let some = scratch.run(&["compare", text(&dest)]).code(&[0]);
    assert!(
        some.out.contains("+ 15 more (--full-result"),
        "{}",
        some.all()
    );
    assert!(some.out.contains("file 09") && !some.out.contains("file 10"));
    let all = scratch
        .run(&["compare", text(&dest), "--full-result"])
        .code(&[0]);
    assert!(
        all.out.contains("file 24") && !all.out.contains(" more ("),
        "{}",
        all.all()
    );
}

/// Duplicati's versions: the difference is that of what it backed up.
#[test]
fn versions_by_duplicati_differ_as_their_sources_did() {
    let scratch = Scratch::new("compare-golden");
    for (name, options) in [
        ("four-versions-plain", &[][..]),
        (
            "four-versions-aes",
            &["--passphrase=correct horse battery staple"],
        ),
    ] {
        let dest = text(&fixture(name).join("dest")).to_owned();
        for (base, other) in [(3, 2), (2, 1), (1, 0), (3, 0), (0, 3)] {
            let (base, other): (usize, usize) = (base, other);
            let sides = [base, other].map(|n| expected(name, &(4 - n).to_string()));
            let mut want: BTreeMap<(char, bool), usize> = BTreeMap::new();
            for (path, node) in &sides[1] {
                if sides[0].get(path).is_none_or(|was| was.kind != node.kind) {
                    *want.entry(('+', node.kind == Kind::File)).or_default() += 1;
                }
            }
            for (path, node) in &sides[0] {
                if sides[1].get(path).is_none_or(|is| is.kind != node.kind) {
                    *want.entry(('-', node.kind == Kind::File)).or_default() += 1;
                }
            }
            let (base, other) = (base.to_string(), other.to_string());
            let mut args = vec!["compare", &dest, &base, &other, "--json", "--full-result"];
            args.extend(options);
            let json = scratch.run(&args).code(&[0]).json();
            let n = |key: &str| usize::try_from(json[key].as_u64().unwrap()).unwrap();
            for (sign, key) in [('+', "Added"), ('-', "Deleted")] {
                let all = n(&format!("{key}Files"))
                    + n(&format!("{key}Folders"))
                    + n(&format!("{key}Symlinks"));
                let files = n(&format!("{key}Files"));
                let of = |file| want.get(&(sign, file)).copied().unwrap_or(0);
                assert_eq!(
                    (files, all),
                    (of(true), of(true) + of(false)),
                    "{name} {base} {other} {key}"
                );
            }
            let sum = |side: &support::snapshot::Snapshot| -> u64 {
                side.values()
                    .filter(|n| n.kind == Kind::File)
                    .map(|n| n.size)
                    .sum()
            };
            assert_eq!(n("PreviousSize") as u64, sum(&sides[0]), "{name} {base}");
            assert_eq!(n("CurrentSize") as u64, sum(&sides[1]), "{name} {other}");
        }
    }
}

#[test]
fn versions_that_are_not_there_are_named() {
    let scratch = Scratch::new("compare-usage");
    let one = text(&fixture("plain").join("dest")).to_owned();
    for (words, code, says) in [
        (&[][..], 100, "there is version 0 only"),
        (&["7"], 100, "version 7 does not exist"),
        (&["0", "1"], 100, "version 1 does not exist"),
        (&["soon"], 200, "is expected"),
        (&["3d"], 200, "3D"),
        (&["0", "0", "0"], 200, "too many arguments"),
    ] {
        let mut args = vec!["compare", &one];
        args.extend(words);
        scratch.run(&args).code(&[code]).says(says);
    }
    let damaged = scratch.at("damaged");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &damaged);
    fs::write(&volumes(&damaged, "dlist")[0], b"no zip").unwrap();
    scratch
        .run(&["compare", text(&damaged), "3"])
        .code(&[100])
        .says("dlist");
    scratch.run(&["compare", text(&damaged)]).code(&[0]);
}

/// A volume is gone, its index is not: Duplicati named the same files.
#[test]
fn files_that_lost_a_volume_are_listed() {
    let scratch = Scratch::new("broken");
    let dest = text(&lifecycle("purge-broken-files")).to_owned();
    let ran = scratch
        .run(&["list-broken-files", &dest])
        .code(&[2])
        .says("--rebuild-missing-dblock-files");
    assert!(
        ran.out
            .contains("missing: duplicati-b0b011e3fc1e24236ba42ed21bdc422a7.dblock.zip"),
        "{}",
        ran.all()
    );
    let json = scratch
        .run(&["list-broken-files", &dest, "--json", "--full-result"])
        .code(&[2])
        .json();
    let sets = json["BrokenFilesets"].as_array().unwrap();
    let of = |version: usize| -> Vec<String> {
        let set = sets.iter().find(|s| s["Version"] == version).unwrap();
        let rows = set["Entries"].as_array().unwrap().iter();
        let rows = rows.filter(|e| e["Loss"] == "Data");
        let mut paths: Vec<String> = rows
            .map(|e| {
                e["Path"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("/home/bob2/work/")
                    .to_owned()
            })
            .collect();
        paths.sort();
        paths
    };
    assert_eq!(sets.len(), 3, "the oldest version is whole");
    for version in [0, 1, 2] {
        assert_eq!(
            of(version),
            ["db/table.bin", "docs/day 1.txt", "mail/inbox"],
            "{version}"
        );
    }
    // The fourth entry that Duplicati counted there: a folder's metadata.
    let second = sets.iter().find(|s| s["Version"] == 2).unwrap();
    assert_eq!(
        (&second["Files"], &second["OnlyMetadata"]),
        (&3.into(), &1.into())
    );
    assert!(
        ran.out.contains("(only owner, permissions and times)"),
        "{}",
        ran.all()
    );
}

/// For each volume of each backup: what `affected` says before it is lost is what `list-broken-files` says afterwards, and
/// what a restore then lacks.
#[test]
fn a_volume_costs_what_was_said_before_it_was_lost() {
    let scratch = Scratch::new("affected");
    let mut cases = 0;
    for (name, options) in [
        ("plain", &[][..]),
        ("four-versions-plain", &[]),
        ("compacted-aes", &["--passphrase=päss wörd 語"]),
        ("lookup-dindex", &[]),
        ("no-dindex", &[]),
        ("sha512", &[]),
        ("filehash-sha384", &[]),
    ] {
        let whole = fixture(name).join("dest");
        let run = |command: &str, dest: &str, more: &[&str]| {
            let mut args = vec![command, dest];
            args.extend(more);
            args.extend(["--json", "--full-result"]);
            args.extend(options);
            let ran = scratch.run(&args);
            let sets = ran.json()["BrokenFilesets"].clone();
            // What is lost is a warning; what would be lost is an answer.
            let lost = command == "list-broken-files" && sets != serde_json::json!([]);
            ran.code(&[if lost { 2 } else { 0 }]);
            sets
        };
        let none = run("list-broken-files", text(&whole), &[]);
        assert_eq!(none, serde_json::json!([]), "{name}");
        let blocks = volumes(&whole, "dblock");
        for lost in blocks.iter().take(3) {
            let volume = lost.file_name().unwrap().to_str().unwrap();
            let before = run("affected", text(&whole), &[volume]);
            assert_ne!(before, none, "{name} {volume}");
            if blocks.len() > 1 {
                let dest = scratch.at(&format!("{name} {volume}"));
                support::copy_folder(&whole, &dest);
                fs::remove_file(dest.join(volume)).unwrap();
                let after = run("list-broken-files", text(&dest), &[]);
                assert_eq!(before, after, "{name} {volume}");
            }
            cases += 1;
        }
        for index in volumes(&whole, "dindex").iter().take(1) {
            let volume = index.file_name().unwrap().to_str().unwrap();
            assert_eq!(
                run("affected", text(&whole), &[volume]),
                none,
                "{name} {volume}"
            );
        }
        let list = volumes(&whole, "dlist").pop().unwrap();
        let said = run(
            "affected",
            text(&whole),
            &[list.file_name().unwrap().to_str().unwrap()],
        );
        assert_eq!(
            (&said[0]["Version"], &said[0]["ListLost"]),
            (&0.into(), &true.into()),
            "{name}"
        );
    }
    assert_eq!(cases, 11);
}

#[test]
fn volumes_that_are_not_there_and_folders_without_data_are_refused() {
    let scratch = Scratch::new("affected-usage");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("plain").join("dest"), &dest);
    let d = text(&dest);
    for (args, code, says) in [
        (&["affected", d][..], 200, "too few arguments"),
        (&["affected", d, "x"], 200, "is no name of a volume"),
        (
            &[
                "affected",
                d,
                "duplicati-b00000000000000000000000000000000.dblock.zip",
            ],
            100,
            "there is no volume",
        ),
        (
            &[
                "affected",
                d,
                "duplicati-i00000000000000000000000000000000.dindex.zip",
            ],
            100,
            "there is no volume",
        ),
        (
            &["affected", d, "duplicati-20200101T000000Z.dlist.zip"],
            100,
            "there is no volume",
        ),
        (&["list-broken-files", d, "x"], 200, "too many arguments"),
    ] {
        scratch.run(args).code(&[code]).says(says);
    }
    // A version that cannot be read is an error, and the others are looked at.
    let four = scratch.at("four");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &four);
    fs::write(&volumes(&four, "dlist")[1], b"no zip").unwrap();
    scratch
        .run(&["list-broken-files", text(&four)])
        .code(&[3])
        .says("version 2 is left out");
    for volume in volumes(&dest, "dblock") {
        fs::remove_file(volume).unwrap();
    }
    scratch
        .run(&["list-broken-files", d])
        .code(&[100])
        .says("not one data volume");
    assert!(names(&scratch.at("tmp")).is_empty());
}
