//! Which blocks versions need, and beside them what the index holds: both in the order of keys.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::set::{BlockIndex, IndexReport, Needed, Owners, Set, VolumeNo};
use crate::spill::run::{Run, RunReader, RunWriter};

/// Key, number of the oldest version that needs it, whether it is a blocklist.
const LIVE_LEN: usize = BlockKey::LEN + 4 + 1;

/// All blocks that versions need, in the order of keys.
pub(super) struct Live {
    run: Run,
    /// Contents of which nobody can say which blocks they need.
    pub(super) unknown: u64,
}

/// Walks all references of these versions. A version that cannot be read is an error.
///
/// Memory: that of [`Set::needs`]; on disk 41 bytes a block.
pub(super) fn live(
    set: &mut Set,
    ui: &mut Ui,
    versions: &[usize],
) -> Result<(Live, BlockIndex, IndexReport)> {
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
                let version: u32 = Error::fits(why.version)?;
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
pub(super) struct Block<'a> {
    pub(super) key: BlockKey,
    /// Counted volumes that hold it, each once.
    pub(super) volumes: &'a [VolumeNo],
    /// The oldest version that needs it, and whether it is a blocklist.
    pub(super) need: Option<(u32, bool)>,
}

/// Calls `each` with every block of the index and every needed block, in the order of keys.
pub(super) fn each_block(
    places: &BlockIndex,
    live: &Live,
    counted: &dyn Fn(VolumeNo) -> bool,
    each: &mut dyn FnMut(Block<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = places.reader()?;
    let mut live = LiveReader::new(&live.run)?;
    let mut volumes: Vec<VolumeNo> = Vec::new();
    let mut current: Option<BlockKey> = None;
    loop {
        let place = reader.next()?.map(|place| (place.key, place.no));
        if let (Some((key, no)), Some(same)) = (place, current)
            && key == same
        {
            note(&mut volumes, counted, no);
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
        note(&mut volumes, counted, no);
    }
    while let Some(lost) = live.head {
        each(lost.block(&[]))?;
        live.advance()?;
    }
    Ok(())
}

/// Several indexes may say the same of a volume; those that are not counted do not matter.
fn note(volumes: &mut Vec<VolumeNo>, counted: &dyn Fn(VolumeNo) -> bool, no: VolumeNo) {
    if counted(no) && volumes.last() != Some(&no) {
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
