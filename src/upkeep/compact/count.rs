//! What every dblock holds and what of it is still needed, counted by sorting on disk; and what is decided from that.
//!
//! A block that several volumes hold counts as used in one of them only, so that the others can go. Which one is not believed
//! unseen: where a copy goes because another stays, the one that stays is read and compared with its hash first.

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Error, Result};
use crate::base::ui::{Progress, Ui};
use crate::set::{IndexReport, Needed, Owners, Places, Set, Share, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunReader, RunWriter};
use crate::spill::sorter::Sorter;
use crate::upkeep::waste::{CompactRules, Plan, Usage};

/// Key, number of the oldest version that needs it, whether it is a blocklist.
const LIVE_LEN: usize = BlockKey::LEN + 4 + 1;
/// Position of the volume in the order of rewriting, key, whether it is a blocklist.
pub(super) const COPY_LEN: usize = 4 + BlockKey::LEN + 1;
/// Blocks of a volume that are fetched together.
pub(super) const AT_ONCE: usize = 4096;
/// Bytes sorted in memory.
const SORT_CAP: usize = 2 << 20;

/// What happens to a dblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    /// Nothing of it is needed, or what is needed was found intact elsewhere.
    Deleted,
    /// What is needed of it is in volumes that are rewritten: it goes when they are.
    DeletedLast,
    /// Its needed blocks are copied; the place in the order of rewriting.
    Rewritten(u32),
}

/// What is known of a dblock: 32 bytes each, and 4 for its fate.
#[derive(Clone, Copy, Default)]
struct Holding {
    /// Bytes of its blocks, not packed.
    data: u64,
    /// Of these, bytes of blocks that a version needs, whoever else holds them.
    needed: u64,
    /// Bytes of the needed blocks that count as used here.
    used: u64,
    /// Greatest number of a version that uses one of them.
    oldest: u32,
    /// An index describes it, and no other volume with it.
    counted: bool,
    /// It stays whatever is decided: it holds what is intact nowhere.
    held: bool,
}

/// All blocks that versions need, in the order of keys.
pub(super) struct Live {
    run: Run,
    /// Contents of which nobody can say which blocks they need.
    pub(super) unknown: u64,
}

/// What was counted and decided.
pub(super) struct Counted {
    pub(super) plan: Plan,
    /// By number.
    pub(super) fates: Vec<Fate>,
    /// The volumes that are rewritten, in order.
    pub(super) order: Vec<VolumeNo>,
    /// Blocks to copy, by position: records of [`COPY_LEN`].
    pub(super) copies: Run,
    /// Their bytes by position, not packed, and the bytes of all blocks of the volume.
    pub(super) wanted: Vec<(u64, u64)>,
}

/// Walks all references of these versions. A version that cannot be read is an error.
///
/// Memory: that of [`Set::needs`]; on disk 41 bytes a block.
pub(super) fn live(
    set: &mut Set,
    ui: &mut Ui,
    versions: &[usize],
) -> Result<(Live, Places, IndexReport)> {
    // Of equal contents only the first is told: the oldest version comes first.
    let mut oldest_first = versions.to_vec();
    oldest_first.sort_unstable_by_key(|no| std::cmp::Reverse(*no));
    let mut run = RunWriter::new(set.tmp());
    let mut last: Option<(BlockKey, u32, bool)> = None;
    let mut unknown = 0u64;
    let mut push = |block: (BlockKey, u32, bool)| {
        let mut record = [0; LIVE_LEN];
        record[..BlockKey::LEN].copy_from_slice(block.0.as_bytes());
        record[BlockKey::LEN..LIVE_LEN - 1].copy_from_slice(&block.1.to_be_bytes());
        record[LIVE_LEN - 1] = u8::from(block.2);
        run.push(&record)
    };
    let (places, report) = set.needs(ui, &oldest_first, Owners::One, &mut |needed| {
        match needed {
            Needed::Unknown(_) => unknown += 1,
            Needed::Block(key, why) => {
                let version = u32::try_from(why.version).unwrap_or(u32::MAX);
                let list = why.offset.is_none();
                match &mut last {
                    Some((same, oldest, is_list)) if same == key => {
                        *oldest = version.max(*oldest);
                        *is_list |= list;
                    }
                    last => {
                        if let Some(block) = last.replace((*key, version, list)) {
                            push(block)?;
                        }
                    }
                }
            }
        }
        Ok(())
    })?;
    if let Some(block) = last {
        push(block)?;
    }
    let run = run.finish()?;
    Ok((Live { run, unknown }, places, report))
}

/// A block of the index or of a version.
struct Block<'a> {
    key: BlockKey,
    /// Counted volumes that hold it, each once.
    volumes: &'a [VolumeNo],
    /// The oldest version that needs it, and whether it is a blocklist.
    need: Option<(u32, bool)>,
}

/// The counting of one destination.
pub(super) struct Count<'a> {
    live: &'a Live,
    places: &'a Places,
    holdings: Vec<Holding>,
    /// Copies that were read: those that are what they should be, and those that are not.
    proven: Keyset,
    spoilt: Keyset,
    /// Blocks that a version needs and no counted volume holds.
    pub(super) lost: u64,
}

impl Count<'_> {
    /// Costs a pass over the index and the needed blocks.
    pub(super) fn new<'a>(set: &Set, live: &'a Live, places: &'a Places) -> Result<Count<'a>> {
        let count = set.volumes().dblock_count();
        let mut described = vec![0u8; set.volumes().dindex_count()];
        for dindex in (0..count).filter_map(|no| places.dindex_of(no)) {
            if let Some(n) = described.get_mut(dindex as usize) {
                *n = n.saturating_add(1);
            }
        }
        let alone = |dindex: u32| described.get(dindex as usize) == Some(&1);
        let holdings = (0..count).map(|no| {
            let dindex = places.dindex_of(no);
            let listed = set.volumes().dblock(no).is_some();
            Holding {
                counted: listed && dindex.is_some(),
                held: !dindex.is_some_and(alone),
                ..Holding::default()
            }
        });
        let mut count = Count {
            live,
            places,
            holdings: holdings.collect(),
            proven: Keyset::new(set.tmp()),
            spoilt: Keyset::new(set.tmp()),
            lost: 0,
        };
        let (mut holdings, mut lost) = (std::mem::take(&mut count.holdings), 0);
        each_block(places, &live.run, &holdings.clone(), &mut |block| {
            let size = u64::from(block.key.size());
            for &no in block.volumes {
                let holding = &mut holdings[no as usize];
                holding.data += size;
                if block.need.is_some() {
                    holding.needed += size;
                }
            }
            lost += u64::from(block.need.is_some() && block.volumes.is_empty());
            Ok(())
        })?;
        (count.holdings, count.lost) = (holdings, lost);
        Ok(count)
    }

    /// Decides what becomes of each dblock. `prove`: reads the copies on whose account others go, as far as those stay; else
    /// they are believed.
    pub(super) fn decide(
        mut self,
        set: &mut Set,
        ui: &mut Ui,
        rules: &CompactRules,
        prove: bool,
    ) -> Result<Counted> {
        loop {
            self.credit()?;
            let (plan, fates, order) = self.plan(set, rules);
            let mut counted = Counted {
                plan,
                fates,
                wanted: order
                    .iter()
                    .map(|&no| (0, self.holdings[no as usize].data))
                    .collect(),
                order,
                copies: RunWriter::new(set.tmp()).finish()?,
            };
            let unproven = self.assign(set, &mut counted)?;
            if !prove || unproven.is_empty() || !self.read(set, ui, unproven)? {
                return Ok(counted);
            }
        }
    }

    /// Counts each needed block as used in the volume that is needed most for its size: what a run that was cut off copied
    /// is then used, and what it copied from is not.
    fn credit(&mut self) -> Result<()> {
        let mut holdings = self.holdings.clone();
        for holding in &mut holdings {
            (holding.used, holding.oldest) = (0, 0);
        }
        let (before, spoilt) = (&self.holdings, &mut self.spoilt);
        each_block(self.places, &self.live.run, before, &mut |block| {
            let Some((oldest, _)) = block.need else {
                return Ok(());
            };
            match best(before, spoilt, &block)? {
                Some(no) => {
                    let holding = &mut holdings[no as usize];
                    holding.used += u64::from(block.key.size());
                    holding.oldest = holding.oldest.max(oldest);
                }
                None => {
                    for &no in block.volumes {
                        holdings[no as usize].held = true;
                    }
                }
            }
            Ok(())
        })?;
        self.holdings = holdings;
        Ok(())
    }

    fn plan(&self, set: &Set, rules: &CompactRules) -> (Plan, Vec<Fate>, Vec<VolumeNo>) {
        let usage = (0u32..).zip(&self.holdings).filter(|(_, h)| h.counted);
        let usage = usage.filter_map(|(no, h)| {
            let (_, size) = set.volumes().dblock(no)?;
            let stated = || self.places.expected(no).ok()?.size;
            let size = size.or_else(stated).unwrap_or(0);
            let used = if h.held { h.data } else { h.used };
            let waste = h.data.saturating_sub(used);
            Some(Usage::new(no, h.oldest, size, h.data, waste))
        });
        let plan = Plan::new(usage.collect(), rules);
        let held = |no: &VolumeNo| self.holdings[*no as usize].held;
        let mut fates = vec![Fate::Kept; self.holdings.len()];
        for no in plan.deletable().filter(|no| !held(no)) {
            fates[no as usize] = Fate::Deleted;
        }
        let order: Vec<VolumeNo> = plan.rewritten().filter(|no| !held(no)).collect();
        for (at, &no) in (0u32..).zip(&order) {
            fates[no as usize] = Fate::Rewritten(at);
        }
        (plan, fates, order)
    }

    /// Says for each needed block of a volume that goes where its copy comes from, or on which copy it relies. Those of the
    /// latter that were not read yet: number of the volume and key.
    fn assign(&mut self, set: &Set, counted: &mut Counted) -> Result<Sorter> {
        let mut copies = Sorter::new(set.tmp(), SORT_CAP);
        let mut unproven = Sorter::new(set.tmp(), SORT_CAP);
        let (spoilt, proven) = (&mut self.spoilt, &mut self.proven);
        let holdings = &self.holdings;
        let Counted { fates, wanted, .. } = counted;
        each_block(self.places, &self.live.run, holdings, &mut |block| {
            let Some((_, list)) = block.need else {
                return Ok(());
            };
            let Some(keeper) = best(holdings, spoilt, &block)? else {
                return Ok(());
            };
            let fate = |no: VolumeNo| fates[no as usize];
            if fate(keeper) == Fate::Kept {
                let goes = block.volumes.iter().any(|&no| fate(no) != Fate::Kept);
                if goes && !proven.contains(&copy_of(&block.key, keeper))? {
                    let mut record = [0; 4 + BlockKey::LEN];
                    record[..4].copy_from_slice(&keeper.to_be_bytes());
                    record[4..].copy_from_slice(block.key.as_bytes());
                    unproven.add(&record)?;
                }
                return Ok(());
            }
            let rewritten = block.volumes.iter().filter_map(|&no| match fate(no) {
                Fate::Rewritten(at) => Some(at),
                _ => None,
            });
            // The first of them, as it goes before the others are read.
            let at = rewritten
                .min()
                .ok_or_else(|| Error::bug("a volume that goes holds nothing that is used"))?;
            for &no in block.volumes {
                if fates[no as usize] == Fate::Deleted {
                    fates[no as usize] = Fate::DeletedLast;
                }
            }
            let mut record = [0; COPY_LEN];
            record[..4].copy_from_slice(&at.to_be_bytes());
            record[4..4 + BlockKey::LEN].copy_from_slice(block.key.as_bytes());
            record[COPY_LEN - 1] = u8::from(list);
            wanted[at as usize].0 += u64::from(block.key.size());
            copies.add(&record)
        })?;
        counted.copies = copies.finish()?.into_run()?;
        Ok(unproven)
    }

    /// Reads copies; true when one of them is not intact.
    fn read(&mut self, set: &mut Set, ui: &mut Ui, unproven: Sorter) -> Result<bool> {
        let all = unproven.finish()?.into_run()?;
        let mut at = all.reader();
        let mut ahead = all.reader();
        let mut next = pair(&mut at)?;
        let mut counter = pair(&mut ahead)?;
        let mut spoilt = false;
        let (mut done, total) = (0, all.len());
        while let Some((no, _)) = next {
            let mut wanted = 0u64;
            while let Some((_, key)) = counter.filter(|(same, _)| *same == no) {
                wanted += u64::from(key.size());
                counter = pair(&mut ahead)?;
            }
            ui.progress(
                "reading blocks that are stored twice",
                Progress {
                    files: done,
                    files_total: total,
                    ..Progress::default()
                },
            );
            let expected = self.places.expected(no)?;
            let share = Share::Bytes(wanted);
            let mut shelf = match set.shelf(ui, no, expected, share) {
                Ok(shelf) => Some(shelf),
                Err(e) if e.kind().is_volume_or_key() => {
                    ui.warn("unreadable-dblock", &e.to_string());
                    None
                }
                Err(e) => return Err(e),
            };
            let mut keys: Vec<BlockKey> = Vec::new();
            while let Some((_, key)) = next.filter(|(same, _)| *same == no) {
                keys.push(key);
                next = pair(&mut at)?;
                if keys.len() < AT_ONCE && next.is_some_and(|(same, _)| same == no) {
                    continue;
                }
                if let Some(shelf) = &mut shelf {
                    shelf.fetch(set, ui, &keys)?;
                }
                done += keys.len() as u64;
                for key in keys.drain(..) {
                    let intact = match &mut shelf {
                        Some(shelf) => shelf.packed(&key, &mut std::io::sink())?.is_some(),
                        None => false,
                    };
                    let known = match intact {
                        true => &mut self.proven,
                        false => &mut self.spoilt,
                    };
                    known.insert(&copy_of(&key, no))?;
                    spoilt |= !intact;
                }
            }
        }
        Ok(spoilt)
    }
}

/// The volume in which a needed block counts as used; `None` when every copy was read and is spoilt.
fn best(holdings: &[Holding], spoilt: &mut Keyset, block: &Block<'_>) -> Result<Option<VolumeNo>> {
    let mut best: Option<VolumeNo> = None;
    for &no in block.volumes {
        if !spoilt.is_empty() && spoilt.contains(&copy_of(&block.key, no))? {
            continue;
        }
        let better = |than: VolumeNo| {
            let (a, b) = (&holdings[no as usize], &holdings[than as usize]);
            let share = |h: &Holding, of: &Holding| u128::from(h.needed) * u128::from(of.data);
            share(a, b) > share(b, a)
        };
        if best.is_none_or(better) {
            best = Some(no);
        }
    }
    Ok(best)
}

/// The key under which the copy of a block in one volume is remembered.
fn copy_of(key: &BlockKey, no: VolumeNo) -> BlockKey {
    let mut hasher = Algo::Sha256.hasher();
    hasher.update(key.as_bytes());
    hasher.update(&no.to_be_bytes());
    BlockKey::new(&hasher.finish(), 0)
}

/// The next volume and key of a run.
fn pair(reader: &mut RunReader) -> Result<Option<(VolumeNo, BlockKey)>> {
    let Some(record) = reader.next()? else {
        return Ok(None);
    };
    let parsed = || {
        let (no, key) = record.split_first_chunk::<4>()?;
        Some((u32::from_be_bytes(*no), BlockKey::from_record(key)?))
    };
    parsed()
        .map(Some)
        .ok_or_else(|| Error::bug("a spilled copy reads back"))
}

/// Calls `each` with every block of the index and every needed block, in the order of keys.
fn each_block(
    places: &Places,
    live: &Run,
    holdings: &[Holding],
    each: &mut dyn FnMut(Block<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = places.reader()?;
    let mut live = LiveReader::new(live)?;
    let mut volumes: Vec<VolumeNo> = Vec::new();
    let mut current: Option<BlockKey> = None;
    loop {
        let place = reader.next()?.map(|place| (place.key, place.no));
        if let (Some((key, no)), Some(same)) = (place, current)
            && key == same
        {
            note(&mut volumes, holdings, no);
            continue;
        }
        if let Some(key) = current {
            while let Some(lost) = live.head.filter(|head| head.0 < key) {
                each(lost.block(&[]))?;
                live.advance()?;
            }
            let here = live.head.filter(|head| head.0 == key);
            each(Block {
                key,
                volumes: &volumes,
                need: here.map(|head| (head.1, head.2)),
            })?;
            if here.is_some() {
                live.advance()?;
            }
        }
        let Some((key, no)) = place else {
            break;
        };
        current = Some(key);
        volumes.clear();
        note(&mut volumes, holdings, no);
    }
    while let Some(lost) = live.head {
        each(lost.block(&[]))?;
        live.advance()?;
    }
    Ok(())
}

/// Several indexes may say the same of a volume; those that are not counted do not matter.
fn note(volumes: &mut Vec<VolumeNo>, holdings: &[Holding], no: VolumeNo) {
    let counted = holdings.get(no as usize).is_some_and(|h| h.counted);
    if counted && volumes.last() != Some(&no) {
        volumes.push(no);
    }
}

#[derive(Clone, Copy)]
struct LiveBlock(BlockKey, u32, bool);

impl LiveBlock {
    fn block<'a>(&self, volumes: &'a [VolumeNo]) -> Block<'a> {
        Block {
            key: self.0,
            volumes,
            need: Some((self.1, self.2)),
        }
    }
}

struct LiveReader {
    reader: RunReader,
    head: Option<LiveBlock>,
}

impl LiveReader {
    fn new(run: &Run) -> Result<LiveReader> {
        let mut live = LiveReader {
            reader: run.reader(),
            head: None,
        };
        live.advance()?;
        Ok(live)
    }

    fn advance(&mut self) -> Result<()> {
        self.head = match self.reader.next()? {
            None => None,
            Some(record) => {
                let parsed = || {
                    let key = BlockKey::from_record(record)?;
                    let (version, list) = record.get(BlockKey::LEN..)?.split_first_chunk::<4>()?;
                    Some(LiveBlock(
                        key,
                        u32::from_be_bytes(*version),
                        *list.first()? == 1,
                    ))
                };
                Some(parsed().ok_or_else(|| Error::bug("a needed block reads back"))?)
            }
        };
        Ok(())
    }
}
