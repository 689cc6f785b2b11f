//! Random and damaged input for every reader of this folder: an answer, never a panic.

use super::fuzz::{self, feed};

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

#[test]
fn damaged_and_random_input() {
    let mut random = Random(6);
    for _ in 0..300 {
        for mut data in fuzz::samples() {
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
