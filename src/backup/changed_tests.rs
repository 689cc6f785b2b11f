//! What makes a file be read again.

use super::*;
use crate::base::digest::Algo;
use crate::base::sys::FileKind;
use crate::base::time::Timestamp;
use crate::format::filelist::Entry;
use crate::format::locator::Extents;

const SECOND: i64 = 1_000_000_000;
/// When the run that made the stamps began, in seconds; also the version's time.
const BEFORE: i64 = 1000;
const NOW: i64 = 5000;

fn stat() -> Stat {
    Stat {
        kind: FileKind::File,
        dev: 1,
        ino: 7,
        mode: 0o644,
        uid: 0,
        gid: 0,
        nlink: 1,
        size: 3,
        mtime: (50, 500),
        ctime: (60, 700),
        btime: None,
    }
}

fn content(size: u64) -> Content {
    Content {
        hash: Some(Algo::Sha256.hash(b"x")),
        size,
        ..Content::default()
    }
}

/// The record of `stat()`, whose metadata hash to that of `x`.
fn record(stamp: Stamp) -> Record {
    Record {
        entry: Entry {
            kind: EntryKind::File,
            path: b"/f".to_vec(),
            time: Some(Timestamp(50)),
            content: Some(content(3)),
            meta: Some(content(100)),
        },
        extents: Extents::default(),
        stamp,
    }
}

fn looked(seconds: i64, exclusions: bool) -> Looked {
    Looked {
        began: seconds * SECOND,
        exclusions,
    }
}

fn judge(rule: Rule, stamps: bool) -> Judge {
    let before = stamps.then(|| looked(BEFORE, true));
    Judge::new(rule, false, before, looked(NOW, true), BEFORE)
}

/// Verdict on a file with metadata as recorded (`same`) or others.
fn verdict(judge: &mut Judge, stat: &Stat, old: &Record, same: bool) -> Verdict {
    let evidence = judge.evidence(stat, old);
    let hash = Algo::Sha256.hash(if same { b"x" } else { b"y" });
    let at_once = judge.reads_at_once(evidence);
    let verdict = judge.file(stat, (&hash, 100), old, evidence);
    assert!(!at_once || verdict == Verdict::Read);
    verdict
}

/// Every part of a stamp counts, each alone, whatever the metadata say.
#[test]
fn a_stamp_proves_only_as_a_whole() {
    let known = stamp(&stat());
    let edge = BEFORE - 2;
    for (what, now, old, want) in [
        ("as it was", stat(), known, Verdict::Same),
        ("inode", Stat { ino: 8, ..stat() }, known, Verdict::Read),
        (
            "status change",
            Stat {
                ctime: (60, 701),
                ..stat()
            },
            known,
            Verdict::Read,
        ),
        (
            "earlier status change",
            Stat {
                ctime: (59, 700),
                ..stat()
            },
            known,
            Verdict::Read,
        ),
        (
            "nanoseconds of the time",
            Stat {
                mtime: (50, 501),
                ..stat()
            },
            known,
            Verdict::Read,
        ),
        (
            "time",
            Stat {
                mtime: (51, 500),
                ..stat()
            },
            known,
            Verdict::Read,
        ),
        ("size", Stat { size: 4, ..stat() }, known, Verdict::Read),
        ("no stamp", stat(), Stamp::default(), Verdict::Read),
        (
            "no inode",
            Stat { ino: 0, ..stat() },
            Stamp { ino: 0, ..known },
            Verdict::Read,
        ),
        (
            "no status change",
            Stat {
                ctime: (0, 0),
                ..stat()
            },
            Stamp { ctime: 0, ..known },
            Verdict::Read,
        ),
        (
            "too young",
            Stat {
                ctime: (edge, 0),
                ..stat()
            },
            Stamp {
                ctime: edge * SECOND,
                ..known
            },
            Verdict::Read,
        ),
        (
            "just old enough",
            Stat {
                ctime: (edge - 1, 999_999_999),
                ..stat()
            },
            Stamp {
                ctime: edge * SECOND - 1,
                ..known
            },
            Verdict::Same,
        ),
        (
            "of the future",
            Stat {
                ctime: (9000, 0),
                ..stat()
            },
            Stamp {
                ctime: 9000 * SECOND,
                ..known
            },
            Verdict::Read,
        ),
        (
            "device, links",
            Stat {
                dev: 9,
                nlink: 2,
                ..stat()
            },
            known,
            Verdict::Same,
        ),
    ] {
        let got = verdict(&mut judge(Rule::Metadata, true), &now, &record(old), true);
        assert_eq!(got, want, "{what}");
    }
    // Proven content with other metadata is not read.
    let got = verdict(
        &mut judge(Rule::Metadata, true),
        &stat(),
        &record(known),
        false,
    );
    assert_eq!(got, Verdict::Metadata);
    let got = verdict(
        &mut judge(Rule::Always, true),
        &stat(),
        &record(known),
        true,
    );
    assert_eq!(got, Verdict::Read);
}

#[test]
fn without_stamps_size_and_metadata_decide() {
    for (what, now, same, want) in [
        ("as it was", stat(), true, Verdict::Same),
        ("size", Stat { size: 4, ..stat() }, true, Verdict::Read),
        ("metadata", stat(), false, Verdict::Read),
    ] {
        let got = verdict(
            &mut judge(Rule::Metadata, false),
            &now,
            &record(Stamp::default()),
            same,
        );
        assert_eq!(got, want, "{what}");
    }
}

/// The time alone counts, at the precision there is: nanoseconds of a stamp, 100 ns of equal metadata, never seconds.
#[test]
fn the_time_alone_is_compared_as_exactly_as_it_is_known() {
    let known = stamp(&stat());
    for (what, stamps, now, same, want) in [
        ("as it was", true, stat(), true, Verdict::Same),
        (
            "all but the time",
            true,
            Stat {
                ino: 8,
                ctime: (70, 0),
                size: 9,
                ..stat()
            },
            true,
            Verdict::Same,
        ),
        (
            "mode",
            true,
            Stat {
                ctime: (70, 0),
                ..stat()
            },
            false,
            Verdict::Metadata,
        ),
        (
            "within the second",
            true,
            Stat {
                mtime: (50, 600),
                ctime: (70, 0),
                ..stat()
            },
            false,
            Verdict::Read,
        ),
        (
            "time",
            true,
            Stat {
                mtime: (51, 500),
                ctime: (70, 0),
                ..stat()
            },
            false,
            Verdict::Read,
        ),
        (
            "metadata as they were",
            false,
            Stat { size: 9, ..stat() },
            true,
            Verdict::Same,
        ),
        ("other metadata", false, stat(), false, Verdict::Read),
    ] {
        let old = record(if stamps { known } else { Stamp::default() });
        let got = verdict(&mut judge(Rule::TimeOnly, stamps), &now, &old, same);
        assert_eq!(got, want, "{what}");
    }
    // A time at which the last run was looking may be that of two contents.
    for (seconds, want) in [
        (BEFORE - 2, Verdict::Read),
        (BEFORE, Verdict::Read),
        (NOW, Verdict::Read),
        (NOW + 1, Verdict::Same),
        (BEFORE - 3, Verdict::Same),
        (-1, Verdict::Same),
        (0, Verdict::Read),
    ] {
        let now = Stat {
            mtime: (seconds, 0),
            ctime: (seconds + 10, 0),
            ..stat()
        };
        let old = record(Stamp {
            mtime: seconds * SECOND,
            ..known
        });
        let got = verdict(&mut judge(Rule::TimeOnly, true), &now, &old, true);
        assert_eq!(got, want, "{seconds}");
    }
}

/// A run that keeps no metadata, or a version that has none: equal empty metadata prove nothing.
#[test]
fn empty_metadata_equal_nothing() {
    let empty = Content {
        hash: Some(Algo::Sha256.hash(EMPTY_BLOB)),
        size: 5,
        ..Content::default()
    };
    let hash = Algo::Sha256.hash(EMPTY_BLOB);
    for (what, now, version, stamps, want) in [
        ("as it was", stat(), BEFORE, false, Verdict::Same),
        (
            "within the second",
            Stat {
                mtime: (50, 900),
                ..stat()
            },
            BEFORE,
            false,
            Verdict::Same,
        ),
        (
            "time",
            Stat {
                mtime: (51, 500),
                ..stat()
            },
            BEFORE,
            false,
            Verdict::Read,
        ),
        (
            "size",
            Stat { size: 4, ..stat() },
            BEFORE,
            false,
            Verdict::Read,
        ),
        ("of the version's second", stat(), 50, false, Verdict::Read),
        ("later than the version", stat(), 49, false, Verdict::Read),
        ("stamp", stat(), BEFORE, true, Verdict::Same),
        (
            "status change",
            Stat {
                ctime: (70, 0),
                ..stat()
            },
            BEFORE,
            true,
            Verdict::Read,
        ),
        (
            "replaced",
            Stat { ino: 8, ..stat() },
            BEFORE,
            true,
            Verdict::Read,
        ),
    ] {
        let mut old = record(if stamps {
            stamp(&stat())
        } else {
            Stamp::default()
        });
        old.entry.meta = Some(empty.clone());
        let before = stamps.then(|| looked(BEFORE, true));
        let mut judge = Judge::new(Rule::Metadata, true, before, looked(NOW, true), version);
        let evidence = judge.evidence(&now, &old);
        assert_eq!(judge.file(&now, (&hash, 5), &old, evidence), want, "{what}");
    }
    // From metadata to none and back the content is not read.
    let mut old = record(Stamp::default());
    let mut bare = Judge::new(Rule::Metadata, true, None, looked(NOW, true), BEFORE);
    let evidence = bare.evidence(&stat(), &old);
    assert_eq!(
        bare.file(&stat(), (&hash, 5), &old, evidence),
        Verdict::Metadata
    );
    old.entry.meta = Some(empty);
    let got = verdict(&mut judge(Rule::Metadata, false), &stat(), &old, false);
    assert_eq!(got, Verdict::Metadata);
}

/// What a run did not look at cannot be taken from its stamps.
#[test]
fn attributes_are_looked_at_when_the_last_run_did_not() {
    let old = record(stamp(&stat()));
    for (before, now, want) in [
        (true, true, true),
        (false, true, false),
        (false, false, true),
        (true, false, true),
    ] {
        let mut judge = Judge::new(
            Rule::Metadata,
            false,
            Some(looked(BEFORE, before)),
            looked(NOW, now),
            BEFORE,
        );
        let evidence = judge.evidence(&stat(), &old);
        assert_eq!(evidence, Evidence::Unchanged);
        assert_eq!(judge.settled(evidence, false), want, "{before} {now}");
        assert!(!judge.settled(evidence, true) && !judge.settled(Evidence::Doubt, false));
    }
}

/// Files whose metadata alone differs are not read once nothing else was ever met, which only happens with a version made
/// elsewhere. A file that was found equal shows that it was not.
#[test]
fn a_version_of_this_program_is_not_taken_for_a_foreign_one() {
    let old = record(Stamp::default());
    for (any_equal, last) in [(false, Verdict::Metadata), (true, Verdict::Read)] {
        let mut judge = judge(Rule::Metadata, false);
        if any_equal {
            assert_eq!(verdict(&mut judge, &stat(), &old, true), Verdict::Same);
        }
        for _ in 0..FOREIGN_AFTER {
            assert_eq!(verdict(&mut judge, &stat(), &old, false), Verdict::Read);
        }
        assert_eq!(verdict(&mut judge, &stat(), &old, false), last);
    }
}
