//! Secrets taken out of the process's own command line, so that `ps` does not show them to other users.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use crate::base::secret::wipe;

/// Larger argument areas than any kernel passes are not looked at.
const MAX: usize = 8 << 20;

/// Overwrites with `*` the bytes from the returned offset to the end of every argument for which `is_secret` answers one.
///
/// Best effort: where `/proc` is missing or closed nothing happens. Call it after the arguments were copied; from then on
/// `std::env::args` shows the stars too.
pub(crate) fn wipe_arguments(is_secret: &mut dyn FnMut(&[u8]) -> Option<usize>) {
    // Nothing to tell: the run is as good without it.
    let _ = try_wipe(is_secret);
}

fn try_wipe(is_secret: &mut dyn FnMut(&[u8]) -> Option<usize>) -> io::Result<()> {
    let stat = std::fs::read("/proc/self/stat")?;
    let Some((start, len)) = argument_area(&stat) else {
        return Ok(());
    };
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    let mut area = vec![0; len];
    let done = memory
        .read_exact_at(&mut area, start)
        .and_then(|()| overwrite(&memory, start, &area, is_secret));
    wipe(&mut area);
    done
}

fn overwrite(
    memory: &File,
    start: u64,
    area: &[u8],
    is_secret: &mut dyn FnMut(&[u8]) -> Option<usize>,
) -> io::Result<()> {
    let mut at = start;
    for argument in area.split(|&b| b == 0) {
        if let Some(from) = is_secret(argument) {
            let from = from.min(argument.len());
            let stars = vec![b'*'; argument.len() - from];
            memory.write_all_at(&stars, at + from as u64)?;
        }
        at += argument.len() as u64 + 1;
    }
    Ok(())
}

/// Address and length of the arguments: fields 48 and 49 of `/proc/self/stat`, counted after the command's closing bracket.
fn argument_area(stat: &[u8]) -> Option<(u64, usize)> {
    let after = stat.iter().rposition(|&b| b == b')')? + 1;
    let text = std::str::from_utf8(&stat[after..]).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(48 - 3);
    let start: u64 = fields.next()?.parse().ok()?;
    let end: u64 = fields.next()?.parse().ok()?;
    let len = usize::try_from(end.checked_sub(start)?).ok()?;
    (start > 0 && len > 0 && len <= MAX).then_some((start, len))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::io::Write;
    use std::process::Command;

    #[test]
    fn the_area_is_found_whatever_the_command_is_called() {
        let fields = |start: &str, end: &str| {
            let middle = "0 ".repeat(44);
            format!("42 (a) b) S {middle}{start} {end} 7 8 0\n").into_bytes()
        };
        for (stat, want) in [
            (fields("4096", "4200"), Some((4096, 104))),
            (fields("0", "0"), None),
            (fields("4200", "4096"), None),
            (fields("4096", "4096"), None),
            (fields("1", "18446744073709551615"), None),
            (fields("x", "4200"), None),
            (b"42 (a".to_vec(), None),
            (b"42 (a) S 1 2".to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(argument_area(&stat), want);
        }
    }

    const ROLE: &str = "DUPLET_TEST_ARGUMENTS_CHILD";

    /// The child is this test again, started with secrets on its command line; it shows what `/proc` says of it afterwards.
    #[test]
    fn secrets_leave_the_command_line() {
        if std::env::var_os(ROLE).is_some() {
            wipe_arguments(&mut |argument| {
                let at = b"--passphrase=".len();
                argument.starts_with(b"--passphrase=").then_some(at)
            });
            let shown = std::fs::read("/proc/self/cmdline").unwrap();
            let mut out = std::io::stdout();
            writeln!(out, "\nCMDLINE {}", shown.escape_ascii()).unwrap();
            return;
        }
        let out = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "base::sys::arguments::tests::secrets_leave_the_command_line",
                "--nocapture",
                "--",
                "--passphrase=hunter2",
                "plain",
                "--passphrase=",
            ])
            .env(ROLE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{text}");
        let line = text.lines().find(|l| l.starts_with("CMDLINE ")).unwrap();
        assert!(
            line.ends_with("\\x00--passphrase=*******\\x00plain\\x00--passphrase=\\x00"),
            "{line}"
        );
    }
}
