//! Tests of `dest::filen::keys`. What is expected was worked out apart, by Python's library; the hash of a name is also what Filen's
//! own programs test theirs with.

use std::sync::Mutex;

use super::*;

/// Tests log in by the hundred, most of them with the same password and salt.
static KNOWN: Mutex<Vec<(Vec<u8>, [u8; 64])>> = Mutex::new(Vec::new());

pub(super) fn is_known(password: &[u8], salt: &[u8], out: &mut [u8; 64]) -> bool {
    let (known, what) = (KNOWN.lock().expect("known"), [password, salt].join(&0));
    let found = known.iter().find(|(other, _)| *other == what);
    found.map(|(_, known)| *out = *known).is_some()
}

pub(super) fn keep(password: &[u8], salt: &[u8], out: &[u8; 64]) {
    let what = [password, salt].join(&0);
    KNOWN.lock().expect("known").push((what, *out));
}

fn derived(version: u64, salt: &str) -> Derived {
    let password = Secret::new("stub-password".to_owned());
    match Derived::new(version, &password, salt) {
        Ok(derived) => derived,
        Err(fault) => panic!("{}", fault.text),
    }
}

/// A value in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let len: Vec<u8> = len.into_iter().skip_while(|b| *b == 0).collect();
    let head = match content.len() {
        0..128 => vec![tag, u8::try_from(content.len()).expect("short")],
        _ => [
            &[tag, 0x80 + u8::try_from(len.len()).expect("short")],
            &len[..],
        ]
        .concat(),
    };
    [&head[..], content].concat()
}

/// A private key of which only the exponent matters.
fn private_key() -> Vec<u8> {
    let number = |seed: &[u8]| {
        let mut out = Algo::Sha512.hash(seed).as_bytes().repeat(4);
        out[0] |= 0x80;
        der(2, &[&[0], &out[..]].concat())
    };
    let small = |n: u8| der(2, &[n]);
    let inner = [small(0), number(b"n"), der(2, &[1, 0, 1]), number(b"d")].concat();
    let inner = [3, 5, 7, 11, 13]
        .into_iter()
        .fold(inner, |all, n| [all, small(n)].concat());
    let kind = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    der(
        0x30,
        &[small(0), der(0x30, &kind), der(4, &der(0x30, &inner))].concat(),
    )
}

#[test]
fn log_ins_of_both_versions() {
    let two = derived(2, "salt");
    assert_eq!(
        two.text,
        "f6a7e3a2160bdf9f9dedeb44f906a4452cce3bf8f5edef285f20ffba2d0a720e"
    );
    assert_eq!(
        two.login.reveal(),
        "c39e0c3e78f30095d8350eef9c95c844b53bd19da4b66e26bcf63a6f0fb66eff246887606f8364050de1c96073d78dcbce07e619ebcb0c17c8144466864fba53"
    );
    let salt = hex(Algo::Sha512.hash(b"stub salt").as_bytes()).repeat(4);
    let three = derived(3, &salt);
    assert_eq!(
        three.login.reveal(),
        "e85ca111e85410feb6183dc262ce83cc84efc73125a49ef4b12172eb1d368098"
    );
    let same = Key::of_file("776ae77900fabff0b72ca326c2833aaf05c39040a59db9c7895ac869947947c6")
        .expect("a key");
    let sealed = same.seal("a text").expect("sealed");
    assert_eq!(three.key.open(&sealed).as_deref(), Some("a text"));
    let password = Secret::new("p".to_owned());
    for (version, salt) in [(1, "aa"), (4, "aa"), (3, "no hex"), (3, "")] {
        assert!(Derived::new(version, &password, salt).is_err(), "{version}");
    }
}

#[test]
fn metadata_of_both_versions_and_of_older_keys() {
    let (old, new) = ("aa".repeat(32), derived(2, "salt"));
    let list = format!("{old}|{}", new.text);
    let sealed = new.key.seal(&list).expect("sealed");
    assert!(sealed.starts_with("002") && sealed.len() > 15);
    let keys = new.master_keys(&sealed).expect("keys");
    assert_eq!((keys.version(), keys.all.len()), (2, 2));
    let by_old = Key::of_text(&old)
        .expect("a key")
        .seal("\u{e4}")
        .expect("sealed");
    for sealed in [by_old, keys.seal("\u{e4}").expect("sealed")] {
        assert_eq!(keys.open(&sealed).as_deref(), Some("\u{e4}"));
        let last = sealed.len() - 1;
        for bad in [
            "",
            "00",
            "002",
            "002short",
            "003",
            "U2FsdGVkX1+",
            &sealed[..last],
            &format!("002\u{e4}{sealed}"),
        ] {
            assert_eq!(keys.open(bad), None, "{bad}");
        }
    }
    let raw = Key::of_file(&"0f".repeat(32)).expect("a key");
    let sealed = raw.seal("x").expect("sealed");
    assert!(
        sealed.starts_with("003") && sealed.len() == 3 + 24 + 24,
        "{sealed}"
    );
    assert_eq!(
        (raw.open(&sealed).as_deref(), keys.open(&sealed)),
        (Some("x"), None)
    );
}

#[test]
fn chunks_and_keys_of_files() {
    for text in ["0123456789abcdef0123456789abcdef", &"0f".repeat(32)] {
        let key = Key::of_file(text).expect("a key");
        let mut chunk = room(1000).expect("room");
        content(&mut chunk).fill(7);
        key.seal_chunk(&mut chunk).expect("sealed");
        assert_eq!(chunk.len() as u64, 1000 + ADDED);
        assert!(chunk[NONCE..].iter().any(|b| *b != 7));
        let mut damaged = chunk.clone();
        damaged[500] ^= 1;
        assert!(key.open_chunk(&mut damaged).is_none() && key.open_chunk(&mut [0; 5]).is_none());
        assert_eq!(key.open_chunk(&mut chunk).expect("whole"), [7; 1000]);
    }
    assert!(Key::of_file("short").is_none() && Key::of_file(&"x".repeat(64)).is_none());
}

#[test]
fn names_are_hashed_as_other_clients_do() {
    let keys = |all: Vec<Key>| Keys {
        all,
        names: Vec::new(),
    };
    let two = keys(vec![Key::of_text("k").expect("a key")]);
    assert_eq!(
        two.hashes("ABC"),
        [
            "5c5a4ad792911a5a58741e16257f62b664aa2df3",
            "96f72d864399376c2b687585a98665b86c34b193"
        ]
    );
    assert_eq!(
        two.hashes("B\u{c4}r.ZIP")[0],
        "fc3409a03c0ae8f738b735b24cccdd218230a876"
    );
    let mut three = keys(vec![Key::of_file(&"0f".repeat(32)).expect("a key")]);
    let whole = private_key();
    let sealed = three.seal(&base64(&whole)).expect("sealed");
    three.hash_with(&sealed).expect("a key");
    assert_eq!(
        three.hashes("Abc"),
        [
            "f02eef44fba16c4b062d96d29a783ba3870e7ffe77e7234ea2b4f4db67f0079c",
            "3ad8531d8c7cc1da68faad7f39575dc327cbf32607a32dbb3f670af6f88b7a2e"
        ]
    );
    // Whatever it is, it is no key or one.
    for cut in 0..whole.len().min(330) {
        assert!(exponent(&whole[..cut]).is_none(), "{cut}");
    }
    for odd in [
        &[0x30, 0x85, 1, 1, 1, 1, 1, 1][..],
        &[0x30, 0xff],
        &[0x30, 0x80],
        &[2, 1],
    ] {
        assert!(exponent(odd).is_none(), "{odd:?}");
    }
}
