//! Signed name records (`destinations-core.md` 6.7): from a record and the name it was asked for to the path it points at.
//!
//! Only Ed25519 keys. The signature of the first version is not looked at; its fields, where present, must say the same.

use ring::signature::{ED25519, UnparsedPublicKey};

use crate::format::ipld::cbor::{self, Value as Cbor};
use crate::format::ipld::cid::Cid;
use crate::format::ipld::proto::{Fields, Value};

/// Longest record.
pub(crate) const RECORD_MAX_BYTES: usize = 10 * 1024;
const SIGNED_PREFIX: &[u8] = b"ipns-signature:";
/// A protocol buffer saying `Ed25519` and 32 bytes follow.
const ED25519_KEY_PREFIX: &[u8] = &[0x08, 0x01, 0x12, 0x20];

/// A record whose signature is good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// `/ipfs/…` or `/ipns/…`.
    pub(crate) value: String,
    pub(crate) sequence: u64,
    /// Seconds since 1970 when it ends to be valid.
    pub(crate) until: i64,
}

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It cannot be read, or lacks what it must have.
    Malformed,
    /// The signature is not of the key that the name stands for.
    Signature,
    /// Its two versions say different things.
    Contradicts,
    /// The key is of a kind that is not supported.
    Key,
}

/// Checks a record against its name. Says nothing about the time; see [`Record::until`].
pub(crate) fn verify(record: &[u8], name: &Cid) -> Result<Record, Refused> {
    if record.len() > RECORD_MAX_BYTES {
        return Err(Refused::Malformed);
    }
    let fields = Outer::parse(record).ok_or(Refused::Malformed)?;
    let (Some(signature), Some(data)) = (fields.signature, fields.data) else {
        return Err(Refused::Malformed);
    };
    let key = key_of(name, fields.key)?;
    let signed = [SIGNED_PREFIX, data].concat();
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed, signature)
        .map_err(|_| Refused::Signature)?;
    let inner = Inner::parse(data).ok_or(Refused::Malformed)?;
    if !fields.agrees(&inner) {
        return Err(Refused::Contradicts);
    }
    let value = std::str::from_utf8(inner.value).map_err(|_| Refused::Malformed)?;
    let good = value.starts_with("/ipfs/") || value.starts_with("/ipns/");
    if !good || inner.kind != 0 {
        return Err(Refused::Malformed);
    }
    Ok(Record {
        value: value.to_owned(),
        sequence: inner.sequence,
        until: time(inner.validity).ok_or(Refused::Malformed)?,
    })
}

/// The Ed25519 key of a name: in the name itself, or in the record and only named by its hash.
fn key_of<'a>(name: &'a Cid, given: Option<&'a [u8]>) -> Result<&'a [u8], Refused> {
    let whole = match (name.inline(), given) {
        (Some(inline), _) => inline,
        (None, Some(given)) if name.names(given) == Some(true) => given,
        _ => return Err(Refused::Signature),
    };
    match whole.strip_prefix(ED25519_KEY_PREFIX) {
        Some(key) if key.len() == 32 => Ok(key),
        _ => Err(Refused::Key),
    }
}

#[derive(Default)]
struct Outer<'a> {
    value: Option<&'a [u8]>,
    kind: Option<u64>,
    validity: Option<&'a [u8]>,
    sequence: Option<u64>,
    ttl: Option<u64>,
    key: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

impl<'a> Outer<'a> {
    fn parse(record: &'a [u8]) -> Option<Outer<'a>> {
        let mut out = Outer::default();
        for field in Fields::of(record) {
            match field.ok()? {
                (1, Value::Bytes(b)) => out.value = Some(b),
                (3, Value::Number(n)) => out.kind = Some(n),
                (4, Value::Bytes(b)) => out.validity = Some(b),
                (5, Value::Number(n)) => out.sequence = Some(n),
                (6, Value::Number(n)) => out.ttl = Some(n),
                (7, Value::Bytes(b)) => out.key = Some(b),
                (8, Value::Bytes(b)) => out.signature = Some(b),
                (9, Value::Bytes(b)) => out.data = Some(b),
                (1 | 3..=9, _) => return None,
                _ => {}
            }
        }
        Some(out)
    }

    fn agrees(&self, inner: &Inner<'_>) -> bool {
        self.value.is_none_or(|v| v.is_empty() || v == inner.value)
            && self.kind.is_none_or(|k| k == inner.kind)
            && self
                .validity
                .is_none_or(|v| v.is_empty() || v == inner.validity)
            && self.sequence.is_none_or(|s| s == inner.sequence)
            && self.ttl.is_none_or(|t| t == inner.ttl)
    }
}

struct Inner<'a> {
    value: &'a [u8],
    kind: u64,
    validity: &'a [u8],
    sequence: u64,
    ttl: u64,
}

impl<'a> Inner<'a> {
    fn parse(data: &'a [u8]) -> Option<Inner<'a>> {
        let map = cbor::map(data)?;
        let find = |key: &str| map.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let bytes = |key: &str| match find(key) {
            Some(Cbor::Bytes(b)) => Some(b),
            _ => None,
        };
        let number = |key: &str| match find(key) {
            Some(Cbor::Number(n)) => Some(n),
            _ => None,
        };
        Some(Inner {
            value: bytes("Value")?,
            kind: number("ValidityType")?,
            validity: bytes("Validity")?,
            sequence: number("Sequence")?,
            ttl: number("TTL")?,
        })
    }
}

/// RFC 3339 in UTC with any number of decimals, as seconds since 1970.
fn time(text: &[u8]) -> Option<i64> {
    let body = text.strip_suffix(b"Z")?;
    let whole = body.split(|&b| b == b'.').next()?;
    let fraction = body.get(whole.len()..)?;
    let good = fraction.is_empty()
        || (fraction.len() > 1 && fraction.iter().skip(1).all(u8::is_ascii_digit));
    if whole.len() != 19 || !good || !matches!(whole.get(10), Some(b'T' | b't')) {
        return None;
    }
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| whole.get(at) != Some(&mark)) {
        return None;
    }
    let mut compact: Vec<u8> = whole
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'-' | b':'))
        .collect();
    compact.push(b'Z');
    crate::base::time::Timestamp::parse_compact(&compact).map(|t| t.0)
}

#[cfg(test)]
#[path = "ipns_tests.rs"]
mod tests;
