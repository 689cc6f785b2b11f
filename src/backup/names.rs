//! The names in one folder, in walk order. Memory: what the walk gives them room for, more are sorted on disk.

use std::io::Read;

use crate::backup::choice::{Choice, SymlinkPolicy};
use crate::base::error::{Error, Result};
use crate::base::sys::{Dir, FileKind, Spot};
use crate::base::tmp::Tmp;
use crate::spill::run::RunReader;
use crate::spill::sorter::Sorter;

/// Memory of the names of all open folders together, bytes. Each folder may take half of what is left, so that the deeper
/// ones, which come and go, find room too.
const NAMES_TOGETHER: usize = 3 << 20;
/// Room that every folder has, bytes.
const ROOM_LEAST: usize = 4 << 10;
/// A cache's mark, and the text without which it marks nothing (Cache Directory Tagging Specification).
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// What a name costs beside its bytes.
const NAME_COST: usize = size_of::<(u32, u32)>();

/// The entries of one folder in walk order, each name with a `/` appended if it is a folder.
pub(super) struct Names {
    packed: Vec<u8>,
    /// Offset and length in `packed`, in order.
    order: Vec<(u32, u32)>,
    at: usize,
    spilled: Option<RunReader>,
}

pub(super) type ReadNames = std::result::Result<(Names, Option<String>), std::io::Error>;

impl Names {
    pub(super) fn empty() -> Names {
        Names {
            packed: Vec::new(),
            order: Vec::new(),
            at: 0,
            spilled: None,
        }
    }

    /// Names of a made-up folder.
    #[cfg(test)]
    pub(super) fn of(names: &[&[u8]]) -> Names {
        let mut all = Names::empty();
        for name in names {
            let at = u32::try_from(all.packed.len()).unwrap_or(0);
            all.order.push((at, u32::try_from(name.len()).unwrap_or(0)));
            all.packed.extend_from_slice(name);
        }
        all
    }

    /// True when no name is left; names on disk are never said to be.
    pub(super) fn is_done(&self) -> bool {
        self.spilled.is_none() && self.at >= self.order.len()
    }

    /// Bytes in memory.
    pub(super) fn held(&self) -> usize {
        match self.spilled {
            Some(_) => ROOM_LEAST,
            None => self.packed.len() + NAME_COST * self.order.len(),
        }
    }

    /// Reads a folder while others hold `held` bytes; also the name in it, if any, that asks to leave the folder out.
    pub(super) fn read(dir: &Dir, tmp: &Tmp, choice: &Choice, held: usize) -> Result<ReadNames> {
        let room = (NAMES_TOGETHER.saturating_sub(held) / 2).max(ROOM_LEAST);
        let mut names = Names::empty();
        let mut sorter: Option<Sorter> = None;
        let mut marker = None;
        let follow = choice.symlinks == SymlinkPolicy::Follow;
        let mut entries = dir.names();
        let mut name = Vec::new();
        while let Some(entry) = entries.next() {
            let kind = match entry {
                Ok((bytes, kind)) => {
                    name.clear();
                    name.extend_from_slice(bytes);
                    kind
                }
                Err(e) => return Ok(Err(e)),
            };
            if choice.ignore_names.iter().any(|m| m.as_bytes() == name)
                && (name != CACHE_TAG || is_cache_tag(dir))
            {
                marker = Some(String::from_utf8_lossy(&name).into_owned());
            }
            let spot = Spot {
                dir,
                name: &name,
                follow: false,
            };
            let kind = kind.or_else(|| spot.stat().ok().map(|s| s.kind));
            let is_folder = match kind {
                Some(FileKind::Symlink) if follow => spot
                    .followed()
                    .stat()
                    .is_ok_and(|s| s.kind == FileKind::Folder),
                kind => kind == Some(FileKind::Folder),
            };
            if is_folder {
                name.push(b'/');
            }
            if let Some(sorter) = &mut sorter {
                sorter.add(&name)?;
                continue;
            }
            let place = (Error::fits(names.packed.len())?, Error::fits(name.len())?);
            names.packed.extend_from_slice(&name);
            names.order.push(place);
            if names.held() > room {
                let mut all = Sorter::new(tmp, room);
                for &(start, len) in &names.order {
                    all.add(&names.packed[start as usize..(start + len) as usize])?;
                }
                names = Names::empty();
                sorter = Some(all);
            }
        }
        match sorter {
            Some(sorter) => {
                let run = sorter.finish()?.into_run()?;
                names.spilled = Some(run.reader_with(ROOM_LEAST));
            }
            None => {
                let packed = std::mem::take(&mut names.packed);
                names.order.sort_unstable_by_key(|&(start, len)| {
                    &packed[start as usize..(start + len) as usize]
                });
                names.packed = packed;
                names.packed.shrink_to_fit();
                names.order.shrink_to_fit();
            }
        }
        Ok(Ok((names, marker)))
    }

    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        if let Some(run) = &mut self.spilled {
            return run.next();
        }
        let Some(&(start, len)) = self.order.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        Ok(self.packed.get(start as usize..(start + len) as usize))
    }
}

/// Whether the folder's mark is a regular file that begins as it must; one that cannot be read marks nothing.
fn is_cache_tag(dir: &Dir) -> bool {
    let spot = Spot {
        dir,
        name: CACHE_TAG,
        follow: false,
    };
    let mut start = [0; CACHE_SIGNATURE.len()];
    spot.open_file()
        .and_then(|(mut file, _)| file.read_exact(&mut start))
        .is_ok_and(|()| start == *CACHE_SIGNATURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::choice::HardlinkPolicy;
    use crate::select::{Case, FilterSet};
    use std::fs;

    #[test]
    fn names_without_room_come_from_disk_in_the_same_order() {
        let choice = Choice {
            own: None,
            filters: FilterSet::parse(&[], Case::Sensitive).expect("no rules"),
            symlinks: SymlinkPolicy::Store,
            hardlinks: HardlinkPolicy::All,
            exclude_attributes: Vec::new(),
            larger_than: None,
            ignore_names: vec!["n7".to_owned()],
            exclude_empty_folders: false,
            exclusion_attributes: false,
            one_file_system: false,
            named: Vec::new(),
            absent: Vec::new(),
        };
        let folder = std::env::temp_dir().join(format!("duplet-names-{}", std::process::id()));
        fs::create_dir_all(folder.join("n1")).expect("folder");
        for i in 2..600 {
            fs::write(folder.join(format!("n{i}")), b"").expect("file");
        }
        let tmp = Tmp::open(None).expect("folder");
        let dir = Dir::open(&folder).expect("there");
        let mut all = Vec::new();
        for held in [0, NAMES_TOGETHER, usize::MAX] {
            // The names come from the start of a folder each time it is opened.
            let dir = if held == 0 {
                &dir
            } else {
                &Dir::open(&folder).expect("there")
            };
            let (mut names, marker) = Names::read(dir, &tmp, &choice, held)
                .expect("no trouble with temporary files")
                .expect("readable");
            assert_eq!(marker.as_deref(), Some("n7"));
            assert_eq!(names.spilled.is_some(), held > 0);
            assert_eq!(names.held() <= ROOM_LEAST, held > 0);
            let mut read = Vec::new();
            while let Some(name) = names.next().expect("reads back") {
                read.push(name.to_vec());
            }
            assert!(read.is_sorted() && read.len() == 599 && read[0] == b"n1/");
            all.push(read);
        }
        assert!(all.iter().all(|read| *read == all[0]));
        fs::remove_dir_all(&folder).expect("clean");
    }

    #[test]
    fn a_cache_is_marked_by_its_signature_alone() {
        let good = String::from_utf8_lossy(CACHE_SIGNATURE).into_owned();
        let folder = std::env::temp_dir().join(format!("duplet-tag-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let dir = Dir::open(&folder).expect("there");
        let tag = folder.join("CACHEDIR.TAG");
        assert!(!is_cache_tag(&dir));
        for (text, want) in [
            (good.clone(), true),
            (format!("{good}\n# a comment"), true),
            (format!("{good}more"), true),
            (String::new(), false),
            ("note".to_owned(), false),
            (format!(" {good}"), false),
            (good.to_uppercase(), false),
            (good[..42].to_owned(), false),
        ] {
            fs::write(&tag, &text).expect("written");
            assert_eq!(is_cache_tag(&dir), want, "{text:?}");
        }
        fs::write(folder.join("real"), &good).expect("written");
        fs::remove_file(&tag).expect("removed");
        std::os::unix::fs::symlink("real", &tag).expect("linked");
        assert!(!is_cache_tag(&dir));
        fs::remove_file(&tag).expect("removed");
        fs::create_dir(&tag).expect("made");
        assert!(!is_cache_tag(&dir));
        fs::remove_dir_all(&folder).expect("clean");
    }
}
