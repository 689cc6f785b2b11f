//! Any part of the plain text of an AES Crypt stream (`format.md` 3), out of a part of its ciphertext: in CBC mode the block of
//! ciphertext before a block is its initial vector.
//!
//! Nothing read this way is authenticated, for the HMAC is that of the whole. It is to be believed only where something else
//! proves it, as the hash of a block does.

use std::io::{self, Read};

use crate::base::error::{Error, Result};
use crate::base::read_at::ReadAt;
use crate::base::secret::Secret;
use crate::format::aes_key::{BLOCK_BYTES, CbcDecrypt, Iv, Key};
use crate::format::aes_read::{Head, Layout, Stretch, cut_short, pkcs7, short_by, stretch_of};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Ciphertext decrypted at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A stream whose head was read: where its ciphertext is, and the key. The key is wiped when dropped.
pub(crate) struct AesSlice {
    key: Key,
    iv: Iv,
    /// Bytes before the ciphertext.
    head: u64,
    /// Plain bytes.
    len: u64,
}

impl AesSlice {
    /// Reads the head, up to the HMAC of the keys, and the last bytes, which tell the length. Cost: stretching the passphrase.
    ///
    /// `Passphrase`: the keys do not authenticate. `Damaged`: no AES Crypt file, or its length is not that of one.
    /// `Unsupported`: a version above 3.
    pub(crate) fn open(stored: &dyn ReadAt, passphrase: &Secret) -> Result<AesSlice> {
        AesSlice::open_with(stored, &mut *stretch_of(passphrase)?)
    }

    /// As [`AesSlice::open`] without the last bytes: the stream counts as up to 16 bytes longer than it is.
    pub(crate) fn open_head(stored: &dyn ReadAt, passphrase: &Secret) -> Result<AesSlice> {
        AesSlice::head_with(stored, &mut *stretch_of(passphrase)?).map(|(slice, _)| slice)
    }

    /// As [`AesSlice::open`] with the costly part of the key given by the caller.
    pub(crate) fn open_with(stored: &dyn ReadAt, stretch: &mut Stretch<'_>) -> Result<AesSlice> {
        let (mut slice, layout) = AesSlice::head_with(stored, stretch)?;
        let (before, content) = (slice.head, slice.len);
        let padding = match layout {
            Layout::V0 { over } => short_by(over),
            Layout::V12 => {
                let mut over = [0];
                stored.read_at(&mut over, before.saturating_add(content))?;
                short_by(over[0])
            }
            Layout::V3 => {
                let mut last = [0; BLOCK_BYTES];
                let at = content.checked_sub(BLOCK).ok_or_else(cut_short)?;
                slice.decrypt(stored, &mut last, at)?;
                pkcs7(&last)?
            }
        };
        slice.len = content.saturating_sub(padding as u64);
        Ok(slice)
    }

    fn head_with(stored: &dyn ReadAt, stretch: &mut Stretch<'_>) -> Result<(AesSlice, Layout)> {
        let total = stored.len()?;
        let mut front = Front {
            stored,
            at: 0,
            len: total,
        };
        let head = Head::read(&mut front, stretch)?;
        if let Some(refusal) = head.refusal {
            return Err(refusal);
        }
        let before = front.at;
        let content = total
            .checked_sub(before)
            .and_then(|n| n.checked_sub(head.layout.tail() as u64))
            .filter(|n| n.is_multiple_of(BLOCK))
            .ok_or_else(cut_short)?;
        let slice = AesSlice {
            key: head.key,
            iv: head.iv,
            head: before,
            len: content,
        };
        Ok((slice, head.layout))
    }

    /// Plain bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes of the stored file that the plain bytes `at..at + len` are decrypted from: first and end.
    pub(crate) fn span(&self, at: u64, len: u64) -> (u64, u64) {
        let first = (at / BLOCK).saturating_sub(1) * BLOCK;
        let end = at.saturating_add(len).div_ceil(BLOCK).saturating_mul(BLOCK);
        (
            self.head.saturating_add(first),
            self.head.saturating_add(end),
        )
    }

    /// Fills `buf` with the plain bytes from `at`. `Damaged` when they do not all exist. Memory: 64 KiB.
    pub(crate) fn decrypt(&self, stored: &dyn ReadAt, buf: &mut [u8], at: u64) -> Result<()> {
        let end = at.checked_add(buf.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(cut_short());
        }
        let mut at = at;
        let mut rest = buf;
        while !rest.is_empty() {
            let skip = usize::try_from(at % BLOCK).map_err(|_| Error::bug("a rest below 16"))?;
            let now = rest.len().min(PIECE_BYTES - skip);
            let (part, later) = rest.split_at_mut(now);
            self.piece(stored, part, at, skip)?;
            at += now as u64;
            rest = later;
        }
        Ok(())
    }

    /// A part of at most 64 KiB, which begins `skip` bytes into a block.
    fn piece(&self, stored: &dyn ReadAt, part: &mut [u8], at: u64, skip: usize) -> Result<()> {
        let (from, end) = self.span(at, part.len() as u64);
        let bytes = usize::try_from(end.saturating_sub(from));
        let mut data = vec![0; bytes.map_err(|_| Error::bug("a piece is small"))?];
        stored.read_at(&mut data, from)?;
        let mut iv = self.iv;
        let mut blocks = data.as_mut_slice();
        if at >= BLOCK {
            let (before, behind) = blocks.split_at_mut(BLOCK_BYTES);
            iv.copy_from_slice(before);
            blocks = behind;
        }
        CbcDecrypt::new(&self.key, &iv).decrypt(blocks);
        let plain = blocks.get(skip..).and_then(|b| b.get(..part.len()));
        part.copy_from_slice(plain.ok_or_else(|| Error::bug("a piece holds its part"))?);
        Ok(())
    }
}

/// A stored file and its slice, read as the plain text.
pub(crate) struct Decrypted<'a> {
    pub(crate) stored: &'a dyn ReadAt,
    pub(crate) slice: &'a AesSlice,
}

impl ReadAt for Decrypted<'_> {
    fn len(&self) -> Result<u64> {
        Ok(self.slice.len())
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        self.slice.decrypt(self.stored, buf, at)
    }
}

/// Reads a file from its start.
struct Front<'a> {
    stored: &'a dyn ReadAt,
    at: u64,
    len: u64,
}

impl Read for Front<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.at);
        let n = usize::try_from(left).map_or(buf.len(), |n| n.min(buf.len()));
        let room = buf.get_mut(..n).unwrap_or_default();
        self.stored.read_at(room, self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests;
