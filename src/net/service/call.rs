//! A service as one object: its log-in, renewed once when it has run out, redirects within its own address, and replies as
//! rows or downloads. What differs from one service to the next is in its [`Dialect`] and its [`Login`].

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::transfer::{FLIES, Flight, GetFacts, Sink, Span};
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::ranged::{Answer, Resume};
use crate::net::redirect::{Chain, split};
#[cfg(feature = "json")]
use crate::net::service::rows::{self, EachRow, Row};
use crate::net::service::send::{elsewhere, onward};
use crate::net::service::{Content, Dialect, Pages, Refusal, Verb};
use crate::net::url::decode_percent;

/// A request before it is authorised.
pub(crate) struct Call<'h, 'c> {
    pub(crate) verb: Verb,
    pub(crate) method: &'static str,
    /// Behind what [`Login::base`] says.
    pub(crate) url: String,
    /// Lower-case names.
    pub(crate) headers: &'h [(&'h str, &'h str)],
    pub(crate) content: Content<'c>,
    pub(crate) pace: Pace,
}

/// The headers of a log-in: names in lower case.
pub(crate) type Signed = Vec<(&'static str, Secret)>;

/// How requests to a service are authorised.
pub(crate) trait Login {
    /// The headers of the log-in for a request with a body of `len` bytes; asked for before each.
    fn sign(&mut self, http: &mut Http, request: &Request<'_>, len: u64) -> Done<Signed>;

    /// What stands before the address of every request: empty, or where the log-in says that the service is. Asked for
    /// before [`Login::sign`].
    fn base(&mut self, _http: &mut Http) -> Result<String, Fault> {
        Ok(String::new())
    }

    /// What every address has in its query; empty: nothing.
    fn query(&self) -> &str {
        ""
    }

    /// A refusal's fault, told better by who knows the log-in.
    fn explain(&self, _refusal: &Refusal, fault: Fault) -> Fault {
        fault
    }

    /// Lines for the user that came up since this was last asked.
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Gives up what the server calls expired. True when there may be a new one: the request is repeated.
    fn renew(&mut self, _refusal: &Refusal) -> bool {
        false
    }
}

/// A token that was given once, or none.
pub(crate) struct Token(pub(crate) Option<Secret>);

impl Login for Token {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        let header = self.0.as_ref().map(bearer);
        Ok(header.map(|h| ("authorization", h)).into_iter().collect())
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
    resume: Resume,
    /// Asks before it sends a large body.
    expect: bool,
    /// What no message may show, beside the log-in's own headers.
    hidden: Vec<Secret>,
    /// See [`Service::matching`].
    matches: bool,
    /// See [`Service::hopping`].
    hops: bool,
    /// What messages may name in braces.
    names: Vec<(&'static str, String)>,
    /// The log-in of the last request.
    signed: Signed,
}

impl Service {
    pub(crate) fn new(http: Http, dialect: &'static Dialect, login: Box<dyn Login>) -> Service {
        Service {
            http,
            dialect,
            login,
            resume: Resume::default(),
            expect: false,
            hidden: Vec::new(),
            matches: false,
            hops: false,
            names: Vec::new(),
            signed: Signed::new(),
        }
    }

    /// From now on large bodies are announced, and these secrets masked in what the server says, as they are and decoded from
    /// what an address has; three characters are none.
    pub(crate) fn expecting(self, hidden: Vec<Secret>) -> Service {
        let decoded: Vec<_> = hidden.iter().map(|s| decode_percent(s.reveal())).collect();
        let decoded = decoded.into_iter().map(Secret::new);
        let all = hidden.into_iter().chain(decoded);
        Service {
            expect: true,
            hidden: all.filter(|s| s.reveal().len() > 3).collect(),
            ..self
        }
    }

    /// Messages may name this in braces.
    pub(crate) fn naming(mut self, name: &'static str, value: &str) -> Service {
        self.names.push((name, value.to_owned()));
        self
    }

    /// A download is gone on with only while the file is the same by its `ETag`: the server takes `If-Match`.
    pub(crate) fn matching(self) -> Service {
        Service {
            matches: true,
            ..self
        }
    }

    /// A download may be sent on to an address of another host, which holds its own permission: it is asked without log-in.
    #[cfg(any(feature = "oauth", feature = "dest-drimecloud"))]
    pub(crate) fn hopping(self) -> Service {
        Service { hops: true, ..self }
    }

    /// In replies a number tells whether they are a success: see [`Service::told`], by which all are to be asked.
    #[cfg(feature = "dest-pcloud")]
    pub(crate) fn telling(mut self) -> Service {
        self.http.hear_early();
        self
    }

    /// Requests sent so far.
    pub(crate) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// For a listing in pages that are asked to hold at most `size` entries each.
    #[allow(
        dead_code,
        reason = "some selections of destinations have no such listing"
    )]
    pub(crate) fn pages(&self, size: u64) -> Pages {
        Pages::new(size, self.http.list_time())
    }

    /// See [`Login::notices`].
    pub(crate) fn notices(&mut self) -> Vec<String> {
        self.login.notices()
    }

    /// The fault that a refusal is.
    pub(crate) fn fault(&self, refusal: &Refusal, verb: Verb) -> Fault {
        let names: Vec<_> = self.names.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let fault = refusal.fault(self.dialect, verb, &names);
        self.login.explain(refusal, fault)
    }

    /// With what the service says of a host that does not exist.
    fn of_line(&self, fault: Fault) -> Fault {
        let mut words = self.dialect.words.iter();
        match words.find(|w| w.class == fault.class && fault.class == Class::NoHost) {
            Some(word) => fault.hint(word.hint),
            None => fault,
        }
    }

    /// The whole address of a request.
    fn address(&mut self, url: &str) -> Result<String, Fault> {
        let mut out = self.login.base(&mut self.http)? + url;
        let query = self.login.query();
        if !query.is_empty() {
            out.push(if url.contains('?') { '&' } else { '?' });
            out.push_str(query);
        }
        Ok(out)
    }

    /// The reply of a success; 416 is one for a download, for it says where the file ends, and 412, that it is another file.
    pub(crate) fn ask(&mut self, call: Call<'_, '_>) -> Result<Result<Reply, Refusal>, Fault> {
        self.exchange(call, true)
    }

    /// As [`Service::ask`] of an address that the service gave, whole and with its own permission in it: without log-in.
    #[cfg(feature = "oauth")]
    pub(crate) fn ask_given(
        &mut self,
        call: Call<'_, '_>,
    ) -> Result<Result<Reply, Refusal>, Fault> {
        self.exchange(call, false)
    }

    fn exchange(
        &mut self,
        mut call: Call<'_, '_>,
        mut signs: bool,
    ) -> Result<Result<Reply, Refusal>, Fault> {
        let mut renewed = false;
        let (mut chain, mut moved) = (Chain::default(), None);
        loop {
            let url = match moved.take() {
                Some(url) => url,
                None if signs => self.address(&call.url)?,
                None => call.url.clone(),
            };
            let mut request = Request {
                method: call.method,
                url: &url,
                headers: call.headers,
                payload: Payload::None,
                pace: call.pace,
                expect: self.expect,
            };
            self.signed = match signs {
                true => self
                    .login
                    .sign(&mut self.http, &request, call.content.len())?,
                false => Signed::new(),
            };
            let headers = with_login(call.headers, &self.signed);
            request.headers = &headers;
            let sent = call.content.send(&mut self.http, request).0;
            let mut reply = sent.map_err(|fault| self.of_line(fault))?;
            if self.hops && signs && call.verb == Verb::Get {
                moved = elsewhere(&url, &reply)?;
                signs = moved.is_none();
                if !signs {
                    continue;
                }
            }
            if let Some(to) = onward(&mut chain, &url, call.method, &reply)? {
                moved = Some(to);
                continue;
            }
            let is_end = matches!(
                (reply.status, call.verb),
                (416, Verb::Get) | (308, Verb::Resume)
            ) || (reply.status == 412 && call.verb == Verb::Get && self.matches);
            if (200..300).contains(&reply.status) || is_end {
                return Ok(Ok(reply));
            }
            let mut refusal = Refusal::of(&mut reply, self.dialect.form);
            if !signs && call.verb == Verb::Get && matches!(refusal.status, 401 | 403) {
                return Err(not_taken(&url));
            }
            self.mask(&mut refusal);
            if renewed || !signs || !self.login.renew(&refusal) {
                return Ok(Err(refusal));
            }
            renewed = true;
        }
    }

    /// Gives a request out of hand, to be sent while other work goes on: see [`Content::launch`]. The next call that is the same
    /// takes its answer.
    pub(crate) fn launch(&mut self, call: Call<'_, '_>) -> Option<Box<dyn Flight>> {
        if !FLIES {
            return None;
        }
        let url = self.address(&call.url).ok()?;
        let mut request = Request {
            method: call.method,
            url: &url,
            headers: call.headers,
            payload: Payload::None,
            pace: call.pace,
            expect: self.expect,
        };
        let len = call.content.len();
        let login = self.login.sign(&mut self.http, &request, len).ok()?;
        let headers = with_login(call.headers, &login);
        request.headers = &headers;
        call.content.launch(&mut self.http, &request)
    }

    /// Takes what is secret out of a refusal.
    fn mask(&self, refusal: &mut Refusal) {
        let tokens = self.signed.iter().filter_map(|(name, value)| match *name {
            "authorization" => Some(value.reveal().split_once(' ')?.1),
            "x-api-key" | "x-auth-token" => Some(value.reveal()),
            _ => None,
        });
        for token in tokens.chain(self.hidden.iter().map(Secret::reveal)) {
            refusal.message = refusal.message.replace(token, "***");
        }
    }

    /// The fields of a reply in which a number tells whether it is a success, whatever its status says: 0. `fields` are that and
    /// the one of the message.
    #[cfg(feature = "dest-pcloud")]
    pub(crate) fn told(&self, row: Row, fields: (&str, &str), verb: Verb) -> Result<Row, Fault> {
        let code = row.number(fields.0);
        if code == Some(0) {
            return Ok(row);
        }
        let mut refusal = Refusal {
            status: 200,
            code: code.map(|n| n.to_string()).unwrap_or_default(),
            message: row.text(fields.1),
            ..Refusal::default()
        };
        self.mask(&mut refusal);
        Err(self.fault(&refusal, verb))
    }

    /// As [`Service::ask`]; every refusal is a fault.
    pub(crate) fn call(&mut self, call: Call<'_, '_>) -> Result<Reply, Fault> {
        let verb = call.verb;
        let asked = self.ask(call)?;
        asked.map_err(|refusal| self.fault(&refusal, verb))
    }

    /// The fields of a reply that is one small object.
    #[cfg(feature = "json")]
    pub(crate) fn row(&mut self, call: Call<'_, '_>) -> Result<Row, Fault> {
        rows::row(&mut self.call(call)?, self.dialect.who)
    }

    /// A page of a listing in the form of the service: see [`rows::rows`] and [`rows::elements`].
    #[cfg(feature = "json")]
    pub(crate) fn rows(
        &mut self,
        call: Call<'_, '_>,
        array: &str,
        each: &mut EachRow<'_>,
    ) -> Result<Row, Fault> {
        let mut reply = self.call(call)?;
        #[cfg(feature = "dest-azure")]
        if let crate::net::service::Form::Headed(..) = self.dialect.form {
            return rows::elements(&mut reply, self.dialect.who, array, each);
        }
        let max = crate::net::json::LIST_MAX_BYTES;
        rows::rows(&mut reply, self.dialect.who, max, array, each)
    }

    /// A span of the file `name`: see `Destination::get`. Its content is known again by the `ETag` of the reply, or
    /// by when it was changed.
    pub(crate) fn download(
        &mut self,
        (method, url): (&'static str, &str),
        headers: &[(&str, &str)],
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Result<GetFacts, Fault> {
        self.fetch((method, url, true), headers, of, into)
    }

    /// As [`Service::download`] from an address that the service gave, whole and with its own permission in it: without log-in.
    #[cfg(feature = "dest-pcloud")]
    pub(crate) fn download_given(
        &mut self,
        url: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Result<GetFacts, Fault> {
        self.fetch(("GET", url, false), &[], of, into)
    }

    fn fetch(
        &mut self,
        (method, url, signs): (&'static str, &str, bool),
        headers: &[(&str, &str)],
        (name, span): (&str, Span),
        into: &mut dyn Sink,
    ) -> Result<GetFacts, Fault> {
        let mut resume = std::mem::take(&mut self.resume);
        let facts = resume.get(name, span, into, &mut |range, tag| {
            let mut headers = headers.to_vec();
            headers.extend(range.map(|range| ("range", range)));
            let tag = format!("\"{}\"", tag.trim_matches('"'));
            if self.matches && tag.len() > 2 {
                headers.push(("if-match", &tag));
            }
            let call = Call {
                verb: Verb::Get,
                method,
                url: url.to_owned(),
                headers: &headers,
                content: Content::None,
                pace: Pace::Download,
            };
            let asked = self.exchange(call, signs)?;
            let reply = asked.map_err(|refusal| self.fault(&refusal, Verb::Get))?;
            if reply.status == 202 {
                let what = "the server is still working on the file";
                return Err(Fault::new(Class::Throttled(reply.retry_after()), what));
            }
            let tag = reply.header("etag").or(reply.header("last-modified"));
            let tag = tag.unwrap_or("").to_owned();
            let sha1 = None;
            Ok(Answer { reply, tag, sha1 })
        });
        self.resume = resume;
        facts
    }
}

/// The headers of a request, with those of the log-in.
fn with_login<'h>(headers: &[(&'h str, &'h str)], login: &'h Signed) -> Vec<(&'h str, &'h str)> {
    let login = login.iter().map(|(name, value)| (*name, value.reveal()));
    headers.iter().copied().chain(login).collect()
}

/// The fault of an address that was given with its own permission and does not take it.
fn not_taken(url: &str) -> Fault {
    let host = text::safe_cut(split(url).0.as_bytes(), 80);
    let what = format!("the server sends us to {host}, which wants a login");
    Fault::new(Class::Auth, what).hint("ours goes to the server's own address only")
}
