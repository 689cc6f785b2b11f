//! What a folder tree is: type, size, content, link target, mode, time and `user.*` attributes of every entry.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::fixture;

/// Reads folders' paths, each with its length before it, and answers each with `path NUL name NUL value NUL` of every `user.*`
/// attribute below it, or with what went wrong, with a byte that says which and the length before it. Ends with its input.
const XATTRS: &str = r"
import os, struct, sys
def show(root, path, out):
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith('user.'):
            value = os.getxattr(path, name, follow_symlinks=False)
            rel = os.path.relpath(path, root)
            out += [b'' if rel == b'.' else rel, os.fsencode(name), value.hex().encode()]
def below(root):
    out = []
    show(root, root, out)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            show(root, os.path.join(folder, name), out)
    return b''.join(word + b'\0' for word in out)
while head := sys.stdin.buffer.read(4):
    root = sys.stdin.buffer.read(struct.unpack('>I', head)[0])
    try:
        well, said = 1, below(root)
    except Exception as e:
        well, said = 0, repr(e).encode()
    sys.stdout.buffer.write(struct.pack('>BI', well, len(said)) + said)
    sys.stdout.buffer.flush()
";

/// The program that reads attributes: one for all tests of a file, for starting it takes longer than most of what they do.
/// It ends when the tests do.
static READER: Mutex<Option<Child>> = Mutex::new(None);

/// How to get what the tests need beside Rust.
pub const INSTALL: &str = "run .ci/prepare, or: apt-get install python3 python3-venv unzip gnupg";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Symlink,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// The lower nine bits.
    pub mode: u32,
    /// Modification time in steps of 100 ns since 1970.
    pub mtime: i128,
    /// Files only.
    pub size: u64,
    /// Files only; hex.
    pub sha256: String,
    /// Links only.
    pub target: Vec<u8>,
    /// `user.*` only, values in hex.
    pub xattr: BTreeMap<String, String>,
}

/// By path relative to the root; the root itself is the empty path.
pub type Snapshot = BTreeMap<Vec<u8>, Node>;

/// What a comparison leaves out.
#[derive(Clone, Copy, Default)]
pub struct But {
    pub mode: bool,
    pub mtime: bool,
    /// Compare times to the second only.
    pub fraction: bool,
    pub xattr: bool,
    /// The root folder itself.
    pub root: bool,
}

/// What the source of a fixture's version looked like, from its `expected/N.jsonl`.
pub fn expected(name: &str, number: &str) -> Snapshot {
    let file = fixture(name)
        .join("expected")
        .join(format!("{number}.jsonl"));
    expected_at(&file)
}

/// The same, from such a file.
pub fn expected_at(file: &Path) -> Snapshot {
    let mut all = Snapshot::new();
    for line in fs::read_to_string(file)
        .expect("a well-formed line")
        .lines()
    {
        let e: serde_json::Value = serde_json::from_str(line).expect("a well-formed line");
        let word = |key: &str| e[key].as_str().unwrap_or_default().to_owned();
        let kind = match e["type"].as_str().expect("a well-formed line") {
            "file" => Kind::File,
            "folder" => Kind::Folder,
            "symlink" => Kind::Symlink,
            other => panic!("type {other}"),
        };
        let xattr: BTreeMap<String, String> = e["xattr"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| {
                (
                    k.clone(),
                    v.as_str().expect("a well-formed line").to_owned(),
                )
            })
            .collect();
        let node = Node {
            kind,
            mode: u32::from_str_radix(&word("mode"), 8).expect("a well-formed line") & 0o777,
            mtime: i128::from(e["mtime_ns"].as_i64().expect("a well-formed line")).div_euclid(100),
            size: e["size"].as_u64().unwrap_or(0),
            sha256: word("sha256"),
            target: word("target").into_bytes(),
            xattr,
        };
        all.insert(word("path").into_bytes(), node);
    }
    all
}

/// Reads a tree without following links.
pub fn take(root: &Path) -> Snapshot {
    let mut all = take_but_xattrs(root);
    let printed = xattrs(root);
    let words: Vec<&[u8]> = printed.split(|&b| b == 0).collect();
    for part in words.chunks_exact(3) {
        let node = all.get_mut(part[0]).expect("the tree does not change");
        let show = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        node.xattr.insert(show(part[1]), show(part[2]));
    }
    all
}

/// What [`XATTRS`] answers for a folder.
fn xattrs(root: &Path) -> Vec<u8> {
    let mut reader = READER.lock().unwrap_or_else(PoisonError::into_inner);
    let child = reader.get_or_insert_with(|| {
        let mut command = Command::new("python3");
        command.args(["-c", XATTRS]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = command.spawn();
        started.unwrap_or_else(|e| panic!("this test needs python3 ({e}): {INSTALL}"))
    });
    let root = std::path::absolute(root).expect("a path");
    let path = root.as_os_str().as_bytes();
    let length = u32::try_from(path.len()).expect("a path");
    let (mut well, mut said) = ([0], Vec::new());
    let mut ask = || -> std::io::Result<()> {
        let to = child.stdin.as_mut().expect("a pipe");
        to.write_all(&[&length.to_be_bytes(), path].concat())?;
        let (from, mut length) = (child.stdout.as_mut().expect("a pipe"), [0; 4]);
        from.read_exact(&mut well)?;
        from.read_exact(&mut length)?;
        said.resize(u32::from_be_bytes(length) as usize, 0);
        from.read_exact(&mut said)
    };
    ask().unwrap_or_else(|e| panic!("python3 ended ({e}): {INSTALL}"));
    let text = String::from_utf8_lossy(&said);
    assert!(well == [1], "{}: {text}", root.display());
    said
}

/// As [`take`], without attributes: no other program is started.
pub fn take_but_xattrs(root: &Path) -> Snapshot {
    let mut all = Snapshot::new();
    let mut open = vec![(root.to_path_buf(), Vec::new())];
    while let Some((path, rel)) = open.pop() {
        let meta =
            fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut node = Node {
            kind: Kind::Other,
            mode: meta.mode() & 0o777,
            mtime: i128::from(meta.mtime()) * 10_000_000 + i128::from(meta.mtime_nsec() / 100),
            size: 0,
            sha256: String::new(),
            target: Vec::new(),
            xattr: BTreeMap::new(),
        };
        if meta.is_dir() {
            node.kind = Kind::Folder;
            for entry in fs::read_dir(&path).expect("a readable folder") {
                let entry = entry.expect("a readable folder");
                let mut below: Vec<u8> = rel.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(entry.file_name().as_bytes());
                open.push((entry.path(), below));
            }
        } else if meta.is_symlink() {
            node.kind = Kind::Symlink;
            let target = fs::read_link(&path).expect("a readable link");
            node.target = target.as_os_str().as_bytes().to_vec();
        } else if meta.is_file() {
            node.kind = Kind::File;
            node.size = meta.len();
            node.sha256 = sha256(&path);
        }
        all.insert(rel, node);
    }
    all
}

pub fn sha256(path: &Path) -> String {
    let mut file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer).expect("a readable file");
        if n == 0 {
            break;
        }
        context.update(&buffer[..n]);
    }
    hex(context.finish().as_ref())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Every difference, a line each; none when equal. Times of links are never compared: restoring them is an option.
pub fn differences(want: &Snapshot, got: &Snapshot, but: But) -> Vec<String> {
    let mut out = Vec::new();
    for path in want
        .keys()
        .chain(got.keys().filter(|p| !want.contains_key(*p)))
    {
        if but.root && path.is_empty() {
            continue;
        }
        let shown = String::from_utf8_lossy(path).into_owned();
        match (want.get(path), got.get(path)) {
            (Some(_), None) => out.push(format!("{shown:?}: missing")),
            (None, _) => out.push(format!("{shown:?}: should not be there")),
            (Some(want), Some(got)) => {
                for what in unlike(want, got, but) {
                    out.push(format!("{shown:?}: {what}"));
                }
            }
        }
    }
    out
}

fn unlike(want: &Node, got: &Node, but: But) -> Vec<String> {
    let mut out = Vec::new();
    let mut note = |what: &str, same: bool, values: String| {
        if !same {
            out.push(format!("{what} {values}"));
        }
    };
    let link = want.kind == Kind::Symlink;
    note(
        "type",
        want.kind == got.kind,
        format!("{:?} is {:?}", want.kind, got.kind),
    );
    note(
        "size",
        want.size == got.size,
        format!("{} is {}", want.size, got.size),
    );
    note(
        "content",
        want.sha256 == got.sha256,
        format!("{} is {}", want.sha256, got.sha256),
    );
    note(
        "target",
        want.target == got.target,
        format!("{:?} is {:?}", want.target, got.target),
    );
    if !but.mode && !link {
        note(
            "mode",
            want.mode == got.mode,
            format!("{:o} is {:o}", want.mode, got.mode),
        );
    }
    if !but.mtime && !link {
        let unit = if but.fraction { 10_000_000 } else { 1 };
        let same = want.mtime.div_euclid(unit) == got.mtime.div_euclid(unit);
        note("mtime", same, format!("{} is {}", want.mtime, got.mtime));
    }
    if !but.xattr {
        note(
            "xattr",
            want.xattr == got.xattr,
            format!("{:?} is {:?}", want.xattr, got.xattr),
        );
    }
    out
}

/// Fails with the first differences unless the two are equal.
#[track_caller]
pub fn same(want: &Snapshot, got: &Snapshot, but: But, what: &str) {
    let all = differences(want, got, but);
    let first: Vec<_> = all.iter().take(12).collect();
    assert!(
        all.is_empty(),
        "{what}: {} differences: {first:#?}",
        all.len()
    );
}
