//! A child process that is talked to over its standard input and output, and that never outlives this program.
//!
//! It leads a session of its own: keys typed at the terminal do not reach it, and it cannot ask there. It is killed, with all it
//! started, when it is dropped; when this program is killed the system kills it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::check;

/// Bytes read from the child at once.
const PIECE: usize = 64 << 10;
/// Time for a child to end by itself once its input is closed.
const GRACE: Duration = Duration::from_secs(2);

/// A running child and the three pipes to it.
pub(crate) struct Piped {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    ended: Option<ExitStatus>,
}

/// What one [`Piped::exchange`] moved.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Bytes that the child was given.
    pub(crate) written: usize,
    /// Bytes that came from its standard output and standard error.
    pub(crate) read: usize,
    /// Its standard output has come to its end: nothing more will be read.
    pub(crate) output_ended: bool,
    /// The same of its standard error.
    pub(crate) errors_ended: bool,
    /// It takes no more input.
    pub(crate) input_ended: bool,
}

/// Why a program did not start: one that is in no folder of `path` is missing, also where a folder there may not be entered, for
/// which the system says that the right is missing.
fn why_not(e: io::Error, program: &str, path: &OsStr) -> io::Error {
    let is_there = || std::env::split_paths(path).any(|folder| folder.join(program).is_file());
    match e.kind() == io::ErrorKind::PermissionDenied && !program.contains('/') && !is_there() {
        true => io::Error::from_raw_os_error(libc::ENOENT),
        false => e,
    }
}

impl Piped {
    /// Starts a program with its arguments. `unset` says which variables of this program's environment it does not get; `set`
    /// are further ones.
    pub(crate) fn start(
        words: &[String],
        set: &[(&str, String)],
        unset: &dyn Fn(&str) -> bool,
    ) -> io::Result<Piped> {
        Piped::start_with(words, set, unset, Stdio::piped())
    }

    /// As [`Piped::start`] for a child of which only the output is read: what it says on standard error is shown as it comes.
    pub(crate) fn start_loud(words: &[String], unset: &dyn Fn(&str) -> bool) -> io::Result<Piped> {
        let mut piped = Piped::start_with(words, &[], unset, Stdio::inherit())?;
        piped.close_input();
        Ok(piped)
    }

    fn start_with(
        words: &[String],
        set: &[(&str, String)],
        unset: &dyn Fn(&str) -> bool,
        errors: Stdio,
    ) -> io::Result<Piped> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        for (name, _) in std::env::vars_os() {
            if unset(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command.envs(set.iter().map(|(name, value)| (name, OsStr::new(value))));
        let parent = std::process::id();
        // SAFETY: the closure calls nothing but system calls, which are async-signal-safe, and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                check(libc::setsid())?;
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
                // Had the parent ended before, no signal would come any more.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut child = command.spawn().map_err(|e| why_not(e, program, &path))?;
        let (input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let piped = Piped {
            child,
            input,
            output,
            errors,
            ended: None,
        };
        let fds = [
            piped.input.as_ref().map(AsRawFd::as_raw_fd),
            piped.output.as_ref().map(AsRawFd::as_raw_fd),
            piped.errors.as_ref().map(AsRawFd::as_raw_fd),
        ];
        for fd in fds.into_iter().flatten() {
            never_wait(fd)?;
        }
        Ok(piped)
    }

    /// Waits until the child takes some of `out`, says something, or `limit` is over, and moves what can be moved: all that is
    /// read is appended to `output` (nothing while that holds `room` bytes or more) and `errors`. Nothing moved and nothing
    /// ended: the time is over, or a signal came. Where nothing is left to wait for, it returns at once.
    pub(crate) fn exchange(
        &mut self,
        out: &[u8],
        output: &mut Vec<u8>,
        room: usize,
        errors: &mut Vec<u8>,
        limit: Duration,
    ) -> io::Result<Moved> {
        let wanted =
            |open: Option<RawFd>, wanted: bool| if wanted { open.unwrap_or(-1) } else { -1 };
        let mut watched = [
            (
                wanted(self.input.as_ref().map(AsRawFd::as_raw_fd), !out.is_empty()),
                libc::POLLOUT,
            ),
            (
                wanted(
                    self.output.as_ref().map(AsRawFd::as_raw_fd),
                    output.len() < room,
                ),
                libc::POLLIN,
            ),
            (
                wanted(self.errors.as_ref().map(AsRawFd::as_raw_fd), true),
                libc::POLLIN,
            ),
        ]
        .map(|(fd, events)| libc::pollfd {
            fd,
            events,
            revents: 0,
        });
        let mut moved = Moved {
            output_ended: self.output.is_none(),
            errors_ended: self.errors.is_none(),
            input_ended: self.input.is_none(),
            ..Moved::default()
        };
        if watched.iter().all(|w| w.fd == -1) {
            return Ok(moved);
        }
        let millis = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the array is valid for the call and as long as said.
        let ready = check(unsafe { libc::poll(watched.as_mut_ptr(), 3, millis) });
        match ready {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(moved),
            Err(e) => return Err(e),
            Ok(_) => {}
        }
        if watched[0].revents != 0
            && let Some(input) = &mut self.input
        {
            match input.write(out) {
                Ok(n) => moved.written = n,
                Err(e) if must_wait(&e) => {}
                Err(_) => {
                    self.input = None;
                    moved.input_ended = true;
                }
            }
        }
        if watched[1].revents != 0
            && let Some(n) = take(&mut self.output, output)
        {
            moved.read += n;
            moved.output_ended = self.output.is_none();
        }
        if watched[2].revents != 0
            && let Some(n) = take(&mut self.errors, errors)
        {
            moved.read += n;
            moved.errors_ended = self.errors.is_none();
        }
        Ok(moved)
    }

    /// The number of its process, which stays its own until it was waited for.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The descriptor of the pipe to the child's input, or of that from its output, while it is open.
    #[cfg(feature = "dest-ssh")]
    pub(crate) fn fd(&self, input: bool) -> Option<RawFd> {
        match input {
            true => self.input.as_ref().map(AsRawFd::as_raw_fd),
            false => self.output.as_ref().map(AsRawFd::as_raw_fd),
        }
    }

    /// Closes the pipe to the child's input: most programs end then.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// How the child ended, if it did so within `time`.
    pub(crate) fn wait(&mut self, time: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if self.ended.is_none() && self.has_ended() {
                self.kill();
            }
            if self.ended.is_some() || begun.elapsed() >= time {
                return self.ended;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// True when the process is over. It keeps its number until it is reaped.
    fn has_ended(&self) -> bool {
        // SAFETY: siginfo is plain data, valid for the call; with WNOWAIT the child is only looked at.
        unsafe {
            let mut found: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            let result = libc::waitid(libc::P_PID, self.child.id(), &mut found, flags);
            result != 0 || found.si_signo == libc::SIGCHLD
        }
    }

    /// How the child ended, if it did. What it started and left running goes on.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() && self.has_ended() {
            self.ended = self.child.wait().ok();
        }
        self.ended
    }

    /// Kills the child with all that it started in its session's group, and reaps it.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Ok(group) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: the child has not been reaped, so that the number is that of its group.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        (self.input, self.output) = (None, None);
        if !super::ends_now() {
            self.wait(GRACE);
        }
        self.kill();
    }
}

/// Reads what is there; at its end the pipe is closed. `None` when there is nothing yet.
fn take<T: Read>(pipe: &mut Option<T>, into: &mut Vec<u8>) -> Option<usize> {
    let mut piece = [0; PIECE];
    match pipe.as_mut()?.read(&mut piece) {
        Ok(n) if n > 0 => {
            into.extend_from_slice(&piece[..n]);
            Some(n)
        }
        Err(e) if must_wait(&e) => None,
        _ => {
            *pipe = None;
            Some(0)
        }
    }
}

fn must_wait(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn never_wait(fd: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is open; both calls take and return plain numbers.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

#[cfg(any(test, feature = "dest-rclone", feature = "dest-ssh"))]
/// A file in memory that has no name, its owner's alone: for what a child has to read but nobody else. Not every kernel has
/// such files (Linux 3.17 has).
pub(crate) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is NUL-terminated; the result is a new descriptor, owned by nobody else, or -1.
    let file = unsafe {
        let made = libc::syscall(
            libc::SYS_memfd_create,
            c"duplet".as_ptr(),
            libc::MFD_CLOEXEC,
        );
        let fd = RawFd::try_from(made).unwrap_or(-1);
        File::from_raw_fd(check(fd)?)
    };
    // It is born with all bits set; ssh takes no key that others may read.
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(file.as_raw_fd(), 0o600) })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_program_that_is_nowhere_is_missing_whatever_may_not_be_looked_at() {
        let kind = |program: &str, path: &str| {
            let told = io::Error::from_raw_os_error(libc::EACCES);
            why_not(told, program, OsStr::new(path)).kind()
        };
        let (missing, barred) = (io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied);
        assert_eq!(
            kind("nothing-of-this-name", "/nowhere:/usr/bin:/bin"),
            missing
        );
        assert_eq!(kind("sh", "/nowhere:/usr/bin:/bin"), barred);
        assert_eq!(kind("/nowhere/sh", "/usr/bin"), barred);
        let other = io::Error::from_raw_os_error(libc::E2BIG);
        assert_ne!(
            why_not(other, "nothing-of-this-name", OsStr::new("")).kind(),
            missing
        );
    }

    /// All that a child says when it is given `input` and then nothing more.
    fn said(mut child: Piped, mut input: &[u8]) -> (Vec<u8>, Vec<u8>, Option<i32>) {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        loop {
            if input.is_empty() {
                child.close_input();
            }
            let moved = child
                .exchange(input, &mut out, usize::MAX, &mut errors, LONG)
                .unwrap();
            input = &input[moved.written..];
            if moved.output_ended && moved.errors_ended {
                let code = child.wait(LONG).and_then(|s| s.code());
                return (out, errors, code);
            }
        }
    }

    #[test]
    fn more_than_a_pipe_holds_goes_both_ways() {
        let data: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        let child = Piped::start(&words("cat; echo done >&2; exit 3"), &[], &|_| false).unwrap();
        let (out, errors, code) = said(child, &data);
        assert!(out == data);
        assert_eq!((&errors[..], code), (&b"done\n"[..], Some(3)));
    }

    #[test]
    fn the_environment_is_what_it_is_meant_to_be() {
        let child = Piped::start(
            &words("echo \"$ADDED ${PATH:-none} ${HOME:+home}\""),
            &[("ADDED", "more".to_owned())],
            &|name| name == "HOME",
        )
        .unwrap();
        let (out, ..) = said(child, b"");
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.starts_with("more /") && !out.contains("home\n"),
            "{out}"
        );
    }

    #[test]
    fn nothing_is_read_beyond_the_room() {
        let mut child = Piped::start(&words("head -c 1000000 /dev/zero"), &[], &|_| false).unwrap();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        while out.is_empty() {
            child.exchange(b"", &mut out, 1, &mut errors, LONG).unwrap();
        }
        let moved = child
            .exchange(b"", &mut out, 1, &mut errors, Duration::ZERO)
            .unwrap();
        assert_eq!(moved, Moved::default());
        assert!(out.len() <= PIECE);
    }

    #[test]
    fn a_dropped_child_is_gone_with_what_it_started() {
        let script = "sleep 600 & echo $!; trap '' TERM; exec sleep 600";
        let mut child = Piped::start(&words(script), &[], &|_| false).unwrap();
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        while !out.contains(&b'\n') {
            child
                .exchange(b"", &mut out, 100, &mut errors, LONG)
                .unwrap();
        }
        let grandchild: u32 = String::from_utf8(out).unwrap().trim().parse().unwrap();
        let own = child.child.id();
        assert!(super::super::process_exists(grandchild));
        drop(child);
        assert!(!super::super::process_exists(own));
        // It is reaped by the first process of this system, at some time; until then it is a zombie.
        let begun = Instant::now();
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
            let stat = stat.unwrap_or_default();
            let state = stat
                .rsplit_once(") ")
                .map_or("gone", |(_, rest)| &rest[..1]);
            if matches!(state, "gone" | "Z" | "X") {
                break;
            }
            assert!(begun.elapsed() < LONG, "{state}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let missing = vec!["/nonexistent/program".to_owned()];
        let e = Piped::start(&missing, &[], &|_| false).err().unwrap();
        assert_eq!(e.kind(), io::ErrorKind::NotFound);
        assert!(Piped::start(&[], &[], &|_| false).is_err());
    }

    #[test]
    fn files_in_memory_are_private() {
        use std::io::{Seek, SeekFrom};
        use std::os::unix::fs::MetadataExt;
        let Ok(mut file) = memory_file() else {
            return;
        };
        file.write_all(b"secret").unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        assert_eq!(std::fs::read(path).unwrap(), b"secret");
        file.seek(SeekFrom::Start(0)).unwrap();
    }
}
