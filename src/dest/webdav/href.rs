//! From the `href` of a reply to the name of a file (`destinations-core.md` 4.3). Servers differ in what they escape and in
//! how much of the address they write, so only decoded forms are compared.

use crate::net::url::decode_percent;

/// What an `href` names, seen from the folder that was listed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The folder itself.
    Folder,
    /// Something directly in it. The name is hostile until it has been checked.
    Child(String),
    /// Something further down.
    Deeper,
    /// Nothing of this folder.
    Foreign,
}

/// `base` is the decoded path of the listed folder, one name a level.
pub(super) fn named(href: &str, base: &[String]) -> Named {
    let path = path_of(href.trim());
    let plain = named_as_is(path, base);
    // Some servers escape the slashes between the names, too; a name itself cannot hold one.
    let inside = match &plain {
        Named::Child(_) => !path.starts_with('/') && slash_escaped(path, 0),
        Named::Foreign => slash_escaped(path, 1),
        _ => false,
    };
    if !inside {
        return plain;
    }
    let opened = path.replace("%2f", "/").replace("%2F", "/");
    named_as_is(&opened, base)
}

/// True when an escaped slash stands at the beginning (`least` 0) or anywhere (1).
fn slash_escaped(path: &str, least: usize) -> bool {
    let is_one = |at: usize| {
        path.get(at..at + 3)
            .is_some_and(|e| e.eq_ignore_ascii_case("%2f"))
    };
    is_one(0) || least > 0 && path.match_indices('%').any(|(at, _)| is_one(at))
}

fn named_as_is(path: &str, base: &[String]) -> Named {
    let levels: Vec<String> = path
        .split('/')
        .filter(|level| !level.is_empty() && *level != ".")
        .map(decode_percent)
        .collect();
    if !path.starts_with('/') {
        return match levels.as_slice() {
            [] => Named::Folder,
            [name] => Named::Child(name.clone()),
            _ => Named::Deeper,
        };
    }
    let same = |a: &[String], b: &[String]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
    };
    if let Some((head, tail)) = levels.split_at_checked(base.len())
        && same(head, base)
    {
        return match tail {
            [] => Named::Folder,
            [name] => Named::Child(name.clone()),
            _ => Named::Deeper,
        };
    }
    let mark = &base[base.len().saturating_sub(2)..];
    if mark.is_empty() {
        return Named::Foreign;
    }
    if levels.len() >= mark.len() && same(&levels[levels.len() - mark.len()..], mark) {
        return Named::Folder;
    }
    match levels.split_last() {
        Some((name, parents))
            if parents.len() >= mark.len()
                && same(&parents[parents.len() - mark.len()..], mark) =>
        {
            Named::Child(name.clone())
        }
        _ => Named::Foreign,
    }
}

/// The path without scheme, authority, query and fragment.
fn path_of(href: &str) -> &str {
    let rest = match href.find("://") {
        Some(at) if !href[..at].contains('/') => {
            let rest = &href[at + 3..];
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => href,
    };
    &rest[..rest.find(['?', '#']).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(path: &str) -> Vec<String> {
        path.split('/')
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_escape_style_is_the_same_name() {
        let name = "a b+c&d\u{e9}#%.bin";
        for href in [
            "/dav/nm/a%20b+c&d%c3%a9%23%25.bin",
            "/dav/nm/a%20b%2Bc%26d%C3%A9%23%25.bin",
            "/dav/nm/a%20b+c&d%C3%A9%23%25.bin",
            "/dav/nm/a b+c&d\u{e9}%23%25.bin",
        ] {
            assert_eq!(
                named(href, &base("/dav/nm")),
                Named::Child(name.to_owned()),
                "{href}"
            );
        }
    }

    #[test]
    fn addresses_in_every_form() {
        let child = |name: &str| Named::Child(name.to_owned());
        for (href, folder, want) in [
            ("/dav/x/", "dav/x", Named::Folder),
            ("/dav/x", "dav/x", Named::Folder),
            (" /dav//x/ ", "dav/x", Named::Folder),
            ("//dav/x/f", "dav/x", child("f")),
            ("http://inner:8080/dav/x/f", "dav/x", child("f")),
            ("https://h/dav/x/f/", "dav/x", child("f")),
            ("http://inner", "", Named::Folder),
            ("/f", "", child("f")),
            ("/d/f", "", Named::Deeper),
            ("/dav/x/d/f", "dav/x", Named::Deeper),
            ("/prefix/dav/x/f", "dav/x", child("f")),
            ("/remote.php/webdav/dav/x/", "dav/x", Named::Folder),
            ("/u/a/b/f", "other/a/b", child("f")),
            ("/u/a/c/f", "other/a/b", Named::Foreign),
            ("/DAV/X/f", "dav/x", child("f")),
            ("/d%61v/%78/f?q#r", "dav/x", child("f")),
            ("f", "dav/x", child("f")),
            ("./f", "dav/x", child("f")),
            ("/dav/x/..", "dav/x", child("..")),
            ("/dav/x/a%2Fb", "dav/x", child("a/b")),
            ("/dav/x/%2e%2e%2f", "dav/x", child("../")),
            ("a%2Fb", "dav/x", child("a/b")),
            ("%2fdav%2fx", "dav/x", Named::Folder),
            ("%2Fdav%2Fx%2F", "dav/x", Named::Folder),
            ("%2fdav%2fx%2ff", "dav/x", child("f")),
            ("/dav%2fx/f", "dav/x", child("f")),
            ("/dav%2Fx%2Ff", "dav/x", child("f")),
            ("/dav/x%2ff%20g", "dav/x", child("f g")),
            ("%2fdav/x%2fd%2ff", "dav/x", Named::Deeper),
            ("http://h/%2fdav%2fx%2ff", "dav/x", child("f")),
            ("http://h%2fdav%2fx%2ff", "dav/x", Named::Foreign),
            ("/u%2fdav%2fx%2ff", "dav/x", child("f")),
            ("%2fother%2fy%2ff", "dav/x", Named::Foreign),
            ("%2fdav%2fx%2f%2e%2e", "dav/x", child("..")),
            ("%2fdav%2fx%2f%252f", "dav/x", child("%2f")),
            ("%2ff", "", child("f")),
            ("/dav/x/%252e", "dav/x", child("%2e")),
            ("/dav/x/%ff", "dav/x", child("\u{fffd}")),
            ("/dav/x/50%", "dav/x", child("50%")),
            ("/dav/x/f%u0041", "dav/x", child("f%u0041")),
            ("/dav/My Folder+/f", "dav/My Folder+", child("f")),
            ("", "dav/x", Named::Folder),
            ("urn:x", "dav/x", child("urn:x")),
        ] {
            assert_eq!(named(href, &base(folder)), want, "{href} in {folder}");
        }
    }
}
