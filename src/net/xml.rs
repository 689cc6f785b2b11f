//! XML replies as a stream (`destinations-core.md` 10.2): elements by local name, leaf text, every size capped.
//!
//! Never reports a cut reply as whole; never expands an entity of a DTD; never holds more than one token and one text.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::base::fault::{Class, Fault};

/// Longest single token (tag, text piece, comment); shorter ones down to a buffer less may be refused too.
const TOKEN_MAX_BYTES: u64 = 64 * 1024;
/// Longest reply.
const REPLY_MAX_BYTES: u64 = 256 << 20;
const DEPTH_MAX: usize = 32;
/// Longest text of an element that is handed on.
const TEXT_MAX_BYTES: usize = 4 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;

/// One thing in a reply.
pub(crate) enum Step<'a> {
    /// An element begins; `path` ends with its local name.
    Open { path: &'a [String] },
    /// An element ends. `text` is its own text with white space trimmed; `None` when it is longer than 4 KiB.
    Close {
        path: &'a [String],
        text: Option<&'a str>,
    },
}

/// Reads a whole document. `fault` turns an I/O error of `input` into a fault; everything wrong with the XML itself is
/// [`Class::Protocol`], a reply that is too long [`Class::Endless`]. An error of `each` ends it.
pub(crate) fn read(
    mut input: impl Read,
    fault: &dyn Fn(&io::Error) -> Fault,
    each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    read_any(&mut input, (None, false), fault, each)
}

/// As [`read`]; an attribute is an element with `@` before its name, and its value the text.
#[cfg(any(feature = "dest-azure", feature = "dest-jottacloud"))]
pub(crate) fn read_all(
    mut input: impl Read,
    fault: &dyn Fn(&io::Error) -> Fault,
    each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    read_any(&mut input, (None, true), fault, each)
}

/// As [`read`], for elements of one namespace; the names of all others begin with `:`.
pub(crate) fn read_in(
    namespace: &str,
    mut input: impl Read,
    fault: &dyn Fn(&io::Error) -> Fault,
    each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    read_any(&mut input, (Some(namespace), false), fault, each)
}

// Takes any reader by reference: the parser is in the program once.
fn read_any(
    input: &mut dyn Read,
    (namespace, attributes): (Option<&str>, bool),
    fault: &dyn Fn(&io::Error) -> Fault,
    each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let capped = Capped {
        inner: BufReader::with_capacity(BUFFER_BYTES, input),
        token: 0,
        total: 0,
    };
    let mut reader = NsReader::from_reader(capped);
    let mut buffer = Vec::new();
    let mut state = State::default();
    loop {
        buffer.clear();
        reader.get_mut().token = 0;
        let event = reader.read_resolved_event_into(&mut buffer);
        let (bound, event) = event.map_err(|e| match e {
            XmlError::Io(e) => io_fault(&e, fault),
            _ => broken("it is not well-formed XML"),
        })?;
        let own = namespace
            .is_none_or(|wanted| matches!(bound, ResolveResult::Bound(ns) if ns.0 == wanted));
        match event {
            Event::Start(tag) => state.tag(own, &tag, attributes, each)?,
            Event::Empty(tag) => {
                state.tag(own, &tag, attributes, each)?;
                state.close(each)?;
            }
            Event::End(_) => state.close(each)?,
            Event::Text(text) => state.text(&text)?,
            Event::CData(text) => state.text(&text)?,
            Event::GeneralRef(name) => {
                let c = resolve(&name).ok_or_else(|| broken("it has an unknown entity"))?;
                state.text(c.encode_utf8(&mut [0; 4]))?;
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if state.path.is_empty() && state.root_seen {
        Ok(())
    } else {
        Err(broken("it ends in the middle"))
    }
}

fn broken(what: &str) -> Fault {
    Fault::new(
        Class::Protocol,
        format!("the server's XML reply cannot be used: {what}"),
    )
}

fn io_fault(e: &Arc<io::Error>, fault: &dyn Fn(&io::Error) -> Fault) -> Fault {
    match e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TooLong>())
    {
        Some(TooLong::Token) => broken("one of its parts is too long"),
        Some(TooLong::Reply) => Fault {
            class: Class::Endless,
            ..broken(&format!("it is longer than {} MiB", REPLY_MAX_BYTES >> 20))
        },
        None => fault(e),
    }
}

fn resolve(name: &str) -> Option<char> {
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some(c)
}

#[derive(Default)]
struct State {
    path: Vec<String>,
    text: String,
    too_long: bool,
    root_seen: bool,
}

impl State {
    /// The beginning of an element, with its attributes where those are wanted.
    fn tag(
        &mut self,
        own: bool,
        tag: &BytesStart<'_>,
        attributes: bool,
        each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.open(own, tag.local_name().as_ref(), each)?;
        for one in tag.attributes().filter(|_| attributes) {
            let one = one.map_err(|_| broken("it is not well-formed XML"))?;
            let value = one.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| broken("it has an unknown entity"))?;
            self.open(true, &format!("@{}", one.key.local_name().as_ref()), each)?;
            self.text(&value)?;
            self.close(each)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        own: bool,
        name: &str,
        each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.path.is_empty() && self.root_seen {
            return Err(broken("it has more than one root"));
        }
        if self.path.len() >= DEPTH_MAX {
            return Err(broken("its elements are nested too deep"));
        }
        self.root_seen = true;
        self.text.clear();
        self.too_long = false;
        let name = name.get(..name.len().min(256)).unwrap_or_default();
        self.path.push(if own {
            name.to_owned()
        } else {
            format!(":{name}")
        });
        each(Step::Open { path: &self.path })
    }

    fn close(&mut self, each: &mut dyn FnMut(Step<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let text = (!self.too_long).then(|| self.text.trim());
        each(Step::Close {
            path: &self.path,
            text,
        })?;
        self.text.clear();
        self.too_long = false;
        match self.path.pop() {
            Some(_) => Ok(()),
            None => Err(broken("it closes what was not opened")),
        }
    }

    fn text(&mut self, piece: &str) -> Result<(), Fault> {
        if self.path.is_empty() {
            let blank = piece.trim_start_matches('\u{feff}').trim().is_empty();
            return if blank {
                Ok(())
            } else {
                Err(broken("it has text outside its root"))
            };
        }
        if self.text.len() + piece.len() > TEXT_MAX_BYTES {
            self.too_long = true;
        } else {
            self.text.push_str(piece);
        }
        Ok(())
    }
}

/// Counts bytes since the last event and in all.
struct Capped<R> {
    inner: BufReader<R>,
    token: u64,
    total: u64,
}

#[derive(Debug)]
enum TooLong {
    Token,
    Reply,
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too long")
    }
}

impl std::error::Error for TooLong {}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut available = self.fill_buf()?;
        let n = available.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for Capped<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.token + BUFFER_BYTES as u64 > TOKEN_MAX_BYTES {
            return Err(io::Error::other(TooLong::Token));
        }
        if self.total > REPLY_MAX_BYTES {
            return Err(io::Error::other(TooLong::Reply));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.token += n as u64;
        self.total += n as u64;
        self.inner.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(xml: &[u8]) -> Result<Vec<String>, Fault> {
        let mut out = Vec::new();
        let io = |e: &io::Error| Fault::new(Class::Transient, e.to_string());
        read(xml, &io, &mut |step| {
            if let Step::Close { path, text } = step {
                out.push(format!("{}={}", path.join("/"), text.unwrap_or("-")));
            }
            Ok(())
        })?;
        Ok(out)
    }

    const LISTING: &str = concat!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><L xmlns=\"http://x/\">",
        "<C><Key>a&amp;b &#x27;c&#39; &lt;<![CDATA[<d>]]></Key><Size> 3 </Size></C><C/><n:T xmlns:n=\"y\">false</n:T></L>\n"
    );

    #[test]
    fn elements_by_local_name_with_their_text() {
        assert_eq!(
            leaves(LISTING.as_bytes()).expect("good"),
            [
                "L/C/Key=a&b 'c' <<d>",
                "L/C/Size=3",
                "L/C=",
                "L/C=",
                "L/T=false",
                "L="
            ]
        );
        let doctype = b"<!DOCTYPE x [<!ENTITY a \"b\">]><x>1</x>";
        assert_eq!(leaves(doctype).expect("good"), ["x=1"]);
    }

    #[test]
    fn namespaces_are_told_apart_whatever_their_prefix() {
        let xml = "<a xmlns='DAV:' xmlns:x='u'><x:b/><y:c xmlns:y='DAV:'/><d xmlns=''/><z:e/></a>";
        let mut out = Vec::new();
        let io = |e: &io::Error| Fault::new(Class::Transient, e.to_string());
        read_in("DAV:", xml.as_bytes(), &io, &mut |step| {
            if let Step::Open { path } = step {
                out.push(path.join("/"));
            }
            Ok(())
        })
        .expect("good");
        assert_eq!(out, ["a", "a/:b", "a/c", "a/:d", "a/:e"]);
    }

    #[test]
    fn a_cut_reply_is_never_whole() {
        let end = LISTING.trim_end().len();
        for cut in 0..end {
            let e = leaves(&LISTING.as_bytes()[..cut]).expect_err("cut");
            assert_eq!(e.class, Class::Protocol, "{cut}");
        }
    }

    #[test]
    fn hostile_replies_end_with_an_error() {
        let long = format!("<x>{}</x>", "y".repeat(70_000));
        let tag = format!("<x{}>", " a='b'".repeat(20_000));
        let deep = "<a>".repeat(1000);
        for bad in [
            long.as_str(),
            &tag,
            &deep,
            "<x>&bomb;</x>",
            "<x>&#xFFFFFFFF;</x>",
            "<x></y>",
            "<x/><x/>",
            "<x/>text",
            "text",
            "<html><body>hi",
            "",
            "   ",
        ] {
            let e = leaves(bad.as_bytes()).expect_err("bad");
            assert_eq!(e.class, Class::Protocol, "{}", &bad[..bad.len().min(20)]);
        }
        let e = leaves(b"<x>\xff\xfe</x>").expect_err("not UTF-8");
        assert_eq!(e.class, Class::Protocol);
        let text = format!("<x>{}</x>", "y".repeat(5000));
        assert_eq!(leaves(text.as_bytes()).expect("good"), ["x=-"]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut seed = 3u64;
        for _ in 0..3000 {
            let mut data = LISTING.as_bytes().to_vec();
            for _ in 0..4 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 40).unwrap_or(0) % data.len();
                data[at] = b"<>&;/ \0\xffx"[usize::try_from(seed >> 20 & 0xff).unwrap_or(0) % 9];
            }
            let _ = leaves(&data);
        }
    }
}
