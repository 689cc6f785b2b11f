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
use support::snapshot::{But, same, take};
use support::{
    Rand, Scratch, copy_folder, differs, fixture, fixture_names, names, opens_with, text, tree,
    volumes,
};

const PASSPHRASE: &str = "--passphrase=päss wörd";
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

/// Backs up a tree; the second run must find nothing to do with one look at the destination.
fn round_trip(server: &S3, url: &str, source: &Path, more: &[&str]) {
    let scratch = Scratch::new("s3-trip");
    let mut backup = vec!["backup", url, text(source), PASSPHRASE, "--json"];
    backup.extend(QUICK);
    backup.extend(more);
    let first = scratch.run(&backup).code(&[0]).json();
    let volumes = first["NewDblocks"].as_u64().unwrap();
    let up = first["FilesUploaded"].as_u64().unwrap();
    assert_eq!(up, 2 * volumes + 1, "{}: {first}", server.name);
    let second = scratch.run(&backup).code(&[1]).json();
    assert_eq!(second["FilesUploaded"], 0, "{}: {second}", server.name);
    let calls = second["RemoteCalls"].as_u64().unwrap();
    let downs = second["FilesDownloaded"].as_u64().unwrap();
    assert_eq!(calls, 1 + downs, "one listing and what it reads: {second}");

    let elsewhere = Scratch::new("s3-back");
    let to = elsewhere.at("back");
    let to_option = format!("--restore-path={}", text(&to));
    let mut restore = vec![
        "restore",
        url,
        PASSPHRASE,
        &to_option,
        "--no-cache",
        "--json",
        "--restore-permissions",
    ];
    restore.extend(QUICK);
    restore.extend(more.iter().filter(|o| o.starts_with("--ssl")));
    elsewhere.run(&restore).code(&[0]);
    same(&take(source), &take(&to), But::default(), server.name);
    for scratch in [&scratch, &elsewhere] {
        assert!(scratch.left_in_tmp().is_empty(), "{}", server.name);
    }
}

#[test]
fn a_tree_goes_there_and_back() {
    let scratch = Scratch::new("s3");
    let made = scratch.folder("source");
    let source = match std::env::var_os("DUPLET_TEST_TREE") {
        Some(tree) => tree.into(),
        None => {
            tree::make(&made, 11, 64 << 10);
            tree::write(&made.join("large"), &Rand(12).bytes(5 << 20));
            made
        }
    };
    let small = std::env::var_os("DUPLET_TEST_TREE").is_none();
    let sizes: &[&str] = if small {
        &["--blocksize=64kb", "--dblock-size=1mb"]
    } else {
        &[]
    };
    for server in s3::all() {
        round_trip(&server, &server.url("trip/a/b", ""), &source, sizes);
        // The same bytes through another client, restored from a folder.
        if small {
            let folder = scratch.folder(&format!("fetched {}", server.name));
            boto(&server, "fetch", "trip", "a/b/", &folder);
            let to = scratch.at(&format!("restored {}", server.name));
            let to_option = format!("--restore-path={}", text(&to));
            let args = [
                "restore",
                text(&folder),
                PASSPHRASE,
                "--restore-permissions",
                &to_option,
            ];
            scratch.run(&args).code(&[0]);
            same(&take(&source), &take(&to), But::default(), server.name);
            let got = volumes(&folder, "dblock").len();
            assert!(got > 2, "{got} volumes are too few for a test");
        }
    }
}

#[test]
fn virtual_host_addresses_work() {
    let scratch = Scratch::new("s3");
    let source = scratch.folder("source");
    tree::write(&source.join("f"), &Rand(3).bytes(100_000));
    for server in s3::all().iter().filter(|s| s.virtual_host) {
        scratch
            .run(&["remote", "mkdir", &server.url("vhost", "")])
            .code(&[0]);
        let url = server
            .url("vhost/in side", "&s3-ext-forcepathstyle=false")
            .replace("127.0.0.1", "localhost");
        round_trip(server, &url, &source, &[]);
        // Seen by path as well.
        let ran = scratch.run(&["remote", "list", &server.url("vhost/in side", "")]);
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
    let scratch = Scratch::new("s3");
    let fixtures = fixture_names();
    assert!(fixtures.len() > 10);
    let all = scratch.folder("fixtures");
    for name in &fixtures {
        copy_folder(&fixture(name).join("dest"), &all.join(name));
    }
    for (at, server) in s3::all().iter().enumerate() {
        boto(server, "make", "fixtures", "", scratch.path());
        if at % 2 == 0 {
            boto(server, "store", "fixtures", "", &all);
        } else {
            rclone(server, &["copy", text(&all), ":s3:fixtures/"]);
        }
        for name in &fixtures {
            let dest = fixture(name).join("dest");
            let mut restored = Vec::new();
            let url = server.url(&format!("fixtures/{name}"), "");
            for (kind, url) in [("folder", text(&dest)), ("bucket", &url)] {
                let to = scratch.at(&format!("{kind} {name} {}", server.name));
                let to_option = format!("--restore-path={}", text(&to));
                let mut args = vec!["restore", url, &to_option, "--no-cache"];
                args.extend(QUICK);
                args.extend(opens_with(name));
                scratch.run(&args).code(&[0]);
                restored.push(take(&to));
            }
            assert!(restored[0].len() > 1, "{name} is empty");
            let what = format!("{name} on {}", server.name);
            same(&restored[0], &restored[1], differs(name), &what);
        }
    }
}

#[test]
fn certificates_are_judged() {
    let scratch = Scratch::new("s3");
    let server = s3::juicefs();
    let tls = Tls::in_front_of(server.port);
    let ca = format!("--ssl-ca-file={}", text(&tls.ca()));
    let any = "--accept-any-ssl-certificate";
    let url = |flaw: Flaw, host: &str| {
        server
            .url("secure/x", "")
            .replace("use-ssl=false", "use-ssl=true")
            .replace(
                &format!("127.0.0.1:{}", server.port),
                &format!("{host}:{}", tls.port(flaw)),
            )
    };
    let pin = |flaw: Flaw, algo: &str| {
        format!(
            "--accept-specified-ssl-hash={}",
            tls.fingerprint(flaw, algo)
        )
    };
    let works = |flaw: Flaw, host: &str, options: &[&str]| {
        let url = url(flaw, host);
        let mut args = vec!["remote", "test", &url];
        args.extend(options);
        scratch.run(&args).code(&[0]);
    };
    let fails = |flaw: Flaw, options: &[&str], parts: &[&str]| {
        let url = url(flaw, "localhost");
        let mut args = vec!["remote", "test", &url];
        args.extend(options);
        let ran = scratch.run(&args).code(&[100]);
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
        for part in parts {
            assert!(ran.err.contains(part), "{part}: {}", ran.all());
        }
    };
    works(Flaw::None, "localhost", &[&ca]);
    works(Flaw::None, "127.0.0.1", &[&ca]);
    fails(
        Flaw::None,
        &[],
        &["not trusted", "accept-specified-ssl-hash="],
    );
    fails(Flaw::WrongHost, &[&ca], &["example.org", "localhost"]);
    fails(Flaw::Expired, &[&ca], &["expired"]);
    fails(Flaw::UnknownIssuer, &[&ca], &["not trusted"]);
    fails(
        Flaw::SelfSigned,
        &[&ca],
        &[&tls
            .fingerprint(Flaw::SelfSigned, "sha256")
            .replace(':', "")
            .to_lowercase()],
    );
    for algo in ["sha1", "sha256"] {
        works(
            Flaw::SelfSigned,
            "localhost",
            &[&pin(Flaw::SelfSigned, algo)],
        );
        works(Flaw::WrongHost, "localhost", &[&pin(Flaw::WrongHost, algo)]);
        fails(Flaw::Expired, &[&pin(Flaw::Expired, algo)], &["expired"]);
    }
    fails(
        Flaw::SelfSigned,
        &[&pin(Flaw::None, "sha256")],
        &["not trusted"],
    );
    works(Flaw::SelfSigned, "localhost", &[any]);
    // The command line that the refusal offers works as it is.
    let refused = url(Flaw::SelfSigned, "localhost");
    let ran = scratch.run(&["remote", "list", &refused]).code(&[100]);
    let at = ran
        .err
        .find("--accept-specified-ssl-hash=")
        .expect("offered");
    let offered: String = ran.err[at..]
        .chars()
        .take_while(|c| !c.is_whitespace() && *c != ')' && *c != '\'')
        .collect();
    works(Flaw::SelfSigned, "localhost", &[&offered]);

    let source = scratch.folder("source");
    tree::make(&source, 21, 64 << 10);
    let trip = url(Flaw::None, "localhost").replace("secure/x", "secure/trip");
    round_trip(
        &server,
        &trip,
        &source,
        &[&ca, "--blocksize=64kb", "--dblock-size=1mb"],
    );

    // Plain where TLS is spoken, and TLS where it is not.
    let mixed = url(Flaw::None, "localhost").replace("use-ssl=true", "use-ssl=false");
    let ran = scratch.run(&["remote", "list", &mixed]).code(&[100]);
    assert!(ran.err.contains("use-ssl"), "{}", ran.all());
    let mixed = server
        .url("secure/x", "")
        .replace("use-ssl=false", "use-ssl=true");
    let ran = scratch.run(&["remote", "list", &mixed]).code(&[100]);
    assert!(ran.err.contains("use-ssl"), "{}", ran.all());
}
