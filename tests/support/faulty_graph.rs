//! Drives of Microsoft Graph in memory: one drive, whose folders and files lie in maps, with the token service that log-ins ask. It
//! checks no names; the stub in `tests/support/servers/msgraph.py` does.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// The folder that tests use, by its id.
pub const FOLDER: &str = "d/b";
const ALIGN: usize = 320 << 10;

/// An upload that has begun.
#[derive(Default)]
pub struct Session {
    pub key: String,
    pub data: Vec<u8>,
}

pub struct Graph {
    /// By folder and name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Their ids are `F` and the position; one that is empty is gone.
    pub folders: Vec<Option<String>>,
    pub sessions: BTreeMap<String, Session>,
    /// Begun so far, whether they are there or not.
    pub begun: u64,
    /// One open session for a name, as drives of organisations have it.
    pub business: bool,
    /// Tokens given so far; only the last is good.
    pub tokens: u64,
    /// The refresh token that is good; each is so once, and the next is told.
    pub refresh: String,
    /// How long a token lives, in seconds.
    pub life: u64,
    /// Of the next fragment it keeps so many bytes, and answers this.
    pub keeps: Option<(usize, u16)>,
    address: SocketAddr,
}

impl Graph {
    pub fn new(address: SocketAddr) -> Graph {
        Graph {
            files: BTreeMap::new(),
            folders: vec![
                Some(String::new()),
                Some("d".to_owned()),
                Some(FOLDER.to_owned()),
            ],
            sessions: BTreeMap::new(),
            begun: 0,
            business: false,
            tokens: 0,
            refresh: "acct-r".to_owned(),
            life: 3600,
            keeps: None,
            address,
        }
    }

    fn id(&self, folder: &str) -> Option<usize> {
        self.folders
            .iter()
            .position(|f| f.as_deref() == Some(folder))
    }

    fn about(&self, key: &str) -> Reply {
        let name = key.rsplit('/').next().unwrap();
        let name = serde_json::Value::from(name);
        let text = match self.files.get(key) {
            Some(data) => format!(
                r#"{{"name":{name},"size":{},"file":{{}},"lastModifiedDateTime":"2024-01-02T03:04:05.678Z"}}"#,
                data.len()
            ),
            None => match self.id(key) {
                Some(id) => {
                    format!(r#"{{"name":{name},"id":"F{id}","folder":{{"childCount":1}}}}"#)
                }
                None => return missing(),
            },
        };
        (200, Vec::new(), text.into_bytes())
    }

    fn list(&self, folder: &str, query: &BTreeMap<String, String>) -> Reply {
        let most: usize = query["$top"].parse().unwrap();
        let empty = String::new();
        let from = query.get("$skiptoken").unwrap_or(&empty);
        let start = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let mut all = self
            .files
            .range(format!("{start}{from}")..)
            .take_while(|(key, _)| key.starts_with(&start))
            .filter(|(key, _)| !key[start.len()..].contains('/'));
        let shown = all.by_ref().take(most);
        let items: Vec<String> = shown
            .map(|(key, data)| {
                let name = serde_json::Value::from(&key[start.len()..]);
                format!(r#"{{"name":{name},"size":{},"file":{{}}}}"#, data.len())
            })
            .collect();
        let next = all.next().map_or(String::new(), |(key, _)| {
            let token: String = key[start.len()..].bytes().map(|b| format!("%{b:02X}")).collect();
            let id = self.id(folder).unwrap();
            format!(
                r#""@odata.nextLink":"http://{}/v1.0/me/drive/items/F{id}/children?$top={most}&$skiptoken={token}","#,
                self.address
            )
        });
        let text = format!(r#"{{{next}"value":[{}]}}"#, items.join(","));
        (200, Vec::new(), text.into_bytes())
    }

    /// What an upload's own address says.
    fn go_on(&mut self, request: &Seen, id: &str, body: &[u8]) -> Reply {
        assert!(request.header("authorization").is_none());
        let Some(session) = self.sessions.get_mut(id) else {
            return refuse(404, "itemNotFound", "The upload session was not found");
        };
        if request.method == "DELETE" {
            self.sessions.remove(id);
            return (204, Vec::new(), Vec::new());
        }
        if request.method == "PUT" {
            let range = request.header("content-range").unwrap();
            let (range, total) = range
                .strip_prefix("bytes ")
                .unwrap()
                .split_once('/')
                .unwrap();
            let (from, last) = range.split_once('-').unwrap();
            let total: usize = total.parse().unwrap();
            let (from, last): (usize, usize) = (from.parse().unwrap(), last.parse().unwrap());
            assert_eq!(last + 1, from + body.len());
            assert!(
                last + 1 == total || body.len().is_multiple_of(ALIGN),
                "aligned"
            );
            if from != session.data.len() {
                return refuse(416, "invalidRange", "overlap, or out of order");
            }
            let kept = self.keeps.take();
            let keep = kept.map_or(body.len(), |(keep, _)| keep);
            session.data.extend_from_slice(&body[..keep]);
            if let Some((_, status)) = kept {
                return refuse(status, "generalException", "because");
            }
            if session.data.len() == total {
                let session = self.sessions.remove(id).unwrap();
                let key = session.key.clone();
                self.files.insert(session.key, session.data);
                return self.about(&key);
            }
        }
        let at = self.sessions[id].data.len();
        let text = format!(r#"{{"nextExpectedRanges":["{at}-"]}}"#);
        let status = if request.method == "PUT" { 202 } else { 200 };
        (status, Vec::new(), text.into_bytes())
    }

    fn begin(&mut self, request: &Seen, key: String) -> Reply {
        assert!(
            request
                .text
                .contains(r#""@microsoft.graph.conflictBehavior":"replace""#)
        );
        if self.business && self.sessions.values().any(|s| s.key == key) {
            return refuse(409, "nameAlreadyExists", "An upload session already exists");
        }
        self.begun += 1;
        let id = format!("up-1-{}", self.begun);
        let data = Vec::new();
        self.sessions.insert(id.clone(), Session { key, data });
        // Another address than the service's own.
        let text = format!(
            r#"{{"uploadUrl":"http://localhost:{}/up/{id}","expirationDateTime":"2030-01-01T00:00:00Z"}}"#,
            self.address.port()
        );
        (200, Vec::new(), text.into_bytes())
    }

    fn make(&mut self, request: &Seen, up: &str) -> Reply {
        let about: serde_json::Value = serde_json::from_str(&request.text).unwrap();
        let name = about["name"].as_str().unwrap();
        let path = match up {
            "" => name.to_owned(),
            up => format!("{up}/{name}"),
        };
        if self.id(up).is_none() {
            return missing();
        }
        if self.id(&path).is_some() || self.files.contains_key(&path) {
            return refuse(
                409,
                "nameAlreadyExists",
                "An item with the same name exists",
            );
        }
        self.folders.push(Some(path.clone()));
        let (_, headers, body) = self.about(&path);
        (201, headers, body)
    }

    /// What is done with a folder or a file in it.
    fn item(
        &mut self,
        request: &Seen,
        query: &BTreeMap<String, String>,
        (folder, rest): (String, &str),
        body: Vec<u8>,
        twist: Twist,
    ) -> Reply {
        let method = request.method.as_str();
        let (name, action) = match rest.strip_prefix(":/") {
            None => ("", rest.trim_start_matches('/')),
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        };
        let name = decode(name.trim_end_matches(':'));
        let key = match (folder.is_empty(), name.is_empty()) {
            (_, true) => folder.clone(),
            (true, _) => name.clone(),
            (false, _) => format!("{folder}/{name}"),
        };
        match (method, action) {
            ("GET", "children") => self.list(&folder, query),
            ("POST", "children") => self.make(request, &folder),
            ("PUT", "content") => {
                assert!(request.header("transfer-encoding").is_none());
                self.files.insert(key.clone(), body);
                self.about(&key)
            }
            ("POST", "createUploadSession") => self.begin(request, key),
            ("GET", "") => self.about(&key),
            ("DELETE", "") => match self.files.remove(&key) {
                Some(_) => (204, Vec::new(), Vec::new()),
                None => missing(),
            },
            ("GET", _) => match self.files.get(&key) {
                Some(data) => ranged(data, request, twist, vec![("etag", etag(data))]),
                None => missing(),
            },
            _ => refuse(405, "notAllowed", "The HTTP method is not allowed"),
        }
    }
}

/// Body of a refusal.
pub fn error(code: &str, message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(
        r#"{{"error":{{"code":"{code}","message":{message},"innerError":{{"code":"inner","date":"2024-01-02T03:04:05"}}}}}}"#
    )
}

pub fn refuse(status: u16, code: &str, message: &str) -> Reply {
    (status, Vec::new(), error(code, message).into_bytes())
}

fn missing() -> Reply {
    refuse(404, "itemNotFound", "The resource could not be found.")
}

impl Service for Graph {
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
        if path == "/refresh" {
            assert!(request.header("authorization").is_none());
            self.tokens += 1;
            let text = format!(
                r#"{{"access_token":"acct-{}","expires":{},"type":"onedrivev2"}}"#,
                self.tokens, self.life
            );
            return (200, Vec::new(), text.into_bytes());
        }
        if path == "/token" {
            let good = format!("refresh_token={}&", self.refresh);
            if !request.text.contains(&good) || !request.text.contains("client_id=own") {
                let told = format!(
                    r#"{{"error":"invalid_grant","error_description":"AADSTS700082: {}"}}"#,
                    request.text.replace('&', " ")
                );
                return (400, Vec::new(), told.into_bytes());
            }
            self.tokens += 1;
            self.refresh.push('r');
            let text = format!(
                r#"{{"access_token":"acct-{}","expires_in":{},"refresh_token":"{}"}}"#,
                self.tokens, self.life, self.refresh
            );
            return (200, Vec::new(), text.into_bytes());
        }
        if let Some(id) = path.strip_prefix("/up/") {
            return self.go_on(request, id, &body);
        }
        // One that came from another address, where a log-in does not go.
        let own = request.header("host") == Some(&self.address.to_string());
        let elsewhere = self.tokens == 0;
        let good = format!("Bearer acct-{}", self.tokens);
        if !elsewhere && own && request.header("authorization") != Some(&good) {
            return refuse(
                401,
                "InvalidAuthenticationToken",
                "Access token has expired.",
            );
        }
        let Some(at) = path.strip_prefix("/v1.0/me/drive") else {
            return refuse(401, "InvalidAuthenticationToken", "Access token is empty.");
        };
        if at.is_empty() {
            let text = r#"{"quota":{"total":1000000000000,"used":400,"remaining":999999999600}}"#;
            return (200, Vec::new(), text.as_bytes().to_vec());
        }
        if let Some(rest) = at.strip_prefix("/items/F") {
            let end = rest.find([':', '/']).unwrap_or(rest.len());
            let id: usize = rest[..end].parse().unwrap();
            return match self.folders[id].clone() {
                Some(folder) => self.item(request, &query, (folder, &rest[end..]), body, twist),
                None => missing(),
            };
        }
        let rest = at.strip_prefix("/root").unwrap();
        let (folder, rest) = match rest.strip_prefix(":/") {
            Some(path) => path.split_once(":/").unwrap_or((path, "")),
            None => ("", rest),
        };
        let folder: Vec<String> = folder.split('/').map(decode).collect();
        let folder = folder.join("/");
        if self.id(&folder).is_none() && !self.files.contains_key(&folder) {
            return missing();
        }
        let rest = format!("/{}", rest.trim_start_matches('/'));
        self.item(request, &query, (folder, &rest), body, twist)
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(format!("{FOLDER}/{name}"), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("{FOLDER}/{name}")).cloned()
    }
}
