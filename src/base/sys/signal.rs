//! Requests to stop: SIGINT, SIGTERM and SIGHUP are counted, and waits end when one arrives.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SIGNALS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

static STOPS: AtomicU32 = AtomicU32::new(0);

/// Somebody wants to be told at once that the first stop was heard, and there is something that takes time then.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static ANSWERS: AtomicBool = AtomicBool::new(false);

const ANSWER: &[u8] =
    b"\nstopping as soon as what is under way is stored; once more ends at once\n";

extern "C" fn count_stop(_: libc::c_int) {
    let is_on = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    if STOPS.fetch_add(1, Ordering::Relaxed) == 0 && is_on(&IS_WATCHED) && is_on(&ANSWERS) {
        // SAFETY: the call is async-signal-safe, the text is constant, and the place of this thread's error is valid.
        unsafe {
            let error = libc::__errno_location();
            let before = *error;
            libc::write(libc::STDERR_FILENO, ANSWER.as_ptr().cast(), ANSWER.len());
            *error = before;
        }
    }
}

/// Somebody watches: once a run [writes](writes_from_now_on), the first stop is answered on standard error.
pub(crate) fn answer_first_stop() {
    IS_WATCHED.store(true, Ordering::Relaxed);
}

/// The run has begun to write. From now on the first stop is answered in the moment it comes: whoever has to bring something to a
/// good end may wait long before there is anything else to say.
pub(crate) fn writes_from_now_on() {
    ANSWERS.store(true, Ordering::Relaxed);
}

/// From now on the stop signals are counted instead of ending the process. Signals that the parent had ignored
/// (`nohup`, background jobs) stay ignored. System calls are not restarted, so that waits end. A write beyond the
/// file-size limit fails with `EFBIG` instead of ending the process.
pub(crate) fn install_stop_handler() {
    // SAFETY: no handler is involved.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    for signal in SIGNALS {
        // SAFETY: both structs are plain data; the handler only adds to an atomic, which is async-signal-safe.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &mut old) != 0
                || old.sa_sigaction == libc::SIG_IGN
            {
                continue;
            }
            let mut new: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(libc::c_int) = count_stop;
            new.sa_sigaction = handler as libc::sighandler_t;
            libc::sigemptyset(&mut new.sa_mask);
            libc::sigaction(signal, &new, std::ptr::null_mut());
        }
    }
}

/// Signals by which a program ends itself where it is wrong, or is ended where the processor lacks an instruction.
const TRAPS: [libc::c_int; 3] = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];

const TRAP_TEXT: &[u8] =
    b"duplet: internal error, or an instruction that this processor lacks (please report what was done)\n";

extern "C" fn tell_trap(_: libc::c_int) {
    // SAFETY: both calls are async-signal-safe; the text is constant.
    unsafe {
        libc::write(
            libc::STDERR_FILENO,
            TRAP_TEXT.as_ptr().cast(),
            TRAP_TEXT.len(),
        );
        libc::_exit(100);
    }
}

/// From now on a defect that ends the process at once, which in small builds says nothing by itself, is told in one line,
/// and the exit code is that of a failure.
pub(crate) fn install_trap_handler() {
    let handler: extern "C" fn(libc::c_int) = tell_trap;
    for signal in TRAPS {
        // SAFETY: the handler does nothing but two async-signal-safe calls.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Stop signals since the handler was installed.
pub(crate) fn stops_requested() -> u32 {
    STOPS.load(Ordering::Relaxed)
}

/// See [`forget_stops`](super::forget_stops).
pub(super) fn forget() {
    STOPS.store(0, Ordering::Relaxed);
}

/// Waits; false at once when a stop was or is requested.
pub(crate) fn sleep_interruptible(time: Duration) -> bool {
    sleep_beyond(time, 0)
}

/// Waits; false at once when more than `known` stops were or are requested. A run that is already coming to its end after a
/// first stop waits as long as it would have.
pub(crate) fn sleep_beyond(time: Duration, known: u32) -> bool {
    // An instant out of range is further away than any run lasts.
    let end = Instant::now().checked_add(time);
    loop {
        let left = match end {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => time,
        };
        match wait_beyond(None, Some(left), known) {
            Ok(Waited::Stopped) => return false,
            Ok(_) if end.is_some_and(|e| Instant::now() >= e) => return true,
            Ok(_) => {}
            Err(_) => return stops_requested() <= known,
        }
    }
}

/// Why a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Stopped,
    Ready,
    /// Time over, or another signal came.
    Other,
}

/// Waits until `fd` can be read, the time is over or a stop is requested; no stop can slip in between check and wait.
pub(super) fn wait(fd: Option<RawFd>, time: Option<Duration>) -> io::Result<Waited> {
    wait_beyond(fd.map(|fd| (fd, libc::POLLIN)), time, 0)
}

/// Waits until `fd` can be read, or written if `writes`, for at most `time`; less when another signal comes, and not at all when
/// more than `known` stops were requested. True when it can.
pub(crate) fn wait_ready(fd: RawFd, writes: bool, time: Duration, known: u32) -> bool {
    let events = if writes { libc::POLLOUT } else { libc::POLLIN };
    let waited = wait_beyond(Some((fd, events)), Some(time), known);
    matches!(waited, Ok(Waited::Ready))
}

/// As [`wait`], for one who knows of so many stops already.
fn wait_beyond(
    fd: Option<(RawFd, libc::c_short)>,
    time: Option<Duration>,
    known: u32,
) -> io::Result<Waited> {
    let limit = time.map(|t| {
        // Some targets have padding that may not be named.
        let mut limit = zeroed_timespec();
        limit.tv_sec = libc::time_t::try_from(t.as_secs().min(86_400)).unwrap_or(86_400);
        limit.tv_nsec = libc::c_long::try_from(t.subsec_nanos()).unwrap_or(0);
        limit
    });
    let (fd, events) = fd.unwrap_or((-1, libc::POLLIN));
    let mut watched = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: all structs are plain data and live through the calls; the mask is restored on the only way out.
    let (result, error) = unsafe {
        let mut stops: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut stops);
        for signal in SIGNALS {
            libc::sigaddset(&mut stops, signal);
        }
        if libc::pthread_sigmask(libc::SIG_BLOCK, &stops, &mut before) != 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let result = if stops_requested() > known {
            0
        } else {
            let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            libc::ppoll(&mut watched, 1, limit, &before)
        };
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        (result, error)
    };
    if stops_requested() > known {
        return Ok(Waited::Stopped);
    }
    match result {
        -1 if error.kind() == io::ErrorKind::Interrupted => Ok(Waited::Other),
        -1 => Err(error),
        0 => Ok(Waited::Other),
        _ => Ok(Waited::Ready),
    }
}

fn zeroed_timespec() -> libc::timespec {
    // SAFETY: a timespec is plain data (some targets have private padding).
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    const ROLE: &str = "DUPLET_TEST_SIGNAL_CHILD";

    /// Signals change the whole process, so the test body runs in a child of its own: it sleeps for an hour unless stopped.
    #[test]
    fn a_stop_ends_a_long_sleep_and_is_counted() {
        if std::env::var_os(ROLE).is_some() {
            install_stop_handler();
            assert_eq!(stops_requested(), 0);
            assert!(sleep_interruptible(Duration::ZERO));
            // SAFETY: no arguments, cannot fail.
            let thread = unsafe { libc::gettid() };
            write!(std::io::stdout(), "\nready {thread}\n").unwrap();
            std::io::stdout().flush().unwrap();
            assert!(!sleep_interruptible(Duration::from_secs(3600)));
            assert!(!sleep_interruptible(Duration::from_secs(3600)));
            assert_eq!(stops_requested(), 1);
            assert!(sleep_beyond(Duration::from_millis(1), 1));
            assert!(!sleep_beyond(Duration::from_secs(3600), 0));
            std::io::stdout().write_all(b"\nstopped\n").unwrap();
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "base::sys::signal::tests::a_stop_ends_a_long_sleep_and_is_counted",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let thread: i32 = lines
            .find_map(|l| l.unwrap().strip_prefix("ready ")?.parse().ok())
            .unwrap();
        let process = i32::try_from(child.id()).unwrap();
        // The harness has a second thread, which would take a signal sent to the process.
        // SAFETY: the process is our own child and has not been waited for.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGTERM) };
        assert_eq!(sent, 0);
        assert!(lines.any(|l| l.unwrap() == "stopped"));
        assert!(child.wait().unwrap().success());
    }
}
