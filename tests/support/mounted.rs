//! A backup that is mounted by the program, and taken away at the end, however that comes.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Scratch, text};

/// Patience with a machine under load.
const LONG: Duration = Duration::from_secs(120);

/// Says something that is seen although the test succeeds.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "\nmount: NOT TESTED: {line}");
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// True where a test may mount; else that is said.
pub fn can_mount() -> bool {
    let line = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    if let Err(e) = line {
        say(&format!("/dev/fuse cannot be opened: {e}"));
        return false;
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let rights = u64::from_str_radix(rights.unwrap_or("0").trim(), 16).unwrap_or(0);
    // CAP_SYS_ADMIN.
    let may = match is_root() {
        true => rights & 1 << 21 != 0,
        false => Command::new("fusermount3")
            .arg("--version")
            .output()
            .is_ok(),
    };
    if !may {
        say("this process has no right to mount, and there is no fusermount3");
    }
    may
}

/// Takes a mount away that nobody answers for.
pub fn take_away(folder: &Path) {
    for (program, how) in [("umount", "-l"), ("fusermount3", "-uz")] {
        let done = Command::new(program)
            .arg(how)
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        if done.is_ok_and(|s| s.success()) {
            return;
        }
    }
}

/// The program, while it answers for a folder.
pub struct Mounted {
    child: Option<Child>,
    id: u32,
    folder: PathBuf,
    said: Arc<Mutex<String>>,
}

impl Mounted {
    /// Mounts `dest` of the scratch folder.
    #[track_caller]
    pub fn start(scratch: &Scratch, more: &[&str]) -> Mounted {
        Mounted::start_of(scratch, text(&scratch.at("dest")), more)
    }

    #[track_caller]
    pub fn start_of(scratch: &Scratch, url: &str, more: &[&str]) -> Mounted {
        let folder = scratch.folder("mount");
        let args = [&["mount", url, text(&folder)], more].concat();
        let mounted = Mounted::run(scratch.command(&args), folder);
        assert!(mounted.is_ready(), "{}", mounted.said());
        mounted
    }

    fn run(mut command: Command, folder: PathBuf) -> Mounted {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let into = said.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *into.lock().unwrap() += &format!("{line}\n");
            }
            *into.lock().unwrap() += "(end)\n";
        });
        Mounted {
            id: child.id(),
            child: Some(child),
            folder,
            said,
        }
    }

    fn is_ready(&self) -> bool {
        self.hears("mounted on ") && !self.said().contains("(end)")
    }

    /// Waits until the program said this, or ended.
    fn hears(&self, part: &str) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            let said = self.said();
            if said.contains(part) || said.contains("(end)") {
                return said.contains(part);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// What it said so far on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Highest resident memory so far.
    pub fn peak_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.id.to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Stops it; what it said.
    #[track_caller]
    pub fn end(self, signal: &str, code: i32) -> String {
        self.signal(signal);
        self.wait(code)
    }

    /// Waits for its end; `code` is minus the signal that killed it. Unless it was killed the folder is empty again.
    #[track_caller]
    pub fn wait(mut self, code: i32) -> String {
        use std::os::unix::process::ExitStatusExt;
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(ended) => break ended,
                None if begun.elapsed() > LONG => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!("it does not end: {}", self.said());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.hears("(end)");
        let said = self.said();
        let got = ended.code().or(ended.signal().map(|s| -s)).unwrap();
        assert_eq!(got, code, "{said}");
        assert!(
            !said.contains("internal error") && !said.contains("panicked"),
            "{said}"
        );
        if code >= 0 {
            let left = crate::support::names(&self.folder);
            assert!(left.is_empty() && self.folder.is_dir(), "{left:?} {said}");
        }
        said
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            take_away(&self.folder);
        }
    }
}
