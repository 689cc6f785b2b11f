//! What of a gateway and of a pinning service the client uses, beside a node's RPC, in memory. Only for the crate's own tests: it
//! shares the program's readers, which are tested against Kubo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken stub must fail the test"
)]

#[path = "faulty_ipfs.rs"]
mod faulty_ipfs;

use std::ops::{Deref, DerefMut};
use std::path::Path;

use super::faulty::{self, Reply, Seen, Service, Twist, ranged};
use crate::format::ipld::car::CarReader;
use crate::format::ipld::cid::{Cid, DAG_PB, RAW};
use crate::format::ipld::file_cid::FileCid;
use crate::format::ipld::proto::push_varint;
use crate::format::ipld::unixfs::Node;
use faulty_ipfs::{argument, json};

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

pub struct Ipfs {
    pub node: faulty_ipfs::Node,
    /// Of the gateway.
    pub blocks: Vec<Block>,
    /// How archives are wrong.
    pub damage: Option<u32>,
    /// What the domain `back-up.example.org` points at.
    pub domain: Option<String>,
    pub pin_status: &'static str,
}

impl Default for Ipfs {
    fn default() -> Ipfs {
        Ipfs {
            node: faulty_ipfs::Node::new("/p/q", cid),
            blocks: Vec::new(),
            damage: None,
            domain: None,
            pin_status: "",
        }
    }
}

impl Deref for Ipfs {
    type Target = faulty_ipfs::Node;

    fn deref(&self) -> &faulty_ipfs::Node {
        &self.node
    }
}

impl DerefMut for Ipfs {
    fn deref_mut(&mut self) -> &mut faulty_ipfs::Node {
        &mut self.node
    }
}

fn cid(data: &[u8]) -> String {
    let mut cid = FileCid::new(1 << 20);
    cid.update(data);
    cid.finish()[0].to_string()
}

impl Service for Ipfs {
    fn keep(&mut self, name: &str, data: &[u8]) {
        self.folder = true;
        self.files.insert(name.to_owned(), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }

    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        if let Some(reply) = self.node.rpc(request, &body, twist) {
            return reply;
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
        match argument(query, "format").as_deref() {
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
