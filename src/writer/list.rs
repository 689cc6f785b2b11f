//! The dlist of a version.

use std::io::{self, BufWriter, Read, Write};

use crate::base::digest::Hash;
use crate::base::error::{Doing, Error, Result};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::{Cut, DeflateStream, Deflater, Inflater};
use crate::format::filelist::{Edited, Entry, EntryKind, Fate, ListWriter, edit_list};
use crate::format::locator::{self, FindVolume};
use crate::format::manifest::{self, Params};
use crate::format::raw_json::with_text;
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::ZipWriter;
use crate::set::Record;
use crate::spill::run::Run;
use crate::writer::pack::Seal;

/// What a new dlist says of its version as a whole.
pub(super) struct Head<'h> {
    pub(super) params: &'h Params,
    pub(super) created: Timestamp,
    pub(super) full: bool,
}

/// Builds the dlist from records sorted by path, with a [locator](crate::format::locator) of the volumes that `find` knows: its
/// stored bytes (rewound), SHA-256, size.
pub(super) fn build(
    run: &Run,
    head: &Head<'_>,
    secret: Option<&Secret>,
    deflater: &mut Deflater,
    tmp: &Tmp,
    find: &mut FindVolume<'_>,
) -> Result<(Spool, Hash, u64)> {
    let params = head.params;
    let mut zip = ZipWriter::new(Seal::new(tmp, secret)?, tmp)?;
    zip.add(
        b"manifest",
        &manifest::manifest_bytes(params, head.created),
        deflater,
    )?;
    zip.add(b"fileset", &manifest::fileset_bytes(head.full), deflater)?;
    let packed = DeflateStream::new(Spool::new(tmp)?, &mut *deflater);
    let same = params.block_hash == params.file_hash;
    let mut list = ListWriter::new(BufWriter::with_capacity(32 * 1024, packed), same);
    let mut locator = locator::Writer::new(tmp, same)?;
    let mut reader = run.reader();
    let mut cut_at = 0;
    while let Some(record) = reader.next()? {
        let Record {
            mut entry, extents, ..
        } = Record::decode(record)?;
        if list.written().saturating_sub(cut_at) >= locator::SEGMENT_BYTES {
            cut_at = list.written();
            locator.cut(cut(list.inner())?)?;
        }
        locator.add(&entry, &extents, find)?;
        if entry.kind == EntryKind::File && entry.time.is_none() {
            entry.time = Some(Timestamp(0));
        }
        list.add(&entry)?;
    }
    let mut out = list.finish()?;
    locator.cut(cut(&mut out)?)?;
    let packed = out
        .into_inner()
        .map_err(|e| crate::base::error::unwrap_io(e.into_error()))?;
    let (mut packed, facts) = packed.finish().doing(|| "pack the file list".to_owned())?;
    packed.rewind()?;
    zip.add_stream(b"filelist.json", &facts, &mut packed)?;
    drop(packed);
    if let Some(locator) = locator.finish(&facts, deflater, tmp)? {
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

/// Stored bytes (rewound), SHA-256, size, and what was done to the entries.
pub(super) type Rewritten = (Spool, Hash, u64, Edited);

/// An archive to copy a dlist into.
pub(super) fn begin(secret: Option<&Secret>, tmp: &Tmp) -> Result<ZipWriter<Seal>> {
    ZipWriter::new(Seal::new(tmp, secret)?, tmp)
}

/// Copies a dlist: entries of its list as `judge` decides, the times of archive and version changed, everything else as it is.
pub(super) fn copy(
    old: &ZipReader<'_>,
    inflater: &mut Inflater,
    new: &mut ZipWriter<Seal>,
    kit: Kit<'_>,
    judge: &mut dyn FnMut(&Entry) -> Result<Fate>,
) -> Result<Edited> {
    let mut edited = None;
    let mut before = Vec::new();
    old.entries(&mut |name, entry| {
        let mut reader = old.reader(entry, inflater)?;
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
                    b"manifest" => ("Created", Timestamp::now()),
                    _ => ("Timestamp", kit.time),
                };
                let raw = with_text(&raw, key, &time.compact())?;
                new.add(name, &raw, kit.deflater)
            }
            manifest::REPLACES => {
                before = manifest::read_replaces(&mut reader)?;
                Ok(())
            }
            // What they say is of another list.
            _ if name.starts_with(locator::FOLDER) => Ok(()),
            b"filelist.json" if edited.is_some() => {
                Err(Error::damaged("it has two lists of files"))
            }
            _ => {
                let mut packed = DeflateStream::new(Spool::new(kit.tmp)?, &mut *kit.deflater);
                if name == b"filelist.json" {
                    let out = BufWriter::with_capacity(32 * 1024, packed);
                    let list = ListWriter::new(out, kit.same);
                    let (out, done) = edit_list(&mut reader, list, judge)?;
                    edited = Some(done);
                    packed = out
                        .into_inner()
                        .map_err(|e| crate::base::error::unwrap_io(e.into_error()))?;
                } else {
                    io::copy(&mut reader, &mut packed).doing(doing)?;
                }
                let (mut packed, facts) = packed.finish().doing(doing)?;
                packed.rewind()?;
                new.add_stream(name, &facts, &mut packed)
            }
        }
    })?;
    let raw = manifest::replacing(before, kit.old);
    new.add(manifest::REPLACES, &raw, kit.deflater)?;
    edited.ok_or_else(|| Error::damaged("it has no filelist.json"))
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
