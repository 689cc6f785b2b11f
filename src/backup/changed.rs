//! Has a file changed since the previous version? Pure decisions from what is known, without opening the file
//! (`commands.md` 7). What is not read again is proven unchanged: by the stamp that this machine's cache has of it, or, where
//! there is no cache, by metadata that hold the time to 100 ns.

use crate::base::digest::Hash;
use crate::base::sys::Stat;
use crate::format::filelist::{Content, EntryKind};
use crate::format::meta::EMPTY_BLOB;
use crate::set::{Looked, Record, Stamp};

/// What makes a file count as changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The stamp, or without one size or metadata, differs.
    Metadata,
    /// Only the modification time counts.
    TimeOnly,
    /// Every file is read.
    Always,
}

/// Nanoseconds by which a time must lie before the run that recorded it to prove anything: a file changed while that run was
/// looking may carry the same one afterwards, and some file systems count in steps of two seconds.
const RACE_NS: i64 = 2_000_000_000;

/// Files after which a backup whose metadata never matched is taken for one made elsewhere.
const FOREIGN_AFTER: u64 = 64;

/// Compares files with the previous version; learns whether that was made by a program whose metadata looks different.
pub(super) struct Judge {
    rule: Rule,
    /// This run keeps no metadata.
    bare: bool,
    /// How the run that made the stamps looked; `None` without stamps.
    before: Option<Looked>,
    now: Looked,
    /// Time of the previous version, Unix seconds.
    version: i64,
    matched: u64,
    only_metadata_differs: u64,
}

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing changed, extended attributes included.
    Unchanged,
    /// Something may have changed.
    Doubt,
    /// There are no stamps.
    None,
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
    pub(super) fn new(
        rule: Rule,
        bare: bool,
        before: Option<Looked>,
        now: Looked,
        version: i64,
    ) -> Judge {
        Judge {
            rule,
            bare,
            before,
            now,
            version,
            matched: 0,
            only_metadata_differs: 0,
        }
    }

    /// What the record's stamp says of the entry that `stat` describes: inode, status change time, modification time and size
    /// are the same, all are known, and the status change is old enough.
    pub(super) fn evidence(&mut self, stat: &Stat, old: &Record) -> Evidence {
        let Some(before) = self.before else {
            return Evidence::None;
        };
        let size = old.entry.content.as_ref().map_or(0, |c| c.size);
        let proved = old.stamp == stamp(stat)
            && old.stamp.ino != 0
            && old.stamp.ctime != 0
            && old.stamp.ctime < before.began.saturating_sub(RACE_NS)
            && (old.entry.kind != EntryKind::File || size == stat.size);
        if !proved {
            return Evidence::Doubt;
        }
        // Only what this program stored or found equal has stamps: the previous version is not made elsewhere.
        self.matched += 1;
        Evidence::Unchanged
    }

    /// True when the entry need not be looked at any more. `bare`: the record is of a run that kept no metadata.
    pub(super) fn settled(&self, evidence: Evidence, bare: bool) -> bool {
        evidence == Evidence::Unchanged
            && self.rule != Rule::Always
            && bare == self.bare
            && (!self.now.exclusions || self.before.is_some_and(|b| b.exclusions))
    }

    /// True when a file is read whatever its metadata say: [`Judge::file`] need not be asked.
    pub(super) fn reads_at_once(&self, evidence: Evidence) -> bool {
        self.rule == Rule::Always || (self.rule, evidence) == (Rule::Metadata, Evidence::Doubt)
    }

    /// `meta` is the metadata blob's hash and length now.
    pub(super) fn file(
        &mut self,
        stat: &Stat,
        meta: (&Hash, u64),
        old: &Record,
        evidence: Evidence,
    ) -> Verdict {
        let Some(content) = &old.entry.content else {
            return Verdict::Read;
        };
        let same_meta = is_meta(old.entry.meta.as_ref(), meta);
        let kept = if same_meta {
            Verdict::Same
        } else {
            Verdict::Metadata
        };
        match (self.rule, evidence) {
            (Rule::Always, _) => Verdict::Read,
            (_, Evidence::Unchanged) => kept,
            (Rule::TimeOnly, Evidence::Doubt) if self.time_proves(stat, old) => kept,
            (_, Evidence::Doubt) => Verdict::Read,
            (Rule::Metadata, Evidence::None) if content.size != stat.size => Verdict::Read,
            (_, Evidence::None) => {
                let no_metadata = self.bare || is_bare(old);
                // Empty metadata equal each other whatever the file is.
                if same_meta && !no_metadata {
                    self.matched += 1;
                    return Verdict::Same;
                }
                // Then only seconds are known, so a file of the version's last second is read.
                let comparable = old.entry.time.is_some_and(|t| t.0 == stat.mtime.0)
                    && stat.mtime != (0, 0)
                    && stat.mtime.0 < self.version;
                if comparable {
                    self.only_metadata_differs += 1;
                }
                let foreign = self.matched == 0 && self.only_metadata_differs > FOREIGN_AFTER;
                if comparable && (no_metadata || foreign) {
                    kept
                } else {
                    Verdict::Read
                }
            }
        }
    }

    /// The modification time alone, to the nanosecond: the same as in the stamp, and not of a moment at which the run that made
    /// it may have been looking.
    fn time_proves(&self, stat: &Stat, old: &Record) -> bool {
        let time = nanos(stat.mtime);
        let looking = self.before.map_or(i64::MIN, |b| b.began) - RACE_NS;
        old.stamp != Stamp::default()
            && time != 0
            && time == old.stamp.mtime
            && !(looking..=self.now.began).contains(&time)
    }
}

/// What is remembered of an entry.
pub(super) fn stamp(stat: &Stat) -> Stamp {
    Stamp {
        ino: stat.ino,
        ctime: nanos(stat.ctime),
        mtime: nanos(stat.mtime),
    }
}

/// True for a file or folder of a run that kept no metadata.
fn is_bare(old: &Record) -> bool {
    let empty = EMPTY_BLOB.len() as u64;
    old.entry.meta.as_ref().is_none_or(|m| m.size <= empty)
}

/// True when `old` is the blob with this hash and length.
pub(super) fn is_meta(old: Option<&Content>, meta: (&Hash, u64)) -> bool {
    old.is_some_and(|m| m.hash.as_ref() == Some(meta.0) && m.size == meta.1)
}

/// A time in nanoseconds, saturating.
fn nanos(t: (i64, u32)) -> i64 {
    t.0.saturating_mul(1_000_000_000)
        .saturating_add(i64::from(t.1))
}

#[cfg(test)]
#[path = "changed_tests.rs"]
mod tests;
