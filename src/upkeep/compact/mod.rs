//! Versions go, and the space that only they needed comes back. Volumes of which nothing is needed are deleted; of wasteful and
//! small ones the needed blocks are copied into new volumes, packed as they are.
//!
//! In batches, each of which leaves a whole backup: new volumes are up, and seen in a listing, before old ones go. A run that
//! is cut off has freed what its batches freed, and leaves at most blocks that are stored twice, which the next run finds.

mod copy;
mod count;
mod live;
mod report;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::set::{BlockIndex, IndexReport, Set, VolumeNo};
use crate::upkeep::waste::{CompactRules, Tally};
use crate::upkeep::whole::{self, Going};
use crate::writer::{List, Retired, WriteOptions, Writer};
use copy::{Copier, Source};
use count::{Count, Counted, Fate};
pub(crate) use report::Report;
use report::Traffic;

/// New volumes of a batch at least.
const BATCH_LEAST: u64 = 4;
/// Batches at most, about: each costs a listing.
const BATCHES: u64 = 32;
/// A dblock without an index goes when it is older than the newest version by so many seconds.
const ORPHAN_SECONDS: i64 = 86_400;

/// How to reclaim space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) rules: CompactRules,
    /// Compression of what is not copied, 0 to 9.
    pub(crate) level: u8,
    /// Only count and decide.
    pub(crate) dry_run: bool,
}

/// Deletes versions and, with `reclaim`, the space that no other version needs. Nothing is deleted while a version that stays,
/// or goes by a rule, cannot be read to its end: it might need every volume, or be the last that is whole. Nor does a rule
/// delete anything while a version bears a time that it cannot be of. `Err` only while nothing was changed, or for a stop.
///
/// Costs the lists of all versions but those that go unread, and to reclaim the index volumes that are not cached, and what is
/// copied. Memory: that of [`Set::needs`] and about 80 bytes a dblock. On disk: about 150 bytes a block, and two volumes.
pub(crate) fn run(
    set: &mut Set,
    ui: &mut Ui,
    how: &How,
    going: &Going,
    reclaim: bool,
) -> Result<Report> {
    let drop = going.versions.as_slice();
    // Whoever may not write learns it before anything is read.
    set.permit(how.dry_run)
        .doing(|| "delete volumes".to_owned())?;
    // Nor is anything deleted by somebody who does not know the passphrase.
    set.learn_params(ui)?;
    some_list(set)?;
    let before = set.state();
    let asked = Traffic::until_now(set);
    let mut work = Work {
        how,
        report: Report::default(),
        index: None,
        spares: Vec::new(),
    };
    if !drop.is_empty() {
        // To reclaim reads what stays.
        let read: Vec<usize> = (0..set.volumes().dlists().len())
            .filter(|no| !going.unread.contains(no) && (!reclaim || drop.contains(no)))
            .collect();
        set.take_misdated();
        whole::read(set, ui, &read)?;
    }
    let counted = match reclaim {
        true => work.count(set, ui, drop)?,
        false => None,
    };
    if going.by_rule() {
        whole::dated(set, going, Timestamp::now())?;
    }
    if how.dry_run {
        work.report.plan = counted.map(|c| c.plan);
        work.report.traffic = Traffic::since(set, asked);
        return Ok(work.report);
    }
    match work.act(set, ui, drop, counted) {
        Ok(()) => {
            if let Err(e) = work.remember(set, &before) {
                ui.verbose(&format!("the cache was not written: {e}"));
            }
        }
        Err(e) if e.kind() == Kind::Interrupted || !work.report.changed() => return Err(e),
        Err(e) => work.report.failed = Some(e),
    }
    work.report.traffic = Traffic::since(set, asked);
    Ok(work.report)
}

/// Fails where there are volumes without a single list of files: everything would seem to be needed by nobody.
fn some_list(set: &Set) -> Result<()> {
    let Some(line) = set.volumes().listless() else {
        return Ok(());
    };
    Err(Error::new(Kind::Missing, line)
        .doing("reclaim space")
        .hint("put the dlist volumes back if there is a copy of them; the next backup uses the data that is left"))
}

struct Work<'a> {
    how: &'a How,
    report: Report,
    /// What goes from writer to writer.
    index: Option<(BlockIndex, IndexReport)>,
    /// Further indexes of a dblock beside the one that counts: dblock and dindex, sorted.
    spares: Vec<(VolumeNo, u32)>,
}

impl Work<'_> {
    /// `None` when something that versions need is lost: then nothing is reclaimed.
    fn count(&mut self, set: &mut Set, ui: &mut Ui, drop: &[usize]) -> Result<Option<Counted>> {
        let kept: Vec<usize> = (0..set.volumes().dlists().len())
            .filter(|no| !drop.contains(no))
            .collect();
        let (live, places, report) = live::live(set, ui, &kept).map_err(|e| match e.kind() {
            kind if kind.is_of_one_volume() => whole::one_unreadable(set, e),
            _ => e,
        })?;
        let count = Count::new(set, &live, &places)?;
        let lost = match (live.unknown, count.lost) {
            (0, 0) => None,
            (0, n) => Some(format!(
                "{} that versions need {} in no volume that an index describes",
                text::count(n, "block"),
                if n == 1 { "is" } else { "are" }
            )),
            (n, _) => Some(format!(
                "of {} nobody can say which blocks they need, because blocklists are lost",
                text::count(n, "file")
            )),
        };
        if let Some(lost) = lost {
            self.report.refused = Some(
                Error::damaged(lost)
                    .doing("reclaim space")
                    .hint("'duplet repair URL' writes missing index volumes again; 'duplet list-broken-files URL' lists what is lost"),
            );
            self.index = Some((places, report));
            return Ok(None);
        }
        let counted = count.decide(set, ui, &self.how.rules, !self.how.dry_run)?;
        self.index = Some((places, report));
        self.find_orphans(set, ui, false)?;
        Ok(Some(counted))
    }

    fn act(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        drop: &[usize],
        counted: Option<Counted>,
    ) -> Result<()> {
        let Some(counted) = counted else {
            return self.first(set, ui, drop, &[]);
        };
        self.find_spares(set, ui, &counted)?;
        self.first(set, ui, drop, &counted.fates)?;
        let Counted {
            plan,
            fates,
            order,
            copies,
            wanted,
        } = counted;
        let batch = (plan.upload / self.how.rules.volume_size.max(1) / BATCHES).max(BATCH_LEAST);
        let mut copier = Copier::new(&copies, fates, set.tmp())?;
        let mut at = 0;
        let twice = copier
            .fates
            .iter()
            .filter(|f| **f == Fate::DeletedLast)
            .count() as u64;
        if twice > 0 && self.report.deleted == [0; 3] && !order.is_empty() {
            self.may_delete(set, ui, twice)?;
        }
        let ended = |report: &Report| report.left > 0 || report.stopped;
        while at < order.len() && !ended(&self.report) {
            at = self.batch(set, ui, &mut copier, (&order, &wanted), (at, batch))?;
        }
        (self.report.damaged, self.report.plan) = (copier.spared, Some(plan));
        let last: Vec<VolumeNo> = (0u32..)
            .zip(&copier.fates)
            .filter(|(_, fate)| **fate == Fate::DeletedLast)
            .map(|(no, _)| no)
            .collect();
        if last.is_empty() || ended(&self.report) {
            return Ok(());
        }
        let mut writer = self.begin(set)?;
        for no in last {
            self.retire(&mut writer, no)?;
        }
        self.end(writer, ui, List::Keep)
    }

    /// What is stored twice was perhaps left by a run that had no right to delete. Then copies would only pile up: nothing is
    /// rewritten before that right was asked for, and `twice` volumes are left where it is lacking.
    fn may_delete(&mut self, set: &mut Set, ui: &mut Ui, twice: u64) -> Result<()> {
        let mut writer = self.begin(set)?;
        if !writer.may_delete(ui)? {
            self.report.left += twice;
        }
        self.end(writer, ui, List::Keep)
    }

    /// Versions, and the volumes of which nothing is needed.
    fn first(&mut self, set: &mut Set, ui: &mut Ui, drop: &[usize], fates: &[Fate]) -> Result<()> {
        let orphans = match fates.is_empty() {
            true => Vec::new(),
            false => self.find_orphans(set, ui, true)?,
        };
        let gone = fates.contains(&Fate::Deleted);
        if drop.is_empty() && orphans.is_empty() && !gone {
            return Ok(());
        }
        let mut writer = self.begin(set)?;
        for (no, fate) in (0u32..).zip(fates) {
            if *fate == Fate::Deleted {
                self.retire(&mut writer, no)?;
            }
        }
        for no in orphans {
            writer.retire(Retired::Dblock(no))?;
        }
        self.end(writer, ui, List::Drop(drop))
    }

    /// Rewrites volumes from `at` on until so many new ones were sent; where the next batch begins.
    fn batch(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        copier: &mut Copier,
        (order, wanted): (&[VolumeNo], &[(u64, u64)]),
        (mut at, batch): (usize, u64),
    ) -> Result<usize> {
        let mut writer = self.begin(set)?;
        while at < order.len() && writer.stats().dblocks < batch {
            if sys::stops_requested() > 0 {
                self.report.stopped = true;
                writer.set.expect_none();
                return Ok(at);
            }
            ui.progress(
                "rewriting volumes",
                Progress {
                    files: at as u64,
                    files_total: order.len() as u64,
                    ..Progress::default()
                },
            );
            let source = |at: usize| {
                let no = order[at];
                let size = writer.set.volumes().dblock(no).and_then(|(_, size)| size);
                let (wanted, data) = wanted[at];
                Ok::<_, Error>(Source {
                    at: Error::fits(at)?,
                    no,
                    wanted,
                    data,
                    size: size.unwrap_or(0),
                })
            };
            let next = (at + 1..order.len()).find(|&next| wanted[next].0 > 0);
            let (next, source) = (next.map(source).transpose()?, source(at)?);
            copy::expect(&mut writer, ui, source, next)?;
            let no = source.no;
            if copier.copy_from(&mut writer, ui, source)? {
                self.retire(&mut writer, no)?;
            }
            at += 1;
        }
        self.end(writer, ui, List::Keep)?;
        Ok(at)
    }

    fn begin<'s>(&mut self, set: &'s mut Set) -> Result<Writer<'s>> {
        let params = set
            .params()
            .ok_or_else(|| Error::bug("the parameters were learnt"))?;
        let permit = set.permit(false)?;
        let options = WriteOptions {
            params,
            dblock_size: self.how.rules.volume_size,
            level: self.how.level,
            verify_listing: true,
            overlapped: false,
        };
        let mut writer = Writer::begin(set, permit, options)?;
        if let Some(index) = self.index.take() {
            writer.know(index);
        }
        Ok(writer)
    }

    fn end(&mut self, mut writer: Writer<'_>, ui: &mut Ui, list: List<'_>) -> Result<()> {
        let done = writer.commit(ui, list)?;
        let (stats, index) = writer.hand_on()?;
        self.index = index;
        self.report.add(&done);
        self.report.new_dblocks += stats.dblocks;
        self.report.copied_blocks += stats.copied_blocks;
        self.report.uploaded_bytes += stats.stored_bytes;
        match done.disturbed {
            Some(e) => {
                self.report.disturbed = true;
                Err(e)
            }
            None => Ok(()),
        }
    }

    /// A dblock goes with all that describe it.
    fn retire(&self, writer: &mut Writer<'_>, no: VolumeNo) -> Result<()> {
        if let Some(dindex) = writer.described(no) {
            writer.retire(Retired::Dindex(dindex))?;
        }
        let first = self.spares.partition_point(|(of, _)| *of < no);
        for (_, dindex) in self.spares[first..].iter().take_while(|(of, _)| *of == no) {
            writer.retire(Retired::Dindex(*dindex))?;
        }
        writer.retire(Retired::Dblock(no))
    }

    /// Reads the indexes that are the one that counts for no dblock. One that also describes what stays goes all the same: that
    /// has another.
    fn find_spares(&mut self, set: &mut Set, ui: &mut Ui, counted: &Counted) -> Result<()> {
        let Some((places, _)) = &self.index else {
            return Ok(());
        };
        if counted.fates.iter().all(|f| *f == Fate::Kept) {
            return Ok(());
        }
        let mut counts = vec![false; set.volumes().dindex_count()];
        for no in 0..set.volumes().dblock_count() {
            if let Some(i) = places.dindex_of(no)
                && let Some(slot) = counts.get_mut(i as usize)
            {
                *slot = true;
            }
        }
        for (i, _) in (0u32..).zip(counts).filter(|(_, counts)| !counts) {
            match set.described_by(ui, i) {
                Ok(found) => self.spares.extend(found.into_iter().map(|no| (no, i))),
                Err(e) if e.kind().is_of_one_volume() => {
                    ui.warn("unreadable-index", &e.to_string());
                }
                Err(e) => return Err(e),
            }
        }
        self.spares.sort_unstable();
        Ok(())
    }

    /// dblocks that no index names, and of which nothing can be needed: all that is needed was found elsewhere. With `old`
    /// those that are older than the newest version by a day, where the destination tells ages; it costs a request for each.
    fn find_orphans(&mut self, set: &mut Set, ui: &mut Ui, old: bool) -> Result<Vec<VolumeNo>> {
        let mut found: Vec<VolumeNo> = Vec::new();
        let Some((places, report)) = &self.index else {
            return Ok(found);
        };
        // An index that cannot be read may name them.
        if report.unreadable_count > 0 {
            return Ok(found);
        }
        let newest = set.versions().next();
        let mut all = Tally::default();
        for &no in &report.unindexed {
            let Some((name, size)) = set.volumes().dblock(no) else {
                continue;
            };
            let stated = places.expected(no)?;
            if stated.hash.is_some() || stated.size.is_some() {
                continue;
            }
            let size = size.unwrap_or(0);
            if !old {
                all.add(size);
                continue;
            }
            let file = match set.remote().stat(ui, name.as_str()) {
                Err(e) if e.kind() == Kind::Interrupted => return Err(e),
                other => other.ok().flatten(),
            };
            let limit = age_limit(newest, Timestamp::now());
            if file.and_then(|f| f.modified).is_some_and(|at| at < limit) {
                all.add(size);
                found.push(no);
            }
        }
        match old {
            true => self.report.old_orphans = all,
            false => self.report.orphans = all,
        }
        Ok(found)
    }

    fn remember(&mut self, set: &mut Set, before: &crate::base::digest::Hash) -> Result<()> {
        let after = set.state();
        if after != *before {
            set.cache().move_state(before, &after)?;
            set.remember();
        }
        if self.report.plan.is_some() && !self.report.stopped {
            set.cache().store_compacted(Timestamp::now())?;
        }
        match &self.index {
            Some((places, report)) if report.clean() => set.store_index(places),
            _ => Ok(()),
        }
    }
}

/// A dblock without an index that was changed at or after this second (since 1970) may be of a run that is at work: the newest
/// version's time less a day. A version of a time to come says nothing of that.
fn age_limit(newest: Option<Timestamp>, now: Timestamp) -> i64 {
    newest
        .unwrap_or(now)
        .min(now)
        .0
        .saturating_sub(ORPHAN_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_today_are_young_whatever_the_versions_say() {
        let (day, now) = (ORPHAN_SECONDS, Timestamp(1_000_000));
        assert_eq!(age_limit(None, now), 1_000_000 - day);
        assert_eq!(age_limit(Some(Timestamp(900_000)), now), 900_000 - day);
        assert_eq!(age_limit(Some(Timestamp(9_000_000)), now), 1_000_000 - day);
        assert_eq!(age_limit(Some(Timestamp(i64::MIN)), now), i64::MIN);
    }
}
