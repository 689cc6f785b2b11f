//! `duplet cat`: the bytes of one file, or a tar stream, on standard output; and what is damaged or asked for wrongly.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use support::harm::{Harm, harm};
use support::snapshot::{But, INSTALL, same, take};
use support::{Rand, Scratch, check, text, tool, tree, volumes};

const WAYS: [&str; 2] = ["--passphrase=cat and dog", "--no-encryption"];
const PARTS: [&str; 3] = [
    "--partial-reads=auto",
    "--partial-reads=always",
    "--partial-reads=never",
];

/// A backup and what it was made of.
struct World {
    scratch: Scratch,
    source: PathBuf,
    dest: PathBuf,
    how: &'static str,
}

impl World {
    fn new(how: &'static str) -> World {
        let scratch = Scratch::new("cat");
        World {
            source: scratch.folder("source"),
            dest: scratch.at("dest"),
            scratch,
            how,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        tree::write(&path, bytes);
    }

    fn backup(&self, more: &[&str]) {
        let common = ["backup", text(&self.dest), text(&self.source), self.how];
        let small = ["--blocksize=10kb", "--dblock-size=1mb"];
        self.scratch
            .run(&[&common[..], &small, more].concat())
            .code(&[0]);
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        let common = [command, text(&self.dest), self.how, "--no-cache"];
        let args = [&common[..], more].concat();
        self.scratch.command(&args).output().unwrap()
    }

    /// The bytes on standard output of a run that has nothing to say.
    #[track_caller]
    fn bytes(&self, command: &str, more: &[&str]) -> Vec<u8> {
        let ran = self.run(command, more);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!((ran.status.code(), &*said), (Some(0), ""), "{more:?}");
        assert!(self.scratch.left_in_tmp().is_empty());
        ran.stdout
    }
}

#[test]
fn one_file_and_nothing_else() {
    for how in WAYS {
        let world = World::new(how);
        let old = Rand(1).bytes(30_001);
        let big = Rand(2).bytes(900_000);
        world.write("folder/old", &old);
        world.write("folder/big", &big);
        world.write("folder/empty", b"");
        world.write("folder/block", &Rand(3).bytes(10_240));
        world.write("twice/same", &old);
        world.write("it is \u{1f980}, \u{fc}", b"crab\0\r\n");
        world.backup(&[]);
        world.write("folder/old", b"new");
        fs::remove_file(world.source.join("folder/empty")).unwrap();
        world.backup(&[]);

        let whole = world.source.join("folder/big");
        for parts in PARTS {
            for path in ["big", "folder/big", text(&whole), "bi?"] {
                assert!(world.bytes("cat", &[path, parts]) == big, "{path} {parts}");
            }
            let last = fs::read(world.source.join("folder/block")).unwrap();
            assert_eq!(world.bytes("dump", &["block", parts]), last);
            // It is in the older version only, and some are older there.
            assert_eq!(world.bytes("cat", &["empty", parts]), b"");
            assert_eq!(world.bytes("cat", &["old", parts]), b"new");
            assert_eq!(world.bytes("cat", &["old", "--version=1", parts]), old);
            assert_eq!(world.bytes("cat", &["same", parts]), old);
        }
        let odd = "it is \u{1f980}, \u{fc}";
        assert_eq!(world.bytes("cat", &[odd]), b"crab\0\r\n");
        assert_eq!(world.bytes("cat", &["old", "--time=0s", "-q"]), b"new");
        let there = ["old", "--restore-path=-", "--version=1"];
        assert_eq!(world.bytes("restore", &there), old);
        let narrowed = ["old", "--exclude=*/nothing", "--skip-restore-verification"];
        assert_eq!(world.bytes("dump", &narrowed), b"new");
    }
}

#[test]
fn what_is_no_file_is_refused_with_what_helps() {
    let world = World::new(WAYS[1]);
    world.write("a/name", b"1");
    world.write("b/name", b"2");
    world.write("b/deep/x", b"3");
    symlink("name", world.source.join("a/link")).unwrap();
    world.backup(&[]);
    for (command, args, code, says) in [
        ("cat", &["a"][..], 100, "a/ is a folder (write"),
        ("cat", &["deep/"], 100, "deep/ is a folder"),
        ("dump", &["b", "--version=0"], 100, "--tar"),
        ("cat", &["link"], 100, "is a symbolic link"),
        ("cat", &["name"], 100, "2 files are called so"),
        ("cat", &["x", "a/name"], 100, "--tar"),
        ("cat", &["absent"], 100, "nothing in the backup matches"),
        (
            "cat",
            &["x", "--version=7"],
            100,
            "version 7 does not exist",
        ),
        ("cat", &["0"], 100, "--version=0"),
        (
            "cat",
            &["x", "--time=1990-01-01"],
            100,
            "no version is as old",
        ),
        ("cat", &[], 200, "--tar"),
        ("cat", &["x", "--restore-path=here"], 200, "restore"),
        ("restore", &["--restore-path=-"], 200, "--tar"),
        ("restore", &["x", "--tar"], 200, "--restore-path=-"),
        (
            "restore",
            &["x", "--tar", "--restore-path=here"],
            200,
            "--restore-path=-",
        ),
        (
            "cat",
            &["x", "--version=0", "--time=1D"],
            200,
            "cannot be used together",
        ),
        ("cat", &["x", "--partial-reads=maybe"], 200, "partial-reads"),
    ] {
        let ran = world.run(command, args);
        check(&ran, code, says);
        assert!(ran.stdout.is_empty(), "{args:?}");
    }
    let ran = world.run("cat", &["x", "--json"]);
    check(&ran, 200, "");
    assert!(String::from_utf8_lossy(&ran.stdout).contains("--json"));
    for (command, args) in [
        ("cat", &["x", "--dry-run"][..]),
        ("restore", &["x", "--restore-path=-", "--dry-run"]),
        ("cat", &["--tar", "--dry-run"]),
    ] {
        let ran = world.run(command, args);
        check(&ran, 0, "would write");
        assert!(ran.stdout.is_empty(), "{args:?}");
    }
    // A file whose name is that of standard output is none.
    assert!(!world.scratch.at("-").exists());
}

/// Where the parts of a damaged file end that can be had.
#[test]
fn what_was_written_before_damage_is_right() {
    for how in WAYS {
        let world = World::new(how);
        let big = Rand(5).bytes(1_400_000);
        world.write("big", &big);
        world.write("small", b"small");
        world.backup(&[]);
        let blocks = volumes(&world.dest, "dblock");
        assert_eq!(blocks.len(), 2, "the file is in two volumes");
        let kept = world.scratch.at("kept");
        support::copy_folder(&world.dest, &kept);
        for (which, harmed) in [
            (0, Harm::Flip),
            (1, Harm::Flip),
            (0, Harm::Truncate),
            (1, Harm::Truncate),
            (0, Harm::Delete),
            (1, Harm::Delete),
        ] {
            for parts in &PARTS[..2] {
                fs::remove_dir_all(&world.dest).unwrap();
                support::copy_folder(&kept, &world.dest);
                harm(&blocks[which], &blocks[1 - which], harmed);
                let ran = world.run("cat", &["big", parts]);
                check(&ran, 100, "is lost");
                let n = ran.stdout.len();
                assert!(n < big.len() && n.is_multiple_of(10_240), "{harmed:?} {n}");
                assert!(ran.stdout == big[..n], "{how} {which} {harmed:?} {parts}");
                let name = blocks[which].file_name().unwrap().to_string_lossy();
                check(&ran, 100, &name);
                // What the damage does not touch comes all the same.
                let ran = world.run("cat", &["small", parts]);
                if ran.status.code() != Some(100) {
                    assert_eq!(ran.stdout, b"small");
                }
            }
        }
        // Names that were exchanged cost nothing.
        fs::remove_dir_all(&world.dest).unwrap();
        support::copy_folder(&kept, &world.dest);
        harm(&blocks[0], &blocks[1], Harm::Swap);
        let ran = world.run("cat", &["big"]);
        assert!(ran.stdout == big && ran.status.code() == Some(2));
        // Nothing says where the blocks are: the volumes themselves do.
        fs::remove_dir_all(&world.dest).unwrap();
        support::copy_folder(&kept, &world.dest);
        for index in volumes(&world.dest, "dindex") {
            fs::remove_file(index).unwrap();
        }
        let ran = world.run("cat", &["big"]);
        assert!(ran.stdout == big && ran.status.code() == Some(0));
        let whole = "--partial-reads=never";
        let ran = world.run("cat", &["small", "--no-scan", whole]);
        check(&ran, 100, "is lost");
        // But the version itself does.
        assert_eq!(world.bytes("cat", &["small", "--no-scan"]), b"small");
    }
}

#[test]
fn a_block_that_is_stored_twice_is_taken_from_where_it_is_whole() {
    for how in WAYS {
        let world = World::new(how);
        let data = Rand(8).bytes(200_000);
        world.write("file", &data);
        world.backup(&[]);
        // Another backup of the same file: its volumes lie in the same folder as a second copy of every block.
        let other = world.scratch.at("other");
        let args = [
            "backup",
            text(&other),
            text(&world.source),
            how,
            "--blocksize=10kb",
        ];
        world.scratch.run(&args).code(&[0]);
        let mine = volumes(&world.dest, "dblock");
        for word in ["dblock", "dindex"] {
            for path in volumes(&other, word) {
                fs::copy(&path, world.dest.join(path.file_name().unwrap())).unwrap();
            }
        }
        harm(&mine[0], &mine[0], Harm::Flip);
        for parts in PARTS {
            let ran = world.run("cat", &["file", parts]);
            assert!(ran.stdout == data, "{parts}");
            assert!(matches!(ran.status.code(), Some(0 | 2)));
        }
    }
}

/// Each block of the file lies in another volume than the one before, and there is no room to keep any of them.
#[test]
fn blocks_out_of_many_volumes_come_in_the_order_of_the_file() {
    let world = World::new(WAYS[0]);
    let mut pieces = Vec::new();
    for n in 0..4 {
        let piece = Rand(20 + n).bytes(12 * 10_240);
        world.write("piece", &piece);
        world.backup(&[]);
        pieces.push(piece);
    }
    let chunks = (0..12).flat_map(|i| pieces.iter().map(move |p| &p[i * 10_240..][..10_240]));
    let mixed: Vec<u8> = chunks.flatten().copied().collect();
    world.write("mixed", &mixed);
    world.backup(&[]);
    for parts in PARTS {
        for hint in ["0b", "300kb", "1gb"] {
            let hint = format!("--restore-volume-cache-hint={hint}");
            assert!(world.bytes("cat", &["mixed", parts, &hint]) == mixed);
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_a_full_disk_does_not() {
    let world = World::new(WAYS[1]);
    world.write("big", &Rand(9).bytes(2_000_000));
    world.backup(&[]);
    for args in [&["big"][..], &["--tar"]] {
        let common = ["cat", text(&world.dest), world.how, "--no-cache"];
        let mut child = world
            .scratch
            .command(&[&common[..], args].concat())
            .spawn()
            .unwrap();
        let mut start = [0; 700];
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_exact(&mut start).unwrap();
        drop(pipe);
        let ran = child.wait_with_output().unwrap();
        assert_eq!((ran.status.code(), &ran.stderr[..]), (Some(0), &b""[..]));
        let full = fs::File::create("/dev/full").unwrap();
        let mut command = world.scratch.command(&[&common[..], args].concat());
        let ran = command.stdout(full).output().unwrap();
        check(&ran, 100, "no space left");
    }
}

/// A tree with one of everything as a tar stream, read by GNU tar and by Python.
#[test]
fn a_folder_is_a_tar_stream_that_others_read() {
    for how in WAYS {
        let world = World::new(how);
        let long = format!(
            "{}/{}/{}",
            "d".repeat(120),
            "e".repeat(200),
            "f".repeat(250)
        );
        world.write(&long, b"far down");
        world.write("exact", &Rand(6).bytes(512));
        world.write("more", &Rand(7).bytes(40_001));
        for name in tree::ODD_NAMES {
            world.write(&format!("odd/{name}"), name.as_bytes());
        }
        symlink("t".repeat(180), world.source.join("far")).unwrap();
        symlink("exact", world.source.join("odd/near \u{fc}")).unwrap();
        fs::create_dir(world.source.join("bare")).unwrap();
        for (name, mode, seconds, nanos) in [
            ("more", 0o640, 1_000_000_000, 123_456_700),
            ("exact", 0o755, 4_000_000_000, 0),
            ("odd/.hidden", 0o400, 0, 100),
        ] {
            let path = world.source.join(name);
            let file = fs::File::options().append(true).open(&path).unwrap();
            let time = UNIX_EPOCH + Duration::new(seconds, nanos);
            file.set_modified(time).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(world.source.join("bare"), fs::Permissions::from_mode(0o711)).unwrap();
        world.backup(&[]);
        for parts in PARTS {
            let stream = world.bytes("cat", &["--tar", parts]);
            assert_eq!(stream.len() % 10_240, 0);
            let to = world.scratch.folder("unpacked");
            unpack(&stream, &to);
            same(&take(&world.source), &take(&to), But::default(), "tar");
            fs::remove_dir_all(&to).unwrap();
        }
        let stream = world.bytes("dump", &["--tar"]);
        let file = world.scratch.at("stream.tar");
        fs::write(&file, &stream).unwrap();
        let said = by_python(&file);
        assert!(said.contains(&format!("{long} 8 ")), "{said}");
        assert!(said.contains("more 40001 640 1000000000.123456"), "{said}");
        // Names are those of a restore.
        for (args, names) in [
            (&["odd/star*", "--tar"][..], "star*\n"),
            (&["exact", "more", "--tar"], "exact\nmore\n"),
            (&["bare", "--tar"], "./\n"),
            (
                &["exact", "odd/near*", "--tar"],
                "exact\nodd/\nodd/near \u{fc}\n",
            ),
            (
                &["bare", "exact", "--tar", "--restore-path=-"],
                "bare/\nexact\n",
            ),
        ] {
            let command = if args.len() > 3 { "restore" } else { "cat" };
            fs::write(&file, world.bytes(command, args)).unwrap();
            let args = ["--quoting-style=literal", "-tf", text(&file)];
            let listed = tool("tar", &args.map(AsRef::as_ref), INSTALL);
            assert_eq!(String::from_utf8_lossy(&listed), names, "{args:?}");
        }
        let whole = ["exact", "--tar", "--dont-compress-restore-paths"];
        fs::write(&file, world.bytes("cat", &whole)).unwrap();
        let inside = text(&world.source).trim_start_matches('/').to_owned();
        assert!(by_python(&file).contains(&format!("{inside}/exact 512 755 4000000000")));
    }
}

fn unpack(stream: &[u8], to: &Path) {
    let mut child = Command::new("tar")
        .args(["-x", "-p", "--xattrs", "--xattrs-include=*", "-C", text(to)])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream).unwrap();
    assert!(child.wait().unwrap().success());
}

/// `NAME SIZE MODE TIME` of every member, and all contents read.
fn by_python(file: &Path) -> String {
    const PROGRAM: &str = r"
import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    if m.isfile():
        assert len(tarfile.open(sys.argv[1]).extractfile(m).read()) == m.size
    print(m.name, m.size, '%o' % m.mode, m.mtime)
";
    let args = ["-c", PROGRAM, text(file)];
    String::from_utf8(tool("python3", &args.map(AsRef::as_ref), INSTALL)).unwrap()
}

/// In a tar stream a damaged file is left out and the rest is there; a lost link has nothing to lead to.
#[test]
fn damaged_files_are_left_out_of_a_tar_stream() {
    for how in WAYS {
        let world = World::new(how);
        world.write("a", &Rand(30).bytes(300_000));
        world.backup(&[]);
        world.write("b", &Rand(31).bytes(300_000));
        symlink("a", world.source.join("link")).unwrap();
        world.backup(&[]);
        let newest = volumes(&world.dest, "dblock")
            .into_iter()
            .max_by_key(|v| fs::metadata(v).unwrap().modified().unwrap())
            .unwrap();
        for harmed in [Harm::Delete, Harm::Truncate] {
            let kept = fs::read(&newest).unwrap();
            harm(&newest, &newest, harmed);
            let ran = world.run("cat", &["--tar"]);
            check(&ran, 3, "/b is left out");
            let file = world.scratch.at("stream.tar");
            fs::write(&file, &ran.stdout).unwrap();
            let said = by_python(&file);
            assert!(
                said.contains("a 300000 ") && !said.contains("b 300000"),
                "{said}"
            );
            if harmed == Harm::Delete {
                check(&ran, 3, "link is left out: where it leads is lost");
            }
            fs::write(&newest, kept).unwrap();
        }
    }
}

/// Of a volume of which one file is wanted a restore fetches that part, and gives the same as from whole volumes.
#[test]
fn a_restore_of_little_fetches_little() {
    for how in WAYS {
        let world = World::new(how);
        for n in 0..30 {
            world.write(&format!("f{n}"), &Rand(50 + n).bytes(60_000));
        }
        world.backup(&["--dblock-size=5mb"]);
        let fetched = |args: &[&str], parts: &str| {
            let to = world.scratch.folder("back");
            let there = format!("--restore-path={}", text(&to));
            let ran = world.run("restore", &[args, &[&there, parts, "--json"]].concat());
            check(&ran, 0, "");
            let said: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
            let files = support::contents(&to);
            fs::remove_dir_all(&to).unwrap();
            (said["BytesDownloaded"].as_u64().unwrap(), files)
        };
        for (args, little) in [(&["f7"][..], true), (&["f1", "f29"], true), (&[], false)] {
            let (whole, want) = fetched(args, PARTS[2]);
            let (auto, got) = fetched(args, PARTS[0]);
            let (always, same) = fetched(args, PARTS[1]);
            assert!(want == got && want == same && !want.is_empty());
            assert!(whole > 1_800_000, "{whole}");
            if little {
                assert!(auto < 600_000 && always < 600_000, "{auto} {always}");
            } else {
                assert!(auto >= whole, "{auto} {whole}");
            }
        }
    }
}
