//! The services: what their refusals mean, and the log-in. Sources as in `client.rs`.

use serde_json::json;

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::net::http::Http;
use crate::net::service::tokens::{self, Lender, Lent};
use crate::net::service::{Dialect, Form, rows, rules, words};

/// What stands beside what would be written.
pub(super) const CLOSED_TO_WRITING: &str =
    "FileJump closed its interface for programs at the end of 2025; back up to another destination";
/// What is said of a reply that is none.
pub(super) const BY_HAND: &str = "FileJump closed its interface for programs at the end of 2025: download the volumes in a browser and name their folder";

/// [docs] 401, 403, 404, 422 with the fields that are wrong, 429.
pub(super) static DRIME: Dialect = Dialect {
    form: Form::Json("", "message"),
    who: "Drime",
    rules: rules! {
        // [Duplicati]: so it says that an entry is gone.
        422 "entryIds" [Delete] => Class::NotFound;
        // The text of the software that both services run.
        422 "" "exhausted your allowed space" => Class::Full;
        403 "" "exhausted your allowed space" => Class::Full;
        422 "parentId" => Class::FolderMissing;
        422 "" [Login] => Class::Auth;
        422 "" => Class::Protocol, "the service does not take the request";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check --api-token: one is made in the settings of the account under 'Developers'";
        Class::Full => "the account has no space left", "what is in the trash counts: empty it, or get more space";
    },
};

/// The same of a service that is closed: whatever is not there may be all of it.
pub(super) static FILEJUMP: Dialect = Dialect {
    form: Form::Json("", "message"),
    who: "FileJump",
    rules: rules! {
        404 "" [List Login] => Class::Unsupported, "=FileJump closed its interface for programs at the end of 2025", "download the volumes in a browser and name their folder";
        410 "" => Class::Unsupported, "=FileJump closed its interface for programs at the end of 2025", "download the volumes in a browser and name their folder";
        422 "" [Login] => Class::Auth;
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check --api-token; if it is right: FileJump closed its interface for programs at the end of 2025: download the volumes in a browser and name their folder";
        Class::NoHost => "the service is gone", "FileJump closed its interface for programs at the end of 2025: download the volumes in a browser and name their folder";
    },
};

/// A user and a password, for which the service gives a token that lives until it is removed.
pub(super) struct User {
    pub(super) api: String,
    pub(super) dialect: &'static Dialect,
    pub(super) name: String,
    pub(super) password: Secret,
}

impl Lender for User {
    fn lend(&mut self, http: &mut Http) -> Done<Lent> {
        let password = self.password.reveal();
        // [docs] and [Duplicati] for Drime; [Duplicati] for FileJump.
        let field = match self.dialect.who {
            "Drime" => "device_name",
            _ => "token_name",
        };
        let body = json!({ "email": self.name, "password": password, field: "duplet" });
        let body = Secret::new(body.to_string());
        let url = format!("{}/auth/login", self.api);
        let body = Some(("application/json", &body));
        let asked = tokens::ask(http, self.dialect, &url, &[], body, password)?;
        let refused = |fault: Fault| {
            match fault.class {
            Class::Auth => fault.hint("check --auth-username and --auth-password; an account with a second factor wants --api-token"),
            _ => fault,
        }
        };
        let asked = asked.map_err(|told| Fault {
            hint: String::new(),
            ..tokens::fault(&told, self.dialect)
        });
        let row = rows::row(&mut asked.map_err(refused)?, self.dialect.who)?;
        if row.get("user/banned_at").is_some_and(|at| !at.is_empty()) {
            return Err(Fault::new(Class::Auth, "the account is banned"));
        }
        if row.get("status") != Some("success") {
            return Err(refused(Fault::new(Class::Auth, "the log-in was refused")));
        }
        let token = row.text("user/access_token");
        Lent::new(self.dialect.who, token, None, None)
    }
}
