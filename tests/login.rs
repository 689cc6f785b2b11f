//! `duplet remote login`: log-ins that a person makes in a browser, with the person and the providers played here.

#![cfg(feature = "dest-onedrive")]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty.rs"]
mod faulty;
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use faulty::{Reply, Seen, Server, Service, Twist, decode};
use ring::digest::{SHA256, digest};
use support::servers::onedrive::{Graph, TokenService};
use support::{Scratch, text};

/// A provider's own token service, which answers in this order.
#[derive(Default)]
struct Id {
    /// Of questions for a token; the last for all further ones.
    answers: Vec<(u16, String)>,
    /// Forms of all questions for one.
    forms: Vec<String>,
    interval: u64,
}

impl Service for Id {
    fn act(&mut self, request: &Seen, _: Vec<u8>, _: Twist) -> Reply {
        let json = |status, text: String| (status, Vec::new(), text.into_bytes());
        assert_eq!(request.method, "POST");
        assert!(request.holds("content-type", "application/x-www-form-urlencoded"));
        match request.target.as_str() {
            "/v2/devicecode" => json(
                200,
                format!(
                    r#"{{"device_code":"secret-device","user_code":"ABCD-EFGH","verification_uri":"https://example.com/device","expires_in":900,"interval":{},"message":"x"}}"#,
                    self.interval
                ),
            ),
            "/v2/token" => {
                self.forms.push(request.text.clone());
                let answer = match self.answers.len() {
                    1 => self.answers[0].clone(),
                    _ => self.answers.remove(0),
                };
                json(answer.0, answer.1)
            }
            _ => json(404, String::new()),
        }
    }
}

fn error(word: &str) -> (u16, String) {
    let text = format!(r#"{{"error":"{word}","error_description":"because of secret-device"}}"#);
    (400, text)
}

fn given() -> (u16, String) {
    let text = r#"{"access_token":"secret-access","expires_in":3600,"refresh_token":"secret-refresh","token_type":"Bearer"}"#;
    (200, text.to_owned())
}

/// The program while it waits.
struct Waiting {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it asks the person to do, and the page.
    what: String,
    page: String,
}

impl Waiting {
    fn start(scratch: &Scratch, args: &[&str]) -> Waiting {
        let args = [&["remote", "login"], args, &["--http-proxy=none"]].concat();
        let mut command = scratch.command(&args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let (what, page) = (line(), line());
        Waiting {
            child,
            out,
            what,
            page,
        }
    }

    /// Exit code, the rest of its output, and its errors.
    fn end(mut self) -> (i32, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out, err)
    }

    /// A value in the query of the page.
    fn value(&self, name: &str) -> String {
        let query = self.page.split_once('?').unwrap().1;
        let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
        decode(
            pairs
                .find(|(n, _)| *n == name)
                .unwrap_or_else(|| panic!("{name}"))
                .1,
        )
    }
}

/// A browser at `address`: the reply.
fn browse(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let ask = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn token_url(at: SocketAddr) -> String {
    format!("--oauth-token-url=http://{at}/v2/token")
}

fn provider(answers: Vec<(u16, String)>) -> Server<Id> {
    Server::start(|_| Id {
        answers,
        forms: Vec::new(),
        interval: 1,
    })
}

/// `+` of a form, and no padding.
fn base64_url(data: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = data
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1))
        .collect();
    let digit = |six: &[u8]| {
        let at = (0..6).fold(0, |n, i| {
            n << 1 | usize::from(six.get(i).copied().unwrap_or(0))
        });
        char::from(DIGITS[at])
    };
    bits.chunks(6).map(digit).collect()
}

#[test]
fn on_a_page_of_the_token_service() {
    let service = TokenService::start(&[]);
    let stub = Graph::start(&["--tokens", &service.tokens()]);
    let scratch = Scratch::new("login");
    let file = scratch.at("token");
    let log = scratch.at("log");
    let url = format!("--oauth-url={}", service.url());
    let kept = format!("--oauth-token-file={}", text(&file));
    let log_option = format!("--log-file={}", text(&log));
    for kept in [Some(&kept), None] {
        let mut args = vec!["OneDriveV2", &url, &log_option];
        args.extend(kept.map(|kept| kept.as_str()));
        let waiting = Waiting::start(&scratch, &args);
        assert!(waiting.what.contains("on any device"), "{}", waiting.what);
        assert_eq!(waiting.value("type"), "onedrivev2");
        let token = waiting.value("token");
        assert!(token.len() > 20);
        // Before anybody has opened the page the service knows of nothing.
        std::thread::sleep(std::time::Duration::from_millis(500));
        service.ask(&format!("/?type=onedrivev2&token={token}"));
        let login = service.ask(&format!("/login?id=onedrivev2&token={token}"));
        let to = login
            .lines()
            .find_map(|l| l.strip_prefix("Location: "))
            .unwrap();
        let page = service.ask(to.trim());
        let id = page
            .split("<p id=authid>")
            .nth(1)
            .unwrap()
            .split('<')
            .next()
            .unwrap();
        let (code, out, err) = waiting.end();
        assert_eq!(code, 0, "{out}{err}");
        match kept {
            Some(_) => {
                assert!(!out.contains(id) && !err.contains(id));
                assert!(fs::read_to_string(&file).unwrap().contains(id));
                let mode = fs::metadata(&file).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
            None => {
                assert_eq!(
                    out.trim_end().lines().last().unwrap(),
                    format!("--authid={id}")
                );
                assert!(!err.contains(id));
            }
        }
        let log = fs::read_to_string(&log).unwrap();
        assert!(!log.contains(id) && !log.contains(&token), "{log}");
    }
    // It is good for a backup.
    let place = stub.with(
        "onedrivev2://box",
        &format!("oauth-token-file={}", text(&file)),
    );
    let ran = scratch.run(&["remote", "mkdir", &place]).code(&[0]);
    assert!(!ran.err.contains("others can read"), "{}", ran.all());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = scratch.run(&["remote", "mkdir", &place]).code(&[0]);
    assert!(ran.err.contains("others can read"), "{}", ran.all());
}

#[test]
fn by_a_code_that_is_entered_on_another_device() {
    let scratch = Scratch::new("login");
    let server = provider(vec![
        error("authorization_pending"),
        error("slow_down"),
        given(),
    ]);
    let file = scratch.at("token");
    let kept = format!("--oauth-token-file={}", text(&file));
    let at = token_url(server.address);
    let args = ["sharepoint", "--oauth-client-id=own client", &at, &kept];
    let waiting = Waiting::start(&scratch, &args);
    assert!(waiting.what.contains("ABCD-EFGH"), "{}", waiting.what);
    assert_eq!(waiting.page, "https://example.com/device");
    let (code, out, err) = waiting.end();
    assert_eq!(code, 0, "{out}{err}");
    let forms = server.with(|id| id.forms.clone());
    assert_eq!(forms.len(), 3);
    for form in &forms {
        let kind = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        assert!(
            form.contains(kind) && form.contains("device_code=secret-device"),
            "{form}"
        );
        assert!(form.contains("client_id=own%20client"), "{form}");
    }
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("secret-refresh")
            && text.contains("own client")
            && text.contains("/v2/token")
    );
    assert!(!text.contains("secret-access"));
    assert!(!format!("{out}{err}").contains("secret"), "{out}{err}");
}

#[test]
fn codes_that_nobody_enters() {
    let scratch = Scratch::new("login");
    for (answer, words) in [
        (error("expired_token"), "nobody has logged in in time"),
        (error("access_denied"), "was declined"),
        (error("authorization_declined"), "was declined"),
        (error("invalid_client"), "does not accept the client"),
        (
            error("invalid_scope"),
            "does not give the client these rights",
        ),
        (
            (200, r#"{"access_token":"secret-access"}"#.to_owned()),
            "gives no refresh token",
        ),
        ((200, "<html>".to_owned()), "is not complete JSON"),
    ] {
        let server = provider(vec![answer]);
        let at = token_url(server.address);
        let waiting = Waiting::start(&scratch, &["onedrivev2", "--oauth-client-id=own", &at]);
        let (code, out, err) = waiting.end();
        assert_eq!(code, 100, "{words}: {out}{err}");
        assert!(
            err.contains(words) && err.trim_end().lines().count() == 1,
            "{words}: {err}"
        );
        assert!(!format!("{out}{err}").contains("secret-"), "{out}{err}");
    }
}

#[test]
fn by_a_browser_of_this_machine() {
    let scratch = Scratch::new("login");
    let server = provider(vec![given()]);
    let at = token_url(server.address);
    let secret = "--oauth-client-secret=hunter2";
    let args = [
        "dropbox",
        "--oauth-client-id=own",
        secret,
        "--oauth-port=0",
        &at,
    ];
    let waiting = Waiting::start(&scratch, &args);
    assert!(
        waiting
            .page
            .starts_with("https://www.dropbox.com/oauth2/authorize?")
    );
    assert!(!waiting.page.contains("hunter2"));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "own"),
        ("code_challenge_method", "S256"),
        ("token_access_type", "offline"),
    ] {
        assert_eq!(waiting.value(name), value);
    }
    let back = waiting.value("redirect_uri");
    let host = back
        .strip_prefix("http://")
        .unwrap()
        .trim_end_matches('/')
        .to_owned();
    assert!(host.starts_with("127.0.0.1:"));
    let (state, challenge) = (waiting.value("state"), waiting.value("code_challenge"));
    // Not ours: another page of the browser, and somebody who guesses.
    for other in ["/favicon.ico", "/?code=evil", "/?code=evil&state=guess"] {
        assert!(browse(&host, other).starts_with("HTTP/1.1 404"));
    }
    let reply = browse(&host, &format!("/?state={state}&code=secret-code%2F1"));
    assert!(reply.contains("You can close this page") && !reply.contains("secret"));
    let (code, out, err) = waiting.end();
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        out.trim_end().lines().last().unwrap(),
        "--oauth-refresh-token=secret-refresh"
    );
    assert!(!err.contains("secret-"), "{err}");
    let forms = server.with(|id| id.forms.clone());
    assert_eq!(forms.len(), 1, "only ours was taken");
    let value = |name: &str| {
        let mut pairs = forms[0].split('&').filter_map(|p| p.split_once('='));
        decode(pairs.find(|(n, _)| *n == name).unwrap().1)
    };
    assert_eq!(value("grant_type"), "authorization_code");
    assert_eq!(value("code"), "secret-code/1");
    assert_eq!(value("redirect_uri"), back);
    assert_eq!(value("client_secret"), "hunter2");
    let verifier = value("code_verifier");
    assert!(verifier.len() >= 43);
    assert_eq!(
        base64_url(digest(&SHA256, verifier.as_bytes()).as_ref()),
        challenge
    );
}

#[test]
fn a_browser_that_brings_a_refusal_and_ports_that_are_taken() {
    let scratch = Scratch::new("login");
    for (error, words) in [
        ("access_denied", "was declined"),
        ("server_error", "no consent: server_error"),
    ] {
        let waiting = Waiting::start(
            &scratch,
            &["gcs", "--oauth-client-id=own", "--oauth-port=0"],
        );
        assert!(
            waiting
                .page
                .starts_with("https://accounts.google.com/o/oauth2/v2/auth?")
        );
        let back = waiting.value("redirect_uri");
        let host = back
            .strip_prefix("http://")
            .unwrap()
            .trim_end_matches('/')
            .to_owned();
        browse(
            &host,
            &format!("/?error={error}&state={}", waiting.value("state")),
        );
        let (code, _, err) = waiting.end();
        assert_eq!(code, 100, "{err}");
        assert!(err.contains(words), "{err}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--oauth-port={}", taken.local_addr().unwrap().port());
    let ran = scratch.run(&["remote", "login", "dropbox", "--oauth-client-id=own", &port]);
    assert!(
        ran.err.contains("--oauth-port names another"),
        "{}",
        ran.all()
    );
    scratch
        .run(&[
            "remote",
            "login",
            "dropbox",
            "--oauth-client-id=own",
            "--oauth-port=99999",
        ])
        .code(&[200]);
}

/// Its tokens do not expire, and are good at the server that the browser names.
#[test]
fn by_a_browser_at_a_provider_whose_tokens_last() {
    let scratch = Scratch::new("login");
    let file = scratch.at("token");
    let kept = format!("--oauth-token-file={}", text(&file));
    let given = r#"{"result":0,"access_token":"secrettoken","userid":1,"locationid":2}"#;
    let refused = r#"{"result":2012,"error":"Invalid 'code' provided."}"#;
    for (answer, code) in [(refused, 100), (given, 0)] {
        let server = provider(vec![(200, answer.to_owned())]);
        let at = token_url(server.address);
        let secret = "--oauth-client-secret=hunter2";
        let args = ["pcloud", "--oauth-client-id=own", secret, "--oauth-port=0"];
        let waiting = Waiting::start(&scratch, &[&args[..], &[&at, &kept]].concat());
        let page = "https://my.pcloud.com/oauth2/authorize?response_type=code&client_id=own&";
        assert!(waiting.page.starts_with(page), "{}", waiting.page);
        let (back, state) = (waiting.value("redirect_uri"), waiting.value("state"));
        let host = back.strip_prefix("http://").unwrap().trim_end_matches('/');
        let more = "code=secretcode&locationid=2&hostname=eapi.pcloud.com";
        browse(host, &format!("/?state={state}&{more}"));
        let (got, out, err) = waiting.end();
        assert_eq!(got, code, "{out}{err}");
        for secret in ["secrettoken", "secretcode", "hunter2"] {
            assert!(!format!("{out}{err}").contains(secret), "{out}{err}");
        }
        let forms = server.with(|id| id.forms.clone());
        assert!(forms[0].contains("code=secretcode"), "{forms:?}");
        match code {
            0 => {
                let words = "pcloud://eapi.pcloud.com/FOLDER";
                assert!(format!("{out}{err}").contains(words), "{out}{err}");
            }
            _ => {
                assert!(
                    err.contains("gives no token; it says: Invalid 'code'"),
                    "{err}"
                );
                assert!(!file.exists());
            }
        }
    }
    let there = fs::read_to_string(&file).unwrap();
    assert!(there.contains(r#""authid":"secrettoken""#), "{there}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// The page of the token service shows the token; nobody can fetch it from there.
#[test]
fn by_a_token_that_is_entered() {
    let scratch = Scratch::new("login");
    let waiting = Waiting::start(&scratch, &["pcloud"]);
    let page = "https://oauth-service.duplicati.com/?type=pcloud&token=";
    assert!(waiting.page.starts_with(page), "{}", waiting.page);
    let (code, _, err) = waiting.end();
    assert_eq!(code, 200, "{err}");
    assert!(err.contains("is entered at a terminal"), "{err}");
    let file = scratch.at("token");
    let kept = format!("--oauth-token-file={}", text(&file));
    // At a terminal: what it shows, and the exit code.
    let script = "import os, pty, sys\n\
        pid, fd = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[2], sys.argv[2:])\n\
        shown, entered = b'', False\n\
        while True:\n\
        \x20   try: piece = os.read(fd, 4096)\n\
        \x20   except OSError: break\n\
        \x20   if not piece: break\n\
        \x20   shown += piece\n\
        \x20   if b'access token: ' in shown and not entered:\n\
        \x20       entered = True\n\
        \x20       os.write(fd, sys.argv[1].encode() + b'\\n')\n\
        sys.stdout.buffer.write(shown)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
    let enter = |token: &str, kept: &str| {
        let program = env!("CARGO_BIN_EXE_duplet");
        let args = [
            "-c",
            script,
            token,
            program,
            "remote",
            "login",
            "pcloud",
            "--oauth-url=http://127.0.0.1:1/refresh",
            kept,
        ];
        let mut command = scratch.other(&["python3"], &args);
        let done = command.output().unwrap();
        let shown = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code().unwrap(), shown)
    };
    for bad in ["", "Server error, you must de-authorize", "a:b"] {
        let (code, shown) = enter(bad, &kept);
        assert_eq!(code, 200, "{shown}");
        assert!(shown.contains("that is no access token"), "{shown}");
        assert!(!file.exists());
    }
    let (code, shown) = enter(" secrettoken", &kept);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("http://127.0.0.1:1/?type=pcloud"), "{shown}");
    assert!(shown.contains("pcloud://SERVER/FOLDER"), "{shown}");
    assert!(!shown.contains("secrettoken"), "nothing is echoed: {shown}");
    let there = fs::read_to_string(&file).unwrap();
    assert_eq!(
        there.trim_end(),
        r#"{"authid":"secrettoken","scheme":"pcloud"}"#
    );
    // It is shown to no other service.
    let option = format!("--oauth-token-file={}", file.display());
    let ran = scratch.run(&["list", "box://folder", &option]).code(&[200]);
    ran.says("holds a log-in for pcloud://");
}

#[test]
fn waiting_ends_when_it_is_interrupted() {
    let service = TokenService::start(&[]);
    let scratch = Scratch::new("login");
    let url = format!("--oauth-url={}", service.url());
    let waiting = Waiting::start(&scratch, &["box", &url]);
    assert_eq!(waiting.value("type"), "box.com");
    let pid = waiting.child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let (code, _, err) = waiting.end();
    assert_ne!(code, 0);
    assert!(err.contains("stopped"), "{err}");
}

#[test]
fn what_cannot_be_logged_in_is_said_before_anything_is_asked() {
    let scratch = Scratch::new("login");
    let other = scratch.at("other");
    fs::write(&other, "not a token").unwrap();
    let no_file = format!("--oauth-token-file={}", text(&other));
    for (args, words) in [
        (
            &["s3"][..],
            "s3 has no log-in that is made in a browser; these have: onedrivev2",
        ),
        (&["onedrivev2://x?authid=hunter2"], "not read from a URL"),
        (
            &["jottacloud", "--oauth-client-id=own"],
            "no log-in by an own client",
        ),
        (
            &["dropbox", "--oauth-token-file=/nowhere/x"],
            "cannot write the token file",
        ),
        (&["dropbox", &no_file], "is no token file"),
        (
            &["dropbox", "--oauth-url=http://example.org/x"],
            "no address of https",
        ),
        (&["dropbox", "--json"], "with a person"),
        (&["dropbox", "--dry-run"], "without making it"),
        (&["dropbox", "more"], "too many arguments"),
    ] {
        let ran = scratch
            .run(&[&["remote", "login"], args].concat())
            .code(&[200]);
        assert!(ran.all().contains(words), "{words}: {}", ran.all());
        assert!(!ran.err.contains("hunter2"), "{}", ran.all());
    }
    assert_eq!(fs::read_to_string(&other).unwrap(), "not a token");
}
