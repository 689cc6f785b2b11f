//! What a failed transport means: errors of ureq, of TLS and of the name look-up as faults with the host's name.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::base::error::Error;
use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::net::resolve::{self, Names};
use crate::net::tls;

/// Where a request went, for messages.
#[derive(Clone)]
pub(super) struct Place {
    /// With port if given.
    pub(super) host: String,
    pub(super) tls: bool,
}

impl Place {
    pub(super) fn of(url: &str) -> Place {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Place {
            host: rest[..end].to_owned(),
            tls: scheme == "https",
        }
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
    let inner = e.get_ref();
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<rustls::Error>()) {
        return tls::fault(e);
    }
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<ureq::Error>()) {
        return fault(e, place);
    }
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<Error>()) {
        return Fault::new(Class::Local, e.to_string());
    }
    let why = match e.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection early".to_owned(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
        _ => crate::base::error::io_text(e),
    };
    Fault::new(
        Class::Transient,
        format!("{}: {why}", text::safe(place.host.as_bytes())),
    )
}

/// The fault of a request that got no reply.
pub(super) fn fault(e: &ureq::Error, place: &Place) -> Fault {
    let host = text::safe(place.host.as_bytes());
    match e {
        ureq::Error::Io(e) => io_fault(e, place),
        ureq::Error::Rustls(e) => tls::fault(e),
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            Fault::new(Class::Transient, format!("{host}: no connection in time"))
        }
        ureq::Error::Timeout(_) => {
            Fault::new(Class::Transient, format!("{host}: no answer in time"))
        }
        ureq::Error::Other(e) => match e.downcast_ref::<NotFound>() {
            Some(NotFound { host, why }) => {
                Fault::new(Class::Transient, format!("cannot resolve '{host}': {why}"))
            }
            None => Fault::new(Class::Transient, format!("{host}: the connection failed")),
        },
        ureq::Error::HostNotFound => {
            Fault::new(Class::Transient, format!("cannot resolve '{host}'"))
        }
        ureq::Error::Protocol(why) => {
            let f = Fault::new(
                Class::Protocol,
                format!(
                    "{host}: the reply is not HTTP: {}",
                    text::safe_cut(why.to_string().as_bytes(), 80)
                ),
            );
            if place.tls {
                f
            } else {
                f.hint("if the server speaks TLS on this port, use use-ssl=true")
            }
        }
        ureq::Error::LargeResponseHeader(..) => Fault::new(
            Class::Protocol,
            format!("{host}: the header of the reply is too long"),
        ),
        ureq::Error::ConnectProxyFailed(why) if why.contains("407") => {
            Fault::new(Class::Auth, "the proxy wants a login")
                .hint("give it as --http-proxy=http://user:password@host:port")
        }
        ureq::Error::ConnectProxyFailed(why) => Fault::new(
            Class::Transient,
            format!(
                "the proxy does not connect: {}",
                text::safe_cut(why.as_bytes(), 80)
            ),
        ),
        ureq::Error::Tls(why) => Fault::new(Class::Tls, *why),
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
            Fault::new(Class::Usage, "the destination URL makes no valid request")
        }
        ureq::Error::BodyStalled | ureq::Error::ConnectionFailed => {
            Fault::new(Class::Transient, format!("{host}: the connection failed"))
        }
        other => Fault::new(
            Class::Transient,
            format!(
                "{host}: {}",
                text::safe_cut(other.to_string().as_bytes(), 100)
            ),
        ),
    }
}

/// A host without address.
#[derive(Debug)]
struct NotFound {
    host: String,
    why: String,
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot resolve {}", self.host)
    }
}

impl std::error::Error for NotFound {}

/// `net::resolve` as ureq wants it.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnResolver(Arc<Mutex<Names>>);

impl OwnResolver {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        });
        let not_found = |why| {
            ureq::Error::Other(Box::new(NotFound {
                host: text::safe_cut(host.as_bytes(), 100),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let p = Place::of("https://h:8443/p?x=http://y");
        assert_eq!((p.host.as_str(), p.tls), ("h:8443", true));
        assert_eq!(Place::of("http://h?x").host, "h");
    }
}
