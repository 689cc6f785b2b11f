//! Reports of a run over HTTP: that they arrive however it ended, what is in them, and that nothing depends on them.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/receiver.rs"]
mod receiver;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use receiver::Receiver;
use support::servers::tls::{Flaw, Tls};
use support::{Ran, Scratch, text};

const PASS: &str = "--passphrase=correct horse";

struct World {
    scratch: Scratch,
    receiver: Receiver,
    dest: String,
    source: String,
}

fn world(label: &str) -> World {
    let scratch = Scratch::new(label);
    let source = scratch.folder("source");
    fs::write(source.join("a.txt"), "one").unwrap();
    World {
        dest: text(&scratch.at("dest")).to_owned(),
        source: text(&source).to_owned(),
        receiver: Receiver::start(),
        scratch,
    }
}

impl World {
    fn backup(&self, more: &[&str]) -> Ran {
        let args = [&["backup", &self.dest, &self.source, PASS], more].concat();
        self.scratch.run(&args)
    }

    fn url(&self) -> String {
        format!("--send-http-url={}", self.receiver.url("/token-abc"))
    }

    fn edit(&self, content: &str) {
        fs::write(self.scratch.at("source/a.txt"), content).unwrap();
    }
}

#[test]
fn the_object_of_a_backup_arrives_however_it_ended() {
    let w = world("reports-ends");
    let url = w.url();
    let name = "--backup-name=box";
    let report = |ran: Ran, code: i32, parsed: &str| {
        let ran = ran.code(&[code]);
        let got = w.receiver.take();
        assert_eq!(got.len(), 1, "{}", ran.all());
        assert_eq!(
            (got[0].method.as_str(), got[0].target.as_str()),
            ("POST", "/token-abc")
        );
        assert_eq!(got[0].header("content-type"), "application/json");
        let value = got[0].json();
        assert_eq!(value["ExitCode"], code, "{value}");
        assert_eq!(value["ParsedResult"], parsed, "{value}");
        assert!(!value["Host"].as_str().unwrap().is_empty());
        assert!(!ran.err.contains("token-abc") && !got[0].body.contains("correct horse"));
        value
    };
    let value = report(w.backup(&[&url, name]), 0, "Success");
    assert_eq!(
        (&value["AddedFiles"], &value["BackupName"]),
        (&1.into(), &"box".into())
    );
    assert_eq!(
        (&value["Command"], &value["MainOperation"]),
        (&"backup".into(), &"Backup".into())
    );
    let value = report(w.backup(&[&url, "--json"]), 1, "Success");
    assert_eq!(value["Code"], "nothing-new");
    w.edit("two");
    let value = report(w.backup(&[&url, "/nonexistent/source"]), 2, "Warning");
    assert!(
        value["Messages"][0]
            .as_str()
            .unwrap()
            .contains("/nonexistent/source")
    );
    // Failures: by the passphrase, by the destination, by the source, by another run.
    let bad = ["backup", &w.dest, &w.source, "--passphrase=wrong", &url];
    let value = report(w.scratch.run(&bad), 100, "Fatal");
    assert_eq!(value["Error"]["Kind"], "passphrase");
    let closed = ["backup", "webdav://127.0.0.1:1/x", &w.source, PASS, &url];
    let closed = [&closed[..], &["--number-of-retries=0"]].concat();
    report(w.scratch.run(&closed), 100, "Fatal");
    report(
        w.backup(&[&url, "--abort-if-source-missing", "/nonexistent/x"]),
        100,
        "Fatal",
    );
    // The command line is wrong after the address, before it, in its value, in the parameters file, in the command.
    for (args, said) in [
        (vec![&url, "--no-such-option"], "no-such-option"),
        (vec!["--no-such-option", &url], "no-such-option"),
        (vec![&url, "--dblock-size=huge"], "huge"),
        (vec![&url, "--send-mail-to=x"], "send-mail-to"),
        (vec![&url, "--send-http-level=Loud"], "Loud"),
    ] {
        let args: Vec<&str> = args.iter().map(|a| &**a).collect();
        let value = report(w.backup(&args).says(said), 200, "Fatal");
        assert_eq!(value["Error"]["Kind"], "usage");
    }
    report(
        w.scratch.run(&["backup", &url]).says("needs a destination"),
        200,
        "Fatal",
    );
    report(w.scratch.run(&["bakcup", "/x", "/y", &url]), 200, "Fatal");
    let conf = w.scratch.at("conf");
    for (line, code) in [
        ("--dblock-size=huge", 200),
        ("this is no option", 200),
        ("--passphrase=wrong", 100),
    ] {
        fs::write(&conf, format!("{url}\n--target={}\n{line}\n", w.dest)).unwrap();
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o600)).unwrap();
        let file = format!("--parameters-file={}", text(&conf));
        report(
            w.scratch.run(&["backup", "-", &w.source, &file]),
            code,
            "Fatal",
        );
    }
}

#[test]
fn only_what_is_asked_for_is_reported() {
    let w = world("reports-which");
    let url = w.url();
    w.backup(&[]).code(&[0]);
    let count = |args: &[&str], want: usize| {
        w.scratch.run(args);
        let got = w.receiver.take();
        assert_eq!(got.len(), want, "{args:?} {got:?}");
    };
    let (d, s) = (w.dest.as_str(), w.source.as_str());
    for command in ["list", "verify", "compact", "repair"] {
        count(&[command, d, PASS, &url], 0);
        count(&[command, d, PASS, &url, "--send-http-any-operation"], 1);
    }
    count(&["restore", d, "nosuch", PASS, &url], 0);
    count(&["list", d, PASS, &url, "--no-such"], 0);
    count(
        &[
            "list",
            d,
            PASS,
            &url,
            "--no-such",
            "--send-http-any-operation",
        ],
        1,
    );
    count(&["backup", d, s, PASS, &url, "--dry-run"], 0);
    count(&["help", "backup", &url], 0);
    for (level, nothing_new, failed) in [
        ("All", 1, 1),
        ("all", 1, 1),
        ("Success", 1, 0),
        ("Warning", 0, 0),
        ("Error,Fatal", 0, 1),
        ("Warning, Error", 0, 0),
        ("success,fatal", 1, 1),
    ] {
        let level = format!("--send-http-level={level}");
        count(&["backup", d, s, PASS, &url, &level], nothing_new);
        count(&["backup", d, s, "--passphrase=no", &url, &level], failed);
    }
    // Every address of every kind, once.
    let r = &w.receiver;
    let many = format!("--send-http-url={}; {}", r.url("/a"), r.url("/b"));
    let json = format!("--send-http-json-urls={};{}", r.url("/c"), r.url("/d"));
    let form = format!("--send-http-form-urls={}", r.url("/e"));
    w.backup(&[&many, &json, &form]).code(&[1]);
    let targets: Vec<String> = r.take().into_iter().map(|g| g.target).collect();
    assert_eq!(targets, ["/a", "/b", "/c", "/d", "/e"]);
}

/// The lines of the manual for the services that people have.
#[test]
fn services_get_what_they_want() {
    let w = world("reports-services");
    let r = &w.receiver;
    let name = "--backup-name=my box";
    let send = |options: &[&str]| {
        let ran = w.backup(&[options, &[name]].concat());
        let mut got = r.take();
        assert_eq!(got.len(), 1, "{}", ran.all());
        got.remove(0)
    };
    // healthchecks.io
    let url = format!("--send-http-url={}", r.url("/uuid/%FAILED%"));
    let got = send(&[&url]);
    assert_eq!(got.target, "/uuid/0");
    assert_eq!(send(&[&url, "--passphrase=wrong"]).target, "/uuid/1");
    // Uptime Kuma
    let url = format!(
        "--send-http-url={}",
        r.url("/api/push/tok?status=%STATUS%&msg=%PARSEDRESULT%&ping=")
    );
    let got = send(&[&url, "--send-http-verb=GET"]);
    assert_eq!(
        (got.method.as_str(), got.target.as_str(), got.body.as_str()),
        ("GET", "/api/push/tok?status=up&msg=Success&ping=", "")
    );
    let got = send(&[&url, "--send-http-verb=get", "--passphrase=wrong"]);
    assert_eq!(got.target, "/api/push/tok?status=down&msg=Fatal&ping=");
    // ntfy
    let url = format!("--send-http-url={}", r.url("/topic?title=%backup-name%"));
    w.edit("three");
    let got = send(&[&url, "--send-http-result-output-format=Duplicati"]);
    assert_eq!(got.target, "/topic?title=my%20box");
    assert!(got.header("content-type").starts_with("text/plain"));
    assert!(got.body.starts_with("backup of my box on "), "{}", got.body);
    assert!(got.body.contains(": Success (exit code 0)\n") && got.body.contains("1 changed"));
    let message = "--send-http-message=%OPERATIONNAME% of %backup-name%: %PARSEDRESULT%, %x% 100%";
    let got = send(&[&url, message, "--send-http-verb=PUT"]);
    assert_eq!(got.body, "Backup of my box: Success, %x% 100%");
    assert_eq!(got.method, "PUT");
    // Gotify
    let url = format!("--send-http-form-urls={}", r.url("/message?token=tok"));
    let extra = "--send-http-extra-parameters=title=%backup-name%&priority=5";
    let got = send(&[&url, extra]);
    assert_eq!(
        got.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert!(
        got.body.starts_with("message=backup%20of%20my%20box"),
        "{}",
        got.body
    );
    assert!(
        got.body.ends_with("&title=my%20box&priority=5"),
        "{}",
        got.body
    );
    // What reads Duplicati's reports
    let url = format!("--send-http-json-urls={}", r.url("/in"));
    let value = send(&[&url, "/nonexistent/source"]).json();
    assert_eq!(value["Data"]["ParsedResult"], "Warning");
    assert_eq!(value["Extra"]["backup-name"], "my box");
    assert_eq!(value["Extra"]["OperationName"], "Backup");
    assert!(!value["Extra"]["machine-name"].as_str().unwrap().is_empty());
    assert_eq!(value["LogLines"].as_array().unwrap().len(), 1);
    assert!(value["Exception"].is_null());
    let value = send(&[&url, "--passphrase=wrong", "--send-http-max-log-lines=0"]).json();
    assert!(value["Exception"].as_str().unwrap().contains("passphrase"));
    assert_eq!(value["LogLines"].as_array().unwrap().len(), 0);
    // A log-in in the address goes into the header.
    let url = format!("--send-http-url=http://user:pa%40ss@127.0.0.1:{}/x", r.port);
    assert_eq!(
        send(&[&url]).header("authorization"),
        "Basic dXNlcjpwYUBzcw=="
    );
}

#[test]
fn a_report_that_does_not_arrive_changes_nothing() {
    let w = world("reports-lost");
    let url = w.url();
    let log = format!("--log-file={}", text(&w.scratch.at("log")));
    w.backup(&[]).code(&[0]);
    for (answers, tries) in [
        (&[404u16][..], 1),
        (&[401], 1),
        (&[301], 1),
        (&[500, 500], 2),
        (&[0, 0], 2),
    ] {
        w.receiver.answer(answers);
        let ran = w.backup(&[&url, &log]).code(&[1]);
        let host = format!(
            "could not be reported to http://127.0.0.1:{}:",
            w.receiver.port
        );
        assert!(
            ran.err.contains("duplet: note: the result") && ran.err.contains(&host),
            "{}",
            ran.all()
        );
        assert!(!ran.err.contains("token-abc"), "{}", ran.all());
        assert_eq!(w.receiver.take().len(), tries, "{answers:?}");
    }
    // A passing trouble is none.
    w.receiver.answer(&[503]);
    let ran = w.backup(&[&url, &log, "-v"]).code(&[1]);
    assert!(
        ran.err
            .contains("the result was reported to http://127.0.0.1"),
        "{}",
        ran.all()
    );
    // Nobody there; an address that is none; the result of a failed run stays.
    let nobody = "--send-http-url=http://127.0.0.1:1/token-abc";
    w.backup(&[nobody, &log]).code(&[1]).says("refused");
    let ran = w.backup(&[nobody, &log, "-q"]).code(&[1]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    let args = [
        "backup",
        &w.dest,
        &w.source,
        "--passphrase=no",
        nobody,
        &log,
    ];
    w.scratch.run(&args).code(&[100]);
    for bad in [
        "hc-ping.com/token-abc",
        "ftp://h/token-abc",
        "https:///token-abc",
    ] {
        let ran = w
            .backup(&[&format!("--send-http-url={bad}"), &log])
            .code(&[200]);
        assert!(ran.err.contains("no address") && !ran.err.contains("token-abc"));
    }
    let log = fs::read_to_string(w.scratch.at("log")).unwrap();
    assert!(
        log.contains("[Warning]: the result could not be reported"),
        "{log}"
    );
    assert!(!log.contains("token-abc"), "{log}");
}

#[test]
fn certificates_are_checked_as_those_of_destinations() {
    let w = world("reports-tls");
    let tls = Tls::in_front_of(w.receiver.port);
    let ca = tls.ca();
    let ca = format!("--ssl-ca-file={}", text(&ca));
    for (flaw, trust, arrives) in [
        (Flaw::None, Some(&ca), 1),
        (Flaw::None, None, 0),
        (Flaw::WrongHost, Some(&ca), 0),
        (Flaw::Expired, Some(&ca), 0),
    ] {
        let url = format!("--send-http-url=https://localhost:{}/x", tls.port(flaw));
        let args: Vec<&str> = [Some(&url), trust]
            .into_iter()
            .flatten()
            .map(|a| &**a)
            .collect();
        w.backup(&args).code(&[0, 1]);
        assert_eq!(w.receiver.take().len(), arrives, "{flaw:?}");
    }
}

/// Who reads reports finds every field in the manual.
#[test]
fn every_field_of_a_report_is_in_the_manual() {
    let w = world("reports-manual");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/json.md");
    let manual = fs::read_to_string(path).unwrap();
    let named = |key: &str| {
        // `AddedFiles` stands there for `AddedFolders` and `AddedSymlinks`, too.
        let files = key
            .replace("Folders", "Files")
            .replace("Symlinks", "Files")
            .replace("Bytes", "Volumes");
        let found = [key, &files]
            .iter()
            .any(|k| manual.contains(&format!("`{k}`")));
        assert!(found, "{key} is not in the manual");
    };
    let (plain, data) = (
        w.url(),
        format!("--send-http-json-urls={}", w.receiver.url("/in")),
    );
    let any = "--send-http-any-operation";
    let to = format!("--restore-path={}", text(&w.scratch.at("to")));
    let second = text(&w.scratch.at("second")).to_owned();
    let mut seen = 0;
    for (args, code) in [
        (vec!["backup", &w.dest, &w.source, PASS, "--full-result"], 0),
        (
            vec!["backup", &w.dest, &w.source, "--passphrase=wrong"],
            100,
        ),
        (vec!["backup", &w.dest, &w.source, "--no-such-option"], 200),
        (vec!["list", &w.dest, PASS], 0),
        (vec!["list", &w.dest, PASS, "0", "-l"], 0),
        (vec!["find", &w.dest, PASS], 0),
        (vec!["restore", &w.dest, PASS, &to], 0),
        (vec!["verify", &w.dest, PASS], 0),
        (vec!["compact", &w.dest, PASS], 0),
        (vec!["compare", &w.dest, PASS, "0", "0"], 0),
        (vec!["purge", &w.dest, PASS, "nosuch"], 1),
        (vec!["repair", &w.dest, PASS], 1),
        (vec!["list-broken-files", &w.dest, PASS], 0),
        (vec!["copy", &w.dest, &second, PASS], 0),
        (vec!["delete", &w.dest, PASS, "--keep-versions=1"], 0),
    ] {
        let args = [&args[..], &[any, &plain, &data, "--backup-name=box"]].concat();
        let ran = w.scratch.run(&args);
        assert!([code, 0].contains(&ran.code), "{}", ran.all());
        let got = w.receiver.take();
        assert_eq!(got.len(), 2, "{args:?}");
        for report in got {
            let value = report.json();
            let data = value.get("Data").unwrap_or(&value);
            for key in value
                .as_object()
                .unwrap()
                .keys()
                .chain(data.as_object().unwrap().keys())
            {
                named(key);
                seen += 1;
            }
            for rows in ["Filesets", "Files", "Extra", "KeptSets", "ChangeDetails"] {
                let rows = data.get(rows).or(value.get(rows));
                let row = rows.and_then(|r| r.get(0).or(Some(r)));
                for key in row.and_then(|r| r.as_object()).into_iter().flatten() {
                    named(key.0);
                }
            }
            for key in [
                "Host",
                "ParsedResult",
                "BeginTime",
                "EndTime",
                "Duration",
                "BackupName",
            ] {
                assert!(data[key].is_string(), "{key} {data}");
            }
        }
    }
    assert!(seen > 200, "{seen}");
}
