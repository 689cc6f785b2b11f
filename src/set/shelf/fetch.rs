//! What is fetched of a volume that is here in parts.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::set::Set;
use crate::set::shelf::ranged::{AtRemote, Line};
use crate::set::shelf::{Shelf, Source};

impl Shelf {
    /// Brings here what [`Shelf::block`] and [`Shelf::packed`] need of these blocks, in few requests. To be called before
    /// them for a shelf of which only a part is wanted: what was not fetched counts as damaged. Does nothing for a volume that
    /// is here. Errors of the destination.
    pub(crate) fn fetch(&mut self, set: &mut Set, ui: &mut Ui, keys: &[BlockKey]) -> Result<()> {
        let name = self.name.clone();
        let mut line = AtRemote {
            remote: &mut set.remote,
            ui,
            name: name.as_str(),
            sends_whole: &mut set.sends_whole,
        };
        self.fetch_from(&mut line, keys)
    }

    /// As [`Shelf::fetch`] for [`Shelf::offer`]: what is stored under an id, whatever its length.
    pub(crate) fn fetch_id(&mut self, set: &mut Set, ui: &mut Ui, id: &Hash) -> Result<()> {
        if !self.is_in_parts() || self.complete {
            return Ok(());
        }
        let of_id = BlockKey::new(id, 0);
        let found = self.entries(&of_id)?.into_iter();
        let sizes = found.filter_map(|(_, entry)| u32::try_from(entry.size).ok());
        let most = self.params.block_size;
        let keys: Vec<BlockKey> = sizes
            .filter(|&size| size <= most)
            .map(|size| BlockKey::new(id, size))
            .collect();
        self.fetch(set, ui, &keys)
    }

    pub(super) fn fetch_from(&mut self, line: &mut dyn Line, keys: &[BlockKey]) -> Result<()> {
        if !self.is_in_parts() || self.complete {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for key in keys {
            let size = u64::from(key.size());
            // A block that claims to be packed into much more than its bytes is none.
            let most = size.saturating_add(size / 8).saturating_add(1 << 10);
            let entries = self.entries(key)?.into_iter().map(|(_, entry)| entry);
            wanted.extend(entries.filter(|e| e.size == size && e.compressed <= most));
        }
        match &self.source {
            Source::Ranged(ranged) => ranged.fetch(line, self.layout, &wanted),
            Source::Whole(_) | Source::AtHand(_) => Ok(()),
        }
    }
}
