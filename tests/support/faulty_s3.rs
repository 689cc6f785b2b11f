//! A small S3 server in memory that misbehaves by script: for tests of what the client does on bad networks and with bad
//! servers. Checks no signature; one thread a connection; knows `GET HEAD PUT POST DELETE` on one bucket.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use super::faulty::{self, Reply, Seen, Service, Twist, Wrap, decode, etag, ranged};

#[derive(Default)]
pub struct S3 {
    /// Files by key.
    pub files: BTreeMap<String, Vec<u8>>,
    pub bucket: bool,
    /// Answers version 1 of the listing whatever was asked.
    pub only_v1: bool,
    /// A listing that lags: keys with this word are shown only if they are among these.
    pub lag: Option<(&'static str, BTreeSet<String>)>,
    /// Says of a file that is not there that it cannot be deleted.
    pub deletes_once: bool,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    /// The only region that requests may be signed for, if it matters.
    pub region: Option<&'static str>,
    /// Uploads in parts that nobody ended: key, id, when begun.
    pub unfinished: Vec<(String, String, String)>,
    /// Unfinished uploads that one page shows.
    pub page: usize,
    /// Address that it gives to who exchanges an access grant of Storj; no grants without it.
    pub gateway: Option<String>,
    /// Keys given so far; only the last are good.
    pub granted: u64,
    /// What is told beside keys that are lent.
    pub lends: String,
}

pub struct Server(pub faulty::Server<S3>);

impl Deref for Server {
    type Target = faulty::Server<S3>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Server {
    pub fn start() -> Server {
        Server::start_with(Arc::new(|tcp| Some(Box::new(tcp))))
    }

    pub fn start_with(wrap: Wrap) -> Server {
        Server::start_at("127.0.0.1:0", wrap)
    }

    pub fn start_at(place: &str, wrap: Wrap) -> Server {
        Server(faulty::Server::start_at(place, wrap, |_| S3 {
            bucket: true,
            page: 1000,
            ..S3::default()
        }))
    }

    pub fn put(&self, key: &str, data: &[u8]) {
        self.with(|s3| s3.files.insert(key.to_owned(), data.to_vec()));
    }

    pub fn file(&self, key: &str) -> Option<Vec<u8>> {
        self.with(|s3| s3.files.get(key).cloned())
    }

    /// Requests of a method so far.
    pub fn seen(&self, method: &str) -> Vec<Seen> {
        let mut all = self.0.seen("");
        all.retain(|s| s.method == method);
        all
    }
}

impl Service for S3 {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        act(self, request, body, twist)
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(format!("p/{name}"), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("p/{name}")).cloned()
    }
}

/// Text of a refusal.
pub fn error(code: &str, more: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>because</Message>{more}</Error>")
}

fn refuse(status: u16, code: &str) -> Reply {
    (status, Vec::new(), error(code, "").into_bytes())
}

/// What a good server would do; path style only.
fn act(state: &mut S3, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
    if request.method == "CONNECT" {
        return (200, vec![("content-length", String::new())], Vec::new());
    }
    // A proxy is asked in absolute form.
    let target = match request.target.strip_prefix("http://") {
        Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
        None => &request.target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (_, key) = path
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or(("", ""));
    let key = decode(key);
    let query: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|p| p.split_once('='))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect();
    if let Some(gateway) = state.gateway.clone() {
        if target == "/v1/access" {
            return granted(state, request, &gateway);
        }
        if target == "/credentials" {
            return lent(state, request, &gateway);
        }
        let sent = request.header("authorization").unwrap_or("");
        if !sent.contains(&format!("Credential=granted{}/", state.granted)) {
            return refuse(403, "InvalidAccessKeyId");
        }
    }
    if let Some(region) = state.region {
        let sent = request.header("authorization").unwrap_or("");
        if !sent.contains(&format!("/{region}/s3/")) {
            let text = format!("<Region>{region}</Region>");
            let body = match request.method.as_str() {
                "HEAD" => String::new(),
                _ => error("AuthorizationHeaderMalformed", &text),
            };
            return (400, Vec::new(), body.into_bytes());
        }
    }
    if key.is_empty() && request.method == "PUT" {
        state.bucket = true;
        return (200, Vec::new(), Vec::new());
    }
    if !state.bucket {
        return match request.method.as_str() {
            "HEAD" => (404, Vec::new(), Vec::new()),
            _ => refuse(404, "NoSuchBucket"),
        };
    }
    match request.method.as_str() {
        "GET" if key.is_empty() && query.contains_key("uploads") => {
            (200, Vec::new(), unfinished(state, &query).into_bytes())
        }
        "GET" if key.is_empty() => (200, Vec::new(), list(state, &query).into_bytes()),
        "GET" => match state.files.get(&key) {
            Some(data) => get(data, request, twist),
            None => refuse(404, "NoSuchKey"),
        },
        "HEAD" => match state.files.get(&key) {
            Some(data) => {
                let len = data.len().to_string();
                (200, vec![("content-length", len)], Vec::new())
            }
            None if key.is_empty() => (200, Vec::new(), Vec::new()),
            None => (404, Vec::new(), Vec::new()),
        },
        "PUT" | "POST" if query.contains_key("uploadId") => {
            parts(state, &key, request, &query, body)
        }
        "POST" => {
            let id = format!("up{}/+", state.uploads.len());
            let xml = format!("<R><Bucket>b</Bucket><UploadId>{id}</UploadId></R>");
            state.uploads.insert(id, BTreeMap::new());
            (200, Vec::new(), xml.into_bytes())
        }
        "PUT" if request.header("if-none-match") == Some("*") && state.files.contains_key(&key) => {
            refuse(412, "PreconditionFailed")
        }
        "PUT" => {
            state.files.insert(key, body);
            (200, vec![("etag", "\"e\"".to_owned())], Vec::new())
        }
        "DELETE" if state.deletes_once && !state.files.contains_key(&key) => {
            refuse(404, "NoSuchKey")
        }
        "DELETE" => {
            match query.get("uploadId") {
                Some(id) => {
                    state.uploads.remove(id);
                    state.unfinished.retain(|u| (&u.0, &u.1) != (&key, id));
                }
                None => drop(state.files.remove(&key)),
            }
            (204, Vec::new(), Vec::new())
        }
        _ => refuse(405, "MethodNotAllowed"),
    }
}

/// Keys for an access grant.
fn granted(state: &mut S3, request: &Seen, gateway: &str) -> Reply {
    let good = request.method == "POST"
        && request.text.contains("\"access_grant\":\"")
        && request.text.contains("\"public\":false");
    if !good {
        return (400, Vec::new(), b"error decoding the request".to_vec());
    }
    state.granted += 1;
    let id = format!("granted{}", state.granted);
    let body =
        format!(r#"{{"access_key_id":"{id}","secret_key":"acct-{id}","endpoint":"{gateway}"}}"#);
    (200, Vec::new(), body.into_bytes())
}

/// Keys as Duplicati's own storage lends them.
fn lent(state: &mut S3, request: &Seen, gateway: &str) -> Reply {
    let heads = ["x-api-key", "x-organization-id", "x-backup-id"];
    if heads.iter().any(|name| request.header(name).is_none()) {
        return (401, Vec::new(), Vec::new());
    }
    state.granted += 1;
    let (id, more) = (format!("granted{}", state.granted), &state.lends);
    let body = format!(
        r#"{{"mode":"direct","accessKeyId":"{id}","secretKey":"acct-{id}","endpoint":"{gateway}","bucket":"bkt","prefix":"p"{more}}}"#
    );
    (200, Vec::new(), body.into_bytes())
}

fn parts(
    state: &mut S3,
    key: &str,
    request: &Seen,
    query: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Reply {
    let id = &query["uploadId"];
    if request.method == "PUT" {
        let number = query["partNumber"].parse().unwrap();
        return match state.uploads.get_mut(id) {
            Some(upload) => {
                upload.insert(number, body);
                (200, vec![("etag", format!("\"p{number}\""))], Vec::new())
            }
            None => refuse(404, "NoSuchUpload"),
        };
    }
    let Some(upload) = state.uploads.remove(id) else {
        return refuse(404, "NoSuchUpload");
    };
    let data = upload.into_values().flatten().collect();
    state.files.insert(key.to_owned(), data);
    // White space keeps the connection alive while the parts are put together.
    let xml = format!(
        "<?xml version=\"1.0\"?>\n{}<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>",
        " ".repeat(300)
    );
    (200, Vec::new(), xml.into_bytes())
}

fn unfinished(state: &S3, query: &BTreeMap<String, String>) -> String {
    let empty = String::new();
    let value = |name: &str| query.get(name).unwrap_or(&empty);
    let mut all: Vec<_> = state.unfinished.iter().collect();
    all.sort();
    all.retain(|u| u.0.starts_with(value("prefix")));
    all.retain(|u| (&u.0, &u.1) > (value("key-marker"), value("upload-id-marker")));
    let more = all.len() > state.page;
    all.truncate(state.page);
    let mut out = format!("<ListMultipartUploadsResult><IsTruncated>{more}</IsTruncated>");
    if let Some((key, id, _)) = all.last() {
        out.push_str(&format!(
            "<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>"
        ));
    }
    for (key, id, begun) in all {
        out.push_str(&format!(
            "<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiator><ID>no</ID></Initiator><Initiated>{begun}</Initiated></Upload>"
        ));
    }
    out + "</ListMultipartUploadsResult>"
}

fn get(data: &[u8], request: &Seen, twist: Twist) -> Reply {
    let etag = etag(data);
    let wanted = request.header("range").filter(|_| !twist.whole);
    if wanted.is_some() && request.header("if-match").is_some_and(|e| e != etag) {
        return refuse(412, "PreconditionFailed");
    }
    ranged(data, request, twist, vec![("etag", etag)])
}

fn list(state: &S3, query: &BTreeMap<String, String>) -> String {
    let empty = String::new();
    let value = |name: &str| query.get(name).unwrap_or(&empty);
    let v2 = query.contains_key("list-type") && !state.only_v1;
    let after = if v2 {
        value("continuation-token")
    } else {
        value("marker")
    };
    let prefix = value("prefix");
    let first = match after < prefix {
        true => std::ops::Bound::Included(prefix.as_str()),
        false => std::ops::Bound::Excluded(after.as_str()),
    };
    let keys: Vec<(&String, &Vec<u8>)> = state
        .files
        .range::<str, _>((first, std::ops::Bound::Unbounded))
        .take_while(|(k, _)| k.starts_with(prefix.as_str()))
        .filter(|(k, _)| match &state.lag {
            Some((word, known)) => !k.contains(word) || known.contains(*k),
            None => true,
        })
        .take(1001)
        .collect();
    let more = keys.len() > 1000;
    let mut out = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    for (key, data) in keys.iter().take(1000) {
        let key = key.replace('&', "&amp;").replace('<', "&lt;");
        let len = data.len();
        out.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{len}</Size></Contents>"
        ));
    }
    if v2 {
        out.push_str("<KeyCount>1</KeyCount>");
        if let Some((key, _)) = keys.get(999).filter(|_| more) {
            out.push_str(&format!(
                "<NextContinuationToken>{key}</NextContinuationToken>"
            ));
        }
    }
    out + "</ListBucketResult>"
}
