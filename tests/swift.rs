//! Whole backups at a real Swift server, by its own log-in and by those of Keystone, beside another client.

#![cfg(feature = "dest-openstack")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::servers::s3::{self, S3};
use support::servers::{cloud_client, installed};
use support::trip::Trip;
use support::{Rand, Scratch, copy_folder, fixture, names, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const FAST: [&str; 2] = ["--retry-delay=0s", "--number-of-retries=1"];

/// A running stub of Keystone; ends with this value.
struct Keystone {
    child: Child,
    address: String,
}

impl Keystone {
    fn start(swift: &S3, life: &str) -> Keystone {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stubs/keystone.py");
        let mut child = Command::new("python3")
            .arg(program)
            .args([&format!("127.0.0.1:{}", swift.port), "--life", life])
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line);
        let address = address.to_owned();
        // What it says later must have a reader.
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        Keystone { child, address }
    }

    fn logins(&self) -> u64 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let ask = format!(
            "GET /counts HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(ask.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        let counts: serde_json::Value = serde_json::from_str(body).unwrap();
        counts["logins"].as_u64().unwrap()
    }

    /// A URL of each form of log-in.
    fn urls(&self, place: &str) -> Vec<String> {
        let at = format!(
            "openstack://{place}?openstack-authuri=http://{}",
            self.address
        );
        let user = "auth-username=tester&auth-password=testing";
        let project =
            "openstack-tenant-name=test&openstack-domain-name=Default&openstack-region=middle";
        vec![
            format!("{at}/v3&{user}&{project}"),
            format!("{at}/v2.0&{user}&{project}"),
            format!(
                "{at}/v2.0&auth-username=tester&openstack-apikey=api-key%2F%2B&openstack-region=MIDDLE"
            ),
            format!(
                "{at}/v3&openstack-application-credential-id=cred-id&openstack-application-credential-secret=cred%2Fsecret%2B"
            ),
        ]
    }
}

impl Drop for Keystone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By Swift's own log-in, v1.
fn plain(swift: &S3, place: &str) -> String {
    format!(
        "openstack://{place}?openstack-authuri=http://127.0.0.1:{}/auth/v1.0&auth-username=test%3Atester&auth-password=testing",
        swift.port
    )
}

fn rclone(swift: &S3, args: &[&str]) {
    let auth = format!("http://127.0.0.1:{}/auth/v1.0", swift.port);
    let done = Command::new(installed("rclone"))
        .args(["--config", "/dev/null", "--swift-auth", &auth])
        .args(["--swift-user", "test:tester", "--swift-key", "testing"])
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "rclone: {said}");
}

#[test]
fn a_whole_life() {
    let swift = s3::swift();
    let trip = Trip::new("openstack", PASSPHRASE, &[]);
    let url = plain(&swift, "life/p%C3%A4th%20a%2Bb/x");
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        rclone(&swift, &["copy", ":swift:life/p\u{e4}th a+b/x", text(to)]);
    });
}

/// What OpenStack's own client reads is what duplet wrote, and what it writes is restored.
#[test]
fn beside_openstacks_own_client() {
    let swift = s3::swift();
    let trip = Trip::new("openstack", PASSPHRASE, &[]);
    let auth = format!("{}/auth/v1.0", swift.endpoint());
    keyed::beside(
        &trip,
        &|place| plain(&swift, place),
        &|action, folder, to| {
            let args = ["swift", action, &auth, "box", folder, text(to)];
            let ran = cloud_client(&args, &[]);
            if !ran {
                eprintln!(
                    "OpenStack's client is not installed and checks nothing: run .ci/prepare.d/clients"
                );
            }
            ran
        },
    );
}

#[test]
fn every_log_in_reaches_the_right_region_and_the_same_files() {
    let swift = s3::swift();
    let keystone = Keystone::start(&swift, "3600");
    let scratch = Scratch::new("openstack");
    let (from, odd) = (scratch.at("a b+c%41 \u{e9}.zip"), "a b+c%41 \u{e9}.zip");
    let data = Rand(4).bytes(70_000);
    fs::write(&from, &data).unwrap();
    let own = plain(&swift, "both/dir");
    for (at, url) in keystone.urls("both/dir").iter().chain([&own]).enumerate() {
        let run = |args: &[&str]| scratch.run(&[args, &FAST].concat());
        run(&["remote", "put", url, text(&from)]).code(&[0]);
        let folder = scratch.folder(&format!("fetched {at}"));
        rclone(&swift, &["copy", ":swift:both/dir", text(&folder)]);
        assert_eq!(names(&folder), [odd]);
        assert!(fs::read(folder.join(odd)).unwrap() == data);
        fs::rename(folder.join(odd), folder.join("theirs.zip")).unwrap();
        rclone(&swift, &["copy", text(&folder), ":swift:both/dir"]);
        let to = scratch.at(&format!("back {at}"));
        run(&["remote", "get", url, "theirs.zip", text(&to)]).code(&[0]);
        assert!(fs::read(&to).unwrap() == data);
        for name in [odd, "theirs.zip"] {
            run(&["remote", "delete", url, name]).code(&[0]);
        }
        run(&["remote", "test", url]).code(&[0]);
    }
    // A region that is not there, and log-ins that are refused.
    let urls = keystone.urls("both/dir");
    let elsewhere = urls[0].replace("=middle", "=nowhere");
    let ran = scratch.run(&[&["remote", "list", &elsewhere], &FAST[..]].concat());
    ran.says("the catalogue has no region nowhere");
    for url in [
        urls[0].replace("=testing", "=hunter2"),
        urls[0].replace("=Default", "=hunter2"),
        urls[1].replace("tenant-name=test", "tenant-name=hunter2"),
        urls[2].replace("api-key%2F", "hunter2"),
        urls[3].replace("cred%2F", "hunter2"),
        own.replace("=testing", "=hunter2"),
    ] {
        let ran = scratch.run(&["remote", "list", &url]).code(&[100]);
        let ran = ran.says("the log-in was refused");
        assert!(
            !ran.err.contains("hunter2") && !ran.err.contains("trying again"),
            "{}",
            ran.all()
        );
    }
    let ran = scratch.run(&[
        "remote",
        "list",
        &urls[0].replace("/v3&", "&openstack-version=v3&"),
        "--number-of-retries=0",
    ]);
    ran.code(&[100]).says("--openstack-authuri");
}

#[test]
fn tokens_of_half_a_minute_are_renewed_as_often_as_need_be() {
    let swift = s3::swift();
    for (life, least, most) in [("20", 6, 1000), ("3600", 1, 2)] {
        let keystone = Keystone::start(&swift, life);
        let trip = Trip::new(
            "swift",
            PASSPHRASE,
            &["--dblock-size=1mb", "--blocksize=64kb"],
        );
        fs::write(trip.source().join("f"), Rand(5).bytes(2 << 20)).unwrap();
        let url = &keystone.urls(&format!("renewed/{life}"))[0];
        trip.backup(url, &FAST).code(&[0]);
        let logins = keystone.logins();
        assert!((least..=most).contains(&logins), "{life}: {logins}");
        trip.gives(&support::snapshot::take(&trip.source()), url, &FAST);
    }
}

#[test]
fn what_duplicati_wrote_and_large_objects_of_others_are_read() {
    let swift = s3::swift();
    let trip = Trip::new("openstack", PASSPHRASE, &[]);
    let all = trip.folder("fixtures");
    copy_folder(&fixture("aes").join("dest"), &all);
    // In segments, of which the server makes one file.
    rclone(
        &swift,
        &[
            "copy",
            text(&all),
            ":swift:fixtures/aes",
            "--swift-chunk-size",
            "16Ki",
        ],
    );
    let secret = support::opens_with("aes").unwrap();
    let restored = |from: &str, to: &str| {
        trip.restore(from, to, &[secret]).code(&[0]);
        support::snapshot::take(&trip.at(to))
    };
    let want = restored(text(&all), "want");
    let url = plain(&swift, "fixtures/aes");
    support::snapshot::same(&want, &restored(&url, "got"), support::differs("aes"), &url);
}

#[test]
fn missing_containers_and_users_without_a_right_are_told() {
    let swift = s3::swift();
    let scratch = Scratch::new("openstack");
    let url = plain(&swift, "not-there/x");
    let ran = scratch
        .run(&["restore", &url, "--no-encryption"])
        .code(&[100]);
    ran.says("container 'not-there' does not exist");
    // One who may log in and nothing else, with the server's number of the request.
    let url = plain(&swift, "secret/x")
        .replace("tester", "guest")
        .replace("=testing", "=guesting");
    for args in [vec!["remote", "list", &url], vec!["remote", "mkdir", &url]] {
        let ran = scratch.run(&args).code(&[100]).says("access denied");
        let ran = ran.says("X-Trans-Id tx");
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
    }
    let long = plain(&swift, &"n".repeat(257));
    scratch
        .run(&["remote", "list", &long])
        .code(&[200])
        .says("longer than 256 bytes");
}
