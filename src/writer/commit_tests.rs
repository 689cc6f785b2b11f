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
use crate::dest::{Body, Destination, GetFacts, Listed, RemoteFile, Sink};
use crate::format::crc32::Crc32;
use crate::format::deflate::Inflater;
use crate::format::filelist::{Content, EntryKind, read_list};
use crate::format::index::{IndexEntry, parse_block_name, parse_index_entry, read_vol};
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
    changed: Vec<String>,
}

struct Meddled {
    inner: Box<dyn Destination>,
    plan: Rc<RefCell<Plan>>,
}

impl Meddled {
    fn change(&mut self, what: &str, name: &str) -> Done<()> {
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
    fn list(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let plan = self.plan.borrow().clone();
        self.inner.list(&mut |item| match item {
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

    fn get(&mut self, name: &str, from: u64, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, from, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.change("put", name)?;
        self.inner.put(name, body)
    }

    fn refuses_to_replace(&self) -> bool {
        self.inner.refuses_to_replace()
    }

    fn put_is_proof(&self) -> bool {
        self.inner.put_is_proof()
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
            Record { entry, stamp }.encode(&mut record);
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

/// Copies what `needed` files use out of all old volumes, and retires those.
fn compact(w: &mut Writer<'_>, ui: &mut Ui, all: &Stored, needed: &[&[u64]]) {
    let mut wanted = Vec::new();
    for &n in needed.iter().copied().flatten() {
        let data = block(n, if n >= 50 { 3000 } else { 400 });
        let ids: Vec<Hash> = data.chunks(1024).map(|p| Algo::Sha256.hash(p)).collect();
        if ids.len() > 1 {
            let list: Vec<u8> = ids.iter().flat_map(|i| i.as_bytes().to_vec()).collect();
            let id = Algo::Sha256.hash(&list);
            w.copy_list(&id, &list).expect("a copy");
            wanted.push(id);
        }
        wanted.extend(ids);
        wanted.push(Algo::Sha256.hash(&block(1000 + n, 100)));
    }
    w.index(ui).expect("an index");
    for id in wanted {
        let data = all.get(id.as_bytes()).expect("stored");
        let packed = Packed {
            method: 0,
            crc: Crc32::of(data),
            packed_len: data.len() as u64,
            size: data.len() as u64,
        };
        w.copy_block(ui, &id, &packed, &mut data.as_slice())
            .expect("copied");
    }
    for no in 0..w.set.volumes().dblock_count() {
        w.retire(Retired::Dblock(no)).expect("retired");
    }
    for no in 0..u32::try_from(w.set.volumes().dindex_count()).expect("few") {
        w.retire(Retired::Dindex(no)).expect("retired");
        w.retire(Retired::Dindex(no)).expect("retired");
    }
}

/// The two commits that are tried, and what has to be left of each version, oldest first.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Case {
    DropOldest,
    PurgeFile,
}

impl Case {
    /// Files of each version afterwards; `None` for a version that goes.
    fn after(self) -> [Option<Vec<u64>>; 3] {
        VERSIONS.map(|files| match self {
            Case::DropOldest if files == VERSIONS[0] => None,
            Case::DropOldest => Some(files.to_vec()),
            Case::PurgeFile => Some(files.iter().copied().filter(|&n| n != 50).collect()),
        })
    }

    fn run(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Result<Committed> {
        let tmp = Tmp::open(None)?;
        let mut set = set(folder, plan, &tmp, ui);
        set.learn_params(ui)?;
        let permit = set.permit(false)?;
        let mut w = Writer::begin(&mut set, permit, WRITE)?;
        let needed: Vec<Vec<u64>> = self.after().into_iter().flatten().collect();
        let needed: Vec<&[u64]> = needed.iter().map(Vec::as_slice).collect();
        compact(&mut w, ui, all, &needed);
        let done = match self {
            Case::DropOldest => {
                let times: Vec<Timestamp> = w.set.versions().collect();
                let oldest: Vec<usize> = (0..times.len())
                    .filter(|&no| times[no] == Timestamp(TIME))
                    .collect();
                w.commit(ui, List::Drop(&oldest))?
            }
            Case::PurgeFile => {
                let times: Vec<Timestamp> = w.set.versions().collect();
                let old = |no: &usize| times[*no].0 % 100 == 0 && times[*no].0 < TIME + 200;
                let next = |no: usize| Timestamp(times[no].0 + 1);
                // What a run before wrote again has only to go.
                for no in (0..times.len()).filter(old) {
                    if times.contains(&next(no)) {
                        w.retire(Retired::Dlist(no))?;
                    }
                }
                let versions: Vec<Rewrite> = (0..times.len())
                    .filter(old)
                    .filter(|&no| !times.contains(&next(no)))
                    .map(|old| Rewrite {
                        old,
                        time: next(old),
                    })
                    .collect();
                let mut judge = |_: usize, e: &Entry| {
                    Ok(match e.path.as_slice() {
                        b"/f50" => Fate::Drop,
                        _ => Fate::Keep,
                    })
                };
                w.commit(
                    ui,
                    List::Rewrite {
                        versions: &versions,
                        judge: &mut judge,
                    },
                )?
            }
        };
        let state = w.state_after()?;
        w.finish(ui)?;
        assert_eq!(set.state(), state);
        if plan.borrow().lag.is_none() {
            assert_eq!(set.state_again(ui)?, state, "{self:?}");
        }
        Ok(done)
    }

    /// Every version that was to be kept is there, in its old form or the new one.
    fn check(self, folder: &Path, what: &str) {
        let there = look(folder, what);
        for (before, after) in VERSIONS.iter().zip(self.after()) {
            let Some(after) = after else { continue };
            let (old, new) = (paths(before), paths(&after));
            assert!(
                there.iter().any(|(_, p)| *p == old || *p == new),
                "{what}: {before:?} is not whole"
            );
        }
    }

    fn check_end(self, folder: &Path, what: &str) {
        let there: Vec<_> = look(folder, what).into_iter().map(|v| v.1).collect();
        let want: Vec<_> = self
            .after()
            .into_iter()
            .flatten()
            .map(|f| paths(&f))
            .collect();
        assert_eq!(there, want, "{what}");
        assert_eq!(
            files(folder, ".dblock.").len(),
            files(folder, ".dindex.").len()
        );
    }
}

fn copy(from: &Path, to: &Path) {
    for name in files(from, ".zip") {
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
}

#[test]
fn a_commit_that_ends_after_any_request_leaves_every_kept_version_whole() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    for case in [Case::DropOldest, Case::PurgeFile] {
        case.check(&base.0, "before");
        // Stopped, as if killed; failing; refused.
        for class in [Class::Stopped, Class::Local, Class::Auth] {
            let mut whole = false;
            for n in 0..60 {
                let folder = Folder::new();
                copy(&base.0, &folder.0);
                let plan = Rc::new(RefCell::new(Plan {
                    cut: Some((n, class)),
                    ..Plan::default()
                }));
                let mut ui = Ui::silent();
                let tried = case.run_or_fail(&folder.0, &all, &plan, &mut ui);
                let what = format!("{case:?} {class:?} after {n}");
                case.check(&folder.0, &what);
                let changed = u32::try_from(plan.borrow().changed.len()).expect("few");
                let left = plan.borrow().cut.map_or(0, |c| c.0);
                assert_eq!(changed + left, n, "{what}");
                if left > 0 {
                    whole = true;
                    case.check_end(&folder.0, &what);
                    assert_eq!(
                        (tried.map(|d| d.left), ui.warnings()),
                        (Some(0), 0),
                        "{what}"
                    );
                    break;
                }
                // The next run ends it.
                let plan = Rc::default();
                if let Some(done) = tried.filter(|d| d.left > 0) {
                    assert!(done.stopped || ui.warnings() > 0, "{what}");
                    let rest = case.again(&folder.0, &all, &plan, &mut Ui::silent());
                    assert_eq!(rest.left, 0, "{what}");
                    case.check(&folder.0, &what);
                }
            }
            assert!(whole, "{case:?}: too many requests");
        }
    }
}

impl Case {
    /// `None` when it failed before anything was to be deleted.
    fn run_or_fail(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Option<Committed> {
        self.run(folder, all, plan, ui).ok()
    }

    /// The same once more on what was left.
    fn again(
        self,
        folder: &Path,
        all: &Stored,
        plan: &Rc<RefCell<Plan>>,
        ui: &mut Ui,
    ) -> Committed {
        self.run(folder, all, plan, ui).expect("goes well")
    }
}

/// What happens to deletions: all other names go, what depends on one that stays stays, too.
#[test]
fn what_cannot_be_deleted_stays_with_all_that_it_needs() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    // Deleted: dlists, dindexes, dblocks of 1, 3, 3; left; locked; warnings.
    for (word, class, deleted, left, locked, warnings) in [
        ("", Class::NotFound, [1, 3, 3], 0, 0, 0),
        (".dlist.", Class::Local, [0, 0, 0], 7, 0, 2),
        (".dlist.", Class::Locked, [0, 0, 0], 7, 1, 0),
        (".dindex.", Class::Local, [1, 0, 0], 6, 0, 4),
        (".dblock.", Class::Unsupported, [1, 3, 0], 3, 0, 4),
        (".dblock.", Class::Locked, [1, 3, 0], 3, 3, 0),
        (".dindex.", Class::Auth, [1, 0, 0], 6, 0, 1),
        ("", Class::Auth, [0, 0, 0], 7, 0, 1),
    ] {
        let folder = Folder::new();
        copy(&base.0, &folder.0);
        let plan = Rc::new(RefCell::new(Plan {
            stuck: vec![(word, class)],
            ..Plan::default()
        }));
        if class == Class::NotFound {
            plan.borrow_mut().stuck.clear();
        }
        let mut ui = Ui::silent();
        let done = Case::DropOldest
            .run(&folder.0, &all, &plan, &mut ui)
            .expect("a commit");
        let what = format!("{word} {class:?}");
        assert_eq!(done.deleted, deleted, "{what}");
        assert_eq!((done.left, done.locked), (left, locked), "{what}");
        assert_eq!(ui.warnings(), warnings, "{what}: {:?}", ui.messages());
        if class == Class::Auth {
            let line = &ui.messages()[0];
            assert!(
                line.contains("the right to delete files is lacking"),
                "{line}"
            );
        }
        Case::DropOldest.check(&folder.0, &what);
    }
}

/// A listing that does not show what was sent, or shows what others sent: nothing is deleted, in one line.
#[test]
fn nothing_is_deleted_on_a_listing_that_lags_or_shows_strangers() {
    let (base, tmp) = (Folder::new(), Tmp::open(None).expect("a folder"));
    let all = build(&base.0, &tmp, &mut Ui::silent());
    for case in [Case::DropOldest, Case::PurgeFile] {
        for word in [".dblock.", ".dindex.", ".dlist."] {
            if case == Case::DropOldest && word == ".dlist." {
                continue;
            }
            let folder = Folder::new();
            copy(&base.0, &folder.0);
            let plan = Rc::new(RefCell::new(Plan {
                lag: Some(word),
                ..Plan::default()
            }));
            let mut ui = Ui::silent();
            let done = case.again(&folder.0, &all, &plan, &mut ui);
            assert_eq!(done.deleted, [0; 3]);
            assert!(done.left > 0 && ui.warnings() == 1, "{:?}", ui.messages());
            let deletes = |c: &String| c.starts_with("delete ");
            assert!(!plan.borrow().changed.iter().any(deletes));
            case.check(&folder.0, word);
        }
    }
}

#[path = "needs_tests.rs"]
mod needs;
