//! Google Cloud Storage (`destinations-more.md` 2.5): `gcs://bucket/folder`, by its JSON interface.
//!
//! An upload is proven by the server's own digest of what it stored.

mod options;
mod resumable;

use crate::base::bytes::base64;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::gcs::resumable::Pending;
use crate::dest::{
    About, Body, Destination, GetFacts, Listed, RemoteFile, Said, Scheme, Sink, Span, WantedDigests,
};
use crate::net::http::{Http, Pace, iso_time};
use crate::net::redirect::split;
use crate::net::service::call::{Call, Service};
use crate::net::service::pages::incomplete;
use crate::net::service::refusal::word;
use crate::net::service::rows::Row;
use crate::net::service::{Content, Dialect, Form, Pages, Verb, rules};
use crate::net::url::{DestUrl, encode, is_near};

/// Files asked for at once.
const PAGE: u64 = 1000;
/// Longer files are sent so that a break is gone on after.
const WHOLE_MAX_BYTES: u64 = 8 << 20;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["gcs"],
    help: "Google Cloud Storage: gcs://bucket/folder",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(Bucket::new(url, options)?)),
};

static DIALECT: Dialect = Dialect {
    form: Form::Json("reason", "message"),
    who: "Google Cloud Storage",
    rules: rules! {
        403 "rateLimitExceeded userRateLimitExceeded" => Class::Throttled(None);
        403 "storageQuotaExceeded" => Class::Full;
        403 "retentionPolicyNotMet objectUnderActiveHold" => Class::Locked;
        403 "accountDisabled" => Class::Auth, "the project has no billing account that is in order";
        0 "UserProjectMissing" => Class::Auth, "the bucket wants the requester to pay, which is not offered";
        403 "" "does not have storage." => Class::Auth, "the account lacks the right to do that", "give it the role Storage Object User for the bucket";
        404 "" "bucket does not exist" => Class::FolderMissing;
        409 "conflict" [MakeFolder] => Class::Exists;
        412 "" [Put Resume] => Class::Exists;
        400 "" [Put Resume] "md5" => Class::Integrity, "the file arrived damaged at the server";
        400 "" [MakeFolder] => Class::Unsupported, "the bucket cannot be made so", "see --gcs-project, --gcs-location and --gcs-storage-class, and the rules for bucket names";
    },
    words: &[
        word(Class::FolderMissing, "=the bucket does not exist", ""),
        word(Class::Exists, "the name is taken", ""),
        word(
            Class::Auth,
            "access denied",
            "check --gcs-service-account-file or --authid",
        ),
        word(
            Class::Locked,
            "it is protected by a retention policy or a hold",
            "wait until the policy ends",
        ),
    ],
};

/// A prefix of a bucket.
struct Bucket {
    service: Service,
    base: String,
    bucket: String,
    /// Empty, or with `/` at its end.
    prefix: String,
    /// For making the bucket: project, location, storage class; empty where none is given.
    made: [String; 3],
    account: String,
    pending: Option<Pending>,
    shown: String,
}

/// Part of a query: what must be new replaces nothing.
fn condition(body: &dyn Body) -> &'static str {
    match body.is_new() {
        true => "&ifGenerationMatch=0",
        false => "",
    }
}

impl Bucket {
    fn new(url: &DestUrl, given: &Options) -> Result<Bucket> {
        let bucket = url.host.trim().to_owned();
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let ends = |c: char| c.is_ascii_alphanumeric();
        let named = (3..=222).contains(&bucket.len()) && bucket.chars().all(good);
        if url.port.is_some() || !named || !bucket.starts_with(ends) || !bucket.ends_with(ends) {
            let shown = crate::base::text::safe_cut(bucket.as_bytes(), 70);
            let what = "is no bucket name: it has 3 to 222 small letters, digits, '-', '_' and '.'";
            return Err(
                Error::usage(format!("'{shown}' {what}")).hint("write it as gcs://bucket/folder")
            );
        }
        let mut prefix = url.path.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let base = given.text(&options::ENDPOINT);
        let base = base.unwrap_or("https://storage.googleapis.com").trim();
        if !(base.starts_with("https://") || base.starts_with("http://")) {
            return Err(Error::usage("--gcs-endpoint is no address")
                .hint("write it as http://127.0.0.1:4443"));
        }
        let who = options::who(given)?;
        if who.is_somebody && base.starts_with("http://") && !is_near(split(base).0) {
            return Err(Error::usage("a log-in is not sent in the clear")
                .hint("write --gcs-endpoint with https://"));
        }
        let text = |opt| given.text(opt).unwrap_or("").trim().to_owned();
        let mut project = text(&options::PROJECT);
        if project.is_empty() {
            project = who.project;
        }
        Ok(Bucket {
            service: Service::new(Http::new(given)?, &DIALECT, who.login),
            base: base.trim_end_matches('/').to_owned(),
            bucket,
            prefix,
            made: [project, text(&options::LOCATION), text(&options::CLASS)],
            account: who.account,
            pending: None,
            shown: url.display(),
        })
    }

    /// Address of a file, with a query.
    fn url(&self, name: &str, query: &str) -> String {
        let key = encode(&format!("{}{name}", self.prefix));
        let bucket = encode(&self.bucket);
        format!("{}/storage/v1/b/{bucket}/o/{key}{query}", self.base)
    }

    /// Where a file is sent to.
    fn upload_url(&self, name: &str, query: &str) -> String {
        let key = encode(&format!("{}{name}", self.prefix));
        let bucket = encode(&self.bucket);
        let fields = "fields=size%2Cmd5Hash";
        format!(
            "{}/upload/storage/v1/b/{bucket}/o?{query}&name={key}&{fields}",
            self.base
        )
    }

    /// A call whose reply is small.
    fn call<'a>(verb: Verb, method: &'static str, url: String) -> Call<'a, 'a> {
        Call {
            verb,
            method,
            url,
            headers: &[],
            content: Content::None,
            pace: Pace::Short,
        }
    }

    /// One page of a listing; where the next one begins.
    fn page(
        &mut self,
        mark: &str,
        pages: &mut Pages,
        each: &mut dyn FnMut(Listed) -> Done<()>,
    ) -> Done<String> {
        let mut url = format!(
            "{}/storage/v1/b/{}/o?delimiter=%2F&maxResults={PAGE}&prefix={}&fields=kind%2CnextPageToken%2Citems%28name%2Csize%2Cupdated%29",
            self.base,
            encode(&self.bucket),
            encode(&self.prefix)
        );
        if !mark.is_empty() {
            url.push_str(&format!("&pageToken={}", encode(mark)));
        }
        let call = Call {
            pace: Pace::List,
            ..Self::call(Verb::List, "GET", url)
        };
        let (prefix, mut entries) = (&self.prefix, 0);
        let tail = self.service.rows(call, "items", &mut |row| {
            entries += 1;
            let name = row
                .get("name")
                .and_then(|n| n.strip_prefix(prefix.as_str()));
            match name.filter(|n| !n.is_empty()) {
                Some(name) => each(Listed::Entry(file(name, row))),
                None => Ok(()),
            }
        })?;
        if tail.get("kind") != Some("storage#objects") {
            return Err(incomplete("the reply is no listing"));
        }
        let next = tail.text("nextPageToken");
        if !next.is_empty() {
            pages.page(&next, entries)?;
        }
        Ok(next)
    }
}

fn file(name: &str, row: &Row) -> RemoteFile {
    RemoteFile {
        name: name.to_owned(),
        size: row.number("size"),
        modified: row.get("updated").and_then(iso_time),
        is_folder: false,
        is_archived: false,
    }
}

impl Destination for Bucket {
    fn list(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let (mut pages, mut mark) = (Pages::new(PAGE), String::new());
        loop {
            mark = self.page(&mark, &mut pages, each)?;
            if mark.is_empty() {
                return Ok(());
            }
        }
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let url = self.url(name, "?fields=name%2Csize%2Cupdated");
        let row = self.service.row(Self::call(Verb::Look, "GET", url))?;
        Ok(file(name, &row))
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let url = self.url(name, "?alt=media");
        self.service
            .download(("GET", &url), &[], (name, span), into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let (len, md5) = (body.len(), body.md5().map(|md5| base64(&md5)));
        let row = match len > WHOLE_MAX_BYTES {
            true => self.put_resumable(name, body)?,
            false => {
                let url = self.upload_url(name, &format!("uploadType=media{}", condition(body)));
                let hash = format!("md5={}", md5.as_deref().unwrap_or(""));
                let headers = [
                    ("content-type", "application/octet-stream"),
                    ("x-goog-hash", hash.as_str()),
                ];
                self.service.row(Call {
                    headers: &headers[..1 + usize::from(md5.is_some())],
                    content: Content::whole(body),
                    pace: Pace::Upload,
                    ..Self::call(Verb::Put, "POST", url)
                })?
            }
        };
        let theirs = row.get("md5Hash");
        let same = theirs.is_none() || theirs == md5.as_deref();
        if same && row.number("size") == Some(len) {
            return Ok(());
        }
        let what = "the stored file is not the one sent";
        Err(Fault::new(Class::Integrity, what))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let url = self.url(name, "");
        match self.service.call(Self::call(Verb::Delete, "DELETE", url)) {
            Err(fault) if fault.class == Class::NotFound => Ok(()),
            done => done?.finish(),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        let [project, location, class] = &self.made;
        let mut body = serde_json::json!({ "name": self.bucket });
        for (field, value) in [("location", location), ("storageClass", class)] {
            if !value.is_empty() {
                body[field] = value.as_str().into();
            }
        }
        let url = format!("{}/storage/v1/b?project={}", self.base, encode(project));
        let body = body.to_string();
        let made = self.service.call(Call {
            headers: &[("content-type", "application/json")],
            content: Content::Bytes(body.as_bytes()),
            ..Self::call(Verb::MakeFolder, "POST", url)
        });
        match made {
            // It may be another account's.
            Err(fault) if fault.class == Class::Exists => {
                let looked = self.page("", &mut Pages::new(PAGE), &mut |_| Ok(()));
                looked.map(drop).map_err(|_| {
                    Fault::new(
                        Class::Auth,
                        "the name of the bucket is taken by another account",
                    )
                    .hint("choose another bucket name")
                })
            }
            made => made?.finish(),
        }
    }

    fn about(&self) -> About {
        About {
            wants: WantedDigests {
                md5: true,
                sha1: false,
            },
            refuses_to_replace: true,
            put_is_proof: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            requests: Some(self.service.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        format!("{}/{}/{}", self.base, self.bucket, self.prefix)
    }

    fn account(&self) -> String {
        self.account.clone()
    }
}
