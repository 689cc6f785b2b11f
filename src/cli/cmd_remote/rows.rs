//! Names: which ones `remote` takes, and one file of a listing as bytes that sort by its name, for a sort on disk.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::RemoteFile;

/// Name, NUL, size and time with a leading 1, or all 0 when unknown: sorts by name. A name holds no NUL.
pub(super) fn record(file: &RemoteFile) -> Vec<u8> {
    let mut out = Vec::with_capacity(file.name.len() + 19);
    out.extend_from_slice(file.name.as_bytes());
    out.push(0);
    out.push(u8::from(file.size.is_some()));
    out.extend_from_slice(&file.size.unwrap_or(0).to_be_bytes());
    out.push(u8::from(file.modified.is_some()));
    out.extend_from_slice(&file.modified.unwrap_or(0).to_be_bytes());
    out
}

/// Name, size in bytes and time of a [`record`].
pub(super) fn fields(record: &[u8]) -> (&[u8], Option<u64>, Option<Timestamp>) {
    let (name, rest) = record.split_at(record.len().saturating_sub(19));
    let number = |at: usize| {
        let (known, value) = rest.get(at..at + 9)?.split_first()?;
        let value = <[u8; 8]>::try_from(value).ok()?;
        (*known == 1).then_some(value)
    };
    (
        name,
        number(1).map(u64::from_be_bytes),
        number(10).map(|v| Timestamp(i64::from_be_bytes(v))),
    )
}

/// Refuses what could mean something outside of the destination's folder, however its server reads names.
pub(super) fn check_name(name: &str) -> Result<()> {
    let odd = name.contains(['\0', '\r', '\n', '\\']);
    if !odd && name.split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return Ok(());
    }
    let shown = text::safe_cut(name.as_bytes(), 60);
    Err(Error::usage(format!(
        "'{shown}' is no name in the destination's folder"
    )))
}
