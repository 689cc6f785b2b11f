//! Writing `filelist.json`, in the one order of properties that Duplicati reads.

use std::io::Write;

use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::base::json::push_string;
use crate::base::text;
use crate::format::BOM;
use crate::format::filelist::{Content, Entry, EntryKind, PATH_BYTES};

/// Writes `filelist.json`. The caller chooses the order of entries and keeps paths unique (W11).
#[must_use]
pub(crate) struct ListWriter<W: Write> {
    out: W,
    line: Vec<u8>,
    same_algorithms: bool,
    first: bool,
    /// Bytes given to `out`.
    written: u64,
}

impl<W: Write> ListWriter<W> {
    /// `same_algorithms`: the manifest's `BlockHash` is its `FileHash`.
    pub(crate) fn new(out: W, same_algorithms: bool) -> ListWriter<W> {
        ListWriter {
            out,
            line: [BOM, b"["].concat(),
            same_algorithms,
            first: true,
            written: 0,
        }
    }

    /// Writes one entry. A path that is not Unicode is `Unsupported`; an entry that lacks what the format demands (metadata, a
    /// file's content and time, the id of an only block) is a `Bug`.
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<()> {
        self.add_with(entry, b"")
    }

    /// Writes an entry as it is spelled.
    pub(super) fn add_raw(&mut self, raw: &[u8]) -> Result<()> {
        if !std::mem::take(&mut self.first) {
            self.line.push(b',');
        }
        self.line.extend_from_slice(raw);
        self.flush()
    }

    /// As [`ListWriter::add`], with further properties at its end: `,"name":value` each.
    pub(super) fn add_with(&mut self, entry: &Entry, more: &[u8]) -> Result<()> {
        if std::str::from_utf8(&entry.path).is_err() {
            let name = text::safe_cut(&entry.path, 200);
            let cause = format!("the name {name} is not valid Unicode");
            return Err(Error::new(Kind::Unsupported, cause));
        }
        if !std::mem::take(&mut self.first) {
            self.line.push(b',');
        }
        let line = &mut self.line;
        line.extend_from_slice(b"{\"type\":\"");
        line.extend_from_slice(entry.kind.word().as_bytes());
        line.extend_from_slice(b"\",\"path\":");
        push_string(line, &entry.path);
        let is_file = entry.kind == EntryKind::File;
        let content = entry.content.as_ref().filter(|_| is_file);
        if is_file {
            let (content, time) = content
                .zip(entry.time)
                .ok_or_else(|| Error::bug("a file entry has no content or time"))?;
            push_whole(line, "hash", "size", content)?;
            line.extend_from_slice(b",\"time\":\"");
            line.extend_from_slice(time.compact().as_bytes());
            line.push(b'"');
        }
        let meta = entry
            .meta
            .as_ref()
            .filter(|m| m.size > 0)
            .ok_or_else(|| Error::bug("an entry has no metadata"))?;
        push_whole(line, "metahash", "metasize", meta)?;
        if meta.lists.is_empty() {
            let id = single(meta, self.same_algorithms)?;
            if !is_file || Some(id) != meta.hash {
                push_hash(line, "metablockhash", &id);
            }
        } else if meta.lists.len() == 1 {
            push_lists(line, "metablocklists", &meta.lists);
        } else {
            return Err(Error::bug("a metadata blob has several block lists"));
        }
        if let Some(content) = content.filter(|c| c.size > 0) {
            if content.lists.is_empty() {
                let id = single(content, self.same_algorithms)?;
                if Some(id) != content.hash {
                    push_hash(line, "blockhash", &id);
                    push_number(line, "blocksize", content.size);
                }
            } else {
                push_lists(line, "blocklists", &content.lists);
            }
        }
        line.extend_from_slice(more);
        line.push(b'}');
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&self.line).map_err(unwrap_io)?;
        self.written = self.written.saturating_add(self.line.len() as u64);
        self.line.clear();
        self.line.shrink_to(PATH_BYTES);
        Ok(())
    }

    /// Bytes of text so far, but what stands before the first entry.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Where the text goes: between two entries, all of it is there.
    pub(crate) fn inner(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the array.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.line.push(b']');
        self.flush()?;
        Ok(self.out)
    }
}

fn single(content: &Content, same_algorithms: bool) -> Result<Hash> {
    content
        .single(same_algorithms)
        .ok_or_else(|| Error::bug("the only block of an entry has no id"))
}

fn push_key(line: &mut Vec<u8>, key: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(b"\":");
}

fn push_hash(line: &mut Vec<u8>, key: &str, hash: &Hash) {
    push_key(line, key);
    push_string(line, hash.base64().as_bytes());
}

fn push_number(line: &mut Vec<u8>, key: &str, n: u64) {
    push_key(line, key);
    line.extend_from_slice(n.to_string().as_bytes());
}

fn push_whole(line: &mut Vec<u8>, hash: &str, size: &str, content: &Content) -> Result<()> {
    let whole = content.hash.as_ref();
    let whole = whole.ok_or_else(|| Error::bug("an entry has no hash of its content"))?;
    push_hash(line, hash, whole);
    push_number(line, size, content.size);
    Ok(())
}

fn push_lists(line: &mut Vec<u8>, key: &str, lists: &[Hash]) {
    push_key(line, key);
    for (i, hash) in lists.iter().enumerate() {
        line.push(if i == 0 { b'[' } else { b',' });
        push_string(line, hash.base64().as_bytes());
    }
    line.push(b']');
}
