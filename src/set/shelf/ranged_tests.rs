//! A volume read in parts gives what the whole one gives, and never reads without bound, whatever its directory says.

use super::*;
use crate::base::digest::{Algo, BlockKey};
use crate::format::aes_key::{CbcEncrypt, Iv, Key};
use crate::format::aes_write::AesWriter;
use crate::format::deflate::Deflater;
use crate::format::deflate::tests::{noise, prose};
use crate::format::index::block_name;
use crate::format::manifest::Params;
use crate::format::names::VolumeName;
use crate::format::zip_write::ZipWriter;
use crate::set::shelf::{Inflater, Shelf, Source};

pub(in crate::set::shelf) const ALGO: Algo = Algo::Sha256;

/// A server that has one file.
struct Server {
    file: Vec<u8>,
    /// Of each request: first byte and length.
    asked: Vec<(u64, u64)>,
    sends_whole: bool,
}

impl Server {
    fn new(file: Vec<u8>) -> Server {
        Server {
            file,
            asked: Vec::new(),
            sends_whole: false,
        }
    }

    fn bytes(&self) -> u64 {
        self.asked.iter().map(|a| a.1).sum()
    }
}

impl Line for Server {
    fn span(&mut self, from: u64, len: u64, into: &mut dyn Sink) -> Result<Passed> {
        self.asked.push((from, len));
        let place = |n: u64| usize::try_from(n).unwrap().min(self.file.len());
        let part = &self.file[place(from)..place(from.saturating_add(len))];
        into.write_all(part).unwrap();
        Ok(Passed {
            len: part.len() as u64,
            total: Some(self.file.len() as u64),
            from_start: self.sends_whole,
        })
    }
}

#[derive(Clone, Copy, Debug)]
pub(in crate::set::shelf) enum Cipher {
    Plain,
    V2,
    V3,
}

pub(in crate::set::shelf) const CIPHERS: [Cipher; 3] = [Cipher::Plain, Cipher::V2, Cipher::V3];

pub(in crate::set::shelf) fn secret() -> Secret {
    Secret::new("a passphrase".to_owned())
}

pub(in crate::set::shelf) fn sealed(cipher: Cipher, plain: &[u8]) -> Vec<u8> {
    match cipher {
        Cipher::Plain => plain.to_vec(),
        Cipher::V2 => {
            let mut writer = AesWriter::new(Vec::new(), &secret()).unwrap();
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Cipher::V3 => sealed_v3(plain),
    }
}

/// `format.md` 3: extensions, iterations, vector, keys and their HMAC, content with PKCS#7 padding, HMAC.
fn sealed_v3(plain: &[u8]) -> Vec<u8> {
    let iv1: Iv = [1; 16];
    let (iv2, key2) = ([2; 16], [3; 32]);
    let rounds = std::num::NonZeroU32::new(10).unwrap();
    let outer = Key::from_pbkdf2(&iv1, &secret(), rounds);
    let mut keys = [&iv2[..], &key2].concat();
    CbcEncrypt::new(&outer, &iv1).encrypt(&mut keys);
    let sign = |key: &Key, data: &[u8]| ring::hmac::sign(&key.for_hmac(), data);
    let mut out = b"AES\x03\0\0\0\0\0\0\x0a".to_vec();
    out.extend(iv1);
    out.extend(&keys);
    out.extend(sign(&outer, &[&keys[..], &[3]].concat()).as_ref());
    let inner = Key::from_bytes(&key2);
    let pad = 16 - plain.len() % 16;
    let mut content = plain.to_vec();
    content.resize(plain.len() + pad, u8::try_from(pad).unwrap());
    CbcEncrypt::new(&inner, &iv2).encrypt(&mut content);
    out.extend(&content);
    out.extend(sign(&inner, &content).as_ref());
    out
}

pub(in crate::set::shelf) fn archive(blocks: &[Vec<u8>], manifest: usize) -> Vec<u8> {
    let tmp = Tmp::open(None).unwrap();
    let mut zip = ZipWriter::new(Vec::new(), &tmp).unwrap();
    let mut deflater = Deflater::new(6);
    zip.add_stored(b"manifest", &vec![b' '; manifest]).unwrap();
    for block in blocks {
        zip.add(&block_name(&ALGO.hash(block)), block, &mut deflater)
            .unwrap();
    }
    zip.finish().unwrap()
}

pub(in crate::set::shelf) fn key_of(block: &[u8]) -> BlockKey {
    BlockKey::new(&ALGO.hash(block), u32::try_from(block.len()).unwrap())
}

fn open(cipher: Cipher, server: &mut Server) -> Result<Shelf> {
    let tmp = Tmp::open(None).unwrap();
    let secret = secret();
    let secret = (!matches!(cipher, Cipher::Plain)).then_some(&secret);
    let len = server.file.len() as u64;
    let (ranged, layout) = Ranged::open(server, len, secret, &tmp)?;
    Ok(Shelf {
        name: VolumeName::parse("p-b00000000000000000000000000000001.dblock.zip").unwrap(),
        source: Source::Ranged(Box::new(ranged)),
        layout,
        params: Params {
            block_size: 1 << 20,
            block_hash: ALGO,
            file_hash: ALGO,
            version: 2,
        },
        tmp,
        inflater: Inflater::new(),
        complete: false,
        directory: None,
        why: None,
    })
}

/// Small and large blocks, their sizes and so their places at every offset within a block of the cipher.
pub(in crate::set::shelf) fn blocks() -> Vec<Vec<u8>> {
    let mut blocks: Vec<_> = (0..16).map(|n| noise(1 + n, n as u64)).collect();
    blocks.extend((0..8).map(|n| noise(60_000 + n, 100 + n as u64)));
    blocks.extend((0..8).map(|n| prose(900 * (n + 1))));
    blocks
}

#[test]
fn each_block_alone_at_every_alignment() {
    let blocks = blocks();
    for cipher in CIPHERS {
        for shift in 0..16 {
            let file = sealed(cipher, &archive(&blocks, 200 + shift));
            let len = file.len() as u64;
            for (n, block) in blocks.iter().enumerate() {
                let mut server = Server::new(file.clone());
                let mut shelf = open(cipher, &mut server).unwrap();
                let key = key_of(block);
                shelf.fetch_from(&mut server, &[key]).unwrap();
                let mut out = Vec::new();
                assert!(shelf.block(&key, &mut out).unwrap(), "{cipher:?} {n}");
                assert!(out == *block);
                let mut bytes = Vec::new();
                let (_, packed) = shelf.packed(&key, &mut bytes).unwrap().unwrap();
                assert_eq!(packed.packed_len, bytes.len() as u64);
                assert!(server.asked.len() <= 4, "{:?}", server.asked);
                assert!(server.bytes() < len / 2, "{} of {len}", server.bytes());
                if shift > 0 && n > 3 {
                    break;
                }
            }
        }
    }
}

#[test]
fn all_blocks_in_few_requests_each_byte_once() {
    let blocks = blocks();
    let keys: Vec<_> = blocks.iter().map(|b| key_of(b)).collect();
    for cipher in CIPHERS {
        let file = sealed(cipher, &archive(&blocks, 200));
        let mut server = Server::new(file);
        let mut shelf = open(cipher, &mut server).unwrap();
        let mut out = Vec::new();
        assert!(!shelf.block(&keys[18], &mut out).unwrap(), "not fetched");
        shelf.fetch_from(&mut server, &keys).unwrap();
        for (key, block) in keys.iter().zip(&blocks) {
            assert!(shelf.block(key, &mut out).unwrap() && out == *block);
        }
        assert!(server.asked.len() <= 4, "{:?}", server.asked);
        assert!(server.bytes() <= server.file.len() as u64);
        let before = server.asked.len();
        shelf.fetch_from(&mut server, &keys).unwrap();
        assert_eq!(server.asked.len(), before);
        let absent = key_of(b"another");
        shelf.fetch_from(&mut server, &[absent]).unwrap();
        assert!(!shelf.block(&absent, &mut out).unwrap());
    }
}

#[test]
fn a_wrong_byte_costs_only_what_it_touches() {
    let blocks: Vec<_> = (0..12).map(|n| noise(30_000, n)).collect();
    let keys: Vec<_> = blocks.iter().map(|b| key_of(b)).collect();
    for cipher in CIPHERS {
        let mut file = sealed(cipher, &archive(&blocks, 200));
        file[100_000] ^= 1;
        let mut server = Server::new(file);
        let mut shelf = open(cipher, &mut server).unwrap();
        shelf.fetch_from(&mut server, &keys).unwrap();
        let mut out = Vec::new();
        let mut good = 0;
        for (key, block) in keys.iter().zip(&blocks) {
            if shelf.block(key, &mut out).unwrap() {
                assert!(out == *block);
                good += 1;
            }
        }
        assert_eq!(good, 11, "{cipher:?}");
    }
}

/// Bytes of the directory and of the end records changed at random, and by hand what an attacker would change.
#[test]
fn directories_that_lie_never_make_it_read_more_than_the_file() {
    let blocks: Vec<_> = (0..40).map(|n| noise(5_000, n)).collect();
    let keys: Vec<_> = blocks.iter().map(|b| key_of(b)).collect();
    let raw = archive(&blocks, 200);
    let start = raw.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut cases: Vec<Vec<u8>> = Vec::new();
    // Compressed size, size, position of the first entries; length, count and position of the directory.
    let entry = start + 46 + 8;
    let end = raw.len() - 22;
    for at in [entry + 20, entry + 24, entry + 42, end + 12, end + 16] {
        for value in [0, 1, 0x7fff_ffff, u32::MAX - 1, u32::MAX, 4_000] {
            let mut bad = raw.clone();
            bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
            cases.push(bad);
        }
    }
    let places: Vec<usize> = (start..raw.len()).collect();
    for (n, change) in noise(1_500, 5).into_iter().enumerate() {
        let mut bad = raw.clone();
        let at = places[(n * 7919 + usize::from(change) * 31) % places.len()];
        bad[at] ^= change | 1;
        cases.push(bad);
    }
    // All entries are one: they share their bytes.
    let mut same = raw.clone();
    let mut at = start;
    while raw[at..].starts_with(b"PK\x01\x02") {
        same[at + 42..at + 46].fill(0);
        let name = usize::from(raw[at + 28]);
        at += 46 + name;
    }
    cases.push(same);
    for bad in cases {
        let len = bad.len() as u64;
        let mut server = Server::new(bad);
        let opened = open(Cipher::Plain, &mut server);
        if let Ok(mut shelf) = opened {
            let mut out = Vec::new();
            match shelf.fetch_from(&mut server, &keys) {
                Ok(()) => {}
                Err(e) => assert!(e.kind().is_of_one_volume(), "{e}"),
            }
            for (key, block) in keys.iter().zip(&blocks) {
                if shelf.block(key, &mut out).unwrap() {
                    assert!(out == *block);
                }
            }
        } else if let Err(e) = opened {
            assert!(e.kind().is_of_one_volume(), "{e}");
        }
        assert!(server.bytes() <= len, "{} of {len}", server.bytes());
        assert!(server.asked.len() <= 60, "{}", server.asked.len());
    }
}

/// More entries than an end record counts; the directory is longer than the tail.
#[test]
fn many_entries_with_zip64_records() {
    let mut blocks: Vec<Vec<u8>> = (0..65_600u32).map(|n| n.to_be_bytes().to_vec()).collect();
    blocks.push(noise(9_000_000, 1));
    let file = archive(&blocks, 200);
    let len = file.len() as u64;
    let wanted = [0, 1, 777, 65_534, 65_535, 65_536, 65_599];
    let keys: Vec<_> = wanted.iter().map(|&n: &usize| key_of(&blocks[n])).collect();
    let mut server = Server::new(file);
    let mut shelf = open(Cipher::Plain, &mut server).unwrap();
    let opening = server.asked.len();
    assert!(opening <= 20, "{opening}");
    shelf.fetch_from(&mut server, &keys).unwrap();
    let mut out = Vec::new();
    for (key, n) in keys.iter().zip(wanted) {
        assert!(shelf.block(key, &mut out).unwrap() && out == blocks[n]);
    }
    assert!(server.bytes() < len * 3 / 4, "{} of {len}", server.bytes());
    // Without the large block the directory is most of the volume.
    blocks.pop();
    let mut server = Server::new(archive(&blocks, 200));
    let e = open(Cipher::Plain, &mut server).err().unwrap();
    assert_eq!(e.kind(), Kind::Unsupported);
    assert!(server.bytes() <= server.file.len() as u64 / 2);
}

#[test]
fn what_cannot_be_read_in_parts_says_so() {
    let file = archive(&blocks(), 200);
    let mut whole = Server::new(file.clone());
    whole.sends_whole = true;
    let e = open(Cipher::Plain, &mut whole).err().unwrap();
    assert_eq!((e.kind(), whole.asked.len()), (Kind::Unsupported, 1));
    // The file is not as long as the listing says.
    for longer in [0, 10] {
        let mut server = Server::new(file.clone());
        let len = file.len() as u64;
        server.file.resize(file.len() + longer, 0);
        let listed = if longer > 0 { len } else { len + 1 };
        let tmp = Tmp::open(None).unwrap();
        let e = Ranged::open(&mut server, listed, None, &tmp).err().unwrap();
        assert_eq!(e.kind(), Kind::Damaged);
    }
    let mut server = Server::new(sealed(Cipher::V2, &file));
    let other = Secret::new("other".to_owned());
    let tmp = Tmp::open(None).unwrap();
    let len = server.file.len() as u64;
    let e = Ranged::open(&mut server, len, Some(&other), &tmp);
    assert_eq!(e.err().unwrap().kind(), Kind::Passphrase);
    for len in [0, 1, 22, 100] {
        let mut server = Server::new(vec![0; len]);
        assert!(open(Cipher::Plain, &mut server).is_err());
        assert!(open(Cipher::V3, &mut server).is_err());
    }
}

#[test]
fn spans_grow_together() {
    let tmp = Tmp::open(None).unwrap();
    let kept = Kept::new(1000, &tmp).unwrap();
    let mut known = [false; 1000];
    for (from, seed) in noise(300, 3).chunks(2).zip(0u64..) {
        let start = u64::from(from[0]) * 3;
        let end = (start + u64::from(from[1]) / 16 + seed % 3).min(1000);
        let gap = kept.gap(&(start..end));
        let all = (start..end).collect::<Vec<_>>();
        let first = all.iter().find(|&&n| !known[usize::try_from(n).unwrap()]);
        assert_eq!(gap.as_ref().map(|g| g.start), first.copied());
        if start < end {
            kept.add(start..end);
            known[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].fill(true);
        }
        let spans = kept.spans.borrow();
        assert!(spans.windows(2).all(|w| w[0].end < w[1].start));
        let sum: u64 = spans.iter().map(|s| s.end - s.start).sum();
        assert_eq!(sum, known.iter().filter(|k| **k).count() as u64);
    }
}
