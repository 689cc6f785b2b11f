//! Sources that are empty or gone, and lists that are gone, beside rules that delete: what is the last of its kind stays.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;

use support::{Ran, Rand, Scratch, text, tree, volumes};

const KEEP: &str = "--keep-versions=1";

struct World {
    scratch: Scratch,
    how: &'static str,
}

impl World {
    /// A version of a file on a disk and one beside it.
    fn new(how: &'static str) -> World {
        let world = World {
            scratch: Scratch::new("emptied"),
            how,
        };
        world.write("disk/precious", 1);
        world.write("other/file", 2);
        world.backup(&["disk", "other"], &[]).code(&[0]);
        world
    }

    fn write(&self, name: &str, seed: u64) {
        let path = self.scratch.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        tree::write(&path, &Rand(seed).bytes(70_000));
    }

    fn backup(&self, sources: &[&str], more: &[&str]) -> Ran {
        let dest = self.scratch.at("dest");
        let sources: Vec<_> = sources.iter().map(|s| self.scratch.at(s)).collect();
        let mut args = vec!["backup", text(&dest)];
        args.extend(sources.iter().map(|s| text(s)));
        args.extend([self.how, KEEP]);
        args.extend(more);
        self.scratch.run(&args)
    }

    fn versions(&self) -> usize {
        volumes(&self.scratch.at("dest"), "dlist").len()
    }

    fn has(&self, name: &str) -> bool {
        let dest = self.scratch.at("dest");
        let args = ["find", text(&dest), name, self.how];
        self.scratch.run(&args).code(&[0, 100]).code == 0
    }
}

/// A disk that is not mounted costs no version, however often the backup runs, and by whatever name it is missed.
#[test]
fn the_last_version_of_an_empty_or_missing_source_stays() {
    for how in ["--no-encryption", "--passphrase=not mounted"] {
        for missing in [false, true] {
            let world = World::new(how);
            let aside = world.scratch.at("aside");
            fs::rename(world.scratch.at("disk"), &aside).unwrap();
            if !missing {
                world.scratch.folder("disk");
            }
            let sources = ["disk", "other"];
            for day in 3..7 {
                world.write("other/file", day);
                world.backup(&sources, &["--dry-run"]).code(&[2]);
                let ran = world.backup(&sources, &[]).code(&[2]);
                if day > 3 || missing {
                    ran.says("stays: it is the last with anything of")
                        .says("disk")
                        .says("--allow-full-removal");
                } else {
                    ran.says("the last before nearly everything was gone");
                }
                assert!(world.has("precious"), "day {day}");
            }
            // The newest one and that of the disk.
            assert_eq!(world.versions(), 2);
            // With nothing new to back up, too.
            world.backup(&sources, &[]).code(&[2]).says("stays");
            assert!(world.has("precious"));
            // Its folder goes, too.
            let _ = fs::remove_dir(world.scratch.at("disk"));
            for day in 8..11 {
                world.write("other/file", day);
                world.backup(&sources, &[]).code(&[2]);
                assert!(world.has("precious"), "day {day}");
            }
            // The disk is back.
            fs::rename(&aside, world.scratch.at("disk")).unwrap();
            world.backup(&sources, &[]).code(&[0]);
            assert_eq!(world.versions(), 1);
            assert!(world.has("precious"));
        }
    }
}

/// A folder that never had anything in it is no reason to worry; the manual says so.
#[test]
fn a_folder_that_was_always_empty_is_stored_as_it_is() {
    let scratch = Scratch::new("emptied-first");
    let (dest, void) = (scratch.at("dest"), scratch.folder("void"));
    let args = ["backup", text(&dest), text(&void), "--no-encryption"];
    let ran = scratch.run(&args).code(&[0]);
    assert!(!ran.err.contains("warning"), "{}", ran.all());
    scratch.run(&args).code(&[1]);
    fs::write(void.join("file"), "1").unwrap();
    scratch.run(&args).code(&[0]);
    fs::remove_file(void.join("file")).unwrap();
    scratch
        .run(&args)
        .code(&[2])
        .says("nothing is left in the source");
}

#[test]
fn what_is_meant_to_go_goes() {
    let world = World::new("--no-encryption");
    // Only one of two is empty, and all of it may go.
    fs::remove_file(world.scratch.at("disk/precious")).unwrap();
    let all = ["--allow-full-removal"];
    world
        .backup(&["disk", "other"], &all)
        .code(&[2])
        .says("1 old version deleted");
    assert_eq!(world.versions(), 1);
    assert!(!world.has("precious"));
    // A folder that was always empty holds nothing up.
    let world = World::new("--no-encryption");
    world.scratch.folder("void");
    world.backup(&["disk", "other", "void"], &[]).code(&[0]);
    world.write("other/file", 5);
    world
        .backup(&["disk", "other", "void"], &[])
        .code(&[0])
        .says("1 old version deleted");
    // Nor does a source that is named no more, from the second run on.
    world.backup(&["other"], &[]).code(&[0]);
    assert_eq!(world.versions(), 1);
}

/// Another source in place of all: the old versions go one run later.
#[test]
fn a_wrong_source_costs_no_version_at_once() {
    let world = World::new("--no-encryption");
    world.write("wrong/file", 9);
    world
        .backup(&["wrong"], &[])
        .code(&[2])
        .says("are these the right sources")
        .says("stays: it is the last before nearly everything was gone");
    assert_eq!(world.versions(), 2);
    assert!(world.has("precious"));
    world
        .backup(&["wrong"], &[])
        .code(&[0])
        .says("1 old version deleted");
}

/// Without any list nothing says what is needed: no volume goes.
#[test]
fn nothing_is_reclaimed_where_all_lists_are_gone() {
    let world = World::new("--no-encryption");
    let dest = world.scratch.at("dest");
    let aside = world.scratch.folder("aside");
    let count = || fs::read_dir(&dest).unwrap().count();
    for list in volumes(&dest, "dlist") {
        fs::rename(&list, aside.join(list.file_name().unwrap())).unwrap();
    }
    let before = count();
    for more in [&[][..], &["--no-cache"], &["--dry-run"]] {
        let args = ["compact", text(&dest), world.how];
        let ran = world.scratch.run(&[&args[..], more].concat()).code(&[100]);
        ran.says("the list of no version")
            .says("put the dlist volumes back");
        assert_eq!(count(), before);
    }
    let verify = ["verify", text(&dest), "all", world.how];
    world
        .scratch
        .run(&verify)
        .code(&[2])
        .says("the list of no version");
    let repair = ["repair", text(&dest), world.how];
    world
        .scratch
        .run(&repair)
        .code(&[2])
        .says("the list of no version");
    let list = ["list", text(&dest), world.how];
    world.scratch.run(&list).code(&[0]).says("index volume");
    for name in support::names(&aside) {
        fs::rename(aside.join(&name), dest.join(&name)).unwrap();
    }
    world.scratch.run(&verify).code(&[0]);
}
