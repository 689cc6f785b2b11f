//! Digests behind one enum, and the two shapes a hash takes in the program: [`Hash`] (a whole digest) and [`BlockKey`]
//! (what sorts, compares and spills).

use md5::Digest as _;
use ring::digest as rd;

use crate::base::bytes;

/// A hash algorithm a manifest can name (`format.md` 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algo {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algo {
    /// The spelling of the manifest; case-sensitive.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Algo::Md5 => "MD5",
            Algo::Sha1 => "SHA1",
            Algo::Sha256 => "SHA256",
            Algo::Sha384 => "SHA384",
            Algo::Sha512 => "SHA512",
        }
    }

    /// Exact manifest spelling only.
    pub(crate) fn parse(name: &str) -> Option<Algo> {
        [
            Algo::Md5,
            Algo::Sha1,
            Algo::Sha256,
            Algo::Sha384,
            Algo::Sha512,
        ]
        .into_iter()
        .find(|a| a.name() == name)
    }

    /// The algorithm whose digests have this many bytes.
    pub(crate) fn of_length(len: usize) -> Option<Algo> {
        [
            Algo::Md5,
            Algo::Sha1,
            Algo::Sha256,
            Algo::Sha384,
            Algo::Sha512,
        ]
        .into_iter()
        .find(|a| a.len() == len)
    }

    /// Length of a digest in bytes (16 to 64).
    #[allow(
        clippy::len_without_is_empty,
        reason = "a digest length is never empty"
    )]
    pub(crate) fn len(self) -> usize {
        match self {
            Algo::Md5 => 16,
            Algo::Sha1 => 20,
            Algo::Sha256 => 32,
            Algo::Sha384 => 48,
            Algo::Sha512 => 64,
        }
    }

    /// Digest of one slice.
    pub(crate) fn hash(self, data: &[u8]) -> Hash {
        let mut h = self.hasher();
        h.update(data);
        h.finish()
    }

    /// A streaming hasher.
    pub(crate) fn hasher(self) -> Hasher {
        match self {
            Algo::Md5 => Hasher::Md5(md5::Md5::new()),
            Algo::Sha1 => Hasher::Ring(rd::Context::new(&rd::SHA1_FOR_LEGACY_USE_ONLY)),
            Algo::Sha256 => Hasher::Ring(rd::Context::new(&rd::SHA256)),
            Algo::Sha384 => Hasher::Ring(rd::Context::new(&rd::SHA384)),
            Algo::Sha512 => Hasher::Ring(rd::Context::new(&rd::SHA512)),
        }
    }
}

/// A running digest.
#[derive(Clone)]
pub(crate) enum Hasher {
    Md5(md5::Md5),
    Ring(rd::Context),
}

impl Hasher {
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Hasher::Md5(h) => h.update(data),
            Hasher::Ring(h) => h.update(data),
        }
    }

    pub(crate) fn finish(self) -> Hash {
        match self {
            Hasher::Md5(h) => Hash::known(&h.finalize()),
            Hasher::Ring(h) => Hash::known(h.finish().as_ref()),
        }
    }
}

/// A digest of 16 to 64 bytes. Compares by content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash {
    bytes: [u8; 64],
    len: u8,
}

impl Hash {
    fn known(digest: &[u8]) -> Hash {
        Hash::from_bytes(digest).expect("a digest of ours has 16 to 64 bytes")
    }

    /// `None` unless 16 to 64 bytes.
    pub(crate) fn from_bytes(raw: &[u8]) -> Option<Hash> {
        if !(16..=64).contains(&raw.len()) {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..raw.len()].copy_from_slice(raw);
        Some(Hash {
            bytes,
            len: u8::try_from(raw.len()).ok()?,
        })
    }

    /// From canonical base64 of either alphabet.
    pub(crate) fn from_base64(text: &[u8]) -> Option<Hash> {
        if text.len() > 88 {
            return None;
        }
        Hash::from_bytes(&bytes::base64_decode(text)?)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Its bytes, if there are `N`.
    pub(crate) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.as_bytes().try_into().ok()
    }

    /// Number of its bytes, 16 to 64, as records state it.
    pub(crate) fn len_octet(&self) -> u8 {
        self.len
    }

    /// As in JSON.
    pub(crate) fn base64(&self) -> String {
        bytes::base64(self.as_bytes())
    }

    /// As in zip entry names.
    pub(crate) fn base64_url(&self) -> String {
        bytes::base64_url(self.as_bytes())
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base64())
    }
}

/// A block's identity for sorting and look-up: the first 32 digest bytes (shorter digests padded with zeros), then the
/// block's length in bytes as big-endian `u32`. Byte order is the sort order. 36 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub(crate) struct BlockKey([u8; BlockKey::LEN]);

impl BlockKey {
    pub(crate) const LEN: usize = 36;

    pub(crate) fn new(hash: &Hash, size: u32) -> BlockKey {
        let mut key = [0; Self::LEN];
        let n = hash.as_bytes().len().min(32);
        key[..n].copy_from_slice(&hash.as_bytes()[..n]);
        key[32..].copy_from_slice(&size.to_be_bytes());
        BlockKey(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The digest without the length: what blocks are looked up by when their length is not known.
    pub(crate) fn id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        id.copy_from_slice(&self.0[..32]);
        id
    }

    /// The key of the same digest with size 0, which stands for any.
    pub(crate) fn of_any_size(&self) -> BlockKey {
        let mut key = *self;
        key.0[32..].fill(0);
        key
    }

    /// From the first 36 bytes of a record.
    pub(crate) fn from_record(record: &[u8]) -> Option<BlockKey> {
        Some(BlockKey(record.get(..Self::LEN)?.try_into().ok()?))
    }

    /// Length of the block in bytes.
    pub(crate) fn size(&self) -> u32 {
        u32::from_be_bytes([self.0[32], self.0[33], self.0[34], self.0[35]])
    }
}

/// Digests beside SHA-256 that a destination wants to have of every upload.
#[derive(Clone, Copy, Default)]
pub(crate) struct WantedDigests {
    pub(crate) sha1: bool,
    pub(crate) md5: bool,
}

impl WantedDigests {
    /// The one that is made; no destination wants both.
    pub(crate) fn hasher(self) -> Option<Hasher> {
        match self {
            WantedDigests { md5: true, .. } => Some(Algo::Md5.hasher()),
            WantedDigests { sha1: true, .. } => Some(Algo::Sha1.hasher()),
            _ => None,
        }
    }
}

/// The digests of one file, as far as they were made: SHA-256 always.
#[derive(Clone, Copy)]
pub(crate) struct Digests {
    pub(crate) sha256: Hash,
    /// What the destination wants beside it: MD5 or SHA-1, by its length.
    pub(crate) wanted: Option<Hash>,
}

impl From<Hash> for Digests {
    fn from(sha256: Hash) -> Digests {
        Digests {
            sha256,
            wanted: None,
        }
    }
}

/// A `Write` that hashes and counts exactly what the inner writer accepted.
pub(crate) struct HashWriter<W> {
    inner: W,
    sha256: Hasher,
    wanted: Option<Hasher>,
    written: u64,
}

impl<W: std::io::Write> HashWriter<W> {
    /// SHA-256, and what is wanted beside it.
    pub(crate) fn new(inner: W, wants: WantedDigests) -> Self {
        HashWriter {
            inner,
            sha256: Algo::Sha256.hasher(),
            wanted: wants.hasher(),
            written: 0,
        }
    }

    /// Inner writer, digests, and bytes written.
    pub(crate) fn finish(self) -> (W, Digests, u64) {
        let digests = Digests {
            sha256: self.sha256.finish(),
            wanted: self.wanted.map(Hasher::finish),
        };
        (self.inner, digests, self.written)
    }
}

impl<W: std::io::Write> std::io::Write for HashWriter<W> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(data)?;
        self.sha256.update(&data[..n]);
        if let Some(hasher) = &mut self.wanted {
            hasher.update(&data[..n]);
        }
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `format.md` 22.
    #[test]
    fn published_ids() {
        let id = |data: &[u8]| Algo::Sha256.hash(data);
        assert_eq!(
            id(b"").base64(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            id(b"duplet 12").base64(),
            "tmfnS/6MpI3WUX2X5fYYTMP/f8JhMjxLc2h+VDllUss="
        );
        assert_eq!(
            id(b"duplet 12").base64_url(),
            "tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss="
        );
        assert_eq!(
            id(&[b'A'; 1024]).base64(),
            "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0="
        );
        assert_eq!(
            id(&[b'B'; 1024]).base64_url(),
            "m2zlXzeel3FVHeaTlVan5rlJgUrifC9c_V2-s3jOfCo="
        );
        assert_eq!(
            id(b"hello world\n").base64(),
            "qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc="
        );
        assert_eq!(
            Algo::Sha512.hash(b"hello world\n").base64(),
            "2zl0qX8kB7fK4a5jfAAwaHoRkTJ01XhJJVjjnBbAF96E6s3Ixi/jTuThK0sUKIF/Cbaidgw/imZM6ulNJDSlkw=="
        );
    }

    #[test]
    fn every_algorithm_has_its_length_and_name() {
        for (a, hex) in [
            (Algo::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algo::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Algo::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            assert_eq!(bytes::hex(a.hash(b"abc").as_bytes()), hex);
        }
        for a in [
            Algo::Md5,
            Algo::Sha1,
            Algo::Sha256,
            Algo::Sha384,
            Algo::Sha512,
        ] {
            assert_eq!(a.hash(b"").as_bytes().len(), a.len());
            assert_eq!(Algo::parse(a.name()), Some(a));
        }
        assert_eq!(Algo::parse("sha256"), None);
    }

    #[test]
    fn keys_cut_and_pad() {
        let short = Algo::Md5.hash(b"x");
        let long = Algo::Sha512.hash(b"x");
        assert_eq!(
            BlockKey::new(&short, 7).id()[..17],
            [short.as_bytes(), &[0]].concat()
        );
        assert_eq!(BlockKey::new(&long, 7).id(), long.as_bytes()[..32]);
        assert_eq!(BlockKey::new(&long, 7).size(), 7);
        assert!(BlockKey::new(&short, 1) < BlockKey::new(&short, 256));
        assert_eq!(BlockKey::from_record(&[0; 35]), None);
    }
}
