//! Restores where something stands in the way, names do not fit, or an ended restore left its files.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::craft::{META, Maker, Volume};
use support::{Ran, Rand, Scratch, names, text};

/// Files and links below `root` with their content.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            let meta = fs::symlink_metadata(&path).unwrap();
            let key = text(path.strip_prefix(root).unwrap()).to_owned();
            if meta.is_dir() {
                all.insert(format!("{key}/"), String::new());
                open.push(path);
            } else if meta.is_symlink() {
                all.insert(key, format!("-> {}", text(&fs::read_link(&path).unwrap())));
            } else {
                all.insert(
                    key,
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
                );
            }
        }
    }
    all
}

fn shows(root: &Path) -> String {
    let line = |(k, v): (String, String)| if v.is_empty() { k } else { format!("{k}={v}") };
    tree(root)
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join(" ")
}

fn restore(scratch: &Scratch, more: &[&str]) -> Ran {
    let target = format!("--restore-path={}", text(&scratch.at("out")));
    scratch.run(&[&["restore", text(&scratch.at("dest")), &target], more].concat())
}

/// `y/` with a file, a folder in it and an empty one, beside `z`; the date is the version's.
fn folders(scratch: &Scratch) {
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let mut list: Vec<String> = ["/s/", "/s/y/", "/s/y/sub/", "/s/y/void/"]
        .map(|path| maker.folder(&mut volume, path, Some(META)))
        .to_vec();
    for (path, data) in [("/s/y/a", "1"), ("/s/y/sub/b", "2"), ("/s/z", "3")] {
        list.push(maker.file(&mut volume, path, data.as_bytes(), Some(META)));
    }
    list.push(maker.symlink(&mut volume, "/s/y/l", "a"));
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
}

const WHOLE: &str = "y/ y/a=1 y/l=-> a y/sub/ y/sub/b=2 y/void/ z=3";
const DATED: &str = "y.2024-01-31/ y.2024-01-31/a=1 y.2024-01-31/l=-> a y.2024-01-31/sub/ y.2024-01-31/sub/b=2 y.2024-01-31/void/ z=3";

#[test]
fn a_file_in_the_place_of_a_folder() {
    for (existing, code, want) in [
        ("overwrite", 0, WHOLE.to_owned()),
        ("rename", 0, format!("y=mine {DATED}")),
        ("newer", 0, format!("y=mine {DATED}")),
        ("skip", 0, "y=mine z=3".to_owned()),
    ] {
        let scratch = Scratch::new("way-file");
        folders(&scratch);
        let out = scratch.folder("out");
        fs::write(out.join("y"), "mine").unwrap();
        let option = format!("--existing={existing}");
        let dry = restore(&scratch, &[&option, "--dry-run"]).code(&[0]);
        assert_eq!(shows(&out), "y=mine", "{existing}");
        assert_eq!(
            dry.out.contains("y.2024-01-31"),
            want.contains("2024"),
            "{}",
            dry.out
        );
        let ran = restore(&scratch, &[&option]).code(&[code]);
        assert_eq!(shows(&out), want, "{existing}");
        assert_eq!(
            ran.out.contains("y.2024-01-31"),
            want.contains("2024"),
            "{}",
            ran.out
        );
        // Again: all is there.
        restore(&scratch, &[&option]).code(&[0]);
        assert_eq!(shows(&out), want, "{existing}, again");
    }
}

#[test]
fn other_things_in_the_place_of_a_folder() {
    let scratch = Scratch::new("way-others");
    folders(&scratch);
    let out = scratch.at("out");
    let fresh = || {
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
    };
    // A link to nothing and one to a file.
    for target in ["nowhere", "z"] {
        for (options, want) in [
            (&["--overwrite"][..], WHOLE.to_owned()),
            (&[], format!("y=-> {target} {DATED}")),
        ] {
            fresh();
            symlink(target, out.join("y")).unwrap();
            restore(&scratch, options).code(&[0]);
            assert_eq!(shows(&out), want);
        }
    }
    // A link to a folder is not followed.
    let elsewhere = scratch.folder("elsewhere");
    for target in [text(&elsewhere), "in"] {
        for (options, want) in [
            (&["--overwrite"][..], WHOLE.to_owned()),
            (&[], format!("y=-> {target} {DATED}")),
            (&["--existing=skip"], format!("y=-> {target} z=3")),
        ] {
            fresh();
            fs::create_dir(out.join("in")).unwrap();
            symlink(target, out.join("y")).unwrap();
            for _ in 0..2 {
                restore(&scratch, options).code(&[0]);
                assert_eq!(shows(&out), format!("in/ {want}"), "{options:?}");
            }
            assert!(names(&elsewhere).is_empty() && names(&out.join("in")).is_empty());
        }
    }
    // Unless that is wanted.
    fresh();
    symlink(&elsewhere, out.join("y")).unwrap();
    let follow = "--allow-restore-outside-target-directory";
    restore(&scratch, &["--overwrite", follow]).code(&[0]);
    assert_eq!(shows(&out), format!("y=-> {} z=3", text(&elsewhere)));
    assert!(elsewhere.join("sub/b").exists());
    // Further down, where only a file was asked for, and in what is dated already.
    fresh();
    fs::create_dir(out.join("y")).unwrap();
    fs::write(out.join("y/sub"), "mine").unwrap();
    restore(&scratch, &["/s/y/sub/b", "/s/z"]).code(&[0]);
    assert_eq!(
        shows(&out),
        "y/ y/sub=mine y/sub.2024-01-31/ y/sub.2024-01-31/b=2 z=3"
    );
    fresh();
    fs::write(out.join("y"), "mine").unwrap();
    fs::create_dir(out.join("y.2024-01-31")).unwrap();
    fs::write(out.join("y.2024-01-31/sub"), "mine, too").unwrap();
    restore(&scratch, &[]).code(&[0]);
    let have = shows(&out);
    assert!(
        have.contains("y.2024-01-31/sub.2024-01-31/b=2") && have.contains("y.2024-01-31/a=1"),
        "{have}"
    );
    // A pipe.
    fresh();
    support::tool("mkfifo", &[out.join("y").as_os_str()], "part of any system");
    restore(&scratch, &["--overwrite"]).code(&[0]);
    assert_eq!(shows(&out), WHOLE);
}

/// In the original place a link makes way only for a folder of the version that lies in another: a source may have been a link
/// then, too, and what is above the sources is this machine's.
#[test]
fn links_of_this_machine_stay_in_the_original_place() {
    let scratch = Scratch::new("way-home");
    for folder in ["real/sub", "far/other", "new"] {
        let folder = scratch.folder(folder);
        fs::write(folder.join("file"), "1").unwrap();
    }
    symlink("real", scratch.at("link")).unwrap();
    let (dest, link, other) = (
        scratch.at("dest"),
        scratch.at("link"),
        scratch.at("far/other"),
    );
    let words = [
        "backup",
        text(&dest),
        text(&link),
        text(&other),
        "--no-encryption",
    ];
    scratch.run(&words).code(&[0]);
    let (far, moved) = (scratch.at("far"), scratch.at("moved"));
    fs::rename(&far, &moved).unwrap();
    symlink("moved", &far).unwrap();
    fs::remove_file(moved.join("other/file")).unwrap();
    for options in [&["--overwrite"][..], &[]] {
        let ran = scratch.run(&[&["restore", text(&dest)], options].concat());
        ran.code(&[3])
            .says("the symbolic link link, which is not followed");
        assert_eq!(text(&fs::read_link(&link).unwrap()), "real");
        assert_eq!(text(&fs::read_link(&far).unwrap()), "moved");
        assert!(names(&moved.join("other")).is_empty());
    }
    // Of one source, the links above it are followed, and one in it makes way.
    let sub = scratch.at("real/sub");
    fs::remove_dir_all(&sub).unwrap();
    symlink("../new", &sub).unwrap();
    fs::write(scratch.at("new/file"), "mine").unwrap();
    let words = ["restore", text(&dest), text(&link), "--overwrite"];
    scratch.run(&words).code(&[0]);
    assert!(fs::symlink_metadata(&sub).unwrap().is_dir());
    assert_eq!(fs::read(sub.join("file")).unwrap(), b"1");
    assert_eq!(fs::read(scratch.at("new/file")).unwrap(), b"mine");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn what_made_way_is_kept_when_the_folder_does_not_come_whole() {
    let scratch = Scratch::new("way-kept");
    let maker = Maker::new(scratch.at("dest"));
    let (mut good, mut lost) = (Volume::new(1), Volume::new(2));
    let list = [
        maker.folder(&mut good, "/s/y/", None),
        maker.file(&mut good, "/s/y/a", b"1", None),
        maker.file(&mut lost, "/s/y/b", b"2", None),
        maker.file(&mut good, "/s/z", b"3", None),
    ];
    maker.both(&mut good);
    maker.dlist("20240131T133500Z", &list);
    let out = scratch.folder("out");
    fs::write(out.join("y"), "mine").unwrap();
    restore(&scratch, &["--overwrite"])
        .code(&[3])
        .says("is kept as y.2024-01-31");
    assert_eq!(shows(&out), "y.2024-01-31=mine y/ y/a=1 z=3");
}

/// What is left of a damaged file is kept once, however often it is restored; what differs is kept beside it.
#[test]
fn what_is_left_of_a_damaged_file_is_kept_once() {
    let scratch = Scratch::new("way-once");
    let source = scratch.folder("src");
    support::tree::write(&source.join("a"), &Rand(3).bytes(300_000));
    fs::write(source.join("b"), "2").unwrap();
    let dest = scratch.at("dest");
    let how = ["--no-encryption", "--blocksize=10kb"];
    let words = ["backup", text(&dest), text(&source)];
    scratch.run(&[&words[..], &how].concat()).code(&[0]);
    let volume = support::volumes(&dest, "dblock").remove(0);
    let mut bytes = fs::read(&volume).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&volume, bytes).unwrap();
    let out = scratch.at("out");
    for _ in 0..3 {
        restore(&scratch, &[]).code(&[3]).says("the rest is in a.");
        assert_eq!(names(&out).len(), 2, "{:?}", names(&out));
    }
    let kept = names(&out)
        .into_iter()
        .find(|n| n.to_string_lossy().contains("incomplete"));
    fs::write(out.join(kept.unwrap()), vec![0; 300_000]).unwrap();
    restore(&scratch, &[]).code(&[3]).says("(0)");
    assert_eq!(names(&out).len(), 3, "{:?}", names(&out));
}

#[test]
fn a_folder_in_the_place_of_a_file_or_link() {
    let scratch = Scratch::new("way-folder");
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let list = [
        maker.file(&mut volume, "/s/f.txt", b"1", Some(META)),
        maker.symlink(&mut volume, "/s/l", "f.txt"),
    ];
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
    let out = scratch.at("out");
    let there = |full: bool| {
        let _ = fs::remove_dir_all(&out);
        for name in ["f.txt", "l"] {
            fs::create_dir_all(out.join(name)).unwrap();
            if full {
                fs::write(out.join(name).join("mine"), "m").unwrap();
            }
        }
    };
    let beside = "f.2024-01-31.txt=1";
    for (options, full, code, want) in [
        (
            &[][..],
            false,
            0,
            format!("{beside} f.txt/ l.2024-01-31=-> f.txt l/"),
        ),
        (&["--overwrite"], false, 0, "f.txt=1 l=-> f.txt".to_owned()),
        (&["--existing=skip"], false, 0, "f.txt/ l/".to_owned()),
        (
            &[],
            true,
            0,
            format!("{beside} f.txt/ f.txt/mine=m l.2024-01-31=-> f.txt l/ l/mine=m"),
        ),
        (
            &["--overwrite"],
            true,
            2,
            format!("{beside} f.txt/ f.txt/mine=m l.2024-01-31=-> f.txt l/ l/mine=m"),
        ),
    ] {
        there(full);
        restore(&scratch, options).code(&[code]);
        assert_eq!(shows(&out), want, "{options:?} {full}");
        restore(&scratch, options).code(&[code]);
        assert_eq!(shows(&out), want, "{options:?} {full}, again");
    }
}

/// All blocks are right, the whole file is not what the version lists.
#[test]
fn nothing_is_replaced_by_a_file_that_is_not_what_the_version_lists() {
    let scratch = Scratch::new("way-wrong");
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let data = Rand(1).bytes(3000);
    let file = maker.file(&mut volume, "/s/f", &data, Some(META));
    let wrong = file.replacen(
        &maker.file_hash.b64(&data),
        &maker.file_hash.b64(b"another"),
        1,
    );
    assert_ne!(file, wrong);
    let list = [wrong, maker.file(&mut volume, "/s/g", b"good", Some(META))];
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
    let out = scratch.at("out");
    for option in [
        "--existing=overwrite",
        "--existing=newer",
        "--existing=rename",
    ] {
        for there in [Some("file"), Some("folder"), Some("link"), None] {
            let _ = fs::remove_dir_all(&out);
            fs::create_dir(&out).unwrap();
            let path = out.join("f");
            match there {
                Some("file") => fs::write(&path, "mine").unwrap(),
                Some("folder") => fs::create_dir(&path).unwrap(),
                Some(_) => symlink("mine", &path).unwrap(),
                None => {}
            }
            if there == Some("file") {
                let file = fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let before = fs::symlink_metadata(&path).ok().map(|m| m.ino());
            // With a link or a folder it goes by their time, which is now.
            if option == "--existing=newer" && matches!(there, Some("folder" | "link")) {
                restore(&scratch, &[option]).code(&[0]);
                continue;
            }
            let ran = restore(&scratch, &[option])
                .code(&[3])
                .says("does not have the hash");
            assert_eq!(
                fs::symlink_metadata(&path).ok().map(|m| m.ino()),
                before,
                "{option} {there:?}"
            );
            let kept = names(&out)
                .into_iter()
                .find(|n| n.to_string_lossy().contains(".incomplete"));
            assert_eq!(fs::read(out.join(kept.unwrap())).unwrap(), data);
            assert!(!ran.out.contains("not restored"), "{}", ran.out);
            assert_eq!(fs::read(out.join("g")).unwrap(), b"good");
        }
    }
}

#[test]
fn names_longer_than_the_file_system_takes() {
    let scratch = Scratch::new("way-long");
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let long = "漢".repeat(120);
    let deep = "深".repeat(200);
    let files = [
        (format!("E:\\{long}1.txt"), "one"),
        (format!("E:\\{long}2.txt"), "two"),
        (format!("E:\\{deep}\\inner.txt"), "three"),
        (format!("E:\\{deep}\\{long}.tar.gz"), "four"),
        (format!("E:\\unlisted{deep}\\x"), "five"),
        (format!("E:\\{}", "x".repeat(255)), "six"),
    ];
    let mut list = vec![
        maker.folder(&mut volume, "E:\\", None),
        maker.folder(&mut volume, &format!("E:\\{deep}\\"), None),
    ];
    for (path, data) in &files {
        list.push(maker.file(&mut volume, path, data.as_bytes(), None));
    }
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
    let ran = restore(&scratch, &[])
        .code(&[2])
        .says("longer than the file system takes");
    assert!(!ran.out.contains("another name"), "{}", ran.out);
    let out = scratch.at("out");
    let have = tree(&out);
    let of = |data: &str| {
        have.iter()
            .find(|(_, d)| *d == data)
            .map(|(k, _)| k.clone())
            .unwrap()
    };
    for (data, end) in [
        ("one", ".txt"),
        ("two", ".txt"),
        ("three", "/inner.txt"),
        ("four", ".gz"),
        ("five", "/x"),
        ("six", "xx"),
    ] {
        assert!(of(data).ends_with(end), "{}", of(data));
    }
    assert_ne!(of("one"), of("two"));
    // The same names again: all is there.
    let again = restore(&scratch, &[]).code(&[2]);
    assert_eq!(tree(&out), have);
    again.says("6 there already");
    // A dated name of a long one fits, too.
    fs::write(out.join(of("one")), "mine").unwrap();
    restore(&scratch, &[]).code(&[2]);
    assert_eq!(tree(&out).values().filter(|d| *d == "one").count(), 1);
}

#[test]
fn files_that_a_killed_restore_left_go() {
    let scratch = Scratch::new("way-killed");
    let (source, dest, out) = (
        scratch.folder("src/in"),
        scratch.at("dest"),
        scratch.at("out"),
    );
    // All begin with the same block, so they are begun together.
    let shared = Rand(60).bytes(10 << 10);
    for i in 0..60 {
        let data = [shared.clone(), Rand(i).bytes(40_000)].concat();
        fs::write(source.join(format!("f{i}")), data).unwrap();
    }
    let src = scratch.at("src");
    scratch
        .run(&[
            "backup",
            text(&dest),
            text(&src),
            "--no-encryption",
            "--blocksize=10kb",
            "--dblock-size=1mb",
        ])
        .code(&[0]);
    let target = format!("--restore-path={}", text(&out));
    let mut child = scratch.start(&["restore", text(&dest), &target, "--throttle-download=2mb"]);
    let left = |folder: &Path| match folder.is_dir() {
        true => names(folder)
            .iter()
            .filter(|n| n.to_string_lossy().starts_with(".duplet-restore-"))
            .count(),
        false => 0,
    };
    while left(&out.join("in")) < 10 {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left(&out.join("in")) >= 10);
    // Old ones of an earlier release and of elsewhere; a young one; and what is the user's.
    let old = SystemTime::now() - Duration::from_secs(2 * 86_400);
    let age = |name: &str| {
        let path = out.join(name);
        fs::write(&path, "x").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
    };
    age(".duplet-restore-0123456789abcdef-1f");
    age("in/.duplet-restore-000000010000000200000003-7-8-0123abcd-0");
    fs::write(out.join(".duplet-restore-0123456789abcdef-2"), "x").unwrap();
    let mine = [
        ".duplet-restore-notes.txt",
        "in/.duplet-restore-0123456789abcdef",
        ".duplet-restore-0123456789abcdef-1.bak",
    ];
    mine.iter().for_each(|n| age(n));
    // No backup takes them, of a dead run or of one that is still at it.
    let second = scratch.at("second");
    scratch
        .run(&["backup", text(&second), text(&out), "--no-encryption"])
        .code(&[0]);
    let listed = scratch.run(&["list", text(&second), "0"]).code(&[0]);
    for name in mine {
        assert!(listed.out.contains(name), "{name}: {}", listed.out);
    }
    assert_eq!(listed.out.matches(".duplet-restore").count(), mine.len());
    restore(&scratch, &["--dry-run"]).code(&[0]);
    assert!(left(&out.join("in")) >= 10, "a dry run removes nothing");
    restore(&scratch, &[])
        .code(&[0])
        .says("that ended restores left");
    let have = tree(&out)
        .into_keys()
        .filter(|k| k.contains(".duplet"))
        .collect::<Vec<_>>();
    let mut want = mine.to_vec();
    want.push(".duplet-restore-0123456789abcdef-2");
    want.sort_unstable();
    assert_eq!(have, want);
    assert_eq!(names(&out.join("in")).len(), 61);
    // Folders that the killed run made have their mode now.
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&out.join("in")), mode(&source));
}

/// A way through a folder that is a link is none, at any depth.
#[test]
fn no_link_on_the_way_is_followed() {
    let scratch = Scratch::new("way-links");
    let source = scratch.folder("src");
    for folder in ["a", "a/b", "a/b/c", "d/e/f/g"] {
        fs::create_dir_all(source.join(folder)).unwrap();
        fs::write(source.join(folder).join("file"), folder).unwrap();
    }
    let dest = scratch.at("dest");
    let words = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&words).code(&[0]);
    let outside = scratch.folder("outside/b/c");
    for (at, to) in [
        ("a/b/c", "outside/b/c"),
        ("a/b", "outside/b"),
        ("a", "outside"),
        ("d/e/f/g", "nowhere"),
    ] {
        let out = scratch.at("out");
        let _ = fs::remove_dir_all(&out);
        let link = out.join(at);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(scratch.at(to), &link).unwrap();
        let ran = restore(&scratch, &["--overwrite"]);
        ran.sane();
        assert!(names(&outside).is_empty(), "{at}: {}", ran.all());
        let all = tree(&scratch.at("outside"));
        assert!(all.keys().all(|name| !name.contains("file")), "{all:?}");
        assert!(!scratch.at("nowhere").exists(), "{}", ran.all());
        // What does not go through the link is there.
        let (one, other) = match at.starts_with('a') {
            true => ("d/e/f/g/file", "d/e/f/g"),
            false => ("a/b/c/file", "a/b/c"),
        };
        assert_eq!(fs::read_to_string(out.join(one)).unwrap(), other);
    }
}

/// A number of a JSON report.
fn number(out: &str, key: &str) -> u64 {
    let rest = out.split(&format!("\"{key}\":")).nth(1).unwrap();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
    rest[..end].parse().unwrap()
}

const COUNTS: [&str; 5] = [
    "RestoredFiles",
    "RestoredSymlinks",
    "UnmodifiedFiles",
    "SkippedFiles",
    "EntriesBeside",
];

#[test]
fn a_dry_run_counts_links_as_a_restore_does() {
    use std::os::unix::fs::symlink;
    for existing in ["overwrite", "rename", "newer", "skip"] {
        let scratch = Scratch::new("way-links");
        let source = scratch.folder("src");
        fs::write(source.join("a"), "1").unwrap();
        for (name, to) in [("right", "a"), ("other", "a"), ("gone", "a"), ("file", "a")] {
            symlink(to, source.join(name)).unwrap();
        }
        let dest = scratch.at("dest");
        scratch
            .run(&["backup", text(&dest), text(&source), "--no-encryption"])
            .code(&[0]);
        let out = scratch.at("out");
        restore(&scratch, &[]).code(&[0]);
        for name in ["other", "gone", "file"] {
            fs::remove_file(out.join(name)).unwrap();
        }
        symlink("b", out.join("other")).unwrap();
        fs::write(out.join("file"), "mine").unwrap();
        let option = format!("--existing={existing}");
        let told = restore(&scratch, &[&option, "--dry-run"]).code(&[0]);
        assert!(!told.out.contains("out/right"), "{}", told.out);
        let dry = restore(&scratch, &[&option, "--dry-run", "--json"]).code(&[0]);
        let real = restore(&scratch, &[&option, "--json"]).code(&[0]);
        for key in COUNTS {
            let (a, b) = (number(&dry.out, key), number(&real.out, key));
            assert_eq!(a, b, "{existing} {key}\n{}\n{}", dry.out, real.out);
        }
        let again = restore(&scratch, &[&option, "--dry-run", "--json"]).code(&[0]);
        assert_eq!(number(&again.out, "RestoredSymlinks"), 0, "{existing}");
    }
}

#[test]
fn a_folder_with_another_name_is_counted_once() {
    let scratch = Scratch::new("way-once");
    folders(&scratch);
    let out = scratch.folder("out");
    fs::write(out.join("y"), "mine").unwrap();
    let dry = restore(&scratch, &["--dry-run", "--json"]).code(&[0]);
    let ran = restore(&scratch, &["--json"]).code(&[0]);
    for ran in [dry, ran] {
        assert_eq!(number(&ran.out, "EntriesBeside"), 1, "{}", ran.out);
    }
}
