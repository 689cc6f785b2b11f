//! Which file of a folder is where: a digest of each name with the identifier of its root, 48 bytes an entry.

use crate::base::digest::Algo;
use crate::format::ipld::cid::{Cid, DAG_PB, RAW};

/// Size of a file that is not one plain block.
const UNKNOWN: u32 = u32::MAX;

struct Row {
    name: u64,
    digest: [u8; 32],
    /// Bytes, or [`UNKNOWN`]; an index for [`Kind::Other`].
    extra: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Raw,
    Node,
    Other,
}

/// The entries of one folder; [`Table::seal`] before the first look-up.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// Identifiers of other hashes.
    others: Vec<Cid>,
}

impl Table {
    /// `size`: exact, of a plain block.
    pub(super) fn add(&mut self, name: &[u8], cid: &Cid, size: Option<u64>) {
        let size = size.and_then(|s| u32::try_from(s).ok()).unwrap_or(UNKNOWN);
        let (kind, digest, extra) = match (cid.codec(), cid.sha256_digest()) {
            (RAW, Some(digest)) => (Kind::Raw, digest, size),
            (DAG_PB, Some(digest)) => (Kind::Node, digest, UNKNOWN),
            _ => {
                self.others.push(cid.clone());
                let at = u32::try_from(self.others.len() - 1).unwrap_or(UNKNOWN);
                (Kind::Other, [0; 32], at)
            }
        };
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact((self.rows.len() / 8).max(64));
        }
        self.rows.push(Row {
            name: key(name),
            digest,
            extra,
            kind,
        });
    }

    /// Of a name that came twice the first one stays.
    pub(super) fn seal(&mut self) {
        self.rows.sort_by_key(|row| row.name);
        self.rows.dedup_by_key(|row| row.name);
    }

    /// The root of a file, and its size if the folder tells it.
    pub(super) fn find(&self, name: &[u8]) -> Option<(Cid, Option<u64>)> {
        let wanted = key(name);
        let at = self.rows.binary_search_by_key(&wanted, |row| row.name);
        let row = self.rows.get(at.ok()?)?;
        match row.kind {
            Kind::Raw => {
                let size = (row.extra != UNKNOWN).then_some(u64::from(row.extra));
                Some((Cid::sha256(RAW, row.digest), size))
            }
            Kind::Node => Some((Cid::sha256(DAG_PB, row.digest), None)),
            Kind::Other => {
                let cid = self.others.get(usize::try_from(row.extra).ok()?)?;
                let size = cid.inline().filter(|_| cid.codec() == RAW);
                Some((cid.clone(), size.map(|data| data.len() as u64)))
            }
        }
    }
}

fn key(name: &[u8]) -> u64 {
    let hash = Algo::Sha256.hash(name);
    let first = hash.as_bytes().first_chunk::<8>();
    u64::from_be_bytes(first.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_the_first_of_two_wins() {
        assert_eq!(size_of::<Row>(), 48);
        let mut table = Table::default();
        let inline = Cid::whole(&[1, 0x55, 0, 2, 7, 7]).expect("identity");
        table.add(b"a", &Cid::of(RAW, b"1"), Some(1));
        table.add(b"b", &Cid::of(DAG_PB, b"2"), Some(99));
        table.add(b"c", &inline, Some(5));
        table.add(b"a", &Cid::of(RAW, b"other"), Some(5));
        for i in 0..5000u32 {
            table.add(&i.to_be_bytes(), &Cid::of(RAW, &i.to_le_bytes()), None);
        }
        table.seal();
        assert_eq!(table.rows.len(), 5003);
        assert_eq!(table.find(b"a"), Some((Cid::of(RAW, b"1"), Some(1))));
        assert_eq!(table.find(b"b"), Some((Cid::of(DAG_PB, b"2"), None)));
        assert_eq!(table.find(b"c"), Some((inline, Some(2))));
        assert_eq!(table.find(b"d"), None);
        let last = table.find(&4999u32.to_be_bytes());
        assert_eq!(last, Some((Cid::of(RAW, &4999u32.to_le_bytes()), None)));
        assert!(table.rows.capacity() * 48 <= 5003 * 48 * 9 / 8 + 4096);
    }
}
