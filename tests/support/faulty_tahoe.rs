//! A gateway of Tahoe-LAFS in memory: one directory of the grid with folders in it, as version 1.20 answers. It checks what the
//! tables need; `tests/tahoe.rs` has a real grid.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// What lets one change the directory, and what only read it: the secrets.
pub const KEY: &str = "sesamesesamesesamesesamese";
pub const READ_KEY: &str = "sesamereadsesamereadsesame";
pub const FINGERPRINT: &str = "fingerpr2ntfingerpr2ntfingerpr2ntfingerpr2ntfingerpr";
/// Where the files of [`Service::keep`] are.
pub const FOLDER: &str = "/bkt";
/// Shorter contents are in the capability itself, and have no tag.
const LITERAL_MAX: usize = 55;

/// The capability of the directory.
pub fn capability() -> String {
    format!("URI:DIR2:{KEY}:{FINGERPRINT}")
}

pub fn read_capability() -> String {
    format!("URI:DIR2-RO:{READ_KEY}:{FINGERPRINT}")
}

pub struct Tahoe {
    /// By path below the directory, which is the empty one.
    pub folders: BTreeSet<String>,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A refusal as most are.
pub fn page(status: u16, heading: &str, text: &str) -> String {
    format!(
        "\n<html>\n  <head><title>{status} - {heading}</title></head>\n  <body>\n    <h1>{heading}</h1>\n    <p>{text}</p>\n  </body>\n</html>\n"
    )
}

/// An exception that has no sentence of its own.
pub fn trace(exception: &str, text: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"upload.py\", line 895, in _failed\n    raise Failed(msg)\nallmydata.interfaces.{exception}: {text}\n"
    )
}

/// An entry of a directory, and what is said of it alone.
pub fn node(len: usize) -> Value {
    let file = format!("URI:CHK:{KEY}:{FINGERPRINT}:1:1:{len}");
    let times = json!({ "linkcrtime": 1_700_000_000.25, "linkmotime": 1_700_000_000.75 });
    json!(["filenode", {
        "mutable": false, "format": "CHK", "size": len, "metadata": { "tahoe": times }, "ro_uri": file
    }])
}

/// A directory with these entries.
pub fn directory(children: Vec<(&str, Value)>) -> String {
    let children: serde_json::Map<String, Value> = children
        .into_iter()
        .map(|(name, node)| (name.to_owned(), node))
        .collect();
    let about = json!({
        "children": children, "rw_uri": capability(), "ro_uri": read_capability(), "mutable": true
    });
    spaced(&json!(["dirnode", about]))
}

/// As Python writes it.
fn spaced(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn refuse(status: u16, heading: &str, text: &str) -> Reply {
    let kind = vec![("content-type", "text/html; charset=utf-8".to_owned())];
    (status, kind, page(status, heading, text).into_bytes())
}

fn plain(status: u16, text: String) -> Reply {
    let kind = vec![("content-type", "text/plain".to_owned())];
    (status, kind, text.into_bytes())
}

/// A reply that is a capability: it says that it is a page.
fn capable(status: u16, text: String) -> Reply {
    let kind = vec![("content-type", "text/html".to_owned())];
    (status, kind, text.into_bytes())
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

impl Tahoe {
    pub fn new() -> Tahoe {
        Tahoe {
            folders: BTreeSet::from([String::new(), FOLDER.to_owned()]),
            files: BTreeMap::new(),
        }
    }

    /// Makes a folder and those above it; false when a file is in the way.
    fn make(&mut self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        for at in ends.chain([path.len()]) {
            if self.files.contains_key(&path[..at]) {
                return false;
            }
            self.folders.insert(path[..at].to_owned());
        }
        true
    }

    fn list(&self, path: &str) -> String {
        let start = format!("{path}/");
        let mut all = Vec::new();
        for folder in self
            .folders
            .iter()
            .filter(|f| above(f) == path && !f.is_empty())
        {
            let about = json!({ "mutable": true, "rw_uri": capability() });
            all.push((&folder[start.len()..], json!(["dirnode", about])));
        }
        for (file, data) in self.files.range(start.clone()..) {
            let Some(name) = file.strip_prefix(&start) else {
                break;
            };
            if !name.contains('/') {
                all.push((name, node(data.len())));
            }
        }
        directory(all)
    }

    fn missing(&self, path: &str) -> Reply {
        // A file has nothing below it.
        if self.files.contains_key(above(path)) {
            let name = path.rsplit('/').next().unwrap();
            let heading = format!("Files have no children named &#39;{name}&#39;");
            return refuse(400, &heading, "no details");
        }
        refuse(404, "Error", "No such child: x")
    }

    fn get(&self, path: &str, query: &str, request: &Seen, twist: Twist) -> Reply {
        let file = self.files.get(path);
        let is_folder = self.folders.contains(path);
        match (query, file) {
            ("t=json", Some(data)) => plain(200, spaced(&node(data.len()))),
            ("t=json", None) if is_folder => plain(200, self.list(path)),
            ("t=readonly-uri", None) if is_folder => plain(200, read_capability()),
            (_, None) if is_folder => refuse(400, "GET directory", "no details"),
            (_, Some(data)) => {
                let tag = (data.len() > LITERAL_MAX).then(|| ("etag", etag(data)));
                let kind = ("content-type", "application/zip".to_owned());
                ranged(
                    data,
                    request,
                    twist,
                    [kind].into_iter().chain(tag).collect(),
                )
            }
            _ => self.missing(path),
        }
    }

    fn put(&mut self, path: &str, query: &str, body: Vec<u8>) -> Reply {
        if self.folders.contains(path) {
            return plain(400, "PUT to a directory".to_owned());
        }
        let is_there = self.files.contains_key(path);
        if is_there && query.contains("replace=false") {
            let why = "There was already a child by that name, and you asked me to not replace it.";
            return plain(409, why.to_owned());
        }
        if !self.make(above(path)) {
            return refuse(
                409,
                "Unable to create directory &#39;x&#39;: a file was in the way",
                "no details",
            );
        }
        let told = format!("URI:CHK:{KEY}:{FINGERPRINT}:1:1:{}", body.len());
        self.files.insert(path.to_owned(), body);
        capable(if is_there { 200 } else { 201 }, told)
    }
}

impl Service for Tahoe {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        assert!(request.header("transfer-encoding").is_none());
        assert_eq!(request.header("authorization"), None);
        // Of those who take pages, an exception is told by a page of 20 KB.
        assert_eq!(request.header("accept"), Some("text/plain"));
        let (target, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let path = decode(target.strip_prefix("/uri/").unwrap());
        assert!(!path.contains("//"), "the gateway allows no empty names");
        let (own, path) = path.split_at(path.find('/').unwrap_or(path.len()));
        let may_write = own == capability();
        if !may_write && own != read_capability() {
            let text = "Sorry. No luck finding that resource.";
            return refuse(404, "No Such Resource", text);
        }
        let method = request.method.as_str();
        if !may_write && method != "GET" {
            let text = "Traceback (most recent call last):\nFailure: allmydata.mutable.common.NotWriteableError: \n";
            return plain(500, text.to_owned());
        }
        match method {
            "GET" => self.get(path, query, request, twist),
            "PUT" => self.put(path, query, body),
            "POST" if query == "t=mkdir" => match self.make(path) {
                true => capable(200, capability()),
                false => refuse(409, "Unable to create directory", "no details"),
            },
            "DELETE" => match self.files.remove(path) {
                Some(_) => capable(200, format!("URI:CHK:{KEY}")),
                None => self.missing(path),
            },
            _ => refuse(400, "Bad", "no details"),
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(format!("{FOLDER}/{name}"), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("{FOLDER}/{name}")).cloned()
    }
}
