//! Backups in Azure Blob Storage: the program against Microsoft's emulator, with Microsoft's client for Python beside it.

#![cfg(feature = "dest-azure")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may fail where it stands, and says what it could not do"
)]

mod support;

use std::fs;

use support::servers::azure::{self, ACCOUNT, Azure, KEY};
use support::snapshot::take;
use support::trip::Trip;
use support::{Rand, Scratch, copy_folder, fixture, names, opens_with, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const SIZES: [&str; 2] = ["--blocksize=64kb", "--dblock-size=1mb"];

/// The server, or the reason why nothing is tested.
fn server() -> Option<Azure> {
    let server = azure::start();
    if server.is_none() {
        eprintln!(
            "Azure: the emulator is not installed, so nothing was tested: run .ci/prepare.d/azure"
        );
    }
    server
}

/// Three versions, an unchanged run, restores, a check of everything, deletion and compaction.
fn life(trip: &Trip, url: &str, prefix: &str) {
    let source = trip.source();
    let prefix = format!("--prefix={prefix}");
    let with = |more: &[&'static str]| [&[&*prefix][..], more].concat().join("\n");
    let backup = |code: i32| {
        let more = with(&["--json"]);
        let more: Vec<&str> = more.lines().collect();
        trip.backup(url, &more).code(&[code]).json()
    };
    let report = backup(0);
    assert!(report["NewDblocks"].as_u64() > Some(2), "{report}");
    let first = take(&source);
    assert_eq!(backup(1)["FilesUploaded"], 0, "unchanged");
    tree::write(&source.join("large"), &Rand(77).bytes(3 << 20));
    tree::write(&source.join("new \u{e9}"), b"second");
    backup(0);
    let second = take(&source);
    tree::write(&source.join("new \u{e9}"), b"third");
    backup(0);
    trip.gives(&take(&source), url, &[&prefix]);
    trip.gives(&second, url, &[&prefix, "--version=1"]);
    trip.gives(&first, url, &[&prefix, "--version=2"]);
    let all = [
        "verify",
        url,
        "all",
        "--full-remote-verification",
        "--no-cache",
        PASSPHRASE,
        &prefix,
    ];
    trip.run(&all).code(&[0]);
    trip.run(&[
        "delete",
        url,
        "--version=1-2",
        PASSPHRASE,
        &prefix,
        "--no-auto-compact=false",
    ])
    .code(&[0]);
    trip.run(&["compact", url, PASSPHRASE, &prefix, "--threshold=5"])
        .code(&[0]);
    trip.gives(&take(&source), url, &[&prefix]);
    trip.run(&all).code(&[0]);
}

#[test]
fn the_life_of_a_backup_with_a_key_and_with_a_sas_token() {
    let Some(server) = server() else { return };
    for (at, place) in ["with-key", "with-sas/pa th"].into_iter().enumerate() {
        let trip = Trip::new("azure", PASSPHRASE, &SIZES);
        tree::make(&trip.source(), 5, 64 << 10);
        tree::write(&trip.source().join("large"), &Rand(7).bytes(3 << 20));
        let container = place.split('/').next().unwrap();
        let path = place.replace(' ', "%20");
        let url = match at {
            0 => server.with_key(&path),
            _ => {
                server.client("make", container, "", "");
                server.with_sas(&path, "rwdl", "") + "&azure-use-path=true"
            }
        };
        life(&trip, &url, "duplicati");
        let again = trip.source().join("for the other");
        tree::write(&again, b"prefix");
        trip.backup(&url, &["--prefix=other"]).code(&[0]);
        trip.gives(&take(&trip.source()), &url, &["--prefix=other"]);
        // The same bytes through another client.
        let folder = trip.folder("fetched");
        let below = if at == 0 { "" } else { "pa th/" };
        server.client("fetch", container, below, text(&folder));
        trip.gives(&take(&trip.source()), text(&folder), &["--prefix=other"]);
        assert!(volumes(&folder, "dblock").len() > 4);
        if at > 0 {
            continue;
        }
        // And both ways through a third.
        let copy = trip.at("by rclone");
        server.rclone(&["copy", &format!(":azureblob:{container}"), text(&copy)]);
        for name in names(&folder) {
            let same = fs::read(folder.join(&name)).unwrap() == fs::read(copy.join(&name)).unwrap();
            assert!(same, "{name:?}");
        }
        server.rclone(&["mkdir", ":azureblob:by-rclone"]);
        server.rclone(&["copy", text(&copy), ":azureblob:by-rclone"]);
        let theirs = server.with_key("by-rclone");
        trip.gives(&take(&trip.source()), &theirs, &["--prefix=other"]);
    }
}

#[test]
fn what_others_stored_is_restored() {
    let Some(server) = server() else { return };
    let trip = Trip::new("azure", PASSPHRASE, &[]);
    // Two of Duplicati's own backups: at the root, and in a path that Duplicati would not look at.
    let wanted = support::fixture_names();
    let name = wanted.iter().find(|n| opens_with(n).is_some()).unwrap();
    let local = trip.folder("local");
    copy_folder(&fixture(name).join("dest"), &local);
    let options = [opens_with(name).unwrap()];
    trip.restore(text(&local), "want", &options).code(&[0]);
    let want = take(&trip.at("want"));
    for (place, prefix) in [("theirs", ""), ("theirs-below/sub/x", "sub/x/")] {
        let container = place.split('/').next().unwrap();
        server.client("make", container, "", "");
        server.client("store", container, prefix, text(&local));
        let url = server.with_key(place);
        trip.restore(&url, "got", &options).code(&[0]);
        assert_eq!(take(&trip.at("got")).len(), want.len(), "{place}");
        let ran = trip.run(&["remote", "list", &url]);
        assert_eq!(ran.out.lines().count(), names(&local).len());
        if !prefix.is_empty() {
            assert!(ran.err.contains("azure-use-path"), "{}", ran.all());
            let source = trip.source();
            let args = ["backup", &url, text(&source), options[0]];
            trip.run(&args).code(&[100]).says("azure-use-path");
        }
    }
}

#[test]
fn names_tiers_snapshots_and_long_files() {
    let Some(server) = server() else { return };
    let scratch = Scratch::new("azure");
    let url = server.with_key("odd-names") + "&azure-access-tier=Cool";
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    scratch.run(&["remote", "mkdir", &url]).code(&[0]);
    let odd = "a b+c%41 \u{e9}&=~'(1)!.zip";
    let data = Rand(4).bytes(9 << 20);
    for (name, data) in [(odd, &data[..]), ("empty", b""), ("one", b"1")] {
        let from = scratch.at(name);
        fs::write(&from, data).unwrap();
        let ran = scratch
            .run(&["remote", "put", &url, text(&from)])
            .code(&[0]);
        ran.sane_but_tabs();
        let to = scratch.at("back");
        let _ = fs::remove_file(&to);
        scratch
            .run(&["remote", "get", &url, name, text(&to)])
            .code(&[0]);
        assert!(fs::read(&to).unwrap() == data, "{name}");
    }
    let folder = scratch.folder("fetched");
    server.client("fetch", "odd-names", "", text(&folder));
    assert!(fs::read(folder.join(odd)).unwrap() == data);
    server.client("snapshot", "odd-names", "", "");
    scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    scratch.run(&["remote", "delete", &url, odd]).code(&[0]);
    let ran = scratch.run(&["remote", "list", &url]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.all());
    scratch.run(&["remote", "test", &url]).code(&[0]);
    // In the archive it is listed, and what reads it says why not.
    let cold = server.with_key("odd-names") + "&azure-access-tier=archive";
    let from = scratch.at("one");
    scratch
        .run(&["remote", "put", &cold, "cold", text(&from)])
        .code(&[0]);
    let no = scratch.at("no");
    let args = ["remote", "get", &cold, "cold", text(&no)];
    scratch.run(&args).code(&[100]).says("archive tier");
}

#[test]
fn what_is_refused_is_named_and_shows_no_secret() {
    let Some(server) = server() else { return };
    let scratch = Scratch::new("azure");
    server.client("make", "box", "", "");
    let from = scratch.at("f");
    fs::write(&from, b"x").unwrap();
    let other = KEY.replace("Eby8", "Aby8").replace('+', "%2B");
    let wrong = server.url(
        "box",
        &format!("auth-username={ACCOUNT}&auth-password={other}"),
    );
    let list = |url: &str| scratch.run(&["remote", "list", url]);
    let put = |url: &str| scratch.run(&["remote", "put", url, text(&from)]);
    for (ran, words) in [
        (list(&wrong), "--auth-password"),
        (put(&wrong), "--auth-password"),
        (put(&server.with_sas("box", "rl", "")), "lacks the right"),
        (
            list(&server.with_sas("box", "rwdl", "expired")),
            "SAS token ran out",
        ),
        (
            list(&server.with_key("missing")),
            "container does not exist",
        ),
        (
            scratch.run(&["remote", "mkdir", &server.with_sas("unmade", "rwdl", "")]),
            "the container",
        ),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains(words), "{words}: {}", ran.all());
        assert!(!ran.err.contains("trying again"), "{}", ran.all());
        for secret in ["sig=", &other, &KEY[10..30]] {
            assert!(!ran.err.contains(secret), "{}", ran.all());
        }
    }
    // By the environment, and where there is none.
    let url = server.url("box", "x=1").replace("&x=1", "");
    let env = [
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ];
    scratch.run_env(&["remote", "test", &url], &env).code(&[0]);
    let token = server.client("sas", "box", "rwdl", "");
    let env = [
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_SAS_TOKEN", token.trim()),
    ];
    scratch.run_env(&["remote", "test", &url], &env).code(&[0]);
    scratch.run(&["remote", "list", &url]).code(&[200]);
}
