//! Blocklists of which no index volume has a copy, read from the dblocks that hold them (R9): each volume is opened once.

use std::io::Read;

use crate::base::digest::Hash;
use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::set::{BlockIndex, Set, Share, Shelf, VolumeNo};
use crate::spill::sorter::Sorter;

const SORT_CAP: usize = 1 << 20;

/// Who takes blocklists.
pub(crate) trait ListReader {
    /// False when the list is known by now and need not be read. Where an id was noted that is cut short, it is asked with
    /// that.
    fn wants(&mut self, _id: &Hash) -> Result<bool> {
        Ok(true)
    }

    /// Bytes that a volume holds under this id, or under a longer one that begins with it; true when they are the list.
    fn take(&mut self, id: &Hash, data: &mut dyn Read) -> Result<bool>;
}

/// What is said of a volume that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VolumeFaults {
    /// A warning each; a passphrase that does not open a volume is a fault of the volume, too.
    Warned,
    /// Nothing: somebody else tells of them.
    Silent,
}

/// Blocklists, and the volumes to look for them in. Spilled: 36 bytes each.
pub(crate) struct ListsInDblocks {
    by_volume: Sorter,
}

impl ListsInDblocks {
    pub(crate) fn new(tmp: &Tmp) -> ListsInDblocks {
        ListsInDblocks {
            by_volume: Sorter::new(tmp, SORT_CAP),
        }
    }

    /// Looks for a blocklist in a volume. A list may be looked for in several; who takes lists says when one is enough.
    pub(crate) fn look_in(&mut self, no: VolumeNo, id: &Hash) -> Result<()> {
        self.by_volume
            .add(&[&no.to_be_bytes(), id.as_bytes()].concat())
    }

    /// Downloads the volumes, one after the other, and offers what they hold. A volume that is at fault gives no lists, or not
    /// all of them.
    pub(crate) fn read(
        self,
        set: &mut Set,
        ui: &mut Ui,
        places: &BlockIndex,
        faults: VolumeFaults,
        to: &mut dyn ListReader,
    ) -> Result<()> {
        let mut stream = self.by_volume.finish()?;
        // The volume at hand; `None` in it when it cannot be read.
        let mut at_hand: Option<(VolumeNo, Option<Shelf>)> = None;
        while let Some(record) = stream.next()? {
            let (no, id) = record
                .split_first_chunk::<4>()
                .ok_or_else(|| Error::bug("a blocklist is looked for in a volume"))?;
            let no = u32::from_be_bytes(*no);
            let Some(id) = Hash::from_bytes(id) else {
                continue;
            };
            if at_hand
                .as_ref()
                .is_some_and(|(n, s)| *n == no && s.is_none())
                || !to.wants(&id)?
            {
                continue;
            }
            if at_hand.as_ref().is_none_or(|(n, _)| *n != no) {
                // One volume at a time is held on disk.
                drop(at_hand.take());
                let shelf = open(set, ui, no, places, faults)?;
                at_hand = Some((no, shelf));
            }
            if let Some((_, Some(shelf))) = &mut at_hand {
                let read = shelf
                    .fetch_id(set, ui, &id)
                    .and_then(|()| shelf.offer(&id, &mut |id, data| to.take(id, data)));
                usable(ui, read, faults)?;
            }
        }
        Ok(())
    }
}

fn open(
    set: &mut Set,
    ui: &mut Ui,
    no: VolumeNo,
    places: &BlockIndex,
    faults: VolumeFaults,
) -> Result<Option<Shelf>> {
    let Some((name, _)) = set.volumes().dblock(no) else {
        return Ok(None);
    };
    let name = text::safe(name.as_str().as_bytes());
    if faults == VolumeFaults::Warned {
        ui.verbose(&format!("reading blocklists from {name}"));
    }
    let share = match places.is_of_version() {
        true => Share::Bytes(0),
        false => Share::All,
    };
    let opened = set.shelf(ui, no, places.expected(no)?, share);
    let shelf = usable(ui, opened, faults)?;
    if let Some(why) = shelf.as_ref().and_then(Shelf::flaw)
        && faults == VolumeFaults::Warned
    {
        ui.warn(
            "damaged-dblock",
            &format!("volume {name} is damaged ({why})"),
        );
    }
    Ok(shelf)
}

/// `None` for what a volume's fault forbids; other errors stand.
fn usable<T>(ui: &mut Ui, done: Result<T>, faults: VolumeFaults) -> Result<Option<T>> {
    match done {
        Ok(t) => Ok(Some(t)),
        Err(e) if faults == VolumeFaults::Silent && e.kind().is_of_one_volume() => Ok(None),
        Err(e) if faults == VolumeFaults::Warned && e.kind().is_volume_or_key() => {
            ui.warn("unreadable-dblock", &e.to_string());
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
