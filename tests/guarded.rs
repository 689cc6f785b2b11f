//! What keeps versions from going: a list that cannot be read, an old list under a newer name, a version that is the last whole
//! one; and what a purge leaves that was cut off.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/steer.rs"]
mod steer;
mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use steer::Cut;
use support::{Ran, Rand, Scratch, contents, copy_folder, finish, text, tree, volumes};

const HOW: [&str; 2] = ["--no-encryption", "--passphrase=guarded"];
const DAY: i64 = 86_400;
/// The first version's time.
const START: i64 = 1_700_000_000;

/// A source, and a destination with a version a day of it.
struct World {
    scratch: Scratch,
    source: PathBuf,
    how: &'static str,
}

impl World {
    fn new(how: &'static str, days: u64) -> World {
        let scratch = Scratch::new("guarded");
        let source = scratch.folder("source");
        let world = World {
            scratch,
            source,
            how,
        };
        tree::write(&world.source.join("secret"), &Rand(77).bytes(30_000));
        for day in 0..days {
            world.change(day);
            let base = world.base();
            world.backup(&base, day, &[], None).code(&[0]);
        }
        world
    }

    fn base(&self) -> PathBuf {
        self.scratch.at("base")
    }

    fn change(&self, day: u64) {
        for n in 0..12 {
            let name = format!("file {n:02} {}", day % 3);
            tree::write(&self.source.join(name), &Rand(day * 20 + n).bytes(4_000));
        }
    }

    /// A copy of the destination to work on.
    fn copy(&self) -> PathBuf {
        let dest = self.scratch.at("dest");
        let _ = fs::remove_dir_all(&dest);
        copy_folder(&self.base(), &dest);
        dest
    }

    /// The program on that day, perhaps cut off.
    fn run(&self, day: u64, args: &[&str], cut: Option<Cut>) -> Ran {
        let args = [args, &[self.how]].concat();
        let mut command = self.scratch.command(&args);
        steer::steer(&mut command, START + DAY * i64::try_from(day).unwrap(), cut);
        finish(command, &args)
    }

    fn backup(&self, dest: &Path, day: u64, more: &[&str], cut: Option<Cut>) -> Ran {
        let args = ["backup", text(dest), text(&self.source), "--blocksize=10kb"];
        self.run(day, &[&args, more].concat(), cut)
    }

    fn verified(&self, dest: &Path, day: u64, what: &str) {
        let args = ["verify", text(dest), "all", "--no-cache"];
        let ran = self.run(day, &args, None);
        assert_eq!(ran.code, 0, "{what}: {}", ran.all());
    }
}

fn all_there(before: &[(OsString, Vec<u8>)], dest: &Path, what: &str, ran: &Ran) {
    for (name, data) in before {
        let now = fs::read(dest.join(name)).ok();
        assert!(
            now.as_ref() == Some(data),
            "{what}: {name:?}: {}",
            ran.all()
        );
    }
}

fn list(dest: &Path, no: usize) -> PathBuf {
    volumes(dest, "dlist").into_iter().rev().nth(no).unwrap()
}

/// No version goes, by number or rule, while any other cannot be read to its end, whether space comes back or not.
#[test]
fn no_version_goes_while_another_cannot_be_read() {
    let mut tried = 0;
    for how in HOW {
        let world = World::new(how, 4);
        for (no, other) in [(0, "1-3"), (1, "0,2"), (3, "0-2")] {
            for harm in ["one byte", "half"] {
                let hurt = |dest: &Path| {
                    let path = list(dest, no);
                    let mut data = fs::read(&path).unwrap();
                    let middle = data.len() / 2;
                    match harm {
                        "half" => data.truncate(middle),
                        _ => data[middle] ^= 0x10,
                    }
                    fs::write(path, data).unwrap();
                };
                let named = format!("--version={other}");
                for rule in [
                    named.as_str(),
                    "--keep-versions=1",
                    "--keep-time=1D",
                    "--retention-policy=1W:3D",
                    "--retention-policy=1D:1h",
                ] {
                    for more in ["--no-auto-compact", "--threshold=0"] {
                        let what = format!("{how} {no} {harm} {rule} {more}");
                        let dest = world.copy();
                        hurt(&dest);
                        let before = contents(&dest);
                        let args = ["delete", text(&dest), rule, more, "--no-cache"];
                        let ran = world.run(5, &args, None).code(&[100]);
                        let ran = ran
                            .says("nothing is deleted while a version cannot be read")
                            .says(&format!("delete URL --version={no}'"));
                        all_there(&before, &dest, &what, &ran);
                        tried += 1;
                        if rule == named {
                            continue;
                        }
                        let ran = world.backup(&dest, 5, &[rule, more], None);
                        assert!([2, 3].contains(&ran.code), "{what}: {}", ran.all());
                        all_there(&before, &dest, &what, &ran);
                        tried += 1;
                    }
                }
                // It may go itself, alone and beside a rule.
                let given_up = format!("--version={no}");
                for more in ["--no-auto-compact", "--threshold=0"] {
                    let dest = world.copy();
                    hurt(&dest);
                    let args = ["delete", text(&dest), &given_up, more, "--no-cache"];
                    world.run(5, &args, None).code(&[0]);
                    assert_eq!(volumes(&dest, "dlist").len(), 3);
                    world.verified(&dest, 5, "after it went");
                }
            }
        }
    }
    assert_eq!(tried, 2 * 3 * 2 * 18);
}

/// An old list under newer names pushes no real version out; what says so also says how it goes.
#[test]
fn an_old_list_under_newer_names_counts_for_no_rule() {
    let world = World::new(HOW[1], 4);
    let replay = |dest: &Path| {
        let oldest = list(dest, 3);
        for hour in 10..13 {
            let name = format!("duplicati-20231118T{hour}0000Z.dlist.zip.aes");
            fs::copy(&oldest, dest.join(name)).unwrap();
        }
    };
    for rule in [
        "--keep-versions=3",
        "--keep-versions=1",
        "--keep-time=3D",
        "--retention-policy=4D:1h",
    ] {
        for more in ["--no-auto-compact", "--threshold=0", "--dry-run"] {
            let what = format!("{rule} {more}");
            let dest = world.copy();
            replay(&dest);
            let before = contents(&dest);
            let args = ["delete", text(&dest), rule, more];
            for _ in 0..2 {
                // Once more with what the cache remembers.
                let ran = world.run(5, &args, None).code(&[100]);
                let ran = ran
                    .says("an older version under a newer name")
                    .says("'duplet delete URL --version=");
                all_there(&before, &dest, &what, &ran);
            }
            let ran = world.backup(&dest, 5, &[rule, more], None);
            assert!([2, 3].contains(&ran.code), "{what}: {}", ran.all());
            all_there(&before, &dest, &what, &ran);
        }
        let dest = world.copy();
        replay(&dest);
        let args = ["delete", text(&dest), "--version=0-2"];
        world.run(5, &args, None).code(&[0]);
        let args = ["delete", text(&dest), "--keep-versions=3"];
        let ran = world.run(5, &args, None).code(&[0]);
        ran.says("1 of 4 versions deleted");
        world.verified(&dest, 5, rule);
    }
}

/// Where the newest version is a partial one, no rule takes the last complete one.
#[test]
fn the_last_complete_version_stays() {
    for how in HOW {
        let world = World::new(how, 3);
        let base = world.base();
        for n in 0..30 {
            let name = format!("much {n:02}");
            tree::write(&world.source.join(name), &Rand(900 + n).bytes(100_000));
        }
        let cut = Cut {
            step: 1,
            kill: false,
        };
        let ran = world.backup(&base, 3, &["--dblock-size=1mb"], Some(cut));
        ran.code(&[50]).says("partial version");
        for rule in [
            "--retention-policy=1D:1h",
            "--retention-policy=2D:1h",
            "--keep-versions=1",
            "--keep-time=1s",
            "--keep-time=1D",
        ] {
            for more in ["--dry-run", "--no-auto-compact", "--threshold=0"] {
                let dest = world.copy();
                let args = ["delete", text(&dest), rule, more, "--json"];
                let ran = world.run(8, &args, None).code(&[0]);
                let said = ran.json();
                let kept = said["KeptSets"].as_array().unwrap().iter();
                let kept: Vec<u64> = kept.map(|s| s["Version"].as_u64().unwrap()).collect();
                assert_eq!(kept, [0, 1], "{how} {rule} {more}: {}", ran.all());
                let left = if more == "--dry-run" { 4 } else { 2 };
                assert_eq!(volumes(&dest, "dlist").len(), left, "{}", ran.all());
                if rule.starts_with("--retention") {
                    ran.says("no other complete version would be left");
                }
            }
        }
        let dest = world.copy();
        let args = ["delete", text(&dest), "--retention-policy=1D:1h"];
        let all = [&args[..], &["--allow-full-removal"]].concat();
        world.run(8, &all, None).code(&[0]);
        assert!(volumes(&dest, "dlist").is_empty());
    }
}

/// A version that was named and stays is told, with what would take it.
#[test]
fn what_was_named_and_stays_is_told() {
    let world = World::new(HOW[0], 3);
    for (words, stays) in [
        (&["--version=0-2"][..], true),
        (&["--version=0-2", "--dry-run"], true),
        (&["--version=2,1,0", "--no-auto-compact"], true),
        (&["--version=0", "--keep-versions=1", "--version=0-2"], true),
        (&["--version=0-1"], false),
        (&["--version=0-2", "--allow-full-removal"], false),
    ] {
        let dest = world.copy();
        let args = [&["delete", text(&dest), "--json"][..], words].concat();
        let ran = world.run(5, &args, None);
        let code = if stays { 2 } else { 0 };
        assert_eq!(ran.code, code, "{words:?}: {}", ran.all());
        let said = ran.json();
        let kept = said["KeptSets"].as_array().unwrap();
        let named = ran
            .err
            .contains("version 0 stays although --version names it");
        assert_eq!(named, stays, "{words:?}: {}", ran.all());
        assert_eq!(
            kept.len(),
            usize::from(!words.contains(&"--allow-full-removal"))
        );
        assert!(
            !stays || ran.err.contains("--allow-full-removal"),
            "{}",
            ran.all()
        );
    }
}

/// Days of which there is a version, and how many lists there are.
fn days(dest: &Path) -> (BTreeSet<String>, usize) {
    let lists = volumes(dest, "dlist");
    let name = |p: &PathBuf| p.file_name().unwrap().to_string_lossy()[10..18].to_owned();
    (lists.iter().map(name).collect(), lists.len())
}

fn lists_with_secret(world: &World, dest: &Path) -> usize {
    let count = volumes(dest, "dlist").len();
    let held = (0..count).filter(|no| {
        let version = format!("--version={no}");
        let args = ["list", text(dest), "secret", &version, "--no-cache"];
        let ran = world.run(6, &args, None);
        assert!([0, 100].contains(&ran.code), "{}", ran.all());
        ran.code == 0
    });
    held.count()
}

/// What the next run has to make of what a purge left: each version once, and as many as the rule keeps.
///
/// Each is tried with a third of the commands, another one with each `turn`, and all with a rule in a backup.
fn finishes(world: &World, left: &Path, turn: usize, what: &str) {
    let twins = |dest: &Path| {
        let (days, lists) = days(dest);
        lists - days.len()
    };
    let args = ["list", text(left), "--no-cache"];
    let ran = world.run(6, &args, None).code(&[0]);
    let named = ran.all().contains("was written in the place of version");
    assert_eq!(named, twins(left) > 0, "{what}: {}", ran.all());
    let verify = ["verify", text(left), "all", "--no-cache"];
    let code = if twins(left) > 0 { 2 } else { 0 };
    world.run(6, &verify, None).code(&[code]);
    let all = [
        &["backup", "--keep-versions=4"][..],
        &[
            "backup",
            "--keep-versions=4",
            "--no-cache",
            "--no-auto-compact",
        ],
        &["backup", "--retention-policy=1W:0s", "--no-cache"],
        &["delete", "--keep-versions=4", "--no-cache"],
        &["delete", "--keep-time=9W", "--no-auto-compact"],
        &["compact", "--no-cache"],
        &["purge", "*/file 03*", "--no-cache"],
        &["purge", "*/no such", "--no-cache"],
        &["purge-broken-files", "--no-cache"],
        &["purge", "*/secret", "--no-cache"],
    ];
    for (no, words) in all.into_iter().enumerate() {
        if no > 0 && no % 3 != turn % 3 {
            continue;
        }
        let what = format!("{what}: {words:?}");
        let dest = world.scratch.at("next");
        let _ = fs::remove_dir_all(&dest);
        copy_folder(left, &dest);
        let mut args = vec![words[0], text(&dest)];
        if words[0] == "backup" {
            args.extend([text(&world.source), "--exclude=*/file 02*"]);
        }
        args.extend(&words[1..]);
        let ran = world.run(6, &args, None);
        assert!([0, 2].contains(&ran.code), "{what}: {}", ran.all());
        let (days, lists) = days(&dest);
        let want = match (words[0], words[1]) {
            ("backup", "--keep-versions=4") => 4,
            ("backup", _) => 5,
            _ => 4,
        };
        assert_eq!((days.len(), lists), (want, want), "{what}: {}", ran.all());
        let args = ["purge", text(&dest), "*/secret", "--no-cache"];
        world.run(7, &args, None).code(&[0]);
        assert_eq!(lists_with_secret(world, &dest), 0, "{what}");
        assert_eq!(volumes(&dest, "dlist").len(), want, "{what}");
        world.verified(&dest, 7, &what);
    }
}

/// A purge killed after each of its uploads and deletions: a list and the one written in its place are one version, and the
/// next run ends what was begun.
#[test]
fn a_purge_that_was_killed_is_ended_by_the_next_run() {
    for how in HOW {
        let world = World::new(how, 4);
        let mut killed = 0;
        for step in 1.. {
            let dest = world.copy();
            let args = ["purge", text(&dest), "*/secret", "--no-cache"];
            let cut = Cut { step, kill: true };
            let ran = world.run(5, &args, Some(cut));
            if ran.code == 0 {
                break;
            }
            assert_eq!(ran.code, -9, "{}", ran.all());
            killed += 1;
            let turn = usize::try_from(step).unwrap();
            finishes(&world, &dest, turn, &format!("{how} killed after {step}"));
        }
        assert!(killed >= 8, "{how}: only {killed} could be killed");
    }
}

/// Old lists that could not be deleted, also by the run after: they count no more, and go when they can.
#[test]
fn lists_that_came_back_after_a_purge_are_no_versions() {
    for how in HOW {
        let world = World::new(how, 4);
        let dest = world.copy();
        let old: Vec<(PathBuf, Vec<u8>)> = volumes(&dest, "dlist")
            .into_iter()
            .map(|p| (p.clone(), fs::read(&p).unwrap()))
            .collect();
        let back = || {
            for (path, data) in &old {
                fs::write(path, data).unwrap();
            }
        };
        let compact = "--no-auto-compact";
        for pattern in ["*/secret", "*/file 03*"] {
            let args = ["purge", text(&dest), pattern, "--no-cache", compact];
            let ran = world.run(5, &args, None).code(&[0]);
            ran.says("4 versions written again");
            back();
            let left = world.scratch.at("left");
            let _ = fs::remove_dir_all(&left);
            copy_folder(&dest, &left);
            assert_eq!(volumes(&left, "dlist").len(), 8, "{pattern}");
            for turn in 0..3 {
                finishes(&world, &left, turn, &format!("{how} {pattern} came back"));
            }
        }
        // One that takes the place of another and cannot be read takes no place.
        let newest = list(&dest, 0);
        let data = fs::read(&newest).unwrap();
        fs::write(&newest, &data[..data.len() / 2]).unwrap();
        let args = ["delete", text(&dest), "--keep-versions=4", "--no-cache"];
        world.run(6, &args, None).code(&[100]);
        assert_eq!(volumes(&dest, "dlist").len(), 8);
        let args = ["delete", text(&dest), "--version=0", "--no-cache", compact];
        world.run(6, &args, None).code(&[0]);
        let (days, lists) = days(&dest);
        assert_eq!((days.len(), lists), (4, 4));
    }
}
