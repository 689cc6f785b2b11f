//! What duplet wrote is opened by programs that are not duplet: unzip, pyAesCrypt, and a checker in plain Python that
//! knows the writer's rules and restores a backup on its own.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use support::snapshot::{But, INSTALL, same, take};
use support::{Scratch, fixture, names, text, tool, tree};

const PASSPHRASE: &str = "päss wörd 語🔑";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/outside")
        .join(name)
}

/// Python with pyAesCrypt, made below the target folder by the first test that asks.
fn python() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| {
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv");
        tool(text(&script("setup")), &[venv.as_os_str()], INSTALL);
        venv.join("bin/python")
    })
}

/// Runs the checker; it also restores version `version` to `to` when there is one.
fn check(plain: &Path, stored: &Path, to: Option<(&Path, usize)>, foreign: bool) -> String {
    let check = script("check.py");
    let version = to.map_or(0, |(_, n)| n).to_string();
    let mut args = vec![check.as_os_str(), plain.as_os_str()];
    args.extend(["--stored".as_ref(), stored.as_os_str()]);
    args.extend::<[&OsStr; 2]>(["--version".as_ref(), version.as_ref()]);
    if let Some((to, _)) = to {
        args.extend(["--restore".as_ref(), to.as_os_str()]);
    }
    if foreign {
        args.push("--foreign".as_ref());
    }
    String::from_utf8_lossy(&tool("python3", &args, INSTALL)).into_owned()
}

fn unzip_all(folder: &Path) {
    for name in names(folder) {
        tool(
            "unzip",
            &["-tqq".as_ref(), folder.join(name).as_os_str()],
            INSTALL,
        );
    }
}

/// Two versions of a made tree; the second after edits.
fn back_up_twice(scratch: &Scratch, block: &str, how: &[&str]) -> [support::snapshot::Snapshot; 2] {
    let (source, dest) = (scratch.folder("source"), scratch.folder("dest"));
    let block_bytes = if block == "1kb" { 1 << 10 } else { 64 << 10 };
    tree::make(&source, 7, block_bytes);
    let block = format!("--blocksize={block}");
    let mut args = vec![
        "backup",
        text(&dest),
        text(&source),
        &block,
        "--dblock-size=1mb",
    ];
    args.extend(how);
    scratch.run(&args).code(&[0]);
    let first = take(&source);
    tree::edit(&source, 8);
    scratch.run(&args).code(&[0]);
    [first, take(&source)]
}

#[test]
fn plain_volumes_open_everywhere() {
    for block in ["1kb", "64kb"] {
        let scratch = Scratch::new("outside-plain");
        let trees = back_up_twice(&scratch, block, &["--no-encryption"]);
        let dest = scratch.at("dest");
        unzip_all(&dest);
        for (version, tree) in trees.iter().rev().enumerate() {
            let to = scratch.folder(&format!("restored {version}"));
            check(&dest, &dest, Some((&to, version)), false);
            same(
                tree,
                &take(&to),
                But::default(),
                &format!("{block} version {version} restored by Python"),
            );
        }
    }
}

/// zlib, by Python, and unzip read what each level makes of programs, text, runs and what is packed already.
#[test]
fn every_level_opens_everywhere() {
    let scratch = Scratch::new("outside-levels");
    let source = scratch.folder("source");
    let program = std::fs::read(env!("CARGO_BIN_EXE_duplet")).unwrap();
    let manual = include_bytes!("../README.md");
    let middle = program.len() / 2;
    let mut rand = support::rand::Rand(4);
    let noise = rand.bytes(50_000);
    let parts = [
        ("program", &program[middle..middle + (200 << 10)]),
        ("text", manual.as_slice()),
        ("runs", &[b'-'; 70_000]),
        ("packed", &noise),
    ];
    for (name, content) in parts {
        std::fs::write(source.join(name), content).unwrap();
    }
    std::fs::write(source.join("all"), parts.map(|(_, part)| part).concat()).unwrap();
    for level in ["1", "2", "4", "6", "9"] {
        let dest = scratch.folder(&format!("dest {level}"));
        let level = format!("--zip-compression-level={level}");
        let how = ["backup", text(&dest), text(&source), "--no-encryption"];
        scratch.run(&[&how[..], &[&level]].concat()).code(&[0]);
        unzip_all(&dest);
        let to = scratch.folder(&format!("restored {level}"));
        check(&dest, &dest, Some((&to, 0)), false);
        same(&take(&source), &take(&to), But::default(), &level);
    }
}

#[test]
fn encrypted_volumes_open_with_pyaescrypt() {
    let scratch = Scratch::new("outside-aes");
    let passphrase = format!("--passphrase={PASSPHRASE}");
    let trees = back_up_twice(&scratch, "64kb", &[&passphrase]);
    let (dest, plain) = (scratch.at("dest"), scratch.folder("plain"));
    let decrypt = script("decrypt.py");
    let args = [
        decrypt.as_os_str(),
        dest.as_os_str(),
        plain.as_os_str(),
        PASSPHRASE.as_ref(),
    ];
    tool(text(python()), &args, INSTALL);
    unzip_all(&plain);
    for (version, tree) in trees.iter().rev().enumerate() {
        let to = scratch.folder(&format!("restored {version}"));
        check(&plain, &dest, Some((&to, version)), false);
        same(
            tree,
            &take(&to),
            But::default(),
            &format!("version {version} restored by Python"),
        );
    }
}

/// More blocks than an old zip can count: the volume needs the 64-bit end record.
#[test]
fn a_volume_of_many_tiny_blocks_opens_everywhere() {
    let scratch = Scratch::new("outside-zip64");
    let (source, dest) = (scratch.folder("source"), scratch.folder("dest"));
    let mut counted = Vec::new();
    for n in 0..66_000_u32 {
        let mut block = [0; 1024];
        block[..4].copy_from_slice(&n.to_be_bytes());
        counted.extend_from_slice(&block);
    }
    tree::write(&source.join("counted"), &counted);
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--blocksize=1kb",
        "--dblock-size=500mb",
        "--no-encryption",
    ];
    scratch.run(&args).code(&[0]);
    unzip_all(&dest);
    let to = scratch.folder("restored");
    check(&dest, &dest, Some((&to, 0)), false);
    same(
        &take(&source),
        &take(&to),
        But::default(),
        "restored by Python",
    );
}

/// Adopting what is there: versions of duplet on top of one by Duplicati keep its parameters.
#[test]
fn a_version_on_top_of_duplicatis_keeps_its_parameters() {
    for name in ["plain", "filehash-sha384", "sha512"] {
        let scratch = Scratch::new("outside-adopt");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        support::copy_folder(&fixture(name).join("dest"), &dest);
        let had = names(&dest);
        tree::make(&source, 3, 2048);
        scratch
            .run(&["backup", text(&dest), text(&source)])
            // Another source than Duplicati's: all of that is gone, which is warned of.
            .code(&[2]);
        // The new version alone, as the checker would refuse the index volumes of old releases.
        let plain = scratch.folder("both");
        support::copy_folder(&dest, &plain);
        let to = scratch.folder("restored");
        if name == "plain" {
            check(&plain, &plain, Some((&to, 0)), true);
            same(
                &take(&source),
                &take(&to),
                But::default(),
                "restored by Python",
            );
        }
        let manifest = |volume: &OsStr| {
            let raw = tool(
                "unzip",
                &[
                    "-p".as_ref(),
                    dest.join(volume).as_os_str(),
                    "manifest".as_ref(),
                ],
                INSTALL,
            );
            let json: serde_json::Value = serde_json::from_slice(&raw[3..]).unwrap();
            ["Blocksize", "BlockHash", "FileHash"].map(|key| json[key].clone())
        };
        let first = manifest(&had[0]);
        for volume in names(&dest) {
            assert_eq!(manifest(&volume), first, "{name}: {volume:?}");
        }
    }
}

/// The checker is right about the rules: Duplicati's own volumes keep them.
#[test]
fn the_checker_agrees_with_duplicati() {
    for name in [
        "plain",
        "four-versions-plain",
        "zip-none",
        "zip64",
        "other-prefix",
    ] {
        let dest = fixture(name).join("dest");
        let said = check(&dest, &dest, None, true);
        assert!(said.starts_with("ok:"), "{name}: {said}");
    }
}

/// The checker notices: one flipped bit anywhere in a volume is a broken rule.
#[test]
fn the_checker_notices_damage() {
    let scratch = Scratch::new("outside-checker");
    for word in ["dblock", "dindex", "dlist"] {
        let dest = scratch.at(word);
        support::copy_folder(&fixture("plain").join("dest"), &dest);
        support::harm::flip(&support::volumes(&dest, word)[0], None);
        let status = std::process::Command::new("python3")
            .args([
                script("check.py").as_os_str(),
                dest.as_os_str(),
                "--foreign".as_ref(),
            ])
            .output()
            .unwrap();
        assert!(!status.status.success(), "{word}: the checker saw nothing");
    }
}

/// What the checker says of what a version needs; whether it is content.
fn needs(plain: &Path, stored: &Path, more: &[&str]) -> (bool, String) {
    let mut args = vec![text(&script("check.py")).to_owned(), text(plain).to_owned()];
    args.push(format!("--stored={}", text(stored)));
    args.push("--needs".to_owned());
    args.extend(more.iter().map(|a| (*a).to_owned()));
    let ran = std::process::Command::new("python3")
        .args(&args)
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Volumes of a destination in the clear.
fn decrypted(scratch: &Scratch, dest: &Path, passphrase: &str) -> PathBuf {
    let plain = scratch.folder("in the clear");
    let decrypt = script("decrypt.py");
    let args = [
        decrypt.as_os_str(),
        dest.as_os_str(),
        plain.as_os_str(),
        passphrase.as_ref(),
    ];
    tool(text(python()), &args, INSTALL);
    plain
}

/// Every block that a version needs is in exactly the volume that an index names, whoever wrote it.
#[test]
fn what_versions_need_is_where_the_index_says() {
    for (name, passphrase, more) in [
        ("plain", "", &[][..]),
        ("four-versions-plain", "", &[]),
        ("zip-none", "", &[]),
        ("zip64", "", &[]),
        ("other-prefix", "", &[]),
        ("sha512", "", &[]),
        ("filehash-sha384", "", &[]),
        ("skip-metadata", "", &[]),
        ("verification-file", "", &[]),
        ("lookup-dindex", "", &["--no-copies"]),
        ("aes", "abc", &[]),
        ("four-versions-aes", "correct horse battery staple", &[]),
        ("compacted-aes", "päss wörd 語", &[]),
    ] {
        let scratch = Scratch::new("outside-needs");
        let dest = fixture(name).join("dest");
        let plain = match passphrase {
            "" => dest.clone(),
            words => decrypted(&scratch, &dest, words),
        };
        let (good, said) = needs(&plain, &dest, more);
        assert!(good && said.starts_with("ok:"), "{name}: {said}");
    }
    for name in ["compact-thresholds", "compact-waste"] {
        let (good, said) = needs(&support::lifecycle(name), &support::lifecycle(name), &[]);
        assert!(good && said.starts_with("ok:"), "{name}: {said}");
    }
    for (block, passphrase) in [
        ("1kb", ""),
        ("1kb", PASSPHRASE),
        ("64kb", ""),
        ("64kb", PASSPHRASE),
    ] {
        let scratch = Scratch::new("outside-needs-own");
        let how = match passphrase {
            "" => "--no-encryption".to_owned(),
            words => format!("--passphrase={words}"),
        };
        back_up_twice(&scratch, block, &[&how]);
        let dest = scratch.at("dest");
        let plain = match passphrase {
            "" => dest.clone(),
            words => decrypted(&scratch, &dest, words),
        };
        let (good, said) = needs(&plain, &dest, &[]);
        assert!(good && said.starts_with("ok:"), "{block}: {said}");
    }
}

/// One thing that is wrong is found, by the rule that it breaks.
#[test]
fn every_rule_of_what_versions_need_finds_its_harm() {
    let scratch = Scratch::new("outside-harm");
    for (harm, rule) in [
        ("unreadable", "N1"),
        ("missing-volume", "N2"),
        ("no-dindex", "N3"),
        ("two-dindexes", "N3"),
        ("wrong-size", "N4"),
        ("wrong-hash", "N4"),
        ("not-listed", "N5"),
        ("not-held", "N5"),
        ("block-size", "N5"),
        ("block-content", "N5"),
        ("two-places", "N6"),
        ("nowhere", "N7"),
        ("wrong-length", "N7"),
        ("copy-content", "N8"),
        ("copy-missing", "N8"),
    ] {
        let dest = scratch.at(harm);
        support::copy_folder(&fixture("four-versions-plain").join("dest"), &dest);
        let (good, said) = needs(&dest, &dest, &[]);
        assert!(good, "{said}");
        let program = script("harm.py");
        tool(
            "python3",
            &[program.as_os_str(), dest.as_os_str(), harm.as_ref()],
            INSTALL,
        );
        let (good, said) = needs(&dest, &dest, &[]);
        assert!(!good, "{harm}: nothing was found");
        let found = said.lines().any(|l| l.starts_with(&format!("{rule} ")));
        assert!(found, "{harm} is not found by {rule}: {said}");
        assert!(!said.contains("Traceback"), "{harm}: {said}");
        // Of what is harmed without another consequence nothing else is said.
        if [
            "two-places",
            "nowhere",
            "wrong-length",
            "wrong-size",
            "wrong-hash",
        ]
        .contains(&harm)
        {
            assert!(
                said.lines()
                    .all(|l| l.starts_with(rule) || l.starts_with("and ")),
                "{harm}: {said}"
            );
        }
    }
}
