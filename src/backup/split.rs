//! A file cut into blocks, stored through the writer (`format.md` 7).

use std::io::{self, Read};

use crate::base::digest::Hash;
use crate::base::error::{Error, Result};
use crate::base::transfer::FLIES;
use crate::base::ui::Ui;
use crate::format::filelist::{Content, LISTS_AT_MOST};
use crate::format::manifest::Params;
use crate::writer::Writer;

/// Buffers for cutting files, reused: one block and one blocklist.
pub(super) struct Splitter {
    block: Vec<u8>,
    list: Vec<u8>,
}

/// A source has nothing to be read now; it is asked again.
#[derive(Debug)]
pub(super) struct Idle;

impl std::fmt::Display for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing to be read now")
    }
}

impl std::error::Error for Idle {}

/// Why a file was not stored.
pub(super) enum Trouble {
    /// Reading the source failed; the backup goes on.
    Source(io::Error),
    /// The person asked to stop: the file is given up, everything before it is sound.
    Stopped,
    /// Everything else ends the backup.
    Fatal(Error),
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Trouble {
        Trouble::Fatal(e)
    }
}

/// Bytes of the largest file that blocks of these sizes can hold, so that its entry can also be read back: more blocklists
/// than that are never believed.
pub(super) fn file_at_most(params: &Params) -> u64 {
    blob_at_most(params).saturating_mul(LISTS_AT_MOST as u64)
}

/// Bytes of the longest metadata: what one blocklist names (W20).
pub(super) fn blob_at_most(params: &Params) -> u64 {
    u64::from(params.block_size) * u64::from(params.hashes_per_list())
}

impl Splitter {
    pub(super) fn new() -> Splitter {
        Splitter {
            block: Vec::new(),
            list: Vec::new(),
        }
    }

    /// Stores everything `source` yields and tells what to list for it; [`Writer::followed`] tells where it is. `tick` is called before each read with the bytes
    /// read last; false ends the file as stopped. What the writer could not store is never taken for a stop, whatever the
    /// reason: it is fatal.
    pub(super) fn store(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        source: &mut dyn Read,
        tick: &mut dyn FnMut(&mut Ui, u64) -> bool,
    ) -> std::result::Result<Content, Trouble> {
        let params = *writer.params();
        let block_size = params.block_size as usize;
        let per_list = params.hashes_per_list() as usize * params.block_hash.len();
        let same = params.block_hash == params.file_hash;
        let mut whole = params.file_hash.hasher();
        let mut size = 0u64;
        let mut read = 0u64;
        let mut blocks = 0u64;
        let mut first: Option<Hash> = None;
        let mut lists: Vec<Hash> = Vec::new();
        self.list.clear();
        writer.follow();
        self.block.resize(block_size, 0);
        loop {
            if !tick(ui, read) {
                return Err(Trouble::Stopped);
            }
            let n =
                fill(source, &mut self.block, &mut || writer.tick()).map_err(Trouble::Source)?;
            if n == 0 {
                break;
            }
            let data = &self.block[..n];
            let id = params.block_hash.hash(data);
            // A file of one block needs no second digest when both algorithms are one.
            if !(same && blocks == 0 && n < block_size) {
                whole.update(data);
            }
            size += n as u64;
            blocks += 1;
            writer.add_block(ui, &id, data)?;
            read = n as u64;
            if blocks == 1 {
                first = Some(id);
            }
            self.list.extend_from_slice(id.as_bytes());
            if self.list.len() >= per_list && blocks > 1 {
                push_list(writer, ui, &mut self.list, &mut lists)?;
            }
            if n < block_size {
                break;
            }
        }
        if blocks <= 1 {
            let hash = match first {
                Some(id) if same => id,
                _ => whole.finish(),
            };
            let block = first.filter(|id| *id != hash);
            return Ok(Content {
                hash: Some(hash),
                size,
                block,
                lists: Vec::new(),
            });
        }
        if !self.list.is_empty() {
            push_list(writer, ui, &mut self.list, &mut lists)?;
        }
        Ok(Content {
            hash: Some(whole.finish()),
            size,
            block: None,
            lists,
        })
    }

    /// Stores a metadata blob of at most [`blob_at_most`] bytes, its new blocks in one volume.
    pub(super) fn store_blob(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        blob: &[u8],
    ) -> Result<Content> {
        let params = *writer.params();
        if blob.len() as u64 > blob_at_most(&params) {
            return Err(Error::bug("metadata that is stored fits"));
        }
        let mut data = blob;
        // One block cannot be torn apart.
        let several = data.len() > params.block_size as usize;
        if several {
            writer.together(ui, data.len() as u64)?;
        }
        let stored = self.store(writer, ui, &mut data, &mut |_, _| true);
        if several {
            writer.apart(ui)?;
        }
        match stored {
            Ok(content) => Ok(content),
            Err(Trouble::Fatal(e)) => Err(e),
            Err(Trouble::Source(_) | Trouble::Stopped) => Err(Error::bug("memory can be read")),
        }
    }
}

fn push_list(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    list: &mut Vec<u8>,
    lists: &mut Vec<Hash>,
) -> std::result::Result<(), Trouble> {
    if lists.len() >= LISTS_AT_MOST {
        let e = io::Error::other("it grew too large for this block size");
        return Err(Trouble::Source(e));
    }
    let id = writer.params().block_hash.hash(list);
    writer.add_list(ui, &id, list)?;
    lists.push(id);
    list.clear();
    Ok(())
}

/// Fills the buffer as far as the source goes; `idle` is called while that is [`Idle`].
fn fill(source: &mut dyn Read, buffer: &mut [u8], idle: &mut dyn FnMut()) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match source.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if FLIES && e.get_ref().is_some_and(|e| e.is::<Idle>()) => idle(),
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}
