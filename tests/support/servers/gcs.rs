//! A stub of Google Cloud Storage, which checks tokens, fields, preconditions and digests and lists what a good client never asks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, Server, accepts, free_port, installed};

const KEY: &str = include_str!("../../data/gcs/key.json");

/// A running stub, which keeps everything in memory.
pub struct Gcs {
    pub port: u16,
    /// Key file of the service account that it knows.
    pub key: PathBuf,
    // Stopped in this order.
    _server: Server,
    pub home: Home,
}

impl Gcs {
    pub fn start(more: &[&str]) -> Gcs {
        let home = Home::new("gcs-stub");
        let port = free_port();
        let token = format!("http://127.0.0.1:{port}/token");
        let key = KEY.replace("https://oauth2.googleapis.com/token", &token);
        let key = home.write("key.json", &key);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        command.arg(root.join("tests/data/stubs/gcs.py"));
        command.args([
            "--port",
            &port.to_string(),
            "--sa-json",
            &key.display().to_string(),
        ]);
        command.args(more);
        let mut server = Server::start("gcs.py", command, &home.at("log"));
        server.wait(&|| accepts(port));
        Gcs {
            port,
            key,
            _server: server,
            home,
        }
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A destination URL with the service account.
    pub fn url(&self, place: &str) -> String {
        let login = format!("gcs-service-account-file={}", self.key.display());
        self.with(place, &login)
    }

    pub fn with(&self, place: &str, login: &str) -> String {
        let base = self.base();
        format!("gcs://{place}?gcs-endpoint={base}&http-proxy=none&retry-delay=0s&{login}")
    }

    /// What the stub counted.
    pub fn told(&self) -> serde_json::Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let ask = "GET /_stub HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Another client, with the same service account; what it is to do follows.
    pub fn rclone_command(&self) -> Command {
        let mut command = Command::new(installed("rclone"));
        command
            .args(["--config", "/dev/null", "--gcs-bucket-policy-only"])
            .arg("--gcs-service-account-file")
            .arg(&self.key)
            .arg(format!("--gcs-endpoint={}/storage/v1/", self.base()))
            .env("NO_PROXY", "127.0.0.1");
        command
    }

    pub fn rclone(&self, args: &[&str]) {
        let done = self.rclone_command().args(args).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone: {said}");
    }
}

/// fake-gcs-server, which keeps everything in a folder; it asks for no log-in.
pub struct Fake {
    port: u16,
    // Stopped before its folder goes.
    _server: Server,
    home: Home,
}

/// Where `.ci/prepare.d/gcs` put it.
fn fake_program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(home?.join(".cache")));
    let tool = "duplet-test-tools/fake-gcs-server-v1.56.1/fake-gcs-server";
    cache.unwrap_or_default().join(tool)
}

impl Fake {
    /// `None` where it is not installed.
    pub fn start() -> Option<Fake> {
        let program = fake_program();
        if !program.exists() {
            return None;
        }
        let home = Home::new("gcs-fake");
        let port = free_port();
        let mut command = Command::new(program);
        command.args([
            "-scheme",
            "http",
            "-host",
            "127.0.0.1",
            "-backend",
            "filesystem",
        ]);
        command.arg("-filesystem-root").arg(home.at("objects"));
        // Where uploads are gone on with: without it the server names another place for them.
        command
            .arg("-external-url")
            .arg(format!("http://127.0.0.1:{port}"));
        command.args(["-port", &port.to_string()]);
        let mut server = Server::start("fake-gcs-server", command, &home.at("log"));
        server.wait(&|| accepts(port));
        let _server = server;
        Some(Fake {
            port,
            _server,
            home,
        })
    }

    pub fn url(&self, place: &str) -> String {
        let base = format!("http://127.0.0.1:{}", self.port);
        format!(
            "gcs://{place}?gcs-endpoint={base}&gcs-project=p&http-proxy=none&retry-delay=0s&number-of-retries=1"
        )
    }

    /// The folder here that has what the server stored under this name.
    pub fn stored(&self, place: &str) -> PathBuf {
        self.home.at("objects").join(place)
    }
}
