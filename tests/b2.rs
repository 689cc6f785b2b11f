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
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::servers::b2::{Server, programs};
use support::snapshot::{But, same, take};
use support::{
    Ran, Rand, Scratch, copy_folder, differs, fixture, fixture_names, names, opens_with, text, tree,
};

const PLAIN: &str = "--no-encryption";

struct Bench {
    server: Server,
    scratch: Scratch,
    url: String,
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
        scratch: Scratch::new("b2"),
    }
}

impl Bench {
    /// The tree to back up: made, with `DUPLET_TEST_TREE` a copy of that folder.
    fn source(&self, mib: usize) -> PathBuf {
        let source = self.scratch.folder("source");
        match std::env::var("DUPLET_TEST_TREE") {
            Ok(from) => {
                let from = format!("{from}/.");
                let args = ["-a", &from, text(&source)];
                assert!(Command::new("cp").args(args).status().unwrap().success());
            }
            Err(_) => {
                tree::make(&source, 5, 1 << 16);
                let mut rand = Rand(9);
                for i in 0..mib {
                    let path = source.join(format!("bulk{i}"));
                    tree::write(&path, &rand.bytes(1 << 20));
                }
            }
        }
        source
    }

    fn run(&self, args: &[&str], codes: &[i32]) -> Ran {
        let mut all = vec![args[0], &self.url];
        all.extend(&args[1..]);
        let ran = self.scratch.run(&all).code(codes);
        assert!(!ran.err.contains("K00"), "{}", ran.all());
        ran
    }

    /// A backup of the source in small volumes; its report.
    fn backup(&self, source: &Path, code: i32) -> Value {
        let args = [
            "backup",
            text(source),
            PLAIN,
            "--blocksize=64kb",
            "--dblock-size=1mb",
            "--json",
        ];
        self.run(&args, &[code]).json()
    }

    fn restore(&self, version: u32) -> PathBuf {
        let to = self.scratch.at(&format!("restored{version}"));
        let _ = fs::remove_dir_all(&to);
        let path = format!("--restore-path={}", text(&to));
        let version = format!("--version={version}");
        self.run(&["restore", &path, &version, "--restore-permissions"], &[0]);
        to
    }

    /// Every listed file has one version, and it is no hide marker.
    fn nothing_twice(&self) {
        let state = self.server.state();
        for (name, versions) in state["versions"].as_object().unwrap() {
            assert_eq!(*versions, json!(["upload"]), "{name}");
        }
    }

    fn forget_cache(&self) {
        let _ = fs::remove_dir_all(self.scratch.at("cache"));
    }
}

#[test]
fn versions_come_back_and_rclone_reads_the_same() {
    let b = bench("");
    let source = b.source(12);
    let first = take(&source);
    let report = b.backup(&source, 0);
    eprintln!("first backup: {report}");
    // One log-in and the bucket are the test's own.
    let billed: Vec<(&str, u64)> = vec![
        ("b2_authorize_account", 2),
        ("b2_create_bucket", 1),
        ("b2_list_file_names", 3),
    ];
    let class_c = b.server.class_c();
    let class_c: Vec<(&str, u64)> = class_c.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    assert_eq!(class_c, billed);
    assert_eq!(
        report["TransactionsClassC"], 4,
        "a log-in, the listing before and after, and the look that no list is replaced"
    );
    let had = b.server.state()["versions"].clone();
    let report = b.backup(&source, 1);
    eprintln!("unchanged run: {report}");
    assert_eq!(b.server.state()["versions"], had);
    tree::write(&source.join("changed"), b"new text");
    let second = take(&source);
    let report = b.backup(&source, 0);
    eprintln!("changed run: {report}");
    b.nothing_twice();
    b.forget_cache();
    same(&second, &take(&b.restore(0)), But::default(), "newest");
    same(&first, &take(&b.restore(1)), But::default(), "first");
    b.run(&["test", "all", "--full-remote-verification"], &[0]);

    let local = b.scratch.folder("local");
    b.server.rclone(&["copy", "b:bkt/p/x", text(&local)]);
    b.server
        .rclone(&["check", "--download", text(&local), "b:bkt/p/x"]);
    let to = b.scratch.at("from rclone");
    let path = format!("--restore-path={}", text(&to));
    b.scratch
        .run(&["restore", text(&local), &path, "--restore-permissions"])
        .code(&[0]);
    same(&second, &take(&to), But::default(), "what rclone fetched");
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
        let source = b.source(8);
        let before = take(&source);
        let report = b.backup(&source, 0);
        eprintln!("{set}: {}; {report}", b.server.state()["calls"]);
        tree::write(&source.join("changed"), b"new text");
        b.backup(&source, 0);
        b.nothing_twice();
        b.forget_cache();
        same(&before, &take(&b.restore(1)), But::default(), "first");
        b.run(&["test", "all"], &[0]);
        if set["fail_uploads"].is_number() {
            assert!(b.server.calls("refused uploads") > 0);
        } else {
            assert!(
                b.server.calls("b2_authorize_account") > 5,
                "{}",
                b.server.state()["calls"]
            );
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
    let source = b.source(6);
    let before = take(&source);
    b.backup(&source, 0);
    assert!(b.server.calls("b2_finish_large_file") > 0);
    assert_eq!(b.server.state()["unfinished"], 0);
    b.nothing_twice();
    b.forget_cache();
    same(&before, &take(&b.restore(0)), But::default(), "in parts");
}

#[test]
fn backups_of_duplicati_restore_from_there() {
    let b = bench("");
    for name in fixture_names() {
        let dest = fixture(&name).join("dest");
        b.server
            .rclone(&["copy", text(&dest), &format!("b:bkt/p/{name}")]);
        let url = b.url.replace("bkt/p/x", &format!("bkt/p/{name}"));
        let secret = opens_with(&name).unwrap_or(PLAIN);
        let prefix = if name == "other-prefix" {
            "--prefix=other"
        } else {
            "--prefix=duplicati"
        };
        let restored = |from: &str, label: &str| {
            let to = b.scratch.at(&format!("{name} {label}"));
            let path = format!("--restore-path={}", text(&to));
            let args = [
                "restore",
                from,
                &path,
                secret,
                prefix,
                "--restore-permissions",
            ];
            b.scratch.run(&args).code(&[0]);
            take(&to)
        };
        let local = b.scratch.at(&format!("{name} local"));
        copy_folder(&dest, &local);
        let want = restored(text(&local), "want");
        same(&want, &restored(&url, "got"), differs(&name), &name);
        assert!(!want.is_empty(), "{name}");
    }
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
    let code = "import resource, subprocess, sys\n\
                r = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)\n\
                print(r.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = Command::new(programs().join("python"))
        .args([
            "-c",
            code,
            env!("CARGO_BIN_EXE_duplet"),
            "list",
            &b.url,
            PLAIN,
        ])
        .env("HOME", b.scratch.at("home"))
        .env("XDG_CACHE_HOME", b.scratch.at("cache"))
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{out}{err}");
    let kib: u64 = out.split_whitespace().last().unwrap().parse().unwrap();
    assert!(kib < 32 << 10, "{kib} KiB");
    assert_eq!(
        b.server.calls("b2_list_file_names"),
        21,
        "and one that says it was all"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let server = Server::start();
    server.bucket("bkt");
    server.bucket("other");
    let scratch = Scratch::new("b2-bad");
    let source = scratch.folder("source");
    tree::write(&source.join("f"), b"text");
    let rights = |all: &[&str]| json!({ "bucket": "bkt", "capabilities": all });
    let no_write = server.key(&rights(&["listFiles", "readFiles", "deleteFiles"]));
    let no_list = server.key(&rights(&["readFiles", "writeFiles"]));
    let prefix = server.key(&json!({ "bucket": "bkt", "prefix": "p/" }));
    let other = server.key(&json!({ "bucket": "other" }));
    let lister = ["listFiles", "readFiles", "writeFiles", "listBuckets"];
    let no_buckets = server.key(&json!({ "capabilities": lister }));
    let wrong = ("account-0".to_owned(), "K00wrong".to_owned());
    for (key, folder, part) in [
        (&no_write, "bkt/p", "lacks the capability writeFiles"),
        (&no_list, "bkt/p", "lacks the capability listFiles"),
        (&prefix, "bkt/q", "key is restricted to prefix 'p/'"),
        (&other, "bkt/p", "key is restricted to bucket(s) other"),
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
        ("b2://bkt/p?b2-accountid=x", "B2_APPLICATION_KEY"),
        (
            "b2://i:k@bkt/p?b2-page-size=0",
            "must be an integer larger than zero",
        ),
        ("b2:///p?b2-accountid=x", "missing bucket name"),
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
