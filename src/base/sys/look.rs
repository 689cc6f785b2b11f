//! Looking at a tree by handle: the names in a folder, what they are, their content and their extended attributes. A folder
//! replaced by a symlink meanwhile is not entered. Changes nothing.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::dir::{Dir, component};
use super::files::{
    FileKind, Stat, file_system_of, from_std, is_missing_call, packed_names, sized, statx,
    xattr_read,
};
use super::{c_bytes, c_path, check_len};

/// The name by which a folder itself is meant in the methods of this file.
pub(crate) const ITSELF: &[u8] = b".";

/// Bytes of names that the kernel gives at once.
const NAMES_BYTES: usize = 32 << 10;
/// Longest target of a symlink: `PATH_MAX`.
const TARGET_BYTES: usize = 4096;

/// An entry by the folder it is in and its name there, or [`ITSELF`]. `follow`: a symlink stands for what it leads to.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) name: &'a [u8],
    pub(crate) follow: bool,
}

impl Spot<'_> {
    /// What the entry is. One system call.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        let flags = if self.follow {
            0
        } else {
            libc::AT_SYMLINK_NOFOLLOW
        };
        match statx(self.dir.raw(), &self.c_name()?, flags) {
            Err(e) if is_missing_call(&e) => {
                let held = self.open(libc::O_PATH)?;
                held.metadata().map(|m| from_std(&m))
            }
            done => done,
        }
    }

    /// As the entry of a walk that follows its link.
    pub(crate) fn followed(self) -> Self {
        Spot {
            follow: true,
            ..self
        }
    }

    /// The folder itself; `ELOOP` or `ENOTDIR` when it is none, or a symlink that is not followed.
    pub(crate) fn open_dir(&self) -> io::Result<Dir> {
        self.open(libc::O_RDONLY | libc::O_DIRECTORY).map(Dir::of)
    }

    /// A regular file for reading, and what it is now. The access time stays where that is allowed; nothing waits for a pipe.
    pub(crate) fn open_file(&self) -> io::Result<(File, Stat)> {
        let file = self.open_to_read()?;
        let stat = stat_of(&file)?;
        match stat.kind {
            FileKind::File => Ok((file, stat)),
            _ => Err(not_regular()),
        }
    }

    /// As [`Spot::open_file`] for who has seen what it is, and looks again once it was read: by then it may be something else.
    pub(crate) fn open_to_read(&self) -> io::Result<File> {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
        match self.open(flags | libc::O_NOATIME) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => self.open(flags),
            other => other,
        }
    }

    /// The target of a symlink.
    pub(crate) fn read_link(&self) -> io::Result<OsString> {
        let name = self.c_name()?;
        let mut target = vec![0; TARGET_BYTES];
        let (at, room) = (target.as_mut_ptr().cast(), target.len());
        // SAFETY: the name ends in NUL, the buffer has `room` bytes, both live through the call.
        let len = check_len(unsafe { libc::readlinkat(self.dir.raw(), name.as_ptr(), at, room) })?;
        target.truncate(len);
        Ok(OsString::from_vec(target))
    }

    /// Names of the extended attributes; none where the file system has none. Without `/proc` only of what can be opened.
    pub(crate) fn xattr_names(&self) -> io::Result<Vec<Vec<u8>>> {
        packed_names(self.by_proc_or_handle(
            &mut |path, follow| {
                sized(|buffer, len| {
                    let call = match follow {
                        true => libc::listxattr,
                        false => libc::llistxattr,
                    };
                    // SAFETY: the path ends in NUL; the buffer is `len` bytes long, or null with length 0.
                    unsafe { call(path.as_ptr(), buffer.cast(), len) }
                })
            },
            &mut names_by_handle,
        ))
    }

    /// Value of one extended attribute; `None` when there is none of that name. Without `/proc` as [`Spot::xattr_names`].
    pub(crate) fn xattr(&self, attribute: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let attribute = c_bytes(attribute)?;
        let name = attribute.as_ptr();
        self.by_proc_or_handle(
            &mut |path, follow| {
                xattr_read(|buffer, len| {
                    let call = match follow {
                        true => libc::getxattr,
                        false => libc::lgetxattr,
                    };
                    // SAFETY: both texts end in NUL; the buffer is `len` bytes long, or null with length 0.
                    unsafe { call(path.as_ptr(), name, buffer.cast(), len) }
                })
            },
            &mut |fd| value_by_handle(fd, &attribute),
        )
    }

    /// The kernel's number of the file system that the entry is on, as `statfs` calls it.
    pub(crate) fn file_system(&self) -> io::Result<u32> {
        file_system_of(&self.open(libc::O_PATH)?)
    }

    /// By the folder's place in `/proc`, which needs no right to read the entry; without `/proc` by opening it. A folder itself
    /// has its own handle.
    fn by_proc_or_handle<T>(
        &self,
        by_path: &mut dyn FnMut(&CStr, bool) -> io::Result<T>,
        by_handle: &mut dyn FnMut(libc::c_int) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.name == ITSELF {
            match by_handle(self.dir.raw()) {
                // A handle that only holds the place.
                Err(e) if e.raw_os_error() == Some(libc::EBADF) => {}
                done => return done,
            }
        }
        let path = self.dir.proc(OsStr::from_bytes(self.name));
        match by_path(&c_path(&path)?, self.follow) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = match self.open(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) {
                    // A symlink: nothing but its path leads to its attributes.
                    Err(e) if !self.follow && e.raw_os_error() == Some(libc::ELOOP) => {
                        return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
                    }
                    opened => opened?,
                };
                by_handle(file.as_raw_fd())
            }
            done => done,
        }
    }

    fn open(&self, flags: libc::c_int) -> io::Result<File> {
        let guard = if self.follow { 0 } else { libc::O_NOFOLLOW };
        super::dir::open_raw(self.dir.raw(), &self.c_name()?, flags | guard, 0)
    }

    fn c_name(&self) -> io::Result<CString> {
        if self.name == ITSELF {
            return c_bytes(ITSELF);
        }
        component(OsStr::from_bytes(self.name))
    }
}

/// What is said of a file that became something else.
pub(crate) fn not_regular() -> io::Error {
    io::Error::other("it is no longer a regular file")
}

/// Names of the extended attributes of an open file; none where the file system has none. Cheaper than by its name.
pub(crate) fn xattr_names_of(file: &File) -> io::Result<Vec<Vec<u8>>> {
    packed_names(names_by_handle(file.as_raw_fd()))
}

/// Value of one extended attribute of an open file; `None` when there is none of that name.
pub(crate) fn xattr_of(file: &File, attribute: &[u8]) -> io::Result<Option<Vec<u8>>> {
    value_by_handle(file.as_raw_fd(), &c_bytes(attribute)?)
}

fn names_by_handle(fd: libc::c_int) -> io::Result<Vec<u8>> {
    // SAFETY: the descriptor is open; the buffer is `len` bytes long, or null with length 0.
    sized(|buffer, len| unsafe { libc::flistxattr(fd, buffer.cast(), len) })
}

fn value_by_handle(fd: libc::c_int, attribute: &CStr) -> io::Result<Option<Vec<u8>>> {
    let name = attribute.as_ptr();
    // SAFETY: the descriptor is open, the name ends in NUL; the buffer is `len` bytes long, or null with length 0.
    xattr_read(|buffer, len| unsafe { libc::fgetxattr(fd, name, buffer.cast(), len) })
}

/// What an open file is. One system call.
pub(crate) fn stat_of(file: &File) -> io::Result<Stat> {
    match statx(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH) {
        Err(e) if is_missing_call(&e) => file.metadata().map(|m| from_std(&m)),
        done => done,
    }
}

impl Dir {
    /// A folder as a place only: needs no right to list it, and its names cannot be read. Symlinks in `path` are followed.
    pub(crate) fn place(path: &Path) -> io::Result<Dir> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        super::dir::open_raw(libc::AT_FDCWD, &c_path(path)?, flags, 0).map(Dir::of)
    }

    /// The folder above, by the file system's own account; who needs a certain one compares what it is.
    pub(crate) fn above(&self) -> io::Result<Dir> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        super::dir::open_raw(self.raw(), c"..", flags, 0).map(Dir::of)
    }

    /// The names in it, from the start. Needs a handle that was opened to read.
    pub(crate) fn names(&self) -> DirNames<'_> {
        DirNames {
            dir: self,
            buffer: vec![0; NAMES_BYTES],
            filled: 0,
            at: 0,
        }
    }
}

/// The names in a folder as the kernel gives them, in no order, `.` and `..` left out. Holds 32 KiB.
pub(crate) struct DirNames<'a> {
    dir: &'a Dir,
    buffer: Vec<u8>,
    filled: usize,
    at: usize,
}

impl DirNames<'_> {
    /// The next name and what it is, where the file system says so without a look at it.
    pub(crate) fn next(&mut self) -> Option<io::Result<(&[u8], Option<FileKind>)>> {
        loop {
            if self.at >= self.filled {
                match self.fill() {
                    Ok(0) => return None,
                    Ok(n) => (self.at, self.filled) = (0, n),
                    Err(e) => return Some(Err(e)),
                }
            }
            // Inode and offset of 8 bytes, length of 2, type of 1, the name, NUL.
            let start = self.at;
            let head = self.buffer.get(start..start + 19);
            let Some((length, kind)) = head.map(|h| (u16::from_ne_bytes([h[16], h[17]]), h[18]))
            else {
                return Some(Err(io::Error::from_raw_os_error(libc::EIO)));
            };
            let end = start + usize::from(length.max(19));
            self.at = end;
            let name = self.buffer.get(start + 19..end.min(self.filled));
            let name_len = name.and_then(|n| n.iter().position(|&b| b == 0));
            let Some(len) = name_len else {
                return Some(Err(io::Error::from_raw_os_error(libc::EIO)));
            };
            let range = start + 19..start + 19 + len;
            if matches!(&self.buffer[range.clone()], b"." | b"..") {
                continue;
            }
            return Some(Ok((&self.buffer[range], kind_of(kind))));
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let (at, room) = (self.buffer.as_mut_ptr(), self.buffer.len());
        // SAFETY: the descriptor is open and the buffer has `room` bytes.
        let got = unsafe { libc::syscall(libc::SYS_getdents64, self.dir.raw(), at, room) };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }
}

fn kind_of(d_type: u8) -> Option<FileKind> {
    match d_type {
        libc::DT_UNKNOWN => None,
        libc::DT_REG => Some(FileKind::File),
        libc::DT_DIR => Some(FileKind::Folder),
        libc::DT_LNK => Some(FileKind::Symlink),
        _ => Some(FileKind::Other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    struct Tree(PathBuf);

    impl Tree {
        fn new() -> Tree {
            let root = std::env::temp_dir().join(format!(
                "duplet-look-{}",
                crate::base::rand::hex::<8>().unwrap()
            ));
            std::fs::create_dir_all(root.join("in/sub")).unwrap();
            std::fs::create_dir(root.join("out")).unwrap();
            std::fs::write(root.join("in/file"), b"inside").unwrap();
            std::fs::write(root.join("out/secret"), b"outside").unwrap();
            symlink("../out/secret", root.join("in/link")).unwrap();
            symlink("../out", root.join("in/linkdir")).unwrap();
            Tree(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn spot<'a>(dir: &'a Dir, name: &'a [u8]) -> Spot<'a> {
        Spot {
            dir,
            name,
            follow: false,
        }
    }

    #[test]
    fn names_come_with_their_kinds_and_from_more_than_one_buffer() {
        let tree = Tree::new();
        let dir = Dir::open(&tree.0.join("in")).unwrap();
        for i in 0..2000 {
            std::fs::write(
                tree.0.join(format!("in/sub/{i:04}-{}", "n".repeat(40))),
                b"",
            )
            .unwrap();
        }
        let read = |dir: &Dir| {
            let (mut names, mut all) = (dir.names(), Vec::new());
            while let Some(entry) = names.next() {
                let (name, kind) = entry.unwrap();
                all.push((name.to_vec(), kind));
            }
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        let kinds = [
            ("file", FileKind::File),
            ("link", FileKind::Symlink),
            ("linkdir", FileKind::Symlink),
            ("sub", FileKind::Folder),
        ];
        let found = read(&dir);
        assert_eq!(found.len(), kinds.len());
        for ((name, kind), (want, want_kind)) in found.iter().zip(kinds) {
            assert_eq!(name, want.as_bytes());
            assert!(kind.is_none_or(|k| k == want_kind), "{want}");
        }
        let sub = spot(&dir, b"sub").open_dir().unwrap();
        assert_eq!(read(&sub).len(), 2000);
        assert_eq!(read(&sub.above().unwrap()).len(), kinds.len());
    }

    #[test]
    fn nothing_outside_is_reached_unless_links_are_followed() {
        let tree = Tree::new();
        for dir in [
            Dir::open(&tree.0.join("in")).unwrap(),
            Dir::place(&tree.0.join("in")).unwrap(),
        ] {
            let link = spot(&dir, b"link");
            assert_eq!(link.stat().unwrap().kind, FileKind::Symlink);
            assert!(link.open_file().is_err());
            assert!(spot(&dir, b"linkdir").open_dir().is_err());
            assert_eq!(link.read_link().unwrap(), "../out/secret");
            let (mut file, stat) = link.followed().open_file().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), stat.size), ("outside", 7));
            assert!(spot(&dir, b"linkdir").followed().open_dir().is_ok());
            for name in [&b".."[..], b"", b"../out/secret", b"sub/../link", b"a\0b"] {
                assert!(spot(&dir, name).stat().is_err(), "{name:?}");
                assert!(spot(&dir, name).open_file().is_err(), "{name:?}");
            }
            let itself = spot(&dir, ITSELF);
            assert_eq!(itself.stat().unwrap().kind, FileKind::Folder);
            assert!(itself.open_file().is_err());
            assert_eq!(stat_of(&file).unwrap(), stat);
        }
    }

    #[test]
    fn attributes_are_those_of_the_link_or_of_its_target() {
        let tree = Tree::new();
        let held = Dir::open(&tree.0.join("in")).unwrap();
        let target = tree.0.join("out/secret");
        if super::super::files::xattr_set(&target, b"user.duplet", b"v").is_err() {
            // None there.
            return;
        }
        let has = |s: Spot<'_>| {
            let listed = s.xattr_names().unwrap().contains(&b"user.duplet".to_vec());
            let value = s.xattr(b"user.duplet").unwrap();
            assert_eq!(value.is_some(), listed);
            if let Ok((file, _)) = s.open_file() {
                let names = xattr_names_of(&file).unwrap();
                assert_eq!(names.contains(&b"user.duplet".to_vec()), listed);
                assert_eq!(xattr_of(&file, b"user.duplet").unwrap(), value);
            }
            listed
        };
        assert!(!has(spot(&held, b"link")) && has(spot(&held, b"link").followed()));
        assert!(!has(spot(&held, b"file")) && !has(spot(&held, b"sub")));
        let sub = tree.0.join("in/sub");
        super::super::files::xattr_set(&sub, b"user.duplet", b"v").unwrap();
        for dir in [Dir::open(&sub).unwrap(), Dir::place(&sub).unwrap()] {
            assert!(has(spot(&dir, ITSELF)));
        }
        assert!(spot(&held, b"none").xattr_names().is_err());
    }

    #[test]
    fn the_file_system_has_a_number() {
        let dir = Dir::open(Path::new("/proc")).unwrap();
        assert_eq!(spot(&dir, ITSELF).file_system().unwrap(), 0x9fa0);
        assert_eq!(spot(&dir, b"version").file_system().unwrap(), 0x9fa0);
    }
}
