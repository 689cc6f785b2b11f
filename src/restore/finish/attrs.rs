//! The attributes of one restored entry: owner, mode, extended attributes, times.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown};

use crate::base::error::io_text;
use crate::base::sys::{self, Dir, Stat};
use crate::base::text;
use crate::base::time::{Timestamp, unix_from_ticks};
use crate::base::ui::Ui;
use crate::format::meta::Attrs;
use crate::restore::Existing;
use crate::restore::finish::Finish;
use crate::restore::targets::Target;

/// What the version says of an entry's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::restore) enum Recorded {
    /// There is metadata, and no mode in it: it comes from another system.
    Nothing,
    Mode(u32),
    /// There is no metadata, or it is lost: nobody knows who might use the entry.
    Unknown,
}

impl Recorded {
    /// The bits that a new entry may have.
    pub(in crate::restore) fn most(self) -> u32 {
        match self {
            Recorded::Nothing => 0o777,
            Recorded::Mode(mode) => mode,
            Recorded::Unknown => 0o700,
        }
    }
}

/// Who may use an entry when `--restore-permissions` does not say otherwise.
pub(in crate::restore) enum Access {
    /// It was there and stays as it is.
    Keep,
    /// New: at most these bits, without those of the umask, and no more than the version says.
    New(u32),
    /// It replaces a file and takes that file's owner, mode and access list over.
    Like(Stat),
}

/// An entry about to be finished.
#[derive(Clone, Copy)]
pub(in crate::restore) struct Known<'a> {
    pub(in crate::restore) attrs: Option<&'a Attrs>,
    pub(in crate::restore) recorded: Recorded,
    pub(in crate::restore) target: &'a Target,
    /// Where it goes, for messages.
    pub(in crate::restore) shown: &'a str,
}

/// What gets attributes: a name in a folder, and the file of that name where it is open.
#[derive(Clone, Copy)]
pub(in crate::restore) struct On<'a> {
    pub(in crate::restore) dir: &'a Dir,
    pub(in crate::restore) name: &'a OsStr,
    pub(in crate::restore) file: Option<&'a File>,
}

impl On<'_> {
    fn chown(&self, uid: u32, gid: u32) -> io::Result<()> {
        match self.file {
            Some(file) => fchown(file, Some(uid), Some(gid)),
            None => self.dir.chown(self.name, uid, gid),
        }
    }

    pub(in crate::restore) fn chmod(&self, mode: u32) -> io::Result<()> {
        match self.file {
            Some(file) => file.set_permissions(Permissions::from_mode(mode & 0o7777)),
            None => self.dir.chmod(self.name, mode),
        }
    }
}

const ACL: &[u8] = b"system.posix_acl_access";

impl Finish<'_> {
    /// Owner, extended attributes, mode, then the time. What cannot be set is warned about: the entry itself is there.
    pub(in crate::restore) fn attributes(
        &mut self,
        ui: &mut Ui,
        on: On<'_>,
        known: &Known<'_>,
        access: &Access,
    ) {
        let done = self.all_attributes(ui, on, known, access);
        tell_attributes(done, ui, known.shown);
    }

    fn all_attributes(
        &mut self,
        ui: &mut Ui,
        on: On<'_>,
        known: &Known<'_>,
        access: &Access,
    ) -> io::Result<()> {
        let told = self.options.permissions && known.attrs.is_some_and(|a| a.owner.is_some());
        let mut taken_over = true;
        if told {
            self.owner(ui, on, known)?;
        } else if let Access::Like(there) = access {
            taken_over = take_over(on, known.target, there).is_ok();
        }
        if let Some(attrs) = known.attrs {
            self.remove_surplus(on, attrs, access)?;
            for (attribute, value) in &attrs.xattrs {
                if !self.options.permissions && grants(attribute) {
                    continue;
                }
                if let Err(e) = on.dir.set_xattr(on.name, attribute, value) {
                    ui.warn(
                        "xattr",
                        &format!(
                            "the attribute {} of {} cannot be set: {}",
                            text::safe(attribute),
                            known.shown,
                            io_text(&e)
                        ),
                    );
                }
            }
        }
        if !taken_over {
            let shown = known.shown;
            ui.warn("owner", &format!("{shown} cannot keep the owner or the access list it had: only user {} may use it now", sys::effective_uid()));
        }
        self.mode(on, known, access, taken_over)?;
        self.times(on, known.attrs, known.target.record.entry.time)
    }

    /// The mode; `taken_over`: the entry has the owner and access list of the file it replaces.
    pub(in crate::restore) fn mode(
        &mut self,
        on: On<'_>,
        known: &Known<'_>,
        access: &Access,
        taken_over: bool,
    ) -> io::Result<()> {
        let owner = known.attrs.and_then(|a| a.owner);
        let mode = match (owner.filter(|_| self.options.permissions), access) {
            (Some(owner), _) => owner.mode & 0o777,
            (None, Access::Keep) => return Ok(()),
            (None, Access::New(usual)) => usual & !self.umask & known.recorded.most(),
            (None, Access::Like(there)) if taken_over => there.mode,
            (None, Access::Like(_)) => 0o600,
        };
        on.chmod(mode)
    }

    /// Removes attributes that the version does not have: those of users from what is overwritten, those that grant something
    /// where these are restored. Labels of the system stay, and values that a version cannot hold.
    fn remove_surplus(&mut self, on: On<'_>, attrs: &Attrs, access: &Access) -> io::Result<()> {
        let overwrite = matches!(self.options.existing, Existing::Overwrite | Existing::Newer)
            && matches!(access, Access::Keep);
        let permissions = self.options.permissions;
        if *attrs == Attrs::default() || !(overwrite || permissions) {
            return Ok(());
        }
        for attribute in on.dir.list_xattrs(on.name)? {
            let is_user = attribute.starts_with(b"user.");
            let grant = attribute.starts_with(b"system.posix_acl_")
                || attribute.starts_with(b"trusted.")
                || attribute == b"security.capability";
            let surplus = !attrs.xattrs.iter().any(|(a, _)| *a == attribute)
                && std::str::from_utf8(&attribute).is_ok();
            if surplus && (is_user && overwrite || grant && permissions) {
                let value = on.dir.get_xattr(on.name, &attribute)?;
                if value.is_some_and(|v| !v.is_empty()) {
                    on.dir.remove_xattr(on.name, &attribute)?;
                }
            }
        }
        Ok(())
    }

    pub(in crate::restore) fn times(
        &self,
        on: On<'_>,
        attrs: Option<&Attrs>,
        fallback: Option<Timestamp>,
    ) -> io::Result<()> {
        if self.options.skip_metadata {
            return Ok(());
        }
        let ticks = attrs.and_then(|a| a.modified).filter(|&t| t != 0);
        let time = ticks.map(unix_from_ticks).or(fallback.map(|t| (t.0, 0)));
        match (time, on.file) {
            (Some(time), Some(file)) => sys::set_file_times(file, time),
            (Some(time), None) => on.dir.set_times(on.name, time),
            (None, _) => Ok(()),
        }
    }

    /// Names first, numbers second. Without the right to do so one warning in all.
    pub(in crate::restore) fn owner(
        &mut self,
        ui: &mut Ui,
        on: On<'_>,
        known: &Known<'_>,
    ) -> io::Result<()> {
        let Some((attrs, owner)) = known.attrs.and_then(|a| Some((a, a.owner.as_ref()?))) else {
            return Ok(());
        };
        let shown = known.shown;
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
        match on.chown(uid, gid) {
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

/// Gives the owner and the access list of the file that will be replaced.
fn take_over(on: On<'_>, target: &Target, there: &Stat) -> io::Result<()> {
    let have = on.dir.stat(on.name)?;
    if (have.uid, have.gid) != (there.uid, there.gid) {
        on.chown(there.uid, there.gid)?;
    }
    let replaced = target.parts.last().map_or(&[][..], Vec::as_slice);
    match on.dir.get_xattr(OsStr::from_bytes(replaced), ACL)? {
        Some(list) => on.dir.set_xattr(on.name, ACL, &list),
        // One that the folder gave to the new file.
        None => on.dir.remove_xattr(on.name, ACL),
    }
}

/// True for an attribute that may let somebody do something: access lists, capabilities, labels.
fn grants(attribute: &[u8]) -> bool {
    [b"security.".as_slice(), b"trusted.", b"system."]
        .iter()
        .any(|start| attribute.starts_with(start))
}

/// Warns that not all attributes could be set.
pub(in crate::restore) fn tell_attributes(done: io::Result<()>, ui: &mut Ui, shown: &str) {
    if let Err(e) = done {
        let why = io_text(&e);
        ui.warn(
            "attributes",
            &format!("not all attributes of {shown} can be set: {why}"),
        );
    }
}
