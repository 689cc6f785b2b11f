//! What is there under a name, and whether the format can store it; each that cannot be taken is told.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::backup::choice::SymlinkPolicy;
use crate::backup::walk::{Visitor, Walk};
use crate::base::sys::{FileKind, Spot, Stat};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::PATH_BYTES;

impl Walk<'_> {
    /// False for an entry that the format cannot store, which is told.
    pub(super) fn can_be_named(
        &mut self,
        ui: &mut Ui,
        name: &[u8],
        visitor: &mut dyn Visitor,
    ) -> bool {
        let (kind, line) = if std::str::from_utf8(name).is_err() {
            let path = text::safe(&self.path);
            (
                "not-utf8",
                format!(
                    "{path} is left out: its name is not valid UTF-8, which the format cannot store"
                ),
            )
        } else if self.path.len() >= PATH_BYTES {
            let path = text::safe_cut(&self.path, 200);
            (
                "too-long",
                format!("{path} is left out: its path has more than {PATH_BYTES} bytes"),
            )
        } else {
            return true;
        };
        ui.warn(kind, &line);
        visitor.unreadable(&self.path);
        false
    }

    /// What is at `spot`, and whether it is what a link there leads to, where links are followed. `None` when it cannot be looked
    /// at, which is told.
    pub(super) fn look(
        &mut self,
        ui: &mut Ui,
        spot: &Spot<'_>,
        visitor: &mut dyn Visitor,
    ) -> Option<(Stat, bool)> {
        let looked = match spot.stat() {
            Ok(stat) if stat.kind == FileKind::Symlink => match self.choice.symlinks {
                SymlinkPolicy::Follow => spot.followed().stat().map(|target| (target, true)),
                _ => Ok((stat, false)),
            },
            Ok(stat) => return Some((stat, false)),
            Err(e) => {
                self.trouble(ui, &e, visitor);
                return None;
            }
        };
        match looked {
            Ok(found) => Some(found),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = text::safe(&self.path);
                ui.warn(
                    "dangling",
                    &format!("{path} is left out: it links to nothing"),
                );
                visitor.unreadable(&self.path);
                None
            }
            Err(e) => {
                self.trouble(ui, &e, visitor);
                None
            }
        }
    }

    /// Where the link at `spot` leads; `None` when it cannot be read or stored, which is told.
    pub(super) fn link_target(
        &mut self,
        ui: &mut Ui,
        spot: &Spot<'_>,
        visitor: &mut dyn Visitor,
    ) -> Option<OsString> {
        match spot.read_link() {
            Ok(target) if std::str::from_utf8(target.as_bytes()).is_ok() => Some(target),
            Ok(_) => {
                let path = text::safe(&self.path);
                ui.warn("not-utf8", &format!("{path} is left out: its target is not valid UTF-8, which the format cannot store"));
                visitor.unreadable(&self.path);
                None
            }
            Err(e) => {
                self.trouble(ui, &e, visitor);
                None
            }
        }
    }
}
