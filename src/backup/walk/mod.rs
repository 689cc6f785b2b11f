//! The sources, walked in byte order of the stored path: siblings compare with a `/` appended to folder names, so the order
//! of entries is the order of their paths. Memory: a few MiB for the names of all open folders, more are spilled.
//!
//! Decides what belongs to the backup (`commands.md` 6.4); reads no file content. Goes by the handles of folders: what is
//! replaced by a link meanwhile is not entered.

mod enter;
mod look;
mod verdict;

use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::backup::choice::{Choice, Reason, SymlinkPolicy};
use crate::backup::levels::Levels;
use crate::backup::names::Names;
use crate::backup::pseudo::PseudoFs;
use crate::backup::source::{Source, fs_path};
use crate::base::error::{Result, io_text};
use crate::base::leftover;
use crate::base::sys::{Dir, FileKind, Identity, Spot, Stat};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::spill::keyset::Keyset;
use enter::Folder;

/// An entry that belongs to the backup.
pub(crate) struct Found<'a> {
    /// As it will be stored: absolute, folders with a trailing `/`.
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
    /// Where it is looked at; the folder itself for a folder.
    pub(crate) spot: Spot<'a>,
    /// Its size tells nothing: the kernel makes up what is read.
    pub(crate) pseudo: bool,
    /// Target of a link that is stored as a link.
    pub(crate) link: Option<&'a [u8]>,
    /// Named by the person, so that no rule applies.
    pub(crate) is_source: bool,
}

/// Hears of everything the walk decides.
pub(crate) trait Visitor {
    /// An entry of the backup, in byte order of paths.
    fn found(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()>;
    /// An entry and why it is in or out (for `test-filters`); `path` as stored.
    fn decided(
        &mut self,
        _ui: &mut Ui,
        _path: &[u8],
        _included: bool,
        _reason: &Reason,
        _size: u64,
    ) {
    }
    /// Something could not be looked at; already warned about.
    fn unreadable(&mut self, _path: &[u8]) {}
    /// True ends the walk early.
    fn stopped(&mut self) -> bool;
}

/// Counts of what was left out for good reasons.
#[derive(Clone, Copy, Default)]
pub(crate) struct WalkStats {
    pub(crate) excluded: u64,
    pub(crate) too_large: u64,
    pub(crate) special: u64,
}

/// A folder whose entry waits until something in it survives.
pub(super) struct Pending {
    /// Its place among the open folders.
    pub(super) level: usize,
    pub(super) path_len: usize,
    pub(super) stat: Stat,
}

pub(crate) struct Walk<'a> {
    pub(super) choice: &'a Choice,
    pub(super) tmp: Tmp,
    pub(super) hardlinks: Keyset,
    /// Look for attributes that ask for exclusion at files too, not only at folders; files stored anew are looked at anyway.
    pub(crate) explains: bool,
    pub(crate) stats: WalkStats,
    pub(super) who: Identity,
    pseudo: PseudoFs,
    /// The first file system that was not entered, and how many.
    pub(super) closed: (Vec<u8>, u64),
    pub(super) path: Vec<u8>,
    /// The name of the entry at hand.
    name: Vec<u8>,
    pub(super) pending: Vec<Pending>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(choice: &'a Choice, tmp: &Tmp) -> Walk<'a> {
        Walk {
            choice,
            tmp: tmp.clone(),
            hardlinks: Keyset::new(tmp),
            explains: false,
            stats: WalkStats::default(),
            who: Identity::of_process(),
            pseudo: PseudoFs::default(),
            closed: (Vec::new(), 0),
            path: Vec::new(),
            name: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Walks sources as `sources` returned them. False when the visitor stopped it.
    pub(crate) fn run(
        &mut self,
        ui: &mut Ui,
        sources: &[Source],
        visitor: &mut dyn Visitor,
    ) -> Result<bool> {
        for source in sources {
            if !self.source(ui, source, visitor)? {
                return Ok(false);
            }
        }
        let closed = std::mem::take(&mut self.closed);
        if closed.1 > 0 {
            let first = text::safe(&closed.0);
            ui.note(&match closed.1 {
                1 => format!(
                    "{first} is not entered: it holds no files but what the kernel makes up (name it as a source to take it)"
                ),
                n => format!(
                    "{first} and {} more are not entered: they hold no files but what the kernel makes up (name one as a source to take it)",
                    n - 1
                ),
            });
        }
        Ok(true)
    }

    fn source(&mut self, ui: &mut Ui, source: &Source, visitor: &mut dyn Visitor) -> Result<bool> {
        self.path.clear();
        self.path.extend_from_slice(&source.path);
        self.pending.clear();
        let follow = self.choice.symlinks == SymlinkPolicy::Follow;
        let (above, name) = source.place();
        self.name.clear();
        self.name.extend_from_slice(name);
        let mut levels = match Dir::place(fs_path(above)) {
            Ok(base) => Levels::new(base, follow),
            Err(e) => {
                self.trouble(ui, &e, visitor);
                return Ok(true);
            }
        };
        self.entry(ui, true, &mut levels, visitor)?;
        while let Some(level) = levels.last_mut() {
            if visitor.stopped() {
                return Ok(false);
            }
            let base = level.path_len;
            self.path.truncate(base);
            match level.names.next()? {
                Some(name) => {
                    self.path.extend_from_slice(name);
                    self.name.clear();
                    let bare = name.strip_suffix(b"/").unwrap_or(name);
                    self.name.extend_from_slice(bare);
                    self.entry(ui, false, &mut levels, visitor)?;
                }
                None => self.leave(ui, &mut levels, visitor),
            }
        }
        Ok(!visitor.stopped())
    }

    /// Goes back up from a folder that has no more names.
    fn leave(&mut self, ui: &mut Ui, levels: &mut Levels, visitor: &mut dyn Visitor) {
        let base = self.path.len();
        if self.pending.last().is_some_and(|p| p.path_len == base) && self.pending.pop().is_some() {
            visitor.decided(ui, &self.path, false, &Reason::EmptyFolder, 0);
            self.stats.excluded += 1;
        }
        if let Err(e) = levels.pop(&self.path) {
            if let Some(level) = levels.last_mut() {
                level.names = Names::empty();
                self.path.truncate(level.path_len);
            }
            self.rest_is_lost(ui, &e, visitor);
        }
    }

    /// Looks at the entry whose path is in `self.path` and whose name is in `self.name`, and goes into it if it is a folder of
    /// the backup.
    fn entry(
        &mut self,
        ui: &mut Ui,
        is_source: bool,
        levels: &mut Levels,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        // The verdict changes this walk while the spot borrows the name.
        let name = std::mem::take(&mut self.name);
        let done = self.entry_at(ui, &name, is_source, levels, visitor);
        self.name = name;
        done
    }

    fn entry_at(
        &mut self,
        ui: &mut Ui,
        name: &[u8],
        is_source: bool,
        levels: &mut Levels,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let named_folder = is_source && self.path.last() == Some(&b'/');
        if self.path.last() == Some(&b'/') && self.path.len() > 1 && !is_source {
            self.path.pop();
        }
        if !self.can_be_named(ui, name, visitor) {
            return Ok(());
        }
        let spot = levels.spot(name).map(|spot| Spot {
            follow: named_folder,
            ..spot
        });
        let spot = match spot {
            Ok(spot) => spot,
            Err(e) => {
                self.trouble(ui, &e, visitor);
                return Ok(());
            }
        };
        let Some((stat, followed)) = self.look(ui, &spot, visitor) else {
            return Ok(());
        };
        let followed = followed || named_folder;
        let spot = Spot {
            follow: followed,
            ..spot
        };
        let is_folder = stat.kind == FileKind::Folder;
        if is_folder && self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        if levels.last().is_some_and(|l| l.way_only) && !self.leads_to_named() {
            return Ok(());
        }
        if stat.kind == FileKind::Other {
            self.stats.special += 1;
            visitor.decided(ui, &self.path, false, &Reason::Special, 0);
            ui_special(ui, &self.path);
            return Ok(());
        }
        let pseudo = match levels.last() {
            Some(level) if level.dev == stat.dev => level.pseudo,
            _ => self.pseudo.is(stat.dev, &spot),
        };
        let closed = pseudo && !is_source && !self.in_named() && {
            // The file system that a source lies in is entered from there.
            levels
                .last()
                .is_none_or(|l| l.dev != stat.dev || l.way_only)
        };
        if closed && !is_folder {
            self.stats.excluded += 1;
            visitor.decided(ui, &self.path, false, &Reason::PseudoFileSystem, 0);
            return Ok(());
        }
        let last = self.path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        if !is_source && !is_folder && leftover::is_ours(last) {
            self.stats.excluded += 1;
            visitor.decided(ui, &self.path, false, &Reason::Leftover, stat.size);
            return Ok(());
        }
        let base = levels.last().map_or(0, |l| l.path_len);
        let Some(record_it) = self.decide(ui, is_source, &stat, &spot, base, visitor)? else {
            return Ok(());
        };
        if is_folder {
            let folder = Folder {
                name,
                stat,
                is_source,
                record_it,
                followed,
                pseudo,
                closed,
            };
            return self.folder(ui, &folder, levels, visitor);
        }
        if !record_it {
            return Ok(());
        }
        let link = match stat.kind {
            FileKind::Symlink => match self.link_target(ui, &spot, visitor) {
                Some(target) => Some(target),
                None => return Ok(()),
            },
            _ => None,
        };
        self.release(ui, levels, visitor)?;
        let Ok(spot) = levels.spot(name) else {
            return Ok(());
        };
        visitor.found(
            ui,
            &Found {
                path: &self.path,
                stat: &stat,
                spot: Spot {
                    follow: followed,
                    ..spot
                },
                pseudo,
                link: link.as_deref().map(OsStrExt::as_bytes),
                is_source,
            },
        )
    }

    pub(super) fn trouble(&mut self, ui: &mut Ui, e: &io::Error, visitor: &mut dyn Visitor) {
        left_out(ui, &self.path, e);
        visitor.unreadable(&self.path);
    }

    /// The folder whose path is in `self.path` cannot be gone on with.
    fn rest_is_lost(&mut self, ui: &mut Ui, e: &io::Error, visitor: &mut dyn Visitor) {
        let path = text::safe(&self.path);
        let line = format!(
            "part of {path} is left out: {}",
            match e.kind() {
                io::ErrorKind::NotFound => "it changed while the backup ran".to_owned(),
                _ => io_text(e),
            }
        );
        ui.warn("changed", &line);
        visitor.unreadable(&self.path);
    }
}

/// Tells that an entry cannot be looked at.
pub(super) fn left_out(ui: &mut Ui, path: &[u8], e: &io::Error) {
    let (kind, what) = match (e.kind(), e.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => ("vanished", "it vanished while the backup ran".to_owned()),
        // It was no link when it was looked at, or it was a folder.
        (_, Some(libc::ELOOP | libc::ENOTDIR)) => {
            ("changed", "it was replaced while the backup ran".to_owned())
        }
        _ => ("unreadable", io_text(e)),
    };
    ui.warn(kind, &format!("{} is left out: {what}", text::safe(path)));
}

fn ui_special(ui: &mut Ui, path: &[u8]) {
    if ui.is_verbose() {
        ui.verbose(&format!(
            "{} is left out: devices, pipes and sockets are not stored",
            text::safe(path)
        ));
    }
}
