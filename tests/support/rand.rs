//! Random bytes and text that are the same for the same seed.

// Each program uses its own part.
#![allow(dead_code)]

/// A pseudo-random generator (splitmix64) whose whole state is the seed printed on failure.
pub struct Rand(pub u64);

impl Rand {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// Text of words that deflates to a third or so.
    pub fn prose(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 12] = [
            "backup", "of", "the", "volume", "router", "is", "written", "once", "and", "read",
            "by", "many",
        ];
        let mut out = Vec::with_capacity(len + 16);
        while out.len() < len {
            let pick = self.next();
            out.extend_from_slice(WORDS[(pick % 12) as usize].as_bytes());
            out.push(if pick & 0xf000 == 0 { b'\n' } else { b' ' });
            if pick & 0xf_0000 == 0 {
                out.extend_from_slice(format!("{:x}", pick >> 40).as_bytes());
            }
        }
        out.truncate(len);
        out
    }
}
