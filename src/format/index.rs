//! What is inside a dindex and how blocks are named inside a dblock (`format.md` 8 and 9).
//!
//! Reading takes any order of keys; writing gives the one order that Duplicati's reader understands. Memory is one block entry.

use std::cell::Cell;
use std::fmt;
use std::io::{Read, Write};

use serde_core::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::base::digest::Hash;
use crate::base::error::{Error, Result, unwrap_io};
use crate::format::json::{self, Allowance, Source};

const VOL_FOLDER: &str = "vol/";
const LIST_FOLDER: &str = "list/";

/// What a `vol/` entry says of its dblock as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VolFacts {
    /// Hash of the file as uploaded, by SHA256 or the manifest's `FileHash`; `None` in an abandoned volume.
    pub(crate) hash: Option<Hash>,
    /// Length of the file as uploaded, in bytes.
    pub(crate) size: Option<u64>,
}

/// Hands over id and length in bytes of every block of a `vol/` entry. Zero-size blocks and items without hash or size are
/// passed over (R23). A fault in the JSON is `Damaged`, after everything before it was handed over.
pub(crate) fn read_vol(
    src: &mut dyn Read,
    each: &mut dyn FnMut(Hash, u64) -> Result<()>,
) -> Result<VolFacts> {
    let left = Cell::new(0);
    let source = Source::new(src, &left)?;
    let mut refused = None;
    let mut parser = serde_json::Deserializer::from_reader(source);
    let vol = Vol(Blocks {
        each,
        refused: &mut refused,
        left: &left,
    });
    let done = parser.deserialize_map(vol).and_then(|facts| {
        json::renew(&left);
        parser.end().map(|()| facts)
    });
    match (done, refused) {
        (_, Some(ours)) => Err(ours),
        (done, None) => done.map_err(|e| json::failure(e, "an index volume")),
    }
}

struct Vol<'a>(Blocks<'a>);

impl<'de> Visitor<'de> for Vol<'_> {
    type Value = VolFacts;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(
        mut self,
        mut map: A,
    ) -> std::result::Result<VolFacts, A::Error> {
        let left = self.0.left;
        let mut facts = VolFacts::default();
        let mut name = Vec::new();
        while json::key(&mut map, left, &mut name)? {
            match &*name {
                b"blocks" => {
                    json::renew(left);
                    map.next_value_seed(&mut self.0)?;
                }
                b"volumehash" => facts.hash = json::hash(&mut map, left)?,
                b"volumesize" => facts.size = json::number(&mut map, left)?,
                _ => json::ignore(&mut map, left)?,
            }
        }
        json::renew(left);
        Ok(facts)
    }
}

struct Blocks<'a> {
    each: &'a mut dyn FnMut(Hash, u64) -> Result<()>,
    /// The caller's error on its way through the parser.
    refused: &'a mut Option<Error>,
    left: &'a Allowance,
}

impl<'de> DeserializeSeed<'de> for &mut Blocks<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Blocks<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of blocks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        loop {
            json::renew(self.left);
            let Some(block) = seq.next_element_seed(OneBlock(self.left))? else {
                return Ok(());
            };
            let Some((hash, size)) = block else { continue };
            if let Err(e) = (self.each)(hash, size) {
                *self.refused = Some(e);
                return Err(A::Error::custom("stopped"));
            }
        }
    }
}

struct OneBlock<'a>(&'a Allowance);

impl<'de> DeserializeSeed<'de> for OneBlock<'_> {
    type Value = Option<(Hash, u64)>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneBlock<'_> {
    type Value = Option<(Hash, u64)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a block")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let (mut hash, mut size) = (None, None);
        let mut name = Vec::new();
        while json::key(&mut map, self.0, &mut name)? {
            match &*name {
                b"hash" => hash = json::hash(&mut map, self.0)?,
                b"size" => size = json::number(&mut map, self.0)?,
                _ => json::ignore(&mut map, self.0)?,
            }
        }
        json::renew(self.0);
        Ok(hash.zip(size.filter(|&n| n > 0)))
    }
}

/// Writes a `vol/` entry: all blocks, then what only the finished dblock knows (W13).
#[must_use]
pub(crate) struct VolWriter<W: Write> {
    out: W,
    piece: Vec<u8>,
    first: bool,
}

impl<W: Write> VolWriter<W> {
    pub(crate) fn new(out: W) -> VolWriter<W> {
        VolWriter {
            out,
            piece: b"{\"blocks\":[".to_vec(),
            first: true,
        }
    }

    /// `size`: length of the block in bytes.
    pub(crate) fn add(&mut self, hash: &Hash, size: u32) -> Result<()> {
        if !std::mem::take(&mut self.first) {
            self.piece.push(b',');
        }
        let item = format!("{{\"hash\":\"{}\",\"size\":{size}}}", hash.base64());
        self.piece.extend_from_slice(item.as_bytes());
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(&self.piece).map_err(unwrap_io)?;
        self.piece.clear();
        Ok(())
    }

    /// Hash and length in bytes of the dblock as uploaded. Without a hash an empty text stands there: no Duplicati compares
    /// it (`format.md` 9).
    pub(crate) fn finish(mut self, volume_hash: Option<&Hash>, volume_size: u64) -> Result<W> {
        let hash = volume_hash.map(Hash::base64).unwrap_or_default();
        let end = format!("],\"volumehash\":\"{hash}\",\"volumesize\":{volume_size}}}");
        self.piece.extend_from_slice(end.as_bytes());
        self.flush()?;
        Ok(self.out)
    }
}

/// Name of the `vol/` entry of a dblock.
pub(crate) fn vol_name(dblock: &str) -> Vec<u8> {
    [VOL_FOLDER, dblock].concat().into_bytes()
}

/// Name of the copy of a block list.
pub(crate) fn list_name(list: &Hash) -> Vec<u8> {
    [LIST_FOLDER, &list.base64_url()].concat().into_bytes()
}

/// Name of a block in a dblock.
pub(crate) fn block_name(block: &Hash) -> Vec<u8> {
    block.base64_url().into_bytes()
}

/// The block of a dblock's entry; `None` for `manifest` and every name that is no block's.
pub(crate) fn parse_block_name(name: &[u8]) -> Option<Hash> {
    if name == b"manifest" || name.iter().any(|c| matches!(c, b'+' | b'/')) {
        return None;
    }
    Hash::from_base64(name)
}

/// An entry of a dindex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexEntry<'a> {
    Manifest,
    /// Describes the dblock of this file name.
    Vol(&'a str),
    /// Copy of the block list with this id.
    List(Hash),
}

/// What an entry of a dindex is, by its name; `None` is to be passed over. `\` counts as `/` (R6).
pub(crate) fn parse_index_entry(name: &[u8]) -> Option<IndexEntry<'_>> {
    let inside = |folder: &str| {
        let (stem, slash) = folder.as_bytes().split_at_checked(folder.len() - 1)?;
        let rest = name.strip_prefix(stem)?;
        let rest = rest.strip_prefix(slash).or(rest.strip_prefix(b"\\"))?;
        (!rest.is_empty() && !rest.iter().any(|c| matches!(c, b'/' | b'\\'))).then_some(rest)
    };
    if name == b"manifest" {
        return Some(IndexEntry::Manifest);
    }
    if let Some(dblock) = inside(VOL_FOLDER) {
        return std::str::from_utf8(dblock).ok().map(IndexEntry::Vol);
    }
    parse_block_name(inside(LIST_FOLDER)?).map(IndexEntry::List)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;
    use crate::base::error::Kind;

    fn read(json: &[u8]) -> (Result<VolFacts>, Vec<(Hash, u64)>) {
        let mut blocks = Vec::new();
        let mut src = json;
        let facts = read_vol(&mut src, &mut |h, n| {
            blocks.push((h, n));
            Ok(())
        });
        (facts, blocks)
    }

    fn write(blocks: &[(Hash, u64)], hash: &Hash, size: u64) -> Vec<u8> {
        let mut w = VolWriter::new(Vec::new());
        for (h, n) in blocks {
            w.add(h, u32::try_from(*n).expect("small")).expect("add");
        }
        w.finish(Some(hash), size).expect("finish")
    }

    /// `format.md` 22.
    #[test]
    fn published_volume() {
        let blocks: Vec<(Hash, u64)> = [
            ("arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=", 1024),
            ("m2zlXzeel3FVHeaTlVan5rlJgUrifC9c/V2+s3jOfCo=", 1024),
            ("KrDlb/SN4nQBDl8MTcbOh8QB8Rip9QX8y4KIVtB40NI=", 512),
            ("KH4CLxHrSGsEWwN+ackRxuIXGoig9yVDhCCfEydhtAs=", 96),
            ("qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=", 12),
            ("ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=", 200),
            ("Et2VKLqmX6w1N5FRf5Bt1EQoyA6wDFiFilh40lvtMa0=", 235),
            ("f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=", 197),
        ]
        .into_iter()
        .map(|(h, n)| (Hash::from_base64(h.as_bytes()).expect("hash"), n))
        .collect();
        let volume = Algo::Sha256.hash(b"");
        let json = write(&blocks, &volume, 52_300_000);
        let want = concat!(
            r#"{"blocks":[{"hash":"arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=","size":1024},{"hash":"m2zlXzeel3FVHeaTlVan5rlJgUrifC9c/V2+s3jOfCo=","size":1024},{"hash":"KrDlb/SN4nQBDl8MTcbOh8QB8Rip9QX8y4KIVtB40NI=","size":512},{"hash":"KH4CLxHrSGsEWwN+ackRxuIXGoig9yVDhCCfEydhtAs=","size":96},{"hash":"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=","size":12},{"hash":"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=","size":200},{"hash":"Et2VKLqmX6w1N5FRf5Bt1EQoyA6wDFiFilh40lvtMa0=","size":235},{"hash":"f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=","size":197}],"#,
            r#""volumehash":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","volumesize":52300000}"#
        );
        assert_eq!(String::from_utf8(json.clone()).expect("text"), want);
        let facts = VolFacts {
            hash: Some(volume),
            size: Some(52_300_000),
        };
        for input in [json.clone(), [b"\xef\xbb\xbf", &*json].concat()] {
            let (got, items) = read(&input);
            assert_eq!(got.expect("read"), facts);
            assert_eq!(items, blocks);
        }
        for cut in 0..json.len() {
            assert_eq!(read(&json[..cut]).0.expect_err("cut").kind(), Kind::Damaged);
        }
        for at in 0..json.len() {
            for bit in 0..8 {
                let mut bad = json.clone();
                bad[at] ^= 1 << bit;
                if let (Err(e), _) = read(&bad) {
                    assert_eq!(e.kind(), Kind::Damaged);
                }
            }
        }
    }

    #[test]
    fn other_orders_and_odd_items() {
        let (facts, items) = read(
            br#" {"volumesize":7,"x":[{}],"volumehash":null,"blocks":[
                {"size":3,"hash":"arcu6553sHVAiX4MjW0j7I7vD4w6R-Gz9Ok0Q9lTa-0=","more":{"a":[]}},
                {"hash":"arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=","size":0},
                {"hash":"","size":5},{"hash":null,"size":5},{"size":5},
                {"hash":"arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=","size":-5},{}]} "#,
        );
        let facts = facts.expect("read");
        assert_eq!((facts.hash, facts.size), (None, Some(7)));
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].1, 3);
        let (facts, items) = read(br#"{"blocks":[]}"#);
        assert_eq!(facts.expect("abandoned"), VolFacts::default());
        assert!(items.is_empty());
        for bad in [
            "",
            "[]",
            "null",
            "{}x",
            r#"{"blocks":{}}"#,
            r#"{"blocks":[{"hash":"AAAA","size":1}]}"#,
        ] {
            assert_eq!(read(bad.as_bytes()).0.expect_err(bad).kind(), Kind::Damaged);
        }
    }

    #[test]
    fn the_callers_error_comes_out_as_it_was() {
        let json = write(&[(Algo::Md5.hash(b""), 5)], &Algo::Md5.hash(b""), 1);
        let stop = |_, _| Err(Error::new(Kind::NoSpace, "full"));
        let e = read_vol(&mut &*json, &mut { stop }).expect_err("stopped");
        assert_eq!((e.kind(), e.to_string()), (Kind::NoSpace, "full".into()));
    }

    #[test]
    fn names_both_ways() {
        let hash = Algo::Sha256.hash(b"duplet 12");
        let id = "tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss=";
        assert_eq!(block_name(&hash), id.as_bytes());
        assert_eq!(parse_block_name(id.as_bytes()), Some(hash));
        assert_eq!(list_name(&hash), format!("list/{id}").as_bytes());
        let dblock = "duplicati-b01.dblock.zip.aes";
        assert_eq!(vol_name(dblock), format!("vol/{dblock}").as_bytes());
        for (name, want) in [
            ("manifest", Some(IndexEntry::Manifest)),
            (
                "vol/duplicati-b01.dblock.zip.aes",
                Some(IndexEntry::Vol(dblock)),
            ),
            (
                "vol\\duplicati-b01.dblock.zip.aes",
                Some(IndexEntry::Vol(dblock)),
            ),
            (
                "list/tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss=",
                Some(IndexEntry::List(hash)),
            ),
            (
                "list\\tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss=",
                Some(IndexEntry::List(hash)),
            ),
            ("list/tmfnS/6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss=", None),
            ("list/manifest", None),
            ("list/", None),
            ("vol/", None),
            ("vol/a/b", None),
            ("vol", None),
            ("Manifest", None),
            ("", None),
        ] {
            assert_eq!(parse_index_entry(name.as_bytes()), want, "{name}");
        }
        assert_eq!(parse_index_entry(b"vol/\xff"), None);
        for bad in [
            "manifest",
            "",
            "AAAA",
            "tmfnS/6MpI3WUX2X5fYYTMP/f8JhMjxLc2h+VDllUss=",
            "tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss",
            "filelist.json",
            "list/tmfnS_6MpI3WUX2X5fYYTMP_f8JhMjxLc2h-VDllUss=",
        ] {
            assert_eq!(parse_block_name(bad.as_bytes()), None, "{bad}");
        }
        for algo in [Algo::Md5, Algo::Sha1, Algo::Sha384, Algo::Sha512] {
            let hash = algo.hash(b"x");
            assert_eq!(parse_block_name(&block_name(&hash)), Some(hash));
        }
    }
}
