//! What a command that began with the versions alone lists later, if at all.

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::names::VolumeName;
use crate::set::{Plain, Set, VolumeNo, Volumes};

impl Set {
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

    /// Numbers for dblocks that a locator names, with their sizes in bytes: before the rest is listed any is believed to be
    /// there, after that those that are listed in this size. `None` for any other.
    pub(crate) fn announce(&mut self, all: &[(VolumeName, u64)]) -> Vec<Option<VolumeNo>> {
        if self.only_versions {
            for (name, size) in all {
                let plain = self.plain.kept_out && name.encryption().is_none();
                if !plain && self.volumes.dblock_called(name).is_none() {
                    self.volumes.add(name.clone(), Some(*size));
                }
            }
            self.volumes.seal();
        }
        let number = |(name, size): &(VolumeName, u64)| {
            let no = self.volumes.dblock_called(name)?;
            let (_, listed) = self.volumes.dblock(no)?;
            listed.is_none_or(|l| l == *size).then_some(no)
        };
        all.iter().map(number).collect()
    }
}
