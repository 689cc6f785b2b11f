//! OpenStack Swift (`destinations-more.md` 2.6): `openstack://container/folder`, with the log-ins of Keystone.
//!
//! Every upload carries its MD5, which the server checks and tells again.

mod login;
mod options;

use self::login::Keystone;
use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::objects::{Api, Base, Listing, Shape, Store};
use crate::dest::{Quota, Scheme};
use crate::net::checks;
use crate::net::service::tokens::Tokens;
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::{DestUrl, encode, folder};

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["openstack"],
    help: "OpenStack Swift: openstack://container/folder?openstack-authuri=https://host/v3",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

/// Keystone writes JSON, Swift a small page.
static DIALECT: Dialect = Dialect {
    form: Form::Paged("title", "message"),
    who: "an OpenStack server",
    rules: rules! {
        300 "" [Login] => Class::Unsupported, "the address names no version of the log-in", "end --openstack-authuri in /v3, /v2.0 or /auth/v1.0";
        401 "" [Login] => Class::Auth, "the log-in was refused",
            "check --auth-username, --auth-password, --openstack-tenant-name and --openstack-domain-name";
        403 "" [Login] => Class::Auth, "the log-in was refused", "is the user enabled, and a member of the project?";
        404 "" [Login] => Class::Unsupported, "there is no log-in at this address", "check --openstack-authuri and --openstack-version";
        401 "" => Class::Auth, "the token was refused twice", "check --openstack-region; is the user a member of the project?";
        412 "" [Put] => Class::Exists;
        413 "" "quota" => Class::Full;
        422 "" [Put] => Class::Integrity, "the server received another content than was sent";
        498 "" => Class::Throttled(None);
        400 "" [MakeFolder] => Class::Unsupported, "the server finds the container name '{container}' invalid", "correct the name in the URL";
        404 "" [MakeFolder] => Class::Unsupported;
    },
    words: words! {
        Class::FolderMissing => "=container '{container}' does not exist", "check the name in openstack://{container} and --openstack-region";
        Class::Auth => "access denied", "the user needs a role, or an access list of the container, that allows it";
        Class::Exists => "=the name is taken";
        Class::Unsupported => "";
    },
};

static SHAPE: Shape = Shape {
    digest: ("etag", hex),
    // Unless its operator changed that.
    most: 5 << 30,
    listing: Listing {
        query: "format=json&delimiter=%2F&limit=",
        rows: "*/",
        name: &["name", "subdir"],
        size: "bytes",
        modified: "last_modified",
        // So a large object in segments looks that another program made.
        empty: 1000,
        ..Listing::PLAIN
    },
    ..Shape::flying(&DIALECT)
};

struct Swift;

fn open(url: &DestUrl, options: &Options) -> Result<Store> {
    let container = checks::host(url, "container", "openstack://container/folder", 256)?;
    let (login, account, place) = Keystone::new(url, options)?;
    let folder = folder(url.path.trim_start_matches('/'));
    let at = (format!("/{}", encode(container)), folder);
    let login = Box::new(Tokens::of(login));
    let mut base = Base::new(&SHAPE, options, login, at, url.display())?;
    let service = base.service.expecting(Vec::new()).matching();
    base.service = service.naming("container", container);
    (base.account, base.place) = (account, format!("openstack {place} {container}/"));
    base.page = options.int(&options::PAGE_SIZE).unwrap_or(1000).min(10_000);
    let api = Box::new(Swift);
    Ok(Store { base, api })
}

impl Api for Swift {
    /// What container or account are allowed to hold, if that is limited.
    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        for (url, of) in [(base.url("", ""), "container"), (String::new(), "account")] {
            let reply = base.plain(Verb::Login, "HEAD", url)?;
            let number = |name: String| reply.header(&name).and_then(|v| v.trim().parse().ok());
            let used: Option<u64> = number(format!("x-{of}-bytes-used"));
            if let Some(total) = number(format!("x-{of}-meta-quota-bytes")) {
                return Ok(Quota {
                    total: Some(total),
                    free: used.map(|used| total.saturating_sub(used)),
                });
            }
        }
        let what = "neither container nor account have a quota";
        Err(Fault::new(Class::Unsupported, what))
    }
}
