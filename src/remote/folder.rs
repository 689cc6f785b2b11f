//! The folder of a destination itself: made where it is missing, rid of what never came to an end, and where a volume may come
//! to be.

use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::remote::{FULL_HINT, RemoteMut};

/// An upload that was begun so long ago has no program any more that goes on with it, in seconds.
const UNFINISHED_AGE: i64 = 86_400;

impl RemoteMut<'_> {
    /// Makes the folder with its parents; an existing one is success.
    pub(crate) fn create_folder(&mut self, ui: &mut Ui) -> Result<()> {
        let doing = format!("create {}", self.remote.shown);
        self.remote
            .retried(&doing, ui, |dest| dest.create_folder())?;
        ui.note(&format!("created {}", self.remote.shown));
        Ok(())
    }

    /// As [`RemoteMut::create_folder`], unless `--disable-autocreate-folder` forbids it.
    pub(crate) fn create_missing_folder(&mut self, ui: &mut Ui) -> Result<()> {
        if self.remote.autocreate {
            return self.create_folder(ui);
        }
        let fault = Fault::new(Class::FolderMissing, "the folder does not exist")
            .hint("--disable-autocreate-folder is given");
        Err(self
            .remote
            .error(fault, &format!("write to {}", self.remote.shown)))
    }

    /// Ends uploads of files whose names begin with `start` that broke off more than a day ago and are kept by the server where
    /// no listing shows them. Best effort: what cannot be ended now is left for another run.
    pub(crate) fn end_unfinished(&mut self, ui: &mut Ui, start: &str) {
        let before = Timestamp::now().0.saturating_sub(UNFINISHED_AGE);
        self.remote.stats.calls += 1;
        match self.remote.dest.end_unfinished(start, before) {
            Ok(0) => {}
            Ok(n) => {
                let uploads = text::count(n, "unfinished upload");
                ui.note(&format!("ended {uploads} of earlier runs"));
            }
            Err(fault) => ui.verbose(&self.remote.redact.clean(format!(
                "unfinished uploads of earlier runs are not looked for: {}",
                fault.text
            ))),
        }
    }

    /// Where a volume of at most `bytes` bytes can come to be at the destination itself (`sealed`: it is encrypted), so that
    /// [`RemoteMut::put`] of it copies nothing. `None` where that cannot be, or where uploads are slowed down.
    pub(crate) fn unnamed_spool(&mut self, bytes: u64, sealed: bool) -> Option<Spool> {
        if self.remote.up.is_limited() {
            return None;
        }
        let file = self.remote.dest.unnamed_file(bytes, sealed)?;
        let doing = format!("write a volume to {}", self.remote.shown);
        Some(Spool::adopt(file, doing).when_full(FULL_HINT))
    }
}
