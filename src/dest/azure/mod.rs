//! Azure Blob Storage (`destinations-more.md` 2.4): `azure://container`.
//!
//! Requests are signed with the account's key, or carry a SAS token. An upload goes in one request, whose digest the server
//! checks; one that the line breaks goes on in blocks, and the file appears with the list of its blocks.

mod config;
mod sas;

use crate::base::bytes::{base64, hex};
use crate::base::fault::{Class, Done};
use crate::base::text;
use crate::dest::objects::{Api, Base, Each, File, Headers, Listing, Part, Sent, Shape, sent};
use crate::dest::{Listed, Scheme};
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::encode;

const ONLY_READ: &str = "the backup lies in the path of the URL, where Duplicati would not look; to go on there give --azure-use-path";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["azure"],
    help: "Azure Blob Storage: azure://container",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(config::open(url, options)?)),
};

static DIALECT: Dialect = Dialect {
    form: Form::Headed("Error", "x-ms-error-code", "AuthenticationErrorDetail"),
    who: "Azure Blob Storage",
    rules: rules! {
        403 "AuthenticationFailed" "specified time frame" => Class::Auth, "the SAS token is not valid now", "make a new SAS token";
        403 "AuthenticationFailed" "date header" => Class::Auth, "the clock of this machine is wrong", "set the clock: it may be off by 15 minutes";
        403 "AuthenticationFailed AuthorizationFailure AuthorizationPermissionMismatch AuthorizationResourceTypeMismatch" [MakeFolder] => Class::Auth, "the container cannot be made with this key", "make the container by other means: a SAS token of a container cannot";
        403 "AuthenticationFailed AuthorizationFailure" "failed to authenticate" => Class::Auth, "access denied", "check --auth-username (the account) and --auth-password (its key), or --azure-access-sas-token; a clock that is off by 15 minutes does it too";
        403 "AuthorizationPermissionMismatch" => Class::Auth, "the key lacks the right to do that", "make a SAS token with the rights rwdl";
        403 "AuthorizationServiceMismatch AuthorizationResourceTypeMismatch" => Class::Auth, "the SAS token is for something else", "make one for the container, or for blobs with container and object";
        403 "AuthorizationFailure AuthorizationSourceIPMismatch" => Class::Auth, "the account or the SAS token does not admit this machine", "see 'Networking' of the account, and the addresses of the SAS token";
        0 "AuthorizationProtocolMismatch AccountRequiresHttps" => Class::Auth, "only https is admitted";
        403 "KeyBasedAuthenticationNotPermitted" => Class::Auth, "the account does not admit its key", "use a SAS token made by a user (user delegation)";
        403 "AuthenticationFailed" => Class::Auth, "access denied", "check --auth-username and --auth-password, or --azure-access-sas-token";
        400 "AuthenticationFailed InvalidAuthenticationInfo" => Class::Auth;
        409 "AccountBeingCreated" => Class::Transient;
        409 "ContainerBeingDeleted" => Class::Transient, "the container is being deleted";
        409 "ContainerAlreadyExists" => Class::Exists;
        409 "BlobAlreadyExists" => Class::Exists;
        409 "BlobArchived BlobBeingRehydrated" => Class::Archived;
        409 "BlobImmutable*" => Class::Locked;
        409 "SnapshotsPresent" => Class::Locked, "the file has snapshots";
        0 "LeaseIdMissing LeaseAlreadyPresent" => Class::Locked, "another program holds a lease on it", "break the lease of the blob or the container";
        412 "" [Put Resume] => Class::Exists;
        404 "ContainerNotFound" => Class::FolderMissing;
        400 "Md5Mismatch" => Class::Integrity;
        400 "InvalidBlockList" [Resume] => Class::NotFound;
        400 "InvalidBlockList InvalidBlobOrBlock" => Class::Transient;
        400 "InvalidResourceName OutOfRangeInput" => Class::Unsupported, "the service does not take that name";
        400 "AccessTierNotSupportedForBlobType InvalidBlobTier FeatureNotSupported" => Class::Unsupported, "the account does not offer that", "leave --azure-access-tier out";
    },
    words: words! {
        Class::FolderMissing => "=the container does not exist";
        Class::Exists => "the name is taken";
        Class::NoHost => "", "every account has a host name of its own: is --auth-username right, or --azure-endpoint?";
        Class::Auth => "access denied", "check the account and its key or SAS token";
        Class::Archived => "the file is in the archive tier and cannot be read", "set its tier to Hot or Cool ('az storage blob set-tier') and wait some hours";
        Class::Locked => "it is protected by a policy of the container", "wait until the policy ends";
        Class::Integrity => "the file arrived damaged at the server";
    },
};

static SHAPE: Shape = Shape {
    refuses_to_replace: true,
    class: "x-ms-access-tier",
    make: "restype=container",
    listing: Listing {
        query: "restype=container&comp=list&delimiter=%2F&maxresults=",
        mark: "marker",
        rows: "Blobs/Blob Blobs/BlobPrefix",
        name: &["Name"],
        size: "Properties/Content-Length",
        modified: "Properties/Last-Modified",
        class: "Properties/AccessTier",
        next: "NextMarker",
        proof: ("", "EnumerationResults", "NextMarker"),
        ..Listing::PLAIN
    },
    pieces_from: (5000 << 20) + 1,
    pieces_once_broken: 8 << 20,
    pieces: Some((4 << 20, 50_000)),
    ..Shape::flying(&DIALECT)
};

/// A container.
struct Container {
    /// The path of the URL where Duplicati, and so we, ignore it: empty, or with `/` at its end.
    aside: String,
    /// How the names of volumes begin.
    start: String,
    tier: Option<&'static str>,
}

impl Container {
    /// Headers that decide how a file is stored.
    fn headers(&self, file: &File<'_>, md5: &'static str) -> Headers {
        let mut headers = file.headers((md5, base64));
        headers.extend(self.tier.map(|tier| ("x-ms-access-tier", tier.to_owned())));
        headers
    }
}

/// Names of the blocks of a file have one length, and those of another content are others.
fn block_id(file: &File<'_>, number: u64) -> String {
    let of = hex(&file.sha256[..8]);
    base64(format!("{of}-{number:06}-").as_bytes())
}

impl Api for Container {
    fn list(&mut self, base: &mut Base, from: &str, each: &mut Each<'_>) -> Done<()> {
        let aside = std::mem::take(&mut self.aside);
        // Where the files are is told by all of them.
        let from = if aside.is_empty() { from } else { "" };
        let (start, mut found) = (self.start.clone(), false);
        self.pages(base, from, &mut |listed| {
            if let Listed::Entry(file) = &listed {
                found |= file.name.starts_with(&start);
            }
            each(listed)
        })?;
        if aside.is_empty() {
            return Ok(());
        }
        let path = text::safe(aside.trim_end_matches('/').as_bytes());
        let start = format!("{aside}{start}");
        let only_there = !found && base.page((&start, 1), "", &mut |_| Ok(()))?.entries > 0;
        base.notices.push(match only_there {
            true => format!("the container itself has no backup, but '{path}' has: it is read there (--azure-use-path to go on there)"),
            false => format!("the path '{path}' is ignored, as Duplicati does: files lie in the container itself (--azure-use-path uses it)"),
        });
        if !only_there {
            return Ok(());
        }
        (base.folder, base.read_only) = (aside, Some(ONLY_READ));
        each(Listed::Restart)?;
        self.pages(base, from, each)
    }

    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let mut headers = self.headers(file, "content-md5");
        headers.push(("x-ms-blob-type", "BlockBlob".to_owned()));
        sent("PUT", base.url(file.name, ""), headers)
    }

    fn piece(&self, base: &Base, _: &str, file: &File<'_>, part: &Part) -> Sent {
        if part.len > 0 {
            let id = encode(&block_id(file, part.number));
            let url = base.url(file.name, &format!("comp=block&blockid={id}"));
            return sent("PUT", url, vec![("content-md5", base64(&part.digest))]);
        }
        let ids = (0..part.number).map(|n| format!("<Latest>{}</Latest>", block_id(file, n)));
        let ids: String = ids.collect();
        let list =
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>");
        let headers = self.headers(file, "x-ms-blob-content-md5");
        let url = base.url(file.name, "comp=blocklist");
        ("PUT", url, headers, list.into_bytes())
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        let url = base.url(name, "");
        match base.plain(Verb::Delete, "DELETE", url.clone()) {
            Err(fault) if fault.text.contains("SnapshotsPresent") => {
                let all = vec![("x-ms-delete-snapshots", "include".to_owned())];
                let request = sent("DELETE", url, all);
                base.call(Verb::Delete, &request)?.finish()
            }
            done => done?.finish(),
        }
    }
}
