//! dblocks that were uploaded without their dindex, by a run that was killed between the two: read once, indexed, used again.

use std::io::{BufWriter, Read, Write};

use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::{Progress, Ui};
use crate::format::deflate::Inflater;
use crate::format::index::{VolWriter, parse_block_name};
use crate::format::names::{VolumeKind, VolumeName};
use crate::set::{Expected, Opened, Place, VolumeNo, reading};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;
use crate::writer::pack::Finished;
use crate::writer::{ENTRIES_AT_MOST, LISTS_AT_MOST, WriteStats, Writer};

/// What was found in a volume, before anything of it counts.
struct Found {
    vol: VolWriter<BufWriter<Spool>>,
    lists: Spool,
    list_ids: Vec<(Hash, u32)>,
    keys: Vec<BlockKey>,
}

impl Writer<'_> {
    /// Reads every dblock that no index volume describes, checks each block in it, and writes its index: its blocks are then
    /// stored like all others. One that is damaged, or not protected as this run's volumes are, is left aside with a note and
    /// not fetched again as long as the cache lives. A stop ends it after the volume in hand. Does nothing in a dry run.
    ///
    /// To be called before anything is stored. Costs a download of each such volume. Memory: the keys of one volume, 36 bytes
    /// each for at most 65,000 blocks, and one block.
    pub(crate) fn adopt(&mut self, ui: &mut Ui) -> Result<()> {
        if self.is_dry() {
            return Ok(());
        }
        let unindexed = self.whole_index(ui)?.1.unindexed.clone();
        if unindexed.is_empty() {
            return Ok(());
        }
        if self.uploads.count > 0 || self.pack.is_some() {
            return Err(Error::bug("volumes are adopted before others are stored"));
        }
        let mut aside = self.set.cache().load_aside();
        let known = aside.len();
        let (mut adopted, mut blocks) = (0u64, 0u64);
        let mut left: Vec<VolumeNo> = Vec::new();
        for (at, &no) in (0u64..).zip(&unindexed) {
            let Some((name, size)) = self.set.volumes().dblock(no) else {
                continue;
            };
            if sys::stops_requested() > 0
                || name.encryption().is_some() != self.set.encrypts()
                || aside.contains(&(name.as_str().to_owned(), size))
            {
                left.push(no);
                continue;
            }
            ui.progress(
                "reading volumes without an index",
                Progress {
                    files: at,
                    files_total: unindexed.len() as u64,
                    ..Progress::default()
                },
            );
            match self.step(|writer| writer.adopt_one(ui, no, &name, size, true)) {
                Ok(Ok(n)) => {
                    adopted += 1;
                    blocks += n;
                }
                Ok(Err(e)) => {
                    left.push(no);
                    ui.note(&format!(
                        "{e}; no index and no version is known to need it, it is left aside"
                    ));
                    if e.kind() != Kind::Missing {
                        aside.push((name.as_str().to_owned(), size));
                    }
                }
                Err(e) => return Err(e),
            }
        }
        if aside.len() > known
            && let Err(e) = self.set.cache().store_aside(&aside)
        {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
        if let Some((_, report)) = &mut self.index {
            report.unindexed = left;
        }
        if adopted > 0 {
            ui.note(&format!(
                "{} without an index {} read and indexed: {} used again",
                text::count(adopted, "volume"),
                if adopted == 1 { "was" } else { "were" },
                text::count(blocks, "block"),
            ));
            self.find_broken_lists()?;
        }
        Ok(())
    }

    /// Reads a dblock, checks each block in it, and writes an index for it, whatever is said of it now. The inner error is the
    /// volume's; then nothing was written. The number of its blocks. A dry run writes nothing, and reads the volume only if
    /// `read_dry`; else it gives 0.
    pub(crate) fn index_again(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        read_dry: bool,
    ) -> Result<Result<u64>> {
        let Some((name, size)) = self.set.volumes().dblock(no) else {
            return Err(Error::bug("a dblock that is indexed is listed"));
        };
        if self.is_dry() && !read_dry {
            return Ok(Ok(0));
        }
        // What blocklists name is looked up there.
        self.index(ui)?;
        self.step(|writer| writer.adopt_one(ui, no, &name, size, false))
    }

    /// Tells which blocks (keys of size 0) are blocklists where nothing else shows it.
    pub(crate) fn know_lists(&mut self, lists: Keyset) {
        self.known_lists = Some(lists);
    }

    /// The inner error is the volume's, the outer one ends the run. The number of its blocks. An index that says otherwise proves
    /// that the volume was changed since; with `as_stated` so does one of which only the size is wrong.
    fn adopt_one(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        name: &VolumeName,
        size: Option<u64>,
        as_stated: bool,
    ) -> Result<Result<u64>> {
        let stated = self.volume_hash(ui)?;
        let places = &self.index(ui)?.0;
        // An index that states another size is itself in doubt: the volume has to speak for itself.
        let expected = match as_stated || places.dindex_of(no).is_some() {
            true => places.expected(no)?,
            false => Expected::default(),
        };
        let fetched = self
            .set
            .fetch_hashed(ui, name, size, expected, stated.unwrap_or(Algo::Sha256))
            .and_then(|(opened, hash, length)| {
                let found = self.look_through(&opened, expected.hash.is_some());
                Ok((found.doing(|| reading(name))?, hash, length))
            });
        let (mut found, hash, length) = match fetched {
            Ok(all) => all,
            Err(e) if e.kind().is_volume_or_key() => return Ok(Err(e)),
            Err(e) => return Err(e),
        };
        let keys = std::mem::take(&mut found.keys);
        if !self.is_dry() {
            self.describe(ui, name, found, stated, hash, length)?;
        }
        let tmp = self.set.tmp().clone();
        let mut places = Sorter::new(&tmp, 1 << 20);
        for &key in &keys {
            places.add(&Place { key, no }.encode())?;
        }
        if let Some((known, _)) = &mut self.index {
            known.add(places, &tmp)?;
        }
        Ok(Ok(keys.len() as u64))
    }

    /// Uploads the index of a dblock in which this was found; `hash` and `length` are those of the dblock.
    fn describe(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        found: Found,
        stated: Option<Algo>,
        hash: Hash,
        length: u64,
    ) -> Result<()> {
        let tmp = self.set.tmp().clone();
        let index = VolumeName::block(self.set.prefix(), VolumeKind::Dindex, self.set.encrypts())?;
        let mut finished = Finished {
            name: name.clone(),
            stored: Spool::new(&tmp)?,
            digests: hash.into(),
            volume_hash: stated.map(|_| hash),
            size: length,
            vol: found.vol,
            lists: found.lists,
            list_ids: found.list_ids,
            counts: WriteStats::default(),
        };
        let sealing = self.set.seal()?;
        let (mut stored, digests, index_size) =
            finished.index(&self.options.params, sealing, &mut self.deflater, &tmp)?;
        self.put(ui, &index, &mut stored, &digests, index_size)?;
        self.uploads.push(&finished, &index, index_size, true)
    }

    /// Checks every block of a volume against its name, and unless the volume is `proved` by its hash, that its archive agrees with
    /// itself: any reader of zip archives is to find what the index will say. A block that is a series of ids of known blocks is
    /// taken for a blocklist, whose copy the index will hold.
    fn look_through(&mut self, opened: &Opened, proved: bool) -> Result<Found> {
        let tmp = self.set.tmp().clone();
        let algo = self.options.params.block_hash;
        let mut found = Found {
            vol: VolWriter::new(BufWriter::with_capacity(16 * 1024, Spool::new(&tmp)?)),
            lists: Spool::new(&tmp)?,
            list_ids: Vec::new(),
            keys: Vec::new(),
        };
        let mut ids = Keyset::new(&tmp);
        let mut inflater = Inflater::new();
        let mut data = Vec::new();
        let zip = opened.zip();
        let damaged = |what: &str| Error::damaged(what);
        if zip.rescued() {
            return Err(damaged("its zip directory is damaged"));
        }
        if !proved {
            zip.agree(true)?;
        }
        let limit = u64::from(self.options.params.block_size);
        let (index, known_lists) = (&mut self.index, &mut self.known_lists);
        zip.entries(&mut |name, entry| {
            let Some(id) = parse_block_name(name).filter(|id| id.as_bytes().len() == algo.len())
            else {
                return Ok(());
            };
            if entry.size == 0 || entry.size > limit {
                return Err(damaged("a block in it has an impossible size"));
            }
            data.clear();
            zip.reader(entry, &mut inflater)?
                .take(limit + 1)
                .read_to_end(&mut data)
                .map_err(unwrap_io)?;
            if algo.hash(&data) != id {
                return Err(damaged("a block in it is not what its name says"));
            }
            let size = u32::try_from(data.len()).map_err(|_| Error::bug("blocks are short"))?;
            if !ids.insert(&BlockKey::new(&id, 0))? {
                return Err(damaged("it holds a block twice"));
            }
            if found.keys.len() >= ENTRIES_AT_MOST as usize {
                return Err(damaged("it holds too many blocks"));
            }
            found.keys.push(BlockKey::new(&id, size));
            found.vol.add(&id, size)?;
            if data.len().is_multiple_of(algo.len()) && found.list_ids.len() < LISTS_AT_MOST {
                let mut all = true;
                let named = match known_lists {
                    Some(lists) => lists.contains(&BlockKey::new(&id, 0))?,
                    None => false,
                };
                for part in data.chunks_exact(algo.len()) {
                    let known = match Hash::from_bytes(part) {
                        Some(hash) => {
                            ids.contains(&BlockKey::new(&hash, 0))?
                                || match index {
                                    Some((places, _)) => places.contains_id(&hash)?,
                                    None => false,
                                }
                        }
                        None => false,
                    };
                    if !known {
                        all = false;
                        break;
                    }
                }
                if all || named {
                    found
                        .lists
                        .write_all(&data)
                        .doing(|| "spool a blocklist".to_owned())?;
                    found.list_ids.push((id, size));
                }
            }
            Ok(())
        })?;
        if found.keys.is_empty() {
            return Err(damaged("there is no block in it"));
        }
        Ok(found)
    }
}
