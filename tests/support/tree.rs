//! Makes a folder tree that holds one of everything a backup meets.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::snapshot::INSTALL;
use super::{Rand, tool};

/// Sets `user.*` attributes: path, name, hex value, three arguments each.
const SET_XATTRS: &str = r"
import os, sys
a = [os.fsencode(x) for x in sys.argv[1:]]
for path, name, value in zip(a[0::3], a[1::3], a[2::3]):
    os.setxattr(path, name, bytes.fromhex(value.decode()), follow_symlinks=False)
";

/// Names that have broken programs before.
pub const ODD_NAMES: [&str; 16] = [
    "with space",
    " leading and trailing ",
    "quote'\"s",
    "back\\slash",
    "new\nline",
    "esc\x1b[31mred",
    "tab\there",
    "日本語",
    "🦀 crab",
    "e\u{301} is not \u{e9}",
    "-dash",
    "%41",
    "star*",
    "[set]",
    "que?stion",
    ".hidden",
];

/// Fills `root` (made if it is not there) with a tree for blocks of `block` bytes; equal for equal seeds.
pub fn make(root: &Path, seed: u64, block: usize) {
    let mut rand = Rand(seed);
    fs::create_dir_all(root).expect("a writable scratch folder");
    sizes(root, &mut rand, block);
    names(root, &mut rand);
    links(root);
    sparse(root, block);
    deep(root, &mut rand);
    modes_and_times(root, &mut rand);
    xattrs(root);
    times_of_folders(root);
}

/// Lengths around every border: blocks, and block lists of 32-byte hashes.
fn sizes(root: &Path, rand: &mut Rand, block: usize) {
    let dir = root.join("sizes");
    fs::create_dir_all(&dir).expect("a writable scratch folder");
    let list = block / 32;
    let mut lengths = vec![0, 1, 15, 16, 17, 511, 512, 513];
    for blocks in [1, 2, 3, list, list + 1] {
        // Beyond 4 MiB the border of a list is left to the smaller block sizes.
        if blocks * block <= 4 << 20 {
            lengths.extend([blocks * block - 1, blocks * block, blocks * block + 1]);
        }
    }
    for len in lengths {
        write(&dir.join(format!("random-{len}")), &rand.bytes(len));
        write(&dir.join(format!("text-{len}")), &rand.prose(len));
    }
    let twice = rand.bytes(5 * block / 2);
    write(&dir.join("same-1"), &twice);
    write(&dir.join("same-2"), &twice);
    let repeated = rand.bytes(block).repeat(5);
    write(&dir.join("one block five times"), &repeated);
}

fn names(root: &Path, rand: &mut Rand) {
    let dir = root.join("names");
    for name in ODD_NAMES {
        let folder = dir.join(format!("{name} folder"));
        fs::create_dir_all(&folder).expect("a writable scratch folder");
        write(&folder.join(name), &rand.prose(40));
        write(&dir.join(name), &rand.prose(50));
    }
    write(&dir.join("n".repeat(255)), b"longest name");
    // Byte order of names and of paths differ around the separator.
    for name in ["a", "a.b", "a-b", "a0"] {
        fs::create_dir_all(dir.join(name)).expect("a writable scratch folder");
        write(&dir.join(name).join("x"), name.as_bytes());
    }
    fs::create_dir_all(root.join("empty folder")).expect("a writable scratch folder");
}

fn links(root: &Path) {
    let dir = root.join("links");
    fs::create_dir_all(&dir).expect("a writable scratch folder");
    write(&dir.join("file"), b"the file");
    let made = [
        ("to-file", "file"),
        ("to-folder", "../sizes"),
        ("to-nothing", "no such thing"),
        ("absolute", "/etc/hostname"),
        ("to-itself", "to-itself"),
        ("odd\nlink", "back\\slash \u{1f980}"),
        ("to-parent", ".."),
    ];
    for (name, target) in made {
        symlink(target, dir.join(name)).expect("a file system with links");
    }
    fs::hard_link(dir.join("file"), dir.join("hard")).expect("a file system with hard links");
}

fn sparse(root: &Path, block: usize) {
    let mut file = File::create(root.join("sparse")).expect("a writable scratch folder");
    file.write_all(b"head").expect("a writable file");
    let middle = (20 * block + 7) as u64;
    file.seek(SeekFrom::Start(middle)).expect("a seekable file");
    file.write_all(b"middle").expect("a writable file");
    file.set_len(middle + (30 * block) as u64)
        .expect("a writable file");
    write(&root.join("zeros"), &vec![0; 3 * block]);
}

fn deep(root: &Path, rand: &mut Rand) {
    let mut path = root.join("deep");
    for level in 0..20 {
        path.push(format!("level {level}"));
    }
    fs::create_dir_all(&path).expect("a writable scratch folder");
    write(&path.join("bottom"), &rand.prose(1000));
}

fn modes_and_times(root: &Path, rand: &mut Rand) {
    let dir = root.join("modes");
    fs::create_dir_all(&dir).expect("a writable scratch folder");
    for mode in [0o600, 0o640, 0o644, 0o755, 0o444, 0o777] {
        let path = dir.join(format!("{mode:o}"));
        write(&path, &rand.prose(20));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own files");
    }
    let private = dir.join("private");
    fs::create_dir_all(&private).expect("a writable scratch folder");
    write(&private.join("key"), &rand.bytes(32));
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("own files");
    let dir = root.join("times");
    fs::create_dir_all(&dir).expect("a writable scratch folder");
    // Seconds since 1970: 1935, just before 1970, the start, 2001, 2038-01-19 03:14:08, 2100.
    for seconds in [
        -1_100_000_000,
        -1,
        0,
        1_000_000_000,
        1 << 31,
        4_102_444_800_i64,
    ] {
        let path = dir.join(format!("at {seconds}"));
        write(&path, b"time");
        set_time(&path, seconds, 123_456_700);
    }
}

fn xattrs(root: &Path) {
    let dir = root.join("xattr");
    fs::create_dir_all(dir.join("folder")).expect("a writable scratch folder");
    write(&dir.join("file"), b"has attributes");
    let long = "ab".repeat(2000);
    let set: [(&str, &str, &str); 4] = [
        ("file", "user.comment", "68656c6c6f007861747472"),
        ("file", "user.long", &long),
        ("file", "user.näme", "ff00fe"),
        ("folder", "user.tag", "78"),
    ];
    let mut args: Vec<OsString> = vec!["-c".into(), SET_XATTRS.into()];
    for (path, name, value) in set {
        args.extend([dir.join(path).into_os_string(), name.into(), value.into()]);
    }
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    tool("python3", &args, INSTALL);
}

fn times_of_folders(root: &Path) {
    for (n, name) in ["names", "links", "deep/level 0", "xattr/folder", ""]
        .iter()
        .enumerate()
    {
        set_time(&root.join(name), 1_200_000_000 + n as i64, 7_654_300);
    }
}

/// Sets the modification time of a file or folder.
pub fn set_time(path: &Path, seconds: i64, nanoseconds: u32) {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds < 0 {
        UNIX_EPOCH - whole
    } else {
        UNIX_EPOCH + whole
    };
    let time = base + Duration::from_nanos(u64::from(nanoseconds));
    File::open(path)
        .and_then(|f| f.set_modified(time))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A few edits of every kind: new, changed in place, grown, cut, deleted, renamed, other mode, other time, file for folder.
pub fn edit(root: &Path, seed: u64) {
    let mut rand = Rand(seed);
    write(&root.join("new file"), &rand.prose(3000));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(root.join("zeros"))
        .expect("a made tree");
    file.write_all(b"not zero any more")
        .expect("a writable file");
    let mut grown = fs::OpenOptions::new()
        .append(true)
        .open(root.join("sparse"))
        .expect("a made tree");
    grown.write_all(&rand.bytes(700)).expect("a writable file");
    write(&root.join("sizes/text-513"), b"cut");
    fs::remove_file(root.join("names/日本語")).expect("a made tree");
    fs::remove_dir(root.join("empty folder")).expect("a made tree");
    write(&root.join("empty folder"), b"a file now");
    fs::rename(root.join("names/star*"), root.join("names/renamed")).expect("a made tree");
    fs::set_permissions(root.join("modes/600"), fs::Permissions::from_mode(0o666))
        .expect("own files");
    set_time(&root.join("modes/644"), 1_111_111_111, 100);
    fs::remove_file(root.join("links/to-file")).expect("a made tree");
    symlink("somewhere else", root.join("links/to-file")).expect("a file system with links");
}

/// A file name that is not UTF-8.
pub fn not_utf8() -> OsString {
    OsString::from_vec(b"not \xff utf-8".to_vec())
}

pub fn write(path: &Path, data: &[u8]) {
    fs::write(path, data).unwrap_or_else(|e| panic!("{:?}: {e}", path.as_os_str().as_bytes()));
}

/// Thirty folders of ninety small files each (`dNN/in/ner/fNN`), and `large`, a file of 400,000 bytes.
pub fn many_small(source: &Path) {
    let mut rand = Rand(7);
    for d in 0..30 {
        let folder = source.join(format!("d{d:02}/in/ner"));
        fs::create_dir_all(&folder).expect("made");
        for f in 0..90 {
            let len = 900 + usize::try_from(rand.below(900)).expect("small");
            write(&folder.join(format!("f{f:02}")), &rand.bytes(len));
        }
    }
    write(&source.join("large"), &rand.bytes(400_000));
}
