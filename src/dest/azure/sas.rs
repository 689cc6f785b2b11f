//! SAS tokens, which stand in every address: what one looks like, and when it has run out.

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::net::http::{Http, Request, iso_time};
use crate::net::service::Refusal;
use crate::net::service::call::{Login, Signed};
use crate::net::url::decode_percent;

/// The version of the service's interface that is spoken.
pub(super) const VERSION: &str = "2021-12-02";

/// A parameter of a token, as it stands there.
fn field<'a>(token: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = token.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// A SAS token without what may stand before it: a `?`, or the whole address it was copied with.
pub(super) fn token(given: &Secret) -> Result<Secret> {
    let text = given.reveal().trim();
    let token = text.rsplit_once('?').map_or(text, |(_, token)| token);
    let odd = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}#".contains(c);
    if field(token, "sig").is_none() || field(token, "sv").is_none() || token.contains(odd) {
        return Err(Error::usage("--azure-access-sas-token is no whole SAS token").hint(
            "it holds sv= and sig=; quote it in the shell, and in a URL percent-encode it once more, & as %26 and % as %25",
        ));
    }
    Ok(Secret::new(token.to_owned()))
}

/// What no message may show of a token.
pub(super) fn hidden(token: &Secret) -> Vec<Secret> {
    let signature = field(token.reveal(), "sig").unwrap_or_default();
    vec![token.duplicate(), Secret::new(signature.to_owned())]
}

/// The log-in with a SAS token.
pub(super) struct Sas(pub(super) Secret);

impl Login for Sas {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        Ok(vec![("x-ms-version", Secret::new(VERSION.to_owned()))])
    }

    fn query(&self) -> &str {
        self.0.reveal()
    }

    /// The server does not always say that a token has run out, but the token does.
    fn explain(&self, refusal: &Refusal, fault: Fault) -> Fault {
        let now = refusal.date.unwrap_or(Timestamp::now().0);
        let end = decode_percent(field(self.0.reveal(), "se").unwrap_or_default());
        // A day or a minute will do.
        let short = end.trim_end_matches(['Z', 'z']);
        let rest = "0000-00-00T00:00:00".get(short.len()..).unwrap_or_default();
        let time = iso_time(&format!("{short}{rest}")).filter(|_| fault.class == Class::Auth);
        if time.is_none_or(|time| time > now) {
            return fault;
        }
        let end = text::safe_cut(end.as_bytes(), 40);
        let what = format!("the SAS token ran out on {end}");
        Fault::new(Class::Auth, what).hint("make a new SAS token")
    }
}
