//! Which versions are complete, and which were written in the place of others, as far as anybody looked.

use crate::format::manifest::Fileset;
use crate::format::names::VolumeName;

/// What is known of a dlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) full: bool,
    /// It names lists in the place of which it was written.
    pub(crate) replaces: bool,
}

/// Name of a dlist, its listed size in bytes, and what is known of it.
pub(super) type Row = (String, Option<u64>, Known);

/// What is known of versions, by the names and sizes of their dlists: about 150 bytes each.
#[derive(Default)]
pub(crate) struct KnownFull {
    /// By name; a name once. Few enough for a plain list: a map would add its code to the program for no gain.
    pub(super) rows: Vec<Row>,
    /// Not yet written to the cache.
    pub(super) changed: bool,
}

impl KnownFull {
    /// `None` when nobody looked at a dlist of this size.
    pub(crate) fn get(&self, dlist: &VolumeName, size: Option<u64>) -> Option<Known> {
        let at = self.find(dlist.as_str()).ok()?;
        let (_, was, known) = self.rows.get(at)?;
        (*was == size).then_some(*known)
    }

    pub(crate) fn note(&mut self, dlist: &VolumeName, size: Option<u64>, said: &Fileset) {
        let known = Known {
            full: said.full,
            replaces: !said.replaces.is_empty(),
        };
        let row = (dlist.as_str().to_owned(), size, known);
        let at = self.find(dlist.as_str());
        match at.map(|at| self.rows.get_mut(at)) {
            Ok(Some(old)) if *old == row => return,
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
