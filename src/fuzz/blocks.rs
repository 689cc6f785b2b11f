//! Blocks for the deflate encoder, of all kinds that it takes ways of its own for.

use std::cell::RefCell;

use std::io::Write;

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use crate::format::deflate::{DeflateStream, Deflater};

const LEVELS: usize = 10;
/// Lengths around which an encoder may slip: windows, pieces, stored parts.
const EDGES: [usize; 9] = [255, 258, 1024, 2000, 4096, 16_384, 32_768, 65_535, 102_400];
/// One block in so many has the length of an edge, and one in as many of these 1 MiB.
const RARE: usize = 1024;

thread_local! {
    static KEPT: RefCell<Vec<Deflater>> = RefCell::new(
        (0..LEVELS).map(|level| Deflater::new(u8::try_from(level).unwrap_or(9))).collect(),
    );
}

/// A level, then a block: it shrinks or is refused, the same from a fresh state and from a used one. That it comes back the encoder
/// asserts itself. Then the same as a stream.
pub(super) fn deflate(data: &[u8]) {
    let Some((&level, block)) = data.split_first() else {
        return;
    };
    let level = level % 10;
    KEPT.with_borrow_mut(|kept| {
        let used = &mut kept[usize::from(level)];
        let first = used.deflate(block).map(<[u8]>::to_vec);
        assert!(first.as_ref().is_none_or(|out| out.len() < block.len()));
        // A state takes longer to make than a small block.
        if block.len().is_multiple_of(64) || block.len() > 4096 {
            let mut fresh = Deflater::new(level);
            assert_eq!(fresh.deflate(block), first.as_deref(), "a fresh state");
        }
        if block.len() % 4 == 1 {
            streams(used, block);
        }
    });
}

/// Cut after some bytes of one value, written at once and byte by byte: both give the same, and it comes back.
fn streams(deflater: &mut Deflater, data: &[u8]) {
    let first = data.first().copied().unwrap_or(0);
    let mut write = |most: usize| {
        let mut stream = DeflateStream::new(Vec::new(), &mut *deflater);
        let mut seen = 0;
        let ends = |&byte: &u8| {
            seen += u32::from(byte == first);
            byte == first && seen % 16 == 5
        };
        for part in data.split_inclusive(ends) {
            for piece in part.chunks(most) {
                stream.write_all(piece).expect("memory takes all");
            }
            stream.cut().expect("memory takes all");
        }
        stream.finish().expect("memory takes all").0
    };
    let packed = write(1 + data.len());
    assert!(packed == write(1), "how it was written shows");
    let back = decompress_to_vec_with_limit(&packed, data.len());
    assert!(back.is_ok_and(|back| back == data), "it comes back");
}

/// A block made of the numbers that begin in `data`: its first byte is the level.
pub(super) fn made(data: &[u8]) {
    let seed = data.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    deflate(&block(&mut Numbers(seed)));
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

fn block(n: &mut Numbers) -> Vec<u8> {
    let level = n.byte();
    let rare = n.below(RARE) == 0;
    let len = match rare {
        true if n.below(RARE) == 0 => (1 << 20) - n.below(2),
        true => EDGES[n.below(EDGES.len())] + n.below(9) - 4,
        false => n.below(601),
    };
    let mut out = vec![level];
    let kind = n.below(9);
    match kind {
        // Weights that grow as Fibonacci's: codes longer than the format has.
        6 => weights(n, &mut out, if rare { 21 } else { 12 }),
        // Every length of a match, and many distances.
        7 => matches(n, &mut out, if rare { 256 } else { 12 }),
        _ => {
            let (first, second) = (n.byte(), n.byte());
            let letters = 2 + n.below(3);
            while out.len() <= len {
                match kind {
                    0 => out.push(n.byte()),
                    1 => out.push(first),
                    2 => {
                        out.push(first.wrapping_add(n.byte() % u8::try_from(letters).unwrap_or(2)))
                    }
                    3 => out.extend(std::iter::repeat_n(n.byte(), 1 + n.below(40))),
                    4 => out.extend(WORDS[n.below(WORDS.len())].bytes()),
                    // All bytes, the lower ones more often.
                    5 => out.push(n.byte() & n.byte()),
                    // Two that take turns, and something else now and then.
                    _ => out.push(match n.below(50) {
                        0 => n.byte(),
                        odd if odd % 2 == 1 => first,
                        _ => second,
                    }),
                }
            }
            out.truncate(len + 1);
        }
    }
    out
}

const WORDS: [&str; 10] = [
    "the ",
    "volume ",
    "is ",
    "kept ",
    "\n",
    "restore ",
    "a ",
    "0123456789 ",
    "é",
    "{\"size\":",
];

fn weights(n: &mut Numbers, out: &mut Vec<u8>, symbols: u8) {
    let (mut a, mut b) = (1, 1);
    let from = n.byte();
    let mut all = Vec::new();
    for symbol in 0..symbols {
        all.extend(std::iter::repeat_n(from.wrapping_add(symbol), a));
        (a, b) = (b, a + b);
    }
    for at in (1..all.len()).rev() {
        all.swap(at, n.below(at + 1));
    }
    out.extend(all);
}

fn matches(n: &mut Numbers, out: &mut Vec<u8>, count: usize) {
    for _ in 0..8 + n.below(300) {
        out.push(n.byte());
    }
    let turn = n.below(256);
    for each in 0..count {
        let length = 3 + (each + turn) % 256;
        let from = n.below(out.len());
        for at in from..from + length {
            out.push(out[at]);
        }
        out.push(n.byte());
    }
}
