//! The identifier that a node must give a file (`destinations-core.md` 6.5): raw leaves of equal size in a balanced tree.
//!
//! Holds 32 bytes a chunk and no data.

use crate::base::digest::{Algo, Hasher};
use crate::format::ipld::cid::{Cid, DAG_PB, RAW};
use crate::format::ipld::proto::{push_bytes, push_number};

/// Children of a node: what Kubo did always, and what it does under its profile of 2025.
const WIDTHS: [usize; 2] = [174, 1024];

/// A file's data on its way by.
pub(crate) struct FileCid {
    chunk: u64,
    leaf: Hasher,
    in_leaf: u64,
    leaves: Vec<[u8; 32]>,
    len: u64,
}

/// What is below a node.
struct Below {
    cid: Cid,
    /// Blocks of all that is below.
    stored: u64,
    /// Bytes of the file.
    len: u64,
}

impl FileCid {
    /// `chunk`: bytes a leaf, above 0.
    pub(crate) fn new(chunk: u64) -> FileCid {
        FileCid {
            chunk: chunk.max(1),
            leaf: Algo::Sha256.hasher(),
            in_leaf: 0,
            leaves: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = usize::try_from(self.chunk - self.in_leaf).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(room.min(data.len()));
            self.leaf.update(now);
            self.in_leaf += now.len() as u64;
            self.len += now.len() as u64;
            if self.in_leaf == self.chunk {
                self.end_leaf();
            }
            data = later;
        }
    }

    fn end_leaf(&mut self) {
        let leaf = std::mem::replace(&mut self.leaf, Algo::Sha256.hasher());
        if let Ok(digest) = leaf.finish().as_bytes().try_into() {
            self.leaves.push(digest);
        }
        self.in_leaf = 0;
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Every identifier that a correct node may give, the usual one first.
    pub(crate) fn finish(mut self) -> Vec<Cid> {
        if self.in_leaf > 0 || self.leaves.is_empty() {
            self.end_leaf();
        }
        let mut out = Vec::new();
        for width in WIDTHS {
            let root = self.root(width);
            if !out.contains(&root) {
                out.push(root);
            }
        }
        out
    }

    fn root(&self, width: usize) -> Cid {
        if let [only] = self.leaves.as_slice() {
            return Cid::sha256(RAW, *only);
        }
        let mut left = self.len;
        let mut level: Vec<Below> = Vec::with_capacity(self.leaves.len().div_ceil(width));
        for group in self.leaves.chunks(width) {
            let below = group.iter().map(|digest| {
                let len = left.min(self.chunk);
                left -= len;
                Below {
                    cid: Cid::sha256(RAW, *digest),
                    stored: len,
                    len,
                }
            });
            level.push(parent(below).0);
        }
        while level.len() > 1 {
            let mut above = Vec::with_capacity(level.len().div_ceil(width));
            let mut rest = level.into_iter().peekable();
            while rest.peek().is_some() {
                above.push(parent(rest.by_ref().take(width)).0);
            }
            level = above;
        }
        level
            .pop()
            .map_or_else(|| Cid::of(RAW, b""), |root| root.cid)
    }
}

/// The node over some children, and its block.
fn parent(children: impl Iterator<Item = Below>) -> (Below, Vec<u8>) {
    let mut block = Vec::new();
    let mut sizes = Vec::new();
    let (mut stored, mut len) = (0u64, 0u64);
    let mut link = Vec::with_capacity(64);
    for child in children {
        link.clear();
        push_bytes(&mut link, 1, &child.cid.bytes());
        push_bytes(&mut link, 2, b"");
        push_number(&mut link, 3, child.stored);
        push_bytes(&mut block, 2, &link);
        push_number(&mut sizes, 4, child.len);
        stored = stored.saturating_add(child.stored);
        len = len.saturating_add(child.len);
    }
    let mut data = vec![8, 2];
    push_number(&mut data, 3, len);
    data.extend_from_slice(&sizes);
    push_bytes(&mut block, 1, &data);
    let cid = Cid::of(DAG_PB, &block);
    let stored = stored.saturating_add(block.len() as u64);
    (Below { cid, stored, len }, block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::hex;

    fn file(chunk: u64, data: &[u8]) -> FileCid {
        let mut f = FileCid::new(chunk);
        for part in data.chunks(700) {
            f.update(part);
        }
        f
    }

    fn cid(chunk: u64, data: &[u8]) -> String {
        let all = file(chunk, data).finish();
        assert_eq!(all.len(), 1);
        all[0].to_string()
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..=255).cycle().take(len).collect()
    }

    /// `destinations-core.md` 11.3.
    #[test]
    fn vectors() {
        assert_eq!(
            cid(1024, b""),
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        );
        assert_eq!(
            cid(1 << 20, b"hello world"),
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
        );
        assert_eq!(
            cid(1024, &bytes(2500)),
            "bafybeihy6gxnzkpr5xlmf4eyzkmeuhrhsxkrovx6mv4nvk32k2iakohbkm"
        );
        assert_eq!(
            cid(1 << 20, &vec![0; (3 << 20) + 5]),
            "bafybeiayxwb54rnxpofwvtqrlwuuy45oxvliezr7ryekoimjfagbs6p5gi"
        );
        let whole = file(16, &[0; 80]);
        assert_eq!((whole.len(), whole.in_leaf), (80, 0));
        assert_eq!(
            whole.root(2).to_string(),
            "bafybeidizggaxjg5ouzcmplnmomxymxr5waew7ales3r4inxjmfibvdhhu"
        );
    }

    #[test]
    fn the_node_is_spelled_as_kubo_does() {
        let data = bytes(2500);
        let leaves = data.chunks(1024).map(|c| Below {
            cid: Cid::of(RAW, c),
            stored: c.len() as u64,
            len: c.len() as u64,
        });
        let (below, block) = parent(leaves);
        assert_eq!(below.len, 2500);
        assert_eq!(
            hex(&block),
            "122b0a2401551220785b0751fc2c53dc14a4ce3d800e69ef9ce1009eb327ccf458afe09c242c26c91200188008122b0a2401551220785b0751fc2c53dc14a4ce3d800e69ef9ce1009eb327ccf458afe09c242c26c91200188008122b0a2401551220327daf926ffe4e8cb2c718c57c13fe475cb553d6f01487bd56e5f4df17119164120018c4030a0e080218c41320800820800820c403"
        );
    }

    #[test]
    fn wide_files_have_two_identifiers() {
        for (chunks, many) in [(174, 1), (175, 2), (1024, 2), (1025, 2)] {
            assert_eq!(file(4, &bytes(chunks * 4)).finish().len(), many, "{chunks}");
        }
    }
}
