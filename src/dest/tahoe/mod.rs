//! Tahoe-LAFS through the gateway of a node (`destinations-more.md` 2.14): `tahoe://HOST:PORT/uri/URI:DIR2:...`.
//!
//! Who knows the capability in the URL may do everything there, and nobody logs in: the path is the secret. A file is whole or
//! not there; each change rewrites the directory, which the gateway does alone.

mod listing;
mod options;

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::dest::objects::{Api, Base, Each, File, Sent, Shape, Store, sent};
use crate::dest::{Body, RemoteFile, Scheme};
use crate::net::http::{Http, Request};
use crate::net::service::call::{Login, Signed};
use crate::net::service::pages::incomplete;
use crate::net::service::{Dialect, Form, Verb, rows, rules, words};
use crate::net::url::{CAPABLE_HINT, DestUrl, encode, is_near};

use options::Directory;

const UNKNOWN: &str = "the gateway does not know the capability in the URL";
const UNKNOWN_HINT: &str = "copy it again, to its last letter";
const IS_FILE: &str = "the folder of the URL is a file";
const READ_ONLY: &str = "write with the directory's own capability: the one in the URL only reads";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["tahoe"],
    help: "Tahoe-LAFS: tahoe://host:3456/uri/URI:DIR2:...",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static DIALECT: Dialect = Dialect {
    form: Form::Lafs,
    who: "a gateway of Tahoe-LAFS",
    rules: rules! {
        0 "UnrecoverableFileError NoSharesError NotEnoughSharesError" => Class::Transient, "=too few storage servers answer to read that", "see the gateway's page with a browser: servers are away, the capability is mistyped, or what was stored is lost";
        0 "UploadUnhappinessError" "(of which 0 placed none due to the server being full" => Class::Transient, "too few storage servers take the file", "see the gateway's page with a browser, and shares.happy in its tahoe.cfg";
        0 "UploadUnhappinessError" "due to the server being full" => Class::Full, "the storage servers have no space left";
        0 "UploadUnhappinessError NotEnoughServersError NoServersError" => Class::Transient, "too few storage servers take the file", "see the gateway's page with a browser, and shares.happy in its tahoe.cfg";
        0 "UncoordinatedWriteError" => Class::Transient, "somebody else changes the directory at the same time", "let one gateway at a time write to it";
        0 "NotWriteableError" => Class::Locked, "=the directory can only be read";
        404 "" "no such resource" => Class::Auth, "=the gateway does not know the capability in the URL", "copy it again, to its last letter";
        409 "" [Put] "already a child by that name" => Class::Exists;
        409 "" => Class::Unsupported, "a file has the name of the folder";
        400 "" [List Look Get] "files have no children" => Class::Unsupported, "=the folder of the URL is a file";
        400 "" [Put] "put to a directory" => Class::Unsupported, "a directory has the name of the file";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied";
        Class::Full => "the storage servers have no space left", "delete versions, or add storage to the grid; space comes back when leases run out";
    },
};

static SHAPE: Shape = Shape {
    md5: false,
    limits_lists: false,
    refuses_to_replace: true,
    ..Shape::plain(&DIALECT)
};

/// A directory behind a gateway.
struct Grid {
    /// The folder below the directory was seen or made; the directory itself is there.
    is_there: bool,
}

/// Nobody logs in; the gateway is asked for errors that are no pages.
struct Nobody;

impl Login for Nobody {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        Ok(vec![("accept", Secret::new("text/plain".to_owned()))])
    }
}

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let directory = Directory::of(url)?;
    if url.host.is_empty() {
        return Err(Error::usage("the destination URL has no host").hint(CAPABLE_HINT));
    }
    let is_tls = given.flag(&options::USE_SSL);
    let scheme = if is_tls { "https" } else { "http" };
    let port = url.port.map(|port| format!(":{port}")).unwrap_or_default();
    let capability = encode(&directory.capability);
    let address = format!("{scheme}://{}{port}/uri/{capability}", url.host);
    let place = (address, directory.folder.clone());
    let mut base = Base::new(&SHAPE, given, Box::new(Nobody), place, url.display())?;
    base.place = format!("tahoe://{}/", directory.identity());
    base.read_only = (!directory.is_writable).then_some(READ_ONLY);
    let secrets = url.secret_path().map(|part| Secret::new(part.to_owned()));
    base.service = base
        .service
        .expecting(secrets.chain([Secret::new(capability)]).collect());
    if !is_tls && !is_near(&url.host) {
        let told =
            "the capability in the URL goes to the gateway unencrypted; tahoes:// protects it";
        base.notices.push(told.to_owned());
    }
    let is_there = directory.folder.is_empty();
    let api = Box::new(Grid { is_there });
    Ok(Store { base, api })
}

/// The address of the folder.
fn folder(base: &Base, query: &str) -> String {
    let all = format!("{}/{}", base.address, base.key(""));
    format!("{}?{query}", all.trim_end_matches('/'))
}

impl Api for Grid {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        let mut reply = base.plain(Verb::List, "GET", folder(base, "t=json"))?;
        listing::read(&mut reply, DIALECT.who, each)?;
        self.is_there = true;
        Ok(())
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let mut reply = base.plain(Verb::Look, "GET", base.url(name, "t=json"))?;
        let row = rows::row(&mut reply, DIALECT.who)?;
        match row.get("[]") {
            Some("filenode") => Ok(RemoteFile {
                name: name.to_owned(),
                size: row.number("[]/size"),
                ..RemoteFile::default()
            }),
            Some("dirnode") => Err(Fault::new(Class::NotFound, "not found")),
            _ => Err(incomplete("the reply is about no file")),
        }
    }

    /// The gateway makes a missing folder unasked.
    fn prepare(&mut self, base: &mut Base, _: &str) -> Done<()> {
        if !self.is_there {
            let url = folder(base, "t=readonly-uri");
            base.plain(Verb::List, "GET", url)?.finish()?;
            self.is_there = true;
        }
        Ok(())
    }

    /// What arrived is proved by a look.
    fn digest(&self, _: &mut dyn Body, _: u64, _: u64) -> Done<Vec<u8>> {
        Ok(Vec::new())
    }

    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let query = if file.is_new { "replace=false" } else { "" };
        sent("PUT", base.url(file.name, query), Vec::new())
    }

    /// Those above it, too.
    fn make(&mut self, base: &mut Base) -> Done<()> {
        let url = folder(base, "t=mkdir");
        base.plain(Verb::MakeFolder, "POST", url)?.finish()?;
        self.is_there = true;
        Ok(())
    }
}
