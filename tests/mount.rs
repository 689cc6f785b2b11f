//! `duplet mount`: what is seen in the folder is what was backed up, for every program that reads; and it goes away again.
//!
//! Where the system does not let a test mount, that is said on standard error, past what the harness keeps to itself.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/mounted.rs"]
mod mounted;

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use faulty::Trouble;
use faulty_dav::Dav;
use mounted::{Mounted, can_mount};
use support::craft::{Maker, Volume};
use support::harm::flip;
use support::life::until;
use support::snapshot::{But, Snapshot, expected, same, take};
use support::{
    Rand, Scratch, fixture, fixture_names, names, opens_with, text, tool, tree, volumes,
};

const WAYS: [&str; 2] = ["--passphrase=look but do not touch", "--no-encryption"];
const SMALL: [&str; 2] = ["--blocksize=10kb", "--dblock-size=1mb"];
const COREUTILS: &str = "apt-get install coreutils diffutils findutils tar";

/// Resident memory at most, KiB.
const MEMORY: u64 = 32 << 10;

fn backup(scratch: &Scratch, source: &Path, how: &str, more: &[&str]) {
    let dest = scratch.at("dest");
    let common = ["backup", text(&dest), text(source), how];
    let args = [&common[..], &SMALL, more].concat();
    scratch.run(&args).code(&[0, 1, 2]);
}

/// The folder of a version in which the source's own content is.
fn inside(version: &Path, source: &Path) -> PathBuf {
    version.join(source.strip_prefix("/").unwrap())
}

fn shell(line: &str) -> String {
    let out = tool("sh", &["-c".as_ref(), line.as_ref()], COREUTILS);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_version_is_what_was_backed_up() {
    if !can_mount() {
        return;
    }
    for (seed, how) in (1..).zip(WAYS) {
        let scratch = Scratch::new("mount");
        let source = scratch.at("source");
        tree::make(&source, seed, 10 << 10);
        let mut kept: Vec<Snapshot> = Vec::new();
        for version in 0..3u64 {
            match version {
                0 => {}
                1 => tree::edit(&source, seed),
                _ => tree::write(&source.join("new file"), &Rand(seed).bytes(40_000)),
            }
            kept.push(take(&source));
            backup(&scratch, &source, how, &[]);
        }
        let mounted = Mounted::start(&scratch, &[how]);
        assert_eq!(names(mounted.folder()), ["newest", "versions"]);
        let versions = names(&mounted.at("versions"));
        assert_eq!(versions.len(), 3, "{versions:?}");
        for (name, want) in versions.iter().zip(&kept) {
            let seen = inside(&mounted.at("versions").join(name), &source);
            same(want, &take(&seen), But::default(), &name.to_string_lossy());
        }
        // The source is still that of the newest version.
        let newest = inside(&mounted.at("newest"), &source);
        let (ours, theirs) = (text(&newest), text(&source));
        shell(&format!("diff -r --no-dereference '{theirs}' '{ours}'"));
        let out = scratch.folder("out");
        let to = text(&out);
        shell(&format!(
            "cp -a '{ours}' '{to}/copied' && mkdir '{to}/untarred' && tar -C '{ours}' -c . | tar -C '{to}/untarred' -xp"
        ));
        for how in ["copied", "untarred"] {
            let but = But {
                // tar keeps attributes and fractions of a second only where it is asked to.
                xattr: how == "untarred",
                fraction: how == "untarred",
                ..But::default()
            };
            same(&kept[2], &take(&out.join(how)), but, how);
        }
        let count = |place: &str| shell(&format!("find '{place}' | wc -l"));
        assert_eq!(count(ours), count(theirs));
        assert_eq!(fs::metadata(mounted.at("newest/..")).unwrap().ino(), 1);
        assert!(mounted.peak_kib() < MEMORY, "{} KiB", mounted.peak_kib());
        mounted.end("-TERM", 0);
        assert!(scratch.left_in_tmp().is_empty());
    }
}

/// A version says where its blocks are; where it is not right any more, the index does.
#[test]
fn the_index_is_read_only_where_a_version_does_not_tell() {
    const INDEX: &str = "reading where the blocks are";
    if !can_mount() {
        return;
    }
    for how in WAYS {
        let scratch = Scratch::new("mount");
        let source = scratch.folder("source");
        let mut rand = Rand(5);
        for n in 0..40 {
            tree::write(&source.join(format!("f{n}")), &rand.bytes(30_000));
        }
        backup(&scratch, &source, how, &[]);
        for n in 0..20 {
            tree::write(&source.join(format!("f{n}")), &rand.bytes(30_000));
        }
        backup(&scratch, &source, how, &[]);
        let want = take(&source);
        for moved in [false, true] {
            if moved {
                let dest = scratch.at("dest");
                let keep = ["delete", text(&dest), "--keep-versions=1", how];
                scratch
                    .run(&[&keep[..], &["--threshold=0"]].concat())
                    .code(&[0]);
                let _ = fs::remove_dir_all(scratch.folder("cache"));
            }
            let mounted = Mounted::start(&scratch, &[how, "--no-cache"]);
            let seen = inside(&mounted.at("newest"), &source);
            let one = fs::read(seen.join("f3")).unwrap();
            assert!(one == fs::read(source.join("f3")).unwrap());
            same(&want, &take(&seen), But::default(), how);
            let said = mounted.said();
            assert_eq!(said.contains(INDEX), moved, "{said}");
            assert!(
                !said.contains("damaged") && !said.contains("cannot"),
                "{said}"
            );
            mounted.end("-TERM", 0);
        }
    }
}

/// The folder below which a version of a fixture was made: where what is expected is.
fn find_root(version: &Path, want: &Snapshot) -> PathBuf {
    let mut at = version.to_owned();
    let top = |name: &[u8]| !name.is_empty() && !name.contains(&b'/');
    let wanted = want.keys().filter(|name| top(name)).count();
    loop {
        let inside = names(&at);
        let first = want.keys().find(|name| top(name));
        if inside.len() == wanted
            && first.is_none_or(|f| {
                at.join(String::from_utf8_lossy(f).as_ref())
                    .symlink_metadata()
                    .is_ok()
            })
        {
            return at;
        }
        assert_eq!(inside.len(), 1, "{}: {inside:?}", at.display());
        at = at.join(&inside[0]);
    }
}

#[test]
fn backups_of_duplicati_are_shown_too() {
    if !can_mount() {
        return;
    }
    for name in fixture_names() {
        let scratch = Scratch::new("mount-golden");
        let dest = fixture(&name).join("dest");
        let more: Vec<String> = opens_with(&name).map(str::to_owned).into_iter().collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let mounted = Mounted::start_of(&scratch, text(&dest), &more);
        let mut numbers: Vec<u32> = names(&fixture(&name).join("expected"))
            .iter()
            .map(|n| {
                n.to_str()
                    .unwrap()
                    .strip_suffix(".jsonl")
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        numbers.sort_unstable();
        let versions = names(&mounted.at("versions"));
        assert_eq!(versions.len(), numbers.len(), "{name}");
        let bare = name == "skip-metadata";
        for (version, number) in versions.iter().zip(&numbers) {
            let want = expected(&name, &number.to_string());
            let root = find_root(&mounted.at("versions").join(version), &want);
            let mut got = take(&root);
            for (path, node) in &want {
                // Times of folders are in their metadata only.
                if let Some(got) = got.get_mut(path).filter(|_| bare) {
                    got.mtime = node.mtime;
                }
            }
            let but = But {
                mode: bare,
                fraction: bare,
                xattr: bare,
                root: true,
                ..But::default()
            };
            same(&want, &got, but, &format!("{name} version {number}"));
        }
        mounted.end("-TERM", 0);
    }
}

#[test]
fn two_who_read_here_and_there_get_the_right_bytes() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-random");
    let source = scratch.folder("source");
    let data = Rand(5).bytes(6_000_001);
    tree::write(&source.join("big"), &data);
    tree::write(&source.join("other"), &data[1_000_000..3_000_000]);
    backup(&scratch, &source, WAYS[0], &[]);
    // Room for the fewest blocks and one volume, or for all.
    for room in ["1mb", "256mb"] {
        let hint = format!("--restore-volume-cache-hint={room}");
        let mounted = Mounted::start(&scratch, &[WAYS[0], &hint, "--no-cache"]);
        let seen = inside(&mounted.at("newest"), &source);
        std::thread::scope(|scope| {
            for (seed, name, data) in [
                (7, "big", &data[..]),
                (8, "other", &data[1_000_000..3_000_000]),
            ] {
                let file = fs::File::open(seen.join(name)).unwrap();
                scope.spawn(move || {
                    let mut rand = Rand(seed);
                    let mut below = |n: usize| usize::try_from(rand.below(n as u64)).unwrap();
                    for _ in 0..150 {
                        let at = below(data.len() + 10);
                        let mut buffer = vec![0; 1 + below(40_000)];
                        let n = file.read_at(&mut buffer, at as u64).unwrap();
                        let want = &data[at.min(data.len())..(at + n).min(data.len())];
                        assert!(buffer[..n] == *want, "{name} at {at}");
                        assert!(
                            n == buffer.len() || at + n >= data.len(),
                            "{name} at {at}: {n}"
                        );
                    }
                });
            }
        });
        assert!(fs::read(seen.join("big")).unwrap() == data);
        assert!(mounted.peak_kib() < MEMORY);
        mounted.end("-INT", 0);
    }
}

#[test]
fn many_files_take_no_memory() {
    if !can_mount() {
        return;
    }
    let count: usize = std::env::var("DUPLET_TEST_MOUNT_FILES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000);
    let scratch = Scratch::new("mount-many");
    let source = scratch.folder("source");
    for n in 0..count {
        let folder = source.join(format!("folder {}", n % 7));
        if n < 7 {
            fs::create_dir(&folder).unwrap();
        }
        fs::write(folder.join(format!("file {n}")), format!("{}", n % 10)).unwrap();
    }
    backup(&scratch, &source, WAYS[1], &[]);
    let mounted = Mounted::start(&scratch, &[WAYS[1]]);
    let seen = inside(&mounted.at("newest"), &source);
    let list = |place: &Path| {
        let line = "ls -lR --time-style=+%s . | grep -v -e ^total -e ^d";
        shell(&format!("cd '{}' && {line}", text(place)))
    };
    let (ours, theirs) = (list(&seen), list(&source));
    let other = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
    assert!(ours == theirs, "ls -lR tells them apart: {other:?}");
    let found = shell(&format!("find '{}' -type f | wc -l", text(&seen)));
    assert_eq!(found.trim(), count.to_string());
    assert!(fs::read(seen.join("folder 3/file 17")).unwrap() == b"7");
    let absent = seen.join("folder 3/file 18").symlink_metadata();
    assert_eq!(absent.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(mounted.peak_kib() < MEMORY, "{} KiB", mounted.peak_kib());
    mounted.end("-HUP", 0);
}

#[test]
fn nothing_can_be_changed() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-ro");
    let source = scratch.folder("source");
    tree::write(&source.join("file"), b"as it was");
    symlink("file", source.join("link")).unwrap();
    backup(&scratch, &source, WAYS[1], &[]);
    let mounted = Mounted::start(&scratch, &[WAYS[1]]);
    let seen = inside(&mounted.at("newest"), &source);
    let file = seen.join("file");
    let refused = |done: std::io::Result<()>, what: &str| {
        let e = done.expect_err(what);
        assert_eq!(e.kind(), ErrorKind::ReadOnlyFilesystem, "{what}: {e}");
    };
    refused(fs::write(&file, "x"), "write");
    refused(fs::write(seen.join("new"), "x"), "create");
    refused(fs::remove_file(&file), "unlink");
    refused(fs::create_dir(seen.join("folder")), "mkdir");
    refused(fs::rename(&file, seen.join("moved")), "rename");
    refused(fs::hard_link(&file, seen.join("hard")), "link");
    refused(symlink("x", seen.join("soft")), "symlink");
    refused(
        fs::set_permissions(&file, fs::Permissions::from_mode(0o777)),
        "chmod",
    );
    refused(fs::remove_dir(mounted.at("versions")), "rmdir");
    let append = fs::OpenOptions::new().append(true).open(&file);
    refused(append.map(drop), "append");
    assert_eq!(fs::read(seen.join("link")).unwrap(), b"as it was");
    assert_eq!(
        fs::read_dir(&file).unwrap_err().kind(),
        ErrorKind::NotADirectory
    );
    mounted.end("-TERM", 0);
}

/// What is damaged gives an error where it is, and nowhere else.
#[test]
fn a_damaged_block_is_an_error_of_that_read_alone() {
    if !can_mount() {
        return;
    }
    for way in WAYS {
        let scratch = Scratch::new("mount-damage");
        let source = scratch.folder("source");
        let data = Rand(11).bytes(700_000);
        tree::write(&source.join("hurt"), &data);
        tree::write(&source.join("well"), b"untouched");
        backup(&scratch, &source, way, &[]);
        let blocks = volumes(&scratch.at("dest"), "dblock");
        let size = blocks[0].metadata().unwrap().len();
        flip(&blocks[0], Some(usize::try_from(size / 2).unwrap()));
        let mounted = Mounted::start(&scratch, &[way, "--no-cache"]);
        let seen = inside(&mounted.at("newest"), &source);
        let file = fs::File::open(seen.join("hurt")).unwrap();
        let (mut good, mut bad) = (0, 0);
        for (n, want) in data.chunks(4096).enumerate() {
            let mut buffer = vec![0; want.len()];
            match file.read_exact_at(&mut buffer, n as u64 * 4096) {
                Ok(()) => {
                    assert!(buffer == want, "{n}");
                    good += 1;
                }
                Err(e) => {
                    assert_eq!(e.raw_os_error(), Some(5), "{n}");
                    bad += 1;
                }
            }
        }
        // A block of 10 KiB touches at most four pages, and a changed byte of what is encrypted at most two blocks.
        assert!((1..=8).contains(&bad) && good > 150, "{good} {bad}");
        assert!(fs::read(seen.join("hurt")).is_err());
        assert_eq!(fs::read(seen.join("well")).unwrap(), b"untouched");
        drop(file);
        let said = mounted.end("-TERM", 3);
        let line = "/hurt: cannot read its block at byte ";
        assert!((1..=2).contains(&said.matches(line).count()), "{said}");
    }
}

#[test]
fn a_volume_that_is_gone_is_told_and_the_rest_is_there() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-gone");
    let source = scratch.folder("source");
    tree::write(&source.join("old"), &Rand(1).bytes(50_000));
    backup(&scratch, &source, WAYS[1], &[]);
    let old = volumes(&scratch.at("dest"), "dblock");
    tree::write(&source.join("new"), &Rand(2).bytes(50_000));
    backup(&scratch, &source, WAYS[1], &[]);
    let mounted = Mounted::start(&scratch, &[WAYS[1], "--number-of-retries=0"]);
    // Gone after it was listed, as when a compaction ran meanwhile.
    for volume in old {
        fs::remove_file(volume).unwrap();
    }
    let seen = inside(&mounted.at("newest"), &source);
    let e = fs::read(seen.join("old")).unwrap_err();
    assert_eq!(e.raw_os_error(), Some(5));
    assert_eq!(fs::read(seen.join("new")).unwrap(), Rand(2).bytes(50_000));
    // A version that is deleted before anybody entered it.
    let lists = volumes(&scratch.at("dest"), "dlist");
    fs::remove_file(&lists[0]).unwrap();
    let first = mounted
        .at("versions")
        .join(&names(&mounted.at("versions"))[0]);
    assert_eq!(
        fs::read_dir(&first)
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err()
            .raw_os_error(),
        Some(5)
    );
    assert_eq!(fs::read(seen.join("new")).unwrap(), Rand(2).bytes(50_000));
    let said = mounted.end("-TERM", 3);
    for part in ["mount again", "deleted since this was mounted"] {
        assert!(said.contains(part), "{said}");
    }
}

/// A server that fails gives errors as long as it does, and the mount lives on.
#[test]
fn a_server_may_be_away_for_a_while() {
    if !can_mount() {
        return;
    }
    let server = faulty::Server::start(|_| Dav::new());
    let url = format!("webdav://{}/d/b", server.address);
    let scratch = Scratch::new("mount-away");
    let source = scratch.folder("source");
    let data = Rand(3).bytes(400_000);
    tree::write(&source.join("file"), &data);
    let args = [
        "backup",
        &url,
        text(&source),
        WAYS[0],
        SMALL[0],
        SMALL[1],
        "--new-backup",
    ];
    scratch.run(&args).code(&[0]);
    let more = [WAYS[0], "--number-of-retries=1", "--retry-delay=0s"];
    let mounted = Mounted::start_of(&scratch, &url, &more);
    let seen = inside(&mounted.at("newest"), &source);
    assert_eq!(names(&seen), ["file"]);
    for _ in 0..300 {
        server.script(
            "GET",
            ".dblock.",
            Trouble::Answer(503, Vec::new(), String::new()),
        );
    }
    let mut file = fs::File::open(seen.join("file")).unwrap();
    let mut some = [0; 100];
    assert_eq!(file.read(&mut some).unwrap_err().raw_os_error(), Some(5));
    server.state.lock().unwrap().script.clear();
    assert!(fs::read(seen.join("file")).unwrap() == data);
    // What was read needs no server, and what is asked of a closed port is an error, too.
    drop(server);
    assert!(fs::read(seen.join("file")).unwrap() == data);
    drop(file);
    let said = mounted.end("-TERM", 3);
    assert!(said.contains("503"), "{said}");
}

#[test]
fn it_goes_when_it_is_unmounted_and_when_it_is_stopped() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-end");
    let source = scratch.folder("source");
    let data = Rand(9).bytes(300_000);
    tree::write(&source.join("file"), &data);
    backup(&scratch, &source, WAYS[1], &[]);
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mounted = Mounted::start(&scratch, &[WAYS[1]]);
        assert_eq!(names(mounted.folder()).len(), 2);
        mounted.end(signal, 0);
    }
    let mounted = Mounted::start(&scratch, &[WAYS[1]]);
    shell(&format!("umount '{}'", text(mounted.folder())));
    mounted.wait(0);

    // Somebody is in it: gone from sight, and served until the last is gone.
    let mounted = Mounted::start(&scratch, &[WAYS[1]]);
    let folder = mounted.folder().to_owned();
    let file = fs::File::open(inside(&mounted.at("newest"), &source).join("file")).unwrap();
    mounted.signal("-INT");
    until("it is out of sight", || names(&folder).is_empty());
    assert!(
        mounted.said().contains("is in use: it is unmounted"),
        "{}",
        mounted.said()
    );
    let mut all = Vec::new();
    (&file).read_to_end(&mut all).unwrap();
    assert!(all == data);
    drop(file);
    mounted.wait(0);

    // A second stop ends it whoever is in it.
    let mounted = Mounted::start(&scratch, &[WAYS[1]]);
    let file = fs::File::open(inside(&mounted.at("newest"), &source).join("file")).unwrap();
    mounted.signal("-INT");
    until("it is out of sight", || names(&folder).is_empty());
    mounted.signal("-INT");
    mounted.wait(0);
    assert!((&file).read(&mut [0; 9]).is_err());
}

#[test]
fn what_stands_in_the_way_is_told_with_the_way_out() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-way");
    let source = scratch.folder("source");
    tree::write(&source.join("file"), b"1");
    backup(&scratch, &source, WAYS[0], &[]);
    let (dest, folder) = (scratch.at("dest"), scratch.folder("mount"));
    let at = |place: &Path, more: &[&str], code: i32, says: &str| {
        let args = [&["mount", text(&dest), text(place)], more].concat();
        let ran = scratch.run(&args).code(&[code]).says(says);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].starts_with("duplet: "),
            "{}",
            ran.all()
        );
    };
    let right = [WAYS[0]];
    at(
        &scratch.at("absent"),
        &right,
        100,
        "there is no such folder (mkdir ",
    );
    at(&source.join("file"), &right, 100, "it is not a folder");
    at(&source, &right, 100, "it is not empty");
    at(&folder, &["--passphrase=wrong"], 100, "passphrase");
    at(&folder, &[], 100, "passphrase");
    at(
        &folder,
        &[WAYS[0], "--version=7"],
        100,
        "version 7 does not exist",
    );
    at(&folder, &[WAYS[0], "--time=2001-01-01"], 100, "oldest");
    at(
        &folder,
        &[WAYS[0], "extra"],
        200,
        "too many arguments for mount",
    );
    at(
        Path::new("/dev/fd/77"),
        &right,
        100,
        "cannot use the descriptor /dev/fd/77",
    );
    scratch
        .run(&["mount", text(&dest)])
        .code(&[200])
        .says("usage: duplet mount <url> <folder>");
    let nothing = scratch.folder("nothing");
    scratch
        .run(&["mount", text(&nothing), text(&folder)])
        .code(&[100])
        .says("no backup in it");
    let hidden = "exec 2>&1; mount -t tmpfs none /dev && exec \"$0\" \"$@\"";
    let program = env!("CARGO_BIN_EXE_duplet");
    let words = [
        "-m",
        "sh",
        "-c",
        hidden,
        program,
        "mount",
        text(&dest),
        text(&folder),
        WAYS[0],
    ];
    let ran = Command::new("unshare").args(words).output();
    if let Ok(ran) = ran
        && mounted::is_root()
    {
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            said.contains("there is no /dev/fuse (the kernel lacks FUSE"),
            "{said}"
        );
        assert_eq!(ran.status.code(), Some(100));
    }

    let mounted = Mounted::start(&scratch, &right);
    at(
        mounted.folder(),
        &right,
        100,
        "a backup is mounted there already ('",
    );
    mounted.signal("-KILL");
    mounted.wait(-9);
    let way_out = if mounted::is_root() {
        "umount"
    } else {
        "fusermount3 -u"
    };
    let says = format!("program has ended is still there (take it away with '{way_out} ");
    at(&folder, &right, 100, &says);
    mounted::take_away(&folder);
    Mounted::start(&scratch, &right).end("-TERM", 0);
}

/// With `--version` or `--time` these are all there are.
#[test]
fn chosen_versions_are_all_there_are() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-chosen");
    let source = scratch.folder("source");
    for n in 0..4 {
        tree::write(&source.join("file"), format!("version {n}").as_bytes());
        backup(&scratch, &source, WAYS[1], &[]);
    }
    for (choice, count, newest) in [
        ("--version=1", 1, "version 2"),
        ("--version=3,1-2", 3, "version 2"),
        ("--time=0s", 1, "version 3"),
        ("--version=0", 1, "version 3"),
    ] {
        let mounted = Mounted::start(&scratch, &[WAYS[1], choice]);
        assert_eq!(names(&mounted.at("versions")).len(), count, "{choice}");
        let seen = inside(&mounted.at("newest"), &source);
        assert_eq!(
            fs::read_to_string(seen.join("file")).unwrap(),
            newest,
            "{choice}"
        );
        mounted.end("-TERM", 0);
    }
}

/// Paths that no Linux has, and names that are taken or too long.
#[test]
fn names_are_those_of_a_restore_of_whole_paths() {
    if !can_mount() {
        return;
    }
    let scratch = Scratch::new("mount-names");
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let long = format!("/s/{}.txt", "n".repeat(300));
    let big: Vec<u8> = Rand(4).bytes(50_000);
    let meta = r#"{"unix:uid-gid-perm":"12-34-416","CoreLastWritetime":"638423012961234567"}"#;
    let list = [
        maker.folder(&mut volume, "C:\\", None),
        maker.file(&mut volume, "C:\\Users\\me\\a.txt", b"windows", None),
        maker.file(&mut volume, "\\\\server\\share\\b", b"share", None),
        maker.file(&mut volume, "/s/../../etc/passwd", b"out", None),
        maker.file(&mut volume, &long, b"long", None),
        maker.file(&mut volume, "/s/twice.txt", b"file", None),
        maker.file(&mut volume, "/s/twice.txt/in", b"in", None),
        maker.file(&mut volume, "/s/a-b/x", b"1", None),
        maker.file(&mut volume, "/s/a/x", b"2", None),
        maker.file(&mut volume, "/s/a b/x", b"3", None),
        maker.file(&mut volume, "/s/big", &big, Some(meta)),
        maker.file(&mut volume, "/s/none", b"", Some("{}")),
        maker.symlink(&mut volume, "/s/link", "a/x"),
    ];
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
    let mounted = Mounted::start(&scratch, &["--no-encryption"]);
    let version = mounted.at("versions/2024-01-31T13-35-00");
    let read = |path: &str| fs::read(version.join(path)).unwrap();
    assert_eq!(names(&version), ["C", "s", "server"]);
    assert_eq!(read("C/Users/me/a.txt"), b"windows");
    assert_eq!(read("server/share/b"), b"share");
    assert_eq!(read("s/twice.txt/in"), b"in");
    assert_eq!(read("s/twice.2024-01-31.txt"), b"file");
    for (name, data) in [("a-b", "1"), ("a", "2"), ("a b", "3")] {
        assert_eq!(read(&format!("s/{name}/x")), data.as_bytes());
    }
    assert_eq!(read("s/link"), b"2");
    assert!(read("s/big") == big && read("s/none").is_empty());
    let cut: Vec<_> = names(&version.join("s"));
    let cut: Vec<_> = cut
        .iter()
        .filter(|n| n.to_string_lossy().contains('~'))
        .collect();
    assert_eq!(cut.len(), 1);
    assert_eq!(fs::read(version.join("s").join(cut[0])).unwrap(), b"long");
    let stat = fs::metadata(version.join("s/big")).unwrap();
    assert_eq!((stat.uid(), stat.gid(), stat.mode()), (12, 34, 0o100_640));
    assert_eq!(
        (stat.mtime(), stat.mtime_nsec()),
        (1_706_704_496, 123_456_700)
    );
    let said = mounted.end("-TERM", 2);
    assert!(said.contains("/s/../../etc/passwd is not shown"), "{said}");
}

/// What a user without rights does, in a mount namespace of its own where anybody may open `/dev/fuse`, as is usual. Says what
/// the user reads, what root is told, and how the program ended.
const AS_NOBODY: &str = r#"
exec 2>&1
program=$1 dest=$2 folder=$3 file=$4
mknod "$TMPDIR/fuse" c 10 229 && chmod 666 "$TMPDIR/fuse" && mount --bind "$TMPDIR/fuse" /dev/fuse || exit 77
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
nobody test -x "$program" -a -w "$folder" || exit 77
command -v fusermount3 >/dev/null || exit 77
mkfifo "$TMPDIR/said"
nobody "$program" mount "$dest" "$folder" --no-encryption 2>"$TMPDIR/said" &
exec 3<"$TMPDIR/said"
read -r line <&3; echo "$line"
case $line in mounted*) ;; *) exit 1;; esac
nobody cat "$folder/newest$file" && echo
cat "$folder/newest$file"
id=$(pgrep -n -u 65534 -f "mount $dest")
nobody sh -c "exec 4<'$folder/newest$file'; kill -TERM $id; read -r a; echo \"read \$a\" <&4" </dev/null
while kill -0 $id 2>/dev/null && mountpoint -q "$folder"; do sleep 0.05; done
wait %1; echo "ended with $?"
cat <&3
ls -A "$folder"
"#;

/// A user without rights mounts by `fusermount3`, which belongs to root, and nobody else gets in.
#[test]
fn anybody_may_mount_for_himself() {
    if !can_mount() || !mounted::is_root() {
        return;
    }
    let scratch = Scratch::new("mount-user");
    let source = scratch.folder("source");
    tree::write(&source.join("file"), b"seen by one");
    backup(&scratch, &source, WAYS[1], &[]);
    let (dest, folder) = (scratch.at("dest"), scratch.folder("mount"));
    let all = ["dest", "mount", "tmp", "home", "cache"].map(|name| scratch.at(name));
    let all: Vec<String> = all.iter().map(|p| format!("'{}'", text(p))).collect();
    shell(&format!("chown -R 65534:65534 {}", all.join(" ")));
    let file = source.join("file");
    let words = [
        "-m",
        "sh",
        "-c",
        AS_NOBODY,
        "sh",
        env!("CARGO_BIN_EXE_duplet"),
    ];
    let mut command = scratch.other(&["unshare"], &words);
    let ran = command.args([&dest, &folder, &file]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    if ran.status.code() == Some(77) {
        mounted::say(&format!("a user cannot mount here: {said}"));
        return;
    }
    for part in [
        "unmount with Ctrl-C or 'fusermount3 -u ",
        "seen by one\n",
        "Permission denied",
        "ended with 0\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
