//! Why a child ended, from what it said: a class, a sentence, and what to do.

use std::os::unix::process::ExitStatusExt;

use super::channel::{Broken, Farewell};
use super::config::{Key, Setup};
use super::helper::{Passphrase, Report};
use super::launch::wrong_key;
use crate::base::fault::{Class, Fault};
use crate::base::size::show_span;
use crate::base::sys;
use crate::base::text;

/// Longest text of a child or server that is shown, in characters.
const SHOWN_MAX: usize = 200;

/// What a line of the child means: words in it (lower case), class, sentence, what to do. `{}` stands for user, host and port;
/// after a colon at its end comes the line itself.
struct Meaning(&'static str, Class, &'static str, &'static str);

/// The first one that fits counts.
const MEANINGS: &[Meaning] = &[
    Meaning(
        "remote host identification has changed",
        Class::Tls,
        "the server's host key is not the one that this machine knows",
        "if the server was set up anew, remove the old key with 'ssh-keygen -R' and connect once by hand; if not, somebody may stand in between",
    ),
    Meaning(
        "host key mismatch",
        Class::Tls,
        "the server's host key is not the one that this machine knows",
        "if the server was set up anew, remove its line from ~/.ssh/known_hosts and connect once by hand; if not, somebody may stand in between",
    ),
    Meaning(
        "no matching host key type",
        Class::Tls,
        "server and ssh have no kind of host key in common:",
        "for an old server: ssh-options=-o HostKeyAlgorithms=+ssh-rsa, or update the server",
    ),
    Meaning(
        "no matching",
        Class::Tls,
        "server and ssh have no algorithm in common:",
        "for an old server: ssh-options=-o KexAlgorithms=+... with what its message offers, or update the server",
    ),
    Meaning(
        "unprotected private key",
        Class::Usage,
        "others can read the private key, so ssh does not use it",
        "chmod 600 the file of --ssh-keyfile",
    ),
    Meaning(
        "bad permissions",
        Class::Usage,
        "others can read the private key, so ssh does not use it",
        "chmod 600 the file of --ssh-keyfile",
    ),
    Meaning(
        "not accessible: no such file",
        Class::Usage,
        "there is no such key file:",
        "check --ssh-keyfile",
    ),
    Meaning(
        "not accessible: permission denied",
        Class::Usage,
        "the key file cannot be read by this user:",
        "check --ssh-keyfile",
    ),
    Meaning(
        "incorrect passphrase",
        Class::Auth,
        "the passphrase of the private key is wrong",
        "give it as --auth-password",
    ),
    Meaning(
        "string too long",
        Class::Usage,
        "dbclient cannot read this private key:",
        "convert it with 'dropbearconvert openssh dropbear'",
    ),
    Meaning(
        "failed loading keyfile",
        Class::Usage,
        "dbclient cannot read this private key:",
        "convert it with 'dropbearconvert openssh dropbear'",
    ),
    Meaning(
        "error in libcrypto",
        Class::Auth,
        "the private key cannot be read:",
        "a key with a passphrase needs --auth-password; else its text is not whole",
    ),
    Meaning(
        "invalid format",
        Class::Usage,
        "the private key cannot be read:",
        "a key of PuTTY must be exported as an OpenSSH key",
    ),
    Meaning(
        "too many authentication failures",
        Class::Auth,
        "the server wants no more attempts to log in as {}",
        "name the key with --ssh-keyfile, or --ssh-disable-agent",
    ),
    Meaning("permission denied (", Class::Auth, "", ""),
    Meaning("no auth methods", Class::Auth, "", ""),
    Meaning("permission denied", Class::Auth, "", ""),
    Meaning("authentication failed", Class::Auth, "", ""),
    Meaning(
        "account has expired",
        Class::Auth,
        "the account {} has expired",
        "ask who runs the server",
    ),
    Meaning(
        "account is currently not available",
        Class::Auth,
        "the account {} may not log in",
        "allow SFTP for it on the server",
    ),
    Meaning(
        "could not resolve",
        Class::Refused,
        "the name of the server cannot be resolved:",
        "check the host of the URL",
    ),
    Meaning(
        "error resolving",
        Class::Refused,
        "the name of the server cannot be resolved:",
        "check the host of the URL",
    ),
    Meaning(
        "connection refused",
        Class::Refused,
        "{} refuses connections",
        "",
    ),
    Meaning(
        "no route to host",
        Class::Transient,
        "no way leads to {}:",
        "",
    ),
    Meaning(
        "network is unreachable",
        Class::Transient,
        "no way leads to {}:",
        "",
    ),
    Meaning("timed out", Class::Transient, "{} does not answer", ""),
    Meaning(
        "not responding",
        Class::Transient,
        "{} does not answer any more",
        "",
    ),
    Meaning(
        "subsystem request failed",
        Class::Unsupported,
        NO_SFTP,
        SFTP_HINT,
    ),
    Meaning(
        "sftp-server: not found",
        Class::Unsupported,
        NO_SFTP,
        SFTP_HINT,
    ),
    Meaning(
        "sftp-server: no such file",
        Class::Unsupported,
        NO_SFTP,
        SFTP_HINT,
    ),
    Meaning(
        "exec request failed",
        Class::Unsupported,
        NO_SFTP,
        SFTP_HINT,
    ),
    Meaning(
        "bad configuration option",
        Class::Usage,
        "ssh does not know an option:",
        "check --ssh-options and ~/.ssh/config",
    ),
    Meaning(
        "bad owner or permissions",
        Class::Usage,
        "ssh does not trust its configuration file:",
        "it must belong to this user and nobody else may write to it",
    ),
    Meaning(
        "unknown option",
        Class::Usage,
        "ssh does not know an option:",
        "check --ssh-options",
    ),
    Meaning(
        "connection reset",
        Class::Transient,
        "{} has ended the connection",
        "",
    ),
    Meaning(
        "connection closed",
        Class::Transient,
        "{} has ended the connection",
        "",
    ),
    Meaning(
        "closed by remote",
        Class::Transient,
        "{} has ended the connection",
        "",
    ),
    Meaning(
        "broken pipe",
        Class::Transient,
        "{} has ended the connection",
        "",
    ),
];

const NO_SFTP: &str = "the server offers no SFTP";
const SFTP_HINT: &str = "switch SFTP on there (OpenWrt: install openssh-sftp-server)";

/// Words of the C libraries about name servers that give no answer now.
const LATER: [&str; 3] = ["Temporary failure", "Try again", "try again"];

/// Words about a host whose key nobody knows.
const UNKNOWN: [&str; 4] = [
    "host key verification failed",
    "host key is known for",
    "didn't validate host key",
    "not in the trusted hosts file",
];

/// Why a conversation came to no reply.
pub(super) fn broken(
    setup: &Setup,
    why: Broken,
    told: &Farewell,
    report: &Report,
    greeted: bool,
) -> Fault {
    if why == Broken::Stopped {
        return Fault::local(sys::stopped());
    }
    if why == Broken::Silent {
        let wait = if greeted {
            setup.times.transfer
        } else {
            setup.times.short
        };
        let text = format!(
            "{} has not answered for {}",
            who(setup),
            show_span(wait.as_secs())
        );
        return Fault::new(Class::Transient, text);
    }
    if why == Broken::Asks && told.errors.ends_with("assword: ") {
        return refused(setup);
    }
    // So ends dbclient when the server has had enough of a wrong password.
    if !greeted && setup.secret.is_some() && told.errors.contains("exited: Disconnect received") {
        return refused(setup);
    }
    let ended = said(setup, told, report);
    if !greeted && !told.input.is_empty() && ended.is_none() {
        return printed(&told.input);
    }
    if why == Broken::Foreign {
        return Fault::new(Class::Protocol, "the server's reply is no SFTP");
    }
    ended.unwrap_or_else(|| without_words(setup, told))
}

/// What the lines of the child mean, if one of them is known.
fn said(setup: &Setup, told: &Farewell, report: &Report) -> Option<Fault> {
    let lower = told.errors.to_ascii_lowercase();
    let found = MEANINGS.iter().find_map(|m| Some((lower.find(m.0)?, m)));
    // A changed key comes with the words about an unknown one.
    let unknown = UNKNOWN.iter().any(|words| lower.contains(words));
    if unknown && found.is_none_or(|(_, m)| m.1 != Class::Tls) {
        return Some(unknown_key(setup, report.key.as_deref()));
    }
    let (at, &Meaning(_, class, sentence, hint)) = found?;
    if class == Class::Auth && sentence.is_empty() {
        return Some(key_stays_shut(setup, report).unwrap_or_else(|| refused(setup)));
    }
    let line = line_at(&told.errors, at);
    let mut text = sentence.replace("{}", &who(setup));
    if text.ends_with(':') {
        text.push(' ');
        text.push_str(&line);
    }
    // Of a name server that does not answer, unlike of a name that does not exist.
    let passing = class == Class::Refused && LATER.iter().any(|words| line.contains(words));
    let class = if passing { Class::Transient } else { class };
    Some(Fault::new(class, text).hint(hint))
}

/// As [`said`] for a host whose key is in no file.
fn unknown_key(setup: &Setup, shown_key: Option<&str>) -> Fault {
    if !setup.pins.is_empty() {
        let fault = wrong_key();
        let Some(key) = shown_key else {
            return fault;
        };
        return Fault {
            text: format!("{}: it is {key}", fault.text),
            ..fault
        };
    }
    let port = setup.port.map_or(String::new(), |p| format!("-p {p} "));
    let user = setup
        .user
        .as_deref()
        .map_or(String::new(), |u| format!("{u}@"));
    let host = &setup.host;
    let by_hand = format!("connect once by hand: ssh {port}{user}{host}");
    let text = "the server's host key is not known to this machine";
    match shown_key {
        Some(key) => Fault::new(Class::Tls, format!("{text}: it is {key}")).hint(format!(
            "compare it with what the server's administrator says, then use --ssh-fingerprint={key}, or {by_hand}"
        )),
        None => Fault::new(Class::Tls, text).hint(format!(
            "{by_hand}; or see its fingerprint with 'ssh-keyscan {port}{host} | ssh-keygen -lf -', compare it, and use --ssh-fingerprint"
        )),
    }
}

/// The fault where the private key asks for a passphrase that it did not get, so that the server has not seen it.
fn key_stays_shut(setup: &Setup, report: &Report) -> Option<Fault> {
    let (what, hint) = match report.passphrase? {
        Passphrase::Wrong => (
            "the passphrase does not open the private key",
            "check --auth-password: beside a key it is the key's passphrase",
        ),
        Passphrase::Wanted if setup.secret.is_none() => (
            "the private key has a passphrase, which was not given",
            "give it as --auth-password, beside --ssh-keyfile or --ssh-key; or load the key into an agent",
        ),
        Passphrase::Wanted => return None,
    };
    Some(Fault::new(Class::Auth, format!("{what} ({})", who(setup))).hint(hint))
}

fn refused(setup: &Setup) -> Fault {
    let (what, hint) = match (&setup.key, &setup.secret) {
        (Key::None, None) => (
            "the server lets nobody in without a key or a password",
            "give --ssh-keyfile or --auth-password, or load a key into the agent",
        ),
        (Key::None, Some(_)) => (
            "the server has rejected user name or password",
            "check both; many servers allow keys only",
        ),
        _ => (
            "the server has rejected the key",
            "is its public part in ~/.ssh/authorized_keys there? a key with a passphrase needs --auth-password",
        ),
    };
    Fault::new(Class::Auth, format!("{what} ({})", who(setup))).hint(hint)
}

/// The remote shell has printed something.
fn printed(input: &[u8]) -> Fault {
    let shown: String = String::from_utf8_lossy(&input[..input.len().min(400)])
        .chars()
        // What goes on in bytes is the beginning of SFTP.
        .take_while(|c| c.is_whitespace() || !c.is_control())
        .collect();
    let shown: Vec<&str> = shown.split_whitespace().collect();
    let shown = text::safe_cut(shown.join(" ").as_bytes(), 120);
    Fault::new(
        Class::Unsupported,
        format!("in place of SFTP the server sends text: '{shown}'"),
    )
    .hint("output of a login script there, such as ~/.bashrc? it must print nothing; or the account may not use SFTP")
}

/// The child has ended and said nothing that is known.
fn without_words(setup: &Setup, told: &Farewell) -> Fault {
    let program = match setup.command.first() {
        Some(own) => text::safe_cut(own.as_bytes(), 80),
        None => "ssh".to_owned(),
    };
    let how = match told.exit.map(|e| (e.code(), e.signal())) {
        Some((Some(127), _)) if !setup.command.is_empty() => {
            let line = last_line(&told.errors);
            return Fault::new(Class::Unsupported, format!("{program} has ended: {line}"))
                .hint("check --ssh-command");
        }
        // The server's shell has not found it.
        Some((Some(127), _)) => return Fault::new(Class::Unsupported, NO_SFTP).hint(SFTP_HINT),
        Some((Some(0), _)) | None => "has ended".to_owned(),
        Some((Some(code), _)) => format!("has ended with code {code}"),
        Some((None, signal)) => format!("was killed by signal {}", signal.unwrap_or(0)),
    };
    let line = last_line(&told.errors);
    let text = if line.is_empty() {
        format!("{program} {how}")
    } else {
        format!("{program} {how}: {line}")
    };
    Fault::new(Class::Transient, text)
}

/// `user@host:port`.
fn who(setup: &Setup) -> String {
    if !setup.command.is_empty() {
        return "the server".to_owned();
    }
    let port = setup.port.map_or(String::new(), |p| format!(":{p}"));
    let user = setup
        .user
        .as_deref()
        .map_or(String::new(), |u| format!("{u}@"));
    text::safe_cut(format!("{user}{}{port}", setup.host).as_bytes(), 100)
}

/// The line around a position.
fn line_at(all: &str, at: usize) -> String {
    let start = all[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = all[start..].lines().next().unwrap_or("");
    text::safe_cut(line.trim().as_bytes(), SHOWN_MAX)
}

fn last_line(all: &str) -> String {
    let line = all.lines().rev().find(|l| !l.trim().is_empty());
    text::safe_cut(line.unwrap_or("").trim().as_bytes(), SHOWN_MAX)
}
