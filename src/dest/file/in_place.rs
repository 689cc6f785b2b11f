//! Volumes that come to be where they will be stored: written to a file without a name in the folder itself, which gets its name
//! when it is whole. So nothing is copied, and what a killed run was writing is gone with it. File systems that have no such
//! files (FAT, NFS) or give them no name, and machines without `/proc`, get copies.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::parts::{fault, ignore_unsupported, short};
use crate::base::fault::Done;
use crate::base::sys;
use crate::dest::Body;

/// How a file without a name gets one.
const OPEN_FILES: &str = "/proc/self/fd";

/// Of one folder.
#[derive(Default)]
pub(super) struct InPlace {
    /// The file handed out last: its file system and number.
    handed_out: Option<(u64, u64)>,
    /// A file got no name here: no more are handed out.
    nameless: bool,
}

impl InPlace {
    /// A new file in `folder`.
    pub(super) fn file(&mut self, folder: &Path, mode: u32) -> Option<File> {
        if self.nameless || !Path::new(OPEN_FILES).exists() {
            return None;
        }
        let file = sys::unnamed_file(folder, mode).ok()?;
        let facts = file.metadata().ok()?;
        self.handed_out = Some((facts.dev(), facts.ino()));
        Some(file)
    }

    /// Puts the body at `path` if it is the file handed out last and still has no name; false when it must be copied. `sync`: it
    /// is on the medium before it has its name, and its name after.
    pub(super) fn give_name(&mut self, body: &mut dyn Body, path: &Path, sync: bool) -> Done<bool> {
        let (Some(file), Some(handed_out)) = (body.unnamed(), self.handed_out) else {
            return Ok(false);
        };
        let facts = file.metadata().map_err(|e| fault(&e, path))?;
        if (facts.dev(), facts.ino()) != handed_out || facts.nlink() != 0 {
            return Ok(false);
        }
        if facts.len() != body.len() {
            return Err(short(facts.len(), body.len()));
        }
        let to_medium = || match sync {
            true => ignore_unsupported(file.sync_all()).map_err(|e| fault(&e, path)),
            false => Ok(()),
        };
        to_medium()?;
        match sys::give_name(file, path) {
            Ok(()) => {
                // That it has a name is a fact of the file, too.
                to_medium()?;
                body.taken();
                Ok(true)
            }
            Err(e) => {
                self.nameless = e.kind() != std::io::ErrorKind::AlreadyExists;
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
#[path = "in_place_tests.rs"]
mod tests;
