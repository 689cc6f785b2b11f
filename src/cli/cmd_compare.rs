//! `compare`: what changed from one version to another.

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::cmd_find::filters;
use crate::cli::options::{EXIT_CODE, FULL_RESULT};
use crate::cli::session::{open_versions, report_cost};
use crate::cli::{Call, Command, Outcome, Section};
use crate::format::filelist::{Entry, EntryKind};
use crate::query::compare::{Change, Counts, Totals, compare, only_metadata};
use crate::set::nearest_version;

/// Entries of each kind shown without `--full-result`.
const SHOWN: u64 = 10;

pub(super) const COMMAND: Command = Command {
    name: "compare",
    aliases: &["diff"],
    section: Section::Everyday,
    summary: "what changed between two versions",
    usage: "<url> [base [other]]",
    details: "\
Base and other are numbers of versions (0 is the newest), ages such as 3D or
dates; of a time the nearest version is taken; one before all is an error.
Without them: what the newest version changed. Shows what was added (+),
modified (~) and deleted (-), ten of each unless --full-result is given.
--include and --exclude leave entries out.",
    needs_url: true,
    words: (0, 2),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let filters = filters(call)?;
    let now = Timestamp::now();
    // What can be neither number nor time is a mistake before anything is contacted.
    for word in &call.words {
        nearest_version(word, &[], now)?;
    }
    let mut set = open_versions(call, ui)?;
    let times: Vec<Timestamp> = set.versions().collect();
    let mut chosen = [1, 0];
    for (no, word) in chosen.iter_mut().zip(&call.words) {
        *no = nearest_version(word, &times, now)?;
    }
    if let Some(no) = chosen.iter().find(|no| **no >= times.len()) {
        let have = match times.len() {
            1 => "there is version 0 only".to_owned(),
            n => format!("there are versions 0 to {}", n.saturating_sub(1)),
        };
        return Err(Error::new(Kind::Missing, format!("version {no} does not exist")).hint(have));
    }
    let pair = compare(&mut set, ui, chosen[0], chosen[1])?;
    let sides = [
        (chosen[0], times[chosen[0]], pair.full.0),
        (chosen[1], times[chosen[1]], pair.full.1),
    ];
    let most = match call.options.flag(&FULL_RESULT) {
        true => u64::MAX,
        false => SHOWN,
    };
    let totals = pair.each(&filters, &mut |_, _, _| Ok(()))?;
    head(ui, sides, &totals);
    for change in [Change::Added, Change::Modified, Change::Deleted] {
        let mut shown = 0;
        pair.each(&filters, &mut |found, old, new| {
            if found == change && shown < most {
                shown += 1;
                entry(ui, change, old, new);
            }
            Ok(())
        })?;
        let hidden = totals.of(change).sum() - shown;
        if hidden > 0 {
            let sign = sign(change);
            ui.result(&format!("{sign} {hidden} more (--full-result shows them)"));
        }
    }
    ui.json(|w| w.end_array());
    counters(ui, &totals);
    report_cost(&mut set, ui);
    Ok(match totals.is_equal() || !call.options.flag(&EXIT_CODE) {
        true => Outcome::Done,
        false => Outcome::Different,
    })
}

fn head(ui: &mut Ui, sides: [(usize, Timestamp, bool); 2], totals: &Totals) {
    for (no, time, full) in sides {
        let partial = if full { "" } else { " (partial version)" };
        ui.result(&format!("version {no}  {}{partial}", time.local()));
    }
    let (was, is) = totals.bytes;
    let sign = if is < was { '-' } else { '+' };
    let difference = show_size(was.abs_diff(is));
    ui.result(&format!(
        "size {} -> {} ({sign}{difference})",
        show_size(was),
        show_size(is)
    ));
    ui.json(|w| {
        for (name, (no, time, full)) in ["Base", "Compare"].iter().zip(sides) {
            w.key(&format!("{name}VersionIndex"))?;
            w.number(no as i128)?;
            w.key(&format!("{name}VersionTimestamp"))?;
            w.string(time.iso().as_bytes())?;
            w.key(&format!("{name}IsFullBackup"))?;
            w.boolean(full)?;
        }
        for (name, n) in [("PreviousSize", was), ("CurrentSize", is)] {
            w.key(name)?;
            w.number(i128::from(n))?;
        }
        w.key("ChangeDetails")?;
        w.begin_array()
    });
}

fn sign(change: Change) -> char {
    match change {
        Change::Added => '+',
        Change::Modified => '~',
        Change::Deleted => '-',
    }
}

fn entry(ui: &mut Ui, change: Change, old: Option<&Entry>, new: Option<&Entry>) {
    let Some(named) = new.or(old) else {
        return;
    };
    let size = |e: Option<&Entry>| {
        let file = e.filter(|e| e.kind == EntryKind::File)?;
        Some(file.content.as_ref()?.size)
    };
    let extent = match (size(old), size(new)) {
        _ if named.kind == EntryKind::Symlink => " (link)".to_owned(),
        (Some(_), Some(_)) if old.zip(new).is_some_and(|(o, n)| only_metadata(o, n)) => {
            " (only metadata)".to_owned()
        }
        (Some(was), Some(is)) => format!(" ({} -> {})", show_size(was), show_size(is)),
        (Some(size), None) | (None, Some(size)) => format!(" ({})", show_size(size)),
        (None, None) => String::new(),
    };
    ui.result(&format!(
        "{} {}{extent}",
        sign(change),
        text::safe(&named.path)
    ));
    ui.json(|w| {
        w.begin_object()?;
        w.key("Change")?;
        w.string(match change {
            Change::Added => b"Added",
            Change::Modified => b"Modified",
            Change::Deleted => b"Deleted",
        })?;
        w.key("Type")?;
        w.string(match named.kind {
            EntryKind::File => b"File",
            EntryKind::Folder => b"Folder",
            EntryKind::Symlink => b"Symlink",
        })?;
        w.key("Path")?;
        w.string(&named.path)?;
        for (name, size) in [("PreviousSize", size(old)), ("CurrentSize", size(new))] {
            w.key(name)?;
            match size {
                Some(size) => w.number(i128::from(size))?,
                None => w.null()?,
            }
        }
        w.end_object()
    });
}

fn counters(ui: &mut Ui, totals: &Totals) {
    let sides: [(&str, &Counts); 3] = [
        ("Added", &totals.added),
        ("Modified", &totals.modified),
        ("Deleted", &totals.deleted),
    ];
    type Count = fn(&Counts) -> u64;
    let of: [(&str, &str, Count); 3] = [
        ("folders", "Folders", |c| c.folders),
        ("links  ", "Symlinks", |c| c.links),
        ("files  ", "Files", |c| c.files),
    ];
    for (word, _, count) in of {
        ui.result(&format!(
            "{word}  {} added, {} modified, {} deleted",
            count(&totals.added),
            count(&totals.modified),
            count(&totals.deleted)
        ));
    }
    ui.json(|w| {
        for (side, counts) in sides {
            for (_, name, count) in of {
                w.key(&format!("{side}{name}"))?;
                w.number(i128::from(count(counts)))?;
            }
            w.key(&format!("{side}Size"))?;
            w.number(i128::from(counts.bytes))?;
        }
        Ok(())
    });
}
