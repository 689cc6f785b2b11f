//! Which versions are complete, as far as anybody looked.

use crate::format::names::VolumeName;

/// Name of a dlist, its listed size in bytes, and whether its version is complete.
pub(super) type Row = (String, Option<u64>, bool);

/// Which versions are complete, by the names and sizes of their dlists: about 150 bytes each.
#[derive(Default)]
pub(crate) struct KnownFull {
    /// By name; a name once. Few enough for a plain list: a map would add its code to the program for no gain.
    pub(super) rows: Vec<Row>,
    /// Not yet written to the cache.
    pub(super) changed: bool,
}

impl KnownFull {
    /// Whether a version is complete; `None` when nobody looked at a dlist of this size.
    pub(crate) fn get(&self, dlist: &VolumeName, size: Option<u64>) -> Option<bool> {
        let at = self.find(dlist.as_str()).ok()?;
        let (_, was, full) = self.rows.get(at)?;
        (*was == size).then_some(*full)
    }

    pub(crate) fn note(&mut self, dlist: &VolumeName, size: Option<u64>, full: bool) {
        let row = (dlist.as_str().to_owned(), size, full);
        let at = self.find(dlist.as_str());
        match at.map(|at| self.rows.get_mut(at)) {
            Ok(Some(old)) => *old = row,
            Ok(None) => {}
            Err(at) => self.rows.insert(at, row),
        }
        self.changed = true;
    }

    /// Forgets versions that are not there any more.
    pub(crate) fn keep(&mut self, is_there: &dyn Fn(&str) -> bool) {
        let before = self.rows.len();
        self.rows.retain(|(name, ..)| is_there(name));
        self.changed |= self.rows.len() != before;
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.rows.binary_search_by(|(n, ..)| n.as_str().cmp(name))
    }
}
