//! WebDAV in memory, as far as a backup needs it, for [`super::faulty`]: folders, files, one user.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a broken server must fail the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

/// How the server wants its users to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Open,
    /// The only header value accepted.
    Basic(String),
    /// Answers to this nonce are accepted unseen.
    Digest(String),
}

/// A part of an answer about one file or folder.
pub fn response(href: &str, properties: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop>{properties}</d:prop></d:propstat></d:response>"
    )
}

/// An answer of such parts.
pub fn multistatus(parts: &str) -> String {
    format!("<d:multistatus xmlns:d='DAV:'>{parts}</d:multistatus>")
}

/// The service. Paths are decoded, folders without the slash at their end.
pub struct Dav {
    pub files: BTreeMap<String, Vec<u8>>,
    pub folders: BTreeSet<String>,
    pub login: Login,
    /// `Server` header.
    pub software: String,
    /// Moves files; otherwise 502, as for an address that the server does not know.
    pub moves: bool,
    /// How slashes in addresses are written; all, or only those within.
    pub slash: Option<(&'static str, bool)>,
    /// Further attributes of the root of answers about files.
    pub namespaces: String,
    /// Free space that it tells, if it does.
    pub free: Option<u64>,
    /// As many bytes of an upload have room; the rest is lost without a word.
    pub keeps: Option<usize>,
    /// What the next reading of a file gives in its place.
    pub once: BTreeMap<String, Vec<u8>>,
}

impl Dav {
    /// With the folder `/d/b`.
    pub fn new() -> Dav {
        Dav {
            files: BTreeMap::new(),
            folders: ["", "/d", "/d/b"].map(str::to_owned).into(),
            login: Login::Open,
            software: "test".to_owned(),
            moves: true,
            slash: None,
            namespaces: String::new(),
            free: None,
            keeps: None,
            once: BTreeMap::new(),
        }
    }

    fn challenge(&self, request: &Seen) -> Option<Reply> {
        let sent = request.header("authorization").unwrap_or("");
        let asked = match &self.login {
            Login::Open => return None,
            Login::Basic(good) if sent == good => return None,
            Login::Basic(_) => "Basic realm=\"r\"".to_owned(),
            Login::Digest(nonce) if sent.contains(&format!("nonce=\"{nonce}\"")) => return None,
            Login::Digest(nonce) => {
                let stale = sent.starts_with("Digest");
                format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", stale={stale}")
            }
        };
        Some((401, vec![("www-authenticate", asked)], Vec::new()))
    }

    fn entry(&self, path: &str, out: &mut String) {
        let length = match self.files.get(path) {
            Some(data) => format!(
                "<d:resourcetype/><d:getcontentlength>{}</d:getcontentlength>",
                data.len()
            ),
            None => "<d:resourcetype><d:collection/></d:resourcetype>".to_owned(),
        };
        let slash = if self.files.contains_key(path) {
            ""
        } else {
            "/"
        };
        let href = path
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('#', "%23")
            .replace('?', "%3F")
            .replace('&', "&amp;");
        let (href, slash) = match self.slash {
            None => (href, slash),
            Some((own, true)) => (
                href.replace('/', own),
                if slash.is_empty() { "" } else { own },
            ),
            Some((own, false)) => (format!("/{}", href[1..].replace('/', own)), slash),
        };
        out.push_str(&format!(
            "<d:response><d:href>{href}{slash}</d:href><d:propstat><d:prop>{length}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        ));
    }

    fn quota(&self, path: &str) -> Reply {
        let free = match self.free {
            Some(free) => format!("<d:quota-available-bytes>{free}</d:quota-available-bytes>"),
            None => String::new(),
        };
        let out = multistatus(&response(&format!("{path}/"), &free));
        let kind = vec![("content-type", "application/xml".to_owned())];
        (207, kind, out.into_bytes())
    }

    fn find(&self, path: &str, request: &Seen) -> Reply {
        if !self.files.contains_key(path) && !self.folders.contains(path) {
            return (404, Vec::new(), Vec::new());
        }
        if request.text.contains("quota-available-bytes") {
            return self.quota(path);
        }
        let mut out = format!(
            "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\" {}>",
            self.namespaces
        );
        self.entry(path, &mut out);
        if request.header("depth") == Some("1") {
            let inside = format!("{path}/");
            let folders = self.folders.iter();
            for other in self.files.keys().chain(folders) {
                let name = other.strip_prefix(&inside).unwrap_or("");
                if !name.is_empty() && !name.contains('/') {
                    self.entry(other, &mut out);
                }
            }
        }
        out.push_str("</d:multistatus>");
        let kind = vec![("content-type", "application/xml; charset=utf-8".to_owned())];
        (207, kind, out.into_bytes())
    }
}

fn path_of(target: &str) -> String {
    decode(target.split('?').next().unwrap())
        .trim_end_matches('/')
        .to_owned()
}

impl Service for Dav {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (status, mut headers, body) = self.serve(request, body, twist);
        headers.push(("server", self.software.clone()));
        (status, headers, body)
    }

    fn early(&mut self, request: &Seen) -> Option<Reply> {
        self.challenge(request)
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(format!("/d/b/{name}"), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("/d/b/{name}")).cloned()
    }
}

impl Dav {
    fn serve(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let bare = |status| (status, Vec::new(), Vec::new());
        if let Some(reply) = self.challenge(request) {
            return reply;
        }
        let path = path_of(&request.target);
        let parent = path.rsplit_once('/').map_or("", |(p, _)| p).to_owned();
        match request.method.as_str() {
            "PROPFIND" => self.find(&path, request),
            "HEAD" => match self.files.get(&path) {
                Some(data) => (
                    200,
                    vec![("content-length", data.len().to_string())],
                    Vec::new(),
                ),
                None => bare(404),
            },
            "GET" => match self.once.remove(&path).as_ref().or(self.files.get(&path)) {
                Some(data) => {
                    let tag = etag(data);
                    let other = request.header("if-range").is_some_and(|t| t != tag);
                    let twist = Twist {
                        whole: twist.whole || other,
                        ..twist
                    };
                    ranged(data, request, twist, vec![("etag", tag)])
                }
                None => bare(404),
            },
            "PUT" if !self.folders.contains(&parent) => bare(409),
            "PUT"
                if self.files.contains_key(&path)
                    && request.header("if-none-match") == Some("*") =>
            {
                bare(412)
            }
            "PUT" => {
                let mut body = body;
                body.truncate(self.keeps.unwrap_or(usize::MAX));
                let new = self.files.insert(path, body).is_none();
                bare(if new { 201 } else { 204 })
            }
            "DELETE" => bare(if self.files.remove(&path).is_some() {
                204
            } else {
                404
            }),
            "MKCOL" if self.folders.contains(&path) || self.files.contains_key(&path) => bare(405),
            "MKCOL" if !self.folders.contains(&parent) => bare(409),
            "MKCOL" => {
                self.folders.insert(path);
                bare(201)
            }
            "MOVE" if !self.moves => bare(502),
            "MOVE" => {
                let to = request.header("destination").unwrap();
                let to = to
                    .split_once("://")
                    .map_or(to, |(_, rest)| &rest[rest.find('/').unwrap()..]);
                let keep = request.header("overwrite") == Some("F");
                if keep && self.files.contains_key(&path_of(to)) {
                    return bare(412);
                }
                match self.files.remove(&path) {
                    Some(data) => {
                        self.files.insert(path_of(to), data);
                        bare(201)
                    }
                    None => bare(404),
                }
            }
            _ => bare(405),
        }
    }
}
