//! Options that every network destination reads (`destinations-core.md` 1.7): credentials, TLS, timeouts, proxy.
//!
//! They are constants so that a destination can name one where it reads it; `remote` lists them all for parsing and help.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row};
use crate::base::secret::Secret;
use crate::net::url::DestUrl;

pub(crate) const AUTH_USERNAME: Opt = row(
    "auth-username",
    Kind::Text,
    "",
    "User name or key id for the destination; also from AUTH_USERNAME.",
)
.of_login(Part::User, "AUTH_USERNAME");
pub(crate) const AUTH_PASSWORD: Opt = row(
    "auth-password",
    Kind::Secret,
    "",
    "Password or secret key for the destination; also from AUTH_PASSWORD.",
)
.of_login(Part::Password, "AUTH_PASSWORD");
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

/// User and password as far as they are given: by the destination's own options, in the URL, or in general, in this order and
/// each for itself; blank ones are not given.
pub(crate) fn login(
    url: &DestUrl,
    options: &Options,
    own: Option<(&'static Opt, &'static Opt)>,
) -> (Option<String>, Option<Secret>) {
    let user = own.and_then(|(user, _)| options.text(user));
    let user = user.or(url.user.as_deref().filter(|u| !u.trim().is_empty()));
    let password = own.and_then(|(_, password)| options.secret(password));
    let in_url = || url.password.as_ref().filter(|p| !p.is_blank());
    (
        user.or(options.text(&AUTH_USERNAME)).map(str::to_owned),
        password
            .or_else(|| in_url().map(Secret::duplicate))
            .or_else(|| options.secret(&AUTH_PASSWORD)),
    )
}

/// As [`login`] where nothing goes without; `what` are the names of the two, for errors.
pub(crate) fn keys(
    url: &DestUrl,
    options: &Options,
    own: (&'static Opt, &'static Opt),
    what: (&str, &str),
) -> Result<(String, Secret)> {
    let missing = |what: &str, general: &Opt, own: &Opt| {
        Error::usage(format!("no {what} given")).hint(format!(
            "use --{}, --{} or {}",
            general.name, own.name, own.env
        ))
    };
    let (user, password) = login(url, options, Some(own));
    let user = user.ok_or_else(|| missing(what.0, &AUTH_USERNAME, own.0))?;
    let password = password.ok_or_else(|| missing(what.1, &AUTH_PASSWORD, own.1))?;
    Ok((user.trim().to_owned(), password))
}
