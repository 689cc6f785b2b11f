//! Versions go, space comes back and damage is repaired on real servers, where another client lists, fetches and deletes; and
//! keys that may add and may not delete.

#![cfg(all(
    feature = "dest-b2",
    feature = "dest-ipfs",
    feature = "dest-s3",
    feature = "dest-webdav"
))]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may fail where it stands, and says what it could not do"
)]

#[path = "support/servers/ipfs.rs"]
mod ipfs;
mod support;
#[path = "support/servers/webdav.rs"]
mod webdav;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::servers::s3::{self, S3};
use support::servers::{b2, installed};
use support::snapshot::{But, Snapshot, same, take};
use support::{Ran, Rand, Scratch, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=correct horse";

/// A folder at a server, seen by another client.
struct Place<'a> {
    name: String,
    url: String,
    /// Copies all that is in it into an empty folder.
    fetch: Box<dyn Fn(&Path) + 'a>,
    /// Deletes a file of it.
    remove: Box<dyn Fn(&str) + 'a>,
}

/// A source that changes, its destination, and what the versions there must give, newest first.
struct Story<'a> {
    place: &'a Place<'a>,
    scratch: Scratch,
    states: Vec<Snapshot>,
    /// When the last backup began.
    begun: Cell<Option<Instant>>,
    /// A purge could not delete a list beside the one that it wrote in its place.
    twin: bool,
}

impl<'a> Story<'a> {
    fn new(place: &'a Place<'a>) -> Story<'a> {
        let story = Story {
            place,
            scratch: Scratch::new("places"),
            states: Vec::new(),
            begun: Cell::new(None),
            twin: false,
        };
        story.scratch.folder("source");
        story
    }

    fn source(&self) -> PathBuf {
        self.scratch.at("source")
    }

    /// A command on this destination.
    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        let mut args = vec![verb, &self.place.url];
        args.extend(more);
        args.extend([PASSPHRASE, "--prefix=duplicati", "--retry-delay=0s"]);
        if ["backup", "delete", "compact", "purge", "repair"].contains(&verb) {
            args.push("--dblock-size=1mb");
        }
        let ran = self.scratch.run(&args);
        ran.sane();
        assert!(self.scratch.left_in_tmp().is_empty());
        ran
    }

    /// Another day: new content, and a file of which only this version has the content.
    fn day(&mut self, day: u64) {
        // A version that is written again needs a free second behind it, and a program may begin late.
        if let Some(begun) = self.begun.get() {
            std::thread::sleep(Duration::from_secs(3).saturating_sub(begun.elapsed()));
        }
        let (source, mut rand) = (self.source(), Rand(day));
        tree::write(&source.join("daily"), &rand.bytes(150_000));
        tree::write(&source.join(format!("of day {day}")), &rand.bytes(60_000));
        tree::write(&source.join(format!("secret {day}")), &rand.bytes(20_000));
        self.states.insert(0, take(&source));
    }

    fn backup(&self, more: &[&str]) -> Ran {
        let source = self.source();
        let mut words = vec![text(&source), "--blocksize=10kb"];
        words.extend(more);
        self.begun.set(Some(Instant::now()));
        self.run("backup", &words)
    }

    /// What the other client sees, by name.
    fn seen(&self) -> BTreeMap<OsString, Vec<u8>> {
        let folder = self.scratch.at("seen");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        (self.place.fetch)(&folder);
        let each = names(&folder).into_iter().map(|name| {
            let bytes = fs::read(folder.join(&name)).unwrap();
            (name, bytes)
        });
        each.collect()
    }

    /// How many lists, indexes and data volumes of this backup the other client sees.
    fn count(&self) -> [usize; 3] {
        let seen = self.seen();
        ["dlist", "dindex", "dblock"].map(|kind| {
            let ours = |n: &&OsString| {
                let n = n.to_string_lossy();
                n.starts_with("duplicati-") && n.contains(&format!(".{kind}."))
            };
            seen.keys().filter(ours).count()
        })
    }

    /// All volumes are whole and described, and there are as many versions as there should be.
    fn is_clean(&self, what: &str) {
        let what = format!("{}: {what}", self.place.name);
        let [lists, indexes, dblocks] = self.count();
        assert_eq!(lists, self.states.len(), "{what}");
        assert_eq!(indexes, dblocks, "{what}");
        let args = ["all", "--full-remote-verification", "--no-cache"];
        let ran = self.run("verify", &args);
        match self.twin {
            true => drop(ran.code(&[2]).says("by a purge that did not end")),
            false => drop(ran.code(&[0])),
        }
    }

    fn restored(&self, no: usize) -> Snapshot {
        let to = self.scratch.at("restored");
        let _ = fs::remove_dir_all(&to);
        let (path, version) = (
            format!("--restore-path={}", text(&to)),
            format!("--version={no}"),
        );
        let args = [&path, &version, "--no-cache", "--restore-permissions"];
        self.run("restore", &args).code(&[0, 2]);
        take(&to)
    }

    /// Clean, and each version gives what it was.
    fn is_whole(&self, what: &str) {
        self.is_clean(what);
        let what = format!("{}: {what}", self.place.name);
        for (no, state) in self.states.iter().enumerate() {
            // The root folder's own metadata may be lost with a volume.
            let but = But {
                root: true,
                ..But::default()
            };
            same(state, &self.restored(no), but, &what);
        }
    }

    /// Deletes one volume of a kind behind the program's back: its name.
    fn lose(&self, kind: &str) -> String {
        let kind = format!(".{kind}.");
        let seen = self.seen();
        let ours = seen.iter().filter(|(name, _)| {
            let name = name.to_string_lossy();
            name.starts_with("duplicati-") && name.contains(&kind)
        });
        let largest = ours.max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
        let name = largest.to_str().unwrap().to_owned();
        (self.place.remove)(&name);
        assert!(!self.seen().contains_key(largest), "{name} is there still");
        name
    }
}

/// A backup of somebody else in the same folder; what it is.
fn neighbour(place: &Place) -> BTreeMap<OsString, Vec<u8>> {
    let story = Story::new(place);
    tree::write(&story.source().join("f"), &Rand(99).bytes(40_000));
    let source = story.source();
    let args = ["backup", &place.url, text(&source), "--prefix=neighbour"];
    let args = [&args[..], &["--passphrase=of another person"]].concat();
    story.scratch.run(&args).code(&[0]);
    let seen = story.seen();
    assert_eq!(seen.len(), 3, "{:?}", seen.keys());
    seen
}

/// All the commands, one after the other.
fn from_the_first_version_to_repair(place: &Place) {
    let others = neighbour(place);
    let mut story = Story::new(place);
    for day in 1..=5 {
        story.day(day);
        story
            .backup(&["--keep-versions=4", "--no-auto-compact"])
            .code(&[0]);
    }
    story.states.truncate(4);
    story.is_clean("a backup with retention");
    assert_eq!(story.count(), [4, 5, 5]);

    story
        .run("delete", &["--version=1", "--threshold=1"])
        .code(&[0]);
    story.states.remove(1);
    story.is_whole("delete");
    let before = story.count();
    assert!(before[2] <= 4, "{before:?}");

    story
        .run("purge", &["*/secret*", "--threshold=100"])
        .code(&[0]);
    for state in &mut story.states {
        state.retain(|path, _| !path.starts_with(b"secret"));
    }
    story.is_clean("purge");

    story.lose("dindex");
    story.run("repair", &[]).code(&[0]);
    story.is_whole("repair of an index");

    // What was of one day only is lost with the volume; the rest is still in the source.
    let lost = story.lose("dblock");
    story.run("list-broken-files", &[]).code(&[2]);
    story
        .run("repair", &["--rebuild-missing-dblock-files"])
        .code(&[0, 2]);
    story.run("purge-broken-files", &[]).code(&[0]);
    story.is_clean("repair of a data volume");
    assert!(!story.seen().contains_key(&OsString::from(&lost)));
    for no in 0..story.states.len() {
        let got = story.restored(no);
        for (path, node) in &got {
            let was = story.states[no].get(path);
            assert_eq!(was.map(|n| &n.sha256), Some(&node.sha256), "{lost}");
        }
        assert!(no > 0 || got.len() == story.states[0].len(), "{lost}");
        story.states[no] = got;
    }

    story
        .run("compact", &["--threshold=0", "--small-file-max-count=0"])
        .code(&[0]);
    story.is_whole("compact");
    assert_eq!(story.count()[1..], [1, 1]);
    story.day(6);
    story
        .backup(&["--keep-versions=1", "--threshold=0"])
        .code(&[0]);
    story.states.truncate(1);
    story.is_whole("one more backup");

    let (now, ours) = (story.seen(), |n: &OsString| {
        n.to_string_lossy().starts_with("duplicati-")
    });
    let rest: BTreeMap<_, _> = now.into_iter().filter(|(n, _)| !ours(n)).collect();
    assert!(rest == others, "{}: {:?}", place.name, rest.keys());
}

/// Another client of S3: one process that does all that is asked of it, for starting takes long.
struct Boto(RefCell<Child>);

impl Boto {
    fn start(server: &S3) -> Boto {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/s3.py");
        let child = Command::new(installed("python"))
            .arg(script)
            .args(["serve", &server.endpoint(), server.region])
            .env("S3_KEY", server.key)
            .env("S3_SECRET", server.secret)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Boto(RefCell::new(child))
    }

    fn ask(&self, words: &[&str]) {
        let mut child = self.0.borrow_mut();
        let line = words.join("\t") + "\n";
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        let mut done = [0; 5];
        let answer = child.stdout.as_mut().unwrap().read_exact(&mut done);
        assert!(answer.is_ok(), "{words:?}: see what it said");
    }
}

impl Drop for Boto {
    fn drop(&mut self) {
        let child = self.0.get_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[test]
fn on_s3() {
    for server in s3::all() {
        let boto = Boto::start(&server);
        let place = Place {
            name: server.name.to_owned(),
            url: server.url("life/of/it", ""),
            fetch: Box::new(|to| boto.ask(&["fetch", "life", "of/it/", text(to)])),
            remove: Box::new(|name| boto.ask(&["remove", "life", &format!("of/it/{name}")])),
        };
        from_the_first_version_to_repair(&place);
    }
}

#[test]
fn on_b2() {
    let server = b2::Server::start();
    server.bucket("bkt");
    let rights = ["listFiles", "readFiles", "writeFiles", "deleteFiles"];
    let key = server.key(&json!({ "bucket": "bkt", "prefix": "p/", "capabilities": rights }));
    let place = Place {
        name: "b2".to_owned(),
        url: server.url(&key, "bkt/p/x", ""),
        fetch: Box::new(|to| {
            server.rclone(&["copy", "b:bkt/p/x", text(to)]);
        }),
        remove: Box::new(|name| {
            server.rclone(&[
                "deletefile",
                "--b2-hard-delete",
                &format!("b:bkt/p/x/{name}"),
            ]);
        }),
    };
    from_the_first_version_to_repair(&place);
    // Nothing is hidden only: what was deleted costs nothing.
    for (name, versions) in server.state()["versions"].as_object().unwrap() {
        assert_eq!(*versions, json!(["upload"]), "{name}");
    }
}

#[test]
fn on_webdav() {
    for kind in webdav::ALL {
        let Some(server) = webdav::Server::start(kind) else {
            continue;
        };
        let folder = server.folder("basic").join("life of");
        let place = Place {
            name: format!("{kind:?}"),
            url: server.url("basic/life%20of", ""),
            fetch: Box::new(|to| {
                for name in names(&folder) {
                    if !folder.join(&name).is_dir() {
                        fs::copy(folder.join(&name), to.join(&name)).unwrap();
                    }
                }
            }),
            remove: Box::new(|name| fs::remove_file(folder.join(name)).unwrap()),
        };
        from_the_first_version_to_repair(&place);
    }
}

#[test]
fn on_a_node_of_ipfs() {
    let Some(program) = ipfs::kubo() else { return };
    let repo = Scratch::new("places-ipfs");
    let node = ipfs::Node::start(program, &repo.folder("repo"));
    let place = Place {
        name: "ipfs".to_owned(),
        url: node.url("life/of", ""),
        fetch: Box::new(|to| {
            let all = node.run(&["files", "ls", "/life/of"]);
            for name in all.lines() {
                let path = format!("/life/of/{name}");
                let root = node.run(&["files", "stat", "--hash", &path]);
                node.run(&["get", "--output", text(&to.join(name)), &root]);
            }
        }),
        remove: Box::new(|name| {
            node.run(&["files", "rm", &format!("/life/of/{name}")]);
        }),
    };
    from_the_first_version_to_repair(&place);
}

/// With a key that adds and may not delete, every backup is made and the old ones stay: exit 2, and one line that names the
/// right that is lacking, for whoever looks up what it is called there.
fn adds_but_never_deletes(place: &Place, right: &str) {
    let mut story = Story::new(place);
    let lacks = |ran: Ran, what: &str| {
        let lines: Vec<&str> = ran
            .err
            .lines()
            .filter(|l| l.contains("right to delete"))
            .collect();
        assert_eq!(lines.len(), 1, "{what}: {}", ran.all());
        assert_eq!(ran.err.lines().count(), 1, "{what}: {}", ran.all());
        assert!(lines[0].contains(right), "{what}: {}", ran.all());
        assert!(lines[0].contains("another key"), "{what}: {}", ran.all());
    };
    let (mut blocks, mut copies) = (0, Vec::new());
    for day in 1..=4 {
        story.day(day);
        let ran = story.backup(&["--keep-versions=2"]);
        let what = format!("{} day {day}", place.name);
        if day > 2 {
            lacks(ran.code(&[2]), &what);
        } else {
            ran.code(&[0]);
        }
        blocks += 1;
        assert_eq!(
            story.count(),
            [story.states.len(), blocks, blocks],
            "{what}"
        );
        story.is_whole(&what);
    }
    let small = ["--small-file-max-count=0", "--small-file-size=1mb"];
    for (verb, words) in [
        ("delete", &["--keep-versions=1"][..]),
        ("delete", &["--version=1", "--no-auto-compact"]),
        ("purge", &["*/of day 1", "--version=2"]),
        ("compact", &small),
        ("compact", &small),
    ] {
        let what = format!("{} {verb} {words:?}", place.name);
        lacks(story.run(verb, words).code(&[2]), &what);
        if verb == "purge" {
            // The version without the file is there, beside the one with it.
            let mut without = story.states[2].clone();
            without.retain(|path, _| path != b"of day 1");
            story.states.insert(2, without);
            story.twin = true;
        }
        story.is_whole(&what);
        if verb == "compact" {
            copies.push(story.count());
        }
    }
    assert_eq!(
        copies[0], copies[1],
        "what is stored twice is not stored a third time"
    );
    // Nothing is to be deleted: nothing is lacking.
    story.day(5);
    story.backup(&["--no-auto-compact"]).code(&[0]);
    story.is_whole("without a rule");
    assert!(volumes(&story.scratch.at("seen"), "dblock").len() >= 5);
}

#[test]
fn a_key_of_s3_that_may_not_delete() {
    let server = s3::juicefs();
    let done = Command::new(installed("python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/s3_key.py"))
        .args([
            &server.endpoint()["http://".len()..],
            "keep",
            "adder",
            "adder-secret-key",
        ])
        .env("S3_KEY", server.key)
        .env("S3_SECRET", server.secret)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let boto = Boto::start(&server);
    let place = Place {
        name: "s3".to_owned(),
        url: server.url_as("keep/it", "adder", "adder-secret-key", ""),
        fetch: Box::new(|to| boto.ask(&["fetch", "keep", "it/", text(to)])),
        remove: Box::new(|_| {}),
    };
    adds_but_never_deletes(&place, "s3:DeleteObject");
}

#[test]
fn a_key_of_b2_that_may_not_delete() {
    let server = b2::Server::start();
    server.bucket("bkt");
    let rights = ["listFiles", "readFiles", "writeFiles"];
    let key = server.key(&json!({ "bucket": "bkt", "prefix": "p/", "capabilities": rights }));
    let place = Place {
        name: "b2".to_owned(),
        url: server.url(&key, "bkt/p/x", ""),
        fetch: Box::new(|to| {
            server.rclone(&["copy", "b:bkt/p/x", text(to)]);
        }),
        remove: Box::new(|_| {}),
    };
    adds_but_never_deletes(&place, "deleteFiles");
}
