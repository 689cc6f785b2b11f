//! What destinations read from URLs and options in the same way, and how what is missing or wrong there is told: addresses, names
//! of buckets and accounts, what must be given.

#![allow(
    dead_code,
    reason = "some selections of destinations have no use for all of it"
)]

use crate::base::error::{Error, Result};
use crate::base::opt::{Opt, Options};
use crate::base::text;
use crate::net::redirect::split;
use crate::net::url::{DestUrl, is_near};

/// What no destination can be reached without is given nowhere; `how` names the way to give it.
pub(crate) fn missing(what: &str, how: &str) -> Error {
    Error::usage(format!("no {what} given")).hint(how)
}

/// What is given, or the error of [`missing`].
pub(crate) fn or_missing<T>(given: Option<T>, what: &str, how: &str) -> Result<T> {
    given.ok_or_else(|| missing(what, how))
}

/// The value of an option that a destination cannot do without, trimmed; `what` is its name for errors.
pub(crate) fn need<'a>(options: &'a Options, opt: &'static Opt, what: &str) -> Result<&'a str> {
    let text = options.text(opt).map(str::trim);
    or_missing(text, what, &format!("use --{}", opt.name))
}

/// The address in an option, with its scheme and without `/` at its end. `bare` is the scheme of one that is given without;
/// empty where that is none. `form` shows how one is written.
pub(crate) fn address(
    options: &Options,
    opt: &'static Opt,
    bare: &str,
    form: &str,
) -> Result<Option<String>> {
    let Some(text) = options.text(opt) else {
        return Ok(None);
    };
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or((bare, text));
    let rest = rest.trim_end_matches('/');
    let scheme = scheme.to_ascii_lowercase();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "?#@\\".contains(c);
    let good = matches!(scheme.as_str(), "http" | "https") && !rest.contains(odd);
    if !good || rest.is_empty() || rest.starts_with('/') {
        return Err(Error::usage(format!("--{} is no address", opt.name))
            .hint(format!("write it as {form}")));
    }
    Ok(Some(format!("{scheme}://{rest}")))
}

/// The address in an option that stands for a service's own, where a log-in may go: over TLS, or to this machine.
pub(crate) fn own_address(options: &Options, opt: &'static Opt) -> Result<Option<String>> {
    let own = address(options, opt, "", "http://127.0.0.1:8443")?;
    let open = |own: &String| own.starts_with("http://") && !is_near(split(own).0);
    match own.as_ref().is_some_and(open) {
        true => Err(Error::usage("a log-in is not sent in the clear")
            .hint(format!("write --{} with https://", opt.name))),
        false => Ok(own),
    }
}

/// How a service names accounts, buckets or containers: small letters and digits, and within the name some marks.
pub(crate) struct Naming {
    /// Bytes that a name has, least and most.
    pub(crate) len: (usize, usize),
    pub(crate) marks: &'static str,
    /// Names that are allowed beside these, separated by spaces.
    pub(crate) more: &'static str,
    /// What cannot stand in a name; empty: nothing.
    pub(crate) never: &'static str,
    /// Big letters are taken for small ones.
    pub(crate) any_case: bool,
    /// What is said of another name: `is no bucket name: it has 3 to 63 ...`.
    pub(crate) rule: &'static str,
    /// What is to be done.
    pub(crate) hint: &'static str,
}

impl Naming {
    /// Nothing but small letters and digits.
    pub(crate) const PLAIN: Naming = Naming {
        len: (1, 63),
        marks: "",
        more: "",
        never: "",
        any_case: false,
        rule: "",
        hint: "",
    };

    /// Refuses a name that is none of the service's, before it does in words that do not say so.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (self.len.0..=self.len.1).contains(&name.len())
            && name.chars().all(|c| plain(c) || self.marks.contains(c))
            && name.starts_with(plain)
            && name.ends_with(plain)
            && (self.never.is_empty() || !name.contains(self.never));
        if fits || (!name.is_empty() && self.more.split(' ').any(|other| other == name)) {
            return Ok(());
        }
        let shown = text::safe_cut(name.as_bytes(), 70);
        Err(Error::usage(format!("'{shown}' {}", self.rule)).hint(self.hint))
    }

    /// The name that a URL has for its host.
    pub(crate) fn of(&self, url: &DestUrl, what: &str, form: &str) -> Result<String> {
        let host = host(url, what, form, usize::MAX)?;
        let name = match self.any_case {
            true => host.to_ascii_lowercase(),
            false => host.to_owned(),
        };
        // A port belongs to no name.
        let port = url.port.map(|port| format!("{name}:{port}"));
        self.check(port.as_ref().unwrap_or(&name))?;
        Ok(name)
    }
}

/// Refuses a path with `.` or `..` in it, which a service would take for names of folders or not at all.
pub(crate) fn without_dots(path: &str) -> Result<()> {
    let levels = || path.split('/').filter(|level| !level.is_empty());
    if !levels().any(|level| matches!(level, "." | "..")) {
        return Ok(());
    }
    let mut meant = Vec::new();
    for level in levels() {
        match level {
            "." => {}
            ".." => drop(meant.pop()),
            name => meant.push(name),
        }
    }
    let hint = match meant.is_empty() {
        true => "name a folder".to_owned(),
        false => format!(
            "write {} in its place",
            text::safe_cut(meant.join("/").as_bytes(), 120)
        ),
    };
    let cause = "the path of the destination URL must not contain . or ..";
    Err(Error::usage(cause).hint(hint))
}

/// The host of a URL, which names a bucket or container of at most so many bytes; `what` it is, and how the URL is written.
pub(crate) fn host<'a>(url: &'a DestUrl, what: &str, form: &str, most: usize) -> Result<&'a str> {
    match url.host.trim() {
        "" => Err(
            Error::usage(format!("missing {what} name in the destination URL"))
                .hint(format!("write it as {form}")),
        ),
        name if name.len() > most => Err(Error::usage(format!(
            "the {what} name in the destination URL is longer than {most} bytes"
        ))),
        name => Ok(name),
    }
}

/// The words of an option that has several, separated by commas, in lower case.
pub(crate) fn words(options: &Options, opt: &'static Opt) -> Vec<String> {
    let words = options.text(opt).unwrap_or_default().to_ascii_lowercase();
    let words = words.split(',').map(|word| word.trim().to_owned());
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::opt::{Kind, row};

    static ENDPOINT: Opt = row("x-endpoint", Kind::Text, "", "");

    fn given(value: &str) -> Options {
        let mut options = Options::default();
        options.set(&ENDPOINT, value).expect("any text");
        options
    }

    #[test]
    fn addresses() {
        for (text, strict, bare) in [
            ("https://h", Some("https://h"), Some("https://h")),
            (
                " HTTP://H:1/a/ ",
                Some("http://H:1/a"),
                Some("http://H:1/a"),
            ),
            ("h", None, Some("https://h")),
            ("h:80/a//", None, Some("https://h:80/a")),
            ("ftp://h", None, None),
            ("https://", None, None),
            ("https:///a", None, None),
            ("/a", None, None),
            ("https://u:hunter2@h", None, None),
            ("https://h?q", None, None),
            ("https://h#f", None, None),
            ("https://a b", None, None),
            ("https://h\\a", None, None),
        ] {
            for (scheme, want) in [("", strict), ("https", bare)] {
                let got = address(&given(text), &ENDPOINT, scheme, "https://host");
                match want {
                    Some(want) => assert_eq!(got.expect(text).as_deref(), Some(want), "{text}"),
                    None => {
                        let told = got.expect_err(text).to_string();
                        assert!(told.contains("--x-endpoint is no address"), "{told}");
                        assert!(told.contains("https://host") && !told.contains("hunter2"));
                    }
                }
            }
        }
        let none = address(&Options::default(), &ENDPOINT, "", "");
        assert!(none.expect("nothing given").is_none());
        let told = need(&Options::default(), &ENDPOINT, "place").expect_err("missing");
        assert_eq!(told.to_string(), "no place given (use --x-endpoint)");
        assert_eq!(need(&given(" a "), &ENDPOINT, "place").expect("given"), "a");
        assert_eq!(
            words(&given(" Cold, ,ARCHIVE,"), &ENDPOINT),
            ["cold", "archive"]
        );
        assert!(words(&Options::default(), &ENDPOINT).is_empty());
    }

    #[test]
    fn names_of_containers() {
        let naming = Naming {
            len: (3, 6),
            marks: "-.",
            more: "$root",
            never: "--",
            any_case: true,
            rule: "is no box",
            hint: "h",
        };
        for good in ["abc", "a-b.c1", "123", "$root"] {
            assert!(naming.check(good).is_ok(), "{good}");
        }
        for bad in [
            "", "ab", "abcdefg", "a--b", "-ab", "ab.", "a_b", "aBc", "$web", "\u{e4}bc",
        ] {
            let told = naming.check(bad).expect_err(bad).to_string();
            assert!(told.contains("is no box (h)"), "{told}");
        }
        let of = |text: &str| {
            let (url, _) = DestUrl::parse(text).expect("a URL");
            naming.of(&url, "box", "x://box").map_err(|e| e.to_string())
        };
        assert_eq!(of("x://ABC/p").as_deref(), Ok("abc"));
        assert!(of("x://abc:80/p").expect_err("a port").contains("'abc:80'"));
        let missing = "missing box name in the destination URL (write it as x://box)";
        assert_eq!(of("x:///p").expect_err("no name"), missing);
        let (url, _) = DestUrl::parse("x://abcd").expect("a URL");
        let told = host(&url, "box", "x://box", 3).expect_err("too long");
        assert!(told.to_string().contains("longer than 3 bytes"));
    }
}
