//! What pCloud is told of files and folders by their ids. Every reply has the status of a success; a number in it tells whether it
//! is one.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::objects::by_id::{EachFound, Folder, Found, Search, Tree};
use crate::dest::objects::{Base, sent};
use crate::dest::{GetFacts, RemoteFile, Sink, Span};
use crate::net::http::parse_date;
use crate::net::json::LIST_MAX_BYTES;
use crate::net::redirect::Chain;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::encode;

/// Fields of every reply: the number, and what is said of it.
pub(super) const TOLD: (&str, &str) = ("result", "error");

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json(TOLD.0, TOLD.1),
    who: "pCloud",
    rules: rules! {
        0 "1000 2000 2094" => Class::Auth, "the access token is not accepted", "eapi.pcloud.com is for accounts in the EU, api.pcloud.com for all others; 'duplet remote login pcloud' makes a new token";
        0 "2003" => Class::Auth, "the access token lacks a right";
        0 "2001" => Class::Unsupported, "the service does not take the name";
        0 "2002 2005" => Class::FolderMissing;
        0 "2004" [MakeFolder] => Class::Unsupported, "a folder of the URL is a file";
        0 "2004" [Put] => Class::Unsupported, "a folder has the name of the file";
        0 "2008" => Class::Full;
        0 "2009 2010" => Class::NotFound;
        0 "2041" => Class::Transient, "the file has not arrived as a whole";
        0 "4000" => Class::Throttled(None);
        0 "5*" => Class::Transient;
        410 "" [Get] => Class::Auth, "the address of the file is over";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check the log-in: 'duplet remote login pcloud' makes a new one";
        Class::Full => "the account has no space left", "what is in the trash counts, and old versions do: empty it, or get more space";
    },
};

/// A folder of an account.
#[derive(Default)]
pub(super) struct Client {
    pub(super) api: String,
    pub(super) folder: Folder,
    /// The file that was read last, by its id, and where what it holds is. Such an address lives for some hours.
    pub(super) link: Option<(String, String)>,
}

/// What an entry is; `None` for one that was deleted. The fields are below this path.
pub(super) fn entry(row: &Row, at: &str) -> Done<Option<Found>> {
    let path = |field: &str| format!("{at}{field}");
    let is_folder = row.flag(&path("isfolder"));
    let field = if is_folder { "folderid" } else { "fileid" };
    let id = row.number(&path(field));
    let name = row.get(&path("name")).filter(|name| !name.is_empty());
    let (id, name) = id
        .zip(name)
        .ok_or_else(|| incomplete("an entry has no id or no name"))?;
    let file = RemoteFile {
        name: name.to_owned(),
        size: row.number(&path("size")),
        modified: row.get(&path("modified")).and_then(parse_date),
        is_folder,
        is_archived: false,
    };
    Ok((!row.flag(&path("isdeleted"))).then(|| Found {
        id: id.to_string(),
        created: String::new(),
        file,
    }))
}

impl Client {
    /// The fields of the small object that answers a question; `what`: method and query.
    pub(super) fn ask(&self, base: &mut Base, verb: Verb, what: &str) -> Done<Row> {
        let url = format!("{}/{what}", self.api);
        let row = base.row(verb, &sent("GET", url, Vec::new()))?;
        base.service.told(row, TOLD, verb)
    }

    /// Where what a file holds is, for some hours, and for who asks from here.
    fn link_to(&self, base: &mut Base, id: &str) -> Done<String> {
        let what = format!("getfilelink?fileid={id}&skipfilename=1");
        let row = self.ask(base, Verb::Get, &what)?;
        let (host, path) = (row.texts("hosts/[]").next(), row.text("path"));
        match host.filter(|_| path.starts_with('/')) {
            Some(host) => Chain::default().follow(&self.api, &format!("//{host}{path}")),
            None => {
                let what = "the server does not say where the file is";
                Err(Fault::new(Class::Protocol, what))
            }
        }
    }
}

impl Tree for Client {
    fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    fn root(&self, _: &mut Base) -> Done<String> {
        Ok("0".to_owned())
    }

    /// The whole of a folder is one reply.
    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        let files = if search.is_folder { "&nofiles=1" } else { "" };
        let url = format!("{}/listfolder?folderid={}{files}", self.api, search.parent);
        let (mut reply, mut goes_on) = (base.plain(Verb::List, "GET", url)?, true);
        let array = "metadata/contents";
        let each: &mut rows::EachRow<'_> = &mut |row| {
            let Some(one) = entry(row, "")?.filter(|_| goes_on) else {
                return Ok(());
            };
            let is_meant = |name| one.file.name == name && one.file.is_folder == search.is_folder;
            if search.name.is_none_or(is_meant) {
                goes_on = each(one)?;
            }
            Ok(())
        };
        let tail = rows::rows(&mut reply, DIALECT.who, LIST_MAX_BYTES, array, each)?;
        match tail.has(TOLD.0) && base.service.told(tail, TOLD, search.verb)?.is_nested(array) {
            true => Ok(()),
            false => Err(incomplete("the reply has no result or no files")),
        }
    }

    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String> {
        let name = encode(name);
        let what = format!("createfolderifnotexists?folderid={parent}&name={name}");
        let row = self.ask(base, Verb::MakeFolder, &what)?;
        let none = || Fault::new(Class::Protocol, "the server does not show the folder");
        let id = row.number("metadata/folderid").ok_or_else(none)?;
        Ok(id.to_string())
    }

    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        // What a server of contents says to an address that is over, or is not for us.
        let is_over = |fault: &Fault| fault.class == Class::Auth;
        let mut kept = self.link.take().filter(|(of, _)| of == id);
        loop {
            let was_kept = kept.is_some();
            let (id, url) = match kept.take() {
                Some(kept) => kept,
                None => (id.to_owned(), self.link_to(base, id)?),
            };
            match base.service.download_given(&url, of, &mut *into) {
                Err(fault) if was_kept && (is_over(&fault) || fault.class == Class::NotFound) => {}
                Err(fault) if is_over(&fault) => {
                    let what = "the server does not take the address that it gave for the file";
                    return Err(Fault::new(Class::Transient, what).hint("it is good for the network address that asked: does that of this machine change?"));
                }
                done => {
                    self.link = done.is_ok().then_some((id, url));
                    return done;
                }
            }
        }
    }

    /// Into the trash.
    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let what = format!("deletefile?fileid={id}");
        self.ask(base, Verb::Delete, &what).map(drop)
    }
}
