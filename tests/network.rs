//! The line to a server as a user meets it: proxies of the environment, servers that are not there, what a report counts.

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/forward.rs"]
mod forward;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faulty::Server;
use faulty_dav::{Dav, Login};
use forward::{Forward, Rules};
use support::Scratch;

/// `u:p`.
const BASIC: &str = "Basic dTpw";

struct Bench {
    scratch: Scratch,
    server: Server<Dav>,
}

fn bench(label: &str) -> Bench {
    let scratch = Scratch::new(label);
    let source = scratch.folder("source");
    fs::write(source.join("a.txt"), "hello").expect("a file");
    let server = Server::start(|_| Dav {
        login: Login::Basic(BASIC.to_owned()),
        ..Dav::new()
    });
    Bench { scratch, server }
}

impl Bench {
    fn url(&self, query: &str) -> String {
        format!("webdav://u:p@{}/d/b?{query}", self.server.address)
    }

    /// A backup with this environment.
    fn backup(&self, query: &str, env: &[(&str, &str)]) -> support::Ran {
        let args = ["backup", &self.url(query), "source", "--no-encryption"];
        let fast = ["--retry-delay=0s", "--number-of-retries=0"];
        self.scratch.run_env(&[&args[..], &fast].concat(), env)
    }
}

#[test]
fn proxies_of_the_environment() {
    let b = bench("proxies");
    let strict = || {
        Forward::start(Rules {
            connect: Some(403),
            ..Rules::default()
        })
    };
    let (plain, other) = (strict(), strict());
    let (url, far) = (plain.url(), other.url());
    for (env, through) in [
        (&[("http_proxy", url.as_str())][..], true),
        (&[("http_proxy", &url), ("https_proxy", &far)], true),
        (&[("https_proxy", &far)], false),
        (
            &[("http_proxy", &url), ("no_proxy", "127.0.0.0/8, x")],
            false,
        ),
        (&[("http_proxy", "")], false),
    ] {
        let (before, direct) = (plain.asked().len(), b.server.seen("").len());
        let ran = b.backup("", env);
        assert!(
            [0, 1].contains(&ran.code),
            "{env:?} {} {:?}",
            ran.err,
            plain.asked()
        );
        assert_eq!(plain.asked().len() > before, through, "{env:?}");
        let straight = b.server.seen("").len() > direct;
        assert!(straight, "in the end it is asked: {env:?}");
    }
    assert!(other.asked().is_empty());
    let asked = plain.asked();
    let whole = format!("http://{}/d/b", b.server.address);
    assert!(
        asked.iter().all(|a| a.target.starts_with(&whole)),
        "{asked:?}"
    );
    // The option beats them.
    let before = plain.asked().len();
    b.backup("http-proxy=none", &[("http_proxy", &url)])
        .code(&[0, 1]);
    assert_eq!(plain.asked().len(), before);
}

#[test]
fn proxies_that_cannot_be_used() {
    let b = bench("badproxies");
    let url = "http://me:s3cret@127.0.0.1:9";
    for (env, part) in [
        (
            &[("HTTP_PROXY", "http://me:s3cret@:8080")][..],
            "HTTP_PROXY",
        ),
        (&[("all_proxy", "http://h:99999")], "all_proxy"),
        (&[("http_proxy", url), ("no_proxy", "http://h")], "no_proxy"),
    ] {
        let ran = b.backup("", env).code(&[200]).says(part);
        assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    }
    let args = ["list", &b.url(""), "--http-proxy=h:0"];
    b.scratch.run(&args).code(&[200]).says("--http-proxy");
    assert!(b.server.seen("").is_empty());
    let ran = b.backup("", &[("http_proxy", url)]).code(&[100]);
    let ran = ran.says("the proxy 127.0.0.1:9").says("--http-proxy=none");
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
}

/// Without the options that say how often, one more attempt is made, and that soon.
#[test]
fn a_server_that_is_not_there() {
    let scratch = Scratch::new("refused");
    scratch.folder("source");
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let login = "auth-username=k&auth-password=s3cretkey";
    for url in [
        format!("webdav://{dead}/d?{login}"),
        format!("s3://bkt/p?s3-server-name={dead}&use-ssl=false&{login}"),
        format!("s3://bkt/p?s3-server-name={dead}&use-ssl=true&{login}"),
        format!("b2://bkt/p?b2-api-url=http://{dead}&{login}"),
        format!("ipfs://{dead}/p"),
    ] {
        for args in [
            &["list", &url][..],
            &["backup", &url, "source", "--no-encryption"],
            &["remote", "get", &url, "x", "to"],
        ] {
            // Were it to wait for minutes, the test would not end.
            scratch
                .run(args)
                .code(&[100])
                .says("connection refused, 2 attempts")
                .says("attempt 2 of 2");
        }
        let given = format!(
            "{url}{}retry-delay=0s&number-of-retries=4",
            if url.contains('?') { "&" } else { "?" }
        );
        scratch
            .run(&["list", &given])
            .code(&[100])
            .says("5 attempts");
    }
}

#[test]
fn a_report_counts_every_request() {
    let b = bench("counts");
    let url = b.url("");
    let common = ["--no-encryption", "--json", "--retry-delay=0s"];
    for args in [
        &["backup", &url, "source"][..],
        &["backup", &url, "source"],
        &["remote", "list", &url],
        &["remote", "test", &url],
        &["restore", &url, "--restore-path=out"],
    ] {
        let before = b.server.seen("").len();
        if args[0] == "restore" {
            // One that is repeated counts twice.
            b.server.script(
                "GET",
                "",
                faulty::Trouble::Answer(500, Vec::new(), String::new()),
            );
        }
        let common = if args[0] == "remote" {
            &common[1..]
        } else {
            &common
        };
        let ran = b.scratch.run(&[args, common].concat()).code(&[0, 1]);
        let sent = b.server.seen("").len() - before;
        let counted = ran.out.split("\"RemoteCalls\":").nth(1).expect("counted");
        let counted: String = counted
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        assert_eq!(counted, sent.to_string(), "{}", ran.line);
    }
}

#[test]
fn a_plain_port_is_told_from_a_server_that_is_down() {
    let count = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let shared = count.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            shared.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let scratch = Scratch::new("plainport");
    let url = format!("webdavs://u:s3cret@{address}/d?http-proxy=none");
    let ran = scratch.run(&["list", &url]).code(&[100]);
    ran.says("may not speak TLS on this port")
        .says("use-ssl=false");
    assert_eq!(count.load(Ordering::SeqCst), 2, "once, and once more");
}
