//! The end of a run that adds and takes away, in the one order that leaves a whole backup after every step: new dblocks and
//! their dindexes, new dlists, one listing that shows all of them; then old dlists, old dindexes, old dblocks; a last listing.

use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::{Edited, Entry, Fate};
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::{RemoteMut, Removal};
use crate::set::BlockIndex;
use crate::spill::run::{Run, RunWriter};
use crate::writer::retired::{Retired, each_of};
use crate::writer::{Writer, list};

/// Volumes that could not be deleted and are named; the rest is counted.
pub(super) const NAMED_AT_MOST: u64 = 5;
/// After so many failures in a row the destination is taken to be out of order, and nothing more is tried.
const FAILURES_AT_MOST: u64 = 20;

/// A version to be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// Its number in the listing, 0 = newest.
    pub(crate) old: usize,
    /// The time that the new one gets. The caller has made sure that it is free, and in the old one's place among the others.
    pub(crate) time: Timestamp,
}

/// Decides for every entry of a version (its number in the listing) that is written again. The entry is as it is stored: the
/// path of a link may end with a separator (R14).
pub(crate) type Judge<'j> = dyn FnMut(usize, &Entry) -> Result<Fate> + 'j;

/// What happens to versions.
pub(crate) enum List<'l> {
    /// A version is added: records sorted by path, its time, whether it is complete. It gets a later second when another
    /// program has this one.
    New {
        run: &'l Run,
        time: Timestamp,
        full: bool,
    },
    /// Versions are written again, oldest first, and the old ones deleted. Whether they are complete, and all that is not
    /// understood in them, stays.
    Rewrite {
        versions: &'l [Rewrite],
        judge: &'l mut Judge<'l>,
    },
    /// They stay as they are.
    Keep,
    /// These are deleted: numbers in the listing.
    Drop(&'l [usize]),
}

/// What a commit did. In a dry run: what it would have done.
#[derive(Default)]
pub(crate) struct Committed {
    /// New dlists and their sizes in bytes (0 in a dry run).
    pub(crate) lists: Vec<(VolumeName, u64)>,
    /// Entries of rewritten versions.
    pub(crate) entries: Edited,
    /// Deleted dlists, dindexes, dblocks.
    pub(crate) deleted: [u64; 3],
    /// Their sizes together, as far as the listing states them.
    pub(crate) deleted_bytes: u64,
    /// Volumes that should have gone and are there still.
    pub(crate) left: u64,
    /// Those of them that are protected from deletion.
    pub(crate) locked: u64,
    /// A signal ended it between two steps.
    pub(crate) stopped: bool,
    /// Another program wrote or deleted meanwhile, or nobody can say: what is counted here was done, and the command fails.
    pub(crate) disturbed: Option<Error>,
}

/// How deletions go.
#[derive(Default)]
struct Down {
    /// A version that should have gone is there: what it needs has to stay.
    version_stays: bool,
    /// dindexes that are there still: their dblocks have to stay.
    held: Vec<u32>,
    /// By number: whether a dindex is the one that counts for a dblock. Made when the first one stays.
    counts: Option<Vec<bool>>,
    /// One that counts for none is there still: it may describe any dblock.
    spare_stays: bool,
    /// Failures told by name, and without a success between them.
    told: u64,
    in_a_row: u64,
    /// Nothing more is tried.
    ended: bool,
}

impl Writer<'_> {
    /// Remembers a volume that the next commit deletes. The caller has stored again what is still needed of it; a dblock goes
    /// with all dindexes that describe it.
    pub(crate) fn retire(&mut self, volume: Retired) -> Result<()> {
        self.retired.add(volume)
    }

    /// Uploads everything that is open, does `list`, and deletes what was retired. Deletes nothing unless one listing shows all
    /// that was there and all that was sent, by name and size, and nothing else. What cannot be deleted is told as a warning
    /// and stays; `Err` only for what fails before that. A last listing tells what other programs did meanwhile: see
    /// [`Committed::disturbed`].
    ///
    /// A stop ends it between two steps. Costs two listings, and a request for every volume.
    pub(crate) fn commit(&mut self, ui: &mut Ui, list: List<'_>) -> Result<Committed> {
        self.step(|writer| {
            let mut done = Committed::default();
            let stopped = sys::stops_requested() > 0;
            let rewritten = matches!(list, List::Rewrite { .. });
            match list {
                List::New { run, time, full } => {
                    let placed = writer.publish(ui, run, time, full)?;
                    done.lists.push(placed);
                    done.note(writer.still_has_all(ui));
                }
                List::Rewrite { versions, judge } => {
                    writer.send_pack(ui)?;
                    writer.rewrite(ui, versions, judge, &mut done)?;
                }
                List::Keep => writer.send_pack(ui)?,
                List::Drop(versions) => {
                    writer.send_pack(ui)?;
                    for &no in versions {
                        writer.retired.add(Retired::Dlist(no))?;
                    }
                }
            }
            done.stopped |= stopped;
            // Versions that were written again replace the old ones; nothing else goes after a stop.
            if done.disturbed.is_none() && (!done.stopped || rewritten && !done.lists.is_empty()) {
                writer.take_down(ui, &mut done)?;
            }
            Ok(done)
        })
    }

    fn rewrite(
        &mut self,
        ui: &mut Ui,
        versions: &[Rewrite],
        judge: &mut Judge<'_>,
        done: &mut Committed,
    ) -> Result<()> {
        let mut versions = versions.to_vec();
        versions.sort_unstable_by_key(|v| std::cmp::Reverse(v.old));
        for version in versions {
            if sys::stops_requested() > 0 {
                done.stopped = true;
                break;
            }
            let name = VolumeName::list(self.set.prefix(), version.time, self.set.encrypts())?;
            let (mut stored, digests, size, edited) = self.edited(ui, version, judge)?;
            for (sum, n) in [
                (&mut done.entries.kept, edited.kept),
                (&mut done.entries.dropped, edited.dropped),
                (&mut done.entries.replaced, edited.replaced),
            ] {
                *sum += n;
            }
            if self.is_dry() {
                ui.result(&format!("would upload {}", name.as_str()));
                done.lists.push((name, 0));
            } else {
                self.put(ui, &name, &mut stored, &digests, size)?;
                self.lists.push((name.clone(), size));
                done.lists.push((name, size));
            }
            self.retired.add(Retired::Dlist(version.old))?;
        }
        Ok(())
    }

    fn edited(
        &mut self,
        ui: &mut Ui,
        version: Rewrite,
        judge: &mut Judge<'_>,
    ) -> Result<list::Rewritten> {
        let tmp = self.set.tmp().clone();
        let same = self.options.params.block_hash == self.options.params.file_hash;
        let mut zip = list::begin(self.set.seal()?, &tmp)?;
        let deflater = &mut self.deflater;
        let mut edited = Edited::default();
        let own = self
            .set
            .dlist(version.old)
            .and_then(|(name, _)| name.time());
        let own = own.ok_or_else(|| Error::bug("a version that is written again is listed"))?;
        self.set.stored_list(ui, version.old, &mut |set, old| {
            let mut judge = |entry: &Entry| judge(version.old, entry);
            let kit = list::Kit {
                deflater: &mut *deflater,
                tmp: &tmp,
                same,
                time: version.time,
                old: own,
            };
            edited = list::copy(old, &mut zip, kit, &mut |id| set.row(id), &mut judge)?;
            Ok(())
        })?;
        let (stored, digests, size) = zip.finish()?.finish()?;
        Ok((stored, digests, size, edited))
    }

    fn take_down(&mut self, ui: &mut Ui, done: &mut Committed) -> Result<()> {
        if self.retired.is_empty() {
            return Ok(());
        }
        if !self.gone.is_empty() {
            return Err(Error::bug("a writer deletes once"));
        }
        let tmp = self.set.tmp().clone();
        let run = self.retired.take(&tmp)?;
        if self.is_dry() {
            return each_of(&run, &mut |volume| {
                if let Some((name, size)) = volume.named(self.set) {
                    ui.result(&format!(
                        "would delete {}",
                        text::safe(name.as_str().as_bytes())
                    ));
                    done.count(volume, size);
                }
                Ok(())
            });
        }
        if let Err(e) = self.check_listing(ui, true) {
            done.left += run.len();
            let olds = text::count(run.len(), "old volume");
            done.note(Err(e.doing(format!("delete {olds}"))));
            return Ok(());
        }
        let mut gone = RunWriter::new(&tmp);
        // Versions that were to be written again and were not need all volumes.
        let mut down = Down {
            version_stays: done.stopped,
            ..Down::default()
        };
        let stops = sys::stops_requested();
        each_of(&run, &mut |volume| {
            if sys::stops_requested() > stops {
                done.stopped = true;
                down.ended = true;
            }
            if down.ended || self.must_stay(&down, volume) {
                done.left += 1;
                return Ok(());
            }
            let Some((name, size)) = volume.named(self.set) else {
                return Ok(());
            };
            match self.remove(ui, &name) {
                Ok(Removal::Gone) => {
                    down.in_a_row = 0;
                    done.count(volume, size);
                    gone.push(&volume.encode()?)?;
                }
                Ok(stays) => {
                    self.note_spare(&mut down, volume);
                    down.stays(volume, stays, done, ui);
                }
                Err(e) if e.kind() == Kind::Interrupted => {
                    done.stopped = true;
                    done.left += 1;
                    down.ended = true;
                }
                Err(e) => {
                    self.note_spare(&mut down, volume);
                    down.stays(volume, Removal::Failed(e), done, ui);
                }
            }
            Ok(())
        })?;
        down.tell(done, ui);
        self.gone = gone.finish()?;
        if !self.gone.is_empty() {
            done.note(self.was_alone(ui, &run));
        }
        Ok(())
    }

    /// Asks the destination to delete a volume that cannot be there. False, and the warning that deletions would get, when the
    /// right to delete is lacking; true also where nothing shows it. Costs a request.
    pub(crate) fn may_delete(&mut self, ui: &mut Ui) -> Result<bool> {
        let prefix = self.set.prefix();
        let none = VolumeName::block(prefix, VolumeKind::Dblock, self.set.encrypts())?;
        match self.remove(ui, &none)? {
            denied @ Removal::Denied(_) => {
                let mut ignored = (Down::default(), Committed::default());
                ignored
                    .0
                    .stays(Retired::Dblock(0), denied, &mut ignored.1, ui);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn remove(&mut self, ui: &mut Ui, name: &VolumeName) -> Result<Removal> {
        let permit = self
            .permit
            .as_ref()
            .ok_or_else(|| Error::bug("a dry run deletes nothing"))?;
        ui.verbose(&format!(
            "deleting {}",
            text::safe(name.as_str().as_bytes())
        ));
        RemoteMut::new(self.set.remote(), permit).remove(ui, name.as_str())
    }

    /// Of a dindex that stays: whether it is a further one beside that which counts.
    fn note_spare(&self, down: &mut Down, volume: Retired) {
        let Retired::Dindex(no) = volume else {
            return;
        };
        let volumes = self.set.volumes();
        let counts = down.counts.get_or_insert_with(|| {
            let mut counts = vec![false; volumes.dindex_count()];
            let described = |no| {
                self.index
                    .as_ref()
                    .and_then(|(places, _)| places.dindex_of(no))
            };
            for i in (0..volumes.dblock_count()).filter_map(described) {
                if let Some(counts) = counts.get_mut(i as usize) {
                    *counts = true;
                }
            }
            counts
        });
        down.spare_stays |= counts.get(no as usize) != Some(&true);
    }

    /// True when something that is there still refers to the volume.
    fn must_stay(&self, down: &Down, volume: Retired) -> bool {
        match volume {
            Retired::Dlist(_) => false,
            Retired::Dindex(_) => down.version_stays,
            Retired::Dblock(no) => {
                let described_by = |places: &BlockIndex| places.dindex_of(no);
                down.version_stays
                    || down.spare_stays
                    || !down.held.is_empty()
                        && match &self.index {
                            Some((places, _)) => {
                                described_by(places).is_some_and(|i| down.held.contains(&i))
                            }
                            None => true,
                        }
            }
        }
    }
}

impl Committed {
    /// What a look at the listing found.
    fn note(&mut self, look: Result<()>) {
        match look {
            Ok(()) => {}
            Err(e) if e.kind() == Kind::Interrupted => self.stopped = true,
            Err(e) => self.disturbed = Some(e),
        }
    }

    fn count(&mut self, volume: Retired, size: Option<u64>) {
        let kind = match volume {
            Retired::Dlist(_) => 0,
            Retired::Dindex(_) => 1,
            Retired::Dblock(_) => 2,
        };
        self.deleted[kind] += 1;
        self.deleted_bytes += size.unwrap_or(0);
    }
}

impl Down {
    fn stays(&mut self, volume: Retired, why: Removal, done: &mut Committed, ui: &mut Ui) {
        done.left += 1;
        match volume {
            Retired::Dlist(_) => self.version_stays = true,
            Retired::Dindex(no) => self.held.push(no),
            Retired::Dblock(_) => {}
        }
        match why {
            Removal::Gone => {}
            Removal::Locked(e) => {
                done.locked += 1;
                ui.verbose(&e.to_string());
            }
            Removal::Denied(e) => {
                self.ended = true;
                ui.warn(
                    "no-right-to-delete",
                    &format!(
                        "old volumes stay, because the right to delete files is lacking: {} (delete with another key from time to time)",
                        e.cause()
                    ),
                );
            }
            Removal::ReadOnly(e) => {
                self.ended = true;
                ui.warn(
                    "read-only",
                    &format!(
                        "old volumes stay, because nothing can be deleted there: {}",
                        e.cause()
                    ),
                );
            }
            Removal::Failed(e) => {
                self.told += 1;
                self.in_a_row += 1;
                if self.told <= NAMED_AT_MOST {
                    ui.warn("not-deleted", &e.to_string());
                }
                self.ended |= self.in_a_row >= FAILURES_AT_MOST;
            }
        }
    }

    fn tell(&self, done: &Committed, ui: &mut Ui) {
        if done.locked > 0 {
            ui.note(&format!(
                "{} protected from deletion at the destination and left as {}",
                text::count(done.locked, "old volume")
                    + if done.locked == 1 { " is" } else { " are" },
                if done.locked == 1 {
                    "it is"
                } else {
                    "they are"
                },
            ));
        }
        if self.told > 0 {
            ui.warn(
                "not-deleted",
                &format!(
                    "{} could not be deleted, or must stay because of another; the next run tries again",
                    text::count(done.left - done.locked, "old volume")
                ),
            );
        }
    }
}

#[cfg(test)]
#[path = "commit_tests.rs"]
mod tests;
