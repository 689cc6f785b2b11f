//! What is lost with blocks that no volume holds: which entries of which versions. Every index volume is read, and the lists of
//! the versions asked for; dblocks only where no index describes them, or for a blocklist that no index copies.
//!
//! Memory: the sorts' caps and a byte a volume; ids are sorted and looked up on disk.

use std::io::Read;

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::Entry;
use crate::format::locator::Extents;
use crate::format::manifest::Params;
use crate::format::names::VolumeName;
use crate::set::{
    BlockIndex, BlocklistRefs, IndexReport, ListReader, ListState, ListsInDblocks, Record, Search,
    Set, Stamp, State, Stored, Told, VolumeFaults, VolumeNo, broken, told,
};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 1 << 20;
const ID_LEN: usize = 32;
/// A blocklist longer than this is not believed: 512 Ki blocks of one file.
const LIST_BYTES_AT_MOST: u64 = 16 << 20;

/// What an entry loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Bytes of the file.
    Data,
    /// Owner, permissions, times and attributes; of a link its target.
    Metadata,
}

/// What is stored, as the index volumes tell it, without some volumes.
pub(crate) struct Losses {
    params: Params,
    places: BlockIndex,
    /// Blocks that only the volumes left out hold; keys of size 0.
    lost: Keyset,
    /// Blocklists whose members are known, and those of them that name a block that is stored nowhere.
    known: Keyset,
    broken: Keyset,
    without: Vec<bool>,
    pub(crate) index: IndexReport,
    /// dblocks that are there, in which something may be that no index describes, and that cannot be read.
    pub(crate) unread: u64,
    /// Blocklists of the versions that were prepared of which no index has a copy (keys of size 0), and by number the dblocks
    /// that hold one.
    pub(super) uncopied: Keyset,
    pub(super) poor: Vec<bool>,
    /// Blocklists (keys of size 0) with a member that no index names, and what was looked for in the volumes.
    untold: Keyset,
    search: Option<Search>,
}

/// What is stored: all places and what the index volumes told, the blocklists whose members are known, and those that no index
/// copies (keys of size 0).
pub(super) struct Stock {
    pub(super) index: (BlockIndex, IndexReport),
    pub(super) lists: Keyset,
    pub(super) uncopied: Keyset,
    /// Those of `lists` (keys of size 0) that name a block which is stored nowhere.
    pub(super) broken: Keyset,
}

impl Losses {
    /// Reads every index volume; the dblocks of `without` count as if they were not there. dblocks that no index describes are
    /// downloaded, and what is inside them counts as stored.
    pub(crate) fn open(set: &mut Set, ui: &mut Ui, without: &[VolumeNo]) -> Result<Losses> {
        let params = set.learn_params(ui)?;
        let (known, members, (mut places, index)) = read_indexes(set, ui, &params)?;
        let mut gone = vec![false; set.volumes().dblock_count() as usize];
        for &no in without {
            if let Some(mark) = gone.get_mut(no as usize) {
                *mark = true;
            }
        }
        let is_gone = |no: VolumeNo| gone.get(no as usize).copied().unwrap_or(false);
        let unread: Vec<VolumeNo> = index
            .unindexed
            .iter()
            .copied()
            .filter(|no| !is_gone(*no))
            .collect();
        let unread = set.index_dblocks(ui, &unread, &mut places, false)?;
        let mut out = Losses {
            params,
            lost: only_in(set, &places, &gone)?,
            places,
            known,
            broken: Keyset::new(set.tmp()),
            uncopied: Keyset::new(set.tmp()),
            poor: vec![false; gone.len()],
            without: gone,
            index,
            unread,
            untold: Keyset::new(set.tmp()),
            search: Some(Search::new(set)),
        };
        out.settle(set, members)?;
        Ok(out)
    }

    /// Looks into the volumes themselves for what no index names, once, if `suspects` lose by it; true when that may have found
    /// something. Costs as [`Search::run`].
    fn look_inside(&mut self, set: &mut Set, ui: &mut Ui, suspects: &Run) -> Result<bool> {
        let Some(mut search) = self.search.take() else {
            return Ok(false);
        };
        let (mut reader, mut any) = (suspects.reader(), false);
        while let Some(record) = reader.next()? {
            let entry = Record::decode(record.get(8..).unwrap_or_default())?.entry;
            for (content, meta) in [(&entry.content, false), (&entry.meta, true)] {
                let Some(content) = content else { continue };
                match told(self.params, content, meta) {
                    Told::Block(id) => {
                        any |= search.add(&mut self.places, &BlockKey::new(&id, 0))?
                    }
                    Told::Lists(lists) => {
                        for id in lists {
                            let key = BlockKey::new(id, 0);
                            let known = self.known.contains(&key)?;
                            any |= self.untold.contains(&key)?
                                || !known && search.add(&mut self.places, &key)?;
                        }
                    }
                    Told::Empty | Told::Untold => {}
                }
            }
        }
        if !any {
            self.search = Some(search);
            return Ok(false);
        }
        search.everywhere = true;
        if !search.run(set, ui, &mut self.places, &self.without)? {
            return Ok(false);
        }
        self.unread += search.unread;
        // What the indexes tell of blocklists is weighed again.
        let (known, members, _) = read_indexes(set, ui, &self.params)?;
        (self.known, self.broken) = (known, Keyset::new(set.tmp()));
        self.lost = only_in(set, &self.places, &self.without)?;
        for (poor, hit) in self.poor.iter_mut().zip(&search.hits) {
            *poor |= hit;
        }
        self.settle(set, members)?;
        Ok(true)
    }

    /// Asks for volumes that the listing does not show, those that are known by name, before anything is given up with them:
    /// `Busy` when one is there. Costs a request for each, 20 at most.
    pub(super) fn confirm(&self, set: &mut Set, ui: &mut Ui) -> Result<()> {
        for name in self
            .index
            .missing
            .iter()
            .filter_map(|n| VolumeName::parse(n))
        {
            let volumes = set.volumes();
            let listed = volumes.find_dblock(&name).and_then(|no| volumes.dblock(no));
            if listed.is_none() && set.remote().stat(ui, name.as_str())?.is_some() {
                return Err(Error::new(
                    Kind::Busy,
                    format!(
                        "volume {} is there, but the listing does not show it",
                        name.as_str()
                    ),
                )
                .hint("nothing was changed; run again when the destination lists all it holds"));
            }
        }
        Ok(())
    }

    /// Looks up the members of blocklists.
    fn settle(&mut self, set: &Set, members: BlocklistRefs) -> Result<()> {
        let members = members.finish()?;
        let mut absent = RunWriter::new(set.tmp());
        broken(
            &members,
            &self.places,
            &mut self.lost,
            &mut self.broken,
            &mut |record, volumes| match volumes.is_empty() && self.search.is_some() {
                true => absent.push(record),
                false => Ok(()),
            },
        )?;
        let absent = absent.finish()?;
        let mut reader = absent.reader();
        while let (Some(search), Some(record)) = (&mut self.search, reader.next()?) {
            let (member, list) = record.split_at_checked(ID_LEN).unwrap_or_default();
            if let (Some(member), Some(list)) = (Hash::from_bytes(member), Hash::from_bytes(list))
                && search.add(&mut self.places, &BlockKey::new(&member, 0))?
            {
                self.untold.insert(&BlockKey::new(&list, 0))?;
            }
        }
        Ok(())
    }

    fn progress(&self, set: &Set, ui: &mut Ui, version: usize) {
        let progress = Progress {
            files: version as u64,
            files_total: set.volumes().dlists().len() as u64,
            ..Progress::default()
        };
        ui.progress("checking versions", progress);
    }

    /// Asks for the blocklists of an entry of which nobody knows the members yet.
    fn ask(&mut self, entry: &Entry, asked: &mut Sorter) -> Result<()> {
        for content in entry.content.iter().chain(&entry.meta) {
            for id in &content.lists {
                if !self.known.contains(&BlockKey::new(id, 0))? {
                    asked.add(id.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn params(&self) -> &Params {
        &self.params
    }

    pub(super) fn places(&self) -> &BlockIndex {
        &self.places
    }

    /// What a repair goes on with; the rest is given up, so that there is room for what comes.
    pub(super) fn into_stock(self) -> Stock {
        Stock {
            index: (self.places, self.index),
            lists: self.known,
            uncopied: self.uncopied,
            broken: self.broken,
        }
    }

    /// Numbers of the dindexes that describe nothing but volumes that are not there.
    pub(super) fn only_absent(&self, set: &Set) -> Vec<u32> {
        let mut absent = self.index.absent.clone();
        absent.sort_unstable();
        absent.dedup();
        let dblocks = 0..set.volumes().dblock_count();
        let mut in_use: Vec<u32> = dblocks
            .filter_map(|no| self.places.dindex_of(no))
            .chain(self.index.resized.iter().map(|r| r.0))
            .collect();
        in_use.sort_unstable();
        absent.retain(|i| in_use.binary_search(i).is_err());
        absent
    }

    /// Gets the list of a version, and the blocklists that its entries name and no index volume copies: the entries that may lose
    /// something, in the order of the list; see [`Losses::each`]. Few as a rule; on disk. Where one loses what no index names, the
    /// volumes are looked through, once.
    pub(crate) fn suspects(&mut self, set: &mut Set, ui: &mut Ui, version: usize) -> Result<Run> {
        let suspects = self.suspects_by_index(set, ui, version)?;
        match !suspects.is_empty() && self.look_inside(set, ui, &suspects)? {
            true => self.suspects_by_index(set, ui, version),
            false => Ok(suspects),
        }
    }

    fn suspects_by_index(&mut self, set: &mut Set, ui: &mut Ui, version: usize) -> Result<Run> {
        self.progress(set, ui, version);
        let mut asked = Sorter::new(set.tmp(), SORT_CAP);
        let mut suspects = RunWriter::new(set.tmp());
        let (mut record, mut number) = (Vec::new(), 0u64);
        set.files(ui, version, &mut |entry| {
            number += 1;
            if self.loss(&entry)?.is_none() {
                return Ok(());
            }
            self.ask(&entry, &mut asked)?;
            record.clear();
            record.extend_from_slice(&number.to_be_bytes());
            let stamp = Stamp::default();
            let extents = Extents::default();
            Record {
                entry,
                stamp,
                extents,
            }
            .encode(&mut record);
            suspects.push(&record)
        })?;
        if !asked.is_empty() {
            self.lists_from_dblocks(set, ui, asked)?;
        }
        suspects.finish()
    }

    /// Every entry of `suspects` that loses something.
    pub(crate) fn each(
        &mut self,
        suspects: &Run,
        each: &mut dyn FnMut(&Entry, Loss) -> Result<()>,
    ) -> Result<()> {
        let mut reader = suspects.reader();
        while let Some(record) = reader.next()? {
            let entry = Record::decode(record.get(8..).unwrap_or_default())?.entry;
            if let Some(loss) = self.loss(&entry)? {
                each(&entry, loss)?;
            }
        }
        Ok(())
    }

    /// What an entry of the version that was prepared last, or of one before, loses.
    pub(super) fn loss(&mut self, entry: &Entry) -> Result<Option<Loss>> {
        let (data, meta) = Stored::entry(self, entry)?;
        // What cannot be found out cannot be restored either.
        if data != State::Whole {
            return Ok(Some(Loss::Data));
        }
        Ok((meta != State::Whole).then_some(Loss::Metadata))
    }

    /// The members of blocklists that no index volume copies, volume by volume. What cannot be read stays unknown.
    fn lists_from_dblocks(&mut self, set: &mut Set, ui: &mut Ui, asked: Sorter) -> Result<()> {
        let mut wanted = ListsInDblocks::new(set.tmp());
        let mut asked = asked.finish()?;
        let mut last = None;
        while let Some(id) = asked.next()?.and_then(Hash::from_bytes) {
            if last.replace(id) == Some(id) {
                continue;
            }
            self.uncopied.insert(&BlockKey::new(&id, 0))?;
            let held = self.places.find_id(&id)?;
            let counts = |no: &VolumeNo| !self.without.get(*no as usize).copied().unwrap_or(false);
            if let Some(no) = held.iter().map(|p| p.0).find(counts) {
                if let Some(poor) = self.poor.get_mut(no as usize) {
                    *poor = true;
                }
                wanted.look_in(no, &id)?;
            }
        }
        let mut members = BlocklistRefs::new(set.tmp(), self.params.block_hash.len());
        let mut reader = MemberReader {
            params: self.params,
            known: &mut self.known,
            members: &mut members,
        };
        wanted.read(set, ui, &self.places, VolumeFaults::Silent, &mut reader)?;
        self.settle(set, members)
    }
}

impl Stored for Losses {
    fn params(&self) -> Params {
        self.params
    }

    /// True when a volume that counts holds the block.
    fn block(&mut self, id: &Hash) -> Result<bool> {
        if !self.lost.is_empty() && self.lost.contains(&BlockKey::new(id, 0))? {
            return Ok(false);
        }
        self.places.contains_id(id)
    }

    fn list(&mut self, id: &Hash) -> Result<ListState> {
        let key = BlockKey::new(id, 0);
        Ok(if self.broken.contains(&key)? {
            ListState::Broken
        } else if self.known.contains(&key)? {
            ListState::Whole
        } else {
            ListState::Unknown
        })
    }
}

/// Takes the members of blocklists that dblocks hold.
struct MemberReader<'a> {
    params: Params,
    known: &'a mut Keyset,
    members: &'a mut BlocklistRefs,
}

impl ListReader for MemberReader<'_> {
    fn take(&mut self, id: &Hash, data: &mut dyn Read) -> Result<bool> {
        let mut bytes = Vec::new();
        let read = data.take(LIST_BYTES_AT_MOST).read_to_end(&mut bytes);
        if read.is_err() || self.params.block_hash.hash(&bytes) != *id {
            return Ok(false);
        }
        if self.known.insert(&BlockKey::new(id, 0))? {
            self.members.add(id, &mut bytes.as_slice())?;
        }
        Ok(true)
    }
}

/// The blocklists of which index volumes have copies (keys of size 0), their members, and what else these tell.
fn read_indexes(
    set: &mut Set,
    ui: &mut Ui,
    params: &Params,
) -> Result<(Keyset, BlocklistRefs, (BlockIndex, IndexReport))> {
    let mut known = Keyset::new(set.tmp());
    let mut members = BlocklistRefs::new(set.tmp(), params.block_hash.len());
    let index = set.load_index(ui, false, &mut |id, data| {
        if known.insert(&BlockKey::new(id, 0))? {
            members.add(id, data)?;
        }
        Ok(())
    })?;
    Ok((known, members, index))
}

/// Blocks that no volume holds but those marked. One pass over all places.
fn only_in(set: &Set, places: &BlockIndex, gone: &[bool]) -> Result<Keyset> {
    let mut out = Keyset::new(set.tmp());
    if !gone.contains(&true) {
        return Ok(out);
    }
    let mut reader = places.reader()?;
    // The id at hand, and whether all of its places so far are in marked volumes.
    let mut at: Option<([u8; ID_LEN], bool)> = None;
    let mut close = |at: Option<([u8; ID_LEN], bool)>| -> Result<()> {
        if let Some((id, true)) = at
            && let Some(id) = Hash::from_bytes(&id)
        {
            out.insert(&BlockKey::new(&id, 0))?;
        }
        Ok(())
    };
    while let Some(place) = reader.next()? {
        let Some(id) = place.key.as_bytes().first_chunk::<ID_LEN>() else {
            continue;
        };
        let marked = gone.get(place.no as usize).copied().unwrap_or(false);
        match &mut at {
            Some((same, all)) if same == id => *all &= marked,
            _ => close(at.replace((*id, marked)))?,
        }
    }
    close(at)?;
    Ok(out)
}
