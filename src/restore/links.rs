//! Symbolic links: made under a name of their own, then moved to theirs, so that what is there goes only for a link that is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::sys::{Dir, FileKind};
use crate::base::time::unix_from_ticks;
use crate::base::ui::Ui;
use crate::restore::Existing;
use crate::restore::begun::temp_name;
use crate::restore::finish::{Finish, Known, On, tell_attributes};
use crate::restore::naming::{ATTEMPTS, beside, free_name};

/// What is to be done about a link.
pub(super) enum Way {
    /// It is there, under this name.
    Equal(OsString),
    Skip,
    /// Nothing has the name.
    New(OsString),
    /// What has the name goes.
    Replace {
        folder: bool,
    },
}

impl Known<'_> {
    /// What a link leads to, if that can be.
    pub(super) fn link(&self) -> Option<&[u8]> {
        let link = self.attrs.and_then(|a| a.symlink.as_deref());
        link.filter(|l| !l.is_empty() && !l.contains(&0))
    }
}

impl Finish<'_> {
    pub(super) fn symlink(&mut self, ui: &mut Ui, no: u64, known: &Known<'_>) -> io::Result<()> {
        let shown = known.shown;
        let Some(link) = known.link() else {
            self.report.incomplete(shown);
            self.report.lost += 1;
            ui.error(&format!(
                "the symbolic link {shown} could not be restored: its target is not known"
            ));
            return Ok(());
        };
        let parts = known.target.slices();
        let way = self.way(ui, known, link)?;
        let temp = OsString::from(temp_name(self.temp_name, no));
        let name = match way {
            Way::Skip => {
                self.report.skipped += 1;
                return Ok(());
            }
            Way::Equal(name) => {
                self.report.unmodified += 1;
                if self.options.existing != Existing::Skip {
                    let dir = self.place.spot(&parts, false)?.dir;
                    self.link_attributes(ui, &dir, &name, known);
                }
                return Ok(());
            }
            Way::New(name) => {
                let dir = self.place.spot(&parts, true)?.dir;
                dir.symlink(OsStr::from_bytes(link), &temp)?;
                self.link_attributes(ui, &dir, &temp, known);
                dir.rename_noreplace(&temp, &name)?;
                name
            }
            Way::Replace { folder } => {
                let spot = self.place.spot(&parts, true)?;
                let (dir, name) = (spot.dir, spot.name.to_owned());
                dir.symlink(OsStr::from_bytes(link), &temp)?;
                self.link_attributes(ui, &dir, &temp, known);
                if folder {
                    dir.rmdir(&name)?;
                }
                dir.rename(&temp, &name)?;
                name
            }
        };
        self.tell_beside(known.target, &name);
        self.tell_written('+', known.target, &name, None, ui);
        self.report.symlinks += 1;
        Ok(())
    }

    /// What is to be done about a link; a dry run makes no folder for it.
    pub(super) fn way(&mut self, ui: &mut Ui, known: &Known<'_>, link: &[u8]) -> io::Result<Way> {
        let parts = known.target.slices();
        let full = self.place.is_full_folder(&parts);
        let longest = self.place.longest;
        let make = !self.options.dry_run;
        let spot = self.place.spot(&parts, make)?;
        let there = match spot.dir.stat(spot.name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Way::New(spot.name.to_owned()));
            }
            there => there?,
        };
        let equal = |name: &OsStr| spot.dir.read_link(name).is_ok_and(|have| have == link);
        if there.kind == FileKind::Symlink && equal(spot.name) {
            return Ok(Way::Equal(spot.name.to_owned()));
        }
        let modified = known.attrs.and_then(|a| a.modified).map(unix_from_ticks);
        match self.options.existing {
            Existing::Skip => return Ok(Way::Skip),
            Existing::Newer if modified.is_none_or(|(t, _)| there.mtime.0 >= t) => {
                return Ok(Way::Skip);
            }
            Existing::Overwrite | Existing::Newer if full => {
                let shown = known.shown;
                ui.warn("folder-in-the-way", &format!("{shown} is a folder with something in it, which stays: the link gets another name"));
            }
            Existing::Overwrite | Existing::Newer => {
                return Ok(Way::Replace {
                    folder: there.kind == FileKind::Folder,
                });
            }
            Existing::Rename => {}
        }
        for attempt in 0..ATTEMPTS {
            let name = beside(spot.name.as_bytes(), self.date, attempt, longest);
            let name = OsString::from_vec(name);
            match spot.dir.stat(&name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Way::New(name)),
                Ok(_) if equal(&name) => return Ok(Way::Equal(name)),
                there => there.map(|_| ())?,
            }
        }
        free_name(&spot.dir, spot.name, self.date, longest).map(Way::New)
    }

    fn link_attributes(&mut self, ui: &mut Ui, dir: &Dir, name: &OsStr, known: &Known<'_>) {
        let file = None;
        let on = On { dir, name, file };
        let mut done = Ok(());
        if self.options.permissions {
            done = self.owner(ui, on, known);
        }
        if self.options.symlink_metadata {
            done = done.and_then(|()| self.times(on, known.attrs, None));
        }
        tell_attributes(done, ui, known.shown);
    }
}
