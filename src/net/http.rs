//! HTTP requests over ureq with what destinations need (`destinations-core.md` 0.5): one blocking request at a time, own
//! timeouts, `Expect`, a quiet repeat on a stale connection, replies as streams, transport errors as faults.
//!
//! Follows no redirect, judges no status, retries nothing else.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Request as HttpRequest};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector as _, NextTimeout, TcpConnector,
};

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::base::time::Civil;
use crate::net::opts;
use crate::net::resolve;
use crate::net::tls::{self, Connects, TlsConnector};

const BUFFER_BYTES: usize = 16 * 1024;
/// Longest reply header.
const HEADER_MAX_BYTES: usize = 32 * 1024;
/// Longest path with query.
const TARGET_MAX_BYTES: usize = 8 * 1024;
/// As much of an error body is read.
const ERROR_MAX_BYTES: u64 = 16 * 1024;
/// Wait for `100 Continue` before a body is sent unasked.
const EXPECT_WAIT: Duration = Duration::from_secs(1);
/// Bodies from this length on are announced with `Expect`.
const EXPECT_FROM_BYTES: u64 = 1 << 20;
/// Longest wait for the reply to an uploaded body.
const UPLOAD_REPLY: Duration = Duration::from_secs(600);

/// What is sent.
pub(crate) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// Exactly so many bytes; the reader fails rather than end early.
    Stream(&'a mut dyn Read, u64),
}

/// How long the reply may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A small question with a small answer.
    Short,
    /// A listing.
    List,
    /// The reply's body is the transfer.
    Download,
    /// The request's body is the transfer.
    Upload,
}

/// One request. The URL goes out byte for byte.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// `http://` or `https://`, authority, encoded path and query.
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) payload: Payload<'a>,
    pub(crate) pace: Pace,
    /// Ask before sending a large body.
    pub(crate) expect: bool,
}

/// The client: at most one idle connection, no thread, no redirect, no cookie, no decompression.
pub(crate) struct Http {
    agent: Agent,
    connects: Arc<Connects>,
    short: Duration,
    list: Duration,
    transfer: Duration,
    upload_reply: Duration,
    expect: bool,
    expired_expects: u32,
}

impl Http {
    /// Reads the options of `net::opts`. No network.
    pub(crate) fn new(options: &Options) -> Result<Http> {
        let span = |opt, least: u64| {
            let seconds = options.span(opt).unwrap_or(30);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(least))
        };
        let operation = options.given(opts::OPERATION_TIMEOUT.name).is_some();
        let list = if operation {
            span(&opts::OPERATION_TIMEOUT, 1)
        } else {
            span(&opts::LIST_TIMEOUT, 1)
        };
        let short = span(&opts::SHORT_TIMEOUT, 1);
        let transfer = span(&opts::READ_WRITE_TIMEOUT, 1);
        let idle = usize::from(!options.flag(&opts::NO_REUSE));
        let connects = Arc::new(Connects::new());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .user_agent(format!(
                "duplet/{} ({})",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS
            ))
            .accept_encoding("identity")
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES)
            .max_response_header_size(HEADER_MAX_BYTES)
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .max_idle_age(Duration::from_secs(15))
            .timeout_connect(Some(short))
            .timeout_await_100(Some(EXPECT_WAIT))
            .proxy(proxy(options)?)
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(TlsConnector {
                    config: tls::config(options)?,
                    connects: connects.clone(),
                });
        Ok(Http {
            agent: Agent::with_parts(config, connector, OwnResolver),
            connects,
            short,
            list,
            transfer,
            upload_reply: if operation { list } else { UPLOAD_REPLY },
            expect: !options.flag(&opts::NO_EXPECT),
            expired_expects: 0,
        })
    }

    /// Sends one request and returns the reply whatever its status; the fault is one of transport.
    ///
    /// A failure on a reused connection before any byte of the body was taken is repeated once on a new connection, and
    /// `417` is repeated once without `Expect`.
    pub(crate) fn send(&mut self, mut request: Request<'_>) -> std::result::Result<Reply, Fault> {
        let place = Place::of(request.url);
        let mut fresh = false;
        loop {
            let made = self.connects.made();
            let started = self.connects.now();
            let wanted = self.wants_expect(&request);
            let mut taken = Taken {
                first: None,
                connects: &self.connects,
            };
            let result = self.attempt(&mut request, wanted, &mut taken, &place);
            let first = taken.first;
            if wanted && let Some(at) = first {
                self.count_expect(at.saturating_sub(started.max(self.connects.ready())));
            }
            match result {
                Ok(reply) if reply.status == 417 && wanted && first.is_none() => {
                    self.expect = false;
                }
                Ok(reply) => return Ok(reply),
                Err(fault)
                    if !fresh
                        && first.is_none()
                        && fault.class == Class::Transient
                        && self.connects.made() == made
                        && made > 0 =>
                {
                    fresh = true;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn wants_expect(&self, request: &Request<'_>) -> bool {
        let large = matches!(request.payload, Payload::Stream(_, len) if len >= EXPECT_FROM_BYTES);
        self.expect && request.expect && large
    }

    fn count_expect(&mut self, waited_millis: u64) {
        if u128::from(waited_millis) + 50 >= EXPECT_WAIT.as_millis() {
            self.expired_expects += 1;
            if self.expired_expects >= 2 {
                self.expect = false;
            }
        }
    }

    fn attempt(
        &self,
        request: &mut Request<'_>,
        expect: bool,
        taken: &mut Taken<'_>,
        place: &Place,
    ) -> std::result::Result<Reply, Fault> {
        let target = request.url.len().saturating_sub(place.host.len());
        if target > TARGET_MAX_BYTES {
            return Err(Fault::new(Class::Usage, "the request would be too long"));
        }
        let (reply, read, write) = match request.pace {
            Pace::Short => (self.short, self.short, self.short),
            Pace::List => (self.list, self.list, self.short),
            Pace::Download => (self.short, self.transfer, self.short),
            Pace::Upload => (self.upload_reply, self.upload_reply, self.transfer),
        };
        let mut builder = HttpRequest::builder()
            .method(request.method)
            .uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if expect {
            builder = builder.header("expect", "100-continue");
        }
        let bad = |_| Fault::new(Class::Usage, "the destination URL makes no valid request");
        let run = |body: ureq::SendBody<'_>, builder: ureq::http::request::Builder| {
            let request = builder.body(body).map_err(bad)?;
            let request = self
                .agent
                .configure_request(request)
                .timeout_recv_response(Some(reply))
                .timeout_per_read(Some(read))
                .timeout_per_write(Some(write))
                .build();
            self.agent.run(request).map_err(|e| fault(&e, place))
        };
        let response = match &mut request.payload {
            Payload::None => run(ureq::SendBody::none(), builder)?,
            Payload::Bytes(bytes) => {
                let mut reader = *bytes;
                let builder = builder.header("content-length", bytes.len());
                run(ureq::SendBody::from_reader(&mut reader), builder)?
            }
            Payload::Stream(reader, len) => {
                let mut watched = Watched {
                    inner: *reader,
                    taken,
                };
                let builder = builder.header("content-length", *len);
                run(ureq::SendBody::from_reader(&mut watched), builder)?
            }
        };
        let (parts, body) = response.into_parts();
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.into_reader(),
            deadline: (request.pace != Pace::Download)
                .then(|| Instant::now() + read.max(self.short)),
            place: place.clone(),
        };
        match reply.header("content-encoding") {
            None | Some("identity" | "") => Ok(reply),
            Some(_) => Err(Fault::new(
                Class::Protocol,
                "a proxy or the server compressed the reply although that was not allowed",
            )),
        }
    }
}

fn proxy(options: &Options) -> Result<Option<ureq::Proxy>> {
    let proxy = match options.text(&opts::HTTP_PROXY) {
        Some(word) if word.trim().eq_ignore_ascii_case("none") => None,
        Some(url) => Some(
            ureq::Proxy::new(url)
                .map_err(|_| Error::usage("--http-proxy is not a valid proxy URL"))?,
        ),
        None => ureq::Proxy::try_from_env(),
    };
    let known = |p: &ureq::Proxy| {
        matches!(
            p.protocol(),
            ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https
        )
    };
    match proxy {
        Some(p) if !known(&p) => Err(Error::usage("only HTTP proxies are supported")
            .hint("--http-proxy=none connects directly")),
        other => Ok(other),
    }
}

/// When the first byte of a body was taken.
struct Taken<'a> {
    first: Option<u64>,
    connects: &'a Connects,
}

struct Watched<'a, 'b> {
    inner: &'a mut dyn Read,
    taken: &'a mut Taken<'b>,
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let taken = &mut self.taken;
        taken.first.get_or_insert_with(|| taken.connects.now());
        self.inner.read(buf)
    }
}

/// Where a request went, for messages.
#[derive(Clone)]
struct Place {
    /// With port if given.
    host: String,
    tls: bool,
}

impl Place {
    fn of(url: &str) -> Place {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Place {
            host: rest[..end].to_owned(),
            tls: scheme == "https",
        }
    }
}

/// A reply whose body has not been read.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: ureq::BodyReader<'static>,
    deadline: Option<Instant>,
    place: Place,
}

impl Read for Reply {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.deadline.is_some_and(|d| Instant::now() > d) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.body.read(buf)
    }
}

impl Reply {
    /// A header's first value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// First position and total length of a `Content-Range: bytes a-b/n`.
    pub(crate) fn content_range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = self
            .header("content-range")?
            .trim()
            .strip_prefix("bytes ")?
            .split_once('/')?;
        let start = range.split_once('-')?.0.trim().parse().ok()?;
        Some((start, total.trim().parse().ok()))
    }

    /// Total length of a `Content-Range: bytes */n`.
    pub(crate) fn range_total(&self) -> Option<u64> {
        let value = self.header("content-range")?;
        value.split_once('/')?.1.trim().parse().ok()
    }

    /// The server's clock, seconds since 1970.
    pub(crate) fn date(&self) -> Option<i64> {
        parse_date(self.header("date")?)
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let now = self
            .date()
            .unwrap_or_else(|| crate::base::time::Timestamp::now().0);
        let wait = parse_date(value)?.saturating_sub(now);
        u64::try_from(wait).ok().map(Duration::from_secs)
    }

    /// Up to 16 KiB of the body, whatever it is; less when it cannot be read.
    pub(crate) fn error_body(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let _ = self.by_ref().take(ERROR_MAX_BYTES).read_to_end(&mut out);
        out
    }

    /// Reads a small body to its end so that the connection can be used again.
    pub(crate) fn finish(&mut self) -> std::result::Result<(), Fault> {
        let mut rest = [0; 512];
        for _ in 0..128 {
            match self.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(self.fault(&e)),
            }
        }
        Ok(())
    }

    /// The body into `into`; bytes copied. Errors of `into` are [`Class::Local`].
    pub(crate) fn copy(&mut self, into: &mut dyn Write) -> std::result::Result<u64, Fault> {
        let mut buffer = [0; BUFFER_BYTES];
        let mut total = 0u64;
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(total),
                Ok(n) => {
                    into.write_all(&buffer[..n]).map_err(Fault::local)?;
                    total += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fault(&e)),
            }
        }
    }

    /// The fault of a body that could not be read.
    pub(crate) fn fault(&self, e: &io::Error) -> Fault {
        self.io_fault()(e)
    }

    /// As [`Reply::fault`], for a reader that took the reply over.
    pub(crate) fn io_fault(&self) -> impl Fn(&io::Error) -> Fault + use<> {
        let place = self.place.clone();
        move |e| io_fault(e, &place)
    }
}

/// An HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`), seconds since 1970.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let mut words = text.split([' ', '-']).filter(|w| !w.is_empty());
    words.next()?;
    let day = words.next()?.parse().ok()?;
    let month = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|m| *m == month)?;
    let year = words
        .next()?
        .parse::<i64>()
        .ok()
        .filter(|y| (1970..10_000).contains(y))?;
    let mut time = words.next()?.split(':');
    let mut part = || time.next()?.parse::<u32>().ok();
    Civil {
        year,
        month: u32::try_from(month).ok()? + 1,
        day,
        hour: part()?,
        minute: part()?,
        second: part()?,
    }
    .to_unix()
}

fn io_fault(e: &io::Error, place: &Place) -> Fault {
    let inner = e.get_ref();
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<rustls::Error>()) {
        return tls::fault(e);
    }
    if let Some(e) = inner.and_then(|i| i.downcast_ref::<ureq::Error>()) {
        return fault(e, place);
    }
    if inner.is_some_and(|i| i.is::<Error>()) {
        return Fault::new(Class::Local, "a local file failed");
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

fn fault(e: &ureq::Error, place: &Place) -> Fault {
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
#[derive(Debug)]
struct OwnResolver;

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
        let found = resolve::resolve(host).map_err(not_found)?;
        let mut out = self.empty();
        for ip in found.into_iter().take(resolve::ADDRESSES_MAX) {
            out.push(std::net::SocketAddr::new(ip, port));
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
    fn dates() {
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Fri, 24 May 2013 00:00:00 GMT", Some(1_369_353_600)),
            ("06 Nov 1994", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), want, "{text}");
        }
    }

    #[test]
    fn places() {
        let p = Place::of("https://h:8443/p?x=http://y");
        assert_eq!((p.host.as_str(), p.tls), ("h:8443", true));
        assert_eq!(Place::of("http://h?x").host, "h");
    }
}
