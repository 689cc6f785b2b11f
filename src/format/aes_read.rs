//! Reads AES Crypt streams of versions 0 to 3 (`format.md` 3), in constant memory.
//!
//! What was written to the output is to be believed only when [`decrypt`] returned `Ok`: the stream is authenticated by its
//! last bytes. What [`decrypt_far`] wrote in spite of a flaw is to be believed only where something else proves it. Does not
//! know what a volume is; file names belong in the caller's error text.

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
    decrypt_with(src, into, &mut *stretch_of(passphrase)?)
}

/// As [`decrypt`], but goes on where the stream does not authenticate or is cut short: all whole blocks of ciphertext there
/// are come out, with up to 63 bytes of what was the tail behind them. A changed byte of ciphertext spoils the 16 plain bytes
/// of its block and one of the next.
///
/// The flaw, if there is one, is the error that [`decrypt`] gives. `Err` when nothing can come out.
pub(crate) fn decrypt_far(
    src: &mut dyn Read,
    passphrase: &Secret,
    into: &mut dyn Write,
) -> Result<Option<Error>> {
    Ok(copy_with(src, into, &mut *stretch_of(passphrase)?, true)?.flaw)
}

pub(super) fn stretch_of(passphrase: &Secret) -> Result<Box<Stretch<'_>>> {
    if passphrase.is_blank() {
        return Err(Error::new(
            Kind::Passphrase,
            "the passphrase is empty or only white space",
        ));
    }
    Ok(Box::new(|iv, rounds| match rounds {
        Some(n) => Key::from_pbkdf2(iv, passphrase, n),
        None => Key::from_sha256_rounds(iv, passphrase),
    }))
}

/// Bytes written and what is wrong with them as a whole.
struct Copied {
    written: u64,
    flaw: Option<Error>,
}

fn sound(copied: Copied) -> Result<u64> {
    copied.flaw.map_or(Ok(copied.written), Err)
}

/// Stretches the passphrase with the public IV: by PBKDF2 with so many iterations, or by the rounds of versions 0 to 2.
pub(crate) type Stretch<'a> = dyn FnMut(&Iv, Option<NonZeroU32>) -> Key + 'a;

/// As [`decrypt`] with the costly part of the key given by the caller.
pub(crate) fn decrypt_with(
    src: &mut dyn Read,
    into: &mut dyn Write,
    stretch: &mut Stretch<'_>,
) -> Result<u64> {
    sound(copy_with(src, into, stretch, false)?)
}

fn copy_with(
    src: &mut dyn Read,
    into: &mut dyn Write,
    stretch: &mut Stretch<'_>,
    far: bool,
) -> Result<Copied> {
    let head = Head::read(src, stretch)?;
    let mut refusal = head.refusal;
    if !far && let Some(refusal) = refusal.take() {
        return Err(refusal);
    }
    let key = head.key.for_hmac();
    let body = Body {
        layout: head.layout,
        cbc: CbcDecrypt::new(&head.key, &head.iv),
        mac: hmac::Context::with_key(&key),
        key,
        written: 0,
    };
    let mut copied = body.copy(src, into, far)?;
    // A key that the content confirms is the right one, whatever the header says of it.
    copied.flaw = match (refusal, copied.flaw) {
        (Some(_), None) => Some(Error::damaged("the header does not authenticate")),
        (Some(refusal), Some(_)) => Some(refusal),
        (None, flaw) => flaw,
    };
    Ok(copied)
}

/// What differs after the header.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Length modulo 16 from the header.
    V0 { over: u8 },
    /// Length modulo 16 behind the ciphertext.
    V12,
    /// PKCS#7.
    V3,
}

impl Layout {
    /// Bytes behind the ciphertext.
    pub(super) fn tail(self) -> usize {
        match self {
            Layout::V0 { .. } | Layout::V3 => TAG_BYTES,
            Layout::V12 => TAG_BYTES + 1,
        }
    }
}

pub(super) struct Head {
    pub(super) layout: Layout,
    pub(super) iv: Iv,
    pub(super) key: Key,
    /// The key is not confirmed: a wrong passphrase or a damaged header.
    pub(super) refusal: Option<Error>,
}

impl Head {
    pub(super) fn read(src: &mut dyn Read, stretch: &mut Stretch<'_>) -> Result<Head> {
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
                key: stretch(&iv, None),
                iv,
                refusal: None,
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
        let outer = stretch(&iv1, iterations);
        let mut signed = sealed.to_vec();
        if version == 3 {
            signed.push(3);
        }
        let refusal = hmac::verify(&outer.for_hmac(), &signed, &tag)
            .err()
            .map(|_| Error::new(Kind::Passphrase, "wrong passphrase or damaged header"));
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
            refusal,
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
    /// `far`: what does not authenticate or is cut short is a flaw, no error.
    fn copy(mut self, src: &mut dyn Read, into: &mut dyn Write, far: bool) -> Result<Copied> {
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
        let all = buffer.get_mut(..filled).unwrap_or_default();
        let content = filled.checked_sub(tail).filter(|n| n % BLOCK_BYTES == 0);
        let (last, end) = all
            .split_at_mut_checked(content.unwrap_or(0))
            .ok_or_else(cut_short)?;
        self.open(last);
        let padding = match content {
            Some(_) => self.padding(last, end),
            None => Err(cut_short()),
        };
        let flaw = match padding {
            Ok(padding) => {
                let keep = last.len().saturating_sub(padding);
                self.put(into, last.get(..keep).unwrap_or_default())?;
                None
            }
            Err(flaw) if far => {
                self.put(into, last)?;
                // In a stream that was cut, content stands where the tail should be.
                self.cbc.decrypt(end);
                let whole = end.len().saturating_sub(end.len() % BLOCK_BYTES);
                self.put(into, end.get(..whole).unwrap_or_default())?;
                Some(flaw)
            }
            Err(flaw) => return Err(flaw),
        };
        Ok(Copied {
            written: self.written,
            flaw,
        })
    }

    /// Bytes to cut from the end of the content, of which `last` is the last part; an error unless `end`, the stream's tail,
    /// authenticates it.
    fn padding(&self, last: &[u8], end: &[u8]) -> Result<usize> {
        let (over, tag) = end.split_at(end.len().saturating_sub(TAG_BYTES));
        if !same_tag(&self.mac.clone().sign(), tag, &self.key) {
            return Err(match self.layout {
                Layout::V0 { .. } => Error::new(
                    Kind::Passphrase,
                    "wrong passphrase or damaged volume (this old kind cannot tell which)",
                ),
                _ => Error::damaged("the content does not authenticate"),
            });
        }
        match self.layout {
            Layout::V0 { over } => Ok(short_by(over)),
            Layout::V12 => Ok(short_by(over.first().copied().unwrap_or(0))),
            Layout::V3 => pkcs7(last),
        }
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
pub(super) fn short_by(over: u8) -> usize {
    match usize::from(over & 15) {
        0 => 0,
        n => BLOCK_BYTES.saturating_sub(n),
    }
}

pub(super) fn pkcs7(data: &[u8]) -> Result<usize> {
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

pub(super) fn cut_short() -> Error {
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
#[path = "aes_read_tests.rs"]
pub(crate) mod tests;
