//! Box in memory: files and folders of one account by their ids, forms, upload sessions, and the token service of AuthIDs. It checks
//! what the tables need; `servers/box.py` checks the rest of what the service's documentation says.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// Name of the folder that the files of [`Service::keep`] are in.
pub const FOLDER: &str = "bkt";
/// Length of the parts of an upload.
pub const PART: usize = 8 << 20;

#[derive(Clone, Default)]
pub struct Item {
    pub id: String,
    pub name: String,
    pub parent: String,
    /// A folder has none.
    pub data: Option<Vec<u8>>,
    /// How often content was stored under this id.
    pub versions: u64,
}

/// An upload that has begun: the file that it replaces, folder, name and length, and the parts that have arrived.
pub struct Session {
    old: Option<String>,
    parent: String,
    name: String,
    total: usize,
    pub parts: BTreeMap<usize, Vec<u8>>,
}

/// The service's digests of a file: in hexadecimal digits, and in base 64.
type Digest = fn(&[u8]) -> (String, String);

pub struct BoxCom {
    pub items: Vec<Item>,
    pub trash: Vec<String>,
    pub sessions: BTreeMap<String, Session>,
    /// Begun so far, whether they are there or not.
    pub begun: u64,
    /// Tokens given so far; only the last is good. `None`: nobody has to log in.
    pub tokens: Option<u64>,
    /// How long a token lives, in seconds.
    pub life: u64,
    /// `conflicts` is an array.
    pub lists_conflicts: bool,
    /// `next_marker` of the last page.
    pub last_marker: Value,
    /// So many ends of uploads are put off.
    pub puts_off: u64,
    next: u64,
    digest: Digest,
}

/// Body of a refusal.
pub fn error(status: u16, code: &str, message: &str) -> String {
    json!({ "type": "error", "status": status, "code": code, "message": message }).to_string()
}

fn refuse(status: u16, code: &str) -> Reply {
    (
        status,
        Vec::new(),
        error(status, code, "because").into_bytes(),
    )
}

fn good(value: &Value) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

impl BoxCom {
    pub fn new(digest: Digest) -> BoxCom {
        let mut out = BoxCom {
            items: Vec::new(),
            trash: Vec::new(),
            sessions: BTreeMap::new(),
            begun: 0,
            tokens: None,
            life: 3600,
            lists_conflicts: false,
            last_marker: Value::Null,
            puts_off: 0,
            next: 100,
            digest,
        };
        out.add(FOLDER, "0", None);
        out
    }

    /// Puts a further file or folder into a folder; its id.
    pub fn add(&mut self, name: &str, parent: &str, data: Option<Vec<u8>>) -> String {
        self.next += 1;
        let id = self.next.to_string();
        self.items.push(Item {
            id: id.clone(),
            name: name.to_owned(),
            parent: parent.to_owned(),
            data,
            versions: 1,
        });
        id
    }

    /// The id of [`FOLDER`].
    pub fn folder(&self) -> Option<String> {
        let found = self.items.iter().find(|item| item.name == FOLDER);
        found.map(|item| item.id.clone())
    }

    pub fn named(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    fn view(&self, item: &Item) -> Value {
        let kind = if item.data.is_some() {
            "file"
        } else {
            "folder"
        };
        let mut out = json!({
            "type": kind, "id": item.id, "name": item.name, "modified_at": "2024-01-02T03:04:05-07:00",
        });
        if let Some(data) = &item.data {
            out["size"] = data.len().into();
            out["sha1"] = (self.digest)(data).0.into();
        }
        out
    }

    fn has_folder(&self, id: &str) -> bool {
        let mut items = self.items.iter();
        id == "0" || items.any(|item| item.id == id && item.data.is_none())
    }

    /// What is in the way of a name, unless it is this one.
    fn conflict(&self, parent: &str, name: &str, but: Option<&str>) -> Option<Reply> {
        let lower = name.to_lowercase();
        let there = self.items.iter().find(|item| {
            item.parent == parent && item.name.to_lowercase() == lower && Some(&item.id[..]) != but
        })?;
        let mut one = self.view(there);
        one.as_object_mut().unwrap().remove("size");
        let all = if self.lists_conflicts {
            json!([one])
        } else {
            one
        };
        let body = json!({
            "type": "error", "status": 409, "code": "item_name_in_use",
            "message": "Item with the same name already exists", "context_info": { "conflicts": all },
        });
        Some((409, Vec::new(), body.to_string().into_bytes()))
    }

    fn list(&self, id: &str, query: &BTreeMap<String, String>) -> Reply {
        if !self.has_folder(id) {
            return refuse(404, "not_found");
        }
        assert!(query["usemarker"] == "true" && query["fields"].contains("type"));
        let all: Vec<&Item> = self.items.iter().filter(|item| item.parent == id).collect();
        let from: usize = query.get("marker").map_or(0, |m| m[1..].parse().unwrap());
        let limit: usize = query["limit"].parse().unwrap();
        let page = all.iter().skip(from).take(limit);
        let page: Vec<Value> = page.map(|item| self.view(item)).collect();
        let mut out = json!({ "entries": page, "limit": limit, "next_marker": self.last_marker });
        if all.len() > from + limit {
            out["next_marker"] = format!("m{}", from + limit).into();
        }
        good(&out)
    }

    fn store(&mut self, old: Option<&str>, parent: &str, name: &str, data: Vec<u8>) -> Reply {
        let id = match old {
            Some(id) => id.to_owned(),
            None => self.add(name, parent, None),
        };
        let item = self.items.iter_mut().find(|item| item.id == id).unwrap();
        item.versions += u64::from(old.is_some());
        item.data = Some(data);
        let item = item.clone();
        let view = self.view(&item);
        good(&json!({ "total_count": 1, "entries": [view] }))
    }

    /// An upload at once.
    fn upload(&mut self, request: &Seen, old: Option<&str>, body: &[u8]) -> Reply {
        let kind = request.header("content-type").unwrap();
        let line = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let line = format!("--{line}");
        let find = |what: &[u8]| body.windows(what.len()).position(|w| w == what).unwrap();
        let head = "\r\n\r\n";
        let text = String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned();
        let (first, rest) = text.split_once(head).unwrap();
        assert!(first.starts_with(&line) && first.contains("name=\"attributes\""));
        let about: Value = serde_json::from_str(rest.split("\r\n").next().unwrap()).unwrap();
        let second = find(format!("\r\n{line}\r\n").as_bytes());
        let file =
            String::from_utf8_lossy(&body[second..body.len().min(second + 1000)]).into_owned();
        let (fields, _) = file.split_once(head).unwrap();
        assert!(fields.contains("name=\"file\""));
        let data = &body[second + fields.len() + head.len()..];
        let data = data
            .strip_suffix(format!("\r\n{line}--\r\n").as_bytes())
            .unwrap();
        if request.header("content-md5") != Some(&(self.digest)(data).0) {
            return refuse(400, "bad_digest");
        }
        // A redirect leads to a file that is there, whose folder is not told.
        let named = self.named(about["name"].as_str().unwrap());
        let there = named.map(|item| item.id.clone());
        let old = old
            .map(str::to_owned)
            .or(there.filter(|_| about["parent"].is_null()));
        match old.as_deref() {
            Some(id) if self.items.iter().all(|item| item.id != id) => refuse(404, "not_found"),
            Some(id) => self.store(Some(id), "", "", data.to_vec()),
            None => {
                let (name, parent) = (about["name"].as_str().unwrap(), &about["parent"]["id"]);
                let parent = parent.as_str().unwrap();
                if !self.has_folder(parent) {
                    return refuse(404, "not_found");
                }
                let in_use = self.conflict(parent, name, None);
                in_use.unwrap_or_else(|| self.store(None, parent, name, data.to_vec()))
            }
        }
    }

    fn begin(&mut self, old: Option<&str>, about: &Value) -> Reply {
        let total = usize::try_from(about["file_size"].as_u64().unwrap()).unwrap();
        if total < 20_000_000 {
            return refuse(400, "file_size_too_small");
        }
        let text = |field: &str| about[field].as_str().unwrap_or_default().to_owned();
        let (parent, name) = (text("folder_id"), text("file_name"));
        if old.is_none() {
            if !self.has_folder(&parent) {
                return refuse(404, "not_found");
            }
            if let Some(in_use) = self.conflict(&parent, &name, None) {
                return in_use;
            }
        }
        self.begun += 1;
        let id = format!("up-1-{}", self.begun);
        let session = Session {
            old: old.map(str::to_owned),
            parent,
            name,
            total,
            parts: BTreeMap::new(),
        };
        self.sessions.insert(id.clone(), session);
        good(&json!({ "id": id, "part_size": PART, "total_parts": total.div_ceil(PART) }))
    }

    fn session(
        &mut self,
        request: &Seen,
        (id, rest): (&str, &str),
        query: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Reply {
        let digest = self.digest;
        let has = |data: &[u8]| {
            let want = format!("sha={}", digest(data).1);
            request.header("digest") == Some(&want)
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return refuse(404, "not_found");
        };
        let part = |(at, data): (&usize, &Vec<u8>)| json!({ "part_id": format!("P{at}"), "offset": at, "size": data.len() });
        match (request.method.as_str(), rest) {
            ("PUT", "") => {
                let range = request.header("content-range").unwrap();
                let range = range.strip_prefix("bytes ").unwrap();
                let (from, last) = range.split_once('-').unwrap();
                let from: usize = from.parse().unwrap();
                assert_eq!(last, format!("{}/{}", from + body.len() - 1, session.total));
                assert!(from.is_multiple_of(PART) && body.len() == PART.min(session.total - from));
                if !has(&body) {
                    return refuse(400, "digest_mismatch");
                }
                if session.parts.contains_key(&from) {
                    return refuse(409, "range_overlaps_existing_range");
                }
                session.parts.insert(from, body);
                good(&json!({ "part": part(session.parts.get_key_value(&from).unwrap()) }))
            }
            ("GET", "/parts") => {
                let from: usize = query["offset"].parse().unwrap();
                let entries: Vec<Value> =
                    session.parts.iter().skip(from).take(2).map(part).collect();
                good(&json!({ "entries": entries, "total_count": session.parts.len() }))
            }
            ("POST", "/commit") => {
                let about: Value = serde_json::from_slice(&body).unwrap();
                let all: Vec<Value> = session.parts.iter().map(part).collect();
                assert_eq!(about["parts"], Value::Array(all));
                if self.puts_off > 0 {
                    self.puts_off -= 1;
                    return (202, vec![("retry-after", "1".to_owned())], Vec::new());
                }
                let data: Vec<u8> = session.parts.values().flatten().copied().collect();
                if !has(&data) {
                    return refuse(400, "digest_mismatch");
                }
                let done = self.sessions.remove(id).unwrap();
                let in_use = match &done.old {
                    Some(_) => None,
                    None => self.conflict(&done.parent, &done.name, None),
                };
                in_use.unwrap_or_else(|| {
                    self.store(done.old.as_deref(), &done.parent, &done.name, data)
                })
            }
            ("DELETE", "") => {
                self.sessions.remove(id);
                (204, Vec::new(), Vec::new())
            }
            _ => refuse(405, "method_not_allowed"),
        }
    }

    fn file(&mut self, request: &Seen, path: &str, twist: Twist) -> Reply {
        let (id, rest) = path.split_once('/').unwrap_or((path, ""));
        // What a redirect leads to is found by its name.
        let found = self.items.iter().position(|item| item.id == id);
        match (request.method.as_str(), rest, found) {
            ("DELETE", "trash", _) => {
                let before = self.trash.len();
                self.trash.retain(|one| one != id);
                match before > self.trash.len() {
                    true => (204, Vec::new(), Vec::new()),
                    false => refuse(404, "not_found"),
                }
            }
            (_, _, None) => refuse(404, "not_found"),
            ("DELETE", _, Some(at)) => {
                self.items.remove(at);
                self.trash.push(id.to_owned());
                (204, Vec::new(), Vec::new())
            }
            ("GET", "", Some(at)) => good(&self.view(&self.items[at])),
            (_, _, Some(at)) => {
                let data = self.items[at].data.as_ref().unwrap();
                ranged(data, request, twist, vec![("etag", etag(data))])
            }
        }
    }
}

impl Service for BoxCom {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_owned(), decode(v)))
            .collect();
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
                return (401, Vec::new(), Vec::new());
            }
        }
        let about: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let method = request.method.as_str();
        if let Some(at) = path.strip_prefix("/api/2.0/files/") {
            if let Some(session) = at.strip_prefix("upload_sessions/") {
                let (id, _) = session.split_once('/').unwrap_or((session, ""));
                return self.session(request, (id, &session[id.len()..]), &query, body);
            }
            return match (at.split_once('/'), at) {
                (None, "content") => self.upload(request, None, &body),
                (None, "upload_sessions") => self.begin(None, &about),
                (Some((id, "content")), _) => self.upload(request, Some(id), &body),
                (Some((id, "upload_sessions")), _) => self.begin(Some(id), &about),
                _ => refuse(404, "not_found"),
            };
        }
        let name = about["name"].as_str().unwrap_or_default();
        let parent = about["parent"]["id"].as_str().unwrap_or_default();
        match (method, path.strip_prefix("/2.0/").unwrap_or(path)) {
            ("OPTIONS", "files/content") => match self.has_folder(parent) {
                true => {
                    let free = json!({ "upload_url": "https://upload", "upload_token": null });
                    let in_use = self.conflict(parent, name, None);
                    in_use.unwrap_or_else(|| good(&free))
                }
                false => refuse(404, "not_found"),
            },
            ("POST", "folders") => {
                let in_use = self.conflict(parent, name, None);
                in_use.unwrap_or_else(|| {
                    let id = self.add(name, parent, None);
                    good(&json!({ "type": "folder", "id": id, "name": name }))
                })
            }
            ("GET", "users/me") => good(&json!({ "space_amount": 1_u64 << 40, "space_used": 10 })),
            (_, rest) => match (rest.strip_prefix("folders/"), rest.strip_prefix("files/")) {
                (Some(at), _) => self.list(at.strip_suffix("/items").unwrap(), &query),
                (_, Some(at)) => self.file(request, at, twist),
                // What a redirect of a download leads to.
                (None, None) => {
                    let found = self.named(rest.rsplit('/').next().unwrap());
                    let id = found.map(|item| format!("{}/content", item.id));
                    id.map_or_else(
                        || refuse(404, "not_found"),
                        |at| self.file(request, &at, twist),
                    )
                }
            },
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        let parent = self.folder().unwrap_or_default();
        let old = self.items.iter_mut();
        let old = old
            .filter(|item| item.name == name)
            .find(|item| item.data.is_some());
        match old {
            Some(old) => old.data = Some(data.to_vec()),
            // A name is as good an id as any.
            None => {
                self.add(name, &parent, Some(data.to_vec()));
                let item = self.items.last_mut().unwrap();
                item.id = name.replace(|c: char| !c.is_ascii_graphic(), "_");
            }
        }
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.named(name)?.data.clone()
    }
}
