//! What new users typed and what they met: each mistake ends with what to do next, and each guess that can be understood is.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;

use support::{Scratch, text, tree};

const PASS: &str = "--passphrase=right";

struct World {
    scratch: Scratch,
    dest: String,
    src: String,
}

fn world(label: &str) -> World {
    let scratch = Scratch::new(label);
    let src = scratch.folder("src");
    for name in ["doc/notes.txt", "a.txt", "b.tmp"] {
        fs::create_dir_all(src.join(name).parent().unwrap()).unwrap();
        tree::write(&src.join(name), name.as_bytes());
    }
    let w = World {
        dest: text(&scratch.at("dest")).to_owned(),
        src: text(&src).to_owned(),
        scratch,
    };
    w.scratch.run(&["backup", &w.dest, &w.src, PASS]).code(&[0]);
    w
}

/// Words of the command line, the exit code, and the words in which the next step stands.
type Row<'a> = (&'a [&'a str], i32, &'a str);

fn check(w: &World, rows: &[Row<'_>]) {
    for (args, code, said) in rows {
        let ran = w.scratch.run(args).code(&[*code]).says(said);
        if *code >= 100 {
            let mut lines = ran.err.lines().filter(|l| l.starts_with("duplet: "));
            let last = lines.next_back().unwrap_or_default();
            // In brackets at the end; of a value that is missing, how to give it.
            let next = last.ends_with(')') || last.contains(" needs a value: --");
            assert!(next, "no next step: {}", ran.all());
        }
    }
}

#[test]
fn addresses() {
    let w = world("mistyped-addresses");
    let (d, s) = (w.dest.as_str(), w.src.as_str());
    let full = text(&w.scratch.folder("full")).to_owned();
    tree::write(&w.scratch.at("full/mine"), b"x");
    check(
        &w,
        &[
            // The two in the wrong order, with both there.
            (
                &["backup", s, &full, PASS],
                200,
                "the destination comes first",
            ),
            (
                &["backup", "s3:bucket/x", s, PASS],
                200,
                "write s3://bucket/folder",
            ),
            (
                &["backup", "a@nas:/b", s, PASS],
                200,
                "ssh://user@host/folder",
            ),
            (&["backup", "~/x", s, PASS], 200, "$HOME"),
            (&["backup", "C:\\x", s, PASS], 200, "./"),
            (
                &["list", "http://h/dav"],
                200,
                "write webdavs://host/folder",
            ),
            (
                &["list", "https://h/dav"],
                200,
                "write webdavs://host/folder",
            ),
            (&["list", "sftp://"], 200, "ssh://user@host/folder"),
            (&["list", "gdrive://x"], 200, "rclone://REMOTE/folder"),
            (&["list", "nfs://h/x"], 200, "mount it"),
            (
                &["list", "pcloud://x"],
                200,
                "write pcloud://api.pcloud.com/folder",
            ),
            (
                &["list", "googledrive://x"],
                200,
                "duplet remote login googledrive",
            ),
            (&["list", "s3://b/x?s3-server=h"], 200, "duplet help s3"),
            (
                &["backup", "s3://b/x?use-ssl=true"],
                200,
                "a URL with ? or & must stand in quotes",
            ),
            (&["list", d, "--passphrase=wrong"], 100, "from --passphrase"),
        ],
    );
    let env = [("PASSPHRASE", "wrong")];
    let ran = w.scratch.run_env(&["list", d], &env).code(&[100]);
    ran.says("from the environment variable PASSPHRASE");
    let file = w.scratch.at("conf");
    fs::write(&file, "--passphrase=wrong\n").unwrap();
    let file = format!("--parameters-file={}", text(&file));
    w.scratch
        .run(&["list", d, &file, PASS])
        .code(&[100])
        .says("conf");
    w.scratch
        .run(&["list", d])
        .code(&[100, 200])
        .says("--passphrase-file");
}

#[test]
fn options_and_values() {
    let w = world("mistyped-options");
    let (d, s) = (w.dest.as_str(), w.src.as_str());
    let to = text(&w.scratch.at("to")).to_owned();
    check(
        &w,
        &[
            // The next word is the value.
            (
                &["restore", d, PASS, "--restore-path", &to],
                0,
                "restored 3 files",
            ),
            (
                &["backup", d, s, PASS, "--exclude", "*.tmp"],
                0,
                "1 left out by rules",
            ),
            (
                &["restore", d, PASS, "--restore-path"],
                200,
                "--restore-path=PATH",
            ),
            (&["backup", d, s, PASS, "--exclude"], 200, "--exclude=RULE"),
            (
                &["restore", "latest", "--target", "x"],
                200,
                "--restore-path=FOLDER",
            ),
            (
                &["restore", d, PASS, "-t", "x"],
                200,
                "options begin with two dashes",
            ),
            (
                &["backup", d, s, PASS, "--keep-versions=3", "-n"],
                0,
                "keep     0",
            ),
            (
                &["backup", d, s, PASS, "--retention-policy="],
                0,
                "version of ",
            ),
            (&["list", d, PASS, "-V"], 0, "duplet "),
            (&["list", d, PASS, "--quiet"], 0, "files"),
            (
                &["list", d, "--password=x"],
                200,
                "did you mean --passphrase?",
            ),
            (
                &["list", d, "--exclude-file=x"],
                200,
                "did you mean --exclude-from?",
            ),
            (
                &["list", d, "--limit-upload=1"],
                200,
                "did you mean --throttle-upload?",
            ),
            (
                &["backup", d, s, "--exclude-if-present=x"],
                200,
                "did you mean --ignore-filenames?",
            ),
            (&["list", d, PASS, "--time=3d"], 200, "--time=3D meant"),
            (
                &["list", d, PASS, "--time=yesterday"],
                200,
                "--time=1D meant",
            ),
            (&["list", d, PASS, "--version=latest"], 0, "a.txt"),
            (
                &["list", d, PASS, "--version=7"],
                100,
                "there are versions 0 to ",
            ),
            (
                &["find", d, PASS, "nosuch"],
                100,
                "'*nosuch*' finds parts of names",
            ),
            (
                &["list", d, PASS, "nosuch"],
                100,
                "'*nosuch*' finds parts of names",
            ),
            (&["restore", d, PASS, "nosuch"], 100, "finds parts of names"),
        ],
    );
}

#[test]
fn words_of_other_programs() {
    let w = world("mistyped-words");
    let d = w.dest.as_str();
    for (word, said) in [
        ("snapshots", "'duplet list URL' lists the versions"),
        ("forget", "'duplet delete URL --keep-versions=N'"),
        ("prune", "'duplet delete URL --keep-versions=N'"),
        ("init", "not needed: the first backup makes what it needs"),
        ("key", "--change-passphrase"),
        ("passwd", "--change-passphrase"),
        ("stats", "'duplet list URL --full-result' counts"),
        ("du", "'duplet list URL --full-result' counts"),
        ("self-update", "install a newer program"),
        ("url", "try 'duplet help url'"),
        ("filters", "try 'duplet help filters'"),
        ("parameters", "try 'duplet help parameters'"),
        ("bakcup", "did you mean backup?"),
    ] {
        check(&w, &[(&[word, d], 200, said), (&[word], 200, said)]);
    }
    // Words that mean the same are taken.
    for (args, said) in [
        (&["ls", d, PASS][..], "3 files"),
        (&["diff", d, PASS, "0", "0"], "files    0 added"),
        (&["check", d, PASS], "checked 1 version"),
        (&["repair", d, PASS], ""),
        (&["compact", d, PASS, "-n"], "would be reclaimed"),
        (&["list-broken-files", d, PASS], ""),
        (
            &["delete", d, PASS, "--keep-versions=9"],
            "0 of 1 version deleted",
        ),
        (&["examples"], "CRON"),
    ] {
        w.scratch.run(args).code(&[0, 1]).says(said);
    }
    check(&w, &[(&["delete", d, PASS], 200, "--keep-versions")]);
    for command in [
        "backup", "list", "find", "restore", "verify", "compare", "delete",
    ] {
        let ran = w.scratch.run(&[command]).code(&[200]);
        ran.says(&format!("try 'duplet help {command}'"));
    }
}

#[test]
fn sources_that_are_not_there() {
    let w = world("mistyped-sources");
    let (d, s) = (w.dest.as_str(), w.src.as_str());
    let empty = text(&w.scratch.folder("empty")).to_owned();
    w.scratch
        .run(&["backup", d, s, "/nonexistent/x", PASS])
        .code(&[2])
        .says("/nonexistent/x");
    check(
        &w,
        &[(
            &[
                "backup",
                d,
                s,
                "/nonexistent/x",
                PASS,
                "--abort-if-source-missing",
            ],
            100,
            "/nonexistent/x",
        )],
    );
    // All that the newest version has is gone: the disk is not mounted, or these are other sources.
    let ran = w.scratch.run(&["backup", d, &empty, PASS]).code(&[2]);
    ran.says("all disks mounted?");
    fs::rename(w.scratch.at("src"), w.scratch.at("away")).unwrap();
    fs::create_dir(w.scratch.at("src")).unwrap();
    w.scratch.run(&["backup", d, s, PASS]).code(&[0, 1, 2]);
    // And the versions are still there to restore from.
    let to = format!("--restore-path={}", text(&w.scratch.at("to")));
    w.scratch
        .run(&["restore", d, PASS, "notes.txt", &to])
        .code(&[0])
        .says("from version");
    for word in ["doc", "doc/", "src/doc", "doc/notes.txt", "./doc/notes.txt"] {
        let _ = fs::remove_dir_all(w.scratch.at("to"));
        w.scratch.run(&["restore", d, PASS, word, &to]).code(&[0]);
        assert_eq!(support::names(&w.scratch.at("to")), ["notes.txt"], "{word}");
    }
}

/// A URL in the place of another word is not said back: there may be a secret in it.
#[test]
fn a_url_in_the_wrong_place_is_not_shown() {
    let w = world("wrong-place");
    let url = "s3://bucket/x?auth-password=hunter2";
    for args in [
        &["verify", "all", url][..],
        &["verify", &w.dest, url],
        &["compare", &w.dest, url, "0"],
        &["repair", &w.dest, url],
        &["affected", &w.dest, url],
        &["list", &w.dest, &format!("--version={url}")],
        &["list", &w.dest, &format!("--time={url}")],
        &["backup", &w.dest, &w.src, &format!("--dblock-size={url}")],
    ] {
        let ran = w.scratch.run(&[args, &[PASS]].concat()).code(&[200]);
        let ran = ran.says("s3");
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
}
