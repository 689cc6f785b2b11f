//! Which version, which of its entries, and the folder they go below.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::base::error::{Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::EntryKind;
use crate::restore::RestoreOptions;
use crate::restore::place::{Prefix, is_windows};
use crate::set::{Record, Set};
use crate::spill::run::Run;

/// The newest version that holds a chosen file, and its chosen entries sorted by path.
pub(super) fn choose(set: &mut Set, options: &RestoreOptions, ui: &mut Ui) -> Result<(usize, Run)> {
    let times: Vec<Timestamp> = set.versions().collect();
    let mut numbers = options.version.resolve(&times)?;
    let explicit = !numbers.is_empty();
    if !explicit {
        numbers = (0..times.len()).collect();
    }
    let mut failure: Option<Error> = None;
    for &no in &numbers {
        let sorted = match set.sorted_files(ui, no) {
            Ok((run, listing)) => {
                if let Some(line) = listing.misdated {
                    ui.warn(
                        "misdated-version",
                        &format!("{line}; see 'duplet list URL'"),
                    );
                }
                run
            }
            Err(e)
                if !explicit
                    && matches!(e.kind(), Kind::Damaged | Kind::Missing | Kind::Unsupported) =>
            {
                ui.error(&format!("version {no} is passed over: {e}"));
                failure = failure.or(Some(e));
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut chosen = crate::spill::run::RunWriter::new(set.tmp());
        let mut any = false;
        let mut reader = sorted.reader();
        while let Some(raw) = reader.next()? {
            let record = Record::decode(raw)?;
            let path = &record.entry.path;
            if options.selection.matches(path, options.case)
                && options.filters.decide_stored(path).included
            {
                any |= record.entry.kind != EntryKind::Folder || numbers.len() == 1;
                chosen.push(raw)?;
            }
        }
        let chosen = chosen.finish()?;
        if any && !chosen.is_empty() {
            return Ok((no, chosen));
        }
        if numbers.len() == 1 && !chosen.is_empty() {
            return Ok((no, chosen));
        }
    }
    if times.is_empty() {
        return Err(Error::new(
            Kind::Missing,
            "the destination holds no version (dlist volume)",
        )
        .doing("restore"));
    }
    match failure {
        Some(e) => Err(e),
        None => Err(Error::new(Kind::Missing, "nothing in the backup matches")
            .doing("restore")
            .hint("see 'duplet find URL PATTERN'; a folder's path ends with /")),
    }
}

/// The shared folder of all chosen entries, and their totals.
pub(super) fn survey(run: &Run, options: &RestoreOptions) -> Result<(Vec<u8>, Progress)> {
    let mut prefix = Prefix::default();
    let mut totals = Progress::default();
    let mut reader = run.reader();
    while let Some(raw) = reader.next()? {
        let record = Record::decode(raw)?;
        prefix.add(&record.entry.path);
        if record.entry.kind == EntryKind::File {
            totals.files_total += 1;
            totals.bytes_total += record.entry.content.as_ref().map_or(0, |c| c.size);
        }
        if options.target.is_none() && is_windows(&record.entry.path) {
            return Err(Error::usage(
                "the backup is of a Windows machine, so its paths do not exist here; name a folder with --restore-path",
            ));
        }
    }
    Ok((prefix.get().to_vec(), totals))
}

/// Where everything goes below, and the part of stored paths that is left out there.
pub(super) fn settle_root(options: &mut RestoreOptions, prefix: Vec<u8>) -> Result<Vec<u8>> {
    match &options.target {
        Some(target) => {
            options.root.clone_from(target);
            if !options.whole_paths {
                return Ok(prefix);
            }
            Ok(if prefix.first() == Some(&b'/') {
                b"/".to_vec()
            } else {
                Vec::new()
            })
        }
        None => {
            // The folders above the shared one belong to this machine; links among them are its owner's.
            if prefix.split(|&b| b == b'/').any(|p| p == b"..") {
                return Err(Error::damaged("the stored paths contain '..'")
                    .doing("restore")
                    .hint("use --restore-path"));
            }
            options.root = PathBuf::from(OsStr::from_bytes(&prefix));
            Ok(prefix)
        }
    }
}
