//! Which version, which of its entries, and the folder they go below.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::EntryKind;
use crate::restore::tree::{Prefix, is_windows};
use crate::restore::{NOTHING, Partial, RestoreOptions};
use crate::select::Best;
use crate::set::{Record, Set};
use crate::spill::run::{Run, RunWriter};

/// Folders above an entry that are remembered, in bytes of their records.
const ABOVE_AT_MOST: usize = 1 << 20;

/// A version and which of its entries are wanted.
pub(super) struct Chosen {
    pub(super) no: usize,
    /// False for a partial version.
    pub(super) full: bool,
    run: Run,
}

/// An entry of [`Chosen`].
pub(super) struct Wanted {
    pub(super) record: Record,
    /// Not wanted itself, but a folder in which something wanted lies: what was closed there stays closed.
    pub(super) above: bool,
}

impl Chosen {
    /// Gives `each` every entry by path.
    pub(super) fn each(&self, each: &mut dyn FnMut(Wanted) -> Result<()>) -> Result<()> {
        let mut reader = self.run.reader();
        while let Some(raw) = reader.next()? {
            let (&above, raw) = raw
                .split_last()
                .ok_or_else(|| Error::bug("a chosen entry has a mark"))?;
            each(Wanted {
                record: Record::decode(raw)?,
                above: above == 1,
            })?;
        }
        Ok(())
    }
}

/// The newest version that holds a chosen file, and its chosen entries.
pub(super) fn choose(set: &mut Set, options: &RestoreOptions, ui: &mut Ui) -> Result<Chosen> {
    let times: Vec<Timestamp> = set.versions().collect();
    let mut numbers = options.version.resolve(&times)?;
    let explicit = !numbers.is_empty();
    if !explicit {
        numbers = (0..times.len()).collect();
    }
    let mut failure: Option<Error> = None;
    // The newest version in which nothing but folders is chosen.
    let mut folders: Option<(Chosen, Best)> = None;
    let paths = match options.in_parts() {
        true => options.selection.plain_paths(options.case),
        false => None,
    };
    for &no in &numbers {
        if let Some(paths) = &paths {
            match choose_in_parts(set, options, (no, paths, numbers.len() == 1), ui)? {
                InParts::Chosen(chosen) => return Ok(chosen),
                InParts::Nothing => continue,
                InParts::Unsure => {}
            }
        }
        let (sorted, full) = match set.sorted_files(ui, no) {
            Ok((run, listing)) => {
                if let Some(line) = listing.misdated {
                    ui.warn(
                        "misdated-version",
                        &format!("{line}; see 'duplet list URL'"),
                    );
                }
                (run, listing.full)
            }
            Err(e) if !explicit && e.kind().is_of_one_volume() => {
                ui.error(&format!("version {no} is passed over: {e}"));
                failure = failure.or(Some(e));
                continue;
            }
            Err(e) => return Err(e),
        };
        let (run, files, any, best) = pick(&sorted, set, options)?;
        let found = (Chosen { no, full, run }, best);
        if files {
            return Ok(told(found, options, ui));
        }
        if any && folders.is_none() {
            folders = Some(found);
        }
    }
    if let Some(found) = folders {
        return Ok(told(found, options, ui));
    }
    if times.is_empty() {
        let e = Error::new(
            Kind::Missing,
            "the destination holds no version (dlist volume)",
        )
        .doing("restore");
        return Err(match set.plain().line() {
            Some(line) => e.hint(line),
            None => e,
        });
    }
    match failure.or_else(|| options.selection.fault()) {
        Some(e) => Err(e),
        None => Err(Error::new(Kind::Missing, NOTHING)
            .doing("restore")
            .hint("see 'duplet find URL PATTERN'; *part* finds parts of names")),
    }
}

/// What was found, and which words found nothing.
fn told((chosen, best): (Chosen, Best), options: &RestoreOptions, ui: &mut Ui) -> Chosen {
    let no = chosen.no;
    for word in options.selection.unmet([&best].into_iter()) {
        let word = text::safe(word.as_bytes());
        ui.warn(
            "no-match",
            &format!("nothing in version {no} matches {word} (see 'duplet find URL {word}')"),
        );
    }
    chosen
}

/// What parts of a list tell.
enum InParts {
    Chosen(Chosen),
    /// None of the paths is in this version.
    Nothing,
    /// All of the list has to be looked at.
    Unsure,
}

/// What is chosen of version `no` by paths, of which each is there (`only`: no other version is asked): then the rest of its list
/// decides nothing.
fn choose_in_parts(
    set: &mut Set,
    options: &RestoreOptions,
    (no, paths, only): (usize, &[Vec<u8>], bool),
    ui: &mut Ui,
) -> Result<InParts> {
    let always = options.reading.partial == Partial::Always;
    let Some((sorted, listing)) = set.sorted_parts(ui, no, paths, always)? else {
        return Ok(InParts::Unsure);
    };
    let (run, files, any, best) = pick(&sorted, set, options)?;
    if !any && !only && options.selection.is_decided(&best) {
        return Ok(InParts::Nothing);
    }
    if !options.selection.is_settled(&best) || !(files || any && only) {
        return Ok(InParts::Unsure);
    }
    let full = listing.full;
    if let Some(line) = listing.misdated {
        ui.warn(
            "misdated-version",
            &format!("{line}; see 'duplet list URL'"),
        );
    }
    Ok(InParts::Chosen(Chosen { no, full, run }))
}

/// The chosen entries of one version, whether files or anything at all is among them, and what each word found.
fn pick(sorted: &Run, set: &Set, options: &RestoreOptions) -> Result<(Run, bool, bool, Best)> {
    let selection = &options.selection;
    let mut fits = Vec::new();
    let mut best = selection.best();
    if !selection.is_empty() {
        let mut reader = sorted.reader();
        while let Some(raw) = reader.next()? {
            let record = Record::decode(raw)?;
            if options.filters.decide_stored(&record.entry.path).included {
                selection.fit(&record.entry.path, options.case, &mut fits);
                best.note(&fits);
            }
        }
    }
    let mut chosen = RunWriter::new(set.tmp());
    let (mut files, mut any) = (false, false);
    // Folders around the entry at hand that were not chosen: path, record, and whether it was written.
    let mut above: Vec<(Vec<u8>, Vec<u8>, bool)> = Vec::new();
    let mut above_bytes = 0;
    let mut reader = sorted.reader();
    while let Some(raw) = reader.next()? {
        let record = Record::decode(raw)?;
        let path = &record.entry.path;
        while let Some((_, raw, _)) = above.pop_if(|(folder, _, _)| !path.starts_with(folder)) {
            above_bytes -= raw.len();
        }
        selection.fit(path, options.case, &mut fits);
        let folder = record.entry.kind == EntryKind::Folder;
        if best.allows(&fits) && options.filters.decide_stored(path).included {
            for (_, raw, written) in above.iter_mut().filter(|(_, _, written)| !written) {
                chosen.push(&[raw.as_slice(), &[1]].concat())?;
                *written = true;
            }
            chosen.push(&[raw, &[0]].concat())?;
            files |= !folder;
            any = true;
        } else if folder && above_bytes < ABOVE_AT_MOST {
            above_bytes += raw.len();
            above.push((path.clone(), raw.to_vec(), false));
        }
    }
    Ok((chosen.finish()?, files, any, best))
}

/// The shared folder of all chosen entries, and their totals.
pub(super) fn survey(chosen: &Chosen, options: &RestoreOptions) -> Result<(Vec<u8>, Progress)> {
    let mut prefix = Prefix::default();
    let mut totals = Progress::default();
    chosen.each(&mut |wanted| {
        let entry = &wanted.record.entry;
        if wanted.above {
            return Ok(());
        }
        prefix.add(&entry.path);
        if entry.kind == EntryKind::File {
            totals.files_total += 1;
            totals.bytes_total += entry.content.as_ref().map_or(0, |c| c.size);
        }
        if options.target.is_none() && is_windows(&entry.path) {
            return Err(Error::usage(
                "the backup is of a Windows machine, so its paths do not exist here; name a folder with --restore-path",
            ));
        }
        Ok(())
    })?;
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
