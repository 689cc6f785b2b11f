//! Options of Dropbox.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Options, options, row, text};
use crate::net::oauth;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    PATH_ROOT: text("dropbox-path-root",
        "Where the folder of the URL is looked for: home, which is the member's own folder, team, or the number of a namespace.");
    PART: row("dropbox-part-size", Kind::Size(1 << 20), "32mb",
        "Longer files are sent in parts of this length, of which a break costs no more than one.");
    ENDPOINT: text("dropbox-endpoint", "Address that stands for both of the service's own, for tests.");
}

/// The number of the namespace in which paths begin, and whether that is to be asked for.
pub(super) fn root(given: &Options) -> Result<(Option<String>, bool)> {
    let root = given.text(&PATH_ROOT).unwrap_or("home").trim();
    let is_id = !root.is_empty() && root.bytes().all(|b| b.is_ascii_digit());
    match root.to_ascii_lowercase().as_str() {
        "home" => Ok((None, false)),
        "team" => Ok((None, true)),
        id if is_id => Ok((Some(id.to_owned()), false)),
        _ => Err(Error::usage("--dropbox-path-root is no place")
            .hint("give it as home, team or the number of a namespace")),
    }
}
