//! `repair`: indexes written again, lost blocks found where they came from, and nothing touched that is whole or unknown.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::snapshot::{But, Snapshot, expected_at, same, take};
use support::{Rand, Scratch, lifecycle, names, outside, text, tree, volumes};

const REBUILD: &str = "--rebuild-missing-dblock-files";

fn verified(scratch: &Scratch, dest: &Path, how: &[&str]) {
    let mut args = vec![
        "verify",
        text(dest),
        "all",
        "--full-remote-verification",
        "--no-cache",
    ];
    args.extend(how);
    scratch.run(&args).code(&[0]);
}

fn restore(scratch: &Scratch, dest: &Path, version: usize, how: &[&str]) -> Snapshot {
    let to = scratch.at("restored");
    let _ = fs::remove_dir_all(&to);
    let (path, version) = (
        format!("--restore-path={}", text(&to)),
        format!("--version={version}"),
    );
    let mut args = vec![
        "restore",
        text(dest),
        &path,
        &version,
        "--restore-permissions",
    ];
    args.extend(how);
    scratch.run(&args).code(&[0]);
    take(&to)
}

/// Two versions of a tree with files of one block, of many, and more than one blocklist, with links and folders.
fn made(scratch: &Scratch, how: &[&str]) -> (PathBuf, [Snapshot; 2]) {
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    tree::write(&source.join("large"), &Rand(3).bytes(1_500_000));
    scratch.folder("source/deep/er");
    tree::write(&source.join("deep/er/small"), b"a few bytes");
    tree::write(&source.join("deep/empty"), b"");
    std::os::unix::fs::symlink("large", source.join("link")).unwrap();
    for n in 0..6 {
        tree::write(&source.join(format!("f{n}")), &Rand(10 + n).bytes(200_000));
    }
    let mut args = vec![
        "backup",
        text(&dest),
        text(&source),
        "--blocksize=10kb",
        "--dblock-size=1mb",
    ];
    args.extend(how);
    scratch.run(&args).code(&[0]);
    let first = take(&source);
    // There is room between the two.
    let list = volumes(&dest, "dlist").remove(0);
    let name = list.file_name().unwrap().to_str().unwrap();
    let name = format!(
        "duplicati-20240101T000000Z{}",
        &name[name.find(".dlist").unwrap()..]
    );
    fs::rename(&list, dest.join(name)).unwrap();
    tree::write(&source.join("new"), &Rand(99).bytes(300_000));
    scratch.run(&args).code(&[0]);
    (dest, [first, take(&source)])
}

const SETS: [&[&str]; 2] = [&["--no-encryption"], &["--passphrase=put right"]];

#[test]
fn a_missing_index_is_written_again_as_duplicati_does() {
    let scratch = Scratch::new("repair-dindex");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle("repair-missing-dindex"), &dest);
    let before = names(&dest);
    let args = ["repair", text(&dest)];
    scratch
        .run(&["repair", text(&dest), "--dry-run"])
        .code(&[0])
        .says("2 index volumes would be written");
    assert_eq!(names(&dest), before);
    scratch
        .run(&args)
        .code(&[0])
        .says("2 index volumes written");
    assert_eq!(volumes(&dest, "dindex").len(), 3);
    outside(&dest);
    verified(&scratch, &dest, &[]);
    let golden = lifecycle("repair-missing-dindex").with_file_name("expected");
    for (version, number) in [(2, "1"), (1, "2"), (0, "3")] {
        let want = expected_at(&golden.join(format!("{number}.jsonl")));
        let got = restore(&scratch, &dest, version, &[]);
        same(&want, &got, But::default(), number);
    }
    scratch
        .run(&args)
        .code(&[0])
        .says("nothing is to be repaired");
}

#[test]
fn a_missing_list_is_nothing_that_can_be_made_again() {
    let scratch = Scratch::new("repair-dlist");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle("repair-missing-dlist"), &dest);
    let before = take(&dest);
    let how = "--passphrase=correct horse";
    scratch.run(&["repair", text(&dest), how]).code(&[0]);
    scratch
        .run(&["repair", text(&dest), "--passphrase=x"])
        .code(&[100]);
    let list = volumes(&dest, "dlist").remove(0);
    let word = list.file_name().unwrap().to_str().unwrap();
    scratch
        .run(&["repair", text(&dest), how, word])
        .code(&[200])
        .says("list of a version");
    same(&before, &take(&dest), But::default(), "the destination");
}

#[test]
fn without_a_source_what_is_lost_is_said_and_nothing_goes() {
    let scratch = Scratch::new("repair-dblock");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle("repair-missing-dblock"), &dest);
    let before = take(&dest);
    for how in [&[][..], &["--dry-run", "--force"], &["--dry-run", REBUILD]] {
        let mut args = vec!["repair", text(&dest)];
        args.extend(how);
        let ran = scratch.run(&args);
        if !how.contains(&"--dry-run") {
            let ran = ran.code(&[2]).says("docs/day 2.txt");
            ran.says("purge-broken-files");
        }
        same(&before, &take(&dest), But::default(), &format!("{how:?}"));
    }
    // Lists of blocks of which an index has a copy are all that is found.
    let found = scratch.run(&["repair", text(&dest), REBUILD]);
    found.code(&[2]).says("docs/day 2.txt");
    for name in before.keys().filter(|n| !n.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        assert!(dest.join(&name).exists(), "{name}");
    }
    scratch
        .run(&["repair", text(&dest), "--force"])
        .code(&[2])
        .says("1 old index volume deleted");
    assert_eq!(
        volumes(&dest, "dindex").len(),
        volumes(&dest, "dblock").len()
    );
    // The volume comes back without its index.
    support::copy_folder(
        &lifecycle("repair-missing-dblock").with_file_name("lost"),
        &dest,
    );
    scratch
        .run(&["repair", text(&dest)])
        .code(&[0])
        .says("index written");
    verified(&scratch, &dest, &[]);
}

#[test]
fn lost_volumes_are_made_again_from_the_files() {
    for how in SETS {
        for lost in ["first", "all", "all with their indexes"] {
            let scratch = Scratch::new("repair-rebuild");
            let (dest, trees) = made(&scratch, how);
            // A folder's time changed since; both versions name the one before, or the one now.
            let take_away = if lost == "first" { 1 } else { usize::MAX };
            for volume in volumes(&dest, "dblock").iter().take(take_away) {
                fs::remove_file(volume).unwrap();
            }
            if lost.ends_with("indexes") {
                for volume in volumes(&dest, "dindex") {
                    fs::remove_file(volume).unwrap();
                }
            }
            let unknown = dest.join("letter.txt");
            fs::write(&unknown, "not of the backup").unwrap();
            let mut args = vec!["repair", text(&dest), REBUILD];
            args.extend(how);
            let before = names(&dest);
            let mut dry = args.clone();
            dry.push("--dry-run");
            scratch.run(&dry).says("lost blocks found");
            assert_eq!(names(&dest), before);
            // Of the older version the source folder's own times are gone.
            let ran = scratch.run(&args).code(&[0, 2]);
            assert!(unknown.exists());
            if ran.code == 2 {
                ran.says("only owner, permissions and times");
                let mut args = vec!["purge-broken-files", text(&dest)];
                args.extend(how);
                scratch.run(&args).code(&[0]);
            }
            verified(&scratch, &dest, how);
            let but = But {
                root: true,
                ..But::default()
            };
            for (version, want) in trees.iter().rev().enumerate() {
                same(
                    want,
                    &restore(&scratch, &dest, version, how),
                    but,
                    &format!("{how:?} {lost}"),
                );
            }
            if how[0] == "--no-encryption" {
                fs::remove_file(unknown).unwrap();
                outside(&dest);
            }
        }
    }
}

#[test]
fn damaged_volumes_are_emptied_and_deleted() {
    for how in SETS {
        for harm in ["cut", "flipped"] {
            let scratch = Scratch::new("repair-damaged");
            let (dest, trees) = made(&scratch, how);
            let all = volumes(&dest, "dblock");
            let volume = all
                .iter()
                .max_by_key(|p| fs::metadata(p).unwrap().len())
                .unwrap();
            let mut data = fs::read(volume).unwrap();
            let middle = data.len() / 2;
            match harm {
                "cut" => data.truncate(middle),
                _ => data[middle] ^= 0x10,
            }
            fs::write(volume, data).unwrap();
            let name = volume.file_name().unwrap().to_str().unwrap();
            let mut args = vec!["repair", text(&dest), name];
            args.extend(how);
            scratch.run(&args).code(&[2]).says("damaged");
            assert!(volume.exists());
            args.push(REBUILD);
            scratch
                .run(&args)
                .code(&[0])
                .says("1 damaged data volume deleted");
            assert!(!volume.exists());
            verified(&scratch, &dest, how);
            for (version, want) in trees.iter().rev().enumerate() {
                let got = restore(&scratch, &dest, version, how);
                same(want, &got, But::default(), &format!("{how:?} {harm}"));
            }
            scratch
                .run(&args[..2].iter().chain(how).collect::<Vec<_>>())
                .code(&[0]);
        }
    }
}

#[test]
fn damaged_and_poor_indexes_are_replaced() {
    for harm in ["cut", "poor", "wrong size", "copy"] {
        let scratch = Scratch::new("repair-poor");
        let (dest, trees) = made(&scratch, &["--no-encryption"]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/harm.py");
        let rule = match harm {
            "poor" => "copy-missing",
            "wrong size" => "wrong-size",
            _ => "copy-content",
        };
        if harm == "cut" {
            let index = volumes(&dest, "dindex").remove(0);
            let data = fs::read(&index).unwrap();
            fs::write(&index, &data[..data.len() / 2]).unwrap();
        } else {
            let args = [script.as_os_str(), dest.as_os_str(), rule.as_ref()];
            support::tool("python3", &args, support::snapshot::INSTALL);
        }
        let before = volumes(&dest, "dindex");
        scratch
            .run(&["repair", text(&dest)])
            .code(&[0])
            .says("deleted");
        assert_eq!(volumes(&dest, "dindex").len(), before.len(), "{harm}");
        outside(&dest);
        verified(&scratch, &dest, &[]);
        same(
            &trees[0],
            &restore(&scratch, &dest, 1, &[]),
            But::default(),
            harm,
        );
        scratch
            .run(&["repair", text(&dest)])
            .code(&[0])
            .says("nothing is to be repaired");
    }
}

#[test]
fn nothing_is_deleted_while_a_list_cannot_be_read() {
    let scratch = Scratch::new("repair-unreadable");
    let (dest, _) = made(&scratch, &["--no-encryption"]);
    let list = volumes(&dest, "dlist").remove(0);
    let data = fs::read(&list).unwrap();
    fs::write(&list, &data[..data.len() / 3]).unwrap();
    fs::remove_file(volumes(&dest, "dblock").remove(0)).unwrap();
    let before = names(&dest);
    for how in [&[][..], &["--force"], &[REBUILD], &["--force", REBUILD]] {
        let mut args = vec!["repair", text(&dest)];
        args.extend(how);
        scratch.run(&args).code(&[2, 3]).says("nothing is deleted");
        for name in &before {
            assert!(dest.join(name).exists(), "{name:?}");
        }
    }
}

#[test]
fn mistakes_are_said_before_anything_is_changed() {
    let scratch = Scratch::new("repair-mistakes");
    let dest = scratch.at("dest");
    support::copy_folder(&lifecycle("repair-missing-dblock"), &dest);
    let before = take(&dest);
    for (words, code) in [
        (&["letter.txt"][..], 200),
        (
            &["duplicati-b00000000000000000000000000000000.dblock.zip"],
            100,
        ),
        (
            &["duplicati-i00000000000000000000000000000000.dindex.zip"],
            100,
        ),
        (&["--passphrase=x"], 100),
        (&["--prefix=other"], 100),
        (&["--dblock-size=1kb", REBUILD], 200),
    ] {
        let mut args = vec!["repair", text(&dest)];
        args.extend(words);
        scratch.run(&args).code(&[code]);
        same(&before, &take(&dest), But::default(), &format!("{words:?}"));
    }
    let empty = scratch.folder("empty");
    for words in [&["repair"][..], &["purge-broken-files"], &["purge", "*.x"]] {
        let mut args = vec![words[0], text(&empty)];
        args.extend(&words[1..]);
        scratch.run(&args).code(&[100]);
        assert!(names(&empty).is_empty());
    }
}

const COUNTS: [&str; 6] = [
    "WrittenIndexVolumes",
    "DamagedVolumes",
    "SalvagedBlocks",
    "DeletedIndexVolumes",
    "DeletedVolumes",
    "UnreadableVersions",
];

/// A dry run reads what the run reads, so it counts the same; what only packing tells it does not pretend to know.
#[test]
fn a_dry_run_counts_what_the_run_saves() {
    for (harm, how) in [
        ("flip", SETS[1]),
        ("zeros", SETS[0]),
        ("garbage", SETS[1]),
        ("lost", SETS[0]),
        ("no index", SETS[0]),
        ("flip without source", SETS[0]),
    ] {
        let scratch = Scratch::new("repair-dry");
        let (dest, _) = made(&scratch, how);
        let volume = volumes(&dest, "dblock").remove(0);
        let mut data = fs::read(&volume).unwrap();
        let (middle, len) = (data.len() / 2, data.len());
        match harm {
            "zeros" => data[middle..middle + 20_000].fill(0),
            "garbage" => data = Rand(5).bytes(len),
            "lost" | "no index" => {}
            _ => data[middle] ^= 1,
        }
        fs::write(&volume, data).unwrap();
        match harm {
            "lost" => fs::remove_file(&volume).unwrap(),
            "no index" => fs::remove_file(volumes(&dest, "dindex").remove(0)).unwrap(),
            _ => {}
        }
        if harm.ends_with("source") {
            fs::rename(scratch.at("source"), scratch.at("elsewhere")).unwrap();
        }
        let mut args = vec!["repair", text(&dest), REBUILD];
        if volume.exists() {
            args.push(volume.file_name().unwrap().to_str().unwrap());
        }
        args.extend(how);
        let before = support::contents(&dest);
        let told = scratch.run(&[&args[..], &["--dry-run"]].concat());
        let dry = scratch.run(&[&args[..], &["--dry-run", "--json"]].concat());
        assert!(before == support::contents(&dest), "{harm}");
        let stores = told.out.contains("would be stored in up to ");
        assert_eq!(stores, harm != "no index", "{}", told.all());
        assert!(!stores || told.out.contains("only a run tells"));
        let ran = scratch
            .run(&[&args[..], &["--json"]].concat())
            .code(&[0, 2]);
        let new = volumes(&dest, "dblock").into_iter();
        let old = |v: &PathBuf| {
            before
                .iter()
                .any(|(name, _)| Some(&**name) == v.file_name())
        };
        assert_eq!(new.filter(|v| !old(v)).count() > 0, stores, "{harm}");
        let (dry, ran) = (dry.json(), ran.json());
        for key in COUNTS {
            assert!(ran[key].is_u64(), "{key}");
            assert_eq!(dry[key], ran[key], "{harm}: {key}");
        }
        let saved = ran["SalvagedBlocks"].as_u64().unwrap() > 0;
        let some = harm.starts_with("flip") || harm == "zeros";
        assert_eq!(saved, some, "{harm}: {ran}");
    }
}

/// Nothing in a volume can be read: that is said, with the cause, and what its files still give is stored before it goes.
#[test]
fn a_volume_of_which_nothing_can_be_read_is_told_before_it_goes() {
    for how in SETS {
        for harm in ["random", "zeros", "short"] {
            let scratch = Scratch::new("repair-nothing");
            let (dest, _) = made(&scratch, how);
            let volume = volumes(&dest, "dblock").remove(0);
            let len = usize::try_from(fs::metadata(&volume).unwrap().len()).unwrap();
            let data = match harm {
                "random" => Rand(6).bytes(len),
                "zeros" => vec![0; len],
                _ => vec![b'x'; 3],
            };
            fs::write(&volume, data).unwrap();
            let name = volume.file_name().unwrap().to_str().unwrap();
            let mut args = vec!["repair", text(&dest), name];
            args.extend(how);
            // Without the option it stays.
            scratch.run(&args).code(&[2]).says(name);
            assert!(volume.exists());
            args.push(REBUILD);
            let ran = scratch.run(&args).code(&[2]);
            let line = ran
                .err
                .lines()
                .find(|l| l.contains("nothing of a damaged volume"));
            assert!(line.is_some_and(|l| l.contains(name)), "{}", ran.all());
            assert!(!volume.exists());
            let mut args = vec!["purge-broken-files", text(&dest)];
            args.extend(how);
            scratch.run(&args).code(&[0]);
            verified(&scratch, &dest, how);
        }
    }
}

/// Nothing to do for a plain repair: it says what it did not look at, and who does.
#[test]
fn a_plain_repair_says_who_finds_damage_inside_volumes() {
    let scratch = Scratch::new("repair-inside");
    let (dest, _) = made(&scratch, &["--no-encryption"]);
    let volume = volumes(&dest, "dblock").remove(0);
    let mut data = fs::read(&volume).unwrap();
    let middle = data.len() / 2;
    data[middle] ^= 1;
    fs::write(&volume, data).unwrap();
    let name = volume.file_name().unwrap().to_str().unwrap();
    for more in [&[][..], &["--dry-run"], &[REBUILD]] {
        let ran = scratch.run(&[&["repair", text(&dest)], more].concat());
        ran.code(&[0])
            .says("nothing is to be repaired")
            .says("'duplet verify URL all'")
            .says("after the URL");
    }
    // The way that it tells.
    scratch
        .run(&["verify", text(&dest), "all"])
        .code(&[3])
        .says(name);
    scratch
        .run(&["repair", text(&dest), REBUILD, name])
        .code(&[0, 2]);
    assert!(!volume.exists());
}

/// Where the second entry of an archive begins.
fn second_entry(data: &[u8]) -> usize {
    let is_head = |w: &[u8]| w == b"PK\x03\x04";
    10 + data[10..].windows(4).position(is_head).unwrap()
}

/// A volume that is damaged where no restore of ours looks is damaged all the same: no index calls it whole.
#[test]
fn a_volume_that_is_not_as_its_index_said_gets_no_new_one() {
    let plain = &["--no-encryption"][..];
    // Signature, method, checksum, name of a local header; a place of the directory that means nothing.
    for at in [1, 8, 14, 50, usize::MAX] {
        let scratch = Scratch::new("repair-header");
        let (dest, trees) = made(&scratch, plain);
        let volume = volumes(&dest, "dblock").remove(0);
        let mut data = fs::read(&volume).unwrap();
        match at {
            usize::MAX => {
                let end = data.len() - 22;
                let start: [u8; 4] = data[end + 16..end + 20].try_into().unwrap();
                data[u32::from_le_bytes(start) as usize + 38] ^= 2;
            }
            at => {
                // The second may be what the folder of the sources was like, which is not so any more.
                let second = second_entry(&data);
                let third = second + second_entry(&data[second..]);
                data[third + at] ^= 2;
            }
        }
        fs::write(&volume, data).unwrap();
        let name = volume.file_name().unwrap().to_str().unwrap();
        scratch.run(&["verify", text(&dest), "all"]).code(&[3]);
        let args = ["repair", text(&dest), name, REBUILD];
        scratch.run(&args[..3]).code(&[2]).says("damaged");
        assert!(volume.exists(), "{at}");
        let ran = scratch.run(&args).code(&[0]);
        let ran = ran.says("1 damaged data volume deleted");
        let told = format!("duplet: cannot read volume {name}: ");
        assert!(
            ran.err.lines().any(|l| l.starts_with(&told)),
            "{}",
            ran.all()
        );
        assert!(!volume.exists(), "{at}");
        outside(&dest);
        verified(&scratch, &dest, plain);
        for (version, want) in trees.iter().rev().enumerate() {
            let got = restore(&scratch, &dest, version, plain);
            same(want, &got, But::default(), &format!("{at}"));
        }
    }
}

/// Where no index says what a volume was, its archive has to agree with itself.
#[test]
fn a_volume_of_which_nothing_is_known_speaks_for_itself() {
    for at in [1, 8, 14, 50] {
        let scratch = Scratch::new("repair-unknown");
        let (dest, _) = made(&scratch, &["--no-encryption"]);
        let volume = volumes(&dest, "dblock").remove(0);
        for index in volumes(&dest, "dindex") {
            fs::remove_file(index).unwrap();
        }
        let whole = fs::read(&volume).unwrap();
        let mut data = whole.clone();
        data[second_entry(&whole) + at] ^= 2;
        fs::write(&volume, data).unwrap();
        let name = volume.file_name().unwrap().to_str().unwrap();
        let others = volumes(&dest, "dblock").len() - 1;
        let ran = scratch.run(&["repair", text(&dest)]).code(&[2]);
        let told = format!(
            "duplet: cannot read volume {name}: the zip archive disagrees with itself at byte "
        );
        assert!(
            ran.err.lines().any(|l| l.starts_with(&told)),
            "{}",
            ran.all()
        );
        assert_eq!(volumes(&dest, "dindex").len(), others, "{at}");
        fs::write(&volume, whole).unwrap();
        scratch.run(&["repair", text(&dest)]).code(&[0]);
        assert_eq!(volumes(&dest, "dindex").len(), others + 1, "{at}");
    }
}
