//! `list` and `find` show what the versions hold, also when some of them are damaged.

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use support::harm::{ALL, Harm, harm};
use support::{Ran, Scratch, copy_folder, fixture, text, volumes};

const AES: &str = "four-versions-aes";
const PASSPHRASE: &[(&str, &str)] = &[("PASSPHRASE", "correct horse battery staple")];
const ROOT: &str = "/home/alice/data";

fn duplet(scratch: &Scratch, command: &str, words: &[&str]) -> Ran {
    let dest = fixture(AES).join("dest");
    scratch.run_env(&[&[command, text(&dest)], words].concat(), PASSPHRASE)
}

/// Path (folders with a slash at the end) to size of everything in version `n` of the fixture, 1 being the oldest.
fn expected(n: usize) -> BTreeMap<String, Option<u64>> {
    let lines =
        fs::read_to_string(fixture(AES).join(format!("expected/{n}.jsonl"))).expect("there");
    lines
        .lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let mut path = ROOT.to_owned();
            let below = entry["path"].as_str().expect("a path");
            if !below.is_empty() {
                path = format!("{path}/{below}");
            }
            if entry["type"] == "folder" {
                path.push('/');
            }
            (path, entry["size"].as_u64())
        })
        .collect()
}

#[test]
fn versions_are_listed_newest_first() {
    let scratch = Scratch::new("list-versions");
    for args in [&["list"][..], &["list-filesets"]] {
        let ran = duplet(&scratch, args[0], &args[1..]).code(&[0]);
        let numbers: Vec<&str> = ran
            .out
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .collect();
        assert_eq!(numbers, ["0", "1", "2", "3"], "{}", ran.all());
        let told = "4 versions are not counted yet: 'duplet list URL --full-result' downloads ";
        assert_eq!(ran.err, "", "{}", ran.all());
        let more = [&args[1..], &["-v"]].concat();
        duplet(&scratch, args[0], &more).code(&[0]).says(told);
    }
    let counted = duplet(&scratch, "list", &["--full-result", "--json"])
        .code(&[0])
        .json();
    for (version, set) in counted["Filesets"]
        .as_array()
        .expect("a list")
        .iter()
        .enumerate()
    {
        let files: Vec<u64> = expected(4 - version).values().copied().flatten().collect();
        assert_eq!(set["Version"], version);
        assert_eq!(set["FileCount"], files.len());
        assert_eq!(set["FileSizes"], files.iter().sum::<u64>());
        assert_eq!(set["IsFullBackup"], true);
    }
    duplet(&scratch, "list-filesets", &["0"]).code(&[200]);
}

#[test]
fn one_version_is_all_its_entries() {
    let scratch = Scratch::new("list-one");
    for version in 0..4 {
        let word = version.to_string();
        let report = duplet(&scratch, "list", &[&word, "--json"])
            .code(&[0])
            .json();
        let files = report["Files"].as_array().expect("a list");
        let listed: Vec<(String, Option<u64>)> = files
            .iter()
            .map(|f| {
                (
                    f["Path"].as_str().expect("text").to_owned(),
                    f["Size"].as_u64(),
                )
            })
            .collect();
        let want: Vec<_> = expected(4 - version).into_iter().collect();
        assert_eq!(listed, want, "version {version}");
        let lines = duplet(&scratch, "list", &["--version", &word]).code(&[0]);
        assert_eq!(lines.out.lines().count(), want.len());
        let lines = duplet(&scratch, "list", &[&format!("--version={version}")]).code(&[0]);
        assert_eq!(lines.out.lines().count(), want.len());
    }
    duplet(&scratch, "list", &["4"])
        .code(&[100])
        .says("there are versions 0 to 3");
    duplet(&scratch, "list", &["2000-01-01"])
        .code(&[100])
        .says("no version is as old");
    duplet(&scratch, "list", &["now"])
        .code(&[0])
        .says("/home/alice/data/bin/tool (18 bytes)");
}

#[test]
fn find_groups_by_path_and_says_where_it_is_absent() {
    let scratch = Scratch::new("list-find");
    let all: Vec<BTreeMap<String, Option<u64>>> = (0..4).map(|v| expected(4 - v)).collect();
    let report = duplet(&scratch, "find", &["--json"]).code(&[0]).json();
    let mut want: BTreeMap<&String, Vec<(usize, Option<u64>)>> = BTreeMap::new();
    for (version, entries) in all.iter().enumerate() {
        for (path, size) in entries {
            want.entry(path).or_default().push((version, *size));
        }
    }
    let files = report["Files"].as_array().expect("a list");
    assert_eq!(files.len(), want.len());
    for (file, (path, versions)) in files.iter().zip(&want) {
        assert_eq!(file["Path"], path.as_str());
        let listed: Vec<(usize, Option<u64>)> = file["Versions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|v| {
                let number = v["Version"].as_u64().expect("a number");
                (usize::try_from(number).expect("small"), v["Size"].as_u64())
            })
            .collect();
        assert_eq!(&listed, versions, "{path}");
    }
    let ran = duplet(&scratch, "find", &["last.txt"]).code(&[0]);
    let rows: Vec<&str> = ran.out.lines().collect();
    assert_eq!(rows.len(), 5, "{}", ran.all());
    assert_eq!(rows[0], "/home/alice/data/last.txt");
    assert!(
        rows[1].starts_with("   0  ") && rows[1].ends_with("  3 bytes"),
        "{}",
        ran.all()
    );
    assert!(
        rows[4].starts_with("   3  ") && rows[4].ends_with("  -"),
        "{}",
        ran.all()
    );
}

#[test]
fn patterns_filters_and_folders_choose() {
    let scratch = Scratch::new("list-patterns");
    let lines = |command: &str, words: &[&str]| -> Vec<String> {
        let ran = duplet(&scratch, command, words).code(&[0]);
        // Without the time of the file.
        let name = |line: &str| line.split("  20").next().unwrap_or(line).to_owned();
        ran.out.lines().map(name).collect()
    };
    let big = "/home/alice/data/media/big.bin (1.52 MiB)";
    for words in [
        &["big.bin"][..],
        &["*/big.bin"],
        &["/home/alice/data/media/big.bin"],
        &["@/home/alice/data/media/big.bin"],
        &["[.*/big\\.bin]"],
        &["--include=*.bin", "--exclude=*"],
    ] {
        assert_eq!(lines("list", words), [big], "{words:?}");
    }
    // Nothing found is no success, as for find and restore; nothing in a folder that is there is.
    for (command, words) in [
        ("list", &["nope"][..]),
        ("list", &["0", "nope"]),
        ("list", &["nope", "--version=1"]),
        ("list", &["--include=*.nope", "--exclude=*"]),
        ("list", &["--all-versions", "*.nope"]),
        ("list-folder-content", &["/home/alice/nope"]),
        ("find", &["nope"]),
    ] {
        duplet(&scratch, command, words)
            .code(&[100])
            .says("nothing in the backup matches");
        let json = duplet(&scratch, command, &[words, &["--json"]].concat()).code(&[100]);
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["Code"], "missing", "{command} {words:?}");
    }
    for words in [&["0"][..], &["latest"]] {
        duplet(&scratch, "restore", words)
            .code(&[100])
            .says("words are names of files");
    }
    duplet(&scratch, "restore", &["--version=oldest"])
        .code(&[200])
        .says("0 is the newest");
    // Deleted before the newest version, so found in an older one.
    let gone = expected(1)
        .into_keys()
        .find(|p| !expected(4).contains_key(p) && !p.ends_with('/'))
        .expect("the fixture deletes a file");
    let name = gone.rsplit('/').next().expect("a name");
    duplet(&scratch, "list", &[name])
        .code(&[0])
        .says("looking in the others")
        .says(&gone);
    let inside: Vec<String> = expected(4)
        .into_keys()
        .filter_map(|p| {
            let below = p.strip_prefix("/home/alice/data/")?;
            let name = below.strip_suffix('/').unwrap_or(below);
            (!name.is_empty() && !name.contains('/')).then_some(p.clone())
        })
        .collect();
    for words in [&[ROOT][..], &["/home/alice/data/"], &[]] {
        let listed = lines("list-folder-content", words);
        assert_eq!(listed.len(), inside.len(), "{words:?}");
        assert!(
            listed
                .iter()
                .zip(&inside)
                .all(|(l, p)| l.starts_with(p.as_str())),
            "{listed:?}"
        );
    }
    assert_eq!(
        lines("list", &["--list-prefix-only"]),
        ["/home/alice/data/"]
    );
    assert_eq!(
        lines("list-file-versions", &["/home/alice/data/bin/tool"]).len(),
        5
    );
    let below = lines("search", &["/home/alice/data/media", "--include=*.bin"]);
    assert!(
        below.contains(&"/home/alice/data/media/big.bin".to_owned()),
        "{below:?}"
    );
    for words in [
        &["[(]"][..],
        &["--version=x"],
        &["--version=0", "--time=1D"],
        &["--frob"],
    ] {
        duplet(&scratch, "list", words).code(&[200]);
    }
}

#[test]
fn an_empty_folder_is_no_mistake() {
    let scratch = Scratch::new("list-empty");
    let (dest, src) = (scratch.at("dest"), scratch.at("src"));
    fs::create_dir_all(src.join("empty")).expect("made");
    fs::write(src.join("file"), "x").expect("written");
    let (dest, empty) = (text(&dest), src.join("empty"));
    scratch
        .run(&["backup", dest, text(&src), "--no-encryption"])
        .code(&[0]);
    for folder in [text(&empty), &format!("{}/", text(&empty))] {
        let words = ["list-folder-content", dest, folder, "--no-encryption"];
        let ran = scratch
            .run(&words)
            .code(&[0])
            .says("nothing is in this folder");
        assert_eq!(ran.out.lines().filter(|l| l.contains("empty")).count(), 0);
    }
    scratch
        .run(&["list-folder-content", dest, "/nope", "--no-encryption"])
        .code(&[100]);
}

#[test]
fn damage_elsewhere_does_not_keep_from_listing() {
    let scratch = Scratch::new("list-harm");
    let dest = scratch.at("dest");
    for kind in ["dlist", "dindex", "dblock"] {
        for how in ALL {
            let _ = fs::remove_dir_all(&dest);
            copy_folder(&fixture(AES).join("dest"), &dest);
            let all = volumes(&dest, kind);
            harm(&all[0], &all[1], how);
            let run = |words: &[&str]| {
                scratch.run_env(
                    &[&[words[0], text(&dest)], &words[1..]].concat(),
                    PASSPHRASE,
                )
            };
            let case = format!("{kind} {how:?}");
            let versions = if kind == "dlist" && how == Harm::Delete {
                3
            } else {
                4
            };
            let ran = run(&["list"]).code(&[0]);
            assert_eq!(ran.out.lines().count(), versions, "{case}");
            run(&["list", "0"])
                .code(&[0])
                .says("/home/alice/data/bin/tool");
            let hurt = kind == "dlist" && matches!(how, Harm::Truncate | Harm::Flip);
            // A list in another one's place is older, or newer, than its name.
            let swapped = kind == "dlist" && how == Harm::Swap;
            let found: &[i32] = match (hurt, swapped) {
                (true, _) => &[3],
                (_, true) => &[2],
                _ => &[0],
            };
            let ran = run(&["find", "tool"]).code(found);
            assert_eq!(
                ran.out.lines().count(),
                versions + 1,
                "{case}: {}",
                ran.all()
            );
            assert_eq!(
                ran.out.contains("unreadable"),
                hurt,
                "{case}: {}",
                ran.all()
            );
            let words = ["list", "--full-result"];
            run(&words).code(if hurt { &[3] } else { &[0] });
            if hurt {
                run(&["list", "3"]).code(&[100]).says("cannot read volume");
                let report = run(&["find", "tool", "--json"]).code(&[3]).json();
                assert_eq!(report["Filesets"][3]["Readable"], false);
            }
        }
    }
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn names_cannot_harm_the_terminal() {
    let scratch = Scratch::new("list-names");
    for name in ["plain", "other-prefix", "manifest-v1-plain"] {
        let dest = fixture(name).join("dest");
        scratch.run(&["list", text(&dest), "0"]).code(&[0]);
        scratch.run(&["find", text(&dest)]).code(&[0]);
    }
}
