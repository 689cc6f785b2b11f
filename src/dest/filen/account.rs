//! An account of Filen: what its service is asked and means, the log-in, and the lock that changes are made under.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::bytes::hex;
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::dest::filen::keys::{self, Derived, Keys};
use crate::dest::objects::{Base, sent, sent_json};
use crate::net::http::{Http, Request};
use crate::net::service::call::{Login, Signed, bearer};
use crate::net::service::fill::plain_word;
use crate::net::service::rows::Row;
use crate::net::service::{Dialect, Form, Refusal, Verb, rules, words};

/// What stands for a code where the account has no second factor.
const NO_CODE: &str = "XXXXXX";
/// What changes hold while they are made, so that other clients do not change the same.
const LOCK: &str = "drive-write";

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "message"),
    who: "Filen",
    rules: rules! {
        200 "api_key_not_found" => Class::Auth, "the API key is not accepted", "make a new one, or leave --api-key out";
        200 "email_or_password_wrong email_not_found" => Class::Auth, "user or password is wrong", "the user is the e-mail address of the account";
        200 "enter_2fa" => Class::Auth, "the account wants the code of its second factor", "give --two-factor-code, good for this moment, or --api-key, which needs none";
        200 "wrong_2fa" => Class::Auth, "the code of the second factor is not accepted", "codes live half a minute; --api-key needs none";
        200 "folder_not_found" => Class::FolderMissing;
        200 "file_not_found upload_not_found" => Class::NotFound;
        200 "uuid_already_exists" => Class::Exists, "a file of this name is there";
        200 "max_storage_reached" => Class::Full;
        200 "rate_limited too_many_requests" => Class::Throttled(None);
        200 "internal_error chunks_missing" => Class::Transient;
        200 "hash_mismatch invalid_chunk_size" => Class::Integrity, "a chunk arrived damaged at the server";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check user and password, or the API key";
        Class::Full => "the account has no space left", "empty the trash, delete versions, or get more space";
    },
};

/// The API key of a log-in, which requests carry once there is one.
pub(super) type Token = Rc<RefCell<Option<Secret>>>;

pub(super) struct Bearer(pub(super) Token);

impl Login for Bearer {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        let token = self.0.borrow();
        let header = token.iter().map(|key| ("authorization", bearer(key)));
        Ok(header.collect())
    }
}

/// An account, and what is known of it once it was logged in to.
#[derive(Default)]
pub(super) struct Account {
    /// What stands for all hosts of the service.
    pub(super) own: Option<String>,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) code: Option<Secret>,
    /// An API key that was given.
    pub(super) api_key: Option<Secret>,
    pub(super) token: Token,
    /// Id of its uppermost folder.
    pub(super) root: String,
    /// Name of this run to others that want to change something.
    pub(super) run: String,
    pub(super) keys: Option<Keys>,
}

impl Account {
    pub(super) fn host(&self, name: &str) -> String {
        let usual = || format!("https://{name}.filen.io");
        self.own.clone().unwrap_or_else(usual)
    }

    pub(super) fn keys(&self) -> Done<&Keys> {
        let none = || Fault::new(Class::Protocol, "the log-in is not complete");
        self.keys.as_ref().ok_or_else(none)
    }

    /// A reply as it was meant: the service tells of refusals in good ones.
    pub(super) fn checked(&self, base: &Base, verb: Verb, row: Row) -> Done<Row> {
        if row.flag("status") {
            return Ok(row);
        }
        if !row.has("status") {
            let what = "the reply is none of Filen";
            return Err(Fault::new(Class::Protocol, what));
        }
        let refusal = Refusal {
            status: 200,
            code: plain_word(&row.text("code")),
            message: row.text("message"),
            ..Refusal::default()
        };
        if refusal.is("api_key_not_found") && self.api_key.is_none() {
            // The next attempt logs in.
            self.token.take();
            return Err(Fault::new(Class::Transient, "the log-in has ended"));
        }
        Err(base.service.fault(&refusal, verb))
    }

    /// Asks for something, or tells it.
    pub(super) fn ask(&self, base: &mut Base, verb: Verb, what: &str, about: &Value) -> Done<Row> {
        let url = format!("{}/v3/{what}", self.host("gateway"));
        let request = match about.is_null() {
            true => sent("GET", url, Vec::new()),
            false => sent_json("POST", url, about),
        };
        let row = base.row(verb, &request)?;
        self.checked(base, verb, row)
    }

    /// There is an API key, and the keys of the account are known.
    pub(super) fn log_in(&mut self, base: &mut Base) -> Done<()> {
        let has_token = self.token.borrow().is_some();
        if has_token && self.keys.is_some() {
            return Ok(());
        }
        if self.run.is_empty() {
            self.run = uuid()?;
        }
        let is = Verb::Login;
        let info = self.ask(base, is, "auth/info", &json!({ "email": self.user }))?;
        let version = info.number("data/authVersion").unwrap_or(0);
        let none = Secret::new(String::new());
        let password = self.password.as_ref().unwrap_or(&none);
        let derived = Derived::new(version, password, &info.text("data/salt"))?;
        let key = match &self.api_key {
            Some(key) => key.duplicate(),
            None => {
                let code = self
                    .code
                    .as_ref()
                    .map_or(NO_CODE, |code| code.reveal().trim());
                let about = json!({
                    "email": self.user, "password": derived.login.reveal(), "twoFactorCode": code, "authVersion": version,
                });
                let row = self.ask(base, is, "login", &about)?;
                Secret::new(row.text("data/apiKey"))
            }
        };
        if key.is_blank() {
            let what = "the server gives no API key";
            return Err(Fault::new(Class::Protocol, what));
        }
        self.token.replace(Some(key));
        let done = self.open_keys(base, version, derived);
        if done.is_err() {
            self.token.take();
        }
        done
    }

    fn open_keys(&mut self, base: &mut Base, version: u64, derived: Derived) -> Done<()> {
        let is = Verb::Login;
        let shut = || {
            let what = "the password does not open the keys of the account";
            Fault::new(Class::Auth, what).hint("check user and password")
        };
        self.keys = match version {
            2 => {
                let about = json!({ "masterKeys": derived.sealed()? });
                let row = self.ask(base, is, "user/masterKeys", &about)?;
                Some(
                    derived
                        .master_keys(&row.text("data/keys"))
                        .ok_or_else(shut)?,
                )
            }
            _ => {
                let row = self.ask(base, is, "user/dek", &Value::Null)?;
                let mut keys = derived.data_key(&row.text("data/dek")).ok_or_else(shut)?;
                let row = self.ask(base, is, "user/keyPair/info", &Value::Null)?;
                let done = keys.hash_with(&row.text("data/privateKey"));
                done.ok_or_else(shut)?;
                Some(keys)
            }
        };
        let row = self.ask(base, is, "user/baseFolder", &Value::Null)?;
        self.root = plain_word(&row.text("data/uuid"));
        Ok(())
    }

    /// Takes the lock that is held while something is changed, or gives it back.
    pub(super) fn lock(&self, base: &mut Base, what: &str) -> Done<Row> {
        let about = json!({ "uuid": self.run, "type": what, "resource": LOCK });
        let row = self.ask(base, Verb::Put, "user/lock", &about)?;
        match what == "release" || row.flag("data/acquired") {
            true => Ok(row),
            false => {
                let wait = Duration::from_secs(3);
                let what = "another program is changing files of the account";
                Err(Fault::new(Class::Throttled(Some(wait)), what))
            }
        }
    }

    /// Tells of a change while nobody else makes one.
    pub(super) fn change(
        &self,
        base: &mut Base,
        verb: Verb,
        what: &str,
        about: &Value,
    ) -> Done<Row> {
        self.lock(base, "acquire")?;
        let row = self.ask(base, verb, what, about);
        // Left alone it ends in half a minute.
        let _ = self.lock(base, "release");
        row
    }
}

/// A name for what is new.
pub(super) fn uuid() -> Done<String> {
    let mut raw = keys::random::<16>()?;
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    let digits = hex(&raw);
    let (a, b, c, d, e) = (
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    );
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}
