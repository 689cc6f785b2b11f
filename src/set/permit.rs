//! Who may change a destination, and what encrypts what is written there.

use crate::base::digest::WantedDigests;
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

    /// How volumes are written here.
    pub(crate) fn seal(&self) -> Result<Sealing<'_>> {
        let secret = match (self.encrypts(), self.passphrase()) {
            (false, _) => None,
            (true, Some(secret)) => Some(secret),
            (true, None) => return Err(Error::bug("encryption needs a passphrase")),
        };
        let wants = self.remote.wants();
        Ok(Sealing { secret, wants })
    }
}

/// How volumes are written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sealing<'a> {
    /// What encrypts them; `None` for a plain destination.
    pub(crate) secret: Option<&'a Secret>,
    /// Digests that the destination wants to have of them.
    pub(crate) wants: WantedDigests,
}

/// The permit to change single files as a person asks for it, where nobody knows of volumes.
pub(crate) fn permit_by_hand() -> Permit {
    Permit::to_write()
}
