//! Every way to get files back, and what each must give.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::support::harm::{ALL, Harm, harm};
use crate::support::snapshot::{But, Kind, Snapshot, differences, same, take_but_xattrs as take};
use crate::support::{copy_folder, names, text, tree};
use crate::world::World;

/// Restores version `n` (0 = oldest) of `dest` into a new folder; the exit code.
fn whole(world: &mut World, dest: &Path, n: usize, more: &[&str]) -> (i32, PathBuf, String) {
    let to = world.scratch.at("restored");
    let _ = fs::remove_dir_all(&to);
    let version = format!("--version={}", world.versions.len() - 1 - n);
    let path = format!("--restore-path={}", text(&to));
    let mut words = vec![version.as_str(), path.as_str(), "--restore-permissions"];
    words.extend(more);
    let args = world.args("restore", dest, &words);
    let ran = world.run(&args);
    (ran.code, to, ran.all())
}

/// A partial version's entries are the source's of its time, or those of a version before.
fn fits_partly(world: &World, n: usize, got: &Snapshot) {
    for (path, node) in got {
        let one: Snapshot = [(path.clone(), node.clone())].into();
        let known = world.versions[..=n].iter().any(|version| {
            version.tree.get(path).is_some_and(|want| {
                let want: Snapshot = [(path.clone(), want.clone())].into();
                differences(&want, &one, world.but()).is_empty()
            })
        });
        // The target folder itself is made when nothing in the version says how it was.
        assert!(
            known || path.is_empty(),
            "{:?} of a partial version was never so",
            String::from_utf8_lossy(path)
        );
    }
}

pub fn every_version(world: &mut World) {
    for n in 0..world.versions.len() {
        let cache: &[&str] = match world.rand.below(2) {
            0 => &["--no-cache"],
            _ => &[],
        };
        let dest = world.dest();
        let (code, to, all) = whole(world, &dest, n, cache);
        let partial = world.versions[n].partial;
        assert!(code == 0 || code == 2 && partial, "{all}");
        let got = if to.exists() {
            take(&to)
        } else {
            Snapshot::new()
        };
        if partial {
            fits_partly(world, n, &got);
        } else {
            same(&world.versions[n].tree, &got, world.but(), &all);
        }
    }
}

/// One file by its path, or one folder with all below it.
pub fn part_of_a_version(world: &mut World) {
    let whole: Vec<usize> = (0..world.versions.len())
        .filter(|&n| !world.versions[n].partial)
        .collect();
    if whole.is_empty() {
        return;
    }
    let n = *world.rand.pick(&whole);
    let tree = &world.versions[n].tree;
    let paths: Vec<Vec<u8>> = tree
        .iter()
        .filter(|(path, node)| node.kind != Kind::Symlink && !path.is_empty())
        .map(|(path, _)| path.clone())
        .collect();
    if paths.is_empty() {
        return;
    }
    let path = world.rand.pick(&paths).clone();
    let node = world.versions[n].tree[&path].clone();
    let to = world.scratch.at("part");
    let _ = fs::remove_dir_all(&to);
    let source = world.source();
    let mut word = source
        .join(std::ffi::OsStr::from_bytes(&path))
        .into_os_string()
        .into_string()
        .unwrap();
    if node.kind == Kind::Folder && world.rand.below(2) == 0 {
        word.push('/');
    }
    let version = format!("--version={}", world.versions.len() - 1 - n);
    let restore_path = format!("--restore-path={}", text(&to));
    let args = world.args(
        "restore",
        &world.dest(),
        &[&word, &version, &restore_path, "--restore-permissions"],
    );
    let here = world.scratch.path().to_path_buf();
    let ran = world.run_in(&here, &args).code(&[0]);
    // The folders that all chosen entries share are dropped.
    let got = take(&to);
    if node.kind == Kind::File {
        let name = path.rsplit(|&b| b == b'/').next().unwrap().to_vec();
        let want: Snapshot = [(name, node)].into();
        let but = But {
            root: true,
            ..world.but()
        };
        same(&want, &got, but, &ran.all());
        return;
    }
    let mut below = path.clone();
    below.push(b'/');
    let mut want: Snapshot = [(Vec::new(), node)].into();
    for (p, node) in &world.versions[n].tree {
        if let Some(rest) = p.strip_prefix(below.as_slice()) {
            want.insert(rest.to_vec(), node.clone());
        }
    }
    same(&want, &got, world.but(), &ran.all());
}

/// Restores over a tree in which files were changed and lost since, with and without replacing.
pub fn over_a_changed_tree(world: &mut World) {
    let n = world.versions.len() - 1;
    if world.versions[n].partial {
        return;
    }
    let dest = world.dest();
    let (code, to, all) = whole(world, &dest, n, &[]);
    assert_eq!(code, 0, "{all}");
    let want = world.versions[n].tree.clone();
    let files: Vec<Vec<u8>> = want
        .iter()
        .filter(|(_, node)| node.kind == Kind::File)
        .map(|(path, _)| path.clone())
        .collect();
    let at = |path: &[u8]| to.join(std::ffi::OsStr::from_bytes(path));
    let mut changed = Vec::new();
    for path in files.iter().filter(|p| !p.ends_with(b".incomplete")) {
        match world.rand.below(6) {
            0 => fs::remove_file(at(path)).unwrap(),
            1 => {
                let len = world.rand.count(3_000);
                let data = world.rand.bytes(len + 1);
                tree::write(&at(path), &data);
                changed.push(path.clone());
            }
            _ => {}
        }
    }
    tree::write(&to.join("a file of the user's"), b"stays");
    let before = take(&to);
    let version = "--version=0".to_owned();
    let restore_path = format!("--restore-path={}", text(&to));
    let replace = world.rand.below(2) == 0;
    let mut words = vec![
        version.as_str(),
        restore_path.as_str(),
        "--restore-permissions",
    ];
    if replace {
        words.push("--overwrite");
    }
    let args = world.args("restore", &dest, &words);
    let ran = world.run(&args).code(&[0, 2]);
    let got = take(&to);
    assert_eq!(
        got.get(b"a file of the user's".as_slice()).map(|n| n.size),
        Some(5),
        "{}",
        ran.all()
    );
    for (path, node) in &want {
        let shown = String::from_utf8_lossy(path);
        let now = &got[path];
        if changed.contains(path) && !replace {
            assert_eq!(now.sha256, before[path].sha256, "{shown}: {}", ran.all());
            // The version's file stands beside it.
            let folder = &path[..path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1)];
            let beside = got.iter().any(|(other, there)| {
                other.starts_with(folder)
                    && !want.contains_key(other)
                    && there.sha256 == node.sha256
            });
            assert!(
                beside,
                "{shown} is not beside its other form: {}",
                ran.all()
            );
        } else {
            assert_eq!(now.kind, node.kind, "{shown}: {}", ran.all());
            assert_eq!(now.sha256, node.sha256, "{shown}: {}", ran.all());
            assert_eq!(now.target, node.target, "{shown}: {}", ran.all());
        }
    }
}

/// One volume of a copy is harmed: what comes back under its own name is right, and what is not is said.
pub fn from_damaged(world: &mut World) {
    let copy = world.scratch.at("damaged");
    let _ = fs::remove_dir_all(&copy);
    copy_folder(&world.dest(), &copy);
    let mut all = names(&copy);
    all.retain(|name| name.to_string_lossy().contains(".zip"));
    let victim = copy.join(world.rand.pick(&all));
    let other = copy.join(world.rand.pick(&all));
    let how = *world.rand.pick(&ALL);
    if how == Harm::Swap && victim == other {
        return;
    }
    world.note(format!(
        "{how:?} of {}, {}",
        victim.display(),
        other.display()
    ));
    harm(&victim, &other, how);
    let is = |word: &str| victim.to_string_lossy().contains(word);
    let mut exact = true;
    // Without its list a version is gone, and the numbers of the others are not those of the model.
    let listed = how == Harm::Delete && is(".dlist.");
    for n in (0..world.versions.len()).filter(|_| !listed) {
        if world.versions[n].partial {
            continue;
        }
        let (code, to, said) = whole(world, &copy, n, &["--no-cache"]);
        let got = if to.exists() {
            take(&to)
        } else {
            Snapshot::new()
        };
        let want = world.versions[n].tree.clone();
        // Two lists that changed places are two good versions, each under the other's date.
        let exchanged = how == Harm::Swap && is(".dlist.");
        match code {
            0 | 2 if exchanged => {}
            0 | 2 => same(&want, &got, world.but(), &said),
            3 => {
                exact = false;
                only_right_ones(&want, &got, &said);
            }
            100 => exact = false,
            _ => panic!("{said}"),
        }
    }
    let args = world.args("verify", &copy, &["all", "--no-cache"]);
    let ran = world.run(&args);
    let codes: &[i32] = if exact { &[0, 2, 3, 100] } else { &[3, 100] };
    ran.code(codes);
}

/// Whatever stands under a name of the version is that entry, whole.
fn only_right_ones(want: &Snapshot, got: &Snapshot, said: &str) {
    let mut lost = 0;
    for (path, node) in want {
        match got.get(path) {
            Some(now) if now.kind == Kind::File => {
                assert_eq!(
                    now.sha256,
                    node.sha256,
                    "{} is not what it was: {said}",
                    String::from_utf8_lossy(path)
                );
            }
            Some(_) => {}
            None => lost += 1,
        }
    }
    for path in got.keys().filter(|p| !want.contains_key(*p)) {
        let shown = String::from_utf8_lossy(path);
        assert!(shown.contains(".incomplete"), "{shown}: {said}");
        lost += 1;
    }
    // Only attributes may be lost, too, and are said.
    assert!(
        lost > 0 || said.contains("attributes") || said.contains("metadata"),
        "{said}"
    );
}
