//! What `duplet help bash`, `zsh`, `fish`, `man` and `examples` print, in the programs it is for. One that is not here is named and
//! not tested.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may fail where it stands and says what it could not do"
)]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use support::{Scratch, text};

/// A line as typed and what it becomes with a tab; `None`: nothing is added.
const CASES: &[(&str, Option<&str>)] = &[
    ("duplet back", Some("duplet backup")),
    ("duplet veri", Some("duplet verify")),
    ("duplet system-", Some("duplet system-info")),
    ("duplet help examp", Some("duplet help examples")),
    ("duplet remote mkd", Some("duplet remote mkdir")),
    ("duplet list ./unus", Some("duplet list ./unusual")),
    ("duplet verify ./unus", Some("duplet verify ./unusual")),
    (
        "duplet verify x --full-rem",
        Some("--full-remote-verification="),
    ),
    ("duplet restore x --restore-pa", Some("--restore-path=")),
    ("duplet restore x --overw", Some("--overwrite")),
    ("duplet restore x --existing=s", Some("--existing=skip")),
    (
        "duplet backup x --symlink-policy=F",
        Some("--symlink-policy=Follow"),
    ),
    (
        "duplet restore x --restore-path=unus",
        Some("--restore-path=unusual"),
    ),
    (
        "duplet restore x --cache-dir=y --log-file=unus",
        Some("--log-file=unusual"),
    ),
    (
        "duplet backup x --number-of-ret",
        Some("--number-of-retries="),
    ),
    ("duplet list x --overw", None),
    ("duplet backup x --restore-pa", None),
    ("duplet vacu --sym", None),
];

/// `None` where the shell is not installed.
fn installed(program: &str) -> Option<()> {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_ok() {
        return Some(());
    }
    eprintln!("SKIPPED: no {program} here");
    None
}

/// A folder with the script of a shell and a file to be completed.
fn folder(shell: &str, script: &str) -> Scratch {
    let scratch = Scratch::new(&format!("completions-{shell}"));
    let printed = scratch.run(&["help", shell]).code(&[0]);
    fs::write(scratch.at(script), printed.out).unwrap();
    fs::write(scratch.at("unusual"), "").unwrap();
    scratch
}

/// What each line becomes at a terminal.
fn typed(scratch: &Scratch, setup: &str, shell: &[&str]) -> Vec<String> {
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/printed/terminal.py");
    let mut words = vec![driver, text(scratch.path()), setup];
    words.extend(shell);
    let mut child = scratch.other(&["python3"], &words);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let lines: Vec<&str> = CASES.iter().map(|c| c.0).collect();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let shown = String::from_utf8(output.stdout).unwrap();
    shown.lines().map(str::to_owned).collect()
}

fn check(shell: &str, shown: &[String]) {
    assert_eq!(shown.len(), CASES.len());
    for ((line, want), shown) in CASES.iter().zip(shown) {
        let want = want.map_or_else(|| format!("{line}#done"), str::to_owned);
        assert!(shown.contains(&want), "{shell}, {line}: {shown}");
    }
}

#[test]
fn bash_completes() {
    let Some(()) = installed("bash").and(installed("python3")) else {
        return;
    };
    let scratch = folder("bash", "script");
    let shown = typed(&scratch, "source ./script", &["bash", "--norc", "-i"]);
    check("bash", &shown);
}

#[test]
fn zsh_completes() {
    let Some(()) = installed("zsh").and(installed("python3")) else {
        return;
    };
    let scratch = folder("zsh", "_duplet");
    let setup = "unsetopt beep; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D";
    check("zsh", &typed(&scratch, setup, &["zsh", "-f", "-i"]));
}

#[test]
fn fish_completes() {
    let Some(()) = installed("fish") else { return };
    let scratch = folder("fish", "script");
    for (line, want) in CASES {
        let code = "source ./script; complete -C $argv[1]";
        let args = ["--no-config", "-c", code, line];
        let ran = support::finish(scratch.other(&["fish"], &args), &args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.all());
        let offered: Vec<&str> = ran.out.lines().collect();
        let words: Vec<&str> = offered
            .iter()
            .map(|l| l.split('\t').next().unwrap())
            .collect();
        match want {
            Some(want) => {
                let word = want.rsplit(' ').next().unwrap();
                let fit = words.iter().all(|w| w.starts_with(word));
                assert!(fit && !words.is_empty(), "{line}: {words:?}");
            }
            None => {
                // Words that only have the same letters do not count.
                let typed = line.rsplit(' ').next().unwrap();
                let fit = words.iter().any(|w| w.starts_with(typed));
                assert!(!fit, "{line}: {words:?}");
            }
        }
    }
}

#[test]
fn the_manual_page_is_clean() {
    let Some(()) = installed("groff") else { return };
    let scratch = Scratch::new("manual");
    let page = scratch.run(&["help", "man"]).code(&[0]);
    fs::write(scratch.at("duplet.1"), page.out).unwrap();
    let args = ["-man", "-ww", "-Tascii", "-P-c", "-P-b", "-P-u", "duplet.1"];
    let ran = support::finish(scratch.other(&["groff"], &args), &args);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.all());
    for text in [
        "backup <url> <folder>...",
        "--restore-path=PATH",
        "--exclude=RULE",
        "\n              put <url> [name] <file>  stores a file",
    ] {
        assert!(ran.out.contains(text), "{text}");
    }
}

/// The lines of a file in the examples, without their indent.
fn example(all: &str, name: &str) -> String {
    let mut lines = all
        .lines()
        .skip_while(|l| !l.contains(&format!("# {name}")));
    assert!(lines.next().is_some(), "{name}");
    let lines = lines.map_while(|l| l.strip_prefix("  ").or(l.is_empty().then_some("")));
    // The next file begins with its path.
    let lines = lines.take_while(|l| !l.starts_with("# /"));
    lines.map(|l| format!("{l}\n")).collect()
}

#[test]
fn the_examples_work() {
    let scratch = Scratch::new("examples");
    let all = scratch.run(&["help", "examples"]).code(&[0]).out;
    let at = |name: &str| text(&scratch.at(name)).to_owned();
    fs::create_dir(scratch.at("etc")).unwrap();
    fs::write(scratch.at("etc/passwd"), "x").unwrap();
    let conf = example(&all, "/etc/duplet.conf")
        .replace("s3://bucket/box?s3-server-name=s3.example.org", &at("dest"))
        .replace("/home/alice/data/", &at("etc"))
        .replace("=/etc/", &format!("={}", at("etc")));
    fs::write(scratch.at("duplet.conf"), conf).unwrap();
    fs::set_permissions(scratch.at("duplet.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let file = format!("--parameters-file={}", at("duplet.conf"));
    scratch.run(&["backup", "-", &file, "-q"]).code(&[0]);
    let listed = scratch.run(&["list", "-", &file, "0"]).code(&[0]);
    assert!(listed.out.contains("etc/passwd"), "{}", listed.all());

    fs::write(scratch.at("init"), example(&all, "/etc/init.d/duplet")).unwrap();
    let args = ["-n", "init"];
    let ran = support::finish(scratch.other(&["sh"], &args), &args);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.all());

    let Some(()) = installed("systemd-analyze") else {
        return;
    };
    // The manual page is not installed.
    let args = [
        "verify",
        "--man=no",
        "duplet.service",
        "duplet.timer",
        "duplet-failed.service",
    ];
    for unit in &args[2..] {
        let whole = example(&all, &format!("/etc/systemd/system/{unit}"));
        let here = whole.replace("/usr/local/bin/duplet", env!("CARGO_BIN_EXE_duplet"));
        fs::write(scratch.at(unit), here).unwrap();
    }
    let ran = support::finish(scratch.other(&["systemd-analyze"], &args), &args);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.all());
}
