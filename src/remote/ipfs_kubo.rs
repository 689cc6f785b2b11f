//! Identifiers computed here against a real Kubo, around every boundary of chunks and widths. Says so where there is none.

#[path = "../../tests/support/servers/ipfs.rs"]
mod server;

use std::io::Write as _;

use super::*;
use crate::base::rand;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::format::ipld::file_cid::FileCid;
use server::{Node, kubo};

const KIB: usize = 1 << 10;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("duplet-kubo-{}", rand::hex::<8>().expect("random"));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("log"));
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut seed = 11u64;
    let next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56).to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn identifiers_around_every_boundary_are_those_of_kubo() {
    let Some(program) = kubo() else { return };
    let folder = Folder::new();
    let node = Node::prepare(program, &folder.0);
    let path = folder.0.join("file");
    let (two, three) = (174 * 16, 174 * 174 * 16);
    let data = noise(three + 174 * 16 + 17);
    let sizes = [
        0,
        1,
        15,
        16,
        17,
        31,
        32,
        33,
        two - 16,
        two - 1,
        two,
        two + 1,
        two + 16,
        two + 17,
        2 * two,
        2 * two + 1,
        1023 * 16,
        1024 * 16,
        1024 * 16 + 1,
        2048 * 16 + 1,
        three - 1,
        three,
        three + 1,
        data.len(),
    ];
    for size in sizes {
        std::fs::write(&path, &data[..size]).expect("written");
        let mut cid = FileCid::new(16);
        cid.update(&data[..size]);
        let ours: Vec<String> = cid.finish().iter().map(ToString::to_string).collect();
        for (i, width) in ["174", "1024"].iter().enumerate() {
            let theirs = node.run(&[
                "add",
                "-Q",
                "--only-hash",
                "--cid-version=1",
                "--raw-leaves",
                "--chunker=size-16",
                &format!("--max-file-links={width}"),
                path.to_str().expect("plain"),
            ]);
            let expected = ours.get(i).unwrap_or(&ours[0]);
            assert_eq!(*expected, theirs, "{size} bytes, width {width}");
        }
    }
}

#[test]
fn files_of_every_size_are_taken_and_given_back() {
    let Some(program) = kubo() else { return };
    let folder = Folder::new();
    let node = Node::start(program, &folder.0);
    let tmp = Tmp::open(None).expect("tmp");
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let url = node.url("sizes", "&ipfs-chunk=256kb");
    let mut remote = Remote::open(&url, &Options::default(), &mut ui).expect("opens");
    let chunk = 256 * KIB;
    let data = noise(175 * chunk + 1);
    let sizes = [
        0,
        1,
        chunk - 1,
        chunk,
        chunk + 1,
        2 * chunk,
        2 * chunk + 1,
        174 * chunk - 1,
        174 * chunk,
        174 * chunk + 1,
        175 * chunk,
        175 * chunk + 1,
    ];
    for size in sizes {
        let mut spool = Spool::new(&tmp).expect("spool");
        spool.write_all(&data[..size]).expect("written");
        let sha = Algo::Sha256.hash(&data[..size]).into();
        let name = format!("file-{size}");
        let mut writer = RemoteMut::new(&mut remote, &Permit::to_write());
        let done = writer.put(&mut ui, &name, &mut spool, &sha);
        done.unwrap_or_else(|e| panic!("{size}: {e}"));
        let mut back = Spool::new(&tmp).expect("spool");
        let got = remote.get(&mut ui, &name, Some(size as u64), &mut back);
        got.unwrap_or_else(|e| panic!("{size}: {e}"));
        let mut cid = FileCid::new(chunk as u64);
        cid.update(&data[..size]);
        let theirs = node.run(&["files", "stat", "--hash", &format!("/sizes/{name}")]);
        assert_eq!(cid.finish()[0].to_string(), theirs, "{size}");
    }
}
