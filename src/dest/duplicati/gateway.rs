//! The storage by its gateway: the service carries the files itself. What is asked is read from Duplicati's client
//! (`DuplicatiBackend.cs`).

use crate::base::bytes::base64;
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Api, Base, Each, File, Sent, Shape, sent};
use crate::dest::s3::{either, either_number};
use crate::dest::{GetFacts, Listed, Quota, RemoteFile, Sink, Span};
use crate::net::http::{Http, Reply, Request, iso_time};
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::call::{Login, Signed};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::encode;

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "message"),
    who: "Duplicati's storage",
    rules: rules! {
        400 "" [Login] => Class::Auth;
        404 "" [Login] => Class::Protocol, "there is no storage of Duplicati at this address", "check --duplicati-endpoint";
    },
    words: words! {
        Class::FolderMissing => "=there is no backup of this id";
        Class::Auth => "access denied", "check --duplicati-auth-apiid, --duplicati-auth-apikey and --duplicati-backup-id; the service knows a machine by its id: on another than the original one give that as --duplicati-machine-id";
    },
};

pub(super) static SHAPE: Shape = Shape {
    limits_lists: false,
    ..Shape::plain(&DIALECT)
};

/// Who asks, in the head of every request.
pub(super) struct Head(pub(super) Vec<(&'static str, Secret)>);

impl Login for Head {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        Ok(self.0.iter().map(|(n, v)| (*n, v.duplicate())).collect())
    }
}

/// What the gateway knows of files.
#[derive(Default)]
pub(super) struct Gateway {
    /// Names of the last listing, and of what was stored since; and whether that is all.
    names: Ids,
    is_whole: bool,
}

/// A file of the listing.
fn file(row: &Row) -> Done<RemoteFile> {
    let name = either(row, "name");
    if name.is_empty() {
        return Err(incomplete("an entry has no name"));
    }
    Ok(RemoteFile {
        name,
        size: either_number(row, "size"),
        modified: iso_time(&either(row, "lastModification")),
        is_folder: row.flag("isFolder") || row.flag("IsFolder"),
        is_archived: false,
    })
}

/// All files, from one reply.
fn all(base: &mut Base, each: &mut dyn FnMut(RemoteFile) -> Done<()>) -> Done<()> {
    let url = format!("{}/list", base.address);
    let mut reply = base.plain(Verb::List, "GET", url)?;
    rows::rows(&mut reply, DIALECT.who, LIST_MAX_BYTES, "*/", &mut |row| {
        each(file(row)?)
    })?;
    Ok(())
}

fn at(base: &Base, action: &str, name: &str) -> String {
    format!("{}/{action}/{}", base.address, encode(name))
}

impl Api for Gateway {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        let mut names = Ids::default();
        all(base, &mut |file| {
            names.add(&file.name, "");
            each(Listed::Entry(file))
        })?;
        (self.names, self.is_whole) = (names, true);
        Ok(())
    }

    /// A file that was not listed and not stored since is not there: one cannot be asked for alone.
    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let mut found = None;
        if !self.is_whole || !self.names.lacks(name) {
            all(base, &mut |file| {
                if file.name == name && !file.is_folder {
                    found = Some(file);
                }
                Ok(())
            })?;
        }
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn fetch(
        &mut self,
        base: &mut Base,
        (name, span): (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let url = at(base, "get", name);
        base.service
            .download(("GET", &url), &[], (name, span), into)
    }

    /// Until it is known what became of it.
    fn prepare(&mut self, _: &mut Base, name: &str) -> Done<()> {
        self.names.add(name, "");
        Ok(())
    }

    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let headers = vec![
            ("x-content-md5", base64(&file.digest)),
            ("x-content-sha256", base64(&file.sha256)),
        ];
        sent("POST", at(base, "put", file.name), headers)
    }

    /// The service is told both digests of what it takes, and tells nothing.
    fn is_stored(&mut self, _: &mut Base, _: &File<'_>, reply: &mut Reply) -> Done<bool> {
        reply.finish().map(|()| true)
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        let url = at(base, "delete", name);
        base.plain(Verb::Delete, "GET", url)?.finish()
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        let url = format!("{}/createfolder", base.address);
        base.plain(Verb::MakeFolder, "GET", url)?.finish()
    }

    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let url = format!("{}/quota", base.address);
        let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
        Ok(Quota {
            total: either_number(&row, "totalQuotaSpace"),
            free: either_number(&row, "freeQuotaSpace"),
        })
    }
}
