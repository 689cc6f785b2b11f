//! [`ReadAt`]: bytes that can be read from any position, wherever they are: in a temporary file, at a destination, behind a cipher.

use std::cell::RefCell;

use crate::base::error::Result;
use crate::base::tmp::Spool;

/// Bytes that [`Page`] holds.
const PAGE_BYTES: usize = 32 << 10;

/// A file of known length that is read by position. Nothing moves: two readers do not disturb each other.
pub(crate) trait ReadAt {
    /// Length in bytes.
    fn len(&self) -> Result<u64>;

    /// Fills `buf` with what begins at byte `at`. An error when the file ends before; then `buf` holds anything.
    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()>;
}

impl ReadAt for Spool {
    fn len(&self) -> Result<u64> {
        Spool::len(self)
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        Spool::read_at(self, buf, at)
    }
}

/// A part of a file that was read at once, for who asks for many small pieces that lie close together. Memory: 32 KiB from the
/// first such piece on.
#[derive(Default)]
pub(crate) struct Page {
    held: RefCell<Held>,
}

#[derive(Default)]
struct Held {
    start: u64,
    bytes: Vec<u8>,
    /// What was asked for last began here, and so many before it lay close to the one before each.
    last: u64,
    close: u32,
}

impl Page {
    /// As [`ReadAt::read_at`] of `source`, which has to be the same each time, and not to change.
    pub(crate) fn read_at(&self, source: &dyn ReadAt, buf: &mut [u8], at: u64) -> Result<()> {
        let mut held = self.held.borrow_mut();
        let close = held.last.abs_diff(at) < PAGE_BYTES as u64;
        held.close = if close { held.close + 1 } else { 0 };
        held.last = at;
        // One piece after another is a header and what belongs to it, wherever they are.
        let fills = held.close > 1 && buf.len() < PAGE_BYTES / 2;
        if fills && held.part(at, buf.len()).is_none() {
            // What is asked for next may lie on either side.
            let start = at.saturating_sub(PAGE_BYTES as u64 / 4);
            let left = usize::try_from(source.len()?.saturating_sub(start));
            let mut bytes = std::mem::take(&mut held.bytes);
            bytes.resize(left.map_or(PAGE_BYTES, |left| left.min(PAGE_BYTES)), 0);
            source.read_at(&mut bytes, start)?;
            (held.start, held.bytes) = (start, bytes);
        }
        match held.part(at, buf.len()) {
            Some(part) => buf.copy_from_slice(part),
            None => source.read_at(buf, at)?,
        }
        Ok(())
    }
}

impl Held {
    fn part(&self, at: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..)?.get(..len)
    }
}
