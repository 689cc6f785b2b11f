//! The names in one folder, in walk order. Memory: 1 MiB of names, more are sorted on disk.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::backup::choice::{Choice, SymlinkPolicy};
use crate::base::error::Result;
use crate::base::tmp::Tmp;
use crate::spill::run::RunReader;
use crate::spill::sorter::Sorter;

/// Names of one folder kept in memory, bytes; above that they are sorted on disk.
const NAMES_CAP: usize = 1 << 20;

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

    /// Reads a folder; also the name in it, if any, that asks to leave the folder out.
    pub(super) fn read(folder: &Path, tmp: &Tmp, choice: &Choice) -> Result<ReadNames> {
        let mut names = Names::empty();
        let mut sorter: Option<Sorter> = None;
        let mut marker = None;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return Ok(Err(e)),
        };
        let mut name = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return Ok(Err(e)),
            };
            name.clear();
            name.extend_from_slice(entry.file_name().as_bytes());
            if choice.ignore_names.iter().any(|m| m.as_bytes() == name) {
                marker = Some(String::from_utf8_lossy(&name).into_owned());
            }
            let follow = choice.symlinks == SymlinkPolicy::Follow;
            let is_folder = entry.file_type().is_ok_and(|t| {
                t.is_dir()
                    || (follow
                        && t.is_symlink()
                        && fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()))
            });
            if is_folder {
                name.push(b'/');
            }
            if let Some(sorter) = &mut sorter {
                sorter.add(&name)?;
                continue;
            }
            let start = u32::try_from(names.packed.len()).unwrap_or(u32::MAX);
            names.packed.extend_from_slice(&name);
            names
                .order
                .push((start, u32::try_from(name.len()).unwrap_or(0)));
            if names.packed.len() > NAMES_CAP {
                let mut all = Sorter::new(tmp, NAMES_CAP);
                for &(start, len) in &names.order {
                    all.add(&names.packed[start as usize..(start + len) as usize])?;
                }
                names = Names::empty();
                sorter = Some(all);
            }
        }
        match sorter {
            Some(sorter) => names.spilled = Some(sorter.finish()?.into_run()?.reader()),
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
