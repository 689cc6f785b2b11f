//! The same where all that is asked goes through one conversation: by SFTP and FTP, to real servers and to such as go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::faulty_ftp::{self, Modes, Trouble};
use crate::gate::Gate;
use crate::support::snapshot::{But, same, take};
use crate::support::{Ran, Scratch, text, wait_for};
use crate::{faulty, faulty_s3, filled, ftp, ssh};

const OPTIONS: [&str; 4] = [
    "--passphrase=in the meantime",
    "--blocksize=64kb",
    "--dblock-size=1mb",
    "--no-cache",
];
const AT_ONCE: &str = "--number-of-retries=0";

/// A server as people have it.
enum Real {
    Ssh(ssh::Server),
    Ftp(ftp::Server),
}

impl Real {
    /// Those that can run here.
    fn all() -> Vec<Real> {
        let sshd = ssh::Server::start(ssh::Kind::OpenSsh, "").map(Real::Ssh);
        let ftps = [
            (ftp::Kind::VsFtpd, ftp::Tls::None),
            (ftp::Kind::VsFtpd, ftp::Tls::Explicit),
            (ftp::Kind::PureFtpd, ftp::Tls::Explicit),
            (ftp::Kind::ProFtpd, ftp::Tls::Explicit),
            (ftp::Kind::PyFtpdLib, ftp::Tls::None),
            (ftp::Kind::PyFtpdLib, ftp::Tls::Explicit),
        ];
        let ftps = ftps.map(|(kind, tls)| {
            let more = match kind {
                ftp::Kind::PureFtpd => "-L 10000:8",
                _ => "",
            };
            ftp::Server::start(kind, tls, more).map(Real::Ftp)
        });
        sshd.into_iter().chain(ftps.into_iter().flatten()).collect()
    }

    fn url(&self, folder: &str) -> String {
        match self {
            Real::Ssh(server) => server.url(folder, &server.good()),
            Real::Ftp(server) => server.url(folder, &server.good()),
        }
    }

    fn restart(&mut self) {
        match self {
            Real::Ssh(server) => server.restart(),
            Real::Ftp(server) => server.restart(),
        }
    }

    fn what(&self) -> String {
        match self {
            Real::Ssh(_) => "SFTP".to_owned(),
            Real::Ftp(server) => format!("{:?} {:?}", server.kind, server.tls),
        }
    }
}

fn run(scratch: &Scratch, args: &[&str], more: &[&str]) -> Ran {
    let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(more).copied().collect();
    let ran = scratch.run(&all);
    ran.sane();
    assert!(scratch.left_in_tmp().is_empty());
    ran
}

fn is_restored(scratch: &Scratch, url: &str, source: &Path, more: &[&str], what: &str) {
    let back = scratch.at("back");
    let _ = fs::remove_dir_all(&back);
    let path = format!("--restore-path={}", text(&back));
    let args = ["restore", url, &path, "--restore-permissions"];
    let ran = run(scratch, &args, more);
    assert_eq!(ran.code, 0, "{what}: {}", ran.all());
    same(&take(source), &take(&back), But::default(), what);
}

#[test]
fn every_command_is_as_ever_at_real_servers() {
    for real in Real::all() {
        let what = real.what();
        let scratch = Scratch::new("ahead-talks");
        let source = filled(&scratch);
        let (url, from) = (real.url("a"), text(&source).to_owned());
        let good = |args: &[&str]| {
            let ran = run(&scratch, args, &[AT_ONCE]);
            assert_eq!(ran.code, 0, "{what}: {}", ran.all());
        };
        good(&["backup", &url, &from]);
        is_restored(&scratch, &url, &source, &[AT_ONCE], &what);
        good(&["verify", &url, "all"]);
        let copy = format!("file://{}", text(&scratch.folder("copy")));
        for to in [copy, real.url("b")] {
            good(&["copy", &url, &to]);
            good(&["verify", &to, "all"]);
        }
        for n in [0, 3, 6, 9, 12] {
            fs::remove_file(source.join(format!("file {n}"))).unwrap();
        }
        let keep = ["--keep-versions=1", "--no-auto-compact"];
        good(&[&["backup", &url, &from][..], &keep].concat());
        good(&["compact", &url, "--threshold=5"]);
        good(&["verify", &url, "all"]);
        is_restored(&scratch, &url, &source, &[AT_ONCE], &what);
    }
}

/// What was under way is asked for again, by whoever wants it.
#[test]
fn servers_that_are_started_anew_in_the_middle() {
    for mut real in Real::all() {
        let what = real.what();
        let scratch = Scratch::new("ahead-talks");
        let source = filled(&scratch);
        let (url, from) = (real.url("a"), text(&source).to_owned());
        run(&scratch, &["backup", &url, &from], &[AT_ONCE]).code(&[0]);
        let path = format!("--restore-path={}", text(&scratch.at("back")));
        for pause in [300, 700] {
            let _ = fs::remove_dir_all(scratch.at("back"));
            let args = ["restore", &url, &path, "--restore-permissions"];
            let slow = [
                "--throttle-download=2mb",
                "--retry-delay=1s",
                "--number-of-retries=30",
            ];
            let all: Vec<&str> = args.iter().chain(&OPTIONS).chain(&slow).copied().collect();
            let mut child = scratch.start(&all);
            std::thread::sleep(Duration::from_millis(pause));
            real.restart();
            assert_eq!(child.wait().unwrap().code(), Some(0), "{what}");
            same(
                &take(&source),
                &take(&scratch.at("back")),
                But::default(),
                &what,
            );
        }
    }
}

/// A server that goes wrong when told to.
enum Odd {
    Sftp(PathBuf),
    Ftp(faulty_ftp::Server, bool),
}

impl Odd {
    fn all(scratch: &Scratch) -> Vec<(Odd, String)> {
        let root = scratch.folder("sftp");
        fs::create_dir(root.join("d")).unwrap();
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_sftp.py");
        let root_text = text(&root).to_owned();
        let command = format!("python3+'{server}'+{root_text}").replace('/', "%2F");
        let url = format!("ssh://user@server{root_text}/d?ssh-command={command}");
        let mut all = vec![(Odd::Sftp(root), url)];
        for is_tls in [false, true] {
            let tls = match is_tls {
                true => faulty_ftp::Tls::Explicit,
                false => faulty_ftp::Tls::None,
            };
            let server = faulty_ftp::Server::start(Modes {
                tls,
                ..Modes::default()
            });
            let (at, folder) = (server.address, faulty_ftp::FOLDER);
            let mut url = format!("aftp://user:s3cr3t%2F%2Bvalue@{at}{folder}");
            if is_tls {
                let ca = faulty_ftp::CA_FILE;
                url += &format!("?aftp-encryption-mode=Explicit&ssl-ca-file={ca}");
            }
            all.push((Odd::Ftp(server, is_tls), url));
        }
        all
    }

    /// dblocks of which every byte was sent.
    fn sent(&self) -> usize {
        match self {
            Odd::Sftp(root) => {
                let reads = fs::read_to_string(root.join("reads")).unwrap_or_default();
                let mut came: BTreeMap<&str, u64> = BTreeMap::new();
                for line in reads.lines().filter(|line| line.contains(".dblock.")) {
                    let (len, path) = line.split_once(' ').unwrap();
                    *came.entry(path).or_default() += len.parse::<u64>().unwrap();
                }
                let whole =
                    |(path, len): (&&str, &u64)| fs::metadata(path).is_ok_and(|m| m.len() == *len);
                came.iter().filter(|row| whole(*row)).count()
            }
            Odd::Ftp(server, _) => {
                let mut names = server.sent();
                names.retain(|name| name.contains(".dblock."));
                names.sort();
                names.dedup();
                names.len()
            }
        }
    }

    fn what(&self) -> String {
        match self {
            Odd::Sftp(_) => "SFTP".to_owned(),
            Odd::Ftp(_, tls) => format!("FTP, TLS {tls}"),
        }
    }
}

/// The target takes no more than the beginning of a volume until the next one is here. The first volumes may be small, as their
/// names are drawn, and pass before that.
#[test]
fn the_next_volume_comes_while_the_last_one_is_sent() {
    let scratch = Scratch::new("ahead-talks");
    let source = filled(&scratch);
    for (odd, url) in Odd::all(&scratch) {
        let what = odd.what();
        run(&scratch, &["backup", &url, text(&source)], &[AT_ONCE]).code(&[0]);
        assert_eq!(odd.sent(), 0, "{what}");
        let gate = Gate::default();
        let mut target = faulty_s3::S3::default();
        (target.bucket, target.page) = (true, 1000);
        let target = faulty::Server::start_at("127.0.0.1:0", gate.wrap(), |_| target);
        let to = format!(
            "s3://bucket/p?s3-server-name={}&use-ssl=false&auth-username=id&auth-password=key&http-proxy=none",
            target.address
        );
        gate.shut(300_000);
        let args = ["copy", &url, &to, AT_ONCE];
        let all: Vec<&str> = args.iter().chain(&OPTIONS).copied().collect();
        let mut child = scratch.start(&all);
        wait_for(&format!("{what}: a volume"), || gate.is_reached());
        let passed =
            || target.with(|s3| s3.files.keys().filter(|n| n.contains(".dblock.")).count());
        let first = passed();
        wait_for(&format!("{what}: the next volume"), || {
            odd.sent() == first + 2
        });
        assert_eq!(passed(), first, "{what}");
        gate.open();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{what}");
        run(&scratch, &["verify", &to, "all"], &[]).code(&[0]);
    }
}

/// The second volume is the first that is asked for ahead.
#[test]
fn whatever_happens_to_what_was_asked_for_it_ends_the_same() {
    let again = [
        "--retry-delay=0s",
        "--read-write-timeout=2s",
        "--short-timeout=2s",
    ];
    let scratch = Scratch::new("ahead-talks");
    let source = filled(&scratch);
    for (odd, url) in Odd::all(&scratch) {
        run(&scratch, &["backup", &url, text(&source)], &[AT_ONCE]).code(&[0]);
        match &odd {
            Odd::Sftp(root) => {
                let script = root.join("script");
                let files = fs::read_dir(root.join("d")).unwrap().flatten();
                let names = files.map(|e| e.file_name().into_string().unwrap());
                // All that is opened before the second volume, and it.
                let nth = names.filter(|n| !n.contains(".dblock.")).count() + 2;
                let refused = format!("open {nth} status 3:No\n");
                let (open, fstat, close) = (
                    format!("open {nth}"),
                    format!("fstat {nth}"),
                    format!("close {nth}"),
                );
                for kind in ["read 45", "read 60", "read 75", &open, &fstat, &close] {
                    let all = [
                        "die", "status 4", "kill", "cut", "garbage", "bare 4", "hang",
                    ];
                    let few = if kind == "read 45" {
                        &all[..]
                    } else {
                        &all[..2]
                    };
                    for trouble in few {
                        let line = format!("{kind} {trouble}\n");
                        fs::write(&script, &line).unwrap();
                        is_restored(&scratch, &url, &source, &again, &line);
                        assert_eq!(fs::read_to_string(&script).unwrap(), "", "{line}");
                    }
                }
                fs::write(&script, &refused).unwrap();
            }
            Odd::Ftp(server, is_tls) => {
                let says = |reply: &str| Trouble::Says(reply.to_owned());
                let first =
                    || server.script("RETR", ".dblock.", Trouble::After("226 Done.".to_owned()));
                let in_both = vec![
                    Trouble::Cut(300_000),
                    Trouble::Part(300_000, "426 Broken.".to_owned()),
                    Trouble::After("451 Read error.".to_owned()),
                    Trouble::ThenEnds("421 Timeout.".to_owned()),
                    Trouble::Stall(100_000),
                    Trouble::Abrupt,
                ];
                let in_clear = vec![
                    Trouble::Cut(0),
                    Trouble::Cut(1),
                    Trouble::Cut(1_000_000),
                    Trouble::Part(300_000, "226 Done.".to_owned()),
                    Trouble::Part(300_000, "421 Timeout.".to_owned()),
                    Trouble::Ends("421 Timeout.".to_owned()),
                    Trouble::Slow,
                    Trouble::Data(vec![7; 1000]),
                    Trouble::Data(vec![7; 3_000_000]),
                    Trouble::Close,
                    Trouble::Hang,
                    says("425 No connection."),
                    says("450 Busy."),
                ];
                let in_clear = in_clear.into_iter().filter(|_| !is_tls);
                for trouble in in_both.into_iter().chain(in_clear) {
                    let what = format!("{}, {trouble:?}", odd.what());
                    let what: String = what.chars().take(60).collect();
                    first();
                    server.script("RETR", ".dblock.", trouble);
                    is_restored(&scratch, &url, &source, &again, &what);
                    assert_eq!(server.left(), 0, "{what}");
                }
                first();
                server.script("RETR", ".dblock.", says("530 No."));
            }
        }
        let path = format!("--restore-path={}", text(&scratch.at("refused")));
        let _ = fs::remove_dir_all(scratch.at("refused"));
        let ran = run(&scratch, &["restore", &url, &path], &again);
        // What only this one file is refused for costs no other.
        assert_eq!(ran.code, 3, "{}", ran.all());
        let told = ran.all();
        assert!(told.contains("cannot download duplicati-b"), "{told}");
        assert!(!told.contains("attempts"), "{told}");
    }
}
