//! The words after the URL of list, find, restore and purge: what a user calls the files and folders that are meant.
//!
//! A word is tried in turn as a path below the current folder (`./x`, `../x`), as an exact name or path, whole or from any
//! folder on, of a file or of a folder with all that is in it, then as a pattern, then with composed and decomposed characters
//! taken as the same. The first of these that fits anything in a version decides there: [`Best`] keeps which it is.
//!
//! A purge judges each entry by itself ([`Selection::takes`]): of what a word finds it takes what is called so, not what lies in a
//! folder that is.

use std::path::{Component, Path, PathBuf};

use super::compose::decomposed;
use super::glob::{Fold, equal};
use super::pattern::{Case, Pattern, is_windows};
use crate::base::error::{Error, Result};

/// A word by its number, and in which turn it fits: lower turns come first.
pub(crate) type Fit = (u32, u8);

const HERE: u8 = 0;
const EXACT: u8 = 1;
const PATTERN: u8 = 2;
const COMPOSED: u8 = 3;
const NEVER: u8 = u8::MAX;

/// Positional arguments of list, find, restore and purge.
pub(crate) struct Selection(Vec<Word>);

struct Word {
    /// As it was given.
    text: String,
    /// The absolute path that is meant from the current folder, and the same as a pattern.
    here: Option<Vec<u8>>,
    here_pattern: Option<Pattern>,
    /// A name or path without a separator at its end; empty when nothing can be called so.
    exact: Vec<u8>,
    /// Only a folder, as the separator at its end says.
    only_folder: bool,
    patterns: Vec<Pattern>,
    /// Of a word with a separator at its end: patterns for the folder's own entry, without what lies in it.
    own: Vec<Pattern>,
    /// What is wrong with the word as a pattern.
    fault: Option<String>,
    /// The exact path and the patterns with decomposed characters, where that makes a difference.
    decomposed: Option<(Vec<u8>, Vec<Pattern>)>,
}

/// The first turn of each word that fitted anything so far.
pub(crate) struct Best(Vec<u8>);

impl Best {
    pub(crate) fn note(&mut self, fits: &[Fit]) {
        for &(word, turn) in fits {
            if let Some(best) = self.0.get_mut(word as usize) {
                *best = turn.min(*best);
            }
        }
    }

    /// True when one of the words fits in the turn that decides.
    pub(crate) fn allows(&self, fits: &[Fit]) -> bool {
        let decides = |&(word, turn): &Fit| self.0.get(word as usize) == Some(&turn);
        self.0.is_empty() || fits.iter().any(decides)
    }
}

impl Selection {
    /// A word that is empty is a mistake; one that is no valid pattern may still be a name, see [`Selection::fault`]. Versions
    /// and times are the caller's business.
    pub(crate) fn parse(words: &[String]) -> Result<Selection> {
        let here = std::env::current_dir().ok();
        let parse = |word: &String| Word::parse(word, here.as_deref());
        words
            .iter()
            .map(parse)
            .collect::<Result<_>>()
            .map(Selection)
    }

    /// True when everything is meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when any word fits in any turn, or when there is none.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn matches(&self, path: &[u8], case: Case) -> bool {
        let mut fits = Vec::new();
        self.fit(path, case, &mut fits);
        self.0.is_empty() || !fits.is_empty()
    }

    /// Nothing fitted so far.
    pub(crate) fn best(&self) -> Best {
        Best(vec![NEVER; self.0.len()])
    }

    /// Puts into `fits` which words `path` (as stored, folders with their separator) fits, each in its first turn.
    pub(crate) fn fit(&self, path: &[u8], case: Case, fits: &mut Vec<Fit>) {
        fits.clear();
        let fold = if is_windows(path) {
            Fold::Windows
        } else {
            case.fold()
        };
        let mut plain: Option<Vec<u8>> = None;
        for (no, word) in (0u32..).zip(&self.0) {
            let turn = word.turn(path, fold, &mut plain);
            if turn != NEVER {
                fits.push((no, turn));
            }
        }
    }

    /// True when a word that fits `path` in the turn that decides (`best`, of the same version) fits the entry itself: a name is
    /// that of a file or link, and with a separator at its end that of a folder's own entry.
    pub(crate) fn takes(&self, path: &[u8], case: Case, best: &Best) -> bool {
        let fold = if is_windows(path) {
            Fold::Windows
        } else {
            case.fold()
        };
        let mut plain: Option<Vec<u8>> = None;
        self.0.iter().zip(&best.0).any(|(word, &best)| {
            let turn = word.turn(path, fold, &mut plain);
            turn != NEVER && turn == best && word.is_itself(path, turn, fold)
        })
    }

    /// The words that fitted nothing, in no version.
    pub(crate) fn unmet<'b>(&self, versions: impl Iterator<Item = &'b Best>) -> Vec<&str> {
        let mut met = vec![false; self.0.len()];
        for best in versions {
            for (met, turn) in met.iter_mut().zip(&best.0) {
                *met |= *turn != NEVER;
            }
        }
        let words = self.0.iter().zip(met);
        words
            .filter(|(_, met)| !met)
            .map(|(word, _)| word.text.as_str())
            .collect()
    }

    /// The paths that the words mean, from a root and without a separator at their ends, where each word means one and nothing
    /// else while that path is there; `None` where any word may mean more, or letters of either case.
    pub(crate) fn plain_paths(&self, case: Case) -> Option<Vec<Vec<u8>>> {
        if self.0.is_empty() || case != Case::Sensitive {
            return None;
        }
        let path = |word: &Word| {
            let path = word.here.as_ref().unwrap_or(&word.exact);
            let plain =
                !word.text.contains(['*', '?', '[', '{', '\\']) && !word.text.starts_with('@');
            let whole = path.len() > 1 && path.first() == Some(&b'/') && path.last() != Some(&b'/');
            (plain && whole).then(|| path.clone())
        };
        self.0.iter().map(path).collect()
    }

    /// True when each word found the path that [`Selection::plain_paths`] gives for it.
    pub(crate) fn is_settled(&self, best: &Best) -> bool {
        let first = |word: &Word| if word.here.is_some() { HERE } else { EXACT };
        self.0
            .iter()
            .zip(&best.0)
            .all(|(w, best)| *best == first(w))
    }

    /// As [`Selection::is_settled`], or it is sure that a word has nothing else that it could mean where its path is not there.
    pub(crate) fn is_decided(&self, best: &Best) -> bool {
        let alone = |word: &Word| word.here.is_none() && word.decomposed.is_none();
        let first = |word: &Word| if word.here.is_some() { HERE } else { EXACT };
        let mut all = self.0.iter().zip(&best.0);
        all.all(|(w, best)| *best == first(w) || *best == NEVER && alone(w))
    }

    /// Why a word is no pattern, for when it is no name either.
    pub(crate) fn fault(&self) -> Option<Error> {
        let fault = self.0.iter().find_map(|w| w.fault.as_ref())?;
        Some(Error::usage(fault.clone()))
    }
}

/// The path without what shells and scripts leave in it: `a//b`, `a/./b`, `a/x/../b`, `a/.`. Regular expressions and groups
/// stay as they are, and so does a `..` behind a pattern.
fn tidied(word: &str) -> String {
    if !(word.contains("//") || word.contains("/.")) || word.starts_with(['[', '{']) {
        return word.to_owned();
    }
    let absolute = word.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in word.split('/') {
        let last = parts.last().copied();
        match part {
            "" => (),
            "." if last.is_some() || absolute => (),
            ".." => match last {
                Some(last) if ![".", ".."].contains(&last) && !last.contains(['*', '?']) => {
                    parts.pop();
                }
                None if absolute => (),
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let start = if absolute { "/" } else { "" };
    let folder = ["/", "/.", "/.."].iter().any(|end| word.ends_with(end));
    let end = if folder && !parts.is_empty() { "/" } else { "" };
    match parts.is_empty() && !absolute {
        true => word.to_owned(),
        false => format!("{start}{}{end}", parts.join("/")),
    }
}

impl Word {
    fn parse(word: &str, here: Option<&Path>) -> Result<Word> {
        let env = |name: &str| std::env::var(name).ok();
        if word.is_empty() {
            Pattern::parse(word, &env)?;
        }
        let given = word.to_owned();
        let tidy = tidied(word);
        let word = tidy.as_str();
        let windows = is_windows(word.as_bytes());
        let relative = word == "."
            || word == ".."
            || ["./", "../"].iter().any(|start| word.starts_with(start));
        let mut rest = word;
        while let Some(shorter) = rest.strip_prefix("./") {
            rest = shorter.trim_start_matches('/');
        }
        let here = here
            .filter(|_| relative)
            .map(|here| resolve(&here.join(word)));
        let is_end = |c: char| c == '/' || (c == '\\' && windows);
        let exact = rest.trim_end_matches(is_end);
        let everything = word.bytes().all(|b| b == b'*');
        let no_name = everything || exact == "." || exact.split('/').any(|p| p == "..");
        let here_text = here.as_deref().and_then(|h| std::str::from_utf8(h).ok());
        let here_pattern = here_text
            .filter(|_| rest.contains(['*', '?']))
            .and_then(|text| Pattern::parse(text, &env).ok());
        let mut patterns = Vec::new();
        let mut fault = None;
        if let Some(name) = word.strip_prefix('@').filter(|n| !n.is_empty()) {
            let bytes = name.as_bytes().to_vec();
            let whole = name.contains('/') || is_windows(&bytes);
            patterns.push(match whole {
                true => Pattern::Literal(bytes),
                false => Pattern::Last(bytes),
            });
        }
        let only_folder = rest.ends_with(is_end);
        let own = match only_folder {
            true => own_texts(rest, windows),
            false => Vec::new(),
        };
        let own = own
            .iter()
            .filter_map(|text| Pattern::parse(text, &env).ok())
            .collect();
        for text in texts(word, rest, windows) {
            match Pattern::parse(&text, &env) {
                Ok(pattern) => patterns.push(pattern),
                Err(e) => fault = Some(e.cause().to_string()),
            }
        }
        let mut word = Word {
            text: given,
            here,
            here_pattern,
            exact: if no_name { "" } else { exact }.as_bytes().to_vec(),
            only_folder,
            patterns,
            own,
            fault,
            decomposed: None,
        };
        if !rest.is_ascii() {
            let plain = |text: &str| String::from_utf8(decomposed(text.as_bytes())).ok();
            let texts = texts(rest, rest, windows);
            let patterns = texts
                .iter()
                .filter_map(|t| Pattern::parse(&plain(t)?, &env).ok());
            word.decomposed = Some((decomposed(&word.exact), patterns.collect()));
        }
        Ok(word)
    }

    /// `plain` is the path decomposed, once it was needed.
    fn turn(&self, path: &[u8], fold: Fold, plain: &mut Option<Vec<u8>>) -> u8 {
        if let Some(here) = &self.here
            && (is_called(path, here, self.only_folder, fold)
                || self
                    .here_pattern
                    .as_ref()
                    .is_some_and(|p| p.matches(path, fold)))
        {
            return HERE;
        }
        if is_called(path, &self.exact, self.only_folder, fold) {
            return EXACT;
        }
        if self.patterns.iter().any(|p| p.matches(path, fold)) {
            return PATTERN;
        }
        if let Some((exact, patterns)) = &self.decomposed
            && !path.is_ascii()
        {
            let path = plain.get_or_insert_with(|| decomposed(path));
            if is_called(path, exact, self.only_folder, fold)
                || patterns.iter().any(|p| p.matches(path, fold))
            {
                return COMPOSED;
            }
        }
        NEVER
    }

    /// True when a path that fits in this turn is itself what the word names.
    fn is_itself(&self, path: &[u8], turn: u8, fold: Fold) -> bool {
        let called =
            |path: &[u8], name: &[u8]| is_itself_called(path, name, self.only_folder, fold);
        let fits =
            |patterns: &[Pattern], path: &[u8]| patterns.iter().any(|p| p.matches(path, fold));
        let here = self.here.as_deref().unwrap_or_default();
        let patterns = match self.only_folder {
            true => &self.own,
            false => &self.patterns,
        };
        match turn {
            HERE if called(path, here) => true,
            HERE => self.here_pattern.iter().any(|p| p.matches(path, fold)),
            EXACT => called(path, &self.exact),
            PATTERN => fits(patterns, path),
            _ => {
                let path = decomposed(path);
                let (exact, patterns) = match &self.decomposed {
                    Some((exact, patterns)) => (exact.as_slice(), patterns.as_slice()),
                    None => return false,
                };
                called(&path, exact) || !self.only_folder && fits(patterns, &path)
            }
        }
    }
}

/// A glob with a separator at its end as patterns for the folder's own entry: as it stands, and from any folder on.
fn own_texts(rest: &str, windows: bool) -> Vec<String> {
    // Without wildcards it is a name, unless it is marked as a literal.
    if !rest.contains(['*', '?']) && !rest.starts_with('@') {
        return Vec::new();
    }
    let mut texts = vec![rest.to_owned()];
    if !windows && !rest.starts_with('@') && !rest.starts_with(['/', '*']) {
        texts.push(format!("*/{rest}"));
    }
    texts
}

/// What a word means as patterns (`@name` apart: a last component or, with a slash, a whole path): `[…]` and `{…}` as in filters, a slash
/// at the end all that is below, and a glob that begins at no root is one from any folder on.
fn texts(word: &str, rest: &str, windows: bool) -> Vec<String> {
    let bracketed = |a, b| word.starts_with(a) && word.ends_with(b);
    let has_glob = rest.contains(['*', '?']);
    if word.len() > 1 && word.starts_with('@') {
        return Vec::new();
    }
    if word.is_empty() || word == "@" || bracketed('[', ']') || bracketed('{', '}') {
        return vec![word.to_owned()];
    }
    if word.ends_with('/') && !has_glob || (windows && word.ends_with('\\')) {
        return vec![format!("{word}*")];
    }
    if !has_glob {
        return Vec::new();
    }
    let end = if rest.ends_with('/') { "*" } else { "" };
    let mut texts = vec![format!("{rest}{end}")];
    if !windows && !rest.starts_with(['/', '*']) {
        texts.push(format!("*/{rest}{end}"));
    }
    texts
}

/// True when `path` is called `name`, whole or from any folder on, or lies in a folder that is.
fn is_called(path: &[u8], name: &[u8], only_folder: bool, fold: Fold) -> bool {
    if name.is_empty() {
        return false;
    }
    let is_separator = |b: u8| b == b'/' || (fold == Fold::Windows && b == b'\\');
    let inner = name.iter().filter(|b| is_separator(**b)).count();
    let whole = is_separator(name[0]) || is_windows(name);
    let mut start = 0;
    loop {
        let mut ends = (start..path.len()).filter(|&i| is_separator(path[i]));
        let end = ends.nth(inner).unwrap_or(path.len());
        let folder = end < path.len();
        if (folder || !only_folder) && equal(name, &path[start..end], fold) {
            return true;
        }
        if whole {
            return false;
        }
        match (start..path.len()).find(|&i| is_separator(path[i])) {
            Some(i) => start = i + 1,
            None => return false,
        }
    }
}

/// True when the last components of `path`, or all, are `name`: those of a folder if `only_folder`, else those of a file or link.
fn is_itself_called(path: &[u8], name: &[u8], only_folder: bool, fold: Fold) -> bool {
    let is_separator = |b: u8| b == b'/' || (fold == Fold::Windows && b == b'\\');
    let inner = match path.split_last() {
        Some((&last, inner)) if is_separator(last) && !inner.is_empty() => inner,
        _ => path,
    };
    let folder = inner.len() < path.len();
    let whole = name.first().is_some_and(|b| is_separator(*b)) || is_windows(name);
    let starts = (0..inner.len()).filter(|&i| i == 0 || !whole && is_separator(inner[i - 1]));
    folder == only_folder
        && !name.is_empty()
        && starts.into_iter().any(|i| equal(name, &inner[i..], fold))
}

/// Without `.` and `..`, by the names alone.
fn resolve(path: &Path) -> Vec<u8> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out.into_os_string().into_encoded_bytes()
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
