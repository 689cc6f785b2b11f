//! Backups that Duplicati wrote restore, every version, to exactly what they were made from.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::io::Write;

use support::snapshot::{But, Kind, expected, same, take};
use support::{Scratch, fixture, fixture_names, names, text};

struct Case {
    name: &'static str,
    passphrase: &'static str,
    /// Metadata was not kept.
    bare: bool,
}

const fn case(name: &'static str, passphrase: &'static str) -> Case {
    Case {
        name,
        passphrase,
        bare: false,
    }
}

const CASES: [Case; 16] = [
    case("aes", "abc"),
    case("compacted-aes", "päss wörd 語"),
    case("filehash-sha384", ""),
    case("four-versions-aes", "correct horse battery staple"),
    case("four-versions-plain", ""),
    case("gpg", "abc"),
    case("lookup-dindex", ""),
    case("manifest-v1-plain", ""),
    case("no-dindex", ""),
    case("other-prefix", ""),
    case("plain", ""),
    case("sha512", ""),
    Case {
        name: "skip-metadata",
        passphrase: "",
        bare: true,
    },
    case("verification-file", ""),
    case("zip-none", ""),
    case("zip64", ""),
];

impl Case {
    fn dest(&self) -> String {
        text(&fixture(self.name).join("dest")).to_owned()
    }

    /// Options that this destination needs.
    fn options(&self) -> Vec<String> {
        match self.passphrase {
            "" => Vec::new(),
            words => vec![format!("--passphrase={words}")],
        }
    }

    /// Numbers of the versions there are, newest first: the order of `--version`.
    fn versions(&self) -> Vec<String> {
        let files = names(&fixture(self.name).join("expected"));
        let mut numbers: Vec<u32> = files
            .iter()
            .map(|n| {
                n.to_str()
                    .unwrap()
                    .strip_suffix(".jsonl")
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        numbers.sort_unstable();
        numbers.iter().rev().map(u32::to_string).collect()
    }

    fn but(&self) -> But {
        But {
            mode: self.bare,
            fraction: self.bare,
            xattr: self.bare,
            ..But::default()
        }
    }
}

#[test]
fn every_fixture_is_covered() {
    let covered: Vec<_> = CASES.iter().map(|c| c.name.to_owned()).collect();
    assert_eq!(fixture_names(), covered);
}

#[test]
fn every_version_restores_exactly() {
    for case in &CASES {
        let scratch = Scratch::new("golden");
        for (version, number) in case.versions().iter().enumerate() {
            let to = scratch.at(&format!("version {number}"));
            let mut args = vec!["restore".to_owned(), case.dest()];
            args.push(format!("--restore-path={}", text(&to)));
            args.push(format!("--version={version}"));
            args.push("--restore-permissions".to_owned());
            args.extend(case.options());
            scratch.run(&args).code(&[0]);
            let (want, mut got) = (expected(case.name, number), take(&to));
            if case.bare {
                // No times of folders are kept at all.
                let folders = want.iter().filter(|(_, n)| n.kind == Kind::Folder);
                for (path, node) in folders {
                    if let Some(got) = got.get_mut(path) {
                        got.mtime = node.mtime;
                    }
                }
            }
            same(
                &want,
                &got,
                case.but(),
                &format!("{} version {number}", case.name),
            );
        }
        assert!(
            scratch.left_in_tmp().is_empty(),
            "{}: {:?}",
            case.name,
            scratch.left_in_tmp()
        );
    }
}

/// The same through `cat --tar` and GNU tar.
#[test]
fn every_version_streams_exactly() {
    for case in &CASES {
        let scratch = Scratch::new("golden-tar");
        for (version, number) in case.versions().iter().enumerate() {
            let to = scratch.folder(&format!("version {number}"));
            let mut args = vec!["cat".to_owned(), case.dest(), "--tar".to_owned()];
            args.push(format!("--version={version}"));
            args.extend(case.options());
            let ran = scratch.command(&args).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(0), "{}: {said}", case.name);
            let mut tar = std::process::Command::new("tar")
                .args(["-x", "-p", "--xattrs", "--xattrs-include=*", "-C"])
                .arg(&to)
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            tar.stdin.take().unwrap().write_all(&ran.stdout).unwrap();
            assert!(tar.wait().unwrap().success(), "{}", case.name);
            let (want, mut got) = (expected(case.name, number), take(&to));
            if case.bare {
                let folders = want.iter().filter(|(_, n)| n.kind != Kind::File);
                for (path, node) in folders {
                    if let Some(got) = got.get_mut(path) {
                        got.mtime = node.mtime;
                    }
                }
            }
            let what = format!("{} version {number} as tar", case.name);
            same(&want, &got, case.but(), &what);
        }
    }
}

/// Every file of the newest version through `cat`.
#[test]
fn every_file_streams_alone() {
    for case in &CASES {
        let scratch = Scratch::new("golden-cat");
        let version = case.versions().len() - 1;
        let want = expected(case.name, &case.versions()[version]);
        let files = want.iter().filter(|(_, n)| n.kind == Kind::File);
        for (path, node) in files.step_by(want.len() / 8 + 1) {
            let path = String::from_utf8(path.clone()).unwrap();
            let mut args = vec!["cat".to_owned(), case.dest(), format!("*/{path}")];
            args.push(format!("--version={version}"));
            args.extend(case.options());
            let ran = scratch.command(&args).output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.code(), Some(0), "{} {path}: {said}", case.name);
            let to = scratch.at("out");
            fs::write(&to, &ran.stdout).unwrap();
            let digest = support::snapshot::sha256(&to);
            assert_eq!(digest, node.sha256, "{}: {path}", case.name);
        }
    }
}

#[test]
fn one_file_restores_alone() {
    for case in &CASES {
        let scratch = Scratch::new("golden-one");
        let version = case.versions().len() - 1;
        let want = expected(case.name, &case.versions()[version]);
        let largest = want.iter().max_by_key(|(_, n)| n.size).unwrap();
        let path = String::from_utf8(largest.0.clone()).unwrap();
        let to = scratch.at("to");
        let mut args = vec!["restore".to_owned(), case.dest(), format!("*/{path}")];
        args.push(format!("--restore-path={}", text(&to)));
        args.push(format!("--version={version}"));
        args.extend(case.options());
        scratch.run(&args).code(&[0]);
        let found = names(&to);
        assert_eq!(found.len(), 1, "{}: {found:?}", case.name);
        let digest = support::snapshot::sha256(&to.join(&found[0]));
        assert_eq!(digest, largest.1.sha256, "{}: {path}", case.name);
    }
}

#[test]
fn verify_all_is_clean_and_changes_nothing() {
    for case in &CASES {
        let scratch = Scratch::new("golden-verify");
        let before = take(&fixture(case.name));
        let mut args = vec!["verify".to_owned(), case.dest(), "all".to_owned()];
        args.push("--full-remote-verification".to_owned());
        args.extend(case.options());
        scratch.run(&args).code(&[0]);
        same(
            &before,
            &take(&fixture(case.name)),
            But::default(),
            case.name,
        );
    }
}

#[test]
fn list_shows_every_version_and_find_every_path() {
    for case in &CASES {
        let scratch = Scratch::new("golden-list");
        let mut list = vec!["list".to_owned(), case.dest(), "--json".to_owned()];
        list.extend(case.options());
        let ran = scratch.run(&list).code(&[0]);
        ran.json();
        for (version, number) in case.versions().iter().enumerate() {
            let mut args = vec!["list".to_owned(), case.dest(), version.to_string()];
            args.extend(case.options());
            let ran = scratch.run(&args).code(&[0]);
            for path in expected(case.name, number).keys() {
                let path = String::from_utf8_lossy(path);
                let last = path.rsplit('/').next().unwrap_or_default();
                // Names with characters that are escaped when shown are the business of the unit tests.
                if last
                    .chars()
                    .all(|c| c.is_alphanumeric() || " .-_".contains(c))
                {
                    assert!(
                        ran.out.contains(last),
                        "{} lacks {path:?}: {}",
                        case.name,
                        ran.all()
                    );
                }
            }
        }
    }
}

/// Losing the cache costs time only; a cache that is damaged is no cache.
#[test]
fn the_cache_changes_nothing() {
    for name in ["four-versions-aes", "plain"] {
        let case = CASES.iter().find(|c| c.name == name).unwrap();
        let scratch = Scratch::new("golden-cache");
        let mut args = vec!["list".to_owned(), case.dest(), "0".to_owned()];
        args.extend(case.options());
        let cold = scratch.run(&args).code(&[0]).out;
        assert_eq!(scratch.run(&args).code(&[0]).out, cold, "{name}: warm");
        let mut files = Vec::new();
        let mut open = vec![scratch.at("cache")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(names(&path).into_iter().map(|n| path.join(n)));
            } else if fs::metadata(&path).unwrap().len() > 0 {
                files.push(path);
            }
        }
        for file in files {
            let good = fs::read(&file).unwrap();
            support::harm::flip(&file, None);
            assert_eq!(
                scratch.run(&args).code(&[0]).out,
                cold,
                "{name}: flipped {file:?}"
            );
            fs::write(&file, &good[..good.len() / 2]).unwrap();
            assert_eq!(
                scratch.run(&args).code(&[0]).out,
                cold,
                "{name}: cut {file:?}"
            );
        }
        fs::remove_dir_all(scratch.at("cache")).unwrap();
        assert_eq!(scratch.run(&args).code(&[0]).out, cold, "{name}: no cache");
    }
}
