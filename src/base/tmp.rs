//! Unnamed temporary files: they have no name from birth, so nothing is left behind by a crash, a kill or a panic.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::{rand, sys, text};

/// What to do when there is no room.
const ELSEWHERE: &str = "choose another folder with --tempdir";
/// Sizes of volumes that are proposed, MiB.
const PROPOSED: [u64; 4] = [10, 5, 2, 1];

/// Bytes of the volumes that are written, and of the smallest that could be.
#[derive(Clone, Copy)]
struct Volumes {
    size: u64,
    least: u64,
}

/// What to do when there is no room for a volume and its index, of which so many bytes are free at most: smaller volumes help where
/// there can be any.
fn smaller(volumes: Option<Volumes>, free: u64) -> String {
    let fits = |mib: &&u64| {
        let size = **mib << 20;
        volumes.is_some_and(|v| size >= v.least && size <= free.min(v.size) / 2)
    };
    match PROPOSED.iter().find(fits) {
        Some(mib) => format!("{ELSEWHERE}, or smaller volumes with --dblock-size={mib}mb"),
        None => ELSEWHERE.to_owned(),
    }
}

/// The folder for temporary files; cheap to clone.
#[derive(Clone)]
pub(crate) struct Tmp {
    folder: PathBuf,
    volumes: Option<Volumes>,
    /// Free bytes, for tests.
    #[cfg(test)]
    pub(crate) free: Option<std::sync::Arc<std::sync::atomic::AtomicUsize>>,
}

impl Tmp {
    /// `chosen` is `--tempdir`; else `$TMPDIR`, else `/tmp`. Proves that a file can be made there.
    pub(crate) fn open(chosen: Option<&str>) -> Result<Tmp> {
        let folder = match chosen {
            Some(text) => PathBuf::from(text),
            None => std::env::var_os("TMPDIR")
                .filter(|v| !v.is_empty())
                .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        };
        let tmp = Tmp {
            folder,
            volumes: None,
            #[cfg(test)]
            free: None,
        };
        tmp.file()?;
        Ok(tmp)
    }

    /// Volumes of so many bytes are written by way of it, and could be as small as `least`.
    pub(crate) fn for_volumes(self, size: u64, least: u64) -> Tmp {
        let volumes = Some(Volumes { size, least });
        Tmp { volumes, ..self }
    }

    /// A new empty unnamed file, readable and writable.
    pub(crate) fn file(&self) -> Result<File> {
        self.unnamed().map_err(|e| {
            Error::io(&e)
                .doing(format!("make a temporary file in {}", self.shown()))
                .hint(ELSEWHERE)
        })
    }

    /// A folder whose files take no byte, for tests of what happens then.
    #[cfg(test)]
    pub(crate) fn full_disk() -> Tmp {
        Tmp {
            folder: PathBuf::from("/dev/full"),
            volumes: None,
            free: None,
        }
    }

    fn unnamed(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        #[cfg(test)]
        if self.folder == Path::new("/dev/full") {
            return options.open(&self.folder);
        }
        match options
            .clone()
            .custom_flags(libc::O_TMPFILE)
            .open(&self.folder)
        {
            Ok(file) => return Ok(file),
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::ENOENT)
                ) => {}
            Err(e) => return Err(e),
        }
        let name = format!(".duplet-{}", rand::hex::<16>()?);
        let path = self.folder.join(name);
        let file = options
            .create_new(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }

    /// Fails with `NoSpace`, naming both figures, when fewer than `bytes` are free. Unknown free space passes.
    pub(crate) fn need(&self, bytes: u64) -> Result<()> {
        match self.free_space() {
            Some(free) if free < bytes => Err(Error::new(
                Kind::NoSpace,
                format!(
                    "the temporary folder {} has {} free, {} are needed",
                    self.shown(),
                    show_size(free),
                    show_size(bytes)
                ),
            )
            .hint(smaller(self.volumes, free))),
            _ => Ok(()),
        }
    }

    fn free_space(&self) -> Option<u64> {
        #[cfg(test)]
        if let Some(free) = &self.free {
            return Some(free.load(std::sync::atomic::Ordering::Relaxed) as u64);
        }
        sys::free_space(&self.folder)
    }

    /// The folder, safe to print.
    pub(crate) fn shown(&self) -> String {
        text::safe(self.folder.as_os_str().as_encoded_bytes())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// An unnamed file used as a sequential spool that can be rewound; writes go to the end of what was written.
///
/// Reading and writing share one position, as in a `File`. Errors name the temporary folder.
pub(crate) struct Spool {
    file: File,
    /// For errors: what fails, and what can be done.
    doing: String,
    way_out: WayOut,
}

/// What can be done about an error.
enum WayOut {
    /// The temporary folder can be another one; where it is full, volumes can be smaller.
    Elsewhere(Option<Volumes>),
    /// Where there is no more room.
    WhenFull(&'static str),
}

impl Spool {
    pub(crate) fn new(tmp: &Tmp) -> Result<Spool> {
        Ok(Spool {
            file: tmp.file()?,
            doing: format!("use a temporary file in {}", tmp.shown()),
            way_out: WayOut::Elsewhere(tmp.volumes),
        })
    }

    /// A file that exists already; errors say that one could not do `doing`.
    pub(crate) fn adopt(file: File, doing: impl Into<String>) -> Spool {
        Spool {
            file,
            doing: doing.into(),
            way_out: WayOut::WhenFull(""),
        }
    }

    /// What can be done where it finds no more room.
    pub(crate) fn when_full(self, hint: &'static str) -> Spool {
        Spool {
            way_out: WayOut::WhenFull(hint),
            ..self
        }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.metadata().map(|m| m.len()).doing(|| self.doing())
    }

    /// Back to the start, for reading or for writing over.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        let done = self.file.seek(SeekFrom::Start(0)).map(|_| ());
        done.doing(|| self.doing())
    }

    /// Empties the file and rewinds.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.truncate(0)
    }

    /// Cuts (or extends with zeros) to `len` bytes and moves there.
    pub(crate) fn truncate(&mut self, len: u64) -> Result<()> {
        let done = self
            .file
            .set_len(len)
            .and_then(|()| self.file.seek(SeekFrom::Start(len)).map(|_| ()));
        done.doing(|| self.doing())
    }

    /// Fills `buf` from `offset` without moving the position; the end of the file is an `UnexpectedEof`.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset).doing(|| self.doing())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    fn doing(&self) -> String {
        self.doing.clone()
    }

    fn wrap(&self, e: io::Error) -> io::Error {
        if e.kind() == io::ErrorKind::Interrupted {
            return e;
        }
        let e = Error::io(&e).doing(self.doing());
        let is_full = e.kind() == Kind::NoSpace;
        let e = match self.way_out {
            WayOut::Elsewhere(volumes) if is_full => e.hint(smaller(volumes, u64::MAX)),
            WayOut::Elsewhere(_) => e.hint(ELSEWHERE),
            WayOut::WhenFull(hint) if is_full => e.hint(hint),
            WayOut::WhenFull(_) => e,
        };
        e.into()
    }
}

impl Read for Spool {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf).map_err(|e| self.wrap(e))
    }
}

impl Write for Spool {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data).map_err(|e| self.wrap(e))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to).map_err(|e| self.wrap(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spools_have_no_name_and_can_be_rewound() {
        let folder =
            std::env::temp_dir().join(format!("duplet-test-{}", rand::hex::<8>().expect("random")));
        std::fs::create_dir(&folder).expect("folder");
        let tmp = Tmp {
            folder: folder.clone(),
            volumes: None,
            free: None,
        };
        let mut spool = Spool::new(&tmp).expect("spool");
        spool.write_all(b"hello world").expect("write");
        assert_eq!(std::fs::read_dir(&folder).expect("list").count(), 0);
        spool.rewind().expect("rewind");
        let mut text = String::new();
        spool.read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello world");
        spool.truncate(5).expect("cut");
        assert_eq!(spool.len().expect("len"), 5);
        let mut two = [0; 2];
        spool.read_at(&mut two, 3).expect("read");
        assert_eq!(&two, b"lo");
        assert!(spool.read_at(&mut two, 4).is_err());
        std::fs::remove_dir(&folder).expect("empty");
    }

    #[test]
    fn smaller_volumes_are_proposed_where_there_can_be_any() {
        for (size, least, free, proposed) in [
            (50, 1, u64::MAX, "=10mb"),
            (50, 1, 24 << 20, "=10mb"),
            (50, 1, 19 << 20, "=5mb"),
            (10, 1, u64::MAX, "=5mb"),
            (10, 1, 3 << 20, "=1mb"),
            (10, 4, u64::MAX, "=5mb"),
            (10, 6, u64::MAX, ""),
            (10, 1, 1 << 20, ""),
            (2, 1, u64::MAX, "=1mb"),
            (1, 1, u64::MAX, ""),
        ] {
            let volumes = Volumes {
                size: size << 20,
                least: least << 20,
            };
            let hint = smaller(Some(volumes), free);
            let (elsewhere, after) = hint.split_at(ELSEWHERE.len());
            assert_eq!(elsewhere, ELSEWHERE);
            assert!(after.ends_with(proposed), "{size} {least} {free}: {hint}");
            assert_eq!(after.is_empty(), proposed.is_empty(), "{hint}");
        }
        assert_eq!(smaller(None, u64::MAX), ELSEWHERE);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let e = Tmp::open(Some("/nonexistent/x")).err().expect("error");
        assert!(
            e.to_string().contains(
                "cannot make a temporary file in /nonexistent/x: no such file or directory"
            ),
            "{e}"
        );
    }
}
