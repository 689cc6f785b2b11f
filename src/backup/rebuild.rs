//! Lost blocks looked for where they came from: in the files of this machine that the versions name, each block at its place
//! and proved by its hash.

use crate::backup::attrs::{Collected, Collector, Subject, bare};
use crate::backup::given::{Given, open};
use crate::backup::source::{Source, fs_path};
use crate::backup::split::blob_at_most;
use crate::base::bytes::Cursor;
use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Error, Result};
use crate::base::sys::{self, Dir, FileKind, Spot};
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry};
use crate::format::locator::Extents;
use crate::format::manifest::Params;
use crate::set::{Record, Reference, Stamp};
use crate::spill::keyset::Keyset;
use crate::spill::run::{Run, RunReader, RunWriter};
use crate::spill::sorter::Sorter;
use crate::writer::Writer;

const SORT_CAP: usize = 1 << 20;

/// What a search came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rebuilt {
    /// Different blocks that versions need and no volume holds, and those of them that were found.
    pub(crate) lost: u64,
    pub(crate) found: u64,
    /// Contents of which a lost blocklist does not tell the blocks, and those of them that were found whole.
    pub(crate) unknown: u64,
    pub(crate) known_again: u64,
    /// A signal ended it.
    stopped: bool,
}

impl Rebuilt {
    /// True when nothing is lost any more.
    pub(crate) fn is_whole(&self) -> bool {
        self.found >= self.lost && self.known_again >= self.unknown && !self.stopped
    }
}

/// Offsets in what is told of an entry: blocks have the offsets below.
const LIST: u64 = u64::MAX;
const UNKNOWN: u64 = u64::MAX - 1;

/// One lost block of one entry, or that its blocks are not known. Sorts by version, newest first, entry, content before
/// metadata, offset.
#[derive(Clone, Copy)]
struct Wanted {
    version: u32,
    entry: u64,
    meta: bool,
    offset: u64,
    key: BlockKey,
}

impl Wanted {
    fn encode(self) -> Vec<u8> {
        let mut out = self.version.to_be_bytes().to_vec();
        out.extend_from_slice(&self.entry.to_be_bytes());
        out.push(u8::from(self.meta));
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out
    }

    fn decode(record: &[u8]) -> Result<Wanted> {
        let parsed = || {
            let mut c = Cursor::new(record);
            Some(Wanted {
                version: c.u32_be()?,
                entry: c.u64_be()?,
                meta: c.u8()? == 1,
                offset: c.u64_be()?,
                key: BlockKey::from_record(c.rest())?,
            })
        };
        parsed().ok_or_else(|| Error::bug("a lost block reads back"))
    }
}

/// Looks for all blocks that the versions need and that no volume holds but those of `without` (by number), and stores what is
/// found. Nothing but what has the right hash is stored. In a dry run all is read and nothing stored.
///
/// Costs as [`Writer::lost`]; then the lists of the versions that name lost blocks, and the files. Memory: the sorts' caps and
/// two blocks.
pub(crate) fn rebuild(writer: &mut Writer<'_>, ui: &mut Ui, without: &[bool]) -> Result<Rebuilt> {
    let tmp = writer.set.tmp().clone();
    let versions: Vec<usize> = (0..writer.set.volumes().dlists().len()).collect();
    let mut sorter = Sorter::new(&tmp, SORT_CAP);
    let (mut different, mut lists) = (Keyset::new(&tmp), Keyset::new(&tmp));
    let mut done = Rebuilt::default();
    writer.lost(ui, &versions, without, &mut |key, reference: Reference| {
        let offset = match (key, reference.offset) {
            (None, _) => UNKNOWN,
            (Some(_), None) => LIST,
            (Some(_), Some(offset)) => offset,
        };
        let unknown = BlockKey::new(&Hash::from_bytes(&[0; 32]).ok_or_else(no_id)?, 0);
        if let Some(key) = key {
            done.lost += u64::from(different.insert(key)?);
            if offset == LIST {
                let id = Hash::from_bytes(&key.as_bytes()[..32]).ok_or_else(no_id)?;
                lists.insert(&BlockKey::new(&id, 0))?;
            }
        }
        let wanted = Wanted {
            version: Error::fits(reference.version)?,
            entry: reference.entry,
            meta: reference.meta,
            offset,
            key: key.copied().unwrap_or(unknown),
        };
        sorter.add(&wanted.encode())
    })?;
    if sorter.is_empty() {
        return Ok(done);
    }
    let wanted = sorter.finish()?.into_run()?;
    let params = *writer.params();
    let most = blob_at_most(&params);
    let mut search = Search {
        params,
        collectors: [Collector::new(false, most), Collector::new(true, most)],
        without,
        done,
        unknown: [Keyset::new(&tmp), Keyset::new(&tmp)],
    };
    if !lists.is_empty() {
        search.copies(writer, ui, &mut lists)?;
    }
    let entries = entries(writer, ui, &wanted, &versions)?;
    let mut records = wanted.reader();
    let mut next = take(&mut records)?;
    let mut owners = entries.reader();
    let total = entries.len();
    let mut at = 0;
    while let Some(record) = owners.next()? {
        let (place, rest) = record.split_at_checked(12).ok_or_else(no_id)?;
        let entry = Record::decode(rest)?.entry;
        ui.progress(
            "looking for lost blocks",
            Progress {
                files: at,
                files_total: total,
                ..Progress::default()
            },
        );
        at += 1;
        let ours = |wanted: &Wanted| wanted.encode().starts_with(place);
        search.entry(writer, ui, &entry, &mut || {
            let Some(wanted) = next.filter(|w| ours(w)) else {
                return Ok(None);
            };
            next = take(&mut records)?;
            Ok(Some(wanted))
        })?;
        if sys::stops_requested() > 0 {
            search.done.stopped = true;
            break;
        }
    }
    Ok(search.done)
}

fn no_id() -> Error {
    Error::bug("what was spilled for a lost block reads back")
}

/// One for all contents that have the same blocklists.
fn of_lists(content: &Content) -> BlockKey {
    let mut hasher = Algo::Sha256.hasher();
    for list in &content.lists {
        hasher.update(list.as_bytes());
    }
    BlockKey::new(&hasher.finish(), 0)
}

fn take(records: &mut RunReader) -> Result<Option<Wanted>> {
    records.next()?.map(Wanted::decode).transpose()
}

/// The entries that lost blocks belong to, in the order of the records: version and number, then the entry.
fn entries(writer: &mut Writer<'_>, ui: &mut Ui, wanted: &Run, versions: &[usize]) -> Result<Run> {
    let mut out = RunWriter::new(writer.set.tmp());
    let mut records = wanted.reader();
    let mut next = take(&mut records)?;
    for &version in versions {
        if next.is_none_or(|w| w.version as usize != version) {
            continue;
        }
        let mut number = 0;
        let mut encoded = Vec::new();
        writer.set.files(ui, version, &mut |entry| {
            let own = |w: &Wanted| w.version as usize == version && w.entry == number;
            if let Some(first) = next.filter(own) {
                encoded.clear();
                encoded.extend_from_slice(&first.encode()[..12]);
                Record {
                    entry,
                    stamp: Stamp::default(),
                    extents: Extents::default(),
                }
                .encode(&mut encoded);
                out.push(&encoded)?;
                while next.as_ref().is_some_and(own) {
                    next = take(&mut records)?;
                }
            }
            number += 1;
            Ok(())
        })?;
    }
    out.finish()
}

struct Search<'a> {
    params: Params,
    /// With attributes, and without.
    collectors: [Collector; 2],
    without: &'a [bool],
    done: Rebuilt,
    /// Contents whose blocks a lost blocklist does not tell, and those of them that were found: several files may have one.
    unknown: [Keyset; 2],
}

impl Search<'_> {
    /// Lost blocklists of which an index has a copy.
    fn copies(&mut self, writer: &mut Writer<'_>, ui: &mut Ui, lists: &mut Keyset) -> Result<()> {
        let count: u32 = Error::fits(writer.set.volumes().dindex_count())?;
        let all: Vec<u32> = (0..count).collect();
        let mut useful = |id: &Hash| lists.contains(&BlockKey::new(id, 0));
        self.done.found += writer.add_lists_of(ui, &all, self.without, &mut useful)?;
        Ok(())
    }

    /// One entry, with everything that is wanted of it.
    fn entry(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        entry: &Entry,
        next: &mut dyn FnMut() -> Result<Option<Wanted>>,
    ) -> Result<()> {
        let (mut file, mut blob): (Option<Option<Given>>, Option<Option<Given>>) = (None, None);
        let mut data = Vec::new();
        while let Some(wanted) = next()? {
            let content = match wanted.meta {
                false => &entry.content,
                true => &entry.meta,
            };
            let Some(content) = content else {
                continue;
            };
            match wanted.offset {
                UNKNOWN => {
                    self.done.unknown += u64::from(self.unknown[0].insert(&of_lists(content))?);
                    if self.unknown[1].contains(&of_lists(content))? {
                        continue;
                    }
                }
                // Another file gave it.
                _ if writer.holds(ui, &wanted.key, self.without)? => continue,
                _ => {}
            }
            let given = match wanted.meta {
                false => file.get_or_insert_with(|| open(entry).map(Given::File)),
                true => blob.get_or_insert_with(|| self.blob(entry).map(Given::Blob)),
            };
            let Some(given) = given else {
                continue;
            };
            match wanted.offset {
                UNKNOWN => {
                    if self.lists(writer, ui, content, given, None)? {
                        let new = self.unknown[1].insert(&of_lists(content))?;
                        self.done.known_again += u64::from(new);
                    }
                }
                LIST => {
                    self.lists(writer, ui, content, given, Some(&wanted.key))?;
                }
                offset => {
                    if !given.read(&mut data, offset, wanted.key.size() as usize) {
                        continue;
                    }
                    let id = self.params.block_hash.hash(&data);
                    if BlockKey::new(&id, wanted.key.size()) == wanted.key {
                        self.done.found += u64::from(writer.add_again(ui, &id, &data)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the blocklists of a content again, all or the one wanted, and stores those that come out as the version names
    /// them, with all blocks of theirs that are lost. True when all of them did.
    fn lists(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        content: &Content,
        given: &Given,
        only: Option<&BlockKey>,
    ) -> Result<bool> {
        let params = self.params;
        let block = u64::from(params.block_size).max(1);
        let per_list = u64::from(params.hashes_per_list()).max(1);
        let (mut data, mut list, mut all) = (Vec::new(), Vec::new(), true);
        let mut from = 0;
        for id in &content.lists {
            let end = from + (per_list * block).min(content.size.saturating_sub(from));
            let starts = (from..end).step_by(usize::try_from(block).unwrap_or(usize::MAX));
            from = end;
            let short = BlockKey::new(id, 0);
            if only.is_some_and(|key| key.as_bytes()[..32] != short.as_bytes()[..32]) {
                continue;
            }
            let len = |at: u64| usize::try_from(block.min(content.size - at)).unwrap_or(0);
            list.clear();
            let mut read = true;
            for at in starts.clone() {
                read = read && given.read(&mut data, at, len(at));
                if read {
                    list.extend_from_slice(params.block_hash.hash(&data).as_bytes());
                }
            }
            if !read || params.block_hash.hash(&list) != *id {
                all = false;
                continue;
            }
            let key = BlockKey::new(id, Error::fits(list.len())?);
            if !writer.holds(ui, &key, self.without)? {
                self.done.found += u64::from(writer.add_list_again(ui, id, &list)?);
            }
            if only.is_some() {
                continue;
            }
            // Its members were not told: each is stored unless it is.
            for (at, member) in starts.zip(list.chunks_exact(params.block_hash.len())) {
                let Some(member) = Hash::from_bytes(member) else {
                    continue;
                };
                let key = BlockKey::new(&member, Error::fits(len(at))?);
                if writer.holds(ui, &key, self.without)? {
                    continue;
                }
                if given.read(&mut data, at, len(at)) && params.block_hash.hash(&data) == member {
                    writer.add_again(ui, &member, &data)?;
                } else {
                    all = false;
                }
            }
        }
        Ok(all)
    }

    /// The metadata that a backup would store of the entry now, if it is the one that the version names.
    fn blob(&mut self, entry: &Entry) -> Option<Vec<u8>> {
        let meta = entry.meta.as_ref()?;
        let algo = self.params.file_hash;
        let fits = |blob: &[u8]| {
            blob.len() as u64 == meta.size
                && match meta.hash {
                    Some(hash) => {
                        algo.hash(blob) == hash || self.params.block_hash.hash(blob) == hash
                    }
                    None => false,
                }
        };
        let nothing = bare(None);
        if fits(&nothing) {
            return Some(nothing);
        }
        let source = Source {
            path: entry.path.clone(),
        };
        let (folder, name) = source.place();
        let dir = Dir::place(fs_path(folder)).ok()?;
        for follow in [false, true] {
            let spot = Spot {
                dir: &dir,
                name,
                follow,
            };
            let stat = spot.stat().ok()?;
            let link = match stat.kind {
                FileKind::Symlink => Some(spot.read_link().ok()?.into_encoded_bytes()),
                _ => None,
            };
            for collector in &mut self.collectors {
                let subject = Subject {
                    spot,
                    open: None,
                    path: fs_path(&entry.path),
                    stat: &stat,
                    link: link.as_deref(),
                };
                let collected = collector.collect(&mut Ui::silent(), &subject, false);
                if let Ok(Collected::Blob(blob)) = collected
                    && fits(&blob)
                {
                    return Some(blob);
                }
            }
        }
        None
    }
}
