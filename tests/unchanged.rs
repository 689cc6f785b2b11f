//! What is not read again is proven unchanged: every way to change a file without showing it is found, and a tree that did
//! not change costs no reading.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::fs::{self, FileTimes, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{Ran, Scratch, text};

/// A change lies so far before the next run that its time proves something.
fn let_time_pass() {
    sleep(Duration::from_millis(2300));
}

fn backup(scratch: &Scratch, dest: &str, more: &[&str]) -> Ran {
    let (dest, source) = (scratch.at(dest), scratch.at("src"));
    let words = [
        "backup",
        text(&dest),
        text(&source),
        "--json",
        "--no-encryption",
    ];
    scratch.run(&[&words, more].concat())
}

/// How many files a run opened.
fn opened(ran: &Ran) -> u64 {
    ran.json()["OpenedFiles"].as_u64().unwrap()
}

/// The newest version's `name` as it is restored.
fn stored(scratch: &Scratch, dest: &str, name: &str) -> Vec<u8> {
    let out = scratch.at("out");
    let _ = fs::remove_dir_all(&out);
    let target = format!("--restore-path={}", text(&out));
    scratch
        .run(&["restore", text(&scratch.at(dest)), &target])
        .code(&[0]);
    fs::read(out.join(name)).unwrap()
}

fn set_time(path: &Path, time: SystemTime) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn time_of(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// `n` files of one size, of a time long ago.
fn files(scratch: &Scratch, n: usize) -> Vec<PathBuf> {
    let source = scratch.folder("src");
    let of = |i: usize| {
        let path = source.join(format!("f{i}"));
        fs::write(&path, format!("first content {i}")).unwrap();
        set_time(
            &path,
            UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789),
        );
        path
    };
    (0..n).map(of).collect()
}

/// Gives a file other content.
type Change = fn(&Path, &str);

/// Ways to change a file so that size and time stay.
const WAYS: [(&str, Change); 6] = [
    ("in place, time set back", |path, content| {
        let time = time_of(path);
        fs::write(path, content).unwrap();
        set_time(path, time);
    }),
    ("written over without being cut", |path, content| {
        let time = time_of(path);
        use std::os::unix::fs::FileExt;
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(content.as_bytes(), 0).unwrap();
        set_time(path, time);
    }),
    ("another file renamed over it", |path, content| {
        let other = path.with_extension("new");
        fs::write(&other, content).unwrap();
        set_time(&other, time_of(path));
        fs::rename(&other, path).unwrap();
    }),
    ("removed and made again", |path, content| {
        let time = time_of(path);
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
        set_time(path, time);
    }),
    ("exchanged with another name", |path, content| {
        let (time, aside) = (time_of(path), path.with_extension("aside"));
        fs::hard_link(path, &aside).unwrap();
        fs::write(path.with_extension("b"), content).unwrap();
        fs::rename(path.with_extension("b"), path).unwrap();
        set_time(path, time);
        fs::remove_file(aside).unwrap();
    }),
    ("appended and cut", |path, content| {
        let time = time_of(path);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        file.set_len(0).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        set_time(path, time);
    }),
];

#[test]
fn a_change_that_keeps_size_and_time_is_found_and_nothing_else_is_read() {
    let scratch = Scratch::new("hidden");
    let all = files(&scratch, WAYS.len() + 3);
    let_time_pass();
    let modes: [(&str, &[&str]); 3] = [
        ("plain", &[]),
        ("bare", &["--skip-metadata"]),
        ("asks", &["--disable-backup-exclusion-xattr"]),
    ];
    for (dest, more) in modes {
        backup(&scratch, dest, more).code(&[0]);
        let ran = backup(&scratch, dest, more).code(&[1]);
        assert_eq!(opened(&ran), 0, "{dest}: nothing changed");
    }
    for (i, (how, change)) in WAYS.iter().enumerate() {
        let content = format!("other content {i}");
        change(&all[i], &content);
        for (dest, more) in modes {
            let ran = backup(&scratch, dest, more).code(&[0]);
            // Those of the rounds before may be too young to prove anything.
            let n = opened(&ran);
            assert!(
                (1..=i as u64 + 1).contains(&n),
                "{how}, {dest}: {}",
                ran.out
            );
            let name = format!("f{i}");
            let is = stored(&scratch, dest, &name);
            assert_eq!(is, content.as_bytes(), "{how}, {dest}");
        }
    }
}

/// Files that are as young as the run that read them are read once more, and then no more, although no version is added.
#[test]
fn what_is_too_young_to_prove_anything_is_read_until_it_is_old_enough() {
    let scratch = Scratch::new("young");
    files(&scratch, 4);
    fs::create_dir(scratch.at("src/folder")).unwrap();
    backup(&scratch, "dest", &[]).code(&[0]);
    let_time_pass();
    assert_eq!(opened(&backup(&scratch, "dest", &[]).code(&[1])), 4);
    for _ in 0..2 {
        assert_eq!(opened(&backup(&scratch, "dest", &[]).code(&[1])), 0);
    }
    // Without the cache the metadata, which hold the time to 100 ns, have to do.
    let ran = backup(&scratch, "dest", &["--no-cache"]).code(&[1]);
    assert_eq!(opened(&ran), 0);
}

/// Without metadata and without a cache size and seconds are all there is, and a file of the version's second is read.
#[test]
fn without_metadata_size_and_time_decide() {
    let scratch = Scratch::new("bare");
    let more = ["--skip-metadata", "--no-cache"];
    let all = files(&scratch, 5);
    backup(&scratch, "dest", &more).code(&[0]);
    assert_eq!(opened(&backup(&scratch, "dest", &more).code(&[1])), 0);
    fs::write(&all[0], "other content 0").unwrap();
    let ran = backup(&scratch, "dest", &more).code(&[0]);
    assert_eq!(opened(&ran), 1, "a new time: {}", ran.out);
    let time = time_of(&all[1]);
    fs::write(&all[1], "longer content than before").unwrap();
    set_time(&all[1], time);
    let ran = backup(&scratch, "dest", &more).code(&[0]);
    // The first one may be of the last version's second.
    assert!((1..=2).contains(&opened(&ran)), "a new size: {}", ran.out);
    set_time(&all[2], UNIX_EPOCH + Duration::from_secs(1_500_000_000));
    let ran = backup(&scratch, "dest", &more).code(&[0]);
    assert!(
        (1..=2).contains(&opened(&ran)),
        "an older time: {}",
        ran.out
    );
    set_time(&all[3], UNIX_EPOCH + Duration::from_secs(4_000_000_000));
    for _ in 0..2 {
        let ran = backup(&scratch, "dest", &more).code(&[0, 1]);
        assert!(
            (1..=2).contains(&opened(&ran)),
            "a time to come: {}",
            ran.out
        );
    }
    assert_eq!(stored(&scratch, "dest", "f0"), b"other content 0");
    assert_eq!(
        stored(&scratch, "dest", "f1"),
        b"longer content than before"
    );
}

/// `--check-filetime-only`: the modification time, whatever else; to the nanosecond.
#[test]
fn the_time_alone_is_compared_within_the_second() {
    let scratch = Scratch::new("time-only");
    let all = files(&scratch, 5);
    let more = ["--check-filetime-only"];
    for (dest, cache) in [
        ("with", &more[..]),
        ("without", &["--check-filetime-only", "--no-cache"]),
    ] {
        backup(&scratch, dest, cache).code(&[0]);
        assert_eq!(
            opened(&backup(&scratch, dest, cache).code(&[1])),
            0,
            "{dest}"
        );
    }
    let within = |n| UNIX_EPOCH + Duration::new(1_600_000_000, n);
    fs::write(&all[0], "other content 0").unwrap();
    set_time(&all[0], within(223_456_789));
    fs::write(&all[1], "other content 1, longer").unwrap();
    set_time(&all[1], within(123_456_789));
    fs::set_permissions(&all[2], fs::Permissions::from_mode(0o600)).unwrap();
    let ran = backup(&scratch, "with", &more).code(&[0]);
    assert_eq!(opened(&ran), 1, "{}", ran.out);
    assert_eq!(ran.json()["ModifiedFiles"].as_u64(), Some(2), "{}", ran.out);
    assert_eq!(stored(&scratch, "with", "f0"), b"other content 0");
    assert_eq!(stored(&scratch, "with", "f1"), b"first content 1");
    // Without what the cache remembers a file whose metadata differ may have another time.
    let ran = backup(
        &scratch,
        "without",
        &["--check-filetime-only", "--no-cache"],
    )
    .code(&[0]);
    assert_eq!(opened(&ran), 2, "{}", ran.out);
    assert_eq!(stored(&scratch, "without", "f0"), b"other content 0");
}

#[test]
fn links_keep_their_target_without_metadata() {
    let scratch = Scratch::new("bare-links");
    let source = scratch.folder("src");
    scratch.folder("src/folder");
    for (name, target) in [
        ("l", "somewhere"),
        ("to-folder", "folder"),
        ("odd", "a \"b\"\n/\u{e9}"),
    ] {
        symlink(target, source.join(name)).unwrap();
    }
    let bare = ["--skip-metadata"];
    let restored = |more: &[&str]| {
        let out = scratch.at("out");
        let _ = fs::remove_dir_all(&out);
        let (dest, target) = (scratch.at("dest"), format!("--restore-path={}", text(&out)));
        let words = ["restore", text(&dest), &target];
        scratch.run(&[&words, more].concat()).code(&[0]);
        let link = |n| fs::read_link(out.join(n)).unwrap().into_os_string();
        ["l", "to-folder", "odd"].map(link)
    };
    let kept = ["somewhere", "folder", "a \"b\"\n/\u{e9}"];
    backup(&scratch, "dest", &bare).code(&[0]);
    assert_eq!(restored(&[]), kept);
    backup(&scratch, "dest", &bare).code(&[1]);
    backup(&scratch, "dest", &["--skip-metadata", "--no-cache"]).code(&[1]);
    fs::remove_file(source.join("l")).unwrap();
    symlink("elsewhere", source.join("l")).unwrap();
    let report = backup(&scratch, "dest", &bare).code(&[0]).json();
    assert_eq!(report["ModifiedSymlinks"].as_u64(), Some(1), "{report}");
    assert_eq!(restored(&[])[0], "elsewhere");
    // With metadata again: every entry gets its own back, once.
    let report = backup(&scratch, "dest", &[]).code(&[0]).json();
    assert_eq!(report["ModifiedSymlinks"].as_u64(), Some(3), "{report}");
    backup(&scratch, "dest", &[]).code(&[1]);
    let_time_pass();
    backup(&scratch, "dest", &[]).code(&[1]);
    backup(&scratch, "dest", &[]).code(&[1]);
    // A restore that skips metadata makes links, but not their times.
    assert_eq!(restored(&bare), ["elsewhere", kept[1], kept[2]]);
    assert_eq!(
        restored(&["--skip-metadata", "--restore-permissions"])[2],
        kept[2]
    );
    let report = backup(&scratch, "dest", &bare).code(&[0]).json();
    assert_eq!(report["ModifiedSymlinks"].as_u64(), Some(3), "{report}");
    assert_eq!(restored(&[])[1], "folder");
}

/// What is known of the files outlasts the version that it was noted with, whatever took that away; and no more is believed.
#[test]
fn a_change_that_keeps_size_and_time_is_found_after_the_newest_version_went() {
    let (_, change) = WAYS[0];
    for (act, words, read) in [
        // The file that the version before had otherwise is read.
        ("delete", ["--version=0", "--no-auto-compact"], 2),
        // The file that was taken out is read, too.
        ("purge", ["f1", "--no-auto-compact"], 2),
        ("purge", ["f1", "--version=0"], 2),
    ] {
        let scratch = Scratch::new("outlasts");
        let all = files(&scratch, 4);
        let_time_pass();
        backup(&scratch, "dest", &[]).code(&[0]);
        fs::write(&all[2], "second").unwrap();
        let_time_pass();
        backup(&scratch, "dest", &[]).code(&[0]);
        change(&all[0], "other content 0");
        let what = format!("{act} {words:?}");
        let dest = scratch.at("dest");
        let args = [act, text(&dest), words[0], words[1], "--no-encryption"];
        scratch.run(&args).code(&[0]);
        let ran = backup(&scratch, "dest", &[]).code(&[0]);
        assert_eq!(opened(&ran), read, "{what}: {}", ran.out);
        assert_eq!(stored(&scratch, "dest", "f0"), b"other content 0", "{what}");
        assert_eq!(stored(&scratch, "dest", "f2"), b"second", "{what}");
        let_time_pass();
        // The changed file is old enough only now.
        assert!(
            opened(&backup(&scratch, "dest", &[]).code(&[1])) <= 2,
            "{what}"
        );
        assert_eq!(
            opened(&backup(&scratch, "dest", &[]).code(&[1])),
            0,
            "{what}"
        );
    }
}
