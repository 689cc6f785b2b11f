//! Volumes that blocks are read from: open as long as there is room, whole or in parts.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::ui::Ui;
use crate::mount::source::{Kept, Source, Trust};
use crate::set::{Expected, Share, VolumeNo};

/// Volumes open at a time, whatever their size: each takes up to 150 KiB of memory.
const SHELVES_AT_MOST: usize = 8;

impl Source<'_> {
    /// Reads one block of one volume into hand, fetching `keys` with it; why it does not hold it intact, if it does not.
    pub(super) fn take(
        &mut self,
        ui: &mut Ui,
        at: (VolumeNo, Trust),
        key: &BlockKey,
        keys: &[BlockKey],
    ) -> Result<Option<String>> {
        let bytes = keys.iter().map(|key| u64::from(key.size())).sum();
        let share = match self.reading.whole {
            true => Share::All,
            false => Share::Bytes(bytes),
        };
        self.in_hand = None;
        let mut why = match self.take_by(ui, at, key, keys, share)? {
            None => return Ok(None),
            Some(why) => why,
        };
        // Parts tell less than the whole: it may be the transfer that was at fault, or the directory.
        let (no, trust) = at;
        let parts = |kept: &Kept| kept.no == no && kept.shelf.is_in_parts();
        if trust == Trust::Index
            && let Some(in_parts) = self.shelves.iter().position(parts)
        {
            self.shelves.swap_remove(in_parts);
            match self.take_by(ui, at, key, keys, Share::All)? {
                None => return Ok(None),
                Some(whole) => why = whole,
            }
        }
        Ok(Some(why))
    }

    fn take_by(
        &mut self,
        ui: &mut Ui,
        at: (VolumeNo, Trust),
        key: &BlockKey,
        keys: &[BlockKey],
        share: Share,
    ) -> Result<Option<String>> {
        if sys::stops_requested() > 0 {
            return Err(Error::new(Kind::Interrupted, "stopped"));
        }
        let mut kept = match self.open(ui, at, share)? {
            Ok(kept) => kept,
            Err(why) => return Ok(Some(why)),
        };
        kept.bytes += match kept.shelf.is_in_parts() {
            true => u64::from(key.size()),
            false => 0,
        };
        let fetched = kept.shelf.fetch(self.set, ui, keys);
        let read = fetched.and_then(|()| kept.shelf.block(key, &mut self.block));
        let why = match read {
            Ok(true) => None,
            Ok(false) => {
                let name = text::safe(kept.shelf.name().as_str().as_bytes());
                let why = kept.shelf.why();
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                Some(format!("volume {name} lacks or spoils it{why}"))
            }
            Err(e) if e.kind().is_of_one_volume() => Some(e.to_string()),
            Err(e) => return Err(e),
        };
        self.shelves.push(kept);
        self.make_room();
        Ok(why)
    }

    /// Takes a volume off the row of those that are open, or opens it; the reason when it cannot be.
    fn open(
        &mut self,
        ui: &mut Ui,
        (no, trust): (VolumeNo, Trust),
        share: Share,
    ) -> Result<std::result::Result<Kept, String>> {
        self.clock += 1;
        if let Some(at) = self.shelves.iter().position(|kept| kept.no == no) {
            let mut kept = self.shelves.swap_remove(at);
            kept.used = self.clock;
            return Ok(Ok(kept));
        }
        let listed = self.set.volumes().dblock(no);
        let (name, size) = listed.ok_or_else(|| Error::bug("a volume that is read is listed"))?;
        if self.closed.contains(&no) {
            let shown = text::safe(name.as_str().as_bytes());
            return Ok(Err(format!("volume {shown} cannot be read")));
        }
        let expected = match trust {
            Trust::Hint => Expected::default(),
            Trust::Index => self.learn(ui)?.expected(no)?,
        };
        match self.set.shelf(ui, no, expected, share) {
            Ok(shelf) => Ok(Ok(Kept {
                no,
                bytes: match shelf.is_in_parts() {
                    true => 0,
                    false => size.unwrap_or(0),
                },
                shelf,
                used: self.clock,
            })),
            Err(e) if e.kind().is_volume_or_key() && trust == Trust::Hint => Ok(Err(e.to_string())),
            Err(e) if e.kind().is_volume_or_key() => {
                ui.warn("damaged-dblock", &e.to_string());
                self.closed.insert(no);
                let gone = "; what a volume held may be elsewhere now: mount again";
                let hint = if e.kind() == Kind::Missing { gone } else { "" };
                Ok(Err(format!("{}{hint}", e.cause())))
            }
            Err(e) => Err(e),
        }
    }

    /// Lets the volumes go that were used least, until the rest fits; the newest stays.
    fn make_room(&mut self) {
        let most = self.reading.keep_bytes / 4;
        while self.shelves.len() > 1
            && (self.shelves.len() > SHELVES_AT_MOST
                || self.shelves.iter().map(|kept| kept.bytes).sum::<u64>() > most)
        {
            let oldest = (0..self.shelves.len() - 1).min_by_key(|&at| self.shelves[at].used);
            let Some(at) = oldest else { return };
            self.shelves.remove(at);
        }
    }
}
