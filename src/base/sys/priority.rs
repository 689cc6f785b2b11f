//! How much of the processor and of the disk this process, and what it starts, takes from others.

use std::io;

use super::check;

/// `IOPRIO_CLASS_IDLE` of `linux/ioprio.h` in its place: the disk is used only when nobody else wants it.
const IDLE: libc::c_int = 3 << 13;
/// `IOPRIO_WHO_PROCESS`.
const PROCESS: libc::c_int = 1;

/// Sets the nice value: 19 gives way to everybody, 0 is usual, less than that only root may.
pub(crate) fn be_nice(value: i32) -> io::Result<()> {
    // SAFETY: plain numbers; process 0 is this one.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) }).map(|_| ())
}

/// From now on the disk is used only when it is idle, where its scheduler knows of that.
pub(crate) fn idle_io() -> io::Result<()> {
    // SAFETY: plain numbers; process 0 is this one.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, IDLE) };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
