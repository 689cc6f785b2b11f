//! The locator of a dlist, wherever the archive is: whole on disk, or in parts at the destination.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};

use crate::base::error::Result;
use crate::base::read_at::ReadAt;
use crate::format::deflate::Inflater;
use crate::format::locator::{
    Extents, PLACES, Piece, ROW_BYTES, SEGMENTS, Segment, Segments, VOLUMES, VolumeRow, volume_row,
};
use crate::format::zip_read::{EntryReader, EntryRef, ZipReader};
use crate::set::rest::ANNOUNCED_AT_MOST;

/// Entries of a dlist: an archive with more is not looked through.
const ENTRIES_AT_MOST: usize = 64;

/// Where the entries of a locator, and the list, have their content: its first byte in the archive, and what the directory says.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub(super) list: (u64, EntryRef),
    pub(super) places: (u64, EntryRef),
    pub(super) volumes: (u64, EntryRef),
    pub(super) segments: (u64, EntryRef),
}

impl Parts {
    /// `None` where an archive has no locator. Reads nothing but the directory: content begins where the next entry is less its
    /// own length.
    pub(super) fn find(zip: &ZipReader<'_>) -> Result<Option<Parts>> {
        let Some(end) = zip.layout().directory_at() else {
            return Ok(None);
        };
        let mut all: Vec<(Vec<u8>, EntryRef)> = Vec::new();
        let mut many = false;
        zip.entries(&mut |name, entry| {
            many |= all.len() == ENTRIES_AT_MOST;
            if !many {
                all.push((name.to_vec(), entry));
            }
            Ok(())
        })?;
        all.sort_by_key(|(_, entry)| entry.offset);
        let find = |wanted: &[u8], method: u16| {
            let at = all.iter().position(|(name, _)| name == wanted)?;
            let (name, entry) = all.get(at)?;
            let next = all.get(at + 1).map_or(end, |(_, next)| next.offset);
            let start = next.checked_sub(entry.compressed)?;
            let header = start.checked_sub(entry.offset)?;
            // A local header with or without the sizes of a large entry.
            let short = 30 + name.len() as u64;
            let fits = entry.method == method && [short, short + 20].contains(&header);
            fits.then_some((start, *entry))
        };
        let found = || {
            Some(Parts {
                list: find(b"filelist.json", 8)?,
                places: find(PLACES, 8)?,
                volumes: find(VOLUMES, 0)?,
                segments: find(SEGMENTS, 8)?,
            })
        };
        Ok(found().filter(|_| !many))
    }

    /// The segments, if they are those of this list.
    pub(super) fn segments<'a>(
        &self,
        zip: &'a ZipReader<'_>,
        inflater: &'a mut Inflater,
    ) -> Option<Segments<BufReader<EntryReader<'a>>>> {
        let (at, entry) = self.segments;
        let reader = zip.part((at, entry.compressed), entry.size, entry.crc, inflater);
        let reader = BufReader::with_capacity(8 << 10, reader);
        Segments::open(reader).filter(|s| s.header.is_of(&self.list.1))
    }

    /// The places of a segment, packed: where they are in the archive.
    pub(super) fn places_of(&self, segment: &Segment) -> (u64, u64) {
        let at = self.places.0.saturating_add(segment.places_at);
        (at, segment.places_packed)
    }

    /// The places of a segment as [`Piece::open`] takes them.
    pub(super) fn places(
        &self,
        zip: &ZipReader<'_>,
        segment: &Segment,
        inflater: &mut Inflater,
    ) -> Option<Vec<u8>> {
        let (at, packed) = self.places_of(segment);
        let mut raw = Vec::new();
        zip.part(
            (at, packed),
            segment.places_plain,
            segment.places_crc,
            inflater,
        )
        .read_to_end(&mut raw)
        .ok()?;
        (raw.len() as u64 == segment.places_plain).then_some(raw)
    }

    /// Where a row of the volumes is in the archive.
    pub(super) fn row_at(&self, number: u64) -> Option<u64> {
        let (at, entry) = self.volumes;
        let from = number.checked_mul(ROW_BYTES)?.checked_add(1)?;
        let inside = from.checked_add(ROW_BYTES)? <= entry.size;
        inside.then_some(at.checked_add(from)?)
    }

    pub(super) fn row(&self, archive: &dyn ReadAt, number: u64) -> Option<VolumeRow> {
        let mut raw = [0; 25];
        archive.read_at(&mut raw, self.row_at(number)?).ok()?;
        volume_row(&raw)
    }
}

/// The places of a list, read beside it from its first entry to its last.
pub(crate) struct Beside<'a> {
    zip: &'a ZipReader<'a>,
    parts: Parts,
    segments: Segments<BufReader<EntryReader<'a>>>,
    inflater: &'a mut Inflater,
    piece: Option<Piece>,
    /// Entries of the segment that come yet.
    left: u64,
    /// The locator does not fit the list: from here on nothing is known.
    off: bool,
    /// The volumes that were named: 40 bytes each.
    pub(super) volumes: BTreeSet<VolumeRow>,
}

impl<'a> Beside<'a> {
    /// `None` for an archive without a locator. Memory: two inflaters and what one segment says.
    pub(crate) fn open(
        zip: &'a ZipReader<'a>,
        [first, second]: &'a mut [Inflater; 2],
    ) -> Result<Option<Beside<'a>>> {
        let Some(parts) = Parts::find(zip)? else {
            return Ok(None);
        };
        let segments = parts.segments(zip, first);
        Ok(segments.map(|segments| Beside {
            zip,
            parts,
            segments,
            inflater: second,
            piece: None,
            left: 0,
            off: false,
            volumes: BTreeSet::new(),
        }))
    }

    /// The places of the next entry, which has this path.
    pub(crate) fn next(&mut self, path: &[u8]) -> Extents {
        if self.off {
            return Extents::default();
        }
        let found = self.read(path);
        self.off = found.is_none();
        found.unwrap_or_default()
    }

    fn read(&mut self, path: &[u8]) -> Option<Extents> {
        while self.left == 0 {
            let segment = self.segments.next()??;
            self.left = segment.entries;
            if self.left > 0 && self.segments.path != path {
                return None;
            }
            let raw = self.parts.places(self.zip, &segment, self.inflater)?;
            let (parts, archive) = (self.parts, self.zip.source());
            let piece = Piece::open(raw, &mut |number| parts.row(archive, number))?;
            if self.volumes.len() < ANNOUNCED_AT_MOST {
                self.volumes.extend(piece.volumes.iter().copied());
            }
            self.piece = Some(piece);
        }
        self.left -= 1;
        self.piece.as_mut()?.next()
    }
}
