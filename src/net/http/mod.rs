//! HTTP requests over ureq with what destinations need (`destinations-core.md` 0.5): one blocking request at a time, own
//! timeouts, `Expect`, a quiet repeat on a stale connection, the answer of a server that closes in the middle of an upload,
//! replies as streams, transport errors as faults.
//!
//! Follows no redirect, judges no status but a proxy's, retries nothing else.

mod cookies;
mod fault;
mod flight;
#[cfg(feature = "overlap")]
mod handed;
mod landed;
mod launch;
pub(crate) mod line;
mod link;
mod pending;
mod reply;
mod rest;
mod wire;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::request::Builder;
use ureq::http::{Request as HttpRequest, Uri};
use ureq::unversioned::transport::Connector as _;

use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::transfer::Strip;
use crate::net::http::cookies::Cookies;
use crate::net::http::fault::{OwnResolver, Place, by_proxy, closed_early, fault};
use crate::net::http::link::{Dial, Link, Through, refusal};
use crate::net::http::pending::{Cut, PendingConnector};
use crate::net::http::wire::{Glance, WireConnector};
use crate::net::opts;
use crate::net::proxy::Proxies;
use crate::net::tls::{self, Connects, Stage, Tls, TlsConnector};

pub(crate) use crate::net::http::reply::{Reply, iso_time, parse_date};

const BUFFER_BYTES: usize = 16 * 1024;
/// Longest reply header: what an input buffer holds, less one byte, so that a longer one is told from a cut one.
const HEADER_MAX_BYTES: usize = BUFFER_BYTES - 1;
/// Longest path with query.
const TARGET_MAX_BYTES: usize = 8 * 1024;
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

/// The client: at most one idle connection, no thread, no redirect, no decompression; cookies only as a redirect gives them.
pub(crate) struct Http {
    agent: Agent,
    resolver: OwnResolver,
    link: Arc<Link>,
    tls: Tls,
    cookies: Cookies,
    /// Requests sent so far.
    requests: u64,
    cut: Arc<Cut>,
    glance: Arc<Glance>,
    short: Duration,
    list: Duration,
    transfer: Duration,
    upload_reply: Duration,
    expect: bool,
    expect_from: u64,
    /// See [`Http::hear_early`].
    hears_early: bool,
    /// What a flight came to, until its request is made.
    strip: Strip<landed::Landed>,
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
        let link = Arc::new(Link::new(Proxies::new(options)?, idle > 0));
        let tls = tls::config(options)?;
        let (cut, glance) = (Arc::new(Cut::default()), Arc::new(Glance::default()));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .user_agent(user_agent())
            .accept_encoding("identity")
            .input_buffer_size(BUFFER_BYTES)
            .output_buffer_size(BUFFER_BYTES)
            .max_response_header_size(HEADER_MAX_BYTES)
            .max_idle_connections(idle)
            .max_idle_connections_per_host(idle)
            .max_idle_age(link::IDLE_MAX)
            .timeout_connect(Some(short))
            .timeout_await_100(Some(EXPECT_WAIT))
            .proxy(None)
            .build();
        let connector = ()
            .chain(Dial(link.clone()))
            .chain(WireConnector(glance.clone()))
            .chain(PendingConnector(cut.clone()))
            .chain(Through {
                link: link.clone(),
                config: tls.config.clone(),
            })
            .chain(TlsConnector {
                config: tls.config.clone(),
                connects: link.connects.clone(),
            });
        let resolver = OwnResolver::new(link.clone());
        Ok(Http {
            agent: Agent::with_parts(config, connector, resolver.clone()),
            resolver,
            link,
            tls,
            cookies: Cookies::default(),
            requests: 0,
            cut,
            glance,
            short,
            list,
            transfer,
            upload_reply: if operation { list } else { UPLOAD_REPLY },
            expect: !options.flag(&opts::NO_EXPECT),
            expect_from: EXPECT_FROM_BYTES,
            hears_early: false,
            strip: Strip::default(),
        })
    }

    /// From now on bodies of at least so many bytes are announced with `Expect`, where the request wants it.
    pub(crate) fn expect_from(&mut self, bytes: u64) {
        self.expect_from = bytes;
    }

    /// From now on a success is handed on that comes before the body has gone out: what the reply says is looked at.
    #[cfg(feature = "dest-pcloud")]
    pub(crate) fn hear_early(&mut self) {
        self.hears_early = true;
    }

    /// False once `Expect` turned out to be of no use, or by option.
    pub(crate) fn can_expect(&self) -> bool {
        self.expect
    }

    /// The longest time for a listing, or for what of it names nothing.
    pub(crate) fn list_time(&self) -> Duration {
        self.list
    }

    /// Requests sent so far, those that were repeated and those without a reply too.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Sends one request and returns the reply whatever its status; the fault is one of transport, or of a proxy.
    ///
    /// A failure on a reused connection before any byte of the body was taken is repeated once on a new connection, `417` is
    /// repeated once without `Expect`, and a TLS handshake that the server refused is repeated once to learn whether its key
    /// is the reason. The cookies of a redirect are kept for the origin that gave them.
    pub(crate) fn send(&mut self, mut request: Request<'_>) -> std::result::Result<Reply, Fault> {
        let link = self.link.clone();
        let connects = &link.connects;
        let mut refused: Option<Fault> = None;
        let mut fresh = false;
        loop {
            let made = connects.made();
            let started = connects.now();
            let wanted = self.wants_expect(&request);
            let mut taken = Taken {
                first: None,
                connects,
                cut: &self.cut,
            };
            self.requests += 1;
            self.cut.begin();
            let result = self.attempt(&mut request, wanted, &mut taken);
            let first = taken.first;
            if wanted && let Some(at) = first {
                self.count_expect(at.saturating_sub(started.max(connects.ready())));
            }
            if result.is_err() {
                self.resolver.forget();
            }
            if let Some(before) = refused.take() {
                self.tls.offer_more(false);
                return match result {
                    Err(fault) if fault.class == Class::Tls => Err(fault),
                    Err(_) => Err(before),
                    Ok(reply) => Ok(reply),
                };
            }
            match result {
                Ok(reply) if reply.status == 417 && wanted && first.is_none() => {
                    self.expect = false;
                }
                Ok(reply) => {
                    self.keep_cookies(request.url, &reply);
                    return Ok(reply);
                }
                Err(fault)
                    if !fresh
                        && first.is_none()
                        && fault.class == Class::Transient
                        && connects.made() == made
                        && made > 0 =>
                {
                    fresh = true;
                }
                Err(fault) if first.is_none() && tls::may_be_the_key(&fault) => {
                    self.tls.offer_more(true);
                    refused = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// The cookies of a redirect.
    fn keep_cookies(&mut self, url: &str, reply: &Reply) {
        if (300..400).contains(&reply.status) {
            self.cookies.keep(url, &reply.header_all("set-cookie"));
        }
    }

    fn wants_expect(&self, request: &Request<'_>) -> bool {
        let large = matches!(request.payload, Payload::Stream(_, len) if len >= self.expect_from);
        self.expect && request.expect && large
    }

    /// A server that let one question run out has no use for others.
    fn count_expect(&mut self, waited_millis: u64) {
        if u128::from(waited_millis) + 50 >= EXPECT_WAIT.as_millis() {
            self.expect = false;
        }
    }

    /// Method, address and headers, without the length of the body.
    fn head(&self, request: &Request<'_>, expect: bool) -> Builder {
        let mut builder = HttpRequest::builder()
            .method(request.method)
            .uri(request.url);
        for (name, value) in request.headers {
            builder = builder.header(*name, *value);
        }
        if let Some(cookies) = self.cookies.of(request.url) {
            builder = builder.header("cookie", cookies);
        }
        if expect {
            builder = builder.header("expect", "100-continue");
        }
        builder
    }

    fn attempt(
        &self,
        request: &mut Request<'_>,
        expect: bool,
        taken: &mut Taken<'_>,
    ) -> std::result::Result<Reply, Fault> {
        let bad_url = || Fault::new(Class::Usage, "the destination URL makes no valid request");
        let uri: Uri = request.url.parse().map_err(|_| bad_url())?;
        let proxy = self.link.proxy(&uri);
        let proxy = proxy.map_err(|why| Fault::new(Class::Usage, why))?;
        let place = Place::of(request.url, proxy);
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
        let mut builder = self.head(request, expect);
        let absolute = proxy.filter(|_| !place.tls);
        if let Some(login) = absolute.and_then(|p| p.login.as_ref()) {
            builder = builder.header("proxy-authorization", login.reveal());
        }
        let origin = absolute.map(|_| format!("http://{}", place.host));
        self.link.next_absolute(origin);
        self.link.connects.at(Stage::Idle);
        let run = |body: ureq::SendBody<'_>, builder: Builder| {
            let request = builder.body(body).map_err(|_| bad_url())?;
            let request = self
                .agent
                .configure_request(request)
                .timeout_recv_response(Some(reply))
                .timeout_per_read(Some(read))
                .timeout_per_write(Some(write))
                .build();
            let dialling = || self.link.connects.is_at(Stage::Dialling);
            self.agent
                .run(request)
                .map_err(|e| fault(&e, &place, dialling()))
        };
        // What a method that means content sends without is told, too: an empty chunked body, which it would be otherwise, is
        // refused by some servers, and left unread by others.
        if matches!(request.payload, Payload::None)
            && matches!(request.method, "POST" | "PUT" | "PATCH")
        {
            request.payload = Payload::Bytes(b"");
        }
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
                    left: *len,
                    taken,
                };
                let builder = builder.header("content-length", *len);
                run(ureq::SendBody::from_reader(&mut watched), builder)?
            }
        };
        if self.cut.is_answered() && response.status().is_success() && !self.hears_early {
            return Err(closed_early(&place));
        }
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        if let Some(proxy) = absolute.filter(|_| by_proxy(status, &parts.headers)) {
            return Err(refusal(proxy, status, &place.host));
        }
        let bound = (request.pace != Pace::Download).then_some(read.max(self.short));
        let reply = Reply {
            status,
            headers: parts.headers,
            body: Box::new(body.into_reader()),
            deadline: bound.map(|bound| (Instant::now() + bound, bound)),
            list: request.pace == Pace::List,
            patience: self.short,
            place,
            glance: Some(self.glance.clone()),
        };
        plain(reply)
    }
}

/// A reply, unless it is compressed.
fn plain(reply: Reply) -> std::result::Result<Reply, Fault> {
    match reply.header("content-encoding") {
        None | Some("identity" | "") => Ok(reply),
        Some(_) => Err(Fault::new(
            Class::Protocol,
            "a proxy or the server compressed the reply although that was not allowed",
        )),
    }
}

/// How we present ourselves.
fn user_agent() -> String {
    format!(
        "duplet/{} ({})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS
    )
}

/// When the first byte of a body was taken.
struct Taken<'a> {
    first: Option<u64>,
    connects: &'a Connects,
    cut: &'a Cut,
}

struct Watched<'a, 'b> {
    inner: &'a mut dyn Read,
    /// Bytes not handed on yet.
    left: u64,
    taken: &'a mut Taken<'b>,
}

impl Read for Watched<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let taken = &mut self.taken;
        taken.first.get_or_insert_with(|| taken.connects.now());
        let most = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        let n = taken.cut.read(&mut *self.inner, &mut buf[..most])?;
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}
