//! `duplet restore`: options → one restore → report.

use crate::base::error::{Error, Result};
use crate::base::size::{show_size, show_span};
use crate::base::text::{self, count};
use crate::base::ui::Ui;
use crate::cli::restoring::{restore_options, version_meant};
use crate::cli::{Call, Command, Outcome, Section, cmd_cat, options as o, session};
use crate::restore::{self, RestoreReport};
use crate::set::Set;

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
    if call.options.text(&o::RESTORE_PATH) == Some(cmd_cat::STANDARD_OUTPUT) {
        return cmd_cat::run(call, ui);
    }
    if call.options.flag(&o::TAR) {
        return Err(Error::usage("--tar is for --restore-path=- and for cat")
            .hint("--restore-path=- writes to standard output"));
    }
    let options = restore_options(call)?;
    let dry_run = options.dry_run;
    let mut set = session::open_versions(call, ui)?;
    let report = restore::run(&mut set, options, ui).map_err(|e| version_meant(e, &call.words))?;
    session::tell_cost(&mut set, ui);
    tell(
        &report,
        &mut set,
        dry_run,
        call.options.flag(&o::FULL_RESULT),
        ui,
    );
    Ok(Outcome::Done)
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
