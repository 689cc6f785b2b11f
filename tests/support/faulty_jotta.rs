//! Jottacloud in memory: files and folders of one mount point, announced uploads, and the token service of AuthIDs. It checks what
//! the tables need; `servers/jottacloud.py` checks the rest of what is known of the service.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// Where the files of [`Service::keep`] are, below the mount point.
pub const FOLDER: &str = "/bkt";
const ROOT: &str = "/jfs/u%201/Jotta/Archive";

/// An upload that was announced.
pub struct Upload {
    path: String,
    len: usize,
    md5: String,
    have: Vec<u8>,
}

pub struct Jotta {
    /// Name and content by path in lower case; a folder has none.
    pub tree: BTreeMap<String, (String, Option<Vec<u8>>)>,
    /// Paths of what is in the trash, and of files of which nothing has arrived as a whole.
    pub trash: BTreeSet<String>,
    pub broken: BTreeSet<String>,
    pub uploads: BTreeMap<String, Upload>,
    /// Uploads begun so far.
    pub begun: u64,
    /// Tokens given so far; only the last is good. `None`: nobody has to log in.
    pub tokens: Option<u64>,
    /// Of the next upload it keeps so many bytes, and says that it failed.
    pub keeps: Option<usize>,
    /// Where uploads go, in place of here.
    pub elsewhere: Option<String>,
    md5: fn(&[u8]) -> String,
}

/// Body of a refusal of the part with files and folders.
pub fn error(status: u16, exception: &str, text: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<error><code>{status}</code><message>no.jotta.backup.errors.{exception}: {text}</message>\
         <reason>x</reason><cause></cause></error>"
    )
}

/// The same of the part with uploads.
pub fn api_error(status: u16, exception: &str, text: &str) -> String {
    let message = format!("no.jotta.backup.errors.{exception}: {text}");
    json!({ "code": status, "message": message, "cause": "", "error_id": exception }).to_string()
}

fn refuse(status: u16, exception: &str) -> Reply {
    (
        status,
        Vec::new(),
        error(status, exception, "no").into_bytes(),
    )
}

fn refuse_api(status: u16, exception: &str) -> Reply {
    (
        status,
        Vec::new(),
        api_error(status, exception, "no").into_bytes(),
    )
}

fn good(value: &Value) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, value.to_string().into_bytes())
}

fn xml(text: &str) -> Reply {
    let kind = vec![("content-type", "text/xml; charset=UTF-8".to_owned())];
    (
        200,
        kind,
        format!("<?xml version=\"1.0\"?>\n{text}").into_bytes(),
    )
}

fn quoted(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("\"{}\"", text.replace('"', "&quot;"))
}

impl Jotta {
    pub fn new(md5: fn(&[u8]) -> String) -> Jotta {
        Jotta {
            tree: BTreeMap::from([
                (String::new(), ("Archive".to_owned(), None)),
                (FOLDER.to_owned(), ("bkt".to_owned(), None)),
            ]),
            trash: BTreeSet::new(),
            broken: BTreeSet::new(),
            uploads: BTreeMap::new(),
            begun: 0,
            tokens: None,
            keeps: None,
            elsewhere: None,
            md5,
        }
    }

    fn file(&self, key: &str) -> Option<String> {
        let (name, data) = self.tree.get(key)?;
        let data = data.as_ref()?;
        let deleted = match self.trash.contains(key) {
            true => " deleted=\"2024-01-03-T03:04:05Z\"",
            false => "",
        };
        let (size, md5) = (data.len(), (self.md5)(data));
        let revision = format!(
            "<number>1</number><state>COMPLETED</state><modified>2024-01-02-T03:04:05Z</modified><size>{size}</size><md5>{md5}</md5>"
        );
        let inner = match self.broken.contains(key) {
            true => "<latestRevision><number>1</number><state>INCOMPLETE</state></latestRevision>"
                .to_owned(),
            false => format!("<currentRevision>{revision}</currentRevision>"),
        };
        Some(format!(
            "<file name={} uuid=\"1\"{deleted}>{inner}</file>",
            quoted(name)
        ))
    }

    fn folder(&self, key: &str) -> Reply {
        let start = format!("{key}/");
        let below = self.tree.range(start.clone()..).map(|(path, _)| path);
        let below = below.take_while(|path| path.starts_with(&start));
        let here = below.filter(|path| !path[start.len()..].contains('/'));
        let files: String = here.filter_map(|path| self.file(path)).collect();
        let deleted = match self.trash.contains(key) {
            true => " deleted=\"2024-01-03-T03:04:05Z\"",
            false => "",
        };
        let root = if key.is_empty() {
            "mountPoint"
        } else {
            "folder"
        };
        let name = quoted(&self.tree[key].0);
        xml(&format!(
            "<{root} name={name}{deleted} time=\"x\"><path>/</path><files>{files}</files><metadata total=\"1\"/></{root}>"
        ))
    }

    /// Makes a folder and those above it.
    fn make(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        for at in ends.chain([path.len()]) {
            let name = path[..at].rsplit('/').next().unwrap().to_owned();
            self.tree
                .entry(path[..at].to_lowercase())
                .or_insert((name, None));
        }
    }

    fn allocate(&mut self, body: &[u8], host: &str) -> Reply {
        let arg: Value = serde_json::from_slice(body).unwrap();
        let path = arg["path"].as_str().unwrap();
        let path = path.strip_prefix("/jfs/Jotta/Archive").unwrap().to_owned();
        let (len, md5) = (
            usize::try_from(arg["bytes"].as_u64().unwrap()).unwrap(),
            arg["md5"].as_str().unwrap().to_owned(),
        );
        let old = self.tree.get(&path.to_lowercase());
        if old.is_some_and(|(_, data)| data.is_none()) {
            return refuse_api(409, "UniqueFileException");
        }
        let same = old.is_some_and(|(_, data)| (self.md5)(data.as_ref().unwrap()) == md5);
        if same {
            self.trash.remove(&path.to_lowercase());
            return good(
                &json!({ "state": "COMPLETED", "upload_id": "", "upload_url": "", "resume_pos": len, "bytes": len }),
            );
        }
        let known = self
            .uploads
            .iter()
            .find(|(_, u)| u.path == path && u.md5 == md5 && u.len == len);
        let id = match known {
            Some((id, _)) => id.clone(),
            None => {
                self.begun += 1;
                let (id, have) = (format!("up{}", self.begun), Vec::new());
                self.uploads.insert(
                    id.clone(),
                    Upload {
                        path,
                        len,
                        md5,
                        have,
                    },
                );
                id
            }
        };
        let place = self.elsewhere.clone().unwrap_or(format!("http://{host}"));
        let had = self.uploads[&id].have.len();
        good(
            &json!({ "state": "INCOMPLETE", "upload_id": id, "upload_url": format!("{place}/upload/v1/{id}"), "resume_pos": had, "bytes": len }),
        )
    }

    fn upload(&mut self, id: &str, request: &Seen, body: &[u8]) -> Reply {
        let Some(upload) = self.uploads.get_mut(id) else {
            return refuse_api(404, "NoSuchPathException");
        };
        let range = request
            .header("range")
            .map_or("0-", |r| r.strip_prefix("bytes=").unwrap());
        let (from, last) = range.split_once('-').unwrap();
        let from: usize = from.parse().unwrap();
        assert!(last.is_empty() || last.parse::<usize>().unwrap() + 1 == from + body.len());
        if from > upload.have.len() || from + body.len() > upload.len {
            return refuse_api(416, "RequestedRangeNotSatisfiedException");
        }
        let kept = self.keeps.take();
        upload.have.truncate(from);
        upload
            .have
            .extend_from_slice(&body[..kept.unwrap_or(body.len())]);
        if kept.is_some() {
            return (500, Vec::new(), b"failed".to_vec());
        }
        if upload.have.len() < upload.len {
            return refuse_api(420, "IncompleteUploadOpenApiException");
        }
        let upload = self.uploads.remove(id).unwrap();
        let md5 = (self.md5)(&upload.have);
        if md5 != upload.md5 {
            return refuse_api(421, "CorruptUploadOpenApiException");
        }
        let (key, len) = (upload.path.to_lowercase(), upload.len);
        let (parent, name) = upload.path.rsplit_once('/').unwrap();
        self.make(parent);
        let name = self
            .tree
            .get(&key)
            .map_or(name.to_owned(), |(name, _)| name.clone());
        self.tree.insert(key.clone(), (name, Some(upload.have)));
        self.trash.remove(&key);
        self.broken.remove(&key);
        good(&json!({ "bytes": len, "content_id": "c", "md5": md5, "modified": 1 }))
    }

    fn files(&mut self, request: &Seen, path: &str, query: &str, twist: Twist) -> Reply {
        let path = decode(path.strip_prefix(ROOT).unwrap());
        let key = path.to_lowercase();
        let found = self.tree.get(&key).cloned();
        let query = query.split('&').next().unwrap();
        match (request.method.as_str(), query, found) {
            ("POST", "mkDir=true", _) => {
                self.make(&path);
                self.trash.remove(&key);
                self.folder(&key)
            }
            (_, _, None) => refuse(404, "NoSuchPathException"),
            ("GET", "", Some((_, None))) => self.folder(&key),
            ("GET", "", Some(_)) => xml(&self.file(&key).unwrap()),
            ("GET", "mode=bin" | "x=1", Some((_, Some(data)))) if !self.trash.contains(&key) => {
                ranged(&data, request, twist, vec![("etag", etag(&data))])
            }
            ("POST", "rm=true", Some((_, Some(_)))) => {
                self.tree.remove(&key);
                xml("<file/>")
            }
            _ => refuse(404, "NoSuchFileException"),
        }
    }
}

impl Service for Jotta {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        assert!(request.header("transfer-encoding").is_none());
        if path == "/refresh" {
            assert!(request.header("authorization").is_none());
            let count = self.tokens.get_or_insert(0);
            *count += 1;
            return good(&json!({ "access_token": format!("acct-{count}"), "expires": 3600 }));
        }
        if let Some(count) = self.tokens {
            let want = format!("Bearer acct-{count}");
            if request.header("authorization") != Some(&want) {
                return refuse(401, "BadCredentialsException");
            }
        }
        match path {
            "/auth/realms/jottacloud/protocol/openid-connect/userinfo" => {
                good(&json!({ "username": "u 1", "preferred_username": "other" }))
            }
            "/account/v1/customer" => good(&json!({ "usage": 10, "quota": 1_u64 << 40 })),
            "/files/v1/allocate" => self.allocate(&body, request.header("host").unwrap()),
            _ => match path.strip_prefix("/upload/v1/") {
                Some(id) => self.upload(id, request, &body),
                None if path.starts_with(ROOT) => self.files(request, path, query, twist),
                None => refuse(404, "NoSuchPathException"),
            },
        }
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
