//! The program at another time, and killed or stopped at one of its steps: a library that is loaded into it.

// Each program uses its own part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A signal after the so-many-th volume that came to a local destination or went.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub step: u64,
    /// `SIGKILL`, else `SIGTERM`.
    pub kill: bool,
}

/// Compiled once for each test program, beside it.
fn library() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/steer.c");
        let program = std::env::current_exe().expect("this program has a path");
        let (made, aside) = (
            program.with_extension("steer.so"),
            program.with_extension(format!("{}.so", std::process::id())),
        );
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .args([&aside, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler: run .ci/prepare");
        assert!(done.success());
        std::fs::rename(&aside, &made).expect("a writable target folder");
        made
    })
}

/// Lets a run of the program begin at `at`, seconds since 1970, and end as `cut` says.
pub fn steer(command: &mut Command, at: i64, cut: Option<Cut>) {
    command
        .env("LD_PRELOAD", library())
        .env("STEER_AT", at.to_string());
    if let Some(cut) = cut {
        let signal = if cut.kill { "9" } else { "15" };
        command
            .env("STEER_STEP", cut.step.to_string())
            .env("STEER_SIGNAL", signal);
    }
}

/// Lets the system answer this error number to `openat2`.
pub fn without_openat2(command: &mut Command, error: i32) {
    command
        .env("LD_PRELOAD", library())
        .env("STEER_OPENAT2", error.to_string());
}
