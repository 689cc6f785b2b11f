//! What reading the index volumes came to: [`IndexReport`].

use crate::base::text;
use crate::format::names::VolumeName;
use crate::set::VolumeNo;

/// Names kept for messages; the rest is counted.
pub(super) const NAMED_AT_MOST: usize = 20;

/// What the index volumes of a listing told.
#[derive(Default)]
pub(crate) struct IndexReport {
    /// dblocks named by a dindex but absent (or of another size), a few by name.
    pub(crate) missing: Vec<String>,
    pub(crate) missing_count: u64,
    /// dindex volumes that cannot be read: name and reason.
    pub(crate) unreadable: Vec<(String, String)>,
    pub(crate) unreadable_count: u64,
    /// Numbers of the dindexes that describe a dblock which is not there. As all numbers here: 4 bytes a volume.
    pub(crate) absent: Vec<u32>,
    /// Numbers of dindexes, each with a dblock that it states another size of.
    pub(crate) resized: Vec<(u32, VolumeNo)>,
    /// Numbers of the dindexes that are damaged: not to be read at all, and readable in part.
    pub(crate) unread: Vec<u32>,
    pub(crate) spoilt: Vec<u32>,
    /// dblocks that no readable dindex describes.
    pub(crate) unindexed: Vec<VolumeNo>,
    /// Entries in the table.
    pub(crate) places: u64,
    /// dindex volumes downloaded by this call.
    pub(crate) fetched: u64,
}

impl IndexReport {
    /// True when every dindex was readable and described a dblock that is there.
    pub(crate) fn clean(&self) -> bool {
        self.missing_count == 0 && self.unreadable_count == 0
    }

    pub(super) fn unreadable(&mut self, name: &VolumeName, why: String) {
        self.unreadable_count += 1;
        if self.unreadable.len() < NAMED_AT_MOST {
            let name = text::safe(name.as_str().as_bytes());
            self.unreadable.push((name, why));
        }
    }

    pub(super) fn missing(&mut self, name: &str) {
        self.missing_count += 1;
        if self.missing.len() < NAMED_AT_MOST {
            self.missing.push(text::safe(name.as_bytes()));
        }
    }
}
