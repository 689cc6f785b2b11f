//! A connection that never blocks: bytes in and out as far as they go now, through TLS or not.

use std::io::{self, Read as _, Write as _};
#[cfg(feature = "dest-ftp")]
use std::net::Shutdown;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};

use crate::base::sys::Tcp;
use crate::net::tls;

/// What TLS holds back for the socket, in bytes.
const HELD_BYTES: usize = 64 * 1024;
/// Addresses that are tried.
const ADDRESSES_TRIED: usize = 2;

/// A connection to a server, made but not used yet or in use.
pub(crate) struct Line {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// What a read came to.
pub(crate) enum Got {
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The other side has ended the connection.
    End,
}

impl Line {
    /// Connects, and speaks TLS where there is a `config` for it, waiting for each of both for `patience` at most. `host` is the
    /// name that the certificate has to be for.
    pub(super) fn open(
        addresses: &[SocketAddr],
        patience: Duration,
        (config, host): (Option<&Arc<ClientConfig>>, &str),
    ) -> Option<Line> {
        let mut addresses = addresses.iter().take(ADDRESSES_TRIED);
        let mut tcp = addresses.find_map(|a| Tcp::connect(a, Some(patience)).ok())?;
        let mut tls = None;
        if let Some(config) = config {
            let mut conn = tls::client(config, host).ok()?;
            conn.set_buffer_limit(Some(HELD_BYTES));
            let begun = Instant::now();
            while conn.is_handshaking() && begun.elapsed() < patience {
                while conn.wants_write() {
                    conn.write_tls(&mut tcp).ok()?;
                }
                if conn.is_handshaking() && conn.read_tls(&mut tcp).ok()? == 0 {
                    return None;
                }
                conn.process_new_packets().ok()?;
            }
            tls = Some(Box::new(conn)).filter(|conn| !conn.is_handshaking());
            tls.as_ref()?;
        }
        let tcp = tcp.into_stream();
        tcp.set_nonblocking(true).ok()?;
        Some(Line { tcp, tls })
    }

    /// Of a connection that is made, and TLS on it that is agreed on.
    #[cfg(feature = "dest-ftp")]
    pub(crate) fn of(tcp: TcpStream, tls: Option<Box<ClientConnection>>) -> io::Result<Line> {
        tcp.set_nonblocking(true)?;
        Ok(Line { tcp, tls })
    }

    #[cfg(any(feature = "overlap", feature = "dest-ftp"))]
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Nothing more is to be sent; what that takes goes with the next [`Line::flush`].
    #[cfg(feature = "dest-ftp")]
    pub(crate) fn say_end(&mut self) {
        if let Some(conn) = &mut self.tls {
            conn.send_close_notify();
        }
    }

    /// Ends what goes out.
    #[cfg(feature = "dest-ftp")]
    pub(crate) fn shut(&self) -> io::Result<()> {
        self.tcp.shutdown(Shutdown::Write)
    }

    /// The other side has neither ended it nor said anything.
    #[cfg(feature = "overlap")]
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.tcp.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.tcp.as_raw_fd()
    }

    /// Hands to the system what it takes now of what is left of `out` behind `at`: whether a byte moved, and whether that was all.
    pub(crate) fn push(&mut self, out: &[u8], at: &mut usize) -> io::Result<(bool, bool)> {
        let mut any = false;
        loop {
            let rest = out.get(*at..).unwrap_or_default();
            let taken = match rest.is_empty() {
                true => 0,
                false => self.write(rest)?,
            };
            *at += taken;
            let (moved, all) = self.flush()?;
            any |= moved > 0 || taken > 0;
            if *at >= out.len() {
                return Ok((any, all));
            }
            if taken == 0 || !all {
                return Ok((any, false));
            }
        }
    }

    /// Takes as many bytes as go now, perhaps none.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(conn) => conn.writer().write(data),
            None => now(|| self.tcp.write(data)).map(|n| n.unwrap_or(0)),
        }
    }

    /// Hands what was written to the system: how many bytes went now, and whether that was all.
    pub(crate) fn flush(&mut self) -> io::Result<(usize, bool)> {
        let Some(conn) = &mut self.tls else {
            return Ok((0, true));
        };
        let mut moved = 0;
        while conn.wants_write() {
            match now(|| conn.write_tls(&mut self.tcp))? {
                Some(0) => return Err(io::ErrorKind::WriteZero.into()),
                Some(n) => moved += n,
                None => return Ok((moved, false)),
            }
        }
        Ok((moved, true))
    }

    /// Bytes that are there.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<Got> {
        let got = |n| match n {
            Some(0) => Got::End,
            Some(n) => Got::Bytes(n),
            None => Got::Nothing,
        };
        let Some(conn) = &mut self.tls else {
            return now(|| self.tcp.read(buf)).map(got);
        };
        loop {
            if let Some(n) = now(|| conn.reader().read(buf))? {
                return Ok(got(Some(n)));
            }
            if now(|| conn.read_tls(&mut self.tcp))?.is_none() {
                return Ok(Got::Nothing);
            }
            conn.process_new_packets()
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
    }
}

/// `None` for what would have to wait; again after a signal.
fn now<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
    loop {
        return match act() {
            Ok(done) => Ok(Some(done)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
    }
}
