//! The gateway of Duplicati's own storage in memory: what its client asks (`DuplicatiBackend.cs`, the only source there is) and what
//! that client makes of the answers. Every request says who asks, an upload has both digests and its length.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// The digests of a file in base 64: MD5 and SHA-256.
pub type Digests = fn(&[u8]) -> (String, String);

pub struct Storage {
    pub files: BTreeMap<String, Vec<u8>>,
    /// There is something of this backup.
    pub is_made: bool,
    /// What the head of a request has to say, by name; of the rest any value is good.
    pub known: Vec<(&'static str, &'static str)>,
    /// Names of fields begin with a small letter.
    pub small: bool,
    /// What it answers to who asks for keys; `None`: that there are none.
    pub keys: Option<Value>,
    digests: Digests,
}

pub fn error(message: &str) -> String {
    json!({ "code": "error", "message": message }).to_string()
}

fn refuse(status: u16, message: &str) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (status, kind, error(message).into_bytes())
}

fn good(value: &Value) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

impl Storage {
    pub fn new(digests: Digests) -> Storage {
        Storage {
            files: BTreeMap::new(),
            is_made: true,
            known: Vec::new(),
            small: false,
            keys: None,
            digests,
        }
    }

    fn list(&self) -> Reply {
        let one = |(name, data): (&String, &Vec<u8>)| match self.small {
            true => json!({ "name": name, "size": data.len(), "isFolder": false }),
            false => json!({
                "Name": name, "Size": data.len(), "IsFolder": false, "LastAccess": "0001-01-01T00:00:00",
                "LastModification": "2024-01-02T03:04:05Z",
            }),
        };
        good(&self.files.iter().map(one).collect())
    }
}

impl Service for Storage {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let heads = ["x-api-key", "x-organization-id", "x-backup-id"];
        let lacks = |name: &&str| request.header(name).is_none_or(str::is_empty);
        let other = |(name, value): &(&str, &str)| request.header(name) != Some(value);
        if heads.iter().any(lacks) || self.known.iter().any(other) {
            return refuse(401, "unknown organization, machine or backup");
        }
        let target = request.target.split('?').next().unwrap();
        let (action, name) = target[1..].split_once('/').unwrap_or((&target[1..], ""));
        let name = decode(name);
        match (request.method.as_str(), action) {
            ("GET", "credentials") => {
                good(&self.keys.clone().unwrap_or(json!({ "mode": "gateway" })))
            }
            ("GET", "createfolder") => {
                self.is_made = true;
                good(&json!({}))
            }
            ("GET", "quota") => {
                good(&json!({ "TotalQuotaSpace": 1_u64 << 40, "FreeQuotaSpace": 1_u64 << 39 }))
            }
            _ if !self.is_made => refuse(404, "no such backup"),
            ("GET", "list") => self.list(),
            ("POST", "put") => {
                assert!(request.header("transfer-encoding").is_none());
                let (md5, sha256) = (self.digests)(&body);
                let same = |name, value: &String| request.header(name) == Some(value);
                if !same("x-content-md5", &md5) || !same("x-content-sha256", &sha256) {
                    return refuse(400, "digests differ");
                }
                self.files.insert(name, body);
                good(&json!({}))
            }
            ("GET", "get") => match self.files.get(&name) {
                Some(data) => ranged(data, request, twist, vec![("etag", etag(data))]),
                None => refuse(404, "no such file"),
            },
            ("GET", "delete") => match self.files.remove(&name) {
                Some(_) => good(&json!({})),
                None => refuse(404, "no such file"),
            },
            _ => refuse(405, "no such action"),
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(name.to_owned(), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }
}
