//! The options of the `ssh` scheme (`destinations-more.md` 2.1), and what they and the URL come to.

use std::cell::Cell;

use super::pins::Pin;
use crate::base::bytes;
use crate::base::digest::Algo;
use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::base::place;
use crate::base::program;
use crate::base::secret::Secret;
use crate::dest::folders::{self, Times};
use crate::net::opts;
use crate::net::url::{DestUrl, decode_percent};

const KEY_FILE: Opt = Opt {
    plain: Some(is_path),
    ..row(
        "ssh-keyfile",
        Kind::Secret,
        "",
        "Private key to log in with: a file, or the key itself as sshkey:// and its percent-encoded text. --auth-password is then its passphrase.",
    )
};
const KEY: Opt = row(
    "ssh-key",
    Kind::Secret,
    "",
    "Private key to log in with, the key itself: its text, or sshkey:// and its percent-encoded text.",
);
const FINGERPRINT: Opt = row(
    "ssh-fingerprint",
    Kind::Word,
    "",
    "Fingerprints, separated by commas, of the only host keys to accept: SHA256:..., or type, bits and MD5 as Duplicati writes them.",
);
const ANY_HOST: Opt = row(
    "ssh-accept-any-fingerprints",
    Kind::Flag,
    "",
    "Accept every host key, unless a fingerprint is given: anybody on the way can read the log-in and change what is stored.",
);
const NO_AGENT: Opt = row(
    "ssh-disable-agent",
    Kind::Flag,
    "",
    "Do not log in with keys of an SSH agent.",
);
const RELATIVE: Opt = row(
    "ssh-relative-path",
    Kind::Flag,
    "",
    "The path of the URL begins in the folder that the server logs in to, not at /.",
);
const KEEPALIVE: Opt = row(
    "ssh-keepalive",
    Kind::Span,
    "0s",
    "Pause after which the server is asked whether it is still there; 0s = every 15 seconds.",
);
const COMMAND: Opt = row(
    "ssh-command",
    Kind::Text,
    "",
    "Program and arguments to speak SFTP with, in place of ssh; the URL's host, user and keys are then not used.",
);
const WORDS: Opt = row(
    "ssh-options",
    Kind::Text,
    "",
    "Further arguments for ssh, before the host.",
);

pub(super) static OPTIONS: &[Opt] = &[
    KEY_FILE,
    KEY,
    FINGERPRINT,
    ANY_HOST,
    NO_AGENT,
    RELATIVE,
    KEEPALIVE,
    COMMAND,
    WORDS,
    row(
        "ssh-operation-timeout",
        Kind::Ignored,
        "",
        "No effect: --short-timeout, --list-timeout and --read-write-timeout rule.",
    ),
];

/// How an inline key begins.
const INLINE: &str = "sshkey://";
/// Seconds between questions whether the server is still there, unless given.
const ALIVE_SECONDS: u64 = 15;

/// The key to log in with.
pub(super) enum Key {
    None,
    File(String),
    /// The text of one.
    Inline(Secret),
}

/// The destination as options and URL describe it.
pub(super) struct Setup {
    /// Lower case, IPv6 addresses without brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Without one `ssh` takes that of its configuration, else that of who runs this program.
    pub(super) user: Option<String>,
    /// Password, or passphrase of the key.
    pub(super) secret: Option<Secret>,
    pub(super) key: Key,
    pub(super) pins: Vec<Pin>,
    /// The kinds of host keys that are asked for, where the server has others, too, and those are not the ones that are pinned.
    pub(super) kinds: Cell<Option<&'static str>>,
    pub(super) any_host: bool,
    pub(super) agent: bool,
    /// The path begins in the folder of the log-in.
    pub(super) relative: bool,
    /// Names of the folders of the path, none empty.
    pub(super) folders: Vec<String>,
    /// Seconds.
    pub(super) keepalive: u64,
    /// Program and arguments in place of `ssh`; may be empty.
    pub(super) command: Vec<String>,
    /// Further arguments of `ssh`.
    pub(super) words: Vec<String>,
    pub(super) times: Times,
}

impl Setup {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Setup> {
        let command = words(&COMMAND, options)?;
        let (user, secret) = opts::login(url, options, None);
        if command.is_empty() {
            folders::check_host(url, "ssh://user@host/folder")?;
            let user = user.as_deref().unwrap_or("");
            if user.starts_with('-') || user.contains(char::is_control) {
                return Err(Error::usage(
                    "the user name for the SSH server is not valid",
                ));
            }
        }
        let keepalive = u64::try_from(options.span(&KEEPALIVE).unwrap_or(0)).unwrap_or(0);
        let pins = Pin::all(options.text(&FINGERPRINT).unwrap_or(""))?;
        // A fingerprint that is given counts alone.
        let any_host = options.flag(&ANY_HOST) && pins.is_empty();
        Ok(Setup {
            host: folders::host(url),
            port: url.port,
            user,
            secret,
            key: key(options)?,
            pins,
            kinds: Cell::new(None),
            any_host,
            agent: !options.flag(&NO_AGENT),
            relative: options.flag(&RELATIVE),
            folders: folders::path(url)?,
            keepalive: if keepalive == 0 {
                ALIVE_SECONDS
            } else {
                keepalive
            },
            command,
            words: words(&WORDS, options)?,
            times: Times::new(options),
        })
    }

    /// The address of the folder as every URL that means it has it.
    pub(super) fn place(&self) -> String {
        let start = if self.relative { "/./" } else { "/" };
        let path = self.folders.join("/");
        let port = self.port.unwrap_or(22);
        let place = format!("ssh://{}:{port}{start}{path}", self.host);
        if self.command.is_empty() {
            return place;
        }
        // Where a command of one's own leads, only it knows.
        let command = Algo::Sha256.hash(self.command.join("\0").as_bytes());
        format!("{place}#{}", &bytes::hex(command.as_bytes())[..16])
    }
}

/// True for what is surely the path of a file and not a key: the shortest one in base64 is longer than these names.
fn is_path(value: &str) -> bool {
    const NAME_MAX: usize = 40;
    let begins = ["/", "./", "../", "~/"]
        .iter()
        .any(|b| value.starts_with(b));
    let is_text =
        value.contains(char::is_control) || ["://", "---"].iter().any(|t| value.contains(t));
    (begins || value.len() <= NAME_MAX) && !is_text
}

fn key(options: &Options) -> Result<Key> {
    let file = options.secret(&KEY_FILE);
    if let Some(path) = file.as_ref().map(Secret::reveal)
        && !path.starts_with(INLINE)
    {
        place::check(&format!("the value of --{}", KEY_FILE.name), path)?;
        return Ok(Key::File(path.to_owned()));
    }
    let Some(given) = file.or_else(|| options.secret(&KEY)) else {
        return Ok(Key::None);
    };
    let given = given.reveal().trim();
    let text = match given.strip_prefix(INLINE) {
        Some(encoded) => decode_percent(encoded),
        None => given.to_owned(),
    };
    if !text.trim_start().starts_with("-----BEGIN ") {
        return Err(Error::usage(
            "the private key given as text is none: it begins with -----BEGIN",
        )
        .hint("for a file use --ssh-keyfile; percent-encode the text after sshkey://"));
    }
    // ssh wants lines as Unix has them, the last one with its end.
    let text = format!("{}\n", text.trim().replace("\r\n", "\n"));
    Ok(Key::Inline(Secret::new(text)))
}

/// The words of an option that is a command line.
fn words(opt: &'static Opt, options: &Options) -> Result<Vec<String>> {
    program::words(opt.name, options.text(opt).unwrap_or(""), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str) -> Result<Setup> {
        let (url, _) = DestUrl::parse(text)?;
        let mut options = Options::default();
        for (name, value) in &url.query {
            let common = [
                &opts::AUTH_USERNAME,
                &opts::AUTH_PASSWORD,
                &opts::SHORT_TIMEOUT,
                &opts::LIST_TIMEOUT,
                &opts::OPERATION_TIMEOUT,
                &opts::READ_WRITE_TIMEOUT,
            ];
            let mut rows = OPTIONS.iter().chain(common);
            let row = rows.find(|o| o.is_named(name)).expect("option");
            options.set(row, value.reveal())?;
        }
        Setup::new(&url, &options)
    }

    #[test]
    fn urls_and_places() {
        for (text, place) in [
            ("ssh://u@h", "ssh://h:22/"),
            ("sftp://u@H:22/a//b/", "ssh://h:22/a/b"),
            ("ssh://u@h:2222//a/./b", "ssh://h:2222/a/b"),
            ("ssh://u@[FE80::1]:23/x", "ssh://fe80::1:23/x"),
            ("ssh://u@h/a%20b+c%2Bd", "ssh://h:22/a b+c+d"),
            ("ssh://u@h/~/x", "ssh://h:22/~/x"),
            ("ssh://u@h/x?ssh-relative-path", "ssh://h:22/./x"),
            ("ssh://h/x?auth-username=u", "ssh://h:22/x"),
        ] {
            assert_eq!(setup(text).expect(text).place(), place, "{text}");
        }
    }

    #[test]
    fn commands_lead_to_places_of_their_own() {
        let of = |query: &str| {
            setup(&format!("ssh://h/x?ssh-command={query}"))
                .expect(query)
                .place()
        };
        assert!(of("sftp-server").starts_with("ssh://h:22/x#"));
        assert_eq!(of("sftp-server"), of("+sftp-server+"));
        assert_ne!(of("sftp-server"), of("sftp-server+-R"));
        assert!(setup("ssh:///x?ssh-command=sftp-server").is_ok());
    }

    #[test]
    fn without_a_user_ssh_decides() {
        let s = setup("ssh://h/x").expect("good");
        assert!(s.user.is_none() && s.place() == "ssh://h:22/x");
        let s = setup("ssh://h/x?auth-username=u").expect("good");
        assert_eq!(s.user.as_deref(), Some("u"));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("ssh://u@/x", "missing host name"),
            ("ssh:///x", "missing host name"),
            ("ssh://h/x?auth-username=-oProxyCommand%3Dx", "user name"),
            ("ssh://u@-oProxyCommand=x/y", "not valid"),
            ("ssh://u@h%20i/x", "not valid"),
            ("ssh://u@h/a/../b", ".."),
            ("ssh://u@h/x?ssh-key=hello", "-----BEGIN"),
            ("ssh://u@h/x?ssh-keyfile=sshkey%3A%2F%2Fhello", "-----BEGIN"),
            ("ssh://u@h/x?ssh-keyfile=~/.ssh/id", "~"),
            ("ssh://u@h/x?ssh-fingerprint=abc", "fingerprint"),
            ("ssh://u@h/x?ssh-options=-o+%22x", "quote"),
            ("ssh://u@h/x?ssh-keepalive=often", "time span"),
            ("ssh://u@h/x#y", "#"),
        ] {
            let e = setup(text).err().expect(text);
            assert_eq!(e.kind().exit_code(), 200, "{text}");
            assert!(e.to_string().contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn keys() {
        let of = |query: &str| match setup(&format!("ssh://u@h/x?{query}")).expect(query).key {
            Key::None => "-".to_owned(),
            Key::File(path) => path,
            Key::Inline(key) => key.reveal().to_owned(),
        };
        let text = "-----BEGIN X-----\na+b\n-----END X-----\n";
        assert_eq!(of(""), "-");
        assert_eq!(of("ssh-keyfile=/k"), "/k");
        assert_eq!(of("ssh-keyfile=/k&ssh-key=other"), "/k");
        let plain = "-----BEGIN+X-----%0D%0Aa%2Bb%0A-----END+X-----";
        assert_eq!(of(&format!("ssh-key={plain}")), text);
        // Encoded once for the key, once more for the URL.
        let twice = "sshkey://-----BEGIN%2520X-----%250Aa%252Bb%250A-----END%2520X-----%250A";
        assert_eq!(of(&format!("ssh-key={twice}")), text);
        assert_eq!(of(&format!("ssh-keyfile={twice}")), text);
        // A plus is a plus in the key's own encoding.
        assert_eq!(
            of(&twice.replace("%252B", "%2B").replacen("", "ssh-key=", 1)),
            text
        );
    }

    #[test]
    fn names_of_files_are_shown_and_keys_are_not() {
        for name in ["/k", "~/.ssh/id", "ssh/nokey", "nokey", "id_ed25519.pem"] {
            assert!(!KEY_FILE.hides(name), "{name}");
        }
        let short = format!("MC4CAQAwBQYDK2VwBCIEI{}", "A/b+".repeat(11));
        for key in [
            "sshkey://-----BEGIN%20X",
            "SSHKEY://x",
            "-----BEGIN X-----",
            "/x\n-----BEGIN X-----",
            &short,
        ] {
            assert!(KEY_FILE.hides(key), "{key}");
        }
    }

    #[test]
    fn times_and_flags() {
        let s = setup("ssh://u:p@h?short-timeout=5s&read-write-timeout=0s&ssh-keepalive=90s");
        let s = s.expect("good");
        assert_eq!(
            (s.times.short.as_secs(), s.times.transfer.as_secs()),
            (5, 1)
        );
        assert_eq!(
            (
                s.times.list.as_secs(),
                s.times.closing.as_secs(),
                s.keepalive
            ),
            (600, 5, 90)
        );
        assert_eq!(s.secret.expect("given").reveal(), "p");
        let s = setup("ssh://u@h?http-operation-timeout=7s&ssh-disable-agent").expect("good");
        assert_eq!(
            (
                s.times.list.as_secs(),
                s.times.closing.as_secs(),
                s.keepalive
            ),
            (7, 7, 15)
        );
        assert!(!s.agent && !s.any_host && s.secret.is_none());
        let pin = format!("ssh-fingerprint=SHA256:{}", "A".repeat(43));
        let any = "ssh-accept-any-fingerprints=true";
        for (query, any_host) in [
            (any.to_owned(), true),
            (format!("{pin}&{any}"), false),
            (pin, false),
        ] {
            let s = setup(&format!("ssh://u@h?{query}")).expect("good");
            assert_eq!(s.any_host, any_host, "{query}");
        }
    }
}
