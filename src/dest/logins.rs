//! Providers whose log-ins are OAuth's: where tokens are given, and what is asked for. A destination names its row, and
//! `duplet remote login` finds it by the scheme.

use crate::net::oauth::Provider;

const MICROSOFT: Provider = Provider {
    name: "Microsoft",
    scheme: "",
    service: "",
    token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    device: "devicecode",
    page: "authorize?response_mode=query",
    by_login_token: "",
    hosts: &[],
    scope: "",
    own: "&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
};

const GOOGLE: Provider = Provider {
    name: "Google",
    scheme: "",
    service: "",
    token_url: "https://oauth2.googleapis.com/token",
    device: "",
    page: "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
    by_login_token: "",
    hosts: &[],
    scope: "",
    own: "",
};

/// One that is reached through Duplicati's token service only.
const BY_SERVICE: Provider = Provider {
    name: "",
    scheme: "",
    service: "",
    token_url: "",
    device: "",
    page: "",
    by_login_token: "",
    hosts: &[],
    scope: "",
    own: "",
};

pub(crate) static ONEDRIVE: Provider = Provider {
    scheme: "onedrivev2",
    service: "onedrivev2",
    scope: "offline_access Files.ReadWrite",
    ..MICROSOFT
};
pub(crate) static SHAREPOINT: Provider = Provider {
    scheme: "sharepoint",
    service: "sharepoint",
    scope: "offline_access Files.ReadWrite.All Sites.Read.All",
    ..MICROSOFT
};
pub(crate) static MSGROUP: Provider = Provider {
    scheme: "msgroup",
    service: "msgroup",
    scope: "offline_access Files.ReadWrite.All Group.Read.All",
    ..MICROSOFT
};
/// The scope shows files of the same client only.
pub(crate) static GOOGLE_DRIVE: Provider = Provider {
    scheme: "googledrive",
    service: "googledrive",
    device: "device/code",
    scope: "https://www.googleapis.com/auth/drive.file",
    ..GOOGLE
};
/// Codes for other devices are not given for this scope.
pub(crate) static GCS: Provider = Provider {
    scheme: "gcs",
    service: "gcs",
    scope: "https://www.googleapis.com/auth/devstorage.read_write",
    ..GOOGLE
};
pub(crate) static DROPBOX: Provider = Provider {
    name: "Dropbox",
    scheme: "dropbox",
    service: "dropbox",
    token_url: "https://api.dropboxapi.com/oauth2/token",
    device: "",
    page: "https://www.dropbox.com/oauth2/authorize?token_access_type=offline",
    by_login_token: "",
    hosts: &[],
    scope: "account_info.read files.content.read files.content.write files.metadata.read files.metadata.write",
    own: "",
};
/// An own client's account comes from options. A refresh token is good for one use.
pub(crate) static BOX: Provider = Provider {
    name: "Box",
    scheme: "box",
    service: "box.com",
    token_url: "https://api.box.com/oauth2/token",
    page: "https://account.box.com/api/oauth2/authorize",
    scope: "root_readwrite",
    ..BY_SERVICE
};
/// An AuthID is an access token, which does not expire.
pub(crate) static PCLOUD: Provider = Provider {
    name: "pCloud",
    scheme: "pcloud",
    service: "pcloud",
    token_url: "https://api.pcloud.com/oauth2_token",
    page: "https://my.pcloud.com/oauth2/authorize",
    hosts: &["api.pcloud.com", "eapi.pcloud.com"],
    ..BY_SERVICE
};
/// A refresh token is good for one use.
pub(crate) static JOTTACLOUD: Provider = Provider {
    name: "Jottacloud",
    scheme: "jottacloud",
    service: "jottacloud",
    token_url: "https://id.jottacloud.com/auth/realms/jottacloud/protocol/openid-connect/token",
    by_login_token: "jottacli",
    scope: "openid offline_access",
    ..BY_SERVICE
};

/// All of them, by their schemes.
pub(crate) static ALL: &[&Provider] = &[
    &ONEDRIVE,
    &SHAREPOINT,
    &MSGROUP,
    &GOOGLE_DRIVE,
    &GCS,
    &DROPBOX,
    &BOX,
    &PCLOUD,
    &JOTTACLOUD,
];
