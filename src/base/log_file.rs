//! The file of `--log-file`: lines with time and level, and never more of them than was allowed.
//!
//! A file that would grow beyond its limit takes the name `FILE.1`, in the place of the one before, and a new one is begun. What
//! is no ordinary file (`/dev/stderr`, a pipe) only grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::sys;
use crate::base::time::Timestamp;

/// Weight of a line in the log file, heaviest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A request to the destination.
    Profiling,
    Verbose,
    Information,
    Warning,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Profiling => "Profiling",
            Level::Verbose => "Verbose",
            Level::Information => "Information",
            Level::Warning => "Warning",
            Level::Error => "Error",
        }
    }
}

/// An open log file.
pub(crate) struct LogFile {
    file: File,
    path: PathBuf,
    least: Level,
    /// Bytes that one file may have; 0 = any number.
    most: u64,
}

impl LogFile {
    /// Opens a file for more lines; those below `least` are dropped. `most`: bytes of one file, 0 for any number.
    pub(crate) fn open(path: &str, least: Level, most: u64) -> io::Result<LogFile> {
        let path = PathBuf::from(path);
        Ok(LogFile {
            file: append(&path)?,
            path,
            least,
            most,
        })
    }

    /// True when a line of this level is not dropped.
    pub(super) fn wants(&self, level: Level) -> bool {
        level >= self.least
    }

    /// Adds a line with the time of now, after making room for it.
    pub(super) fn write(&mut self, level: Level, line: &str) -> io::Result<()> {
        if !self.wants(level) {
            return Ok(());
        }
        let now = Timestamp::now();
        let zone = sys::utc_offset(now.0) / 3600;
        let text = format!("{} {zone:+03} - [{}]: {line}\n", now.local(), level.word());
        if self.most > 0 {
            self.make_room(text.len() as u64)?;
        }
        self.file.write_all(text.as_bytes())
    }

    /// A new file when the line does not fit. Another run may have begun one already: then that one is gone on with. Where no
    /// file can be renamed, the one that is there goes on growing: lines are worth more than room.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        let facts = self.file.metadata()?;
        if !facts.is_file() || facts.len() == 0 || facts.len().saturating_add(more) <= self.most {
            return Ok(());
        }
        let named = fs::symlink_metadata(&self.path);
        let same = named.is_ok_and(|n| (n.dev(), n.ino()) == (facts.dev(), facts.ino()));
        if same {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            if fs::rename(&self.path, old).is_err() {
                return Ok(());
            }
        } else if fs::symlink_metadata(&self.path).is_ok_and(|n| !n.is_file()) {
            // A link to a file elsewhere: to rename the link would not help.
            return Ok(());
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/tmp")
            .join(format!("log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn two_files_hold_the_last_lines_and_no_more() {
        let folder = folder("room");
        let path = folder.join("log");
        let mut one = LogFile::open(path.to_str().unwrap(), Level::Information, 1000).unwrap();
        // A second run with the same file, which learns of the first one's new file.
        let mut other = LogFile::open(path.to_str().unwrap(), Level::Information, 1000).unwrap();
        for n in 0..200 {
            let log = if n % 3 == 0 { &mut other } else { &mut one };
            log.write(Level::Warning, &format!("line {n}")).unwrap();
            log.write(Level::Verbose, "not wanted").unwrap();
        }
        let names: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert_eq!(names.len(), 2);
        let read = |p: &Path| fs::read_to_string(p).unwrap();
        let (now, before) = (read(&path), read(&folder.join("log.1")));
        assert!(now.len() <= 1000 && before.len() <= 1000);
        assert!(now.ends_with("[Warning]: line 199\n"), "{now}");
        let all = format!("{before}{now}");
        assert!(!all.contains("not wanted"));
        // The end of what was said is there without a hole.
        let numbers: Vec<u32> = all
            .lines()
            .map(|l| l.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        let last = numbers.len();
        assert!(last > 20);
        let tail = &numbers[last - 15..];
        assert!(tail.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_line_longer_than_the_limit_and_no_limit() {
        let folder = folder("long");
        let path = folder.join("log");
        let name = path.to_str().unwrap();
        let mut log = LogFile::open(name, Level::Verbose, 10).unwrap();
        for _ in 0..3 {
            log.write(Level::Verbose, "longer than ten bytes").unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        let mut log = LogFile::open(name, Level::Verbose, 0).unwrap();
        for _ in 0..99 {
            log.write(Level::Verbose, "x").unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
        // No room is made behind a link or in a device.
        let link = folder.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut log = LogFile::open(link.to_str().unwrap(), Level::Verbose, 10).unwrap();
        log.write(Level::Verbose, "x").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 101);
        let mut null = LogFile::open("/dev/null", Level::Verbose, 1).unwrap();
        null.write(Level::Error, "x").unwrap();
        assert!(!Path::new("/dev/null.1").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
