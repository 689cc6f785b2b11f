//! Every option by its row: what it takes, its default, its help, the commands that read it. Parsing, help, `system-info`
//! and the wiping of secrets all read these tables; the destinations' own rows stand in `remote` and `dest`.

mod crypt;
mod foreign;
mod remote;
mod report;
mod restore;
mod source;
mod volumes;

pub(crate) use crypt::*;
pub(crate) use remote::*;
pub(crate) use report::*;
pub(crate) use restore::*;
pub(crate) use source::*;
pub(crate) use volumes::*;

use crate::base::opt::{Kind, Opt};
use crate::dest::SCHEMES;
use crate::remote as destination;

/// Declares options as named statics and the list of them. A row is: static, name with other spellings, type, default,
/// commands, help.
macro_rules! options {
    ($list:ident: $($id:ident = $name:literal $(| $alias:literal)*, $kind:expr, $default:literal, $commands:expr, $help:literal;)*) => {
        $(pub(crate) static $id: crate::base::opt::Opt = crate::base::opt::Opt {
            name: $name,
            aliases: &[$($alias),*],
            kind: $kind,
            default: $default,
            help: $help,
            commands: $commands,
        };)*
        pub(super) static $list: &[&crate::base::opt::Opt] = &[$(&$id),*];
    };
}
use options;

const ALL_COMMANDS: &[&str] = &[];
const BACKUP: &[&str] = &["backup"];
const RESTORE: &[&str] = &["restore"];
/// Commands that walk the sources.
const WALK: &[&str] = &["backup", "test-filters"];
/// Commands that choose among stored paths or source paths.
const FILTERED: &[&str] = &[
    "backup",
    "restore",
    "list",
    "find",
    "list-folder-content",
    "search-entries",
    "test-filters",
];
const VERSIONED: &[&str] = &[
    "restore",
    "list",
    "find",
    "list-folder-content",
    "list-file-versions",
    "search-entries",
    "verify",
];

/// One heading of the help and its options.
pub(crate) type Group = (&'static str, &'static [&'static Opt]);

/// All options of the program itself.
pub(crate) static GROUPS: &[Group] = &[
    ("Choosing what to back up", source::LIST),
    ("Volumes and blocks", volumes::LIST),
    ("Encryption and secrets", crypt::LIST),
    ("Restoring and listing", restore::LIST),
    ("Testing a destination", remote::LIST),
    ("Reporting and the rest", report::LIST),
];

/// The options of [`GROUPS`] in one sequence.
pub(crate) fn own() -> impl Iterator<Item = &'static Opt> {
    GROUPS.iter().flat_map(|g| g.1.iter().copied())
}

/// Every option that does something: ours, those of every destination, those of each.
pub(crate) fn real() -> impl Iterator<Item = &'static Opt> {
    own()
        .chain(destination::OPTIONS)
        .chain(SCHEMES.iter().flat_map(|s| s.options))
}

/// Duplicati's options that are ignored or refused here.
pub(crate) fn foreign() -> impl Iterator<Item = &'static Opt> {
    foreign::IGNORED.iter().chain(foreign::REFUSED)
}

/// The row of a name in lower case. A foreign row whose name ends in `*` stands for all names that begin so.
pub(crate) fn find(name: &str) -> Option<&'static Opt> {
    let family = |o: &&Opt| {
        o.name
            .strip_suffix('*')
            .is_some_and(|stem| name.starts_with(stem))
    };
    // What one destination ignores may mean something to another.
    real()
        .filter(|o| o.kind != Kind::Ignored)
        .chain(real())
        .chain(foreign())
        .find(|o| o.is_named(name))
        .or_else(|| foreign().find(family))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for o in real().chain(foreign()) {
            assert_eq!(o.name, o.name.to_lowercase());
            assert!(!o.name.starts_with('-') && o.name.len() > 1, "{}", o.name);
            assert!(
                o.help.ends_with('.') || matches!(o.kind, Kind::Refused(_)),
                "{}",
                o.name
            );
            if !o.default.is_empty() {
                assert!(o.check(o.default).is_ok(), "{}", o.name);
            }
        }
    }

    #[test]
    fn no_name_is_declared_twice() {
        let mut names: Vec<&str> = own()
            .chain(destination::OPTIONS)
            .chain(foreign())
            .flat_map(|o| std::iter::once(o.name).chain(o.aliases.iter().copied()))
            .collect();
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|w| w[0] == w[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn names_find_their_rows() {
        for (name, row) in [
            ("dblock-size", Some("dblock-size")),
            ("remote-volume-size", Some("dblock-size")),
            ("dryrun", Some("dry-run")),
            ("number-of-retries", Some("number-of-retries")),
            ("send-mail-url", Some("send-mail-*")),
            ("file-sync", Some("file-sync")),
            ("nonsense", None),
        ] {
            assert_eq!(find(name).map(|o| o.name), row, "{name}");
        }
        assert_eq!(find("passphrase").unwrap().kind, Kind::Secret);
    }
}
