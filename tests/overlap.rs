//! Packing goes on while a volume is on its way: whatever happens to that volume, the run ends as one that waits for each upload
//! does (`--synchronous-upload=true`), and what is published comes in the same order.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_b2.rs"]
mod faulty_b2;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use faulty::{Seen, Server, Trouble};
use faulty_b2::B2;
use faulty_dav::Dav;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, text, tree};

const SYNCHRONOUS: &str = "--synchronous-upload=true";
const OPTIONS: [&str; 6] = [
    "--passphrase=on its way",
    "--blocksize=64kb",
    "--dblock-size=1mb",
    "--retry-delay=0s",
    "--http-proxy=none",
    "--read-write-timeout=2s",
];

/// A service, and how its uploads are spelt.
enum Place {
    S3(faulty_s3::Server),
    Dav(Server<Dav>),
    B2(Server<B2>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Dav,
    B2,
}

const KINDS: [Kind; 3] = [Kind::S3, Kind::Dav, Kind::B2];

fn sha1(data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

impl Place {
    fn start(kind: Kind) -> Place {
        match kind {
            Kind::S3 => Place::S3(faulty_s3::Server::start()),
            Kind::Dav => Place::Dav(Server::start(|_| Dav::new())),
            Kind::B2 => Place::B2(Server::start(|at| B2::new(at, sha1))),
        }
    }

    fn url(&self) -> String {
        match self {
            Place::S3(s) => format!(
                "s3://bucket/p?s3-server-name={}&use-ssl=false&auth-username=id&auth-password=key",
                s.address
            ),
            Place::Dav(s) => format!("webdav://{}/d/b", s.address),
            Place::B2(s) => format!(
                "b2://KEYID:s3cr3t%2F%2Bvalue@bkt/p?b2-api-url=http://{}",
                s.address
            ),
        }
    }

    /// The next upload goes wrong.
    fn script(&self, trouble: Trouble) {
        match self {
            Place::S3(s) => s.script("PUT", ".dblock.", trouble),
            Place::Dav(s) => s.script("PUT", "", trouble),
            Place::B2(s) => s.script("POST", "/upload/", trouble),
        }
    }

    fn seen(&self) -> Vec<Seen> {
        match self {
            Place::S3(s) => s.0.seen(""),
            Place::Dav(s) => s.seen(""),
            Place::B2(s) => s.seen(""),
        }
    }

    /// Sizes of the stored files by name.
    fn files(&self) -> BTreeMap<String, usize> {
        match self {
            Place::S3(s) => {
                s.with(|s3| s3.files.iter().map(|(n, d)| (n.clone(), d.len())).collect())
            }
            Place::Dav(s) => s.with(|dav| {
                dav.files
                    .iter()
                    .map(|(n, d)| (n.clone(), d.len()))
                    .collect()
            }),
            Place::B2(s) => s.with(|b2| {
                let of = |(n, all): (&String, &Vec<faulty_b2::Version>)| {
                    all.last().map(|v| (n.clone(), v.data.len()))
                };
                b2.files.iter().filter_map(of).collect()
            }),
        }
    }

    fn count(&self, part: &str) -> usize {
        self.files().keys().filter(|n| n.contains(part)).count()
    }

    /// What became visible, in its order: `b` a dblock, `i` a dindex, `l` a dlist.
    fn published(&self) -> String {
        let of = |s: &Seen| {
            let name = match self {
                Place::S3(_) => (s.method == "PUT").then_some(s.target.as_str()),
                Place::Dav(_) if s.method == "MOVE" => s.header("destination"),
                Place::Dav(_) => (s.method == "PUT").then_some(s.target.as_str()),
                Place::B2(_) => s.header("x-bz-file-name"),
            }?;
            [(".dblock.", 'b'), (".dindex.", 'i'), (".dlist.", 'l')]
                .iter()
                .find(|(part, _)| name.contains(part))
                .map(|(_, letter)| *letter)
        };
        self.seen().iter().filter_map(of).collect()
    }
}

struct World {
    scratch: Scratch,
    place: Place,
    source: PathBuf,
}

impl World {
    /// With a source of some volumes.
    fn new(kind: Kind) -> World {
        let scratch = Scratch::new("overlap");
        let source = scratch.folder("source");
        let mut rand = Rand(11);
        for n in 0..7 {
            tree::write(&source.join(format!("file {n}")), &rand.bytes(550_000));
        }
        World {
            place: Place::start(kind),
            scratch,
            source,
        }
    }

    fn run(&self, args: &[&str], more: &[&str]) -> Ran {
        let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(more).copied().collect();
        let ran = self.scratch.run(&all);
        ran.sane();
        assert!(self.scratch.left_in_tmp().is_empty());
        ran
    }

    fn backup(&self, more: &[&str]) -> Ran {
        self.run(&["backup", &self.place.url(), text(&self.source)], more)
    }

    fn restores(&self, more: &[&str]) {
        let to = self.scratch.at("back");
        let path = format!("--restore-path={}", text(&to));
        let url = self.place.url();
        self.run(&["restore", &url, &path, "--restore-permissions"], more)
            .code(&[0]);
        same(&take(&self.source), &take(&to), But::default(), "restored");
        fs::remove_dir_all(&to).unwrap();
    }

    fn is_clean(&self) {
        let url = self.place.url();
        let args = ["verify", &url, "all", "--full-remote-verification"];
        self.run(&args, &["--no-cache"]).code(&[0]);
    }

    fn start(&self, more: &[&str]) -> Child {
        let url = self.place.url();
        let args = ["backup", &url, text(&self.source)];
        let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(more).copied().collect();
        self.scratch.start(&all)
    }

    /// Waits until the place is so; two minutes are more than any machine needs.
    fn wait_for(&self, what: &str, is: impl Fn(&Place) -> bool) {
        for _ in 0..24_000 {
            if is(&self.place) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("never: {what}");
    }
}

/// What the report and the errors say, without what differs from run to run.
fn told(ran: &Ran, world: &World) -> Vec<String> {
    let address = world.place.url();
    let address = address.split("127.0.0.1:").nth(1).unwrap_or("");
    let port: String = address.chars().take_while(char::is_ascii_digit).collect();
    let mut text = ran.all().replace(&port, "PORT");
    // Which of these it is depends on how far the server's system has come.
    for end in [
        "connection reset by peer",
        "broken pipe",
        "the server closed the connection early",
    ] {
        text = text.replace(end, "ENDED");
    }
    let line = |line: &str| {
        let words: Vec<&str> = line
            .split_whitespace()
            .map(|w| match w {
                w if w.contains("duplicati-") => "VOLUME",
                w if w.starts_with('/') => "PATH",
                // Seconds, rates, and the time of a version.
                w if w.chars().any(|c| c.is_ascii_digit()) => "N",
                w => w,
            })
            .collect();
        words.join(" ")
    };
    // At B2 it is worth no line when a connection ends before the last byte was handed to it, which is a matter of buffers.
    let at_b2 = matches!(world.place, Place::B2(_));
    let lines = text.lines().skip(1);
    let said = lines.filter(|l| !at_b2 || !l.contains("trying again"));
    said.map(line).collect()
}

fn troubles() -> Vec<Trouble> {
    let answer = |status, text: &str| Trouble::Answer(status, Vec::new(), text.to_owned());
    vec![
        Trouble::Reset(0),
        Trouble::Reset(300_000),
        Trouble::Reset(900_000),
        Trouble::Close,
        Trouble::Swallow,
        Trouble::Mute,
        Trouble::Cut(0),
        Trouble::CutOpen(1),
        Trouble::Early(507, ""),
        Trouble::Early(503, ""),
        Trouble::Early(413, ""),
        Trouble::Midway(300_000, 507, String::new()),
        Trouble::Midway(300_000, 500, String::new()),
        answer(500, ""),
        answer(503, ""),
        answer(403, ""),
        answer(404, ""),
        answer(409, ""),
        answer(507, ""),
        answer(200, "<html>"),
        Trouble::More(vec![("connection", "close".to_owned())]),
        Trouble::More(vec![("content-encoding", "gzip".to_owned())]),
        Trouble::Slow,
    ]
}

/// Each trouble of the first upload, in both forms.
fn the_same_in_both_forms(kind: Kind) {
    for at in 0..troubles().len() {
        let run = |more: &[&str]| {
            let world = World::new(kind);
            world.place.script(troubles().remove(at));
            let ran = world.backup(&[more, &["--number-of-retries=2", "--no-cache"]].concat());
            (world, ran)
        };
        let (flown, flown_ran) = run(&[]);
        let (waited, waited_ran) = run(&[SYNCHRONOUS]);
        let what = format!("{kind:?}, trouble {at}");
        assert_eq!(
            flown_ran.code,
            waited_ran.code,
            "{what}: {}",
            flown_ran.all()
        );
        assert_eq!(
            told(&flown_ran, &flown),
            told(&waited_ran, &waited),
            "{what}:\n{}\n{}",
            flown_ran.all(),
            waited_ran.all()
        );
        for part in [".dlist.", ".dindex.", ".dblock.", ""] {
            let sizes = |world: &World| {
                let files = world.place.files();
                let of = files.iter().filter(|(n, _)| n.contains(part));
                let mut sizes: Vec<usize> = of.map(|(_, size)| *size).collect();
                sizes.sort_unstable();
                sizes
            };
            let (a, b) = (sizes(&flown), sizes(&waited));
            assert_eq!(a.len(), b.len(), "{what} {part}");
        }
        assert_eq!(flown.place.published(), waited.place.published(), "{what}");
        if flown_ran.code == 0 {
            flown.is_clean();
            flown.restores(&["--no-cache"]);
        } else {
            assert_eq!(flown.place.count(".dlist."), 0, "{what}");
        }
        // The next run finishes the work, whatever it finds.
        flown.backup(&[]).code(&[0, 1, 2]);
        flown.is_clean();
        flown.restores(&[]);
    }
}

#[test]
fn troubles_at_s3_end_the_same() {
    the_same_in_both_forms(Kind::S3);
}

#[test]
fn troubles_at_webdav_end_the_same() {
    the_same_in_both_forms(Kind::Dav);
}

#[test]
fn troubles_at_b2_end_the_same() {
    the_same_in_both_forms(Kind::B2);
}

/// Each dblock is there before its dindex, that before the next dblock, and the list comes last.
#[test]
fn what_is_published_comes_in_the_old_order() {
    for kind in KINDS {
        let world = World::new(kind);
        world.backup(&[]).code(&[0]);
        let order = world.place.published();
        assert!(order.len() > 8, "{kind:?} {order}");
        assert_eq!(order, format!("{}l", "bi".repeat(order.len() / 2)));
        assert_eq!(world.place.count(".duplet-tmp"), 0);
        // The cache knows which block is in which volume.
        world.restores(&[]);
        fs::rename(world.source.join("file 0"), world.source.join("renamed")).unwrap();
        tree::write(&world.source.join("new"), &Rand(12).bytes(1_700_000));
        world.backup(&[]).code(&[0]);
        world.restores(&[]);
        world.restores(&["--no-cache"]);
        world.is_clean();
    }
}

/// The reply to the first volume is held back, and yet the program goes on reading its input: nearly a volume of it.
#[test]
fn packing_goes_on_while_the_reply_is_awaited() {
    for kind in KINDS {
        let world = World::new(kind);
        let free = Arc::new(AtomicBool::new(false));
        world.place.script(Trouble::Held(free.clone()));
        let url = world.place.url();
        let args = ["backup", &url, "-", "--stdin-filename=dump"];
        let all: Vec<&str> = args.iter().chain(&OPTIONS).copied().collect();
        let mut child = world
            .scratch
            .command(&all)
            .args(["--http-operation-timeout=10m"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let data = Rand(3).bytes(3_000_000);
        // The first volume with what a pipe holds, then what only a program takes that does not wait.
        input.write_all(&data[..1_900_000]).unwrap();
        free.store(true, Ordering::Relaxed);
        input.write_all(&data[1_900_000..]).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{kind:?}");
        world.is_clean();
    }
}

/// The process has one task, whatever is on its way.
#[test]
fn one_task() {
    let world = World::new(Kind::S3);
    let free = Arc::new(AtomicBool::new(false));
    world.place.script(Trouble::Held(free.clone()));
    let mut child = world.start(&["--http-operation-timeout=10m"]);
    world.wait_for("an upload", |p| p.published().contains('b'));
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    assert_eq!(tasks.count(), 1);
    free.store(true, Ordering::Relaxed);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn signal(child: &Child) {
    let id = child.id().to_string();
    let done = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(done.success());
}

/// The first stop lets the volume land and publishes what there is; the second drops it, and there is no version.
#[test]
fn stops_while_a_volume_is_on_its_way() {
    for kind in KINDS {
        for stops in [1, 2] {
            let world = World::new(kind);
            let free = Arc::new(AtomicBool::new(false));
            world.place.script(Trouble::Held(free.clone()));
            let mut child = world.start(&["--http-operation-timeout=10m"]);
            // It was seen when the whole body had come.
            let puts = |p: &Place| {
                let seen = p.seen();
                seen.iter().filter(|s| s.body > 900_000).count()
            };
            world.wait_for("an upload", |p| puts(p) > 0);
            for n in 0..stops {
                signal(&child);
                if n + 1 < stops {
                    // Two signals of a kind at once are one.
                    std::thread::sleep(Duration::from_millis(300));
                }
            }
            if stops == 1 {
                std::thread::sleep(Duration::from_millis(300));
                free.store(true, Ordering::Relaxed);
            }
            let code = child.wait().unwrap().code();
            free.store(true, Ordering::Relaxed);
            let what = format!("{kind:?}, {stops} stops");
            assert_eq!(code, Some(50), "{what}");
            let lists = world.place.count(".dlist.");
            assert_eq!(lists, usize::from(stops == 1), "{what}");
            world.backup(&[]).code(&[0, 2]);
            world.is_clean();
            world.restores(&[]);
        }
    }
}

/// Killed while the n-th volume is on its way, and after it: the next run puts all right.
#[test]
fn killed_while_a_volume_is_on_its_way() {
    for kind in KINDS {
        for n in 1..6 {
            let world = World::new(kind);
            let mut child = world.start(&[]);
            world.wait_for("an upload", |p| {
                p.seen().iter().filter(|s| s.body > 900_000).count() >= n || p.count(".dlist.") > 0
            });
            child.kill().unwrap();
            child.wait().unwrap();
            world.backup(&[]).code(&[0, 1, 2]);
            world.is_clean();
            world.restores(&[]);
        }
    }
}
