//! Google Drive (`destinations-more.md` 2.9): `googledrive://folder/folder`.
//!
//! Files are found by ids, and names are not unique: of several files of one name the newest is read, as Duplicati does, and a file
//! is created with an id that was asked for, so that a second attempt is noticed. An upload is proven by the service's own digest.

mod client;
mod options;

use serde_json::json;

use self::client::{Client, DIALECT, FOLDER, found, quoted};
use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::logins;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Api, Base, Each, File, Part, Sent, Shape, Store, resumable, sent};
use crate::dest::{GetFacts, Listed, Quota, RemoteFile, Scheme, Sink, Span};
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
    pieces_from: 0,
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let path = format!("{}/{}", url.host, url.path);
    let levels = path.split('/').filter(|level| !level.is_empty());
    let levels: Vec<String> = levels.map(str::to_owned).collect();
    let own = checks::own_address(given, &options::ENDPOINT)?;
    let api = own.unwrap_or("https://www.googleapis.com".to_owned());
    let team = given.text(&options::TEAM).unwrap_or_default().trim();
    let login = oauth::login(given, &logins::GOOGLE_DRIVE)?;
    let at = (format!("{api} {team}"), levels.join("/"));
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    (base.service, base.account) = (base.service.hopping(), oauth::account(given));
    let api = Box::new(Client {
        api,
        team: team.to_owned(),
        levels,
        ..Client::default()
    });
    Ok(Store { base, api })
}

impl Api for Client {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        let parent = quoted(&self.parent(base, Verb::List)?);
        let what = format!("{parent} in parents and trashed = false and mimeType != '{FOLDER}'");
        let (mut ids, mut again) = (Ids::default(), 0);
        self.search(base, Verb::List, &what, &mut |row| {
            let one = found(row)?;
            match ids.add(&one.file.name, &one.id) {
                true => each(Listed::Entry(one.file)),
                false => {
                    again += 1;
                    Ok(())
                }
            }
        })?;
        self.ids = ids;
        if again > 0 {
            let files = text::count(again, "file");
            base.notices.push(format!(
                "{files} left aside that have the name of a newer one"
            ));
        }
        Ok(())
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let all = self.files(base, Verb::Look, name)?;
        let first = all.first().map(|one| RemoteFile {
            name: one.file.name.clone(),
            ..one.file
        });
        self.looked = Some((name.to_owned(), all));
        first.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        let (mut known, mut more) = (self.ids.get(of.0), "");
        loop {
            let was_known = known.is_some();
            let id = match known.take() {
                Some(id) => id,
                None => match self.files(base, Verb::Get, of.0)?.first() {
                    Some(one) => one.id.clone(),
                    None => return Err(Fault::new(Class::NotFound, "not found")),
                },
            };
            let path = format!("drive/v3/files/{}", encode(&id));
            let url = self.url(&path, &format!("alt=media{more}"));
            match base.service.download(("GET", &url), &[], of, into) {
                // It has perhaps been replaced by another of its name.
                Err(fault) if fault.class == Class::NotFound && was_known => {}
                Err(fault) if fault.class == Class::Locked && more.is_empty() => {
                    (known, more) = (Some(id), "&acknowledgeAbuse=true");
                }
                done => return done,
            }
        }
    }

    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        sent("POST", base.url(file.name, ""), Vec::new())
    }

    /// A file of the name is replaced, others of it are removed before.
    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let parent = self.parent(base, Verb::Put)?;
        let all = match self.looked.take() {
            Some((name, all)) if name == file.name => all,
            _ => self.files(base, Verb::Put, file.name)?,
        };
        if file.is_new && !all.is_empty() {
            return Err(Fault::new(Class::Exists, "a file of this name is there"));
        }
        for other in all.iter().skip(1) {
            self.remove(base, &other.id)?;
        }
        let (method, behind, about) = match all.first() {
            Some(old) => ("PATCH", format!("/{}", encode(&old.id)), json!({})),
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
        self.ids.forget(file.name);
        self.ids.add(file.name, &row.text("id"));
        let same = row.get("md5Checksum") == Some(&hex(&file.digest));
        Ok(same && row.number("size") == Some(file.len))
    }

    /// All files of the name.
    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        (self.looked, self.making) = Default::default();
        if let Some(id) = self.ids.get(name) {
            self.ids.forget(name);
            match self.remove(base, &id) {
                Err(fault) if fault.class == Class::NotFound => {}
                done => return done,
            }
        }
        let all = self.files(base, Verb::Delete, name)?;
        self.ids.forget(name);
        all.iter().try_for_each(|one| self.remove(base, &one.id))
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        let mut at = self.root(base)?;
        for level in self.levels.clone() {
            at = match self.step(base, Verb::MakeFolder, &at, &level)? {
                Some(id) => id,
                None => {
                    let id = self.new_id(base, format!("{at}/{level}"))?;
                    let about =
                        json!({ "id": id, "name": level, "parents": [at], "mimeType": FOLDER });
                    let request = self.tell("POST", "drive/v3/files", &about);
                    match base.row(Verb::MakeFolder, &request) {
                        // By an earlier attempt.
                        Err(fault) if fault.class == Class::Exists => {}
                        made => drop(made?),
                    }
                    id
                }
            };
        }
        (self.id, self.making) = (Some(at), Default::default());
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
