//! Extended attributes of the entries of an open folder, symlinks not followed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsRawFd;

use super::dir::{Dir, component};
use super::files::{packed_names, sized, xattr_get_c, xattr_read, xattr_set_c};
use super::{c_bytes, check};

impl Dir {
    /// Sets an extended attribute of the entry itself. Without `/proc` only of what can be opened: no symlink, and not what
    /// this user may not read.
    pub(crate) fn set_xattr(&self, name: &OsStr, attribute: &[u8], value: &[u8]) -> io::Result<()> {
        component(name)?;
        let attribute = c_bytes(attribute)?;
        match xattr_set_c(&self.proc_c(name)?, &attribute, value) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let (data, len) = (value.as_ptr().cast(), value.len());
                let file = self.open_any(name)?;
                // SAFETY: the descriptor is open; the name ends in NUL and the value has `len` bytes; both live on.
                let done =
                    unsafe { libc::fsetxattr(file.as_raw_fd(), attribute.as_ptr(), data, len, 0) };
                check(done).map(|_| ())
            }
            done => done,
        }
    }

    /// Value of an extended attribute of the entry itself. Without `/proc` as [`Dir::set_xattr`].
    pub(crate) fn get_xattr(&self, name: &OsStr, attribute: &[u8]) -> io::Result<Option<Vec<u8>>> {
        component(name)?;
        let attribute = c_bytes(attribute)?;
        match xattr_get_c(&self.proc_c(name)?, &attribute) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = self.open_any(name)?;
                xattr_read(|buffer, len| {
                    let (fd, name) = (file.as_raw_fd(), attribute.as_ptr());
                    // SAFETY: the descriptor is open, the name ends in NUL, the buffer has `len` bytes; all live on.
                    unsafe { libc::fgetxattr(fd, name, buffer.cast(), len) }
                })
            }
            done => done,
        }
    }

    /// Names of the extended attributes of the entry itself; none where the file system has none. Without `/proc` as
    /// [`Dir::set_xattr`].
    pub(crate) fn list_xattrs(&self, name: &OsStr) -> io::Result<Vec<Vec<u8>>> {
        component(name)?;
        let path = self.proc_c(name)?;
        // SAFETY: the path ends in NUL; the buffer is `len` bytes long, or null with length 0.
        let listed =
            sized(|buffer, len| unsafe { libc::llistxattr(path.as_ptr(), buffer.cast(), len) });
        packed_names(match listed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = self.open_any(name)?;
                // SAFETY: the descriptor is open; the buffer is `len` bytes long, or null with length 0.
                sized(|buffer, len| unsafe {
                    libc::flistxattr(file.as_raw_fd(), buffer.cast(), len)
                })
            }
            done => done,
        })
    }

    /// Removes an extended attribute of the entry itself; one that is not there is no error. Without `/proc` as
    /// [`Dir::set_xattr`].
    pub(crate) fn remove_xattr(&self, name: &OsStr, attribute: &[u8]) -> io::Result<()> {
        component(name)?;
        let (path, attribute) = (self.proc_c(name)?, c_bytes(attribute)?);
        // SAFETY: both texts end in NUL and live through the call.
        let done = check(unsafe { libc::lremovexattr(path.as_ptr(), attribute.as_ptr()) });
        let done = match done {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = self.open_any(name)?;
                // SAFETY: the descriptor is open; the name ends in NUL and lives through the call.
                check(unsafe { libc::fremovexattr(file.as_raw_fd(), attribute.as_ptr()) })
            }
            done => done,
        };
        match done {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENODATA | libc::ENOTSUP)) => Ok(()),
            done => done.map(|_| ()),
        }
    }
}
