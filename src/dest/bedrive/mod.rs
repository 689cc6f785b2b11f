//! Drime and FileJump (`destinations-more.md` 3.1): `drimecloud://folder/folder`, `filejump://folder/folder`. Both run the same
//! software; of FileJump, which closed its interface, nothing is written.
//!
//! Files are found by ids, and names are not unique: of several files of one name the newest is read. A file that is replaced goes
//! once its successor is there. The service tells no digest: an upload is proven by its length.

mod client;
mod options;
mod service;

use self::client::{Client, entry, json_wanted};
use self::service::{CLOSED_TO_WRITING, DRIME, FILEJUMP, User};
use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::objects::by_id::{self, Folder, Tree};
use crate::dest::objects::{Api, Base, Each, File, Sent, Shape, Store, form, sent};
use crate::dest::{Body, GetFacts, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks;
use crate::net::http::Reply;
use crate::net::opts;
use crate::net::service::call::{Login, Token};
use crate::net::service::tokens::Tokens;
use crate::net::service::{Dialect, Verb, rows};
use crate::net::url::DestUrl;

/// [rclone]: a form may be so long; longer files go in parts to another host, which is not done here.
const FORM_MAX: u64 = 200 << 20;

pub(crate) static DRIMECLOUD: Scheme = Scheme {
    names: &["drimecloud"],
    help: "Drime: drimecloud://folder/folder?api-token=TOKEN",
    options: options::DRIME,
    open: |url, given| Ok(Box::new(open(url, given, &SHAPE)?)),
};

pub(crate) static FILEJUMP_SCHEME: Scheme = Scheme {
    names: &["filejump"],
    help: "FileJump, to restore from: filejump://folder/folder?api-token=TOKEN",
    options: options::FILEJUMP,
    open: |url, given| Ok(Box::new(open(url, given, &CLOSED)?)),
};

static SHAPE: Shape = shape(&DRIME);
static CLOSED: Shape = shape(&FILEJUMP);

const fn shape(dialect: &'static Dialect) -> Shape {
    Shape {
        md5: false,
        limits_lists: false,
        most: FORM_MAX,
        ..Shape::plain(dialect)
    }
}

fn open(url: &DestUrl, given: &Options, shape: &'static Shape) -> Result<Store> {
    let is_drime = shape.dialect.who == DRIME.who;
    let dialect = shape.dialect;
    let own = checks::own_address(given, &options::API)?;
    let api = own.unwrap_or_else(|| {
        let host = if is_drime {
            "app.drime.cloud"
        } else {
            "drive.filejump.com"
        };
        format!("https://{host}/api/v1")
    });
    let workspace = given.int(&options::WORKSPACE).filter(|_| is_drime);
    let workspace = workspace.map(|id| format!("workspaceId={id}"));
    let client = Client {
        workspace: workspace.unwrap_or_default(),
        soft: given.flag(&options::SOFT),
        folder: Folder::of(url)?,
        api,
        ..Client::default()
    };
    let (login, account): (Box<dyn Login>, _) = match given.secret(&options::TOKEN) {
        Some(token) => {
            let mark = Algo::Sha256.hash(token.reveal().trim().as_bytes());
            (Box::new(Token(Some(token))), hex(&mark.as_bytes()[..8]))
        }
        None => {
            let (user, password) = opts::login(url, given, None);
            let how = "use --api-token, or --auth-username and --auth-password";
            let both = user.zip(password);
            let (name, password) = checks::or_missing(both, "log-in", how)?;
            let (api, account) = (client.api.clone(), name.clone());
            let user = User {
                api,
                dialect,
                name,
                password,
            };
            (Box::new(Tokens::of(user)), account)
        }
    };
    let at = (
        format!("{} {}", client.api, client.workspace),
        client.folder.path(),
    );
    let mut base = Base::new(shape, given, login, at, url.display())?;
    (base.service, base.account) = (base.service.hopping(), account);
    base.page = given.int(&options::PAGE).unwrap_or(base.page);
    base.read_only = (!is_drime).then_some(CLOSED_TO_WRITING);
    let api = Box::new(client);
    Ok(Store { base, api })
}

/// Nothing is asked of a service that is closed.
fn may_write(base: &Base) -> Done<()> {
    match base.read_only {
        Some(why) => Err(Fault::new(Class::Unsupported, why)),
        None => Ok(()),
    }
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

    fn prepare(&mut self, base: &mut Base, name: &str) -> Done<()> {
        by_id::parent(self, base, Verb::Put)?;
        self.old = by_id::replaced(self, base, (name, false))?;
        Ok(())
    }

    /// The service knows files by no digest.
    fn digest(&self, _: &mut dyn Body, _: u64, _: u64) -> Done<Vec<u8>> {
        Ok(Vec::new())
    }

    /// [docs], [Duplicati] and [rclone]: a form with `file`, `workspaceId` and `parentId`, which the root has not.
    fn whole(&self, _: &Base, file: &File<'_>) -> Sent {
        let parent = self.folder.id();
        let parent = parent.split(' ').next().unwrap_or_default();
        let workspace = self.workspace.split('=').next_back().unwrap_or_default();
        let fields = [("workspaceId", workspace), ("parentId", parent)];
        let fields: Vec<_> = fields
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .copied()
            .collect();
        let url = format!("{}/uploads", self.api);
        form::of(url, (file.name, file), &fields, vec![json_wanted()])
    }

    /// The file that was replaced goes now.
    fn is_stored(&mut self, base: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let row = rows::row(reply, DRIME.who)?;
        let (old, stored) = (self.old.take(), entry(&row.inside("fileEntry"), self.by()));
        let Some(stored) = stored.filter(|_| row.get("status") == Some("success")) else {
            return Err(Fault::new(
                Class::Integrity,
                "the server does not show the file that was sent",
            ));
        };
        if stored.file.name != file.name || stored.file.size != Some(file.len) {
            let _ = self.remove(base, &stored.id);
            return Err(Fault::new(
                Class::Integrity,
                "the stored file is not the one sent",
            ));
        }
        if let Some(old) = old.filter(|old| *old != stored.id) {
            match self.remove(base, &old) {
                Err(fault) if fault.class != Class::NotFound => return Err(fault),
                _ => {}
            }
        }
        self.folder.stored(file.name, &stored.id);
        Ok(true)
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        may_write(base)?;
        by_id::delete(self, base, name)
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        may_write(base)?;
        by_id::make(self, base)
    }

    /// [rclone]: `available` is all that the account may have.
    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let ask = sent("GET", self.url("user/space-usage", ""), vec![json_wanted()]);
        let row = base.row(Verb::Login, &ask)?;
        let total = row.number("available");
        let used = total.zip(row.number("used"));
        let free = used.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}
