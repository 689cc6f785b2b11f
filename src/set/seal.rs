//! Encryption is a property of the backup, not of one name: what protects a destination, which volumes are content.
//!
//! Once any volume of the prefix is encrypted, a plain one proves nothing: whoever can write there can put it there. It is
//! no content, unless the call says so. A destination of plain volumes alone is refused while a passphrase is named.

use crate::base::error::{Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::names::VolumeName;
use crate::set::{AskPassphrase, Expected, Need, Set, listing};

/// Plain volumes that are named; the rest is counted.
const NAMED_AT_MOST: usize = 1000;

/// What keeps strangers from reading, and from making up, the volumes of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Plain,
    Aes,
    /// Can be read, not written.
    Gpg,
}

/// What the call says of encryption. Nothing in it is a secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Where a passphrase is named: an option, a variable. `None` when there is nothing but the terminal.
    pub(crate) named: Option<String>,
    /// `--no-encryption`.
    pub(crate) plain: bool,
    /// `--allow-plain-volumes`.
    pub(crate) mixed: bool,
}

/// A passphrase and where it came from.
pub(crate) struct Passphrase {
    pub(crate) secret: Secret,
    /// Such as `the environment variable PASSPHRASE`.
    pub(crate) whence: String,
}

/// The volumes of an encrypted backup that are not encrypted.
#[derive(Default)]
pub(crate) struct Plain {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) names: Vec<VolumeName>,
    /// Plain volumes are no content here, also those that come later.
    pub(super) kept_out: bool,
    /// Where there are fewer encrypted volumes than plain ones: which they are, and what to do if none should be.
    few: String,
}

impl Plain {
    pub(super) fn add(&mut self, name: VolumeName) {
        self.count += 1;
        if self.names.len() < NAMED_AT_MOST {
            self.names.push(name);
        }
    }

    /// One line about all of them; `None` when there are none.
    pub(crate) fn line(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let names: Vec<String> = self
            .names
            .iter()
            .take(SHOWN)
            .map(|n| text::safe(n.as_str().as_bytes()))
            .collect();
        let more = match self.count.saturating_sub(names.len() as u64) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let verb = if self.count == 1 { "is" } else { "are" };
        if self.count > 0 && !self.few.is_empty() {
            return Some(format!(
                "{} {verb} not encrypted, and not read: {}{more} ({}; else anybody can have put the plain ones there: remove them, or give --allow-plain-volumes if you know them)",
                text::count(self.count, "volume"),
                names.join(", "),
                self.few
            ));
        }
        (self.count > 0).then(|| {
            format!(
                "{} {verb} not encrypted although the backup is, and not read: {}{more} (anybody can have put them there; \
                 remove them, or give --allow-plain-volumes if you know them)",
                text::count(self.count, "volume"),
                names.join(", ")
            )
        })
    }
}

impl Set {
    /// Decides what protects the volumes that were picked, takes plain ones out of an encrypted backup, and gets the
    /// passphrase.
    pub(super) fn protect(
        &mut self,
        said: &Said,
        writing: bool,
        ui: &mut Ui,
        ask: &mut AskPassphrase<'_>,
    ) -> Result<()> {
        let sealed = self.volumes.sealed();
        let at = self.remote.describe().to_owned();
        if self.volumes.len() == 0 {
            if !said.plain {
                self.ask(Need::ToCreate, ui, ask)?;
            }
            self.protection = match self.passphrase {
                Some(_) => Protection::Aes,
                None => Protection::Plain,
            };
            // What a stranger puts there while the first backup runs is no content either.
            self.plain.kept_out = self.passphrase.is_some() && !said.mixed;
            return Ok(());
        }
        let doing = if writing {
            "add a version".to_owned()
        } else {
            format!("read {at}")
        };
        if sealed.aes + sealed.gpg == 0 {
            self.protection = Protection::Plain;
            return match &said.named {
                Some(whence) if !said.plain && (writing || !said.mixed) => Err(Error::new(
                    Kind::Passphrase,
                    format!("the destination is not encrypted, but a passphrase is given ({whence})"),
                )
                .doing(doing)
                .hint(
                    "if this backup never was encrypted, say so with --no-encryption; if it was, somebody replaced it",
                )),
                _ => Ok(()),
            };
        }
        let few = self.few();
        if said.plain {
            let e = Error::new(
                Kind::Unsupported,
                "the destination is encrypted, --no-encryption is given",
            )
            .doing(doing);
            return Err(match few.as_str() {
                "" => e.hint("leave --no-encryption out, or use another folder"),
                few => e.hint(few),
            });
        }
        self.protection = match sealed.aes {
            0 => Protection::Gpg,
            _ => Protection::Aes,
        };
        self.plain.kept_out = !said.mixed;
        self.plain.few = few;
        if self.plain.kept_out {
            let plain = &mut self.plain;
            self.volumes.drop_plain(&mut |name| {
                plain.add(name.clone());
            });
        }
        // dblocks alone, of a first backup that was cut short, are not read.
        let proof = !self.volumes.dlists().is_empty() || self.volumes.dindex_count() > 0;
        let need = if proof || !writing {
            Need::ToRead
        } else {
            Need::ToCreate
        };
        self.ask(need, ui, ask).map_err(|e| {
            match e.kind() == Kind::Passphrase && !self.plain.few.is_empty() {
                true => e.doing(format!("read {at}: {}", self.plain.few)),
                false => e,
            }
        })
    }

    /// Names the encrypted volumes where there are fewer of them than plain ones, with what to do if the backup never was
    /// encrypted; else empty.
    fn few(&self) -> String {
        const SHOWN: usize = 3;
        let sealed = self.volumes.sealed();
        let count = sealed.aes + sealed.gpg;
        if count == 0 || count >= sealed.plain {
            return String::new();
        }
        let smallest = self.volumes.smallest_sealed(SHOWN).into_iter();
        let names: Vec<String> = smallest
            .map(|(name, _)| text::safe(name.as_str().as_bytes()))
            .collect();
        let more = match count.saturating_sub(names.len() as u64) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (verb, it, name) = match names.as_slice() {
            [one] if count == 1 => ("is", "it", one.as_str()),
            _ => ("are", "each", "NAME"),
        };
        format!(
            "{count} of {} volumes {verb} encrypted: {}{more}; if this backup never was encrypted, remove {it} with 'duplet remote delete URL {name}'",
            count + sealed.plain,
            names.join(", ")
        )
    }

    fn ask(&mut self, need: Need, ui: &mut Ui, ask: &mut AskPassphrase<'_>) -> Result<()> {
        if self.passphrase.is_none() {
            self.passphrase = ask(ui, need)?;
        }
        Ok(())
    }

    /// Whether the passphrase is right, by one of the smallest volumes, which is downloaded, or by its head. `Passphrase` when one refuses it
    /// and none takes it; volumes that cannot be read for other reasons say nothing.
    pub(crate) fn prove(&mut self, ui: &mut Ui) -> Result<()> {
        const TRIED: usize = 3;
        if self.protection == Protection::Plain || self.accepted {
            return Ok(());
        }
        let mut refused = None;
        for (name, size) in self.volumes.smallest_sealed(TRIED) {
            let opened = match self.head_opens(ui, &name, size) {
                Ok(false) => {
                    let whole = self.fetch(ui, &name, Some(size), Expected::default());
                    whole.map(drop)
                }
                Ok(true) => Ok(()),
                Err(e) => Err(self.with_source(e)),
            };
            match opened {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == Kind::Passphrase => refused = refused.or(Some(e)),
                Err(e) if listing::is_no_backup(&e) => ui.verbose(&e.to_string()),
                Err(e) => return Err(e),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// An error about the passphrase with where that came from.
    pub(super) fn with_source(&self, e: Error) -> Error {
        match &self.passphrase {
            Some(p) if e.kind() == Kind::Passphrase => {
                e.hint(format!("the passphrase is the one from {}", p.whence))
            }
            _ => e,
        }
    }
}
