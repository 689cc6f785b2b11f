//! Keys of AES Crypt streams: stretching a passphrase (`format.md` 3.2), and CBC over the AES-256 block cipher.
//!
//! Keys are wiped when dropped. Does not know the layout of a stream.

use std::num::NonZeroU32;

use aes::cipher::{
    Array, Block, BlockCipherDecrypt, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockCipherEncrypt, BlockSizeUser, KeyInit,
};
use aes::{Aes256Dec, Aes256Enc};
use ring::{digest, hmac, pbkdf2};

use crate::base::secret::{Secret, wipe};

/// Bytes in an AES block, an IV, and the half of an AES-256 key.
pub(crate) const BLOCK_BYTES: usize = 16;
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes in a HMAC-SHA256 tag.
pub(crate) const TAG_BYTES: usize = 32;
/// Rounds of SHA-256 in versions 0 to 2.
const SHA_ROUNDS: u32 = 8192;
/// Blocks decrypted at a time: their ciphertext stays in the first-level cache.
const CHUNK_BLOCKS: usize = 128;

pub(crate) type Iv = [u8; BLOCK_BYTES];

/// An AES-256 key, wiped on drop.
pub(crate) struct Key([u8; KEY_BYTES]);

impl Key {
    /// The key's bytes; the caller wipes its own copy.
    pub(crate) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Key {
        Key(*bytes)
    }

    /// Versions 0 to 2: 8192 rounds of SHA-256 over the passphrase as UTF-16LE.
    pub(crate) fn from_sha256_rounds(iv: &Iv, passphrase: &Secret) -> Key {
        let text = passphrase.reveal();
        let mut buffer = Vec::with_capacity(KEY_BYTES.saturating_add(text.len().saturating_mul(2)));
        buffer.extend_from_slice(iv);
        buffer.extend_from_slice(&[0; BLOCK_BYTES]);
        buffer.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        let mut key = Key([0; KEY_BYTES]);
        for _ in 0..SHA_ROUNDS {
            key.0
                .copy_from_slice(digest::digest(&digest::SHA256, &buffer).as_ref());
            if let Some(head) = buffer.get_mut(..KEY_BYTES) {
                head.copy_from_slice(&key.0);
            }
        }
        wipe(&mut buffer);
        key
    }

    /// Version 3: PBKDF2-HMAC-SHA512 over the passphrase as UTF-8.
    pub(crate) fn from_pbkdf2(iv: &Iv, passphrase: &Secret, iterations: NonZeroU32) -> Key {
        let mut key = Key([0; KEY_BYTES]);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA512,
            iterations,
            iv,
            passphrase.reveal().as_bytes(),
            &mut key.0,
        );
        key
    }

    /// The key for HMAC-SHA256 with the same bytes.
    pub(crate) fn for_hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// True when both tags are equal; the time taken does not depend on where they differ.
pub(crate) fn same_tag(computed: &hmac::Tag, given: &[u8], key: &hmac::Key) -> bool {
    // ring compares only what it signs: sign both once more.
    let again = hmac::sign(key, computed.as_ref());
    hmac::verify(key, given, again.as_ref()).is_ok()
}

/// CBC encryption that carries its chain from call to call.
pub(crate) struct CbcEncrypt {
    cipher: Aes256Enc,
    chain: Block<Aes256Enc>,
}

impl CbcEncrypt {
    pub(crate) fn new(key: &Key, iv: &Iv) -> CbcEncrypt {
        CbcEncrypt {
            cipher: Aes256Enc::new(&Array(key.0)),
            chain: Array(*iv),
        }
    }

    /// Encrypts the whole blocks of `data` in place; a rest of less than a block is left as it is.
    pub(crate) fn encrypt(&mut self, data: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        // One dispatch on the processor's features for the whole slice, not one a block.
        self.cipher.encrypt_with_backend(Chain {
            blocks,
            chain: &mut self.chain,
        });
    }
}

struct Chain<'a> {
    blocks: &'a mut [Block<Aes256Enc>],
    chain: &'a mut Block<Aes256Enc>,
}

impl BlockSizeUser for Chain<'_> {
    type BlockSize = <Aes256Enc as BlockSizeUser>::BlockSize;
}

impl BlockCipherEncClosure for Chain<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = Self::BlockSize>>(self, backend: &B) {
        let mut chain = *self.chain;
        for block in self.blocks {
            xor(&mut chain, block);
            backend.encrypt_block_inplace(&mut chain);
            *block = chain;
        }
        *self.chain = chain;
    }
}

/// CBC decryption that carries its chain from call to call.
pub(crate) struct CbcDecrypt {
    cipher: Aes256Dec,
    chain: Block<Aes256Dec>,
    ahead: Box<[Block<Aes256Dec>; CHUNK_BLOCKS]>,
}

impl CbcDecrypt {
    pub(crate) fn new(key: &Key, iv: &Iv) -> CbcDecrypt {
        CbcDecrypt {
            cipher: Aes256Dec::new(&Array(key.0)),
            chain: Array(*iv),
            ahead: Box::new([Array([0; BLOCK_BYTES]); CHUNK_BLOCKS]),
        }
    }

    /// Decrypts the whole blocks of `data` in place; a rest of less than a block is left as it is.
    pub(crate) fn decrypt(&mut self, data: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        for chunk in blocks.chunks_mut(CHUNK_BLOCKS) {
            let Some(ahead) = self.ahead.get_mut(..chunk.len()) else {
                return;
            };
            ahead.copy_from_slice(chunk);
            // Independent blocks: the cipher runs several at once.
            self.cipher.decrypt_blocks(chunk);
            let before = std::iter::once(&self.chain).chain(ahead.iter());
            for (block, cipher) in chunk.iter_mut().zip(before) {
                xor(block, cipher);
            }
            if let Some(last) = ahead.last() {
                self.chain = *last;
            }
        }
    }
}

#[inline(always)]
fn xor(into: &mut Block<Aes256Enc>, other: &Block<Aes256Enc>) {
    into.0 = (u128::from_ne_bytes(into.0) ^ u128::from_ne_bytes(other.0)).to_ne_bytes();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::base::bytes::{hex, hex_decode};

    fn counting<const N: usize>(from: u8) -> [u8; N] {
        std::array::from_fn(|i| from + u8::try_from(i).unwrap())
    }

    /// `format.md` 22.
    #[test]
    fn published_keys() {
        let pass = Secret::new("p\u{e4}ss\u{8a9e}\u{1f511}".to_owned());
        assert_eq!(
            hex(Key::from_sha256_rounds(&counting(0), &pass).bytes()),
            "e4be0670206844bbdd7d13387817b5fa908c01699644be0a54beb4f288f4d385"
        );
        let thousand = NonZeroU32::new(1000).unwrap();
        assert_eq!(
            hex(Key::from_pbkdf2(&counting(0), &pass, thousand).bytes()),
            "59f992a28aaa48cbac3f77526e03fa8de09ee6dc1a3b6123b6498a9e8c83b07a"
        );
    }

    /// NIST SP 800-38A F.2.5 and F.2.6.
    #[test]
    fn cbc_of_the_standard() {
        let key: [u8; 32] =
            hex_decode(b"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
                .unwrap()
                .try_into()
                .unwrap();
        let key = Key::from_bytes(&key);
        let plain = hex_decode(
            b"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        )
        .unwrap();
        let mut data = plain.clone();
        CbcEncrypt::new(&key, &counting(0)).encrypt(&mut data);
        assert_eq!(
            hex(&data),
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"
        );
        CbcDecrypt::new(&key, &counting(0)).decrypt(&mut data);
        assert_eq!(data, plain);
    }

    #[test]
    fn chains_go_on_across_calls_and_chunks() {
        let key = Key::from_bytes(&counting(9));
        let plain: Vec<u8> = (0..=255)
            .cycle()
            .take(BLOCK_BYTES * (3 * CHUNK_BLOCKS + 5))
            .collect();
        let mut whole = plain.clone();
        CbcEncrypt::new(&key, &counting(1)).encrypt(&mut whole);
        for step in [1, 7, CHUNK_BLOCKS, CHUNK_BLOCKS + 1] {
            let mut parts = plain.clone();
            let mut enc = CbcEncrypt::new(&key, &counting(1));
            parts
                .chunks_mut(step * BLOCK_BYTES)
                .for_each(|c| enc.encrypt(c));
            assert!(parts == whole);
            let mut dec = CbcDecrypt::new(&key, &counting(1));
            parts
                .chunks_mut(step * BLOCK_BYTES)
                .for_each(|c| dec.decrypt(c));
            assert!(parts == plain);
        }
        let mut short = [5; 15];
        CbcDecrypt::new(&key, &counting(1)).decrypt(&mut short);
        assert_eq!(short, [5; 15]);
    }
}
