//! Whole backups on real S3 servers, read by other clients, written by other clients, through TLS good and bad.
//!
//! `DUPLET_TEST_TREE` names a folder to use instead of the small made tree.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::servers::installed;
use support::servers::s3::{self, S3};
use support::servers::tls::{Flaw, Tls};
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, Scratch, copy_folder, fixture, fixture_names, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=päss wörd";
const SMALL: [&str; 2] = ["--blocksize=64kb", "--dblock-size=1mb"];
const QUICK: [&str; 2] = ["--retry-delay=0s", "--number-of-retries=2"];

/// Another client: see `tests/outside/s3.py`.
fn boto(server: &S3, action: &str, bucket: &str, prefix: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/s3.py");
    let done = Command::new(installed("python"))
        .arg(script)
        .args([action, &server.endpoint(), server.region, bucket, prefix])
        .arg(folder)
        .env("S3_KEY", server.key)
        .env("S3_SECRET", server.secret)
        .env_remove("AWS_CA_BUNDLE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{action} on {}: {said}", server.name);
}

fn rclone(server: &S3, args: &[&str]) {
    let done = Command::new(installed("rclone"))
        .args(["--config", "/dev/null", "--s3-provider", "Other"])
        .args(["--s3-endpoint", &server.endpoint()])
        .args(["--s3-access-key-id", server.key, "--s3-secret-access-key"])
        .args([server.secret, "--s3-region", server.region])
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "rclone on {}: {said}", server.name);
}

#[test]
fn wrong_credentials_are_refused_at_once_and_name_the_option() {
    let scratch = Scratch::new("s3");
    let source = scratch.folder("source");
    tree::write(&source.join("f"), b"x");
    for server in s3::all() {
        let wrong = [
            (server.key, "not the secret"),
            ("nobody-knows-this-key", "not the secret"),
        ];
        for (key, secret) in wrong {
            let url = server.url_as("wrong/x", key, &secret.replace(' ', "%20"), "");
            for args in [
                vec!["remote", "list", &url],
                vec!["backup", &url, text(&source), "--no-encryption"],
                vec!["restore", &url, "--no-encryption"],
                vec!["remote", "test", &url],
            ] {
                let ran = scratch.run(&args).code(&[100]);
                assert!(!ran.err.contains("trying again"), "{}", ran.all());
                let last = ran.err.lines().last().unwrap();
                let named = ["auth-password", "auth-username"];
                assert!(
                    named.iter().any(|n| last.contains(n)),
                    "{}: {}",
                    server.name,
                    ran.all()
                );
                let complaints = ran.err.lines().filter(|l| l.starts_with("duplet:")).count();
                assert_eq!(complaints, 1, "one line: {}", ran.all());
                assert!(!ran.err.contains(secret), "{}", ran.all());
            }
        }
    }
}

/// Backs up the tree; the second run must find nothing to do with one look at the destination.
fn round_trip(trip: &Trip, server: &S3, url: &str, more: &[&str]) {
    let options = [&QUICK[..], more, &["--json"]].concat();
    let first = trip.backup(url, &options).code(&[0]).json();
    let volumes = first["NewDblocks"].as_u64().unwrap();
    let up = first["FilesUploaded"].as_u64().unwrap();
    assert_eq!(up, 2 * volumes + 1, "{}: {first}", server.name);
    let second = trip.backup(url, &options).code(&[1]).json();
    assert_eq!(second["FilesUploaded"], 0, "{}: {second}", server.name);
    let calls = second["RemoteCalls"].as_u64().unwrap();
    let downs = second["FilesDownloaded"].as_u64().unwrap();
    assert_eq!(calls, 1 + downs, "one listing and what it reads: {second}");
    assert!(trip.left_in_tmp().is_empty(), "{}", server.name);
    let mut options = QUICK.to_vec();
    options.extend(more.iter().filter(|o| o.starts_with("--ssl")));
    trip.gives(&take(&trip.source()), url, &options);
}

#[test]
fn a_tree_goes_there_and_back() {
    let trip = Trip::new("s3", PASSPHRASE, &[]);
    let source = trip.source();
    let small = !trip.given_tree();
    if small {
        tree::make(&source, 11, 64 << 10);
        tree::write(&source.join("large"), &Rand(12).bytes(5 << 20));
    }
    let sizes = if small { &SMALL[..] } else { &[] };
    for server in s3::all() {
        round_trip(&trip, &server, &server.url("trip/a/b", ""), sizes);
        // The same bytes through another client, restored from a folder.
        if small {
            let folder = trip.folder(&format!("fetched {}", server.name));
            boto(&server, "fetch", "trip", "a/b/", &folder);
            trip.gives(&take(&source), text(&folder), &[]);
            let got = volumes(&folder, "dblock").len();
            assert!(got > 2, "{got} volumes are too few for a test");
        }
    }
}

#[test]
fn virtual_host_addresses_work() {
    let trip = Trip::new("s3", PASSPHRASE, &[]);
    tree::write(&trip.source().join("f"), &Rand(3).bytes(100_000));
    for server in s3::all().iter().filter(|s| s.virtual_host) {
        let bucket = server.url("vhost", "");
        trip.run(&["remote", "mkdir", &bucket]).code(&[0]);
        let url = server
            .url("vhost/in side", "&s3-ext-forcepathstyle=false")
            .replace("127.0.0.1", "localhost");
        round_trip(&trip, server, &url, &[]);
        // Seen by path as well.
        let ran = trip.run(&["remote", "list", &server.url("vhost/in side", "")]);
        assert_eq!(ran.out.lines().count(), 3, "{}", ran.all());
    }
}

#[test]
fn uploads_in_parts_are_whole_for_others() {
    let scratch = Scratch::new("s3");
    let file = scratch.at("big.bin");
    let data = Rand(9).bytes((12 << 20) + 5);
    fs::write(&file, &data).unwrap();
    for server in s3::all() {
        let url = server.url("parts/p", "");
        let args = [
            "remote",
            "put",
            &url,
            text(&file),
            "--s3-multipart-threshold=6mb",
            "--s3-part-size=5mb",
        ];
        scratch.run(&args).code(&[0]);
        let folder = scratch.folder(&format!("fetched {}", server.name));
        boto(&server, "fetch", "parts", "p/", &folder);
        assert!(
            fs::read(folder.join("big.bin")).unwrap() == data,
            "{}",
            server.name
        );
    }
}

#[test]
fn what_is_put_is_the_same_for_other_clients_and_back() {
    let scratch = Scratch::new("s3");
    let odd = "a b+c%41 é&=~'(1)!.zip";
    let data = Rand(4).bytes(70_000);
    for server in s3::all() {
        let from = scratch.at(odd);
        fs::write(&from, &data).unwrap();
        let url = server.url("both/dir/sub", "");
        scratch
            .run(&["remote", "put", &url, text(&from)])
            .code(&[0]);
        let folder = scratch.folder(&format!("fetched {}", server.name));
        boto(&server, "fetch", "both", "dir/sub/", &folder);
        assert_eq!(names(&folder), [odd], "{}", server.name);
        assert!(fs::read(folder.join(odd)).unwrap() == data);
        fs::rename(folder.join(odd), folder.join("theirs.zip")).unwrap();
        boto(&server, "store", "both", "dir/sub/", &folder);
        let to = scratch.at(&format!("back {}", server.name));
        let args = ["remote", "get", &url, "theirs.zip", text(&to)];
        scratch.run(&args).code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{}", server.name);
    }
}

#[test]
fn what_duplicati_wrote_restores_from_a_bucket() {
    let trip = Trip::new("s3", PASSPHRASE, &[]);
    let all = trip.folder("fixtures");
    for name in &fixture_names() {
        copy_folder(&fixture(name).join("dest"), &all.join(name));
    }
    for (at, server) in s3::all().iter().enumerate() {
        boto(server, "make", "fixtures", "", trip.path());
        if at % 2 == 0 {
            boto(server, "store", "fixtures", "", &all);
        } else {
            rclone(server, &["copy", text(&all), ":s3:fixtures/"]);
        }
        trip.fixtures(|name, _| server.url(&format!("fixtures/{name}"), ""));
    }
}

#[test]
fn certificates_are_judged() {
    let trip = Trip::new("s3", PASSPHRASE, &[]);
    let server = s3::juicefs();
    let tls = Tls::in_front_of(server.port);
    let ca = format!("--ssl-ca-file={}", text(&tls.ca()));
    let any = "--accept-any-ssl-certificate";
    let url = |flaw: Flaw, host: &str| {
        let (plain, secure) = (server.port.to_string(), tls.port(flaw).to_string());
        let url = server.url("secure/x", "").replace(&plain, &secure);
        let url = url.replace("use-ssl=false", "use-ssl=true");
        url.replace("127.0.0.1", host)
    };
    let pin = |flaw, algo| {
        let fingerprint = tls.fingerprint(flaw, algo);
        format!("--accept-specified-ssl-hash={fingerprint}")
    };
    let works = |flaw, host: &str, option: &str| {
        trip.run(&["remote", "test", &url(flaw, host), option])
            .code(&[0]);
    };
    let fails = |flaw, options: &[&str], parts: &[&str]| {
        let url = url(flaw, "localhost");
        let ran = trip
            .run(&[&["remote", "test", &url], options].concat())
            .code(&[100]);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
        for part in parts {
            assert!(ran.err.contains(part), "{part}: {}", ran.all());
        }
    };
    works(Flaw::None, "localhost", &ca);
    works(Flaw::None, "127.0.0.1", &ca);
    let both = ["not trusted", "accept-specified-ssl-hash="];
    fails(Flaw::None, &[], &both);
    fails(Flaw::WrongHost, &[&ca], &["example.org", "localhost"]);
    fails(Flaw::Expired, &[&ca], &["expired"]);
    fails(Flaw::UnknownIssuer, &[&ca], &["not trusted"]);
    let own = tls.fingerprint(Flaw::SelfSigned, "sha256");
    let own = own.replace(':', "").to_lowercase();
    fails(Flaw::SelfSigned, &[&ca], &[&own]);
    for algo in ["sha1", "sha256"] {
        for flaw in [Flaw::SelfSigned, Flaw::WrongHost] {
            works(flaw, "localhost", &pin(flaw, algo));
        }
        fails(Flaw::Expired, &[&pin(Flaw::Expired, algo)], &["expired"]);
    }
    let other = pin(Flaw::None, "sha256");
    fails(Flaw::SelfSigned, &[&other], &["not trusted"]);
    works(Flaw::SelfSigned, "localhost", any);
    // The command line that the refusal offers works as it is.
    let refused = url(Flaw::SelfSigned, "localhost");
    let ran = trip.run(&["remote", "list", &refused]).code(&[100]);
    let at = ran.err.find("--accept-specified-ssl-hash=");
    let offered = &ran.err[at.expect("offered")..];
    let end = offered.find([' ', '\n', ')', '\'']).expect("its end");
    works(Flaw::SelfSigned, "localhost", &offered[..end]);

    tree::make(&trip.source(), 21, 64 << 10);
    let there = url(Flaw::None, "localhost").replace("secure/x", "secure/trip");
    round_trip(&trip, &server, &there, &[&[&*ca], &SMALL[..]].concat());

    // Plain where TLS is spoken, and TLS where it is not.
    let mixed = url(Flaw::None, "localhost").replace("use-ssl=true", "use-ssl=false");
    trip.run(&["remote", "list", &mixed])
        .code(&[100])
        .says("use-ssl");
    let mixed = server
        .url("secure/x", "")
        .replace("use-ssl=false", "use-ssl=true");
    trip.run(&["remote", "list", &mixed])
        .code(&[100])
        .says("use-ssl");
}
