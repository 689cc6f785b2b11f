//! Folders and files of an account of Filen: names and their hashes, listings, chunks that are read.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::filen::account::{Account, DIALECT, uuid};
use crate::dest::filen::keys::{self, ADDED, CHUNK, Key};
use crate::dest::objects::by_id::{EachFound, Folder, Found, Search, Tree};
use crate::dest::objects::{Base, sent_json};
use crate::dest::{GetFacts, RemoteFile, Sink, Span};
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::Verb;
use crate::net::service::fill::plain_word;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};

/// A chunk that is read: what it is, and what there is of it, still encrypted until it is whole.
#[derive(Default)]
pub(super) struct Held {
    what: String,
    bytes: Vec<u8>,
    is_open: bool,
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Held {
    fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        Ok(())
    }
}

/// A folder of an account.
#[derive(Default)]
pub(super) struct Client {
    pub(super) account: Account,
    pub(super) trashes: bool,
    pub(super) folder: Folder,
    /// All files of the folder were listed in this run.
    pub(super) listed: bool,
    pub(super) held: Held,
}

impl Client {
    /// The id that the service has for a name by one of these hashes.
    pub(super) fn by_hash(
        &self,
        base: &mut Base,
        search: &Search<'_>,
        hashes: &[String],
    ) -> Done<Option<String>> {
        let kind = if search.is_folder { "dir" } else { "file" };
        for hash in hashes {
            let about = json!({ "parent": search.parent, "nameHashed": hash });
            let row = self
                .account
                .ask(base, search.verb, &format!("{kind}/exists"), &about)?;
            if row.flag("data/exists") {
                return Ok(Some(plain_word(&row.text("data/uuid"))));
            }
        }
        Ok(None)
    }

    /// What a row of a listing is; `None` for what no key of the account opens.
    fn found(&self, row: &Row, is_folder: bool) -> Done<Option<Found>> {
        let uuid = plain_word(&row.text("uuid"));
        if uuid.is_empty() {
            return Err(incomplete("an entry has no id"));
        }
        let sealed = row.text(if is_folder { "name" } else { "metadata" });
        let Some(about) = self.account.keys()?.open(&sealed) else {
            return Ok(None);
        };
        let about: Value = serde_json::from_str(&about).unwrap_or_default();
        let Some(name) = about["name"].as_str() else {
            return Ok(None);
        };
        let (size, time) = (about["size"].as_u64(), about["lastModified"].as_i64());
        let version = row.number("version").unwrap_or(0);
        let id = match is_folder {
            true => uuid,
            false => {
                let (region, bucket) = (row.text("region"), row.text("bucket"));
                let key = about["key"].as_str().unwrap_or_default();
                Place::id(&uuid, (&region, &bucket), size.unwrap_or(0), version, key)
            }
        };
        Ok(Some(Found {
            id,
            created: format!("{:020}", row.number("timestamp").unwrap_or(0)),
            file: RemoteFile {
                name: name.to_owned(),
                size,
                modified: time.map(|ms| ms / 1000),
                is_folder,
                ..RemoteFile::default()
            },
        }))
    }

    /// All files of a folder, or all folders in it; of a name where one is searched.
    fn all(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        let url = format!("{}/v3/dir/content", self.account.host("gateway"));
        let request = sent_json("POST", url, &json!({ "uuid": search.parent }));
        let mut reply = base.call(Verb::List, &request)?;
        let array = match search.is_folder {
            true => "data/folders",
            false => "data/uploads",
        };
        let (mut goes_on, mut shut) = (true, 0);
        // Folders are told apart by their names in small letters.
        let fits = |found: &str| match search.name {
            Some(name) if search.is_folder => name.to_lowercase() == found.to_lowercase(),
            Some(name) => name == found,
            None => true,
        };
        let tail = rows::rows(&mut reply, DIALECT.who, LIST_MAX_BYTES, array, &mut |row| {
            match self.found(row, search.is_folder)? {
                None => shut += 1,
                Some(one) => goes_on = goes_on && (!fits(&one.file.name) || each(one)?),
            }
            Ok(())
        })?;
        if !tail.has("status") || (tail.flag("status") && !tail.is_nested(array)) {
            return Err(incomplete("the reply has no files"));
        }
        self.account.checked(base, Verb::List, tail)?;
        if shut > 0 && search.name.is_none() {
            let what = text::count(shut, "file");
            base.notices.push(format!(
                "{what} left aside that no key of the account opens"
            ));
        }
        Ok(())
    }

    /// Has a chunk of a file at hand. `keeps`: one that was read before is good enough.
    fn chunk(&mut self, base: &mut Base, file: &Place<'_>, at: u64, keeps: bool) -> Done<()> {
        let what = format!("{}/{}/{}/{at}", file.region, file.bucket, file.uuid);
        let held = &mut self.held;
        if held.what != what || (held.is_open && !keeps) {
            held.bytes.clear();
            (held.what, held.is_open) = (what, false);
        }
        if held.is_open {
            return Ok(());
        }
        let whole = (file.size - at * CHUNK).min(CHUNK) + ADDED;
        let had = held.bytes.len() as u64;
        let url = format!("{}/{}", self.account.host("egest"), self.held.what);
        let mut held = std::mem::take(&mut self.held);
        let span = Span::of(had, whole - had);
        let name = held.what.clone();
        let done = base
            .service
            .download(("GET", &url), &[], (&name, span), &mut held);
        self.held = held;
        done?;
        let held = &mut self.held;
        if (held.bytes.len() as u64) < whole {
            let what = "a chunk of the file ends too early";
            return Err(Fault::new(Class::Transient, what));
        }
        let key = Key::of_file(file.key).filter(|_| file.version >= 2);
        let key = key.ok_or_else(|| {
            let what = format!(
                "the file is encrypted in a way of its own (version {})",
                file.version
            );
            Fault::new(Class::Unsupported, what).hint("download it with Filen's own program")
        })?;
        if key.open_chunk(&mut held.bytes).is_none() {
            *held = Held::default();
            let what = "a chunk of the file is damaged";
            return Err(Fault::new(Class::Integrity, what));
        }
        held.is_open = true;
        Ok(())
    }
}

/// Where the content of a file is, and how it is read; all of it is the id of the file here.
pub(super) struct Place<'a> {
    uuid: &'a str,
    region: &'a str,
    bucket: &'a str,
    size: u64,
    version: u64,
    key: &'a str,
}

impl Place<'_> {
    pub(super) fn id(uuid: &str, at: (&str, &str), size: u64, version: u64, key: &str) -> String {
        let [region, bucket, key] = [at.0, at.1, key].map(plain_word);
        format!("{uuid}/{region}/{bucket}/{size}/{version}/{key}")
    }

    fn of(id: &str) -> Option<Place<'_>> {
        let mut parts = id.split('/');
        Some(Place {
            uuid: parts.next()?,
            region: parts.next()?,
            bucket: parts.next()?,
            size: parts.next()?.parse().ok()?,
            version: parts.next()?.parse().ok()?,
            key: parts.next()?,
        })
    }
}

impl Tree for Client {
    fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    fn root(&self, _: &mut Base) -> Done<String> {
        Ok(self.account.root.clone())
    }

    fn newest_first(&self) -> bool {
        false
    }

    /// By a hash what can be found so; a name that has none known to us is in the listing all the same.
    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        if let Some(name) = search.name.filter(|_| search.is_folder || self.listed) {
            let found = self.by_hash(base, search, &self.account.keys()?.hashes(name))?;
            let known = self.folder.only(name);
            match (found, known) {
                (Some(id), _) if search.is_folder => {
                    let file = RemoteFile {
                        is_folder: true,
                        ..RemoteFile::default()
                    };
                    let created = String::new();
                    return each(Found { id, created, file }).map(drop);
                }
                (None, None) if !search.is_folder => return Ok(()),
                (Some(uuid), Some(Some(id))) if id.starts_with(&uuid) => {
                    let file = RemoteFile {
                        name: name.to_owned(),
                        size: Place::of(&id).map(|place| place.size),
                        ..RemoteFile::default()
                    };
                    let created = String::new();
                    return each(Found { id, created, file }).map(drop);
                }
                _ => {}
            }
        }
        self.all(base, search, each)
    }

    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String> {
        let keys = self.account.keys()?;
        let hash = keys.hashes(name).into_iter().next();
        let now = Timestamp::now().0.saturating_mul(1000);
        let sealed = keys.seal(&json!({ "name": name, "creation": now }).to_string())?;
        let about =
            json!({ "uuid": uuid()?, "name": sealed, "nameHashed": hash, "parent": parent });
        let row = self
            .account
            .change(base, Verb::MakeFolder, "dir/create", &about)?;
        Ok(plain_word(&row.text("data/uuid")))
    }

    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        (_, span): (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let none = || Fault::new(Class::NotFound, "not found");
        let file = Place::of(id).ok_or_else(none)?;
        let (mut from, end) = (span.from, span.end().min(file.size));
        while from < end {
            let begin = from - from % CHUNK;
            self.chunk(base, &file, from / CHUNK, !span.is_open())?;
            let to = end.min(begin + CHUNK);
            let place = |n: u64| usize::try_from(n - begin).unwrap_or(usize::MAX);
            let content = keys::content(&mut self.held.bytes);
            let wanted = content.get(place(from)..place(to)).ok_or_else(none)?;
            into.write_all(wanted).map_err(Fault::local)?;
            from = to;
        }
        let total = Some(file.size);
        Ok(GetFacts { total, sha1: None })
    }

    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let about = json!({ "uuid": id.split('/').next() });
        let what = match self.trashes {
            true => "file/trash",
            false => "file/delete/permanent",
        };
        self.account
            .change(base, Verb::Delete, what, &about)
            .map(drop)
    }
}
