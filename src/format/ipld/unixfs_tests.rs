//! Vectors of `destinations-core.md` 11.3 and nodes that lie.

use super::*;
use crate::base::bytes::{hex, hex_decode};
use crate::format::ipld::cid::{DAG_PB, RAW};
use crate::format::ipld::proto::{push_bytes, push_number};

fn block(hex: &str) -> Vec<u8> {
    hex_decode(hex.as_bytes()).expect("hex")
}

const FOLDER: &str = "122f0a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91205612e747874180b122f0a2401551220a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a4471205622e747874180c0a020801";
const SHARD: &str = "122d0a2401701220effe249b90784f79f722b5f50a9641a80865b7ddb00f8b00d507352840e145b112023642188c0112310a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91207373966696c6530180b0a1908051210020008000000000000000000000000002822308002";
const TWO_LEVELS: &str = "122b0a2401701220514f00bd7d7bce13c725ddcd61291ed7f35112182744db4f1e87d6bacf83cd8c120018e802122a0a2401701220ebeb860dedd78d4c94727f2fc117900c4034c6bdbad5fc7b653f58de7373fcee120018780a080802185020402010";

#[test]
fn folders() {
    let bytes = block(FOLDER);
    let cid = "bafybeicqyhkyyc74mk2n4mr57ik24b2unriru5hyf5w2edabp2mc6yrjqu";
    assert_eq!(Cid::of(DAG_PB, &bytes).to_string(), cid);
    let node = Node::parse(&bytes).expect("a folder");
    assert_eq!(node.kind(), Ok(Kind::Folder));
    let links: Vec<_> = node.links().collect();
    assert_eq!(links.len(), 2);
    assert_eq!((links[0].name, links[0].size), (&b"a.txt"[..], Some(11)));
    assert_eq!(links[1].cid, Cid::of(RAW, b"hello world\n"));
    let empty = block("0a020801");
    let node = Node::parse(&empty).expect("empty");
    assert_eq!((node.kind(), node.links().count()), (Ok(Kind::Folder), 0));
}

#[test]
fn shards() {
    let bytes = block(SHARD);
    let cid = "bafybeihi3rvmwyvi5ayibffa64mauoibz34wjwmatphezj4ycjomeuvagm";
    assert_eq!(Cid::of(DAG_PB, &bytes).to_string(), cid);
    let node = Node::parse(&bytes).expect("a shard");
    let want = Kind::Shard {
        fanout: 256,
        width: 2,
    };
    assert_eq!(node.kind(), Ok(want));
    let names: Vec<_> = node.links().map(|l| l.name).collect();
    assert_eq!(names, [&b"6B"[..], b"79file0"]);
    for (fanout, width) in [(8, 1), (16, 1), (32, 2), (1024, 3)] {
        let bytes = shard(fanout, 0x22);
        let want = Kind::Shard { fanout, width };
        assert_eq!(Node::parse(&bytes).expect("node").kind(), Ok(want));
    }
    for (fanout, hash) in [
        (7, 0x22),
        (0, 0x22),
        (2048, 0x22),
        (24, 0x22),
        (256, 0x12),
        (4, 0x22),
    ] {
        let bytes = shard(fanout, hash);
        let kind = Node::parse(&bytes).expect("node").kind();
        assert_eq!(kind, Err(Malformed), "{fanout}");
    }
}

fn shard(fanout: u64, hash: u64) -> Vec<u8> {
    let mut data = vec![8, 5];
    push_number(&mut data, 5, hash);
    push_number(&mut data, 6, fanout);
    let mut out = Vec::new();
    push_bytes(&mut out, 1, &data);
    out
}

#[test]
fn files() {
    let bytes = block(TWO_LEVELS);
    let cid = "bafybeidizggaxjg5ouzcmplnmomxymxr5waew7ales3r4inxjmfibvdhhu";
    assert_eq!(Cid::of(DAG_PB, &bytes).to_string(), cid);
    let node = Node::parse(&bytes).expect("a file");
    assert_eq!((node.kind(), node.file_size()), (Ok(Kind::File), Some(80)));
    let (inline, children) = node.file().expect("agrees");
    let lens: Vec<u64> = children.iter().map(|c| c.len).collect();
    assert_eq!((inline.len(), lens), (0, vec![64, 16]));
    let small = block("0a110802120b68656c6c6f20776f726c64180b");
    let node = Node::parse(&small).expect("a small file");
    assert_eq!(node.file().expect("agrees").0, b"hello world");
}

/// A file of one child, its parts free to disagree.
fn file(links: &[&[u8]], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for name in links {
        let mut link = Vec::new();
        push_bytes(&mut link, 1, &Cid::of(RAW, b"x").bytes());
        push_bytes(&mut link, 2, name);
        push_bytes(&mut out, 2, &link);
    }
    push_bytes(&mut out, 1, data);
    out
}

#[test]
fn lengths_must_agree() {
    let agree = |links: &[&[u8]], data: &[u8]| {
        let block = file(links, data);
        Node::parse(&block).is_ok_and(|n| n.file().is_ok())
    };
    assert!(agree(&[b""], &[8, 2, 24, 1, 32, 1]));
    assert!(agree(&[b"", b""], &[8, 2, 24, 2, 0x22, 2, 1, 1]), "packed");
    assert!(agree(&[b""], &[8, 2, 32, 1]), "no total");
    assert!(!agree(&[b""], &[8, 2, 24, 2, 32, 1]), "other total");
    assert!(!agree(&[b""], &[8, 2, 24, 0]), "no length");
    assert!(!agree(&[], &[8, 2, 24, 1, 32, 1]), "no link");
    assert!(!agree(&[b"n"], &[8, 2, 24, 1, 32, 1]), "a name");
    assert!(
        !agree(&[b""], &[8, 2, 24, 1, 0x22, 2, 1, 0x80]),
        "packed, cut"
    );
    assert!(!agree(&[b""], &[8, 2, 24, 1, 0x25, 1, 0, 0, 0]), "fixed");
    let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let mut sums = vec![8, 2, 32];
    sums.extend_from_slice(&max);
    sums.push(32);
    sums.extend_from_slice(&max);
    assert!(!agree(&[b"", b""], &sums), "overflow");
}

#[test]
fn every_cut_is_refused_or_whole() {
    for text in [FOLDER, SHARD, TWO_LEVELS] {
        let whole = block(text);
        for cut in 0..whole.len() {
            let part = &whole[..cut];
            if let Ok(node) = Node::parse(part) {
                assert!(node.links().count() < 3, "{}", hex(part));
            }
        }
        assert!(Node::parse(&whole[..whole.len() - 1]).is_err());
    }
    assert!(Node::parse(&vec![0; BLOCK_MAX_BYTES + 1]).is_err());
    assert!(Node::parse(b"").is_err());
    assert!(Node::parse(b"<html><body>please log in</body></html>").is_err());
}
