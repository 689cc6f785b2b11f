//! Box's files and folders by their ids, and ids by names.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::base::fault::{Class, Done, Fault};
use crate::dest::RemoteFile;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Base, Sent, sent};
use crate::net::http::iso_time;
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, EachRow, Row};
use crate::net::service::{Content, Dialect, Form, Pages, Verb, rules, words};
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

/// What has a name in a folder.
pub(super) struct Found {
    pub(super) id: String,
    /// Digest of a file, in hexadecimal digits.
    pub(super) sha1: String,
}

/// A folder of an account.
#[derive(Default)]
pub(super) struct Client {
    /// Addresses for questions and for what files hold.
    pub(super) api: String,
    pub(super) upload: String,
    /// Names of the folders on the way there, and its id once it was found.
    pub(super) levels: Vec<String>,
    pub(super) id: Option<String>,
    pub(super) ids: Ids,
    /// Deleted files go from the trash, too.
    pub(super) purges: bool,
    /// The file that the next upload replaces.
    pub(super) old: Option<Found>,
    /// Name and digest of the file whose upload in parts was begun last and has not come to its end.
    pub(super) begun: Option<(String, Vec<u8>)>,
    /// What the end of that upload has to list, and where its part ends that was sent last.
    pub(super) parts: Vec<Value>,
    pub(super) sent: Cell<u64>,
}

fn missing() -> Fault {
    Fault::new(Class::FolderMissing, "the folder does not exist")
}

/// What an entry is; `None` for what is no file and no folder.
pub(super) fn entry(row: &Row) -> Option<RemoteFile> {
    let kind = row.get("type")?;
    matches!(kind, "file" | "folder").then(|| RemoteFile {
        name: row.text("name"),
        size: row.number("size"),
        modified: row.get("modified_at").and_then(iso_time),
        is_folder: kind == "folder",
        is_archived: false,
    })
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

    /// The entries of a folder, from all its pages; false from `each` ends it.
    pub(super) fn entries(
        &self,
        base: &mut Base,
        verb: Verb,
        (folder, fields): (&str, &str),
        each: &mut dyn FnMut(&Row) -> Done<bool>,
    ) -> Done<()> {
        let (mut pages, mut mark, mut goes_on) = (Pages::new(base.page), String::new(), true);
        while goes_on {
            let limit = base.page;
            let mut url = format!(
                "{}/folders/{}/items{fields}&limit={limit}&usemarker=true",
                self.api,
                encode(folder)
            );
            if !mark.is_empty() {
                url += &format!("&marker={}", encode(&mark));
            }
            let (mut reply, mut entries) = (base.plain(verb, "GET", url)?, 0);
            let each: &mut EachRow<'_> = &mut |row| {
                entries += 1;
                if row.get("id").is_none_or(str::is_empty) {
                    return Err(incomplete("an entry has no id"));
                }
                goes_on = goes_on && each(row)?;
                Ok(())
            };
            let tail = rows::rows(&mut reply, DIALECT.who, LIST_MAX_BYTES, "entries", each)?;
            if !tail.is_nested("entries") {
                return Err(incomplete("the reply has no entries"));
            }
            mark = tail.text("next_marker");
            if mark.is_empty() {
                return Ok(());
            }
            pages.page(&mark, entries)?;
        }
        Ok(())
    }

    /// The id of a folder in another, if it is there. The service does not tell upper from lower case.
    pub(super) fn step(
        &self,
        base: &mut Base,
        verb: Verb,
        parent: &str,
        name: &str,
    ) -> Done<Option<String>> {
        let (lower, mut found) = (name.to_lowercase(), None);
        self.entries(base, verb, (parent, FOLDER), &mut |row| {
            if row.text("name").to_lowercase() != lower {
                return Ok(true);
            }
            if row.get("type") != Some("folder") {
                let what = "a folder of the URL is a file";
                return Err(Fault::new(Class::Unsupported, what));
            }
            found = Some(row.text("id"));
            Ok(false)
        })?;
        Ok(found)
    }

    /// The id of the folder.
    pub(super) fn parent(&mut self, base: &mut Base, verb: Verb) -> Done<String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        // A folder is looked for, whatever it is for.
        let verb = if verb.is_of_file() { Verb::List } else { verb };
        let mut at = "0".to_owned();
        for level in &self.levels {
            at = self.step(base, verb, &at, level)?.ok_or_else(missing)?;
        }
        self.id = Some(at.clone());
        Ok(at)
    }

    /// What has this name, by the question whether a file of it could be stored.
    pub(super) fn find(&mut self, base: &mut Base, verb: Verb, name: &str) -> Done<Option<Found>> {
        let parent = self.parent(base, verb)?;
        let about = json!({ "name": name, "parent": { "id": parent } });
        let ask = Client::tell("OPTIONS", format!("{}/files/content", self.api), &about);
        let told = match base.ask(verb, &ask, Content::Bytes(&ask.3))? {
            Ok(mut reply) => {
                let row = rows::row(&mut reply, DIALECT.who)?;
                if !row.has("upload_url") {
                    let what = "the reply does not say whether the file can be stored";
                    return Err(Fault::new(Class::Protocol, what));
                }
                self.ids.forget(name);
                return Ok(None);
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
        if !other.is_empty() {
            return match verb.is_of_file() {
                true => Ok(None),
                false => Err(Fault::new(Class::Unsupported, other)),
            };
        }
        let id = told.field("conflicts/id").to_owned();
        if id.is_empty() {
            let what = "the server does not say which file has the name";
            return Err(Fault::new(Class::Protocol, what));
        }
        self.ids.forget(name);
        self.ids.add(name, &id);
        let sha1 = told.field("conflicts/sha1").to_owned();
        Ok(Some(Found { id, sha1 }))
    }

    /// Into the trash, or for good.
    pub(super) fn remove(&self, base: &mut Base, id: &str) -> Done<()> {
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
