//! Options of Box, and the account that a client works for which logs in for itself.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Options, options, row, text};
use crate::net::checks;
use crate::net::oauth;
use crate::net::url::encode;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    USER: text("box-user-id", "User whose files a client with --oauth-client-id and --oauth-client-secret works on.");
    ENTERPRISE: text("box-enterprise-id", "Enterprise for whose service account that client works, in place of a user.");
    PARTS: row("box-parts-from", Kind::Size(1 << 20), "50mb",
        "Longer files are sent in parts, of which a break costs no more than one; 20mb to 50mb.");
    PURGE: row("box-delete-from-trash", Kind::Flag, "", "Deleted files are removed from the trash, too.");
    ENDPOINT: text("box-endpoint", "Address that stands for both of the service's own, for tests.");
}

/// Whom a client stands for that logs in for itself, as fields of a form; empty where another log-in is given.
pub(super) fn subject(given: &Options) -> Result<String> {
    let text = |opt| given.text(opt).unwrap_or_default().trim().to_owned();
    let (user, enterprise) = (text(&USER), text(&ENTERPRISE));
    let other = given.secret(&AUTHID).is_some() || given.text(&TOKEN_FILE).is_some();
    if other || text(&CLIENT_ID).is_empty() {
        return Ok(String::new());
    }
    if given.secret(&REFRESH_TOKEN).is_some() {
        let cause = "a refresh token of Box is good for one use, and the next one would be lost";
        return Err(Error::usage(cause).hint("use --box-user-id with a client that logs in for itself, or --oauth-token-file, in which each new one is kept"));
    }
    let (kind, id) = match (user.is_empty(), enterprise.is_empty()) {
        (false, true) => ("user", user),
        (true, false) => ("enterprise", enterprise),
        _ => {
            let how = "use one of --box-user-id and --box-enterprise-id";
            return Err(checks::missing("account for --oauth-client-id", how));
        }
    };
    Ok(format!(
        "&box_subject_type={kind}&box_subject_id={}",
        encode(&id)
    ))
}
