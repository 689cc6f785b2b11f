//! QuickXorHash, the digest that the service tells of a file
//! (learn.microsoft.com/en-us/onedrive/developer/code-snippets/quickxorhash): each byte is turned by 11 bits more than the one
//! before it, within 160 bits, and all are added without carry; then the length.

use crate::base::bytes::base64;
use crate::base::fault::{Done, Fault};
use crate::dest::{Body, look_at};

const BITS: usize = 160;
const SHIFT: usize = 11;

/// The digest of a whole file, as the service writes it.
pub(super) fn of(body: &mut dyn Body) -> Done<String> {
    let (len, mut cells, mut at) = (body.len(), [0; BITS], 0);
    look_at(body, 0, len, &mut |part| add(&mut cells, &mut at, part)).map_err(Fault::local)?;
    Ok(finish(&cells, len))
}

/// Bytes that are so far apart as there are cells are turned equally far.
fn add(cells: &mut [u8; BITS], at: &mut usize, part: &[u8]) {
    for byte in part {
        cells[*at] ^= byte;
        *at = (*at + 1) % BITS;
    }
}

fn finish(cells: &[u8; BITS], len: u64) -> String {
    let mut out = [0; BITS / 8];
    for (i, cell) in cells.iter().enumerate() {
        let bit = i * SHIFT % BITS;
        let [low, high] = (u16::from(*cell) << (bit % 8)).to_le_bytes();
        out[bit / 8] ^= low;
        out[(bit / 8 + 1) % out.len()] ^= high;
    }
    for (to, byte) in out[12..].iter_mut().zip(len.to_le_bytes()) {
        *to ^= byte;
    }
    base64(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 'rclone hashsum quickxor --base64' has them.
    #[test]
    fn digests_of_known_texts() {
        let long: Vec<u8> = (0..100_003usize)
            .map(|i| (i * 7 + i / 256).to_le_bytes()[0])
            .collect();
        for (text, want) in [
            (&b""[..], "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            (b"a", "YQAAAAAAAAAAAAAAAQAAAAAAAAA="),
            (b"hello", "aCgDG9jwBgAAAAAABQAAAAAAAAA="),
            (&[b'x'; 1000], "RS960Yte9KIXvehFx3nR8573vOc="),
            (&long, "ltfqIF7AUGxzOxkqo8CiytRojTg="),
        ] {
            let (mut cells, mut at) = ([0; BITS], 0);
            for part in text.chunks(61) {
                add(&mut cells, &mut at, part);
            }
            assert_eq!(finish(&cells, text.len() as u64), want);
        }
    }
}
