//! Mistakes with commands that delete, told in one line with the right exit code, and nothing at the destination changed.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;

use std::fs;
use std::path::{Path, PathBuf};

use faulty::Trouble;
use faulty_s3::Server;
use support::snapshot::{But, same, take};
use support::{Ran, Rand, Scratch, fixture, lifecycle, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=the right one";
const COMMANDS: [&str; 6] = [
    "backup",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
];

/// What each command would change a destination with.
fn args<'a>(command: &'a str, dest: &'a str, source: &'a Path) -> Vec<&'a str> {
    let mut args = vec![command, dest];
    args.extend(match command {
        "backup" => &["--keep-versions=1", "--number-of-retries=0", "--no-cache"][..],
        "delete" => &["--keep-versions=1", "--number-of-retries=0", "--no-cache"],
        "compact" => &["--threshold=0", "--number-of-retries=0", "--no-cache"],
        "purge" => &["*/f1", "--number-of-retries=0", "--no-cache"],
        _ => &["--number-of-retries=0", "--no-cache"],
    });
    if command == "backup" {
        args.push(text(source));
    }
    args
}

/// Three versions of a source that has changed since, with a lost volume and a lost index: each command has something to do.
struct World {
    scratch: Scratch,
    source: PathBuf,
    dest: PathBuf,
}

impl World {
    fn new(how: &str) -> World {
        let scratch = Scratch::new("life-mistakes");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        for n in 0..4 {
            tree::write(&source.join(format!("f{n}")), &Rand(n).bytes(20_000));
        }
        for (n, year) in (0..).zip(["2021", "2022", "2023"]) {
            tree::write(&source.join("daily"), &Rand(50 + n).bytes(30_000));
            let args = ["backup", text(&dest), text(&source), how];
            let args = [&args[..], &["--blocksize=10kb", "--no-cache"]].concat();
            scratch.run(&args).code(&[0]);
            let list = volumes(&dest, "dlist").pop().unwrap();
            let name = list.file_name().unwrap().to_string_lossy().into_owned();
            let end = &name[name.find(".dlist").unwrap()..];
            fs::rename(
                &list,
                dest.join(format!("duplicati-{year}0101T000000Z{end}")),
            )
            .unwrap();
        }
        tree::write(&source.join("new"), &Rand(99).bytes(20_000));
        World {
            scratch,
            source,
            dest,
        }
    }

    fn run(&self, command: &str, dest: &Path, more: &[&str]) -> Ran {
        let mut args = args(command, text(dest), &self.source);
        args.extend(more);
        self.scratch.run(&args)
    }

    /// A copy of the destination, harmed in some way.
    fn copy(&self, harm: &dyn Fn(&Path)) -> PathBuf {
        let dest = self.scratch.at("copy");
        let _ = fs::remove_dir_all(&dest);
        support::copy_folder(&self.dest, &dest);
        harm(&dest);
        dest
    }
}

#[track_caller]
fn one_line(ran: &Ran, what: &str) {
    let lines = ran.err.lines().filter(|l| !l.contains("note:"));
    assert_eq!(lines.count(), 1, "{what}: {}", ran.all());
    assert!(ran.err.starts_with("duplet: "), "{what}: {}", ran.all());
}

/// Gives all volumes another prefix, and a second set of them yet another.
fn two_prefixes(dest: &Path) {
    for name in names(dest) {
        let name = name.to_str().unwrap();
        let rest = name.strip_prefix("duplicati").unwrap();
        fs::copy(dest.join(name), dest.join(format!("other{rest}"))).unwrap();
        fs::rename(dest.join(name), dest.join(format!("one{rest}"))).unwrap();
    }
}

type Harm = fn(&Path);

/// How the destination is protected, what was done to it, options, the commands that are tried, exit code and words.
type Row<'r> = (&'r str, Harm, &'r [&'r str], &'r [&'r str], i32, &'r str);

#[test]
fn what_is_wrong_for_every_command_is_told_alike() {
    let nothing: Harm = |_| {};
    let empty: Harm = |dest| {
        fs::remove_dir_all(dest).unwrap();
        fs::create_dir(dest).unwrap();
    };
    let missing: Harm = |dest| fs::remove_dir_all(dest).unwrap();
    let only_readers = &COMMANDS[1..];
    let rows: [Row<'_>; 14] = [
        (
            PASSPHRASE,
            nothing,
            &["--passphrase=a wrong one"],
            &COMMANDS,
            100,
            "passphrase",
        ),
        (
            PASSPHRASE,
            nothing,
            &["--no-encryption"],
            &COMMANDS,
            100,
            "is encrypted",
        ),
        (
            "--no-encryption",
            nothing,
            &[PASSPHRASE],
            &COMMANDS,
            100,
            "not encrypted",
        ),
        (
            "--no-encryption",
            two_prefixes,
            &["--no-encryption"],
            &COMMANDS,
            100,
            "--prefix",
        ),
        (
            PASSPHRASE,
            two_prefixes,
            &[PASSPHRASE],
            &COMMANDS,
            100,
            "--prefix",
        ),
        (
            "--no-encryption",
            nothing,
            &["--prefix=other"],
            only_readers,
            100,
            "no backup",
        ),
        (
            "--no-encryption",
            nothing,
            &["--prefix=a-b"],
            &COMMANDS,
            200,
            "prefix",
        ),
        (
            "--no-encryption",
            empty,
            &["--no-encryption"],
            only_readers,
            100,
            "no backup",
        ),
        (
            "--no-encryption",
            missing,
            &["--no-encryption"],
            only_readers,
            100,
            "does not exist",
        ),
        (
            "--no-encryption",
            nothing,
            &["--dblock-size=x"],
            &COMMANDS,
            200,
            "--dblock-size",
        ),
        (
            "--no-encryption",
            nothing,
            &["--no-such-option=1"],
            &COMMANDS,
            200,
            "no-such-option",
        ),
        (
            "--no-encryption",
            nothing,
            &["--no-encryption", "--keep-time=1D", "--keep-versions=2"],
            &["backup", "delete"],
            200,
            "exclude each other",
        ),
        (
            "--no-encryption",
            nothing,
            &[
                "--no-encryption",
                "--keep-versions=0",
                "--retention-policy=1D:1W",
            ],
            &["backup", "delete"],
            200,
            "shorter than the frame",
        ),
        (
            "--no-encryption",
            nothing,
            &[
                "--no-encryption",
                "--keep-versions=0",
                "--retention-policy=1W:1D,1M",
            ],
            &["backup", "delete"],
            200,
            "one colon",
        ),
    ];
    let worlds = [World::new("--no-encryption"), World::new(PASSPHRASE)];
    for (how, harm, more, commands, code, says) in rows {
        let world = &worlds[usize::from(how == PASSPHRASE)];
        for command in commands {
            let what = format!("{command} {more:?}");
            let dest = world.copy(&harm);
            let before = dest.exists().then(|| take(&dest));
            let ran = world.run(command, &dest, more).code(&[code]).says(says);
            one_line(&ran, &what);
            assert_eq!(before.is_some(), dest.exists(), "{what}");
            if let Some(before) = before {
                same(&before, &take(&dest), But::default(), &what);
            }
        }
    }
}

#[test]
fn versions_that_cannot_be_meant() {
    let world = World::new("--no-encryption");
    for (command, more, code, says) in [
        (
            "delete",
            &["--version=3"][..],
            100,
            "version 3 does not exist",
        ),
        ("delete", &["--version=0,0"], 200, "twice"),
        ("delete", &["--version=0-1,1"], 200, "twice"),
        ("delete", &["--keep-versions=0"], 200, "needs one of"),
        ("delete", &["--version=x"], 200, "numbers and ranges"),
        (
            "purge",
            &["*/f1", "--version=3"],
            100,
            "version 3 does not exist",
        ),
        ("purge", &["*/f1", "--version=1,1"], 200, "twice"),
        ("purge", &["*/f1", "--version=0-1,1"], 200, "twice"),
        (
            "purge",
            &["*/f1", "--time=20200101T000000Z"],
            100,
            "no version is as old",
        ),
        ("purge", &["--include=*"], 200, "everything"),
    ] {
        let what = format!("{command} {more:?}");
        let dest = world.copy(&|_| {});
        let before = take(&dest);
        let args = [&[command, text(&dest), "--no-cache"][..], more].concat();
        let ran = world.scratch.run(&args);
        one_line(&ran.code(&[code]).says(says), &what);
        same(&before, &take(&dest), But::default(), &what);
    }
    // All would go, by number or because no frame reaches back to any of them: the newest stays.
    for (more, code) in [
        (&["--version=0-2"][..], 2),
        (&["--retention-policy=1W:1D"], 0),
    ] {
        let dest = world.copy(&|_| {});
        let args = [&["delete", text(&dest), "--no-cache"][..], more].concat();
        let ran = world.scratch.run(&args).code(&[code]);
        let ran = ran.says("2 of 3 versions deleted");
        let named = "version 0 stays although --version names it";
        assert_eq!(ran.all().contains(named), code == 2, "{}", ran.all());
        let left = volumes(&dest, "dlist");
        assert!(
            left.len() == 1 && text(&left[0]).contains("20230101"),
            "{left:?}"
        );
    }
}

/// Nothing is deleted while one list cannot be read; only a new version may come.
#[test]
fn a_list_that_cannot_be_read() {
    for how in ["--no-encryption", PASSPHRASE] {
        let world = World::new(how);
        for (at, harm) in [(0, "cut"), (1, "flipped"), (2, "emptied")] {
            for command in COMMANDS {
                let what = format!("{command} {how}: {at} {harm}");
                let dest = world.copy(&|dest| {
                    let list = &volumes(dest, "dlist")[at];
                    let mut data = fs::read(list).unwrap();
                    match harm {
                        "cut" => data.truncate(data.len() / 3),
                        "flipped" => {
                            for byte in data.iter_mut().skip(20) {
                                *byte ^= 0x55;
                            }
                        }
                        _ => data.clear(),
                    }
                    fs::write(list, data).unwrap();
                    fs::remove_file(&volumes(dest, "dindex")[0]).unwrap();
                });
                let before = support::contents(&dest);
                let mut args = args(command, text(&dest), &world.source);
                // The one that cannot be read stays.
                match command {
                    "delete" => args[2] = ["--version=0", "--version=0", "--version=1"][at],
                    "backup" => {
                        args[2] = [
                            "--keep-versions=4",
                            "--keep-versions=3",
                            "--keep-versions=2",
                        ][at]
                    }
                    _ => {}
                }
                args.push(how);
                let ran = world.scratch.run(&args);
                let codes: &[i32] = match command {
                    "backup" if at == 0 => &[0, 2, 3],
                    "backup" => &[2, 3],
                    "repair" => &[2],
                    _ => &[100],
                };
                assert!(codes.contains(&ran.code), "{what}: {}", ran.all());
                for (name, data) in &before {
                    let now = fs::read(dest.join(name)).ok();
                    assert!(
                        now.as_ref() == Some(data),
                        "{what}: {name:?}: {}",
                        ran.all()
                    );
                }
            }
        }
    }
}

/// Another process holds the lock: each command says what it cannot do, and who keeps it from it.
#[test]
fn a_destination_that_another_run_changes() {
    let world = World::new("--no-encryption");
    let server = Server::start();
    for name in names(&world.dest) {
        let data = fs::read(world.dest.join(&name)).unwrap();
        server.put(&format!("f/{}", name.to_str().unwrap()), &data);
    }
    let url = format!(
        "s3://b/f?s3-server-name=127.0.0.1:{}&use-ssl=false",
        server.address.port()
    );
    let more = ["--http-proxy=none", "--read-write-timeout=10m"];
    let env = [("AUTH_USERNAME", "key"), ("AUTH_PASSWORD", "secret")];
    server.script("GET", "list-type", Trouble::Stall(None));
    let mut first = world
        .scratch
        .command(&[&["compact", &url][..], &more].concat());
    first.envs(env);
    let mut first = first.spawn().unwrap();
    while server.seen("GET").is_empty() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let pid = format!("process {}, since 20", first.id());
    for (command, doing) in [
        ("backup", "cannot add a version: "),
        ("delete", "cannot delete versions: "),
        ("compact", "cannot reclaim space: "),
        ("purge", "cannot purge files: "),
        ("purge-broken-files", "cannot purge broken files: "),
        ("repair", "cannot repair the backup: "),
    ] {
        for wait in [&[][..], &["--lock-wait=1s"]] {
            let mut args = args(command, &url, &world.source);
            args.extend(more);
            args.extend(["--no-encryption"].iter().chain(wait));
            let ran = world.scratch.run_env(&args, &env).code(&[100]);
            let said = ran.err.lines().last().unwrap().to_owned();
            assert!(said.starts_with(&format!("duplet: {doing}")), "{said}");
            assert!(
                said.contains(&pid) && said.contains("--lock-wait"),
                "{said}"
            );
            if wait.is_empty() {
                one_line(&ran, command);
            }
        }
        // Who only looks is not kept out.
        if command != "backup" {
            let mut args = args(command, &url, &world.source);
            args.extend(more);
            args.extend(["--no-encryption", "--dry-run"]);
            world.scratch.run_env(&args, &env).code(&[0]);
        }
    }
    first.kill().unwrap();
    first.wait().unwrap();
    server.with(|s3| assert_eq!(s3.files.len(), names(&world.dest).len()));
}

/// What can be read but not written is refused before anything is read for it.
#[test]
fn destinations_that_are_only_read() {
    let world = World::new("--no-encryption");
    let gpg = world.scratch.at("gpg");
    support::copy_folder(&fixture("gpg").join("dest"), &gpg);
    let before = take(&gpg);
    let gateway = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi?ipfs-gateway=http://127.0.0.1:1";
    for command in COMMANDS {
        let mut more = vec!["--passphrase=abc"];
        if command == "delete" {
            more.extend(["--version=0", "--allow-full-removal"]);
        }
        let ran = world.run(command, &gpg, &more);
        let ran = ran.code(&[100]).says("gpg");
        assert!(ran.err.contains("duplet: cannot "), "{}", ran.all());
        one_line(&ran, command);
        same(&before, &take(&gpg), But::default(), command);
        let mut args = args(command, gateway, &world.source);
        args.push(PASSPHRASE);
        let ran = world.scratch.run(&args);
        let ran = ran.code(&[200]).says("read-only destination");
        one_line(&ran, command);
    }
}

/// The newest version is of a time to come: nothing is added before it, and no rule deletes anything until it went by its
/// number.
#[test]
fn a_clock_that_is_behind_the_newest_version() {
    let world = World::new("--no-encryption");
    let ahead = |dest: &Path| {
        let newest = volumes(dest, "dlist").pop().unwrap();
        fs::rename(newest, dest.join("duplicati-21000101T000000Z.dlist.zip")).unwrap();
    };
    let dest = world.copy(&ahead);
    let before = take(&dest);
    let ran = world
        .run("backup", &dest, &["--no-encryption"])
        .code(&[100]);
    one_line(&ran.says("clock"), "backup");
    same(&before, &take(&dest), But::default(), "backup");
    for rule in [
        "--keep-versions=1",
        "--keep-time=1D",
        "--retention-policy=1W:1D",
    ] {
        for more in [&[][..], &["--no-auto-compact"], &["--dry-run"]] {
            let dest = world.copy(&ahead);
            let before = take(&dest);
            let args = [&["delete", text(&dest), rule, "--no-cache"], more].concat();
            let ran = world.scratch.run(&args).code(&[100]);
            ran.says("version 0 is of 2100")
                .says("'duplet delete URL --version=0'");
            same(&before, &take(&dest), But::default(), rule);
        }
        let dest = world.copy(&ahead);
        let args = ["delete", text(&dest), rule, "--version=0", "--no-cache"];
        world.scratch.run(&args).code(&[0]).says("time to come");
        assert!(!dest.join("duplicati-21000101T000000Z.dlist.zip").exists());
        assert_eq!(volumes(&dest, "dlist").len(), 1, "{rule}");
    }
    for (command, list) in [
        ("purge", "duplicati-21000101T000001Z.dlist.zip"),
        ("compact", "duplicati-21000101T000000Z.dlist.zip"),
        ("repair", "duplicati-21000101T000000Z.dlist.zip"),
    ] {
        let dest = world.copy(&ahead);
        world.run(command, &dest, &[]).code(&[0]);
        assert!(dest.join(list).exists(), "{command}: {:?}", names(&dest));
        let verify = ["verify", text(&dest), "all", "--no-cache"];
        world.scratch.run(&verify).code(&[0]);
    }
}

/// Lost blocks and no source to bring them back from: it is said what stays lost, and nothing goes.
#[test]
fn repair_without_a_source() {
    let scratch = Scratch::new("life-no-source");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle("repair-missing-dblock"), &dest);
    let before = support::contents(&dest);
    for more in [&[][..], &["--rebuild-missing-dblock-files"]] {
        let args = [&["repair", text(&dest), "--no-cache"][..], more].concat();
        scratch.run(&args).code(&[2]).says("some files stay lost");
        for (name, data) in &before {
            assert_eq!(&fs::read(dest.join(name)).unwrap(), data, "{name:?}");
        }
    }
}
