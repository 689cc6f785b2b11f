//! Filen in memory: files and folders of one account of version 2, encrypted as its clients do it. It checks what the tables need;
//! `servers/filen.py` checks the rest of what the service's clients show.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a broken server must fail the test"
)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Mutex;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, pbkdf2};
use serde_json::{Value, json};

use super::faulty::{Reply, Seen, Service, Twist, decode, ranged};

/// Name of the folder that the files of [`Service::keep`] are in.
pub const FOLDER: &str = "bkt";
pub const ROOT: &str = "00000000-0000-4000-8000-000000000000";
pub const CHUNK: usize = 1 << 20;
const SALT: &str = "salt";
const FILE_KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Default)]
pub struct Item {
    pub uuid: String,
    /// What only clients know.
    pub name: String,
    pub parent: String,
    /// What the service knows the name by.
    pub hash: String,
    pub metadata: String,
    /// Encrypted; a folder has none.
    pub chunks: Option<Vec<Vec<u8>>>,
    pub created: u64,
}

/// Chunks of an upload that has not come to its end.
#[derive(Default)]
pub struct Pending {
    permit: String,
    parent: String,
    pub chunks: BTreeMap<usize, Vec<u8>>,
}

pub struct Filen {
    pub items: Vec<Item>,
    pub pending: BTreeMap<String, Pending>,
    pub versions: Vec<Item>,
    pub trash: Vec<Item>,
    /// A file of a name that is there stays beside the new one.
    pub keeps_both: bool,
    /// API keys given so far; only the last is good.
    pub keys: u64,
    /// Another client holds the lock for so many questions.
    pub locked: u64,
    /// Takings of the lock less givings back.
    pub held: i64,
    /// Master keys of the account, the oldest first; the last is that of the password.
    pub masters: Vec<String>,
    login: String,
    clock: u64,
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|b| format!("{b:02x}")).collect()
}

fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in data.chunks(3) {
        let bits = part.iter().chain([0, 0].iter().take(3 - part.len()));
        let bits = bits.fold(0, |n, b| n << 8 | usize::from(*b));
        for i in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * i) & 63];
            out.push(if i <= part.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        (bits, count) = (bits << 6 | u32::from(value(c)), count + 6);
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    out
}

fn stretched(password: &str, salt: &str, rounds: u32, out: &mut [u8]) {
    let rounds = NonZeroU32::new(rounds).unwrap();
    let (salt, password) = (salt.as_bytes(), password.as_bytes());
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, password, out);
}

/// What a password comes to; it is worked out once.
fn derived(password: &str) -> [u8; 64] {
    static KNOWN: Mutex<Vec<(String, [u8; 64])>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap();
    if let Some((_, out)) = known.iter().find(|(other, _)| other == password) {
        return *out;
    }
    let mut out = [0; 64];
    stretched(password, SALT, 200_000, &mut out);
    known.push((password.to_owned(), out));
    out
}

fn cipher(key: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

fn of_master(master: &str) -> LessSafeKey {
    let mut key = [0; 32];
    stretched(master, master, 1, &mut key);
    cipher(&key)
}

/// Metadata under a master key. Its clients never use a nonce twice; here it is always the same.
pub fn seal(master: &str, text: &str) -> String {
    let (nonce, mut out) = ("abcdefghijkl", text.as_bytes().to_vec());
    let unique = Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
    of_master(master)
        .seal_in_place_append_tag(unique, Aad::empty(), &mut out)
        .unwrap();
    format!("002{nonce}{}", base64(&out))
}

fn open(master: &str, sealed: &str) -> Option<String> {
    let nonce = Nonce::try_assume_unique_for_key(&sealed.as_bytes()[3..15]).unwrap();
    let mut data = unbase64(&sealed[15..]);
    let opened = of_master(master).open_in_place(nonce, Aad::empty(), &mut data);
    Some(String::from_utf8(opened.ok()?.to_vec()).unwrap())
}

/// What a name is known by.
pub fn hashed(name: &str) -> String {
    let inner = hex(digest::digest(&digest::SHA512, name.to_lowercase().as_bytes()).as_ref());
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, inner.as_bytes()).as_ref())
}

/// Body of a refusal, which comes with the status 200.
pub fn refusal(code: &str, message: &str) -> String {
    json!({ "status": false, "message": message, "code": code, "data": null }).to_string()
}

fn refuse(code: &str) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    (200, kind, refusal(code, "because").into_bytes())
}

fn good(data: &Value) -> Reply {
    let kind = vec![("content-type", "application/json".to_owned())];
    let body = json!({ "status": true, "message": "", "code": "", "data": data });
    (200, kind, body.to_string().into_bytes())
}

/// The entry of a file in a listing.
pub fn entry(master: &str, uuid: &str, name: &str, size: usize) -> Value {
    let about = json!({ "name": name, "size": size, "mime": "x", "key": FILE_KEY, "lastModified": 1_700_000_000_000u64 });
    json!({
        "uuid": uuid, "metadata": seal(master, &about.to_string()), "rm": "r", "timestamp": 1, "chunks": size.div_ceil(CHUNK),
        "size": size, "bucket": "filen-1", "region": "de-1", "parent": "p", "version": 2, "favorited": 0,
    })
}

impl Filen {
    pub fn new(password: &str) -> Filen {
        let derived = derived(password);
        let login = hex(&derived[32..]);
        let mut filen = Filen {
            items: Vec::new(),
            pending: BTreeMap::new(),
            versions: Vec::new(),
            trash: Vec::new(),
            keeps_both: false,
            keys: 0,
            locked: 0,
            held: 0,
            masters: vec![hex(&derived[..32])],
            login: hex(digest::digest(&digest::SHA512, login.as_bytes()).as_ref()),
            clock: 0,
        };
        filen.folder_in(ROOT, FOLDER);
        filen
    }

    pub fn master(&self) -> &str {
        self.masters.last().unwrap()
    }

    fn opened(&self, sealed: &str) -> Option<Value> {
        let text = self.masters.iter().find_map(|master| open(master, sealed));
        serde_json::from_str(&text?).ok()
    }

    fn name(&self, metadata: &str) -> String {
        let about = self.opened(metadata);
        about.map_or(String::new(), |about| {
            about["name"].as_str().unwrap().to_owned()
        })
    }

    fn add(&mut self, item: Item) -> String {
        self.clock += 1;
        let uuid = match item.uuid.is_empty() {
            true => format!("00000000-0000-4000-9000-{:012}", self.clock),
            false => item.uuid.clone(),
        };
        let (uuid, created) = (uuid.clone(), self.clock);
        self.items.push(Item {
            uuid: uuid.clone(),
            name: self.name(&item.metadata),
            created,
            ..item
        });
        uuid
    }

    pub fn folder_in(&mut self, parent: &str, name: &str) -> String {
        let metadata = seal(self.master(), &json!({ "name": name }).to_string());
        let (parent, hash) = (parent.to_owned(), hashed(name));
        self.add(Item {
            parent,
            hash,
            metadata,
            ..Item::default()
        })
    }

    /// The id of [`FOLDER`].
    pub fn folder(&self) -> Option<String> {
        let found = self.items.iter().find(|item| item.name == FOLDER);
        found.map(|item| item.uuid.clone())
    }

    /// Puts a file into a folder under this master key, known by this hash.
    pub fn file_in(&mut self, parent: &str, name: &str, data: &[u8], by: (&str, String)) -> String {
        let entry = entry(by.0, "", name, data.len());
        let key = cipher(FILE_KEY.as_bytes());
        let chunk = |part: &[u8]| {
            let mut out = part.to_vec();
            let nonce = Nonce::assume_unique_for_key([7; 12]);
            key.seal_in_place_append_tag(nonce, Aad::empty(), &mut out)
                .unwrap();
            [&[7; 12][..], &out].concat()
        };
        self.add(Item {
            parent: parent.to_owned(),
            hash: by.1,
            metadata: entry["metadata"].as_str().unwrap().to_owned(),
            chunks: Some(data.chunks(CHUNK).map(chunk).collect()),
            ..Item::default()
        })
    }

    /// What a file holds.
    pub fn content(&self, item: &Item) -> Vec<u8> {
        let about = self.opened(&item.metadata).unwrap();
        let key = cipher(about["key"].as_str().unwrap().as_bytes());
        let mut out = Vec::new();
        for chunk in item.chunks.as_ref().unwrap() {
            let nonce = Nonce::try_assume_unique_for_key(&chunk[..12]).unwrap();
            let mut data = chunk[12..].to_vec();
            out.extend_from_slice(key.open_in_place(nonce, Aad::empty(), &mut data).unwrap());
        }
        assert_eq!(about["size"].as_u64(), Some(out.len() as u64));
        out
    }

    /// Files of a name, the newest last.
    pub fn named(&self, name: &str) -> Vec<&Item> {
        let all = self.items.iter();
        all.filter(|item| item.chunks.is_some() && item.name == name)
            .collect()
    }

    fn is_there(&self, uuid: &str) -> bool {
        uuid == ROOT || self.items.iter().any(|item| item.uuid == uuid)
    }

    fn list(&self, parent: &str) -> Reply {
        if !self.is_there(parent) {
            return refuse("folder_not_found");
        }
        let (mut uploads, mut folders) = (Vec::new(), Vec::new());
        for item in self.items.iter().filter(|item| item.parent == parent) {
            match &item.chunks {
                None => folders.push(json!({ "uuid": item.uuid, "name": item.metadata, "parent": parent, "timestamp": item.created })),
                Some(chunks) => {
                    let size: usize = chunks.iter().map(|c| c.len() - 28).sum();
                    uploads.push(json!({
                        "uuid": item.uuid, "metadata": item.metadata, "timestamp": item.created, "chunks": chunks.len(), "size": size,
                        "bucket": "filen-1", "region": "de-1", "parent": parent, "version": 2,
                    }));
                }
            }
        }
        good(&json!({ "uploads": uploads, "folders": folders }))
    }

    fn upload(&mut self, target: &str, body: &[u8]) -> Reply {
        let query: BTreeMap<&str, String> = target
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n, decode(v)))
            .collect();
        if !self.is_there(&query["parent"]) {
            return refuse("folder_not_found");
        }
        assert!(body.len() > 28 && body.len() <= CHUNK + 28);
        if hex(digest::digest(&digest::SHA512, body).as_ref()) != query["hash"] {
            return refuse("hash_mismatch");
        }
        assert!(!self.is_there(&query["uuid"]), "{target}");
        let pending = self.pending.entry(query["uuid"].clone()).or_default();
        if pending.permit.is_empty() {
            (pending.permit, pending.parent) =
                (query["uploadKey"].clone(), query["parent"].clone());
        }
        assert_eq!(
            (&pending.permit, &pending.parent),
            (&query["uploadKey"], &query["parent"])
        );
        pending
            .chunks
            .insert(query["index"].parse().unwrap(), body.to_vec());
        good(&json!({ "bucket": "filen-1", "region": "de-1" }))
    }

    /// The end of an upload.
    fn done(&mut self, about: &Value, is_empty: bool) -> Reply {
        let text = |name: &str| about[name].as_str().unwrap().to_owned();
        assert!(about["version"] == 2 && text("name").starts_with("002"));
        let mut chunks = Vec::new();
        if self.is_there(&text("uuid")) {
            return refuse("uuid_already_exists");
        }
        if !is_empty {
            let Some(pending) = self.pending.remove(&text("uuid")) else {
                return refuse("upload_not_found");
            };
            assert_eq!(
                (pending.permit, pending.parent),
                (text("uploadKey"), text("parent"))
            );
            assert!(text("rm").len() == 32);
            chunks = pending.chunks.into_values().collect::<Vec<_>>();
            assert_eq!(about["chunks"].as_u64(), Some(chunks.len() as u64));
        }
        assert!(self.held > 0, "the lock is held");
        let sizes: usize = chunks.iter().map(|c: &Vec<u8>| c.len() - 28).sum();
        let reply = good(&json!({ "chunks": chunks.len(), "size": sizes }));
        let (parent, hash) = (text("parent"), text("nameHashed"));
        if !self.keeps_both {
            let is_old =
                |item: &Item| item.parent == parent && item.hash == hash && item.chunks.is_some();
            let (old, rest) = std::mem::take(&mut self.items)
                .into_iter()
                .partition(is_old);
            self.items = rest;
            let mut old: Vec<Item> = old;
            self.versions.append(&mut old);
        }
        self.add(Item {
            uuid: text("uuid"),
            parent,
            hash,
            metadata: text("metadata"),
            chunks: Some(chunks),
            ..Item::default()
        });
        reply
    }

    fn remove(&mut self, uuid: &str, keeps: bool) -> Reply {
        assert!(self.held > 0, "the lock is held");
        let of = |all: &[Item]| all.iter().position(|item| item.uuid == uuid);
        if let Some(at) = of(&self.items) {
            let item = self.items.remove(at);
            if keeps {
                self.trash.push(item);
            }
            return good(&Value::Null);
        }
        match of(&self.versions).filter(|_| !keeps) {
            Some(at) => {
                self.versions.remove(at);
                good(&Value::Null)
            }
            None => refuse("file_not_found"),
        }
    }

    fn lock(&mut self, what: &str) -> Reply {
        if what == "release" {
            self.held = 0;
            return good(&json!({ "acquired": false, "released": true }));
        }
        let free = self.locked == 0;
        self.locked = self.locked.saturating_sub(1);
        self.held += i64::from(free);
        good(&json!({ "acquired": free, "released": false }))
    }

    /// What is asked without and with a log-in.
    fn gateway(&mut self, request: &Seen, what: &str, about: &Value) -> Reply {
        let text = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
        if request.method == "POST" {
            assert!(request.holds("content-type", "application/json"));
        }
        if what == "auth/info" {
            return good(&json!({ "authVersion": 2, "salt": SALT, "email": text("email") }));
        }
        if what == "login" {
            if text("password") != self.login {
                return refuse("email_or_password_wrong");
            }
            self.keys += 1;
            return good(&json!({ "apiKey": format!("acct-{}", self.keys) }));
        }
        let want = format!("Bearer acct-{}", self.keys);
        if request.header("authorization") != Some(&want) {
            return refuse("api_key_not_found");
        }
        let is_folder = what.starts_with("dir/");
        match what {
            "user/masterKeys" => {
                assert_eq!(
                    open(self.master(), &text("masterKeys")).as_deref(),
                    Some(self.master())
                );
                good(&json!({ "keys": seal(self.master(), &self.masters.join("|")) }))
            }
            "user/baseFolder" => good(&json!({ "uuid": ROOT })),
            "user/info" => good(&json!({ "maxStorage": 1u64 << 40, "storageUsed": 10 })),
            "user/lock" => self.lock(&text("type")),
            "dir/content" => self.list(&text("uuid")),
            "dir/exists" | "file/exists" if !self.is_there(&text("parent")) => {
                refuse("folder_not_found")
            }
            "dir/exists" | "file/exists" => {
                let fits = |item: &&Item| {
                    item.parent == text("parent")
                        && item.hash == text("nameHashed")
                        && item.chunks.is_none() == is_folder
                };
                let found = self.items.iter().find(fits);
                good(
                    &json!({ "exists": found.is_some(), "uuid": found.map_or("", |item| &item.uuid) }),
                )
            }
            "dir/create" => {
                let (parent, hash) = (text("parent"), text("nameHashed"));
                if !self.is_there(&parent) {
                    return refuse("folder_not_found");
                }
                let old = self
                    .items
                    .iter()
                    .find(|item| item.parent == parent && item.hash == hash);
                let uuid = match old {
                    Some(item) => item.uuid.clone(),
                    None => self.add(Item {
                        uuid: text("uuid"),
                        parent,
                        hash,
                        metadata: text("name"),
                        ..Item::default()
                    }),
                };
                good(&json!({ "uuid": uuid }))
            }
            "upload/done" => self.done(about, false),
            "upload/empty" => self.done(about, true),
            "file/trash" => self.remove(&text("uuid"), true),
            "file/delete/permanent" => self.remove(&text("uuid"), false),
            other => panic!("{other}"),
        }
    }

    fn download(&self, request: &Seen, parts: &[&str], twist: Twist) -> Reply {
        let found = self.items.iter().find(|item| item.uuid == parts[2]);
        // A redirect may lead to another name in the same place.
        let at = parts[3].parse().unwrap_or(0usize);
        let chunk = found.and_then(|item| item.chunks.as_ref()?.get(at));
        match chunk {
            Some(chunk) => ranged(chunk, request, twist, Vec::new()),
            None => (404, Vec::new(), refusal("file_not_found", "").into_bytes()),
        }
    }
}

impl Service for Filen {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        assert!(request.header("transfer-encoding").is_none());
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if request.method == "GET" && parts[0] == "de-1" {
            return self.download(request, &parts, twist);
        }
        if path == "/v3/upload" {
            return self.upload(query, &body);
        }
        let about = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let what = path.strip_prefix("/v3/").unwrap_or(path);
        self.gateway(request, what, &about)
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        let folder = match self.folder() {
            Some(folder) => folder,
            None => self.folder_in(ROOT, FOLDER),
        };
        let old: Vec<String> = self
            .named(name)
            .iter()
            .map(|item| item.uuid.clone())
            .collect();
        self.items.retain(|item| !old.contains(&item.uuid));
        let master = self.master().to_owned();
        self.file_in(&folder, name, data, (&master, hashed(name)));
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.named(name).last().map(|item| self.content(item))
    }
}
