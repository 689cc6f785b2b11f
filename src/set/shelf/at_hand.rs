//! A dblock in a folder of this machine whose blocks are read where it lies: nothing of it is copied, and it takes no room in the
//! temporary folder.

use crate::base::error::{Error, Kind, Result};
use crate::base::read_at::{Page, ReadAt};
use crate::base::secret::Secret;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::format::aes_slice::{AesSlice, Decrypted};
use crate::format::deflate::Inflater;
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::set::shelf::{Shelf, Source};
use crate::set::volume::{Expected, reading};
use crate::set::{Set, Share, VolumeNo};

/// The archive inside of such a file.
pub(super) struct AtHand {
    stored: Stored,
    /// What is wrong with it as a whole.
    pub(super) flaw: Option<String>,
    aes: Option<AesSlice>,
    page: Page,
}

impl AtHand {
    /// Errors as from [`AesSlice::open`].
    fn open(stored: Spool, secret: Option<&Secret>, flaw: Option<String>) -> Result<AtHand> {
        let stored = Stored(stored);
        let aes = match secret {
            Some(secret) => Some(AesSlice::open(&stored, secret)?),
            None => None,
        };
        Ok(AtHand {
            stored,
            flaw,
            aes,
            page: Page::default(),
        })
    }
}

impl ReadAt for AtHand {
    fn len(&self) -> Result<u64> {
        match &self.aes {
            None => self.stored.len(),
            Some(slice) => Ok(slice.len()),
        }
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        match &self.aes {
            None => self.page.read_at(&self.stored, buf, at),
            Some(slice) => {
                let stored = &self.stored;
                self.page.read_at(&Decrypted { stored, slice }, buf, at)
            }
        }
    }
}

/// The file as stored. That it cannot be read, or is shorter by now, costs what is in it and no more.
struct Stored(Spool);

impl ReadAt for Stored {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], at: u64) -> Result<()> {
        let read = self.0.read_at(buf, at);
        read.map_err(|e| match self.0.len() {
            Ok(len) if len < at.saturating_add(buf.len() as u64) => {
                Error::new(Kind::Unreadable, "it became shorter while it was read")
            }
            _ => e.with_kind(Kind::Unreadable),
        })
    }
}

/// A dblock as it is found where it lies.
enum Lying {
    /// It cannot be read there.
    Elsewhere,
    /// It has the hash that its index says.
    Intact(Shelf),
    /// It has not, or is no whole archive: what can be read of it there.
    Damaged(Option<Shelf>),
}

impl Set {
    /// As [`Set::shelf`] of all of a volume, for who takes blocks and need not know whether Duplicati can read it: where it is in a
    /// folder of this machine and has the hash that its index says, it is read there. Its HMAC is not looked at, as the hash
    /// covers the same bytes. Cost: reading it once for the hash.
    ///
    /// So is a damaged one for which the temporary folder has no room. `Unreadable` when that gives nothing.
    pub(crate) fn shelf_of_blocks(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        expected: Expected,
    ) -> Result<Shelf> {
        let damaged = match self.lying(ui, no, expected)? {
            Lying::Intact(shelf) => return Ok(shelf),
            Lying::Damaged(shelf) => Some(shelf),
            Lying::Elsewhere => None,
        };
        match (self.shelf(ui, no, expected, Share::All), damaged) {
            (Err(e), Some(shelf)) if e.kind() == Kind::NoSpace => {
                shelf.ok_or_else(|| e.with_kind(Kind::Unreadable))
            }
            (whole, _) => whole,
        }
    }

    /// The volume of a shelf that lacks or spoils a block of it, fetched as a whole, if it was read where it lies: the fault may
    /// have been a passing one. `None` where that gives no more, or there is no room.
    pub(crate) fn shelf_anew(
        &mut self,
        ui: &mut Ui,
        (no, shelf): (VolumeNo, &Shelf),
        expected: Expected,
    ) -> Result<Option<Shelf>> {
        if !matches!(shelf.source, Source::AtHand(_)) || shelf.flaw().is_some() {
            return Ok(None);
        }
        let (doing, why) = (reading(&shelf.name), shelf.why());
        let why = why.unwrap_or("a block differs from its hash");
        ui.note(&format!("cannot {doing}: {why}; reading it once more"));
        match self.shelf(ui, no, expected, Share::All) {
            Ok(shelf) => Ok(Some(shelf)),
            Err(e) if e.kind().is_volume_or_key() || e.kind() == Kind::NoSpace => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn lying(&mut self, ui: &mut Ui, no: VolumeNo, expected: Expected) -> Result<Lying> {
        let (name, size) = self
            .volumes
            .dblock(no)
            .ok_or_else(|| Error::bug("a dblock that is opened is listed"))?;
        let (Some(size), Some(sealed)) = (size, self.takes_key(&name)) else {
            return Ok(Lying::Elsewhere);
        };
        if expected.hash.is_none() {
            return Ok(Lying::Elsewhere);
        }
        let Some(mut stored) = self.remote.at_hand(name.as_str(), size) else {
            return Ok(Lying::Elsewhere);
        };
        let flaw = match self.differs(&mut stored, expected) {
            Ok(other) => other.map(|e| e.cause().to_owned()),
            Err(e) => {
                ui.note(&format!("{e}; reading it once more"));
                Some(e.cause().to_owned())
            }
        };
        let intact = flaw.is_none();
        match self.shelf_over(&name, stored, (sealed, flaw)) {
            Some(shelf) if intact => {
                self.accepted |= sealed;
                self.remote.has_read(size);
                Ok(Lying::Intact(shelf))
            }
            shelf => Ok(Lying::Damaged(shelf)),
        }
    }

    /// `None` when its blocks cannot be found, which who fetches the volume finds the reason of.
    fn shelf_over(
        &mut self,
        name: &VolumeName,
        stored: Spool,
        (sealed, flaw): (bool, Option<String>),
    ) -> Option<Shelf> {
        let params = self.params?;
        let key = self.passphrase.as_ref().filter(|_| sealed);
        let at_hand = AtHand::open(stored, key.map(|key| &key.secret), flaw).ok()?;
        let zip = ZipReader::with_directory(&at_hand).ok()??;
        let layout = zip.layout();
        // What a damaged volume says of the parameters is nothing to go by.
        if at_hand.flaw.is_none() {
            let (found, _) = self.read_manifest(&zip).ok()?;
            self.settle_params(name, found).ok()?;
        }
        Some(Shelf {
            name: name.clone(),
            source: Source::AtHand(Box::new(at_hand)),
            layout,
            params,
            tmp: self.tmp.clone(),
            inflater: Inflater::new(),
            complete: true,
            directory: None,
            why: None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#[path = "at_hand_tests.rs"]
mod tests;
