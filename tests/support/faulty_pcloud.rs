//! pCloud in memory: files and folders of one account by their ids, forms, and addresses of contents, which are asked for. It checks
//! what the tables need; `servers/pcloud.py` checks the rest of what the service's documentation says.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// Name of the folder that the files of [`Service::keep`] are in.
pub const FOLDER: &str = "bkt";

#[derive(Clone, Default)]
pub struct Item {
    pub id: u64,
    pub name: String,
    pub parent: u64,
    /// A folder has none.
    pub data: Option<Vec<u8>>,
    /// How often content was stored under this id.
    pub revisions: u64,
}

/// What the service tells of what a file holds: names of digests with their values.
type Digests = fn(&[u8]) -> Vec<(&'static str, String)>;

pub struct PCloud {
    pub items: Vec<Item>,
    pub trash: Vec<Item>,
    /// Addresses of contents, as they were asked for: which file; 0 for one that is over.
    pub links: Vec<u64>,
    /// Where contents are; the server itself without it.
    pub contents: Option<String>,
    /// An upload's reply tells no digests.
    pub silent: bool,
    /// What every request has to log in with; empty: anything.
    pub token: &'static str,
    next: u64,
    digests: Digests,
    address: SocketAddr,
}

/// Body of a refusal.
pub fn error(result: u16, message: &str) -> String {
    json!({ "result": result, "error": message }).to_string()
}

fn refuse(result: u16) -> Reply {
    let kind = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    (200, kind, error(result, "Because.").into_bytes())
}

fn good(mut value: Value) -> Reply {
    value["result"] = 0.into();
    let kind = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

impl PCloud {
    pub fn new(address: SocketAddr, digests: Digests) -> PCloud {
        let mut out = PCloud {
            items: Vec::new(),
            trash: Vec::new(),
            links: Vec::new(),
            contents: None,
            silent: false,
            token: "",
            next: 100,
            digests,
            address,
        };
        out.add(FOLDER, 0, None);
        out
    }

    /// Puts a further file or folder into a folder; its id.
    pub fn add(&mut self, name: &str, parent: u64, data: Option<Vec<u8>>) -> u64 {
        self.next += 1;
        self.items.push(Item {
            id: self.next,
            name: name.to_owned(),
            parent,
            data,
            revisions: 1,
        });
        self.next
    }

    /// The id of [`FOLDER`].
    pub fn folder(&self) -> Option<u64> {
        self.named(FOLDER).map(|item| item.id)
    }

    pub fn named(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    fn view(&self, item: &Item) -> Value {
        let time = "Wed, 02 Oct 2013 15:05:09 +0000";
        let mut out = json!({
            "name": item.name, "created": time, "modified": time, "isfolder": item.data.is_none(),
            "parentfolderid": item.parent, "ismine": true,
        });
        match &item.data {
            Some(data) => {
                out["fileid"] = item.id.into();
                out["size"] = data.len().into();
            }
            None => out["folderid"] = item.id.into(),
        }
        out
    }

    fn has_folder(&self, id: u64) -> bool {
        let mut items = self.items.iter();
        id == 0 || items.any(|item| item.id == id && item.data.is_none())
    }

    fn list(&self, id: u64, query: &BTreeMap<String, String>) -> Reply {
        if !self.has_folder(id) {
            return refuse(2005);
        }
        let files = !query.contains_key("nofiles");
        let all = self.items.iter().filter(|item| item.parent == id);
        let all = all.filter(|item| files || item.data.is_none());
        let all: Vec<Value> = all.map(|item| self.view(item)).collect();
        good(
            json!({ "metadata": { "name": "x", "isfolder": true, "folderid": id, "contents": all } }),
        )
    }

    fn upload(&mut self, request: &Seen, query: &BTreeMap<String, String>, body: Vec<u8>) -> Reply {
        assert_eq!(query["nopartial"], "1");
        let parent = query["folderid"].parse().unwrap();
        if !self.has_folder(parent) {
            return refuse(2005);
        }
        let (name, data) = match request.method.as_str() {
            "PUT" if body.is_empty() => return refuse(2088),
            "PUT" => (query["filename"].clone(), body),
            _ => {
                let kind = request.header("content-type").unwrap();
                let line = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
                let text = String::from_utf8(body).unwrap();
                let (head, rest) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(&format!("--{line}\r\n")));
                let (_, name) = head.split_once("; filename=\"").unwrap();
                let name = name.split_once("\"\r\n").unwrap().0;
                let data = rest.strip_suffix(&format!("\r\n--{line}--\r\n")).unwrap();
                (name.to_owned(), data.as_bytes().to_vec())
            }
        };
        let old = self
            .items
            .iter()
            .position(|item| item.parent == parent && item.name == name);
        let at = match old {
            Some(at) if self.items[at].data.is_none() => return refuse(2004),
            Some(at) => at,
            None => {
                self.add(&name, parent, Some(Vec::new()));
                self.items.len() - 1
            }
        };
        self.items[at].revisions += u64::from(old.is_some());
        self.items[at].data = Some(data.clone());
        let mut out =
            json!({ "fileids": [self.items[at].id], "metadata": [self.view(&self.items[at])] });
        if !self.silent {
            out["checksums"] = json!([self.sums(&data)]);
        }
        good(out)
    }

    fn sums(&self, data: &[u8]) -> Value {
        let all = (self.digests)(data).into_iter();
        all.map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn file(&mut self, method: &str, id: u64) -> Reply {
        let found = self
            .items
            .iter()
            .position(|item| item.id == id && item.data.is_some());
        let Some(at) = found else {
            return refuse(2009);
        };
        match method {
            "stat" => good(json!({ "metadata": self.view(&self.items[at]) })),
            "checksumfile" => {
                let sums = self.sums(self.items[at].data.as_ref().unwrap());
                good(sums)
            }
            "deletefile" => {
                let item = self.items.remove(at);
                let view = self.view(&item);
                self.trash.push(item);
                good(json!({ "metadata": view }))
            }
            _ => {
                self.links.push(id);
                let host = self.contents.clone();
                let host = host.unwrap_or_else(|| self.address.to_string());
                let name = self.items[at]
                    .name
                    .replace(|c: char| !c.is_ascii_graphic(), "_");
                let path = format!("/L{}/{name}", self.links.len());
                good(
                    json!({ "path": path, "hosts": [host, "c2.example"], "expires": "Wed, 02 Oct 2013 15:05:09 +0000" }),
                )
            }
        }
    }

    /// What an address of a content gives.
    fn content(&self, request: &Seen, path: &str, twist: Twist) -> Reply {
        let number = path.split('/').next().unwrap().parse::<usize>();
        let link = number.ok().and_then(|n| self.links.get(n.checked_sub(1)?));
        // What a redirect leads to is found by its name.
        let named = || self.named(path.rsplit('/').next().unwrap());
        let found = match link {
            Some(id) => self.items.iter().find(|item| item.id == *id),
            None => named(),
        };
        match found.and_then(|item| item.data.as_ref()) {
            Some(data) => ranged(data, request, twist, vec![("etag", etag(data))]),
            None => (410, Vec::new(), Vec::new()),
        }
    }
}

impl Service for PCloud {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_owned(), decode(v)))
            .collect();
        assert!(request.header("transfer-encoding").is_none());
        let id = |name: &str| query.get(name).map_or(0, |id| id.parse().unwrap());
        if let Some(path) = path.strip_prefix("/L") {
            assert!(request.header("authorization").is_none());
            return self.content(request, path, twist);
        }
        let login = request.header("authorization").unwrap_or_default();
        if !self.token.is_empty() && login != format!("Bearer {}", self.token) {
            return refuse(2094);
        }
        match path.trim_start_matches('/') {
            "listfolder" => self.list(id("folderid"), &query),
            "uploadfile" => self.upload(request, &query, body),
            "createfolderifnotexists" => {
                let (parent, name) = (id("folderid"), &query["name"]);
                let there = self
                    .items
                    .iter()
                    .find(|item| item.parent == parent && item.name == *name);
                let there = there.cloned();
                match there {
                    Some(item) if item.data.is_some() => refuse(2004),
                    Some(item) => good(json!({ "metadata": self.view(&item) })),
                    None => {
                        self.add(name, parent, None);
                        good(json!({ "metadata": self.view(self.items.last().unwrap()) }))
                    }
                }
            }
            "userinfo" => good(json!({ "quota": 1_u64 << 40, "usedquota": 10 })),
            method @ ("stat" | "checksumfile" | "deletefile" | "getfilelink") => {
                self.file(method, id("fileid"))
            }
            // What a redirect leads to.
            other => self.content(request, other, twist),
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
            None => drop(self.add(name, parent, Some(data.to_vec()))),
        }
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.named(name)?.data.clone()
    }
}
