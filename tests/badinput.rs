//! What people get wrong: the message says what and what to do, the exit code tells the kind, nothing is harmed.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it could not do or where to look"
)]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use support::snapshot::{But, INSTALL, same, take};
use support::{Ran, Rand, Scratch, fixture, names, text, tool, tree, volumes};

const WRONG: &str = "wrong passphrase or damaged header";

/// A scratch with a small source; nothing backed up yet.
fn small(label: &str) -> Scratch {
    let scratch = Scratch::new(label);
    let source = scratch.folder("source");
    tree::write(&source.join("file"), b"content");
    fs::create_dir_all(source.join("folder")).unwrap();
    tree::write(&source.join("folder/other"), b"more content");
    scratch
}

fn backup(scratch: &Scratch, more: &[&str]) -> Ran {
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    let mut args = vec!["backup", text(&dest), text(&source)];
    args.extend(more);
    scratch.run(&args)
}

/// Backed up plain.
fn backed_up(label: &str) -> Scratch {
    let scratch = small(label);
    backup(&scratch, &["--no-encryption"]).code(&[0]);
    scratch
}

fn run(scratch: &Scratch, words: &[&str]) -> Ran {
    scratch.run(words)
}

#[test]
fn missing_source() {
    let scratch = small("bad-source");
    let (dest, source, nowhere) = (
        scratch.at("dest"),
        scratch.at("source"),
        scratch.at("nowhere"),
    );
    let all = ["backup", text(&dest), text(&nowhere), "--no-encryption"];
    run(&scratch, &all).code(&[100]).says("nowhere");
    assert!(names(&dest).is_empty());
    let one = [
        "backup",
        text(&dest),
        text(&source),
        text(&nowhere),
        "--no-encryption",
    ];
    run(&scratch, &one).code(&[2]).says("nowhere");
    let strict = [
        "backup",
        text(&dest),
        text(&source),
        text(&nowhere),
        "--abort-if-source-missing",
    ];
    run(&scratch, &strict).code(&[100]).says("nowhere");
    run(&scratch, &["backup", text(&dest)]).code(&[200]);
}

#[test]
fn source_and_destination_inside_each_other() {
    let scratch = small("bad-inside");
    let source = scratch.at("source");
    let inner = source.join("backups");
    // The backup would hold itself: it must be left out in so many words.
    let args = ["backup", text(&inner), text(&source), "--no-encryption"];
    run(&scratch, &args).code(&[200]).says("inside the source");
    let exclude = format!("--exclude={}/", text(&inner));
    let args = [&args[..], &[&exclude]].concat();
    run(&scratch, &args).code(&[0]);
    let list = run(&scratch, &["list", text(&inner), "0"]).code(&[0]);
    assert!(!list.out.contains(".dblock."), "{}", list.all());
    // The source inside the destination works, or is refused; never silently empty.
    let outer = scratch.at("outer");
    let below = outer.join("data");
    fs::create_dir_all(&below).unwrap();
    tree::write(&below.join("kept"), b"kept");
    let ran = run(
        &scratch,
        &["backup", text(&outer), text(&below), "--no-encryption"],
    );
    ran.sane();
    match ran.code {
        0 | 2 => {
            run(&scratch, &["list", text(&outer), "0"])
                .code(&[0])
                .says("kept");
        }
        code => assert!(code == 100 || code == 200, "{}", ran.all()),
    }
}

#[test]
fn command_line_mistakes() {
    let scratch = backed_up("bad-words");
    let dest = scratch.at("dest");
    let dest = text(&dest);
    let cases: [(&[&str], &str); 15] = [
        (&["bakcup", dest, "/etc"], "backup"),
        (&["restor", dest], "restore"),
        (&["list", dest, "--pasphrase=x"], "passphrase"),
        (
            &["list", dest, "--no-such-option-at-all"],
            "no-such-option-at-all",
        ),
        (
            &["backup", dest, "/etc", "--dblock-size=lots"],
            "dblock-size",
        ),
        (
            &[
                "backup",
                dest,
                "/etc",
                "--dblock-size=1mb",
                "--blocksize=1mb",
            ],
            "--dblock-size must be at least 2.00 MiB (a volume holds two blocks: it may be smaller with a smaller --blocksize)",
        ),
        (&["backup", dest, "/etc", "--blocksize=-1"], "blocksize"),
        (&["backup", dest, "/etc", "--blocksize=10b"], "blocksize"),
        (
            &["backup", dest, "/etc", "--symlink-policy=maybe"],
            "symlink-policy",
        ),
        (&["restore", dest, "--overwrite=perhaps"], "overwrite"),
        (&["list", dest, "--version=first"], "version"),
        (&["list", dest, "--version=0", "--time=1D"], "--time"),
        (
            &["restore", dest, "--version=0", "--time=2020-01-01"],
            "--time",
        ),
        (&["backup", dest, "/etc", "--prefix=with-hyphen"], "prefix"),
        (&["list"], "list"),
    ];
    for (words, told) in cases {
        run(&scratch, words).code(&[200]).says(told);
    }
    run(&scratch, &["list", "nosuchscheme://host/path"])
        .code(&[200])
        .says("nosuchscheme");
    assert_eq!(
        volumes(Path::new(dest), "dlist").len(),
        1,
        "nothing was written"
    );
}

#[test]
fn versions_that_do_not_exist() {
    let scratch = backed_up("bad-version");
    let (dest, to) = (scratch.at("dest"), scratch.at("to"));
    let path = format!("--restore-path={}", text(&to));
    run(&scratch, &["restore", text(&dest), &path, "--version=7"])
        .code(&[100])
        .says("7");
    run(
        &scratch,
        &["restore", text(&dest), &path, "--time=1999-01-01"],
    )
    .code(&[100]);
    run(&scratch, &["list", text(&dest), "--version=7"])
        .code(&[100])
        .says("7");
    run(&scratch, &["restore", text(&dest), "no-such-file", &path]).code(&[100]);
    assert!(!to.exists(), "nothing was made");
    let empty = scratch.folder("empty");
    run(&scratch, &["list", text(&empty)])
        .code(&[100])
        .says("no backup");
    let absent = scratch.at("absent");
    run(&scratch, &["list", text(&absent)])
        .code(&[100])
        .says("absent");
    assert!(!absent.exists(), "reading makes no folder");
}

#[test]
fn passphrases() {
    let scratch = small("bad-passphrase");
    let dest = scratch.at("dest");
    backup(&scratch, &["--passphrase="])
        .code(&[200, 100])
        .says("passphrase");
    backup(&scratch, &["--passphrase=  "])
        .code(&[200, 100])
        .says("passphrase");
    backup(&scratch, &[]).code(&[200]).says("passphrase");
    assert!(names(&dest).is_empty());
    backup(&scratch, &["--passphrase=right-one"]).code(&[0]);
    let had = names(&dest);
    for command in ["list", "restore", "verify", "find"] {
        let word = match command {
            "list" => "0",
            "verify" => "all",
            _ => "*",
        };
        let args = [
            command,
            text(&dest),
            word,
            "--passphrase=wrong-one",
            "--restore-path=to",
        ];
        let args = if command == "restore" {
            &args[..]
        } else {
            &args[..4]
        };
        let ran = run(&scratch, args).code(&[100]).says(WRONG);
        assert!(
            !ran.all().replace(&ran.line, "").contains("wrong-one"),
            "{}",
            ran.all()
        );
        let json = run(&scratch, &[args, &["--json"]].concat())
            .code(&[100])
            .json();
        assert_eq!(json["Error"]["Kind"], "passphrase", "{json}");
        assert_eq!(json["ExitCode"], 100, "{json}");
    }
    backup(&scratch, &["--passphrase=wrong-one"])
        .code(&[100])
        .says(WRONG);
    backup(&scratch, &["--no-encryption"])
        .code(&[100])
        .says("is encrypted");
    run(&scratch, &["list", text(&dest), "0"])
        .code(&[100, 200])
        .says("passphrase");
    assert_eq!(names(&dest), had, "nothing was added");
    let env = [("PASSPHRASE", "right-one")];
    scratch
        .run_env(&["list", text(&dest), "0"], &env)
        .code(&[0])
        .says("file");
    let file = scratch.at("secret");
    fs::write(&file, "right-one\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let from_file = format!("--passphrase-file={}", text(&file));
    run(&scratch, &["list", text(&dest), "0", &from_file])
        .code(&[0])
        .says("file");
    // A plain backup needs none, and one that is given says that something is wrong.
    let plain = backed_up("bad-passphrase-plain");
    let dest = plain.at("dest");
    let passphrase = "--passphrase=not-needed";
    run(&plain, &["list", text(&dest), "0", passphrase])
        .code(&[100])
        .says("is not encrypted");
    let args = ["list", text(&dest), "0", passphrase, "--no-encryption"];
    run(&plain, &args).code(&[0]);
    let had = names(&dest);
    tree::write(&plain.at("source/new"), b"new");
    backup(&plain, &["--passphrase=not-wanted"])
        .code(&[100])
        .says("is not encrypted");
    assert_eq!(names(&dest), had, "nothing encrypted was mixed in");
}

/// Killed before the first dindex was stored: the next run must not go on in the clear.
#[test]
fn a_first_backup_cut_short_stays_encrypted() {
    let secret = "--passphrase=right-one";
    let env = [("PASSPHRASE", "right-one")];
    for named in [true, false] {
        let scratch = small("bad-cut-first");
        let dest = scratch.at("dest");
        backup(&scratch, &[secret]).code(&[0]);
        for word in ["dlist", "dindex"] {
            fs::remove_file(&volumes(&dest, word)[0]).unwrap();
        }
        // A run that was cut short remembers no version.
        let _ = fs::remove_dir_all(scratch.at("cache"));
        backup(&scratch, &["--no-encryption"])
            .code(&[100])
            .says("is encrypted");
        // As for a new one: at a terminal it is asked for twice, for nothing there would prove it.
        backup(&scratch, &[])
            .code(&[200])
            .says("a new backup needs a passphrase");
        if named {
            backup(&scratch, &[secret]).code(&[0]);
        } else {
            let source = scratch.at("source");
            let args = ["backup", text(&dest), text(&source)];
            scratch.run_env(&args, &env).code(&[0]);
        }
        let clear: Vec<_> = names(&dest)
            .into_iter()
            .filter(|n| !n.to_string_lossy().ends_with(".aes"))
            .collect();
        assert!(clear.is_empty(), "{clear:?}");
        run(&scratch, &["list", text(&dest), "0", secret])
            .code(&[0])
            .says("file");
    }
}

#[test]
fn parameters_of_an_existing_backup_stay() {
    let scratch = backed_up("bad-parameters");
    let had = names(&scratch.at("dest"));
    tree::write(&scratch.at("source/new"), b"new");
    backup(&scratch, &["--blocksize=10kb"])
        .code(&[100])
        .says("--blocksize");
    backup(&scratch, &["--block-hash-algorithm=MD5"])
        .code(&[100])
        .says("--block-hash-algorithm");
    backup(&scratch, &["--file-hash-algorithm=SHA512"])
        .code(&[100])
        .says("--file-hash-algorithm");
    assert_eq!(names(&scratch.at("dest")), had);
    backup(&scratch, &["--blocksize=1mb", "--dblock-size=20mb"]).code(&[0]);
}

#[test]
fn a_file_where_a_folder_is_expected() {
    let scratch = backed_up("bad-folder");
    let (dest, source, file) = (
        scratch.at("dest"),
        scratch.at("source"),
        scratch.at("plain file"),
    );
    fs::write(&file, b"precious").unwrap();
    run(
        &scratch,
        &["backup", text(&file), text(&source), "--no-encryption"],
    )
    .code(&[100, 200])
    .says("plain file");
    run(&scratch, &["list", text(&file)])
        .code(&[100, 200])
        .says("plain file");
    let path = format!("--restore-path={}", text(&file));
    run(&scratch, &["restore", text(&dest), &path])
        .code(&[3, 100])
        .says("plain file");
    let tmp = format!("--tempdir={}", text(&file));
    run(&scratch, &["list", text(&dest), "0", &tmp])
        .code(&[100])
        .says("plain file");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    // A folder stands where a file is to be restored: it is not removed.
    let to = scratch.folder("to");
    fs::create_dir_all(to.join("file/inside")).unwrap();
    let path = format!("--restore-path={}", text(&to));
    run(&scratch, &["restore", text(&dest), &path]).code(&[0, 2, 3]);
    assert!(to.join("file/inside").is_dir());
    assert_eq!(fs::read(to.join("folder/other")).unwrap(), b"more content");
}

/// Runs as a user without rights: root runs it as nobody.
fn as_nobody(scratch: &Scratch, open: &Path, words: &[&str]) -> Ran {
    if !support::is_root() {
        return scratch.run(words);
    }
    let mut command = scratch.command(words);
    let program = open.join("duplet");
    fs::copy(command.get_program(), &program).unwrap();
    let mut other = Command::new(program);
    other.args(command.get_args()).env_clear();
    for (key, value) in command.get_envs() {
        other.env(key, value.unwrap_or_default());
    }
    other
        .env("TMPDIR", open)
        .env("HOME", open)
        .env("XDG_CACHE_HOME", open);
    other.current_dir(open).uid(65534).gid(65534);
    command = other;
    // A child of another test, forked while the copy was written, may hold it open for a moment.
    let output = loop {
        match command.output() {
            Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            output => break output.unwrap(),
        }
    };
    Ran {
        code: output.status.code().unwrap_or(i32::MIN),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        line: words.join(" "),
    }
}

/// A folder below the system's temporary folder that everybody may use; removed when dropped.
struct Open(std::path::PathBuf);

impl Open {
    fn new(name: &str) -> Open {
        let path = std::env::temp_dir().join(format!("duplet-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Open(path)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for name in names(&self.0) {
            let _ = fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o777));
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_without_permission() {
    let scratch = small("bad-permission");
    let open = Open::new("permission");
    let locked = open.0.join("locked");
    fs::create_dir_all(locked.join("inner")).unwrap();
    let source = open.0.join("source");
    fs::create_dir_all(source.join("secret")).unwrap();
    tree::write(&source.join("readable"), b"readable");
    tree::write(&source.join("unreadable"), b"unreadable");
    for (path, mode) in [
        (&locked, 0o000),
        (&source.join("secret"), 0o000),
        (&source.join("unreadable"), 0o000),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = |words: &[&str]| as_nobody(&scratch, &open.0, words);
    let into = locked.join("dest");
    run(&["backup", text(&into), text(&source), "--no-encryption"])
        .code(&[100])
        .says("locked");
    run(&["list", text(&locked)]).code(&[100]).says("locked");
    let tmp = format!("--tempdir={}", text(&locked));
    let dest = open.0.join("dest");
    run(&[
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        &tmp,
    ])
    .code(&[100])
    .says("locked");
    // What cannot be read is warned about, by name; the rest is backed up.
    let ran = run(&["backup", text(&dest), text(&source), "--no-encryption"]).code(&[2]);
    ran.says("unreadable").says("secret");
    let to = format!("--restore-path={}", text(&locked));
    run(&["restore", text(&dest), &to])
        .code(&[3, 100])
        .says("locked");
    run(&["list", text(&dest), "0"]).code(&[0]).says("readable");
    let _ = fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o755));
}

#[test]
fn temporary_folder_that_is_not_there() {
    let scratch = backed_up("bad-tmp");
    let dest = scratch.at("dest");
    run(
        &scratch,
        &["list", text(&dest), "0", "--tempdir=/nonexistent/tmp"],
    )
    .code(&[100])
    .says("/nonexistent/tmp");
    scratch
        .run_env(
            &["list", text(&dest), "0"],
            &[("TMPDIR", "/nonexistent/tmp")],
        )
        .code(&[100])
        .says("/nonexistent/tmp");
}

/// Runs with a file system of `size` mounted on `full`, seen by this run only. `None` where that is not allowed.
fn with_small_disk(
    scratch: &Scratch,
    full: &Path,
    size: &str,
    words: &[&str],
    after: &str,
) -> Option<Ran> {
    const MOUNT: &str = "full=$1 size=$2 after=$3; shift 3; mount -t tmpfs -o size=$size none \"$full\" || exit 77; \
         \"$@\"; code=$?; eval \"$after\" >&2; exit $code";
    let inner = scratch.command(words);
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", MOUNT, "sh", text(full), size, after]);
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .current_dir(scratch.path());
    for (key, value) in inner.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let output = command.output().ok()?;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or(i32::MIN);
    if code == 77 || err.starts_with("unshare:") {
        eprintln!("not run: mounting a small disk is not allowed here: {err}");
        return None;
    }
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(Ran {
        code,
        out,
        err,
        line: words.join(" "),
    })
}

#[test]
fn full_disks() {
    let scratch = small("bad-full");
    tree::write(&scratch.at("source/big"), &Rand(4).bytes(6 << 20));
    let (dest, source, full) = (
        scratch.at("dest"),
        scratch.at("source"),
        scratch.folder("full"),
    );
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--dblock-size=1mb",
        "--blocksize=50kb",
    ];
    let tmp = format!("--tempdir={}", text(&full));
    let with_tmp = [&args[..], &[&tmp]].concat();
    if let Some(ran) = with_small_disk(&scratch, &full, "128k", &with_tmp, "") {
        let ran = ran.code(&[100]).says("128.00 KiB free");
        // There are no smaller volumes.
        ran.says("(choose another folder with --tempdir)");
    }
    let larger = [&args[..4], &[&tmp, "--dblock-size=10mb", args[5]]].concat();
    if let Some(ran) = with_small_disk(&scratch, &full, "2m", &larger, "") {
        ran.code(&[100])
            .says("smaller volumes with --dblock-size=1mb)");
    }
    let onto = [&["backup", text(&full)], &args[2..]].concat();
    if let Some(ran) = with_small_disk(&scratch, &full, "2m", &onto, "ls -A \"$full\"") {
        let ran = ran.code(&[100]).says("space");
        let partial = ran
            .err
            .lines()
            .any(|l| l.starts_with(".duplet-tmp-") || l.ends_with(".dlist.zip"));
        assert!(!partial, "half a file or a version is left: {}", ran.all());
    }
    scratch.run(&args).code(&[0, 1]);
    let to = format!("--restore-path={}", text(&full));
    let restore = ["restore", text(&dest), &to];
    if let Some(ran) = with_small_disk(&scratch, &full, "2m", &restore, "ls -l \"$full\"") {
        ran.code(&[3, 100]).says("space");
    }
    // The same limits by another way, which works everywhere: no file may grow beyond 512 KiB.
    scratch.run_within(1024, &restore).code(&[3, 100]);
}

#[test]
fn names_that_are_not_text() {
    let scratch = small("bad-names");
    let source = scratch.at("source");
    tree::write(&source.join(tree::not_utf8()), b"not text");
    for name in tree::ODD_NAMES {
        tree::write(&source.join(name), name.as_bytes());
    }
    backup(&scratch, &["--no-encryption"])
        .code(&[2])
        .says("not ");
    let dest = scratch.at("dest");
    // `code` fails on any control character in the output.
    let list = run(&scratch, &["list", text(&dest), "0"]).code(&[0]);
    assert!(
        list.out.contains("日本語") && list.out.contains("🦀"),
        "{}",
        list.all()
    );
    run(&scratch, &["find", text(&dest), "*esc*"]).code(&[0]);
    let json = run(&scratch, &["list", text(&dest), "0", "--json"])
        .code(&[0])
        .json()
        .to_string();
    assert!(json.contains("new\\nline"), "{json}");
    let to = scratch.at("to");
    let path = format!("--restore-path={}", text(&to));
    run(&scratch, &["restore", text(&dest), &path]).code(&[0]);
    fs::remove_file(source.join(tree::not_utf8())).unwrap();
    same(
        &take(&source),
        &take(&to),
        But {
            mode: true,
            mtime: true,
            root: true,
            ..But::default()
        },
        "odd names",
    );
}

#[test]
fn clock_before_the_newest_version() {
    let scratch = backed_up("bad-clock");
    let dest = scratch.at("dest");
    let newest = volumes(&dest, "dlist").pop().unwrap();
    fs::rename(&newest, dest.join("duplicati-29990101T000000Z.dlist.zip")).unwrap();
    tree::write(&scratch.at("source/new"), b"new");
    backup(&scratch, &[]).code(&[100]).says("clock");
    assert_eq!(volumes(&dest, "dlist").len(), 1);
    // Reading does not mind.
    run(&scratch, &["list", text(&dest), "0"])
        .code(&[0])
        .says("file");
}

#[test]
fn two_backups_in_one_folder() {
    let scratch = backed_up("bad-prefix");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("other-prefix").join("dest"), &dest);
    for name in names(&fixture("aes").join("dest")) {
        let renamed = name.to_str().unwrap().replacen("duplicati-", "third-", 1);
        fs::copy(fixture("aes").join("dest").join(&name), dest.join(renamed)).unwrap();
    }
    let default = run(&scratch, &["list", text(&dest), "0"]);
    default.sane();
    // The default prefix is one of them: it is taken, or the choice is asked for; never a mixture.
    assert!(matches!(default.code, 0 | 2 | 100), "{}", default.all());
    assert!(!default.out.contains("small.txt"), "{}", default.all());
    run(&scratch, &["list", text(&dest), "0", "--prefix=other"])
        .code(&[0])
        .says("small.txt");
    run(
        &scratch,
        &[
            "list",
            text(&dest),
            "0",
            "--prefix=third",
            "--passphrase=abc",
        ],
    )
    .code(&[0])
    .says("small.txt");
    run(&scratch, &["list", text(&dest), "0", "--prefix=fourth"])
        .code(&[100])
        .says("--prefix");
    for name in names(&dest) {
        if name.to_string_lossy().starts_with("duplicati-") {
            fs::remove_file(dest.join(name)).unwrap();
        }
    }
    run(&scratch, &["list", text(&dest), "0"])
        .code(&[100])
        .says("--prefix");
}

#[test]
fn stray_files_in_the_destination() {
    let scratch = backed_up("bad-strays");
    let dest = scratch.at("dest");
    let strays = [
        "notes.txt",
        "duplicati-verification.json",
        "duplicati-b00.dblock.zip.par2",
        "photo dblock.jpg",
        ".hidden",
    ];
    for name in strays {
        fs::write(dest.join(name), b"stray").unwrap();
    }
    fs::create_dir_all(dest.join("duplicati-20200101T000000Z.dlist.zip")).unwrap();
    run(&scratch, &["list", text(&dest), "0"])
        .code(&[0])
        .says("file");
    run(&scratch, &["verify", text(&dest), "all"]).code(&[0]);
    backup(&scratch, &[]).code(&[1]);
    tree::write(&scratch.at("source/new"), b"new");
    backup(&scratch, &[]).code(&[0]);
    for name in strays {
        assert_eq!(fs::read(dest.join(name)).unwrap(), b"stray", "{name}");
    }
}

/// A backup made to harm: its paths and links must not lead out of the target.
#[test]
fn a_hostile_backup_stays_in_the_target() {
    const FORGE: &str = r#"
import json, sys, zipfile
path, outside = sys.argv[1:]
with zipfile.ZipFile(path) as z:
    entries = [(i.filename, z.read(i)) for i in z.infolist()]
with zipfile.ZipFile(path, "w") as z:
    for name, data in entries:
        if name == "filelist.json":
            items = json.loads(data[3:].decode())
            one = next(e for e in items if e["type"] == "File" and e["size"])
            root = next(e["path"] for e in items if e["type"] == "Folder")
            for evil in (root + "../evil-1", root + "a/../../evil-2", "/../evil-3", root + "dirlink/evil-4", outside + "/evil-5"):
                items.append(dict(one, path=evil))
            data = data[:3] + json.dumps(items, separators=(",", ":")).encode()
        z.writestr(name, data)
"#;
    let scratch = Scratch::new("bad-hostile");
    let (dest, outside) = (scratch.at("dest"), scratch.folder("outside"));
    support::copy_folder(&fixture("plain").join("dest"), &dest);
    let list = volumes(&dest, "dlist").pop().unwrap();
    tool(
        "python3",
        &[
            "-c".as_ref(),
            FORGE.as_ref(),
            list.as_os_str(),
            outside.as_os_str(),
        ],
        INSTALL,
    );
    let to = scratch.folder("sub/to");
    let path = format!("--restore-path={}", text(&to));
    let ran = run(&scratch, &["restore", text(&dest), &path]);
    ran.sane();
    assert!(matches!(ran.code, 0 | 2 | 3), "{}", ran.all());
    assert!(names(&outside).is_empty(), "{}", ran.all());
    assert_eq!(names(&scratch.at("sub")), ["to"], "{}", ran.all());
    assert!(
        !scratch.at("evil-2").exists() && !Path::new("/evil-3").exists(),
        "{}",
        ran.all()
    );
}
