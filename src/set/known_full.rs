//! Which versions are complete, as far as anybody looked.

use std::collections::BTreeMap;

use crate::format::names::VolumeName;

/// Which versions are complete, by the names and sizes of their dlists: about 150 bytes each.
#[derive(Default)]
pub(crate) struct KnownFull {
    pub(super) rows: BTreeMap<String, (Option<u64>, bool)>,
    /// Not yet written to the cache.
    pub(super) changed: bool,
}

impl KnownFull {
    /// Whether a version is complete; `None` when nobody looked at a dlist of this size.
    pub(crate) fn get(&self, dlist: &VolumeName, size: Option<u64>) -> Option<bool> {
        let (was, full) = self.rows.get(dlist.as_str())?;
        (*was == size).then_some(*full)
    }

    pub(crate) fn note(&mut self, dlist: &VolumeName, size: Option<u64>, full: bool) {
        self.rows.insert(dlist.as_str().to_owned(), (size, full));
        self.changed = true;
    }

    /// Forgets versions that are not there any more.
    pub(crate) fn keep(&mut self, is_there: &dyn Fn(&str) -> bool) {
        let before = self.rows.len();
        self.rows.retain(|name, _| is_there(name));
        self.changed |= self.rows.len() != before;
    }
}
