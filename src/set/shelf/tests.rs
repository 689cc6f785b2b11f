//! What a shelf gives of whole and of damaged archives.

use std::collections::BTreeMap;

use super::*;
use crate::base::tmp::Spool;
use crate::format::deflate::Deflater;
use crate::format::deflate::tests::{noise, prose};
use crate::format::index::block_name;
use crate::format::zip_write::ZipWriter;

const ALGOS: [Algo; 5] = [
    Algo::Md5,
    Algo::Sha1,
    Algo::Sha256,
    Algo::Sha384,
    Algo::Sha512,
];

fn tmp() -> Tmp {
    Tmp::open(None).unwrap()
}

fn key_of(algo: Algo, data: &[u8]) -> BlockKey {
    BlockKey::new(&algo.hash(data), u32::try_from(data.len()).unwrap())
}

/// Blocks that deflate well, a little and not at all, of one byte and of many.
fn blocks() -> Vec<Vec<u8>> {
    let mut blocks = vec![
        prose(90_000),
        prose(700),
        noise(50_000, 1),
        noise(1, 2),
        vec![0; 100_000],
    ];
    blocks.extend((0..40).map(|n| noise(100 + n, n as u64)));
    blocks
}

fn archive(algo: Algo, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Vec::new(), &tmp()).unwrap();
    let mut deflater = Deflater::new(6);
    zip.add_stored(b"manifest", b"{}").unwrap();
    for block in blocks {
        let name = block_name(&algo.hash(block));
        zip.add(&name, block, &mut deflater).unwrap();
    }
    zip.finish().unwrap()
}

/// A shelf over an archive; with a flaw whatever can be found in it.
fn shelf(algo: Algo, raw: &[u8], flaw: Option<&str>) -> Shelf {
    let mut plain = Spool::new(&tmp()).unwrap();
    plain.write_all(raw).unwrap();
    let layout = match flaw {
        None => ZipReader::open(&plain).unwrap().layout(),
        Some(_) => ZipReader::salvage(&plain).unwrap().layout(),
    };
    let name = "duplicati-b00000000000000000000000000000001.dblock.zip";
    let opened = Opened {
        name: VolumeName::parse(name).unwrap(),
        plain,
        layout,
        params: Params {
            block_size: 100_000,
            block_hash: algo,
            file_hash: Algo::Sha256,
            version: 2,
        },
        created: None,
        flaw: flaw.map(str::to_owned),
    };
    Shelf::over(Rc::new(opened), &tmp())
}

#[test]
fn every_block_comes_by_its_key_in_any_order() {
    for algo in ALGOS {
        let blocks = blocks();
        let mut shelf = shelf(algo, &archive(algo, &blocks), None);
        let mut out = Vec::new();
        for block in blocks.iter().rev().chain(&blocks) {
            assert!(shelf.block(&key_of(algo, block), &mut out).unwrap());
            assert!(out == *block);
        }
        let id = algo.hash(&blocks[0]);
        for size in [0, 1, 89_999, 90_001, u32::MAX] {
            assert!(!shelf.block(&BlockKey::new(&id, size), &mut out).unwrap());
        }
        assert!(!shelf.block(&key_of(algo, b"another"), &mut out).unwrap());
        assert_eq!(shelf.why(), None);
        let mut keys = Vec::new();
        shelf
            .keys(&mut |id, key, entry| {
                assert_eq!(entry.size, u64::from(key.size()));
                assert_eq!(*key, BlockKey::new(id, key.size()));
                keys.push(*key);
                Ok(())
            })
            .unwrap();
        let want: Vec<_> = blocks.iter().map(|b| key_of(algo, b)).collect();
        assert!(keys == want);
    }
}

/// The packed bytes make another archive whose blocks are the same, without packing anything again.
#[test]
fn packed_blocks_are_those_of_the_archive() {
    for algo in [Algo::Md5, Algo::Sha256, Algo::Sha512] {
        let blocks = blocks();
        let raw = archive(algo, &blocks);
        let mut old = shelf(algo, &raw, None);
        let mut zip = ZipWriter::new(Vec::new(), &tmp()).unwrap();
        zip.add_stored(b"manifest", b"{}").unwrap();
        for block in &blocks {
            let mut bytes = Vec::new();
            let (id, packed) = old
                .packed(&key_of(algo, block), &mut bytes)
                .unwrap()
                .unwrap();
            assert_eq!(id, algo.hash(block));
            assert_eq!(packed.packed_len, bytes.len() as u64);
            zip.add_packed(&block_name(&id), &packed, &mut bytes.as_slice())
                .unwrap();
        }
        assert!(zip.finish().unwrap() == raw);
        let mut none = Vec::new();
        let missing = old.packed(&key_of(algo, b"another"), &mut none).unwrap();
        assert!(missing.is_none() && none.is_empty());
    }
}

/// A wrong byte anywhere: every block but those that it touches comes, by either way, and none comes wrong.
#[test]
fn a_wrong_byte_costs_one_block() {
    let algo = Algo::Sha256;
    let blocks: Vec<_> = (0..6)
        .map(|n| match n % 2 {
            0 => prose(300 + 40 * n),
            _ => noise(90, n as u64),
        })
        .collect();
    let raw = archive(algo, &blocks);
    for at in 0..raw.len() {
        let mut bad = raw.clone();
        bad[at] ^= 0x10;
        let mut shelf = shelf(algo, &bad, Some("a flaw"));
        let mut lost = 0;
        let mut out = Vec::new();
        for block in &blocks {
            let key = key_of(algo, block);
            let whole = shelf.block(&key, &mut out).unwrap();
            assert!(!whole || out == *block, "byte {at}");
            let mut bytes = Vec::new();
            let packed = shelf.packed(&key, &mut bytes).unwrap();
            assert_eq!(packed.is_some(), whole);
            lost += u32::from(!whole);
        }
        assert!(lost <= 1, "byte {at}: {lost}");
        let mut proved = BTreeMap::new();
        shelf
            .prove(&mut |key, proof| {
                *proved.entry(*key.as_bytes()).or_insert(false) |= proof == Proof::Intact;
                Ok(())
            })
            .unwrap();
        let intact = blocks
            .iter()
            .filter(|b| proved.get(key_of(algo, b).as_bytes()) == Some(&true));
        assert_eq!(intact.count() + lost as usize, blocks.len(), "byte {at}");
    }
}

#[test]
fn lists_are_offered_whatever_their_length() {
    let algo = Algo::Sha256;
    let blocks = blocks();
    let mut shelf = shelf(algo, &archive(algo, &blocks), None);
    for block in &blocks {
        let mut seen = Vec::new();
        let id = algo.hash(block);
        shelf
            .offer(&id, &mut |given, data| {
                assert_eq!(*given, id);
                data.read_to_end(&mut seen).map_err(unwrap_io)?;
                Ok(true)
            })
            .unwrap();
        assert!(seen == *block);
        let refused = shelf.offer(&id, &mut |_, _| Ok(false)).unwrap_err();
        assert!(refused.kind().is_of_one_volume());
    }
    let absent = algo.hash(b"another");
    let e = shelf.offer(&absent, &mut |_, _| Ok(true)).unwrap_err();
    assert!(e.to_string().contains("lacks or spoils"), "{e}");
    let ours = |_: &Hash, _: &mut dyn Read| Err(Error::new(Kind::NoSpace, "full"));
    let e = shelf.offer(&algo.hash(&blocks[0]), &mut { ours });
    assert_eq!(e.unwrap_err().kind(), Kind::NoSpace);
}

/// What follows a deflate stream inside its entry is not carried on.
#[test]
fn bytes_behind_a_packed_block_stay_behind() {
    let algo = Algo::Sha256;
    let block = prose(5000);
    let id = algo.hash(&block);
    let mut deflater = Deflater::new(6);
    let mut bytes = deflater.deflate(&block).unwrap().to_vec();
    let stream = bytes.len() as u64;
    bytes.extend(noise(40_000, 3));
    let packed = Packed {
        method: 8,
        crc: crate::format::crc32::Crc32::of(&block),
        packed_len: bytes.len() as u64,
        size: 5000,
    };
    let mut zip = ZipWriter::new(Vec::new(), &tmp()).unwrap();
    zip.add_packed(&block_name(&id), &packed, &mut bytes.as_slice())
        .unwrap();
    let mut shelf = shelf(algo, &zip.finish().unwrap(), None);
    let mut out = Vec::new();
    let (_, given) = shelf
        .packed(&key_of(algo, &block), &mut out)
        .unwrap()
        .unwrap();
    assert_eq!(given.packed_len, stream);
    assert_eq!(out.len() as u64, stream);
}

#[test]
fn less_than_half_is_read_in_parts() {
    for (share, size, parts) in [
        (Share::All, 100, false),
        (Share::All, 0, false),
        (Share::Bytes(0), 100, true),
        (Share::Bytes(49), 100, true),
        (Share::Bytes(50), 100, false),
        (Share::Bytes(100), 100, false),
        (Share::Bytes(0), 0, false),
        (Share::Bytes(u64::MAX), u64::MAX, false),
        (Share::Bytes(1), u64::MAX, true),
    ] {
        assert_eq!(share.is_in_parts(size), parts, "{share:?} of {size}");
    }
}
