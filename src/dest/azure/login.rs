//! Signing with the account's key, by the server's clock where ours is wrong; SAS tokens that have run out.

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::azure::config;
use crate::net::http::{Http, Request};
use crate::net::service::Refusal;
use crate::net::service::call::Login;
use crate::net::shared_key::{SharedKey, http_date};

const VERSION: &str = "2021-12-02";
/// A clock that is further off is refused by the service.
const SKEW_SECONDS: u64 = 15 * 60;

/// The log-in with a key.
pub(super) struct Signer {
    key: SharedKey,
    /// How far the server's clock is ahead, in seconds, once that is known to matter.
    skew: Option<i64>,
    told: bool,
}

impl Signer {
    pub(super) fn new(key: SharedKey) -> Signer {
        Signer {
            key,
            skew: None,
            told: false,
        }
    }
}

impl Login for Signer {
    fn header(&mut self, _: &mut Http) -> Done<Option<Secret>> {
        Ok(None)
    }

    fn sign(
        &mut self,
        _: &mut Http,
        request: &Request<'_>,
        len: u64,
    ) -> Done<Vec<(&'static str, Secret)>> {
        let skew = self.skew.unwrap_or(0);
        let date = http_date(Timestamp::now().0.saturating_add(skew));
        let mut headers = request.headers.to_vec();
        headers.extend([("x-ms-date", date.as_str()), ("x-ms-version", VERSION)]);
        let signed = self
            .key
            .authorization(request.method, request.url, &headers, len);
        Ok(vec![
            ("authorization", Secret::new(signed)),
            ("x-ms-date", Secret::new(date)),
            ("x-ms-version", Secret::new(VERSION.to_owned())),
        ])
    }

    fn notices(&mut self) -> Vec<String> {
        let skew = self.skew.filter(|_| !self.told);
        self.told |= skew.is_some();
        let line = |skew: i64| {
            let off = skew.unsigned_abs();
            format!("device clock is off by {off} s; the server's clock is used for its requests")
        };
        skew.map(line).into_iter().collect()
    }

    /// Once, when the server's clock shows something else than ours.
    fn renew(&mut self, refusal: &Refusal) -> bool {
        let now = Timestamp::now().0;
        let skew = refusal.date.map_or(0, |date| date.saturating_sub(now));
        let clock = refusal.status == 403 && skew.unsigned_abs() > SKEW_SECONDS;
        if clock && self.skew.is_none() {
            self.skew = Some(skew);
            return true;
        }
        false
    }
}

/// The log-in with a SAS token, which stands in every address.
pub(super) struct Sas(pub(super) Secret);

impl Login for Sas {
    fn header(&mut self, _: &mut Http) -> Done<Option<Secret>> {
        Ok(None)
    }

    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Vec<(&'static str, Secret)>> {
        Ok(vec![("x-ms-version", Secret::new(VERSION.to_owned()))])
    }

    /// The server does not always say that a token has run out, but the token does.
    fn explain(&self, refusal: &Refusal, fault: Fault) -> Fault {
        let now = refusal.date.unwrap_or(Timestamp::now().0);
        let end = config::ended(&self.0, now).filter(|_| fault.class == Class::Auth);
        let Some(end) = end else { return fault };
        let end = text::safe_cut(end.as_bytes(), 40);
        let what = format!("the SAS token ran out on {end}");
        Fault::new(Class::Auth, what).hint("make a new SAS token")
    }
}
