//! The directory of one dblock volume, sorted by block on disk, to be asked in key order.

use std::cmp::Ordering;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::format::index::parse_block_name;
use crate::format::zip_read::{EntryRef, SAME_AT_MOST};
use crate::set::{Opened, Set};
use crate::spill::sorter::{Sorter, Stream};

/// Blocks up to this size are held in memory; larger ones pass through a temporary file.
const DIRECTORY_CAP: usize = 2 << 20;

/// The block entries of a volume sorted by id: digest length, id (64 bytes, padded), entry.
pub(super) fn directory(
    zip: &crate::format::zip_read::ZipReader<'_>,
    set: &Set,
    opened: &Opened,
) -> Result<Stream> {
    let mut sorter = Sorter::new(set.tmp(), DIRECTORY_CAP);
    let len = opened.params.block_hash.len();
    zip.entries(&mut |name, entry| {
        let Some(id) = parse_block_name(name).filter(|h| h.as_bytes().len() == len) else {
            return Ok(());
        };
        let mut record = id.as_bytes().to_vec();
        for n in [
            u64::from(entry.method),
            u64::from(entry.crc),
            entry.compressed,
            entry.size,
            entry.offset,
        ] {
            record.extend_from_slice(&n.to_be_bytes());
        }
        sorter.add(&record)
    })?;
    sorter.finish()
}

pub(super) struct Directory {
    stream: Stream,
    head: Option<Vec<u8>>,
    /// The entries of the id asked for last.
    same: Vec<(Hash, EntryRef)>,
}

impl Directory {
    pub(super) fn new(stream: Stream) -> Directory {
        Directory {
            stream,
            head: None,
            same: Vec::new(),
        }
    }

    /// The entries of a key's id, at most four: of a damaged volume any may be the intact one. Keys must be asked in order.
    pub(super) fn find(&mut self, key: &BlockKey) -> Result<&[(Hash, EntryRef)]> {
        let is_same = |h: &Hash| BlockKey::new(h, key.size()) == *key;
        if self.same.first().is_some_and(|(h, _)| is_same(h)) {
            return Ok(&self.same);
        }
        self.same.clear();
        loop {
            if self.head.is_none() {
                self.head = self.stream.next()?.map(<[u8]>::to_vec);
            }
            let Some(head) = &self.head else {
                return Ok(&self.same);
            };
            let (id, entry) = decode(head)?;
            match BlockKey::new(&id, key.size()).cmp(key) {
                Ordering::Greater => return Ok(&self.same),
                Ordering::Equal if self.same.len() < SAME_AT_MOST => self.same.push((id, entry)),
                _ => {}
            }
            self.head = None;
        }
    }
}

fn decode(record: &[u8]) -> Result<(Hash, EntryRef)> {
    let (id, rest) = record.split_at(record.len().saturating_sub(40));
    let parsed = || {
        let mut c = crate::base::bytes::Cursor::new(rest);
        let mut n = || c.u64_be();
        Some((
            Hash::from_bytes(id)?,
            EntryRef {
                method: u16::try_from(n()?).ok()?,
                crc: u32::try_from(n()?).ok()?,
                compressed: n()?,
                size: n()?,
                offset: n()?,
            },
        ))
    };
    parsed().ok_or_else(|| Error::bug("a directory record reads back"))
}
