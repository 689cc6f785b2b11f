//! What only a node of IPFS does wrong, and the pinning services beside it.

use super::ipfs::stub_ipfs::Ipfs;
use super::*;
use crate::net::ipld::cid::{Cid, DAG_PB};

struct Bench {
    server: Server<Ipfs>,
    subject: Subject,
}

fn node(query: &str) -> Bench {
    let server = Server::start(|_| Ipfs::default());
    let url = ipfs::url(&server.address.to_string(), query);
    let subject = Subject::open(&url, SECRETS);
    Bench { server, subject }
}

impl Bench {
    fn node(&self) -> &Server<Ipfs> {
        &self.server
    }

    fn file(&self) -> Option<Vec<u8>> {
        self.node().with(|n| n.files.get(NAME).cloned())
    }

    /// A stored file that downloads get.
    fn stored(&self, len: usize) -> Vec<u8> {
        let data = bytes(len);
        self.node().with(|n| {
            n.folder = true;
            n.files.insert(NAME.to_owned(), data.clone());
        });
        data
    }
}

#[test]
fn a_full_repository_is_found_after_a_good_status() {
    let full = "{\"Message\":\"write /x: no space left on device\",\"Code\":0,\"Type\":\"error\"}";
    let mut b = node("");
    let lines = format!("{{\"Name\":\"x\"}}\n{full}\n");
    b.node()
        .script("POST", "/add", Trouble::Answer(200, Vec::new(), lines));
    let e = b.subject.put(&bytes(100)).expect_err("full");
    assert_eq!(e.kind(), Kind::NoSpace, "{e}");
    assert_eq!(b.node().seen("/add").len(), 1);
}

#[test]
fn listings_of_little() {
    for (json, names) in [
        (r#"{"Entries":null}"#, &[][..]),
        (r#"{"Entries":[]}"#, &[]),
        (
            r#"{"Entries":[{"Name":"a","Type":0,"Size":"5","Hash":"x"},{"Name":"b","Type":1},{"Name":""}]}"#,
            &["a"],
        ),
    ] {
        let mut b = node("");
        b.stored(1);
        let answer = Trouble::Answer(200, Vec::new(), json.to_owned());
        b.node().script("POST", "/files/ls", answer);
        assert_eq!(b.subject.list().expect("listed"), names);
    }
}

#[test]
fn rows_39_and_40_a_node_that_stores_something_else() {
    let mut b = node("");
    b.node().with(|n| n.links_lost = 1);
    b.subject.put(&bytes(1000)).expect("second time");
    assert_eq!(b.node().seen("/add").len(), 2);
    let mut b = node("");
    b.node().with(|n| n.links_lost = 100);
    let e = b.subject.put(&bytes(1000)).expect_err("never linked");
    assert_eq!(e.kind(), Kind::Busy);
    assert!(e.to_string().contains("did not link"), "{e}");

    let mut b = node("");
    b.node().with(|n| n.other_cid = true);
    let e = b.subject.put(&bytes(1000)).expect_err("another identifier");
    assert_eq!(e.kind(), Kind::Damaged);
    assert_eq!(b.file(), None, "it is removed");
    assert_eq!(b.node().seen("/files/rm").len(), 2);

    let mut b = node("");
    b.stored(5);
    b.subject.put(&bytes(1000)).expect("replaced");
    assert_eq!(b.file().expect("there").len(), 1000);
    b.subject.put(&bytes(1000)).expect("the same again");
    assert_eq!(b.node().seen("/add").len(), 1, "nothing to send");
}

#[test]
fn errors_of_a_node_have_their_class() {
    let says = |text: &str| format!(r#"{{"Message":"{text}","Code":0,"Type":"error"}}"#);
    for (status, body, kind, part) in [
        (
            500,
            says("write x: no space left on device"),
            Kind::NoSpace,
            "no space left",
        ),
        (
            500,
            says("datastore is full"),
            Kind::NoSpace,
            "no space left",
        ),
        (
            500,
            says("context deadline exceeded"),
            Kind::Busy,
            "--ipfs-timeout",
        ),
        (401, String::new(), Kind::Credentials, "wants a login"),
        (
            403,
            "403 - Access Denied".to_owned(),
            Kind::Credentials,
            "/api/v0/files",
        ),
        (
            403,
            "403 - Forbidden".to_owned(),
            Kind::Credentials,
            "origins",
        ),
        (
            404,
            "404 page not found".to_owned(),
            Kind::Usage,
            "not the RPC",
        ),
        (413, String::new(), Kind::Unsupported, "--dblock-size"),
        (507, String::new(), Kind::NoSpace, "507"),
    ] {
        let mut b = node("number-of-retries=0");
        b.stored(1);
        b.node()
            .script("POST", "/add", Trouble::Answer(status, Vec::new(), body));
        let e = b.subject.put(&bytes(1000)).expect_err("refused");
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.to_string().contains(part), "{e}");
    }
    for (version, good) in [
        ("0.16.0", true),
        ("0.15.9", false),
        ("1.2", true),
        ("x", false),
    ] {
        let mut b = node("number-of-retries=0");
        b.stored(1);
        let body = format!(r#"{{"Version":"{version}"}}"#);
        b.node()
            .script("POST", "/version", Trouble::Answer(200, Vec::new(), body));
        assert_eq!(b.subject.list().is_ok(), good, "{version}");
    }
    let mut b = node("number-of-retries=0");
    let other = Server::start(|_| Ipfs::default());
    let to = vec![(
        "location",
        format!("http://{}/api/v0/version", other.address),
    )];
    b.node()
        .script("POST", "/version", Trouble::Answer(307, to, String::new()));
    assert!(
        b.subject
            .list()
            .expect_err("elsewhere")
            .to_string()
            .contains("another address")
    );
    assert!(other.seen("").is_empty());
    assert_eq!(
        b.node().seen("/version")[0].header("authorization"),
        Some("Bearer s3cr3t/+value")
    );
}

/// What lacks a block is not what has no such name.
#[test]
fn a_block_that_is_not_there_is_no_missing_folder() {
    let lost = r#"{"Message":"block was not found locally (offline): ipld: could not find bafyx","Code":0,"Type":"error"}"#;
    let answer = || Trouble::Answer(500, Vec::new(), lost.to_owned());
    let mut b = node("number-of-retries=0");
    b.stored(1);
    b.node().script("POST", "/files/stat", answer());
    let there = b.subject.remote.list(&mut b.subject.ui, &mut |_| Ok(()));
    let e = there
        .map_err(|e| b.subject.checked(e))
        .expect_err("not empty");
    assert!(e.to_string().contains("could not find bafyx"), "{e}");
    b.node().script("POST", "/files/rm", answer());
    let mut remote = RemoteMut::new(&mut b.subject.remote, &Permit::to_write());
    remote
        .delete(&mut b.subject.ui, NAME)
        .expect_err("not removed");
    assert!(b.file().is_some());
}

#[test]
fn a_pinning_service_is_asked_for_a_copy() {
    for (status, pinned) in [("pinned", true), ("failed", false)] {
        let service = Server::start(|_| Ipfs {
            pin_status: status,
            ..Ipfs::default()
        });
        let query = format!(
            "ipfs-pin-service=http://{}/psa&ipfs-pin-token=p1nt0ken",
            service.address
        );
        let mut b = node(&query);
        b.subject.put(&bytes(10)).expect("stored");
        let mut remote = RemoteMut::new(&mut b.subject.remote, &Permit::to_write());
        let facts = remote.finish(&mut b.subject.ui).expect("finished");
        let keys: Vec<_> = facts.iter().map(|f| f.key).collect();
        assert_eq!(keys.contains(&"IpfsPinStatus"), pinned);
        assert_eq!(b.subject.ui.warnings(), u64::from(!pinned));
        let root = Cid::parse(&facts[0].value).expect("the root");
        let posts = service.seen("/psa/pins");
        let made = posts.iter().find(|s| s.method == "POST").expect("a pin");
        assert!(made.text.contains(&root.to_string()), "{}", made.text);
        assert_eq!(made.header("authorization"), Some("Bearer p1nt0ken"));
        assert_eq!(root.codec(), DAG_PB);
    }
    for (status, part) in [(401, "--ipfs-pin-token"), (402, "paid"), (500, "refuses")] {
        let service = Server::start(|_| Ipfs::default());
        let said = r#"{"error":{"reason":"X","details":"p1nt0ken is bad"}}"#;
        let answer = Trouble::Answer(status, Vec::new(), said.to_owned());
        service.script("GET", "/psa/pins", answer);
        let mut b = node(&format!(
            "ipfs-pin-service=http://{}/psa&ipfs-pin-token=p1nt0ken",
            service.address
        ));
        b.subject.put(&bytes(10)).expect("stored");
        let dest = &mut b.subject.remote.dest;
        dest.finish().expect("the backup is complete");
        let warnings = dest.said().warnings.join("");
        assert!(warnings.contains(part), "{warnings}");
        assert!(!b.subject.remote.redact.clean(warnings).contains("p1nt0ken"));
    }
}
