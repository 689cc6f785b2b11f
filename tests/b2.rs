//! Backups in Backblaze B2: the program against Backblaze's own simulator, with rclone as a second client.

#![cfg(feature = "dest-b2")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail where it stands, and says what it measured"
)]

#[path = "support/servers/b2.rs"]
mod server;
mod support;

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::servers::b2::Server;
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, Scratch, names, text, tree};

const PLAIN: &str = "--no-encryption";
const SIZES: [&str; 2] = ["--blocksize=64kb", "--dblock-size=1mb"];

struct Bench {
    server: Server,
    trip: Trip,
    url: String,
}

impl Deref for Bench {
    type Target = Trip;

    fn deref(&self) -> &Trip {
        &self.trip
    }
}

/// With a key for one folder that may do no more than it must.
fn bench(more: &str) -> Bench {
    let server = Server::start();
    server.bucket("bkt");
    let rights = ["listFiles", "readFiles", "writeFiles", "deleteFiles"];
    let key = server.key(&json!({ "bucket": "bkt", "prefix": "p/", "capabilities": rights }));
    Bench {
        url: server.url(&key, "bkt/p/x", &format!("&retry-delay=0s{more}")),
        server,
        trip: Trip::new("b2", PLAIN, &SIZES),
    }
}

impl Bench {
    /// The tree to back up: made, with `DUPLET_TEST_TREE` a copy of that folder.
    fn made(&self, mib: usize) -> PathBuf {
        let source = self.source();
        if self.given_tree() {
            return source;
        }
        tree::make(&source, 5, 1 << 16);
        let mut rand = Rand(9);
        for i in 0..mib {
            tree::write(&source.join(format!("bulk{i}")), &rand.bytes(1 << 20));
        }
        source
    }

    /// A backup of the source in small volumes; its report.
    fn report(&self, code: i32) -> Value {
        let ran = self.backup(&self.url, &["--json"]).code(&[code]);
        assert!(!ran.err.contains("K00"), "{}", ran.all());
        ran.json()
    }

    fn test(&self, more: &[&str]) {
        let args = ["test", &self.url, "all", "--no-cache"];
        let ran = self.run(&[&args[..], more].concat()).code(&[0]);
        assert!(!ran.err.contains("K00"), "{}", ran.all());
    }

    /// Every listed file has one version, and it is no hide marker.
    fn nothing_twice(&self) {
        let state = self.server.state();
        for (name, versions) in state["versions"].as_object().unwrap() {
            assert_eq!(*versions, json!(["upload"]), "{name}");
        }
    }
}

#[test]
fn versions_come_back_and_rclone_reads_the_same() {
    let b = bench("");
    let source = b.made(12);
    let first = take(&source);
    let report = b.report(0);
    eprintln!("first backup: {report}");
    // One log-in and the bucket are the test's own.
    let billed: Vec<(&str, u64)> = vec![
        ("b2_authorize_account", 2),
        ("b2_create_bucket", 1),
        ("b2_list_file_names", 4),
    ];
    let class_c = b.server.class_c();
    let class_c: Vec<(&str, u64)> = class_c.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    assert_eq!(class_c, billed);
    assert_eq!(
        report["TransactionsClassC"], 5,
        "a log-in, the listing at the start, before the list goes up and after it, and the look that no list is replaced"
    );
    let had = b.server.state()["versions"].clone();
    let report = b.report(1);
    eprintln!("unchanged run: {report}");
    assert_eq!(b.server.state()["versions"], had);
    tree::write(&source.join("changed"), b"new text");
    let second = take(&source);
    let report = b.report(0);
    eprintln!("changed run: {report}");
    b.nothing_twice();
    b.gives(&second, &b.url, &[]);
    b.gives(&first, &b.url, &["--version=1"]);
    b.test(&["--full-remote-verification"]);

    let local = b.folder("local");
    b.server.rclone(&["copy", "b:bkt/p/x", text(&local)]);
    b.server
        .rclone(&["check", "--download", text(&local), "b:bkt/p/x"]);
    b.gives(&second, text(&local), &[]);
}

/// What one file of many costs, cold, by the simulator's own count.
#[test]
fn one_file_takes_eight_requests() {
    for secret in [PLAIN, "--passphrase=few requests"] {
        let server = Server::start();
        server.bucket("bkt");
        let trip = Trip::new("b2-one", secret, &["--blocksize=10kb", "--dblock-size=1mb"]);
        let url = server.url(&server.master(), "bkt/p", "&retry-delay=0s");
        tree::many_small(&trip.source());
        trip.backup(&url, &["--no-cache"]).code(&[0]);
        let count = || {
            let state = server.state();
            let calls = state["calls"].as_object().unwrap().values();
            let calls: u64 = calls.map(|n| n.as_u64().unwrap()).sum();
            (calls, state["sent"].as_u64().unwrap())
        };
        let before = count();
        let path = trip.source().join("d17/in/ner/f33");
        let args = ["cat", &url, text(&path), secret];
        let args = [&args[..], &["--no-cache", "--partial-reads=always"]].concat();
        let ran = trip.command(&args).output().unwrap();
        assert!(ran.stdout == fs::read(&path).unwrap(), "{ran:?}");
        let after = count();
        let (calls, bytes) = (after.0 - before.0, after.1 - before.1);
        eprintln!("one file: {calls} requests, {bytes} bytes");
        assert!(
            calls <= 8 && bytes <= 1 << 20,
            "{calls} requests, {bytes} bytes"
        );
    }
}

#[test]
fn failing_uploads_and_tokens_that_run_out() {
    for set in [
        json!({ "fail_uploads": 0.3 }),
        json!({ "expire_every": 20 }),
        json!({ "fail_uploads": 0.3, "expire_every": 20 }),
    ] {
        let b = bench("&b2-page-size=2");
        b.server.set(&set);
        let source = b.made(8);
        let before = take(&source);
        let report = b.report(0);
        eprintln!("{set}: {}; {report}", b.server.state()["calls"]);
        tree::write(&source.join("changed"), b"new text");
        b.report(0);
        b.nothing_twice();
        b.gives(&before, &b.url, &["--version=1"]);
        b.test(&[]);
        if set["fail_uploads"].is_number() {
            assert!(b.server.calls("refused uploads") > 0);
        } else {
            let calls = &b.server.state()["calls"];
            assert!(b.server.calls("b2_authorize_account") > 5, "{calls}");
        }
        let billed = report["TransactionsClassC"].as_u64();
        assert!(billed.is_some_and(|n| n >= 2), "{report}");
    }
}

#[test]
fn large_volumes_go_in_parts() {
    let b = bench("&b2-multipart-threshold=500kb&b2-part-size=200kb");
    b.server
        .set(&json!({ "part_min": 1000, "fail_uploads": 0.2, "seed": 3 }));
    let source = b.made(6);
    let before = take(&source);
    b.report(0);
    assert!(b.server.calls("b2_finish_large_file") > 0);
    assert_eq!(b.server.state()["unfinished"], 0);
    b.nothing_twice();
    b.gives(&before, &b.url, &[]);
}

#[test]
fn backups_of_duplicati_restore_from_there() {
    let b = bench("");
    b.fixtures(|name, dest| {
        let to = format!("b:bkt/p/{name}");
        b.server.rclone(&["copy", text(dest), &to]);
        b.url.replace("bkt/p/x", &format!("bkt/p/{name}"))
    });
}

#[test]
fn twenty_thousand_files_of_two_versions_are_listed() {
    let b = bench("&b2-page-size=1000");
    b.server.ask(
        "/test/fill",
        &json!({
            "bucket": "bkt", "prefix": "p/x/duplicati-b", "suffix": ".dblock.zip",
            "files": 20_000, "versions": 2,
        }),
    );
    let kib = b.listing_peak(&b.url, &[PLAIN]);
    assert!(kib < 32 << 10, "{kib} KiB");
    assert_eq!(
        b.server.calls("b2_list_file_names"),
        22,
        "one for the versions, of which there are none, and at last one that says it was all"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let server = Server::start();
    server.bucket("bkt");
    let scratch = Scratch::new("b2-bad");
    let source = scratch.folder("source");
    tree::write(&source.join("f"), b"text");
    let rights = |all: &[&str]| json!({ "bucket": "bkt", "capabilities": all });
    let no_list = server.key(&rights(&["readFiles", "writeFiles"]));
    let lister = ["listFiles", "readFiles", "writeFiles", "listBuckets"];
    let no_buckets = server.key(&json!({ "capabilities": lister }));
    let wrong = ("account-0".to_owned(), "K00wrong".to_owned());
    for (key, folder, part) in [
        (&no_list, "bkt/p", "lacks the capability listFiles"),
        (&no_buckets, "absent/p", "lacks the capability writeBuckets"),
        (
            &wrong,
            "bkt/p",
            "key id 'account-0' or its application key rejected",
        ),
    ] {
        let url = server.url(key, folder, "&retry-delay=0s");
        let ran = scratch.run(&["backup", &url, text(&source), PLAIN]);
        let ran = ran.code(&[100]).says(part);
        assert!(!ran.err.contains(&key.1), "{}", ran.all());
        assert_eq!(server.calls("b2_upload_file"), 0, "{part}");
    }
    let url = server.url(&server.master(), "absent/p", "");
    scratch.run(&["list", &url, PLAIN]).code(&[100]);
    server.set(&json!({ "cap": true }));
    let url = server.url(&server.master(), "bkt/p", "");
    scratch
        .run(&["backup", &url, text(&source), PLAIN])
        .code(&[100])
        .says("spending cap reached");
    for (url, part) in [
        ("b2://bkt/p", "B2_APPLICATION_KEY_ID"),
        ("b2://i:k/x@bkt/p", "percent-encode"),
    ] {
        scratch.run(&["list", url]).code(&[200]).says(part);
    }
    let (id, key) = server.master();
    server.set(&json!({ "cap": false }));
    let url = format!("b2://bkt/p?b2-api-url=http://{}", server.address);
    let env = [
        ("B2_APPLICATION_KEY_ID", &*id),
        ("B2_APPLICATION_KEY", &*key),
    ];
    scratch
        .run_env(&["backup", &url, text(&source), PLAIN], &env)
        .code(&[0])
        .says("Backblaze transactions");
    assert!(!names(&scratch.at("cache")).is_empty() || names(&scratch.at("tmp")).is_empty());
}
