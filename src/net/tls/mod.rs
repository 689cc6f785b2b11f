//! TLS (`destinations-core.md` 0.6): rustls with ring under ureq's connections.
//!
//! Which certificates are good is `verify`'s business.

mod certificate;
mod refusal;
mod verify;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::base::transfer::FLIES;

pub(crate) use crate::net::tls::refusal::{fault, may_be_the_key};
pub(crate) use crate::net::tls::verify::{Tls, config};

/// How far a request has come with its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A connection that is there is used, or none was tried.
    Idle,
    /// The server, or the proxy before it, is called.
    Dialling,
    /// There is a way to the server; TLS may be missing.
    Connected,
    Ready,
}

/// Connections made so far and when the last one was ready, so that `http` can tell a reused connection from a new one.
#[derive(Debug)]
pub(crate) struct Connects {
    made: AtomicUsize,
    base: Instant,
    ready_millis: AtomicUsize,
    stage: AtomicUsize,
    /// The connection being made is one that was made before.
    reused: AtomicBool,
}

impl Connects {
    pub(crate) fn new() -> Connects {
        Connects {
            made: AtomicUsize::new(0),
            base: Instant::now(),
            ready_millis: AtomicUsize::new(0),
            stage: AtomicUsize::new(Stage::Idle as usize),
            reused: AtomicBool::new(false),
        }
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Milliseconds since this was made.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When the last connection was ready, on the scale of [`Connects::now`]; where words have 32 bits, exact for 49 days.
    pub(crate) fn ready(&self) -> u64 {
        self.ready_millis.load(Ordering::Relaxed) as u64
    }

    pub(crate) fn at(&self, stage: Stage) {
        self.stage.store(stage as usize, Ordering::Relaxed);
    }

    pub(crate) fn is_at(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Relaxed) == stage as usize
    }

    /// The connection that comes next is not a new one.
    #[cfg(feature = "overlap")]
    pub(crate) fn reuse(&self) {
        self.reused.store(true, Ordering::Relaxed);
    }

    fn note(&self) {
        if !(FLIES && self.reused.swap(false, Ordering::Relaxed)) {
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        // Not every processor has atomic 64-bit numbers.
        let now = usize::try_from(self.now()).unwrap_or(usize::MAX);
        self.ready_millis.store(now, Ordering::Relaxed);
        self.at(Stage::Ready);
    }
}

/// A fault on its way out of a connector.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Fault);

impl Told {
    pub(crate) fn into_error(self) -> ureq::Error {
        ureq::Error::Other(Box::new(self))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Told {}

/// Last link of the connector chain: wraps the connection in TLS where the URL asks for it.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) connects: Arc<Connects>,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> std::result::Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            self.connects.note();
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let place = (host, details.uri.port_u16().unwrap_or(443));
        let stream = open(&self.config, place, transport.boxed(), details)?;
        self.connects.note();
        Ok(Some(Either::B(stream)))
    }
}

/// The client's side of a connection in TLS; `host` is the name its certificate has to be for.
pub(crate) fn client(
    config: &Arc<ClientConfig>,
    host: &str,
) -> std::result::Result<ClientConnection, ureq::Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|_| ureq::Error::Tls("the host name cannot be in a certificate"))?;
    Ok(ClientConnection::new(config.clone(), name)?)
}

/// Speaks TLS over a connection; `host` is the name its certificate has to be for.
pub(crate) fn open(
    config: &Arc<ClientConfig>,
    (host, port): (&str, u16),
    transport: Box<dyn Transport>,
    details: &ConnectionDetails,
) -> std::result::Result<TlsTransport, ureq::Error> {
    let mut conn = client(config, host)?;
    let mut sock = TransportAdapter::new(transport, details.current_time.clone());
    sock.set_timeout(details.timeout);
    if let Err(e) = conn.complete_io(&mut sock) {
        return Err(
            match silent(&e).filter(|_| conn.protocol_version().is_none()) {
                Some(what) => Told(no_tls(&format!("{host}:{port}"), what)).into_error(),
                None => e.into(),
            },
        );
    }
    Ok(TlsTransport {
        buffers: LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        ),
        stream: StreamOwned { conn, sock },
    })
}

/// What a server did that said nothing of TLS at all, for people.
fn silent(e: &io::Error) -> Option<&'static str> {
    let timed_out = e
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<ureq::Error>())
        .is_some_and(|inner| matches!(inner, ureq::Error::Timeout(_)));
    match e.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Some("the server closed the connection"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Some("the server said nothing"),
        _ if timed_out => Some("the server said nothing"),
        _ => None,
    }
}

fn no_tls(place: &str, what: &str) -> Fault {
    let place = text::safe_cut(place.as_bytes(), 100);
    Fault::new(
        Class::Refused,
        format!("{place}: {what} when TLS was begun; it may not speak TLS on this port"),
    )
    .hint("use another port, or no TLS: use-ssl=false, or a URL without the s")
}

/// A connection inside TLS.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match self.stream.read(input) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
