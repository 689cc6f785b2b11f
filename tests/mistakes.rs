//! Mistakes that new users make: what is refused, that nothing was made or changed, and that the message says what to do.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failing step fails the test"
)]

mod support;

use std::fs;

use support::{Ran, Scratch, names, text};

const PLAIN: &str = "--no-encryption";

/// A source with a few files, and the folder `work`, which a relative path would land in.
fn scratch(label: &str) -> Scratch {
    let scratch = Scratch::new(label);
    fs::create_dir_all(scratch.at("src/sub/private")).unwrap();
    fs::create_dir_all(scratch.at("src/.git")).unwrap();
    for name in ["src/a.txt", "src/sub/private/key", "src/.git/config"] {
        fs::write(scratch.at(name), name).unwrap();
    }
    scratch.folder("work");
    scratch
}

/// Runs in the folder `work`.
fn in_work(scratch: &Scratch, args: &[&str]) -> Ran {
    let mut command = scratch.command(args);
    command.current_dir(scratch.at("work"));
    support::finish(command, args)
}

#[test]
fn a_kind_of_warning_that_is_none_is_told() {
    let scratch = scratch("mistakes-kinds");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    for (kinds, said) in [
        ("unreadble", "did you mean unreadable?"),
        ("vanished,qqqqqqqq", "lists the kinds"),
    ] {
        let option = format!("--suppress-warnings={kinds}");
        let args = ["backup", text(&dest), text(&src), PLAIN, &option];
        // Exported lines of Duplicati have words of its own.
        in_work(&scratch, &args).code(&[0, 1]).says(said);
    }
    let option = "--suppress-warnings=Unreadable, filterexcludesall";
    let args = ["backup", text(&dest), text(&src), PLAIN, option];
    let known = in_work(&scratch, &args).code(&[1]);
    assert!(!known.all().contains("no warning is of the kind"));
}

#[test]
fn several_versions_cannot_be_restored_at_once() {
    let scratch = scratch("mistakes-versions");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    let backup = ["backup", text(&dest), text(&src), PLAIN];
    in_work(&scratch, &backup).code(&[0]);
    fs::write(scratch.at("src/b.txt"), "b").unwrap();
    in_work(&scratch, &backup).code(&[0]);
    let into = format!("--restore-path={}", text(&scratch.at("out")));
    for args in [
        &["restore", text(&dest), &into][..],
        &["cat", text(&dest), "a.txt"],
    ] {
        for versions in ["--version=0,1", "--version=0-1"] {
            in_work(&scratch, &[args, &[versions]].concat())
                .code(&[200])
                .says("2 versions are named");
        }
        in_work(&scratch, &[args, &["--version=1"]].concat()).code(&[0]);
    }
    // What is nowhere has no modes of several versions.
    in_work(&scratch, &["list", text(&dest), "-l", "nowhere"])
        .code(&[100])
        .says("nothing in the backup matches");
    // Nothing is new, but an old version goes.
    let keep = [
        "backup",
        text(&dest),
        text(&src),
        PLAIN,
        "--keep-versions=1",
    ];
    let dry = [&keep[..], &["--dry-run"]].concat();
    in_work(&scratch, &dry).code(&[0]);
    in_work(&scratch, &keep).code(&[0]);
    in_work(&scratch, &dry).code(&[1]);
    in_work(&scratch, &keep).code(&[1]);
}

/// What a mistake is answered with is where it was made.
#[test]
fn hints_lead_to_what_is_wrong() {
    let scratch = scratch("mistakes-hints");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    let (src, dest) = (text(&src), text(&dest));
    let file = scratch.at("parameters");
    let with_file = format!("--parameters-file={}", text(&file));
    for line in ["source=/x", "--append-filter=x"] {
        fs::write(&file, line).unwrap();
        in_work(&scratch, &["list", dest, &with_file])
            .code(&[200])
            .says("'duplet help parameters'");
    }
    for (option, said) in [
        ("--append-filter=-*.tmp", "a parameters file only"),
        ("--replace-filter", "a parameters file only"),
        ("--exclude=", "a filter is empty"),
        ("--lock-wait=-1h", "not negative"),
        ("--run-script-timeout=-5", "not negative"),
        ("--read-write-timeout=-1s", "not negative"),
        ("--dblock-size=0", "two blocks of --blocksize"),
    ] {
        in_work(&scratch, &["backup", dest, src, PLAIN, option])
            .code(&[200])
            .says(said);
    }
    for (first, named) in [
        ("backup", "\"backup\""),
        ("LS", "\"list\""),
        ("nonsense", "null"),
    ] {
        let ran = in_work(&scratch, &[first, dest, src, "--nonsense", "--json"]);
        let begin = format!("{{\"Command\":{named},");
        assert!(ran.out.starts_with(&begin), "{}", ran.all());
    }
}

/// A disk that is not mounted: nothing is there, and nothing is said to be gone.
#[test]
fn a_missing_marker_is_named() {
    let scratch = scratch("mistakes-marker");
    let (src, dest) = (scratch.at("src"), scratch.folder("dest"));
    fs::write(dest.join("MARK"), "").unwrap();
    let url = format!("{}?alternate-destination-marker=MARK", text(&dest));
    let url = format!("file://{url}");
    in_work(&scratch, &["backup", &url, text(&src), PLAIN]).code(&[0]);
    let away = scratch.at("away");
    fs::rename(&dest, &away).unwrap();
    for mounted in [false, true] {
        if mounted {
            fs::create_dir(&dest).unwrap();
        }
        for args in [
            &["backup", &url, text(&src), PLAIN][..],
            &["list", &url],
            &["remote", "test", &url],
        ] {
            let ran = in_work(&scratch, args).code(&[100]);
            let ran = ran
                .says("marker file MARK not found in")
                .says("mount the medium");
            for wrong in ["new-backup", "does not exist yet", "may still be there"] {
                assert!(!ran.all().contains(wrong), "{}", ran.all());
            }
        }
        assert!(!mounted || names(&dest).is_empty());
    }
}

#[test]
fn a_current_folder_that_is_gone_is_not_missed() {
    use std::process::Command;
    let scratch = scratch("mistakes-folder");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    let gone = scratch.folder("gone");
    let run = |args: &[&str]| {
        let _ = fs::create_dir(&gone);
        let inner = scratch.command(args);
        let mut outer = Command::new("/bin/sh");
        outer
            .args(["-c", "rmdir ../gone && exec \"$0\" \"$@\""])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(&gone);
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        support::finish(outer, args)
    };
    run(&["backup", text(&dest), text(&src), PLAIN]).code(&[0]);
    run(&["list", text(&dest)]).code(&[0]);
    run(&["backup", text(&dest), "src", PLAIN])
        .code(&[100])
        .says("cannot find the current folder");
}

#[test]
fn a_followed_link_leads_to_the_destination() {
    let scratch = scratch("mistakes-followed");
    let (own, trick) = (scratch.folder("own"), scratch.folder("trick"));
    fs::write(own.join("other"), "x").unwrap();
    std::os::unix::fs::symlink("../own", trick.join("o")).unwrap();
    let dest = own.join("bk");
    let args = ["backup", text(&dest), text(&trick), PLAIN];
    let follow = [&args[..], &["--symlink-policy=Follow"]].concat();
    in_work(&scratch, &follow).code(&[0, 2]);
    for _ in 0..2 {
        in_work(&scratch, &follow)
            .code(&[2])
            .says("o/bk/ is left out: it is the destination of this backup");
    }
    let listed = in_work(&scratch, &["list", text(&dest), "0"]).code(&[0]);
    assert!(listed.out.contains("o/other"), "{}", listed.out);
    assert!(!listed.out.contains("duplicati-"), "{}", listed.out);
    let without = "--exclude=*/bk/";
    in_work(&scratch, &[&follow[..], &[without]].concat()).code(&[0, 1]);
    in_work(&scratch, &args).code(&[0, 1]);
}

/// Which of the two was meant cannot be told, and one of them writes in the clear.
#[test]
fn no_encryption_beside_a_passphrase_is_refused() {
    let scratch = scratch("mistakes-plain-passphrase");
    let (src, secret) = (scratch.at("src"), scratch.at("secret"));
    fs::write(&secret, "hunter2\n").unwrap();
    let dest = scratch.at("dest");
    let url = format!("file://{}", text(&dest));
    let in_url = format!("{url}?passphrase=hunter2");
    let file = format!("--passphrase-file={}", text(&secret));
    for (url, more) in [
        (&url, "--passphrase=hunter2"),
        (&url, &file),
        (&url, "--passphrase-command=echo hunter2"),
        (&url, "--force-passphrase-from-stdin"),
        (&in_url, "--verbose"),
    ] {
        let ran = in_work(&scratch, &["backup", url, text(&src), PLAIN, more]);
        let ran = ran.code(&[200]).says("--no-encryption and a passphrase");
        assert!(!ran.err.contains("hunter2"), "{}", ran.all());
        assert!(!dest.exists());
    }
    let args = ["backup", &url, text(&src), PLAIN];
    let env = [("PASSPHRASE", "hunter2")];
    scratch.run_env(&args, &env).code(&[0]);
}

#[test]
fn addresses_of_other_programs_make_no_folder() {
    let scratch = scratch("mistakes-address");
    let src = scratch.at("src");
    let good = scratch.at("dest");
    in_work(&scratch, &["backup", text(&good), text(&src), PLAIN]).code(&[0]);
    for (word, hint) in [
        ("s3:hunter2/x", "s3://bucket/folder"),
        ("B2:bucket:path", "b2://bucket/folder"),
        ("webdav:/u:hunter2@host/x", "webdavs://host/folder"),
        ("https:/host/dav", "webdavs://host/folder"),
        ("sftp:u:hunter2@host:/p", "ssh://user@host/folder"),
        ("nas:/backup", "sshfs"),
        ("u@nas:backup", "ssh://user@host/folder"),
        ("rclone:remote:x", "rclone"),
        ("file:x", "file:///folder"),
        ("~/backup", "$HOME"),
        ("~other/backup", "./"),
        ("C:\\backup", "./"),
        ("", "not set"),
        ("  ", "not set"),
    ] {
        let into = format!("--restore-path={word}");
        for args in [
            &["backup", word, text(&src), PLAIN][..],
            &["list", word],
            &["restore", text(&good), &into],
            &["restore", text(&good), "--restore-path", word],
        ] {
            let ran = in_work(&scratch, args).code(&[200]).says(hint);
            assert!(!ran.err.contains("hunter2"), "{}", ran.all());
            assert!(names(&scratch.at("work")).is_empty(), "{}", ran.all());
        }
    }
    for url in [
        "file://~/x",
        "http://h/x",
        "https://u:hunter2@h/x",
        "gopher://u:hunter2@h/x",
        "mssp://u:hunter2@h/x",
        "cos://u:hunter2@h/x",
    ] {
        let ran = in_work(&scratch, &["backup", url, text(&src), PLAIN]).code(&[200]);
        assert!(
            !ran.err.contains("hunter2") && ran.err.contains('('),
            "{}",
            ran.all()
        );
        assert!(names(&scratch.at("work")).is_empty());
    }
    for (word, made) in [("./s3:b", "s3:b"), ("a+b%41", "a+b%41"), ("x y", "x y")] {
        in_work(&scratch, &["backup", word, text(&src), PLAIN]).code(&[0]);
        assert_eq!(names(&scratch.at("work")), [made]);
        fs::remove_dir_all(scratch.at("work").join(made)).unwrap();
    }
}

#[test]
fn empty_words_and_values_do_nothing() {
    let scratch = scratch("mistakes-empty");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    let (src, dest) = (text(&src), text(&dest));
    in_work(&scratch, &["backup", dest, src, PLAIN]).code(&[0]);
    fs::write(scratch.at("src/a.txt"), "today's work").unwrap();
    for args in [
        &["backup", dest, "", PLAIN][..],
        &["backup", dest, src, " ", PLAIN],
        &["backup", dest, src, "--no-encryption="],
        &["backup", dest, src, PLAIN, "--tempdir="],
        &["backup", dest, src, PLAIN, "--cache-dir= "],
        &["backup", dest, src, PLAIN, "--log-file="],
        &["backup", dest, src, PLAIN, "--parameters-file="],
        &[
            "backup",
            dest,
            src,
            PLAIN,
            "--alternate-destination-marker=",
        ],
        &["backup", dest, src, "--passphrase-file="],
        &["restore", dest, "--restore-path=", "--overwrite"],
        &["restore", dest, "--restore-path", "", "--overwrite"],
        &["restore", dest, "--overwrite=", "--restore-path=x"],
        &["restore", dest, "", "--overwrite"],
        &["restore", dest, "--version=", "--overwrite"],
        &["restore", dest, "--time=", "--overwrite"],
        &["restore", dest, "--retry-delay=", "--overwrite"],
        &["list", dest, ""],
        &["list-folder-content", dest, ""],
        &["list-file-versions", dest, ""],
        &["search-entries", dest, ""],
        &["verify", dest, ""],
        &["test-filters", ""],
        &["list", "s3://b?s3-server-name="],
        &["list", "s3://b?use-ssl="],
        &["list", "webdav://127.0.0.1:9/x", "--http-proxy="],
    ] {
        in_work(&scratch, args).code(&[200]);
        assert!(names(&scratch.at("work")).is_empty(), "{args:?}");
        let now = fs::read_to_string(scratch.at("src/a.txt")).unwrap();
        assert_eq!(now, "today's work", "{args:?}");
    }
    for line in [
        "--source=",
        "--target=",
        "--restore-path=\"\"",
        "--tempdir=",
    ] {
        fs::write(scratch.at("file"), format!("{line}\n")).unwrap();
        let file = format!("--parameters-file={}", text(&scratch.at("file")));
        in_work(&scratch, &["backup", dest, src, PLAIN, &file]).code(&[200]);
    }
    let ran = scratch.run_env(&["list", "-"], &[("DUPLET_URL", "")]);
    ran.code(&[200]).says("DUPLET_URL is not set");
}

#[test]
fn a_destination_that_vanished_is_not_begun_anew() {
    let scratch = scratch("mistakes-vanished");
    let (src, dest) = (scratch.at("src"), scratch.at("disk/dest"));
    let (src, dest) = (text(&src), text(&dest));
    for content in ["1", "2"] {
        fs::write(scratch.at("src/a.txt"), content).unwrap();
        scratch.run(&["backup", dest, src, PLAIN]).code(&[0]);
    }
    let url = format!("file://{dest}");
    fs::rename(scratch.at("disk"), scratch.at("unmounted")).unwrap();
    let slash = format!("{dest}/");
    let dots = format!("{dest}/../dest");
    for address in [dest, &url, &slash, &dots, "disk/dest", "./disk//dest"] {
        let ran = scratch.run(&["backup", address, src, PLAIN]);
        ran.code(&[100])
            .says("it held 2 versions on")
            .says("--new-backup");
        assert!(!scratch.at("disk").exists());
    }
    scratch
        .run(&["list", dest])
        .code(&[100])
        .says("it held 2 versions on");
    scratch.folder("disk/dest");
    scratch
        .run(&["backup", dest, src, PLAIN, "-n"])
        .code(&[100])
        .says("is empty now");
    assert!(names(&scratch.at("disk/dest")).is_empty());
    scratch
        .run(&["backup", dest, src, PLAIN, "--new-backup"])
        .code(&[0]);
    // The disk is back, and with it all versions.
    fs::remove_dir_all(scratch.at("disk")).unwrap();
    fs::rename(scratch.at("unmounted"), scratch.at("disk")).unwrap();
    scratch.run(&["backup", dest, src, PLAIN]).code(&[1]);
    // Data volumes without a list, whosever they are, make no difference.
    for name in names(&scratch.at("disk/dest")) {
        let name = name.to_str().unwrap();
        if name.contains(".dlist.") {
            fs::rename(scratch.at("disk/dest").join(name), scratch.at(name)).unwrap();
        }
    }
    for more in [&[][..], &["-n"], &["--json"], &["--lock-wait=1s"]] {
        let args = [&["backup", dest, src, PLAIN], more].concat();
        scratch
            .run(&args)
            .code(&[100])
            .says("holds the list of none now");
    }
    let args = ["backup", dest, src, PLAIN, "--new-backup"];
    scratch.run(&args).code(&[0]);
    // Another destination is another matter, and so is a run without a cache.
    let other = scratch.at("other");
    scratch
        .run(&["backup", text(&other), src, PLAIN])
        .code(&[0]);
    fs::remove_dir_all(&other).unwrap();
    let args = ["backup", text(&other), src, PLAIN, "--no-cache"];
    scratch.run(&args).code(&[0]);
}

#[test]
fn a_missing_folder_is_not_made_when_that_is_forbidden() {
    let scratch = scratch("mistakes-autocreate");
    let (src, dest) = (scratch.at("src"), scratch.at("none/dest"));
    let (src, dest) = (text(&src), text(&dest));
    let no = "--disable-autocreate-folder";
    let url = format!("file://{dest}?disable-autocreate-folder=true");
    for args in [
        &["backup", dest, src, PLAIN, no][..],
        &["backup", dest, src, PLAIN, no, "-n"],
        &["backup", dest, src, PLAIN, no, "--new-backup"],
        &["backup", &url, src, PLAIN],
        &["remote", "put", dest, text(&scratch.at("src/a.txt")), no],
    ] {
        scratch.run(args).code(&[100]);
        assert!(!scratch.at("none").exists(), "{args:?}");
    }
    scratch.run(&["remote", "mkdir", dest]).code(&[0]);
    scratch.run(&["backup", dest, src, PLAIN, no]).code(&[0]);
}

#[test]
fn a_destination_inside_a_source_is_found_before_it_exists() {
    let scratch = scratch("mistakes-inside");
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, scratch.at(name)).unwrap();
    };
    link("src", "link");
    link("src/sub", "deep");
    link("src/none", "dangling");
    for dest in [
        "link/d",
        "deep/../d",
        "dangling/d",
        "none/../src/d",
        "src/none/../d",
        "./src/d/e/f",
        "link/sub/d",
    ] {
        for source in ["src", "link", "./none/../src"] {
            let ran = scratch.run(&["backup", dest, source, PLAIN]);
            let ran = ran
                .code(&[200])
                .says("the destination is inside the source");
            assert!(!scratch.at("src/d").exists(), "{}", ran.all());
            assert!(!scratch.at("src/none").exists(), "{}", ran.all());
        }
    }
    let rule = format!("--exclude={}/d/", text(&scratch.at("src")));
    scratch
        .run(&["backup", "link/d", "src", PLAIN, &rule])
        .code(&[0]);
}

#[test]
fn a_folder_full_of_other_files_takes_no_volumes() {
    let scratch = scratch("mistakes-swapped");
    let dest = scratch.folder("dest");
    let src = scratch.at("src");
    let before = names(&src);
    for args in [
        &["backup", text(&src), text(&dest), PLAIN][..],
        &["backup", text(&src), text(&dest), PLAIN, "-n"],
        &["backup", text(&src), text(&dest), "--passphrase=x"],
        &["backup", text(&src), text(&dest), PLAIN, "--prefix=box"],
    ] {
        scratch
            .run(args)
            .code(&[200])
            .says("holds no backup but")
            .says("--new-backup");
        assert_eq!(names(&src), before);
    }
    for name in ["lost+found", ".Trash-1000", "System Volume Information"] {
        fs::create_dir(dest.join(name)).unwrap();
    }
    fs::write(dest.join("duplicati-bx.dblock.zip.part"), "x").unwrap();
    scratch
        .run(&["backup", text(&dest), text(&src), PLAIN])
        .code(&[0]);
    // A second backup beside the first.
    let second = ["backup", text(&dest), text(&src), PLAIN, "--prefix=box2"];
    scratch.run(&second).code(&[0]);
    let shared = scratch.folder("shared");
    fs::write(shared.join("notes.txt"), "x").unwrap();
    let args = ["backup", text(&shared), text(&src), PLAIN, "--new-backup"];
    scratch.run(&args).code(&[0]);
    scratch.run(&args[..4]).code(&[1]);
    let marked = scratch.folder("marked");
    fs::write(marked.join("this-disk"), "").unwrap();
    let marker = "--alternate-destination-marker=this-disk";
    scratch
        .run(&["backup", text(&marked), text(&src), PLAIN, marker])
        .code(&[0]);
}

#[test]
fn rules_that_do_nothing_are_told() {
    let scratch = scratch("mistakes-rules");
    let src = scratch.at("src");
    let root = text(&src);
    let slashless = format!("--exclude={root}/sub/private");
    let itself = format!("--exclude={root}/");
    for (n, (rules, said)) in [
        (&["--exclude=.git"][..], "--exclude=*/.git/"),
        (&["--exclude=private/"], "--exclude=*/private/"),
        (&["--iexclude=PRIVATE/"], "--iexclude=PRIVATE/ fits no path"),
        (&["--iexclude=*/PRIVATE"], "write --iexclude=*/PRIVATE/"),
        (&["--exclude=sub/*.jpg"], "--exclude=*/sub/*.jpg"),
        (&["--exclude=~/tmp/"], "home folder"),
        (&["--exclude", "[sub/.*]"], "[.*/sub/.*]"),
        (&["--exclude=*/private"], "--exclude=*/private/"),
        (&["--exclude=*/sub/pr?vate"], "--exclude=*/sub/pr?vate/"),
        (&[&slashless], "/sub/private/"),
        (&[&itself], "sources are always taken"),
        (&["--include=*.doc"], "leave no file"),
        (&["--include=*/sub/"], "--include=*/sub/*"),
        (&["--include=a.txt"], "--include=*/a.txt"),
        (&["--exclude=*"], "leave no file"),
        (
            &["--exclude=*.txt", "--exclude=*/sub/", "--exclude=*/.git/"],
            "leave no file",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let dest = scratch.at(&format!("dest{n}"));
        let args = [&["backup", text(&dest), root, PLAIN][..], rules].concat();
        scratch.run(&args).code(&[2]).says(said);
        let args = [&["test-filters", root][..], rules].concat();
        scratch.run(&args).code(&[2]).says(said);
    }
    let args = ["test-filters", root, "--iexclude=*.TXT", "--exclude=*x*"];
    let ran = scratch.run(&args).code(&[0]);
    assert!(ran.out.contains("--iexclude=*.TXT)"), "{}", ran.all());
    for (n, rules) in [
        &["--exclude=*.tmp"][..],
        &["--exclude=*/.git/"],
        &["--exclude=/proc/", "--exclude={CacheFiles}"],
        &["--exclude=*/private/", "--exclude=*private*"],
        &["--include=*.txt"],
        &["--exclude=*/key"],
    ]
    .into_iter()
    .enumerate()
    {
        let dest = scratch.at(&format!("quiet{n}"));
        let args = [&["backup", text(&dest), root, PLAIN][..], rules].concat();
        scratch.run(&args).code(&[0]);
    }
    let dest = scratch.at("quiet0");
    let args = ["list", text(&dest), "0", "--exclude=.git"];
    scratch.run(&args).code(&[2]).says("--exclude=*/.git/");
}

#[test]
fn every_mistake_says_what_to_do() {
    let scratch = scratch("mistakes-next");
    let (src, dest) = (scratch.at("src"), scratch.at("dest"));
    let (src, dest) = (text(&src), text(&dest));
    scratch
        .run(&["backup", dest, src, PLAIN, "--backup-name=box"])
        .code(&[0]);
    for (args, code, said) in [
        (
            &["backup", "s3://b/x?use-ssl=true"][..],
            200,
            "must stand in quotes",
        ),
        (
            &["backup", dest],
            200,
            "usage: duplet backup <url> <folder>...",
        ),
        (
            &["verify"],
            200,
            "verify needs a destination URL (try 'duplet help verify')",
        ),
        (&["test"], 200, "test needs a destination URL"),
        (&["list", dest, "--time=3d"], 200, "--time=3D"),
        (&["list", dest, "--time=yesterday"], 200, "--time=1D"),
        (&["list", dest, "--retry-delay=5H"], 200, "5h"),
        (&["list", dest, "--version=latest"], 0, "a.txt"),
        (&["list", dest, "--time", "latest"], 0, "a.txt"),
        (
            &["find", dest, "nosuch"],
            100,
            "'*nosuch*' finds parts of names",
        ),
        (
            &["find", dest, "/no/such"],
            100,
            "nothing in the backup matches",
        ),
        (
            &["search-entries", dest, "/no"],
            100,
            "nothing in the backup matches",
        ),
        (&["find", dest, "a.txt"], 0, "a.txt"),
        (&["-V"], 0, "duplet "),
        (&["list", dest, "-V"], 0, "duplet "),
        (&["restore", dest, "-n"], 1000, "would restore"),
        (
            &["restore", "latest", "--target", "x"],
            200,
            "--restore-path",
        ),
        (&["list", dest, "--quiet"], 0, "3 files"),
        (&["list", dest, "--exclude-file=x"], 200, "--exclude-from"),
        (&["list", dest, "--password=hunter2"], 200, "--passphrase"),
        (
            &["list", dest, "--limit-upload=1"],
            200,
            "--throttle-upload",
        ),
        (
            &["list", dest, "--exclude-if-present=x"],
            200,
            "--ignore-filenames",
        ),
        (&["snapshots", dest], 200, "duplet list URL"),
        (&["init", dest], 200, "not needed"),
        (
            &["forget", dest],
            200,
            "duplet delete URL --keep-versions=N",
        ),
        (&["delete", dest], 200, "needs one of --keep-versions"),
        (&["filters"], 200, "duplet help filters"),
        (&["examples"], 0, "CRON"),
        (
            &["s3://u:hunter2@h/b", "list"],
            200,
            "the command comes first",
        ),
        (
            &["remote", "s3://u:hunter2@h/b", "list"],
            200,
            "before the URL",
        ),
        (&["help", "u:hunter2@h"], 200, "there is no help"),
        (
            &["backup", dest, "s3://u:hunter2@h/b"],
            200,
            "the destination comes first",
        ),
        (&["backup", dest, "sftp:u:hunter2@h:/b"], 200, "./"),
        (
            &["backup", "webdav://h/x?auth-pasword=hunter2", src],
            200,
            "did you mean auth-password?",
        ),
        (&["list", "s3://b?auth-password=a&hunter2"], 200, "%26"),
        (
            &["list", "s3://b?webdav-bearer-token=hunter2"],
            200,
            "s3 does not know",
        ),
        (&["list", "s3://b?zzz=1"], 200, "duplet help s3"),
        (
            &["backup", "file:///x?keep-versions=3&keep-time=1D", src],
            200,
            "exclude each other",
        ),
        (
            &["list", "s3://b?dbpath=x&no-encryption=maybe"],
            200,
            "no-encryption",
        ),
    ] {
        let ran = scratch.run(args);
        let ran = if code == 1000 { ran } else { ran.code(&[code]) };
        let ran = ran.says(said);
        assert!(
            !ran.err.contains("hunter2") && !ran.out.contains("hunter2"),
            "{}",
            ran.all()
        );
    }
    let ran = scratch.run(&["backup", dest, src, PLAIN]).code(&[1]);
    assert!(
        !ran.out.contains("0 volumes") && !ran.out.contains("0 left out"),
        "{}",
        ran.all()
    );
    let ran = scratch
        .run(&["list", dest, "--json", "--backup-name=box"])
        .code(&[0]);
    assert_eq!(ran.json()["BackupName"], "box");
    let log = format!("--log-file={}", text(&scratch.at("log")));
    scratch
        .run(&["list", dest, "--backup-name", "box", &log])
        .code(&[0]);
    assert!(
        fs::read_to_string(scratch.at("log"))
            .unwrap()
            .contains("list of box")
    );
}

/// As Duplicati exports it, with what the newest and the oldest add.
#[test]
fn a_command_line_of_duplicati_runs() {
    let scratch = scratch("mistakes-duplicati");
    let url = format!("file://{}", text(&scratch.at("dest")));
    let src = format!("{}/", text(&scratch.at("src")));
    let args = [
        "backup",
        &url,
        &src,
        "--backup-name=My box",
        "--dbpath=/x/y.sqlite",
        "--encryption-module=aes",
        "--compression-module=zip",
        "--dblock-size=50mb",
        "--passphrase=x y",
        "--disable-module=console-password-input",
        "--exclude-files-attributes=temporary,system",
        "--keep-versions=0",
        "--snapshot-policy=off",
        "--long-database-query-threshold=30s",
        "--restore-cache-evict=25",
        "--concurrency-max-threads=0",
        "--profile-all-database-queries=false",
        "--photos-handling=PhotosAndLibrary",
        "--vss-exclude-writers=x",
        "--backupread-policy=auto",
        "--asynchronous-concurrent-upload-limit=4",
        "--disable-piped-streaming",
        "--use-block-cache=true",
        "--unittest-mode=false",
        "--sync-x=y",
        "--retention-policy=",
        "--send-mail-to=",
    ];
    scratch.run(&args).code(&[0]);
    scratch.run(&args).code(&[1]);
    // Reading it, the same options, and those that only a backup could follow.
    let old = scratch.at("old");
    let into = format!("--restore-path={}", text(&old));
    let mut reading = vec!["restore", &url, &into, "--keep-time=1Y"];
    reading.extend([
        "--retention-policy=1W:1D,4W:1W",
        "--snapshot-policy=required",
    ]);
    reading.extend(&args[3..]);
    scratch.run(&reading).code(&[0]);
    for command in ["list", "verify"] {
        reading[0] = command;
        scratch.run(&reading).code(&[0]);
    }
    // A plain backup's line, as it is exported.
    let plain = format!("file://{}", text(&scratch.at("plain")));
    let line = [
        "backup",
        &plain,
        &src,
        "--encryption-module=",
        "--no-encryption=true",
    ];
    scratch.run(&line).code(&[0]);
}

/// A blocklist holds as many whole hashes as fit in a block; the rest of the block stays unused.
#[test]
fn a_block_need_not_hold_a_whole_number_of_hashes() {
    let scratch = scratch("mistakes-blocks");
    let data: Vec<u8> = (0..150_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(scratch.at("src/large"), &data).unwrap();
    for (n, (hash, size)) in [
        ("SHA1", "1030b"),
        ("SHA384", "1kb"),
        ("SHA256", "1025b"),
        ("MD5", "1039b"),
    ]
    .into_iter()
    .enumerate()
    {
        let dest = scratch.at(&format!("dest{n}"));
        let hash = format!("--block-hash-algorithm={hash}");
        let size = format!("--blocksize={size}");
        let first = ["backup", text(&dest), "src", PLAIN, &hash, &size];
        scratch.run(&first).code(&[0]);
        // Again with the hash alone: the block size is that of the backup.
        fs::write(scratch.at("src/a.txt"), n.to_string()).unwrap();
        scratch.run(&first[..5]).code(&[0]);
        scratch.run(&["verify", text(&dest), "all"]).code(&[0]);
        let into = scratch.at(&format!("out{n}"));
        let path = format!("--restore-path={}", text(&into));
        scratch.run(&["restore", text(&dest), &path]).code(&[0]);
        assert!(fs::read(into.join("large")).unwrap() == data);
    }
}

#[test]
fn where_a_plain_backup_was_an_encrypted_one_begins() {
    for (first, second, code) in [
        ("--no-encryption", "--passphrase=p", 0),
        ("--no-encryption", "--no-encryption", 100),
        ("--passphrase=p", "--no-encryption", 100),
        ("--passphrase=p", "--passphrase=q", 100),
    ] {
        let scratch = Scratch::new("mistakes-other");
        let source = scratch.folder("source");
        std::fs::write(source.join("f"), b"x").expect("a scratch folder");
        let dest = scratch.at("dest");
        let run = |secret: &str| scratch.run(&["backup", text(&dest), text(&source), secret]);
        run(first).code(&[0]);
        std::fs::remove_dir_all(&dest).expect("a scratch folder");
        run(second).code(&[code]);
    }
}

/// What could lie outside of the destination's folder is refused before anything is contacted, wherever it is.
#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let scratch = Scratch::new("mistakes-names");
    let dest = scratch.folder("dest");
    fs::write(scratch.at("beside"), "mine").unwrap();
    let urls = [
        text(&dest).to_owned(),
        "ssh://nobody@127.0.0.1:1/x".to_owned(),
        "ftp://127.0.0.1:1/x".to_owned(),
        "s3://bucket/x?s3-server-name=127.0.0.1:1&auth-username=a&auth-password=b".to_owned(),
        "rclone://remote/x".to_owned(),
    ];
    for url in &urls {
        for name in [
            "../beside",
            "..",
            ".",
            "",
            "a/../../beside",
            "/beside",
            "a//b",
            "a\\b",
            "a\nb",
        ] {
            for words in [
                &["delete", url, name][..],
                &["get", url, name, "-"],
                &["put", url, name, text(&scratch.at("beside"))],
            ] {
                let ran = scratch.run(&[&["remote"][..], words].concat());
                ran.code(&[200]);
            }
        }
    }
    assert_eq!(fs::read_to_string(scratch.at("beside")).unwrap(), "mine");
}
