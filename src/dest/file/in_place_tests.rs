#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::FileDest;
use super::super::tests::{Data, Root, data};
use crate::base::fault::Class;
use crate::dest::{Body, Destination};

/// In memory: that file system has unnamed files everywhere.
fn root() -> Root {
    Root::below(Path::new("/dev/shm"))
}

/// A body that is a file of the destination's own.
struct Own(Data, File, bool);

impl Read for Own {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Body for Own {
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        self.0.seek_to(offset)
    }
    fn read_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buf, offset)
    }
    fn sha256(&self) -> [u8; 32] {
        self.0.sha256()
    }
    fn sha1(&self) -> Option<[u8; 20]> {
        None
    }
    fn md5(&self) -> Option<[u8; 16]> {
        None
    }
    fn is_new(&self) -> bool {
        self.0.is_new()
    }
    fn unnamed(&self) -> Option<&File> {
        Some(&self.1)
    }
    fn taken(&mut self) {
        self.2 = true;
    }
}

/// `bytes` in an unnamed file of the destination.
fn own(d: &mut FileDest, bytes: &[u8], sealed: bool) -> Own {
    let mut file = d.unnamed_file(bytes.len() as u64, sealed).unwrap();
    file.write_all(bytes).unwrap();
    Own(data(bytes), file, false)
}

#[test]
fn a_volume_that_came_to_be_in_the_folder_only_gets_its_name() {
    let root = root();
    let (path, mut d) = (root.at("d"), root.dest(&[]));
    d.create_folder().unwrap();
    for (name, copied, sealed) in [("a.zip", "b.zip", false), ("a.zip.aes", "b.zip.aes", true)] {
        let mut body = own(&mut d, b"a volume", sealed);
        let number = body.1.metadata().unwrap().ino();
        assert!(!path.join(name).exists());
        d.put(name, &mut body).unwrap();
        assert!(body.2, "not copied");
        let facts = std::fs::metadata(path.join(name)).unwrap();
        assert_eq!((facts.ino(), facts.len()), (number, 8));
        d.put(copied, &mut data(b"a volume")).unwrap();
        assert_eq!(
            facts.mode(),
            std::fs::metadata(path.join(copied)).unwrap().mode()
        );
        assert_eq!(std::fs::read(path.join(name)).unwrap(), b"a volume");
        // Again, as after an answer that was lost: now it is copied.
        body.2 = false;
        d.put(name, &mut body).unwrap();
        assert!(!body.2);
        assert_ne!(std::fs::metadata(path.join(name)).unwrap().ino(), number);
    }
}

#[test]
fn an_unnamed_file_replaces_nothing_by_its_name_and_none_of_another_place_gets_one() {
    let root = root();
    let (path, mut d) = (root.at("d"), root.dest(&[]));
    d.create_folder().unwrap();
    d.put("a", &mut data(b"older")).unwrap();
    let mut body = own(&mut d, b"newer", true);
    d.put("a", &mut body).unwrap();
    assert!(!body.2, "a name that is taken is replaced by a copy");
    assert_eq!(std::fs::read(path.join("a")).unwrap(), b"newer");
    // One that was handed out before another, one of somebody else, one that is not as long as the body.
    let mut before = own(&mut d, b"before", true);
    let mut last = own(&mut d, b"last", true);
    d.put("b", &mut before).unwrap();
    assert!(!before.2);
    let mut other = own(&mut root.dest(&[]), b"other", true);
    d.put("c", &mut other).unwrap();
    assert!(!other.2);
    last.1.write_all(b"er").unwrap();
    assert_eq!(d.put("d", &mut last).unwrap_err().class, Class::Integrity);
    assert!(!path.join("d").exists());
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn no_unnamed_file_where_there_is_no_room_or_no_folder() {
    let root = root();
    let mut d = root.dest(&[]);
    assert!(d.unnamed_file(1, true).is_none());
    d.create_folder().unwrap();
    assert!(d.unnamed_file(u64::MAX, true).is_none());
    assert!(d.unnamed_file(1, true).is_some());
    d.min_free = u64::MAX;
    assert!(d.unnamed_file(1, true).is_none());
}
