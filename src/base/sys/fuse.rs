//! The kernel's side of a file system that this program answers for: `/dev/fuse`, mounting and unmounting, and the descriptor
//! that a helper hands over. What the messages mean is not known here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::ptr;

use super::signal::{Waited, wait};
use super::{c_bytes, c_path, check, check_len};

/// What a wait for the kernel's next message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A message of so many bytes is in the buffer.
    Message(usize),
    /// Nothing came: a signal, the time is over, or the message was withdrawn.
    Nothing,
    /// A stop is requested.
    Stopped,
    /// It is unmounted, or the other side has closed.
    Gone,
}

/// The line to the kernel; a socket that keeps messages apart does as well.
pub(crate) struct FuseLine {
    file: File,
}

impl FuseLine {
    /// A line that is not mounted yet. The system's reason when there is no `/dev/fuse`, or it may not be used.
    pub(crate) fn open() -> io::Result<FuseLine> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/fuse")?;
        Ok(FuseLine { file })
    }

    /// The line with this number, which the parent of this program opened. It is used through a copy, and stays open.
    pub(crate) fn given(number: RawFd) -> io::Result<FuseLine> {
        // SAFETY: any number may be asked for; the result is a new descriptor that nobody else owns, or -1.
        let file =
            unsafe { File::from_raw_fd(check(libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3))?) };
        FuseLine::over(file)
    }

    fn over(file: File) -> io::Result<FuseLine> {
        let fd = file.as_raw_fd();
        // SAFETY: the descriptor is open; both calls take and return plain numbers.
        unsafe {
            let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
            check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        }
        Ok(FuseLine { file })
    }

    /// Mounts it on a folder, read only, by the right of this process. With `others` the modes of files say who may read
    /// what; without it nobody but this user gets in.
    pub(crate) fn mount(&self, folder: &Path, others: bool) -> io::Result<()> {
        // SAFETY: no arguments, cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let fd = self.file.as_raw_fd();
        let mut said = format!("fd={fd},rootmode=40000,user_id={uid},group_id={gid}");
        if others {
            said.push_str(",allow_other,default_permissions");
        }
        let (said, folder) = (c_bytes(said.as_bytes())?, c_path(folder)?);
        // SAFETY: all texts are NUL-terminated and outlive the call.
        let result = unsafe {
            libc::mount(
                c"duplet".as_ptr(),
                folder.as_ptr(),
                c"fuse.duplet".as_ptr(),
                libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV,
                said.as_ptr().cast(),
            )
        };
        check(result).map(|_| ())
    }

    /// Waits for the next message, at most so many milliseconds (`None`: as long as it takes), and reads it. `buffer` must
    /// have room for any: the kernel drops a longer one and says so to who asked.
    pub(crate) fn next(&mut self, buffer: &mut [u8], millis: Option<u64>) -> io::Result<Asked> {
        let time = millis.map(std::time::Duration::from_millis);
        match wait(Some(self.file.as_raw_fd()), time)? {
            Waited::Stopped => return Ok(Asked::Stopped),
            Waited::Other => return Ok(Asked::Nothing),
            Waited::Ready => {}
        }
        match self.file.read(buffer) {
            Ok(0) => Ok(Asked::Gone),
            Ok(n) => Ok(Asked::Message(n)),
            Err(e) => match e.raw_os_error() {
                Some(libc::ENODEV | libc::ECONNRESET) => Ok(Asked::Gone),
                // The first of these: who asked was interrupted and does not ask any more.
                Some(libc::ENOENT | libc::EINTR | libc::EAGAIN) => Ok(Asked::Nothing),
                _ => Err(e),
            },
        }
    }

    /// Answers. False when nobody waits for the answer any more, which is no fault.
    pub(crate) fn answer(&mut self, reply: &[u8]) -> io::Result<bool> {
        loop {
            match self.file.write(reply) {
                Ok(n) if n == reply.len() => return Ok(true),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => self.room()?,
                    Some(libc::ENOENT | libc::ENODEV | libc::EPIPE | libc::ECONNRESET) => {
                        return Ok(false);
                    }
                    _ => return Err(e),
                },
            }
        }
    }

    /// Waits until a socket takes more; the kernel itself always does.
    fn room(&self) -> io::Result<()> {
        let mut watched = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one struct, valid for the call.
        match check(unsafe { libc::poll(&mut watched, 1, -1) }) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            done => done.map(|_| ()),
        }
    }
}

/// Takes a folder's mount away; `lazily` also one that is in use: it is out of sight at once, and ends with its last user.
pub(crate) fn unmount(folder: &Path, lazily: bool) -> io::Result<()> {
    let flags = libc::UMOUNT_NOFOLLOW | if lazily { libc::MNT_DETACH } else { 0 };
    let folder = c_path(folder)?;
    // SAFETY: the text is NUL-terminated and outlives the call.
    check(unsafe { libc::umount2(folder.as_ptr(), flags) }).map(|_| ())
}

/// A socket over which a child hands a line over.
pub(crate) struct Handover {
    ours: UnixStream,
    /// The child's end; it lives through the start of the child only.
    theirs: Option<OwnedFd>,
}

impl Handover {
    pub(crate) fn new() -> io::Result<Handover> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: the descriptor is open; that it lives on in a child is meant.
        check(unsafe { libc::fcntl(theirs.as_raw_fd(), libc::F_SETFD, 0) })?;
        Ok(Handover {
            ours,
            theirs: Some(theirs.into()),
        })
    }

    /// The number by which the child finds its end.
    pub(crate) fn number(&self) -> RawFd {
        self.theirs.as_ref().map_or(-1, |fd| fd.as_fd().as_raw_fd())
    }

    /// Waits for the child, which was started, to hand it over; `None` when it closed its end instead.
    pub(crate) fn take(mut self) -> io::Result<Option<FuseLine>> {
        self.theirs = None;
        loop {
            match receive(&self.ours) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                    if super::stops_requested() > 0 {
                        return Err(e);
                    }
                }
                Err(e) => return Err(e),
                Ok(None) => return Ok(None),
                Ok(Some(file)) => return FuseLine::over(file).map(Some),
            }
        }
    }
}

/// One byte and the descriptor that came with it.
fn receive(socket: &UnixStream) -> io::Result<Option<File>> {
    let mut byte = [0u8; 1];
    // Numbers of 8 bytes: the header of a control message must be aligned.
    let mut control = [0u64; 8];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    // SAFETY: a msghdr is plain data (some targets have padding that may not be named).
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<[u64; 8]>().try_into().unwrap_or(0);
    // SAFETY: the message points at buffers that are valid for the call, with their true lengths.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
    if check_len(got)? == 0 {
        return Ok(None);
    }
    // SAFETY: the kernel filled the control buffer, and the macros look at no more than `msg_controllen` says; a descriptor
    // that came is owned by nobody else.
    unsafe {
        let head = libc::CMSG_FIRSTHDR(&message);
        if head.is_null()
            || (*head).cmsg_level != libc::SOL_SOCKET
            || (*head).cmsg_type != libc::SCM_RIGHTS
        {
            return Ok(None);
        }
        let fd: RawFd = ptr::read_unaligned(libc::CMSG_DATA(head).cast());
        Ok(Some(File::from_raw_fd(check(fd)?)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    /// Hands `file` over as `fusermount` does.
    fn send(socket: RawFd, file: RawFd) {
        let byte = [0u8; 1];
        let mut control = [0u64; 8];
        let mut part = libc::iovec {
            iov_base: byte.as_ptr().cast_mut().cast(),
            iov_len: 1,
        };
        // SAFETY: as in `receive`; the space of one descriptor is less than the buffer.
        unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(4).try_into().unwrap();
            let head = libc::CMSG_FIRSTHDR(&message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(4).try_into().unwrap();
            ptr::write_unaligned(libc::CMSG_DATA(head).cast(), file);
            assert_eq!(libc::sendmsg(socket, &message, 0), 1);
        }
    }

    #[test]
    fn a_line_is_handed_over_or_is_not() {
        let (mut kernel, line) = UnixStream::pair().unwrap();
        let handover = Handover::new().unwrap();
        send(handover.number(), line.as_raw_fd());
        drop(line);
        let mut line = handover.take().unwrap().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(line.next(&mut buffer, Some(0)).unwrap(), Asked::Nothing);
        kernel.write_all(b"hello").unwrap();
        assert_eq!(line.next(&mut buffer, None).unwrap(), Asked::Message(5));
        assert!(line.answer(b"world").unwrap());
        kernel.read_exact(&mut buffer[..5]).unwrap();
        assert_eq!(&buffer[..5], b"world");
        drop(kernel);
        assert_eq!(line.next(&mut buffer, None).unwrap(), Asked::Gone);
        assert!(!line.answer(b"nobody").unwrap());

        assert!(Handover::new().unwrap().take().unwrap().is_none());
        let silent = Handover::new().unwrap();
        // SAFETY: the descriptor is open and one byte is there.
        assert_eq!(
            unsafe { libc::send(silent.number(), c"x".as_ptr().cast(), 1, 0) },
            1
        );
        assert!(silent.take().unwrap().is_none());
        assert!(FuseLine::given(987_654).is_err());
    }

    #[test]
    fn a_folder_that_is_no_mount_is_not_unmounted() {
        let e = unmount(Path::new("/nonexistent"), false).err().unwrap();
        assert_eq!(e.kind(), io::ErrorKind::NotFound);
    }
}
