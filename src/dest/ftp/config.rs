//! The options of the `ftp` and `aftp` schemes (`destinations-more.md` 2.2), and what they and the URL come to.

use std::cell::Cell;
use std::time::Duration;

use rustls::SupportedProtocolVersion;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, parse_flag, row};
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::folders::{self, Times};
use crate::net::opts;
use crate::net::tls::{self, Tls};
use crate::net::url::{DestUrl, is_near};

/// The rows of one of the two schemes, and where each of them is.
macro_rules! rows {
    ($prefix:literal, $path:literal, $begins:literal, [$($more:expr),*]) => {
        &[
            row(
                concat!($prefix, "encryption-mode"),
                Kind::Choice(&["None", "Explicit", "Implicit", "Auto"]),
                "None",
                "TLS: Explicit asks for it on the normal port, Implicit begins with it, Auto goes on without where the server has none.",
            ),
            row(
                concat!($prefix, "data-connection-type"),
                Kind::Text,
                "AutoPassive",
                "How data connections are made: AutoPassive or EPSV (EPSV, then PASV), PASV (PASV, then EPSV); the server never connects to us.",
            ),
            row(
                concat!($prefix, "ssl-protocols"),
                Kind::Text,
                "",
                "TLS versions to allow: Tls12, Tls13 or both; older ones never are.",
            ),
            row(concat!($prefix, $path), Kind::Flag, "", $begins),
            row(
                concat!($prefix, "use-cwd-names"),
                Kind::Flag,
                "",
                "Change into the folder and use bare names, for servers that take no paths.",
            ),
            row(
                concat!($prefix, "upload-delay"),
                Kind::Span,
                "0s",
                "Pause after an upload before its size is asked for.",
            ),
            row(
                concat!($prefix, "no-rename"),
                Kind::Flag,
                "",
                "Upload straight to the final name, for accounts that may not rename; an upload that breaks can leave a part under it.",
            ),
            Opt {
                aliases: &[
                    concat!($prefix, "log-privateinfo-to-console"),
                    concat!($prefix, "log-diagnostics"),
                ],
                ..row(concat!($prefix, "log-to-console"), Kind::Ignored, "", "No effect.")
            },
            $($more),*
        ]
    };
}

const MODE: usize = 0;
const DATA: usize = 1;
const VERSIONS: usize = 2;
const FROM: usize = 3;
const CWD: usize = 4;
const DELAY: usize = 5;
const NO_RENAME: usize = 6;
const PASSIVE: Opt = row("ftp-passive", Kind::Ignored, "", "No effect: always so.");
const ACTIVE: Opt = row(
    "ftp-regular",
    Kind::Flag,
    "",
    "Active mode, which is refused.",
);

pub(super) static FTP: &[Opt] = rows!(
    "ftp-",
    "absolute-path",
    "The path of the URL begins at /, not in the folder that the server logs in to.",
    [
        opts::USE_SSL,
        PASSIVE,
        ACTIVE,
        row(
            "ignore-pureftpd-limit-issue",
            Kind::Ignored,
            "",
            "No effect: listings that were cut are noticed."
        )
    ]
);
pub(super) static AFTP: &[Opt] = rows!(
    "aftp-",
    "relative-path",
    "The path of the URL begins in the folder that the server logs in to, not at /.",
    []
);

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    None,
    Explicit,
    Implicit,
    /// Explicit where the server has it.
    Auto,
}

/// The destination as options and URL describe it.
pub(super) struct Setup {
    /// Lower case, IPv6 addresses without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) mode: Mode,
    /// TLS, where there may be any.
    pub(super) tls: Option<(Tls, ServerName<'static>)>,
    /// The same in version 1.2 alone, where both versions are allowed.
    pub(super) tls12: Option<Tls>,
    pub(super) pasv_first: bool,
    /// The path begins in the folder of the log-in.
    pub(super) relative: bool,
    /// Names of the folders of the path, none empty.
    pub(super) folders: Vec<String>,
    pub(super) cwd: bool,
    pub(super) delay: Duration,
    pub(super) rename: bool,
    /// The size of uploads is asked for.
    pub(super) verify: bool,
    pub(super) times: Times,
    /// There was a log-in in this run.
    pub(super) met: Cell<bool>,
    /// And an upload that got its name.
    pub(super) stored: Cell<bool>,
}

impl Setup {
    /// `rows` are those of the scheme.
    pub(super) fn new(url: &DestUrl, options: &Options, rows: &'static [Opt]) -> Result<Setup> {
        folders::check_host(url, "ftp://user@host/folder")?;
        let (user, password) = opts::login(url, options, None);
        let user = user.unwrap_or_else(|| "anonymous".to_owned());
        let all = [
            user.as_str(),
            password.as_ref().map_or("", Secret::reveal),
            url.path.as_str(),
        ];
        if all.iter().any(|t| t.contains(['\r', '\n', '\0'])) {
            return Err(Error::usage(
                "user, password and path for an FTP server must not contain line ends or NUL characters",
            ));
        }
        let is_aftp = rows[MODE].name.starts_with('a');
        let from_the_other = options.flag(&rows[FROM]);
        let delay = u64::try_from(options.span(&rows[DELAY]).unwrap_or(0)).unwrap_or(0);
        let mode = mode(options, rows, is_aftp);
        let host = folders::host(url);
        let pasv_first = !is_aftp && active(options)? || pasv_first(options, &rows[DATA])?;
        let versions = versions(options, &rows[VERSIONS])?;
        let (mut tls, mut tls12) = (None, None);
        if mode != Mode::None {
            let made = tls::config(options)?.speaking(versions)?;
            if versions.len() > 1 {
                tls12 = Some(made.speaking(ONLY_12)?);
            }
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Error::usage("the host name cannot be in a certificate"))?;
            tls = Some((made, name));
        }
        let unverified = options.given("disable-upload-verify").and_then(parse_flag);
        Ok(Setup {
            host,
            port: url.port.unwrap_or(21),
            user,
            password,
            mode,
            tls,
            tls12,
            pasv_first,
            relative: from_the_other == is_aftp,
            folders: folders::path(url)?,
            cwd: options.flag(&rows[CWD]),
            delay: Duration::from_secs(delay),
            rename: !options.flag(&rows[NO_RENAME]),
            verify: unverified != Some(true),
            times: Times::new(options),
            met: Cell::new(false),
            stored: Cell::new(false),
        })
    }

    /// The address of the folder as every URL that means it has it.
    pub(super) fn place(&self) -> String {
        let start = if self.relative { "/./" } else { "/" };
        let path = self.folders.join("/");
        format!("ftp://{}:{}{start}{path}", self.host, self.port)
    }

    /// `host:port` for messages.
    pub(super) fn shown(&self) -> String {
        text::safe_cut(format!("{}:{}", self.host, self.port).as_bytes(), 100)
    }

    /// The password would go over the wire as it is, beyond this machine and its network.
    pub(super) fn is_open(&self) -> bool {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        self.mode == Mode::None && self.password.is_some() && !is_near(&host)
    }
}

fn mode(options: &Options, rows: &'static [Opt], is_aftp: bool) -> Mode {
    let mode = match options.choice(&rows[MODE]) {
        Some("Explicit") => Mode::Explicit,
        Some("Implicit") => Mode::Implicit,
        Some("Auto") => Mode::Auto,
        _ => Mode::None,
    };
    // Who writes ftps:// must not come to speak in the clear.
    let asked = !is_aftp && options.flag(&opts::USE_SSL);
    match mode {
        Mode::None | Mode::Auto if asked => Mode::Explicit,
        mode => mode,
    }
}

const NOT_ACTIVE: &str =
    "active mode is not supported: the server would have to connect to this machine";

/// Never true.
fn active(options: &Options) -> Result<bool> {
    match options.flag(&ACTIVE) {
        true => Err(Error::usage(NOT_ACTIVE).hint("leave out --ftp-regular")),
        false => Ok(false),
    }
}

fn pasv_first(options: &Options, opt: &'static Opt) -> Result<bool> {
    let word = options.text(opt).unwrap_or("").trim();
    match word.to_ascii_uppercase().as_str() {
        "" | "AUTOPASSIVE" | "EPSV" => Ok(false),
        "PASV" | "PASVEX" | "PASVUSE" => Ok(true),
        "AUTOACTIVE" | "PORT" | "EPRT" => Err(Error::usage(NOT_ACTIVE)
            .hint(format!("leave out --{}, or make it AutoPassive", opt.name))),
        _ => Err(Error::usage(format!(
            "--{}={} is not valid: AutoPassive, EPSV or PASV is expected",
            opt.name,
            text::safe_cut(word.as_bytes(), 60)
        ))),
    }
}

/// Versions of TLS.
type Versions = &'static [&'static SupportedProtocolVersion];
static BOTH: Versions = &[&TLS13, &TLS12];
static ONLY_13: Versions = &[&TLS13];
static ONLY_12: Versions = &[&TLS12];

fn versions(options: &Options, opt: &'static Opt) -> Result<Versions> {
    let text = options.text(opt).unwrap_or("").to_ascii_lowercase();
    let has = |version: &str| text.split([',', ';', ' ', '|']).any(|word| word == version);
    Ok(match (has("tls12"), has("tls13")) {
        (true, false) => ONLY_12,
        (false, true) => ONLY_13,
        (false, false) if !text.is_empty() && !has("none") => {
            return Err(Error::usage(format!(
                "--{} names only versions below TLS 1.2, which are not supported",
                opt.name
            ))
            .hint("Tls12, Tls13 or both"));
        }
        _ => BOTH,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str) -> Result<Setup> {
        let (url, _) = DestUrl::parse(text)?;
        let rows = if url.scheme == "aftp" { AFTP } else { FTP };
        let mut options = Options::default();
        for (name, value) in &url.query {
            static COMMON: [Opt; 4] = [
                opts::AUTH_USERNAME,
                opts::AUTH_PASSWORD,
                opts::SHORT_TIMEOUT,
                row("disable-upload-verify", Kind::Flag, "", ""),
            ];
            let row = rows.iter().chain(&COMMON).find(|o| o.is_named(name));
            options.set(row.expect("option"), value.reveal())?;
        }
        Setup::new(&url, &options, rows)
    }

    #[test]
    fn rows_are_where_they_are_looked_for() {
        for (rows, prefix) in [(FTP, "ftp-"), (AFTP, "aftp-")] {
            for (at, name) in [
                (MODE, "encryption-mode"),
                (DATA, "data-connection-type"),
                (VERSIONS, "ssl-protocols"),
                (CWD, "use-cwd-names"),
                (DELAY, "upload-delay"),
                (NO_RENAME, "no-rename"),
            ] {
                assert_eq!(rows[at].name, format!("{prefix}{name}"));
            }
            assert!(rows[FROM].name.ends_with("e-path"));
        }
    }

    #[test]
    fn urls_and_places() {
        for (text, place) in [
            ("ftp://h", "ftp://h:21/./"),
            ("ftps://u@H:2121/a//b/", "ftp://h:2121/./a/b"),
            ("ftp://h/a?ftp-absolute-path", "ftp://h:21/a"),
            ("aftp://h//a/./b", "ftp://h:21/a/b"),
            ("aftp://h/a?aftp-relative-path=true", "ftp://h:21/./a"),
            ("ftp://[FE80::1]/x", "ftp://fe80::1:21/./x"),
            ("ftp://h/a%20b+c%2Bd%2Fe", "ftp://h:21/./a b+c+d/e"),
        ] {
            assert_eq!(setup(text).expect(text).place(), place, "{text}");
        }
    }

    #[test]
    fn when_tls_begins() {
        for (query, mode) in [
            ("ftp://h", Mode::None),
            ("ftp://h?use-ssl=true", Mode::Explicit),
            (
                "ftp://h?use-ssl=true&ftp-encryption-mode=None",
                Mode::Explicit,
            ),
            (
                "ftp://h?use-ssl=true&ftp-encryption-mode=auto",
                Mode::Explicit,
            ),
            (
                "ftp://h?use-ssl=true&ftp-encryption-mode=implicit",
                Mode::Implicit,
            ),
            ("ftp://h?ftp-encryption-mode=EXPLICIT", Mode::Explicit),
            ("ftp://h?ftp-encryption-mode=Auto", Mode::Auto),
            ("aftp://h?aftp-encryption-mode=Implicit", Mode::Implicit),
        ] {
            let s = setup(query).expect(query);
            assert_eq!(
                (s.mode, s.tls.is_some()),
                (mode, mode != Mode::None),
                "{query}"
            );
            assert_eq!(s.port, 21, "{query}");
        }
        for (list, both) in [
            ("", true),
            ("None", true),
            ("Tls11,Tls12", false),
            ("Tls12, Tls13", true),
            ("tls13", false),
        ] {
            let text = format!("ftp://h?use-ssl=true&ftp-ssl-protocols={list}");
            assert_eq!(setup(&text).expect(list).tls12.is_some(), both, "{list}");
        }
    }

    #[test]
    fn logins() {
        let s = setup("ftp://h").expect("good");
        assert_eq!(
            (s.user.as_str(), s.password.is_some()),
            ("anonymous", false)
        );
        let s = setup("ftp://u:p%2Bw@h").expect("good");
        assert_eq!(s.password.expect("given").reveal(), "p+w");
        let s = setup("ftp://h?auth-username=u&auth-password=a+b").expect("good");
        assert_eq!(s.password.expect("given").reveal(), "a b");
        assert!(setup("ftp://u:pw@nas.example.org").expect("good").is_open());
        for near in [
            "ftp://u:pw@127.0.0.1",
            "ftp://u:pw@nas",
            "ftp://u:pw@[::1]",
            "ftp://nas.example.org",
            "ftps://u:pw@h.example.org?use-ssl=true",
        ] {
            assert!(!setup(near).expect(near).is_open(), "{near}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("ftp:///x", "missing host name"),
            ("ftp://h%20i/x", "not valid"),
            ("ftp://h/a/../b", ".."),
            ("ftp://h/a%0D%0ADELE%20b", "line ends"),
            ("ftp://u%0A:p@h/a", "line ends"),
            ("ftp://u:p%0Aq@h/a", "line ends"),
            ("ftp://h/x#y", "#"),
            ("ftp://h?ftp-regular", "active mode"),
            ("ftp://h?ftp-data-connection-type=PORT", "active mode"),
            (
                "aftp://h?aftp-data-connection-type=AutoActive",
                "active mode",
            ),
            ("ftp://h?ftp-data-connection-type=fast", "AutoPassive"),
            ("ftp://h?ftp-encryption-mode=yes", "Explicit"),
            ("ftp://h?ftp-ssl-protocols=Tls11", "TLS 1.2"),
            ("aftp://h?aftp-upload-delay=often", "time span"),
        ] {
            let e = setup(text).err().expect(text);
            assert_eq!(e.kind().exit_code(), 200, "{text}");
            assert!(e.to_string().contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn what_is_accepted_without_effect() {
        for query in [
            "ftp-passive=true",
            "ftp-regular=false",
            "ignore-pureftpd-limit-issue",
            "ftp-log-to-console",
            "ftp-log-privateinfo-to-console=true",
        ] {
            assert!(setup(&format!("ftp://h?{query}")).is_ok(), "{query}");
        }
        let s = setup(
            "ftp://h?ftp-data-connection-type=pasvex&disable-upload-verify&ftp-upload-delay=2s&ftp-no-rename&ftp-use-cwd-names",
        );
        let s = s.expect("good");
        assert!(s.pasv_first && !s.verify && !s.rename && s.cwd);
        assert_eq!(s.delay.as_secs(), 2);
    }
}
