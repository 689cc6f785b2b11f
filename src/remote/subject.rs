//! A [`Remote`] under test against a server that misbehaves: waits are written down instead of slept, and every error is looked
//! through for secrets before a test sees it.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::download::Passed;
use super::*;
use crate::base::digest::{Digests, HashWriter};
use crate::base::error::Kind;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::{Fact, Sink};

/// The volume that tests put and get.
pub(super) const NAME: &str = "duplicati-b1.dblock.zip";

/// Name and size of a stored file.
pub(super) type Stored = (String, Option<u64>);

/// What arrived.
struct Got(Vec<u8>);

impl std::io::Write for Got {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Got {
    fn restart(&mut self) -> std::io::Result<()> {
        self.0.clear();
        Ok(())
    }
}

pub(super) struct Subject {
    pub(super) remote: Remote,
    pub(super) ui: Ui,
    pub(super) tmp: Tmp,
    /// Seconds of each wait before a repetition.
    pub(super) waits: Rc<RefCell<Vec<u64>>>,
    secrets: Vec<String>,
    /// Something was sent on its way, or tried to.
    asked: bool,
}

thread_local! {
    /// Where uploads are counted that are sent on their way; none are where it is `None`.
    static FLIGHTS: RefCell<Option<Arc<AtomicUsize>>> = const { RefCell::new(None) };
    /// Where downloads are counted that are asked for before they are wanted, and how often each is looked after until then.
    static AHEAD: RefCell<Option<(Arc<AtomicUsize>, u32)>> = const { RefCell::new(None) };
}

/// Runs a test with all its downloads asked for before they are wanted, where the destination can do that; some must have been.
/// Once nobody looks after them until then, once they come in the meantime.
pub(super) fn asked_ahead(test: impl Fn()) {
    for looks in [0, 50] {
        let count = Arc::new(AtomicUsize::new(0));
        AHEAD.set(Some((count.clone(), looks)));
        test();
        AHEAD.set(None);
        assert!(count.load(Ordering::Relaxed) > 0, "nothing was asked for");
    }
}

/// Runs a test with all its uploads sent on their way first, where the destination can do that; some must have been.
pub(super) fn flying(test: impl FnOnce()) {
    let flights = Arc::new(AtomicUsize::new(0));
    FLIGHTS.set(Some(flights.clone()));
    test();
    FLIGHTS.set(None);
    assert!(flights.load(Ordering::Relaxed) > 0, "nothing was sent so");
}

impl Subject {
    /// `secrets`: what no error may show.
    pub(super) fn open(url: &str, secrets: &[&str]) -> Subject {
        let mut ui = Ui::new(Volume::Quiet, false, Some(false));
        let mut remote = Remote::open(url, &Options::default(), &mut ui).expect("opens");
        let waits = Rc::new(RefCell::new(Vec::new()));
        let kept = waits.clone();
        remote.sleep = Box::new(move |time, _| kept.borrow_mut().push(time.as_secs()));
        Subject {
            remote,
            ui,
            tmp: Tmp::open(None).expect("tmp"),
            waits,
            secrets: secrets.iter().map(|&s| s.to_owned()).collect(),
            asked: false,
        }
    }

    pub(super) fn put(&mut self, data: &[u8]) -> Result<()> {
        self.put_as(NAME, data)
    }

    pub(super) fn put_as(&mut self, name: &str, data: &[u8]) -> Result<()> {
        if let Some(flights) = FLIGHTS.with_borrow(Clone::clone) {
            return self.send_off(name, data, &flights);
        }
        self.upload(data, |remote, ui, spool, sha| {
            remote.put(ui, name, spool, sha)
        })
    }

    /// As [`Subject::put_as`], sent on its way and then waited for.
    fn send_off(&mut self, name: &str, data: &[u8], flights: &AtomicUsize) -> Result<()> {
        let first = !std::mem::replace(&mut self.asked, true);
        self.upload(data, |remote, ui, spool, sha| {
            let mut sending = remote.launch(ui, name, spool, sha)?;
            if first && sending.is_none() {
                // A run knows the server before its first volume is full.
                let _ = remote.remote.list(ui, &mut |_| Ok(()));
                sending = remote.launch(ui, name, spool, sha)?;
            }
            match sending {
                Some(sending) => {
                    flights.fetch_add(1, Ordering::Relaxed);
                    remote.land(ui, name, (spool, sha), sending)
                }
                None => remote.put(ui, name, spool, sha),
            }
        })
    }

    /// As the writer uploads: what the destination wants to know is made while the file is written. `damaged`: a byte of it changes
    /// after that.
    pub(super) fn put_written(&mut self, data: &[u8], damaged: bool) -> Result<()> {
        let mut out = HashWriter::new(Spool::new(&self.tmp)?, self.remote.wants());
        out.write_all(data).expect("write");
        let (mut spool, digests, _) = out.finish();
        if damaged {
            let other = [data[10] ^ 1];
            spool.file().write_all_at(&other, 10).expect("write");
        }
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        let done = remote.put(&mut self.ui, NAME, &mut spool, &digests);
        done.map_err(|e| self.checked(e))
    }

    /// Sends data on its way, looking after what was asked for ahead until it is there.
    pub(super) fn send_beside(&mut self, name: &str, data: &[u8]) {
        let done = self.upload(data, |remote, ui, spool, sha| {
            let mut sending = remote.launch(ui, name, spool, sha)?.expect("a flight");
            while !remote.remote.advance(&mut sending, spool) {
                remote.remote.look_ahead();
            }
            remote.land(ui, name, (spool, sha), sending)
        });
        done.expect("stored");
    }

    /// Whether the name was free.
    pub(super) fn put_new(&mut self, data: &[u8]) -> Result<bool> {
        self.upload(data, |remote, ui, spool, sha| {
            remote.put_new(ui, NAME, spool, sha)
        })
    }

    fn upload<T>(
        &mut self,
        data: &[u8],
        act: impl FnOnce(&mut RemoteMut, &mut Ui, &mut Spool, &Digests) -> Result<T>,
    ) -> Result<T> {
        let mut spool = Spool::new(&self.tmp)?;
        spool.write_all(data).expect("write");
        let sha = Algo::Sha256.hash(data).into();
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        let done = act(&mut remote, &mut self.ui, &mut spool, &sha);
        done.map_err(|e| self.checked(e))
    }

    pub(super) fn get(&mut self, name: &str, size: Option<u64>) -> Result<Vec<u8>> {
        if let Some((count, looks)) = AHEAD.with_borrow(Clone::clone) {
            self.ask_ahead(name, size.unwrap_or(u64::MAX), looks);
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut spool = Spool::new(&self.tmp)?;
        let done = self.remote.get(&mut self.ui, name, size, &mut spool);
        done.map_err(|e| self.checked(e))?;
        let mut data = Vec::new();
        spool.read_to_end(&mut data).expect("read");
        Ok(data)
    }

    /// Asks for a file that is wanted later, and looks after it so often.
    pub(super) fn ask_ahead(&mut self, name: &str, size: u64, looks: u32) {
        self.remote.expect("", Some((name, size)));
        assert_eq!(self.remote.expected(), Some(size));
        let spool = Spool::new(&self.tmp).expect("a spool");
        self.remote.ask_ahead(&mut self.ui, spool);
        for _ in 0..looks {
            self.remote.look_ahead();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A part of a file, and what is said of it.
    pub(super) fn span(&mut self, name: &str, from: u64, len: u64) -> Result<(Vec<u8>, Passed)> {
        let mut got = Got(Vec::new());
        let read = self
            .remote
            .read_span(&mut self.ui, name, from, len, &mut got);
        Ok((got.0, read.map_err(|e| self.checked(e))?))
    }

    /// Whether a file is there, and its size.
    pub(super) fn stat(&mut self, name: &str) -> Result<Option<Option<u64>>> {
        let found = self.remote.stat(&mut self.ui, name);
        let found = found.map_err(|e| self.checked(e))?;
        Ok(found.map(|file| file.size))
    }

    /// Names and sizes; `None` when there is no such folder.
    pub(super) fn entries(&mut self) -> Result<Option<Vec<Stored>>> {
        let mut found = Vec::new();
        let done = self.remote.list(&mut self.ui, &mut |item| {
            match item {
                Listed::Restart => found.clear(),
                Listed::Entry(file) => found.push((file.name, file.size)),
            }
            Ok(())
        });
        let there = done.map_err(|e| self.checked(e))?;
        Ok(there.then_some(found))
    }

    /// Names that begin with `start`, in order.
    pub(super) fn begin_with(&mut self, start: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let done = self.remote.list_from(&mut self.ui, start, &mut |item| {
            match item {
                Listed::Restart => found.clear(),
                Listed::Entry(file) => found.push(file.name),
            }
            Ok(())
        });
        assert!(done.map_err(|e| self.checked(e))?, "a folder");
        found.sort();
        Ok(found)
    }

    /// Names, or one line that says that there is no such folder.
    pub(super) fn list(&mut self) -> Result<Vec<String>> {
        Ok(match self.entries()? {
            Some(found) => found.into_iter().map(|(name, _)| name).collect(),
            None => vec!["(no folder)".to_owned()],
        })
    }

    pub(super) fn delete(&mut self) -> Result<()> {
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        let done = remote.delete(&mut self.ui, NAME);
        done.map_err(|e| self.checked(e))
    }

    pub(super) fn make(&mut self) -> Result<()> {
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        let done = remote.create_folder(&mut self.ui);
        done.map_err(|e| self.checked(e))
    }

    /// Ends uploads in parts that earlier runs with this prefix left.
    pub(super) fn end_unfinished(&mut self, prefix: &str) {
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        remote.end_unfinished(&mut self.ui, prefix);
    }

    /// What a report says of the destination at the end of a run.
    pub(super) fn finish(&mut self) -> Result<Vec<Fact>> {
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        remote.finish(&mut self.ui)
    }

    pub(super) fn retries(&self) -> u64 {
        self.remote.stats().retries
    }

    pub(super) fn waits(&self) -> Vec<u64> {
        self.waits.borrow().clone()
    }

    /// The error, which shows no secret and is one line.
    pub(super) fn checked(&self, e: Error) -> Error {
        let text = e.to_string();
        for secret in &self.secrets {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(!text.contains('\n') && !text.contains('\u{1b}'), "{text:?}");
        e
    }
}

/// The error that this ended with, in which these words stand (none need to).
#[track_caller]
pub(super) fn refused<T>(done: Result<T>, words: &str) -> Error {
    let e = done.err().expect(words);
    assert!(e.to_string().contains(words), "{words}: {e}");
    e
}

/// The text of the error that this ended with, of this kind, in which these words stand (none need to).
#[track_caller]
pub(super) fn fails<T>(done: Result<T>, kind: Kind, words: &str) -> String {
    let e = refused(done, words);
    assert_eq!(e.kind(), kind, "{words}: {e}");
    e.to_string()
}

/// Does something with every row at the same time: what a row takes is mostly waiting.
pub(super) fn at_once<T: Send>(rows: impl IntoIterator<Item = T>, act: impl Fn(T) + Sync) {
    let flights = FLIGHTS.with_borrow(Clone::clone);
    let ahead = AHEAD.with_borrow(Clone::clone);
    std::thread::scope(|scope| {
        for row in rows {
            let (flights, ahead) = (flights.clone(), ahead.clone());
            let act = &act;
            scope.spawn(move || {
                FLIGHTS.set(flights);
                AHEAD.set(ahead);
                act(row);
            });
        }
    });
}

/// A file's content of this length.
pub(super) fn bytes(len: usize) -> Vec<u8> {
    let mut data: Vec<u8> = (0..=250).collect();
    // Copied in ever longer pieces: byte by byte takes seconds without optimization.
    while data.len() < len {
        data.extend_from_within(..data.len().min(len - data.len()));
    }
    data.truncate(len);
    data
}
