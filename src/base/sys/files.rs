//! What the system says about a file by its path: stat with 64-bit times and the time of birth, extended attributes, space.

use std::ffi::{CStr, CString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{c_bytes, c_path, check, check_len, proc_path};

/// Longest list of attribute names that the kernel gives, and longest value.
const XATTR_MAX: usize = 64 << 10;

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Folder,
    Symlink,
    /// Device, pipe or socket.
    Other,
}

impl FileKind {
    fn of_mode(mode: u32) -> FileKind {
        match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Folder,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Other,
        }
    }
}

/// A new file in a folder, without a name until [`give_name`]; `mode` is cut by the umask. Not every file system can.
pub(crate) fn unnamed_file(folder: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(mode);
    options.custom_flags(libc::O_TMPFILE).open(folder)
}

/// Gives an unnamed file a name that nothing has.
pub(crate) fn give_name(file: &File, path: &Path) -> io::Result<()> {
    let from = c_bytes(proc_path(file.as_raw_fd()).as_bytes())?;
    let to = c_path(path)?;
    let here = libc::AT_FDCWD;
    let flags = libc::AT_SYMLINK_FOLLOW;
    // SAFETY: both are NUL-terminated and outlive the call.
    let result = unsafe { libc::linkat(here, from.as_ptr(), here, to.as_ptr(), flags) };
    check(result).map(|_| ())
}

/// Facts about one file. Times are seconds since 1970 (may be negative) and nanoseconds (0..1e9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Permission bits with set-id and sticky: 12 bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u64,
    /// Bytes; for a symlink the length of its target.
    pub(crate) size: u64,
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
    /// Time of birth, where the file system keeps it.
    pub(crate) btime: Option<(i64, u32)>,
}

/// The kernel's `struct statx_timestamp`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct StatxTime {
    sec: i64,
    nsec: u32,
    pad: i32,
}

impl StatxTime {
    fn pair(self) -> (i64, u32) {
        (self.sec, self.nsec.min(999_999_999))
    }
}

/// The kernel's `struct statx`: one layout on every machine, not offered by every libc.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Statx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    pad: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    atime: StatxTime,
    btime: StatxTime,
    ctime: StatxTime,
    mtime: StatxTime,
    rdev_major: u32,
    rdev_minor: u32,
    dev_major: u32,
    dev_minor: u32,
    spare: [u64; 14],
}

const _: () = assert!(size_of::<Statx>() == 256);

const STATX_BASIC_STATS: libc::c_uint = 0x7ff;
const STATX_BTIME: libc::c_uint = 0x800;

impl Statx {
    fn to_stat(self) -> Stat {
        let mode = u32::from(self.mode);
        let dev = u64::from(libc::makedev(self.dev_major, self.dev_minor));
        Stat {
            kind: FileKind::of_mode(mode),
            dev,
            ino: self.ino,
            mode: mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            nlink: u64::from(self.nlink),
            size: self.size,
            mtime: self.mtime.pair(),
            ctime: self.ctime.pair(),
            btime: (self.mask & STATX_BTIME != 0).then(|| self.btime.pair()),
        }
    }
}

/// Of the file itself, never of what a symlink points at. One system call.
pub(crate) fn lstat(path: &Path) -> io::Result<Stat> {
    let c = c_path(path)?;
    match statx(libc::AT_FDCWD, &c, libc::AT_SYMLINK_NOFOLLOW) {
        Err(e) if is_missing_call(&e) => std::fs::symlink_metadata(path).map(|m| from_std(&m)),
        done => done,
    }
}

/// Kernels before 4.11 lack the call, old container runtimes forbid it; it never answers `EPERM` itself.
pub(super) fn is_missing_call(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// `path` below the folder `at`; `flags` are `AT_*`.
pub(super) fn statx(at: RawFd, path: &CStr, flags: libc::c_int) -> io::Result<Stat> {
    let mut out = Statx::default();
    // SAFETY: the path ends in NUL, `out` has the kernel's layout and size, and both live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_statx,
            at,
            path.as_ptr(),
            flags,
            STATX_BASIC_STATS | STATX_BTIME,
            &raw mut out,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(out.to_stat())
}

/// The same facts by way of the standard library, for kernels without `statx`.
pub(super) fn from_std(m: &Metadata) -> Stat {
    let t = m.file_type();
    let kind = if t.is_symlink() {
        FileKind::Symlink
    } else if t.is_dir() {
        FileKind::Folder
    } else if t.is_block_device() || t.is_char_device() || t.is_fifo() || t.is_socket() {
        FileKind::Other
    } else {
        FileKind::File
    };
    let time = |sec, nsec| (sec, u32::try_from(nsec).unwrap_or(0));
    Stat {
        kind,
        dev: m.dev(),
        ino: m.ino(),
        mode: m.mode() & 0o7777,
        uid: m.uid(),
        gid: m.gid(),
        nlink: m.nlink(),
        size: m.size(),
        mtime: time(m.mtime(), m.mtime_nsec()),
        ctime: time(m.ctime(), m.ctime_nsec()),
        btime: None,
    }
}

/// A packed list of attribute names, unpacked; none where the file system has none.
pub(super) fn packed_names(packed: io::Result<Vec<u8>>) -> io::Result<Vec<Vec<u8>>> {
    match packed {
        Ok(packed) => Ok(packed
            .split(|&b| b == 0)
            .filter(|n| !n.is_empty())
            .map(<[u8]>::to_vec)
            .collect()),
        Err(e) if e.raw_os_error() == Some(libc::ENOTSUP) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Value of one extended attribute of the file itself; `None` when it has none of that name.
pub(super) fn xattr_get_c(path: &CString, name: &CString) -> io::Result<Option<Vec<u8>>> {
    // SAFETY: both texts end in NUL; the buffer is `len` bytes long, or null with length 0.
    xattr_read(|buf, len| unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), buf.cast(), len) })
}

/// Value of one extended attribute by one of the calls that fill a buffer of a length; `None` when there is none.
pub(super) fn xattr_read(
    call: impl FnMut(*mut u8, usize) -> libc::ssize_t,
) -> io::Result<Option<Vec<u8>>> {
    match sized(call) {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENODATA | libc::ENOTSUP)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Sets one extended attribute of the file itself.
#[cfg(test)]
pub(crate) fn xattr_set(path: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    xattr_set_c(&c_path(path)?, &c_bytes(name)?, value)
}

pub(super) fn xattr_set_c(path: &CString, name: &CString, value: &[u8]) -> io::Result<()> {
    // SAFETY: both texts end in NUL; the value is readable for the length given.
    let result = unsafe {
        libc::lsetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    super::check(result).map(|_| ())
}

/// Asks for the length, then for the bytes; again when they grew in between. At most [`XATTR_MAX`] bytes.
pub(super) fn sized(mut call: impl FnMut(*mut u8, usize) -> libc::ssize_t) -> io::Result<Vec<u8>> {
    for _ in 0..8 {
        let need = check_len(call(std::ptr::null_mut(), 0))?;
        if need == 0 {
            return Ok(Vec::new());
        }
        if need > XATTR_MAX {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let mut buf = vec![0; need];
        match check_len(call(buf.as_mut_ptr(), buf.len())) {
            Ok(len) => {
                buf.truncate(len);
                return Ok(buf);
            }
            Err(e) if e.raw_os_error() == Some(libc::ERANGE) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ERANGE))
}

/// The kernel's number of the file system that an open file is on, as `statfs` calls it.
pub(crate) fn file_system_of(file: &File) -> io::Result<u32> {
    let mut out = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open and `out` has the size of what the call fills.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), out.as_mut_ptr()) })?;
    // SAFETY: the call was right, so it filled `out`.
    let stat = unsafe { out.assume_init() };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "all numbers have 32 bits, of a type that differs between systems"
    )]
    Ok(stat.f_type as u32)
}

/// Bytes free for this user on the file system of `folder`; `None` when the system does not say.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    space(folder).map(|(_, free)| free)
}

/// Bytes in total, and free for this user, of the file system of `folder`; `None` when the system does not say.
pub(crate) fn space(folder: &Path) -> Option<(u64, u64)> {
    let path = c_path(folder).ok()?;
    // SAFETY: `stat` is plain data and both pointers are valid for the call.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    if stat.f_blocks == 0 {
        return None;
    }
    let (unit, total, free) = (
        u64::from(stat.f_frsize),
        u64::from(stat.f_blocks),
        u64::from(stat.f_bavail),
    );
    Some((total.saturating_mul(unit), free.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::super::Dir;
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!(
            "duplet-files-{}",
            crate::base::rand::hex::<8>().unwrap()
        ));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn both_ways_to_stat_agree() {
        let root = folder();
        let file = root.join("f");
        std::fs::write(&file, b"12345").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).unwrap();
        std::fs::hard_link(&file, root.join("g")).unwrap();
        symlink("f", root.join("l")).unwrap();
        for (path, kind) in [
            (file.clone(), FileKind::File),
            (root.join("l"), FileKind::Symlink),
            (root.clone(), FileKind::Folder),
            ("/dev/null".into(), FileKind::Other),
        ] {
            let mut got = lstat(&path).unwrap();
            let other = from_std(&std::fs::symlink_metadata(&path).unwrap());
            assert_eq!(got.kind, kind, "{path:?}");
            got.btime = None;
            assert_eq!(got, other, "{path:?}");
        }
        let dir = Dir::open(&root).unwrap();
        let spot = super::super::Spot {
            dir: &dir,
            name: b"l",
            follow: true,
        };
        let followed = spot.stat().unwrap();
        assert_eq!(followed, lstat(&file).unwrap());
        assert_eq!(
            (followed.mode, followed.size, followed.nlink),
            (0o4751, 5, 2)
        );
        let e = lstat(&root.join("none")).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::NotFound);
        let e = lstat(Path::new("a\0b")).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::EINVAL));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn times_beyond_2038_and_before_1970_survive() {
        let root = folder();
        std::fs::write(root.join("f"), b"").unwrap();
        let dir = Dir::open(&root).unwrap();
        for time in [(2_240_000_000, 123_456_789), (-5, 500_000_000), (0, 0)] {
            dir.set_times(OsStr::new("f"), time).unwrap();
            assert_eq!(lstat(&root.join("f")).unwrap().mtime, time);
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn attributes_round_trip_or_are_said_to_be_unsupported() {
        let root = folder();
        let file = root.join("f");
        std::fs::write(&file, b"").unwrap();
        let dir = Dir::open(&root).unwrap();
        let spot = |name| super::super::Spot {
            dir: &dir,
            name,
            follow: false,
        };
        assert_eq!(spot(b"f").xattr(b"user.duplet").unwrap(), None);
        match xattr_set(&file, b"user.duplet", b"v\0w") {
            Ok(()) => {
                xattr_set(&file, b"user.empty", b"").unwrap();
                let mut names = spot(b"f").xattr_names().unwrap();
                names.retain(|n| n.starts_with(b"user."));
                names.sort();
                assert_eq!(names, [b"user.duplet".to_vec(), b"user.empty".to_vec()]);
                let value = spot(b"f").xattr(b"user.duplet").unwrap();
                assert_eq!(value.as_deref(), Some(&b"v\0w"[..]));
                let value = spot(b"f").xattr(b"user.empty").unwrap();
                assert_eq!(value.as_deref(), Some(&b""[..]));
            }
            Err(e) => assert_eq!(e.raw_os_error(), Some(libc::ENOTSUP)),
        }
        assert!(spot(b"none").xattr_names().is_err());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_growing_value_is_asked_for_again_and_a_huge_one_refused() {
        let mut calls = 0;
        let got = sized(|buf, len| {
            calls += 1;
            match (calls, buf.is_null()) {
                (1, true) => 2,
                (2, false) => {
                    // SAFETY: sets this thread's errno as the system call would.
                    unsafe { *libc::__errno_location() = libc::ERANGE };
                    -1
                }
                (3, true) => 4,
                (_, false) if len == 4 => 3,
                other => panic!("unexpected call {other:?}"),
            }
        });
        assert_eq!(got.unwrap(), [0; 3]);
        let e = sized(|_, _| libc::ssize_t::try_from(XATTR_MAX + 1).unwrap()).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::E2BIG));
    }

    #[test]
    fn space_is_known_for_a_real_folder_only() {
        let (total, free) = space(&std::env::temp_dir()).unwrap();
        assert!(total >= free && total > 0);
        assert_eq!(space(Path::new("/nonexistent/x")), None);
    }
}
