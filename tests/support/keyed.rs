//! A whole life of a backup at a service that only its clients see into: versions, restores, deletions, a second prefix.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a test may fail where it stands"
)]

use std::fs;
use std::path::Path;

use crate::support::snapshot::{But, same, take};
use crate::support::trip::Trip;
use crate::support::{Rand, text, tree};

/// Three versions, each restored without the cache and compared; a run that finds nothing new; all verified; deleted and compacted;
/// a second prefix. `fetch` copies the files into an empty folder by another client: they are good without the service.
pub fn whole_life(trip: &Trip, url: &str, secret: &str, fetch: &dyn Fn(&Path)) {
    let list = || {
        trip.run(&["remote", "list", url, "--json"])
            .code(&[0])
            .json()
    };
    let names = || {
        let all = list();
        let files = all["Files"].as_array().unwrap().clone();
        let name = |f: &serde_json::Value| f["Name"].as_str().unwrap().to_owned();
        files.iter().map(name).collect::<Vec<_>>()
    };
    let sizes = ["--blocksize=64kb", "--dblock-size=1mb", "--retry-delay=0s"];
    let source = trip.source();
    let _ = fs::remove_dir_all(&source);
    fs::create_dir(&source).unwrap();
    tree::make(&source, 7, 64 << 10);
    let mut states = Vec::new();
    for turn in 0..3 {
        match turn {
            0 => {}
            1 => tree::edit(&source, 8),
            _ => fs::write(source.join("third"), Rand(3).bytes(300_000)).unwrap(),
        }
        states.push(take(&source));
        trip.backup(url, &sizes).code(&[0]);
        let there = names();
        trip.backup(url, &sizes).code(&[1]);
        assert_eq!(names(), there, "nothing new, nothing changed");
    }
    for (version, want) in states.iter().rev().enumerate() {
        let version = format!("--version={version}");
        same(
            want,
            &trip.restored(url, &[&version]),
            But::default(),
            &version,
        );
    }
    trip.verify(url);
    let other = "--prefix=other";
    trip.backup(url, &[&sizes[..], &[other]].concat())
        .code(&[0]);
    trip.run(&["delete", url, "--version=1,2", secret])
        .code(&[0]);
    trip.run(&["compact", url, secret, "--threshold=1"])
        .code(&[0]);
    let newest = &states[2];
    trip.gives(newest, url, &[]);
    trip.gives(newest, url, &[other]);
    let folder = trip.folder("fetched");
    fetch(&folder);
    for place in [url, text(&folder)] {
        for prefix in ["--prefix=duplicati", other] {
            trip.run(&["verify", place, "all", secret, prefix])
                .code(&[0]);
        }
    }
    trip.gives(newest, text(&folder), &[]);
    let kept = names();
    assert!(kept.len() > 6 && kept.iter().all(|n| n.contains(".d") && !n.contains("tmp")));
    assert!(trip.left_in_tmp().is_empty());
    fs::remove_dir_all(folder).unwrap();
}

/// A backup in a folder of the bucket `box` that another client fetches: it is good without the service. Then the other stores it
/// elsewhere, and it is restored from there. `url` makes a destination URL of a place, `client` runs `fetch` or `store` on a folder of
/// the bucket and one here, and is false where there is no other client.
pub fn beside(
    trip: &Trip,
    url: &dyn Fn(&str) -> String,
    client: &dyn Fn(&str, &str, &Path) -> bool,
) {
    let source = trip.source();
    let _ = fs::remove_dir_all(&source);
    fs::create_dir(&source).unwrap();
    tree::make(&source, 9, 16 << 10);
    fs::write(source.join("large"), Rand(5).bytes(3 << 20)).unwrap();
    let ours = url("box/ours/p%C3%A4th%20a%2Bb");
    trip.run(&["remote", "mkdir", &ours]).code(&[0]);
    let sizes = ["--blocksize=64kb", "--dblock-size=1mb", "--retry-delay=0s"];
    trip.backup(&ours, &sizes).code(&[0]);
    let want = take(&source);
    let folder = trip.at("fetched");
    if !client("fetch", "ours/p\u{e4}th a+b/", &folder) {
        return;
    }
    trip.gives(&want, text(&folder), &[]);
    assert!(client("store", "theirs/x/", &folder));
    let theirs = url("box/theirs/x");
    trip.gives(&want, &theirs, &["--no-cache"]);
    fs::write(source.join("more"), b"more").unwrap();
    trip.backup(&theirs, &sizes).code(&[0]);
    trip.gives(&take(&source), &theirs, &[]);
}
