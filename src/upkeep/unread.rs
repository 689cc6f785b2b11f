//! What is said, by every command that changes a destination, of a version that cannot be read.

use crate::base::error::{Error, Kind};
use crate::base::text;
use crate::set::Set;

/// The error of a command that may not do `doing` (verb first) because the list of version `no` cannot be read: with the way to
/// give the version up. Another error than of this one list, or of a wrong passphrase, stays as it is.
pub(crate) fn unreadable(set: &Set, no: usize, doing: &str, e: Error) -> Error {
    let Some((name, _)) = set.dlist(no).filter(|_| e.kind().is_of_one_volume()) else {
        return e;
    };
    let name = text::safe(name.as_str().as_bytes());
    let cause = format!("version {no}, {name}, cannot be read: {}", e.cause());
    let give_up = match e.kind() {
        // Perhaps it is only listed late, or a program is missing.
        Kind::Missing | Kind::Unsupported => "gives it up, if it is lost for good",
        _ => "gives it up",
    };
    Error::new(e.kind(), cause).doing(doing).hint(format!(
        "nothing is deleted while a version cannot be read, as it may need every volume; put an intact copy of the list back, or 'duplet delete URL --version={no}' {give_up}"
    ))
}
