//! Backblaze B2 through its native API (`destinations-core.md` 5): `b2://bucket/folder`.
//!
//! An upload is proven by the server's own reply, so that a backup costs one log-in and the listing beside calls that are free.
//! Does not wait or retry, but for what the service asks for at once: a new token, a new upload URL.

mod account;
mod client;
mod config;
mod error;
mod large;
mod list;
mod ops;
mod upload;

use crate::base::bytes::hex_decode;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::b2::account::{Bucket, ID_MAX_BYTES};
use crate::dest::b2::client::{Client, Place};
use crate::dest::b2::config::Setup;
use crate::dest::b2::ops::{CREATE_BUCKET, DELETE, DOWNLOAD, UPLOAD};
use crate::dest::b2::upload::Uploads;
use crate::dest::{
    About, Body, Destination, FLIES, Fact, Flight, GetFacts, Listed, RemoteFile, Said, Scheme,
    Sink, Span, WantedDigests,
};
use crate::net::http::Reply;
use crate::net::ranged::{Answer, Resume};
use crate::net::url::{DestUrl, encode, encode_path};

/// Rounds of deleting up to a thousand versions each.
const ROUNDS_MAX: u32 = 1000;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["b2"],
    help: "Backblaze B2: b2://bucket/folder?b2-accountid=KEYID&b2-applicationkey=KEY",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(B2Folder::new(url, options)?)),
};

/// A prefix of a bucket.
struct B2Folder {
    client: Client,
    uploads: Uploads,
    shown: String,
    resume: Resume,
}

impl B2Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<B2Folder> {
        Ok(B2Folder {
            client: Client::new(Setup::new(url, options)?, options)?,
            uploads: Uploads::default(),
            shown: url.display(),
            resume: Resume::default(),
        })
    }

    /// The name of a file in its bucket.
    fn full(&self, name: &str) -> Done<String> {
        let full = format!("{}{name}", self.client.setup.prefix);
        match config::good_name(&full) {
            Ok(()) => Ok(full),
            Err(why) => Err(Fault::new(Class::Usage, format!("the name {why}"))),
        }
    }
}

/// What a download is, with the id of the version as its tag.
fn answer(reply: Reply) -> Answer {
    let id = reply.header("x-bz-file-id").unwrap_or("").to_owned();
    let stated = |name: &str| {
        let text = reply.header(name)?.trim();
        let digits = text.strip_prefix("unverified:").unwrap_or(text);
        <[u8; 20]>::try_from(hex_decode(digits.as_bytes())?).ok()
    };
    let sha1 = stated("x-bz-content-sha1").or_else(|| stated("x-bz-info-large_file_sha1"));
    Answer {
        tag: if id.len() <= ID_MAX_BYTES {
            id
        } else {
            String::new()
        },
        sha1,
        reply,
    }
}

impl Destination for B2Folder {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        list::names(&mut self.client, start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let full = self.full(name)?;
        list::stat(&mut self.client, &full, name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let full = self.full(name)?;
        let client = &mut self.client;
        client.need(DOWNLOAD.right)?;
        self.resume.get(&full, span, into, &mut |range, tag| {
            let bucket = client.bucket()?;
            let custom = client.setup.download_url.is_some();
            let path = match tag.is_empty() || custom {
                true => format!("/file/{}/{}", encode(&bucket.name), encode_path(&full)),
                false => format!("/b2api/v3/b2_download_file_by_id?fileId={}", encode(tag)),
            };
            let place = match tag.is_empty() || custom {
                true => Place::Download(&path),
                false => Place::Origin(&path),
            };
            let header = range.map(|range| ("range", range));
            match client.call("GET", place, &DOWNLOAD, header.as_slice(), "")? {
                Ok(reply) => Ok(answer(reply)),
                Err(refusal) => Err(client.fault(&refusal, &DOWNLOAD)),
            }
        })
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let full = self.full(name)?;
        let (client, uploads) = (&mut self.client, &mut self.uploads);
        client.need(UPLOAD.right)?;
        let id = if body.len() > client.setup.multipart_from {
            large::put(client, uploads, &full, body)?
        } else {
            upload::whole(client, uploads, &full, body)?
        };
        if !uploads.recent.contains(&full) {
            uploads.remember(&full);
            return Ok(());
        }
        for old in list::versions(client, &full).unwrap_or_default() {
            if old != id {
                let _ = upload::delete_version(client, &full, &old);
            }
        }
        Ok(())
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        if !FLIES {
            return None;
        }
        let full = self.full(name).ok()?;
        let (client, uploads) = (&mut self.client, &mut self.uploads);
        client.need(UPLOAD.right).ok()?;
        if body.len() > client.setup.multipart_from {
            return None;
        }
        upload::launch(client, uploads, &full, body)
    }

    /// Removes every version, the oldest first, so that none comes to light when it is interrupted.
    fn delete(&mut self, name: &str) -> Done<()> {
        let full = self.full(name)?;
        self.client.need(DELETE.right)?;
        for _ in 0..ROUNDS_MAX {
            let versions = list::versions(&mut self.client, &full)?;
            for id in versions.iter().rev() {
                upload::delete_version(&mut self.client, &full, id)?;
            }
            if versions.len() < list::VERSIONS_MAX {
                return Ok(());
            }
        }
        Err(Fault::new(
            Class::Protocol,
            "the versions of the file do not come to an end",
        ))
    }

    fn create_folder(&mut self) -> Done<()> {
        match self.client.bucket() {
            Ok(_) => return Ok(()),
            Err(fault) if fault.class == Class::FolderMissing => {}
            Err(fault) => return Err(fault),
        }
        self.client.need(CREATE_BUCKET.right)?;
        let body = serde_json::json!({
            "accountId": self.client.account()?.id,
            "bucketName": self.client.setup.bucket,
            "bucketType": self.client.setup.bucket_type,
        });
        let bucket = Bucket::of(&self.client.ask(&CREATE_BUCKET, &body.to_string())?);
        if bucket.id.is_empty() || bucket.name.is_empty() {
            return Err(Fault::new(
                Class::Protocol,
                "the server made a bucket without naming it",
            ));
        }
        self.client.set_bucket(bucket);
        Ok(())
    }

    fn about(&self) -> About {
        About {
            put_is_proof: true,
            wants: WantedDigests {
                sha1: true,
                md5: false,
            },
            limits_lists: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        let [a, b, c] = self.client.billed;
        Said {
            requests: Some(self.client.requests()),
            billed: [
                ("TransactionsClassA", a),
                ("TransactionsClassB", b),
                ("TransactionsClassC", c),
            ],
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        let setup = &self.client.setup;
        format!("b2://{}/{}", setup.bucket, setup.prefix)
    }

    fn account(&self) -> String {
        self.client.setup.key_id.clone()
    }

    fn finish(&mut self) -> Done<Vec<Fact>> {
        let [a, b, c] = self.client.billed;
        Ok(vec![Fact {
            name: "Backblaze transactions",
            key: "BackblazeTransactions",
            value: format!("{a} of class A (free), {b} of class B, {c} of class C"),
        }])
    }
}
/// The reply to a log-in, for the fuzz program.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_account(mut data: &[u8]) -> Done<()> {
    let io = |e: &std::io::Error| Fault::new(Class::Transient, e.to_string());
    let account = account::Account::read(&mut data, &io, "bucket")?;
    account.need("listFiles", "key")?;
    account.check("key", "x/")
}
