//! What rclone says when it cannot do something: a class, a sentence, and what to do.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::base::fault::{Class, Fault, says_full};
use crate::base::text;
use crate::dest::rclone::config::Setup;
use crate::net::service::Verb;

/// Longest line of rclone that is shown, in characters.
const SHOWN_MAX: usize = 300;

/// Words of a line (lower case), class, what to do. The first one that fits counts.
type Meaning = (&'static str, Class, &'static str);

static MEANINGS: &[Meaning] = &[
    (
        "find section in config",
        Class::Unsupported,
        "'rclone listremotes' shows the remotes there are, 'rclone config' makes one",
    ),
    (
        "find backend called",
        Class::Unsupported,
        "this rclone is too old for that; get a newer one from rclone.org",
    ),
    (
        "decrypt configuration",
        Class::Auth,
        "give the password of rclone's configuration in RCLONE_CONFIG_PASS",
    ),
    ("unknown flag", Class::Usage, "check --rclone-option"),
    ("unknown shorthand", Class::Usage, "check --rclone-option"),
    (
        "unknown command",
        Class::Unsupported,
        "another rclone is needed",
    ),
    ("invalid argument", Class::Usage, "check --rclone-option"),
    ("read-only file system", Class::Locked, ""),
    ("permission denied", Class::Auth, RIGHTS),
    ("access denied", Class::Auth, RIGHTS),
    ("accessdenied", Class::Auth, RIGHTS),
    ("unauthorized", Class::Auth, RIGHTS),
    ("forbidden", Class::Auth, RIGHTS),
    ("unable to authenticate", Class::Auth, RIGHTS),
    ("logon is invalid", Class::Auth, RIGHTS),
    ("login failed", Class::Auth, RIGHTS),
    ("invalid_grant", Class::Auth, RECONNECT),
    ("empty token", Class::Auth, RECONNECT),
    ("token expired", Class::Auth, RECONNECT),
    ("connection refused", Class::Refused, ""),
    (
        "no such host",
        Class::Refused,
        "check the host name: in the URL, or of this remote in rclone's configuration",
    ),
];

const RIGHTS: &str = "check user, password and rights at the destination";
const RECONNECT: &str = "log in anew: rclone config reconnect REMOTE:";

/// The line that says it best: the last one, without time and level; empty when there is none.
pub(super) fn line(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let said = |line: &&str| !line.is_empty() && !line.contains("- using defaults");
    let last = text.lines().map(str::trim).rfind(said).unwrap_or("");
    // `2026/11/28 17:32:01 ERROR : what`
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '/' | ':' | ' ' | '.');
    let last = match last.starts_with(|c: char| c.is_ascii_digit()) {
        true => last.trim_start_matches(digits),
        false => last,
    };
    let levels = ["ERROR : ", "CRITICAL: ", "NOTICE: ", "Fatal error: ", ": "];
    let mut last = levels
        .iter()
        .fold(last, |l, level| l.strip_prefix(level).unwrap_or(l));
    if let Some((_, cause)) = last.split_once("last error was: ") {
        last = cause;
    }
    text::safe_cut(last.as_bytes(), SHOWN_MAX)
}

/// What a line says that it is, if it does.
pub(super) fn meaning(line: &str) -> Option<(Class, &'static str)> {
    let lower = line.to_lowercase();
    if says_full(500, &lower) || lower.contains("quota") && lower.contains("exceeded") {
        return Some((Class::Full, ""));
    }
    let found = MEANINGS.iter().find(|(words, ..)| lower.contains(words));
    found.map(|(_, class, hint)| (*class, *hint))
}

/// A fault of this class in rclone's own words, which beat the class where they say more.
pub(super) fn fault(line: &str, class: Class) -> Fault {
    let (class, hint) = meaning(line).unwrap_or((class, ""));
    let text = match class {
        Class::Full => format!("no space left at the destination: rclone says: {line}"),
        Class::Auth => format!("access denied: rclone says: {line}"),
        _ => format!("rclone says: {line}"),
    };
    Fault::new(class, text).hint(hint)
}

/// How a process ended, in words.
pub(super) fn ended(status: Option<ExitStatus>) -> String {
    let how = status.map(|status| (status.code(), status.signal()));
    match how {
        Some((Some(code), _)) => format!("rclone has ended with code {code}"),
        Some((_, Some(signal))) => format!("rclone was ended by signal {signal}"),
        _ => "rclone does not end".to_owned(),
    }
}

/// Why a process failed: by its words, else by its code (`docs/content/docs.md`, "Exit code").
pub(super) fn refusal(
    setup: &Setup,
    verb: Verb,
    status: Option<ExitStatus>,
    errors: &[u8],
) -> Fault {
    let line = line(errors);
    let code = status.and_then(|status| status.code());
    let class = match code {
        Some(3 | 4) if verb.is_of_file() => return Fault::new(Class::NotFound, "not found"),
        Some(3) => {
            let text = format!("folder {} does not exist", setup.shown);
            return Fault::new(Class::FolderMissing, text);
        }
        Some(2) => Class::Usage,
        Some(4 | 6 | 7) => Class::Protocol,
        Some(8) => Class::Full,
        _ => Class::Transient,
    };
    match line.is_empty() || code.is_none() {
        true => Fault::new(class, ended(status)),
        false => fault(&line, class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_two_rclones() {
        for (errors, want, class) in [
            (
                "2026/11/28 17:31:59 Failed to create file system for \"n:x\": didn't find section in config file\n",
                "Failed to create file system for \"n:x\": didn't find section in config file",
                Some(Class::Unsupported),
            ),
            (
                "2026/11/28 17:32:02 CRITICAL: Failed to create file system for \"n:x\": didn't find section in config file (\"n\")",
                "Failed to create file system for \"n:x\": didn't find section in config file (\"n\")",
                Some(Class::Unsupported),
            ),
            (
                "2026/11/28 17:32:01 ERROR : : error listing: x\n2026/11/28 17:32:01 NOTICE: Failed to lsjson with 2 errors: last error was: error in ListJSON: couldn't connect SMB: dial tcp 127.0.0.1:1: connect: connection refused\n",
                "error in ListJSON: couldn't connect SMB: dial tcp 127.0.0.1:1: connect: connection refused",
                Some(Class::Refused),
            ),
            (
                "2026/11/28 17:31:59 NOTICE: Config file \"/c\" not found - using defaults\n",
                "",
                None,
            ),
            (
                "2026/11/28 17:32:33 ERROR : part: Post request rcat error: write /x: no space left on device\n\n",
                "part: Post request rcat error: write /x: no space left on device",
                Some(Class::Full),
            ),
            (
                "googleapi: Error 403: storageQuotaExceeded",
                "googleapi: Error 403: storageQuotaExceeded",
                Some(Class::Full),
            ),
            (
                "open /x: permission denied",
                "open /x: permission denied",
                Some(Class::Auth),
            ),
            (
                "something \u{1b}[31m else",
                "something \\u{1b}[31m else",
                None,
            ),
            ("", "", None),
        ] {
            let got = line(errors.as_bytes());
            if !want.contains('\\') {
                assert_eq!(got, want);
            }
            assert!(!got.contains('\u{1b}'));
            assert_eq!(meaning(&got).map(|(class, _)| class), class, "{got}");
        }
    }
}
