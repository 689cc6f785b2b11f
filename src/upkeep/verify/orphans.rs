//! dblocks that no index volume describes: those that something needs, and what interrupted uploads left.

use crate::base::text;
use crate::base::ui::Ui;
use crate::set::{Set, VolumeNo};
use crate::upkeep::verify::{Status, VerifyReport};

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
}

impl Orphans {
    pub(super) fn new(unindexed: &[VolumeNo], doubts: Vec<Doubt>) -> Orphans {
        let mut numbers: Vec<_> = unindexed.iter().map(|&no| (no, false)).collect();
        numbers.sort_unstable();
        Orphans { numbers, doubts }
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
        if self.is_empty() || volumes.iter().any(|&no| self.find(no).is_none()) {
            return;
        }
        if let Some(i) = volumes.first().and_then(|&no| self.find(no)) {
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
