//! What people and programs do to a folder tree between two backups.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Rand, tree};
use crate::world::World;

/// Names that mean something to a shell, a rule or a file system, each with a number behind it.
const NAMES: [&str; 12] = [
    "plain",
    "two words",
    "star*",
    "[set]",
    "que?stion",
    "{brace}",
    "@at",
    "ümlaut",
    "-dash",
    "new\nline",
    "%41+",
    ".hidden",
];

fn entries(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        let mut here: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        here.sort();
        for path in here {
            if !path.is_symlink() && path.is_dir() {
                open.push(path.clone());
            }
            all.push(path);
        }
    }
    all
}

fn is_file(path: &Path) -> bool {
    !path.is_symlink() && path.is_file()
}

fn is_folder(path: &Path) -> bool {
    !path.is_symlink() && path.is_dir()
}

/// Content that is random, text, zeros, or what another file has.
fn content(rand: &mut Rand, others: &[PathBuf]) -> Vec<u8> {
    let len = match rand.below(6) {
        0 => rand.count(3),
        1..=3 => rand.count(3_000),
        4 => rand.count(40_000),
        // Around the borders of blocks.
        _ => (1usize << (10 + rand.below(7))) + rand.count(3) - 1,
    };
    match rand.below(8) {
        0..=2 => rand.bytes(len),
        3..=5 => rand.prose(len),
        6 => vec![0; len],
        _ => match others.is_empty() {
            true => Vec::new(),
            false => fs::read(rand.pick(others)).unwrap(),
        },
    }
}

pub fn add_something(world: &mut World) {
    let all = entries(&world.source());
    let files: Vec<_> = all.iter().filter(|p| is_file(p)).cloned().collect();
    let mut folders: Vec<_> = all.iter().filter(|p| is_folder(p)).cloned().collect();
    folders.push(world.source());
    world.serial += 1;
    let serial = world.serial;
    let rand = &mut world.rand;
    let folder = rand.pick(&folders).clone();
    let name = format!("{} {serial}", rand.pick(&NAMES));
    match rand.below(10) {
        0..=4 => tree::write(&folder.join(name), &content(rand, &files)),
        5 => tree::write(&folder.join(format!("{name}.tmp")), &content(rand, &files)),
        6..=7 => fs::create_dir(folder.join(name)).unwrap(),
        8 => symlink(
            rand.pick(&["nowhere", "..", "/etc", "plain 1"]),
            folder.join(name),
        )
        .unwrap(),
        _ if !files.is_empty() => {
            fs::hard_link(rand.pick(&files), folder.join(name)).unwrap();
        }
        _ => {}
    }
}

/// Enough new content for a few volumes.
pub fn grow(world: &mut World) {
    world.serial += 1;
    let bytes = world.rand.bytes(1_500_000);
    let path = world.source().join(format!("large {}", world.serial));
    tree::write(&path, &bytes);
}

/// A few changes of random kinds.
pub fn change(world: &mut World) {
    for _ in 0..1 + world.rand.below(6) {
        let all = entries(&world.source());
        if all.is_empty() {
            add_something(world);
            continue;
        }
        let victim = world.rand.pick(&all).clone();
        let what = world.rand.below(16);
        world.note(format!("change {what} of {}", victim.display()));
        one(world, &victim, what, &all);
    }
}

fn one(world: &mut World, victim: &Path, what: u64, all: &[PathBuf]) {
    let files: Vec<_> = all.iter().filter(|p| is_file(p)).cloned().collect();
    world.serial += 1;
    let serial = world.serial;
    match what {
        0..=3 => add_something(world),
        4 if is_folder(victim) => fs::remove_dir_all(victim).unwrap(),
        4 => fs::remove_file(victim).unwrap(),
        5 => {
            let to = victim.with_file_name(format!("renamed {serial}"));
            fs::rename(victim, to).unwrap();
        }
        6 => {
            // Another kind of entry under the same name.
            match is_folder(victim) {
                true => fs::remove_dir_all(victim).unwrap(),
                false => fs::remove_file(victim).unwrap(),
            }
            match world.rand.below(3) {
                0 => tree::write(victim, b"a file now"),
                1 => fs::create_dir(victim).unwrap(),
                _ => symlink("a link now", victim).unwrap(),
            }
        }
        7 if !victim.is_symlink() => {
            let mode = *world.rand.pick(&[0o600, 0o644, 0o755, 0o777, 0o700]);
            fs::set_permissions(victim, fs::Permissions::from_mode(mode)).unwrap();
        }
        8 if !victim.is_symlink() => {
            let seconds = world.rand.below(4_000_000_000);
            let ticks = u32::try_from(world.rand.below(10_000_000)).unwrap();
            set_time(victim, UNIX_EPOCH + Duration::new(seconds, ticks * 100));
        }
        _ if is_file(victim) => edit(world, victim, what, &files),
        _ => {}
    }
}

fn edit(world: &mut World, victim: &Path, what: u64, files: &[PathBuf]) {
    let len = fs::metadata(victim).unwrap().len();
    match what {
        9 => tree::write(victim, &content(&mut world.rand, files)),
        10 => {
            let mut data = fs::read(victim).unwrap();
            let more = world.rand.count(5_000);
            data.extend(world.rand.prose(more));
            tree::write(victim, &data);
        }
        11 => {
            let file = fs::OpenOptions::new().write(true).open(victim).unwrap();
            file.set_len(world.rand.below(len + 2_000)).unwrap();
        }
        12 | 13 if len > 0 => {
            // In place, with the time set back: only the change time of the inode tells.
            let time = fs::metadata(victim).unwrap().modified().unwrap();
            let file = fs::OpenOptions::new().write(true).open(victim).unwrap();
            let at = world.rand.below(len);
            let byte = world.rand.bytes(1)[0];
            file.write_all_at(&[byte], at).unwrap();
            drop(file);
            set_time(victim, time);
            world.hidden = true;
        }
        14 => {
            // Replaced, as editors do it.
            let aside = victim.with_file_name("aside");
            tree::write(&aside, &content(&mut world.rand, files));
            fs::rename(&aside, victim).unwrap();
        }
        _ => {}
    }
}

fn set_time(path: &Path, time: std::time::SystemTime) {
    fs::File::open(path)
        .unwrap()
        .set_times(fs::FileTimes::new().set_modified(time))
        .unwrap();
}
