//! Google Drive in memory: files and folders of one account by their ids, resumable uploads, and the token service of AuthIDs. It
//! checks what the tables need; `servers/gdrive.py` checks the rest of what the service's documentation says.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, ranged};

/// Name of the folder that the files of [`Service::keep`] are in.
pub const FOLDER: &str = "bkt";
const ROOT: &str = "id-root";

#[derive(Clone, Default)]
pub struct Item {
    pub id: String,
    pub name: String,
    pub parent: String,
    /// A folder has none.
    pub data: Option<Vec<u8>>,
    pub created: u64,
}

/// An upload that has begun: what it makes or replaces, and what has arrived.
pub struct Session {
    item: Item,
    pub data: Vec<u8>,
    total: usize,
    done: bool,
}

pub struct Drive {
    pub items: Vec<Item>,
    pub sessions: BTreeMap<String, Session>,
    /// Begun so far, whether they are there or not.
    pub begun: u64,
    /// Ids given so far.
    pub given: u64,
    /// Tokens given so far; only the last is good. `None`: nobody has to log in.
    pub tokens: Option<u64>,
    /// How long a token lives, in seconds.
    pub life: u64,
    /// Of the next part it keeps so many bytes, and answers this.
    pub keeps: Option<(usize, u16)>,
    /// Files of this name are taken for malware.
    pub abusive: &'static str,
    /// Files can only be moved to the trash.
    pub only_trash: bool,
    /// The folder lies in the trash.
    pub trashed: bool,
    /// Shared drive that every request has to name; empty: none.
    pub team: &'static str,
    clock: u64,
    md5: fn(&[u8]) -> String,
    address: SocketAddr,
}

/// Body of a refusal.
pub fn error(status: u16, reason: &str, message: &str) -> String {
    let one = json!({ "domain": "global", "reason": reason, "message": message });
    json!({ "error": { "code": status, "message": message, "errors": [one] } }).to_string()
}

fn refuse(status: u16, reason: &str) -> Reply {
    let body = error(status, reason, "because");
    (status, Vec::new(), body.into_bytes())
}

fn good(value: &Value) -> Reply {
    let kind = vec![("content-type", "application/json; charset=UTF-8".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

/// The texts in quotes of a search.
fn texts(q: &str) -> Vec<String> {
    let (mut out, mut text, mut chars) = (Vec::new(), None::<String>, q.chars());
    while let Some(c) = chars.next() {
        match (&mut text, c) {
            (Some(now), '\\') => now.push(chars.next().unwrap()),
            (Some(_), '\'') => out.extend(text.take()),
            (Some(now), c) => now.push(c),
            (None, '\'') => text = Some(String::new()),
            (None, _) => {}
        }
    }
    out
}

impl Drive {
    pub fn new(address: SocketAddr, md5: fn(&[u8]) -> String) -> Drive {
        let mut drive = Drive {
            items: Vec::new(),
            sessions: BTreeMap::new(),
            begun: 0,
            given: 0,
            tokens: None,
            life: 3600,
            keeps: None,
            abusive: "",
            only_trash: false,
            trashed: false,
            team: "",
            clock: 0,
            md5,
            address,
        };
        drive.add(FOLDER, ROOT, None);
        drive
    }

    /// Puts a further file or folder into a folder; its id.
    pub fn add(&mut self, name: &str, parent: &str, data: Option<Vec<u8>>) -> String {
        self.clock += 1;
        let id = format!("id-{}", self.clock);
        self.items.push(Item {
            id: id.clone(),
            name: name.to_owned(),
            parent: parent.to_owned(),
            data,
            created: self.clock,
        });
        id
    }

    /// The id of [`FOLDER`].
    pub fn folder(&self) -> Option<String> {
        let found = self.items.iter().find(|item| item.name == FOLDER);
        found.map(|item| item.id.clone())
    }

    pub fn named(&self, name: &str) -> Vec<&Item> {
        self.items.iter().filter(|item| item.name == name).collect()
    }

    fn view(&self, item: &Item) -> Value {
        let time = format!(
            "2024-01-02T03:{:02}:{:02}.000Z",
            item.created / 60 % 60,
            item.created % 60
        );
        let mut out =
            json!({ "id": item.id, "name": item.name, "createdTime": time, "modifiedTime": time });
        if let Some(data) = &item.data {
            out["size"] = data.len().to_string().into();
            out["md5Checksum"] = (self.md5)(data).into();
            out["trashed"] = self.trashed.into();
        }
        out
    }

    fn is_there(&self, id: &str) -> bool {
        id == ROOT
            || id == "root"
            || (id == self.team && !id.is_empty())
            || self.items.iter().any(|item| item.id == id)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Reply {
        let q = &query["q"];
        let texts = texts(q);
        let (name, parent) = match q.starts_with("name") {
            true => (Some(texts[0].to_lowercase()), &texts[1]),
            false => (None, &texts[0]),
        };
        assert!(q.contains("trashed = false") && query["fields"].contains("nextPageToken"));
        if !self.is_there(parent) {
            return refuse(404, "notFound");
        }
        let folders = q.contains("mimeType = ");
        let mut all: Vec<&Item> = self.items.iter().collect();
        all.retain(|item| {
            item.parent == *parent
                && item.data.is_none() == folders
                && name
                    .as_ref()
                    .is_none_or(|name| item.name.to_lowercase() == *name)
        });
        assert_eq!(query["orderBy"], "createdTime desc");
        all.sort_by_key(|item| std::cmp::Reverse(item.created));
        let from: usize = query
            .get("pageToken")
            .map_or(0, |t| t.trim_start_matches('t').parse().unwrap());
        let size: usize = query["pageSize"].parse().unwrap();
        let page = all.iter().skip(from).take(size).map(|item| self.view(item));
        let mut out = json!({ "kind": "drive#fileList", "incompleteSearch": false, "files": page.collect::<Vec<_>>() });
        if all.len() > from + size {
            out["nextPageToken"] = format!("t{}", from + size).into();
        }
        good(&out)
    }

    /// What an upload's own address says.
    fn go_on(&mut self, request: &Seen, id: &str, body: &[u8]) -> Reply {
        let Some(session) = self.sessions.get_mut(id) else {
            return (404, Vec::new(), b"Not Found".to_vec());
        };
        if request.method == "DELETE" {
            self.sessions.remove(id);
            return (499, Vec::new(), Vec::new());
        }
        assert_eq!(request.method, "PUT");
        if session.done {
            let item = self.items.iter().find(|item| item.id == session.item.id);
            return good(&self.view(item.unwrap()));
        }
        match request.header("content-range") {
            None => assert_eq!(session.total, 0),
            Some(range) => {
                let (range, total) = range
                    .strip_prefix("bytes ")
                    .unwrap()
                    .split_once('/')
                    .unwrap();
                assert_eq!(total.parse(), Ok(session.total));
                if let Some((from, last)) = range.split_once('-') {
                    let (from, last): (usize, usize) =
                        (from.parse().unwrap(), last.parse().unwrap());
                    assert_eq!((from, last + 1), (session.data.len(), from + body.len()));
                    let kept = self.keeps.take();
                    let keep = kept.map_or(body.len(), |(keep, _)| keep);
                    session.data.extend_from_slice(&body[..keep]);
                    if let Some((_, status)) = kept.filter(|(_, status)| *status != 308) {
                        return refuse(status, "backendError");
                    }
                } else {
                    assert_eq!(range, "*");
                }
            }
        }
        if session.data.len() < session.total {
            let range = match session.data.len() {
                0 => String::new(),
                n => format!("bytes=0-{}", n - 1),
            };
            return (308, vec![("range", range)], Vec::new());
        }
        session.done = true;
        let mut item = session.item.clone();
        item.data = Some(session.data.clone());
        self.clock += 1;
        if item.created == 0 {
            item.created = self.clock;
        }
        self.items.retain(|other| other.id != item.id);
        let reply = good(&self.view(&item));
        self.items.push(item);
        reply
    }

    /// Begins an upload.
    fn upload(&mut self, request: &Seen, id: Option<&str>, about: &Value) -> Reply {
        let total = request.header("x-upload-content-length").unwrap();
        let item = match id {
            Some(id) => {
                assert_eq!((request.method.as_str(), about), ("PATCH", &json!({})));
                match self.items.iter().find(|item| item.id == id) {
                    Some(item) => item.clone(),
                    None => return refuse(404, "notFound"),
                }
            }
            None => {
                let parent = about["parents"][0].as_str().unwrap();
                if !self.is_there(parent) {
                    return refuse(404, "notFound");
                }
                let id = about["id"].as_str().unwrap();
                assert!(id.starts_with("new-"));
                if self.is_there(id) {
                    return refuse(409, "fileIdInUse");
                }
                Item {
                    id: id.to_owned(),
                    name: about["name"].as_str().unwrap().to_owned(),
                    parent: parent.to_owned(),
                    ..Item::default()
                }
            }
        };
        self.begun += 1;
        let id = format!("up-1-{}", self.begun);
        let path = request.target.split('?').next().unwrap();
        let at = format!(
            "http://{}{path}?uploadType=resumable&upload_id={id}",
            self.address
        );
        let session = Session {
            item,
            data: Vec::new(),
            total: total.parse().unwrap(),
            done: false,
        };
        self.sessions.insert(id, session);
        (200, vec![("location", at)], Vec::new())
    }

    fn file(
        &mut self,
        request: &Seen,
        id: &str,
        query: &BTreeMap<String, String>,
        twist: Twist,
    ) -> Reply {
        let Some(at) = self.items.iter().position(|item| item.id == id) else {
            return refuse(404, "notFound");
        };
        match request.method.as_str() {
            "DELETE" if self.only_trash => refuse(403, "insufficientFilePermissions"),
            "DELETE" | "PATCH" => {
                assert!(request.method == "DELETE" || request.text == r#"{"trashed":true}"#);
                let item = self.items.remove(at);
                match request.method.as_str() {
                    "DELETE" => (204, Vec::new(), Vec::new()),
                    _ => good(&json!({ "id": item.id })),
                }
            }
            _ => {
                let item = &self.items[at];
                if item.name == self.abusive && !query.contains_key("acknowledgeAbuse") {
                    return refuse(403, "cannotDownloadAbusiveFile");
                }
                ranged(item.data.as_ref().unwrap(), request, twist, Vec::new())
            }
        }
    }
}

impl Service for Drive {
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
                return refuse(401, "authError");
            }
        }
        if let Some(id) = query.get("upload_id") {
            // A redirect leads to where the upload is now.
            let newest = format!("up-1-{}", self.begun);
            let id = if query.contains_key("x") { &newest } else { id };
            return self.go_on(request, id, &body);
        }
        let about = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !self.team.is_empty() && !path.ends_with("generateIds") {
            assert_eq!(query["supportsAllDrives"], "true", "{}", request.target);
            if query.contains_key("q") {
                assert_eq!(
                    (query["driveId"].as_str(), query["corpora"].as_str()),
                    (self.team, "drive")
                );
                assert_eq!(query["includeItemsFromAllDrives"], "true");
            }
        }
        if let Some(id) = path.strip_prefix("/upload/drive/v3/files") {
            assert_eq!(query["uploadType"], "resumable");
            return self.upload(request, id.strip_prefix('/'), &about);
        }
        match path.strip_prefix("/drive/v3/") {
            Some("about") => {
                good(&json!({ "storageQuota": { "limit": "1099511627776", "usage": "10" } }))
            }
            Some("files") if request.method == "POST" => {
                let id = about["id"].as_str().unwrap().to_owned();
                if self.is_there(&id) {
                    return refuse(409, "fileIdInUse");
                }
                let (name, parent) = (
                    about["name"].as_str().unwrap(),
                    about["parents"][0].as_str().unwrap(),
                );
                self.add(name, parent, None);
                self.items.last_mut().unwrap().id.clone_from(&id);
                good(&json!({ "id": id }))
            }
            Some("files") => self.list(&query),
            Some("files/root") => good(&json!({ "id": ROOT })),
            Some("files/generateIds") => {
                let count: u64 = query["count"].parse().unwrap();
                let ids: Vec<String> = (0..count)
                    .map(|n| format!("new-{}", self.given + n))
                    .collect();
                self.given += count;
                good(&json!({ "ids": ids }))
            }
            Some(rest) => {
                // What comes behind the id is a redirect's.
                let id = decode(rest.strip_prefix("files/").unwrap_or(rest));
                self.file(request, &id, &query, twist)
            }
            None => refuse(404, "notFound"),
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        let parent = self.folder().unwrap_or_default();
        let old = self
            .items
            .iter_mut()
            .find(|item| item.name == name && item.data.is_some());
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
        let found = self.named(name);
        found.last().and_then(|item| item.data.clone())
    }
}
