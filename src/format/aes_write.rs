//! Writes an AES Crypt stream of version 2 (`format.md` 3), the one every Duplicati reads.
//!
//! The stream is valid only after [`AesWriter::finish`]; dropping the writer leaves a truncated one, which readers refuse.

use std::io::{self, Write};

use ring::hmac;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::rand;
use crate::base::secret::{Secret, wipe};
use crate::format::aes_key::{BLOCK_BYTES, CbcEncrypt, Iv, KEY_BYTES, Key};

/// Plain bytes encrypted at a time; a multiple of the block.
const BUFFER_BYTES: usize = 64 << 10;
/// The one extension: identifier, NUL, value.
const CREATED_BY: &[u8] = b"CREATED_BY\0duplet";

/// A `Write` that encrypts into `out`. Memory: 64 KiB.
pub(crate) struct AesWriter<W: Write> {
    out: W,
    cbc: CbcEncrypt,
    mac: hmac::Context,
    buffer: Vec<u8>,
}

/// Length in bytes of the stream that [`AesWriter`] makes of so many bytes.
pub(crate) fn stored_len(plain: u64) -> u64 {
    // Magic, version and a reserved octet; the extension with its length; the end of extensions; IV; sealed key; its HMAC.
    let head = 5 + 2 + CREATED_BY.len() + 2 + BLOCK_BYTES + BLOCK_BYTES + KEY_BYTES + 32;
    // How many bytes of the last block count, and the HMAC.
    let tail = 1 + 32;
    let blocks = plain.saturating_add(15) / 16;
    blocks
        .saturating_mul(16)
        .saturating_add((head + tail) as u64)
}

/// The random parts of a stream.
struct Seeds {
    iv1: Iv,
    iv2: Iv,
    key2: [u8; KEY_BYTES],
}

impl Drop for Seeds {
    fn drop(&mut self) {
        wipe(&mut self.key2);
        wipe(&mut self.iv2);
    }
}

impl<W: Write> AesWriter<W> {
    /// Draws IVs and the volume's key, and writes the header. A blank passphrase is refused. Costs 8192 SHA-256.
    pub(crate) fn new(out: W, passphrase: &Secret) -> Result<Self> {
        let mut seeds = Seeds {
            iv1: [0; BLOCK_BYTES],
            iv2: [0; BLOCK_BYTES],
            key2: [0; KEY_BYTES],
        };
        rand::fill(&mut seeds.iv1)?;
        rand::fill(&mut seeds.iv2)?;
        rand::fill(&mut seeds.key2)?;
        Self::with_seeds(out, passphrase, &seeds, Some(CREATED_BY))
    }

    fn with_seeds(
        mut out: W,
        passphrase: &Secret,
        seeds: &Seeds,
        extension: Option<&[u8]>,
    ) -> Result<Self> {
        if passphrase.is_blank() {
            return Err(Error::new(
                Kind::Passphrase,
                "the passphrase is empty or only white space",
            ));
        }
        let mut head = b"AES\x02\x00".to_vec();
        if let Some(body) = extension {
            let len = u16::try_from(body.len()).map_err(|_| Error::bug("extension length"))?;
            head.extend_from_slice(&len.to_be_bytes());
            head.extend_from_slice(body);
        }
        head.extend_from_slice(&[0, 0]);
        head.extend_from_slice(&seeds.iv1);
        let key1 = Key::from_sha256_rounds(&seeds.iv1, passphrase);
        let mut sealed = [0; BLOCK_BYTES + KEY_BYTES];
        let (iv2, key2) = sealed.split_at_mut(BLOCK_BYTES);
        iv2.copy_from_slice(&seeds.iv2);
        key2.copy_from_slice(&seeds.key2);
        CbcEncrypt::new(&key1, &seeds.iv1).encrypt(&mut sealed);
        head.extend_from_slice(&sealed);
        head.extend_from_slice(hmac::sign(&key1.for_hmac(), &sealed).as_ref());
        out.write_all(&head)
            .doing(|| "write an encrypted volume".to_owned())?;
        let key2 = Key::from_bytes(&seeds.key2);
        Ok(AesWriter {
            out,
            cbc: CbcEncrypt::new(&key2, &seeds.iv2),
            mac: hmac::Context::with_key(&key2.for_hmac()),
            buffer: Vec::with_capacity(BUFFER_BYTES),
        })
    }

    /// Encrypts and writes the whole blocks in the buffer, which must be all of it.
    fn drain(&mut self) -> io::Result<()> {
        self.cbc.encrypt(&mut self.buffer);
        self.mac.update(&self.buffer);
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Pads, authenticates, and gives the inner writer back.
    pub(crate) fn finish(mut self) -> Result<W> {
        let over = u8::try_from(self.buffer.len() % BLOCK_BYTES)
            .map_err(|_| Error::bug("a remainder of 16"))?;
        if over > 0 {
            // Duplicati since 2.0.9.101 wants the padding to hold its own length.
            let pad = 16u8.saturating_sub(over);
            self.buffer
                .resize(self.buffer.len().next_multiple_of(BLOCK_BYTES), pad);
        }
        let done = self.drain();
        let tag = self.mac.sign();
        let done = done
            .and_then(|()| self.out.write_all(&[over]))
            .and_then(|()| self.out.write_all(tag.as_ref()));
        done.doing(|| "write an encrypted volume".to_owned())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for AesWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.buffer.len() >= BUFFER_BYTES {
            self.drain()?;
        }
        let room = BUFFER_BYTES.saturating_sub(self.buffer.len());
        let part = data.get(..room).unwrap_or(data);
        self.buffer.extend_from_slice(part);
        Ok(part.len())
    }

    /// Does not write out a part of the buffer: blocks are whole until the end.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
pub(crate) mod tests {
    use super::*;
    use crate::base::bytes::hex;

    /// A stream with the fixed parts of `format.md` 22.
    pub(crate) fn fixed(plain: &[u8], passphrase: &Secret, extension: bool) -> Vec<u8> {
        let counting =
            |from: u8| -> Iv { std::array::from_fn(|i| from + u8::try_from(i).unwrap()) };
        let seeds = Seeds {
            iv1: counting(0),
            iv2: counting(16),
            key2: std::array::from_fn(|i| 32 + u8::try_from(i).unwrap()),
        };
        let extension = extension.then_some(CREATED_BY);
        let mut w = AesWriter::with_seeds(Vec::new(), passphrase, &seeds, extension).unwrap();
        w.write_all(plain).unwrap();
        w.finish().unwrap()
    }

    #[test]
    fn the_length_is_known_before() {
        let secret = Secret::new("any".to_owned());
        for plain in [0usize, 1, 15, 16, 17, 1000, 70_000] {
            let mut writer = AesWriter::new(Vec::new(), &secret).expect("begin");
            writer.write_all(&vec![7; plain]).expect("write");
            let stored = writer.finish().expect("end");
            assert_eq!(stored.len() as u64, stored_len(plain as u64), "{plain}");
        }
    }

    #[test]
    fn published_streams() {
        use crate::format::vectors::{PASS, V2, V2_16, V2_EMPTY};
        let pass = Secret::new(PASS.to_owned());
        assert_eq!(hex(&fixed(b"duplet test vector\n", &pass, true)), V2);
        assert_eq!(hex(&fixed(b"", &pass, false)), V2_EMPTY);
        assert_eq!(hex(&fixed(b"0123456789abcdef", &pass, false)), V2_16);
    }

    #[test]
    fn fresh_each_time_and_blank_refused() {
        let pass = Secret::new("x".to_owned());
        let one = AesWriter::new(Vec::new(), &pass).unwrap().finish().unwrap();
        let two = AesWriter::new(Vec::new(), &pass).unwrap().finish().unwrap();
        assert_eq!(one.len(), two.len());
        assert_ne!(one[24..40], two[24..40]);
        for blank in ["", "  ", "\t\n"] {
            let e = AesWriter::new(Vec::new(), &Secret::new(blank.to_owned()))
                .err()
                .unwrap();
            assert_eq!(e.kind(), Kind::Passphrase);
        }
    }
}
