//! Backups in OneDrive, SharePoint and the drives of groups: the program against a stub of Microsoft Graph that checks addresses, names,
//! alignment and log-ins, with rclone beside it. What a good client never asks for would stand in the stub's list of refusals.

#![cfg(feature = "dest-onedrive")]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_graph.rs"]
mod faulty_graph;
#[path = "support/forward.rs"]
mod forward;
#[path = "support/keyed.rs"]
mod keyed;
#[path = "support/steer.rs"]
mod steer;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use faulty::Server;
use forward::{Forward, Rules};
use support::servers::onedrive::{Graph, TokenService, rclone};
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, fixture, opens_with, text};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
/// A folder whose name needs all that is done to names.
const FOLDER: &str = "onedrivev2://life/p%C3%A4th%20a%2Bb%23%27%25/x";

/// Nothing was asked that a good client never asks, and every upload was ended.
fn is_content(stub: &Graph) {
    assert_eq!(stub.violations(), [""; 0]);
    let told = stub.told();
    assert_eq!(told["open_sessions"], serde_json::json!([]), "{told}");
    assert_eq!(told["too_early_after_retry_after"], 0, "{told}");
}

/// By the service's own names, over TLS, with a token file; short pages, and a token that runs out at every second request.
#[test]
fn a_whole_life_in_a_personal_drive() {
    let stub = Graph::named(&["--page", "5", "--token-life", "32"]);
    let proxy = Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    });
    let file = stub.token_file("token");
    let own = fs::read_to_string(&file).unwrap();
    let start = own.find(",\"token_url").unwrap();
    fs::write(&file, format!("{}}}", &own[..start])).unwrap();
    let trip = Trip::new("onedrive", PASSPHRASE, &[]);
    let url = format!(
        "{FOLDER}?oauth-token-file={}&http-proxy={}&ssl-ca-file={}",
        text(&file),
        proxy.url(),
        text(&stub.authority())
    );
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let drive = ("0123456789abcdef", "personal");
        let mut command = rclone(&stub, &proxy.url(), drive);
        command.args(["copy", "one:life/p\u{e4}th a+b#'%/x", text(to)]);
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone: {said}");
    });
    let asked = proxy.asked();
    for name in [
        "graph.microsoft.com:443",
        "login.microsoftonline.com:443",
        "my.microsoftpersonalcontent.com:443",
    ] {
        assert!(asked.iter().any(|a| a.target == name), "{name}");
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        kept.contains("rt.") && !kept.contains("stub-refresh"),
        "renewed"
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// What rclone stores is restored, and what duplet stores rclone fetches, in a drive for business.
#[test]
fn beside_rclone_in_a_drive_for_business() {
    let id = "b!c3R1Yi1kcml2ZQ";
    let stub = Graph::named(&["--kind", "business", "--drive-id", id]);
    let proxy = Forward::start(Rules {
        to: Some(stub.address()),
        ..Rules::default()
    });
    let trip = Trip::new("onedrive", PASSPHRASE, &[]);
    let login = format!(
        "oauth-client-id=stub-client&oauth-client-secret=stub-secret&oauth-refresh-token=stub-refresh&http-proxy={}&ssl-ca-file={}",
        proxy.url(),
        text(&stub.authority())
    );
    let url = |place: &str| format!("onedrivev2://{place}?{login}&fragment-size=1mb");
    keyed::beside(&trip, &url, &|action, folder, here| {
        let there = format!("one:box/{folder}");
        let mut command = rclone(&stub, &proxy.url(), (id, "business"));
        match action {
            "fetch" => command.args(["copy", &there, text(here)]),
            _ => command.args(["copy", text(here), &there]),
        };
        let done = command.output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone {action}: {said}");
        true
    });
}

/// By an AuthID, whose service sends on to another host, and the mail address of a group.
#[test]
fn a_whole_life_in_the_drive_of_a_group() {
    let service = TokenService::start(&["--worker", "auto", "--token-life", "32"]);
    let stub = Graph::start(&[
        "--kind",
        "business",
        "--page",
        "7",
        "--tokens",
        &service.tokens(),
    ]);
    let trip = Trip::new("msgroup", PASSPHRASE, &[]);
    let login = format!(
        "group-email=backup%40contoso.example&authid=key-msgroup%3Apw-stub!1&oauth-url={}&fragment-size=327680",
        service.url()
    );
    let url = stub.with("msgroup://life/p%C3%A4th%20a%2Bb/x", &login);
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        let list = trip.run(&["remote", "list", &url]);
        for line in list.out.lines() {
            let name = line.split('\t').next().unwrap();
            trip.run(&["remote", "get", &url, name, text(&to.join(name))])
                .code(&[0]);
        }
    });
    is_content(&stub);
    let told = stub.told();
    assert!(
        told["trash"]
            .as_object()
            .is_some_and(|bins| !bins.is_empty()),
        "{told}"
    );
}

/// An address as a browser shows it, the same in Duplicati's older type, and by the id of the site; and OneDrive for Business by its
/// older type.
#[test]
fn one_folder_by_all_its_addresses() {
    let stub = Graph::start(&[
        "--kind",
        "business",
        "--site",
        "contoso.sharepoint.com:/sites/a b",
    ]);
    let scratch = Scratch::new("sharepoint");
    let from = scratch.at("f");
    fs::write(&from, b"x").unwrap();
    let told = stub.told();
    let sites = told["sites"].as_array().unwrap();
    let site = sites
        .iter()
        .find(|s| s["url"].as_str().unwrap().ends_with("a b"));
    let id = site.unwrap()["id"].as_str().unwrap().replace(',', "%2C");
    let first = "sharepoint://contoso.sharepoint.com/sites/a%20b/Shared%20Documents/d/e";
    scratch
        .run(&["remote", "mkdir", &stub.url(first)])
        .code(&[0]);
    scratch
        .run(&["remote", "put", &stub.url(first), text(&from)])
        .code(&[0]);
    let by_id = format!("sharepoint://d/e?site-id={id}");
    for place in [
        first,
        "sharepoint://contoso.sharepoint.com/sites/a%20b//Shared%20Documents/d/e",
        "sharepoint://https://contoso.sharepoint.com/sites/a%20b/shared%20documents/d/e/",
        "mssp://contoso.sharepoint.com/sites/a%20b/Shared%20Documents/d/e",
        &by_id,
    ] {
        let ran = scratch.run(&["remote", "list", &stub.url(place)]);
        assert!(ran.out.starts_with("f\t1\t"), "{place}: {}", ran.all());
    }
    let own = "od4b://contoso-my.sharepoint.com/personal/user_contoso/Documents/d/e";
    scratch.run(&["remote", "mkdir", &stub.url(own)]).code(&[0]);
    scratch
        .run(&["remote", "put", &stub.url(own), text(&from)])
        .code(&[0]);
    let again = scratch.run(&["remote", "list", &stub.url("onedrivev2://d/e")]);
    assert!(again.out.starts_with("f\t1\t"), "{}", again.all());
    let told = stub.told();
    let mine = told["folders"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|f| f.as_str().unwrap().starts_with("me/"));
    assert_eq!(mine.count(), 2, "{told}");
    // What is no such address.
    for (place, words) in [
        (
            "sharepoint://contoso.sharepoint.com/sites/a%20b/No%20Library/d",
            "no library of the site",
        ),
        (
            "sharepoint://other.sharepoint.com/sites/x/Documents",
            "no site has the address",
        ),
        ("sharepoint://d/e", "no site given"),
        (
            "msgroup://d?group-email=nobody%40contoso.example",
            "no group has the address",
        ),
        (
            "msgroup://d?group-email=shared%40contoso.example",
            "several groups",
        ),
        ("msgroup://d", "no group given"),
        ("onedrivev2://d/../e", "must not contain"),
    ] {
        let ran = scratch
            .run(&["remote", "mkdir", &stub.url(place)])
            .code(&[100, 200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
    }
}

/// Refusals, broken lines and lost replies in all that a file goes through, one after the other.
#[test]
fn long_files_and_broken_lines() {
    for kind in ["personal", "business"] {
        let faults = [
            "fragment:1:cut@3000000",
            "fragment:2:503",
            "fragment:4:partial@700000",
            "fragment:6:ok-but-lost",
            "session:2:429/1",
            "session:3:401",
            "put:1:cut@100",
            "put:3:ok-but-cut",
            "put:4:badsize",
            "download:1:cut@5000000",
            "download:2:norange",
            "get:3:401",
            "list:1:503",
            "list:2:401",
            "stat:2:401",
            "mkdir:1:401",
            "delete:1:401",
            "delete:2:503",
            "token:1:503",
            "token:2:close",
        ];
        let faults = faults.map(|fault| ["--fault", fault]).concat();
        let stub = Graph::start(&[&["--kind", kind, "--page", "2"], &faults[..]].concat());
        let scratch = Scratch::new("onedrive");
        let url = stub.url("onedrivev2://box/d?fragment-size=2mb");
        scratch.run(&["remote", "mkdir", &url]).code(&[0]);
        let odd = "a b+c \u{e9}&=~'(1)!.zip";
        let data = Rand(4).bytes(20 << 20);
        for (name, data) in [
            (odd, &data[..]),
            ("second", &data[7..9 << 20]),
            ("limit", &data[..4 << 20]),
            ("one", &data[..1]),
            ("empty", b""),
        ] {
            let from = scratch.at(name);
            fs::write(&from, data).unwrap();
            scratch
                .run(&["remote", "put", &url, text(&from)])
                .code(&[0]);
            let to = scratch.at("back");
            let _ = fs::remove_file(&to);
            scratch
                .run(&["remote", "get", &url, name, text(&to)])
                .code(&[0]);
            assert!(fs::read(&to).unwrap() == data, "{name}");
        }
        let ran = scratch.run(&["remote", "list", &url]);
        assert_eq!(ran.out.lines().count(), 5, "{}", ran.all());
        for _ in 0..2 {
            scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
        }
        scratch.run(&["remote", "test", &url]).code(&[0]);
        is_content(&stub);
        let told = stub.told();
        let hit = told["faults_hit"].as_array().unwrap().len();
        assert_eq!(hit, faults.len() / 2, "{told}");
    }
}

/// Sessions that run out in mid-file, and a name that is taken by one that nobody goes on with.
#[test]
fn sessions_that_end_or_stay() {
    for status in ["401", "403", "404"] {
        let stub = Graph::start(&[
            "--session-life",
            "1",
            "--expired-status",
            status,
            "--fault",
            "fragment:2:slow@1.2",
        ]);
        let scratch = Scratch::new("onedrive");
        let url = stub.url("onedrivev2://box?fragment-size=2mb");
        scratch.run(&["remote", "mkdir", &url]).code(&[0]);
        let from = scratch.at("f");
        fs::write(&from, Rand(4).bytes(5 << 20)).unwrap();
        scratch
            .run(&["remote", "put", &url, text(&from)])
            .code(&[0]);
        let told = stub.told();
        assert_eq!(told["files"]["me/box/f"]["size"], 5 << 20, "{told}");
        assert_eq!(told["requests"]["session"], 2, "{told}");
    }
    // The address of a session was lost with the reply.
    let stub = Graph::start(&["--kind", "business", "--fault", "session:1:ok-but-cut"]);
    let scratch = Scratch::new("onedrive");
    let url = stub.url("onedrivev2://box");
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    let from = scratch.at("f");
    fs::write(&from, Rand(4).bytes(5 << 20)).unwrap();
    scratch
        .run(&["remote", "put", &url, text(&from)])
        .code(&[0]);
    assert_eq!(stub.told()["files"]["me/box/f"]["size"], 5 << 20);
}

/// Killed in the middle of a session: the next run goes on, and nothing is missing or left half.
#[test]
fn killed_in_a_session() {
    let stub = Graph::start(&["--kind", "business", "--fault", "fragment:3:slow@20"]);
    let trip = Trip::new(
        "onedrive",
        PASSPHRASE,
        &["--blocksize=64kb", "--dblock-size=8mb"],
    );
    fs::write(trip.source().join("large"), Rand(5).bytes(14 << 20)).unwrap();
    let url = stub.url("onedrivev2://box?fragment-size=1mb");
    let mut child = trip.begin(&url, &[]);
    loop {
        let told = stub.told();
        if !told["faults_hit"].as_array().unwrap().is_empty() {
            break;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let told = stub.told();
    assert_eq!(
        told["files"],
        serde_json::json!({}),
        "nothing is seen of it"
    );
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.verify(&url);
}

/// In fragments, and with what memory; in all 40 MB, of which none are held.
#[test]
fn a_long_volume_takes_no_memory() {
    let stub = Graph::start(&["--kind", "business"]);
    let scratch = Scratch::new("onedrive");
    let url = stub.url("onedrivev2://box?fragment-size=1mb");
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    let from = scratch.at("f");
    fs::write(&from, Rand(4).bytes(40 << 20)).unwrap();
    let (peak, ended) = support::peak_kib(scratch.start(&["remote", "put", &url, text(&from)]));
    assert!(
        ended.success() && peak > 1000 && peak < 32 << 10,
        "{peak} KiB"
    );
    let told = stub.told();
    assert_eq!(
        told["requests"]["fragment"], 43,
        "of 1 MiB less what is not aligned: {told}"
    );
    is_content(&stub);
}

#[test]
fn twenty_thousand_files_are_listed_in_little_memory() {
    let scratch = Scratch::new("onedrive");
    let server = Server::start(faulty_graph::Graph::new);
    let at = format!("http://{}", server.address);
    let url = format!(
        "onedrivev2://d/b?graph-endpoint={at}&oauth-url={at}/refresh&authid=a:b&http-proxy=none"
    );
    server.with(|graph| {
        for i in 0..20_000 {
            faulty::Service::keep(graph, &format!("duplicati-b{i:032x}.dblock.zip.aes"), b"1");
        }
    });
    let (peak, ended) = support::peak_kib(scratch.start(&["remote", "list", &url]));
    assert!(
        ended.success() && peak > 1000 && peak < 32 << 10,
        "{peak} KiB"
    );
    let pages = server.seen("/children").len();
    assert_eq!(pages, 20);
}

#[test]
fn what_others_stored_is_restored() {
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let options = [opens_with(name).unwrap()];
    let local = fixture(name).join("dest");
    let stub = Graph::start(&["--page", "2"]);
    let trip = Trip::new("onedrive", PASSPHRASE, &[]);
    let url = stub.url("onedrivev2://theirs/sub");
    trip.run(&["remote", "mkdir", &url]).code(&[0]);
    for entry in fs::read_dir(&local).unwrap() {
        let path = entry.unwrap().path();
        trip.run(&["remote", "put", &url, text(&path)]).code(&[0]);
    }
    trip.restore(text(&local), "want", &options).code(&[0]);
    trip.restore(&url, "got", &options).code(&[0]);
    let (want, got) = (take(&trip.at("want")), take(&trip.at("got")));
    same(&want, &got, But::default(), name);
    is_content(&stub);
}

#[test]
fn deleted_files_may_pass_the_bin_by() {
    for kind in ["personal", "business"] {
        let stub = Graph::start(&["--kind", kind]);
        let scratch = Scratch::new("onedrive");
        let url = stub.url("onedrivev2://box?onedrive-delete-permanently");
        scratch.run(&["remote", "mkdir", &url]).code(&[0]);
        scratch.run(&["remote", "test", &url]).code(&[0]);
        scratch.run(&["remote", "delete", &url, "none"]).code(&[0]);
        let told = stub.told();
        assert_eq!(told["trash"], serde_json::json!({}), "{told}");
        assert_eq!(told["files"], serde_json::json!({}), "{told}");
        is_content(&stub);
    }
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let stub = Graph::start(&["--quota", "9000000", "--rotate", "strict"]);
    let scratch = Scratch::new("onedrive");
    let from = scratch.at("f");
    fs::write(&from, Rand(1).bytes(8 << 20)).unwrap();
    let file = stub.token_file("token");
    let url = stub.with(
        "onedrivev2://box",
        &format!("oauth-token-file={}&number-of-retries=1", text(&file)),
    );
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    scratch
        .run(&["remote", "put", &url, text(&from)])
        .code(&[0]);
    let with = |login: &str| {
        let url = stub.with(
            "onedrivev2://box",
            &format!(
                "oauth-token-url={}&number-of-retries=1&{login}",
                stub.token_url()
            ),
        );
        scratch.run(&["remote", "list", &url])
    };
    let small = scratch.at("small");
    fs::write(&small, b"x").unwrap();
    let put = |name: &str, from| scratch.run(&["remote", "put", &url, name, text(from)]);
    let own = "oauth-client-id=stub-client&oauth-client-secret=stub-secret";
    for (ran, words) in [
        (put("second", &from), "no space"),
        (put("~tilde", &small), "does not take this name"),
        // It was used: Microsoft gave another one.
        (
            with(&format!("{own}&oauth-refresh-token=stub-refresh")),
            "duplet remote login onedrivev2",
        ),
        (
            with(&format!("{own}&oauth-refresh-token=hunter2")),
            "does not accept the log-in any more",
        ),
        (
            with("oauth-client-id=stub-client&oauth-client-secret=hunter2&oauth-refresh-token=x"),
            "does not accept the client",
        ),
        (
            with("oauth-client-id=other&oauth-refresh-token=hunter2"),
            "does not accept the client",
        ),
        (with("authid=hunter2"), "access denied"),
        // Nobody: a client has no drive of its own.
        (with(own), "delegated"),
        (with("oauth-client-id=x"), "no refresh token"),
        (with(""), "no log-in for Microsoft given"),
    ] {
        let ran = ran.code(&[100, 200]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert_eq!(
            ran.err
                .trim_end()
                .lines()
                .filter(|l| l.starts_with("duplet: "))
                .count(),
            1,
            "{}",
            ran.all()
        );
        for secret in ["hunter2", "stub-secret", "stub-refresh", "rt.", "at."] {
            assert!(!ran.err.contains(secret), "{secret}: {}", ran.all());
        }
    }
    // It is kept up to date, and works on.
    scratch.run(&["remote", "list", &url, "--json"]).code(&[0]);
    assert!(!fs::read_to_string(&file).unwrap().contains("stub-refresh"));
    // Where it cannot be kept, that is said; the run goes on.
    let folder = scratch.folder("fixed");
    let fixed = folder.join("token");
    fs::copy(&file, &fixed).unwrap();
    let readonly = Command::new("mount")
        .args(["--bind", "-o", "ro"])
        .args([&folder, &folder])
        .status();
    if readonly.is_ok_and(|s| s.success()) {
        let url = stub.with(
            "onedrivev2://box",
            &format!("oauth-token-file={}", text(&fixed)),
        );
        let ran = scratch.run(&["remote", "list", &url, "--json"]);
        Command::new("umount").arg(&folder).status().unwrap();
        assert!(ran.code(&[0]).err.contains("cannot be kept"));
    }
}

/// A client that stands for itself, with the tenant's own address; and a device whose clock is an hour off.
#[test]
fn a_client_without_a_user_and_a_clock_that_is_wrong() {
    let stub = Graph::start(&["--kind", "business", "--token-life", "35"]);
    let scratch = Scratch::new("sharepoint");
    let token = stub.token_url().replace("/common/", "/contoso.example/");
    let own = format!(
        "oauth-token-url={token}&oauth-client-id=stub-client&oauth-client-secret=stub-secret"
    );
    let place = "sharepoint://contoso.sharepoint.com/sites/backup/Shared%20Documents/d";
    let url = stub.with(place, &own);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    scratch.run(&["remote", "test", &url]).code(&[0]);
    is_content(&stub);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_secs()).unwrap();
    for off in [-3600, 3600] {
        let args = ["remote", "test", &url];
        let mut command = scratch.command(&args);
        steer::steer(&mut command, now + off, None);
        support::finish(command, &args).code(&[0]);
    }
    is_content(&stub);
}
