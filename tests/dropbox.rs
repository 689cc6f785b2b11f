//! Backups in Dropbox: the program against a stub of the service that checks tokens, hosts, arguments and digests, with rclone
//! beside it. What a good client never asks for would stand in the stub's list of violations.

#![cfg(feature = "dest-dropbox")]
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
/// What rclone does that the documentation does not say.
const RCLONES: &[&str] = &[
    "Dropbox-API-Arg with raw UTF-8",
    "session chunk of no multiple of 4 MiB (allowed; the documentation advises multiples)",
    "request body with Transfer-Encoding: chunked",
];

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

#[test]
fn a_whole_life_with_an_authid() {
    // Short pages, and a token that is over when the next request comes.
    let more = ["--page", "5", "--token-life", "31", "--raw-utf8-header"];
    let stub = Cloud::secure("dropbox", &more);
    let proxy = proxy(&stub);
    let trip = Trip::new("dropbox", PASSPHRASE, &[]);
    let url = stub.url("life/p%C3%A4th%20a%252Bb/x", AUTHID);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        stub.rclone(proxy.address, &["copy", "d:life/p\u{e4}th a+b/x", text(to)]);
    });
    let told = stub.is_content(RCLONES);
    assert_eq!(told["open_sessions"], 0, "{told}");
    assert!(told["requests"]["authid"].as_u64() > Some(5), "{told}");
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = Cloud::secure("dropbox", &["--page", "3", "--raw-utf8-header"]);
    let proxy = proxy(&stub);
    let trip = Trip::new("dropbox", PASSPHRASE, &[]);
    let url = |place: &str| stub.url(&place.replace("%2B", "%252B"), OWN);
    keyed::beside(&trip, &url, &|action, folder, to| {
        let there = format!("d:box/{folder}");
        match action {
            "fetch" => stub.rclone(proxy.address, &["copy", &there, text(to)]),
            _ => stub.rclone(proxy.address, &["copy", text(to), &there]),
        }
        true
    });
    stub.is_content(RCLONES);
}

#[test]
fn long_files_and_broken_lines() {
    let faults = [
        "any:2:503",
        "token:2:503",
        "upload:3:ok-but-lost",
        "upload:5:429/0",
        "append:2:cut@3000000",
        "append:4:ok-but-cut",
        "append:7:ok-but-lost",
        "append:9:401/expired_access_token",
        "start:3:429/text",
        "finish:1:503",
        "finish:3:ok-but-cut",
        "continue:2:cut",
        "continue:4:409/reset",
        "continue:6:empty",
        "stat:2:401/expired_access_token",
        "delete:2:429/too_many_write_operations",
        "download:1:cut@5000000",
        "download:3:503/html",
        "download:5:flip",
    ];
    let more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    for keeps in [&[][..], &["--partial-append"]] {
        let more = [&more[..], keeps, &["--page", "2"]].concat();
        let stub = Cloud::start("dropbox", &more);
        let scratch = Scratch::new("dropbox");
        let url = stub.url("box/d", &format!("{OWN}&dropbox-part-size=4mb"));
        let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
        let data = Rand(4).bytes(14 << 20);
        scratch.run(&["remote", "mkdir", &url]).code(&[0]);
        for (name, data) in [
            (odd, &data[..]),
            ("second", &data[7..9 << 20]),
            ("limit", &data[..4 << 20]),
            ("more", &data[..(4 << 20) + 1]),
            ("empty", b""),
            (odd, &data[1..]),
        ] {
            let from = scratch.at("from");
            fs::write(&from, data).unwrap();
            let ran = scratch.run(&["remote", "put", &url, name, text(&from)]);
            ran.code(&[0]);
            let to = scratch.at("back");
            let _ = fs::remove_file(&to);
            // Nothing but the volumes themselves tells of a byte that was changed on the way.
            let ran = scratch.run(&["remote", "get", &url, name, text(&to)]);
            ran.code(&[0]);
            let got = fs::read(&to).unwrap();
            let wrong = got.iter().zip(data).filter(|(a, b)| a != b).count();
            assert!(got.len() == data.len() && wrong <= 1, "{name}");
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
    }
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let seed = format!("{}:/theirs/sub/x", text(&local));
    let stub = Cloud::start("dropbox", &["--seed", &seed, "--page", "2"]);
    let trip = Trip::new("dropbox", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    let url = stub.url("theirs/sub/x", AUTHID);
    trip.restore(&url, "got", &options).code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
    stub.is_content(&[]);
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("dropbox", &["--quota", "5000000"]);
    let scratch = Scratch::new("dropbox");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(6 << 20)).unwrap();
    let url = stub.url("box", AUTHID);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    put(&url, "f", &small).code(&[0]);
    let revoked = OWN.replace("stub-refresh", "suchkey");
    let stranger = OWN.replace("stub-secret", "nonsense");
    let parts = format!("{url}&dropbox-part-size=4mb");
    for (ran, words) in [
        (list(&stub.url("box", "authid=no%3Asuchkey")), "AuthID"),
        (list(&stub.url("box", "authid=nonsense")), "access denied"),
        (
            list(&stub.url("box", &revoked)),
            "duplet remote login dropbox",
        ),
        (list(&stub.url("box", &stranger)), "--oauth-client-secret"),
        (list(&stub.url("box/f", AUTHID)), "is a file"),
        (put(&stub.url("box/f", AUTHID), "g", &small), "is a file"),
        (put(&url, "desktop.ini", &small), "take the name"),
        (put(&url, "g", &large), "no space left"),
        (put(&parts, "g", &large), "no space left"),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in ["suchkey", "nonsense", "stub-refresh", "sl."] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    list(&stub.url("box", "")).code(&[200]);
    let ran = list(&stub.url("missing", AUTHID)).code(&[100]);
    assert!(ran.err.contains("folder does not exist"), "{}", ran.all());
    let ran = scratch.run(&["remote", "list", &url, "--json"]).code(&[0]);
    assert_eq!(ran.json()["Files"].as_array().unwrap().len(), 1);
    // The wrong secrets, and nothing else.
    let told = stub.told();
    let violations = told["violations"].as_array().unwrap();
    assert!(violations.iter().all(|v| v["op"] == "token"), "{told}");
}

/// 20 000 files in the folder, and a volume of 300 MB, take no more memory than few and small ones.
#[test]
fn many_files_and_a_large_one_in_little_memory() {
    let scratch = Scratch::new("dropbox");
    let many = scratch.folder("many");
    for i in 0..20_000 {
        fs::write(many.join(format!("duplicati-b{i:032x}.dblock.zip")), b"").unwrap();
    }
    let stub = Cloud::start("dropbox", &["--seed", &format!("{}:/many", text(&many))]);
    let url = stub.url("many", OWN);
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    peak(&["remote", "list", &url]);
    let told = stub.told();
    assert_eq!(told["requests"]["continue"], 9, "pages of 2000");
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(300 << 20)
        .unwrap();
    let url = stub.url("box", OWN);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 300 << 20);
    let told = stub.is_content(&[]);
    assert_eq!(told["requests"]["append"], 10, "parts of 32 MiB");
}

/// Killed in the middle of an upload in parts; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("dropbox", &["--fault", "append:2:slow@60"]);
    let trip = Trip::new("dropbox", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(12 << 20)).unwrap();
    let url = stub.url("killed", &format!("{AUTHID}&dropbox-part-size=4mb"));
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let mut child = trip.begin(&url, &[]);
    while stub.told()["requests"]["append"].as_u64().unwrap_or(0) < 2 {
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
