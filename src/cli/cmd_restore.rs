//! `duplet restore`: options → one restore → report.

use std::path::PathBuf;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::size::{show_size, show_span};
use crate::base::text::{self, count};
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::{Call, Command, Outcome, Section, options as o, session};
use crate::restore::{self, Existing, NOTHING, RestoreOptions, RestoreReport};
use crate::select::{FilterSet, Selection};
use crate::set::{Set, VersionChoice};

pub(super) const COMMAND: Command = Command {
    name: "restore",
    aliases: &[],
    section: Section::Everyday,
    summary: "bring files back",
    usage: "<url> [path]...",
    details: "\
Restores the newest version that holds what is asked for, or the one chosen
with --version or --time. Without a path all is restored. A name, the end of a
path (data/doc) or a whole path means files and folders called so, a folder
with all in it; what nothing is called is a pattern (*.jpg). Files go to their
original places, or below --restore-path without the folders that all share.
What differs and is there already is kept, and the restored file or folder gets
the version's date in its name, unless --overwrite or --existing says so.
What is new is open to no more people than it was, what is replaced keeps owner
and mode (but see --restore-permissions). What damaged volumes spoil is listed,
with exit code 3; a file with lost parts is kept as NAME.DATE.incomplete.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let options = restore_options(call)?;
    let dry_run = options.dry_run;
    let mut set = session::open_set(call, ui, false)?;
    let report = restore::run(&mut set, options, ui).map_err(|e| version_meant(e, &call.words))?;
    tell(
        &report,
        &mut set,
        dry_run,
        call.options.flag(&o::FULL_RESULT),
        ui,
    );
    Ok(Outcome::Done)
}

/// A version in the place of a name, as `list` takes one, when there is no such name.
fn version_meant(e: Error, words: &[String]) -> Error {
    let [word] = words else {
        return e;
    };
    let number = !word.is_empty() && word.len() < 9 && word.bytes().all(|b| b.is_ascii_digit());
    let newest = ["latest", "newest"].contains(&word.to_lowercase().as_str());
    if e.kind() != Kind::Missing || e.cause() != NOTHING || !(number || newest) {
        return e;
    }
    let said = match number {
        true => format!("words are names of files: write --version={word} for a version"),
        false => format!("words are names of files: leave {word} out, the newest version it is"),
    };
    Error::new(Kind::Missing, NOTHING)
        .doing("restore")
        .hint(said)
}

fn restore_options(call: &Call) -> Result<RestoreOptions> {
    let options = &call.options;
    let version = VersionChoice::parse(
        options.given(o::VERSION.name),
        options.given(o::TIME.name),
        Timestamp::now(),
    )?;
    let target = match options.text(&o::RESTORE_PATH) {
        Some(path) if path.starts_with('@') => {
            return Err(Error::usage(
                "--restore-path must be a folder of this machine",
            ));
        }
        Some(path) => Some(
            std::path::absolute(PathBuf::from(path))
                .doing(|| "find the current folder".to_owned())?,
        ),
        None => None,
    };
    let existing = match (
        options.flag(&o::OVERWRITE),
        options.given(o::EXISTING.name),
        options.choice(&o::EXISTING),
    ) {
        (true, Some(word), _) if !word.eq_ignore_ascii_case("overwrite") => {
            return Err(Error::usage(
                "--overwrite and another --existing exclude each other",
            ));
        }
        (true, _, _) | (_, _, Some("overwrite")) => Existing::Overwrite,
        (_, _, Some("skip")) => Existing::Skip,
        (_, _, Some("newer")) => Existing::Newer,
        _ => Existing::Rename,
    };
    Ok(RestoreOptions {
        version,
        selection: Selection::parse(&call.words)?,
        filters: FilterSet::parse(&call.rules, session::case())?,
        case: session::case(),
        target,
        whole_paths: options.flag(&o::KEEP_FULL_PATHS),
        existing,
        permissions: options.flag(&o::RESTORE_PERMISSIONS),
        symlink_metadata: options.flag(&o::RESTORE_SYMLINK_METADATA),
        skip_metadata: options.flag(&o::SKIP_METADATA),
        allow_outside: options.flag(&o::ALLOW_OUTSIDE),
        verify: !options.flag(&o::SKIP_VERIFICATION),
        dry_run: options.flag(&o::DRY_RUN),
        no_scan: options.flag(&o::NO_SCAN),
        root: PathBuf::new(),
    })
}

fn tell(r: &RestoreReport, set: &mut Set, dry_run: bool, full: bool, ui: &mut Ui) {
    let root = text::safe(r.root.as_os_str().as_encoded_bytes());
    let partial = if r.partial { "partial " } else { "" };
    let of = r.version.map_or_else(String::new, |(no, time)| {
        format!(" from {partial}version {no} of {}", time.local())
    });
    let took = show_span(ui.elapsed().as_secs());
    if r.files + r.folders + r.symlinks + r.unmodified == 0
        && r.failed + r.incomplete_count == 0
        && r.skipped == 0
    {
        ui.warn("nothing-restored", "no file was restored");
    }
    if dry_run {
        ui.result(&format!(
            "would restore {} ({}), {}, {}{of} to {root}; would download {} ({})",
            count(r.files, "file"),
            show_size(r.bytes),
            count(r.folders, "folder"),
            count(r.symlinks, "link"),
            count(r.volumes, "dblock volume"),
            show_size(r.volume_bytes)
        ));
    } else {
        ui.result(&format!(
            "restored {} ({}), {}, {}{of} to {root} in {took}",
            count(r.files, "file"),
            show_size(r.bytes),
            count(r.folders, "folder"),
            count(r.symlinks, "link")
        ));
    }
    if r.unmodified + r.skipped > 0 {
        ui.result(&format!(
            "  {} there already and equal, {} skipped",
            r.unmodified, r.skipped
        ));
    }
    let incomplete = r.incomplete_count.saturating_sub(r.lost);
    let mut bad = Vec::new();
    for (n, what) in [
        (incomplete, "incomplete"),
        (r.lost + r.failed, "not restored"),
    ] {
        if n > 0 {
            bad.push(format!("{n} {what}"));
        }
    }
    if !bad.is_empty() {
        let names: Vec<String> = r.incomplete_names.clone();
        let end = if names.is_empty() { "" } else { ":" };
        ui.result(&format!("  {}{end}", bad.join(", ")));
        some(&names, r.incomplete_count, full, ui);
    }
    if r.beside_count > 0 {
        let verb = if dry_run { "would get" } else { "got" };
        let entries = count(r.beside_count, "entry");
        ui.result(&format!(
            "  {entries} {verb} another name, because something else is there:"
        ));
        let line = |(was, is): &(String, String)| format!("{was} -> {is}");
        let names: Vec<String> = r.beside_names.iter().map(line).collect();
        some(&names, r.beside_count, full, ui);
    }
    tell_json(r, set, dry_run, ui);
}

/// The same for programs (`--json`).
fn tell_json(r: &RestoreReport, set: &mut Set, dry_run: bool, ui: &mut Ui) {
    let stats = *set.remote().stats();
    ui.json(|w| {
        w.key("Version")?;
        match r.version {
            Some((no, _)) => w.number(no as i128)?,
            None => w.null()?,
        }
        w.key("VersionTime")?;
        match r.version {
            Some((_, time)) => w.string(time.iso().as_bytes())?,
            None => w.null()?,
        }
        for (key, n) in [
            ("RestoredFiles", r.files),
            ("SizeOfRestoredFiles", r.bytes),
            ("RestoredFolders", r.folders),
            ("RestoredSymlinks", r.symlinks),
            ("UnmodifiedFiles", r.unmodified),
            ("SkippedFiles", r.skipped),
            ("FailedEntries", r.failed),
            ("IncompleteEntries", r.incomplete_count),
            ("LostEntries", r.lost),
            ("EntriesBeside", r.beside_count),
            ("SelectedFiles", r.selected.0),
            ("SizeOfSelectedFiles", r.selected.1),
            ("DblockVolumes", r.volumes),
            ("SizeOfDblockVolumes", r.volume_bytes),
            ("BytesDownloaded", stats.bytes_down),
            ("FilesDownloaded", stats.files_down),
            ("RemoteCalls", stats.calls),
            ("RetryAttempts", stats.retries),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        session::billed(&stats, &mut |key, n| {
            w.key(key)?;
            w.number(n.into())
        })?;
        w.key("BrokenLocalFiles")?;
        w.begin_array()?;
        for name in &r.incomplete_names {
            w.string(name.as_bytes())?;
        }
        w.end_array()?;
        w.key("RestoredBeside")?;
        w.begin_array()?;
        for (_, name) in &r.beside_names {
            w.string(name.as_bytes())?;
        }
        w.end_array()?;
        w.key("IsFullBackup")?;
        w.boolean(!r.partial)?;
        w.key("RestorePath")?;
        w.string(r.root.as_os_str().as_encoded_bytes())?;
        w.key("Dryrun")?;
        w.boolean(dry_run)
    });
}

/// The first of `names`, which are the first of `count`.
fn some(names: &[String], count: u64, full: bool, ui: &mut Ui) {
    let shown = if full {
        names.len()
    } else {
        names.len().min(10)
    };
    for name in &names[..shown] {
        ui.result(&format!("    {name}"));
    }
    if shown > 0 && count > shown as u64 {
        ui.result(&format!("    and {} more", count - shown as u64));
    }
}
