//! Backups at Drime, and restores from FileJump: the program against a stub of the service, with rclone beside it.

#![cfg(feature = "dest-drimecloud")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_drime.rs"]
mod faulty_drime;
#[path = "support/forward.rs"]
mod forward;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faulty::{Server, Trouble};
use faulty_drime::Drime;
use forward::{Forward, Rules};
use support::servers::installed;
use support::servers::tls::{Flaw, Tls};
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const USER: &str = "auth-username=me%40example.org&auth-password=hunter%2F2";

fn stub() -> Server<Drime> {
    Server::start(|_| {
        let mut drime = Drime::new();
        drime.user = Some(("me@example.org".to_owned(), "hunter/2".to_owned()));
        drime
    })
}

fn url(stub: &Server<Drime>, place: &str, query: &str) -> String {
    let at = stub.address;
    format!("{place}?api-url=http://{at}/api/v1&http-proxy=none&retry-delay=0s&{query}")
}

/// Nothing was asked that a good client never asks.
#[track_caller]
fn is_content(stub: &Server<Drime>) {
    assert_eq!(stub.with(|it| it.odd.clone()), [""; 0]);
}

/// rclone, which keeps the service's own name and is led here by a proxy and an authority of our own.
struct Other {
    tls: Tls,
    proxy: Forward,
    scratch: Scratch,
}

impl Other {
    fn of(stub: &Server<Drime>) -> Other {
        let tls = Tls::gathering(stub.address.port());
        let to = ([127, 0, 0, 1], tls.port(Flaw::None)).into();
        let proxy = Forward::start(Rules {
            to: Some(to),
            ..Rules::default()
        });
        stub.with(|it| it.tokens.push("rclones".to_owned()));
        let scratch = Scratch::new("drime-rclone");
        Other {
            tls,
            proxy,
            scratch,
        }
    }

    fn run(&self, args: &[&str]) {
        let conf = self.scratch.at("conf");
        fs::write(
            &conf,
            "[d]\ntype = drime\naccess_token = rclones\nhard_delete = true\nworkspace_id = 0\n",
        )
        .unwrap();
        let done = Command::new(installed("rclone"))
            .arg("--config")
            .arg(&conf)
            .arg("--ca-cert")
            .arg(self.tls.ca())
            .args(args)
            .env("HTTPS_PROXY", format!("http://{}", self.proxy.address))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone {args:?}: {said}");
    }
}

#[test]
fn a_whole_life_with_a_log_in() {
    let stub = stub();
    let other = Other::of(&stub);
    let trip = Trip::new("drime", PASSPHRASE, &[]);
    let place = "drimecloud://life/p%C3%A4th%20a%2Bb/it's";
    let url = url(&stub, place, &format!("page-size=5&{USER}"));
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        other.run(&["copy", "d:life/p\u{e4}th a+b/it's", text(to)]);
    });
    is_content(&stub);
    stub.with(|it| assert!(it.entries.iter().all(|e| !e.deleted), "as Duplicati does"));
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = stub();
    let other = Other::of(&stub);
    let trip = Trip::new("drime", PASSPHRASE, &[]);
    keyed::beside(
        &trip,
        &|place| {
            url(
                &stub,
                &format!("drimecloud://{place}"),
                &format!("page-size=3&{USER}"),
            )
        },
        &|action, folder, to| {
            let there = format!("d:box/{folder}");
            match action {
                "fetch" => other.run(&["copy", &there, text(to)]),
                _ => other.run(&["copy", text(to), &there]),
            }
            true
        },
    );
    is_content(&stub);
}

/// Puts all files of a folder of this machine there.
fn seed(stub: &Server<Drime>, local: &Path) {
    for one in fs::read_dir(local).unwrap() {
        let one = one.unwrap();
        let (name, data) = (
            one.file_name().into_string().unwrap(),
            fs::read(one.path()).unwrap(),
        );
        stub.with(|it| it.add(&name, it.folder("bkt"), Some(data)));
    }
}

/// What Duplicati stored is restored from both services; nothing is written to the one that is closed, whatever the command.
#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let trip = Trip::new("drime", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    let want = take(&trip.at("want"));
    for scheme in ["drimecloud", "filejump"] {
        let stub = stub();
        stub.with(|it| it.is_filejump = scheme == "filejump");
        seed(&stub, &local);
        let url = url(&stub, &format!("{scheme}://bkt"), "api-token=t&page-size=2");
        let got = format!("got-{scheme}");
        trip.restore(&url, &got, &options).code(&[0]);
        same(&want, &take(&trip.at(&got)), But::default(), name);
        is_content(&stub);
        if scheme == "drimecloud" {
            continue;
        }
        let file = trip.at("file");
        fs::write(&file, b"x").unwrap();
        let source = trip.source();
        let before = stub.with(|it| it.entries.len());
        for args in [
            &["backup", &url, text(&source)][..],
            &["delete", &url, "--version=0"],
            &["compact", &url],
            &["repair", &url],
            &["copy", text(&local), &url],
            &["remote", "put", &url, text(&file)],
            &["remote", "delete", &url, "duplicati-x"],
            &["remote", "mkdir", &url],
            &["remote", "test", &url],
        ] {
            let ran = trip.run(&[args, &options].concat());
            assert!(ran.code != 0, "{}", ran.all());
            let sentence = "FileJump closed its interface for programs at the end of 2025";
            assert!(ran.err.contains(sentence), "{}", ran.all());
            assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        }
        assert_eq!(stub.with(|it| it.entries.len()), before);
        let wrote = stub.seen("").iter().any(|s| s.method != "GET");
        assert!(!wrote, "something was sent");
    }
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = stub();
    stub.with(|it| it.space = Some(3_000_000));
    let scratch = Scratch::new("drime");
    let (small, large, long) = (scratch.at("f"), scratch.at("large"), scratch.at("long"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(4 << 20)).unwrap();
    fs::File::create(&long)
        .unwrap()
        .set_len((200 << 20) + 1)
        .unwrap();
    let at = |place: &str, query: &str| url(&stub, &format!("drimecloud://{place}"), query);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |file| scratch.run(&["remote", "put", &at("bkt", USER), text(file)]);
    put(&small).code(&[0]);
    for (ran, words) in [
        (list(&at("bkt", "api-token=veiled")), "--api-token"),
        (
            list(&at("bkt", &USER.replace("hunter", "veiled"))),
            "--auth-password",
        ),
        (list(&at("missing", USER)), "the folder does not exist"),
        (put(&large), "the account has no space left"),
        (put(&long), "200 MiB in one piece"),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in ["veiled", "hunter", "acct-"] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    for (query, words) in [
        ("", "--api-token"),
        (
            "api-token=t&api-url=http://example.org/api/v1",
            "in the clear",
        ),
        ("api-token=t&workspace-id=x", "--workspace-id"),
        ("api-token=t&page-size=0", "--page-size"),
    ] {
        let ran = scratch.run(&["remote", "list", &format!("drimecloud://bkt?{query}")]);
        assert!(ran.code(&[200]).err.contains(words), "{words}");
    }
}

/// 20 000 files in the folder, 50 at once, and a large volume, take no more memory than few and small ones.
#[test]
fn many_files_and_a_large_one_in_little_memory() {
    let scratch = Scratch::new("drime");
    let stub = stub();
    stub.with(|it| {
        let folder = it.folder("bkt");
        for i in 0..20_000 {
            it.add(
                &format!("duplicati-b{i:032x}.dblock.zip"),
                folder,
                Some(Vec::new()),
            );
        }
    });
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    peak(&[
        "remote",
        "list",
        &url(&stub, "drimecloud://bkt", "api-token=t&page-size=50"),
    ]);
    assert_eq!(stub.seen("folderId=").len(), 400);
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    let url = url(&stub, "drimecloud://other", "api-token=t");
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    stub.script("GET", "/download/", Trouble::Cut(60_000_000));
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 100 << 20);
    is_content(&stub);
}

/// Killed in an upload, of which it is not known what became of it; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = stub();
    let trip = Trip::new("drime", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(12 << 20)).unwrap();
    let url = url(&stub, "drimecloud://killed", "api-token=t");
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let go = Arc::new(AtomicBool::new(false));
    stub.script("POST", "/uploads", Trouble::Held(go.clone()));
    let mut child = trip.begin(&url, &[]);
    while stub.seen("/uploads").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    go.store(true, Ordering::Relaxed);
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
    is_content(&stub);
}
