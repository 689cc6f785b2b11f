//! What happens to blocks that are not where the version says.

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::restore::fetcher::Fetcher;
use crate::restore::{find, plan, read_index, scan, tell_lost};
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
        let (mut plan, mut lost) = find(set, wanted, places, &self.failed)?;
        let scans = self.reading.is_none_or(|r| !r.no_scan);
        if !lost.is_empty() && !index.unindexed.is_empty() && scans {
            scan(set, &index, places, ui)?;
            (plan, lost) = find(set, wanted, places, &self.failed)?;
        }
        if !lost.is_empty() {
            tell_lost(lost.len(), &index, ui);
        }
        Ok((plan, lost))
    }
}
