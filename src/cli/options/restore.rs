//! Which version, which of its entries, and where they go.

use super::{
    ALL_COMMANDS, BRINGING, LOOKING, MOUNT, NUMBERED, READING, RESTORE, VERSIONED, options,
};
use crate::base::opt::Kind::{Choice, Flag, Path, Size, Word};

const LISTING: &[&str] = &["list", "find"];
/// Commands whose words name what is in a backup, and that change nothing there.
const NAMING: &[&str] = &[
    "restore",
    "cat",
    "list",
    "find",
    "list-folder-content",
    "list-file-versions",
    "search-entries",
];
const ENTRIES: &[&str] = &["list", "list-folder-content"];

options! { LIST:
    VERSION = "version", Word, "", NUMBERED, "Versions by number, such as 0 or 0,2-4; 0 is the newest.";
    TIME = "time", Word, "", VERSIONED, "The newest version at or before an age (3D, 2W) or date (2026-03-01 is the end of that day; 2026-03-01T12:00).";
    ALL_VERSIONS = "all-versions", Flag, "", LISTING, "Looks in every version.";
    LIST_SETS_ONLY = "list-sets-only", Flag, "", LISTING, "Lists versions only.";
    LIST_PREFIX_ONLY = "list-prefix-only", Flag, "", LISTING, "Lists only the folder that all entries have in common.";
    LIST_FOLDER_CONTENTS = "list-folder-contents", Flag, "", LISTING, "Lists what is directly in the folder given.";
    IGNORE_CASE = "ignore-case", Flag, "", NAMING, "Words match whatever the case of their letters is (-i).";
    LONG = "long", Flag, "", ENTRIES, "Shows mode, owner and time of each entry (-l). They are read from the volumes that hold them.";
    RESTORE_PATH = "restore-path", Path, "", RESTORE, "Folder to restore into, without the folders all entries share; else the original places; - is standard output.";
    OVERWRITE = "overwrite", Flag, "", RESTORE, "Replaces files that differ; without it the restored file gets another name.";
    EXISTING = "existing", Choice(&["rename", "skip", "overwrite", "newer"]), "rename", RESTORE, "What to do where a different file is already there.";
    RESTORE_PERMISSIONS = "restore-permissions", Flag, "", RESTORE, "Restores owners, groups, modes, access lists, labels and capabilities.";
    RESTORE_SYMLINK_METADATA = "restore-symlink-metadata", Flag, "", RESTORE, "Restores the times of symbolic links.";
    KEEP_FULL_PATHS = "dont-compress-restore-paths", Flag, "", BRINGING, "Keeps the whole original path below --restore-path, and in a tar stream.";
    SKIP_VERIFICATION = "skip-restore-verification", Flag, "", BRINGING, "Does not read restored files once more to compare their hashes.";
    ALLOW_OUTSIDE = "allow-restore-outside-target-directory", Flag, "", RESTORE, "Follows symbolic links that are already in the target, wherever they lead.";
    TAR = "tar", Flag, "", BRINGING, "Writes folders, several files or a whole version to standard output as a tar stream.";
    PARTIAL_READS = "partial-reads", Choice(&["auto", "always", "never"]), "auto", LOOKING, "Of volumes and lists of which little is wanted, reads only that: where it is less than half, always, or never.";
    VOLUME_CACHE_HINT = "restore-volume-cache-hint", Size(1 << 20), "256mb", READING, "Volumes that are kept in the temporary folder because standard output wants them in the order of files; of a mount, blocks too.";
    NO_SCAN = "no-scan", Flag, "", READING, "Gives up instead of searching all volumes for blocks that no index names.";
    ALLOW_OTHER = "allow-other", Flag, "", MOUNT, "Lets other users look into what is mounted, as far as the modes of files say.";
    EXIT_CODE = "exit-code", Flag, "", &["compare"], "Ends with exit code 1 when the versions differ.";
    FULL_RESULT = "full-result" | "full-results", Flag, "", ALL_COMMANDS, "Shows everything that is counted, and long lists whole.";
}
