//! `duplet backup`: options → one backup → report.

use std::path::Path;

use crate::backup::{
    self, BackupOptions, BackupReport, Choice, HardlinkPolicy, Rule as ChangeRule, Source,
    SymlinkPolicy,
};
use crate::base::digest::Algo;
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::size::{show_size, show_span};
use crate::base::text::{self, count};
use crate::base::ui::Ui;
use crate::cli::{Call, Command, Outcome, Section, cmd_verify, options as o, session};
use crate::format::manifest::Params;
use crate::format::names::VolumeName;
use crate::remote::Permit;
use crate::select::FilterSet;
use crate::set::Set;
use crate::writer::WriteOptions;

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

const BLOCKSIZE_LEAST: u64 = 1024;
const BLOCKSIZE_MOST: u64 = backup::BLOCK_SIZE_MOST as u64;

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut choice = choice(call)?;
    if choice.filters.excludes_all() {
        ui.warn(
            "FilterExcludesAll",
            "a rule that excludes everything comes before any that includes",
        );
    }
    let sources = sources(call, &mut choice, ui)?;
    let options = backup_options(call, sources, choice)?;
    let dry_run = call.options.flag(&o::DRY_RUN);
    let mut set = session::open_set(call, ui, true)?;
    apart(&set, &options)?;
    let encrypt = encryption(call, &set)?;
    // What is there already has its own block size.
    let block_size = match (set.volumes().len(), options.explicit[0]) {
        (1.., false) => 0,
        _ => u64::from(options.params.block_size),
    };
    let write = write_options(call, block_size, encrypt, dry_run)?;
    let permit = (!dry_run).then(Permit::to_write);
    if set.strays() > 0 {
        ui.verbose(&format!(
            "{} in the destination are not of this backup",
            count(set.strays(), "file")
        ));
    }
    let report = backup::run(&mut set, permit, &options, write, ui)?;
    let added = report.version.is_some() && !dry_run;
    let finished = added.then(|| crate::writer::finish(&mut set, ui));
    tell(&report, &mut set, dry_run, ui);
    let facts = after(finished.unwrap_or_else(|| Ok(Vec::new())), ui)?;
    if call.options.flag(&o::FULL_RESULT) {
        tell_space(&mut set, ui);
    }
    for fact in &facts {
        ui.result(&format!("{}: {}", fact.name, fact.value));
    }
    ui.json(|w| {
        for fact in &facts {
            w.key(fact.key)?;
            w.string(fact.value.as_bytes())?;
        }
        Ok(())
    });
    if report.partial {
        return Ok(Outcome::Partial);
    }
    let samples = call.options.int(&o::BACKUP_TEST_SAMPLES).unwrap_or(0);
    if samples > 0 && added && !call.options.flag(&o::NO_BACKEND_VERIFICATION) {
        let checked = cmd_verify::sample(&mut set, samples, call, ui);
        after(checked, ui)?;
    }
    Ok(if report.version.is_none() {
        Outcome::NothingNew
    } else {
        Outcome::Done
    })
}

/// What came after the version was there: a failure is no failure of the backup, but an error to be told.
fn after<T: Default>(step: Result<T>, ui: &mut Ui) -> Result<T> {
    match step {
        Err(e) if e.kind() != Kind::Interrupted => {
            ui.error(&format!("the version was added, but then: {e}"));
            Ok(T::default())
        }
        step => step,
    }
}

/// What belongs to the backup, by the options.
pub(super) fn choice(call: &Call) -> Result<Choice> {
    let options = &call.options;
    let words = |opt, separator: char| -> Vec<String> {
        let text = options.given_or_default(opt).unwrap_or_default();
        text.split(separator)
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let attributes: Vec<String> = words(&o::EXCLUDE_ATTRIBUTES, ',')
        .iter()
        .map(|w| w.to_ascii_lowercase())
        .collect();
    for word in &attributes {
        const KNOWN: [&str; 16] = [
            "readonly",
            "hidden",
            "system",
            "directory",
            "archive",
            "device",
            "normal",
            "temporary",
            "sparsefile",
            "reparsepoint",
            "compressed",
            "offline",
            "notcontentindexed",
            "encrypted",
            "integritystream",
            "noscrubdata",
        ];
        if !KNOWN.contains(&word.as_str()) {
            return Err(Error::usage(format!(
                "--exclude-files-attributes={} is not valid: Hidden, ReadOnly, Directory, ReparsePoint or Normal is expected",
                text::safe_cut(word.as_bytes(), 40)
            )));
        }
    }
    Ok(Choice {
        filters: FilterSet::parse(&call.rules, session::case())?,
        symlinks: match options.choice(&o::SYMLINK_POLICY) {
            Some("Follow") => SymlinkPolicy::Follow,
            Some("Ignore") => SymlinkPolicy::Ignore,
            _ => SymlinkPolicy::Store,
        },
        hardlinks: match options.choice(&o::HARDLINK_POLICY) {
            Some("First") => HardlinkPolicy::First,
            Some("None") => HardlinkPolicy::None,
            _ => HardlinkPolicy::All,
        },
        exclude_attributes: attributes,
        larger_than: options.size(&o::SKIP_LARGER).filter(|&n| n > 0),
        ignore_names: words(&o::IGNORE_FILENAMES, ':'),
        exclude_empty_folders: options.flag(&o::EXCLUDE_EMPTY),
        exclusion_attributes: !options.flag(&o::NO_EXCLUSION_XATTR),
        one_file_system: options.flag(&o::ONE_FILE_SYSTEM),
    })
}

/// The sources named after the URL. A missing one is a warning, none left is an error. Rules leave out none that lies inside
/// another.
pub(super) fn sources(call: &Call, choice: &mut Choice, ui: &mut Ui) -> Result<Vec<Source>> {
    if let Some(word) = call.words.iter().find(|w| w.starts_with('@')) {
        return Err(Error::usage(format!(
            "{} is a remote source; only folders and files of this machine are supported",
            text::safe(word.as_bytes())
        )));
    }
    let cwd = std::env::current_dir().doing(|| "find the current folder".to_owned())?;
    let sorted = backup::sources(&call.words, &cwd);
    let found = sorted.roots;
    for word in &sorted.missing {
        let line = format!("source {} does not exist", text::safe(word.as_bytes()));
        if call.options.flag(&o::ABORT_MISSING) {
            return Err(Error::new(Kind::Missing, line)
                .doing("back up")
                .hint("--abort-if-source-missing is set"));
        }
        if !call.options.flag(&o::ALLOW_MISSING) {
            ui.warn("missing-source", &line);
        }
    }
    if found.is_empty() {
        return Err(Error::new(Kind::Missing, "no source exists")
            .doing("back up")
            .hint("name a folder or file after the URL"));
    }
    if let Some(source) = found.iter().find(|s| std::str::from_utf8(&s.path).is_err()) {
        let shown = text::safe(&source.path);
        return Err(Error::usage(format!(
            "the source {shown} is not valid UTF-8, which the format cannot store"
        )));
    }
    if call.options.flag(&o::PREVENT_EMPTY) {
        for source in &found {
            let path = as_path(&source.path);
            if source.path.ends_with(b"/")
                && std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_none())
            {
                return Err(Error::new(
                    Kind::Missing,
                    format!("source {} is empty", text::safe(&source.path)),
                )
                .doing("back up")
                .hint("--prevent-empty-source is set"));
            }
        }
    }
    if choice.filters.is_empty() {
        return Ok(found);
    }
    for source in &sorted.nested {
        choice.filters.include_first(&source.path);
    }
    for source in &sorted.nested {
        if let Some(way) = source.way(&found).find(|way| choice.filters.closes(way)) {
            let line = format!(
                "source {} is left out: a rule excludes {}, which it lies in",
                text::safe(&source.path),
                text::safe(way)
            );
            ui.warn("source-excluded", &line);
        }
    }
    Ok(found)
}

fn backup_options(call: &Call, sources: Vec<Source>, choice: Choice) -> Result<BackupOptions> {
    let options = &call.options;
    let block_size = options.size(&o::BLOCKSIZE).unwrap_or(1 << 20);
    let algo = |opt| {
        options
            .choice(opt)
            .and_then(Algo::parse)
            .unwrap_or(Algo::Sha256)
    };
    let (block_hash, file_hash) = (algo(&o::BLOCK_HASH), algo(&o::FILE_HASH));
    if !(BLOCKSIZE_LEAST..=BLOCKSIZE_MOST).contains(&block_size)
        || !block_size.is_multiple_of(block_hash.len() as u64)
    {
        return Err(Error::usage(format!(
            "--blocksize must be between {} and {} and a multiple of {} bytes",
            show_size(BLOCKSIZE_LEAST),
            show_size(BLOCKSIZE_MOST),
            block_hash.len()
        )));
    }
    if options.flag(&o::CHECK_FILETIME_ONLY) && options.flag(&o::NO_FILETIME_CHECK) {
        return Err(Error::usage(
            "--check-filetime-only and --disable-filetime-check exclude each other",
        ));
    }
    Ok(BackupOptions {
        sources,
        choice,
        rule: if options.flag(&o::NO_FILETIME_CHECK) {
            ChangeRule::Always
        } else if options.flag(&o::CHECK_FILETIME_ONLY) {
            ChangeRule::TimeOnly
        } else {
            ChangeRule::Metadata
        },
        skip_metadata: options.flag(&o::SKIP_METADATA),
        upload_unchanged: options.flag(&o::UPLOAD_UNCHANGED),
        params: Params {
            block_size: u32::try_from(block_size).unwrap_or(1 << 20),
            block_hash,
            file_hash,
            version: 2,
        },
        explicit: [&o::BLOCKSIZE, &o::BLOCK_HASH, &o::FILE_HASH]
            .map(|opt| options.given(opt.name).is_some()),
    })
}

fn write_options(
    call: &Call,
    block_size: u64,
    encrypt: bool,
    dry_run: bool,
) -> Result<WriteOptions> {
    let options = &call.options;
    let dblock_size = options.size(&o::DBLOCK_SIZE).unwrap_or(50 << 20);
    let least = (1u64 << 20).max(2 * block_size);
    if dblock_size < least {
        let wrong = Error::usage(format!(
            "--dblock-size must be at least {}",
            show_size(least)
        ));
        return Err(if least > 1 << 20 {
            wrong.hint("a volume holds two blocks: it may be smaller with a smaller --blocksize")
        } else {
            wrong
        });
    }
    let level = match options.choice(&o::ZIP_METHOD) {
        Some("None") => 0,
        _ => options.int(&o::ZIP_LEVEL).unwrap_or(3),
    };
    let Some(level) = u8::try_from(level).ok().filter(|l| *l <= 9) else {
        return Err(Error::usage("--zip-compression-level must be 0 to 9"));
    };
    Ok(WriteOptions {
        dblock_size,
        level,
        encrypt,
        verify_listing: !options.flag(&o::NO_BACKEND_VERIFICATION),
        dry_run,
    })
}

/// Whether to encrypt; it can never change for a destination.
fn encryption(call: &Call, set: &Set) -> Result<bool> {
    let refuse = |what: &str, hint: &str| {
        Err(Error::new(Kind::Unsupported, what)
            .doing("add a version")
            .hint(hint))
    };
    let volumes = set.volumes();
    if volumes.len() == 0 {
        return Ok(!call.options.flag(&o::NO_ENCRYPTION));
    }
    let of = |name: &VolumeName| name.encryption().map(str::to_owned);
    let newest = set.dlist(0).map(|(name, _)| of(name));
    let newest = newest.or_else(|| volumes.dindex(0).map(|(name, _)| of(&name)));
    // A first backup that was cut short leaves dblocks alone: one that is encrypted decides.
    let newest = newest.unwrap_or_else(|| {
        let mut all = (0..volumes.dblock_count()).filter_map(|no| volumes.dblock(no));
        all.find_map(|(name, _)| of(&name))
    });
    match newest.as_deref() {
        Some(_) if set.passphrase().is_none() => refuse(
            "the destination is encrypted, --no-encryption is given",
            "leave --no-encryption out, or use another folder",
        ),
        Some("aes") => Ok(true),
        Some(other) => refuse(
            &format!(
                "the destination's volumes are encrypted with {}, which can be read but not written",
                text::safe(other.as_bytes())
            ),
            "use another folder for backups made by duplet",
        ),
        None if passphrase_named(call) => refuse(
            "the destination is not encrypted, but a passphrase is given",
            "leave the passphrase out, or use another folder",
        ),
        None => Ok(false),
    }
}

/// A passphrase was named for this run; the environment may hold one for other backups.
fn passphrase_named(call: &Call) -> bool {
    [&o::PASSPHRASE, &o::PASSPHRASE_FILE, &o::PASSPHRASE_COMMAND]
        .iter()
        .any(|opt| call.options.given(opt.name).is_some())
}

/// Refuses sources inside a local destination, and a local destination inside a source unless a rule excludes it.
fn apart(set: &Set, options: &BackupOptions) -> Result<()> {
    let Some(folder) = set.local_folder() else {
        return Ok(());
    };
    let real = |p: &Path| std::fs::canonicalize(p).unwrap_or_else(|_| p.to_owned());
    let folder = real(&folder);
    for source in &options.sources {
        let path = real(as_path(&source.path));
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
            let mut rule = as_path(&source.path)
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

fn as_path(stored: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(stored))
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
    let would = if dry_run { "would be " } else { "" };
    let sum = |a: &[u64; 3]| a.iter().sum::<u64>();
    if r.examined_files == 0 && r.entries == 0 {
        ui.warn(
            "NoFilesInBackup",
            "no files were found; 'duplet test-filters' explains every decision",
        );
    }
    let took = show_span(ui.elapsed().as_secs());
    ui.result(&format!(
        "{} ({}) looked at in {took}",
        count(r.examined_files, "file"),
        show_size(r.examined_bytes)
    ));
    ui.result(&format!(
        "  {} added, {} changed, {} gone; {} ({}) read",
        sum(&r.added),
        sum(&r.modified),
        sum(&r.deleted),
        count(r.opened_files, "file"),
        show_size(r.opened_bytes)
    ));
    if r.excluded + r.unreadable > 0 {
        ui.result(&format!(
            "  {} left out by rules, {} left out by necessity",
            r.excluded, r.unreadable
        ));
    }
    ui.result(&format!(
        "  {} of new data in {} {would}stored as {} in {}",
        show_size(r.written.new_block_bytes),
        count(r.written.new_blocks, "block"),
        show_size(r.written.stored_bytes),
        count(r.written.dblocks, "volume")
    ));
    match (r.version, dry_run) {
        (Some(_), true) => ui.result("a version would be added; nothing was written"),
        (Some(time), false) if r.partial => ui.result(&format!(
            "partial version of {} added: the run was stopped",
            time.local()
        )),
        (Some(time), false) => ui.result(&format!("version of {} added", time.local())),
        (None, _) if r.partial => {
            ui.result("stopped before anything new was found; nothing was written")
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
        assert_eq!(after(Ok(7), &mut ui).ok(), Some(7));
        let gone = Err(Error::new(Kind::Busy, "gone"));
        assert_eq!(after::<u8>(gone, &mut ui).ok(), Some(0));
        assert_eq!(ui.errors(), 1);
        assert!(ui.messages()[0].ends_with("the version was added, but then: gone"));
        let stopped = Err(Error::new(Kind::Interrupted, "x"));
        assert!(after::<u8>(stopped, &mut ui).is_err());
    }
}
