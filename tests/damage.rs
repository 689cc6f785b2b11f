//! Every kind of damage to every kind of volume, met by every command: the exit code is right, the volume is named, nothing
//! panics, and what is not damaged is restored.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::harm::{ALL, Harm, harm};
use support::snapshot::{INSTALL, Kind, Snapshot, take};
use support::{Ran, Rand, Scratch, text, tool, tree, volumes};

const PASSPHRASE: &str = "--passphrase=damage";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Dlist,
    Dindex,
    Dblock,
    /// The manifest inside the newest dlist.
    Manifest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Which versions there are.
    Versions,
    /// The newest version's entries.
    List,
    Restore,
    RestoreOlder,
    Backup,
    Verify,
}

const ACTS: [Act; 6] = [
    Act::Versions,
    Act::List,
    Act::Restore,
    Act::RestoreOlder,
    Act::Backup,
    Act::Verify,
];

/// Exit codes allowed, and whether the damaged volume must be named.
fn right(victim: Victim, how: Harm, act: Act, encrypted: bool) -> (&'static [i32], bool) {
    use Act::*;
    match (victim, how, act) {
        // Which versions there are is read from names alone.
        (_, _, Versions) => (&[0], false),
        // A version whose list is gone does not exist, and nobody can tell that it did; exchanged lists are two good ones.
        (Victim::Dlist, Harm::Delete | Harm::Swap, Backup) => (&[0, 2], false),
        (Victim::Dlist, Harm::Delete, RestoreOlder) => (&[100], false),
        // An encrypted list that is older than its name is noticed.
        (Victim::Dlist, Harm::Swap, List | Restore) if encrypted => (&[2], false),
        (Victim::Dlist, Harm::Swap, Verify) if encrypted => (&[3], true),
        (Victim::Dlist, Harm::Delete | Harm::Swap, _) => (&[0], false),
        // Another backup's parameters: the list is whole, but no other volume agrees with it.
        (Victim::Manifest, Harm::Swap, List) => (&[0], false),
        (Victim::Manifest, Harm::Swap, Restore | Verify) => (&[3, 100], false),
        (Victim::Manifest, Harm::Swap, Backup) => (&[100], false),
        (Victim::Dlist | Victim::Manifest, _, List | Restore) => (&[100], true),
        (Victim::Dlist | Victim::Manifest, _, RestoreOlder) => (&[0], false),
        // The run warns, and backs up without comparing with the damaged list. A manifest of another backup refuses it.
        (Victim::Dlist, _, Backup) => (&[2], true),
        (Victim::Manifest, _, Backup) => (&[2, 100], true),
        (Victim::Dlist | Victim::Manifest, _, Verify) => (&[3], true),
        // Without its index a dblock is opened itself; nothing is lost. Index volumes say themselves which dblock is meant.
        (Victim::Dindex, Harm::Delete | Harm::Swap, List | Restore | RestoreOlder) => {
            (&[0, 2], false)
        }
        (Victim::Dindex, Harm::Delete | Harm::Swap, Backup) => (&[0, 2], false),
        (Victim::Dindex, Harm::Delete | Harm::Swap, Verify) => (&[0, 2, 3], false),
        (Victim::Dindex, _, List) => (&[0, 2], false),
        // The entries before the cut are whole in a plain volume, and may be all that is needed.
        (Victim::Dindex, Harm::Truncate, Restore | RestoreOlder | Backup) if !encrypted => {
            (&[0, 2], false)
        }
        (Victim::Dindex, _, Restore | RestoreOlder | Backup) => (&[2], true),
        (Victim::Dindex, _, Verify) => (&[3], true),
        (Victim::Dblock, _, List) => (&[0], false),
        (Victim::Dblock, Harm::Swap, Restore | RestoreOlder) => (&[0, 2, 3], false),
        (Victim::Dblock, _, Restore | RestoreOlder) => (&[3], true),
        // Same length: only reading it shows the damage. The data of a volume that is gone must not be built upon.
        (Victim::Dblock, Harm::Flip, Backup) => (&[0, 2, 3], false),
        (Victim::Dblock, Harm::Swap, Backup) => (&[0, 2, 3, 100], false),
        (Victim::Dblock, _, Backup) => (&[100], true),
        (Victim::Dblock, _, Verify) => (&[3], !encrypted || how != Harm::Swap),
    }
}

/// A destination of two versions and several dblocks, and what the versions look like.
struct Base {
    scratch: Scratch,
    encrypted: bool,
    /// Oldest first.
    versions: [Snapshot; 2],
}

impl Base {
    fn new(encrypted: bool) -> Base {
        let scratch = Scratch::new("damage-base");
        let source = scratch.folder("source");
        let mut rand = Rand(9);
        for n in 0..4 {
            tree::write(&source.join(format!("random {n}")), &rand.bytes(700_000));
        }
        tree::write(&source.join("text"), &rand.prose(30_000));
        let base = |scratch, versions| Base {
            scratch,
            encrypted,
            versions,
        };
        let mut base = base(scratch, [Snapshot::new(), Snapshot::new()]);
        let dest = base.scratch.at("dest");
        let first = take(&source);
        base.act(Act::Backup, &dest, &source).code(&[0]);
        tree::write(&source.join("random 1"), &rand.bytes(650_000));
        tree::write(&source.join("new"), &rand.prose(20_000));
        base.act(Act::Backup, &dest, &source).code(&[0]);
        base.versions = [first, take(&source)];
        tree::write(
            &source.join("newer"),
            b"makes every further run have something to do",
        );
        base
    }

    fn act(&self, act: Act, dest: &Path, place: &Path) -> Ran {
        let to = format!("--restore-path={}", text(place));
        let dest = text(dest);
        let mut args = match act {
            Act::Versions => vec!["list", dest],
            Act::List => vec!["list", dest, "0"],
            Act::Restore => vec!["restore", dest, &to, "--version=0"],
            Act::RestoreOlder => vec!["restore", dest, &to, "--version=1"],
            Act::Backup => vec![
                "backup",
                dest,
                text(place),
                "--dblock-size=1mb",
                "--blocksize=50kb",
            ],
            Act::Verify => vec!["verify", dest, "all", "--full-remote-verification"],
        };
        args.push(if self.encrypted {
            PASSPHRASE
        } else {
            "--no-encryption"
        });
        args.push("--no-cache");
        self.scratch.run(&args)
    }
}

/// The volume to damage, and its partner for an exchange.
fn pick(dest: &Path, victim: Victim) -> (PathBuf, PathBuf) {
    let word = match victim {
        Victim::Dlist | Victim::Manifest => "dlist",
        Victim::Dindex => "dindex",
        Victim::Dblock => "dblock",
    };
    let mut all = volumes(dest, word);
    if word == "dlist" {
        all.reverse();
    } else {
        // The largest first: it surely holds data that is needed.
        all.sort_by_key(|p| std::cmp::Reverse(p.metadata().unwrap().len()));
    }
    (all[0].clone(), all[1].clone())
}

/// Rewrites a plain volume with another manifest: how it is damaged follows the kind of harm.
fn harm_manifest(volume: &Path, how: Harm) {
    const REWRITE: &str = r#"
import sys, zipfile
path, how = sys.argv[1:]
with zipfile.ZipFile(path) as z:
    entries = [(i.filename, z.read(i)) for i in z.infolist()]
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in entries:
        if name == "manifest":
            if how == "Delete":
                continue
            if how == "Truncate":
                data = data[: len(data) // 2]
            if how == "Flip":
                data = data.replace(b'"utf8"', b'"utf9"').replace(b'"SHA256"', b'"SHA255"')
            if how == "Swap":
                data = data.replace(b'"SHA256"', b'"SHA512"').replace(b'51200', b'102400')
        z.writestr(name, data)
"#;
    let how = format!("{how:?}");
    tool(
        "python3",
        &[
            "-c".as_ref(),
            REWRITE.as_ref(),
            volume.as_os_str(),
            how.as_ref(),
        ],
        INSTALL,
    );
}

/// Files restored under their own name are right; those that are not are spoken of. Returns how many are right.
fn intact(want: &Snapshot, to: &Path, ran: &Ran) -> usize {
    let got = take(to);
    let mut right = 0;
    for (path, node) in want.iter().filter(|(_, n)| n.kind == Kind::File) {
        let shown = String::from_utf8_lossy(path);
        let same = got.get(path).is_some_and(|g| g.sha256 == node.sha256);
        right += usize::from(same);
        let told = ran.err.contains(shown.as_ref()) || ran.out.contains(shown.as_ref());
        assert!(
            same || told,
            "{shown} is wrong and nobody says so: {}",
            ran.all()
        );
    }
    right
}

fn matrix(encrypted: bool) {
    let base = Base::new(encrypted);
    let mut faults = Vec::new();
    for victim in [
        Victim::Dlist,
        Victim::Dindex,
        Victim::Dblock,
        Victim::Manifest,
    ] {
        // Inside an encrypted volume no single entry can be damaged: it does not open at all.
        if encrypted && victim == Victim::Manifest {
            continue;
        }
        for how in ALL {
            let case = Scratch::new("damage");
            let hurt = case.folder("hurt");
            support::copy_folder(&base.scratch.at("dest"), &hurt);
            let (path, other) = pick(&hurt, victim);
            if victim == Victim::Manifest {
                harm_manifest(&path, how);
            } else {
                harm(&path, &other, how);
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            for act in ACTS {
                let dest = case.at("dest");
                let _ = fs::remove_dir_all(&dest);
                support::copy_folder(&hurt, &dest);
                let to = case.at("to");
                let _ = fs::remove_dir_all(&to);
                let place = if matches!(act, Act::Backup) {
                    base.scratch.at("source")
                } else {
                    to.clone()
                };
                let ran = base.act(act, &dest, &place);
                ran.sane();
                let what = format!("{victim:?} {how:?} {act:?}, encrypted {encrypted}");
                let (codes, named) = right(victim, how, act, encrypted);
                let says = ran.err.contains(name) || ran.out.contains(name);
                if !codes.contains(&ran.code) || (named && !says) {
                    faults.push(format!(
                        "{what}: allowed {codes:?}, names {name}: {says}; {}",
                        ran.all()
                    ));
                }
                let version = match act {
                    Act::Restore => 1,
                    Act::RestoreOlder => 0,
                    _ => continue,
                };
                let gone = match victim {
                    Victim::Dlist => matches!(how, Harm::Delete | Harm::Swap),
                    Victim::Manifest => how == Harm::Swap && act == Act::Restore,
                    _ => false,
                };
                if ran.code != 100 && !gone {
                    let kept = intact(&base.versions[version], &to, &ran);
                    let files = if matches!(victim, Victim::Dblock) {
                        1
                    } else {
                        base.versions[version].len() - 1
                    };
                    if kept < files {
                        faults.push(format!(
                            "{what}: only {kept} files are right; {}",
                            ran.all()
                        ));
                    }
                }
            }
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} faults\n{}", faults.join("\n"));
}

#[test]
fn damage_to_plain_volumes() {
    matrix(false);
}

#[test]
fn damage_to_encrypted_volumes() {
    matrix(true);
}

/// A backup that cannot be trusted any more is repaired by the next run when it is told to go on.
#[test]
fn lost_data_is_backed_up_again() {
    let base = Base::new(true);
    let dest = base.scratch.at("dest");
    let (path, _) = pick(&dest, Victim::Dblock);
    fs::remove_file(path).unwrap();
    let source = base.scratch.at("source");
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--dblock-size=1mb",
        "--blocksize=50kb",
        "--no-backend-verification",
        "--no-cache",
        PASSPHRASE,
    ];
    base.scratch.run(&args).code(&[0, 2]);
    let want = take(&source);
    let to = base.scratch.at("to");
    let ran = base.act(Act::Restore, &dest, &to).code(&[0, 2]);
    assert_eq!(intact(&want, &to, &ran), want.len() - 1);
}
