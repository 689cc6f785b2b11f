//! The cases of the specification's record vectors, signed here with a key of fixed seed, and every flip and cut of one.

use super::*;
use crate::format::ipld::proto::{push_bytes, push_number};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const VALUE: &[u8] = b"/ipfs/bafkqaddwgevxmmraojswg33smq";
const UNTIL: &[u8] = b"2123-08-14T12:10:05.020492Z";

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed")
}

fn key() -> Vec<u8> {
    let mut key = ED25519_KEY_PREFIX.to_vec();
    key.extend_from_slice(pair().public_key().as_ref());
    key
}

/// The name that holds the key, and the one that is only its hash.
fn names() -> [Cid; 2] {
    let mut inline = vec![1, 0x72, 0, 36];
    inline.extend_from_slice(&key());
    [
        Cid::whole(&inline).expect("a name"),
        Cid::of(crate::format::ipld::cid::LIBP2P_KEY, &key()),
    ]
}

fn data(value: &[u8], until: &[u8], kind: u8) -> Vec<u8> {
    let mut out = vec![0xa5];
    let mut pair = |key: &str, value: &[u8], bytes: bool| {
        out.push(0x60 | u8::try_from(key.len()).expect("short"));
        out.extend_from_slice(key.as_bytes());
        if bytes {
            out.extend_from_slice(&[0x58, u8::try_from(value.len()).expect("short")]);
        }
        out.extend_from_slice(value);
    };
    pair("TTL", &[0], false);
    pair("Value", value, true);
    pair("Sequence", &[5], false);
    pair("Validity", until, true);
    pair("ValidityType", &[kind], false);
    out
}

fn first_version(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_bytes(&mut out, 1, value);
    push_bytes(&mut out, 2, b"any signature");
    push_number(&mut out, 3, 0);
    push_bytes(&mut out, 4, UNTIL);
    push_number(&mut out, 5, 5);
    push_number(&mut out, 6, 0);
    out
}

fn second_version(data: &[u8]) -> Vec<u8> {
    let signature = pair().sign(&[SIGNED_PREFIX, data].concat());
    let mut out = Vec::new();
    push_bytes(&mut out, 8, signature.as_ref());
    push_bytes(&mut out, 9, data);
    out
}

#[test]
fn good_records() {
    let v2 = second_version(&data(VALUE, UNTIL, 0));
    let want = Record {
        value: "/ipfs/bafkqaddwgevxmmraojswg33smq".to_owned(),
        sequence: 5,
        until: 4_847_688_605,
    };
    let [inline, hashed] = names();
    assert_eq!(verify(&v2, &inline), Ok(want));
    let both = [first_version(VALUE), v2.clone()].concat();
    assert!(verify(&both, &inline).is_ok(), "a bad first signature");
    assert_eq!(verify(&v2, &hashed), Err(Refused::Signature), "no key");
    let mut with_key = v2;
    push_bytes(&mut with_key, 7, &key());
    assert!(verify(&with_key, &hashed).is_ok());
    let mut other = key();
    other[10] ^= 1;
    let mut wrong = second_version(&data(VALUE, UNTIL, 0));
    push_bytes(&mut wrong, 7, &other);
    assert_eq!(verify(&wrong, &hashed), Err(Refused::Signature));
}

#[test]
fn bad_records() {
    let [name, _] = names();
    let refused = |record: &[u8]| verify(record, &name).expect_err("refused");
    assert_eq!(refused(&first_version(VALUE)), Refused::Malformed);
    let v2 = second_version(&data(VALUE, UNTIL, 0));
    let both = [first_version(b"/ipfs/bafkqaaa"), v2.clone()].concat();
    assert_eq!(refused(&both), Refused::Contradicts);
    for (value, until, kind) in [
        (&b"/ipfx/x"[..], UNTIL, 0),
        (VALUE, UNTIL, 1),
        (VALUE, b"2123-08-14 12:10:05Z", 0),
        (VALUE, b"2123-02-30T12:10:05Z", 0),
        (b"/ipfs/\xff", UNTIL, 0),
    ] {
        let record = second_version(&data(value, until, kind));
        assert_eq!(refused(&record), Refused::Malformed);
    }
    let rsa = Cid::whole(&[1, 0x72, 0, 4, 8, 0, 0x12, 0]).expect("a name");
    assert_eq!(verify(&v2, &rsa), Err(Refused::Key));
    assert_eq!(verify(&vec![0; 10_241], &name), Err(Refused::Malformed));
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    let [name, _] = names();
    let good = second_version(&data(VALUE, UNTIL, 0));
    for at in 0..good.len() {
        assert!(verify(&good[..at], &name).is_err(), "cut at {at}");
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(verify(&bad, &name).is_err(), "bit {bit} of {at}");
        }
    }
}

#[test]
fn times() {
    for (text, want) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2033-05-18T03:33:20.000000000Z", Some(2_000_000_000)),
        ("2033-05-18T03:33:20.Z", None),
        ("2033-05-18T03:33:20+01:00", None),
        ("2033-05-18T03:33:2", None),
        ("", None),
        ("Z", None),
    ] {
        assert_eq!(time(text.as_bytes()), want, "{text}");
    }
}
