//! What Duplicati made of its own destinations, made again with the same commands: the same versions go, and what stays restores
//! as Duplicati's sources were.
//!
//! Rules measure ages from now. Where they do, the lists of versions are named anew, so that their ages are those of the day on
//! which Duplicati ran.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::snapshot::{But, expected_at, same, take};
use support::{Scratch, lifecycle, names, text, tree, volumes};

/// The file of a version's source by the name of its list.
fn sources(name: &str) -> BTreeMap<String, PathBuf> {
    let folder = lifecycle(name).with_file_name("expected");
    let said = fs::read_to_string(folder.join("versions.json")).unwrap();
    let lists: Vec<String> = serde_json::from_str(&said).unwrap();
    let numbered = (1..).zip(lists);
    numbered
        .map(|(n, list)| (list, folder.join(format!("{n}.jsonl"))))
        .collect()
}

fn lists(dest: &Path) -> Vec<String> {
    let all = volumes(dest, "dlist");
    let name = |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().to_owned();
    all.iter().map(name).collect()
}

/// Verified by the program, and by a checker that is none of it.
fn whole(scratch: &Scratch, dest: &Path, what: &str) {
    let args = ["verify", text(dest), "all", "--no-cache"];
    let ran = scratch.run(&args);
    assert_eq!(ran.code, 0, "{what}: {}", ran.all());
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/check.py");
    let args = [check.as_os_str(), dest.as_os_str(), "--needs".as_ref()];
    support::tool("python3", &args, support::snapshot::INSTALL);
}

/// Restores a version as its source was.
fn restores(scratch: &Scratch, dest: &Path, no: usize, source: &Path, what: &str) {
    let to = scratch.at("restored");
    let _ = fs::remove_dir_all(&to);
    let path = format!("--restore-path={}", text(&to));
    let version = format!("--version={no}");
    let args = ["restore", text(dest), &path, &version, "--no-cache"];
    let args = [&args[..], &["--restore-permissions"]].concat();
    scratch.run(&args).code(&[0]);
    same(&expected_at(source), &take(&to), But::default(), what);
}

/// Restores all versions; `source` tells the file of each by the name of its list.
fn restore_all(
    scratch: &Scratch,
    dest: &Path,
    source: &dyn Fn(&str) -> Option<PathBuf>,
    what: &str,
) {
    let lists = lists(dest);
    for (no, list) in lists.iter().rev().enumerate() {
        if let Some(source) = source(list) {
            restores(scratch, dest, no, &source, &format!("{what}: {list}"));
        }
    }
}

#[test]
fn versions_that_are_named_or_too_many_go() {
    for (name, option, gone) in [
        (
            "delete-version-plain",
            "--version=1,3",
            &["20261128T042457Z", "20261128T042501Z"][..],
        ),
        (
            "keep-versions-2",
            "--keep-versions=2",
            &[
                "20261128T042524Z",
                "20261128T042526Z",
                "20261128T042527Z",
                "20261128T042528Z",
            ],
        ),
    ] {
        let sources = sources(name);
        for more in [
            &[][..],
            &["--no-auto-compact"],
            &["--threshold=0", "--small-file-max-count=0"],
        ] {
            let scratch = Scratch::new("golden-delete");
            let dest = scratch.at("dest");
            support::copy_folder(&lifecycle(name), &dest);
            let had = names(&dest);
            let mut args = vec!["delete", text(&dest), option];
            args.extend(more);
            scratch.run(&args).code(&[0]);
            let what = format!("{name} {more:?}");
            let went: Vec<String> = had
                .iter()
                .filter(|n| !names(&dest).contains(n))
                .map(|n| n.to_str().unwrap().to_owned())
                .filter(|n| more.len() < 2 || n.contains(".dlist."))
                .collect();
            let want: Vec<String> = gone
                .iter()
                .map(|t| format!("duplicati-{t}.dlist.zip"))
                .collect();
            // Less than a quarter is unused then: Duplicati deleted the lists only, too.
            assert_eq!(went, want, "{what}");
            if more.len() == 2 {
                assert_eq!(volumes(&dest, "dblock").len(), 1, "{what}");
            }
            restore_all(&scratch, &dest, &|list| sources.get(list).cloned(), &what);
            whole(&scratch, &dest, &what);
        }
    }
}

/// Seconds since 1970 of `yyyyMMddTHHmmssZ`, and back.
fn seconds(time: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(4..6), part(6..8));
    // Days by the calendar whose year begins in March.
    let (y, m) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    days * 86_400 + part(9..11) * 3600 + part(11..13) * 60 + part(13..15)
}

fn compact(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970 + days / 366;
    while compact_day(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && compact_day(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - compact_day(year, month, 1) + 1;
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}Z")
}

fn compact_day(year: i64, month: i64, day: i64) -> i64 {
    seconds(&format!("{year:04}{month:02}{day:02}T000000Z")) / 86_400
}

#[test]
fn dates_are_counted_right() {
    for (text, n) in [
        ("19700101T000000Z", 0),
        ("20240229T235959Z", 1_709_251_199),
        ("20240301T000000Z", 1_709_251_200),
        ("20261128T042457Z", 1_795_839_897),
        ("21001231T120000Z", 4_133_937_600),
    ] {
        assert_eq!((seconds(text), compact(n).as_str()), (n, text));
    }
}

/// A destination whose versions are as old now as they were at `then`, and what was added to their times.
fn aged(name: &str, then: &str, dest: &Path) -> i64 {
    let _ = fs::remove_dir_all(dest);
    support::copy_folder(&lifecycle(name), dest);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let by = i64::try_from(now.as_secs()).unwrap() - seconds(then);
    for list in lists(dest) {
        fs::rename(dest.join(&list), dest.join(moved(&list, by))).unwrap();
    }
    by
}

/// The name of a list whose time is another.
fn moved(list: &str, by: i64) -> String {
    let time = &list["duplicati-".len()..][..16];
    format!("duplicati-{}{}", compact(seconds(time) + by), &list[26..])
}

#[test]
fn versions_older_than_three_days_go() {
    let name = "keep-time-3D";
    let sources = sources(name);
    let gone: Vec<String> = (10..=14)
        .map(|day| format!("duplicati-202402{day}T100000Z.dlist.zip"))
        .collect();
    for compacts in [false, true] {
        let scratch = Scratch::new("golden-age");
        let dest = scratch.at("dest");
        let by = aged(name, "20240217T110000Z", &dest);
        let had = lists(&dest);
        let more = match compacts {
            false => "--no-auto-compact",
            true => "--threshold=0",
        };
        let args = ["delete", text(&dest), "--keep-time=3D", more];
        scratch.run(&args).code(&[0]);
        let left = lists(&dest);
        let went: Vec<String> = had
            .into_iter()
            .filter(|n| !left.contains(n))
            .map(|n| moved(&n, -by))
            .collect();
        assert_eq!(went, gone);
        let source = |list: &str| sources.get(&moved(list, -by)).cloned();
        restore_all(&scratch, &dest, &source, more);
        whole(&scratch, &dest, more);
    }
}

/// Forty versions and eight rules, one of them that of a backup.
#[test]
fn forty_versions_are_thinned_out() {
    let name = "retention-series-40";
    let series = lifecycle(name).with_file_name("../retention-series.json");
    let series: Value = serde_json::from_slice(&fs::read(series).unwrap()).unwrap();
    let sources = sources(name);
    let mut rows = 0;
    for (row, result) in series.as_object().unwrap() {
        // The release that made them counted a month as 31 days and a year as 365.
        let option = result["options"][0].as_str().unwrap();
        let option = option
            .replace("12M:1M", "365D:31D")
            .replace("U:1M", "U:31D");
        let backs_up = option.starts_with("backup ");
        let option = option.trim_start_matches("backup ");
        let scratch = Scratch::new("golden-series");
        let dest = scratch.at("dest");
        let by = aged(name, result["now"].as_str().unwrap(), &dest);
        let before = names(&dest);
        let mut want: BTreeSet<String> = result["kept"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| format!("duplicati-{}.dlist.zip", t.as_str().unwrap()))
            .collect();
        if backs_up {
            let source = scratch.folder("source");
            tree::write(&source.join("new"), b"of today");
            let args = ["backup", text(&dest), text(&source), "--no-encryption"];
            // It says that nothing of the versions before is there.
            scratch.run(&[&args[..], &[option]].concat()).code(&[2]);
        } else {
            // What reclaims packs everything anew, where it has a reason to.
            let more = match row == "smart" {
                true => "--threshold=0",
                false => "--no-auto-compact",
            };
            scratch
                .run(&["delete", text(&dest), option, more])
                .code(&[0]);
        }
        let mut left: BTreeSet<String> = lists(&dest).iter().map(|l| moved(l, -by)).collect();
        if backs_up {
            // The new one has the time of its run.
            let new = left.pop_last().unwrap();
            let theirs = want.pop_last().unwrap();
            assert!(new >= theirs, "{new} {theirs}");
        }
        assert_eq!(left, want, "{row}");
        if row == "smart" || backs_up {
            let source = |list: &str| sources.get(&moved(list, -by)).cloned();
            restore_all(&scratch, &dest, &source, row);
        } else {
            // Lists are gone, and nothing else has changed.
            for name in before.iter().filter(|n| !names(&dest).contains(n)) {
                assert!(name.to_string_lossy().contains(".dlist."), "{name:?}");
            }
        }
        whole(&scratch, &dest, row);
        rows += 1;
    }
    assert_eq!(rows, 8);
}

/// The list that is lost cannot be made again; the others are left as they were.
#[test]
fn versions_beside_a_lost_list_restore() {
    let scratch = Scratch::new("golden-dlist");
    let dest = scratch.at("dest");
    let name = "repair-missing-dlist";
    support::copy_folder(&lifecycle(name), &dest);
    let before = take(&dest);
    let how = "--passphrase=correct horse";
    scratch.run(&["repair", text(&dest), how]).code(&[0]);
    same(&before, &take(&dest), But::default(), "the destination");
    let golden = lifecycle(name).with_file_name("expected");
    for (version, number) in [("1", "1"), ("0", "3")] {
        let to = scratch.at(number);
        let path = format!("--restore-path={}", text(&to));
        let version = format!("--version={version}");
        let args = ["restore", text(&dest), &path, &version, how];
        scratch
            .run(&[&args[..], &["--restore-permissions"]].concat())
            .code(&[0]);
        let want = expected_at(&golden.join(format!("{number}.jsonl")));
        same(&want, &take(&to), But::default(), number);
    }
    scratch
        .run(&["verify", text(&dest), "all", how, "--no-cache"])
        .code(&[0]);
}

/// With the lost volume brought back nothing is lost.
#[test]
fn versions_restore_with_their_lost_volume_brought_back() {
    let name = "repair-missing-dblock";
    let scratch = Scratch::new("golden-dblock");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle(name), &dest);
    support::copy_folder(&lifecycle(name).with_file_name("lost"), &dest);
    let golden = lifecycle(name).with_file_name("expected");
    for (no, number) in [(0, "3"), (1, "2"), (2, "1")] {
        let source = golden.join(format!("{number}.jsonl"));
        restores(&scratch, &dest, no, &source, number);
    }
    whole(&scratch, &dest, name);
}
