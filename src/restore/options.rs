//! What a restore is asked to do, and what it did.

use std::path::PathBuf;

use crate::base::time::Timestamp;
use crate::format::manifest::Params;
use crate::select::{Case, FilterSet, Selection};
use crate::set::{Needs, Set, Share, VersionChoice};

/// The cause of the error when no entry is what was asked for.
pub(crate) const NOTHING: &str = "nothing in the backup matches";

/// What to do where something is already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Restore beside it.
    Rename,
    Skip,
    Overwrite,
    /// Overwrite what is older than the stored file.
    Newer,
}

/// Whether volumes are read in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partial {
    /// Where less than half of a volume is wanted.
    Auto,
    Always,
    Never,
}

impl Partial {
    /// What is asked for of a volume of which so many bytes are wanted.
    pub(super) fn share(self, wanted: u64) -> Share {
        match self {
            Partial::Auto => Share::Bytes(wanted),
            Partial::Always => Share::Bytes(0),
            Partial::Never => Share::All,
        }
    }
}

/// How volumes are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) partial: Partial,
    /// Bytes of volumes that are kept on disk, as they may be wanted again.
    pub(crate) keep_bytes: u64,
    /// Do not download dblocks that no index volume describes.
    pub(crate) no_scan: bool,
}

/// What to restore and how.
pub(crate) struct RestoreOptions {
    pub(crate) version: VersionChoice,
    pub(crate) selection: Selection,
    pub(crate) filters: FilterSet,
    pub(crate) case: Case,
    /// `None`: to the original place.
    pub(crate) target: Option<PathBuf>,
    /// Keep whole paths below the target.
    pub(crate) whole_paths: bool,
    pub(crate) existing: Existing,
    pub(crate) permissions: bool,
    pub(crate) symlink_metadata: bool,
    pub(crate) skip_metadata: bool,
    /// Follow links on the way to a target.
    pub(crate) allow_outside: bool,
    /// Compare whole-file hashes.
    pub(crate) verify: bool,
    pub(crate) dry_run: bool,
    pub(crate) reading: Reading,
    /// Filled in by `run`: the folder everything goes below.
    pub(crate) root: PathBuf,
}

impl RestoreOptions {
    /// What is wanted of the volumes. Where everything is, most of them are read whole, and the index volumes with them.
    pub(super) fn needs(&self, set: &Set, params: Params) -> Needs {
        let mut needs = Needs::new(set.tmp(), params);
        needs.no_scan = self.reading.no_scan;
        match self.in_parts() {
            true => needs.with_places(),
            false => needs,
        }
    }

    /// True when it is worth while to ask versions themselves for where things are.
    pub(super) fn in_parts(&self) -> bool {
        let some = !self.selection.is_empty() || !self.filters.is_empty();
        match self.reading.partial {
            Partial::Auto => some,
            Partial::Always => true,
            Partial::Never => false,
        }
    }
}

/// What a restore did.
#[derive(Default)]
pub(crate) struct RestoreReport {
    pub(crate) version: Option<(usize, Timestamp)>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) folders: u64,
    pub(crate) symlinks: u64,
    pub(crate) unmodified: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: u64,
    pub(crate) volumes: u64,
    /// Bytes of the volumes needed (dry run: that would be fetched).
    pub(crate) volume_bytes: u64,
    pub(crate) incomplete_count: u64,
    /// The first of them.
    pub(crate) incomplete_names: Vec<String>,
    /// The one counted last: an entry may lose data and metadata.
    incomplete_last: String,
    /// Those of the incomplete of which nothing was left to restore.
    pub(crate) lost: u64,
    /// Entries that got another name because something else has theirs.
    pub(crate) beside_count: u64,
    /// The first of them: the place that was taken, and where it is.
    pub(crate) beside_names: Vec<(String, String)>,
    /// The version is partial: its backup was stopped.
    pub(crate) partial: bool,
    pub(crate) root: PathBuf,
    /// Selected: files and bytes.
    pub(crate) selected: (u64, u64),
}

const NAMED: usize = 100;

impl RestoreReport {
    pub(super) fn incomplete(&mut self, name: &str) {
        if self.incomplete_last == name {
            return;
        }
        name.clone_into(&mut self.incomplete_last);
        self.incomplete_count += 1;
        if self.incomplete_names.len() < NAMED {
            self.incomplete_names.push(name.to_owned());
        }
    }

    pub(super) fn beside(&mut self, was: &str, is: &str) {
        self.beside_count += 1;
        if self.beside_names.len() < NAMED {
            self.beside_names.push((was.to_owned(), is.to_owned()));
        }
    }
}
