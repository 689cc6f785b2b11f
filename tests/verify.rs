//! `verify` finds what was harmed, says what it costs, and finds nothing in what Duplicati left.

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::harm::{ALL, Harm, harm};
use support::{Ran, Scratch, copy_folder, fixture, fixture_names, text, volumes};

fn passphrase(name: &str) -> &'static str {
    match name {
        "four-versions-aes" => "correct horse battery staple",
        "compacted-aes" => "päss wörd 語",
        _ => "abc",
    }
}

fn verify(scratch: &Scratch, dest: &Path, name: &str, words: &[&str]) -> Ran {
    let args = [&["verify", text(dest)], words].concat();
    // A passphrase for volumes that are all plain is refused.
    let sealed = support::names(dest).iter().any(|n| {
        [".aes", ".gpg"]
            .iter()
            .any(|e| n.to_string_lossy().ends_with(e))
    });
    let env: &[(&str, &str)] = if sealed {
        &[("PASSPHRASE", passphrase(name))]
    } else {
        &[]
    };
    scratch.run_env(&args, env)
}

/// A copy of the destination of a fixture.
fn copy(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let dest = scratch.at("dest");
    let _ = fs::remove_dir_all(&dest);
    copy_folder(&fixture(name).join("dest"), &dest);
    dest
}

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().expect(field)
}

fn has_gpg() -> bool {
    std::process::Command::new("gpg")
        .arg("--version")
        .output()
        .is_ok()
}

#[test]
fn backups_of_duplicati_are_clean_and_read_whole() {
    let scratch = Scratch::new("verify-clean");
    for name in fixture_names() {
        let dest = fixture(&name).join("dest");
        if name == "gpg" && !has_gpg() {
            continue;
        }
        let before = support::names(&dest);
        verify(&scratch, &dest, &name, &[]).code(&[0]);
        let report = verify(&scratch, &dest, &name, &["all", "--json"])
            .code(&[0])
            .json();
        let there = |word| volumes(&dest, word).len() as u64;
        assert_eq!(number(&report, "CheckedVersions"), there("dlist"), "{name}");
        assert_eq!(
            number(&report, "CheckedIndexVolumes"),
            there("dindex"),
            "{name}"
        );
        assert_eq!(number(&report, "CheckedDblocks"), there("dblock"), "{name}");
        for (field, want) in [
            ("Findings", 0),
            ("BlocklistsNotChecked", 0),
            ("DblocksNotOpened", 0),
        ] {
            assert_eq!(number(&report, field), want, "{name}: {field}");
        }
        assert!(number(&report, "BlocksHashed") > 10, "{name}");
        assert!(number(&report, "Entries") > 10, "{name}");
        assert_eq!(support::names(&dest), before, "{name}");
    }
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn every_harm_to_every_kind_of_volume_is_found() {
    let scratch = Scratch::new("verify-harm");
    for name in ["four-versions-plain", "four-versions-aes"] {
        for kind in ["dlist", "dindex", "dblock"] {
            for how in ALL {
                let dest = copy(&scratch, name);
                let all = volumes(&dest, kind);
                let victim = all[0]
                    .file_name()
                    .expect("named")
                    .to_string_lossy()
                    .into_owned();
                harm(&all[0], &all[1], how);
                let case = format!("{name} {kind} {how:?}");
                // A version exists exactly when its list does: a deleted or exchanged one is another set of versions. An
                // encrypted one that is older than its name is noticed.
                if kind == "dlist" && matches!(how, Harm::Delete | Harm::Swap) {
                    let old = how == Harm::Swap && victim.ends_with(".aes");
                    let ran = verify(&scratch, &dest, name, &["all"]);
                    ran.code(if old { &[3] } else { &[0] });
                    continue;
                }
                // Exchanged index volumes say the same as before.
                if kind == "dindex" && how == Harm::Swap {
                    verify(&scratch, &dest, name, &["all"]).code(&[0]);
                    continue;
                }
                let ran = verify(&scratch, &dest, name, &["all", "--json"]).code(&[3]);
                let report = ran.json();
                let findings = report["Verifications"].as_array().expect("a list").clone();
                assert_eq!(findings.len() as u64, number(&report, "Findings"), "{case}");
                assert_eq!(
                    (&report["ExitCode"], &report["Code"]),
                    (&3.into(), &"errors".into())
                );
                let named = findings.iter().any(|f| {
                    f["File"] == victim.as_str()
                        || f["What"].as_str().expect("text").contains(&victim)
                });
                assert!(named || kind == "dindex", "{case}: {}", ran.all());
                match (kind, how) {
                    ("dlist", _) => {
                        assert_eq!(number(&report, "VersionsNotRestorable"), 1, "{case}");
                    }
                    // Its dblock is opened instead.
                    ("dindex", _) => {
                        assert_eq!(report["Losses"], Value::Array(Vec::new()), "{case}")
                    }
                    // All blocks are still there, though under another name.
                    (_, Harm::Swap) => assert_eq!(number(&report, "LostBlocks"), 0, "{case}"),
                    _ => {
                        let losses = report["Losses"].as_array().expect("a list");
                        assert!(!losses.is_empty(), "{case}: {}", ran.all());
                        for loss in losses {
                            assert!(number(loss, "Files") + number(loss, "OnlyMetadata") > 0);
                        }
                    }
                }
            }
        }
    }
    assert!(scratch.left_in_tmp().is_empty());
}

#[test]
fn a_missing_dblock_is_followed_to_versions_and_files() {
    let scratch = Scratch::new("verify-loss");
    let name = "four-versions-aes";
    let dest = copy(&scratch, name);
    // All dblocks are gone: whatever has content is lost, in every version.
    for path in volumes(&dest, "dblock") {
        fs::remove_file(path).expect("there");
    }
    let ran = verify(&scratch, &dest, name, &[])
        .code(&[3])
        .says("4 versions lose data");
    let ran = ran.says("lose data (/home/alice/data/").says(" more)");
    ran.says("which is missing; blocks that no other volume holds are lost");
}

#[test]
fn all_of_one_version_can_be_asked_for() {
    let scratch = Scratch::new("verify-version");
    let name = "four-versions-aes";
    let dest = copy(&scratch, name);
    let oldest = &volumes(&dest, "dlist")[0];
    harm(oldest, oldest, Harm::Truncate);
    verify(&scratch, &dest, name, &["--version=3"])
        .code(&[3])
        .says("version 3 of ")
        .says("cannot be restored");
    let report = verify(&scratch, &dest, name, &["--version=1,2", "--json"])
        .code(&[0])
        .json();
    assert_eq!(number(&report, "CheckedVersions"), 2);
    verify(&scratch, &dest, name, &["--version=4"]).code(&[100]);
}

#[test]
fn a_sample_downloads_no_more_than_asked() {
    let scratch = Scratch::new("verify-sample");
    let name = "four-versions-plain";
    let dest = fixture(name).join("dest");
    for (words, most) in [(&["0"][..], 0), (&["1"], 1), (&["2"], 2)] {
        let args = [words, &["--json"]].concat();
        let report = verify(&scratch, &dest, name, &args).code(&[0]).json();
        assert_eq!(number(&report, "CheckedDblocks"), most, "{words:?}");
        assert!(number(&report, "CheckedVersions") >= 1, "{words:?}");
    }
    let words = ["--full-remote-verification=ListAndIndexes", "--json"];
    let report = verify(&scratch, &dest, name, &words).code(&[0]).json();
    assert_eq!(number(&report, "CheckedDblocks"), 0);
    assert_eq!(number(&report, "CheckedVersions"), 4);
}

#[test]
fn what_cannot_be_examined_is_an_error_not_a_finding() {
    let scratch = Scratch::new("verify-error");
    let dest = fixture("four-versions-aes").join("dest");
    for wrong in ["abc", "Correct horse battery staple"] {
        let args = ["verify", text(&dest)];
        scratch
            .run_env(&args, &[("PASSPHRASE", wrong)])
            .code(&[100])
            .says("wrong passphrase");
    }
    let empty = scratch.folder("empty");
    verify(&scratch, &empty, "", &[])
        .code(&[100])
        .says("there is no backup in it");
    let copied = copy(&scratch, "plain");
    for kind in ["dlist", "dindex", "dblock"] {
        for path in volumes(&copied, kind) {
            fs::write(path, b"").expect("writable");
        }
    }
    verify(&scratch, &copied, "plain", &["all"]).code(&[100]);
    for words in [&["many"][..], &["1", "2"], &["-1"]] {
        verify(&scratch, &dest, "four-versions-aes", words).code(&[200]);
    }
}

#[test]
fn a_backup_without_index_volumes_is_looked_up_in_its_dblocks() {
    let scratch = Scratch::new("verify-no-index");
    let dest = copy(&scratch, "no-dindex");
    verify(&scratch, &dest, "no-dindex", &[])
        .code(&[0])
        .says("there are no index volumes");
    fs::remove_file(&volumes(&dest, "dblock")[0]).expect("there");
    verify(&scratch, &dest, "no-dindex", &[])
        .code(&[3])
        .says("lose data");
}

#[test]
fn a_warm_cache_hides_no_damage_from_a_full_check() {
    let scratch = Scratch::new("verify-cache");
    let source = scratch.folder("source");
    let mut rand = support::Rand(7);
    fs::write(source.join("big"), rand.bytes(3_000_000)).expect("writable");
    let dest = scratch.folder("dest");
    let args = ["backup", text(&dest), text(&source), "--no-encryption"];
    let sizes = ["--blocksize=10kb", "--dblock-size=1mb"];
    scratch.run(&[&args[..], &sizes].concat()).code(&[0]);
    let run = |words: &[&str]| scratch.run(&[&["verify", text(&dest)], words].concat());
    run(&[]).code(&[0]);
    let report = run(&["all", "--json"]).code(&[0]).json();
    let there = volumes(&dest, "dindex");
    assert!(there.len() > 2, "several volumes");
    assert_eq!(number(&report, "CheckedIndexVolumes"), there.len() as u64);
    support::harm::flip(&there[1], None);
    run(&["all"])
        .code(&[3])
        .says("Modified ")
        .says(text(&there[1]).rsplit('/').next().expect("named"));
}

/// What `verify` says to do about damage does help.
#[test]
fn what_to_do_about_a_damaged_volume_brings_its_files_back() {
    let scratch = Scratch::new("verify-advice");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    std::fs::write(source.join("f"), support::Rand(5).bytes(300_000)).expect("a scratch folder");
    let backup = |more: &[&str]| {
        let mut line = vec!["backup", text(&dest), text(&source), "--no-encryption"];
        line.extend(["--blocksize=10kb", "--no-cache"]);
        line.extend(more);
        scratch.run(&line)
    };
    backup(&[]).code(&[0]);
    let damaged = support::volumes(&dest, "dblock")
        .pop()
        .expect("a scratch folder");
    support::harm::flip(&damaged, None);
    scratch
        .run(&["verify", text(&dest), "all"])
        .code(&[3])
        .says("'duplet repair URL --rebuild-missing-dblock-files VOLUME...'");
    let name = damaged.file_name().and_then(|n| n.to_str()).expect("plain");
    let repair = [
        "repair",
        text(&dest),
        "--rebuild-missing-dblock-files",
        name,
    ];
    scratch.run(&repair).code(&[0]);
    scratch.run(&["verify", text(&dest), "all"]).code(&[0]);
    let to = format!("--restore-path={}", text(&scratch.at("back")));
    scratch.run(&["restore", text(&dest), &to]).code(&[0]);
    let (was, is) = (source.join("f"), scratch.at("back/f"));
    assert!(
        std::fs::read(was).expect("a scratch folder")
            == std::fs::read(is).expect("a scratch folder")
    );
}

/// Places of a plain archive of ours that mean nothing to any reader: which version of the format it takes, attributes.
fn harmless(data: &[u8]) -> Vec<bool> {
    let at = |from: usize, len: usize| {
        let bytes = &data[from..from + len];
        bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b))
    };
    let end = data.len() - 22;
    let start = at(end + 16, 4);
    let mut out = vec![false; data.len()];
    let mut pos = start;
    while pos < end {
        for n in [4, 5, 6, 7, 36, 37, 38, 39, 40, 41] {
            out[pos + n] = true;
        }
        let local = at(pos + 42, 4);
        out[local + 4..local + 6].fill(true);
        pos += 46 + at(pos + 28, 2);
    }
    out
}

/// A full check sees damage in every place of a plain volume that means something, also what no restore looks at.
#[test]
fn damage_that_no_restore_meets_is_found() {
    let scratch = Scratch::new("verify-headers");
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    for n in 0..3u64 {
        let data = support::Rand(n).bytes(4000);
        fs::write(source.join(format!("f{n}")), data).expect("writable");
    }
    let plain = ["--no-encryption", "--blocksize=1kb"];
    let args = [&["backup", text(&dest), text(&source)][..], &plain].concat();
    scratch.run(&args).code(&[0]);
    let verify = || scratch.run(&["verify", text(&dest), "all"]);
    verify().code(&[0]);
    let tell = "the zip archive disagrees with itself at byte ";
    let check = |path: &Path, step: usize| {
        let whole = fs::read(path).expect("a volume");
        let harmless = harmless(&whole);
        let mut told = 0;
        for at in (0..whole.len()).step_by(step) {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            fs::write(path, bad).expect("writable");
            let ran = verify();
            let code = if harmless[at] { 0 } else { 3 };
            assert_eq!(ran.code, code, "{path:?} {at}: {}", ran.all());
            if ran.all().contains(tell) {
                told += 1;
                ran.says("no data is at risk");
                // It is as it says.
                if told % 8 == 1 {
                    let to = scratch.at("back");
                    let _ = fs::remove_dir_all(&to);
                    let to = format!("--restore-path={}", text(&to));
                    scratch.run(&["restore", text(&dest), &to]).code(&[0]);
                }
            }
        }
        fs::write(path, whole).expect("writable");
        assert!(told > 8, "{path:?}: {told}");
    };
    check(&volumes(&dest, "dlist")[0], 5);
    check(&volumes(&dest, "dindex")[0], 5);
    // What is said to help does.
    let index = volumes(&dest, "dindex").remove(0);
    support::harm::flip(&index, Some(14));
    verify().code(&[3]).says(tell).says("VOLUME...");
    let name = index.file_name().and_then(|n| n.to_str()).expect("plain");
    let rebuild = "--rebuild-missing-dblock-files";
    scratch
        .run(&["repair", text(&dest), rebuild, name])
        .code(&[0]);
    verify().code(&[0]);
    // Where no index states what a data volume is.
    fs::remove_file(&volumes(&dest, "dindex")[0]).expect("there");
    verify().code(&[0, 3]);
    let dblock = volumes(&dest, "dblock").remove(0);
    let whole = fs::read(&dblock).expect("a volume");
    for at in [6, 8, 14, 18, 22, 31] {
        let mut bad = whole.clone();
        bad[at] ^= 2;
        fs::write(&dblock, bad).expect("writable");
        verify().code(&[3]).says(tell).says("no data is at risk");
    }
}
