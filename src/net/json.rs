//! JSON replies as a stream of events, each value capped (`destinations-core.md` 10.3): nothing of a reply is held but the path
//! to the current value and the value itself.
//!
//! The reply must be one complete value; what is cut, too deep or no JSON is [`Class::Protocol`], what is too long
//! [`Class::Endless`]. Bytes that are not
//! UTF-8 become U+007F, which no file name may hold, so that one bad name does not spoil a listing.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read};

use serde_core::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::base::fault::{Class, Fault};
use crate::base::text;

/// Longest string and number.
const TEXT_MAX_BYTES: usize = 8 << 10;
const KEY_MAX_BYTES: usize = 4 << 10;
/// JSON bytes of one token with the white space around it: a string of [`TEXT_MAX_BYTES`] with every byte escaped.
const TOKEN_MAX_BYTES: usize = 64 << 10;
const DEPTH_MAX: usize = 32;
/// Whole reply to a small question.
pub(crate) const SMALL_MAX_BYTES: u64 = 1 << 20;
/// Whole page of a listing.
pub(crate) const LIST_MAX_BYTES: u64 = 256 << 20;
/// Stands for a byte that is not UTF-8.
const BAD_BYTE: u8 = 0x7f;

/// JSON in the ASCII that a header may hold.
#[cfg(feature = "dest-dropbox")]
pub(crate) fn in_header(value: &serde_json::Value) -> String {
    let mut out = String::new();
    for unit in value.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte < 0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

/// A value that is neither array nor object.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// Whole and not negative.
    Number(u64),
    /// Negative.
    Other,
    /// Not whole.
    Real(f64),
    Text(&'a str),
}

impl Value<'_> {
    /// Text; `None` for anything else.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What was just read. Paths are keys from the root; elements of an array have the key `[]`.
pub(crate) enum Step<'a> {
    /// An object or array begins.
    Open { path: &'a [String] },
    /// A value that is neither.
    Value {
        path: &'a [String],
        value: Value<'a>,
    },
    /// An object or array has ended.
    Close { path: &'a [String] },
}

/// Called for each step; its fault ends the reading.
type Each<'a> = dyn FnMut(Step<'_>) -> Result<(), Fault> + 'a;

/// Reads one JSON value of at most `max` bytes to its end. `io` makes the fault of a reader's error.
pub(crate) fn read(
    input: &mut dyn Read,
    max: u64,
    io: &dyn Fn(&io::Error) -> Fault,
    each: &mut Each<'_>,
) -> Result<(), Fault> {
    let left = Cell::new(TOKEN_MAX_BYTES);
    let total = Cell::new(0);
    let failed = RefCell::new(None);
    let source = Source {
        input,
        buffer: Box::new([0; 4096]),
        at: 0,
        ready: 0,
        end: 0,
        over: false,
        left: &left,
        total: &total,
        max,
        failed: &failed,
        io,
    };
    let mut walk = Walk {
        path: Vec::new(),
        left: &left,
        failed: &failed,
        each,
    };
    let mut parser = serde_json::Deserializer::from_reader(source);
    let done = Node(&mut walk)
        .deserialize(&mut parser)
        .and_then(|()| parser.end());
    let Err(e) = done else {
        return Ok(());
    };
    if let Some(fault) = failed.take() {
        return Err(fault);
    }
    Err(Fault::new(
        Class::Protocol,
        format!(
            "the reply of {} bytes is not complete JSON: {}",
            total.get(),
            text::safe_cut(e.to_string().as_bytes(), 120)
        ),
    ))
}

/// A buffered reader that counts, stops at the limits, and makes everything UTF-8.
struct Source<'a> {
    input: &'a mut dyn Read,
    buffer: Box<[u8; 4096]>,
    at: usize,
    /// End of what is known to be UTF-8.
    ready: usize,
    /// End of what was read: at most three bytes of a character that is not complete.
    end: usize,
    /// The input has ended.
    over: bool,
    left: &'a Cell<usize>,
    total: &'a Cell<u64>,
    max: u64,
    failed: &'a RefCell<Option<Fault>>,
    io: &'a dyn Fn(&io::Error) -> Fault,
}

impl Source<'_> {
    /// False at the end.
    #[cold]
    fn refill(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.ready..self.end, 0);
        self.end -= self.ready;
        (self.at, self.ready) = (0, 0);
        while self.ready == 0 && !(self.over && self.end == 0) {
            if !self.over {
                match self.input.read(&mut self.buffer[self.end..]) {
                    Ok(n) => {
                        self.end += n;
                        self.over = n == 0;
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(self.fail((self.io)(&e))),
                }
            }
            self.repair();
        }
        Ok(self.ready > 0)
    }

    /// Replaces what is not UTF-8 and moves `ready` up to a character that is not complete.
    fn repair(&mut self) {
        while self.ready < self.end {
            match std::str::from_utf8(&self.buffer[self.ready..self.end]) {
                Ok(_) => self.ready = self.end,
                Err(e) => {
                    self.ready += e.valid_up_to();
                    let bad = match e.error_len() {
                        Some(n) => n,
                        None if self.over => self.end - self.ready,
                        None => return,
                    };
                    self.buffer[self.ready..self.ready + bad].fill(BAD_BYTE);
                    self.ready += bad;
                }
            }
        }
    }

    fn fail(&self, fault: Fault) -> io::Error {
        self.failed.borrow_mut().get_or_insert(fault);
        io::Error::other("failed")
    }
}

impl Read for Source<'_> {
    /// One byte at a time, for that is how the parser reads.
    #[inline]
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.ready && !self.refill()? {
            return Ok(0);
        }
        let Some(to) = out.first_mut() else {
            return Ok(0);
        };
        let left = self.left.get();
        let total = self.total.get();
        if left == 0 || total >= self.max {
            let (class, what) = match left {
                0 => (Class::Protocol, "a value in it is too long".to_owned()),
                _ => (
                    Class::Endless,
                    format!("it is longer than {} MiB", self.max >> 20),
                ),
            };
            return Err(self.fail(Fault::new(
                class,
                format!("the reply cannot be used, {what}"),
            )));
        }
        self.left.set(left - 1);
        self.total.set(total + 1);
        *to = self.buffer[self.at];
        self.at += 1;
        Ok(1)
    }
}

/// Where the reading is.
struct Walk<'a, 'b> {
    path: Vec<String>,
    left: &'a Cell<usize>,
    failed: &'a RefCell<Option<Fault>>,
    each: &'a mut Each<'b>,
}

impl Walk<'_, '_> {
    fn renew(&self) {
        self.left.set(TOKEN_MAX_BYTES);
    }

    fn tell<E: serde_core::de::Error>(&mut self, step: Step<'_>) -> Result<(), E> {
        (self.each)(step).map_err(|fault| {
            self.failed.borrow_mut().get_or_insert(fault);
            E::custom("given up")
        })
    }

    fn value<E: serde_core::de::Error>(&mut self, value: Value<'_>) -> Result<(), E> {
        let path = std::mem::take(&mut self.path);
        let done = self.tell(Step::Value { path: &path, value });
        self.path = path;
        done
    }

    /// An object or array begins (`true`) or has ended.
    fn border<E: serde_core::de::Error>(&mut self, open: bool) -> Result<(), E> {
        if self.path.len() > DEPTH_MAX {
            return Err(E::custom("it is nested too deep"));
        }
        let path = std::mem::take(&mut self.path);
        let done = self.tell(if open {
            Step::Open { path: &path }
        } else {
            Step::Close { path: &path }
        });
        self.path = path;
        done
    }
}

/// Any value.
struct Node<'a, 'b, 'c>(&'a mut Walk<'b, 'c>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        self.0.renew();
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: serde_core::de::Error>(self) -> Result<(), E> {
        self.0.value(Value::Null)
    }

    fn visit_bool<E: serde_core::de::Error>(self, b: bool) -> Result<(), E> {
        self.0.value(Value::Bool(b))
    }

    fn visit_u64<E: serde_core::de::Error>(self, n: u64) -> Result<(), E> {
        self.0.value(Value::Number(n))
    }

    fn visit_i64<E: serde_core::de::Error>(self, _: i64) -> Result<(), E> {
        self.0.value(Value::Other)
    }

    fn visit_f64<E: serde_core::de::Error>(self, n: f64) -> Result<(), E> {
        self.0.value(Value::Real(n))
    }

    fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<(), E> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(E::custom("a string is too long"));
        }
        self.0.value(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.border(true)?;
        self.0.path.push("[]".to_owned());
        loop {
            self.0.renew();
            if seq.next_element_seed(Node(self.0))?.is_none() {
                break;
            }
        }
        self.0.path.pop();
        self.0.border(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.border(true)?;
        loop {
            self.0.renew();
            let Some(key) = map.next_key_seed(Key)? else {
                break;
            };
            self.0.path.push(key);
            self.0.renew();
            map.next_value_seed(Node(self.0))?;
            self.0.path.pop();
        }
        self.0.border(false)
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde_core::de::Error>(self, key: &str) -> Result<String, E> {
        if key.len() > KEY_MAX_BYTES {
            return Err(E::custom("a key is too long"));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
