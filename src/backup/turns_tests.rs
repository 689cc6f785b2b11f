//! A volume on its way gets its turns while the source is walked and nothing is packed.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::base::digest::Algo;
use crate::base::fault::Done;
use crate::base::opt::Options;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::base::transfer::{Flight, NextBytes};
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::remote::Remote;
use crate::select::{Case, FilterSet};
use crate::set::SetOptions;

/// Files without content.
const EMPTY: usize = 700;

/// A folder to which uploads never arrive before they are waited for; how often they had a turn until then.
struct Slow(Box<dyn Destination>, Rc<Cell<usize>>);

struct Going {
    turns: Rc<Cell<usize>>,
    waited: Cell<bool>,
}

impl Flight for Going {
    fn advance(&mut self, next: &mut NextBytes<'_>) -> bool {
        // One byte a turn, so that none is the last.
        let _ = next(&mut [0]);
        if !self.waited.get() {
            self.turns.set(self.turns.get() + 1);
        }
        self.waited.get()
    }

    fn wait(&self, _: Duration) {
        self.waited.set(true);
    }

    fn land(self: Box<Self>) -> bool {
        false
    }
}

impl Destination for Slow {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.0.list(start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.0.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.0.get(name, span, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.0.put(name, body)
    }

    fn launch(&mut self, _: &str, _: &mut dyn Body) -> Option<Box<dyn Flight>> {
        Some(Box::new(Going {
            turns: self.1.clone(),
            waited: Cell::new(false),
        }))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.0.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.0.create_folder()
    }

    fn about(&self) -> About {
        self.0.about()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let name = format!("duplet-turns-{}", rand::hex::<8>().expect("random"));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("dest")).expect("a folder");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Of a source with a volume's content at its beginning.
fn run_of(source: &Path) -> BackupOptions {
    let names = [source.to_str().expect("text").to_owned()];
    BackupOptions {
        sources: sources(&names, Path::new("/")).roots,
        stream: None,
        choice: Choice {
            own: None,
            filters: FilterSet::parse(&[], Case::Sensitive).expect("none"),
            symlinks: SymlinkPolicy::Store,
            hardlinks: HardlinkPolicy::All,
            exclude_attributes: Vec::new(),
            larger_than: None,
            ignore_names: Vec::new(),
            exclude_empty_folders: false,
            exclusion_attributes: false,
            one_file_system: false,
            named: Vec::new(),
            absent: Vec::new(),
        },
        rule: Rule::Metadata,
        skip_metadata: true,
        upload_unchanged: false,
        params: PARAMS,
        explicit: [false; 3],
    }
}

const PARAMS: Params = Params {
    block_size: 64 << 10,
    block_hash: Algo::Sha256,
    file_hash: Algo::Sha256,
    version: 2,
};

#[test]
fn each_entry_of_the_walk_is_a_turn() {
    let scratch = Scratch::new();
    let source = scratch.0.join("source");
    fs::create_dir_all(source.join("b")).expect("a folder");
    let mut data = Vec::new();
    for n in 0..40_000u32 {
        data.extend_from_slice(Algo::Sha256.hash(&n.to_le_bytes()).as_bytes());
    }
    fs::write(source.join("a"), &data).expect("written");
    for n in 0..EMPTY {
        fs::write(source.join(format!("b/{n}")), b"").expect("written");
    }
    let turns = Rc::new(Cell::new(0));
    let (mut ui, options) = (Ui::silent(), Options::default());
    let dest = scratch.0.join("dest");
    let remote = Remote::open(dest.to_str().expect("text"), &options, &mut ui).expect("opens");
    let remote = remote.inside(|inner| Box::new(Slow(inner, turns.clone())));
    let of_set = SetOptions::of_a_test(true);
    let tmp = Tmp::open(None).expect("a folder");
    let set = Set::open(remote, tmp, of_set, &mut ui, &mut |_, _| Ok(None));
    let mut set = set.expect("opens");
    let permit = set.permit(false).expect("may write");
    let write = WriteOptions {
        params: PARAMS,
        dblock_size: 1 << 20,
        level: 1,
        verify_listing: true,
        overlapped: true,
    };
    let report = run(&mut set, permit, &run_of(&source), write, &mut ui).expect("stored");
    assert_eq!(report.examined_files, EMPTY as u64 + 1);
    // What was packed has some dozens of blocks.
    assert!(turns.get() >= EMPTY, "{} turns", turns.get());
}
