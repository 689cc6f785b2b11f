//! What a run settles before it looks at a source: parameters, the time of the version, the version to compare with, whether
//! what that version needs is stored, totals for the progress line.

use crate::backup::walk::{Found, Visitor, Walk};
use crate::backup::{BLOCK_SIZE_MOST, BackupOptions};
use crate::base::digest::{Algo, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_span;
use crate::base::sys::{self, FileKind};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry};
use crate::format::manifest::Params;
use crate::set::{Previous, Record, Set};
use crate::spill::run::{Run, RunWriter};
use crate::writer::Writer;

/// A clock this many seconds behind the newest version is still believed: the new version waits so long.
const CLOCK_SLACK: i64 = 60;

/// The destination's parameters; new ones for an empty destination.
pub(super) fn agree(set: &mut Set, options: &BackupOptions, ui: &mut Ui) -> Result<Params> {
    if set.volumes().len() == 0 {
        return Ok(options.params);
    }
    let versionless = set.volumes().dlists().is_empty() && set.volumes().dindex_count() == 0;
    let have = match set.learn_params(ui) {
        // What a first run left that was cut off: no version can need it.
        Err(e) if versionless && e.kind() == Kind::Damaged => {
            ui.note(&format!("{e}; left aside, no version uses it"));
            return Ok(options.params);
        }
        other => other?,
    };
    let wanted = &options.params;
    let clash = if options.explicit[0] && wanted.block_size != have.block_size {
        Some(format!(
            "--blocksize is {} bytes, the backup uses {}",
            wanted.block_size, have.block_size
        ))
    } else if options.explicit[1] && wanted.block_hash != have.block_hash {
        Some(format!(
            "--block-hash-algorithm is {}, the backup uses {}",
            wanted.block_hash.name(),
            have.block_hash.name()
        ))
    } else if options.explicit[2] && wanted.file_hash != have.file_hash {
        Some(format!(
            "--file-hash-algorithm is {}, the backup uses {}",
            wanted.file_hash.name(),
            have.file_hash.name()
        ))
    } else {
        None
    };
    if have.block_size > BLOCK_SIZE_MOST {
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "its blocks have {} bytes; more than {BLOCK_SIZE_MOST} can be read but not written",
                have.block_size
            ),
        )
        .doing("add a version")
        .hint("use a new destination"));
    }
    match clash {
        Some(text) => Err(Error::new(Kind::Unsupported, text)
            .doing("add a version")
            .hint("it cannot be changed after the first backup; leave the option out")),
        None => Ok(Params { version: 2, ..have }),
    }
}

/// Now, but later than every version there is; up to a minute ahead.
pub(super) fn version_time(set: &mut Set) -> Result<Timestamp> {
    let now = Timestamp::now();
    let newest = set.versions().next();
    match newest {
        Some(newest) if newest.0 > now.0 + CLOCK_SLACK => Err(ahead(set, newest, now)),
        Some(newest) if newest.0 >= now.0 => Ok(Timestamp(newest.0 + 1)),
        _ => Ok(now),
    }
}

/// What to say of a newest version that lies ahead of the clock: one of both is wrong, and only the person knows which.
fn ahead(set: &mut Set, newest: Timestamp, now: Timestamp) -> Error {
    let name = set.dlist(0).map_or("", |(name, _)| name.as_str());
    let name = text::safe(name.as_bytes());
    let cause = format!(
        "the newest version, {name}, is of {}, {} later than this machine's clock ({})",
        newest.local(),
        show_span(newest.0.abs_diff(now.0)),
        now.local()
    );
    let hint = format!(
        "set the clock if it is wrong; if it is right, that version was made with a wrong one: wait, or delete that version with 'duplet remote delete {} {name}'",
        set.remote().describe()
    );
    Error::new(Kind::Local, cause)
        .doing("add a version")
        .hint(hint)
}

/// The newest readable version's entries, from the cache or from its dlist.
pub(super) fn previous(set: &mut Set, ui: &mut Ui) -> Result<Option<Previous>> {
    let count = set.volumes().dlists().len();
    for no in 0..count {
        let Some((name, size)) = set.dlist(no).map(|(n, s)| (n.clone(), s)) else {
            break;
        };
        if no == 0
            && let Some(cached) = set.cache().load_previous(&name, size)
        {
            ui.verbose("the previous version's list comes from the cache");
            return Ok(Some(cached));
        }
        match set.sorted_files(ui, no) {
            Ok((run, listing)) => {
                if let Some(line) = &listing.misdated {
                    ui.warn("misdated-version", line);
                }
                let notes = set.cache().load_notes();
                return Ok(Some(Previous {
                    run: match &notes {
                        Some(notes) => stamped(&run, &notes.run, set.tmp())?,
                        None => run,
                    },
                    full: listing.full && no == 0,
                    state: unknown_state(),
                    looked: notes.and_then(|n| n.looked),
                }));
            }
            Err(e) if e.kind().is_of_one_volume() => {
                ui.warn(
                    "damaged-version",
                    &format!("version {no} cannot be compared with: {e}"),
                );
            }
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// A version's records with the stamps that the notes on another version have of the very same content and metadata: after that
/// one was deleted or written again. What has none, though there are notes, is read: more than its size and time can be known.
fn stamped(run: &Run, notes: &Run, tmp: &Tmp) -> Result<Run> {
    let (mut records, mut noted) = (run.reader(), notes.reader());
    let mut note = noted.next()?.map(<[u8]>::to_vec);
    let mut out = RunWriter::new(tmp);
    let mut encoded = Vec::new();
    while let Some(raw) = records.next()? {
        let path = Record::path(raw);
        while note.as_deref().is_some_and(|n| Record::path(n) < path) {
            note = noted.next()?.map(<[u8]>::to_vec);
        }
        let mut record = Record::decode(raw)?;
        if let Some(note) = note.as_deref().filter(|n| Record::path(n) == path) {
            let note = Record::decode(note)?;
            if is_same(&note.entry, &record.entry) {
                record.stamp = note.stamp;
            }
        }
        encoded.clear();
        record.encode(&mut encoded);
        out.push(&encoded)?;
    }
    out.finish()
}

/// True when both are known to be of the same content and metadata.
fn is_same(a: &Entry, b: &Entry) -> bool {
    let same = |a: &Option<Content>, b: &Option<Content>| match (a, b) {
        (Some(a), Some(b)) => a.hash.is_some() && a.hash == b.hash && a.size == b.size,
        (None, None) => true,
        _ => false,
    };
    a.kind == b.kind && same(&a.content, &b.content) && same(&a.meta, &b.meta)
}

/// Nothing equals this state of a listing, so everything reused is looked up.
pub(super) fn unknown_state() -> Hash {
    Algo::Sha256.hash(b"unknown")
}

/// Looks whether the stored data that the previous version needs is there, as far as the index volumes give reason to doubt.
pub(super) fn preflight(
    writer: &mut Writer<'_>,
    run: &Run,
    verify: bool,
    ui: &mut Ui,
) -> Result<()> {
    let (_, report) = writer.whole_index(ui)?;
    for (name, why) in &report.unreadable {
        ui.warn(
            "unreadable-index",
            &format!("index volume {name} is damaged: {why}"),
        );
    }
    if report.clean() && report.unindexed.is_empty() {
        return Ok(());
    }
    let missing = report.missing.clone();
    let missing_count = report.missing_count;
    let unindexed = report.unindexed.clone();
    let mut lost = lost_entries(writer, run, ui)?;
    if lost.0 > 0 && !unindexed.is_empty() {
        ui.note(&format!(
            "reading {} that no index volume describes",
            text::count(unindexed.len() as u64, "dblock volume")
        ));
        writer.index_dblocks(ui, &unindexed)?;
        lost = lost_entries(writer, run, ui)?;
    }
    if lost.0 == 0 {
        return Ok(());
    }
    let named = if missing.is_empty() {
        String::new()
    } else {
        format!("; missing or changed: {}", missing.join(", "))
    };
    let more = if missing_count > missing.len() as u64 {
        format!(" and {} more", missing_count - missing.len() as u64)
    } else {
        String::new()
    };
    let text = format!(
        "stored data that the newest version needs is missing, for {}, first {}{named}{more}",
        text::count(lost.0, "entry"),
        lost.1
    );
    if verify {
        return Err(Error::damaged(text).doing("add a version").hint(
            "see 'duplet verify URL all'; --no-backend-verification backs those files up again",
        ));
    }
    ui.warn("missing-data", &text);
    Ok(())
}

fn lost_entries(writer: &mut Writer<'_>, run: &Run, ui: &mut Ui) -> Result<(u64, String)> {
    let mut reader = run.reader();
    let mut lost = 0;
    let mut first = String::new();
    while let Some(record) = reader.next()? {
        let record = Record::decode(record)?;
        if !writer.intact(ui, &record.entry)? {
            lost += 1;
            if first.is_empty() {
                first = text::safe(&record.entry.path);
            }
        }
    }
    Ok((lost, first))
}

/// Totals for the progress line; only counted when somebody watches.
pub(super) fn count(options: &BackupOptions, set: &Set, ui: &mut Ui) -> Result<Progress> {
    struct Counter(Progress);
    impl Visitor for Counter {
        fn found(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()> {
            if found.stat.kind == FileKind::File {
                self.0.files += 1;
                self.0.bytes += found.stat.size;
            }
            ui.progress("counting", self.0);
            Ok(())
        }
        fn stopped(&mut self) -> bool {
            sys::stops_requested() > 0
        }
    }
    let mut counter = Counter(Progress::default());
    if ui.shows_progress() {
        let tmp = set.tmp().clone();
        let mut silent = Ui::silent();
        Walk::new(&options.choice, &tmp).run(&mut silent, &options.sources, &mut counter)?;
    }
    Ok(Progress {
        files: 0,
        bytes: 0,
        files_total: counter.0.files,
        bytes_total: counter.0.bytes,
    })
}
