//! Records of a zip archive as they lie in a file: where the directory is, what an entry's headers say.
//!
//! Every position and length is checked against the file before use; nothing is believed, nothing panics. Memory: one window
//! of 16 KiB, up to 192 KiB for an archive with absurd names.

use crate::base::bytes::Cursor;
use crate::base::error::{Error, Result};
use crate::base::read_at::ReadAt;

const WINDOW_BYTES: u64 = 16 << 10;
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const ZIP64_END_BYTES: u64 = 56;
/// An end record and the longest comment.
const TAIL_BYTES: u64 = END_BYTES + 0xffff;
/// End records tried of each sort: a comment or stored data may hold false ones.
const MAX_CANDIDATES: usize = 4;
const MARK: u64 = 0xffff_ffff;

/// One entry: what the directory says, and where its local header lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryRef {
    pub(crate) method: u16,
    /// CRC-32 of the plain bytes.
    pub(crate) crc: u32,
    /// Bytes in the archive.
    pub(crate) compressed: u64,
    /// Plain bytes.
    pub(crate) size: u64,
    /// Byte position of the local header in the file.
    pub(crate) offset: u64,
}

/// Where the central directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) end: u64,
    /// What is to be added to stated offsets: bytes before the archive.
    base: u64,
}

/// A moving view of a file.
pub(super) struct Window<'a> {
    source: &'a dyn ReadAt,
    pub(super) len: u64,
    at: u64,
    buffer: Vec<u8>,
    /// Bytes that may still be searched for descriptors: a file of headers without sizes would have each search to its end.
    search_left: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, len: u64) -> Window<'a> {
        Window {
            source,
            len,
            at: 0,
            buffer: Vec::new(),
            search_left: u64::MAX,
        }
    }

    /// As [`Window::new`]; no more than `bytes` are searched for descriptors.
    pub(super) fn with_search(source: &'a dyn ReadAt, len: u64, bytes: u64) -> Window<'a> {
        Window {
            search_left: bytes,
            ..Window::new(source, len)
        }
    }

    /// Position of the next local header's signature at or after `pos`.
    pub(super) fn find_local(&mut self, mut pos: u64) -> Result<Option<u64>> {
        loop {
            let most = WINDOW_BYTES.min(self.len.saturating_sub(pos));
            let Some(chunk) = self.get(pos, most)?.filter(|c| c.len() >= 30) else {
                return Ok(None);
            };
            if let Some(hit) = chunk.windows(4).position(|w| w == b"PK\x03\x04") {
                return Ok(Some(pos.saturating_add(hit as u64)));
            }
            pos = pos.saturating_add(most.saturating_sub(3));
        }
    }

    /// `n` bytes from `pos`; `None` when the file ends before. `n` comes from 16-bit fields: it is small.
    pub(super) fn get(&mut self, pos: u64, n: u64) -> Result<Option<&[u8]>> {
        let Some(end) = pos.checked_add(n).filter(|&end| end <= self.len) else {
            return Ok(None);
        };
        let have = self.at.saturating_add(self.buffer.len() as u64);
        if pos < self.at || end > have {
            let want = n.max(WINDOW_BYTES).min(self.len.saturating_sub(pos));
            self.buffer.clear();
            self.buffer.resize(size(want)?, 0);
            self.source.read_at(&mut self.buffer, pos)?;
            self.at = pos;
        }
        let from = size(pos.saturating_sub(self.at))?;
        let to = from.saturating_add(size(n)?);
        Ok(self.buffer.get(from..to))
    }

    fn array<const N: usize>(&mut self, pos: u64) -> Result<Option<[u8; N]>> {
        let bytes = self.get(pos, N as u64)?;
        Ok(bytes.and_then(|b| b.try_into().ok()))
    }

    fn starts_with(&mut self, pos: u64, signature: [u8; 4]) -> Result<bool> {
        Ok(self.array(pos)? == Some(signature))
    }

    /// Possible ends of the archive, likeliest first: positions of end records.
    pub(super) fn ends(&mut self) -> Result<Vec<u64>> {
        let start = self.len.saturating_sub(TAIL_BYTES);
        let mut exact = Vec::new();
        let mut loose = Vec::new();
        let most = self.len.saturating_sub(start);
        let mut tail = vec![0; size(most)?];
        self.source.read_at(&mut tail, start)?;
        for (i, record) in tail.windows(size(END_BYTES)?).enumerate().rev() {
            if !record.starts_with(b"PK\x05\x06") {
                continue;
            }
            let after = tail.len().saturating_sub(i).saturating_sub(record.len());
            let comment = usize::from(u16_at(record, 20));
            let list = if comment == after {
                &mut exact
            } else {
                &mut loose
            };
            if list.len() < MAX_CANDIDATES {
                list.push(start.saturating_add(i as u64));
            }
        }
        exact.append(&mut loose);
        Ok(exact)
    }

    /// The directory an end record at `end_at` speaks of; `None` when it cannot be there.
    pub(super) fn directory(&mut self, end_at: u64) -> Result<Option<Directory>> {
        let Some(record) = self.array::<22>(end_at)? else {
            return Ok(None);
        };
        let mut len = u64::from(u32_at(&record, 12));
        let mut start = u64::from(u32_at(&record, 16));
        let mut limit = end_at;
        // The zip64 record counts whenever its locator is there, marks or not (`format.md` 5.1).
        if let Some(wide) = self.zip64_end(end_at)? {
            (limit, len, start) = wide;
        }
        let Some(packed_start) = limit.checked_sub(len) else {
            return Ok(None);
        };
        if len == 0 {
            let empty = Directory {
                start: packed_start,
                end: packed_start,
                base: 0,
            };
            let content = self.starts_with(0, *b"PK\x03\x04")?;
            return Ok((!content).then_some(empty));
        }
        let stated_end = start.checked_add(len).filter(|&e| e <= limit);
        if let Some(end) = stated_end
            && self.starts_with(start, *b"PK\x01\x02")?
        {
            return Ok(Some(Directory {
                start,
                end,
                base: 0,
            }));
        }
        // Something stands before the archive: the directory ends where the end record begins.
        let Some(base) = packed_start.checked_sub(start) else {
            return Ok(None);
        };
        let found = self.starts_with(packed_start, *b"PK\x01\x02")?;
        Ok(found.then_some(Directory {
            start: packed_start,
            end: limit,
            base,
        }))
    }

    /// Position, directory length and directory start of the zip64 end record, if the locator names one.
    fn zip64_end(&mut self, end_at: u64) -> Result<Option<(u64, u64, u64)>> {
        let Some(locator_at) = end_at.checked_sub(LOCATOR_BYTES) else {
            return Ok(None);
        };
        let Some(locator) = self.array::<20>(locator_at)? else {
            return Ok(None);
        };
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let stated = u64_at(&locator, 8);
        for at in [Some(stated), locator_at.checked_sub(ZIP64_END_BYTES)] {
            let Some(at) = at.filter(|&a| {
                a.checked_add(ZIP64_END_BYTES)
                    .is_some_and(|end| end <= locator_at)
            }) else {
                continue;
            };
            if let Some(record) = self.array::<56>(at)?
                && record.starts_with(b"PK\x06\x06")
            {
                return Ok(Some((at, u64_at(&record, 40), u64_at(&record, 48))));
            }
        }
        Ok(None)
    }

    /// The central record at `pos`: name, entry, position of the next. `None` when it is not one or does not fit.
    pub(super) fn central(
        &mut self,
        dir: Directory,
        pos: u64,
    ) -> Result<Option<(&[u8], EntryRef, u64)>> {
        let Some(head) = self.array::<46>(pos)? else {
            return Ok(None);
        };
        if !head.starts_with(b"PK\x01\x02") {
            return Ok(None);
        }
        let name_len = u64::from(u16_at(&head, 28));
        let extra_len = u64::from(u16_at(&head, 30));
        let comment_len = u64::from(u16_at(&head, 32));
        let Some(next) = pos
            .checked_add(46 + name_len + extra_len + comment_len)
            .filter(|&n| n <= dir.end)
        else {
            return Ok(None);
        };
        let file_len = self.len;
        let Some(body) = self.get(pos.saturating_add(46), name_len + extra_len)? else {
            return Ok(None);
        };
        let Some((name, extra)) = body.split_at_checked(size(name_len)?) else {
            return Ok(None);
        };
        let mut size = u64::from(u32_at(&head, 24));
        let mut compressed = u64::from(u32_at(&head, 20));
        let mut offset = u64::from(u32_at(&head, 42));
        widen(extra, [&mut size, &mut compressed, &mut offset]);
        let entry = EntryRef {
            method: u16_at(&head, 10),
            crc: u32_at(&head, 16),
            compressed,
            size,
            offset: offset.saturating_add(dir.base),
        };
        let fits = entry
            .offset
            .checked_add(30)
            .and_then(|n| n.checked_add(compressed))
            .is_some_and(|end| end <= file_len);
        Ok(fits.then_some((name, entry, next)))
    }

    /// The local entry at `pos`, for archives without a directory: name, entry, position of the next. `None` at the end of
    /// what can be read.
    pub(super) fn local(&mut self, pos: u64) -> Result<Option<(Vec<u8>, EntryRef, u64)>> {
        let pos = self.skip_descriptor(pos)?;
        let Some(head) = self.array::<30>(pos)? else {
            return Ok(None);
        };
        if !head.starts_with(b"PK\x03\x04") {
            return Ok(None);
        }
        let name_len = u64::from(u16_at(&head, 26));
        let extra_len = u64::from(u16_at(&head, 28));
        let Some(body) = self.get(pos.saturating_add(30), name_len + extra_len)? else {
            return Ok(None);
        };
        let Some((name, extra)) = body.split_at_checked(size(name_len)?) else {
            return Ok(None);
        };
        let name = name.to_vec();
        let mut size = u64::from(u32_at(&head, 22));
        let mut compressed = u64::from(u32_at(&head, 18));
        widen(extra, [&mut size, &mut compressed, &mut 0]);
        let mut crc = u32_at(&head, 14);
        let data = pos.saturating_add(30 + name_len + extra_len);
        let later = u16_at(&head, 6) & 8 != 0 && compressed == 0;
        let next = if later {
            let Some(found) = self.descriptor(data)? else {
                return Ok(None);
            };
            let next;
            (crc, compressed, size, next) = found;
            next
        } else {
            let Some(end) = data.checked_add(compressed).filter(|&e| e <= self.len) else {
                return Ok(None);
            };
            end
        };
        let entry = EntryRef {
            method: u16_at(&head, 8),
            crc,
            compressed,
            size,
            offset: pos,
        };
        Ok(Some((name, entry, next)))
    }

    /// Searches the descriptor of data that starts at `data`: CRC, compressed and plain size, end.
    fn descriptor(&mut self, data: u64) -> Result<Option<(u32, u64, u64, u64)>> {
        let mut pos = data;
        loop {
            let most = WINDOW_BYTES.min(self.len.saturating_sub(pos));
            let Some(left) = self.search_left.checked_sub(most) else {
                return Ok(None);
            };
            self.search_left = left;
            let Some(chunk) = self.get(pos, most)?.filter(|c| c.len() >= 16) else {
                return Ok(None);
            };
            let hit = chunk.windows(4).position(|w| w == b"PK\x07\x08");
            let Some(hit) = hit else {
                pos = pos.saturating_add(most.saturating_sub(3));
                continue;
            };
            pos = pos.saturating_add(hit as u64);
            let compressed = pos.saturating_sub(data);
            let end = pos.saturating_add(24);
            if let Some(d) = self.array::<24>(pos)?
                && u64_at(&d, 8) == compressed
                && (end == self.len || self.array::<2>(end)? == Some(*b"PK"))
            {
                return Ok(Some((u32_at(&d, 4), compressed, u64_at(&d, 16), end)));
            }
            if let Some(d) = self.array::<16>(pos)?
                && u64::from(u32_at(&d, 8)) == compressed
            {
                let end = pos.saturating_add(16);
                return Ok(Some((
                    u32_at(&d, 4),
                    compressed,
                    u32_at(&d, 12).into(),
                    end,
                )));
            }
            pos = pos.saturating_add(1);
        }
    }

    /// Steps over a descriptor whose values the local header held already.
    fn skip_descriptor(&mut self, pos: u64) -> Result<u64> {
        if !self.starts_with(pos, *b"PK\x07\x08")? {
            return Ok(pos);
        }
        for step in [16, 24] {
            let next = pos.saturating_add(step);
            if self.array::<2>(next)? == Some(*b"PK") {
                return Ok(next);
            }
        }
        Ok(pos)
    }
}

/// Replaces marked values by those of the zip64 extra field, in its order.
pub(super) fn widen(extra: &[u8], values: [&mut u64; 3]) {
    let mut fields = Cursor::new(extra);
    while let (Some(id), Some(len)) = (fields.u16_le(), fields.u16_le()) {
        let Some(body) = fields.take(len.into()) else {
            return;
        };
        if id == 1 {
            let mut wide = Cursor::new(body);
            for value in values {
                if *value == MARK
                    && let Some(v) = wide.u64_le()
                {
                    *value = v;
                }
            }
            return;
        }
    }
}

pub(super) fn u16_at(record: &[u8], at: usize) -> u16 {
    field(record, at).map_or(0, u16::from_le_bytes)
}

pub(super) fn u32_at(record: &[u8], at: usize) -> u32 {
    field(record, at).map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(record: &[u8], at: usize) -> u64 {
    field(record, at).map_or(0, u64::from_le_bytes)
}

/// `None` cannot happen: callers hold a record of fixed length.
fn field<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..)?.first_chunk().copied()
}

fn size(n: u64) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::bug("a zip record fits in memory"))
}
