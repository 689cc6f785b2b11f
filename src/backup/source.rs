//! The sources as the walk wants them: absolute, sorted, none inside another.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::sys::ITSELF;

/// The path on this machine: the stored path itself.
pub(crate) fn fs_path(stored: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(stored))
}

/// A source as the walk wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Absolute, folders with a trailing `/`.
    pub(crate) path: Vec<u8>,
}

impl Source {
    /// The folder it is in, and its name there; `/` is in itself.
    pub(super) fn place(&self) -> (&[u8], &[u8]) {
        let path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
        match path.iter().rposition(|&b| b == b'/') {
            Some(at) => (&path[..=at], &path[at + 1..]),
            None => (b"/", ITSELF),
        }
    }

    fn is_inside(&self, other: &Source) -> bool {
        other.path.ends_with(b"/") && self.path.starts_with(&other.path)
    }

    /// The folders on the way from the source that this one is inside of, if any, each with its `/`.
    pub(crate) fn way<'a>(&'a self, roots: &[Source]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let root = roots.iter().find(|r| self.is_inside(r));
        let from = root.map_or(self.path.len(), |r| r.path.len());
        let ends = (from..self.path.len().saturating_sub(1)).filter(|&i| self.path[i] == b'/');
        ends.map(|i| &self.path[..=i])
    }
}

/// Words made into sources.
#[derive(Default)]
pub(crate) struct Sources {
    /// Absolute (by text, links stay), sorted, none inside another.
    pub(crate) roots: Vec<Source>,
    /// Those inside a root.
    pub(crate) nested: Vec<Source>,
    /// Words that name nothing, each with its absolute path.
    pub(crate) missing: Vec<(String, Vec<u8>)>,
}

pub(crate) fn sources(words: &[String], cwd: &Path) -> Sources {
    let mut out: Vec<Source> = Vec::new();
    let mut sorted = Sources::default();
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
            Err(_) => sorted.missing.push((word.clone(), path)),
        }
    }
    out.sort();
    out.dedup();
    for source in out {
        if sorted.roots.iter().any(|r| source.is_inside(r)) {
            sorted.nested.push(source);
        } else {
            sorted.roots.push(source);
        }
    }
    sorted
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
        for sub in ["a/b/c", "a-b"] {
            fs::create_dir_all(folder.join(sub)).expect("folder");
        }
        let words: Vec<String> = ["a/b", "a-b/", "a", "gone", "./a", "a/b/c"]
            .map(str::to_owned)
            .to_vec();
        let found = sources(&words, &folder);
        let below =
            |path: &[u8]| String::from_utf8_lossy(&path[folder.as_os_str().len()..]).into_owned();
        let names = |list: &[Source]| list.iter().map(|s| below(&s.path)).collect::<Vec<_>>();
        assert_eq!(names(&found.roots), ["/a-b/", "/a/"]);
        assert_eq!(names(&found.nested), ["/a/b/", "/a/b/c/"]);
        assert_eq!(found.missing.len(), 1);
        assert_eq!(found.missing[0].0, "gone");
        assert_eq!(below(&found.missing[0].1), "/gone");
        let way = |i: usize| {
            found.nested[i]
                .way(&found.roots)
                .map(below)
                .collect::<Vec<_>>()
        };
        assert_eq!((way(0), way(1)), (vec![], vec!["/a/b/".to_owned()]));
        fs::remove_dir_all(&folder).expect("clean");
    }
}
