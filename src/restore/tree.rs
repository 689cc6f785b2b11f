//! Where restored entries go: stored paths made into safe relative paths, and a target tree in which no symbolic link is
//! ever followed below its root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Doing, Error, Kind, Result, io_text};
use crate::base::leftover;
pub(super) use crate::base::shown::{is_windows, parts};
use crate::base::sys::{self, Dir, FileKind};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::spill::keyset::Keyset;

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

/// Folders kept open: a handle and the path each.
const FOLDERS_OPEN: usize = 16;

/// The tree that is restored into.
pub(super) struct TargetTree {
    root: Rc<Dir>,
    /// The folder of the root and its name there; none for `/`.
    above: Option<(Rc<Dir>, OsString)>,
    path: PathBuf,
    /// Follow links on the way.
    follow: bool,
    /// The root was made by this run, or by one that ended before it was done with it.
    pub(super) made_root: bool,
    /// Folders whose mode is known and set when all is in them: digests of their parts joined by `/`.
    closed: Keyset,
    /// Longest name in bytes.
    pub(super) longest: usize,
    /// The folders opened last, each with its parts joined by `/`; the last used is the last.
    open: Vec<(Vec<u8>, Rc<Dir>)>,
    /// A folder that was not there when it was last looked for; forgotten once this run makes any.
    absent: Option<Vec<Vec<u8>>>,
    /// The system has no call that opens a folder by its whole path and follows no link.
    walks: bool,
}

/// Mode of a folder that is being filled: nobody else looks in, and the next run sees by the sticky bit, which means nothing
/// where nobody else may write, that the folder was never finished.
pub(super) const UNDER_WAY: u32 = 0o1700;

/// A folder of the place and a name in it.
pub(super) struct Spot<'a> {
    pub(super) dir: Rc<Dir>,
    pub(super) name: &'a OsStr,
}

impl TargetTree {
    /// Makes the root if it is missing (unless `dry`; then a missing root is no place).
    pub(super) fn open(
        path: &Path,
        follow: bool,
        dry: bool,
        tmp: &Tmp,
    ) -> Result<Option<TargetTree>> {
        let shown = text::safe(path.as_os_str().as_bytes());
        let made_root = match fs::metadata(path) {
            Ok(meta) if !meta.is_dir() => {
                return Err(Error::new(Kind::Local, "it is not a folder")
                    .doing(format!("restore into {shown}")));
            }
            Ok(meta) => is_under_way(meta.permissions().mode() & 0o7777, meta.uid()),
            Err(_) if dry => return Ok(None),
            Err(_) => {
                let make = || {
                    path.parent().map_or(Ok(()), fs::create_dir_all)?;
                    match fs::DirBuilder::new().mode(UNDER_WAY).create(path) {
                        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                            Ok(false)
                        }
                        done => done.map(|()| true),
                    }
                };
                make().doing(|| format!("make the folder {shown}"))?
            }
        };
        let root = Dir::open(path).doing(|| format!("open the folder {shown}"))?;
        let above = fs::canonicalize(path).ok().and_then(|real| {
            let name = real.file_name()?.to_owned();
            Some((Rc::new(Dir::open(real.parent()?).ok()?), name))
        });
        Ok(Some(TargetTree {
            longest: root.longest_name(),
            root: Rc::new(root),
            above,
            path: path.to_owned(),
            follow,
            made_root,
            closed: Keyset::new(tmp),
            open: Vec::new(),
            absent: None,
            walks: false,
        }))
    }

    /// The folder of these parts is closed to others if it is made from now on, until it gets its mode.
    pub(super) fn close(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.closed.insert(&key_of(parts)).map(|_| ())
    }

    /// True for a folder that is not there yet, or that a run made and did not finish: its mode is this run's to set.
    pub(super) fn is_unfinished(&mut self, parts: &[&[u8]]) -> io::Result<bool> {
        if parts.is_empty() {
            return Ok(self.made_root);
        }
        let stat = self.spot(parts, false).and_then(|s| s.dir.stat(s.name));
        match stat {
            Ok(stat) => Ok(stat.kind == FileKind::Folder && is_under_way(stat.mode, stat.uid)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// How many of `parts` lead to the first that is there and no folder. Links to folders are not counted: what would go
    /// through one is refused, or follows it. `whole`: the last part is to be a folder, too; `own`: and not a link to one.
    pub(super) fn obstacle(
        &mut self,
        parts: &[&[u8]],
        whole: bool,
        own: bool,
    ) -> io::Result<Option<usize>> {
        let folders = parts.len().saturating_sub(usize::from(!whole));
        let ways = &parts[..folders];
        if self.folder(ways, false).is_ok() || self.is_absent(ways) {
            return Ok(None);
        }
        for depth in 1..=folders {
            let spot = self.spot(&parts[..depth], false)?;
            match spot.dir.stat(spot.name) {
                Ok(stat) if stat.kind == FileKind::Folder => {}
                Ok(stat) if stat.kind == FileKind::Symlink => {
                    let mut path = self.path.clone();
                    path.extend(parts[..depth].iter().map(|p| OsStr::from_bytes(p)));
                    let own = own && !self.follow && depth == parts.len();
                    return Ok((own || !path.is_dir()).then_some(depth));
                }
                Ok(_) => return Ok(Some(depth)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// True for a folder with anything in it.
    pub(super) fn is_full_folder(&mut self, parts: &[&[u8]]) -> bool {
        let stat = self.spot(parts, false).and_then(|s| s.dir.stat(s.name));
        let mut path = self.path.clone();
        path.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
        stat.is_ok_and(|s| s.kind == FileKind::Folder)
            && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Removes what ended runs left in the folder of `parts`; their number. Trouble is left to whoever writes there.
    pub(super) fn tidy(&mut self, parts: &[&[u8]]) -> u64 {
        let mut path = self.path.clone();
        path.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
        let Ok(dir) = self.folder(parts, false) else {
            return 0;
        };
        let Ok(entries) = fs::read_dir(path) else {
            return 0;
        };
        let now = Timestamp::now();
        let mut gone = 0;
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !leftover::is_ours(name.as_bytes()) {
                continue;
            }
            // By handle: the path may lead elsewhere by now.
            if let Ok(stat) = dir.stat(&name)
                && matches!(stat.kind, FileKind::File | FileKind::Symlink)
                && leftover::is_left_over(name.as_bytes(), Timestamp(stat.mtime.0), now)
                && dir.unlink(&name).is_ok()
            {
                gone += 1;
            }
        }
        gone
    }

    /// The root itself, or the folder of `parts` and the last of them as a name. Missing folders are made if `make`.
    pub(super) fn spot<'a>(&'a mut self, parts: &[&'a [u8]], make: bool) -> io::Result<Spot<'a>> {
        let Some((name, folders)) = parts.split_last() else {
            return match &self.above {
                Some((dir, name)) => Ok(Spot {
                    dir: Rc::clone(dir),
                    name,
                }),
                None => Err(io::Error::from_raw_os_error(libc::EBUSY)),
            };
        };
        Ok(Spot {
            dir: self.folder(folders, make)?,
            name: OsStr::from_bytes(name),
        })
    }

    /// The folder of these parts.
    pub(super) fn folder(&mut self, parts: &[&[u8]], make: bool) -> io::Result<Rc<Dir>> {
        if parts.is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        let joined = parts.join(&b'/');
        if let Some(at) = self.open.iter().position(|(have, _)| *have == joined) {
            self.open[at..].rotate_left(1);
        } else {
            if !make && self.is_absent(parts) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let dir = match self.by_path(parts) {
                Some(dir) => dir,
                None => self.walk(parts, make)?,
            };
            if self.open.len() == FOLDERS_OPEN {
                self.open.remove(0);
            }
            self.open.push((joined, Rc::new(dir)));
        }
        let last = self.open.last().map(|(_, dir)| Rc::clone(dir));
        last.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// True when the folder, or one above it, was not there when it was last looked for.
    fn is_absent(&self, parts: &[&[u8]]) -> bool {
        let absent = self.absent.as_ref();
        absent.is_some_and(|a| a.len() <= parts.len() && a.iter().zip(parts).all(|(a, b)| a == b))
    }

    /// A folder that is there and to which no link leads, in one call; `None` where that is not to be had.
    fn by_path(&mut self, parts: &[&[u8]]) -> Option<Dir> {
        if self.walks || parts.len() == 1 {
            return None;
        }
        let opened = self.root.open_below(parts);
        if let Err(e) = &opened {
            self.walks = matches!(
                e.raw_os_error(),
                Some(libc::ENOSYS | libc::EPERM | libc::EINVAL)
            );
        }
        opened.ok()
    }

    /// The same one folder after the other.
    fn walk(&mut self, parts: &[&[u8]], make: bool) -> io::Result<Dir> {
        let mut at: Option<Dir> = None;
        for (i, part) in parts.iter().enumerate() {
            let name = OsStr::from_bytes(part);
            let here = at.as_ref().unwrap_or(&self.root);
            let next = match here.open_dir(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && make => {
                    let closed = self.closed.contains(&key_of(&parts[..=i]));
                    let closed = closed.map_err(|e| io::Error::other(e.to_string()))?;
                    self.absent = None;
                    match here.make_dir(name, if closed { UNDER_WAY } else { 0o777 }) {
                        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                        _ => here.open_dir(name)?,
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.absent = Some(parts[..=i].iter().map(|p| p.to_vec()).collect());
                    return Err(e);
                }
                Err(e) => self.around(here, name, e, &parts[..=i])?,
                Ok(dir) => dir,
            };
            at = Some(next);
        }
        at.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The folder that a link leads to, if links are followed; else why `name` could not be entered.
    fn around(&self, here: &Dir, name: &OsStr, e: io::Error, parts: &[&[u8]]) -> io::Result<Dir> {
        match here.stat(name) {
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
        }
    }

    /// For messages.
    pub(super) fn shown(&self, parts: &[&[u8]]) -> String {
        let mut path = self.path.clone();
        path.extend(parts.iter().map(|p| OsStr::from_bytes(p)));
        text::safe(path.as_os_str().as_bytes())
    }
}

fn is_under_way(mode: u32, uid: u32) -> bool {
    mode == UNDER_WAY && uid == sys::effective_uid()
}

fn key_of(parts: &[&[u8]]) -> BlockKey {
    BlockKey::new(&Algo::Sha256.hash(&parts.join(&b'/')), 0)
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
}
