//! The schemes on the S3 client at real servers that check signatures: `cos`, `aliyunoss`, `storj`, by their own options.

#![cfg(all(
    feature = "dest-cos",
    feature = "dest-aliyunoss",
    feature = "dest-storj"
))]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use faulty::{Reply, Seen, Service, Twist};
use support::servers::installed;
use support::servers::s3::{self, S3};
use support::trip::Trip;
use support::{Scratch, copy_folder, fixture, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const GRANT: &str = "1Bxq-grant/of+ours";

/// What gives the keys of a gateway for the one good grant.
struct Exchange {
    endpoint: String,
    key: String,
    secret: String,
}

impl Service for Exchange {
    fn act(&mut self, request: &Seen, body: Vec<u8>, _: Twist) -> Reply {
        let text = |status, body: &str| (status, Vec::new(), body.as_bytes().to_vec());
        if (request.method.as_str(), request.target.as_str()) != ("POST", "/v1/access") {
            return text(404, "404 page not found");
        }
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let fields = asked.as_object().map_or(0, serde_json::Map::len);
        if fields != 2 || asked["public"] != false || !request.holds("content-type", "json") {
            return text(400, "error decoding request body");
        }
        if asked["access_grant"] != GRANT {
            return text(400, "invalid access grant format");
        }
        let reply = serde_json::json!({
            "access_key_id": self.key,
            "secret_key": self.secret,
            "endpoint": self.endpoint,
        });
        text(200, &reply.to_string())
    }
}

fn encode(text: &str) -> String {
    text.replace('/', "%2F")
        .replace(':', "%3A")
        .replace('+', "%2B")
}

fn exchange(server: &S3) -> faulty::Server<Exchange> {
    faulty::Server::start(|_| Exchange {
        endpoint: server.endpoint(),
        key: server.key.to_owned(),
        secret: server.secret.to_owned(),
    })
}

/// URLs of one folder, with everything that a scheme needs but its log-in, and its log-in; and `s3://` of the same.
fn places(server: &S3, stub: &str, bucket: &str, folder: &str) -> Vec<(String, String, String)> {
    let at = server.endpoint();
    let (key, secret) = (encode(server.key), encode(server.secret));
    let seen = |bucket: &str| server.url(&format!("{bucket}/{folder}"), "");
    vec![
        (
            format!(
                "cos://{folder}?cos-bucket={bucket}&cos-app-id=125&cos-region=ap-guangzhou&s3-server-name={at}"
            ),
            format!("&cos-secret-id={key}&cos-secret-key={secret}"),
            seen(&format!("{bucket}-125")),
        ),
        (
            format!("aliyunoss://{folder}?oss-bucket={bucket}&oss-endpoint={at}"),
            format!("&oss-access-key-id={key}&oos-access-key-secret={secret}"),
            seen(bucket),
        ),
        (
            format!(
                "storj://?storj-auth-method=Access%20grant&storj-bucket={bucket}&storj-folder={folder}&storj-auth-service={stub}"
            ),
            format!("&storj-shared-access={}", encode(GRANT)),
            seen(bucket),
        ),
    ]
}

fn fetch(server: &S3, bucket: &str, folder: &str, to: &Path) {
    let done = Command::new(installed("rclone"))
        .args(["--config", "/dev/null", "--s3-provider", "Other"])
        .args(["--s3-endpoint", &server.endpoint()])
        .args(["--s3-access-key-id", server.key, "--s3-secret-access-key"])
        .args([server.secret, "--s3-region", server.region])
        .args(["copy", &format!(":s3:{bucket}/{folder}")])
        .arg(to)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "rclone on {}: {said}", server.name);
}

#[test]
fn a_whole_life_at_each() {
    let servers = s3::all();
    // One life of each scheme, in turn at the servers.
    for (at, scheme) in ["cos", "aliyunoss", "storj"].iter().enumerate() {
        let server = &servers[at % 2];
        let stub = exchange(server);
        let stub = format!("http://{}", stub.address);
        let (bucket, folder) = (format!("life{at}"), "Some/fol%20der");
        let (url, login, _) = places(server, &stub, &bucket, folder).remove(at);
        assert!(url.starts_with(scheme));
        let trip = Trip::new("s3-like", PASSPHRASE, &[]);
        let bucket = if at == 0 { "life0-125" } else { &bucket };
        keyed::whole_life(&trip, &(url + &login), PASSPHRASE, &|to| {
            fetch(server, bucket, "Some/fol der", to);
        });
    }
}

#[test]
fn each_at_each_server_sees_what_s3_sees_and_no_other_prefix() {
    for server in s3::all() {
        let stub = exchange(&server);
        let stub = format!("http://{}", stub.address);
        let all = places(&server, &stub, "seen-by", "a");
        let others = places(&server, &stub, "seen-by", "ab");
        let scratch = Scratch::new("s3-like");
        let trip = Trip::new("s3-like", PASSPHRASE, &[]);
        let file = scratch.at("file.zip");
        for (at, ((url, login, seen), other)) in all.iter().zip(&others).enumerate() {
            let url = format!("{url}{login}");
            let name = format!("file{at}.zip");
            fs::write(&file, url.as_bytes()).unwrap();
            scratch
                .run(&["remote", "put", &url, &name, text(&file)])
                .code(&[0]);
            scratch
                .run(&[
                    "remote",
                    "put",
                    &(other.0.clone() + &other.1),
                    "theirs",
                    text(&file),
                ])
                .code(&[0]);
            let ran = scratch.run(&["remote", "get", seen, &name, "-"]).code(&[0]);
            assert_eq!(ran.out, url);
            let ran = scratch.run(&["remote", "list", &url, "--json"]).code(&[0]);
            assert!(
                ran.out.contains(&name) && !ran.out.contains("theirs"),
                "{}",
                ran.all()
            );
            scratch.run(&["remote", "test", &url]).code(&[0]);
            for name in ["file0.zip", "file1.zip", "file2.zip"] {
                scratch.run(&["remote", "delete", &url, name]).code(&[0]);
            }
        }
        // One of Duplicati's backups.
        let name = "aes";
        let (url, login, seen) = &all[server.name.len() % 3];
        let dest = fixture(name).join("dest");
        let put = trip.folder("put");
        copy_folder(&dest, &put);
        for file in support::names(&put) {
            trip.run(&["remote", "put", seen, text(&put.join(file))])
                .code(&[0]);
        }
        let url = format!("{url}{login}");
        let secret = support::opens_with(name).unwrap();
        let restored = |from: &str, to: &str| {
            trip.restore(from, to, &[secret]).code(&[0]);
            support::snapshot::take(&trip.at(to))
        };
        let want = restored(text(&dest), "want");
        support::snapshot::same(&want, &restored(&url, "got"), support::differs(name), &url);
    }
}

#[test]
fn what_is_wrong_is_named_by_the_options_of_the_scheme() {
    let server = s3::juicefs();
    let stub = exchange(&server);
    let stub = format!("http://{}", stub.address);
    let scratch = Scratch::new("s3-like");
    let all = places(&server, &stub, "wrong", "x");
    for ((url, _, _), (login, words)) in all.iter().zip([
        (
            "&cos-secret-id=nobody&cos-secret-key=hunter2",
            "--cos-secret-id",
        ),
        (
            "&oss-access-key-id=nobody&oss-access-key-secret=hunter2",
            "--oss-access-key-id",
        ),
        ("&storj-shared-access=hunter2", "--storj-shared-access"),
    ]) {
        let ran = scratch
            .run(&["remote", "list", &format!("{url}{login}")])
            .code(&[100]);
        let ran = ran.says(words);
        assert!(
            !ran.err.contains("hunter2") && !ran.err.contains("trying again"),
            "{}",
            ran.all()
        );
        // A log-in by the options of all destinations, or from the environment.
        let env = [
            ("AUTH_USERNAME", server.key),
            ("AUTH_PASSWORD", server.secret),
        ];
        if !url.starts_with("storj") {
            let ran = scratch.run_env(&["remote", "mkdir", url], &env);
            ran.code(&[0]);
        }
    }
    // A missing bucket.
    for (at, words) in ["--cos-bucket", "--oss-bucket-name", "--storj-bucket"]
        .iter()
        .enumerate()
    {
        let (url, login, _) = places(&server, &stub, "nowhere", "x").remove(at);
        let ran = scratch.run(&["restore", &(url + &login), "--no-encryption"]);
        ran.code(&[100]).says(words);
    }
}

#[test]
fn keys_of_a_gateway_need_no_grant_and_plain_volumes_are_told_of() {
    let server = s3::swift();
    let trip = Trip::new("s3-like", "--no-encryption", &[]);
    fs::write(trip.source().join("f"), b"x").unwrap();
    let (key, secret) = (encode(server.key), encode(server.secret));
    let url = format!(
        "storj://?storj-bucket=keys&storj-folder=p&auth-username={key}&auth-password={secret}&s3-server-name={}",
        server.endpoint()
    );
    let ran = trip.backup(&url, &[]).code(&[0]);
    assert_eq!(
        ran.all().matches("gateway can read them").count(),
        1,
        "{}",
        ran.all()
    );
    trip.run(&["remote", "list", &server.url("keys/p", ""), "--json"])
        .code(&[0])
        .says("dlist");
    let trip = Trip::new("s3-like", PASSPHRASE, &[]);
    fs::write(trip.source().join("f"), b"x").unwrap();
    let ran = trip.backup(&url.replace("=p&", "=q&"), &[]).code(&[0]);
    assert!(!ran.all().contains("gateway can read"), "{}", ran.all());
}
