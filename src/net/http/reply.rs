//! A reply: its headers as values, its body as a stream (`destinations-core.md` 0.5).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::HeaderMap;

use crate::base::fault::Fault;
use crate::base::time::Civil;
use crate::net::http::BUFFER_BYTES;
use crate::net::http::fault::{Late, Place, io_fault};
use crate::net::http::wire::Glance;

/// Most of a body that is held between two writes.
const COPY_BYTES: usize = 4 * BUFFER_BYTES;
/// As much of an error body is read.
const ERROR_MAX_BYTES: u64 = 16 * 1024;

/// A reply whose body has not been read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Box<dyn Read>,
    /// When the body has to be at its end, and how long that was from its beginning.
    pub(super) deadline: Option<(Instant, Duration)>,
    /// It answers a listing request.
    pub(super) list: bool,
    /// Longest time for the body when it is not the transfer that was asked for.
    pub(super) patience: Duration,
    pub(super) place: Place,
    /// What lets its connection take only what has come; `None`: it has none of its own.
    pub(super) glance: Option<Arc<Glance>>,
}

impl Read for Reply {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some((_, bound)) = self.deadline.filter(|(end, _)| Instant::now() > *end) {
            let late = Late {
                bound,
                list: self.list,
            };
            return Err(io::Error::new(io::ErrorKind::TimedOut, late));
        }
        self.body.read(buf)
    }
}

impl Reply {
    /// A header's first value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first `Location`, with what may not stand in a URL percent-encoded.
    pub(crate) fn location(&self) -> Option<String> {
        let value = self.headers.get("location")?;
        let mut out = String::with_capacity(value.len());
        for &b in value.as_bytes().trim_ascii() {
            if b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b) {
                out.push(char::from(b));
            } else {
                out.push_str(&format!("%{b:02X}"));
            }
        }
        Some(out)
    }

    /// Every value of a header, in order; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn header_all(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter();
        values
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect()
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// First position and total length of a `Content-Range: bytes a-b/n`.
    pub(crate) fn content_range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = self
            .header("content-range")?
            .trim()
            .strip_prefix("bytes ")?
            .split_once('/')?;
        let start = range.split_once('-')?.0.trim().parse().ok()?;
        Some((start, total.trim().parse().ok()))
    }

    /// Total length of a `Content-Range: bytes */n`.
    pub(crate) fn range_total(&self) -> Option<u64> {
        let value = self.header("content-range")?;
        value.split_once('/')?.1.trim().parse().ok()
    }

    /// The server's clock, seconds since 1970.
    pub(crate) fn date(&self) -> Option<i64> {
        parse_date(self.header("date")?)
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let now = self
            .date()
            .unwrap_or_else(|| crate::base::time::Timestamp::now().0);
        let wait = parse_date(value)?.saturating_sub(now);
        u64::try_from(wait).ok().map(Duration::from_secs)
    }

    /// From here on the body is no transfer, which may take its time: it has to end soon.
    fn hurry(&mut self) {
        self.deadline
            .get_or_insert_with(|| (Instant::now() + self.patience, self.patience));
    }

    /// Up to 16 KiB of the body, whatever it is; less when it cannot be read.
    pub(crate) fn error_body(&mut self) -> Vec<u8> {
        self.hurry();
        let mut out = Vec::new();
        let _ = self.by_ref().take(ERROR_MAX_BYTES).read_to_end(&mut out);
        out
    }

    /// Reads a small body to its end so that the connection can be used again.
    pub(crate) fn finish(&mut self) -> std::result::Result<(), Fault> {
        self.hurry();
        let mut rest = [0; 512];
        for _ in 0..128 {
            match self.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(self.fault(&e)),
            }
        }
        Ok(())
    }

    /// The first `most` bytes of the body into `into`, what follows is left; bytes copied. Errors of `into` are
    /// [`Class::Local`].
    pub(crate) fn copy(
        &mut self,
        most: u64,
        into: &mut dyn Write,
    ) -> std::result::Result<u64, Fault> {
        let mut buffer = vec![0; COPY_BYTES];
        let (mut filled, mut total) = (0, 0u64);
        loop {
            let left = usize::try_from(most - total).unwrap_or(usize::MAX);
            let room = buffer.len().min(left);
            let read = self.read(&mut buffer[filled..room]);
            let n = read.as_ref().map_or(0, |&n| n);
            filled += n;
            // Few large writes while the network is fast, no delay while it is slow.
            if n < BUFFER_BYTES || filled + BUFFER_BYTES > room {
                into.write_all(&buffer[..filled]).map_err(Fault::local)?;
                total += filled as u64;
                filled = 0;
            }
            match read {
                Ok(0) => return Ok(total),
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(self.fault(&e)),
                _ => {}
            }
            if total == most {
                if self.content_length() == Some(total) {
                    // The connection is free only when its end was seen.
                    let _ = self.read(&mut [0]);
                }
                return Ok(total);
            }
        }
    }

    /// The fault of a body that could not be read.
    pub(crate) fn fault(&self, e: &io::Error) -> Fault {
        self.io_fault()(e)
    }

    /// As [`Reply::fault`], for a reader that took the reply over.
    pub(crate) fn io_fault(&self) -> impl Fn(&io::Error) -> Fault + use<> {
        let place = self.place.clone();
        move |e| io_fault(e, &place)
    }
}

/// A time as most services write it (`2024-01-31T12:34:56.789Z`, `20240131T123456Z`), with or without what follows the seconds:
/// seconds since 1970.
pub(crate) fn iso_time(text: &str) -> Option<i64> {
    let digits = text.trim().chars().filter(|c| *c != '-' && *c != ':');
    let digits: String = digits.take(15).collect();
    crate::base::time::Timestamp::parse_compact(format!("{digits}Z").as_bytes()).map(|t| t.0)
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`), seconds since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let mut words = text.split([' ', '-']).filter(|w| !w.is_empty());
    words.next()?;
    let day = words.next()?.parse().ok()?;
    let month = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|m| *m == month)?;
    let year = words
        .next()?
        .parse::<i64>()
        .ok()
        .filter(|y| (1970..10_000).contains(y))?;
    let mut time = words.next()?.split(':');
    let mut part = || time.next()?.parse::<u32>().ok();
    Civil {
        year,
        month: u32::try_from(month).ok()? + 1,
        day,
        hour: part()?,
        minute: part()?,
        second: part()?,
    }
    .to_unix()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Fri, 24 May 2013 00:00:00 GMT", Some(1_369_353_600)),
            ("06 Nov 1994", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), want, "{text}");
        }
        for (text, want) in [
            ("20130524T000000Z", Some(1_369_353_600)),
            (" 2013-05-24T00:00:00.123Z\n", Some(1_369_353_600)),
            ("2013-05-24T00:00:00.123456", Some(1_369_353_600)),
            ("2013-05-24T00:00:00+00:00", Some(1_369_353_600)),
            ("1970-01-02T00:00:01Z", Some(86_401)),
            ("1970-01-02", None),
            ("2013-05-24T00:00Z", None),
            ("\u{e9}970-01-02T00:00:01Z\u{e9}\u{e9}", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(iso_time(text), want, "{text}");
        }
    }
}
