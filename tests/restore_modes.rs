//! Who may read what a restore brings: never more people than before, with and without what is there already.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use support::craft::{Maker, Volume, base64};
use support::{Ran, Scratch, is_root, text};

fn meta(mode: u32, more: &str) -> String {
    let me = fs::metadata("/proc/self").unwrap();
    format!(
        r#"{{{more}"unix:uid-gid-perm":"{}-{}-{mode}","CoreAttributes":"Normal","CoreLastWritetime":"638423012961234567"}}"#,
        me.uid(),
        me.gid()
    )
}

/// A version with these entries: path (folders end with a slash) and metadata.
fn version(scratch: &Scratch, entries: &[(&str, Option<String>)]) -> PathBuf {
    let maker = Maker::new(scratch.at("dest"));
    let mut volume = Volume::new(1);
    let list: Vec<String> = entries
        .iter()
        .map(|(path, meta)| match path.ends_with('/') {
            true => maker.folder(&mut volume, path, meta.as_deref()),
            false => maker.file(&mut volume, path, path.as_bytes(), meta.as_deref()),
        })
        .collect();
    maker.both(&mut volume);
    maker.dlist("20240131T133500Z", &list);
    scratch.at("dest")
}

fn restore(scratch: &Scratch, umask: u32, more: &[&str]) -> Ran {
    let target = format!("--restore-path={}", text(&scratch.at("out")));
    let dest = scratch.at("dest");
    let args = [&["restore", text(&dest), &target], more].concat();
    let line = format!("umask {umask:03o}; exec \"$@\"");
    let words = ["sh", "-c", &line, "sh", env!("CARGO_BIN_EXE_duplet")];
    support::finish(scratch.other(&words, &args), &args)
}

/// The newest version as a tar stream.
fn tarred(scratch: &Scratch) -> Vec<u8> {
    let dest = scratch.at("dest");
    let args = ["cat", text(&dest), "--tar"];
    let ran = scratch
        .other(&[env!("CARGO_BIN_EXE_duplet")], &args)
        .output()
        .unwrap();
    assert!(ran.status.success());
    ran.stdout
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn python(code: &str, args: &[&OsStr]) -> String {
    let args = [&[OsStr::new("-c"), OsStr::new(code)], args].concat();
    String::from_utf8(support::tool("python3", &args, "apt-get install python3")).unwrap()
}

/// Names of all extended attributes but the system's own label.
fn xattrs(path: &Path) -> String {
    let code = "import os,sys\nprint(*sorted(n for n in os.listxattr(sys.argv[1],follow_symlinks=False) if n!='security.selinux'),end='')";
    python(code, &[path.as_os_str()])
}

/// Sets an attribute; false where the file system or this user cannot.
fn set_xattr(path: &Path, name: &str, hex: &str) -> bool {
    let code = "import os,sys\ntry: os.setxattr(sys.argv[1],sys.argv[2],bytes.fromhex(sys.argv[3])); print('ok',end='')\nexcept OSError: pass";
    python(code, &[path.as_os_str(), name.as_ref(), hex.as_ref()]) == "ok"
}

/// user::rw-, user:12345:rw-, group::---, mask::rw-, other::---
const ACL: &str =
    "02000000010006 00ffffffff020006 0039300000040000 00ffffffff100006 00ffffffff200000 00ffffffff";

fn acl() -> String {
    ACL.replace(' ', "")
}

fn acl_b64() -> String {
    let hex = acl();
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    base64(&bytes)
}

#[test]
fn what_is_new_is_no_more_open_than_it_was() {
    let modes = [
        0o600, 0o640, 0o644, 0o664, 0o666, 0o444, 0o400, 0o000, 0o755, 0o777, 0o711, 0o604,
    ];
    let scratch = Scratch::new("modes-new");
    let names: Vec<(String, u32)> = modes
        .iter()
        .flat_map(|&m| [(format!("/s/f{m:03o}"), m), (format!("/s/d{m:03o}/"), m)])
        .collect();
    let mut entries: Vec<(&str, Option<String>)> = names
        .iter()
        .map(|(n, m)| (n.as_str(), Some(meta(*m, ""))))
        .collect();
    entries.push(("/s/", Some(meta(0o750, ""))));
    entries.push(("/s/plain", None));
    entries.push(("/s/none/", None));
    entries.push(("/s/empty", Some("{}".to_owned())));
    let other = r#"{"CoreAttributes":"Archive"}"#;
    entries.push(("/s/other", Some(other.to_owned())));
    version(&scratch, &entries);
    for umask in [0o022, 0o077, 0o002, 0o000] {
        for (options, skipped) in [(&[][..], false), (&["--skip-metadata"], true)] {
            let _ = fs::remove_dir_all(scratch.at("out"));
            restore(&scratch, umask, options).code(&[0]);
            let out = scratch.at("out");
            for (name, recorded) in &names {
                let path = out.join(&name[3..]);
                let usual = if name.ends_with('/') { 0o777 } else { 0o666 };
                let want = usual & !umask & recorded;
                assert_eq!(mode(&path), want, "{name} {umask:o} {skipped}");
            }
            assert_eq!(mode(&out), 0o750 & !umask);
            // Nobody knows who might use what has no metadata, or none that says anything.
            for (name, want) in [("plain", 0o600), ("none", 0o700), ("empty", 0o600)] {
                assert_eq!(mode(&out.join(name)), want, "{name} {umask:o} {skipped}");
            }
            // That of another system has no modes.
            assert_eq!(mode(&out.join("other")), 0o666 & !umask);
        }
    }
    let _ = fs::remove_dir_all(scratch.at("out"));
    restore(&scratch, 0o022, &["--restore-permissions"]).code(&[0]);
    for (name, recorded) in &names {
        assert_eq!(
            mode(&scratch.at("out").join(&name[3..])),
            *recorded,
            "{name}"
        );
    }
    // What was stored without metadata is its owner's then, too.
    assert_eq!(mode(&scratch.at("out/plain")), 0o600);
    assert_eq!(mode(&scratch.at("out/none")), 0o700);
    assert_eq!(mode(&scratch.at("out/other")), 0o644);
    let tar = scratch.at("all.tar");
    fs::write(&tar, tarred(&scratch)).unwrap();
    let code = "import sys,tarfile\nfor m in tarfile.open(sys.argv[1]): print(m.name.split('/')[-1], '%o' % m.mode)";
    let listed = python(code, &[tar.as_os_str()]);
    for line in ["plain 600", "none 700", "empty 600", "other 644"] {
        assert!(listed.lines().any(|l| l == line), "{listed}");
    }
}

#[test]
fn what_a_closed_folder_hid_stays_hidden() {
    let scratch = Scratch::new("modes-hidden");
    version(
        &scratch,
        &[
            ("/s/", Some(meta(0o755, ""))),
            ("/s/closed/", Some(meta(0o700, ""))),
            ("/s/closed/a.txt", Some(meta(0o644, ""))),
            ("/s/closed/in/", Some(meta(0o755, ""))),
            ("/s/closed/in/b.txt", Some(meta(0o644, ""))),
            ("/s/open/", Some(meta(0o755, ""))),
            ("/s/open/c.txt", Some(meta(0o644, ""))),
            ("/s/unlisted/d.txt", Some(meta(0o644, ""))),
        ],
    );
    let out = scratch.at("out");
    let clean = || {
        let _ = fs::remove_dir_all(&out);
    };
    // By pattern: the folders themselves are not chosen.
    restore(&scratch, 0o022, &["*.txt"]).code(&[0]);
    assert_eq!(mode(&out.join("closed")), 0o700);
    assert_eq!(mode(&out.join("closed/in")), 0o755);
    assert_eq!(mode(&out.join("open")), 0o755);
    assert_eq!(mode(&out.join("unlisted")), 0o755);
    assert_eq!(mode(&out), 0o755);
    // One file, into a folder that is made for it.
    for (word, want) in [("a.txt", 0o700), ("b.txt", 0o700), ("c.txt", 0o755)] {
        clean();
        restore(&scratch, 0o022, &[word]).code(&[0]);
        assert_eq!(mode(&out), want, "{word}");
        assert_eq!(mode(&out.join(word)), 0o644);
    }
    // A folder that is there is the user's.
    clean();
    fs::create_dir(&out).unwrap();
    chmod(&out, 0o755);
    restore(&scratch, 0o022, &["b.txt"]).code(&[0]);
    assert_eq!(mode(&out), 0o755);
    clean();
    let deep = ["--dont-compress-restore-paths", "b.txt"];
    restore(&scratch, 0o022, &deep).code(&[0]);
    assert_eq!(mode(&out.join("s/closed")), 0o700);
    assert_eq!(mode(&out.join("s")), 0o755);
}

/// The mode is as lost as the rest, so nobody else gets in.
#[test]
fn an_entry_whose_metadata_is_lost_is_closed() {
    let scratch = Scratch::new("modes-lost");
    let maker = Maker::new(scratch.at("dest"));
    let (mut data, mut lost) = (Volume::new(1), Volume::new(2));
    let tail = maker.meta(&mut lost, Some(&meta(0o600, "")));
    let list: Vec<String> = [("/s/f", "f"), ("/s/g", "g")]
        .map(|(path, text)| {
            let plain = maker.file(&mut data, path, text.as_bytes(), None);
            plain.replace("\"time\"", &format!("{},\"time\"", &tail[1..]))
        })
        .to_vec();
    maker.both(&mut data);
    maker.dlist("20240131T133500Z", &list);
    restore(&scratch, 0o000, &[]).code(&[3]).says("metadata");
    assert_eq!(mode(&scratch.at("out/f")), 0o600);
    let _ = fs::remove_dir_all(scratch.at("out"));
    restore(&scratch, 0o000, &["--skip-metadata"]).code(&[0]);
    assert_eq!(mode(&scratch.at("out/g")), 0o600);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_owner() {
    let scratch = Scratch::new("modes-replaced");
    let entries = [
        ("/s/", Some(meta(0o755, ""))),
        ("/s/f", Some(meta(0o644, ""))),
        ("/s/g", Some(meta(0o600, ""))),
        ("/s/h", None),
    ];
    version(&scratch, &entries);
    let out = scratch.folder("out");
    for options in [
        &["--overwrite"][..],
        &["--existing=overwrite"],
        &["--existing=newer"],
        &["--overwrite", "--skip-metadata"],
        &["--overwrite", "--restore-permissions"],
    ] {
        for have in [0o600, 0o440, 0o666, 0o4711] {
            for name in ["f", "g", "h"] {
                let path = out.join(name);
                let _ = fs::remove_file(&path);
                fs::write(&path, "mine").unwrap();
                let file = fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                    .unwrap();
                if is_root() {
                    std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
                }
                chmod(&path, have);
            }
            restore(&scratch, 0o022, options).code(&[0]);
            for (name, recorded) in [("f", Some(0o644)), ("g", Some(0o600)), ("h", None)] {
                let path = out.join(name);
                assert_eq!(fs::read_to_string(&path).unwrap(), format!("/s/{name}"));
                let given = options.contains(&"--restore-permissions");
                let told = recorded.filter(|_| given);
                assert_eq!(
                    mode(&path),
                    told.unwrap_or(have),
                    "{name} {have:o} {options:?}"
                );
                if is_root() {
                    let owner = fs::metadata(&path).unwrap().uid();
                    let want = if told.is_some() { 0 } else { 1234 };
                    assert_eq!(owner, want, "{name} {have:o} {options:?}");
                }
            }
        }
    }
    // Equal already: nothing is touched.
    chmod(&out.join("f"), 0o600);
    restore(&scratch, 0o022, &["--overwrite"]).code(&[0]);
    assert_eq!(mode(&out.join("f")), 0o600);
}

#[test]
fn an_owner_that_cannot_be_kept_closes_the_file() {
    if !is_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let scratch = Scratch::new("modes-foreign");
    version(&scratch, &[("/s/f", Some(meta(0o666, "")))]);
    let out = scratch.folder("out");
    chmod(&out, 0o777);
    for sub in ["tmp", "cache", "home", "dest"] {
        chmod(&scratch.at(sub), 0o777);
    }
    fs::write(out.join("f"), "mine").unwrap();
    chmod(&out.join("f"), 0o644);
    let target = format!("--restore-path={}", text(&out));
    let dest = scratch.at("dest");
    let args = ["restore", text(&dest), &target, "--overwrite"];
    let mut command = scratch.command(&args);
    command.uid(65_534).gid(65_534);
    let ran = support::finish(command, &args);
    if ran.code == 100 {
        // The scratch folder is in a place that only this user may enter.
        return;
    }
    ran.code(&[2]).says("cannot keep the owner");
    assert_eq!(mode(&out.join("f")), 0o600);
}

#[test]
fn attributes_that_grant_something_come_only_when_asked_for() {
    let scratch = Scratch::new("modes-xattr");
    let value = base64(b"v");
    let more = format!(
        r#""unix-ext:user.note":"{value}","unix-ext:trusted.t":"{value}","unix-ext:system.posix_acl_access":"{}","#,
        acl_b64()
    );
    version(
        &scratch,
        &[
            ("/s/", Some(meta(0o755, &more))),
            ("/s/f", Some(meta(0o660, &more))),
        ],
    );
    let out = scratch.at("out");
    let probe = scratch.at("probe");
    fs::write(&probe, "").unwrap();
    if !set_xattr(&probe, "user.x", "00") || !set_xattr(&probe, "system.posix_acl_access", &acl()) {
        return;
    }
    restore(&scratch, 0o022, &[]).code(&[0]);
    for path in [out.clone(), out.join("f")] {
        assert_eq!(xattrs(&path), "user.note");
    }
    let _ = fs::remove_dir_all(&out);
    restore(&scratch, 0o022, &["--restore-permissions"]).code(&[0, 2]);
    let all = "system.posix_acl_access trusted.t user.note";
    let want = if is_root() {
        all
    } else {
        "system.posix_acl_access user.note"
    };
    assert_eq!(xattrs(&out.join("f")), want);
    assert_eq!(mode(&out.join("f")), 0o660);
    // The access list of a file that is replaced stays on it; that of the version does not come.
    let path = out.join("f");
    fs::write(&path, "mine").unwrap();
    restore(&scratch, 0o022, &["--overwrite"]).code(&[0]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "/s/f");
    assert_eq!(xattrs(&path), "system.posix_acl_access user.note");
}

#[test]
fn surplus_attributes_go_with_overwrite() {
    let scratch = Scratch::new("modes-surplus");
    let more = format!(r#""unix-ext:user.kept":"{}","#, base64(b"v"));
    version(
        &scratch,
        &[
            ("/s/", Some(meta(0o755, &more))),
            ("/s/f", Some(meta(0o644, &more))),
            ("/s/d/", Some(meta(0o755, &more))),
            ("/s/bare", None),
        ],
    );
    let out = scratch.at("out");
    restore(&scratch, 0o022, &[]).code(&[0]);
    let all = ["f", "d", "bare"].map(|n| out.join(n));
    for path in &all {
        if !set_xattr(path, "user.more", "01") {
            return;
        }
        set_xattr(path, "user.empty", "");
    }
    let acls = set_xattr(&all[0], "system.posix_acl_access", &acl());
    restore(&scratch, 0o022, &[]).code(&[0]);
    assert!(
        xattrs(&all[0]).contains("user.more"),
        "only with --overwrite"
    );
    restore(&scratch, 0o022, &["--overwrite"]).code(&[0]);
    let acl = if acls { "system.posix_acl_access " } else { "" };
    assert_eq!(xattrs(&all[0]), format!("{acl}user.empty user.kept"));
    assert_eq!(xattrs(&all[1]), "user.empty user.kept");
    // Stored without metadata: nothing is known, nothing goes.
    assert_eq!(xattrs(&all[2]), "user.empty user.more");
    restore(&scratch, 0o022, &["--overwrite", "--restore-permissions"]).code(&[0]);
    assert_eq!(xattrs(&all[0]), "user.empty user.kept");
}

#[test]
fn nothing_is_open_while_it_is_written() {
    let scratch = Scratch::new("modes-written");
    let (source, dest, out) = (
        scratch.folder("src/d/e"),
        scratch.at("dest"),
        scratch.at("out"),
    );
    for i in 0..40 {
        fs::write(source.join(format!("f{i}")), support::Rand(i).bytes(50_000)).unwrap();
        chmod(&source.join(format!("f{i}")), 0o600);
    }
    chmod(&scratch.at("src/d"), 0o700);
    let src = scratch.at("src");
    let words = [
        "backup",
        text(&dest),
        text(&src),
        "--no-encryption",
        "--blocksize=10kb",
        "--dblock-size=1mb",
    ];
    scratch.run(&words).code(&[0]);
    let target = format!("--restore-path={}", text(&out));
    for options in [&[][..], &["--restore-permissions"]] {
        let _ = fs::remove_dir_all(&out);
        let words = [
            &["restore", text(&dest), &target, "--throttle-download=2mb"],
            options,
        ]
        .concat();
        let mut child = scratch.start(&words);
        let mut seen = 0;
        while child.try_wait().unwrap().is_none() {
            let inside = fs::read_dir(out.join("d/e"));
            for entry in inside.into_iter().flatten().flatten() {
                if let Ok(meta) = entry.metadata() {
                    assert_eq!(meta.mode() & 0o077, 0, "{entry:?}");
                    seen += 1;
                }
            }
            if let Ok(meta) = fs::metadata(out.join("d")) {
                assert_eq!(meta.mode() & 0o077, 0);
            }
        }
        assert!(child.wait().unwrap().success());
        assert!(seen > 0, "it was watched");
        assert_eq!(mode(&out.join("d")), 0o700);
    }
}

#[test]
fn plain_volumes_are_their_owners_and_so_are_made_folders() {
    let scratch = Scratch::new("modes-plain");
    let source = scratch.folder("src");
    fs::write(source.join("f"), "secret").unwrap();
    let dest = scratch.at("a/b/dest");
    let run = |dest: &Path, more: &[&str]| {
        let args = [&["backup", text(dest), text(&source)], more].concat();
        let words = [
            "sh",
            "-c",
            "umask 022; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_duplet"),
        ];
        support::finish(scratch.other(&words, &args), &args).code(&[0]);
    };
    run(&dest, &["--no-encryption"]);
    for made in ["a", "a/b", "a/b/dest"] {
        assert_eq!(mode(&scratch.at(made)), 0o700, "{made}");
    }
    let modes = |dest: &Path| -> Vec<u32> {
        support::names(dest)
            .iter()
            .map(|n| mode(&dest.join(n)))
            .collect()
    };
    assert_eq!(modes(&dest), [0o600; 3]);
    let there = scratch.folder("there");
    chmod(&there, 0o755);
    run(&there, &["--passphrase=x"]);
    assert_eq!(modes(&there), [0o644; 3]);
    assert_eq!(mode(&there), 0o755);

    // What is put there by hand, under whatever name, can be a plain volume as well; the way back gives it to nobody, too.
    let kept = scratch.folder("kept");
    chmod(&kept, 0o755);
    let volume = support::names(&dest)[0].clone();
    let remote = |words: &[&str]| {
        let args = [&["remote"], words].concat();
        let script = [
            "sh",
            "-c",
            "umask 0; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_duplet"),
        ];
        support::finish(scratch.other(&script, &args), &args).code(&[0]);
    };
    let put = dest.join(&volume);
    remote(&["put", text(&kept), text(&put)]);
    remote(&["put", text(&kept), "odd name", text(&put)]);
    remote(&["put", text(&scratch.at("new/deep")), text(&put)]);
    assert_eq!(modes(&kept), [0o600; 2]);
    assert_eq!(modes(&scratch.at("new/deep")), [0o600]);
    assert_eq!(mode(&scratch.at("new")), 0o700);
    let got = scratch.at("got");
    remote(&["get", text(&dest), volume.to_str().unwrap(), text(&got)]);
    assert_eq!(mode(&got), 0o600);
}
