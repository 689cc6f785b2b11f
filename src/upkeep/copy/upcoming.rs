//! Which volume of the source is fetched next, so that it comes while the last one is sent.

use crate::base::error::Result;
use crate::set::{BlockIndex, Share, VolumeNo};
use crate::upkeep::copy::Copying;
use crate::upkeep::copy::chosen::Chosen;

impl Copying<'_> {
    /// Has the dblock asked for that is fetched after `no`; `after` keeps which that is.
    pub(super) fn expect(
        &mut self,
        no: VolumeNo,
        after: &mut VolumeNo,
        (places, chosen): (&BlockIndex, &Chosen),
    ) -> Result<()> {
        if self.orders.dry_run || !self.set.looks_ahead() {
            return Ok(());
        }
        *after = (*after).max(no + 1);
        while let Some(marked) = chosen.dblocks.get(*after as usize) {
            if *marked && let Some((name, size)) = self.set.volumes().dblock(*after) {
                let expected = places.expected(*after)?;
                if !self.target.has(&name, size.or(expected.size)) {
                    self.set.expect(no, Some((*after, expected, Share::All)));
                    return Ok(());
                }
            }
            *after += 1;
        }
        self.set.expect(no, None);
        Ok(())
    }
}
