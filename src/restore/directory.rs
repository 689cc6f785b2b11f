//! The directory of one dblock volume, sorted by block on disk, to be asked in key order.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::format::index::parse_block_name;
use crate::format::zip_read::EntryRef;
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
    pub(super) stream: Stream,
    pub(super) head: Option<Vec<u8>>,
}

impl Directory {
    /// The entry of a key; keys must be asked in order.
    pub(super) fn find(&mut self, key: &BlockKey) -> Result<Option<(Hash, EntryRef)>> {
        loop {
            if self.head.is_none() {
                self.head = self.stream.next()?.map(<[u8]>::to_vec);
            }
            let Some(head) = &self.head else {
                return Ok(None);
            };
            let split = head.len().saturating_sub(40);
            let (id, rest) = head.split_at(split);
            let mine = Hash::from_bytes(id).map(|h| BlockKey::new(&h, key.size()));
            match (mine, mine.map(|m| m.cmp(key))) {
                (Some(_), Some(std::cmp::Ordering::Equal)) => {
                    let mut c = crate::base::bytes::Cursor::new(rest);
                    let mut n = || {
                        c.u64_be()
                            .ok_or_else(|| Error::bug("a directory record reads back"))
                    };
                    let (method, crc) = (n()?, n()?);
                    let entry = EntryRef {
                        method: u16::try_from(method).unwrap_or(u16::MAX),
                        crc: u32::try_from(crc).unwrap_or(0),
                        compressed: n()?,
                        size: n()?,
                        offset: n()?,
                    };
                    return Ok(Hash::from_bytes(id).map(|h| (h, entry)));
                }
                (_, Some(std::cmp::Ordering::Greater)) => return Ok(None),
                _ => self.head = None,
            }
        }
    }
}
