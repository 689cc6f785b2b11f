//! What [`Dir`] promises: nothing outside the folder is reached.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::dir::Dir;
use super::files::FileKind;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

struct Tree(PathBuf);

impl Tree {
    /// `in/` (opened) beside `out/secret`; `in/link` and `in/linkdir` point out.
    fn new() -> (Tree, Dir) {
        let root = std::env::temp_dir().join(format!(
            "duplet-dir-{}",
            crate::base::rand::hex::<8>().unwrap()
        ));
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::create_dir(root.join("out")).unwrap();
        std::fs::write(root.join("out/secret"), b"s").unwrap();
        symlink("../out/secret", root.join("in/link")).unwrap();
        symlink("../out", root.join("in/linkdir")).unwrap();
        let dir = Dir::open(&root.join("in")).unwrap();
        (Tree(root), dir)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn names_are_single_components() {
    let (_tree, dir) = Tree::new();
    for name in ["", ".", "..", "a/b", "/etc", "../out/secret", "a\0b"] {
        let name = os(name);
        assert!(dir.open_dir(name).is_err());
        assert!(dir.make_dir(name, 0o700).is_err());
        assert!(dir.stat(name).is_err());
        assert!(dir.create_file(name, 0o600).is_err());
        assert!(dir.open_file(name, false).is_err());
        assert!(dir.rename(name, os("x")).is_err());
        assert!(dir.rename(os("link"), name).is_err());
        assert!(dir.rename_noreplace(os("link"), name).is_err());
        assert!(dir.unlink(name).is_err());
        assert!(dir.rmdir(name).is_err());
        assert!(dir.symlink(os("t"), name).is_err());
        assert!(dir.set_times(name, (0, 0)).is_err());
        assert!(dir.chown(name, 0, 0).is_err());
        assert!(dir.chmod(name, 0o700).is_err());
        assert!(dir.set_xattr(name, b"user.a", b"").is_err());
        assert!(dir.get_xattr(name, b"user.a").is_err());
    }
}

#[test]
fn symlinks_are_never_followed() {
    let (tree, dir) = Tree::new();
    let secret = tree.0.join("out/secret");
    let before = std::fs::metadata(&secret).unwrap();
    assert_eq!(dir.stat(os("link")).unwrap().kind, FileKind::Symlink);
    assert!(dir.open_dir(os("linkdir")).is_err());
    assert!(dir.open_file(os("link"), true).is_err());
    let e = dir.create_file(os("link"), 0o600).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
    let e = dir.chmod(os("link"), 0o777).unwrap_err();
    assert_eq!(e.raw_os_error(), Some(libc::EOPNOTSUPP));
    dir.set_times(os("link"), (5, 6)).unwrap();
    assert_eq!(dir.stat(os("link")).unwrap().mtime, (5, 6));
    let uid = super::effective_uid();
    dir.chown(os("link"), uid, before.gid()).unwrap();
    // The kernel keeps no user attributes on symlinks: an error, or nothing happened to the target.
    let _ = dir.set_xattr(os("link"), b"user.duplet", b"x");
    let out = Dir::open(&tree.0.join("out")).unwrap();
    let had = out.get_xattr(os("secret"), b"user.duplet").unwrap();
    assert_eq!(had, None);
    let after = std::fs::metadata(&secret).unwrap();
    assert_eq!(before.mode(), after.mode());
    assert_eq!(before.mtime(), after.mtime());
    dir.unlink(os("link")).unwrap();
    assert!(dir.rmdir(os("linkdir")).is_err());
    dir.unlink(os("linkdir")).unwrap();
    assert!(secret.exists());
}

#[test]
fn files_are_made_found_renamed_and_removed() {
    let (_tree, dir) = Tree::new();
    let mut file = dir.create_file(os("f"), 0o600).unwrap();
    file.write_all(b"abc").unwrap();
    let mut text = String::new();
    let mut again = dir.open_file(os("f"), false).unwrap();
    again.read_to_string(&mut text).unwrap();
    assert_eq!(text, "abc");
    assert!(again.write_all(b"x").is_err());
    dir.open_file(os("f"), true)
        .unwrap()
        .write_all(b"A")
        .unwrap();
    dir.chmod(os("f"), 0o4755).unwrap();
    assert_eq!(dir.stat(os("f")).unwrap().mode, 0o4755);
    dir.chmod(os("f"), 0o000).unwrap();
    assert_eq!(dir.stat(os("f")).unwrap().mode, 0);
    dir.create_file(os("g"), 0o600).unwrap();
    for by_link in [false, true] {
        let rename = |from, to| {
            if by_link {
                dir.rename_by_link(from, to)
            } else {
                dir.rename_noreplace(from, to)
            }
        };
        let e = rename(os("f"), os("g")).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
        let e = rename(os("none"), os("h")).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::NotFound);
        rename(os("f"), os("h")).unwrap();
        assert!(dir.stat(os("f")).is_err());
        dir.rename(os("h"), os("f")).unwrap();
        dir.make_dir(os("d1"), 0o700).unwrap();
        dir.make_dir(os("d2"), 0o700).unwrap();
        let e = rename(os("d1"), os("d2")).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::AlreadyExists);
        rename(os("d1"), os("d3")).unwrap();
        dir.rmdir(os("d2")).unwrap();
        dir.rmdir(os("d3")).unwrap();
    }
    dir.rename(os("f"), os("g")).unwrap();
    assert_eq!(dir.stat(os("g")).unwrap().size, 3);
    dir.symlink(os("any/../target"), os("s")).unwrap();
    assert_eq!(dir.stat(os("s")).unwrap().size, 13);
    dir.make_dir(os("sub"), 0o700).unwrap();
    let sub = dir.open_dir(os("sub")).unwrap();
    assert!(dir.unlink(os("sub")).is_err());
    let e = dir.open_file(os("sub"), false).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
    drop(sub);
    dir.rmdir(os("sub")).unwrap();
}

#[test]
fn a_pipe_does_not_block_and_is_no_file() {
    let (tree, dir) = Tree::new();
    let path = super::c_path(&tree.0.join("in/pipe")).unwrap();
    // SAFETY: the path ends in NUL.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let e = dir.open_file(os("pipe"), false).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::InvalidInput);
    assert!(dir.open_file(os("pipe"), true).is_err());
    assert_eq!(dir.stat(os("pipe")).unwrap().kind, FileKind::Other);
}

#[test]
fn attributes_below_a_folder() {
    let (_tree, dir) = Tree::new();
    dir.create_file(os("f"), 0o600).unwrap();
    match dir.set_xattr(os("f"), b"user.duplet", b"v") {
        Ok(()) => {
            let value = dir.get_xattr(os("f"), b"user.duplet").unwrap();
            assert_eq!(value.as_deref(), Some(&b"v"[..]));
            assert_eq!(dir.get_xattr(os("f"), b"user.other").unwrap(), None);
        }
        Err(e) => assert_eq!(e.raw_os_error(), Some(libc::ENOTSUP)),
    }
}

#[test]
fn a_path_below_leads_through_folders_only() {
    let (tree, dir) = Tree::new();
    std::fs::create_dir_all(tree.0.join("in/a/b/c")).unwrap();
    symlink("../../../out", tree.0.join("in/a/b/link")).unwrap();
    symlink("c", tree.0.join("in/a/b/near")).unwrap();
    std::fs::write(tree.0.join("in/a/file"), b"f").unwrap();
    match dir.open_below(&[b"a", b"b", b"c"]) {
        Ok(below) => below.make_dir(os("d"), 0o700).unwrap(),
        // Systems without the call walk.
        Err(e) => {
            assert!(matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)));
            return;
        }
    }
    assert!(tree.0.join("in/a/b/c/d").is_dir());
    let failed = |path: &[&[u8]]| dir.open_below(path).unwrap_err().raw_os_error();
    assert_eq!(failed(&[b"linkdir"]), Some(libc::ELOOP));
    assert_eq!(failed(&[b"a", b"b", b"link"]), Some(libc::ELOOP));
    assert_eq!(failed(&[b"a", b"b", b"near"]), Some(libc::ELOOP));
    assert_eq!(failed(&[b"a", b"b", b"none"]), Some(libc::ENOENT));
    assert_eq!(failed(&[b"a", b"file"]), Some(libc::ENOTDIR));
    for name in [&b".."[..], b".", b"", b"b/c", b"/"] {
        assert_eq!(failed(&[b"a", name]), Some(libc::EINVAL));
    }
}
