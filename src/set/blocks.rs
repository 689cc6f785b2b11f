//! Where blocks are: all dindex volumes read into one sorted table on disk, with what does not fit together reported.
//!
//! A block counts as stored only if its dblock is in the listing with the size its dindex states.

mod search;

use std::io::Read;
use std::io::Write;

use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::tmp::Spool;
use crate::base::ui::{Progress, Ui};
use crate::format::index::{self, IndexEntry};
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::set::block_index::{BlockIndex, Facts, ID_LEN};
use crate::set::index_report::{IndexReport, NAMED_AT_MOST};
use crate::set::place::{PLACE_LEN, Place};
use crate::set::volume::{Expected, Opened, reading};
use crate::set::{Set, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;
use crate::spill::table::Table;
pub(crate) use search::Search;

const SORT_CAP: usize = 6 << 20;

/// A blocklist longer than this is not believed: 512 Ki blocks of one file.
const LIST_BYTES_AT_MOST: u64 = 16 << 20;

/// The bytes of a blocklist copy if they are what its name says. A damaged copy is as good as none: the block itself is in a
/// dblock. `algo` is `None` while the parameters are not known; then the length of the id tells.
fn whole_list(id: &Hash, data: &mut dyn Read, algo: Option<Algo>) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match data.take(LIST_BYTES_AT_MOST + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > LIST_BYTES_AT_MOST => Ok(None),
        Ok(_) => {
            let algo = algo.or_else(|| Algo::of_length(id.as_bytes().len()));
            Ok(algo.is_some_and(|a| a.hash(&bytes) == *id).then_some(bytes))
        }
        Err(e) => match crate::base::error::unwrap_io(e) {
            e if e.kind() == Kind::Damaged => Ok(None),
            e => Err(e),
        },
    }
}

/// Receives each blocklist copy found in a dindex: its id and its bytes.
pub(crate) type ListSink<'a> = dyn FnMut(&Hash, &mut dyn Read) -> Result<()> + 'a;

/// What reading an index volume showed, as it is seen.
pub(crate) enum Seen<'a> {
    /// It was read to its end: the archive.
    Whole(ZipReader<'a>),
    /// It cannot be read.
    Unreadable(&'a Error),
    /// It describes a dblock that is not in the listing.
    Absent(&'a str),
    /// It describes a dblock of another size in bytes than the listing has.
    Resized {
        no: VolumeNo,
        dblock: &'a str,
        stated: u64,
        listed: u64,
        /// The blocks that it should hold: their keys, one after the other.
        keys: &'a mut dyn Read,
    },
    /// Its zip directory is damaged; it was read without.
    Rescued,
    /// Its copy of a blocklist.
    List(&'a Hash, &'a mut dyn Read),
}

/// Receives the number of a dindex and what was seen in it.
pub(crate) type SeenSink<'a> = dyn FnMut(u32, Seen<'_>) -> Result<()> + 'a;

/// What reading index volumes fills.
struct Loading {
    places: BlockIndex,
    report: IndexReport,
    /// Places found in this run.
    sorter: Sorter,
    /// Blocks of the dblock under way.
    scratch: Spool,
}

impl Set {
    /// Reads every dindex, with `cached` those that the cache does not already cover. Blocklists of those read go to
    /// `on_list`. Unreadable index volumes are reported, not fatal; a wrong passphrase is.
    pub(crate) fn load_index(
        &mut self,
        ui: &mut Ui,
        cached: bool,
        on_list: &mut ListSink<'_>,
    ) -> Result<(BlockIndex, IndexReport)> {
        let algo = self.params().map(|p| p.block_hash);
        let (mut spoiled, mut spoilt) = (Vec::<u32>::new(), Vec::<u32>::new());
        let (places, mut report) =
            self.load_index_seeing(ui, cached, &mut |dindex, seen| match seen {
                Seen::List(id, data) => match whole_list(id, data, algo)? {
                    Some(bytes) => on_list(id, &mut bytes.as_slice()),
                    None => {
                        spoilt.push(dindex);
                        if spoiled.last() != Some(&dindex) && spoiled.len() < NAMED_AT_MOST {
                            spoiled.push(dindex);
                        }
                        Ok(())
                    }
                },
                Seen::Rescued => {
                    spoilt.push(dindex);
                    Ok(())
                }
                _ => Ok(()),
            })?;
        spoilt.dedup();
        report.spoilt = spoilt;
        for dindex in spoiled {
            if let Some((name, _)) = self.volumes.dindex(dindex as usize) {
                let why = "its copy of a blocklist is not what its name says";
                report.unreadable(&name, why.to_owned());
            }
        }
        Ok((places, report))
    }

    /// As [`Set::load_index`], telling all that it sees. What the cache covers is not read and so not seen.
    pub(crate) fn load_index_seeing(
        &mut self,
        ui: &mut Ui,
        cached: bool,
        on: &mut SeenSink<'_>,
    ) -> Result<(BlockIndex, IndexReport)> {
        self.list_rest(ui)?;
        let count = self.volumes.dblock_count();
        let mut places = BlockIndex {
            tables: Vec::new(),
            facts: Facts::new(self)?,
            described_by: vec![u32::MAX; count as usize],
            scanned: vec![false; count as usize],
            from_version: false,
            elsewhere: Keyset::new(&self.tmp),
        };
        let mut have = vec![false; self.volumes.dindex_count()];
        let mut described = |no: VolumeNo, dindex, expected| {
            places.described_by[no as usize] = dindex;
            places.facts.set(no, expected)
        };
        let found = match cached {
            true => self
                .cache
                .load_index(&self.volumes, &self.tmp, &mut described),
            false => None,
        };
        if found.is_none() {
            places.described_by.fill(u32::MAX);
            places.facts = Facts::new(self)?;
        }
        if let Some(cached) = found.transpose()? {
            for i in cached.dindexes {
                have[i as usize] = true;
            }
            places.tables.push(cached.table);
        }
        let mut into = Loading {
            places,
            report: IndexReport::default(),
            sorter: Sorter::new(&self.tmp, SORT_CAP),
            scratch: Spool::new(&self.tmp)?,
        };
        for i in 0..have.len() {
            if have[i] {
                continue;
            }
            ui.progress(
                "reading index volumes",
                Progress {
                    files: i as u64,
                    files_total: have.len() as u64,
                    ..Progress::default()
                },
            );
            let (Some((name, size)), Ok(number)) = (self.volumes.dindex(i), u32::try_from(i))
            else {
                continue;
            };
            into.report.fetched += 1;
            let opened = self.fetch(ui, &name, size, Expected::default());
            let opened = self.passphrase_or_damage(opened);
            let done = opened.and_then(|opened| {
                self.read_dindex(&opened, number, &mut into, on)?;
                Ok(opened)
            });
            match done {
                Ok(opened) => on(number, Seen::Whole(opened.zip()))?,
                Err(e) if e.kind().is_of_one_volume() => {
                    on(number, Seen::Unreadable(&e))?;
                    into.report.unreadable(&name, e.to_string());
                    if e.kind() == Kind::Damaged {
                        into.report.unread.push(number);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        let Loading {
            mut places,
            mut report,
            sorter,
            ..
        } = into;
        let fresh = Table::build(sorter.finish()?, PLACE_LEN, ID_LEN, &self.tmp)?;
        if fresh.len() > 0 {
            places.tables.push(fresh);
        }
        report.unindexed = (0..count)
            .filter(|&no| places.described_by[no as usize] == u32::MAX)
            .collect();
        report.places = places.len();
        Ok((places, report))
    }

    /// One dindex into the sorter. Its blocks are held back in `scratch` until its last line said which size the dblock must
    /// have: a dindex for another state of the dblock must not count.
    fn read_dindex(
        &mut self,
        opened: &Opened,
        dindex: u32,
        into: &mut Loading,
        on: &mut SeenSink<'_>,
    ) -> Result<()> {
        let Loading {
            places,
            report,
            sorter,
            scratch,
        } = into;
        let zip = opened.zip();
        if zip.rescued() {
            on(dindex, Seen::Rescued)?;
        }
        let algo = opened.params.block_hash;
        let inflater = &mut self.inflater;
        let volumes = &self.volumes;
        zip.entries(&mut |name, entry| match index::parse_index_entry(name) {
            Some(IndexEntry::Vol(dblock)) => {
                let found = VolumeName::parse(dblock).and_then(|n| volumes.find_dblock(&n));
                let Some((no, listed)) = found.and_then(|no| Some((no, volumes.dblock(no)?.1)))
                else {
                    report.missing(dblock);
                    report.absent.push(dindex);
                    let elsewhere = &mut places.elsewhere;
                    index::read_vol(&mut zip.reader(entry, inflater)?, &mut |hash, _| {
                        elsewhere.insert(&BlockKey::new(&hash, 0)).map(|_| ())
                    })?;
                    return on(dindex, Seen::Absent(dblock));
                };
                scratch.clear()?;
                let mut out = std::io::BufWriter::with_capacity(32 * 1024, &mut *scratch);
                let facts =
                    index::read_vol(&mut zip.reader(entry, inflater)?, &mut |hash, size| {
                        let Ok(size) = u32::try_from(size) else {
                            return Ok(());
                        };
                        if size == 0 || hash.as_bytes().len() != algo.len() {
                            return Ok(());
                        }
                        out.write_all(BlockKey::new(&hash, size).as_bytes())
                            .doing(|| "spool an index volume".to_owned())
                    })?;
                out.flush().doing(|| "spool an index volume".to_owned())?;
                drop(out);
                let stated = facts.size;
                if let (Some(stated), Some(listed)) = (stated, listed)
                    && stated != listed
                {
                    report.missing(&format!(
                        "{dblock} (it has {listed} bytes, its index says {stated})"
                    ));
                    report.resized.push((dindex, no));
                    // Who opens it all the same is told that it is not as it was.
                    if places.described_by.get(no as usize) == Some(&u32::MAX) {
                        let expected = Expected {
                            hash: facts.hash,
                            size: facts.size,
                        };
                        places.facts.set(no, expected)?;
                    }
                    scratch.rewind()?;
                    let seen = Seen::Resized {
                        no,
                        dblock,
                        stated,
                        listed,
                        keys: scratch,
                    };
                    return on(dindex, seen);
                }
                scratch.rewind()?;
                let mut input = std::io::BufReader::with_capacity(32 * 1024, &mut *scratch);
                let mut raw = [0; BlockKey::LEN];
                loop {
                    match input.read_exact(&mut raw) {
                        Ok(()) => {
                            if let Some(key) = BlockKey::from_record(&raw) {
                                sorter.add(&Place { key, no }.encode())?;
                            }
                        }
                        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => break,
                        Err(e) => return Err(e).doing(|| "read a temporary file".to_owned()),
                    }
                }
                if let Some(slot) = places.described_by.get_mut(no as usize) {
                    *slot = dindex;
                }
                places.facts.set(
                    no,
                    Expected {
                        hash: facts.hash,
                        size: facts.size,
                    },
                )
            }
            Some(IndexEntry::List(id)) => {
                if entry.size == 0 || entry.size > u64::from(opened.params.block_size) {
                    return Ok(());
                }
                on(dindex, Seen::List(&id, &mut zip.reader(entry, inflater)?))
            }
            _ => Ok(()),
        })
        .doing(|| reading(&opened.name))
    }

    /// The dblocks of the listing that a dindex describes, whatever it says of them. Errors that are of one volume: it cannot
    /// be read. Costs its download.
    pub(crate) fn described_by(&mut self, ui: &mut Ui, dindex: u32) -> Result<Vec<VolumeNo>> {
        let Some((name, size)) = self.volumes.dindex(dindex as usize) else {
            return Ok(Vec::new());
        };
        let opened = self.fetch(ui, &name, size, Expected::default());
        let opened = self.passphrase_or_damage(opened)?;
        let mut found = Vec::new();
        opened
            .zip()
            .entries(&mut |name, _| {
                if let Some(IndexEntry::Vol(dblock)) = index::parse_index_entry(name) {
                    let no = VolumeName::parse(dblock).and_then(|n| self.volumes.find_dblock(&n));
                    found.extend(no);
                }
                Ok(())
            })
            .doing(|| reading(&opened.name))?;
        Ok(found)
    }

    /// Blocklist copies of the given dindex volumes (numbers of this listing).
    pub(crate) fn read_lists(
        &mut self,
        ui: &mut Ui,
        dindexes: &[u32],
        on_list: &mut ListSink<'_>,
    ) -> Result<()> {
        for &i in dindexes {
            let Some((name, size)) = self.volumes.dindex(i as usize) else {
                continue;
            };
            let opened = self.fetch(ui, &name, size, Expected::default());
            let opened = self.passphrase_or_damage(opened);
            let done = opened.and_then(|opened| {
                let zip = opened.zip();
                let inflater = &mut self.inflater;
                zip.entries(&mut |name, entry| match index::parse_index_entry(name) {
                    Some(IndexEntry::List(id))
                        if entry.size > 0 && entry.size <= u64::from(opened.params.block_size) =>
                    {
                        let algo = Some(opened.params.block_hash);
                        match whole_list(&id, &mut zip.reader(entry, inflater)?, algo)? {
                            Some(bytes) => on_list(&id, &mut bytes.as_slice()),
                            None => Ok(()),
                        }
                    }
                    _ => Ok(()),
                })
            });
            match done {
                Err(e) if e.kind().is_of_one_volume() => {
                    ui.warn("unreadable-index", &e.to_string());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Remembers an index that was read whole and clean, best effort.
    pub(crate) fn store_index(&self, places: &BlockIndex) -> Result<()> {
        self.cache.store_index(&self.volumes, places)
    }
}
