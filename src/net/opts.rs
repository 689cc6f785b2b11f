//! Options that every network destination reads (`destinations-core.md` 1.7): credentials, TLS, timeouts, proxy.
//!
//! They are constants so that a destination can name one where it reads it; `remote` lists them all for parsing and help.

use crate::base::opt::{Kind, Opt, row};

pub(crate) const AUTH_USERNAME: Opt = row(
    "auth-username",
    Kind::Text,
    "",
    "User name or key id for the destination; also from AUTH_USERNAME.",
);
pub(crate) const AUTH_PASSWORD: Opt = row(
    "auth-password",
    Kind::Secret,
    "",
    "Password or secret key for the destination; also from AUTH_PASSWORD.",
);
pub(crate) const USE_SSL: Opt = row(
    "use-ssl",
    Kind::Flag,
    "",
    "Talk to the destination over TLS; on by default for known public S3 services.",
);
pub(crate) const SSL_CA_FILE: Opt = row(
    "ssl-ca-file",
    Kind::Path,
    "",
    "PEM file with certificates to trust beside the built-in ones; also from SSL_CERT_FILE.",
);
pub(crate) const SSL_HASH: Opt = row(
    "accept-specified-ssl-hash",
    Kind::Word,
    "",
    "SHA-256 or SHA-1 fingerprints, separated by commas, of certificates to accept whatever their issuer or name, or of authorities whose certificates to accept whatever their name.",
);
pub(crate) const SSL_ANY: Opt = row(
    "accept-any-ssl-certificate",
    Kind::Flag,
    "",
    "Accept every certificate: anybody on the way can read and change the traffic.",
);
pub(crate) const SSL_VERSIONS: Opt = row(
    "allowed-ssl-versions",
    Kind::Text,
    "",
    "TLS versions to allow; TLS 1.2 and 1.3 are always used and older ones never.",
);
pub(crate) const SHORT_TIMEOUT: Opt = row(
    "short-timeout",
    Kind::Span,
    "30s",
    "Longest wait for a connection and for the reply to a small request.",
);
pub(crate) const LIST_TIMEOUT: Opt = row(
    "list-timeout",
    Kind::Span,
    "10m",
    "Longest wait for the reply to a listing request, and for its end.",
);
pub(crate) const READ_WRITE_TIMEOUT: Opt = Opt {
    aliases: &["http-readwrite-timeout"],
    ..row(
        "read-write-timeout",
        Kind::Span,
        "30s",
        "Longest pause within a transfer.",
    )
};
pub(crate) const OPERATION_TIMEOUT: Opt = row(
    "http-operation-timeout",
    Kind::Span,
    "",
    "Longest wait for the reply to a listing or to a finished upload.",
);
pub(crate) const NO_EXPECT: Opt = row(
    "disable-expect100-continue",
    Kind::Flag,
    "",
    "Send upload bodies without asking the server first.",
);
pub(crate) const NO_REUSE: Opt = row(
    "no-connection-reuse",
    Kind::Flag,
    "",
    "Open a new connection for every request.",
);
pub(crate) const HTTP_PROXY: Opt = row(
    "http-proxy",
    Kind::Secret,
    "",
    "Proxy URL, or none; by default http_proxy, https_proxy and all_proxy are read; no_proxy lists what is asked directly.",
);
pub(crate) const IGNORE_REVOCATION: Opt = row(
    "ignore-revocation-failure",
    Kind::Ignored,
    "",
    "No effect: revocation is not checked.",
);
pub(crate) const NO_NAGLE: Opt = row("disable-nagling", Kind::Ignored, "", "No effect.");
pub(crate) const BUFFERING: Opt = row("http-enable-buffering", Kind::Ignored, "", "No effect.");
