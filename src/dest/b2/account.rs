//! The reply to `b2_authorize_account` in the shapes of versions 2 to 4 (`destinations-core.md` 5.2), and what the key may do.

use std::io::{self, Read};

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::b2::config::base_url;
use crate::net::json;
use crate::net::service::rows::{self, Row};

/// Capabilities kept, far more than there are.
const RIGHTS_MAX: usize = 100;
/// Other buckets of the key that are named in a message.
const SHOWN_MAX: usize = 3;
/// Longest id that is kept: account, bucket, file.
pub(super) const ID_MAX_BYTES: usize = 256;
/// What B2 says when it says nothing.
const PART_BYTES: u64 = 100_000_000;
const PART_MIN_BYTES: u64 = 5_000_000;

/// A bucket as the server knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) id: String,
    pub(super) name: String,
}

impl Bucket {
    /// As replies about buckets have it; empty where they say nothing of use.
    pub(super) fn of(row: &Row) -> Bucket {
        let short = |key| row.get(key).filter(|t| t.len() <= ID_MAX_BYTES);
        let text = |key, short_key| short(key).or(short(short_key)).unwrap_or("").to_owned();
        Bucket {
            id: text("bucketId", "id"),
            name: text("bucketName", "name"),
        }
    }

    pub(super) fn is_named(&self, wanted: &str) -> bool {
        !self.id.is_empty() && self.name.eq_ignore_ascii_case(wanted)
    }
}

/// Which buckets a key is for.
#[derive(Debug, PartialEq)]
pub(super) enum Reach {
    All,
    /// The wanted one is among them.
    This(Bucket),
    /// Only others; up to three of their names.
    Others(Vec<String>),
}

/// A log-in.
pub(super) struct Account {
    pub(super) id: String,
    pub(super) token: Secret,
    /// Base URL without trailing `/`, as the next.
    pub(super) api: String,
    pub(super) download: String,
    pub(super) part_size: u64,
    pub(super) part_min: u64,
    /// `None` when the reply does not tell.
    rights: Option<Vec<String>>,
    pub(super) reach: Reach,
    /// The key is for file names that begin so.
    pub(super) name_prefix: String,
}

/// Before the fields of the reply, in the versions of the service.
const WRAPS: [&str; 4] = [
    "",
    "apiInfo/storageApi/",
    "allowed/",
    "apiInfo/storageApi/allowed/",
];

impl Account {
    /// Reads the reply of any version. `wanted` is the bucket of the destination.
    pub(super) fn read(
        input: &mut dyn Read,
        io: &dyn Fn(&io::Error) -> Fault,
        wanted: &str,
    ) -> Done<Account> {
        let mut found: Option<Bucket> = None;
        let mut others: Vec<String> = Vec::new();
        let mut take = |one: Bucket| {
            if one.is_named(wanted) {
                found.get_or_insert(one);
            } else if others.len() < SHOWN_MAX {
                others.push(if one.name.is_empty() {
                    one.id
                } else {
                    one.name
                });
            }
        };
        let tail = rows::objects(input, io, json::SMALL_MAX_BYTES, "*/buckets", &mut |row| {
            take(Bucket::of(row));
            Ok(())
        })?;
        let path = |key: &str| {
            let mut paths = WRAPS.iter().map(|wrap| format!("{wrap}{key}"));
            paths.find(|path| tail.has(path)).unwrap_or_default()
        };
        let text = |key: &str, max: usize| {
            let text = tail.text(&path(key));
            if text.len() <= max {
                text
            } else {
                String::new()
            }
        };
        let one = Bucket {
            id: text("bucketId", ID_MAX_BYTES),
            name: text("bucketName", ID_MAX_BYTES),
        };
        if !one.id.is_empty() {
            take(one);
        }
        let limited = tail.is_nested(&path("buckets")) || tail.get(&path("bucketId")).is_some();
        let rights = path("capabilities");
        let rights = tail.is_nested(&rights).then(|| {
            let all = format!("{rights}/[]");
            let good = tail.texts(&all).filter(|r| r.len() <= 64);
            good.take(RIGHTS_MAX).map(str::to_owned).collect()
        });
        let urls = (
            base_url(&text("apiUrl", 1024)),
            base_url(&text("downloadUrl", 1024)),
        );
        let (Some(api), Some(download)) = urls else {
            return Err(Fault::new(
                Class::Protocol,
                "the reply to the log-in does not name usable servers",
            ));
        };
        let (id, token) = (
            text("accountId", ID_MAX_BYTES),
            text("authorizationToken", 4096),
        );
        if id.is_empty() || token.is_empty() || !is_header(&token) {
            return Err(Fault::new(
                Class::Protocol,
                "the reply to the log-in has no account or token",
            ));
        }
        let size = |key, usual| tail.number(&path(key)).unwrap_or(usual);
        Ok(Account {
            id,
            token: Secret::new(token),
            api,
            download,
            part_size: size("recommendedPartSize", PART_BYTES),
            part_min: size("absoluteMinimumPartSize", PART_MIN_BYTES),
            rights,
            reach: match (limited, found) {
                (false, _) => Reach::All,
                (true, Some(bucket)) => Reach::This(bucket),
                (true, None) => Reach::Others(others),
            },
            name_prefix: text("namePrefix", 1024),
        })
    }

    /// Refuses a destination that the key is not for.
    pub(super) fn check(&self, key_id: &str, prefix: &str) -> Done<()> {
        let key_id = text::safe(key_id.as_bytes());
        if let Reach::Others(names) = &self.reach {
            let names: Vec<String> = names.iter().map(|n| text::safe(n.as_bytes())).collect();
            return Err(Fault::new(
                Class::Auth,
                format!(
                    "key is restricted to bucket(s) {} (key id '{key_id}')",
                    names.join(", ")
                ),
            )
            .hint("make an application key for this bucket"));
        }
        if !prefix.starts_with(&self.name_prefix) {
            return Err(Fault::new(
                Class::Auth,
                format!(
                    "key is restricted to prefix '{}' (key id '{key_id}')",
                    text::safe(self.name_prefix.as_bytes())
                ),
            )
            .hint("make an application key for this folder, or change the folder"));
        }
        Ok(())
    }

    /// Refuses an operation that the key has no right to.
    pub(super) fn need(&self, right: &str, key_id: &str) -> Done<()> {
        let known = self.rights.as_ref();
        if known.is_none_or(|rights| rights.iter().any(|r| r == right)) {
            return Ok(());
        }
        Err(Fault::new(
            Class::Auth,
            format!(
                "the application key '{}' lacks the capability {right}",
                text::safe(key_id.as_bytes())
            ),
        )
        .hint("make an application key with listFiles, readFiles, writeFiles and deleteFiles"))
    }
}

/// True for text that may be the value of a header.
pub(super) fn is_header(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Done<Account> {
        let io = |_: &io::Error| Fault::new(Class::Transient, "io");
        Account::read(&mut json.as_bytes(), &io, "Bkt")
    }

    const V4: &str = r#"{"accountId":"a","authorizationToken":"t","apiInfo":{"groupsApi":{"apiUrl2":1},"storageApi":{"apiUrl":"https://api1.example/","downloadUrl":"https://f1.example","recommendedPartSize":200000000,"absoluteMinimumPartSize":6000000,"allowed":{"buckets":[{"id":"x","name":"other"},{"id":"y","name":"bkt"}],"capabilities":["listFiles","readFiles"],"namePrefix":"pre/"}}}}"#;
    const V3: &str = r#"{"accountId":"a","authorizationToken":"t","apiInfo":{"storageApi":{"apiUrl":"https://api1.example","downloadUrl":"https://f1.example","recommendedPartSize":200000000,"absoluteMinimumPartSize":6000000,"bucketId":"y","bucketName":"bkt","capabilities":["listFiles","readFiles"],"namePrefix":"pre/"}}}"#;
    const V2: &str = r#"{"accountId":"a","authorizationToken":"t","apiUrl":"https://api1.example","downloadUrl":"https://f1.example","recommendedPartSize":200000000,"absoluteMinimumPartSize":6000000,"allowed":{"bucketId":"y","bucketName":"bkt","capabilities":["listFiles","readFiles"],"namePrefix":"pre/"}}"#;

    #[test]
    fn three_shapes_say_the_same() {
        for json in [V4, V3, V2] {
            let a = read(json).expect("good");
            assert_eq!((a.id.as_str(), a.token.reveal()), ("a", "t"));
            assert_eq!(a.api, "https://api1.example");
            assert_eq!(a.download, "https://f1.example");
            assert_eq!((a.part_size, a.part_min), (200_000_000, 6_000_000));
            let bucket = Bucket {
                id: "y".to_owned(),
                name: "bkt".to_owned(),
            };
            assert_eq!(a.reach, Reach::This(bucket));
            assert_eq!(a.name_prefix, "pre/");
            assert!(a.need("readFiles", "k").is_ok());
            let e = a.need("writeFiles", "k").expect_err("lacks");
            assert!(
                e.text.contains("lacks the capability writeFiles"),
                "{}",
                e.text
            );
            assert!(a.check("k", "pre/x/").is_ok());
            let e = a.check("k", "x/").expect_err("elsewhere");
            assert!(e.text.contains("key is restricted to prefix 'pre/'"));
        }
    }

    #[test]
    fn keys_for_all_buckets_and_for_others() {
        for from in [
            (
                V4,
                r#""buckets":[{"id":"x","name":"other"},{"id":"y","name":"bkt"}]"#,
                r#""buckets":null"#,
            ),
            (
                V3,
                r#""bucketId":"y","bucketName":"bkt""#,
                r#""bucketId":null,"bucketName":null"#,
            ),
            (V2, r#""bucketId":"y","bucketName":"bkt","#, ""),
        ] {
            let a = read(&from.0.replace(from.1, from.2)).expect("good");
            assert_eq!(a.reach, Reach::All);
        }
        for json in [V4, V3, V2] {
            let a = read(&json.replace("\"bkt\"", "\"own\"")).expect("good");
            let e = a.check("k", "pre/").expect_err("others");
            assert!(e.text.contains("key is restricted to bucket(s) ") && e.text.contains("own"));
        }
        let none = V4.replace(r#"{"id":"x","name":"other"},{"id":"y","name":"bkt"}"#, "");
        assert_eq!(read(&none).expect("good").reach, Reach::Others(Vec::new()));
        let many = r#"{"id":"x","name":"o"},"#.repeat(5000);
        let a = read(&V4.replace(r#"{"id":"x","name":"other"},"#, &many)).expect("good");
        assert!(matches!(a.reach, Reach::This(_)));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (from, to) in [
            ("https://api1.example", "http://api1.example"),
            ("https://f1.example", "https://u@f1.example"),
            ("\"t\"", "\"a\\r\\nb: c\""),
            ("\"t\"", "null"),
            ("accountId", "x"),
            ("}}}", "}}"),
        ] {
            assert_ne!(V3.replace(from, to), V3);
            let e = read(&V3.replace(from, to)).err().expect(from);
            assert_eq!(e.class, Class::Protocol);
        }
        for cut in 0..V4.len() {
            assert!(read(&V4[..cut]).is_err(), "{cut}");
        }
        let silent = V3.replace("capabilities", "x");
        assert!(read(&silent).expect("good").need("writeFiles", "k").is_ok());
    }
}
