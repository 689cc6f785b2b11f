//! A run that is told to end while its server says nothing ends all the same, long before the time that it would wait for the
//! server; nothing is lost by that, and nobody blames the server.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(
    clippy::print_stderr,
    reason = "a test says what it could not do or where to look"
)]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_ftp/mod.rs"]
mod faulty_ftp;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;
#[path = "support/hush.rs"]
mod hush;

use std::any::Any;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hush::{Hush, Silence};
use support::servers::b2::programs;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, names, text, tree, wait_for};

const OPTIONS: [&str; 9] = [
    "--passphrase=not a word",
    "--blocksize=64kb",
    "--dblock-size=1mb",
    "--http-proxy=none",
    "--retry-delay=10m",
    // What is waited for by who is not told to end.
    "--short-timeout=10m",
    "--list-timeout=10m",
    "--read-write-timeout=10m",
    "--no-cache",
];
/// A run that is told to end has ended by then, on whatever machine: far less than those times.
const SOON: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    S3,
    Dav,
    Ftp,
    Sftp,
    /// WebDAV, reached by an rclone that answers duplet.
    Rclone,
}

const KINDS: [Kind; 4] = [Kind::S3, Kind::Dav, Kind::Ftp, Kind::Sftp];

/// An SFTP server on a port without any ssh around it, for folders of this machine.
fn sftp(root: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_sftp.py");
            let child = Command::new("python3")
                .args([server, text(&root)])
                .stdin(OwnedFd::from(client.try_clone().unwrap()))
                .stdout(OwnedFd::from(client))
                .stderr(Stdio::null())
                .spawn();
            std::thread::spawn(move || child.unwrap().wait());
        }
    });
    address
}

/// Connects its standard input and output with a port, as an ssh does.
const CALL: &str = "
import os, socket, sys, threading
line = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := line.recv(65536):
    os.write(1, data)
";

struct World {
    scratch: Scratch,
    source: PathBuf,
    url: String,
    hush: Hush,
    _server: Box<dyn Any>,
}

impl World {
    /// A server with an empty folder, and a source of some volumes; `None` where this machine lacks a program.
    fn new(kind: Kind) -> Option<World> {
        let scratch = Scratch::new("silence");
        let source = scratch.folder("source");
        let mut rand = Rand(11);
        for n in 0..9 {
            tree::write(&source.join(format!("file {n}")), &rand.bytes(330_000));
        }
        let (server, address): (Box<dyn Any>, SocketAddr) = match kind {
            Kind::S3 => {
                let server = faulty_s3::Server::start();
                let at = server.address;
                (Box::new(server), at)
            }
            Kind::Dav | Kind::Rclone => {
                let server = faulty::Server::start(|_| faulty_dav::Dav::new());
                let at = server.address;
                (Box::new(server), at)
            }
            Kind::Ftp => {
                let server = faulty_ftp::Server::start(faulty_ftp::Modes::default());
                let at = server.address;
                (Box::new(server), at)
            }
            Kind::Sftp => {
                let root = scratch.folder("sftp");
                fs::create_dir(root.join("d")).unwrap();
                fs::write(scratch.at("call.py"), CALL).unwrap();
                (Box::new(()), sftp(&root))
            }
        };
        let hush = Hush::before(address);
        let at = hush.address;
        let url = match kind {
            Kind::S3 => format!(
                "s3://bucket/p?s3-server-name={at}&use-ssl=false&auth-username=id&auth-password=key"
            ),
            Kind::Dav => format!("webdav://{at}/d/b"),
            Kind::Ftp => {
                let folder = faulty_ftp::FOLDER;
                format!("aftp://user:s3cr3t%2F%2Bvalue@{at}{folder}?aftp-data-connection-type=EPSV")
            }
            Kind::Sftp => {
                let words = format!("python3+{}+{}", text(&scratch.at("call.py")), at.port());
                let folder = scratch.at("sftp/d");
                let command = words.replace('/', "%2F");
                format!("ssh://user@server{}?ssh-command={command}", text(&folder))
            }
            Kind::Rclone => {
                let program = programs().join("rclone");
                if !program.exists() {
                    eprintln!("SKIPPED: rclone is not there: run .ci/prepare first");
                    return None;
                }
                let program = text(&program).replace('/', "%2F");
                format!(
                    "webdav://{at}/d/b?through=rclone&rclone-executable={program}&use-ssl=false"
                )
            }
        };
        Some(World {
            scratch,
            source,
            url,
            hush,
            _server: server,
        })
    }

    /// With a version.
    fn filled(kind: Kind) -> Option<World> {
        let world = World::new(kind)?;
        world.backup().code(&[0]);
        Some(world)
    }

    fn line<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().chain(&OPTIONS).copied().collect()
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = self.scratch.run(&self.line(args));
        ran.sane_but_tabs();
        ran
    }

    fn backup(&self) -> Ran {
        self.run(&["backup", &self.url, text(&self.source)])
    }

    /// Starts this, with what it says in a file.
    fn start(&self, args: &[&str]) -> Child {
        let log = |name| fs::File::create(self.scratch.at(name)).unwrap();
        let mut command = self.scratch.command(&self.line(args));
        command.stdout(log("out")).stderr(log("err"));
        command.spawn().unwrap()
    }

    /// Waits until the server is silent.
    fn await_silence(&self, child: &mut Child, what: &str) {
        wait_for(what, || {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{what}: ended by itself: {ended:?}\n{}",
                self.said()
            );
            self.hush.is_silent()
        });
        // A moment for it to come to its wait; whether it has makes no difference.
        std::thread::sleep(Duration::from_millis(300));
    }

    fn said(&self) -> String {
        let of = |name| fs::read_to_string(self.scratch.at(name)).unwrap_or_default();
        format!("{}{}", of("out"), of("err"))
    }

    /// Runs this against a server that falls silent; after so many signals it ends. What it said.
    fn stopped(&self, args: &[&str], silence: Silence, signals: usize) -> String {
        let what = format!("{args:?}, {silence:?}");
        self.hush.hush(silence);
        let mut child = self.start(args);
        self.await_silence(&mut child, &what);
        for _ in 0..signals {
            signal(&child, "-INT");
            // Two at once are one.
            std::thread::sleep(Duration::from_millis(50));
        }
        let code = self.ended(&mut child, &what);
        let said = self.said();
        assert_eq!(code, Some(50), "{what}: {said}");
        for blame in [
            "internal error",
            "panicked",
            "no answer",
            "has not answered",
            "trying again",
        ] {
            assert!(!said.contains(blame), "{what}: {blame:?} in {said}");
        }
        assert!(said.contains("stopped"), "{what}: {said}");
        assert!(self.scratch.left_in_tmp().is_empty(), "{what}");
        self.hush.speak();
        said
    }

    /// How it ended, which has to be soon.
    fn ended(&self, child: &mut Child, what: &str) -> Option<i32> {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("{what}: it still waits\n{}", self.said());
    }

    /// The next backup goes on, and all comes back.
    fn goes_on(&self, what: &str) {
        self.backup().code(&[0, 1]);
        let verify = ["verify", &self.url, "all", "--full-remote-verification"];
        self.run(&verify).code(&[0]);
        let back = self.scratch.at("whole");
        let path = format!("--restore-path={}", text(&back));
        self.run(&["restore", &self.url, &path, "--restore-permissions"])
            .code(&[0]);
        same(&take(&self.source), &take(&back), But::default(), what);
        fs::remove_dir_all(&back).unwrap();
    }
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// Backups that are stopped twice, each from an empty folder on.
fn backups(kind: Kind) {
    for silence in [
        Silence::AtOnce,
        Silence::Answer(0),
        // In the middle of a volume, and while its answer is waited for.
        Silence::Request(1_500_000),
        Silence::Deaf(1_500_000),
    ] {
        let Some(world) = World::new(kind) else {
            return;
        };
        let args = ["backup", &world.url, text(&world.source)];
        world.stopped(&args, silence, 2);
        world.goes_on(&format!("{kind:?}, {silence:?}"));
    }
}

#[test]
fn a_backup_to_s3_that_is_stopped_twice_waits_for_nobody() {
    backups(Kind::S3);
}

#[test]
fn a_backup_to_webdav_that_is_stopped_twice_waits_for_nobody() {
    backups(Kind::Dav);
}

#[test]
fn a_backup_by_ftp_that_is_stopped_twice_waits_for_nobody() {
    backups(Kind::Ftp);
}

#[test]
fn a_backup_by_sftp_that_is_stopped_twice_waits_for_nobody() {
    backups(Kind::Sftp);
}

#[test]
fn a_backup_through_rclone_that_is_stopped_twice_waits_for_nobody() {
    backups(Kind::Rclone);
}

/// What reads ends at the first signal.
fn readers(kind: Kind) {
    let Some(world) = World::filled(kind) else {
        return;
    };
    let url = world.url.as_str();
    let to = world.scratch.at("back");
    let path = format!("--restore-path={}", text(&to));
    let restore = ["restore", url, &path];
    let verify = ["verify", url, "all", "--full-remote-verification"];
    for silence in [
        Silence::AtOnce,
        Silence::Answer(0),
        Silence::Answer(300),
        Silence::Answer(600_000),
        // In the middle of a volume that was asked for before its turn.
        Silence::Answer(1_700_000),
    ] {
        let _ = fs::remove_dir_all(&to);
        world.stopped(&restore, silence, 1);
        // Nothing that was begun is left.
        let begun = names(&to);
        let begun = begun
            .iter()
            .filter(|n| n.to_string_lossy().starts_with(".duplet"));
        assert_eq!(begun.count(), 0, "{kind:?} {silence:?}");
        world.stopped(&verify, silence, 1);
    }
    let listed = world.run(&["remote", "list", url]);
    assert_eq!(listed.code, 0, "{}", listed.all());
    let files = listed.out;
    let whole = |l: &&str| l.contains(".dblock.") && l.split('\t').nth(1).unwrap().len() == 6;
    let name = files.lines().find(whole).unwrap();
    let name = name.split('\t').next().unwrap();
    for silence in [Silence::AtOnce, Silence::Answer(0), Silence::Answer(300)] {
        world.stopped(&["list", url], silence, 1);
        world.stopped(&["remote", "list", url], silence, 1);
        world.stopped(&["remote", "test", url], silence, 1);
    }
    for silence in [
        Silence::AtOnce,
        Silence::Answer(0),
        Silence::Answer(400_000),
    ] {
        let file = world.scratch.at("volume");
        world.stopped(&["remote", "get", url, name, text(&file)], silence, 1);
        assert!(!file.exists());
    }
    world.goes_on(&format!("{kind:?}"));
}

#[test]
fn what_reads_s3_waits_for_nobody() {
    readers(Kind::S3);
}

#[test]
fn what_reads_webdav_waits_for_nobody() {
    readers(Kind::Dav);
}

#[test]
fn what_reads_by_ftp_waits_for_nobody() {
    readers(Kind::Ftp);
}

#[test]
fn what_reads_by_sftp_waits_for_nobody() {
    readers(Kind::Sftp);
}

#[test]
fn what_reads_through_rclone_waits_for_nobody() {
    readers(Kind::Rclone);
}

/// Until the destination is listed nothing of a run is worth a good end: the first signal ends those that write, too.
fn unlisted(kind: Kind) {
    let Some(world) = World::filled(kind) else {
        return;
    };
    let url = world.url.as_str();
    let source = text(&world.source);
    let local = world.scratch.at("local");
    let local = text(&local);
    for silence in [Silence::AtOnce, Silence::Answer(0)] {
        for args in [
            &["backup", url, source][..],
            &["delete", url, "--version=0"],
            &["compact", url],
            &["repair", url],
            &["copy", url, local],
        ] {
            let said = world.stopped(args, silence, 1);
            assert!(said.contains("cannot list"), "{args:?}: {said}");
        }
    }
    assert!(!Path::new(local).exists());
    // That of the second destination of a copy.
    world
        .scratch
        .run(&world.line(&["backup", local, source]))
        .code(&[0]);
    let said = world.stopped(&["copy", local, url], Silence::AtOnce, 1);
    assert!(said.contains("cannot list"), "{said}");
    world.goes_on(&format!("{kind:?}"));
}

#[test]
fn what_writes_and_has_not_listed_waits_for_nobody() {
    for kind in KINDS {
        unlisted(kind);
    }
}

/// Nor is anything while a run still reads what there is: here up to the end of what a dry run reads.
#[test]
fn what_writes_and_has_only_read_waits_for_nobody() {
    for kind in [Kind::S3, Kind::Sftp] {
        let world = World::filled(kind).unwrap();
        tree::write(&world.source.join("one more"), b"m");
        world.backup().code(&[0]);
        let url = world.url.as_str();
        let source = text(&world.source);
        let runs = [
            &["backup", url, source][..],
            &["delete", url, "--keep-versions=1"],
            &["compact", url],
            &["repair", url],
            &["purge", url, "such is not there"],
            &["purge-broken-files", url],
        ];
        // All before the first silence: what that holds back passes later.
        let reads = runs.map(|args| {
            let before = world.hush.answered();
            let dry = [args, &["--dry-run"]].concat();
            world.run(&dry).code(&[0, 1]);
            world.hush.answered() - before
        });
        for (args, read) in runs.into_iter().zip(reads) {
            let said = world.stopped(args, Silence::Answer(read - 500), 1);
            assert!(said.contains("cannot "), "{kind:?} {args:?}: {said}");
        }
        world.goes_on(&format!("{kind:?}"));
    }
}

/// The first signal of a backup asks for a good end, for which the server is waited for.
#[test]
fn a_backup_that_is_stopped_once_still_waits_for_its_server() {
    for kind in KINDS {
        for silence in [Silence::Request(1_500_000), Silence::Deaf(1_500_000)] {
            let what = format!("{kind:?}, {silence:?}");
            let world = World::new(kind).unwrap();
            world.hush.hush(silence);
            let mut child = world.start(&["backup", &world.url, text(&world.source)]);
            world.await_silence(&mut child, &what);
            signal(&child, "-TERM");
            // It is longer than one that ends would wait.
            std::thread::sleep(Duration::from_secs(2));
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: {ended:?}\n{}", world.said());
            world.hush.speak();
            assert_eq!(world.ended(&mut child, &what), Some(50), "{what}");
            assert!(
                world.said().contains("partial version of"),
                "{}",
                world.said()
            );
            world.goes_on(&what);
        }
    }
}

/// True when this process has a connection to an address, or, if that `is_full`, tries to get one.
fn is_calling(child: &Child, to: SocketAddr, is_full: bool) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{}/fd", child.id())) else {
        return false;
    };
    let links = open
        .flatten()
        .filter_map(|f| fs::read_link(f.path()).ok())
        .map(|l| l.to_string_lossy().into_owned())
        .collect::<Vec<_>>();
    let port = format!(":{:04X}", to.port());
    let state = if is_full { "02" } else { "01" };
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let socket = format!("socket:[{}]", words[9]);
        words[2].ends_with(&port) && words[3] == state && links.contains(&socket)
    })
}

/// A server whose queue is full takes no connection, and one that is asked for TLS says nothing.
#[test]
fn connections_that_do_not_come_about_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let scratch = Scratch::new("silence");
    let urls = [
        format!("s3://bucket/p?s3-server-name={at}&auth-username=id&auth-password=key"),
        format!("webdavs://{at}/d/b"),
        format!("aftp://user:x@{at}/d?aftp-encryption-mode=Implicit"),
    ];
    let mut held = Vec::new();
    for is_full in [false, true] {
        if is_full {
            // Whoever is in the queue keeps the others out.
            let more = || std::net::TcpStream::connect_timeout(&at, Duration::from_millis(500));
            held.extend(std::iter::repeat_with(more).map_while(Result::ok));
        }
        for url in &urls {
            let mut line = vec!["list", url.as_str()];
            line.extend(OPTIONS);
            let mut command = scratch.command(&line);
            command.stdout(Stdio::null());
            command.stderr(fs::File::create(scratch.at("err")).unwrap());
            let mut child = command.spawn().unwrap();
            wait_for(url, || is_calling(&child, at, is_full));
            std::thread::sleep(Duration::from_millis(300));
            assert!(child.try_wait().unwrap().is_none(), "{url}");
            signal(&child, "-INT");
            let end = Instant::now() + SOON;
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > end {
                    child.kill().unwrap();
                    panic!("{url}, full: {is_full}: it still waits");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let said = fs::read_to_string(scratch.at("err")).unwrap();
            assert_eq!(
                child.wait().unwrap().code(),
                Some(50),
                "{url}, {is_full}: {said}"
            );
            assert!(said.contains("stopped"), "{url}: {said}");
        }
    }
}
