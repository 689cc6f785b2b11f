//! Google Cloud Storage (`destinations-more.md` 2.5): `gcs://bucket/folder`, by its JSON interface.
//!
//! An upload is proven by the server's own digest of what it stored. A long one goes so that a break is gone on after: the
//! server says how much it has.

mod options;

use crate::base::bytes::base64;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::Scheme;
use crate::dest::objects::{Api, Base, File, Listing, Part, Sent, Shape, Store, resumable, sent};
use crate::net::checks::{self, Naming};
use crate::net::http::Reply;
use crate::net::redirect::split;
use crate::net::service::call::Token;
use crate::net::service::{Dialect, Form, Verb, rows, rules, words};
use crate::net::url::{DestUrl, encode, folder, is_near};

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["gcs"],
    help: "Google Cloud Storage: gcs://bucket/folder",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
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
        404 "" [Resume] => Class::NotFound;
        410 "" [Resume] => Class::NotFound;
        409 "conflict" [MakeFolder] => Class::Exists;
        412 "" [Put Resume] => Class::Exists;
        400 "" [Put Resume] "md5" => Class::Integrity, "the file arrived damaged at the server";
        400 "" [MakeFolder] => Class::Unsupported, "the bucket cannot be made so", "see --gcs-project, --gcs-location and --gcs-storage-class, and the rules for bucket names";
    },
    words: words! {
        Class::FolderMissing => "=the bucket does not exist";
        Class::Exists => "the name is taken";
        Class::Auth => "access denied", "check --gcs-service-account-file or --authid";
        Class::Locked => "it is protected by a retention policy or a hold", "wait until the policy ends";
    },
};

static BUCKET: Naming = Naming {
    len: (3, 222),
    marks: "-_.",
    rule: "is no bucket name: it has 3 to 222 small letters, digits, '-', '_' and '.'",
    hint: "write it as gcs://bucket/folder",
    ..Naming::PLAIN
};
static SHAPE: Shape = Shape {
    encodes_slash: true,
    refuses_to_replace: true,
    content: "alt=media",
    look: "fields=name%2Csize%2Cupdated",
    listing: Listing {
        query: "delimiter=%2F&fields=kind%2CnextPageToken%2Citems%28name%2Csize%2Cupdated%29&maxResults=",
        mark: "pageToken",
        rows: "items",
        size: "size",
        modified: "updated",
        next: "nextPageToken",
        proof: ("kind", "storage#objects", "kind"),
        ..Listing::PLAIN
    },
    pieces_from: (8 << 20) + 1,
    ..Shape::flying(&DIALECT)
};

/// A bucket.
struct Bucket {
    /// Address of the service.
    server: String,
    name: String,
    /// For making the bucket: project, location, storage class; empty where none is given.
    made: [String; 3],
}

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let name = BUCKET.of(url, "bucket", "gcs://bucket/folder")?;
    let server = checks::address(given, &options::ENDPOINT, "", "http://127.0.0.1:4443")?;
    let server = server.unwrap_or("https://storage.googleapis.com".to_owned());
    let account = options::account(given)?;
    let who = account.as_ref();
    let (email, own) = who.map_or_else(Default::default, |a| (a.email.clone(), a.project.clone()));
    let login = options::login(given, account)?;
    if login.is_some() && server.starts_with("http://") && !is_near(split(&server).0) {
        return Err(Error::usage("a log-in is not sent in the clear")
            .hint("write --gcs-endpoint with https://"));
    }
    let login = login.unwrap_or_else(|| Box::new(Token(None)));
    let objects = format!("{server}/storage/v1/b/{}/o", encode(&name));
    let at = (objects, folder(url.path.trim_matches('/')));
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    (base.account, base.place) = (email, format!("{server}/{name}/"));
    let text = |opt| given.text(opt).map(|text| text.trim().to_owned());
    let api = Box::new(Bucket {
        server,
        name,
        made: [
            text(&options::PROJECT).unwrap_or(own),
            text(&options::LOCATION).unwrap_or_default(),
            text(&options::CLASS).unwrap_or_default(),
        ],
    });
    Ok(Store { base, api })
}

impl Bucket {
    /// Where a file is sent to.
    fn upload(&self, base: &Base, file: &File<'_>, kind: &str) -> String {
        let condition = match file.is_new {
            true => "&ifGenerationMatch=0",
            false => "",
        };
        format!(
            "{}/upload/storage/v1/b/{}/o?uploadType={kind}{condition}&name={}&fields=size%2Cmd5Hash",
            self.server,
            encode(&self.name),
            base.key(file.name)
        )
    }
}

impl Api for Bucket {
    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let hash = ("x-goog-hash", format!("md5={}", base64(&file.digest)));
        sent("POST", self.upload(base, file, "media"), vec![hash])
    }

    fn is_stored(&mut self, _: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let row = rows::row(reply, DIALECT.who)?;
        let md5 = row.get("md5Hash");
        let same = md5.is_none_or(|md5| md5 == base64(&file.digest));
        Ok(same && row.number("size") == Some(file.len))
    }

    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let url = self.upload(base, file, "resumable");
        // The server compares it with what has arrived in the end.
        let about = serde_json::json!({ "md5Hash": base64(&file.digest) });
        resumable::begin(base, ("POST", url), file, &about)
    }

    fn piece(&self, _: &Base, to: &str, file: &File<'_>, part: &Part) -> Sent {
        resumable::rest(to, file, part)
    }

    fn cancel(&self, base: &mut Base, to: &str) {
        resumable::cancel(base, to);
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        let [project, location, class] = &self.made;
        let mut body = serde_json::json!({ "name": self.name });
        for (field, value) in [("location", location), ("storageClass", class)] {
            if !value.is_empty() {
                body[field] = value.as_str().into();
            }
        }
        let url = format!("{}/storage/v1/b?project={}", self.server, encode(project));
        let headers = vec![("content-type", "application/json".to_owned())];
        let request = ("POST", url, headers, body.to_string().into_bytes());
        match base.call(Verb::MakeFolder, &request) {
            // It may be another account's.
            Err(fault) if fault.class == Class::Exists => {
                let looked = self.page(base, "", "", &mut |_| Ok(()));
                looked.map(drop).map_err(|_| {
                    let what = "the name of the bucket is taken by another account";
                    Fault::new(Class::Auth, what).hint("choose another bucket name")
                })
            }
            made => made?.finish(),
        }
    }
}
