//! A real grid of Tahoe-LAFS on loopback: an introducer, and one node that stores everything and is the gateway; and Tahoe's own
//! client.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "shared by several test files; a server that does not run must fail the test"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Home, Server, free_port};

/// A running grid.
pub struct Grid {
    pub port: u16,
    // Stopped in this order.
    node: Option<Server>,
    _introducer: Server,
    pub home: Home,
}

fn venv() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv-tahoe")
}

fn tahoe(args: &[&str]) -> Command {
    let mut command = Command::new(venv().join("bin/tahoe"));
    command.args(args).env("LANG", "C.UTF-8");
    command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
    command
}

/// What it prints, trimmed.
#[track_caller]
fn ran(mut command: Command) -> String {
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// How a node listens, and says where.
fn listens(port: u16) -> [String; 3] {
    [
        "--listen=tcp".to_owned(),
        format!("--port=tcp:{port}:interface=127.0.0.1"),
        format!("--location=tcp:127.0.0.1:{port}"),
    ]
}

/// `None` where it is not installed, which is said.
pub fn start() -> Option<Grid> {
    if !venv().join("ready-1").exists() {
        eprintln!("Tahoe-LAFS is not installed, so nothing was tested: run .ci/prepare.d/tahoe");
        return None;
    }
    let home = Home::new("tahoe");
    let folder = |name: &str| home.at(name).to_str().unwrap().to_owned();
    let mut make = tahoe(&["create-introducer"]);
    make.args(listens(free_port())).arg(folder("introducer"));
    ran(make);
    let mut run = tahoe(&["run", "--allow-stdin-close", "."]);
    run.current_dir(home.at("introducer"));
    let mut introducer = Server::start("tahoe", run, &home.at("introducer.log"));
    let told = home.at("introducer/private/introducer.furl");
    introducer.wait(&|| fs::metadata(&told).is_ok_and(|m| m.len() > 0));
    let port = free_port();
    let mut make = tahoe(&["create-node", "--shares-needed=1", "--shares-happy=1"]);
    make.args(["--shares-total=1", "--nickname=node"]);
    make.args(listens(free_port()));
    make.arg(format!("--webport=tcp:{port}:interface=127.0.0.1"));
    let introduced = fs::read_to_string(&told).unwrap();
    make.arg(format!("--introducer={}", introduced.trim()));
    make.arg(folder("node"));
    ran(make);
    let mut grid = Grid {
        port,
        node: None,
        _introducer: introducer,
        home,
    };
    grid.reserve("0");
    Some(grid)
}

impl Grid {
    /// Starts the node, again if it runs, with so much of its disk for others.
    pub fn reserve(&mut self, space: &str) {
        self.down();
        let path = self.home.at("node/tahoe.cfg");
        let line = |line: &str| match line.starts_with("reserved_space") {
            true => format!("reserved_space = {space}\n"),
            false => format!("{line}\n"),
        };
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains("reserved_space"));
        let config: String = config.lines().map(line).collect();
        // The newer protocol takes a store for gone, for a second, that does not answer at once on a busy machine.
        let steady = "force_foolscap = true\n";
        let config = match config.contains(steady) {
            true => config,
            false => ["[client]\n", "[storage]\n"]
                .iter()
                .fold(config, |config, part| {
                    config.replace(part, &format!("{part}{steady}"))
                }),
        };
        fs::write(&path, config).unwrap();
        let mut run = tahoe(&["run", "--allow-stdin-close", "."]);
        run.current_dir(self.home.at("node"));
        let mut node = Server::start("tahoe", run, &self.home.at("node.log"));
        let is_ready = || {
            let told = self.ask("GET", "/?t=json");
            told.contains("\"connection_status\": \"Connected to ")
        };
        node.wait(&is_ready);
        self.node = Some(node);
    }

    /// Stops the gateway, and the only place where shares are.
    pub fn down(&mut self) {
        self.node = None;
    }

    /// What is answered, with its head; empty when nobody does.
    fn ask(&self, method: &str, target: &str) -> String {
        let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let ask = format!(
            "{method} {target} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let mut out = String::new();
        let _ = tcp.write_all(ask.as_bytes());
        let _ = tcp.read_to_string(&mut out);
        out
    }

    fn client(&self, words: &[&str], rest: &[&str]) -> String {
        let mut command = tahoe(words);
        command
            .arg("-u")
            .arg(format!("http://127.0.0.1:{}", self.port));
        command.args(rest);
        ran(command)
    }

    /// A new directory: its capability.
    pub fn make(&self) -> String {
        let made = self.client(&["mkdir"], &[]);
        assert!(made.starts_with("URI:DIR2:"), "{made}");
        made
    }

    /// The capability that only reads what another one changes.
    pub fn read_only(&self, capability: &str) -> String {
        let told = self.ask("GET", &format!("/uri/{capability}?t=readonly-uri"));
        let body = told.split("\r\n\r\n").nth(1).unwrap().trim().to_owned();
        assert!(body.starts_with("URI:DIR2-RO:"), "{told}");
        body
    }

    /// Copies all files of a folder of the grid into one of this machine that is not there yet.
    pub fn fetch(&self, from: &str, to: &Path) {
        let aside = self.home.at("fetched");
        let _ = fs::remove_dir_all(&aside);
        fs::create_dir(&aside).unwrap();
        let from = from.trim_end_matches('/');
        self.client(&["cp", "-r"], &[from, aside.to_str().unwrap()]);
        let last = from.rsplit('/').next().unwrap();
        fs::rename(aside.join(last), to).unwrap();
    }

    /// Copies all files of a folder of this machine into one of the grid, which is made.
    pub fn store(&self, from: &Path, to: &str) {
        let path = |file: std::io::Result<fs::DirEntry>| {
            let path = file.unwrap().path();
            path.to_str().unwrap().to_owned()
        };
        let files: Vec<String> = fs::read_dir(from).unwrap().map(path).collect();
        let mut all: Vec<&str> = files.iter().map(String::as_str).collect();
        all.push(to.trim_end_matches('/'));
        self.client(&["cp"], &all);
    }

    /// Loses all shares that are stored but for those of directories, which are small here.
    pub fn lose_files(&self) -> usize {
        let shares = self.home.at("node/storage/shares");
        let mut lost = 0;
        for prefix in fs::read_dir(shares).unwrap() {
            for index in fs::read_dir(prefix.unwrap().path()).unwrap() {
                for share in fs::read_dir(index.unwrap().path()).unwrap() {
                    let share = share.unwrap().path();
                    let begin = fs::read(&share).unwrap();
                    // Shares of what can change have a mark.
                    if !begin.starts_with(b"Tahoe mutable container") {
                        fs::remove_file(&share).unwrap();
                        lost += 1;
                    }
                }
            }
        }
        lost
    }

    /// A destination URL of a place behind a capability.
    pub fn url(&self, place: &str) -> String {
        format!(
            "tahoe://127.0.0.1:{}/uri/{place}?http-proxy=none&retry-delay=1s",
            self.port
        )
    }
}
