//! What a plan wants of its volumes, looked at one volume further than the one that is read.

use crate::base::digest::BlockKey;
use crate::base::error::Result;
use crate::restore::plan::{Plan, planned};
use crate::set::VolumeNo;
use crate::spill::run::RunReader;

/// Blocks of one volume that are fetched one by one; of more than these all of it is fetched: 36 bytes of memory each.
const KEYS_AT_MOST: usize = 1 << 14;

/// What comes next in a plan, volume by volume.
pub(super) struct Upcoming {
    reader: RunReader,
    head: Option<Vec<u8>>,
    /// A volume that was looked at before its turn.
    next: Option<(VolumeNo, Keys)>,
}

/// The different blocks wanted of a volume; `None` when they are many.
pub(super) type Keys = Option<Vec<BlockKey>>;

impl Upcoming {
    pub(super) fn new(plan: &Plan) -> Result<Upcoming> {
        let mut reader = plan.run.reader();
        let head = next(&mut reader)?;
        Ok(Upcoming {
            reader,
            head,
            next: None,
        })
    }

    /// What is wanted of the next volume, which is `no`.
    pub(super) fn keys(&mut self, no: VolumeNo) -> Result<Keys> {
        match self.next.take().filter(|next| next.0 == no) {
            Some((_, keys)) => Ok(keys),
            None => self.read(no),
        }
    }

    /// The volume after the one that was asked about last, and what is wanted of it.
    pub(super) fn after(&mut self) -> Result<Option<(VolumeNo, &Keys)>> {
        if self.next.is_none()
            && let Some(record) = &self.head
        {
            let no = planned(record)?.0.no;
            self.next = Some((no, self.read(no)?));
        }
        Ok(self.next.as_ref().map(|(no, keys)| (*no, keys)))
    }

    fn read(&mut self, no: VolumeNo) -> Result<Keys> {
        let mut keys: Vec<BlockKey> = Vec::new();
        let mut many = false;
        while let Some(record) = &self.head {
            let place = planned(record)?.0;
            if place.no != no {
                break;
            }
            if keys.last() != Some(&place.key) {
                many |= keys.len() == KEYS_AT_MOST;
                if !many {
                    keys.push(place.key);
                }
            }
            self.head = next(&mut self.reader)?;
        }
        Ok((!many).then_some(keys))
    }
}

/// The next record of a plan.
pub(super) fn next(reader: &mut RunReader) -> Result<Option<Vec<u8>>> {
    Ok(reader.next()?.map(<[u8]>::to_vec))
}
