//! Destination URLs (`destinations-core.md` 1): the grammar and decoding of Duplicati, percent coding, a printable form.
//!
//! A URL holds secrets, so neither it nor any error made here shows more than scheme, host and path.

mod percent;

use crate::base::error::{Error, Result};
use crate::base::place;
use crate::base::secret::Secret;
use crate::base::text;
#[cfg(any(test, feature = "http", feature = "dest-ssh"))]
pub(crate) use percent::decode_percent;
use percent::decode_with;
pub(crate) use percent::{decode, encode, encode_path};

/// A destination URL taken apart and decoded.
pub(crate) struct DestUrl {
    /// Lower case; `file` for a local path.
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// Case kept, IPv6 brackets kept; empty for `file:///…` and local paths.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Decoded; without the one leading `/` after a host.
    pub(crate) path: String,
    /// Decoded query, keys in lower case, each once: the last value given counts. In order of last appearance.
    pub(crate) query: Vec<(String, Secret)>,
}

/// Schemes whose host, user and path Duplicati reads by another rule than all others: a `+` is a plus, a `#` is refused.
const PLAIN: [&str; 10] = [
    "aftp", "cifs", "ftp", "ftps", "pcloud", "sftp", "smb", "ssh", "tahoe", "tahoes",
];

/// Schemes whose path is a secret: whoever knows it reads, and mostly changes, what is there.
const CAPABLE: [&str; 2] = ["tahoe", "tahoes"];
/// How such a path begins, wherever it stands.
const CAPABILITIES: [&str; 3] = ["URI:", "URI%3A", "URI%3a"];

/// Schemes in whose URLs there may be a whole web address.
const WEB: [&str; 3] = ["mssp", "od4b", "sharepoint"];

/// Said when a password seems to have broken the URL.
const ENCODE_HINT: &str = "percent-encode special characters in the password: / as %2F, + as %2B, @ as %40, : as %3A, ? as %3F";

/// Said of an `@` that may end the password or stand in it.
const STRAY_AT_HINT: &str = "in user, password and path write @ as %40, in user and password also / as %2F; or leave user and password out and give --auth-username and --auth-password";

/// How a URL with a secret path is written.
pub(crate) const CAPABLE_HINT: &str =
    "write tahoe://127.0.0.1:3456/uri/URI:DIR2:... with the capability of the directory";

impl DestUrl {
    /// Takes a URL apart; text without `scheme://` is a local path, taken as it is, and refused when it looks like the address
    /// of another program. Also returns notices worth telling the person.
    pub(crate) fn parse(text: &str) -> Result<(DestUrl, Vec<String>)> {
        if text.trim().is_empty() {
            return Err(Error::usage("destination URL is empty"));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            place::check("the destination", text)?;
            return Ok((local(text.to_owned(), Vec::new()), Vec::new()));
        };
        let scheme = scheme.to_ascii_lowercase();
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, parse_query(query)?),
            None => (rest, Vec::new()),
        };
        if scheme == "file" {
            return parse_file(place, query);
        }
        let web = place.strip_prefix("https://");
        let place = web
            .filter(|_| WEB.contains(&scheme.as_str()))
            .unwrap_or(place);
        parse_network(scheme, place, query)
    }

    /// The path as a whole is a secret, and so are these parts of it; none of another scheme.
    pub(crate) fn secret_path(&self) -> impl Iterator<Item = &str> {
        let is_secret = CAPABLE.contains(&self.scheme.as_str());
        let path = Some(self.path.as_str()).filter(|path| is_secret && !path.is_empty());
        let levels = path.into_iter().flat_map(|path| path.split('/'));
        let parts = levels.flat_map(|level| std::iter::once(level).chain(level.split(':')));
        // What is shorter is no key.
        path.into_iter().chain(parts.filter(|part| part.len() > 20))
    }

    /// `scheme://host[:port]/path`: without user, password and query, and without a path that is a secret; safe to print.
    pub(crate) fn display(&self) -> String {
        if CAPABLE.contains(&self.scheme.as_str()) {
            return self.display_capable();
        }
        let mut out = format!("{}://{}", self.scheme, self.host);
        if let Some(port) = self.port {
            out.push_str(&format!(":{port}"));
        }
        if !self.path.is_empty() && !self.host.is_empty() {
            out.push('/');
        }
        out.push_str(&self.path);
        text::safe(out.as_bytes())
    }

    /// What of the host is none may be the secret itself, in the wrong place.
    fn display_capable(&self) -> String {
        let is_host =
            self.host.len() < 64 && (self.host.starts_with('[') || !self.host.contains(':'));
        let host = if is_host { self.host.as_str() } else { "***" };
        let port = self.port.map(|port| format!(":{port}"));
        let out = format!("{}://{host}{}/***", self.scheme, port.unwrap_or_default());
        text::safe(out.as_bytes())
    }
}

/// Where in a text a capability begins, whatever kind of URL it may be part of.
pub(crate) fn capability_at(text: &str) -> Option<usize> {
    let begins = CAPABILITIES.iter().filter_map(|begin| text.find(begin));
    begins.min()
}

/// Where in an argument that is, or has at its end, a URL what is secret as a whole begins.
pub(crate) fn capable_from(text: &str) -> Option<usize> {
    let scheme = text.split_once("://").filter(|(scheme, _)| {
        let name = scheme.rsplit('=').next().unwrap_or_default();
        CAPABLE.contains(&name.to_ascii_lowercase().as_str())
    });
    let whole = scheme.map(|(scheme, _)| scheme.len() + 3);
    whole.or(capability_at(text))
}

/// A URL that could not be taken apart, cut so that no user name, password or option can show.
pub(crate) fn display_raw(text: &str) -> String {
    if let Some(at) = capable_from(text) {
        let head = text[..at]
            .split_once("://")
            .map_or("", |(scheme, _)| scheme);
        return text::safe_cut(format!("{head}://*").as_bytes(), 60);
    }
    let (scheme, whole) = text.split_once("://").unwrap_or(("", text));
    let rest = whole.split('?').next().unwrap_or("");
    let first = rest.find('/').unwrap_or(rest.len());
    let rest = match rest[..first].rfind('@') {
        // Where the password ends cannot be told.
        Some(at) if rest[..at].contains(':') && whole[at + 1..].contains('@') => "",
        Some(at) => &rest[at + 1..],
        None if rest[..first].contains(':') => "",
        None => rest,
    };
    let kept: String = rest.chars().take(25).collect();
    let mut out = if scheme.is_empty() {
        kept.clone()
    } else {
        format!("{scheme}://{kept}")
    };
    if kept != whole {
        out.push('*');
    }
    text::safe_cut(out.as_bytes(), 60)
}

/// The part before `://` when it can be a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let good = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'));
    good.then_some((scheme, rest))
}

fn local(path: String, query: Vec<(String, Secret)>) -> DestUrl {
    DestUrl {
        scheme: "file".to_owned(),
        user: None,
        password: None,
        host: String::new(),
        port: None,
        path,
        query,
    }
}

/// The decoded path, or the literal one when only that exists.
fn existing(literal: &str) -> String {
    let decoded = decode(literal);
    let there = |path: &str| std::fs::symlink_metadata(path).is_ok();
    if decoded != literal && !there(&decoded) && there(literal) {
        return literal.to_owned();
    }
    decoded
}

fn parse_file(place: &str, query: Vec<(String, Secret)>) -> Result<(DestUrl, Vec<String>)> {
    let bytes = place.as_bytes();
    let drive = bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    if drive || place.starts_with("\\\\") {
        return Err(Error::usage(
            "Windows drive and share paths are not supported on this platform",
        ));
    }
    if place.trim().is_empty() {
        return Err(
            Error::usage("the destination URL has no path").hint("write it as file:///folder")
        );
    }
    if place.starts_with(['~', '$']) {
        place::check("the destination", place)?;
    }
    Ok((local(existing(place), query), Vec::new()))
}

fn parse_network(
    scheme: String,
    place: &str,
    query: Vec<(String, Secret)>,
) -> Result<(DestUrl, Vec<String>)> {
    if CAPABLE.contains(&scheme.as_str()) && capability_at(place) == Some(0) {
        let cause = "the destination URL has no host before the capability";
        return Err(Error::usage(cause).hint(CAPABLE_HINT));
    }
    let (user, password, rest) = split_user(place);
    if password.is_some() && rest.contains('@') {
        return Err(stray_at());
    }
    let (host, rest) = split_host(rest);
    let (port, rest) = split_port(rest)?;
    if !rest.is_empty() && !rest.starts_with('/') && !host.is_empty() {
        return Err(
            Error::usage("the destination URL has text between host and path").hint(ENCODE_HINT),
        );
    }
    let path = match rest.strip_prefix('/') {
        Some(inner) if !host.is_empty() => inner,
        _ => rest,
    };
    let plain = PLAIN.contains(&scheme.as_str());
    if plain && path.contains('#') {
        return Err(Error::usage("the path of the destination URL has a #").hint("write it as %23"));
    }
    let decode = |text: &str| decode_with(text, !plain);
    let mut notices = Vec::new();
    if path.contains('+') && !plain {
        notices.push(
            "a + in the path of the destination URL means a space; write %2B for a plus sign"
                .to_owned(),
        );
    }
    let url = DestUrl {
        scheme,
        user: user.map(&decode),
        password: password.map(|p| Secret::new(decode(p))),
        host: decode(host),
        port,
        path: decode(path),
        query,
    };
    Ok((url, notices))
}

/// User, password and the rest. The user ends at the last `@` before `:`, `/`; a password holds none of `@ : /`.
fn split_user(place: &str) -> (Option<&str>, Option<&str>, &str) {
    let end = place.find([':', '/']).unwrap_or(place.len());
    let (head, tail) = place.split_at(end);
    if !head.is_empty()
        && let Some(after) = tail.strip_prefix(':')
        && let Some(stop) = after.find(['@', ':', '/'])
        && after.as_bytes()[stop] == b'@'
    {
        return (Some(head), Some(&after[..stop]), &after[stop + 1..]);
    }
    match head.rfind('@') {
        Some(at) if at > 0 => (Some(&place[..at]), None, &place[at + 1..]),
        _ => (None, None, place),
    }
}

/// Whether the password or the path holds the `@` cannot be told, and taken for the path, a part of the password would be shown
/// and looked up as a host.
fn stray_at() -> Error {
    Error::usage("the destination URL has a second @ after its password").hint(STRAY_AT_HINT)
}

fn split_host(rest: &str) -> (&str, &str) {
    let end = if rest.starts_with('[') {
        match rest.find(']') {
            Some(close) if close > 1 => close + 1,
            _ => 0,
        }
    } else {
        rest.find(['/', ':']).unwrap_or(rest.len())
    };
    rest.split_at(end)
}

fn split_port(rest: &str) -> Result<(Option<u16>, &str)> {
    let Some(after) = rest.strip_prefix(':') else {
        return Ok((None, rest));
    };
    let end = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let (digits, tail) = after.split_at(end);
    if digits.is_empty() || !(tail.is_empty() || tail.starts_with('/')) {
        return Err(
            Error::usage("the destination URL has no port number after the host and `:`")
                .hint(ENCODE_HINT),
        );
    }
    match digits.parse::<u16>() {
        Ok(port) if port > 0 => Ok((Some(port), tail)),
        _ => {
            let shown = text::safe_cut(digits.as_bytes(), 12);
            Err(Error::usage(format!(
                "invalid port {shown} in the destination URL"
            )))
        }
    }
}

fn parse_query(query: &str) -> Result<Vec<(String, Secret)>> {
    let mut out: Vec<(String, Secret)> = Vec::new();
    for part in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if key.contains('@') {
            let cause = "the destination URL has an @ in the name of an option";
            return Err(Error::usage(cause).hint(ENCODE_HINT));
        }
        let key = decode(key).to_lowercase();
        let value = decode(value);
        out.retain(|(k, _)| *k != key);
        out.push((key, Secret::new(value)));
    }
    Ok(out)
}

/// What stands before the names of files in a folder of a bucket: empty for no folder, else with `/` at its end.
#[cfg(feature = "http")]
pub(crate) fn folder(path: &str) -> String {
    match path.is_empty() || path.ends_with('/') {
        true => path.to_owned(),
        false => format!("{path}/"),
    }
}

/// This machine or an address of a private network; also names without a dot and of home networks.
#[cfg(any(test, feature = "http"))]
pub(crate) fn is_near(host: &str) -> bool {
    let name = match host.rfind(']') {
        Some(close) => &host[..=close],
        None => host.split(':').next().unwrap_or(host),
    };
    if let Ok(ip) = name.parse::<std::net::Ipv4Addr>() {
        return ip.is_loopback() || ip.is_private() || ip.is_link_local();
    }
    if let Some(inner) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        });
    }
    !name.contains('.')
        || [
            ".local",
            ".lan",
            ".home",
            ".internal",
            ".home.arpa",
            ".fritz.box",
        ]
        .iter()
        .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
