//! A locator made while `filelist.json` is written.

use std::io::{BufReader, BufWriter, Read, Write};

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::tmp::{Spool, Tmp};
use crate::format::crc32::Crc32;
use crate::format::deflate::{Cut, DeflateStream, Deflater, StreamFacts};
use crate::format::filelist::{Entry, EntryKind, ListWriter};
use crate::format::locator::{
    ABOVE_AT_MOST, Extent, Extents, PLACES, SEGMENTS, VERSION, VOLUMES, VOLUMES_AT_MOST, VolumeId,
    VolumeRow, cost, folded, put,
};
use crate::format::zip_write::{Packed, ZipWriter};

/// Bytes of text after which a segment ends.
pub(crate) const SEGMENT_BYTES: u64 = 256 << 10;
/// A piece names its volumes itself where they are fewer than one in so many entries; else by number only.
const NAMES_ONE_IN: usize = 8;

/// Gives the volume of an id as it is there, with its size; `None` for one that is not.
pub(crate) type FindVolume<'a> = dyn FnMut(&VolumeId) -> Option<VolumeRow> + 'a;

/// Collects segment by segment. Memory: one segment's places, 8 bytes a volume that is named; the rest waits in temporary files.
pub(crate) struct Writer {
    same_algorithms: bool,
    /// The folders around the entry added last, and their places.
    above: Vec<(Entry, Extents)>,
    above_bytes: usize,
    /// Deeper than is told: there will be no locator.
    given_up: bool,
    open: Option<Open>,
    segments: BufWriter<Spool>,
    last_path: Vec<u8>,
    count: u64,
    entries: u64,
    /// Where the list was cut last.
    cut: (u64, u64),
    pieces: BufWriter<Spool>,
    volumes: BufWriter<Spool>,
    /// Numbers given, by id.
    numbers: std::collections::BTreeMap<VolumeId, (u64, VolumeRow)>,
}

/// The segment at hand.
struct Open {
    path: Vec<u8>,
    above: Vec<u8>,
    places: Vec<u8>,
    entries: u64,
    named: Vec<VolumeId>,
    /// By volume of `named`: where the last extent ended.
    ends: Vec<u64>,
    /// The volume used last.
    at: usize,
}

/// The entries of a finished locator.
pub(crate) struct Made {
    segments: Spool,
    places: (Spool, StreamFacts),
    volumes: Spool,
}

impl Writer {
    /// `same_algorithms`: the manifest's `BlockHash` is its `FileHash`.
    pub(crate) fn new(tmp: &Tmp, same_algorithms: bool) -> Result<Writer> {
        let spool = || Ok::<_, Error>(BufWriter::with_capacity(8 << 10, Spool::new(tmp)?));
        let mut volumes = spool()?;
        volumes.write_all(&[VERSION]).map_err(unwrap_io)?;
        Ok(Writer {
            same_algorithms,
            above: Vec::new(),
            above_bytes: 0,
            given_up: false,
            open: None,
            segments: spool()?,
            last_path: Vec::new(),
            count: 0,
            entries: 0,
            cut: (0, 0),
            pieces: spool()?,
            volumes,
            numbers: std::collections::BTreeMap::new(),
        })
    }

    /// The next entry of the list, which comes in the order of paths. What lies in a volume that `find` does not know has no
    /// place.
    pub(crate) fn add(
        &mut self,
        entry: &Entry,
        extents: &Extents,
        find: &mut FindVolume<'_>,
    ) -> Result<()> {
        if self.given_up {
            return Ok(());
        }
        let inside = |folder: &(Entry, Extents)| entry.path.starts_with(&folder.0.path);
        while let Some((gone, _)) = self.above.pop_if(|folder| !inside(folder)) {
            self.above_bytes = self.above_bytes.saturating_sub(cost(&gone));
        }
        let known = Extents {
            data: self.known(&extents.data, find)?,
            meta: self.known(&extents.meta, find)?,
        };
        if self.open.is_none() {
            self.open = Some(self.begin(&entry.path)?);
        }
        if let Some(open) = &mut self.open {
            open.entries += 1;
            self.entries += 1;
            match open.has_room(&known) {
                true => open.put(&known),
                false => open.put(&Extents::default()),
            }
        }
        if entry.kind == EntryKind::Folder {
            self.above_bytes = self.above_bytes.saturating_add(cost(entry));
            self.given_up = self.above_bytes > ABOVE_AT_MOST;
            self.above.push((entry.clone(), known));
        }
        Ok(())
    }

    /// The extents, if all their volumes are there.
    fn known(&mut self, list: &[Extent], find: &mut FindVolume<'_>) -> Result<Vec<Extent>> {
        for extent in list {
            let id = extent.volume;
            if self.numbers.contains_key(&id) {
                continue;
            }
            let Some(row) = find(&id) else {
                return Ok(Vec::new());
            };
            self.numbers.insert(id, (self.numbers.len() as u64, row));
            self.volumes.write_all(&row.encode()).map_err(unwrap_io)?;
        }
        Ok(list.to_vec())
    }

    fn begin(&self, path: &[u8]) -> Result<Open> {
        let mut open = Open {
            path: path.to_vec(),
            above: Vec::new(),
            places: Vec::new(),
            entries: 0,
            named: Vec::new(),
            ends: Vec::new(),
            at: 0,
        };
        let mut list = ListWriter::new(Vec::new(), self.same_algorithms);
        for (entry, _) in &self.above {
            list.add(entry)?;
        }
        open.above = list.finish()?;
        for (_, extents) in &self.above {
            open.put(extents);
        }
        Ok(open)
    }

    /// The list was cut here: the segment ends.
    pub(crate) fn cut(&mut self, cut: Cut) -> Result<()> {
        let Some(open) = self.open.take().filter(|_| !self.given_up) else {
            return Ok(());
        };
        let mut piece = Vec::new();
        let names = open.named.len() * NAMES_ONE_IN <= usize::try_from(open.entries).unwrap_or(0);
        put(
            &mut piece,
            (open.named.len() as u64) << 1 | u64::from(names),
        );
        for id in &open.named {
            let (number, row) = self.numbers.get(id).ok_or_else(unnumbered)?;
            put(&mut piece, *number);
            if names {
                piece.extend_from_slice(&row.encode());
            }
        }
        put(&mut piece, open.above.len() as u64);
        piece.extend_from_slice(&open.above);
        piece.extend_from_slice(&open.places);
        let shared = self.last_path.iter().zip(&open.path);
        let shared = shared.take_while(|(a, b)| a == b).count();
        let mut head = Vec::new();
        put(&mut head, shared as u64);
        put(&mut head, (open.path.len() - shared) as u64);
        head.extend_from_slice(open.path.get(shared..).unwrap_or_default());
        put(&mut head, cut.packed.saturating_sub(self.cut.0));
        put(&mut head, cut.plain.saturating_sub(self.cut.1));
        head.extend_from_slice(&cut.crc.to_le_bytes());
        // What follows is put behind the packed length of the piece.
        let mut tail = Vec::new();
        put(&mut tail, piece.len() as u64);
        tail.extend_from_slice(&Crc32::of(&piece).to_le_bytes());
        put(&mut tail, open.entries);
        for part in [&head, &tail] {
            let len = u32::try_from(part.len()).map_err(|_| Error::bug("a path is short"))?;
            let out = &mut self.segments;
            out.write_all(&len.to_le_bytes()).map_err(unwrap_io)?;
            out.write_all(part).map_err(unwrap_io)?;
        }
        let len = u32::try_from(piece.len()).map_err(|_| Error::bug("a piece is short"))?;
        let out = &mut self.pieces;
        out.write_all(&len.to_le_bytes()).map_err(unwrap_io)?;
        out.write_all(&piece).map_err(unwrap_io)?;
        self.last_path = open.path;
        self.count += 1;
        self.cut = (cut.packed, cut.plain);
        Ok(())
    }

    /// After the last cut: the entries, for the list that `facts` are of. `None` for an empty list, and where it is too deep.
    pub(crate) fn finish(
        self,
        facts: &StreamFacts,
        deflater: &mut Deflater,
        tmp: &Tmp,
    ) -> Result<Option<Made>> {
        if self.given_up || self.count == 0 {
            return Ok(None);
        }
        let mut heads = again(self.segments)?;
        let mut pieces = again(self.pieces)?;
        let mut packed = DeflateStream::new(Spool::new(tmp)?, deflater);
        let mut out = BufWriter::with_capacity(8 << 10, Spool::new(tmp)?);
        let mut start = vec![VERSION];
        start.extend_from_slice(&facts.crc.to_le_bytes());
        for n in [facts.size, facts.compressed, self.count, self.entries] {
            put(&mut start, n);
        }
        out.write_all(&start).map_err(unwrap_io)?;
        let mut before = 0;
        let mut part = Vec::new();
        for _ in 0..self.count {
            frame(&mut pieces, &mut part)?;
            packed.write_all(&part).map_err(unwrap_io)?;
            let cut = packed.cut().map_err(unwrap_io)?;
            frame(&mut heads, &mut part)?;
            put(&mut part, cut.packed.saturating_sub(before));
            before = cut.packed;
            out.write_all(&part).map_err(unwrap_io)?;
            frame(&mut heads, &mut part)?;
            out.write_all(&part).map_err(unwrap_io)?;
        }
        let (mut places, facts) = packed.finish().map_err(unwrap_io)?;
        places.rewind()?;
        Ok(Some(Made {
            segments: whole(out)?,
            places: (places, facts),
            volumes: whole(self.volumes)?,
        }))
    }
}

impl Made {
    /// Adds the entries behind `filelist.json`; `duplet/segments` comes last, near the directory.
    pub(crate) fn put<W: Write>(
        mut self,
        zip: &mut ZipWriter<W>,
        deflater: &mut Deflater,
        tmp: &Tmp,
    ) -> Result<()> {
        let (places, facts) = &mut self.places;
        zip.add_stream(PLACES, facts, places)?;
        let mut crc = Crc32::new();
        let mut buffer = vec![0; 8 << 10];
        loop {
            let n = self.volumes.read(&mut buffer).map_err(unwrap_io)?;
            if n == 0 {
                break;
            }
            crc.update(buffer.get(..n).unwrap_or_default());
        }
        self.volumes.rewind()?;
        let len = self.volumes.len()?;
        let packed = Packed {
            method: 0,
            crc: crc.finish(),
            packed_len: len,
            size: len,
        };
        zip.add_packed(VOLUMES, &packed, &mut self.volumes)?;
        let mut packed = DeflateStream::new(Spool::new(tmp)?, deflater);
        std::io::copy(&mut self.segments, &mut packed).map_err(unwrap_io)?;
        let (mut packed, facts) = packed.finish().map_err(unwrap_io)?;
        packed.rewind()?;
        zip.add_stream(SEGMENTS, &facts, &mut packed)
    }
}

impl Open {
    /// The volumes of these extents can still be named.
    fn has_room(&self, extents: &Extents) -> bool {
        let more = extents.data.len() + extents.meta.len();
        self.named.len() + more <= VOLUMES_AT_MOST
    }

    fn put(&mut self, extents: &Extents) {
        let lists = [&extents.data, &extents.meta];
        let short = lists.map(|l| u8::try_from(l.len()).unwrap_or(7).min(7));
        self.places.push(short[0] | short[1] << 3);
        for list in lists {
            if list.len() >= 7 {
                put(&mut self.places, (list.len() - 7) as u64);
            }
        }
        for extent in lists.into_iter().flatten() {
            self.one(extent);
        }
    }

    fn one(&mut self, extent: &Extent) {
        if self.named.get(self.at) != Some(&extent.volume) {
            let at = self.named.iter().position(|id| *id == extent.volume);
            self.at = at.unwrap_or_else(|| {
                self.named.push(extent.volume);
                self.ends.push(0);
                self.named.len() - 1
            });
        }
        let Some(end) = self.ends.get_mut(self.at) else {
            return;
        };
        let (goes_on, single) = (extent.at == *end, extent.blocks == 1);
        let out = &mut self.places;
        put(
            out,
            (self.at as u64) << 2 | u64::from(single) << 1 | u64::from(goes_on),
        );
        if !goes_on {
            put(out, folded(*end, extent.at));
        }
        put(out, extent.len);
        if !single {
            put(out, extent.blocks);
        }
        *end = extent.at.saturating_add(extent.len);
    }
}

impl VolumeRow {
    fn encode(&self) -> [u8; 25] {
        let mut row = [0; 25];
        let (guid, rest) = row.split_at_mut(16);
        guid.copy_from_slice(&self.id.guid);
        let (sealed, size) = rest.split_at_mut(1);
        sealed.fill(u8::from(self.id.sealed));
        size.copy_from_slice(&self.size.to_le_bytes());
        row
    }
}

fn unnumbered() -> Error {
    Error::bug("a volume that is named has a number")
}

fn whole(out: BufWriter<Spool>) -> Result<Spool> {
    let mut spool = out.into_inner().map_err(|e| unwrap_io(e.into_error()))?;
    spool.rewind()?;
    Ok(spool)
}

fn again(out: BufWriter<Spool>) -> Result<BufReader<Spool>> {
    Ok(BufReader::with_capacity(8 << 10, whole(out)?))
}

/// The next part that was written behind its length.
fn frame(from: &mut BufReader<Spool>, part: &mut Vec<u8>) -> Result<()> {
    let mut len = [0; 4];
    from.read_exact(&mut len).map_err(unwrap_io)?;
    part.clear();
    part.resize(u32::from_le_bytes(len) as usize, 0);
    from.read_exact(part).map_err(unwrap_io)
}
