//! Reading `filelist.json`, in any order of properties.

use std::cell::Cell;
use std::fmt;
use std::io::Read;

use serde_core::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::base::digest::Hash;
use crate::base::error::{Error, Result};
use crate::base::time::Timestamp;
use crate::format::filelist::{Content, Entry, EntryKind, PATH_BYTES};
use crate::format::json::{self, Allowance, Source, TEXT_BYTES};

/// Most block lists of one file: 15 MiB in memory, and encoded with any path below the 16 MiB of a spilled record.
pub(crate) const LISTS_AT_MOST: usize = (15 << 20) / size_of::<Hash>();
/// Most block lists of a metadata blob; the format has one.
const META_LISTS: usize = 16;

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
                b"blocklists" => content.lists = json::hashes(&mut map, self.0, LISTS_AT_MOST)?,
                b"metahash" => meta.hash = json::hash(&mut map, self.0)?,
                b"metasize" => meta_size = json::number(&mut map, self.0)?,
                b"metablockhash" => meta.block = json::hash(&mut map, self.0)?,
                b"metablocklists" => meta.lists = json::hashes(&mut map, self.0, META_LISTS)?,
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
