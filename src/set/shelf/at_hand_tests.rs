//! What is read where it lies is what is in the archive, and what changes under it is noticed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::base::digest::BlockKey;
use crate::base::opt::Options;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::format::manifest::Params;
use crate::remote::Remote;
use crate::set::shelf::ranged::tests::{
    ALGO, CIPHERS, Cipher, archive, blocks, key_of, sealed, secret,
};
use crate::set::{Passphrase, SetOptions};

/// A stored file that somebody else can write to.
struct Lying {
    path: PathBuf,
}

impl Lying {
    fn new(bytes: &[u8]) -> Lying {
        let name = format!("duplet-lying-{}", rand::hex::<8>().unwrap());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).unwrap();
        Lying { path }
    }

    fn writer(&self) -> File {
        OpenOptions::new().write(true).open(&self.path).unwrap()
    }

    fn shelf(&self, cipher: Cipher) -> Shelf {
        let stored = Spool::adopt(File::open(&self.path).unwrap(), "read it");
        let secret = secret();
        let secret = (!matches!(cipher, Cipher::Plain)).then_some(&secret);
        let at_hand = AtHand::open(stored, secret, None).unwrap();
        let zip = ZipReader::with_directory(&at_hand).unwrap().unwrap();
        let layout = zip.layout();
        Shelf {
            name: VolumeName::parse("p-b00000000000000000000000000000001.dblock.zip").unwrap(),
            source: Source::AtHand(Box::new(at_hand)),
            layout,
            params: Params {
                block_size: 1 << 20,
                block_hash: ALGO,
                file_hash: ALGO,
                version: 2,
            },
            tmp: Tmp::open(None).unwrap(),
            inflater: Inflater::new(),
            complete: true,
            directory: None,
            why: None,
        }
    }
}

impl Drop for Lying {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn every_block_comes_in_any_order() {
    let blocks = blocks();
    for cipher in CIPHERS {
        let lying = Lying::new(&sealed(cipher, &archive(&blocks, 100)));
        let mut shelf = lying.shelf(cipher);
        assert!(!shelf.is_in_parts() && shelf.flaw().is_none());
        let mut out = Vec::new();
        for block in blocks.iter().chain(blocks.iter().rev()) {
            assert!(shelf.block(&key_of(block), &mut out).unwrap(), "{cipher:?}");
            assert_eq!(out, *block);
        }
    }
}

/// Nothing that is given differs from its hash, and only what was written over is lost.
#[test]
fn what_is_written_over_meanwhile_is_not_given() {
    let blocks = blocks();
    for cipher in CIPHERS {
        let lying = Lying::new(&sealed(cipher, &archive(&blocks, 100)));
        let mut shelf = lying.shelf(cipher);
        let mut out = Vec::new();
        assert!(shelf.block(&key_of(&blocks[0]), &mut out).unwrap());
        lying.writer().write_all_at(&[0; 100], 200_000).unwrap();
        let mut lost = 0;
        for block in &blocks {
            match shelf.block(&key_of(block), &mut out).unwrap() {
                true => assert_eq!(out, *block),
                false => lost += 1,
            }
        }
        assert_eq!(lost, 1, "{cipher:?}");
    }
}

/// A file that ends early by now costs what was behind its end, and says why.
#[test]
fn what_is_cut_off_meanwhile_is_not_given() {
    let blocks = blocks();
    for cipher in CIPHERS {
        let lying = Lying::new(&sealed(cipher, &archive(&blocks, 100)));
        let mut shelf = lying.shelf(cipher);
        let mut out = Vec::new();
        assert!(shelf.block(&key_of(&blocks[0]), &mut out).unwrap());
        lying.writer().set_len(300_000).unwrap();
        let mut given = 0;
        for block in &blocks {
            if shelf.block(&key_of(block), &mut out).unwrap() {
                assert_eq!(out, *block);
                given += 1;
            }
        }
        assert!(given > 16 && given < blocks.len(), "{cipher:?}: {given}");
        let why = shelf.why().unwrap_or_default();
        assert!(why.contains("became shorter"), "{cipher:?}: {why}");
    }
}

/// A folder that Duplicati wrote, to be changed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/fixtures/four-versions-aes/dest");
        let to = std::env::temp_dir().join(format!("duplet-lying-{}", rand::hex::<8>().unwrap()));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        Folder(to)
    }

    /// `free`: bytes that the temporary folder has.
    fn set(&self, ui: &mut Ui, free: Option<usize>) -> Set {
        let remote = Remote::open(self.0.to_str().unwrap(), &Options::default(), ui).unwrap();
        let options = SetOptions::of_a_test(false);
        let mut tmp = Tmp::open(None).unwrap();
        let room = Arc::new(AtomicUsize::new(usize::MAX));
        tmp.free = Some(room.clone());
        let passphrase = Passphrase {
            secret: Secret::new("correct horse battery staple".to_owned()),
            whence: "a test".to_owned(),
        };
        let mut passphrase = Some(passphrase);
        let mut set =
            Set::open(remote, tmp, options, ui, &mut |_, _| Ok(passphrase.take())).unwrap();
        set.learn_params(ui).unwrap();
        room.store(free.unwrap_or(usize::MAX), Ordering::Relaxed);
        set
    }

    /// The largest dblock, with its number.
    fn largest(&self, set: &Set) -> (VolumeNo, PathBuf) {
        let all = 0..set.volumes().dblock_count();
        let no = all.max_by_key(|no| set.volumes().dblock(*no).unwrap().1);
        let (name, _) = set.volumes().dblock(no.unwrap()).unwrap();
        (no.unwrap(), self.0.join(name.as_str()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Blocks that the shelf gives, and all that it names.
fn given(shelf: &mut Shelf) -> (usize, usize) {
    let (mut keys, mut out) = (Vec::new(), Vec::new());
    shelf
        .keys(&mut |id, _, entry| {
            keys.push(BlockKey::new(id, u32::try_from(entry.size).unwrap()));
            Ok(())
        })
        .unwrap();
    let whole = keys
        .iter()
        .filter(|key| shelf.block(key, &mut out).unwrap());
    (whole.count(), keys.len())
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// What was wrong for a moment is right the second time, and what stays wrong is told as of any volume.
#[test]
fn a_block_that_did_not_come_is_read_once_more() {
    let (folder, mut ui) = (Folder::new(), Ui::silent());
    let mut set = folder.set(&mut ui, None);
    let (no, path) = folder.largest(&set);
    let (places, _) = set.load_index(&mut ui, false, &mut |_, _| Ok(())).unwrap();
    let expected = places.expected(no).unwrap();
    let mut shelf = set.shelf_of_blocks(&mut ui, no, expected).unwrap();
    assert!(matches!(shelf.source, Source::AtHand(_)));
    let middle = std::fs::read(&path).unwrap().len() / 2;
    flip(&path, middle);
    let (whole, all) = given(&mut shelf);
    assert!(whole < all && all > 1, "{whole} of {all}");
    flip(&path, middle);
    let anew = set.shelf_anew(&mut ui, (no, &shelf), expected).unwrap();
    let mut anew = anew.unwrap();
    assert_eq!((given(&mut anew), anew.flaw()), ((all, all), None));
    // Only what was read where it lies.
    let none = set.shelf_anew(&mut ui, (no, &anew), expected).unwrap();
    assert!(none.is_none());
    flip(&path, middle);
    let mut damaged = set.shelf_of_blocks(&mut ui, no, expected).unwrap();
    assert!(damaged.flaw().is_some());
    assert_eq!(given(&mut damaged), (whole, all));
}

/// A damaged volume for which there is no room gives what can be read of it where it lies, else only it is lost.
#[test]
fn without_room_damage_costs_one_volume() {
    let (folder, mut ui) = (Folder::new(), Ui::silent());
    let mut set = folder.set(&mut ui, None);
    let (places, _) = set.load_index(&mut ui, false, &mut |_, _| Ok(())).unwrap();
    let mut set = folder.set(&mut ui, Some(0));
    let (no, path) = folder.largest(&set);
    let expected = places.expected(no).unwrap();
    flip(&path, std::fs::read(&path).unwrap().len() / 2);
    let mut shelf = set.shelf_of_blocks(&mut ui, no, expected).unwrap();
    assert!(shelf.flaw().is_some_and(|flaw| flaw.contains("hash")));
    let (whole, all) = given(&mut shelf);
    assert!(whole < all && all - whole <= 2, "{whole} of {all}");
    let none = set.shelf_anew(&mut ui, (no, &shelf), expected).unwrap();
    assert!(none.is_none());
    flip(&path, 0);
    let e = set.shelf_of_blocks(&mut ui, no, expected).err().unwrap();
    assert_eq!(e.kind(), Kind::Unreadable);
    assert!(e.to_string().contains("temporary folder"), "{e}");
}
