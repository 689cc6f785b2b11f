//! Volumes on their way to places of every kind: killed at any operation and at any byte the next run goes on with what is whole,
//! stops are obeyed, and nothing waits for the source.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(clippy::print_stdout, reason = "a test says what it measured")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_azure.rs"]
mod faulty_azure;
#[path = "support/faulty_b2.rs"]
mod faulty_b2;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_ftp/mod.rs"]
mod faulty_ftp;
#[path = "support/faulty_gcs.rs"]
mod faulty_gcs;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;
#[path = "support/faulty_swift.rs"]
mod faulty_swift;
#[path = "support/gate.rs"]
mod gate;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use faulty::{Server, Service};
use gate::Gate;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, peak_kib, text, tree, wait_for};

const OPTIONS: [&str; 4] = [
    "--passphrase=on its way",
    "--blocksize=64kb",
    "--retry-delay=0s",
    "--http-proxy=none",
];
const VOLUMES: &str = "--dblock-size=1mb";
/// A volume of that size with hardly less than this in it.
const VOLUME: usize = 900_000;

/// A service over HTTP, as far as it is looked at.
trait Seen {
    /// Requests so far.
    fn operations(&self) -> usize;
    /// Sizes of the files by name.
    fn files(&self) -> BTreeMap<String, usize>;
}

/// A server, and where its files are.
struct Web<S>(Server<S>, fn(&S) -> BTreeMap<String, usize>);

impl<S: Service> Seen for Web<S> {
    fn operations(&self) -> usize {
        self.0.seen("").len()
    }

    fn files(&self) -> BTreeMap<String, usize> {
        self.0.with(|service| (self.1)(service))
    }
}

fn sizes(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, usize> {
    files.iter().map(|(n, d)| (n.clone(), d.len())).collect()
}

/// An SFTP server in Python on a folder of this machine: see `faulty_sftp.py`.
struct Sftp(PathBuf);

impl Sftp {
    fn log(&self) -> String {
        fs::read_to_string(self.0.join("log")).unwrap_or_default()
    }
}

impl Seen for Sftp {
    fn operations(&self) -> usize {
        self.log().lines().count()
    }

    fn files(&self) -> BTreeMap<String, usize> {
        let of = |entry: fs::DirEntry| {
            let size = usize::try_from(entry.metadata().ok()?.len()).unwrap();
            Some((entry.file_name().to_string_lossy().into_owned(), size))
        };
        let found = fs::read_dir(self.0.join("d")).unwrap();
        found.flatten().filter_map(of).collect()
    }
}

impl Seen for faulty_ftp::Server {
    fn operations(&self) -> usize {
        self.seen().len()
    }

    fn files(&self) -> BTreeMap<String, usize> {
        let size = |n: &String| self.file(n).map_or(0, |f| f.len());
        self.names().iter().map(|n| (n.clone(), size(n))).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Dav,
    B2,
    Azure,
    Gcs,
    Swift,
    Ftp,
    Ftps,
    Sftp,
}

const KINDS: [Kind; 9] = [
    Kind::S3,
    Kind::Dav,
    Kind::B2,
    Kind::Azure,
    Kind::Gcs,
    Kind::Swift,
    Kind::Ftp,
    Kind::Ftps,
    Kind::Sftp,
];

fn sha1(data: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A place, its URL, and what holds its bytes back.
struct Place {
    seen: Box<dyn Seen>,
    url: String,
    gate: Gate,
}

fn web<S: Service + 'static>(
    gate: &Gate,
    make: impl FnOnce(std::net::SocketAddr) -> S,
    files: fn(&S) -> BTreeMap<String, usize>,
    url: impl FnOnce(std::net::SocketAddr) -> String,
) -> (Box<dyn Seen>, String) {
    let server = Server::start_at("127.0.0.1:0", gate.wrap(), make);
    let url = url(server.address);
    (Box::new(Web(server, files)), url)
}

impl Place {
    fn start(kind: Kind, scratch: &Scratch) -> Place {
        let gate = Gate::default();
        let (seen, url) = match kind {
            Kind::S3 => {
                let make = |_| {
                    let mut s3 = faulty_s3::S3::default();
                    (s3.bucket, s3.page) = (true, 1000);
                    s3
                };
                web(
                    &gate,
                    make,
                    |s| sizes(&s.files),
                    |at| {
                        format!(
                            "s3://bucket/p?s3-server-name={at}&use-ssl=false&auth-username=id&auth-password=key"
                        )
                    },
                )
            }
            Kind::Dav => web(
                &gate,
                |_| faulty_dav::Dav::new(),
                |s| s.files.iter().map(|(n, d)| (n.clone(), d.len())).collect(),
                |at| format!("webdav://{at}/d/b"),
            ),
            Kind::B2 => web(
                &gate,
                |at| faulty_b2::B2::new(at, sha1),
                |s| {
                    let last = |all: &Vec<faulty_b2::Version>| all.last().map(|v| v.data.len());
                    let all = s.files.iter();
                    all.filter_map(|(n, all)| Some((n.clone(), last(all)?)))
                        .collect()
                },
                |at| format!("b2://KEYID:s3cr3t%2F%2Bvalue@bkt/p?b2-api-url=http://{at}"),
            ),
            Kind::Azure => web(
                &gate,
                |_| faulty_azure::Azure::new(),
                |s| sizes(&s.files),
                |at| {
                    format!(
                        "azure://bkt?azure-endpoint=http://{at}/account&auth-username=account&auth-password=a2V5"
                    )
                },
            ),
            Kind::Gcs => web(
                &gate,
                |at| faulty_gcs::Gcs::new(at, |_| None),
                |s| sizes(&s.files),
                |at| format!("gcs://bkt/p?gcs-endpoint=http://{at}&gcs-project=prj"),
            ),
            Kind::Swift => web(
                &gate,
                faulty_swift::Swift::new,
                |s| sizes(&s.files),
                |at| {
                    format!(
                        "openstack://box/p?openstack-authuri=http://{at}/v3&auth-username=user&auth-password=s3cr3t%2F%2Bvalue&openstack-domain-name=Default&openstack-tenant-name=t"
                    )
                },
            ),
            Kind::Ftp | Kind::Ftps => {
                let tls = kind == Kind::Ftps;
                let server = faulty_ftp::Server::start(faulty_ftp::Modes {
                    tls: if tls {
                        faulty_ftp::Tls::Explicit
                    } else {
                        faulty_ftp::Tls::None
                    },
                    ..faulty_ftp::Modes::default()
                });
                let query = match tls {
                    true => format!(
                        "aftp-encryption-mode=Explicit&ssl-ca-file={}",
                        faulty_ftp::CA_FILE
                    ),
                    false => String::new(),
                };
                let (at, folder) = (server.address, faulty_ftp::FOLDER);
                let url = format!("aftp://user:s3cr3t%2F%2Bvalue@{at}{folder}?{query}");
                (Box::new(server) as Box<dyn Seen>, url)
            }
            Kind::Sftp => {
                let root = scratch.folder("sftp");
                fs::create_dir(root.join("d")).unwrap();
                let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_sftp.py");
                let root_text = text(&root).to_owned();
                let command = format!("python3+'{server}'+{root_text}").replace('/', "%2F");
                let url = format!("ssh://user@server{root_text}/d?ssh-command={command}");
                (Box::new(Sftp(root)) as Box<dyn Seen>, url)
            }
        };
        Place { seen, url, gate }
    }

    /// Whole volumes under their own names.
    fn volumes(&self, part: &str) -> Vec<String> {
        let files = self.seen.files();
        let names = files.into_keys().filter(|n| n.contains(part));
        names.collect()
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
        let scratch = Scratch::new("flights");
        let source = scratch.folder("source");
        let mut rand = Rand(21);
        for n in 0..5 {
            tree::write(&source.join(format!("file {n}")), &rand.bytes(550_000));
        }
        World {
            place: Place::start(kind, &scratch),
            scratch,
            source,
        }
    }

    fn run(&self, args: &[&str], more: &[&str]) -> Ran {
        let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(more).copied().collect();
        let ran = self.scratch.run(&all);
        ran.sane();
        ran
    }

    fn start(&self) -> Child {
        self.start_with(&[VOLUMES])
    }

    fn start_with(&self, more: &[&str]) -> Child {
        let args = [&["backup", &self.place.url, text(&self.source)], more].concat();
        let all: Vec<&str> = args.iter().chain(&OPTIONS).copied().collect();
        self.scratch.start(&all)
    }

    /// The next run finishes the work of one that was killed, with all volumes that are whole; all can be restored.
    fn goes_on(&self, what: &str) {
        self.place.gate.cut();
        let whole = self.place.volumes(".dblock.");
        self.run(&["backup", &self.place.url, text(&self.source)], &[VOLUMES])
            .code(&[0, 1, 2]);
        let now = self.place.volumes(".dblock.");
        for volume in &whole {
            assert!(now.contains(volume), "{what}: {volume} is gone");
        }
        // What was whole is not sent again: without a kill there are three.
        assert!(now.len() <= 4, "{what}: {now:?}, before {whole:?}");
        assert_eq!(self.place.volumes(".dindex.").len(), now.len(), "{what}");
        let url = self.place.url.as_str();
        let args = ["verify", url, "all", "--full-remote-verification"];
        self.run(&args, &["--no-cache"]).code(&[0]);
        let to = self.scratch.at("back");
        let path = format!("--restore-path={}", text(&to));
        self.run(&["restore", url, &path, "--restore-permissions"], &[])
            .code(&[0]);
        same(&take(&self.source), &take(&to), But::default(), what);
    }
}

/// Kills a run once something is so, or it has ended.
fn kill_once(mut child: Child, what: &str, mut is: impl FnMut() -> bool) {
    wait_for(what, || is() || child.try_wait().unwrap().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Of so many operations that a run takes, it is killed after each or, where they are many, after some.
fn killed_at_operations(kind: Kind) {
    let count = {
        let world = World::new(kind);
        assert_eq!(world.start().wait().unwrap().code(), Some(0));
        assert_eq!(world.place.volumes(".dblock.").len(), 3, "{kind:?}");
        world.place.seen.operations()
    };
    let step = count.div_ceil(10);
    for n in (1..count).step_by(step) {
        let world = World::new(kind);
        let what = format!("{kind:?} killed at operation {n} of {count}");
        kill_once(world.start(), &what, || world.place.seen.operations() >= n);
        world.goes_on(&what);
    }
}

#[test]
fn killed_at_operations_over_http() {
    for kind in [Kind::S3, Kind::Azure] {
        killed_at_operations(kind);
    }
}

#[test]
fn killed_at_operations_by_ftp() {
    killed_at_operations(Kind::Ftp);
}

#[test]
fn killed_at_operations_by_sftp() {
    killed_at_operations(Kind::Sftp);
}

/// The server takes so many bytes of all that is sent to it, and no more; then the run is killed.
#[test]
fn killed_at_random_bytes_over_http() {
    let mut rand = Rand(4);
    for kind in KINDS {
        if matches!(kind, Kind::Ftp | Kind::Ftps | Kind::Sftp) {
            continue;
        }
        for _ in 0..3 {
            let world = World::new(kind);
            let after = rand.below(2_750_000);
            world.place.gate.shut(after);
            let what = format!("{kind:?} killed at byte {after}");
            kill_once(world.start(), &what, || world.place.gate.is_reached());
            world.goes_on(&what);
        }
    }
}

/// The same of the bytes of one volume.
#[test]
fn killed_at_random_bytes_by_ftp() {
    use faulty_ftp::{Modes, Server, Trouble};
    let mut rand = Rand(5);
    for n in 0..4 {
        let mut world = World::new(Kind::Ftp);
        let server = Server::start(Modes::default());
        let (at, folder) = (server.address, faulty_ftp::FOLDER);
        world.place.url = format!("aftp://user:s3cr3t%2F%2Bvalue@{at}{folder}");
        let after = rand.below(1_000_000);
        let child = world.start();
        // Behind a dblock comes its dindex.
        wait_for("uploads", || server.count("STOR") >= 2 * (n / 2));
        server.script("STOR", "", Trouble::Stall(after));
        let what = format!("killed at byte {after} of upload {n}");
        kill_once(child, &what, || server.left() == 0);
        server.calm();
        world.place.seen = Box::new(server);
        world.goes_on(&what);
    }
}

/// The same at random requests to write.
#[test]
fn killed_at_random_bytes_by_sftp() {
    let mut rand = Rand(6);
    for _ in 0..4 {
        let world = World::new(Kind::Sftp);
        let root = world.scratch.at("sftp");
        let n = 1 + rand.below(90);
        let script = root.join("script");
        fs::write(&script, format!("write {n} hang\n")).unwrap();
        let what = format!("killed at request {n} to write");
        kill_once(world.start(), &what, || {
            fs::read_to_string(&script).unwrap().is_empty()
        });
        world.goes_on(&what);
    }
}

/// The first stop lets the volume land and publishes what there is; the second drops it, and there is no version.
#[test]
fn stops_while_a_volume_is_on_its_way() {
    for kind in [Kind::Azure, Kind::Gcs, Kind::Swift] {
        for stops in [1, 2] {
            let world = World::new(kind);
            let gate = &world.place.gate;
            gate.shut(VOLUME as u64 / 2);
            let mut child = world.start();
            wait_for("an upload", || gate.is_reached());
            for _ in 0..stops {
                let id = child.id().to_string();
                let done = Command::new("kill").args(["-TERM", &id]).status();
                assert!(done.unwrap().success());
                // Two signals of a kind at once are one.
                std::thread::sleep(Duration::from_millis(300));
            }
            if stops == 1 {
                gate.open();
            }
            let code = child.wait().unwrap().code();
            gate.open();
            let what = format!("{kind:?}, {stops} stops");
            assert_eq!(code, Some(50), "{what}");
            let lists = world.place.volumes(".dlist.").len();
            assert_eq!(lists, usize::from(stops == 1), "{what}");
            world.goes_on(&what);
        }
    }
}

/// Nothing comes from the source, and yet the volume on its way arrives: most of it is sent while the source is waited for.
#[test]
fn a_volume_arrives_while_the_source_is_waited_for() {
    const LARGE: usize = 20 << 20;
    for kind in [Kind::S3, Kind::Sftp] {
        let world = World::new(kind);
        let script = world.scratch.at("sftp").join("script");
        match kind {
            // More than what the systems between hold for it.
            Kind::Sftp => fs::write(&script, "write 40 pause\n").unwrap(),
            _ => world.place.gate.shut(200_000),
        }
        let args = ["backup", &world.place.url, "-", "--stdin-filename=dump"];
        let more = ["--dblock-size=20mb"];
        let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(&more).copied().collect();
        let mut child = world
            .scratch
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let data = Rand(3).bytes(LARGE + (2 << 20));
        input.write_all(&data).unwrap();
        // By now the source gives nothing, and whatever is sent is sent while it is waited for.
        world.place.gate.open();
        let _ = fs::write(world.scratch.at("sftp").join("go"), "");
        wait_for("the volume", || {
            let files = world.place.seen.files();
            files.iter().any(|(_, size)| *size > LARGE - (1 << 20))
        });
        input.write_all(&data[..1000]).unwrap();
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{kind:?}");
        let url = world.place.url.as_str();
        let args = ["verify", url, "all", "--full-remote-verification"];
        world.run(&args, &["--no-cache"]).code(&[0]);
    }
}

/// Above a run that waits for each upload it takes 2 MiB of memory at most, and it has one task.
#[test]
fn memory_and_tasks() {
    for kind in KINDS {
        let peak = |more: &[&str]| {
            let world = World::new(kind);
            let child = world.start_with(&[&[VOLUMES], more].concat());
            let (peak, ended) = peak_kib(child);
            assert!(ended.success(), "{kind:?}");
            assert_eq!(world.place.volumes(".dblock.").len(), 3, "{kind:?}");
            peak
        };
        let (flown, waited) = (peak(&[]), peak(&["--synchronous-upload=true"]));
        println!("{kind:?}: {flown} KiB, waiting {waited} KiB");
        assert!(
            flown <= waited + 2048,
            "{kind:?}: {flown} > {waited} + 2048 KiB"
        );
    }
    let world = World::new(Kind::Azure);
    let gate = &world.place.gate;
    gate.shut(VOLUME as u64 / 2);
    let mut child = world.start();
    wait_for("an upload", || gate.is_reached());
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    assert_eq!(tasks.count(), 1);
    gate.open();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
