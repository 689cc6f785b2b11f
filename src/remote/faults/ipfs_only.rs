//! What only a node of IPFS does wrong, and the pinning services beside it.

use super::ipfs::stub_ipfs::Ipfs;
use super::*;
use crate::format::ipld::cid::{Cid, DAG_PB};

fn node(query: &str) -> Special<Ipfs> {
    let server = Server::start(|_| Ipfs::default());
    let url = ipfs::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

#[test]
fn a_full_repository_is_found_after_a_good_status() {
    let full = ipfs::no("write /x: no space left on device");
    let mut b = node("");
    let lines = format!("{{\"Name\":\"x\"}}\n{full}\n");
    b.script("POST", "/add", reply(200, lines));
    fails(b.put(&bytes(100)), Kind::NoSpace, "");
    assert_eq!(b.count("", "/add"), 1);
}

#[test]
fn listings_of_little() {
    let a = r#"{"Name":"a","Type":0,"Size":"5","Hash":"x"}"#;
    let some = format!(r#"{{"Entries":[{a},{{"Name":"b","Type":1}},{{"Name":""}}]}}"#);
    for (json, names) in [
        (r#"{"Entries":null}"#, &[][..]),
        (r#"{"Entries":[]}"#, &[]),
        (&some, &["a"]),
    ] {
        let mut b = node("");
        b.stored(1);
        b.script("POST", "/files/ls", reply(200, json));
        assert_eq!(b.list().expect("listed"), names);
    }
}

#[test]
fn rows_39_and_40_a_node_that_stores_something_else() {
    let mut b = node("");
    b.with(|n| n.links_lost = 1);
    b.put(&bytes(1000)).expect("second time");
    assert_eq!(b.count("", "/add"), 2);
    let mut b = node("");
    b.with(|n| n.links_lost = 100);
    fails(b.put(&bytes(1000)), Kind::Busy, "did not link");

    let mut b = node("");
    b.with(|n| n.other_cid = true);
    fails(b.put(&bytes(1000)), Kind::Damaged, "");
    assert_eq!(b.file(), None, "it is removed");
    assert_eq!(b.count("", "/files/rm"), 2);

    let mut b = node("");
    b.stored(5);
    b.put(&bytes(1000)).expect("replaced");
    assert_eq!(b.file().expect("there").len(), 1000);
    b.put(&bytes(1000)).expect("the same again");
    assert_eq!(b.count("", "/add"), 1, "nothing to send");
}

#[test]
fn versions_of_nodes() {
    for (version, good) in [
        ("0.16.0", true),
        ("0.15.9", false),
        ("1.2", true),
        ("x", false),
    ] {
        let mut b = node("number-of-retries=0");
        b.stored(1);
        let body = format!(r#"{{"Version":"{version}"}}"#);
        b.script("POST", "/version", reply(200, body));
        assert_eq!(b.list().is_ok(), good, "{version}");
    }
}

#[test]
fn a_node_elsewhere_is_not_asked() {
    let mut b = node("number-of-retries=0");
    let other = Server::start(|_| Ipfs::default());
    let to = format!("http://{}/api/v0/version", other.address);
    b.script("POST", "/version", moved(&to));
    refused(b.list(), "another address");
    assert!(other.seen("").is_empty());
    let sent = &b.asked("POST", "/version")[0];
    assert_eq!(sent.header("authorization"), Some("Bearer s3cr3t/+value"));
}

/// What lacks a block is not what has no such name.
#[test]
fn a_block_that_is_not_there_is_no_missing_folder() {
    let text = "block was not found locally (offline): ipld: could not find bafyx";
    let lost = reply(500, ipfs::no(text));
    let mut b = node("number-of-retries=0");
    b.stored(1);
    b.script("POST", "/files/stat", lost.clone());
    refused(b.list(), "could not find bafyx");
    b.script("POST", "/files/rm", lost);
    b.delete().expect_err("not removed");
    assert!(b.file().is_some());
}

/// A node, and a pinning service beside it.
fn pinned(service: Ipfs) -> (Special<Ipfs>, Server<Ipfs>) {
    let service = Server::start(|_| service);
    let at = service.address;
    let query = format!("ipfs-pin-service=http://{at}/psa&ipfs-pin-token=p1nt0ken");
    (node(&query), service)
}

#[test]
fn a_pinning_service_is_asked_for_a_copy() {
    for (status, good) in [("pinned", true), ("failed", false)] {
        let (mut b, service) = pinned(Ipfs {
            pin_status: status,
            ..Ipfs::default()
        });
        b.put(&bytes(10)).expect("stored");
        let facts = b.finish().expect("finished");
        let has = facts.iter().any(|f| f.key == "IpfsPinStatus");
        assert_eq!((has, b.ui.warnings()), (good, u64::from(!good)));
        let root = Cid::parse(&facts[0].value).expect("the root");
        let posts = service.seen("/psa/pins");
        let made = posts.iter().find(|s| s.method == "POST").expect("a pin");
        assert!(made.text.contains(&root.to_string()), "{}", made.text);
        assert_eq!(made.header("authorization"), Some("Bearer p1nt0ken"));
        assert_eq!(root.codec(), DAG_PB);
    }
    for (status, words) in [(401, "--ipfs-pin-token"), (402, "paid"), (500, "refuses")] {
        let (mut b, service) = pinned(Ipfs::default());
        let said = r#"{"error":{"reason":"X","details":"p1nt0ken is bad"}}"#;
        service.script("GET", "/psa/pins", reply(status, said));
        b.put(&bytes(10)).expect("stored");
        let dest = &mut b.remote.dest;
        dest.finish().expect("the backup is complete");
        let warnings = dest.said().warnings.join("");
        assert!(warnings.contains(words), "{warnings}");
        assert!(!b.remote.redact.clean(warnings).contains("p1nt0ken"));
    }
}
