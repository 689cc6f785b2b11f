//! Made blocks for tests, here and of the program.

/// Seeded bytes that do not compress.
pub(crate) fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    std::iter::repeat_with(|| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed.to_be_bytes()[1]
    })
    .take(len)
    .collect()
}

pub(crate) fn prose(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|i: u32| format!("line {} of {}\n", i, i.wrapping_mul(7919) % 1000).into_bytes())
        .take(len)
        .collect()
}

/// A generator, seeded.
pub(crate) struct Rand(pub(crate) u64);

impl Rand {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

/// Adds one stretch of some kind.
fn stretch(rand: &mut Rand, data: &mut Vec<u8>, len: usize) {
    let alphabet = [1, 2, 3, 4, 16, 64, 256][rand.below(7)];
    let first = rand.below(256);
    let byte = |n: usize| u8::try_from((first + n) % 256).unwrap();
    match rand.below(6) {
        0 => data.extend(vec![byte(0); len]),
        1 => (0..len).for_each(|_| data.push(byte(rand.below(alphabet)))),
        2 => data.extend(prose(len + first).split_off(first)),
        3 if !data.is_empty() => {
            // A match from anywhere, with a hole now and then.
            let from = rand.below(data.len());
            (0..len).for_each(|n| data.push(data[from + n]));
            let hole = data.len() - 1 - rand.below(len.min(data.len()));
            data[hole] = byte(1);
        }
        4 => (0..len).for_each(|n| data.push(byte(n / (1 + alphabet / 16)))),
        // Few of some, many of others: long codes.
        _ => (0..len).for_each(|_| {
            let bits = rand.below(9);
            data.push(byte(rand.below(1 << bits)));
        }),
    }
}

pub(crate) fn mixed(rand: &mut Rand, most: usize) -> Vec<u8> {
    let len = rand.below(most);
    let mut data = Vec::new();
    while data.len() < len {
        let bits = rand.below(12);
        let part = 1 + rand.below(1 << bits);
        stretch(rand, &mut data, part);
    }
    data.truncate(len);
    data
}
