//! Commits that add and take away, ended after every single request: every version that was to be kept is whole.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use super::*;
use crate::base::digest::{Algo, Hash};
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::tmp::{Spool, Tmp};
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::format::crc32::Crc32;
use crate::format::deflate::Inflater;
use crate::format::filelist::{Content, EntryKind, read_list};
use crate::format::index::{IndexEntry, parse_block_name, parse_index_entry, read_vol};
use crate::format::locator::Extents;
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::Packed;
use crate::remote::Remote;
use crate::set::{Record, Set, Stamp};
use crate::writer::publish::tests::{Folder, WRITE, add, block, open};

type Done<T> = std::result::Result<T, Fault>;

/// What goes wrong at the destination.
#[derive(Clone, Default)]
struct Plan {
    /// Puts and deletes that still go well, and the class of all that come after.
    cut: Option<(u32, Class)>,
    /// Deletes of names with one of these words fail, so.
    stuck: Vec<(&'static str, Class)>,
    /// The listing does not show names with this word that were uploaded since.
    lag: Option<&'static str>,
    /// The listing shows deleted names still.
    late: bool,
    changed: Vec<String>,
    /// Another program is at work, and each has its turns.
    turns: Option<others::Turn>,
}

struct Meddled {
    inner: Box<dyn Destination>,
    plan: Rc<RefCell<Plan>>,
}

impl Meddled {
    fn wait_for_turn(&self) {
        let turns = self.plan.borrow().turns.clone();
        if let Some(turns) = turns {
            turns.wait();
        }
    }

    fn change(&mut self, what: &str, name: &str) -> Done<()> {
        self.wait_for_turn();
        let mut plan = self.plan.borrow_mut();
        if let Some((left, class)) = &mut plan.cut {
            if *left == 0 {
                return Err(Fault::new(*class, "nothing goes any more"));
            }
            *left -= 1;
        }
        plan.changed.push(format!("{what} {name}"));
        Ok(())
    }
}

impl Destination for Meddled {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.wait_for_turn();
        let plan = self.plan.borrow().clone();
        let gone = plan
            .changed
            .iter()
            .filter_map(|c| c.strip_prefix("delete "));
        for name in gone.filter(|_| plan.late) {
            each(Listed::Entry(RemoteFile {
                name: name.to_owned(),
                size: None,
                modified: None,
                is_folder: false,
                is_archived: false,
            }))?;
        }
        self.inner.list(start, &mut |item| match item {
            Listed::Entry(file)
                if plan.lag.is_some_and(|word| file.name.contains(word))
                    && plan.changed.contains(&format!("put {}", file.name)) =>
            {
                Ok(())
            }
            item => each(item),
        })
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.inner.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, span, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.change("put", name)?;
        self.inner.put(name, body)
    }

    fn about(&self) -> About {
        About {
            refuses_to_replace: self.inner.about().refuses_to_replace,
            put_is_proof: self.inner.about().put_is_proof,
            ..About::default()
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let stuck = self.plan.borrow().stuck.clone();
        if let Some((_, class)) = stuck.iter().find(|(word, _)| name.contains(word)) {
            return Err(Fault::new(*class, "it will not go"));
        }
        self.change("delete", name)?;
        self.inner.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.inner.create_folder()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A set on a folder that `plan` meddles with.
fn set(folder: &Path, plan: &Rc<RefCell<Plan>>, tmp: &Tmp, ui: &mut Ui) -> Set {
    let mut options = Options::default();
    for opt in [("number-of-retries", "0"), ("retry-delay", "0s")] {
        let row = crate::remote::OPTIONS.iter().find(|o| o.is_named(opt.0));
        options.set(row.expect("an option"), opt.1).expect("good");
    }
    let remote = Remote::open(folder.to_str().expect("text"), &options, ui).expect("opens");
    let plan = plan.clone();
    let remote = remote.inside(|inner| Box::new(Meddled { inner, plan }));
    open(remote, tmp, ui).expect("opens")
}

/// Blocks by their ids, as the test made them.
type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

fn store(w: &mut Writer<'_>, ui: &mut Ui, all: &mut Stored, n: u64, len: usize) -> Content {
    let data = block(n, len);
    let hash = Algo::Sha256.hash(&data);
    let ids: Vec<Hash> = data
        .chunks(1024)
        .map(|part| {
            let id = Algo::Sha256.hash(part);
            w.add_block(ui, &id, part).expect("stored");
            all.insert(id.as_bytes().to_vec(), part.to_vec());
            id
        })
        .collect();
    let mut lists = Vec::new();
    if ids.len() > 1 {
        let list: Vec<u8> = ids.iter().flat_map(|i| i.as_bytes().to_vec()).collect();
        let id = Algo::Sha256.hash(&list);
        w.add_list(ui, &id, &list).expect("stored");
        all.insert(id.as_bytes().to_vec(), list);
        lists.push(id);
    }
    Content {
        hash: Some(hash),
        size: len as u64,
        block: None,
        lists,
    }
}

const TIME: i64 = 1_700_000_000;

/// Three versions, each with blocks in a volume of its own: files of numbers, of which those from 50 on have many blocks.
const VERSIONS: [&[u64]; 3] = [&[50, 1, 2], &[50, 2, 3], &[3, 51, 4]];

fn path(n: u64) -> String {
    format!("/f{n}")
}

fn build(folder: &Path, tmp: &Tmp, ui: &mut Ui) -> Stored {
    let mut all = Stored::new();
    for (i, files) in (0i64..).zip(VERSIONS) {
        let plan = Rc::default();
        let mut set = set(folder, &plan, tmp, ui);
        let permit = set.permit(false).expect("may write");
        let mut w = Writer::begin(&mut set, permit, WRITE).expect("begins");
        let mut run = RunWriter::new(tmp);
        let mut records = Vec::new();
        for &n in files {
            let len = if n >= 50 { 3000 } else { 400 };
            let entry = Entry {
                kind: EntryKind::File,
                path: path(n).into_bytes(),
                time: Some(Timestamp(TIME)),
                content: Some(store(&mut w, ui, &mut all, n, len)),
                meta: Some(store(&mut w, ui, &mut all, 1000 + n, 100)),
            };
            let mut record = Vec::new();
            let stamp = Stamp::default();
            let extents = Extents::default();
            Record {
                entry,
                stamp,
                extents,
            }
            .encode(&mut record);
            records.push(record);
        }
        records.sort();
        for record in &records {
            run.push(record).expect("pushed");
        }
        let run = run.finish().expect("a run");
        add(&mut w, ui, &run, Timestamp(TIME + 100 * i)).expect("added");
        w.finish(ui).expect("finished");
    }
    all
}

fn files(folder: &Path, word: &str) -> Vec<String> {
    let names = fs::read_dir(folder).expect("list").map(|e| {
        let name = e.expect("entry").file_name();
        name.into_string().expect("text")
    });
    let mut found: Vec<String> = names.filter(|n| n.contains(word)).collect();
    found.sort();
    found
}

/// Calls `each` with name and content of every entry of an archive.
fn unzip(path: &Path, each: &mut dyn FnMut(&[u8], Vec<u8>)) {
    let spool = Spool::adopt(File::open(path).expect("there"), "read it");
    let zip = ZipReader::open(&spool).expect("an archive");
    let mut inflater = Inflater::new();
    zip.entries(&mut |name, entry| {
        let mut data = Vec::new();
        let mut reader = zip.reader(entry, &mut inflater)?;
        reader.read_to_end(&mut data).expect("whole");
        each(name, data);
        Ok(())
    })
    .expect("entries");
}

/// What a folder holds, read without the set: the ids that indexes describe, and the paths of the versions whose every block
/// is among them. Every dindex describes a dblock that is there, to the block.
fn look(folder: &Path, what: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut ids: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut lists = Stored::new();
    for name in files(folder, ".dindex.") {
        unzip(
            &folder.join(&name),
            &mut |entry, data| match parse_index_entry(entry) {
                Some(IndexEntry::Vol(dblock)) => {
                    let mut listed = BTreeSet::new();
                    read_vol(&mut data.as_slice(), &mut |hash, _| {
                        listed.insert(hash.as_bytes().to_vec());
                        Ok(())
                    })
                    .expect("a list");
                    let mut held = BTreeSet::new();
                    let dblock = folder.join(dblock);
                    assert!(dblock.exists(), "{what}: {name} names {dblock:?}");
                    unzip(&dblock, &mut |entry, data| {
                        if let Some(id) = parse_block_name(entry) {
                            assert_eq!(Algo::Sha256.hash(&data), id, "{what}");
                            held.insert(id.as_bytes().to_vec());
                            lists.insert(id.as_bytes().to_vec(), data);
                        }
                    });
                    assert_eq!(listed, held, "{what}: {name}");
                    ids.extend(listed);
                }
                Some(IndexEntry::List(id)) => {
                    assert_eq!(Algo::Sha256.hash(&data), id, "{what}");
                }
                _ => assert_eq!(entry, b"manifest"),
            },
        );
    }
    let mut versions = Vec::new();
    for name in files(folder, ".dlist.") {
        let (mut paths, mut whole) = (BTreeSet::new(), true);
        unzip(&folder.join(&name), &mut |entry, data| {
            if entry != b"filelist.json" {
                return;
            }
            read_list(&mut data.as_slice(), &mut |e| {
                paths.insert(String::from_utf8_lossy(&e.path).into_owned());
                for content in e.content.iter().chain(&e.meta) {
                    let single = content.single(true).map(|id| id.as_bytes().to_vec());
                    let members = content.lists.iter().flat_map(|list| {
                        let list = list.as_bytes().to_vec();
                        let data = lists.get(&list).cloned().unwrap_or_default();
                        let members: Vec<_> = data.chunks(32).map(<[u8]>::to_vec).collect();
                        [list].into_iter().chain(members)
                    });
                    whole &= single
                        .into_iter()
                        .chain(members)
                        .all(|id| ids.contains(&id));
                }
                Ok(())
            })
            .expect("a list");
        });
        if whole {
            versions.push((name, paths));
        }
    }
    versions
}

fn paths(numbers: &[u64]) -> BTreeSet<String> {
    numbers.iter().map(|&n| path(n)).collect()
}

#[path = "cases_tests.rs"]
mod cases;
#[path = "needs_tests.rs"]
mod needs;
#[path = "others_tests.rs"]
mod others;
