//! Blocks from volumes that are rewritten into new ones, as they are packed.

use std::io::{Read, Write};

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Result, unwrap_io};
use crate::base::text;
use crate::base::tmp::{Spool, Tmp};
use crate::base::ui::Ui;
use crate::format::zip_write::Packed;
use crate::set::{BlockIndex, Share, Shelf, VolumeNo};
use crate::spill::run::RunReader;
use crate::upkeep::compact::count::{AT_ONCE, COPY_LEN, Fate};
use crate::writer::Writer;

/// Packed blocks up to this size stay in memory.
const IN_MEMORY: usize = 1 << 20;

/// One block between two volumes.
enum Carried {
    Here(Vec<u8>),
    Spilled(Spool),
}

impl Carried {
    fn new(key: &BlockKey, tmp: &Tmp) -> Result<Carried> {
        match key.size() as usize <= IN_MEMORY {
            true => Ok(Carried::Here(Vec::new())),
            false => Ok(Carried::Spilled(Spool::new(tmp)?)),
        }
    }

    fn sink(&mut self) -> &mut dyn Write {
        match self {
            Carried::Here(bytes) => bytes,
            Carried::Spilled(spool) => spool,
        }
    }

    /// Calls `read` with the bytes from their start.
    fn read<T>(&mut self, read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        match self {
            Carried::Here(bytes) => read(&mut bytes.as_slice()),
            Carried::Spilled(spool) => {
                spool.rewind()?;
                read(spool)
            }
        }
    }
}

/// A block to copy.
struct Wanted {
    key: BlockKey,
    list: bool,
}

/// Copies the needed blocks of one volume after the other.
pub(super) struct Copier {
    records: RunReader,
    next: Option<(u32, Wanted)>,
    tmp: Tmp,
    /// By number: what is decided about each volume. One that holds a block which is intact nowhere is kept after all.
    pub(super) fates: Vec<Fate>,
    /// Volumes that stay because of lost blocks, and how many those are.
    pub(super) spared: u64,
    pub(super) lost: u64,
}

impl Copier {
    pub(super) fn new(
        copies: &crate::spill::run::Run,
        fates: Vec<Fate>,
        tmp: &Tmp,
    ) -> Result<Copier> {
        let mut copier = Copier {
            records: copies.reader(),
            next: None,
            tmp: tmp.clone(),
            fates,
            spared: 0,
            lost: 0,
        };
        copier.advance()?;
        Ok(copier)
    }

    fn advance(&mut self) -> Result<()> {
        self.next = match self.records.next()? {
            None => None,
            Some(record) => {
                let parsed = || {
                    let (at, rest) = record.split_first_chunk::<4>()?;
                    let wanted = Wanted {
                        key: BlockKey::from_record(rest)?,
                        list: *record.get(COPY_LEN - 1)? == 1,
                    };
                    Some((u32::from_be_bytes(*at), wanted))
                };
                Some(parsed().ok_or_else(|| Error::bug("a block to copy reads back"))?)
            }
        };
        Ok(())
    }

    /// The next blocks of a volume, a few thousand at most.
    fn some_of(&mut self, at: u32) -> Result<Vec<Wanted>> {
        let mut some = Vec::new();
        while some.len() < AT_ONCE
            && let Some((_, wanted)) = self.next.take_if(|(next, _)| *next == at)
        {
            some.push(wanted);
            self.advance()?;
        }
        Ok(some)
    }

    /// Copies what is needed of a volume; true when all of it was, so that the volume may go. To be called in the order of
    /// rewriting. A block that the volume does not hold intact comes from another that holds it.
    pub(super) fn copy_from(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        volume: Source,
    ) -> Result<bool> {
        let Source { at, no, .. } = volume;
        if self.next.as_ref().is_none_or(|(next, _)| *next != at) {
            return Ok(self.fates.get(no as usize) != Some(&Fate::Kept));
        }
        let share = volume.share();
        let mut shelf = open(writer, ui, no, share)?;
        let mut lost = 0u64;
        loop {
            let some = self.some_of(at)?;
            if some.is_empty() {
                break;
            }
            if let Some(shelf) = &mut shelf {
                let keys: Vec<BlockKey> = some.iter().map(|w| w.key).collect();
                shelf.fetch(writer.set, ui, &keys)?;
            }
            for wanted in &some {
                writer.set.look_ahead(ui);
                let copied = match &mut shelf {
                    Some(shelf) => copy(writer, ui, shelf, wanted, &self.tmp)?,
                    None => false,
                };
                if !copied && !self.another_has(writer, ui, wanted, no)? {
                    lost += 1;
                }
            }
        }
        if lost > 0 {
            self.spared += 1;
            self.lost += lost;
            let name = writer.set.volumes().dblock(no);
            let name = name.map_or_else(String::new, |n| text::safe(n.0.as_str().as_bytes()));
            let why = shelf.as_ref().and_then(Shelf::why);
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            ui.warn(
                "damaged-dblock",
                &format!(
                    "volume {name} stays: {} of it {} needed and cannot be read{why}; 'duplet repair URL --rebuild-missing-dblock-files {name}' may bring it back",
                    text::count(lost, "block"),
                    if lost == 1 { "is" } else { "are" },
                ),
            );
        }
        Ok(lost == 0 && self.fates.get(no as usize) != Some(&Fate::Kept))
    }

    /// Looks for a block in the other volumes that should hold it. Those that do not hold it intact either stay.
    fn another_has(
        &mut self,
        writer: &mut Writer<'_>,
        ui: &mut Ui,
        wanted: &Wanted,
        not: VolumeNo,
    ) -> Result<bool> {
        let id = Hash::from_bytes(&wanted.key.id()[..])
            .ok_or_else(|| Error::bug("a key begins with an id"))?;
        let found = writer.index(ui)?.0.find_id(&id)?;
        let same = found.iter().filter(|(_, size)| *size == wanted.key.size());
        let others: Vec<VolumeNo> = same.map(|(no, _)| *no).filter(|no| *no != not).collect();
        for &no in &others {
            let share = Share::Bytes(u64::from(wanted.key.size()));
            if writer.set.volumes().dblock(no).is_some()
                && let Some(mut shelf) = open(writer, ui, no, share)?
                && shelf.fetch(writer.set, ui, &[wanted.key]).map(|()| true)?
                && copy(writer, ui, &mut shelf, wanted, &self.tmp)?
            {
                return Ok(true);
            }
        }
        for no in others.into_iter().chain([not]) {
            if let Some(fate) = self.fates.get_mut(no as usize) {
                *fate = Fate::Kept;
            }
        }
        Ok(false)
    }
}

/// A volume that is rewritten.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// Its place in the order.
    pub(super) at: u32,
    pub(super) no: VolumeNo,
    /// Bytes of the blocks to copy and of all blocks, not packed.
    pub(super) wanted: u64,
    pub(super) data: u64,
    /// Bytes at the destination.
    pub(super) size: u64,
}

impl Source {
    /// Where less than half of it is wanted, that part is.
    fn share(self) -> Share {
        if self.wanted.saturating_mul(2) >= self.data {
            return Share::All;
        }
        let part = u128::from(self.size) * u128::from(self.wanted) / u128::from(self.data.max(1));
        Share::Bytes(u64::try_from(part).unwrap_or(self.size))
    }
}

/// Says which volume is opened after `now`, so that it is asked for while that is worked on.
pub(super) fn expect(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    now: Source,
    next: Option<Source>,
) -> Result<()> {
    if !writer.set.looks_ahead() {
        return Ok(());
    }
    let next = match next {
        Some(next) => {
            let expected = writer.index(ui)?.0.expected(next.no)?;
            Some((next.no, expected, next.share()))
        }
        None => None,
    };
    writer.set.expect(now.no, next);
    Ok(())
}

/// `None`, and a warning, when it cannot be opened at all.
fn open(writer: &mut Writer<'_>, ui: &mut Ui, no: VolumeNo, share: Share) -> Result<Option<Shelf>> {
    let places: &BlockIndex = &writer.index(ui)?.0;
    let expected = places.expected(no)?;
    match writer.set.shelf(ui, no, expected, share) {
        Ok(shelf) => Ok(Some(shelf)),
        Err(e) if e.kind().is_volume_or_key() => {
            ui.warn("unreadable-dblock", &e.to_string());
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// False when the volume does not hold the block intact.
fn copy(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    shelf: &mut Shelf,
    wanted: &Wanted,
    tmp: &Tmp,
) -> Result<bool> {
    let mut carried = Carried::new(&wanted.key, tmp)?;
    let Some((id, packed)) = shelf.packed(&wanted.key, carried.sink())? else {
        return Ok(false);
    };
    if wanted.list {
        let mut data = Vec::new();
        if !shelf.block(&wanted.key, &mut data)? {
            return Ok(false);
        }
        writer.copy_list(ui, &id, &data)?;
    }
    store(writer, ui, &id, &packed, &mut carried)?;
    Ok(true)
}

fn store(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    id: &Hash,
    packed: &Packed,
    carried: &mut Carried,
) -> Result<()> {
    if let Carried::Spilled(spool) = carried {
        spool.flush().map_err(unwrap_io)?;
    }
    carried.read(|bytes| writer.copy_block(ui, id, packed, bytes).map(|_| ()))
}
