//! One entry stored anew: its metadata, and the content of a file read once.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::backup::attrs::Collected;
use crate::backup::changed::nanos;
use crate::backup::choice::SymlinkPolicy;
use crate::backup::job::Job;
use crate::backup::source::fs_path;
use crate::backup::split::Trouble;
use crate::backup::walk::Found;
use crate::base::error::{Result, io_text};
use crate::base::sys::{self, Stat};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::set::Record;

impl Job<'_> {
    /// Stores an entry anew: metadata, and content unless `content` is known to be stored.
    pub(super) fn store(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        kind: EntryKind,
        blob: Option<Vec<u8>>,
        content: Option<Content>,
    ) -> Result<()> {
        let blob = match blob {
            Some(blob) => blob,
            None => match self.blob(ui, found)? {
                Some(blob) => blob,
                None => return Ok(()),
            },
        };
        let mut stat = *found.stat;
        let content = match (kind, content) {
            (EntryKind::File, None) => match self.content(ui, found, &mut stat)? {
                Some(content) => Some(content),
                None => return Ok(()),
            },
            (_, content) => content,
        };
        let meta = self.metadata(ui, found.path, &blob)?;
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
            ino: stat.ino,
            ctime: nanos(stat.ctime),
        })
    }

    /// The metadata blob; `None` when the entry is to be left out (warned about or asked for).
    pub(super) fn blob(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<Option<Vec<u8>>> {
        let exclusions = self.options.choice.exclusion_attributes && !found.is_source;
        match self
            .collector
            .collect(ui, fs_path(found.path), found.stat, found.link, exclusions)
        {
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

    fn trouble(&mut self, ui: &mut Ui, path: &[u8], e: &io::Error) {
        self.report.unreadable += 1;
        let (kind, what) = if e.kind() == io::ErrorKind::NotFound {
            ("vanished", "it vanished while the backup ran".to_owned())
        } else {
            ("unreadable", io_text(e))
        };
        ui.warn(kind, &format!("{} is left out: {what}", text::safe(path)));
    }

    fn metadata(&mut self, ui: &mut Ui, path: &[u8], blob: &[u8]) -> Result<Content> {
        let hash = self.writer.params().file_hash.hash(blob);
        if let Some((h, n, content)) = &self.blob_memo
            && (*h, *n) == (hash, blob.len() as u64)
        {
            return Ok(content.clone());
        }
        let (content, fits) = self.splitter.store_blob(&mut self.writer, ui, blob)?;
        if fits {
            self.blob_memo = Some((hash, blob.len() as u64, content.clone()));
        } else {
            ui.warn(
                "metadata-too-large",
                &format!(
                    "the metadata of {} is too large for this block size and is left out",
                    text::safe(path)
                ),
            );
        }
        Ok(content)
    }

    /// Reads a file; `None` when it cannot be read (warned about) or the run was stopped.
    fn content(
        &mut self,
        ui: &mut Ui,
        found: &Found<'_>,
        stat: &mut Stat,
    ) -> Result<Option<Content>> {
        let follow = self.options.choice.symlinks == SymlinkPolicy::Follow;
        let mut file = match open(fs_path(found.path), follow) {
            Ok(file) => file,
            Err(e) => {
                self.trouble(ui, found.path, &e);
                return Ok(None);
            }
        };
        self.report.opened_files += 1;
        let (files, totals) = (self.report.examined_files, self.totals);
        let before = self.report.opened_bytes;
        let mut read = 0;
        let stored = self.splitter.store(
            &mut self.writer,
            ui,
            &mut file as &mut dyn Read,
            &mut |ui, n| {
                if sys::stops_requested() > 0 {
                    return false;
                }
                read += n;
                ui.progress(
                    "backup",
                    Progress {
                        files,
                        bytes: before + read,
                        ..totals
                    },
                );
                true
            },
        );
        if let Ok(content) = &stored {
            read = content.size;
        }
        self.report.opened_bytes += read;
        match stored {
            Ok(content) => {
                match file.metadata() {
                    Ok(after)
                        if after.size() != found.stat.size
                            || (after.mtime(), after.mtime_nsec())
                                != (found.stat.mtime.0, i64::from(found.stat.mtime.1)) =>
                    {
                        // Its stamps are of no use for the next comparison.
                        stat.ino = 0;
                        ui.warn(
                            "changed",
                            &format!(
                                "{} changed while it was read; it is stored as it was read",
                                text::safe(found.path)
                            ),
                        );
                    }
                    _ => {}
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

/// Opens a regular file for reading, without touching its access time where that is allowed.
fn open(path: &Path, follow: bool) -> io::Result<File> {
    let guard = libc::O_NONBLOCK | if follow { 0 } else { libc::O_NOFOLLOW };
    let try_open = |flags: i32| {
        std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
    };
    let file = match try_open(guard | libc::O_NOATIME) {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => try_open(guard)?,
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no longer a regular file"));
    }
    Ok(file)
}
