//! What a dynamic block says of its codes: their lengths, with repeats told by number, in a Huffman code of their own.

use super::bits::BitWriter;
use super::count::bits;
use super::lengths::{code_lengths, codes};
use super::slots::{DISTANCE_SYMBOLS, LITERAL_SYMBOLS};

/// Code lengths of the code lengths.
const HEADER_LIMIT: usize = 7;
const HEADER_SYMBOLS: usize = 19;
/// The order in which a header tells the lengths of its own code.
const HEADER_ORDER: [u8; HEADER_SYMBOLS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// A header, ready to be written.
pub(super) struct Header {
    /// Code lengths told of each alphabet: without the zeros at the end.
    literals: usize,
    distances: usize,
    /// Symbols of the header's code, in the low 5 bits, the value of their extra bits above.
    told: [u16; LITERAL_SYMBOLS + DISTANCE_SYMBOLS],
    used: usize,
    lengths: [u8; HEADER_SYMBOLS],
    /// Lengths of the header's code that are told, in their odd order.
    own: usize,
    counts: [u32; HEADER_SYMBOLS],
}

impl Header {
    pub(super) fn of(literals: &[u8], distances: &[u8]) -> Header {
        let tail = |lengths: &[u8], least: usize| {
            lengths
                .iter()
                .rposition(|&n| n > 0)
                .map_or(least, |at| least.max(at + 1))
        };
        let mut header = Header {
            literals: tail(literals, 257),
            distances: tail(distances, 1),
            told: [0; LITERAL_SYMBOLS + DISTANCE_SYMBOLS],
            used: 0,
            lengths: [0; HEADER_SYMBOLS],
            own: 0,
            counts: [0; HEADER_SYMBOLS],
        };
        // One row: a repeat may go from one alphabet to the other.
        let mut row = [0u8; LITERAL_SYMBOLS + DISTANCE_SYMBOLS];
        let (front, back) = row.split_at_mut(header.literals);
        front.copy_from_slice(&literals[..header.literals]);
        back[..header.distances].copy_from_slice(&distances[..header.distances]);
        let row = &row[..header.literals + header.distances];
        for run in row.chunk_by(|a, b| a == b) {
            header.tell_run(run[0], run.len());
        }
        code_lengths(&header.counts, HEADER_LIMIT, &mut header.lengths);
        let told = |&&symbol: &&u8| header.lengths[usize::from(symbol)] == 0;
        header.own = HEADER_SYMBOLS - HEADER_ORDER.iter().rev().take_while(told).count();
        header.own = header.own.max(4);
        header
    }

    /// `count` times the same code length.
    fn tell_run(&mut self, length: u8, mut count: usize) {
        if length > 0 {
            self.tell(u16::from(length), 0);
            count -= 1;
        }
        while count > 0 {
            // 16: the last one 3 to 6 times again. 17 and 18: 3 to 10 and 11 to 138 zeros.
            let (symbol, least, most) = match (length, count) {
                (0, 11..) => (18, 11, 138),
                (0, 3..) => (17, 3, 10),
                (1.., 3..) => (16, 3, 6),
                _ => (u16::from(length), 1, 1),
            };
            let now = count.min(most);
            self.tell(symbol, now - least);
            count -= now;
        }
    }

    fn tell(&mut self, symbol: u16, extra: usize) {
        self.told[self.used] = symbol | (extra as u16) << 5;
        self.used += 1;
        self.counts[usize::from(symbol)] += 1;
    }

    pub(super) fn bits(&self) -> u64 {
        let extra =
            [(16, 2), (17, 3), (18, 7)].map(|(symbol, bits)| u64::from(self.counts[symbol]) * bits);
        14 + 3 * self.own as u64 + bits(&self.counts, &self.lengths) + extra.iter().sum::<u64>()
    }

    /// False when its own code is none.
    pub(super) fn write(&self, out: &mut BitWriter<'_>) -> bool {
        out.put(self.literals as u32 - 257, 5);
        out.put(self.distances as u32 - 1, 5);
        out.put(self.own as u32 - 4, 4);
        out.flush();
        for &symbol in &HEADER_ORDER[..self.own] {
            out.put(u32::from(self.lengths[usize::from(symbol)]), 3);
            out.flush();
        }
        let mut own = [0; HEADER_SYMBOLS];
        let sound = codes(&self.lengths, &mut own);
        for &told in &self.told[..self.used] {
            let symbol = usize::from(told & 31);
            out.code(own[symbol]);
            let extra = match symbol {
                16 => 2,
                17 => 3,
                18 => 7,
                _ => 0,
            };
            out.put(u32::from(told >> 5), extra);
            out.flush();
        }
        sound
    }
}
