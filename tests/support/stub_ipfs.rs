//! What of an IPFS node's RPC, of a gateway and of a pinning service the client uses, in memory. Only for the crate's own tests: it
//! shares the program's readers, which are tested against Kubo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken stub must fail the test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use super::faulty::{Reply, Seen, Service, Twist, decode, ranged};
use crate::net::ipld::car::CarReader;
use crate::net::ipld::cid::{Cid, DAG_PB, RAW};
use crate::net::ipld::file_cid::FileCid;
use crate::net::ipld::proto::push_varint;
use crate::net::ipld::unixfs::Node;

pub type Block = (Cid, Vec<u8>);

/// The blocks of an archive in `tests/data/ipfs`, each checked.
pub fn archive(name: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/ipfs")
        .join(name);
    let file = std::fs::read(path).expect("a fixture");
    let mut reader = CarReader::open(&file[..]).expect("an archive");
    let (mut out, mut data) = (Vec::new(), Vec::new());
    while let Some(cid) = reader.next(&mut data).expect("whole") {
        assert_eq!(cid.names(&data), Some(true));
        out.push((cid, data.clone()));
    }
    out
}

#[derive(Default)]
pub struct Ipfs {
    /// The one folder of the node, `/p/q`, and what is in it.
    pub folder: bool,
    pub files: BTreeMap<String, Vec<u8>>,
    /// So many files are added without being linked.
    pub links_lost: u32,
    /// It names another identifier than the right one.
    pub other_cid: bool,
    /// Of the gateway.
    pub blocks: Vec<Block>,
    /// How archives are wrong.
    pub damage: Option<u32>,
    /// What the domain `back-up.example.org` points at.
    pub domain: Option<String>,
    pub pin_status: &'static str,
}

fn cid(data: &[u8]) -> String {
    let mut cid = FileCid::new(1 << 20);
    cid.update(data);
    cid.finish()[0].to_string()
}

fn json(text: &str) -> Reply {
    (
        200,
        vec![("content-type", "application/json".to_owned())],
        text.as_bytes().to_vec(),
    )
}

fn no(message: &str) -> Reply {
    let body = format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#);
    (500, Vec::new(), body.into_bytes())
}

impl Service for Ipfs {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let arg = |key: &str| {
            let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
            pairs.find(|(k, _)| *k == key).map(|(_, v)| decode(v))
        };
        if let Some(command) = path.strip_prefix("/api/v0/") {
            assert_eq!(request.method, "POST");
            return self.rpc(command, &arg, &body, twist);
        }
        if path.starts_with("/psa/pins") {
            let pin = format!(r#"{{"requestid":"r1","status":"{}"}}"#, self.pin_status);
            return match request.method.as_str() {
                "POST" => json(&pin),
                _ => json(r#"{"count":0,"results":[]}"#),
            };
        }
        // By a path, and as in the template `{cid}.ipfs.gw`.
        let domains = [
            "/ipns/back-up.example.org/",
            "/back--up-example-org.ipns.gw/",
        ];
        if let Some(root) = self.domain.as_ref().filter(|_| domains.contains(&path)) {
            assert_eq!(request.method, "HEAD");
            let roots = format!("bafkqaaa,{root}");
            return (200, vec![("x-ipfs-roots", roots)], Vec::new());
        }
        let below = path.strip_prefix("/ipfs/").and_then(|p| p.split_once('/'));
        if let Some(data) = below.and_then(|(_, name)| self.files.get(name)) {
            return ranged(data, request, twist, Vec::new());
        }
        let named = path.strip_prefix("/ipfs/");
        let named = named.or(path.strip_suffix(".ipfs.gw/").map(|p| &p[1..]));
        let Some(wanted) = named.and_then(Cid::parse) else {
            return (404, Vec::new(), Vec::new());
        };
        match arg("format").as_deref() {
            Some("raw") => match self.block(&wanted) {
                Some(data) => (200, Vec::new(), data),
                None => (404, Vec::new(), Vec::new()),
            },
            Some("car") => {
                let kind = "application/vnd.ipld.car; version=1; order=dfs; dups=y";
                (
                    200,
                    vec![("content-type", kind.to_owned())],
                    self.car(&wanted),
                )
            }
            _ => (400, Vec::new(), Vec::new()),
        }
    }
}

impl Ipfs {
    fn rpc(
        &mut self,
        command: &str,
        arg: &dyn Fn(&str) -> Option<String>,
        body: &[u8],
        twist: Twist,
    ) -> Reply {
        let path = arg("arg").or(arg("to-files")).unwrap_or_default();
        let name = path.strip_prefix("/p/q/").unwrap_or("").to_owned();
        match command {
            "version" => json(r#"{"Version":"0.42.0"}"#),
            "files/mkdir" => {
                self.folder = true;
                json("")
            }
            "files/flush" => json(r#"{"Cid":"x"}"#),
            "files/stat" if path == "/p/q" && self.folder => {
                let root = Cid::of(DAG_PB, format!("{:?}", self.files.keys()).as_bytes());
                json(&format!(
                    r#"{{"Hash":"{root}","Size":0,"Type":"directory"}}"#
                ))
            }
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
        }
    }

    fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
        let found = self.blocks.iter().find(|(c, _)| c == cid);
        found.map(|(_, data)| data.clone())
    }

    /// The identifier of a leaf of the large file.
    pub fn leaf(&self) -> String {
        let large = self
            .blocks
            .iter()
            .find(|(c, d)| c.codec() == RAW && d.len() == 262_144);
        large.unwrap().0.to_string()
    }

    /// Every block below a root in the order of reading, as an archive, wrong if so wanted.
    fn car(&self, root: &Cid) -> Vec<u8> {
        let (mut open, mut blocks) = (vec![root.clone()], Vec::new());
        while let Some(cid) = open.pop() {
            let data = self.block(&cid).unwrap();
            if cid.codec() == DAG_PB {
                let links: Vec<Cid> = Node::parse(&data).unwrap().links().map(|l| l.cid).collect();
                open.extend(links.into_iter().rev());
            }
            blocks.push((cid, data));
        }
        let stranger = (Cid::of(RAW, b"x"), b"x".to_vec());
        match self.damage {
            Some(0) => blocks.reverse(),
            Some(1) => blocks.insert(1, blocks[0].clone()),
            Some(2) => drop(blocks.remove(1)),
            Some(3) => blocks.insert(1, stranger),
            Some(4) => blocks.truncate(1),
            Some(6) => blocks[1].1[7] ^= 1,
            // Blocks that need no fetching, without end for who waits for the next.
            Some(7) => {
                let inline = Cid::whole(&[1, 0x55, 0, 0]).unwrap();
                let many = vec![(inline, Vec::new()); 20_000];
                blocks.splice(1..1, many);
            }
            _ => {}
        }
        let mut out = vec![3, 1, 2, 3];
        for (cid, data) in blocks {
            let cid = cid.bytes();
            push_varint(&mut out, (cid.len() + data.len()) as u64);
            out.extend_from_slice(&cid);
            out.extend_from_slice(&data);
        }
        if self.damage == Some(5) {
            out.truncate(out.len() / 2);
        }
        out
    }
}
