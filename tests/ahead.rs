//! The next volume is asked for while the last one is worked on: no volume is asked for that is not wanted, none twice, and
//! whatever happens to that request, the run ends as if it had been made when its turn came.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(
    clippy::print_stderr,
    reason = "a test says what it could not do or where to look"
)]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_ftp/mod.rs"]
mod faulty_ftp;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;
#[path = "support/servers/ftp.rs"]
mod ftp;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/servers/ssh.rs"]
mod ssh;
#[path = "ahead/talks.rs"]
mod talks;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use faulty::Trouble;
use faulty_s3::Server;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, text, tree};

const OPTIONS: [&str; 7] = [
    "--passphrase=in the meantime",
    "--retry-delay=0s",
    "--http-proxy=none",
    "--read-write-timeout=2s",
    "--blocksize=64kb",
    "--dblock-size=1mb",
    "--no-cache",
];

/// Files that take some volumes.
fn filled(scratch: &Scratch) -> PathBuf {
    let source = scratch.folder("source");
    let mut rand = Rand(5);
    for n in 0..15 {
        tree::write(&source.join(format!("file {n}")), &rand.bytes(330_000));
    }
    source
}

struct World {
    scratch: Scratch,
    server: Server,
    source: PathBuf,
}

impl World {
    /// A backup of some volumes.
    fn new() -> World {
        let scratch = Scratch::new("ahead");
        let source = filled(&scratch);
        let world = World {
            server: Server::start(),
            scratch,
            source,
        };
        let (url, from) = (world.url(), text(&world.source).to_owned());
        world.run(&["backup", &url, &from]).code(&[0]);
        assert!(world.names().len() >= 5, "{:?}", world.names());
        world
    }

    fn url(&self) -> String {
        format!(
            "s3://bucket/p?s3-server-name={}&use-ssl=false&auth-username=id&auth-password=key",
            self.server.address
        )
    }

    fn run(&self, args: &[&str]) -> Ran {
        let all: Vec<&str> = args.iter().chain(&OPTIONS).copied().collect();
        let ran = self.scratch.run(&all);
        ran.sane();
        assert!(self.scratch.left_in_tmp().is_empty());
        ran
    }

    /// dblocks that are stored.
    fn names(&self) -> Vec<String> {
        let all: Vec<String> = self.server.with(|s3| s3.files.keys().cloned().collect());
        all.into_iter().filter(|n| n.contains(".dblock.")).collect()
    }

    /// How often each dblock was asked for since `from` requests.
    fn asked(&self, from: usize) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for seen in self.server.seen("GET").iter().skip(from) {
            if let Some(at) = seen
                .target
                .find("duplicati-b")
                .filter(|_| seen.target.contains(".dblock."))
            {
                let name = seen.target[at..].split('?').next().unwrap_or("");
                *times.entry(name.to_owned()).or_default() += 1;
            }
        }
        times
    }

    /// Runs this, which needs all volumes: each was asked for once, and came whole.
    fn asks_once_for_all(&self, args: &[&str]) -> Ran {
        let before = self.server.seen("GET").len();
        let volumes = self.names().len();
        let ran = self.run(args).code(&[0]);
        let asked = self.asked(before);
        assert_eq!(asked.len(), volumes, "{args:?}: {asked:?}");
        assert!(asked.values().all(|n| *n == 1), "{args:?}: {asked:?}");
        ran
    }

    fn restore(&self, more: &[&str]) -> Ran {
        let path = format!("--restore-path={}", text(&self.scratch.at("back")));
        self.run(&[&["restore", &self.url(), &path][..], more].concat())
    }

    fn is_restored(&self) {
        let back = self.scratch.at("back");
        same(
            &take(&self.source),
            &take(&back),
            But::default(),
            "restored",
        );
        fs::remove_dir_all(&back).unwrap();
    }
}

#[test]
fn each_volume_is_asked_for_once() {
    let world = World::new();
    let url = world.url();
    let path = format!("--restore-path={}", text(&world.scratch.at("back")));
    let args = ["restore", &url, &path, "--restore-permissions"];
    world.asks_once_for_all(&args);
    world.is_restored();
    world.asks_once_for_all(&["verify", &url, "all"]);
    let copy = format!("file://{}", text(&world.scratch.folder("copy")));
    world.asks_once_for_all(&["copy", &url, &copy]);
    world.run(&["verify", &copy, "all"]).code(&[0]);
    let other = world.url().replace("/p?", "/q?");
    let before = world.server.seen("GET").len();
    world.run(&["copy", &url, &other]).code(&[0]);
    assert!(world.asked(before).values().all(|n| *n == 1));
    world.run(&["verify", &other, "all"]).code(&[0]);
}

/// What is not wanted is not asked for, whatever is next in the listing.
#[test]
fn what_is_not_wanted_is_left_where_it_is() {
    let world = World::new();
    let before = world.server.seen("GET").len();
    world
        .restore(&["--partial-reads=never", "*file 5"])
        .code(&[0, 1, 2]);
    let asked = world.asked(before);
    // Its data may lie in two, and its metadata, which it has in common with files before it, in another.
    assert!(asked.len() <= 3, "{asked:?}");
    assert!(world.names().len() > 3, "of more");
    assert!(asked.values().all(|n| *n == 1), "{asked:?}");
}

#[test]
fn compaction_asks_once_for_what_it_rewrites() {
    let world = World::new();
    let url = world.url();
    // A third of each, so that each is read whole.
    for n in [0, 3, 6, 9, 12] {
        fs::remove_file(world.source.join(format!("file {n}"))).unwrap();
    }
    let from = text(&world.source).to_owned();
    let keep = ["--keep-versions=1", "--no-auto-compact"];
    world
        .run(&[&["backup", &url, &from][..], &keep].concat())
        .code(&[0]);
    let (before, old) = (world.server.seen("GET").len(), world.names());
    world.run(&["compact", &url, "--threshold=5"]).code(&[0]);
    let asked = world.asked(before);
    assert!(asked.len() >= 2, "{asked:?} of {old:?}");
    assert!(asked.values().all(|n| *n == 1), "{asked:?}");
    world.run(&["verify", &url, "all"]).code(&[0]);
    let path = format!("--restore-path={}", text(&world.scratch.at("back")));
    let args = ["restore", &url, &path, "--restore-permissions"];
    world.run(&args).code(&[0]);
    world.is_restored();
}

/// The second volume is the first that is asked for ahead.
#[test]
fn whatever_happens_to_what_was_asked_for_it_ends_the_same() {
    let answer = |status| Trouble::Answer(status, Vec::new(), String::new());
    for (what, trouble) in [
        ("cut", Trouble::Cut(300_000)),
        ("nothing", Trouble::Cut(0)),
        ("cut without a length", Trouble::CutOpen(300_000)),
        ("closed", Trouble::Close),
        ("silent in the middle", Trouble::Stall(Some(100_000))),
        ("another length", Trouble::Length(1000)),
        ("slow", Trouble::Slow),
        ("busy", answer(503)),
        ("gone for a moment", answer(404)),
        ("ends", Trouble::CloseAfter),
    ] {
        let world = World::new();
        world
            .server
            .script("GET", ".dblock.", Trouble::More(Vec::new()));
        world.server.script("GET", ".dblock.", trouble);
        let ran = world.restore(&["--restore-permissions"]);
        assert_eq!(ran.code, 0, "{what}: {}", ran.all());
        world.is_restored();
    }
    let world = World::new();
    world
        .server
        .script("GET", ".dblock.", Trouble::More(Vec::new()));
    world.server.script("GET", ".dblock.", answer(403));
    let ran = world.restore(&[]);
    // What only this one file is refused for costs no other.
    assert_eq!(ran.code, 3, "{}", ran.all());
    assert!(
        ran.all().contains("cannot download duplicati-b"),
        "{}",
        ran.all()
    );
}

/// A run that is killed between two volumes leaves nothing, and the next one has no trouble with it.
#[test]
fn a_run_that_is_killed_is_as_one_that_never_was() {
    let world = World::new();
    let before = world.server.seen("GET").len();
    let path = format!("--restore-path={}", text(&world.scratch.at("back")));
    for volumes in 1..4 {
        world
            .server
            .script("GET", ".dblock.", Trouble::More(Vec::new()));
        let url = world.url();
        let args = [
            "restore",
            &url,
            &path,
            "--restore-permissions",
            "--overwrite",
        ];
        let all: Vec<&str> = args.iter().chain(&OPTIONS).copied().collect();
        let since = world.server.seen("GET").len().max(before);
        let mut child = world.scratch.start(&all);
        while world.asked(since).len() < volumes && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).map_or(1, Iterator::count);
        assert!(tasks <= 1, "one thread");
        let _ = child.kill();
        child.wait().unwrap();
        assert!(world.scratch.left_in_tmp().is_empty());
    }
    world
        .run(&[
            "restore",
            &world.url(),
            &path,
            "--restore-permissions",
            "--overwrite",
        ])
        .code(&[0]);
    let back = world.scratch.at("back");
    let left: Vec<_> = fs::read_dir(&back).unwrap().flatten().collect();
    let left = left.iter().map(|e| e.file_name());
    let hidden: Vec<_> = left
        .filter(|n| n.to_string_lossy().starts_with('.'))
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    world.is_restored();
}
