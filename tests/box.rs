//! Backups at Box: the program against a stub of the service that checks tokens, forms, parts and digests, with rclone beside it. What
//! a good client never asks for would stand in the stub's lists of warnings and refusals.

#![cfg(feature = "dest-box")]
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
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use forward::{Forward, Rules};
use support::servers::cloud::Cloud;
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, Scratch, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const AUTHID: &str = "authid=stubkey%3Astubpass";
/// A client that logs in for itself.
const OWN: &str = "oauth-client-id=stub-client&oauth-client-secret=stub-secret&box-user-id=77";
/// What rclone does that the service does not document.
const RCLONES: &[&str] = &[
    "chunked body",
    "content part is named",
    "form parts",
    "new version without attributes",
    "attributes ",
    "access token sent to the download host",
    "client credentials in a Basic header",
];

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

/// Nothing was warned of but what begins so, and nothing refused but for what these codes say.
#[track_caller]
fn is_content(stub: &Cloud, noted: &[&str], refused: &[&str]) -> serde_json::Value {
    let told = stub.told();
    for one in told["warnings"].as_array().unwrap() {
        let warning = one["warning"].as_str().unwrap();
        assert!(noted.iter().any(|n| warning.starts_with(n)), "{told:#}");
    }
    for one in told["refusals"].as_array().unwrap() {
        let reason = one["reason"].as_str().unwrap();
        assert!(refused.iter().any(|r| reason.contains(r)), "{told:#}");
    }
    told
}

/// What has the name is told by a refusal; tokens end; what is looked for is perhaps not there.
const USUAL: &[&str] = &["item_name_in_use", "token unknown or expired"];

#[test]
fn a_whole_life_with_an_authid() {
    // Short pages, and a token that is over when the next request comes.
    let more = ["--page", "20", "--token-life", "31"];
    let stub = Cloud::secure("box", &more);
    let proxy = proxy(&stub);
    let trip = Trip::new("box", PASSPHRASE, &[]);
    let url = stub.url("life/p%C3%A4th%20a%2Bb/it's", AUTHID);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let there = "d:life/p\u{e4}th a+b/it's";
        stub.rclone(proxy.address, &["copy", there, text(to)]);
    });
    let told = is_content(&stub, RCLONES, USUAL);
    assert_eq!(told["open_sessions"], 0, "{told}");
    assert!(told["requests"]["authid"].as_u64() > Some(5), "{told}");
    assert_ne!(told["trash"], serde_json::json!([]), "as Duplicati does");
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = Cloud::secure("box", &["--page", "3", "--lax"]);
    let proxy = proxy(&stub);
    let trip = Trip::new("box", PASSPHRASE, &[]);
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
    is_content(&stub, RCLONES, USUAL);
}

#[test]
fn long_files_and_broken_lines() {
    let faults = [
        "token:2:503",
        "mkdir:1:ok-but-drop",
        "list:2:500",
        "list:4:cut",
        "list:6:401",
        "upload:1:up-cut@300000",
        "upload:2:500",
        "upload:4:ok-but-lost",
        "upload:6:ok-but-drop",
        "session:1:500",
        "part:1:up-cut@3000000",
        "part:2:500",
        "part:3:ok-but-drop",
        "parts:1:500",
        "commit:1:mismatch",
        "commit:2:ok-but-lost",
        "preflight:3:429/0",
        "preflight:5:blocked",
        "preflight:7:reserved",
        "link:1:202",
        "link:3:429/0",
        "download:1:cut@100000",
        "download:3:cut",
        "delete:1:500",
        "delete:2:ok-but-drop",
    ];
    let mut more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    more.extend(["--page", "2", "--commit-202", "1", "--marker-end", "empty"]);
    let stub = Cloud::start("box", &more);
    let scratch = Scratch::new("box");
    let url = stub.url(
        "box/d",
        &format!("{OWN}&box-parts-from=20mb&number-of-retries=30"),
    );
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
    let data = Rand(4).bytes(21 << 20);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..9 << 20]),
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
    let allowed = [
        "range_overlaps",
        "shorter than",
        "trashed",
        "not_found",
        "fault",
        "reserved",
        "blocked",
        "mismatch",
        "upload session",
    ];
    let told = is_content(&stub, &[], &[USUAL, &allowed[..]].concat());
    let fired = told["faults"].as_array().unwrap().len();
    assert!(fired >= faults.len() - 3, "{told:#}");
    assert_eq!(told["open_sessions"], 0, "{told:#}");
    assert_eq!(told["folders"].as_array().unwrap().len(), 2, "{told:#}");
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("box", &["--quota", "3000000"]);
    let scratch = Scratch::new("box");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(4 << 20)).unwrap();
    let url = stub.url("box", AUTHID);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    put(&url, "f", &small).code(&[0]);
    let stranger = OWN.replace("stub-secret", "nonsense");
    for (ran, words) in [
        (list(&stub.url("box", "authid=no%3Aveiled")), "AuthID"),
        (list(&stub.url("box", "authid=nonsense")), "access denied"),
        (list(&stub.url("box", &stranger)), "--oauth-client-secret"),
        (put(&url, "g", &large), "no space left"),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in ["veiled", "nonsense", "stub-refresh", "stub-secret", "at-"] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    let refresh = OWN.replace("box-user-id=77", "oauth-refresh-token=stub-refresh-0");
    for (login, words) in [
        ("", "no log-in for Box given"),
        (&OWN.replace("box-user-id=77", ""), "--box-user-id"),
        (&format!("{OWN}&box-enterprise-id=7"), "--box-enterprise-id"),
        (&refresh, "good for one use"),
    ] {
        let ran = list(&stub.url("box", login)).code(&[200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
    }
    let ran = list(&stub.url("missing", AUTHID)).code(&[100]);
    assert!(ran.err.contains("folder does not exist"), "{}", ran.all());
    // What is deleted counts until it is removed from the trash, too.
    let trashed = |more: &str| {
        let url = stub.url("box", &format!("{AUTHID}{more}"));
        scratch.run(&["remote", "delete", &url, "f"]).code(&[0]);
        stub.told()["trash"].as_array().unwrap().len()
    };
    assert_eq!(trashed(""), 1);
    put(&url, "f", &small).code(&[0]);
    assert_eq!(trashed("&box-delete-from-trash=true"), 1);
}

/// A refresh token is good for one use; the file has the next one after it.
#[test]
fn a_token_file_keeps_each_new_refresh_token() {
    let stub = Cloud::start("box", &[]);
    let scratch = Scratch::new("box");
    let file = scratch.at("log-in");
    let url = format!("{}/oauth2/token", stub.base());
    let log_in = serde_json::json!({
        "client_id": "stub-client", "client_secret": "stub-secret", "refresh_token": "stub-refresh-0", "token_url": url,
    });
    fs::write(&file, log_in.to_string()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = stub.url("", &format!("oauth-token-file={}", text(&file)));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        scratch.run(&["remote", "list", &url]).code(&[0]);
        let kept: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        tokens.push(kept["refresh_token"].as_str().unwrap().to_owned());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
    is_content(&stub, &[], &[]);
}

/// A large file takes no more memory than a small one.
#[test]
fn a_large_file_in_little_memory() {
    let scratch = Scratch::new("box");
    let stub = Cloud::start("box", &["--fault", "part:5:up-cut@1000000"]);
    let url = stub.url("box", OWN);
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    let large = scratch.at("large");
    let file = fs::File::create(&large).unwrap();
    file.set_len(60 << 20).unwrap();
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 60 << 20);
    let told = is_content(&stub, &[], &["shorter than", "item_name_in_use"]);
    assert_eq!(told["requests"]["session"], 1, "the rest alone was sent");
    assert_eq!(told["requests"]["part"], 9, "{told:#}");
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("box", &["--fault", "upload:1:slow@60"]);
    let trip = Trip::new("box", PASSPHRASE, &[]);
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
    assert_eq!(stub.told()["files"], serde_json::json!([]));
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
    is_content(&stub, &[], &["item_name_in_use", "shorter than"]);
}
