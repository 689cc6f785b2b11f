//! The sources as the walk wants them: absolute, sorted, none inside another.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The path on this machine: the stored path itself.
pub(super) fn fs_path(stored: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(stored))
}

/// A source as the walk wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Absolute, folders with a trailing `/`.
    pub(crate) path: Vec<u8>,
}

/// Sources made absolute (by text, links stay), existing ones only, sorted, without those inside others. The second part
/// names the missing ones.
pub(crate) fn sources(words: &[String], cwd: &Path) -> (Vec<Source>, Vec<String>) {
    let mut out: Vec<Source> = Vec::new();
    let mut missing = Vec::new();
    for word in words {
        let mut path = normalized(&cwd.join(word))
            .into_os_string()
            .into_encoded_bytes();
        match fs::symlink_metadata(fs_path(&path)) {
            Ok(meta) => {
                let folder =
                    meta.is_dir() || fs::metadata(fs_path(&path)).is_ok_and(|m| m.is_dir());
                if folder && path.last() != Some(&b'/') {
                    path.push(b'/');
                }
                out.push(Source { path });
            }
            Err(_) => missing.push(word.clone()),
        }
    }
    out.sort();
    out.dedup();
    let mut kept: Vec<Source> = Vec::new();
    for source in out {
        let inside = kept
            .iter()
            .any(|k| k.path.ends_with(b"/") && source.path.starts_with(&k.path));
        if !inside {
            kept.push(source);
        }
    }
    (kept, missing)
}

/// `.` and `..` taken out by text, as the user reads the path.
pub(crate) fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => out.push(name),
            std::path::Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_by_text() {
        for (given, want) in [
            ("/a/./b/../c", "/a/c"),
            ("/../x", "/x"),
            ("/", "/"),
            ("/a//b/", "/a/b"),
        ] {
            assert_eq!(normalized(Path::new(given)), Path::new(want));
        }
    }

    #[test]
    fn sources_are_sorted_and_nested_ones_dropped() {
        let folder = std::env::temp_dir().join(format!("duplet-sources-{}", std::process::id()));
        for sub in ["a/b", "a-b"] {
            fs::create_dir_all(folder.join(sub)).expect("folder");
        }
        let words: Vec<String> = ["a/b", "a-b/", "a", "gone", "./a"]
            .map(str::to_owned)
            .to_vec();
        let (found, missing) = sources(&words, &folder);
        let names: Vec<String> = found
            .iter()
            .map(|s| String::from_utf8_lossy(&s.path[folder.as_os_str().len()..]).into_owned())
            .collect();
        assert_eq!(names, ["/a-b/", "/a/"]);
        assert_eq!(missing, ["gone"]);
        fs::remove_dir_all(&folder).expect("clean");
    }
}
