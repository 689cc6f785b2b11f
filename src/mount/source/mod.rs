//! Where the bytes come from: the blocks of all versions by key, each compared with its hash before it is given. As long as a
//! version says itself where its blocks are, no index volume is read. Volumes are read in parts, and what was read of them stays in the temporary folder as long as there is room; so do the blocks.

mod volumes;
mod wanted;

use std::collections::BTreeSet;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::Content;
use crate::format::locator::Extent;
use crate::format::manifest::Params;
use crate::mount::cache::BlockCache;
use crate::set::{
    BlockIndex, Set, Shelf, Told, VolumeNo, blocks as blocks_of, per_list, place_of_block,
    place_of_list, told,
};

pub(super) use wanted::{Wanted, Whole};

/// Blocks fetched beyond the one that is wanted: at first, and of who goes on reading.
const AHEAD: [u64; 2] = [2, 16];
/// Bytes of blocks that are fetched beyond the one that is wanted, beyond the first two.
const AHEAD_BYTES: u64 = 2 << 20;
/// Blocks that were found to be lost, which are not looked for again at once.
const LOST_AT_MOST: usize = 64;

/// Receives a block with the number that came with its key, or why it is lost.
pub(super) type BlockSink<'a> =
    dyn FnMut(&mut Ui, u64, std::result::Result<&[u8], &str>) -> Result<()> + 'a;

/// What makes us look for a block in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// The version says so, perhaps of a time that is over: whatever is wrong says nothing.
    Hint,
    Index,
}

/// A volume that is open, whole or in parts.
struct Kept {
    no: VolumeNo,
    shelf: Shelf,
    used: u64,
    /// Bytes it takes on disk, about.
    bytes: u64,
}

/// How far the blocks of a file were fetched.
#[derive(Clone, Copy, Default)]
struct Way {
    row: u64,
    /// Number of the first block that was not.
    next: u64,
    /// How many were fetched ahead.
    ahead: u64,
}

/// How volumes are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Never in parts.
    pub(crate) whole: bool,
    /// Bytes of blocks and volumes that are kept on disk.
    pub(crate) keep_bytes: u64,
    /// Do not search volumes that no index volume describes.
    pub(crate) no_scan: bool,
}

/// All blocks of a set.
pub(super) struct Source<'s> {
    pub(super) set: &'s mut Set,
    params: Params,
    reading: Reading,
    /// Read when the first block is wanted.
    index: Option<BlockIndex>,
    /// Dblocks that no dindex describes, until they were searched.
    unindexed: Vec<VolumeNo>,
    cache: BlockCache,
    shelves: Vec<Kept>,
    clock: u64,
    /// Volumes that cannot be opened, which was told.
    closed: BTreeSet<VolumeNo>,
    way: Way,
    /// The block read last, and whose it is.
    block: Vec<u8>,
    in_hand: Option<BlockKey>,
    lost: Vec<(BlockKey, String)>,
}

impl<'s> Source<'s> {
    pub(super) fn new(set: &'s mut Set, params: Params, reading: Reading) -> Result<Source<'s>> {
        let blocks = reading.keep_bytes / 4 * 3;
        Ok(Source {
            cache: BlockCache::new(set.tmp(), blocks, params.block_size)?,
            closed: BTreeSet::new(),
            set,
            params,
            reading,
            index: None,
            unindexed: Vec::new(),
            shelves: Vec::new(),
            clock: 0,
            way: Way::default(),
            block: Vec::new(),
            in_hand: None,
            lost: Vec::new(),
        })
    }

    /// Appends bytes of a content to `out`, fewer where it ends before. `Damaged` when a block of them is lost.
    pub(super) fn read(
        &mut self,
        ui: &mut Ui,
        whole: &Whole<'_>,
        at: u64,
        len: u64,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let block_size = u64::from(self.params.block_size).max(1);
        let content = whole.content;
        let end = at.saturating_add(len).min(content.size);
        let mut at = at;
        while at < end {
            let number = at / block_size;
            let from = at % block_size;
            let n = (block_size - from).min(end - at);
            let found = self.ids(ui, whole, number, 1)?;
            let key = found
                .first()
                .map(|id| self.key(content, id, number))
                .ok_or_else(|| Error::damaged("the list of its blocks is too short"))?;
            if !self.have(&key) {
                let ahead = self.ahead(ui, whole, number)?;
                let said = self.said(whole, number);
                let told = self.bring(ui, &key, said, &ahead);
                told.map_err(|e| e.doing(format!("read its block at byte {}", at - from)))?;
            }
            self.copy(&key, from, n, out)?;
            at += n;
        }
        Ok(())
    }

    /// Appends a part of a block that was just brought.
    fn copy(&mut self, key: &BlockKey, from: u64, len: u64, out: &mut Vec<u8>) -> Result<()> {
        let gone = || Error::bug("a block that was brought is here");
        let (start, len) = (out.len(), usize::try_from(len).map_err(|_| gone())?);
        if self.in_hand == Some(*key) {
            let from = usize::try_from(from).map_err(|_| gone())?;
            let part = self.block.get(from..from + len);
            out.extend_from_slice(part.ok_or_else(|| Error::damaged("a block is too short"))?);
            return Ok(());
        }
        out.resize(start + len, 0);
        let part = out.get_mut(start..).ok_or_else(gone)?;
        match self.cache.get(key, from, part) {
            true => Ok(()),
            false => Err(Error::damaged(
                "a block in the temporary folder cannot be read",
            )),
        }
    }

    fn have(&self, key: &BlockKey) -> bool {
        self.in_hand == Some(*key) || self.cache.holds(key)
    }

    /// The key of the `number`th block of a content.
    fn key(&self, content: &Content, id: &Hash, number: u64) -> BlockKey {
        let block_size = u64::from(self.params.block_size);
        let left = content
            .size
            .saturating_sub(number.saturating_mul(block_size));
        BlockKey::new(id, u32::try_from(left.min(block_size)).unwrap_or(u32::MAX))
    }

    /// The ids of up to `count` blocks of a content from the `number`th on, as far as one blocklist tells them.
    fn ids(
        &mut self,
        ui: &mut Ui,
        whole: &Whole<'_>,
        number: u64,
        count: u64,
    ) -> Result<Vec<Hash>> {
        let content = whole.content;
        let lists = match told(self.params, content, whole.meta) {
            Told::Empty => return Ok(Vec::new()),
            Told::Untold => return Err(Error::damaged("the version does not say what it holds")),
            Told::Block(_) if content.size > u64::from(self.params.block_size) => {
                let cause = format!("{} bytes are no single block", content.size);
                return Err(Error::damaged(cause));
            }
            Told::Block(id) => return Ok((number == 0).then_some(id).into_iter().collect()),
            Told::Lists(lists) => lists,
        };
        let (per_list, width) = (per_list(self.params), self.params.block_hash.len() as u64);
        let (list, from) = (number / per_list, number % per_list);
        let all = blocks_of(self.params, content.size).saturating_sub(list * per_list);
        let in_list = all.min(per_list);
        let id = usize::try_from(list).ok().and_then(|at| lists.get(at));
        let id = id.ok_or_else(|| Error::damaged("it has too few blocklists"))?;
        let size = u32::try_from(in_list * width);
        let key = BlockKey::new(
            id,
            size.map_err(|_| Error::damaged("a blocklist is too long"))?,
        );
        if !self.have(&key) {
            let place = place_of_list(list, per_list, blocks_of(self.params, content.size));
            let said = self.volume_at(whole.extents, place);
            let brought = self.bring(ui, &key, said, &[]);
            brought.map_err(|e| e.doing("read the list of its blocks"))?;
        }
        let count = count.min(in_list.saturating_sub(from));
        let mut raw = Vec::new();
        self.copy(&key, from * width, count * width, &mut raw)?;
        let hashes = raw.chunks_exact(self.params.block_hash.len());
        Ok(hashes.filter_map(Hash::from_bytes).collect())
    }

    /// What is fetched together with a block: those that follow it, more and more of them as long as somebody goes on
    /// reading. Nothing where they were fetched before.
    fn ahead(&mut self, ui: &mut Ui, whole: &Whole<'_>, number: u64) -> Result<Vec<Wanted>> {
        let (way, row) = (self.way, whole.row);
        if whole.meta || way.row == row && number < way.next && number + way.ahead >= way.next {
            return Ok(Vec::new());
        }
        let [first, most] = AHEAD;
        let room = AHEAD_BYTES / u64::from(self.params.block_size).max(1);
        let goes_on = way.row == row && number == way.next;
        let count = match goes_on {
            true => (way.ahead * 2).min(most).min(room).max(first),
            false => first,
        };
        let ids = self.ids(ui, whole, number + 1, count);
        let mut keys = Vec::new();
        // A list that cannot be read is told when it is its turn.
        for (id, at) in ids.unwrap_or_default().iter().zip(number + 1..) {
            keys.push(Wanted {
                said: self.said(whole, at),
                key: self.key(whole.content, id, at),
                tag: at,
            });
        }
        self.way = Way {
            row,
            next: number + 1 + keys.len() as u64,
            ahead: keys.len() as u64,
        };
        Ok(keys)
    }

    /// Reads the index once, and says so.
    fn learn(&mut self, ui: &mut Ui) -> Result<&mut BlockIndex> {
        if self.index.is_none() {
            ui.note("reading where the blocks are");
            let (places, report) = self.set.load_index(ui, true, &mut |_, _| Ok(()))?;
            for (name, why) in &report.unreadable {
                let line = format!("index volume {name} is damaged: {why}");
                ui.warn("unreadable-index", &line);
            }
            if self.set.cache().is_on()
                && report.clean()
                && report.fetched > 0
                && let Err(e) = self.set.store_index(&places)
            {
                ui.verbose(&format!("the cache was not written: {e}"));
            }
            self.unindexed = report.unindexed;
            self.index = Some(places);
        }
        self.index
            .as_mut()
            .ok_or_else(|| Error::bug("the index was just read"))
    }

    /// The volumes that should hold a block, those that are open first. Those that no index describes are searched once when
    /// no other has it.
    fn volumes(&mut self, ui: &mut Ui, key: &BlockKey) -> Result<Vec<VolumeNo>> {
        let mut found = self.learn(ui)?.find_key(key)?;
        if found.is_empty() && !self.unindexed.is_empty() && !self.reading.no_scan {
            let numbers = std::mem::take(&mut self.unindexed);
            let volumes = text::count(numbers.len() as u64, "dblock volume");
            ui.note(&format!("reading {volumes} that no index volume describes"));
            if let Some(places) = &mut self.index {
                self.set.index_dblocks(ui, &numbers, places, false)?;
            }
            found = self.learn(ui)?.find_key(key)?;
        }
        found.retain(|&no| self.set.volumes().dblock(no).is_some());
        found.sort_by_key(|no| self.shelves.iter().all(|kept| kept.no != *no));
        Ok(found)
    }

    /// The volume in which the version says that the `number`th block of a content is, as long as that is the best to go by:
    /// until the index is in hand.
    pub(super) fn said(&self, whole: &Whole<'_>, number: u64) -> Option<VolumeNo> {
        self.volume_at(whole.extents, place_of_block(number, per_list(self.params)))
    }

    fn volume_at(&self, extents: &[Extent], place: u64) -> Option<VolumeNo> {
        if self.index.is_some() {
            return None;
        }
        let mut end = 0u64;
        let extent = extents.iter().find(|extent| {
            end = end.saturating_add(extent.blocks);
            place < end
        });
        Some(self.set.located(&extent?.volume)?.0)
    }

    /// Brings a block into hand and into the cache, and with it from the same volume what `ahead` names. `said`: from
    /// [`Source::said`]. `Damaged` when no volume holds it intact; other errors are those of the destination.
    fn bring(
        &mut self,
        ui: &mut Ui,
        key: &BlockKey,
        said: Option<VolumeNo>,
        ahead: &[Wanted],
    ) -> Result<()> {
        if let Some((_, why)) = self.lost.iter().find(|(lost, _)| lost == key) {
            return Err(Error::damaged(why.as_str()));
        }
        if let Some(no) = said {
            let mut keys = vec![*key];
            let with = ahead.iter().filter(|next| next.said == said);
            keys.extend(with.map(|next| next.key).filter(|k| !self.cache.holds(k)));
            match self.take(ui, (no, Trust::Hint), key, &keys)? {
                None => {
                    self.cache.put(key, &self.block);
                    self.in_hand = Some(*key);
                    return Ok(());
                }
                Some(bad) => ui.verbose(&format!("not where the version says: {bad}")),
            }
        }
        let mut why = "it is in no volume of the destination".to_owned();
        for no in self.volumes(ui, key)? {
            let mut keys = vec![*key];
            for next in ahead {
                if !self.cache.holds(&next.key)
                    && self.learn(ui)?.find_key(&next.key)?.contains(&no)
                {
                    keys.push(next.key);
                }
            }
            match self.take(ui, (no, Trust::Index), key, &keys)? {
                None => {
                    self.cache.put(key, &self.block);
                    self.in_hand = Some(*key);
                    return Ok(());
                }
                Some(bad) => why = bad,
            }
        }
        if self.lost.len() >= LOST_AT_MOST {
            self.lost.remove(0);
        }
        self.lost.push((*key, why.clone()));
        Err(Error::damaged(why))
    }

    /// Reads blocks that lie anywhere, volume by volume, each into `each` with its tag; one that is lost comes with the reason. At
    /// most as many at a time as the caller has memory for.
    pub(super) fn many(
        &mut self,
        ui: &mut Ui,
        wanted: &[Wanted],
        each: &mut BlockSink<'_>,
    ) -> Result<()> {
        let mut placed = Vec::with_capacity(wanted.len());
        for one in wanted {
            let at = match one.said.filter(|_| self.index.is_none()) {
                Some(no) => Some((no, Trust::Hint)),
                None => {
                    let found = self.volumes(ui, &one.key)?;
                    found.first().map(|&no| (no, Trust::Index))
                }
            };
            placed.push((at, *one));
        }
        placed.sort_unstable();
        for group in placed.chunk_by(|a, b| a.0 == b.0) {
            // All of a volume are fetched with the first of them.
            let all: Vec<BlockKey> = group.iter().map(|(_, one)| one.key).collect();
            for (n, (at, one)) in group.iter().enumerate() {
                let key = one.key;
                let keys = if n == 0 { all.as_slice() } else { &[key] };
                let brought = match at {
                    _ if self.in_hand == Some(key) => Ok(()),
                    None => self.bring(ui, &key, None, &[]),
                    Some(at) => match self.take(ui, *at, &key, keys)? {
                        None => {
                            self.in_hand = Some(key);
                            Ok(())
                        }
                        // Another volume may have it, too.
                        Some(_) => self.bring(ui, &key, None, &[]),
                    },
                };
                match brought {
                    Ok(()) => each(ui, one.tag, Ok(&self.block))?,
                    Err(e) if e.kind() == Kind::Damaged => each(ui, one.tag, Err(e.cause()))?,
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}
