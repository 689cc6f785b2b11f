//! One signed S3 request with the corrections a server can ask for: region, host, clock, addressing style, redirect.
//!
//! A correction is remembered for the run and repeated a fixed number of times, so that no server can keep it going round.

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::dest::Flight;
use crate::dest::s3::call::{Call, Target};
use crate::dest::s3::config::{Endpoint, Setup, region_of};
use crate::dest::s3::error::{Asked, Refusal, SKEW_SECONDS};
use crate::dest::s3::lookup::Lookup;
use crate::dest::s3::options;
use crate::dest::s3::place::{other_name, same_owner};
use crate::net::http::{Http, Payload, Reply, Request};
use crate::net::redirect::{Chain, foreign, split};
use crate::net::service::clock::Clock;
use crate::net::service::{Content, Pages};
use crate::net::sigv4::{Canonical, EMPTY_SHA256, UNSIGNED, canonical_query};

const REGION_FIXES_MAX: u8 = 2;
/// A body of this length is not sent before the region is known: many servers refuse one that is signed for another.
const LARGE_BYTES: u64 = 256 * 1024;

/// Connection, credentials and what was learnt about the server.
pub(super) struct Client {
    http: Http,
    pub(super) setup: Setup,
    /// Where redirects may lead: the endpoint of the options.
    home: Endpoint,
    unsigned: bool,
    expect: bool,
    /// Server time minus ours, seconds.
    clock: Clock,
    region_fixes: u8,
    /// The server has accepted a signed request.
    settled: bool,
    /// The bucket was asked about, for what other replies do not say.
    asked_bucket: bool,
    style_switched: bool,
    /// What is asked for before the first request.
    lookup: Option<Lookup>,
    found: bool,
    /// Another name of the server, for signatures that it refuses under this one.
    other_name: Option<String>,
    pub(super) notices: Vec<String>,
}

impl Client {
    pub(super) fn new(setup: Setup, given: &Options, lookup: Option<Lookup>) -> Result<Client> {
        let expect = !setup.endpoint.is_under("storage.googleapis.com");
        Ok(Client {
            http: Http::new(given)?,
            home: setup.endpoint.clone(),
            unsigned: given.flag(&options::UNSIGNED_PAYLOAD) && setup.endpoint.tls,
            expect,
            clock: Clock::default(),
            region_fixes: 0,
            settled: false,
            asked_bucket: false,
            style_switched: false,
            lookup,
            found: false,
            other_name: other_name(&setup.endpoint),
            setup,
            notices: Vec::new(),
        })
    }

    /// For a listing.
    pub(super) fn pages(&self) -> Pages {
        Pages::new(1000, self.http.list_time())
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests() + self.lookup.as_ref().map_or(0, Lookup::requests)
    }

    fn asked<'b>(&'b self, call: &Call<'_>) -> Asked<'b> {
        Asked {
            manner: self.setup.manner,
            right: call.right,
            verb: call.verb(),
            bucket: &self.setup.bucket,
            host: &self.setup.endpoint.host,
            key_id: &self.setup.keys.id,
            region: &self.setup.region,
            now: self.clock.now(),
        }
    }

    /// The reply of a success; every refusal is a fault.
    pub(super) fn call(&mut self, mut call: Call<'_>) -> Done<Reply> {
        match self.try_call(&mut call)? {
            Ok(reply) => Ok(reply),
            Err(refusal) => Err(refusal.fault(&self.asked(&call))),
        }
    }

    /// The fault of a refusal found in the body of a success.
    pub(super) fn fault(&self, refusal: &Refusal, call: &Call<'_>) -> Fault {
        refusal.fault(&self.asked(call))
    }

    /// As [`Client::call`], with the refusal itself.
    pub(super) fn try_call(
        &mut self,
        call: &mut Call<'_>,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        self.find_host()?;
        let large = matches!(&call.content, Content::Part { len, .. } if *len >= LARGE_BYTES);
        if large
            && !self.settled
            && !self.setup.region_told
            && let Some(refusal) = self.ask_bucket()?.filter(Refusal::is_no_bucket)
        {
            return Ok(Err(refusal));
        }
        let query = canonical_query(call.query);
        let mut redirected: Option<String> = None;
        let mut chain = Chain::default();
        loop {
            let url = match redirected.take() {
                Some(url) => url,
                None => call.target.url(&self.setup, &query),
            };
            let mut reply = self.once(&url, call)?;
            if (200..300).contains(&reply.status) || call.accept.contains(&reply.status) {
                self.settled = true;
                return Ok(Ok(reply));
            }
            let location = reply.location();
            let refusal = Refusal::of(&mut reply);
            if self.correct(&refusal, call)? {
                continue;
            }
            if (300..400).contains(&refusal.status)
                && let Some(location) = location
            {
                redirected = Some(self.follow(&mut chain, &url, &location)?);
                continue;
            }
            // The reply to HEAD has no body, so that it does not say what is wrong.
            if call.method == "HEAD" && refusal.code.is_empty() && self.is_mute(refusal.status) {
                let before = self.picture();
                let clear = |r: &Refusal| r.is_no_bucket() || r.is_bad_name() || r.is_of_login();
                if let Some(told) = self.ask_bucket()?.filter(clear) {
                    return Ok(Err(told));
                }
                if before != self.picture() {
                    continue;
                }
                return Ok(Err(refusal));
            }
            return Ok(Err(refusal));
        }
    }

    /// What corrections change.
    fn picture(&self) -> (String, i64, Endpoint, String) {
        let setup = &self.setup;
        let (region, key) = (setup.region.clone(), setup.keys.id.clone());
        (region, self.clock.ahead(), setup.endpoint.clone(), key)
    }

    /// True when a small question about the bucket may say more than a status alone does.
    fn is_mute(&self, status: u16) -> bool {
        match status {
            400 | 403 => !self.asked_bucket,
            404 => !self.settled && !self.asked_bucket,
            _ => false,
        }
    }

    /// A small question that is answered in words, by which region and clock are learnt: the refusal, if it was refused.
    fn ask_bucket(&mut self) -> Done<Option<Refusal>> {
        if std::mem::replace(&mut self.asked_bucket, true) {
            return Ok(None);
        }
        let prefix = self.setup.prefix.clone();
        let mut question = Call {
            query: &[("list-type", "2"), ("max-keys", "1"), ("prefix", &prefix)],
            ..Call::new("GET", Target::Bucket, "s3:ListBucket")
        };
        match self.try_call(&mut question)? {
            Ok(mut reply) => {
                // What it says does not matter, and a listing of one file is short.
                let _ = reply.finish();
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }

    /// The region, where only the server could tell it.
    pub(super) fn learnt_region(&self) -> Option<&str> {
        let asked = self.lookup.is_none() || self.found;
        (self.settled && !self.setup.region_told && asked).then_some(self.setup.region.as_str())
    }

    /// Begins with the region of an earlier run.
    pub(super) fn recall_region(&mut self, region: &str) {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !self.setup.region_told && (1..=64).contains(&region.len()) && region.bytes().all(good) {
            region.clone_into(&mut self.setup.region);
        }
    }

    /// Gives a call out of hand, once the server has accepted another: see [`Content::launch`].
    pub(super) fn launch(&mut self, call: &mut Call<'_>) -> Option<Box<dyn Flight>> {
        if !self.settled || self.lookup.is_some() && !self.found {
            return None;
        }
        let url = call.target.url(&self.setup, &canonical_query(call.query));
        let mut flight = None;
        self.signed(&url, call, &mut |http, call, request| {
            flight = call.content.launch(http, &request);
        });
        flight
    }

    /// Signs and sends once.
    fn once(&mut self, url: &str, call: &mut Call<'_>) -> Done<Reply> {
        let mut sent = Err(Fault::new(Class::Usage, "nothing was sent"));
        self.signed(url, call, &mut |http, call, request| {
            sent = call.content.send(http, request).0;
        });
        sent
    }

    /// Shows the request with its signature.
    fn signed(
        &mut self,
        url: &str,
        call: &mut Call<'_>,
        send: &mut dyn FnMut(&mut Http, &mut Call<'_>, Request<'_>),
    ) {
        let (authority, path, query) = split(url);
        let now = self.clock.now();
        let time = Timestamp(now).compact();
        let payload = match &call.content {
            Content::None => EMPTY_SHA256.to_owned(),
            Content::Bytes(bytes) => hex(Algo::Sha256.hash(bytes).as_bytes()),
            Content::Part { .. } if self.unsigned && url.starts_with("https:") => {
                UNSIGNED.to_owned()
            }
            _ => call.sha256.clone(),
        };
        let token = self.setup.token.as_ref().map(|t| t.reveal().to_owned());
        let mut amz = vec![
            ("x-amz-date", time.as_str()),
            ("x-amz-content-sha256", payload.as_str()),
        ];
        if let Some(token) = &token {
            amz.push(("x-amz-security-token", token));
        }
        let mut signed = vec![("host", authority)];
        signed.extend(amz.iter().copied());
        signed.extend(call.headers.iter().copied().filter(|(name, _)| {
            name.starts_with("x-amz-") || matches!(*name, "content-md5" | "content-type" | "range")
        }));
        let mut parts: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
        parts.sort_unstable();
        let canonical = Canonical::new(call.method, path, &parts.join("&"), &signed, &payload);
        let authorization =
            self.setup
                .keys
                .authorization(&time, &self.setup.region, "s3", &canonical);
        let mut headers = call.headers.to_vec();
        headers.extend(amz);
        headers.push(("authorization", &authorization));
        let request = Request {
            method: call.method,
            url,
            headers: &headers,
            payload: Payload::None,
            pace: call.pace,
            expect: self.expect,
        };
        send(&mut self.http, call, request);
    }

    /// Takes up what the server says is wrong with our picture of it. True = repeat the request.
    fn correct(&mut self, refusal: &Refusal, call: &Call<'_>) -> Done<bool> {
        let creating = call.method == "PUT" && matches!(call.target, Target::Bucket);
        if self.correct_clock(refusal)
            || self.correct_name(refusal)
            || self.correct_keys(refusal)?
        {
            return Ok(true);
        }
        if refusal.is_style() && !self.style_switched {
            self.style_switched = true;
            self.setup.virtual_host = !self.setup.virtual_host;
            return Ok(true);
        }
        let redirect = (300..400).contains(&refusal.status) || refusal.is_elsewhere();
        let named = refusal.is_region() && !(creating && refusal.code.starts_with("Illegal"));
        let header = !refusal.region.is_empty() && refusal.region != self.setup.region;
        if !(redirect || named || header && (300..500).contains(&refusal.status)) {
            return Ok(false);
        }
        self.correct_region(refusal, redirect)
    }

    fn correct_clock(&mut self, refusal: &Refusal) -> bool {
        // Some servers say something else of a signature from another hour.
        let tolerance = match refusal.is_clock() {
            true => 0,
            false => SKEW_SECONDS,
        };
        let wrong = refusal.is_clock() || refusal.status == 403;
        let learnt = wrong && self.clock.learn(refusal.server_time, tolerance);
        self.notices.extend(self.clock.notice());
        learnt
    }

    fn correct_region(&mut self, refusal: &Refusal, redirect: bool) -> Done<bool> {
        if self.region_fixes >= REGION_FIXES_MAX {
            return match redirect && refusal.expected_region().is_some() {
                true => Err(
                    Fault::new(Class::Auth, "the server names another region each time").hint(
                        format!(
                            "give {} and --s3-authentication-region",
                            self.setup.manner.server
                        ),
                    ),
                ),
                false => Ok(false),
            };
        }
        let mut endpoint = self.setup.endpoint.clone();
        let mut region = refusal.expected_region();
        if redirect {
            if !refusal.endpoint.is_empty() {
                endpoint.host = refusal.endpoint.to_ascii_lowercase();
            } else if let Some(region) = region.as_deref().filter(|_| endpoint.is_aws()) {
                endpoint.host = format!("s3.{region}.amazonaws.com");
            }
            if !same_owner(&self.home, &endpoint) {
                return Err(foreign(&endpoint.host));
            }
            if region.is_none() && !refusal.endpoint.is_empty() {
                region = region_of(endpoint.name()).map(str::to_owned);
            }
        }
        let region = region.unwrap_or_else(|| self.setup.region.clone());
        if endpoint == self.setup.endpoint && region == self.setup.region {
            return Ok(false);
        }
        self.region_fixes += 1;
        if endpoint
            .host
            .starts_with(&format!("{}.", self.setup.bucket))
        {
            self.setup.virtual_host = true;
        }
        self.setup.endpoint = endpoint;
        self.setup.region = region;
        Ok(true)
    }

    /// Where a redirect leads, if that is allowed.
    fn follow(&self, chain: &mut Chain, from: &str, location: &str) -> Done<String> {
        let to = chain.follow(from, location)?;
        let endpoint = Endpoint {
            tls: to.starts_with("https://"),
            host: split(&to).0.to_ascii_lowercase(),
        };
        if endpoint.host.contains('@') || !same_owner(&self.home, &endpoint) {
            return Err(foreign(&to));
        }
        Ok(to)
    }

    /// Asks once for what has to be known before the first request.
    fn find_host(&mut self) -> Done<()> {
        let due = |lookup: &&Lookup| !self.found || lookup.is_over();
        let Some(lookup) = self.lookup.as_ref().filter(due) else {
            return Ok(());
        };
        lookup.find(&mut self.http, &mut self.setup)?;
        self.found = true;
        self.home = self.setup.endpoint.clone();
        Ok(())
    }

    /// Asks again for keys that the server took before and does not know any more. True when there are others.
    fn correct_keys(&mut self, refusal: &Refusal) -> Done<bool> {
        let renews = self.lookup.as_ref().is_some_and(Lookup::renews);
        if !renews || !refusal.is_of_old_keys() || !std::mem::take(&mut self.settled) {
            return Ok(false);
        }
        self.found = false;
        self.find_host()?;
        Ok(true)
    }

    /// Takes the other name of the server, once, where this one refuses every signature.
    fn correct_name(&mut self, refusal: &Refusal) -> bool {
        if self.settled || refusal.code != "SignatureDoesNotMatch" {
            return false;
        }
        match self.other_name.take() {
            Some(host) => {
                self.setup.endpoint.host = host;
                true
            }
            None => false,
        }
    }
}
