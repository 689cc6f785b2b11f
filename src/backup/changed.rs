//! Has a file changed since the previous version? Pure decisions from what is known, without opening the file
//! (`commands.md` 7).

use crate::base::digest::Hash;
use crate::base::sys::Stat;
use crate::format::filelist::{Content, EntryKind};
use crate::set::Record;

/// What makes a file count as changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Size or metadata (which holds the time to 100 ns) differs.
    Metadata,
    /// Only the modification time counts.
    TimeOnly,
    /// Every file is read.
    Always,
}

/// Seconds by which a status change must lie before the previous run to be trusted: a file changed while that run was
/// looking may carry the same stamp afterwards.
const RACE_NS: i64 = 2_000_000_000;

/// Files after which a backup whose metadata never matched is taken for one made elsewhere.
const FOREIGN_AFTER: u64 = 64;

/// Compares files with the previous version; learns whether that was made by a program whose metadata looks different.
pub(super) struct Judge {
    rule: Rule,
    /// When the run that made the previous record began, Unix nanoseconds; 0 = unknown.
    began: i64,
    /// Time of the previous version, Unix seconds.
    version: i64,
    matched: u64,
    only_metadata_differs: u64,
}

/// Verdict on a file that has a previous record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Content as before, metadata must be stored anew.
    Metadata,
    Read,
}

impl Judge {
    pub(super) fn new(rule: Rule, began: i64, version: i64) -> Judge {
        Judge {
            rule,
            began,
            version,
            matched: 0,
            only_metadata_differs: 0,
        }
    }

    /// True when inode, status change time and size prove that nothing changed, extended attributes included.
    pub(super) fn untouched(&mut self, stat: &Stat, old: &Record) -> bool {
        let size = old.entry.content.as_ref().map_or(0, |c| c.size);
        let proved = self.rule == Rule::Metadata
            && old.ino != 0
            && old.ino == stat.ino
            && old.ctime == nanos(stat.ctime)
            && old.ctime < self.began.saturating_sub(RACE_NS)
            && (old.entry.kind != EntryKind::File || size == stat.size);
        // Only what this program stored or found equal has stamps: the previous version is not made elsewhere.
        self.matched += u64::from(proved);
        proved
    }

    /// `meta` is the metadata blob's hash and length now.
    pub(super) fn file(&mut self, stat: &Stat, meta: (&Hash, u64), old: &Record) -> Verdict {
        let Some(content) = &old.entry.content else {
            return Verdict::Read;
        };
        let same_second =
            old.entry.time.is_some_and(|t| t.0 == stat.mtime.0) && stat.mtime != (0, 0);
        let same_meta = is_meta(old.entry.meta.as_ref(), meta);
        match self.rule {
            Rule::Always => Verdict::Read,
            Rule::TimeOnly if same_second => {
                if same_meta {
                    Verdict::Same
                } else {
                    Verdict::Metadata
                }
            }
            Rule::TimeOnly => Verdict::Read,
            Rule::Metadata if content.size != stat.size => Verdict::Read,
            Rule::Metadata if same_meta => {
                self.matched += 1;
                Verdict::Same
            }
            Rule::Metadata => {
                // Only seconds are known of a version whose metadata looks different, so a file of its last second is read.
                let comparable = same_second && stat.mtime.0 < self.version;
                if comparable {
                    self.only_metadata_differs += 1;
                }
                let no_metadata = old.entry.meta.as_ref().is_none_or(|m| m.size <= 5);
                let foreign = self.matched == 0 && self.only_metadata_differs > FOREIGN_AFTER;
                if comparable && (no_metadata || foreign) {
                    Verdict::Metadata
                } else {
                    Verdict::Read
                }
            }
        }
    }
}

/// True when `old` is the blob with this hash and length.
pub(super) fn is_meta(old: Option<&Content>, meta: (&Hash, u64)) -> bool {
    old.is_some_and(|m| m.hash.as_ref() == Some(meta.0) && m.size == meta.1)
}

/// A time in nanoseconds, saturating.
pub(super) fn nanos(t: (i64, u32)) -> i64 {
    t.0.saturating_mul(1_000_000_000)
        .saturating_add(i64::from(t.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;
    use crate::base::sys::FileKind;
    use crate::base::time::Timestamp;
    use crate::format::filelist::Entry;

    /// Files whose metadata alone differs are not read once nothing else was ever met, which only happens with a version
    /// made elsewhere. A file that stamps prove unchanged shows that it was not.
    #[test]
    fn a_version_of_this_program_is_not_taken_for_a_foreign_one() {
        let hash = Algo::Sha256.hash(b"x");
        let content = |size| Content {
            hash: Some(hash),
            size,
            ..Content::default()
        };
        let stat = Stat {
            kind: FileKind::File,
            dev: 1,
            ino: 7,
            mode: 0o644,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 3,
            mtime: (50, 0),
            ctime: (60, 0),
            btime: None,
        };
        let old = Record {
            entry: Entry {
                kind: EntryKind::File,
                path: b"/f".to_vec(),
                time: Some(Timestamp(50)),
                content: Some(content(3)),
                meta: Some(content(100)),
            },
            ino: 7,
            ctime: nanos((60, 0)),
        };
        let now = Algo::Sha256.hash(b"other metadata");
        for (any_untouched, last) in [(false, Verdict::Metadata), (true, Verdict::Read)] {
            let mut judge = Judge::new(Rule::Metadata, nanos((1000, 0)), 1000);
            if any_untouched {
                assert!(judge.untouched(&stat, &old));
            }
            let touched = Stat {
                ctime: (2000, 0),
                ..stat
            };
            assert!(!judge.untouched(&touched, &old));
            for _ in 0..FOREIGN_AFTER {
                assert_eq!(judge.file(&touched, (&now, 120), &old), Verdict::Read);
            }
            assert_eq!(judge.file(&touched, (&now, 120), &old), last);
        }
    }
}
