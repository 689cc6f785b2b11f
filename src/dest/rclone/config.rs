//! The options of `rclone` (`destinations-more.md` 2.3) and of the schemes that it carries (3), and what they and the URL come
//! to: a remote with a path, a command line without secrets, and an environment with them.

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, parse_flag, row};
use crate::base::program;
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::rclone::secrets::{code, is_secret, obscure, words};
use crate::dest::rclone::through::{CARRIED, translated};
use crate::dest::storj;
use crate::net::opts;
use crate::net::url::DestUrl;

const REMOTE: Opt = row(
    "rclone-remote-repository",
    Kind::Text,
    "",
    "Name of the remote in rclone's configuration, in place of the URL's host.",
);
const PATH: Opt = row(
    "rclone-remote-path",
    Kind::Text,
    "",
    "Folder in the remote, in place of the URL's path.",
);
pub(crate) const WORDS: Opt = Opt {
    plain: Some(are_names),
    ..row(
        "rclone-option",
        Kind::Secret,
        "",
        "Further arguments for rclone; quotes and backslashes as in a shell.",
    )
};
pub(crate) const PROGRAM: Opt = row(
    "rclone-executable",
    Kind::Word,
    "rclone",
    "The program: a name that is looked for in PATH, or a path.",
);
pub(crate) const MODE: Opt = row(
    "rclone-mode",
    Kind::Choice(&["auto", "serve", "command"]),
    "auto",
    "One helper that serves all requests, a process for each of them, or the first where it can be had.",
);
const DOMAIN: Opt = row(
    "auth-domain",
    Kind::Text,
    "",
    "Windows domain of the user, for smb.",
);
const TRANSPORT: Opt = row(
    "transport",
    Kind::Choice(&["directtcp", "netbios"]),
    "directtcp",
    "How SMB is carried; netbios is not supported.",
);
const TWO_FACTOR: Opt = row(
    "auth-two-factor-key",
    Kind::Secret,
    "",
    "Key of the second factor of a MEGA account, from which its codes are made.",
);
const API_KEY: Opt = row(
    "api-key",
    Kind::Secret,
    "",
    "API key of a Filen account, which rclone needs beside the password.",
);
const API_TOKEN: Opt = row(
    "api-token",
    Kind::Secret,
    "",
    "API token of a Drime account.",
);
const WORKSPACE: Opt = row("workspace-id", Kind::Text, "", "Workspace at Drime.");
const SOFT_DELETE: Opt = row(
    "soft-delete",
    Kind::Flag,
    "",
    "What is deleted at Drime goes to its trash.",
);

/// An option that only tunes Duplicati.
const fn idle(name: &'static str) -> Opt {
    row(name, Kind::Ignored, "", "No effect: rclone decides that.")
}

pub(super) static OPTIONS: &[Opt] = &[
    REMOTE,
    PATH,
    WORDS,
    PROGRAM,
    MODE,
    DOMAIN,
    TRANSPORT,
    TWO_FACTOR,
    storj::METHOD,
    storj::SATELLITE,
    storj::KEY,
    storj::SECRET,
    storj::GRANT,
    storj::BUCKET,
    storj::FOLDER,
    #[cfg(not(feature = "dest-filen"))]
    API_KEY,
    #[cfg(not(feature = "dest-drimecloud"))]
    API_TOKEN,
    #[cfg(not(feature = "dest-drimecloud"))]
    WORKSPACE,
    #[cfg(not(feature = "dest-drimecloud"))]
    SOFT_DELETE,
    idle("rclone-local-repository"),
    idle("read-buffer-size"),
    idle("write-buffer-size"),
    #[cfg(not(feature = "dest-filen"))]
    idle("two-factor-code"),
    #[cfg(not(feature = "dest-filen"))]
    idle("move-to-trash"),
    idle("api-url"),
    #[cfg(not(feature = "dest-drimecloud"))]
    idle("page-size"),
];

/// Name of the remote that is made of a URL, and how the variables that describe it begin.
const OWN: &str = "duplet";
const OWN_VARIABLES: &str = "RCLONE_CONFIG_DUPLET_";
/// Unless given, the wait for an answer and the longest pause of a transfer: rclone has limits of its own, and sends large pieces.
const PATIENCE: &str = "10m";

/// How rclone is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// By a helper, or where that is not to be had by commands.
    Auto,
    Serve,
    Command,
}

/// The destination as options and URL describe it.
pub(super) struct Setup {
    /// For messages: the URL's scheme, and the address of the folder.
    pub(super) scheme: String,
    pub(super) shown: String,
    pub(super) account: String,
    /// `remote:path`, without a slash at its end.
    pub(super) target: String,
    pub(super) program: String,
    /// Further arguments.
    pub(super) words: Vec<String>,
    pub(super) mode: Mode,
    pub(super) short: Duration,
    pub(super) list: Duration,
    pub(super) transfer: Duration,
    /// A folder that is missing is a fault, although rclone would make it.
    pub(super) keep_missing: bool,
    /// Options for the connection to the helper.
    pub(super) http: Options,
    /// Variables for its environment.
    set: Vec<(String, Secret)>,
    two_factor: Option<Secret>,
}

impl Setup {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Setup> {
        let mut http = Options::default();
        for (opt, value) in options.all() {
            http.set(opt, value)?;
        }
        http.set(&opts::HTTP_PROXY, "none")?;
        // The answer to an upload comes when rclone has handed all of it on.
        let chosen = options.given(opts::READ_WRITE_TIMEOUT.name);
        if let Some(span) = chosen
            && options.given(opts::OPERATION_TIMEOUT.name).is_none()
        {
            http.set(&opts::OPERATION_TIMEOUT, span)?;
        }
        for opt in [&opts::SHORT_TIMEOUT, &opts::READ_WRITE_TIMEOUT] {
            if options.given(opt.name).is_none() {
                http.set(opt, PATIENCE)?;
            }
        }
        let span = |opt| {
            let seconds = http.span(opt).unwrap_or(600);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
        };
        let (short, list) = (span(&opts::SHORT_TIMEOUT), span(&opts::LIST_TIMEOUT));
        let transfer = span(&opts::READ_WRITE_TIMEOUT);
        let mut set = Vec::new();
        let given = options.secret(&WORDS);
        let given = given.as_ref().map_or("", Secret::reveal);
        let given = program::words(WORDS.name, given, true)?;
        let words = words(WORDS.name, given, &mut set)?;
        let (remote, path, account) = match url.scheme.as_str() {
            "rclone" => named(url, options)?,
            _ => carried(url, options, &mut set)?,
        };
        let shown = match url.scheme.as_str() {
            "rclone" => format!("rclone://{remote}/{path}"),
            "smb" | "cifs" => format!("smb://{}/{path}", host(url)),
            scheme if CARRIED.contains(&scheme) => format!("{scheme}://{path}"),
            _ => url.display(),
        };
        Ok(Setup {
            scheme: url.scheme.clone(),
            shown: text::safe(shown.as_bytes()),
            account,
            target: format!("{remote}:{path}"),
            program: options.text(&PROGRAM).unwrap_or("rclone").to_owned(),
            words,
            mode: match options.choice(&MODE) {
                Some("serve") => Mode::Serve,
                Some("command") => Mode::Command,
                _ => Mode::Auto,
            },
            short,
            list,
            transfer,
            keep_missing: options
                .given("disable-autocreate-folder")
                .is_some_and(|value| parse_flag(value) == Some(true)),
            http,
            set,
            two_factor: options.secret(&TWO_FACTOR),
        })
    }

    /// The file of this name as rclone is told it.
    pub(super) fn file(&self, name: &str) -> String {
        match self.target.ends_with([':', '/']) {
            true => format!("{}{name}", self.target),
            false => format!("{}/{name}", self.target),
        }
    }

    /// The variables that describe the remote, as they are now.
    pub(super) fn environment(&self) -> Vec<(&str, String)> {
        let pairs = self.set.iter();
        let mut out: Vec<(&str, String)> = pairs
            .map(|(name, value)| (name.as_str(), value.reveal().to_owned()))
            .collect();
        if let Some(key) = &self.two_factor {
            let now = u64::try_from(Timestamp::now().0).unwrap_or(0);
            let code = code(key, now).unwrap_or_default();
            out.push(("RCLONE_CONFIG_DUPLET_2FA", code));
        }
        out
    }
}

/// True for words that are surely names of options without values.
fn are_names(words: &str) -> bool {
    let is_name = |word: &str| {
        let name = word.strip_prefix("--");
        let name = name.or_else(|| word.strip_prefix('-').filter(|flags| flags.len() <= 3));
        name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    words.split_whitespace().all(is_name)
}

/// Remote, path and account.
type Where = (String, String, String);

/// A remote that rclone knows.
fn named(url: &DestUrl, options: &Options) -> Result<Where> {
    let remote = options.text(&REMOTE).unwrap_or(&url.host);
    let remote = remote.strip_suffix(':').unwrap_or(remote);
    if remote.trim().is_empty() {
        return Err(Error::usage("no remote of rclone given")
            .hint("write rclone://REMOTE/folder; 'rclone listremotes' shows the names"));
    }
    if remote.starts_with('-') || remote.contains(char::is_control) {
        return Err(Error::usage("the name of rclone's remote is not valid"));
    }
    // `:type,setting=value,…` and `name,setting=value,…`
    let mut settings = remote.split(',').skip(1);
    if settings.any(|one| is_secret(one.split('=').next().unwrap_or(one))) {
        return Err(Error::usage(
            "the name of rclone's remote holds a secret, which everybody could read in the list of processes",
        )
        .hint("put it into rclone's configuration ('rclone config'), or write it as --rclone-option=--TYPE-NAME=VALUE"));
    }
    let path = options.text(&PATH).unwrap_or(&url.path);
    Ok((remote.to_owned(), clean(path)?, String::new()))
}

/// A path without slashes at its end.
fn clean(path: &str) -> Result<String> {
    let path = path.trim_end_matches('/');
    if path.contains(char::is_control) || path.split('/').any(|part| part == "..") {
        return Err(Error::usage(
            "the path of the destination URL must not contain .. or control characters",
        ));
    }
    Ok(path.to_owned())
}

/// Host and port of the URL, lower case.
fn host(url: &DestUrl) -> String {
    let port = url.port.map(|port| format!(":{port}"));
    url.host.to_ascii_lowercase() + &port.unwrap_or_default()
}

/// A scheme of Duplicati's as a remote that only the environment of rclone describes.
fn carried(url: &DestUrl, options: &Options, set: &mut Vec<(String, Secret)>) -> Result<Where> {
    let mut add = |name: &str, value: String| {
        let name = match name.starts_with("RCLONE_") {
            true => name.to_owned(),
            false => format!("{OWN_VARIABLES}{name}"),
        };
        set.push((name, Secret::new(value)));
    };
    if let Some((path, account)) = translated(url, options, &mut add)? {
        let path = clean(path.trim_start_matches('/'))?;
        return Ok((OWN.to_owned(), path, account));
    }
    let (user, password) = opts::login(url, options, None);
    let missing = |what: &str, how: &str| {
        Err(Error::usage(format!("no {what} given for {}://", url.scheme)).hint(how))
    };
    let account = user.clone().unwrap_or_default();
    let mut path = format!("{}/{}", url.host, url.path);
    match url.scheme.as_str() {
        "smb" | "cifs" => {
            let host = url.host.trim_matches(['[', ']']).to_ascii_lowercase();
            path = url.path.trim_start_matches('/').to_owned();
            if host.is_empty() || path.is_empty() {
                return missing("host or share", "write smb://user@host/SHARE/folder");
            }
            if options.choice(&TRANSPORT) == Some("netbios") {
                return Err(Error::usage("--transport=netbios is not supported")
                    .hint("leave it out: port 445 is then used"));
            }
            add("TYPE", "smb".to_owned());
            add("HOST", host);
            url.port
                .iter()
                .for_each(|port| add("PORT", port.to_string()));
            user.into_iter().for_each(|user| add("USER", user));
            if let Some(domain) = options.text(&DOMAIN) {
                add("DOMAIN", domain.to_owned());
            }
            if let Some(password) = password {
                add("PASS", obscure(&password)?);
            }
        }
        "mega" | "filen" => {
            let (Some(user), Some(password)) = (user, password) else {
                return missing(
                    "user or password",
                    "use --auth-username and --auth-password",
                );
            };
            let password = obscure(&password)?;
            add("TYPE", url.scheme.clone());
            if url.scheme == "mega" {
                add("USER", user);
                add("PASS", password);
                add("HARD_DELETE", "true".to_owned());
                let key = options.secret(&TWO_FACTOR);
                if key.is_some_and(|key| code(&key, 0).is_none()) {
                    return Err(Error::usage("--auth-two-factor-key is not base32"));
                }
            } else {
                let Some(key) = options.secret(&API_KEY) else {
                    let how = "use --api-key; Filen's own program shows it: filen export-api-key";
                    return missing("API key", how);
                };
                add("EMAIL", user);
                add("PASSWORD", password);
                add("API_KEY", obscure(&key)?);
            }
        }
        "drimecloud" => {
            let Some(token) = options.secret(&API_TOKEN) else {
                return missing(
                    "API token",
                    "use --api-token; it is made in the settings of the account",
                );
            };
            add("TYPE", "drime".to_owned());
            add("ACCESS_TOKEN", token.reveal().to_owned());
            add("HARD_DELETE", (!options.flag(&SOFT_DELETE)).to_string());
            if let Some(id) = options.text(&WORKSPACE).filter(|id| *id != "0") {
                add("WORKSPACE_ID", id.to_owned());
            }
        }
        _ => {
            let bucket = options.text(&storj::BUCKET).unwrap_or_default();
            path = format!(
                "{bucket}/{}",
                options.text(&storj::FOLDER).unwrap_or_default()
            );
            add("TYPE", "storj".to_owned());
            let by_grant = options.choice(&storj::METHOD) == Some("Access grant");
            match (
                options.secret(&storj::GRANT),
                options.secret(&storj::KEY),
                options.secret(&storj::SECRET),
            ) {
                (Some(grant), ..) if by_grant => add("ACCESS_GRANT", grant.reveal().to_owned()),
                (_, Some(key), Some(secret)) if !by_grant => {
                    let satellite = options.text(&storj::SATELLITE).unwrap_or_default();
                    add("SATELLITE_ADDRESS", satellite.to_owned());
                    add("API_KEY", key.reveal().to_owned());
                    add("PASSPHRASE", secret.reveal().to_owned());
                }
                _ => {
                    let how = "use --storj-auth-method='Access grant' with --storj-shared-access, or --storj-api-key with --storj-secret";
                    return missing("log-in", how);
                }
            }
        }
    }
    let path = clean(path.trim_start_matches('/'))?;
    Ok((OWN.to_owned(), path, account))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_options_are_shown_and_values_are_not() {
        for words in [
            "--nosuchopt",
            " --fast-list  -v --no-check-certificate",
            "-vv",
        ] {
            assert!(!WORDS.hides(words), "{words}");
        }
        for words in [
            "--sftp-pass=x",
            "--sftp-pass x",
            "--header 'Cookie: c'",
            "-uvalue",
            "value",
            "--a\\=b",
            "--'x'",
        ] {
            assert!(WORDS.hides(words), "{words}");
        }
    }
}
