//! Gateways of IPFS that misbehave: they give blocks, which prove themselves, and take nothing. The blocks are fixtures exported by
//! Kubo; `ipfs-cid` gives the same identifiers for them.

use super::ipfs::stub_ipfs::{Ipfs, archive};
use super::*;
use crate::format::ipld::cid::Cid;

/// `tests/data/ipfs`: the same folder added in two ways.
const FOLDER_V1: &str = "bafybeidnptwsxwpwcfobbngo35iyc3sqktjw7tltybkwjfh3ku2vzo5lqe";
const FOLDER_V0: &str = "QmZRp6XbYNkXAV1ptf9AcYkdWELSbXPubJaUrBYZNFvRB4";
const LARGE_SHA256: &str = "ba0d6556a4dfb7b45a25b02f19a12d74450ebf4ae990f42a0242ff49b118e412";
const LARGE: u64 = 700_001;

type Bench = Special<Ipfs>;

impl Special<Ipfs> {
    fn large(&mut self) -> Result<()> {
        let data = self.get("large.bin", Some(LARGE))?;
        let sha = crate::base::bytes::hex(Algo::Sha256.hash(&data).as_bytes());
        assert_eq!(sha, LARGE_SHA256);
        Ok(())
    }
}

fn gateway() -> Server<Ipfs> {
    let blocks = [archive("folder-v1.car"), archive("folder-v0.car")].concat();
    Server::start(|_| Ipfs {
        blocks,
        ..Ipfs::default()
    })
}

/// So many gateways.
fn gateways(count: usize, cid: &str, query: &str) -> Bench {
    let servers: Vec<_> = (0..count).map(|_| gateway()).collect();
    let at: Vec<String> = servers.iter().map(|s| s.address.to_string()).collect();
    let mut all = servers.into_iter();
    let first = all.next().expect("one");
    let mut b = Special::at(first, &url(cid, &at.join(",http://"), query));
    b.others = all.collect();
    b
}

fn url(cid: &str, at: &str, query: &str) -> String {
    format!("ipfs://{cid}?ipfs-gateway=http://{at}&retry-delay=0s&http-proxy=none&{query}")
}

/// One gateway in the table, with its mode.
struct Gateway(Server<Ipfs>, &'static str);

pub(super) fn blocks() -> Box<dyn Wire> {
    Box::new(Gateway(gateway(), "raw"))
}

pub(super) fn archives() -> Box<dyn Wire> {
    Box::new(Gateway(gateway(), "car"))
}

pub(super) fn unchecked() -> Box<dyn Wire> {
    Box::new(Gateway(gateway(), "path"))
}

impl Wire for Gateway {
    fn schemes(&self) -> &'static [&'static str] {
        &[]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        let query = format!("ipfs-gateway-mode={}&{query}", self.1);
        url(FOLDER_V1, at, &query)
    }

    fn unmake(&self) {}

    fn method_of(&self, _: Verb) -> Option<(&'static str, &'static str)> {
        Some(("GET", "dblock"))
    }

    fn given(&self) -> Option<&'static str> {
        (self.1 != "path").then_some("large.bin")
    }
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
            plain.server.address
        );
        let mut b = Special::at(plain.server, &url);
        assert_eq!(b.list().expect("listed").len(), 4);
        b.large().expect("read");
        let seen = b.server.seen("");
        let root = Cid::parse(cid).expect("a root").base32();
        assert!(seen[0].target.starts_with(&format!("/{root}.ipfs.gw/?")));
        let in_host = |s: &Seen| ["/bafy", "/bafk"].contains(&&s.target[..5]);
        assert!(seen.iter().all(in_host));
    }
}

#[test]
fn a_domain_is_believed_only_when_that_is_asked_for() {
    for template in ["", "/{cid}.ipfs.gw"] {
        let plain = gateways(1, FOLDER_V1, "");
        let url = format!(
            "ipns://back-up.example.org?ipfs-gateway=http://{}{template}&http-proxy=none&number-of-retries=0",
            plain.server.address
        );
        let mut b = Special::at(plain.server, &url);
        fails(b.list(), Kind::Usage, "--ipfs-dnslink=true");
        assert_eq!(b.count("", ""), 0);
        let mut b = Special::at(b.server, &format!("{url}&ipfs-dnslink=true"));
        fails(b.list(), Kind::Missing, "no gateway has name");
        b.with(|s| s.domain = Some(FOLDER_V1.to_owned()));
        b.remote.dest.list("", &mut |_| Ok(())).expect("listed");
        let said = b.remote.dest.said().notices.join("");
        let told = format!("points at {FOLDER_V1}; this cannot be checked");
        assert!(said.contains(&told), "{said}");
        b.large().expect("read");
        assert_eq!(
            b.count("", "ipns"),
            2,
            "once before it pointed anywhere, once after"
        );
    }
}

#[test]
fn fixtures_of_kubo_read_in_every_way() {
    for cid in [FOLDER_V1, FOLDER_V0] {
        for query in ["", "ipfs-gateway-mode=car", "ipfs-list-sizes=true"] {
            let mut b = gateways(1, cid, query);
            let mut found = b.entries().expect("listed").expect("there");
            found.sort();
            let names: Vec<_> = found.iter().map(|(n, _)| n.as_str()).collect();
            assert_eq!(names, ["a.txt", "b.txt", "empty", "large.bin"], "{query}");
            let known = query.ends_with("sizes=true");
            assert_eq!(found[3].1, known.then_some(LARGE));
            b.large().expect("read");
            assert_eq!(b.get("a.txt", Some(11)).expect("read"), b"hello world");
            assert_eq!(b.get("empty", Some(0)).expect("read"), b"");
            let large = b.stat("large.bin").expect("asked");
            assert_eq!(large, Some(Some(LARGE)));
            assert!(b.stat("absent").expect("asked").is_none());
        }
    }
}

#[test]
fn row_41_gateways_that_lie() {
    let flipped = reply(200, "x".repeat(262_144));
    let huge = reply(200, "x".repeat(3 << 20));
    for lie in [login_page(200), flipped, Trouble::CutOpen(100), huge] {
        let mut b = gateways(2, FOLDER_V1, "");
        b.list().expect("listed");
        b.script("GET", "format=raw", lie.clone());
        b.large().expect("the other one has it");
        assert_eq!(b.count("", "format=raw"), 2, "the folder, and the lie");
        let mut b = gateways(2, FOLDER_V1, "");
        b.list().expect("listed");
        for server in b.others.iter().chain([&b.server]) {
            server.script("GET", "format=raw", lie.clone());
        }
        fails(b.large(), Kind::Damaged, "no gateway gives block");
    }
}

#[test]
fn gateways_that_fail_take_turns() {
    let mut b = gateways(2, FOLDER_V1, "");
    for _ in 0..2 {
        b.script("GET", "", Trouble::Close);
    }
    b.list().expect("listed");
    b.large().expect("read");
    assert_eq!(b.count("", ""), 1, "it rests after a failure");

    let mut b = gateways(1, FOLDER_V1, "");
    b.list().expect("listed");
    let leaf: &'static str = b.with(|s| s.leaf()).leak();
    b.script("GET", leaf, Trouble::Cut(100_000));
    b.large().expect("resumed");
    let asked = b.count("", "format=raw");
    assert!(
        asked <= 1 + 2 * (1 + 3),
        "what is verified is kept: {asked}"
    );

    let mut b = gateways(2, FOLDER_V1, "");
    b.with(|s| s.blocks.clear());
    b.large().expect("the other one has it");

    let mut b = gateways(2, FOLDER_V1, "");
    for server in b.others.iter().chain([&b.server]) {
        server.with(|s| s.blocks.clear());
    }
    fails(b.list(), Kind::Missing, "no gateway has block bafy");

    let mut b = gateways(2, FOLDER_V1, "number-of-retries=1");
    for server in b.others.iter().chain([&b.server]) {
        (0..9).for_each(|_| server.script("GET", "", Trouble::Cut(50)));
    }
    fails(b.large(), Kind::Busy, "2 attempts");

    let mut b = gateways(1, FOLDER_V1, "number-of-retries=0");
    b.script("GET", "", later(429, "3600"));
    refused(b.list(), "asks to wait");
}

#[test]
fn row_23_redirects_of_gateways() {
    let mut b = gateways(2, FOLDER_V1, "ipfs-gateway-token=s3cr3t%2F%2Bvalue");
    let other = b.others[0].address;
    let to = format!("http://{other}/ipfs/{FOLDER_V1}?format=raw");
    b.script("GET", "", headed(301, "location", &to));
    b.list().expect("followed");
    let first = &b.server.seen("")[0];
    assert_eq!(first.header("authorization"), Some("Bearer s3cr3t/+value"));
    let second = &b.others[0].seen("")[0];
    assert_eq!(second.header("authorization"), None, "not for others");

    let mut b = gateways(1, FOLDER_V1, "number-of-retries=0");
    for _ in 0..3 {
        let to = format!("/ipfs/{FOLDER_V1}?format=raw");
        b.script("GET", "", headed(301, "location", &to));
    }
    refused(b.list(), "circle");
}

#[test]
fn row_42_archives_that_are_not_in_order() {
    for damage in [0, 1, 2, 3, 4, 5, 7] {
        let mut b = gateways(1, FOLDER_V1, "ipfs-gateway-mode=car");
        b.with(|s| s.damage = Some(damage));
        b.large().expect("completed by single blocks");
        assert_eq!(b.count("", "format=car"), 1);
        assert!(b.count("", "format=raw") > 1, "{damage}");
    }
    let mut b = gateways(1, FOLDER_V1, "ipfs-gateway-mode=car");
    b.large().expect("by archive");
    assert_eq!(b.count("", "format=raw"), 1, "only the folder");
    let mut b = gateways(2, FOLDER_V1, "ipfs-gateway-mode=car");
    b.with(|s| s.damage = Some(6));
    b.large().expect("by the other");
    assert_eq!(
        b.count("", "format=raw"),
        1,
        "a false block in an archive is a lie"
    );
}
