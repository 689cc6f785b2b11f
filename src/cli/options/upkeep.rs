//! Which versions stay, and when what they leave behind is reclaimed.

use super::options;
use crate::base::opt::Kind::{Flag, Int, Size, Span, Text};
use crate::base::opt::Opt;

/// What deletes versions.
const DELETE: &[&str] = &["delete", "backup"];
/// What rewrites volumes.
const RECLAIM: &[&str] = &["delete", "backup", "compact", "purge", "purge-broken-files"];
/// What does so without being asked.
const BY_ITSELF: &[&str] = &["delete", "backup", "purge", "purge-broken-files"];

options! { LIST:
    KEEP_VERSIONS = "keep-versions", Int(0), "", DELETE, "Keeps so many complete versions, the newest ones; 0 keeps all.";
    KEEP_TIME = "keep-time", Text, "", DELETE, "Keeps the versions of this age, counted back by the calendar: 3D, 4W, 6M, 1Y.";
    RETENTION_POLICY = "retention-policy", Text, "", DELETE, "Thins versions out as they age: 1W:1D,4W:1W,12M:1M keeps one a day for a week, then one a week for four, then one a month for a year; U has no end.";
    ALLOW_FULL_REMOVAL = "allow-full-removal", Flag, "", DELETE, "Lets a rule take the last version, too, and in a backup the last one of a source that is empty or gone.";
    NO_TIME_TOLERANCE = "disable-time-tolerance", Flag, "", DELETE, "Takes --keep-time to the second; else a hundredth of it, at most an hour, is added.";
    THRESHOLD = "threshold", Int(0), "25", RECLAIM, "Percentage of unused data from which volumes are rewritten.";
    SMALL_FILE_SIZE = "small-file-size", Size(1 << 20), "", RECLAIM, "Size up to which a volume is small, without a suffix in MiB; a fifth of --dblock-size if not given.";
    SMALL_FILE_MAX_COUNT = "small-file-max-count", Int(0), "20", RECLAIM, "How many small volumes may be there before they are put together.";
    NO_AUTO_COMPACT = "no-auto-compact", Flag, "", BY_ITSELF, "Does not reclaim the space of deleted versions.";
    AUTO_COMPACT_INTERVAL = "auto-compact-interval", Span, "0s", BY_ITSELF, "Least time between two runs that reclaim space by themselves.";
}

/// The criteria, of which a nought or a word such as `off` means none.
fn is_criterion(opt: &Opt) -> bool {
    [KEEP_VERSIONS.name, KEEP_TIME.name, RETENTION_POLICY.name].contains(&opt.name)
}

/// True for an option of this table.
pub(crate) fn is_upkeep(opt: &Opt) -> bool {
    LIST.iter().any(|o| o.name == opt.name)
}

/// True for a value that asks for no criterion: none at all (`--retention-policy=`), a nought or a word that says so, which
/// `off_word` tells.
pub(crate) fn upkeep_off(opt: &Opt, off_word: bool) -> bool {
    off_word && is_criterion(opt)
}
