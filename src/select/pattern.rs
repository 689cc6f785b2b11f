//! One pattern in any of the forms of `commands.md` 6.1. A pattern fits the whole path or not.

use regex_lite::{Regex, RegexBuilder};

use super::glob::{Fold, equal, matches};
use super::groups;
use super::translate::translate;
use crate::base::error::{Error, Result};
use crate::base::text::safe_cut;

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

impl Case {
    /// True when two names are the same.
    pub(crate) fn same(self, a: &[u8], b: &[u8]) -> bool {
        equal(a, b, self.fold())
    }

    pub(super) fn fold(self) -> Fold {
        match self {
            Case::Sensitive => Fold::Exact,
            Case::Insensitive => Fold::Letters,
        }
    }
}

/// True for a path stored by Windows: `C:\…` or `\\server\…`.
pub(super) fn is_windows(path: &[u8]) -> bool {
    path.starts_with(b"\\\\")
        || matches!(path, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

pub(super) enum Pattern {
    Regex {
        exact: Box<Regex>,
        folded: Box<Regex>,
    },
    Literal(Vec<u8>),
    Glob(Vec<u8>),
    /// Last component is this literal.
    Last(Vec<u8>),
    Group(Vec<Pattern>),
}

impl Pattern {
    /// `text` as given; a mistake is a `Usage` error that names it.
    pub(super) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Pattern> {
        let refuse = |why: String| {
            let shown = safe_cut(text.as_bytes(), 80);
            Err(Error::usage(format!("filter {shown} is not valid: {why}")))
        };
        if text.is_empty() {
            let e = Error::usage("a filter is empty");
            return Err(e.hint("is a variable of the shell not set?"));
        }
        if text == "@" {
            return refuse("it is empty".to_owned());
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return match regex(inner) {
                Ok(pattern) => Ok(pattern),
                Err(why) => refuse(why),
            };
        }
        if let Some(names) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            return match groups::expand(names, env) {
                Ok(list) => Ok(Pattern::Group(list.iter().map(|p| plain(p)).collect())),
                Err(name) => refuse(format!(
                    "there is no filter group named '{}'",
                    safe_cut(name.as_bytes(), 40)
                )),
            };
        }
        match text.strip_prefix('@') {
            Some(literal) => Ok(Pattern::Literal(literal.as_bytes().to_vec())),
            None => Ok(plain(text)),
        }
    }

    pub(super) fn matches(&self, path: &[u8], fold: Fold) -> bool {
        match self {
            Pattern::Regex { exact, folded } => {
                let Ok(text) = std::str::from_utf8(path) else {
                    return false;
                };
                match fold {
                    Fold::Exact => exact.is_match(text),
                    Fold::Letters => folded.is_match(text),
                    Fold::Windows => {
                        folded.is_match(text) || folded.is_match(&text.replace('\\', "/"))
                    }
                }
            }
            Pattern::Literal(text) => equal(text, path, fold),
            Pattern::Glob(glob) => matches(glob, path, fold),
            Pattern::Last(name) => {
                let is_end = |c: &u8| *c == b'/' || (fold == Fold::Windows && *c == b'\\');
                let path = match path.split_last() {
                    Some((last, rest)) if is_end(last) => rest,
                    _ => path,
                };
                let start = path.iter().rposition(is_end).map_or(0, |i| i + 1);
                equal(name, &path[start..], fold)
            }
            Pattern::Group(all) => all.iter().any(|p| p.matches(path, fold)),
        }
    }

    /// True for `*` and `[.*]`.
    pub(super) fn is_everything(&self) -> bool {
        match self {
            Pattern::Glob(glob) => glob.iter().all(|&c| c == b'*'),
            Pattern::Regex { exact, .. } => exact.as_str() == anchored(".*"),
            _ => false,
        }
    }
}

fn plain(text: &str) -> Pattern {
    let bytes = text.as_bytes().to_vec();
    if text.contains(['*', '?']) {
        Pattern::Glob(bytes)
    } else {
        Pattern::Literal(bytes)
    }
}

fn anchored(text: &str) -> String {
    format!("\\A(?:{text})\\z")
}

fn regex(text: &str) -> std::result::Result<Pattern, String> {
    let said = |e: regex_lite::Error| safe_cut(e.to_string().as_bytes(), 120);
    let build = |fold| {
        let text = translate(text, fold)
            .map_err(|what| format!("{what} cannot be used in regular expressions here"))?;
        // Alone as well: with the anchors around it `a)|(b` would seem balanced.
        Regex::new(&text).map_err(said)?;
        RegexBuilder::new(&anchored(&text))
            .dot_matches_new_line(true)
            .case_insensitive(fold)
            .size_limit(1 << 20)
            .build()
            .map(Box::new)
            .map_err(said)
    };
    Ok(Pattern::Regex {
        exact: build(false)?,
        folded: build(true)?,
    })
}
