//! TCP connections of which every wait has an end, and ends with the run ([`ending`](super::ending)).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::time::Duration;

use super::ending::in_slices;
use super::signal::wait_ready;
use super::{check, check_len};

/// A connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    stream: TcpStream,
    /// Longest wait for a byte to come or go; `None` is for ever.
    patience: Option<Duration>,
    /// The time-outs that the system knows of, for reading and for writing.
    set: [Duration; 2],
}

impl Tcp {
    /// Waits for `time` at most.
    pub(crate) fn connect(to: &SocketAddr, time: Option<Duration>) -> io::Result<Tcp> {
        let stream = call(to)?;
        in_slices(
            time,
            &mut |slice| match wait_ready(stream.as_raw_fd(), true, slice, u32::MAX) {
                true => Ok(0),
                false => Err(ErrorKind::WouldBlock.into()),
            },
        )?;
        if let Some(e) = stream.take_error()? {
            return Err(e);
        }
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(Tcp {
            stream,
            patience: time,
            set: [Duration::ZERO; 2],
        })
    }

    /// From now on nothing is waited for any longer without a byte moved.
    pub(crate) fn bound(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    /// Reads what has come; `WouldBlock` when that is nothing.
    pub(crate) fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        receive(self.as_raw_fd(), buf, libc::MSG_DONTWAIT)
    }

    /// The other side has neither ended it nor said anything.
    pub(crate) fn is_quiet(&self) -> bool {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let peeked = receive(self.as_raw_fd(), &mut [0], flags);
        peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
    }

    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// As it is known to the standard library; nobody ends its waits.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl Tcp {
    /// Moves some bytes one way, as long as that may take.
    fn pass(
        &mut self,
        writes: bool,
        act: &mut dyn FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let stream = &self.stream;
        let set = &mut self.set[usize::from(writes)];
        in_slices(self.patience, &mut |slice| {
            if *set != slice {
                match writes {
                    true => stream.set_write_timeout(Some(slice))?,
                    false => stream.set_read_timeout(Some(slice))?,
                }
                *set = slice;
            }
            act(stream)
        })
    }
}

impl AsRawFd for Tcp {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl Read for Tcp {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.pass(false, &mut |mut stream| stream.read(buf))
    }
}

impl Write for Tcp {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.pass(true, &mut |mut stream| stream.write(data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn receive(fd: RawFd, buf: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    // SAFETY: the buffer is valid for the call and as long as said.
    check_len(unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), flags) })
}

/// The length of a socket's address for the system.
fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

/// A socket that is being connected: it can be written to once that has come to something.
fn call(to: &SocketAddr) -> io::Result<TcpStream> {
    let family = match to {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the descriptor is new and owned by nobody else.
    let stream = unsafe { TcpStream::from_raw_fd(check(libc::socket(family, kind, 0))?) };
    let fd = stream.as_raw_fd();
    let family = libc::sa_family_t::try_from(family).unwrap_or(0);
    // SAFETY: the addresses are plain data, as long as said, and valid for the calls.
    let called = unsafe {
        match to {
            SocketAddr::V4(to) => {
                let mut address: libc::sockaddr_in = std::mem::zeroed();
                address.sin_family = family;
                address.sin_port = to.port().to_be();
                address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
                let len = length::<libc::sockaddr_in>();
                libc::connect(fd, (&raw const address).cast(), len)
            }
            SocketAddr::V6(to) => {
                let mut address: libc::sockaddr_in6 = std::mem::zeroed();
                address.sin6_family = family;
                address.sin6_port = to.port().to_be();
                address.sin6_flowinfo = to.flowinfo();
                address.sin6_addr.s6_addr = to.ip().octets();
                address.sin6_scope_id = to.scope_id();
                let len = length::<libc::sockaddr_in6>();
                libc::connect(fd, (&raw const address).cast(), len)
            }
        }
    };
    match check(called) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(stream),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::net::TcpListener;

    #[test]
    fn both_kinds_of_addresses_are_reached_and_nothing_is_waited_for_too_long() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "no IPv4");
                continue;
            };
            let place = listener.local_addr().unwrap();
            let mut tcp = Tcp::connect(&place, Some(Duration::from_secs(60))).unwrap();
            let (mut other, _) = listener.accept().unwrap();
            assert_eq!(tcp.peer().unwrap(), place);
            assert!(tcp.is_quiet());
            let none = tcp.read_now(&mut [0; 9]).unwrap_err();
            assert_eq!(none.kind(), ErrorKind::WouldBlock);
            tcp.bound(Some(Duration::from_millis(5)));
            let late = tcp.read(&mut [0; 9]).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TimedOut);
            let full = loop {
                match tcp.write(&[0; 1 << 16]) {
                    Ok(n) => assert!(n > 0),
                    Err(e) => break e,
                }
            };
            assert_eq!(full.kind(), ErrorKind::TimedOut);
            other.write_all(b"hello").unwrap();
            tcp.bound(None);
            let mut word = [0; 5];
            tcp.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"hello");
            drop((listener, other));
            let refused = Tcp::connect(&place, None).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    }
}
