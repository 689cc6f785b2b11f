//! Runs that nobody watches, for months: silence, logs, locks, an empty environment, options of a file.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/receiver.rs"]
mod receiver;
#[path = "support/steer.rs"]
mod steer;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use receiver::Receiver;
use support::{Ran, Rand, Scratch, finish, names, text, tree, volumes};

const PLAIN: &str = "--no-encryption";

struct World {
    scratch: Scratch,
    dest: String,
    source: String,
}

fn world(label: &str) -> World {
    let scratch = Scratch::new(label);
    tree::write(&scratch.folder("source").join("a.txt"), b"one");
    World {
        dest: text(&scratch.at("dest")).to_owned(),
        source: text(&scratch.at("source")).to_owned(),
        scratch,
    }
}

impl World {
    fn backup(&self, more: &[&str]) -> Ran {
        let args = [&["backup", &self.dest, &self.source, PLAIN], more].concat();
        self.scratch.run(&args)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.scratch.at(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        text(&path).to_owned()
    }
}

#[test]
fn a_quiet_run_says_nothing_while_all_is_well() {
    let w = world("alone-quiet");
    let (d, s) = (w.dest.as_str(), w.source.as_str());
    let to = format!("--restore-path={}", text(&w.scratch.at("to")));
    let silent = |args: &[&str], code: i32| {
        for quiet in [
            "-q",
            "--quiet",
            "--quiet-console",
            "--console-log-level=Error",
        ] {
            let ran = w.scratch.run(&[args, &[quiet]].concat());
            assert_eq!(
                (ran.out.as_str(), ran.err.as_str()),
                ("", ""),
                "{}",
                ran.all()
            );
            assert!([code, 1].contains(&ran.code), "{}", ran.all());
        }
    };
    silent(&["backup", d, s, PLAIN], 0);
    silent(&["verify", d, "all"], 0);
    silent(&["restore", d, &to], 0);
    silent(&["compact", d], 0);
    silent(&["repair", d], 0);
    silent(&["delete", d, "--keep-versions=1"], 0);
    silent(&["purge", d, "*nosuch*"], 0);
    silent(&["list-broken-files", d], 0);
    silent(&["remote", "test", d], 0);
    silent(&["remote", "mkdir", d], 0);
    // What something is to be done about is told, with the result.
    let ran = w
        .scratch
        .run(&["backup", d, s, "/nonexistent/x", PLAIN, "-q"])
        .code(&[2]);
    assert!(
        ran.err.contains("warning: ") && ran.out.contains("looked at"),
        "{}",
        ran.all()
    );
    let ran = w
        .scratch
        .run(&["restore", d, "nosuch", &to, "-q"])
        .code(&[100]);
    assert!(
        ran.err.contains("nothing in the backup matches"),
        "{}",
        ran.all()
    );
    // What was asked for is shown.
    for args in [
        vec!["list", d],
        vec!["list", d, "0"],
        vec!["find", d, "*a.txt"],
        vec!["list-filesets", d],
        vec!["system-info"],
        vec!["version"],
        vec!["test-filters", s],
        vec!["remote", "list", d],
        vec!["backup", d, s, PLAIN, "--dry-run"],
        vec!["repair", d, "-n"],
        vec!["compact", d, "-n"],
        vec!["remote", "test", d, "-n"],
    ] {
        let ran = w.scratch.run(&[args, vec!["-q"]].concat());
        assert!(
            !ran.out.is_empty() && [0, 1].contains(&ran.code),
            "{}",
            ran.all()
        );
    }
    let json = w
        .scratch
        .run(&["backup", d, s, PLAIN, "-q", "--json"])
        .json();
    assert_eq!(json["Command"], "backup");
    for volume in volumes(Path::new(d), "dblock") {
        fs::write(volume, "no volume").unwrap();
    }
    let ran = w.scratch.run(&["verify", d, "all", "-q"]).code(&[3]);
    assert!(
        ran.out.contains("dblock") || ran.err.contains("dblock"),
        "{}",
        ran.all()
    );
}

#[test]
fn files_and_requests_are_named_where_that_is_asked_for() {
    let w = world("alone-verbose");
    let at = |name: &str| w.scratch.at("source").join(name);
    let line = |sign: &str, name: &str, more: &str| format!("{sign} {}{more}", text(&at(name)));
    let says = |ran: &Ran, line: &str| ran.err.lines().any(|l| l == line);
    tree::write(&at("gone"), b"x");
    std::os::unix::fs::symlink("a.txt", at("link")).unwrap();
    let ran = w.backup(&["-v"]).code(&[0]);
    for want in [
        line("+", "a.txt", " (3 bytes)"),
        line("+", "gone", " (1 byte)"),
        line("+", "link", ""),
        format!("+ {}/", w.source),
    ] {
        assert!(says(&ran, &want), "{want} {}", ran.all());
    }
    assert!(!ran.err.contains(" ms"), "{}", ran.all());
    fs::remove_file(at("gone")).unwrap();
    fs::remove_file(at("link")).unwrap();
    tree::write(&at("link"), &[7; 3000]);
    tree::write(&at("a.txt"), b"three");
    tree::write(&at("new\nline"), b"");
    let log = format!("--log-file={}", text(&w.scratch.at("log")));
    for dry in [true, false] {
        let more = if dry {
            ["-vv", &log, "-n"]
        } else {
            ["-vv", &log, "-v"]
        };
        let ran = w.backup(&more).code(&[0]);
        for want in [
            line("~", "a.txt", " (5 bytes)"),
            line("-", "gone", ""),
            line("-", "link", ""),
            line("+", "link", " (2.92 KiB)"),
            line("+", "new\\nline", " (0 bytes)"),
        ] {
            // What a dry run is asked for is its result.
            let said = if dry { &ran.out } else { &ran.err };
            assert!(said.lines().any(|l| l == want), "{want} {}", ran.all());
        }
        let list = ran
            .err
            .lines()
            .any(|l| l.starts_with("list file://") && l.ends_with(" ms"));
        let put = ran
            .err
            .lines()
            .any(|l| l.starts_with("upload duplicati-") && l.ends_with(" ms"));
        assert!(list && put != dry, "{}", ran.all());
    }
    let quiet = w.backup(&[]).code(&[1]);
    assert!(!quiet.err.contains("a.txt"), "{}", quiet.all());
    let to = w.scratch.at("to");
    let option = format!("--restore-path={}", text(&to));
    let ran = w
        .scratch
        .run(&["restore", &w.dest, &option, "-v"])
        .code(&[0]);
    let want = format!("+ {}/a.txt (5 bytes)", text(&to));
    assert!(says(&ran, &want), "{want} {}", ran.all());
    tree::write(&to.join("a.txt"), b"other");
    let ran = w
        .scratch
        .run(&["restore", &w.dest, &option, "-v"])
        .code(&[0]);
    assert!(
        ran.err.contains(&format!("+ {}/a.", text(&to))),
        "beside: {}",
        ran.all()
    );
    let ran = w
        .scratch
        .run(&["restore", &w.dest, &option, "-v", "--overwrite"])
        .code(&[0]);
    let want = format!("~ {}/a.txt (5 bytes)", text(&to));
    assert!(says(&ran, &want), "{want} {}", ran.all());
    // A dry run is there to tell what would be done, without more being asked for.
    tree::write(&at("dry"), b"dry");
    for more in [&["-n"][..], &["--dry-run"], &["-n", "-q"]] {
        let ran = w.backup(more).code(&[0]);
        let want = line("+", "dry", " (3 bytes)");
        let named = ran.out.lines().any(|l| l == want);
        assert!(named && ran.err.is_empty(), "{want} {}", ran.all());
    }
    let ran = w.backup(&["-n", "--json"]).code(&[0]);
    assert_eq!(ran.json()["AddedFiles"], 1);
    fs::remove_file(at("dry")).unwrap();
    let verbose = ["--log-file-log-level=Verbose", &log];
    tree::write(&at("a.txt"), b"four");
    w.backup(&verbose).code(&[0]);
    let log = fs::read_to_string(w.scratch.at("log")).unwrap();
    assert!(log.contains(&line("~", "a.txt", " (4 bytes)")), "{log}");
}

#[test]
fn a_log_file_gets_what_is_said_and_requests_where_they_are_asked_for() {
    let w = world("alone-log-levels");
    let path = w.scratch.at("log");
    let log = format!("--log-file={}", text(&path));
    for (n, more) in [&[][..], &["-n"], &["-v"], &["-vv"]].iter().enumerate() {
        let _ = fs::remove_file(&path);
        tree::write(&w.scratch.at(&format!("source/new{n}")), b"x");
        let ran = w.backup(&[more, &[log.as_str()][..]].concat()).code(&[0]);
        let got = fs::read_to_string(&path).unwrap();
        let said = ran
            .err
            .lines()
            .chain(ran.out.lines())
            .map(|l| l.trim_start_matches("duplet: "));
        let said: Vec<&str> = said.collect();
        assert!(more.is_empty() || said.len() > 1, "{}", ran.all());
        for line in said {
            let line = line.trim_start_matches("warning: ");
            assert!(got.contains(&format!("]: {line}\n")), "{line}\n{got}");
        }
        assert_eq!(got.contains("[Profiling]: "), more == &["-vv"], "{got}");
    }
    let _ = fs::remove_file(&path);
    let profiling = "--log-file-log-level=Profiling";
    let ran = w.backup(&[&log, profiling, "-q"]).code(&[1]);
    assert_eq!(ran.err, "");
    let got = fs::read_to_string(&path).unwrap();
    assert!(got.contains("[Profiling]: list"), "{got}");
    // What is asked for expressly counts.
    let _ = fs::remove_file(&path);
    let warnings = "--log-file-log-level=Warning";
    w.backup(&[&log, warnings, "-vv"]).code(&[1]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn a_log_file_is_renamed_at_its_limit() {
    let w = world("alone-log");
    let log = format!("--log-file={}", text(&w.scratch.at("log")));
    for _ in 0..8 {
        w.backup(&[&log, "--log-file-max-size=500b", "-q"])
            .code(&[0, 1]);
    }
    for name in ["log", "log.1"] {
        let size = fs::metadata(w.scratch.at(name)).unwrap().len();
        assert!(size > 50 && size <= 500, "{name}: {size}");
    }
    let before = fs::read_to_string(w.scratch.at("log.1")).unwrap();
    for _ in 0..4 {
        w.backup(&[&log, "-q"]).code(&[1]);
        w.backup(&[&log, "-q", "--log-file-max-size=0"]).code(&[1]);
    }
    assert!(fs::metadata(w.scratch.at("log")).unwrap().len() > 500);
    assert_eq!(fs::read_to_string(w.scratch.at("log.1")).unwrap(), before);
}

/// A run every little while as long as the first one takes.
#[test]
fn a_first_backup_longer_than_the_time_between_two_runs_is_finished() {
    let w = world("alone-lock");
    tree::write(&w.scratch.at("source/big"), &Rand(1).bytes(1_200_000));
    let args = [
        "backup",
        &w.dest,
        &w.source,
        PLAIN,
        "--throttle-upload=400kb",
    ];
    let mut first = w.scratch.command(&args);
    let mut first = first
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while names(Path::new(&w.dest)).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let waiting = ["backup", &w.dest, &w.source, PLAIN, "--lock-wait=10m"];
    let waiting = w.scratch.command(&waiting).spawn().unwrap();
    let holder = format!("process {}, since 2", first.id());
    let mut turned_away = 0;
    while first.try_wait().unwrap().is_none() {
        let ran = w.backup(&[]);
        if ran.code == 100 && ran.err.contains(&holder) {
            turned_away += 1;
            // Reading is not kept out.
            let ran = w.scratch.run(&["remote", "list", &w.dest]);
            ran.sane_but_tabs();
            assert_eq!(ran.code, 0, "{}", ran.all());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(turned_away > 0);
    assert!(first.wait().unwrap().success());
    let waited = waiting.wait_with_output().unwrap();
    assert_eq!(waited.status.code(), Some(1), "{waited:?}");
    assert_eq!(volumes(Path::new(&w.dest), "dlist").len(), 1);
    w.backup(&[]).code(&[1]);
    w.scratch.run(&["verify", &w.dest, "all"]).code(&[0]);
}

#[test]
fn cron_with_an_empty_environment() {
    let w = world("alone-cron");
    let conf = format!(
        "--target={}\n--source={}\n--passphrase=correct horse\n--backup-name=box\n",
        w.dest, w.source
    );
    let conf = format!("--parameters-file={}", w.file("conf", &conf, 0o600));
    let cron = |args: &[&str]| {
        let mut command = w.scratch.command(args);
        command
            .env_clear()
            .current_dir("/")
            .env("PATH", "/usr/bin:/bin");
        finish(command, args)
    };
    for code in [0, 1] {
        let ran = cron(&["backup", "-", &conf, "-q"]).code(&[code]);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    }
    let ran = cron(&["verify", "-", &conf, "-q"]).code(&[0]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    cron(&["list", "-", &conf]).code(&[0]).says("1 file");
    let to = format!("--restore-path={}", text(&w.scratch.at("to")));
    cron(&["restore", "-", &conf, &to]).code(&[0]);
    assert_eq!(fs::read(w.scratch.at("to/a.txt")).unwrap(), b"one");
    // Nothing at all, not even PATH.
    let args = ["backup", "-", &conf];
    let mut command = w.scratch.command(&args);
    command.env_clear().current_dir("/");
    finish(command, &args).code(&[1]);
}

#[test]
fn a_parameters_file_that_others_can_read_is_told_when_it_holds_a_secret() {
    let w = world("alone-modes");
    w.backup(&[]).code(&[0]);
    for (content, mode, told) in [
        ("--passphrase=x y", 0o644, true),
        ("--passphrase=x y", 0o640, true),
        ("--passphrase=x y", 0o604, true),
        ("--passphrase=x y", 0o600, false),
        ("--passphrase=x y", 0o400, false),
        ("--auth-password=x", 0o644, true),
        ("--send-http-url=https://h.invalid/x", 0o644, true),
        ("--dblock-size=10mb", 0o644, false),
        ("--target=webdav://u:secret@127.0.0.1:1/x", 0o644, true),
        (
            "--target=webdav://127.0.0.1:1/x?auth-password=secret",
            0o644,
            true,
        ),
        (
            "--target=webdav://127.0.0.1:1/x?use-ssl=false",
            0o644,
            false,
        ),
    ] {
        let file = w.file("conf", &format!("{content}\n"), mode);
        let option = format!("--parameters-file={file}");
        let retries = "--number-of-retries=0";
        let dest = if content.contains("target") {
            "webdav://127.0.0.1:1/x"
        } else {
            &w.dest
        };
        let args = ["list", dest, &option, PLAIN, retries];
        let ran = w.scratch.run(&args);
        let says = ran.err.contains("warning: others can read ") && ran.err.contains("chmod 600");
        assert_eq!(says, told, "{content} {mode:o} {}", ran.all());
        if dest == w.dest {
            // As the page of exit codes has it for every warning.
            assert_eq!(ran.code == 2, told, "{}", ran.all());
            let suppressed = [&args[..], &["--suppress-warnings=exposed-secret"]].concat();
            w.scratch.run(&suppressed).code(&[0]);
        }
        assert!(!ran.err.contains("secret@"), "{}", ran.all());
    }
    // Rules of the file are the backup's, and options of other commands are no mistake.
    let rules =
        "--exclude=*.tmp\n--include=*.txt\n--keep-versions=3\n--dblock-size=5mb\n--overwrite\n";
    let file = w.file("conf", rules, 0o600);
    let option = format!("--parameters-file={file}");
    for command in ["list", "find", "restore", "verify"] {
        let words: &[&str] = match command {
            "find" => &["*a.txt"],
            "restore" => &["--dry-run"],
            _ => &[],
        };
        let args = [&[command, &w.dest, &option], words].concat();
        let said = format!("2 rules of {file} are for backup, not used by {command}");
        w.scratch.run(&args).code(&[0]).says(&said);
    }
    let ran = w.scratch.run(&["compact", &w.dest, &option]).code(&[0]);
    assert!(!ran.err.contains("rules of"), "{}", ran.all());
}

#[test]
fn rules_from_files_and_rules_without_case() {
    let w = world("alone-rules");
    w.scratch.folder("source/Cache");
    for name in ["b.TMP", "c.tmp", "Cache/x", "keep.log", "d.bak"] {
        tree::write(&w.scratch.at("source").join(name), b"x");
    }
    let list = w.file(
        "rules",
        "\u{feff}# what is left out\n\n*.tmp\r\n*/keep.log\n",
        0o644,
    );
    let wanted = w.file("wanted", "*.txt\n*/\n", 0o644);
    let left = |options: &[&str]| {
        let prefix = format!("--prefix=p{}", names(Path::new(&w.dest)).len());
        w.backup(&[options, &[&prefix]].concat()).code(&[0]);
        let ran = w
            .scratch
            .run(&["list", &w.dest, "0", "--json", &prefix])
            .code(&[0]);
        let files = ran.json()["Files"].as_array().unwrap().clone();
        let paths = files.iter().map(|f| f["Path"].as_str().unwrap().to_owned());
        let paths: Vec<String> = paths.filter(|p| !p.ends_with('/')).collect();
        let names = paths
            .iter()
            .map(|p| p.rsplit('/').next().unwrap().to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.join(" ")
    };
    let from = format!("--exclude-from={list}");
    assert_eq!(left(&["--iexclude=*.tmp"]), "a.txt d.bak keep.log x");
    assert_eq!(
        left(&["--iexclude", "*/cache/"]),
        "a.txt b.TMP c.tmp d.bak keep.log"
    );
    assert_eq!(left(&["--exclude=*.tmp"]), "a.txt b.TMP d.bak keep.log x");
    assert_eq!(left(&[&from]), "a.txt b.TMP d.bak x");
    assert_eq!(
        left(&["--include=*/c.tmp", &from]),
        "a.txt b.TMP c.tmp d.bak x"
    );
    assert_eq!(
        left(&["--exclude-from", &list, "--iexclude=*.BAK"]),
        "a.txt b.TMP x"
    );
    assert_eq!(left(&[&format!("--include-from={wanted}")]), "a.txt");
    for (option, code) in [
        ("--exclude-from=/nonexistent/rules", 100),
        ("--exclude-from=", 100),
    ] {
        let ran = w.backup(&[option]);
        assert!([code, 200].contains(&ran.code), "{}", ran.all());
    }
}

#[test]
fn a_run_gives_way_to_others() {
    let w = world("alone-nice");
    let script = w.file(
        "script",
        "#!/bin/sh\ncut -d' ' -f19 /proc/$$/stat >nice; ionice -p $$ >io 2>/dev/null; exit 0\n",
        0o755,
    );
    let before = format!("--run-script-before={script}");
    let usual: i32 = {
        w.backup(&[&before]).code(&[0]);
        let nice = fs::read_to_string(w.scratch.at("nice")).unwrap();
        nice.trim().parse().unwrap()
    };
    for (word, nice) in [
        ("Idle", 19),
        ("lowest", 15),
        ("BelowNormal", 5),
        ("normal", usual),
    ] {
        let option = format!("--thread-priority={word}");
        if nice < usual {
            continue;
        }
        w.backup(&[&before, &option, "--use-background-io-priority"])
            .code(&[0, 1]);
        let said = fs::read_to_string(w.scratch.at("nice")).unwrap();
        assert_eq!(said.trim(), nice.to_string(), "{word}");
        let io = fs::read_to_string(w.scratch.at("io")).unwrap();
        assert!(io.is_empty() || io.contains("idle"), "{io}");
    }
    w.backup(&["--thread-priority=Highest"]).code(&[0, 1]);
    w.backup(&["--thread-priority="]).code(&[0, 1]);
    w.backup(&["--thread-priority=Fast"])
        .code(&[200])
        .says("BelowNormal");
    w.backup(&["--disable-on-battery=false"]).code(&[0, 1]);
}

/// Two months of nights; every fifth the destination is away.
#[test]
fn two_months_of_nights() {
    let w = world("alone-months");
    let receiver = Receiver::start();
    let conf = format!(
        "--target={}\n--source={}\n--no-encryption\n--backup-name=box\n--send-http-url={}\n--log-file={}\n--log-file-max-size=4kb\n",
        w.dest,
        w.source,
        receiver.url("/ping"),
        text(&w.scratch.at("log"))
    );
    let conf = format!("--parameters-file={}", w.file("conf", &conf, 0o600));
    let away = w.scratch.at("away");
    let (mut good, mut failed) = (0, 0);
    for night in 0..61 {
        let fails = night % 5 == 4;
        tree::write(&w.scratch.at("source/day"), format!("{night}").as_bytes());
        if fails {
            fs::rename(&w.dest, &away).unwrap();
        }
        let args = ["backup", "-", &conf, "-q"];
        let mut command = w.scratch.command(&args);
        steer::steer(&mut command, 1_790_000_000 + night * 86_400, None);
        let ran = finish(command, &args).code(&[if fails { 100 } else { 0 }]);
        assert_eq!(
            ran.out.is_empty() && ran.err.is_empty(),
            !fails,
            "{}",
            ran.all()
        );
        let reports = receiver.take();
        assert_eq!(reports.len(), 1, "night {night}");
        assert_eq!(reports[0].json()["ExitCode"], ran.code);
        if fails {
            assert!(!Path::new(&w.dest).exists(), "begun anew: {}", ran.all());
            fs::rename(&away, &w.dest).unwrap();
            failed += 1;
        } else {
            good += 1;
        }
    }
    assert_eq!((good, failed), (49, 12));
    assert_eq!(volumes(Path::new(&w.dest), "dlist").len(), good);
    let count = |kind| volumes(Path::new(&w.dest), kind).len();
    assert!(count("dblock") == count("dindex") && count("dblock") < good);
    for name in ["log", "log.1"] {
        assert!(fs::metadata(w.scratch.at(name)).unwrap().len() <= 4096);
    }
    assert!(!w.scratch.at("log.2").exists());
    assert!(w.scratch.left_in_tmp().is_empty());
    let locks = names(&w.scratch.at("cache/duplet"));
    assert!(
        locks
            .iter()
            .all(|n| !n.to_string_lossy().ends_with(".lock"))
    );
    w.scratch.run(&["verify", "-", &conf, "all"]).code(&[0]);
}
