//! Which blocks are needed, and in which volumes they are: two sorted streams joined on disk.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::format::filelist::Content;
use crate::format::manifest::Params;
use crate::set::{Expected, Places, Set, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
use crate::spill::table::Table;

const SORT_CAP: usize = 4 << 20;
/// A blocklist longer than this is not believed: 512 Ki blocks of one file.
const LIST_BYTES_AT_MOST: u64 = 16 << 20;

/// Where a block goes: 17 bytes after the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// Number of the target.
    pub(super) target: u64,
    pub(super) offset: u64,
    /// Part of the metadata, not of the content.
    pub(super) meta: bool,
}

impl Goal {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.target.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.push(u8::from(self.meta));
    }

    pub(super) fn decode(raw: &[u8]) -> Result<Goal> {
        let parsed = || {
            let mut c = crate::base::bytes::Cursor::new(raw);
            Some(Goal {
                target: c.u64_be()?,
                offset: c.u64_be()?,
                meta: c.u8()? == 1,
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled goal reads back"))
    }
}

/// Blocks wanted: key, then goal.
pub(super) struct Wants {
    pub(super) sorter: Sorter,
    tmp: Tmp,
    params: Params,
    /// Blocklists wanted: id (32 bytes), target, number of the list, meta flag, size of the content.
    lists: Sorter,
    lists_wanted: u64,
    /// What cannot be had: target, meta flag.
    lost: Sorter,
}

const LIST_RECORD: usize = 32 + 8 + 4 + 1 + 8;

impl Wants {
    pub(super) fn new(tmp: &Tmp, params: Params) -> Wants {
        Wants {
            sorter: Sorter::new(tmp, SORT_CAP),
            tmp: tmp.clone(),
            params,
            lists: Sorter::new(tmp, 1 << 20),
            lists_wanted: 0,
            lost: Sorter::new(tmp, 1 << 18),
        }
    }

    /// Wants all blocks of a content; one of which the version does not say which they are (R20) is lost.
    pub(super) fn add(&mut self, content: &Content, target: u64, meta: bool) -> Result<()> {
        if content.size == 0 {
            return Ok(());
        }
        if content.lists.is_empty() {
            let single = content
                .single(self.params.block_hash == self.params.file_hash)
                .or(if meta && self.params.version < 2 {
                    content.hash
                } else {
                    None
                });
            let size = u32::try_from(content.size)
                .ok()
                .filter(|&size| size <= self.params.block_size);
            let (Some(id), Some(size)) = (single, size) else {
                return self.lose(target, meta);
            };
            return self.want(
                &BlockKey::new(&id, size),
                Goal {
                    target,
                    offset: 0,
                    meta,
                },
            );
        }
        let lists = self.blocks(content.size).div_ceil(self.per_list());
        if content.lists.len() as u64 != lists {
            return self.lose(target, meta);
        }
        for (k, list) in content.lists.iter().enumerate() {
            let mut record = BlockKey::new(list, 0).as_bytes()[..32].to_vec();
            record.extend_from_slice(&target.to_be_bytes());
            record.extend_from_slice(
                &u32::try_from(k)
                    .map_err(|_| Error::damaged("too many blocklists"))?
                    .to_be_bytes(),
            );
            record.push(u8::from(meta));
            record.extend_from_slice(&content.size.to_be_bytes());
            self.lists.add(&record)?;
            self.lists_wanted += 1;
        }
        Ok(())
    }

    /// Remembers that a target's content or metadata cannot be had whole.
    pub(super) fn lose(&mut self, target: u64, meta: bool) -> Result<()> {
        let mut record = target.to_be_bytes().to_vec();
        record.push(u8::from(meta));
        self.lost.add(&record)
    }

    /// Tells `each` what cannot be had: target, meta flag.
    pub(super) fn lost(&mut self, each: &mut dyn FnMut(u64, bool) -> Result<()>) -> Result<()> {
        let lost = std::mem::replace(&mut self.lost, Sorter::new(&self.tmp, 1 << 10));
        let mut stream = lost.finish()?;
        while let Some(record) = stream.next()? {
            if let Some((target, [meta])) = record.split_first_chunk() {
                each(u64::from_be_bytes(*target), *meta == 1)?;
            }
        }
        Ok(())
    }

    /// Blocks of a content of `size` bytes.
    fn blocks(&self, size: u64) -> u64 {
        size.div_ceil(u64::from(self.params.block_size).max(1))
    }

    fn per_list(&self) -> u64 {
        u64::from(self.params.hashes_per_list()).max(1)
    }

    pub(super) fn want(&mut self, key: &BlockKey, goal: Goal) -> Result<()> {
        let mut record = key.as_bytes().to_vec();
        goal.encode(&mut record);
        self.sorter.add(&record)
    }

    /// Reads the index and follows all blocklists; goals whose blocklist cannot be had are lost.
    pub(super) fn resolve(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
    ) -> Result<(Places, crate::set::IndexReport)> {
        let lists = std::mem::replace(&mut self.lists, Sorter::new(&self.tmp, 1 << 10));
        let table = Table::build(lists.finish()?, LIST_RECORD, 32, &self.tmp)?;
        let mut expander = Expander {
            wants: self,
            table,
            done: None,
        };
        let (mut places, report) =
            set.load_index(ui, true, &mut |id, data| expander.offer(id, data))?;
        if expander.wants.lists_wanted > 0 {
            // What the cache covered was not read; ask the index volumes that describe the blocklists' dblocks.
            let missing = expander.missing()?;
            let mut dindexes: Vec<u32> = Vec::new();
            let mut reader = missing.reader();
            while let Some(id) = reader.next()? {
                for no in volumes_of(&mut places, id)? {
                    dindexes.extend(places.dindex_of(no));
                }
            }
            dindexes.sort_unstable();
            dindexes.dedup();
            if !dindexes.is_empty() && report.fetched < set.volumes().dindex_count() as u64 {
                set.read_lists(ui, &dindexes, &mut |id, data| expander.offer(id, data))?;
            }
            expander.read_dblocks(set, ui, &mut places, &report.unindexed)?;
            let missing = expander.missing()?;
            let mut reader = missing.reader();
            while let Some(id) = reader.next()? {
                let id = id.to_vec();
                let wants = &mut *expander.wants;
                expander.table.lookup_all(&id, &mut |record| {
                    let wanted = ListGoal::decode(record)?;
                    wants.lose(wanted.target, wanted.meta)
                })?;
            }
        }
        Ok((places, report))
    }

    /// Blocks wanted so far, ready for [`join`].
    pub(super) fn take(&mut self) -> Result<Run> {
        std::mem::replace(&mut self.sorter, Sorter::new(&self.tmp, SORT_CAP))
            .finish()?
            .into_run()
    }
}

fn volumes_of(places: &mut Places, id: &[u8]) -> Result<Vec<VolumeNo>> {
    match Hash::from_bytes(id) {
        Some(hash) => Ok(places
            .find_id(&hash)?
            .into_iter()
            .map(|(no, _)| no)
            .collect()),
        None => Ok(Vec::new()),
    }
}

/// Who wants a blocklist.
struct ListGoal {
    target: u64,
    number: u32,
    meta: bool,
    size: u64,
}

impl ListGoal {
    fn decode(record: &[u8]) -> Result<ListGoal> {
        let parsed = || {
            let mut c = crate::base::bytes::Cursor::new(record.get(32..)?);
            Some(ListGoal {
                target: c.u64_be()?,
                number: c.u32_be()?,
                meta: c.u8()? == 1,
                size: c.u64_be()?,
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled blocklist goal reads back"))
    }
}

/// Turns blocklists into wanted blocks, each blocklist once.
struct Expander<'a> {
    wants: &'a mut Wants,
    table: Table,
    done: Option<Keyset>,
}

impl Expander<'_> {
    /// A blocklist from anywhere; ignored unless it is wanted, not yet seen, and what its name says.
    fn offer(&mut self, id: &Hash, data: &mut dyn Read) -> Result<()> {
        let key = BlockKey::new(id, 0);
        let prefix = &key.as_bytes()[..32];
        if self.wants.lists_wanted == 0 || !self.table.contains(prefix)? {
            return Ok(());
        }
        let done = self
            .done
            .get_or_insert_with(|| Keyset::new(&self.wants.tmp));
        if done.contains(&key)? {
            return Ok(());
        }
        let mut bytes = Vec::new();
        data.take(LIST_BYTES_AT_MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(crate::base::error::unwrap_io)?;
        let params = self.wants.params;
        let len = params.block_hash.len();
        if bytes.len() as u64 > LIST_BYTES_AT_MOST
            || bytes.len() % len != 0
            || params.block_hash.hash(&bytes) != *id
        {
            return Ok(());
        }
        done.insert(&key)?;
        let wants = &mut *self.wants;
        let per_list = wants.per_list();
        self.table.lookup_all(prefix, &mut |record| {
            let goal = ListGoal::decode(record)?;
            let before = u64::from(goal.number) * per_list;
            let named = wants.blocks(goal.size).saturating_sub(before);
            if (bytes.len() / len) as u64 != named.min(per_list) {
                wants.lose(goal.target, goal.meta)?;
            }
            for (j, raw) in bytes.chunks_exact(len).enumerate() {
                let offset = (before + j as u64).saturating_mul(u64::from(params.block_size));
                let size = goal
                    .size
                    .saturating_sub(offset)
                    .min(u64::from(params.block_size));
                let (Some(hash), Ok(size)) = (Hash::from_bytes(raw), u32::try_from(size)) else {
                    continue;
                };
                if size > 0 {
                    wants.want(
                        &BlockKey::new(&hash, size),
                        Goal {
                            target: goal.target,
                            offset,
                            meta: goal.meta,
                        },
                    )?;
                }
            }
            Ok(())
        })
    }

    fn seen(&mut self, id: &Hash) -> Result<bool> {
        match &mut self.done {
            Some(done) => done.contains(&BlockKey::new(id, 0)),
            None => Ok(false),
        }
    }

    /// Ids of wanted blocklists that were not seen, sorted.
    fn missing(&mut self) -> Result<Run> {
        let mut out = crate::spill::run::RunWriter::new(&self.wants.tmp);
        let mut last: Vec<u8> = Vec::new();
        let mut reader = self.table.reader();
        let done = self
            .done
            .get_or_insert_with(|| Keyset::new(&self.wants.tmp));
        while let Some(record) = reader.next()? {
            let id = record.get(..32).unwrap_or_default();
            if last == id {
                continue;
            }
            last = id.to_vec();
            if let Some(hash) = Hash::from_bytes(id)
                && !done.contains(&BlockKey::new(&hash, 0))?
            {
                out.push(id)?;
            }
        }
        out.finish()
    }

    /// Blocklists without a copy in an index volume come from their dblocks (R9), one after the other.
    fn read_dblocks(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        places: &mut Places,
        unindexed: &[VolumeNo],
    ) -> Result<()> {
        let missing = self.missing()?;
        if missing.is_empty() {
            return Ok(());
        }
        if !unindexed.is_empty() {
            set.index_dblocks(ui, unindexed, places)?;
        }
        let mut sorter = Sorter::new(&self.wants.tmp, 1 << 20);
        let mut reader = missing.reader();
        while let Some(id) = reader.next()? {
            for no in volumes_of(places, id)? {
                let mut record = no.to_be_bytes().to_vec();
                record.extend_from_slice(id);
                sorter.add(&record)?;
            }
        }
        let mut stream = sorter.finish()?;
        let mut open: Option<(VolumeNo, crate::set::Opened)> = None;
        let mut failed: Option<VolumeNo> = None;
        while let Some(record) = stream.next()? {
            let (no, id) = record.split_at(4);
            let no = no
                .try_into()
                .map(u32::from_be_bytes)
                .map_err(|_| Error::bug("a volume number has four bytes"))?;
            let hash = full_id(id, self.wants.params.block_hash.len());
            let Some(hash) = hash.filter(|_| failed != Some(no)) else {
                continue;
            };
            // Another volume may have given it already.
            if self.seen(&hash)? {
                continue;
            }
            if open.as_ref().is_none_or(|(have, _)| *have != no) {
                open = None;
                let Some((name, size)) = set.volumes().dblock(no) else {
                    continue;
                };
                ui.verbose(&format!(
                    "reading blocklists from {}",
                    text::safe(name.as_str().as_bytes())
                ));
                match set.fetch(ui, &name, size, Expected::default()) {
                    Ok(opened) => open = Some((no, opened)),
                    Err(e) if is_one_volume(&e) => {
                        ui.warn("unreadable-dblock", &e.to_string());
                        failed = Some(no);
                        continue;
                    }
                    Err(e) => return Err(e),
                }
            }
            let Some((_, opened)) = &open else {
                continue;
            };
            let read = (|| -> Result<()> {
                let zip = opened.zip()?;
                let mut found = None;
                zip.entries(&mut |name, entry| {
                    if crate::format::index::parse_block_name(name)
                        .is_some_and(|h| BlockKey::new(&h, 0) == BlockKey::new(&hash, 0))
                    {
                        found = Some((crate::format::index::parse_block_name(name), entry));
                    }
                    Ok(())
                })?;
                if let Some((Some(id), entry)) = found {
                    let mut reader = zip.reader(entry, set.inflater())?;
                    self.offer(&id, &mut reader)?;
                }
                if self.seen(&hash)? {
                    return Ok(());
                }
                Err(Error::damaged("it lacks or spoils a blocklist"))
            })();
            let volume = || text::safe(opened.name.as_str().as_bytes());
            match read.doing(|| format!("read volume {}", volume())) {
                Err(e) if is_one_volume(&e) => ui.warn("unreadable-dblock", &e.to_string()),
                other => other?,
            }
        }
        Ok(())
    }
}

/// An id cut to 32 bytes compares with any longer one by those.
fn full_id(id: &[u8], len: usize) -> Option<Hash> {
    Hash::from_bytes(id.get(..len.min(32))?)
}

/// True for errors that only concern the volume they came from.
pub(super) fn is_one_volume(e: &Error) -> bool {
    matches!(
        e.kind(),
        Kind::Damaged | Kind::Missing | Kind::Unsupported | Kind::Passphrase
    )
}

/// The outcome of a join.
pub(super) struct Plan {
    /// Volume, key, goal; sorted by volume.
    pub(super) run: Run,
    /// Volumes needed and their sizes together, as far as listed.
    pub(super) volumes: u64,
    pub(super) bytes: u64,
}

/// Finds a volume for every wanted block, preferring volumes that are needed anyway; goals without one go to `lost`.
/// `failed` volumes do not count.
pub(super) fn join(
    wants: &Run,
    places: &Places,
    set: &Set,
    failed: &[bool],
    lost: &mut dyn FnMut(&BlockKey, Goal) -> Result<()>,
) -> Result<Plan> {
    let mut plan = Sorter::new(set.tmp(), SORT_CAP);
    let count = set.volumes().dblock_count() as usize;
    let mut needed = vec![false; count];
    let mut places = places.reader()?;
    let mut place = next_place(&mut places)?;
    let mut wanted = wants.reader();
    let mut current: Option<(BlockKey, Option<VolumeNo>)> = None;
    let mut record = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    while let Some(want) = wanted.next()? {
        if last == want {
            continue;
        }
        last.clear();
        last.extend_from_slice(want);
        let key =
            BlockKey::from_record(want).ok_or_else(|| Error::bug("a wanted block has a key"))?;
        if current.is_none_or(|(k, _)| k != key) {
            while place.is_some_and(|(k, _)| k < key) {
                place = next_place(&mut places)?;
            }
            let mut choice: Option<VolumeNo> = None;
            while let Some((k, no)) = place.filter(|(k, _)| *k == key) {
                debug_assert!(k == key);
                let usable = !failed.get(no as usize).copied().unwrap_or(true);
                let wanted_anyway = needed.get(no as usize).copied().unwrap_or(false);
                let better = choice.is_none_or(|c| {
                    wanted_anyway && !needed.get(c as usize).copied().unwrap_or(false)
                });
                if usable && better {
                    choice = Some(no);
                }
                place = next_place(&mut places)?;
            }
            if let Some(slot) = choice.and_then(|no| needed.get_mut(no as usize)) {
                *slot = true;
            }
            current = Some((key, choice));
        }
        match current.and_then(|(_, choice)| choice) {
            Some(no) => {
                record.clear();
                record.extend_from_slice(&no.to_be_bytes());
                record.extend_from_slice(want);
                plan.add(&record)?;
            }
            None => lost(
                &key,
                Goal::decode(want.get(BlockKey::LEN..).unwrap_or_default())?,
            )?,
        }
    }
    let mut bytes = 0;
    let mut volumes = 0;
    for no in 0..set.volumes().dblock_count() {
        if needed.get(no as usize) == Some(&true) {
            volumes += 1;
            bytes += set
                .volumes()
                .dblock(no)
                .and_then(|(_, size)| size)
                .unwrap_or(0);
        }
    }
    Ok(Plan {
        run: plan.finish()?.into_run()?,
        volumes,
        bytes,
    })
}

fn next_place(reader: &mut crate::set::PlacesReader<'_>) -> Result<Option<(BlockKey, VolumeNo)>> {
    Ok(reader.next()?.and_then(crate::set::split_place))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::digest::Algo;

    /// What is said of content and lists does not fit together: nothing is believed.
    #[test]
    fn contents_that_lie_about_their_size_are_lost() {
        let id = Algo::Sha256.hash(b"x");
        let params = Params {
            block_size: 1024,
            block_hash: Algo::Sha256,
            file_hash: Algo::Sha256,
            version: 2,
        };
        for (size, lists, is_lost) in [
            (0, 0, false),
            (1024, 0, false),
            (1025, 0, true),
            (1025, 1, false),
            (32 * 1024, 1, false),
            (32 * 1024 + 1, 1, true),
            (32 * 1024 + 1, 2, false),
            (1, 2, true),
            (1 << 60, 1, true),
            (u64::MAX, 1, true),
        ] {
            let mut wants = Wants::new(&Tmp::open(None).unwrap(), params);
            let content = Content {
                hash: Some(id),
                size,
                block: None,
                lists: vec![id; lists],
            };
            wants.add(&content, 7, true).unwrap();
            let mut lost = Vec::new();
            wants
                .lost(&mut |target, meta| {
                    lost.push((target, meta));
                    Ok(())
                })
                .unwrap();
            let want: &[_] = if is_lost { &[(7, true)] } else { &[] };
            assert_eq!(lost, want, "{size} bytes in {lists} lists");
        }
    }
}
