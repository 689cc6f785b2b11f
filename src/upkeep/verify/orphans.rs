//! dblocks that no index volume describes: those that something needs, and what interrupted uploads left.

use std::collections::BTreeSet;

use crate::base::digest::Hash;
use crate::base::text;
use crate::base::ui::Ui;
use crate::set::{Set, VolumeNo};
use crate::upkeep::verify::{Status, VerifyReport};

/// Blocklists in indexes that wait for a version to need them; what is beyond them counts as needed. 150 bytes each at most.
const WAITING_AT_MOST: usize = 4096;

/// What is wrong with a dblock that no index volume describes.
pub(super) struct Doubt {
    pub(super) no: VolumeNo,
    pub(super) status: Status,
    pub(super) what: String,
}

/// dblocks that no readable index volume describes. One that nothing needs is what an interrupted run leaves.
pub(super) struct Orphans {
    /// Sorted; with each, whether something is held by it alone.
    numbers: Vec<(VolumeNo, bool)>,
    /// What is wrong with some of them.
    doubts: Vec<Doubt>,
    /// Blocklists that no version was seen to need yet, with the position of a volume that alone holds something they name.
    waiting: BTreeSet<(Vec<u8>, usize)>,
}

impl Orphans {
    pub(super) fn new(unindexed: &[VolumeNo], doubts: Vec<Doubt>) -> Orphans {
        let mut numbers: Vec<_> = unindexed.iter().map(|&no| (no, false)).collect();
        numbers.sort_unstable();
        Orphans {
            numbers,
            doubts,
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn find(&self, no: VolumeNo) -> Option<usize> {
        self.numbers.binary_search_by_key(&no, |n| n.0).ok()
    }

    /// Something is wrong with one of them.
    pub(super) fn are_doubtful(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// A block that is needed is in these volumes.
    pub(super) fn held(&mut self, volumes: &[VolumeNo]) {
        if let Some(i) = self.alone(volumes) {
            self.numbers[i].1 = true;
        }
    }

    /// The first of these volumes, if no index volume describes any of them.
    fn alone(&self, volumes: &[VolumeNo]) -> Option<usize> {
        match volumes.iter().all(|&no| self.find(no).is_some()) {
            true => volumes.first().and_then(|&no| self.find(no)),
            false => None,
        }
    }

    /// As [`Orphans::held`] for a block that this blocklist names: it is needed if the list is.
    pub(super) fn held_for(&mut self, list: &[u8], volumes: &[VolumeNo]) {
        match self.alone(volumes) {
            Some(i) if self.waiting.len() < WAITING_AT_MOST => {
                self.waiting.insert((list.to_vec(), i));
            }
            Some(i) => self.numbers[i].1 = true,
            None => {}
        }
    }

    /// A version needs this blocklist.
    pub(super) fn need(&mut self, list: &Hash) {
        if self.waiting.is_empty() {
            return;
        }
        let list = list.as_bytes();
        let from = (list.to_vec(), 0);
        let held = self.waiting.range(from..).take_while(|w| w.0 == list);
        for i in held.map(|w| w.1).collect::<Vec<_>>() {
            self.numbers[i].1 = true;
        }
    }

    /// Not every version was read: each blocklist counts as needed.
    pub(super) fn need_all(&mut self) {
        for (_, i) in std::mem::take(&mut self.waiting) {
            self.numbers[i].1 = true;
        }
    }

    pub(super) fn tell(&self, set: &Set, ui: &mut Ui, report: &mut VerifyReport) {
        if set.volumes().dindex_count() == 0 {
            tell_doubts(set, &self.doubts, report);
            return;
        }
        // What a version lost may be in a volume that cannot be read.
        let lossless = report.losses.is_empty() && report.unreadable.is_empty();
        for &(no, needed) in &self.numbers {
            let Some((name, _)) = set.volumes().dblock(no) else {
                continue;
            };
            let doubts = self.doubts.iter().filter(|d| d.no == no);
            let doubtful = doubts.clone().next();
            if needed || (doubtful.is_some() && !lossless) {
                for doubt in doubts {
                    report.find(&name, doubt.status, doubt.what.clone());
                }
            }
            if needed {
                let what =
                    "no readable index volume describes it; it has to be opened to restore from it";
                report.find(&name, Status::Extra, what);
            } else if doubtful.is_none() || lossless {
                report.leftovers += 1;
                let name = text::safe(name.as_str().as_bytes());
                let state = match doubtful {
                    Some(doubt) => format!("{name} is no whole volume ({}),", doubt.what),
                    None => name.clone(),
                };
                ui.note(&format!(
                    "{state} has no index volume and nothing needs it: an interrupted run left it; it does no harm, and 'duplet remote delete URL {name}' removes it"
                ));
            }
        }
    }
}

/// Doubts as findings.
pub(super) fn tell_doubts(set: &Set, doubts: &[Doubt], report: &mut VerifyReport) {
    for doubt in doubts {
        if let Some((name, _)) = set.volumes().dblock(doubt.no) {
            report.find(&name, doubt.status, doubt.what.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Algo;

    /// What only a list names that no version needs is needed by nobody, whatever index copies that list.
    #[test]
    fn a_list_counts_once_a_version_needs_it() {
        let id = |n: usize| Algo::Sha256.hash(&n.to_be_bytes());
        let needed = |orphans: &Orphans| -> Vec<VolumeNo> {
            let numbers = orphans.numbers.iter();
            numbers.filter(|n| n.1).map(|n| n.0).collect()
        };
        let mut orphans = Orphans::new(&[3, 7, 9], Vec::new());
        orphans.held_for(id(1).as_bytes(), &[7, 9]);
        orphans.held_for(id(1).as_bytes(), &[9]);
        orphans.held_for(id(2).as_bytes(), &[3]);
        orphans.held_for(id(3).as_bytes(), &[3, 4]);
        orphans.held_for(id(3).as_bytes(), &[]);
        assert_eq!(needed(&orphans), [0; 0]);
        orphans.need(&id(3));
        orphans.need(&id(4));
        assert_eq!(needed(&orphans), [0; 0]);
        orphans.need(&id(1));
        assert_eq!(needed(&orphans), [7, 9]);
        orphans.held(&[2, 3]);
        assert_eq!(needed(&orphans), [7, 9]);
        orphans.held(&[3]);
        assert_eq!(needed(&orphans), [3, 7, 9]);
        let mut orphans = Orphans::new(&[5], Vec::new());
        orphans.held_for(id(1).as_bytes(), &[5]);
        orphans.need_all();
        assert_eq!(needed(&orphans), [5]);
        // Where too many would wait, it is taken for needed.
        let mut orphans = Orphans::new(&[5], Vec::new());
        for n in 0..WAITING_AT_MOST {
            orphans.held_for(id(n).as_bytes(), &[5]);
        }
        assert_eq!(needed(&orphans), [0; 0]);
        orphans.held_for(id(WAITING_AT_MOST).as_bytes(), &[5]);
        assert_eq!(needed(&orphans), [5]);
    }
}
