//! CRC-32 sixteen bytes a step from tables (16 KiB) that the first use builds: in the program file they would take as much.

use std::sync::OnceLock;

/// Reflected polynomial of ISO 3309.
const POLYNOMIAL: u32 = 0xedb8_8320;

static TABLES: OnceLock<Box<Tables>> = OnceLock::new();

/// `[k][b]`: the CRC of byte `b` followed by `k` zeros.
type Tables = [[u32; 256]; 16];

#[allow(clippy::cast_possible_truncation, reason = "0 to 255")]
#[allow(clippy::indexing_slicing, reason = "constant bounds")]
fn tables() -> Box<Tables> {
    let mut out = Box::new([[0; 256]; 16]);
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        out[0][i] = crc;
        i += 1;
    }
    let mut k = 1;
    while k < 16 {
        let mut i = 0;
        while i < 256 {
            let before = out[k - 1][i];
            out[k][i] = before >> 8 ^ out[0][(before & 0xff) as usize];
            i += 1;
        }
        k += 1;
    }
    out
}

/// The CRC of what has the CRC `before`, followed by `data`.
#[allow(
    clippy::indexing_slicing,
    reason = "arrays of 256 and 16 under bytes and constants"
)]
pub(super) fn after(before: u32, data: &[u8]) -> u32 {
    let t = TABLES.get_or_init(tables);
    let (chunks, rest) = data.as_chunks::<16>();
    let mut crc = !before;
    for c in chunks {
        let mut bytes = *c;
        for (byte, crc) in bytes.iter_mut().zip(crc.to_le_bytes()) {
            *byte ^= crc;
        }
        crc = 0;
        for (&byte, table) in bytes.iter().zip(t.iter().rev()) {
            crc ^= table[usize::from(byte)];
        }
    }
    for &b in rest {
        let [low, ..] = crc.to_le_bytes();
        crc = crc >> 8 ^ t[0][usize::from(low ^ b)];
    }
    !crc
}
