//! What is said and where, and what a run may use.

use super::{ALL_COMMANDS, options};
use crate::base::opt::Kind::{Choice, Flag, Path, Size, Span, Text};

const LEVELS: &[&str] = &[
    "Profiling",
    "Verbose",
    "Retry",
    "Information",
    "DryRun",
    "Warning",
    "Error",
];
const CHANGING: &[&str] = &[
    "backup",
    "restore",
    "cat",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
    "copy",
    "remote",
];

/// What keeps other runs out while it writes.
const LOCKING: &[&str] = &[
    "backup",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
    "copy",
];

options! { LIST:
    HELP = "help", Flag, "", ALL_COMMANDS, "Shows help, also as -h.";
    JSON = "json", Flag, "", ALL_COMMANDS, "Writes one JSON object to standard output instead of text.";
    VERBOSE = "verbose", Flag, "", ALL_COMMANDS, "Says more, each file that is stored or restored too, also as -v.";
    VERY_VERBOSE = "very-verbose", Flag, "", ALL_COMMANDS, "As --verbose, and each request to the destination, also as -vv.";
    QUIET = "quiet-console" | "quiet", Flag, "", ALL_COMMANDS, "Says nothing while all is well (exit codes 0 and 1), else warnings, errors and the result, also as -q; what a list or a search found, and what a dry run would do, is shown.";
    PROGRESS = "progress", Choice(&["auto", "none", "plain"]), "auto", ALL_COMMANDS, "Progress line: when standard error is a terminal, never, or always.";
    CONSOLE_LOG_LEVEL = "console-log-level", Choice(LEVELS), "Warning", ALL_COMMANDS, "How much is said: Verbose as with -v, Profiling as with -vv, Error as with -q, the others as usual.";
    LOG_FILE = "log-file", Path, "", ALL_COMMANDS, "Appends everything that is said to this file, with the time.";
    LOG_FILE_LEVEL = "log-file-log-level" | "log-level", Choice(LEVELS), "Information", ALL_COMMANDS, "Least level of a line in --log-file; without it, -v makes that Verbose and -vv Profiling.";
    LOG_FILE_SIZE = "log-file-max-size", Size(1 << 20), "10mb", ALL_COMMANDS, "Size at which --log-file is renamed to FILE.1 and begun anew, without a suffix in MiB; 0 = never.";
    SUPPRESS_WARNINGS = "suppress-warnings", Text, "", ALL_COMMANDS, "Kinds of warnings, separated by commas, that are told but leave the exit code alone, such as unreadable, vanished or changed; help exit-codes lists them.";
    DRY_RUN = "dry-run" | "dryrun", Flag, "", CHANGING, "Shows what would happen and changes nothing.";
    BACKUP_NAME = "backup-name", Text, "", ALL_COMMANDS, "Name of the backup in reports, in the object of --json and in the log file.";
    PARAMETERS_FILE = "parameters-file" | "parameter-file" | "parameterfile", Path, "", ALL_COMMANDS, "File of further options, one --name=value a line; it beats the command line.";
    TEMPDIR = "tempdir", Path, "", ALL_COMMANDS, "Folder for temporary files; else TMPDIR, else /tmp.";
    CACHE_DIR = "cache-dir", Path, "", ALL_COMMANDS, "Folder for caches; else DUPLET_CACHE, XDG_CACHE_HOME/duplet or ~/.cache/duplet (as root /var/cache/duplet).";
    LOCK_WAIT = "lock-wait", Span, "0s", LOCKING, "How long to wait for another run that writes to the same destination on this machine; 0s gives up at once.";
    SELF_TEST = "self-test", Flag, "", &["system-info"], "Checks that the program computes and stores rightly on this machine.";
    NO_CACHE = "no-cache", Flag, "", ALL_COMMANDS, "Neither reads nor writes a cache.";
}
