//! Text for people: names made safe for a terminal, plurals, nearest known word.

use std::fmt::Write as _;

/// A name from outside (path, server text, file in a listing) in a form that is safe on a terminal and on one line.
///
/// Control characters, bidirectional overrides and invalid UTF-8 become `\n`, `\t`, `\xNN` or `\u{N}`; a backslash stays
/// as it is unless the name needed escaping elsewhere, so that ordinary names print unchanged.
pub(crate) fn safe(name: &[u8]) -> String {
    let plain = std::str::from_utf8(name).is_ok_and(|s| !s.chars().any(unsafe_char));
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\\' if !plain => out.push_str("\\\\"),
                c if unsafe_char(c) && u32::from(c) < 0x80 => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                c if unsafe_char(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

fn unsafe_char(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// As [`safe`], cut to at most `max` characters with `...` at the end.
pub(crate) fn safe_cut(text: &[u8], max: usize) -> String {
    let all = safe(text);
    if all.chars().count() <= max {
        return all;
    }
    let mut out: String = all.chars().take(max.saturating_sub(3)).collect();
    out.push_str("...");
    out
}

/// As [`safe_cut`], for what a person gave: of what holds a URL, which may have a secret in it, nothing after `://`.
pub(crate) fn safe_given(given: &str, max: usize) -> String {
    match given.split_once("://") {
        Some((scheme, _)) => safe_cut(format!("{scheme}://*").as_bytes(), max),
        None => safe_cut(given.as_bytes(), max),
    }
}

/// `1 file`, `2 files`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{n} {stem}ies"),
        _ if noun.ends_with('x') => format!("{n} {noun}es"),
        _ => format!("{n} {noun}s"),
    }
}

/// The word of `known` nearest to `word` (edit distance at most a third of its length, at least 1), if any.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (distance(word, k), k))
        .filter(|&(d, _)| d <= limit)
        .min_by_key(|&(d, _)| d)
        .map(|(_, k)| k)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_on_a_terminal() {
        assert_eq!(safe("plain \\ name é 語".as_bytes()), "plain \\ name é 語");
        assert_eq!(safe(b"a\nb\\c"), "a\\nb\\\\c");
        assert_eq!(safe(b"\x1b[31mred"), "\\x1b[31mred");
        assert_eq!(safe(b"bad\xff"), "bad\\xff");
        assert_eq!(safe("x\u{202e}y\u{85}".as_bytes()), "x\\u{202e}y\\u{85}");
        assert_eq!(safe_cut(b"0123456789", 6), "012...");
    }

    #[test]
    fn plurals() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(count(2, "entry"), "2 entries");
        assert_eq!(count(2, "index"), "2 indexes");
        assert_eq!(count(2, "day"), "2 days");
    }

    #[test]
    fn nearest_word() {
        let known = ["restore", "backup", "list"];
        assert_eq!(nearest("bakcup", known), Some("backup"));
        assert_eq!(nearest("lst", known), Some("list"));
        assert_eq!(nearest("xyzzy", known), None);
    }
}
