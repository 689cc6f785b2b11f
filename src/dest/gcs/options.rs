//! Options of Google Cloud Storage, and the log-in that they name.

use std::fs::File;
use std::io::Read as _;

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row};
use crate::net::opts;
use crate::net::service::authid::{self, AUTHID, OAUTH_URL};
use crate::net::service::call::{Login, Token};
use crate::net::service::jwt::{ServiceAccount, Tokens};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// A key file is far shorter.
const FILE_MAX_BYTES: u64 = 64 << 10;

const JSON: Opt = row(
    "gcs-service-account-json",
    Kind::Secret,
    "",
    "Key of a service account: the text of its JSON file.",
)
.of_login(Part::Password, "");
const FILE: Opt = row(
    "gcs-service-account-file",
    Kind::Path,
    "",
    "JSON file with the key of a service account; also from GOOGLE_APPLICATION_CREDENTIALS.",
)
.of_login(Part::Password, "GOOGLE_APPLICATION_CREDENTIALS");
pub(super) const PROJECT: Opt = row(
    "gcs-project",
    Kind::Text,
    "",
    "Project that a bucket is made in; the service account's own without it.",
);
pub(super) const LOCATION: Opt = row(
    "gcs-location",
    Kind::Text,
    "",
    "Location that a bucket is made in, such as EU or europe-west3; the service's own without it.",
);
pub(super) const CLASS: Opt = row(
    "gcs-storage-class",
    Kind::Text,
    "",
    "Storage class of a bucket that is made, such as NEARLINE; the service's own without it.",
);
pub(super) const ENDPOINT: Opt = row(
    "gcs-endpoint",
    Kind::Text,
    "",
    "Address of the service, for emulators: with it a log-in is not needed.",
);

/// Every option of the scheme.
pub(super) static OPTIONS: &[Opt] = &[
    JSON,
    FILE,
    AUTHID,
    OAUTH_URL,
    PROJECT,
    LOCATION,
    CLASS,
    ENDPOINT,
    row(
        "gcs-retention-policy-mode",
        Kind::Ignored,
        "",
        "No effect: files are not locked.",
    ),
];

/// Who asks.
pub(super) struct Who {
    pub(super) login: Box<dyn Login>,
    /// False at an emulator that asks for no log-in.
    pub(super) is_somebody: bool,
    /// Mail address of a service account; empty for others.
    pub(super) account: String,
    /// Its project; empty where none is known.
    pub(super) project: String,
}

/// A service account, else an AuthID, else, at an emulator, nobody.
pub(super) fn who(options: &Options) -> Result<Who> {
    let json = match (options.secret(&JSON), options.text(&FILE)) {
        (Some(json), _) => Some(json.reveal().to_owned()),
        (None, Some(path)) => Some(read(path)?),
        (None, None) => None,
    };
    let plain = |login, is_somebody| Who {
        login,
        is_somebody,
        account: String::new(),
        project: String::new(),
    };
    if let Some(json) = json {
        let account = ServiceAccount::parse(&json)?;
        return Ok(Who {
            account: account.email.clone(),
            project: account.project.clone(),
            login: Box::new(Tokens::new(account, SCOPE)),
            is_somebody: true,
        });
    }
    if options.secret(&AUTHID).is_some() {
        return authid::login(options).map(|login| plain(login, true));
    }
    if options.text(&ENDPOINT).is_some() {
        return Ok(plain(Box::new(Token(None)), false));
    }
    Err(opts::missing(
        "log-in for Google Cloud Storage",
        "use --gcs-service-account-file with the JSON file of a service account, or --authid",
    ))
}

fn read(path: &str) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|f| f.take(FILE_MAX_BYTES).read_to_string(&mut text));
    let shown = crate::base::text::safe(path.as_bytes());
    read.map_err(|e| Error::usage(format!("cannot read the key file {shown}: {e}")))?;
    Ok(text)
}
