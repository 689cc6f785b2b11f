//! A folder of this machine as destination (`file://`, or a plain path).
//!
//! A volume appears under its name only when it is whole and on the medium: it is written to a temporary name in the same
//! folder, synced, checked and renamed; or it comes to be in the folder without a name (`in_place`) and then gets it. Nothing
//! is retried here and the source of an upload is never consumed.

mod in_place;
mod options;
mod parts;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use in_place::InPlace;
use options::{ALTERNATES, MARKER, MIN_FREE, NO_LENGTH, OPTIONS, SYNC};
use parts::{
    absolute, check_name, copy_body, fault, folder_missing, ignore_unsupported, is_absent,
    is_at_hand, is_temporary, mode_of, open_to_read, place, read_some, remote_file, short, shown,
    sync_folder,
};

use super::{
    About, Body, Destination, Fact, GetFacts, Listed, Quota, RemoteFile, Scheme, Sink, Span,
};
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::size::show_size;
use crate::base::{place, rand, sys, text};
use crate::net::url::DestUrl;

/// Cannot be taken for a volume name (`destinations-core.md` 0.10).
const TEMPORARY: &str = ".duplet-tmp-";
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 3600);
/// Bytes left free beside what a put needs.
const RESERVE: u64 = 1 << 20;
const BUFFER: usize = 64 << 10;

/// Local folders.
pub(crate) static SCHEME: Scheme = Scheme {
    names: &["file"],
    help: "a folder of this machine: file:///path or a plain path",
    options: OPTIONS,
    open,
};

fn open(url: &DestUrl, options: &Options) -> Result<Box<dyn Destination>> {
    FileDest::open(url, options).map(|d| Box::new(d) as Box<dyn Destination>)
}

struct FileDest {
    /// Absolute; never empty, the primary one first.
    candidates: Vec<PathBuf>,
    marker: Option<String>,
    /// The candidate in use, once one was found.
    chosen: Option<PathBuf>,
    sync: bool,
    min_free: u64,
    check_length: bool,
    /// Leftovers were looked for.
    swept: bool,
    /// Deletions that the medium may not know yet.
    unsynced: bool,
    in_place: InPlace,
}

impl FileDest {
    fn open(url: &DestUrl, options: &Options) -> Result<FileDest> {
        let joined = match (url.host.as_str(), url.path.as_str()) {
            ("", path) => path.to_owned(),
            (host, "") => host.to_owned(),
            (host, path) => format!("{host}/{path}"),
        };
        let mut candidates = vec![absolute(&joined)?];
        for path in options.text(&ALTERNATES).unwrap_or("").split(':') {
            if path.starts_with('~') {
                place::check("an alternate folder", path)?;
            }
            if !path.is_empty() {
                candidates.push(absolute(path)?);
            }
        }
        let marker = options.text(&MARKER).map(str::to_owned);
        if let Some(name) = &marker
            && check_name(name).is_err()
        {
            return Err(Error::usage(format!(
                "--{} must be a file name without a folder",
                MARKER.name
            )));
        }
        Ok(FileDest {
            candidates,
            marker,
            chosen: None,
            sync: options.flag(&SYNC),
            min_free: options.size(&MIN_FREE).unwrap_or(0),
            check_length: !options.flag(&NO_LENGTH),
            swept: false,
            unsynced: false,
            in_place: InPlace::default(),
        })
    }

    /// The folder in use; decided at the first success and kept.
    fn folder(&mut self) -> Done<PathBuf> {
        if let Some(folder) = &self.chosen {
            return Ok(folder.clone());
        }
        for path in &self.candidates {
            match std::fs::metadata(path) {
                Ok(m) if m.is_dir() => {
                    let fits = self.marker.as_ref().is_none_or(|m| path.join(m).exists());
                    if fits {
                        self.chosen = Some(path.clone());
                        return Ok(path.clone());
                    }
                }
                Ok(_) => {
                    let text = format!("{} is a file, not a folder", shown(path));
                    return Err(Fault::new(Class::Usage, text));
                }
                Err(e) if is_absent(&e) => {}
                Err(e) => return Err(fault(&e, path)),
            }
        }
        Err(self.missing())
    }

    fn missing(&self) -> Fault {
        match &self.marker {
            Some(marker) => {
                let places: Vec<String> = self.candidates.iter().map(|p| shown(p)).collect();
                let text = format!(
                    "marker file {} not found in: {}",
                    text::safe(marker.as_bytes()),
                    places.join(", ")
                );
                Fault::new(Class::FolderMissing, text).hint("mount the medium and run again")
            }
            None => folder_missing(&self.candidates[0]),
        }
    }

    /// Free bytes in the folder that storing `bytes` bytes takes.
    fn need(&self, bytes: u64) -> u64 {
        bytes.saturating_add(self.min_free).saturating_add(RESERVE)
    }

    fn path(&mut self, name: &str) -> Done<(PathBuf, PathBuf)> {
        check_name(name)?;
        let folder = self.folder()?;
        let path = folder.join(name);
        Ok((folder, path))
    }

    /// Removes what killed runs left behind. Failures wait for the next run.
    fn sweep(&mut self, folder: &Path) {
        if std::mem::replace(&mut self.swept, true) {
            return;
        }
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let is_temporary = entry.file_name().to_str().is_some_and(is_temporary);
            let is_old = entry
                .metadata()
                .and_then(|m| m.modified())
                .is_ok_and(|t| now.duration_since(t).is_ok_and(|age| age > LEFTOVER_AGE));
            if is_temporary && is_old {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn store(&self, temporary: &Path, mode: u32, body: &mut dyn Body) -> Done<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(temporary)
            .map_err(|e| fault(&e, temporary))?;
        let written = copy_body(body, &mut file, temporary)?;
        if written != body.len() {
            let text = format!("{written} bytes were read instead of {}", body.len());
            return Err(Fault::new(Class::Local, text));
        }
        if self.sync {
            ignore_unsupported(file.sync_all()).map_err(|e| fault(&e, temporary))?;
        }
        let stored = file.metadata().map_err(|e| fault(&e, temporary))?.len();
        if self.check_length && stored != written {
            let text = format!("{stored} bytes were stored instead of {written}");
            return Err(Fault::new(Class::Integrity, text));
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> Done<()> {
        match self.sync {
            true => sync_folder(folder),
            false => Ok(()),
        }
    }

    fn absent(&self, folder: &Path, name: &str) -> Fault {
        if folder.is_dir() {
            let text = format!(
                "no file {} in {}",
                text::safe(name.as_bytes()),
                shown(folder)
            );
            Fault::new(Class::NotFound, text)
        } else {
            self.vanished(folder)
        }
    }

    fn vanished(&self, folder: &Path) -> Fault {
        if self.marker.is_some() {
            self.missing()
        } else {
            folder_missing(folder)
        }
    }
}

impl Destination for FileDest {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let marked = self.marker.is_some();
        // Without its marker no folder is one that could be made.
        let folder = self.folder().map_err(|fault| match fault.class {
            Class::FolderMissing if marked => Fault {
                class: Class::NotFound,
                ..fault
            },
            _ => fault,
        })?;
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if is_absent(&e) => return Err(self.vanished(&folder)),
            Err(e) => return Err(fault(&e, &folder)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| fault(&e, &folder))?;
            // Names that are not text become ones with U+FFFD, which no volume has.
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_temporary(&name) {
                continue;
            }
            let facts = match std::fs::metadata(entry.path()) {
                Ok(m) => m,
                Err(e) if is_absent(&e) => continue,
                Err(e) => return Err(fault(&e, &entry.path())),
            };
            if facts.is_file() || facts.is_dir() {
                each(Listed::Entry(remote_file(name, &facts)))?;
            }
        }
        Ok(())
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let (folder, path) = self.path(name)?;
        match std::fs::metadata(&path) {
            Ok(m) => Ok(remote_file(name.to_owned(), &m)),
            Err(e) if is_absent(&e) => Err(self.absent(&folder, name)),
            Err(e) => Err(fault(&e, &path)),
        }
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let (folder, path) = self.path(name)?;
        let mut file = match open_to_read(&path) {
            Ok(file) => file,
            Err(e) if is_absent(&e) => return Err(self.absent(&folder, name)),
            Err(e) => return Err(fault(&e, &path)),
        };
        let size = file.metadata().map_err(|e| fault(&e, &path))?.len();
        let start = span.from;
        let mut left = match size.checked_sub(start) {
            Some(rest) => rest.min(span.len.unwrap_or(u64::MAX)),
            None if span.is_open() => return Err(short(size, start)),
            None => 0,
        };
        file.seek(SeekFrom::Start(start))
            .map_err(|e| fault(&e, &path))?;
        let mut buffer = vec![0; BUFFER];
        while left > 0 {
            let want = usize::try_from(left).map_or(BUFFER, |l| l.min(BUFFER));
            let n = read_some(&mut file, &mut buffer[..want]).map_err(|e| fault(&e, &path))?;
            if n == 0 {
                return Err(short(size.min(span.end()) - left, size));
            }
            into.write_all(&buffer[..n]).map_err(Fault::local)?;
            left -= n as u64;
        }
        Ok(GetFacts {
            total: Some(size),
            sha1: None,
        })
    }

    fn at_hand(&mut self, name: &str) -> Option<File> {
        let (_, path) = self.path(name).ok()?;
        open_to_read(&path).ok().filter(is_at_hand)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let (folder, path) = self.path(name)?;
        if !folder.is_dir() {
            return Err(self.vanished(&folder));
        }
        self.sweep(&folder);
        if self.in_place.give_name(body, &path, self.sync)? {
            return self.sync_folder(&folder);
        }
        let need = self.need(body.len());
        if let Some(free) = sys::free_space(&folder)
            && free < need
        {
            let text = format!(
                "{} has {} free, {} are needed: {} to store, the rest is a reserve",
                shown(&folder),
                show_size(free),
                show_size(need),
                show_size(body.len())
            );
            return Err(Fault::new(Class::Full, text));
        }
        body.seek_to(0).map_err(Fault::local)?;
        let random = rand::hex::<8>().map_err(|e| Fault::new(Class::Local, e.to_string()))?;
        let temporary = folder.join(format!("{TEMPORARY}{random}"));
        let sealed = [".aes", ".gpg"].iter().any(|end| name.ends_with(end));
        let done = self
            .store(&temporary, mode_of(sealed), body)
            .and_then(|()| place(&temporary, &path, body.is_new()));
        if let Err(e) = done {
            // The first error counts; a leftover is swept a day later.
            let _ = std::fs::remove_file(&temporary);
            return Err(if folder.is_dir() {
                e
            } else {
                self.vanished(&folder)
            });
        }
        self.sync_folder(&folder)
    }

    fn unnamed_file(&mut self, bytes: u64, sealed: bool) -> Option<File> {
        let folder = self.folder().ok()?;
        let free = sys::free_space(&folder).unwrap_or(u64::MAX);
        if free < self.need(bytes) {
            return None;
        }
        self.in_place.file(&folder, mode_of(sealed))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let (folder, path) = self.path(name)?;
        match std::fs::remove_file(&path) {
            Ok(()) => {
                self.unsynced = true;
                Ok(())
            }
            Err(e) if is_absent(&e) && folder.is_dir() => Ok(()),
            Err(e) if is_absent(&e) => Err(self.vanished(&folder)),
            Err(e) => Err(fault(&e, &path)),
        }
    }

    /// Uploads have no parts here; what a killed run left behind goes.
    fn end_unfinished(&mut self, _start: &str, _before: i64) -> Done<u64> {
        let folder = self.folder()?;
        self.sweep(&folder);
        Ok(0)
    }

    fn create_folder(&mut self) -> Done<()> {
        if self.marker.is_some() {
            self.chosen = None;
            return self.folder().map(|_| ());
        }
        let path = self.chosen.as_ref().unwrap_or(&self.candidates[0]);
        let missing = path.ancestors().take_while(|a| !a.exists()).count();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|e| fault(&e, path))?;
        // What was made is there after a power cut, too.
        for folder in path.ancestors().skip(1).take(missing) {
            let folder = Some(folder).filter(|f| !f.as_os_str().is_empty());
            self.sync_folder(folder.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn local_folder(&self) -> Option<PathBuf> {
        self.chosen
            .clone()
            .or_else(|| self.candidates.first().cloned())
    }

    fn about(&self) -> About {
        About {
            put_is_proof: true,
            refuses_to_replace: true,
            ..About::default()
        }
    }

    fn describe(&self) -> String {
        format!(
            "file://{}",
            shown(self.chosen.as_ref().unwrap_or(&self.candidates[0]))
        )
    }

    fn finish(&mut self) -> Done<Vec<Fact>> {
        if let (true, Some(folder)) = (std::mem::take(&mut self.unsynced), &self.chosen) {
            self.sync_folder(folder)?;
        }
        Ok(Vec::new())
    }

    fn quota(&mut self) -> Done<Quota> {
        let folder = self.folder()?;
        let space = sys::space(&folder);
        Ok(Quota {
            total: space.map(|s| s.0),
            free: space.map(|s| s.1),
        })
    }
}

#[cfg(test)]
mod tests;
