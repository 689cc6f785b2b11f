//! Options of Google Drive.

use crate::base::opt::{options, text};
use crate::net::oauth;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    TEAM: text("googledrive-teamdrive-id", "Id of a shared drive in which the folder of the URL is, in place of the own one.");
    ENDPOINT: text("googledrive-endpoint", "Address that stands for the service's own, for tests.");
}
