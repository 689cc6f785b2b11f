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
use std::ops::Deref;
use std::process::{Child, Command};

use relay::Relay;
use servers::{Kind, PASSWORD, Server};
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, copy_folder, names, tree};

const PASSPHRASE: &str = "--passphrase=correct horse";
const SIZES: [&str; 3] = ["--dblock-size=1mb", "--blocksize=10kb", "--retry-delay=0s"];

struct Bench {
    trip: Trip,
    server: Server,
}

impl Deref for Bench {
    type Target = Trip;

    fn deref(&self) -> &Trip {
        &self.trip
    }
}

fn bench(kind: Kind) -> Option<Bench> {
    Some(Bench {
        server: Server::start(kind)?,
        trip: Trip::new("webdav", PASSPHRASE, &SIZES),
    })
}

/// All servers there are here.
fn benches() -> impl Iterator<Item = (Kind, Bench)> {
    let all = servers::ALL.into_iter();
    all.filter_map(|kind| Some((kind, bench(kind)?)))
}

impl Bench {
    fn write(&self, name: &str, seed: u64, len: usize) {
        tree::write(&self.source().join(name), &Rand(seed).bytes(len));
    }

    /// A line to the server that can be held, and the URL of a folder at its end.
    fn relayed(&self) -> (Relay, String) {
        let relay = Relay::to(self.server.port);
        let url = self.server.url_at(relay.port, "basic/x", "");
        (relay, url)
    }

    /// A backup of which no more than so many bytes have gone up so far.
    fn held(&self, (relay, url): &(Relay, String), bytes: u64, more: &[&str]) -> Child {
        let stop = relay.hold_after(bytes);
        let child = self.begin(url, more);
        stop.wait();
        child
    }

    /// The next backup makes everything right.
    fn heals(&self, url: &str) {
        self.backup(url, &[]).code(&[0]);
        self.verify(url);
        self.gives(&take(&self.source()), url, &[]);
    }
}

/// Every file of the folder, as curl reads it, is what the server holds on its disk. curl wants the folder encoded; it is read
/// in a copy with a plain name.
fn read_back(b: &Bench, login: &str, folder: &str) {
    let plain = b.server.folder(login).join("plain+copy");
    copy_folder(&b.server.folder(login).join(folder), &plain);
    b.server.give_away();
    let all = names(&plain);
    assert!(all.len() >= 3, "a backup has at least three files");
    for name in all {
        let name = name.to_str().unwrap();
        let port = b.server.port;
        let url = format!("http://127.0.0.1:{port}/{login}/plain%2Bcopy/{name}");
        let user = format!("duplet:{PASSWORD}");
        let got = Command::new("curl")
            .args(["-s", "-f", "--noproxy", "*", "--anyauth", "-u", &user, &url])
            .output()
            .unwrap();
        assert!(got.status.success(), "{url}");
        assert!(got.stdout == fs::read(plain.join(name)).unwrap(), "{url}");
    }
    fs::remove_dir_all(plain).unwrap();
}

fn three_versions(kind: Kind, login: &str) {
    let Some(b) = bench(kind) else { return };
    let source = b.source();
    tree::make(&source, 7, 10 << 10);
    b.given_tree();
    let digest = match login {
        "basic" => "",
        _ => "force-digest-authentication",
    };
    let path = format!("{login}/My%20Folder%2B%C3%A9/deep");
    let url = b.server.url(&path, digest);
    let folder = "My Folder+\u{e9}/deep";
    let stored = || names(&b.server.folder(login).join(folder));
    let first = take(&source);
    b.backup(&url, &[]).code(&[0]);
    let files = stored();
    b.backup(&url, &[]).code(&[1]);
    assert_eq!(stored(), files, "nothing new, nothing changed");
    tree::edit(&source, 8);
    let second = take(&source);
    b.backup(&url, &[]).code(&[0]);
    read_back(&b, login, folder);
    b.gives(&second, &url, &[]);
    b.gives(&first, &url, &["--version=1"]);
    b.verify(&url);
    let left = stored();
    let temporary = left
        .iter()
        .find(|n| n.to_string_lossy().starts_with(".duplet"));
    assert_eq!(temporary, None, "{left:?}");
}

macro_rules! three_versions {
    ($($test:ident: $kind:ident $login:literal;)*) => {
        $(#[test]
        fn $test() {
            three_versions(Kind::$kind, $login);
        })*
    };
}

three_versions! {
    apache_with_basic_login: Apache "basic";
    apache_with_digest_login: Apache "digest";
    nginx_with_basic_login: Nginx "basic";
    lighttpd_with_sha_256_login: Lighttpd "sha256";
    wsgidav_with_digest_login: WsgiDav "digest";
    go_with_basic_login: Go "basic";
}

#[test]
fn every_login_of_every_server() {
    for (kind, b) in benches() {
        fs::write(b.source().join("f"), "text").unwrap();
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
                b.backup(&url, &[]).code(&[0]);
                b.verify(&url);
            }
            let wrong = b.server.url(login, "").replace(PASSWORD, "wrong-1");
            let ran = b.run(&["list", &wrong]).code(&[100]);
            let e = ran.says("user 'duplet' rejected");
            assert_eq!(e.err.lines().count(), 1, "{}", e.all());
            assert!(!e.err.contains("wrong-1"), "{}", e.all());
        }
    }
}

#[test]
fn apache_over_tls() {
    let Some(b) = bench(Kind::Apache) else { return };
    fs::write(b.source().join("f"), "text").unwrap();
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    let at = format!("localhost:{}/basic/x", b.server.tls_port);
    let url =
        format!("webdavs://duplet@{at}?auth-password={PASSWORD}&http-proxy=none&ssl-ca-file={ca}");
    b.backup(&url, &[]).code(&[0]);
    b.verify(&url);
    let bare = url.replace(&format!("&ssl-ca-file={ca}"), "");
    let ran = b.run(&["list", &bare]).code(&[100]);
    ran.says("accept-specified-ssl-hash");
}

#[test]
fn backups_of_duplicati_restore_from_every_server() {
    for (_, b) in benches() {
        b.fixtures(|name, dest| {
            copy_folder(dest, &b.server.folder("basic").join(name));
            b.server.give_away();
            b.server.url(&format!("basic/{name}"), "")
        });
    }
}

#[test]
fn a_client_killed_in_mid_upload_harms_nothing() {
    for (_, b) in benches() {
        b.write("first", 99, 100_000);
        let line = b.relayed();
        b.backup(&line.1, &[]).code(&[0]);
        for round in 0..3u64 {
            b.write("new", round + 1, 3 << 20);
            let mut child = b.held(&line, 300_000 + round * 777_777, &[]);
            child.kill().unwrap();
            child.wait().unwrap();
            line.0.release();
            b.run(&["verify", &line.1, "all", PASSPHRASE]).sane();
            b.heals(&line.1);
        }
    }
}

/// Whatever server it is: under the name of a volume there is never a part of one.
#[test]
fn no_part_of_a_volume_gets_its_name() {
    for (kind, b) in benches() {
        b.write("new", 1, 3 << 20);
        let line = b.relayed();
        let mut child = b.held(&line, 700_000, &["--number-of-retries=0"]);
        child.kill().unwrap();
        child.wait().unwrap();
        line.0.release();
        // The server may need a moment to see that the client is gone.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let listed = b.run(&["remote", "list", &b.server.url("basic/x", "")]);
        for line in listed.out.lines() {
            let size: u64 = line.split('\t').nth(1).unwrap().parse().unwrap();
            let whole = size > 900_000 || line.contains(".dindex.");
            assert!(line.starts_with('.') || whole, "{kind:?}: {line}");
        }
        b.heals(&line.1);
    }
}

#[test]
fn a_server_killed_in_mid_upload_harms_nothing() {
    for (_, mut b) in benches() {
        b.write("first", 99, 100_000);
        let line = b.relayed();
        b.backup(&line.1, &[]).code(&[0]);
        for round in 0..3u64 {
            b.write("new", round + 1, 3 << 20);
            let bytes = 400_000 + round * 888_888;
            let mut child = b.held(&line, bytes, &["--number-of-retries=0"]);
            b.server.kill();
            line.0.release();
            assert!(!child.wait().unwrap().success());
            b.server.restart();
            b.heals(&line.1);
        }
    }
}

#[test]
fn a_server_that_comes_back_is_used_on() {
    let Some(mut b) = bench(Kind::Apache) else {
        return;
    };
    b.write("new", 1, 3 << 20);
    let line = b.relayed();
    let patient = ["--number-of-retries=9", "--retry-delay=1s"];
    let mut child = b.held(&line, 700_000, &patient);
    b.server.restart();
    line.0.release();
    assert!(child.wait().unwrap().success());
    b.verify(&line.1);
}

#[test]
fn twenty_thousand_entries_within_the_memory_budget() {
    for (kind, b) in benches() {
        fs::write(b.source().join("f"), "text").unwrap();
        let url = b.server.url("basic/x", "");
        b.backup(&url, &[]).code(&[0]);
        let folder = b.server.folder("basic").join("x");
        for i in 0..20_000 {
            fs::write(folder.join(format!("other-file-{i:05}.bin")), b"").unwrap();
        }
        let peak = b.listing_peak(&url, &[PASSPHRASE]);
        eprintln!("{kind:?}: list among 20 000 files: {peak} KiB");
        assert!(peak < 32 << 10, "{kind:?}: {peak} KiB");
    }
}

#[test]
fn mistakes_in_the_url_are_explained() {
    if let Some(b) = bench(Kind::Nginx) {
        let plain = b.run(&["list", &b.server.url("plain", "")]);
        plain.code(&[100]).says("dav-ext");
        b.write("new", 1, 3 << 20);
        let large = b.backup(&b.server.url("small", ""), &["--dblock-size=2mb"]);
        large.code(&[100]).says("--dblock-size");
    }
    for (kind, b) in benches() {
        fs::write(b.server.folder("basic").join("file"), "x").unwrap();
        b.server.give_away();
        let e = b.run(&["list", &b.server.url("basic/file", "")]);
        e.sane();
        let named = e.err.contains("is a file on the server");
        assert!(named, "{kind:?}: {}", e.all());
        let missing = b.server.url("basic/not/there", "");
        b.run(&["list", &missing]).code(&[100]).says("not/there");
        let made = b.server.folder("basic").join("not").exists();
        assert!(!made, "reading makes no folder");
    }
}
