//! IPFS through `Remote` against a node and gateways that misbehave by script (rows of `destinations-core.md` 9). The blocks of the
//! gateway are fixtures exported by Kubo; `ipfs-cid` gives the same identifiers for them.

use super::faults::faulty::{Server, Trouble};
use super::faults::ipfs::stub_ipfs::{Ipfs, archive};
use super::subject::{NAME, Subject, bytes};
use super::*;
use crate::base::error::Kind;
use crate::net::ipld::cid::{Cid, DAG_PB};

const TOKEN: &str = "t0ken/+value";
const MIB: usize = 1 << 20;
/// `tests/data/ipfs`: the same folder added in two ways.
const FOLDER_V1: &str = "bafybeidnptwsxwpwcfobbngo35iyc3sqktjw7tltybkwjfh3ku2vzo5lqe";
const FOLDER_V0: &str = "QmZRp6XbYNkXAV1ptf9AcYkdWELSbXPubJaUrBYZNFvRB4";
const LARGE_SHA256: &str = "ba0d6556a4dfb7b45a25b02f19a12d74450ebf4ae990f42a0242ff49b118e412";
const LARGE: u64 = 700_001;

struct Bench {
    servers: Vec<Server<Ipfs>>,
    subject: Subject,
}

fn open(servers: Vec<Server<Ipfs>>, url: &str) -> Bench {
    let subject = Subject::open(url, &[TOKEN, "t0ken%2F%2Bvalue"]);
    Bench { servers, subject }
}

/// A node.
fn node(query: &str) -> Bench {
    let server = Server::start(|_| Ipfs::default());
    let url = format!(
        "ipfs://{}/p/q?ipfs-api-token=t0ken%2F%2Bvalue&retry-delay=0s&http-proxy=none&{query}",
        server.address
    );
    open(vec![server], &url)
}

/// So many gateways.
fn gateways(count: usize, cid: &str, query: &str) -> Bench {
    let start = |_| {
        Server::start(|_| {
            let mut blocks = archive("folder-v1.car");
            blocks.extend(archive("folder-v0.car"));
            Ipfs {
                blocks,
                ..Ipfs::default()
            }
        })
    };
    let servers: Vec<_> = (0..count).map(start).collect();
    let list: Vec<String> = servers
        .iter()
        .map(|s| format!("http://{}", s.address))
        .collect();
    let url = format!(
        "ipfs://{cid}?ipfs-gateway={}&retry-delay=0s&http-proxy=none&{query}",
        list.join(",")
    );
    open(servers, &url)
}

impl Bench {
    fn node(&self) -> &Server<Ipfs> {
        &self.servers[0]
    }

    fn list(&mut self) -> Result<Vec<(String, Option<u64>)>> {
        Ok(self.subject.entries()?.expect("the folder is there"))
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

    fn large(&mut self) -> Result<()> {
        let data = self.subject.get("large.bin", Some(LARGE))?;
        let sha = crate::base::bytes::hex(Algo::Sha256.hash(&data).as_bytes());
        assert_eq!(sha, LARGE_SHA256);
        Ok(())
    }
}

#[test]
fn rows_1_to_3_uploads_that_break() {
    let mut b = node("");
    b.node()
        .script("POST", "/add", Trouble::Reset(MIB as u64 / 2));
    let data = bytes(MIB + 5);
    b.subject.put(&data).expect("stored");
    assert_eq!(b.file().expect("there"), data);
    assert_eq!(b.node().seen("/add").len(), 2);

    let mut b = node("");
    for _ in 0..6 {
        b.node().script("POST", "/add", Trouble::Reset(100));
    }
    let e = b.subject.put(&data).expect_err("never");
    assert_eq!(e.kind(), Kind::Busy);
    assert!(e.to_string().contains("6 attempts"), "{e}");
    assert_eq!(b.file(), None);

    let mut b = node("");
    b.node().script("POST", "/add", Trouble::Swallow);
    b.subject.put(&data).expect("stored");
    assert_eq!(b.node().seen("/add").len(), 1, "no second upload");
}

/// The answer comes while the body goes out, and then the connection is closed.
#[test]
fn a_refusal_in_mid_upload_is_read() {
    let full = "{\"Message\":\"write /x: no space left on device\",\"Code\":0,\"Type\":\"error\"}";
    for (status, body, kind) in [
        (500, full, Kind::NoSpace),
        (507, "", Kind::NoSpace),
        (401, "", Kind::Credentials),
        (403, "", Kind::Credentials),
        (413, "", Kind::Unsupported),
    ] {
        let mut b = node("number-of-retries=0");
        let trouble = Trouble::Midway(300_000, status, body.to_owned());
        b.node().script("POST", "/add", trouble);
        let e = b.subject.put(&bytes(12 * MIB)).expect_err("refused");
        assert_eq!(e.kind(), kind, "{status}: {e}");
        assert_eq!(b.node().seen("/add").len(), 1, "{status}");
    }
    // A full repository is found after a good status.
    let mut b = node("");
    let lines = format!("{{\"Name\":\"x\"}}\n{full}\n");
    b.node()
        .script("POST", "/add", Trouble::Answer(200, Vec::new(), lines));
    let e = b.subject.put(&bytes(100)).expect_err("full");
    assert_eq!(e.kind(), Kind::NoSpace, "{e}");
    assert_eq!(b.node().seen("/add").len(), 1);
}

#[test]
fn rows_4_and_6_a_node_that_is_busy() {
    let mut b = node("");
    b.stored(10);
    let broken = Trouble::Answer(502, Vec::new(), "bad gateway".to_owned());
    b.node().script("POST", "/files/ls", broken);
    assert_eq!(b.list().expect("listed").len(), 1);
    for (after, good) in [("2", true), ("3600", false)] {
        let headers = vec![("retry-after", after.to_owned())];
        let busy = Trouble::Answer(429, headers, String::new());
        b.node().script("POST", "/files/read", busy);
        assert_eq!(b.subject.get(NAME, Some(10)).is_ok(), good, "{after}");
    }
}

#[test]
fn rows_7_to_10_and_12_downloads_that_break() {
    let mut b = node("");
    let data = b.stored(1000);
    b.node().script("POST", "/files/read", Trouble::Cut(700));
    b.node()
        .script("POST", "/files/read", Trouble::CutOpen(100));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    let reads = b.node().seen("/files/read");
    let offset = |i: usize| {
        let (_, rest) = reads[i].target.split_once("offset=").expect("an offset");
        rest.split('&').next().expect("a value").to_owned()
    };
    assert_eq!([offset(0), offset(1), offset(2)], ["0", "700", "800"]);
    b.node().script("POST", "/files/read", Trouble::Cut(700));
    b.node().script("POST", "/files/read", Trouble::Whole);
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    let e = b.subject.get(NAME, Some(999)).expect_err("another size");
    assert_eq!(e.kind(), Kind::Damaged);
    let e = b.subject.get("absent", None).expect_err("absent");
    assert_eq!(e.kind(), Kind::Missing);
}

#[test]
fn row_14_a_node_that_never_answers() {
    let mut b = node("http-operation-timeout=1s");
    b.node().script("POST", "/add", Trouble::Stall(None));
    b.subject.put(&bytes(1000)).expect("found by a look");
    assert_eq!(b.node().seen("/add").len(), 1);
}

#[test]
fn rows_26_and_27_listings() {
    for (json, count) in [
        (r#"{"Entries":null}"#.to_owned(), Some(0)),
        (r#"{"Entries":[]}"#.to_owned(), Some(0)),
        (
            r#"{"Entries":[{"Name":"a","Type":0,"Size":"5","Hash":"x"},{"Name":"b","Type":1}]}"#
                .to_owned(),
            Some(1),
        ),
        (r#"{"Entries":[{"Name":"a","Type":0"#.to_owned(), None),
        (r#"{"Entries":[{"Name":"a","Type":0}"#.to_owned(), None),
        ("{}".to_owned(), None),
        ("[]".to_owned(), None),
        (String::new(), None),
        ("<html></html>".to_owned(), None),
        (
            format!(r#"{{"Entries":[{{"Name":"{}"}}]}}"#, "x".repeat(10 << 20)),
            None,
        ),
        (format!(r#"{{"Entries":{}"#, "[".repeat(100_000)), None),
    ] {
        let mut b = node("");
        b.stored(1);
        for _ in 0..2 {
            let answer = Trouble::Answer(200, Vec::new(), json.clone());
            b.node().script("POST", "/files/ls", answer);
        }
        let found = b.list().ok().map(|l| l.len());
        assert_eq!(found, count, "{}", &json[..json.len().min(80)]);
    }
    let mut b = node("");
    b.node().with(|n| {
        n.folder = true;
        n.files = (0..20_000)
            .map(|i| (format!("duplicati-b{i:032x}.dblock.zip"), Vec::new()))
            .collect();
    });
    let found = b.list().expect("listed");
    assert_eq!(found.len(), 20_000);
    assert!(found.iter().all(|(_, size)| *size == Some(0)));
}

#[test]
fn row_29_hostile_names() {
    let mut b = node("");
    let names = [
        "../x",
        "..",
        "a/b",
        "x\\u0000y",
        "x\\ny",
        "\\u001b[31m",
        "",
        "good",
    ];
    let mut json = r#"{"Entries":["#.to_owned();
    for name in names {
        json.push_str(&format!(r#"{{"Name":"{name}","Type":0,"Size":1}},"#));
    }
    json.push_str(&format!(r#"{{"Name":"{}"}}]}}"#, "x".repeat(300)));
    b.stored(1);
    b.node()
        .script("POST", "/files/ls", Trouble::Answer(200, Vec::new(), json));
    assert_eq!(b.list().expect("listed"), [("good".to_owned(), Some(1))]);
    assert_eq!(b.subject.ui.warnings(), 1);
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
        assert_eq!(b.list().is_ok(), good, "{version}");
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
        Some("Bearer t0ken/+value")
    );
}

#[test]
fn a_missing_folder_is_made_when_written_and_not_when_read() {
    let mut b = node("");
    let there = b.subject.remote.list(&mut b.subject.ui, &mut |_| Ok(()));
    assert!(!there.expect("asked"));
    assert!(b.node().seen("/files/mkdir").is_empty());
    b.subject.put(b"x").expect("stored");
    assert_eq!(b.node().seen("/files/mkdir").len(), 1);
    let mut b = node("disable-autocreate-folder=true");
    let e = b.subject.put(b"x").expect_err("not made");
    assert_eq!(e.kind(), Kind::Missing);
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
fn gateways_with_the_identifier_in_the_host_name() {
    for (cid, query) in [
        (FOLDER_V1, ""),
        (FOLDER_V0, ""),
        (FOLDER_V1, "&ipfs-gateway-mode=car"),
    ] {
        let plain = gateways(1, cid, "");
        let url = format!(
            "ipfs://{cid}?ipfs-gateway=http://{}/{{cid}}.ipfs.gw&http-proxy=none{query}",
            plain.servers[0].address
        );
        let mut b = open(plain.servers, &url);
        assert_eq!(b.list().expect("listed").len(), 4);
        b.large().expect("read");
        let seen = b.servers[0].seen("");
        let root = Cid::parse(cid).expect("a root").base32();
        assert!(seen[0].target.starts_with(&format!("/{root}.ipfs.gw/?")));
        assert!(
            seen.iter()
                .all(|s| s.target.starts_with("/bafy") || s.target.starts_with("/bafk"))
        );
    }
}

#[test]
fn a_domain_is_believed_only_when_that_is_asked_for() {
    for template in ["", "/{cid}.ipfs.gw"] {
        let plain = gateways(1, FOLDER_V1, "");
        let url = format!(
            "ipns://back-up.example.org?ipfs-gateway=http://{}{template}&http-proxy=none&number-of-retries=0",
            plain.servers[0].address
        );
        let mut b = open(plain.servers, &url);
        let e = b.list().expect_err("not believed");
        assert_eq!(e.kind(), Kind::Usage);
        assert!(e.to_string().contains("--ipfs-dnslink=true"), "{e}");
        assert!(b.servers[0].seen("").is_empty());
        let mut b = open(b.servers, &format!("{url}&ipfs-dnslink=true"));
        let e = b.list().expect_err("points nowhere");
        assert_eq!(e.kind(), Kind::Missing);
        assert!(e.to_string().contains("no gateway has name"), "{e}");
        b.servers[0].with(|s| s.domain = Some(FOLDER_V1.to_owned()));
        b.subject.remote.dest.list(&mut |_| Ok(())).expect("listed");
        let said = b.subject.remote.dest.notices().join("");
        assert!(
            said.contains(&format!("points at {FOLDER_V1}; this cannot be checked")),
            "{said}"
        );
        b.large().expect("read");
        let asked = b.servers[0].seen("ipns").len();
        assert_eq!(asked, 2, "once before it pointed anywhere, once after");
    }
}

#[test]
fn fixtures_of_kubo_read_in_every_way() {
    for cid in [FOLDER_V1, FOLDER_V0] {
        for query in ["", "ipfs-gateway-mode=car", "ipfs-list-sizes=true"] {
            let mut b = gateways(1, cid, query);
            let mut found = b.list().expect("listed");
            found.sort();
            let names: Vec<_> = found.iter().map(|(n, _)| n.as_str()).collect();
            assert_eq!(
                names,
                ["a.txt", "b.txt", "empty", "large.bin"],
                "{cid} {query}"
            );
            let known = query.ends_with("sizes=true");
            assert_eq!(found[3].1, known.then_some(LARGE));
            b.large().expect("read");
            assert_eq!(
                b.subject.get("a.txt", Some(11)).expect("read"),
                b"hello world"
            );
            assert_eq!(b.subject.get("empty", Some(0)).expect("read"), b"");
            let stat = b
                .subject
                .remote
                .stat(&mut b.subject.ui, "large.bin")
                .expect("asked");
            assert_eq!(stat.expect("there").size, Some(LARGE));
            let none = b
                .subject
                .remote
                .stat(&mut b.subject.ui, "absent")
                .expect("asked");
            assert!(none.is_none());
        }
    }
}

#[test]
fn row_41_gateways_that_lie() {
    let html = || {
        let kind = vec![("content-type", "text/html".to_owned())];
        Trouble::Answer(200, kind, "<html>log in</html>".to_owned())
    };
    let flipped = || Trouble::Answer(200, Vec::new(), "x".repeat(262_144));
    let short = || Trouble::CutOpen(100);
    let huge = || Trouble::Answer(200, Vec::new(), "x".repeat(3 << 20));
    let lies: [&dyn Fn() -> Trouble; 4] = [&html, &flipped, &short, &huge];
    for (i, lie) in lies.iter().enumerate() {
        let mut b = gateways(2, FOLDER_V1, "");
        b.list().expect("listed");
        b.servers[0].script("GET", "format=raw", lie());
        b.large().expect("the other one has it");
        let asked = b.servers[0].seen("format=raw").len();
        assert_eq!(asked, 2, "lie {i}: the folder, and the lie");
        let mut b = gateways(2, FOLDER_V1, "");
        b.list().expect("listed");
        for server in &b.servers {
            server.script("GET", "format=raw", lie());
        }
        let e = b.large().expect_err("both lie");
        assert_eq!(e.kind(), Kind::Damaged, "{e}");
        assert!(e.to_string().contains("no gateway gives block"), "{e}");
    }
}

#[test]
fn gateways_that_fail_take_turns() {
    let mut b = gateways(2, FOLDER_V1, "");
    for _ in 0..2 {
        b.servers[0].script("GET", "", Trouble::Close);
    }
    b.list().expect("listed");
    b.large().expect("read");
    assert_eq!(b.servers[0].seen("").len(), 1, "it rests after a failure");

    let mut b = gateways(1, FOLDER_V1, "");
    b.list().expect("listed");
    let leaf = b.servers[0].with(|s| s.leaf());
    let leaf: &'static str = leaf.leak();
    b.servers[0].script("GET", leaf, Trouble::Cut(100_000));
    b.large().expect("resumed");
    let asked = b.servers[0].seen("format=raw").len();
    assert!(
        asked <= 1 + 2 * (1 + 3),
        "verified blocks are kept: {asked}"
    );

    let mut b = gateways(2, FOLDER_V1, "");
    for server in &b.servers {
        server.with(|s| s.blocks.clear());
    }
    let e = b.list().expect_err("nobody has it");
    assert_eq!(e.kind(), Kind::Missing);
    assert!(e.to_string().contains("no gateway has block bafy"), "{e}");

    let mut b = gateways(1, FOLDER_V1, "number-of-retries=0");
    let headers = vec![("retry-after", "3600".to_owned())];
    b.servers[0].script("GET", "", Trouble::Answer(429, headers, String::new()));
    let e = b.list().expect_err("throttled");
    assert!(e.to_string().contains("asks to wait"), "{e}");
}

#[test]
fn row_23_redirects_of_gateways() {
    let mut b = gateways(2, FOLDER_V1, "ipfs-gateway-token=t0ken%2F%2Bvalue");
    let other = b.servers[1].address;
    let to = vec![(
        "location",
        format!("http://{other}/ipfs/{FOLDER_V1}?format=raw"),
    )];
    b.servers[0].script("GET", "", Trouble::Answer(301, to, String::new()));
    b.list().expect("followed");
    let first = &b.servers[0].seen("")[0];
    assert_eq!(first.header("authorization"), Some("Bearer t0ken/+value"));
    let second = &b.servers[1].seen("")[0];
    assert_eq!(second.header("authorization"), None, "not for others");

    let mut b = gateways(1, FOLDER_V1, "number-of-retries=0");
    for _ in 0..3 {
        let to = vec![("location", format!("/ipfs/{FOLDER_V1}?format=raw"))];
        b.servers[0].script("GET", "", Trouble::Answer(301, to, String::new()));
    }
    let e = b.list().expect_err("a circle");
    assert!(e.to_string().contains("circle"), "{e}");
}

#[test]
fn row_42_archives_that_are_not_in_order() {
    for damage in [0, 1, 2, 3, 4, 5, 7] {
        let mut b = gateways(1, FOLDER_V1, "ipfs-gateway-mode=car");
        b.servers[0].with(|s| s.damage = Some(damage));
        b.large().expect("completed by single blocks");
        let cars = b.servers[0].seen("format=car").len();
        let raws = b.servers[0].seen("format=raw").len();
        assert_eq!(cars, 1);
        assert!(raws > 1, "{damage}: {raws}");
    }
    let mut b = gateways(1, FOLDER_V1, "ipfs-gateway-mode=car");
    b.large().expect("by archive");
    assert_eq!(b.servers[0].seen("format=raw").len(), 1, "only the folder");
    let mut b = gateways(2, FOLDER_V1, "ipfs-gateway-mode=car");
    b.servers[0].with(|s| s.damage = Some(6));
    b.large().expect("by the other");
    let asked = b.servers[0].seen("format=raw").len();
    assert_eq!(asked, 1, "a false block in an archive is a lie");
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
        let warnings = dest.warnings().join("");
        assert!(warnings.contains(part), "{warnings}");
        assert!(!b.subject.remote.redact.clean(warnings).contains("p1nt0ken"));
    }
}
