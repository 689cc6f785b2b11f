//! Small parts of the local destination: paths and names checked, errors classed, bytes moved.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{BUFFER, TEMPORARY};
use crate::base::error::{Error, Result, io_text};
use crate::base::fault::{Class, Done, Fault};
use crate::base::sys::Dir;
use crate::base::{sys, text};
use crate::dest::{Body, RemoteFile};

pub(super) fn absolute(path: &str) -> Result<PathBuf> {
    let bytes = path.as_bytes();
    let has_drive = bytes.len() >= 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes.get(2), None | Some(b'\\' | b'/'));
    if has_drive || path.starts_with("\\\\") {
        let shown = text::safe(bytes);
        return Err(Error::usage(format!(
            "the Windows path {shown} is not supported on this platform"
        )));
    }
    if path.is_empty() {
        return Err(Error::usage("the path of the destination is empty"));
    }
    if path.contains('\0') {
        return Err(Error::usage(
            "the path of the destination has a NUL character",
        ));
    }
    std::path::absolute(path).map_err(|e| Error::io(&e).doing("find the current folder"))
}

pub(super) fn check_name(name: &str) -> Done<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let text = format!("{} is not a file name", text::safe_cut(name.as_bytes(), 60));
        return Err(Fault::new(Class::Usage, text));
    }
    Ok(())
}

/// A regular file, or an error: nothing waits for a pipe that took its name.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(sys::not_regular()),
    }
}

/// File systems whose bytes come from another machine or program, each time they are read if there is little memory: NFS, SMB (three
/// numbers), FUSE, 9P, Ceph, AFS, Coda, a virtual machine's shared folders.
const BROUGHT: [u32; 10] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x786f_4256,
];

/// Whether a file may be read in pieces and again where it lies.
pub(super) fn is_at_hand(file: &File) -> bool {
    sys::file_system_of(file).is_ok_and(|number| !BROUGHT.contains(&number))
}

pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY)
}

pub(super) fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Names in the folder are on the medium.
pub(super) fn sync_folder(folder: &Path) -> Done<()> {
    match ignore_unsupported(File::open(folder).and_then(|f| f.sync_all())) {
        // Network and user-space file systems answer these for folders.
        Err(e)
            if matches!(
                e.raw_os_error(),
                Some(libc::ENOENT | libc::EACCES | libc::EPERM)
            ) =>
        {
            Ok(())
        }
        done => done.map_err(|e| fault(&e, folder)),
    }
}

pub(super) fn shown(path: &Path) -> String {
    text::safe(path.as_os_str().as_encoded_bytes())
}

pub(super) fn folder_missing(folder: &Path) -> Fault {
    let text = format!("folder {} does not exist", shown(folder));
    Fault::new(Class::FolderMissing, text)
}

pub(super) fn short(found: u64, wanted: u64) -> Fault {
    let text = format!("the file ends after {found} bytes, {wanted} were expected");
    Fault::new(Class::Integrity, text)
}

pub(super) fn remote_file(name: String, facts: &std::fs::Metadata) -> RemoteFile {
    use std::os::unix::fs::MetadataExt;
    RemoteFile {
        name,
        size: facts.is_file().then_some(facts.len()),
        modified: Some(facts.mtime()),
        is_folder: facts.is_dir(),
        is_archived: false,
    }
}

/// Permissions of a volume before the umask: what is in an encrypted one is nobody's to read anyway; all else can be anything.
pub(super) fn mode_of(sealed: bool) -> u32 {
    if sealed { 0o666 } else { 0o600 }
}

/// Gives a file its name.
pub(super) fn place(temporary: &Path, path: &Path, is_new: bool) -> Done<()> {
    if !is_new {
        return std::fs::rename(temporary, path).map_err(|e| fault(&e, path));
    }
    let (Some(folder), Some(from), Some(to)) =
        (path.parent(), temporary.file_name(), path.file_name())
    else {
        return Err(Fault::new(Class::Local, "a volume has no folder"));
    };
    let placed = Dir::open(folder).and_then(|dir| dir.rename_noreplace(from, to));
    placed.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => Fault {
            class: Class::Exists,
            ..fault(&e, path)
        },
        _ => fault(&e, path),
    })
}

pub(super) fn copy_body(body: &mut dyn Body, file: &mut impl Write, path: &Path) -> Done<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut written = 0;
    loop {
        let n = read_some(body, &mut buffer).map_err(Fault::local)?;
        if n == 0 {
            return Ok(written);
        }
        file.write_all(&buffer[..n]).map_err(|e| fault(&e, path))?;
        written += n as u64;
    }
}

pub(super) fn read_some(from: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// File systems without a flush answer these.
pub(super) fn ignore_unsupported(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e)
            if matches!(
                e.raw_os_error(),
                Some(libc::ENOTSUP | libc::EINVAL | libc::ENOTTY)
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

pub(super) fn fault(e: &io::Error, path: &Path) -> Fault {
    let class = match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Class::Full,
        Some(libc::EROFS) => Class::Locked,
        Some(libc::EACCES | libc::EPERM) => Class::Auth,
        Some(
            libc::EIO
            | libc::ESTALE
            | libc::ETIMEDOUT
            | libc::EHOSTDOWN
            | libc::ENOTCONN
            | libc::ENODEV
            | libc::ENXIO,
        ) => Class::Transient,
        Some(libc::EFBIG) => Class::TooBig,
        Some(libc::ENAMETOOLONG | libc::ENOTDIR | libc::EISDIR) => Class::Usage,
        Some(libc::ENOENT) => Class::FolderMissing,
        _ => Class::Local,
    };
    let fault = Fault::new(class, format!("{}: {}", shown(path), io_text(e)));
    match class {
        Class::TooBig => {
            fault.hint("FAT32 holds files below 4 GiB: choose a smaller --dblock-size")
        }
        Class::Auth => fault.hint(format!(
            "this process runs as user {}",
            sys::effective_uid()
        )),
        _ => fault,
    }
}
