//! What the black-box tests share: fixtures, scratch folders, running the program, made trees, comparing and damaging.
//!
//! Nothing but `craft`, `crypt` and `zip` knows the remote format: the tests see the program as its user does.

// Each test file compiles its own copy and uses its own part.
#![allow(dead_code)]

pub mod craft;
pub mod crypt;
pub mod harm;
pub mod life;
pub mod proxy;
pub mod rand;
pub mod servers;
pub mod snapshot;
pub mod steer;
pub mod tree;
pub mod trip;
pub mod zip;

pub use rand::Rand;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Waits until something is so; two minutes are more than any machine needs.
pub fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    panic!("never: {what}");
}

/// The folder of one backup written by Duplicati. The only place that knows where they are.
pub fn fixture(name: &str) -> PathBuf {
    fixture_root().join(name)
}

/// A destination of which Duplicati deleted versions, or one that lost volumes; see `tests/data/lifecycle/README.md`.
pub fn lifecycle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/lifecycle")
        .join(name)
        .join("before")
}

/// The names of all fixtures there are, sorted.
pub fn fixture_names() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixture_root())
        .expect("fixtures are part of the tree")
        .map(|e| e.expect("a readable folder"))
        .filter(|e| e.path().is_dir())
        .map(|e| e.file_name().into_string().expect("plain names"))
        .collect();
    names.sort();
    names
}

/// The option without which a fixture does not open.
pub fn opens_with(name: &str) -> Option<&'static str> {
    Some(match name {
        "aes" | "gpg" => "--passphrase=abc",
        "compacted-aes" => "--passphrase=päss wörd 語",
        "four-versions-aes" => "--passphrase=correct horse battery staple",
        _ => return None,
    })
}

/// What differs between two restores of a fixture: without metadata, times are those of the restore.
pub fn differs(name: &str) -> snapshot::But {
    snapshot::But {
        mtime: name == "skip-metadata",
        ..Default::default()
    }
}

/// Highest resident memory of a run in KiB, as far as looking all the time shows it, and how the run ended.
pub fn peak_kib(mut child: Child) -> (u64, ExitStatus) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let told = fs::read_to_string(&status).unwrap_or_default();
        let line = told.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            return (peak, ended);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// A run whose standard output is no text: its exit code, and what it says on standard error.
#[track_caller]
pub fn check(ran: &Output, code: i32, says: &str) {
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(code), "{said}");
    assert!(said.contains(says), "expected {says:?}: {said}");
    assert!(!said.contains("internal error") && !said.contains("panicked"));
}

/// Names and bytes of all files of a folder, in the order of [`names`].
pub fn contents(folder: &Path) -> Vec<(OsString, Vec<u8>)> {
    let all = names(folder).into_iter();
    all.map(|n| (n.clone(), fs::read(folder.join(n)).expect("a file")))
        .collect()
}

fn fixture_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fixtures")
}

/// A scratch folder of its own with a home, a temporary and a cache folder in it; removed when dropped.
pub struct Scratch {
    root: PathBuf,
}

/// What a run of the program left behind.
pub struct Ran {
    /// Exit code; minus the signal's number when it was killed.
    pub code: i32,
    pub out: String,
    pub err: String,
    /// The command line, for messages.
    pub line: String,
}

impl Scratch {
    pub fn new(label: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{label}-{}-{n}", std::process::id()));
        for sub in ["home", "tmp", "cache"] {
            fs::create_dir_all(root.join(sub)).expect("a writable target folder");
        }
        Scratch { root }
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A path inside; nothing is made.
    pub fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A new, empty folder inside.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).expect("a writable target folder");
        path
    }

    /// The program with a clean environment, no standard input and arguments given. DUPLET=PROGRAM: another build of it.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let program = std::env::var("DUPLET");
        let program = program.as_deref().unwrap_or(env!("CARGO_BIN_EXE_duplet"));
        self.other(&[program], args)
    }

    /// As [`Scratch::command`], with other words before the arguments: another build, an emulator.
    pub fn other<S: AsRef<OsStr>>(&self, words: &[&str], args: &[S]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("tmp"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // The tests of `walks.rs` are those of other files on another system.
        if env!("CARGO_CRATE_NAME") == "walks" {
            steer::without_openat2(&mut command, 38);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        finish(self.command(args), args)
    }

    /// As [`Scratch::run`] with further environment variables.
    pub fn run_env<S: AsRef<OsStr>>(&self, args: &[S], env: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        finish(command, args)
    }

    /// As [`Scratch::run`] where no file may grow beyond so many units of 512 bytes, as on a full disk.
    pub fn run_within<S: AsRef<OsStr>>(&self, units: u32, args: &[S]) -> Ran {
        let limit = format!("ulimit -f {units}; exec \"$@\"");
        let program = env!("CARGO_BIN_EXE_duplet");
        finish(self.other(&["sh", "-c", &limit, "sh", program], args), args)
    }

    /// Starts the program and returns at once, with its output thrown away.
    pub fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Child {
        self.command(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// Names left in the temporary folder: there must never be any.
    pub fn left_in_tmp(&self) -> Vec<OsString> {
        names(&self.at("tmp"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "a failing test says where to look")]
            {
                eprintln!("kept for a look: {}", self.root.display());
            }
            return;
        }
        // A folder without write permission inside would keep root's tests clean but not a user's.
        let _ = Command::new("chmod")
            .args(["-R", "u+rwX"])
            .arg(&self.root)
            .stderr(Stdio::null())
            .status();
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Runs a command of [`Scratch::command`] to its end; `args` are for messages.
pub fn finish<S: AsRef<OsStr>>(mut command: Command, args: &[S]) -> Ran {
    let output = command.output().expect("the program starts");
    ran(&output, args)
}

fn ran<S: AsRef<OsStr>>(output: &Output, args: &[S]) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    let status = output.status;
    let code = status.code().or(status.signal().map(|s| -s));
    let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
    Ran {
        code: code.unwrap_or(i32::MIN),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        line: format!("duplet {}", words.join(" ")),
    }
}

impl Ran {
    /// Fails with everything there is to see unless the exit code is one of `codes`, or when the program panicked.
    #[track_caller]
    pub fn code(self, codes: &[i32]) -> Ran {
        self.sane();
        assert!(
            codes.contains(&self.code),
            "expected {codes:?}, {}",
            self.all()
        );
        self
    }

    /// Fails unless standard error or standard output holds `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        let found = self.err.contains(text) || self.out.contains(text);
        assert!(found, "expected {text:?} in the output, {}", self.all());
        self
    }

    /// Fails when the program panicked, was killed, or printed a control character other than a line end.
    #[track_caller]
    pub fn sane(&self) {
        assert!(!self.err.contains("panicked"), "{}", self.all());
        assert!(!self.err.contains("internal error"), "{}", self.all());
        assert!(self.code >= 0, "{}", self.all());
        for text in [&self.out, &self.err] {
            let odd = text.chars().find(|&c| c.is_control() && c != '\n');
            assert!(odd.is_none(), "printed {odd:?}: {}", self.all());
        }
    }

    /// As [`Ran::sane`], for output whose columns are separated by tabs or that is a file's content.
    #[track_caller]
    pub fn sane_but_tabs(&self) {
        assert!(!self.err.contains("panicked"), "{}", self.all());
        assert!(self.code >= 0, "{}", self.all());
    }

    pub fn all(&self) -> String {
        format!(
            "exit {} from: {}\n--- stdout\n{}--- stderr\n{}---",
            self.code, self.line, self.out, self.err
        )
    }

    /// Standard output as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("not one JSON object ({e}), {}", self.all()))
    }
}

/// Sorted names in a folder; empty when it is not there.
pub fn names(folder: &Path) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries.filter_map(|e| Some(e.ok()?.file_name())).collect();
    names.sort();
    names
}

/// Paths of the volumes in a destination whose name holds `word` (`dlist`, `dindex`, `dblock`), sorted by name.
pub fn volumes(dest: &Path, word: &str) -> Vec<PathBuf> {
    names(dest)
        .iter()
        .filter(|n| n.to_string_lossy().contains(&format!(".{word}.")))
        .map(|n| dest.join(n))
        .collect()
}

/// Copies a flat folder of files.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a writable scratch folder");
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("a plain file");
    }
}

/// A path as text for a command line.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are plain")
}

/// Fails unless a checker that is not this program finds all that the versions in a plain destination need, which Duplicati
/// may have written in part.
#[track_caller]
pub fn outside(dest: &Path) {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/check.py");
    let args = [
        check.as_os_str(),
        dest.as_os_str(),
        OsStr::new("--stored"),
        dest.as_os_str(),
        OsStr::new("--foreign"),
    ];
    tool("python3", &args, snapshot::INSTALL);
}

/// True when the tests run as root, who can read everything and own anything.
pub fn is_root() -> bool {
    servers::account::is_root()
}

/// Runs another program; its standard output. Fails with `install` as advice when it is not there or fails.
#[track_caller]
pub fn tool(program: &str, args: &[&OsStr], install: &str) -> Vec<u8> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("this test needs {program} ({e}): {install}"));
    assert!(
        output.status.success(),
        "{program} {args:?} failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
