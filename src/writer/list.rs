//! The dlist of a version.

use std::io::{self, BufWriter, Read, Write};

use crate::base::digest::Digests;
use crate::base::error::{Doing, Error, Result};
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::{Cut, DeflateStream, Deflater, Inflater};
use crate::format::filelist::{Content, Edited, Entry, EntryKind, Fate, ListWriter, edit_list};
use crate::format::locator::{self, Extent, Extents, FindVolume};
use crate::format::manifest::{self, Params};
use crate::format::raw_json::with_text;
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::ZipWriter;
use crate::set::{Beside, Record, Sealing};
use crate::spill::run::Run;
use crate::writer::pack::Seal;

/// What a new dlist says of its version as a whole.
pub(super) struct Head<'h> {
    pub(super) params: &'h Params,
    pub(super) created: Timestamp,
    pub(super) full: bool,
}

/// Where blocks are.
pub(super) struct Places<'p> {
    pub(super) volume: &'p mut FindVolume<'p>,
    /// Of a content of one block.
    pub(super) only: &'p mut dyn FnMut(&Content) -> Result<Option<Extent>>,
}

impl Places<'_> {
    /// Completes what is known of an entry: a block that is not where it was may be known to be somewhere else.
    fn complete(&mut self, entry: &Entry, extents: &mut Extents) -> Result<()> {
        for (content, list) in [
            (&entry.content, &mut extents.data),
            (&entry.meta, &mut extents.meta),
        ] {
            let there = list.iter().all(|e| (self.volume)(&e.volume).is_some());
            if let Some(content) = content
                && (list.is_empty() || !there)
                && let Some(found) = (self.only)(content)?
            {
                *list = vec![found];
            }
        }
        Ok(())
    }
}

type Packing<'d> = ListWriter<BufWriter<DeflateStream<Spool, &'d mut Deflater>>>;

/// Makes the locator of a list while that is written.
struct Locating {
    locator: locator::Writer,
    cut_at: u64,
}

impl Locating {
    fn new(tmp: &Tmp, same: bool) -> Result<Locating> {
        Ok(Locating {
            locator: locator::Writer::new(tmp, same)?,
            cut_at: 0,
        })
    }

    /// `entry` is about to be written to the list.
    fn add(
        &mut self,
        list: &mut Packing<'_>,
        entry: &Entry,
        extents: &Extents,
        find: &mut FindVolume<'_>,
    ) -> Result<()> {
        if list.written().saturating_sub(self.cut_at) >= locator::SEGMENT_BYTES {
            self.cut_at = list.written();
            self.locator.cut(cut(list.inner())?)?;
        }
        self.locator.add(entry, extents, find)
    }
}

/// Builds the dlist from records sorted by path, with a [locator](crate::format::locator): its stored bytes (rewound), digests,
/// size.
pub(super) fn build(
    run: &Run,
    head: &Head<'_>,
    sealing: Sealing<'_>,
    deflater: &mut Deflater,
    tmp: &Tmp,
    mut places: Places<'_>,
) -> Result<(Spool, Digests, u64)> {
    let params = head.params;
    let mut zip = ZipWriter::new(Seal::new(tmp, sealing)?, tmp)?;
    zip.add(
        b"manifest",
        &manifest::manifest_bytes(params, head.created),
        deflater,
    )?;
    zip.add(b"fileset", &manifest::fileset_bytes(head.full), deflater)?;
    let packed = DeflateStream::new(Spool::new(tmp)?, &mut *deflater);
    let same = params.block_hash == params.file_hash;
    let mut list = ListWriter::new(BufWriter::with_capacity(32 * 1024, packed), same);
    let mut locating = Locating::new(tmp, same)?;
    let mut reader = run.reader();
    while let Some(record) = reader.next()? {
        let Record {
            mut entry,
            mut extents,
            ..
        } = Record::decode(record)?;
        places.complete(&entry, &mut extents)?;
        locating.add(&mut list, &entry, &extents, places.volume)?;
        if entry.kind == EntryKind::File && entry.time.is_none() {
            entry.time = Some(Timestamp(0));
        }
        list.add(&entry)?;
    }
    let mut out = list.finish()?;
    locating.locator.cut(cut(&mut out)?)?;
    let packed = out
        .into_inner()
        .map_err(|e| crate::base::error::unwrap_io(e.into_error()))?;
    let (mut packed, facts) = packed.finish().doing(|| "pack the file list".to_owned())?;
    packed.rewind()?;
    zip.add_stream(b"filelist.json", &facts, &mut packed)?;
    drop(packed);
    if let Some(locator) = locating.locator.finish(&facts, deflater, tmp)? {
        locator.put(&mut zip, deflater, tmp)?;
    }
    zip.finish()?.finish()
}

/// Ends a part of a list, which can be read by itself from here on.
fn cut(out: &mut BufWriter<DeflateStream<Spool, &mut Deflater>>) -> Result<Cut> {
    out.flush()
        .and_then(|()| out.get_mut().cut())
        .doing(|| "pack the file list".to_owned())
}

/// A `manifest` or `fileset` is never longer, bytes.
const SMALL_BYTES: u64 = 64 << 10;

/// What the copy of a dlist needs beside the archives.
pub(super) struct Kit<'k> {
    pub(super) deflater: &'k mut Deflater,
    pub(super) tmp: &'k Tmp,
    /// Block hash and file hash are of one algorithm.
    pub(super) same: bool,
    /// Of the version that is written.
    pub(super) time: Timestamp,
    /// Of the list in the place of which it is written: the new one says so ([`manifest::REPLACES`]), so that whoever finds
    /// both knows which one counts.
    pub(super) old: Timestamp,
}

/// Stored bytes (rewound), digests, size, and what was done to the entries.
pub(super) type Rewritten = (Spool, Digests, u64, Edited);

/// An archive to copy a dlist into.
pub(super) fn begin(sealing: Sealing<'_>, tmp: &Tmp) -> Result<ZipWriter<Seal>> {
    ZipWriter::new(Seal::new(tmp, sealing)?, tmp)
}

/// Copies a dlist: entries of its list as `judge` decides, the times of archive and version changed, a locator made anew of the
/// volumes that `find` knows, everything else as it is.
pub(super) fn copy(
    old: &ZipReader<'_>,
    new: &mut ZipWriter<Seal>,
    kit: Kit<'_>,
    find: &mut FindVolume<'_>,
    judge: &mut dyn FnMut(&Entry) -> Result<Fate>,
) -> Result<Edited> {
    let mut edited = None;
    let mut locator = None;
    let mut before = Vec::new();
    let mut inflater = Inflater::new();
    old.entries(&mut |name, entry| {
        let mut reader = old.reader(entry, &mut inflater)?;
        let doing = || "copy a file list".to_owned();
        match name {
            b"manifest" | b"fileset" => {
                let mut raw = Vec::new();
                reader
                    .by_ref()
                    .take(SMALL_BYTES + 1)
                    .read_to_end(&mut raw)
                    .doing(doing)?;
                if raw.len() as u64 > SMALL_BYTES {
                    return Err(Error::damaged("an entry is too long"));
                }
                let (key, time) = match name {
                    // Never before its name: so a copy under a newer name is known (`Set::misdated`).
                    b"manifest" => ("Created", Timestamp::now().max(kit.time)),
                    _ => ("Timestamp", kit.time),
                };
                let raw = with_text(&raw, key, &time.compact())?;
                new.add(name, &raw, kit.deflater)
            }
            manifest::REPLACES => {
                before = manifest::read_replaces(&mut reader)?;
                Ok(())
            }
            // They are of the old list.
            _ if name.starts_with(locator::FOLDER) => Ok(()),
            b"filelist.json" if edited.is_some() => {
                Err(Error::damaged("it has two lists of files"))
            }
            _ => {
                let mut packed = DeflateStream::new(Spool::new(kit.tmp)?, &mut *kit.deflater);
                let mut locating = None;
                if name == b"filelist.json" {
                    let out = BufWriter::with_capacity(32 * 1024, packed);
                    let list = ListWriter::new(out, kit.same);
                    let mut two = [Inflater::new(), Inflater::new()];
                    let mut beside = Beside::open(old, &mut two)?;
                    if beside.is_some() {
                        locating = Some(Locating::new(kit.tmp, kit.same)?);
                    }
                    let (mut out, done) = edit_list(&mut reader, list, &mut |list, entry| {
                        let places = beside.as_mut().map(|b| b.next(&entry.path));
                        let fate = judge(entry)?;
                        if let (Some(locating), Some(places)) = (&mut locating, places)
                            && let Some((entry, places)) = staying(&fate, entry, places)
                        {
                            locating.add(list, entry, &places, find)?;
                        }
                        Ok(fate)
                    })?;
                    edited = Some(done);
                    if let Some(locating) = &mut locating {
                        locating.locator.cut(cut(&mut out)?)?;
                    }
                    packed = out
                        .into_inner()
                        .map_err(|e| crate::base::error::unwrap_io(e.into_error()))?;
                } else {
                    io::copy(&mut reader, &mut packed).doing(doing)?;
                }
                let (mut packed, facts) = packed.finish().doing(doing)?;
                packed.rewind()?;
                if let Some(locating) = locating {
                    locator = locating.locator.finish(&facts, kit.deflater, kit.tmp)?;
                }
                new.add_stream(name, &facts, &mut packed)
            }
        }
    })?;
    let raw = manifest::replacing(before, kit.old);
    new.add(manifest::REPLACES, &raw, kit.deflater)?;
    if let Some(locator) = locator {
        locator.put(new, kit.deflater, kit.tmp)?;
    }
    edited.ok_or_else(|| Error::damaged("it has no filelist.json"))
}

/// The entry that is written, and where what it has in common with the old one is.
fn staying<'e>(
    fate: &'e Fate,
    old: &'e Entry,
    mut places: Extents,
) -> Option<(&'e Entry, Extents)> {
    match fate {
        Fate::Keep => Some((old, places)),
        Fate::Drop => None,
        Fate::Replace(new) => {
            if new.content != old.content {
                places.data.clear();
            }
            if new.meta != old.meta {
                places.meta.clear();
            }
            Some((new, places))
        }
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
