//! One entry stored anew: its metadata, and the content of a file read once.

use std::fs::File;
use std::io::{self, Read};

use crate::backup::attrs::{Collected, Subject, asks_for_exclusion};
use crate::backup::changed::stamp;
use crate::backup::job::Job;
use crate::backup::source::fs_path;
use crate::backup::split::{Trouble, file_at_most};
use crate::backup::walk::{Found, left_out};
use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::sys::{self, FileKind, stat_of};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::locator::{Extent, Extents};
use crate::set::{Record, Stamp};

/// Bytes that are read of a file whose size tells nothing: 0, or one that the kernel makes up.
const SIZELESS_AT_MOST: u64 = 16 << 20;

impl Job<'_> {
    /// Stores an entry anew: metadata, and content unless that is known to be stored. `old`: the same entry in the version before;
    /// what it has in common with that lies where it lay.
    pub(super) fn store(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        kind: EntryKind,
        blob: Option<Vec<u8>>,
        (content, old): (Option<Content>, Option<&Record>),
    ) -> Result<()> {
        let file = match (kind, &content) {
            (EntryKind::File, None) => match self.open(ui, found)? {
                Some(file) => Some(file),
                None => return Ok(()),
            },
            _ => None,
        };
        let blob = match blob {
            Some(blob) => blob,
            None => match self.blob(ui, found, file.as_ref().map(|(f, _)| f))? {
                Some(blob) => blob,
                None => return Ok(()),
            },
        };
        let mut stamp = stamp(found.stat);
        let mut extents = Extents::default();
        let content = match &file {
            Some((file, size)) => match self.content(ui, found, file, *size, &mut stamp)? {
                Some(content) => {
                    extents.data = self.writer.followed();
                    Some(content)
                }
                None => return Ok(()),
            },
            None => content,
        };
        let meta;
        (meta, extents.meta) = self.metadata(ui, &blob)?;
        if let Some(old) = old {
            if old.entry.content == content {
                self.writer
                    .place_better(&mut extents.data, &old.extents.data);
            }
            if old.entry.meta.as_ref() == Some(&meta) {
                self.writer
                    .place_better(&mut extents.meta, &old.extents.meta);
            }
        }
        if kind == EntryKind::File {
            self.report.added_bytes += content.as_ref().map_or(0, |c| c.size);
        }
        let time = (kind == EntryKind::File).then_some(Timestamp(found.stat.mtime.0));
        let entry = Entry {
            kind,
            path: found.path.to_vec(),
            time,
            content,
            meta: Some(meta),
        };
        self.list.add(&Record {
            entry,
            stamp,
            extents,
        })
    }

    /// The metadata blob; `None` when the entry is to be left out (warned about or asked for).
    /// `open`: the file, if it is open.
    pub(super) fn blob(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        open: Option<&File>,
    ) -> Result<Option<Vec<u8>>> {
        let exclusions = self.honours(found);
        let subject = Subject {
            spot: found.spot,
            open,
            path: fs_path(found.path),
            stat: found.stat,
            link: found.link,
        };
        match self.collector.collect(ui, &subject, exclusions) {
            Ok(Collected::Blob(blob)) => Ok(Some(blob)),
            Ok(Collected::Excluded) => {
                self.report.excluded += 1;
                Ok(None)
            }
            Err(e) => {
                self.trouble(ui, found.path, &e);
                Ok(None)
            }
        }
    }

    /// Whether an attribute of the entry may leave it out.
    fn honours(&self, found: &Found<'_>) -> bool {
        self.options.choice.exclusion_attributes && !found.is_source
    }

    fn trouble(&mut self, ui: &mut Ui, path: &[u8], e: &io::Error) {
        self.report.unreadable += 1;
        left_out(ui, path, e);
    }

    /// Stores a metadata blob: what to list for it, and where it is.
    pub(super) fn metadata(&mut self, ui: &mut Ui, blob: &[u8]) -> Result<(Content, Vec<Extent>)> {
        let hash = self.writer.params().file_hash.hash(blob);
        if let Some((h, n, content, extents)) = &self.blob_memo
            && (*h, *n) == (hash, blob.len() as u64)
        {
            return Ok((content.clone(), extents.clone()));
        }
        let content = self.splitter.store_blob(&mut self.writer, ui, blob)?;
        let extents = self.writer.followed();
        self.blob_memo = Some((hash, blob.len() as u64, content.clone(), extents.clone()));
        Ok((content, extents))
    }

    /// Opens a file to store its content; with its size. `None` when that cannot be (warned about).
    fn open(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<Option<(File, u64)>> {
        let seen = found.stat.size;
        let opened = match sizeless(found, seen) {
            true => found.spot.open_file().map(|(file, now)| (file, now.size)),
            // That it is still what was seen is looked at when all of it was read.
            false => found.spot.open_to_read().map(|file| (file, seen)),
        };
        let (file, size) = match opened {
            Ok(opened) => opened,
            // What asks to be left out need not be readable.
            Err(_) if self.honours(found) && asks_for_exclusion(&found.spot).is_some() => {
                self.report.excluded += 1;
                return Ok(None);
            }
            Err(e) => {
                self.trouble(ui, found.path, &e);
                return Ok(None);
            }
        };
        let params = *self.writer.params();
        let most = file_at_most(&params);
        if size > most && !found.pseudo {
            self.report.unreadable += 1;
            ui.warn(
                "too-large",
                &format!(
                    "{} is left out: it has {}, with blocks of {} a file may have {} (a new destination may have a larger --blocksize)",
                    text::safe(found.path),
                    show_size(size),
                    show_size(params.block_size.into()),
                    show_size(most)
                ),
            );
            return Ok(None);
        }
        Ok(Some((file, size)))
    }

    /// Reads a file as far as its `size` when it was looked at; `None` when it cannot be stored (warned about) or the run was
    /// stopped. `stamp` is taken away when it cannot speak for what was read.
    fn content(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        file: &File,
        size: u64,
        stamp: &mut Stamp,
    ) -> Result<Option<Content>> {
        let sizeless = sizeless(found, size);
        let limit = if sizeless {
            SIZELESS_AT_MOST.min(file_at_most(self.writer.params()))
        } else {
            size
        };
        let mut source = file.take(limit);
        self.report.opened_files += 1;
        let (files, totals) = (self.report.examined_files, self.totals);
        let before = self.report.opened_bytes;
        let mut read = 0;
        let stored = self
            .splitter
            .store(&mut self.writer, ui, &mut source, &mut |ui, n| {
                if sys::stops_requested() > 0 {
                    return false;
                }
                read += n;
                let progress = Progress {
                    files,
                    bytes: before + read,
                    ..totals
                };
                ui.progress_at("backup", progress, found.path);
                true
            });
        if let Ok(content) = &stored {
            read = content.size;
        }
        self.report.opened_bytes += read;
        match stored {
            Ok(content) => {
                let Ok(after) = stat_of(file) else {
                    *stamp = Stamp::default();
                    return Ok(Some(content));
                };
                if after.kind != FileKind::File {
                    self.trouble(ui, found.path, &sys::not_regular());
                    return Ok(None);
                }
                if sizeless && (found.pseudo || after.size == 0) && content.size == limit {
                    let e = io::Error::other(format!(
                        "its size is said to be {}, but it does not end within {}",
                        show_size(after.size),
                        show_size(limit)
                    ));
                    self.trouble(ui, found.path, &e);
                    return Ok(None);
                }
                let was = found.stat;
                let changed = (after.ino, after.size, after.mtime)
                    != (was.ino, was.size, was.mtime)
                    || !sizeless && content.size != size;
                // By its attributes alone, or its content and the time set back: whatever it was, it is looked at again.
                if changed || after.ctime != was.ctime {
                    *stamp = Stamp::default();
                }
                if changed {
                    ui.warn(
                        "changed",
                        &format!(
                            "{} changed while it was read; it is stored as it was read",
                            text::safe(found.path)
                        ),
                    );
                }
                Ok(Some(content))
            }
            Err(Trouble::Source(e)) => {
                self.trouble(ui, found.path, &e);
                Ok(None)
            }
            Err(Trouble::Stopped) => {
                self.stopped = true;
                Ok(None)
            }
            Err(Trouble::Fatal(e)) => Err(e),
        }
    }
}

/// Whether the size of a file says nothing of its content.
fn sizeless(found: &Found<'_>, size: u64) -> bool {
    found.pseudo || size == 0
}
