//! OpenStack Swift (`destinations-more.md` 2.6): `openstack://container/folder`, with the log-ins of Keystone.
//!
//! Every upload carries its MD5, which the server checks and tells again. Does not retry; a token that the server does not take
//! any more is renewed once.

mod login;
mod options;
mod refusal;

use std::io::Read as _;

use self::login::Login;
use self::options::{OPTIONS, PAGE_SIZE};
use self::refusal::DIALECT;
use crate::base::bytes::hex;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::{
    About, Body, Destination, GetFacts, Listed, Quota, RemoteFile, Said, Scheme, Sink, Span,
    WantedDigests,
};
use crate::net::http::{Http, Pace, Reply, iso_time, parse_date};
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::call::{Call, Service};
use crate::net::service::pages::incomplete;
use crate::net::service::refusal::not_html;
use crate::net::service::rows;
use crate::net::service::{Content, Pages, Verb};
use crate::net::url::{DestUrl, encode, encode_path};

/// Largest single object of a Swift server, unless its operator changed that.
const PUT_MAX_BYTES: u64 = 5 << 30;
/// Empty files of a page that are looked at; of more the length is not known.
const EMPTY_MAX: usize = 1000;
/// Longest name of a container, in bytes.
const CONTAINER_MAX_BYTES: usize = 256;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["openstack"],
    help: "OpenStack Swift: openstack://container/folder?openstack-authuri=https://host/v3",
    options: OPTIONS,
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

/// A prefix of a container.
struct Folder {
    service: Service,
    container: String,
    /// Empty or ends in `/`.
    prefix: String,
    page_size: u64,
    /// Who logs in, and where; no secrets.
    account: String,
    place: String,
    shown: String,
}

impl Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<Folder> {
        let container = url.host.trim();
        if container.is_empty() {
            return Err(
                Error::usage("missing container name in the destination URL")
                    .hint("write it as openstack://container/folder"),
            );
        }
        if container.len() > CONTAINER_MAX_BYTES {
            return Err(Error::usage(
                "the container name in the destination URL is longer than 256 bytes",
            ));
        }
        let mut prefix = url.path.trim_start_matches('/').to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        let login = Login::new(url, options)?;
        let (account, place) = (login.account.clone(), login.place());
        let service = Service::new(Http::new(options)?, &DIALECT, Box::new(login));
        let service = service.expecting(Vec::new()).matching();
        Ok(Folder {
            service: service.naming("container", container),
            account,
            place,
            container: container.to_owned(),
            prefix,
            page_size: options.int(&PAGE_SIZE).unwrap_or(1000).min(10_000),
            shown: url.display(),
        })
    }

    fn object(&self, name: &str) -> String {
        let key = format!("{}{name}", self.prefix);
        format!("/{}/{}", encode(&self.container), encode_path(&key))
    }

    /// A request without headers and body.
    fn plain(&mut self, verb: Verb, method: &'static str, path: String) -> Done<Reply> {
        self.service.call(Call {
            verb,
            method,
            url: path,
            headers: &[],
            content: Content::None,
            pace: Pace::Short,
        })
    }

    /// A page of the listing after this name: its first and last name, and how many there are.
    fn page(
        &mut self,
        marker: &str,
        each: &mut dyn FnMut(Listed) -> Done<()>,
    ) -> Done<(String, String, u64)> {
        let mut path = format!(
            "/{}?format=json&delimiter=%2F&limit={}&prefix={}",
            encode(&self.container),
            self.page_size,
            encode(&self.prefix)
        );
        if !marker.is_empty() {
            path.push_str(&format!("&marker={}", encode(marker)));
        }
        let mut reply = self.service.call(Call {
            verb: Verb::List,
            method: "GET",
            url: path,
            headers: &[("accept", "application/json")],
            content: Content::None,
            pace: Pace::List,
        })?;
        let (mut first, mut last, mut entries) = (String::new(), String::new(), 0);
        if reply.status == 204 {
            return Ok((first, last, entries));
        }
        not_html(&mut reply, "a listing", DIALECT.who)?;
        let io = reply.io_fault();
        // Anything else could be taken for a listing without files.
        let mut begin = [0];
        let read = reply.read(&mut begin).map_err(|e| io(&e))?;
        if read == 0 || begin[0] != b'[' {
            return Err(incomplete("the reply is no array"));
        }
        let mut whole = begin.as_slice().chain(&mut reply);
        let prefix = &self.prefix;
        let mut empty = Vec::new();
        rows::page(&mut whole, &io, LIST_MAX_BYTES, "*/", &mut |row| {
            let Some(name) = row.get("name").or(row.get("subdir")) else {
                return Err(incomplete("an entry has no name"));
            };
            entries += 1;
            if first.is_empty() {
                name.clone_into(&mut first);
            }
            name.clone_into(&mut last);
            let Some(file) = name.strip_prefix(prefix.as_str()) else {
                return Ok(());
            };
            if row.has("subdir") || file.is_empty() || file.ends_with('/') {
                return Ok(());
            }
            if row.number("bytes") == Some(0) && empty.len() < EMPTY_MAX {
                empty.push(file.to_owned());
                return Ok(());
            }
            each(Listed::Entry(RemoteFile {
                name: file.to_owned(),
                size: row.number("bytes").filter(|size| *size > 0),
                modified: row.get("last_modified").and_then(iso_time),
                is_folder: false,
                is_archived: false,
            }))
        })?;
        drop(reply);
        // So a large object in segments looks that another program made.
        for name in empty {
            match self.stat(&name) {
                Ok(file) => each(Listed::Entry(file))?,
                Err(fault) if fault.class == Class::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok((first, last, entries))
    }

    /// What is stored is not what was sent.
    fn misstored(&mut self, name: &str) -> Fault {
        let _ = self.delete(name);
        let what = "the stored file is not the one sent";
        Fault::new(Class::Integrity, what)
    }
}

impl Destination for Folder {
    fn list(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let mut pages = Pages::new(self.page_size);
        let mut marker = String::new();
        loop {
            // A server may send fewer than it was asked for: only an empty page is the last.
            let (first, last, entries) = self.page(&marker, each)?;
            if entries == 0 {
                return Ok(());
            }
            pages.page(&first, entries)?;
            marker = last;
        }
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let path = self.object(name);
        let reply = self.plain(Verb::Look, "HEAD", path)?;
        Ok(RemoteFile {
            name: name.to_owned(),
            size: reply.content_length(),
            modified: reply.header("last-modified").and_then(parse_date),
            is_folder: false,
            is_archived: false,
        })
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let path = self.object(name);
        self.service
            .download(("GET", &path), &[], (name, span), into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let len = body.len();
        if len > PUT_MAX_BYTES {
            let what = "a Swift server takes no file of more than 5 GiB in one piece";
            return Err(Fault::new(Class::TooBig, what).hint("use a smaller --dblock-size"));
        }
        let ours = body.md5().map(|md5| hex(&md5)).unwrap_or_default();
        let mut headers = vec![("content-type", "application/octet-stream")];
        if !ours.is_empty() {
            headers.push(("etag", &ours));
        }
        if body.is_new() {
            headers.push(("if-none-match", "*"));
        }
        let mut reply = self.service.call(Call {
            verb: Verb::Put,
            method: "PUT",
            url: self.object(name),
            headers: &headers,
            content: Content::whole(body),
            pace: Pace::Upload,
        })?;
        let theirs = reply
            .header("etag")
            .unwrap_or("")
            .trim_matches('"')
            .to_owned();
        reply.finish()?;
        let same = match theirs.is_empty() || ours.is_empty() {
            true => self.stat(name)?.size.is_none_or(|size| size == len),
            false => theirs.eq_ignore_ascii_case(&ours),
        };
        match same {
            true => Ok(()),
            false => Err(self.misstored(name)),
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let path = self.object(name);
        match self.plain(Verb::Delete, "DELETE", path) {
            Ok(mut reply) => reply.finish(),
            Err(fault) if fault.class == Class::NotFound => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        let path = format!("/{}", encode(&self.container));
        self.plain(Verb::MakeFolder, "PUT", path)?.finish()
    }

    fn about(&self) -> About {
        About {
            wants: WantedDigests {
                sha1: false,
                md5: true,
            },
            put_is_proof: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: self.service.notices(),
            requests: Some(self.service.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        format!(
            "openstack {} {}/{}",
            self.place, self.container, self.prefix
        )
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    /// What container or account are allowed to hold, if that is limited.
    fn quota(&mut self) -> Done<Quota> {
        let container = format!("/{}", encode(&self.container));
        for (path, of) in [(container, "container"), (String::new(), "account")] {
            let reply = self.plain(Verb::Login, "HEAD", path)?;
            let number = |name: String| reply.header(&name).and_then(|v| v.trim().parse().ok());
            let used: Option<u64> = number(format!("x-{of}-bytes-used"));
            if let Some(total) = number(format!("x-{of}-meta-quota-bytes")) {
                return Ok(Quota {
                    total: Some(total),
                    free: used.map(|used| total.saturating_sub(used)),
                });
            }
        }
        let what = "neither container nor account have a quota";
        Err(Fault::new(Class::Unsupported, what))
    }
}
