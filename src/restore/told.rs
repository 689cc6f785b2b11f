//! What the fetching of volumes left for each target, read in the order in which targets are finished.

use crate::base::error::Result;
use crate::restore::finish::Finish;

impl Finish<'_> {
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
