//! Box's files and folders by their ids, and ids by names.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::base::fault::{Class, Done, Fault};
use crate::dest::boxcom::SHAPE;
use crate::dest::objects::by_id::{self, EachFound, Folder, Found, Search, Tree};
use crate::dest::objects::id_pages;
use crate::dest::objects::{Base, Sent, sent};
use crate::dest::{GetFacts, Sink, Span};
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Content, Dialect, Form, Verb, rules, words};
use crate::net::url::encode;

/// What is asked of files, and of what may be a folder on the way to them.
pub(super) const FILE: &str = "?fields=name,size,type,modified_at";
const FOLDER: &str = "?fields=name,type";

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "message"),
    who: "Box",
    rules: rules! {
        0 "storage_limit_exceeded" => Class::Full;
        403 "file_size_limit_exceeded" => Class::TooBig;
        403 "insufficient_scope" => Class::Auth, "the log-in lacks a right", "the app needs the right to read and write all files";
        403 "forbidden_by_policy access_denied_item_locked" => Class::Locked, "the service has locked the file";
        409 "name_temporarily_reserved operation_blocked_temporary" => Class::Throttled(None);
        409 "item_name_in_use" [Look Put Resume MakeFolder] => Class::Exists;
        400 "bad_digest digest_mismatch" => Class::Integrity, "the file arrived damaged at the server";
        400 "item_name_invalid item_name_too_long" => Class::Unsupported, "the service does not take the name", "see the folder in the URL: no part of it has a backslash, a space at an end or more than 255 characters";
        400 "parts_mismatch" [Resume] => Class::Throttled(None), "the service has not put the parts together yet";
        400 "" "subject" => Class::Auth, "the client may not work for this account", "check --box-user-id or --box-enterprise-id, and that an administrator has authorised the app";
        404 "" [Resume] => Class::NotFound;
        410 "" [Resume] => Class::NotFound;
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Exists => "a file of this name is there";
        Class::Auth => "access denied", "check the log-in: an AuthID that is not accepted is made anew on the page of the token service";
        Class::Full => "the account has no space left", "what is in the trash counts: empty it, delete versions, or get more space";
    },
};

/// The file of a name.
pub(super) struct Old {
    pub(super) id: String,
    /// Its digest, in hexadecimal digits.
    pub(super) sha1: String,
}

/// A folder of an account.
#[derive(Default)]
pub(super) struct Client {
    /// Addresses for questions and for what files hold.
    pub(super) api: String,
    pub(super) upload: String,
    pub(super) folder: Folder,
    /// Deleted files go from the trash, too.
    pub(super) purges: bool,
    /// The file that the next upload replaces.
    pub(super) old: Option<Old>,
    /// Name and digest of the file whose upload in parts was begun last and has not come to its end.
    pub(super) begun: Option<(String, Vec<u8>)>,
    /// What the end of that upload has to list, and where its part ends that was sent last.
    pub(super) parts: Vec<Value>,
    pub(super) sent: Cell<u64>,
}

/// What an entry is; `None` for what is no file and no folder.
pub(super) fn entry(row: &Row) -> Done<Option<Found>> {
    let mut one = id_pages::found(&SHAPE.listing, row)?;
    let kind = row.get("type").unwrap_or_default();
    one.file.is_folder = kind == "folder";
    Ok(matches!(kind, "file" | "folder").then_some(one))
}

/// A page has entries, or is none.
fn whole(tail: &Row) -> Done<()> {
    match tail.is_nested("entries") {
        true => Ok(()),
        false => Err(incomplete("the reply has no entries")),
    }
}

impl Client {
    /// A request with JSON for its body.
    pub(super) fn tell(method: &'static str, url: String, about: &Value) -> Sent {
        let kind = vec![("content-type", "application/json".to_owned())];
        (method, url, kind, about.to_string().into_bytes())
    }

    /// The address of a file, with what comes behind it.
    pub(super) fn file(&self, id: &str, behind: &str) -> String {
        format!("{}/files/{}{behind}", self.api, encode(id))
    }

    /// What has this name in a folder, by the question whether a file of it could be stored.
    pub(super) fn find(
        &self,
        base: &mut Base,
        verb: Verb,
        (parent, name): (&str, &str),
    ) -> Done<Option<Old>> {
        let about = json!({ "name": name, "parent": { "id": parent } });
        let ask = Client::tell("OPTIONS", format!("{}/files/content", self.api), &about);
        let told = match base.ask(verb, &ask, Content::Bytes(&ask.3))? {
            Ok(mut reply) => {
                let row = rows::row(&mut reply, DIALECT.who)?;
                let what = "the reply does not say whether the file can be stored";
                return match row.has("upload_url") {
                    true => Ok(None),
                    false => Err(Fault::new(Class::Protocol, what)),
                };
            }
            Err(told) => told,
        };
        if !told.is("item_name_in_use") {
            return Err(base.service.fault(&told, verb));
        }
        let has = |field, want: &str| [want, ""].contains(&told.field(field));
        let other = match (has("conflicts/type", "file"), has("conflicts/name", name)) {
            (true, true) => "",
            (false, _) => "a folder has the name of the file",
            (_, false) => "a file has the same name but for upper and lower case",
        };
        let field = |name| told.field(name).to_owned();
        let (id, sha1) = (field("conflicts/id"), field("conflicts/sha1"));
        match (other, id.is_empty()) {
            ("", false) => Ok(Some(Old { id, sha1 })),
            ("", true) => {
                let what = "the server does not say which file has the name";
                Err(Fault::new(Class::Protocol, what))
            }
            _ if verb.is_of_file() => Ok(None),
            _ => Err(Fault::new(Class::Unsupported, other)),
        }
    }

    /// The file of this name in the folder, before an upload.
    pub(super) fn find_old(&mut self, base: &mut Base, name: &str) -> Done<Option<Old>> {
        let parent = by_id::parent(self, base, Verb::Put)?;
        let found = self.find(base, Verb::Put, (&parent, name));
        self.folder.noting(found)
    }

    /// What an upload has of a file, for its end.
    pub(super) fn arrived(&mut self, base: &mut Base, id: &str, len: u64) -> Done<()> {
        let (mut parts, mut sum) = (Vec::new(), 0);
        let most = base.pieces.map_or(0, |(size, _)| len.div_ceil(size.max(1)));
        loop {
            let from = parts.len();
            let url = format!(
                "{}/files/upload_sessions/{}/parts?limit=1000&offset={from}",
                self.upload,
                encode(id)
            );
            let mut reply = base.call(Verb::Resume, &sent("GET", url, Vec::new()))?;
            rows::rows(
                &mut reply,
                DIALECT.who,
                LIST_MAX_BYTES,
                "entries",
                &mut |row| {
                    let (at, size) = (row.number("offset"), row.number("size"));
                    let (at, size) = at
                        .zip(size)
                        .ok_or_else(|| incomplete("a part has no place"))?;
                    parts.push((
                        at,
                        json!({ "part_id": row.text("part_id"), "offset": at, "size": size }),
                    ));
                    sum += size;
                    match parts.len() as u64 > most {
                        true => Err(Fault::new(
                            Class::Protocol,
                            "the server has parts that were not sent",
                        )),
                        false => Ok(()),
                    }
                },
            )?;
            if sum >= len {
                break;
            }
            if parts.len() == from {
                let what = "the server does not show all parts yet";
                return Err(Fault::new(Class::Throttled(None), what));
            }
        }
        parts.sort_by_key(|(at, _)| *at);
        self.parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(())
    }
}

impl Tree for Client {
    fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    fn root(&self, _: &mut Base) -> Done<String> {
        Ok("0".to_owned())
    }

    /// Of a file only its id is told. The service does not tell upper from lower case.
    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        let (verb, lower) = (search.verb, search.name.map(str::to_lowercase));
        if let Some(name) = search.name.filter(|_| !search.is_folder) {
            let found = self.find(base, verb, (search.parent, name))?;
            return found.map_or(Ok(()), |old| {
                let (name, id) = (name.to_owned(), old.id);
                each(Found::of(id, name)).map(drop)
            });
        }
        // A folder is looked for, whatever it is for.
        let verb = if verb.is_of_file() { Verb::List } else { verb };
        let fields = if search.is_folder { FOLDER } else { FILE };
        let parent = encode(search.parent);
        let (api, limit) = (&self.api, base.page);
        let url = format!("{api}/folders/{parent}/items{fields}&limit={limit}&usemarker=true");
        id_pages::all_pages(base, verb, &url, whole, &mut |row| {
            let Some(one) = entry(row)? else {
                return Ok(true);
            };
            match &lower {
                Some(lower) if one.file.name.to_lowercase() != *lower => Ok(true),
                Some(_) if !one.file.is_folder => {
                    let what = "a folder of the URL is a file";
                    Err(Fault::new(Class::Unsupported, what))
                }
                Some(_) => each(one).map(|_| false),
                None => each(one),
            }
        })
    }

    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String> {
        let about = json!({ "name": name, "parent": { "id": parent } });
        let request = Client::tell("POST", format!("{}/folders", self.api), &about);
        let mut id = String::new();
        match base.row(Verb::MakeFolder, &request) {
            // By another, or by an earlier attempt.
            Err(fault) if fault.class == Class::Exists => {
                let search = Search {
                    verb: Verb::MakeFolder,
                    parent,
                    name: Some(name),
                    is_folder: true,
                };
                self.search(base, &search, &mut |one| {
                    id = one.id;
                    Ok(false)
                })?;
            }
            made => id = made?.text("id"),
        }
        let none = || Fault::new(Class::Protocol, "the server does not show the folder");
        Some(id).filter(|id| !id.is_empty()).ok_or_else(none)
    }

    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let url = self.file(id, "/content");
        base.service.download(("GET", &url), &[], of, into)
    }

    /// Into the trash, or for good.
    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let gone = base.plain(Verb::Delete, "DELETE", self.file(id, ""));
        let gone = gone.and_then(|mut reply| reply.finish());
        match gone {
            // By an attempt whose answer was lost.
            Err(fault) if fault.class == Class::NotFound && self.purges => {}
            Err(fault) => return Err(fault),
            Ok(()) if !self.purges => return Ok(()),
            Ok(()) => {}
        }
        base.plain(Verb::Delete, "DELETE", self.file(id, "/trash"))?
            .finish()
    }
}
