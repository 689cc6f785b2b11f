//! What reclaiming space found, did, and asked of the destination.

use crate::base::error::Error;
use crate::set::Set;
use crate::upkeep::waste::{Plan, Tally};
use crate::writer::Committed;

/// What was found and done. In a dry run: found only.
#[derive(Default)]
pub(crate) struct Report {
    /// What was decided; `None` when nothing was counted.
    pub(crate) plan: Option<Plan>,
    /// Why no space was reclaimed although it should have been: something that versions need is lost.
    pub(crate) refused: Option<Error>,
    /// What ended it after something was changed already: what is counted here was done.
    pub(crate) failed: Option<Error>,
    /// That was another program: its versions may need what was deleted.
    pub(crate) disturbed: bool,
    /// dblocks that nothing describes, and those of them that are old enough to go.
    pub(crate) orphans: Tally,
    pub(crate) old_orphans: Tally,
    /// Deleted dlists, dindexes, dblocks, and their bytes.
    pub(crate) deleted: [u64; 3],
    pub(crate) deleted_bytes: u64,
    /// Volumes that should have gone and are there.
    pub(crate) left: u64,
    /// New dblocks, blocks copied into them, and bytes uploaded, indexes included.
    pub(crate) new_dblocks: u64,
    pub(crate) copied_blocks: u64,
    pub(crate) uploaded_bytes: u64,
    /// What the destination was asked for, listings and repeated requests included.
    pub(crate) traffic: Traffic,
    /// Volumes that stay because a needed block of theirs is lost.
    pub(crate) damaged: u64,
    pub(crate) stopped: bool,
}

/// Requests to the destination.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) calls: u64,
    pub(crate) gets: u64,
    pub(crate) puts: u64,
    pub(crate) bytes_down: u64,
}

impl Traffic {
    pub(super) fn until_now(set: &mut Set) -> Traffic {
        let stats = set.remote().stats();
        Traffic {
            calls: stats.calls,
            gets: stats.gets,
            puts: stats.puts,
            bytes_down: stats.bytes_down,
        }
    }

    pub(super) fn since(set: &mut Set, before: Traffic) -> Traffic {
        let now = Traffic::until_now(set);
        Traffic {
            calls: now.calls.saturating_sub(before.calls),
            gets: now.gets.saturating_sub(before.gets),
            puts: now.puts.saturating_sub(before.puts),
            bytes_down: now.bytes_down.saturating_sub(before.bytes_down),
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, done: &Committed) {
        for (sum, n) in self.deleted.iter_mut().zip(done.deleted) {
            *sum += n;
        }
        self.deleted_bytes += done.deleted_bytes;
        self.left += done.left;
        self.stopped |= done.stopped;
    }

    /// Something at the destination is other than it was.
    pub(crate) fn changed(&self) -> bool {
        self.deleted != [0; 3] || self.new_dblocks > 0
    }

    /// Bytes that it freed.
    pub(crate) fn freed(&self) -> u64 {
        self.deleted_bytes.saturating_sub(self.uploaded_bytes)
    }
}
