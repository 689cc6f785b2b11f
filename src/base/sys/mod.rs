//! The operating system: the only place with `unsafe`, and the only one that calls libc.
//!
//! Every wrapper takes and returns plain values; nothing here knows what a backup is. Linux, 32 and 64 bit, musl and glibc:
//! times are 64 bits wide everywhere because the calls that carry them go to the kernel directly.

#![allow(unsafe_code, reason = "calls into libc live here and nowhere else")]
#![allow(
    irrefutable_let_patterns,
    clippy::useless_conversion,
    clippy::unnecessary_fallible_conversions,
    clippy::needless_update,
    reason = "widths and fields of the system's types differ between targets"
)]

mod arguments;
mod child;
mod dir;
#[cfg(test)]
mod dir_tests;
mod dir_xattrs;
mod ending;
mod files;
#[cfg(any(test, feature = "mount"))]
mod fuse;
mod look;
mod priority;
mod signal;
#[cfg(any(
    test,
    all(
        target_os = "linux",
        target_env = "gnu",
        target_arch = "x86_64",
        target_feature = "crt-static"
    )
))]
mod slim;
mod tcp;
mod terminal;
mod users;

pub(crate) use arguments::wipe_arguments;
pub(crate) use child::Piped;
#[cfg(any(test, feature = "dest-rclone", feature = "dest-ssh"))]
pub(crate) use child::{Moved, memory_file};
pub(crate) use dir::{Dir, set_file_times};
pub(crate) use ending::{
    await_ready, end_at_next_stop, end_at_stop, ends_now, forget_stops, in_slices, save_at_stop,
    sleep_until_end, slice, stopped,
};
pub(crate) use files::{
    FileKind, Stat, file_system_of, free_space, give_name, lstat, space, unnamed_file,
};
#[cfg(any(test, feature = "mount"))]
pub(crate) use fuse::{Asked, FuseLine, Handover, unmount};
pub(crate) use look::{ITSELF, Spot, not_regular, stat_of, xattr_names_of, xattr_of};
pub(crate) use priority::{be_nice, idle_io};
pub(crate) use signal::{
    answer_first_stop, install_stop_handler, install_trap_handler, sleep_beyond,
    sleep_interruptible, stops_requested, wait_ready, writes_from_now_on,
};
pub(crate) use tcp::Tcp;
pub(crate) use terminal::{read_secret_line, terminal_width};
pub(crate) use users::{Identity, Users};

use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Seconds to add to UTC at `unix` for the machine's time zone; 0 when unknown.
pub(crate) fn utc_offset(unix: i64) -> i64 {
    let Ok(t) = libc::time_t::try_from(unix) else {
        return 0;
    };
    // SAFETY: `tm` is plain data, both pointers are valid for the call, and localtime_r keeps neither.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&t, &mut tm).is_null() {
            0
        } else {
            i64::from(tm.tm_gmtoff)
        }
    }
}

/// The name of this machine; empty where the system has none.
pub(crate) fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is valid for the call and one byte longer than what may be written.
    let done = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let end = name.iter().position(|&b| b == 0).unwrap_or(0);
    match done {
        0 => String::from_utf8_lossy(&name[..end]).into_owned(),
        _ => String::new(),
    }
}

/// The user this process acts as.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

/// The bits that the system takes from the mode of a new file or folder.
pub(crate) fn umask() -> u32 {
    // SAFETY: cannot fail; the program has one thread, so nothing is made in between.
    unsafe {
        let mask = libc::umask(0o077);
        libc::umask(mask);
        u32::from(mask)
    }
}

/// True when a process of this number is there, whoever owns it.
pub(crate) fn process_exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 is only asked about, never sent.
    pid > 0
        && match check(unsafe { libc::kill(pid, 0) }) {
            Ok(_) => true,
            Err(e) => e.raw_os_error() == Some(libc::EPERM),
        }
}

/// The path for a system call; a NUL byte inside is `EINVAL`.
fn c_path(path: &Path) -> io::Result<CString> {
    c_bytes(path.as_os_str().as_bytes())
}

fn c_bytes(text: &[u8]) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// -1 becomes the error in `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// As [`check`], for calls that answer a length.
fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Where `/proc` shows an open file or folder of this process.
fn proc_path(fd: RawFd) -> String {
    format!("/proc/self/fd/{fd}")
}
