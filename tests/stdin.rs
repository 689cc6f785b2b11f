//! `duplet backup URL - --stdin-filename=NAME`: standard input, or what a command writes, as one file of a version; and a version
//! that is not made because its end was not reached.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use support::{Rand, Scratch, check, names, text, tree, volumes};

const WAYS: [&str; 2] = ["--passphrase=through a pipe", "--no-encryption"];

struct World {
    scratch: Scratch,
    dest: PathBuf,
    how: &'static str,
}

impl World {
    fn new(how: &'static str) -> World {
        let scratch = Scratch::new("stdin");
        World {
            dest: scratch.at("dest"),
            scratch,
            how,
        }
    }

    fn command(&self, command: &str, more: &[&str]) -> Command {
        let common = [command, text(&self.dest), self.how];
        self.scratch.command(&[&common[..], more].concat())
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        self.command(command, more).output().unwrap()
    }

    /// A backup with `input` on standard input.
    fn backup(&self, input: &[u8], more: &[&str]) -> Output {
        let more = [more, &["--blocksize=10kb"]].concat();
        let mut command = self.command("backup", &more);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // What is refused is not read.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    fn versions(&self) -> usize {
        volumes(&self.dest, "dlist").len()
    }

    fn stored(&self) -> u64 {
        let size = |v: &PathBuf| fs::metadata(v).unwrap().len();
        volumes(&self.dest, "dblock").iter().map(size).sum()
    }

    #[track_caller]
    fn bytes(&self, path: &str, version: &str) -> Vec<u8> {
        let ran = self.run("cat", &[path, version]);
        check(&ran, 0, "");
        ran.stdout
    }
}

#[test]
fn what_comes_in_is_a_file_of_the_version() {
    for how in WAYS {
        let world = World::new(how);
        let mut versions = 0;
        for len in [1, 10_239, 10_240, 10_241, 700_001, 0] {
            let input = Rand(len).bytes(usize::try_from(len).unwrap());
            let ran = world.backup(&input, &["-", "--stdin-filename=db.sql"]);
            match len {
                0 => check(&ran, 2, "standard input was empty"),
                _ => check(&ran, 0, ""),
            }
            versions += 1;
            assert_eq!(world.versions(), versions);
            assert!(world.bytes("/db.sql", "--version=0") == input, "{len}");
        }
        let to = world.scratch.at("to");
        let there = format!("--restore-path={}", text(&to));
        let ran = world.run("restore", &["--version=1", &there, "--restore-permissions"]);
        check(&ran, 0, "");
        let file = to.join("db.sql");
        let meta = fs::metadata(&file).unwrap();
        let age = SystemTime::now().duration_since(meta.modified().unwrap());
        assert!(age.unwrap() < Duration::from_secs(3600));
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
        assert_eq!((meta.len(), mode & 0o777), (700_001, 0o600));
        check(&world.run("verify", &["all"]), 0, "");
        if how == "--no-encryption" {
            support::outside(&world.dest);
        }
        assert!(world.scratch.left_in_tmp().is_empty());
    }
}

#[test]
fn blocks_that_are_stored_are_not_stored_again() {
    let world = World::new(WAYS[0]);
    let mut input = Rand(1).bytes(1_000_000);
    let words = ["-", "--stdin-filename=/dumps/db"];
    check(&world.backup(&input, &words), 0, "");
    let first = world.stored();
    input[400_000] ^= 1;
    input.extend_from_slice(b"and more");
    check(&world.backup(&input, &words), 0, "");
    assert!(first > 1_000_000 && world.stored() < first + 60_000);
    assert!(world.bytes("/dumps/db", "--version=0") == input);
    // The same once more: of another time, with nothing new in it.
    let before = world.stored();
    check(&world.backup(&input, &words), 0, "");
    assert!(world.stored() < before + 10_000 && world.versions() == 3);
}

/// It stands among the sources where its path belongs, comes and goes as they do, and leaves them alone.
#[test]
fn it_goes_with_other_sources() {
    for how in WAYS {
        let world = World::new(how);
        for name in ["a/one", "a/two", "z/three"] {
            let path = world.scratch.at(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            tree::write(&path, name.as_bytes());
        }
        let (a, z) = (world.scratch.at("a"), world.scratch.at("z"));
        let between = text(&world.scratch.at("m/db")).to_owned();
        let name = format!("--stdin-filename={between}");
        let all = [text(&z), "-", text(&a), &name];
        check(&world.backup(b"first", &all), 0, "");
        check(&world.backup(b"second", &all), 0, "");
        for (path, want) in [("one", "a/one"), ("three", "z/three"), (&between, "second")] {
            let is = world.bytes(path, "--version=0");
            assert_eq!(String::from_utf8_lossy(&is), want, "{path}");
        }
        assert_eq!(world.bytes(&between, "--version=1"), b"first");
        // Under other names it comes first, and last.
        for name in ["--stdin-filename=!first", "--stdin-filename=~last"] {
            check(&world.backup(b"x", &["-", text(&a), text(&z), name]), 0, "");
            let path = &name["--stdin-filename=".len()..];
            assert_eq!(world.bytes(&format!("@/{path}"), "--version=0"), b"x");
            assert_eq!(world.bytes("three", "--version=0"), b"z/three");
        }
        // A version without it does not have it.
        check(&world.backup(b"", &[text(&a), text(&z)]), 0, "");
        let ran = world.run("cat", &["@/~last", "--version=0"]);
        check(&ran, 100, "nothing in the backup matches");
        check(&world.run("verify", &["all"]), 0, "");
    }
}

#[test]
fn a_command_that_fails_adds_no_version() {
    for how in WAYS {
        let world = World::new(how);
        let source = world.scratch.folder("source");
        tree::write(&source.join("file"), b"file");
        let data = world.scratch.at("data");
        tree::write(&data, &Rand(4).bytes(2_000_000));
        let name = "--stdin-filename=db";
        for (script, says) in [
            ("cat data; echo oops >&2; exit 3", "exit status 3"),
            ("exit 1", "exit status 1"),
            ("cat data; kill -9 $$", "signal 9"),
            ("cat data | no-such-program", "exit status 127"),
            ("cat data; exec >&-; sleep 0.2; exit 7", "exit status 7"),
        ] {
            let script = format!("--stdin-from-command={script}");
            for words in [&[&script[..], name][..], &[text(&source), &script, name]] {
                let ran = world.backup(b"", words);
                check(&ran, 100, says);
                assert_eq!(world.versions(), 0, "{script}");
                let said = String::from_utf8_lossy(&ran.stderr);
                let ours = said.lines().filter(|l| l.starts_with("duplet:"));
                assert_eq!(ours.count(), 1, "{said}");
                assert_eq!(said.contains("oops\n"), script.contains("oops"));
            }
        }
        let good = "--stdin-from-command=cat data; echo fine >&2";
        check(&world.backup(b"", &[good, name]), 0, "fine\n");
        assert!(world.bytes("/db", "--version=0") == fs::read(&data).unwrap());
        let with = ["-", text(&source), good, name, "-v"];
        check(&world.backup(b"not read", &with), 0, "");
        assert!(world.bytes("/db", "--version=0") == fs::read(&data).unwrap());
        let ran = world.backup(b"", &["--stdin-from-command=:", name]);
        check(&ran, 2, "the output of the command was empty");
        check(&world.run("verify", &["all"]), 0, "");
    }
}

/// The command gets what it needs, and none of this program's secrets.
#[test]
fn a_command_sees_its_own_secrets_only() {
    let world = World::new("");
    let name = "--stdin-filename=env";
    let script = "--stdin-from-command=echo \"$PASSPHRASE,$AUTH_PASSWORD,$PGPASSWORD,$(cat)\"";
    let mut command = world
        .scratch
        .command(&["backup", text(&world.dest), script, name]);
    for (key, value) in [
        ("PASSPHRASE", "hidden one"),
        ("AUTH_PASSWORD", "hidden two"),
        ("PGPASSWORD", "given"),
    ] {
        command.env(key, value);
    }
    check(&command.output().unwrap(), 0, "");
    let common = ["cat", text(&world.dest), "env", "--passphrase=hidden one"];
    let ran = world.scratch.run(&common).code(&[0]);
    assert_eq!(ran.out, ",,given,\n");
}

#[test]
fn a_stop_adds_no_version() {
    for producer in ["-", "--stdin-from-command=echo begun; exec sleep 600"] {
        let world = World::new(WAYS[1]);
        let words = [
            producer,
            "--stdin-filename=db",
            "--dblock-size=1mb",
            "--blocksize=10kb",
        ];
        let mut command = world.command("backup", &words);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        if producer == "-" {
            pipe.write_all(&Rand(6).bytes(1_500_000)).unwrap();
        } else {
            std::thread::sleep(Duration::from_millis(700));
        }
        // The pipe stays open: nothing more comes, and no end.
        let pid = child.id().to_string();
        let stop = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(stop.unwrap().success());
        let ran = child.wait_with_output().unwrap();
        drop(pipe);
        check(&ran, 50, "stopped");
        assert_eq!(world.versions(), 0);
        let input = Rand(6).bytes(1_500_000);
        let ran = world.backup(&input, &["-", "--stdin-filename=db", "--new-backup"]);
        check(&ran, 0, "");
        assert!(world.bytes("db", "--version=0") == input);
        check(&world.run("verify", &["all"]), 0, "");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let world = World::new(WAYS[1]);
    let source = world.scratch.folder("source");
    tree::write(&source.join("file"), b"file");
    let inside = format!("--stdin-filename={}", text(&source.join("db")));
    let itself = format!("--stdin-filename={}", text(&source));
    let name = "--stdin-filename=db";
    let command = "--stdin-from-command=echo 1";
    for (words, says) in [
        (&["-"][..], "--stdin-filename=NAME"),
        (&["/dev/stdin"], "--stdin-filename=NAME"),
        (&[text(&source), "/dev/fd/0"], "--stdin-filename=NAME"),
        (&[text(&source), name], "write - as a source"),
        (&[command], "--stdin-filename=db.sql"),
        (&["--stdin-filename=db.sql"], "write - as a source"),
        (&["--stdin-from-command=", name], "write - as a source"),
        (&["-", "--stdin-filename="], "--stdin-filename=NAME"),
        (&["-", "--stdin-filename=a/../b"], "no path of a file"),
        (&["-", "--stdin-filename=folder/"], "no path of a file"),
        (&["-", text(&source), &inside], "in no source"),
        (&["-", text(&source), &itself], "in no source"),
        (
            &["-", name, "--force-passphrase-from-stdin"],
            "standard input",
        ),
    ] {
        let words = [words, &["--quiet"]].concat();
        check(&world.backup(b"input", &words), 200, says);
        assert!(!world.dest.exists(), "{words:?}");
    }
    // Another command has nothing to do with it.
    for words in [&["list", "x", name][..], &["restore", "x", command]] {
        world.scratch.run(words).code(&[100, 200]);
    }
    // The word of another program leads here.
    let ran = world.backup(b"", &["--stdin"]);
    check(&ran, 200, "--stdin-filename=db.sql");
}

#[test]
fn a_dry_run_reads_nothing_and_starts_nothing() {
    let world = World::new(WAYS[1]);
    let name = "--stdin-filename=db";
    let ran = world.backup(b"input", &["-", name, "--dry-run", "--new-backup"]);
    check(&ran, 0, "would be read");
    let ran = world.backup(
        b"",
        &["--stdin-from-command=touch begun", name, "--dry-run"],
    );
    check(&ran, 0, "would be read");
    assert!(!world.scratch.at("begun").exists() && names(&world.dest).is_empty());
    // All of it from a file of options.
    let conf = world.scratch.at("conf");
    let lines = "--source=-\n--stdin-filename=db\n";
    fs::write(&conf, lines).unwrap();
    let file = format!("--parameters-file={}", text(&conf));
    check(&world.backup(b"by file", &[&file]), 0, "");
    assert_eq!(world.bytes("/db", "--version=0"), b"by file");
    fs::write(
        &conf,
        "--stdin-from-command=echo by command\n--stdin-filename=db\n",
    )
    .unwrap();
    check(&world.backup(b"", &[&file]), 0, "");
    assert_eq!(world.bytes("/db", "--version=0"), b"by command\n");
}
