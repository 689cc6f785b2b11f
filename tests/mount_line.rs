//! `duplet mount` by what it says to the kernel, with the test in the kernel's place: also where nothing can be mounted.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/kernel.rs"]
mod kernel;

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use kernel::*;
use support::{Rand, Scratch, text, tree};

const EIO: i32 = 5;
const EINVAL: i32 = 22;
const EROFS: i32 = 30;
const ENOSYS: i32 = 38;
const ESTALE: i32 = 116;

struct World {
    scratch: Scratch,
    source: PathBuf,
    big: Vec<u8>,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("line");
        let source = scratch.folder("source");
        let big = Rand(1).bytes(180_000);
        tree::write(&source.join("big"), &big);
        symlink("big", source.join("link")).unwrap();
        std::fs::create_dir(source.join("many")).unwrap();
        for n in 0..60 {
            tree::write(&source.join(format!("many/file {n:03}")), b"x");
        }
        let dest = scratch.at("dest");
        let args = ["backup", text(&dest), text(&source), "--no-encryption"];
        let small = ["--blocksize=10kb", "--dblock-size=1mb"];
        scratch.run(&[&args[..], &small].concat()).code(&[0]);
        World {
            scratch,
            source,
            big,
        }
    }

    fn ready(&self) -> Kernel {
        let dest = self.scratch.at("dest");
        Kernel::ready(&self.scratch, text(&dest), &["--no-encryption"])
    }

    fn path(&self, name: &str) -> String {
        format!("newest{}/{name}", text(&self.source))
    }
}

#[test]
fn what_is_asked_is_answered() {
    let world = World::new();
    let mut kernel = world.ready();
    let (_, said) = kernel.read(READDIR, 1, 0, 4096);
    let names: Vec<_> = entries(&said, false).into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, [".", "..", "newest", "versions"]);
    let big = kernel.walk(&world.path("big"));
    for (at, size, want) in [
        (0, 4096, &world.big[..4096]),
        (10_000, 131_072, &world.big[10_000..141_072]),
        (179_999, 4096, &world.big[179_999..]),
        (180_000, 4096, &[]),
        (u64::MAX, u32::MAX, &[]),
        (0, 0, &[]),
        (0, u32::MAX, &world.big[..]),
    ] {
        let (error, said) = kernel.read(READ, big, at, size);
        assert!(error == 0 && said == want, "{at} {size}: {error}");
    }
    let (_, said) = kernel.ask(GETATTR, big, &[0; 16]);
    assert_eq!((said.len(), wide(&said, 24)), (104, 180_000));
    let link = kernel.walk(&world.path("link"));
    assert_eq!(kernel.ask(READLINK, link, &[]), (0, b"big".to_vec()));
    assert_eq!(kernel.ask(READLINK, big, &[]).0, EINVAL);
    assert_eq!(kernel.ask(STATFS, 1, &[]).1.len(), 80);
    assert_eq!(kernel.ask(ACCESS, big, &[4, 0, 0, 0, 0, 0, 0, 0]).0, 0);
    let write = 2u32.to_ne_bytes();
    assert_eq!(kernel.ask(ACCESS, big, &[write, [0; 4]].concat()).0, EROFS);
    assert_eq!(
        kernel.ask(OPEN, big, &[[0; 4], [0; 4]].concat()).1.len(),
        16
    );
    assert_eq!(kernel.ask(OPEN, big, &[write, [0; 4]].concat()).0, EROFS);
    assert_eq!(kernel.ask(OPENDIR, big, &[0; 8]).0, 20);
    assert_eq!(kernel.ask(LISTXATTR, big, &[0; 8]), (0, vec![0; 8]));
    let name = [&100u32.to_ne_bytes()[..], &[0; 4], b"user.none\0"].concat();
    assert_eq!(kernel.ask(GETXATTR, big, &name).0, 61);
    assert_eq!(kernel.look_up(1, "absent"), 0);
    // A folder in pieces of every size, with and without what look-ups answer.
    let many = kernel.walk(&world.path("many"));
    for (op, plus) in [(READDIR, false), (READDIRPLUS, true)] {
        for size in [300, 1000, 4096, 1 << 20] {
            let (mut all, mut at) = (Vec::new(), 0);
            loop {
                let (error, said) = kernel.read(op, many, at, size);
                assert!(error == 0 && said.len() <= size as usize);
                let some = entries(&said, plus);
                if some.is_empty() {
                    break;
                }
                at += some.len() as u64;
                all.extend(some);
            }
            assert_eq!(all.len(), 62, "{size} {plus}");
            assert!(all[2..].is_sorted() && all[61].0 == "file 059");
            assert_eq!(all[0].1, many);
        }
    }
    // What wants no answer gets none: the next answer is that of the next request.
    let forget = kernel.request(FORGET, big, &[0; 8]);
    kernel.send(&forget);
    let forget = kernel.request(BATCH_FORGET, 0, &[0; 8]);
    kernel.send(&forget);
    let interrupt = kernel.request(INTERRUPT, 0, &[0; 8]);
    kernel.send(&interrupt);
    assert_eq!(kernel.look_up(1, "newest") % 2, 0);
    let (code, said) = kernel.leave();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("serving 1 version\n"), "{said}");
}

#[test]
fn what_writes_is_refused_and_what_is_unknown_is_not_known() {
    let world = World::new();
    let mut kernel = world.ready();
    let big = kernel.walk(&world.path("big"));
    let writes = [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51];
    for op in writes {
        assert_eq!(kernel.ask(op, big, &[0; 200]).0, EROFS, "{op}");
    }
    for op in [0, 7, 19, 31, 37, 39, 40, 46, 48, 52, 4096, u32::MAX] {
        assert_eq!(kernel.ask(op, big, &[0; 200]).0, ENOSYS, "{op}");
    }
    for node in [0, big + 1000, u64::MAX, u64::MAX - 1, 1 << 63] {
        let want = if node == 0 { EINVAL } else { ESTALE };
        for op in [LOOKUP, GETATTR, READLINK, OPEN, READ, READDIR, GETXATTR] {
            assert_eq!(kernel.ask(op, node, &[0; 40]).0, want, "{op} {node}");
        }
    }
    assert_eq!(kernel.leave().0, Some(0));
}

/// Requests that are too short, too long, or say another length than theirs: refused, or passed over where nobody can be told.
#[test]
fn requests_that_no_kernel_sends_do_no_harm() {
    let world = World::new();
    let mut kernel = world.ready();
    let big = kernel.walk(&world.path("big"));
    for op in 0..60 {
        for len in [0, 1, 3, 4, 7, 8, 9, 15, 16, 19, 20, 24, 39] {
            if [FORGET, INTERRUPT, BATCH_FORGET].contains(&op) {
                continue;
            }
            // Without a NUL there is no name.
            let (error, _) = kernel.ask(op, big, &vec![1; len]);
            assert!((0..200).contains(&error), "{op} {len}: {error}");
        }
    }
    let whole = kernel.request(GETATTR, big, &[0; 16]);
    for cut in 1..whole.len() {
        kernel.send(&whole[..cut]);
    }
    kernel.send(&[&whole[..], b"more"].concat());
    let mut rand = Rand(7);
    for _ in 0..200 {
        let len = 1 + usize::try_from(rand.below(300)).unwrap();
        kernel.send(&rand.bytes(len));
    }
    let long = "n".repeat(256);
    let (error, _) = kernel.ask(LOOKUP, 1, format!("{long}\0").as_bytes());
    assert_eq!(error, 36);
    for op in 0..60 {
        if [FORGET, INTERRUPT, BATCH_FORGET, INIT].contains(&op) {
            continue;
        }
        let body = rand.bytes(70 << 10);
        let node = 1 + rand.below(200);
        kernel.ask(op, node, &body[..69 << 10]);
    }
    let (error, said) = kernel.read(READ, big, 7, 100);
    assert!(error == 0 && said == world.big[7..107]);
    let (code, said) = kernel.leave();
    assert_eq!(code, Some(0), "{said}");
}

/// Both sides agree on a version, or it is told that they cannot.
#[test]
fn versions_of_the_protocol_are_agreed_on() {
    let world = World::new();
    let dest = world.scratch.at("dest");
    for (major, minor, error, answer, len) in [
        (7, 12, 0, (7, 12), 24),
        (7, 22, 0, (7, 22), 24),
        (7, 23, 0, (7, 23), 64),
        (7, 31, 0, (7, 31), 64),
        (7, 999, 0, (7, 31), 64),
        (8, 0, 0, (7, 31), 64),
        (7, 11, 71, (0, 0), 0),
        (6, 99, 71, (0, 0), 0),
        (0, 0, 71, (0, 0), 0),
    ] {
        let mut kernel = Kernel::start(&world.scratch, text(&dest), &["--no-encryption"]);
        // Before that nothing is answered but with an error.
        assert_eq!(kernel.ask(GETATTR, 1, &[0; 16]).0, EIO);
        let (got, said) = kernel.init(major, minor);
        assert_eq!((got, said.len()), (error, len), "{major}.{minor}");
        if error == 0 {
            assert_eq!((number(&said, 0), number(&said, 4)), answer);
        }
        if major == 8 {
            assert_eq!(kernel.init(7, 45).0, 0);
        }
        let want = if error == 0 { 0 } else { EIO };
        assert_eq!(kernel.ask(GETATTR, 1, &[0; 16]).0, want);
        assert_eq!(kernel.leave().0, Some(0));
    }
}
