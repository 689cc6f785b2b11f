//! What there is of a stored entry on this machine: the file that it came from, or what can be made again.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::backup::source::{Source, fs_path};
use crate::base::sys::{Dir, Spot};
use crate::format::filelist::{Entry, EntryKind};

/// What there is of an entry on this machine.
pub(super) enum Given {
    File(File),
    Blob(Vec<u8>),
}

impl Given {
    /// False when it is not there in this length.
    pub(super) fn read(&self, out: &mut Vec<u8>, offset: u64, len: usize) -> bool {
        out.resize(len, 0);
        match self {
            Given::File(file) => file.read_exact_at(out, offset).is_ok(),
            Given::Blob(blob) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = from.checked_add(len).and_then(|end| blob.get(from..end));
                part.map(|part| out.copy_from_slice(part)).is_some()
            }
        }
    }
}

/// The file of an entry, as far as it is one.
pub(super) fn open(entry: &Entry) -> Option<File> {
    if entry.kind != EntryKind::File {
        return None;
    }
    let source = Source {
        path: entry.path.clone(),
    };
    let (folder, name) = source.place();
    let dir = Dir::place(fs_path(folder)).ok()?;
    let open = |follow| {
        let spot = Spot {
            dir: &dir,
            name,
            follow,
        };
        spot.open_file().ok().map(|(file, _)| file)
    };
    open(false).or_else(|| open(true))
}
