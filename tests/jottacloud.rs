//! Backups in Jottacloud: the program against a stub of the service that checks tokens, hosts, lengths and digests, with rclone
//! beside it. What a good client never asks for would stand in the stub's warnings.

#![cfg(feature = "dest-jottacloud")]
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
use std::path::Path;
use std::time::Duration;

use forward::{Forward, Rules};
use support::servers::cloud::Cloud;
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const AUTHID: &str = "authid=stubkey%3Astubpass";
/// What is asked although it may not be there, or may have run out.
const EXPECTED: &[&str] = &[
    "token unknown or expired",
    "NoSuchPathException",
    "BadCredentialsException",
];

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

/// A file with a log-in, as `duplet remote login` makes it.
fn token_file(path: &Path, token: &str) -> String {
    let content = format!(r#"{{"client_id":"jottacli","refresh_token":"{token}"}}"#);
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("oauth-token-file={}", path.display())
}

/// Each run gets a token for a refresh token that is good for this once.
#[test]
fn a_whole_life_with_a_log_in_that_is_replaced_with_each_use() {
    let stub = Cloud::secure("jottacloud", &["--token-life", "31"]);
    let trip = Trip::new("jottacloud", PASSPHRASE, &[]);
    let file = stub.home.at("token");
    let login = token_file(&file, "stub-refresh-0");
    let url = stub.url("life/p%C3%A4th%20a%2Bb/x", &login);
    // Another client would need this log-in, too.
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let ran = trip.run(&["remote", "list", &url, "--json"]).code(&[0]);
        for one in ran.json()["Files"].as_array().unwrap() {
            let name = one["Name"].as_str().unwrap();
            let path = to.join(name);
            trip.run(&["remote", "get", &url, name, text(&path)])
                .code(&[0]);
        }
    });
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.contains("rt-") && !kept.contains("stub-refresh-0"));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let told = stub.refused_only(EXPECTED);
    assert!(told["requests"]["token"].as_u64() > Some(5), "{told:#}");
    assert_eq!(
        (&told["open_uploads"], &told["broken"]),
        (&0.into(), &serde_json::json!([]))
    );
    assert_eq!(
        told["trash"],
        serde_json::json!([]),
        "nothing is left that counts"
    );
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = Cloud::secure("jottacloud", &[]);
    let proxy = proxy(&stub);
    let trip = Trip::new("jottacloud", PASSPHRASE, &[]);
    let url = |place: &str| stub.url(place, AUTHID);
    keyed::beside(&trip, &url, &|action, folder, to| {
        let there = format!("d:box/{folder}");
        match action {
            "fetch" => stub.rclone(proxy.address, &["copy", &there, text(to)]),
            _ => stub.rclone(proxy.address, &["copy", text(to), &there]),
        }
        true
    });
    stub.refused_only(EXPECTED);
}

#[test]
fn long_files_and_broken_lines() {
    let faults = [
        "any:2:503",
        "userinfo:2:503",
        "allocate:2:ok-but-lost",
        "allocate:4:429/0",
        "allocate:6:500",
        "upload:1:up-cut@3000000",
        "upload:3:ok-but-lost",
        "upload:5:ok-but-drop",
        "upload:7:401",
        "list:2:cut",
        "list:4:503",
        "delete:1:503",
        "download:1:cut@5000000",
        "download:3:503",
    ];
    let more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let stub = Cloud::start("jottacloud", &more);
    let scratch = Scratch::new("jottacloud");
    let url = stub.url("box/d", AUTHID);
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
    let data = Rand(4).bytes(14 << 20);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..9 << 20]),
        ("again", &data[7..9 << 20]),
        ("empty", b""),
        ("one", b"1"),
        (odd, &data[1..]),
    ] {
        let from = scratch.at("from");
        fs::write(&from, data).unwrap();
        scratch
            .run(&["remote", "put", &url, name, text(&from)])
            .code(&[0]);
        let to = scratch.at("back");
        let _ = fs::remove_file(&to);
        scratch
            .run(&["remote", "get", &url, name, text(&to)])
            .code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{name}");
    }
    let ran = scratch.run(&["remote", "list", &url]);
    assert_eq!(ran.out.lines().count(), 5, "{}", ran.all());
    for _ in 0..2 {
        scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    }
    scratch.run(&["remote", "test", &url]).code(&[0]);
    let provoked = [EXPECTED, &["OpenApiException fault"]].concat();
    let told = stub.refused_only(&provoked);
    let fired = told["faults"].as_array().unwrap().len();
    assert!(fired + 1 >= faults.len(), "{told:#}");
    assert_eq!(told["open_uploads"], 0, "{told:#}");
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let stub = Cloud::secure("jottacloud", &[]);
    let proxy = proxy(&stub);
    stub.rclone(proxy.address, &["copy", text(&local), "d:theirs/sub/x"]);
    let trip = Trip::new("jottacloud", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    trip.restore(&stub.url("theirs/sub/x", AUTHID), "got", &options)
        .code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("jottacloud", &["--quota", "5000000"]);
    let scratch = Scratch::new("jottacloud");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(6 << 20)).unwrap();
    let url = stub.url("box", AUTHID);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    put(&url, "f", &small).code(&[0]);
    let used = token_file(&scratch.at("token"), "hunter2");
    for (ran, words) in [
        (list(&stub.url("box", "authid=no%3Ahunter2")), "AuthID"),
        (list(&stub.url("box", "authid=nonsense")), "access denied"),
        (
            list(&stub.url("box", &used)),
            "duplet remote login jottacloud",
        ),
        (list(&stub.url("box/f", AUTHID)), "is a file"),
        (put(&stub.url("box/f", AUTHID), "g", &small), "is a file"),
        (put(&url, "a:b", &small), "take the name"),
        (put(&url, "g", &large), "no space left"),
        (list(&stub.url("missing", AUTHID)), "folder does not exist"),
        (
            list(&format!("{url}&jottacloud-device=none")),
            "folder does not exist",
        ),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        for secret in ["hunter2", "nonsense", "stubpass", "at-"] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    list(&stub.url("box", "")).code(&[200]);
    let ran = list(&stub.url(
        "box",
        "oauth-client-id=jottacli&oauth-refresh-token=hunter2",
    ));
    assert!(ran.code(&[200]).err.contains("good for one use"));
    // Another device is made with the folder.
    let other = format!("{url}&jottacloud-device=Nas%201");
    scratch.run(&["remote", "mkdir", &other]).code(&[0]);
    put(&other, "f", &small).code(&[0]);
    let told = stub.told();
    let there = told["files"].to_string();
    assert!(there.contains("\"Nas 1/Duplicati/box/f\""), "{there}");
    assert!(there.contains("\"Jotta/Archive/box/f\""), "{there}");
    let warnings = &told["warnings"];
    assert_eq!(warnings, &serde_json::json!([]), "{told:#}");
}

/// A log-in by a personal login token: once, into a file that is good from then on.
#[test]
fn a_log_in_by_a_personal_login_token() {
    let stub = Cloud::start("jottacloud", &[]);
    let scratch = Scratch::new("jottacloud");
    let log = fs::read_to_string(stub.home.at("log")).unwrap();
    let token = log.split("personal login token: ").nth(1).unwrap();
    let token = token.lines().next().unwrap().trim();
    let parameters = scratch.at("parameters");
    let file = scratch.at("token");
    let login = |token: &str| {
        fs::write(&parameters, format!("--oauth-login-token={token}\n")).unwrap();
        fs::set_permissions(&parameters, fs::Permissions::from_mode(0o600)).unwrap();
        let at = format!(
            "--oauth-token-url={}/auth/realms/jottacloud/protocol/openid-connect/token",
            stub.base()
        );
        scratch.run(&[
            "remote",
            "login",
            "jottacloud",
            &at,
            "--http-proxy=none",
            &format!("--oauth-token-file={}", file.display()),
            &format!("--parameters-file={}", parameters.display()),
        ])
    };
    let ran = login("bm9uc2Vuc2U").code(&[200]);
    assert!(ran.err.contains("--oauth-login-token"), "{}", ran.all());
    assert!(!file.exists());
    login(token).code(&[0]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let url = stub.url("box", &format!("oauth-token-file={}", file.display()));
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    scratch.run(&["remote", "list", &url]).code(&[0]);
    // It is good for one use.
    let ran = login(token).code(&[100]);
    assert!(!ran.all().contains(token), "{}", ran.all());
    assert!(!ran.all().contains("stub-login"), "{}", ran.all());
    scratch.run(&["remote", "list", &url]).code(&[0]);
}

/// A volume of 150 MB takes no more memory than a small one.
#[test]
fn a_large_file_in_little_memory() {
    let scratch = Scratch::new("jottacloud");
    let stub = Cloud::start("jottacloud", &[]);
    let url = stub.url("box", AUTHID);
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(150 << 20)
        .unwrap();
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 150 << 20);
    stub.refused_only(EXPECTED);
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("jottacloud", &["--fault", "upload:2:slow@60"]);
    let trip = Trip::new("jottacloud", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(4 << 20)).unwrap();
    let url = stub.url("killed", AUTHID);
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let mut child = trip.begin(&url, &[]);
    while stub.told()["requests"]["upload"].as_u64().unwrap_or(0) < 2 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
    stub.refused_only(EXPECTED);
}
