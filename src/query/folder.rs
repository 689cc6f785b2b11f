//! Folders of stored paths: what lies directly in one, and the one that all entries of a version lie in.

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::select::Case;
use crate::set::Set;

/// True for `/a/b` and `/a/b/` in `/a/`; a folder that begins at no root is one of that name anywhere.
pub(super) fn is_directly_in(path: &[u8], folder: &[u8], case: Case) -> bool {
    let inside = path
        .strip_suffix(b"/")
        .or(path.strip_suffix(b"\\"))
        .unwrap_or(path);
    let Some(end) = inside.iter().rposition(|b| is_separator(*b, folder)) else {
        return false;
    };
    let parent = &path[..=end];
    let from_root = folder.first() == Some(&b'/')
        || folder.get(1) == Some(&b':')
        || folder.starts_with(b"\\\\");
    if parent.len() == folder.len() || from_root {
        return case.same(parent, folder);
    }
    // Letters of another case may take another number of bytes.
    let tails = (0..parent.len()).filter(|&i| i == 0 || is_separator(parent[i - 1], folder));
    tails.into_iter().any(|i| case.same(&parent[i..], folder))
}

/// A backslash separates only where the folder's own separator is one.
fn is_separator(byte: u8, folder: &[u8]) -> bool {
    folder.last() == Some(&byte)
}

/// The longest folder that all entries of a version lie in, with its separator; empty when they have none in common.
pub(crate) fn common_folder(set: &mut Set, ui: &mut Ui, no: usize) -> Result<Vec<u8>> {
    let mut common: Option<Vec<u8>> = None;
    set.files(ui, no, &mut |entry| {
        let folder = parent_or_self(&entry.path);
        match &mut common {
            None => common = Some(folder.to_vec()),
            Some(so_far) => shorten(so_far, folder),
        }
        Ok(())
    })?;
    Ok(common.unwrap_or_default())
}

fn cut_to_separator(path: &[u8]) -> usize {
    let separator = if path.starts_with(b"/") || !path.contains(&b'\\') {
        b'/'
    } else {
        b'\\'
    };
    path.iter()
        .rposition(|&b| b == separator)
        .map_or(0, |i| i + 1)
}

fn parent_or_self(path: &[u8]) -> &[u8] {
    &path[..cut_to_separator(path)]
}

/// Cuts `so_far`, a folder, to what it has in common with `folder`.
fn shorten(so_far: &mut Vec<u8>, folder: &[u8]) {
    let same = so_far
        .iter()
        .zip(folder)
        .take_while(|(a, b)| a == b)
        .count();
    if same < so_far.len() {
        so_far.truncate(same);
        so_far.truncate(cut_to_separator(so_far));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_of_a_folder() {
        for (path, folder, want) in [
            ("/a/b", "/a/", true),
            ("/a/b/", "/a/", true),
            ("/a/b/c", "/a/", false),
            ("/a/", "/a/", false),
            ("/ab", "/a/", false),
            ("/a/b\\c", "/a/", true),
            ("/x/a/b", "a/", true),
            ("/x/a/b/", "x/a/", true),
            ("/xa/b", "a/", false),
            ("/x/a/", "a/", false),
            ("C:\\a\\b\\", "C:\\a\\", true),
            ("C:\\a\\b\\c", "C:\\a\\", false),
        ] {
            assert_eq!(
                is_directly_in(path.as_bytes(), folder.as_bytes(), Case::Sensitive),
                want,
                "{path}"
            );
        }
    }

    #[test]
    fn the_common_folder() {
        for (paths, want) in [
            (&["/a/b/c", "/a/b/d/e"][..], "/a/b/"),
            (&["/a/b/", "/a/b/c"], "/a/b/"),
            (&["/a/bc/x", "/a/bd/x"], "/a/"),
            (&["/a", "/b"], "/"),
            (&["C:\\x\\a", "C:\\x\\b\\c"], "C:\\x\\"),
            (&["C:\\x", "D:\\x"], ""),
        ] {
            let mut common = parent_or_self(paths[0].as_bytes()).to_vec();
            for path in &paths[1..] {
                shorten(&mut common, parent_or_self(path.as_bytes()));
            }
            assert_eq!(String::from_utf8_lossy(&common), want);
        }
    }
}
