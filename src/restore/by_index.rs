//! Where blocks are found that are not where the version or the index says.

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::restore::fetcher::Fetcher;
use crate::restore::{plan, read_index, seek, tell_lost};
use crate::set::{BlockIndex, Set};
use crate::spill::run::Run;

impl Fetcher<'_> {
    /// A plan for blocks that are not where the version says, by the index volumes, and those that are in no volume.
    pub(super) fn by_index(
        &mut self,
        set: &mut Set,
        places: &mut BlockIndex,
        wanted: &Run,
        ui: &mut Ui,
    ) -> Result<(plan::Plan, Run)> {
        let index = read_index(set, places, ui)?;
        self.failed = vec![false; set.volumes().dblock_count() as usize];
        self.unindexed.clone_from(&index.unindexed);
        let (plan, lost) = self.seek(set, places, wanted, ui)?;
        if !lost.is_empty() {
            tell_lost(lost.len(), &index, ui);
        }
        Ok((plan, lost))
    }

    /// As the function of this name.
    pub(super) fn seek(
        &mut self,
        set: &mut Set,
        places: &mut BlockIndex,
        wanted: &Run,
        ui: &mut Ui,
    ) -> Result<(plan::Plan, Run)> {
        let scans = self.reading.is_none_or(|r| !r.no_scan);
        let unread = scans.then_some(&mut self.unindexed);
        seek(set, places, wanted, (&self.failed, unread), ui)
    }
}
