//! Options of pCloud, and which of its servers a URL names.

use crate::base::error::{Error, Result};
use crate::base::opt::{Options, options, text};
use crate::base::text;
use crate::net::checks;
use crate::net::oauth;
use crate::net::url::DestUrl;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    ENDPOINT: text("pcloud-endpoint", "Address that stands for the server of the URL, for tests.");
}

/// Where accounts live: in the EU, and all others.
const SERVERS: [&str; 2] = ["api.pcloud.com", "eapi.pcloud.com"];

/// The address of the server that the host of a URL is.
pub(super) fn server(url: &DestUrl, given: &Options) -> Result<String> {
    let host = url.host.to_ascii_lowercase();
    if !SERVERS.contains(&host.as_str()) || url.port.is_some() {
        let port = url.port.map(|port| format!(":{port}")).unwrap_or_default();
        let shown = text::safe_cut(url.host.as_bytes(), 60) + &port;
        let cause = format!("'{shown}' is no server of pCloud");
        return Err(Error::usage(cause).hint("write pcloud://api.pcloud.com/folder, or pcloud://eapi.pcloud.com/folder for an account in the EU, without a port"));
    }
    let own = checks::own_address(given, &ENDPOINT)?;
    Ok(own.unwrap_or(format!("https://{host}")))
}
