//! Jottacloud (`destinations-more.md` 3.1): `jottacloud://folder/folder`.
//!
//! What is stored is known by its MD5. An upload is announced first; what the service has then, the whole file or the
//! beginning of one whose line broke, is not sent again. An upload that failed leaves a revision that no listing here shows.

mod options;

use serde_json::json;

use crate::base::bytes::hex;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::logins;
use crate::dest::objects::{Api, Base, Each, File, Part, Sent, Shape, Store, sent};
use crate::dest::{GetFacts, Listed, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks;
use crate::net::http::{Reply, iso_time};
use crate::net::oauth;
use crate::net::redirect::{foreign, same_origin, split};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::{DestUrl, encode, is_near};

const IS_FILE: &str = "the folder of the URL is a file";
const NOWHERE: &str = "the server does not say where the file goes";
const USER: &str = "auth/realms/jottacloud/protocol/openid-connect/userinfo";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["jottacloud"],
    help: "Jottacloud: jottacloud://folder/folder?authid=AUTHID",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static DIALECT: Dialect = Dialect {
    form: Form::Java,
    who: "Jottacloud",
    rules: rules! {
        400 "InvalidArgumentException" [Put MakeFolder] => Class::Unsupported, "the service does not take the name", r#"see the folder in the URL: it has none of \ : * ? " < > |"#;
        404 "" [Resume] => Class::NotFound;
        409 "" [Put MakeFolder] => Class::Unsupported, "a file has the name of the folder, or a folder that of the file";
        416 "" [Resume] => Class::Transient, "the server has another part of the file";
        420 "" [Put Resume] => Class::Transient, "the file has not arrived as a whole";
        421 "" [Put Resume] => Class::Integrity, "the file arrived damaged at the server";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check the log-in: an AuthID that is not accepted is made anew on the page of the token service";
        Class::Full => "the account has no space left", "delete versions, empty the trash of the account, or get more space";
    },
};

static SHAPE: Shape = Shape {
    limits_lists: false,
    content: "mode=bin",
    pieces_from: 0,
    begins_again: true,
    ..Shape::plain(&DIALECT)
};

/// A folder in Jottacloud.
struct Folder {
    /// What stands for all hosts of the service.
    own: Option<String>,
    /// Device and mount point.
    device: String,
    mount: String,
    /// The name that addresses have of the account; asked for with the first request.
    user: String,
    /// The folder was seen or made.
    is_there: bool,
    /// Bytes that the service has of the upload that was begun last.
    had: u64,
}

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let path = format!("{}/{}", url.host, url.path);
    let levels = path.split('/').filter(|level| !level.is_empty());
    let folder: String = levels.map(|level| format!("{level}/")).collect();
    let (device, mount) = options::place(given)?;
    let api = Box::new(Folder {
        own: checks::own_address(given, &options::ENDPOINT)?,
        device,
        mount,
        user: String::new(),
        is_there: false,
        had: 0,
    });
    if given.secret(&oauth::REFRESH_TOKEN).is_some() && given.text(&oauth::TOKEN_FILE).is_none() {
        let cause = "a refresh token of Jottacloud is good for one use";
        return Err(Error::usage(cause).hint("keep it in a file: --oauth-token-file"));
    }
    let login = oauth::login(given, &logins::JOTTACLOUD)?;
    let place = format!("{}/{}/{}", api.host("jfs"), api.device, api.mount);
    let mut base = Base::new(&SHAPE, given, login, (place, folder), url.display())?;
    base.account = oauth::account(given);
    Ok(Store { base, api })
}

/// What an entry is; `None` for what was deleted, and for a file of which nothing has arrived as a whole.
fn entry(row: &Row) -> Option<RemoteFile> {
    let is_whole = row.get("currentRevision/state") == Some("COMPLETED");
    let time = row.text("currentRevision/modified").replace("-T", "T");
    (is_whole && !row.has("@deleted")).then(|| RemoteFile {
        name: row.text("@name"),
        size: row.number("currentRevision/size"),
        modified: iso_time(&time),
        ..RemoteFile::default()
    })
}

impl Folder {
    fn host(&self, name: &str) -> String {
        let usual = || format!("https://{name}.jottacloud.com");
        self.own.clone().unwrap_or_else(usual)
    }

    /// Addresses are known from now on: they have the name of the account in them.
    fn ready(&mut self, base: &mut Base) -> Done<()> {
        if self.user.is_empty() {
            let url = format!("{}/{USER}", self.host("id"));
            let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
            let user = row.text("username");
            if user.is_empty() {
                let what = "the service does not tell the name of the account";
                return Err(Fault::new(Class::Protocol, what));
            }
            let [device, mount] = [&self.device, &self.mount].map(|name| encode(name));
            let jfs = self.host("jfs");
            base.address = format!("{jfs}/jfs/{}/{device}/{mount}", encode(&user));
            self.user = user;
        }
        Ok(())
    }

    /// The address of the folder.
    fn folder(&self, base: &Base) -> String {
        let all = format!("{}/{}", base.address, base.key(""));
        all.trim_end_matches('/').to_owned()
    }

    /// The content of a file may go there, and the token with it.
    fn takes(&self, url: &str) -> bool {
        let host = split(url).0;
        match &self.own {
            Some(own) => same_origin(own, url) || (is_near(split(own).0) && is_near(host)),
            None => url.starts_with("https://") && host.ends_with(".jottacloud.com"),
        }
    }
}

/// What is known of a file, from a reply about it alone; the name of the reply's root with it.
fn about(reply: &mut Reply) -> Done<Row> {
    rows::elements(reply, DIALECT.who, "-", &mut |_| Ok(()))
}

impl Api for Folder {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        self.ready(base)?;
        let mut reply = base.plain(Verb::List, "GET", self.folder(base))?;
        let tail = rows::elements(&mut reply, DIALECT.who, "files/file", &mut |row| {
            if !row.has("@name") {
                return Err(incomplete("an entry has no name"));
            }
            entry(row).map_or(Ok(()), |file| each(Listed::Entry(file)))
        })?;
        match tail.text("").as_str() {
            "folder" | "mountPoint" if tail.has("@deleted") => {
                let what = "the folder was deleted and is in the trash";
                let way = "bring it back in a browser, or name another folder";
                Err(Fault::new(Class::Unsupported, what).hint(way))
            }
            "folder" | "mountPoint" => {
                self.is_there = true;
                Ok(())
            }
            "file" => Err(Fault::new(Class::Unsupported, IS_FILE)),
            _ => Err(incomplete("the reply is no folder")),
        }
    }

    /// The service does not tell upper from lower case.
    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        self.ready(base)?;
        let mut reply = base.plain(Verb::Look, "GET", base.url(name, ""))?;
        let row = about(&mut reply)?;
        if !matches!(row.get(""), Some("file" | "folder")) {
            return Err(incomplete("the reply is about no file"));
        }
        let found = entry(&row).filter(|file| file.name == name);
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        self.ready(base)?;
        let url = base.url(of.0, SHAPE.content);
        base.service.download(("GET", &url), &[], of, into)
    }

    /// The service makes a missing folder unasked.
    fn prepare(&mut self, base: &mut Base, _: &str) -> Done<()> {
        match self.is_there {
            true => Ok(()),
            false => self.list(base, "", &mut |_| Ok(())),
        }
    }

    /// One that is there already with this content is looked at.
    fn is_stored(&mut self, _: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let md5 = hex(&file.digest);
        let kind = reply.header("content-type").unwrap_or_default();
        let is_xml = kind.contains("xml");
        let (row, start) = match is_xml {
            true => (about(reply)?, "currentRevision/"),
            false => (rows::row(reply, DIALECT.who)?, ""),
        };
        let field = |name: &str| format!("{start}{name}");
        let whole = !is_xml || (entry(&row).is_some() && !row.has("latestRevision/state"));
        let told = row.number(&field(if is_xml { "size" } else { "bytes" }));
        Ok(whole && row.text(&field("md5")).eq_ignore_ascii_case(&md5) && told == Some(file.len))
    }

    /// The address that the content goes to; empty when the service has all of it.
    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let path = format!(
            "/jfs/{}/{}/{}{}",
            self.device, self.mount, base.folder, file.name
        );
        let about = json!({ "bytes": file.len, "md5": hex(&file.digest), "path": path });
        let kind = vec![("content-type", "application/json".to_owned())];
        let url = format!("{}/files/v1/allocate", self.host("api"));
        let row = base.row(
            Verb::Put,
            &("POST", url, kind, about.to_string().into_bytes()),
        )?;
        let had = row.number("resume_pos").unwrap_or(0);
        self.had = if had < file.len { had } else { 0 };
        if row.get("state") == Some("COMPLETED") {
            self.had = file.len;
            return Ok(String::new());
        }
        let to = row.text("upload_url");
        if to.is_empty() {
            return Err(Fault::new(Class::Protocol, NOWHERE));
        }
        match self.takes(&to) {
            true => Ok(to),
            false => Err(foreign(&to)),
        }
    }

    fn had(&self) -> u64 {
        self.had
    }

    fn piece(&self, base: &Base, to: &str, file: &File<'_>, part: &Part) -> Sent {
        if to.is_empty() {
            return sent("GET", base.url(file.name, ""), Vec::new());
        }
        let kind = ("content-type", "application/octet-stream".to_owned());
        let last = || part.from + part.len - 1;
        let range = (part.len > 0).then(|| ("range", format!("bytes={}-{}", part.from, last())));
        sent(
            "POST",
            to.to_owned(),
            range.into_iter().chain([kind]).collect(),
        )
    }

    /// For good: not into the trash, which counts.
    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        self.ready(base)?;
        let url = base.url(name, "rm=true");
        base.plain(Verb::Delete, "POST", url)?.finish()
    }

    /// Folders above it are made, too; a device is not.
    fn make(&mut self, base: &mut Base) -> Done<()> {
        self.ready(base)?;
        if !self.device.eq_ignore_ascii_case(options::JOTTA) {
            let to = base.address.rsplit_once('/');
            let device = to.map(|to| to.0).unwrap_or_default().to_owned();
            match base.plain(Verb::Look, "GET", device.clone()) {
                Ok(mut reply) => reply.finish()?,
                Err(fault) if fault.class == Class::NotFound => {
                    let url = format!("{device}?type=WORKSTATION");
                    base.plain(Verb::MakeFolder, "POST", url)?.finish()?;
                }
                Err(fault) => return Err(fault),
            }
        }
        let url = format!("{}?mkDir=true", self.folder(base));
        base.plain(Verb::MakeFolder, "POST", url)?.finish()?;
        self.is_there = true;
        Ok(())
    }

    /// An account without a limit has a negative one.
    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let url = format!("{}/account/v1/customer", self.host("api"));
        let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
        let total = row.number("quota");
        let pair = total.zip(row.number("usage"));
        let free = pair.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}
