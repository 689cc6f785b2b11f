//! JSON whose parts go from one text to another as they are: what is not understood stays.
//!
//! Only the shape is looked at (texts, brackets, commas); whether values are well-formed is the parser's matter.

use std::io::Read;

use crate::base::error::{Error, Result, unwrap_io};
use crate::format::BOM;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 32 << 10;
/// Longest element in bytes: more than the longest entry that a reader takes.
const ELEMENT_BYTES: usize = 32 << 20;

/// Follows brackets and texts, one octet after the other.
#[derive(Default)]
struct Shape {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Shape {
    fn step(&mut self, octet: u8) {
        if self.in_text {
            match octet {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match octet {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// The octet to come is outside of all brackets and texts.
    fn outside(&self) -> bool {
        self.depth == 0 && !self.in_text
    }
}

fn damaged() -> Error {
    Error::damaged("the file list is not a list of entries")
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// The elements of an array of objects, one after the other.
pub(crate) struct Elements<'r> {
    src: &'r mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
    begun: bool,
}

impl<'r> Elements<'r> {
    pub(crate) fn new(src: &'r mut dyn Read) -> Elements<'r> {
        Elements {
            src,
            buffer: Vec::new(),
            at: 0,
            begun: false,
        }
    }

    fn peek(&mut self) -> Result<Option<u8>> {
        if self.at == self.buffer.len() {
            self.buffer.resize(BUFFER_BYTES, 0);
            let n = loop {
                match self.src.read(&mut self.buffer) {
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    other => break other.map_err(unwrap_io)?,
                }
            };
            self.buffer.truncate(n);
            self.at = 0;
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// The next octet that is no space.
    fn token(&mut self) -> Result<Option<u8>> {
        while let Some(octet) = self.peek()? {
            if !is_space(octet) {
                return Ok(Some(octet));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn begin(&mut self) -> Result<()> {
        for octet in BOM {
            if self.peek()? != Some(*octet) {
                break;
            }
            self.at += 1;
        }
        match self.token()? {
            Some(b'[') => self.at += 1,
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// Puts the next element into `out`, as it is spelled; false after the last one, when all of the source was read.
    /// `Damaged` when the text ends early, or is no array of objects.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            self.begin()?;
        }
        let mut token = self.token()?;
        if token == Some(b']') {
            self.at += 1;
            return match self.token()? {
                None => Ok(false),
                Some(_) => Err(damaged()),
            };
        }
        if !first {
            if token != Some(b',') {
                return Err(damaged());
            }
            self.at += 1;
            token = self.token()?;
        }
        if token != Some(b'{') {
            return Err(damaged());
        }
        let mut shape = Shape::default();
        loop {
            if self.peek()?.is_none() {
                return Err(Error::damaged("the file list is cut short"));
            }
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let mut taken = 0;
            for &octet in rest {
                shape.step(octet);
                taken += 1;
                if shape.outside() {
                    break;
                }
            }
            out.extend_from_slice(rest.get(..taken).unwrap_or_default());
            self.at += taken;
            if out.len() > ELEMENT_BYTES {
                return Err(Error::damaged("an entry of the file list is too long"));
            }
            if shape.outside() {
                return Ok(true);
            }
        }
    }
}

/// Hands over every member of an object: its name, and `"name":value` as it is spelled. A BOM before the object is passed
/// over. `Damaged` when it is none.
pub(crate) fn members(raw: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
    let bad = || Error::damaged("an object was expected");
    let raw = raw.strip_prefix(BOM).unwrap_or(raw).trim_ascii();
    let inner = raw
        .strip_prefix(b"{")
        .and_then(|r| r.strip_suffix(b"}"))
        .ok_or_else(bad)?;
    let mut rest = inner.trim_ascii();
    while !rest.is_empty() {
        let mut shape = Shape::default();
        let mut end = rest.len();
        let mut colon = None;
        for (at, &octet) in rest.iter().enumerate() {
            if shape.outside() && octet == b',' {
                end = at;
                break;
            }
            if shape.outside() && octet == b':' && colon.is_none() {
                colon = Some(at);
            }
            shape.step(octet);
        }
        let member = rest.get(..end).unwrap_or_default().trim_ascii();
        let name = colon
            .and_then(|at| rest.get(..at))
            .map(<[u8]>::trim_ascii)
            .and_then(|n| serde_json::from_slice::<String>(n).ok())
            .ok_or_else(bad)?;
        each(name.as_bytes(), member);
        rest = rest.get(end + 1..).unwrap_or_default().trim_ascii();
    }
    Ok(())
}

/// The object with the value of `name` replaced by the text `value`, where it has such a member; all else stays.
pub(crate) fn with_text(raw: &[u8], name: &str, value: &str) -> Result<Vec<u8>> {
    let mut out = match raw.starts_with(BOM) {
        true => BOM.to_vec(),
        false => Vec::new(),
    };
    out.push(b'{');
    let start = out.len();
    members(raw, &mut |key, member| {
        if out.len() > start {
            out.push(b',');
        }
        if key == name.as_bytes() {
            crate::base::json::push_string(&mut out, key);
            out.push(b':');
            crate::base::json::push_string(&mut out, value.as_bytes());
        } else {
            out.extend_from_slice(member);
        }
    })?;
    out.push(b'}');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;

    fn elements(text: &[u8]) -> Result<Vec<String>> {
        let mut src = text;
        let mut all = Vec::new();
        let mut elements = Elements::new(&mut src);
        let mut one = Vec::new();
        while elements.next(&mut one)? {
            all.push(String::from_utf8_lossy(&one).into_owned());
        }
        Ok(all)
    }

    #[test]
    fn elements_come_as_they_are_spelled() {
        for (text, want) in [
            ("[]", vec![]),
            ("\u{feff}[]", vec![]),
            (
                " [ {} , {\"a\" : [1,{}]} ] ",
                vec!["{}", "{\"a\" : [1,{}]}"],
            ),
            (
                r#"[{"p":"]},\"\\"},{"q":"{["}]"#,
                vec![r#"{"p":"]},\"\\"}"#, r#"{"q":"{["}"#],
            ),
        ] {
            assert_eq!(elements(text.as_bytes()).expect(text), want, "{text}");
        }
        for bad in [
            "",
            "{}",
            "[",
            "[{}",
            "[{},",
            "[{},]",
            "[{} {}]",
            "[1]",
            "[{}]x",
            "[{\"a\":\"}]",
            "]",
        ] {
            let e = elements(bad.as_bytes()).expect_err(bad);
            assert_eq!(e.kind(), Kind::Damaged, "{bad}");
        }
    }

    #[test]
    fn members_come_with_their_names() {
        let mut all = Vec::new();
        let raw = br#"{ "a" : 1, "\u0062":"x,\"}" ,"c":{"d":[1,2]},"":null}"#;
        members(raw, &mut |name, member| {
            all.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(member).into_owned(),
            ));
        })
        .expect("an object");
        let want = [
            ("a", r#""a" : 1"#),
            ("b", r#""\u0062":"x,\"}""#),
            ("c", r#""c":{"d":[1,2]}"#),
            ("", r#""":null"#),
        ];
        assert_eq!(all.len(), want.len());
        for (got, want) in all.iter().zip(want) {
            assert_eq!((got.0.as_str(), got.1.as_str()), want);
        }
        for bad in ["", "[]", "{a:1}", "{\"a\"}", "{1}"] {
            assert!(members(bad.as_bytes(), &mut |_, _| {}).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_text_is_replaced_and_the_rest_stays() {
        let raw = "\u{feff}{\"Version\":2,\"Created\":\"old\",\"X\":{\"Created\":\"old\"}}";
        let got = with_text(raw.as_bytes(), "Created", "new").expect("an object");
        assert_eq!(
            String::from_utf8_lossy(&got),
            "\u{feff}{\"Version\":2,\"Created\":\"new\",\"X\":{\"Created\":\"old\"}}"
        );
        let got = with_text(b"{\"a\":1}", "Created", "new").expect("an object");
        assert_eq!(got, b"{\"a\":1}");
    }
}
