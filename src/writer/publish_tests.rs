//! The look at the listing before a version exists.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::digest::Algo;
use crate::base::fault::Fault;
use crate::base::opt::Options;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::{Body, Destination, GetFacts, Listed, RemoteFile, Sink};
use crate::format::manifest::Params;
use crate::remote::{Permit, Remote};
use crate::set::{Cache, Said, Set, SetOptions};
use crate::writer::WriteOptions;

type Done<T> = std::result::Result<T, Fault>;

/// A server that tells no sizes, or every name twice.
struct Odd {
    inner: Box<dyn Destination>,
    sizes: bool,
    times: usize,
}

impl Destination for Odd {
    fn list(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let (sizes, times) = (self.sizes, self.times);
        self.inner.list(&mut |item| {
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

    fn get(&mut self, name: &str, from: u64, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, from, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.inner.put(name, body)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.inner.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.inner.create_folder()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Stores one block, lets `meddle` change the folder, then makes a version of nothing; twice, so that there is an old one.
fn publish(sizes: bool, times: usize, meddle: &dyn Fn(&Path)) -> Result<()> {
    let folder = Folder::new();
    let params = Params {
        block_size: 1024,
        block_hash: Algo::Sha256,
        file_hash: Algo::Sha256,
        version: 2,
    };
    for round in 0..2u8 {
        let mut ui = Ui::new(Volume::Quiet, false, Some(false));
        let url = folder.0.to_str().expect("text");
        let remote = Remote::open(url, &Options::default(), &mut ui)?;
        let remote = remote.inside(|inner| {
            Box::new(Odd {
                inner,
                sizes,
                times,
            })
        });
        let options = SetOptions {
            prefix: None,
            writing: true,
            case_insensitive: false,
            gpg_program: String::new(),
            cache: Cache::Off("a test".to_owned()),
            said: Said::default(),
        };
        let tmp = Tmp::open(None)?;
        let mut set = Set::open(remote, tmp.clone(), options, &mut ui, &mut |_, _| Ok(None))?;
        let write = WriteOptions {
            dblock_size: 1 << 20,
            level: 1,
            encrypt: false,
            verify_listing: true,
            dry_run: false,
        };
        let mut writer = Writer::begin(&mut set, Some(Permit::to_write()), params, write)?;
        let data = [round; 100];
        writer.add_block(&mut ui, &Algo::Sha256.hash(&data), &data)?;
        writer.flush(&mut ui)?;
        if round == 1 {
            meddle(&folder.0);
        }
        let run = RunWriter::new(&tmp).finish()?;
        let time = Timestamp(1_700_000_000 + i64::from(round));
        let (name, size) = writer.publish(&mut ui, &run, time, true)?;
        let state = writer.state_after(Some((&name, size)))?;
        writer.finish(&mut ui, Some((&name, size)))?;
        assert!(!sizes || set.state() == state);
        assert_eq!(set.volumes().len(), 3 * (1 + usize::from(round)));
    }
    Ok(())
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("duplet-publish-{}", rand::hex::<8>().expect("random"));
        let path = std::env::temp_dir().join(name);
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
