//! A small Swift server in memory, with a log-in of Keystone v3, that misbehaves by script.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::faulty::{Reply, Seen, Service, Twist, decode, etag, ranged};

pub struct Swift {
    pub files: BTreeMap<String, Vec<u8>>,
    pub container: bool,
    address: SocketAddr,
    /// Tokens given so far; only the last is good.
    pub tokens: u64,
    /// When a token ends, as the log-in tells it.
    pub expires: String,
    /// Header of the server's clock.
    pub date: Option<String>,
    /// What the container may hold, and holds.
    pub quota: Option<(u64, u64)>,
    /// Most entries of a page, whatever was asked for.
    pub page: usize,
}

impl Swift {
    pub fn new(address: SocketAddr) -> Swift {
        Swift {
            files: BTreeMap::new(),
            container: true,
            address,
            tokens: 0,
            expires: "2099-01-01T00:00:00.000000Z".to_owned(),
            date: None,
            quota: None,
            page: 1000,
        }
    }

    fn login(&mut self, request: &Seen) -> Reply {
        if !request.text.contains("s3cr3t/+value") {
            let text = r#"{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}"#;
            return (401, Vec::new(), text.into());
        }
        self.tokens += 1;
        let url = format!("http://{}/v1/AUTH_t", self.address);
        let body = format!(
            r#"{{"token":{{"expires_at":"{}","catalog":[{{"endpoints":[{{"interface":"public","region":"RegionOne","url":"{url}"}}],"type":"object-store"}}]}}}}"#,
            self.expires
        );
        let token = ("x-subject-token", format!("acct-{}", self.tokens));
        let mut headers = vec![token];
        headers.extend(self.date.iter().map(|d| ("date", d.clone())));
        (201, headers, body.into_bytes())
    }
}

/// A page as Swift writes it.
pub fn page(title: &str, text: &str) -> String {
    format!("<html><h1>{title}</h1><p>{text}</p></html>")
}

fn refuse(status: u16, title: &str) -> Reply {
    let headers = vec![
        ("content-type", "text/html; charset=UTF-8".to_owned()),
        ("x-trans-id", "tx0123-ab".to_owned()),
    ];
    (status, headers, page(title, "because").into_bytes())
}

impl Service for Swift {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let target = match request.target.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => &request.target,
        };
        if request.method == "CONNECT" {
            return (200, vec![("content-length", String::new())], Vec::new());
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path == "/v3/auth/tokens" {
            return self.login(request);
        }
        if request.header("x-auth-token") != Some(&format!("acct-{}", self.tokens)) {
            return refuse(401, "Unauthorized");
        }
        let Some(rest) = path.strip_prefix("/v1/AUTH_t/") else {
            return refuse(404, "Not Found");
        };
        let (_, key) = rest.split_once('/').unwrap_or((rest, ""));
        let key = decode(key);
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (decode(n), decode(v)))
            .collect();
        if key.is_empty() && request.method == "PUT" {
            let status = if self.container { 202 } else { 201 };
            self.container = true;
            return (status, Vec::new(), Vec::new());
        }
        if !self.container {
            return refuse(404, "Not Found");
        }
        match request.method.as_str() {
            "GET" if key.is_empty() => self.list(&query),
            "GET" => match self.files.get(&key) {
                Some(data) => {
                    let tag = etag(data);
                    let same = request.header("if-match").is_none_or(|e| e == tag);
                    match same || twist.whole {
                        true => ranged(data, request, twist, vec![("etag", tag)]),
                        false => refuse(412, "Precondition Failed"),
                    }
                }
                None => refuse(404, "Not Found"),
            },
            "HEAD" if key.is_empty() => {
                let quota = self.quota.map(|(total, used)| {
                    let total = ("x-container-meta-quota-bytes", total.to_string());
                    [total, ("x-container-bytes-used", used.to_string())]
                });
                (204, quota.into_iter().flatten().collect(), Vec::new())
            }
            "HEAD" => match self.files.get(&key) {
                Some(data) => {
                    let len = data.len().to_string();
                    (200, vec![("content-length", len)], Vec::new())
                }
                None => (404, Vec::new(), Vec::new()),
            },
            "PUT"
                if request.header("if-none-match") == Some("*")
                    && self.files.contains_key(&key) =>
            {
                refuse(412, "Precondition Failed")
            }
            "PUT" => {
                self.files.insert(key, body);
                // The client compares it; that it is right is for real servers.
                let tag = request.header("etag").unwrap_or("").to_owned();
                (201, vec![("etag", tag)], Vec::new())
            }
            "DELETE" => match self.files.remove(&key) {
                Some(_) => (204, Vec::new(), Vec::new()),
                None => refuse(404, "Not Found"),
            },
            _ => refuse(405, "Method Not Allowed"),
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.files.insert(format!("p/{name}"), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(&format!("p/{name}")).cloned()
    }
}

impl Swift {
    fn list(&self, query: &BTreeMap<String, String>) -> Reply {
        let empty = String::new();
        let value = |name: &str| query.get(name).unwrap_or(&empty);
        let (prefix, marker) = (value("prefix"), value("marker"));
        let most = value("limit").parse().unwrap_or(10_000).min(self.page);
        let mut seen: Vec<String> = Vec::new();
        let mut folder = String::new();
        for (key, data) in &self.files {
            let Some(rest) = key.strip_prefix(prefix.as_str()) else {
                continue;
            };
            if let Some((sub, _)) = rest.split_once('/') {
                let whole = format!("{prefix}{sub}/");
                if whole > *marker && whole != folder {
                    seen.push(format!(
                        r#"{{"subdir":{}}}"#,
                        serde_json::Value::from(whole.clone())
                    ));
                    folder = whole;
                }
            } else if key > marker {
                seen.push(format!(
                    r#"{{"bytes":{},"last_modified":"2026-11-28T21:41:44.123450","hash":"x","name":{},"content_type":"a/b"}}"#,
                    data.len(),
                    serde_json::Value::from(key.clone())
                ));
            }
            if seen.len() >= most {
                break;
            }
        }
        let kind = ("content-type", "application/json; charset=utf-8".to_owned());
        (
            200,
            vec![kind],
            format!("[{}]", seen.join(", ")).into_bytes(),
        )
    }
}
