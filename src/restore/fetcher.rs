//! Volumes, each fetched once, and their blocks written to every file that wants them.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::restore::begun::{Visits, order_key};
use crate::restore::finish::Finish;
use crate::restore::obey;
use crate::restore::options::{Partial, Reading};
use crate::restore::plan::{Plan, planned, want};
use crate::restore::told::Bits;
use crate::restore::upcoming::{Upcoming, next};
use crate::set::{BlockIndex, Expected, Goal, Set, Share, Shelf, VolumeNo};
use crate::spill::run::RunReader;
use crate::spill::sorter::Sorter;

/// Receives what the volumes give.
pub(super) struct Fetcher<'a> {
    /// What gives files their names, once they are whole.
    pub(super) finish: Finish<'a>,
    /// Metadata: order key, offset, bytes.
    pub(super) metas: Sorter,
    /// Goals that could not be reached: order key, then 0 for content, 1 for metadata, `UNWRITTEN`.
    pub(super) bad: Sorter,
    /// Goals to try again with another volume: key, goal.
    pub(super) again: Sorter,
    pub(super) failed: Vec<bool>,
    /// How volumes are read; `None`: in parts where little is wanted.
    pub(super) reading: Option<Reading>,
    pub(super) progress: Progress,
    pub(super) visits: Visits,
    pub(super) block: Vec<u8>,
    pub(super) volumes: u64,
    /// Records of the plan under way that need no more.
    done: u64,
    /// Everything that was planned was delivered or is in `bad`.
    pub(super) settled: bool,
    /// Volumes that no index describes, and that were not looked into.
    pub(super) unindexed: Vec<VolumeNo>,
    /// Targets that could not be written, which was told.
    pub(super) unwritten: Bits,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(finish: Finish<'a>, set: &Set) -> Fetcher<'a> {
        let tmp = set.tmp();
        Fetcher {
            finish,
            metas: Sorter::new(tmp, 1 << 20),
            bad: Sorter::new(tmp, 1 << 18),
            again: Sorter::new(tmp, 1 << 18),
            reading: None,
            failed: vec![false; set.volumes().dblock_count() as usize],
            progress: Progress::default(),
            visits: Visits::default(),
            block: Vec::new(),
            volumes: 0,
            done: 0,
            settled: false,
            unindexed: Vec::new(),
            unwritten: Bits::default(),
        }
    }

    /// Fetches the volumes of a plan one after the other.
    pub(super) fn run(
        &mut self,
        set: &mut Set,
        places: &BlockIndex,
        plan: &Plan,
        ui: &mut Ui,
    ) -> Result<()> {
        self.done = 0;
        let mut reader = plan.run.reader();
        let mut head = next(&mut reader)?;
        let mut ahead = Upcoming::new(plan)?;
        while let Some(first) = head.clone() {
            obey()?;
            let no = planned(&first)?.0.no;
            let (name, _) = set
                .volumes()
                .dblock(no)
                .ok_or_else(|| Error::bug("a planned volume is listed"))?;
            ui.verbose(&format!("reading {}", text::safe(name.as_str().as_bytes())));
            ui.progress_at("restore", self.progress, name.as_str().as_bytes());
            let keys = ahead.keys(no)?;
            let expected = places.expected(no)?;
            if set.looks_ahead() {
                let next = ahead.after()?.map(|(next, keys)| {
                    let share = keys.as_ref().map_or(Share::All, |keys| self.share(keys));
                    Ok((next, places.expected(next)?, share))
                });
                set.expect(no, next.transpose()?);
            }
            let shelf = match self.parts(set, ui, no, expected, keys)? {
                Some(shelf) => Ok(shelf),
                None => set.shelf_of_blocks(ui, no, expected),
            };
            let shelf = match shelf {
                Ok(shelf) => Some(shelf),
                // Other volumes may have its blocks; those that none has make their files incomplete.
                Err(e) if e.kind().is_volume_or_key() => {
                    match places.is_of_version() {
                        // It may be gone with good reason.
                        true => ui.verbose(&e.to_string()),
                        false => ui.warn("damaged-dblock", &e.to_string()),
                    }
                    if let Some(slot) = self.failed.get_mut(no as usize) {
                        *slot = true;
                    }
                    None
                }
                Err(e) => return Err(e),
            };
            self.volumes += 1;
            match shelf {
                Some(shelf) => {
                    let sure = !places.is_of_version();
                    let which = (no, expected, sure);
                    self.volume(set, shelf, which, (&mut reader, &mut head), ui)?;
                }
                None => {
                    while let Some(record) = head.take() {
                        let (place, goal) = planned(&record)?;
                        if place.no != no {
                            head = Some(record);
                            break;
                        }
                        self.try_again(&place.key, goal)?;
                        self.done += 1;
                        head = next(&mut reader)?;
                    }
                }
            }
        }
        set.expect_none();
        self.visits.close();
        Ok(())
    }

    /// How much of a volume these blocks are.
    fn share(&self, keys: &[BlockKey]) -> Share {
        let partial = self.reading.map_or(Partial::Auto, |r| r.partial);
        partial.share(keys.iter().map(|k| u64::from(k.size())).sum())
    }

    /// A volume of which little is wanted, with that of it which is wanted; `None` where all of it is to be fetched: because
    /// much is wanted, the server sends whole files only, or what came is not all intact, and the whole may tell more.
    fn parts(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        no: VolumeNo,
        expected: Expected,
        keys: Option<Vec<BlockKey>>,
    ) -> Result<Option<Shelf>> {
        let Some(keys) = keys else {
            return Ok(None);
        };
        let Some(mut shelf) = set.parts_of(ui, no, expected, self.share(&keys))? else {
            return Ok(None);
        };
        match shelf.fetch(set, ui, &keys) {
            Ok(()) => {}
            // It is tried once more as a whole, and then that is told.
            Err(e) if e.kind().is_volume_or_key() => return Ok(None),
            Err(e) => return Err(e),
        }
        for key in &keys {
            obey()?;
            if !shelf.block(key, &mut self.block)? {
                return Ok(None);
            }
        }
        Ok(Some(shelf))
    }

    /// All wanted blocks of one volume; `sure`: an index says that they are in it.
    fn volume(
        &mut self,
        set: &mut Set,
        mut shelf: Shelf,
        (no, expected, sure): (VolumeNo, Expected, bool),
        (reader, head): (&mut RunReader, &mut Option<Vec<u8>>),
        ui: &mut Ui,
    ) -> Result<()> {
        let mut wanted = 0u64;
        let mut damaged = 0u64;
        let mut anew = false;
        while let Some(record) = head.take() {
            let (place, _) = planned(&record)?;
            if place.no != no {
                *head = Some(record);
                break;
            }
            obey()?;
            set.look_ahead(ui);
            let key = place.key;
            let mut group = vec![record];
            let mut failed = false;
            let mut good = shelf.block(&key, &mut self.block)?;
            if !good
                && !std::mem::replace(&mut anew, true)
                && let Some(whole) = set.shelf_anew(ui, (no, &shelf), expected)?
            {
                shelf = whole;
                good = shelf.block(&key, &mut self.block)?;
            }
            wanted += 1;
            // One block goes to all its places while it is in memory; the places are not collected.
            while let Some(record) = group.pop() {
                let (_, goal) = planned(&record)?;
                if good {
                    self.deliver(goal, ui)?;
                } else {
                    failed = true;
                    self.try_again(&key, goal)?;
                }
                self.done += 1;
                match next(reader)? {
                    Some(more) if planned(&more)?.0 == place => group.push(more),
                    other => *head = other,
                }
            }
            damaged += u64::from(failed);
        }
        if damaged > 0
            && let Some(slot) = self.failed.get_mut(no as usize)
        {
            *slot = true;
        }
        if damaged > 0 && !sure {
            let name = text::safe(shelf.name().as_str().as_bytes());
            ui.verbose(&format!("volume {name} lacks or spoils blocks"));
        } else if damaged > 0 || shelf.flaw().is_some() {
            let name = text::safe(shelf.name().as_str().as_bytes());
            let why = shelf
                .why()
                .map_or_else(String::new, |why| format!(" ({why})"));
            ui.warn(
                "damaged-dblock",
                &match damaged {
                    0 => format!("volume {name} is damaged{why}; what is needed of it is whole"),
                    _ => format!(
                        "volume {name} is damaged{why}; of {} needed it lacks or spoils {damaged}",
                        text::count(wanted, "block"),
                    ),
                },
            );
        }
        Ok(())
    }

    fn try_again(&mut self, key: &BlockKey, goal: Goal) -> Result<()> {
        self.again.add(&want(key, goal))
    }

    /// After a plan that ended early: spoils what it had still to bring.
    pub(super) fn abandon(&mut self, plan: &Plan) -> Result<()> {
        self.visits.close();
        let mut reader = plan.run.reader();
        let mut at = 0u64;
        while let Some(record) = reader.next()? {
            at += 1;
            if at > self.done {
                let (_, goal) = planned(record)?;
                self.spoil(goal.target, goal.meta)?;
            }
        }
        Ok(())
    }

    /// Remembers that a target lacks content or metadata.
    pub(super) fn spoil(&mut self, no: u64, meta: bool) -> Result<()> {
        self.remember(no, u8::from(meta))
    }

    pub(super) fn remember(&mut self, no: u64, what: u8) -> Result<()> {
        let mut record = order_key(&self.finish.targets.get(no)?.record.entry, no).to_vec();
        record.push(what);
        self.bad.add(&record)
    }
}
