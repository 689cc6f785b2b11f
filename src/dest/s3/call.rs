//! A request to S3 before it is signed: what it is about, what it carries, and the right it needs.

use crate::base::bytes::hex;
use crate::dest::Body;
use crate::dest::s3::config::Setup;
use crate::net::http::Pace;
use crate::net::service::{Content, Verb};
use crate::net::url::{encode, encode_path};

/// What a request is about.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Bucket,
    /// Name of a file in the folder.
    Object(&'a str),
}

impl Target<'_> {
    /// Its address.
    pub(super) fn url(self, setup: &Setup, query: &str) -> String {
        let Setup {
            bucket,
            endpoint,
            virtual_host,
            prefix,
            ..
        } = setup;
        let scheme = if endpoint.tls { "https" } else { "http" };
        let mut url = format!("{scheme}://");
        if *virtual_host {
            if !endpoint.host.starts_with(&format!("{bucket}.")) {
                url.push_str(bucket);
                url.push('.');
            }
            url.push_str(&endpoint.host);
        } else {
            url.push_str(&endpoint.host);
            url.push('/');
            url.push_str(&encode(bucket));
        }
        match self {
            Target::Bucket => {
                if *virtual_host || !query.is_empty() {
                    url.push('/');
                }
            }
            Target::Object(name) => {
                url.push('/');
                url.push_str(&encode_path(&format!("{prefix}{name}")));
            }
        }
        if !query.is_empty() {
            url.push('?');
            url.push_str(query);
        }
        url
    }
}

/// A request before it is signed.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) target: Target<'a>,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Lower-case names.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) content: Content<'a>,
    /// Digest of the content in hex, where it is not bytes.
    pub(super) sha256: String,
    pub(super) pace: Pace,
    /// The right it needs, for messages.
    pub(super) right: &'static str,
    /// Statuses beside 2xx that the caller understands.
    pub(super) accept: &'static [u16],
}

impl<'a> Call<'a> {
    /// A request without query, headers and body.
    pub(super) fn new(method: &'static str, target: Target<'a>, right: &'static str) -> Call<'a> {
        Call {
            method,
            target,
            query: &[],
            headers: &[],
            content: Content::None,
            sha256: String::new(),
            pace: Pace::Short,
            right,
            accept: &[],
        }
    }

    /// Stores a whole file.
    pub(super) fn upload(
        name: &'a str,
        headers: &'a [(&'a str, &'a str)],
        body: &'a mut dyn Body,
    ) -> Call<'a> {
        Call {
            headers,
            sha256: hex(&body.sha256()),
            content: Content::whole(body),
            pace: Pace::Upload,
            ..Call::new("PUT", Target::Object(name), "s3:PutObject")
        }
    }

    pub(super) fn verb(&self) -> Verb {
        match (self.target, self.method) {
            (Target::Bucket, "PUT") => Verb::MakeFolder,
            (Target::Bucket, _) => Verb::List,
            (_, "GET") => Verb::Get,
            (_, "HEAD") => Verb::Look,
            (_, "DELETE") => Verb::Delete,
            _ => Verb::Put,
        }
    }
}
