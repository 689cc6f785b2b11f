//! Scripts around a run: what they are told, what they decide, and that they learn no secret and do not outlive their time.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Ran, Scratch, finish, names, text};

const PLAIN: &str = "--no-encryption";

/// Writes a script and returns its path.
fn script(scratch: &Scratch, name: &str, body: &str) -> String {
    let path = scratch.at(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    text(&path).to_owned()
}

fn source(scratch: &Scratch) -> String {
    let folder = scratch.folder("source");
    let file = folder.join("a.txt");
    if !file.exists() {
        fs::write(file, "one").unwrap();
    }
    text(&folder).to_owned()
}

fn backup(scratch: &Scratch, more: &[&str]) -> Ran {
    let (dest, source) = (scratch.at("dest"), source(scratch));
    let args = [&["backup", text(&dest), &source, PLAIN], more].concat();
    scratch.run(&args)
}

fn has_version(scratch: &Scratch) -> bool {
    !support::volumes(&scratch.at("dest"), "dlist").is_empty()
}

/// A safeguard that were passed over would be none.
#[test]
fn scripts_stand_around_every_command_or_are_refused() {
    let scratch = Scratch::new("scripts-everywhere");
    backup(&scratch, &[]).code(&[0]);
    let (dest, source) = (scratch.at("dest"), source(&scratch));
    let dest = text(&dest);
    let stop = script(&scratch, "stop", "exit 7");
    let required = format!("--run-script-before-required={stop}");
    let log = scratch.at("said");
    let note = format!("echo $DUPLICATI__OPERATIONNAME >> {}", text(&log));
    let after = format!("--run-script-after={}", script(&scratch, "after", &note));
    let post = format!("--run-script-post-backup={stop}");
    let empty = scratch.folder("mountpoint");
    for (line, named) in [
        (&["cat", dest, "a.txt"][..], "Restore"),
        (&["remote", "list", dest], "Remote"),
        (&["remote", "delete", dest, "x"], "Remote"),
        (&["test-filters", &source], "TestFilters"),
        (&["mount", dest, text(&empty)], "Mount"),
    ] {
        let _ = fs::remove_file(&log);
        let args = [line, &[&required, &after]].concat();
        scratch.run(&args).code(&[100]).says("exit code 7");
        assert_eq!(fs::read_to_string(&log).unwrap().trim(), named);
    }
    for line in [&["system-info"][..], &["vacuum", dest]] {
        let args = [line, &[&required]].concat();
        scratch.run(&args).code(&[200]).says("means nothing to");
    }
    scratch
        .run(&["list", dest, &post])
        .code(&[0])
        .says("--run-script-post-backup has no effect on list");
}

#[test]
fn the_exit_code_of_a_script_before_decides() {
    for (code, goes, want, said) in [
        (0, true, 0, ""),
        (1, false, 1, "nothing is done"),
        (2, true, 2, "warning: the script"),
        (3, false, 2, "nothing is done"),
        (4, true, 3, "exit code 4"),
        (5, false, 3, "nothing is done"),
        (6, false, 3, "exit code 6"),
        (255, false, 3, "exit code 255"),
    ] {
        let scratch = Scratch::new("scripts-before");
        let before = script(&scratch, "before", &format!("exit {code}"));
        let option = format!("--run-script-before={before}");
        backup(&scratch, &[&option]).code(&[want]).says(said);
        assert_eq!(has_version(&scratch), goes, "{code}");
        // Another command: what is skipped is no failure.
        let scratch = Scratch::new("scripts-list");
        backup(&scratch, &[]).code(&[0]);
        let before = script(&scratch, "before", &format!("exit {code}"));
        let option = format!("--run-script-before={before}");
        let ran = scratch.run(&["list", text(&scratch.at("dest")), &option]);
        assert_eq!(ran.out.contains("1 file"), goes, "{}", ran.all());
        ran.code(&[if code == 1 { 0 } else { want }]);
    }
    let scratch = Scratch::new("scripts-signal");
    let before = script(&scratch, "before", "kill -9 $$");
    let option = format!("--run-script-before={before}");
    backup(&scratch, &[&option]).code(&[3]).says("signal 9");
    assert!(!has_version(&scratch));
}

#[test]
fn a_required_script_that_fails_ends_the_run_before_anything_is_contacted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let scratch = Scratch::new("scripts-required");
    let source = source(&scratch);
    let url = format!("webdav://u:hunter2@127.0.0.1:{port}/x");
    for body in ["exit 1", "exit 2", "exit 77", "kill -15 $$", "sleep 60"] {
        let required = script(&scratch, "required", body);
        let required = format!("--run-script-before-required={required}");
        let second = script(&scratch, "second", "touch second-ran");
        let second = format!("--run-script-before={second}");
        for command in ["backup", "restore", "verify", "delete"] {
            let mut args = vec![command, &url, PLAIN, &required, &second];
            args.push("--run-script-timeout=1s");
            match command {
                "backup" => args.push(&source),
                "delete" => args.push("--keep-versions=1"),
                _ => {}
            }
            if body == "sleep 60" && command != "backup" {
                continue;
            }
            scratch
                .run(&args)
                .code(&[100])
                .says(&format!("cannot begin to {command}: the script of"))
                .says("has to end with 0");
        }
    }
    assert!(!scratch.at("second-ran").exists());
    let missing = "--run-script-before-required=/nonexistent/script";
    scratch
        .run(&["backup", &url, &source, missing])
        .code(&[100])
        .says("could not be started");
    assert!(listener.accept().is_err(), "the destination was contacted");
    // One that ends well lets it go on.
    let required = script(&scratch, "required", "exit 0");
    let required = format!("--run-script-before-required={required}");
    backup(&scratch, &[&required]).code(&[0]);
}

#[test]
fn no_secret_reaches_a_script() {
    let scratch = Scratch::new("scripts-secrets");
    let dump = script(
        &scratch,
        "dump",
        "env >>seen; cat /proc/$$/cmdline >>seen; cat \"$DUPLICATI__RESULTFILE\" >>seen 2>/dev/null; exit 0",
    );
    let (before, after) = (
        format!("--run-script-before={dump}"),
        format!("--run-script-after={dump}"),
    );
    let source = source(&scratch);
    fs::write(scratch.at("conf"), "--auth-password=hunter2e\n").unwrap();
    fs::set_permissions(scratch.at("conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let conf = format!("--parameters-file={}", text(&scratch.at("conf")));
    let url = "webdav://user:hunter2a@127.0.0.1:1/x?passphrase=hunter2b&use-ssl=true";
    let args = [
        "backup",
        url,
        &source,
        &before,
        &after,
        &conf,
        "--aws-secret-access-key=hunter2c",
        "--http-proxy=http://u:hunter2d@127.0.0.1:1",
        "--send-http-url=http://127.0.0.1:1/hunter2f",
        "--passphrase-command=echo hunter2g",
        "--number-of-retries=0",
        "--exclude=*.tmp",
    ];
    let ran = scratch.run_env(
        &args,
        &[
            ("PASSPHRASE", "hunter2h"),
            ("AUTH_PASSWORD", "hunter2i"),
            ("DUPLET_URL", "s3://k:hunter2j@b/p"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2k"),
            ("B2_APPLICATION_KEY", "hunter2l"),
            ("https_proxy", "http://u:hunter2m@127.0.0.1:1"),
            ("DUPLICATI__passphrase", "hunter2n"),
            ("RCLONE_CONFIG_PASS", "hunter2o"),
            ("AZURE_STORAGE_KEY", "hunter2p"),
            ("http_proxy", "http://plain.invalid:1"),
            ("KEPT", "kept"),
        ],
    );
    let ran = ran.code(&[100]);
    assert!(!ran.err.contains("hunter2"), "{}", ran.all());
    // The second word of this one is an address, too.
    let to = "webdav://user:hunter2q@127.0.0.1:1/y?auth-password=hunter2r";
    let args = ["copy", url, to, &before, &after, "--number-of-retries=0"];
    let copied = scratch.run(&args).code(&[100]);
    assert!(!copied.err.contains("hunter2"), "{}", copied.all());
    let seen = String::from_utf8_lossy(&fs::read(scratch.at("seen")).unwrap()).into_owned();
    assert!(!seen.contains("hunter2"), "{seen}");
    for line in [
        "KEPT=kept",
        "http_proxy=http://plain.invalid:1",
        "DUPLICATI__EVENTNAME=BEFORE",
        "DUPLICATI__EVENTNAME=AFTER",
        "DUPLICATI__OPERATIONNAME=Backup",
        "DUPLICATI__REMOTEURL=webdav://127.0.0.1:1/x",
        &format!("DUPLICATI__LOCALPATH={source}"),
        "DUPLICATI__FILTER=-*.tmp",
        "DUPLICATI__PARSED_RESULT=Fatal",
        "DUPLICATI__number_of_retries=0",
        "DUPLICATI__OPERATIONNAME=Copy",
        "DUPLICATI__LOCALPATH=webdav://127.0.0.1:1/y",
        "ParsedResult: Fatal",
        "ExitCode: 100",
    ] {
        assert!(seen.lines().any(|l| l == line), "{line}\n{seen}");
    }
}

#[test]
fn the_script_after_is_told_how_it_ended() {
    let scratch = Scratch::new("scripts-after");
    let tell = "echo \"$DUPLICATI__PARSED_RESULT $DUPLICATI__EXITCODE $DUPLICATI__EVENTNAME $DUPLICATI__BACKUP_NAME\" >told
cp \"$DUPLICATI__RESULTFILE\" result; stat -c %a \"$DUPLICATI__RESULTFILE\" >mode";
    let after = script(&scratch, "after", tell);
    let after = format!("--run-script-after={after}");
    let told = || fs::read_to_string(scratch.at("told")).unwrap();
    let result = || fs::read_to_string(scratch.at("result")).unwrap();
    let name = "--backup-name=my box";
    backup(&scratch, &[&after, name]).code(&[0]);
    assert_eq!(told(), "Success 0 AFTER my box\n");
    assert_eq!(fs::read_to_string(scratch.at("mode")).unwrap(), "600\n");
    for line in [
        "AddedFiles: 1",
        "MainOperation: Backup",
        "BackupName: my box",
        "ParsedResult: Success",
    ] {
        assert!(result().lines().any(|l| l == line), "{line}\n{}", result());
    }
    let json = "--run-script-result-output-format=json";
    backup(&scratch, &[&after, json]).code(&[1]);
    assert_eq!(told(), "Success 1 AFTER \n");
    let value: serde_json::Value = serde_json::from_str(&result()).unwrap();
    assert_eq!(
        (&value["AddedFiles"], &value["ExitCode"]),
        (&0.into(), &1.into())
    );
    // With --json nothing of it is on standard output.
    let ran = backup(&scratch, &[&after, json, "--json"]).code(&[1]);
    assert_eq!(ran.json()["ExitCode"], 1);
    fs::remove_file(scratch.at("source/a.txt")).unwrap();
    fs::remove_dir(scratch.at("source")).unwrap();
    let gone = text(&scratch.at("gone")).to_owned();
    let dest = scratch.at("dest");
    let args = ["backup", text(&dest), &gone, PLAIN, &after];
    let code = scratch.run(&args).code;
    assert!(told().contains(&format!(" {code} AFTER")), "{}", told());
    for (args, want) in [
        (vec!["list", text(&dest), "0"], "Success 0 AFTER \n"),
        (vec!["restore", text(&dest), "nosuch"], "Fatal 100 AFTER \n"),
        (vec!["list", "/nonexistent/dest"], "Fatal 100 AFTER \n"),
    ] {
        let args = [args, vec![after.as_str()]].concat();
        scratch.run(&args);
        assert_eq!(told(), want, "{args:?}");
    }
    // An object too long to keep is cut, and still one.
    let many = scratch.folder("many");
    for n in 0..2500 {
        fs::write(
            many.join(format!("a name that takes some room {n:090}")),
            "",
        )
        .unwrap();
    }
    let other = scratch.at("other");
    let args = ["backup", text(&other), text(&many), PLAIN];
    scratch.run(&args).code(&[0]);
    scratch
        .run(&["list", text(&other), "0", &after, json])
        .code(&[0]);
    let value: serde_json::Value = serde_json::from_str(&result()).unwrap();
    assert_eq!(
        (&value["Cut"], &value["ParsedResult"]),
        (&true.into(), &"Success".into())
    );
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn what_the_script_after_says_counts() {
    for (body, want, said) in [
        ("exit 0", 0, ""),
        ("exit 1", 0, ""),
        ("exit 2", 2, "exit code 2"),
        ("exit 3", 2, "exit code 3"),
        ("exit 4", 3, "exit code 4"),
        ("exit 9", 3, "exit code 9"),
        ("echo LOG:INFO all is well", 0, "all is well"),
        ("echo LOG:WARN take care", 2, "warning: take care"),
        ("echo LOG:ERROR broken >&2", 3, "duplet: broken"),
        (
            "echo hear me >&2; echo and me >&2",
            2,
            "said: hear me (and 1 line more)",
        ),
        ("echo nothing of note", 0, ""),
        (
            "printf 'bad \\033[31m\\377\\n' >&2",
            2,
            "bad \\x1b[31m\\xff",
        ),
        ("head -c 9000000 /dev/zero | tr '\\0' 'x\\n'", 0, ""),
        ("yes | head -c 3000000", 0, ""),
        ("sleep 60", 2, "did not end within 1s"),
    ] {
        let scratch = Scratch::new("scripts-says");
        for (option, events) in [("after", 1), ("post-backup", 1)] {
            if body.len() > 30 && option != "after" || body == "sleep 60" && events != 1 {
                continue;
            }
            let path = script(&scratch, "after", body);
            let option = format!("--run-script-{option}={path}");
            let log = format!("--log-file={}", text(&scratch.at("log")));
            let new = format!("--prefix=p{}", option.len());
            let limit = match body {
                "sleep 60" => "--run-script-timeout=1s",
                _ => "--run-script-timeout=60s",
            };
            let options = [&option, limit, &log, &new];
            backup(&scratch, &options).code(&[want]).says(said);
            let log = fs::read_to_string(scratch.at("log")).unwrap();
            if !said.is_empty() {
                assert!(
                    log.contains(
                        said.trim_start_matches("warning: ")
                            .trim_start_matches("duplet: ")
                    ),
                    "{log}"
                );
            }
            if body == "echo nothing of note" {
                assert!(log.contains("nothing of note"), "{log}");
            }
        }
    }
    // It does not run on another command than a backup.
    let scratch = Scratch::new("scripts-post");
    backup(&scratch, &[]).code(&[0]);
    let post = script(&scratch, "post", "touch ran");
    let option = format!("--run-script-post-backup={post}");
    scratch
        .run(&["list", text(&scratch.at("dest")), &option])
        .code(&[0]);
    assert!(!scratch.at("ran").exists());
}

#[test]
fn scripts_that_cannot_be_started_say_what_to_do() {
    let scratch = Scratch::new("scripts-start");
    let plain = scratch.at("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    for (value, said) in [
        ("/nonexistent/x", "is the path right?"),
        (text(&plain), "chmod +x"),
        ("/bin/true with arguments", "--run-script-with-arguments"),
    ] {
        for option in ["before", "after"] {
            let option = format!("--run-script-{option}={value}");
            backup(&scratch, &[&option]).code(&[3]).says(said);
            assert!(has_version(&scratch));
        }
    }
    let say = script(&scratch, "say", "printf '%s|' \"$@\" >words");
    let option = format!("--run-script-after={say} one 'two three' \"four\\\"five\" ''");
    backup(&scratch, &[&option, "--run-script-with-arguments"]).code(&[0, 1]);
    let words = fs::read_to_string(scratch.at("words")).unwrap();
    assert_eq!(words, "one|two three|four\"five||");
    let option = "--run-script-after=/bin/true 'x";
    backup(&scratch, &[option, "--run-script-with-arguments"])
        .code(&[200])
        .says("quote");
    backup(&scratch, &["--run-script-before=", "--run-script-after="]).code(&[0, 1]);
}

#[test]
fn a_script_before_changes_options_by_what_it_prints() {
    let scratch = Scratch::new("scripts-change");
    let other = scratch.folder("other");
    fs::write(other.join("b.txt"), "two").unwrap();
    fs::write(other.join("b.tmp"), "two").unwrap();
    let elsewhere = scratch.at("elsewhere");
    let lines = format!(
        "echo --remoteurl={}; echo --localpath={}; echo --filter=-*.tmp; echo --prefix=changed; echo --passphrase=hunter2; echo --eventname=x; echo --main-action=delete; echo --restore-path=/x",
        text(&elsewhere),
        text(&other)
    );
    let before = script(&scratch, "before", &lines);
    let option = format!("--run-script-before={before}");
    let (dest, source) = (scratch.at("dest"), source(&scratch));
    let args = ["backup", text(&dest), &source, &option, "-v"];
    let ran = scratch.run(&args).code(&[0]);
    assert!(!ran.err.contains("hunter2") && !scratch.at("dest").exists());
    let made: Vec<_> = names(&elsewhere);
    let all = |start: &str, end: &str| {
        made.iter()
            .map(|n| n.to_string_lossy())
            .all(|n| n.starts_with(start) && n.ends_with(end))
    };
    assert!(made.len() == 3 && all("changed-", ".zip.aes"), "{made:?}");
    let args = ["list", text(&elsewhere), "0", "--passphrase=hunter2"];
    let ran = scratch.run(&args).code(&[0]).says("b.txt");
    assert!(!ran.out.contains("b.tmp") && !ran.out.contains("a.txt"));
    for (line, said) in [
        ("--dblock-size=huge", "--dblock-size=huge is not valid"),
        ("--no-such-option=1", "cannot take a line of a script"),
        ("--filter=x", "begins with neither"),
    ] {
        let before = script(&scratch, "before", &format!("echo '{line}'"));
        let option = format!("--run-script-before={before}");
        backup(&scratch, &[&option]).code(&[200]).says(said);
    }
}

fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("gone", |(_, s)| &s[..1]);
    !matches!(state, "gone" | "Z" | "X")
}

fn until(what: &str, is: &dyn Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_script_ends_with_the_run() {
    for (signal, want) in [("-TERM", Some(50)), ("-INT", Some(50)), ("-KILL", None)] {
        let scratch = Scratch::new("scripts-end");
        let source = source(&scratch);
        let before = script(
            &scratch,
            "before",
            "echo $$ >pid.new; mv pid.new pid; exec sleep 600",
        );
        let option = format!("--run-script-before={before}");
        let dest = scratch.at("dest");
        let args = [
            "backup",
            text(&dest),
            &source,
            PLAIN,
            &option,
            "--run-script-timeout=0s",
        ];
        let mut child = scratch.command(&args);
        let mut child = child
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the script begins", &|| scratch.at("pid").exists());
        let pid = fs::read_to_string(scratch.at("pid")).unwrap();
        let kill = ["kill", signal, &child.id().to_string()];
        let args = [kill[1], kill[2]];
        finish(scratch.other(&["kill"], &args), &args).code(&[0]);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), want, "{signal}");
        until("the script ends", &|| !alive(&pid));
        assert!(!Path::new(&dest).exists());
    }
    // One over its time, with what it started.
    let scratch = Scratch::new("scripts-time");
    let before = script(&scratch, "before", "sleep 600 & echo $! >pid; wait");
    let option = format!("--run-script-before={before}");
    backup(&scratch, &[&option, "--run-script-timeout=1s"])
        .code(&[2])
        .says("was killed");
    let pid = fs::read_to_string(scratch.at("pid")).unwrap();
    until("its child ends", &|| !alive(&pid));
    assert!(has_version(&scratch));
    // What a script leaves running on purpose (a tunnel) stays, and is not waited for.
    let before = script(&scratch, "before", "sleep 600 & echo $! >pid; exit 0");
    let option = format!("--run-script-before={before}");
    let begun = Instant::now();
    backup(&scratch, &[&option, "--run-script-timeout=0s"]).code(&[1]);
    assert!(begun.elapsed() < Duration::from_secs(300));
    let pid = fs::read_to_string(scratch.at("pid")).unwrap();
    assert!(alive(&pid));
    let args = ["-KILL", pid.trim()];
    finish(scratch.other(&["kill"], &args), &args).code(&[0]);
}
