//! Log-ins by OAuth (`destinations-more.md` 2.7): the one place a provider's destination gets its tokens from, whatever the
//! person has: an AuthID of Duplicati's token service, a file that `duplet remote login` made, a refresh token of an own client,
//! a client that stands for itself, or a token that was given once.
//!
//! How long a token lives is counted by this program's own running time, so that a wrong clock changes nothing.

pub(crate) mod consent;
mod grant;
mod provider;
pub(crate) mod token_file;

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row, secret, text};
use crate::base::secret::Secret;
use crate::net::checks;
use crate::net::oauth::grant::{Client, Grant, Source};
use crate::net::oauth::token_file::TokenFile;
use crate::net::service::authid;
use crate::net::service::call::Login;
use crate::net::service::tokens::Tokens;

pub(crate) use crate::net::oauth::provider::{Provider, safe_address};
pub(crate) use crate::net::service::authid::{AUTHID, OAUTH_URL};

pub(crate) const CLIENT_ID: Opt = text(
    "oauth-client-id",
    "Client id of an own registration at the provider, in place of an AuthID.",
);
pub(crate) const CLIENT_SECRET: Opt = secret(
    "oauth-client-secret",
    "Secret of that client; without a refresh token the client logs in for itself, where the provider has that.",
)
.of_login(Part::Password, "");
pub(crate) const REFRESH_TOKEN: Opt =
    secret("oauth-refresh-token", "Refresh token for that client.").of_login(Part::Password, "");
pub(crate) const TOKEN_URL: Opt = text(
    "oauth-token-url",
    "Address at which the provider gives tokens to that client; the provider's usual one without it.",
);
pub(crate) const TOKEN_FILE: Opt = row(
    "oauth-token-file",
    Kind::Path,
    "",
    "File with a log-in, as 'duplet remote login' makes it; a new refresh token is written back.",
)
.of_login(Part::Password, "");

/// True when the options name a log-in, of whatever kind.
pub(crate) fn is_given(options: &Options) -> bool {
    options.secret(&AUTHID).is_some()
        || [&TOKEN_FILE, &CLIENT_ID].iter().any(|opt| {
            options
                .given(opt.name)
                .is_some_and(|v| !v.trim().is_empty())
        })
}

/// Whose log-in it is, for [`Destination::account`](crate::dest::Destination::account): the same text for the same option
/// values, of which nothing can be learnt. What comes behind the key of an AuthID does not count.
pub(crate) fn account(options: &Options) -> String {
    let id = options.secret(&AUTHID);
    let id = id.as_ref().map(Secret::reveal).unwrap_or_default();
    let id = match id.starts_with("v2:") {
        true => id,
        false => id.split(':').next().unwrap_or_default(),
    };
    let rest = [&TOKEN_FILE, &CLIENT_ID, &REFRESH_TOKEN];
    let rest = rest
        .iter()
        .map(|opt| options.given(opt.name).unwrap_or_default());
    let all: Vec<&str> = std::iter::once(id).chain(rest).collect();
    match all.iter().all(|part| part.trim().is_empty()) {
        true => String::new(),
        false => hex(&Algo::Sha256.hash(all.join("\n").as_bytes()).as_bytes()[..8]),
    }
}

/// The log-in that the options name at a provider whose tokens do not expire: one is what an AuthID is there.
#[cfg(feature = "dest-pcloud")]
pub(crate) fn token(options: &Options, provider: &'static Provider) -> Result<Box<dyn Login>> {
    let way = format!("'duplet remote login {}' gives one", provider.scheme);
    let (token, notices) = match (options.secret(&AUTHID), options.text(&TOKEN_FILE)) {
        (Some(token), _) => (token, Vec::new()),
        (None, Some(path)) => {
            let mut file = TokenFile::read(path)?;
            file.check_is_for(provider.scheme)?;
            let none = || Error::usage(format!("{} has no access token", file.shown()));
            let token = file.get(token_file::AUTHID).to_owned();
            if token.is_empty() {
                return Err(none().hint(way));
            }
            (Secret::new(token), file.take_notices())
        }
        (None, None) => {
            let what = format!("access token for {}", provider.name);
            let how = format!("use --authid, or --oauth-token-file; {way}");
            return Err(checks::missing(&what, &how));
        }
    };
    match token.reveal().contains(':') {
        true => {
            let cause = format!("the log-in is no access token of {}", provider.name);
            Err(Error::usage(cause).hint(way))
        }
        false => Ok(authid::token(token, notices)),
    }
}

/// The log-in that the options name.
pub(crate) fn login(options: &Options, provider: &'static Provider) -> Result<Box<dyn Login>> {
    login_as(options, provider, provider.own)
}

/// As [`login`]; `own` in place of [`Provider::own`].
pub(crate) fn login_as(
    options: &Options,
    provider: &'static Provider,
    own: &str,
) -> Result<Box<dyn Login>> {
    if let Some(id) = options.secret(&AUTHID) {
        let url = service_url(options)?;
        return Ok(authid::of(id, url, provider.scheme, Vec::new()));
    }
    let client = client(options, provider)?;
    if let Some(path) = options.text(&TOKEN_FILE) {
        let mut file = TokenFile::read(path)?;
        file.check_is_for(provider.scheme)?;
        if let Some(id) = file.take_authid() {
            let url = file.get(token_file::SERVICE_URL).to_owned();
            let url = if url.is_empty() {
                service_url(options)?
            } else {
                url
            };
            let (url, notices) = (safe_address(&url, path)?, file.take_notices());
            return Ok(authid::of(id, url, provider.scheme, notices));
        }
        return Ok(Box::new(Tokens::of(Grant::of_file(client, file)?)));
    }
    let way = format!(
        "use --authid, or --oauth-token-file with the file that 'duplet remote login {}' makes",
        provider.scheme
    );
    if client.id.is_empty() {
        let what = format!("log-in for {}", provider.name);
        return Err(checks::missing(&what, &way));
    }
    if client.url.is_empty() {
        let cause = format!("{} has no log-in by an own client here", provider.name);
        return Err(Error::usage(cause).hint(way));
    }
    let source = match options.secret(&REFRESH_TOKEN) {
        Some(token) => Source::Refresh(token),
        None if !own.is_empty() && client.secret.is_some() => Source::Own(own.to_owned()),
        None => {
            let what = "refresh token for --oauth-client-id";
            return Err(checks::missing(
                what,
                &format!(
                    "use --oauth-refresh-token, or --oauth-token-file with the file that 'duplet remote login {}' makes",
                    provider.scheme
                ),
            ));
        }
    };
    Ok(Box::new(Tokens::of(Grant::new(client, source))))
}

/// The client that the options name; its id may be empty.
pub(crate) fn client(options: &Options, provider: &'static Provider) -> Result<Client> {
    Ok(Client {
        provider,
        id: options
            .text(&CLIENT_ID)
            .unwrap_or_default()
            .trim()
            .to_owned(),
        secret: options.secret(&CLIENT_SECRET),
        url: match options.text(&TOKEN_URL) {
            Some(url) => safe_address(url.trim(), "--oauth-token-url")?,
            None => provider.token_url.to_owned(),
        },
    })
}

/// The address of the token service for AuthIDs.
pub(crate) fn service_url(options: &Options) -> Result<String> {
    let url = options.text(&OAUTH_URL).unwrap_or_default().trim();
    safe_address(url, "--oauth-url")
}

#[cfg(test)]
mod tests;
