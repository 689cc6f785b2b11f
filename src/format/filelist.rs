//! `filelist.json` of a dlist (`format.md` 10): entries streamed in and out, and their compact form for sorting.
//!
//! Reading takes any order of properties and of entries; writing gives exactly Duplicati's, whose reader is positional. Memory
//! is one entry. Paths are neither checked nor changed here.

use std::cell::Cell;
use std::fmt;
use std::io::{Read, Write};

use serde_core::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::base::bytes::Cursor;
use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::base::json::push_string;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::format::BOM;
use crate::format::json::{self, Allowance, Source, TEXT_BYTES};

/// Longest path in bytes.
pub(crate) const PATH_BYTES: usize = 64 << 10;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    File,
    Folder,
    Symlink,
}

impl EntryKind {
    fn word(self) -> &'static str {
        match self {
            EntryKind::File => "File",
            EntryKind::Folder => "Folder",
            EntryKind::Symlink => "Symlink",
        }
    }

    /// `None` for a type that is to be passed over (R25).
    fn parse(word: &[u8]) -> Option<EntryKind> {
        match word {
            b"File" | b"AlternateStream" => Some(EntryKind::File),
            b"Folder" => Some(EntryKind::Folder),
            b"Symlink" => Some(EntryKind::Symlink),
            _ => None,
        }
    }
}

/// Where the bytes of a file, or of a metadata blob, are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Hash of the whole by the manifest's `FileHash`.
    pub(crate) hash: Option<Hash>,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Id of the only block, if stated.
    pub(crate) block: Option<Hash>,
    /// Ids of the block lists, in order; empty unless there are two blocks or more.
    pub(crate) lists: Vec<Hash>,
}

impl Content {
    /// Id of the only block: `None` when there is no content, when the block lists have to be followed, or when the id is
    /// unknown because the whole's hash is of another algorithm (R20).
    pub(crate) fn single(&self, same_algorithms: bool) -> Option<Hash> {
        if self.size == 0 || !self.lists.is_empty() {
            return None;
        }
        self.block.or(self.hash.filter(|_| same_algorithms))
    }
}

/// One line of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EntryKind,
    /// As stored: absolute, with the separators of the source system; UTF-8 but for lone surrogates. Not checked.
    pub(crate) path: Vec<u8>,
    /// Last write time of a file.
    pub(crate) time: Option<Timestamp>,
    /// Of files; `None` when hash or size were not usable, and for all others.
    pub(crate) content: Option<Content>,
    /// `None` when the entry has no metadata (R4).
    pub(crate) meta: Option<Content>,
}

const HAS_TIME: u8 = 1;
const HAS_CONTENT: u8 = 2;
const HAS_META: u8 = 4;

impl Entry {
    /// Appends a form whose byte order is the order of paths: the path with NUL as `00 FF`, `00`, the rest.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for &b in &self.path {
            out.push(b);
            if b == 0 {
                out.push(0xff);
            }
        }
        out.push(0);
        out.push(match self.kind {
            EntryKind::File => 0,
            EntryKind::Folder => 1,
            EntryKind::Symlink => 2,
        });
        let mut has = 0;
        for (there, flag) in [
            (self.time.is_some(), HAS_TIME),
            (self.content.is_some(), HAS_CONTENT),
            (self.meta.is_some(), HAS_META),
        ] {
            if there {
                has |= flag;
            }
        }
        out.push(has);
        if let Some(time) = self.time {
            out.extend_from_slice(&time.0.to_le_bytes());
        }
        for content in [&self.content, &self.meta].into_iter().flatten() {
            encode_hash(out, content.hash.as_ref());
            out.extend_from_slice(&content.size.to_le_bytes());
            encode_hash(out, content.block.as_ref());
            let count = u32::try_from(content.lists.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_le_bytes());
            for hash in &content.lists {
                encode_hash(out, Some(hash));
            }
        }
    }

    /// The inverse of [`Entry::encode`]; `None` for anything it does not make.
    pub(crate) fn decode(record: &[u8]) -> Option<Entry> {
        let mut path = Vec::new();
        let mut from = Cursor::new(record);
        loop {
            match from.u8()? {
                0 if from.rest().first() == Some(&0xff) => {
                    path.push(0);
                    from.u8()?;
                }
                0 => break,
                b => path.push(b),
            }
        }
        let kind = match from.u8()? {
            0 => EntryKind::File,
            1 => EntryKind::Folder,
            2 => EntryKind::Symlink,
            _ => return None,
        };
        let has = from.u8()?;
        if has & !(HAS_TIME | HAS_CONTENT | HAS_META) != 0 {
            return None;
        }
        let time = match has & HAS_TIME {
            0 => None,
            _ => Some(Timestamp(i64::from_le_bytes(
                from.take(8)?.try_into().ok()?,
            ))),
        };
        let mut contents = [None, None];
        for (slot, flag) in contents.iter_mut().zip([HAS_CONTENT, HAS_META]) {
            if has & flag != 0 {
                *slot = Some(decode_content(&mut from)?);
            }
        }
        let [content, meta] = contents;
        from.rest().is_empty().then_some(Entry {
            kind,
            path,
            time,
            content,
            meta,
        })
    }
}

fn encode_hash(out: &mut Vec<u8>, hash: Option<&Hash>) {
    let raw = hash.map_or(&[][..], Hash::as_bytes);
    out.push(u8::try_from(raw.len()).unwrap_or(0));
    out.extend_from_slice(raw);
}

/// `Some(None)`: there is none.
fn decode_hash(from: &mut Cursor) -> Option<Option<Hash>> {
    match from.u8()? {
        0 => Some(None),
        n => Some(Some(Hash::from_bytes(from.take(usize::from(n))?)?)),
    }
}

fn decode_content(from: &mut Cursor) -> Option<Content> {
    let hash = decode_hash(from)?;
    let size = from.u64_le()?;
    let block = decode_hash(from)?;
    let count = from.u32_le()?;
    let mut lists = Vec::new();
    for _ in 0..count {
        lists.push(decode_hash(from)??);
    }
    Some(Content {
        hash,
        size,
        block,
        lists,
    })
}

/// Hands over every entry in the order of the file and returns how many. Unknown types and entries without a path are passed
/// over. A fault in the JSON is `Damaged`, after everything before it was handed over.
pub(crate) fn read_list(
    src: &mut dyn Read,
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<u64> {
    const WHAT: &str = "the file list";
    let left = Cell::new(0);
    let source = Source::new(src, &left)?;
    let mut refused = None;
    let mut parser = serde_json::Deserializer::from_reader(source);
    let list = List {
        each,
        refused: &mut refused,
        left: &left,
    };
    let done = parser.deserialize_seq(list).and_then(|count| {
        json::renew(&left);
        parser.end().map(|()| count)
    });
    match (done, refused) {
        (_, Some(ours)) => Err(ours),
        (done, None) => done.map_err(|e| json::failure(e, WHAT)),
    }
}

struct List<'a> {
    each: &'a mut dyn FnMut(Entry) -> Result<()>,
    /// The caller's error on its way through the parser.
    refused: &'a mut Option<Error>,
    left: &'a Allowance,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<u64, A::Error> {
        let mut count = 0;
        loop {
            json::renew(self.left);
            let Some(entry) = seq.next_element_seed(OneEntry(self.left))? else {
                return Ok(count);
            };
            let Some(entry) = entry else { continue };
            if let Err(e) = (self.each)(entry) {
                *self.refused = Some(e);
                return Err(A::Error::custom("stopped"));
            }
            count += 1;
        }
    }
}

struct OneEntry<'a>(&'a Allowance);

impl<'de> DeserializeSeed<'de> for OneEntry<'_> {
    type Value = Option<Entry>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneEntry<'_> {
    type Value = Option<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let (mut kind, mut path, mut time) = (None, Vec::new(), None);
        let (mut content, mut meta) = (Content::default(), Content::default());
        let (mut size, mut meta_size) = (None, None);
        let mut name = Vec::new();
        let mut short = Vec::new();
        while json::key(&mut map, self.0, &mut name)? {
            match &*name {
                b"type" => {
                    json::text(&mut map, self.0, &mut short, TEXT_BYTES)?;
                    kind = EntryKind::parse(&short);
                }
                b"path" => {
                    json::text(&mut map, self.0, &mut path, PATH_BYTES)?;
                }
                b"time" => {
                    json::text(&mut map, self.0, &mut short, TEXT_BYTES)?;
                    time = Timestamp::parse_compact(&short);
                }
                b"hash" => content.hash = json::hash(&mut map, self.0)?,
                b"size" => size = json::number(&mut map, self.0)?,
                b"blockhash" => content.block = json::hash(&mut map, self.0)?,
                b"blocklists" => content.lists = json::hashes(&mut map, self.0)?,
                b"metahash" => meta.hash = json::hash(&mut map, self.0)?,
                b"metasize" => meta_size = json::number(&mut map, self.0)?,
                b"metablockhash" => meta.block = json::hash(&mut map, self.0)?,
                b"metablocklists" => meta.lists = json::hashes(&mut map, self.0)?,
                _ => json::ignore(&mut map, self.0)?,
            }
        }
        json::renew(self.0);
        let (Some(kind), false) = (kind, path.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(Entry {
            kind,
            path,
            time,
            content: size
                .filter(|_| kind == EntryKind::File)
                .map(|size| Content { size, ..content }),
            meta: meta_size
                .filter(|_| meta.hash.is_some())
                .map(|size| Content { size, ..meta }),
        }))
    }
}

/// Writes `filelist.json`. The caller chooses the order of entries and keeps paths unique (W11).
#[must_use]
pub(crate) struct ListWriter<W: Write> {
    out: W,
    line: Vec<u8>,
    same_algorithms: bool,
    first: bool,
}

impl<W: Write> ListWriter<W> {
    /// `same_algorithms`: the manifest's `BlockHash` is its `FileHash`.
    pub(crate) fn new(out: W, same_algorithms: bool) -> ListWriter<W> {
        ListWriter {
            out,
            line: [BOM, b"["].concat(),
            same_algorithms,
            first: true,
        }
    }

    /// Writes one entry. A path that is not Unicode is `Unsupported`; an entry that lacks what the format demands (metadata, a
    /// file's content and time, the id of an only block) is a `Bug`.
    pub(crate) fn add(&mut self, entry: &Entry) -> Result<()> {
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
        line.push(b'}');
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&self.line).map_err(unwrap_io)?;
        self.line.clear();
        self.line.shrink_to(PATH_BYTES);
        Ok(())
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
