//! Later listings: for a look at what changed, and of what a command that began with the versions alone did not list.

use crate::base::bytes;
use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::aes_write;
use crate::format::locator::{VolumeId, VolumeRow};
use crate::format::names::VolumeName;
use crate::set::{Plain, Protection, Set, StateSum, VolumeNo, Volumes};

/// Volumes that versions name in advance: 60 bytes of memory each.
pub(super) const ANNOUNCED_AT_MOST: usize = 1 << 17;

impl Set {
    /// Lists again, for a look at what changed while the command ran.
    pub(crate) fn list_again(&mut self, ui: &mut Ui) -> Result<Volumes> {
        let mut all = Volumes::new(self.prefix.as_str());
        let prefix = self.prefix.clone();
        self.each_listed(ui, &mut |volume| match volume {
            None => all = Volumes::new(prefix.as_str()),
            Some((name, size)) => all.add(name, size),
        })?;
        all.seal();
        Ok(all)
    }

    /// As [`Set::list_again`], only the state, in no memory. A name that is listed twice counts twice.
    pub(crate) fn state_again(&mut self, ui: &mut Ui) -> Result<Hash> {
        let mut sum = StateSum::default();
        self.each_listed(ui, &mut |volume| match volume {
            None => sum = StateSum::default(),
            Some((name, size)) => sum.add(&name, size),
        })?;
        Ok(sum.finish())
    }

    /// Lists the volumes that are no versions, if that was not done yet. Numbers that were given stay: a volume that was
    /// [announced](Set::announce) and is not there, or is of another size, is retired. Versions stay those of the first listing.
    /// To be called before the block index is read, or anything else but versions and announced volumes is used.
    pub(crate) fn list_rest(&mut self, ui: &mut Ui) -> Result<()> {
        if !self.only_versions {
            return Ok(());
        }
        let mut all = Volumes::new(self.prefix.as_str());
        let (prefix, kept_out) = (self.prefix.clone(), self.plain.kept_out);
        let mut plain = Plain::default();
        self.remote.list(ui, &mut |listed| {
            let Listed::Entry(file) = listed else {
                all = Volumes::new(prefix.as_str());
                plain = Plain::default();
                return Ok(());
            };
            let name = VolumeName::parse(&file.name);
            let Some(name) = name.filter(|n| n.prefix() == prefix.as_str()) else {
                return Ok(());
            };
            match kept_out && name.encryption().is_none() {
                true => plain.add(name),
                false => all.add(name, file.size),
            }
            Ok(())
        })?;
        all.seal();
        self.volumes.complete(&all);
        self.only_versions = false;
        self.cache.inherit(&self.volumes);
        if let Some(line) = plain.line() {
            ui.warn("plain-volumes", &line);
            self.plain.count += plain.count;
        }
        Ok(())
    }

    /// The dblock that a locator means by an id, and its listed size in bytes, if it is there.
    pub(crate) fn located(&self, id: &VolumeId) -> Option<(VolumeNo, Option<u64>)> {
        let id = &self.as_sealed(VolumeRow { id: *id, size: 0 }).id;
        let no = self.volumes.dblock_called(&self.dblock_name(id)?)?;
        Some((no, self.volumes.dblock(no)?.1))
    }

    /// As [`Set::located`]: the volume as a new locator is to name it.
    pub(crate) fn row(&self, id: &VolumeId) -> Option<VolumeRow> {
        let size = self.located(id)?.1?;
        let id = self.as_sealed(VolumeRow { id: *id, size }).id;
        Some(VolumeRow { id, size })
    }

    /// What a locator made for a plain backup means in a copy of it that was encrypted.
    fn as_sealed(&self, row: VolumeRow) -> VolumeRow {
        if row.id.sealed || self.protection != Protection::Aes || !self.plain.kept_out {
            return row;
        }
        let (sealed, size) = (true, aes_write::stored_len(row.size));
        VolumeRow {
            id: VolumeId { sealed, ..row.id },
            size,
        }
    }

    /// The name of a dblock of this backup.
    fn dblock_name(&self, id: &VolumeId) -> Option<VolumeName> {
        let (prefix, hex) = (self.volumes.prefix(), bytes::hex(&id.guid));
        let end = if id.sealed { ".aes" } else { "" };
        VolumeName::parse(&format!("{prefix}-b{hex}.dblock.zip{end}"))
    }

    /// Takes dblocks that a locator names as there, until the rest is listed: [`Set::located`] then finds them.
    /// At most [`ANNOUNCED_AT_MOST`] volumes; what lies in others takes the index.
    pub(super) fn announce(&mut self, all: &[VolumeRow]) {
        if !self.only_versions {
            return;
        }
        for row in all {
            if self.volumes.dblock_count() as usize >= ANNOUNCED_AT_MOST {
                break;
            }
            let row = &self.as_sealed(*row);
            if let Some(name) = self.dblock_name(&row.id)
                && (row.id.sealed || !self.plain.kept_out)
                && self.volumes.dblock_called(&name).is_none()
            {
                self.volumes.add(name, Some(row.size));
            }
        }
        self.volumes.seal();
    }
}
