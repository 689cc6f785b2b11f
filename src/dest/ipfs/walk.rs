//! Folders and files out of blocks (`destinations-core.md` 6.5): every entry of a plain or sharded folder, the bytes of a file
//! from any offset on. Depth and number of blocks are bounded whatever the blocks say.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::ipfs::gateway::Gateways;
use crate::dest::{Sink, Span};
use crate::format::ipld::car::{Broken, CarReader};
use crate::format::ipld::cid::{Cid, DAG_PB, RAW};
use crate::format::ipld::proto::Malformed;
use crate::format::ipld::unixfs::{Child, Kind, Link, Node};
use crate::net::http::Reply;

const FILE_DEPTH_MAX: usize = 32;
const SHARD_DEPTH_MAX: usize = 16;
const ENTRIES_MAX: u64 = 5_000_000;
/// Blocks a file or folder may have beside what its size explains.
const SPARE_BLOCKS: u64 = 1024;
/// Blocks in a row of an archive that nobody needs: as many as a node has children.
const INLINE_MAX: usize = 8192;
/// Least bytes of a file that explain one block.
const LEAST_BLOCK_BYTES: u64 = 16;

/// Where blocks come from: an archive while its blocks are the ones wanted, single blocks otherwise.
pub(super) trait Blocks {
    /// A checked block.
    fn block(&mut self, cid: &Cid, out: &mut Vec<u8>) -> Done<()>;
}

impl Blocks for Gateways {
    fn block(&mut self, cid: &Cid, out: &mut Vec<u8>) -> Done<()> {
        Gateways::block(self, cid, out)
    }
}

/// Blocks of one file by way of an archive.
pub(super) struct Archive<'a> {
    gateways: &'a mut Gateways,
    reader: Option<(usize, CarReader<Reply>)>,
}

impl<'a> Archive<'a> {
    pub(super) fn new(gateways: &'a mut Gateways, file: &Cid) -> Archive<'a> {
        let reader = match file.codec() {
            DAG_PB => gateways.archive(file),
            _ => None,
        };
        Archive { gateways, reader }
    }

    /// True when the archive's next block is the one wanted.
    fn next(&mut self, cid: &Cid, out: &mut Vec<u8>) -> bool {
        let Some((from, reader)) = &mut self.reader else {
            return false;
        };
        let mut inline = 0;
        loop {
            let why = match reader.next(out) {
                Ok(Some(found)) if found.inline().is_some() && inline < INLINE_MAX => {
                    inline += 1;
                    continue;
                }
                Ok(Some(found)) if found == *cid => {
                    if cid.names(out) == Some(true) {
                        return true;
                    }
                    let why = format!("it returned other data for {cid} in an archive");
                    self.gateways.drop_one(*from, why);
                    return false;
                }
                Ok(Some(_)) => "its blocks are in another order".to_owned(),
                Ok(None) => "blocks are missing".to_owned(),
                Err(Broken::Bad(why)) => why.to_owned(),
                Err(Broken::Io(e)) => crate::base::error::io_text(&e),
            };
            self.gateways.archive_broken(*from, &why);
            return false;
        }
    }
}

impl Blocks for Archive<'_> {
    fn block(&mut self, cid: &Cid, out: &mut Vec<u8>) -> Done<()> {
        if cid.inline().is_none() && self.reader.is_some() {
            if self.next(cid, out) {
                return Ok(());
            }
            self.reader = None;
        }
        self.gateways.block(cid, out)
    }
}

fn wrong(cid: &Cid, what: &str) -> Fault {
    Fault::new(Class::Integrity, format!("block {cid} is {what}"))
}

fn node<'a>(cid: &Cid, block: &'a [u8]) -> Done<Node<'a>> {
    Node::parse(block).map_err(|_| wrong(cid, "no part of a file or folder"))
}

/// Called with the name and link of an entry, and with where to get further blocks.
pub(super) type Each<'a> = dyn FnMut(&mut dyn Blocks, &[u8], &Link<'_>) -> Done<()> + 'a;

/// Every entry of a folder, in the order of its blocks. A file in its place is [`Class::Usage`].
pub(super) fn entries(from: &mut dyn Blocks, folder: &Cid, each: &mut Each<'_>) -> Done<()> {
    let not_a_folder = || Fault::new(Class::Usage, format!("{folder} is a file, not a folder"));
    if folder.codec() == RAW {
        return Err(not_a_folder());
    }
    let mut block = Vec::new();
    let mut walk = Walk {
        entries: 0,
        shards: 0,
        fanout: None,
    };
    from.block(folder, &mut block)?;
    match node(folder, &block)?.kind() {
        Ok(Kind::Folder) => {
            for link in node(folder, &block)?.links() {
                walk.entry()?;
                each(from, link.name, &link)?;
            }
            return Ok(());
        }
        Ok(Kind::Shard { .. }) => {}
        Ok(_) => return Err(not_a_folder()),
        Err(Malformed) => return Err(wrong(folder, "no shard of a folder")),
    }
    let mut levels = vec![walk.shard(from, folder, &block, each)?.into_iter()];
    while let Some(level) = levels.last_mut() {
        let Some(cid) = level.next() else {
            levels.pop();
            continue;
        };
        if levels.len() > SHARD_DEPTH_MAX {
            return Err(wrong(&cid, "too deep in its folder"));
        }
        from.block(&cid, &mut block)?;
        levels.push(walk.shard(from, &cid, &block, each)?.into_iter());
    }
    Ok(())
}

struct Walk {
    entries: u64,
    shards: u64,
    fanout: Option<u64>,
}

impl Walk {
    fn entry(&mut self) -> Done<()> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(Fault::new(
                Class::Protocol,
                "the folder has too many entries",
            ));
        }
        Ok(())
    }

    /// Passes on the entries of one shard; the shards below it.
    fn shard(
        &mut self,
        from: &mut dyn Blocks,
        cid: &Cid,
        block: &[u8],
        each: &mut Each<'_>,
    ) -> Done<Vec<Cid>> {
        self.shards += 1;
        if self.shards > self.entries * 2 + SPARE_BLOCKS {
            return Err(wrong(cid, "one of too many shards"));
        }
        let node = node(cid, block)?;
        let Ok(Kind::Shard { fanout, width }) = node.kind() else {
            return Err(wrong(cid, "no shard of a folder"));
        };
        if *self.fanout.get_or_insert(fanout) != fanout {
            return Err(wrong(cid, "a shard of another width"));
        }
        let mut below = Vec::new();
        for link in node.links() {
            let prefix = link.name.get(..width).filter(|p| is_slot(p, fanout));
            if prefix.is_none() {
                return Err(wrong(cid, "a shard with names that cannot be"));
            }
            match link.name.get(width..) {
                Some(name) if !name.is_empty() => {
                    self.entry()?;
                    each(from, name, &link)?;
                }
                _ if below.len() as u64 >= fanout => {
                    return Err(wrong(cid, "a shard with too many below it"));
                }
                _ => below.push(link.cid),
            }
        }
        Ok(below)
    }
}

/// Upper-case hex below the number of slots.
fn is_slot(prefix: &[u8], fanout: u64) -> bool {
    let slot = prefix.iter().try_fold(0u64, |n, &c| match c {
        b'0'..=b'9' => Some(n << 4 | u64::from(c - b'0')),
        b'A'..=b'F' => Some(n << 4 | u64::from(c - b'A' + 10)),
        _ => None,
    });
    slot.is_some_and(|n| n < fanout)
}

/// The length of a file, from its root; `None` for anything else.
pub(super) fn file_size(from: &mut dyn Blocks, cid: &Cid) -> Done<Option<u64>> {
    let mut block = Vec::new();
    from.block(cid, &mut block)?;
    if cid.codec() == RAW {
        return Ok(Some(block.len() as u64));
    }
    let node = node(cid, &block)?;
    if node.kind() != Ok(Kind::File) {
        return Ok(None);
    }
    let size = node.file_size().map(Some);
    size.ok_or_else(|| wrong(cid, "a file that contradicts itself"))
}

/// The bytes of a span of a file into `into`, a checked block at a time; the length of the file.
pub(super) fn read_file(
    from: &mut dyn Blocks,
    cid: &Cid,
    span: Span,
    into: &mut dyn Sink,
) -> Done<u64> {
    let mut block = Vec::new();
    from.block(cid, &mut block)?;
    let mut out = Output { at: 0, span, into };
    if cid.codec() == RAW {
        out.pass(&block)?;
        return Ok(block.len() as u64);
    }
    let root = node(cid, &block)?;
    if root.kind() != Ok(Kind::File) {
        return Err(Fault::new(Class::NotFound, "it is no file"));
    }
    let (size, children) = parts(cid, &root, &mut out)?;
    let most = size / LEAST_BLOCK_BYTES + SPARE_BLOCKS;
    let mut blocks = 0;
    let mut levels = vec![children.into_iter()];
    while let Some(level) = levels.last_mut() {
        let Some(child) = level.next() else {
            levels.pop();
            continue;
        };
        if out.skips(child.len) {
            continue;
        }
        blocks += 1;
        if blocks > most || levels.len() > FILE_DEPTH_MAX {
            return Err(wrong(&child.cid, "one of too many of its file"));
        }
        from.block(&child.cid, &mut block)?;
        if child.cid.codec() == RAW {
            if block.len() as u64 != child.len {
                return Err(wrong(&child.cid, "of another length than its file says"));
            }
            out.pass(&block)?;
            continue;
        }
        let node = node(&child.cid, &block)?;
        if node.kind() != Ok(Kind::File) || node.file_size() != Some(child.len) {
            return Err(wrong(&child.cid, "of another length than its file says"));
        }
        levels.push(parts(&child.cid, &node, &mut out)?.1.into_iter());
    }
    Ok(size)
}

/// Passes on what is in the node itself; size and children.
fn parts(cid: &Cid, node: &Node<'_>, out: &mut Output<'_>) -> Done<(u64, Vec<Child>)> {
    let agreed = node.file().ok().zip(node.file_size());
    let Some(((inline, children), size)) = agreed else {
        return Err(wrong(cid, "a file that contradicts itself"));
    };
    out.pass(inline)?;
    Ok((size, children))
}

/// The file on its way out, without what is not wanted.
struct Output<'a> {
    at: u64,
    span: Span,
    into: &'a mut dyn Sink,
}

impl Output<'_> {
    /// True when a part of this length is not needed, and passed over.
    fn skips(&mut self, len: u64) -> bool {
        let end = self.at.saturating_add(len);
        if end > self.span.from && self.at < self.span.end() && len > 0 {
            return false;
        }
        self.at = end;
        true
    }

    fn pass(&mut self, data: &[u8]) -> Done<()> {
        let within = |position: u64| {
            let ahead = usize::try_from(position.saturating_sub(self.at));
            ahead.map_or(data.len(), |n| n.min(data.len()))
        };
        let wanted = &data[within(self.span.from)..within(self.span.end())];
        if !wanted.is_empty() {
            self.into.write_all(wanted).map_err(Fault::local)?;
        }
        self.at = self.at.saturating_add(data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
