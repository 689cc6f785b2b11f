//! The look at the listing before a version exists.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::digest::Algo;
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::format::manifest::Params;
use crate::remote::Remote;
use crate::set::{Set, SetOptions};
use crate::spill::run::RunWriter;
use crate::writer::{List, WriteOptions};

type Done<T> = std::result::Result<T, Fault>;

/// A server that tells no sizes, or every name twice, or whose uploads fail.
struct Odd {
    inner: Box<dyn Destination>,
    sizes: bool,
    times: usize,
    /// How many uploads go well before one fails, and how it fails.
    failing: Option<(u32, Class)>,
    /// Another program's version gets the name of ours just before it.
    race: Option<PathBuf>,
}

impl Odd {
    fn new(inner: Box<dyn Destination>) -> Odd {
        Odd {
            inner,
            sizes: true,
            times: 1,
            failing: None,
            race: None,
        }
    }
}

impl Destination for Odd {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let (sizes, times) = (self.sizes, self.times);
        self.inner.list(start, &mut |item| {
            let Listed::Entry(file) = item else {
                return each(item);
            };
            (0..times).try_for_each(|_| {
                each(Listed::Entry(RemoteFile {
                    name: file.name.clone(),
                    size: file.size.filter(|_| sizes),
                    modified: None,
                    is_folder: file.is_folder,
                    is_archived: false,
                }))
            })
        })
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.inner.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, span, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        match &mut self.failing {
            Some((0, class)) => {
                let fault = Fault::new(*class, "an upload that fails");
                self.failing = None;
                return Err(fault);
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        if name.contains(".dlist.")
            && let Some(folder) = self.race.take()
        {
            fs::write(folder.join(name), b"theirs").expect("write");
        }
        self.inner.put(name, body)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.inner.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.inner.create_folder()
    }

    fn about(&self) -> About {
        About {
            refuses_to_replace: self.inner.about().refuses_to_replace,
            put_is_proof: self.inner.about().put_is_proof,
            ..About::default()
        }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

pub(in crate::writer) const PARAMS: Params = Params {
    block_size: 1024,
    block_hash: Algo::Sha256,
    file_hash: Algo::Sha256,
    version: 2,
};

pub(in crate::writer) const WRITE: WriteOptions = WriteOptions {
    params: PARAMS,
    dblock_size: 1 << 20,
    level: 1,
    verify_listing: true,
    overlapped: false,
};

pub(in crate::writer) fn open(remote: Remote, tmp: &Tmp, ui: &mut Ui) -> Result<Set> {
    let options = SetOptions::of_a_test(true);
    Set::open(remote, tmp.clone(), options, ui, &mut |_, _| Ok(None))
}

/// A writer on a server that `twist` makes odd; also what the folder holds in the end, by kind: dblocks, dindexes, dlists.
fn with_writer(
    twist: impl FnOnce(&Path, &mut Odd),
    write: WriteOptions,
    act: impl FnOnce(&mut Ui, &mut Writer<'_>),
) -> [usize; 3] {
    let folder = Folder::new();
    let mut ui = Ui::silent();
    let mut none = Options::default();
    for opt in [("number-of-retries", "0"), ("retry-delay", "0s")] {
        let row = crate::remote::OPTIONS.iter().find(|o| o.is_named(opt.0));
        none.set(row.expect("an option"), opt.1).expect("good");
    }
    let remote = Remote::open(folder.0.to_str().expect("text"), &none, &mut ui).expect("opens");
    let remote = remote.inside(|inner| {
        let mut odd = Odd::new(inner);
        twist(&folder.0, &mut odd);
        Box::new(odd)
    });
    let tmp = Tmp::open(None).expect("a folder");
    let mut set = open(remote, &tmp, &mut ui).expect("opens");
    let permit = set.permit(false).expect("may write");
    let mut writer = Writer::begin(&mut set, permit, write).expect("begins");
    act(&mut ui, &mut writer);
    [".dblock.", ".dindex.", ".dlist."].map(|word| {
        let entries = fs::read_dir(&folder.0)
            .expect("list")
            .map(|e| e.expect("entry"));
        let named = entries.filter(|e| e.file_name().to_string_lossy().contains(word));
        named.count()
    })
}

/// Adds a version.
pub(in crate::writer) fn add(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    run: &Run,
    time: Timestamp,
) -> Result<(VolumeName, u64)> {
    let full = true;
    let done = writer.commit(ui, List::New { run, time, full })?;
    if let Some(e) = done.disturbed {
        return Err(e);
    }
    Ok(done.lists.into_iter().next().expect("a version"))
}

/// Blocks that nothing shrinks.
pub(in crate::writer) fn block(n: u64, len: usize) -> Vec<u8> {
    let mut data = Vec::new();
    for part in 0.. {
        if data.len() >= len {
            break;
        }
        let seed = [n.to_be_bytes(), u64::to_be_bytes(part)].concat();
        data.extend_from_slice(Algo::Sha256.hash(&seed).as_bytes());
    }
    data.truncate(len);
    data
}

#[test]
fn a_writer_that_lost_a_volume_publishes_nothing_whatever_its_caller_does() {
    for class in [
        Class::Stopped,
        Class::Full,
        Class::Transient,
        Class::Local,
        Class::Auth,
        Class::NotFound,
        Class::Unsupported,
    ] {
        // Uploads before: a dblock, its dindex, a dblock, its dindex, the dlist.
        for passed in 0..5u32 {
            let twist = |_: &Path, odd: &mut Odd| odd.failing = Some((passed, class));
            let there = with_writer(twist, WRITE, |ui, writer| {
                let mut store = |ui: &mut Ui, n: u64| {
                    let data = block(n, 700);
                    let hash = Algo::Sha256.hash(&data);
                    // Errors are dropped on purpose.
                    let _stored = writer.add_block(ui, &hash, &data);
                    let _listed = writer.add_list(ui, &hash, &data);
                    let _sent = writer.flush(ui);
                };
                store(ui, 1);
                store(ui, 2);
                let run = RunWriter::new(writer.set.tmp()).finish().expect("empty");
                for _ in 0..2 {
                    let time = Timestamp(1_700_000_000);
                    assert!(add(writer, ui, &run, time).is_err());
                }
            });
            let want = [passed.div_ceil(2).min(2), passed / 2, 0].map(|n| n as usize);
            assert_eq!(there, want, "{class:?} after {passed}");
        }
    }
}

#[test]
fn another_version_of_the_same_second_stays_and_ours_is_a_second_later() {
    for verify_listing in [true, false] {
        let write = WriteOptions {
            verify_listing,
            ..WRITE
        };
        let at = std::cell::RefCell::new(PathBuf::new());
        let twist = |folder: &Path, odd: &mut Odd| {
            odd.race = Some(folder.to_owned());
            at.replace(folder.to_owned());
        };
        let there = with_writer(twist, write, |ui, writer| {
            let run = RunWriter::new(writer.set.tmp()).finish().expect("empty");
            let time = Timestamp(1_700_000_000);
            let (name, size) = add(writer, ui, &run, time).expect("published");
            assert_eq!(name.time(), Some(Timestamp(1_700_000_001)));
            let folder = at.borrow();
            let name = name.as_str().to_owned();
            assert_eq!(fs::metadata(folder.join(&name)).expect("there").len(), size);
            let theirs = name.replace("221321Z", "221320Z");
            assert_eq!(fs::read(folder.join(theirs)).expect("there"), b"theirs");
        });
        assert_eq!(there, [0, 0, 2]);
    }
}

#[test]
fn what_belongs_together_lies_in_one_volume_wherever_it_begins() {
    for before in 0..40 {
        for parts in [2, 5, 30, 90] {
            let write = WriteOptions {
                dblock_size: 32 << 10,
                ..WRITE
            };
            let mut volumes = 0;
            let there = with_writer(
                |_, _| {},
                write,
                |ui, writer| {
                    let store = |ui: &mut Ui, writer: &mut Writer<'_>, n: u64| {
                        let data = block(n, 1024);
                        let hash = Algo::Sha256.hash(&data);
                        assert!(writer.add_block(ui, &hash, &data).expect("stored"));
                    };
                    for n in 0..before {
                        store(ui, writer, n);
                    }
                    writer.together(ui, parts * 1024).expect("room");
                    let first = writer.uploads.count;
                    for n in 0..parts {
                        store(ui, writer, 1000 + n);
                        assert_eq!(writer.uploads.count, first, "{before} {parts}");
                    }
                    writer.apart(ui).expect("sent");
                    store(ui, writer, 5000);
                    writer.flush(ui).expect("sent");
                    volumes = writer.uploads.count;
                },
            );
            assert_eq!(there[0], volumes as usize);
        }
    }
}

/// Stores one block, lets `meddle` change the folder, then makes a version of nothing; twice, so that there is an old one.
fn publish(sizes: bool, times: usize, meddle: &dyn Fn(&Path)) -> Result<()> {
    let folder = Folder::new();
    for round in 0..2u8 {
        let mut ui = Ui::new(Volume::Quiet, false, Some(false));
        let url = folder.0.to_str().expect("text");
        let remote = Remote::open(url, &Options::default(), &mut ui)?;
        let remote = remote.inside(|inner| {
            Box::new(Odd {
                sizes,
                times,
                ..Odd::new(inner)
            })
        });
        let tmp = Tmp::open(None)?;
        let mut set = open(remote, &tmp, &mut ui)?;
        let permit = set.permit(false)?;
        let mut writer = Writer::begin(&mut set, permit, WRITE)?;
        let data = [round; 100];
        writer.add_block(&mut ui, &Algo::Sha256.hash(&data), &data)?;
        writer.flush(&mut ui)?;
        if round == 1 {
            meddle(&folder.0);
        }
        let run = RunWriter::new(&tmp).finish()?;
        let time = Timestamp(1_700_000_000 + i64::from(round));
        let (name, size) = add(&mut writer, &mut ui, &run, time)?;
        let state = writer.state_after()?;
        assert!(name.time() == Some(time) && size > 0);
        writer.finish(&mut ui)?;
        assert!(!sizes || set.state() == state);
        assert_eq!(set.volumes().len(), 3 * (1 + usize::from(round)));
    }
    Ok(())
}

pub(in crate::writer) struct Folder(pub(in crate::writer) PathBuf);

impl Folder {
    pub(in crate::writer) fn new() -> Folder {
        Folder::below(std::env::temp_dir())
    }

    pub(in crate::writer) fn below(folder: impl AsRef<Path>) -> Folder {
        let name = format!("duplet-publish-{}", rand::hex::<8>().expect("random"));
        let path = folder.as_ref().join(name);
        fs::create_dir(&path).expect("folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A volume in the folder whose name holds `word`.
fn any(folder: &Path, word: &str) -> PathBuf {
    let mut found = fs::read_dir(folder)
        .expect("list")
        .map(|e| e.expect("entry").path());
    found
        .find(|p| p.to_str().is_some_and(|p| p.contains(word)))
        .expect("there is one")
}

#[test]
fn an_untouched_destination_gets_its_version_however_it_lists() {
    for (sizes, times) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
        let done = publish(sizes, times, &|_| {});
        assert!(done.is_ok(), "{sizes} {times} {done:?}");
    }
}

#[test]
fn what_others_changed_meanwhile_stops_the_version() {
    type Meddle = fn(&Path);
    let add: Meddle = |f| {
        let name = "duplicati-b0123456789abcdef0123456789abcdef.dblock.zip";
        fs::write(f.join(name), b"x").expect("write");
    };
    let version: Meddle = |f| {
        fs::write(f.join("duplicati-20300101T000000Z.dlist.zip"), b"x").expect("write");
    };
    let remove: Meddle = |f| fs::remove_file(any(f, ".dindex.")).expect("remove");
    let remove_version: Meddle = |f| fs::remove_file(any(f, ".dlist.")).expect("remove");
    let rename: Meddle = |f| {
        let from = any(f, ".dlist.");
        fs::rename(from, f.join("duplicati-20300101T000000Z.dlist.zip")).expect("rename");
    };
    let cut: Meddle = |f| fs::write(any(f, ".dblock."), b"x").expect("write");
    for sizes in [true, false] {
        for (what, meddle, kind) in [
            ("add", add, Kind::Busy),
            ("version", version, Kind::Busy),
            ("remove", remove, Kind::Busy),
            ("remove version", remove_version, Kind::Busy),
            ("rename", rename, Kind::Busy),
            ("cut", cut, Kind::Damaged),
        ] {
            match publish(sizes, 1, &meddle) {
                Err(e) => assert_eq!(e.kind(), kind, "{what}: {e}"),
                // Nobody can see that without sizes.
                Ok(()) => assert!(what == "cut" && !sizes, "{what} was not noticed"),
            }
        }
    }
}
