//! Random and damaged input for every reader of this folder: an answer, never a panic.

use super::*;
use crate::base::bytes::hex_decode;
use cid::Cid;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }

    /// A few flips, cuts and insertions.
    fn damage(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(data.len());
            match self.below(4) {
                0 if !data.is_empty() => data[at] ^= 1 << self.below(8),
                1 => data.truncate(at),
                2 => data.insert(at.min(data.len()), self.byte()),
                _ if !data.is_empty() => data[at] = [0, 0x7f, 0x80, 0xff][self.below(4)],
                _ => {}
            }
        }
    }
}

/// Everything at once.
fn feed(data: &[u8]) {
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

#[test]
fn damaged_and_random_input() {
    let samples = [
        "122f0a2401551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde91205612e747874180b0a020801",
        "122d0a2401701220effe249b90784f79f722b5f50a9641a80865b7ddb00f8b00d507352840e145b112023642188c010a1908051210020008000000000000000000000000002822308002",
        "122b0a2401701220514f00bd7d7bce13c725ddcd61291ed7f35112182744db4f1e87d6bacf83cd8c120018e802122a0a2401701220ebeb860dedd78d4c94727f2fc117900c4034c6bdbad5fc7b653f58de7373fcee120018780a080802185020402010",
        "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
        "a56161186461624201026163626869616482 01a16178f6616520",
        "0301020325015512206e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d00",
    ];
    let mut random = Random(6);
    for _ in 0..300 {
        for sample in samples {
            let text: Vec<u8> = sample.bytes().filter(|b| *b != b' ').collect();
            let mut data = hex_decode(&text).expect("hex");
            random.damage(&mut data);
            feed(&data);
        }
        let data: Vec<u8> = (0..random.below(200)).map(|_| random.byte()).collect();
        feed(&data);
        let letters = b"bBkKzfFQm12D3KooABCdef0129xyz";
        let text: Vec<u8> = (0..random.below(70))
            .map(|_| letters[random.below(letters.len())])
            .collect();
        feed(&text);
    }
}
