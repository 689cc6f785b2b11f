//! What a failed transport means: errors of ureq, of TLS and of the name look-up as faults with the host's name.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::HeaderMap;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::base::error::Error;
use crate::base::fault::{Class, Fault};
use crate::base::size::show_span;
use crate::base::text;
use crate::net::http::HEADER_MAX_BYTES;
use crate::net::http::link::{Link, port};
use crate::net::proxy::Proxy;
use crate::net::resolve::{self, Names};
use crate::net::tls::{self, Told};

/// Where a request went, for messages.
#[derive(Clone)]
pub(super) struct Place {
    /// With port if given.
    pub(super) host: String,
    pub(super) tls: bool,
    /// `host:port` of the proxy in between.
    proxy: Option<String>,
}

impl Place {
    pub(super) fn of(url: &str, proxy: Option<&Proxy>) -> Place {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Place {
            host: rest[..end].to_owned(),
            tls: scheme == "https",
            proxy: proxy.map(Proxy::shown),
        }
    }

    /// Who failed. `dialling`: the connection was not yet made.
    fn who(&self, dialling: bool) -> String {
        let host = text::safe(self.host.as_bytes());
        match &self.proxy {
            Some(proxy) if dialling => format!("the proxy {proxy}"),
            Some(proxy) if !self.tls => format!("{host} through the proxy {proxy}"),
            _ => host,
        }
    }
}

/// A body that was not at its end in time.
#[derive(Debug)]
pub(super) struct Late {
    pub(super) bound: Duration,
    pub(super) list: bool,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("late")
    }
}

impl std::error::Error for Late {}

impl Late {
    fn fault(&self, who: &str) -> Fault {
        let span = show_span(self.bound.as_secs());
        if self.list {
            return Fault::new(
                Class::Endless,
                format!("listing incomplete: {who} did not come to its end within {span}"),
            )
            .hint("if the server is only slow: a longer --list-timeout");
        }
        Fault::new(
            Class::Transient,
            format!("{who}: the reply did not come to its end within {span}"),
        )
    }
}

/// The fault of a connection that ended before the whole body was sent.
pub(super) fn closed_early(place: &Place) -> Fault {
    let host = text::safe(place.host.as_bytes());
    Fault::new(
        Class::Transient,
        format!("{host}: the server closed the connection early"),
    )
}

/// The fault of a body or connection that failed.
pub(super) fn io_fault(e: &io::Error, place: &Place) -> Fault {
    of_io(e, place, false)
}

fn of_io(e: &io::Error, place: &Place, dialling: bool) -> Fault {
    let inner = e.get_ref();
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<rustls::Error>()) {
        return of_tls(e, place, dialling);
    }
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<ureq::Error>()) {
        return fault(e, place, dialling);
    }
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<Error>()) {
        return Fault::ours(e);
    }
    let who = place.who(dialling);
    if let Some(late) = inner.and_then(|i| i.downcast_ref::<Late>()) {
        return late.fault(&who);
    }
    let why = match e.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection early".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
        io::ErrorKind::ConnectionRefused => {
            return hinted(
                Fault::new(Class::Refused, format!("{who}: connection refused")),
                place,
                dialling,
            );
        }
        _ => crate::base::error::io_text(e),
    };
    let fault = Fault::new(Class::Transient, format!("{who}: {why}"));
    hinted(fault, place, dialling)
}

/// With what to do about a proxy that cannot be reached.
fn hinted(fault: Fault, place: &Place, dialling: bool) -> Fault {
    match (&place.proxy, dialling) {
        (Some(_), true) => fault.hint("--http-proxy=none connects directly"),
        _ => fault,
    }
}

fn of_tls(e: &rustls::Error, place: &Place, dialling: bool) -> Fault {
    let fault = tls::fault(e);
    match (&place.proxy, dialling) {
        (Some(proxy), true) => Fault {
            text: format!("the proxy {proxy}: {}", fault.text),
            ..fault
        },
        _ => fault,
    }
}

/// The fault of a request that got no reply. `dialling`: its connection was not yet made.
pub(super) fn fault(e: &ureq::Error, place: &Place, dialling: bool) -> Fault {
    let who = place.who(dialling);
    match e {
        ureq::Error::Io(e) => of_io(e, place, dialling),
        ureq::Error::Rustls(e) => of_tls(e, place, dialling),
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            let fault = Fault::new(Class::Transient, format!("{who}: no connection in time"));
            hinted(fault, place, dialling)
        }
        ureq::Error::Timeout(_) => {
            Fault::new(Class::Transient, format!("{who}: no answer in time"))
        }
        ureq::Error::Other(e) => {
            if let Some(Told(told)) = e.downcast_ref::<Told>() {
                return Fault {
                    class: told.class,
                    text: told.text.clone(),
                    hint: told.hint.clone(),
                };
            }
            match e.downcast_ref::<NotFound>() {
                Some(missing) => missing.fault(),
                None => Fault::new(Class::Transient, format!("{who}: the connection failed")),
            }
        }
        ureq::Error::Protocol(why) => protocol(&why.to_string(), place, &who),
        ureq::Error::LargeResponseHeader(..) => long_header(&who),
        ureq::Error::Tls(why) => Fault::new(Class::Tls, *why),
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
            Fault::new(Class::Usage, "the destination URL makes no valid request")
        }
        _ => Fault::new(Class::Transient, format!("{who}: the connection failed")),
    }
}

const HEADER_HINT: &str = "that is not a file server's; is another program or a proxy in between?";

/// The fault of a connection on which nothing moved for too long.
pub(super) fn silent(place: &Place) -> Fault {
    let who = place.who(false);
    Fault::new(Class::Transient, format!("{who}: no answer in time"))
}

/// The fault of a header of a reply that is longer than is taken.
fn long_header(who: &str) -> Fault {
    Fault::new(
        Class::Protocol,
        format!(
            "{who}: the header of the reply is longer than {} KiB",
            (HEADER_MAX_BYTES + 1) / 1024
        ),
    )
    .hint(HEADER_HINT)
}

/// As [`long_header`], of a server.
pub(super) fn endless_header(place: &Place) -> Fault {
    long_header(&place.who(false))
}

/// The fault of a reply that the HTTP library does not take.
pub(super) fn not_http(e: &ureq_proto::Error, place: &Place) -> Fault {
    protocol(&e.to_string(), place, &place.who(false))
}

/// The fault of bytes that are no good HTTP; `why` in the words of the HTTP library, whose type has no public name.
fn protocol(why: &str, place: &Place, who: &str) -> Fault {
    let bad = |what: &str| Fault::new(Class::Protocol, format!("{who}: {what}"));
    if why.contains("too many headers") {
        return bad(&format!(
            "the header of the reply has more than {HEADERS_MAX} lines"
        ))
        .hint(HEADER_HINT);
    }
    if why.contains("content-length") {
        return bad("the header of the reply does not say how long it is");
    }
    if why.contains("chunk") {
        return bad("the reply is broken in the middle");
    }
    let fault = bad("the reply is not HTTP");
    match place.tls {
        true => fault,
        false => fault.hint("if the server speaks TLS on this port, use use-ssl=true"),
    }
}

/// Lines of a header that the HTTP library takes.
const HEADERS_MAX: usize = 128;

/// A host without address.
#[derive(Debug)]
struct NotFound {
    host: String,
    /// It is the proxy's.
    proxy: bool,
    why: String,
}

impl NotFound {
    fn fault(&self) -> Fault {
        let NotFound { host, why, .. } = self;
        let class = resolve::class(why);
        if self.proxy {
            return Fault::new(class, format!("cannot resolve the proxy '{host}': {why}"))
                .hint("--http-proxy=none connects directly");
        }
        Fault::new(class, format!("cannot resolve '{host}': {why}"))
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve {}", self.host)
    }
}

impl std::error::Error for NotFound {}

/// `net::resolve` as ureq wants it: the addresses to connect to, which are the proxy's where there is one.
#[derive(Clone, Debug)]
pub(super) struct OwnResolver {
    names: Arc<Mutex<Names>>,
    link: Arc<Link>,
}

impl OwnResolver {
    pub(super) fn new(link: Arc<Link>) -> OwnResolver {
        OwnResolver {
            names: Arc::default(),
            link,
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to connect to for a URL that needs no proxy; nothing where that cannot be told.
    pub(super) fn addresses(&self, uri: &ureq::http::Uri) -> Vec<std::net::SocketAddr> {
        let host = uri.host().unwrap_or_default();
        let mut names = self.names();
        let found = names.get(host, Instant::now(), &mut resolve::resolve);
        let ips = found.unwrap_or_default();
        let ips = ips.iter().take(resolve::ADDRESSES_MAX);
        ips.map(|ip| std::net::SocketAddr::new(*ip, port(uri)))
            .collect()
    }

    /// The next request asks for its host again.
    pub(super) fn forget(&self) {
        self.names().forget();
    }
}

impl Resolver for OwnResolver {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let refused = |why| Told(Fault::new(Class::Usage, why)).into_error();
        let proxy = self.link.proxy(uri).map_err(refused)?;
        let (host, port) = match proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (uri.host().unwrap_or_default(), port(uri)),
        };
        let not_found = |why| {
            ureq::Error::Other(Box::new(NotFound {
                host: text::safe_cut(host.as_bytes(), 100),
                proxy: proxy.is_some(),
                why,
            }))
        };
        let mut names = self.names();
        let found = names.get(host, Instant::now(), &mut resolve::resolve);
        let mut out = self.empty();
        for ip in found
            .map_err(not_found)?
            .iter()
            .take(resolve::ADDRESSES_MAX)
        {
            out.push(std::net::SocketAddr::new(*ip, port));
        }
        if out.is_empty() {
            return Err(not_found("no such host".to_owned()));
        }
        Ok(out)
    }
}

/// True for a reply in absolute form that the proxy made itself, as far as one can see.
pub(super) fn by_proxy(status: u16, headers: &HeaderMap) -> bool {
    let says = |name: &str, words: &[&str]| {
        let value = headers.get(name).and_then(|v| v.to_str().ok());
        let value = value.unwrap_or("").to_ascii_lowercase();
        words.iter().any(|w| value.contains(w))
    };
    match status {
        407 | 502 | 504 => true,
        400 | 403 | 405 | 501 | 503 => {
            headers.contains_key("x-squid-error")
                || headers.contains_key("proxy-status")
                || headers.contains_key("proxy-authenticate")
                || says("server", &["squid", "tinyproxy", "privoxy", "proxy"])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let p = Place::of("https://h:8443/p?x=http://y", None);
        assert_eq!((p.host.as_str(), p.tls), ("h:8443", true));
        assert_eq!(Place::of("http://h?x", None).host, "h");
    }
}
