//! The attributes of what a search found in one version: mode, owner and time, which are stored as blocks of their own among
//! the data. Reads the index, and of each volume that holds some of them as much as they need.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::format::meta::Attrs;
use crate::query::find::{Hit, Hits};
use crate::set::{BlockIndex, Place, Set, Share, VolumeNo};
use crate::spill::run::{Run, RunReader};
use crate::spill::sorter::{Sorter, Stream};

const SORT_CAP: usize = 1 << 20;
/// Keys whose blocks are asked for at a time.
const KEYS_AT_ONCE: usize = 512;
/// Metadata longer than this is not looked at.
const BLOB_AT_MOST: u32 = 1 << 20;
/// Bytes that a block costs at least where a volume is read in parts, for each may take a request.
const PART_BYTES: u64 = 32 << 10;

/// Hits with their attributes, in the order of the search.
pub(crate) struct Long {
    hits: RunReader,
    attrs: Stream,
    /// The next attributes: number of the hit, then the blob.
    head: Option<Vec<u8>>,
    no: u64,
}

impl Long {
    /// The next hit, and what is known of its attributes: nothing where it has none, or they are lost.
    pub(crate) fn next(&mut self) -> Result<Option<(Hit, Option<Attrs>)>> {
        let Some(record) = self.hits.next()? else {
            return Ok(None);
        };
        let hit = Hits::read(record)?;
        let number = self.no.to_be_bytes();
        self.no += 1;
        let own = self.head.take_if(|head| head.starts_with(&number));
        if own.is_some() {
            self.head = self.attrs.next()?.map(<[u8]>::to_vec);
        }
        let blob = own.as_deref().and_then(|record| record.get(8..));
        Ok(Some((hit, blob.and_then(|b| Attrs::parse(b).ok()))))
    }
}

/// Reads the attributes of all hits. Memory: a few MiB, whatever their number.
pub(crate) fn read(set: &mut Set, ui: &mut Ui, mut hits: Hits) -> Result<Long> {
    let tmp = set.tmp().clone();
    let mut kept = crate::spill::run::RunWriter::new(&tmp);
    let mut wanted = Sorter::new(&tmp, SORT_CAP);
    let mut number = 0u64;
    while let Some((hit, record)) = hits.next_record()? {
        kept.push(record)?;
        if let Some(key) = hit.meta.filter(|key| key.size() <= BLOB_AT_MOST) {
            wanted.add(&[&key.as_bytes()[..], &number.to_be_bytes()].concat())?;
        }
        number += 1;
    }
    let wanted = wanted.finish()?.into_run()?;
    let mut blobs = Sorter::new(&tmp, SORT_CAP);
    if !wanted.is_empty() {
        let (mut places, index) = set.load_index(ui, true, &mut |_, _| Ok(()))?;
        let (mut by_volume, missed) = locate(set, &wanted, &mut places)?;
        if missed > 0 && !index.unindexed.is_empty() {
            let volumes = text::count(index.unindexed.len() as u64, "dblock volume");
            ui.note(&format!("reading {volumes} that no index volume describes"));
            set.index_dblocks(ui, &index.unindexed, &mut places, false)?;
            (by_volume, _) = locate(set, &wanted, &mut places)?;
        }
        tell_cost(set, &by_volume, ui)?;
        fetch(set, ui, &places, &by_volume, &mut blobs)?;
    }
    let mut attrs = join(&wanted, blobs, Sorter::new(&tmp, SORT_CAP))?;
    Ok(Long {
        head: attrs.next()?.map(<[u8]>::to_vec),
        hits: kept.finish()?.reader(),
        attrs,
        no: 0,
    })
}

/// Each block once with a volume that holds it, by volume, and how many are in none.
fn locate(set: &Set, wanted: &Run, places: &mut BlockIndex) -> Result<(Run, u64)> {
    let mut missed = 0;
    let mut by_volume = Sorter::new(set.tmp(), SORT_CAP);
    let mut reader = wanted.reader();
    let mut last = None;
    while let Some(record) = reader.next()? {
        let key = key_of(record)?;
        if last == Some(key) {
            continue;
        }
        last = Some(key);
        match places.find_key(&key)?.first() {
            Some(&no) => by_volume.add(&Place { key, no }.encode_by_volume())?,
            None => missed += 1,
        }
    }
    Ok((by_volume.finish()?.into_run()?, missed))
}

/// Says what is about to be read of a destination elsewhere.
fn tell_cost(set: &Set, by_volume: &Run, ui: &mut Ui) -> Result<()> {
    if set.local_folder().is_some() {
        return Ok(());
    }
    let (mut volumes, mut bytes) = (0, 0u64);
    each_volume(by_volume, &mut |no, blocks| {
        volumes += 1;
        let size = set.volumes().dblock(no).and_then(|(_, size)| size);
        bytes = bytes.saturating_add(size.unwrap_or(0).min(blocks.saturating_mul(PART_BYTES)));
        Ok(())
    })?;
    if volumes > 0 {
        ui.note(&format!(
            "reading modes and owners from {}, up to {}",
            text::count(volumes, "volume"),
            show_size(bytes)
        ));
    }
    Ok(())
}

/// Tells each volume and how many blocks are wanted of it.
fn each_volume(by_volume: &Run, each: &mut dyn FnMut(VolumeNo, u64) -> Result<()>) -> Result<()> {
    let mut reader = by_volume.reader();
    let mut open: Option<(VolumeNo, u64)> = None;
    while let Some(record) = reader.next()? {
        let no = place_of(record)?.no;
        match &mut open {
            Some((last, blocks)) if *last == no => *blocks += 1,
            other => {
                if let Some((last, blocks)) = other.replace((no, 1)) {
                    each(last, blocks)?;
                }
            }
        }
    }
    match open {
        Some((last, blocks)) => each(last, blocks),
        None => Ok(()),
    }
}

/// Puts the blocks into `blobs`: key, then what they say without extended attributes. A volume at fault gives none, with a
/// warning.
fn fetch(
    set: &mut Set,
    ui: &mut Ui,
    places: &BlockIndex,
    by_volume: &Run,
    blobs: &mut Sorter,
) -> Result<()> {
    let mut reader = by_volume.reader();
    let mut seen = Progress::default();
    each_volume(by_volume, &mut |no, blocks| {
        ui.progress("reading attributes of", seen);
        seen.files += blocks;
        let share = Share::Bytes(blocks.saturating_mul(PART_BYTES));
        let opened = set.shelf(ui, no, places.expected(no)?, share);
        let mut shelf = match opened {
            Ok(shelf) => Some(shelf),
            Err(e) if e.kind().is_volume_or_key() => {
                ui.warn("damaged-dblock", &e.to_string());
                None
            }
            Err(e) => return Err(e),
        };
        let mut left = blocks;
        let mut block = Vec::new();
        while left > 0 {
            let mut keys = Vec::new();
            while left > 0 && keys.len() < KEYS_AT_ONCE {
                left -= 1;
                let record = reader.next()?;
                keys.push(place_of(record.unwrap_or_default())?.key);
            }
            let Some(shelf) = &mut shelf else { continue };
            shelf.fetch(set, ui, &keys)?;
            for key in keys {
                if !shelf.block(&key, &mut block)? {
                    continue;
                }
                let Ok(attrs) = Attrs::parse(&block) else {
                    continue;
                };
                let short = Attrs {
                    xattrs: Vec::new(),
                    ..attrs
                };
                blobs.add(&[&key.as_bytes()[..], &short.to_blob()].concat())?;
            }
        }
        Ok(())
    })
}

/// What is wanted with what was found: number of the hit, then the blob, in the order of numbers.
fn join(wanted: &Run, blobs: Sorter, mut out: Sorter) -> Result<Stream> {
    let mut blobs = blobs.finish()?;
    let mut head = blobs.next()?.map(<[u8]>::to_vec);
    let mut reader = wanted.reader();
    while let Some(record) = reader.next()? {
        let (key, number) = record
            .split_at_checked(BlockKey::LEN)
            .ok_or_else(|| Error::bug("a wanted block has a key"))?;
        while head.as_ref().is_some_and(|h| &h[..BlockKey::LEN] < key) {
            head = blobs.next()?.map(<[u8]>::to_vec);
        }
        if let Some(blob) = head.as_ref().and_then(|h| h.strip_prefix(key)) {
            out.add(&[number, blob].concat())?;
        }
    }
    out.finish()
}

fn key_of(record: &[u8]) -> Result<BlockKey> {
    BlockKey::from_record(record).ok_or_else(|| Error::bug("a wanted block has a key"))
}

fn place_of(record: &[u8]) -> Result<Place> {
    let (place, _) =
        Place::decode_by_volume(record).ok_or_else(|| Error::bug("a place reads back"))?;
    Ok(place)
}
