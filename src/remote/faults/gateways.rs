//! Gateways of IPFS that misbehave: they give blocks, which prove themselves, and take nothing. The blocks are fixtures exported by
//! Kubo; `ipfs-cid` gives the same identifiers for them.

use super::ipfs::stub_ipfs::{Ipfs, archive};
use super::*;
use crate::net::ipld::cid::Cid;

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
    let subject = Subject::open(url, SECRETS);
    Bench { servers, subject }
}

impl Bench {
    fn list(&mut self) -> Result<Vec<(String, Option<u64>)>> {
        Ok(self.subject.entries()?.expect("the folder is there"))
    }

    fn large(&mut self) -> Result<()> {
        let data = self.subject.get("large.bin", Some(LARGE))?;
        let sha = crate::base::bytes::hex(Algo::Sha256.hash(&data).as_bytes());
        assert_eq!(sha, LARGE_SHA256);
        Ok(())
    }
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
        let said = b.subject.remote.dest.said().notices.join("");
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
    let mut b = gateways(2, FOLDER_V1, "ipfs-gateway-token=s3cr3t%2F%2Bvalue");
    let other = b.servers[1].address;
    let to = vec![(
        "location",
        format!("http://{other}/ipfs/{FOLDER_V1}?format=raw"),
    )];
    b.servers[0].script("GET", "", Trouble::Answer(301, to, String::new()));
    b.list().expect("followed");
    let first = &b.servers[0].seen("")[0];
    assert_eq!(first.header("authorization"), Some("Bearer s3cr3t/+value"));
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
