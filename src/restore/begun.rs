//! Files under way: their names, those that are open, what is left of them after an error, and their digest.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};

use crate::base::digest::{Algo, Hash};
use crate::format::filelist::{Entry, EntryKind};
use crate::restore::obey;
use crate::restore::targets::{Action, Target, Targets};
use crate::restore::tree::TargetTree;

/// The content is there, but could not be written here; that was told.
pub(super) const UNWRITTEN: u8 = 2;

/// The name of the file in which target `no` is put together.
pub(super) fn temp_name(prefix: &str, no: u64) -> String {
    format!("{prefix}-{no:x}")
}

/// Opens, or makes with this length, the file in which a target is put together; nobody else may read it.
pub(super) fn begin_file(
    place: &mut TargetTree,
    parts: &[&[u8]],
    temp: &str,
    size: u64,
) -> io::Result<File> {
    let spot = place.spot(parts, true)?;
    let name = OsStr::new(temp);
    match spot.dir.create_file(name, 0o600) {
        Ok(file) if size == 0 => Ok(file),
        Ok(file) => file.set_len(size).map(|()| file),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => spot.dir.open_file(name, true),
        Err(e) => Err(e),
    }
}

/// Files first, then links, then folders from the deepest: byte order of the order of finishing.
pub(super) fn order_key(entry: &Entry, no: u64) -> [u8; 9] {
    let (class, n) = match entry.kind {
        EntryKind::File => (0u8, no),
        EntryKind::Symlink => (1, no),
        EntryKind::Folder => (2, u64::MAX - no),
    };
    let mut key = [class; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}

/// Files kept open.
pub(super) const FILES_OPEN: usize = 32;
/// Metadata of one block kept for the files that have it, and its longest block in bytes.
const METAS_KEPT: usize = 32;
const META_BYTES: usize = 1 << 10;

/// A file under way.
pub(super) struct Visit {
    pub(super) no: u64,
    pub(super) target: Target,
    pub(super) file: File,
    /// All before this byte was written since the file was made.
    pub(super) upto: u64,
}

/// Files under way and metadata seen last. Memory: 32 KiB, and a record for each file.
#[derive(Default)]
pub(super) struct Visits {
    /// The last used is the last.
    pub(super) open: Vec<Visit>,
    /// The last kept is the last.
    pub(super) metas: Vec<(Hash, Vec<u8>)>,
}

impl Visits {
    /// Leaves all files to be finished later.
    pub(super) fn close(&mut self) {
        self.open.clear();
    }

    /// Keeps the only block of some metadata, unless it is long.
    pub(super) fn keep(&mut self, id: Hash, block: &[u8]) {
        if block.len() <= META_BYTES && !self.metas.iter().any(|(have, _)| *have == id) {
            if self.metas.len() == METAS_KEPT {
                self.metas.remove(0);
            }
            self.metas.push((id, block.to_vec()));
        }
    }
}

/// Removes what is left of files under way, after an error.
pub(super) fn sweep(place: &mut TargetTree, targets: &Targets, temp_prefix: &str) {
    for no in 0..targets.len() {
        let Ok(target) = targets.get(no) else {
            return;
        };
        remove_begun(place, temp_prefix, no, &target);
    }
}

pub(super) fn remove_begun(place: &mut TargetTree, temp_prefix: &str, no: u64, target: &Target) {
    if matches!(target.action, Action::Create | Action::Replace)
        && target.record.entry.kind != EntryKind::Folder
        && let Ok(spot) = place.spot(&target.slices(), false)
    {
        // It may never have been begun.
        let _gone = spot.dir.unlink(OsStr::new(&temp_name(temp_prefix, no)));
    }
}

/// Digest of a whole file, read from its start; a stop ends it.
pub(super) fn hash_file(file: &File, algo: Algo) -> io::Result<Hash> {
    use std::io::Seek;
    let mut hasher = algo.hasher();
    let mut buffer = vec![0; 128 * 1024];
    let mut file = file;
    file.rewind()?;
    loop {
        obey()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
