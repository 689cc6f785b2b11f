//! A listing sorted by prefix, what in it is foreign, and which prefix is meant when none is named.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::names::{Prefix, VolumeName};
use crate::remote::Remote;
use crate::set::fresh::Foreign;
use crate::set::{DEFAULT_PREFIX, Said, Volumes};

/// Volumes by prefix, in order of first appearance; more prefixes than this are not a backup folder.
const PREFIXES_AT_MOST: usize = 64;
/// Foreign files that are named; the rest is counted.
const NAMED_AT_MOST: usize = 10;
/// Characters of a named foreign file.
const NAME_CHARS: usize = 80;

/// What lies beside the volumes of a backup.
#[derive(Default)]
pub(crate) struct Strays {
    /// Files that are no volumes: copies, parts, checksums, whatever other programs left.
    pub(crate) files: u64,
    /// The first of them, safe to print.
    pub(crate) names: Vec<String>,
    /// Volumes of other prefixes.
    pub(crate) volumes: u64,
    /// Those that have nothing to do with backups.
    pub(super) foreign: Foreign,
}

impl Strays {
    fn add(&mut self, name: &str) {
        self.files += 1;
        self.foreign.add(name);
        if self.names.len() < NAMED_AT_MOST {
            self.names.push(text::safe_cut(name.as_bytes(), NAME_CHARS));
        }
    }

    /// One line about all of it; `None` when there is nothing.
    pub(crate) fn line(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.files > 0 {
            let more = if self.files > self.names.len() as u64 {
                ", ..."
            } else {
                ""
            };
            let (count, names) = (
                text::count(self.files, "foreign file"),
                self.names.join(", "),
            );
            parts.push(format!("{count} ({names}{more})"));
        }
        if self.volumes > 0 {
            let count = text::count(self.volumes, "volume");
            parts.push(format!("{count} of other prefixes"));
        }
        (!parts.is_empty()).then(|| format!("beside the backup, ignored: {}", parts.join(", ")))
    }
}

/// What a listing holds.
pub(super) struct Found {
    /// One for each prefix; only the wanted one if one is wanted.
    pub(super) volumes: Vec<Volumes>,
    pub(super) folder_exists: bool,
    pub(super) strays: Strays,
}

impl Found {
    /// A listing of nothing but these.
    pub(super) fn of(volumes: Volumes) -> Found {
        Found {
            volumes: vec![volumes],
            folder_exists: true,
            strays: Strays::default(),
        }
    }
}

pub(super) fn parse_name(name: &str, any_case: bool) -> Option<VolumeName> {
    if any_case {
        VolumeName::parse_any_case(name)
    } else {
        VolumeName::parse(name)
    }
}

pub(super) fn same_prefix(a: &str, b: &str, any_case: bool) -> bool {
    a == b || any_case && a.eq_ignore_ascii_case(b)
}

/// The versions of a prefix alone, where the server can send them without the rest and one look at them tells what a whole
/// listing would: they are all encrypted, or none is and no passphrase is named. Else `None`, and the whole is to be listed.
pub(super) fn versions_only(
    remote: &mut Remote,
    wanted: Option<&Prefix>,
    said: &Said,
    ui: &mut Ui,
) -> Result<Option<Volumes>> {
    if !remote.limits_lists() {
        return Ok(None);
    }
    let prefix = wanted.map_or(DEFAULT_PREFIX, Prefix::as_str);
    let none = || Volumes::new(prefix);
    let mut found = none();
    // The name of a version goes on with the year.
    remote.list_from(ui, &format!("{prefix}-2"), &mut |listed| {
        match listed {
            Listed::Restart => found = none(),
            Listed::Entry(file) => {
                let name = VolumeName::parse(&file.name);
                if let Some(name) = name.filter(|n| n.prefix() == prefix) {
                    found.add(name, file.size);
                }
            }
        }
        Ok(())
    })?;
    found.seal();
    let sealed = found.sealed();
    let all_sealed = sealed.plain == 0 && !said.plain;
    let none_sealed = sealed.aes + sealed.gpg == 0 && said.named.is_none();
    Ok((!found.dlists().is_empty() && (all_sealed || none_sealed)).then_some(found))
}

/// Lists the destination. A name whose prefix could not be chosen with `--prefix`, such as `._duplicati`, is foreign.
pub(super) fn list(
    remote: &mut Remote,
    wanted: Option<&Prefix>,
    any_case: bool,
    ui: &mut Ui,
) -> Result<Found> {
    let mut found: Vec<Volumes> = Vec::new();
    let mut strays = Strays::default();
    let folder_exists = remote.list(ui, &mut |listed| {
        let file = match listed {
            Listed::Restart => {
                found.clear();
                strays = Strays::default();
                return Ok(());
            }
            Listed::Entry(file) => file,
        };
        let name = parse_name(&file.name, any_case);
        let Some(name) = name.filter(|n| Prefix::parse(n.prefix()).is_ok()) else {
            strays.add(&file.name);
            return Ok(());
        };
        if wanted.is_some_and(|w| !same_prefix(w.as_str(), name.prefix(), any_case)) {
            strays.volumes += 1;
            return Ok(());
        }
        let at = found
            .iter()
            .position(|v| same_prefix(v.prefix(), name.prefix(), any_case));
        let at = match at {
            Some(i) => i,
            // The default prefix has a place whatever came before it.
            None if found.len() < PREFIXES_AT_MOST
                || same_prefix(DEFAULT_PREFIX, name.prefix(), any_case) =>
            {
                // Volumes keep their names; what is written gets the usual spelling.
                let lower = any_case.then(|| name.prefix().to_ascii_lowercase());
                found.push(Volumes::new(lower.as_deref().unwrap_or(name.prefix())));
                found.len() - 1
            }
            None => {
                strays.volumes += 1;
                return Ok(());
            }
        };
        found[at].add(name, file.size);
        Ok(())
    })?;
    for volumes in &mut found {
        volumes.seal();
    }
    if wanted.is_none() {
        let kept = found.iter().position(|v| v.prefix() == DEFAULT_PREFIX);
        let other = |(i, v): (usize, &Volumes)| (Some(i) != kept).then_some(v.len() as u64);
        strays.volumes += match (kept, found.len()) {
            (None, 1) => 0,
            _ => found.iter().enumerate().filter_map(other).sum::<u64>(),
        };
    }
    Ok(Found {
        volumes: found,
        folder_exists,
        strays,
    })
}

/// The volumes that may be meant: none for a folder without a backup, several only where the versions have to tell. The
/// default prefix wins if it has volumes; else a prefix counts if it has versions. Nothing is written beside another
/// prefix's versions unless a prefix was named.
pub(super) fn pick(
    mut found: Vec<Volumes>,
    wanted: Option<&Prefix>,
    writing: bool,
    at: &str,
) -> Result<Vec<Volumes>> {
    if wanted.is_some() {
        return Ok(found);
    }
    if let Some(i) = found.iter().position(|v| v.prefix() == DEFAULT_PREFIX) {
        return Ok(vec![found.swap_remove(i)]);
    }
    if !writing && found.len() == 1 {
        return Ok(found);
    }
    found.retain(|v| !v.dlists().is_empty());
    if !writing || found.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = found
        .iter()
        .map(|v| text::safe(v.prefix().as_bytes()))
        .collect();
    match names.as_slice() {
        [name] => Err(Error::new(
            Kind::Missing,
            format!("it holds a backup with the prefix {name}"),
        )
        .doing(format!("write to {at}"))
        .hint(format!(
            "give --prefix={name} to continue it, or --prefix={DEFAULT_PREFIX} to begin another beside it"
        ))),
        names => Err(several(names, at)),
    }
}

pub(super) fn several(names: &[String], at: &str) -> Error {
    let cause = format!(
        "it holds backups with several prefixes: {}",
        names.join(", ")
    );
    Error::new(Kind::Missing, cause)
        .doing(format!("use {at}"))
        .hint("choose one with --prefix=NAME")
}

/// True for what says that a prefix is not that of the backup which is meant.
pub(super) fn is_no_backup(e: &Error) -> bool {
    e.kind().is_volume_or_key()
}
