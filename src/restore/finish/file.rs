//! The last step of a file: whole-file check, attributes, its name, or another one for what there is of it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::base::digest::Algo;
use crate::base::error::{Kind, unwrap_io};
use crate::base::sys::{Dir, FileKind, Stat};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::Content;
use crate::restore::Existing;
use crate::restore::begun::{begin_file, hash_file, temp_name};
use crate::restore::finish::Finish;
use crate::restore::finish::attrs::{Access, Known, On};
use crate::restore::naming::{ATTEMPTS, beside, free_name};
use crate::restore::targets::{Action, Target};
use crate::restore::tree::Spot;

/// Whether a file is what the version lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Right,
    Wrong,
    /// A stop came before the file was read back.
    Unread,
}

impl Finish<'_> {
    pub(super) fn file(
        &mut self,
        ui: &mut Ui,
        no: u64,
        known: &Known<'_>,
        lost: bool,
        file: Option<File>,
    ) -> io::Result<()> {
        let (target, shown) = (known.target, known.shown);
        let parts = target.slices();
        if target.action == Action::Attributes {
            let Spot { dir, name } = self.place.spot(&parts, false)?;
            let name = name.to_owned();
            let on = On {
                dir: &dir,
                name: &name,
                file: None,
            };
            self.attributes(ui, on, known, &Access::Keep);
            return Ok(());
        }
        let temp_text = temp_name(self.temp_name, no);
        let temp = OsString::from(&temp_text);
        let Some(content) = target.record.entry.content.as_ref().filter(|_| !lost) else {
            return self.incomplete(ui, target, &temp, shown, true);
        };
        let file = match file {
            Some(file) => file,
            // Nothing was written to it.
            None if content.size == 0 => begin_file(self.place, &parts, &temp_text, 0)?,
            None => self.place.spot(&parts, false)?.dir.open_file(&temp, true)?,
        };
        match self.proof(&file, content)? {
            Proof::Right => {}
            Proof::Wrong => {
                drop(file);
                return self.incomplete(ui, target, &temp, shown, false);
            }
            // Each block was checked, and the next run compares the whole; but nothing is replaced by it.
            Proof::Unread if target.action == Action::Replace => {
                drop(file);
                self.remove_begun(no, target);
                return Ok(());
            }
            Proof::Unread => {}
        }
        let Spot { dir, name } = self.place.spot(&parts, false)?;
        let name = name.to_owned();
        let there = match target.action {
            Action::Replace => dir.stat(&name).ok(),
            _ => None,
        };
        let access = match there {
            Some(stat) if stat.kind == FileKind::File => Access::Like(stat),
            _ => Access::New(0o666),
        };
        let on = On {
            dir: &dir,
            name: &temp,
            file: Some(&file),
        };
        self.attributes(ui, on, known, &access);
        // Some file systems of the network rename nothing that is open.
        drop(file);
        let name = self.rename(target, &dir, &temp, name, there)?;
        self.tell_beside(target, &name);
        let sign = if target.action == Action::Replace {
            '~'
        } else {
            '+'
        };
        self.tell_written(sign, target, &name, Some(content.size), ui);
        self.report.files += 1;
        self.report.bytes += content.size;
        Ok(())
    }

    /// Gives a file its name, or one beside it if that is taken; the name it got.
    fn rename(
        &self,
        target: &Target,
        dir: &Dir,
        temp: &OsStr,
        name: OsString,
        there: Option<Stat>,
    ) -> io::Result<OsString> {
        if target.action == Action::Replace {
            if there.is_some_and(|s| s.kind == FileKind::Folder) {
                dir.rmdir(&name)?;
            }
            return dir.rename(temp, &name).map(|()| name);
        }
        match dir.rename_noreplace(temp, &name) {
            // By now something has the name: a file restored beside another one, or one made meanwhile.
            Err(e)
                if e.kind() == io::ErrorKind::AlreadyExists
                    && self.options.existing == Existing::Rename =>
            {
                let free = free_name(dir, &name, self.date, self.place.longest)?;
                dir.rename_noreplace(temp, &free).map(|()| free)
            }
            done => done.map(|()| name),
        }
    }

    /// Whether the whole file is what the version lists. A file of one block was checked as that block.
    fn proof(&self, file: &File, content: &Content) -> io::Result<Proof> {
        let Some(wanted) = content.hash else {
            return Ok(Proof::Right);
        };
        let same = self.params.block_hash == self.params.file_hash;
        let named = content.block.is_none() || content.block == content.hash;
        let one_block = content.lists.is_empty() && same && named && content.size > 0;
        if one_block || !self.options.verify {
            return Ok(Proof::Right);
        }
        if wanted.as_bytes().len() != self.params.file_hash.len() {
            return Ok(Proof::Wrong);
        }
        match hash_file(file, self.params.file_hash).map_err(unwrap_io) {
            Err(e) if e.kind() == Kind::Interrupted => Ok(Proof::Unread),
            hash => Ok(match hash? == wanted {
                true => Proof::Right,
                false => Proof::Wrong,
            }),
        }
    }

    /// What there is of a file with lost blocks, or of one that is not what the version lists, is kept under another name, so
    /// that it never passes for the file.
    fn incomplete(
        &mut self,
        ui: &mut Ui,
        target: &Target,
        temp: &OsStr,
        shown: &str,
        lost: bool,
    ) -> io::Result<()> {
        self.report.incomplete(shown);
        let parts = target.slices();
        let date = format!("{}.incomplete", self.date);
        let longest = self.place.longest;
        let spot = self.place.spot(&parts, false);
        let Some(spot) = spot.ok().filter(|s| s.dir.stat(temp).is_ok()) else {
            self.report.lost += 1;
            ui.error(&format!("{shown} could not be restored: its data is lost"));
            return Ok(());
        };
        for attempt in 0..ATTEMPTS {
            let name = OsString::from_vec(beside(spot.name.as_bytes(), &date, attempt, longest));
            let done = match spot.dir.rename_noreplace(temp, &name) {
                // An earlier run left the very same.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    match same(&spot.dir, temp, &name, self.params.file_hash) {
                        Ok(true) => spot.dir.unlink(temp),
                        _ => continue,
                    }
                }
                done => done,
            };
            match done {
                Err(e) => return Err(e),
                Ok(()) => {
                    let name = text::safe(name.as_bytes());
                    ui.error(&if lost {
                        format!("{shown} is incomplete: part of its data is lost; the rest is in {name}, with zeros for what is lost")
                    } else {
                        format!("{shown} is not restored: its content does not have the hash that the version lists; it is in {name}")
                    });
                    return Ok(());
                }
            }
        }
        spot.dir.unlink(temp)
    }
}

/// True when both are files of the same content.
fn same(dir: &Dir, one: &OsStr, other: &OsStr, algo: Algo) -> io::Result<bool> {
    let stats = [dir.stat(one)?, dir.stat(other)?];
    if stats.iter().any(|s| s.kind != FileKind::File) || stats[0].size != stats[1].size {
        return Ok(false);
    }
    let hash = |name| hash_file(&dir.open_file(name, false)?, algo);
    Ok(hash(one)? == hash(other)?)
}
