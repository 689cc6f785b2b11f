//! Backblaze B2 in memory, as far as a backup needs it, for [`super::faulty`]: one account, one bucket, versions, large files,
//! tokens that run out.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, ranged};

/// One version of a file.
#[derive(Clone)]
pub struct Version {
    pub id: String,
    pub action: &'static str,
    pub data: Vec<u8>,
    sha1: String,
    info: Option<String>,
}

/// A large file without its end: name, SHA-1 as announced, parts.
type Large = (String, Option<String>, BTreeMap<u64, Vec<u8>>);

/// The service. Tokens are `acct-N` and `up-N`.
pub struct B2 {
    address: SocketAddr,
    /// Versions by name, newest last.
    pub files: BTreeMap<String, Vec<Version>>,
    pub bucket: bool,
    /// Newest version of the log-in that is known.
    pub login: u8,
    /// Part of the log-in's reply that tells the key's rights.
    pub allowed: Value,
    /// Calls that an account token is good for.
    pub token_life: u64,
    /// SHA-1 by a function of the tests' own crate.
    pub sha1: fn(&[u8]) -> String,
    token: u64,
    used: u64,
    slots: u64,
    next: u64,
    large: BTreeMap<String, Large>,
}

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "status": status, "code": code, "message": message });
    (status, Vec::new(), body.to_string().into_bytes())
}

fn good(body: &Value) -> Reply {
    let kind = vec![("content-type", "application/json;charset=utf-8".to_owned())];
    (200, kind, body.to_string().into_bytes())
}

impl B2 {
    pub fn new(address: SocketAddr, sha1: fn(&[u8]) -> String) -> B2 {
        B2 {
            address,
            files: BTreeMap::new(),
            bucket: true,
            login: 4,
            allowed: json!({
                "capabilities": ["listFiles", "readFiles", "writeFiles", "deleteFiles", "listBuckets", "writeBuckets"],
                "buckets": [{ "id": "bid", "name": "bkt" }],
                "namePrefix": null,
            }),
            token_life: u64::MAX,
            sha1,
            token: 0,
            used: 0,
            slots: 0,
            next: 0,
            large: BTreeMap::new(),
        }
    }

    /// Stores a version.
    pub fn store(&mut self, name: &str, data: &[u8]) -> String {
        self.next += 1;
        let id = format!("4_z{}", self.next);
        let version = Version {
            id: id.clone(),
            action: "upload",
            data: data.to_vec(),
            sha1: (self.sha1)(data),
            info: None,
        };
        self.files.entry(name.to_owned()).or_default().push(version);
        id
    }

    /// Hides a file.
    pub fn hide(&mut self, name: &str) {
        self.store(name, b"");
        let versions = self.files.get_mut(name).unwrap();
        versions.last_mut().unwrap().action = "hide";
    }

    /// The file as a download by name sees it.
    pub fn file(&self, name: &str) -> Option<&Version> {
        let newest = self.files.get(name)?.last()?;
        (newest.action == "upload").then_some(newest)
    }

    fn log_in(&mut self, version: u8) -> Reply {
        if version > self.login {
            return refuse(400, "bad_request", "invalid version number in path");
        }
        self.token += 1;
        self.used = 0;
        let base = format!("http://{}", self.address);
        let mut storage = json!({
            "apiUrl": base, "downloadUrl": base,
            "recommendedPartSize": 100_000_000, "absoluteMinimumPartSize": 1000,
        });
        let token = format!("acct-{}", self.token);
        if version == 4 {
            storage["allowed"] = self.allowed.clone();
            return good(&json!({
                "accountId": "acc", "authorizationToken": token,
                "apiInfo": { "storageApi": storage },
            }));
        }
        let mut allowed = json!({ "capabilities": self.allowed["capabilities"] });
        allowed["bucketId"] = self.allowed["buckets"][0]["id"].clone();
        allowed["bucketName"] = self.allowed["buckets"][0]["name"].clone();
        allowed["namePrefix"] = self.allowed["namePrefix"].clone();
        if version == 3 {
            storage
                .as_object_mut()
                .unwrap()
                .extend(allowed.as_object().unwrap().clone());
            return good(&json!({
                "accountId": "acc", "authorizationToken": token,
                "apiInfo": { "storageApi": storage },
            }));
        }
        storage["allowed"] = allowed;
        storage["accountId"] = "acc".into();
        storage["authorizationToken"] = token.into();
        good(&storage)
    }

    fn upload(&mut self, request: &Seen, body: Vec<u8>) -> Reply {
        if request.header("authorization") != Some(&format!("up-{}", self.slots)) {
            return refuse(401, "bad_auth_token", "upload token");
        }
        let sha1 = (self.sha1)(&body);
        if request.header("x-bz-content-sha1") != Some(&sha1) {
            return refuse(400, "bad_request", "Sha1 did not match data received");
        }
        let len = body.len();
        if let Some(part) = request.header("x-bz-part-number") {
            let id = request.target.rsplit('/').next().unwrap();
            let large = self.large.get_mut(id).unwrap();
            large.2.insert(part.parse().unwrap(), body);
            return good(&json!({ "fileId": id, "contentLength": len, "contentSha1": sha1 }));
        }
        let name = decode(request.header("x-bz-file-name").unwrap());
        let id = self.store(&name, &body);
        good(&json!({
            "fileId": id, "fileName": name, "contentLength": len, "contentSha1": sha1, "action": "upload",
        }))
    }

    fn download(&self, version: Option<&Version>, request: &Seen, twist: Twist) -> Reply {
        let Some(v) = version else {
            return refuse(404, "not_found", "File with such name does not exist.");
        };
        let mut headers = vec![("x-bz-file-id", v.id.clone())];
        match &v.info {
            Some(info) => {
                headers.push(("x-bz-content-sha1", "none".to_owned()));
                headers.push(("x-bz-info-large_file_sha1", info.clone()));
            }
            None => headers.push(("x-bz-content-sha1", v.sha1.clone())),
        }
        ranged(&v.data, request, twist, headers)
    }

    /// Entries of a listing in its order: by name, newest first.
    fn listed(&self, q: &Value, versions: bool) -> Reply {
        let text = |key: &str| q[key].as_str().unwrap_or("").to_owned();
        let (prefix, start, from_id) = (text("prefix"), text("startFileName"), text("startFileId"));
        let most = usize::try_from(q["maxFileCount"].as_u64().unwrap_or(100)).unwrap();
        let folders = q["delimiter"] == "/";
        let mut all: Vec<(String, Value)> = Vec::new();
        for (name, of) in self.files.range(start.clone()..) {
            let Some(rest) = name.strip_prefix(prefix.as_str()) else {
                continue;
            };
            if let Some((folder, _)) = rest.split_once('/').filter(|_| folders) {
                let name = format!("{prefix}{folder}/");
                if all
                    .last()
                    .is_none_or(|(_, f)| f["fileName"] != name.as_str())
                {
                    let folder = json!({ "fileName": name, "action": "folder" });
                    all.push((name, folder));
                }
                continue;
            }
            let mut shown: Vec<&Version> = of.iter().rev().collect();
            if !versions {
                shown.truncate(1);
                shown.retain(|v| v.action == "upload");
            } else if *name == start && !from_id.is_empty() {
                let at = shown.iter().position(|v| v.id == from_id).unwrap();
                shown.drain(..at);
            }
            for v in shown {
                all.push((name.clone(), json!({
                    "fileName": name, "action": v.action, "fileId": v.id, "contentLength": v.data.len(),
                    "contentSha1": v.sha1, "uploadTimestamp": 1_700_000_000_000u64, "fileInfo": {},
                })));
            }
            if all.len() > most {
                break;
            }
        }
        let next = all
            .get(most)
            .map(|(name, v)| (name.clone(), v["fileId"].clone()));
        all.truncate(most);
        let files: Vec<Value> = all.into_iter().map(|(_, v)| v).collect();
        let (name, id) = next.map_or((Value::Null, Value::Null), |(n, id)| (n.into(), id));
        good(&json!({ "files": files, "nextFileName": name, "nextFileId": id }))
    }

    fn delete(&mut self, q: &Value) -> Reply {
        let name = q["fileName"].as_str().unwrap();
        let Some(of) = self.files.get_mut(name) else {
            return refuse(400, "file_not_present", "gone");
        };
        let before = of.len();
        of.retain(|v| v.id != q["fileId"].as_str().unwrap());
        if of.len() == before {
            return refuse(400, "file_not_present", "gone");
        }
        if of.is_empty() {
            self.files.remove(name);
        }
        good(q)
    }

    fn call(&mut self, op: &str, q: &Value) -> Reply {
        let base = format!("http://{}", self.address);
        let in_bucket = q["bucketId"].is_string();
        if in_bucket && q["bucketId"] != "bid" {
            return refuse(400, "bad_bucket_id", "no such bucket");
        }
        match op {
            "b2_list_buckets" if self.bucket => {
                good(&json!({ "buckets": [{ "bucketId": "bid", "bucketName": "bkt" }] }))
            }
            "b2_list_buckets" => good(&json!({ "buckets": [] })),
            "b2_create_bucket" => {
                self.bucket = true;
                good(&json!({ "bucketId": "bid", "bucketName": q["bucketName"] }))
            }
            "b2_list_file_names" => self.listed(q, false),
            "b2_list_file_versions" => self.listed(q, true),
            "b2_delete_file_version" => self.delete(q),
            "b2_get_upload_url" | "b2_get_upload_part_url" => {
                self.slots += 1;
                let id = q["fileId"].as_str().unwrap_or("file");
                let url = format!("{base}/upload/{}/{id}", self.slots);
                good(
                    &json!({ "uploadUrl": url, "authorizationToken": format!("up-{}", self.slots) }),
                )
            }
            "b2_start_large_file" => {
                self.next += 1;
                let id = format!("4_L{}", self.next);
                let name = q["fileName"].as_str().unwrap().to_owned();
                let info = q["fileInfo"]["large_file_sha1"].as_str().map(str::to_owned);
                self.large.insert(id.clone(), (name, info, BTreeMap::new()));
                good(&json!({ "fileId": id }))
            }
            "b2_finish_large_file" => {
                let id = q["fileId"].as_str().unwrap();
                let Some((name, info, parts)) = self.large.remove(id) else {
                    return refuse(400, "bad_request", "No active upload");
                };
                let sha1s: Vec<Value> = parts.values().map(|p| (self.sha1)(p).into()).collect();
                if q["partSha1Array"] != Value::Array(sha1s) {
                    return refuse(400, "bad_request", "parts");
                }
                let data: Vec<u8> = parts.into_values().flatten().collect();
                self.store(&name, &data);
                let stored = self.files.get_mut(&name).unwrap().last_mut().unwrap();
                (stored.info, stored.id) = (info, id.to_owned());
                good(&json!({
                    "fileId": id, "fileName": name, "contentLength": data.len(), "contentSha1": "none",
                }))
            }
            "b2_cancel_large_file" => match self.large.remove(q["fileId"].as_str().unwrap()) {
                Some(_) => good(q),
                None => refuse(400, "bad_request", "No active upload"),
            },
            _ => refuse(400, "bad_request", "unknown call"),
        }
    }

    /// Large files begun and neither finished nor cancelled.
    pub fn unfinished(&self) -> usize {
        self.large.len()
    }
}

impl Service for B2 {
    fn keep(&mut self, name: &str, data: &[u8]) {
        self.store(&format!("p/{name}"), data);
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        let name = format!("p/{name}");
        let versions = self.files.get(&name).map_or(0, Vec::len);
        assert!(versions <= 1, "an old version is left");
        self.file(&name).map(|v| v.data.clone())
    }

    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        if path.starts_with("/upload/") {
            return self.upload(request, body);
        }
        let words: Vec<&str> = path.trim_start_matches('/').splitn(3, '/').collect();
        if words.last() == Some(&"b2_authorize_account") {
            return match request.header("authorization") {
                // KEYID:s3cr3t/+value
                Some("Basic S0VZSUQ6czNjcjN0Lyt2YWx1ZQ==") => {
                    self.log_in(words[1][1..].parse().unwrap())
                }
                _ => refuse(401, "unauthorized", ""),
            };
        }
        self.used += 1;
        if request.header("authorization") != Some(&format!("acct-{}", self.token)) {
            return refuse(401, "bad_auth_token", "Invalid authorization token");
        }
        if self.used > self.token_life {
            return refuse(401, "expired_auth_token", "Authorization token has expired");
        }
        match words[..] {
            ["file", "bkt", name] => {
                let name = decode(name);
                self.download(self.file(&name), request, twist)
            }
            ["b2api", _, "b2_download_file_by_id"] => {
                let id = decode(query.strip_prefix("fileId=").unwrap());
                let found = self.files.values().flatten().find(|v| v.id == id);
                self.download(found, request, twist)
            }
            ["b2api", _, op] => self.call(op, &serde_json::from_slice(&body).unwrap()),
            _ => refuse(404, "not_found", ""),
        }
    }
}
