//! Taking files away from a destination, one by one or many.

use crate::base::error::{Error, Kind, Result};
use crate::base::fault::Class;
use crate::base::text;
use crate::base::ui::Ui;
use crate::remote::RemoteMut;

/// What became of one of many files that are to be deleted.
pub(crate) enum Removal {
    /// It is not there any more, or was not before.
    Gone,
    /// It is protected from deletion, perhaps for a time.
    Locked(Error),
    /// Whoever is logged in may not delete anything.
    Denied(Error),
    /// Nothing can be changed there, whoever asks.
    ReadOnly(Error),
    Failed(Error),
}

impl RemoteMut<'_> {
    /// Removes a file; a missing one is success.
    pub(crate) fn delete(&mut self, ui: &mut Ui, name: &str) -> Result<()> {
        let shown = text::safe(name.as_bytes());
        let doing = format!("delete {shown} in {}", self.remote.shown);
        self.ask_to_delete(ui, name, &doing).0
    }

    /// As [`RemoteMut::delete`], for one of many files: what concerns this file only, and what ends all deletions, are told
    /// apart. `Err` only for a stop.
    pub(crate) fn remove(&mut self, ui: &mut Ui, name: &str) -> Result<Removal> {
        let doing = format!("delete {}", text::safe(name.as_bytes()));
        // A single file of a folder on this machine may be protected, a read-only file system is so as a whole.
        let local = self.remote.local_folder().is_some();
        match self.ask_to_delete(ui, name, &doing) {
            (Ok(()), _) => Ok(Removal::Gone),
            (Err(e), _) if e.kind() == Kind::Interrupted => Err(e),
            (Err(e), Some(Class::Auth)) if local => Ok(Removal::Failed(e)),
            (Err(e), Some(Class::Locked)) if local => Ok(Removal::ReadOnly(e)),
            (Err(e), Some(Class::Auth)) => Ok(Removal::Denied(e)),
            (Err(e), Some(Class::Locked)) => Ok(Removal::Locked(e)),
            (Err(e), _) => Ok(Removal::Failed(e)),
        }
    }

    /// With the class of the last refusal.
    fn ask_to_delete(
        &mut self,
        ui: &mut Ui,
        name: &str,
        doing: &str,
    ) -> (Result<()>, Option<Class>) {
        let (mut deletes, mut class) = (0, None);
        let done = self.remote.retried(doing, ui, |dest| {
            deletes += 1;
            let done = dest.delete(name);
            class = done.as_ref().err().map(|f| f.class);
            match done {
                Err(f) if f.class == Class::NotFound => Ok(()),
                other => other,
            }
        });
        self.remote.stats.deletes += deletes;
        (done, class)
    }
}
