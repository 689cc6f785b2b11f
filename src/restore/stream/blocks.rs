//! Blocks in the order in which they are wanted. Volumes that were fetched stay on disk as long as there is room for them, and a
//! look at what comes next decides how much of a volume is fetched and which one goes first.

use std::collections::VecDeque;

use crate::base::bytes::Cursor;
use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::restore::options::Reading;
use crate::restore::{obey, read_index, scan};
use crate::set::{BlockIndex, Goal, Search, Set, Share, Shelf, VolumeNo};
use crate::spill::run::{Run, RunReader};

/// Blocks looked ahead: 64 bytes of memory each.
const AHEAD: usize = 1024;
/// Volumes kept at a time, whatever their size: each takes up to 150 KiB of memory.
const SHELVES_AT_MOST: usize = 8;
/// Bytes of blocks that are fetched at a time out of a volume that is read in parts.
const PART_BYTES: u64 = 16 << 20;
/// The number of a volume that is none: the block is in no volume.
pub(super) const NOWHERE: VolumeNo = VolumeNo::MAX;

/// One block that is wanted, and where it is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) goal: Goal,
    pub(super) no: VolumeNo,
    pub(super) key: BlockKey,
}

impl Planned {
    /// A record that sorts by goal: entry by entry, from the start of its content.
    pub(super) fn by_goal(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(17 + 4 + BlockKey::LEN);
        self.goal.encode(&mut record);
        record.extend_from_slice(&self.no.to_be_bytes());
        record.extend_from_slice(self.key.as_bytes());
        record
    }

    /// The same, sorting by volume.
    pub(super) fn by_volume(&self) -> Vec<u8> {
        let mut record = self.no.to_be_bytes().to_vec();
        record.extend_from_slice(self.key.as_bytes());
        self.goal.encode(&mut record);
        record
    }

    fn decode(record: &[u8], order: Order) -> Result<Planned> {
        let parsed = || {
            let mut c = Cursor::new(record);
            let (goal, at) = match order {
                Order::ByGoal => (c.take(17)?, c.take(4 + BlockKey::LEN)?),
                Order::ByVolume => {
                    let at = c.take(4 + BlockKey::LEN)?;
                    (c.take(17)?, at)
                }
            };
            let (no, key) = at.split_first_chunk::<4>()?;
            Some(Planned {
                goal: Goal::decode(goal).ok()?,
                no: VolumeNo::from_be_bytes(*no),
                key: BlockKey::from_record(key)?,
            })
        };
        parsed().ok_or_else(|| Error::bug("a planned block reads back"))
    }
}

/// How the records of a run are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    ByGoal,
    ByVolume,
}

/// A run of planned blocks, and how many bytes of each volume it wants: 8 bytes of memory a volume.
pub(super) struct Wanted {
    pub(super) run: Run,
    pub(super) order: Order,
    pub(super) bytes: Vec<u64>,
}

/// A volume that is here, whole or in parts.
struct Kept {
    no: VolumeNo,
    shelf: Shelf,
    /// Bytes it takes on disk, about.
    bytes: u64,
    used: u64,
    /// What is wanted of it was fetched up to this block of the sequence.
    fetched: u64,
    told: bool,
}

/// Gives one block after the other.
pub(super) struct Blocks<'a> {
    pub(super) set: &'a mut Set,
    places: &'a mut BlockIndex,
    reading: Reading,
    wanted: Wanted,
    reader: RunReader,
    ahead: VecDeque<Planned>,
    /// Blocks of the run that were taken.
    taken: u64,
    clock: u64,
    shelves: Vec<Kept>,
    /// By number: the volume cannot be opened, which was told.
    closed: Vec<bool>,
    /// By number: it was here and had to make room. Then only what is wanted next is fetched.
    left: Vec<bool>,
    /// The block in hand and whose it is.
    block: Vec<u8>,
    in_hand: Option<BlockKey>,
    /// Why the last block could not be given.
    pub(super) why: String,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(
        set: &'a mut Set,
        places: &'a mut BlockIndex,
        reading: Reading,
        wanted: Wanted,
    ) -> Blocks<'a> {
        let volumes = set.volumes().dblock_count() as usize;
        Blocks {
            set,
            places,
            reading,
            reader: wanted.run.reader(),
            wanted,
            ahead: VecDeque::new(),
            taken: 0,
            clock: 0,
            shelves: Vec::new(),
            closed: vec![false; volumes],
            left: vec![false; volumes],
            block: Vec::new(),
            in_hand: None,
            why: String::new(),
        }
    }

    /// Goes on with other blocks; whole volumes that are here stay.
    pub(super) fn go_on(&mut self, wanted: Wanted) {
        self.shelves.retain(|kept| !kept.shelf.is_in_parts());
        self.reader = wanted.run.reader();
        self.wanted = wanted;
        self.ahead.clear();
    }

    /// The next block of the sequence, without taking it.
    pub(super) fn peek(&mut self) -> Result<Option<Planned>> {
        if self.ahead.len() <= AHEAD / 2 {
            while self.ahead.len() < AHEAD
                && let Some(record) = self.reader.next()?
            {
                let planned = Planned::decode(record, self.wanted.order)?;
                self.ahead.push_back(planned);
            }
        }
        Ok(self.ahead.front().copied())
    }

    /// Leaves the next block of the sequence out.
    pub(super) fn skip(&mut self) {
        self.taken += u64::from(self.ahead.pop_front().is_some());
    }

    /// Takes the next block of the sequence; `None` when it is intact nowhere, then [`Blocks::why`] says why. Errors of the
    /// destination.
    pub(super) fn take(&mut self, ui: &mut Ui) -> Result<Option<&[u8]>> {
        obey()?;
        let Some(next) = self.peek()? else {
            return Err(Error::bug("there is a block to take"));
        };
        let found = self.in_hand == Some(next.key) || self.find(ui, next)?;
        self.skip();
        self.in_hand = found.then_some(next.key);
        Ok(found.then_some(&self.block))
    }

    /// Reads the block from the volume where it is expected, else from another that should hold it.
    fn find(&mut self, ui: &mut Ui, next: Planned) -> Result<bool> {
        self.why = "it is in no volume of the destination".to_owned();
        if next.no == NOWHERE {
            return Ok(false);
        }
        if self.read(ui, next.no, &next.key)? {
            return Ok(true);
        }
        let why = std::mem::take(&mut self.why);
        let again = self.places.is_of_version();
        if again {
            self.by_index(ui, &next.key)?;
        }
        for no in self.places.find_key(&next.key)? {
            let other = (again || no != next.no) && self.set.volumes().dblock(no).is_some();
            if other && self.read(ui, no, &next.key)? {
                return Ok(true);
            }
        }
        self.why = why;
        Ok(false)
    }

    /// From here on blocks are where the index volumes say.
    fn by_index(&mut self, ui: &mut Ui, key: &BlockKey) -> Result<()> {
        let index = read_index(self.set, self.places, ui)?;
        if !self.places.contains(key)? && !self.reading.no_scan {
            if !index.unindexed.is_empty() {
                scan(self.set, &index.unindexed, self.places, ui)?;
            }
            let mut search = Search::new(self.set);
            if search.add(self.places, key)? {
                search.run(self.set, ui, self.places, &[])?;
            }
        }
        self.shelves.retain(|kept| !kept.shelf.is_in_parts());
        let volumes = self.set.volumes().dblock_count() as usize;
        self.closed = vec![false; volumes];
        self.left.resize(volumes, false);
        Ok(())
    }

    /// Reads a block of one volume; false when that does not hold it intact.
    fn read(&mut self, ui: &mut Ui, no: VolumeNo, key: &BlockKey) -> Result<bool> {
        let share = self.share(no, key);
        if self.read_by(ui, no, key, share)? {
            return Ok(true);
        }
        // Parts tell less than the whole: it may be the transfer that was at fault, or the directory.
        match self.shelves.iter().position(|kept| kept.no == no) {
            Some(at) if self.shelves.get(at).is_some_and(|k| k.shelf.is_in_parts()) => {
                self.shelves.swap_remove(at);
                self.read_by(ui, no, key, Share::All)
            }
            _ => Ok(false),
        }
    }

    fn read_by(&mut self, ui: &mut Ui, no: VolumeNo, key: &BlockKey, share: Share) -> Result<bool> {
        let Some(mut kept) = self.open(ui, no, share)? else {
            return Ok(false);
        };
        let read = self.bring(ui, &mut kept, key);
        let good = match read.and_then(|()| kept.shelf.block(key, &mut self.block)) {
            Ok(good) => good,
            Err(e) if e.kind().is_of_one_volume() => {
                self.why = e.to_string();
                false
            }
            Err(e) => return Err(e),
        };
        if !good && kept.shelf.is_in_parts() {
            // Asked for once more as a whole.
        } else if !good || (kept.shelf.flaw().is_some() && !kept.told) {
            let name = text::safe(kept.shelf.name().as_str().as_bytes());
            let why = kept.shelf.why();
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            self.why = format!("volume {name} lacks or spoils it{why}");
            let sure = !self.places.is_of_version();
            if !kept.told && sure {
                ui.warn("damaged-dblock", &format!("volume {name} is damaged{why}"));
            }
            kept.told = sure;
        }
        self.shelves.push(kept);
        self.make_room();
        Ok(good)
    }

    /// Takes a volume off the row of those that are here, or fetches it; `None` when it cannot be opened.
    fn open(&mut self, ui: &mut Ui, no: VolumeNo, share: Share) -> Result<Option<Kept>> {
        self.clock += 1;
        if let Some(at) = self.shelves.iter().position(|kept| kept.no == no) {
            let mut kept = self.shelves.swap_remove(at);
            kept.used = self.clock;
            return Ok(Some(kept));
        }
        let (name, size) = self
            .set
            .volumes()
            .dblock(no)
            .ok_or_else(|| Error::bug("a planned volume is listed"))?;
        let shown = text::safe(name.as_str().as_bytes());
        if self.closed.get(no as usize) == Some(&true) {
            self.why = format!("volume {shown} cannot be read");
            return Ok(None);
        }
        let expected = self.places.expected(no)?;
        match self.set.shelf(ui, no, expected, share) {
            Ok(shelf) => {
                let parts = shelf.is_in_parts();
                let how = if parts { " in parts" } else { "" };
                ui.verbose(&format!("reading {shown}{how}"));
                Ok(Some(Kept {
                    no,
                    bytes: if parts { 0 } else { size.unwrap_or(0) },
                    shelf,
                    used: self.clock,
                    fetched: 0,
                    told: false,
                }))
            }
            Err(e) if e.kind().is_volume_or_key() => {
                match self.places.is_of_version() {
                    // It may be gone with good reason.
                    true => ui.verbose(&e.to_string()),
                    false => ui.warn("damaged-dblock", &e.to_string()),
                }
                self.why = e.to_string();
                if let Some(slot) = self.closed.get_mut(no as usize) {
                    *slot = true;
                }
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Of a volume that is read in parts: fetches this block and, with it, those that will be wanted next.
    fn bring(&mut self, ui: &mut Ui, kept: &mut Kept, key: &BlockKey) -> Result<()> {
        let planned = self.ahead.front().is_some_and(|next| next.no == kept.no);
        if !kept.shelf.is_in_parts() || planned && self.taken < kept.fetched {
            return Ok(());
        }
        let mut keys = vec![*key];
        let mut bytes = u64::from(key.size());
        kept.fetched = self.taken;
        for planned in &self.ahead {
            if planned.no == kept.no && planned.key != *key {
                bytes += u64::from(planned.key.size());
                if bytes > PART_BYTES {
                    break;
                }
                keys.push(planned.key);
            }
            kept.fetched += 1;
        }
        // The block itself, even where the next one is far away.
        kept.fetched = kept.fetched.max(self.taken + 1);
        kept.bytes += bytes;
        kept.shelf.fetch(self.set, ui, &keys)
    }

    /// How much of a volume is wanted.
    fn share(&self, no: VolumeNo, key: &BlockKey) -> Share {
        let bytes = match self.left.get(no as usize) {
            Some(true) => {
                let next = self.ahead.iter().filter(|p| p.no == no);
                next.map(|p| u64::from(p.key.size())).sum()
            }
            _ => self.wanted.bytes.get(no as usize).copied().unwrap_or(0),
        };
        self.reading.partial.share(bytes.max(u64::from(key.size())))
    }

    /// Lets volumes go until the rest fits: first those that are wanted last.
    fn make_room(&mut self) {
        while self.shelves.len() > 1
            && (self.shelves.len() > SHELVES_AT_MOST
                || self.shelves.iter().map(|k| k.bytes).sum::<u64>() > self.reading.keep_bytes)
        {
            let next = |no: VolumeNo| self.ahead.iter().skip(1).position(|p| p.no == no);
            let newest = self.shelves.len() - 1;
            let last = self
                .shelves
                .iter()
                .take(newest)
                .enumerate()
                .max_by_key(|(_, k)| (next(k.no).unwrap_or(usize::MAX), u64::MAX - k.used));
            let Some(at) = last.map(|(at, _)| at) else {
                return;
            };
            let gone = self.shelves.swap_remove(at);
            if let Some(slot) = self.left.get_mut(gone.no as usize) {
                *slot = true;
            }
        }
    }
}
