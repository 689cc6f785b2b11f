//! Writing JSON as a stream. The spelling is Duplicati's: compact, `/` and non-ASCII raw; U+0085, U+2028 and U+2029 escaped
//! like control characters (`format.md` 10.1).

use std::io::{self, Write};

/// Appends a quoted JSON string. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(is_escaped) {
            let (plain, tail) = rest.split_at(at);
            out.extend_from_slice(plain.as_bytes());
            let mut chars = tail.chars();
            match chars.next().unwrap_or_default() {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\u{8}' => out.extend_from_slice(b"\\b"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\u{c}' => out.extend_from_slice(b"\\f"),
                '\r' => out.extend_from_slice(b"\\r"),
                c => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            }
            rest = chars.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn is_escaped(c: char) -> bool {
    matches!(
        c,
        '"' | '\\' | '\0'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// A compact JSON document written piece by piece. Memory: one small buffer and one bit of state a level.
///
/// The caller keeps the structure right (a key before each value inside an object); nesting errors are not detected.
pub(crate) struct JsonWriter<W: Write> {
    out: W,
    buffer: Vec<u8>,
    /// One a level: nothing was written in it yet, and the byte that ends it.
    levels: Vec<(bool, u8)>,
    after_key: bool,
}

impl<W: Write> JsonWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        JsonWriter {
            out,
            buffer: Vec::new(),
            levels: vec![(true, b' ')],
            after_key: false,
        }
    }

    fn separate(&mut self) {
        if self.after_key {
            self.after_key = false;
        } else if let Some(level) = self.levels.last_mut() {
            if !level.0 {
                self.buffer.push(b',');
            }
            level.0 = false;
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn raw(&mut self, text: &str) -> io::Result<()> {
        self.separate();
        self.buffer.extend_from_slice(text.as_bytes());
        self.drain()
    }

    pub(crate) fn begin_object(&mut self) -> io::Result<()> {
        self.begin("{", b'}')
    }

    pub(crate) fn end_object(&mut self) -> io::Result<()> {
        self.end()
    }

    pub(crate) fn begin_array(&mut self) -> io::Result<()> {
        self.begin("[", b']')
    }

    pub(crate) fn end_array(&mut self) -> io::Result<()> {
        self.end()
    }

    fn begin(&mut self, open: &str, close: u8) -> io::Result<()> {
        self.raw(open)?;
        self.levels.push((true, close));
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.levels.len() > 1
            && let Some((_, close)) = self.levels.pop()
        {
            self.buffer.push(close);
        }
        self.drain()
    }

    /// Ends levels until `depth` are open (0 = none), so that a document broken off in the middle is one all the same.
    pub(crate) fn close_to(&mut self, depth: usize) -> io::Result<()> {
        if self.after_key {
            self.null()?;
        }
        while self.levels.len() > depth.saturating_add(1) {
            self.end()?;
        }
        Ok(())
    }

    pub(crate) fn key(&mut self, name: &str) -> io::Result<()> {
        self.separate();
        push_string(&mut self.buffer, name.as_bytes());
        self.buffer.push(b':');
        self.after_key = true;
        self.drain()
    }

    pub(crate) fn string(&mut self, text: &[u8]) -> io::Result<()> {
        self.separate();
        push_string(&mut self.buffer, text);
        self.drain()
    }

    pub(crate) fn number(&mut self, n: i128) -> io::Result<()> {
        self.raw(&n.to_string())
    }

    pub(crate) fn boolean(&mut self, b: bool) -> io::Result<()> {
        self.raw(if b { "true" } else { "false" })
    }

    pub(crate) fn null(&mut self) -> io::Result<()> {
        self.raw("null")
    }

    /// The inner writer; the document is complete when every level was ended.
    pub(crate) fn finish(self) -> W {
        self.out
    }

    /// The inner writer, for flushing in between.
    pub(crate) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_as_duplicati_spells_them() {
        let mut out = Vec::new();
        push_string(&mut out, "a/\"\\\n\u{1}é\u{2028}🔑".as_bytes());
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "\"a/\\\"\\\\\\n\\u0001é\\u2028🔑\""
        );
    }

    #[test]
    fn a_document_broken_off_can_be_closed() {
        let mut w = JsonWriter::new(Vec::new());
        let doc = (|| {
            w.begin_object()?;
            w.key("a")?;
            w.begin_array()?;
            w.begin_object()?;
            w.key("b")?;
            w.close_to(1)?;
            w.key("c")?;
            w.number(1)?;
            w.close_to(0)
        })();
        assert!(doc.is_ok());
        let text = String::from_utf8(w.finish()).expect("text");
        assert_eq!(text, "{\"a\":[{\"b\":null}],\"c\":1}");
    }

    #[test]
    fn documents_nest() {
        let mut w = JsonWriter::new(Vec::new());
        let doc = (|| {
            w.begin_object()?;
            w.key("a")?;
            w.begin_array()?;
            w.number(-1)?;
            w.begin_object()?;
            w.end_object()?;
            w.null()?;
            w.end_array()?;
            w.key("b")?;
            w.boolean(true)?;
            w.key("c")?;
            w.string(b"x\xff")?;
            w.end_object()
        })();
        assert!(doc.is_ok());
        assert_eq!(
            String::from_utf8(w.finish()).expect("text"),
            "{\"a\":[-1,{},null],\"b\":true,\"c\":\"x\u{fffd}\"}"
        );
    }
}
