//! A real Kubo node as destination, and its gateway, honest or not, as the only way to what was written.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![cfg(feature = "dest-ipfs")]

#[path = "support/servers/ipfs.rs"]
mod ipfs;
mod support;

use std::fs;
use std::ops::Deref;
use std::process::Command;

use ipfs::{Liar, Lie, Node, Relay, kubo, through};
use support::snapshot::{But, same, take};
use support::trip::Trip;
use support::{Rand, Scratch, copy_folder, fixture, text, tree};

const PASSPHRASE: &str = "--passphrase=correct horse";

struct Bench {
    node: Node,
    trip: Trip,
}

impl Deref for Bench {
    type Target = Trip;

    fn deref(&self) -> &Trip {
        &self.trip
    }
}

/// `None` where there is no Kubo.
fn bench(label: &str) -> Option<Bench> {
    let program = kubo()?;
    let trip = Trip::new(label, PASSPHRASE, &[]);
    let node = Node::start(program, &trip.folder("repo"));
    Some(Bench { node, trip })
}

impl Bench {
    /// A made tree in the node; the URL of the folder and its root.
    fn backed_up(&self) -> (String, String) {
        tree::make(&self.source(), 6, 64 << 10);
        let url = self.node.url("backups/router", "");
        let ran = self.backup(&url, &["--blocksize=64kb", "--json"]);
        let root = ran.code(&[0]).json()["IpfsRoot"]
            .as_str()
            .unwrap()
            .to_owned();
        (url, root)
    }
}

#[test]
fn a_backup_lives_in_a_node_and_restores_from_its_root_through_the_gateway() {
    let Some(b) = bench("ipfs") else { return };
    let source = b.source();
    tree::make(&source, 6, 64 << 10);
    let url = b.node.url("backups/router", "");
    let first = b
        .backup(&url, &["--blocksize=64kb"])
        .code(&[0])
        .says("ipfs root: bafy");
    let root = first
        .out
        .lines()
        .find_map(|l| l.strip_prefix("ipfs root: "));
    let old_root = root.unwrap().to_owned();
    assert_eq!(
        b.node.run(&["files", "stat", "--hash", "/backups/router"]),
        old_root
    );
    let before = take(&source);
    let ran = b.backup(&url, &["--json"]).code(&[1]);
    assert!(ran.json()["IpfsRoot"].is_null());
    tree::edit(&source, 7);
    let after = take(&source);
    let ran = b.backup(&url, &["--json"]).code(&[0]);
    let root = ran.json()["IpfsRoot"].as_str().unwrap().to_owned();
    assert_ne!(root, old_root);
    b.gives(&after, &url, &[]);
    b.gives(&before, &url, &["--version=1"]);
    b.verify(&url);
    for more in [
        "",
        "&ipfs-gateway-mode=car",
        "&ipfs-gateway-mode=path",
        "&ipfs-list-sizes=true",
    ] {
        let content = b.node.content(&root, more);
        b.gives(&after, &content, &[]);
        b.gives(&before, &content, &["--version=1"]);
        b.verify(&content);
    }
    let old = b.node.content(&old_root, "");
    b.gives(&before, &old, &[]);
    // A dry run tells that nothing can be deleted there.
    b.run(&[
        "delete",
        &old,
        "--version=0",
        "--dry-run",
        "--allow-full-removal",
        PASSPHRASE,
    ])
    .code(&[0])
    .says("without --dry-run it is refused");
    b.node.run(&["repo", "gc"]);
    b.gives(&after, &url, &[]);
    let content = b.node.content(&root, "");
    b.gives(&after, &content, &[]);
    let top = b.node.run(&["files", "stat", "--hash", "/"]);
    let below = content.replace(&root, &format!("{top}/backups/router"));
    b.gives(&after, &below, &[]);
    let none = below.replace("router", "rooter");
    b.restore(&none, "x", &[PASSPHRASE]).code(&[100]);
}

/// What one file of many costs, cold, by the node's own count: at the node, and from its root through the gateway.
#[test]
fn one_file_takes_eight_requests() {
    for secret in [PASSPHRASE, "--no-encryption"] {
        let Some(program) = kubo() else { return };
        let trip = Trip::new(
            "ipfs-one",
            secret,
            &["--blocksize=10kb", "--dblock-size=1mb"],
        );
        let node = Node::start(program, &trip.folder("repo"));
        tree::many_small(&trip.source());
        let url = node.url("backups/router", "");
        trip.backup(&url, &["--no-cache"]).code(&[0]);
        let root = node.run(&["files", "stat", "--hash", "/backups/router"]);
        let [checked, path] = ["", "&ipfs-gateway-mode=path"].map(|more| node.content(&root, more));
        for (who, url, most) in [
            // A block of IPFS can only be checked as a whole.
            ("gateway", checked, (8, 4 << 20)),
            ("gateway", path, (8, 1 << 20)),
            // There, each file and the folder take a question more.
            ("api", url, (12, 1 << 20)),
        ] {
            let before = node.count(who);
            let path = trip.source().join("d17/in/ner/f33");
            let args = ["cat", &url, text(&path), secret];
            let args = [&args[..], &["--no-cache", "--partial-reads=always"]].concat();
            let ran = trip.command(&args).output().unwrap();
            assert!(ran.stdout == fs::read(&path).unwrap(), "{ran:?}");
            let after = node.count(who);
            let (calls, bytes) = (after.0 - before.0, after.1 - before.1);
            eprintln!("one file at the {who}: {calls} requests, {bytes} bytes");
            assert!(calls > 1, "the node counts");
            assert!(
                calls <= most.0 && bytes <= most.1,
                "{url}: {calls}, {bytes}"
            );
        }
    }
}

#[test]
fn fixtures_added_by_other_means_restore_from_their_identifier() {
    let Some(b) = bench("ipfs-fixtures") else {
        return;
    };
    let kinds: [&[&str]; 4] = [
        &[],
        &["--cid-version=1", "--chunker=size-4096"],
        &[
            "--cid-version=1",
            "--raw-leaves=false",
            "--chunker=size-65536",
        ],
        &["--trickle", "--chunker=size-2000", "--inline"],
    ];
    let mut added = 0;
    b.fixtures(|_, local| {
        let cid = b.node.add_folder(local, kinds[added % kinds.len()]);
        let mode = ["", "&ipfs-gateway-mode=car"][added / 2 % 2];
        added += 1;
        b.node.content(&cid, mode)
    });
}

#[test]
fn a_sharded_folder_of_twenty_thousand_names_is_read_within_the_budget() {
    let Some(b) = bench("ipfs-many") else { return };
    let many = b.folder("many");
    copy_folder(&fixture("plain").join("dest"), &many);
    for i in 0..20_000 {
        let name = format!("some other file with a long name, number {i}");
        fs::write(many.join(name), "x").unwrap();
    }
    let few = b.node.add_folder(&fixture("plain").join("dest"), &[]);
    let cid = b.node.add_folder(&many, &["--cid-version=1"]);
    let shards = b.node.run(&["refs", &cid]).lines().count();
    assert!(shards <= 256, "the root of a sharded folder: {shards}");
    let small = b.listing_peak(&b.node.content(&few, ""), &[]);
    let content = b.node.content(&cid, "");
    let large = b.listing_peak(&content, &[]);
    eprintln!("content mode: {small} KiB for few names, {large} KiB for 20 000");
    // 48 bytes a name, a block of 1 MiB, what the allocator keeps, and room for another machine.
    assert!(large < small + 8192, "{small} and {large} KiB");
    b.restore(&content, "got", &[]).code(&[0]);
    assert!(!take(&b.at("got")).is_empty());
    let from = format!("/ipfs/{cid}");
    b.node.run(&["files", "cp", &from, "/many"]);
    let large = b.listing_peak(&b.node.url("many", ""), &[]);
    eprintln!("node mode: {large} KiB for 20 000 names");
    assert!(large < small + 8192, "{small} and {large} KiB");
}

#[test]
fn a_gateway_that_lies_about_one_volume_only_costs_that_gateway() {
    let Some(b) = bench("ipfs-one-lie") else {
        return;
    };
    let (_, root) = b.backed_up();
    let want = take(&b.source());
    let listing = b.node.run(&["ls", &root]);
    let dblock = listing.lines().find(|l| l.contains(".dblock.")).unwrap();
    let cid: &'static str = dblock.split_whitespace().next().unwrap().to_owned().leak();
    let liar = Liar::start(&b.node.gateway, Lie::FlippedByte, cid);
    let url = through(&root, &[&liar.address, &b.node.gateway], "");
    let ran = b.restore(&url, "restored", &[PASSPHRASE]).code(&[0]);
    ran.says("is not used any more: it returned other data");
    same(&want, &take(&b.at("restored")), But::default(), "one lie");
    let url = through(&root, &[&liar.address], "&number-of-retries=0");
    b.restore(&url, "part", &[PASSPHRASE]).code(&[3, 100]);
    // Where nobody tells the truth, nothing is written.
    let liar = Liar::start(&b.node.gateway, Lie::FlippedByte, "");
    let url = through(&root, &[&liar.address, &liar.address], "");
    let ran = b.restore(&url, "nothing", &[PASSPHRASE]).code(&[100]);
    ran.says("no gateway gives block").says("returned");
    assert!(support::names(&b.at("nothing")).is_empty());
}

#[test]
fn a_published_name_leads_to_the_newest_root() {
    let Some(b) = bench("ipfs-names") else { return };
    tree::make(&b.source(), 6, 64 << 10);
    let url = b
        .node
        .url("backups/n", "&ipfs-publish=backup&ipfs-pin=root");
    b.backup(&url, &[])
        .code(&[2])
        .says("its root was not published")
        .says("ipfs key gen backup");
    b.node.run(&["key", "gen", "backup"]);
    tree::edit(&b.source(), 7);
    let ran = b.backup(&url, &["--json"]).code(&[0]);
    let name = ran.json()["IpnsName"].as_str().unwrap().to_owned();
    let root = ran.json()["IpfsRoot"].as_str().unwrap().to_owned();
    assert!(name.starts_with("k51"), "{name}");
    let pins = b.node.run(&["pin", "ls", "--type=recursive", "--names"]);
    assert!(pins.contains(&root), "{pins}");
    assert_eq!(
        pins.matches("duplet /backups/n").count(),
        1,
        "the earlier root is not pinned any more: {pins}"
    );
    let want = take(&b.source());
    let content = b.node.content(&name, "").replace("ipfs://", "ipns://");
    b.gives(&want, &content, &[]);
    for lie in [
        Lie::FlippedByte,
        Lie::OtherBlock,
        Lie::LoginPage,
        Lie::Endless,
    ] {
        let liar = Liar::start(&b.node.gateway, lie, "ipns-record");
        let url =
            |gateways: &[&str], more| through(&name, gateways, more).replace("ipfs://", "ipns://");
        let both = url(&[&liar.address, &b.node.gateway], "");
        b.gives(&want, &both, &[]);
        let one = url(&[&liar.address], "&number-of-retries=0");
        let ran = b.restore(&one, "x", &[PASSPHRASE]).code(&[100]);
        ran.says("no gateway gives a record");
    }
}

#[test]
fn a_node_that_dies_in_the_middle_loses_nothing() {
    let Some(mut b) = bench("ipfs-killed") else {
        return;
    };
    let (url, _) = b.backed_up();
    let before = take(&b.source());
    let noise = Rand(9).bytes(6 << 20);
    fs::write(b.source().join("noise"), noise).unwrap();
    let pid = b.node.pid().to_string();
    let relay = Relay::start(&b.node.api, 2 << 20, move || {
        Command::new("kill").args(["-9", &pid]).status().unwrap();
    });
    let cut = url.replace(&b.node.api, &relay.address);
    b.backup(&format!("{cut}&number-of-retries=1"), &["--no-cache"])
        .code(&[100])
        .says("2 attempts");
    b.node.down();
    b.node.up();
    b.gives(&before, &url, &[]);
    b.backup(&url, &["--no-cache"]).code(&[0]);
    let after = take(&b.source());
    b.gives(&after, &url, &[]);
    b.verify(&url);
}

#[test]
fn a_node_that_is_full_is_named_and_nothing_is_lost() {
    let Some(program) = kubo() else { return };
    let trip = Trip::new("ipfs-full", PASSPHRASE, &[]);
    let mut node = Node::prepare(program, &trip.folder("repo"));
    if !node.on_small_disk(24) {
        eprintln!("SKIPPED: no small disk can be mounted here");
        return;
    }
    node.up();
    let b = Bench { node, trip };
    let (url, _) = b.backed_up();
    let before = take(&b.source());
    let noise = Rand(9).bytes(40 << 20);
    fs::write(b.source().join("noise"), noise).unwrap();
    // Some volumes are up by then: their address is told although the run fails.
    let ran = b.backup(&url, &["--dblock-size=2mb"]).code(&[100]);
    ran.says("no space left").says("ipfs root: bafy");
    b.gives(&before, &url, &[]);
    b.node.resize_disk(200);
    b.backup(&url, &[]).code(&[0]);
    let after = take(&b.source());
    b.gives(&after, &url, &[]);
}

#[test]
fn logins_and_what_is_no_node() {
    let Some(mut b) = bench("ipfs-login") else {
        return;
    };
    let (url, root) = b.backed_up();
    b.node.down();
    let list = |b: &Bench, url: &str| b.run(&["list", url, PASSPHRASE, "--no-cache"]);
    list(&b, &format!("{url}&number-of-retries=0"))
        .code(&[100])
        .says("refused");
    b.node.run(&[
        "config",
        "--json",
        "API.Authorizations",
        r#"{"all":{"AuthSecret":"basic:me:s3cr3tpass","AllowedPaths":["/api/v0"]},
            "few":{"AuthSecret":"bearer:t0kent0ken","AllowedPaths":["/api/v0/version","/api/v0/files","/api/v0/add"]},
            "one":{"AuthSecret":"bearer:onlyversion","AllowedPaths":["/api/v0/version"]}}"#,
    ]);
    b.node.up();
    let as_user = |who: &str| url.replace("ipfs://", &format!("ipfs://{who}@"));
    list(&b, &as_user("me:s3cr3tpass")).code(&[0]);
    list(&b, &format!("{url}&ipfs-api-token=t0kent0ken")).code(&[0]);
    fs::write(b.source().join("new"), "new").unwrap();
    b.backup(&format!("{url}&ipfs-api-token=t0kent0ken"), &[])
        .code(&[0]);
    for bad in [
        url.clone(),
        as_user("me:wr0ngpass"),
        format!("{url}&ipfs-api-token=onlyversion"),
    ] {
        let ran = list(&b, &bad)
            .code(&[100])
            .says("RPC access denied")
            .says("/api/v0/files");
        assert!(!ran.all().contains("wr0ngpass@") || ran.line.contains("wr0ngpass"));
        assert!(!ran.err.contains("wr0ngpass") && !ran.err.contains("onlyversion"));
    }
    let gateway = url.replace(&b.node.api, &b.node.gateway);
    list(&b, &gateway)
        .code(&[200])
        .says("not the RPC of an IPFS node");
    let rpc_as_gateway = through(&root, &[&b.node.api], "&number-of-retries=0");
    list(&b, &rpc_as_gateway).code(&[100]);
}

#[test]
fn what_is_wrong_with_a_url_is_said_at_once() {
    let scratch = Scratch::new("ipfs-usage");
    let source = scratch.folder("source");
    let cid = "bafybeif6is3oa664i3npsa7x3fe2a4kpc3plq2zak4ykgbwbf3exvtabtu";
    let name = "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r";
    let gateway = "?ipfs-gateway=http://127.0.0.1:1";
    for (url, says) in [
        ("ipfs://CID", "none is given"),
        ("ipns://NAME", "none is given"),
        (
            "ipfs://CID?ipfs-gateway=127.0.0.1:8080",
            "http:// or https://",
        ),
        ("ipfs://CID?ipfs-gateway=http://", "http:// or https://"),
        ("ipfs://LONG", "looks like an IPFS identifier"),
        ("ipfs://127.0.0.1:5001", "names no folder"),
        ("ipfs://127.0.0.1:5001//", "names no folder"),
        ("ipfs://127.0.0.1:5001/a/../b", "cannot be . or .."),
        ("ipfs:///folder", "missing host name"),
        ("ipfs://h:5001/f?ipfs-chunk=2mb", "between 256kb and 1mb"),
        ("ipfs://h:5001/f?ipfs-pin=all", "one of none, root"),
        ("ipfs://h:5001/f?auth-password=x", "no user"),
        ("ipfs://h:5001/f?ipfs-pin-service=x", "https:// URL"),
        (
            "ipns://example.org?ipfs-gateway=http://127.0.0.1:1",
            "--ipfs-dnslink=true",
        ),
    ] {
        let url = url.replace("CID", cid).replace("NAME", name);
        let url = url.replace("LONG", &format!("{}x", &cid[..58]));
        let ran = scratch.run(&["list", &url, "--no-cache", "--number-of-retries=0"]);
        ran.code(&[200]).says(says);
    }
    for url in [
        format!("ipfs://{cid}{gateway}"),
        format!("ipns://{name}{gateway}"),
    ] {
        let args = ["backup", &url, text(&source), PASSPHRASE];
        scratch
            .run(&args)
            .code(&[200])
            .says("read-only destination");
    }
}
