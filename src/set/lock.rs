//! One run at a time: a lock on a file that the running process holds, so that it ends with the process however that ends.
//!
//! The file is in the cache folder, also with `--no-cache`, and with `--cache-dir` in the usual one, too, so that runs with
//! different caches know of each other; where none of them can be written, in the folder for temporary files.
//! It names the process and its start for whoever comes second, no secret and no URL, and is removed when the lock is given
//! back. Other machines are not kept out by it; they are noticed by the listing before a version is published.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_span;
use crate::base::sys;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::set::cache_folder::{Owner, default_folder};

/// Wait between two looks at a lock that another process holds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest content of a lock file that is read, bytes.
const NOTE_AT_MOST: usize = 100;

/// A lock that is held; given back when dropped, and by the end of the process.
pub(crate) struct RunLock {
    file: File,
    path: PathBuf,
    /// The lock of another folder, held as long.
    _also: Option<Box<RunLock>>,
}

/// What an attempt at one lock file came to.
enum Tried {
    Held(RunLock),
    /// What the holder wrote into it.
    Taken(String),
}

impl RunLock {
    /// Takes the lock of a destination. `cache` is `--cache-dir`, `tmp` the
    /// folder for temporary files, `doing` what the run is going to do, for errors. Waits up to `wait` for another process to
    /// end.
    ///
    /// `Busy` when another process holds it all that time, `Interrupted` when a stop came meanwhile. `None` when no folder can
    /// hold a lock, which the person is told at `-v`: the run goes on without.
    pub(crate) fn take(
        cache: Option<&str>,
        tmp: &Path,
        owner: &Owner,
        wait: Duration,
        doing: &str,
        ui: &mut Ui,
    ) -> Result<Option<RunLock>> {
        let name = format!("{}.lock", owner.id());
        let folders: Vec<PathBuf> = default_folder()
            .into_iter()
            .chain(cache.map(PathBuf::from))
            .collect();
        Self::take_in(&folders, tmp, &name, wait, ui).map_err(|e| e.doing(doing))
    }

    fn take_in(
        folders: &[PathBuf],
        tmp: &Path,
        name: &str,
        wait: Duration,
        ui: &mut Ui,
    ) -> Result<Option<RunLock>> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            let tried = in_folders(folders, name)
                .unwrap_or_else(|why| in_tmp(tmp, name).map_err(|e| why.unwrap_or(e)));
            let note = match tried {
                Ok(Tried::Held(lock)) => return Ok(Some(lock)),
                Ok(Tried::Taken(note)) => note,
                Err(e) => {
                    let why = crate::base::error::io_text(&e);
                    ui.verbose(&format!("no lock keeps other runs out: {why}"));
                    return Ok(None);
                }
            };
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(taken(&note, wait));
            }
            if !std::mem::replace(&mut told, true) {
                ui.note(&format!(
                    "another run is changing this destination ({}); waiting for its end, at most {}",
                    holder(&note),
                    show_span(wait.as_secs())
                ));
            }
            if !sys::sleep_interruptible(left.min(LOOK_EVERY)) {
                return Err(Error::new(
                    Kind::Interrupted,
                    "stopped while waiting for another run",
                ));
            }
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While it is still locked: who takes it meanwhile sees that the file has no name any more, and makes a new one.
        if same_file(&self.file, &self.path) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

fn taken(note: &str, waited: Duration) -> Error {
    let hint = if waited.is_zero() {
        "wait for its end, or give --lock-wait=1h to do so"
    } else {
        "wait for its end, or give a longer --lock-wait"
    };
    Error::new(
        Kind::Busy,
        format!("another run is changing this destination: {}", holder(note)),
    )
    .hint(hint)
}

/// `process 123, since 2026-01-02 03:04:05`, as far as the file tells.
fn holder(note: &str) -> String {
    let mut words = note.split_ascii_whitespace();
    let pid = words.next().and_then(|w| w.parse::<u32>().ok());
    let since = words.next().and_then(|w| w.parse::<i64>().ok());
    match (pid, since) {
        (Some(pid), Some(since)) => format!("process {pid}, since {}", Timestamp(since).local()),
        _ if note.is_empty() => "a process that has just begun".to_owned(),
        _ => format!("its lock file says {}", text::safe_cut(note.as_bytes(), 40)),
    }
}

/// All locks of the folders that can hold one, in their order; `Err` with the first reason when there is none.
fn in_folders(
    folders: &[PathBuf],
    name: &str,
) -> std::result::Result<std::io::Result<Tried>, Option<std::io::Error>> {
    let mut held: Option<RunLock> = None;
    let mut why = None;
    for folder in folders {
        // The same folder by another name is held already.
        let file = folder.join(name);
        if held.as_ref().is_some_and(|h| same_file(&h.file, &file)) {
            continue;
        }
        match in_cache(folder, name) {
            Ok(Tried::Held(mut lock)) => {
                lock._also = held.take().map(Box::new);
                held = Some(lock);
            }
            Ok(taken) => return Ok(Ok(taken)),
            Err(e) => why = why.or(Some(e)),
        }
    }
    held.map(|lock| Ok(Tried::Held(lock))).ok_or(why)
}

fn in_cache(folder: &Path, name: &str) -> std::io::Result<Tried> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    try_lock(&folder.join(name))
}

/// In a folder that others may write to.
fn in_tmp(folder: &Path, name: &str) -> std::io::Result<Tried> {
    try_lock(&folder.join(format!(".duplet-{}-{name}", sys::effective_uid())))
}

fn try_lock(path: &Path) -> std::io::Result<Tried> {
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() || facts.uid() != sys::effective_uid() {
            return Err(std::io::Error::other(
                "its lock file belongs to another user",
            ));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut note = vec![0; NOTE_AT_MOST];
                let n = file.read(&mut note)?;
                let note = String::from_utf8_lossy(&note[..n]);
                return Ok(Tried::Taken(note.trim().to_owned()));
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // Its last holder may have removed it between our opening and our locking.
        if !same_file(&file, path) {
            continue;
        }
        let note = format!("{} {}\n", std::process::id(), Timestamp::now().0);
        file.set_len(0)?;
        file.write_all_at(note.as_bytes(), 0)?;
        file.flush()?;
        return Ok(Tried::Held(RunLock {
            file,
            path: path.to_owned(),
            _also: None,
        }));
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rand;

    fn folder() -> PathBuf {
        let name = format!("duplet-lock-{}", rand::hex::<8>().expect("random"));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("folder");
        path
    }

    fn owner(place: &str) -> Owner {
        Owner {
            place: place.to_owned(),
            account: String::new(),
        }
    }

    fn take(cache: &Path, tmp: &Path, id: &str, wait: u64) -> Result<Option<RunLock>> {
        let mut ui = Ui::silent();
        let wait = Duration::from_millis(wait);
        let name = format!("{}.lock", owner(id).id());
        RunLock::take_in(&[cache.to_owned()], tmp, &name, wait, &mut ui)
    }

    #[test]
    fn runs_with_different_caches_know_of_each_other() {
        let base = folder();
        let (usual, own, other) = (base.join("usual"), base.join("own"), base.join("other"));
        let held = |folders: &[&Path]| {
            let folders: Vec<PathBuf> = folders.iter().map(|f| f.to_path_buf()).collect();
            RunLock::take_in(&folders, &base, "x.lock", Duration::ZERO, &mut Ui::silent())
        };
        let first = held(&[&usual, &own]).expect("free").expect("held");
        for second in [
            &[usual.as_path()][..],
            &[&own],
            &[&usual, &other],
            &[&other, &own],
            &[Path::new("/proc/none"), &own],
        ] {
            let e = held(second).err().expect("held");
            assert_eq!(e.kind(), Kind::Busy, "{second:?}");
        }
        assert!(fs::read_dir(&other).expect("made").next().is_none());
        drop(first);
        // One folder by two names, and one that cannot be used, keep nobody from his own lock.
        std::os::unix::fs::symlink(&usual, base.join("link")).expect("link");
        for own in [
            &[usual.as_path(), &usual][..],
            &[&usual, &base.join("link")],
            &[&usual, Path::new("/proc/none")],
            &[Path::new("/proc/none"), Path::new("/dev/null/x")],
        ] {
            assert!(held(own).expect("free").is_some(), "{own:?}");
        }
        fs::remove_dir_all(&base).expect("clean");
    }

    #[test]
    fn the_second_is_told_who_holds_it_and_the_third_finds_it_free() {
        let base = folder();
        let cache = base.join("a/b");
        let lock = take(&cache, &base, "x", 0).expect("free").expect("held");
        let other = take(&cache, &base, "y", 0).expect("another destination");
        assert!(other.is_some());
        for wait in [0, 30] {
            let e = take(&cache, &base, "x", wait).err().expect("held");
            assert_eq!(e.kind(), Kind::Busy);
            let pid = format!("process {}, since 20", std::process::id());
            let text = e.to_string();
            assert!(
                text.contains(&pid) && text.contains("--lock-wait"),
                "{text}"
            );
        }
        drop((lock, other));
        assert_eq!(fs::read_dir(&cache).expect("list").count(), 0);
        assert!(take(&cache, &base, "x", 0).expect("free").is_some());
        fs::remove_dir_all(&base).expect("clean");
    }

    #[test]
    fn what_a_dead_process_left_is_no_lock() {
        let base = folder();
        let name = owner("x").id();
        for left in [
            "",
            "1 1700000000\n",
            "nonsense\u{1b}[31m",
            &"9".repeat(5000),
        ] {
            fs::write(base.join(format!("{name}.lock")), left).expect("write");
            let held = take(&base, &base, "x", 0).expect("free").expect("held");
            assert!(take(&base, &base, "x", 0).is_err());
            drop(held);
        }
        assert_eq!(holder("nonsense\u{1b}[31m").matches('\u{1b}').count(), 0);
        fs::remove_dir_all(&base).expect("clean");
    }

    #[test]
    fn a_cache_folder_that_cannot_be_used_leaves_the_lock_to_the_temporary_one() {
        let base = folder();
        let file = base.join("a file");
        fs::write(&file, "").expect("write");
        // Neither a folder below a file nor one that cannot be made holds a lock.
        for cache in [file.as_path(), &file.join("deep"), Path::new("/proc/none")] {
            let lock = take(cache, &base, "x", 0).expect("free").expect("held");
            assert!(lock.path.starts_with(&base), "{:?}", lock.path);
            assert!(take(cache, &base, "x", 0).is_err());
            assert!(
                take(cache, Path::new("/proc/none"), "x", 0)
                    .expect("without")
                    .is_none()
            );
        }
        fs::remove_dir_all(&base).expect("clean");
    }

    #[test]
    fn a_link_or_a_pipe_in_its_place_is_not_followed() {
        let base = folder();
        let name = owner("x").id();
        let (cache, victim) = (base.join("cache"), base.join("victim"));
        fs::create_dir(&cache).expect("folder");
        fs::write(&victim, "precious").expect("write");
        std::os::unix::fs::symlink(&victim, cache.join(format!("{name}.lock"))).expect("link");
        let lock = take(&cache, &base, "x", 0).expect("free").expect("held");
        assert!(!lock.path.starts_with(&cache));
        assert_eq!(fs::read(&victim).expect("read"), b"precious");
        drop(lock);
        fs::remove_dir_all(&base).expect("clean");
    }
}
