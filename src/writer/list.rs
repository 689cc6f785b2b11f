//! The dlist of a version.

use std::io::BufWriter;

use crate::base::digest::Hash;
use crate::base::error::{Doing, Result};
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::{DeflateStream, Deflater};
use crate::format::filelist::{EntryKind, ListWriter};
use crate::format::manifest::{self, Params};
use crate::format::zip_write::ZipWriter;
use crate::set::Record;
use crate::spill::run::Run;
use crate::writer::pack::Seal;

/// Builds the dlist from records sorted by path: its stored bytes (rewound), SHA-256, size.
pub(super) fn build(
    run: &Run,
    params: &Params,
    created: Timestamp,
    full: bool,
    secret: Option<&Secret>,
    deflater: &mut Deflater,
    tmp: &Tmp,
) -> Result<(Spool, Hash, u64)> {
    let mut zip = ZipWriter::new(Seal::new(tmp, secret)?, tmp)?;
    zip.add(
        b"manifest",
        &manifest::manifest_bytes(params, created),
        deflater,
    )?;
    zip.add(b"fileset", &manifest::fileset_bytes(full), deflater)?;
    let packed = DeflateStream::new(Spool::new(tmp)?, deflater);
    let same = params.block_hash == params.file_hash;
    let mut list = ListWriter::new(BufWriter::with_capacity(32 * 1024, packed), same);
    let mut reader = run.reader();
    while let Some(record) = reader.next()? {
        let mut entry = Record::decode(record)?.entry;
        if entry.kind == EntryKind::File && entry.time.is_none() {
            entry.time = Some(Timestamp(0));
        }
        list.add(&entry)?;
    }
    let packed = list
        .finish()?
        .into_inner()
        .map_err(|e| crate::base::error::unwrap_io(e.into_error()))?;
    let (mut packed, facts) = packed.finish().doing(|| "pack the file list".to_owned())?;
    packed.rewind()?;
    zip.add_stream(b"filelist.json", &facts, &mut packed)?;
    zip.finish()?.finish()
}
