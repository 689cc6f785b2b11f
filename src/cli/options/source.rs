//! What is backed up: filters and everything the walk and the comparison with the last version look at.

use super::{BACKUP, FILTERED, WALK, options};
use crate::base::opt::Kind::{Choice, Flag, Many, Size, Text};
use crate::base::opt::Opt;

options! { LIST:
    INCLUDE = "include", Many, "", FILTERED, "Takes what the rule matches; the first rule that matches decides.";
    EXCLUDE = "exclude", Many, "", FILTERED, "Leaves out what the rule matches; a rule must fit the whole path, and for a folder ends in /.";
    EXCLUDE_ANY_CASE = "iexclude", Many, "", FILTERED, "As --exclude, with upper and lower case the same.";
    EXCLUDE_FROM = "exclude-from", Many, "", FILTERED, "File of rules for --exclude, one a line; empty lines and those that begin with # are skipped.";
    INCLUDE_FROM = "include-from", Many, "", FILTERED, "File of rules for --include, as for --exclude-from.";
    EXCLUDE_ATTRIBUTES = "exclude-files-attributes", Text, "", WALK, "Leaves out entries with one of these attributes, separated by commas: Hidden (the name begins with a dot), ReadOnly, Directory, ReparsePoint (symbolic links), Normal.";
    SKIP_LARGER = "skip-files-larger-than", Size(1 << 20), "0", WALK, "Leaves out files larger than this, without a suffix in MiB; 0 = no limit.";
    IGNORE_FILENAMES = "ignore-filenames", Text, "CACHEDIR.TAG", WALK, "Leaves out folders that hold a file of one of these names, separated by colons; CACHEDIR.TAG counts with its signature only.";
    EXCLUDE_EMPTY = "exclude-empty-folders", Flag, "", WALK, "Leaves out folders in which nothing is left.";
    SYMLINK_POLICY = "symlink-policy", Choice(&["Store", "Follow", "Ignore"]), "Store", WALK, "Symbolic links: record them, follow them, or leave them out.";
    HARDLINK_POLICY = "hardlink-policy", Choice(&["All", "First", "None"]), "All", WALK, "Files with several names: take each name, the first one only, or none.";
    NO_EXCLUSION_XATTR = "disable-backup-exclusion-xattr", Flag, "", WALK, "Takes files and folders even when their attribute user.duplicati.exclude asks to leave them out.";
    ONE_FILE_SYSTEM = "one-file-system", Flag, "", WALK, "Does not enter other file systems mounted below a source.";
    ALLOW_MISSING = "allow-missing-source", Flag, "", WALK, "Does not warn of a source that is not there.";
    ABORT_MISSING = "abort-if-source-missing", Flag, "", BACKUP, "Fails when a source is not there.";
    PREVENT_EMPTY = "prevent-empty-source", Flag, "", BACKUP, "Fails when a source folder is empty.";
    STDIN_FILENAME = "stdin-filename", Text, "", BACKUP, "Path in the backup, such as /db.sql, of what the source - stands for: standard input, stored as one file.";
    STDIN_COMMAND = "stdin-from-command", Text, "", BACKUP, "Command line for /bin/sh whose output is stored in place of standard input; when it fails no version is added.";
    CHECK_FILETIME_ONLY = "check-filetime-only", Flag, "", BACKUP, "Reads a file again only when its modification time changed, whatever its size, inode and change time say.";
    NO_FILETIME_CHECK = "disable-filetime-check", Flag, "", BACKUP, "Reads every file, changed or not.";
}

/// True for the options that are rules, or name files of them.
pub(crate) fn is_rule(opt: &Opt) -> bool {
    [
        &INCLUDE,
        &EXCLUDE,
        &EXCLUDE_ANY_CASE,
        &EXCLUDE_FROM,
        &INCLUDE_FROM,
    ]
    .iter()
    .any(|rule| rule.name == opt.name)
}
