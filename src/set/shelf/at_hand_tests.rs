//! What is read where it lies is what is in the archive, and what changes under it is noticed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::format::manifest::Params;
use crate::set::shelf::ranged::tests::{
    ALGO, CIPHERS, Cipher, archive, blocks, key_of, sealed, secret,
};

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
        let at_hand = AtHand::open(stored, secret).unwrap();
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
