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
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::dest::b2::account::{Bucket, ID_MAX_BYTES};
use crate::dest::b2::client::{Client, Place, read_json};
use crate::dest::b2::config::Setup;
use crate::dest::b2::ops::{CREATE_BUCKET, DELETE, DOWNLOAD};
use crate::dest::b2::upload::Uploads;
use crate::dest::{Body, Destination, Fact, GetFacts, Listed, RemoteFile, Scheme, Sink, Wants};
use crate::net::http::Reply;
use crate::net::json::{self, Step};
use crate::net::ranged::{self, Ranged};
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
    /// The file that a download may go on with.
    resume: Option<Resume>,
}

/// What is known of a file whose download was interrupted.
struct Resume {
    full: String,
    id: Option<String>,
    total: Option<u64>,
    sha1: Option<[u8; 20]>,
}

impl Resume {
    /// True when both have an id and they differ: another version of the file.
    fn is_other(&self, now: &Resume) -> bool {
        self.id.is_some() && now.id.is_some() && self.id != now.id
    }
}

impl B2Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<B2Folder> {
        Ok(B2Folder {
            client: Client::new(Setup::new(url, options)?, options)?,
            uploads: Uploads::default(),
            shown: url.display(),
            resume: None,
        })
    }

    /// The name of a file in its bucket.
    fn full(&self, name: &str) -> std::result::Result<String, Fault> {
        let full = format!("{}{name}", self.client.setup.prefix);
        match config::good_name(&full) {
            Ok(()) => Ok(full),
            Err(why) => Err(Fault::new(Class::Usage, format!("the name {why}"))),
        }
    }

    /// One request of a download. `None` = nothing usable came, start from 0.
    fn get_from(
        &mut self,
        full: &str,
        from: u64,
        into: &mut dyn Sink,
    ) -> std::result::Result<Option<GetFacts>, Fault> {
        let known = self.resume.take().filter(|r| from > 0 && r.full == full);
        let by_name =
            |bucket: &Bucket| format!("/file/{}/{}", encode(&bucket.name), encode_path(full));
        let by_id = |id: &str| format!("/b2api/v3/b2_download_file_by_id?fileId={}", encode(id));
        let bucket = self.client.bucket()?;
        let custom = self.client.setup.download_url.is_some();
        let id = known.as_ref().and_then(|r| r.id.as_deref());
        let (path, origin) = match id.filter(|_| !custom) {
            Some(id) => (by_id(id), true),
            None => (by_name(&bucket), false),
        };
        let place = if origin {
            Place::Origin(&path)
        } else {
            Place::Download(&path)
        };
        let range = format!("bytes={from}-");
        let all = [("range", range.as_str())];
        let headers = if from > 0 { &all[..] } else { &[] };
        let mut reply = match self.client.call("GET", place, &DOWNLOAD, headers, "")? {
            Ok(reply) => reply,
            Err(refusal) => return Err(self.client.fault(&refusal, &DOWNLOAD)),
        };
        let now = facts(&reply, full);
        let total = known.as_ref().and_then(|k| k.total);
        let total = match ranged::judge(&reply, from, total) {
            Ranged::Done => {
                return Ok(Some(GetFacts {
                    total: Some(from),
                    sha1: known.and_then(|k| k.sha1),
                }));
            }
            Ranged::Other => return Ok(None),
            Ranged::Part(_) if known.is_some_and(|k| k.is_other(&now)) => return Ok(None),
            Ranged::Part(total) => total,
            Ranged::Whole(total) => {
                if from > 0 {
                    into.restart().map_err(Fault::local)?;
                }
                total
            }
        };
        let sha1 = now.sha1;
        self.resume = Some(Resume { total, ..now });
        reply.copy(into)?;
        Ok(Some(GetFacts { total, sha1 }))
    }
}

/// What the headers of a download say.
fn facts(reply: &Reply, full: &str) -> Resume {
    let id = reply.header("x-bz-file-id").unwrap_or("").to_owned();
    let stated = |name: &str| {
        let text = reply.header(name)?.trim();
        let digits = text.strip_prefix("unverified:").unwrap_or(text);
        <[u8; 20]>::try_from(hex_decode(digits.as_bytes())?).ok()
    };
    Resume {
        full: full.to_owned(),
        id: (!id.is_empty() && id.len() <= ID_MAX_BYTES).then_some(id),
        total: None,
        sha1: stated("x-bz-content-sha1").or_else(|| stated("x-bz-info-large_file_sha1")),
    }
}

impl Destination for B2Folder {
    fn list(
        &mut self,
        each: &mut dyn FnMut(Listed) -> std::result::Result<(), Fault>,
    ) -> std::result::Result<(), Fault> {
        list::names(&mut self.client, each)
    }

    fn stat(&mut self, name: &str) -> std::result::Result<RemoteFile, Fault> {
        let full = self.full(name)?;
        list::stat(&mut self.client, &full, name)
    }

    fn get(
        &mut self,
        name: &str,
        from: u64,
        into: &mut dyn Sink,
    ) -> std::result::Result<GetFacts, Fault> {
        let full = self.full(name)?;
        self.client.need(DOWNLOAD.right)?;
        if let Some(facts) = self.get_from(&full, from, into)? {
            return Ok(facts);
        }
        into.restart().map_err(Fault::local)?;
        match self.get_from(&full, 0, into)? {
            Some(facts) => Ok(facts),
            None => Err(Fault::new(
                Class::Protocol,
                "the server sends another part of the file than it was asked for",
            )),
        }
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> std::result::Result<(), Fault> {
        let full = self.full(name)?;
        upload::put(&mut self.client, &mut self.uploads, &full, body)
    }

    /// Removes every version, the oldest first, so that none comes to light when it is interrupted.
    fn delete(&mut self, name: &str) -> std::result::Result<(), Fault> {
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

    fn create_folder(&mut self) -> std::result::Result<(), Fault> {
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
        let mut reply = self.client.post(&CREATE_BUCKET, &body.to_string())?;
        let mut bucket = Bucket::default();
        read_json(&mut reply, json::SMALL_MAX_BYTES, &mut |step| {
            if let Step::Value { path, value } = step
                && let [key] = path
                && let Some(text) = value.text().filter(|t| t.len() <= ID_MAX_BYTES)
            {
                match key.as_str() {
                    "bucketId" => bucket.id = text.to_owned(),
                    "bucketName" => bucket.name = text.to_owned(),
                    _ => {}
                }
            }
            Ok(())
        })?;
        if bucket.id.is_empty() || bucket.name.is_empty() {
            return Err(Fault::new(
                Class::Protocol,
                "the server made a bucket without naming it",
            ));
        }
        self.client.set_bucket(bucket);
        Ok(())
    }

    fn requests(&self) -> Option<u64> {
        Some(self.client.requests())
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn wants(&self) -> Wants {
        Wants {
            sha1: true,
            md5: false,
        }
    }

    fn put_is_proof(&self) -> bool {
        true
    }

    fn billed(&self) -> [u64; 3] {
        self.client.billed
    }

    fn finish(&mut self) -> std::result::Result<Vec<Fact>, Fault> {
        let [a, b, c] = self.client.billed;
        Ok(vec![Fact {
            name: "Backblaze transactions",
            key: "BackblazeTransactions",
            value: format!("{a} of class A (free), {b} of class B, {c} of class C"),
        }])
    }
}
