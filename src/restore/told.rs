//! What the fetching of volumes left for each target, read in the order in which targets are finished.

use crate::base::error::Result;
use crate::spill::sorter::{Sorter, Stream};

/// What is to be finished when all volumes were read.
pub(super) struct Left {
    metas: Stream,
    bad: Stream,
    meta_head: Option<Vec<u8>>,
    bad_head: Option<Vec<u8>>,
}

impl Left {
    /// `metas` and `bad` as the fetcher has them.
    pub(super) fn new(metas: Sorter, bad: Sorter) -> Result<Left> {
        let (mut metas, mut bad) = (metas.finish()?, bad.finish()?);
        Ok(Left {
            meta_head: metas.next()?.map(<[u8]>::to_vec),
            bad_head: bad.next()?.map(<[u8]>::to_vec),
            metas,
            bad,
        })
    }

    /// What is bad of a target, by the flags of `Fetcher::bad`.
    pub(super) fn bad_of(&mut self, key: &[u8; 9]) -> Result<[bool; 3]> {
        let mut bad = [false; 3];
        while let Some(head) = self.bad_head.take() {
            let (mine, flag) = head.split_at(head.len().min(9));
            match mine.cmp(key.as_slice()) {
                std::cmp::Ordering::Greater => {
                    self.bad_head = Some(head);
                    break;
                }
                std::cmp::Ordering::Equal => {
                    let slot = flag.first().and_then(|&f| bad.get_mut(usize::from(f)));
                    if let Some(slot) = slot {
                        *slot = true;
                    }
                }
                std::cmp::Ordering::Less => {}
            }
            self.bad_head = self.bad.next()?.map(<[u8]>::to_vec);
        }
        Ok(bad)
    }

    /// The metadata of a target, as far as it came.
    pub(super) fn blob_of(&mut self, key: &[u8; 9]) -> Result<Option<Vec<u8>>> {
        let mut blob: Option<Vec<u8>> = None;
        while let Some(head) = self.meta_head.take() {
            let (mine, rest) = head.split_at(head.len().min(9));
            match mine.cmp(key.as_slice()) {
                std::cmp::Ordering::Greater => {
                    self.meta_head = Some(head);
                    break;
                }
                std::cmp::Ordering::Equal => {
                    let out = blob.get_or_insert_with(Vec::new);
                    let (offset, bytes) = rest.split_at(rest.len().min(8));
                    let offset = offset.try_into().map_or(u64::MAX, u64::from_be_bytes);
                    // A block that two volumes hold may come twice.
                    if offset == out.len() as u64 {
                        out.extend_from_slice(bytes);
                    }
                }
                std::cmp::Ordering::Less => {}
            }
            self.meta_head = self.metas.next()?.map(<[u8]>::to_vec);
        }
        Ok(blob)
    }
}

/// A bit for each target, none of which is set at first.
#[derive(Default)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    pub(super) fn set(&mut self, no: u64) {
        let at = usize::try_from(no / 8).unwrap_or(0);
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (no % 8);
    }

    pub(super) fn has(&self, no: u64) -> bool {
        let byte = usize::try_from(no / 8).ok().and_then(|at| self.0.get(at));
        byte.is_some_and(|b| b >> (no % 8) & 1 == 1)
    }
}
