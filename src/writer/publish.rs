//! The end of a run: the listing looked at, the dlist uploaded last, the index remembered in the cache.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::names::VolumeName;
use crate::set::{Places, VolumeNo, Volumes};
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;
use crate::writer::{WriteStats, Writer, list};

impl Writer<'_> {
    /// Uploads everything that is open, looks at the listing, then uploads the dlist: after this the version exists.
    /// `run` holds the version's records sorted by path. Returns the dlist's name and size.
    ///
    /// `Busy` when another program wrote to the destination meanwhile, `Damaged` when a volume of ours is not as it was
    /// sent: in both cases no dlist is written and nothing is lost.
    pub(crate) fn publish(
        &mut self,
        ui: &mut Ui,
        run: &Run,
        time: Timestamp,
        full: bool,
    ) -> Result<(VolumeName, u64)> {
        self.flush(ui)?;
        let name = VolumeName::list(self.set.prefix(), time, self.options.encrypt)?;
        if self.options.dry_run {
            return Ok((name, 0));
        }
        let secret = if self.options.encrypt {
            self.set.passphrase()
        } else {
            None
        };
        let (mut stored, sha256, size) = list::build(
            run,
            &self.params,
            time,
            full,
            secret,
            &mut self.deflater,
            self.set.tmp(),
        )?;
        if self.options.verify_listing && (self.uploads.count > 0 || self.set.folder_exists()) {
            self.check_listing(ui)?;
        }
        self.put(ui, &name, &mut stored, &sha256, size)?;
        Ok((name, size))
    }

    fn check_listing(&mut self, ui: &mut Ui) -> Result<()> {
        let expected = self.volumes_after(None)?;
        let found = self.set.list_again(ui)?;
        if found.state() == expected.state() {
            return Ok(());
        }
        for no in 0..expected.dblock_count() {
            let Some((name, size)) = expected.dblock(no) else {
                continue;
            };
            let there = found.find_dblock(&name).and_then(|n| found.dblock(n));
            self.expect_same(&name, size, there)?;
        }
        for i in 0..expected.dindex_count() {
            let Some((name, size)) = expected.dindex(i) else {
                continue;
            };
            let there = found
                .find_dindex(&name)
                .and_then(|n| found.dindex(n as usize));
            self.expect_same(&name, size, there)?;
        }
        Err(Error::new(Kind::Busy, "another program wrote to the destination during this run")
            .doing("finish the version".to_owned())
            .hint("make sure that only one program writes there, then run again; what was uploaded is reused"))
    }

    fn expect_same(
        &self,
        name: &VolumeName,
        size: Option<u64>,
        there: Option<(VolumeName, Option<u64>)>,
    ) -> Result<()> {
        let shown = text::safe(name.as_str().as_bytes());
        match there {
            Some((found, found_size))
                if found == *name
                    && (found_size == size || found_size.is_none() || size.is_none()) =>
            {
                Ok(())
            }
            Some((found, Some(now))) if found == *name => Err(Error::damaged(format!(
                "volume {shown} has {now} bytes at the destination, {} were sent",
                size.unwrap_or(0)
            ))
            .doing("finish the version".to_owned())
            .hint("run again")),
            _ => Err(Error::new(
                Kind::Busy,
                format!("volume {shown} vanished from the destination during this run"),
            )
            .doing("finish the version".to_owned())
            .hint("make sure that only one program writes there, then run again")),
        }
    }

    /// The listing as it is after this run's uploads, and the dlist if one was written.
    pub(crate) fn volumes_after(&self, dlist: Option<(&VolumeName, u64)>) -> Result<Volumes> {
        let mut volumes = self.set.volumes().with(&[]);
        for i in 0..self.uploads.count {
            let upload = self.uploads.get(i)?;
            volumes.add(upload.dblock, Some(upload.dblock_size));
            volumes.add(upload.dindex, Some(upload.dindex_size));
        }
        if let Some((name, size)) = dlist {
            volumes.add(name.clone(), Some(size));
        }
        volumes.seal();
        Ok(volumes)
    }

    /// Ends the run: remembers the index in the cache (best effort) if it was read whole and clean.
    pub(crate) fn finish(mut self, ui: &mut Ui, after: &Volumes) -> Result<WriteStats> {
        if let Some((places, report)) = self.index.take()
            && report.clean()
            && !self.options.dry_run
            && (report.fetched > 0 || self.uploads.count > 0)
            && let Err(e) = self.remember(&places, after)
        {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
        Ok(self.stats)
    }

    fn remember(&mut self, places: &Places, after: &Volumes) -> Result<()> {
        let tmp = self.set.tmp().clone();
        let old_to_new = crate::set::renumber(self.set.volumes(), after)?;
        let mut uploaded = Vec::new();
        // Where each volume's facts are: in the old index, or among the uploads.
        let mut origin = vec![None; after.dblock_count() as usize];
        for (old, &new) in old_to_new.iter().enumerate() {
            let old = u32::try_from(old).map_err(|_| Error::bug("volume numbers are 32 bits"))?;
            if let Some(slot) = origin.get_mut(new as usize) {
                *slot = Some((true, old));
            }
        }
        for i in 0..self.uploads.count {
            let no = after
                .find_dblock(&self.uploads.get(i)?.dblock)
                .ok_or_else(|| Error::bug("an uploaded volume is in the grown listing"))?;
            if let Some(slot) = origin.get_mut(no as usize) {
                *slot = Some((false, i));
            }
            uploaded.push(no);
        }
        let before = self.set.volumes();
        let index_numbers: Vec<Option<u32>> = (0..before.dindex_count())
            .map(|i| {
                before
                    .dindex(i)
                    .and_then(|(name, _)| after.find_dindex(&name))
            })
            .collect();
        let fresh = std::mem::replace(&mut self.fresh_places, Sorter::new(&tmp, 1 << 16));
        let mut stream = fresh.finish()?;
        let mut run = RunWriter::new(&tmp);
        let mut record = Vec::new();
        while let Some(place) = stream.next()? {
            record.clear();
            record.extend_from_slice(place);
            let number = record
                .get(BlockKey::LEN..)
                .and_then(|b| b.try_into().ok())
                .map(u32::from_be_bytes);
            if let Some(&no) = number.and_then(|n| uploaded.get(n as usize)) {
                record[BlockKey::LEN..].copy_from_slice(&no.to_be_bytes());
                run.push(&record)?;
            }
        }
        let run = run.finish()?;
        let renumber = |no: u32| old_to_new.get(no as usize).copied();
        let uploads = &self.uploads;
        let mut described = |no: VolumeNo| match origin.get(no as usize).copied().flatten()? {
            (true, old) => {
                let index = places.dindex_of(old)?;
                let index = index_numbers.get(index as usize).copied().flatten()?;
                Some((index, places.expected(old).ok()?))
            }
            (false, i) => {
                let upload = uploads.get(i).ok()?;
                Some((after.find_dindex(&upload.dindex)?, upload.expected()))
            }
        };
        self.set
            .cache()
            .store_index(after, places, &renumber, Some(&run), &mut described)
    }
}
