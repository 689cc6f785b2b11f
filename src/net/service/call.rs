//! A service as one object: its log-in, renewed once when it has run out, redirects within its own address, and replies as
//! rows or downloads. What differs from one service to the next is in its [`Dialect`] and its [`Login`].

use crate::base::fault::Fault;
use crate::base::secret::Secret;
#[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
use crate::base::transfer::{GetFacts, Sink, Span};
use crate::net::http::{Http, Pace, Payload, Reply, Request};
#[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
use crate::net::ranged::{Answer, Resume};
#[cfg(any(test, feature = "trial"))]
use crate::net::service::rows::{self, EachRow, Row};
use crate::net::service::send::send_home;
use crate::net::service::{Content, Dialect, Refusal, Verb};

/// A request before it is authorised.
pub(crate) struct Call<'h, 'c> {
    pub(crate) verb: Verb,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    /// Lower-case names.
    pub(crate) headers: &'h [(&'h str, &'h str)],
    pub(crate) content: Content<'c>,
    pub(crate) pace: Pace,
}

/// How requests to a service are authorised.
pub(crate) trait Login {
    /// The value of `Authorization`, if one is sent; asked for before every request.
    fn header(&mut self, http: &mut Http) -> Result<Option<Secret>, Fault>;

    /// Gives up what the server calls expired. True when there may be a new one: the request is repeated.
    fn renew(&mut self, _refusal: &Refusal) -> bool {
        false
    }
}

/// A token that was given once, or none.
pub(crate) struct Token(pub(crate) Option<Secret>);

impl Login for Token {
    fn header(&mut self, _: &mut Http) -> Result<Option<Secret>, Fault> {
        Ok(self.0.as_ref().map(bearer))
    }
}

/// The value of `Authorization` with a token.
pub(crate) fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal().trim()))
}

/// A service: connection, log-in, and what its refusals mean.
pub(crate) struct Service {
    http: Http,
    dialect: &'static Dialect,
    login: Box<dyn Login>,
    #[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
    resume: Resume,
}

impl Service {
    pub(crate) fn new(http: Http, dialect: &'static Dialect, login: Box<dyn Login>) -> Service {
        Service {
            http,
            dialect,
            login,
            #[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
            resume: Resume::default(),
        }
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// The reply of a success; 416 is one for a download, for it says where the file ends.
    pub(crate) fn ask(&mut self, mut call: Call<'_, '_>) -> Result<Result<Reply, Refusal>, Fault> {
        let mut renewed = false;
        loop {
            let secret = self.login.header(&mut self.http)?;
            let mut headers = call.headers.to_vec();
            headers.extend(secret.as_ref().map(|s| ("authorization", s.reveal())));
            let request = Request {
                method: call.method,
                url: &call.url,
                headers: &headers,
                payload: Payload::None,
                pace: call.pace,
                expect: false,
            };
            let sent = send_home(&mut self.http, request, &mut call.content, &mut || {});
            let mut reply = sent.0?;
            let is_end = reply.status == 416 && call.verb == Verb::Get;
            if (200..300).contains(&reply.status) || is_end {
                return Ok(Ok(reply));
            }
            let mut refusal = Refusal::of(&mut reply, self.dialect.form);
            if let Some((_, token)) = secret.as_ref().and_then(|s| s.reveal().split_once(' ')) {
                refusal.message = refusal.message.replace(token, "***");
            }
            if renewed || !self.login.renew(&refusal) {
                return Ok(Err(refusal));
            }
            renewed = true;
        }
    }

    /// As [`Service::ask`]; every refusal is a fault.
    #[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
    pub(crate) fn call(&mut self, call: Call<'_, '_>) -> Result<Reply, Fault> {
        let verb = call.verb;
        let asked = self.ask(call)?;
        asked.map_err(|refusal| refusal.fault(self.dialect, verb, &[]))
    }

    /// The fields of a reply that is one small object.
    #[cfg(any(test, feature = "trial"))]
    pub(crate) fn row(&mut self, call: Call<'_, '_>) -> Result<Row, Fault> {
        rows::row(&mut self.call(call)?, self.dialect.who)
    }

    /// A page of a listing: see [`rows::rows`].
    #[cfg(any(test, feature = "trial"))]
    pub(crate) fn rows(
        &mut self,
        call: Call<'_, '_>,
        array: &str,
        each: &mut EachRow<'_>,
    ) -> Result<Row, Fault> {
        let max = crate::net::json::LIST_MAX_BYTES;
        rows::rows(&mut self.call(call)?, self.dialect.who, max, array, each)
    }

    /// A span of the file `name`: see `Destination::get`. Its content is known again by the `ETag` of the reply, or
    /// by when it was changed.
    #[cfg(any(test, feature = "dest-rclone", feature = "trial"))]
    pub(crate) fn download(
        &mut self,
        (method, url): (&'static str, &str),
        headers: &[(&str, &str)],
        (name, span): (&str, Span),
        into: &mut dyn Sink,
    ) -> Result<GetFacts, Fault> {
        let mut resume = std::mem::take(&mut self.resume);
        let facts = resume.get(name, span, into, &mut |range, _| {
            let mut headers = headers.to_vec();
            headers.extend(range.map(|range| ("range", range)));
            let reply = self.call(Call {
                verb: Verb::Get,
                method,
                url: url.to_owned(),
                headers: &headers,
                content: Content::None,
                pace: Pace::Download,
            })?;
            let tag = reply.header("etag").or(reply.header("last-modified"));
            let tag = tag.unwrap_or("").to_owned();
            let sha1 = None;
            Ok(Answer { reply, tag, sha1 })
        });
        self.resume = resume;
        facts
    }
}
