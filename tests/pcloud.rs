//! Backups at pCloud: the program against a stub of the service that checks tokens, ids, links and forms, with rclone beside it. What
//! a good client never asks for would stand in the stub's lists of warnings and refusals.

#![cfg(feature = "dest-pcloud")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_pcloud.rs"]
mod faulty_pcloud;
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
const TOKEN: &str = "authid=stub-token";

fn proxy(stub: &Cloud) -> Forward {
    Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    })
}

/// Nothing was refused but for what these reasons say, and nothing was warned of.
#[track_caller]
fn is_content(stub: &Cloud, refused: &[&str]) -> serde_json::Value {
    let told = stub.refused_only(refused);
    assert_ne!(told["requests"]["list"], serde_json::Value::Null);
    told
}

/// A file with a log-in, as `duplet remote login` makes it.
fn token_file(path: &Path, token: &str) -> String {
    fs::write(path, format!(r#"{{"authid":"{token}"}}"#)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("oauth-token-file={}", path.display())
}

/// Links end before they are used again.
#[test]
fn a_whole_life_with_links_that_end() {
    for more in [
        &["--dl-life", "0.02"][..],
        &["--region", "eu", "--dl-life", "0.02", "--expired", "410"],
    ] {
        let stub = Cloud::start("pcloud", more);
        let trip = Trip::new("pcloud", PASSPHRASE, &[]);
        let login = token_file(&stub.home.at("token"), "stub-token");
        let url = stub.url("life/p%C3%A4th%20a%2Bb/it's", &login);
        keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
            let ran = trip.run(&["remote", "list", &url, "--json"]).code(&[0]);
            for one in ran.json()["Files"].as_array().unwrap() {
                let name = one["Name"].as_str().unwrap();
                let path = to.join(name);
                trip.run(&["remote", "get", &url, name, text(&path)])
                    .code(&[0]);
            }
        });
        let told = is_content(&stub, &["link expired"]);
        let requests = |op: &str| told["requests"][op].as_u64().unwrap_or(0);
        assert!(requests("link") > 5 && requests("download") >= requests("link"));
        assert_ne!(told["trash"], serde_json::json!([]), "as Duplicati does");
        assert_eq!(requests("checksum"), 0, "the reply of an upload tells");
    }
}

/// What rclone reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_rclone() {
    let stub = Cloud::secure("pcloud", &[]);
    let proxy = proxy(&stub);
    let trip = Trip::new("pcloud", PASSPHRASE, &[]);
    let url = |place: &str| stub.url(place, TOKEN);
    keyed::beside(&trip, &url, &|action, folder, to| {
        let there = format!("d:box/{folder}");
        match action {
            "fetch" => stub.rclone(proxy.address, &["copy", &there, text(to)]),
            _ => stub.rclone(proxy.address, &["copy", text(to), &there]),
        }
        true
    });
    let told = stub.told();
    assert_eq!(told["refusals"], serde_json::json!([]), "{told:#}");
    // rclone sends the token to the hosts of contents; its links have names in them, and ours have not.
    for one in told["warnings"].as_array().unwrap() {
        let (request, warning) = (one["request"].as_str().unwrap(), &one["warning"]);
        let is_named = request
            .strip_prefix("GET /L")
            .is_some_and(|r| r.contains('/'));
        assert!(
            is_named && warning == "access token sent to the content host",
            "{told:#}"
        );
    }
}

#[test]
fn broken_lines_and_odd_names() {
    let faults = [
        "mkdir:1:ok-but-drop",
        "mkdir:2:result=5000",
        "list:2:500",
        "list:4:cut",
        "list:6:result=4000",
        "upload:1:up-cut@300000",
        "upload:2:500",
        "upload:4:ok-but-lost",
        "upload:6:ok-but-drop",
        "upload:8:result=5001",
        "upload:10:result=2041",
        "link:1:503/0",
        "link:3:result=5002",
        "download:1:cut@100000",
        "download:3:500",
        "download:5:401",
        "delete:1:500",
        "delete:2:ok-but-drop",
    ];
    let mut more: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    more.extend(["--region", "eu"]);
    let stub = Cloud::start("pcloud", &more);
    let scratch = Scratch::new("pcloud");
    let url = stub.url("box/d", &format!("{TOKEN}&number-of-retries=30"));
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#\".zip";
    let data = Rand(4).bytes(5 << 20);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..2 << 20]),
        ("a", b"small"),
        ("empty", b""),
        (odd, b""),
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
        "5000",
        "5001",
        "5002",
        "4000",
        "2041",
        "2009",
        "request body shorter",
    ];
    let told = is_content(&stub, &allowed);
    let fired = told["faults"].as_array().unwrap().len();
    assert_eq!(fired, faults.len(), "{told:#}");
    assert_eq!(told["folders"].as_array().unwrap().len(), 2, "{told:#}");
    // No piece of what broke was left.
    let files = told["files"].as_array().unwrap();
    let mut names: Vec<_> = files.iter().map(|f| f["path"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["box/d/a", "box/d/empty", "box/d/second"]);
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let stub = Cloud::secure("pcloud", &[]);
    let proxy = proxy(&stub);
    stub.rclone(proxy.address, &["copy", text(&local), "d:theirs/sub/x"]);
    let trip = Trip::new("pcloud", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    trip.restore(&stub.url("theirs/sub/x", TOKEN), "got", &options)
        .code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Cloud::start("pcloud", &["--quota", "3000000"]);
    let scratch = Scratch::new("pcloud");
    let (small, large) = (scratch.at("f"), scratch.at("large"));
    fs::write(&small, b"x").unwrap();
    fs::write(&large, Rand(1).bytes(4 << 20)).unwrap();
    let url = stub.url("box", TOKEN);
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str, name: &str, file| scratch.run(&["remote", "put", url, name, text(file)]);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    put(&url, "f", &small).code(&[0]);
    let file = token_file(&scratch.at("token"), "hunter2");
    for (ran, words) in [
        (list(&stub.url("box", "authid=hunter2")), "not accepted"),
        (list(&stub.url("box", &file)), "eapi.pcloud.com"),
        (put(&url, "g", &large), "no space left"),
        (put(&stub.url("box/f", TOKEN), "g", &small), "is a file"),
        (list(&stub.url("missing", TOKEN)), "folder does not exist"),
        (
            scratch.run(&["remote", "mkdir", &stub.url("box/f", TOKEN)]),
            "a folder of the URL is a file",
        ),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        assert!(
            !ran.err.contains("hunter2") && ran.out.is_empty(),
            "{}",
            ran.all()
        );
    }
    let empty = token_file(&scratch.at("empty"), "");
    for (login, words) in [
        ("", "no access token for pCloud given"),
        ("authid=a%3Ahunter2", "no access token of pCloud"),
        (&empty, "has no access token"),
    ] {
        let ran = list(&stub.url("box", login)).code(&[200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert!(
            !ran.err.contains("hunter2") && ran.out.is_empty(),
            "{}",
            ran.all()
        );
    }
    // Before anything is asked.
    for host in [
        "",
        "x",
        "api.pcloud.com:8443",
        "host:444",
        "c1.pcloud.com",
        "api.pcloud.com.x",
    ] {
        let url = format!("pcloud://{host}/folder?{TOKEN}&http-proxy=none");
        let ran = list(&url).code(&[200]);
        assert!(
            ran.err.contains("pcloud://eapi.pcloud.com"),
            "{}",
            ran.all()
        );
        // Of a right server with a port it is the port that is wrong.
        let said = format!("'{host}' is no server of pCloud");
        assert!(ran.err.contains(&said), "{}", ran.all());
    }
    // What was deleted counts.
    scratch.run(&["remote", "delete", &url, "f"]).code(&[0]);
    let told = is_content(&stub, &["2094", "2008", "2004"]);
    assert_eq!(told["trash"].as_array().unwrap().len(), 1);
    assert_eq!(told["used"], 1);
}

/// A large file, and many files in one reply, take no more memory than little does.
#[test]
fn large_files_and_many_in_little_memory() {
    let scratch = Scratch::new("pcloud");
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    let stub = Cloud::start("pcloud", &["--fault", "download:1:cut@20000000"]);
    let url = stub.url("", TOKEN);
    let large = scratch.at("large");
    let file = fs::File::create(&large).unwrap();
    file.set_len(100 << 20).unwrap();
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 100 << 20);
    let log = fs::read_to_string(stub.home.at("log")).unwrap();
    assert!(
        log.contains("bytes=20000000-"),
        "the rest alone was asked for"
    );
    is_content(&stub, &[]);

    let server = faulty::Server::start(|address| {
        let mut account = faulty_pcloud::PCloud::new(address, |_| Vec::new());
        let folder = account.folder().unwrap();
        for n in 0..20_000 {
            let name = format!("duplicati-b{n:032x}.dblock.zip.aes");
            account.add(&name, folder, Some(b"x".to_vec()));
        }
        account
    });
    let url = format!(
        "pcloud://api.pcloud.com/bkt?pcloud-endpoint=http://{}&{TOKEN}&http-proxy=none",
        server.address
    );
    peak(&["remote", "list", &url]);
    let last = format!("duplicati-b{:032x}.dblock.zip.aes", 19_999);
    let _ = fs::remove_file(&back);
    peak(&["remote", "get", &url, &last, text(&back)]);
    peak(&["remote", "delete", &url, &last]);
    assert_eq!(server.with(|account| account.trash.len()), 1);
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = Cloud::start("pcloud", &["--fault", "upload:2:slow@60"]);
    let trip = Trip::new("pcloud", PASSPHRASE, &[]);
    let sizes = ["--dblock-size=1mb", "--blocksize=64kb"];
    fs::write(trip.source().join("large"), Rand(2).bytes(4 << 20)).unwrap();
    let url = stub.url("killed", TOKEN);
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    let mut child = trip.begin(&url, &sizes);
    while stub.told()["requests"]["upload"].as_u64().unwrap_or(0) < 2 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    trip.backup(&url, &sizes).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &["--no-cache"]);
    trip.verify(&url);
    is_content(&stub, &["request body shorter"]);
}
