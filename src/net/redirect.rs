//! Redirects (`destinations-core.md` 0.7): where one leads, and which are refused whoever follows them. The destination decides
//! where its credentials may go; an origin is scheme, host and port.

use crate::base::fault::{Class, Fault};
use crate::base::text;

const HOPS_MAX: usize = 5;

/// The redirects of one request.
#[derive(Default)]
pub(crate) struct Chain {
    seen: Vec<String>,
    /// An address was asked a second time because it sent us to itself.
    repeated: bool,
}

impl Chain {
    /// The absolute URL that a `Location` in the reply to `from` means (RFC 3986, relative forms too), host in lower case and
    /// without the usual port. Refuses circles, long chains, the way from TLS to plain HTTP, other schemes, and logins.
    ///
    /// An address that sends us to itself is asked once more: it may have given a cookie to bring back (see `http`).
    pub(crate) fn follow(&mut self, from: &str, location: &str) -> Result<String, Fault> {
        let refused = |why: &str| {
            let fault = Fault::new(
                Class::Protocol,
                format!("redirect refused, {why}: {}", shown(location)),
            );
            Err(fault)
        };
        self.seen.push(from.to_owned());
        let to = match resolve(from, location) {
            Ok(to) => to,
            Err(why) => return refused(why),
        };
        if from.starts_with("https://") && !to.starts_with("https://") {
            return refused("it leads from TLS to plain HTTP");
        }
        if self.seen.contains(&to) {
            let itself = to == from && !std::mem::replace(&mut self.repeated, true);
            if !itself {
                return refused("it leads in a circle")
                    .map_err(|f: Fault| f.hint("is there a login page before the server?"));
            }
        }
        if self.seen.len() > HOPS_MAX {
            return refused("there are more than 5");
        }
        Ok(to)
    }
}

/// What of a `Location` may be printed: no login, no query.
fn shown(location: &str) -> String {
    let plain = location.split(['?', '#']).next().unwrap_or("");
    let plain = match plain.split_once("//") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or("");
            format!("{scheme}//{host}{}", &rest[end..])
        }
        None => plain.to_owned(),
    };
    text::safe_cut(plain.as_bytes(), 80)
}

/// A reference as seen from an absolute URL. The error is a clause for people.
fn resolve(from: &str, to: &str) -> Result<String, &'static str> {
    let to = to.trim();
    let to = to.split('#').next().unwrap_or("");
    let (scheme, rest) = from.split_once("://").unwrap_or(("http", from));
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(path_at);
    let path = path.split('?').next().unwrap_or("");
    if to.is_empty() {
        return Err("it names no address");
    }
    let (scheme, tail) = match scheme_of(to) {
        Some((named, tail)) if named.eq_ignore_ascii_case("http") => ("http", tail),
        Some((named, tail)) if named.eq_ignore_ascii_case("https") => ("https", tail),
        Some(_) => return Err("it leads away from HTTP"),
        None => (scheme, to),
    };
    if let Some(tail) = tail.strip_prefix("//") {
        let end = tail.find(['/', '?']).unwrap_or(tail.len());
        let (authority, tail) = tail.split_at(end);
        let authority = normal(scheme, authority)?;
        return Ok(format!("{scheme}://{authority}{}", without_dots(tail)));
    }
    if tail.len() != to.len() {
        return Err("it is not understood");
    }
    let tail = match tail.bytes().next() {
        Some(b'/') => tail.to_owned(),
        Some(b'?') => format!("{path}{tail}"),
        _ => format!("{}/{tail}", path.rsplit_once('/').map_or("", |(up, _)| up)),
    };
    Ok(format!("{scheme}://{authority}{}", without_dots(&tail)))
}

/// `scheme:` and what follows it.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    good.then_some((scheme, rest))
}

/// Host and port as they are compared and sent.
fn normal(scheme: &str, authority: &str) -> Result<String, &'static str> {
    if authority.contains('@') {
        return Err("it carries a login");
    }
    let (host, port) = host_and_port(authority);
    if host.is_empty() || host == "[]" {
        return Err("it names no host");
    }
    let host = host.to_ascii_lowercase();
    if port.is_empty() {
        return Ok(host);
    }
    match port.parse::<u16>() {
        Ok(80) if scheme == "http" => Ok(host),
        Ok(443) if scheme == "https" => Ok(host),
        Ok(1..) => Ok(format!("{host}:{port}")),
        _ => Err("its port is no number from 1 to 65535"),
    }
}

/// The two sides of an authority without login; the port is empty when there is none.
pub(crate) fn host_and_port(authority: &str) -> (&str, &str) {
    let end = match authority.rfind(']') {
        Some(close) => close + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    (host, port.strip_prefix(':').unwrap_or(port))
}

/// A path with query without its `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = path.find('?').map_or((path, ""), |at| path.split_at(at));
    let mut out: Vec<&str> = Vec::new();
    for level in path.split('/').skip(1) {
        match level {
            "." => {}
            ".." => {
                out.pop();
            }
            _ => out.push(level),
        }
    }
    let mut done = String::with_capacity(path.len() + query.len() + 1);
    for level in &out {
        done.push('/');
        done.push_str(level);
    }
    let folder = path.ends_with("/.") || path.ends_with("/..");
    if folder || (out.is_empty() && path.starts_with('/')) {
        done.push('/');
    }
    done.push_str(query);
    done
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

/// True when scheme, host and port are the same and neither holds a login.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    let origin = |url: &str| {
        let scheme = url.split("://").next().unwrap_or("").to_ascii_lowercase();
        let authority = normal(&scheme, split(url).0).ok()?;
        Some((scheme, authority))
    };
    let (a, b) = (origin(a), origin(b));
    a.is_some() && a == b
}

/// The fault of a redirect to an address that must not have our credentials: a URL, or a host.
pub(crate) fn foreign(to: &str) -> Fault {
    let plain = match to.split_once("://") {
        Some((scheme, _)) => {
            let host = split(to).0.rsplit('@').next().unwrap_or("");
            format!("{scheme}://{host}")
        }
        None => to.to_owned(),
    };
    Fault::new(
        Class::Protocol,
        format!(
            "the server sends us to another address, refused: {}",
            text::safe_cut(plain.as_bytes(), 80)
        ),
    )
    .hint("logins go to the address of the destination URL only; if the other one is right, write it there")
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
    fn an_origin_is_scheme_host_and_port() {
        for (a, b, same) in [
            ("http://h/x", "http://h:80/y?z", true),
            ("https://h:443", "https://H/", true),
            ("http://h:/x", "http://h/x", true),
            ("http://[::1]:1/x", "http://[::1]:1/y", true),
            ("http://h:443/x", "https://h:443/x", false),
            ("http://h:1/x", "http://h:2/x", false),
            ("http://[::1]:1/x", "http://[::1]:2/x", false),
            ("http://h/x", "http://h.evil/x", false),
            ("http://h/x", "http://h@evil/x", false),
            ("http://u@h/x", "http://u@h/x", false),
            ("", "", false),
        ] {
            assert_eq!(same_origin(a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn locations() {
        for (from, location, want) in [
            ("https://h/a", "https://i/b", Some("https://i/b")),
            ("https://h/a", "//i/b#x", Some("https://i/b")),
            ("http://h:1/a?q", "/b", Some("http://h:1/b")),
            ("http://h/a", "https://h/a", Some("https://h/a")),
            ("http://h/a", "HTTP://H:80/b", Some("http://h/b")),
            ("http://h/a", "https://h:443/a", Some("https://h/a")),
            (
                "http://h/a",
                "http://h:8080?x=/../y",
                Some("http://h:8080?x=/../y"),
            ),
            ("http://h/d/a?q", "b", Some("http://h/d/b")),
            ("http://h/d/a", "./b", Some("http://h/d/b")),
            ("http://h/d/a", "../b/./c/..", Some("http://h/b/")),
            ("http://h/d/a", "../../../b", Some("http://h/b")),
            ("http://h/d/a", "?x=1", Some("http://h/d/a?x=1")),
            ("http://h/d/", "b?c=../d", Some("http://h/d/b?c=../d")),
            ("http://h", "b", Some("http://h/b")),
            ("http://h/d/a", "/d%2Fe/../f%20", Some("http://h/f%20")),
            ("http://h/d/a", " /b ", Some("http://h/b")),
            // Once more, perhaps with a cookie.
            ("https://h/a", "/a", Some("https://h/a")),
            ("https://h/a", "http://h/b", None),
            ("https://h/a", "ftp://h/a", None),
            ("https://h/a", "mailto:x", None),
            ("https://h/a", "https:b", None),
            ("https://h/a", "http:///b", None),
            ("https://h/a", "//:80/b", None),
            ("https://h/a", "https://u:p@i/b", None),
            ("https://h/a", "https://i:0/b", None),
            ("https://h/a", "https://i:99999/b", None),
            ("https://h/a", "https://i:x/b", None),
            ("https://h/a", "", None),
            ("https://h/a", "#top", None),
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

    #[test]
    fn circles_end_at_once_or_after_one_repetition() {
        let mut chain = Chain::default();
        chain.follow("http://h/a", "/a").expect("once more");
        let e = chain.follow("http://h/a", "a").expect_err("again");
        assert!(
            e.text.contains("circle") && !e.hint.is_empty(),
            "{}",
            e.text
        );
        let mut chain = Chain::default();
        chain.follow("http://h/a", "/b").expect("another");
        assert!(chain.follow("http://h/b", "/a").is_err());
    }

    #[test]
    fn nothing_secret_of_a_location_is_shown() {
        for location in [
            "http://me:s3cret@i/b?X-Amz-Signature=s3cret#s3cret",
            "ftp://me:s3cret@i/b?s3cret",
            "//s3cret@i",
        ] {
            let e = Chain::default().follow("http://h/a", location);
            let text = e.expect_err("refused").text;
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert!(
            !foreign("http://me:s3cret@i/b?s3cret")
                .text
                .contains("s3cret")
        );
    }
}
