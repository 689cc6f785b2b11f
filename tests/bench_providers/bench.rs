//! Volumes to the services of providers and back, beside rclone on the same servers of this machine: seconds on the clock and
//! of the processor, and memory, as a table in Markdown. `VOLUMES=N` of `MIB=M` each; default 8 of 16. `DUPLET=PROGRAM`: else the
//! one that is built for it.
//!
//! Judges nothing, but compares what came back. Both programs run once for each volume, as who scripts it would have it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails where it stands"
)]
#![allow(dead_code, reason = "the tests' support is used in part")]

#[path = "../support/servers/mod.rs"]
mod servers;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use servers::gcs::Gcs;
use servers::s3::{self, S3};
use servers::{Home, azure, installed};

/// A destination with its URL, and how rclone names the same place.
struct Place {
    name: &'static str,
    url: String,
    rclone: Box<dyn Fn() -> Command>,
    /// Bucket and folder for rclone, with the remote before it.
    remote: String,
}

/// What runs cost together: seconds on the clock, seconds of the processor, highest resident memory in KiB.
#[derive(Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak: f64,
}

impl Cost {
    /// Runs a program to its end.
    fn add(&mut self, command: &Command) {
        let mut timed = Command::new("/usr/bin/time");
        timed.args(["-q", "-f", "%U %S %M"]);
        timed.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            timed.env(name, value.unwrap_or_default());
        }
        let began = Instant::now();
        let done = timed.stdin(Stdio::null()).output().unwrap();
        self.wall += began.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let figures: Vec<f64> = last.split(' ').map(|f| f.parse().unwrap()).collect();
        self.cpu += figures[0] + figures[1];
        self.peak = self.peak.max(figures[2]);
    }

    fn show(&self, place: &str, what: &str, program: &str) {
        println!(
            "| {place} | {what} | {program} | {:.2} | {:.2} | {:.1} |",
            self.wall,
            self.cpu,
            self.peak / 1024.0
        );
    }
}

fn encode(text: &str) -> String {
    let text = text.replace('%', "%25").replace('+', "%2B");
    text.replace('/', "%2F").replace(':', "%3A")
}

fn rclone() -> Command {
    let mut command = Command::new(installed("rclone"));
    command.args(["--config", "/dev/null"]);
    command.env("NO_PROXY", "127.0.0.1");
    command
}

/// What gives the keys of a server for every access grant; runs until the program ends.
fn exchange(server: &S3) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = serde_json::json!({
        "access_key_id": server.key, "secret_key": server.secret, "endpoint": server.endpoint(),
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut len) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    len = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; len]).unwrap();
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    address
}

/// The places on one S3 server, each by the options of its own scheme.
fn like_s3(server: &S3) -> Vec<Place> {
    let (key, secret) = (server.key, server.secret);
    let (at, region) = (server.endpoint(), server.region);
    let exchange = exchange(server);
    let url = |scheme: &str| match scheme {
        "cos" => format!(
            "cos://f?cos-bucket=cos&cos-app-id=125&cos-region={region}&s3-server-name={at}&cos-secret-id={key}&cos-secret-key={}",
            encode(secret)
        ),
        "aliyunoss" => format!(
            "aliyunoss://f?oss-bucket=oss&oss-endpoint={at}&oss-access-key-id={key}&oss-access-key-secret={}",
            encode(secret)
        ),
        _ => format!(
            "storj://?storj-auth-method=Access%20grant&storj-bucket=storj&storj-folder=f&storj-auth-service=http://{exchange}&storj-shared-access=grant"
        ),
    };
    [("cos", "cos-125"), ("aliyunoss", "oss"), ("storj", "storj")]
        .into_iter()
        .map(|(name, bucket)| {
            let (at, region) = (at.clone(), region.to_owned());
            Place {
                name,
                url: url(name),
                remote: format!(":s3:{bucket}/f"),
                rclone: Box::new(move || {
                    let mut command = rclone();
                    command
                        .args(["--s3-provider", "Other", "--s3-endpoint", &at])
                        .args(["--s3-access-key-id", key, "--s3-secret-access-key", secret])
                        .args(["--s3-region", &region, "--s3-no-check-bucket"])
                        .args(["--s3-upload-cutoff", "200M"]);
                    command
                }),
            }
        })
        .collect()
}

/// Puts and gets every volume by both programs in turn.
fn measure(place: &Place, program: &str, home: &Home, names: &[String]) {
    let duplet = |args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(["remote", args[0], &place.url])
            .args(&args[1..]);
        command.env("DUPLET_CACHE", home.at("cache"));
        command.env("NO_PROXY", "127.0.0.1");
        command
    };
    let path = |folder: &str, name: &str| home.at(folder).join(name).display().to_string();
    let theirs = |args: [&str; 2]| {
        let mut command = (place.rclone)();
        command.args(["--ignore-times", "--transfers", "1", "--checkers", "1"]);
        command
            .args(["--multi-thread-streams", "1", "copyto"])
            .args(args);
        command
    };
    Cost::default().add(&duplet(&["mkdir"]));
    for what in ["put", "get"] {
        let (mut ours, mut beside) = (Cost::default(), Cost::default());
        for name in names {
            let from = path("from", name);
            let there = format!("{}/theirs-{name}", place.remote);
            let back = home.at("back");
            let _ = fs::remove_dir_all(&back);
            fs::create_dir(&back).unwrap();
            let (one, two) = (path("back", "one"), path("back", "two"));
            if what == "put" {
                ours.add(&duplet(&["put", name, &from]));
                beside.add(&theirs([&from, &there]));
                continue;
            }
            ours.add(&duplet(&["get", name, &one]));
            beside.add(&theirs([&there, &two]));
            let want = fs::read(&from).unwrap();
            for got in [&one, &two] {
                assert!(fs::read(got).unwrap() == want, "{} {name}", place.name);
            }
        }
        ours.show(place.name, what, "duplet");
        beside.show(place.name, what, "rclone");
    }
}

/// Incompressible, different for each `seed`.
fn fill(path: &Path, mut seed: u64, len: usize) {
    let mut data = Vec::with_capacity(len);
    seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while data.len() < len {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        data.extend_from_slice(&seed.to_le_bytes());
    }
    fs::write(path, data).unwrap();
}

fn main() {
    let number = |name: &str, default: usize| {
        let given = std::env::var(name).ok();
        given.and_then(|n| n.parse().ok()).unwrap_or(default)
    };
    let (volumes, mib) = (number("VOLUMES", 8), number("MIB", 16));
    let own = env!("CARGO_BIN_EXE_duplet").to_owned();
    let program = std::env::var("DUPLET").unwrap_or(own);
    let home = Home::new("bench-providers");
    fs::create_dir(home.at("from")).unwrap();
    let names: Vec<String> = (0..volumes).map(|n| format!("volume-{n}.bin")).collect();
    for (name, seed) in names.iter().zip(1..) {
        fill(&home.at("from").join(name), seed, mib << 20);
    }
    println!("| service | what | program | s | CPU s | peak MiB |\n|---|---|---|---|---|---|");
    if let Some(server) = azure::start() {
        let endpoint = server.endpoint();
        let place = Place {
            name: "azure",
            url: server.with_key("bench"),
            remote: ":azureblob:bench/f".to_owned(),
            rclone: Box::new(move || {
                let mut command = rclone();
                command
                    .args(["--azureblob-account", azure::ACCOUNT])
                    .args(["--azureblob-key", azure::KEY])
                    .args(["--azureblob-endpoint", &endpoint]);
                command
            }),
        };
        measure(&place, &program, &home, &names);
    }
    {
        let stub = Gcs::start(&["--bucket", "bench"]);
        let (url, args) = (stub.url("bench/f"), stub.rclone_command());
        let place = Place {
            name: "gcs",
            url,
            remote: ":gcs:bench/f".to_owned(),
            rclone: Box::new(move || {
                let mut command = rclone();
                command.args(args.get_args());
                command
            }),
        };
        measure(&place, &program, &home, &names);
    }
    {
        let swift = s3::swift();
        let auth = format!("{}/auth/v1.0", swift.endpoint());
        let place = Place {
            name: "openstack",
            url: format!(
                "openstack://bench/f?openstack-authuri={auth}&auth-username=test%3Atester&auth-password=testing"
            ),
            remote: ":swift:bench/f".to_owned(),
            rclone: Box::new(move || {
                let mut command = rclone();
                command.args(["--swift-auth", &auth, "--swift-user", "test:tester"]);
                command.args(["--swift-key", "testing"]);
                command
            }),
        };
        measure(&place, &program, &home, &names);
    }
    let server = s3::juicefs();
    for place in like_s3(&server) {
        measure(&place, &program, &home, &names);
    }
}
