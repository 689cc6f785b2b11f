//! A volume on its way: order, numbers, room, and what becomes of it when the run fails.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::base::digest::{Algo, BlockKey, Hash};
use crate::base::error::{Error, Kind};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::transfer::{Flight, NextBytes};
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::spill::run::RunWriter;
use crate::writer::WriteOptions;
use crate::writer::publish::tests::{Folder, WRITE, add, block, open};

const MIB: usize = 1 << 20;

/// What came to pass, in its order: `+` launched, `b`, `i` and `l` stored, `!` an upload that failed.
type Log = Rc<RefCell<String>>;

/// A folder whose uploads can be on their way.
struct Far {
    inner: Box<dyn Destination>,
    log: Log,
    /// The uploads that fail, counted from 0.
    failing: Vec<usize>,
    puts: usize,
    /// Free in the temporary folder once a dblock was stored.
    freed: Option<Arc<AtomicUsize>>,
}

struct Going {
    left: usize,
}

impl Flight for Going {
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool {
        let mut buffer = vec![0; self.left.min(1000)];
        if self.left > 0
            && let Ok(n) = next(&mut buffer)
        {
            self.left -= n;
        }
        self.left == 0
    }

    fn wait(&self, _: std::time::Duration) {}

    fn land(self: Box<Self>) -> bool {
        self.left == 0
    }
}

impl Destination for Far {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.inner.list(start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.inner.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, span, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.puts += 1;
        if self.failing.contains(&(self.puts - 1)) {
            self.log.borrow_mut().push('!');
            return Err(Fault::new(Class::Full, "an upload that fails"));
        }
        let kinds = [(".dblock.", 'b'), (".dindex.", 'i'), (".dlist.", 'l')];
        let kind = kinds.iter().find(|(part, _)| name.contains(part));
        self.log.borrow_mut().push(kind.expect("a volume").1);
        if let Some(free) = &self.freed {
            free.store(4 * MIB, Ordering::Relaxed);
        }
        self.inner.put(name, body)
    }

    fn launch(&mut self, _: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        self.log.borrow_mut().push('+');
        let left = usize::try_from(body.len()).expect("small");
        Some(Box::new(Going { left }))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.inner.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.inner.create_folder()
    }

    fn about(&self) -> About {
        self.inner.about()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A writer whose volumes are on their way; what came to pass, and the folder.
fn with_writer(
    failing: &[usize],
    (free, frees): (usize, bool),
    act: impl FnOnce(&mut Ui, Writer<'_>, &AtomicUsize, &Log),
) -> (String, Folder) {
    let folder = Folder::new();
    let mut ui = Ui::silent();
    let log = Log::default();
    let free = Arc::new(AtomicUsize::new(free));
    let options = Options::default();
    let remote = Remote::open(folder.0.to_str().expect("text"), &options, &mut ui).expect("opens");
    let remote = remote.inside(|inner| {
        Box::new(Far {
            inner,
            log: log.clone(),
            failing: failing.to_vec(),
            puts: 0,
            freed: frees.then(|| free.clone()),
        })
    });
    let mut tmp = Tmp::open(None).expect("a folder");
    tmp.free = Some(free.clone());
    let mut set = open(remote, &tmp, &mut ui).expect("opens");
    let permit = set.permit(false).expect("may write");
    let write = WriteOptions {
        overlapped: true,
        ..WRITE
    };
    let writer = Writer::begin(&mut set, permit, write).expect("begins");
    act(&mut ui, writer, &free, &log);
    (log.take(), folder)
}

fn stored(n: u64) -> (Hash, Vec<u8>) {
    let data = block(n, 1024);
    (Algo::Sha256.hash(&data), data)
}

/// Stores blocks until so many volumes were launched.
fn fill(writer: &mut Writer<'_>, ui: &mut Ui, log: &Log, launched: usize) -> Result<u64> {
    for n in 0.. {
        if log.borrow().matches('+').count() >= launched {
            return Ok(n);
        }
        let (hash, data) = stored(n);
        writer.add_block(ui, &hash, &data)?;
        assert!(n < 100_000, "nothing is launched: {}", log.borrow());
    }
    Ok(0)
}

fn publish(writer: &mut Writer<'_>, ui: &mut Ui) -> Result<()> {
    let run = RunWriter::new(writer.set.tmp()).finish()?;
    add(writer, ui, &run, Timestamp(1_700_000_000)).map(|_| ())
}

#[test]
fn each_volume_has_landed_with_its_index_before_the_next_goes_and_the_list_comes_last() {
    let (log, _folder) = with_writer(&[], (4 * MIB, false), |ui, mut writer, _, log| {
        fill(&mut writer, ui, log, 3).expect("stored");
        let (hash, data) = stored(u64::MAX);
        writer.add_block(ui, &hash, &data).expect("stored");
        publish(&mut writer, ui).expect("published");
        assert!(writer.air.is_none());
        writer.finish(ui).expect("finished");
    });
    assert_eq!(log, "+bi+bi+bibil");
}

/// What this run remembers of its blocks is what its indexes say.
#[test]
fn blocks_get_the_numbers_of_their_own_volumes() {
    let mut kept = None;
    let (_, folder) = with_writer(&[], (4 * MIB, false), |ui, mut writer, _, log| {
        let blocks = fill(&mut writer, ui, log, 3).expect("stored") + 10;
        for n in blocks - 10..blocks {
            let (hash, data) = stored(n);
            writer.add_block(ui, &hash, &data).expect("stored");
        }
        writer.index(ui).expect("read");
        publish(&mut writer, ui).expect("published");
        let names: Vec<_> = (0..writer.uploads.count)
            .map(|i| writer.uploads.get(i).expect("a record").dblock)
            .collect();
        let (_, index) = writer.hand_on().expect("handed on");
        kept = Some((index.expect("an index").0, names, blocks));
    });
    let (mut ours, names, blocks) = kept.expect("it ran");
    let mut ui = Ui::silent();
    let options = Options::default();
    let remote = Remote::open(folder.0.to_str().expect("text"), &options, &mut ui).expect("opens");
    let tmp = Tmp::open(None).expect("a folder");
    let mut set = open(remote, &tmp, &mut ui).expect("opens");
    let mut writer = Writer::begin(&mut set, None, WRITE).expect("begins");
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..blocks {
        let key = BlockKey::new(&stored(n).0, 1024);
        let [no] = ours.find_key(&key).expect("found")[..] else {
            panic!("block {n} is in one volume");
        };
        let theirs = writer.index(&mut ui).expect("read").0.find_key(&key);
        let [there] = theirs.expect("found")[..] else {
            panic!("block {n} is in one volume");
        };
        let name = writer.set.volumes().dblock(there).expect("a volume").0;
        assert_eq!(names[no as usize], name, "block {n}");
        seen.insert(no);
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_volume_that_fails_ends_the_run_and_nothing_is_published() {
    // A dblock, its dindex, the next dblock, its dindex.
    for failing in 0..4 {
        let (log, _folder) = with_writer(&[failing], (4 * MIB, false), |ui, mut writer, _, log| {
            let filled = fill(&mut writer, ui, log, 3);
            assert!(filled.is_err() && writer.air.is_none());
            for _ in 0..2 {
                assert!(publish(&mut writer, ui).is_err());
            }
            assert!(writer.finish(ui).is_err());
        });
        assert!(log.ends_with('!') && !log.contains('l'), "{log}");
        assert_eq!(log.replace('+', "").len(), failing + 1, "{log}");
    }
}

/// The run fails for another reason while a volume is on its way: it is broken off, and is no part of any version.
#[test]
fn what_is_on_its_way_when_a_run_fails_is_broken_off() {
    let (log, _folder) = with_writer(&[0], (4 * MIB, false), |ui, mut writer, _, log| {
        fill(&mut writer, ui, log, 1).expect("stored");
        assert!(writer.air.is_some());
        let failed = writer.step(|_| Err::<(), _>(Error::new(Kind::NoSpace, "a full disk")));
        assert!(failed.is_err() && writer.air.is_none());
        assert!(publish(&mut writer, ui).is_err());
        assert!(writer.settle(ui).is_ok(), "nothing is on its way");
        assert!(writer.finish(ui).is_err());
    });
    assert_eq!(log, "+!");
}

#[test]
fn a_run_without_a_version_lets_its_volume_land() {
    let (log, _folder) = with_writer(&[], (4 * MIB, false), |ui, mut writer, _, log| {
        fill(&mut writer, ui, log, 1).expect("stored");
        writer.settle(ui).expect("landed");
        assert_eq!(writer.uploads.count, 1);
        writer.finish(ui).expect("finished");
    });
    assert_eq!(log, "+bi");
    let (log, _folder) = with_writer(&[], (4 * MIB, false), |ui, mut writer, _, log| {
        fill(&mut writer, ui, log, 1).expect("stored");
        writer.finish(ui).expect("finished");
    });
    assert_eq!(log, "+bi");
}

/// Three volumes need room in the temporary folder: where there is none, uploads are waited for.
#[test]
fn without_room_for_a_further_volume_an_upload_is_waited_for() {
    // There is room for one volume at a time.
    let (log, _folder) = with_writer(&[], (4 * MIB, true), |ui, mut writer, free, log| {
        for n in 0..3000 {
            let (hash, data) = stored(n);
            writer.add_block(ui, &hash, &data).expect("stored");
            if writer.pack.is_some() {
                free.store(MIB, Ordering::Relaxed);
            }
        }
        assert_eq!(log.borrow().matches('+').count(), 0);
        publish(&mut writer, ui).expect("published");
    });
    assert!(log.starts_with("bibi"), "{log}");
    // It is taken by others after a volume was launched: that lands before the next is begun.
    let (log, _folder) = with_writer(&[], (4 * MIB, true), |ui, mut writer, free, log| {
        let n = fill(&mut writer, ui, log, 1).expect("stored");
        free.store(MIB, Ordering::Relaxed);
        let (hash, data) = stored(n + 1);
        writer.add_block(ui, &hash, &data).expect("stored");
        assert_eq!(*log.borrow(), "+bi");
        publish(&mut writer, ui).expect("published");
    });
    assert_eq!(log, "+bibil");
}
