//! WebDAV against the servers people have: Apache, nginx with dav-ext, lighttpd, WsgiDAV, Go's handler.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/servers/relay.rs"]
mod relay;
#[path = "support/servers/webdav.rs"]
mod servers;
mod support;

use std::fs;
use std::process::Command;

use relay::Relay;
use servers::{Kind, PASSWORD, Server};
use support::snapshot::{But, same, take};
use support::{Scratch, copy_folder, fixture, names, text, tree};

const PASSPHRASE: &str = "--passphrase=correct horse";

struct Bench {
    scratch: Scratch,
    server: Server,
}

fn bench(kind: Kind) -> Option<Bench> {
    Some(Bench {
        server: Server::start(kind)?,
        scratch: Scratch::new("webdav"),
    })
}

impl Bench {
    fn backup(&self, url: &str, more: &[&str], code: i32) {
        let source = self.scratch.at("source");
        let mut args = vec![
            "backup",
            url,
            text(&source),
            PASSPHRASE,
            "--dblock-size=1mb",
            "--blocksize=10kb",
            "--retry-delay=0s",
        ];
        args.extend(more);
        self.scratch.run(&args).code(&[code]);
    }

    fn restore(&self, url: &str, more: &[&str]) -> support::snapshot::Snapshot {
        let to = self.scratch.at("restored");
        let _ = fs::remove_dir_all(&to);
        let path = format!("--restore-path={}", text(&to));
        let mut args = vec!["restore", url, &path, "--restore-permissions"];
        args.extend(more);
        self.scratch.run(&args).code(&[0]);
        take(&to)
    }

    fn verify(&self, url: &str) {
        let args = [
            "verify",
            url,
            "all",
            "--full-remote-verification",
            PASSPHRASE,
        ];
        self.scratch.run(&args).code(&[0]);
    }

    fn forget_cache(&self) {
        let _ = fs::remove_dir_all(self.scratch.at("cache"));
        self.scratch.folder("cache");
    }
}

/// Every file of the folder, as curl reads it, is what the server holds on its disk.
fn read_back(bench: &Bench, login: &str, path: &str) {
    let folder = bench.server.folder(login).join(path);
    let mut count = 0;
    for name in names(&folder) {
        let name = name.to_str().unwrap();
        let url = format!(
            "http://127.0.0.1:{}/{login}/{}/{name}",
            bench.server.port,
            path.replace(' ', "%20").replace('+', "%2B")
        );
        let got = Command::new("curl")
            .args([
                "-s",
                "-f",
                "--noproxy",
                "*",
                "--anyauth",
                "-u",
                &format!("duplet:{PASSWORD}"),
                &url,
            ])
            .output()
            .unwrap();
        assert!(got.status.success(), "{url}");
        assert!(got.stdout == fs::read(folder.join(name)).unwrap(), "{url}");
        count += 1;
    }
    assert!(count >= 3, "a backup has at least three files");
}

fn three_versions(kind: Kind, login: &str) {
    let Some(b) = bench(kind) else { return };
    let source = b.scratch.folder("source");
    tree::make(&source, 7, 10 << 10);
    if let Some(more) = std::env::var_os("DUPLET_TEST_TREE") {
        let to = source.join("more");
        let copied = Command::new("cp").arg("-a").arg(more).arg(to).status();
        assert!(copied.unwrap().success());
    }
    let digest = if login == "basic" {
        ""
    } else {
        "force-digest-authentication"
    };
    let url = b
        .server
        .url(&format!("{login}/My%20Folder%2B%C3%A9/deep"), digest);
    let folder = "My Folder+\u{e9}/deep";
    let first = take(&source);
    b.backup(&url, &[], 0);
    let files = names(&b.server.folder(login).join(folder));
    b.backup(&url, &[], 1);
    assert_eq!(
        names(&b.server.folder(login).join(folder)),
        files,
        "nothing new, nothing changed"
    );
    tree::edit(&source, 8);
    let second = take(&source);
    b.backup(&url, &[], 0);
    read_back_ascii(&b, login, folder);
    b.forget_cache();
    same(
        &second,
        &b.restore(&url, &[PASSPHRASE]),
        But::default(),
        "newest",
    );
    b.forget_cache();
    same(
        &first,
        &b.restore(&url, &[PASSPHRASE, "--version=1"]),
        But::default(),
        "oldest",
    );
    b.verify(&url);
    let left = names(&b.server.folder(login).join(folder));
    assert!(
        left.iter()
            .all(|n| !n.to_str().unwrap().starts_with(".duplet")),
        "{left:?}"
    );
}

/// curl wants the folder encoded; the non-ASCII part is given as a plain copy of the folder.
fn read_back_ascii(b: &Bench, login: &str, folder: &str) {
    let plain = b.server.folder(login).join("plain+copy");
    copy_folder(&b.server.folder(login).join(folder), &plain);
    b.server.give_away();
    read_back(b, login, "plain+copy");
    fs::remove_dir_all(plain).unwrap();
}

#[test]
fn apache_with_basic_login() {
    three_versions(Kind::Apache, "basic");
}

#[test]
fn apache_with_digest_login() {
    three_versions(Kind::Apache, "digest");
}

#[test]
fn nginx_with_basic_login() {
    three_versions(Kind::Nginx, "basic");
}

#[test]
fn lighttpd_with_sha_256_login() {
    three_versions(Kind::Lighttpd, "sha256");
}

#[test]
fn wsgidav_with_digest_login() {
    three_versions(Kind::WsgiDav, "digest");
}

#[test]
fn go_with_basic_login() {
    three_versions(Kind::Go, "basic");
}

#[test]
fn every_login_of_every_server() {
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        fs::write(b.scratch.folder("source").join("f"), "text").unwrap();
        let logins: &[&str] = match kind {
            Kind::Nginx | Kind::Go => &["basic"],
            Kind::Lighttpd => &["basic", "digest", "sha256"],
            _ => &["basic", "digest"],
        };
        for login in logins {
            for more in [
                "",
                "webdav-auth-preemptive=false",
                "disable-expect100-continue",
                "no-connection-reuse",
            ] {
                let url = b.server.url(&format!("{login}/{more}"), more);
                b.backup(&url, &[], 0);
                b.verify(&url);
            }
            let wrong = b.server.url(login, "").replace(PASSWORD, "wrong-1");
            let e = b
                .scratch
                .run(&["list", &wrong])
                .code(&[100])
                .says("user 'duplet' rejected");
            assert_eq!(e.err.lines().count(), 1, "{}", e.all());
            assert!(!e.err.contains("wrong-1"), "{}", e.all());
        }
    }
}

#[test]
fn apache_over_tls() {
    let Some(b) = bench(Kind::Apache) else { return };
    fs::write(b.scratch.folder("source").join("f"), "text").unwrap();
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    let at = format!("localhost:{}/basic/x", b.server.tls_port);
    let url =
        format!("webdavs://duplet@{at}?auth-password={PASSWORD}&http-proxy=none&ssl-ca-file={ca}");
    b.backup(&url, &[], 0);
    b.verify(&url);
    let bare = url.replace(&format!("&ssl-ca-file={ca}"), "");
    b.scratch
        .run(&["list", &bare])
        .code(&[100])
        .says("accept-specified-ssl-hash");
}

#[test]
fn backups_of_duplicati_restore_from_every_server() {
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        for name in &support::fixture_names() {
            let dest = fixture(name).join("dest");
            copy_folder(&dest, &b.server.folder("basic").join(name));
            b.server.give_away();
            let more: Vec<&str> = support::opens_with(name).into_iter().collect();
            let here = b.restore(text(&dest), &more);
            let there = b.restore(&b.server.url(&format!("basic/{name}"), ""), &more);
            same(&here, &there, support::differs(name), name);
        }
    }
}

#[test]
fn a_client_killed_in_mid_upload_harms_nothing() {
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        let source = b.scratch.folder("source");
        tree::write(&source.join("first"), &support::Rand(99).bytes(100_000));
        let relay = Relay::to(b.server.port);
        let url = b.server.url_at(relay.port, "basic/x", "");
        b.backup(&url, &[], 0);
        for round in 0..3u64 {
            tree::write(
                &source.join("new"),
                &support::Rand(round + 1).bytes(3 << 20),
            );
            let stop = relay.hold_after(300_000 + round * 777_777);
            let mut child = b.scratch.start(&[
                "backup",
                &url,
                text(&source),
                PASSPHRASE,
                "--dblock-size=1mb",
                "--blocksize=10kb",
            ]);
            stop.wait();
            child.kill().unwrap();
            child.wait().unwrap();
            relay.release();
            let wanted = take(&source);
            b.scratch.run(&["verify", &url, "all", PASSPHRASE]).sane();
            b.backup(&url, &[], 0);
            b.verify(&url);
            same(
                &wanted,
                &b.restore(&url, &[PASSPHRASE]),
                But::default(),
                "after the kill",
            );
        }
    }
}

/// Whatever server it is: under the name of a volume there is never a part of one.
#[test]
fn no_part_of_a_volume_gets_its_name() {
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        let source = b.scratch.folder("source");
        tree::write(&source.join("new"), &support::Rand(1).bytes(3 << 20));
        let relay = Relay::to(b.server.port);
        let url = b.server.url_at(relay.port, "basic/x", "");
        let stop = relay.hold_after(700_000);
        let mut child = b.scratch.start(&[
            "backup",
            &url,
            text(&source),
            PASSPHRASE,
            "--dblock-size=1mb",
            "--blocksize=10kb",
            "--number-of-retries=0",
        ]);
        stop.wait();
        child.kill().unwrap();
        child.wait().unwrap();
        relay.release();
        // The server may need a moment to see that the client is gone.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let plain = b.server.url("basic/x", "");
        let listed = b.scratch.run(&["remote", "list", &plain]);
        for line in listed.out.lines() {
            let size: u64 = line.split('\t').nth(1).unwrap().parse().unwrap();
            let whole = size > 900_000 || line.contains(".dindex.");
            assert!(line.starts_with('.') || whole, "{kind:?}: {line}");
        }
        b.backup(&url, &[], 0);
        b.verify(&url);
    }
}

#[test]
fn a_server_killed_in_mid_upload_harms_nothing() {
    for kind in servers::ALL {
        let Some(mut b) = bench(kind) else { continue };
        let source = b.scratch.folder("source");
        tree::write(&source.join("first"), &support::Rand(99).bytes(100_000));
        let relay = Relay::to(b.server.port);
        let url = b.server.url_at(relay.port, "basic/x", "");
        b.backup(&url, &[], 0);
        for round in 0..3u64 {
            tree::write(
                &source.join("new"),
                &support::Rand(round + 1).bytes(3 << 20),
            );
            let stop = relay.hold_after(400_000 + round * 888_888);
            let args = [
                "backup",
                &url,
                text(&source),
                PASSPHRASE,
                "--dblock-size=1mb",
                "--blocksize=10kb",
                "--number-of-retries=0",
            ];
            let mut child = b.scratch.start(&args);
            stop.wait();
            b.server.kill();
            relay.release();
            assert!(!child.wait().unwrap().success());
            b.server.restart();
            let wanted = take(&source);
            b.backup(&url, &[], 0);
            b.verify(&url);
            same(
                &wanted,
                &b.restore(&url, &[PASSPHRASE]),
                But::default(),
                "after the kill",
            );
        }
    }
}

#[test]
fn a_server_that_comes_back_is_used_on() {
    let Some(mut b) = bench(Kind::Apache) else {
        return;
    };
    let source = b.scratch.folder("source");
    tree::write(&source.join("new"), &support::Rand(1).bytes(3 << 20));
    let relay = Relay::to(b.server.port);
    let url = b.server.url_at(relay.port, "basic/x", "");
    let stop = relay.hold_after(700_000);
    let args = [
        "backup",
        &url,
        text(&source),
        PASSPHRASE,
        "--dblock-size=1mb",
        "--blocksize=10kb",
        "--number-of-retries=9",
        "--retry-delay=1s",
    ];
    let mut child = b.scratch.start(&args);
    stop.wait();
    b.server.restart();
    relay.release();
    assert!(child.wait().unwrap().success());
    b.verify(&url);
}

#[test]
fn twenty_thousand_entries_within_the_memory_budget() {
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        fs::write(b.scratch.folder("source").join("f"), "text").unwrap();
        let url = b.server.url("basic/x", "");
        b.backup(&url, &[], 0);
        let folder = b.server.folder("basic").join("x");
        for i in 0..20_000 {
            fs::write(folder.join(format!("other-file-{i:05}.bin")), b"").unwrap();
        }
        let out = Command::new("python3")
            .args([
                "-c",
                "import resource,subprocess,sys\nr=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE)\nprint(r.returncode,resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,r.stderr.decode())",
                env!("CARGO_BIN_EXE_duplet"),
                "list",
                &url,
                PASSPHRASE,
            ])
            .env("HOME", b.scratch.at("home"))
            .env("XDG_CACHE_HOME", b.scratch.at("cache"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(words[0], "0", "{said}");
        let peak: u64 = words[1].parse().unwrap();
        eprintln!("{kind:?}: list among 20 000 files: {peak} KiB");
        assert!(peak < 32 << 10, "{kind:?}: {peak} KiB");
    }
}

#[test]
fn mistakes_in_the_url_are_explained() {
    if let Some(b) = bench(Kind::Nginx) {
        b.scratch
            .run(&["list", &b.server.url("plain", "")])
            .code(&[100])
            .says("dav-ext");
        let source = b.scratch.folder("source");
        tree::write(&source.join("new"), &support::Rand(1).bytes(3 << 20));
        let url = b.server.url("small", "");
        let args = [
            "backup",
            &url,
            text(&source),
            PASSPHRASE,
            "--dblock-size=2mb",
        ];
        b.scratch.run(&args).code(&[100]).says("--dblock-size");
    }
    for kind in servers::ALL {
        let Some(b) = bench(kind) else { continue };
        fs::write(b.server.folder("basic").join("file"), "x").unwrap();
        b.server.give_away();
        let url = b.server.url("basic/file", "");
        let e = b.scratch.run(&["list", &url]);
        e.sane();
        assert!(
            e.err.contains("is a file on the server"),
            "{kind:?}: {}",
            e.all()
        );
        let missing = b.server.url("basic/not/there", "");
        b.scratch
            .run(&["list", &missing])
            .code(&[100])
            .says("not/there");
        assert!(
            !b.server.folder("basic").join("not").exists(),
            "reading makes no folder"
        );
    }
}
