//! Connections to the server, in the clear or in TLS, with an end to every wait; the one for commands gives replies.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};

use super::wire::{REPLY_MAX, Replies, Reply};
use crate::base::secret::Secret;
use crate::base::sys::Tcp;
use crate::base::transfer::FLIES;
use crate::dest::folders::Wait;
use crate::net::http::line::Line;

/// A socket whose waits have an end.
pub(super) struct Sock {
    tcp: Tcp,
    wait: Wait,
    /// Nothing is waited for at all.
    glances: bool,
}

impl Sock {
    pub(super) fn connect(to: SocketAddr, wait: Wait) -> io::Result<Sock> {
        Ok(Sock {
            tcp: Tcp::connect(&to, Some(left(wait)?))?,
            wait,
            glances: false,
        })
    }

    pub(super) fn bound(&mut self, wait: Wait) {
        self.wait = wait;
    }

    pub(super) fn peer(&self) -> io::Result<SocketAddr> {
        self.tcp.peer()
    }

    fn ready(&mut self) -> io::Result<()> {
        self.tcp.bound(Some(left(self.wait)?));
        Ok(())
    }
}

/// How long may now be waited.
fn left(wait: Wait) -> io::Result<Duration> {
    let left = wait
        .end
        .map(|end| end.saturating_duration_since(Instant::now()));
    let left = left.map_or(wait.pause, |left| left.min(wait.pause));
    match left.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

impl Read for Sock {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if FLIES && self.glances {
            return self.tcp.read_now(buf);
        }
        self.ready()?;
        self.tcp.read(buf)
    }
}

impl Write for Sock {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.ready()?;
        self.tcp.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS for control and data connections alike: servers want the data's to go on with the session of the control's, and a session
/// is found again by set-up and name.
#[derive(Clone)]
pub(super) struct Cover {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// A connection.
pub(super) enum Stream {
    Plain(Sock),
    Tls(Box<StreamOwned<ClientConnection, Sock>>),
}

impl Stream {
    /// Begins TLS.
    pub(super) fn covered(mut sock: Sock, cover: &Cover) -> io::Result<Stream> {
        let conn = ClientConnection::new(cover.config.clone(), cover.name.clone());
        let mut conn = conn.map_err(io::Error::other)?;
        while conn.is_handshaking() {
            conn.complete_io(&mut sock)?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(conn, sock))))
    }

    pub(super) fn sock(&mut self) -> &mut Sock {
        match self {
            Stream::Plain(sock) => sock,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }

    /// Reads what has come; `WouldBlock` when that is nothing.
    pub(super) fn read_now(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.sock().glances = true;
        self.read(buf)
    }

    /// Reads wait again, for so long.
    pub(super) fn wait(&mut self, wait: Wait) {
        self.sock().bound(wait);
        self.sock().glances = false;
    }

    /// True in a version of TLS whose sessions are good for one connection each.
    pub(super) fn is_tls13(&self) -> bool {
        matches!(self, Stream::Tls(tls) if tls.conn.protocol_version() == Some(ProtocolVersion::TLSv1_3))
    }

    /// The end of a download; nothing is waited for, as some servers wait for us.
    pub(super) fn end_download(mut self) {
        if let Stream::Tls(tls) = &mut self {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }

    /// The same connection, on which nothing waits.
    pub(super) fn into_line(self) -> io::Result<Line> {
        match self {
            Stream::Plain(sock) => Line::of(sock.tcp.into_stream(), None),
            Stream::Tls(tls) => {
                let (conn, sock) = tls.into_parts();
                Line::of(sock.tcp.into_stream(), Some(Box::new(conn)))
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(sock) => sock.read(buf),
            Stream::Tls(tls) => tls.read(buf).map_err(last_words),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(sock) => sock.write(data),
            Stream::Tls(tls) => tls.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(sock) => sock.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// Why there is no reply.
pub(super) enum Broken {
    /// The server has ended the conversation.
    Ended,
    Failed(io::Error),
    /// What came is no reply; how it begins.
    Foreign(String),
}

/// The connection for commands. Memory: a reply, at most 64 KiB.
pub(super) struct Control {
    /// `None` only while TLS is begun.
    stream: Option<Stream>,
    /// What came and was not taken yet.
    input: Vec<u8>,
    replies: Replies,
}

impl Control {
    pub(super) fn new(stream: Stream) -> Control {
        Control {
            stream: Some(stream),
            input: Vec::new(),
            replies: Replies::default(),
        }
    }

    /// The connection; absent where TLS failed.
    pub(super) fn stream(&mut self) -> io::Result<&mut Stream> {
        self.stream
            .as_mut()
            .ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Begins TLS on it.
    pub(super) fn cover(&mut self, cover: &Cover) -> io::Result<()> {
        // What came before must not count as said within it.
        if !self.input.is_empty() {
            return Err(ErrorKind::InvalidData.into());
        }
        if let Some(Stream::Plain(sock)) = self.stream.take() {
            self.stream = Some(Stream::covered(sock, cover)?);
        }
        Ok(())
    }

    /// Sends a command; `line` has no end of line in it.
    pub(super) fn send(&mut self, line: &str, wait: Wait) -> io::Result<()> {
        let stream = self.stream()?;
        stream.sock().bound(wait);
        // It may be a password.
        let line = Secret::new(format!("{line}\r\n"));
        stream.write_all(line.reveal().as_bytes())?;
        stream.flush()
    }

    /// The next reply.
    pub(super) fn reply(&mut self, wait: Wait) -> Result<Reply, Broken> {
        self.stream().map_err(Broken::Failed)?.sock().bound(wait);
        let mut looked = 0;
        loop {
            if let Some(end) = self.input[looked..].iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.input.drain(..=looked + end).collect();
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches(['\r', '\n']);
                looked = 0;
                match self.replies.push(line) {
                    Ok(true) => return Ok(self.replies.take()),
                    Ok(false) => continue,
                    Err(_) => return Err(Broken::Foreign(line.to_owned())),
                }
            }
            looked = self.input.len();
            if looked > REPLY_MAX {
                return Err(self.foreign());
            }
            let mut buffer = [0; 1024];
            match self.stream().and_then(|s| s.read(&mut buffer)) {
                Ok(0) if looked > 0 => return Err(self.foreign()),
                Ok(0) => return Err(Broken::Ended),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(e) if is_end(&e) => return Err(Broken::Ended),
                Err(e) => return Err(Broken::Failed(e)),
            }
        }
    }

    fn foreign(&self) -> Broken {
        let head = &self.input[..self.input.len().min(100)];
        Broken::Foreign(String::from_utf8_lossy(head).into_owned())
    }

    /// What is to be watched for the next reply; `None` where TLS failed.
    pub(super) fn fd(&self) -> Option<RawFd> {
        match self.stream.as_ref()? {
            Stream::Plain(sock) => Some(sock.tcp.as_raw_fd()),
            Stream::Tls(tls) => Some(tls.sock.tcp.as_raw_fd()),
        }
    }

    /// False when the server has hung up or says something that nobody asked for, as it does before it hangs up.
    pub(super) fn is_well(&mut self) -> bool {
        let is_empty = self.input.is_empty();
        is_empty && self.stream().is_ok_and(|s| s.sock().tcp.is_quiet())
    }
}

/// A server that dies says so in the clear on a connection in TLS, as vsftpd does: that is an end, and nothing is wrong with its TLS.
fn last_words(e: io::Error) -> io::Error {
    let inner = e.get_ref().and_then(|i| i.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => ErrorKind::ConnectionAborted.into(),
        _ => e,
    }
}

/// True for the ways in which a connection ends.
pub(super) fn is_end(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}
