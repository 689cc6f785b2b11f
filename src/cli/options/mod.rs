//! Every option by its row: what it takes, its default, its help, the commands that read it. Parsing, help, `system-info`
//! and the wiping of secrets all read these tables; the destinations' own rows stand in `remote` and `dest`.

mod crypt;
mod foreign;
mod misplaced;
mod remote;
mod repair;
mod report;
mod restore;
mod source;
mod unattended;
mod upkeep;
mod volumes;

pub(crate) use crypt::*;
pub(crate) use misplaced::{Misplaced, misplaced};
pub(crate) use remote::*;
pub(crate) use repair::*;
pub(crate) use report::*;
pub(crate) use restore::*;
pub(crate) use source::*;
pub(crate) use unattended::*;
pub(crate) use upkeep::*;
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
            env: "",
            login: crate::base::opt::Part::None,
            plain: None,
        };)*
        pub(super) static $list: &[&crate::base::opt::Opt] = &[$(&$id),*];
    };
}
use options;

const ALL_COMMANDS: &[&str] = &[];
const BACKUP: &[&str] = &["backup"];
const RESTORE: &[&str] = &["restore"];
/// Commands that bring files back.
const BRINGING: &[&str] = &["restore", "cat"];
/// Commands that read blocks here and there.
const READING: &[&str] = &["restore", "cat", "mount"];
const MOUNT: &[&str] = &["mount"];
/// Commands that look for paths in versions.
const LOOKING: &[&str] = &[
    "restore",
    "cat",
    "list",
    "list-folder-content",
    "find",
    "list-file-versions",
    "search-entries",
    "mount",
];
/// Commands that walk the sources.
const WALK: &[&str] = &["backup", "test-filters"];
/// Commands that choose among stored paths or source paths.
const FILTERED: &[&str] = &[
    "backup",
    "restore",
    "cat",
    "list",
    "find",
    "list-folder-content",
    "search-entries",
    "compare",
    "purge",
    "test-filters",
];
/// What writes, and keeps others out while it does.
const WRITING: &[&str] = &[
    "backup",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
];
const VERSIONED: &[&str] = &[
    "restore",
    "cat",
    "mount",
    "list",
    "find",
    "list-folder-content",
    "list-file-versions",
    "search-entries",
    "verify",
    "copy",
    "purge",
];
/// [`VERSIONED`] and what takes the number of a version, but no time.
const NUMBERED: &[&str] = &[
    "restore",
    "cat",
    "mount",
    "list",
    "find",
    "list-folder-content",
    "list-file-versions",
    "search-entries",
    "verify",
    "copy",
    "delete",
    "purge",
];

/// One heading of the help and its options.
pub(crate) type Group = (&'static str, &'static [&'static Opt]);

/// All options of the program itself.
pub(crate) static GROUPS: &[Group] = &[
    ("Choosing what to back up", source::LIST),
    ("Volumes and blocks", volumes::LIST),
    ("Encryption and secrets", crypt::LIST),
    ("Restoring and listing", restore::LIST),
    ("Deleting versions and reclaiming space", upkeep::LIST),
    ("Repairing and taking files out", repair::LIST),
    ("Testing a destination", remote::LIST),
    ("Running by itself", unattended::LIST),
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
        .or_else(|| real().chain(foreign()).find(family))
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

    /// Duplicati's options for backup, restore and the rest, its transfers and its reports: a command line that it took is
    /// understood, whether an option means something here or not.
    #[test]
    fn every_option_of_duplicati_is_known() {
        for name in DUPLICATI {
            assert!(find(name).is_some(), "{name}");
        }
    }

    const DUPLICATI: &[&str] = &[
        "abort-if-source-missing",
        "accept-any-ssl-certificate",
        "accept-specified-ssl-hash",
        "aes-ignore-padding-bytes",
        "aes-minimal-header",
        "aes-v3-iterations",
        "aes-version",
        "all-versions",
        "allow-full-removal",
        "allow-missing-source",
        "allow-passphrase-change",
        "allow-paths-in-log-messages",
        "allow-restore-outside-target-directory",
        "allow-sleep",
        "asynchronous-concurrent-upload-limit",
        "asynchronous-upload-folder",
        "asynchronous-upload-limit",
        "auth-password",
        "auth-username",
        "auto-cleanup",
        "auto-compact-interval",
        "auto-update",
        "auto-vacuum",
        "auto-vacuum-interval",
        "backup-id",
        "backup-name",
        "backup-test-percentage",
        "backup-test-samples",
        "backupread-anything",
        "backupread-policy",
        "block-hash-algorithm",
        "blocksize",
        "case-insensitive-remote",
        "changed-files",
        "check-filetime-only",
        "compression-extension-file",
        "compression-level",
        "compression-module",
        "concurrency-anything",
        "console-log-filter",
        "console-log-ignore",
        "console-log-level",
        "control-files",
        "cpu-intensity",
        "dblock-size",
        "dbpath",
        "debug-output",
        "debug-retry-errors",
        "deleted-files",
        "disable-ads-restore",
        "disable-autocreate-folder",
        "disable-backup-exclusion-xattr",
        "disable-file-scanner",
        "disable-filelist-consistency-checks",
        "disable-filepath-cache",
        "disable-filetime-check",
        "disable-module",
        "disable-on-battery",
        "disable-partial-dblock-recovery",
        "disable-piped-streaming",
        "disable-replace-missing-metadata",
        "disable-streaming-transfers",
        "disable-synthetic-filelist",
        "disable-time-tolerance",
        "dont-compress-restore-paths",
        "dont-read-manifests",
        "dont-replace-faulty-index-files",
        "dry-run",
        "dryrun",
        "enable-ads-backup",
        "enable-module",
        "encryption-module",
        "exclude",
        "exclude-empty-folders",
        "exclude-files-attributes",
        "exclude-non-local-files",
        "file-hash-algorithm",
        "file-read-buffer-size",
        "force-actual-date",
        "force-locale",
        "force-passphrase-from-stdin",
        "full-block-verification",
        "full-remote-verification",
        "full-result",
        "gpg-anything",
        "hardlink-policy",
        "hyperv-anything",
        "ignore-advisory-locking",
        "ignore-filenames",
        "ignore-revocation-failure",
        "ignore-update-if-version-exists",
        "include",
        "index-file-policy",
        "internal-profiling",
        "keep-time",
        "keep-versions",
        "list-folder-contents",
        "list-prefix-only",
        "list-sets-only",
        "list-timeout",
        "list-verify-uploads",
        "log-file",
        "log-file-log-filter",
        "log-file-log-ignore",
        "log-file-log-level",
        "log-http-requests",
        "log-level",
        "log-retention",
        "log-socket-data",
        "long-database-query-threshold",
        "machine-id",
        "machine-name",
        "mssql-anything",
        "new-passphrase",
        "next-scheduled-run",
        "no-auto-compact",
        "no-backend-verification",
        "no-connection-reuse",
        "no-encryption",
        "no-local-blocks",
        "no-local-db",
        "number-of-retries",
        "par2-anything",
        "parameters-file",
        "parity-module",
        "passphrase",
        "patch-with-local-blocks",
        "photos-anything",
        "portable-mode",
        "prefix",
        "prevent-backend-rename",
        "prevent-empty-source",
        "profile-anything",
        "profile-all-database-queries",
        "quiet-console",
        "quota-disable",
        "quota-size",
        "quota-warning-threshold",
        "read-write-timeout",
        "rebuild-missing-dblock-files",
        "reduced-purge-statistics",
        "refresh-lock-info-complete",
        "remote-file-lock-duration",
        "remote-file-lock-mode",
        "remote-sync-json-config",
        "remote-volume-size",
        "repair-refresh-lock-info",
        "restore-all-files",
        "restore-cache-evict",
        "restore-cache-max",
        "restore-channel-buffer-size",
        "restore-file-processors",
        "restore-legacy",
        "restore-path",
        "restore-permissions",
        "restore-preallocate-size",
        "restore-symlink-metadata",
        "restore-volume-anything",
        "restore-volume-cache-hint",
        "restore-with-local-blocks",
        "retention-policy",
        "retry-delay",
        "retry-with-exponential-backoff",
        "run-script-anything",
        "secret-provider",
        "secret-provider-cache",
        "secret-provider-pattern",
        "send-http-any-operation",
        "send-http-form-urls",
        "send-http-json-urls",
        "send-http-level",
        "send-http-max-log-lines",
        "send-http-url",
        "send-mail-anything",
        "send-telegram-anything",
        "send-xmpp-anything",
        "server-datafolder",
        "short-timeout",
        "skip-file-hash-checks",
        "skip-files-larger-than",
        "skip-metadata",
        "skip-restore-verification",
        "small-file-max-count",
        "small-file-size",
        "snapshot-policy",
        "snapshot-provider",
        "soft-delete-prefix",
        "store-metadata-content-in-database",
        "suppress-warnings",
        "symlink-policy",
        "sync-anything",
        "synchronous-upload",
        "tempdir",
        "thread-priority",
        "threshold",
        "throttle-disabled",
        "throttle-disabled-backends",
        "throttle-download",
        "throttle-upload",
        "time",
        "unittest-mode",
        "upload-unchanged-backups",
        "upload-verification-file",
        "use-background-io-priority",
        "use-block-cache",
        "use-ssl",
        "usn-policy",
        "verbose",
        "version",
        "vss-anything",
        "zip-compression-level",
        "zip-compression-library",
        "zip-compression-method",
        "zip-compression-zip64",
    ];
}
