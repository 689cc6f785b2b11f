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
use crate::base::fault::Done;
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::webdav::client::{Call, Client};
use crate::dest::webdav::config::{Setup, Temporary, address};
use crate::dest::webdav::error::{Refusal, web_page};
use crate::dest::webdav::propfind::Asking;
use crate::dest::{
    About, Body, Destination, FLIES, Flight, GetFacts, Listed, Quota, RemoteFile, Said, Scheme,
    Sink, Span,
};
use crate::net::http::Pace;
use crate::net::ranged::{Answer, Resume};
use crate::net::service::Verb;
use crate::net::url::{DestUrl, encode};

/// Start of the names that uploads may have until they are whole; no volume is called so.
const TEMPORARY: &str = ".duplet-tmp-";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["webdav"],
    help: "WebDAV, as Nextcloud, NAS boxes and web servers offer it: webdav://user@host/folder?use-ssl=true",
    options: config::OPTIONS,
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

/// A folder on a WebDAV server.
struct Folder {
    client: Client,
    shown: String,
    /// Who logs in.
    account: String,
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
    /// The file that was sent on its way last.
    launched: Option<upload::Launched>,
    resume: Resume,
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
        let account = login.user.clone().unwrap_or_default();
        Ok(Folder {
            client: Client::new(base, login, options)?,
            shown: url.display(),
            account,
            folders,
            origin,
            asking: Asking::new(extended, debug_file),
            temporary,
            straight: false,
            named_temporary: false,
            cannot_move: false,
            leftovers: Vec::new(),
            launched: None,
            resume: Resume::default(),
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
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.list_all(each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.stat_file(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let (url, shown) = (self.url(name), self.path_shown());
        let client = &mut self.client;
        self.resume.get(name, span, into, &mut |range, tag| {
            let mut headers = vec![("translate", "f")];
            headers.extend(range.map(|range| ("range", range)));
            if !tag.is_empty() {
                headers.push(("if-range", tag));
            }
            let call = Call {
                headers: &headers,
                pace: Pace::Download,
                ..Call::new("GET", url.clone())
            };
            let mut reply = client.call(call)?.reply;
            let usable = matches!(reply.status, 200 | 206)
                || range.is_some() && matches!(reply.status, 412 | 416);
            if !usable {
                return Err(Refusal::of(&mut reply).fault(Verb::Get, &shown));
            }
            if reply.status == 200
                && let Some(fault) = web_page(&mut reply)
            {
                return Err(fault);
            }
            let tag = reply.header("etag").unwrap_or("");
            let tag = if tag.starts_with('"') { tag } else { "" }.to_owned();
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
        self.upload(name, body)
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        match FLIES {
            true => self.send_off(name, body),
            false => None,
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let mut reply = self.client.call(Call::new("DELETE", self.url(name)))?.reply;
        match reply.status {
            200 | 202 | 204 | 404 | 410 => reply.finish(),
            _ => Err(Refusal::of(&mut reply).fault(Verb::Delete, &self.path_shown())),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        self.make_folders()
    }

    fn about(&self) -> About {
        About {
            atomic_put: false,
            refuses_to_replace: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            notices: std::mem::take(&mut self.notices),
            requests: Some(self.client.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        self.client.base.clone()
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    fn quota(&mut self) -> Done<Quota> {
        self.space()
    }
}
/// The answer to a listing, for the fuzz program.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_multistatus(mut data: &[u8]) -> Done<()> {
    use crate::base::fault::{Class, Fault};
    let io = |e: &std::io::Error| Fault::new(Class::Transient, e.to_string());
    multistatus::read(&mut data, &io, &mut |_| Ok(()))
}
