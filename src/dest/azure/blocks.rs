//! Uploads in blocks, for a line that breaks: what has arrived is not sent again. The file appears with the list of its blocks.

use crate::base::bytes::{base64, hex};
use crate::base::digest::Algo;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::azure::Container;
use crate::dest::{Body, look_at};
use crate::net::service::{Content, Verb};
use crate::net::url::encode;

/// Largest file that goes in one request.
pub(super) const PUT_MAX_BYTES: u64 = 5000 << 20;
const BLOCK: u64 = 4 << 20;
/// A file has at most so many blocks.
const BLOCKS_MAX: u64 = 50_000;

/// True for a file that blocks are of use for.
pub(super) fn is_long(len: u64) -> bool {
    len > 2 * BLOCK
}

/// An upload in blocks.
pub(super) struct Blocks {
    name: String,
    sha256: [u8; 32],
    size: u64,
    /// Blocks that have arrived.
    done: u64,
}

impl Blocks {
    pub(super) fn new(name: &str, body: &dyn Body) -> Blocks {
        Blocks {
            name: name.to_owned(),
            sha256: body.sha256(),
            size: BLOCK.max(body.len().div_ceil(BLOCKS_MAX)),
            done: 0,
        }
    }

    pub(super) fn is_of(&self, name: &str, body: &dyn Body) -> bool {
        self.name == name && self.sha256 == body.sha256()
    }

    /// Names of the blocks of a file have one length, and those of another content are others.
    fn id(&self, number: u64) -> String {
        let of = hex(&self.sha256[..8]);
        base64(format!("{of}-{number:06}-").as_bytes())
    }
}

impl Container {
    /// Sends what has not arrived; a fault of the line leaves the rest for the next call.
    pub(super) fn put_blocks(
        &mut self,
        mut blocks: Blocks,
        name: &str,
        body: &mut dyn Body,
        md5: &str,
    ) -> Done<()> {
        let sent = self.send(&mut blocks, name, body, md5);
        // Blocks that the server does not know any more are sent again.
        let again = |fault: &Fault| fault.text.contains("InvalidBlockList");
        match &sent {
            Err(fault) if again(fault) => self.blocks = Some(Blocks::new(name, body)),
            Err(fault) if matches!(fault.class, Class::Transient | Class::Throttled(_)) => {
                self.blocks = Some(blocks);
            }
            _ => {}
        }
        sent
    }

    fn send(
        &mut self,
        blocks: &mut Blocks,
        name: &str,
        body: &mut dyn Body,
        md5: &str,
    ) -> Done<()> {
        let (len, size) = (body.len(), blocks.size);
        let all = len.div_ceil(size);
        while blocks.done < all {
            let from = blocks.done * size;
            let len = size.min(len - from);
            let mut hasher = Algo::Md5.hasher();
            look_at(body, from, len, &mut |part| hasher.update(part)).map_err(Fault::local)?;
            let digest = base64(hasher.finish().as_bytes());
            let id = encode(&blocks.id(blocks.done));
            let url = self.url(name, &format!("comp=block&blockid={id}"));
            let headers = [("content-md5", digest.as_str())];
            let body = &mut *body;
            let part = Content::Part { body, from, len };
            self.call(Verb::Put, ("PUT", url), &headers, part)?
                .finish()?;
            blocks.done += 1;
        }
        let ids = (0..all).map(|n| format!("<Latest>{}</Latest>", blocks.id(n)));
        let list: String = ids.collect();
        let list =
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
        let headers = self.headers(body, ("x-ms-blob-content-md5", md5));
        let url = self.url(name, "comp=blocklist");
        let content = Content::Bytes(list.as_bytes());
        let mut reply = self.call(Verb::Put, ("PUT", url), &headers, content)?;
        reply.finish()
    }
}
