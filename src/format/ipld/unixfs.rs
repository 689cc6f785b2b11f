//! Blocks of files and folders: dag-pb nodes with UnixFS data (`destinations-core.md` 6.5). Checked whole when opened, borrowed
//! from the block afterwards.

use crate::base::bytes::Cursor;
use crate::format::ipld::BLOCK_MAX_BYTES;
use crate::format::ipld::cid::Cid;
use crate::format::ipld::proto::{Fields, Malformed, Value, varint};

/// Most children of one node of a file.
const FILE_LINKS_MAX: usize = 8192;
const HAMT_HASH_MURMUR3: u64 = 0x22;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    /// A part of a large folder; the width in hex digits of the prefix of its links.
    Shard {
        fanout: u64,
        width: usize,
    },
    Other,
}

/// A reference to another block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link<'a> {
    pub(crate) cid: Cid,
    pub(crate) name: &'a [u8],
    /// Bytes of everything below, nodes included; of plain bytes exactly their number.
    pub(crate) size: Option<u64>,
}

/// A child of a file with the number of bytes it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) cid: Cid,
    pub(crate) len: u64,
}

/// A node whose every field is well-formed.
pub(crate) struct Node<'a> {
    block: &'a [u8],
    data: Data<'a>,
}

#[derive(Default)]
struct Data<'a> {
    raw: &'a [u8],
    kind: u64,
    inline: &'a [u8],
    file_size: Option<u64>,
    hash_type: u64,
    fanout: u64,
}

impl<'a> Node<'a> {
    pub(crate) fn parse(block: &'a [u8]) -> Result<Node<'a>, Malformed> {
        if block.len() > BLOCK_MAX_BYTES {
            return Err(Malformed);
        }
        let mut data = None;
        for field in Fields::of(block) {
            match field? {
                (1, Value::Bytes(bytes)) if data.is_none() => data = Some(unixfs(bytes)?),
                (2, Value::Bytes(bytes)) => drop(link(bytes)?),
                (1 | 2, _) => return Err(Malformed),
                _ => {}
            }
        }
        let data = data.ok_or(Malformed)?;
        Ok(Node { block, data })
    }

    /// Malformed for a shard that no correct writer makes.
    pub(crate) fn kind(&self) -> Result<Kind, Malformed> {
        Ok(match self.data.kind {
            0 | 2 => Kind::File,
            1 => Kind::Folder,
            4 => Kind::Symlink,
            5 => {
                let fanout = self.data.fanout;
                let fits = fanout.is_power_of_two() && (8..=1024).contains(&fanout);
                if !fits || self.data.hash_type != HAMT_HASH_MURMUR3 {
                    return Err(Malformed);
                }
                let bits = u64::BITS - (fanout - 1).leading_zeros();
                let width = usize::try_from(bits.div_ceil(4)).map_err(|_| Malformed)?;
                Kind::Shard { fanout, width }
            }
            _ => Kind::Other,
        })
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = Link<'a>> + use<'a> {
        Fields::of(self.block).filter_map(|field| match field {
            Ok((2, Value::Bytes(bytes))) => link(bytes).ok(),
            _ => None,
        })
    }

    /// Bytes of the file; what is not stated is what the parts add up to.
    pub(crate) fn file_size(&self) -> Option<u64> {
        let parts = block_sizes(self.data.raw)
            .try_fold(self.data.inline.len() as u64, |sum, n| {
                sum.checked_add(n.ok()?)
            })?;
        match self.data.file_size {
            Some(size) if size != parts => None,
            _ => Some(parts),
        }
    }

    /// The bytes in the node itself and its children in order. Malformed unless children and stated lengths agree.
    pub(crate) fn file(&self) -> Result<(&'a [u8], Vec<Child>), Malformed> {
        self.file_size().ok_or(Malformed)?;
        let count = self.links().take(FILE_LINKS_MAX + 1).count();
        if count > FILE_LINKS_MAX || block_sizes(self.data.raw).count() != count {
            return Err(Malformed);
        }
        let mut children = Vec::with_capacity(count);
        for (link, len) in self.links().zip(block_sizes(self.data.raw)) {
            if !link.name.is_empty() {
                return Err(Malformed);
            }
            let (cid, len) = (link.cid, len?);
            children.push(Child { cid, len });
        }
        Ok((self.data.inline, children))
    }
}

fn link(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (mut cid, mut name, mut size) = (None, &b""[..], None);
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => cid = Some(Cid::whole(bytes).ok_or(Malformed)?),
            (2, Value::Bytes(bytes)) => name = bytes,
            (3, Value::Number(n)) => size = Some(n),
            (1..=3, _) => return Err(Malformed),
            _ => {}
        }
    }
    let cid = cid.ok_or(Malformed)?;
    Ok(Link { cid, name, size })
}

fn unixfs(raw: &[u8]) -> Result<Data<'_>, Malformed> {
    let mut data = Data {
        raw,
        kind: u64::MAX,
        ..Data::default()
    };
    for field in Fields::of(raw) {
        match field? {
            (1, Value::Number(n)) => data.kind = n,
            (2, Value::Bytes(bytes)) => data.inline = bytes,
            (3, Value::Number(n)) => data.file_size = Some(n),
            (5, Value::Number(n)) => data.hash_type = n,
            (6, Value::Number(n)) => data.fanout = n,
            (4, Value::Fixed) | (1..=3 | 5 | 6, _) => return Err(Malformed),
            _ => {}
        }
    }
    if data.kind == u64::MAX || block_sizes(raw).any(|n| n.is_err()) {
        return Err(Malformed);
    }
    Ok(data)
}

/// The lengths of the children, written one by one or packed.
fn block_sizes(raw: &[u8]) -> impl Iterator<Item = Result<u64, Malformed>> {
    let fields = Fields::of(raw).filter_map(|field| match field {
        Ok((4, Value::Number(n))) => Some(Sizes::One(Some(n))),
        Ok((4, Value::Bytes(packed))) => Some(Sizes::Packed(Cursor::new(packed))),
        _ => None,
    });
    fields.flatten()
}

enum Sizes<'a> {
    One(Option<u64>),
    Packed(Cursor<'a>),
}

impl Iterator for Sizes<'_> {
    type Item = Result<u64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Sizes::One(n) => n.take().map(Ok),
            Sizes::Packed(rest) if rest.rest().is_empty() => None,
            Sizes::Packed(rest) => {
                let n = varint(rest);
                if n.is_none() {
                    *rest = Cursor::new(&[]);
                }
                Some(n.ok_or(Malformed))
            }
        }
    }
}

#[cfg(test)]
#[path = "unixfs_tests.rs"]
mod tests;
