//! Folders and files out of blocks in memory: the vectors of `destinations-core.md` 11.3, and blocks that lie (9, row 43).

use std::io::{self, Write};

use super::*;
use crate::base::bytes::hex_decode;
use crate::format::ipld::proto::{push_bytes, push_number};

#[derive(Default)]
struct Store(Vec<(Cid, Vec<u8>)>, usize);

impl Store {
    fn add(&mut self, codec: u64, data: &[u8]) -> Cid {
        let cid = Cid::of(codec, data);
        self.0.push((cid.clone(), data.to_vec()));
        cid
    }
}

impl Blocks for Store {
    fn block(&mut self, cid: &Cid, out: &mut Vec<u8>) -> Done<()> {
        self.1 += 1;
        let found = self.0.iter().find(|(c, _)| c == cid);
        let (_, data) = found.ok_or_else(|| Fault::new(Class::NotFound, "absent"))?;
        out.clear();
        out.extend_from_slice(data);
        Ok(())
    }
}

struct Kept(Vec<u8>);

impl Write for Kept {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Kept {
    fn restart(&mut self) -> io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

fn names(store: &mut Store, folder: &Cid) -> Done<Vec<String>> {
    let mut names = Vec::new();
    entries(store, folder, &mut |_, name, _| {
        names.push(String::from_utf8_lossy(name).into_owned());
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

fn read(store: &mut Store, cid: &Cid, start: u64) -> Done<Vec<u8>> {
    read_span(store, cid, Span::starting(start))
}

fn read_span(store: &mut Store, cid: &Cid, span: Span) -> Done<Vec<u8>> {
    let mut kept = Kept(Vec::new());
    read_file(store, cid, span, &mut kept)?;
    Ok(kept.0)
}

fn link(out: &mut Vec<u8>, cid: &Cid, name: &str) {
    let mut link = Vec::new();
    push_bytes(&mut link, 1, &cid.bytes());
    push_bytes(&mut link, 2, name.as_bytes());
    push_bytes(out, 2, &link);
}

fn shard(store: &mut Store, fanout: u64, links: &[(&Cid, &str)]) -> Cid {
    let mut out = Vec::new();
    for (cid, name) in links {
        link(&mut out, cid, name);
    }
    let mut data = vec![8, 5];
    push_number(&mut data, 5, 0x22);
    push_number(&mut data, 6, fanout);
    push_bytes(&mut out, 1, &data);
    store.add(DAG_PB, &out)
}

/// A node of a file with children of these lengths.
fn file(store: &mut Store, inline: &[u8], children: &[(&Cid, u64)]) -> Cid {
    let mut out = Vec::new();
    let mut data = vec![8, 2];
    if !inline.is_empty() {
        push_bytes(&mut data, 2, inline);
    }
    let sum: u64 = children.iter().map(|(_, len)| len).sum();
    push_number(&mut data, 3, sum + inline.len() as u64);
    for (cid, len) in children {
        link(&mut out, cid, "");
        push_number(&mut data, 4, *len);
    }
    push_bytes(&mut out, 1, &data);
    store.add(DAG_PB, &out)
}

#[test]
fn vectors_of_folders() {
    let mut store = Store::default();
    let mut last = None;
    for block in [
        "12310a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91207313366696c6537180b12320a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91208314466696c653137180b0a0d08051204200800002822308002",
        "122d0a2401701220effe249b90784f79f722b5f50a9641a80865b7ddb00f8b00d507352840e145b112023642188c0112310a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91207373966696c6530180b0a1908051210020008000000000000000000000000002822308002",
    ] {
        let block = hex_decode(block.as_bytes()).expect("hex");
        last = Some(store.add(DAG_PB, &block));
    }
    let root = last.expect("two blocks");
    assert_eq!(
        root.to_string(),
        "bafybeihi3rvmwyvi5ayibffa64mauoibz34wjwmatphezj4ycjomeuvagm"
    );
    let want = ["file0", "file17", "file7"];
    assert_eq!(names(&mut store, &root).expect("good"), want);
    let empty = store.add(DAG_PB, &[0x0a, 2, 8, 1]);
    assert!(names(&mut store, &empty).expect("good").is_empty());
    let plain = store.add(RAW, b"hello");
    let e = names(&mut store, &plain).expect_err("a file");
    assert_eq!(e.class, Class::Usage);
    let e = read(&mut store, &root, 0).expect_err("a folder");
    assert_eq!(e.class, Class::NotFound);
    assert_eq!(file_size(&mut store, &root).expect("asked"), None);
}

#[test]
fn row_43_shards_that_cannot_be() {
    let mut store = Store::default();
    let leaf = store.add(RAW, b"x");
    let good = shard(&mut store, 1024, &[(&leaf, "000a"), (&leaf, "3FFb")]);
    assert_eq!(names(&mut store, &good).expect("good"), ["a", "b"]);
    for (fanout, name) in [
        (2048, "000a"),
        (7, "0a"),
        (1024, "400a"),
        (1024, "00"),
        (256, "a"),
        (256, "0ga"),
        (256, "abx"),
        (256, ""),
        (16, "\u{e9}"),
    ] {
        let bad = shard(&mut store, fanout, &[(&leaf, name)]);
        let e = names(&mut store, &bad).expect_err(name);
        assert_eq!(e.class, Class::Integrity, "{fanout} {name}");
    }
    let other = shard(&mut store, 16, &[(&leaf, "0a")]);
    let mixed = shard(&mut store, 256, &[(&other, "00")]);
    let e = names(&mut store, &mixed).expect_err("another width");
    assert_eq!(e.class, Class::Integrity);
    let inner = shard(&mut store, 256, &[(&leaf, "00")]);
    let e = names(&mut store, &inner).expect_err("a leaf as shard");
    assert_eq!(e.class, Class::Integrity);
}

#[test]
fn row_43_shards_without_end() {
    let mut store = Store::default();
    let leaf = store.add(RAW, b"x");
    let mut deep = shard(&mut store, 8, &[(&leaf, "0a")]);
    for _ in 0..SHARD_DEPTH_MAX {
        deep = shard(&mut store, 8, &[(&deep, "0")]);
    }
    assert_eq!(names(&mut store, &deep).expect("just so deep"), ["a"]);
    deep = shard(&mut store, 8, &[(&deep, "0")]);
    let e = names(&mut store, &deep).expect_err("deeper");
    assert_eq!(e.class, Class::Integrity);
    let mut wide = shard(&mut store, 8, &[]);
    for _ in 0..SHARD_DEPTH_MAX {
        let links: Vec<_> = ["0", "1", "2", "3", "4", "5", "6", "7"]
            .iter()
            .map(|n| (&wide, *n))
            .collect();
        wide = shard(&mut store, 8, &links);
    }
    store.1 = 0;
    let e = names(&mut store, &wide).expect_err("8^16 shards");
    assert_eq!(e.class, Class::Integrity);
    assert!(store.1 < 2000, "{} blocks were fetched", store.1);
}

#[test]
fn files_from_every_offset() {
    let mut store = Store::default();
    let data: Vec<u8> = (0..100).collect();
    let leaves: Vec<Cid> = data.chunks(16).map(|c| store.add(RAW, c)).collect();
    let left: Vec<_> = leaves[..4].iter().map(|c| (c, 16)).collect();
    let left = file(&mut store, b"", &left);
    let inner = file(&mut store, &data[96..98], &[]);
    let tail = store.add(RAW, &data[98..]);
    let root = file(
        &mut store,
        b"",
        &[
            (&left, 64),
            (&leaves[4], 16),
            (&leaves[5], 16),
            (&inner, 2),
            (&tail, 2),
        ],
    );
    assert_eq!(file_size(&mut store, &root).expect("asked"), Some(100));
    for start in 0..=102u64 {
        store.1 = 0;
        let got = read(&mut store, &root, start).expect("read");
        let at = usize::try_from(start).expect("small").min(100);
        assert_eq!(got, &data[at..], "{start}");
        let most = 2 + 10 - at / 16;
        assert!(store.1 <= most, "{start}: {} blocks for the rest", store.1);
    }
    for (start, len, most) in [(0, 1, 3), (15, 2, 4), (64, 16, 2), (70, 27, 4), (97, 9, 3)] {
        store.1 = 0;
        let got = read_span(&mut store, &root, Span::of(start, len)).expect("read");
        let end = usize::try_from(start + len).expect("small").min(100);
        let at = usize::try_from(start).expect("small");
        assert_eq!(got, &data[at..end], "{start}+{len}");
        assert!(store.1 <= most, "{start}+{len}: {} blocks", store.1);
    }
    let one = store.add(RAW, b"alone");
    assert_eq!(read(&mut store, &one, 2).expect("read"), b"one");
}

#[test]
fn files_that_lie_write_nothing_wrong() {
    let mut store = Store::default();
    let leaf = store.add(RAW, &[7; 16]);
    for claimed in [15, 17, u64::MAX - 3] {
        let bad = file(&mut store, b"", &[(&leaf, claimed)]);
        let e = read(&mut store, &bad, 0).expect_err("a lie");
        assert_eq!(e.class, Class::Integrity);
        let inner = file(&mut store, b"", &[(&leaf, 16)]);
        let bad = file(&mut store, b"", &[(&inner, claimed)]);
        let e = read(&mut store, &bad, 0).expect_err("a lie below");
        assert_eq!(e.class, Class::Integrity);
    }
    let mut deep = file(&mut store, b"x", &[]);
    for _ in 0..=FILE_DEPTH_MAX {
        deep = file(&mut store, b"", &[(&deep, 1)]);
    }
    let e = read(&mut store, &deep, 0).expect_err("too deep");
    assert_eq!(e.class, Class::Integrity);
    let bytes = store.add(RAW, b"");
    let empties: Vec<_> = (0..8000).map(|_| (&bytes, 0)).collect();
    let hollow = file(&mut store, b"", &empties);
    store.1 = 0;
    assert!(read(&mut store, &hollow, 0).expect("empty").is_empty());
    assert_eq!(store.1, 1, "parts of no length are not fetched");
}
