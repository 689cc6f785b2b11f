//! What every dblock holds and what of it is still needed, counted by sorting on disk; and what is decided from that.
//!
//! A block that several volumes hold counts as used in one of them only, so that the others can go. Which one is not believed
//! unseen: where a copy goes because another stays, the one that stays is read and compared with its hash first.

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Error, Result};
use crate::base::ui::{Progress, Ui};
use crate::set::{BlockIndex, Place, Set, Share, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunReader, RunWriter};
use crate::spill::sorter::Sorter;
use crate::upkeep::compact::live::{Block, Live, each_block};
use crate::upkeep::waste::{CompactRules, Plan, Usage};
use crate::writer::{ENTRIES_AT_MOST, LISTS_AT_MOST};

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

/// What is known of a dblock: 40 bytes each, and 4 for its fate.
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
    /// Its blocks, and the blocklists among them that a version needs.
    blocks: u32,
    lists: u32,
    /// An index describes it, and no other volume with it.
    counted: bool,
    /// It stays whatever is decided: it holds what is intact nowhere.
    held: bool,
}

impl Holding {
    /// It holds a fifth of the blocks or blocklists that a new volume takes, or more: by number it is not small.
    fn is_crowded(&self) -> bool {
        self.blocks >= ENTRIES_AT_MOST / 5 || self.lists as usize >= LISTS_AT_MOST / 5
    }
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

/// The counting of one destination.
pub(super) struct Count<'a> {
    live: &'a Live,
    places: &'a BlockIndex,
    holdings: Vec<Holding>,
    /// Copies that were read: those that are what they should be, and those that are not.
    proven: Keyset,
    spoilt: Keyset,
    /// Blocks that a version needs and no counted volume holds.
    pub(super) lost: u64,
}

impl Count<'_> {
    /// Costs a pass over the index and the needed blocks.
    pub(super) fn new<'a>(set: &Set, live: &'a Live, places: &'a BlockIndex) -> Result<Count<'a>> {
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
        let known: Vec<bool> = holdings.iter().map(|h| h.counted).collect();
        each_block(
            places,
            live,
            &|no| known.get(no as usize).is_some_and(|h| *h),
            &mut |block| {
                let size = u64::from(block.key.size());
                for &no in block.volumes {
                    let holding = &mut holdings[no as usize];
                    holding.data += size;
                    holding.blocks = holding.blocks.saturating_add(1);
                    if let Some((_, is_list)) = block.need {
                        holding.needed += size;
                        holding.lists = holding.lists.saturating_add(u32::from(is_list));
                    }
                }
                lost += u64::from(block.need.is_some() && block.volumes.is_empty());
                Ok(())
            },
        )?;
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

    /// Counts each needed block as used in the volume that is needed most for its size, and of equals in the one that holds
    /// most: what a run that was cut off copied is then used, and what it copied from is not.
    fn credit(&mut self) -> Result<()> {
        let mut holdings = self.holdings.clone();
        for holding in &mut holdings {
            (holding.used, holding.oldest) = (0, 0);
        }
        let (before, spoilt) = (&self.holdings, &mut self.spoilt);
        each_block(self.places, self.live, &is_counted(before), &mut |block| {
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
            let usage = Usage::new(no, h.oldest, size, h.data, waste);
            Some(usage.crowded(h.is_crowded()))
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
        each_block(
            self.places,
            self.live,
            &is_counted(holdings),
            &mut |block| {
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
                        let place = Place {
                            key: block.key,
                            no: keeper,
                        };
                        unproven.add(&place.encode_by_volume())?;
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
            },
        )?;
        counted.copies = copies.finish()?.into_run()?;
        Ok(unproven)
    }

    /// Reads copies; true when one of them is not intact.
    fn read(&mut self, set: &mut Set, ui: &mut Ui, unproven: Sorter) -> Result<bool> {
        let all = unproven.finish()?.into_run()?;
        let mut at = all.reader();
        let mut ahead = all.reader();
        let mut next = place(&mut at)?;
        let mut counter = place(&mut ahead)?;
        let mut spoilt = false;
        let (mut done, total) = (0, all.len());
        while let Some(Place { no, .. }) = next {
            let mut wanted = 0u64;
            while let Some(one) = counter.filter(|p| p.no == no) {
                wanted += u64::from(one.key.size());
                counter = place(&mut ahead)?;
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
            while let Some(wanted) = next.filter(|p| p.no == no) {
                keys.push(wanted.key);
                next = place(&mut at)?;
                if keys.len() < AT_ONCE && next.is_some_and(|p| p.no == no) {
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

/// Whether a volume is counted.
fn is_counted(holdings: &[Holding]) -> impl Fn(VolumeNo) -> bool + '_ {
    |no| holdings.get(no as usize).is_some_and(|h| h.counted)
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
            // Between equals the one that holds more: the other is the likelier to go as a whole.
            (share(a, b), a.needed) > (share(b, a), b.needed)
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

/// The next place of a run that is sorted by volume.
fn place(reader: &mut RunReader) -> Result<Option<Place>> {
    let Some(record) = reader.next()? else {
        return Ok(None);
    };
    let place = Place::decode_by_volume(record).map(|(place, _)| place);
    let lost = || Error::bug("a spilled copy reads back");
    place.map(Some).ok_or_else(lost)
}
