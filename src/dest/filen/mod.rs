//! Filen (`destinations-more.md` 3.1): `filen://folder/folder`.
//!
//! The service sees neither names nor contents: both are encrypted here, files in chunks of 1 MiB. It knows names by hashes, of
//! which there are several kinds: files are found by their names in the listing, and hashes tell what has changed since. A chunk is
//! proven by its digest, a file by the chunks and the length that the service has.

mod account;
mod client;
mod keys;
mod options;

use std::rc::Rc;

use serde_json::json;

use self::account::{Account, Bearer, DIALECT, Token, uuid};
use self::client::{Client, Place};
use self::keys::{CHUNK, Key};
use crate::base::bytes::{base64_url, hex};
use crate::base::digest::Algo;
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::dest::objects::by_id::{self, Folder, Search, Tree};
use crate::dest::objects::{Api, Base, Each, File, Part, Sent, Shape, Store, sent};
use crate::dest::{Body, GetFacts, Quota, RemoteFile, Scheme, Sink, Span};
use crate::net::checks::{self, or_missing};
use crate::net::http::Reply;
use crate::net::opts;
use crate::net::service::Verb;
use crate::net::service::fill::plain_word;
use crate::net::service::rows;
use crate::net::url::DestUrl;

const KIND: &str = "application/octet-stream";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["filen"],
    help: "Filen: filen://folder/folder with --auth-username and --auth-password",
    options: options::OPTIONS,
    open: |url, options| Ok(Box::new(open(url, options)?)),
};

static SHAPE: Shape = Shape {
    md5: false,
    limits_lists: false,
    pieces_from: 0,
    pieces: Some((CHUNK, u64::MAX)),
    ..Shape::plain(&DIALECT)
};

fn open(url: &DestUrl, given: &Options) -> Result<Store> {
    let (user, password) = opts::login(url, given, None);
    let user = or_missing(
        user,
        "user",
        "use --auth-username: the e-mail address of the account",
    )?;
    let password = or_missing(
        password,
        "password",
        "use --auth-password; it opens the keys of the account",
    )?;
    let token = Token::default();
    let account = Account {
        own: checks::own_address(given, &options::ENDPOINT)?,
        user: user.trim().to_owned(),
        password: Some(password),
        code: given.secret(&options::CODE),
        api_key: given.secret(&options::API_KEY),
        token: Rc::clone(&token),
        ..Account::default()
    };
    let client = Client {
        account,
        trashes: given.flag(&options::TRASH),
        folder: Folder::of(url)?,
        ..Client::default()
    };
    let at = (client.account.host("gateway"), client.folder.path());
    let login = Box::new(Bearer(token));
    let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
    base.account = client.account.user.clone();
    let api = Box::new(Filen {
        client,
        upload: Upload::default(),
    });
    Ok(Store { base, api })
}

/// A folder of Filen.
struct Filen {
    client: Client,
    upload: Upload,
}

/// The upload that was begun last.
#[derive(Default)]
struct Upload {
    parent: String,
    /// Permits to send chunks, and to remove the file later.
    permit: String,
    removal: String,
    /// Of the file.
    key: String,
    /// Its id.
    uuid: String,
    /// Digest of the chunk that is sent next.
    hash: String,
    /// Region and bucket of the chunks.
    place: (String, String),
    /// What is told at the end.
    end: String,
    /// The file that is replaced.
    old: Option<String>,
}

impl Filen {
    /// The files of the folder are known, from which on a change of one is noticed by its hash.
    fn ready(&mut self, base: &mut Base) -> Done<()> {
        match self.client.listed {
            true => self.client.account.log_in(base),
            false => self.list(base, "", &mut |_| Ok(())),
        }
    }

    /// The service would take a file for another whose name differs in the case of letters.
    fn is_free(&self, base: &mut Base, parent: &str, name: &str) -> Done<()> {
        let hashes = self.client.account.keys()?.hashes(name);
        let search = Search {
            verb: Verb::Put,
            parent,
            name: Some(name),
            is_folder: false,
        };
        match self.client.by_hash(base, &search, &hashes[..1])? {
            None => Ok(()),
            Some(_) => {
                let what = "a file has the same name but for upper and lower case";
                Err(Fault::new(Class::Unsupported, what))
            }
        }
    }
}

impl Api for Filen {
    fn list(&mut self, base: &mut Base, _: &str, each: &mut Each<'_>) -> Done<()> {
        self.client.account.log_in(base)?;
        self.client.listed = false;
        by_id::list(&mut self.client, base, each)?;
        self.client.listed = true;
        Ok(())
    }

    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        self.ready(base)?;
        by_id::look(&mut self.client, base, name)
    }

    fn fetch(&mut self, base: &mut Base, of: (&str, Span), into: &mut dyn Sink) -> Done<GetFacts> {
        self.ready(base)?;
        by_id::fetch(&mut self.client, base, of, into)
    }

    fn prepare(&mut self, base: &mut Base, _: &str) -> Done<()> {
        self.ready(base)
    }

    /// Nothing is known by a digest of its content.
    fn digest(&self, _: &mut dyn Body, _: u64, _: u64) -> Done<Vec<u8>> {
        Ok(Vec::new())
    }

    fn begin(&mut self, base: &mut Base, file: &File<'_>) -> Done<String> {
        let old = by_id::replaced(&mut self.client, base, (file.name, file.is_new))?;
        let parent = by_id::parent(&mut self.client, base, Verb::Put)?;
        if old.is_none() {
            self.is_free(base, &parent, file.name)?;
        }
        let uuid = uuid()?;
        let permit = || keys::random::<24>().map(|raw| base64_url(&raw));
        self.upload = Upload {
            parent,
            permit: permit()?,
            removal: permit()?,
            key: self.client.account.keys()?.new_file()?,
            uuid: uuid.clone(),
            old,
            ..Upload::default()
        };
        Ok(uuid)
    }

    fn sealed(&mut self, body: &mut dyn Body, part: &Part) -> Done<Option<Vec<u8>>> {
        if part.len == 0 {
            return Ok(Some(std::mem::take(&mut self.upload.end).into_bytes()));
        }
        let mut chunk = keys::room(part.len)?;
        body.seek_to(part.from).map_err(Fault::local)?;
        let read = body.read_exact(keys::content(&mut chunk));
        read.map_err(Fault::local)?;
        let key = Key::of_file(&self.upload.key);
        let none = || Fault::new(Class::Local, "the file has no key");
        key.ok_or_else(none)?.seal_chunk(&mut chunk)?;
        self.upload.hash = hex(Algo::Sha512.hash(&chunk).as_bytes());
        Ok(Some(chunk))
    }

    fn piece(&self, _: &Base, id: &str, file: &File<'_>, part: &Part) -> Sent {
        if part.len == 0 {
            let what = if file.len == 0 { "empty" } else { "done" };
            let url = format!("{}/v3/upload/{what}", self.client.account.host("gateway"));
            return sent(
                "POST",
                url,
                vec![("content-type", "application/json".to_owned())],
            );
        }
        let Upload {
            parent,
            permit,
            hash,
            ..
        } = &self.upload;
        let url = format!(
            "{}/v3/upload?uuid={id}&index={}&parent={parent}&uploadKey={permit}&hash={hash}",
            self.client.account.host("ingest"),
            part.number
        );
        sent("POST", url, vec![("content-type", KIND.to_owned())])
    }

    fn taken(&mut self, base: &mut Base, reply: &mut Reply) -> Done<()> {
        let row = rows::row(reply, DIALECT.who)?;
        let row = self.client.account.checked(base, Verb::Resume, row)?;
        let word = |field| plain_word(&row.text(field));
        self.upload.place = (word("data/region"), word("data/bucket"));
        Ok(())
    }

    fn before_end(&mut self, base: &mut Base, id: &str, file: &File<'_>) -> Done<()> {
        let (keys, upload) = (self.client.account.keys()?, &self.upload);
        let now = Timestamp::now().0.saturating_mul(1000);
        let about = json!({
            "name": file.name, "size": file.len, "mime": KIND, "key": upload.key, "lastModified": now, "creation": now,
        });
        let short = |text: &str| keys.seal_for_file(&upload.key, text);
        let mut end = json!({
            "uuid": id,
            "name": short(file.name)?,
            "nameHashed": keys.hashes(file.name).first(),
            "size": short(&file.len.to_string())?,
            "mime": short(KIND)?,
            "metadata": keys.seal(&about.to_string())?,
            "version": keys.version(),
            "parent": upload.parent,
        });
        if file.len > 0 {
            end["chunks"] = file.len.div_ceil(CHUNK).into();
            end["rm"] = upload.removal.clone().into();
            end["uploadKey"] = upload.permit.clone().into();
        }
        self.upload.end = end.to_string();
        self.client.account.lock(base, "acquire").map(drop)
    }

    /// A file that this one replaces is a version now, or still beside it.
    fn is_stored(&mut self, base: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let row = rows::row(reply, DIALECT.who)?;
        let _ = self.client.account.lock(base, "release");
        let row = match self.client.account.checked(base, Verb::Put, row) {
            Err(fault) if fault.class == Class::NotFound => {
                let what = "the server does not know the upload any more";
                return Err(Fault::new(Class::Transient, what));
            }
            row => row?,
        };
        let upload = std::mem::take(&mut self.upload);
        let place = (upload.place.0.as_str(), upload.place.1.as_str());
        let version = u64::from(self.client.account.keys()?.version());
        let id = Place::id(&upload.uuid, place, file.len, version, &upload.key);
        self.client.folder.stored(file.name, &id);
        if row.number("data/size") != Some(file.len) {
            return Ok(false);
        }
        if let Some(old) = upload.old {
            match self.client.remove(base, &old) {
                Err(fault) if fault.class == Class::NotFound => {}
                done => done?,
            }
        }
        Ok(true)
    }

    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        self.ready(base)?;
        by_id::delete(&mut self.client, base, name)
    }

    fn make(&mut self, base: &mut Base) -> Done<()> {
        self.client.account.log_in(base)?;
        by_id::make(&mut self.client, base)
    }

    fn quota(&mut self, base: &mut Base) -> Done<Quota> {
        self.client.account.log_in(base)?;
        let row =
            self.client
                .account
                .ask(base, Verb::Login, "user/info", &serde_json::Value::Null)?;
        let total = row.number("data/maxStorage");
        let pair = total.zip(row.number("data/storageUsed"));
        let free = pair.map(|(total, used)| total.saturating_sub(used));
        Ok(Quota { total, free })
    }
}
