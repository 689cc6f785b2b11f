//! S3 and services that speak it (`destinations-core.md` 3): `s3://bucket/folder`, iDrive's `e2://`, and the schemes of
//! `destinations-more.md` 2.13.
//!
//! Signs every request and body; trusts no ETag as a digest. Does not retry: only corrections that the server asks for are
//! repeated, each a fixed number of times.

mod call;
mod client;
mod config;
#[cfg(feature = "dest-cos")]
mod cos;
mod error;
#[cfg(feature = "dest-storj")]
mod grant;
#[cfg(feature = "dest-duplicati")]
mod lent;
mod list;
mod lookup;
mod manner;
mod multipart;
mod options;
#[cfg(feature = "dest-aliyunoss")]
mod oss;
mod place;
#[cfg(feature = "dest-storj")]
mod storj;
mod unfinished;

#[cfg(feature = "dest-cos")]
pub(crate) use cos::SCHEME as COS;
#[cfg(feature = "dest-duplicati")]
pub(crate) use lent::{Lender, Lent, either, either_number};
#[cfg(feature = "dest-aliyunoss")]
pub(crate) use oss::SCHEME as OSS;
#[cfg(feature = "dest-storj")]
pub(crate) use storj::SCHEME as STORJ;

use crate::base::bytes::base64;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::s3::call::{Call, Target};
use crate::dest::s3::client::Client;
use crate::dest::s3::config::Setup;
use crate::dest::s3::error::Refusal;
use crate::dest::s3::list::Rules;
use crate::dest::s3::lookup::Lookup;
use crate::dest::s3::manner::Version;
use crate::dest::{
    About, Body, Destination, FLIES, Flight, GetFacts, Listed, RemoteFile, Said, Scheme, Sink,
    Span, WantedDigests,
};
use crate::net::http::{Pace, Reply, parse_date};
use crate::net::ranged::{Answer, Resume};
use crate::net::service::Content;

/// Largest single upload that S3 allows.
const PUT_MAX_BYTES: u64 = 5 << 30;
const E2_LOOKUP: &str = "https://api.idrivee2.com/api/service/get_region_end_point/";

pub(crate) static S3: Scheme = Scheme {
    names: &["s3"],
    help: "S3 and compatible services: s3://bucket/folder?s3-server-name=host",
    options: options::OPTIONS,
    open: |url, options| {
        let setup = Setup::new(url, options, None)?;
        Ok(Box::new(S3Folder::new(
            url.display(),
            setup,
            None,
            options,
        )?))
    },
};

pub(crate) static E2: Scheme = Scheme {
    names: &["e2"],
    help: "iDrive e2: e2://bucket/folder",
    options: options::OPTIONS,
    open: |url, options| {
        let setup = Setup::new(url, options, Some("https://api.idrivee2.com"))?;
        let lookup = Some(Lookup::E2(E2_LOOKUP));
        Ok(Box::new(S3Folder::new(
            url.display(),
            setup,
            lookup,
            options,
        )?))
    },
};

/// The place that keys are lent for. `shown`: as messages name it.
#[cfg(feature = "dest-duplicati")]
pub(crate) fn lent(
    shown: String,
    lender: Lender,
    lent: Lent,
    given: &Options,
) -> Result<Box<dyn Destination>> {
    let (setup, purse) = lent::setup(lender, lent)?;
    let lookup = Some(Lookup::Lent(Box::new(purse)));
    Ok(Box::new(S3Folder::new(shown, setup, lookup, given)?))
}

/// A prefix of a bucket.
struct S3Folder {
    client: Client,
    shown: String,
    /// Keys that are exchanged for others are told by the first.
    account: String,
    /// As the options have it; a server may name another.
    place: String,
    rules: Rules,
    checksum: bool,
    multipart_from: u64,
    part_size: u64,
    resume: Resume,
    /// The server has not refused an upload for its `If-None-Match` yet.
    conditional: bool,
    /// It was said who reads what is not encrypted, or nobody does.
    plain_told: bool,
}

impl S3Folder {
    /// For a scheme whose setup is whole before the first request.
    #[cfg(any(feature = "dest-aliyunoss", feature = "dest-cos"))]
    fn opened(
        url: &crate::net::url::DestUrl,
        setup: Setup,
        given: &Options,
    ) -> Result<Box<dyn Destination>> {
        let folder = S3Folder::new(url.display(), setup, None, given)?;
        Ok(Box::new(folder))
    }

    /// `shown`: as messages name it.
    fn new(
        shown: String,
        setup: Setup,
        lookup: Option<Lookup>,
        given: &Options,
    ) -> Result<S3Folder> {
        let manner = setup.manner;
        let cold = match given.given(options::ARCHIVE_CLASSES.name) {
            None if !manner.cold.is_empty() => manner.cold,
            _ => given.text(&options::ARCHIVE_CLASSES).unwrap_or(""),
        };
        let (host, bucket) = (&setup.endpoint.host, &setup.bucket);
        Ok(S3Folder {
            account: setup.keys.id.clone(),
            place: format!("s3://{host}/{bucket}/{}", setup.prefix),
            client: Client::new(setup, given, lookup)?,
            shown,
            rules: Rules {
                version: match given.choice(&options::LIST_VERSION) {
                    Some("v1") => Version::V1,
                    Some("v2") => Version::V2,
                    _ => manner.version,
                },
                recursive: given.flag(&options::RECURSIVE),
                archive_classes: cold
                    .split(',')
                    .map(|c| c.trim().to_ascii_uppercase())
                    .filter(|c| !c.is_empty())
                    .collect(),
            },
            checksum: given.choice(&options::CHECKSUM) == Some("sha256"),
            multipart_from: given
                .size(&options::MULTIPART_FROM)
                .unwrap_or(1 << 30)
                .min(PUT_MAX_BYTES),
            part_size: given.size(&options::PART_SIZE).unwrap_or(64 << 20),
            resume: Resume::default(),
            conditional: manner.conditional,
            plain_told: manner.reader.is_empty(),
        })
    }

    /// Says once that a file which is not encrypted is read by who carries it.
    fn tell_of_readers(&mut self, name: &str) {
        let volume = [".dblock.", ".dindex.", ".dlist."];
        let plain = !name.ends_with(".aes") && !name.ends_with(".gpg");
        if !self.plain_told && plain && volume.iter().any(|part| name.contains(part)) {
            self.plain_told = true;
            let reader = self.client.setup.manner.reader;
            self.client.notices.push(format!(
                "the files are not encrypted: {reader} can read them"
            ));
        }
    }

    /// Headers that decide how an object is stored.
    fn object_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
        if let Some(class) = &self.client.setup.class {
            headers.push(("x-amz-storage-class", class.clone()));
        }
        headers
    }

    /// The headers of a whole upload.
    fn body_headers(&self, body: &dyn Body) -> Vec<(&'static str, String)> {
        let mut headers = self.object_headers();
        if let Some(md5) = body.md5() {
            headers.push(("content-md5", base64(&md5)));
        }
        if self.checksum {
            headers.push(("x-amz-checksum-sha256", base64(&body.sha256())));
        }
        if body.is_new() && self.conditional {
            headers.push(("if-none-match", "*".to_owned()));
        }
        headers
    }

    fn put_whole(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let headers = self.body_headers(body);
        let headers = borrowed(&headers);
        let is_new = body.is_new();
        let mut call = Call::upload(name, &headers, body);
        match self.client.try_call(&mut call)? {
            Ok(reply) => self.no_error_inside(reply, &call),
            Err(refusal) if is_new && refusal.status == 412 => {
                Err(Fault::new(Class::Exists, "the name is taken"))
            }
            Err(refusal) if is_new && self.conditional && refusal.is_no_condition() => {
                self.conditional = false;
                match self.stat(name) {
                    Ok(_) => Err(Fault::new(Class::Exists, "the name is taken")),
                    Err(fault) if fault.class == Class::NotFound => self.put_whole(name, body),
                    Err(fault) => Err(fault),
                }
            }
            Err(refusal) => Err(self.client.fault(&refusal, &call)),
        }
    }

    /// A success may carry an error in its body.
    fn no_error_inside(&self, mut reply: Reply, call: &Call<'_>) -> Done<()> {
        let refusal = Refusal::of(&mut reply);
        if refusal.code.is_empty() {
            Ok(())
        } else {
            Err(self.client.fault(&refusal, call))
        }
    }
}

fn borrowed<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(n, v)| (*n, v.as_str())).collect()
}

impl Destination for S3Folder {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        list::list(&mut self.client, &mut self.rules, start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let call = Call::new("HEAD", Target::Object(name), "s3:GetObject");
        let reply = self.client.call(call)?;
        let class = reply.header("x-amz-storage-class").unwrap_or("");
        Ok(RemoteFile {
            name: name.to_owned(),
            size: reply.content_length(),
            modified: reply.header("last-modified").and_then(parse_date),
            is_folder: false,
            is_archived: self
                .rules
                .archive_classes
                .contains(&class.to_ascii_uppercase()),
        })
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let client = &mut self.client;
        self.resume.get(name, span, into, &mut |range, tag| {
            let mut headers = Vec::new();
            headers.extend(range.map(|range| ("range", range)));
            if !tag.is_empty() {
                headers.push(("if-match", tag));
            }
            let call = Call {
                headers: &headers,
                pace: Pace::Download,
                accept: if range.is_some() { &[412, 416] } else { &[] },
                ..Call::new("GET", Target::Object(name), "s3:GetObject")
            };
            let reply = client.call(call)?;
            let tag = reply.header("etag").unwrap_or("").to_owned();
            Ok(Answer {
                reply,
                tag,
                sha1: None,
            })
        })
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.tell_of_readers(name);
        // What must be new goes in one piece, whose condition every server treats alike.
        if body.len() <= self.multipart_from || body.is_new() && body.len() <= PUT_MAX_BYTES {
            return self.put_whole(name, body);
        }
        let scaleway = self.client.setup.endpoint.is_under("scw.cloud");
        let limit = if scaleway { 1000 } else { 10_000 };
        let size = multipart::part_size(body.len(), self.part_size, limit);
        let headers = self.object_headers();
        multipart::put(&mut self.client, name, body, size, &borrowed(&headers))
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if !FLIES || body.len() > self.multipart_from {
            return None;
        }
        self.tell_of_readers(name);
        let headers = self.body_headers(body);
        let headers = borrowed(&headers);
        self.client.launch(&mut Call::upload(name, &headers, body))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let mut call = Call::new("DELETE", Target::Object(name), "s3:DeleteObject");
        match self.client.try_call(&mut call)? {
            Ok(mut reply) => reply.finish(),
            Err(refusal) if refusal.status == 404 && !refusal.is_no_bucket() => Ok(()),
            Err(refusal) => Err(self.client.fault(&refusal, &call)),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        let region = match self.client.setup.location.as_str() {
            "" => self.client.setup.region.as_str(),
            given => given,
        };
        let body = match region {
            "" | "auto" | "us-east-1" => String::new(),
            _ if !self.client.setup.manner.names_region => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
                region.replace(['<', '>', '&'], "")
            ),
        };
        let mut call = Call {
            content: Content::Bytes(body.as_bytes()),
            pace: Pace::List,
            ..Call::new("PUT", Target::Bucket, "s3:CreateBucket")
        };
        let refusal = match self.client.try_call(&mut call)? {
            Ok(mut reply) => return reply.finish(),
            Err(refusal) => refusal,
        };
        match refusal.code.as_str() {
            "BucketAlreadyOwnedByYou" => Ok(()),
            "BucketAlreadyExists" | "BucketNameUnavailable" => {
                if list::bucket_exists(&mut self.client)? {
                    return Ok(());
                }
                Err(Fault::new(
                    Class::Auth,
                    format!(
                        "bucket name '{}' taken by another account",
                        text::safe(self.client.setup.bucket.as_bytes())
                    ),
                )
                .hint("choose another bucket name"))
            }
            _ => Err(self.client.fault(&refusal, &call)),
        }
    }

    fn about(&self) -> About {
        About {
            refuses_to_replace: self.conditional,
            wants: WantedDigests {
                sha1: false,
                md5: true,
            },
            limits_lists: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: std::mem::take(&mut self.client.notices),
            requests: Some(self.client.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    fn learnt(&self) -> Option<String> {
        self.client.learnt_region().map(str::to_owned)
    }

    fn recall(&mut self, learnt: &str) {
        self.client.recall_region(learnt);
    }

    fn end_unfinished(&mut self, start: &str, before: i64) -> Done<u64> {
        unfinished::end(&mut self.client, start, before)
    }
}
