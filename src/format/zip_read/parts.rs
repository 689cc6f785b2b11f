//! Parts of archives whose places are known by other means than a directory.

use super::{EntryReader, EntryRef, Layout, State, ZipReader};
use crate::base::error::{Error, Result};
use crate::format::crc32::Crc32;
use crate::format::deflate::Inflater;
use crate::format::zip_raw::{u16_at, u32_at};

impl Layout {
    /// Of an archive of this length whose entries are known by other means.
    pub(crate) fn unknown(len: u64) -> Layout {
        Layout {
            len,
            directory: None,
            scan: false,
        }
    }

    /// Where the directory begins, if it is whole.
    pub(crate) fn directory_at(&self) -> Option<u64> {
        self.directory.map(|d| d.start)
    }
}

impl ZipReader<'_> {
    /// The entries whose local headers lie one behind the other from `at` to `end`. Reads nothing else but these headers. `Damaged`
    /// where something else lies there, or an entry reaches beyond.
    pub(crate) fn entries_in(
        &self,
        (mut at, end): (u64, u64),
        each: &mut dyn FnMut(&[u8], EntryRef) -> Result<()>,
    ) -> Result<()> {
        let damaged = || Error::damaged("other entries are there than was said");
        while at < end {
            let mut head = [0; 30];
            if end.saturating_sub(at) < head.len() as u64 {
                return Err(damaged());
            }
            self.source.read_at(&mut head, at)?;
            let name_len = u64::from(u16_at(&head, 26));
            let start = 30 + name_len + u64::from(u16_at(&head, 28));
            let compressed = u64::from(u32_at(&head, 18));
            let next = at.saturating_add(start).saturating_add(compressed);
            if !head.starts_with(b"PK\x03\x04") || next > end {
                return Err(damaged());
            }
            let mut name = vec![0; usize::from(u16_at(&head, 26))];
            self.source.read_at(&mut name, at.saturating_add(30))?;
            let entry = EntryRef {
                method: u16_at(&head, 8),
                crc: u32_at(&head, 14),
                compressed,
                size: u64::from(u32_at(&head, 22)),
                offset: at,
            };
            each(&name, entry)?;
            at = next;
        }
        Ok(())
    }

    /// A part of a deflated entry that can be inflated by itself: `packed` bytes from `at` on, which are `size` plain ones of this
    /// checksum.
    pub(crate) fn part<'a>(
        &'a self,
        (at, packed): (u64, u64),
        size: u64,
        crc: u32,
        inflater: &'a mut Inflater,
    ) -> EntryReader<'a> {
        inflater.reset();
        EntryReader {
            source: self.source,
            inflater,
            entry: EntryRef {
                method: 8,
                crc,
                compressed: packed,
                size,
                offset: at,
            },
            pos: at,
            compressed_left: packed,
            left: size,
            crc: Crc32::new(),
            state: State::Open,
            is_part: true,
        }
    }
}
