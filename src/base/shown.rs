//! Stored paths and names as names of this machine: for what restores, and for what shows a version as folders.

use crate::base::bytes;
use crate::base::digest::Algo;

/// True for a path of a Windows source (`format.md` 12).
pub(crate) fn is_windows(path: &[u8]) -> bool {
    path.first() != Some(&b'/')
}

/// The parts of a stored path below `prefix`, fit to be joined under a target: no `..`, nothing empty. Drive letters and
/// servers become folders. `None` for a path that would lead elsewhere; empty for the prefix folder itself.
pub(crate) fn parts<'a>(path: &'a [u8], prefix: &[u8]) -> Option<Vec<&'a [u8]>> {
    let windows = is_windows(path);
    let rest = path.strip_prefix(prefix)?;
    let mut out = Vec::new();
    for part in rest.split(|&b| b == b'/' || (windows && b == b'\\')) {
        match part {
            b"" | b"." => {}
            b".." => return None,
            p if p.contains(&0) => return None,
            [letter, b':']
                if windows
                    && out.is_empty()
                    && prefix.is_empty()
                    && letter.is_ascii_alphabetic() =>
            {
                out.push(&part[..1]);
            }
            p => out.push(p),
        }
    }
    Some(out)
}

/// Names tried beside one that is taken.
pub(crate) const ATTEMPTS: u32 = 100;
/// An extension longer than this is none.
const EXTENSION_AT_MOST: usize = 32;

/// `name.YYYY-MM-DD.ext`, then `name.YYYY-MM-DD (0).ext` and so on, of at most `longest` bytes: names for an entry beside one
/// that is there (`commands.md` 10.2).
pub(crate) fn beside(name: &[u8], date: &str, attempt: u32, longest: usize) -> Vec<u8> {
    let mut middle = format!(".{date}");
    if attempt > 0 {
        middle.push_str(&format!(" ({})", attempt - 1));
    }
    with_middle(name, middle.as_bytes(), longest)
}

/// `name` if it has at most `longest` bytes; else its start, a digest of the whole name, and its extension. Names that differ
/// stay different, and the same name always gives the same.
pub(crate) fn shortened(name: &[u8], longest: usize) -> Option<Vec<u8>> {
    if name.len() <= longest {
        return None;
    }
    let digest = bytes::hex(Algo::Sha256.hash(name).as_bytes());
    Some(with_middle(
        name,
        format!("~{}", &digest[..12]).as_bytes(),
        longest,
    ))
}

/// `middle` before the extension, and as much of the rest as there is room for, cut between characters.
fn with_middle(name: &[u8], middle: &[u8], longest: usize) -> Vec<u8> {
    let dot = name
        .iter()
        .rposition(|&b| b == b'.')
        .filter(|&i| i > 0 && (name.len() - i <= EXTENSION_AT_MOST || name.len() < longest / 2))
        .unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let room = longest
        .saturating_sub(middle.len() + extension.len())
        .min(stem.len());
    let mut cut = room;
    while cut > 0 && room - cut < 4 && stem.get(cut).is_some_and(|b| b & 0xc0 == 0x80) {
        cut -= 1;
    }
    // Not in the middle of anything that is text: the name's own bytes, then.
    if stem.get(cut).is_some_and(|b| b & 0xc0 == 0x80) {
        cut = room;
    }
    [&stem[..cut], middle, extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_file() {
        let name = |n: &str, i| {
            String::from_utf8_lossy(&beside(n.as_bytes(), "2024-01-31", i, 255)).into_owned()
        };
        assert_eq!(name("x.tar.gz", 0), "x.tar.2024-01-31.gz");
        assert_eq!(name("x", 2), "x.2024-01-31 (1)");
        assert_eq!(name(".bashrc", 0), ".bashrc.2024-01-31");
        assert_eq!(name(&"é".repeat(127), 0).len(), 255);
        let short = beside("é".repeat(70).as_bytes(), "2024-01-31", 0, 143);
        assert_eq!(short.len(), 143);
    }

    #[test]
    fn names_that_are_too_long_keep_their_start_and_extension() {
        let of = |name: &str, longest| {
            let short = shortened(name.as_bytes(), longest)?;
            assert!(short.len() <= longest, "{}", short.len());
            assert_eq!(shortened(name.as_bytes(), longest).as_ref(), Some(&short));
            Some(String::from_utf8(short).expect("cut between characters"))
        };
        assert_eq!(of("a.txt", 255), None);
        assert_eq!(of(&"x".repeat(255), 255), None);
        for (stem, extension, longest) in [
            ("漢".repeat(120), ".txt", 255),
            ("漢".repeat(60), ".txt", 143),
            ("😀".repeat(127), ".jpeg", 255),
            ("é".repeat(255), "", 255),
            ("a".repeat(1000), ".tar.gz", 255),
            (".".to_owned() + &"h".repeat(300), "", 255),
        ] {
            let short = of(&format!("{stem}{extension}"), longest).expect("too long");
            let first: String = stem.chars().take(20).collect();
            assert!(short.starts_with(&first), "{short}");
            let last = extension.rfind('.').map_or("", |i| &extension[i..]);
            assert!(short.ends_with(last) && short.contains('~'), "{short}");
            assert!(short.len() + 4 > longest, "{short}");
        }
        // Two names that differ at the end only, and one whose extension is longer than any.
        let long = |end: &str| of(&("漢".repeat(120) + end), 255).expect("too long");
        assert_ne!(long("a.txt"), long("b.txt"));
        assert!(long(&format!(".{}", "x".repeat(200))).len() <= 255);
        // Not text: cut anywhere.
        assert_eq!(shortened(&[0x80; 300], 255).map(|n| n.len()), Some(255));
    }
}
