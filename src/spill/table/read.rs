//! The records of a table where they lie, and reading them in order.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::Spool;
use crate::spill::CHUNK_BYTES;

/// Where records are.
pub(super) enum Source {
    Memory(Vec<u8>),
    Spool(Spool),
    /// A section of a file that belongs to somebody else, and where it starts.
    File(File, u64),
}

impl Source {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<()> {
        match self {
            Source::Memory(data) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = data.get(from..).and_then(|rest| rest.get(..into.len()));
                into.copy_from_slice(part.ok_or_else(|| Error::bug("a table ends early"))?);
                Ok(())
            }
            Source::Spool(spool) => spool.read_at(into, offset),
            Source::File(file, start) => file
                .read_exact_at(into, start.saturating_add(offset))
                .doing(|| "read a cache file".into()),
        }
    }
}

/// What of a table does not change: records and their shape.
pub(super) struct Body {
    pub(super) source: Source,
    pub(super) records: u64,
    pub(super) record_len: usize,
}

impl Body {
    pub(super) fn read(&self, first: u64, into: &mut [u8]) -> Result<()> {
        self.source
            .read_at(into, first.saturating_mul(self.record_len as u64))
    }
}

/// Reads a table in order.
pub(crate) struct TableReader<'a> {
    body: &'a Body,
    /// Number of the next record to read from the source.
    next: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(body: &'a Body) -> TableReader<'a> {
        TableReader {
            body,
            next: 0,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// The next record, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        if !self.fill()? {
            return Ok(None);
        }
        let from = self.at;
        self.at += self.body.record_len;
        Ok(self.buffer.get(from..self.at))
    }

    /// What is left of the buffer, or the next whole buffer; `None` at the end.
    #[cfg(test)]
    pub(super) fn chunk(&mut self) -> Result<Option<&[u8]>> {
        if !self.fill()? {
            return Ok(None);
        }
        let from = self.at;
        self.at = self.buffer.len();
        Ok(self.buffer.get(from..))
    }

    /// Makes sure that there is an unread record in the buffer; false at the end.
    fn fill(&mut self) -> Result<bool> {
        if self.at < self.buffer.len() {
            return Ok(true);
        }
        let room = (CHUNK_BYTES / self.body.record_len).max(1) as u64;
        let count = room.min(self.body.records - self.next);
        self.at = 0;
        self.buffer.clear();
        let bytes = usize::try_from(count).unwrap_or(0) * self.body.record_len;
        self.buffer.resize(bytes, 0);
        self.body.read(self.next, &mut self.buffer)?;
        self.next += count;
        Ok(count > 0)
    }
}
