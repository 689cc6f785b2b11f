//! [`Place`]: one block in one volume, as it is sorted and spilled.

use crate::base::digest::BlockKey;
use crate::set::VolumeNo;

/// A key, then a volume's number.
pub(crate) const PLACE_LEN: usize = BlockKey::LEN + 4;

/// Where a block is. Numbers are big-endian in both orders, so that bytes sort as numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) key: BlockKey,
    pub(crate) no: VolumeNo,
}

impl Place {
    /// The record that sorts by block: key, then number.
    pub(crate) fn encode(&self) -> [u8; PLACE_LEN] {
        let mut record = [0; PLACE_LEN];
        record[..BlockKey::LEN].copy_from_slice(self.key.as_bytes());
        record[BlockKey::LEN..].copy_from_slice(&self.no.to_be_bytes());
        record
    }

    /// From the start of a record that sorts by block.
    pub(crate) fn decode(record: &[u8]) -> Option<Place> {
        let (record, _) = record.split_first_chunk::<PLACE_LEN>()?;
        let (_, no) = record.split_last_chunk::<4>()?;
        Some(Place {
            key: BlockKey::from_record(record)?,
            no: u32::from_be_bytes(*no),
        })
    }

    /// The record that sorts by volume: number, then key.
    pub(crate) fn encode_by_volume(&self) -> [u8; PLACE_LEN] {
        let mut record = [0; PLACE_LEN];
        record[..4].copy_from_slice(&self.no.to_be_bytes());
        record[4..].copy_from_slice(self.key.as_bytes());
        record
    }

    /// From the start of a record that sorts by volume, and what follows it there.
    pub(crate) fn decode_by_volume(record: &[u8]) -> Option<(Place, &[u8])> {
        let (no, rest) = record.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(BlockKey::LEN)?;
        let place = Place {
            key: BlockKey::from_record(key)?,
            no: u32::from_be_bytes(*no),
        };
        Some((place, rest))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::base::digest::Algo;

    #[test]
    fn records_read_back_and_sort() {
        let place = |text: &str, no| Place {
            key: BlockKey::new(&Algo::Sha256.hash(text.as_bytes()), 300),
            no,
        };
        let places = [
            place("a", 0),
            place("b", 256),
            place("b", 1),
            place("c", u32::MAX),
        ];
        for one in places {
            assert_eq!(Place::decode(&one.encode()), Some(one));
            let mut long = one.encode_by_volume().to_vec();
            long.extend(b"goal");
            assert_eq!(Place::decode_by_volume(&long), Some((one, &b"goal"[..])));
            assert_eq!(Place::decode(&one.encode()[..39]), None);
            assert_eq!(Place::decode_by_volume(&long[..39]), None);
            for other in places {
                let by_key = (one.key, one.no).cmp(&(other.key, other.no));
                assert_eq!(one.encode().cmp(&other.encode()), by_key);
                let by_volume = (one.no, one.key).cmp(&(other.no, other.key));
                assert_eq!(
                    one.encode_by_volume().cmp(&other.encode_by_volume()),
                    by_volume
                );
            }
        }
    }
}
