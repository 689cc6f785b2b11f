//! Backups in Tahoe-LAFS: the program against a real grid of one introducer and one storage node, with Tahoe's own client beside it;
//! and against a gateway in memory where a grid would take too long.

#![cfg(feature = "dest-tahoe")]
#![allow(
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_tahoe.rs"]
mod faulty_tahoe;
#[path = "support/keyed.rs"]
mod keyed;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use faulty::{Server, Service as _};
use faulty_tahoe::{Tahoe, capability};
use support::servers::tahoe as grid;
use support::snapshot::take;
use support::trip::Trip;
use support::{Ran, Rand, Scratch, text, tree};

const PASSPHRASE: &str = "--passphrase=p\u{e4}ss w\u{f6}rd";
const SIZES: [&str; 2] = ["--blocksize=64kb", "--dblock-size=1mb"];

/// Nothing of a capability is in a text; `keys` are its parts.
#[track_caller]
fn shows_none(told: &str, own: &str) {
    for key in own.split(':').filter(|part| part.len() > 20) {
        let shown = told.contains(&key[..10]);
        assert!(!shown, "{key} is shown: {told}");
    }
}

/// What a run says on both its outputs.
fn said(ran: &Ran) -> String {
    ran.out.clone() + &ran.err
}

#[test]
fn a_whole_life_beside_tahoes_own_client() {
    let Some(grid) = grid::start() else { return };
    let trip = Trip::new("tahoe", PASSPHRASE, &[]);
    let own = grid.make();
    let url = grid.url(&format!("{own}/life/p%C3%A4th%20a+b/x"));
    keyed::whole_life(&trip, &url, PASSPHRASE, &|to| {
        fs::remove_dir(to).unwrap();
        grid.fetch(&format!("{own}/life/p\u{e4}th a+b/x"), to);
    });
    // The directory itself is a place, too, and whoever may only read can restore.
    let url = grid.url(&own);
    trip.backup(&url, &SIZES).code(&[0]);
    let reads = grid.url(&grid.read_only(&own).replace(':', "%3A"));
    trip.gives(&take(&trip.source()), &reads, &[]);
    trip.verify(&reads);
    for args in [
        &["backup", &reads, text(&trip.source()), PASSPHRASE][..],
        &["delete", &reads, "--version=0", PASSPHRASE],
        &["remote", "put", &reads, text(&trip.at("source/third"))],
    ] {
        let ran = trip.run(args).code(&[100, 200]);
        assert!(ran.err.contains("only reads"), "{}", ran.all());
        shows_none(&said(&ran), &own);
    }
}

#[test]
fn what_tahoes_own_client_stores_is_restored() {
    let Some(grid) = grid::start() else { return };
    let trip = Trip::new("tahoe", PASSPHRASE, &[]);
    let own = grid.make();
    let url = |place: &str| {
        let place = place.strip_prefix("box/").unwrap();
        grid.url(&format!("{own}/{}", place.replace("%2B", "+")))
    };
    keyed::beside(&trip, &url, &|action, folder, to| {
        let there = format!("{own}/{folder}");
        match action {
            "fetch" => grid.fetch(&there, to),
            _ => grid.store(to, &there),
        }
        true
    });
    // Every backup of Duplicati's, read through a capability that only reads.
    let reads = grid.read_only(&own);
    trip.fixtures(|name, local| {
        grid.store(local, &format!("{own}/theirs of/{name}"));
        grid.url(&format!("{reads}/theirs%20of/{name}"))
    });
}

#[test]
fn a_grid_that_is_full_or_away_or_has_lost_something() {
    let Some(mut grid) = grid::start() else {
        return;
    };
    let trip = Trip::new("tahoe", PASSPHRASE, &SIZES);
    let own = grid.make();
    let url = grid.url(&format!("{own}/f"));
    let once = format!("{url}&number-of-retries=1");
    tree::make(&trip.source(), 5, 64 << 10);
    trip.backup(&url, &[]).code(&[0]);
    let first = take(&trip.source());
    fs::write(trip.source().join("more"), Rand(6).bytes(2 << 20)).unwrap();
    grid.reserve("900T");
    let ran = trip.backup(&once, &[]).code(&[100]);
    assert!(ran.err.contains("no space left"), "{}", ran.all());
    shows_none(&said(&ran), &own);
    trip.gives(&first, &url, &[]);
    grid.down();
    let ran = trip.run(&["list", &once, PASSPHRASE, "--no-cache"]);
    let ran = ran.code(&[100]);
    assert!(ran.err.contains("connection refused"), "{}", ran.all());
    shows_none(&said(&ran), &own);
    grid.reserve("0");
    trip.backup(&url, &[]).code(&[0]);
    let second = take(&trip.source());
    trip.gives(&second, &url, &[]);
    trip.gives(&first, &url, &["--version=1"]);
    // A directory that no server has is none that is empty.
    let strange = format!("URI:DIR2:{}:{}", "b".repeat(25) + "a", "c".repeat(51) + "q");
    let strange = grid.url(&strange) + "&number-of-retries=1";
    for ran in [
        trip.run(&["remote", "list", &strange]),
        trip.backup(&strange, &[]),
    ] {
        let ran = ran.code(&[100]);
        assert!(ran.err.contains("too few storage servers"), "{}", ran.all());
    }
    // Neither are files whose shares are gone.
    assert!(grid.lose_files() > 3);
    let ran = trip.restore(&once, "none", &[PASSPHRASE]).code(&[2, 100]);
    assert!(ran.err.contains("too few storage servers"), "{}", ran.all());
    shows_none(&said(&ran), &own);
}

/// Whatever a run leaves or shows: messages, reports, logs, what scripts are told, the names and contents of the cache.
#[test]
fn the_url_is_a_secret_everywhere() {
    let server = Server::start(|_| Tahoe::new());
    let trip = Trip::new("tahoe", PASSPHRASE, &SIZES);
    let own = capability();
    let url = format!(
        "tahoe://{}/uri/{own}/bkt?http-proxy=none&retry-delay=0s",
        server.address
    );
    tree::make(&trip.source(), 5, 64 << 10);
    let script = trip.at("script");
    let seen = trip.at("seen");
    let lines = format!(
        "#!/bin/sh\nenv >>'{0}'\ncat \"$DUPLICATI__RESULTFILE\" >>'{0}' 2>/dev/null\nexit 0\n",
        text(&seen)
    );
    fs::write(&script, lines).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let log = trip.at("log");
    let more = [
        format!("--log-file={}", text(&log)),
        "--log-file-log-level=Profiling".to_owned(),
        format!("--run-script-before={}", text(&script)),
        format!("--run-script-after={}", text(&script)),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    for extra in [&["-v"][..], &["--json"], &["--dry-run", "-v"]] {
        let ran = trip
            .backup(&url, &[&more[..], extra].concat())
            .code(&[0, 1]);
        shows_none(&said(&ran), &own);
    }
    for file in [&log, &seen] {
        let told = fs::read_to_string(file).unwrap();
        assert!(told.len() > 500, "{told}");
        shows_none(&told, &own);
    }
    let told = fs::read_to_string(&seen).unwrap();
    assert!(
        told.contains(&format!("tahoe://{}/***", server.address)),
        "{told}"
    );
    let mut open = vec![trip.path().to_owned()];
    while let Some(path) = open.pop() {
        shows_none(text(&path), &own);
        if path.is_dir() {
            open.extend(support::names(&path).into_iter().map(|n| path.join(n)));
        } else if !path.starts_with(trip.source()) {
            let held = fs::read(&path).unwrap();
            shows_none(&String::from_utf8_lossy(&held), &own);
        }
    }
    let run = |args: &[&str]| trip.run(args);
    let from = text(&script);
    for ran in [
        run(&["remote", "list", &url]),
        run(&["remote", "test", &url]),
        run(&["remote", "get", &url, "absent"]),
        run(&["remote", "put", &url, from, "--dry-run"]),
        run(&["remote", "list", &format!("{url}&unknown=1")]),
        run(&["remote", "list", &url.replace("tahoe:", "thaoe:")]),
        run(&["remote", "list", &url.replace("tahoe:", "http:")]),
        run(&["remote", "list", &url.replace("uri/", "")]),
        run(&["remote", "list", &url.replace("sesame:", "sesam:")]),
        run(&["remote", "list", &url.replace("DIR2:", "CHK:")]),
        run(&["remote", "list", &url.replace("DIR2:", "DIR2-Verifier:")]),
        run(&["remote", "list", &format!("tahoe://{own}")]),
        run(&["remote", "list", &own]),
        run(&["backup", text(&trip.at("other")), &url, PASSPHRASE]),
        run(&["verify", &url, "all", PASSPHRASE, "-v"]),
        run(&["list", &url, PASSPHRASE, "--prefix=none"]),
        run(&["copy", &url, text(&trip.at("copy")), PASSPHRASE]),
    ] {
        // `all` begins with the command, which has it.
        shows_none(&said(&ran), &own);
    }
}

/// Other users see the arguments of a process.
#[test]
fn the_list_of_processes_does_not_show_it() {
    let server = Server::start(|_| Tahoe::new());
    let scratch = Scratch::new("tahoe");
    let own = capability();
    let url = format!("tahoe://{}/uri/{own}/bkt?http-proxy=none", server.address);
    server.script("GET", "bkt", faulty::Trouble::Stall(None));
    let mut child = scratch.start(&["remote", "list", &url]);
    while server.seen("bkt").is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shown.contains("tahoe://***"), "{shown}");
    shows_none(&shown, &own);
}

/// A backup whose URL is in a file that others may read is warned about.
#[test]
fn a_file_with_the_url_is_for_its_owner() {
    let server = Server::start(|_| Tahoe::new());
    let scratch = Scratch::new("tahoe");
    let file = scratch.at("parameters");
    let url = format!(
        "tahoe://{}/uri/{}/bkt?http-proxy=none",
        server.address,
        capability()
    );
    fs::write(&file, format!("--target={url}\n")).unwrap();
    let list = |mode: u32| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let from = format!("--parameters-file={}", text(&file));
        let ran = scratch.run(&["remote", "list", "-", &from]);
        (ran.code, ran.err)
    };
    assert_eq!(list(0o600), (0, String::new()));
    let (code, told) = list(0o644);
    assert!(code == 2 && told.contains("chmod 600"), "{code} {told}");
}

/// A directory of 20 000 files, and a volume of 150 MB, take no more memory than small ones.
#[test]
fn large_files_and_long_listings_in_little_memory() {
    let server = Server::start(|_| Tahoe::new());
    let scratch = Scratch::new("tahoe");
    let url = format!(
        "tahoe://{}/uri/{}/bkt?http-proxy=none",
        server.address,
        capability()
    );
    let peak = |args: &[&str]| {
        let (peak, ended) = support::peak_kib(scratch.start(args));
        assert!(ended.success(), "{args:?}");
        assert!((1000..32 << 10).contains(&peak), "{peak} KiB for {args:?}");
    };
    let large = scratch.at("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(150 << 20)
        .unwrap();
    peak(&["remote", "put", &url, text(&large)]);
    let back = scratch.at("back");
    peak(&["remote", "get", &url, "large", text(&back)]);
    assert_eq!(fs::metadata(&back).unwrap().len(), 150 << 20);
    server.with(|tahoe| {
        for i in 0..20_000 {
            tahoe.keep(&format!("duplicati-b{i:032x}.dblock.zip.aes"), b"");
        }
    });
    peak(&["remote", "list", &url]);
    let (peak, _) = support::peak_kib(scratch.start(&["list", &url, "--no-cache", PASSPHRASE]));
    assert!((1000..32 << 10).contains(&peak), "{peak} KiB");
}

/// Killed in the middle of an upload; the next run goes on.
#[test]
fn killed_in_an_upload() {
    let Some(grid) = grid::start() else { return };
    let trip = Trip::new("tahoe", PASSPHRASE, &SIZES);
    tree::make(&trip.source(), 5, 64 << 10);
    let own = grid.make();
    let url = grid.url(&format!("{own}/killed"));
    trip.backup(&url, &[]).code(&[0]);
    let first = take(&trip.source());
    fs::write(trip.source().join("large"), Rand(2).bytes(4 << 20)).unwrap();
    let names = || {
        let ran = trip.run(&["remote", "list", &url, "--json"]).code(&[0]);
        ran.json()["Files"].as_array().unwrap().len()
    };
    let had = names();
    let mut child = trip.begin(&url, &["--throttle-upload=700kb"]);
    while names() < had + 2 {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    trip.gives(&first, &url, &[]);
    trip.backup(&url, &[]).code(&[0]);
    trip.gives(&take(&trip.source()), &url, &[]);
    trip.gives(&first, &url, &["--version=1"]);
    trip.verify(&url);
}

/// Odd names and lengths, by the gateway itself.
#[test]
fn files_as_they_are() {
    let Some(grid) = grid::start() else { return };
    let scratch = Scratch::new("tahoe");
    let own = grid.make();
    let url = grid.url(&format!("{own}/d"));
    let odd = "a b+c%41 \u{e9}\u{1f600}&=~'(1)!#.zip";
    let data = Rand(4).bytes(3 << 20);
    let run = |args: &[&str]| scratch.run(args).code(&[0]);
    run(&["remote", "mkdir", &url]);
    run(&["remote", "mkdir", &url]);
    let (from, to) = (scratch.at("from"), scratch.at("back"));
    for (name, data) in [
        (odd, &data[..]),
        ("empty", b""),
        ("one", b"1"),
        ("literal", &data[..55]),
        ("shares", &data[..56]),
        (odd, &data[1..]),
    ] {
        fs::write(&from, data).unwrap();
        let _ = fs::remove_file(&to);
        run(&["remote", "put", &url, name, text(&from)]);
        run(&["remote", "get", &url, name, text(&to)]);
        assert!(fs::read(&to).unwrap() == data, "{name}");
    }
    let listed = run(&["remote", "list", &url, "--json"]).json();
    let files = listed["Files"].as_array().unwrap();
    assert_eq!(files.len(), 5, "{listed:#}");
    let has_time = |file: &serde_json::Value| file["LastModification"].is_string();
    assert!(files.iter().all(has_time), "{listed:#}");
    for _ in 0..2 {
        run(&["remote", "delete", &url, odd]);
    }
    run(&["remote", "test", &url]);
    // A URL that leads into a file.
    let ran = scratch.run(&["remote", "list", &grid.url(&format!("{own}/d/one"))]);
    let ran = ran.code(&[100]);
    assert!(ran.err.contains("is a file"), "{}", ran.all());
    let missing = Path::new("missing");
    let ran = scratch.run(&[
        "remote",
        "list",
        &grid.url(&format!("{own}/{}", text(missing))),
    ]);
    assert!(ran.code(&[100]).err.contains("folder does not exist"));
}
