//! WebDAV (`destinations-core.md` 4): Nextcloud, NAS boxes, web servers. `webdav://user@host/folder?use-ssl=true`.
//!
//! Trusts no listing that was cut, no upload that was not looked at, and sends credentials to one host only. Does not retry.

mod auth;
mod client;
mod config;
mod error;
mod href;
mod multistatus;
mod propfind;
mod upload;

use crate::base::error::Result;
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::webdav::client::{Call, Client};
use crate::dest::webdav::config::{Setup, Temporary, address};
use crate::dest::webdav::error::{Refusal, Verb, web_page};
use crate::dest::webdav::propfind::Asking;
use crate::dest::{Body, Destination, GetFacts, Listed, Quota, RemoteFile, Scheme, Sink};
use crate::net::http::Pace;
use crate::net::ranged::{Ranged, judge};
use crate::net::url::{DestUrl, encode};

/// Start of the names that uploads may have until they are whole; no volume is called so.
const TEMPORARY: &str = ".duplet-tmp-";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["webdav"],
    help: "WebDAV, as Nextcloud, NAS boxes and web servers offer it: webdav://user@host/folder?use-ssl=true",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

/// The file that a download may go on with.
struct Resume {
    name: String,
    /// A strong one, or empty.
    etag: String,
    total: Option<u64>,
}

/// A folder on a WebDAV server.
struct Folder {
    client: Client,
    shown: String,
    /// Decoded names of the path as given.
    folders: Vec<String>,
    origin: String,
    asking: Asking,
    temporary: Temporary,
    /// Uploads go straight to their names: the server cannot have it otherwise.
    straight: bool,
    /// An upload under a temporary name was accepted.
    named_temporary: bool,
    cannot_move: bool,
    /// Old temporary files seen in the last listing.
    leftovers: Vec<String>,
    resume: Option<Resume>,
    notices: Vec<String>,
}

impl Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<Folder> {
        let setup = Setup::new(url, options)?;
        let mut notices = Vec::new();
        if setup.is_open() {
            notices.push(
                "user name and password go to the server unencrypted; use-ssl=true protects them"
                    .to_owned(),
            );
        }
        let base = setup.base();
        let Setup {
            origin,
            folders,
            login,
            temporary,
            extended,
            debug_file,
        } = setup;
        Ok(Folder {
            client: Client::new(base, login, options)?,
            shown: url.display(),
            folders,
            origin,
            asking: Asking::new(extended, debug_file),
            temporary,
            straight: false,
            named_temporary: false,
            cannot_move: false,
            leftovers: Vec::new(),
            resume: None,
            notices,
        })
    }

    /// The address of a file.
    fn url(&self, name: &str) -> String {
        format!("{}{}", self.client.base, encode(name))
    }

    /// The address of the folder so many levels down.
    fn level(&self, depth: usize) -> String {
        match self.folders.get(..depth) {
            Some(above) if depth < self.folders.len() => address(&self.origin, above),
            _ => self.client.base.clone(),
        }
    }

    /// The folder for messages.
    fn path_shown(&self) -> String {
        text::safe_cut(format!("/{}", self.folders.join("/")).as_bytes(), 120)
    }

    /// One request of a download. `None` = nothing usable came, start from 0.
    fn get_from(
        &mut self,
        name: &str,
        from: u64,
        into: &mut dyn Sink,
    ) -> std::result::Result<Option<GetFacts>, Fault> {
        let known = self.resume.take().filter(|r| from > 0 && r.name == name);
        let range = format!("bytes={from}-");
        let mut headers = vec![("translate", "f")];
        if from > 0 {
            headers.push(("range", range.as_str()));
            if let Some(known) = known.as_ref().filter(|r| !r.etag.is_empty()) {
                headers.push(("if-range", known.etag.as_str()));
            }
        }
        let call = Call {
            headers: &headers,
            pace: Pace::Download,
            ..Call::new("GET", self.url(name))
        };
        let mut reply = self.client.call(call)?.reply;
        let usable =
            matches!(reply.status, 200 | 206) || from > 0 && matches!(reply.status, 412 | 416);
        if !usable {
            return Err(Refusal::of(&mut reply).fault(Verb::Get, &self.path_shown()));
        }
        if reply.status == 200
            && let Some(fault) = web_page(&mut reply)
        {
            return Err(fault);
        }
        let total = match judge(&reply, from, known.as_ref().and_then(|r| r.total)) {
            Ranged::Other => return Ok(None),
            Ranged::Done => {
                return Ok(Some(GetFacts {
                    total: Some(from),
                    sha1: None,
                }));
            }
            Ranged::Part(total) => total,
            Ranged::Whole(total) => {
                if from > 0 {
                    into.restart().map_err(Fault::local)?;
                }
                total
            }
        };
        let etag = reply.header("etag").unwrap_or("");
        let strong = etag.starts_with('"');
        self.resume = Some(Resume {
            name: name.to_owned(),
            etag: if strong { etag } else { "" }.to_owned(),
            total,
        });
        reply.copy(into)?;
        Ok(Some(GetFacts { total, sha1: None }))
    }
}

impl Destination for Folder {
    fn list(
        &mut self,
        each: &mut dyn FnMut(Listed) -> std::result::Result<(), Fault>,
    ) -> std::result::Result<(), Fault> {
        self.list_all(each)
    }

    fn stat(&mut self, name: &str) -> std::result::Result<RemoteFile, Fault> {
        self.stat_file(name)
    }

    fn get(
        &mut self,
        name: &str,
        from: u64,
        into: &mut dyn Sink,
    ) -> std::result::Result<GetFacts, Fault> {
        if let Some(facts) = self.get_from(name, from, into)? {
            return Ok(facts);
        }
        into.restart().map_err(Fault::local)?;
        match self.get_from(name, 0, into)? {
            Some(facts) => Ok(facts),
            None => Err(Fault::new(
                Class::Protocol,
                "the server sends another part of the file than it was asked for",
            )),
        }
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> std::result::Result<(), Fault> {
        self.upload(name, body)
    }

    fn delete(&mut self, name: &str) -> std::result::Result<(), Fault> {
        let mut reply = self.client.call(Call::new("DELETE", self.url(name)))?.reply;
        match reply.status {
            200 | 202 | 204 | 404 | 410 => reply.finish(),
            _ => Err(Refusal::of(&mut reply).fault(Verb::Delete, &self.path_shown())),
        }
    }

    fn create_folder(&mut self) -> std::result::Result<(), Fault> {
        self.make_folders()
    }

    fn requests(&self) -> Option<u64> {
        Some(self.client.requests())
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn refuses_to_replace(&self) -> bool {
        true
    }

    fn atomic_put(&self) -> bool {
        false
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    fn quota(&mut self) -> std::result::Result<Quota, Fault> {
        self.space()
    }
}
