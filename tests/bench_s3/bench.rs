//! Volumes to and from an S3 server on this machine, beside rclone on the same server in the same run: time, CPU and memory
//! as they are and as ratios. `VOLUMES=N` of 50 MiB each; default 8. `TLS=1`: through nginx. Then the same beside rclone on one
//! Apache, over WebDAV.
//!
//! Judges nothing: machines differ. Only the ratios can be compared.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and fails where it stands"
)]
#![allow(dead_code, reason = "the tests' support is used in part")]

#[path = "../support/servers/mod.rs"]
mod servers;
#[path = "../support/servers/webdav.rs"]
mod webdav;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use servers::s3::{self, S3};
use servers::tls::{Flaw, Tls};

use servers::{Home, installed};

const VOLUME_BYTES: usize = 50 << 20;

/// What a run cost: seconds, seconds of CPU in all its threads, highest resident memory.
struct Cost {
    wall: f64,
    cpu: f64,
    peak_kib: u64,
    code: i32,
}

/// Runs a program to its end; reads its figures when it has ended and before it is reaped.
fn measure(command: &mut Command) -> Cost {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file =
        |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap_or_default();
    let mut peak_kib = 0;
    let ticks: f64 = loop {
        let status = file("status");
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak.unwrap_or(0).max(peak_kib);
        let stat = file("stat");
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        if matches!(fields.first(), None | Some(&"Z")) {
            let tick = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok());
            break tick(11).unwrap_or(0.0) + tick(12).unwrap_or(0.0);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Cost {
        wall: start.elapsed().as_secs_f64(),
        cpu: ticks / 100.0,
        peak_kib,
        code: child.wait().unwrap().code().unwrap_or(-1),
    }
}

/// Incompressible, different for each `seed`.
fn fill(path: &Path, mut seed: u64) {
    let mut data = Vec::with_capacity(VOLUME_BYTES);
    seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while data.len() < VOLUME_BYTES {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        data.extend_from_slice(&seed.to_le_bytes());
    }
    fs::write(path, data).unwrap();
}

struct Line<'a> {
    server: &'a S3,
    tls: Option<Tls>,
}

impl Line<'_> {
    /// One run per file: what a person who scripts it would do, and the same for both programs.
    fn duplet(&self, args: &[&str], place: &str) -> Cost {
        let url = self.server.url(place, "");
        let url = match &self.tls {
            None => url,
            Some(tls) => url.replace("use-ssl=false", "use-ssl=true").replace(
                &format!("127.0.0.1:{}", self.server.port),
                &format!("localhost:{}", tls.port(Flaw::None)),
            ),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_duplet"));
        command.args(["remote", args[0], &url]).args(&args[1..]);
        if let Some(tls) = &self.tls {
            command.arg(format!("--ssl-ca-file={}", tls.ca().display()));
        }
        done("duplet", measure(&mut command))
    }

    fn rclone(&self, args: &[&str]) -> Cost {
        let endpoint = match &self.tls {
            None => self.server.endpoint(),
            Some(tls) => format!("https://localhost:{}", tls.port(Flaw::None)),
        };
        let mut command = Command::new(installed("rclone"));
        command
            .args(["--config", "/dev/null", "--s3-provider", "Other"])
            .args(["--s3-endpoint", &endpoint, "--s3-no-check-bucket"])
            .args(["--s3-access-key-id", self.server.key])
            .args(["--s3-secret-access-key", self.server.secret])
            .args(["--s3-region", self.server.region, "--transfers", "1"])
            .args(["--s3-upload-cutoff", "200M", "--multi-thread-streams", "1"])
            .args(["--ignore-times", "--checkers", "1"])
            .args(args);
        if let Some(tls) = &self.tls {
            command.arg("--ca-cert").arg(tls.ca());
        }
        done("rclone", measure(&mut command))
    }
}

fn done(name: &str, cost: Cost) -> Cost {
    assert_eq!(cost.code, 0, "{name} failed");
    cost
}

fn sum(costs: Vec<Cost>) -> Cost {
    costs.into_iter().fold(
        Cost {
            wall: 0.0,
            cpu: 0.0,
            peak_kib: 0,
            code: 0,
        },
        |a, b| Cost {
            wall: a.wall + b.wall,
            cpu: a.cpu + b.cpu,
            peak_kib: a.peak_kib.max(b.peak_kib),
            code: 0,
        },
    )
}

fn main() {
    let number = |name: &str, default: usize| {
        let given = std::env::var(name).ok();
        given.and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let volumes = number("VOLUMES", 8);
    let server = s3::juicefs();
    let line = Line {
        tls: (number("TLS", 0) == 1).then(|| Tls::in_front_of(server.port)),
        server: &server,
    };
    let home = Home::new("bench-s3");
    fs::create_dir(home.at("from")).unwrap();
    let names: Vec<String> = (0..volumes).map(|n| format!("volume-{n}.bin")).collect();
    for (n, name) in names.iter().enumerate() {
        fill(&home.at("from").join(name), n as u64 + 1);
    }
    line.duplet(&["mkdir"], "bench");
    let path = |folder: &str, name: &str| home.at(folder).join(name).display().to_string();
    println!("S3: {volumes} volumes of 50 MiB, one after the other; wall s, cpu s, peak MiB");
    let show = |what: &str, ours: Cost, theirs: Cost| {
        for (name, cost) in [("duplet", &ours), ("rclone", &theirs)] {
            println!(
                "{what} {name}: {:.2} {:.2} {:.1}  ({:.0} MiB/s)",
                cost.wall,
                cost.cpu,
                cost.peak_kib as f64 / 1024.0,
                volumes as f64 * 50.0 / cost.wall
            );
        }
        println!(
            "{what} duplet / rclone: wall {:.2}, cpu {:.2}, memory {:.2}",
            ours.wall / theirs.wall,
            ours.cpu / theirs.cpu,
            ours.peak_kib as f64 / theirs.peak_kib as f64
        );
    };
    // Alternating, so that both meet the same server.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for name in &names {
        ours.push(line.duplet(&["put", name, &path("from", name)], "bench/ours"));
        theirs.push(line.rclone(&[
            "copyto",
            &path("from", name),
            &format!(":s3:bench/theirs/{name}"),
        ]));
    }
    show("put", sum(ours), sum(theirs));
    fs::create_dir(home.at("ours")).unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for name in &names {
        ours.push(line.duplet(&["get", name, &path("ours", name)], "bench/ours"));
        theirs.push(line.rclone(&[
            "copyto",
            &format!(":s3:bench/theirs/{name}"),
            &path("theirs", name),
        ]));
    }
    show("get", sum(ours), sum(theirs));
    let Some(apache) = webdav::Server::start(webdav::Kind::Apache) else {
        return;
    };
    println!("WebDAV, Apache: the same volumes");
    let url = apache.url("basic/ours", "");
    let ours = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_duplet"));
        command.args(["remote", args[0], &url]).args(&args[1..]);
        done("duplet", measure(&mut command))
    };
    let word = Command::new(installed("rclone"))
        .args(["obscure", webdav::PASSWORD])
        .output()
        .unwrap();
    let word = String::from_utf8(word.stdout).unwrap();
    let place = format!("http://127.0.0.1:{}/basic", apache.port);
    let theirs = |from: &str, to: &str| {
        let mut command = Command::new(installed("rclone"));
        command
            .args([
                "--config",
                "/dev/null",
                "--webdav-url",
                &place,
                "--webdav-user",
                "duplet",
            ])
            .args([
                "--webdav-pass",
                word.trim(),
                "--ignore-times",
                "--transfers",
                "1",
            ])
            .args(["--multi-thread-streams", "1", "copyto", from, to]);
        done("rclone", measure(&mut command))
    };
    ours(&["mkdir"]);
    for folder in ["dav-ours", "dav-theirs"] {
        fs::create_dir(home.at(folder)).unwrap();
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for name in &names {
        a.push(ours(&["put", name, &path("from", name)]));
        b.push(theirs(
            &path("from", name),
            &format!(":webdav:theirs-{name}"),
        ));
    }
    show("put", sum(a), sum(b));
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for name in &names {
        a.push(ours(&["get", name, &path("dav-ours", name)]));
        b.push(theirs(
            &format!(":webdav:theirs-{name}"),
            &path("dav-theirs", name),
        ));
    }
    show("get", sum(a), sum(b));
}
