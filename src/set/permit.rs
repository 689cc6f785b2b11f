//! Who may change a destination, and what encrypts what is written there.

use crate::base::error::{Error, Kind, Result};
use crate::base::secret::Secret;
use crate::remote::Permit;
use crate::set::{Protection, Set};

impl Set {
    /// The permit to change this destination; `None` exactly for a dry run. The lock that keeps other runs out was taken before
    /// the listing, see [`SetOptions`](crate::set::SetOptions). `Unsupported` where what is there can be read but not written.
    pub(crate) fn permit(&self, dry_run: bool) -> Result<Option<Permit>> {
        if self.protection == Protection::Gpg {
            return Err(Error::new(
                Kind::Unsupported,
                "the destination's volumes are encrypted with gpg, which can be read but not written",
            )
            .hint("use another folder for backups made by duplet"));
        }
        Ok((!dry_run).then(Permit::to_write))
    }

    /// True when what is written here is encrypted. It can never change for a destination.
    pub(crate) fn encrypts(&self) -> bool {
        self.protection == Protection::Aes
    }

    /// What encrypts what is written here; `None` for a plain destination.
    pub(crate) fn seal(&self) -> Result<Option<&Secret>> {
        match (self.encrypts(), self.passphrase()) {
            (false, _) => Ok(None),
            (true, Some(secret)) => Ok(Some(secret)),
            (true, None) => Err(Error::bug("encryption needs a passphrase")),
        }
    }
}

/// The permit to change single files as a person asks for it, where nobody knows of volumes.
pub(crate) fn permit_by_hand() -> Permit {
    Permit::to_write()
}
