//! Backups that meet trouble: stops at any moment, stored data that is gone, files that cannot be read.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use support::{Ran, Rand, Scratch, is_root, text, volumes};

const PASSPHRASE: [(&str, &str); 1] = [("PASSPHRASE", "abc")];

fn backup(scratch: &Scratch, source: &Path, more: &[&str]) -> Ran {
    let dest = scratch.at("dest");
    let words = ["backup", text(&dest), text(source), "--dblock-size=1mb"];
    scratch.run_env(&[&words, more].concat(), &PASSPHRASE)
}

/// Restores the newest version into a new folder and compares a file with the source.
fn restores(scratch: &Scratch, source: &Path, name: &str) {
    let out = scratch.folder("out");
    let target = format!("--restore-path={}", text(&out));
    scratch
        .run_env(
            &["restore", text(&scratch.at("dest")), &target],
            &PASSPHRASE,
        )
        .code(&[0]);
    let same = fs::read(out.join(name)).unwrap() == fs::read(source.join(name)).unwrap();
    assert!(same, "{name} is restored as it was");
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn a_stop_signal_at_any_moment_leaves_a_partial_version() {
    let scratch = Scratch::new("backup-stop");
    let source = scratch.folder("src");
    let mut rand = Rand(7);
    for i in 0..9000 {
        fs::write(source.join(format!("f{i:05}")), rand.bytes(900)).unwrap();
    }
    let dest = scratch.at("dest");
    for round in 0..6 {
        let _ = fs::remove_dir_all(&dest);
        let mut child = scratch
            .command(&[
                "backup",
                text(&dest),
                text(&source),
                "--dblock-size=1mb",
                "--blocksize=1kb",
                "--no-encryption",
                "--no-cache",
                // Seconds of uploads are still to come whenever the signal is sent, on a busy machine too.
                "--throttle-upload=2mb",
            ])
            .spawn()
            .unwrap();
        while volumes(&dest, "dblock").len() <= round % 3 {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            std::thread::yield_now();
        }
        let id = child.id().to_string();
        support::tool(
            "kill",
            // A background job inherits that SIGINT is ignored.
            &["-TERM".as_ref(), id.as_ref()],
            "part of any system",
        );
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(50), "round {round}: {err}");
        assert_eq!(volumes(&dest, "dlist").len(), 1, "round {round}: {err}");
    }
}

/// A source whose large file lies in the first volumes and whose last file comes long after.
fn two_volumes(scratch: &Scratch) -> std::path::PathBuf {
    let source = scratch.folder("src");
    fs::write(source.join("large"), Rand(1).bytes(2_500_000)).unwrap();
    source
}

/// Takes away a dblock that holds data of `large`, and the dindex that describes it.
fn lose_a_pair(scratch: &Scratch) {
    let dest = scratch.at("dest");
    // The pairs were written one after the other.
    let by_time = |word| {
        let mut all = volumes(&dest, word);
        all.sort_by_key(|p| fs::metadata(p).unwrap().modified().unwrap());
        all
    };
    assert!(by_time("dblock").len() > 1);
    fs::remove_file(&by_time("dblock")[0]).unwrap();
    fs::remove_file(&by_time("dindex")[0]).unwrap();
}

#[test]
fn an_index_cached_after_the_loss_hides_no_broken_blocklist() {
    let scratch = Scratch::new("backup-hidden-loss");
    let source = two_volumes(&scratch);
    backup(&scratch, &source, &["--blocksize=100kb"]).code(&[0]);
    lose_a_pair(&scratch);
    // A restore remembers the index as it is now.
    let other = format!("--restore-path={}", text(&scratch.at("other")));
    scratch
        .run_env(&["restore", text(&scratch.at("dest")), &other], &PASSPHRASE)
        .code(&[3]);
    backup(&scratch, &source, &[]).code(&[2, 100]);
    backup(&scratch, &source, &["--no-backend-verification"]).code(&[1, 2]);
    restores(&scratch, &source, "large");
}

#[test]
fn metadata_skipped_once_is_not_skipped_for_ever() {
    let scratch = Scratch::new("backup-skip-metadata");
    // Only stamps older than the run before are believed, and this file is as old as the checkout.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    backup(&scratch, &source, &["--skip-metadata", "--blocksize=1kb"]).code(&[0]);
    backup(&scratch, &source, &["--skip-metadata"]).code(&[1]);
    let report = backup(&scratch, &source, &["--json"]).code(&[0]).json();
    assert_eq!(report["ModifiedFiles"].as_u64(), Some(1), "{report}");
    let report = backup(&scratch, &source, &["--json"]).code(&[1]).json();
    assert_eq!(report["ModifiedFiles"].as_u64(), Some(0), "{report}");
}

#[test]
fn a_new_file_that_cannot_be_read_makes_no_version() {
    let scratch = Scratch::new("backup-unreadable");
    let source = scratch.folder("src");
    fs::write(source.join("a"), "text").unwrap();
    let run = || {
        let dest = scratch.at("dest");
        let mut command = scratch.command(&[
            "backup",
            text(&dest),
            text(&source),
            "--no-encryption",
            "--no-cache",
            "--json",
        ]);
        if is_root() {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), out)
    };
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for open in [scratch.path(), &scratch.at("tmp"), &source] {
        mode(open, 0o777);
    }
    mode(&scratch.folder("dest"), 0o777);
    let (code, out) = run();
    if code == Some(100) || code.is_none() {
        // Another user cannot even reach the program here.
        assert!(is_root(), "{out}");
        return;
    }
    assert_eq!(code, Some(0), "{out}");
    fs::write(source.join("b"), "secret").unwrap();
    mode(&source.join("b"), 0);
    // The folder itself changed; after that nothing did.
    let (code, out) = run();
    assert_eq!(code, Some(2), "{out}");
    let versions = volumes(&scratch.at("dest"), "dlist").len();
    let (code, out) = run();
    assert_eq!(code, Some(2), "{out}");
    assert!(out.contains("\"AddedFiles\":0"), "{out}");
    assert_eq!(
        volumes(&scratch.at("dest"), "dlist").len(),
        versions,
        "{out}"
    );
}

#[test]
fn a_dry_run_makes_nothing_at_all() {
    let scratch = Scratch::new("backup-dry");
    let source = two_volumes(&scratch);
    backup(&scratch, &source, &["--blocksize=100kb", "--dry-run"]).code(&[0]);
    assert!(!scratch.at("dest").exists());
    assert!(support::names(&scratch.at("cache")).is_empty());
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn a_source_whose_name_cannot_be_stored_is_refused_at_once() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new("backup-name");
    let source = scratch.path().join(std::ffi::OsStr::from_bytes(b"bad\xff"));
    fs::create_dir_all(&source).unwrap();
    let dest = scratch.at("dest");
    let output = scratch
        .command(&["backup", text(&dest), ".", "--no-encryption"])
        .current_dir(&source)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(200));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not valid UTF-8"));
    assert!(!dest.exists(), "nothing was made");
}

/// Sets `user.duplicati.exclude`; prints what the system says when it cannot.
const EXCLUDE: &str = r"
import os, sys
try:
    for path in sys.argv[1:]: os.setxattr(path, 'user.duplicati.exclude', b'1')
except OSError as e:
    print(e)
";

#[test]
fn a_folder_that_asks_to_be_left_out_is_left_out_with_all_in_it() {
    let scratch = Scratch::new("backup-exclusion");
    let source = scratch.folder("src");
    let secret = scratch.folder("src/secret");
    fs::write(secret.join("inside"), "text").unwrap();
    fs::write(source.join("file"), "text").unwrap();
    fs::write(source.join("kept"), "text").unwrap();
    let file = source.join("file");
    let said = support::tool(
        "python3",
        &["-c", EXCLUDE, text(&secret), text(&file)].map(AsRef::as_ref),
        "apt-get install python3",
    );
    if !said.is_empty() {
        // No attributes there, nothing to ask with.
        return;
    }
    for more in [&[][..], &["--exclude-empty-folders"], &["--include=*"]] {
        let _ = fs::remove_dir_all(scratch.at("dest"));
        let words = [&["--json", "--no-cache", "--blocksize=100kb"], more].concat();
        let report = backup(&scratch, &source, &words).code(&[0]).json();
        assert_eq!(report["ExcludedEntries"].as_u64(), Some(2), "{report}");
        assert_eq!(report["ExaminedFiles"].as_u64(), Some(2), "{report}");
        let dest = scratch.at("dest");
        let listed = scratch
            .run_env(&["list", text(&dest), "0"], &PASSPHRASE)
            .code(&[0]);
        assert!(!listed.out.contains("inside") && !listed.out.contains("file\n"));
        assert!(listed.out.contains("kept"), "{}", listed.out);
    }
    scratch
        .run(&["test-filters", text(&source)])
        .code(&[0])
        .says("duplicati.exclude asks for that");
    // What a person names is taken, whatever it asks for.
    let _ = fs::remove_dir_all(scratch.at("dest"));
    let words = ["--json", "--blocksize=100kb", "--no-cache"];
    let report = backup(&scratch, &secret, &words).code(&[0]).json();
    assert_eq!(report["AddedFolders"].as_u64(), Some(1), "{report}");
}

#[test]
fn a_link_that_is_followed_has_the_attributes_of_its_target() {
    let scratch = Scratch::new("backup-follow");
    let source = scratch.folder("src");
    let target = scratch.at("target");
    fs::write(&target, "text").unwrap();
    let said = support::tool(
        "python3",
        &["-c", EXCLUDE, text(&target)].map(AsRef::as_ref),
        "apt-get install python3",
    );
    std::os::unix::fs::symlink(&target, source.join("link")).unwrap();
    let words = ["--symlink-policy=Follow", "--blocksize=100kb", "--json"];
    let report = backup(&scratch, &source, &words).code(&[0]).json();
    let excluded = u64::from(said.is_empty());
    assert_eq!(
        report["ExcludedEntries"].as_u64(),
        Some(excluded),
        "{report}"
    );
}

#[test]
fn a_link_to_nothing_did_not_vanish() {
    let scratch = Scratch::new("backup-dangling");
    let source = scratch.folder("src");
    std::os::unix::fs::symlink("nowhere", source.join("link")).unwrap();
    backup(
        &scratch,
        &source,
        &["--symlink-policy=Follow", "--blocksize=100kb"],
    )
    .code(&[2])
    .says("links to nothing");
}

#[test]
fn rules_do_not_leave_out_what_is_named_as_a_source() {
    let scratch = Scratch::new("backup-nested");
    let source = scratch.folder("src");
    let cache = scratch.folder("src/cache");
    for file in [source.join("x.tmp"), source.join("y.tmp"), cache.join("z")] {
        fs::write(file, "text").unwrap();
    }
    let test = |named: &Path, rule: &str| {
        let words = ["test-filters", text(&source), text(named), rule];
        scratch.run(&words)
    };
    let named = source.join("x.tmp");
    for rule in ["--exclude=*.tmp", "--include=*/z"] {
        let ran = test(&named, rule).code(&[0]);
        assert!(ran.out.contains(&format!("include {}", text(&named))));
        assert!(
            ran.out
                .contains(&format!("exclude {}", text(&source.join("y.tmp"))))
        );
    }
    // Where it cannot be helped it is said.
    test(&cache.join("z"), "--exclude=*/cache/")
        .code(&[2])
        .says("lies in");
}

/// A folder on a file system that takes attributes of any size; `None` where there is none. It goes with the value.
struct Roomy(std::path::PathBuf);

impl Roomy {
    fn new() -> Option<Roomy> {
        let path = Path::new("/dev/shm").join(format!("duplet-attributes-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let roomy = Roomy(path);
        roomy.set("", "user.probe", 60_000).then_some(roomy)
    }

    fn set(&self, name: &str, attribute: &str, len: usize) -> bool {
        let code = "import os,sys\ntry: os.setxattr(sys.argv[1],sys.argv[2],b'x'*int(sys.argv[3]))\nexcept OSError: sys.exit(1)";
        let path = self.0.join(name);
        let len = len.to_string();
        let mut python = std::process::Command::new("python3");
        python.args(["-c", code, text(&path), attribute, &len]);
        python.status().is_ok_and(|s| s.success())
    }
}

impl Drop for Roomy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An attribute that is too large for this block size goes alone: owner, mode and times stay, and the next run has nothing to do.
#[test]
fn an_attribute_that_cannot_be_stored_takes_nothing_else_with_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let Some(roomy) = Roomy::new() else { return };
    let scratch = Scratch::new("backup-attributes");
    let (file, folder) = (roomy.0.join("b"), roomy.0.join("closed"));
    fs::write(&file, "secret").unwrap();
    fs::create_dir(&folder).unwrap();
    assert!(roomy.set("b", "user.big", 60_000) && roomy.set("b", "user.small", 3));
    assert!(roomy.set("closed", "user.big", 30_000));
    for (path, mode) in [(&file, 0o600), (&folder, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let ran = backup(&scratch, &roomy.0, &["--blocksize=1kb"]).code(&[2]);
    for name in ["b", "closed"] {
        let told = format!(
            "cannot keep the attribute user.big of {}",
            text(&roomy.0.join(name))
        );
        assert!(ran.err.contains(&told), "{}", ran.all());
    }
    for more in [&[][..], &["--no-cache"], &["--disable-filetime-check"]] {
        let ran = backup(&scratch, &roomy.0, more);
        assert!([1, 2].contains(&ran.code), "{}", ran.all());
        let made = support::volumes(&scratch.at("dest"), "dlist").len();
        assert_eq!(made, 1, "{}", ran.all());
    }
    let (dest, to) = (scratch.at("dest"), scratch.at("out"));
    let to_arg = format!("--restore-path={}", text(&to));
    let line = ["restore", text(&dest), &to_arg, "--restore-permissions"];
    scratch.run_env(&line, &PASSPHRASE).code(&[0]);
    for name in ["b", "closed"] {
        let (was, is) = (roomy.0.join(name), to.join(name));
        let facts = |p: &Path| {
            let m = fs::metadata(p).unwrap();
            (m.mode(), m.uid(), m.gid(), m.mtime(), m.mtime_nsec() / 100)
        };
        assert_eq!(facts(&was), facts(&is), "{name}");
    }
}
