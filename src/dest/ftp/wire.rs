//! What a server says, taken apart (RFC 959, 2389, 2428, 3659): replies, ports, folders, lines of listings. All of it is hostile
//! input; nothing here talks to anybody.

use crate::base::time::Timestamp;

/// Longest reply, in bytes.
pub(super) const REPLY_MAX: usize = 64 << 10;

/// A reply: three digits and what is said with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// Without the digits of the first and the last line.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// True for a reply that says that it is done.
    pub(super) fn is_good(&self) -> bool {
        self.code / 100 == 2
    }

    /// What the last line says; that of the first where the last is empty.
    pub(super) fn message(&self) -> &str {
        let mut lines = self.lines.iter().rev().map(|l| l.trim());
        lines.find(|l| !l.is_empty()).unwrap_or("")
    }

    /// All that it says, for messages: of several lines any may have the reason.
    pub(super) fn said(&self) -> String {
        let lines = self.lines.iter().map(|l| l.trim());
        let lines: Vec<&str> = lines.filter(|l| !l.is_empty()).collect();
        lines.join("; ")
    }

    /// True when one of these words (lower case) stands in it.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        let mut lines = self.lines.iter().map(|l| l.to_ascii_lowercase());
        lines.any(|l| words.iter().any(|w| l.contains(w)))
    }
}

/// What came in place of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// A reply of which lines are still to come.
#[derive(Default)]
pub(super) struct Replies {
    reply: Reply,
    bytes: usize,
}

impl Replies {
    /// Takes a line; true when the reply is whole, which [`Replies::take`] then gives.
    pub(super) fn push(&mut self, line: &str) -> Result<bool, Garbled> {
        self.bytes += line.len() + 1;
        if self.bytes > REPLY_MAX {
            return Err(Garbled);
        }
        let digits = line
            .get(..3)
            .filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        let code = digits.and_then(|d| d.parse::<u16>().ok());
        let after = line.as_bytes().get(3);
        let first = self.reply.lines.is_empty();
        match (code, after) {
            (Some(code), None | Some(b' ' | b'-'))
                if first && (100..700).contains(&code) || !first && code == self.reply.code =>
            {
                self.reply.code = code;
                self.reply
                    .lines
                    .push(line.get(4..).unwrap_or("").to_owned());
                Ok(after != Some(&b'-'))
            }
            _ if first => Err(Garbled),
            _ => {
                self.reply.lines.push(line.to_owned());
                Ok(false)
            }
        }
    }

    pub(super) fn take(&mut self) -> Reply {
        self.bytes = 0;
        std::mem::take(&mut self.reply)
    }
}

/// The port in the reply to `EPSV`: `(|||port|)` with any sign in place of `|`.
pub(super) fn epsv_port(text: &str) -> Option<u16> {
    let inner = text.split_once('(')?.1.rsplit_once(')')?.0;
    let sign = inner.chars().next().filter(|c| !c.is_ascii_digit())?;
    let mut parts = inner.split(sign);
    let empty = [parts.next()?, parts.next()?, parts.next()?];
    let port = parts.next()?;
    // Some name themselves in front of the port; that is not looked at.
    let well = empty[0].is_empty() && parts.next() == Some("");
    port.parse().ok().filter(|&port| well && port > 0)
}

/// The port in the reply to `PASV`: the last two of six numbers. The address before it is not believed, for many servers behind a
/// router name one that nobody reaches, and others could send us anywhere.
pub(super) fn pasv_port(text: &str) -> Option<u16> {
    let mut numbers = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_digit() && c != ',') {
        let parts: Vec<&str> = word.split(',').collect();
        if parts.len() == 6 {
            let found: Option<Vec<u8>> = parts.iter().map(|p| p.parse().ok()).collect();
            numbers = found?;
            break;
        }
    }
    let &[_, _, _, _, high, low] = numbers.as_slice() else {
        return None;
    };
    let port = u16::from_be_bytes([high, low]);
    (port > 0).then_some(port)
}

/// The folder in the reply to `PWD`: in quotes, a quote in it doubled.
pub(super) fn quoted(text: &str) -> Option<String> {
    let mut rest = text.split_once('"')?.1;
    let mut out = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        out.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                out.push('"');
                rest = after;
            }
            None => return Some(out),
        }
    }
}

/// The time in the reply to `MDTM` and in `modify=`: `YYYYMMDDHHMMSS`, perhaps with a fraction, in UTC.
pub(super) fn time(text: &str) -> Option<i64> {
    let (day, clock) = text.get(..14)?.split_at(8);
    Timestamp::parse_compact(format!("{day}T{clock}Z").as_bytes()).map(|t| t.0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    /// To what, only the server knows.
    Link,
    /// A device and the like, or the folder itself.
    Other,
}

/// A line of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) what: What,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<i64>,
}

/// A line in the form of RFC 3659: facts, one space, the name.
pub(super) fn facts(line: &str) -> Option<Line> {
    let (facts, name) = line.split_once(' ')?;
    if name.is_empty() || !facts.ends_with(';') {
        return None;
    }
    let mut found = Line {
        name: name.to_owned(),
        what: What::File,
        size: None,
        modified: None,
    };
    for fact in facts.split_terminator(';') {
        let (key, value) = fact.split_once('=')?;
        match key.to_ascii_lowercase().as_str() {
            "type" => {
                let value = value.to_ascii_lowercase();
                found.what = match value.as_str() {
                    "file" => What::File,
                    "dir" => What::Folder,
                    _ if value.starts_with("os.unix=s") => What::Link,
                    _ => What::Other,
                };
            }
            "size" => found.size = value.parse().ok(),
            "modify" => found.modified = time(value),
            _ => {}
        }
    }
    Some(found)
}

/// A line as `ls -l` or a Windows server writes it. Its time is in a zone that nobody states, and is left out.
pub(super) fn listed(line: &str) -> Option<Line> {
    let words = words(line);
    dos(line, &words).or_else(|| unix(line, &words))
}

/// The words of a line with the place where each ends.
fn words(line: &str) -> Vec<(&str, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    // A name follows on the tenth word at most.
    while out.len() < 12
        && let Some(start) = line[at..].find(|c| c != ' ').map(|n| at + n)
    {
        let end = line[start..].find(' ').map_or(line.len(), |n| start + n);
        out.push((&line[start..end], end));
        at = end;
    }
    out
}

fn is_number(word: &str, lens: std::ops::RangeInclusive<usize>) -> bool {
    lens.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
}

/// What stands after one space behind the word that ends at `end`.
fn name_after(line: &str, end: usize) -> Option<&str> {
    line.get(end + 1..).filter(|name| !name.is_empty())
}

/// `-rw-r--r-- 1 owner group size Mon day time-or-year name`, with or without the group or the links; also with an ISO date.
fn unix(line: &str, words: &[(&str, usize)]) -> Option<Line> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let mode = words.first()?.0;
    let what = match mode.bytes().next()? {
        b'-' => What::File,
        b'd' => What::Folder,
        b'l' => What::Link,
        b'b' | b'c' | b'p' | b's' => What::Other,
        _ => return None,
    };
    if mode.len() < 10 {
        return None;
    }
    for at in 2..words.len() {
        let Ok(size) = words[at - 1].0.parse::<u64>() else {
            continue;
        };
        let word = |n: usize| words.get(at + n).map_or("", |w| w.0);
        let is_time = |w: &str| w.contains(':') || is_number(w, 4..=4);
        let month = MONTHS.contains(&word(0).to_ascii_lowercase().as_str());
        let last = if month && is_number(word(1), 1..=2) && is_time(word(2)) {
            at + 2
        } else if word(0).len() == 10 && time_of_day(word(0), '-') && word(1).contains(':') {
            at + 1
        } else {
            continue;
        };
        let mut name = name_after(line, words[last].1)?;
        if what == What::Link {
            name = name.split_once(" -> ").map_or(name, |(name, _)| name);
        }
        return Some(Line {
            name: name.to_owned(),
            what,
            size: (what == What::File).then_some(size),
            modified: None,
        });
    }
    None
}

/// Numbers with this sign between them: a date.
fn time_of_day(word: &str, sign: char) -> bool {
    word.split(sign).count() == 3 && word.split(sign).all(|part| is_number(part, 1..=4))
}

/// `MM-DD-YY  HH:MMAM  <DIR> or size  name`.
fn dos(line: &str, words: &[(&str, usize)]) -> Option<Line> {
    let [(day, _), (clock, _), (size, end), ..] = *words else {
        return None;
    };
    if !time_of_day(day, '-') || !clock.contains(':') {
        return None;
    }
    let name = name_after(line, end)?;
    let (what, size, name) = match size {
        "<DIR>" => (What::Folder, None, name.trim_start()),
        size if size.starts_with('<') => (What::Other, None, name.trim_start()),
        size => (What::File, Some(size.replace(',', "").parse().ok()?), name),
    };
    Some(Line {
        name: name.to_owned(),
        what,
        size,
        modified: None,
    })
}

/// These bytes as replies and as lines of listings, for the fuzz program.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(data: &[u8]) {
    let mut replies = Replies::default();
    for line in String::from_utf8_lossy(data).lines() {
        match replies.push(line) {
            Ok(false) => {}
            Ok(true) => {
                let reply = replies.take();
                assert!((100..700).contains(&reply.code), "three digits");
                let text = reply.message();
                drop((epsv_port(text), pasv_port(text), quoted(text), time(text)));
            }
            Err(_) => drop(replies.take()),
        }
        for found in [facts(line), listed(line)].into_iter().flatten() {
            assert!(line.contains(&found.name) && !found.name.is_empty());
        }
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
