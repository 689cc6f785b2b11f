//! Varints and the wire form of protocol buffers, as far as IPFS uses them. Borrows everything from the input.

use crate::base::bytes::Cursor;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes: no field that matters has this form.
    Fixed,
}

/// The input is not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message in order. After an error it ends.
pub(crate) struct Fields<'a>(Cursor<'a>);

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Fields<'a> {
        Fields(Cursor::new(message))
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.0.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(varint(&mut self.0)?).ok()?;
                Value::Bytes(self.0.take(len)?)
            }
            5 => self.0.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        (key >> 3 > 0).then_some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.rest().is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = Cursor::new(&[]);
        }
        Some(field.ok_or(Malformed))
    }
}

/// A number of a protocol buffer: at most ten bytes, any form, cut to 64 bits.
pub(crate) fn varint(from: &mut Cursor<'_>) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = from.u8()?;
        if shift == 63 && byte > 1 {
            return None;
        }
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

/// A number of an identifier or archive: at most nine bytes and as short as can be.
pub(crate) fn short_varint(from: &mut Cursor<'_>) -> Option<u64> {
    let before = from.rest().len();
    let n = varint(from)?;
    let used = before - from.rest().len();
    let mut canonical = Vec::with_capacity(10);
    push_varint(&mut canonical, n);
    (used <= 9 && used == canonical.len()).then_some(n)
}

/// Appends a number in its shortest form.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f).to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}

/// Appends a field holding bytes; `field` below 16.
pub(crate) fn push_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push((field << 3) | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field holding a number; `field` below 16.
pub(crate) fn push_number(out: &mut Vec<u8>, field: u8, n: u64) {
    out.push(field << 3);
    push_varint(out, n);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for n in [0, 1, 127, 128, 300, 1 << 35, u64::MAX >> 1, u64::MAX] {
            let mut text = Vec::new();
            push_varint(&mut text, n);
            assert_eq!(varint(&mut Cursor::new(&text)), Some(n));
            let short = short_varint(&mut Cursor::new(&text));
            assert_eq!(short, (n <= u64::MAX >> 1).then_some(n));
            assert_eq!(varint(&mut Cursor::new(&text[..text.len() - 1])), None);
        }
        for bad in [&[0x80, 0][..], &[0x81, 0x80, 0]] {
            assert!(varint(&mut Cursor::new(bad)).is_some());
            assert_eq!(short_varint(&mut Cursor::new(bad)), None);
        }
        let mut long = [0xff; 11];
        assert_eq!(varint(&mut Cursor::new(&long)), None);
        long[9] = 2;
        assert_eq!(varint(&mut Cursor::new(&long)), None);
    }

    #[test]
    fn fields_and_their_limits() {
        let mut message = Vec::new();
        push_number(&mut message, 1, 300);
        push_bytes(&mut message, 2, b"ab");
        message.extend_from_slice(&[0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8]);
        let all: Result<Vec<_>, _> = Fields::of(&message).collect();
        let want = [
            (1, Value::Number(300)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Fixed),
            (4, Value::Fixed),
        ];
        assert_eq!(all.as_deref(), Ok(&want[..]));
        for bad in [
            &[0x0b][..],
            &[0x0a, 5, 1],
            &[0x00, 1],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert!(Fields::of(bad).any(|f| f.is_err()), "{bad:?}");
        }
    }
}
