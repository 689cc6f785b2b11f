//! The program as people and scripts meet it: exit codes, both outputs, help, JSON, and no secret anywhere.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failing step fails the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

fn command(args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_duplet"));
    c.args(args)
        .env_remove("PASSPHRASE")
        .env_remove("DUPLET_URL");
    c
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    parts(&command(args).output().unwrap())
}

fn parts(o: &Output) -> (i32, String, String) {
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    (o.status.code().unwrap(), text(&o.stdout), text(&o.stderr))
}

#[test]
fn exit_codes_and_messages() {
    for (args, code, message) in [
        (&["vacuum", "/x"][..], 0, ""),
        (&["VACUUM", "/x", "--DRY-RUN"], 0, ""),
        (
            &["vacuum"],
            200,
            "duplet: vacuum needs a destination URL (try 'duplet help vacuum')\n",
        ),
        (
            &["vacuum", "/x", "y"],
            200,
            "duplet: too many arguments for vacuum (usage: duplet vacuum <url>)\n",
        ),
        (
            &["vacum", "/x"],
            200,
            "duplet: unknown command vacum (did you mean vacuum?)\n",
        ),
        (
            &["xyzzyx"],
            200,
            "duplet: unknown command xyzzyx (try 'duplet help')\n",
        ),
        (
            &["send-mail"],
            200,
            "duplet: there is no command send-mail: duplet sends no mail\n",
        ),
        (
            &["--json=false"],
            200,
            "duplet: no command is given (try 'duplet help')\n",
        ),
        (
            &["vacuum", "/x", "--dblok-size=5"],
            200,
            "duplet: unknown option --dblok-size (did you mean --dblock-size?)\n",
        ),
        (
            &["vacuum", "/x", "--dblock-size=five"],
            200,
            "duplet: --dblock-size=five is not valid: a size such as 500kb, 50mb or 2gb is expected (try 'duplet help vacuum')\n",
        ),
        (
            &["list", "/x", "--retry-delay=0.2s"],
            200,
            "duplet: --retry-delay=0.2s is not valid: a time span such as 30s, 10m, 12h, 7D, 4W, 6M or 1Y is expected (in whole numbers with a unit each, such as 1s or 1h30m)\n",
        ),
        (
            &["delete", "/x", "--keep-time=1.5D"],
            200,
            "duplet: --keep-time=1.5D is not valid: an age such as 12h, 7D, 4W, 6M or 1Y is expected (in whole numbers with a unit each, such as 1s or 1h30m)\n",
        ),
        (
            &["list", "/x", "--time=1,5h"],
            200,
            "duplet: --time=1,5h is not valid: an age such as 3D or 12h, or a date such as 2026-03-01 or 2026-03-01T12:00 is expected (in whole numbers with a unit each, such as 1s or 1h30m)\n",
        ),
        (
            &["delete", "/x", "--retention-policy=1.5W:0.5D"],
            200,
            "duplet: --retention-policy: 1.5W:0.5D is not valid: the frame is no time span (in whole numbers with a unit each, such as 1s or 1h30m)\n",
        ),
        (
            &["vacuum", "/x", "--symlink-policy=x"],
            200,
            "duplet: --symlink-policy=x is not valid: one of Store, Follow, Ignore is expected (try 'duplet help vacuum')\n",
        ),
        (
            &["vacuum", "/x", "-x"],
            200,
            "duplet: unknown option -x (options begin with two dashes, but for -h, -i, -l, -n, -q, -v, -V; words that begin with a dash go after --)\n",
        ),
        (
            &["vacuum", "/x", "--send-mail-to=x"],
            200,
            "duplet: --send-mail-to is not supported: duplet sends no mail (leave it out)\n",
        ),
        (
            &["forget", "/x", "--keep-last=3"],
            200,
            "duplet: unknown command forget ('duplet delete URL --keep-versions=N' deletes old versions; 'duplet help retention' explains)\n",
        ),
        (
            &["snapshots", "--tag", "x", "-r", "/x"],
            200,
            "duplet: unknown command snapshots ('duplet list URL' lists the versions)\n",
        ),
        (
            &["prune", "-psecret"],
            200,
            "duplet: unknown command prune ('duplet delete URL --keep-versions=N' deletes old versions; 'duplet help retention' explains)\n",
        ),
        (
            &["bakup", "/x", "/y", "--tag=x"],
            200,
            "duplet: unknown command bakup (did you mean backup?)\n",
        ),
        (
            &["vacuum", "-"],
            200,
            "duplet: the destination URL is - but DUPLET_URL is not set (try 'duplet help vacuum')\n",
        ),
        (
            &["vacuum", "/x", "--version"],
            200,
            "duplet: --version needs a value: --version=TEXT\n",
        ),
        (
            &["system-info", "x"],
            200,
            "duplet: too many arguments for system-info (usage: duplet system-info)\n",
        ),
        (
            &["delete", "/x", "1"],
            200,
            "duplet: too many arguments for delete (write --version=1 for a version)\n",
        ),
        (
            &["delete", "/x", "1-3,5"],
            200,
            "duplet: too many arguments for delete (write --version=1-3,5 for a version)\n",
        ),
        (
            &["delete", "/x", "yesterday"],
            200,
            "duplet: too many arguments for delete (usage: duplet delete <url> --keep-...)\n",
        ),
        (
            &["compact", "/x", "--version=1"],
            200,
            "duplet: --version means nothing to compact (an option of restore, cat, mount, list, find, list-folder-content, list-file-versions, search-entries, verify, copy, delete, purge)\n",
        ),
        (
            &["vacuum", "/x", "--log-file=/nonexistent/log"],
            100,
            "duplet: cannot open the log file /nonexistent/log: no such file or directory\n",
        ),
    ] {
        let (got, _, stderr) = run(args);
        assert_eq!((got, stderr.as_str()), (code, message), "{args:?}");
    }
}

#[test]
fn what_is_accepted_without_effect_is_said_at_v_only() {
    let args = ["vacuum", "/x", "--no-local-db", "--dblock-size=1gb"];
    assert_eq!(run(&args).2, "");
    let (code, _, stderr) = run(&[&args[..], &["-v"]].concat());
    assert_eq!(code, 0);
    assert_eq!(
        stderr,
        "--no-local-db has no effect here\n--dblock-size has no effect on vacuum\n"
    );
}

#[test]
fn the_first_screen_fits_a_small_terminal() {
    for args in [&[][..], &["help"], &["--help"], &["-h"], &["usage"]] {
        let (code, stdout, stderr) = run(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        assert!(stdout.lines().count() <= 24);
        assert!(stdout.lines().all(|l| l.chars().count() < 80));
        assert!(stdout.starts_with("duplet <command>"));
    }
}

#[test]
fn help_is_found_for_commands_topics_options_and_destinations() {
    for (args, start) in [
        (&["help", "vacuum"][..], "duplet vacuum <url>\n"),
        (&["vacuum", "--help", "--nonsense"], "duplet vacuum <url>\n"),
        (&["help", "sizes"], "SIZES, TIMES AND DATES\n"),
        (&["help", "dblock-size"], "  --dblock-size=SIZE\n"),
        (&["help", "file"], "LOCAL FOLDER"),
        (
            &["--version"],
            concat!("duplet ", env!("CARGO_PKG_VERSION"), " ("),
        ),
        (
            &["version"],
            concat!("duplet ", env!("CARGO_PKG_VERSION"), " ("),
        ),
    ] {
        let (code, stdout, _) = run(args);
        assert_eq!(code, 0, "{args:?}");
        assert!(stdout.starts_with(start), "{args:?}: {stdout}");
    }
    // Of what is known and has no page it is said what to do, in one line.
    for (name, way) in [
        ("sia", "'rclone config'"),
        ("telegram", "download the files"),
        ("hubic", "name the folder"),
        ("cloudfiles", "openstack://CONTAINER"),
        ("skydrive", "onedrivev2://"),
    ] {
        let (code, stdout, stderr) = run(&["help", name]);
        assert_eq!((code, stdout.as_str()), (200, ""), "{name}");
        let begin = format!("duplet: {name}:// has no page: ");
        assert!(stderr.starts_with(&begin), "{stderr}");
        assert!(stderr.contains(way), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    let (code, _, stderr) = run(&["help", "sises"]);
    assert_eq!(
        (code, stderr.as_str()),
        (
            200,
            "duplet: there is no help on sises (did you mean 'duplet help sizes'?)\n"
        )
    );
}

#[test]
fn json_is_one_object_whatever_happens() {
    for (args, command, code, word) in [
        (&["vacuum", "/x", "--json"][..], "vacuum", 0, "ok"),
        (&["system-info", "--json"], "system-info", 0, "ok"),
        (&["help", "all", "--json"], "help", 0, "ok"),
        (&["--version", "--json"], "version", 0, "ok"),
        (&["vacuum", "--json"], "vacuum", 200, "usage"),
        (&["--json", "--nonsense"], "", 200, "usage"),
        (&["--json=1", "--nonsense"], "", 200, "usage"),
        (&["--json=On", "--help"], "help", 0, "ok"),
        (
            &["vacuum", "/x", "--JSON", "--log-file=/nonexistent/l"],
            "vacuum",
            100,
            "local",
        ),
    ] {
        let (got, stdout, _) = run(args);
        assert!(
            stdout.ends_with("}\n") && stdout.lines().count() == 1,
            "{stdout}"
        );
        let v: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(
            (got, v["ExitCode"].as_i64()),
            (code, Some(i64::from(code))),
            "{args:?}"
        );
        assert_eq!(v["Command"].as_str().unwrap_or(""), command);
        assert_eq!(v["Code"], word);
        assert_eq!(v["Error"].is_null(), code == 0);
        assert_eq!(v["Messages"].as_array().map(Vec::len), Some(0));
    }
}

#[test]
fn secrets_are_never_said() {
    let file = Scratch::new("secrets", "--passphrase=hunter2\n--auth-password=hunter2\n");
    let from_file = format!("--parameters-file={}", file.0);
    for args in [
        &["vacuum", "ftp://u:hunter2@h/p?auth-password=hunter2"][..],
        &["vacuum", "file:///x?passphrase=hunter2"],
        &["vacuum", "/x", "--pasphrase=hunter2"],
        &[
            "vacuum",
            "/x",
            "--passphrase=hunter2",
            "--pasphrase=hunter2",
        ],
        &["vacuum", "/x", "--auth-password=hunter2", "--dblock-size=x"],
        &[
            "system-info",
            "--passphrase=hunter2",
            "--auth-password=hunter2",
        ],
        &["vacuum", "/x", &from_file],
        &["system-info", &from_file, "--json"],
    ] {
        let with_v = [args, &["-v"]].concat();
        let (_, stdout, stderr) = run(&with_v);
        assert!(
            !stdout.contains("hunter2") && !stderr.contains("hunter2"),
            "{args:?}"
        );
    }
}

/// A parameters file that is a pipe holds the program still while its command line is looked at.
#[test]
fn secrets_leave_the_list_of_processes() {
    let mut child = command(&[
        "vacuum",
        "s3://user:hunter2@host/p?auth-password=hunter2",
        "--passphrase=hunter2",
        "--dblock-size=5mb",
        "--parameters-file=/dev/stdin",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a pipe holds: when this returns the program has begun to read, so the arguments were wiped before.
    let comment = "# comment\n".repeat(20_000);
    pipe.write_all(comment.as_bytes()).unwrap();
    let shown = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    drop(pipe);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("--dblock-size=5mb") && shown.contains("--passphrase=*******"));
    assert!(shown.contains("s3://user:***"));
}

#[test]
fn the_log_file_has_levels_and_grows() {
    let log = Scratch::new("log", "");
    let to = format!("--log-file={}", log.0);
    run(&["vacuum", "/x", &to, "--no-local-db"]);
    run(&[
        "vacuum",
        "/x",
        &to,
        "--no-local-db",
        "--log-file-log-level=verbose",
    ]);
    let text = std::fs::read_to_string(&log.0).unwrap();
    let said: Vec<&str> = text.lines().map(|l| &l[26..]).collect();
    let result = "[Information]: nothing to vacuum: there is no database";
    let note = "[Verbose]: --no-local-db has no effect here";
    assert_eq!(said, [&result.to_string()[..], note, result]);
}

#[test]
fn a_reader_that_goes_away_is_no_news_and_a_full_disk_is() {
    let mut child = command(&["help", "all"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    while reader.read_line(&mut said).unwrap() > 0 {}
    assert!(child.wait().unwrap().success());
    assert_eq!(said, "");
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let out = command(&["help", "all"]).stdout(full).output().unwrap();
    let (code, _, stderr) = parts(&out);
    assert_eq!(code, 100);
    assert_eq!(
        stderr,
        "duplet: cannot write to standard output: no space left on device\n"
    );
}

/// A file below the build's own folder for temporary files, removed at the end.
struct Scratch(String);

impl Scratch {
    fn new(name: &str, text: &str) -> Scratch {
        let path = format!(
            "{}/cli_basic_{name}_{}",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        std::fs::write(&path, text).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_self_test_says_what_is_sound_and_what_is_not() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let good = folder.join(format!("self-test-{}", std::process::id()));
    std::fs::create_dir(&good).unwrap();
    let temp = format!("--tempdir={}", good.display());
    let cache = format!("--cache-dir={}/cache", good.display());
    let (code, stdout, stderr) = run(&["system-info", "--self-test", &temp, &cache]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.lines().all(|l| l.starts_with("ok      ")));
    assert!(stdout.lines().count() >= 20, "{stdout}");
    let left: Vec<_> = std::fs::read_dir(&good).unwrap().flatten().collect();
    assert!(left.iter().all(|e| e.file_name() == "cache"), "{left:?}");
    std::fs::remove_dir_all(&good).unwrap();

    let args = ["system-info", "--self-test", "--json", &temp, "--no-cache"];
    let (code, stdout, _) = run(&args);
    let v: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, v["Code"].as_str()), (3, Some("errors")));
    let bad: Vec<&str> = v["Checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["Good"] == false)
        .map(|c| c["Name"].as_str().unwrap())
        .collect();
    assert_eq!(
        bad,
        [
            "temporary folder",
            "zip there and back",
            "file times after 2038"
        ]
    );
}

/// As a defect of its own ends the small programs, in which it says nothing by itself.
#[test]
fn a_run_that_ends_at_once_says_so_in_one_line() {
    let pipe = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let pipe = pipe.join(format!("cli-trap-{}", std::process::id()));
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for signal in ["-ILL", "-TRAP", "-ABRT"] {
        let option = format!("--parameters-file={}", pipe.display());
        let mut run = command(&["backup", "/nowhere/dest", "/nowhere/source", &option]);
        let child = run.stderr(Stdio::piped()).spawn().unwrap();
        // It waits for its parameters, and by the time that it asks for them it is ready for signals.
        let held = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        let id = child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        let (code, _, err) = parts(&child.wait_with_output().unwrap());
        drop(held);
        assert_eq!(code, 100, "{signal}: {err}");
        assert!(err.starts_with("duplet: internal error"), "{err}");
        assert!(err.ends_with("\n") && err.lines().count() == 1, "{err}");
    }
    std::fs::remove_file(&pipe).unwrap();
}
