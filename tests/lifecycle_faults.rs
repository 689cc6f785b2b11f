//! Commands that delete, against a destination at which something goes wrong: whatever it is, what is kept restores, what
//! should have gone is told, and the next run finishes.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use faulty::Trouble;
use faulty_s3::{Server, error};
use support::snapshot::{Snapshot, take};
use support::{Ran, Rand, Scratch, names, text, tree, volumes};

/// Small volumes are put together as soon as there are two of them.
const RULES: [&str; 4] = [
    "--dblock-size=1mb",
    "--small-file-size=1mb",
    "--small-file-max-count=1",
    "--no-cache",
];

const COMMANDS: [&str; 6] = [
    "backup",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
];

/// A destination in a folder, as the command finds it, and the source that it is of.
struct World {
    scratch: Scratch,
    command: &'static str,
    /// What the command is given beside the destination.
    more: Vec<String>,
    /// The source as it was in each version, newest first.
    states: Vec<Snapshot>,
}

impl World {
    fn new(command: &'static str) -> World {
        let scratch = Scratch::new("life-faults");
        let (source, dest) = (scratch.folder("source"), scratch.at("before"));
        for n in 0..4 {
            tree::write(&source.join(format!("f{n}")), &Rand(n).bytes(50_000));
        }
        let mut states = Vec::new();
        for (n, year) in (0..).zip(["2021", "2022", "2023"]) {
            let mut rand = Rand(50 + n);
            tree::write(&source.join("daily"), &rand.bytes(60_000));
            tree::write(&source.join(format!("of {year}")), &rand.bytes(30_000));
            let args = ["backup", text(&dest), text(&source), "--no-encryption"];
            let args = [&args[..], &["--blocksize=10kb", "--no-cache"]].concat();
            scratch.run(&args).code(&[0]);
            states.insert(0, take(&source));
            let list = volumes(&dest, "dlist").pop().unwrap();
            fs::rename(
                list,
                dest.join(format!("duplicati-{year}0101T000000Z.dlist.zip")),
            )
            .unwrap();
        }
        let mut more: Vec<String> = RULES.map(str::to_owned).to_vec();
        let word = |w: &str| w.to_owned();
        match command {
            "backup" => {
                tree::write(&source.join("of today"), &Rand(99).bytes(30_000));
                states.insert(0, take(&source));
                more.extend([
                    word(text(&source)),
                    word("--keep-versions=2"),
                    word("--no-encryption"),
                ]);
            }
            "delete" => more.push(word("--keep-versions=1")),
            "purge" => more.push(word("*/f1")),
            "purge-broken-files" => {
                // That of the second version: all that is new in it.
                let mut lost = volumes(&dest, "dblock");
                lost.sort_by_key(|p| fs::metadata(p).unwrap().modified().unwrap());
                fs::remove_file(&lost[1]).unwrap();
            }
            "repair" => {
                let mut hurt = volumes(&dest, "dblock");
                hurt.sort_by_key(|p| fs::metadata(p).unwrap().modified().unwrap());
                let mut data = fs::read(&hurt[2]).unwrap();
                let middle = data.len() / 2;
                data[middle] ^= 1;
                fs::write(&hurt[2], data).unwrap();
                more.push(word("--rebuild-missing-dblock-files"));
                more.push(word(hurt[2].file_name().unwrap().to_str().unwrap()));
            }
            _ => {}
        }
        World {
            scratch,
            command,
            more,
            states,
        }
    }

    fn args<'a>(&'a self, dest: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec![self.command, dest];
        args.extend(self.more.iter().map(String::as_str));
        args.extend(more);
        args
    }

    /// Versions after the command, at most.
    fn kept(&self) -> usize {
        match self.command {
            "delete" => 1,
            "backup" => 2,
            _ => 3,
        }
    }

    /// Every version that is kept restores to what its source was; `ended`: the command has done its work.
    fn restores(&self, dest: &Path, ended: bool, what: &str) {
        let lists = volumes(dest, "dlist");
        let mut seen = BTreeSet::new();
        for (no, list) in lists.iter().rev().enumerate() {
            let name = list.file_name().unwrap().to_str().unwrap();
            let year = &name["duplicati-".len()..][..4];
            let from_new = usize::from(self.command == "backup");
            let state = match year {
                "2023" => from_new,
                "2022" => from_new + 1,
                "2021" => from_new + 2,
                _ => 0,
            };
            seen.insert(state);
            if state >= self.kept() {
                continue;
            }
            if !ended && ["purge-broken-files", "repair"].contains(&self.command) {
                continue;
            }
            let to = self.scratch.at("restored");
            let _ = fs::remove_dir_all(&to);
            let path = format!("--restore-path={}", text(&to));
            let version = format!("--version={no}");
            let args = ["restore", text(dest), &path, &version, "--no-cache"];
            let args = [&args[..], &["--restore-permissions"]].concat();
            // A damaged volume that could not be deleted may be read before the one that has its blocks again.
            let good: &[i32] = match self.command {
                "repair" => &[0, 2],
                _ => &[0],
            };
            self.scratch.run(&args).code(good);
            let got = take(&to);
            for (path, node) in &self.states[state] {
                let name = String::from_utf8_lossy(path);
                let may_lack = match self.command {
                    "purge" => name == "f1",
                    "purge-broken-files" => ["daily", "of 2022", ""].contains(&&*name),
                    _ => false,
                };
                let there = got.get(path);
                assert!(
                    there == Some(node) || may_lack,
                    "{what}: version {no} of {year}: {name:?} is {there:?}"
                );
            }
        }
        // Each version is there, old or new.
        for state in 0..self.kept() {
            let not_yet = self.command == "backup" && state == 0 && !ended;
            assert!(seen.contains(&state) || not_yet, "{what}: {lists:?}");
        }
    }

    /// Nothing is left to do: every volume is needed, described and whole.
    fn is_clean(&self, dest: &Path, what: &str) {
        self.restores(dest, true, what);
        assert_eq!(
            volumes(dest, "dlist").len(),
            self.kept(),
            "{what}: {:?}",
            names(dest)
        );
        let (data, index) = (volumes(dest, "dblock"), volumes(dest, "dindex"));
        assert_eq!(data.len(), index.len(), "{what}: {:?}", names(dest));
        let args = ["verify", text(dest), "all", "--no-cache"];
        let ran = self.scratch.run(&args);
        assert_eq!(ran.code, 0, "{what}: {}", ran.all());
    }
}

/// The world's destination at a server.
struct Served<'w> {
    world: &'w World,
    server: Server,
    url: String,
}

impl<'w> Served<'w> {
    fn new(world: &'w World) -> Served<'w> {
        let server = Server::start();
        let folder = world.scratch.at("before");
        for name in names(&folder) {
            let data = fs::read(folder.join(&name)).unwrap();
            server.put(&format!("f/{}", name.to_str().unwrap()), &data);
        }
        let url = format!(
            "s3://b/f?s3-server-name=127.0.0.1:{}&use-ssl=false",
            server.address.port()
        );
        Served { world, server, url }
    }

    fn run(&self, more: &[&str]) -> Ran {
        self.run_args(&self.world.args(&self.url, &[]), more)
    }

    fn run_args(&self, args: &[&str], more: &[&str]) -> Ran {
        let mut args = args.to_vec();
        args.extend(["--retry-delay=0s", "--http-proxy=none"]);
        if !more.iter().any(|o| o.starts_with("--number-of-retries")) {
            args.push("--number-of-retries=0");
        }
        args.extend(more);
        let env = [("AUTH_USERNAME", "key"), ("AUTH_PASSWORD", "secret")];
        let ran = self.world.scratch.run_env(&args, &env);
        ran.sane();
        ran
    }

    /// What is at the server, in a folder.
    fn folder(&self) -> PathBuf {
        let to = self.world.scratch.at("stored");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        self.server.with(|s3| {
            for (key, data) in &s3.files {
                fs::write(to.join(key.strip_prefix("f/").unwrap()), data).unwrap();
            }
        });
        to
    }

    fn deletes(&self) -> Vec<String> {
        let seen = self.server.seen("DELETE");
        seen.into_iter().map(|s| s.target).collect()
    }

    /// True when everything that was to go wrong did.
    fn went_wrong(&self) -> bool {
        let mut state = self.server.state.lock().unwrap();
        let all = state.script.is_empty();
        state.script.clear();
        all
    }
}

fn refusal() -> Trouble {
    Trouble::Answer(500, Vec::new(), error("InternalError", ""))
}

/// One name that will not go: the others do, it is told, and the next run takes it.
#[test]
fn a_deletion_that_fails_is_told_and_done_by_the_next_run() {
    let mut cases = 0;
    for command in COMMANDS {
        let world = World::new(command);
        for kind in [".dlist.", ".dindex.", ".dblock."] {
            let what = format!("{command}: {kind} stays");
            let served = Served::new(&world);
            served.server.script("DELETE", kind, refusal());
            let ran = served.run(&[]);
            if !served.went_wrong() {
                // It deletes none of this kind.
                ran.code(&[0]);
                continue;
            }
            cases += 1;
            let ran = ran
                .code(&[2])
                .says("could not be deleted")
                .says("the next run tries again");
            assert!(
                ran.err.contains("cannot delete duplicati-"),
                "{what}: {}",
                ran.all()
            );
            // What is lost or damaged is so as before, where its list or index stays.
            let lacks = ["purge-broken-files", "repair"].contains(&command);
            world.restores(&served.folder(), !lacks, &what);
            // What was not deleted is needed by nothing, and nothing that is there needs what was.
            let folder = served.folder();
            let args = ["verify", text(&folder), "all", "--no-cache"];
            let verified = world.scratch.run(&args);
            // A list beside the one that a purge wrote in its place is named.
            let twin = command == "purge" && kind == ".dlist.";
            let named = verified.code == 2 && verified.err.contains("by a purge that did not end");
            assert!(
                verified.code == 0 || kind == ".dblock." || lacks || twin && named,
                "{what}: {}",
                verified.all()
            );
            let (was, tried) = (names(&served.folder()).len(), served.deletes().len());
            assert!(tried > 1 || command == "repair", "{what}: {tried}");
            let again = served.run(&[]);
            assert!(again.code <= 2, "{what}: {}", again.all());
            if kind == ".dblock." {
                // Its index is gone: nobody knows any more that it was to go, until it is a day old.
                world.restores(&served.folder(), true, &what);
                continue;
            }
            if kind == ".dindex." {
                // It is no version: a run that reclaims space takes it.
                let mut reclaims = world.args(&served.url, &[]);
                reclaims.retain(|a| RULES.contains(a));
                served.run_args(&[&["compact", &served.url][..], &reclaims].concat(), &[]);
            }
            assert!(
                names(&served.folder()).len() < was,
                "{what}: {}",
                again.all()
            );
            world.is_clean(&served.folder(), &what);
        }
    }
    assert!(cases >= 12, "{cases}");
}

/// A file goes, and the answer does not come, or not in time: asked again the server says that there is no such file.
#[test]
fn deletions_that_are_done_already_or_answered_late_are_deletions() {
    for command in COMMANDS {
        let world = World::new(command);
        // Waiting takes its time: once for each of the ways in which deletions come about.
        let mut waited = !["backup", "delete", "purge"].contains(&command);
        for kind in [".dlist.", ".dindex.", ".dblock."] {
            for late in [false, true].into_iter().take(if waited { 1 } else { 2 }) {
                let what = format!("{command}: {kind} late: {late}");
                let served = Served::new(&world);
                served.server.with(|s3| s3.deletes_once = true);
                let trouble = match late {
                    true => Trouble::Stall(None),
                    false => Trouble::Swallow,
                };
                served.server.script("DELETE", kind, trouble);
                let ran = served.run(&["--short-timeout=2s", "--number-of-retries=3"]);
                assert!(ran.code == 0, "{what}: {}", ran.all());
                if served.went_wrong() {
                    waited |= late;
                    world.is_clean(&served.folder(), &what);
                } else {
                    break;
                }
            }
        }
    }
}

/// An upload that fails, the first of its kind or the second: nothing goes that a version needs, and the next run does it all.
#[test]
fn an_upload_that_fails_leaves_every_version() {
    let mut cases = 0;
    for command in COMMANDS {
        let world = World::new(command);
        for kind in [".dlist.", ".dindex.", ".dblock."] {
            for nth in [1, 2] {
                let what = format!("{command}: {kind} {nth}");
                let served = Served::new(&world);
                for _ in 1..nth {
                    served.server.script("PUT", kind, Trouble::More(Vec::new()));
                }
                served.server.script("PUT", kind, refusal());
                let ran = served.run(&[]);
                if !served.went_wrong() {
                    ran.code(&[0]);
                    continue;
                }
                cases += 1;
                // Where versions came or went before, reclaiming space is what failed.
                let then = !["compact", "repair"].contains(&command) && ran.code == 3;
                assert!(ran.code == 100 || then, "{what}: {}", ran.all());
                assert!(
                    ran.err.contains("cannot upload duplicati-")
                        || ran.err.contains("cannot store"),
                    "{what}: {}",
                    ran.all()
                );
                world.restores(&served.folder(), false, &what);
                let ran = served.run(&[]);
                assert!(ran.code <= 1, "{what}: {}", ran.all());
                world.restores(&served.folder(), true, &what);
            }
        }
    }
    assert!(cases >= 10, "{cases}");
}

/// A listing that does not show what was just uploaded: nothing is deleted for which something was uploaded.
#[test]
fn while_a_listing_lags_nothing_is_deleted() {
    let mut cases = 0;
    for command in COMMANDS {
        let world = World::new(command);
        for kind in [".dlist.", ".dindex.", ".dblock."] {
            let what = format!("{command}: new {kind} are not listed");
            let served = Served::new(&world);
            served.server.with(|s3| {
                s3.lag = Some((kind, s3.files.keys().cloned().collect()));
            });
            let ran = served.run(&[]);
            let lacks = served.server.with(|s3| {
                let (word, known) = s3.lag.clone().unwrap();
                s3.files
                    .keys()
                    .any(|k| k.contains(word) && !known.contains(k))
            });
            if !lacks {
                ran.code(&[0]);
                continue;
            }
            cases += 1;
            // A backup does not publish a version of which it cannot see the data.
            let codes: &[i32] = match (command, kind) {
                ("backup", ".dlist.") => &[3],
                _ => &[100],
            };
            let ran = ran.code(codes);
            if command != "backup" {
                assert!(ran.err.contains("cannot delete "), "{}", ran.all());
                assert!(!ran.err.contains("finish the version"), "{}", ran.all());
            }
            for name in served.deletes() {
                let gone = command == "delete" && name.contains(".dlist.");
                let all = ["purge", "purge-broken-files"].contains(&command) && kind != ".dlist.";
                assert!(gone || all, "{what}: {name}");
            }
            // What is lost or damaged is so as before.
            let lacks = ["purge-broken-files", "repair"].contains(&command);
            let ended = !lacks && (command != "backup" || kind == ".dlist.");
            world.restores(&served.folder(), ended, &what);
            served.server.with(|s3| s3.lag = None);
            let ran = served.run(&[]);
            assert!(ran.code <= 1, "{what}: {}", ran.all());
            world.is_clean(&served.folder(), &what);
        }
    }
    assert!(cases >= 10, "{cases}");
}

/// Runs a command on its destination in a file system of its own that has so many bytes left beside it, or on which a file
/// cannot be deleted, or nothing written; what is there afterwards is copied to `stored`. `None` where that is not allowed.
fn mounted(world: &World, left: Option<u64>, stuck: &str, read_only: bool) -> Option<Ran> {
    const MOUNT: &str = "full=$1 size=$2 from=$3 out=$4 stuck=$5 ro=$6; shift 6; \
         mount -t tmpfs -o size=$size none \"$full\" || exit 77; cp \"$from\"/* \"$full\" || exit 78; \
         [ -z \"$stuck\" ] || mount --bind \"$full/$stuck\" \"$full/$stuck\" || exit 77; \
         [ -z \"$ro\" ] || mount -o remount,ro \"$full\" || exit 77; \
         \"$@\"; code=$?; cp \"$full\"/* \"$out\"; exit $code";
    let scratch = &world.scratch;
    let (full, out, from) = (
        scratch.folder("full"),
        scratch.at("stored"),
        scratch.at("before"),
    );
    let _ = fs::remove_dir_all(&out);
    fs::create_dir(&out).unwrap();
    let pages = |bytes: u64| bytes.div_ceil(4096) * 4096;
    let used: u64 = names(&from)
        .iter()
        .map(|n| pages(fs::metadata(from.join(n)).unwrap().len()))
        .sum();
    let size = left.map_or(64 << 20, |left| used + left).to_string();
    let args = world.args(text(&full), &[]);
    let inner = scratch.command(&args);
    let mut command = Command::new("unshare");
    let ro = if read_only { "ro" } else { "" };
    let words = [text(&full), &size, text(&from), text(&out), stuck, ro];
    command
        .args(["-rm", "sh", "-c", MOUNT, "sh"])
        .args(words)
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .current_dir(scratch.path());
    for (key, value) in inner.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let ran = support::finish(command, &args);
    if ran.code == 77 || ran.err.starts_with("unshare:") {
        return None;
    }
    ran.sane();
    Some(ran)
}

/// A destination that fills up on the way: what was there is there, and with room the next run does it all.
#[test]
fn a_full_destination_keeps_what_it_holds() {
    for command in COMMANDS {
        let world = World::new(command);
        for left in [0, 4096, 3 * 4096, 20 * 4096] {
            let what = format!("{command} with {left} bytes left");
            let Some(ran) = mounted(&world, Some(left), "", false) else {
                return;
            };
            let stored = world.scratch.at("stored");
            // Versions may have gone before; a backup's may be there.
            let codes: &[i32] = match command {
                "backup" | "delete" | "purge" | "purge-broken-files" => &[3, 100],
                _ => &[100],
            };
            if left <= 4096 || ran.code != 0 {
                let ran = ran.code(codes).says("space");
                assert!(ran.err.lines().count() <= 2, "{what}: {}", ran.all());
            }
            world.restores(&stored, false, &what);
            let partial = names(&stored)
                .iter()
                .any(|n| n.to_string_lossy().starts_with(".duplet-tmp-"));
            assert!(!partial, "{what}: {:?}", names(&stored));
            let args = world.args(text(&stored), &[]);
            let ran = world.scratch.run(&args);
            assert!(ran.code <= 1, "{what}: {}", ran.all());
            world.restores(&stored, true, &what);
        }
    }
}

/// A file of a folder that will not go keeps no other from going; a file system that cannot be changed says so once.
#[test]
fn files_of_a_folder_that_stay() {
    for command in COMMANDS {
        let world = World::new(command);
        let from = world.scratch.at("before");
        let first = |word: &str| {
            let all = volumes(&from, word);
            let name = all.first().unwrap().file_name().unwrap();
            name.to_str().unwrap().to_owned()
        };
        for stuck in ["dlist", "dindex", "dblock"].map(first) {
            let what = format!("{command}: {stuck} stays");
            let Some(ran) = mounted(&world, None, &stuck, false) else {
                return;
            };
            let stored = world.scratch.at("stored");
            assert!(stored.join(&stuck).exists());
            // Not every command deletes each.
            if ran.code != 0 {
                let ran = ran.code(&[2]).says(&format!("cannot delete {stuck}"));
                ran.says("the next run tries again");
            }
            world.restores(&stored, true, &what);
            let mut args = world.args(text(&stored), &[]);
            // The damaged volume may be gone.
            args.retain(|a| !a.contains(".dblock."));
            let ran = world.scratch.run(&args);
            assert!(ran.code <= 2, "{what}: {}", ran.all());
            world.restores(&stored, true, &what);
        }
        let Some(ran) = mounted(&world, None, "", true) else {
            return;
        };
        // Whoever writes first fails; whoever deletes first leaves all.
        let ran = ran.code(&[2, 100]).says("ead-only file system");
        // Beside it there may be a warning of what was damaged before.
        let said = ran.err.lines().filter(|l| l.contains("ead-only")).count();
        assert_eq!(said, 1, "{}", ran.all());
        let stored = world.scratch.at("stored");
        assert_eq!(
            support::contents(&from),
            support::contents(&stored),
            "{command}"
        );
    }
}

/// A listing that does not show a volume which is there: nothing is given up for lost, and nothing is deleted.
#[test]
fn what_a_listing_hides_is_not_taken_for_lost() {
    for (command, more) in [
        ("purge-broken-files", &[][..]),
        ("purge-broken-files", &["--dry-run"]),
        ("repair", &["--force"]),
        ("repair", &["--force", "--dry-run"]),
        ("compact", &[]),
        ("backup", &[]),
    ] {
        let mut world = World::new("compact");
        if command == "backup" {
            world = World::new("backup");
        }
        world.command = command;
        let served = Served::new(&world);
        let hidden = served.server.with(|s3| {
            let mut known: BTreeSet<String> = s3.files.keys().cloned().collect();
            let largest = |k: &&String| s3.files[*k].len();
            let dblocks = s3.files.keys().filter(|k| k.contains(".dblock."));
            let hidden = dblocks.max_by_key(largest).unwrap().clone();
            known.remove(&hidden);
            s3.lag = Some((".dblock.", known));
            hidden
        });
        let before = support::contents(&served.folder());
        let what = format!("{command} {more:?} without {hidden}");
        let ran = served.run(more).code(&[100]);
        if ["purge-broken-files", "repair"].contains(&command) {
            let ran = ran.says("the listing does not show it");
            assert_eq!(ran.err.lines().count(), 1, "{what}: {}", ran.all());
        }
        assert_eq!(served.deletes(), [""; 0], "{what}");
        let after = support::contents(&served.folder());
        assert!(before == after || command == "backup", "{what}");
        served.server.with(|s3| s3.lag = None);
        let ran = served.run(&[]);
        assert!(ran.code <= 1, "{what}: {}", ran.all());
    }
}

/// A second index of a volume that will not go keeps its volume: none ever names what is not there.
#[test]
fn a_second_index_that_stays_keeps_its_volume() {
    let world = World::new("compact");
    let served = Served::new(&world);
    served.server.with(|s3| {
        let index = s3.files.keys().find(|k| k.contains(".dindex."));
        let data = s3.files[index.unwrap()].clone();
        let name = format!("f/duplicati-i{}.dindex.zip", "0".repeat(32));
        s3.files.insert(name, data);
    });
    served.server.script("DELETE", "-i0000000000", refusal());
    served.run(&[]).code(&[2]).says("could not be deleted");
    assert!(served.went_wrong());
    let folder = served.folder();
    let verify = ["verify", text(&folder), "all", "--no-cache"];
    world.scratch.run(&verify).code(&[0]);
    served.run(&[]).code(&[0]);
    // Other volumes lost their index before that was known: they go when they are old, or are used again.
    let folder = served.folder();
    let verify = ["verify", text(&folder), "all", "--no-cache"];
    world.scratch.run(&verify).code(&[0]);
    world.restores(&folder, true, "the next run");
}
