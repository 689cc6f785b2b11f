//! Any part of a stream is what the whole of it has there.

use super::*;
use crate::base::bytes::hex_decode;
use crate::base::error::Kind;
use crate::base::tmp::{Spool, Tmp};
use crate::format::aes_read;
use crate::format::aes_write::AesWriter;
use crate::format::deflate::tests::noise;
use crate::format::vectors::{PASS, V0, V1, V2, V2_16, V2_EMPTY, V3, V3_EMPTY};
use std::io::Write;

fn spool(raw: &[u8]) -> Spool {
    let mut spool = Spool::new(&Tmp::open(None).unwrap()).unwrap();
    spool.write_all(raw).unwrap();
    spool
}

/// Every part of a short stream, by both readers.
#[test]
fn every_part_of_streams_of_every_version() {
    let secret = Secret::new(PASS.to_owned());
    let mut streams: Vec<Vec<u8>> = [V0, V1, V2, V3, V2_16, V2_EMPTY, V3_EMPTY]
        .iter()
        .map(|hex| hex_decode(hex.as_bytes()).unwrap())
        .collect();
    for len in [1, 15, 17, 31, 32, 33, 47, 64] {
        let mut writer = AesWriter::new(Vec::new(), &secret).unwrap();
        writer.write_all(&noise(len, 9)).unwrap();
        streams.push(writer.finish().unwrap());
    }
    for raw in streams {
        let mut plain = Vec::new();
        aes_read::decrypt(&mut raw.as_slice(), &secret, &mut plain).unwrap();
        let stored = spool(&raw);
        let slice = AesSlice::open(&stored, &secret).unwrap();
        assert_eq!(slice.len(), plain.len() as u64);
        for from in 0..=plain.len() {
            for end in from..=plain.len() {
                let mut part = vec![0; end - from];
                slice.decrypt(&stored, &mut part, from as u64).unwrap();
                assert!(part == plain[from..end], "{from}..{end}");
            }
            let mut more = vec![0; plain.len() - from + 1];
            let e = slice.decrypt(&stored, &mut more, from as u64);
            assert_eq!(e.unwrap_err().kind(), Kind::Damaged);
        }
        assert!(slice.decrypt(&stored, &mut [0], u64::MAX).is_err());
    }
}

/// Across the pieces that are decrypted at a time.
#[test]
fn parts_of_a_long_stream() {
    let secret = Secret::new("x".to_owned());
    let plain = noise(3 * PIECE_BYTES + 7, 4);
    let mut writer = AesWriter::new(Vec::new(), &secret).unwrap();
    writer.write_all(&plain).unwrap();
    let stored = spool(&writer.finish().unwrap());
    let slice = AesSlice::open(&stored, &secret).unwrap();
    let edges = [
        0,
        1,
        15,
        16,
        17,
        PIECE_BYTES - 1,
        PIECE_BYTES,
        PIECE_BYTES + 1,
    ];
    for from in edges {
        for len in edges
            .into_iter()
            .chain([2 * PIECE_BYTES, plain.len() - from])
        {
            let mut part = vec![0; len.min(plain.len() - from)];
            slice.decrypt(&stored, &mut part, from as u64).unwrap();
            assert!(part == plain[from..from + part.len()], "{from}+{len}");
        }
    }
}

#[test]
fn what_is_no_stream_is_refused() {
    let secret = Secret::new(PASS.to_owned());
    for hex in [V1, V2, V3, V2_EMPTY, V3_EMPTY] {
        let raw = hex_decode(hex.as_bytes()).unwrap();
        for cut in 0..raw.len() {
            // A whole number of blocks may be missing without being noticed: the rest is then proved by what is inside.
            if let Ok(slice) = AesSlice::open(&spool(&raw[..cut]), &secret) {
                assert!(slice.len() < raw.len() as u64);
            }
        }
        let other = Secret::new("other".to_owned());
        let e = AesSlice::open(&spool(&raw), &other).err().unwrap();
        assert_eq!(e.kind(), Kind::Passphrase);
    }
    assert!(AesSlice::open(&spool(b""), &secret).is_err());
}
