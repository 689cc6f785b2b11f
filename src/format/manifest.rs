//! The two small JSON entries of a volume: `manifest` (the parameters of the whole destination, `format.md` 6) and `fileset`
//! (whether a version is complete).
//!
//! [`Params`] read here are always usable: block size in bounds, algorithms known. Does not compare volumes with each other.

use std::fmt;
use std::io::Read;

use serde_core::Deserializer as _;
use serde_core::de::{IgnoredAny, MapAccess, Visitor};

use crate::base::digest::Algo;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::format::BOM;

/// Neither entry is ever near this long.
const MAX_BYTES: u64 = 64 << 10;
/// Newest manifest this program knows, and the one it writes.
const VERSION: u8 = 2;
/// `AppVersion` as written. Duplicati does not check it but parses it as a dotted assembly version: this is the release
/// whose volumes ours equal.
const APP_VERSION: &str = "2.1.0.5";
/// Smallest and largest block size Duplicati accepts, in bytes.
const BLOCK_SIZES: std::ops::RangeInclusive<i64> = 1024..=2_147_483_647;

/// The parameters every volume of a destination repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// Bytes, 1 KiB to 2 GiB - 1.
    pub(crate) block_size: u32,
    pub(crate) block_hash: Algo,
    pub(crate) file_hash: Algo,
    /// Manifest version, 1 or 2.
    pub(crate) version: u8,
}

impl Params {
    /// Block ids in one full blocklist (P of `format.md` 7.2); at least 16.
    pub(crate) fn hashes_per_list(&self) -> u32 {
        let hash_len = u32::try_from(self.block_hash.len()).unwrap_or(64).max(1);
        self.block_size / hash_len
    }
}

/// Reads a `manifest` entry: the parameters, and when the volume was made if it says so. `Unsupported` for what a newer
/// program may read, `Damaged` for what none can.
pub(crate) fn read_manifest(src: &mut dyn Read) -> Result<(Params, Option<Timestamp>)> {
    let raw = read_small(src, "manifest")?;
    let found = parse(&raw, "manifest", ManifestVisitor)?;
    let version = found.version.ok_or_else(|| lacks("Version"))?;
    if version > i64::from(VERSION) {
        return Err(unsupported(format!("the manifest has version {version}"))
            .hint("a newer release of this program may read it"));
    }
    let version = u8::try_from(version)
        .ok()
        .filter(|&v| v > 0)
        .ok_or_else(|| Error::damaged("the manifest has no valid version"))?;
    if let Some(encoding) = found.encoding.filter(|e| e != "utf8") {
        let shown = text::safe_cut(encoding.as_bytes(), 40);
        return Err(unsupported(format!(
            "the manifest names the encoding '{shown}'"
        )));
    }
    let size = found.block_size.ok_or_else(|| lacks("Blocksize"))?;
    let block_size = u32::try_from(size)
        .ok()
        .filter(|_| BLOCK_SIZES.contains(&size))
        .ok_or_else(|| {
            unsupported(format!(
                "the manifest has a block size of {size} bytes, outside 1 KiB to 2 GiB"
            ))
        })?;
    let params = Params {
        block_size,
        block_hash: algorithm(found.block_hash, "BlockHash")?,
        file_hash: algorithm(found.file_hash, "FileHash")?,
        version,
    };
    let created = found
        .created
        .and_then(|text| Timestamp::parse_compact(text.as_bytes()));
    Ok((params, created))
}

/// The `manifest` entry of a volume of ours, BOM included.
pub(crate) fn manifest_bytes(params: &Params, created: Timestamp) -> Vec<u8> {
    let json = format!(
        "{{\"Version\":{VERSION},\"Created\":\"{}\",\"Encoding\":\"utf8\",\"Blocksize\":{},\"BlockHash\":\"{}\",\
         \"FileHash\":\"{}\",\"AppVersion\":\"{APP_VERSION}\"}}",
        created.compact(),
        params.block_size,
        params.block_hash.name(),
        params.file_hash.name(),
    );
    [BOM, json.as_bytes()].concat()
}

/// What a list says of its version beside its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fileset {
    /// The version is complete. An unknown or missing key counts as complete.
    pub(crate) full: bool,
    /// Times of the lists in the place of which this one was written, at most [`REPLACES_AT_MOST`]: of the entry [`REPLACES`].
    pub(crate) replaces: Vec<Timestamp>,
}

impl Default for Fileset {
    fn default() -> Fileset {
        Fileset {
            full: true,
            replaces: Vec::new(),
        }
    }
}

/// Lists that one list can name as those it takes the place of: each is a second older, and a minute is all that is tried.
pub(crate) const REPLACES_AT_MOST: usize = 60;

/// The entry of a dlist that names them, one time a line. It is ours, and named as a control file is (`format.md` 10): Duplicati
/// reads past it, and drops it when it writes the list again.
pub(crate) const REPLACES: &[u8] = b"extra/duplet-replaces";

/// Reads a `fileset` entry.
pub(crate) fn read_fileset(src: &mut dyn Read) -> Result<Fileset> {
    let raw = read_small(src, "fileset")?;
    parse(&raw, "fileset", FilesetVisitor)
}

/// Reads the entry [`REPLACES`]. What is no such list of times counts as none.
pub(crate) fn read_replaces(src: &mut dyn Read) -> Result<Vec<Timestamp>> {
    let raw = read_small(src, "list of replaced versions")?;
    let times = raw.split(|b| *b == b'\n');
    Ok(times
        .filter_map(Timestamp::parse_compact)
        .take(REPLACES_AT_MOST)
        .collect())
}

/// The entry [`REPLACES`] of a list that is written in the place of the one of `old`, which itself named those `before`.
pub(crate) fn replacing(mut before: Vec<Timestamp>, old: Timestamp) -> Vec<u8> {
    before.retain(|t| *t != old);
    before.push(old);
    let from = before.len().saturating_sub(REPLACES_AT_MOST);
    let lines = before.iter().skip(from).map(|t| t.compact() + "\n");
    lines.collect::<String>().into_bytes()
}

/// The `fileset` entry, BOM included.
pub(crate) fn fileset_bytes(full: bool) -> Vec<u8> {
    [BOM, format!("{{\"IsFullBackup\":{full}}}").as_bytes()].concat()
}

fn unsupported(cause: String) -> Error {
    Error::new(Kind::Unsupported, cause)
}

fn lacks(key: &str) -> Error {
    Error::damaged(format!("the manifest lacks '{key}'"))
}

fn algorithm(name: Option<String>, key: &str) -> Result<Algo> {
    let name = name.ok_or_else(|| lacks(key))?;
    Algo::parse(&name).ok_or_else(|| {
        let shown = text::safe_cut(name.as_bytes(), 40);
        unsupported(format!("the manifest names the hash algorithm '{shown}'"))
    })
}

fn read_small(src: &mut dyn Read, what: &str) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    src.take(MAX_BYTES + 1)
        .read_to_end(&mut raw)
        .map_err(unwrap_io)?;
    if u64::try_from(raw.len()).is_ok_and(|n| n > MAX_BYTES) {
        return Err(Error::damaged(format!("the {what} is longer than 64 KiB")));
    }
    Ok(raw)
}

fn parse<'de, V: Visitor<'de>>(raw: &'de [u8], what: &str, visitor: V) -> Result<V::Value> {
    let json = raw.strip_prefix(BOM).unwrap_or(raw);
    let mut de = serde_json::Deserializer::from_slice(json);
    let value = de.deserialize_map(visitor);
    value.and_then(|v| de.end().map(|()| v)).map_err(|e| {
        let shown = text::safe_cut(e.to_string().as_bytes(), 120);
        Error::damaged(format!("the {what} is not valid: {shown}"))
    })
}

#[derive(Default)]
struct Found {
    version: Option<i64>,
    created: Option<String>,
    encoding: Option<String>,
    block_size: Option<i64>,
    block_hash: Option<String>,
    file_hash: Option<String>,
}

struct ManifestVisitor;

impl<'de> Visitor<'de> for ManifestVisitor {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "Version" => found.version = Some(map.next_value()?),
                "Created" => {
                    let said = map.next_value::<serde_json::Value>()?;
                    found.created = said.as_str().map(str::to_owned);
                }
                "Encoding" => found.encoding = map.next_value()?,
                "Blocksize" => found.block_size = Some(map.next_value()?),
                "BlockHash" => found.block_hash = map.next_value()?,
                "FileHash" => found.file_hash = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

struct FilesetVisitor;

impl<'de> Visitor<'de> for FilesetVisitor {
    type Value = Fileset;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fileset, A::Error> {
        let mut found = Fileset::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "IsFullBackup" => found.full = map.next_value::<Option<bool>>()?.unwrap_or(true),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::base::bytes;

    const TINY: Params = Params {
        block_size: 1024,
        block_hash: Algo::Sha256,
        file_hash: Algo::Sha256,
        version: 2,
    };

    fn read(text: &str) -> Result<Params> {
        read_manifest(&mut text.as_bytes()).map(|(params, _)| params)
    }

    /// `format.md` 22.
    #[test]
    fn published_manifest_and_fileset() {
        let created = Timestamp::parse_compact(b"20240131T123500Z").unwrap();
        let raw = manifest_bytes(&TINY, created);
        assert_eq!(raw.len(), 144);
        assert_eq!(
            Algo::Sha256.hash(&raw).base64(),
            "T8DttNB9Y9K3YQDesG9SeKrosEDLdZ10hJZp/pHKElM="
        );
        let (params, made) = read_manifest(&mut raw.as_slice()).unwrap();
        assert_eq!((params, made), (TINY, Some(created)));
        assert_eq!(
            bytes::hex(&fileset_bytes(true)),
            "efbbbf7b22497346756c6c4261636b7570223a747275657d"
        );
        assert!(
            read_fileset(&mut fileset_bytes(true).as_slice())
                .unwrap()
                .full
        );
        assert!(
            !read_fileset(&mut fileset_bytes(false).as_slice())
                .unwrap()
                .full
        );
    }

    #[test]
    fn tolerances() {
        // R1: version 1, no AppVersion. R2: no BOM. R19: other sizes and algorithms. R25: unknown keys.
        let p = read(
            r#" {"Version":1,"Created":"x","Encoding":"utf8","Blocksize":102400,"BlockHash":"MD5","FileHash":"SHA512","Extra":[{"a":null}]} "#,
        )
        .unwrap();
        assert_eq!(
            p,
            Params {
                block_size: 102_400,
                block_hash: Algo::Md5,
                file_hash: Algo::Sha512,
                version: 1
            }
        );
        for created in ["null", "7", "\"yesterday\"", "[{}]"] {
            let text = format!(
                r#"{{"Version":2,"Created":{created},"Blocksize":1024,"BlockHash":"SHA256","FileHash":"SHA256"}}"#
            );
            let (params, made) = read_manifest(&mut text.as_bytes()).unwrap();
            assert_eq!((params, made), (TINY, None), "{created}");
        }
        for text in ["{}", r#"{"IsFullBackup":null}"#, r#"{"Other":3}"#] {
            let said = read_fileset(&mut text.as_bytes()).unwrap();
            assert_eq!(said, Fileset::default(), "{text}");
        }
        assert!(read_fileset(&mut &b"{\"IsFullBackup\":1}"[..]).is_err());
    }

    #[test]
    fn a_list_names_those_in_the_place_of_which_it_was_written() {
        let once = replacing(Vec::new(), Timestamp(500));
        assert_eq!(once, b"19700101T000820Z\n");
        let read = |raw: &[u8]| read_replaces(&mut &*raw).unwrap();
        let twice = replacing(read(&once), Timestamp(501));
        let same = replacing(read(&twice), Timestamp(501));
        assert_eq!(read(&same), [Timestamp(500), Timestamp(501)]);
        let mut long = same;
        for second in 100..200 {
            long = replacing(read(&long), Timestamp(second));
        }
        assert_eq!(read(&long).len(), REPLACES_AT_MOST);
        assert_eq!(read(&long).last(), Some(&Timestamp(199)));
        for raw in ["", "\n\n", "x", "{}", "yesterday\n", "\u{feff}[]"] {
            assert_eq!(read(raw.as_bytes()), [], "{raw:?}");
        }
        assert!(read_replaces(&mut vec![b'1'; 70_000].as_slice()).is_err());
    }

    #[test]
    fn ids_in_a_blocklist() {
        for (block_size, block_hash, want) in [
            (1_048_576, Algo::Sha256, 32_768),
            (102_400, Algo::Sha256, 3_200),
            (1024, Algo::Sha512, 16),
            (1024, Algo::Sha384, 21),
        ] {
            let p = Params {
                block_size,
                block_hash,
                ..TINY
            };
            assert_eq!(p.hashes_per_list(), want);
        }
    }

    #[test]
    fn refusals() {
        let with = |version: &str, encoding: &str, size: &str, hash: &str| {
            read(&format!(
                r#"{{"Version":{version},"Encoding":{encoding},"Blocksize":{size},"BlockHash":{hash},"FileHash":"SHA256"}}"#
            ))
        };
        let ok = ("2", "\"utf8\"", "1024", "\"SHA256\"");
        assert!(with(ok.0, ok.1, ok.2, ok.3).is_ok());
        for (result, kind) in [
            (with("3", ok.1, ok.2, ok.3), Kind::Unsupported),
            (with("0", ok.1, ok.2, ok.3), Kind::Damaged),
            (with("\"2\"", ok.1, ok.2, ok.3), Kind::Damaged),
            (with(ok.0, "\"utf16\"", ok.2, ok.3), Kind::Unsupported),
            (with(ok.0, ok.1, "0", ok.3), Kind::Unsupported),
            (with(ok.0, ok.1, "-1", ok.3), Kind::Unsupported),
            (with(ok.0, ok.1, "1023", ok.3), Kind::Unsupported),
            (with(ok.0, ok.1, "2147483648", ok.3), Kind::Unsupported),
            (with(ok.0, ok.1, "1e99", ok.3), Kind::Damaged),
            (with(ok.0, ok.1, ok.2, "\"sha256\""), Kind::Unsupported),
            (with(ok.0, ok.1, ok.2, "null"), Kind::Damaged),
            (read("{}"), Kind::Damaged),
            (read(""), Kind::Damaged),
            (read("[]"), Kind::Damaged),
            (read(&"[".repeat(60_000)), Kind::Damaged),
            (
                read(&format!("{{\"x\":{}", "[".repeat(60_000))),
                Kind::Damaged,
            ),
            (read(&" ".repeat(65_537)), Kind::Damaged),
        ] {
            let e = result.unwrap_err();
            assert_eq!(e.kind(), kind, "{e}");
        }
    }

    #[test]
    fn cut_and_changed_bytes_never_panic() {
        let raw = manifest_bytes(&TINY, Timestamp(0));
        for cut in 0..raw.len() {
            assert!(read_manifest(&mut &raw[..cut]).is_err(), "{cut}");
        }
        let mut seed = 3u64;
        for _ in 0..20_000 {
            let mut copy = raw.clone();
            for _ in 0..2 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from(seed >> 33).unwrap() % copy.len();
                copy[at] = seed.to_be_bytes()[2];
            }
            if let Ok((p, _)) = read_manifest(&mut copy.as_slice()) {
                assert!(p.hashes_per_list() >= 16 && p.version <= 2);
            }
        }
    }
}
