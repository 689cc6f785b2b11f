//! Backups in Google Cloud Storage: the program against a stub of the service that checks tokens, fields, preconditions and
//! digests, with rclone beside it. What a good client never asks for would stand in the stub's list of violations.

#![cfg(feature = "dest-gcs")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;

use support::servers::cloud_client;
use support::servers::gcs::{Fake, Gcs};
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";

/// Nothing was asked that a good client never asks, and every upload was ended.
fn is_content(stub: &Gcs) {
    let told = stub.told();
    assert_eq!(told["violations"], serde_json::json!([]), "{told}");
    assert_eq!(told["notes"], serde_json::json!({}), "{told}");
    assert_eq!(told["open_sessions"], 0, "{told}");
}

#[test]
fn a_whole_life_with_a_service_account() {
    // Short pages, and a token that runs out at every second request.
    let stub = Gcs::start(&["--page", "5", "--token-life", "32"]);
    let trip = Trip::new("gcs", PASSPHRASE, &[]);
    let url = stub.url("life/p%C3%A4th%20a%2Bb/x");
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        stub.rclone(&["copy", ":gcs:life/p\u{e4}th a+b/x", text(to)]);
    });
    is_content(&stub);
    let told = stub.told();
    assert!(told["requests"]["token"].as_u64() > Some(1), "{told}");
}

/// On fake-gcs-server, which has no log-in, and one thing otherwise than the service's documentation: asked how far an upload is, it
/// ends it. Breaks are therefore the stub's; here every upload comes to its end.
#[test]
fn a_whole_life_on_fake_gcs_server() {
    let Some(fake) = Fake::start() else {
        eprintln!("fake-gcs-server is not installed and not tested: run .ci/prepare.d/gcs");
        return;
    };
    let trip = Trip::new("gcs-fake", PASSPHRASE, &[]);
    let url = fake.url("life/p%C3%A4th%20a%2Bb/x");
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        for entry in fs::read_dir(fake.stored("life/p\u{e4}th a+b/x")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    });
    // Around the length from which files can be gone on with.
    for len in [0, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20 << 20] {
        let (data, from, to) = (Rand(6).bytes(len), trip.at("from"), trip.at("to"));
        fs::write(&from, &data).unwrap();
        let _ = fs::remove_file(&to);
        trip.run(&["remote", "put", &url, text(&from)]).code(&[0]);
        trip.run(&["remote", "get", &url, "from", text(&to)])
            .code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{len}");
        trip.run(&["remote", "delete", &url, "from"]).code(&[0]);
    }
    trip.run(&["remote", "test", &url]).code(&[0]);
    let missing = trip.run(&["remote", "list", &fake.url("missing")]);
    let missing = missing.code(&[100]);
    let words = "bucket does not exist";
    assert!(missing.err.contains(words), "{}", missing.all());
}

#[test]
fn long_files_broken_lines_and_an_authid() {
    let stub = Gcs::start(&[
        "--bucket",
        "box",
        "--fault",
        "upload:1:cut@3000000",
        "--fault",
        "upload:2:503",
        "--fault",
        "upload:4:ok-but-lost",
        "--fault",
        "start:2:429",
        "--fault",
        "download:1:cut@5000000",
        "--fault",
        "list:1:503/html",
        "--fault",
        "list:2:empty",
    ]);
    let scratch = Scratch::new("gcs");
    let login = format!(
        "authid=stubkey%3Astubpass&oauth-url={}/refresh",
        stub.base()
    );
    let url = stub.with("box/d", &login);
    let odd = "a b+c%41 \u{e9}&=~'(1)!#.zip";
    let data = Rand(4).bytes(20 << 20);
    for (name, data) in [
        (odd, &data[..]),
        ("second", &data[7..9 << 20]),
        ("limit", &data[..8 << 20]),
        ("empty", b""),
    ] {
        let from = scratch.at(name);
        fs::write(&from, data).unwrap();
        let ran = scratch.run(&["remote", "put", &url, text(&from)]);
        ran.code(&[0]);
        let to = scratch.at("back");
        let _ = fs::remove_file(&to);
        let ran = scratch.run(&["remote", "get", &url, name, text(&to)]);
        ran.code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{name}");
    }
    let ran = scratch.run(&["remote", "list", &url]);
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.all());
    // The same log-in in a file, as 'remote login' makes it.
    let kept = format!(
        r#"{{"authid":"stubkey:stubpass","oauth_url":"{}/refresh"}}"#,
        stub.base()
    );
    let kept = stub.home.write("token", &kept);
    let by_file = stub.with("box/d", &format!("oauth-token-file={}", text(&kept)));
    let ran = scratch.run(&["remote", "list", &by_file]);
    assert_eq!(ran.out.lines().count(), 4, "{}", ran.all());
    for _ in 0..2 {
        scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    }
    scratch.run(&["remote", "test", &url]).code(&[0]);
    is_content(&stub);
    let told = stub.told();
    assert_eq!(told["faults_fired"].as_array().unwrap().len(), 7, "{told}");
    // The cut upload went on after whole blocks: it was begun once, and asked for.
    assert!(told["requests"]["status"].as_u64() > Some(0), "{told}");
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let seed = format!("{}:theirs/sub/x", text(&local));
    let stub = Gcs::start(&["--seed", &seed, "--page", "2"]);
    let trip = Trip::new("gcs", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    let url = stub.url("theirs/sub/x");
    trip.restore(&url, "got", &options).code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
    is_content(&stub);
}

/// What Google's own client reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_googles_own_client() {
    let token = "theirs";
    let stub = Gcs::start(&["--bucket", "box", "--page", "3", "--static-token", token]);
    let trip = Trip::new("gcs", PASSPHRASE, &[]);
    let base = stub.base();
    keyed::beside(&trip, &|place| stub.url(place), &|action, folder, to| {
        let args = ["gcs", action, &base, "box", folder, text(to)];
        let ran = cloud_client(&args, &[("TOKEN", token)]);
        if !ran {
            eprintln!(
                "Google's client is not installed and checks nothing: run .ci/prepare.d/clients"
            );
        }
        ran
    });
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Gcs::start(&["--bucket", "box", "--retention", "1000"]);
    let scratch = Scratch::new("gcs");
    let from = scratch.at("f");
    fs::write(&from, b"x").unwrap();
    let other = fs::read_to_string(&stub.key)
        .unwrap()
        .replace("0123456789abcdef", "fedcba9876543210");
    let other = stub.home.write("other.json", &other);
    let stranger = stub.with("box", &format!("gcs-service-account-file={}", text(&other)));
    let unknown = format!("authid=no%3Asuchkey&oauth-url={}/refresh", stub.base());
    let url = stub.url("box");
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    scratch
        .run(&["remote", "put", &url, text(&from)])
        .code(&[0]);
    for (ran, words) in [
        (list(&stranger), "key of the service account"),
        (list(&stub.with("box", &unknown)), "AuthID"),
        (list(&stub.with("box", "authid=nonsense")), "access denied"),
        (list(&stub.url("missing")), "bucket does not exist"),
        (
            scratch.run(&["remote", "delete", &url, "f"]),
            "retention policy",
        ),
        (
            scratch.run(&["remote", "put", &url, text(&from)]),
            "retention policy",
        ),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        for secret in ["suchkey", "nonsense", "eyJ", "PRIVATE", "ya29"] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    // By the environment, and where there is none.
    let plain = stub.with("box", "x=1").replace("&x=1", "");
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", text(&stub.key))];
    scratch
        .run_env(&["remote", "list", &plain, "--json"], &env)
        .code(&[0]);
    // An emulator may let everybody in; this one does not.
    let ran = list(&plain).code(&[100]);
    assert!(ran.err.contains("access denied"), "{}", ran.all());
    scratch.run(&["remote", "list", "gcs://box"]).code(&[200]);
    // The wrong key, and nothing else.
    let told = stub.told();
    let violations = told["violations"].as_array().unwrap();
    assert!(violations.iter().all(|v| v["op"] == "token"), "{told}");
}
