//! The wrapper against a destination that fails by script.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read as _, Write as _};
use std::rc::Rc;

use super::*;
use crate::base::error::Kind;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::{About, Body, GetFacts, Sink, Span, WantedDigests};

/// What the next call of an operation does.
#[derive(Clone, Copy)]
enum Step {
    /// Fails at once.
    Fail(Class),
    /// Transfers so many bytes of the body, then fails.
    Cut(u64, Class),
    /// Does all of it, then fails.
    Lost(Class),
    /// `get` sends the whole file although an offset was asked for.
    Whole,
    /// `put` stores other bytes, `get` sends one more than it has.
    Wrong,
    /// `put` finds that another program has just stored a file of the name.
    Race,
    /// `put` succeeds but stores nothing.
    Nothing,
    /// `get` ends early without an error.
    Short(u64),
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    steps: VecDeque<(&'static str, Step)>,
    log: Vec<String>,
    folder: bool,
    atomic: bool,
    /// `put` itself replaces nothing that is to be new.
    refuses: bool,
    proof: bool,
    waits: Vec<u64>,
    listed_size_off: u64,
}

impl State {
    fn next(&mut self, operation: &str) -> Option<Step> {
        let at = self.steps.iter().position(|(o, _)| *o == operation)?;
        self.steps.remove(at).map(|(_, step)| step)
    }
}

#[derive(Clone)]
struct Double(Rc<RefCell<State>>);

type Done<T> = std::result::Result<T, Fault>;

fn fault(class: Class) -> Fault {
    Fault::new(class, "scripted fault with hunter22 in it")
}

impl Destination for Double {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let mut s = self.0.borrow_mut();
        s.log.push("list".to_owned());
        if !s.folder {
            return Err(fault(Class::FolderMissing));
        }
        let step = s.next("list");
        if let Some(Step::Fail(class)) = step {
            return Err(fault(class));
        }
        for (n, (name, data)) in s.files.iter().enumerate() {
            if let Some(Step::Cut(after, class)) = step
                && n as u64 == after
            {
                return Err(fault(class));
            }
            each(Listed::Entry(RemoteFile {
                name: name.clone(),
                size: Some(data.len() as u64 + s.listed_size_off),
                modified: None,
                is_folder: name == "folder",
                is_archived: false,
            }))?;
        }
        Ok(())
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let mut s = self.0.borrow_mut();
        s.log.push("stat".to_owned());
        if let Some(Step::Fail(class)) = s.next("stat") {
            return Err(fault(class));
        }
        match s.files.get(name) {
            Some(data) => Ok(RemoteFile {
                name: name.to_owned(),
                size: Some(data.len() as u64),
                modified: None,
                is_folder: false,
                is_archived: false,
            }),
            None => Err(fault(Class::NotFound)),
        }
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let mut s = self.0.borrow_mut();
        s.log.push(match span.len {
            Some(len) => format!("get {}+{len}", span.from),
            None => format!("get {}", span.from),
        });
        let step = s.next("get");
        let data = s.files.get(name).ok_or_else(|| fault(Class::NotFound))?;
        let place = |position: u64| usize::try_from(position).expect("small");
        let end = place(span.end().min(data.len() as u64));
        let part = data.get(place(span.from)..end);
        let mut rest = part.ok_or_else(|| fault(Class::Protocol))?;
        let facts = GetFacts {
            total: Some(data.len() as u64),
            sha1: None,
        };
        match step {
            Some(Step::Fail(class)) => return Err(fault(class)),
            Some(Step::Cut(n, class)) => {
                into.write_all(&rest[..place(n)]).map_err(Fault::local)?;
                return Err(fault(class));
            }
            Some(Step::Short(n)) => {
                into.write_all(&rest[..place(n)]).map_err(Fault::local)?;
                return Ok(facts);
            }
            Some(Step::Whole) => {
                into.restart().map_err(Fault::local)?;
                rest = &data[..end];
            }
            Some(Step::Wrong) => {
                into.write_all(b"!").map_err(Fault::local)?;
            }
            _ => {}
        }
        into.write_all(rest).map_err(Fault::local)?;
        Ok(facts)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let mut s = self.0.borrow_mut();
        s.log.push("put".to_owned());
        if !s.folder {
            return Err(fault(Class::FolderMissing));
        }
        let step = s.next("put");
        if let Some(Step::Race) = step {
            s.files.insert(name.to_owned(), b"theirs".to_vec());
        }
        if let Some(Step::Fail(class)) = step {
            return Err(fault(class));
        }
        if body.is_new() && s.refuses && s.files.contains_key(name) {
            return Err(fault(Class::Exists));
        }
        let limit = match step {
            Some(Step::Cut(n, _)) => n,
            _ => u64::MAX,
        };
        let mut data = Vec::new();
        body.take(limit)
            .read_to_end(&mut data)
            .map_err(Fault::local)?;
        match step {
            Some(Step::Cut(_, class)) => {
                if !s.atomic {
                    s.files.insert(name.to_owned(), data);
                }
                Err(fault(class))
            }
            Some(Step::Lost(class)) => {
                s.files.insert(name.to_owned(), data);
                Err(fault(class))
            }
            Some(Step::Wrong) => {
                s.files.insert(name.to_owned(), b"other".to_vec());
                Ok(())
            }
            Some(Step::Nothing) => Ok(()),
            _ => {
                s.files.insert(name.to_owned(), data);
                Ok(())
            }
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let mut s = self.0.borrow_mut();
        s.log.push("delete".to_owned());
        if let Some(Step::Fail(class)) = s.next("delete") {
            return Err(fault(class));
        }
        match s.files.remove(name) {
            Some(_) => Ok(()),
            None => Err(fault(Class::NotFound)),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        let mut s = self.0.borrow_mut();
        s.log.push("mkdir".to_owned());
        s.folder = true;
        Ok(())
    }

    fn about(&self) -> About {
        let state = self.0.borrow();
        About {
            wants: WantedDigests {
                sha1: false,
                md5: true,
            },
            atomic_put: state.atomic,
            refuses_to_replace: state.refuses,
            put_is_proof: state.proof,
            read_only: None,
            limits_lists: false,
        }
    }

    fn describe(&self) -> String {
        "test://host/folder".to_owned()
    }
}

struct Bench {
    state: Rc<RefCell<State>>,
    remote: Remote,
    ui: Ui,
    tmp: Tmp,
}

/// A destination with one file `f` of 3 MiB, the given options and the script.
fn bench(options: &[(&str, &str)], steps: Vec<(&'static str, Step)>) -> Bench {
    let state = Rc::new(RefCell::new(State {
        folder: true,
        atomic: true,
        steps: steps.into(),
        ..State::default()
    }));
    let data = subject::bytes(3 << 20);
    state.borrow_mut().files.insert("f".to_owned(), data);
    let mut given = Options::default();
    for (name, value) in options {
        let opt = OPTIONS.iter().find(|o| o.is_named(name)).expect("option");
        given.set(opt, value).expect("value");
    }
    let mut redact = Redact::default();
    redact.add("hunter22", None);
    let mut remote = Remote::with(Box::new(Double(state.clone())), &given, redact, "test");
    let waits = state.clone();
    remote.sleep = Box::new(move |time, _| waits.borrow_mut().waits.push(time.as_secs()));
    Bench {
        state,
        remote,
        ui: Ui::new(Volume::Quiet, false, Some(false)),
        tmp: Tmp::open(None).expect("tmp"),
    }
}

impl Bench {
    fn get(&mut self, size: Option<u64>) -> Result<Vec<u8>> {
        let mut spool = Spool::new(&self.tmp)?;
        spool.write_all(b"left over").expect("write");
        self.remote.get(&mut self.ui, "f", size, &mut spool)?;
        let mut data = Vec::new();
        spool.read_to_end(&mut data).expect("read");
        Ok(data)
    }

    fn put(&mut self, data: &[u8]) -> Result<()> {
        let mut spool = Spool::new(&self.tmp)?;
        spool.write_all(data).expect("write");
        let sha = Algo::Sha256.hash(data).into();
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        remote.put(&mut self.ui, "new", &mut spool, &sha)
    }

    /// `None` when it failed, else whether the name was free.
    fn put_new(&mut self, data: &[u8]) -> Option<bool> {
        let mut spool = Spool::new(&self.tmp).expect("spool");
        spool.write_all(data).expect("write");
        let sha = Algo::Sha256.hash(data).into();
        let mut remote = RemoteMut::new(&mut self.remote, &Permit::to_write());
        remote.put_new(&mut self.ui, "new", &mut spool, &sha).ok()
    }

    fn log(&self) -> String {
        self.state.borrow().log.join(",")
    }

    fn waits(&self) -> Vec<u64> {
        self.state.borrow().waits.clone()
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state.borrow().files.get(name).cloned()
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn an_interrupted_download_goes_on_where_it_stopped() {
    let mut b = bench(
        &[],
        vec![
            ("get", Step::Cut(100, Class::Transient)),
            ("get", Step::Cut(200, Class::Transient)),
        ],
    );
    assert_eq!(b.get(Some(3 * MIB)).expect("got"), b.file("f").expect("f"));
    assert_eq!(b.log(), "get 0,get 100,get 300");
    assert_eq!(b.waits(), [10, 10]);
    let stats = *b.remote.stats();
    assert_eq!((stats.gets, stats.retries, stats.files_down), (3, 2, 1));
    assert_eq!(stats.bytes_down, 3 * MIB);
}

#[test]
fn a_slow_line_may_fail_for_ever_as_long_as_it_moves() {
    let cuts = |n| {
        (0..2)
            .map(|_| ("get", Step::Cut(n, Class::Transient)))
            .collect()
    };
    let mut b = bench(&[("number-of-retries", "1")], cuts(MIB));
    b.get(Some(3 * MIB)).expect("got");
    let mut b = bench(&[("number-of-retries", "1")], cuts(MIB - 1));
    let e = b.get(Some(3 * MIB)).expect_err("too slow");
    assert_eq!(e.kind(), Kind::Busy);
    let text = e.to_string();
    assert!(
        text.starts_with("cannot download f from test://host/folder: scripted"),
        "{text}"
    );
    assert!(
        !text.contains("hunter22") && text.contains("2 attempts"),
        "{text}"
    );
}

#[test]
fn a_server_that_ignores_the_offset_starts_the_file_again() {
    let mut b = bench(
        &[],
        vec![
            ("get", Step::Cut(100, Class::Transient)),
            ("get", Step::Whole),
        ],
    );
    assert_eq!(b.get(None).expect("got"), b.file("f").expect("f"));
}

#[test]
fn a_short_download_is_continued() {
    let mut b = bench(&[], vec![("get", Step::Short(7))]);
    assert_eq!(b.get(None).expect("got"), b.file("f").expect("f"));
    assert_eq!(b.log(), "get 0,get 7");
}

#[test]
fn wrong_lengths_are_fetched_once_more_then_damage() {
    let mut b = bench(&[], vec![("get", Step::Wrong)]);
    assert_eq!(b.get(Some(3 * MIB)).expect("got"), b.file("f").expect("f"));
    for size in [3 * MIB - 1, 3 * MIB + 1] {
        let mut b = bench(&[], vec![]);
        let e = b.get(Some(size)).expect_err("wrong");
        assert_eq!(e.kind(), Kind::Damaged);
        assert!(e.to_string().contains(&size.to_string()), "{e}");
        assert_eq!(b.log(), "get 0,get 0");
    }
}

#[test]
fn a_listed_file_that_is_gone_is_told_as_such() {
    let mut b = bench(&[], vec![]);
    b.state.borrow_mut().files.clear();
    let e = b.get(Some(1)).expect_err("gone");
    assert_eq!(e.kind(), Kind::Missing);
    assert!(e.to_string().contains("listed but cannot be read"), "{e}");
    assert_eq!(b.waits(), [10; 5]);
    assert_eq!(b.log(), ["get 0"; 6].join(","));
    // A destination that lost many does not cost all the waits for every one.
    for waits in [10, 15, 16, 17] {
        let _gone = b.get(Some(1)).expect_err("gone");
        assert_eq!(b.waits().len(), waits);
    }
    for retries in ["0", "2"] {
        let mut b = bench(&[("number-of-retries", retries)], vec![]);
        b.state.borrow_mut().files.clear();
        let _gone = b.get(None).expect_err("gone");
        assert_eq!(b.waits().len().to_string(), retries);
    }
}

#[test]
#[cfg(feature = "dest-file")]
fn what_is_gone_from_a_local_folder_is_not_waited_for() {
    let tmp = Tmp::open(None).expect("a folder");
    let folder = std::env::temp_dir().join(format!("duplet-gone-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("made");
    let (url, mut ui) = (format!("file://{}", folder.display()), Ui::silent());
    let mut remote = Remote::open(&url, &Options::default(), &mut ui).expect("opened");
    remote.sleep = Box::new(|wait, _| panic!("waits {wait:?}"));
    let mut spool = Spool::new(&tmp).expect("spool");
    for what in ["listed but cannot be read: not found", "the folder"] {
        let e = remote.get(&mut ui, "volume", Some(1), &mut spool);
        let e = e.expect_err("gone").to_string();
        assert!(e.contains(what), "{e}");
        let _gone = std::fs::remove_dir(&folder);
    }
}

#[test]
fn a_listed_file_that_is_absent_for_a_moment_is_read_all_the_same() {
    for class in [Class::NotFound, Class::FolderMissing] {
        for (times, have) in [(1, 0), (3, 0), (5, 0), (2, 70_000)] {
            let mut steps = Vec::new();
            if have > 0 {
                steps.push(("get", Step::Cut(have, Class::Transient)));
            }
            steps.extend((0..times).map(|_| ("get", Step::Fail(class))));
            for size in [Some(3 * MIB), None] {
                let mut b = bench(&[], steps.clone());
                assert_eq!(b.get(size).expect("came back"), b.file("f").expect("f"));
                assert_eq!(b.waits().len(), times + usize::from(have > 0));
            }
        }
    }
}

#[test]
fn what_must_be_new_replaces_nothing_and_knows_its_own() {
    // What is there before, what happens to the uploads, whether the destination refuses by itself and keeps parts; then
    // whether ours got the name and what has it.
    let ours: &[u8] = b"ourdata";
    let lost = || ("put", Step::Lost(Class::Transient));
    let cut = || ("put", Step::Cut(3, Class::Transient));
    type Row<'a> = (Option<&'a [u8]>, Vec<(&'static str, Step)>, bool, &'a [u8]);
    let rows: Vec<Row> = vec![
        (None, vec![], true, ours),
        (Some(b"theirs!"), vec![], false, b"theirs!"),
        (Some(b"shorter"), vec![lost()], false, b"shorter"),
        (
            Some(b"much longer than ours"),
            vec![],
            false,
            b"much longer than ours",
        ),
        (Some(ours), vec![], true, ours),
        (None, vec![lost()], true, ours),
        (None, vec![cut()], true, ours),
        (None, vec![cut(), lost()], true, ours),
        (
            None,
            vec![("put", Step::Fail(Class::Transient)), lost()],
            true,
            ours,
        ),
    ];
    for refuses in [true, false] {
        for atomic in [true, false] {
            for proof in [true, false] {
                for (at, (there, steps, got, want)) in rows.iter().enumerate() {
                    let mut b = bench(&[], steps.clone());
                    {
                        let mut s = b.state.borrow_mut();
                        (s.refuses, s.atomic, s.proof) = (refuses, atomic, proof);
                        if let Some(data) = there {
                            s.files.insert("new".to_owned(), data.to_vec());
                        }
                    }
                    let what = format!("row {at}, {refuses} {atomic} {proof}");
                    assert_eq!(b.put_new(ours), Some(*got), "{what}");
                    assert_eq!(b.file("new").as_deref(), Some(*want), "{what}");
                }
            }
        }
    }
    // Between the look and the upload.
    let mut b = bench(&[], vec![("put", Step::Race)]);
    b.state.borrow_mut().refuses = true;
    assert_eq!(b.put_new(ours), Some(false));
    assert_eq!(b.file("new").as_deref(), Some(&b"theirs"[..]));
}

#[test]
fn a_listing_is_whole_or_restarted_and_hostile_names_are_dropped() {
    let mut b = bench(&[], vec![("list", Step::Cut(2, Class::Transient))]);
    for name in ["..", "a/b", "x\ny", "folder", "good"] {
        let files = &mut b.state.borrow_mut().files;
        files.insert(name.to_owned(), vec![1]);
    }
    let mut names = Vec::new();
    let mut restarts = 0;
    let there = b.remote.list(&mut b.ui, &mut |item| {
        match item {
            Listed::Restart => {
                restarts += 1;
                names.clear();
            }
            Listed::Entry(file) => names.push(file.name),
        }
        Ok(())
    });
    assert!(there.expect("listed"));
    assert_eq!(
        (names, restarts),
        (vec!["f".to_owned(), "good".to_owned()], 1)
    );
    assert_eq!(b.ui.warnings(), 1);
    assert!(
        b.ui.messages()[0].contains("lists 3 names"),
        "{:?}",
        b.ui.messages()
    );
    assert!(b.ui.messages()[0].contains("x\\ny"));
}

#[test]
fn the_callers_own_error_ends_a_listing_at_once() {
    let mut b = bench(&[], vec![]);
    let e = b
        .remote
        .list(&mut b.ui, &mut |_| Err(Error::usage("enough")))
        .expect_err("given up");
    assert_eq!(e.to_string(), "enough");
    assert_eq!(b.log(), "list");
}

#[test]
fn a_missing_folder_is_no_error_for_a_listing_and_made_for_an_upload() {
    let mut b = bench(&[], vec![]);
    b.state.borrow_mut().folder = false;
    let there = b.remote.list(&mut b.ui, &mut |_| Ok(()));
    assert!(!there.expect("no error"));
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "list,put,mkdir,put,stat");
    b.state.borrow_mut().folder = false;
    let e = b.put(b"data").expect_err("vanished");
    assert_eq!(e.kind(), Kind::Missing);

    let mut b = bench(&[("disable-autocreate-folder", "")], vec![]);
    b.state.borrow_mut().folder = false;
    assert_eq!(b.put(b"data").expect_err("missing").kind(), Kind::Missing);
    assert_eq!(b.log(), "put");
}

#[test]
fn an_upload_is_seen_before_it_counts() {
    let mut b = bench(&[], vec![]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat");
    let mut b = bench(&[], vec![]);
    b.state.borrow_mut().proof = true;
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put");
    let mut b = bench(&[("disable-upload-verify", "")], vec![]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put");
}

#[test]
fn an_upload_of_wrong_length_is_removed_and_sent_once_more() {
    let mut b = bench(&[], vec![("put", Step::Wrong)]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat,delete,put,stat");
    let mut b = bench(&[], vec![("put", Step::Wrong), ("put", Step::Wrong)]);
    let e = b.put(b"data").expect_err("wrong twice");
    assert_eq!(e.kind(), Kind::Damaged);
    assert!(e.to_string().contains("5 bytes of it instead of 4"), "{e}");
    assert_eq!(b.file("new"), None);
}

#[test]
fn a_file_that_shows_late_is_waited_for() {
    let late = || ("stat", Step::Fail(Class::NotFound));
    let mut b = bench(&[], vec![late(), late()]);
    b.put(b"data").expect("stored");
    assert_eq!(b.waits(), [1, 2]);
    let mut b = bench(&[], vec![("put", Step::Nothing), ("put", Step::Nothing)]);
    let e = b.put(b"data").expect_err("never shown");
    assert_eq!(e.kind(), Kind::Damaged);
    assert_eq!(b.waits(), [1, 2, 4, 10, 1, 2, 4]);
}

#[test]
fn a_lost_reply_is_settled_by_looking() {
    let mut b = bench(&[], vec![("put", Step::Lost(Class::Transient))]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat");
    let mut b = bench(
        &[],
        vec![
            ("put", Step::Lost(Class::Transient)),
            ("stat", Step::Fail(Class::Transient)),
        ],
    );
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat,stat");
    assert_eq!(b.waits(), [10]);
}

#[test]
fn a_cut_upload_is_sent_again_and_parts_are_removed() {
    let cut = || ("put", Step::Cut(2, Class::Transient));
    let mut b = bench(&[], vec![cut()]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,put,stat");
    let mut b = bench(&[], vec![cut()]);
    b.state.borrow_mut().atomic = false;
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat,delete,put,stat");
    let mut b = bench(&[("retry-delay", "0")], (0..6).map(|_| cut()).collect());
    b.state.borrow_mut().atomic = false;
    let e = b.put(b"data").expect_err("never");
    assert_eq!(e.kind(), Kind::Busy);
    assert!(e.to_string().contains("6 attempts"), "{e}");
    assert_eq!(b.file("new"), None);
}

#[test]
fn resets_that_hide_a_refusal_are_seen_through() {
    let mut b = bench(
        &[],
        vec![
            ("put", Step::Cut(2, Class::Transient)),
            ("put", Step::Cut(2, Class::Transient)),
            ("stat", Step::Fail(Class::Auth)),
        ],
    );
    let e = b.put(b"data").expect_err("refused");
    assert_eq!(e.kind(), Kind::Credentials);
    assert_eq!(b.log(), "put,put,stat");
}

#[test]
fn final_faults_are_not_retried() {
    for (class, kind) in [
        (Class::Auth, Kind::Credentials),
        (Class::Full, Kind::NoSpace),
        (Class::TooBig, Kind::Unsupported),
        (Class::Tls, Kind::Tls),
    ] {
        let mut b = bench(&[], vec![("put", Step::Fail(class))]);
        assert_eq!(b.put(b"data").expect_err("final").kind(), kind);
        assert_eq!(b.log(), "put");
    }
}

#[test]
fn deletes_are_retried_and_missing_files_are_gone() {
    let mut b = bench(&[], vec![("delete", Step::Fail(Class::Transient))]);
    RemoteMut::new(&mut b.remote, &Permit::to_write())
        .delete(&mut b.ui, "f")
        .expect("gone");
    RemoteMut::new(&mut b.remote, &Permit::to_write())
        .delete(&mut b.ui, "f")
        .expect("still gone");
    assert_eq!(b.log(), "delete,delete,delete");
    assert_eq!(b.remote.stats().deletes, 3);
}

#[test]
fn uploads_can_be_looked_for_in_the_listing() {
    let mut b = bench(&[("list-verify-uploads", "")], vec![]);
    b.put(b"data").expect("stored");
    assert_eq!(b.log(), "put,stat,list");
    b.state.borrow_mut().listed_size_off = 1;
    assert_eq!(b.put(b"data").expect_err("off").kind(), Kind::Damaged);
}

#[test]
fn hostile_names_are_never_written() {
    let mut b = bench(&[], vec![]);
    let mut spool = Spool::new(&b.tmp).expect("spool");
    let sha = Algo::Sha256.hash(b"").into();
    let e =
        RemoteMut::new(&mut b.remote, &Permit::to_write()).put(&mut b.ui, "../x", &mut spool, &sha);
    assert_eq!(e.expect_err("refused").kind(), Kind::Usage);
    assert_eq!(b.log(), "");
}

#[test]
fn a_span_begins_again_when_what_came_is_not_to_be_trusted() {
    struct Parts(Vec<u8>, u32);
    impl std::io::Write for Parts {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            self.0.write(data)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Sink for Parts {
        fn restart(&mut self) -> std::io::Result<()> {
            self.0.clear();
            self.1 += 1;
            Ok(())
        }
    }
    for (steps, log, restarts) in [
        (vec![], "get 1000+500", 0),
        (vec![Step::Whole], "get 1000+500", 0),
        (
            vec![Step::Cut(100, Class::Transient), Step::Short(50)],
            "get 1000+500,get 1100+400,get 1150+350",
            0,
        ),
        (
            vec![Step::Cut(100, Class::Integrity)],
            "get 1000+500,get 1000+500",
            1,
        ),
        (
            vec![Step::Cut(9, Class::NotFound)],
            "get 1000+500,get 1009+491",
            0,
        ),
    ] {
        let steps = steps.into_iter().map(|step| ("get", step)).collect();
        let mut b = bench(&[], steps);
        let mut parts = Parts(Vec::new(), 0);
        let passed = b
            .remote
            .read_span(&mut b.ui, "f", 1000, 500, &mut parts)
            .expect(log);
        assert_eq!(parts.0, b.file("f").expect("f")[1000..1500], "{log}");
        assert_eq!((passed.len, passed.total), (500, Some(3 * MIB)));
        assert_eq!((b.log().as_str(), parts.1), (log, restarts));
    }
}
