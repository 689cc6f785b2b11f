//! The attributes of one restored entry: owner, mode, extended attributes, times.

use std::ffi::OsStr;
use std::io;

use crate::base::error::io_text;
use crate::base::sys;
use crate::base::text;
use crate::base::time::{Timestamp, unix_from_ticks};
use crate::base::ui::Ui;
use crate::format::meta::Attrs;
use crate::restore::finish::Finish;
use crate::restore::targets::Target;

impl Finish<'_> {
    /// Owner, mode, extended attributes, then the time, on `name` beside the target. What cannot be set is warned about: the
    /// entry itself is there.
    pub(super) fn attributes(
        &mut self,
        ui: &mut Ui,
        parts: &[&[u8]],
        name: &OsStr,
        attrs: Option<&Attrs>,
        target: &Target,
        shown: &str,
    ) {
        let done = self.all_attributes(ui, parts, name, attrs, target, shown);
        tell_attributes(done, ui, shown);
    }

    fn all_attributes(
        &mut self,
        ui: &mut Ui,
        parts: &[&[u8]],
        name: &OsStr,
        attrs: Option<&Attrs>,
        target: &Target,
        shown: &str,
    ) -> io::Result<()> {
        if self.options.permissions {
            self.owner(ui, parts, name, attrs, shown)?;
        }
        if let Some(attrs) = attrs {
            let spot = self.place.spot(parts, false)?;
            for (attribute, value) in &attrs.xattrs {
                if let Err(e) = spot.dir.set_xattr(name, attribute, value) {
                    ui.warn(
                        "xattr",
                        &format!(
                            "the attribute {} of {shown} cannot be set: {}",
                            text::safe(attribute),
                            io_text(&e)
                        ),
                    );
                }
            }
        }
        if self.options.permissions
            && let Some(owner) = attrs.and_then(|a| a.owner.as_ref())
        {
            self.place
                .spot(parts, false)?
                .dir
                .chmod(name, owner.mode & 0o777)?;
        }
        self.times(parts, name, attrs, target.record.entry.time)
    }

    pub(super) fn times(
        &mut self,
        parts: &[&[u8]],
        name: &OsStr,
        attrs: Option<&Attrs>,
        fallback: Option<Timestamp>,
    ) -> io::Result<()> {
        if self.options.skip_metadata {
            return Ok(());
        }
        let ticks = attrs.and_then(|a| a.modified).filter(|&t| t != 0);
        let time = ticks.map(unix_from_ticks).or(fallback.map(|t| (t.0, 0)));
        match time {
            Some(time) => self.place.spot(parts, false)?.dir.set_times(name, time),
            None => Ok(()),
        }
    }

    /// Names first, numbers second. Without the right to do so one warning in all.
    pub(super) fn owner(
        &mut self,
        ui: &mut Ui,
        parts: &[&[u8]],
        name: &OsStr,
        attrs: Option<&Attrs>,
        shown: &str,
    ) -> io::Result<()> {
        let Some((attrs, owner)) = attrs.and_then(|a| Some((a, a.owner.as_ref()?))) else {
            return Ok(());
        };
        let uid = attrs
            .owner_name
            .as_deref()
            .and_then(|n| self.users.uid_of(n))
            .unwrap_or(owner.uid);
        let gid = attrs
            .group_name
            .as_deref()
            .and_then(|n| self.users.gid_of(n))
            .unwrap_or(owner.gid);
        let spot = self.place.spot(parts, false)?;
        match spot.dir.chown(name, uid, gid) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                if !self.owner_trouble {
                    self.owner_trouble = true;
                    let who = sys::effective_uid();
                    ui.warn("owner", &format!("owners cannot be restored by user {who}, first for {shown}; run as root for that"));
                }
                Ok(())
            }
            other => other,
        }
    }
}

/// Warns that not all attributes could be set.
pub(super) fn tell_attributes(done: io::Result<()>, ui: &mut Ui, shown: &str) {
    if let Err(e) = done {
        let why = io_text(&e);
        ui.warn(
            "attributes",
            &format!("not all attributes of {shown} can be set: {why}"),
        );
    }
}
