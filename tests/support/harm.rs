//! Damaging files as disks, cables and people do.

use std::fs;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The file is gone.
    Delete,
    /// The second half is gone.
    Truncate,
    /// One bit of a byte in the middle is the other way round.
    Flip,
    /// The file has another file's content, and the reverse.
    Swap,
}

pub const ALL: [Harm; 4] = [Harm::Delete, Harm::Truncate, Harm::Flip, Harm::Swap];

/// Damages `path`; `other` is the partner of a swap.
pub fn harm(path: &Path, other: &Path, how: Harm) {
    match how {
        Harm::Delete => fs::remove_file(path).expect("the file is there"),
        Harm::Truncate => {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(path)
                .expect("a writable file");
            let len = file.metadata().expect("an open file").len();
            file.set_len(len / 2).expect("a writable file");
        }
        Harm::Flip => flip(path, None),
        Harm::Swap => {
            let aside = path.with_extension("aside");
            fs::rename(path, &aside).expect("the file is there");
            fs::rename(other, path).expect("the other file is there");
            fs::rename(&aside, other).expect("a writable folder");
        }
    }
}

/// Flips one bit of the byte at `at`, or of the middle one.
pub fn flip(path: &Path, at: Option<usize>) {
    let mut bytes = fs::read(path).expect("the file is there");
    let at = at.unwrap_or(bytes.len() / 2);
    bytes[at] ^= 0x10;
    fs::write(path, bytes).expect("a writable file");
}
