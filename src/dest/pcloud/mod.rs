//! pCloud (`destinations-more.md` 2.12): `pcloud://api.pcloud.com/folder`, the host being where the account lives.
//!
//! Files are found by ids; a file of a name that is there gets a new revision. An upload is proven by the service's digests of
//! what it stored. What a file holds comes from other hosts, by an address that was asked for: the log-in never goes there.

mod client;
mod options;

use self::client::{Client, DIALECT, TOLD, entry};
use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::logins;
use crate::dest::objects::by_id::{self, Folder};
use crate::dest::objects::{Api, Base, Each, File, Sent, Shape, Store, form, sent, sha1_of};
use crate::dest::{Body, GetFacts, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::http::Reply;
use crate::net::oauth;
use crate::net::service::{Verb, rows};
use crate::net::url::{DestUrl, encode};

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["pcloud"],
    help: "pCloud: pcloud://api.pcloud.com/folder?authid=TOKEN",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static SHAPE: Shape = Shape {
    md5: false,
    sha1: true,
    limits_lists: false,
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let (api, folder) = (options::server(url, given)?, Folder::at(&url.path)?);
    let login = oauth::token(given, &logins::PCLOUD)?;
    let at = (api.clone(), folder.path());
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    (base.service, base.account) = (base.service.telling(), oauth::account(given));
    let api = Box::new(Client {
        api,
        folder,
        ..Client::default()
    });
    Ok(Store { base, api })
}

impl Api for Client {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        by_id::list(self, base, each)
    }

    /// A file whose id is known is asked for alone; else all of the folder are.
    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let Some(id) = self.folder.known(name) else {
            return by_id::look(self, base, name);
        };
        match self.ask(base, Verb::Look, &format!("stat?fileid={id}")) {
            Err(fault) if fault.class == Class::NotFound => {}
            row => {
                let row = row?;
                let parent = row.number("metadata/parentfolderid");
                let is_here = parent.is_some_and(|id| id.to_string() == self.folder.id());
                let found = entry(&row, "metadata/")?.filter(|_| is_here);
                if let Some(found) = found.filter(|one| one.file.name == name) {
                    return Ok(found.file);
                }
            }
        }
        by_id::look(self, base, name)
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        by_id::fetch(self, base, of, into)
    }

    fn digest(&self, body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
        sha1_of(body, from, len)
    }

    fn prepare(&mut self, base: &mut Base, _: &str) -> Done<()> {
        by_id::parent(self, base, Verb::Put).map(drop)
    }

    /// Without `nopartial` a broken upload would leave the beginning of the file under its name.
    fn whole(&self, _: &Base, file: &File<'_>) -> Sent {
        let (api, folder) = (&self.api, self.folder.id());
        let url = format!("{api}/uploadfile?folderid={folder}&nopartial=1");
        match file.len {
            // The service takes no body without content.
            0 => form::of(url, (file.name, file), &[], Vec::new()),
            _ => {
                let url = format!("{url}&filename={}", encode(file.name));
                sent("PUT", url, Vec::new())
            }
        }
    }

    fn is_stored(&mut self, base: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let row = rows::row(reply, DIALECT.who)?;
        let row = base.service.told(row, TOLD, Verb::Put)?;
        let none = || Fault::new(Class::Protocol, "the server does not show the stored file");
        let id = row.number("metadata/[]/fileid").ok_or_else(none)?;
        self.folder.stored(file.name, &id.to_string());
        let ours = [("sha1", hex(&file.digest)), ("sha256", hex(&file.sha256))];
        // Of two that are told both count.
        let told = |row: &rows::Row, at: &str| {
            let told = ours.iter().filter_map(|(field, ours)| {
                let told = row.get(&format!("{at}{field}"))?;
                Some(told.eq_ignore_ascii_case(ours))
            });
            told.reduce(|one, other| one && other)
        };
        let same = match told(&row, "checksums/[]/") {
            Some(same) => same,
            None => {
                let what = format!("checksumfile?fileid={id}");
                let row = self.ask(base, Verb::Put, &what)?;
                told(&row, "").ok_or_else(none)?
            }
        };
        Ok(same && row.number("metadata/[]/size") == Some(file.len))
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        by_id::delete(self, base, name)
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        by_id::make(self, base)
    }

    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let row = self.ask(base, Verb::Login, "userinfo")?;
        let total = row.number("quota").filter(|n| *n > 0);
        let used = total.zip(row.number("usedquota"));
        let free = used.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}
