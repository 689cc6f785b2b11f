//! Box (`destinations-more.md` 2.11): `box://folder/folder`.
//!
//! Files are found by ids; a file of a name that is there becomes a new version of it. An upload is proven by the service's SHA-1
//! of what it stored; a long one goes in parts, of which those that arrived are not sent again after a break.

mod client;
mod options;

use serde_json::json;

use self::client::{Client, DIALECT, FILE, entry};
use crate::base::bytes::{base64, hex};
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::logins;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Api, Base, Each, File, Part, Sent, Shape, Store, form, sent, sha1_of};
use crate::dest::{Body, GetFacts, Listed, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks;
use crate::net::http::Reply;
use crate::net::oauth;
use crate::net::service::rows;
use crate::net::service::{Refusal, Verb};
use crate::net::url::{DestUrl, encode};

/// The service takes no longer file at once.
const WHOLE_MAX: u64 = 50 << 20;
/// It takes no shorter one in parts.
const PARTS_FROM: u64 = 20_000_000;
/// Most parts of a file.
const PARTS_MAX: u64 = 20_000;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["box"],
    help: "Box: box://folder/folder?authid=AUTHID",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static SHAPE: Shape = Shape {
    refuses_to_replace: true,
    md5: false,
    sha1: true,
    limits_lists: false,
    pieces_once_broken: PARTS_FROM,
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let path = format!("{}/{}", url.host, url.path);
    let levels = path.split('/').filter(|level| !level.is_empty());
    let levels: Vec<String> = levels.map(str::to_owned).collect();
    let own = checks::own_address(given, &options::ENDPOINT)?;
    let of = |host: &str, at: &str| format!("{}{at}", own.as_deref().unwrap_or(host));
    let api = Box::new(Client {
        api: of("https://api.box.com", "/2.0"),
        upload: of("https://upload.box.com", "/api/2.0"),
        levels,
        purges: given.flag(&options::PURGE),
        ..Client::default()
    });
    let subject = options::subject(given)?;
    let at = (format!("{} {subject}", api.api), api.levels.join("/"));
    let login = oauth::login_as(given, &logins::BOX, &subject)?;
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    let from = given.size(&options::PARTS).unwrap_or(WHOLE_MAX);
    base.pieces_from = from.clamp(PARTS_FROM, WHOLE_MAX) + 1;
    (base.service, base.account) = (base.service.hopping(), oauth::account(given));
    Ok(Store { base, api })
}

impl Api for Client {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        let (folder, mut ids) = (self.parent(base, Verb::List)?, Ids::default());
        let listed = self.entries(base, Verb::List, (&folder, FILE), &mut |row| {
            if let Some(file) = entry(row) {
                if !file.is_folder {
                    ids.add(&file.name, &row.text("id"));
                }
                each(Listed::Entry(file))?;
            }
            Ok(true)
        });
        self.ids = ids;
        self.noting(listed)
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let none = || Fault::new(Class::NotFound, "not found");
        let found = self.find(base, Verb::Look, name)?.ok_or_else(none)?;
        let url = self.file(&found.id, FILE);
        let row = base.row(Verb::Look, &sent("GET", url, Vec::new()))?;
        entry(&row)
            .filter(|file| file.name == name)
            .ok_or_else(none)
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        let mut known = self.ids.get(of.0);
        loop {
            let was_known = known.is_some();
            let id = match known.take() {
                Some(id) => id,
                None => match self.find(base, Verb::Get, of.0)? {
                    Some(found) => found.id,
                    None => return Err(Fault::new(Class::NotFound, "not found")),
                },
            };
            let url = self.file(&id, "/content");
            match base.service.download(("GET", &url), &[], of, into) {
                // It has perhaps been replaced by another of its name.
                Err(fault) if fault.class == Class::NotFound && was_known => {}
                done => return done,
            }
        }
    }

    fn digest(&self, body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
        sha1_of(body, from, len)
    }

    fn prepare(&mut self, base: &mut Base, name: &str) -> Done<()> {
        let found = self.find(base, Verb::Put, name);
        self.old = self.noting(found)?;
        Ok(())
    }

    fn whole(&self, _: &Base, file: &File<'_>) -> Sent {
        let (at, about) = match self.old.as_ref().filter(|_| !file.is_new) {
            Some(old) => (
                format!("/{}", encode(&old.id)),
                json!({ "name": file.name }),
            ),
            None => {
                let parent = self.id.as_deref().unwrap_or("0");
                let about = json!({ "name": file.name, "parent": { "id": parent } });
                (String::new(), about)
            }
        };
        let url = format!("{}/files{at}/content", self.upload);
        // So the service calls it.
        let headers = vec![("content-md5", hex(&file.digest))];
        let fields = [("attributes", &about.to_string()[..])];
        form::of(url, ("file", file), &fields, headers)
    }

    /// An upload that is not known any more has perhaps come to its end, and only the answer was lost.
    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let begun = Some((file.name.to_owned(), file.digest.clone()));
        let again = std::mem::replace(&mut self.begun, begun) == self.begun;
        let old = self.find(base, Verb::Put, file.name)?;
        let is_there = |sha1: &str| sha1 == hex(&file.digest);
        if old
            .as_ref()
            .is_some_and(|old| file.is_new || (again && is_there(&old.sha1)))
        {
            return Err(Fault::new(Class::Exists, "a file of this name is there"));
        }
        let (at, mut about) = match &old {
            Some(old) => (format!("/{}", encode(&old.id)), json!({})),
            None => (
                String::new(),
                json!({ "folder_id": self.id, "file_name": file.name }),
            ),
        };
        about["file_size"] = file.len.into();
        let url = format!("{}/files{at}/upload_sessions", self.upload);
        let row = base.row(Verb::Put, &Client::tell("POST", url, &about))?;
        let (id, size) = (row.text("id"), row.number("part_size").unwrap_or(0));
        if id.is_empty() || size == 0 || file.len.div_ceil(size) > PARTS_MAX {
            return Err(Fault::new(Class::Protocol, "the server begins no upload"));
        }
        base.pieces = Some((size, u64::MAX));
        Ok(id)
    }

    fn piece(&self, _: &Base, id: &str, file: &File<'_>, part: &Part) -> Sent {
        let url = format!("{}/files/upload_sessions/{}", self.upload, encode(id));
        let digest = |digest| ("digest", format!("sha={}", base64(digest)));
        if part.len == 0 {
            let about = json!({ "parts": self.parts });
            let mut end = Client::tell("POST", format!("{url}/commit"), &about);
            end.2.push(digest(&file.digest));
            return end;
        }
        let end = part.from + part.len;
        self.sent.set(end);
        let range = format!("bytes {}-{}/{}", part.from, end - 1, file.len);
        let kind = ("content-type", "application/octet-stream".to_owned());
        let headers = vec![kind, ("content-range", range), digest(&part.digest)];
        sent("PUT", url, headers)
    }

    /// A part that is there already was sent before, and only the answer was lost; the digest of the whole is compared at the end.
    fn offset(&self, refusal: &Refusal) -> Option<u64> {
        let is_there = refusal.is("range_overlaps_existing_range");
        is_there.then(|| self.sent.get())
    }

    fn before_end(&mut self, base: &mut Base, id: &str, file: &File<'_>) -> Done<()> {
        self.arrived(base, id, file.len)
    }

    fn cancel(&self, base: &mut Base, id: &str) {
        let url = format!("{}/files/upload_sessions/{}", self.upload, encode(id));
        let asked = base.plain(Verb::Delete, "DELETE", url);
        let _ = asked.and_then(|mut reply| reply.finish());
    }

    fn is_stored(&mut self, _: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        (self.begun, self.parts, self.old) = Default::default();
        let row = rows::row(reply, DIALECT.who)?;
        self.ids.forget(file.name);
        let text = |field| row.text(&format!("entries/[]/{field}"));
        self.ids.add(file.name, &text("id"));
        let same = text("sha1").eq_ignore_ascii_case(&hex(&file.digest));
        Ok(same && row.number("entries/[]/size") == Some(file.len))
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        if let Some(id) = self.ids.get(name) {
            self.ids.forget(name);
            match self.remove(base, &id) {
                Err(fault) if fault.class == Class::NotFound => {}
                done => return done,
            }
        }
        match self.find(base, Verb::Delete, name)? {
            Some(found) => {
                self.ids.forget(name);
                self.remove(base, &found.id)
            }
            None => Ok(()),
        }
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        let mut at = "0".to_owned();
        for level in self.levels.clone() {
            let mut next = self.step(base, Verb::MakeFolder, &at, &level)?;
            if next.is_none() {
                let about = json!({ "name": level, "parent": { "id": at } });
                let request = Client::tell("POST", format!("{}/folders", self.api), &about);
                next = match base.row(Verb::MakeFolder, &request) {
                    // By another, or by an earlier attempt.
                    Err(fault) if fault.class == Class::Exists => {
                        self.step(base, Verb::MakeFolder, &at, &level)?
                    }
                    made => made?.get("id").map(str::to_owned),
                };
            }
            let none = || Fault::new(Class::Protocol, "the server does not show the folder");
            at = next.filter(|id| !id.is_empty()).ok_or_else(none)?;
        }
        (self.id, self.ids) = (Some(at), Ids::default());
        Ok(())
    }

    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let url = format!("{}/users/me?fields=space_amount,space_used", self.api);
        let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
        let total = row.number("space_amount").filter(|n| *n > 0);
        let used = total.zip(row.number("space_used"));
        let free = used.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}

impl Client {
    /// What a folder that is gone leaves to be looked for again.
    fn noting<T>(&mut self, done: Done<T>) -> Done<T> {
        let gone = |fault: &Fault| fault.class == Class::FolderMissing;
        if done.as_ref().is_err_and(gone) {
            self.id = None;
        }
        done
    }
}
