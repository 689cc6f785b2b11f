//! An [`Entry`] of a version and its compact form, whose byte order is the order of paths.
//!
//! Nothing here checks a path or a hash; see `filelist` for the JSON.

use crate::base::bytes::Cursor;
use crate::base::digest::Hash;
use crate::base::time::Timestamp;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntryKind {
    File,
    Folder,
    Symlink,
}

impl EntryKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            EntryKind::File => "File",
            EntryKind::Folder => "Folder",
            EntryKind::Symlink => "Symlink",
        }
    }

    /// `None` for a type that is to be passed over (R25).
    pub(super) fn parse(word: &[u8]) -> Option<EntryKind> {
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
    out.push(hash.map_or(0, Hash::len_octet));
    out.extend_from_slice(hash.map_or(&[][..], Hash::as_bytes));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;

    fn content(size: u64, lists: usize) -> Content {
        Content {
            hash: Some(Algo::Sha512.hash(b"whole")),
            size,
            block: (lists == 0).then(|| Algo::Md5.hash(b"block")),
            lists: vec![Algo::Sha256.hash(b"list"); lists],
        }
    }

    fn entry(path: &[u8]) -> Entry {
        Entry {
            kind: EntryKind::File,
            path: path.to_vec(),
            time: Some(Timestamp(-5)),
            content: Some(content(1 << 40, 3)),
            meta: Some(content(5, 0)),
        }
    }

    fn encoded(e: &Entry) -> Vec<u8> {
        let mut out = Vec::new();
        e.encode(&mut out);
        out
    }

    #[test]
    fn byte_order_is_path_order() {
        let paths: [&[u8]; 9] = [
            b"", b"\0", b"\0\xff", b"a", b"a\0", b"a\0b", b"a\x01", b"a/", b"a/b",
        ];
        let records: Vec<Vec<u8>> = paths.iter().map(|p| encoded(&entry(p))).collect();
        assert!(records.is_sorted());
        for (path, record) in paths.iter().zip(&records) {
            assert_eq!(Entry::decode(record), Some(entry(path)));
        }
    }

    #[test]
    fn every_form_comes_back_and_nothing_else_is_taken() {
        for kind in [EntryKind::File, EntryKind::Folder, EntryKind::Symlink] {
            for has in 0..8 {
                let e = Entry {
                    kind,
                    path: "/h/é".into(),
                    time: (has & 1 != 0).then_some(Timestamp(i64::MAX)),
                    content: (has & 2 != 0).then(|| content(0, 0)),
                    meta: (has & 4 != 0).then(Content::default),
                };
                let record = encoded(&e);
                assert_eq!(Entry::decode(&record), Some(e));
                for cut in 0..record.len() {
                    assert_eq!(Entry::decode(&record[..cut]), None);
                }
                assert_eq!(Entry::decode(&[&*record, b"x"].concat()), None);
            }
        }
        // A count of lists that is not there costs no memory.
        let mut record = encoded(&entry(b"a"));
        for at in 0..record.len() {
            for bit in 0..8 {
                record[at] ^= 1 << bit;
                if let Some(e) = Entry::decode(&record) {
                    assert_eq!(encoded(&e), record);
                }
                record[at] ^= 1 << bit;
            }
        }
    }

    /// `format.md` 10.1, reader rule.
    #[test]
    fn the_only_block() {
        let (whole, id) = (Algo::Sha512.hash(b"whole"), Algo::Md5.hash(b"block"));
        let plain = Content {
            block: None,
            ..content(7, 0)
        };
        for (c, same, want) in [
            (content(0, 0), true, None),
            (content(7, 2), true, None),
            (content(7, 0), true, Some(id)),
            (content(7, 0), false, Some(id)),
            (plain.clone(), true, Some(whole)),
            (plain, false, None),
        ] {
            assert_eq!(c.single(same), want);
        }
    }
}
