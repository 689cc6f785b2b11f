//! Options of Google Cloud Storage, and the log-in that they name.

use crate::base::error::Result;
use crate::base::opt::{Kind, Options, Part, ignored, options, row, secret, text};
use crate::dest::logins;
use crate::net::checks;
use crate::net::oauth;
use crate::net::service::call::Login;
use crate::net::service::jwt::{self, ServiceAccount};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

options! {
    JSON: secret("gcs-service-account-json", "Key of a service account: the text of its JSON file.").of_login(Part::Password, "");
    FILE: row("gcs-service-account-file", Kind::Path, "",
        "JSON file with the key of a service account; also from GOOGLE_APPLICATION_CREDENTIALS.")
        .of_login(Part::Password, "GOOGLE_APPLICATION_CREDENTIALS");
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    PROJECT: text("gcs-project", "Project that a bucket is made in; the service account's own without it.");
    LOCATION: text("gcs-location", "Location that a bucket is made in, such as EU or europe-west3; the service's own without it.");
    CLASS: text("gcs-storage-class", "Storage class of a bucket that is made, such as NEARLINE; the service's own without it.");
    ENDPOINT: text("gcs-endpoint", "Address of the service, for emulators: with it a log-in is not needed.");
    POLICY: ignored("gcs-retention-policy-mode", "No effect: files are not locked.");
}

/// The service account that the options name.
pub(super) fn account(options: &Options) -> Result<Option<ServiceAccount>> {
    match (options.secret(&JSON), options.text(&FILE)) {
        (Some(json), _) => ServiceAccount::parse(json.reveal()).map(Some),
        (None, Some(path)) => ServiceAccount::read(path).map(Some),
        (None, None) => Ok(None),
    }
}

/// The log-in of a service account, else of an AuthID; `None` at an emulator that asks for none.
pub(super) fn login(
    options: &Options,
    account: Option<ServiceAccount>,
) -> Result<Option<Box<dyn Login>>> {
    match account {
        Some(account) => Ok(Some(jwt::login(account, SCOPE))),
        None if oauth::is_given(options) => oauth::login(options, &logins::GCS).map(Some),
        None if options.text(&ENDPOINT).is_some() => Ok(None),
        None => Err(checks::missing(
            "log-in for Google Cloud Storage",
            "use --gcs-service-account-file with the JSON file of a service account, --authid, or --oauth-token-file",
        )),
    }
}
