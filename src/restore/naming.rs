//! Names that differ from the stored ones because something is there already; which they are is in `base::shown`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub(super) use crate::base::shown::{ATTEMPTS, beside, shortened};
use crate::base::sys::Dir;

/// A name that is free beside `name`.
pub(super) fn free_name(
    dir: &Dir,
    name: &OsStr,
    date: &str,
    longest: usize,
) -> io::Result<OsString> {
    for attempt in 0..ATTEMPTS {
        let candidate = OsString::from_vec(beside(name.as_bytes(), date, attempt, longest));
        match dir.stat(&candidate) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(candidate),
            Err(e) => return Err(e),
            Ok(_) => {}
        }
    }
    Err(io::Error::other(
        "a hundred files of that name are there already",
    ))
}
