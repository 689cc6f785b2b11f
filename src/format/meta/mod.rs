//! The metadata blob of a file, folder or link (`format.md` 11): [`Attrs`] to bytes and back.
//!
//! Writing is byte for byte what Duplicati writes on Linux, so that unchanged metadata keeps its hash. Reading takes whatever
//! was seen in the wild: a value that makes no sense is as good as absent. Applying attributes is not done here.

mod attributes;

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::base::bytes;
use crate::base::error::{Error, Result};
use crate::base::json::push_string;
use crate::base::text;
use crate::format::BOM;
pub(crate) use attributes::{Attributes, Looker, read_only};

/// The blob of no metadata.
pub(crate) const EMPTY_BLOB: &[u8] = b"\xef\xbb\xbf{}";

const XATTR: &[u8] = b"unix-ext:";
const OWNER: &[u8] = b"unix:uid-gid-perm";
const OWNER_NAME: &[u8] = b"unix:owner-name";
const GROUP_NAME: &[u8] = b"unix:group-name";
const ATTRIBUTES: &[u8] = b"CoreAttributes";
const MODIFIED: &[u8] = b"CoreLastWritetime";
const CREATED: &[u8] = b"CoreCreatetime";
const TARGET: &[u8] = b"CoreSymlinkTarget";

/// User, group and permissions by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The lower nine bits of the mode; others are not written.
    pub(crate) mode: u32,
}

impl Owner {
    /// Three decimal numbers joined by hyphens.
    fn parse(text: &str) -> Option<Owner> {
        let mut parts = text.split('-').map(str::parse::<u32>);
        let mut number = || parts.next()?.ok();
        let owner = Owner {
            uid: number()?,
            gid: number()?,
            mode: number()?,
        };
        parts.next().is_none().then_some(owner)
    }
}

/// What a blob says; everything may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attrs {
    /// Extended attributes, name and value, in the order of the kernel. Names are as it lists them; empty values are not kept.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) owner: Option<Owner>,
    pub(crate) owner_name: Option<String>,
    pub(crate) group_name: Option<String>,
    pub(crate) attributes: Option<Attributes>,
    /// Ticks, never 0.
    pub(crate) modified: Option<i64>,
    /// Ticks, never 0.
    pub(crate) created: Option<i64>,
    /// Text of a link, exactly.
    pub(crate) symlink: Option<Vec<u8>>,
}

impl Attrs {
    /// The blob, byte order mark included. Extended attributes whose name is not UTF-8 cannot be represented and are left out.
    pub(crate) fn to_blob(&self) -> Vec<u8> {
        let mut out = [BOM, b"{"].concat();
        for (name, value) in &self.xattrs {
            if !value.is_empty() && std::str::from_utf8(name).is_ok() {
                let key = [XATTR, name].concat();
                push_pair(&mut out, &key, bytes::base64(value).as_bytes());
            }
        }
        if let Some(o) = self.owner {
            let text = format!("{}-{}-{}", o.uid, o.gid, o.mode & 0o777);
            push_pair(&mut out, OWNER, text.as_bytes());
        }
        for (key, name) in [
            (OWNER_NAME, &self.owner_name),
            (GROUP_NAME, &self.group_name),
        ] {
            if let Some(name) = name {
                push_pair(&mut out, key, name.as_bytes());
            }
        }
        if let Some(a) = self.attributes {
            push_pair(&mut out, ATTRIBUTES, a.to_string().as_bytes());
        }
        for (key, ticks) in [(MODIFIED, self.modified), (CREATED, self.created)] {
            if let Some(ticks) = ticks {
                push_pair(&mut out, key, ticks.to_string().as_bytes());
            }
        }
        if let Some(target) = &self.symlink {
            push_pair(&mut out, TARGET, target);
        }
        out.push(b'}');
        out
    }

    /// Reads a blob; its length is the caller's to limit, memory is about as much again. What is not a JSON object is
    /// `Damaged`.
    pub(crate) fn parse(blob: &[u8]) -> Result<Attrs> {
        let json = blob.strip_prefix(BOM).unwrap_or(blob);
        // Texts as bytes keep lone surrogates; the second way takes values of any type instead.
        [false, true]
            .into_iter()
            .map(|any| {
                let mut parser = serde_json::Deserializer::from_slice(json);
                let attrs = parser.deserialize_map(Blob { any })?;
                parser.end().map(|()| attrs)
            })
            .reduce(|strict, any| strict.or(any))
            .unwrap_or_else(|| Ok(Attrs::default()))
            .map_err(|e| {
                let cause = text::safe_cut(e.to_string().as_bytes(), 160);
                Error::damaged(cause).doing("read metadata")
            })
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>) {
        let as_text = || std::str::from_utf8(&value).ok();
        let name = || as_text().filter(|n| !n.is_empty()).map(str::to_owned);
        let ticks = || as_text()?.trim().parse::<i64>().ok().filter(|&t| t != 0);
        match key {
            OWNER => self.owner = as_text().and_then(Owner::parse),
            OWNER_NAME => self.owner_name = name(),
            GROUP_NAME => self.group_name = name(),
            ATTRIBUTES => self.attributes = as_text().and_then(Attributes::parse),
            MODIFIED => self.modified = ticks(),
            CREATED => self.created = ticks(),
            TARGET => self.symlink = Some(value).filter(|t| !t.is_empty()),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR)
                    && !name.is_empty()
                    && let Some(value) = bytes::base64_decode(&value)
                {
                    self.xattrs.push((name.to_vec(), value));
                }
            }
        }
    }
}

fn push_pair(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    push_string(out, key);
    out.push(b':');
    push_string(out, value);
}

/// Bytes that an extended attribute adds to a blob which holds something else, too.
pub(crate) fn xattr_len((name, value): &(Vec<u8>, Vec<u8>)) -> u64 {
    let mut out = Vec::new();
    push_string(&mut out, &[XATTR, name].concat());
    // Base64 in quotes, a colon and a comma.
    out.len() as u64 + (value.len() as u64).div_ceil(3) * 4 + 4
}

struct Blob {
    any: bool,
}

impl<'de> Visitor<'de> for Blob {
    type Value = Attrs;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Attrs, A::Error> {
        let mut attrs = Attrs::default();
        while let Some(key) = map.next_key_seed(Value { any: false })? {
            let key = key.unwrap_or_default();
            let known = key.starts_with(XATTR)
                || [
                    OWNER, OWNER_NAME, GROUP_NAME, ATTRIBUTES, MODIFIED, CREATED, TARGET,
                ]
                .contains(&&*key);
            if !known {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(value) = map.next_value_seed(Value { any: self.any })? {
                attrs.set(&key, value);
            }
        }
        Ok(attrs)
    }
}

/// A text as bytes; with `any`, a whole number as its digits and `None` for every other value.
struct Value {
    any: bool,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<Vec<u8>>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        if self.any {
            from.deserialize_any(self)
        } else {
            from.deserialize_option(self)
        }
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_none<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(
        self,
        from: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        from.deserialize_bytes(self)
    }

    fn visit_bytes<E>(self, text: &[u8]) -> std::result::Result<Self::Value, E> {
        Ok(Some(text.to_vec()))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
        Ok(Some(text.as_bytes().to_vec()))
    }

    fn visit_u64<E>(self, n: u64) -> std::result::Result<Self::Value, E> {
        Ok(Some(n.to_string().into_bytes()))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: serde_core::de::SeqAccess<'de>>(
        self,
        mut seq: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;
    use crate::base::time::ticks_from_unix;

    fn text(blob: &[u8]) -> String {
        String::from_utf8(blob[3..].to_vec()).expect("text")
    }

    fn alice(mode: u32, attributes: u32) -> Attrs {
        Attrs {
            owner: Some(Owner {
                uid: 1000,
                gid: 1000,
                mode,
            }),
            owner_name: Some("alice".into()),
            group_name: Some("alice".into()),
            attributes: Some(Attributes(attributes)),
            modified: Some(ticks_from_unix(1_706_704_496, 123_456_700)),
            created: Some(638_423_012_000_000_000),
            ..Attrs::default()
        }
    }

    /// `format.md` 22.
    #[test]
    fn published_blobs() {
        let link = Attrs {
            symlink: Some(b"hello.txt".to_vec()),
            ..alice(0o777, Attributes::REPARSE_POINT)
        };
        for (attrs, len, hash) in [
            (
                Attrs::default(),
                5,
                "qiXpeARtaA74dA2Dfm3lvB4qLcYInb2hASVEtTjVP2U=",
            ),
            (
                alice(0o644, Attributes::NORMAL),
                197,
                "f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=",
            ),
            (
                alice(0o755, Attributes::DIRECTORY),
                200,
                "ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=",
            ),
            (link, 235, "Et2VKLqmX6w1N5FRf5Bt1EQoyA6wDFiFilh40lvtMa0="),
        ] {
            let blob = attrs.to_blob();
            assert_eq!(blob.len(), len);
            assert_eq!(Algo::Sha256.hash(&blob).base64(), hash);
            assert_eq!(Attrs::parse(&blob).expect("parse"), attrs);
            assert_eq!(Attrs::parse(&blob[3..]).expect("no mark"), attrs);
        }
        assert_eq!(Attrs::default().to_blob(), EMPTY_BLOB);
    }

    /// Blobs that Duplicati 2.0.8.1 wrote for the files of a small tree; each must come out as it went in.
    #[test]
    fn spelled_as_duplicati_does() {
        for blob in [
            r#"{"unix:uid-gid-perm":"0-0-511","unix:owner-name":"root","unix:group-name":"root","CoreAttributes":"Directory, ReparsePoint","CoreLastWritetime":"639309580768205122","CoreCreatetime":"639309580768205122","CoreSymlinkTarget":"sub"}"#,
            r#"{"unix-ext:user.tag":"eA==","unix:uid-gid-perm":"0-0-420","unix:owner-name":"root","unix:group-name":"root","CoreAttributes":"Normal","CoreLastWritetime":"636355968000000000","CoreCreatetime":"636355968000000000"}"#,
            r#"{"unix:uid-gid-perm":"0-0-420","unix:owner-name":"root","unix:group-name":"root","CoreAttributes":"Hidden","CoreLastWritetime":"639309580768108403","CoreCreatetime":"639309580768108403"}"#,
        ] {
            let attrs = Attrs::parse(blob.as_bytes()).expect("parse");
            assert_eq!(text(&attrs.to_blob()), blob);
        }
    }

    #[test]
    fn several_xattrs_in_the_order_given_and_only_what_can_be_kept() {
        let attrs = Attrs {
            xattrs: vec![
                (b"user.b".to_vec(), vec![0xfb, 0xff]),
                (b"user.empty".to_vec(), vec![]),
                (b"user.\xff".to_vec(), vec![1]),
                (b"system.posix_acl_access".to_vec(), vec![2, 0]),
            ],
            owner: Some(Owner {
                uid: 0,
                gid: u32::MAX,
                mode: 0o104_755,
            }),
            symlink: Some("a\"\\/é\u{2028}".as_bytes().to_vec()),
            ..Attrs::default()
        };
        assert_eq!(
            text(&attrs.to_blob()),
            "{\"unix-ext:user.b\":\"+/8=\",\"unix-ext:system.posix_acl_access\":\"AgA=\",\
             \"unix:uid-gid-perm\":\"0-4294967295-493\",\"CoreSymlinkTarget\":\"a\\\"\\\\/é\\u2028\"}"
        );
    }

    #[test]
    fn whatever_was_seen_in_the_wild_is_taken() {
        let none = Attrs::default();
        for blob in [
            "{}",
            " { } ",
            r#"{"unix:uid-gid-perm":null,"CoreLastWritetime":null,"unix-ext:user.x":null}"#,
            r#"{"gsuite:x":{"a":[1,2,{"b":null}]},"win-ext:accessrules":"[]"}"#,
            r#"{"CoreLastWritetime":"0","CoreCreatetime":"yesterday","CoreAttributes":"?"}"#,
            r#"{"unix:uid-gid-perm":"1-2","unix-ext:":"eA==","unix-ext:user.x":"eA="}"#,
            r#"{"unix:uid-gid-perm":"1-2-3-4"}"#,
            r#"{"unix:uid-gid-perm":"-1-2-3","unix:owner-name":"","CoreSymlinkTarget":""}"#,
            r#"{"unix:uid-gid-perm":[1,[2]],"CoreAttributes":{"a":1},"CoreCreatetime":1.5,"unix:owner-name":true,"unix:group-name":-3}"#,
        ] {
            assert_eq!(Attrs::parse(blob.as_bytes()).expect(blob), none, "{blob}");
        }
        let odd = r#"{"CoreAttributes":18,"CoreLastWritetime":5,"x":1,"CoreSymlinkTarget":"\/t"}"#;
        let odd = Attrs::parse(odd.as_bytes()).expect("numbers");
        assert_eq!(odd.attributes, Some(Attributes(18)));
        assert_eq!(odd.modified, Some(5));
        assert_eq!(odd.symlink.as_deref(), Some(&b"/t"[..]));
        let lone = Attrs::parse(br#"{"CoreSymlinkTarget":"a\ud800b","\udc00":""}"#).expect("lone");
        assert_eq!(lone.symlink.as_deref(), Some(&b"a\xed\xa0\x80b"[..]));
        for bad in ["", "[]", "null", "{", "{\"a\"}", "{}x", "\u{feff}"] {
            assert!(Attrs::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_truncation_or_flip_panics() {
        let blob = Attrs {
            xattrs: vec![(b"user.x".to_vec(), vec![1, 2, 3])],
            symlink: Some(b"t".to_vec()),
            ..alice(0o644, 3)
        }
        .to_blob();
        for cut in 0..blob.len() {
            assert!(Attrs::parse(&blob[..cut]).is_err(), "{cut}");
        }
        let mut accepted = 0;
        for at in 0..blob.len() {
            for bit in 0..8 {
                let mut bad = blob.clone();
                bad[at] ^= 1 << bit;
                accepted += u32::from(Attrs::parse(&bad).is_ok());
            }
        }
        assert!(accepted > 0);
    }
}
