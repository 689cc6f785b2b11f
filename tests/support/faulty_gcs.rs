//! Google Cloud Storage in memory: one bucket, whose files lie in a map, with the token services that log-ins ask. It checks no
//! signature; the stub in `tests/data/stubs` does.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// An upload that has begun.
#[derive(Default)]
pub struct Session {
    pub name: String,
    pub data: Vec<u8>,
    /// What must be new.
    pub is_new: bool,
    pub done: bool,
}

pub struct Gcs {
    pub files: BTreeMap<String, Vec<u8>>,
    pub bucket: bool,
    pub sessions: BTreeMap<String, Session>,
    /// Begun so far, whether they are there or not.
    pub begun: u64,
    /// Tokens given so far; only the last is good. `None`: nobody has to log in.
    pub tokens: Option<u64>,
    /// How long a token lives, in seconds.
    pub life: u64,
    /// Of the next part it keeps so many bytes, and answers this.
    pub keeps: Option<(usize, u16)>,
    /// Digest that a reply tells of a file.
    md5: fn(&[u8]) -> Option<String>,
    address: SocketAddr,
}

impl Gcs {
    pub fn new(address: SocketAddr, md5: fn(&[u8]) -> Option<String>) -> Gcs {
        Gcs {
            files: BTreeMap::new(),
            bucket: true,
            sessions: BTreeMap::new(),
            begun: 0,
            tokens: None,
            life: 3600,
            keeps: None,
            md5,
            address,
        }
    }

    fn token(&mut self, life: &str) -> Reply {
        let count = self.tokens.get_or_insert(0);
        *count += 1;
        let text = format!(
            r#"{{"access_token":"acct-{count}","{life}":{},"token_type":"Bearer"}}"#,
            self.life
        );
        (200, Vec::new(), text.into_bytes())
    }

    fn about(&self, name: &str) -> Reply {
        let data = &self.files[name];
        let name = serde_json::Value::from(name);
        let md5 = (self.md5)(data).map_or(String::new(), |md5| format!(r#","md5Hash":"{md5}""#));
        let text = format!(
            r#"{{"name":{name},"size":"{}","updated":"2024-01-02T03:04:05.678Z"{md5}}}"#,
            data.len()
        );
        (200, Vec::new(), text.into_bytes())
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Reply {
        let empty = String::new();
        let value = |name: &str| query.get(name).unwrap_or(&empty);
        let most: usize = value("maxResults").parse().unwrap();
        let (prefix, from) = (value("prefix"), value("pageToken"));
        let from = from.max(prefix).as_str();
        let mut all = self
            .files
            .range(from.to_owned()..)
            .take_while(|(name, _)| name.starts_with(prefix.as_str()));
        let shown = all
            .by_ref()
            .take(most)
            .filter(|(name, _)| !name[prefix.len()..].contains('/'));
        let items: Vec<String> = shown
            .map(|(name, data)| {
                let name = serde_json::Value::from(name.as_str());
                let updated = "2024-01-02T03:04:05.678Z";
                format!(
                    r#"{{"name":{name},"size":"{}","updated":"{updated}"}}"#,
                    data.len()
                )
            })
            .collect();
        let next = all.next().map(|(name, _)| name.as_str());
        let next = next.map_or(String::new(), |next| {
            format!(r#","nextPageToken":{}"#, serde_json::Value::from(next))
        });
        // Nothing in place of an empty list.
        let items = match items.is_empty() {
            true => String::new(),
            false => format!(r#","items":[{}]"#, items.join(",")),
        };
        let text = format!(r#"{{"kind":"storage#objects"{next}{items}}}"#);
        (200, Vec::new(), text.into_bytes())
    }

    /// What an upload's own address says.
    fn go_on(&mut self, request: &Seen, id: &str, body: &[u8]) -> Reply {
        let Some(session) = self.sessions.get_mut(id) else {
            return refuse(404, "notFound", "Not Found");
        };
        if request.method == "DELETE" {
            self.sessions.remove(id);
            return (499, Vec::new(), Vec::new());
        }
        let name = session.name.clone();
        if session.done {
            return self.about(&name);
        }
        let range = request.header("content-range").unwrap();
        let (range, total) = range
            .strip_prefix("bytes ")
            .unwrap()
            .split_once('/')
            .unwrap();
        let total: usize = total.parse().unwrap();
        if let Some((from, last)) = range.split_once('-') {
            let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
            assert_eq!((from, last + 1), (session.data.len(), from + body.len()));
            let kept = self.keeps.take();
            let keep = kept.map_or(body.len(), |(keep, _)| keep);
            session.data.extend_from_slice(&body[..keep]);
            if let Some((_, status)) = kept.filter(|(_, status)| *status != 308) {
                return refuse(status, "backendError", "because");
            }
        } else {
            assert_eq!(range, "*");
        }
        if session.data.len() < total {
            let range = match session.data.len() {
                0 => String::new(),
                n => format!("bytes=0-{}", n - 1),
            };
            return (308, vec![("range", range)], Vec::new());
        }
        session.done = true;
        if session.is_new && self.files.contains_key(&name) {
            return taken();
        }
        let data = std::mem::take(&mut session.data);
        self.files.insert(name.clone(), data);
        self.about(&name)
    }

    fn upload(&mut self, request: &Seen, query: &BTreeMap<String, String>, body: Vec<u8>) -> Reply {
        let is_new = query.get("ifGenerationMatch").is_some_and(|v| v == "0");
        let name = query["name"].clone();
        if is_new && self.files.contains_key(&name) {
            return taken();
        }
        if query["uploadType"] == "media" {
            assert!(request.header("x-goog-hash").is_some());
            self.files.insert(name.clone(), body);
            return self.about(&name);
        }
        assert!(request.text.contains("md5Hash"), "{}", request.text);
        self.begun += 1;
        let id = format!("up-1-{}", self.begun);
        let at = format!(
            "http://{}/upload/storage/v1/b/bkt/o?uploadType=resumable&upload_id={id}",
            self.address
        );
        let session = Session {
            name,
            is_new,
            ..Session::default()
        };
        self.sessions.insert(id, session);
        (200, vec![("location", at)], Vec::new())
    }
}

/// Body of a refusal.
pub fn error(status: u16, reason: &str, message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(
        r#"{{"error":{{"code":{status},"message":{message},"errors":[{{"message":{message},"domain":"global","reason":"{reason}"}}]}}}}"#
    )
}

pub fn refuse(status: u16, reason: &str, message: &str) -> Reply {
    (
        status,
        Vec::new(),
        error(status, reason, message).into_bytes(),
    )
}

fn taken() -> Reply {
    let text = "At least one of the pre-conditions you specified did not hold.";
    refuse(412, "conditionNotMet", text)
}

impl Service for Gcs {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_owned(), decode(v)))
            .collect();
        let method = request.method.as_str();
        assert!(request.header("transfer-encoding").is_none());
        match path {
            "/refresh" => {
                assert!(request.header("authorization").is_none());
                return self.token("expires");
            }
            "/token" => return self.token("expires_in"),
            _ => {}
        }
        if let Some(count) = self.tokens {
            let good = format!("Bearer acct-{count}");
            if request.header("authorization") != Some(&good) {
                return refuse(401, "authError", "Invalid Credentials");
            }
        }
        if path == "/storage/v1/b" {
            if query["project"].is_empty() {
                return refuse(400, "required", "Required parameter: project");
            }
            if std::mem::replace(&mut self.bucket, true) {
                return refuse(409, "conflict", "you already own it");
            }
            return (200, Vec::new(), b"{}".to_vec());
        }
        if !self.bucket {
            return refuse(404, "notFound", "The specified bucket does not exist.");
        }
        if path == "/upload/storage/v1/b/bkt/o" {
            return match query.get("upload_id") {
                Some(id) => self.go_on(request, id, &body),
                None => self.upload(request, &query, body),
            };
        }
        let Some(name) = path.strip_prefix("/storage/v1/b/bkt/o") else {
            return refuse(404, "notFound", "Not Found");
        };
        let name = decode(name.trim_start_matches('/'));
        if name.is_empty() {
            return self.list(&query);
        }
        let Some(data) = self.files.get(&name) else {
            return refuse(404, "notFound", &format!("No such object: bkt/{name}"));
        };
        match (method, query.get("fields")) {
            ("DELETE", _) => {
                self.files.remove(&name);
                (204, Vec::new(), Vec::new())
            }
            (_, Some(_)) => self.about(&name),
            _ => {
                let more = vec![("etag", etag(data))];
                ranged(data, request, twist, more)
            }
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(name.to_owned(), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }
}
