//! The open folders of a walk, from the source down, each by its handle. Only the deepest keep theirs: what is closed is
//! opened again by the way back up, or from the source down, and must be the folder that it was.

use std::io;

use crate::backup::names::Names;
use crate::base::sys::{Dir, ITSELF, Spot, Stat};

/// Handles of folders that are open at once, that of the source not counted.
const OPEN_AT_MOST: usize = 32;

/// One folder and what is still to come of it.
pub(super) struct Level {
    pub(super) names: Names,
    /// Length of the path up to and including this folder's `/`.
    pub(super) path_len: usize,
    /// Device and inode: what the folder is.
    pub(super) dev: u64,
    ino: u64,
    /// It lies in a file system that holds no files (`pseudo`).
    pub(super) pseudo: bool,
    /// Only what leads to a named source counts.
    pub(super) way_only: bool,
    dir: Option<Dir>,
}

impl Level {
    /// `dir` is `None` for a folder that is not entered: it has no names.
    pub(super) fn new(names: Names, path_len: usize, stat: &Stat, dir: Option<Dir>) -> Level {
        Level {
            names,
            path_len,
            dev: stat.dev,
            ino: stat.ino,
            pseudo: false,
            way_only: false,
            dir,
        }
    }

    /// True when `stat` is this very folder.
    pub(super) fn is(&self, stat: &Stat) -> bool {
        (self.dev, self.ino) == (stat.dev, stat.ino)
    }
}

/// The folders on the way down to the entry that the walk looks at.
pub(super) struct Levels {
    /// The folder that the source is in.
    base: Dir,
    list: Vec<Level>,
    /// Links are followed.
    follow: bool,
}

impl Levels {
    pub(super) fn new(base: Dir, follow: bool) -> Levels {
        Levels {
            base,
            list: Vec::new(),
            follow,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn last(&self) -> Option<&Level> {
        self.list.last()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Level> {
        self.list.last_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Level> {
        self.list.iter()
    }

    /// Goes down into a folder.
    pub(super) fn push(&mut self, level: Level) {
        self.list.push(level);
        // The source's own handle stays: from there every other folder is found again.
        if let Some(far) = self.list.len().checked_sub(OPEN_AT_MOST + 1)
            && far > 0
            && let Some(level) = self.list.get_mut(far)
        {
            level.dir = None;
        }
    }

    /// Goes back up; `path` is that of the entry at hand. An error when the folder above cannot be found again: what it still
    /// holds cannot be looked at.
    pub(super) fn pop(&mut self, path: &[u8]) -> io::Result<()> {
        let Some(left) = self.list.pop() else {
            return Ok(());
        };
        let Some(at) = self.list.len().checked_sub(1) else {
            return Ok(());
        };
        // Nothing of it is needed any more.
        if self.list[at].dir.is_some() || self.list[at].names.is_done() {
            return Ok(());
        }
        if let Some(above) = left.dir.and_then(|d| d.above().ok())
            && self.list[at].is(&itself(&above).stat()?)
        {
            self.list[at].dir = Some(above);
            return Ok(());
        }
        self.list[at].dir = Some(self.find(at, path)?);
        Ok(())
    }

    /// The folder whose entries come next, as the place of `name` in it; an error when it was not entered.
    pub(super) fn spot<'a>(&'a self, name: &'a [u8]) -> io::Result<Spot<'a>> {
        let dir = match self.list.last() {
            Some(level) => level.dir.as_ref().ok_or_else(gone)?,
            None => &self.base,
        };
        Ok(Spot {
            dir,
            name,
            follow: self.follow,
        })
    }

    /// The folder of level `at` itself; `path` is that of the entry at hand.
    pub(super) fn folder(&mut self, at: usize, path: &[u8]) -> io::Result<Spot<'_>> {
        if self.list.get(at).is_some_and(|l| l.dir.is_none()) {
            self.list[at].dir = Some(self.find(at, path)?);
        }
        let dir = self.list.get(at).and_then(|l| l.dir.as_ref());
        dir.map(itself).ok_or_else(gone)
    }

    /// Opens a level's folder again from the source down.
    fn find(&self, at: usize, path: &[u8]) -> io::Result<Dir> {
        let mut found: Option<Dir> = None;
        for pair in self.list[..=at].windows(2) {
            let dir = match &found {
                Some(dir) => dir,
                None => pair[0].dir.as_ref().ok_or_else(gone)?,
            };
            let name = path.get(pair[0].path_len..pair[1].path_len - 1);
            let spot = Spot {
                dir,
                name: name.ok_or_else(gone)?,
                follow: self.follow,
            };
            found = Some(spot.open_dir()?);
        }
        let found = found.ok_or_else(gone)?;
        if self.list[at].is(&itself(&found).stat()?) {
            Ok(found)
        } else {
            Err(gone())
        }
    }
}

/// A folder as the place of itself.
pub(super) fn itself(dir: &Dir) -> Spot<'_> {
    Spot {
        dir,
        name: ITSELF,
        follow: false,
    }
}

fn gone() -> io::Error {
    io::Error::other("its folder changed while the backup ran")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A chain of folders, walked down with `count` levels; each level still has a name to come.
    fn down(root: &Path, count: usize) -> (Levels, Vec<u8>) {
        let mut path = root.as_os_str().as_encoded_bytes().to_vec();
        path.push(b'/');
        let base = Dir::place(root.parent().expect("a parent")).expect("there");
        let mut levels = Levels::new(base, false);
        let name = root.file_name().expect("a name").as_encoded_bytes();
        for depth in 0..count {
            let spot = levels.spot(if depth == 0 { name } else { b"d" });
            let spot = spot.expect("open");
            let (stat, dir) = (spot.stat().expect("there"), spot.open_dir().expect("there"));
            if depth > 0 {
                path.extend_from_slice(b"d/");
            }
            let names = Names::of(&[b"later"]);
            levels.push(Level::new(names, path.len(), &stat, Some(dir)));
        }
        (levels, path)
    }

    fn chain(label: &str, count: usize) -> std::path::PathBuf {
        let id = std::process::id();
        let root = std::env::temp_dir().join(format!("duplet-levels-{label}-{id}"));
        std::fs::create_dir_all(root.join("d/".repeat(count))).expect("folders");
        root
    }

    #[test]
    fn few_handles_are_open_and_all_folders_are_found_again() {
        let root = chain("deep", 200);
        let (mut levels, path) = down(&root, 200);
        let open = |levels: &Levels| levels.iter().filter(|l| l.dir.is_some()).count();
        assert!(open(&levels) <= OPEN_AT_MOST + 1);
        while levels.len() > 1 {
            let at = levels.len() / 2;
            let want = levels.list[at].ino;
            let found = levels.folder(at, &path).expect("found again");
            assert_eq!(found.stat().expect("there").ino, want);
            levels.list[at].dir = None;
            levels.pop(&path).expect("found again");
            let spot = levels.spot(ITSELF).expect("open");
            assert!(
                levels
                    .last()
                    .is_some_and(|l| l.is(&spot.stat().expect("there")))
            );
        }
        std::fs::remove_dir_all(&root).expect("clean");
    }

    /// Moved elsewhere, replaced by a link or by another folder while the walk was below: never taken for what it was.
    #[test]
    fn a_folder_that_became_another_is_not_found_again() {
        for how in ["moved", "linked", "replaced"] {
            let root = chain(how, 60);
            let (mut levels, path) = down(&root, 60);
            let moved = root.with_extension("moved");
            std::fs::rename(root.join("d/d"), &moved).expect("moved");
            match how {
                "linked" => std::os::unix::fs::symlink(&moved, root.join("d/d")).expect("linked"),
                "replaced" => std::fs::create_dir_all(root.join("d/d/d")).expect("made"),
                _ => {}
            }
            assert!(levels.folder(3, &path).is_err(), "{how}");
            let mut lost = 0;
            while levels.len() > 3 {
                // By the way back up the moved folders are still the same ones.
                lost += u32::from(levels.pop(&path).is_err());
            }
            assert_eq!(lost, 0, "{how}");
            // The folder above the moved one is now another, or the way there leads elsewhere.
            levels.pop(&path).expect("found from the source down");
            let spot = levels.spot(ITSELF).expect("open");
            assert_eq!(
                spot.stat().ok(),
                Dir::open(&root.join("d"))
                    .ok()
                    .and_then(|d| itself(&d).stat().ok())
            );
            std::fs::remove_dir_all(&root).expect("clean");
            std::fs::remove_dir_all(&moved).expect("clean");
        }
    }
}
