//! The end of a run that is told to end: how long it still waits for others.
//!
//! Every wait for a server asks here for how long it may take ([`slice`]), and asks again until its own time is over. A signal ends
//! the system call that waits; one that comes just before the call is seen after a slice. From the signal on that ends the run
//! ([`end_at_stop`]) a few short waits are left for all of it: a server that is well can still be told to delete what is of no use
//! any more, one that is silent is given up. What then fails is [`stopped`], and no fault of the server.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::signal::{forget, sleep_beyond, stops_requested, wait_ready};
use crate::base::error::{Error, Kind};

/// Longest wait between two looks at whether the run ends.
const SLICE: Duration = Duration::from_millis(500);
/// Waits that are left once it does, and how long each of them is.
const LAST_WAITS: u32 = 5;
const LAST_SLICE: Duration = Duration::from_millis(100);
/// A wait of no time is one that socket options do not know.
const LEAST: Duration = Duration::from_millis(1);

/// The stop signal that ends the run: the first one is a request to come to a good end.
static ENDS_AT: AtomicU32 = AtomicU32::new(2);
static LEFT: AtomicU32 = AtomicU32::new(LAST_WAITS);

/// The run ends at the stop signal of this number: at the first one where nothing has to be brought to a good end.
pub(crate) fn end_at_stop(number: u32) {
    LEFT.store(LAST_WAITS, Ordering::Relaxed);
    ENDS_AT.store(number, Ordering::Relaxed);
}

/// There is something now that is worth a good end: where the run would have ended at the first stop signal, that is a request for
/// one from now on, also if it has come.
pub(crate) fn save_at_stop() {
    ENDS_AT.fetch_max(2, Ordering::Relaxed);
}

/// What follows the run is waited for whatever ended that; a further stop signal ends it, too.
pub(crate) fn end_at_next_stop() {
    end_at_stop(stops_requested().saturating_add(1));
}

/// The stops so far are dealt with: what follows is waited for and read as if none had been requested.
pub(crate) fn forget_stops() {
    forget();
    LEFT.store(LAST_WAITS, Ordering::Relaxed);
}

/// The run is told to end now.
pub(crate) fn ends_now() -> bool {
    stops_requested() >= ENDS_AT.load(Ordering::Relaxed)
}

/// What fails because of that: our error of kind `Interrupted`.
pub(crate) fn stopped() -> io::Error {
    Error::new(Kind::Interrupted, "stopped").into()
}

/// How long may now be waited for another of a wait of which so much is `left`; the error once that is no more.
pub(crate) fn slice(left: Duration) -> io::Result<Duration> {
    if !ends_now() {
        return Ok(left.min(SLICE));
    }
    let one_less = |n: u32| n.checked_sub(1);
    match LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
        Ok(_) => Ok(left.min(LAST_SLICE)),
        Err(_) => Err(stopped()),
    }
}

/// Does what has to wait, for `time` at most: `act` is told how long it may take at once, and says `WouldBlock` or `TimedOut`
/// where that was too short. `TimedOut` when nothing came in all that time.
pub(crate) fn in_slices(
    time: Option<Duration>,
    act: &mut dyn FnMut(Duration) -> io::Result<usize>,
) -> io::Result<usize> {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    let begun = Instant::now();
    let left = || time.map_or(Duration::MAX, |time| time.saturating_sub(begun.elapsed()));
    loop {
        match act(slice(left().max(LEAST))?) {
            Err(e) if matches!(e.kind(), WouldBlock | TimedOut | Interrupted) => {}
            done => return done,
        }
        if left().is_zero() {
            return Err(TimedOut.into());
        }
    }
}

/// Waits until a descriptor can be read, or written if `writes`, for `time` at most: perhaps less.
pub(crate) fn await_ready(fd: RawFd, writes: bool, time: Duration) -> io::Result<()> {
    wait_ready(fd, writes, slice(time)?, u32::MAX);
    Ok(())
}

/// Waits; false at once when the run ends.
pub(crate) fn sleep_until_end(time: Duration) -> bool {
    sleep_beyond(time, ENDS_AT.load(Ordering::Relaxed).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::super::install_stop_handler;
    use super::*;
    use crate::base::error::unwrap_io;
    use std::process::Command;

    const ROLE: &str = "DUPLET_TEST_ENDING_CHILD";
    const HOUR: Duration = Duration::from_secs(3600);

    fn raise() {
        // SAFETY: the signal has a handler, which only counts.
        assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
    }

    /// As many short waits as are left, and then none.
    fn is_given_up() -> bool {
        let last = (0..LAST_WAITS).all(|_| slice(HOUR).is_ok_and(|s| s == LAST_SLICE));
        let over = unwrap_io(slice(HOUR).unwrap_err());
        last && over.kind() == Kind::Interrupted && !sleep_until_end(HOUR)
    }

    /// Signals change the whole process, so the test body runs in a child of its own.
    #[test]
    fn from_the_signal_on_that_ends_the_run_hardly_anything_is_waited_for() {
        if std::env::var_os(ROLE).is_none() {
            let name = "base::sys::ending::tests::from_the_signal_on_that_ends_the_run_hardly_anything_is_waited_for";
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--test-threads=1"])
                .env(ROLE, "1")
                .status();
            assert!(status.unwrap().success());
            return;
        }
        install_stop_handler();
        // A request to come to a good end changes nothing.
        raise();
        assert!(!ends_now());
        assert_eq!(slice(HOUR).unwrap(), SLICE);
        assert!(sleep_until_end(LEAST));
        // What has to wait is asked again until its own time is over, however often a signal comes.
        let mut asked = 0;
        let late = in_slices(Some(Duration::from_millis(30)), &mut |time| {
            asked += 1;
            assert!(time <= Duration::from_millis(30));
            match asked {
                1 => Err(io::ErrorKind::Interrupted.into()),
                _ => {
                    std::thread::sleep(time);
                    Err(io::ErrorKind::WouldBlock.into())
                }
            }
        });
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(asked >= 2);
        raise();
        assert!(ends_now() && is_given_up());
        // What follows the run is waited for, until another one comes.
        end_at_next_stop();
        assert_eq!(slice(HOUR).unwrap(), SLICE);
        raise();
        assert!(is_given_up());
        end_at_stop(1);
        assert!(is_given_up());
        forget_stops();
        assert!(!ends_now());
        raise();
        assert!(ends_now());
        // Something came to be saved.
        save_at_stop();
        assert!(!ends_now());
        raise();
        assert!(ends_now());
        let ended = in_slices(None, &mut |_| Err(io::ErrorKind::TimedOut.into()));
        assert_eq!(unwrap_io(ended.unwrap_err()).kind(), Kind::Interrupted);
    }
}
