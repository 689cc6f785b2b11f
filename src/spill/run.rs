//! A [`Run`]: records in byte order, written once, readable many times from the start.
//!
//! Framing on disk: the length in 7-bit groups (1 to 4 bytes, low group first), then the record. Several runs may share one
//! temporary file. A run does not look anything up; see `table`.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::rc::Rc;

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::tmp::{Spool, Tmp};
use crate::spill::CHUNK_BYTES;

/// Longest record in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = 1 << 24;

/// Where the bytes of runs are. Never changed once a run points at it, so readers may share it.
pub(super) enum Store {
    /// Framed records.
    Framed(Vec<u8>),
    /// Records of a sorter that never reached its cap, in the order of the list.
    Listed(Listed),
    Disk(Spool),
}

/// Framed records in order of arrival, and their order: each number's low half is the offset of a frame.
pub(super) struct Listed {
    pub(super) data: Vec<u8>,
    pub(super) order: Vec<u64>,
}

impl Listed {
    /// The record that `entry` points at.
    pub(super) fn record(&self, entry: u64) -> &[u8] {
        record_at(&self.data, entry)
    }
}

/// The record whose frame starts at the low half of `entry`.
pub(super) fn record_at(data: &[u8], entry: u64) -> &[u8] {
    let start = usize::try_from(entry & 0xffff_ffff).unwrap_or(usize::MAX);
    let frame = data.get(start..).unwrap_or_default();
    match frame_len(frame) {
        Some((head, len)) => frame.get(head..head + len).unwrap_or_default(),
        None => &[],
    }
}

/// Appends the frame of a record.
pub(super) fn push_frame(out: &mut Vec<u8>, record: &[u8]) {
    let mut len = record.len();
    loop {
        let low = u8::try_from(len & 127).unwrap_or(0);
        len >>= 7;
        if len == 0 {
            out.push(low);
            break;
        }
        out.push(low | 128);
    }
    out.extend_from_slice(record);
}

/// Bytes of the length and the length itself.
fn frame_len(frame: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0usize;
    for (i, &b) in frame.iter().take(4).enumerate() {
        len |= usize::from(b & 127) << (7 * i);
        if b < 128 {
            return Some((i + 1, len));
        }
    }
    None
}

/// Fails for a record that is too long.
pub(super) fn check_len(record: &[u8]) -> Result<()> {
    if record.len() > MAX_RECORD_BYTES {
        return Err(Error::bug("a spilled record is longer than 16 MiB"));
    }
    Ok(())
}

fn torn() -> Error {
    Error::bug("a temporary file does not hold what was written")
}

/// One sorted sequence of records. Cheap to read again; cloning is sharing.
#[derive(Clone)]
pub(crate) struct Run {
    store: Rc<Store>,
    at: Range<u64>,
    records: u64,
    longest: usize,
}

impl Run {
    /// The part of `store` that one writer made.
    pub(super) fn part(store: &Rc<Store>, part: &Part) -> Run {
        Run {
            store: Rc::clone(store),
            at: part.at.clone(),
            records: part.records,
            longest: part.longest,
        }
    }

    pub(super) fn listed(listed: Listed, longest: usize) -> Run {
        let records = listed.order.len() as u64;
        Run {
            at: 0..listed.data.len() as u64,
            store: Rc::new(Store::Listed(listed)),
            records,
            longest,
        }
    }

    /// A reader at the start; any number may be alive. Holds a buffer of at most 64 KiB, or of the longest record.
    pub(crate) fn reader(&self) -> RunReader {
        self.reader_with(CHUNK_BYTES)
    }

    /// As [`Run::reader`] with a buffer of so many bytes, or of the longest record.
    pub(crate) fn reader_with(&self, buffer_bytes: usize) -> RunReader {
        let whole = usize::try_from(self.at.end - self.at.start).unwrap_or(usize::MAX);
        let buffer = match *self.store {
            Store::Listed(_) => 0,
            _ => buffer_bytes.min(whole),
        };
        RunReader {
            store: Rc::clone(&self.store),
            at: self.at.clone(),
            next: 0,
            buffer: vec![0; buffer],
            filled: 0..0,
            current: 0..0,
            entry: 0,
        }
    }

    /// Number of records.
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes it takes, framing included.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.at.end - self.at.start
    }

    /// A run that `copy_to` wrote into somebody else's file, `bytes` bytes from `offset`.
    pub(crate) fn adopt(file: File, offset: u64, bytes: u64, records: u64, longest: usize) -> Run {
        Run {
            store: Rc::new(Store::Disk(Spool::adopt(file, "use the cache"))),
            at: offset..offset.saturating_add(bytes),
            records,
            longest: longest.min(MAX_RECORD_BYTES),
        }
    }

    /// Writes the framed records; [`Run::bytes`] of them unless the run never touched disk.
    pub(crate) fn copy_to(&self, out: &mut dyn Write) -> Result<u64> {
        let mut reader = self.reader();
        let mut frame = Vec::new();
        let mut written = 0;
        while let Some(record) = reader.next()? {
            frame.clear();
            push_frame(&mut frame, record);
            out.write_all(&frame).map_err(unwrap_io)?;
            written += frame.len() as u64;
        }
        Ok(written)
    }

    /// Length in bytes of the longest record.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

/// Reads one run in order.
pub(crate) struct RunReader {
    store: Rc<Store>,
    /// What has not been read from the store.
    at: Range<u64>,
    /// Next place in a list.
    next: usize,
    buffer: Vec<u8>,
    /// Part of the buffer that was read and not handed out.
    filled: Range<usize>,
    current: Range<usize>,
    entry: u64,
}

impl RunReader {
    /// The next record, or `None` at the end. Fails only when the temporary file cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        Ok(if self.advance()? {
            Some(self.current())
        } else {
            None
        })
    }

    /// Moves to the next record; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if let Store::Listed(listed) = &*self.store {
            let Some(&entry) = listed.order.get(self.next) else {
                return Ok(false);
            };
            self.entry = entry;
            self.next += 1;
            return Ok(true);
        }
        let unread = (self.at.end - self.at.start).saturating_add(self.filled.len() as u64);
        if unread == 0 {
            return Ok(false);
        }
        self.ensure(usize::try_from(unread).unwrap_or(4).min(4))?;
        let (head, len) = frame_len(&self.buffer[self.filled.clone()]).ok_or_else(torn)?;
        if len > MAX_RECORD_BYTES || (head + len) as u64 > unread {
            return Err(torn());
        }
        self.ensure(head + len)?;
        let start = self.filled.start + head;
        self.current = start..start + len;
        self.filled.start = start + len;
        Ok(true)
    }

    /// The record that the last `advance` moved to.
    pub(super) fn current(&self) -> &[u8] {
        match &*self.store {
            Store::Listed(listed) => listed.record(self.entry),
            _ => &self.buffer[self.current.clone()],
        }
    }

    /// Makes `n` unread bytes available in the buffer; `n` is at most what is left.
    fn ensure(&mut self, n: usize) -> Result<()> {
        if self.filled.len() >= n {
            return Ok(());
        }
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        if self.buffer.len() < n {
            self.buffer.resize(n, 0);
        }
        let left = usize::try_from(self.at.end - self.at.start).unwrap_or(usize::MAX);
        let take = left.min(self.buffer.len() - self.filled.end);
        let into = &mut self.buffer[self.filled.end..self.filled.end + take];
        match &*self.store {
            Store::Disk(spool) => spool.read_at(into, self.at.start)?,
            Store::Framed(bytes) => {
                let from = usize::try_from(self.at.start).map_err(|_| torn())?;
                into.copy_from_slice(bytes.get(from..from + take).ok_or_else(torn)?);
            }
            Store::Listed(_) => {}
        }
        self.at.start += take as u64;
        self.filled.end += take;
        if self.filled.len() < n {
            return Err(torn());
        }
        Ok(())
    }
}

/// Where one run lies in its file.
pub(super) struct Part {
    pub(super) at: Range<u64>,
    pub(super) records: u64,
    pub(super) longest: usize,
}

/// Frames records into a buffer and hands the buffer to a spool when it is full.
pub(super) struct Framer {
    buffer: Vec<u8>,
    part: Part,
}

impl Framer {
    /// A part that starts at `offset` of its file.
    pub(super) fn new(offset: u64) -> Framer {
        Framer {
            buffer: Vec::new(),
            part: Part {
                at: offset..offset,
                records: 0,
                longest: 0,
            },
        }
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        let before = self.buffer.len();
        push_frame(&mut self.buffer, record);
        self.part.at.end += (self.buffer.len() - before) as u64;
        self.part.records += 1;
        self.part.longest = self.part.longest.max(record.len());
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= CHUNK_BYTES
    }

    pub(super) fn flush(&mut self, spool: &mut Spool) -> Result<()> {
        spool.write_all(&self.buffer).map_err(unwrap_io)?;
        self.buffer.clear();
        self.buffer.shrink_to(2 * CHUNK_BYTES);
        Ok(())
    }

    /// Writes the rest.
    pub(super) fn finish(mut self, spool: &mut Spool) -> Result<Part> {
        self.flush(spool)?;
        Ok(self.part)
    }
}

/// Makes a run of records that already come in order. Below 64 KiB it touches no disk.
#[must_use]
pub(crate) struct RunWriter {
    tmp: Tmp,
    spool: Option<Spool>,
    framer: Framer,
    last: Vec<u8>,
}

impl RunWriter {
    pub(crate) fn new(tmp: &Tmp) -> RunWriter {
        RunWriter {
            tmp: tmp.clone(),
            spool: None,
            framer: Framer::new(0),
            last: Vec::new(),
        }
    }

    /// Appends a record of at most 16 MiB that is not smaller than the one before; anything else is a `Bug`.
    pub(crate) fn push(&mut self, record: &[u8]) -> Result<()> {
        check_len(record)?;
        if *record < *self.last {
            return Err(Error::bug("records of a run do not come in order"));
        }
        self.last.clear();
        self.last.extend_from_slice(record);
        self.framer.push(record);
        if self.framer.is_full() {
            let spool = match &mut self.spool {
                Some(spool) => spool,
                none => none.insert(Spool::new(&self.tmp)?),
            };
            self.framer.flush(spool)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Run> {
        let (store, part) = match self.spool {
            Some(mut spool) => {
                let part = self.framer.finish(&mut spool)?;
                (Store::Disk(spool), part)
            }
            None => (Store::Framed(self.framer.buffer), self.framer.part),
        };
        Ok(Run::part(&Rc::new(store), &part))
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
