//! The end of a run: the listing looked at, the dlist uploaded last, the index remembered in the cache.

use std::time::Duration;

use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::locator::VolumeRow;
use crate::format::names::VolumeName;
use crate::set::{BlockIndex, IndexReport};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
use crate::writer::known::only_block;
use crate::writer::list::Places;
use crate::writer::retired::{Retired, each_of};
use crate::writer::{WriteStats, Writer, list};

/// Seconds after the wanted one that are tried when versions of other programs have the names.
const SECONDS_TRIED: u32 = 60;

impl Writer<'_> {
    /// Uploads everything that is open, looks at the listing, then uploads the dlist: after this the version exists.
    /// `run` holds the version's records sorted by path. Returns the dlist's name and size. Waits while `time` has not come
    /// (W15). A dlist that is there is never replaced: when another program published in the same second after the look at
    /// the listing, the version gets the next free second.
    ///
    /// `Busy` when another program wrote to the destination meanwhile, `Damaged` when a volume of ours is not as it was
    /// sent: in both cases no dlist is written and nothing is lost.
    pub(super) fn publish(
        &mut self,
        ui: &mut Ui,
        run: &Run,
        time: Timestamp,
        full: bool,
    ) -> Result<(VolumeName, u64)> {
        self.send_pack(ui)?;
        if self.is_dry() {
            let name = VolumeName::list(self.set.prefix(), time, self.set.encrypts())?;
            return Ok((name, 0));
        }
        let mut time = time;
        for tried in 0..SECONDS_TRIED {
            wait_until(time)?;
            if let Some(done) = self.publish_at(ui, run, time, full, tried == 0)? {
                return Ok(done);
            }
            ui.verbose("another version of this second is there; a second later is tried");
            time = Timestamp(time.0 + 1);
        }
        Err(Error::new(
            Kind::Busy,
            "versions of other programs have the names of this minute",
        )
        .doing("finish the version")
        .hint("make sure that only one program writes there, then run again"))
    }

    /// `None` when a version of this second is there. Not `alone`: another program is known to have published meanwhile, so
    /// only what this version needs must be there.
    fn publish_at(
        &mut self,
        ui: &mut Ui,
        run: &Run,
        time: Timestamp,
        full: bool,
        alone: bool,
    ) -> Result<Option<(VolumeName, u64)>> {
        let name = VolumeName::list(self.set.prefix(), time, self.set.encrypts())?;
        let sealing = self.set.seal()?;
        let head = list::Head {
            params: &self.options.params,
            created: time,
            full,
        };
        let sent = self.uploads.sizes()?;
        let (mut stored, digests, size) = list::build(
            run,
            &head,
            sealing,
            &mut self.deflater,
            self.set.tmp(),
            Places {
                volume: &mut |id| match sent.binary_search_by_key(id, |row| row.0) {
                    Ok(at) => sent.get(at).map(|&(id, size)| VolumeRow { id, size }),
                    Err(_) => self.set.row(id),
                },
                only: &mut |content| {
                    only_block(self.set, self.index.as_mut(), content, head.params)
                },
            },
        )?;
        if self.options.verify_listing && (self.uploads.count > 0 || self.set.folder_exists()) {
            self.check_listing(ui, alone)
                .map_err(|e| e.doing("finish the version"))?;
        }
        if !self.place(ui, &name, &mut stored, &digests, size)? {
            return Ok(None);
        }
        self.lists.push((name.clone(), size));
        Ok(Some((name, size)))
    }

    /// The destination must hold what it held at the start and what was sent, and if `alone` nothing else. Most listings show that by their
    /// state alone; only one that differs is kept and gone through.
    pub(super) fn check_listing(&mut self, ui: &mut Ui, alone: bool) -> Result<()> {
        if self.set.state_again(ui)? == self.state_after()? {
            return Ok(());
        }
        let found = self.set.list_again(ui)?;
        let dblock = |name: &VolumeName| found.dblock(found.find_dblock(name)?);
        let dindex = |name: &VolumeName| found.dindex(found.find_dindex(name)? as usize);
        let before = self.set.volumes();
        for (name, size) in (0..before.dblock_count()).filter_map(|no| before.dblock(no)) {
            expect_same(&name, size, dblock(&name))?;
        }
        for (name, size) in (0..before.dindex_count()).filter_map(|i| before.dindex(i)) {
            expect_same(&name, size, dindex(&name))?;
        }
        for i in 0..self.uploads.count {
            let u = self.uploads.get(i)?;
            expect_same(&u.dblock, Some(u.dblock_size), dblock(&u.dblock))?;
            expect_same(&u.dindex, Some(u.dindex_size), dindex(&u.dindex))?;
        }
        let mut lists: Vec<_> = before.dlists().to_vec();
        for (name, size) in &self.lists {
            let there = found.dlists().iter().find(|(n, _)| n == name);
            expect_same(name, Some(*size), there.cloned())?;
            lists.push((name.clone(), Some(*size)));
        }
        if !alone {
            return Ok(());
        }
        // Sizes that a listing does not state, and names that it repeats, are no change.
        let mut expected = (before.len() + self.lists.len()) as u64;
        for i in 0..self.uploads.count {
            expected += if self.uploads.get(i)?.adopted { 1 } else { 2 };
        }
        lists.sort_by(|a, b| b.0.time().cmp(&a.0.time()).then_with(|| a.0.cmp(&b.0)));
        let (old, new) = (lists, found.dlists());
        let mut versions = old.iter().zip(new);
        if found.len() as u64 == expected
            && old.len() == new.len()
            && versions.all(|(a, b)| a.0 == b.0 && same_size(a.1, b.1))
        {
            return Ok(());
        }
        Err(Error::new(Kind::Busy, "another program wrote to the destination during this run")
            .hint("or an upload of a run that was killed arrived late; make sure that only one program writes there, then run again; what was uploaded is reused"))
    }

    /// State of the listing as it is after what this run uploaded and deleted.
    pub(crate) fn state_after(&self) -> Result<Hash> {
        let mut sum = self.set.volumes().sum();
        for i in 0..self.uploads.count {
            let upload = self.uploads.get(i)?;
            if !upload.adopted {
                sum.add(&upload.dblock, Some(upload.dblock_size));
            }
            sum.add(&upload.dindex, Some(upload.dindex_size));
        }
        for (name, size) in &self.lists {
            sum.add(name, Some(*size));
        }
        each_of(&self.gone, &mut |volume| {
            if let Some((name, size)) = volume.named(self.set) {
                sum.take_away(&name, size);
            }
            Ok(())
        })?;
        Ok(sum.finish())
    }

    /// Ends the run: the set knows what was uploaded and deleted, and the cache remembers the index (best effort) if it was
    /// read whole and clean.
    pub(crate) fn finish(mut self, ui: &mut Ui) -> Result<WriteStats> {
        self.settle(ui)?;
        let index = self.index.take();
        self.sound()?;
        if self.is_dry() {
            return Ok(self.stats);
        }
        let changed = self.uploads.count > 0 || !self.gone.is_empty();
        let worth = |report: &IndexReport| report.clean() && (report.fetched > 0 || changed);
        let mut index = index.filter(|(_, report)| worth(report));
        // Numbers are those that the uploads get below.
        let extended = match &mut index {
            Some((places, _)) => self.extend(places),
            None => Ok(()),
        };
        if changed || !self.lists.is_empty() {
            self.tell_set()?;
        }
        let kept = extended.and_then(|()| match &index {
            Some((places, _)) => self.set.store_index(places),
            None => Ok(()),
        });
        if let Err(e) = kept {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
        Ok(self.stats)
    }

    /// As [`Writer::finish`], for one of several writers that follow each other: the index goes on to the next, see
    /// [`Writer::know`], with what this one stored. The caller remembers it after the last.
    pub(crate) fn hand_on(mut self) -> Result<(WriteStats, Option<(BlockIndex, IndexReport)>)> {
        self.sound()?;
        if self.air.is_some() {
            return Err(Error::bug("a volume is on its way when a writer ends"));
        }
        let mut index = self.index.take();
        if let Some((places, _)) = &mut index {
            self.extend(places)?;
        }
        if self.uploads.count > 0 || !self.gone.is_empty() || !self.lists.is_empty() {
            self.tell_set()?;
        }
        Ok((self.stats, index))
    }

    fn tell_set(&mut self) -> Result<()> {
        let mut old_lists: Vec<VolumeName> = Vec::new();
        each_of(&self.gone, &mut |volume| {
            if let (Retired::Dlist(_), Some((name, _))) = (volume, volume.named(self.set)) {
                old_lists.push(name);
            }
            Ok(())
        })?;
        let (uploads, lists, gone) = (&self.uploads, &self.lists, &self.gone);
        self.set.change(&mut |volumes| {
            for i in 0..uploads.count {
                let upload = uploads.get(i)?;
                if !upload.adopted {
                    volumes.add(upload.dblock, Some(upload.dblock_size));
                }
                volumes.add(upload.dindex, Some(upload.dindex_size));
            }
            for (name, size) in lists {
                volumes.add(name.clone(), Some(*size));
            }
            for name in &old_lists {
                volumes.retire_dlist(name);
            }
            each_of(gone, &mut |volume| {
                match volume {
                    Retired::Dlist(_) => {}
                    Retired::Dindex(no) => volumes.retire_dindex(no),
                    Retired::Dblock(no) => volumes.retire_dblock(no),
                }
                Ok(())
            })
        })
    }

    /// Adds what this run stored to what the index volumes told, under the numbers that its volumes get.
    fn extend(&mut self, places: &mut BlockIndex) -> Result<()> {
        let tmp = self.set.tmp().clone();
        let volumes = self.set.volumes();
        let first = volumes.dblock_count();
        let first_dindex = u32::try_from(volumes.dindex_count())
            .map_err(|_| Error::bug("dindexes have numbers of 32 bits"))?;
        places.grow(first + self.sent)?;
        let mut no = first;
        for i in 0..self.uploads.count {
            let upload = self.uploads.get(i)?;
            let described = match upload.adopted {
                true => volumes
                    .find_dblock(&upload.dblock)
                    .ok_or_else(|| Error::bug("an adopted volume is in the listing"))?,
                false => {
                    no += 1;
                    no - 1
                }
            };
            places.describe(described, first_dindex + i, upload.expected())?;
        }
        let fresh = std::mem::replace(&mut self.fresh_places, Sorter::new(&tmp, 1 << 16));
        places.add(fresh, &tmp)
    }
}

/// Waits until a time has come; a second stop signal ends the wait.
fn wait_until(time: Timestamp) -> Result<()> {
    loop {
        let left = time.0.saturating_sub(Timestamp::now().0);
        if left <= 0 {
            return Ok(());
        }
        let part = Duration::from_millis(if left == 1 { 20 } else { 1000 });
        if !sys::sleep_beyond(part, 1) {
            return Err(Error::new(Kind::Interrupted, "stopped").doing("add a version"));
        }
    }
}

fn same_size(a: Option<u64>, b: Option<u64>) -> bool {
    a == b || a.is_none() || b.is_none()
}

fn expect_same(
    name: &VolumeName,
    size: Option<u64>,
    there: Option<(VolumeName, Option<u64>)>,
) -> Result<()> {
    let shown = text::safe(name.as_str().as_bytes());
    match there.filter(|(found, _)| found == name) {
        Some((_, now)) if same_size(size, now) => Ok(()),
        Some((_, now)) => Err(Error::damaged(format!(
            "volume {shown} has {} bytes at the destination, {} were sent",
            now.unwrap_or(0),
            size.unwrap_or(0)
        ))
        .hint("run again")),
        None => Err(Error::new(
            Kind::Busy,
            format!("volume {shown} vanished from the destination during this run"),
        )
        .hint("make sure that only one program writes there, then run again")),
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
pub(super) mod tests;
