//! The sources, walked in byte order of the stored path: siblings compare with a `/` appended to folder names, so the order
//! of entries is the order of their paths. Memory: a few MiB for the names of all open folders, more are spilled.
//!
//! Decides what belongs to the backup (`commands.md` 6.4); reads no file content.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::backup::choice::{Choice, Reason, SymlinkPolicy};
use crate::backup::names::Names;
use crate::backup::source::{Source, fs_path};
use crate::backup::verdict::Verdict;
use crate::base::error::{Result, io_text};
use crate::base::sys::{self, FileKind, Stat};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::spill::keyset::Keyset;
/// Folders inside folders; a deeper tree is a loop or a mistake.
const DEPTH_AT_MOST: usize = 2000;

/// An entry that belongs to the backup.
pub(crate) struct Found<'a> {
    /// As it will be stored: absolute, folders with a trailing `/`.
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
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

pub(super) struct Level {
    names: Names,
    /// Length of the path up to and including this folder's `/`.
    pub(super) path_len: usize,
    /// Device, for one-file-system.
    dev: u64,
}

/// A folder whose entry waits until something in it survives.
struct Pending {
    path_len: usize,
    stat: Stat,
    size_hint: u64,
}

pub(crate) struct Walk<'a> {
    pub(super) choice: &'a Choice,
    tmp: Tmp,
    pub(super) hardlinks: Keyset,
    /// Look for attributes that ask for exclusion at files too, not only at folders; files stored anew are looked at anyway.
    pub(crate) explains: bool,
    pub(crate) stats: WalkStats,
    pub(super) path: Vec<u8>,
    pending: Vec<Pending>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(choice: &'a Choice, tmp: &Tmp) -> Walk<'a> {
        Walk {
            choice,
            tmp: tmp.clone(),
            hardlinks: Keyset::new(tmp),
            explains: false,
            stats: WalkStats::default(),
            path: Vec::new(),
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
        Ok(true)
    }

    fn source(&mut self, ui: &mut Ui, source: &Source, visitor: &mut dyn Visitor) -> Result<bool> {
        self.path.clear();
        self.path.extend_from_slice(&source.path);
        self.pending.clear();
        let mut levels: Vec<Level> = Vec::new();
        self.entry(ui, source.path.len(), true, &mut levels, visitor)?;
        while let Some(level) = levels.last_mut() {
            if visitor.stopped() {
                return Ok(false);
            }
            let base = level.path_len;
            self.path.truncate(base);
            match level.names.next()? {
                Some(name) => {
                    self.path.extend_from_slice(name);
                    self.entry(ui, base, false, &mut levels, visitor)?;
                }
                None => {
                    levels.pop();
                    if self.pending.last().is_some_and(|p| p.path_len == base)
                        && let Some(empty) = self.pending.pop()
                    {
                        visitor.decided(
                            ui,
                            &self.path[..empty.path_len],
                            false,
                            &Reason::EmptyFolder,
                            empty.size_hint,
                        );
                        self.stats.excluded += 1;
                    }
                }
            }
        }
        Ok(!visitor.stopped())
    }

    /// Looks at the entry whose path is in `self.path` and goes into it if it is a folder of the backup.
    fn entry(
        &mut self,
        ui: &mut Ui,
        base: usize,
        is_source: bool,
        levels: &mut Vec<Level>,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        if self.path.last() == Some(&b'/') && self.path.len() > 1 && !is_source {
            self.path.pop();
        }
        if std::str::from_utf8(&self.path[base.min(self.path.len())..]).is_err() {
            ui.warn(
                "not-utf8",
                &format!(
                    "{} is left out: its name is not valid UTF-8, which the format cannot store",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        let mut stat = match sys::lstat(fs_path(&self.path)) {
            Ok(stat) => stat,
            Err(e) => return self.trouble(ui, &e, visitor),
        };
        let mut followed = false;
        if stat.kind == FileKind::Symlink
            && (is_source || self.choice.symlinks == SymlinkPolicy::Follow)
        {
            let follow = self.choice.symlinks == SymlinkPolicy::Follow
                || (is_source && self.path.last() == Some(&b'/'));
            if follow {
                match sys::stat(fs_path(&self.path)) {
                    Ok(target) => {
                        followed = true;
                        stat = target;
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        ui.warn(
                            "dangling",
                            &format!(
                                "{} is left out: it links to nothing",
                                text::safe(&self.path)
                            ),
                        );
                        visitor.unreadable(&self.path);
                        return Ok(());
                    }
                    Err(e) => return self.trouble(ui, &e, visitor),
                }
            }
        }
        let is_folder = stat.kind == FileKind::Folder;
        if is_folder && self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        if stat.kind == FileKind::Other {
            self.stats.special += 1;
            visitor.decided(ui, &self.path, false, &Reason::Special, 0);
            ui_special(ui, &self.path);
            return Ok(());
        }
        let mut record_it = true;
        if is_source {
            visitor.decided(ui, &self.path, true, &Reason::Source, stat.size);
        } else {
            match self.verdict(&stat, levels)? {
                Verdict::Take(reason) => {
                    if let Some(reason) = reason {
                        visitor.decided(ui, &self.path, true, &reason, stat.size);
                    }
                }
                Verdict::Pass => {
                    record_it = false;
                    visitor.decided(ui, &self.path, false, &Reason::Filter(None), stat.size);
                }
                Verdict::Out(reason) => {
                    self.stats.excluded += 1;
                    if matches!(reason, Reason::TooLarge(_)) {
                        self.stats.too_large += 1;
                    }
                    visitor.decided(ui, &self.path, false, &reason, stat.size);
                    return Ok(());
                }
            }
        }
        if is_folder {
            return self.folder(ui, &stat, is_source, record_it, followed, levels, visitor);
        }
        if !record_it {
            return Ok(());
        }
        let link = match stat.kind {
            FileKind::Symlink => match fs::read_link(fs_path(&self.path)) {
                Ok(target) => Some(target.into_os_string()),
                Err(e) => return self.trouble(ui, &e, visitor),
            },
            _ => None,
        };
        if let Some(target) = &link
            && std::str::from_utf8(target.as_bytes()).is_err()
        {
            ui.warn(
                "not-utf8",
                &format!(
                    "{} is left out: its target is not valid UTF-8, which the format cannot store",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        self.release(ui, visitor)?;
        visitor.found(
            ui,
            &Found {
                path: &self.path,
                stat: &stat,
                link: link.as_deref().map(OsStrExt::as_bytes),
                is_source,
            },
        )
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one step of the walk, split for reading"
    )]
    fn folder(
        &mut self,
        ui: &mut Ui,
        stat: &Stat,
        is_source: bool,
        record_it: bool,
        followed: bool,
        levels: &mut Vec<Level>,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let path_len = self.path.len();
        let crosses =
            self.choice.one_file_system && levels.last().is_some_and(|l| l.dev != stat.dev);
        if levels.len() >= DEPTH_AT_MOST || (followed && self.loops(stat, levels)) {
            ui.warn(
                "loop",
                &format!(
                    "{} is not entered: it leads back to a folder above it",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        let names = if crosses {
            visitor.decided(ui, &self.path, false, &Reason::OtherFileSystem, 0);
            Names::empty()
        } else {
            let held = levels.iter().map(|l| l.names.held()).sum();
            match Names::read(fs_path(&self.path), &self.tmp, self.choice, held)? {
                Ok((names, marker)) => {
                    if let Some(marker) = marker.filter(|_| !is_source) {
                        self.stats.excluded += 1;
                        visitor.decided(ui, &self.path, false, &Reason::IgnoreName(marker), 0);
                        return Ok(());
                    }
                    names
                }
                Err(e) => {
                    self.trouble(ui, &e, visitor)?;
                    Names::empty()
                }
            }
        };
        if record_it {
            if self.choice.exclude_empty_folders && !is_source {
                self.pending.push(Pending {
                    path_len,
                    stat: *stat,
                    size_hint: 0,
                });
            } else {
                self.release(ui, visitor)?;
                visitor.found(
                    ui,
                    &Found {
                        path: &self.path,
                        stat,
                        link: None,
                        is_source,
                    },
                )?;
            }
        }
        levels.push(Level {
            names,
            path_len,
            dev: stat.dev,
        });
        Ok(())
    }

    /// Folders that waited for a surviving entry now have one.
    fn release(&mut self, ui: &mut Ui, visitor: &mut dyn Visitor) -> Result<()> {
        for waiting in std::mem::take(&mut self.pending) {
            visitor.found(
                ui,
                &Found {
                    path: &self.path[..waiting.path_len],
                    stat: &waiting.stat,
                    link: None,
                    is_source: false,
                },
            )?;
        }
        Ok(())
    }

    fn loops(&self, stat: &Stat, levels: &[Level]) -> bool {
        levels.iter().any(|l| {
            sys::stat(fs_path(&self.path[..l.path_len]))
                .is_ok_and(|above| (above.dev, above.ino) == (stat.dev, stat.ino))
        })
    }

    fn trouble(
        &mut self,
        ui: &mut Ui,
        e: &std::io::Error,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let (kind, what) = if e.kind() == std::io::ErrorKind::NotFound {
            ("vanished", "it vanished while the backup ran".to_owned())
        } else {
            ("unreadable", io_text(e))
        };
        ui.warn(
            kind,
            &format!("{} is left out: {what}", text::safe(&self.path)),
        );
        visitor.unreadable(&self.path);
        Ok(())
    }
}

fn ui_special(ui: &mut Ui, path: &[u8]) {
    if ui.is_verbose() {
        ui.verbose(&format!(
            "{} is left out: devices, pipes and sockets are not stored",
            text::safe(path)
        ));
    }
}
