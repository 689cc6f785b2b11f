//! Sending a request on its way ([`Http::launch`]), and taking up what it came to when its turn comes ([`Http::landed`]).

use std::time::Duration;

use ureq::http::Uri;
use ureq_proto::client::{Call, SendRequestResult};

use crate::base::fault::Fault;
use crate::base::transfer::{FLIES, Flight};
use crate::net::http::fault::Place;
use crate::net::http::flight::{Limits, Upload};
use crate::net::http::landed::Landed;
use crate::net::http::line::Line;
use crate::net::http::{Http, Reply, Request, TARGET_MAX_BYTES, plain, user_agent};

/// Longest wait for a connection: who gets none sends it in the other way, which waits as long as it is told to.
const DIAL_WAIT: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD_MAX_BYTES: usize = 64 * 1024;

impl Http {
    /// Sends the head of an upload of `len` bytes over a connection of its own, and gives it out of hand; its body is fetched as
    /// it goes; [`Http::landed`] then has the answer. `None` where that cannot be: through a proxy, without a connection, in a
    /// build without the feature.
    pub(crate) fn launch(&mut self, request: &Request<'_>, len: u64) -> Option<Box<dyn Flight>> {
        if !FLIES {
            return None;
        }
        let uri: Uri = request.url.parse().ok()?;
        if self.link.proxy(&uri).ok()?.is_some() {
            return None;
        }
        let place = Place::of(request.url, None);
        if request.url.len().saturating_sub(place.host.len()) > TARGET_MAX_BYTES {
            return None;
        }
        let asked = self.expect && request.expect && len >= self.expect_from;
        let head = self.opening(request, asked, len)?;
        let addresses = self.resolver.addresses(&uri);
        let config = place.tls.then_some(&self.tls.config);
        let host = uri.host().unwrap_or_default();
        let line = Line::open(&addresses, self.short.min(DIAL_WAIT), (config, host));
        let Some(line) = line else {
            self.resolver.forget();
            return None;
        };
        self.requests += 1;
        let limits = Limits {
            write: self.transfer,
            reply: self.upload_reply,
            body: self.upload_reply.max(self.short),
        };
        let landed = Landed {
            method: request.method.to_owned(),
            url: request.url.to_owned(),
            asked,
            unheard: false,
            begun: false,
            whole: false,
            outcome: None,
            line: None,
        };
        self.strip.replace(None);
        let strip = (landed, self.strip.clone());
        Some(Box::new(Upload::new(line, head, len, limits, place, strip)))
    }

    /// The bytes of a request before its body, and the state of the protocol after them.
    fn opening(
        &self,
        request: &Request<'_>,
        asked: bool,
        len: u64,
    ) -> Option<(Vec<u8>, SendRequestResult)> {
        let request = self
            .head(request, asked)
            .header("content-length", len)
            .header("accept-encoding", "identity")
            .header("user-agent", user_agent())
            .header("accept", "*/*")
            .body(())
            .ok()?;
        let mut call = Call::new(request).ok()?.proceed();
        let mut head = vec![0; HEAD_MAX_BYTES];
        let mut at = 0;
        while !call.can_proceed() {
            let n = call.write(head.get_mut(at..)?).ok()?;
            if n == 0 {
                return None;
            }
            at += n;
        }
        head.truncate(at);
        head.shrink_to_fit();
        Some((head, call.proceed().ok()??))
    }

    /// The answer to a request that was sent on its way before, if it was this one and has landed; also whether the last byte of
    /// its body was handed to the connection. Once.
    pub(crate) fn landed(&mut self, request: &Request<'_>) -> Option<(Result<Reply, Fault>, bool)> {
        let landed = self.strip.take().filter(|_| FLIES)?;
        if landed.method != request.method || landed.url != request.url {
            return None;
        }
        if landed.unheard {
            self.expect = false;
        }
        #[cfg(feature = "overlap")]
        if let (Some(line), Ok(uri)) = (landed.line, request.url.parse()) {
            self.link.hand_over(&uri, line);
        }
        let answered = match landed.outcome? {
            Ok(answered) => answered,
            Err(fault) => {
                self.resolver.forget();
                return Some((Err(fault), landed.whole));
            }
        };
        if answered.status == 417 && landed.asked && !landed.begun {
            self.expect = false;
            return None;
        }
        let status = answered.status;
        let (headers, body) = answered.into_body();
        let reply = Reply {
            status,
            headers,
            body,
            deadline: None,
            list: false,
            patience: self.short,
            place: Place::of(request.url, None),
            glance: None,
        };
        self.keep_cookies(request.url, &reply);
        Some((plain(reply), landed.whole))
    }

    /// A flight to this address has landed, and nobody has asked for its answer yet.
    pub(crate) fn has_landed(&self, url: &str) -> bool {
        self.strip.borrow().as_ref().is_some_and(|l| l.url == url)
    }
}
