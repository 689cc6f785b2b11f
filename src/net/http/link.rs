//! How a connection comes to be: straight to the server, or through a proxy, which is asked with `CONNECT` for what goes over
//! TLS and in absolute form (RFC 9112, 3.2.2) for what does not.
//!
//! The chain of connectors is [`Dial`], TCP, [`Through`], TLS to the server. Addresses are those that `fault::OwnResolver`
//! gives, so TCP already leads to the proxy where there is one.

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
#[cfg(feature = "overlap")]
use std::time::Instant;

use rustls::ClientConfig;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use crate::base::fault::{Class, Fault};
#[cfg(feature = "overlap")]
use crate::net::http::handed::Handed;
#[cfg(feature = "overlap")]
use crate::net::http::line::Line;
use crate::net::http::user_agent;
use crate::net::proxy::{Proxies, Proxy};
use crate::net::tls::{self, Connects, Stage, Told};

/// A connection that was idle for longer is not used again: servers may have ended it.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(15);
/// Longest head of an answer to `CONNECT`.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// What the connectors and the client share.
pub(super) struct Link {
    pub(super) proxies: Proxies,
    pub(super) connects: Arc<Connects>,
    /// `http://host:port` of the next request in absolute form, until its first line is written.
    absolute: Mutex<Option<String>>,
    /// Connections are used again.
    #[cfg(feature = "overlap")]
    keeps: bool,
    #[cfg(feature = "overlap")]
    handed: Mutex<Option<HandedOver>>,
}

/// A connection that a flight is done with: to which origin, and since when.
#[cfg(feature = "overlap")]
struct HandedOver {
    origin: String,
    line: Line,
    since: Instant,
}

impl Link {
    /// `keeps`: connections are used again.
    #[cfg_attr(
        not(feature = "overlap"),
        allow(unused_variables, reason = "there are no flights")
    )]
    pub(super) fn new(proxies: Proxies, keeps: bool) -> Link {
        Link {
            #[cfg(feature = "overlap")]
            keeps,
            #[cfg(feature = "overlap")]
            handed: Mutex::new(None),
            proxies,
            connects: Arc::new(Connects::new()),
            absolute: Mutex::new(None),
        }
    }

    /// The proxy for a URL.
    pub(super) fn proxy(&self, uri: &Uri) -> Result<Option<&Proxy>, String> {
        let tls = uri.scheme_str() == Some("https");
        self.proxies
            .of(tls, uri.host().unwrap_or_default(), port(uri))
    }

    /// Sets what the first line of the next request needs before its path.
    pub(super) fn next_absolute(&self, origin: Option<String>) {
        *self.absolute.lock().unwrap_or_else(PoisonError::into_inner) = origin;
    }

    /// Keeps a connection for the next request to its origin that would make one.
    #[cfg(feature = "overlap")]
    pub(super) fn hand_over(&self, uri: &Uri, line: Line) {
        let handed = HandedOver {
            origin: origin(uri),
            line,
            since: Instant::now(),
        };
        let mut held = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(handed).filter(|_| self.keeps);
    }

    /// Such a connection, if it is still good.
    #[cfg(feature = "overlap")]
    fn take_handed(&self, uri: &Uri) -> Option<Line> {
        let mut held = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let handed = held.take().filter(|h| h.origin == origin(uri))?;
        let good = handed.since.elapsed() < IDLE_MAX && handed.line.is_quiet();
        good.then_some(handed.line)
    }

    fn take_absolute(&self) -> Option<String> {
        let mut held = self.absolute.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

#[cfg(feature = "overlap")]
fn origin(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    format!("{scheme} {host} {}", port(uri))
}

/// The port of a URL, also where it names none.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    })
}

/// First link of the chain: notes that a connection is being made.
#[derive(Debug)]
pub(super) struct Dial(pub(super) Arc<Link>);

#[cfg(feature = "overlap")]
impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Handed>;

    /// The connection of a flight that has landed is as good as one of the pool, and counts as such.
    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connects.at(Stage::Dialling);
        Ok(match self.0.take_handed(details.uri) {
            Some(line) => {
                self.0.connects.reuse();
                Some(Either::B(Handed::new(line, details)))
            }
            None => chained.map(Either::A),
        })
    }
}

#[cfg(not(feature = "overlap"))]
impl<In: Transport> Connector<In> for Dial {
    type Out = In;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<In>, ureq::Error> {
        self.0.connects.at(Stage::Dialling);
        Ok(chained)
    }
}

/// Link after TCP: goes through the proxy where there is one.
#[derive(Debug)]
pub(super) struct Through {
    pub(super) link: Arc<Link>,
    pub(super) config: Arc<ClientConfig>,
}

impl<In: Transport> Connector<In> for Through {
    type Out = Either<In, Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        let refused = |why| Told(Fault::new(Class::Usage, why)).into_error();
        let Some(proxy) = self.link.proxy(details.uri).map_err(refused)? else {
            self.link.connects.at(Stage::Connected);
            return Ok(Some(Either::A(transport)));
        };
        let mut transport = transport.boxed();
        if proxy.tls {
            transport =
                tls::open(&self.config, (&proxy.host, proxy.port), transport, details)?.boxed();
        }
        let out: Box<dyn Transport> = if details.needs_tls() {
            Box::new(Tunnel(ask(proxy, transport, details)?))
        } else {
            Box::new(Absolute {
                inner: transport,
                link: self.link.clone(),
            })
        };
        self.link.connects.at(Stage::Connected);
        Ok(Some(Either::B(out)))
    }
}

/// Asks a proxy for a tunnel to the host of the request.
fn ask(
    proxy: &Proxy,
    transport: Box<dyn Transport>,
    details: &ConnectionDetails,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let (host, port) = (details.uri.host().unwrap_or_default(), port(details.uri));
    let mut text = format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {}\r\nProxy-Connection: Keep-Alive\r\n",
        user_agent()
    );
    if let Some(login) = &proxy.login {
        text.push_str(&format!("Proxy-Authorization: {}\r\n", login.reveal()));
    }
    text.push_str("\r\n");
    let mut line = TransportAdapter::new(transport, details.current_time.clone());
    line.set_timeout(details.timeout);
    line.write_all(text.as_bytes())?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !(head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n")) {
        if head.len() >= ANSWER_MAX_BYTES {
            return Err(not_a_proxy(proxy));
        }
        match line.read(&mut byte) {
            Ok(0) if head.is_empty() => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            Ok(0) => break,
            Ok(_) => head.push(byte[0]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    match status(&head) {
        Some(200..=299) => Ok(line.into_inner()),
        Some(status) => {
            let fault = refusal(proxy, status, &format!("{host}:{port}"));
            Err(Told(fault).into_error())
        }
        None => Err(not_a_proxy(proxy)),
    }
}

/// Status in the first line of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|&b| b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?;
    let status = rest.split_ascii_whitespace().nth(1)?;
    status.parse().ok().filter(|s| (100..600).contains(s))
}

fn not_a_proxy(proxy: &Proxy) -> ureq::Error {
    Told(
        Fault::new(
            Class::Protocol,
            format!("what answers at {} is no HTTP proxy", proxy.shown()),
        )
        .hint("check --http-proxy or https_proxy; --http-proxy=none connects directly"),
    )
    .into_error()
}

/// The fault of a proxy that does not do what it was asked for.
pub(super) fn refusal(proxy: &Proxy, status: u16, target: &str) -> Fault {
    let shown = proxy.shown();
    let target = crate::base::text::safe_cut(target.as_bytes(), 100);
    match status {
        407 if proxy.login.is_some() => {
            Fault::new(Class::Auth, format!("the proxy {shown} rejects the login"))
                .hint("check user name and password in the proxy's URL, special characters as %40")
        }
        407 => Fault::new(Class::Auth, format!("the proxy {shown} wants a login"))
            .hint("give it as --http-proxy=http://user:password@host:port"),
        408 | 429 | 500..=599 => Fault::new(
            Class::Transient,
            format!("the proxy {shown} cannot reach {target}, it says {status}"),
        ),
        _ => Fault::new(
            Class::Auth,
            format!("the proxy {shown} does not allow {target}, it says {status}"),
        )
        .hint("ask who runs it, or list the host in no_proxy to connect directly"),
    }
}

/// A way through a proxy that is not yet TLS to the server, whatever it is to the proxy.
#[derive(Debug)]
struct Tunnel(Box<dyn Transport>);

impl Transport for Tunnel {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        false
    }
}

/// A connection to a proxy that takes requests in absolute form: puts the origin before the path of each first line.
#[derive(Debug)]
struct Absolute {
    inner: Box<dyn Transport>,
    link: Arc<Link>,
}

impl Transport for Absolute {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let Some(origin) = self.link.take_absolute() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let output = self.inner.buffers().output();
        let line = &output[..amount.min(output.len())];
        let at = line.iter().position(|&b| b == b' ').map_or(0, |at| at + 1);
        let rest = line[at..].to_vec();
        let place = output.get_mut(at..at + origin.len());
        let Some(place) = place else {
            return Err(ureq::Error::from(io::Error::other(
                "a request line is too long",
            )));
        };
        place.copy_from_slice(origin.as_bytes());
        let head = at + origin.len();
        let fits = output.get_mut(head..head + rest.len());
        if let Some(place) = fits {
            place.copy_from_slice(&rest);
            return self.inner.transmit_output(head + rest.len(), timeout);
        }
        self.inner.transmit_output(head, timeout)?;
        let output = self.inner.buffers().output();
        output[..rest.len()].copy_from_slice(&rest);
        self.inner.transmit_output(rest.len(), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_connect() {
        for (head, want) in [
            (
                &b"HTTP/1.1 200 Connection established\r\n\r\n"[..],
                Some(200),
            ),
            (b"HTTP/1.0 200\n\n", Some(200)),
            (b"HTTP/1.1 407 X\r\nA: b\r\n\r\n", Some(407)),
            (b"HTTP/1.1 99 X\r\n\r\n", None),
            (b"HTTP/2 200\r\n\r\n", None),
            (b"SSH-2.0-OpenSSH\r\n", None),
            (b"\xff\xfe", None),
            (b"", None),
        ] {
            assert_eq!(status(head), want);
        }
    }
}
