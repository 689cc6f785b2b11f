//! Where volumes come to be.

use std::sync::Arc;

use super::*;
use crate::base::digest::Algo;
use crate::base::error::Kind;
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::remote::{OPTIONS, Remote};
use crate::spill::run::RunWriter;
use crate::writer::publish::tests::{Folder, WRITE, add, block, open};

/// Stores three volumes in a folder, and a version of nothing, with `free` bytes free in the temporary folder.
fn store(options: &Options, free: u64) -> (Folder, Result<()>) {
    // In memory: that file system has unnamed files everywhere.
    let folder = Folder::below("/dev/shm");
    let mut ui = Ui::silent();
    let mut tmp = Tmp::open(None).expect("a folder");
    tmp.free = Some(Arc::new(usize::try_from(free).expect("small").into()));
    let path = folder.0.join("to/be/made");
    let remote = Remote::open(path.to_str().expect("text"), options, &mut ui).expect("opens");
    let mut set = open(remote, &tmp, &mut ui).expect("opens");
    let permit = set.permit(false).expect("may write");
    let mut writer = Writer::begin(&mut set, permit, WRITE).expect("begins");
    let mut all = || -> Result<()> {
        for n in 0..3 * WRITE.dblock_size / 1024 {
            let data = block(n, 1024);
            writer.add_block(&mut ui, &Algo::Sha256.hash(&data), &data)?;
        }
        let run = RunWriter::new(&tmp).finish()?;
        add(&mut writer, &mut ui, &run, Timestamp(1_700_000_000)).map(|_| ())
    };
    let done = all();
    (folder, done)
}

#[test]
fn volumes_for_a_folder_come_to_be_there_and_need_little_temporary_space() {
    let little = WRITE.dblock_size / BESIDE_A_VOLUME;
    let (folder, done) = store(&Options::default(), little);
    done.expect("stored");
    let volumes = std::fs::read_dir(folder.0.join("to/be/made")).expect("listed");
    // Four of blocks as each has a little beside its blocks, as many indexes, a list.
    assert_eq!(volumes.count(), 9);
    let (_folder, done) = store(&Options::default(), little - 1);
    assert_eq!(done.expect_err("too little").kind(), Kind::NoSpace);
    // Where uploads are slowed down they are uploads.
    let mut slow = Options::default();
    let throttle = OPTIONS.iter().find(|o| o.is_named("throttle-upload"));
    slow.set(throttle.expect("an option"), "1gb")
        .expect("a size");
    let (_folder, done) = store(&slow, 2 * WRITE.dblock_size - 1);
    assert_eq!(done.expect_err("too little").kind(), Kind::NoSpace);
    let (_folder, done) = store(&slow, 2 * WRITE.dblock_size);
    done.expect("stored");
}
