//! Azure Blob Storage (`destinations-more.md` 2.4): `azure://container`.
//!
//! Requests are signed with the account's key, or carry a SAS token. An upload goes in one request, whose digest the server
//! checks; one that the line breaks goes on in blocks.

mod blocks;
mod config;
mod list;
mod login;

use crate::base::bytes::base64;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::azure::blocks::{Blocks, PUT_MAX_BYTES};
use crate::dest::azure::config::Setup;
use crate::dest::azure::login::{Sas, Signer};
use crate::dest::{
    About, Body, Destination, GetFacts, Listed, RemoteFile, Said, Scheme, Sink, Span, WantedDigests,
};
use crate::net::http::{Http, Pace, Reply, parse_date};
use crate::net::service::call::{Call, Login, Service, Token};
use crate::net::service::refusal::word;
use crate::net::service::{Content, Dialect, Form, Pages, Refusal, Verb, rules};
use crate::net::url::{DestUrl, encode, encode_path};

/// Files asked for at once.
const PAGE: u64 = 5000;
const ONLY_READ: &str = "the backup lies in the path of the URL, where Duplicati would not look; to go on there give --azure-use-path";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["azure"],
    help: "Azure Blob Storage: azure://container",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(Container::new(url, options)?)),
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
        403 "AuthorizationProtocolMismatch AccountRequiresHttps" => Class::Auth, "only https is admitted";
        400 "AccountRequiresHttps" => Class::Auth, "only https is admitted";
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
        412 "" [Put] => Class::Exists;
        404 "ContainerNotFound" => Class::FolderMissing;
        400 "Md5Mismatch" => Class::Integrity;
        400 "InvalidBlockList InvalidBlobOrBlock" => Class::Transient;
        400 "InvalidResourceName OutOfRangeInput" => Class::Unsupported, "the service does not take that name";
        400 "AccessTierNotSupportedForBlobType InvalidBlobTier FeatureNotSupported" => Class::Unsupported, "the account does not offer that", "leave --azure-access-tier out";
    },
    words: &[
        word(Class::FolderMissing, "=the container does not exist", ""),
        word(Class::Exists, "the name is taken", ""),
        word(
            Class::NoHost,
            "",
            "every account has a host name of its own: is --auth-username right, or --azure-endpoint?",
        ),
        word(
            Class::Auth,
            "access denied",
            "check the account and its key or SAS token",
        ),
        word(
            Class::Archived,
            "the file is in the archive tier and cannot be read",
            "set its tier to Hot or Cool ('az storage blob set-tier') and wait some hours",
        ),
        word(
            Class::Locked,
            "it is protected by a policy of the container",
            "wait until the policy ends",
        ),
        word(
            Class::Integrity,
            "the file arrived damaged at the server",
            "",
        ),
    ],
};

/// A container, or the files in it below a path.
struct Container {
    service: Service,
    setup: Setup,
    /// An upload that the line broke.
    blocks: Option<Blocks>,
    notices: Vec<String>,
    /// Files were found in the path that is otherwise ignored.
    only_read: bool,
    shown: String,
}

impl Container {
    fn new(url: &DestUrl, options: &Options) -> Result<Container> {
        let mut setup = Setup::new(url, options)?;
        let login: Box<dyn Login> = match (setup.key.take(), &setup.sas) {
            (Some(key), _) => Box::new(Signer::new(key)),
            (None, Some(sas)) => Box::new(Sas(sas.duplicate())),
            (None, None) => Box::new(Token(None)),
        };
        let hidden = setup.sas.as_ref().map(config::spellings);
        let service = Service::new(Http::new(options)?, &DIALECT, login);
        Ok(Container {
            service: service.expecting(hidden.unwrap_or_default()),
            setup,
            blocks: None,
            notices: Vec::new(),
            only_read: false,
            shown: url.display(),
        })
    }

    /// Address of a file, or of the container for an empty name, with a query.
    fn url(&self, name: &str, query: &str) -> String {
        let mut out = self.setup.base.clone();
        if !name.is_empty() {
            out.push('/');
            out.push_str(&encode_path(&self.setup.folder));
            out.push_str(&encode(name));
        }
        let sas = self.setup.sas.as_ref().map_or("", Secret::reveal);
        let mut mark = '?';
        for part in [query, sas].into_iter().filter(|part| !part.is_empty()) {
            out.push(mark);
            out.push_str(part);
            mark = '&';
        }
        out
    }

    fn ask(
        &mut self,
        verb: Verb,
        (method, url): (&'static str, String),
        headers: &[(&str, &str)],
        content: Content<'_>,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        let pace = match (verb, &content) {
            (Verb::List, _) => Pace::List,
            (_, Content::Part { .. }) => Pace::Upload,
            _ => Pace::Short,
        };
        self.service.ask(Call {
            verb,
            method,
            url,
            headers,
            content,
            pace,
        })
    }

    fn call(
        &mut self,
        verb: Verb,
        target: (&'static str, String),
        headers: &[(&str, &str)],
        content: Content<'_>,
    ) -> Done<Reply> {
        let asked = self.ask(verb, target, headers, content)?;
        asked.map_err(|refusal| self.service.fault(&refusal, verb))
    }

    /// One page of at most `most` files whose names begin with `start`, from a mark on.
    fn page(
        &mut self,
        (start, most): (&str, u64),
        mark: Option<&str>,
        each: &mut dyn FnMut(Listed) -> Done<()>,
    ) -> Done<list::Page> {
        let mut query = format!("restype=container&comp=list&delimiter=%2F&maxresults={most}");
        let more = [("prefix", Some(start)), ("marker", mark)];
        for (name, value) in more {
            if let Some(value) = value.filter(|v| !v.is_empty()) {
                query.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        let url = self.url("", &query);
        let mut reply = self.call(Verb::List, ("GET", url), &[], Content::None)?;
        let setup = &self.setup;
        list::page(&mut reply, DIALECT.who, &setup.folder, &setup.archive, each)
    }

    /// All files of the folder; whether there is a volume among them.
    fn pages(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<bool> {
        let (folder, start) = (self.setup.folder.clone(), self.setup.start.clone());
        let (mut pages, mut mark, mut found) = (Pages::new(PAGE), None, false);
        loop {
            let page = self.page((&folder, PAGE), mark.as_deref(), &mut |listed| {
                if let Listed::Entry(file) = &listed {
                    found |= file.name.starts_with(&start);
                }
                each(listed)
            })?;
            let Some(next) = page.next else {
                return Ok(found);
            };
            pages.page(&next, page.entries)?;
            mark = Some(next);
        }
    }

    /// Headers that decide how a file is stored.
    fn headers<'a>(&self, body: &dyn Body, md5: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
        let mut headers = vec![md5];
        headers.extend(self.setup.tier.map(|tier| ("x-ms-access-tier", tier)));
        if body.is_new() {
            headers.push(("if-none-match", "*"));
        }
        headers
    }

    /// Sends a file in one request.
    fn put_whole(&mut self, name: &str, body: &mut dyn Body, md5: &str) -> Done<()> {
        let mut headers = self.headers(body, ("content-md5", md5));
        headers.push(("content-type", "application/octet-stream"));
        headers.push(("x-ms-blob-type", "BlockBlob"));
        let url = self.url(name, "");
        let mut reply = self.call(Verb::Put, ("PUT", url), &headers, Content::whole(body))?;
        if reply.status != 201 || reply.header("content-md5").is_some_and(|told| told != md5) {
            let what = "the stored file is not the one sent";
            return Err(Fault::new(Class::Integrity, what));
        }
        reply.finish()
    }
}

impl Destination for Container {
    fn list(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let found = self.pages(each)?;
        let aside = std::mem::take(&mut self.setup.aside);
        if aside.is_empty() {
            return Ok(());
        }
        let start = format!("{aside}{}", self.setup.start);
        let path = aside.trim_end_matches('/');
        let path = text::safe(path.as_bytes());
        let only_there = !found && self.page((&start, 1), None, &mut |_| Ok(()))?.entries > 0;
        if !only_there {
            self.notices.push(format!(
                "the path '{path}' is ignored, as Duplicati does: files lie in the container itself (--azure-use-path uses it)"
            ));
            return Ok(());
        }
        self.notices.push(format!(
            "the container itself has no backup, but '{path}' has: it is read there (--azure-use-path to go on there)"
        ));
        (self.setup.folder, self.only_read) = (aside, true);
        each(Listed::Restart)?;
        self.pages(each).map(drop)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let url = self.url(name, "");
        let reply = self.call(Verb::Look, ("HEAD", url), &[], Content::None)?;
        let tier = reply.header("x-ms-access-tier").unwrap_or("");
        Ok(RemoteFile {
            name: name.to_owned(),
            size: reply.content_length(),
            modified: reply.header("last-modified").and_then(parse_date),
            is_folder: false,
            is_archived: self.setup.archive.contains(&tier.to_ascii_lowercase()),
        })
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let url = self.url(name, "");
        self.service
            .download(("GET", &url), &[], (name, span), into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        if self.only_read {
            return Err(Fault::new(Class::Unsupported, ONLY_READ));
        }
        let md5 = body.md5().map(|md5| base64(&md5));
        let missing = || Fault::new(Class::Local, "the digest of the upload was not made");
        let md5 = md5.ok_or_else(missing)?;
        let begun = self.blocks.take().filter(|b| b.is_of(name, body));
        if begun.is_some() || body.len() > PUT_MAX_BYTES {
            let blocks = begun.unwrap_or_else(|| Blocks::new(name, body));
            return self.put_blocks(blocks, name, body, &md5);
        }
        let put = self.put_whole(name, body, &md5);
        let broke = |fault: &Fault| fault.class == Class::Transient;
        if put.as_ref().is_err_and(broke) && blocks::is_long(body.len()) {
            self.blocks = Some(Blocks::new(name, body));
        }
        put
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let url = self.url(name, "");
        let target = ("DELETE", url.clone());
        let refusal = match self.ask(Verb::Delete, target, &[], Content::None)? {
            Ok(mut reply) => return reply.finish(),
            Err(refusal) => refusal,
        };
        let done = match refusal.is("SnapshotsPresent") {
            true => {
                let all = [("x-ms-delete-snapshots", "include")];
                self.call(Verb::Delete, ("DELETE", url), &all, Content::None)
                    .and_then(|mut reply| reply.finish())
            }
            false => Err(self.service.fault(&refusal, Verb::Delete)),
        };
        match done {
            Err(fault) if fault.class == Class::NotFound => Ok(()),
            done => done,
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        let url = self.url("", "restype=container");
        match self.call(Verb::MakeFolder, ("PUT", url), &[], Content::None) {
            Err(fault) if fault.class == Class::Exists => Ok(()),
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
            read_only: self.only_read.then_some(ONLY_READ),
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        self.notices.extend(self.service.notices());
        Said {
            notices: std::mem::take(&mut self.notices),
            requests: Some(self.service.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        format!("{}/{}", self.setup.base, self.setup.folder)
    }

    fn account(&self) -> String {
        self.setup.account.clone()
    }
}
