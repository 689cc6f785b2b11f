//! What Drive is told of files and folders by their ids: addresses, searches, ids for new ones, what is removed.

use serde_json::json;

use crate::base::fault::{Class, Done, Fault};
use crate::dest::googledrive::SHAPE;
use crate::dest::objects::by_id::{EachFound, Folder, Search, Tree};
use crate::dest::objects::id_pages;
use crate::dest::objects::{Base, sent, sent_json};
use crate::dest::{GetFacts, Sink, Span};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::Row;
use crate::net::service::{Dialect, Form, Verb, rules, words};
use crate::net::url::encode;

const FOLDER: &str = "application/vnd.google-apps.folder";
const FIELDS: &str = "kind%2CincompleteSearch%2CnextPageToken%2Cfiles%28id%2Cname%2Csize%2CcreatedTime%2CmodifiedTime%29";

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

/// A folder in a drive.
#[derive(Default)]
pub(super) struct Client {
    pub(super) api: String,
    /// Id of a shared drive; empty: the own one.
    pub(super) team: String,
    pub(super) folder: Folder,
    /// What is being made and with which id, and ids for more.
    pub(super) making: (String, String),
    pub(super) spare: Vec<String>,
    /// It was told that files only go to the trash.
    pub(super) told: bool,
}

/// A text in a search.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
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

    /// An id for what is to be made; of the same thing the same one until it is there.
    pub(super) fn new_id(&mut self, base: &mut Base, what: String) -> Done<String> {
        if self.making.0 == what {
            return Ok(self.making.1.clone());
        }
        if self.spare.is_empty() {
            let ask = "drive/v3/files/generateIds?count=20&fields=ids";
            let url = format!("{}/{ask}", self.api);
            let row = base.row(Verb::Login, &sent("GET", url, Vec::new()))?;
            self.spare = row.texts("ids/[]").take(20).map(str::to_owned).collect();
        }
        let none = || Fault::new(Class::Protocol, "the server gives no ids for files");
        let id = self.spare.pop().ok_or_else(none)?;
        self.making = (what, id.clone());
        Ok(id)
    }
}

/// All files of the reply, or not all.
fn whole(tail: &Row) -> Done<()> {
    let has_files = tail.get("kind") == Some("drive#fileList") && tail.is_nested("files");
    match has_files && !tail.flag("incompleteSearch") {
        true => Ok(()),
        false => Err(incomplete("the reply has no files or not all")),
    }
}

impl Tree for Client {
    fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    fn root(&self, base: &mut Base) -> Done<String> {
        if !self.team.is_empty() {
            return Ok(self.team.clone());
        }
        // Some log-ins do not take its other name in a search.
        let url = self.url("drive/v3/files/root", "fields=id");
        match base.row(Verb::Look, &sent("GET", url, Vec::new())) {
            Err(fault) if fault.class == Class::NotFound => Ok("root".to_owned()),
            row => Ok(row?.text("id")),
        }
    }

    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        let parent = quoted(search.parent);
        let is = if search.is_folder { "=" } else { "!=" };
        let mut what =
            format!("{parent} in parents and trashed = false and mimeType {is} '{FOLDER}'");
        if let Some(name) = search.name {
            what = format!("name = {} and {what}", quoted(name));
        }
        let order = "orderBy=createdTime%20desc&pageSize=1000";
        let mut query = format!("q={}&{order}&fields={FIELDS}", encode(&what));
        if !self.team.is_empty() {
            let drive = encode(&self.team);
            query += &format!("&includeItemsFromAllDrives=true&corpora=drive&driveId={drive}");
        }
        let url = self.url("drive/v3/files", &query);
        id_pages::all_pages(base, search.verb, &url, whole, &mut |row| {
            let one = id_pages::found(&SHAPE.listing, row)?;
            // The search does not tell upper from lower case.
            match search.name.is_none_or(|name| one.file.name == name) {
                true => each(one),
                false => Ok(true),
            }
        })
    }

    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String> {
        let id = self.new_id(base, format!("{parent}/{name}"))?;
        let about = json!({ "id": id, "name": name, "parents": [parent], "mimeType": FOLDER });
        let url = self.url("drive/v3/files", "fields=id");
        match base.row(Verb::MakeFolder, &sent_json("POST", url, &about)) {
            // By an earlier attempt.
            Err(fault) if fault.class == Class::Exists => {}
            made => drop(made?),
        }
        Ok(id)
    }

    /// One that it takes for malware it gives to who insists.
    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let url = self.url(&format!("drive/v3/files/{}", encode(id)), "alt=media");
        let mut read = |url: &str| base.service.download(("GET", url), &[], of, into);
        match read(&url) {
            Err(fault) if fault.class == Class::Locked => read(&(url + "&acknowledgeAbuse=true")),
            done => done,
        }
    }

    /// Into the trash where the account may do no more.
    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let url = self.url(&format!("drive/v3/files/{}", encode(id)), "fields=id");
        match base.plain(Verb::Delete, "DELETE", url.clone()) {
            Err(fault) if fault.class == Class::Locked => {
                let trash = sent_json("PATCH", url, &json!({ "trashed": true }));
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
