//! Globs: `*` is any run, `?` any one character, both across `/`; no classes, no escapes. Time is at most the product of the
//! two lengths, memory is constant.

/// How letters and slashes compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Bytes as they are.
    Exact,
    /// Letters without case.
    Letters,
    /// As stored by Windows: letters without case, either slash.
    Windows,
}

/// True when the whole of `path` fits.
pub(crate) fn matches(glob: &[u8], path: &[u8], fold: Fold) -> bool {
    let (mut g, mut p) = (0, 0);
    // Where to go on after the last `*`: behind it in the glob, and one character further in the path each time.
    let mut retry: Option<(usize, usize)> = None;
    while p < path.len() || g < glob.len() {
        if g < glob.len() {
            if glob[g] == b'*' {
                g += 1;
                retry = Some((g, p));
                continue;
            }
            if p < path.len() {
                if glob[g] == b'?' {
                    g += 1;
                    p += char_len(&path[p..]);
                    continue;
                }
                if let Some((a, b)) = step(&glob[g..], &path[p..], fold) {
                    g += a;
                    p += b;
                    continue;
                }
            }
        }
        match retry {
            Some((after, from)) if from < path.len() => {
                let from = from + char_len(&path[from..]);
                retry = Some((after, from));
                (g, p) = (after, from);
            }
            _ => return false,
        }
    }
    true
}

/// True when both texts are the same.
pub(crate) fn equal(a: &[u8], b: &[u8], fold: Fold) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match step(&a[i..], &b[j..], fold) {
            Some((x, y)) => (i, j) = (i + x, j + y),
            None => return false,
        }
    }
    i == a.len() && j == b.len()
}

/// Lengths of the first character of each when they count as the same. Neither is empty.
fn step(a: &[u8], b: &[u8], fold: Fold) -> Option<(usize, usize)> {
    if a[0] == b[0] && (fold == Fold::Exact || a[0].is_ascii()) {
        return Some((1, 1));
    }
    if fold == Fold::Exact {
        return None;
    }
    let slash = |c: u8| c == b'/' || c == b'\\';
    if fold == Fold::Windows && slash(a[0]) && slash(b[0]) {
        return Some((1, 1));
    }
    let (n, m) = (char_len(a), char_len(b));
    let same = match (first_char(&a[..n]), first_char(&b[..m])) {
        (Some(x), Some(y)) => x == y || x.to_lowercase().eq(y.to_lowercase()),
        (None, None) => a[..n] == b[..m],
        _ => false,
    };
    same.then_some((n, m))
}

fn first_char(bytes: &[u8]) -> Option<char> {
    std::str::from_utf8(bytes).ok()?.chars().next()
}

/// Length of the first character; 1 for a byte that begins none. `bytes` is not empty.
fn char_len(bytes: &[u8]) -> usize {
    let len = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    match bytes.get(..len) {
        Some(c) if std::str::from_utf8(c).is_ok() => len,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (glob, path, want) in [
            ("*.tmp", "/d/a.tmp", true),
            ("*.tmp", "/d/a.tmpx", false),
            ("*", "", true),
            ("a**", "a", true),
            ("?", "", false),
            ("/d?x", "/d/x", true),
            ("/d?x", "/dé", false),
            ("/d?x", "/déx", true),
            ("*a*b*c", "xaxbxcxc", true),
            ("*a*b*c", "xaxcxb", false),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*/sub/*", "/d/sub/", true),
            ("[ab]", "a", false),
        ] {
            assert_eq!(
                matches(glob.as_bytes(), path.as_bytes(), Fold::Exact),
                want,
                "{glob} {path}"
            );
        }
        assert!(matches(b"a?b*", b"a\xffb\xfe", Fold::Exact));
        assert!(matches("*.É".as_bytes(), "x.é".as_bytes(), Fold::Letters));
        assert!(!matches("*.É".as_bytes(), "x.é".as_bytes(), Fold::Exact));
        assert!(!matches(b"c:/*", b"C:\\x", Fold::Letters));
        assert!(matches(b"c:/*/Y", b"C:\\x\\y", Fold::Windows));
        assert!(equal(b"c:/X", b"C:\\x", Fold::Windows));
        assert!(!equal(b"/X", b"/x", Fold::Exact));
        assert!(!equal(b"/x", b"/x/", Fold::Letters));
    }

    /// With a matcher that tries everything this would not end.
    #[test]
    fn many_stars_take_no_time() {
        let glob = "*a".repeat(200) + "b";
        assert!(!matches(glob.as_bytes(), &[b'a'; 5000], Fold::Exact));
    }

    #[test]
    fn agrees_with_the_definition() {
        fn slow(g: &[u8], p: &[u8]) -> bool {
            match (g.first(), p.first()) {
                (None, None) => true,
                (Some(b'*'), _) => slow(&g[1..], p) || (!p.is_empty() && slow(g, &p[1..])),
                (Some(b'?'), Some(_)) => slow(&g[1..], &p[1..]),
                (Some(a), Some(b)) if a == b => slow(&g[1..], &p[1..]),
                _ => false,
            }
        }
        let mut seed = 7u64;
        let mut text = |letters: &[u8]| {
            let mut out = Vec::new();
            loop {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let n = usize::from((seed >> 40).to_le_bytes()[0]);
                if n % 7 == 0 || out.len() > 9 {
                    return out;
                }
                out.push(letters[n % letters.len()]);
            }
        };
        for _ in 0..20_000 {
            let (g, p) = (text(b"ab*?*"), text(b"ab"));
            assert_eq!(matches(&g, &p, Fold::Exact), slow(&g, &p), "{g:?} {p:?}");
        }
    }
}
