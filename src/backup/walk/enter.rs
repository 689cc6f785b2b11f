//! The walk goes down into a folder: what keeps it out, the marks by which a folder asks to be left out, what is named inside.

use std::os::unix::fs::MetadataExt;

use crate::backup::attrs::asks_for_exclusion;
use crate::backup::choice::{Reason, SymlinkPolicy};
use crate::backup::levels::{Level, Levels, itself};
use crate::backup::names::Names;
use crate::backup::walk::{Found, Pending, Visitor, Walk, left_out};
use crate::base::error::Result;
use crate::base::sys::{Spot, Stat};
use crate::base::text;
use crate::base::ui::Ui;

/// Folders inside folders; a deeper tree is a loop or a mistake.
const DEPTH_AT_MOST: usize = 2000;

/// A folder about to be entered.
pub(super) struct Folder<'a> {
    pub(super) name: &'a [u8],
    pub(super) stat: Stat,
    pub(super) is_source: bool,
    pub(super) record_it: bool,
    pub(super) followed: bool,
    pub(super) pseudo: bool,
    /// It is not entered, unless on the way to a named source.
    pub(super) closed: bool,
}

impl Walk<'_> {
    /// Records the folder whose path is in `self.path` and goes down into it, unless it is not entered or asks to be left out.
    pub(super) fn folder(
        &mut self,
        ui: &mut Ui,
        folder: &Folder<'_>,
        levels: &mut Levels,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let (stat, is_source) = (&folder.stat, folder.is_source);
        if self.is_own(stat) {
            let path = text::safe(&self.path);
            let line = format!("{path} is left out: it is the destination of this backup");
            ui.warn("own-destination", &line);
            self.stats.excluded += 1;
            return Ok(());
        }
        let crosses =
            self.choice.one_file_system && levels.last().is_some_and(|l| l.dev != stat.dev);
        let not_entered = if levels.len() >= DEPTH_AT_MOST {
            Some((
                "too-deep",
                format!("it lies more than {DEPTH_AT_MOST} folders deep"),
            ))
        } else if folder.followed && levels.iter().any(|l| l.is(stat)) {
            Some(("loop", "it leads back to a folder above it".to_owned()))
        } else {
            None
        };
        if let Some((kind, why)) = not_entered {
            let path = text::safe(&self.path);
            ui.warn(kind, &format!("{path} is not entered: {why}"));
            visitor.unreadable(&self.path);
            return Ok(());
        }
        let way_only = folder.closed && self.leads_to_named();
        let mut dir = None;
        let mut names = Names::empty();
        if crosses {
            visitor.decided(ui, &self.path, false, &Reason::OtherFileSystem, 0);
        } else if folder.closed && !way_only {
            visitor.decided(ui, &self.path, false, &Reason::PseudoFileSystem, 0);
            if self.closed.1 == 0 {
                self.closed.0.clone_from(&self.path);
            }
            self.closed.1 += 1;
        } else {
            let opened = levels.spot(folder.name).and_then(|spot| {
                let follow = folder.followed;
                Spot { follow, ..spot }.open_dir()
            });
            match opened {
                Ok(opened) => dir = Some(opened),
                Err(e) => self.trouble(ui, &e, visitor),
            }
        }
        if self.choice.exclusion_attributes && !is_source {
            let asks = match &dir {
                Some(dir) => asks_for_exclusion(&itself(dir)),
                None => levels.spot(folder.name).ok().and_then(|spot| {
                    let follow = folder.followed;
                    asks_for_exclusion(&Spot { follow, ..spot })
                }),
            };
            if let Some(name) = asks {
                self.stats.excluded += 1;
                visitor.decided(ui, &self.path, false, &Reason::AskedFor(name), 0);
                return Ok(());
            }
        }
        if let Some(open) = &dir {
            let held = levels.iter().map(|l| l.names.held()).sum();
            match Names::read(open, &self.tmp, self.choice, held)? {
                Ok((_, Some(marker))) if !is_source => {
                    self.stats.excluded += 1;
                    visitor.decided(ui, &self.path, false, &Reason::IgnoreName(marker), 0);
                    return Ok(());
                }
                Ok((read, _)) => names = read,
                Err(e) => self.trouble(ui, &e, visitor),
            }
        }
        let path_len = self.path.len();
        let waits = self.choice.exclude_empty_folders && !is_source;
        if folder.record_it && waits {
            self.pending.push(Pending {
                level: levels.len(),
                path_len,
                stat: *stat,
            });
        } else if folder.record_it {
            self.release(ui, levels, visitor)?;
            let spot = match &dir {
                Some(dir) => Ok(itself(dir)),
                None => levels.spot(folder.name),
            };
            if let Ok(spot) = spot {
                visitor.found(
                    ui,
                    &Found {
                        path: &self.path,
                        stat,
                        spot,
                        pseudo: folder.pseudo,
                        link: None,
                        is_source,
                    },
                )?;
            }
        }
        let mut level = Level::new(names, path_len, stat, dir);
        level.pseudo = folder.pseudo;
        level.way_only = way_only;
        levels.push(level);
        Ok(())
    }

    /// True for the folder that the backup is written to: a link led to it, for where none is followed the sources were looked
    /// at before.
    fn is_own(&self, stat: &Stat) -> bool {
        let own = self.choice.own.as_ref();
        own.filter(|_| self.choice.symlinks == SymlinkPolicy::Follow)
            .and_then(|own| std::fs::metadata(own).ok())
            .is_some_and(|own| (own.dev(), own.ino()) == (stat.dev, stat.ino))
    }

    /// Folders that waited for a surviving entry now have one.
    pub(super) fn release(
        &mut self,
        ui: &mut Ui,
        levels: &mut Levels,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        for waiting in std::mem::take(&mut self.pending) {
            let path = &self.path[..waiting.path_len];
            let spot = match levels.folder(waiting.level, &self.path) {
                Ok(spot) => spot,
                Err(e) => {
                    let path = path.to_vec();
                    left_out(ui, &path, &e);
                    visitor.unreadable(&path);
                    continue;
                }
            };
            visitor.found(
                ui,
                &Found {
                    path,
                    stat: &waiting.stat,
                    spot,
                    pseudo: false,
                    link: None,
                    is_source: false,
                },
            )?;
        }
        Ok(())
    }

    /// True for a named source inside another one, and what is in it.
    pub(super) fn in_named(&self) -> bool {
        self.choice.named.iter().any(|named| {
            self.path.starts_with(named) && (named.ends_with(b"/") || self.path == *named)
        })
    }

    /// As `in_named`, and for the folders on the way to one.
    pub(super) fn leads_to_named(&self) -> bool {
        let way = |named: &Vec<u8>| self.path.ends_with(b"/") && named.starts_with(&self.path);
        self.in_named() || self.choice.named.iter().any(way)
    }
}
