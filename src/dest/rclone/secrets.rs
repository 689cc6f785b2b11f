//! Passwords as rclone wants to read them, codes of a second factor, and secrets among its arguments.

use aes::Aes256Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use ring::hmac;

use crate::base::bytes::base64_url;
use crate::base::error::{Error, Result};
use crate::base::rand;
use crate::base::secret::Secret;

/// The fixed key of `fs/config/obscure/obscure.go`: what it hides is hidden from a glance only.
const KEY: [u8; 32] = [
    0x9c, 0x93, 0x5b, 0x48, 0x73, 0x0a, 0x55, 0x4d, 0x6b, 0xfd, 0x7c, 0x63, 0xc8, 0x86, 0xa9, 0x2b,
    0xd3, 0x90, 0x19, 0x8e, 0xb8, 0x12, 0x8a, 0xfb, 0xf4, 0xde, 0x16, 0x2b, 0x8b, 0x95, 0xf6, 0x38,
];

/// A password as it stands in rclone's configuration: a random start value and AES-256 in counter mode, in base64 of URLs.
pub(super) fn obscure(password: &Secret) -> Result<String> {
    let mut start = [0; 16];
    rand::fill(&mut start)?;
    let cipher = Aes256Enc::new(&Array(KEY));
    let mut counter = u128::from_be_bytes(start);
    let mut out = start.to_vec();
    for piece in password.reveal().as_bytes().chunks(16) {
        let mut block = Array(counter.to_be_bytes());
        cipher.encrypt_block(&mut block);
        out.extend(piece.iter().zip(block).map(|(byte, mask)| byte ^ mask));
        counter = counter.wrapping_add(1);
    }
    Ok(base64_url(&out).trim_end_matches('=').to_owned())
}

/// The code of a second factor at a time (RFC 6238: 30 seconds, SHA-1, six digits) from its key in base32; `None` when it is none.
pub(super) fn code(key: &Secret, unix: u64) -> Option<String> {
    let (mut raw, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for c in key
        .reveal()
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '='))
    {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let digit = alphabet.find(c.to_ascii_uppercase())?;
        held = (held << 5 | u32::try_from(digit).ok()?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            raw.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &raw);
    let tag = hmac::sign(&key, &(unix / 30).to_be_bytes());
    let at = usize::from(tag.as_ref().last()? & 15);
    let four = tag.as_ref().get(at..at + 4)?;
    let number = u32::from_be_bytes(four.try_into().ok()?) & 0x7fff_ffff;
    (!raw.is_empty()).then(|| format!("{:06}", number % 1_000_000))
}

/// The arguments that the person adds with this option. One that holds a secret goes into the environment, where rclone looks for it, too: the list
/// of processes shows arguments to everybody.
pub(super) fn words(
    option: &str,
    given: Vec<String>,
    set: &mut Vec<(String, Secret)>,
) -> Result<Vec<String>> {
    let (mut kept, mut rest) = (Vec::new(), given.into_iter().peekable());
    while let Some(word) = rest.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let name = flag.strip_prefix("--").filter(|name| is_secret(name));
        let next = || rest.next_if(|next| !next.starts_with('-'));
        match name.and_then(|name| Some((name, value.or_else(next)?))) {
            Some((name, value)) => {
                let name = name.to_ascii_uppercase().replace('-', "_");
                set.push((format!("RCLONE_{name}"), Secret::new(value)));
            }
            None => kept.push(word),
        }
    }
    headers(option, kept, set)
}

/// Takes headers that hold a secret, such as `--header 'Authorization: Bearer ...'`, out of the arguments, as [`words`] does with
/// settings that are one.
fn headers(
    option: &str,
    words: Vec<String>,
    set: &mut Vec<(String, Secret)>,
) -> Result<Vec<String>> {
    const FLAGS: [&str; 3] = ["--header", "--header-upload", "--header-download"];
    let mut kept = Vec::new();
    let mut rest = words.into_iter().peekable();
    while let Some(word) = rest.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let value = match FLAGS.contains(&flag) {
            true => value.or_else(|| rest.peek().cloned()),
            false => None,
        };
        let Some(value) = value.filter(|value| is_secret(value)) else {
            kept.push(word);
            continue;
        };
        if word == flag {
            rest.next();
        }
        let name = flag[2..].to_ascii_uppercase().replace('-', "_");
        let name = format!("RCLONE_{name}");
        // rclone takes several from one variable as a list with commas and quotes, but not every rclone does.
        if value.contains([',', '"']) || set.iter().any(|(known, _)| *known == name) {
            let text =
                format!("--{option}: a secret in a header would be seen in the list of processes");
            return Err(Error::usage(text).hint(format!(
                "write it into the environment, {name}, or into rclone's configuration"
            )));
        }
        set.push((name, Secret::new(value)));
    }
    Ok(kept)
}

/// True for the name of a setting of rclone that is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["pass", "secret", "token", "key", "grant", "auth", "cookie"];
    words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_leaves_the_arguments() {
        let told = |given: &[&str]| {
            let mut set = Vec::new();
            let given = given.iter().map(|&word| word.to_owned()).collect();
            let kept = words("rclone-option", given, &mut set);
            kept.map(|kept| {
                let set = set.iter().map(|(name, v)| format!("{name}={}", v.reveal()));
                (kept.join(" "), set.collect::<Vec<_>>().join(";"))
            })
        };
        for (given, kept, set) in [
            (&["--fast-list", "-v"][..], "--fast-list -v", ""),
            (&["--sftp-pass=x"], "", "RCLONE_SFTP_PASS=x"),
            (
                &["--header", "Authorization: Bearer x"],
                "",
                "RCLONE_HEADER=Authorization: Bearer x",
            ),
            (
                &[
                    "-v",
                    "--header-upload=X-Api-Key: k",
                    "--header",
                    "X-Colour: red",
                ],
                "-v --header X-Colour: red",
                "RCLONE_HEADER_UPLOAD=X-Api-Key: k",
            ),
            (
                &[
                    "--header-download",
                    "Cookie: c",
                    "--header=Private-Token: t",
                ],
                "",
                "RCLONE_HEADER_DOWNLOAD=Cookie: c;RCLONE_HEADER=Private-Token: t",
            ),
            (&["--header"], "--header", ""),
        ] {
            let got = told(given).expect("good");
            assert_eq!((got.0.as_str(), got.1.as_str()), (kept, set), "{given:?}");
        }
        for bad in [
            &["--header=Authorization: a", "--header=X-Token: t"][..],
            &["--header=Authorization: Digest username=\"u\", a=b"],
        ] {
            let e = told(bad).expect_err("refused");
            assert_eq!(e.kind().exit_code(), 200);
            assert!(e.to_string().contains("RCLONE_HEADER"), "{e}");
            assert!(!e.to_string().contains("Digest"), "{e}");
        }
    }
    use crate::base::bytes::base64_decode;

    #[test]
    fn published_codes() {
        // RFC 6238, appendix B, the last six digits.
        let key = Secret::new("gezd gnbv gy3t qojq gezd gnbv gy3t qojq".to_owned());
        for (unix, want) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(&key, unix).as_deref(), Some(want));
        }
        for bad in ["", "a1", "GEZ!"] {
            assert!(code(&Secret::new(bad.to_owned()), 0).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_same_password_never_looks_the_same() {
        let password = Secret::new("p\u{e4}ss word of more than sixteen bytes".to_owned());
        let first = obscure(&password).expect("random");
        assert_ne!(first, obscure(&password).expect("random"));
        assert!(
            first
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        let len = base64_decode(first.replace('-', "+").replace('_', "/").as_bytes());
        let padded = len.map_or(0, |raw| raw.len());
        assert!(padded == 0 || padded == 16 + password.reveal().len());
    }
}
