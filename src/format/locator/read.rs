//! A locator read back. Whatever does not fit is `None`: then the list is read without it.

use std::io::Read;

use crate::base::bytes::Cursor;
use crate::base::error::Error;
use crate::format::filelist::{Entry, read_list};
use crate::format::locator::{
    ABOVE_AT_MOST, EXTENTS_AT_MOST, Extent, Extents, ROW_BYTES, VERSION, VOLUMES_AT_MOST, VolumeId,
    VolumeRow, cost, take, unfolded,
};
use crate::format::zip_raw::EntryRef;

/// A path of a list is not longer, bytes.
const PATH_AT_MOST: u64 = 1 << 16;
/// A piece of places is not longer, plain.
pub(crate) const PIECE_AT_MOST: u64 = 8 << 20;

/// What `duplet/segments` says of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    crc: u32,
    size: u64,
    packed: u64,
    pub(crate) segments: u64,
    pub(crate) entries: u64,
}

impl Header {
    /// True when it was made with this list and no other.
    pub(crate) fn is_of(&self, list: &EntryRef) -> bool {
        (self.crc, self.size, self.packed) == (list.crc, list.size, list.compressed)
    }
}

/// One segment of a list: positions are those in the packed content of the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) at: u64,
    pub(crate) packed: u64,
    pub(crate) plain: u64,
    pub(crate) crc: u32,
    pub(crate) places_at: u64,
    pub(crate) places_packed: u64,
    pub(crate) places_plain: u64,
    pub(crate) places_crc: u32,
    pub(crate) entries: u64,
}

/// The segments of a list, one after the other. Memory: two paths.
pub(crate) struct Segments<R: Read> {
    from: R,
    pub(crate) header: Header,
    left: u64,
    last: Segment,
    /// First path of the segment read last.
    pub(crate) path: Vec<u8>,
}

impl<R: Read> Segments<R> {
    /// `None` for another version than this program knows, and for what is no such entry.
    pub(crate) fn open(mut from: R) -> Option<Segments<R>> {
        let mut version = [0];
        from.read_exact(&mut version).ok()?;
        if version != [VERSION] {
            return None;
        }
        let header = Header {
            crc: word(&mut from)?,
            size: number(&mut from)?,
            packed: number(&mut from)?,
            segments: number(&mut from)?,
            entries: number(&mut from)?,
        };
        Some(Segments {
            from,
            header,
            left: header.segments,
            last: Segment::default(),
            path: Vec::new(),
        })
    }

    /// The next segment; the outer `None` where the entry is no good, the inner one at its end.
    pub(crate) fn next(&mut self) -> Option<Option<Segment>> {
        if self.left == 0 {
            return Some(None);
        }
        self.left -= 1;
        let from = &mut self.from;
        let shared = usize::try_from(number(from)?).ok()?;
        let more = number(from)?;
        if shared > self.path.len() || more > PATH_AT_MOST {
            return None;
        }
        self.path.truncate(shared);
        let read = from.take(more).read_to_end(&mut self.path).ok()?;
        if read as u64 != more {
            return None;
        }
        let last = self.last;
        let next = Segment {
            at: last.at.checked_add(last.packed)?,
            packed: number(from)?,
            plain: number(from)?,
            crc: word(from)?,
            places_at: last.places_at.checked_add(last.places_packed)?,
            places_packed: number(from)?,
            places_plain: number(from)?,
            places_crc: word(from)?,
            entries: number(from)?,
        };
        let fits = next.at.checked_add(next.packed)? <= self.header.packed
            && next.plain <= self.header.size
            && next.places_plain <= PIECE_AT_MOST;
        self.last = next;
        fits.then_some(Some(next))
    }
}

fn word(from: &mut impl Read) -> Option<u32> {
    let mut raw = [0; 4];
    from.read_exact(&mut raw).ok()?;
    Some(u32::from_le_bytes(raw))
}

fn number(from: &mut impl Read) -> Option<u64> {
    let mut raw = [0; 10];
    for i in 0..raw.len() {
        from.read_exact(raw.get_mut(i..=i)?).ok()?;
        if *raw.get(i)? < 128 {
            return take(&mut Cursor::new(raw.get(..=i)?));
        }
    }
    None
}

/// A row of `duplet/volumes`.
pub(crate) fn volume_row(raw: &[u8]) -> Option<VolumeRow> {
    let (guid, rest) = raw.split_first_chunk::<16>()?;
    let (sealed, size) = rest.split_first()?;
    Some(VolumeRow {
        id: VolumeId {
            guid: *guid,
            sealed: *sealed == 1,
        },
        size: u64::from_le_bytes(size.try_into().ok()?),
    })
}

/// The places of one segment.
pub(crate) struct Piece {
    raw: Vec<u8>,
    /// Bytes of it that were read.
    read: usize,
    pub(crate) volumes: Vec<VolumeRow>,
    /// The folders that the first path of the segment lies in, outermost first.
    pub(crate) above: Vec<(Entry, Extents)>,
    ends: Vec<u64>,
}

impl Piece {
    /// The numbers of the volumes that a piece does not name itself.
    pub(crate) fn numbers(raw: &[u8]) -> Option<Vec<u64>> {
        let mut from = Cursor::new(raw);
        let head = take(&mut from)?;
        if head & 1 == 1 {
            return Some(Vec::new());
        }
        if head >> 1 > VOLUMES_AT_MOST as u64 {
            return None;
        }
        let mut all = Vec::new();
        for _ in 0..head >> 1 {
            all.push(take(&mut from)?);
        }
        Some(all)
    }

    /// `row` gives a volume by its number, where the piece does not name it.
    pub(crate) fn open(
        raw: Vec<u8>,
        row: &mut dyn FnMut(u64) -> Option<VolumeRow>,
    ) -> Option<Piece> {
        let mut from = Cursor::new(&raw);
        let head = take(&mut from)?;
        let (count, named) = (head >> 1, head & 1 == 1);
        if count > VOLUMES_AT_MOST as u64 {
            return None;
        }
        let mut volumes = Vec::new();
        for _ in 0..count {
            let number = take(&mut from)?;
            volumes.push(match named {
                true => volume_row(from.take(usize::try_from(ROW_BYTES).ok()?)?)?,
                false => row(number)?,
            });
        }
        let len = usize::try_from(take(&mut from)?).ok()?;
        let mut text = from.take(len)?;
        let (mut folders, mut bytes) = (Vec::new(), 0usize);
        read_list(&mut text, &mut |entry| {
            bytes = bytes.saturating_add(cost(&entry));
            if bytes > ABOVE_AT_MOST {
                return Err(Error::damaged("the folders above are too many"));
            }
            folders.push(entry);
            Ok(())
        })
        .ok()?;
        let read = raw.len() - from.rest().len();
        let mut piece = Piece {
            raw,
            read,
            ends: vec![0; volumes.len()],
            volumes,
            above: Vec::new(),
        };
        for entry in folders {
            let extents = piece.next()?;
            piece.above.push((entry, extents));
        }
        Some(piece)
    }

    /// The places of the next entry.
    pub(crate) fn next(&mut self) -> Option<Extents> {
        let raw = std::mem::take(&mut self.raw);
        let mut from = Cursor::new(raw.get(self.read..)?);
        let extents = self.entry(&mut from);
        self.read = raw.len() - from.rest().len();
        self.raw = raw;
        extents
    }

    fn entry(&mut self, from: &mut Cursor<'_>) -> Option<Extents> {
        let counts = from.u8()?;
        let mut lens = [u64::from(counts & 7), u64::from(counts >> 3 & 7)];
        for len in &mut lens {
            if *len == 7 {
                *len = len.checked_add(take(from)?)?;
            }
        }
        let mut lists = [Vec::new(), Vec::new()];
        for (list, len) in lists.iter_mut().zip(lens) {
            if len > EXTENTS_AT_MOST as u64 {
                return None;
            }
            for _ in 0..len {
                list.push(self.one(from)?);
            }
        }
        let [data, meta] = lists;
        Some(Extents { data, meta })
    }

    fn one(&mut self, from: &mut Cursor<'_>) -> Option<Extent> {
        let head = take(from)?;
        let at = usize::try_from(head >> 2).ok()?;
        let volume = self.volumes.get(at)?.id;
        let end = *self.ends.get(at)?;
        let start = match head & 1 {
            1 => end,
            _ => unfolded(end, take(from)?),
        };
        let len = take(from)?;
        let blocks = match head >> 1 & 1 {
            1 => 1,
            _ => take(from)?,
        };
        *self.ends.get_mut(at)? = start.checked_add(len)?;
        Some(Extent {
            volume,
            at: start,
            len,
            blocks,
        })
    }
}
