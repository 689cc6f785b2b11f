//! Where restored entries go: stored paths made into safe relative paths, and a target tree in which no symbolic link is
//! ever followed below its root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::error::{Doing, Error, Kind, Result, io_text};
use crate::base::sys::{Dir, FileKind};
use crate::base::text;

/// True for a path of a Windows source (`format.md` 12).
pub(super) fn is_windows(path: &[u8]) -> bool {
    path.first() != Some(&b'/')
}

/// Longest folder prefix that all paths given to [`Prefix::add`] share; ends with a separator or is empty.
#[derive(Default)]
pub(super) struct Prefix {
    shared: Option<Vec<u8>>,
}

impl Prefix {
    /// `path` as stored, folders with their separator.
    pub(super) fn add(&mut self, path: &[u8]) {
        match &mut self.shared {
            None => self.shared = Some(path[..folder_end(path, path.len())].to_vec()),
            Some(shared) => {
                let same = shared.iter().zip(path).take_while(|(a, b)| a == b).count();
                let end = folder_end(shared, same);
                shared.truncate(end);
            }
        }
    }

    pub(super) fn get(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or_default()
    }
}

/// Length of the part of `path[..end]` up to and with its last separator. `C:\` and `\\server\share\` are not cut inside.
fn folder_end(path: &[u8], end: usize) -> usize {
    let separator = |b: &u8| *b == b'/' || (is_windows(path) && *b == b'\\');
    let cut = path[..end.min(path.len())]
        .iter()
        .rposition(separator)
        .map_or(0, |i| i + 1);
    // `\` alone or `\\` is no folder.
    if is_windows(path) && path[..cut].iter().all(separator) {
        0
    } else {
        cut
    }
}

/// The parts of a stored path below `prefix`, fit to be joined under a target: no `..`, nothing empty. Drive letters and
/// servers become folders. `None` for a path that would lead elsewhere; empty for the prefix folder itself.
pub(super) fn parts<'a>(path: &'a [u8], prefix: &[u8]) -> Option<Vec<&'a [u8]>> {
    let windows = is_windows(path);
    let rest = path.strip_prefix(prefix)?;
    let mut out = Vec::new();
    for part in rest.split(|&b| b == b'/' || (windows && b == b'\\')) {
        match part {
            b"" | b"." => {}
            b".." => return None,
            p if p.contains(&0) => return None,
            [letter, b':']
                if windows
                    && out.is_empty()
                    && prefix.is_empty()
                    && letter.is_ascii_alphabetic() =>
            {
                out.push(&part[..1]);
            }
            p => out.push(p),
        }
    }
    Some(out)
}

/// The tree that is restored into.
pub(super) struct Place {
    root: Dir,
    /// The folder of the root and its name there; none for `/`.
    above: Option<(Dir, OsString)>,
    path: PathBuf,
    /// Follow links on the way.
    follow: bool,
    /// Mode of folders that are made on the way.
    folder_mode: u32,
    /// The folder opened last: its parts joined by `/`.
    last: Option<(Vec<u8>, Dir)>,
}

/// A folder of the place and a name in it.
pub(super) struct Spot<'a> {
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
}

impl Place {
    /// Makes the root if it is missing (unless `dry`; then a missing root is no place).
    pub(super) fn open(
        path: &Path,
        follow: bool,
        private: bool,
        dry: bool,
    ) -> Result<Option<Place>> {
        let shown = text::safe(path.as_os_str().as_bytes());
        match fs::metadata(path) {
            Ok(meta) if !meta.is_dir() => {
                return Err(Error::new(Kind::Local, "it is not a folder")
                    .doing(format!("restore into {shown}")));
            }
            Ok(_) => {}
            Err(_) if dry => return Ok(None),
            Err(_) => fs::create_dir_all(path).doing(|| format!("make the folder {shown}"))?,
        }
        let root = Dir::open(path).doing(|| format!("open the folder {shown}"))?;
        let above = fs::canonicalize(path).ok().and_then(|real| {
            let name = real.file_name()?.to_owned();
            Some((Dir::open(real.parent()?).ok()?, name))
        });
        let folder_mode = if private { 0o700 } else { 0o777 };
        Ok(Some(Place {
            root,
            above,
            path: path.to_owned(),
            follow,
            folder_mode,
            last: None,
        }))
    }

    /// The root itself, or the folder of `parts` and the last of them as a name. Missing folders are made if `make`.
    pub(super) fn spot<'a>(&'a mut self, parts: &[&'a [u8]], make: bool) -> io::Result<Spot<'a>> {
        let Some((name, folders)) = parts.split_last() else {
            return match &self.above {
                Some((dir, name)) => Ok(Spot { dir, name }),
                None => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            };
        };
        let dir = self.folder(folders, make)?;
        Ok(Spot {
            dir,
            name: OsStr::from_bytes(name),
        })
    }

    /// The folder of these parts.
    pub(super) fn folder(&mut self, parts: &[&[u8]], make: bool) -> io::Result<&Dir> {
        if parts.is_empty() {
            return Ok(&self.root);
        }
        let joined = parts.join(&b'/');
        if self.last.as_ref().is_none_or(|(have, _)| *have != joined) {
            let mut at: Option<Dir> = None;
            for (i, part) in parts.iter().enumerate() {
                let here = at.as_ref().unwrap_or(&self.root);
                let next = self.enter(here, OsStr::from_bytes(part), make, &parts[..=i])?;
                at = Some(next);
            }
            self.last = at.map(|dir| (joined, dir));
        }
        match &self.last {
            Some((_, dir)) => Ok(dir),
            None => Ok(&self.root),
        }
    }

    fn enter(&self, here: &Dir, name: &OsStr, make: bool, parts: &[&[u8]]) -> io::Result<Dir> {
        match here.open_dir(name) {
            Ok(dir) => Ok(dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound && make => {
                match here.make_dir(name, self.folder_mode) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                }
                here.open_dir(name)
            }
            Err(e) => match here.stat(name) {
                Ok(stat) if stat.kind == FileKind::Symlink && self.follow => {
                    let mut path = self.path.clone();
                    path.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
                    Dir::open(&path)
                }
                Ok(stat) if stat.kind == FileKind::Symlink => Err(io::Error::other(format!(
                    "it would go through the symbolic link {}, which is not followed",
                    text::safe(name.as_bytes())
                ))),
                Ok(stat) if stat.kind != FileKind::Folder => Err(io::Error::other(format!(
                    "{} is there and is not a folder",
                    text::safe(name.as_bytes())
                ))),
                _ => Err(e),
            },
        }
    }

    /// For messages.
    pub(super) fn shown(&self, parts: &[&[u8]]) -> String {
        let mut path = self.path.clone();
        path.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
        text::safe(path.as_os_str().as_bytes())
    }
}

/// The reason of a failure on one entry; a full disk is not about one entry.
pub(super) fn entry_error(e: &io::Error) -> Result<String> {
    match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Err(Error::io(e)
            .doing("write to the restore target")
            .hint("free space there and run again; finished files are kept")),
        _ => Ok(io_text(e)),
    }
}

/// `name.YYYY-MM-DD.ext`, then `name.YYYY-MM-DD (0).ext` and so on: names for a file beside one that is there.
pub(super) fn beside(name: &[u8], date: &str, attempt: u32) -> Vec<u8> {
    let dot = name
        .iter()
        .rposition(|&b| b == b'.')
        .filter(|&i| i > 0)
        .unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let mut middle = format!(".{date}");
    if attempt > 0 {
        middle.push_str(&format!(" ({})", attempt - 1));
    }
    // File names end at 255 bytes.
    let room = 255usize
        .saturating_sub(middle.len() + extension.len())
        .min(stem.len());
    let mut cut = room;
    while cut > 0 && stem.get(cut).is_some_and(|b| b & 0xc0 == 0x80) {
        cut -= 1;
    }
    [&stem[..cut], middle.as_bytes(), extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix_of(paths: &[&str]) -> String {
        let mut prefix = Prefix::default();
        for p in paths {
            prefix.add(p.as_bytes());
        }
        String::from_utf8_lossy(prefix.get()).into_owned()
    }

    /// `commands.md` 10.1.
    #[test]
    fn the_shared_folder_is_stripped() {
        for (paths, want) in [
            (&["/home/a/doc/x.txt"][..], "/home/a/doc/"),
            (&["/home/a/doc/x.txt", "/home/a/pic/y.jpg"], "/home/a/"),
            (&["/home/a/", "/home/a/x", "/home/a/b/"], "/home/a/"),
            (&["/home/a/", "/home/ab/x"], "/home/"),
            (&["C:\\u\\x", "D:\\y"], ""),
            (&["C:\\u\\x", "C:\\u\\z\\y"], "C:\\u\\"),
            (&["\\\\srv\\share\\x", "C:\\y"], ""),
            (&["\\\\srv\\share\\x", "\\\\other\\y"], ""),
            (&["/a", "/b"], "/"),
        ] {
            assert_eq!(prefix_of(paths), want, "{paths:?}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_target() {
        let show = |path: &str, prefix: &str| {
            parts(path.as_bytes(), prefix.as_bytes()).map(|p| {
                p.iter()
                    .map(|b| String::from_utf8_lossy(b).into_owned())
                    .collect::<Vec<_>>()
                    .join("|")
            })
        };
        for (path, prefix, want) in [
            ("/home/a/x", "/home/", Some("a|x")),
            ("/home/a/", "/home/a/", Some("")),
            ("/a/../../etc/passwd", "/", None),
            ("/a/./b//c", "/", Some("a|b|c")),
            ("C:\\u\\x", "", Some("C|u|x")),
            ("C:\\u\\..\\x", "", None),
            ("C:\\u\\x", "C:\\u\\", Some("x")),
            ("\\\\srv\\share\\x", "", Some("srv|share|x")),
            ("C:\\f.txt:stream", "C:\\", Some("f.txt:stream")),
            ("/a\0b", "/", None),
            ("/a\\..\\b", "/", Some("a\\..\\b")),
            ("/x", "/home/", None),
        ] {
            assert_eq!(show(path, prefix).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn names_beside_a_file() {
        let name = |n: &str, i| {
            String::from_utf8_lossy(&beside(n.as_bytes(), "2024-01-31", i)).into_owned()
        };
        assert_eq!(name("x.tar.gz", 0), "x.tar.2024-01-31.gz");
        assert_eq!(name("x", 2), "x.2024-01-31 (1)");
        assert_eq!(name(".bashrc", 0), ".bashrc.2024-01-31");
        assert_eq!(name(&"é".repeat(127), 0).len(), 255);
    }
}
