//! Getting a folder and letting go of it: by right, or by the right of `fusermount3` and `fusermount`, which any user may run.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::error::{Doing, Error, Kind, Result, io_text};
use crate::base::sys::{self, FuseLine, Handover, Piped};
use crate::base::text;

/// Programs that mount for anybody, the newer one first.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];
/// What such a program may say is not kept beyond this, bytes.
const SAID_AT_MOST: usize = 4 << 10;
/// The kind of file system that mounts of this program are listed as.
const KIND: &[u8] = b"fuse.duplet";
/// How a descriptor is named that somebody else mounted.
const GIVEN: &str = "/dev/fd/";

/// Where a mount is, and who can take it away.
pub(super) enum Held {
    /// This process.
    Own(PathBuf),
    /// A helper.
    By(&'static str, PathBuf),
    /// Who opened it.
    Given,
}

/// A folder that was looked at and can be mounted on, or a descriptor that is mounted already.
pub(super) enum Spot {
    Folder(PathBuf),
    Given(i32),
}

/// Looks at the place. `Local` for one that cannot be mounted on; the line says what to do.
pub(super) fn look(place: &Path) -> Result<Spot> {
    let shown = text::safe(place.as_os_str().as_bytes());
    let doing = || format!("mount on {shown}");
    if let Some(number) = place.to_str().and_then(|text| text.strip_prefix(GIVEN)) {
        let number = number.parse().ok().filter(|&n: &i32| n == 0 || n > 2);
        let wrong = || Error::usage("it names no descriptor that was handed over").doing(doing());
        return number.map(Spot::Given).ok_or_else(wrong);
    }
    let refused =
        |cause: &str, hint: String| Err(Error::new(Kind::Local, cause).doing(doing()).hint(hint));
    let stale = |e: &io::Error| e.raw_os_error() == Some(libc::ENOTCONN);
    let left = || {
        let cause = "a mount whose program has ended is still there";
        refused(cause, format!("take it away with '{}'", way_out(&shown)))
    };
    let there = match fs::metadata(place) {
        Ok(there) => there,
        Err(e) if stale(&e) => return left(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return refused("there is no such folder", format!("mkdir {shown}"));
        }
        Err(e) => return Err(Error::io(&e).doing(doing())),
    };
    if !there.is_dir() {
        return refused("it is not a folder", "name an empty folder".to_owned());
    }
    let real = fs::canonicalize(place).doing(doing)?;
    // The kernel may still know what the folder itself looks like; what is in it nobody can tell any more.
    let inside = fs::read_dir(&real);
    if inside.as_ref().is_err_and(stale) {
        return left();
    }
    if mounted(&real) {
        let hint = format!("'{}' takes it away", way_out(&shown));
        return refused("a backup is mounted there already", hint);
    }
    if inside.doing(doing)?.next().is_some() {
        let hint = "what is in it would be hidden; name an empty folder".to_owned();
        return refused("it is not empty", hint);
    }
    Ok(Spot::Folder(real))
}

/// What takes a mount away, for this user.
pub(super) fn way_out(shown: &str) -> String {
    match sys::effective_uid() {
        0 => format!("umount {shown}"),
        _ => format!("fusermount3 -u {shown}"),
    }
}

/// Opens the line to the kernel and mounts it.
pub(super) fn attach(spot: Spot, others: bool) -> Result<(FuseLine, Held)> {
    let folder = match spot {
        Spot::Given(number) => {
            let line = FuseLine::given(number);
            let doing = || format!("use the descriptor {GIVEN}{number}");
            return line.doing(doing).map(|line| (line, Held::Given));
        }
        Spot::Folder(folder) => folder,
    };
    let shown = text::safe(folder.as_os_str().as_bytes());
    if sys::effective_uid() != 0 {
        return by_helper(folder, others).map_err(|e| e.doing(format!("mount on {shown}")));
    }
    let line = FuseLine::open().map_err(|e| no_line(&e, &shown))?;
    line.mount(&folder, others).map_err(|e| {
        let hint = match e.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => "it takes the right to mount (CAP_SYS_ADMIN), which a container has only with --privileged or --cap-add SYS_ADMIN --device /dev/fuse",
            Some(libc::ENODEV) => "the kernel has no FUSE: modprobe fuse",
            _ => "",
        };
        Error::io(&e).doing(format!("mount on {shown}")).hint(hint)
    })?;
    Ok((line, Held::Own(folder)))
}

/// Why `/dev/fuse` cannot be used.
fn no_line(e: &io::Error, shown: &str) -> Error {
    let (cause, hint) = match e.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => (
            "there is no /dev/fuse".to_owned(),
            "the kernel lacks FUSE (modprobe fuse), or a container was not given the device; 'duplet restore' and 'duplet cat' do without",
        ),
        Some(libc::EPERM | libc::EACCES) => (
            "/dev/fuse may not be opened".to_owned(),
            "a container is given it with --device /dev/fuse",
        ),
        _ => (format!("/dev/fuse: {}", io_text(e)), ""),
    };
    Error::new(Kind::Local, cause)
        .doing(format!("mount on {shown}"))
        .hint(hint)
}

fn by_helper(folder: PathBuf, others: bool) -> Result<(FuseLine, Held)> {
    let mut options = "ro,nosuid,nodev,fsname=duplet,subtype=duplet".to_owned();
    if others {
        options.push_str(",allow_other,default_permissions");
    }
    let path = folder.to_str().ok_or_else(|| {
        Error::new(Kind::Local, "its path is no text").hint("name a folder with another path")
    })?;
    for helper in HELPERS {
        let handover = Handover::new().doing(|| "make a socket".to_owned())?;
        let words = [helper, "-o", &options, "--", path].map(str::to_owned);
        let number = handover.number().to_string();
        let started = Piped::start(&words, &[("_FUSE_COMMFD", number)], &is_secret);
        let mut child = match started {
            Ok(child) => child,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(&e).doing(format!("start {helper}"))),
        };
        child.close_input();
        let line = handover.take().map_err(|e| match sys::stops_requested() {
            0 => Error::io(&e),
            _ => Error::new(Kind::Interrupted, "stopped"),
        })?;
        return match line {
            Some(line) => Ok((line, Held::By(helper, folder))),
            None => Err(refusal(helper, &said(&mut child))),
        };
    }
    Err(
        Error::new(Kind::Local, "neither fusermount3 nor fusermount is there")
            .hint("install the package fuse3, or run as root"),
    )
}

/// A helper does not get what it need not know.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASS", "SECRET", "KEY", "TOKEN", "AUTH"]
        .iter()
        .any(|word| name.contains(word))
}

/// What a child said before it ended, in one line.
fn said(child: &mut Piped) -> String {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    while errors.len() < SAID_AT_MOST {
        let wait = Duration::from_secs(5);
        let moved = child.exchange(&[], &mut out, SAID_AT_MOST, &mut errors, wait);
        if moved.map_or(true, |m| m.errors_ended || m.read == 0 && !m.output_ended) {
            break;
        }
    }
    let line = errors.split(|&b| b == b'\n').find(|line| !line.is_empty());
    text::safe_cut(line.unwrap_or_default(), 200)
}

/// The error of a helper that mounted nothing.
fn refusal(helper: &str, said: &str) -> Error {
    let hint = if said.contains("user_allow_other") {
        "leave --allow-other out, or write user_allow_other into /etc/fuse.conf"
    } else if said.contains("/dev/fuse") || said.contains("device not found") {
        "the kernel lacks FUSE (modprobe fuse), or /dev/fuse may not be opened; 'duplet restore' and 'duplet cat' do without"
    } else if said.contains("no write access") || said.contains("not owned") {
        "name a folder of your own"
    } else {
        "is it installed set-user-id root?"
    };
    let start = format!("{helper}: ");
    let cause = match said.strip_prefix(&start).unwrap_or(said) {
        "" => format!("{helper} mounted nothing"),
        said => format!("{helper} says: {said}"),
    };
    Error::new(Kind::Local, cause).hint(hint)
}

/// How an attempt to let go went.
pub(super) enum Parting {
    Done,
    /// Somebody is in it.
    Busy,
    /// A helper is at work; meanwhile the kernel may ask for something.
    Waiting(Piped),
}

impl Held {
    /// Where it is mounted, for the person.
    pub(super) fn shown(&self) -> String {
        match self {
            Held::Own(folder) | Held::By(_, folder) => text::safe(folder.as_os_str().as_bytes()),
            Held::Given => "the given descriptor".to_owned(),
        }
    }

    /// Begins to take the mount away; `lazily`: out of sight at once, although somebody is in it.
    pub(super) fn part(&self, lazily: bool) -> Result<Parting> {
        let doing = || format!("unmount {}", self.shown());
        match self {
            Held::Given => Ok(Parting::Done),
            Held::Own(folder) => match sys::unmount(folder, lazily) {
                Ok(()) => Ok(Parting::Done),
                Err(e) if e.raw_os_error() == Some(libc::EBUSY) => Ok(Parting::Busy),
                // Somebody else took it away.
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
                    Ok(Parting::Done)
                }
                Err(e) => Err(Error::io(&e).doing(doing())),
            },
            Held::By(helper, folder) => {
                let how = if lazily { "-uz" } else { "-u" };
                let path = folder.to_string_lossy().into_owned();
                let words = [helper, how, "--", &path].map(str::to_owned);
                let mut child = Piped::start(&words, &[], &is_secret).doing(doing)?;
                child.close_input();
                Ok(Parting::Waiting(child))
            }
        }
    }
}

/// True when a mount of this program is on the folder, as the kernel lists it.
fn mounted(folder: &Path) -> bool {
    let all = fs::read("/proc/self/mountinfo").unwrap_or_default();
    all.split(|&b| b == b'\n').any(|line| {
        let mut fields = line.split(|&b| b == b' ');
        let on = fields.nth(4).map(unescaped);
        let kind = fields.skip_while(|&field| field != b"-").nth(1);
        on.as_deref() == Some(folder.as_os_str().as_bytes()) && kind == Some(KIND)
    })
}

/// A path as the kernel lists it: some characters are a backslash and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&b, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| b == b'\\');
        let value = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        out.push(value.unwrap_or(b));
        rest = match value {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_helper_says_comes_with_a_way_out() {
        for (said, cause, hint) in [
            (
                "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
                "fusermount3 says: option allow_other",
                "leave --allow-other out",
            ),
            (
                "fuse: device not found, try 'modprobe fuse' first",
                "fusermount3 says: fuse:",
                "modprobe",
            ),
            (
                "fusermount3: user has no write access to mountpoint /mnt",
                "fusermount3 says: user has no write access",
                "a folder of your own",
            ),
            (
                "fusermount3: mount failed: Operation not permitted",
                "says: mount failed",
                "set-user-id",
            ),
            ("", "fusermount3 mounted nothing", "set-user-id"),
        ] {
            let e = refusal("fusermount3", said).to_string();
            assert!(e.starts_with(cause) || e.contains(cause), "{e}");
            assert!(e.contains(hint), "{e}");
        }
    }

    #[test]
    fn places_that_cannot_be_mounted_on_are_told_apart() {
        for (place, says) in [
            (
                "/nonexistent/x",
                "there is no such folder (mkdir /nonexistent/x)",
            ),
            ("/etc/passwd", "it is not a folder"),
            ("/etc", "it is not empty (what is in it would be hidden"),
            ("/dev/fd/x", "names no descriptor"),
            ("/dev/fd/1", "names no descriptor"),
        ] {
            let e = look(Path::new(place)).err().map(|e| e.to_string());
            let e = e.unwrap_or_default();
            assert!(e.starts_with(&format!("cannot mount on {place}: ")), "{e}");
            assert!(e.contains(says), "{e}");
        }
        assert!(matches!(look(Path::new("/dev/fd/7")), Ok(Spot::Given(7))));
    }

    #[test]
    fn paths_of_the_kernel_are_read() {
        for (listed, path) in [
            (&b"/mnt/a\\040b"[..], &b"/mnt/a b"[..]),
            (b"/x\\134y\\011", b"/x\\y\t"),
            (b"\\04", b"\\04"),
            (b"\\999", b"\\999"),
            (b"\\777", b"\\777"),
        ] {
            assert_eq!(unescaped(listed), path);
        }
        assert!(!mounted(Path::new("/")));
    }
}
