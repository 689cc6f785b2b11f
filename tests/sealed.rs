//! Encryption is a property of the backup: what was put beside encrypted volumes by somebody without the passphrase is never
//! content, never makes a backup go on in the clear, and never stays unnoticed.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Ran, Scratch, names, text, tree, volumes};

const SECRET: &str = "TOP-SECRET-DIARY ";
const ENV: &[(&str, &str)] = &[("PASSPHRASE", "correct horse")];

/// An encrypted backup of two versions, and beside it a plain one of other content.
fn two_backups() -> Scratch {
    let scratch = Scratch::new("sealed");
    let (source, evil) = (scratch.folder("source"), scratch.folder("evil"));
    tree::write(&source.join("file"), b"first");
    backup(&scratch, &[]).code(&[0]);
    tree::write(&source.join("file"), b"second, longer");
    backup(&scratch, &[]).code(&[0]);
    tree::write(&evil.join("file"), b"by a stranger");
    // The same block as what is backed up next: whoever believes the index stores it nowhere.
    tree::write(&evil.join("copy"), SECRET.repeat(50).as_bytes());
    let plain = scratch.at("plain");
    let args = ["backup", text(&plain), text(&evil), "--no-encryption"];
    scratch.run(&args).code(&[0]);
    scratch
}

fn run(scratch: &Scratch, words: &[&str]) -> Ran {
    scratch.run_env(words, ENV)
}

fn backup(scratch: &Scratch, more: &[&str]) -> Ran {
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    run(
        scratch,
        &[&["backup", text(&dest), text(&source), "--no-cache"], more].concat(),
    )
}

/// The plain backup's only volume of a kind.
fn planted(scratch: &Scratch, word: &str) -> PathBuf {
    volumes(&scratch.at("plain"), word).pop().unwrap()
}

fn put(scratch: &Scratch, word: &str, name: Option<&str>) -> String {
    let from = planted(scratch, word);
    let name = name.map_or_else(
        || from.file_name().unwrap().to_str().unwrap().to_owned(),
        str::to_owned,
    );
    fs::copy(&from, scratch.at("dest").join(&name)).unwrap();
    name
}

fn holds(file: &Path, what: &str) -> bool {
    let raw = fs::read(file).unwrap();
    raw.windows(what.len()).any(|w| w == what.as_bytes())
}

/// Each sort of planted volume, met by each command.
#[test]
fn plain_volumes_beside_encrypted_ones_are_no_content() {
    let sorts: [&[(&str, Option<&str>)]; 8] = [
        &[("dlist", None)],
        &[("dlist", Some("duplicati-20991231T235959Z.dlist.zip"))],
        &[("dlist", Some("duplicati-20010101T000000Z.dlist.zip"))],
        &[("dblock", None)],
        &[("dindex", None)],
        &[("dblock", None), ("dindex", None)],
        &[("dblock", None), ("dindex", None), ("dlist", None)],
        &[("dblock", Some("duplicati-bab.dblock.zip"))],
    ];
    for sort in sorts {
        let scratch = two_backups();
        let dest = scratch.at("dest");
        let put: Vec<String> = sort.iter().map(|(w, n)| put(&scratch, w, *n)).collect();
        let to = scratch.at("to");
        let place = format!("--restore-path={}", text(&to));
        run(&scratch, &["restore", text(&dest), &place, "--no-cache"])
            .code(&[2])
            .says("not encrypted although the backup is")
            .says(&put[0]);
        assert_eq!(fs::read(to.join("file")).unwrap(), b"second, longer");
        assert_eq!(names(&to).len(), 1);
        let listed = run(&scratch, &["list", text(&dest)]).code(&[2]);
        assert_eq!(listed.out.lines().count(), 2, "{}", listed.all());
        let found = run(&scratch, &["find", text(&dest), "copy"]).code(&[100]);
        assert!(!found.out.contains("copy"), "{}", found.all());
        let mut verified = run(&scratch, &["verify", text(&dest), "all"]).code(&[3]);
        for name in &put {
            verified = verified.says(&format!("Extra {name}: it is not encrypted"));
        }
        tree::write(&scratch.at("source/new"), SECRET.repeat(50).as_bytes());
        let had = names(&dest);
        backup(&scratch, &[]).code(&[3]).says("not encrypted");
        let new: Vec<_> = names(&dest)
            .into_iter()
            .filter(|n| !had.contains(n))
            .collect();
        assert_eq!(new.len(), 3, "{new:?}");
        for name in new {
            assert!(name.to_string_lossy().ends_with(".aes"), "{name:?}");
            assert!(!holds(&dest.join(&name), SECRET), "{name:?}");
        }
        // Without what was planted all of it is there.
        for name in &put {
            fs::remove_file(dest.join(name)).unwrap();
        }
        let again = scratch.at("again");
        let place = format!("--restore-path={}", text(&again));
        run(&scratch, &["restore", text(&dest), &place]).code(&[0]);
        let got = fs::read(again.join("new")).unwrap();
        assert_eq!(got, SECRET.repeat(50).as_bytes());
        run(&scratch, &["verify", text(&dest), "all"]).code(&[0]);
    }
}

#[test]
fn plain_volumes_are_believed_on_request() {
    let scratch = two_backups();
    let dest = scratch.at("dest");
    for word in ["dblock", "dindex", "dlist"] {
        put(&scratch, word, None);
    }
    let allow = "--allow-plain-volumes";
    let listed = run(&scratch, &["list", text(&dest), allow]).code(&[0]);
    assert_eq!(listed.out.lines().count(), 3, "{}", listed.all());
    run(&scratch, &["verify", text(&dest), "all", allow]).code(&[0]);
    let had = names(&dest);
    tree::write(&scratch.at("source/new"), b"new");
    // A warning: what the planted version held is not in this source.
    backup(&scratch, &[allow]).code(&[0, 2]);
    for name in names(&dest).iter().filter(|n| !had.contains(n)) {
        assert!(name.to_string_lossy().ends_with(".aes"), "{name:?}");
    }
    backup(&scratch, &["--no-encryption"])
        .code(&[100])
        .says("the destination is encrypted");
}

/// The newest list's header refuses a passphrase that opens everything else.
#[test]
fn a_damaged_header_is_not_taken_for_a_wrong_passphrase() {
    let scratch = two_backups();
    let dest = scratch.at("dest");
    let newest = volumes(&dest, "dlist").pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[70] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let to = format!("--restore-path={}", text(&scratch.at("to")));
    for command in [
        &["restore", text(&dest), &to][..],
        &["cat", text(&dest), "file"],
    ] {
        let ran = run(&scratch, &[command, &["--no-cache"]].concat());
        ran.code(&[3]).says("other volumes accept the passphrase");
    }
    assert_eq!(fs::read(scratch.at("to/file")).unwrap(), b"first");
    let args = ["delete", text(&dest), "--version=0", "--no-cache"];
    run(&scratch, &args).code(&[0]);
    assert_eq!(volumes(&dest, "dlist").len(), 1);
}

/// All ways to name a passphrase, on a destination that was replaced by a plain one.
#[test]
fn a_plain_destination_is_refused_while_a_passphrase_is_named() {
    let scratch = two_backups();
    let (plain, source) = (scratch.at("plain"), scratch.at("source"));
    fs::write(scratch.at("pw"), "correct horse\n").unwrap();
    fs::write(scratch.at("conf"), "--passphrase=correct horse\n").unwrap();
    let file = format!("--passphrase-file={}", text(&scratch.at("pw")));
    let conf = format!("--parameters-file={}", text(&scratch.at("conf")));
    let url = format!("file://{}?passphrase=x", text(&plain));
    let place = format!("--restore-path={}", text(&scratch.at("to")));
    let had = names(&plain);
    let (none, env): (&[(&str, &str)], _) = (&[], ENV);
    for (option, whence, env) in [
        ("--passphrase=x", "(--passphrase)", none),
        (file.as_str(), "--passphrase-file=", none),
        ("--passphrase-command=echo x", "--passphrase-command", none),
        ("--force-passphrase-from-stdin", "standard input", none),
        (conf.as_str(), "in the parameters file", none),
        ("-v", "the environment variable PASSPHRASE", env),
        ("", "in the destination URL", none),
    ] {
        let dest = if option.is_empty() {
            &url
        } else {
            text(&plain)
        };
        for words in [
            vec!["backup", dest, text(&source)],
            vec!["restore", dest, &place],
            vec!["list", dest],
            vec!["list", dest, "0"],
            vec!["find", dest, "file"],
            vec!["verify", dest],
        ] {
            let more = (!option.is_empty()).then_some(option);
            let args: Vec<&str> = words.iter().copied().chain(more).collect();
            let ran = scratch
                .run_env(&args, env)
                .code(&[100])
                .says("is not encrypted")
                .says(whence)
                .says("--no-encryption");
            let text = ran.all().to_lowercase();
            assert!(!text.contains("leave the passphrase out"), "{text}");
            assert!(!text.contains("correct horse"), "{text}");
        }
    }
    assert_eq!(names(&plain), had);
    assert!(!scratch.at("to").exists());
    let allowed = ["restore", text(&plain), &place, "--no-encryption"];
    run(&scratch, &allowed).code(&[0]);
    let args = ["backup", text(&plain), text(&source), "--no-encryption"];
    run(&scratch, &args).code(&[0, 2]);
    assert!(
        names(&plain)
            .iter()
            .all(|n| n.to_string_lossy().ends_with(".zip"))
    );
    // Reading on request, writing not.
    let mixed = ["list", text(&plain), "--allow-plain-volumes"];
    run(&scratch, &mixed).code(&[0]);
    let args = [
        "backup",
        text(&plain),
        text(&source),
        "--allow-plain-volumes",
    ];
    run(&scratch, &args).code(&[100]);
}

/// gpg passes on what nobody encrypted.
#[test]
fn a_gpg_volume_that_is_only_packed_is_no_content() {
    if std::process::Command::new("gpg")
        .arg("--version")
        .output()
        .is_err()
    {
        return;
    }
    let scratch = two_backups();
    let dest = scratch.at("dest");
    let gpg = |args: &[&str], to: &Path| {
        let from = planted(&scratch, "dlist");
        let home = scratch.folder("gnupg");
        let done = std::process::Command::new("gpg")
            .env("GNUPGHOME", &home)
            .args([
                "--batch",
                "--yes",
                "--quiet",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
            ])
            .args(args)
            .arg("--output")
            .arg(to)
            .args(if args.contains(&"--passphrase=other") {
                &["--symmetric"][..]
            } else {
                &["--store"]
            })
            .arg(from)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let name = "duplicati-20990101T000000Z.dlist.zip.gpg";
    for args in [&[][..], &["--armor"], &["-z", "0"], &["--passphrase=other"]] {
        gpg(args, &dest.join(name));
        let ran = run(&scratch, &["list", text(&dest), "0", "--no-cache"]);
        assert_eq!(ran.code, 100, "{}", ran.all());
        let ran = ran.says(name);
        assert!(!ran.out.contains("copy"), "{}", ran.all());
        run(&scratch, &["verify", text(&dest), "all"])
            .code(&[3])
            .says(name);
        fs::remove_file(dest.join(name)).unwrap();
    }
    let _ = std::process::Command::new("gpgconf")
        .env("GNUPGHOME", scratch.at("gnupg"))
        .args(["--kill", "gpg-agent"])
        .output();
}

/// An old state shown as a new one: the list is genuine, its name is not.
#[test]
fn an_old_version_under_a_newer_name_is_noticed() {
    for ahead in [1, 3600, 86_400 * 300] {
        let scratch = two_backups();
        let dest = scratch.at("dest");
        let lists = volumes(&dest, "dlist");
        let newest = lists.last().unwrap().file_name().unwrap().to_str().unwrap();
        let renamed = match ahead {
            1 => {
                let second: u32 = newest[23..25].parse().unwrap();
                let minute: u32 = newest[21..23].parse().unwrap();
                let next = minute * 60 + second + 1;
                assert!(next < 3600, "not at the end of an hour");
                format!(
                    "{}{:02}{:02}{}",
                    &newest[..21],
                    next / 60,
                    next % 60,
                    &newest[25..]
                )
            }
            3600 => newest.replace(&newest[10..18], "20301231"),
            _ => newest.replace(&newest[10..14], "2099"),
        };
        fs::copy(&lists[0], dest.join(&renamed)).unwrap();
        let place = format!("--restore-path={}", text(&scratch.at("to")));
        let said = "an older version under a newer name";
        run(&scratch, &["restore", text(&dest), &place])
            .code(&[2])
            .says(said);
        run(&scratch, &["list", text(&dest), "0"])
            .code(&[2])
            .says(said);
        run(&scratch, &["verify", text(&dest)])
            .code(&[3])
            .says(&format!("Modified {renamed}: "))
            .says(said);
        run(
            &scratch,
            &["restore", text(&dest), "--version=1", &place, "--overwrite"],
        )
        .code(&[0]);
    }
}

/// `list` proves the passphrase, and says where a wrong one came from.
#[test]
fn a_wrong_passphrase_is_told_with_its_source() {
    let scratch = two_backups();
    let (dest, source) = (scratch.at("dest"), scratch.at("source"));
    fs::write(scratch.at("pw"), "wrong\n").unwrap();
    fs::write(scratch.at("conf"), "--passphrase=wrong\n").unwrap();
    let file = format!("--passphrase-file={}", text(&scratch.at("pw")));
    let conf = format!("--parameters-file={}", text(&scratch.at("conf")));
    let place = format!("--restore-path={}", text(&scratch.at("to")));
    let had = names(&dest);
    for (options, whence) in [
        (vec![file.as_str()], "--passphrase-file="),
        (vec!["--passphrase=wrong"], "from --passphrase)"),
        (
            vec!["--passphrase-command=echo wrong"],
            "--passphrase-command",
        ),
        (
            vec![&conf, "--passphrase=correct horse"],
            "in the parameters file",
        ),
        (vec![], "the environment variable PASSPHRASE"),
    ] {
        for words in [
            vec!["list", text(&dest)],
            vec!["list-filesets", text(&dest)],
            vec!["list", text(&dest), "0"],
            vec!["find", text(&dest), "file"],
            vec!["restore", text(&dest), &place],
            vec!["verify", text(&dest)],
            vec!["backup", text(&dest), text(&source)],
        ] {
            let args = [&words[..], &options].concat();
            let ran = scratch.run_env(&args, &[("PASSPHRASE", "wrong too")]);
            let ran = ran.code(&[100]).says("wrong passphrase").says(whence);
            assert!(!ran.out.contains("list of"), "{}", ran.all());
        }
    }
    assert_eq!(names(&dest), had);
    run(&scratch, &["list", text(&dest)]).code(&[0]);
    // What is damaged says nothing of the passphrase.
    let small = volumes(&dest, "dindex");
    fs::write(&small[0], b"AES").unwrap();
    run(&scratch, &["list", text(&dest)]).code(&[0]);
}

/// A cache in which somebody wrote, checksum and all: it is left aside.
#[test]
fn a_forged_cache_is_left_aside() {
    let scratch = Scratch::new("sealed-cache");
    let (dest, source) = (scratch.at("dest"), scratch.folder("source"));
    for i in 0..20 {
        tree::write(&source.join(format!("file{i}")), &[i; 3000]);
    }
    let words = ["backup", text(&dest), text(&source)];
    run(&scratch, &words).code(&[0]);
    let root = scratch.at("cache/duplet");
    let kept: Vec<PathBuf> = names(&root)
        .into_iter()
        .map(|n| root.join(n))
        .flat_map(|folder| names(&folder).into_iter().map(move |n| folder.join(n)))
        .collect();
    assert!(kept.len() >= 2, "{kept:?}");
    let mut rand = support::Rand(11);
    for round in 0..40 {
        let file = &kept[round % kept.len()];
        let good = fs::read(file).unwrap();
        let mut forged = good[..good.len() - 32].to_vec();
        for _ in 0..=round % 3 {
            let at = usize::try_from(rand.below(forged.len() as u64 - 24)).unwrap() + 24;
            forged[at] ^= 1 << (round % 8);
        }
        if round % 5 == 4 {
            forged.truncate(forged.len() - 1 - round);
        }
        let digest = support::craft::Algo::Sha256.raw(&forged);
        forged.extend_from_slice(&digest);
        fs::write(file, &forged).unwrap();
        tree::write(&source.join("more"), round.to_string().as_bytes());
        let dry = [&words[..], &["--dry-run"]].concat();
        run(&scratch, &dry).code(&[0, 2]);
        // Versions are a second apart: some rounds are enough.
        if round % 10 < 2 {
            run(&scratch, &words).code(&[0, 2]);
        }
        let ran = run(&scratch, &["list", text(&dest)]);
        ran.code(&[0]);
        fs::write(file, good).unwrap();
    }
    let to = scratch.at("to");
    let place = format!("--restore-path={}", text(&to));
    fs::remove_dir_all(&root).unwrap();
    // Records that were forged well may have come into a version; without the cache they are found and mended.
    let again = [&words[..], &["--no-backend-verification"]].concat();
    run(&scratch, &again).code(&[0, 1, 2]);
    run(&scratch, &["restore", text(&dest), &place]).code(&[0]);
    for name in names(&source) {
        let same = fs::read(source.join(&name)).unwrap() == fs::read(to.join(&name)).unwrap();
        assert!(same, "{name:?}");
    }
}
