//! What this program does when `ssh` starts it: says the password, or which keys of a host are pinned. Nothing secret is among its
//! arguments or in its environment: those only say where in memory the answer lies.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use super::pins::{Pin, fingerprint};
use crate::base::secret::wipe;

/// Variable with the path of the answer to a question for a password or passphrase.
pub(super) const ANSWER: &str = "DUPLET_SSH_ANSWER";
/// Variable with the path of the file that takes what was asked about a host key.
pub(super) const REPORT: &str = "DUPLET_SSH_REPORT";

/// What is reported of a passphrase that is asked for once more, and of one that there is none for.
const WRONG: &str = "passphrase wrong";
const WANTED: &str = "passphrase wanted";

/// What the helper was asked last, as far as it matters.
pub(super) struct Report {
    /// Fingerprint of the key that the server has shown.
    pub(super) key: Option<String>,
    /// A passphrase that the private key has not got.
    pub(super) passphrase: Option<Passphrase>,
}

/// Why a private key stays shut.
#[derive(Clone, Copy)]
pub(super) enum Passphrase {
    /// The one it got was none of its.
    Wrong,
    /// There was none to give.
    Wanted,
}

impl Report {
    /// From what the helper has written.
    pub(super) fn read(text: &str) -> Report {
        let key = text.split_whitespace().find(|w| w.starts_with("SHA256:"));
        Report {
            // It may end a sentence.
            key: key.map(|word| word.trim_end_matches('.').to_owned()),
            passphrase: match text.trim() {
                WRONG => Some(Passphrase::Wrong),
                WANTED => Some(Passphrase::Wanted),
                _ => None,
            },
        }
    }
}

/// Longest answer.
const ANSWER_MAX: u64 = 64 << 10;

/// What to say and the exit code, when `ssh` has started this program; `None` when it was somebody else.
pub(crate) fn answer(args: &[OsString]) -> Option<(Vec<u8>, u8)> {
    let words: Vec<&str> = args.iter().filter_map(|a| a.to_str()).collect();
    if let ["__hostkey", pins, report, phase, kind, key, host] = words[..] {
        return Some(known_hosts(pins, report, phase, kind, key, host));
    }
    let report = std::env::var(REPORT).ok()?;
    match words[..] {
        [prompt] if args.len() == 1 => Some(password(prompt, &report)),
        _ => None,
    }
}

/// The answer to a prompt of `ssh`.
fn password(prompt: &str, report: &str) -> (Vec<u8>, u8) {
    let nothing = (Vec::new(), 1);
    if !["assword", "assphrase"].iter().any(|w| prompt.contains(w)) {
        // A question about the host's key: its fingerprint is worth knowing, the answer is no.
        write(report, prompt);
        return nothing;
    }
    let is_passphrase = prompt.contains("assphrase");
    let Ok(path) = std::env::var(ANSWER) else {
        if is_passphrase {
            write(report, WANTED);
        }
        return nothing;
    };
    match once(&path) {
        Ok(mut secret) if !secret.is_empty() => {
            secret.push(b'\n');
            (secret, 0)
        }
        _ => {
            if is_passphrase {
                write(report, WRONG);
            }
            nothing
        }
    }
}

/// The answer, which is gone then: asked again, the server did not take it.
fn once(path: &str) -> std::io::Result<Vec<u8>> {
    let mut secret = Vec::new();
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Read::take(&file, ANSWER_MAX).read_to_end(&mut secret)?;
    if let Err(e) = file.set_len(0) {
        wipe(&mut secret);
        return Err(e);
    }
    Ok(secret)
}

/// A line of known hosts for a key that is pinned.
fn known_hosts(
    pins: &str,
    report: &str,
    phase: &str,
    kind: &str,
    key: &str,
    host: &str,
) -> (Vec<u8>, u8) {
    // At first only the order of algorithms is asked for, and there is no key yet.
    let Some(found) = fingerprint(key).filter(|_| phase != "ORDER") else {
        return (Vec::new(), 0);
    };
    write(report, &format!("{kind} {found}\n"));
    let raw = crate::base::bytes::base64_decode(key.as_bytes()).unwrap_or_default();
    let pinned = Pin::all(pins).is_ok_and(|pins| pins.iter().any(|pin| pin.fits(&raw)));
    let line = format!("{host} {kind} {key}\n");
    (
        if pinned {
            line.into_bytes()
        } else {
            Vec::new()
        },
        0,
    )
}

/// Best effort: it is only for a better message.
fn write(report: &str, text: &str) {
    if let Ok(mut file) = File::create(report) {
        let _ = file.write_all(text.as_bytes());
    }
}
