//! The operating system: the only place with `unsafe`, and the only one that calls libc.

#![allow(unsafe_code, reason = "calls into libc live here and nowhere else")]

use std::ffi::CString;
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

/// Bytes free for this user on the file system of `folder`; `None` when the system does not say.
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: `stat` is plain data and both pointers are valid for the call.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &mut stat) != 0 {
            return None;
        }
        stat
    };
    if stat.f_blocks == 0 {
        return None;
    }
    #[allow(
        clippy::useless_conversion,
        reason = "the field widths differ between targets"
    )]
    Some(u64::from(stat.f_bavail).saturating_mul(u64::from(stat.f_frsize)))
}

static STOPS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// How often SIGINT or SIGTERM arrived.
pub(crate) fn stops_requested() -> u32 {
    STOPS.load(std::sync::atomic::Ordering::Relaxed)
}

/// Sleeps; a stop signal ends it early. False when it ended early.
pub(crate) fn sleep_interruptible(time: std::time::Duration) -> bool {
    let before = stops_requested();
    std::thread::sleep(time);
    stops_requested() == before
}
