//! One built program on the machine, or under the emulator, it is given to: self-test, backup and restore of a tree with one
//! of everything, dates after 2038, a backup that Duplicati wrote; and, for a static program, an empty root with no file but
//! the program, `resolv.conf` and the data, over TLS by host name, with IPv4 and with IPv6 only.
//!
//! Environment: `PROGRAM` (a path; else the one just built, which is not put into an empty root), `RUNNER` (an emulator in
//! front of it, static too). Run by `.ci/portable`. The network part needs root or user namespaces, `ip` and `chroot`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program for developers that fails where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod dns;
#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/faulty_s3.rs"]
mod faulty_s3;
mod net;

use std::fs;
use std::path::{Path, PathBuf};

use support::snapshot::{But, Kind, expected, same, take};
use support::{Ran, Scratch, fixture, text, tree};

/// The program under test and what it runs under.
struct Subject {
    program: PathBuf,
    runner: Option<PathBuf>,
}

fn main() {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let given = var("PROGRAM").map(|p| fs::canonicalize(p).unwrap());
    let subject = Subject {
        program: given
            .clone()
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_duplet").into()),
        runner: var("RUNNER").map(PathBuf::from),
    };
    if let Some(mode) = std::env::args().find(|a| a.starts_with("--net")) {
        net::inside(&subject, mode == "--net6");
        return;
    }
    println!("{}", subject.program.display());
    step("self-test", || subject.self_test());
    step("a tree with one of everything, dates after 2038", || {
        subject.round_trip();
    });
    step("a backup written by Duplicati", || subject.fixture());
    step("time zones, by rule and by file", || subject.zones());
    if given.is_some() {
        step("an empty root, S3 over TLS by host name", || {
            net::outside("--net4");
        });
        step("the same with IPv6 only", || net::outside("--net6"));
    }
}

fn step(name: &str, run: impl FnOnce()) {
    run();
    println!("ok: {name}");
}

impl Subject {
    /// What stands before the arguments.
    fn words(&self) -> Vec<&str> {
        let all = self.runner.iter().chain([&self.program]);
        all.map(|p| text(p)).collect()
    }

    fn run(&self, scratch: &Scratch, args: &[&str]) -> Ran {
        support::finish(scratch.other(&self.words(), args), args)
    }

    fn self_test(&self) {
        let scratch = Scratch::new("portable-self");
        let ran = self
            .run(&scratch, &["system-info", "--self-test"])
            .code(&[0]);
        assert!(ran.out.lines().count() >= 20, "{}", ran.all());
        let ran = self.run(&scratch, &["--version"]).code(&[0]);
        println!("{}", ran.out.trim());
    }

    fn round_trip(&self) {
        let scratch = Scratch::new("portable-tree");
        let source = scratch.folder("source");
        tree::make(&source, 7, 1 << 10);
        for (name, second) in [
            ("before 1970", -86_400_000),
            ("last of 31 bits", (1 << 31) - 1),
            ("after 31 bits", 1 << 31),
            ("2100", 4_102_444_800),
            ("after 32 bits", (1 << 32) + 1),
        ] {
            let path = source.join(name);
            tree::write(&path, name.as_bytes());
            tree::set_time(&path, second, 123_456_700);
        }
        let (dest, to) = (scratch.at("dest"), scratch.at("to"));
        let backup = [
            "backup",
            text(&dest),
            text(&source),
            "--blocksize=1kb",
            "--dblock-size=1mb",
            "--passphrase=correct horse",
        ];
        self.run(&scratch, &backup).code(&[0]);
        // Equal times on a second look, too: nothing is read again.
        self.run(&scratch, &backup).code(&[1]);
        let to_option = format!("--restore-path={}", text(&to));
        let restore = [
            "restore",
            text(&dest),
            &to_option,
            "--restore-permissions",
            "--passphrase=correct horse",
        ];
        self.run(&scratch, &restore).code(&[0]);
        same(&take(&source), &take(&to), But::default(), "the tree");
        let all = ["verify", text(&dest), "all", "--passphrase=correct horse"];
        self.run(&scratch, &all).code(&[0]);
    }

    /// A run on 22 November at 15:27 UTC, as clocks show it.
    fn zones(&self) {
        let scratch = Scratch::new("portable-zones");
        let dest = fixture("plain").join("dest");
        let args = ["delete", text(&dest), "--dry-run", "--keep-time=1D"];
        let file = Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists();
        for (zone, at) in [
            ("XYZ-5:45", "21:12:"),
            ("EST5", "10:27:"),
            ("<+0330>-3:30", "18:57:"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "02:27:"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "16:27:"),
            ("Asia/Tokyo", if file { "00:27:" } else { "15:27:" }),
        ] {
            let mut command = scratch.other(&self.words(), &args);
            command.env("TZ", zone);
            let ran = support::finish(command, &args).code(&[0]);
            assert!(ran.out.contains(&format!(" {at}")), "{zone}: {}", ran.all());
        }
    }

    fn fixture(&self) {
        let scratch = Scratch::new("portable-fixture");
        let name = "four-versions-aes";
        let dest = fixture(name).join("dest");
        for version in 0..4 {
            let to = scratch.at(&format!("version {version}"));
            let (to_option, version_option) = (
                format!("--restore-path={}", text(&to)),
                format!("--version={version}"),
            );
            let args = [
                "restore",
                text(&dest),
                &to_option,
                &version_option,
                "--restore-permissions",
                "--passphrase=correct horse battery staple",
            ];
            self.run(&scratch, &args).code(&[0]);
            let number = (4 - version).to_string();
            let want = expected(name, &number);
            assert!(want.values().any(|n| n.kind == Kind::File));
            same(&want, &take(&to), But::default(), &number);
        }
    }
}

/// All paths below a folder, without what is in the folders named.
fn paths(root: &Path, but: &[&str]) -> Vec<PathBuf> {
    let mut open = vec![root.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for name in support::names(&folder) {
            let path = folder.join(name);
            let rel = path.strip_prefix(root).unwrap();
            if path.is_dir() && !but.iter().any(|b| Path::new(b) == rel) {
                open.push(path.clone());
            }
            found.push(rel.to_path_buf());
        }
    }
    found.sort();
    found
}
