//! Files under way: what is left of them after an error, and their digest.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};

use crate::base::digest::{Algo, Hash};
use crate::format::filelist::EntryKind;
use crate::restore::fetcher::temp_name;
use crate::restore::obey;
use crate::restore::targets::{Action, Target, Targets};
use crate::restore::tree::TargetTree;

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
