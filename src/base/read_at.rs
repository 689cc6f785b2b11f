//! [`ReadAt`]: bytes that can be read from any position, wherever they are: in a temporary file, at a destination, behind a cipher.

use crate::base::error::Result;
use crate::base::tmp::Spool;

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
