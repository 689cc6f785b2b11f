//! Node mode (`destinations-core.md` 6.2-6.4): a folder of a Kubo node's MFS, read and written through its RPC.
//!
//! What was put is in that one node, linked and flushed, under the identifier computed here. Nothing is known of other nodes.

use std::io::Read as _;

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::ipfs::add::{self, Form};
use crate::dest::ipfs::keep::Keep;
use crate::dest::ipfs::options;
use crate::dest::ipfs::rpc::{Refusal, Rpc, Upload, added};
use crate::dest::{
    About, Body, Destination, FLIES, Fact, GetFacts, Listed, Quota, RemoteFile, Said, Sink, Span,
};
use crate::format::ipld::cid::Cid;
use crate::net::http::Pace;
use crate::net::json;
use crate::net::ranged::later;
use crate::net::service::rows;
use crate::net::url::DestUrl;

const CHUNK_LEAST_BYTES: u64 = 256 << 10;
const CHUNK_MOST_BYTES: u64 = 1 << 20;

/// A folder of a node.
pub(super) struct NodeFolder {
    rpc: Rpc,
    keep: Keep,
    shown: String,
    /// Begins with `/`, ends without.
    folder: String,
    chunk: u64,
    /// It is known to exist.
    there: bool,
    changed: bool,
    /// The file that was read last, and its size, as long as nothing is changed.
    read_last: Option<(String, u64)>,
    notices: Vec<String>,
    warnings: Vec<String>,
}

/// What a node says of an entry.
struct Stat {
    hash: String,
    size: Option<u64>,
    is_folder: bool,
}

impl NodeFolder {
    pub(super) fn new(url: &DestUrl, given: &Options) -> Result<NodeFolder> {
        let parts: Vec<&str> = url.path.split('/').filter(|p| !p.is_empty()).collect();
        if parts.is_empty() {
            return Err(
                Error::usage("the destination URL names no folder in the IPFS node")
                    .hint("write it as ipfs://host:5001/folder"),
            );
        }
        if parts.iter().any(|p| matches!(*p, "." | "..")) {
            return Err(Error::usage("a folder in an IPFS node cannot be . or .."));
        }
        let chunk = given.size(&options::CHUNK).unwrap_or(CHUNK_MOST_BYTES);
        if !(CHUNK_LEAST_BYTES..=CHUNK_MOST_BYTES).contains(&chunk) {
            return Err(Error::usage("--ipfs-chunk must be between 256kb and 1mb"));
        }
        let folder = format!("/{}", parts.join("/"));
        Ok(NodeFolder {
            rpc: Rpc::new(url, given)?,
            keep: Keep::new(&folder, given)?,
            shown: url.display(),
            folder,
            chunk,
            there: false,
            changed: false,
            read_last: None,
            notices: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn missing(&self) -> Fault {
        Fault::new(
            Class::FolderMissing,
            format!(
                "folder '{}' does not exist in the IPFS node",
                text::safe(self.folder.as_bytes())
            ),
        )
    }

    fn stat_of(&mut self, path: &str) -> std::result::Result<Stat, Refusal> {
        let row = self.rpc.ask("files/stat", &[("arg", path)])?;
        Ok(Stat {
            hash: row.text("Hash"),
            size: row.number("Size"),
            is_folder: row.get("Type") == Some("directory"),
        })
    }

    /// What is under a name; `None` when nothing is, and an error when not even the folder is there.
    fn look(&mut self, name: &str) -> Done<Option<Stat>> {
        self.rpc.probe()?;
        match self.stat_of(&self.path(name)) {
            Ok(stat) => {
                self.there = true;
                Ok(Some(stat))
            }
            Err(refusal) if refusal.is_absent() => {
                self.find_folder()?;
                Ok(None)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn find_folder(&mut self) -> Done<()> {
        if self.there {
            return Ok(());
        }
        match self.stat_of(&self.folder.clone()) {
            Ok(stat) if stat.is_folder => {
                self.there = true;
                Ok(())
            }
            Ok(_) => Err(Fault::new(
                Class::Usage,
                format!(
                    "'{}' in the IPFS node is a file, not a folder",
                    text::safe(self.folder.as_bytes())
                ),
            )),
            Err(refusal) if refusal.is_absent() => Err(self.missing()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn remove(&mut self, name: &str) -> Done<()> {
        let path = self.path(name);
        match self
            .rpc
            .run("files/rm", &[("arg", &path), ("force", "true")])
        {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.is_absent() => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn flush(&mut self) -> Done<()> {
        let folder = self.folder.clone();
        Ok(self.rpc.run("files/flush", &[("arg", &folder)])?)
    }

    /// Sends the file; the identifier the node gave it and those it may have.
    fn add(&mut self, name: &str, body: &mut dyn Body) -> Done<(String, Vec<Cid>)> {
        body.seek_to(0).map_err(Fault::local)?;
        let path = self.path(name);
        let chunker = format!("size-{}", self.chunk);
        let args = [
            ("cid-version", "1"),
            ("raw-leaves", "true"),
            ("hash", "sha2-256"),
            ("chunker", &chunker),
            ("pin", "false"),
            ("trickle", "false"),
            ("inline", "false"),
            ("progress", "false"),
            ("quieter", "true"),
            ("wrap-with-directory", "false"),
            ("to-files", &path),
        ];
        let local = |e: Error| Fault::new(Class::Local, e.to_string());
        let mut form = Form::new(name, body, self.chunk).map_err(local)?;
        let (len, content_type) = (form.len(), form.content_type.clone());
        let upload = Upload {
            content_type: &content_type,
            body: &mut form,
            len,
        };
        let mut reply = match self.rpc.call("add", &args, Pace::Upload, Some(upload)) {
            Ok(reply) => reply,
            Err(refusal) => {
                if refusal.is_unflushed() {
                    self.flush()?;
                } else if refusal.exists() {
                    self.remove(name)?;
                } else {
                    return Err(refusal.into());
                }
                return Err(Fault {
                    class: Class::Transient,
                    ..refusal.fault
                });
            }
        };
        let given = added(&mut reply)?;
        let early = "the IPFS node answered before it had the file";
        let early = || Fault::new(Class::Transient, early);
        Ok((given, form.expected().ok_or_else(early)?))
    }

    /// The folder's identifier after everything was written.
    fn root(&mut self) -> Done<Cid> {
        self.flush()?;
        let stat = self.stat_of(&self.folder.clone())?;
        Cid::parse(&stat.hash).ok_or_else(|| {
            Fault::new(
                Class::Protocol,
                "the IPFS node does not tell the identifier of the folder",
            )
        })
    }
}

/// True when `text` is one of the identifiers.
fn is_one(text: &str, expected: &[Cid]) -> bool {
    Cid::parse(text).is_some_and(|cid| expected.contains(&cid))
}

impl Destination for NodeFolder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.rpc.probe()?;
        self.there = false;
        self.find_folder()?;
        let args = [
            ("arg", self.folder.as_str()),
            ("long", "true"),
            ("U", "true"),
        ];
        let mut reply = self.rpc.call("files/ls", &args, Pace::List, None)?;
        let io = reply.io_fault();
        let max = json::LIST_MAX_BYTES;
        let tail = rows::objects(&mut reply, &io, max, "Entries", &mut |row| {
            let is_folder = row.number("Type") == Some(1);
            each(Listed::Entry(RemoteFile {
                name: row.text("Name"),
                size: row.number("Size").filter(|_| !is_folder),
                modified: None,
                is_folder,
                is_archived: false,
            }))
        })?;
        if tail.has("Entries") {
            return Ok(());
        }
        let none = "the reply is no listing of an IPFS node";
        Err(Fault::new(Class::Protocol, none))
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        match self.look(name)? {
            Some(stat) => Ok(RemoteFile {
                name: name.to_owned(),
                size: stat.size.filter(|_| !stat.is_folder),
                modified: None,
                is_folder: stat.is_folder,
                is_archived: false,
            }),
            None => Err(Fault::new(Class::NotFound, "not found")),
        }
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        // Between two parts of one file nobody writes it but this run.
        let known = self
            .read_last
            .take()
            .filter(|last| !span.is_open() && last.0 == name);
        let size = match known {
            Some((_, size)) => Some(size),
            None => match self.look(name)? {
                Some(stat) => stat.size,
                None => return Err(Fault::new(Class::NotFound, "not found")),
            },
        };
        let facts = GetFacts {
            total: size,
            sha1: None,
        };
        let mut from = span.from;
        match size {
            Some(size) if size == from || size < from && !span.is_open() => return Ok(facts),
            Some(size) if size < from => {
                into.restart().map_err(Fault::local)?;
                from = 0;
            }
            _ => {}
        }
        let path = self.path(name);
        let (offset, count) = (from.to_string(), span.len.map(|len| len.to_string()));
        let mut args = vec![("arg", path.as_str()), ("offset", offset.as_str())];
        args.extend(count.as_deref().map(|count| ("count", count)));
        let mut reply = self.rpc.call("files/read", &args, Pace::Download, None)?;
        if FLIES && span == Span::WHOLE {
            self.read_last = size.map(|size| (name.to_owned(), size));
            return later(reply, into).map(|()| facts);
        }
        reply.copy(span.len.unwrap_or(u64::MAX), into)?;
        if !span.is_open() && !matches!(reply.read(&mut [0]), Ok(0)) {
            return Err(Fault::new(
                Class::Protocol,
                "the IPFS node sends another part of the file than it was asked for",
            ));
        }
        self.read_last = size.map(|size| (name.to_owned(), size));
        Ok(facts)
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.read_last = None;
        if let Some(old) = self.look(name)? {
            let expected = add::identify(body, self.chunk).map_err(Fault::local)?;
            if is_one(&old.hash, &expected) {
                return self.flush();
            }
            self.changed = true;
            self.remove(name)?;
        }
        self.changed = true;
        let (given, expected) = self.add(name, body)?;
        if !is_one(&given, &expected) {
            self.remove(name)?;
            let first = expected.first().map(Cid::to_string).unwrap_or_default();
            return Err(Fault::new(
                Class::Integrity,
                format!(
                    "the IPFS node stored something else: it names {}, {first} was sent",
                    text::safe_cut(given.as_bytes(), 80)
                ),
            ));
        }
        self.flush()?;
        match self.look(name)? {
            Some(stat) if is_one(&stat.hash, &expected) && stat.size == Some(body.len()) => Ok(()),
            Some(_) => Err(Fault::new(
                Class::Transient,
                "the IPFS node has something else under the name than it was sent",
            )),
            None => Err(Fault::new(
                Class::Transient,
                "the IPFS node took the file but did not link it into the folder",
            )),
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.rpc.probe()?;
        self.changed = true;
        self.read_last = None;
        self.remove(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.rpc.probe()?;
        let folder = self.folder.clone();
        let args = [
            ("arg", folder.as_str()),
            ("parents", "true"),
            ("cid-version", "1"),
        ];
        match self.rpc.run("files/mkdir", &args) {
            Ok(()) => {}
            Err(refusal) if refusal.exists() => {}
            Err(refusal) => return Err(refusal.into()),
        }
        self.there = true;
        Ok(())
    }

    fn about(&self) -> About {
        About {
            put_is_proof: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: std::mem::take(&mut self.notices),
            warnings: std::mem::take(&mut self.warnings),
            requests: Some(self.rpc.http.requests() + self.keep.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn finish(&mut self) -> Done<Vec<Fact>> {
        if !self.changed {
            return Ok(Vec::new());
        }
        let root = self.root()?;
        let mut facts = vec![Fact {
            name: "ipfs root",
            key: "IpfsRoot",
            value: root.to_string(),
        }];
        self.notices.push(format!(
            "ipfs://{root} alone restores this, through any gateway that can reach a node which has it"
        ));
        self.keep
            .after(&mut self.rpc, &root, &mut facts, &mut self.warnings);
        Ok(facts)
    }

    fn quota(&mut self) -> Done<Quota> {
        let row = self.rpc.ask("repo/stat", &[("size-only", "true")])?;
        let (total, used) = (row.number("StorageMax"), row.number("RepoSize"));
        Ok(Quota {
            total,
            free: total.zip(used).map(|(t, u)| t.saturating_sub(u)),
        })
    }
}
