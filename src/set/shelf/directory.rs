//! The directory of one dblock, sorted by block on disk, to be asked for any block.

use crate::base::bytes::Cursor;
use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::index::parse_block_name;
use crate::format::zip_read::{EntryRef, SAME_AT_MOST, ZipReader};
use crate::set::block_index::ID_LEN;
use crate::spill::sorter::Sorter;
use crate::spill::table::Table;
use crate::spill::table::TableBuilder;

/// Records sorted in memory; more pass through a temporary file.
const SORT_CAP: usize = 1 << 20;
/// Bytes of the filter that answers for most blocks that are not there.
const FILTER_AT_MOST: u64 = 1 << 20;
/// Method, checksum, packed size, size, position.
const ENTRY_LEN: usize = 2 + 4 + 8 + 8 + 8;

/// Where the blocks of a dblock are. Memory: 1 MiB while it is made, then one byte a block, at most 1 MiB, and 64 KiB.
pub(super) struct Directory {
    table: Table,
    id_len: usize,
    /// The entries of the id asked for last.
    asked: Option<[u8; ID_LEN]>,
    same: Vec<(Hash, EntryRef)>,
}

impl Directory {
    /// Cost: one walk of the archive's own directory. `id_len`: bytes of the hash that names blocks.
    pub(super) fn read(zip: ZipReader<'_>, id_len: usize, tmp: &Tmp) -> Result<Directory> {
        Directory::collect(id_len, tmp, &mut |each| each_block(zip, id_len, each))
    }

    /// The entries whose local headers lie in these spans of the archive: where each begins, and its length. Errors as from
    /// [`ZipReader::entries_in`].
    pub(super) fn of_spans(
        zip: ZipReader<'_>,
        spans: &[(u64, u64)],
        id_len: usize,
        tmp: &Tmp,
    ) -> Result<Directory> {
        Directory::collect(id_len, tmp, &mut |each| {
            for &(at, len) in spans {
                let span = (at, at.saturating_add(len));
                zip.entries_in(span, &mut |name, entry| {
                    block(name, entry, id_len).map_or(Ok(()), |(id, key)| each(&id, &key, entry))
                })?;
            }
            Ok(())
        })
    }

    fn collect(id_len: usize, tmp: &Tmp, from: &mut FromEach<'_>) -> Result<Directory> {
        let mut sorter = Sorter::new(tmp, SORT_CAP);
        let mut record = Vec::with_capacity(record_len(id_len));
        from(&mut |id, key, entry| {
            encode(&mut record, id, key, entry);
            sorter.add(&record)
        })?;
        let mut stream = sorter.finish()?;
        let filter = stream.len().min(FILTER_AT_MOST);
        let mut builder = TableBuilder::new(tmp, record_len(id_len), ID_LEN, filter)?;
        while let Some(record) = stream.next()? {
            builder.push(record)?;
        }
        Ok(Directory {
            table: builder.finish()?,
            id_len,
            asked: None,
            same: Vec::new(),
        })
    }

    /// The entries of an id, at most four: of a damaged volume any may be the intact one. Cost: about two reads of 4 KiB.
    pub(super) fn find(&mut self, key: &BlockKey) -> Result<&[(Hash, EntryRef)]> {
        let id: [u8; ID_LEN] = key.id();
        if self.asked != Some(id) {
            self.asked = Some(id);
            self.same.clear();
            let (same, id_len) = (&mut self.same, self.id_len);
            self.table.lookup_all(&id, &mut |record| {
                if same.len() < SAME_AT_MOST {
                    same.push(decode(record, id_len)?);
                }
                Ok(())
            })?;
        }
        Ok(&self.same)
    }
}

/// Receives a block, its id whole and as a key, and its entry.
type EachBlock<'a> = dyn FnMut(&Hash, &BlockKey, EntryRef) -> Result<()> + 'a;
/// Gives blocks to whom it is called with.
type FromEach<'a> = dyn FnMut(&mut EachBlock<'_>) -> Result<()> + 'a;

/// The id of an entry that is named as a block and has a block's size.
fn block(name: &[u8], entry: EntryRef, id_len: usize) -> Option<(Hash, BlockKey)> {
    let id = parse_block_name(name).filter(|id| id.as_bytes().len() == id_len)?;
    let size = u32::try_from(entry.size).ok().filter(|&size| size > 0)?;
    Some((id, BlockKey::new(&id, size)))
}

/// Every entry that is named as a block and has a block's size, in the order of the archive.
pub(super) fn each_block(
    zip: ZipReader<'_>,
    id_len: usize,
    each: &mut EachBlock<'_>,
) -> Result<()> {
    zip.entries(&mut |name, entry| {
        block(name, entry, id_len).map_or(Ok(()), |(id, key)| each(&id, &key, entry))
    })
}

/// The id as keys have it, then what keys leave out of a longer one, then the entry.
fn record_len(id_len: usize) -> usize {
    id_len.max(ID_LEN) + ENTRY_LEN
}

fn encode(out: &mut Vec<u8>, id: &Hash, key: &BlockKey, entry: EntryRef) {
    out.clear();
    out.extend_from_slice(&key.id());
    out.extend_from_slice(id.as_bytes().get(ID_LEN..).unwrap_or_default());
    out.extend_from_slice(&entry.method.to_be_bytes());
    out.extend_from_slice(&entry.crc.to_be_bytes());
    for n in [entry.compressed, entry.size, entry.offset] {
        out.extend_from_slice(&n.to_be_bytes());
    }
}

fn decode(record: &[u8], id_len: usize) -> Result<(Hash, EntryRef)> {
    let (id, rest) = record.split_at(record.len().saturating_sub(ENTRY_LEN));
    let parsed = || {
        let mut c = Cursor::new(rest);
        Some((
            Hash::from_bytes(id.get(..id_len)?)?,
            EntryRef {
                method: c.u16_be()?,
                crc: c.u32_be()?,
                compressed: c.u64_be()?,
                size: c.u64_be()?,
                offset: c.u64_be()?,
            },
        ))
    };
    parsed().ok_or_else(|| Error::bug("a directory record reads back"))
}
