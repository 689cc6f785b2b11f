//! One file of a destination that cannot be read, whatever the reason, costs those who only read no more than what is in it; who
//! changes something does not take it for gone.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;

use std::fs;

use faulty::{Server, Trouble};
use faulty_dav::Dav;
use support::{Ran, Rand, Scratch, names, text, tree};

/// Every attempt at a file fails: more than any run makes here.
const ATTEMPTS: usize = 40;

/// Twenty-four files in a dozen volumes, on a server.
struct World {
    scratch: Scratch,
    server: Server<Dav>,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("unreadable");
        let source = scratch.folder("source");
        let mut rand = Rand(7);
        for n in 0..24 {
            tree::write(&source.join(format!("f{n}")), &rand.bytes(500_000));
        }
        let server = Server::start(|_| Dav::new());
        let world = World { scratch, server };
        let more = [text(&source), "--blocksize=50kb", "--dblock-size=1mb"];
        let more = [&more[..], &["--retry-delay=0s"]].concat();
        world.run("backup", &more).code(&[0]);
        world
    }

    fn run(&self, command: &str, more: &[&str]) -> Ran {
        let url = format!("webdav://{}/d/b", self.server.address);
        let fixed = [
            "--no-encryption",
            "--http-proxy=none",
            "--number-of-retries=1",
        ];
        let fixed = [&fixed[..], &["--retry-delay=0s", "--no-cache"]].concat();
        self.scratch.run(&[&[command, &url], more, &fixed].concat())
    }

    fn restore(&self, to: &str) -> Ran {
        let to = format!("--restore-path={}", text(&self.scratch.at(to)));
        self.run("restore", &[&to])
    }

    /// Names of the volumes of a kind.
    fn volumes(&self, kind: &str) -> Vec<&'static str> {
        let of_kind = |dav: &mut Dav| -> Vec<String> {
            let names = dav.files.keys().filter(|name| name.contains(kind));
            names
                .map(|name| name.rsplit('/').next().unwrap().to_owned())
                .collect()
        };
        let names = self.server.with(of_kind).into_iter();
        names
            .map(|name| &*Box::leak(name.into_boxed_str()))
            .collect()
    }

    /// From now on the server answers so to who wants to read a file.
    fn spoil(&self, name: &'static str, status: u16) {
        for _ in 0..ATTEMPTS {
            let answer = Trouble::Answer(status, vec![], String::new());
            self.server.script("GET", name, answer);
        }
    }

    /// Files of a restore that are whole.
    fn whole(&self, to: &str) -> usize {
        let same = |name: &std::ffi::OsString| {
            let there = fs::read(self.scratch.at("source").join(name));
            there.is_ok_and(|data| data == fs::read(self.scratch.at(to).join(name)).unwrap())
        };
        names(&self.scratch.at(to))
            .iter()
            .filter(|n| same(n))
            .count()
    }
}

#[test]
fn a_data_volume_that_cannot_be_read_costs_its_files_and_no_others() {
    for status in [500, 403] {
        let world = World::new();
        // One of files, not that of their metadata.
        let size = |name: &&str| {
            world.server.with(|dav| {
                dav.files
                    .iter()
                    .find(|f| f.0.ends_with(*name))
                    .unwrap()
                    .1
                    .len()
            })
        };
        let spoilt = world
            .volumes(".dblock.")
            .into_iter()
            .max_by_key(size)
            .unwrap();
        world.spoil(spoilt, status);
        world.restore("to").code(&[3]).says(spoilt);
        let whole = world.whole("to");
        assert!((20..24).contains(&whole), "{whole} of 24 files");
        world
            .run("verify", &["all"])
            .code(&[3])
            .says(spoilt)
            .says("may be whole");
        let copy = world.scratch.at("copy");
        world
            .run("copy", &[text(&copy)])
            .code(&[3])
            .says("left out")
            .says(spoilt);
        let copied = names(&copy);
        assert!(copied.len() > 20 && copied.iter().all(|name| name != spoilt));
    }
}

#[test]
fn a_dry_run_tells_what_it_can_where_a_link_cannot_be_read() {
    let world = World::new();
    let source = world.scratch.at("source");
    std::os::unix::fs::symlink("f0", source.join("link")).unwrap();
    let more = [text(&source), "--blocksize=50kb", "--dblock-size=1mb"];
    world.run("backup", &more).code(&[0]);
    world.restore("to").code(&[0]);
    let to = format!("--restore-path={}", text(&world.scratch.at("to")));
    let dry = |world: &World| world.run("restore", &[&to, "--dry-run"]);
    dry(&world).code(&[0]).says("0 links");
    for name in world.volumes(".dblock.") {
        world.spoil(name, 403);
    }
    dry(&world).code(&[0]).says("would create").says("1 link");
}

#[test]
fn an_index_that_cannot_be_read_costs_nothing_but_time() {
    let world = World::new();
    let spoilt = world.volumes(".dindex.")[2];
    world.spoil(spoilt, 403);
    world.restore("to").code(&[2]).says(spoilt);
    assert_eq!(world.whole("to"), 24);
    world
        .run("verify", &["all"])
        .code(&[3])
        .says(spoilt)
        .says("no file is known to lose data");
}

#[test]
fn who_changes_a_destination_does_not_take_what_cannot_be_read_for_gone() {
    let world = World::new();
    let source = world.scratch.at("source");
    tree::write(&source.join("new"), b"new");
    let (list, index) = (world.volumes(".dlist.")[0], world.volumes(".dindex.")[2]);
    world.spoil(index, 403);
    let before = world.server.with(|dav| dav.files.len());
    let all = ["--dblock-size=1mb", text(&source)];
    world.run("backup", &all).code(&[100]).says(index);
    world.spoil(list, 500);
    for (command, more) in [
        ("backup", &all[..]),
        ("delete", &["--version=0", "--allow-full-removal"]),
        ("repair", &[]),
        ("compact", &[]),
        ("purge", &["f1"]),
        ("purge-broken-files", &[]),
    ] {
        if command != "delete" {
            world.run(command, more).code(&[100]);
        }
        assert_eq!(
            world.server.with(|dav| dav.files.len()),
            before,
            "{command}"
        );
    }
    // The only version there is: that it cannot be read is said, and nothing is restored.
    world.restore("to").code(&[100]).says(list);
}

#[test]
fn a_server_that_gives_no_file_at_all_ends_a_run() {
    let world = World::new();
    for name in world.volumes(".dblock.") {
        world.spoil(name, 500);
    }
    world.run("verify", &["all"]).code(&[100]).says("500");
}
