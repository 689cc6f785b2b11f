//! Backups at Filen: the program against a stub of the service that checks log-ins, keys, chunks, digests and metadata, with rclone
//! beside it. What a good client never asks for would stand in the stub's lists of warnings and refusals.

#![cfg(feature = "dest-filen")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_filen.rs"]
mod faulty_filen;
#[path = "support/forward.rs"]
mod forward;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::time::Duration;

use faulty::{Server, Service as _};
use faulty_filen::Filen;
use forward::{Forward, Rules};
use support::servers::cloud::Cloud;
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, Scratch, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const LOGIN: &str = "auth-username=stub%40example.com&auth-password=stub-password";
const KEY: &str =
    "auth-username=stub%40example.com&auth-password=stub-password&api-key=stub-api-key";

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

/// Three versions, retention, compaction, restore without the cache, for both kinds of accounts; rclone reads the same files.
fn lives(version: &str, login: &str) {
    // An older master key, where there are such.
    let old = "ab".repeat(32);
    let stub = Cloud::secure("filen", &["--auth-version", version, "--old-key", &old]);
    let proxy = proxy(&stub);
    let trip = Trip::new("filen", PASSPHRASE, &[]);
    let url = stub.url("life/p%C3%A4th%20a%2Bb/it's", login);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let there = "d:life/p\u{e4}th a+b/it's";
        stub.rclone(proxy.address, &["copy", there, text(to)]);
    });
    let told = stub.refused_only(&[]);
    assert_eq!(told["trash"], serde_json::json!([]), "for good");
    assert_eq!(told["open_uploads"], 0, "{told:#}");
}

#[test]
fn a_whole_life_with_a_password() {
    lives("2", LOGIN);
}

#[test]
fn a_whole_life_in_a_newer_account() {
    lives("3", KEY);
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    for (version, names) in [("2", "version"), ("3", "second")] {
        let more = ["--auth-version", version, "--same-name", names];
        let stub = Cloud::secure("filen", &more);
        let proxy = proxy(&stub);
        let trip = Trip::new("filen", PASSPHRASE, &[]);
        let url = |place: &str| stub.url(place, LOGIN);
        keyed::beside(&trip, &url, &|action, folder, to| {
            let there = format!("d:box/{folder}");
            match action {
                "fetch" => stub.rclone(proxy.address, &["copy", &there, text(to)]),
                _ => stub.rclone(proxy.address, &["copy", text(to), &there]),
            }
            true
        });
        stub.refused_only(&[]);
    }
}

#[test]
fn long_files_and_broken_lines() {
    let faults = [
        "authinfo:1:503",
        "login:1:drop",
        "masterkeys:1:cut",
        "base:1:429/0",
        "mkdir:1:ok-but-drop",
        "list:2:500",
        "list:4:cut",
        "list:6:code=internal_error",
        "misc:3:503",
        "upload:1:up-cut@300000",
        "upload:3:500",
        "upload:6:ok-but-lost",
        "upload:9:ok-but-drop",
        "upload:12:code=api_key_not_found",
        "upload:15:429/0",
        "done:1:ok-but-lost",
        "done:3:ok-but-drop",
        "done:4:503",
        "empty:1:ok-but-lost",
        "download:1:cut@100000",
        "download:3:cut",
        "download:5:503",
        "download:7:corrupt",
        "purge:1:500",
        "purge:3:ok-but-drop",
        "lock:2:503",
    ];
    let mut more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    more.extend(["--foreign-lock", "2", "--same-name", "second"]);
    let stub = Cloud::start("filen", &more);
    let scratch = Scratch::new("filen");
    let url = stub.url("box/d", &format!("{LOGIN}&number-of-retries=30"));
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
    let data = Rand(4).bytes((5 << 20) + 17);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..3 << 20]),
        ("a", b"small"),
        ("empty", b""),
        (odd, &data[1..]),
        ("second", b""),
    ] {
        let from = scratch.at("from");
        fs::write(&from, data).unwrap();
        let ran = scratch.run(&["remote", "put", &url, name, text(&from)]);
        ran.code(&[0]);
        let to = scratch.at("back");
        let _ = fs::remove_file(&to);
        let ran = scratch.run(&["remote", "get", &url, name, text(&to)]);
        ran.code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{name}");
    }
    let ran = scratch.run(&["remote", "list", &url]);
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.all());
    for _ in 0..2 {
        scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    }
    scratch.run(&["remote", "test", &url]).code(&[0]);
    let told = stub.refused_only(&[
        "request body shorter",
        "upload_not_found",
        "file_not_found",
        "internal_error",
        "api_key_not_found",
        "uuid_already_exists",
    ]);
    let fired = told["faults"].as_array().unwrap().len();
    assert!(fired >= faults.len() - 3, "{told:#}");
    let left: Vec<_> = told["files"].as_array().unwrap().iter().collect();
    assert_eq!(left.len(), 3, "{told:#}");
    assert_eq!(told["folders"].as_array().unwrap().len(), 2, "{told:#}");
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("filen", &["--quota", "3000000", "--two-factor", "123456"]);
    let scratch = Scratch::new("filen");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(4 << 20)).unwrap();
    let url = stub.url("box", KEY);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    put(&url, "f", &small).code(&[0]);
    let with_code = |code: &str| stub.url("box", &format!("{LOGIN}&two-factor-code={code}"));
    put(&with_code("123456"), "f", &small).code(&[0]);
    for (ran, words) in [
        (list(&stub.url("box", LOGIN)), "--two-factor-code"),
        (list(&with_code("654321")), "not accepted"),
        (
            list(&stub.url("box", &LOGIN.replace("stub-password", "veiled"))),
            "user or password is wrong",
        ),
        (
            list(&stub.url("box", &LOGIN.replace("stub%40", "other%40"))),
            "e-mail address",
        ),
        (
            list(&stub.url("box", &KEY.replace("api-key=stub", "api-key=nonsense"))),
            "API key is not accepted",
        ),
        (
            list(&stub.url("box", &KEY.replace("stub-password", "veiled"))),
            "does not open the keys",
        ),
        (put(&url, "g", &large), "no space left"),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in [
            "veiled",
            "nonsense",
            "stub-password",
            "stub-api-key",
            "654321",
        ] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    for (login, words) in [
        ("", "--auth-username"),
        ("auth-username=a", "--auth-password"),
        ("auth-username=a&api-key=k", "--auth-password"),
    ] {
        let ran = list(&stub.url("box", login)).code(&[200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
    }
    let plain = stub.url("box", LOGIN).replace("127.0.0.1", "example.com");
    let ran = list(&plain).code(&[200]);
    assert!(ran.err.contains("in the clear"), "{}", ran.all());
    for (path, meant) in [
        ("x/../y", "write y in"),
        ("x/./y/", "write x/y in"),
        ("..", "name"),
    ] {
        let ran = list(&stub.url(path, KEY)).code(&[200]);
        assert!(
            ran.err.contains("must not contain . or .."),
            "{}",
            ran.all()
        );
        assert!(ran.err.contains(meant), "{path}: {}", ran.all());
    }
    let ran = list(&stub.url("missing", KEY)).code(&[100]);
    assert!(ran.err.contains("folder does not exist"), "{}", ran.all());
    let trashed = |more: &str| {
        let url = stub.url("box", &format!("{KEY}{more}"));
        scratch.run(&["remote", "delete", &url, "f"]).code(&[0]);
        stub.told()["trash"].as_array().unwrap().len()
    };
    assert_eq!(trashed("&move-to-trash=true"), 1);
    put(&url, "f", &small).code(&[0]);
    assert_eq!(trashed(""), 1);
}

/// A large file takes no more memory than a small one, and what the log-in of a newer account takes is given back.
#[test]
fn a_large_file_in_little_memory() {
    let scratch = Scratch::new("filen");
    let large = scratch.at("large");
    let file = fs::File::create(&large).unwrap();
    file.set_len(60 << 20).unwrap();
    for (version, most) in [("2", 32 << 10), ("3", (64 + 24) << 10)] {
        let more = [
            "--auth-version",
            version,
            "--fault",
            "upload:5:up-cut@1000000",
        ];
        let stub = Cloud::start("filen", &more);
        let url = stub.url("box", LOGIN);
        let peak = |args: &[&str]| {
            let (peak, ended) = support::peak_kib(scratch.start(args));
            assert!(ended.success(), "{args:?}");
            assert!((1000..most).contains(&peak), "{peak} KiB for {args:?}");
        };
        peak(&["remote", "put", &url, text(&large)]);
        let back = scratch.at("back");
        peak(&["remote", "get", &url, "large", text(&back)]);
        assert_eq!(fs::metadata(&back).unwrap().len(), 60 << 20);
        fs::remove_file(back).unwrap();
        let told = stub.refused_only(&["request body shorter"]);
        assert_eq!(told["requests"]["upload"], 61, "the rest alone was sent");
    }
}

/// As many as the table of the ids holds.
#[test]
fn twenty_thousand_files_in_little_memory() {
    let scratch = Scratch::new("filen");
    let server = Server::start(|_| Filen::new("pw"));
    server.with(|account| {
        for i in 0..20_000 {
            account.keep(&format!("duplicati-b{i:032x}.dblock.zip.aes"), b"x");
        }
    });
    let at = server.address;
    let url = format!(
        "filen://bkt?filen-endpoint=http://{at}&auth-username=u&auth-password=pw&http-proxy=none"
    );
    let one = scratch.at("f");
    fs::write(&one, b"x").unwrap();
    for args in [
        &["remote", "list", &url][..],
        &["remote", "put", &url, "new", text(&one)],
    ] {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    }
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("filen", &["--fault", "upload:3:slow@60"]);
    let trip = Trip::new("filen", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(12 << 20)).unwrap();
    let url = stub.url("killed", LOGIN);
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let mut child = trip.begin(&url, &[]);
    while stub.told()["requests"]["upload"].as_u64().unwrap_or(0) < 3 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stub.told()["files"], serde_json::json!([]));
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
    stub.refused_only(&["request body shorter"]);
}
