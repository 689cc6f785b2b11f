//! Restores that are stopped, only tried, or meet something in their way.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::{Ran, Rand, Scratch, names, text};

/// A plain backup of 300 files in many volumes. Every other begins with the same block: those are begun together and get their
/// names in the end, the rest are finished one by one.
fn made(scratch: &Scratch) {
    let source = scratch.folder("src");
    let mut rand = Rand(3);
    let shared = rand.bytes(10 << 10);
    for i in 0..300 {
        let mut data = rand.bytes(50_000);
        if i % 2 == 1 {
            data[..shared.len()].copy_from_slice(&shared);
        }
        fs::write(source.join(format!("f{i:03}")), data).unwrap();
    }
    scratch
        .run(&[
            "backup",
            text(&scratch.at("dest")),
            text(&source),
            "--no-encryption",
            "--blocksize=10kb",
            "--dblock-size=1mb",
        ])
        .code(&[0]);
}

fn restore(scratch: &Scratch, more: &[&str]) -> Ran {
    let target = format!("--restore-path={}", text(&scratch.at("out")));
    scratch.run(&[&["restore", text(&scratch.at("dest")), &target], more].concat())
}

fn begun(folder: &Path) -> usize {
    let hidden = |n: &std::ffi::OsString| n.to_string_lossy().starts_with(".duplet-restore");
    names(folder).iter().filter(|n| hidden(n)).count()
}

/// No file may grow to half of a volume, and each is restored from a folder of this machine; not where it comes at a limited pace.
#[test]
fn volumes_in_a_folder_are_read_where_they_lie() {
    for how in ["--no-encryption", "--passphrase=where it lies"] {
        let scratch = Scratch::new("restore-lies");
        let source = scratch.folder("src");
        for n in 0..20 {
            fs::write(source.join(format!("f{n}")), Rand(n).bytes(300_000)).unwrap();
        }
        let dest = scratch.at("dest");
        let backup = ["backup", text(&dest), text(&source), how];
        let sizes = ["--blocksize=50kb", "--dblock-size=3mb"];
        scratch.run(&[&backup[..], &sizes].concat()).code(&[0]);
        let target = format!("--restore-path={}", text(&scratch.at("out")));
        let args = ["restore", text(&dest), &target, how];
        let paced = [&args[..], &["--throttle-download=1gb"]].concat();
        let ran = scratch.run_within(1500, &paced).code(&[100]);
        ran.says("temporary file");
        scratch.run_within(1500, &args).code(&[0]);
        for n in 0..20 {
            let name = format!("f{n}");
            let read = |folder: &Path| fs::read(folder.join(&name)).unwrap();
            assert!(read(&source) == read(&scratch.at("out")), "{name}");
        }
        // For a damaged one there is no room: it costs no other, and no more than the file that the damage is in.
        let volume = support::volumes(&dest, "dblock").remove(0);
        let mut bytes = fs::read(&volume).unwrap();
        bytes[500_000] ^= 1;
        fs::write(&volume, bytes).unwrap();
        fs::remove_dir_all(scratch.at("out")).unwrap();
        let ran = scratch.run_within(1500, &args).code(&[3]);
        ran.says("is damaged (its hash differs")
            .says("1 incomplete");
        let whole = |n: &u64| {
            let name = format!("f{n}");
            fs::read(scratch.at("out").join(&name)).ok() == fs::read(source.join(name)).ok()
        };
        assert_eq!((0..20).filter(whole).count(), 19);
    }
}

#[test]
fn a_stopped_restore_keeps_what_is_whole_and_nothing_else() {
    let scratch = Scratch::new("restore-stop");
    made(&scratch);
    let out = scratch.at("out");
    let target = format!("--restore-path={}", text(&out));
    for signals in [1, 2] {
        let _ = fs::remove_dir_all(&out);
        let dest = scratch.at("dest");
        let slow = "--throttle-download=2mb";
        let mut child = scratch.start(&["restore", text(&dest), &target, slow]);
        while begun(&out) < 60 || names(&out).len() < begun(&out) + 5 {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            std::thread::yield_now();
        }
        for _ in 0..signals {
            terminate(&child);
        }
        assert_eq!(child.wait().unwrap().code(), Some(50));
        assert_eq!(begun(&out), 0, "{:?}", names(&out));
        let whole = names(&out);
        assert!(whole.len() >= 5, "what had its name is kept");
        assert!(whole.len() < 300, "{}", whole.len());
        for name in whole {
            let same = fs::read(out.join(&name)).unwrap()
                == fs::read(scratch.at("src").join(&name)).unwrap();
            assert!(same, "{name:?} is whole");
        }
    }
    // The next run only brings what is missing.
    restore(&scratch, &[]).code(&[0]);
    assert_eq!(names(&out).len(), 300);
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn a_dry_run_removes_nothing_that_is_in_the_way() {
    let scratch = Scratch::new("restore-dry");
    made(&scratch);
    let way = scratch.folder("out/f001");
    restore(&scratch, &["--overwrite", "--dry-run"]).code(&[0]);
    assert!(way.is_dir());
    restore(&scratch, &["--overwrite"]).code(&[0]);
    assert!(way.is_file());
    fs::remove_file(&way).unwrap();
    fs::create_dir_all(way.join("mine")).unwrap();
    // A folder with something in it stays, and the file is restored beside it.
    restore(&scratch, &["--overwrite"]).code(&[2]).says("f001");
    assert!(way.join("mine").is_dir());
    assert_eq!(names(&scratch.at("out")).len(), 301);
    assert_eq!(begun(&scratch.at("out")), 0);
}

#[test]
fn what_cannot_be_written_here_is_not_called_lost() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let scratch = Scratch::new("restore-denied");
    let (source, dest, out) = (
        scratch.folder("src"),
        scratch.at("dest"),
        scratch.folder("out"),
    );
    for (name, seed) in [("f", 1), ("g", 2), ("h", 3)] {
        fs::write(source.join(name), Rand(seed).bytes(200_000)).unwrap();
    }
    let words = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--blocksize=10kb",
    ];
    scratch.run(&words).code(&[0]);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&out, 0o555);
    mode(&scratch.at("tmp"), 0o777);
    // Another user is to read them.
    mode(&dest, 0o755);
    for name in names(&dest) {
        mode(&dest.join(name), 0o644);
    }
    let target = format!("--restore-path={}", text(&out));
    let run = || {
        let mut command = scratch.command(&["restore", text(&dest), &target, "--no-cache"]);
        if support::is_root() {
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    let Ok(output) = run() else {
        // Another user cannot even reach the program here.
        assert!(support::is_root());
        return;
    };
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("permission denied"), "{err}");
    assert!(!err.contains("lost"), "{err}");
    assert_eq!(err.matches("cannot write").count(), 3, "each once: {err}");
    assert!(names(&out).is_empty());
    // Into somebody else's folder: all is there, only that folder keeps its time.
    mode(&out, 0o777);
    let output = run().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    let code = if support::is_root() { 2 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{err}");
    assert_eq!(names(&out), ["f", "g", "h"]);
}

fn terminate(child: &std::process::Child) {
    let id = child.id().to_string();
    support::tool(
        "kill",
        &["-TERM".as_ref(), id.as_ref()],
        "part of any system",
    );
}

#[test]
fn a_stop_while_files_get_their_names_keeps_them_all() {
    let scratch = Scratch::new("restore-stop-late");
    let source = scratch.folder("src");
    // Of the same content, with metadata of their own, all but the first are named in the end.
    for i in 0..6000 {
        let mut file = fs::File::create(source.join(format!("f{i:04}"))).unwrap();
        write!(file, "text {}", i % 7).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + i);
        file.set_modified(time).unwrap();
    }
    let (dest, out) = (scratch.at("dest"), scratch.at("out"));
    let words = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&words).code(&[0]);
    let target = format!("--restore-path={}", text(&out));
    // On a busy machine it may be through before the signal comes.
    let stopped = (0..20).any(|_| {
        let _ = fs::remove_dir_all(&out);
        let mut child = scratch.start(&["restore", text(&dest), &target]);
        while !out.join("f0010").exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if child.try_wait().unwrap().is_none() {
            terminate(&child);
        }
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 50)), "{code:?}");
        code == Some(50)
    });
    assert!(stopped, "no signal came in time");
    assert_eq!(begun(&out), 0);
    assert_eq!(names(&out).len(), 6000);
    for i in [0, 2999, 5999] {
        let have = fs::read_to_string(out.join(format!("f{i:04}"))).unwrap();
        assert_eq!(have, format!("text {}", i % 7));
    }
}

/// Reading has nothing to bring to a good end: one signal is enough, also in the middle of a volume.
#[test]
fn one_stop_ends_a_download() {
    use std::io::{BufRead, BufReader, Read};
    let scratch = Scratch::new("restore-stop-download");
    made(&scratch);
    let dest = scratch.at("dest");
    let slow = "--throttle-download=1mb";
    let words = ["verify", text(&dest), "all", "-v", "--no-cache", slow];
    let mut child = scratch
        .command(&words)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    // The signals are caught from the first line on.
    err.read_line(&mut String::new()).unwrap();
    terminate(&child);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(50), "{rest}");
}

#[test]
fn a_name_with_a_date_may_be_taken_by_a_file_of_the_backup() {
    let scratch = Scratch::new("restore-dated");
    let source = scratch.folder("src");
    let (dest, out) = (scratch.at("dest"), scratch.folder("out"));
    fs::write(source.join("x.txt"), "one").unwrap();
    let words = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&words).code(&[0]);
    fs::write(out.join("x.txt"), "mine").unwrap();
    restore(&scratch, &[]).code(&[0]);
    let dated = names(&out).into_iter().find(|n| n != "x.txt").unwrap();
    // The same name is in the backup, and not yet in the folder.
    fs::write(source.join(&dated), "two").unwrap();
    scratch.run(&words).code(&[0]);
    fs::remove_file(out.join(&dated)).unwrap();
    restore(&scratch, &[]).code(&[0]);
    let mut have: Vec<String> = names(&out)
        .iter()
        .map(|n| fs::read_to_string(out.join(n)).unwrap())
        .collect();
    have.sort();
    assert_eq!(have, ["mine", "one", "two"]);
}

#[test]
fn an_entry_that_loses_data_and_metadata_counts_once() {
    let scratch = Scratch::new("restore-lost-count");
    let source = scratch.folder("src");
    for i in 0..130 {
        fs::write(source.join(format!("f{i:03}")), format!("text {i}")).unwrap();
    }
    let dest = scratch.at("dest");
    let words = ["backup", text(&dest), text(&source), "--no-encryption"];
    scratch.run(&words).code(&[0]);
    fs::remove_file(&support::volumes(&dest, "dblock")[0]).unwrap();
    let report = restore(&scratch, &["--json"]).code(&[3, 100]).json();
    // The files and their folder.
    assert_eq!(report["IncompleteEntries"].as_u64(), Some(131), "{report}");
    assert_eq!(report["RestoredFiles"].as_u64(), Some(0), "{report}");
}
