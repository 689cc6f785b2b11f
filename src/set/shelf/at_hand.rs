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
use crate::set::volume::Expected;
use crate::set::{Set, Share, VolumeNo};

/// The archive inside of such a file.
pub(super) struct AtHand {
    stored: Stored,
    aes: Option<AesSlice>,
    page: Page,
}

impl AtHand {
    /// Errors as from [`AesSlice::open`].
    fn open(stored: Spool, secret: Option<&Secret>) -> Result<AtHand> {
        let stored = Stored(stored);
        let aes = match secret {
            Some(secret) => Some(AesSlice::open(&stored, secret)?),
            None => None,
        };
        Ok(AtHand {
            stored,
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

impl Set {
    /// As [`Set::shelf`], for who takes blocks and need not know whether Duplicati can read the volume: where it is in a folder of
    /// this machine and has the hash that its index says, it is read there. Its HMAC is not looked at, as the hash covers the same
    /// bytes. Cost: reading it once for the hash.
    pub(crate) fn shelf_of_blocks(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        expected: Expected,
        share: Share,
    ) -> Result<Shelf> {
        if let Some(shelf) = self.parts_of(ui, no, expected, share)? {
            return Ok(shelf);
        }
        let (name, size) = self
            .volumes
            .dblock(no)
            .ok_or_else(|| Error::bug("a dblock that is opened is listed"))?;
        let at_hand = size.and_then(|size| self.shelf_at_hand(&name, size, expected));
        match at_hand {
            Some(shelf) => Ok(shelf),
            None => self.shelf(ui, no, expected, Share::All),
        }
    }

    /// `None` where that cannot be, or anything is wrong with the volume: then it is to be fetched, which tells what.
    fn shelf_at_hand(&mut self, name: &VolumeName, size: u64, expected: Expected) -> Option<Shelf> {
        let (params, sealed) = (self.params?, self.takes_key(name)?);
        expected.hash?;
        let mut stored = self.remote.at_hand(name.as_str(), size)?;
        if self.differs(&mut stored, expected).ok()?.is_some() {
            return None;
        }
        let key = self.passphrase.as_ref().filter(|_| sealed);
        let at_hand = AtHand::open(stored, key.map(|key| &key.secret)).ok()?;
        let zip = ZipReader::with_directory(&at_hand).ok()??;
        let (found, _) = self.read_manifest(&zip).ok()?;
        let layout = zip.layout();
        self.settle_params(name, found).ok()?;
        self.accepted |= sealed;
        self.remote.has_read(size);
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
