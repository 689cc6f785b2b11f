//! Fingerprints of host keys: what the person gives, and the helper that `ssh` asks for the keys of a host.

use crate::base::bytes;
use crate::base::digest::Algo;
use crate::base::error::{Error, Result};
use crate::base::text;

/// A host key that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    /// The type that was written before it, such as `ssh-ed25519`.
    pub(super) kind: Option<String>,
    hash: Print,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Print {
    /// 32 hexadecimal digits, lower case.
    Md5(String),
    /// Base64 without its padding.
    Sha256(String),
}

impl Pin {
    /// Every pin of a list with commas.
    pub(super) fn all(list: &str) -> Result<Vec<Pin>> {
        let parts = list.split(',').map(str::trim).filter(|p| !p.is_empty());
        let pins = parts.map(|part| {
            Pin::parse(&with_plus(part)).ok_or_else(|| {
                let shown = text::safe_cut(part.as_bytes(), 60);
                Error::usage(format!("--ssh-fingerprint: '{shown}' is no fingerprint")).hint(
                    "write SHA256:... as 'ssh-keygen -lf' shows it, or 'ssh-ed25519 256 aa:bb:...' with 16 bytes as Duplicati does",
                )
            })
        });
        pins.collect()
    }

    /// `[TYPE] [BITS] PRINT`; of Duplicati or of `ssh-keygen -l`, which writes the type last in brackets.
    fn parse(text: &str) -> Option<Pin> {
        let mut kind = None;
        let mut hash = None;
        for word in text.split_whitespace() {
            if let Some(found) = Print::parse(word) {
                if hash.replace(found).is_some() {
                    return None;
                }
            } else if word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.contains('-') {
                kind = Some(word.to_ascii_lowercase());
            } else if hash.is_none() && !word.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
        }
        Some(Pin { kind, hash: hash? })
    }

    /// True for the key with these bytes.
    pub(super) fn fits(&self, key: &[u8]) -> bool {
        match &self.hash {
            Print::Md5(hex) => *hex == bytes::hex(Algo::Md5.hash(key).as_bytes()),
            Print::Sha256(base64) => *base64 == sha256(key),
        }
    }

    /// As one word, for a command line of `ssh` and for [`Pin::all`].
    pub(super) fn word(&self) -> String {
        match &self.hash {
            Print::Md5(hex) => hex.clone(),
            Print::Sha256(base64) => format!("SHA256:{base64}"),
        }
    }

    /// The algorithms of host keys to ask the server for, where the type is known: it has several keys, perhaps.
    pub(super) fn algorithms(pins: &[Pin]) -> Option<String> {
        let mut all = Vec::new();
        for pin in pins {
            let kind = pin.kind.as_deref()?;
            let names = match kind {
                _ if kind.starts_with("rsa-") || kind == "ssh-rsa" => {
                    "rsa-sha2-512,rsa-sha2-256,ssh-rsa"
                }
                kind => kind,
            };
            all.push(names);
        }
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ',' | '@' | '.' | '_');
        let list = all.join(",");
        (!list.is_empty() && list.chars().all(good)).then_some(list)
    }
}

impl Print {
    fn parse(word: &str) -> Option<Print> {
        let lower = word.to_ascii_lowercase();
        if lower.starts_with("sha256:") {
            let base64 = word.get(7..)?.trim_end_matches('=');
            let whole = bytes::base64_decode(format!("{base64}=").as_bytes())?;
            return (whole.len() == 32).then(|| Print::Sha256(base64.to_owned()));
        }
        let hex: String = lower.trim_start_matches("md5:").split([':', '-']).collect();
        let good = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        good.then_some(Print::Md5(hex))
    }
}

/// A bare `+` of a URL has come as a blank: among the 43 characters of a SHA-256 it is one again.
fn with_plus(text: &str) -> String {
    let Some(at) = text.to_ascii_lowercase().find("sha256:").map(|at| at + 7) else {
        return text.to_owned();
    };
    let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'+' | b'/');
    match text.get(at..at + 43) {
        Some(base64) if base64.bytes().all(digit) => {
            text.replacen(base64, &base64.replace(' ', "+"), 1)
        }
        _ => text.to_owned(),
    }
}

/// SHA-256 of a key as OpenSSH writes it, without the word in front.
fn sha256(key: &[u8]) -> String {
    let base64 = bytes::base64(Algo::Sha256.hash(key).as_bytes());
    base64.trim_end_matches('=').to_owned()
}

/// The fingerprint of a key in base64, as a pin is written.
pub(super) fn fingerprint(key: &str) -> Option<String> {
    let raw = bytes::base64_decode(key.as_bytes())?;
    Some(format!("SHA256:{}", sha256(&raw)))
}

/// Of lines `HOST TYPE KEY` as known_hosts files have them, those whose key is pinned, and whether others were there, too.
pub(super) fn pinned(lines: &str, pins: &[Pin]) -> (String, bool) {
    let (mut kept, mut others) = (String::new(), false);
    for line in lines.lines().filter(|l| !l.starts_with(['#', '|', '@'])) {
        let Some(key) = line.split_whitespace().nth(2) else {
            continue;
        };
        let raw = bytes::base64_decode(key.as_bytes()).unwrap_or_default();
        if pins.iter().any(|pin| pin.fits(&raw)) {
            kept.push_str(line);
            kept.push('\n');
        } else {
            others = true;
        }
    }
    (kept, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIH55lhFM8HTFGnQvKzPXS9LTmrKRfZTrR6/BSjMdFgnz";

    fn raw() -> Vec<u8> {
        bytes::base64_decode(KEY.as_bytes()).expect("base64")
    }

    #[test]
    fn pins_are_read_in_every_spelling() {
        let hex = bytes::hex(Algo::Md5.hash(&raw()).as_bytes());
        let colons: Vec<&str> = hex
            .as_bytes()
            .chunks(2)
            .map(|c| std::str::from_utf8(c).expect("hex"))
            .collect();
        let colons = colons.join(":");
        let sha = fingerprint(KEY).expect("a key");
        for text in [
            format!("ssh-ed25519 256 {colons}"),
            format!("ssh-ed25519 256 {}", colons.to_uppercase()),
            format!("SSH-ED25519 255 md5:{colons}"),
            format!("MD5:{colons}"),
            colons.replace(':', "-"),
            hex.clone(),
            sha.clone(),
            format!("ssh-ed25519 {sha}"),
            format!("256 {sha} me@host (ED25519)"),
            format!("{sha}="),
            format!("sha256:{}", &sha[7..]),
        ] {
            let pins = Pin::all(&text).expect(&text);
            assert!(pins.len() == 1 && pins[0].fits(&raw()), "{text}");
            assert!(!pins[0].fits(b"another"), "{text}");
            assert_eq!(
                Pin::all(&pins[0].word()).expect("a word")[0].hash,
                pins[0].hash
            );
        }
        // As a URL with a bare plus gives it.
        let plus = format!("SHA256:{}A", "+a+B/k".repeat(7));
        for text in [
            plus.clone(),
            plus.replace('+', " "),
            format!("256 {} (ED25519)", plus.replace('+', " ")),
        ] {
            let pins = Pin::all(&text).expect(&text);
            assert_eq!(pins[0].word(), plus, "{text}");
        }
        let both = Pin::all(&format!(" {sha} , ssh-rsa 2048 {colons},")).expect("two");
        assert_eq!(both.len(), 2);
        assert!(Pin::all("").expect("none").is_empty());
        for bad in [
            "x",
            "ssh-rsa 2048",
            "SHA256:abc",
            "aa:bb",
            "ssh-rsa x y",
            &format!("{sha} {hex}"),
        ] {
            assert!(Pin::all(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_type_says_which_key_to_ask_for() {
        let hex = "00112233445566778899aabbccddeeff";
        for (text, want) in [
            (
                format!("ssh-rsa 2048 {hex}"),
                Some("rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
            ),
            (
                format!("rsa-sha2-256 2048 {hex}"),
                Some("rsa-sha2-512,rsa-sha2-256,ssh-rsa"),
            ),
            (format!("ssh-ed25519 256 {hex}"), Some("ssh-ed25519")),
            (
                format!("ssh-ed25519 256 {hex},ecdsa-sha2-nistp256 256 {hex}"),
                Some("ssh-ed25519,ecdsa-sha2-nistp256"),
            ),
            (format!("ssh-ed25519 256 {hex},{hex}"), None),
            (hex.to_owned(), None),
            (format!("x-y;z {hex}"), None),
        ] {
            let pins = Pin::all(&text).expect(&text);
            assert_eq!(Pin::algorithms(&pins).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn lines_of_known_hosts_are_kept_when_they_are_pinned() {
        let pins = Pin::all(&fingerprint(KEY).expect("a key")).expect("good");
        let other = KEY.replace("H55", "H56");
        let lines = format!(
            "# c\n|1|x|y ssh-ed25519 {KEY}\nh ssh-ed25519 {KEY} me\nh ssh-ed25519 {other}\nh\n"
        );
        let (kept, others) = pinned(&lines, &pins);
        assert_eq!(
            (kept.as_str(), others),
            (&*format!("h ssh-ed25519 {KEY} me\n"), true)
        );
        assert_eq!(pinned("", &pins), (String::new(), false));
    }
}
