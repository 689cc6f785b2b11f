//! What other programs did at the destination meanwhile, seen after the last change of a run.
//!
//! Writers that share no lock cannot keep each other out, but none loses data unnoticed. Who adds a version looks for the
//! volumes that it may need once the version is there; who deletes looks for versions and volumes of others after the last
//! deletion. Of both looks one is the later: it sees what the other program did before its own look.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::names::{VolumeKind, VolumeName};
use crate::set::Volumes;
use crate::spill::run::Run;
use crate::writer::Writer;
use crate::writer::commit::NAMED_AT_MOST;
use crate::writer::retired::each_of;

/// What a listing shows of the volumes that should be there.
#[derive(Default)]
struct Census {
    there: usize,
    all: usize,
}

impl Census {
    fn count(&mut self, found: &Volumes, name: &VolumeName) {
        self.all += 1;
        self.there += usize::from(has(found, name));
    }
}

impl Writer<'_> {
    /// Looks once more, after the dlist is up: `Busy` when a volume that was there at the start or was sent is gone. Versions
    /// and volumes that came are no matter: nothing of this version is in them. Costs a listing, and none without
    /// `verify_listing`.
    pub(super) fn still_has_all(&mut self, ui: &mut Ui) -> Result<()> {
        let nothing = self.uploads.count == 0 && self.set.volumes().len() == 0;
        if nothing || !self.options.verify_listing || self.is_dry() {
            return Ok(());
        }
        let Some(found) = self.changed_by_others(ui)? else {
            return Ok(());
        };
        let needed = self.data_in(&found)?;
        if needed.there == needed.all {
            return Ok(());
        }
        Err(Error::new(
            Kind::Busy,
            "the version was added, but volumes that it may need were deleted by another program during this run",
        )
        .hint("make sure that only one program writes there, then run the backup again: it stores what is missing"))
    }

    /// Looks once more, after the last deletion: `Busy` when a version or a volume is there that this run does not know, or
    /// one that it left is gone. Those that it deleted may be there still, and are warned of: some listings are late, and some
    /// servers say that a file went that did not. `retired` has those that were to go. Costs a listing, and none without
    /// `verify_listing`.
    pub(super) fn was_alone(&mut self, ui: &mut Ui, retired: &Run) -> Result<()> {
        if !self.options.verify_listing {
            return Ok(());
        }
        let Some(found) = self.changed_by_others(ui)? else {
            return Ok(());
        };
        self.name_undeleted(ui, &found)?;
        let mut known = self.data_in(&found)?;
        let old = self.set.volumes().dlists().iter().map(|(name, _)| name);
        for name in old.chain(self.lists.iter().map(|(name, _)| name)) {
            known.count(&found, name);
        }
        let mut gone = Census::default();
        each_of(retired, &mut |volume| {
            if let Some((name, _)) = volume.named(self.set) {
                gone.count(&found, &name);
            }
            Ok(())
        })?;
        let cause = if found.len() > known.there {
            "another program wrote to the destination during this run: what it added may need volumes that this run deleted"
        } else if known.there - gone.there < known.all - gone.all {
            "another program deleted volumes at the destination during this run, which deleted others"
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::Busy, cause).hint(
            "make sure that only one program writes there, and look with 'duplet verify URL'",
        ))
    }

    /// Warns of what was deleted and is listed.
    fn name_undeleted(&self, ui: &mut Ui, found: &Volumes) -> Result<()> {
        let mut listed = 0;
        each_of(&self.gone, &mut |volume| {
            let name = volume.named(self.set).map(|(name, _)| name);
            if let Some(name) = name.filter(|name| has(found, name)) {
                listed += 1;
                if listed <= NAMED_AT_MOST {
                    let name = text::safe(name.as_str().as_bytes());
                    let what = format!("the destination still lists {name} though it was deleted");
                    ui.warn("still-listed", &what);
                }
            }
            Ok(())
        })?;
        if listed > NAMED_AT_MOST {
            let more = text::count(listed - NAMED_AT_MOST, "more deleted file");
            let what = format!("the destination still lists {more}");
            ui.warn("still-listed", &what);
        }
        Ok(())
    }

    /// The listing as it is now; `None` when it is what this run left. Most listings show that by their state alone.
    fn changed_by_others(&mut self, ui: &mut Ui) -> Result<Option<Volumes>> {
        let look = "see whether another program wrote there meanwhile";
        let now = self.set.state_again(ui).map_err(|e| e.during(look))?;
        if now == self.state_after()? {
            return Ok(None);
        }
        let found = self.set.list_again(ui).map_err(|e| e.during(look))?;
        Ok(Some(found))
    }

    /// Of the dblocks and dindexes that were there at the start or were sent.
    fn data_in(&self, found: &Volumes) -> Result<Census> {
        let mut census = Census::default();
        let before = self.set.volumes();
        let dblocks = (0..before.dblock_count()).filter_map(|no| before.dblock(no));
        let dindexes = (0..before.dindex_count()).filter_map(|i| before.dindex(i));
        for (name, _) in dblocks.chain(dindexes) {
            census.count(found, &name);
        }
        for i in 0..self.uploads.count {
            let upload = self.uploads.get(i)?;
            if !upload.adopted {
                census.count(found, &upload.dblock);
            }
            census.count(found, &upload.dindex);
        }
        Ok(census)
    }
}

/// True when a listing shows the very name.
fn has(found: &Volumes, name: &VolumeName) -> bool {
    let dblock = || found.dblock(found.find_dblock(name)?);
    let dindex = || found.dindex(found.find_dindex(name)? as usize);
    match name.kind() {
        VolumeKind::Dblock => dblock().is_some_and(|(n, _)| n == *name),
        VolumeKind::Dindex => dindex().is_some_and(|(n, _)| n == *name),
        VolumeKind::Dlist => found.dlists().iter().any(|(n, _)| n == name),
    }
}
