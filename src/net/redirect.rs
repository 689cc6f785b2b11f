//! Redirects (`destinations-core.md` 0.7): where one leads, and which are refused whoever follows them. The destination decides
//! which hosts may have its credentials.

use crate::base::fault::{Class, Fault};
use crate::base::text;

const HOPS_MAX: usize = 5;

/// The redirects of one request.
#[derive(Default)]
pub(crate) struct Chain {
    seen: Vec<String>,
}

impl Chain {
    /// The absolute URL that a `Location` in the reply to `from` means. Refuses circles, long chains, the way from TLS to plain
    /// HTTP, and other schemes.
    pub(crate) fn follow(&mut self, from: &str, location: &str) -> Result<String, Fault> {
        let refused = |why: &str| {
            let shown = text::safe_cut(split(location).0.as_bytes(), 80);
            Err(Fault::new(
                Class::Protocol,
                format!("redirect refused, {why}: {shown}"),
            ))
        };
        self.seen.push(from.to_owned());
        let (authority, _, _) = split(from);
        let scheme = from.split("://").next().unwrap_or("http");
        let to = if location.contains("://") {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else {
            return refused("it is not understood");
        };
        let to = to.split('#').next().unwrap_or("").to_owned();
        let tls = to.starts_with("https://");
        if !tls && !to.starts_with("http://") {
            return refused("it leads away from HTTP");
        }
        if from.starts_with("https://") && !tls {
            return refused("it leads from TLS to plain HTTP");
        }
        if self.seen.contains(&to) {
            return refused("it leads in a circle");
        }
        if self.seen.len() > HOPS_MAX {
            return refused("there are more than 5");
        }
        Ok(to)
    }
}

/// Authority, path and query of an absolute URL.
pub(crate) fn split(url: &str) -> (&str, &str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    match rest.find('/') {
        Some(at) => (&rest[..at], &rest[at..], query),
        None => (rest, "", query),
    }
}

/// True when scheme, host and port are the same.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    let scheme = |url: &str| url.split("://").next().unwrap_or("").to_owned();
    let host = |url: &str| split(url).0.to_ascii_lowercase();
    scheme(a) == scheme(b) && host(a) == host(b)
}

/// The fault of a redirect to a host that must not have our credentials.
pub(crate) fn foreign(host: &str) -> Fault {
    Fault::new(
        Class::Protocol,
        format!(
            "the server sends us to a foreign host, refused: {}",
            text::safe_cut(host.as_bytes(), 80)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_fall_apart() {
        assert_eq!(split("https://h:1/a%2Fb?x=1"), ("h:1", "/a%2Fb", "x=1"));
        assert_eq!(split("http://h?x"), ("h", "", "x"));
        assert!(same_origin("https://H/a", "https://h/b?c"));
        assert!(!same_origin("https://h/a", "http://h/a"));
        assert!(!same_origin("https://h:1/a", "https://h/a"));
    }

    #[test]
    fn locations() {
        for (from, location, want) in [
            ("https://h/a", "https://i/b", Some("https://i/b")),
            ("https://h/a", "//i/b#x", Some("https://i/b")),
            ("http://h:1/a?q", "/b", Some("http://h:1/b")),
            ("http://h/a", "https://h/a", Some("https://h/a")),
            ("https://h/a", "http://h/b", None),
            ("https://h/a", "/a", None),
            ("https://h/a", "b", None),
            ("https://h/a", "ftp://h/a", None),
            ("https://h/a", "", None),
        ] {
            let got = Chain::default().follow(from, location);
            assert_eq!(got.ok().as_deref(), want, "{location}");
        }
        let mut chain = Chain::default();
        let mut at = "http://h/0".to_owned();
        for hop in 1..=5 {
            at = chain.follow(&at, &format!("/{hop}")).expect("allowed");
        }
        assert!(chain.follow(&at, "/6").is_err());
    }
}
