//! What a provider is, as far as log-ins go.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::net::redirect::split;
use crate::net::url::is_near;

/// A provider.
pub(crate) struct Provider {
    /// Its name for people.
    pub(crate) name: &'static str,
    /// The scheme of its destination, which `duplet remote login` takes.
    pub(crate) scheme: &'static str,
    /// Its name at Duplicati's token service; empty: not there.
    pub(crate) service: &'static str,
    /// Where it gives tokens to an own client; empty: to none, there is only the token service.
    pub(crate) token_url: &'static str,
    /// Where it gives codes that are entered on another device, as a reference from [`Provider::token_url`]; empty: nowhere.
    pub(crate) device: &'static str,
    /// The page on which a browser of this machine is asked for consent, as such a reference or an address, with what it
    /// wants in its query to give a refresh token; empty: none.
    pub(crate) page: &'static str,
    /// The client to which it gives a log-in for a token that a page of its shows a person, good for one use; empty: to none.
    pub(crate) by_login_token: &'static str,
    /// Hosts of [`Provider::token_url`], of which the browser's return names one, where it gives access tokens that do not expire
    /// and nothing to renew them; empty: it gives refresh tokens. The page of the token service shows such a token.
    pub(crate) hosts: &'static [&'static str],
    /// What is asked for, separated by spaces.
    pub(crate) scope: &'static str,
    /// What a client asks for that stands for itself (`client_credentials`), as fields of a form; empty: the provider has that not.
    pub(crate) own: &'static str,
}

/// An address that secrets may be sent to: over TLS, or of this machine.
pub(crate) fn safe_address(url: &str, named_by: &str) -> Result<String> {
    let near = url.starts_with("http://") && is_near(split(url).0);
    match near || url.starts_with("https://") {
        true => Ok(url.to_owned()),
        false => Err(Error::usage(format!(
            "{} is no address of https",
            text::safe(named_by.as_bytes())
        ))),
    }
}
