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
use crate::dest::objects::by_id::{self, Folder};
use crate::dest::objects::{
    Api, Base, Each, File, Listing, Part, Sent, Shape, Store, form, sent, sha1_of,
};
use crate::dest::{Body, GetFacts, Quota, RemoteFile, Scheme, Sink, Span};
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
    listing: Listing {
        rows: "entries",
        size: "size",
        modified: "modified_at",
        next: "next_marker",
        ..Listing::PLAIN
    },
    pieces_once_broken: PARTS_FROM,
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let own = checks::own_address(given, &options::ENDPOINT)?;
    let of = |host: &str, at: &str| format!("{}{at}", own.as_deref().unwrap_or(host));
    let api = Box::new(Client {
        api: of("https://api.box.com", "/2.0"),
        upload: of("https://upload.box.com", "/api/2.0"),
        folder: Folder::of(url)?,
        purges: given.flag(&options::PURGE),
        ..Client::default()
    });
    let subject = options::subject(given)?;
    let at = (format!("{} {subject}", api.api), api.folder.path());
    let login = oauth::login_as(given, &logins::BOX, &subject)?;
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    let from = given.size(&options::PARTS).unwrap_or(WHOLE_MAX);
    base.pieces_from = from.clamp(PARTS_FROM, WHOLE_MAX) + 1;
    (base.service, base.account) = (base.service.hopping(), oauth::account(given));
    Ok(Store { base, api })
}

impl Api for Client {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        by_id::list(self, base, each)
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        by_id::look(self, base, name)?;
        let none = || Fault::new(Class::NotFound, "not found");
        let url = self.file(&self.folder.known(name).ok_or_else(none)?, FILE);
        let row = base.row(Verb::Look, &sent("GET", url, Vec::new()))?;
        let found = entry(&row)?.filter(|one| one.file.name == name);
        found.map(|one| one.file).ok_or_else(none)
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        by_id::fetch(self, base, of, into)
    }

    fn digest(&self, body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
        sha1_of(body, from, len)
    }

    fn prepare(&mut self, base: &mut Base, name: &str) -> Done<()> {
        self.old = self.find_old(base, name)?;
        Ok(())
    }

    fn whole(&self, _: &Base, file: &File<'_>) -> Sent {
        let (at, about) = match self.old.as_ref().filter(|_| !file.is_new) {
            Some(old) => (
                format!("/{}", encode(&old.id)),
                json!({ "name": file.name }),
            ),
            None => {
                let about = json!({ "name": file.name, "parent": { "id": self.folder.id() } });
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
        let old = self.find_old(base, file.name)?;
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
                json!({ "folder_id": self.folder.id(), "file_name": file.name }),
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
        let text = |field| row.text(&format!("entries/[]/{field}"));
        self.folder.stored(file.name, &text("id"));
        let same = text("sha1").eq_ignore_ascii_case(&hex(&file.digest));
        Ok(same && row.number("entries/[]/size") == Some(file.len))
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        by_id::delete(self, base, name)
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        by_id::make(self, base)
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
