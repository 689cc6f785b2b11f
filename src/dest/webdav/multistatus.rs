//! The answer to `PROPFIND` as a stream (`destinations-core.md` 4.3): one entry a `response`, nothing kept beyond it.

use std::io::{self, Read};

use crate::base::fault::{Class, Done, Fault};
use crate::base::time::Civil;
use crate::net::http::parse_date;
use crate::net::xml::{self, Step};

/// One `response`: what the server said about one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) href: String,
    pub(super) size: Option<u64>,
    /// Seconds since 1970.
    pub(super) modified: Option<i64>,
    pub(super) is_folder: bool,
    pub(super) free: Option<u64>,
    pub(super) used: Option<u64>,
    /// Its own status, if that is not a success.
    pub(super) refused: Option<u16>,
}

/// Properties of one `propstat` until its status is known.
#[derive(Default)]
struct Properties {
    size: Option<u64>,
    modified: Option<i64>,
    is_folder: bool,
    free: Option<u64>,
    used: Option<u64>,
    status: Option<u16>,
}

/// Passes on every `response`. An answer that is not a whole `multistatus` is a fault, [`Class::Protocol`].
pub(super) fn read(
    input: &mut dyn Read,
    io: &dyn Fn(&io::Error) -> Fault,
    each: &mut dyn FnMut(Item) -> Done<()>,
) -> Done<()> {
    let mut item = Item::default();
    let mut found = Properties::default();
    xml::read_in("DAV:", input, io, &mut |step| {
        let (path, text) = match step {
            Step::Open { path } => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match names[..] {
                    ["multistatus"] => {}
                    [other] => {
                        let shown = crate::base::text::safe_cut(other.as_bytes(), 40);
                        return Err(Fault::new(
                            Class::Protocol,
                            format!("the reply is XML but no WebDAV listing: <{shown}>"),
                        ));
                    }
                    [_, "response"] => item = Item::default(),
                    [_, "response", "propstat"] => found = Properties::default(),
                    [
                        _,
                        "response",
                        "propstat",
                        "prop",
                        "resourcetype",
                        "collection",
                    ] => {
                        found.is_folder = true;
                    }
                    _ => {}
                }
                return Ok(());
            }
            Step::Close { path, text } => (path, text),
        };
        if path.len() < 2 || path[1] != "response" {
            return Ok(());
        }
        let names: Vec<&str> = path.iter().skip(2).map(String::as_str).collect();
        let value = text.unwrap_or("");
        match names[..] {
            ["href"] if item.href.is_empty() => match text {
                Some(href) => href.clone_into(&mut item.href),
                None => item.href = "\u{fffd}".to_owned(),
            },
            ["status"] => item.refused = status(value).filter(|s| !(200..300).contains(s)),
            ["propstat", "status"] => found.status = status(value),
            ["propstat", "prop", "getcontentlength"] => found.size = value.parse().ok(),
            ["propstat", "prop", "getlastmodified"] => found.modified = date(value),
            ["propstat", "prop", "iscollection"] => {
                found.is_folder |= value == "1" || value.eq_ignore_ascii_case("true");
            }
            ["propstat", "prop", "quota-available-bytes"] => found.free = value.parse().ok(),
            ["propstat", "prop", "quota-used-bytes"] => found.used = value.parse().ok(),
            ["propstat"] => item.take(std::mem::take(&mut found)),
            [] => return each(std::mem::take(&mut item)),
            _ => {}
        }
        Ok(())
    })
}

impl Item {
    fn take(&mut self, found: Properties) {
        if found.status.is_some_and(|s| !(200..300).contains(&s)) {
            return;
        }
        self.size = self.size.or(found.size);
        self.modified = self.modified.or(found.modified);
        self.is_folder |= found.is_folder;
        self.free = self.free.or(found.free);
        self.used = self.used.or(found.used);
    }
}

/// `HTTP/1.1 404 Not Found`.
fn status(text: &str) -> Option<u16> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// RFC 1123, the older forms of HTTP, or ISO 8601.
fn date(text: &str) -> Option<i64> {
    parse_date(text)
        .or_else(|| iso(text))
        .or_else(|| asctime(text))
}

fn iso(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' '])?;
    let mut day = day.splitn(3, '-');
    let mut time = time.splitn(3, ':');
    let seconds = |t: &str| t.get(..2)?.parse().ok();
    Civil {
        year: day.next()?.parse().ok()?,
        month: day.next()?.parse().ok()?,
        day: day.next()?.parse().ok()?,
        hour: time.next()?.parse().ok()?,
        minute: time.next()?.parse().ok()?,
        second: seconds(time.next()?)?,
    }
    .to_unix()
}

/// `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [weekday, month, day, time, year] = words[..] else {
        return None;
    };
    parse_date(&format!("{weekday}, {day} {month} {year} {time} GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(xml: &str) -> Done<Vec<Item>> {
        let mut out = Vec::new();
        let io = |e: &io::Error| Fault::new(Class::Transient, e.to_string());
        read(&mut xml.as_bytes(), &io, &mut |item| {
            out.push(item);
            Ok(())
        })?;
        Ok(out)
    }

    const APACHE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/" xmlns:g0="DAV:">
<D:href>/basic/</D:href>
<D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype>
<lp1:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</lp1:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
<D:propstat><D:prop><g0:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
</D:response>
<D:response xmlns:lp1="DAV:"><D:href>/basic/a%20b+c&amp;d%c3%a9%23%25.bin</D:href>
<D:propstat><D:prop><lp1:resourcetype/><lp1:getcontentlength>3</lp1:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
</D:response></D:multistatus>"#;

    #[test]
    fn apache() {
        let found = items(APACHE).expect("good");
        assert_eq!(found.len(), 2);
        assert!(found[0].is_folder && found[0].size.is_none());
        assert_eq!(found[0].modified, Some(784_111_777));
        assert_eq!(found[1].href, "/basic/a%20b+c&d%c3%a9%23%25.bin");
        assert_eq!((found[1].is_folder, found[1].size), (false, Some(3)));
    }

    #[test]
    fn other_spellings() {
        let found = items(
            "\u{feff}<multistatus xmlns='DAV:' xmlns:a='DAV:' xmlns:o='other'>\
             <response><href><![CDATA[/x/]]></href><propstat><prop><iscollection>1</iscollection>\
             <getcontentlength>4096</getcontentlength></prop></propstat></response>\
             <a:response><a:href>/x/f</a:href><a:href>/x/g</a:href><a:propstat><a:status>HTTP/1.1 404 no</a:status>\
             <a:prop><a:getcontentlength>7</a:getcontentlength></a:prop></a:propstat><a:propstat><a:prop>\
             <a:getcontentlength> 8 </a:getcontentlength><o:getcontentlength>9</o:getcontentlength></a:prop></a:propstat></a:response>\
             <o:response><href>/no</href></o:response>\
             <response><href>/x/h</href><status>HTTP/1.1 423 Locked</status></response></multistatus>",
        )
        .expect("good");
        assert_eq!(found.len(), 3);
        assert!(found[0].is_folder);
        assert_eq!((found[1].href.as_str(), found[1].size), ("/x/f", Some(8)));
        assert_eq!(found[2].refused, Some(423));
    }

    #[test]
    fn dates() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun Nov  6 08:49:37 1994",
            "1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.5+00:00",
        ] {
            assert_eq!(date(text), Some(784_111_777), "{text}");
        }
        assert_eq!(date("yesterday"), None);
    }

    #[test]
    fn a_cut_answer_and_other_documents_are_faults() {
        for cut in 0..APACHE.len() {
            let e = items(&APACHE[..cut]).expect_err("cut");
            assert_eq!(e.class, Class::Protocol, "{cut}");
        }
        for xml in [
            "<html><body/></html>",
            "<D:multistatus/>",
            "<x:multistatus xmlns:x='other'/>",
            "not xml",
        ] {
            assert_eq!(items(xml).expect_err(xml).class, Class::Protocol);
        }
        assert!(
            items("<multistatus xmlns='DAV:'/>")
                .expect("good")
                .is_empty()
        );
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut seed = 9u64;
        for _ in 0..2000 {
            let mut data = APACHE.as_bytes().to_vec();
            for _ in 0..4 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 40).unwrap_or(0) % data.len();
                data[at] = b"<>&;/ \0:x"[usize::try_from(seed >> 20 & 0xff).unwrap_or(0) % 9];
            }
            let io = |e: &io::Error| Fault::new(Class::Transient, e.to_string());
            let _ = read(&mut data.as_slice(), &io, &mut |_| Ok(()));
        }
    }
}
