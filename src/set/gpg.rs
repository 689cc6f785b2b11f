//! `.gpg` volumes through the `gpg` program (`format.md` 4). Nothing of ours waits on a pipe: ciphertext, plaintext and
//! messages are files, only the passphrase goes through standard input.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::tmp::{Spool, Tmp};

/// Decrypts `from` (read from its start) into a new spool, rewound.
pub(crate) fn decrypt(
    program: &str,
    from: &Spool,
    passphrase: Option<&Secret>,
    tmp: &Tmp,
) -> Result<Spool> {
    let mut plain = Spool::new(tmp)?;
    let mut messages = Spool::new(tmp)?;
    let file = |spool: &Spool| {
        spool
            .file()
            .try_clone()
            .map(Stdio::from)
            .doing(|| "copy a file handle".to_owned())
    };
    let source = format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        from.file().as_raw_fd()
    );
    let mut child = Command::new(program)
        .env_remove("PASSPHRASE")
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
            "--decrypt",
        ])
        .arg(source)
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
    if status.success() {
        plain.rewind()?;
        return Ok(plain);
    }
    messages.rewind()?;
    let mut said = Vec::new();
    Read::by_ref(&mut messages)
        .take(4096)
        .read_to_end(&mut said)
        .doing(|| "read what gpg said".to_owned())?;
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
    Err(Error::new(
        kind,
        format!("gpg could not decrypt it: {said_text}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
            .filter_map(|_| decrypt(text, &from, None, &tmp).err())
            .find(|e| e.kind() != Kind::Unsupported);
        std::fs::remove_file(&program).expect("remove");
        assert_eq!(error.expect("refused").kind(), Kind::Passphrase);
    }
}
