//! Versions that stand beside the list that was written in their place: what a purge leaves that was cut off between its
//! uploads and its deletions, or could not delete.

use std::collections::HashSet;

use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::set::Set;
use crate::set::known_full::KnownFull;

/// Seconds that a list lies after the one in the place of which it was written, at most.
const SECONDS_AFTER: i64 = 60;

/// A version that another one takes the place of: it counts no more, and may go where the other can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// Its number, 0 = newest.
    pub(crate) old: usize,
    /// The version with what was to stay of it.
    pub(crate) by: usize,
}

impl Set {
    /// Versions that count no more, the newest first. A list says itself which it takes the place of, so that another machine
    /// and one without a cache see it too; one that cannot be read to its end takes no other's place.
    ///
    /// Costs the dlist of every version that has another one at most a minute before it, unless the cache knows that it takes
    /// the place of none.
    pub(crate) fn replaced(&mut self, ui: &mut Ui) -> Result<Vec<Replaced>> {
        let mut known = self.cache().known_full();
        let found = self.find_replaced(ui, &mut known);
        self.store_known(ui, &mut known);
        found
    }

    fn find_replaced(&mut self, ui: &mut Ui, known: &mut KnownFull) -> Result<Vec<Replaced>> {
        let times: Vec<_> = self.versions().collect();
        let mut found: Vec<Replaced> = Vec::new();
        for (by, own) in times.iter().enumerate() {
            let near = |t: i64| (1..=SECONDS_AFTER).contains(&own.0.saturating_sub(t));
            if !times[by + 1..].iter().any(|t| near(t.0)) {
                continue;
            }
            let row = self
                .dlist(by)
                .and_then(|(name, size)| known.get(name, size));
            if row.is_some_and(|known| !known.replaces) {
                continue;
            }
            let said = match self.fileset(ui, by, known) {
                Err(e) if e.kind().is_of_one_volume() => continue,
                said => said?.replaces,
            };
            let mut olds: Vec<usize> = (by + 1..times.len())
                .filter(|old| near(times[*old].0) && said.contains(&times[*old]))
                .filter(|old| !found.iter().any(|r| r.old == *old))
                .collect();
            // A purge may have written another version anew at the second of one that went: that names its own forerunners.
            let mut kin = Vec::with_capacity(olds.len());
            for &old in &olds {
                kin.push(self.forerunners(ui, old, known)?);
            }
            let mut kin = kin.into_iter();
            olds.retain(|_| {
                let before = kin.next().flatten();
                before.is_some_and(|before| before.iter().all(|t| said.contains(t)))
            });
            if !olds.is_empty() && self.reads_whole(ui, by)? {
                found.extend(olds.into_iter().map(|old| Replaced { old, by }));
            }
        }
        found.sort_unstable_by_key(|r| r.old);
        Ok(found)
    }

    /// The lists in the place of which version `no` was written; `None` where that cannot be read.
    fn forerunners(
        &mut self,
        ui: &mut Ui,
        no: usize,
        known: &mut KnownFull,
    ) -> Result<Option<Vec<Timestamp>>> {
        let row = self
            .dlist(no)
            .and_then(|(name, size)| known.get(name, size));
        if row.is_some_and(|known| !known.replaces) {
            return Ok(Some(Vec::new()));
        }
        match self.fileset(ui, no, known) {
            Err(e) if e.kind().is_of_one_volume() => Ok(None),
            said => Ok(Some(said?.replaces)),
        }
    }

    fn reads_whole(&mut self, ui: &mut Ui, no: usize) -> Result<bool> {
        match self.files(ui, no, &mut |_| Ok(())) {
            Err(e) if e.kind().is_of_one_volume() => Ok(false),
            read => Ok(!read?.rescued),
        }
    }

    /// Remembers what was learnt of the versions that are there. Best effort.
    pub(crate) fn store_known(&mut self, ui: &mut Ui, known: &mut KnownFull) {
        let there = self.volumes().dlists().iter();
        let there: HashSet<&str> = there.map(|(name, _)| name.as_str()).collect();
        known.keep(&|name| there.contains(name));
        if let Err(e) = self.cache().store_full(known) {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
    }

    /// Takes what was read so far of lists that were made before the time of their names: name, and what is wrong.
    pub(crate) fn take_misdated(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.misdated)
    }
}
