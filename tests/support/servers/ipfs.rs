//! A real Kubo node, offline on loopback with a repository of its own; a gateway in front of it that lies; a relay that ends the
//! node in the middle of a request.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "shared by several test files; a server that does not run must fail the test"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

/// The program, built if it is missing; `None` where it cannot be had, which is said.
pub fn kubo() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/prepare.d/ipfs");
        let made = Command::new("sh")
            .arg(script)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("sh runs");
        assert!(made.status.success(), ".ci/prepare.d/ipfs failed");
        let path = String::from_utf8(made.stdout).expect("a path");
        (!path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
    });
    if found.is_none() {
        eprintln!("SKIPPED: no Kubo here, so IPFS is not tested against a real node");
    }
    found.as_deref()
}

/// A running node; ends with this value.
pub struct Node {
    program: &'static Path,
    repo: PathBuf,
    child: Option<Child>,
    /// `127.0.0.1:port`.
    pub api: String,
    pub gateway: String,
    shell: Option<String>,
}

fn free_ports() -> [u16; 2] {
    // Both held at once, so that they differ.
    let all = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    all.map(|l| l.local_addr().expect("an address").port())
}

impl Node {
    /// A new node in `folder`, which must be empty.
    pub fn start(program: &'static Path, folder: &Path) -> Node {
        let mut node = Node::prepare(program, folder);
        node.up();
        node
    }

    /// As [`Node::start`], not running yet.
    pub fn prepare(program: &'static Path, folder: &Path) -> Node {
        let [api, gateway] = free_ports();
        let node = Node {
            program,
            repo: folder.to_owned(),
            child: None,
            api: format!("127.0.0.1:{api}"),
            gateway: format!("127.0.0.1:{gateway}"),
            shell: None,
        };
        node.run(&["init", "--empty-repo", "--profile", "server,test"]);
        let port = |n: u16| format!("/ip4/127.0.0.1/tcp/{n}");
        node.run(&["config", "Addresses.API", &port(api)]);
        node.run(&["config", "Addresses.Gateway", &port(gateway)]);
        node.run(&["config", "--json", "Addresses.Swarm", "[]"]);
        node.run(&["config", "--json", "Bootstrap", "[]"]);
        node.run(&["config", "Routing.Type", "none"]);
        node
    }

    /// Runs it on a disk of so many MiB, in a mount namespace of its own. False when that is not possible here.
    pub fn on_small_disk(&mut self, mebibytes: u32) -> bool {
        let able = Command::new("unshare")
            .args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs /tmp"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !able.is_ok_and(|s| s.success()) {
            return false;
        }
        let copy = self.repo.with_extension("copy");
        fs::rename(&self.repo, &copy).expect("renamed");
        fs::create_dir(&self.repo).expect("made");
        self.shell = Some(format!(
            "mount -t tmpfs -o size={mebibytes}m tmpfs '{0}' && cp -r '{1}/.' '{0}' && exec \"$@\"",
            self.repo.display(),
            copy.display()
        ));
        true
    }

    /// Gives the small disk another size.
    pub fn resize_disk(&self, mebibytes: u32) {
        let pid = self.child.as_ref().expect("it runs").id();
        let size = format!("remount,size={mebibytes}m");
        let done = Command::new("nsenter")
            .args(["-t", &pid.to_string(), "-U", "-m", "--preserve-credentials"])
            .args(["mount", "-o", &size])
            .arg(&self.repo)
            .stdin(Stdio::null())
            .status();
        assert!(done.expect("nsenter").success());
    }

    pub fn up(&mut self) {
        assert!(self.child.is_none());
        let log = self.repo.with_extension("log");
        let mut command = match &self.shell {
            None => Command::new(self.program),
            Some(line) => {
                let mut shell = Command::new("unshare");
                shell
                    .args(["-rm", "sh", "-c", line, "sh"])
                    .arg(self.program);
                shell
            }
        };
        let mut child = command
            .args(["daemon", "--offline"])
            .env("IPFS_PATH", &self.repo)
            .env("HOME", &self.repo)
            .env("IPFS_TELEMETRY", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the node starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let ready = lines.any(|line| line.expect("text").contains("Daemon is ready"));
        let log = fs::read_to_string(&log).unwrap_or_default();
        assert!(ready, "the node does not run:\n{log}");
        // Nobody may wait for a full pipe.
        std::thread::spawn(move || for _ in lines {});
        self.child = Some(child);
    }

    /// Its process, to end it from elsewhere.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A command of the program, its output trimmed.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> String {
        let output = Command::new(self.program)
            .args(args)
            .env("IPFS_PATH", &self.repo)
            .env("HOME", &self.repo)
            .env("IPFS_TELEMETRY", "off")
            .stdin(Stdio::null())
            .output()
            .expect("ipfs runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(
            output.status.success(),
            "ipfs {args:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Requests and bytes of replies so far, by the node's own count; `who` is `api` or `gateway`.
    pub fn count(&self, who: &str) -> (u64, u64) {
        let mut tcp = TcpStream::connect(&self.api).expect("it runs");
        let ask = "GET /debug/metrics/prometheus HTTP/1.0\r\nhost: localhost\r\n\r\n";
        tcp.write_all(ask.as_bytes()).expect("sent");
        let mut text = String::new();
        tcp.read_to_string(&mut text).expect("figures");
        let handler = format!("handler=\"{who}\"");
        let sum = |name: &str| {
            let of = |line: &&str| line.starts_with(name) && line.contains(&handler);
            let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
            let sum: f64 = text.lines().filter(of).filter_map(value).sum();
            // Large numbers come as 1.5e+06, and none adds up to -0.
            format!("{:.0}", sum + 0.0).parse().expect("a number")
        };
        (
            sum("ipfs_http_requests_total{"),
            sum("ipfs_http_response_size_bytes_sum{"),
        )
    }

    /// Adds a folder with everything below it; its identifier.
    #[track_caller]
    pub fn add_folder(&self, folder: &Path, more: &[&str]) -> String {
        let mut args = vec!["add", "-r", "-Q", "--pin=false"];
        args.extend(more);
        args.push(folder.to_str().expect("plain"));
        self.run(&args)
    }

    /// A URL of a folder in the node.
    pub fn url(&self, folder: &str, more: &str) -> String {
        format!(
            "ipfs://{}/{folder}?http-proxy=none&retry-delay=0s{more}",
            self.api
        )
    }

    /// A URL of content through the node's gateway.
    pub fn content(&self, cid: &str, more: &str) -> String {
        through(cid, &[&self.gateway], more)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.down();
    }
}

/// A URL of content through gateways.
pub fn through(cid: &str, gateways: &[&str], more: &str) -> String {
    let all: Vec<String> = gateways.iter().map(|g| format!("http://{g}")).collect();
    format!(
        "ipfs://{cid}?http-proxy=none&retry-delay=0s&ipfs-gateway={}{more}",
        all.join(",")
    )
}

/// How a gateway lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Not at all.
    None,
    FlippedByte,
    OtherBlock,
    LoginPage,
    /// Half of the body under its full length.
    Cut,
    /// Half of the body as if it were all.
    Short,
    Endless,
    Missing,
    Busy,
}

/// A gateway in front of another one that lies about what it gets. Its threads end with the process.
pub struct Liar {
    pub address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Liar {
    /// Requests whose target has `part` are lied about.
    pub fn start(behind: &str, lie: Lie, part: &'static str) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (behind, shared) = (behind.to_owned(), seen.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (behind, shared) = (behind.clone(), shared.clone());
                std::thread::spawn(move || {
                    let _ = lie_once(tcp, &behind, lie, part, &shared);
                });
            }
        });
        Liar { address, seen }
    }

    /// Targets asked for.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn lie_once(
    tcp: TcpStream,
    behind: &str,
    lie: Lie,
    part: &str,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(tcp);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let target = head[0].split(' ').nth(1).unwrap_or("").to_owned();
    seen.lock().expect("no panic").push(target.clone());
    let accept = head
        .iter()
        .find(|h| h.to_lowercase().starts_with("accept:"));
    let (mut kind, mut body, status) = fetch(behind, &target, accept.map_or("", |a| a))?;
    let mut out = client.into_inner();
    let lie = if target.contains(part) {
        lie
    } else {
        Lie::None
    };
    let mut length = body.len();
    let mut status = status;
    match lie {
        Lie::None => {}
        Lie::FlippedByte => {
            let at = body.len() / 2;
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1;
            }
        }
        Lie::OtherBlock => body = b"a block that nobody asked for".to_vec(),
        Lie::LoginPage => {
            kind = "text/html; charset=utf-8".to_owned();
            body = b"<html><body>Please log in to use this network</body></html>".to_vec();
        }
        Lie::Cut => body.truncate(length / 2),
        Lie::Short => {
            length /= 2;
            body.truncate(length);
        }
        Lie::Endless => {
            out.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            while out.write_all(&[b'x'; 4096]).is_ok() {}
            return Ok(());
        }
        Lie::Missing => (status, body) = ("404 Not Found".to_owned(), b"no".to_vec()),
        Lie::Busy => (status, body) = ("500 Broken".to_owned(), b"no".to_vec()),
    }
    if !matches!(lie, Lie::Cut) {
        length = body.len();
    }
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    out.write_all(&body)
}

/// Content type, body and status line of a request to the gateway behind.
fn fetch(behind: &str, target: &str, accept: &str) -> std::io::Result<(String, Vec<u8>, String)> {
    let mut tcp = TcpStream::connect(behind)?;
    write!(
        tcp,
        "GET {target} HTTP/1.0\r\nhost: {behind}\r\n{accept}\r\n\r\n"
    )?;
    let mut all = Vec::new();
    tcp.read_to_end(&mut all)?;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.lines().next().unwrap_or("").split_once(' ');
    let kind = head
        .lines()
        .find_map(|l| {
            l.to_lowercase()
                .starts_with("content-type:")
                .then(|| l[13..].trim())
        })
        .unwrap_or("");
    Ok((
        kind.to_owned(),
        all[end + 4..].to_vec(),
        status.map_or("", |s| s.1).to_owned(),
    ))
}

/// A relay that does something once so many bytes of requests have passed, and passes nothing afterwards.
pub struct Relay {
    pub address: String,
}

impl Relay {
    pub fn start(behind: &str, bytes: usize, act: impl FnOnce() + Send + 'static) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let behind = behind.to_owned();
        let left = Arc::new(Mutex::new((bytes, Some(act))));
        std::thread::spawn(move || {
            for up in listener.incoming().flatten() {
                let Ok(down) = TcpStream::connect(&behind) else {
                    continue;
                };
                let (mut from, mut to) = (up.try_clone().unwrap(), down.try_clone().unwrap());
                let left = left.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        let mut left = left.lock().expect("no panic");
                        left.0 = left.0.saturating_sub(n);
                        if left.0 == 0
                            && let Some(act) = left.1.take()
                        {
                            act();
                        }
                        if to.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Both);
                    let _ = from.shutdown(Shutdown::Both);
                });
                let (mut from, mut to) = (down, up);
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        });
        Relay { address }
    }
}
