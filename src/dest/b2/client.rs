//! Requests to B2: log-in and its renewal, the bucket's id, redirects, and a count of what is billed.
//!
//! A request whose token has run out is repeated once with a new one; nothing else is repeated here.

use crate::base::bytes::base64;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::Flight;
use crate::dest::b2::account::{Account, Bucket, Reach};
use crate::dest::b2::config::Setup;
use crate::dest::b2::error::{DIALECT, is_expired, is_unknown_version};
use crate::dest::b2::ops::{LIST_BUCKETS, LOGIN, Op};
use crate::net::http::{Http, Payload, Reply, Request};
use crate::net::json;
use crate::net::redirect::split;
use crate::net::service::html::not_html;
use crate::net::service::rows::{self, Row};
use crate::net::service::send::send_home;
use crate::net::service::{Content, Pages, Refusal};

/// Versions of the log-in, newest first; only the first knows keys for several buckets.
const LOGINS: [u8; 3] = [4, 3, 2];
/// The version of all other calls.
const API: u8 = 3;

/// Where a call goes that is made with the account's token.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Api,
    /// Path below the base URL of downloads.
    Download(&'a str),
    /// As `Download`, but never through `--b2-download-url`.
    Origin(&'a str),
}

/// Connection, log-in and what was learnt.
pub(super) struct Client {
    http: Http,
    pub(super) setup: Setup,
    account: Option<Account>,
    bucket: Option<Bucket>,
    version: u8,
    /// Calls of class A, B and C.
    pub(super) billed: [u64; 3],
}

impl Client {
    pub(super) fn new(setup: Setup, options: &Options) -> Result<Client> {
        Ok(Client {
            http: Http::new(options)?,
            setup,
            account: None,
            bucket: None,
            version: API,
            billed: [0; 3],
        })
    }

    /// For a listing.
    pub(super) fn pages(&self) -> Pages {
        Pages::new(self.setup.page_size, self.http.list_time())
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// The log-in, made when there is none.
    pub(super) fn account(&mut self) -> Done<&Account> {
        if self.account.is_none() {
            let account = self.log_in()?;
            account.check(&self.setup.key_id, &self.setup.prefix)?;
            self.account = Some(account);
        }
        let missing = || Fault::new(Class::Protocol, "not logged in");
        self.account.as_ref().ok_or_else(missing)
    }

    fn log_in(&mut self) -> Done<Account> {
        let basic = base64(format!("{}:{}", self.setup.key_id, self.setup.key.reveal()).as_bytes());
        let token = format!("Basic {basic}");
        let mut versions = LOGINS.iter().peekable();
        while let Some(&version) = versions.next() {
            let url = format!("{}/b2api/v{version}/{}", self.setup.api_url, LOGIN.name);
            let sent = self.send("GET", &url, &LOGIN, &token, &[], &mut Content::None);
            let mut reply = sent.0?;
            if reply.status == 200 {
                not_html(&mut reply, "JSON", DIALECT.who)?;
                self.version = version.min(API);
                let io = reply.io_fault();
                let account = Account::read(&mut reply, &io, &self.setup.bucket);
                return account.map_err(|f| self.masked(f, &[&basic]));
            }
            let refusal = Refusal::of(&mut reply, DIALECT.form);
            if is_unknown_version(&refusal) && versions.peek().is_some() {
                continue;
            }
            let fault = if refusal.status == 401 && !refusal.is("*cap_exceeded") {
                Fault::new(
                    Class::Auth,
                    format!(
                        "key id '{}' or its application key rejected; {}",
                        text::safe(self.setup.key_id.as_bytes()),
                        refusal.said()
                    ),
                )
                .hint("check --b2-accountid and --b2-applicationkey")
            } else {
                self.fault(&refusal, &LOGIN)
            };
            return Err(self.masked(fault, &[&basic]));
        }
        Err(Fault::new(Class::Protocol, "no log-in is known"))
    }

    /// Refuses at once what the key has no right to.
    pub(super) fn need(&mut self, right: &'static str) -> Done<()> {
        let key_id = self.setup.key_id.clone();
        self.account()?.need(right, &key_id)
    }

    /// The bucket; asked for only when the log-in does not tell it.
    pub(super) fn bucket(&mut self) -> Done<Bucket> {
        if let Some(bucket) = &self.bucket {
            return Ok(bucket.clone());
        }
        if let Reach::This(bucket) = &self.account()?.reach {
            let bucket = bucket.clone();
            self.bucket = Some(bucket.clone());
            return Ok(bucket);
        }
        let wanted = self.setup.bucket.clone();
        let body = serde_json::json!({ "accountId": self.account()?.id, "bucketName": wanted });
        let mut reply = self.post(&LIST_BUCKETS, &body.to_string())?;
        let mut found = None;
        let max = json::LIST_MAX_BYTES;
        rows::rows(&mut reply, DIALECT.who, max, "buckets", &mut |row| {
            let bucket = Bucket::of(row);
            if bucket.is_named(&wanted) {
                found = Some(bucket);
            }
            Ok(())
        })?;
        let Some(bucket) = found else {
            return Err(Fault::new(
                Class::FolderMissing,
                format!(
                    "bucket '{}' does not exist at {}",
                    text::safe(self.setup.bucket.as_bytes()),
                    text::safe(split(&self.setup.api_url).0.as_bytes())
                ),
            ));
        };
        self.bucket = Some(bucket.clone());
        Ok(bucket)
    }

    /// A bucket was made.
    pub(super) fn set_bucket(&mut self, bucket: Bucket) {
        self.bucket = Some(bucket);
    }

    /// A call of the API; every refusal is a fault.
    pub(super) fn post(&mut self, op: &Op, body: &str) -> Done<Reply> {
        match self.call("POST", Place::Api, op, &[], body)? {
            Ok(reply) => Ok(reply),
            Err(refusal) => Err(self.fault(&refusal, op)),
        }
    }

    /// As [`Client::post`]: the fields of the reply.
    pub(super) fn ask(&mut self, op: &Op, body: &str) -> Done<Row> {
        rows::row(&mut self.post(op, body)?, DIALECT.who)
    }

    /// A call with the account's token, which is renewed once when it has run out. `GET` sends no body; 416 is no refusal.
    pub(super) fn call(
        &mut self,
        method: &'static str,
        place: Place<'_>,
        op: &Op,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        let mut renewed = false;
        loop {
            let account = self.account()?;
            let token = account.token.reveal().to_owned();
            let (api, origin) = (account.api.clone(), account.download.clone());
            let url = match place {
                Place::Api => format!("{api}/b2api/v{}/{}", self.version, op.name),
                Place::Origin(path) => format!("{origin}{path}"),
                Place::Download(path) => {
                    let base = self.setup.download_url.as_ref().unwrap_or(&origin);
                    format!("{base}{path}")
                }
            };
            let mut content = match method {
                "GET" => Content::None,
                _ => Content::Bytes(body.as_bytes()),
            };
            let sent = self.send(method, &url, op, &token, headers, &mut content);
            let mut reply = sent.0?;
            if (200..300).contains(&reply.status) || reply.status == 416 {
                return Ok(Ok(reply));
            }
            let mut refusal = Refusal::of(&mut reply, DIALECT.form);
            refusal.message = refusal.message.replace(&token, "***");
            if is_expired(&refusal) && !renewed {
                renewed = true;
                self.account = None;
                continue;
            }
            return Ok(Err(refusal));
        }
    }

    /// Sends once and counts it; follows redirects within the same server. Also whether the whole body was handed over.
    pub(super) fn send(
        &mut self,
        method: &str,
        url: &str,
        op: &Op,
        token: &str,
        headers: &[(&str, &str)],
        content: &mut Content<'_>,
    ) -> (Done<Reply>, bool) {
        let all = self.headers(token, headers, content);
        let request = request(method, url, op, &all);
        let billed = &mut self.billed[op.cost as usize];
        send_home(&mut self.http, request, content, &mut || *billed += 1)
    }

    /// Gives a request out of hand: see [`Content::launch`]. It is counted by who takes up its answer.
    pub(super) fn launch(
        &mut self,
        method: &str,
        url: &str,
        op: &Op,
        token: &str,
        headers: &[(&str, &str)],
        content: &Content<'_>,
    ) -> Option<Box<dyn Flight>> {
        let all = self.headers(token, headers, content);
        content.launch(&mut self.http, &request(method, url, op, &all))
    }

    /// See [`Http::has_landed`].
    pub(super) fn has_landed(&self, url: &str) -> bool {
        self.http.has_landed(url)
    }

    fn headers<'h>(
        &self,
        token: &'h str,
        headers: &[(&'h str, &'h str)],
        content: &Content<'_>,
    ) -> Vec<(&'h str, &'h str)> {
        let mut all = vec![("authorization", token)];
        all.extend_from_slice(headers);
        if let Content::Bytes(_) = content {
            all.push(("content-type", "application/json"));
        }
        if let Some(mode) = self.setup.test_mode {
            all.push(("x-bz-test-mode", mode));
        }
        all
    }

    /// The fault of a refusal.
    pub(super) fn fault(&self, refusal: &Refusal, op: &Op) -> Fault {
        let names = [
            ("right", op.right),
            ("bucket", &self.setup.bucket),
            ("key", &self.setup.key_id),
        ];
        refusal.fault(&DIALECT, op.verb, &names)
    }

    /// A fault without the words that must not be shown.
    fn masked(&self, fault: Fault, secrets: &[&str]) -> Fault {
        let clean = |text: String| {
            let all = secrets.iter().filter(|s| s.len() >= 4);
            all.fold(text, |text, secret| text.replace(secret, "***"))
        };
        Fault {
            class: fault.class,
            text: clean(fault.text),
            hint: clean(fault.hint),
        }
    }
}

fn request<'r>(
    method: &'r str,
    url: &'r str,
    op: &Op,
    headers: &'r [(&'r str, &'r str)],
) -> Request<'r> {
    Request {
        method,
        url,
        headers,
        payload: Payload::None,
        pace: op.pace,
        expect: false,
    }
}
