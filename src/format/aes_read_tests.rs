//! Tests of the AES Crypt reader.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use crate::base::bytes::hex_decode;
use crate::format::aes_write::{self, AesWriter};
use crate::format::vectors::{PASS, PLAIN, V0, V1, V2, V2_16, V2_EMPTY, V3, V3_EMPTY};

const ALL: [(&str, &[u8]); 7] = [
    (V0, PLAIN),
    (V1, PLAIN),
    (V2, PLAIN),
    (V3, PLAIN),
    (V2_EMPTY, b""),
    (V2_16, b"0123456789abcdef"),
    (V3_EMPTY, b""),
];

fn open(raw: &[u8], pass: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let n = decrypt(&mut &*raw, &Secret::new(pass.to_owned()), &mut out)?;
    assert_eq!(n, out.len() as u64);
    Ok(out)
}

#[test]
fn published_streams() {
    for (hex, plain) in ALL {
        assert_eq!(
            open(&hex_decode(hex.as_bytes()).unwrap(), PASS).unwrap(),
            plain
        );
    }
}

#[test]
fn wrong_passphrase_is_named() {
    for (hex, _) in ALL {
        let e = open(&hex_decode(hex.as_bytes()).unwrap(), "other").unwrap_err();
        assert_eq!(e.kind(), Kind::Passphrase, "{e}");
        assert!(
            e.to_string().starts_with("wrong passphrase or damaged"),
            "{e}"
        );
        let e = open(&hex_decode(hex.as_bytes()).unwrap(), " ").unwrap_err();
        assert_eq!(e.kind(), Kind::Passphrase, "{e}");
    }
}

#[test]
fn every_cut_is_refused() {
    for (hex, _) in ALL {
        let raw = hex_decode(hex.as_bytes()).unwrap();
        for cut in 0..raw.len() {
            let e = open(&raw[..cut], PASS).unwrap_err();
            assert!(
                matches!(e.kind(), Kind::Damaged | Kind::Passphrase),
                "{cut}: {e}"
            );
        }
        let longer = [raw.as_slice(), &[0]].concat();
        assert!(open(&longer, PASS).is_err());
    }
}

#[test]
fn every_flipped_byte_is_refused_or_harmless() {
    for (hex, plain) in ALL {
        let raw = hex_decode(hex.as_bytes()).unwrap();
        let mut harmless = 0;
        for at in 0..raw.len() {
            // A flipped iteration count is slow, not interesting: only its low byte.
            let bit = if raw[3] == 3 && at < raw.len() - 140 {
                1
            } else {
                0xff
            };
            let mut copy = raw.clone();
            copy[at] ^= bit;
            match open(&copy, PASS) {
                Ok(out) if out == plain => harmless += 1,
                // The length octet is not authenticated in versions 0 to 2.
                Ok(out) => {
                    let octet = if raw[3] == 0 { 4 } else { raw.len() - 33 };
                    assert!(raw[3] < 3 && at == octet, "{at}");
                    assert_eq!(out.len().div_ceil(16), plain.len().div_ceil(16));
                }
                Err(e) => assert!(!e.to_string().is_empty()),
            }
        }
        assert!(harmless <= 20, "{harmless}");
    }
}

#[test]
fn tolerances() {
    // R21: several extensions, no NUL in a body, high bits in the length octet, reserved octet not 0.
    let raw = hex_decode(V2_EMPTY.as_bytes()).unwrap();
    let mut with = b"AES\x02\x07\x00\x01x\x00\x03a\x00b\x00\x80".to_vec();
    with.extend_from_slice(&[0; 128]);
    with.extend_from_slice(&raw[5..]);
    assert_eq!(open(&with, PASS).unwrap(), b"");
    let mut raw = hex_decode(V2.as_bytes()).unwrap();
    let octet = raw.len() - 33;
    assert_eq!(raw[octet], 3);
    raw[octet] = 0xf3;
    assert_eq!(open(&raw, PASS).unwrap(), PLAIN);
    // The octet is ignored when there is no content.
    let mut raw = hex_decode(V2_EMPTY.as_bytes()).unwrap();
    let octet = raw.len() - 33;
    raw[octet] = 5;
    assert_eq!(open(&raw, PASS).unwrap(), b"");
}

#[test]
fn foreign_files_and_bounds() {
    for (raw, kind) in [
        (&b""[..], Kind::Damaged),
        (b"PK\x03\x04 and so on", Kind::Damaged),
        (b"AES\x04\x00\x00\x00", Kind::Unsupported),
        (b"AES\x03\x00\x00\x00\x00\x00\x00\x00", Kind::Damaged),
        (b"AES\x03\x00\x00\x00\xff\xff\xff\xff", Kind::Damaged),
    ] {
        assert_eq!(open(raw, PASS).unwrap_err().kind(), kind);
    }
    let mut endless = b"AES\x02\x00".to_vec();
    for _ in 0..17 {
        endless.extend_from_slice(&[0xff; 65_537]);
    }
    let e = open(&endless, PASS).unwrap_err();
    assert!(e.to_string().contains("extensions"), "{e}");
}

/// Gives and takes odd amounts.
struct Odd<'a>(&'a [u8], usize);
impl Read for Odd<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 7919 + 13;
        let n = self.1.min(out.len()).min(self.0.len());
        out[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn what_was_written_comes_back() {
    let pass = Secret::new("abc".to_owned());
    let block = BUFFER_BYTES;
    for len in [
        0,
        1,
        15,
        16,
        17,
        49,
        block - 17,
        block - 1,
        block,
        block + 1,
        block + 16,
        block + 49,
        3 * block,
        3 * block + 5,
    ] {
        let plain: Vec<u8> = (0..=250u8).cycle().take(len).collect();
        let mut w = AesWriter::new(Vec::new(), &pass).unwrap();
        for piece in plain.chunks(10_007) {
            w.write_all(piece).unwrap();
        }
        let raw = w.finish().unwrap();
        assert_eq!(raw.len(), 136 + 19 + len.next_multiple_of(16));
        let mut out = Vec::new();
        decrypt(&mut Odd(&raw, 0), &pass, &mut out).unwrap();
        assert!(out == plain, "{len}");
        let mut bad = raw.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        assert!(decrypt(&mut bad.as_slice(), &pass, &mut io::sink()).is_err());
    }
}

/// What comes out in spite of a flaw, and the flaw.
fn far(raw: &[u8], pass: &Secret) -> Result<(Vec<u8>, Option<Error>)> {
    let mut out = Vec::new();
    let flaw = decrypt_far(&mut &*raw, pass, &mut out)?;
    Ok((out, flaw))
}

#[test]
fn damage_spoils_what_it_touches() {
    let pass = Secret::new(PASS.to_owned());
    for len in [100, BUFFER_BYTES - 40, BUFFER_BYTES, 2 * BUFFER_BYTES + 7] {
        let plain: Vec<u8> = (0..=250u8).cycle().take(len).collect();
        let mut w = AesWriter::new(Vec::new(), &pass).unwrap();
        w.write_all(&plain).unwrap();
        let raw = w.finish().unwrap();
        let head = raw.len() - 33 - len.next_multiple_of(16);
        let (out, flaw) = far(&raw, &pass).unwrap();
        assert!(out == plain && flaw.is_none(), "{len}");
        // A byte of the content, and where it can be seen.
        for at in [0, 17, len / 2, len - 17] {
            let mut bad = raw.clone();
            bad[head + at] ^= 4;
            let (out, flaw) = far(&bad, &pass).unwrap();
            assert_eq!(flaw.unwrap().kind(), Kind::Damaged);
            let block = at / 16 * 16;
            assert!(out[..block] == plain[..block], "{len} {at}");
            let after = block + 32;
            let end = out.len().min(len);
            assert!(
                after >= end || out[after..end] == plain[after..],
                "{len} {at}"
            );
        }
        // The HMAC of the content, that of the header, bytes too many: all plain bytes are there.
        for bad in [
            [&raw[..raw.len() - 1], &[raw[raw.len() - 1] ^ 1]].concat(),
            [&raw[..head - 1], &[raw[head - 1] ^ 1], &raw[head..]].concat(),
            [&raw[..], &[9; 100]].concat(),
        ] {
            let (out, flaw) = far(&bad, &pass).unwrap();
            assert_eq!(flaw.unwrap().kind(), Kind::Damaged);
            assert!(out.starts_with(&plain), "{len}");
        }
        // Every cut gives the whole blocks of ciphertext that there are.
        for cut in (0..120)
            .chain([len / 2])
            .filter(|cut| head + cut < raw.len())
        {
            let kept = raw.len() - cut;
            let (out, flaw) = far(&raw[..kept], &pass).unwrap();
            assert_eq!(flaw.is_none(), cut == 0);
            let whole = ((kept - head) / 16 * 16).min(len);
            assert!(out.get(..whole) == plain.get(..whole), "{len} {cut}");
        }
        // Nothing to be had: no header, and another passphrase that gives garbage and says so.
        assert!(far(&raw[..head - 1], &pass).is_err());
        let (_, flaw) = far(&raw, &Secret::new("other".to_owned())).unwrap();
        assert_eq!(flaw.unwrap().kind(), Kind::Passphrase);
    }
}

#[test]
fn garbage_padding_of_old_writers_is_accepted() {
    // A stream of 16 octets whose length octet says 5: eleven octets of padding that hold anything.
    let pass = Secret::new(PASS.to_owned());
    let mut raw = aes_write::tests::fixed(b"helloGARBAGE!!!!", &pass, false);
    let octet = raw.len() - 33;
    raw[octet] = 5;
    assert_eq!(open(&raw, PASS).unwrap(), b"hello");
}

#[test]
fn changed_streams_never_panic() {
    let mut seed = 5u64;
    for (hex, _) in [ALL[2], ALL[4]] {
        let raw = hex_decode(hex.as_bytes()).unwrap();
        for _ in 0..150 {
            let mut copy = raw.clone();
            for _ in 0..2 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(seed >> 33).unwrap() % copy.len();
                copy[at] = seed.to_be_bytes()[2];
            }
            let _ = open(&copy, PASS);
        }
    }
    // The body of a version 0 stream needs no key block: cheap to try many.
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = usize::try_from(seed >> 33).unwrap() % 200;
        let junk = crate::format::deflate::tests::noise(n, seed);
        let head = [b"AES".as_slice(), &[2 + (seed.to_be_bytes()[3] & 1)]].concat();
        let _ = skip_extensions(&mut junk.as_slice());
        assert!(open(&[head, junk].concat()[..n.min(60)], PASS).is_err());
    }
}
