//! What stands on a terminal during a run and after it, by a pseudo-terminal of several widths.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use support::{Rand, Scratch, finish, text, tree};

/// What `tests/support/screen.py` tells.
struct Screen {
    /// What the person sees at the end.
    shown: String,
    coloured: bool,
    code: i32,
    /// Lines that were there for a moment.
    passed: Vec<String>,
}

fn run(scratch: &Scratch, columns: usize, args: &[&str], env: &[(&str, &str)]) -> Screen {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/screen.py");
    let columns = columns.to_string();
    let program = env!("CARGO_BIN_EXE_duplet");
    let words = [&[text(&script), &columns, program], args].concat();
    let mut command: Command = scratch.other(&["python3"], &words);
    command.env("TERM", "xterm").envs(env.iter().copied());
    let ran = finish(command, &words).code(&[0]);
    let (shown, rest) = ran
        .out
        .split_once("\n== ")
        .unwrap_or_else(|| panic!("{}", ran.all()));
    let mut rest = rest.lines();
    let numbers: Vec<i32> = rest
        .next()
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    Screen {
        shown: shown.to_owned(),
        coloured: numbers[2] == 1,
        code: numbers[3],
        passed: rest.map(str::to_owned).collect(),
    }
}

#[test]
fn progress_stays_in_one_line_of_any_width_and_nothing_of_it_stays() {
    let scratch = Scratch::new("terminal-progress");
    let source = scratch.folder("source");
    for n in 0..3 {
        let name = format!("a rather long name of a file that does not fit into every line {n}");
        tree::write(&source.join(name), &Rand(n).bytes(1_000_000));
    }
    for columns in [50, 80, 200] {
        let dest = scratch.at(&format!("dest{columns}"));
        let args = [
            "backup",
            text(&dest),
            text(&source),
            "--no-encryption",
            "--throttle-upload=3mb",
            "--dblock-size=1mb",
            "--blocksize=100kb",
        ];
        let screen = run(&scratch, columns, &args, &[]);
        assert_eq!(screen.code, 0, "{}", screen.shown);
        let progress: Vec<&String> = screen
            .passed
            .iter()
            .filter(|l| l.starts_with("backup: "))
            .collect();
        assert!(!progress.is_empty(), "{:?}", screen.passed);
        for line in &progress {
            assert!(line.chars().count() < columns, "{columns}: {line}");
        }
        let named = progress
            .iter()
            .any(|l| l.contains("does not fit into every line"));
        assert_eq!(named, columns == 200, "{progress:?}");
        // A rate and the time left come from bytes.
        assert!(
            progress.iter().any(|l| l.contains("B/s") || columns == 50),
            "{progress:?}"
        );
        let last = screen.shown.lines().last().unwrap();
        assert!(last.starts_with("version of "), "{}", screen.shown);
        assert!(!screen.shown.contains("backup: "), "{}", screen.shown);
        // The lines that stay are the same at any width, and fit where the path does.
        let rows = screen
            .shown
            .lines()
            .filter(|l| l.contains("looked at in"))
            .count();
        assert_eq!(rows, 1, "{}", screen.shown);
    }
    // Nothing of it with -q, with --progress=none, or into a file.
    let dest = scratch.at("dest50");
    let list = ["verify", text(&dest), "all"];
    for more in ["-q", "--progress=none"] {
        let screen = run(&scratch, 80, &[&list[..], &[more]].concat(), &[]);
        assert!(screen.passed.is_empty(), "{:?}", screen.passed);
    }
    let ran = scratch.run(&list).code(&[0]);
    assert!(!ran.err.contains('\r'));
    // Cleared with --json, too.
    let screen = run(&scratch, 80, &[&list[..], &["--json"]].concat(), &[]);
    let last = screen.shown.lines().next().unwrap();
    assert!(last.starts_with('{'), "{}", screen.shown);
}

/// Whatever it waits for: that it was heard, and how not to wait.
#[test]
fn the_first_ctrl_c_of_a_backup_is_answered_at_once() {
    let scratch = Scratch::new("terminal-stop");
    let source = scratch.folder("source");
    tree::write(&source.join("large"), &Rand(5).bytes(9_000_000));
    let dest = scratch.at("dest");
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--throttle-upload=3mb",
        "--dblock-size=1mb",
        "--blocksize=100kb",
    ];
    let screen = run(&scratch, 200, &args, &[("STOP_AT", "backup: ")]);
    assert_eq!(screen.code, 50, "{}", screen.shown);
    let answer = "stopping as soon as what is under way is stored; once more ends at once";
    assert!(screen.shown.contains(answer), "{}", screen.shown);
}

/// Before the destination is listed there is nothing to store: the run ends, and says nothing else.
#[test]
fn the_first_ctrl_c_before_the_listing_ends_the_run() {
    let scratch = Scratch::new("terminal-unlisted");
    let source = scratch.folder("source");
    // Takes connections and never answers.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("webdav://{}/d", server.local_addr().unwrap());
    let args = [
        "backup",
        &url,
        text(&source),
        "--no-encryption",
        "--http-proxy=none",
        "--list-timeout=10m",
        "--no-cache",
        "-v",
    ];
    let screen = run(&scratch, 200, &args, &[("STOP_AT", "no cache is used")]);
    assert_eq!(screen.code, 50, "{}", screen.shown);
    assert!(screen.shown.contains(": stopped"), "{}", screen.shown);
    assert!(!screen.shown.contains("stopping as"), "{}", screen.shown);
}

#[test]
fn a_restore_names_its_files_and_leaves_nothing_of_it() {
    let scratch = Scratch::new("terminal-restore");
    let source = scratch.folder("source");
    for n in 0..3 {
        let name = format!("a rather long name of a file that does not fit into every line {n}");
        tree::write(&source.join(name), &Rand(n).bytes(1_000_000));
    }
    let dest = scratch.at("dest");
    let args = ["backup", text(&dest), text(&source), "--no-encryption"];
    let small = ["--dblock-size=1mb", "--blocksize=100kb"];
    scratch.run(&[&args[..], &small].concat()).code(&[0]);
    for columns in [50, 80, 200] {
        let to = format!(
            "--restore-path={}",
            text(&scratch.at(&format!("to{columns}")))
        );
        let args = ["restore", text(&dest), &to, "--throttle-download=2mb"];
        let screen = run(&scratch, columns, &args, &[]);
        assert_eq!(screen.code, 0, "{}", screen.shown);
        let lines = screen.passed.iter().filter(|l| l.starts_with("restore: "));
        let lines: Vec<&String> = lines.collect();
        assert!(!lines.is_empty(), "{:?}", screen.passed);
        for line in &lines {
            assert!(line.chars().count() < columns, "{columns}: {line}");
            // How much there is to be is said from the first moment, and no count that stands still.
            assert!(!line.contains("0 files"), "{line}");
        }
        let says = |word: &str| lines.iter().any(|l| l.contains(word));
        assert!(says(" of 2.86 MiB"), "{lines:?}");
        assert!(says("B/s") || columns == 50, "{lines:?}");
        assert_eq!(
            says("does not fit into every line"),
            columns == 200,
            "{lines:?}"
        );
        let named = columns == 50 || says("line 0") || says("line 1") || says("line 2");
        assert!(named, "{lines:?}");
        assert!(!screen.shown.contains("restore: "), "{}", screen.shown);
        let last = screen
            .shown
            .lines()
            .find(|l| l.starts_with("restored 3 files"));
        assert!(last.is_some(), "{}", screen.shown);
        assert_eq!(
            screen.shown.matches("restored").count(),
            1,
            "{}",
            screen.shown
        );
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let scratch = Scratch::new("terminal-colours");
    let source = scratch.folder("source");
    tree::write(&source.join("a"), b"x");
    let dest = scratch.at("dest");
    let warns = [
        "backup",
        text(&dest),
        text(&source),
        "/nonexistent/x",
        "--no-encryption",
    ];
    let fails = ["list", "/nonexistent/dest"];
    for (args, code, said) in [
        (&warns[..], 2, "duplet: warning: "),
        (&fails[..], 100, "duplet: cannot"),
    ] {
        for (env, coloured) in [
            (&[][..], true),
            (&[("NO_COLOR", "")][..], true),
            (&[("NO_COLOR", "1")][..], false),
            (&[("TERM", "dumb")][..], false),
            (&[("TERM", "")][..], false),
        ] {
            let screen = run(&scratch, 200, args, env);
            assert_eq!((screen.code, screen.coloured), (code, coloured), "{env:?}");
            assert!(screen.shown.contains(said), "{}", screen.shown);
        }
        let ran = scratch.run_env(args, &[("TERM", "xterm")]).code(&[code]);
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.all());
    }
    // What is no error has none.
    let screen = run(&scratch, 80, &["list", text(&dest)], &[]);
    assert!(!screen.coloured);
}
