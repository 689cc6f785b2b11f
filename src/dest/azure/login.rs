//! Signing with the account's key, by the server's clock where ours is wrong.

use std::cell::Cell;
use std::rc::Rc;

use crate::base::fault::Done;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::net::http::{Http, Request};
use crate::net::service::Refusal;
use crate::net::service::call::Login;
use crate::net::shared_key::{SharedKey, http_date};

/// A clock that is further off is refused by the service.
const SKEW_SECONDS: u64 = 15 * 60;

/// How far the server's clock is ahead, in seconds, once that is known to matter.
pub(super) type Skew = Rc<Cell<Option<i64>>>;

/// The log-in with a key.
pub(super) struct Signer {
    pub(super) key: SharedKey,
    pub(super) skew: Skew,
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
        let skew = self.skew.get().unwrap_or(0);
        let date = http_date(Timestamp::now().0.saturating_add(skew));
        let mut headers = request.headers.to_vec();
        headers.push(("x-ms-date", &date));
        let signed = self
            .key
            .authorization(request.method, request.url, &headers, len);
        Ok(vec![
            ("authorization", Secret::new(signed)),
            ("x-ms-date", Secret::new(date)),
        ])
    }

    /// Once, when the server's clock shows something else than ours.
    fn renew(&mut self, refusal: &Refusal) -> bool {
        let now = Timestamp::now().0;
        let skew = refusal.date.map_or(0, |date| date.saturating_sub(now));
        let clock = refusal.status == 403 && skew.unsigned_abs() > SKEW_SECONDS;
        if clock && self.skew.get().is_none() {
            self.skew.set(Some(skew));
            return true;
        }
        false
    }
}
