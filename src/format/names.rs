//! Volume names: the only way from text to [`VolumeName`] is its parser or a constructor, so a value is always a name that
//! the remote format knows (`format.md` 2).
//!
//! Does not know the configured prefix, and does not judge whether two volumes belong together.

use crate::base::error::{Error, Result};
use crate::base::rand;
use crate::base::time::Timestamp;

/// Longer names cannot lie on any destination.
const MAX_NAME_BYTES: usize = 1024;

/// Archives that Duplicati has written (`format.md` 5).
const ARCHIVES: &[&str] = &["zip", "tgz", "tzstd", "7z"];

/// What may stand behind them. Whatever else ends a name was put there by another program: a copy, a part, a checksum.
const ENCRYPTIONS: &[&str] = &["", ".aes", ".gpg"];

/// What a volume holds; decided by the type word of its name, not by the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum VolumeKind {
    /// Data, metadata and blocklist blocks.
    Dblock,
    /// The list of blocks of a dblock.
    Dindex,
    /// One version.
    Dlist,
}

impl VolumeKind {
    /// The type word of the name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            VolumeKind::Dblock => "dblock",
            VolumeKind::Dindex => "dindex",
            VolumeKind::Dlist => "dlist",
        }
    }
}

/// What stands before the first hyphen of every volume of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix(Box<str>);

impl Prefix {
    /// Refuses empty text, `-`, control characters, `/`, `\` and a leading `.`.
    pub(crate) fn parse(text: &str) -> Result<Prefix> {
        let why = if text.is_empty() {
            "is empty"
        } else if text.len() > 128 {
            "is longer than 128 bytes"
        } else if text.contains('-') {
            "contains a hyphen"
        } else if text.starts_with('.') {
            "starts with a dot"
        } else if text.contains(['/', '\\']) || text.chars().any(char::is_control) {
            "contains a slash, a backslash or a control character"
        } else {
            return Ok(Prefix(text.into()));
        };
        Err(Error::usage(format!(
            "the prefix of the volume names {why}"
        )))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A parsed volume name; sorts as its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeName {
    text: Box<str>,
    kind: VolumeKind,
    time: Option<Timestamp>,
    /// Ends of: prefix, identity (guid or time), compression; start of compression. Byte positions.
    prefix_end: u16,
    id_end: u16,
    comp_start: u16,
    comp_end: u16,
}

impl VolumeName {
    /// `None` for everything that is not a volume: foreign files, copies and parts of volumes under another ending, parity
    /// companions (`.par2`), impossible dates, a dlist without a time, names with control characters or `/`, names above 1 KiB.
    pub(crate) fn parse(text: &str) -> Option<VolumeName> {
        Self::parse_with(text, false)
    }

    /// As [`VolumeName::parse`] without regard to ASCII case (`--case-insensitive-remote`); the spelling is kept.
    pub(crate) fn parse_any_case(text: &str) -> Option<VolumeName> {
        Self::parse_with(text, true)
    }

    fn parse_with(text: &str, any_case: bool) -> Option<VolumeName> {
        if text.len() > MAX_NAME_BYTES || text.contains('/') || text.chars().any(char::is_control) {
            return None;
        }
        let prefix_end = text.find('-').filter(|&n| n > 0)?;
        let id_start = prefix_end.checked_add(1)?;
        let (time, id_end, word_start, kind) = Self::identity(text, id_start, any_case)?;
        if kind == VolumeKind::Dlist && time.is_none() {
            return None;
        }
        let comp_start = word_start.checked_add(kind.word().len())?.checked_add(1)?;
        let tail = text.get(comp_start..)?;
        let comp_len = tail.find('.').unwrap_or(tail.len());
        let comp_end = comp_start.checked_add(comp_len)?;
        let encryption = text.get(comp_end..)?;
        let known = |words: &[&str], word: &str| {
            let same = |w: &&str| *w == word || any_case && w.eq_ignore_ascii_case(word);
            words.iter().any(same)
        };
        if !known(ARCHIVES, tail.get(..comp_len)?) || !known(ENCRYPTIONS, encryption) {
            return None;
        }
        Some(VolumeName {
            kind,
            time,
            prefix_end: u16::try_from(prefix_end).ok()?,
            id_end: u16::try_from(id_end).ok()?,
            comp_start: u16::try_from(comp_start).ok()?,
            comp_end: u16::try_from(comp_end).ok()?,
            text: text.into(),
        })
    }

    /// Time if the identity is one, its end, the start of the type word, the kind.
    fn identity(
        text: &str,
        start: usize,
        any_case: bool,
    ) -> Option<(Option<Timestamp>, usize, usize, VolumeKind)> {
        let rest = text.get(start..)?;
        if let Some(hex) = rest.strip_prefix(['i', 'b', '|', 'I', 'B']) {
            let run = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
            // The run may have swallowed the separator and the first letter of `dblock`: take the longest that fits.
            for digits in (1..=run).rev() {
                let end = start.checked_add(1)?.checked_add(digits)?;
                if let Some((word_start, kind)) = type_word(text, end, any_case) {
                    return Some((None, end, word_start, kind));
                }
            }
            return None;
        }
        let stamp = rest.as_bytes().get(..16)?;
        let time = if any_case {
            Timestamp::parse_compact(&stamp.to_ascii_uppercase())?
        } else {
            Timestamp::parse_compact(stamp)?
        };
        let end = start.checked_add(16)?;
        let (word_start, kind) = type_word(text, end, any_case)?;
        Some((Some(time), end, word_start, kind))
    }

    /// A new dblock or dindex name with a random guid.
    pub(crate) fn block(prefix: &Prefix, kind: VolumeKind, encrypted: bool) -> Result<VolumeName> {
        let letter = match kind {
            VolumeKind::Dblock => 'b',
            VolumeKind::Dindex => 'i',
            VolumeKind::Dlist => return Err(Error::bug("a dlist is named by its time")),
        };
        let guid = rand::hex::<16>()?;
        Self::made(&format!(
            "{}-{letter}{guid}.{}.zip{}",
            prefix.as_str(),
            kind.word(),
            suffix(encrypted)
        ))
    }

    /// The name of the version of `time`.
    pub(crate) fn list(prefix: &Prefix, time: Timestamp, encrypted: bool) -> Result<VolumeName> {
        Self::made(&format!(
            "{}-{}.dlist.zip{}",
            prefix.as_str(),
            time.compact(),
            suffix(encrypted)
        ))
    }

    fn made(text: &str) -> Result<VolumeName> {
        Self::parse(text).ok_or_else(|| Error::bug("a generated volume name parses"))
    }

    /// The name of the same volume once it is encrypted with AES.
    pub(crate) fn sealed(&self) -> Result<VolumeName> {
        let archive = self.text.get(..self.comp_end.into()).unwrap_or_default();
        let text = format!("{archive}{}", suffix(true));
        Self::parse_any_case(&text).ok_or_else(|| Error::bug("a sealed volume name parses"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn kind(&self) -> VolumeKind {
        self.kind
    }

    pub(crate) fn prefix(&self) -> &str {
        self.text.get(..self.prefix_end.into()).unwrap_or_default()
    }

    /// The time of a version; always there for a dlist.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The hexadecimal identity without its letter, as spelled.
    pub(crate) fn guid(&self) -> Option<&str> {
        if self.time.is_some() {
            return None;
        }
        let start = usize::from(self.prefix_end).checked_add(2)?;
        self.text.get(start..self.id_end.into())
    }

    /// `zip`, `tgz`, `tzstd` or `7z`, as spelled.
    pub(crate) fn compression(&self) -> &str {
        self.text
            .get(self.comp_start.into()..self.comp_end.into())
            .unwrap_or_default()
    }

    /// `aes` or `gpg`, as spelled.
    pub(crate) fn encryption(&self) -> Option<&str> {
        self.text.get(self.comp_end.into()..)?.strip_prefix('.')
    }
}

/// Skips exactly one character at `at`, then wants a type word and a dot.
fn type_word(text: &str, at: usize, any_case: bool) -> Option<(usize, VolumeKind)> {
    let rest = text.get(at..)?;
    let word_start = at.checked_add(rest.chars().next()?.len_utf8())?;
    let tail = text.get(word_start..)?.as_bytes();
    [VolumeKind::Dblock, VolumeKind::Dlist, VolumeKind::Dindex]
        .into_iter()
        .find(|kind| {
            let word = kind.word().as_bytes();
            tail.split_at_checked(word.len())
                .is_some_and(|(head, more)| {
                    let same = if any_case {
                        head.eq_ignore_ascii_case(word)
                    } else {
                        head == word
                    };
                    same && more.first() == Some(&b'.')
                })
        })
        .map(|kind| (word_start, kind))
}

fn suffix(encrypted: bool) -> &'static str {
    if encrypted { ".aes" } else { "" }
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
