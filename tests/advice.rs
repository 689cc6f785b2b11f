//! What is said to do about damage helps: it names the version, the volume and the command that puts things right.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::harm::{Harm, harm};
use support::{Ran, Rand, Scratch, text, tree, volumes};

const ENCRYPTED: &str = "--passphrase=the right one";
const PLAIN: &str = "--no-encryption";

/// Four versions of some files, made on four days of 2021.
struct World {
    scratch: Scratch,
    source: PathBuf,
    dest: PathBuf,
    how: &'static str,
}

impl World {
    fn new(how: &'static str) -> World {
        let scratch = Scratch::new("advice");
        let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
        let world = World {
            scratch,
            source,
            dest,
            how,
        };
        for n in 0..4 {
            tree::write(&world.source.join("secret"), &Rand(n).bytes(20_000));
            tree::write(&world.source.join("file"), &Rand(50 + n).bytes(30_000));
            let source = text(&world.source).to_owned();
            world
                .run("backup", &[&source, "--blocksize=10kb"])
                .code(&[0]);
            let list = volumes(&world.dest, "dlist").pop().unwrap();
            let name = list.file_name().unwrap().to_string_lossy().into_owned();
            let end = &name[name.find(".dlist").unwrap()..];
            let new = format!("duplicati-2021010{}T000000Z{end}", n + 1);
            fs::rename(&list, world.dest.join(new)).unwrap();
        }
        world
    }

    fn run(&self, command: &str, more: &[&str]) -> Ran {
        let common = [command, text(&self.dest), self.how, "--no-cache"];
        self.scratch.run(&[&common[..], more].concat())
    }

    /// The list of version `no`, 0 = newest.
    fn list(&self, no: usize) -> PathBuf {
        volumes(&self.dest, "dlist")
            .into_iter()
            .rev()
            .nth(no)
            .unwrap()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_version_that_cannot_be_read_is_given_up_by_its_number() {
    for (how, damage, no) in [
        (ENCRYPTED, Harm::Flip, 2),
        (ENCRYPTED, Harm::Truncate, 1),
        (PLAIN, Harm::Truncate, 3),
    ] {
        let world = World::new(how);
        let list = world.list(no);
        harm(&list, &list, damage);
        let advice = format!("'duplet delete URL --version={no}' gives");
        let ran = world.run("verify", &["all"]).code(&[3]).says(&advice);
        let helps_not = ["rebuild-missing", "purge-broken-files"];
        assert!(
            !helps_not.iter().any(|w| ran.err.contains(w)),
            "{}",
            ran.all()
        );
        for (command, more, code) in [
            ("purge-broken-files", &[][..], 100),
            ("purge-broken-files", &["--dry-run"], 100),
            ("purge", &["secret"], 100),
            ("purge", &["secret", "--dry-run"], 100),
            ("repair", &[], 2),
            ("repair", &["--dry-run"], 2),
            ("repair", &["--rebuild-missing-dblock-files"], 2),
        ] {
            let ran = world.run(command, more).code(&[code]).says(&advice);
            let said = ran
                .says(&name(&list))
                .says("nothing is deleted while a version");
            assert!(!said.out.contains("nothing matches"), "{}", said.all());
        }
        let ran = world.run("list-broken-files", &[]).code(&[3]).says(&advice);
        ran.says("1 of 4 versions cannot be read; no other loses anything");
        let ran = world.run("list-broken-files", &["--json"]).code(&[3]);
        assert_eq!(ran.json()["VersionsNotRead"], 1);
        let data = volumes(&world.dest, "dblock").remove(0);
        let ran = world.run("affected", &[&name(&data)]).code(&[3]);
        assert!(!ran.out.contains("no version loses"), "{}", ran.all());
        // And it is so.
        let number = format!("--version={no}");
        world.run("delete", &[&number]).code(&[0]);
        world.run("verify", &["all"]).code(&[0]);
        world.run("purge-broken-files", &[]).code(&[0]);
    }
}

#[test]
fn versions_that_cannot_be_read_are_numbered_together_and_apart_from_other_damage() {
    let world = World::new(ENCRYPTED);
    for no in [1, 3] {
        harm(&world.list(no), &world.list(no), Harm::Flip);
    }
    let all = "'duplet delete URL --version=1,3' gives these versions up";
    world.run("verify", &["all"]).code(&[3]).says(all);
    let ran = world.run("list-broken-files", &[]).code(&[3]);
    ran.says("--version=1'").says("--version=3'");
    fs::remove_file(volumes(&world.dest, "dblock").remove(0)).unwrap();
    let ran = world.run("verify", &["all"]).code(&[3]).says(all);
    ran.says("--rebuild-missing-dblock-files");
    world.run("delete", &["--version=1,3"]).code(&[0, 2]);
    let ran = world.run("verify", &["all"]);
    assert!(!ran.err.contains("gives"), "{}", ran.all());
}

#[test]
fn a_list_is_no_work_for_repair() {
    let world = World::new(PLAIN);
    let ran = world.run("repair", &[&name(&world.list(0))]).code(&[200]);
    let ran = ran
        .says("'duplet verify URL all'")
        .says("duplet delete URL --version=N");
    assert!(!ran.err.contains("remote delete"), "{}", ran.all());
}

#[test]
fn what_others_put_there_is_removed_by_its_name() {
    let world = World::new(ENCRYPTED);
    let other = World::new(PLAIN);
    let gone = |names: &[String]| {
        for name in names {
            let args = ["remote", "delete", text(&world.dest), name];
            world.scratch.run(&args).code(&[0]);
        }
        world.run("verify", &["all"]).code(&[0]);
    };
    for kind in ["dlist", "dindex", "dblock"] {
        let stray = volumes(&other.dest, kind).remove(0);
        fs::copy(&stray, world.dest.join(name(&stray))).unwrap();
        let remove = format!("'duplet remote delete URL {}'", name(&stray));
        let ran = world.run("verify", &["all"]).code(&[3]).says(&remove);
        let ran = ran.says("look who put this volume there");
        assert!(!ran.err.contains("repair"), "{}", ran.all());
        gone(&[name(&stray)]);
    }
    let strays = volumes(&other.dest, "dblock");
    for stray in &strays {
        fs::copy(stray, world.dest.join(name(stray))).unwrap();
    }
    let ran = world.run("verify", &["--json"]).code(&[3]);
    assert_eq!(ran.json()["ForeignVolumes"], strays.len());
    ran.says("remove each with 'duplet remote delete URL NAME'");
    gone(&strays.iter().map(|s| name(s)).collect::<Vec<_>>());
    // An old list under a new name.
    let args = ["backup", text(&world.dest), text(&world.source), ENCRYPTED];
    tree::write(&world.source.join("more"), b"more");
    world.scratch.run(&args).code(&[0]);
    let old = world.list(0);
    let new = world
        .dest
        .join(format!("duplicati-20990101T000000Z{}", &name(&old)[26..]));
    fs::copy(&old, &new).unwrap();
    let remove = format!("'duplet remote delete URL {}'", name(&new));
    let ran = world.run("verify", &["all"]).code(&[3]).says(&remove);
    assert!(!ran.err.contains("repair"), "{}", ran.all());
    gone(&[name(&new)]);
}

#[test]
fn a_stray_that_locks_a_plain_backup_is_named() {
    let world = World::new(PLAIN);
    let (dest, source) = (text(&world.dest).to_owned(), text(&world.source).to_owned());
    for (stray, size) in [
        (
            "duplicati-b00000000000000000000000000000000.dblock.zip.aes",
            0,
        ),
        (
            "duplicati-i11111111111111111111111111111111.dindex.zip.aes",
            7,
        ),
        ("duplicati-20200101T000000Z.dlist.zip.gpg", 300),
    ] {
        fs::write(world.dest.join(stray), vec![7; size]).unwrap();
        let to = format!("--restore-path={}", text(&world.scratch.at("to")));
        let remove = format!(
            "if this backup never was encrypted, remove it with 'duplet remote delete URL {stray}'"
        );
        for args in [
            &["restore", &dest, PLAIN, &to][..],
            &["backup", &dest, &source, PLAIN],
            &["delete", &dest, "--keep-versions=2", PLAIN],
            &["verify", &dest, PLAIN],
            &["restore", &dest, &to],
            &["restore", &dest, &to, "--passphrase=x"],
            &["list", &dest, "--passphrase=x"],
        ] {
            let ran = world.scratch.run(args);
            assert_ne!(ran.code, 0, "{}", ran.all());
            ran.says(stray).says(&remove);
        }
        let args = ["remote", "delete", &dest, stray];
        world.scratch.run(&args).code(&[0]);
        world.run("verify", &["all"]).code(&[0]);
    }
    // In an encrypted backup the rule and its advice stay as they are.
    let world = World::new(ENCRYPTED);
    let args = ["list", text(&world.dest), "0", PLAIN];
    let ran = world.scratch.run(&args).code(&[100]);
    ran.says("leave --no-encryption out");
}
