//! Backups in Duplicati's own storage: by a stub of its gateway, and by keys that it lends of a real S3 server.

#![cfg(feature = "dest-duplicati")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_storage.rs"]
mod faulty_storage;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faulty::{Server, Trouble};
use faulty_storage::Storage;
use ring::digest::{SHA256, digest};
use support::craft::base64;
use support::servers::s3;
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";

fn digests(data: &[u8]) -> (String, String) {
    use md5::Digest;
    let sha256 = digest(&SHA256, data);
    (base64(&md5::Md5::digest(data)), base64(sha256.as_ref()))
}

/// A gateway that knows one machine.
fn stub() -> Server<Storage> {
    Server::start(|_| {
        let mut storage = Storage::new(digests);
        storage.known = vec![("x-machine-id", "the%20machine"), ("x-api-key", "hunter/2")];
        storage
    })
}

fn url(stub: &Server<Storage>, more: &str) -> String {
    let at = stub.address;
    format!(
        "duplicati://?duplicati-endpoint=http://{at}&duplicati-backup-id=b1&duplicati-auth-apiid=org&duplicati-auth-apikey=hunter%2F2&duplicati-machine-id=the%20machine&http-proxy=none&retry-delay=0s{more}"
    )
}

#[test]
fn a_whole_life_by_the_gateway() {
    let stub = stub();
    let trip = Trip::new("storage", PASSPHRASE, &[]);
    keyed::whole_life(&trip, &url(&stub, ""), PASSPHRASE, &|to| {
        for (name, data) in stub.with(|it| it.files.clone()) {
            fs::write(to.join(name), data).unwrap();
        }
    });
}

/// Keys of a server that checks signatures; the service gives others each time it is asked.
#[test]
fn a_whole_life_by_keys() {
    let (stub, server) = (stub(), s3::juicefs());
    let end = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 302;
    let keys = serde_json::json!({
        "Mode": "direct", "Endpoint": server.endpoint(), "Bucket": "storage-life", "Prefix": "/machines/m 1/b1",
        "AccessKeyId": "duplet", "SecretKey": "duplet-secret-key", "Region": "us-east-1", "RotateAfter": end,
    });
    stub.with(|it| it.keys = Some(keys));
    let trip = Trip::new("storage", PASSPHRASE, &[]);
    let url = url(&stub, "");
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let list = trip.run(&["remote", "list", &url, "--json"]).json();
        for file in list["Files"].as_array().unwrap() {
            let name = file["Name"].as_str().unwrap();
            let to = to.join(name);
            let args = ["remote", "get", &url, name, text(&to)];
            trip.run(&args).code(&[0]);
        }
    });
    assert_eq!(stub.with(|it| it.files.len()), 0, "nothing by the gateway");
    // What is there is where the service says.
    let direct = server.url("storage-life/machines/m%201/b1", "");
    let count = |url: &str| {
        let ran = trip.run(&["remote", "list", url, "--json"]).code(&[0]);
        ran.json()["Files"].as_array().unwrap().len()
    };
    assert!(count(&direct) > 6 && count(&direct) == count(&url));
}

#[test]
fn what_duplicati_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let trip = Trip::new("storage", PASSPHRASE, &[]);
    trip.restore(text(&local), "want", &options).code(&[0]);
    for small in [false, true] {
        let stub = stub();
        for one in fs::read_dir(&local).unwrap() {
            let one = one.unwrap();
            let data = fs::read(one.path()).unwrap();
            stub.with(|it| {
                it.files
                    .insert(one.file_name().into_string().unwrap(), data)
            });
        }
        stub.with(|it| it.small = small);
        let got = format!("got-{small}");
        trip.restore(&url(&stub, ""), &got, &options).code(&[0]);
        same(
            &take(&trip.at("want")),
            &take(&trip.at(&got)),
            But::default(),
            name,
        );
    }
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = stub();
    let scratch = Scratch::new("storage");
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let good = url(&stub, "");
    list(&good).code(&[0]);
    for (from, to, words) in [
        ("the%20machine", "another", "--duplicati-machine-id"),
        (
            "duplicati-machine-id=the%20machine&",
            "",
            "--duplicati-machine-id",
        ),
        ("hunter%2F2", "veiled", "--duplicati-auth-apikey"),
    ] {
        let ran = list(&good.replace(from, to)).code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(ran.err.trim().lines().count(), 1, "{}", ran.all());
        assert!(
            !ran.err.contains("veiled") && !ran.err.contains("hunter"),
            "{}",
            ran.all()
        );
    }
    for (from, to, words) in [
        ("duplicati-backup-id=b1&", "", "--duplicati-backup-id"),
        ("duplicati-auth-apiid=org&", "", "--duplicati-auth-apiid"),
        (
            "http://127",
            "http://example.org/?127",
            "--duplicati-endpoint",
        ),
    ] {
        let ran = list(&good.replace(from, to)).code(&[200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
    }
    stub.with(|it| it.is_made = false);
    let ran = list(&good).code(&[100]);
    assert!(
        ran.err.contains("there is no backup of this id"),
        "{}",
        ran.all()
    );
}

/// 20 000 files, and a large volume, take no more memory than few and small ones.
#[test]
fn many_files_and_a_large_one_in_little_memory() {
    let scratch = Scratch::new("storage");
    let stub = stub();
    stub.with(|it| {
        for i in 0..20_000 {
            it.files
                .insert(format!("duplicati-b{i:032x}.dblock.zip"), Vec::new());
        }
    });
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    let url = url(&stub, "");
    peak(&["remote", "list", &url]);
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    peak(&["remote", "put", &url, text(&large)]);
    stub.script("GET", "/get/", Trouble::Cut(60_000_000));
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 100 << 20);
}

/// Killed in an upload, of which it is not known what became of it; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let stub = stub();
    let trip = Trip::new("storage", PASSPHRASE, &[]);
    fs::write(trip.source().join("large"), Rand(2).bytes(12 << 20)).unwrap();
    let url = url(&stub, "");
    let go = Arc::new(AtomicBool::new(false));
    stub.script("POST", "/put/", Trouble::Held(go.clone()));
    let mut child = trip.begin(&url, &[]);
    while stub.seen("/put/").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    go.store(true, Ordering::Relaxed);
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
}
