//! What random lives of backups (`tests/model.rs`) have shown, each once more by itself.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/steer.rs"]
mod steer;
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use steer::Cut;
use support::snapshot::{But, Snapshot, same, take};
use support::{Rand, Scratch, finish, text, tree, volumes};

const PLAIN: &str = "--no-encryption";

fn backup<'a>(dest: &'a Path, source: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "backup",
        text(dest),
        text(source),
        PLAIN,
        "--blocksize=10kb",
    ];
    [&args[..], more].concat()
}

/// A stop that comes when the version is there already, before the old ones go, is told by the exit code, and the next run
/// lets them go.
#[test]
fn a_stop_between_the_version_and_its_rule_is_told() {
    for (rule, step) in [
        ("--keep-versions=1", 1),
        ("--keep-time=1D", 3),
        ("--retention-policy=1D:U", 3),
    ] {
        let scratch = Scratch::new("lives-stop");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        let mut at = 1_800_000_000;
        for n in 0..4 {
            tree::write(&source.join("f"), &Rand(n).bytes(20_000));
            at += 10 * 86_400;
            let args = backup(&dest, &source, &[]);
            let mut command = scratch.command(&args);
            steer::steer(&mut command, at, None);
            finish(command, &args).code(&[0]);
        }
        tree::write(&source.join("f"), &Rand(9).bytes(20_000));
        at += 10 * 86_400;
        // Of the dblock, its dindex and the dlist.
        let cut = Cut { step, kill: false };
        let args = backup(&dest, &source, &[rule]);
        let mut command = scratch.command(&args);
        steer::steer(&mut command, at, Some(cut));
        let ran = finish(command, &args).code(&[50]);
        let there = volumes(&dest, "dlist").len();
        if there == 5 && !ran.out.contains("partial") {
            ran.says("stopped while old versions");
        }
        let mut command = scratch.command(&args);
        steer::steer(&mut command, at + 5, None);
        finish(command, &args).code(&[0, 1]);
        assert_eq!(volumes(&dest, "dlist").len(), 1, "{rule}");
        let verify = ["verify", text(&dest), "all", PLAIN];
        scratch.run(&verify).code(&[0]);
    }
}

/// A lost block is looked for in every file that has it, not only in the first: copies, hard links, other versions, contents of
/// several blocklists, and metadata.
#[test]
fn lost_blocks_are_found_in_any_copy() {
    for (what, size) in [
        ("one block", 5_000),
        ("blocks", 70_000),
        ("lists", 3_500_000),
    ] {
        for gone in ["changed", "removed", "in an older version"] {
            let scratch = Scratch::new("lives-copies");
            let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
            let bytes = Rand(3).bytes(size);
            for name in ["a", "b", "c"] {
                tree::write(&source.join(name), &bytes);
            }
            scratch
                .run(&backup(&dest, &source, &["--dblock-size=5mb"]))
                .code(&[0]);
            let before = take(&source);
            match gone {
                "changed" => tree::write(&source.join("a"), b"other"),
                "removed" => fs::remove_file(source.join("a")).unwrap(),
                _ => {
                    // The newest version names the blocks by another path than the one that still has them.
                    fs::rename(source.join("a"), source.join("z")).unwrap();
                    fs::remove_file(source.join("b")).unwrap();
                    fs::remove_file(source.join("c")).unwrap();
                    scratch.run(&backup(&dest, &source, &[])).code(&[0]);
                    tree::write(&source.join("z"), b"other");
                    tree::write(&source.join("b"), &bytes);
                }
            }
            let largest = |p: &std::path::PathBuf| p.metadata().unwrap().len();
            let lost = volumes(&dest, "dblock")
                .into_iter()
                .max_by_key(largest)
                .unwrap();
            fs::remove_file(lost).unwrap();
            let repair = [
                "repair",
                text(&dest),
                PLAIN,
                "--rebuild-missing-dblock-files",
            ];
            scratch.run(&repair).code(&[0, 2]);
            let oldest = (volumes(&dest, "dlist").len() - 1).to_string();
            let to = scratch.at("back");
            let (path, version) = (
                format!("--restore-path={}", text(&to)),
                format!("--version={oldest}"),
            );
            scratch
                .run(&["restore", text(&dest), PLAIN, &path, &version])
                .code(&[0, 2, 3]);
            for name in ["a", "b", "c"] {
                let got = fs::read(to.join(name)).unwrap_or_default();
                assert!(got == bytes, "{what}, {gone}: {name}");
            }
            let but = But {
                mode: true,
                mtime: true,
                xattr: true,
                ..But::default()
            };
            same(&before, &take(&to), but, what);
        }
    }
}

/// Two machines, each with its own cache, that write into one folder under one prefix.
struct Machines {
    each: [Scratch; 2],
    dest: PathBuf,
    now: i64,
    /// What each version gives, by the name of its list.
    states: BTreeMap<OsString, Snapshot>,
}

impl Machines {
    fn new() -> Machines {
        let each = ["lives-one", "lives-two"].map(Scratch::new);
        for machine in &each {
            machine.folder("source");
        }
        Machines {
            dest: each[0].at("dest"),
            each,
            now: 1_800_000_000,
            states: BTreeMap::new(),
        }
    }

    fn lists(&self) -> Vec<OsString> {
        let all = volumes(&self.dest, "dlist").into_iter();
        all.map(|p| p.file_name().unwrap().to_owned()).collect()
    }

    /// New content, and at times that of a version that may be gone.
    fn edit(&self, machine: usize, seed: u64) {
        let source = self.each[machine].at("source");
        tree::write(&source.join("daily"), &Rand(seed).bytes(60_000));
        tree::write(&source.join("again"), &Rand(seed % 3).bytes(50_000));
        let own = Rand(100 + machine as u64).bytes(40_000);
        tree::write(&source.join("own"), &own);
    }

    fn command(&self, machine: usize, verb: &str, cut: Option<Cut>) -> (Command, Vec<String>) {
        let scratch = &self.each[machine];
        let source = scratch.at("source");
        let mut args = vec![verb, text(&self.dest), PLAIN, "--dblock-size=1mb"];
        match verb {
            "backup" => args.extend([text(&source), "--blocksize=10kb", "--no-auto-compact"]),
            _ => args.extend(["--small-file-size=1mb", "--small-file-max-count=1"]),
        }
        if verb == "delete" {
            args.push("--keep-versions=3");
        }
        let mut command = scratch.command(&args);
        steer::steer(&mut command, self.now + 10 * machine as i64, cut);
        (command, args.into_iter().map(str::to_owned).collect())
    }

    /// Notes which versions came: each is what the machine has that wrote it.
    fn note(&mut self, writer: impl Fn(&OsString) -> usize) {
        for name in self.lists() {
            if !self.states.contains_key(&name) {
                let source = self.each[writer(&name)].at("source");
                self.states.insert(name, take(&source));
            }
        }
    }

    /// Every version that is there gives what it was, to a third who knows nothing; the newest three of `before` are there.
    fn are_whole(&self, before: &[OsString], what: &str) {
        let lists = self.lists();
        for name in before.iter().rev().take(3) {
            assert!(lists.contains(name), "{what}: {name:?} is gone");
        }
        let to = self.each[0].at("restored");
        for (no, name) in lists.iter().rev().enumerate() {
            let _ = fs::remove_dir_all(&to);
            let path = format!("--restore-path={}", text(&to));
            let version = format!("--version={no}");
            let args = ["restore", text(&self.dest), PLAIN, "--no-cache"];
            let args = [&args[..], &[&path, &version, "--restore-permissions"]].concat();
            self.each[0].run(&args).code(&[0]);
            same(&self.states[name], &take(&to), But::default(), what);
        }
    }
}

/// One after the other, each with what its cache remembers of a destination that the other changed meanwhile, some of them
/// killed at one of their steps: no version that should stay loses anything.
#[test]
fn two_machines_one_after_the_other_with_kills() {
    for seed in [1, 2] {
        let mut all = Machines::new();
        let mut rand = Rand(seed);
        let mut killed = 0;
        for turn in 0..14u64 {
            let machine = usize::from(rand.below(2) == 1);
            let verb = match (turn, rand.below(6)) {
                (0..3, _) | (_, 0..3) => "backup",
                (_, 3 | 4) => "delete",
                _ => "compact",
            };
            let step = 1 + rand.below(4);
            let cut = (turn > 2 && rand.below(2) == 0).then_some(Cut { step, kill: true });
            all.now += 86_400;
            if verb == "backup" {
                all.edit(machine, seed * 100 + turn);
            }
            let before = all.lists();
            let (command, args) = all.command(machine, verb, cut);
            let ran = finish(command, &args);
            let what = format!("seed {seed}, turn {turn}, {verb} of {machine}, {cut:?}");
            assert!([0, 1, 2, -9].contains(&ran.code), "{what}: {}", ran.all());
            killed += u64::from(ran.code == -9);
            all.note(|_| machine);
            all.are_whole(&before, &what);
        }
        assert!(killed >= 2, "seed {seed}: {killed}");
        // What was left half done is put right by either.
        for machine in [1, 0] {
            all.now += 10 * 86_400;
            all.edit(machine, 7 + machine as u64);
            for verb in ["backup", "compact"] {
                let (command, args) = all.command(machine, verb, None);
                // All that the other machine has is "gone".
                finish(command, &args).code(&[0, 2]);
            }
            all.note(|_| machine);
        }
        all.are_whole(&[], "the end");
        let verify = ["verify", text(&all.dest), "all", PLAIN, "--no-cache"];
        all.each[1].run(&verify).code(&[0]);
    }
}

/// At the same time: one of them may have to give up, and says so; what is there is whole.
#[test]
fn two_machines_at_the_same_time() {
    for (one, two) in [
        ("backup", "backup"),
        ("backup", "compact"),
        ("delete", "backup"),
        ("compact", "compact"),
        ("delete", "compact"),
    ] {
        let mut all = Machines::new();
        for day in 0..5u64 {
            let machine = (day % 2) as usize;
            all.now += 86_400;
            all.edit(machine, day);
            let (command, args) = all.command(machine, "backup", None);
            finish(command, &args).code(&[0, 2]);
            all.note(|_| machine);
        }
        all.now += 86_400;
        let (before, all_now) = (all.lists(), all.now);
        for (machine, verb) in [(0, one), (1, two)] {
            if verb == "backup" {
                // Of the other's content nothing is reused that may go meanwhile.
                let daily = all.each[machine].at("source").join("daily");
                tree::write(&daily, &Rand(50 + machine as u64).bytes(60_000));
            }
        }
        let children = [(0, one), (1, two)].map(|(machine, verb)| {
            let (mut command, args) = all.command(machine, verb, None);
            (command.spawn().unwrap(), args)
        });
        let what = format!("{one} and {two}");
        for (child, args) in children {
            let done = child.wait_with_output().unwrap();
            let code = done.status.code();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(
                matches!(code, Some(0..=3 | 100)),
                "{what}: {args:?}: {code:?}: {said}"
            );
            assert!(!said.contains("internal error"), "{what}: {said}");
        }
        // Ten seconds lie between the clocks of the two: a version that came of the second's is later.
        let mut new = all.lists();
        new.retain(|name| !before.contains(name));
        let by_second = |name: &OsString| {
            let name = name.to_string_lossy();
            let seconds: i64 = name["duplicati-20270115T0800".len()..][..2]
                .parse()
                .unwrap();
            seconds >= (all_now % 60) + 10
        };
        all.note(|name| usize::from(by_second(name)));
        all.are_whole(&before, &what);
    }
}
