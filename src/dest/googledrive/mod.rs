//! Google Drive (`destinations-more.md` 2.9): `googledrive://folder/folder`.
//!
//! Files are found by ids, and names are not unique: of several files of one name the newest is read, as Duplicati does, and a file
//! is created with an id that was asked for, so that a second attempt is noticed. An upload is proven by the service's own digest.

mod client;
mod options;

use serde_json::json;

use self::client::{Client, DIALECT};
use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::logins;
use crate::dest::objects::by_id::{self, Folder};
use crate::dest::objects::{
    Api, Base, Each, File, Listing, Part, Sent, Shape, Store, resumable, sent,
};
use crate::dest::{GetFacts, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks;
use crate::net::http::Reply;
use crate::net::oauth;
use crate::net::service::{Verb, rows};
use crate::net::url::{DestUrl, encode};

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["googledrive"],
    help: "Google Drive: googledrive://folder/folder?authid=AUTHID",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static SHAPE: Shape = Shape {
    limits_lists: false,
    listing: Listing {
        mark: "pageToken",
        rows: "files",
        name: &["name"],
        size: "size",
        modified: "modifiedTime",
        created: "createdTime",
        next: "nextPageToken",
        ..Listing::PLAIN
    },
    pieces_from: 0,
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let folder = Folder::of(url)?;
    let own = checks::own_address(given, &options::ENDPOINT)?;
    let api = own.unwrap_or("https://www.googleapis.com".to_owned());
    let team = given.text(&options::TEAM).unwrap_or_default().trim();
    let login = oauth::login(given, &logins::GOOGLE_DRIVE)?;
    let at = (format!("{api} {team}"), folder.path());
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    (base.service, base.account) = (base.service.hopping(), oauth::account(given));
    let api = Box::new(Client {
        api,
        team: team.to_owned(),
        folder,
        ..Client::default()
    });
    Ok(Store { base, api })
}

impl Api for Client {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        by_id::list(self, base, each)
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        by_id::look(self, base, name)
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        by_id::fetch(self, base, of, into)
    }

    /// A file of the name is replaced.
    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let parent = by_id::parent(self, base, Verb::Put)?;
        let (method, behind, about) = match by_id::replaced(self, base, (file.name, file.is_new))? {
            Some(old) => ("PATCH", format!("/{}", encode(&old)), json!({})),
            None => {
                let id = self.new_id(base, format!("{} {}", hex(&file.sha256), file.name))?;
                let about = json!({ "id": id, "name": file.name, "parents": [parent], "mimeType": "application/octet-stream" });
                ("POST", String::new(), about)
            }
        };
        let query = "uploadType=resumable&fields=id%2Csize%2Cmd5Checksum%2Ctrashed";
        let url = self.url(&format!("upload/drive/v3/files{behind}"), query);
        resumable::begin(base, (method, url), file, &about)
    }

    fn piece(&self, _: &Base, to: &str, file: &File<'_>, part: &Part) -> Sent {
        resumable::rest(to, file, part)
    }

    fn cancel(&self, base: &mut Base, to: &str) {
        resumable::cancel(base, to);
    }

    fn is_stored(&mut self, _: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let row = rows::row(reply, DIALECT.who)?;
        self.making = Default::default();
        if row.flag("trashed") {
            let what = "the folder is in the trash";
            return Err(Fault::new(Class::FolderMissing, what).hint("bring it back from there"));
        }
        self.folder.stored(file.name, &row.text("id"));
        let same = row.get("md5Checksum") == Some(&hex(&file.digest));
        Ok(same && row.number("size") == Some(file.len))
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        self.making = Default::default();
        by_id::delete(self, base, name)
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        by_id::make(self, base)?;
        self.making = Default::default();
        Ok(())
    }

    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        if !self.team.is_empty() {
            let what = "a shared drive does not tell its free space";
            return Err(Fault::new(Class::Unsupported, what));
        }
        let url = self.url("drive/v3/about", "fields=storageQuota%28limit%2Cusage%29");
        let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
        let total = row.number("storageQuota/limit");
        let used = total.zip(row.number("storageQuota/usage"));
        let free = used.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}
