//! Reads AES Crypt streams of versions 0 to 3 (`format.md` 3), in constant memory.
//!
//! What was written to the output is to be believed only when [`decrypt`] returned `Ok`: the stream is authenticated by its
//! last bytes. Does not know what a volume is; file names belong in the caller's error text.

use std::io::{self, Read, Write};
use std::num::NonZeroU32;

use ring::hmac;

use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::secret::{Secret, wipe};
use crate::format::aes_key::{BLOCK_BYTES, CbcDecrypt, Iv, KEY_BYTES, Key, TAG_BYTES, same_tag};

/// Ciphertext decrypted at a time, besides what is held back.
const BUFFER_BYTES: usize = 64 << 10;
/// All extensions of a stream together; Duplicati writes about 300 bytes.
const MAX_EXTENSION_BYTES: usize = 1 << 20;
/// Upper bound of the reference implementation.
const MAX_ITERATIONS: u32 = 5_000_000;
const SEALED_BYTES: usize = BLOCK_BYTES + KEY_BYTES;

/// Decrypts all of `src` to `into`; the number of plain bytes written. Memory: 64 KiB.
///
/// `Passphrase`: the key block does not authenticate (version 0 has none: there it is the whole stream). `Damaged`: not AES
/// Crypt, cut short, or the content does not authenticate. `Unsupported`: a version above 3.
pub(crate) fn decrypt(
    src: &mut dyn Read,
    passphrase: &Secret,
    into: &mut dyn Write,
) -> Result<u64> {
    let head = Head::read(src, passphrase)?;
    let key = head.key.for_hmac();
    let body = Body {
        layout: head.layout,
        cbc: CbcDecrypt::new(&head.key, &head.iv),
        mac: hmac::Context::with_key(&key),
        key,
        written: 0,
    };
    body.copy(src, into)
}

/// What differs after the header.
#[derive(Clone, Copy)]
enum Layout {
    /// Length modulo 16 from the header.
    V0 { over: u8 },
    /// Length modulo 16 behind the ciphertext.
    V12,
    /// PKCS#7.
    V3,
}

impl Layout {
    /// Bytes behind the ciphertext.
    fn tail(self) -> usize {
        match self {
            Layout::V0 { .. } | Layout::V3 => TAG_BYTES,
            Layout::V12 => TAG_BYTES + 1,
        }
    }
}

struct Head {
    layout: Layout,
    iv: Iv,
    key: Key,
}

impl Head {
    fn read(src: &mut dyn Read, passphrase: &Secret) -> Result<Head> {
        if passphrase.is_blank() {
            return Err(Error::new(
                Kind::Passphrase,
                "the passphrase is empty or only white space",
            ));
        }
        let magic: [u8; 3] = array(src)?;
        if &magic != b"AES" {
            return Err(Error::damaged("not an AES Crypt file"));
        }
        let [version, reserved] = array(src)?;
        if version > 3 {
            return Err(Error::new(
                Kind::Unsupported,
                format!("uses AES Crypt version {version}"),
            )
            .hint("a newer release of this program may read it"));
        }
        if version == 0 {
            let iv = array(src)?;
            return Ok(Head {
                layout: Layout::V0 {
                    over: reserved & 15,
                },
                key: Key::from_sha256_rounds(&iv, passphrase),
                iv,
            });
        }
        if version >= 2 {
            skip_extensions(src)?;
        }
        let iterations = if version == 3 {
            let given = u32::from_be_bytes(array(src)?);
            let known = NonZeroU32::new(given).filter(|n| n.get() <= MAX_ITERATIONS);
            Some(known.ok_or_else(|| {
                Error::damaged(format!("the header names {given} key iterations"))
            })?)
        } else {
            None
        };
        let iv1: Iv = array(src)?;
        let mut sealed: [u8; SEALED_BYTES] = array(src)?;
        let tag: [u8; TAG_BYTES] = array(src)?;
        let outer = match iterations {
            Some(n) => Key::from_pbkdf2(&iv1, passphrase, n),
            None => Key::from_sha256_rounds(&iv1, passphrase),
        };
        let mut signed = sealed.to_vec();
        if version == 3 {
            signed.push(3);
        }
        if hmac::verify(&outer.for_hmac(), &signed, &tag).is_err() {
            return Err(Error::new(
                Kind::Passphrase,
                "wrong passphrase or damaged header",
            ));
        }
        CbcDecrypt::new(&outer, &iv1).decrypt(&mut sealed);
        let mut iv = [0; BLOCK_BYTES];
        let mut key = [0; KEY_BYTES];
        let (left, right) = sealed.split_at(BLOCK_BYTES);
        iv.copy_from_slice(left);
        key.copy_from_slice(right);
        let head = Head {
            layout: if version == 3 {
                Layout::V3
            } else {
                Layout::V12
            },
            iv,
            key: Key::from_bytes(&key),
        };
        wipe(&mut sealed);
        wipe(&mut key);
        Ok(head)
    }
}

/// Extensions are not authenticated: all are skipped, whatever they hold.
fn skip_extensions(src: &mut dyn Read) -> Result<()> {
    let mut left = MAX_EXTENSION_BYTES;
    loop {
        let len = usize::from(u16::from_be_bytes(array(src)?));
        if len == 0 {
            return Ok(());
        }
        left = left
            .checked_sub(len)
            .ok_or_else(|| Error::damaged("the header extensions are longer than 1 MiB"))?;
        let want = len as u64;
        let got = io::copy(&mut (&mut *src).take(want), &mut io::sink());
        if got.map_err(unwrap_io)? != want {
            return Err(cut_short());
        }
    }
}

struct Body {
    layout: Layout,
    cbc: CbcDecrypt,
    mac: hmac::Context,
    key: hmac::Key,
    written: u64,
}

impl Body {
    fn copy(mut self, src: &mut dyn Read, into: &mut dyn Write) -> Result<u64> {
        let tail = self.layout.tail();
        // One block more than the tail is held back: the last block's padding is known only at the end.
        let held = tail.saturating_add(BLOCK_BYTES);
        let mut buffer = vec![0; BUFFER_BYTES.saturating_add(held)];
        let mut filled = 0;
        loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let n = fill(src, room)?;
            let at_end = n < room.len();
            filled = filled.saturating_add(n);
            if at_end {
                break;
            }
            let Some(whole) = buffer.get_mut(..BUFFER_BYTES) else {
                return Err(Error::bug("a full buffer"));
            };
            self.open(whole);
            self.put(into, whole)?;
            buffer.copy_within(BUFFER_BYTES..filled, 0);
            filled = held;
        }
        let content = filled.checked_sub(tail).ok_or_else(cut_short)?;
        if content % BLOCK_BYTES != 0 {
            return Err(cut_short());
        }
        let (last, end) = buffer
            .get_mut(..filled)
            .and_then(|all| all.split_at_mut_checked(content))
            .ok_or_else(cut_short)?;
        self.open(last);
        let tag_at = end.len().saturating_sub(TAG_BYTES);
        let (over, tag) = end.split_at(tag_at);
        if !same_tag(&self.mac.clone().sign(), tag, &self.key) {
            return Err(match self.layout {
                Layout::V0 { .. } => Error::new(
                    Kind::Passphrase,
                    "wrong passphrase or damaged volume (this old kind cannot tell which)",
                ),
                _ => Error::damaged("the content does not authenticate"),
            });
        }
        let padding = match self.layout {
            Layout::V0 { over } => short_by(over),
            Layout::V12 => short_by(over.first().copied().unwrap_or(0)),
            Layout::V3 => pkcs7(last)?,
        };
        let keep = last.len().saturating_sub(padding);
        self.put(into, last.get(..keep).unwrap_or_default())?;
        Ok(self.written)
    }

    fn open(&mut self, data: &mut [u8]) {
        self.mac.update(data);
        self.cbc.decrypt(data);
    }

    fn put(&mut self, into: &mut dyn Write, plain: &[u8]) -> Result<()> {
        into.write_all(plain)
            .doing(|| "write a decrypted volume".to_owned())?;
        self.written = self.written.saturating_add(plain.len() as u64);
        Ok(())
    }
}

/// Bytes to cut from the last block; only the low four bits count (`format.md` 3.3).
fn short_by(over: u8) -> usize {
    match usize::from(over & 15) {
        0 => 0,
        n => BLOCK_BYTES.saturating_sub(n),
    }
}

fn pkcs7(data: &[u8]) -> Result<usize> {
    let pad = data.last().copied().unwrap_or(0);
    let n = usize::from(pad);
    let valid = (1..=BLOCK_BYTES).contains(&n)
        && data.len() >= n
        && data.iter().rev().take(n).all(|&b| b == pad);
    if valid {
        Ok(n)
    } else {
        Err(Error::damaged("the padding of the content is not valid"))
    }
}

fn cut_short() -> Error {
    Error::damaged("the encrypted file is cut short")
}

fn array<const N: usize>(src: &mut dyn Read) -> Result<[u8; N]> {
    let mut out = [0; N];
    if fill(src, &mut out)? < N {
        return Err(cut_short());
    }
    Ok(out)
}

/// Reads until `out` is full or the source ends.
fn fill(src: &mut dyn Read, out: &mut [u8]) -> Result<usize> {
    let mut filled = 0usize;
    while let Some(room) = out.get_mut(filled..).filter(|r| !r.is_empty()) {
        match src.read(room) {
            Ok(0) => break,
            Ok(n) => filled = filled.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unwrap_io(e).doing("read an encrypted volume")),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
pub(crate) mod tests {
    use super::*;
    use crate::base::bytes::hex_decode;
    use crate::format::aes_write::{self, AesWriter};

    pub(crate) const PASS: &str = "p\u{e4}ss\u{8a9e}\u{1f511}";
    /// v0 (85)
    pub(crate) const V0: &str = "4145530003000102030405060708090a0b0c0d0e0f452fc70a289c69b5998da16e846cc65636901489dab4e209bcd58d77fafcd4f30d18ca5886c5abee3661784a16892b7907d97a1e0df136ffaf68b835294874b4";
    /// v1 (166)
    pub(crate) const V1: &str = "4145530100000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69810734212b53a50f2f26594f9596da5cffa481350704ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e5a40c07f0f0062cc951b80e6f39dd679420e41abf77560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb47463031ce425fe3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049683c381578dc16";
    /// v2 (187)
    pub(crate) const V2: &str = "41455302000011435245415445445f4259006475706c65740000000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69810734212b53a50f2f26594f9596da5cffa481350704ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e5a40c07f0f0062cc951b80e6f39dd679420e41abf77560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb47463031ce425fe3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049683c381578dc16";
    /// v3 (190, iterations 1000 = 000003e8)
    pub(crate) const V3: &str = "41455303000011435245415445445f4259006475706c65740000000003e8000102030405060708090a0b0c0d0e0f56a4d95cc3d02ca3b72c5c4431217e42e4ae82cc9bd8690912e920397f950805e393464f3fc573e1865beba1a64fcb9bfacfc806121f8b597494fcc8c15f5b6306f044415e37a10005deb33be02ed57b420e41abf77560f895f880b37f38c8e47f8177d386bda5c88ffd0b985bb474631ce425fe3001cb1cd9624f3b1cd58c4e1bf2eaf82c71f70049683c381578dc16";
    /// v2, empty plaintext, no extension (136)
    pub(crate) const V2_EMPTY: &str = "41455302000000000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69810734212b53a50f2f26594f9596da5cffa481350704ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e5a40c07f0f0062cc951b80e6f39dd67900f49240b78aa90e53f46106c3481e377e19696e777328b1cd6ec6061a0bd868a9";
    /// v2, plaintext 0123456789abcdef (16 octets, mod octet 0), no extension (152)
    pub(crate) const V2_16: &str = "41455302000000000102030405060708090a0b0c0d0e0fa9da652565072dabab4b69810734212b53a50f2f26594f9596da5cffa481350704ba42364017e1f2e88651b832e7768c91eb8fad86387e35aee89f693ba6012e5a40c07f0f0062cc951b80e6f39dd679d16529e40336e27aaffca620b6603bc600eaaf1066349b37c6de82b4131e97cfb6cfbd446ef17f08ca0f3364747132e266";
    /// v3, empty plaintext, no extension, 1000 iterations (155)
    pub(crate) const V3_EMPTY: &str = "41455303000000000003e8000102030405060708090a0b0c0d0e0f56a4d95cc3d02ca3b72c5c4431217e42e4ae82cc9bd8690912e920397f950805e393464f3fc573e1865beba1a64fcb9bfacfc806121f8b597494fcc8c15f5b6306f044415e37a10005deb33be02ed57ba00f1ede67c6f803526f2e3c4ea929bcd3b6dc771a3390f51967449bea3a0365ca2e59cfd31e9c9a74884a002c983944";

    const ALL: [(&str, &[u8]); 7] = [
        (V0, b"duplet test vector\n"),
        (V1, b"duplet test vector\n"),
        (V2, b"duplet test vector\n"),
        (V3, b"duplet test vector\n"),
        (V2_EMPTY, b""),
        (V2_16, b"0123456789abcdef"),
        (V3_EMPTY, b""),
    ];

    fn open(raw: &[u8], pass: &str) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let n = decrypt(&mut &*raw, &Secret::new(pass.to_owned()), &mut out)?;
        assert_eq!(n, out.len() as u64);
        Ok(out)
    }

    #[test]
    fn published_streams() {
        for (hex, plain) in ALL {
            assert_eq!(
                open(&hex_decode(hex.as_bytes()).unwrap(), PASS).unwrap(),
                plain
            );
        }
    }

    #[test]
    fn wrong_passphrase_is_named() {
        for (hex, _) in ALL {
            let e = open(&hex_decode(hex.as_bytes()).unwrap(), "other").unwrap_err();
            assert_eq!(e.kind(), Kind::Passphrase, "{e}");
            assert!(
                e.to_string().starts_with("wrong passphrase or damaged"),
                "{e}"
            );
            let e = open(&hex_decode(hex.as_bytes()).unwrap(), " ").unwrap_err();
            assert_eq!(e.kind(), Kind::Passphrase, "{e}");
        }
    }

    #[test]
    fn every_cut_is_refused() {
        for (hex, _) in ALL {
            let raw = hex_decode(hex.as_bytes()).unwrap();
            for cut in 0..raw.len() {
                let e = open(&raw[..cut], PASS).unwrap_err();
                assert!(
                    matches!(e.kind(), Kind::Damaged | Kind::Passphrase),
                    "{cut}: {e}"
                );
            }
            let longer = [raw.as_slice(), &[0]].concat();
            assert!(open(&longer, PASS).is_err());
        }
    }

    #[test]
    fn every_flipped_byte_is_refused_or_harmless() {
        for (hex, plain) in ALL {
            let raw = hex_decode(hex.as_bytes()).unwrap();
            let mut harmless = 0;
            for at in 0..raw.len() {
                // A flipped iteration count is slow, not interesting: only its low byte.
                let bit = if raw[3] == 3 && at < raw.len() - 140 {
                    1
                } else {
                    0xff
                };
                let mut copy = raw.clone();
                copy[at] ^= bit;
                match open(&copy, PASS) {
                    Ok(out) if out == plain => harmless += 1,
                    // The length octet is not authenticated in versions 0 to 2.
                    Ok(out) => {
                        let octet = if raw[3] == 0 { 4 } else { raw.len() - 33 };
                        assert!(raw[3] < 3 && at == octet, "{at}");
                        assert_eq!(out.len().div_ceil(16), plain.len().div_ceil(16));
                    }
                    Err(e) => assert!(!e.to_string().is_empty()),
                }
            }
            assert!(harmless <= 20, "{harmless}");
        }
    }

    #[test]
    fn tolerances() {
        // R21: several extensions, no NUL in a body, high bits in the length octet, reserved octet not 0.
        let raw = hex_decode(V2_EMPTY.as_bytes()).unwrap();
        let mut with = b"AES\x02\x07\x00\x01x\x00\x03a\x00b\x00\x80".to_vec();
        with.extend_from_slice(&[0; 128]);
        with.extend_from_slice(&raw[5..]);
        assert_eq!(open(&with, PASS).unwrap(), b"");
        let mut raw = hex_decode(V2.as_bytes()).unwrap();
        let octet = raw.len() - 33;
        assert_eq!(raw[octet], 3);
        raw[octet] = 0xf3;
        assert_eq!(open(&raw, PASS).unwrap(), b"duplet test vector\n");
        // The octet is ignored when there is no content.
        let mut raw = hex_decode(V2_EMPTY.as_bytes()).unwrap();
        let octet = raw.len() - 33;
        raw[octet] = 5;
        assert_eq!(open(&raw, PASS).unwrap(), b"");
    }

    #[test]
    fn foreign_files_and_bounds() {
        for (raw, kind) in [
            (&b""[..], Kind::Damaged),
            (b"PK\x03\x04 and so on", Kind::Damaged),
            (b"AES\x04\x00\x00\x00", Kind::Unsupported),
            (b"AES\x03\x00\x00\x00\x00\x00\x00\x00", Kind::Damaged),
            (b"AES\x03\x00\x00\x00\xff\xff\xff\xff", Kind::Damaged),
        ] {
            assert_eq!(open(raw, PASS).unwrap_err().kind(), kind);
        }
        let mut endless = b"AES\x02\x00".to_vec();
        for _ in 0..17 {
            endless.extend_from_slice(&[0xff; 65_537]);
        }
        let e = open(&endless, PASS).unwrap_err();
        assert!(e.to_string().contains("extensions"), "{e}");
    }

    /// Gives and takes odd amounts.
    struct Odd<'a>(&'a [u8], usize);
    impl Read for Odd<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 7919 + 13;
            let n = self.1.min(out.len()).min(self.0.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn what_was_written_comes_back() {
        let pass = Secret::new("abc".to_owned());
        let block = BUFFER_BYTES;
        for len in [
            0,
            1,
            15,
            16,
            17,
            49,
            block - 17,
            block - 1,
            block,
            block + 1,
            block + 16,
            block + 49,
            3 * block,
            3 * block + 5,
        ] {
            let plain: Vec<u8> = (0..=250u8).cycle().take(len).collect();
            let mut w = AesWriter::new(Vec::new(), &pass).unwrap();
            for piece in plain.chunks(10_007) {
                w.write_all(piece).unwrap();
            }
            let raw = w.finish().unwrap();
            assert_eq!(raw.len(), 136 + 19 + len.next_multiple_of(16));
            let mut out = Vec::new();
            decrypt(&mut Odd(&raw, 0), &pass, &mut out).unwrap();
            assert!(out == plain, "{len}");
            let mut bad = raw.clone();
            let at = bad.len() / 2;
            bad[at] ^= 1;
            assert!(decrypt(&mut bad.as_slice(), &pass, &mut io::sink()).is_err());
        }
    }

    #[test]
    fn garbage_padding_of_old_writers_is_accepted() {
        // A stream of 16 octets whose length octet says 5: eleven octets of padding that hold anything.
        let pass = Secret::new(PASS.to_owned());
        let mut raw = aes_write::tests::fixed(b"helloGARBAGE!!!!", &pass, false);
        let octet = raw.len() - 33;
        raw[octet] = 5;
        assert_eq!(open(&raw, PASS).unwrap(), b"hello");
    }

    #[test]
    fn changed_streams_never_panic() {
        let mut seed = 5u64;
        for (hex, _) in [ALL[2], ALL[4]] {
            let raw = hex_decode(hex.as_bytes()).unwrap();
            for _ in 0..150 {
                let mut copy = raw.clone();
                for _ in 0..2 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let at = usize::try_from(seed >> 33).unwrap() % copy.len();
                    copy[at] = seed.to_be_bytes()[2];
                }
                let _ = open(&copy, PASS);
            }
        }
        // The body of a version 0 stream needs no key block: cheap to try many.
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let n = usize::try_from(seed >> 33).unwrap() % 200;
            let junk = crate::format::deflate::tests::noise(n, seed);
            let head = [b"AES".as_slice(), &[2 + (seed.to_be_bytes()[3] & 1)]].concat();
            let _ = skip_extensions(&mut junk.as_slice());
            assert!(open(&[head, junk].concat()[..n.min(60)], PASS).is_err());
        }
    }
}
