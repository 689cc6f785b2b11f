//! The part of DAG-CBOR that name records use: one map from text to numbers, bytes and text. Other values are skipped.

use crate::base::bytes::Cursor;

const ENTRIES_MAX: usize = 64;
const DEPTH_MAX: u32 = 8;

/// A value of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// Anything else, well-formed.
    Other,
}

/// The entries of a map that is all of `input`; `None` unless every byte is accounted for and no key comes twice.
pub(crate) fn map(input: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let mut from = Cursor::new(input);
    let (major, count) = head(&mut from)?;
    let count = usize::try_from(count).ok()?;
    if major != 5 || count > ENTRIES_MAX {
        return None;
    }
    let mut out: Vec<(&str, Value<'_>)> = Vec::with_capacity(count);
    for _ in 0..count {
        let Value::Text(key) = value(&mut from, 0)? else {
            return None;
        };
        if out.iter().any(|(k, _)| *k == key) {
            return None;
        }
        out.push((key, value(&mut from, 0)?));
    }
    from.rest().is_empty().then_some(out)
}

/// Major type and argument in its shortest form; no indefinite lengths.
fn head(from: &mut Cursor<'_>) -> Option<(u8, u64)> {
    let first = from.u8()?;
    let (n, least) = match first & 31 {
        n @ 0..=23 => (u64::from(n), 0),
        24 => (u64::from(from.u8()?), 24),
        25 => (u64::from(from.u16_be()?), 1 << 8),
        26 => (u64::from(from.u32_be()?), 1 << 16),
        27 => (from.u64_be()?, 1 << 32),
        _ => return None,
    };
    (n >= least || first >> 5 == 7).then_some((first >> 5, n))
}

fn value<'a>(from: &mut Cursor<'a>, depth: u32) -> Option<Value<'a>> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (major, n) = head(from)?;
    Some(match major {
        0 => Value::Number(n),
        2 => Value::Bytes(from.take(usize::try_from(n).ok()?)?),
        3 => {
            let bytes = from.take(usize::try_from(n).ok()?)?;
            Value::Text(std::str::from_utf8(bytes).ok()?)
        }
        4 | 5 => {
            let values = n.checked_mul(u64::from(major) - 3)?;
            for _ in 0..values {
                value(from, depth + 1)?;
            }
            Value::Other
        }
        6 => value(from, depth + 1).map(|_| Value::Other)?,
        _ => Value::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        let input =
            b"\xa5\x61a\x18\x64\x61b\x42\x01\x02\x61c\x62hi\x61d\x82\x01\xa1\x61x\xf6\x61e\x20";
        let want = [
            ("a", Value::Number(100)),
            ("b", Value::Bytes(&[1, 2])),
            ("c", Value::Text("hi")),
            ("d", Value::Other),
            ("e", Value::Other),
        ];
        assert_eq!(map(input).as_deref(), Some(&want[..]));
        for cut in 0..input.len() {
            assert_eq!(map(&input[..cut]), None, "{cut}");
        }
        assert_eq!(map(b"\xa0").as_deref(), Some(&[][..]));
    }

    #[test]
    fn what_is_refused() {
        let deep = [&b"\xa1\x61a"[..], &[0x81; 20], b"\x00"].concat();
        for bad in [
            &b"\xa0\x00"[..],
            b"\x80",
            b"\xa1\x01\x01",
            b"\xa2\x61a\x01\x61a\x02",
            b"\xa1\x61a\x18\x01",
            b"\xbf\xff",
            b"\xa1\x61a\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61\xff\x01",
            &deep,
        ] {
            assert_eq!(map(bad), None, "{bad:?}");
        }
    }
}
