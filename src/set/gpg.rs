//! `.gpg` volumes through the `gpg` program (`format.md` 4). Nothing of ours waits on a pipe: ciphertext, plaintext, status
//! and messages are files, only the passphrase goes through standard input.
//!
//! gpg also passes on what nobody encrypted: text that is only packed or signed comes out with exit code 0. What counts is its
//! status, in a file of its own, where no message can pose as one.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::tmp::{Spool, Tmp};

/// Longest status that is read, bytes; it has some twenty lines.
const STATUS_BYTES: u64 = 64 << 10;

/// Decrypts `from` (read from its start) into a new spool, rewound. With `by_passphrase` a key pair is no way in: anybody can
/// encrypt to a public key.
///
/// Where something is wrong, the error that says so stands beside whatever the program put out: that is to be believed only
/// where something else proves it. `Err` when the program cannot be run.
pub(crate) fn decrypt(
    program: &str,
    from: &Spool,
    passphrase: Option<&Secret>,
    by_passphrase: bool,
    tmp: &Tmp,
) -> Result<(Spool, Option<Error>)> {
    let mut plain = Spool::new(tmp)?;
    let mut messages = Spool::new(tmp)?;
    let mut status_lines = Spool::new(tmp)?;
    let of_ours = |spool: &Spool| {
        format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            spool.file().as_raw_fd()
        )
    };
    let file = |spool: &Spool| {
        spool
            .file()
            .try_clone()
            .map(Stdio::from)
            .doing(|| "copy a file handle".to_owned())
    };
    let mut child = Command::new(program)
        .env_remove("PASSPHRASE")
        .env_remove("NEW_PASSPHRASE")
        // What it says is looked at below.
        .env("LC_ALL", "C")
        .args([
            "--batch",
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
            "--passphrase-fd",
            "0",
            "--status-file",
        ])
        .arg(of_ours(&status_lines))
        .arg("--decrypt")
        .arg(of_ours(from))
        .stdin(Stdio::piped())
        .stdout(file(&plain)?)
        .stderr(file(&messages)?)
        .spawn()
        .map_err(|e| {
            Error::new(
                Kind::Unsupported,
                format!(
                    "the program {} cannot be run: {e}",
                    text::safe(program.as_bytes())
                ),
            )
            .hint("install gpg, or name it with --gpg-program-path")
        })?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its passphrase closes the pipe; its exit status tells more than that error.
        let sent = passphrase
            .map_or(Ok(()), |p| pipe.write_all(p.reveal().as_bytes()))
            .and_then(|()| pipe.write_all(b"\n"));
        drop((sent, pipe));
    }
    let status = child.wait().doing(|| "wait for gpg".to_owned())?;
    plain.rewind()?;
    if status.success() {
        let why = refusal(&head(&mut status_lines, STATUS_BYTES)?, by_passphrase);
        return Ok((plain, why.map(Error::damaged)));
    }
    let said = head(&mut messages, 4096)?;
    let last = said
        .split(|&b| b == b'\n')
        .rfind(|l| !l.is_empty())
        .unwrap_or(b"no message");
    let said_text = text::safe_cut(last, 200);
    let wrong = String::from_utf8_lossy(&said).to_ascii_lowercase();
    let kind = if wrong.contains("bad session key")
        || wrong.contains("bad passphrase")
        || wrong.contains("no secret key")
    {
        Kind::Passphrase
    } else {
        Kind::Damaged
    };
    let flaw = Error::new(kind, format!("gpg could not decrypt it: {said_text}"));
    Ok((plain, Some(flaw)))
}

fn head(spool: &mut Spool, most: u64) -> Result<Vec<u8>> {
    spool.rewind()?;
    let mut said = Vec::new();
    Read::by_ref(spool)
        .take(most)
        .read_to_end(&mut said)
        .doing(|| "read what gpg said".to_owned())?;
    Ok(said)
}

/// Why what came out is not to be believed, by the status lines of a gpg that succeeded.
fn refusal(status: &[u8], by_passphrase: bool) -> Option<&'static str> {
    let mut decrypting = false;
    let (mut texts, mut decrypted, mut to_key) = (0u32, false, false);
    for line in status.split(|&b| b == b'\n') {
        let Some(rest) = line.strip_prefix(b"[GNUPG:] ") else {
            continue;
        };
        match rest.split(|&b| b == b' ').next().unwrap_or_default() {
            b"BEGIN_DECRYPTION" => decrypting = true,
            b"END_DECRYPTION" => decrypting = false,
            b"PLAINTEXT" if !decrypting => {
                return Some("gpg passed on text in it that is not encrypted");
            }
            b"PLAINTEXT" => texts += 1,
            b"DECRYPTION_OKAY" => decrypted = true,
            b"ENC_TO" => to_key = true,
            b"DECRYPTION_FAILED" | b"BADMDC" => {
                return Some("gpg says that it was changed after it was encrypted");
            }
            b"BADSIG" | b"ERRSIG" => return Some("gpg says that its signature is not valid"),
            _ => {}
        }
    }
    if !decrypted || texts != 1 {
        return Some("gpg does not say that it was encrypted");
    }
    (to_key && by_passphrase)
        .then_some("it is encrypted to a key, which anybody can do; the backup has a passphrase")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const GOOD: &str = "NEED_PASSPHRASE_SYM 9 3 2\nBEGIN_DECRYPTION\nDECRYPTION_INFO 2 9\nPLAINTEXT 62 1 x\nPLAINTEXT_LENGTH 3\n\
                        DECRYPTION_OKAY\nGOODMDC\nEND_DECRYPTION";

    #[test]
    fn only_what_was_decrypted_and_is_intact_counts() {
        let lines = |text: &str| {
            let lines = text.lines().map(|l| format!("[GNUPG:] {l}\n"));
            lines.collect::<String>().into_bytes()
        };
        assert_eq!(refusal(&lines(GOOD), true), None);
        let signed = GOOD.replace("GOODMDC", "GOODMDC\nGOODSIG 1 someone\nVALIDSIG 2");
        assert_eq!(refusal(&lines(&signed), true), None);
        let keyed = format!("ENC_TO 1 1 0\n{GOOD}");
        assert_eq!(refusal(&lines(&keyed), false), None);
        for bad in [
            String::new(),
            "PLAINTEXT 62 1 x\nPLAINTEXT_LENGTH 3".to_owned(),
            "NEWSIG\nPLAINTEXT 62 1 x\nGOODSIG 1 someone".to_owned(),
            format!("{GOOD}\nPLAINTEXT 62 1 x"),
            format!("PLAINTEXT 62 1 x\n{GOOD}"),
            GOOD.replace("DECRYPTION_OKAY", "x"),
            GOOD.replace("PLAINTEXT 62", "x"),
            GOOD.replace("GOODMDC", "BADMDC"),
            GOOD.replace("DECRYPTION_OKAY", "DECRYPTION_FAILED"),
            GOOD.replace("GOODMDC", "GOODMDC\nBADSIG 1 someone"),
            GOOD.replace("GOODMDC", "GOODMDC\nERRSIG 1 1 8 00 0 9"),
            GOOD.replace("PLAINTEXT 62", "PLAINTEXT 62 1 y\nPLAINTEXT 62"),
            keyed,
        ] {
            assert!(refusal(&lines(&bad), true).is_some(), "{bad}");
        }
        // What a message says is no status.
        let posing = GOOD.replace("DECRYPTION_OKAY", "x") + "\ngpg: [GNUPG:] DECRYPTION_OKAY";
        assert!(refusal(&lines(&posing), true).is_some());
        assert!(refusal(GOOD.as_bytes(), true).is_some());
    }

    /// A program that speaks another language unless it is asked not to.
    const TRANSLATED: &str = "#!/bin/sh
case \"$LC_ALL\" in
    C) echo 'gpg: decryption failed: Bad session key' >&2 ;;
    *) echo 'gpg: Entschl\u{fc}sselung fehlgeschlagen' >&2 ;;
esac
exit 2
";

    #[test]
    fn a_wrong_passphrase_is_told_from_damage_in_every_language() {
        let name = format!(
            "duplet-gpg-{}",
            crate::base::rand::hex::<8>().expect("random")
        );
        let program = std::env::temp_dir().join(name);
        std::fs::write(&program, TRANSLATED).expect("write");
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&program, mode).expect("mode");
        let tmp = Tmp::open(None).expect("tmp");
        let from = Spool::new(&tmp).expect("spool");
        let text = program.to_str().expect("text");
        // Another test may just be starting a program and hold this one open for writing.
        let error = (0..100)
            .filter_map(|_| match decrypt(text, &from, None, false, &tmp) {
                Ok((_, flaw)) => flaw,
                Err(e) => Some(e),
            })
            .find(|e| e.kind() != Kind::Unsupported);
        std::fs::remove_file(&program).expect("remove");
        assert_eq!(error.expect("refused").kind(), Kind::Passphrase);
    }
}
