//! Drime and FileJump in memory: entries of one account by their ids, pages, forms, a log-in. It holds to what is documented and
//! notes what a good client never asks.
//!
//! Sources: docs.drime.cloud (authentication, concepts, errors, `api-reference/files/get-file-entries`: parameters, order, fields and
//! pages; `uploads/upload-file`: the fields of the form); rclone 1.75 `backend/drime` (`folderId` of its issue 9420, folders, deletion
//! and its `errors`, space, address of an entry, two entries of one name, `next_page`); Duplicati `DrimeBackend.cs` and `Filejump.cs` (download by hash,
//! `parentId` of folders, the validation error for an entry that is gone); BeDrive, the software of both (text of a full account).
//! That a page for people comes to who does not accept JSON is how Laravel, on which that is built, answers.

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

#[derive(Clone, Default)]
pub struct Entry {
    pub id: u64,
    pub hash: String,
    pub name: String,
    pub parent: Option<u64>,
    /// A folder has none.
    pub data: Option<Vec<u8>>,
    /// In the trash.
    pub deleted: bool,
}

/// Which fields tell of further pages.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Pages {
    /// `last_page`, `total` and all others.
    #[default]
    All,
    /// `next_page` alone.
    Next,
    /// `next_page_url` alone.
    Address,
    /// None: a page that is full has perhaps a successor.
    Silent,
}

#[derive(Default)]
pub struct Drime {
    pub entries: Vec<Entry>,
    pub pages: Pages,
    /// The page behind which it is shown again (issue 7285 of Duplicati); 0: none.
    pub page_last: usize,
    /// It gives no more entries at once, whatever is asked for.
    pub page_max: usize,
    /// Good tokens; any is while there are none.
    pub tokens: Vec<String>,
    /// User and password.
    pub user: Option<(String, String)>,
    /// Bytes that the account may have.
    pub space: Option<u64>,
    /// Where the content of files lies, in place of the service itself.
    pub elsewhere: Option<String>,
    /// FileJump: there are no workspaces, and content has an address.
    pub is_filejump: bool,
    /// Deletions that say what they did not do.
    pub keeps: bool,
    /// What a good client never does.
    pub odd: Vec<String>,
    next: u64,
}

pub fn error(message: &str) -> String {
    json!({ "message": message }).to_string()
}

/// A request with a field that is wrong.
pub fn invalid(field: &str, message: &str) -> String {
    let errors = json!({ field: [message] });
    json!({ "status": "error", "message": "The given data was invalid.", "errors": errors })
        .to_string()
}

fn refuse(status: u16, body: String) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (status, kind, body.into_bytes())
}

fn good(value: &Value) -> Reply {
    refuse(200, value.to_string())
}

/// The fields of a form by their names, and the file's name.
fn form(request: &Seen, body: &[u8]) -> Option<(BTreeMap<String, Vec<u8>>, String)> {
    let kind = request.header("content-type")?;
    let line = format!("--{}", kind.strip_prefix("multipart/form-data; boundary=")?);
    let find = |from: usize, what: &[u8]| {
        let at = body[from..].windows(what.len()).position(|w| w == what)?;
        Some(from + at)
    };
    let (mut at, mut fields, mut name) = (line.len(), BTreeMap::new(), String::new());
    while body.get(at..at + 2)? == b"\r\n" {
        let end = find(at, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&body[at..end]).into_owned();
        let of = |what: &str| {
            let (_, rest) = head.split_once(&format!(" {what}=\""))?;
            Some(rest.split('"').next()?.to_owned())
        };
        let next = find(end + 4, format!("\r\n{line}").as_bytes())?;
        fields.insert(of("name")?, body[end + 4..next].to_vec());
        name = of("filename").unwrap_or(name);
        at = next + 2 + line.len();
    }
    (body.get(at..)?.starts_with(b"--")).then_some((fields, name.replace("%22", "\"")))
}

impl Drime {
    pub fn new() -> Drime {
        let mut out = Drime {
            next: 100,
            page_max: 1000,
            ..Drime::default()
        };
        out.add(FOLDER, None, None);
        out
    }

    /// Puts a further file or folder into a folder; its id.
    pub fn add(&mut self, name: &str, parent: Option<u64>, data: Option<Vec<u8>>) -> u64 {
        self.next += 1;
        self.entries.push(Entry {
            id: self.next,
            hash: format!("h{:x}{:x}", self.next * 40_503 % 65_521, self.next),
            name: name.to_owned(),
            parent,
            data,
            deleted: false,
        });
        self.next
    }

    pub fn folder(&self, name: &str) -> Option<u64> {
        let found = self.live().find(|e| e.name == name && e.data.is_none());
        found.map(|entry| entry.id)
    }

    /// Once of each kind.
    fn note(&mut self, what: String) {
        if !self.odd.contains(&what) {
            self.odd.push(what);
        }
    }

    fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.deleted)
    }

    /// All files of this name that are not in the trash, the newest first.
    pub fn named(&self, name: &str) -> Vec<&Entry> {
        let mut all: Vec<_> = self.live().filter(|e| e.name == name).collect();
        all.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        all
    }

    fn view(&self, entry: &Entry) -> Value {
        let kind = match (&entry.data, entry.name.ends_with(".zip")) {
            (None, _) => "folder",
            (_, true) => "archive",
            _ => "file",
        };
        // Many are made in one second.
        let time = format!("2024-01-02T03:04:{:02}.000000Z", entry.id / 50 % 60);
        let mut out = json!({
            "id": entry.id, "name": entry.name, "type": kind, "parent_id": entry.parent,
            "file_size": entry.data.as_ref().map_or(0, Vec::len), "created_at": time, "updated_at": time,
            "deleted_at": null, "url": format!("api/v1/file-entries/{}", entry.id),
        });
        if !self.is_filejump {
            out["hash"] = entry.hash.clone().into();
            out["workspace_id"] = 0.into();
        }
        out
    }

    fn list(&mut self, query: &BTreeMap<String, String>) -> Reply {
        let folder = if self.is_filejump {
            "parentIds"
        } else {
            "folderId"
        };
        let known = [
            "page",
            "perPage",
            "workspaceId",
            folder,
            "type",
            "orderBy",
            "orderDir",
        ];
        let other = query
            .keys()
            .find(|name| !known.contains(&name.as_str()))
            .cloned();
        if let Some(other) = other {
            self.note(format!("parameter {other}"));
        }
        let parent = query.get(folder);
        let parent = match parent {
            Some(id) => match id.parse() {
                Ok(id) if self.live().any(|e| e.id == id && e.data.is_none()) => Some(id),
                _ => return refuse(404, error("No query results for model [App\\FileEntry]")),
            },
            None => None,
        };
        let folders = query.get("type").is_some_and(|kind| kind == "folder");
        let mut all: Vec<&Entry> = self.live().filter(|e| e.parent == parent).collect();
        all.retain(|entry| !folders || entry.data.is_none());
        // As a database does it: upper and lower case are the same, and of what is the same the order is any.
        let by_name = query.get("orderBy").is_some_and(|by| by == "name");
        match by_name {
            true => all.sort_by_key(|e| (e.name.to_lowercase(), e.id * 7 % 11)),
            false => all.sort_by_key(|e| std::cmp::Reverse(e.id)),
        }
        let number =
            |name: &str, default: usize| query.get(name).map_or(default, |n| n.parse().unwrap());
        let (page, size) = (number("page", 1), number("perPage", 50).min(self.page_max));
        let page = match self.page_last {
            0 => page,
            last => page.min(last),
        };
        let from = (page - 1) * size;
        let data: Vec<Value> = all
            .iter()
            .skip(from)
            .take(size)
            .map(|e| self.view(e))
            .collect();
        let (more, last) = (from + size < all.len(), all.len().div_ceil(size).max(1));
        let next = if more { json!(page + 1) } else { Value::Null };
        let mut out = json!({ "data": data, "current_page": page, "per_page": size });
        if matches!(self.pages, Pages::All) {
            out["last_page"] = last.into();
            out["total"] = all.len().into();
            out["from"] = (from + 1).into();
        }
        if matches!(self.pages, Pages::All | Pages::Next) {
            out["next_page"] = next;
        }
        if matches!(self.pages, Pages::All | Pages::Address) {
            let address = format!("https://x/?page={}", page + 1);
            out["next_page_url"] = if more { json!(address) } else { Value::Null };
        }
        good(&out)
    }

    fn upload(&mut self, request: &Seen, body: &[u8]) -> Reply {
        let Some((fields, name)) = form(request, body) else {
            return refuse(422, invalid("file", "The file field is required."));
        };
        let text = |name: &str| String::from_utf8(fields.get(name)?.clone()).ok();
        let Some(data) = fields.get("file").filter(|_| !name.is_empty()) else {
            return refuse(422, invalid("file", "The file field is required."));
        };
        if text("workspaceId").as_deref().unwrap_or("") != "0" {
            self.note("upload without a workspace".to_owned());
        }
        let parent = match text("parentId").filter(|id| !id.is_empty()) {
            None => None,
            Some(id) => match id
                .parse()
                .ok()
                .filter(|id| self.live().any(|e| e.id == *id))
            {
                None => {
                    return refuse(
                        422,
                        invalid("parentId", "The selected parent id is invalid."),
                    );
                }
                some => some,
            },
        };
        let used: usize = self
            .entries
            .iter()
            .filter_map(|e| Some(e.data.as_ref()?.len()))
            .sum();
        if self
            .space
            .is_some_and(|space| (used + data.len()) as u64 > space)
        {
            let why = "You have exhausted your allowed space of 3.0MB. Delete some files or upgrade your plan.";
            return refuse(422, invalid("file", why));
        }
        let id = self.add(&name, parent, Some(data.clone()));
        let entry = self.entries.iter().find(|e| e.id == id).unwrap();
        good(&json!({ "status": "success", "fileEntry": self.view(entry) }))
    }

    fn remove(&mut self, about: &Value) -> Reply {
        let ids: Vec<u64> = about["entryIds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()).unwrap())
            .collect();
        let there = |id: &u64| self.live().any(|e| e.id == *id);
        if !ids.iter().all(there) {
            return refuse(
                422,
                invalid("entryIds", "The selected entry ids is invalid."),
            );
        }
        if self.keeps {
            let errors = json!({ ids[0].to_string(): "held by somebody" });
            return good(&json!({ "status": "success", "errors": errors }));
        }
        match about["deleteForever"] == true {
            true => self.entries.retain(|e| !ids.contains(&e.id)),
            false => {
                let gone = self.entries.iter_mut().filter(|e| ids.contains(&e.id));
                gone.for_each(|entry| entry.deleted = true);
            }
        }
        good(&json!({ "status": "success" }))
    }

    fn content(&self, entry: Option<&Entry>, request: &Seen, twist: Twist) -> Reply {
        let Some((entry, data)) = entry.and_then(|e| Some((e, e.data.as_ref()?))) else {
            return refuse(404, error("No query results for model [App\\FileEntry]"));
        };
        match &self.elsewhere {
            Some(host) => (
                302,
                vec![("location", format!("{host}/signed/{}", entry.id))],
                Vec::new(),
            ),
            None => ranged(data, request, twist, vec![("etag", etag(data))]),
        }
    }

    fn log_in(&mut self, about: &Value) -> Reply {
        let (user, password) = self.user.clone().unwrap_or_default();
        let device = if self.is_filejump {
            "token_name"
        } else {
            "device_name"
        };
        if about[device].as_str().is_none_or(str::is_empty) {
            return refuse(422, invalid(device, "The field is required."));
        }
        if about["email"] != user.as_str() || about["password"] != password.as_str() {
            return refuse(
                422,
                invalid("email", "These credentials do not match our records."),
            );
        }
        let token = format!("acct-{}", self.tokens.len());
        self.tokens.push(token.clone());
        good(
            &json!({ "status": "success", "user": { "email": user, "access_token": token, "banned_at": null } }),
        )
    }
}

impl Service for Drime {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_owned(), decode(v)))
            .collect();
        if let Some(id) = path.strip_prefix("/signed/") {
            if request.header("authorization").is_some() {
                self.note("a log-in at another host".to_owned());
            }
            let data = self
                .live()
                .find(|e| e.id.to_string() == id)
                .and_then(|e| e.data.clone());
            return ranged(&data.unwrap(), request, twist, Vec::new());
        }
        let path = path.strip_prefix("/api/v1/").unwrap_or(path);
        let about: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let json = request.holds("accept", "application/json");
        if path == "auth/login" {
            return self.log_in(&about);
        }
        let sent = request.header("authorization").unwrap_or_default();
        let known = |token: &String| sent == format!("Bearer {token}");
        if !self.tokens.is_empty() && !self.tokens.iter().any(known) {
            return match json {
                true => refuse(401, error("Unauthenticated.")),
                false => (302, vec![("location", "/login".to_owned())], Vec::new()),
            };
        }
        let by_id = path.strip_prefix("file-entries/");
        if !json && by_id.is_none() {
            self.note(format!("{path} for people"));
        }
        match (request.method.as_str(), path) {
            ("GET", "drive/file-entries") => self.list(&query),
            ("POST", "uploads") => self.upload(request, &body),
            ("POST", "file-entries/delete") => self.remove(&about),
            ("POST", "folders") => {
                let name = about["name"].as_str().unwrap().to_owned();
                let parent = &about["parentId"];
                let parent = parent.as_u64().or_else(|| parent.as_str()?.parse().ok());
                let id = self.add(&name, parent, None);
                good(&json!({ "status": "success", "folder": { "id": id, "name": name } }))
            }
            ("GET", "user/space-usage") => {
                let available = self.space.unwrap_or(1 << 40);
                good(&json!({ "used": 10, "available": available, "status": "success" }))
            }
            ("GET", _) => {
                let at = by_id.unwrap_or(path);
                let wanted = at.strip_prefix("download/");
                // What a redirect leads to is found by its name.
                let named = |e: &&Entry| path.ends_with(&e.name) && e.data.is_some();
                let found = self.live().find(|e| match wanted {
                    Some(hash) => e.hash == hash,
                    None => e.id.to_string() == at,
                });
                self.content(found.or(self.live().find(named)), request, twist)
            }
            _ => refuse(405, error("The method is not supported for this route.")),
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        let parent = self.folder(FOLDER);
        let old = self
            .entries
            .iter_mut()
            .find(|e| e.name == name && e.data.is_some());
        match old {
            Some(old) => old.data = Some(data.to_vec()),
            // A name is as good a hash as any.
            None => {
                self.add(name, parent, Some(data.to_vec()));
                let entry = self.entries.last_mut().unwrap();
                entry.hash = name.replace(|c: char| !c.is_ascii_graphic(), "_");
            }
        }
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.named(name).first()?.data.clone()
    }
}
