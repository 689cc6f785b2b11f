//! The program is killed after the n-th file reached the destination or went, for every n: what was safe stays safe, and the next
//! run finishes the work with what was uploaded already.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use support::snapshot::{But, same, take};
use support::{Rand, Scratch, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=cut";

/// A source whose second version needs several volumes.
fn grow(source: &Path) {
    let mut rand = Rand(77);
    for n in 0..8 {
        tree::write(&source.join(format!("more {n}")), &rand.bytes(600_000));
    }
}

fn backup(dest: &Path, source: &Path) -> Vec<String> {
    let args = [
        "backup",
        text(dest),
        text(source),
        "--blocksize=10kb",
        "--dblock-size=1mb",
        "--no-cache",
        PASSPHRASE,
    ];
    args.map(str::to_owned).to_vec()
}

/// Nothing is wrong with any volume.
fn is_clean(scratch: &Scratch) {
    let dest = scratch.at("dest");
    let args = ["verify", text(&dest), "all", "--full-remote-verification"];
    let args = [&args[..], &["--no-cache", PASSPHRASE]].concat();
    scratch.run(&args).code(&[0]);
}

/// Files that came to a folder since it held `had`, and files that went: one for every upload and deletion.
fn changes(dest: &Path, had: &[OsString]) -> usize {
    let now = names(dest);
    let came = now.iter().filter(|name| !had.contains(name)).count();
    came + had.iter().filter(|name| !now.contains(name)).count()
}

/// Runs the program and kills it as soon as `n` files came to the destination or went; false when it ended before.
fn kill_after(scratch: &Scratch, args: &[String], had: &[OsString], n: usize) -> bool {
    let dest = scratch.at("dest");
    let mut child = scratch.start(args);
    loop {
        if changes(&dest, had) >= n {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
    }
}

fn restores(scratch: &Scratch, version: usize, want: &support::snapshot::Snapshot, what: &str) {
    let to = scratch.at("restored");
    let _ = fs::remove_dir_all(&to);
    let (dest, version) = (scratch.at("dest"), format!("--version={version}"));
    let path = format!("--restore-path={}", text(&to));
    let args = [
        "restore",
        text(&dest),
        &path,
        &version,
        "--restore-permissions",
        "--no-cache",
        PASSPHRASE,
    ];
    scratch.run(&args).code(&[0]);
    same(want, &take(&to), But::default(), what);
}

#[test]
fn killed_after_every_upload() {
    let base = Scratch::new("cut-base");
    let source = base.folder("source");
    tree::write(&source.join("old"), &Rand(1).bytes(50_000));
    base.run(&backup(&base.at("dest"), &source)).code(&[0]);
    let (first, had) = (take(&source), names(&base.at("dest")));
    grow(&source);
    let second = take(&source);
    let after = base.at("after");
    support::copy_folder(&base.at("dest"), &after);
    base.run(&backup(&after, &source)).code(&[0]);
    let whole = volumes(&after, "dblock").len();
    let mut stopped = 0;
    for n in 1.. {
        let scratch = Scratch::new("cut");
        let dest = scratch.at("dest");
        support::copy_folder(&base.at("dest"), &dest);
        if !kill_after(&scratch, &backup(&dest, &source), &had, n) {
            break;
        }
        stopped += 1;
        assert!(
            scratch.left_in_tmp().is_empty(),
            "killed after {n}: {:?}",
            scratch.left_in_tmp()
        );
        let what = format!("killed after {n}");
        let finished = volumes(&dest, "dlist").len() == 2;
        restores(&scratch, usize::from(finished), &first, &what);
        let uploaded = volumes(&dest, "dblock");
        let args = backup(&dest, &source);
        scratch.run(&args).code(if finished { &[1] } else { &[0] });
        restores(&scratch, 0, &second, &what);
        restores(&scratch, 1, &first, &what);
        // Every volume is used, also one that had no index yet; none is uploaded twice.
        for volume in &uploaded {
            assert!(volume.exists(), "{what}: {volume:?} is gone");
        }
        let now = volumes(&dest, "dblock").len();
        assert!(
            now <= whole + 1,
            "{what}: {now} volumes, {whole} without the stop"
        );
        assert_eq!(volumes(&dest, "dindex").len(), now, "{what}");
        is_clean(&scratch);
        let strays: Vec<_> = names(&dest)
            .into_iter()
            .filter(|n| !n.to_string_lossy().contains(".zip.aes"))
            // A half-written upload has a name no reader looks at; it is removed when it is a day old.
            .filter(|n| !n.to_string_lossy().starts_with(".duplet-tmp-"))
            .collect();
        assert!(strays.is_empty(), "{what}: {strays:?}");
    }
    assert!(stopped >= 8, "only {stopped} runs could be stopped");
}

/// Commands that put and delete: whenever they are killed every version is still there, old or new, and the next run
/// finishes, after which all is whole.
#[test]
fn killed_between_putting_and_deleting() {
    for words in [
        &["purge", "*/f1"][..],
        &["purge-broken-files"],
        &["repair", "--rebuild-missing-dblock-files"],
    ] {
        let base = Scratch::new("cut-care");
        let (source, dest) = (base.folder("source"), base.at("dest"));
        for n in 0..4 {
            tree::write(&source.join(format!("f{n}")), &Rand(n).bytes(400_000));
        }
        for (n, year) in ["2021", "2022", "2023"].iter().enumerate() {
            tree::write(&source.join("f3"), &Rand(50 + n as u64).bytes(50_000));
            base.run(&backup(&dest, &source)).code(&[0]);
            let list = volumes(&dest, "dlist").pop().unwrap();
            let name = list.file_name().unwrap().to_string_lossy().into_owned();
            let end = &name[name.find(".dlist").unwrap()..];
            fs::rename(
                &list,
                dest.join(format!("duplicati-{year}0101T000000Z{end}")),
            )
            .unwrap();
        }
        if words[0] != "purge" {
            let largest = |p: &std::path::PathBuf| fs::metadata(p).unwrap().len();
            fs::remove_file(
                volumes(&dest, "dblock")
                    .into_iter()
                    .max_by_key(largest)
                    .unwrap(),
            )
            .unwrap();
        }
        let had = names(&dest);
        let mut stopped = 0;
        for n in 1.. {
            let scratch = Scratch::new("cut-care");
            let dest = scratch.at("dest");
            support::copy_folder(&base.at("dest"), &dest);
            let mut args = vec![
                words[0],
                text(&dest),
                "--dblock-size=1mb",
                "--no-cache",
                PASSPHRASE,
            ];
            args.extend(&words[1..]);
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            if !kill_after(&scratch, &args, &had, n) {
                break;
            }
            stopped += 1;
            let what = format!("{words:?} killed after {n}");
            let years: Vec<String> = volumes(&dest, "dlist")
                .iter()
                .map(|p| p.file_name().unwrap().to_string_lossy()[10..14].to_owned())
                .collect();
            for year in ["2021", "2022", "2023"] {
                assert!(years.iter().any(|y| y == year), "{what}: {years:?}");
            }
            // What stays lost without its source is told by 2.
            scratch.run(&args).code(&[0, 2]);
            assert_eq!(volumes(&dest, "dlist").len(), 3, "{what}");
            if words[0] == "repair" {
                let rest = ["purge-broken-files", text(&dest), "--no-cache", PASSPHRASE];
                scratch.run(&rest).code(&[0]);
            }
            is_clean(&scratch);
            assert_eq!(
                volumes(&dest, "dindex").len(),
                volumes(&dest, "dblock").len(),
                "{what}"
            );
        }
        assert!(
            stopped >= 3,
            "{words:?}: only {stopped} runs could be stopped"
        );
    }
}

/// Source, and a destination with five versions of it of which two will stay.
fn aged(base: &Scratch, how: &str) -> Vec<support::snapshot::Snapshot> {
    let source = base.folder("source");
    let mut states = Vec::new();
    for day in 0..5u64 {
        let mut rand = Rand(day + 1);
        tree::write(&source.join("daily"), &rand.bytes(300_000));
        tree::write(&source.join(format!("of day {day}")), &rand.bytes(40_000));
        let _ = fs::remove_file(source.join(format!("of day {}", day.wrapping_sub(2))));
        base.run(&kept(&base.at("dest"), &source, how, &[]))
            .code(&[0]);
        states.insert(0, take(&source));
    }
    states
}

fn kept(dest: &Path, source: &Path, how: &str, more: &[&str]) -> Vec<String> {
    let mut args = vec!["backup", text(dest), text(source), "--blocksize=10kb"];
    args.extend(["--dblock-size=1mb", "--no-cache", how]);
    args.extend(more);
    args.into_iter().map(str::to_owned).collect()
}

/// Killed after every file that comes or goes while old versions are deleted and volumes rewritten: what stays is whole, and
/// the next run leaves what a run that was not killed leaves.
#[test]
fn killed_while_versions_go_and_space_comes_back() {
    for how in ["--no-encryption", PASSPHRASE] {
        let base = Scratch::new("cut-gone-base");
        let states = aged(&base, how);
        let source = base.at("source");
        let had = names(&base.at("dest"));
        tree::write(&source.join("one more"), &Rand(99).bytes(60_000));
        let newest = take(&source);
        for command in ["backup", "delete", "compact"] {
            let mut stopped = 0;
            for n in 1.. {
                let scratch = Scratch::new("cut-gone");
                let dest = scratch.at("dest");
                support::copy_folder(&base.at("dest"), &dest);
                let rules = ["--small-file-size=1mb", "--small-file-max-count=1"];
                let args = match command {
                    "backup" => kept(
                        &dest,
                        &source,
                        how,
                        &[&rules[..], &["--keep-versions=2"]].concat(),
                    ),
                    command => {
                        let mut args = vec![command, text(&dest), "--dblock-size=1mb", how];
                        args.extend(["--no-cache"].iter().chain(&rules));
                        if command == "delete" {
                            args.push("--keep-versions=2");
                        }
                        args.into_iter().map(str::to_owned).collect()
                    }
                };
                if !kill_after(&scratch, &args, &had, n) {
                    break;
                }
                stopped += 1;
                let what = format!("{command} {how} killed after {n}");
                let lists = volumes(&dest, "dlist");
                let added = lists.iter().any(|l| {
                    !had.iter()
                        .any(|name| Some(name.as_os_str()) == l.file_name())
                });
                let check = |what: &str, added: bool| {
                    let first: Vec<_> = added.then_some(&newest).into_iter().collect();
                    let all: Vec<_> = first.into_iter().chain(&states).collect();
                    let to = scratch.at("restored");
                    let there = volumes(&dest, "dlist").len();
                    // Those that should have gone may be there or not; the two newest are.
                    for (no, state) in all.iter().enumerate().take(2.min(there)) {
                        let _ = fs::remove_dir_all(&to);
                        let path = format!("--restore-path={}", text(&to));
                        let version = format!("--version={no}");
                        let args = ["restore", text(&dest), &path, &version, "--no-cache", how];
                        let args = [&args[..], &["--restore-permissions"]].concat();
                        scratch.run(&args).code(&[0]);
                        same(state, &take(&to), But::default(), what);
                    }
                };
                check(&what, added);
                // What is between a dblock and its dindex is used by the next backup, which then reclaims.
                let again = kept(
                    &dest,
                    &source,
                    how,
                    &[&rules[..], &["--keep-versions=2"]].concat(),
                );
                scratch.run(&again).code(&[0, 1]);
                let compact = [
                    "compact",
                    text(&dest),
                    "--dblock-size=1mb",
                    how,
                    "--no-cache",
                ];
                scratch.run(&[&compact[..], &rules].concat()).code(&[0]);
                check(&what, true);
                assert_eq!(volumes(&dest, "dlist").len(), 2, "{what}");
                let now = (
                    volumes(&dest, "dblock").len(),
                    volumes(&dest, "dindex").len(),
                );
                assert!(now.0 == now.1 && now.0 <= 3, "{what}: {now:?}");
                let verify = ["verify", text(&dest), "all", "--no-cache", how];
                scratch.run(&verify).code(&[0]);
            }
            assert!(stopped >= 4, "{command} {how}: {stopped}");
        }
    }
}
