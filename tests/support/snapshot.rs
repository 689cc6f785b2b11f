//! What a folder tree is: type, size, content, link target, mode, time and `user.*` attributes of every entry.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{fixture, tool};

/// Prints `path NUL name NUL value NUL` of every `user.*` attribute below a folder.
const XATTRS: &str = r"
import os, sys
root = os.fsencode(sys.argv[1])
def show(path):
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith('user.'):
            value = os.getxattr(path, name, follow_symlinks=False)
            rel = os.path.relpath(path, root)
            sys.stdout.buffer.write(b'\0'.join([b'' if rel == b'.' else rel, os.fsencode(name), value.hex().encode(), b'']))
show(root)
for folder, folders, files in os.walk(root):
    for name in folders + files:
        show(os.path.join(folder, name))
";

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
    let printed = tool(
        "python3",
        &[OsStr::new("-c"), OsStr::new(XATTRS), root.as_os_str()],
        INSTALL,
    );
    let words: Vec<&[u8]> = printed.split(|&b| b == 0).collect();
    for part in words.chunks_exact(3) {
        let node = all.get_mut(part[0]).expect("the tree does not change");
        let show = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        node.xattr.insert(show(part[1]), show(part[2]));
    }
    all
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
