//! Versions go and space comes back: what stays restores byte for byte, and nothing else stays.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::snapshot::{But, Snapshot, expected_at, same, take};
use support::{Rand, Scratch, fixture, lifecycle, names, text, tree, volumes};

fn outside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/outside")
        .join(name)
}

/// Everything that the versions of a plain destination need is where its indexes say, by a checker that is not ours.
fn proved(dest: &Path, what: &str) {
    let args = [
        text(&outside("check.py")).to_owned(),
        text(dest).to_owned(),
        format!("--stored={}", text(dest)),
        "--needs".to_owned(),
    ];
    let ran = std::process::Command::new("python3")
        .args(&args)
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success(), "{what}: {said}");
}

fn verified(scratch: &Scratch, dest: &Path, more: &[&str], what: &str) {
    let mut args = vec!["verify", text(dest), "all", "--no-cache"];
    args.extend(more);
    let ran = scratch.run(&args);
    assert_eq!(ran.code, 0, "{what}: {}", ran.all());
}

fn restored(scratch: &Scratch, dest: &Path, version: usize, more: &[&str]) -> Snapshot {
    let to = scratch.at("restored");
    let _ = fs::remove_dir_all(&to);
    let path = format!("--restore-path={}", text(&to));
    let version = format!("--version={version}");
    let mut args = vec!["restore", text(dest), &path, &version, "--no-cache"];
    args.push("--restore-permissions");
    args.extend(more);
    scratch.run(&args).code(&[0]);
    take(&to)
}

/// All versions of a destination by the names of their lists.
fn all_versions(scratch: &Scratch, dest: &Path, more: &[&str]) -> Vec<(String, Snapshot)> {
    let mut lists: Vec<String> = volumes(dest, "dlist")
        .iter()
        .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    lists.sort();
    lists.reverse();
    let each = lists.into_iter().enumerate();
    each.map(|(no, name)| (name, restored(scratch, dest, no, more)))
        .collect()
}

/// Runs a command on a copy of what another program left; the versions that stay are what they were.
fn kept_as_they_were(golden: &Path, args: &[&str], gone: &[&str], what: &str) {
    let scratch = Scratch::new("lifecycle");
    let dest = scratch.at("dest");
    support::copy_folder(golden, &dest);
    let before = all_versions(&scratch, &dest, &[]);
    let mut all = vec![args[0], text(&dest), "--no-cache"];
    all.extend(&args[1..]);
    scratch.run(&all).code(&[0]);
    let after = all_versions(&scratch, &dest, &[]);
    let want: Vec<_> = before
        .iter()
        .filter(|(n, _)| !gone.contains(&n.as_str()))
        .collect();
    assert_eq!(
        after.iter().map(|v| &v.0).collect::<Vec<_>>(),
        want.iter().map(|v| &v.0).collect::<Vec<_>>(),
        "{what}"
    );
    for ((name, was), (_, is)) in want.into_iter().zip(&after) {
        same(was, is, But::default(), &format!("{what}: {name}"));
    }
    verified(&scratch, &dest, &[], what);
    proved(&dest, what);
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap())
        .collect()
}

/// The same volumes go that Duplicati lets go, and what stays is whole.
#[test]
fn duplicatis_compactions() {
    let mut cases = 0;
    for name in ["compact-thresholds", "compact-waste"] {
        let golden = lifecycle(name);
        let results = golden.parent().unwrap().join("results.json");
        let results: Value = serde_json::from_slice(&fs::read(results).unwrap()).unwrap();
        for (case, result) in results.as_object().unwrap() {
            let what = format!("{name} {case}");
            let scratch = Scratch::new("compaction");
            let dest = scratch.at("dest");
            support::copy_folder(&golden, &dest);
            let had = names(&dest);
            let before = all_versions(&scratch, &dest, &[]);
            if what.ends_with(" t0") {
                let expected = golden.with_file_name("expected");
                for (no, (list, was)) in before.iter().rev().enumerate() {
                    let source = expected.join(format!("{}.jsonl", no + 1));
                    same(&expected_at(&source), was, But::default(), list);
                }
            }
            let mut args = vec!["compact", text(&dest), "--no-cache"];
            args.extend(strings(&result["options"]));
            scratch.run(&args).code(&[0]);
            let now = names(&dest);
            let mut gone: Vec<&str> = had
                .iter()
                .filter(|n| !now.contains(n))
                .map(|n| n.to_str().unwrap())
                .collect();
            gone.sort_unstable();
            let mut want = strings(&result["gone"]);
            want.sort_unstable();
            assert_eq!(gone, want, "{what}");
            let new = now.iter().filter(|n| !had.contains(n)).count() as u64;
            assert_eq!(new, result["new"].as_u64().unwrap(), "{what}");
            for ((name, was), (_, is)) in before.iter().zip(&all_versions(&scratch, &dest, &[])) {
                same(was, is, But::default(), &format!("{what}: {name}"));
            }
            verified(&scratch, &dest, &[], &what);
            proved(&dest, &what);
            cases += 1;
        }
    }
    assert_eq!(cases, 23);
}

/// What another program wrote, with versions taken out of it, and everything packed anew.
#[test]
fn versions_of_other_writers_are_deleted() {
    for options in [
        &["--version=1,3"][..],
        &["--keep-versions=2"],
        &[
            "--keep-versions=1",
            "--threshold=1",
            "--small-file-max-count=0",
        ],
        &["--version=0", "--no-auto-compact"],
        &["--version=0-2", "--threshold=0"],
    ] {
        let golden = fixture("four-versions-plain").join("dest");
        let mut lists: Vec<String> = volumes(&golden, "dlist")
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        lists.sort();
        lists.reverse();
        let gone: &[usize] = match options[0] {
            "--version=1,3" => &[1, 3],
            "--keep-versions=2" => &[2, 3],
            "--keep-versions=1" => &[1, 2, 3],
            "--version=0" => &[0],
            _ => &[0, 1, 2],
        };
        let gone: Vec<&str> = gone.iter().map(|no| lists[*no].as_str()).collect();
        let mut args = vec!["delete"];
        args.extend(options);
        let what = format!("{options:?}");
        kept_as_they_were(&golden, &args, &gone, &what);
    }
}

/// A changing source: `day` tells what it holds.
fn change(source: &Path, day: u64) {
    let mut rand = Rand(day);
    tree::write(
        &source.join(format!("file {}", day % 7)),
        &rand.bytes(90_000),
    );
    tree::write(&source.join("always other"), &rand.bytes(5_000));
    if day == 1 {
        tree::write(&source.join("never other"), &rand.bytes(300_000));
    }
    if day.is_multiple_of(5) {
        let _ = fs::remove_file(source.join(format!("file {}", (day + 3) % 7)));
    }
}

const HOW: [&[&str]; 2] = [&["--no-encryption"], &["--passphrase=life"]];

fn backup(scratch: &Scratch, how: &[&str], more: &[&str]) -> support::Ran {
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    let mut args = vec!["backup", text(&dest), text(&source), "--blocksize=10kb"];
    args.extend(["--dblock-size=1mb", "--upload-unchanged-backups"]);
    args.extend(how);
    args.extend(more);
    scratch.run(&args)
}

/// Also from a destination with a damaged volume, as long as nothing of it is needed alone.
fn restores(scratch: &Scratch, no: usize, want: &Snapshot, how: &[&str], what: &str) {
    let to = scratch.at("back");
    let _ = fs::remove_dir_all(&to);
    let path = format!("--restore-path={}", text(&to));
    let (dest, version) = (scratch.at("dest"), format!("--version={no}"));
    let mut args = vec!["restore", text(&dest), &path, &version, "--no-cache"];
    args.push("--restore-permissions");
    args.extend(how);
    scratch.run(&args).code(&[0, 2]);
    same(want, &take(&to), But::default(), what);
}

/// A backup with a rule keeps so many versions and no more bytes than they need, with and without a cache.
#[test]
fn a_backup_deletes_by_its_rule_and_reclaims() {
    for how in HOW {
        for cache in [&["--no-cache"][..], &[]] {
            let scratch = Scratch::new("lifecycle-backup");
            let source = scratch.folder("source");
            let dest = scratch.at("dest");
            let (mut states, mut bytes) = (Vec::new(), Vec::new());
            for day in 1..=12 {
                change(&source, day);
                let more = [cache, &["--keep-versions=2", "--small-file-max-count=3"]].concat();
                backup(&scratch, how, &more).code(&[0]);
                states.insert(0, take(&source));
                states.truncate(2);
                let what = format!("{how:?} {cache:?} day {day}");
                assert_eq!(volumes(&dest, "dlist").len(), states.len(), "{what}");
                for (no, state) in states.iter().enumerate() {
                    restores(&scratch, no, state, how, &what);
                }
                verified(&scratch, &dest, how, &what);
                let sizes = names(&dest)
                    .iter()
                    .map(|n| dest.join(n).metadata().unwrap().len())
                    .sum::<u64>();
                bytes.push(sizes);
            }
            assert!(bytes[11] < bytes[5] * 2, "{bytes:?}");
            assert!(volumes(&dest, "dblock").len() <= 6, "{:?}", names(&dest));
            if how == HOW[0] {
                proved(&dest, "the end");
            }
        }
    }
}

/// Nothing new, and a rule all the same; then a rule that has nothing to do.
#[test]
fn a_rule_holds_also_where_nothing_is_new() {
    let scratch = Scratch::new("lifecycle-idle");
    let source = scratch.folder("source");
    for day in 1..=3 {
        change(&source, day);
        backup(&scratch, HOW[0], &[]).code(&[0]);
    }
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--keep-versions=1",
    ];
    scratch.run(&args).code(&[0]).says("2 old versions deleted");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    let before = names(&dest);
    scratch.run(&args).code(&[1]);
    assert_eq!(names(&dest), before);
    // What is remembered of the newest version holds still: no index is read again.
    let ran = scratch.run(&[&args[..], &["--json"]].concat()).code(&[1]);
    let said = ran.json();
    // Only the newest list is.
    assert_eq!(said["FilesDownloaded"], 1, "{}", ran.all());
}

#[test]
fn dry_runs_change_nothing_and_say_what_would_be() {
    let scratch = Scratch::new("lifecycle-dry");
    let source = scratch.folder("source");
    for day in 1..=4 {
        change(&source, day);
        backup(&scratch, HOW[1], &[]).code(&[0]);
    }
    let dest = scratch.at("dest");
    let before = take(&dest);
    let delete = [
        "delete",
        text(&dest),
        "--keep-versions=1",
        "--small-file-max-count=1",
        HOW[1][0],
    ];
    let dry = scratch
        .run(&[&delete[..], &["--dry-run", "--json"]].concat())
        .code(&[0])
        .json();
    let compact = [
        "compact",
        text(&dest),
        "--small-file-max-count=1",
        HOW[1][0],
        "--dry-run",
    ];
    scratch
        .run(&compact)
        .code(&[0])
        .says("would delete 0 volumes and rewrite 4");
    same(&before, &take(&dest), But::default(), "a dry run");
    let done = scratch
        .run(&[&delete[..], &["--json"]].concat())
        .code(&[0])
        .json();
    for key in [
        "DeletableVolumes",
        "WastefulVolumes",
        "SmallVolumes",
        "RewrittenBytes",
    ] {
        assert_eq!(dry[key], done[key], "{key}");
    }
    let (guess, freed) = (
        dry["EstimatedFreed"].as_u64().unwrap(),
        done["FreedBytes"].as_u64().unwrap(),
    );
    assert!(freed > guess / 2 && guess > 0, "{guess} {freed}");
    verified(&scratch, &dest, HOW[1], "after it");
}

/// A dry run of a backup names the versions that its rule would delete, the new one counted, and what space would come back.
#[test]
fn a_dry_backup_tells_what_its_rule_would_delete() {
    for how in HOW {
        let scratch = Scratch::new("lifecycle-dry-backup");
        let source = scratch.folder("source");
        let dest = scratch.at("dest");
        for day in 1..=5 {
            change(&source, day);
            backup(&scratch, how, &[]).code(&[0]);
        }
        for (new, rule, gone) in [
            (false, "--keep-versions=2", &[2, 3, 4][..]),
            (false, "--retention-policy=U:1D", &[1, 2, 3]),
            (true, "--keep-versions=2", &[1, 2, 3, 4]),
            (true, "--keep-versions=1", &[0, 1, 2, 3, 4]),
            (true, "--keep-versions=9", &[]),
            (true, "--retention-policy=U:1D", &[0, 1, 2, 3]),
            (true, "--keep-time=1Y", &[]),
        ] {
            let trial = Scratch::new("lifecycle-dry-backup-of");
            let copy = trial.at("dest");
            support::copy_folder(&dest, &copy);
            let before = take(&copy);
            let what = format!("{how:?} {rule} {new}");
            let of_today = source.join("of today");
            if new {
                tree::write(&of_today, &Rand(99).bytes(30_000));
            }
            let mut args = vec!["backup", text(&copy), text(&source), rule, how[0]];
            let dry = scratch
                .run(&[&args[..], &["--dry-run", "--json", "--no-cache"]].concat())
                .code(&[0, 1])
                .json();
            let said: Vec<u64> = dry["DeletedSets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["Version"].as_u64().unwrap())
                .collect();
            assert_eq!(said, gone, "{what}");
            same(&before, &take(&copy), But::default(), &what);
            args.push("--dry-run");
            let ran = scratch.run(&args).code(&[0, 1]);
            let kept = format!("would delete {} of {}", gone.len(), 5 + usize::from(new));
            let ends = ran.code;
            let ran = ran.says(&kept);
            if !gone.is_empty() {
                ran.says("volumes: ");
            }
            args.pop();
            let real = scratch
                .run(&[&args[..], &["--json", "--no-cache"]].concat())
                .code(&[ends])
                .json();
            let went = real["DeletedVersions"].as_u64().unwrap_or(0);
            assert_eq!(went, gone.len() as u64, "{what}");
        }
        // A version that cannot be read might need everything.
        let list = volumes(&dest, "dlist").remove(2);
        fs::write(&list, b"no zip").unwrap();
        let args = ["backup", text(&dest), text(&source), how[0], "--dry-run"];
        let ran = scratch.run(&[&args[..], &["--keep-versions=4"]].concat());
        ran.code(&[3]).says("dlist");
    }
}

/// All may go only where that is asked for.
#[test]
fn the_last_version_goes_only_on_request() {
    let scratch = Scratch::new("lifecycle-last");
    let source = scratch.folder("source");
    change(&source, 1);
    backup(&scratch, HOW[0], &[]).code(&[0]);
    let dest = scratch.at("dest");
    let args = ["delete", text(&dest), "--version=0", "--no-cache"];
    let ran = scratch.run(&args).code(&[100]);
    ran.says("no other version would be left")
        .says("--allow-full-removal");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    scratch
        .run(&[&args[..], &["--allow-full-removal"]].concat())
        .code(&[0]);
    assert!(names(&dest).is_empty(), "{:?}", names(&dest));
}

/// A version that cannot be read might need everything, or be the last whole one of its time; one that is named may go.
#[test]
fn nothing_goes_while_a_version_cannot_be_read() {
    let scratch = Scratch::new("lifecycle-unreadable");
    for (no, options, code) in [
        (1, &["--version=2"][..], 100),
        (1, &["--version=1"], 0),
        (3, &["--version=3"], 0),
        (3, &["--keep-versions=3"], 100),
        (3, &["--keep-versions=3", "--version=3"], 0),
        (2, &["--version=0"], 100),
    ] {
        let dest = scratch.at("dest");
        let _ = fs::remove_dir_all(&dest);
        support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
        let mut lists = volumes(&dest, "dlist");
        lists.sort();
        lists.reverse();
        fs::write(&lists[no], b"no zip").unwrap();
        let before = names(&dest);
        let mut args = vec!["delete", text(&dest), "--no-cache", "--threshold=0"];
        args.extend(options);
        let ran = scratch.run(&args).code(&[code]);
        if code == 100 {
            ran.says("nothing is deleted while a version cannot be read");
            assert_eq!(names(&dest), before, "{options:?}");
            let args = ["compact", text(&dest), "--no-cache", "--threshold=0"];
            scratch
                .run(&args)
                .code(&[100])
                .says("while a version cannot be read");
            assert_eq!(names(&dest), before, "{options:?}");
        } else {
            proved(&dest, "the rest");
        }
    }
}

/// What is lost already keeps the space, not the versions.
#[test]
fn space_is_kept_while_something_needed_is_lost() {
    let scratch = Scratch::new("lifecycle-lost");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
    let mut dblocks = volumes(&dest, "dblock");
    dblocks.sort_by_key(|p| p.metadata().unwrap().len());
    fs::remove_file(dblocks.pop().unwrap()).unwrap();
    let before = names(&dest);
    let args = ["compact", text(&dest), "--no-cache", "--threshold=0"];
    scratch.run(&args).code(&[100]).says("list-broken-files");
    assert_eq!(names(&dest), before);
    let args = ["delete", text(&dest), "--no-cache", "--version=3"];
    scratch.run(&args).code(&[2]).says("reclaim space");
    assert_eq!(names(&dest).len(), before.len() - 1);
}

/// A volume with a spoilt block that a version needs stays, whatever else is rewritten.
#[test]
fn a_damaged_volume_stays_as_long_as_it_holds_what_is_needed() {
    let scratch = Scratch::new("lifecycle-damaged");
    let source = scratch.folder("source");
    for day in 1..=4 {
        change(&source, day);
        backup(&scratch, HOW[0], &["--no-cache"]).code(&[0]);
    }
    let dest = scratch.at("dest");
    let mut dblocks = volumes(&dest, "dblock");
    dblocks.sort();
    let hurt = dblocks[1].clone();
    let mut bytes = fs::read(&hurt).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&hurt, &bytes).unwrap();
    let args = [
        "compact",
        text(&dest),
        "--no-cache",
        "--small-file-max-count=0",
    ];
    let ran = scratch.run(&args);
    assert!(ran.code == 2, "{}", ran.all());
    ran.says("stays: 1 block of it is needed and cannot be read");
    assert!(hurt.exists());
    assert_eq!(volumes(&dest, "dblock").len(), 2, "{:?}", names(&dest));
    // Only what was lost before is lost.
    let said = scratch.run(&["list-broken-files", text(&dest), "--no-cache", "--json"]);
    assert!(said.code == 0 || said.code == 3, "{}", said.all());
}

/// Of two copies of a block the intact one stays, whichever volume would rather go.
#[test]
fn a_copy_is_trusted_only_when_it_was_read() {
    let scratch = Scratch::new("lifecycle-copies");
    let source = scratch.folder("source");
    for day in 1..=3 {
        change(&source, day);
        backup(&scratch, HOW[0], &["--no-cache"]).code(&[0]);
    }
    let states = [take(&source)];
    let (dest, old) = (scratch.at("dest"), scratch.at("old"));
    support::copy_folder(&dest, &old);
    let args = [
        "compact",
        text(&dest),
        "--no-cache",
        "--small-file-max-count=0",
    ];
    scratch.run(&args).code(&[0]);
    // As a run that was cut off before it deleted leaves it: every block is stored twice.
    for name in names(&old) {
        fs::copy(old.join(&name), dest.join(&name)).unwrap();
    }
    let new: Vec<PathBuf> = volumes(&dest, "dblock")
        .into_iter()
        .filter(|p| !old.join(p.file_name().unwrap()).exists())
        .collect();
    assert_eq!(new.len(), 1);
    let mut bytes = fs::read(&new[0]).unwrap();
    let (len, both) = (bytes.len(), scratch.at("both"));
    support::copy_folder(&dest, &both);
    for at in [len / 3, len / 2, len * 2 / 3] {
        bytes[at] ^= 1;
    }
    fs::write(&new[0], &bytes).unwrap();
    let args = ["compact", text(&dest), "--no-cache"];
    scratch.run(&args);
    restores(&scratch, 0, &states[0], HOW[0], "spoilt copies");
    // Where the copies are whole, the old volumes go.
    fs::remove_dir_all(&dest).unwrap();
    support::copy_folder(&both, &dest);
    scratch.run(&args).code(&[0]);
    restores(&scratch, 0, &states[0], HOW[0], "whole copies");
    proved(&dest, "whole copies");
}

/// A dblock that nothing names is reported, and goes when it is old.
#[test]
fn volumes_without_an_index_go_when_they_are_old() {
    let scratch = Scratch::new("lifecycle-orphan");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
    let orphan = dest.join("duplicati-b00112233445566778899aabbccddeeff.dblock.zip");
    fs::copy(volumes(&dest, "dblock").pop().unwrap(), &orphan).unwrap();
    let args = ["compact", text(&dest), "--no-cache"];
    scratch
        .run(&args)
        .code(&[0])
        .says("has no index and no version needs it");
    assert!(orphan.exists());
    let old = fs::File::options().write(true).open(&orphan).unwrap();
    let day = std::time::Duration::from_secs(1_600_000_000);
    old.set_modified(std::time::UNIX_EPOCH + day).unwrap();
    scratch
        .run(&[&args[..], &["--dry-run"]].concat())
        .code(&[0]);
    assert!(orphan.exists());
    scratch.run(&args).code(&[0]);
    assert!(!orphan.exists());
    proved(&dest, "without it");
}

/// Less time than the interval since the last: versions go, space stays until it is time again.
#[test]
fn space_is_reclaimed_as_often_as_it_is_wanted() {
    let scratch = Scratch::new("lifecycle-interval");
    let source = scratch.folder("source");
    let dest = scratch.at("dest");
    for day in 1..=4 {
        change(&source, day);
        let more = [
            "--keep-versions=1",
            "--threshold=0",
            "--auto-compact-interval=1D",
        ];
        backup(&scratch, HOW[0], &more).code(&[0]);
        assert_eq!(volumes(&dest, "dlist").len(), 1);
    }
    // The second backup reclaimed; what the third and fourth left is there.
    assert_eq!(volumes(&dest, "dblock").len(), 3);
    change(&source, 5);
    backup(
        &scratch,
        HOW[0],
        &["--keep-versions=1", "--no-auto-compact"],
    )
    .code(&[0]);
    assert_eq!(volumes(&dest, "dblock").len(), 4);
    change(&source, 6);
    backup(&scratch, HOW[0], &["--keep-versions=1", "--threshold=0"]).code(&[0]);
    assert_eq!(volumes(&dest, "dblock").len(), 1);
    proved(&dest, "the end");
}

/// Who cannot know the passphrase deletes nothing, also where no content has to be read for it.
#[test]
fn a_wrong_passphrase_deletes_nothing() {
    let scratch = Scratch::new("lifecycle-key");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("four-versions-aes").join("dest"), &dest);
    let before = names(&dest);
    for args in [
        &["delete", text(&dest), "--version=1", "--no-auto-compact"][..],
        &["delete", text(&dest), "--keep-versions=1"],
        &["compact", text(&dest)],
    ] {
        let args = [args, &["--passphrase=no", "--no-cache"]].concat();
        scratch.run(&args).code(&[100]).says("passphrase");
        assert_eq!(names(&dest), before, "{args:?}");
    }
}

#[test]
fn the_size_by_which_volumes_are_judged_is_said() {
    let scratch = Scratch::new("judged");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    for n in 0..3 {
        let bytes = support::Rand(n).bytes(1_500_000);
        support::tree::write(&source.join(format!("f{n}")), &bytes);
    }
    let own = ["--no-encryption", "--dblock-size=1mb", "--blocksize=10kb"];
    let args = [&["backup", text(&dest), text(&source)], &own[..]].concat();
    scratch.run(&args).code(&[0]);
    let full = volumes(&dest, "dblock").len();
    for (options, small, said, bytes) in [
        (
            &[][..],
            full,
            "small: up to 10.00 MiB, judged by --dblock-size=50mb",
            50u64 << 20,
        ),
        (
            &["--dblock-size=1mb"],
            0,
            "small: up to 204.79 KiB, judged by --dblock-size=1mb",
            1 << 20,
        ),
        (
            &["--dblock-size=2gb", "--small-file-size=1kb"],
            0,
            "small: up to 1.00 KiB, judged by --dblock-size=2gb",
            2 << 30,
        ),
    ] {
        let args = [&["compact", text(&dest), "--dry-run"], options].concat();
        scratch.run(&args).code(&[0]).says(said);
        let json = scratch.run(&[&args[..], &["--json"]].concat()).json();
        assert_eq!(json["SmallVolumes"], small);
        assert_eq!(json["JudgedByVolumeSize"], bytes);
    }
    // A run that rewrites says it, too.
    let args = ["compact", text(&dest), "--small-file-max-count=0"];
    scratch
        .run(&args)
        .code(&[0])
        .says("judged by --dblock-size=50mb");
    verified(&scratch, &dest, &["--no-encryption"], "judged");
}

/// A volume takes 4096 blocklists: of files of two tiny blocks all volumes are small in bytes, and none would become fewer.
#[test]
fn volumes_full_of_tiny_files_are_not_packed_again() {
    let scratch = Scratch::new("lifecycle");
    let (source, dest) = (scratch.at("source"), scratch.at("dest"));
    for n in 0..5100u32 {
        let folder = source.join(format!("{}", n / 500));
        fs::create_dir_all(&folder).unwrap();
        let data = [n.to_be_bytes().repeat(256), vec![1; 80]].concat();
        fs::write(folder.join(n.to_string()), data).unwrap();
    }
    let args = [
        "--blocksize=1KB",
        "--small-file-max-count=1",
        "--no-encryption",
    ];
    let (dest, source) = (text(&dest).to_owned(), text(&source).to_owned());
    let mut first = vec!["backup", &dest, &source];
    first.extend(args);
    scratch.run(&first).code(&[0]);
    let before = volumes(Path::new(&dest), "dblock");
    assert!(before.len() >= 2, "{before:?}");
    let said = scratch.run(&["compact", &dest, "--small-file-max-count=1"]);
    said.code(&[0]);
    assert_eq!(volumes(Path::new(&dest), "dblock"), before);
    fs::write(Path::new(&source).join("0/0"), "changed").unwrap();
    scratch.run(&first).code(&[0]);
    let after = volumes(Path::new(&dest), "dblock");
    assert!(before.iter().all(|p| after.contains(p)), "{after:?}");
}
