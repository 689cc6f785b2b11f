//! Which versions a rule takes: `delete --dry-run`, and what is refused before anything is contacted.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use support::snapshot::{But, same, take};
use support::{Scratch, fixture, lifecycle, names, text};

/// Versions that a dry run would delete, oldest number last.
fn gone(scratch: &Scratch, dest: &str, options: &[&str]) -> Vec<u64> {
    let mut args = vec!["delete", dest, "--dry-run", "--json"];
    args.extend(options);
    let ran = scratch.run(&args);
    // A version that is named and stays all the same is told.
    let spared = ran.err.contains("--allow-full-removal");
    assert_eq!(ran.code, if spared { 2 } else { 0 }, "{}", ran.all());
    let named = options == ["--version=0-3"];
    assert_eq!(spared, named, "{}", ran.all());
    let said = ran.json();
    let sets = said["DeletedSets"].as_array().unwrap();
    sets.iter()
        .map(|s| s["Version"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_dry_run_says_what_would_go_and_why_and_changes_nothing() {
    let scratch = Scratch::new("retention");
    let folder = fixture("four-versions-plain").join("dest");
    let (before, dest) = (take(&folder), text(&folder));
    for (options, want) in [
        (&["--keep-versions=2"][..], &[2, 3][..]),
        (&["--keep-versions=9"], &[]),
        (&["--keep-versions=1", "--version=1"], &[1, 2, 3]),
        (&["--version=1,3"], &[1, 3]),
        (&["--version=0-3"], &[1, 2, 3]),
        (&["--version=0-3", "--allow-full-removal"], &[0, 1, 2, 3]),
        (&["--keep-time=100Y"], &[]),
        (&["--keep-time=1s", "--disable-time-tolerance"], &[1, 2, 3]),
        (&["--retention-policy=U:1D"], &[1, 2]),
        (&["--retention-policy=U:0s"], &[]),
        (&["--retention-policy=U:1D", "--keep-versions=0"], &[1, 2]),
    ] {
        assert_eq!(gone(&scratch, dest, options), want, "{options:?}");
    }
    let args = ["delete", dest, "--dry-run", "--retention-policy=U:1D"];
    let ran = scratch.run(&args).code(&[0]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 7, "{}", ran.all());
    assert!(
        lines[0].starts_with("keep   0  2026-11-22 15:27:21  ")
            && lines[0].ends_with("the newest version")
    );
    assert!(
        lines[1].starts_with("delete 1  2026-11-22 15:27:19  ")
            && lines[1].contains("only 5s after 2026-11-22 15:27:14")
    );
    assert!(lines[3].contains("the oldest of its frame"));
    assert_eq!(lines[4], "would delete 2 of 4 versions");
    assert!(lines[5].starts_with("volumes: 0 (0 bytes) deletable, 1 "));
    assert!(lines[6].starts_with("nothing would be reclaimed: "));
    same(&before, &take(&folder), But::default(), "the destination");
}

/// A day's distance is that of the clock on the wall, in the zone that the machine has.
#[test]
fn ages_are_those_of_the_local_clock() {
    let scratch = Scratch::new("retention-zone");
    let dest = text(&fixture("plain").join("dest")).to_owned();
    let args = ["delete", &dest, "--dry-run", "--keep-time=1D"];
    for (zone, at) in [
        ("XYZ-5:45", "21:12:"),
        ("UTC", "15:27:"),
        ("EST5", "10:27:"),
    ] {
        let ran = scratch.run_env(&args, &[("TZ", zone)]).code(&[0]);
        assert!(ran.out.contains(&format!(" {at}")), "{zone}: {}", ran.all());
    }
}

#[test]
fn encrypted_versions_are_decided_about_too() {
    let scratch = Scratch::new("retention-aes");
    let dest = text(&fixture("four-versions-aes").join("dest")).to_owned();
    let secret = "--passphrase=correct horse battery staple";
    assert_eq!(gone(&scratch, &dest, &["--keep-versions=3", secret]), [3]);
    let wrong = [
        "delete",
        &dest,
        "--dry-run",
        "--keep-versions=3",
        "--passphrase=no",
    ];
    scratch.run(&wrong).code(&[100]);
}

/// Nothing is decided while a version that matters cannot be read.
#[test]
fn a_version_that_cannot_be_read_ends_it() {
    let scratch = Scratch::new("retention-damaged");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
    let newest = support::volumes(&dest, "dlist").pop().unwrap();
    std::fs::write(newest, b"no zip").unwrap();
    for rule in ["--keep-versions=1", "--keep-time=1s"] {
        let args = ["delete", text(&dest), "--dry-run", rule];
        scratch.run(&args).code(&[100]).says("dlist");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_contacted() {
    let scratch = Scratch::new("retention-usage");
    for (options, says) in [
        (&[][..], "needs one of"),
        (&["--keep-versions=0"], "needs one of"),
        (&["--retention-policy=", "--keep-time="], "needs one of"),
        (
            &["--keep-time=3D", "--keep-versions=3"],
            "exclude each other",
        ),
        (
            &["--keep-time=3D", "--retention-policy=U:1D"],
            "exclude each other",
        ),
        (
            &["--keep-versions=1", "--retention-policy=U:1D"],
            "exclude each other",
        ),
        (&["--keep-versions=x"], "a whole number"),
        (&["--keep-versions=-1"], "a whole number"),
        (&["--keep-time=soon"], "an age such as"),
        (&["--keep-time=-3D"], "an age such as"),
        (&["--retention-policy=1W"], "one colon"),
        (&["--retention-policy=1W:1D:1h"], "one colon"),
        (&["--retention-policy=1D:1W"], "shorter than the frame"),
        (&["--retention-policy=1W:1W"], "shorter than the frame"),
        (&["--retention-policy=1w:1D"], "no time span"),
        (&["--retention-policy=1W:-1D"], "negative"),
        (&["--version=1,1"], "twice"),
        (&["--version=x"], "numbers and ranges"),
        (&["--version=1", "--threshold=101"], "percentage"),
        (&["--version=1", "--threshold=x"], "a whole number"),
        (&["--version=1", "--small-file-size=x"], "a size such as"),
        (
            &["--version=1", "--small-file-max-count=-1"],
            "a whole number",
        ),
        (
            &["--version=1", "--auto-compact-interval=3d"],
            "a time span",
        ),
        (&["--version=1", "--auto-compact-interval=-3D"], "negative"),
    ] {
        // A port where nobody listens: who asks there waits, and fails otherwise.
        let mut args = vec!["delete", "webdav://127.0.0.1:1/x", "--dry-run"];
        args.extend(options);
        let ran = scratch.run(&args).code(&[200]).says(says);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.all());
    }
    let dest = text(&fixture("plain").join("dest")).to_owned();
    let beyond = ["delete", &dest, "--dry-run", "--version=7"];
    scratch
        .run(&beyond)
        .code(&[100])
        .says("version 7 does not exist");
}

/// A backup checks its rule before it contacts anything; other commands read what a backup's line may say, whatever it is.
#[test]
fn a_backup_takes_one_rule_that_can_be_meant() {
    let scratch = Scratch::new("retention-backup");
    let source = text(&scratch.folder("source")).to_owned();
    let new = text(&scratch.at("new")).to_owned();
    for (options, says) in [
        (
            &["--keep-versions=3", "--keep-time=3D"][..],
            "exclude each other",
        ),
        (&["--keep-time=nonsense"], "an age such as"),
        (&["--retention-policy=1W:2W"], "shorter than the frame"),
        (&["--retention-policy=1W"], "one colon"),
        (&["--threshold=101"], "percentage"),
        (&["--small-file-size=x"], "a size such as"),
        (&["--auto-compact-interval=-1D"], "negative"),
    ] {
        let mut args = vec!["backup", &new, &source, "--no-encryption"];
        args.extend(options);
        scratch.run(&args).code(&[200]).says(says);
        assert!(names(&scratch.at("new")).is_empty(), "{options:?}");
    }
    let dest = text(&fixture("plain").join("dest")).to_owned();
    for option in [
        "--keep-time=nonsense",
        "--threshold=x",
        "--no-auto-compact",
        "--keep-versions=",
    ] {
        scratch.run(&["list", &dest, option]).code(&[0]);
    }
}

/// Where old versions were deleted, the rest is what it was.
#[test]
fn what_duplicati_left_is_decided_about() {
    let scratch = Scratch::new("retention-left");
    let dest = text(&lifecycle("compact-thresholds")).to_owned();
    assert_eq!(gone(&scratch, &dest, &["--keep-versions=1"]), [1, 2]);
}

/// Empty parts and blanks ask for nothing; what cannot be meant is refused before the destination is looked at.
#[test]
fn empty_parts_are_skipped_and_bad_ones_refused() {
    let scratch = Scratch::new("retention-parts");
    let folder = fixture("four-versions-plain").join("dest");
    let dest = text(&folder);
    for options in [
        "--retention-policy=U:1D,,",
        "--retention-policy=,U:1D",
        "--retention-policy= U : 1D ,",
        "--retention-policy=U:1D, ,",
    ] {
        assert_eq!(gone(&scratch, dest, &[options]), [1, 2], "{options}");
    }
    for options in ["--keep-versions= 2 ", "--keep-versions=2"] {
        assert_eq!(gone(&scratch, dest, &[options]), [2, 3], "{options}");
    }
    for options in ["--keep-time= 100Y ", "--keep-time=100Y"] {
        assert_eq!(gone(&scratch, dest, &[options]), [0u64; 0], "{options}");
    }
    let nowhere = scratch.at("is not there");
    for option in [
        "--retention-policy=",
        "--retention-policy=,",
        "--retention-policy= , ,",
        "--keep-versions=",
        "--keep-versions= ",
        "--keep-versions=0",
        "--keep-time=",
        "--keep-time= ",
        "--keep-time=0",
        "--retention-policy=1W:1D;4W:1W",
        "--retention-policy=1W:1D,4W",
        "--retention-policy=1W:1D,0",
        "--retention-policy=1W:,",
        "--retention-policy=1 W:1D",
        "--keep-versions=2,",
        "--keep-versions=,",
        "--keep-versions=1 2",
        "--keep-versions=-1",
        "--keep-time=1D,",
        "--keep-time=,",
        "--keep-time=1D 2h",
        "--keep-time=-1D",
        "--version=0,",
        "--version=,",
        "--version=",
    ] {
        let ran = scratch
            .run(&["delete", text(&nowhere), option])
            .code(&[200]);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.all());
    }
}

/// The last version goes only by an option, which the refusal names; what else is named goes.
#[test]
fn the_last_version_stays_unless_its_option_is_given() {
    let scratch = Scratch::new("retention-last");
    let dest = scratch.at("dest");
    support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
    let delete = |more: &[&str]| scratch.run(&[&["delete", text(&dest)], more].concat());
    let left = || support::volumes(&dest, "dlist").len();
    delete(&["--version=0-3", "--dry-run"])
        .code(&[2])
        .says("--allow-full-removal");
    assert_eq!(left(), 4);
    delete(&["--version=0-3"])
        .code(&[2])
        .says("version 0 stays")
        .says("--allow-full-removal");
    assert_eq!(left(), 1);
    for more in [
        &["--version=0"][..],
        &["--version=0", "--dry-run"],
        &["--version=0", "--keep-versions=1"],
        &["--version=0", "--no-auto-compact"],
    ] {
        let ran = delete(more).code(&[100]);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.all());
        ran.says("nothing was changed; --allow-full-removal");
        assert_eq!(left(), 1);
    }
    // A rule that would take all keeps the newest, as it should.
    delete(&["--keep-time=1s"]).code(&[0]);
    delete(&["--version=0", "--allow-full-removal"]).code(&[0]);
    assert_eq!(left(), 0);
}
