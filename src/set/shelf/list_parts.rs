//! A dlist of which only parts are fetched: its end, its head, and the segments in which paths lie. For looking things up: nothing
//! that is written, verified or deleted is ever decided by it, as its HMAC is that of the whole.

use std::io::Read;

use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::format::deflate::Inflater;
use crate::format::filelist::{EntryKind, read_list};
use crate::format::locator::{Piece, Segment};
use crate::format::manifest;
use crate::format::names::VolumeName;
use crate::format::zip_read::{Layout, ZipReader};
use crate::set::files::{Listing, Record, Stamp};
use crate::set::locator::Parts;
use crate::set::rest::ANNOUNCED_AT_MOST;
use crate::set::shelf::ranged::{AtRemote, Line, Ranged};
use crate::set::volume::reading;
use crate::set::{Set, Summary};
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;

/// Of an encrypted dlist the head, and of any manifest, fileset and the header of the list.
const HEAD_BYTES: u64 = 700;
/// A smaller dlist is fetched whole: that takes one request, and its HMAC is checked.
const WHOLE_BELOW: u64 = 512 << 10;
/// Segments read in parts; of more the list is read whole.
const SEGMENTS_AT_MOST: usize = 4096;
const SORT_CAP: usize = 1 << 20;

/// A segment that is wanted.
#[derive(Clone, Copy)]
struct Chosen {
    segment: Segment,
    is_first: bool,
    is_last: bool,
}

impl Set {
    /// The entries of version `no` around these paths, with what lies in them where they are folders, and the folders above: as
    /// records sorted by path, among them others. Paths begin at a root and have no separator at their end. `None` where the whole list is to
    /// be read instead: it is small and not `always` is told, the paths are most of it, it has no locator, the server does
    /// not send parts, or what came does not fit.
    pub(crate) fn sorted_parts(
        &mut self,
        ui: &mut Ui,
        no: usize,
        paths: &[Vec<u8>],
        always: bool,
    ) -> Result<Option<(Run, Listing)>> {
        let Some((name, Some(size))) = self.dlist(no).map(|(n, s)| (n.clone(), s)) else {
            return Ok(None);
        };
        let is_here = self.last_dlist.as_ref().is_some_and(|(n, _)| *n == no);
        if is_here || !always && size < WHOLE_BELOW {
            return Ok(None);
        }
        let Some(sealed) = self.takes_key(&name) else {
            return Ok(None);
        };
        let key = self.passphrase.as_ref().filter(|_| sealed);
        let secret = key.map(|known| &known.secret);
        let tmp = self.tmp.clone();
        let mut line = AtRemote {
            remote: &mut self.remote,
            ui,
            name: name.as_str(),
            sends_whole: &mut self.sends_whole,
        };
        let read = Ranged::open(&mut line, size, secret, &tmp).and_then(|(ranged, layout)| {
            let mut list = List {
                ranged,
                layout,
                line: &mut line,
                inflater: Inflater::new(),
            };
            let found = list.read(paths, always, Sorter::new(&tmp, SORT_CAP))?;
            Ok(found)
        });
        let found = match read {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(e) if e.kind().is_volume_or_key() => {
                let doing = reading(&name);
                ui.verbose(&format!("cannot {doing} in parts: {}", e.cause()));
                return Ok(None);
            }
            Err(e) => return Err(e.doing(reading(&name))),
        };
        self.settle_params(&name, found.params)?;
        if sealed {
            self.accepted = true;
            ui.verbose(&format!(
                "{} was read in parts: not its HMAC but the hash of each block proves what is read",
                name.as_str()
            ));
        }
        self.announce(&found.volumes);
        self.listing_of(&name, found).map(Some)
    }

    fn listing_of(&mut self, name: &VolumeName, found: Found) -> Result<(Run, Listing)> {
        let mut run = RunWriter::new(&self.tmp);
        let mut stream = found.records.finish()?;
        let mut last: Vec<u8> = Vec::new();
        while let Some(record) = stream.next()? {
            // Segments that begin in the same folder all name it.
            if last != record {
                run.push(record)?;
                last.clear();
                last.extend_from_slice(record);
            }
        }
        let misdated = self.misdated(name, found.created);
        self.note_misdated(name, misdated.as_ref());
        let sum = Summary {
            full: found.full,
            ..Summary::default()
        };
        let listing = Listing {
            full: found.full,
            rescued: false,
            misdated,
            sum,
        };
        Ok((run.finish()?, listing))
    }
}

/// What was read of a list.
struct Found {
    params: manifest::Params,
    created: Option<crate::base::time::Timestamp>,
    full: bool,
    records: Sorter,
    volumes: Vec<crate::format::locator::VolumeRow>,
}

struct List<'l> {
    ranged: Ranged,
    layout: Layout,
    line: &'l mut dyn Line,
    inflater: Inflater,
}

impl List<'_> {
    fn read(&mut self, paths: &[Vec<u8>], always: bool, records: Sorter) -> Result<Option<Found>> {
        let Some(parts) = Parts::find(&ZipReader::again(&self.ranged, self.layout))? else {
            return Ok(None);
        };
        let (at, segments) = parts.segments;
        let spans = [(0, HEAD_BYTES), (at, segments.compressed)];
        self.ranged.bring(self.line, spans.into_iter())?;
        let (params, created, full) = self.head()?;
        let Some(chosen) = self.choose(&parts, paths, always)? else {
            return Ok(None);
        };
        let spans = chosen.iter().flat_map(|c| {
            let list = parts.list.0.saturating_add(c.segment.at);
            [(list, c.segment.packed), parts.places_of(&c.segment)]
        });
        self.ranged.bring(self.line, spans)?;
        let mut found = Found {
            params,
            created,
            full,
            records,
            volumes: Vec::new(),
        };
        for chosen in &chosen {
            if !self.segment(&parts, chosen, &mut found)? {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// What the archive says of the version as a whole.
    fn head(&mut self) -> Result<(manifest::Params, Option<crate::base::time::Timestamp>, bool)> {
        let zip = ZipReader::again(&self.ranged, self.layout);
        let entry = |name: &[u8]| {
            let none = || Error::damaged("a part of it is missing");
            zip.find(name)?.ok_or_else(none)
        };
        let of = entry(b"manifest")?;
        let (params, created) = manifest::read_manifest(&mut zip.reader(of, &mut self.inflater)?)?;
        let of = entry(b"fileset")?;
        let full = manifest::read_fileset(&mut zip.reader(of, &mut self.inflater)?)?.full;
        Ok((params, created, full))
    }

    /// The segments in which the paths lie; `None` where that is most of the list, or nothing.
    fn choose(
        &mut self,
        parts: &Parts,
        paths: &[Vec<u8>],
        always: bool,
    ) -> Result<Option<Vec<Chosen>>> {
        let zip = ZipReader::again(&self.ranged, self.layout);
        let Some(mut segments) = parts.segments(&zip, &mut self.inflater) else {
            return Ok(None);
        };
        let mut chosen = Vec::new();
        let (mut number, mut packed) = (0, 0u64);
        let mut open: Option<(Segment, Vec<u8>)> = None;
        loop {
            let Some(next) = segments.next() else {
                return Ok(None);
            };
            if let Some((segment, first)) = &open {
                let end = next.map(|_| segments.path.as_slice());
                if end.is_some_and(|end| end <= first.as_slice()) {
                    return Ok(None);
                }
                if paths.iter().any(|path| may_hold(first, end, path)) {
                    packed = packed.saturating_add(segment.packed);
                    chosen.push(Chosen {
                        segment: *segment,
                        is_first: number == 1,
                        is_last: next.is_none(),
                    });
                }
            }
            let Some(next) = next else { break };
            open = Some((next, segments.path.clone()));
            number += 1;
        }
        let much = packed > parts.list.1.compressed / 2 && !always;
        Ok((!chosen.is_empty() && !much && chosen.len() <= SEGMENTS_AT_MOST).then_some(chosen))
    }

    /// Adds the entries of a segment and the folders above its first one. False where it does not fit together.
    fn segment(&mut self, parts: &Parts, chosen: &Chosen, found: &mut Found) -> Result<bool> {
        let segment = &chosen.segment;
        let zip = ZipReader::again(&self.ranged, self.layout);
        let Some(raw) = parts.places(&zip, segment, &mut self.inflater) else {
            return Ok(false);
        };
        let Some(numbers) = Piece::numbers(&raw) else {
            return Ok(false);
        };
        let rows = numbers.iter().filter_map(|n| Some((parts.row_at(*n)?, 25)));
        self.ranged.bring(self.line, rows)?;
        let Some(mut piece) = Piece::open(raw, &mut |n| parts.row(&self.ranged, n)) else {
            return Ok(false);
        };
        if found.volumes.len() < ANNOUNCED_AT_MOST {
            found.volumes.extend_from_slice(&piece.volumes);
        }
        let mut raw = Vec::new();
        let mut add = |entry, extents| {
            raw.clear();
            let stamp = Stamp::default();
            let record = Record {
                entry,
                stamp,
                extents,
            };
            record.encode(&mut raw);
            found.records.add(&raw)
        };
        for (entry, extents) in std::mem::take(&mut piece.above) {
            add(entry, extents)?;
        }
        let zip = ZipReader::again(&self.ranged, self.layout);
        let at = parts.list.0.saturating_add(segment.at);
        let mut text = zip.part(
            (at, segment.packed),
            segment.plain,
            segment.crc,
            &mut self.inflater,
        );
        let mut count = 0;
        let mut each = |mut entry: crate::format::filelist::Entry| {
            count += 1;
            let extents = piece.next();
            let extents = extents.ok_or_else(|| Error::damaged("places are missing"))?;
            if entry.kind == EntryKind::Symlink
                && entry.path.len() > 1
                && matches!(entry.path.last(), Some(b'/' | b'\\'))
            {
                entry.path.pop();
            }
            add(entry, extents)
        };
        let end: &[u8] = if chosen.is_last { b"" } else { b"]" };
        if chosen.is_first {
            read_list(&mut text.chain(end), &mut each)?;
        } else {
            let mut comma = [0];
            text.read_exact(&mut comma)
                .map_err(crate::base::error::unwrap_io)?;
            if comma != *b"," {
                return Ok(false);
            }
            read_list(&mut b"[".chain(text).chain(end), &mut each)?;
        }
        Ok(count == segment.entries)
    }
}

/// True when a segment from `first` up to `end`, which begins the next one, can hold the path or what lies in a folder of that name.
fn may_hold(first: &[u8], end: Option<&[u8]>, path: &[u8]) -> bool {
    let within = |from: &[u8], below: &[u8]| first < below && end.is_none_or(|end| from < end);
    let inside = [path, b"/"].concat();
    // The byte behind the separator.
    let behind = [path, b"0"].concat();
    let itself = [path, b"\0"].concat();
    within(path, &itself) || within(&inside, &behind)
}

#[cfg(test)]
mod tests {
    use super::may_hold;

    #[test]
    fn the_segments_of_a_path_are_those_it_can_lie_in() {
        for (first, end, path, want) in [
            ("/a", Some("/c"), "/b", true),
            ("/a", Some("/b"), "/b", false),
            ("/b", Some("/c"), "/b", true),
            ("/b/x", Some("/c"), "/b", true),
            ("/b-", Some("/b/"), "/b", false),
            ("/b-", Some("/b/a"), "/b", true),
            ("/b0", Some("/c"), "/b", false),
            ("/b0", None, "/b", false),
            ("/a", None, "/b", true),
            ("/c", None, "/b", false),
            ("/b/", Some("/b/m"), "/b/m/n", false),
            ("/b/m", None, "/b/m/n", true),
        ] {
            let end = end.map(str::as_bytes);
            let got = may_hold(first.as_bytes(), end, path.as_bytes());
            assert_eq!(got, want, "{first} {path}");
        }
    }
}
