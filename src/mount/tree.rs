//! All that is shown, as rows on disk: a node's number is the position of its row, and never changes. The entries of a folder
//! lie side by side in the order of their names, so that a look-up is a binary search.
//!
//! Memory does not grow with entries: rows, names and what the version says of each are in two temporary files.

use crate::base::bytes::Cursor;
use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::format::filelist::EntryKind;
use crate::mount::store::Store;
use crate::set::Record;

/// The row of the mounted folder itself.
pub(super) const ROOT: u64 = 0;
/// The row of the folder of all versions.
pub(super) const VERSIONS: u64 = 2;
/// Longest name in bytes.
pub(super) const NAME_BYTES: usize = 255;

/// Owner, mode and exact time are known.
pub(super) const KNOWN: u8 = 1;
/// The folder of a version that nobody entered yet: `count` is its number among those that are shown.
pub(super) const CLOSED: u8 = 2;
/// Another name of the folder whose row is `first`.
pub(super) const ALIAS: u8 = 4;

/// One file, folder or link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: EntryKind,
    /// [`KNOWN`], [`CLOSED`], [`ALIAS`].
    pub(super) state: u8,
    /// Permission bits.
    pub(super) mode: u16,
    pub(super) parent: u64,
    /// Where its name is, and how long it is; what the version says of it comes next.
    pub(super) name_at: u64,
    pub(super) name_len: u16,
    pub(super) entry_len: u32,
    /// Of a folder: the row of its first entry, and how many there are.
    pub(super) first: u64,
    pub(super) count: u64,
    /// Bytes of a file; of a link, once it is known, of its text.
    pub(super) size: u64,
    /// Last change: Unix seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Where the text of a link and the extended attributes are, once they are known.
    pub(super) more_at: u64,
    pub(super) more_len: u32,
}

const ROW_BYTES: usize = 4 + 8 + 8 + 2 + 4 + 8 + 8 + 8 + 12 + 8 + 12;

impl Node {
    pub(super) fn new(kind: EntryKind, parent: u64) -> Node {
        Node {
            kind,
            state: 0,
            mode: match kind {
                EntryKind::File => 0o644,
                EntryKind::Folder => 0o755,
                EntryKind::Symlink => 0o777,
            },
            parent,
            name_at: 0,
            name_len: 0,
            entry_len: 0,
            first: 0,
            count: 0,
            size: 0,
            mtime: (0, 0),
            uid: 0,
            gid: 0,
            more_at: 0,
            more_len: 0,
        }
    }

    pub(super) fn is(&self, state: u8) -> bool {
        self.state & state != 0
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROW_BYTES);
        out.push(match self.kind {
            EntryKind::File => 0,
            EntryKind::Folder => 1,
            EntryKind::Symlink => 2,
        });
        out.push(self.state);
        out.extend_from_slice(&self.mode.to_le_bytes());
        for n in [self.parent, self.name_at] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&self.name_len.to_le_bytes());
        out.extend_from_slice(&self.entry_len.to_le_bytes());
        for n in [self.first, self.count, self.size] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&self.mtime.0.to_le_bytes());
        for n in [self.mtime.1, self.uid, self.gid] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.extend_from_slice(&self.more_at.to_le_bytes());
        out.extend_from_slice(&self.more_len.to_le_bytes());
        out
    }

    fn decode(row: &[u8]) -> Option<Node> {
        let mut c = Cursor::new(row);
        Some(Node {
            kind: match c.u8()? {
                0 => EntryKind::File,
                1 => EntryKind::Folder,
                2 => EntryKind::Symlink,
                _ => return None,
            },
            state: c.u8()?,
            mode: c.u16_le()?,
            parent: c.u64_le()?,
            name_at: c.u64_le()?,
            name_len: c.u16_le()?,
            entry_len: c.u32_le()?,
            first: c.u64_le()?,
            count: c.u64_le()?,
            size: c.u64_le()?,
            mtime: (i64::from_le_bytes(c.take(8)?.try_into().ok()?), c.u32_le()?),
            uid: c.u32_le()?,
            gid: c.u32_le()?,
            more_at: c.u64_le()?,
            more_len: c.u32_le()?,
        })
    }
}

/// All nodes.
pub(super) struct Tree {
    rows: Store,
    /// Names, what versions say of entries, link texts, extended attributes.
    heap: Store,
    /// User and group of what has none recorded.
    owner: (u32, u32),
}

impl Tree {
    /// `owner`: user and group of what has none recorded.
    pub(super) fn new(tmp: &Tmp, owner: (u32, u32)) -> Result<Tree> {
        Ok(Tree {
            rows: Store::new(tmp)?,
            heap: Store::new(tmp)?,
            owner,
        })
    }

    /// Nodes so far.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() / ROW_BYTES as u64
    }

    /// Appends a node with its name and what the version says of it; its row. Until more is known its owner is the usual one.
    pub(super) fn push(&mut self, mut node: Node, name: &[u8], entry: &[u8]) -> Result<u64> {
        (node.uid, node.gid) = self.owner;
        node.name_at = self.heap.append(name)?;
        self.heap.append(entry)?;
        node.name_len = Error::fits(name.len())?;
        node.entry_len = Error::fits(entry.len())?;
        let row = self.len();
        self.rows.append(&node.encode())?;
        Ok(row)
    }

    /// A `Bug` for a row that is not there.
    pub(super) fn get(&mut self, row: u64) -> Result<Node> {
        let mut raw = [0; ROW_BYTES];
        self.rows.read(at(row)?, &mut raw)?;
        Node::decode(&raw).ok_or_else(|| Error::bug("a row of the tree reads back"))
    }

    pub(super) fn set(&mut self, row: u64, node: &Node) -> Result<()> {
        self.rows.patch(at(row)?, &node.encode())
    }

    /// How much there is; for [`Tree::back_to`].
    pub(super) fn mark(&self) -> (u64, u64) {
        (self.rows.len(), self.heap.len())
    }

    /// Takes back what came after the mark.
    pub(super) fn back_to(&mut self, mark: (u64, u64)) -> Result<()> {
        self.rows.truncate(mark.0)?;
        self.heap.truncate(mark.1)
    }

    pub(super) fn name(&mut self, node: &Node) -> Result<Vec<u8>> {
        let mut name = vec![0; usize::from(node.name_len)];
        self.heap.read(node.name_at, &mut name)?;
        Ok(name)
    }

    /// What the version says of it; `None` of a folder that no version lists.
    pub(super) fn record(&mut self, node: &Node) -> Result<Option<Record>> {
        if node.entry_len == 0 {
            return Ok(None);
        }
        let mut raw = vec![0; node.entry_len as usize];
        let at = node.name_at + u64::from(node.name_len);
        self.heap.read(at, &mut raw)?;
        Record::decode(&raw).map(Some)
    }

    /// Keeps the text of a link and extended attributes of a node.
    pub(super) fn keep(&mut self, node: &mut Node, more: &More) -> Result<()> {
        let mut out = Vec::new();
        let all = std::iter::once(&more.link).chain(more.xattrs.iter().flat_map(|(n, v)| [n, v]));
        for part in all {
            out.extend_from_slice(&Error::fits::<_, u32>(part.len())?.to_le_bytes());
            out.extend_from_slice(part);
        }
        node.more_len = Error::fits(out.len())?;
        node.more_at = self.heap.append(&out)?;
        Ok(())
    }

    /// What [`Tree::keep`] kept.
    pub(super) fn more(&mut self, node: &Node) -> Result<More> {
        let mut raw = vec![0; node.more_len as usize];
        self.heap.read(node.more_at, &mut raw)?;
        let mut c = Cursor::new(&raw);
        let mut part = || {
            let len = usize::try_from(c.u32_le()?).ok()?;
            Some(c.take(len)?.to_vec())
        };
        let mut more = More {
            link: part().unwrap_or_default(),
            xattrs: Vec::new(),
        };
        while let (Some(name), Some(value)) = (part(), part()) {
            more.xattrs.push((name, value));
        }
        Ok(more)
    }

    /// The row of what is called `name` in a folder.
    pub(super) fn child(&mut self, folder: &Node, name: &[u8]) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, folder.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let node = self.get(folder.first + middle)?;
            match self.name(&node)?.as_slice().cmp(name) {
                std::cmp::Ordering::Equal => return Ok(Some(folder.first + middle)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The path of a node below the mounted folder, without a slash at its start.
    pub(super) fn path(&mut self, row: u64) -> Result<Vec<u8>> {
        let mut parts = Vec::new();
        let mut node = self.get(row)?;
        let mut at = row;
        while at != ROOT {
            parts.push(self.name(&node)?);
            at = node.parent;
            node = self.get(at)?;
        }
        parts.reverse();
        Ok(parts.join(&b'/'))
    }
}

/// What only some nodes have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct More {
    /// The text of a link.
    pub(super) link: Vec<u8>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn at(row: u64) -> Result<u64> {
    row.checked_mul(ROW_BYTES as u64)
        .ok_or_else(|| Error::bug("a row of the tree is there"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::format::filelist::Entry;
    use crate::format::locator::Extents;
    use crate::set::Stamp;

    #[test]
    fn nodes_names_and_more_come_back() {
        let mut tree = Tree::new(&Tmp::open(None).unwrap(), (7, 8)).unwrap();
        let mut root = Node::new(EntryKind::Folder, ROOT);
        (root.uid, root.gid) = (7, 8);
        tree.push(root, b"", b"").unwrap();
        let names: Vec<Vec<u8>> = (0..500u32)
            .map(|n| format!("{:05}", n * 2).into_bytes())
            .collect();
        for name in &names {
            let mut node = Node::new(EntryKind::File, ROOT);
            node.size = u64::MAX;
            node.mtime = (-1, 999_999_999);
            let record = Record {
                entry: Entry {
                    kind: EntryKind::File,
                    path: Vec::new(),
                    time: None,
                    content: None,
                    meta: None,
                },
                stamp: Stamp::default(),
                extents: Extents::default(),
            };
            let mut raw = Vec::new();
            record.encode(&mut raw);
            let row = tree.push(node, name, &raw).unwrap();
            let back = tree.get(row).unwrap();
            assert_eq!(tree.name(&back).unwrap(), *name);
            let kept = tree.record(&back).unwrap().unwrap();
            assert_eq!((kept.entry, kept.extents), (record.entry, record.extents));
            assert_eq!((back.size, back.mtime), (node.size, node.mtime));
        }
        root.first = 1;
        root.count = 500;
        tree.set(ROOT, &root).unwrap();
        assert_eq!(tree.get(ROOT).unwrap(), root);
        for n in 0..1000u64 {
            let found = tree.child(&root, format!("{n:05}").as_bytes()).unwrap();
            assert_eq!(found, (n % 2 == 0).then_some(n / 2 + 1), "{n}");
        }
        assert_eq!(tree.child(&root, b"").unwrap(), None);
        assert_eq!(tree.path(3).unwrap(), b"00004");
        assert_eq!(tree.path(ROOT).unwrap(), b"");
        let more = More {
            link: b"../x".to_vec(),
            xattrs: vec![(b"user.a".to_vec(), vec![0, 255]), (b"b".to_vec(), vec![])],
        };
        let mut node = tree.get(9).unwrap();
        tree.keep(&mut node, &more).unwrap();
        tree.set(9, &node).unwrap();
        let node = tree.get(9).unwrap();
        assert_eq!(tree.more(&node).unwrap(), more);
        let mark = tree.mark();
        tree.push(root, b"late", b"").unwrap();
        tree.back_to(mark).unwrap();
        assert_eq!(tree.len(), 501);
        assert!(tree.get(501).is_err() && tree.get(u64::MAX).is_err());
    }
}
