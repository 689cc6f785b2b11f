//! Drive's files by their ids, and ids by names: searches, folders, what is removed.

use serde_json::json;

use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::dest::RemoteFile;
use crate::dest::objects::ids::Ids;
use crate::dest::objects::{Base, Sent, sent};
use crate::net::http::iso_time;
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, EachRow, Row};
use crate::net::service::{Dialect, Form, Pages, Verb, rules, words};
use crate::net::url::encode;

pub(super) const FOLDER: &str = "application/vnd.google-apps.folder";
const FIELDS: &str = "kind%2CincompleteSearch%2CnextPageToken%2Cfiles%28id%2Cname%2Csize%2CcreatedTime%2CmodifiedTime%29";
/// Files of one name of which more is wanted than that they are there.
const SAME_MAX: usize = 100;

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("reason", "message"),
    who: "Google Drive",
    rules: rules! {
        403 "rateLimitExceeded userRateLimitExceeded dailyLimitExceeded sharingRateLimitExceeded" => Class::Throttled(None);
        403 "storageQuotaExceeded" => Class::Full;
        403 "teamDriveFileLimitExceeded numChildrenInNonRootLimitExceeded activeItemCreationLimitExceeded" => Class::Full, "there are as many files as there may be", "use another folder or drive";
        403 "cannotDownloadAbusiveFile" => Class::Locked, "the service takes the file for malware or spam", "only the owner of the file can read it";
        403 "appNotAuthorizedToFile" => Class::Auth, "another program has made the file", "use a log-in of the program that made it, or one for all files";
        403 "insufficientPermissions" => Class::Auth, "the log-in lacks a right", "log in again with the scope drive.file, or drive for files of other programs";
        403 "accessNotConfigured" => Class::Auth, "the own client may not use Drive", "enable the Google Drive API for its project";
        403 "insufficientFilePermissions" [Delete] => Class::Locked, "the account may not delete files there";
        403 "domainPolicy" => Class::Auth, "the administrator of the domain does not allow it";
        403 "parentNotAFolder" => Class::Unsupported, "the folder of the URL is a file";
        404 "" "shared drive" => Class::FolderMissing, "=the shared drive of --googledrive-teamdrive-id does not exist for this account";
        404 "" [Resume] => Class::NotFound;
        410 "" [Resume] => Class::NotFound;
        409 "" [Put Resume MakeFolder] => Class::Exists;
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist", "or another program has made it, whose files this log-in does not show, or the shared drive is not this account's: 'duplet help googledrive'";
        Class::Exists => "a file of this name is there";
        Class::Auth => "access denied", "check the log-in: an AuthID that is not accepted is made anew on the page of the token service";
        Class::Full => "the account has no space left", "what is in the trash counts: empty it, delete versions, or get more space";
    },
};

/// A file or folder that has a name.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) created: String,
    pub(super) file: RemoteFile,
}

/// A folder in a drive.
#[derive(Default)]
pub(super) struct Client {
    pub(super) api: String,
    /// Id of a shared drive; empty: the own one.
    pub(super) team: String,
    /// Names of the folders on the way there, and its id once it was found.
    pub(super) levels: Vec<String>,
    pub(super) id: Option<String>,
    pub(super) ids: Ids,
    /// What the service was last asked for by name, and has.
    pub(super) looked: Option<(String, Vec<Found>)>,
    /// What is being made and with which id, and ids for more.
    pub(super) making: (String, String),
    pub(super) spare: Vec<String>,
    /// It was told that files only go to the trash.
    pub(super) told: bool,
}

/// A text in a search.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

pub(super) fn found(row: &Row) -> Done<Found> {
    let text = |field| row.get(field).filter(|text| !text.is_empty());
    let (id, name) = text("id")
        .zip(text("name"))
        .ok_or_else(|| incomplete("an entry has no id or no name"))?;
    Ok(Found {
        id: id.to_owned(),
        created: row.text("createdTime"),
        file: RemoteFile {
            name: name.to_owned(),
            size: row.number("size"),
            modified: row.get("modifiedTime").and_then(iso_time),
            ..RemoteFile::default()
        },
    })
}

impl Client {
    /// The address of files, or of what else comes behind, with a query to which the shared drive is added.
    pub(super) fn url(&self, behind: &str, query: &str) -> String {
        let all = match self.team.is_empty() {
            true => "",
            false => "&supportsAllDrives=true",
        };
        format!("{}/{behind}?{query}{all}", self.api)
    }

    /// All that fit a search, the newest first, from all pages.
    pub(super) fn search(
        &self,
        base: &mut Base,
        verb: Verb,
        what: &str,
        each: &mut EachRow<'_>,
    ) -> Done<()> {
        let (mut pages, mut next) = (Pages::new(1000), String::new());
        let order = "orderBy=createdTime%20desc&pageSize=1000";
        let mut query = format!("q={}&{order}&fields={FIELDS}", encode(what));
        if !self.team.is_empty() {
            let drive = encode(&self.team);
            query += &format!("&includeItemsFromAllDrives=true&corpora=drive&driveId={drive}");
        }
        loop {
            let mut url = self.url("drive/v3/files", &query);
            if !next.is_empty() {
                url += &format!("&pageToken={}", encode(&next));
            }
            let (mut reply, mut entries) = (base.plain(verb, "GET", url)?, 0);
            let tail = rows::rows(
                &mut reply,
                DIALECT.who,
                LIST_MAX_BYTES,
                "files",
                &mut |row| {
                    entries += 1;
                    each(row)
                },
            )?;
            let whole = tail.get("kind") == Some("drive#fileList") && tail.is_nested("files");
            if !whole || tail.flag("incompleteSearch") {
                return Err(incomplete("the reply has no files or not all"));
            }
            next = tail.text("nextPageToken");
            if next.is_empty() {
                return Ok(());
            }
            pages.page(&next, entries)?;
        }
    }

    /// Files, or folders, of exactly this name, the newest first.
    pub(super) fn named(
        &self,
        base: &mut Base,
        verb: Verb,
        place: (&str, &str),
        is: &str,
    ) -> Done<Vec<Found>> {
        let (parent, name) = (quoted(place.0), quoted(place.1));
        let what = format!(
            "name = {name} and {parent} in parents and trashed = false and mimeType {is} '{FOLDER}'"
        );
        let mut all = Vec::new();
        self.search(base, verb, &what, &mut |row| {
            let one = found(row)?;
            // The search does not tell upper from lower case.
            if one.file.name == place.1 && all.len() < SAME_MAX {
                all.push(one);
            }
            Ok(())
        })?;
        all.sort_by(|a: &Found, b| b.created.cmp(&a.created));
        Ok(all)
    }

    /// The folder of this name in another, if there is one.
    pub(super) fn step(
        &self,
        base: &mut Base,
        verb: Verb,
        parent: &str,
        name: &str,
    ) -> Done<Option<String>> {
        let mut all = self.named(base, verb, (parent, name), "=")?;
        if all.len() > 1 {
            let shown = text::safe_cut(name.as_bytes(), 60);
            let what = format!("{} folders are called '{shown}' side by side", all.len());
            return Err(Fault::new(Class::Unsupported, what).hint("rename all but one of them"));
        }
        Ok(all.pop().map(|one| one.id))
    }

    /// Where the way to the folder begins.
    pub(super) fn root(&self, base: &mut Base) -> Done<String> {
        if !self.team.is_empty() {
            return Ok(self.team.clone());
        }
        // Some log-ins do not take its other name in a search.
        let request = sent(
            "GET",
            self.url("drive/v3/files/root", "fields=id"),
            Vec::new(),
        );
        let id = base.row(Verb::Look, &request);
        let id = id
            .map(|row| row.text("id"))
            .or_else(|fault| match fault.class {
                Class::NotFound => Ok("root".to_owned()),
                _ => Err(fault),
            })?;
        Ok(id)
    }

    /// The id of the folder.
    pub(super) fn parent(&mut self, base: &mut Base, verb: Verb) -> Done<String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let mut at = self.root(base)?;
        for level in &self.levels {
            let missing = || {
                let words = &DIALECT.words[0];
                Fault::new(Class::FolderMissing, &words.text[1..]).hint(words.hint)
            };
            let next = self.step(base, verb, &at, level)?;
            at = next.ok_or_else(missing)?;
        }
        self.id = Some(at.clone());
        Ok(at)
    }

    /// The files of a name, as the service has them now.
    pub(super) fn files(&mut self, base: &mut Base, verb: Verb, name: &str) -> Done<Vec<Found>> {
        let parent = self.parent(base, verb)?;
        let all = self.named(base, verb, (&parent, name), "!=")?;
        self.ids.forget(name);
        for one in &all {
            self.ids.add(name, &one.id);
        }
        Ok(all)
    }

    /// An id for what is to be made; of the same thing the same one until it is there.
    pub(super) fn new_id(&mut self, base: &mut Base, what: String) -> Done<String> {
        if self.making.0 == what {
            return Ok(self.making.1.clone());
        }
        if self.spare.is_empty() {
            let url = self.url("drive/v3/files/generateIds", "count=20&fields=ids");
            let url = url.replace("&supportsAllDrives=true", "");
            let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
            self.spare = row.texts("ids/[]").take(20).map(str::to_owned).collect();
        }
        let none = || Fault::new(Class::Protocol, "the server gives no ids for files");
        let id = self.spare.pop().ok_or_else(none)?;
        self.making = (what, id.clone());
        Ok(id)
    }

    /// A request about a file with JSON for its body.
    pub(super) fn tell(
        &self,
        method: &'static str,
        behind: &str,
        about: &serde_json::Value,
    ) -> Sent {
        let kind = vec![("content-type", "application/json; charset=UTF-8".to_owned())];
        let body = about.to_string().into_bytes();
        (method, self.url(behind, "fields=id"), kind, body)
    }

    /// Removes a file, into the trash where the account may do no more.
    pub(super) fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let path = format!("drive/v3/files/{}", encode(id));
        let url = self.url(&path, "fields=id");
        match base.plain(Verb::Delete, "DELETE", url) {
            Err(fault) if fault.class == Class::Locked => {
                let trash = self.tell("PATCH", &path, &json!({ "trashed": true }));
                let done = base.row(Verb::Delete, &trash);
                done.map_err(|_| fault)?;
                if !std::mem::replace(&mut self.told, true) {
                    base.notices.push("the account may not delete files there, they only go to the trash, which is emptied after 30 days".to_owned());
                }
                Ok(())
            }
            done => done?.finish(),
        }
    }
}
