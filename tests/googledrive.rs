//! Backups in Google Drive: the program against a stub of the service that checks tokens, fields, searches and uploads, with rclone
//! beside it. What a good client never asks for would stand in the stub's list of violations.

#![cfg(feature = "dest-googledrive")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/forward.rs"]
mod forward;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::time::Duration;

use forward::{Forward, Rules};
use support::servers::cloud::{Cloud, OWN};
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const AUTHID: &str = "authid=stubkey%3Astubpass";
/// What rclone does that is allowed, but worth a look.
const RCLONES: &[&str] = &["request body with Transfer-Encoding: chunked"];

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

#[test]
fn a_whole_life_with_an_authid() {
    // Short pages, and a token that is over when the next request comes.
    let stub = Cloud::secure("gdrive", &["--page", "5", "--token-life", "31"]);
    let proxy = proxy(&stub);
    let trip = Trip::new("googledrive", PASSPHRASE, &[]);
    let url = stub.url("life/p%C3%A4th%20a%2Bb/it's", AUTHID);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let there = "d:life/p\u{e4}th a+b/it's";
        stub.rclone(proxy.address, &["copy", there, text(to)]);
    });
    let told = stub.is_content(RCLONES);
    assert_eq!(told["open_sessions"], 0, "{told}");
    assert!(told["requests"]["authid"].as_u64() > Some(5), "{told}");
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = Cloud::secure("gdrive", &["--page", "3"]);
    let proxy = proxy(&stub);
    let trip = Trip::new("googledrive", PASSPHRASE, &[]);
    keyed::beside(
        &trip,
        &|place| stub.url(place, OWN),
        &|action, folder, to| {
            let there = format!("d:box/{folder}");
            match action {
                "fetch" => stub.rclone(proxy.address, &["copy", &there, text(to)]),
                _ => stub.rclone(proxy.address, &["copy", text(to), &there]),
            }
            true
        },
    );
    stub.is_content(RCLONES);
}

#[test]
fn long_files_and_broken_lines() {
    let faults = [
        "any:3:503",
        "token:2:503",
        "generateids:1:429/0",
        "create:1:ok-but-cut",
        "create:2:503",
        "start:2:429",
        "start:4:ok-but-cut",
        "start:6:403/userRateLimitExceeded",
        "upload:1:cut@3000000",
        "upload:2:503",
        "upload:4:ok-but-lost",
        "upload:6:ok-but-cut",
        "status:1:503",
        "list:4:503/html",
        "list:7:empty",
        "list:9:cut",
        "list:12:403/rateLimitExceeded",
        "list:15:401",
        "delete:1:503",
        "delete:3:ok-but-cut",
        "download:1:cut@5000000",
        "download:3:401",
    ];
    let more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let stub = Cloud::start("gdrive", &[&more[..], &["--page", "2"]].concat());
    let scratch = Scratch::new("googledrive");
    let url = stub.url("box/d", OWN);
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
    let data = Rand(4).bytes(14 << 20);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..9 << 20]),
        ("A", &data[..1]),
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
    assert_eq!(ran.out.lines().count(), 5, "{}", ran.all());
    for _ in 0..2 {
        scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    }
    scratch.run(&["remote", "test", &url]).code(&[0]);
    let told = stub.is_content(&[]);
    let fired = told["faults_fired"].as_array().unwrap().len();
    assert!(fired >= faults.len() - 2, "{told:#}");
    assert!(told["requests"]["status"].as_u64() > Some(0), "{told}");
    let folders = told["folders"].as_array().unwrap();
    assert_eq!(folders.len(), 3, "{told:#}");
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let seed = format!("{}:theirs/sub/x", text(&local));
    let stub = Cloud::start("gdrive", &["--seed", &seed, "--page", "2"]);
    let trip = Trip::new("googledrive", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    let url = stub.url("theirs/sub/x", AUTHID);
    trip.restore(&url, "got", &options).code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
    stub.is_content(&[]);
    // A log-in that shows what its own program has made: nothing of it is there.
    let scope = ["--seed", &seed, "--scope", "drive.file"];
    let stub = Cloud::start("gdrive", &scope);
    let ran = trip.run(&["list", &stub.url("theirs/sub/x", AUTHID), options[0]]);
    let ran = ran.code(&[100]);
    assert!(ran.err.contains("duplet help googledrive"), "{}", ran.all());
    stub.is_content(&[]);
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("gdrive", &["--quota", "3000000"]);
    let scratch = Scratch::new("googledrive");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(4 << 20)).unwrap();
    let url = stub.url("box", AUTHID);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    put(&url, "f", &small).code(&[0]);
    let revoked = OWN.replace("stub-refresh", "suchkey");
    let stranger = OWN.replace("stub-secret", "nonsense");
    let team = stub.url("box", &format!("{AUTHID}&googledrive-teamdrive-id=0SD"));
    for (ran, words) in [
        (list(&stub.url("box", "authid=no%3Asuchkey")), "AuthID"),
        (list(&stub.url("box", "authid=nonsense")), "access denied"),
        (
            list(&stub.url("box", &revoked)),
            "duplet remote login googledrive",
        ),
        (list(&stub.url("box", &stranger)), "--oauth-client-secret"),
        (list(&team), "the shared drive is not"),
        (put(&url, "g", &large), "no space left"),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in ["suchkey", "nonsense", "stub-refresh", "ya29"] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    list(&stub.url("box", "")).code(&[200]);
    let ran = list(&stub.url("missing", AUTHID)).code(&[100]);
    assert!(ran.err.contains("folder does not exist"), "{}", ran.all());
    // A clock that is wrong does not matter.
    for off in ["+1h", "-1h"] {
        let program = env!("CARGO_BIN_EXE_duplet");
        let words = ["faketime", "-f", off, program];
        let args = ["remote", "list", &url, "--json"];
        support::finish(scratch.other(&words, &args), &args).code(&[0]);
    }
    // The wrong secrets, and nothing else.
    let told = stub.told();
    let violations = told["violations"].as_array().unwrap();
    assert!(violations.iter().all(|v| v["op"] == "token"), "{told}");
}

#[test]
fn shared_drives_other_addresses_and_files_taken_for_malware() {
    let stub = Cloud::start(
        "gdrive",
        &["--shared-drive", "0SD:Team:nodelete", "--abusive", "f"],
    );
    let scratch = Scratch::new("googledrive");
    let from = scratch.at("f");
    fs::write(&from, b"content").unwrap();
    let url = stub.url("a/b", &format!("{OWN}&googledrive-teamdrive-id=0SD"));
    scratch
        .run(&["remote", "put", &url, text(&from)])
        .code(&[0]);
    let ran = scratch.run(&["remote", "get", &url, "f", "-"]);
    assert_eq!(ran.code(&[0]).out, "content");
    let ran = scratch.run(&["remote", "delete", &url, "f"]);
    ran.code(&[0]).says("only go to the trash");
    scratch.run(&["remote", "test", &url]).code(&[0]);
    let ran = scratch.run(&["remote", "list", &url]).code(&[0]);
    assert_eq!(ran.out, "", "what is in the trash is not listed");
    let told = stub.is_content(&[]);
    assert_eq!(told["files"][0]["trashed"], true, "{told:#}");
    // The content comes from another address, which is given no log-in.
    let port = support::servers::free_port();
    let there = format!("http://localhost:{port}");
    let stub = Cloud::start_at("gdrive", port, &["--redirect-download", &there]);
    let url = stub.url("a", AUTHID);
    scratch
        .run(&["remote", "put", &url, text(&from)])
        .code(&[0]);
    let ran = scratch.run(&["remote", "get", &url, "f", "-"]);
    assert_eq!(ran.code(&[0]).out, "content");
    let told = stub.is_content(&[]);
    assert_eq!(told["requests"]["signed"], 1, "{told:#}");
}

/// 20 000 files in the folder, and a large volume, take no more memory than few and small ones.
#[test]
fn many_files_and_a_large_one_in_little_memory() {
    let scratch = Scratch::new("googledrive");
    let many = scratch.folder("many");
    for i in 0..20_000 {
        fs::write(many.join(format!("duplicati-b{i:032x}.dblock.zip")), b"").unwrap();
    }
    let seed = format!("{}:many", text(&many));
    let stub = Cloud::start(
        "gdrive",
        &["--seed", &seed, "--fault", "upload:1:cut@60000000"],
    );
    let url = stub.url("many", OWN);
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    peak(&["remote", "list", &url]);
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    let url = stub.url("box", OWN);
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 100 << 20);
    let told = stub.is_content(&[]);
    assert_eq!(
        told["requests"]["start"], 1,
        "the rest alone was sent after a break"
    );
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("gdrive", &["--fault", "upload:1:slow@60"]);
    let trip = Trip::new("googledrive", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(12 << 20)).unwrap();
    let url = stub.url("killed", AUTHID);
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let mut child = trip.begin(&url, &[]);
    while stub.told()["requests"]["upload"].as_u64().unwrap_or(0) < 1 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told = stub.told();
    assert_eq!(
        (&told["files"], &told["open_sessions"]),
        (&serde_json::json!([]), &1.into())
    );
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
    stub.is_content(&[]);
}
