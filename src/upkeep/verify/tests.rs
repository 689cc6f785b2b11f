//! Backups written by Duplicati, whole and harmed.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::dest::{Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::remote::Remote;
use crate::set::{Passphrase, SetOptions};

const ALL: VerifyOptions = VerifyOptions {
    amount: Amount::All,
    versions: Vec::new(),
    turn: 0,
    lists: ListsFrom::Dblocks,
    dlists: true,
    dblocks: true,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fixtures")
}

fn passphrase(name: &str) -> &'static str {
    match name {
        "four-versions-aes" => "correct horse battery staple",
        "compacted-aes" => "päss wörd 語",
        _ => "abc",
    }
}

fn verify(dest: &Path, passphrase: &str, options: &VerifyOptions) -> Result<VerifyReport> {
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let remote = Remote::open(dest.to_str().expect("text"), &Options::default(), &mut ui)?;
    verify_at(remote, passphrase, options, &mut ui)
}

fn verify_at(
    remote: Remote,
    passphrase: &str,
    options: &VerifyOptions,
    ui: &mut Ui,
) -> Result<VerifyReport> {
    let options_of_set = SetOptions::of_a_test(false);
    let secret = passphrase.to_owned();
    let mut set = Set::open(remote, Tmp::open(None)?, options_of_set, ui, &mut |_, _| {
        Ok(Some(Passphrase {
            secret: Secret::new(secret.clone()),
            whence: "a test".to_owned(),
        }))
    })?;
    set.remote().leave_out_unreadable();
    let mut report = VerifyReport::default();
    run(&mut set, options, ui, &mut report).map(|()| report)
}

fn said(report: &VerifyReport) -> Vec<String> {
    let line = |f: &Finding| format!("{} {} {}", f.status.word(), f.volume, f.what);
    report.findings.iter().map(line).collect()
}

#[test]
fn what_duplicati_wrote_is_clean() {
    for entry in fs::read_dir(fixtures()).expect("fixtures") {
        let name = entry
            .expect("entry")
            .file_name()
            .into_string()
            .expect("text");
        let dest = fixtures().join(&name).join("dest");
        if name == "gpg" || !dest.is_dir() {
            continue;
        }
        let report = verify(&dest, passphrase(&name), &ALL).expect(&name);
        assert_eq!(said(&report), Vec::<String>::new(), "{name}");
        assert!(report.dlists > 0 && report.dblocks > 0, "{name}");
        assert!(report.blocks_hashed > 0 && report.entries > 0, "{name}");
        assert_eq!(
            (report.lists_unchecked, report.unindexed_unread),
            (0, 0),
            "{name}"
        );
    }
}

/// A destination of Duplicati's to harm, removed when dropped.
struct Copied(PathBuf);

impl Copied {
    fn new(name: &str) -> Copied {
        let random = crate::base::rand::hex::<8>().expect("random");
        let path = std::env::temp_dir().join(format!("duplet-verify-{random}"));
        fs::create_dir(&path).expect("a folder");
        let from = fixtures().join(name).join("dest");
        for entry in fs::read_dir(from).expect("fixture") {
            let entry = entry.expect("entry");
            fs::copy(entry.path(), path.join(entry.file_name())).expect("copied");
        }
        Copied(path)
    }

    /// Names of volumes of a kind, in order.
    fn named(&self, kind: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("there");
        let names = entries.map(|e| e.expect("entry").file_name().into_string().expect("text"));
        let mut names: Vec<String> = names.filter(|n| n.contains(kind)).collect();
        names.sort();
        names
    }

    fn check(&self, name: &str, options: &VerifyOptions) -> VerifyReport {
        verify(&self.0, passphrase(name), options).expect(name)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sets of Duplicati's with index volumes, encrypted and not.
const SETS: [&str; 3] = ["four-versions-aes", "compacted-aes", "four-versions-plain"];

#[test]
fn parts_of_volumes_that_nothing_needs_are_leftovers() {
    let mut tried = 0;
    for name in SETS.into_iter().filter(|n| fixtures().join(n).is_dir()) {
        let dest = Copied::new(name);
        let whole = &dest.named(".dblock.")[0];
        let data = fs::read(dest.0.join(whole)).expect("read");
        let (_, end) = whole.split_once(".dblock.").expect("a dblock");
        let parts = [0, 1, 40, 200, data.len() / 2, data.len() - 1];
        let mut contents: Vec<Vec<u8>> = parts.iter().map(|&n| data[..n].to_vec()).collect();
        contents.push(vec![0x55; 5000]);
        contents.push(b"<html>an error page</html>".to_vec());
        for (i, content) in contents.iter().enumerate() {
            let left = format!("duplicati-b{i:032x}.dblock.{end}");
            fs::write(dest.0.join(left), content).expect("written");
        }
        let sample = VerifyOptions {
            amount: Amount::Sample(1),
            ..ALL
        };
        for options in [&ALL, &sample] {
            let report = dest.check(name, options);
            assert_eq!(said(&report), Vec::<String>::new(), "{name}");
            assert_eq!(report.leftovers, contents.len() as u64, "{name}");
            tried += contents.len();
        }
    }
    assert!(tried >= 16, "{tried}");
}

#[test]
fn a_part_that_a_version_needs_is_a_finding() {
    for name in SETS.into_iter().filter(|n| fixtures().join(n).is_dir()) {
        let dest = Copied::new(name);
        for index in dest.named(".dindex.").iter().skip(1) {
            fs::remove_file(dest.0.join(index)).expect("removed");
        }
        let mut cut = 0;
        for dblock in dest.named(".dblock.") {
            let path = dest.0.join(&dblock);
            let data = fs::read(&path).expect("read");
            fs::write(&path, &data[..data.len() / 3]).expect("written");
            cut += 1;
        }
        let report = dest.check(name, &ALL);
        assert!(report.finding_count > cut, "{name}: {:?}", said(&report));
        assert_eq!(report.leftovers, 0, "{name}");
        assert!(!report.losses.is_empty(), "{name}");
    }
}

/// A folder on a disk that does not give some bytes of one file.
struct Worn {
    inner: Box<dyn Destination>,
    name: String,
    bad: std::ops::Range<u64>,
}

impl Destination for Worn {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.inner.list(start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.inner.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let meets = span.from < self.bad.end && span.end() > self.bad.start;
        if name != self.name || !meets {
            return self.inner.get(name, span, into);
        }
        if span.from < self.bad.start {
            let before = Span::of(span.from, self.bad.start - span.from);
            self.inner.get(name, before, into)?;
        }
        Err(Fault::new(Class::Transient, "input/output error"))
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

    fn local_folder(&self) -> Option<PathBuf> {
        self.inner.local_folder()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn a_bad_sector_costs_the_blocks_that_it_touches() {
    let dest = fixtures().join("four-versions-aes/dest");
    let mut ui = Ui::silent();
    let mut options = Options::default();
    for (name, value) in [("number-of-retries", "0"), ("retry-delay", "0s")] {
        let opt = crate::remote::OPTIONS.iter().find(|o| o.is_named(name));
        options
            .set(opt.expect("an option"), value)
            .expect("a value");
    }
    let sizes = fs::read_dir(&dest).expect("there").map(|entry| {
        let entry = entry.expect("entry");
        let name = entry.file_name().into_string().expect("text");
        (entry.metadata().expect("facts").len(), name)
    });
    let (size, name) = sizes
        .filter(|s| s.1.contains(".dblock."))
        .max()
        .expect("one");
    let mut report_of = |bad: std::ops::Range<u64>| {
        let remote = Remote::open(dest.to_str().expect("text"), &options, &mut ui).expect("opens");
        let name = name.clone();
        let remote = remote.inside(|inner| Box::new(Worn { inner, name, bad }));
        verify_at(remote, passphrase("four-versions-aes"), &ALL, &mut ui).expect("verified")
    };
    let (worn, gone) = (report_of(size / 2..size / 2 + 512), report_of(0..size));
    for report in [&worn, &gone] {
        let lines = said(report);
        let names_it = |line: &&String| line.contains(&name) && line.contains("input/output error");
        assert_eq!(lines.iter().filter(names_it).count(), 1, "{lines:?}");
    }
    let (few, all) = (worn.lost_blocks, gone.lost_blocks);
    assert!(few > 0 && few + 2 < all, "{few} of {all} blocks are lost");
}
