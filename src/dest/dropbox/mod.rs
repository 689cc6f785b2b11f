//! Dropbox (`destinations-more.md` 2.10): `dropbox://folder/folder`.
//!
//! An upload is proven by the service's own digest of what it stored. A long one goes in parts, and a break is gone on after: the
//! service says how much it has.

mod options;

use serde_json::{Value, json};

use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::transfer::digest_of_blocks;
use crate::dest::logins;
use crate::dest::objects::{Api, Base, Each, File, Page, Part, Sent, Shape, Store, sent};
use crate::dest::{Body, GetFacts, Listed, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks;
use crate::net::http::{Reply, iso_time};
use crate::net::json::{LIST_MAX_BYTES, in_header};
use crate::net::oauth;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Dialect, Form, Refusal, Verb, rules, words};
use crate::net::url::{DestUrl, decode};

/// The service's digest is made of those of blocks of this length; parts of an upload are multiples of it.
const BLOCK: u64 = 4 << 20;
const ROOT: &str = "dropbox-api-path-root";
const MOVED: &str =
    "the folder was moved or replaced while files were sent, and they are in two places now";
const API: &str = "api.dropboxapi.com";
const META: &str = "files/get_metadata";
const ACCOUNT: &str = "users/get_current_account";
/// Most such blocks in a part of an upload: the service takes less than 150 MiB at once.
const BLOCKS_MAX: u64 = 37;

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["dropbox"],
    help: "Dropbox: dropbox://folder/folder?authid=AUTHID",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

/// What the message is asked for is the summary, whose end is any number of dots.
static DIALECT: Dialect = Dialect {
    form: Form::Json(".tag", "error_summary"),
    who: "Dropbox",
    rules: rules! {
        409 "" "insufficient_space" => Class::Full;
        409 "" "too_many_write_operations" => Class::Throttled(None);
        409 "" "payload_too_large" => Class::TooBig;
        409 "" "content_hash_mismatch" => Class::Integrity, "the file arrived damaged at the server";
        409 "" "disallowed_name" => Class::Unsupported, "the service does not take the name";
        409 "" "malformed_path" => Class::Unsupported, "the service does not take the name", "see the folder in the URL: no part of it is '.' or '..', has a backslash or more than 255 bytes";
        409 "" "no_write_permission" => Class::Auth, "the account may only read there";
        409 "" "restricted_content" => Class::Locked, "the service has blocked the file";
        409 "" "access_restricted" => Class::Auth, "the administrator of the team does not allow it";
        409 "" "team_folder" => Class::Auth, "a team folder can be changed by its administrator only";
        409 "" [List] "reset" => Class::Transient;
        409 "" [List] "not_folder" => Class::Unsupported, "the folder of the URL is a file";
        409 "" [List] "not_found" => Class::FolderMissing;
        409 "" "not_found" => Class::NotFound;
        409 "" "file_ancestor" => Class::Unsupported, "a folder of the URL is a file";
        409 "" [MakeFolder] "conflict/folder" => Class::Exists;
        409 "" "conflict/folder" => Class::Unsupported, "a folder has the name of the file";
        409 "" [MakeFolder] "conflict/file" => Class::Unsupported, "the folder of the URL is a file";
        409 "" "conflict/file" => Class::Exists;
        0 "" "scope" => Class::Auth, "the log-in lacks a right", "the app needs files.metadata.read, files.content.read, files.content.write and account_info.read: tick them and log in again";
        400 "" "access token" => Class::Auth;
        422 "" => Class::Auth, "--dropbox-path-root is no place of this account", "leave it out, or see the number of the namespace";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Exists => "a file of this name is there";
        Class::Auth => "access denied", "check the log-in: an AuthID that is not accepted is made anew on the page of the token service";
        Class::Full => "the account has no space left", "what is deleted counts no more at once: delete versions, or get more space";
    },
};

static SHAPE: Shape = Shape {
    refuses_to_replace: true,
    md5: false,
    limits_lists: false,
    ..Shape::plain(&DIALECT)
};

/// A folder in Dropbox.
struct Folder {
    /// Addresses for questions, and for what files hold.
    api: String,
    content: String,
    /// The header that says where paths begin; no value: at home.
    root: Option<String>,
    /// Where they begin is asked for first.
    asks_root: bool,
    /// Id of the folder, once files were sent there.
    id: String,
    /// Name and digest of the file whose upload in parts was begun last and has not come to its end.
    begun: Option<(String, Vec<u8>)>,
}

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    // Duplicati decodes the path twice.
    let path = decode(&format!("{}/{}", url.host, url.path));
    let levels = path.split('/').filter(|level| !level.is_empty());
    let folder: String = levels.map(|level| format!("/{level}")).collect();
    let own = checks::own_address(given, &options::ENDPOINT)?;
    let of = |host: &str| own.clone().unwrap_or(format!("https://{host}"));
    let (root, asks_root) = options::root(given)?;
    let api = Box::new(Folder {
        api: of(API),
        content: of("content.dropboxapi.com"),
        root: root.as_deref().map(namespace),
        asks_root,
        id: String::new(),
        begun: None,
    });
    let login = oauth::login(given, &logins::DROPBOX)?;
    let mut base = Base::new(&SHAPE, given, login, (of(API), folder), url.display())?;
    base.account = oauth::account(given);
    base.place = [of(API), root.unwrap_or_default(), asks_root.to_string()].join(" ");
    let blocks = given.size(&options::PART).unwrap_or(0) / BLOCK;
    let part = blocks.clamp(1, BLOCKS_MAX) * BLOCK;
    (base.page, base.pieces_from, base.pieces) = (2000, part + 1, Some((part, u64::MAX)));
    Ok(Store { base, api })
}

/// The value of the header that lets paths begin there.
fn namespace(id: &str) -> String {
    json!({ ".tag": "namespace_id", "namespace_id": id }).to_string()
}

/// What names a file.
fn path(base: &Base, name: &str) -> Value {
    json!({ "path": format!("{}/{name}", base.folder) })
}

/// How a file is to be stored.
fn commit(base: &Base, file: &File<'_>) -> Value {
    let mut arg = path(base, file.name);
    arg["mode"] = if file.is_new { "add" } else { "overwrite" }.into();
    (arg["autorename"], arg["mute"]) = (false.into(), true.into());
    arg["strict_conflict"] = file.is_new.into();
    arg
}

/// What an entry is; `None` for what has been deleted.
fn entry(row: &Row) -> Option<RemoteFile> {
    let kind = row.get(".tag")?;
    (kind != "deleted").then(|| RemoteFile {
        name: row.text("name"),
        size: row.number("size"),
        modified: row.get("server_modified").and_then(iso_time),
        is_folder: kind == "folder",
        is_archived: false,
    })
}

impl Folder {
    /// Where paths begin is known from now on.
    fn rooted(&mut self, base: &mut Base) -> Done<()> {
        if !std::mem::take(&mut self.asks_root) {
            return Ok(());
        }
        let account = self.row(base, Verb::Login, ACCOUNT, &Value::Null);
        let id = account.map(|row| row.text("root_info/root_namespace_id"));
        self.asks_root = !matches!(&id, Ok(id) if !id.is_empty());
        if self.asks_root {
            let none = Fault::new(Class::Protocol, "the account tells no space of a team");
            return Err(id.err().unwrap_or(none));
        }
        self.root = id.ok().as_deref().map(namespace);
        Ok(())
    }

    /// A question, with JSON for its body: the reply.
    fn ask(&mut self, base: &mut Base, verb: Verb, name: &str, arg: &Value) -> Done<Reply> {
        self.rooted(base)?;
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(self.root.clone().map(|root| (ROOT, root)));
        let url = format!("{}/2/{name}", self.api);
        base.call(verb, &("POST", url, headers, arg.to_string().into_bytes()))
    }

    /// A question to which one small object is the answer: its fields.
    fn row(&mut self, base: &mut Base, verb: Verb, name: &str, arg: &Value) -> Done<Row> {
        rows::row(&mut self.ask(base, verb, name, arg)?, DIALECT.who)
    }

    /// The id of the folder.
    fn id(&mut self, base: &mut Base) -> Done<String> {
        let arg = json!({ "path": base.folder });
        Ok(self.row(base, Verb::List, META, &arg)?.text("id"))
    }

    /// A request that carries a stretch of a file.
    fn carry(&self, name: &str, arg: &Value) -> Sent {
        let kind = "application/octet-stream".to_owned();
        let mut headers = vec![("dropbox-api-arg", in_header(arg)), ("content-type", kind)];
        headers.extend(self.root.clone().map(|root| (ROOT, root)));
        sent("POST", format!("{}/2/files/{name}", self.content), headers)
    }
}

impl Api for Folder {
    fn page(&mut self, base: &mut Base, _: &str, mark: &str, each: &mut Each<'_>) -> Done<Page> {
        let (name, arg) = match mark {
            "" => (
                "files/list_folder",
                json!({ "path": base.folder, "limit": base.page }),
            ),
            mark => ("files/list_folder/continue", json!({ "cursor": mark })),
        };
        let mut reply = self.ask(base, Verb::List, name, &arg)?;
        let (mut page, max) = (Page::default(), LIST_MAX_BYTES);
        let tail = rows::rows(&mut reply, DIALECT.who, max, "entries", &mut |row| {
            page.entries += 1;
            entry(row).map_or(Ok(()), |file| each(Listed::Entry(file)))
        })?;
        let (more, cursor) = (tail.flag("has_more"), tail.text("cursor"));
        if !tail.is_nested("entries") || !tail.has("has_more") || (more && cursor.is_empty()) {
            return Err(incomplete("the reply has no entries or no end"));
        }
        page.next = if more { cursor } else { String::new() };
        Ok(page)
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        let row = self.row(base, Verb::Look, META, &path(base, name))?;
        // The service does not tell upper from lower case.
        let found = entry(&row).filter(|file| file.name == name && !file.is_folder);
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        self.rooted(base)?;
        let (_, url, headers, _) = self.carry("download", &path(base, of.0));
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        base.service.download(("GET", &url), &headers, of, into)
    }

    /// The service makes a missing folder unasked.
    fn prepare(&mut self, base: &mut Base, _: &str) -> Done<()> {
        self.rooted(base)?;
        if self.id.is_empty() && !base.folder.is_empty() {
            self.id = self.id(base)?;
        }
        Ok(())
    }

    /// Once the folder is elsewhere the service makes another for the next file.
    fn finish(&mut self, base: &mut Base) -> Done<()> {
        if self.id.is_empty() || self.id(base)? == self.id {
            return Ok(());
        }
        Err(Fault::new(Class::Protocol, MOVED).hint("put all of them into one folder"))
    }

    fn digest(&self, body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
        digest_of_blocks(body, from, len, BLOCK).map_err(Fault::local)
    }

    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let mut arg = commit(base, file);
        arg["content_hash"] = hex(&file.digest).into();
        self.carry("upload", &arg)
    }

    fn is_stored(&mut self, _: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        self.begun = None;
        let row = rows::row(reply, DIALECT.who)?;
        let same = row.get("content_hash") == Some(&hex(&file.digest));
        Ok(same && row.number("size") == Some(file.len))
    }

    /// An upload that is not known any more has perhaps come to its end, and only the answer was lost.
    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let begun = Some((file.name.to_owned(), file.digest.clone()));
        if std::mem::replace(&mut self.begun, begun) == self.begun {
            let found = self.row(base, Verb::Look, META, &path(base, file.name));
            if found.is_ok_and(|row| row.get("content_hash") == Some(&hex(&file.digest))) {
                return Err(Fault::new(Class::Exists, "the file is there already"));
            }
        }
        let request = self.carry("upload_session/start", &json!({ "close": false }));
        let id = base.row(Verb::Put, &request)?.text("session_id");
        let none = || Fault::new(Class::Protocol, "the server begins no upload");
        (!id.is_empty()).then_some(id).ok_or_else(none)
    }

    fn piece(&self, base: &Base, id: &str, file: &File<'_>, part: &Part) -> Sent {
        let mut arg = json!({ "cursor": { "session_id": id, "offset": part.from } });
        if part.len == 0 {
            arg["commit"] = commit(base, file);
            return self.carry("upload_session/finish", &arg);
        }
        arg["close"] = (part.from + part.len == file.len).into();
        arg["content_hash"] = hex(&part.digest).into();
        self.carry("upload_session/append_v2", &arg)
    }

    fn offset(&self, refusal: &Refusal) -> Option<u64> {
        let told = refusal.field("correct_offset").parse().ok();
        // One that is closed has all.
        told.or(refusal.is("closed").then_some(u64::MAX))
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        let arg = path(base, name);
        self.ask(base, Verb::Delete, "files/delete_v2", &arg)?
            .finish()
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        if base.folder.is_empty() {
            return Ok(());
        }
        let arg = json!({ "path": base.folder, "autorename": false });
        let made = self.ask(base, Verb::MakeFolder, "files/create_folder_v2", &arg);
        made?.finish()
    }

    /// Of a team, what is left to all of it.
    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        let row = self.row(base, Verb::Login, "users/get_space_usage", &Value::Null)?;
        let total = row.number("allocation/allocated");
        let used = row.number("allocation/used").or(row.number("used"));
        let left = |(total, used): (u64, u64)| total.saturating_sub(used);
        let free = total.zip(used).map(left);
        Ok(Quota { total, free })
    }
}
