//! Dblocks byte by byte against their index, and which blocks are lost by what is wrong there.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Progress;
use crate::format::names::VolumeName;
use crate::set::{BlockIndex, Expected, Place, Proof, Share, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::{Sorter, Stream};
use crate::upkeep::verify::lists::Lists;
use crate::upkeep::verify::orphans::Doubt;
use crate::upkeep::verify::resized::Resized;
use crate::upkeep::verify::{
    Amount, Checking, FINDINGS_AT_MOST, Status, UNINDEXED_AT_MOST, VerifyReport, disagreement,
    indexes, sample, status_of,
};

const SORT_CAP: usize = 2 << 20;

/// The volume checks of one run.
pub(super) struct Volumes {
    tmp: Tmp,
    /// Places (key, number) whose block is not there or not intact.
    bad: Sorter,
    /// dblocks already found to have another size than their index states.
    resized: Resized,
    /// What is wrong with dblocks that no index describes: findings only if something needs them.
    doubtful: Vec<Doubt>,
}

/// What the entries of a dblock told.
#[derive(Default)]
struct Counts {
    intact: u64,
    damaged: u64,
    missing: u64,
    extra: u64,
    /// Of the damaged and missing those that the index lists.
    lost: u64,
}

impl Volumes {
    pub(super) fn new(tmp: &Tmp, resized: Resized) -> Volumes {
        Volumes {
            tmp: tmp.clone(),
            bad: Sorter::new(tmp, SORT_CAP),
            resized,
            doubtful: Vec::new(),
        }
    }

    /// Downloads the sample's index volumes that were not `read` yet, and compares each with what is known of its dblock.
    pub(super) fn dindexes(
        &self,
        run: &mut Checking<'_>,
        read: &mut [bool],
        places: &BlockIndex,
        lists: &mut Lists,
    ) -> Result<()> {
        let Checking {
            set,
            ui,
            options,
            report,
        } = run;
        let picked = sample::choose(options.amount, options.turn, read.len(), &mut |i| {
            name_of(set.volumes().dindex(i))
        });
        for (i, _) in picked.iter().enumerate().filter(|(_, p)| **p) {
            if !std::mem::replace(&mut read[i], true) {
                let all = options.amount == Amount::All;
                indexes::dindex(set, ui, i, all, places, lists, report)?;
            }
        }
        Ok(())
    }

    /// Downloads the sample's dblocks and those without an index.
    pub(super) fn dblocks(
        &mut self,
        run: &mut Checking<'_>,
        unindexed: &[VolumeNo],
        places: &mut BlockIndex,
    ) -> Result<()> {
        let Checking {
            set,
            ui,
            options,
            report,
        } = &mut *run;
        let count = set.volumes().dblock_count() as usize;
        let mut picked = if options.dblocks {
            sample::choose(options.amount, options.turn, count, &mut |i| {
                name_of(
                    u32::try_from(i)
                        .ok()
                        .and_then(|no| set.volumes().dblock(no)),
                )
            })
        } else {
            vec![false; count]
        };
        let any_index = set.volumes().dindex_count() > 0;
        if !any_index && count > 0 {
            ui.note("there are no index volumes; blocks are looked up in the dblocks themselves");
        }
        let open_all = unindexed.len() <= UNINDEXED_AT_MOST;
        for &no in unindexed {
            if let Some(mark) = picked.get_mut(no as usize) {
                *mark |= open_all;
                report.unindexed_unread += u64::from(!*mark);
            }
        }
        let total = picked.iter().filter(|p| **p).count() as u64;
        if total == 0 {
            return Ok(());
        }
        let stated = std::mem::replace(&mut self.resized.blocks, Sorter::new(&self.tmp, 1 << 10));
        let mut expected = by_volume(places, &picked, stated)?;
        let mut head = expected.next()?.map(<[u8]>::to_vec);
        let mut found = Sorter::new(&self.tmp, SORT_CAP);
        let numbers = (0..).zip(&picked).filter(|(_, picked)| **picked);
        let mut numbers = numbers.map(|(no, _)| no).enumerate().peekable();
        while let Some((done, no)) = numbers.next() {
            let progress = Progress {
                files: done as u64,
                files_total: total,
                ..Progress::default()
            };
            run.ui.progress("checking volumes", progress);
            let mut wanted = Wanted {
                no,
                stream: &mut expected,
                head: &mut head,
            };
            let indexed = places.dindex_of(no).is_some();
            let facts = places.expected(no)?;
            let next = numbers.peek().map(|&(_, next)| {
                let expected = places.expected(next)?;
                Ok::<_, Error>((next, expected, Share::All))
            });
            run.set.expect(no, next.transpose()?);
            self.dblock(run, facts, indexed, &mut wanted, &mut found)?;
            while wanted.next()?.is_some() {}
        }
        places.add(found, &self.tmp)
    }

    fn dblock(
        &mut self,
        run: &mut Checking<'_>,
        facts: Expected,
        indexed: bool,
        wanted: &mut Wanted<'_>,
        found: &mut Sorter,
    ) -> Result<()> {
        let Checking {
            set,
            ui,
            report,
            options,
        } = run;
        let Some((name, _)) = set.volumes().dblock(wanted.no) else {
            return Ok(());
        };
        let resized = self.is_resized(wanted.no);
        let orphan = !indexed && !resized;
        let mut shelf = match set.shelf(ui, wanted.no, facts, Share::All) {
            Ok(shelf) => shelf,
            Err(e) if orphan && e.kind().is_of_one_volume() => {
                self.doubt(wanted.no, status_of(&e), e.cause());
                return Ok(());
            }
            Err(e) if e.kind().is_of_one_volume() => {
                let mut blocks = 0u64;
                while let Some(key) = wanted.next()? {
                    blocks += 1;
                    self.add_bad(&key, wanted.no)?;
                }
                let meaning = if orphan {
                    "no block can be read from it".to_owned()
                } else {
                    format!("its {} cannot be read", text::count(blocks, "block"))
                };
                report.unreadable(&name, &e, &meaning);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let mut actual = Sorter::new(&self.tmp, SORT_CAP);
        let mut foreign = None;
        let mut record = [0; BlockKey::LEN + 1];
        let walked = shelf.prove(&mut |key, proof| {
            set.look_ahead(ui);
            report.blocks_hashed += 1;
            if let Proof::Foreign(why) = proof {
                foreign.get_or_insert_with(|| why.to_owned());
            }
            record[..BlockKey::LEN].copy_from_slice(key.as_bytes());
            record[BlockKey::LEN] = u8::from(proof != Proof::Intact);
            actual.add(&record)
        });
        let read = walked.is_ok();
        match walked {
            Ok(()) => report.dblocks += 1,
            Err(e) if orphan && e.kind().is_of_one_volume() => {
                self.doubt(wanted.no, status_of(&e), e.cause());
            }
            Err(e) if e.kind().is_of_one_volume() => {
                report.unreadable(&name, &e, "blocks after that point cannot be read");
            }
            Err(e) => return Err(e),
        }
        let flaw = shelf.flaw();
        let counts = self.compare(actual.finish()?, indexed, flaw.is_some(), wanted, found)?;
        if let Some(flaw) = flaw {
            let lost = match counts.lost {
                0 => "none".to_owned(),
                lost => lost.to_string(),
            };
            let why = foreign.map_or_else(String::new, |why| format!(" (not read: {why})"));
            let what = match orphan {
                true => flaw.to_owned(),
                false => format!(
                    "{flaw}; blocks lost in it: {lost} of {}{why}",
                    counts.intact + counts.lost
                ),
            };
            self.tell(report, (orphan, wanted.no, &name), Status::Modified, what);
            return Ok(());
        }
        let damage = [
            match foreign {
                Some(why) => (counts.damaged, Status::Error, format!("not read: {why}")),
                None => (counts.damaged, Status::Modified, "damaged".to_owned()),
            },
            (
                counts.missing,
                Status::Modified,
                "missing although its index lists them".to_owned(),
            ),
            (counts.extra, Status::Extra, "not in its index".to_owned()),
        ];
        for (n, status, what) in damage {
            if n > 0 {
                let what = format!("{} in it: {what}", text::count(n, "block"));
                self.tell(report, (orphan, wanted.no, &name), status, what);
            }
        }
        let sound = read && counts.damaged + counts.missing + counts.extra == 0;
        if sound
            && options.amount == Amount::All
            && let Some((status, what)) = disagreement(shelf.zip(), false)?
        {
            self.tell(report, (orphan, wanted.no, &name), status, what);
        }
        Ok(())
    }

    /// A finding, or of a volume that no index describes a doubt.
    fn tell(
        &mut self,
        report: &mut VerifyReport,
        (orphan, no, name): (bool, VolumeNo, &VolumeName),
        status: Status,
        what: String,
    ) {
        match orphan {
            true => self.doubt(no, status, &what),
            false => report.find(name, status, what),
        }
    }

    /// A merge of what a dblock holds with what its index says. Without an index that counts what is intact becomes a place.
    /// A `flawed` volume may show a block more than once, of which the intact one counts, and blocks that nobody stored.
    fn compare(
        &mut self,
        mut actual: Stream,
        indexed: bool,
        flawed: bool,
        wanted: &mut Wanted<'_>,
        found: &mut Sorter,
    ) -> Result<Counts> {
        let mut counts = Counts::default();
        let no = wanted.no;
        let mut want = wanted.next()?;
        let mut before = None;
        while let Some(record) = actual.next()? {
            let (Some(have), intact) = (BlockKey::from_record(record), record.last() == Some(&0))
            else {
                continue;
            };
            if before.replace(have) == Some(have) && flawed {
                continue;
            }
            while let Some(key) = want.filter(|w| *w < have) {
                counts.missing += 1;
                counts.lost += 1;
                self.add_bad(&key, no)?;
                want = wanted.next()?;
            }
            counts.intact += u64::from(intact);
            let listed = want == Some(have);
            if listed {
                want = wanted.next()?;
            }
            match (intact, listed) {
                (true, true) if indexed => {}
                (true, false) if indexed => counts.extra += 1,
                (true, _) => found.add(&Place { key: have, no }.encode())?,
                (false, _) => {
                    counts.damaged += 1;
                    if listed {
                        counts.lost += 1;
                        self.add_bad(&have, no)?;
                    }
                }
            }
        }
        while let Some(key) = want {
            counts.missing += 1;
            counts.lost += 1;
            self.add_bad(&key, no)?;
            want = wanted.next()?;
        }
        Ok(counts)
    }

    fn add_bad(&mut self, key: &BlockKey, no: VolumeNo) -> Result<()> {
        self.bad.add(&Place { key: *key, no }.encode())
    }

    /// True for a dblock of another size than its index says.
    pub(super) fn is_resized(&self, no: VolumeNo) -> bool {
        self.resized.numbers.contains(&no)
    }

    fn doubt(&mut self, no: VolumeNo, status: Status, what: &str) {
        if self.doubtful.len() < FINDINGS_AT_MOST {
            let what = what.to_owned();
            self.doubtful.push(Doubt { no, status, what });
        }
    }

    /// The doubts so far, which are told no more.
    pub(super) fn take_doubts(&mut self) -> Vec<Doubt> {
        std::mem::take(&mut self.doubtful)
    }

    /// Ids (keys of size 0) of which every place is bad.
    pub(super) fn lost(self, places: &mut BlockIndex, report: &mut VerifyReport) -> Result<Keyset> {
        let mut lost = Keyset::new(&self.tmp);
        let mut bad = self.bad.finish()?;
        let mut same: Vec<(VolumeNo, u32)> = Vec::new();
        let mut id: Option<Hash> = None;
        loop {
            let next = bad.next()?.and_then(|r| {
                let place = Place::decode(r)?;
                Some((
                    Hash::from_bytes(&place.key.id())?,
                    place.no,
                    place.key.size(),
                ))
            });
            if next.as_ref().map(|n| n.0) != id
                && let Some(id) = id
            {
                let all = places.find_id(&id)?;
                if all.iter().all(|place| same.contains(place)) {
                    report.lost_blocks += 1;
                    lost.insert(&BlockKey::new(&id, 0))?;
                } else {
                    report.spared_blocks += 1;
                }
                same.clear();
            }
            let Some((next, no, size)) = next else {
                return Ok(lost);
            };
            id = Some(next);
            same.push((no, size));
        }
    }
}

/// The index's blocks of the dblocks in turn, in key order.
struct Wanted<'a> {
    no: VolumeNo,
    stream: &'a mut Stream,
    head: &'a mut Option<Vec<u8>>,
}

impl Wanted<'_> {
    /// The next block of this dblock, each once.
    fn next(&mut self) -> Result<Option<BlockKey>> {
        let number = self.no.to_be_bytes();
        let Some(record) = self.head.take_if(|h| h.starts_with(&number)) else {
            return Ok(None);
        };
        while let Some(next) = self.stream.next()? {
            if next != record {
                *self.head = Some(next.to_vec());
                break;
            }
        }
        Ok(Place::decode_by_volume(&record).map(|(place, _)| place.key))
    }
}

/// All places in the marked volumes, by volume, beside those that are in the sorter already.
fn by_volume(places: &BlockIndex, picked: &[bool], mut sorter: Sorter) -> Result<Stream> {
    let mut reader = places.reader()?;
    while let Some(place) = reader.next()? {
        if picked.get(place.no as usize) == Some(&true) {
            sorter.add(&place.encode_by_volume())?;
        }
    }
    sorter.finish()
}

fn name_of(volume: Option<(VolumeName, Option<u64>)>) -> String {
    volume.map_or_else(String::new, |(name, _)| name.as_str().to_owned())
}
