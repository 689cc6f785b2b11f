//! One input for every reader of this folder, for the fuzz program and the tests.

use super::{car, cbor, cid, ipns, unixfs};
use crate::base::bytes::hex_decode;
use cid::Cid;

/// Feeds everything at once. Panics when a reader breaks a promise.
pub(crate) fn feed(data: &[u8]) {
    if let Some(cid) = Cid::whole(data) {
        assert_eq!(Cid::parse(&cid.to_string()), Some(cid.clone()));
        assert_eq!(
            Cid::parse(&cid.base32()).map(|c| c.base36()),
            Some(cid.base36())
        );
        drop(cid.unsupported());
    }
    if let Ok(node) = unixfs::Node::parse(data) {
        assert!(node.links().count() <= data.len());
        let _ = (node.kind(), node.file_size());
        if let Ok((inline, children)) = node.file() {
            let sum: u64 = children.iter().map(|c| c.len).sum();
            assert_eq!(Some(sum + inline.len() as u64), node.file_size());
        }
    }
    drop(cbor::map(data));
    drop(ipns::verify(data, &Cid::of(cid::LIBP2P_KEY, b"x")));
    if let Ok(mut car) = car::CarReader::open(data) {
        let mut block = Vec::new();
        for _ in 0..=data.len() {
            if !matches!(car.next(&mut block), Ok(Some(_))) {
                break;
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop((Cid::parse(text), Cid::key(text)));
    }
}

/// Valid inputs, to be mutated.
pub(crate) fn samples() -> Vec<Vec<u8>> {
    let all = [
        "122f0a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91205612e747874180b0a020801",
        "122d0a2401701220effe249b90784f79f722b5f50a9641a80865b7ddb00f8b00d507352840e145b112023642188c010a1908051210020008000000000000000000000000002822308002",
        "122b0a2401701220514f00bd7d7bce13c725ddcd61291ed7f35112182744db4f1e87d6bacf83cd8c120018e802122a0a2401701220ebeb860dedd78d4c94727f2fc117900c4034c6bdbad5fc7b653f58de7373fcee120018780a080802185020402010",
        "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        "a5616118646162420102616362686961648201a16178f6616520",
        "0301020325015512206e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d00",
    ];
    all.iter()
        .filter_map(|text| hex_decode(text.as_bytes()))
        .collect()
}
