//! Content identifiers (`destinations-core.md` 6.5): what a block is called, and the check that a block is the one asked for.

use crate::base::bytes::Cursor;
use crate::base::digest::Algo;
use crate::format::ipld::multibase;
use crate::format::ipld::proto::{push_varint, short_varint};

/// The block is plain bytes.
pub(crate) const RAW: u64 = 0x55;
/// The block is a node of files and folders.
pub(crate) const DAG_PB: u64 = 0x70;
/// Not a block: a public key that names something.
pub(crate) const LIBP2P_KEY: u64 = 0x72;

const IDENTITY: u64 = 0x00;
const SHA2_256: u64 = 0x12;
const SHA2_512: u64 = 0x13;
/// Longest digest, also of hashes we cannot compute.
const DIGEST_MAX_BYTES: usize = 128;

/// An identifier. Two forms of the same one are equal.
#[derive(Clone, Debug)]
pub(crate) struct Cid {
    /// Spelled in the old way: a bare SHA-256 in base58.
    old: bool,
    codec: u64,
    /// Code of the hash.
    hash: u64,
    digest: Vec<u8>,
}

impl PartialEq for Cid {
    fn eq(&self, other: &Cid) -> bool {
        (self.codec, self.hash, &self.digest) == (other.codec, other.hash, &other.digest)
    }
}

impl Eq for Cid {}

impl Cid {
    pub(crate) fn sha256(codec: u64, digest: [u8; 32]) -> Cid {
        Cid {
            old: false,
            codec,
            hash: SHA2_256,
            digest: digest.to_vec(),
        }
    }

    /// The identifier of `data` under SHA-256.
    pub(crate) fn of(codec: u64, data: &[u8]) -> Cid {
        Cid {
            old: false,
            codec,
            hash: SHA2_256,
            digest: Algo::Sha256.hash(data).as_bytes().to_vec(),
        }
    }

    /// Any text form; `None` if it is none.
    pub(crate) fn parse(text: &str) -> Option<Cid> {
        if text.len() == 46 && text.starts_with("Qm") {
            let bytes = multibase::base58_decode(text)?;
            return Cid::whole(&bytes).filter(|cid| cid.old);
        }
        Cid::whole(&multibase::decode(text)?).filter(|cid| !cid.old)
    }

    /// Bytes that are one identifier and nothing else.
    pub(crate) fn whole(bytes: &[u8]) -> Option<Cid> {
        let mut cursor = Cursor::new(bytes);
        let cid = Cid::take(&mut cursor)?;
        cursor.rest().is_empty().then_some(cid)
    }

    /// The identifier at the front of `from`.
    pub(crate) fn take(from: &mut Cursor<'_>) -> Option<Cid> {
        if from.rest().starts_with(&[0x12, 0x20]) {
            let digest = from.take(34)?.get(2..)?.to_vec();
            return Some(Cid {
                old: true,
                codec: DAG_PB,
                hash: SHA2_256,
                digest,
            });
        }
        if short_varint(from)? != 1 {
            return None;
        }
        let codec = short_varint(from)?;
        let (hash, digest) = multihash(from)?;
        Some(Cid {
            old: false,
            codec,
            hash,
            digest: digest.to_vec(),
        })
    }

    /// A bare multihash as the name of a key (`12D3Koo…`, `Qm…`).
    pub(crate) fn key(text: &str) -> Option<Cid> {
        let bytes = multibase::base58_decode(text)?;
        let mut cursor = Cursor::new(&bytes);
        let (hash, digest) = multihash(&mut cursor)?;
        (cursor.rest().is_empty() && hash != SHA2_512).then(|| Cid {
            old: false,
            codec: LIBP2P_KEY,
            hash,
            digest: digest.to_vec(),
        })
    }

    pub(crate) fn codec(&self) -> u64 {
        self.codec
    }

    /// SHA-256, the hash of nearly everything.
    pub(crate) fn sha256_digest(&self) -> Option<[u8; 32]> {
        (self.hash == SHA2_256)
            .then(|| self.digest.as_slice().try_into().ok())
            .flatten()
    }

    /// The data itself, when the identifier holds it.
    pub(crate) fn inline(&self) -> Option<&[u8]> {
        (self.hash == IDENTITY).then_some(self.digest.as_slice())
    }

    /// True when `data` is what this names. `None`: the hash is one that cannot be computed.
    pub(crate) fn names(&self, data: &[u8]) -> Option<bool> {
        match self.hash {
            IDENTITY => Some(self.digest == data),
            SHA2_256 => Some(Algo::Sha256.hash(data).as_bytes() == self.digest),
            SHA2_512 => Some(Algo::Sha512.hash(data).as_bytes() == self.digest),
            _ => None,
        }
    }

    /// What about it is not supported, for messages.
    pub(crate) fn unsupported(&self) -> Option<String> {
        let known = match self.hash {
            IDENTITY | SHA2_256 | SHA2_512 => None,
            0x1e => Some("blake3"),
            0x14..=0x17 => Some("sha3"),
            0xb220 => Some("blake2b-256"),
            _ => Some("unknown"),
        };
        if let Some(name) = known {
            return Some(format!("hash {name} (0x{:x})", self.hash));
        }
        match self.codec {
            RAW | DAG_PB => None,
            other => Some(format!("data format 0x{other:x}")),
        }
    }

    /// The binary form (36 bytes with SHA-256).
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.digest.len());
        if !self.old {
            push_varint(&mut out, 1);
            push_varint(&mut out, self.codec);
        }
        push_varint(&mut out, self.hash);
        push_varint(&mut out, self.digest.len() as u64);
        out.extend_from_slice(&self.digest);
        out
    }

    /// The newer binary form, whatever form it came in.
    fn modern(&self) -> Vec<u8> {
        Cid {
            old: false,
            ..self.clone()
        }
        .bytes()
    }

    /// Base32: fits host names and ignores case.
    pub(crate) fn base32(&self) -> String {
        multibase::base32(&self.modern())
    }

    /// Base36, the usual form of names of keys: fits host names.
    pub(crate) fn base36(&self) -> String {
        multibase::base36(&self.modern())
    }
}

impl std::fmt::Display for Cid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.old {
            f.write_str(&multibase::base58(&self.bytes()))
        } else if self.codec == LIBP2P_KEY {
            f.write_str(&self.base36())
        } else {
            f.write_str(&self.base32())
        }
    }
}

fn multihash<'a>(from: &mut Cursor<'a>) -> Option<(u64, &'a [u8])> {
    let hash = short_varint(from)?;
    let len = usize::try_from(short_varint(from)?).ok()?;
    let fits = match hash {
        SHA2_256 => len == 32,
        SHA2_512 => len == 64,
        _ => len <= DIGEST_MAX_BYTES,
    };
    fits.then(|| from.take(len)).flatten().map(|d| (hash, d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::hex;

    /// `destinations-core.md` 11.3.
    #[test]
    fn contents_have_their_identifiers() {
        for (data, raw, old, new) in [
            (
                &b""[..],
                "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
                "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
                "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y",
            ),
            (
                b"hello world",
                "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
                "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD",
                "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa",
            ),
            (
                b"hello world\n",
                "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4",
                "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o",
                "bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby",
            ),
        ] {
            let cid = Cid::of(RAW, data);
            assert_eq!(cid.to_string(), raw);
            assert_eq!(cid.names(data), Some(true));
            assert_eq!(cid.names(b"x"), Some(false));
            let (a, b) = (Cid::parse(old).expect(old), Cid::parse(new).expect(new));
            assert_eq!(a, b, "{old}");
            assert_eq!((a.to_string(), b.to_string()), (old.into(), new.into()));
            assert_eq!(a.base32(), new);
            let mut node = vec![8, 2];
            if !data.is_empty() {
                crate::format::ipld::proto::push_bytes(&mut node, 2, data);
            }
            crate::format::ipld::proto::push_number(&mut node, 3, data.len() as u64);
            let mut block = Vec::new();
            crate::format::ipld::proto::push_bytes(&mut block, 1, &node);
            assert_eq!(a.names(&block), Some(true), "{old}");
        }
    }

    #[test]
    fn text_forms() {
        let text = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        let cid = Cid::parse(text).expect("base32");
        let bytes = "01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        assert_eq!(hex(&cid.bytes()), bytes);
        for other in [
            "k2cwued9o1pvrt3q271rrqbo49x30tbxwpoeaq75z14e5ui2rzygpbe1",
            "zb2rhj7crUKTQYRGCRATFaQ6YFLTde2YzdqbbhAASkL9uRDXn",
            &text.to_uppercase(),
            &format!("f{bytes}"),
        ] {
            assert_eq!(Cid::parse(other), Some(cid.clone()), "{other}");
        }
        let empty = Cid::parse("bafkqaaa").expect("identity");
        assert_eq!(empty.inline(), Some(&b""[..]));
        assert_eq!(empty.names(b""), Some(true));
        let name = "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r";
        let key = Cid::parse(name).expect("a name");
        assert_eq!(key.codec(), LIBP2P_KEY);
        assert_eq!(
            hex(key.inline().expect("identity")),
            "080112201b002d73dc3db78649e1e3717f3dd66edd066afe2c1f861d4b1a638a155a1333"
        );
        assert_eq!(key.to_string(), name);
        let peer = multibase::base58(&key.bytes()[2..]);
        assert!(peer.starts_with("12D3Koo"), "{peer}");
        assert_eq!(Cid::key(&peer), Some(key));
    }

    #[test]
    fn what_is_no_identifier() {
        for bad in [
            "",
            "localhost",
            "backup",
            "kubo",
            "example.org",
            "127.0.0.1",
            "zebra",
            "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQ",
            "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQ0",
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5",
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5f",
        ] {
            assert_eq!(Cid::parse(bad), None, "{bad}");
        }
        let good = Cid::of(RAW, b"x").bytes();
        for cut in 0..good.len() {
            assert_eq!(Cid::whole(&good[..cut]), None);
        }
        let mut long = good;
        long.push(0);
        assert_eq!(Cid::whole(&long), None);
        let blake = Cid::whole(&[1, 0x55, 0xa0, 0xe4, 2, 2, 1, 2]).expect("readable");
        assert_eq!(
            blake.unsupported().as_deref(),
            Some("hash blake2b-256 (0xb220)")
        );
        assert_eq!(blake.names(b""), None);
        let cbor = Cid::whole(&[1, 0x71, 0, 0]).expect("readable");
        assert_eq!(cbor.unsupported().as_deref(), Some("data format 0x71"));
    }
}
