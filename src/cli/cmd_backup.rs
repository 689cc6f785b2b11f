//! `duplet backup`: options → one backup → report.

use std::path::Path;

use crate::backup::{self, BackupOptions, BackupReport, fs_path};
use crate::base::error::{Error, Kind, Result};
use crate::base::place;
use crate::base::size::{show_size, show_span};
use crate::base::text::{self, count};
use crate::base::ui::Ui;
use crate::cli::spared::Absent;
use crate::cli::{
    Call, Command, Outcome, Section, backup_options, cmd_verify, options as o, reclaim, retained,
    rules, session, stdin,
};
use crate::set::{Protection, Set};

pub(super) const COMMAND: Command = Command {
    name: "backup",
    aliases: &[],
    section: Section::Everyday,
    summary: "add a version",
    usage: "<url> <folder>...",
    details: "\
Looks at the sources, reads what changed since the newest version, and adds a
version. The first backup of a destination fixes its block size, hashes and
passphrase. Nothing is uploaded when nothing changed (exit code 1).
Files that cannot be read are warned about and counted (exit code 2).
Ctrl-C once: what was done so far becomes a partial version (exit code 50).",
    needs_url: true,
    words: (1, usize::MAX),
    writes: true,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut choice = backup_options::choice(call)?;
    if choice.filters.excludes_all() {
        ui.warn(
            "FilterExcludesAll",
            "a rule that excludes everything comes before any that includes",
        );
    }
    let retention = retained::retention(call)?;
    let how = reclaim::how(call)?;
    let stream = stdin::streamed(call)?;
    let sources = backup_options::sources(call, stream.as_ref(), &mut choice, ui)?;
    stdin::apart(stream.as_ref(), &sources)?;
    let mut options = backup_options::engine_options(call, sources, stream, choice)?;
    let dry_run = call.options.flag(&o::DRY_RUN);
    let mut set = session::open_set(call, ui, true)?;
    apart(&set, &options)?;
    options.choice.own = set.local_folder();
    let permit = session::permit(call, &set)?;
    encryption(call, &set)?;
    // What is there already has its own block size.
    let block_size = match (set.volumes().len(), options.explicit[0]) {
        (1.., false) => 0,
        _ => u64::from(options.params.block_size),
    };
    let mut write = backup_options::write_options(call, options.params, block_size)?;
    write.overlapped = !call.options.flag(&o::SYNCHRONOUS_UPLOAD);
    if let Some(line) = set.strays().line() {
        ui.verbose(&line);
    }
    let report = backup::run(&mut set, permit, &options, write, ui).map_err(|e| match e.kind() {
        Kind::Interrupted => e.hint("the next run uses what is stored"),
        _ => e,
    });
    let mut report = session::or_facts(&mut set, ui, report)?;
    let added = report.version.is_some() && !dry_run;
    if !report.partial {
        let (rules, files) = (&options.choice.filters, report.examined_files);
        rules::after(rules, &options.sources, files, ui);
    }
    let finished = added.then(|| crate::writer::finish(&mut set, ui));
    if added {
        set.remember();
    }
    tell(&report, &mut set, dry_run, ui);
    let mut facts = after(finished.unwrap_or_else(|| Ok(Vec::new())), added, ui)?;
    if call.options.flag(&o::FULL_RESULT) {
        tell_space(&mut set, ui);
    }
    let mut stopped = report.partial;
    let mut changed = false;
    // The version is there, whatever becomes of the old ones.
    let disturbed = report.disturbed.take();
    let absent = Absent {
        hollow: [report.hollow.as_slice(), &options.choice.absent].concat(),
        nearly_all: report.lost_much,
    };
    let by = (&retention, &absent);
    if !dry_run && !report.partial && disturbed.is_none() {
        let (last, before) = (report.written.last_dblock, set.state());
        let kept = reclaim::after_backup(&mut set, ui, by, &how, last);
        let failed = kept.is_err();
        stopped = after(kept, added, ui)?;
        changed = set.state() != before;
        if failed || changed {
            let finished = crate::writer::finish(&mut set, ui);
            facts = after(finished, added, ui)?;
        }
    }
    if dry_run && !report.partial {
        match reclaim::would_be_after_backup(&mut set, ui, by, &how, report.version) {
            Err(e) if e.kind() != Kind::Interrupted => ui.error(&e.to_string()),
            would => changed = would?,
        }
    }
    session::tell_facts(&facts, ui);
    if let Some(e) = disturbed {
        return Err(e);
    }
    if stopped {
        return Ok(Outcome::Partial);
    }
    let samples = call.options.int(&o::BACKUP_TEST_SAMPLES).unwrap_or(0);
    if samples > 0 && added && !call.options.flag(&o::NO_BACKEND_VERIFICATION) {
        let checked = cmd_verify::sample(&mut set, samples, call, ui);
        after(checked, added, ui)?;
    }
    Ok(if report.version.is_none() && !changed {
        Outcome::NothingNew
    } else {
        Outcome::Done
    })
}

/// What came after the version was there: a failure is no failure of the backup, but an error to be told.
fn after<T: Default>(step: Result<T>, added: bool, ui: &mut Ui) -> Result<T> {
    match step {
        Err(e) if e.kind() != Kind::Interrupted => {
            let done = match added {
                true => "the version was added, but then",
                false => "there was nothing to add, but then",
            };
            ui.error(&format!("{done}: {e}"));
            Ok(T::default())
        }
        step => step,
    }
}

/// Refuses a module that would write what the destination does not hold.
fn encryption(call: &Call, set: &Set) -> Result<()> {
    let refuse = |what: &str| {
        Err(Error::new(Kind::Unsupported, what)
            .doing("add a version")
            .hint("use another folder for backups made by duplet"))
    };
    let gpg = call.options.given(o::ENCRYPTION_MODULE.name).is_some()
        && call.options.choice(&o::ENCRYPTION_MODULE) == Some("gpg");
    match set.protection() {
        Protection::Aes if gpg && set.volumes().len() == 0 => {
            refuse("--encryption-module=gpg can be read but not written")
        }
        Protection::Aes if gpg => refuse(
            "--encryption-module is gpg, but the destination's volumes are encrypted with aes",
        ),
        _ => Ok(()),
    }
}

/// Refuses sources inside a local destination, and a local destination inside a source unless a rule excludes it.
fn apart(set: &Set, options: &BackupOptions) -> Result<()> {
    let Some(folder) = set.local_folder() else {
        return Ok(());
    };
    let folder = place::real(&folder);
    for source in &options.sources {
        let path = place::real(fs_path(&source.path));
        let shown = text::safe(&source.path);
        if path.starts_with(&folder) {
            return Err(Error::usage(format!(
                "source {shown} is inside the destination"
            )));
        }
        if folder.starts_with(&path) {
            let inside = folder.strip_prefix(&path).unwrap_or(&folder);
            if excluded(options, &source.path, inside) {
                continue;
            }
            let mut rule = fs_path(&source.path)
                .join(inside)
                .into_os_string()
                .into_encoded_bytes();
            rule.push(b'/');
            return Err(
                Error::usage(format!("the destination is inside the source {shown}"))
                    .hint(format!("leave it out with --exclude={}", text::safe(&rule))),
            );
        }
    }
    Ok(())
}

/// True when a rule keeps the walk out of `inside`, a folder below `source`.
fn excluded(options: &BackupOptions, source: &[u8], inside: &Path) -> bool {
    let mut path = source.to_vec();
    inside.components().any(|part| {
        path.extend_from_slice(part.as_os_str().as_encoded_bytes());
        path.push(b'/');
        let decision = options.choice.filters.decide(&path);
        !decision.included && (decision.rule.is_some() || !options.choice.filters.only_includes())
    })
}

/// Free and total space at the destination, where it says so.
fn tell_space(set: &mut Set, ui: &mut Ui) {
    let quota = set.remote().quota();
    if let Some(free) = quota.free {
        ui.result(&format!("{} free at the destination", show_size(free)));
    }
    ui.json(|w| {
        for (key, value) in [
            ("FreeQuotaSpace", quota.free),
            ("TotalQuotaSpace", quota.total),
        ] {
            w.key(key)?;
            match value {
                Some(n) => w.number(n.into())?,
                None => w.null()?,
            }
        }
        Ok(())
    });
}

fn tell(r: &BackupReport, set: &mut Set, dry_run: bool, ui: &mut Ui) {
    let sum = |a: &[u64; 3]| a.iter().sum::<u64>();
    if r.examined_files == 0 && r.entries == 0 && r.excluded == 0 {
        ui.warn(
            "NoFilesInBackup",
            "no files were found; 'duplet test-filters' explains every decision",
        );
    }
    // Of a file that was not read to its end, only whole volumes were sent.
    let is_cut = r.partial && r.version.is_none();
    let took = show_span(ui.elapsed().as_secs());
    ui.result(&format!(
        "{} ({}) looked at in {took}",
        count(r.examined_files, "file"),
        show_size(r.examined_bytes)
    ));
    let found = match is_cut {
        true => String::new(),
        false => format!(
            "{} added, {} changed, {} gone; ",
            sum(&r.added),
            sum(&r.modified),
            sum(&r.deleted)
        ),
    };
    ui.result(&format!(
        "  {found}{} ({}) read",
        count(r.opened_files, "file"),
        show_size(r.opened_bytes)
    ));
    let mut left_out = Vec::new();
    for (n, why) in [(r.excluded, "by rules"), (r.unreadable, "by necessity")] {
        if n > 0 {
            left_out.push(format!("{n} left out {why}"));
        }
    }
    if !left_out.is_empty() {
        ui.result(&format!("  {}", left_out.join(", ")));
    }
    if r.written.new_blocks > 0 && !is_cut {
        let new = format!(
            "  {} of new data in {}",
            show_size(r.written.new_block_bytes),
            count(r.written.new_blocks, "block")
        );
        if dry_run {
            ui.result(&format!("{new} would be stored"));
        } else {
            let stored = show_size(r.written.stored_bytes);
            let volumes = count(r.written.dblocks, "volume");
            ui.result(&format!("{new} stored as {stored} in {volumes}"));
        }
    }
    match (r.version, dry_run) {
        (Some(_), true) => ui.result("a version would be added; nothing was written"),
        (Some(time), false) if r.partial => ui.result(&format!(
            "partial version of {} added: the run was stopped",
            time.local()
        )),
        (Some(time), false) => ui.result(&format!("version of {} added", time.local())),
        (None, false) if is_cut && r.written.dblocks > 0 => ui.result(&format!(
            "stopped before a file was whole, so no version was added; the next run uses what is stored: {} in {}",
            show_size(r.written.stored_bytes),
            count(r.written.dblocks, "volume")
        )),
        (None, _) if is_cut => {
            ui.result("stopped before anything new was whole; nothing was written")
        }
        (None, _) => ui.result("nothing changed, nothing was uploaded"),
    }
    let stats = *set.remote().stats();
    ui.json(|w| {
        let mut n = |key: &str, n: u64| -> std::io::Result<()> {
            w.key(key)?;
            w.number(n.into())
        };
        n("ExaminedFiles", r.examined_files)?;
        n("SizeOfExaminedFiles", r.examined_bytes)?;
        n("OpenedFiles", r.opened_files)?;
        n("SizeOfOpenedFiles", r.opened_bytes)?;
        for (name, values) in [
            ("Added", r.added),
            ("Modified", r.modified),
            ("Deleted", r.deleted),
        ] {
            for (kind, value) in ["Files", "Folders", "Symlinks"].into_iter().zip(values) {
                n(&format!("{name}{kind}"), value)?;
            }
        }
        n("SizeOfAddedFiles", r.added_bytes)?;
        n("ExcludedEntries", r.excluded)?;
        n("TooLargeFiles", r.too_large)?;
        n("FilesWithError", r.unreadable)?;
        n("NewBlocks", r.written.new_blocks)?;
        n("SizeOfNewBlocks", r.written.new_block_bytes)?;
        n("NewDblocks", r.written.dblocks)?;
        n("BytesUploaded", stats.bytes_up)?;
        n("BytesDownloaded", stats.bytes_down)?;
        n("FilesUploaded", stats.files_up)?;
        n("FilesDownloaded", stats.files_down)?;
        n("RemoteCalls", stats.calls)?;
        n("RetryAttempts", stats.retries)?;
        session::billed(&stats, &mut n)?;
        w.key("PartialBackup")?;
        w.boolean(r.partial)?;
        w.key("Dryrun")?;
        w.boolean(dry_run)?;
        w.key("VersionTime")?;
        match r.version {
            Some(time) => w.string(time.iso().as_bytes()),
            None => w.null(),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_after_the_version_is_an_error_of_a_done_backup() {
        let mut ui = Ui::silent();
        assert_eq!(after(Ok(7), true, &mut ui).ok(), Some(7));
        let gone = Err(Error::new(Kind::Busy, "gone"));
        assert_eq!(after::<u8>(gone, true, &mut ui).ok(), Some(0));
        assert_eq!(ui.errors(), 1);
        assert!(ui.messages()[0].ends_with("the version was added, but then: gone"));
        let stopped = Err(Error::new(Kind::Interrupted, "x"));
        assert!(after::<u8>(stopped, false, &mut ui).is_err());
    }
}
