//! The options of the `webdav` scheme (`destinations-core.md` 4.1), and what they and the URL come to.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::base::secret::Secret;
use crate::net::opts;
use crate::net::url::{DestUrl, encode, is_near};

pub(super) const FORCE_DIGEST: Opt = row(
    "force-digest-authentication",
    Kind::Flag,
    "",
    "Log in with Digest only; the password is never sent as Basic.",
);
const INTEGRATED: Opt = row(
    "integrated-authentication",
    Kind::Flag,
    "",
    "Windows single sign-on; not supported.",
);
pub(super) const EXTENDED_PROPFIND: Opt = row(
    "use-extended-propfind",
    Kind::Flag,
    "",
    "Ask for all properties when listing.",
);
pub(super) const DEBUG_FILE: Opt = row(
    "debug-propfind-file",
    Kind::Path,
    "",
    "File to copy every listing reply into, for finding out what a server says.",
);
pub(super) const BEARER: Opt = row(
    "webdav-bearer-token",
    Kind::Secret,
    "",
    "Token to log in with instead of user name and password.",
);
pub(super) const PREEMPTIVE: Opt = row(
    "webdav-auth-preemptive",
    Kind::Flag,
    "true",
    "Send user name and password (Basic) with the first request instead of waiting to be asked.",
);
pub(super) const TEMPORARY_NAMES: Opt = row(
    "webdav-temporary-names",
    Kind::Choice(&["auto", "always", "never"]),
    "auto",
    "Upload under a temporary name and rename when whole: auto = unless the server is known to show no part of an interrupted upload.",
);

pub(super) static OPTIONS: &[Opt] = &[
    opts::USE_SSL,
    FORCE_DIGEST,
    INTEGRATED,
    EXTENDED_PROPFIND,
    DEBUG_FILE,
    BEARER,
    PREEMPTIVE,
    TEMPORARY_NAMES,
    row(
        "use-legacy-parsing",
        Kind::Ignored,
        "",
        "No effect: one parser reads what all servers send.",
    ),
];

/// When uploads go under a temporary name first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Temporary {
    Auto,
    Always,
    Never,
}

/// Who logs in, and how far they trust the server.
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Secret,
    pub(super) bearer: Option<Secret>,
    pub(super) force_digest: bool,
    pub(super) preemptive: bool,
}

/// The destination as options and URL describe it.
pub(super) struct Setup {
    /// `http://host[:port]`.
    pub(super) origin: String,
    /// Decoded names of the folders of the path, none empty.
    pub(super) folders: Vec<String>,
    pub(super) login: Login,
    pub(super) temporary: Temporary,
    pub(super) extended: bool,
    pub(super) debug_file: Option<String>,
}

impl Setup {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Setup> {
        if options.flag(&INTEGRATED) {
            return Err(Error::usage(
                "--integrated-authentication is not supported: it needs Windows",
            ));
        }
        if url.host.trim().is_empty() {
            return Err(Error::usage("missing host name in the destination URL")
                .hint("write it as webdav://user@host/folder"));
        }
        if !good_host(&url.host) {
            return Err(Error::usage(
                "the host name in the destination URL is not valid",
            ));
        }
        let tls = options.flag(&opts::USE_SSL);
        let (scheme, own) = if tls { ("https", 443) } else { ("http", 80) };
        let mut origin = format!("{scheme}://{}", url.host.to_ascii_lowercase());
        if let Some(port) = url.port.filter(|&p| p != own) {
            origin.push_str(&format!(":{port}"));
        }
        let folders: Vec<String> = url
            .path
            .split('/')
            .filter(|f| !f.is_empty() && *f != ".")
            .map(str::to_owned)
            .collect();
        if folders.iter().any(|f| f == ".." || f.contains('\0')) {
            return Err(Error::usage(
                "the path of the destination URL must not contain ..",
            ));
        }
        Ok(Setup {
            origin,
            folders,
            login: login(url, options)?,
            temporary: match options.choice(&TEMPORARY_NAMES) {
                Some("always") => Temporary::Always,
                Some("never") => Temporary::Never,
                _ => Temporary::Auto,
            },
            extended: options.flag(&EXTENDED_PROPFIND),
            debug_file: options.text(&DEBUG_FILE).map(str::to_owned),
        })
    }

    /// The URL of the destination folder, with a slash at its end.
    pub(super) fn base(&self) -> String {
        address(&self.origin, &self.folders)
    }

    /// The password would go over the wire as it is, beyond this machine and its network.
    pub(super) fn is_open(&self) -> bool {
        self.origin.starts_with("http://")
            && self.login.user.is_some()
            && !self.login.force_digest
            && !is_near(self.origin.split_once("://").map_or("", |(_, host)| host))
    }
}

/// The URL of a folder, with a slash at its end.
pub(super) fn address(origin: &str, folders: &[String]) -> String {
    let mut url = format!("{origin}/");
    for folder in folders {
        url.push_str(&encode(folder));
        url.push('/');
    }
    url
}

fn good_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inner {
        Some(address) => address
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
        None => host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    }
}

fn login(url: &DestUrl, options: &Options) -> Result<Login> {
    let (user, password) = opts::login(url, options, None);
    let force_digest = options.flag(&FORCE_DIGEST);
    match &user {
        None if force_digest => {
            return Err(Error::usage("Digest authentication requires a username")
                .hint("--auth-username, or webdav://user@host/folder"));
        }
        Some(user) if user.contains(':') => {
            return Err(Error::usage("a WebDAV user name cannot contain a colon"));
        }
        _ => {}
    }
    Ok(Login {
        user,
        password: password.unwrap_or_else(|| Secret::new(String::new())),
        bearer: options.secret(&BEARER),
        force_digest,
        preemptive: options.flag(&PREEMPTIVE) && !force_digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str) -> Result<Setup> {
        let (url, _) = DestUrl::parse(text)?;
        let mut options = Options::default();
        for (name, value) in &url.query {
            let mut rows = OPTIONS
                .iter()
                .chain([&opts::AUTH_USERNAME, &opts::AUTH_PASSWORD]);
            let row = rows.find(|o| o.is_named(name)).expect("option");
            options.set(row, value.reveal())?;
        }
        Setup::new(&url, &options)
    }

    #[test]
    fn urls() {
        for (text, base) in [
            ("webdav://h", "http://h/"),
            ("webdav://H:80/a//b/", "http://h/a/b/"),
            ("webdav://h:443/x?use-ssl", "https://h/x/"),
            ("webdav://h:8443/x?use-ssl", "https://h:8443/x/"),
            ("webdav://[::1]:8080/./x", "http://[::1]:8080/x/"),
            (
                "webdav://h/a%20b+c%2Bd%26\u{e9}%23%25/~",
                "http://h/a%20b%20c%2Bd%26%C3%A9%23%25/~/",
            ),
        ] {
            assert_eq!(setup(text).expect(text).base(), base, "{text}");
        }
    }

    #[test]
    fn logins() {
        let of = |text: &str| {
            let login = setup(text).expect(text).login;
            format!(
                "{}:{}:{}{}",
                login.user.as_deref().unwrap_or("-"),
                login.password.reveal(),
                u8::from(login.preemptive),
                u8::from(login.force_digest),
            )
        };
        assert_eq!(of("webdav://h"), "-::10");
        assert_eq!(
            of("webdav://u:p@h?auth-username=x&auth-password=y"),
            "u:p:10"
        );
        assert_eq!(of("webdav://u:@h?auth-password=y"), "u:y:10");
        assert_eq!(of("webdav://h?auth-username=x&auth-password=y"), "x:y:10");
        assert_eq!(of("webdav://u@h?force-digest-authentication"), "u::01");
        assert_eq!(of("webdav://u@h?webdav-auth-preemptive=false"), "u::00");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("webdav:///x", "missing host name"),
            (
                "webdav://h?force-digest-authentication=true",
                "Digest authentication requires a username",
            ),
            ("webdav://h?integrated-authentication=true", "not supported"),
            ("webdav://h/a/../b", ".."),
            ("webdav://h/x?auth-username=a:b", "colon"),
            ("webdav://h%20i/x", "not valid"),
            (
                "webdav://h?webdav-temporary-names=maybe",
                "auto, always, never",
            ),
        ] {
            let e = setup(text).err().expect(text);
            assert_eq!(e.kind().exit_code(), 200, "{text}");
            assert!(e.to_string().contains(part), "{text}: {e}");
        }
        assert!(setup("webdav://h?integrated-authentication=false").is_ok());
    }

    #[test]
    fn open_passwords_are_noticed() {
        for (text, open) in [
            ("webdav://u@example.org/x", true),
            ("webdav://u@8.8.8.8:81/x", true),
            ("webdav://u@example.org/x?use-ssl", false),
            ("webdav://example.org/x", false),
            ("webdav://u@example.org?force-digest-authentication", false),
            ("webdav://u@127.0.0.1:80/x", false),
            ("webdav://u@192.168.1.2:5005/x", false),
            ("webdav://u@[::1]:80/x", false),
            ("webdav://u@[2001:db8::1]:81/x", true),
            ("webdav://u@nas/x", false),
            ("webdav://u@nas.local:81/x", false),
        ] {
            assert_eq!(setup(text).expect(text).is_open(), open, "{text}");
        }
    }
}
