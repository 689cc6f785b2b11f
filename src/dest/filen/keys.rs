//! What Filen is not to see (`destinations-more.md` 3.1): the keys that a password opens, names and lengths under them, and the
//! content of files in chunks under keys of their own. All ciphers are AES-256-GCM.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac, pbkdf2};

use crate::base::bytes::{base64, base64_decode, base64_url, hex, hex_decode};
use crate::base::digest::Algo;
use crate::base::fault::{Class, Done, Fault};
use crate::base::rand;
use crate::base::secret::Secret;

/// Bytes of a file that are encrypted together, all but its last; and what that adds to them: before and behind.
pub(super) const CHUNK: u64 = 1 << 20;
const NONCE: usize = 12;
const TAG: usize = 16;
pub(super) const ADDED: u64 = (NONCE + TAG) as u64;
/// Master keys that an account may have.
const KEYS_MAX: usize = 64;
/// Argon2id: KiB of memory, passes, lanes.
const ARGON2: (u32, u32, u32) = (64 << 10, 3, 4);

pub(super) fn random<const N: usize>() -> Done<[u8; N]> {
    let mut out = [0; N];
    let filled = rand::fill(&mut out);
    filled.map_err(|e| Fault::new(Class::Local, e.to_string()))?;
    Ok(out)
}

/// A key for chunks, and for what is short.
pub(super) struct Key {
    cipher: LessSafeKey,
    /// Version of what is written with it, 2 or 3.
    version: u8,
}

impl Key {
    fn raw(version: u8, key: &[u8]) -> Option<Key> {
        let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
        let cipher = LessSafeKey::new(key);
        Some(Key { cipher, version })
    }

    /// The key that a text stands for, as accounts of version 2 have them.
    fn of_text(text: &str) -> Option<Key> {
        let mut key = [0; 32];
        let (once, text) = (NonZeroU32::MIN, text.as_bytes());
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, once, text, text, &mut key);
        Key::raw(2, &key)
    }

    /// The key of a file, for its chunks.
    pub(super) fn of_file(text: &str) -> Option<Key> {
        match text.len() {
            32 => Key::raw(2, text.as_bytes()),
            _ => Key::raw(3, &hex_decode(text.as_bytes())?),
        }
    }

    pub(super) fn seal(&self, text: &str) -> Done<String> {
        let raw = random::<NONCE>()?;
        // In version 2 it is text.
        let letters = base64_url(&raw[..9]);
        let (nonce, shown) = match self.version {
            2 => (letters.as_bytes(), format!("002{letters}")),
            _ => (&raw[..], format!("003{}", hex(&raw))),
        };
        let (mut out, none) = (text.as_bytes().to_vec(), Aad::empty());
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| odd())?;
        let done = self.cipher.seal_in_place_append_tag(nonce, none, &mut out);
        done.map_err(|_| odd())?;
        Ok(shown + &base64(&out))
    }

    /// `None` for what was not sealed with this key.
    fn open(&self, sealed: &str) -> Option<String> {
        let (nonce, rest) = match (sealed.get(..3)?, self.version) {
            ("002", 2) => (sealed.get(3..15)?.as_bytes().to_vec(), sealed.get(15..)?),
            ("003", 3) => (
                hex_decode(sealed.get(3..27)?.as_bytes())?,
                sealed.get(27..)?,
            ),
            _ => return None,
        };
        let mut text = base64_decode(rest.as_bytes())?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let open = self.cipher.open_in_place(nonce, Aad::empty(), &mut text);
        String::from_utf8(open.ok()?.to_vec()).ok()
    }

    /// Encrypts a chunk behind the room for its nonce.
    pub(super) fn seal_chunk(&self, chunk: &mut Vec<u8>) -> Done<()> {
        let nonce = random::<NONCE>()?;
        chunk[..NONCE].copy_from_slice(&nonce);
        let (nonce, none) = (Nonce::assume_unique_for_key(nonce), Aad::empty());
        let content = &mut chunk[NONCE..];
        let tag = self.cipher.seal_in_place_separate_tag(nonce, none, content);
        chunk.extend_from_slice(tag.map_err(|_| odd())?.as_ref());
        Ok(())
    }

    /// The content of a chunk in its place; `None` when it is damaged.
    pub(super) fn open_chunk<'a>(&self, chunk: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, content) = chunk.split_at_mut_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.cipher.open_in_place(nonce, Aad::empty(), content);
        opened.ok()
    }
}

/// Room for a nonce and `len` bytes of a chunk.
pub(super) fn room(len: u64) -> Done<Vec<u8>> {
    let whole = usize::try_from(len.min(CHUNK)).unwrap_or(0) + NONCE;
    let mut out = Vec::with_capacity(whole + TAG);
    out.resize(whole, 0);
    Ok(out)
}

/// Where the content of a chunk begins in that room.
pub(super) fn content(chunk: &mut [u8]) -> &mut [u8] {
    &mut chunk[NONCE..]
}

fn odd() -> Fault {
    Fault::new(Class::Local, "the cipher does not take it")
}

/// What a password comes to.
pub(super) struct Derived {
    /// Opens the keys of the account.
    key: Key,
    /// The same as the account lists it, in version 2.
    text: String,
    /// What the service is shown in place of the password.
    pub(super) login: Secret,
}

impl Derived {
    pub(super) fn new(version: u64, password: &Secret, salt: &str) -> Done<Derived> {
        let (mut out, password) = ([0; 64], password.reveal().as_bytes());
        match version {
            2 => {
                stretch(password, salt.as_bytes(), &mut out);
                let (text, login) = (hex(&out[..32]), hex(&out[32..]));
                let login = hex(Algo::Sha512.hash(login.as_bytes()).as_bytes());
                let key = Key::of_text(&text).ok_or_else(odd)?;
                let login = Secret::new(login);
                Ok(Derived { key, text, login })
            }
            3 => {
                argon2id(password, salt, &mut out)?;
                Ok(Derived {
                    key: Key::raw(3, &out[..32]).ok_or_else(odd)?,
                    text: String::new(),
                    login: Secret::new(hex(&out[32..])),
                })
            }
            _ => {
                let what = format!(
                    "the account has a log-in of version {version}, which is not known here"
                );
                Err(Fault::new(Class::Unsupported, what)
                    .hint("log in once in a browser, which renews it"))
            }
        }
    }

    /// What the service is asked with for the master keys of an account of version 2.
    pub(super) fn sealed(&self) -> Done<String> {
        self.key.seal(&self.text)
    }

    /// The keys of an account of version 2: `sealed` has all of its master keys, of which the password's is written with.
    pub(super) fn master_keys(self, sealed: &str) -> Option<Keys> {
        let texts = self.key.open(sealed)?;
        // The newest is the last.
        let others = texts.rsplit('|').filter(|text| *text != self.text);
        let others: Option<Vec<Key>> = others.take(KEYS_MAX).map(Key::of_text).collect();
        let mut all = vec![self.key];
        all.extend(others?);
        Some(Keys {
            all,
            names: Vec::new(),
        })
    }

    /// The one of an account of version 3.
    pub(super) fn data_key(&self, sealed: &str) -> Option<Keys> {
        let key = hex_decode(self.key.open(sealed)?.as_bytes())?;
        let all = vec![Key::raw(3, &key)?];
        Some(Keys {
            all,
            names: Vec::new(),
        })
    }
}

/// The memory is given back at once.
fn argon2id(password: &[u8], salt: &str, out: &mut [u8; 64]) -> Done<()> {
    let bad = || Fault::new(Class::Protocol, "the server tells no salt");
    let (memory, passes, lanes) = ARGON2;
    let salt = hex_decode(salt.as_bytes()).ok_or_else(bad)?;
    let size = Some(out.len());
    let params = Params::new(memory, passes, lanes, size).map_err(|_| odd())?;
    let (mut blocks, count) = (Vec::new(), params.block_count());
    let reserved = blocks.try_reserve_exact(count);
    reserved.map_err(|_| {
        let what = "the log-in to Filen needs 64 MiB of memory for a moment";
        Fault::new(Class::Local, what).hint("end other programs, or raise the limit")
    })?;
    blocks.resize(count, Block::default());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, &salt, out, &mut blocks)
        .map_err(|_| bad())
}

/// The keys of an account, the one that is written with first.
pub(super) struct Keys {
    all: Vec<Key>,
    /// What names are hashed with in version 3: as its newer programs do, and as its web pages do.
    names: Vec<hmac::Key>,
}

impl Keys {
    /// 2 or 3, for files too.
    pub(super) fn version(&self) -> u8 {
        self.all[0].version
    }

    pub(super) fn seal(&self, text: &str) -> Done<String> {
        self.all[0].seal(text)
    }

    pub(super) fn open(&self, sealed: &str) -> Option<String> {
        self.all.iter().find_map(|key| key.open(sealed))
    }

    /// Takes up the private key of an account of version 3 for the hashes of names.
    pub(super) fn hash_with(&mut self, sealed: &str) -> Option<()> {
        let key = base64_decode(self.open(sealed)?.as_bytes())?;
        for from in [exponent(&key)?, &key] {
            let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
            let of = salt.extract(from);
            let made = of.expand(&[b"hmac-sha256-key"], hmac::HMAC_SHA256);
            self.names.push(made.ok()?.into());
        }
        Some(())
    }

    /// What the service knows a name by: as Filen's own programs tell it, and as others do.
    pub(super) fn hashes(&self, name: &str) -> Vec<String> {
        let lower = name.to_lowercase();
        if !self.names.is_empty() {
            let keys = self.names.iter();
            let tags = keys.map(|key| hmac::sign(key, lower.as_bytes()));
            return tags.map(|tag| hex(tag.as_ref())).collect();
        }
        let inner = Algo::Sha512.hash(lower.as_bytes());
        // Duplicati's is of the bytes.
        let ways = [
            hex(inner.as_bytes()).into_bytes(),
            inner.as_bytes().to_vec(),
        ];
        ways.map(|way| hex(Algo::Sha1.hash(&way).as_bytes())).into()
    }

    /// The key of a new file, as its metadata have it.
    pub(super) fn new_file(&self) -> Done<String> {
        Ok(match self.version() {
            2 => base64_url(&random::<24>()?),
            _ => hex(&random::<32>()?),
        })
    }

    /// What is short under the key of a file.
    pub(super) fn seal_for_file(&self, key: &str, text: &str) -> Done<String> {
        let key = match self.version() {
            2 => Key::of_text(key),
            _ => Key::of_file(key),
        };
        key.ok_or_else(odd)?.seal(text)
    }
}

/// The private exponent in a key of RSA in PKCS #8.
fn exponent(der: &[u8]) -> Option<&[u8]> {
    // The content of one value, and what follows it.
    fn value(at: &[u8]) -> Option<(&[u8], &[u8])> {
        let (first, rest) = at.get(1..)?.split_first()?;
        let long = usize::from(first.checked_sub(0x80).unwrap_or(0)).min(5);
        let (len, rest) = rest.split_at_checked(long)?;
        let len = len.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let len = if long == 0 { u64::from(*first) } else { len };
        rest.split_at_checked(usize::try_from(len).ok()?)
    }
    let skip = |at, n| (0..n).try_fold(at, |at, _| value(at).map(|v| v.1));
    let key = value(skip(value(der)?.0, 2)?)?.0;
    let d = value(skip(value(key)?.0, 3)?)?.0;
    d.iter().position(|b| *b != 0).map(|at| &d[at..])
}

/// As accounts of version 2 do it.
fn stretch(password: &[u8], salt: &[u8], out: &mut [u8; 64]) {
    #[cfg(test)]
    if tests::is_known(password, salt, out) {
        return;
    }
    let rounds = NonZeroU32::new(200_000).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, password, out);
    #[cfg(test)]
    tests::keep(password, salt, out);
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
