//! The RPC of a node of IPFS in memory, as far as a backup needs it, for [`super::faulty`]: one folder.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;

use super::faulty::{Reply, Seen, Service, Twist, decode};

/// What is said to be the identifier of the folder, whatever is in it.
const ROOT: &str = "bafybeidnptwsxwpwcfobbngo35iyc3sqktjw7tltybkwjfh3ku2vzo5lqe";

pub struct Node {
    /// Path of the one folder.
    pub place: String,
    /// It is there.
    pub folder: bool,
    pub files: BTreeMap<String, Vec<u8>>,
    /// So many files are added without being linked.
    pub links_lost: u32,
    /// It names another identifier than the right one.
    pub other_cid: bool,
    /// The identifier of a file, by a function of the tests' own.
    pub cid: fn(&[u8]) -> String,
}

pub fn json(text: &str) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, text.as_bytes().to_vec())
}

fn no(message: &str) -> Reply {
    let body = format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#);
    (500, Vec::new(), body.into_bytes())
}

/// A value of a query.
pub fn argument(query: &str, key: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
    pairs.find(|(k, _)| *k == key).map(|(_, v)| decode(v))
}

impl Service for Node {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let known = self.rpc(request, &body, twist);
        known.unwrap_or((404, Vec::new(), Vec::new()))
    }
}

impl Node {
    pub fn new(place: &str, cid: fn(&[u8]) -> String) -> Node {
        Node {
            place: place.to_owned(),
            folder: false,
            files: BTreeMap::new(),
            links_lost: 0,
            other_cid: false,
            cid,
        }
    }

    /// One command, named by its path; `None` where the path is none of the RPC.
    pub fn rpc(&mut self, request: &Seen, body: &[u8], twist: Twist) -> Option<Reply> {
        let (path, query) = request.target.split_once('?')?;
        let command = path.strip_prefix("/api/v0/")?;
        assert_eq!(request.method, "POST");
        let arg = |key: &str| argument(query, key);
        let cid = self.cid;
        let path = arg("arg").or(arg("to-files")).unwrap_or_default();
        let name = path.strip_prefix(self.place.as_str()).unwrap_or("");
        let name = name.trim_start_matches('/').to_owned();
        Some(match command {
            "version" => json(r#"{"Version":"0.42.0"}"#),
            "files/mkdir" => {
                self.folder = true;
                json("")
            }
            "files/flush" => json(r#"{"Cid":"x"}"#),
            "files/stat" if path == self.place && self.folder => json(&format!(
                r#"{{"Hash":"{ROOT}","Size":0,"Type":"directory"}}"#
            )),
            "files/stat" => match self.files.get(&name) {
                Some(data) => json(&format!(
                    r#"{{"Hash":"{}","Size":{},"Type":"file"}}"#,
                    cid(data),
                    data.len()
                )),
                None => no("file does not exist"),
            },
            "files/ls" => {
                let entries: Vec<String> = self
                    .files
                    .iter()
                    .map(|(n, d)| {
                        format!(r#"{{"Name":"{n}","Type":0,"Size":{},"Hash":"x"}}"#, d.len())
                    })
                    .collect();
                json(&format!(r#"{{"Entries":[{}]}}"#, entries.join(",")))
            }
            "files/read" => {
                let offset = if twist.whole {
                    0
                } else {
                    arg("offset").unwrap_or_default().parse().unwrap_or(0)
                };
                let count = arg("count").and_then(|count| count.parse().ok());
                let count = count.filter(|_| !twist.whole).unwrap_or(usize::MAX);
                match self.files.get(&name) {
                    Some(data) => {
                        let rest = &data[offset.min(data.len())..];
                        (200, Vec::new(), rest[..count.min(rest.len())].to_vec())
                    }
                    None => no("file does not exist"),
                }
            }
            "files/rm" => {
                self.files.remove(&name);
                json("")
            }
            "add" => {
                let start = body.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                let line = body.windows(2).position(|w| w == b"\r\n").unwrap();
                let end = body.len() - (line + 6);
                let data = body[start..end].to_vec();
                let hash = if self.other_cid {
                    cid(b"other")
                } else {
                    cid(&data)
                };
                if self.links_lost > 0 {
                    self.links_lost -= 1;
                } else {
                    self.files.insert(name, data);
                }
                json(&format!("{{\"Name\":\"x\",\"Hash\":\"{hash}\"}}\n"))
            }
            "id" => json(r#"{"ID":"x","Addresses":["/ip4/127.0.0.1/tcp/4001"]}"#),
            _ => (404, Vec::new(), b"404 page not found".to_vec()),
        })
    }
}
