//! The locator: three entries of duplet's own dlists that tell where the blocks of each entry lie, so that one file of a large
//! backup takes a few small reads. Duplicati looks at no entry of these names.
//!
//! `filelist.json` is cut into segments: at the end of each the deflate stream is flushed to a byte boundary and forgets its
//! window, so that a segment can be inflated by itself. The entries, all numbers varint (7 bits an octet, low ones first) unless told:
//!
//! - `duplet/segments` ([`Segments`]): version octet; CRC-32 (4 octets, little-endian), size and packed size of the
//!   `filelist.json` it was made with; numbers of segments and of entries; for each segment its first path (how many octets it shares
//!   with the one before, how many follow, these), packed and plain length and CRC-32 of its text, packed and plain length
//!   and CRC-32 of its piece of `duplet/places`, and its number of entries.
//! - `duplet/places` ([`Piece`]): for each segment, packed by itself: the volumes it names, the folders its first path lies
//!   in, with their places, and the places of each entry.
//! - `duplet/volumes` ([`VolumeRow`]): version octet; by number 25 octets each, so that one can be read alone: the 16 random octets of the
//!   name, 1 where the name ends in `.aes`, the size in 8 octets, little-endian.
//!
//! A place is a hint: what lies there counts only by its hash. Where its length is 0, only the volume is known. Whoever rewrites
//! `filelist.json` leaves these entries out or makes them anew; that they are not of this list is seen by its CRC-32 and sizes.
//!
//! Order, lowest first: this file, `read`, `write`.

mod read;
mod write;

pub(crate) use read::{Piece, Segment, Segments, volume_row};
pub(crate) use write::{FindVolume, SEGMENT_BYTES, Writer};

use crate::base::bytes::Cursor;
use crate::format::filelist::Entry;

pub(crate) const SEGMENTS: &[u8] = b"duplet/segments";
pub(crate) const PLACES: &[u8] = b"duplet/places";
pub(crate) const VOLUMES: &[u8] = b"duplet/volumes";
/// What all entries of the locator begin with.
pub(crate) const FOLDER: &[u8] = b"duplet/";

const VERSION: u8 = 1;
/// Length of a row of `duplet/volumes`.
pub(crate) const ROW_BYTES: u64 = 25;
/// Extents of one content; where it would take more, its place is not told.
pub(crate) const EXTENTS_AT_MOST: usize = 4096;

/// Volumes that the places of one segment name; of further ones no place is told.
pub(crate) const VOLUMES_AT_MOST: usize = 1 << 14;
/// Folders around an entry, in bytes of their paths and more; in deeper ones there is no locator.
const ABOVE_AT_MOST: usize = 1 << 20;

/// The random part of a dblock's name, and whether it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeId {
    pub(crate) guid: [u8; 16],
    /// It ends in `.aes`; else in `.zip`.
    pub(crate) sealed: bool,
}

/// A volume and its size in bytes, as a locator states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeRow {
    pub(crate) id: VolumeId,
    pub(crate) size: u64,
}

/// Blocks that lie one behind the other in a dblock, or somewhere in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) volume: VolumeId,
    /// Where the local header of the first begins in the archive, decrypted.
    pub(crate) at: u64,
    /// Bytes, local headers included; 0 where only the volume is known, whose directory tells the rest.
    pub(crate) len: u64,
    pub(crate) blocks: u64,
}

impl Extent {
    /// A block that is somewhere in the volume.
    pub(crate) fn inside(volume: VolumeId) -> Extent {
        Extent {
            volume,
            at: 0,
            len: 0,
            blocks: 1,
        }
    }
}

/// Where the blocks of an entry are; empty lists where that is not known. A content in several blocks has them in the order in which they
/// are stored: those that the first blocklist names, that blocklist, those of the second, and so on; a blocklist has an extent of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents {
    pub(crate) data: Vec<Extent>,
    pub(crate) meta: Vec<Extent>,
}

impl Extents {
    /// Appends them for a spilled record.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut last = None;
        for list in [&self.data, &self.meta] {
            put(out, list.len() as u64);
            for e in list {
                match last == Some(e.volume) {
                    true => out.push(2),
                    false => {
                        out.push(u8::from(e.volume.sealed));
                        out.extend_from_slice(&e.volume.guid);
                    }
                }
                last = Some(e.volume);
                for n in [e.at, e.len, e.blocks] {
                    put(out, n);
                }
            }
        }
    }

    /// The inverse of [`Extents::encode`].
    pub(crate) fn decode(raw: &[u8]) -> Option<Extents> {
        let mut c = Cursor::new(raw);
        let mut last = None;
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..take(&mut c)? {
                let volume = match c.u8()? {
                    2 => last?,
                    sealed => VolumeId {
                        sealed: sealed == 1,
                        guid: c.take(16)?.try_into().ok()?,
                    },
                };
                last = Some(volume);
                list.push(Extent {
                    volume,
                    at: take(&mut c)?,
                    len: take(&mut c)?,
                    blocks: take(&mut c)?,
                });
            }
        }
        let [data, meta] = lists;
        c.rest().is_empty().then_some(Extents { data, meta })
    }
}

/// Adds a block behind those before; `apart`: not to the extent before. `len` 0: somewhere in the volume. False when there are too
/// many extents.
pub(crate) fn extend(
    list: &mut Vec<Extent>,
    volume: VolumeId,
    at: u64,
    len: u64,
    apart: bool,
) -> bool {
    if let Some(last) = list.last_mut()
        && !apart
        && last.volume == volume
        && (last.len == 0) == (len == 0)
        && last.at.checked_add(last.len) == Some(at)
    {
        last.len = last.len.saturating_add(len);
        last.blocks += 1;
        return true;
    }
    let blocks = 1;
    list.push(Extent {
        volume,
        at,
        len,
        blocks,
    });
    list.len() <= EXTENTS_AT_MOST
}

/// About the memory that a folder takes.
fn cost(entry: &Entry) -> usize {
    entry.path.len() + size_of::<(Entry, Extents)>() + 256
}

/// Appends a varint.
fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 128 {
        out.push(u8::try_from(n & 127).unwrap_or(0) | 128);
        n >>= 7;
    }
    out.push(u8::try_from(n).unwrap_or(0));
}

/// Reads a varint.
fn take(c: &mut Cursor<'_>) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let b = c.u8()?;
        let bits = u64::from(b & 127);
        n |= bits.checked_shl(shift).filter(|v| v >> shift == bits)?;
        if b < 128 {
            return Some(n);
        }
    }
    None
}

/// A difference as a number without sign: small ones of either sign are small.
fn folded(from: u64, to: u64) -> u64 {
    let by = to.wrapping_sub(from).cast_signed();
    ((by << 1) ^ (by >> 63)).cast_unsigned()
}

fn unfolded(from: u64, by: u64) -> u64 {
    from.wrapping_add((by >> 1) ^ (by & 1).wrapping_neg())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing step fails the test"
)]
mod tests;
