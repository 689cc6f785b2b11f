//! OneDrive, SharePoint and the drives of Microsoft 365 groups (`destinations-more.md` 2.8), all of them by Microsoft Graph. The
//! folder is found once and then spoken of by its id, so that one that is moved meanwhile is still the same.
//!
//! An upload is compared with what the service says it has stored, by length and digest.

mod client;
mod digest;
mod options;
mod place;
mod upload;

use serde_json::json;

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::{
    About, Body, Destination, GetFacts, Listed, Quota, RemoteFile, Said, Scheme, Sink, Span,
};
use crate::net::http::iso_time;
use crate::net::oauth;
use crate::net::redirect::{foreign, same_origin};
use crate::net::service::Verb;
use crate::net::service::rows::Row;
use crate::net::url::{DestUrl, encode};
use client::Client;
use place::{Drive, id_in_url};
use upload::Session;

pub(crate) static ONEDRIVE: Scheme = Scheme {
    names: &["onedrivev2", "od4b"],
    help: "OneDrive, personal or for business: onedrivev2://folder/folder",
    options: options::OPTIONS,
    open,
};
pub(crate) static SHAREPOINT: Scheme = Scheme {
    names: &["sharepoint", "mssp"],
    help: "SharePoint: sharepoint://TENANT.sharepoint.com/sites/SITE/Documents/folder",
    options: options::OPTIONS,
    open,
};
pub(crate) static MSGROUP: Scheme = Scheme {
    names: &["msgroup"],
    help: "Files of a Microsoft 365 group: msgroup://folder?group-email=MAIL",
    options: options::OPTIONS,
    open,
};

/// Entries of a page of a listing.
const PAGE: u64 = 1000;
const FIELDS: &str = "$select=name,size,file,folder,deleted,lastModifiedDateTime";

/// A folder of a drive.
struct Folder {
    client: Client,
    drive: Drive,
    folders: Vec<String>,
    /// Where drive and folder are, below the address of the service; empty before they were looked for.
    found: (String, String),
    fragment: u64,
    permanent: bool,
    upload: Option<Session>,
    account: String,
    place: String,
    shown: String,
}

fn open(url: &DestUrl, options: &Options) -> Result<Box<dyn Destination>> {
    let (drive, folders, provider) = place::of(url, options)?;
    let client = Client::new(options, provider)?;
    let fragment = options.size(&options::FRAGMENT).unwrap_or_default();
    Ok(Box::new(Folder {
        place: client.url(&format!("{}/{}", drive.name(), folders.join("/"))),
        client,
        drive,
        folders,
        found: Default::default(),
        fragment: options::fragment(fragment),
        permanent: options.flag(&options::PERMANENT),
        upload: None,
        account: oauth::account(options),
        shown: url.display(),
    }))
}

/// What an entry is; `None` for what is no file and no folder.
fn entry(row: &Row) -> Option<RemoteFile> {
    let is_folder = row.has("folder");
    let counts = (row.has("file") || is_folder) && !row.has("deleted");
    counts.then(|| RemoteFile {
        name: row.text("name"),
        size: row.number("size"),
        modified: row.get("lastModifiedDateTime").and_then(iso_time),
        is_folder,
        is_archived: false,
    })
}

impl Folder {
    /// Where the drive is.
    fn drive(&mut self) -> Done<String> {
        if self.found.0.is_empty() {
            self.found.0 = self.drive.find(&mut self.client, &mut self.folders)?;
        }
        Ok(self.found.0.clone())
    }

    /// The address of the first so many folders by their names.
    fn by_path(drive: &str, folders: &[String]) -> String {
        let path: String = folders.iter().map(|f| format!("/{}", encode(f))).collect();
        match path.is_empty() {
            true => format!("{drive}/root"),
            false => format!("{drive}/root:{path}"),
        }
    }

    /// Where the folder is, by its id.
    fn folder(&mut self) -> Done<String> {
        if self.found.1.is_empty() {
            let drive = self.drive()?;
            let at = Folder::by_path(&drive, &self.folders);
            let row =
                self.client
                    .row(Verb::List, "GET", &format!("{at}?$select=id,folder"), None)?;
            if !row.has("folder") {
                let what = "it is a file, not a folder";
                return Err(Fault::new(Class::Usage, what).hint("name a folder in the URL"));
            }
            let id = row.get("id").filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| Fault::new(Class::Protocol, "the folder has no id"))?;
            self.found.1 = format!("{drive}/items/{}", id_in_url(id));
        }
        Ok(self.found.1.clone())
    }

    /// The address of a file.
    fn file(&mut self, name: &str) -> Done<String> {
        Ok(format!("{}:/{}", self.folder()?, encode(name)))
    }

    /// What a folder that is gone leaves to be looked for again.
    fn noting<T>(&mut self, done: Done<T>) -> Done<T> {
        if done
            .as_ref()
            .is_err_and(|f| f.class == Class::FolderMissing)
        {
            self.found.1.clear();
        }
        done
    }

    fn pages(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let at = format!("{}/children?$top={PAGE}&{FIELDS}", self.folder()?);
        let (mut pages, mut url) = (self.client.service().pages(PAGE), self.client.url(&at));
        loop {
            let mut entries = 0;
            let next = self.client.page(&url, &mut |row| {
                entries += 1;
                entry(row).map_or(Ok(()), |file| each(Listed::Entry(file)))
            })?;
            if next.is_empty() {
                return Ok(());
            }
            if !same_origin(&url, &next) {
                return Err(foreign(&next));
            }
            pages.page(&next, entries)?;
            url = next;
        }
    }
}

/// What was not gone on with stays in the way of its name for days otherwise.
impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(session) = self.upload.take() {
            upload::cancel(&mut self.client, &session);
        }
    }
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let listed = self.pages(each);
        self.noting(listed)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let at = format!("{}?{FIELDS}", self.file(name)?);
        let row = self.client.row(Verb::Look, "GET", &at, None)?;
        // The service does not tell upper from lower case.
        let found = entry(&row).filter(|file| file.name == name);
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let at = format!("{}:/content", self.file(name)?);
        let url = self.client.url(&at);
        let service = self.client.service();
        service.download(("GET", &url), &[], (name, span), into)
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let at = self.file(name)?;
        let Folder {
            client,
            upload,
            fragment,
            ..
        } = self;
        let sent = upload::send(client, upload, *fragment, (&at, name), body);
        let row = self.noting(sent)?;
        // Some drives tell no digest.
        let told = row.get("file/hashes/quickXorHash");
        let same = match told.filter(|told| !told.is_empty()) {
            Some(told) => told == digest::of(body)?,
            None => true,
        };
        if same && row.number("size") == Some(body.len()) {
            return Ok(());
        }
        let _ = self.delete(name);
        let what = "the stored file is not the one sent";
        Err(Fault::new(Class::Integrity, what))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let at = self.file(name)?;
        let done = match self.permanent {
            false => self.client.call(Verb::Delete, "DELETE", &at, None),
            // The service has this for drives by their ids.
            true => {
                let at = format!("{at}?$select=id,parentReference");
                let row = self.client.row(Verb::Look, "GET", &at, None);
                row.and_then(|row| {
                    let [drive, id] = ["parentReference/driveId", "id"].map(|f| row.text(f));
                    let (drive, id) = (id_in_url(&drive), id_in_url(&id));
                    let at = format!("/drives/{drive}/items/{id}/permanentDelete");
                    self.client.call(Verb::Delete, "POST", &at, None)
                })
            }
        };
        match done {
            Err(fault) if fault.class == Class::NotFound => Ok(()),
            done => done?.finish(),
        }
    }

    /// Each level is made that is not there.
    fn create_folder(&mut self) -> Done<()> {
        self.found.1.clear();
        let drive = self.drive()?;
        match self.folder() {
            Err(fault) if fault.class == Class::FolderMissing => {}
            found => return found.map(drop),
        }
        for n in 0..self.folders.len() {
            let up = Folder::by_path(&drive, &self.folders[..n]);
            let colon = if n == 0 { "" } else { ":" };
            let about = json!({
                "name": self.folders[n],
                "folder": {},
                "@microsoft.graph.conflictBehavior": "fail",
            });
            let at = format!("{up}{colon}/children");
            match self.client.row(Verb::MakeFolder, "POST", &at, Some(&about)) {
                Err(fault) if fault.class != Class::Exists => return Err(fault),
                _ => {}
            }
        }
        self.folder().map(drop)
    }

    fn about(&self) -> About {
        About {
            put_is_proof: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        let service = self.client.service();
        Said {
            notices: service.notices(),
            requests: Some(service.requests()),
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

    fn quota(&mut self) -> Done<Quota> {
        let at = format!("{}?$select=quota", self.drive()?);
        let row = self.client.row(Verb::Login, "GET", &at, None)?;
        Ok(Quota {
            total: row.number("quota/total").filter(|n| *n > 0),
            free: row.number("quota/remaining"),
        })
    }
}
