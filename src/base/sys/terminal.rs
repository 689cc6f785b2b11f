//! A secret typed at the terminal, not shown while it is typed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use super::signal::{Waited, wait};
use crate::base::error::{Error, Kind};
use crate::base::secret::wipe;

/// Longest line taken, in bytes.
const MAX: usize = 4096;

/// Asks on `/dev/tty` and reads one line without echo; `None` when the process has no terminal. The line end is not part of it.
///
/// The terminal is put right again in every case but an uncatchable kill. A stop signal (when its handler is installed) is
/// our error of kind `Interrupted`, the end of input without any text `UnexpectedEof`. The caller wipes the bytes.
pub(crate) fn read_secret_line(prompt: &str) -> io::Result<Option<Vec<u8>>> {
    let tty = match OpenOptions::new().read(true).write(true).open("/dev/tty") {
        Ok(tty) => tty,
        Err(_) => return Ok(None),
    };
    read_from(&tty, prompt)
}

fn read_from(mut tty: &File, prompt: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(_hidden) = Hidden::start(tty.as_raw_fd())? else {
        return Ok(None);
    };
    tty.write_all(prompt.as_bytes())?;
    let mut line = Vec::with_capacity(MAX);
    let done = read_line(tty, &mut line);
    // The line end that was typed has not been shown.
    let shown = tty.write_all(b"\n");
    match done.and(shown) {
        Ok(()) => Ok(Some(line)),
        Err(e) => {
            wipe(&mut line);
            Err(e)
        }
    }
}

fn read_line(mut tty: &File, line: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = [0];
    loop {
        match wait(Some(tty.as_raw_fd()), None)? {
            Waited::Stopped => {
                return Err(Error::new(Kind::Interrupted, "stopped").into());
            }
            Waited::Other => continue,
            Waited::Ready => {}
        }
        match tty.read(&mut byte) {
            Ok(0) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return Ok(()),
            Ok(_) if byte[0] == b'\n' => return Ok(()),
            Ok(_) if line.len() == MAX => {
                return Err(io::Error::from_raw_os_error(libc::E2BIG));
            }
            Ok(_) => line.push(byte[0]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        wipe(&mut byte);
    }
}

/// Columns of the terminal behind a stream; `None` when it is none, or does not say.
pub(crate) fn terminal_width(stream: &impl AsRawFd) -> Option<usize> {
    // SAFETY: winsize is plain data, valid for the call, which fills it or fails.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        if libc::ioctl(stream.as_raw_fd(), libc::TIOCGWINSZ, &mut size) != 0 {
            return None;
        }
        size
    };
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// While it lives the terminal does not echo, and the keys that would suspend or dump the process do nothing.
struct Hidden {
    fd: RawFd,
    before: libc::termios,
}

impl Hidden {
    /// `None` when `fd` is no terminal.
    fn start(fd: RawFd) -> io::Result<Option<Hidden>> {
        // SAFETY: termios is plain data, valid for both calls.
        unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            if libc::tcgetattr(fd, &mut before) != 0 {
                return Ok(None);
            }
            let mut quiet = before;
            quiet.c_lflag &= !(libc::ECHO | libc::ECHONL);
            quiet.c_lflag |= libc::ICANON;
            quiet.c_cc[libc::VSUSP] = libc::_POSIX_VDISABLE;
            quiet.c_cc[libc::VQUIT] = libc::_POSIX_VDISABLE;
            super::check(libc::tcsetattr(fd, libc::TCSAFLUSH, &quiet))?;
            Ok(Some(Hidden { fd, before }))
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: `before` is what tcgetattr gave. A failure leaves nothing else to try.
        unsafe {
            libc::tcsetattr(self.fd, libc::TCSAFLUSH, &self.before);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::os::fd::FromRawFd;

    fn terminal() -> (File, File) {
        let (mut master, mut slave) = (-1, -1);
        // SAFETY: openpty fills both descriptors, which the two files then own.
        unsafe {
            let null = std::ptr::null_mut();
            let done = libc::openpty(&mut master, &mut slave, null, null.cast(), null.cast());
            assert_eq!(done, 0);
            (File::from_raw_fd(master), File::from_raw_fd(slave))
        }
    }

    fn echoes(tty: &File) -> bool {
        // SAFETY: termios is plain data, valid for the call.
        unsafe {
            let mut now: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(tty.as_raw_fd(), &mut now), 0);
            now.c_lflag & libc::ECHO != 0
        }
    }

    #[test]
    fn a_terminal_says_its_width_and_a_file_none() {
        let (_master, slave) = terminal();
        let size = libc::winsize {
            ws_row: 20,
            ws_col: 50,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the descriptor is open and the size outlives the call.
        let done = unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(done, 0);
        assert_eq!(terminal_width(&slave), Some(50));
        let file = File::open("/dev/null").unwrap();
        assert_eq!(terminal_width(&file), None);
    }

    #[test]
    fn the_line_is_read_and_never_echoed() {
        let (mut master, slave) = terminal();
        assert!(echoes(&slave));
        let hidden = Hidden::start(slave.as_raw_fd()).unwrap().unwrap();
        assert!(!echoes(&slave));
        master
            .write_all("gehe\u{ef}m 1\nrest\n\x04".as_bytes())
            .unwrap();
        let mut line = Vec::new();
        read_line(&slave, &mut line).unwrap();
        assert_eq!(line, "gehe\u{ef}m 1".as_bytes());
        line.clear();
        read_line(&slave, &mut line).unwrap();
        assert_eq!(line, b"rest");
        line.clear();
        let e = read_line(&slave, &mut line).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::UnexpectedEof);
        drop(hidden);
        assert!(echoes(&slave));
        (&slave).write_all(b"end").unwrap();
        let mut seen = [0; 64];
        let n = master.read(&mut seen).unwrap();
        assert_eq!(&seen[..n], b"end");
    }

    #[test]
    fn a_file_is_no_terminal() {
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        assert!(read_from(&null, "x").unwrap().is_none());
    }
}
