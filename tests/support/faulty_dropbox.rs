//! Dropbox in memory: files and folders of one account, upload sessions, and the token service of AuthIDs. It checks what the
//! tables need; `servers/dropbox.py` checks the rest of what the service's documentation says.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, etag, ranged};

/// Where the files of [`Service::keep`] are.
pub const FOLDER: &str = "/bkt";

pub struct Dropbox {
    /// Name and content by path in lower case; a folder has none.
    pub tree: BTreeMap<String, (String, Option<Vec<u8>>)>,
    pub sessions: BTreeMap<String, Vec<u8>>,
    /// Begun so far, whether they are there or not.
    pub begun: u64,
    /// Tokens given so far; only the last is good. `None`: nobody has to log in.
    pub tokens: Option<u64>,
    /// How long a token lives, in seconds.
    pub life: u64,
    /// Of the next part it keeps so many bytes, and says that it failed.
    pub keeps: Option<usize>,
    /// How often the folder was taken away and another made in its place.
    pub moved: u64,
    /// Pages of listings sent so far, and what is left of each.
    pages: u64,
    cursors: BTreeMap<String, Vec<Value>>,
    /// The service's digest of a file.
    hash: fn(&[u8]) -> String,
}

/// Body of a refusal with this summary.
pub fn error(summary: &str) -> String {
    let tag = summary.split('/').next().unwrap();
    json!({ "error_summary": format!("{summary}/.."), "error": { ".tag": tag } }).to_string()
}

fn refuse(summary: &str) -> Reply {
    (409, Vec::new(), error(summary).into_bytes())
}

fn good(value: &Value) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

impl Dropbox {
    pub fn new(hash: fn(&[u8]) -> String) -> Dropbox {
        Dropbox {
            tree: BTreeMap::from([(FOLDER.to_owned(), ("bkt".to_owned(), None))]),
            sessions: BTreeMap::new(),
            begun: 0,
            tokens: None,
            life: 3600,
            keeps: None,
            moved: 0,
            pages: 0,
            cursors: BTreeMap::new(),
            hash,
        }
    }

    fn entry(&self, path: &str) -> Option<Value> {
        let (name, data) = self.tree.get(path)?;
        Some(match data {
            None => json!({ ".tag": "folder", "name": name, "id": format!("id:{}", self.moved) }),
            Some(data) => json!({
                ".tag": "file", "name": name, "size": data.len(), "content_hash": (self.hash)(data),
                "server_modified": "2024-01-02T03:04:05Z",
            }),
        })
    }

    /// Makes the folders above a path.
    fn make(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').skip(1) {
            let name = path[..at].rsplit('/').next().unwrap().to_owned();
            let key = path[..at].to_lowercase();
            self.tree.entry(key).or_insert((name, None));
        }
    }

    fn commit(&mut self, arg: &Value, data: Vec<u8>) -> Reply {
        let path = arg["path"].as_str().unwrap();
        let key = path.to_lowercase();
        let old = self.tree.get(&key);
        if old.is_some_and(|(_, data)| data.is_none()) {
            return refuse("path/conflict/folder");
        }
        let strict = arg["strict_conflict"].as_bool().unwrap();
        assert_eq!(strict, arg["mode"] == "add");
        if strict && old.is_some() {
            return refuse("path/conflict/file");
        }
        let name = path.rsplit('/').next().unwrap().to_owned();
        let name = old.map_or(name, |(name, _)| name.clone());
        self.make(path);
        self.tree.insert(key.clone(), (name, Some(data)));
        good(&self.entry(&key).unwrap())
    }

    fn page(&mut self, mut entries: Vec<Value>) -> Reply {
        let rest = entries.split_off(entries.len().min(2000));
        self.pages += 1;
        let cursor = format!("cursor-{}", self.pages);
        let more = !rest.is_empty();
        self.cursors.insert(cursor.clone(), rest);
        good(&json!({ "entries": entries, "cursor": cursor, "has_more": more }))
    }

    fn session(&mut self, call: &str, arg: &Value, body: &[u8]) -> Reply {
        if call == "start" {
            self.begun += 1;
            let id = format!("up-1-{}", self.begun);
            self.sessions.insert(id.clone(), body.to_vec());
            return good(&json!({ "session_id": id }));
        }
        let id = arg["cursor"]["session_id"].as_str().unwrap();
        let prefix = if call == "finish" {
            "lookup_failed/"
        } else {
            ""
        };
        let Some(have) = self.sessions.get_mut(id) else {
            return refuse(&format!("{prefix}not_found"));
        };
        if arg["cursor"]["offset"].as_u64() != Some(have.len() as u64) {
            let inner = json!({ ".tag": "incorrect_offset", "correct_offset": have.len() });
            let error = match prefix {
                "" => inner,
                _ => json!({ ".tag": "lookup_failed", "lookup_failed": inner }),
            };
            let summary = format!("{prefix}incorrect_offset/...");
            let body = json!({ "error_summary": summary, "error": error });
            return (409, Vec::new(), body.to_string().into_bytes());
        }
        let kept = self.keeps.take_if(|_| call == "append_v2");
        have.extend_from_slice(&body[..kept.unwrap_or(body.len())]);
        if kept.is_some() {
            return (500, Vec::new(), b"failed".to_vec());
        }
        if call == "append_v2" {
            return good(&Value::Null);
        }
        let data = self.sessions.remove(id).unwrap();
        self.commit(&arg["commit"], data)
    }

    fn rpc(&mut self, call: &str, arg: &Value) -> Reply {
        let path = arg["path"].as_str().unwrap_or_default();
        let key = path.to_lowercase();
        let found = self.entry(&key);
        match call {
            "files/list_folder" if found.is_none() && !key.is_empty() => refuse("path/not_found"),
            "files/list_folder" => {
                let start = format!("{key}/");
                let below = self.tree.range(start.clone()..);
                let below = below.map(|(path, _)| path);
                let below = below.take_while(|path| path.starts_with(&start));
                let here = below.filter(|path| !path[start.len()..].contains('/'));
                let entries = here.filter_map(|path| self.entry(path)).collect();
                self.page(entries)
            }
            "files/list_folder/continue" => {
                let rest = self.cursors.remove(arg["cursor"].as_str().unwrap());
                self.page(rest.unwrap())
            }
            "files/get_metadata" => found.map_or_else(|| refuse("path/not_found"), |e| good(&e)),
            "files/delete_v2" if found.is_none() => refuse("path_lookup/not_found"),
            "files/delete_v2" => {
                self.tree.remove(&key);
                good(&json!({ "metadata": found }))
            }
            "files/create_folder_v2" if found.is_some() => refuse("path/conflict/folder"),
            "files/create_folder_v2" => {
                self.make(&format!("{path}/x"));
                good(&json!({ "metadata": {} }))
            }
            "users/get_space_usage" => good(
                &json!({ "used": 10, "allocation": { ".tag": "individual", "allocated": 1_u64 << 40 } }),
            ),
            "users/get_current_account" => {
                good(&json!({ "root_info": { ".tag": "team", "root_namespace_id": "77" } }))
            }
            _ => (404, Vec::new(), b"Unknown API function".to_vec()),
        }
    }
}

impl Service for Dropbox {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let path = request.target.split('?').next().unwrap();
        assert!(request.header("transfer-encoding").is_none());
        if path == "/refresh" {
            assert!(request.header("authorization").is_none());
            let count = self.tokens.get_or_insert(0);
            *count += 1;
            return good(&json!({ "access_token": format!("acct-{count}"), "expires": self.life }));
        }
        if let Some(count) = self.tokens {
            let want = format!("Bearer acct-{count}");
            if request.header("authorization") != Some(&want) {
                let body = error("expired_access_token").into_bytes();
                return (401, Vec::new(), body);
            }
        }
        let told = request.header("dropbox-api-arg");
        assert!(told.is_none_or(|told| told.bytes().all(|b| (0x20..0x7f).contains(&b))));
        let arg: Value = match told {
            Some(told) => serde_json::from_str(told).unwrap(),
            None => serde_json::from_slice(&body).unwrap(),
        };
        if request.method == "GET" {
            let key = arg["path"].as_str().unwrap().to_lowercase();
            return match self.tree.get(&key) {
                Some((_, Some(data))) => ranged(data, request, twist, vec![("etag", etag(data))]),
                _ => refuse("path/not_found"),
            };
        }
        if let Some(call) = path.strip_prefix("/2/files/upload") {
            let kind = request.header("content-type");
            assert_eq!(kind, Some("application/octet-stream"));
            if let Some(hash) = arg["content_hash"].as_str() {
                assert_eq!(hash, (self.hash)(&body));
            }
            return match call.strip_prefix("_session/") {
                Some(call) => self.session(call, &arg, &body),
                None => self.commit(&arg, body),
            };
        }
        self.rpc(path.strip_prefix("/2/").unwrap_or(path), &arg)
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        let key = format!("{FOLDER}/{name}").to_lowercase();
        self.tree
            .insert(key, (name.to_owned(), Some(data.to_vec())));
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        let key = format!("{FOLDER}/{name}").to_lowercase();
        self.tree.get(&key)?.1.clone()
    }
}
