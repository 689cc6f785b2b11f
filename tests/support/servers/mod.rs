//! Real servers for the tests, as children of the test: started on free ports of this machine, asked until they answer,
//! stopped by process id, their data removed.
//!
//! Installs nothing: `.ci/prepare` does, by the fragments in `.ci/prepare.d`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a server that does not start must fail the test"
)]

pub mod account;
pub mod azure;
pub mod b2;
pub mod cloud;
pub mod gcs;
pub mod onedrive;
pub mod s3;
pub mod tahoe;
pub mod tls;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

const INSTALL: &str = "run .ci/prepare first";
/// What a server may need to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Python environment of the servers.
pub fn venv() -> PathBuf {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv");
    assert!(
        venv.join("bin/python").exists(),
        "{} is missing: {INSTALL}",
        venv.display()
    );
    venv
}

/// A program of the environment; fails with advice when it is not there.
pub fn installed(name: &str) -> PathBuf {
    let path = venv().join("bin").join(name);
    assert!(path.exists(), "{} is missing: {INSTALL}", path.display());
    path
}

/// A port that nobody listens on now; below 32768, where no outgoing connection takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    if *next == 0 {
        *next = 11_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    }
    for _ in 0..5000 {
        *next = if *next >= 32_000 { 11_000 } else { *next + 1 };
        if TcpListener::bind(("127.0.0.1", *next)).is_ok() {
            return *next;
        }
    }
    panic!("no free port");
}

/// A running program; stopped when dropped.
pub struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts `command` with its output in `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Server {
        let out = fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{name} does not start ({e}): {INSTALL}"));
        Server {
            child,
            name: name.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Asks until `ready` says so.
    pub fn wait(&mut self, ready: &dyn Fn() -> bool) {
        let begun = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{} is not ready ({ended:?}):\n{}",
                self.name,
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// True when something accepts connections there.
pub fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// True when `GET path` there is answered with 200.
pub fn answers(port: u16, path: &str) -> bool {
    let Ok(mut tcp) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = tcp.set_read_timeout(Some(Duration::from_secs(2)));
    let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut head = [0; 12];
    tcp.write_all(ask.as_bytes()).is_ok()
        && tcp.read_exact(&mut head).is_ok()
        && head.ends_with(b" 200")
}

/// A folder for a server's data; removed when dropped.
pub struct Home(PathBuf);

impl Home {
    pub fn new(name: &str) -> Home {
        static COUNT: Mutex<u32> = Mutex::new(0);
        let mut count = COUNT.lock().unwrap();
        *count += 1;
        // Not as a scratch folder of a test may be called.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-s{count}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a writable target folder");
        Home(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One server for all tests that want it at the same time; it stops with the last of them.
pub struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub const fn new() -> Shared<T> {
        Shared(Mutex::new(Weak::new()))
    }

    pub fn get(&self, start: impl FnOnce() -> T) -> Arc<T> {
        let mut held = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(there) = held.upgrade() {
            return there;
        }
        let made = Arc::new(start());
        *held = Arc::downgrade(&made);
        made
    }
}

/// A provider's own client: see `tests/outside/cloud_clients.py`. False where it is not installed.
pub fn cloud_client(args: &[&str], env: &[(&str, &str)]) -> bool {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv-clients");
    if !venv.join("ready-1").exists() {
        return false;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(venv.join("bin/python"))
        .arg(root.join("tests/outside/cloud_clients.py"))
        .args(args)
        .envs(env.iter().copied())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {said}");
    true
}
