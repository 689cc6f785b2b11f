//! A run that is stopped, fails or is killed while it stores something, and what the next run makes of it; two runs at once.
//! No version is ever published on data that is stored nowhere.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faulty::{Server, Trouble};
use faulty_dav::Dav;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, names, text, tree, volumes};

const OPTIONS: [&str; 5] = [
    "--no-encryption",
    "--blocksize=50kb",
    "--dblock-size=1mb",
    "--http-proxy=none",
    "--number-of-retries=3",
];

/// A source with a first version on a server whose faults are to come, and more files that need three volumes.
struct World {
    scratch: Scratch,
    server: Server<Dav>,
    source: PathBuf,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("stops");
        let source = scratch.folder("source");
        tree::write(&source.join("first"), &Rand(5).bytes(200_000));
        let server = Server::start(|_| Dav::new());
        let world = World {
            scratch,
            server,
            source,
        };
        world.backup(&["--retry-delay=0s"]).code(&[0]);
        let mut rand = Rand(6);
        for n in 0..24 {
            tree::write(
                &world.source.join(format!("more {n}")),
                &rand.bytes(100_000),
            );
        }
        world
    }

    fn url(&self) -> String {
        // Uploads that stop are told apart by the names of their volumes.
        let query = "webdav-temporary-names=never";
        format!("webdav://{}/d/b?{query}", self.server.address)
    }

    fn line<'a>(&self, words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        words.iter().chain(&OPTIONS).chain(more).copied().collect()
    }

    fn backup(&self, more: &[&str]) -> Ran {
        let url = self.url();
        let words = ["backup", &url, text(&self.source)];
        self.scratch.run(&self.line(&words, more))
    }

    fn start(&self, more: &[&str]) -> Child {
        let url = self.url();
        let words = ["backup", &url, text(&self.source)];
        self.scratch.start(&self.line(&words, more))
    }

    fn versions(&self) -> usize {
        self.count(".dlist.")
    }

    fn count(&self, part: &str) -> usize {
        self.server
            .with(|dav| dav.files.keys().filter(|n| n.contains(part)).count())
    }

    /// Waits until so many uploads of such a name have come.
    fn await_put(&self, part: &str, times: usize) {
        let puts = || {
            self.server
                .seen(part)
                .iter()
                .filter(|s| s.method == "PUT")
                .count()
        };
        // Two minutes is more than any machine needs; a run that ended without a request fails the test, but never hangs it.
        for _ in 0..24_000 {
            if puts() >= times {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no request {times} for {part}");
    }

    /// The next run against a server that is well stores everything.
    fn heals(&self, what: &str) {
        self.server.state.lock().unwrap().script.clear();
        let url = self.url();
        let verify = ["verify", &url, "all", "--full-remote-verification"];
        self.scratch.run(&self.line(&verify, &[])).code(&[0]);
        self.backup(&["--retry-delay=0s"]).code(&[0]);
        self.scratch
            .run(&self.line(&verify, &["--no-cache"]))
            .code(&[0]);
        let to = self.scratch.at("restored");
        let _ = fs::remove_dir_all(&to);
        let path = format!("--restore-path={}", text(&to));
        let restore = ["restore", &url, &path];
        self.scratch
            .run(&self.line(&restore, &["--restore-permissions"]))
            .code(&[0]);
        same(&take(&self.source), &take(&to), But::default(), what);
        let unindexed = self.count(".dblock.") - self.count(".dindex.");
        assert_eq!(unindexed, 0, "{what}: a volume has no index");
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

fn refusal(status: u16) -> Trouble {
    Trouble::Answer(status, Vec::new(), String::new())
}

#[test]
fn a_stop_while_an_upload_waits_publishes_nothing() {
    for (part, passed, signals) in [
        (".dblock.", 0, 1),
        (".dblock.", 1, 1),
        (".dblock.", 0, 2),
        (".dindex.", 0, 1),
        (".dindex.", 1, 2),
        (".dlist.", 0, 1),
    ] {
        let what = format!("{part} after {passed}, {signals} signals");
        let world = World::new();
        let before = world
            .server
            .seen(part)
            .iter()
            .filter(|s| s.method == "PUT")
            .count();
        for _ in 0..passed {
            world.server.script("PUT", part, Trouble::CloseAfter);
        }
        for _ in 0..20 {
            world.server.script("PUT", part, refusal(503));
        }
        let mut child = world.start(&["--retry-delay=1h"]);
        world.await_put(part, before + passed + 1);
        for name in ["-TERM", "-INT"].iter().take(signals) {
            signal(&child, name);
        }
        assert_eq!(child.wait().unwrap().code(), Some(50), "{what}");
        assert_eq!(world.versions(), 1, "{what}");
        world.heals(&what);
    }
}

/// Volumes of a file that was not read to its end are no version, but they are there.
#[test]
fn a_stop_in_the_middle_of_a_file_tells_what_is_stored() {
    for (held, in_folder) in [(0, false), (2, false), (0, true)] {
        let world = World::new();
        for n in 0..24 {
            fs::remove_file(world.source.join(format!("more {n}"))).unwrap();
        }
        let folder = world.source.join("alone");
        fs::create_dir(&folder).unwrap();
        tree::write(&folder.join("large"), &Rand(7).bytes(8_000_000));
        let before = world.count(".dblock.");
        let seen = world.server.seen(".dblock.");
        let puts = seen.iter().filter(|s| s.method == "PUT").count();
        for _ in 0..held {
            world.server.script("PUT", ".dblock.", Trouble::CloseAfter);
        }
        let free = Arc::new(AtomicBool::new(false));
        let trouble = Trouble::Held(free.clone());
        world.server.script("PUT", ".dblock.", trouble);
        let url = world.url();
        // Alone, for what a version has beside it would be gone. A folder by itself is nothing to restore.
        let large = folder.join("large");
        let what = if in_folder { &folder } else { &large };
        let words = ["backup", &url, text(what), "--prefix=alone"];
        let line = world.line(&words, &["--read-write-timeout=10m"]);
        let child = world.scratch.command(&line).spawn().unwrap();
        world.await_put(".dblock.", puts + held + 1);
        signal(&child, "-INT");
        free.store(true, Ordering::Relaxed);
        let out = child.wait_with_output().unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        assert_eq!(out.status.code(), Some(50), "{said}");
        assert_eq!(world.versions(), 1);
        let stored = world.count(".dblock.") - before;
        assert!(stored > held, "{stored} {said}");
        let volumes = match stored {
            1 => "1 volume".to_owned(),
            n => format!("{n} volumes"),
        };
        let told = said.lines().last().unwrap();
        assert!(told.contains("no version was added"), "{said}");
        assert!(told.ends_with(&format!(" in {volumes}")), "{said}");
        assert!(!said.contains("nothing was written"), "{said}");
        // All of them are used.
        let again = world.scratch.run(&world.line(&words, &["--json"]));
        let new = again.json()["NewDblocks"].as_u64().unwrap();
        assert_eq!(again.code, 0);
        let all = usize::try_from(new).unwrap() + stored;
        assert!(all <= 9, "{new} and {stored} for 8 MB: {}", again.all());
        let verify = ["verify", &url, "all", "--prefix=alone"];
        let line = world.line(&verify, &["--full-remote-verification"]);
        world.scratch.run(&line).code(&[0]);
    }
}

/// What was packed and never sent is not stored.
#[test]
fn a_stop_in_the_middle_of_a_file_counts_only_what_is_stored() {
    let world = World::new();
    let large = world.source.join("large");
    tree::write(&large, &Rand(7).bytes(8_000_000));
    let url = world.url();
    let line = |prefix| {
        let words = ["backup", &url, text(&large), "--json", prefix];
        world.line(&words, &["--read-write-timeout=10m"])
    };
    let counts = |json: &serde_json::Value| {
        ["NewBlocks", "SizeOfNewBlocks"].map(|key| json[key].as_u64().unwrap())
    };
    let whole = world.scratch.run(&line("--prefix=whole")).code(&[0]);
    let seen = world.server.seen(".dblock.");
    let puts = seen.iter().filter(|s| s.method == "PUT").count();
    world.server.script("PUT", ".dblock.", Trouble::CloseAfter);
    let free = Arc::new(AtomicBool::new(false));
    let trouble = Trouble::Held(free.clone());
    world.server.script("PUT", ".dblock.", trouble);
    let mut command = world.scratch.command(&line("--prefix=alone"));
    command.stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    world.await_put(".dblock.", puts + 2);
    signal(&child, "-INT");
    free.store(true, Ordering::Relaxed);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(50));
    let cut = serde_json::from_slice(&out.stdout).unwrap();
    let rest = world.scratch.run(&line("--prefix=alone")).code(&[0]);
    let (cut, rest) = (counts(&cut), counts(&rest.json()));
    assert!(cut[0] > 0 && rest[0] > 0, "{cut:?} {rest:?}");
    let sum = [cut[0] + rest[0], cut[1] + rest[1]];
    assert_eq!(sum, counts(&whole.json()), "{cut:?} {rest:?}");
}

#[test]
fn an_upload_that_fails_for_good_publishes_nothing() {
    for (part, passed, status) in [
        (".dblock.", 0, 507),
        (".dblock.", 2, 413),
        (".dindex.", 0, 507),
        (".dindex.", 1, 403),
        (".dindex.", 2, 503),
        (".dlist.", 0, 507),
        (".dlist.", 0, 500),
    ] {
        let what = format!("{part} after {passed}: {status}");
        let world = World::new();
        for _ in 0..passed {
            world.server.script("PUT", part, Trouble::CloseAfter);
        }
        for _ in 0..20 {
            world.server.script("PUT", part, refusal(status));
        }
        world.backup(&["--retry-delay=0s"]).code(&[100]);
        assert_eq!(world.versions(), 1, "{what}");
        world.heals(&what);
    }
}

#[test]
fn a_stop_after_a_first_one_still_lets_an_upload_be_tried_again() {
    let world = World::new();
    world.server.script("PUT", ".dblock.", Trouble::Stall(None));
    let mut child = world.start(&[
        "--retry-delay=1s",
        "--read-write-timeout=2s",
        "--http-operation-timeout=2s",
    ]);
    let puts = world.server.seen(".dblock.").len();
    world.await_put(".dblock.", puts.max(2));
    signal(&child, "-TERM");
    // The run is asked to stop while an upload is under way: it ends with what is sound, or with nothing.
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(50));
    world.heals("stopped in mid-upload");
}

#[test]
fn a_temporary_file_that_cannot_grow_publishes_nothing() {
    let scratch = Scratch::new("stops-full");
    let source = scratch.folder("source");
    let dest = scratch.at("dest");
    tree::write(&source.join("a"), &Rand(5).bytes(90_000));
    let mut line = vec!["backup", text(&dest), text(&source)];
    line.extend(OPTIONS);
    scratch.run(&line).code(&[0]);
    for n in 0..8 {
        tree::write(&source.join(format!("b{n}")), &Rand(n).bytes(100_000));
    }
    scratch
        .run_within(600, &line)
        .code(&[100])
        .says("cannot write a volume to file:///");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    // Where uploads are slowed down they are copies of temporary files.
    line.push("--throttle-upload=1gb");
    let limited = scratch.run_within(600, &line);
    limited.code(&[100]).says("temporary file");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    scratch.run(&line).code(&[0]);
    let verify = ["verify", text(&dest), "all", "--no-encryption"];
    scratch.run(&verify).code(&[0]);
}

#[test]
fn a_second_run_on_this_machine_is_told_of_the_first() {
    let world = World::new();
    world.server.script("PUT", ".dblock.", Trouble::Stall(None));
    let seen = world
        .server
        .seen(".dblock.")
        .iter()
        .filter(|s| s.method == "PUT")
        .count();
    let mut first = world.start(&["--read-write-timeout=10m"]);
    world.await_put(".dblock.", seen + 1);
    let pid = format!("process {}, since 20", first.id());
    for more in [
        &[][..],
        &["--no-cache"],
        &["--lock-wait=1s"],
        &["--prefix=duplicati"],
    ] {
        world
            .backup(more)
            .code(&[100])
            .says(&pid)
            .says("--lock-wait");
    }
    assert_eq!(world.versions(), 1);
    // What writes nothing, and what writes something else, goes on.
    world
        .backup(&["--prefix=other", "--retry-delay=0s"])
        .code(&[0]);
    world
        .backup(&["--dry-run", "--prefix=duplicati"])
        .code(&[0]);
    let url = world.url();
    world
        .scratch
        .run(&world.line(&["list", &url], &["--prefix=duplicati"]))
        .code(&[0]);
    // A process that dies takes its lock along, and who waits goes on.
    let waiting = world.start(&["--lock-wait=10m", "--prefix=duplicati"]);
    first.kill().unwrap();
    first.wait().unwrap();
    let waited = waiting.wait_with_output().unwrap();
    assert_eq!(waited.status.code(), Some(0));
    assert_eq!(world.versions(), 3);
    assert_eq!(
        names(&world.scratch.at("cache/duplet"))
            .iter()
            .filter(|n| n.to_string_lossy().ends_with(".lock"))
            .count(),
        0
    );
}

#[test]
fn a_cache_folder_that_cannot_be_written_still_keeps_the_second_run_out() {
    let world = World::new();
    world.server.script("PUT", ".dblock.", Trouble::Stall(None));
    let seen = world
        .server
        .seen(".dblock.")
        .iter()
        .filter(|s| s.method == "PUT")
        .count();
    let cache = "--cache-dir=/dev/null/none";
    let mut first = world.start(&["--read-write-timeout=10m", cache]);
    world.await_put(".dblock.", seen + 1);
    world
        .backup(&[cache])
        .code(&[100])
        .says(&format!("process {}", first.id()));
    signal(&first, "-KILL");
    first.wait().unwrap();
    world.backup(&[cache, "--retry-delay=0s"]).code(&[0]);
}

#[test]
fn quick_runs_wait_for_the_clock() {
    let scratch = Scratch::new("stops-quick");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    let line = ["backup", text(&dest), text(&source), "--no-encryption"];
    for n in 1..=5 {
        tree::write(&source.join(format!("f{n}")), b"x");
        scratch.run(&line).code(&[0]);
        assert_eq!(volumes(&dest, "dlist").len(), n);
    }
    scratch.run(&line).code(&[1]);
    let newest = volumes(&dest, "dlist").pop().unwrap();
    assert!(stamp(0) >= stamp_of(&newest), "{newest:?} is in the future");
}

/// Now and so many seconds, as in a dlist's name.
fn stamp(ahead: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + ahead;
    let time = format!("@{now}");
    let out = Command::new("date")
        .args(["-u", "-d", &time, "+%Y%m%dT%H%M%SZ"])
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn stamp_of(dlist: &Path) -> String {
    let name = dlist.file_name().unwrap().to_string_lossy().into_owned();
    name["duplicati-".len()..][..16].to_owned()
}

#[test]
fn a_version_ahead_of_the_clock_is_named_with_the_way_out() {
    for (ahead, refused) in [
        (3, false),
        (7200, true),
        (10 * 86_400, true),
        (2_000_000_000, true),
    ] {
        let scratch = Scratch::new("stops-ahead");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        let line = ["backup", text(&dest), text(&source), "--no-encryption"];
        tree::write(&source.join("f"), b"x");
        scratch.run(&line).code(&[0]);
        let made = volumes(&dest, "dlist").pop().unwrap();
        let name = format!("duplicati-{}.dlist.zip", stamp(ahead));
        fs::rename(made, dest.join(&name)).unwrap();
        tree::write(&source.join("g"), b"x");
        if refused {
            let ran = scratch
                .run(&line)
                .code(&[100])
                .says(&name)
                .says("set the clock");
            ran.says(&format!("remote delete file://{} {name}", text(&dest)));
            scratch
                .run(&["remote", "delete", text(&dest), &name])
                .code(&[0]);
        }
        // The only version is gone then, which has to be meant.
        let again = if refused { "--new-backup" } else { "-q" };
        let [verb, to, from, plain] = line;
        scratch.run(&[verb, to, from, plain, again]).code(&[0]);
        assert_eq!(volumes(&dest, "dlist").len(), if refused { 1 } else { 2 });
        scratch
            .run(&["verify", text(&dest), "all", "--no-encryption"])
            .code(&[0]);
    }
}

/// A destination of a run that was killed: the indexes and versions that `gone` names are not there.
fn cut(scratch: &Scratch, secret: &str, gone: &[&str]) -> (PathBuf, PathBuf) {
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    // One file of several blocklists, others of one and of several blocks.
    tree::write(&source.join("large"), &Rand(3).bytes(1_500_000));
    tree::write(&source.join("small"), &Rand(4).bytes(3000));
    tree::write(&source.join("middle"), &Rand(5).bytes(40_000));
    run(scratch, &source, &dest, secret, &[]).code(&[0]);
    for word in gone {
        for path in volumes(&dest, word) {
            fs::remove_file(path).unwrap();
        }
    }
    // As after a run that was killed: nothing remembers a version that was finished.
    let _ = fs::remove_dir_all(scratch.at("cache"));
    (source, dest)
}

fn run(scratch: &Scratch, source: &Path, dest: &Path, secret: &str, more: &[&str]) -> Ran {
    let mut line = vec!["backup", text(dest), text(source), secret];
    line.extend(["--blocksize=10kb", "--dblock-size=1mb", "--json"]);
    line.extend(more);
    scratch.run(&line)
}

#[test]
fn volumes_without_an_index_are_used_again() {
    for secret in ["--no-encryption", "--passphrase=stops"] {
        for (gone, more, code) in [
            (&["dindex", "dlist"][..], &[][..], 0),
            (&["dindex"], &[], 1),
            (&["dindex", "dlist"], &["--no-cache"], 0),
            (&["dindex", "dlist"], &["--file-hash-algorithm=SHA256"], 0),
        ] {
            let scratch = Scratch::new("stops-adopt");
            let (source, dest) = cut(&scratch, secret, gone);
            let before = volumes(&dest, "dblock");
            let what = format!("{secret} {gone:?} {more:?}");
            let ran = run(&scratch, &source, &dest, secret, more).code(&[code]);
            assert!(ran.json()["NewDblocks"] == 0, "{what}: {}", ran.all());
            assert_eq!(volumes(&dest, "dblock"), before, "{what}");
            assert_eq!(volumes(&dest, "dindex").len(), before.len(), "{what}");
            let verify = [
                "verify",
                text(&dest),
                "all",
                secret,
                "--full-remote-verification",
                "--no-cache",
            ];
            scratch.run(&verify).code(&[0]);
            // The cache that was kept of it is right.
            tree::write(&source.join("new"), &Rand(9).bytes(20_000));
            run(&scratch, &source, &dest, secret, more).code(&[0]);
            scratch.run(&verify).code(&[0]);
            let to = scratch.at("restored");
            let path = format!("--restore-path={}", text(&to));
            scratch
                .run(&[
                    "restore",
                    text(&dest),
                    &path,
                    secret,
                    "--restore-permissions",
                ])
                .code(&[0]);
            same(&take(&source), &take(&to), But::default(), &what);
        }
    }
}

#[test]
fn volumes_without_an_index_that_are_of_no_use_are_left_aside() {
    type Harm = fn(&Path);
    let flip: Harm = |path| {
        let mut data = fs::read(path).unwrap();
        let middle = data.len() / 2;
        data[middle] ^= 1;
        fs::write(path, data).unwrap();
    };
    let shorten: Harm = |path| {
        let data = fs::read(path).unwrap();
        fs::write(path, &data[..data.len() * 2 / 3]).unwrap();
    };
    let empty: Harm = |path| fs::write(path, b"").unwrap();
    for secret in ["--no-encryption", "--passphrase=stops"] {
        for (what, harm) in [("flip", flip), ("shorten", shorten), ("empty", empty)] {
            let scratch = Scratch::new("stops-aside");
            let (source, dest) = cut(&scratch, secret, &["dindex", "dlist"]);
            let volumes_then = volumes(&dest, "dblock");
            volumes_then.iter().for_each(|path| harm(path));
            let ran = run(&scratch, &source, &dest, secret, &[]).code(&[0, 2]);
            assert!(
                ran.json()["NewDblocks"] != 0,
                "{what} {secret}: {}",
                ran.all()
            );
            let to = scratch.at("restored");
            let path = format!("--restore-path={}", text(&to));
            scratch
                .run(&[
                    "restore",
                    text(&dest),
                    &path,
                    secret,
                    "--restore-permissions",
                ])
                .code(&[0]);
            same(&take(&source), &take(&to), But::default(), what);
            // Once looked at, it is not fetched again, though the listing changed.
            tree::write(&source.join("new"), b"n");
            fs::copy(
                &volumes(&dest, "dindex")[0],
                dest.join("duplicati-i00000000000000000000000000000000.dindex.zip"),
            )
            .unwrap();
            if secret == "--no-encryption" {
                let again = run(&scratch, &source, &dest, secret, &[]).code(&[0, 2]);
                let fetched = again.json()["BytesDownloaded"].as_u64().unwrap();
                let bytes: u64 = volumes_then
                    .iter()
                    .map(|p| p.metadata().unwrap().len())
                    .sum();
                assert!(fetched < bytes.max(100_000), "{what}: {}", again.all());
            }
        }
    }
}

#[test]
fn a_plain_volume_among_encrypted_ones_is_not_taken_in() {
    let scratch = Scratch::new("stops-plain");
    let (_, planted) = cut(&scratch, "--no-encryption", &["dindex", "dlist"]);
    let own = Scratch::new("stops-own");
    let (source, dest) = cut(&own, "--passphrase=stops", &[]);
    let indexes = volumes(&dest, "dindex").len();
    for path in volumes(&planted, "dblock") {
        fs::copy(&path, dest.join(path.file_name().unwrap())).unwrap();
    }
    tree::write(&source.join("more"), b"m");
    // Said as an error, for somebody put it there; the version is added all the same.
    let ran = run(&own, &source, &dest, "--passphrase=stops", &[]).code(&[3]);
    assert_eq!(ran.json()["NewDblocks"], 1);
    assert_eq!(volumes(&dest, "dindex").len(), indexes + 1);
    assert!(
        volumes(&dest, "dindex")
            .iter()
            .all(|p| text(p).ends_with(".aes"))
    );
}
