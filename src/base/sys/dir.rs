//! Folders by handle: everything below is reached one name at a time and no symlink is ever followed, so that a tree being
//! restored cannot lead out of its root however it changes meanwhile.

use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::files::{FileKind, Stat, from_std, is_missing_call, statx};
use super::{c_bytes, check, proc_path};

const RENAME_NOREPLACE: libc::c_uint = 1;

/// An open folder. Names given to its methods are single components: `/`, `.` and `..` are `EINVAL`.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// An open folder's handle.
    pub(super) fn of(file: File) -> Dir {
        Dir { fd: file.into() }
    }

    /// The root of a tree; symlinks in `path` are followed.
    pub(crate) fn open(path: &Path) -> io::Result<Dir> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)?;
        Ok(Dir::of(file))
    }

    /// A folder directly below; a symlink is an error (`ELOOP` or `ENOTDIR`).
    pub(crate) fn open_dir(&self, name: &OsStr) -> io::Result<Dir> {
        self.open_at(name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
            .map(Dir::of)
    }

    /// A folder below, by a path of components, in one call whatever its depth; a symlink on the way is an error (`ELOOP`). Kernels
    /// before 5.6 lack the call (`ENOSYS`), and containers may forbid it (`EPERM`): then [`Dir::open_dir`] leads there.
    pub(crate) fn open_below(&self, path: &[&[u8]]) -> io::Result<Dir> {
        for name in path {
            component(OsStr::from_bytes(name))?;
        }
        let path = c_bytes(&path.join(&b'/'))?;
        // SAFETY: numbers only, of which the kernel's structure may get more; zero is how those are left out.
        let mut how: libc::open_how = unsafe { std::mem::zeroed() };
        how.flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
        how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
        let (at, size) = (self.raw(), size_of_val(&how));
        // SAFETY: the path ends in NUL and `how` has the size given; both live through the call.
        let fd =
            unsafe { libc::syscall(libc::SYS_openat2, at, path.as_ptr(), &raw const how, size) };
        let fd = check(libc::c_int::try_from(fd).unwrap_or(-1))?;
        // SAFETY: a descriptor that comes back is ours alone.
        Ok(Dir::of(unsafe { File::from_raw_fd(fd) }))
    }

    /// Makes a folder; `mode` is cut by the umask. An existing entry is `AlreadyExists`.
    pub(crate) fn make_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        let name = component(name)?;
        // SAFETY: the name ends in NUL and lives through the call.
        check(unsafe { libc::mkdirat(self.raw(), name.as_ptr(), mode_t(mode)) }).map(|_| ())
    }

    /// Of the entry itself.
    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let c = component(name)?;
        match statx(self.raw(), &c, libc::AT_SYMLINK_NOFOLLOW) {
            Err(e) if is_missing_call(&e) => {
                std::fs::symlink_metadata(self.proc(name)).map(|m| from_std(&m))
            }
            done => done,
        }
    }

    /// A new file for reading and writing; `mode` is cut by the umask. An existing entry of any kind is `AlreadyExists`.
    pub(crate) fn create_file(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        self.open_at(name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode)
    }

    /// An existing regular file for reading, or for reading and writing; anything else is `InvalidInput`, without waiting
    /// on pipes or waking devices.
    pub(crate) fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        if self.stat(name)?.kind != FileKind::File {
            return Err(not_a_file());
        }
        let access = if write { libc::O_RDWR } else { libc::O_RDONLY };
        let file = self.open_at(name, access | libc::O_NONBLOCK | libc::O_NOCTTY, 0)?;
        if !file.metadata()?.is_file() {
            return Err(not_a_file());
        }
        Ok(file)
    }

    /// Renames within the folder; a file at `to` is replaced.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (from, to) = (component(from)?, component(to)?);
        // SAFETY: both names end in NUL and live through the call.
        check(unsafe { libc::renameat(self.raw(), from.as_ptr(), self.raw(), to.as_ptr()) })
            .map(|_| ())
    }

    /// As [`Dir::rename`], but an entry at `to` stays and is `AlreadyExists`. Where neither the kernel nor the file system can
    /// do it in one step it is looked for first.
    pub(crate) fn rename_noreplace(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (from_c, to_c) = (component(from)?, component(to)?);
        // SAFETY: both names end in NUL and live through the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                self.raw(),
                from_c.as_ptr(),
                self.raw(),
                to_c.as_ptr(),
                RENAME_NOREPLACE,
            )
        };
        if result != -1 {
            return Ok(());
        }
        let e = io::Error::last_os_error();
        match e.raw_os_error() {
            Some(libc::ENOSYS | libc::EINVAL) => self.rename_by_link(from, to),
            _ => Err(e),
        }
    }

    /// The slow way of [`Dir::rename_noreplace`].
    pub(super) fn rename_by_link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (from_c, to_c) = (component(from)?, component(to)?);
        // SAFETY: both names end in NUL and live through the call.
        let linked = check(unsafe {
            libc::linkat(self.raw(), from_c.as_ptr(), self.raw(), to_c.as_ptr(), 0)
        });
        match linked {
            Ok(_) => self.unlink(from),
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::EEXIST | libc::ENOENT | libc::EROFS)
                ) =>
            {
                Err(e)
            }
            // Folders and file systems without hard links.
            Err(_) => match self.stat(to) {
                Ok(_) => Err(io::Error::from_raw_os_error(libc::EEXIST)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.rename(from, to),
                Err(e) => Err(e),
            },
        }
    }

    /// Longest name in bytes that the file system says it takes; 255 where it does not say.
    pub(crate) fn longest_name(&self) -> usize {
        // SAFETY: `stat` is plain data and the descriptor is open.
        let longest = unsafe {
            let mut stat: libc::statvfs = std::mem::zeroed();
            match libc::fstatvfs(self.raw(), &mut stat) {
                0 => usize::try_from(stat.f_namemax).unwrap_or(0),
                _ => 0,
            }
        };
        match longest {
            0..32 => 255,
            n => n,
        }
    }

    /// Text of a symlink, exactly.
    pub(crate) fn read_link(&self, name: &OsStr) -> io::Result<Vec<u8>> {
        let name = component(name)?;
        let mut buffer = vec![0u8; 4096];
        // SAFETY: the name ends in NUL and the buffer has the length given; both live through the call.
        let len = super::check_len(unsafe {
            libc::readlinkat(
                self.raw(),
                name.as_ptr(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        })?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Removes an entry that is not a folder.
    pub(crate) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        self.remove(name, 0)
    }

    /// Removes an empty folder.
    pub(crate) fn rmdir(&self, name: &OsStr) -> io::Result<()> {
        self.remove(name, libc::AT_REMOVEDIR)
    }

    fn remove(&self, name: &OsStr, flags: libc::c_int) -> io::Result<()> {
        let name = component(name)?;
        // SAFETY: the name ends in NUL and lives through the call.
        check(unsafe { libc::unlinkat(self.raw(), name.as_ptr(), flags) }).map(|_| ())
    }

    /// Makes a symlink; `target` is stored as it is.
    pub(crate) fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        let (target, name) = (c_bytes(target.as_bytes())?, component(name)?);
        // SAFETY: both texts end in NUL and live through the call.
        check(unsafe { libc::symlinkat(target.as_ptr(), self.raw(), name.as_ptr()) }).map(|_| ())
    }

    /// Sets the time of modification of the entry itself: seconds since 1970 and nanoseconds; the time of access stays.
    pub(crate) fn set_times(&self, name: &OsStr, mtime: (i64, u32)) -> io::Result<()> {
        set_mtime(self.raw(), Some(&component(name)?), mtime)
    }

    /// Sets owner and group of the entry itself. The system may clear the set-id bits: set the mode afterwards.
    pub(crate) fn chown(&self, name: &OsStr, uid: u32, gid: u32) -> io::Result<()> {
        let name = component(name)?;
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: the name ends in NUL and lives through the call.
        check(unsafe { libc::fchownat(self.raw(), name.as_ptr(), uid, gid, flags) }).map(|_| ())
    }

    /// Sets the 12 mode bits of a file or folder; a symlink has none and is `EOPNOTSUPP`.
    pub(crate) fn chmod(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        let held = self.open_at(name, libc::O_PATH, 0)?;
        if held.metadata()?.file_type().is_symlink() {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let mode = std::fs::Permissions::from_mode(mode & 0o7777);
        match std::fs::set_permissions(proc_path(held.as_raw_fd()), mode.clone()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.open_any(name)?.set_permissions(mode)
            }
            done => done,
        }
    }

    pub(super) fn open_any(&self, name: &OsStr) -> io::Result<File> {
        self.open_at(name, libc::O_RDONLY | libc::O_NONBLOCK, 0)
    }

    pub(super) fn raw(&self) -> libc::c_int {
        self.fd.as_raw_fd()
    }

    fn open_at(&self, name: &OsStr, flags: libc::c_int, mode: u32) -> io::Result<File> {
        open_raw(
            self.raw(),
            &component(name)?,
            flags | libc::O_NOFOLLOW,
            mode,
        )
    }

    pub(super) fn proc(&self, name: &OsStr) -> std::path::PathBuf {
        Path::new(&proc_path(self.raw())).join(name)
    }

    pub(super) fn proc_c(&self, name: &OsStr) -> io::Result<CString> {
        super::c_path(&self.proc(name))
    }
}

/// Opens `name` below the folder `at`; `flags` are `O_*`, and say whether a symlink is followed.
pub(super) fn open_raw(
    at: libc::c_int,
    name: &std::ffi::CStr,
    flags: libc::c_int,
    mode: u32,
) -> io::Result<File> {
    let flags = flags | libc::O_CLOEXEC | libc::O_LARGEFILE;
    // SAFETY: the name ends in NUL; a descriptor that comes back is ours alone.
    unsafe {
        let fd = check(libc::openat(at, name.as_ptr(), flags, mode))?;
        Ok(File::from_raw_fd(fd))
    }
}

/// A single component of a path.
pub(super) fn component(name: &OsStr) -> io::Result<CString> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    c_bytes(bytes)
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "mode_t is 16 bits on some systems and a mode has 12"
)]
fn mode_t(mode: u32) -> libc::mode_t {
    (mode & 0o7777) as libc::mode_t
}

/// The kernel's `struct __kernel_timespec`.
#[repr(C)]
struct Time64 {
    sec: i64,
    nsec: i64,
}

#[cfg(all(target_pointer_width = "32", not(target_arch = "mips")))]
const SYS_UTIMENSAT: libc::c_long = 412;
#[cfg(all(target_pointer_width = "32", target_arch = "mips"))]
const SYS_UTIMENSAT: libc::c_long = 4412;
#[cfg(not(target_pointer_width = "32"))]
const SYS_UTIMENSAT: libc::c_long = libc::SYS_utimensat;

/// As [`Dir::set_times`] for an open file.
pub(crate) fn set_file_times(file: &File, mtime: (i64, u32)) -> io::Result<()> {
    set_mtime(file.as_raw_fd(), None, mtime)
}

/// `utimensat` with 64-bit times on every machine, without a name for what `at` is itself; 32-bit kernels before 5.1 take the
/// old call.
fn set_mtime(at: libc::c_int, name: Option<&CString>, (sec, nsec): (i64, u32)) -> io::Result<()> {
    let (name, flags) = match name {
        Some(name) => (name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW),
        None => (std::ptr::null(), 0),
    };
    let nsec = nsec.min(999_999_999);
    let times = [
        Time64 {
            sec: 0,
            nsec: libc::UTIME_OMIT.into(),
        },
        Time64 {
            sec,
            nsec: nsec.into(),
        },
    ];
    // SAFETY: the name, if any, ends in NUL; two times are passed in the layout of the call.
    let result = unsafe { libc::syscall(SYS_UTIMENSAT, at, name, times.as_ptr(), flags) };
    if result != -1 {
        return Ok(());
    }
    let e = io::Error::last_os_error();
    if cfg!(target_pointer_width = "32") && e.raw_os_error() == Some(libc::ENOSYS) {
        // SAFETY: as above.
        return unsafe { set_mtime_old(at, name, flags, (sec, nsec)) };
    }
    Err(e)
}

/// # Safety
///
/// `name` is null or ends in NUL.
unsafe fn set_mtime_old(
    at: libc::c_int,
    name: *const libc::c_char,
    flags: libc::c_int,
    (sec, nsec): (i64, u32),
) -> io::Result<()> {
    // SAFETY: the times are plain data (some targets pad them); all live through the call.
    unsafe {
        let mut times: [libc::timespec; 2] = std::mem::zeroed();
        times[0].tv_nsec = libc::UTIME_OMIT;
        times[1].tv_sec = libc::time_t::try_from(sec)
            .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        times[1].tv_nsec = libc::c_long::try_from(nsec).unwrap_or(0);
        check(libc::utimensat(at, name, times.as_ptr(), flags)).map(|_| ())
    }
}
