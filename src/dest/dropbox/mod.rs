//! Dropbox (`destinations-more.md` 2.10), a trial of what a further destination takes: addresses, fields, and a table of
//! what codes mean. Not in a release.
//!
//! An upload is proven by the server's own digest of what it stored.

use serde_json::{Value, json};

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::dest::{
    About, Body, Destination, GetFacts, Listed, Quota, RemoteFile, Said, Scheme, Sink, Span,
    look_at,
};
use crate::net::http::{Http, Pace};
use crate::net::service::authid::{self, AUTHID, OAUTH_URL};
use crate::net::service::call::{Call, Service};
use crate::net::service::pages::incomplete;
use crate::net::service::refusal::word;
use crate::net::service::rows::Row;
use crate::net::service::{Content, Dialect, Form, Pages, Verb, rules};
use crate::net::url::DestUrl;

const PAGE: u64 = 2000;
/// The service's digest is made of those of blocks of this length; parts of an upload are multiples of it.
const BLOCK: u64 = 4 << 20;
/// Largest part of an upload.
const PART_MAX: u64 = 148 << 20;

const API_URL: Opt = row(
    "dropbox-api-url",
    Kind::Text,
    "",
    "Address that stands for both of the service's own.",
);
const PART: Opt = row(
    "dropbox-part-size",
    Kind::Size(1 << 20),
    "64mb",
    "Files that are larger are sent in parts of this length.",
);

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["dropbox"],
    help: "Dropbox: dropbox://folder/folder?authid=AUTHID",
    options: &[AUTHID, OAUTH_URL, API_URL, PART],
    open: |url, options| Ok(Box::new(Folder::new(url, options)?)),
};

static DIALECT: Dialect = Dialect {
    form: Form::Json(".tag", "error_summary"),
    who: "Dropbox",
    rules: rules! {
        409 "" "insufficient_space" => Class::Full;
        409 "" "too_many_write_operations" => Class::Throttled(None);
        409 "" "payload_too_large" => Class::TooBig;
        409 "" [Put] "lookup_failed" => Class::Transient;
        409 "" [Put] "not_found" => Class::Transient;
        409 "" [Put] "incorrect_offset" => Class::Transient;
        409 "" [List] "reset" => Class::Transient;
        409 "" [List] "not_found" => Class::FolderMissing;
        409 "" "not_found" => Class::NotFound;
        409 "" [Put] "conflict/file/" => Class::Exists;
        409 "" [MakeFolder] "conflict/folder" => Class::Exists;
    },
    words: &[
        word(Class::FolderMissing, "=the folder does not exist", ""),
        word(Class::Exists, "a file of this name is there", ""),
        word(Class::Auth, "access denied", "check --authid"),
    ],
};

/// A folder in Dropbox.
struct Folder {
    service: Service,
    api: String,
    content: String,
    /// Empty, or with `/` at its beginning and none at its end.
    folder: String,
    part: u64,
    shown: String,
}

/// What a call wants to be told, in the ASCII that a header may hold.
fn header(arg: &Value) -> String {
    let mut out = String::new();
    for unit in arg.to_string().encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte < 0x7f => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

/// The service's digest of a whole file, in hex.
fn digest(body: &mut dyn Body) -> Done<String> {
    let (len, mut all, mut at) = (body.len(), Algo::Sha256.hasher(), 0);
    while at < len {
        let n = BLOCK.min(len - at);
        let mut one = Algo::Sha256.hasher();
        look_at(body, at, n, &mut |part| one.update(part)).map_err(Fault::local)?;
        all.update(one.finish().as_bytes());
        at += n;
    }
    Ok(hex(all.finish().as_bytes()))
}

impl Folder {
    fn new(url: &DestUrl, options: &Options) -> Result<Folder> {
        let path = format!("{}/{}", url.host, url.path);
        let levels: Vec<&str> = path.split('/').filter(|l| !l.is_empty()).collect();
        let base = |usual: &str| options.text(&API_URL).unwrap_or(usual).to_owned();
        let part = options.size(&PART).unwrap_or(BLOCK).min(PART_MAX);
        Ok(Folder {
            service: Service::new(Http::new(options)?, &DIALECT, authid::login(options)?),
            api: base("https://api.dropboxapi.com"),
            content: base("https://content.dropboxapi.com"),
            folder: levels.iter().map(|level| format!("/{level}")).collect(),
            part: (part / BLOCK).max(1) * BLOCK,
            shown: url.display(),
        })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// A call without content, of which one object is the reply.
    fn ask(&mut self, verb: Verb, name: &str, arg: &Value) -> Done<Row> {
        let body = arg.to_string();
        self.service.row(Call {
            verb,
            method: "POST",
            url: format!("{}/2/{name}", self.api),
            headers: &[("content-type", "application/json")],
            content: Content::Bytes(body.as_bytes()),
            pace: Pace::Short,
        })
    }

    /// A call with a stretch of a file.
    fn send(&mut self, name: &str, arg: &Value, content: Content<'_>) -> Done<Row> {
        let arg = header(arg);
        let headers = [
            ("dropbox-api-arg", arg.as_str()),
            ("content-type", "application/octet-stream"),
        ];
        self.service.row(Call {
            verb: Verb::Put,
            method: "POST",
            url: format!("{}/2/files/{name}", self.content),
            headers: &headers,
            content,
            pace: Pace::Upload,
        })
    }

    /// Sends a file in parts; it appears with the last one.
    fn in_parts(&mut self, commit: &Value, body: &mut dyn Body) -> Done<Row> {
        let (len, mut at, mut session) = (body.len(), 0, String::new());
        loop {
            let n = self.part.min(len - at);
            let cursor = json!({ "session_id": session, "offset": at });
            let (name, arg) = match at {
                0 => ("start", json!({ "close": false })),
                _ if at + n == len => ("finish", json!({ "cursor": cursor, "commit": commit })),
                _ => ("append_v2", json!({ "cursor": cursor, "close": false })),
            };
            let part = Content::Part {
                body: &mut *body,
                from: at,
                len: n,
            };
            let row = self.send(&format!("upload_session/{name}"), &arg, part)?;
            if at == 0 {
                session = row.text("session_id");
            }
            at += n;
            if at == len {
                return Ok(row);
            }
        }
    }
}

/// What an entry is; `None` for what has been deleted.
fn entry(row: &Row) -> Option<RemoteFile> {
    let kind = row.get(".tag")?;
    (kind != "deleted").then(|| RemoteFile {
        name: row.text("name"),
        size: row.number("size"),
        modified: None,
        is_folder: kind == "folder",
        is_archived: false,
    })
}

impl Destination for Folder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let mut pages = Pages::new(PAGE);
        let mut name = "list_folder";
        let mut arg = json!({ "path": self.folder, "limit": PAGE });
        loop {
            let (mut entries, body) = (0, arg.to_string());
            let call = Call {
                verb: Verb::List,
                method: "POST",
                url: format!("{}/2/files/{name}", self.api),
                headers: &[("content-type", "application/json")],
                content: Content::Bytes(body.as_bytes()),
                pace: Pace::List,
            };
            let tail = self.service.rows(call, "entries", &mut |row| {
                entries += 1;
                entry(row).map_or(Ok(()), |file| each(Listed::Entry(file)))
            })?;
            if !tail.is_nested("entries") || !tail.has("has_more") {
                return Err(incomplete("the reply has no entries or no end"));
            }
            if !tail.flag("has_more") {
                return Ok(());
            }
            let cursor = tail.text("cursor");
            pages.page(&cursor, entries)?;
            (name, arg) = ("list_folder/continue", json!({ "cursor": cursor }));
        }
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let arg = json!({ "path": self.path(name) });
        let row = self.ask(Verb::Look, "files/get_metadata", &arg)?;
        // The service does not tell upper from lower case.
        let found = entry(&row).filter(|file| file.name == name);
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        let arg = header(&json!({ "path": self.path(name) }));
        let url = format!("{}/2/files/download", self.content);
        let headers = [("dropbox-api-arg", arg.as_str())];
        self.service
            .download(("GET", &url), &headers, (name, span), into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let (len, ours, is_new) = (body.len(), digest(body)?, body.is_new());
        let commit = json!({
            "path": self.path(name),
            "mode": if is_new { "add" } else { "overwrite" },
            "autorename": false,
            "mute": true,
            "strict_conflict": is_new,
        });
        let row = match len > self.part {
            true => self.in_parts(&commit, body)?,
            false => self.send("upload", &commit, Content::whole(body))?,
        };
        if row.number("size") == Some(len) && row.get("content_hash") == Some(&ours) {
            return Ok(());
        }
        let _ = self.delete(name);
        let what = "the stored file is not the one sent";
        Err(Fault::new(Class::Integrity, what))
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        let arg = json!({ "path": self.path(name) });
        match self.ask(Verb::Delete, "files/delete_v2", &arg) {
            Err(fault) if fault.class != Class::NotFound => Err(fault),
            _ => Ok(()),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        if self.folder.is_empty() {
            return Ok(());
        }
        let arg = json!({ "path": self.folder, "autorename": false });
        match self.ask(Verb::MakeFolder, "files/create_folder_v2", &arg) {
            Err(fault) if fault.class != Class::Exists => Err(fault),
            _ => Ok(()),
        }
    }

    fn about(&self) -> About {
        About {
            refuses_to_replace: true,
            put_is_proof: true,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        Said {
            requests: Some(self.service.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn quota(&mut self) -> Done<Quota> {
        let row = self.ask(Verb::Login, "users/get_space_usage", &Value::Null)?;
        let total = row.number("allocation/allocated");
        let used = row.number("used");
        let free = total.zip(used).map(|(t, u)| t.saturating_sub(u));
        Ok(Quota { total, free })
    }
}
