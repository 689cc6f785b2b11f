//! Damage in a dblock costs the blocks it touches and no others, whatever encrypts it: which files come back, what is said of the
//! volume, and how often it is fetched.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![allow(
    clippy::single_range_in_vec_init,
    reason = "parts of a file, often one"
)]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use faulty::Server;
use faulty_dav::Dav;
use support::craft::{Maker, Volume};
use support::crypt::{self, PASSPHRASE};
use support::zip::zip;
use support::{Ran, Rand, Scratch, names, text, tree, volumes};

const FILES: usize = 12;
const FILE_BYTES: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Plain,
    Aes(u8),
    Gpg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// One bit in the middle of a file's data.
    Flip,
    /// 4 KiB of zeros over the end of one file's data and the start of the next.
    Zeros,
    /// The last tenth is gone.
    Cut,
    /// The archive was written without its directory.
    NoDirectory,
    /// One bit of the last byte: of the HMAC, of gpg's checksum; of a plain volume's end record.
    LastByte,
    /// All that stands behind the ciphertext is gone: HMAC, and octet of the length.
    NoTail,
    /// A part of a block of ciphertext is gone, too.
    RaggedTail,
    /// Bytes behind the end.
    Longer,
    /// The last byte of the HMAC over the header's keys.
    Header,
    /// One bit of the archive's first entry, the manifest.
    Manifest,
    /// One bit in a file's local header, and no directory.
    LocalHeader,
    /// Two files' data, far from each other.
    Twice,
}

const HARMS: [Harm; 12] = [
    Harm::Flip,
    Harm::Zeros,
    Harm::Cut,
    Harm::NoDirectory,
    Harm::LastByte,
    Harm::NoTail,
    Harm::RaggedTail,
    Harm::Longer,
    Harm::Header,
    Harm::Manifest,
    Harm::LocalHeader,
    Harm::Twice,
];

/// A backup of some files of one block each in one dblock.
struct World {
    scratch: Scratch,
    cipher: Cipher,
    maker: Maker,
    /// The dblock's archive, and as it is stored.
    archive: Vec<u8>,
    stored: Vec<u8>,
    name: String,
    /// Where in the archive each file's entry lies: header and data.
    entries: Vec<Range<usize>>,
}

fn file(n: usize) -> String {
    format!("file {n:02}")
}

impl World {
    fn new(cipher: Cipher) -> World {
        let scratch = Scratch::new("salvage");
        let source = scratch.folder("source");
        let mut maker = Maker::new(scratch.at("dest"));
        maker.block_size = 20_480;
        match cipher {
            Cipher::Plain => {}
            Cipher::Aes(version) => maker.aes = Some(version),
            Cipher::Gpg => maker.gpg = Some(scratch.folder("gnupg")),
        }
        let mut volume = Volume::new(7);
        let mut rand = Rand(77);
        let mut listed = Vec::new();
        for n in 0..FILES {
            let data = rand.bytes(FILE_BYTES);
            let path = source.join(file(n));
            tree::write(&path, &data);
            listed.push(maker.file(&mut volume, text(&path), &data, None));
        }
        maker.both(&mut volume);
        maker.dlist("20240131T123456Z", &listed);
        let stored = fs::read(maker.dest.join(&volume.name)).unwrap();
        let mut all = vec![("manifest".to_owned(), maker.manifest())];
        let named = |(id, data): &(String, Vec<u8>)| (support::craft::in_name(id), data.clone());
        all.extend(volume.blocks.iter().map(named));
        let archive = zip(&all, maker.style);
        let entries = volume.blocks.iter().map(|(id, data)| {
            let at = archive.windows(64).position(|w| *w == data[..64]).unwrap();
            at - id.len() - 30..at + data.len()
        });
        World {
            entries: entries.collect(),
            archive,
            stored,
            name: volume.name.clone(),
            scratch,
            cipher,
            maker,
        }
    }

    /// Bytes before and behind the ciphertext.
    fn frame(&self) -> (usize, usize) {
        let len = self.archive.len();
        let (padded, tail) = match self.cipher {
            Cipher::Plain | Cipher::Gpg => return (0, 0),
            Cipher::Aes(0) => (len.next_multiple_of(16), 32),
            Cipher::Aes(3) => (len + 16 - len % 16, 32),
            Cipher::Aes(_) => (len.next_multiple_of(16), 33),
        };
        (self.stored.len() - padded - tail, tail)
    }

    /// Where the directory begins.
    fn directory(&self) -> usize {
        self.entries.last().unwrap().end
    }

    /// The damaged volume, and the parts of the archive that cannot be right any more. `None`: there is no such thing here.
    fn harmed(&self, how: Harm) -> Option<(Vec<u8>, Vec<Range<usize>>)> {
        let mut stored = self.stored.clone();
        let (head, tail) = self.frame();
        let len = self.archive.len();
        let aes = matches!(self.cipher, Cipher::Aes(_));
        // A byte of ciphertext spoils its block and a byte of the next one.
        let spoilt = |at: Range<usize>| match aes {
            true => at.start / 16 * 16..at.end.div_ceil(16) * 16 + 16,
            false => at,
        };
        let mut flips = |at: &[usize]| {
            for &at in at {
                stored[head + at] ^= 0x10;
            }
            at.iter().map(|&at| spoilt(at..at + 1)).collect::<Vec<_>>()
        };
        let middle = |n: usize| (self.entries[n].start + self.entries[n].end) / 2;
        let whole = |kept: usize| match aes {
            true => kept / 16 * 16,
            false => kept,
        };
        let lost = match how {
            // Where gpg has which byte is gpg's secret, but it is nearby.
            Harm::Flip => flips(&[middle(5)]),
            Harm::Twice => flips(&[middle(2), middle(9)]),
            // There stand gpg's own packets.
            Harm::Manifest if self.cipher == Cipher::Gpg => return None,
            Harm::Manifest => flips(&[35]),
            Harm::Zeros => {
                let from = self.entries[6].start - 2048;
                stored[head + from..head + from + 4096].fill(0);
                vec![spoilt(from..from + 4096)]
            }
            Harm::Cut => {
                stored.truncate(stored.len() * 9 / 10);
                vec![whole(stored.len() - head)..len]
            }
            Harm::NoDirectory => {
                stored = self.maker.seal(self.archive[..self.directory()].to_vec());
                Vec::new()
            }
            Harm::LastByte => {
                *stored.last_mut().unwrap() ^= 1;
                Vec::new()
            }
            Harm::NoTail if tail > 0 => {
                stored.truncate(stored.len() - tail);
                Vec::new()
            }
            // The end record, or a part of it.
            Harm::NoTail => {
                stored.truncate(stored.len() - 22);
                Vec::new()
            }
            Harm::RaggedTail => {
                stored.truncate(stored.len() - tail - 7);
                vec![whole(stored.len() - head)..len]
            }
            Harm::Longer => {
                stored.extend([0xa5; 1000]);
                Vec::new()
            }
            Harm::Header => {
                if !matches!(self.cipher, Cipher::Aes(1..)) {
                    return None;
                }
                stored[head - 1] ^= 1;
                Vec::new()
            }
            Harm::LocalHeader => {
                let mut archive = self.archive[..self.directory()].to_vec();
                // A byte of its size.
                archive[self.entries[4].start + 19] ^= 0x10;
                stored = self.maker.seal(archive);
                vec![self.entries[4].start + 19..self.entries[4].start + 20]
            }
        };
        Some((stored, lost))
    }

    fn run(&self, words: &[&str], dest: &Path) -> Ran {
        let pass = format!("--passphrase={PASSPHRASE}");
        let mut line = vec![words[0], text(dest)];
        line.extend(&words[1..]);
        line.push("--no-cache");
        line.push(match self.cipher {
            Cipher::Plain => "--no-encryption",
            _ => &pass,
        });
        self.scratch.run(&line)
    }

    /// What of the files came back whole, under their names.
    fn back(&self, to: &Path) -> BTreeSet<usize> {
        let same = |n: &usize| {
            let want = fs::read(self.scratch.at("source").join(file(*n))).unwrap();
            fs::read(to.join(file(*n))).is_ok_and(|got| got == want)
        };
        (0..FILES).filter(same).collect()
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.scratch.at(name);
        let _ = fs::remove_dir_all(&path);
        path
    }

    fn meet(&self, how: Harm) {
        let Some((stored, spoilt)) = self.harmed(how) else {
            return;
        };
        let what = format!("{how:?} of {:?}", self.cipher);
        let touched = |n: &usize| {
            let entry = &self.entries[*n];
            spoilt
                .iter()
                .any(|s| s.start < entry.end && entry.start < s.end)
        };
        let whole: BTreeSet<usize> = (0..FILES).filter(|n| !touched(n)).collect();
        let resized = stored.len() != self.stored.len();
        let dest = self.fresh("hurt");
        support::copy_folder(&self.maker.dest, &dest);
        fs::write(dest.join(&self.name), &stored).unwrap();

        let to = self.fresh("to");
        let goal = format!("--restore-path={}", text(&to));
        let ran = self.run(&["restore", &goal], &dest);
        let back = self.back(&to);
        if self.cipher == Cipher::Gpg {
            // What a broken stream gives is up to gpg, but none of it is wrong, and most of it is there.
            let few = if how == Harm::Cut { 3 } else { 4 };
            assert!(back.len() + few >= FILES, "{what}: {back:?}, {}", ran.all());
        } else {
            assert_eq!(back, whole, "{what}: {}", ran.all());
        }
        let lost = FILES - back.len();
        let ran = ran
            .code(if lost > 0 { &[3] } else { &[2] })
            .says(&self.name);
        for n in (0..FILES).filter(|n| !back.contains(n)) {
            assert!(ran.err.contains(&file(n)), "{what}: {}", ran.all());
            assert!(!to.join(file(n)).exists(), "{what}: {}", ran.all());
        }

        let count = match lost {
            0 => "none".to_owned(),
            lost => lost.to_string(),
        };
        let ran = self
            .run(&["verify", "all", "--full-remote-verification"], &dest)
            .code(&[3])
            .says(&self.name)
            .says(&format!("blocks lost in it: {count} of {FILES}"));
        let files = format!("{lost} file");
        let tells = ran.out.contains(&files) || ran.err.contains(&files);
        assert_eq!(tells, lost > 0, "{what}: {}", ran.all());

        let ran = self.run(&["list", "0"], &dest).code(&[0]);
        for n in 0..FILES {
            assert!(ran.out.contains(&file(n)), "{what}: {}", ran.all());
        }

        // What has the length that its index says is only found by reading it; nothing is built upon anything else.
        let ran = self.run(&["backup", text(&self.scratch.at("source"))], &dest);
        match (self.cipher, resized) {
            (Cipher::Gpg, _) => assert_ne!(ran.code, 0, "{what}: {}", ran.all()),
            (_, true) => drop(ran.code(&[100]).says(&self.name)),
            // The lists were made by hand, so there is something new in any case.
            (_, false) => drop(ran.code(&[0, 2])),
        }
    }

    fn meet_all(&self) {
        for how in HARMS {
            self.meet(how);
        }
    }
}

#[test]
fn plain_volumes() {
    World::new(Cipher::Plain).meet_all();
}

#[test]
fn aes_volumes_of_version_0() {
    World::new(Cipher::Aes(0)).meet_all();
}

#[test]
fn aes_volumes_of_version_1() {
    World::new(Cipher::Aes(1)).meet_all();
}

#[test]
fn aes_volumes_of_version_2() {
    World::new(Cipher::Aes(2)).meet_all();
}

#[test]
fn aes_volumes_of_version_3() {
    World::new(Cipher::Aes(3)).meet_all();
}

#[test]
fn gpg_volumes() {
    let gpg = std::process::Command::new("gpg").arg("--version").output();
    if gpg.is_err() {
        return;
    }
    let world = World::new(Cipher::Gpg);
    world.meet_all();
    crypt::gpg_ends(&world.scratch.at("gnupg"));
    crypt::gpg_ends(&world.scratch.at("home/.gnupg"));
}

/// Lists of blocks that only the damaged volume itself holds.
#[test]
fn blocklists_come_from_what_is_left_of_a_volume() {
    for (harmed, back) in [(0, [false, true]), (1, [true, false])] {
        let scratch = Scratch::new("salvage-lists");
        let mut maker = Maker::new(scratch.at("dest"));
        maker.aes = Some(2);
        let mut rand = Rand(5);
        let data = [rand.bytes(9_000), rand.bytes(9_000)];
        let mut volume = Volume::new(3);
        let listed: Vec<_> = data
            .iter()
            .zip(["/d/a", "/d/b"])
            .map(|(data, path)| maker.file(&mut volume, path, data, None))
            .collect();
        maker.dblock(&mut volume);
        maker.dindex(3, &[(&volume.name, maker.vol(&volume))], &[]);
        maker.dlist("20240131T123456Z", &listed);
        // The list of one of the files.
        let (_, list) = &volume.lists[harmed];
        let path = maker.dest.join(&volume.name);
        let mut all = vec![("manifest".to_owned(), maker.manifest())];
        let named = |(id, data): &(String, Vec<u8>)| (support::craft::in_name(id), data.clone());
        all.extend(volume.blocks.iter().map(named));
        let archive = zip(&all, maker.style);
        let at = archive.windows(list.len()).position(|w| w == list).unwrap();
        let mut stored = fs::read(&path).unwrap();
        let head = stored.len() - 33 - archive.len().next_multiple_of(16);
        stored[head + at + 40] ^= 1;
        fs::write(&path, stored).unwrap();
        let to = scratch.at("to");
        let (pass, goal) = (
            format!("--passphrase={PASSPHRASE}"),
            format!("--restore-path={}", text(&to)),
        );
        let dest = text(&maker.dest);
        let ran = scratch.run(&["restore", dest, &goal, &pass, "--no-cache"]);
        for (name, data, back) in [("a", &data[0], back[0]), ("b", &data[1], back[1])] {
            let same = fs::read(to.join(name)).is_ok_and(|got| got == *data);
            assert_eq!(same, back, "{name}: {}", ran.all());
        }
        ran.code(&[3]).says(&volume.name);
        scratch
            .run(&[
                "verify",
                dest,
                "all",
                &pass,
                "--full-remote-verification",
                "--no-cache",
            ])
            .code(&[3])
            .says("blocks lost in it: 1 of ")
            .says("1 file loses data");
    }
}

/// What another volume holds, too, is not lost: damage is told, and nothing is missing.
#[test]
fn a_copy_in_another_volume_takes_the_place_of_a_damaged_block() {
    let scratch = Scratch::new("salvage-copy");
    let mut maker = Maker::new(scratch.at("dest"));
    maker.aes = Some(2);
    let data = Rand(8).bytes(1000);
    let (mut one, mut two) = (Volume::new(1), Volume::new(2));
    let listed = maker.file(&mut one, "/d/a", &data, None);
    maker.file(&mut two, "/d/a", &data, None);
    maker.both(&mut one);
    maker.both(&mut two);
    maker.dlist("20240131T123456Z", &[listed]);
    let (pass, to) = (format!("--passphrase={PASSPHRASE}"), scratch.at("to"));
    let goal = format!("--restore-path={}", text(&to));
    // Whichever is taken first.
    for name in [&one.name, &two.name] {
        let path = maker.dest.join(name);
        let good = fs::read(&path).unwrap();
        let middle = good.len() / 2;
        support::harm::flip(&path, Some(middle));
        let _ = fs::remove_dir_all(&to);
        let dest = text(&maker.dest);
        scratch
            .run(&["restore", dest, &goal, &pass, "--no-cache"])
            .code(&[0, 2]);
        assert_eq!(fs::read(to.join("a")).unwrap(), data);
        scratch
            .run(&[
                "verify",
                dest,
                "all",
                &pass,
                "--full-remote-verification",
                "--no-cache",
            ])
            .code(&[3])
            .says(name)
            .says("blocks lost in it: 1 of 1");
        fs::write(&path, good).unwrap();
    }
}

/// A list or an index whose HMAC is wrong is not believed, though every byte that matters is there.
#[test]
fn lists_and_indexes_are_never_salvaged() {
    let world = World::new(Cipher::Aes(2));
    for (word, code) in [("dlist", 100), ("dindex", 2)] {
        let dest = world.fresh("hurt");
        support::copy_folder(&world.maker.dest, &dest);
        let path = volumes(&dest, word).pop().unwrap();
        let last = path.metadata().unwrap().len() - 1;
        support::harm::flip(&path, usize::try_from(last).ok());
        let to = world.fresh("to");
        let goal = format!("--restore-path={}", text(&to));
        let name = path.file_name().unwrap().to_str().unwrap();
        world
            .run(&["restore", &goal], &dest)
            .code(&[code])
            .says(name)
            .says("does not authenticate");
        let back = world.back(&to).len();
        assert_eq!(back, if word == "dlist" { 0 } else { FILES });
    }
}

/// Once more in case the transfer was at fault, and then never again.
#[test]
fn a_damaged_volume_is_fetched_twice_at_most() {
    for cipher in [Cipher::Plain, Cipher::Aes(2)] {
        let world = World::new(cipher);
        for (how, times) in [
            (Harm::Flip, 2),
            (Harm::LastByte, 2),
            // The listing says so, too: it is not the transfer.
            (Harm::Cut, 1),
            (Harm::NoDirectory, 1),
        ] {
            let stored = world.harmed(how).unwrap().0;
            for act in ["restore", "verify"] {
                // Also where the index is lost, so that the volume itself is asked for its blocks and lists.
                for indexed in [true, false] {
                    let server = Server::start(|_| Dav::new());
                    server.with(|dav| {
                        for name in names(&world.maker.dest) {
                            let (path, name) = (world.maker.dest.join(&name), text(name.as_ref()));
                            if indexed || !name.contains("dindex") {
                                let raw = fs::read(&path).unwrap();
                                dav.files.insert(format!("/d/b/{name}"), raw);
                            }
                        }
                        dav.files
                            .insert(format!("/d/b/{}", world.name), stored.clone());
                    });
                    let url = format!("webdav://{}/d/b", server.address);
                    let to = world.fresh("to");
                    let goal = format!("--restore-path={}", text(&to));
                    let words = match act {
                        "restore" => ["restore", &goal, "--http-proxy=none"],
                        _ => ["verify", "all", "--http-proxy=none"],
                    };
                    let ran = world.run(&words, Path::new(&url));
                    let gets = server.seen(&world.name);
                    let gets = gets.iter().filter(|s| s.method == "GET").count();
                    let most = if indexed { times } else { 2 };
                    assert!(
                        (1..=most).contains(&gets),
                        "{act}, {how:?} of {cipher:?}, indexed {indexed}: {gets} downloads, {}",
                        ran.all()
                    );
                    assert!(indexed || act == "verify" || !world.back(&to).is_empty());
                }
            }
        }
    }
}

/// What a cable spoilt comes whole the second time, and nothing is said of damage.
#[test]
fn a_transfer_at_fault_costs_nothing() {
    let world = World::new(Cipher::Aes(2));
    let server = Server::start(|_| Dav::new());
    server.with(|dav| {
        for name in names(&world.maker.dest) {
            let raw = fs::read(world.maker.dest.join(&name)).unwrap();
            dav.files
                .insert(format!("/d/b/{}", text(name.as_ref())), raw);
        }
    });
    let url = format!("webdav://{}/d/b", server.address);
    let broken = world.harmed(Harm::Flip).unwrap().0;
    server.with(|dav| dav.once.insert(format!("/d/b/{}", world.name), broken));
    let to = world.fresh("to");
    let goal = format!("--restore-path={}", text(&to));
    world
        .run(&["restore", &goal, "--http-proxy=none"], Path::new(&url))
        .code(&[0])
        .says("fetching it once more");
    assert_eq!(world.back(&to).len(), FILES);
}

/// Highest resident memory of a run in KiB.
fn peak_kib(scratch: &Scratch, args: &[&str], code: i32) -> u64 {
    let (peak, ended) = support::peak_kib(scratch.start(args));
    assert_eq!(ended.code(), Some(code), "{args:?}");
    peak
}

#[test]
fn a_large_volume_with_one_wrong_byte_loses_one_block_in_the_usual_memory() {
    const BLOCKS: usize = 50;
    let scratch = Scratch::new("salvage-large");
    let source = scratch.folder("source");
    let mut rand = Rand(50);
    for n in 0..BLOCKS {
        tree::write(&source.join(file(n)), &rand.bytes(1 << 20));
    }
    let (dest, pass) = (scratch.at("dest"), "--passphrase=large");
    let mut line = vec!["backup", text(&dest), text(&source), pass, "--no-cache"];
    line.extend(["--blocksize=1mb", "--dblock-size=60mb"]);
    scratch.run(&line).code(&[0]);
    let dblocks = volumes(&dest, "dblock");
    assert_eq!(dblocks.len(), 1);
    let goal = |to: &Path| format!("--restore-path={}", text(to));
    let (good, hurt) = (scratch.at("good"), scratch.at("hurt"));
    let restore = |to: &Path, code| {
        let goal = goal(to);
        peak_kib(
            &scratch,
            &["restore", text(&dest), pass, &goal, "--no-cache"],
            code,
        )
    };
    let verify = |code| {
        let line = ["verify", text(&dest), "all", pass, "--no-cache"];
        peak_kib(&scratch, &line, code)
    };
    let usual = restore(&good, 0).max(verify(0));
    support::harm::flip(&dblocks[0], None);
    let needed = restore(&hurt, 3).max(verify(3));
    let whole = (0..BLOCKS)
        .filter(|&n| fs::read(hurt.join(file(n))).ok() == fs::read(source.join(file(n))).ok())
        .count();
    assert_eq!(whole, BLOCKS - 1);
    assert!(needed < usual + 8192, "{needed} KiB after {usual} KiB");
    scratch
        .run(&["verify", text(&dest), "all", pass, "--no-cache"])
        .code(&[3])
        .says("blocks lost in it: 1 of ");
}
