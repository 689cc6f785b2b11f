//! CRC-32 as zip uses it: by the processor's own instructions where it has them (x86-64 and aarch64, by `crc32fast`, which looks
//! for them first), elsewhere from tables.

/// A running CRC-32.
#[derive(Clone, Copy)]
pub(crate) struct Crc32(u32);

impl Crc32 {
    pub(crate) fn new() -> Crc32 {
        Crc32(0)
    }

    /// CRC of one slice.
    pub(crate) fn of(data: &[u8]) -> u32 {
        let mut crc = Crc32::new();
        crc.update(data);
        crc.finish()
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0 = by::after(self.0, data);
    }

    pub(crate) fn finish(self) -> u32 {
        self.0
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use instructions as by;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use tables as by;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod instructions {
    /// The CRC of what has the CRC `before`, followed by `data`.
    pub(super) fn after(before: u32, data: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(before);
        hasher.update(data);
        hasher.finalize()
    }
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod tables;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (data, want) in [
            (&b""[..], 0),
            (b"a", 0xe8b7_be43),
            (b"123456789", 0xcbf4_3926),
            (b"The quick brown fox jumps over the lazy dog", 0x414f_a339),
        ] {
            assert_eq!(Crc32::of(data), want);
            assert_eq!(tables::after(0, data), want);
        }
    }

    /// By the definition, a bit at a time.
    fn slow(data: &[u8]) -> u32 {
        let mut crc = !0;
        for &b in data {
            crc ^= u32::from(b);
            for _ in 0..8 {
                crc = crc >> 1 ^ (if crc & 1 == 1 { 0xedb8_8320 } else { 0 });
            }
        }
        !crc
    }

    #[test]
    fn any_cut_gives_the_same() {
        let data: Vec<u8> = (0..=255u8).cycle().take(300).collect();
        for cut in 0..data.len() {
            let mut crc = Crc32::new();
            crc.update(&data[..cut]);
            crc.update(&data[cut..]);
            assert_eq!(crc.finish(), slow(&data));
            assert_eq!(
                tables::after(tables::after(0, &data[..cut]), &data[cut..]),
                slow(&data)
            );
        }
    }

    #[test]
    fn any_length_and_alignment_gives_the_same_either_way() {
        let mut seed = 12_345u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005);
            seed = seed.wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((seed >> 33) % below).expect("small")
        };
        let data: Vec<u8> = (0..70_000)
            .map(|_| u8::try_from(next(256)).expect("a byte"))
            .collect();
        for turn in 0..2000 {
            let start = next(64);
            // Most are as short as what is not folded, and about as long as a few steps.
            let len = next(if turn % 20 == 0 { 69_000 } else { 400 });
            let part = &data[start..start + len];
            let mut crc = Crc32::new();
            let mut rest = part;
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(1 + next(rest.len() as u64));
                crc.update(head);
                rest = tail;
            }
            let want = if len < 400 {
                slow(part)
            } else {
                tables::after(0, part)
            };
            assert_eq!(crc.finish(), want, "{len} bytes from {start}");
            assert_eq!(tables::after(0, part), want, "{len} bytes from {start}");
        }
    }
}
