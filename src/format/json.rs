//! Reading JSON from outside as a stream, with a cap on every value: the parts that the readers of this layer share.
//!
//! A [`Source`] counts the bytes of the value being read and fails when they are too many, so that nothing the parser collects
//! can grow without bound. Strings come as bytes: lone surrogates are kept in their generalised UTF-8 form.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde_core::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::base::digest::Hash;
use crate::base::error::{Error, Result, unwrap_io};
use crate::base::text;
use crate::format::BOM;

/// JSON bytes of one value: a path of 64 KiB with every byte escaped, and space around it.
const VALUE_BYTES: usize = 512 << 10;
/// JSON bytes of one value that is passed over.
const IGNORED_BYTES: usize = 16 << 20;
/// Bytes of a string other than a path.
pub(super) const TEXT_BYTES: usize = 4 << 10;

/// What is left of the bytes that the current value may take.
pub(super) type Allowance = Cell<usize>;

/// A buffered reader without the byte order mark that stops at the end of the [`Allowance`].
pub(super) struct Source<'a> {
    src: &'a mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    end: usize,
    left: &'a Allowance,
}

impl<'a> Source<'a> {
    /// Reads the first bytes.
    pub(super) fn new(src: &'a mut dyn Read, left: &'a Allowance) -> Result<Source<'a>> {
        renew(left);
        let mut source = Source {
            src,
            buffer: vec![0; 32 << 10],
            at: 0,
            end: 0,
            left,
        };
        while source.end < BOM.len() && source.more().map_err(unwrap_io)? {}
        if source.buffer.starts_with(BOM) && source.end >= BOM.len() {
            source.at = BOM.len();
        }
        Ok(source)
    }

    /// Appends to the buffer; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        loop {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.src.read(room) {
                Ok(n) => {
                    self.end += n.min(room.len());
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl Source<'_> {
    /// Refills an empty buffer; false at the end.
    #[cold]
    fn refill(&mut self) -> io::Result<bool> {
        (self.at, self.end) = (0, 0);
        self.more()
    }
}

impl Read for Source<'_> {
    /// One byte at a time, for that is how the parser reads.
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.end && !self.refill()? {
            return Ok(0);
        }
        let (Some(to), Some(&byte)) = (out.first_mut(), self.buffer.get(self.at)) else {
            return Ok(0);
        };
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(Error::damaged("it holds a value that is too long").into());
        };
        self.left.set(left);
        *to = byte;
        self.at += 1;
        Ok(1)
    }
}

/// A new value begins.
pub(super) fn renew(left: &Allowance) {
    left.set(VALUE_BYTES);
}

/// The parser's error as ours: a failed stream as it was, anything else as damage of `what`.
pub(super) fn failure(e: serde_json::Error, what: &str) -> Error {
    if e.is_io() {
        return unwrap_io(e.into());
    }
    let cause = text::safe_cut(e.to_string().as_bytes(), 160);
    Error::damaged(format!("{what} is not valid: {cause}"))
}

/// The next key of an object into `key`; false at its end.
pub(super) fn key<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
    key: &mut Vec<u8>,
) -> std::result::Result<bool, A::Error> {
    renew(left);
    key.clear();
    let seed = Text {
        out: key,
        max: VALUE_BYTES,
    };
    Ok(map.next_key_seed(seed)?.is_some())
}

/// A string into `out`; false for null.
pub(super) fn text<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
    out: &mut Vec<u8>,
    max: usize,
) -> std::result::Result<bool, A::Error> {
    renew(left);
    out.clear();
    map.next_value_seed(Text { out, max })
}

/// A whole number that is not negative, or `None` for null and any other scalar.
pub(super) fn number<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
) -> std::result::Result<Option<u64>, A::Error> {
    renew(left);
    map.next_value_seed(Number)
}

/// A hash in base64; `None` for null and the empty string; anything else is an error.
pub(super) fn hash<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
) -> std::result::Result<Option<Hash>, A::Error> {
    let mut out = Vec::new();
    if !text(map, left, &mut out, TEXT_BYTES)? {
        return Ok(None);
    }
    as_hash(&out)
}

/// An array of at most `max` hashes; null and empty ones in it are passed over (R18).
pub(super) fn hashes<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
    max: usize,
) -> std::result::Result<Vec<Hash>, A::Error> {
    renew(left);
    map.next_value_seed(Hashes { left, max })
}

/// Passes over a value.
pub(super) fn ignore<'de, A: MapAccess<'de>>(
    map: &mut A,
    left: &Allowance,
) -> std::result::Result<(), A::Error> {
    left.set(IGNORED_BYTES);
    map.next_value::<IgnoredAny>().map(drop)
}

fn as_hash<E: serde_core::de::Error>(text: &[u8]) -> std::result::Result<Option<Hash>, E> {
    if text.is_empty() {
        return Ok(None);
    }
    match Hash::from_base64(text) {
        Some(hash) => Ok(Some(hash)),
        None => Err(E::custom("a hash is not base64 of 16 to 64 bytes")),
    }
}

/// Text as bytes.
struct Text<'a> {
    out: &'a mut Vec<u8>,
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<bool, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Text<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_none<E>(self) -> std::result::Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> std::result::Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> std::result::Result<bool, D::Error> {
        from.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde_core::de::Error>(self, text: &[u8]) -> std::result::Result<bool, E> {
        if text.len() > self.max {
            return Err(E::custom("a string is too long"));
        }
        self.out.extend_from_slice(text);
        Ok(true)
    }
}

struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Number {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, n: u64) -> std::result::Result<Self::Value, E> {
        Ok(Some(n))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }
}

struct Hashes<'a> {
    left: &'a Allowance,
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Hashes<'_> {
    type Value = Vec<Hash>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Hashes<'_> {
    type Value = Vec<Hash>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of hashes")
    }

    fn visit_none<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_some<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut seq: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        let mut one = Vec::new();
        loop {
            renew(self.left);
            one.clear();
            let seed = Text {
                out: &mut one,
                max: TEXT_BYTES,
            };
            let Some(there) = seq.next_element_seed(seed)? else {
                return Ok(out);
            };
            if !there {
                continue;
            }
            if let Some(hash) = as_hash(&one)? {
                if out.len() >= self.max {
                    return Err(A::Error::custom("a list of hashes is too long"));
                }
                out.push(hash);
            }
        }
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
