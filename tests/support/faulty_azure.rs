//! Azure Blob Storage in memory: one container, whose files lie in a map. It checks no signature; Microsoft's own emulator does.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

pub struct Azure {
    pub files: BTreeMap<String, Vec<u8>>,
    pub container: bool,
    /// Blocks that belong to no file yet, by file and name.
    pub blocks: BTreeMap<(String, String), Vec<u8>>,
    /// Files that have snapshots.
    pub snapshots: Vec<String>,
    /// What every file's tier is.
    pub tier: &'static str,
}

impl Azure {
    pub fn new() -> Azure {
        Azure {
            files: BTreeMap::new(),
            container: true,
            blocks: BTreeMap::new(),
            snapshots: Vec::new(),
            tier: "Hot",
        }
    }
}

/// Body of a refusal.
pub fn error(code: &str, message: &str, more: &str) -> String {
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}\nRequestId:1-2\nTime:2026-01-01T00:00:00Z</Message>{more}</Error>"
    )
}

pub fn refuse(status: u16, code: &'static str) -> Reply {
    let head = vec![("x-ms-error-code", code.to_owned())];
    (status, head, error(code, "because", "").into_bytes())
}

/// A listing with these elements in it.
pub fn listing(inner: &str, next: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"bkt\"><Blobs>{inner}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    )
}

impl Service for Azure {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let name = decode(path.strip_prefix("/account/bkt").unwrap_or("/elsewhere"));
        let name = name.trim_start_matches('/').to_owned();
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.to_owned(), decode(v)))
            .collect();
        let comp = query.get("comp").map_or("", String::as_str);
        let method = request.method.as_str();
        let chunked = request.header("transfer-encoding").is_some();
        assert!(!chunked, "every body has its length");
        if method == "PUT" && name.is_empty() {
            return match std::mem::replace(&mut self.container, true) {
                true => refuse(409, "ContainerAlreadyExists"),
                false => (201, Vec::new(), Vec::new()),
            };
        }
        if !self.container {
            return refuse(404, "ContainerNotFound");
        }
        match (method, comp) {
            ("GET", "list") => (200, vec![xml()], list(self, &query).into_bytes()),
            ("PUT", "block") => {
                let id = query["blockid"].clone();
                self.blocks.insert((name, id), body);
                (201, Vec::new(), Vec::new())
            }
            ("PUT", _)
                if request.header("if-none-match") == Some("*")
                    && self.files.contains_key(&name) =>
            {
                refuse(409, "BlobAlreadyExists")
            }
            ("PUT", "blocklist") => {
                let text = String::from_utf8(body).unwrap();
                let mut data = Vec::new();
                for id in text.split("<Latest>").skip(1) {
                    let id = id.split('<').next().unwrap().to_owned();
                    match self.blocks.remove(&(name.clone(), id)) {
                        Some(block) => data.extend(block),
                        None => return refuse(400, "InvalidBlockList"),
                    }
                }
                self.files.insert(name, data);
                (201, Vec::new(), Vec::new())
            }
            ("PUT", _) => {
                assert_eq!(request.header("x-ms-blob-type"), Some("BlockBlob"));
                assert!(request.header("content-md5").is_some());
                self.files.insert(name, body);
                (201, Vec::new(), Vec::new())
            }
            ("DELETE", _) => {
                let all = request.header("x-ms-delete-snapshots").is_some();
                if self.snapshots.contains(&name) && !all {
                    return refuse(409, "SnapshotsPresent");
                }
                match self.files.remove(&name) {
                    Some(_) => (202, Vec::new(), Vec::new()),
                    None => refuse(404, "BlobNotFound"),
                }
            }
            _ => match self.files.get(&name) {
                None => refuse(404, "BlobNotFound"),
                Some(_) if method == "GET" && self.tier == "Archive" => refuse(409, "BlobArchived"),
                Some(data) => {
                    let mut more = vec![
                        ("etag", etag(data)),
                        ("x-ms-access-tier", self.tier.to_owned()),
                    ];
                    if method == "HEAD" {
                        more.push(("content-length", data.len().to_string()));
                    }
                    ranged(data, request, twist, more)
                }
            },
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(name.to_owned(), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }
}

fn xml() -> (&'static str, String) {
    ("content-type", "application/xml".to_owned())
}

fn list(state: &Azure, query: &BTreeMap<String, String>) -> String {
    let empty = String::new();
    let value = |name: &str| query.get(name).unwrap_or(&empty);
    let most: usize = value("maxresults").parse().unwrap();
    let (prefix, marker) = (value("prefix"), value("marker"));
    let from = marker.max(prefix).as_str();
    let mut all = state
        .files
        .range(from.to_owned()..)
        .take_while(|(name, _)| name.starts_with(prefix.as_str()));
    let mut out = String::new();
    for (name, data) in all.by_ref().take(most) {
        let written = name.replace('&', "&amp;").replace('<', "&lt;");
        if name[prefix.len()..].contains('/') {
            out.push_str(&format!("<BlobPrefix><Name>{written}</Name></BlobPrefix>"));
            continue;
        }
        out.push_str(&format!(
            "<Blob><Name>{written}</Name><Properties><Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified><Content-Length>{}</Content-Length><AccessTier>{}</AccessTier></Properties></Blob>",
            data.len(),
            state.tier
        ));
    }
    let next = all.next().map_or("", |(name, _)| name.as_str());
    listing(&out, next)
}
