//! A request to S3 before it is signed: what it is about, what it carries, and the right it needs.

use crate::net::http::Pace;
use crate::net::service::{Content, Verb};

/// What a request is about.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Bucket,
    /// Name of a file in the folder.
    Object(&'a str),
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
