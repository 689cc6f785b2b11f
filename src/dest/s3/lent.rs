//! Keys of S3 that a service lends for a time (`destinations-more.md` 2.13, `duplicati`): asked for again before they end, and when
//! the server does not take them any more.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::dest::s3::config::{Setup, endpoint};
use crate::dest::s3::manner::{Given, Manner, Version};
use crate::net::http::Http;
use crate::net::service::rows::{Row, row};
use crate::net::service::{Dialect, tokens};
use crate::net::sigv4::Keys;

/// New keys are asked for this long before the end of the old ones; without a time they are good for [`LIFE_SECONDS`].
const SPARE_SECONDS: i64 = 300;
const LIFE_SECONDS: i64 = 900;

static MANNER: Manner = Manner {
    server: "--duplicati-endpoint",
    user: "--duplicati-auth-apiid",
    secret: "--duplicati-auth-apikey",
    class: "the storage class",
    bucket: "--duplicati-backup-id",
    missing: "--duplicati-backup-id",
    cold: "",
    names_region: false,
    conditional: false,
    version: Version::Auto,
    reader: "",
};

/// The service, and how it is asked.
pub(crate) struct Lender {
    pub(crate) http: Http,
    pub(crate) dialect: &'static Dialect,
    /// Where keys are had, and what that request has in its head.
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, Secret)>,
    /// What no message shows.
    pub(crate) secret: Secret,
}

/// Keys, and where they are good.
pub(crate) struct Lent {
    pub(super) server: String,
    pub(super) bucket: String,
    pub(super) folder: String,
    region: Option<String>,
    keys: Keys,
    until: Option<Instant>,
}

/// A field under its name, which may begin with a capital.
pub(crate) fn either(row: &Row, name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let capital: String = first.into_iter().chain(chars).collect();
    let text = row
        .get(name)
        .or_else(|| row.get(&capital))
        .unwrap_or_default();
    text.trim().to_owned()
}

/// As [`either`], a number.
pub(crate) fn either_number(row: &Row, name: &str) -> Option<u64> {
    let capital = format!("{}{}", name[..1].to_ascii_uppercase(), &name[1..]);
    row.number(name).or_else(|| row.number(&capital))
}

/// Seconds for which keys are used that end at a time (Unix seconds).
fn life(end: Option<i64>, now: i64) -> i64 {
    match end.map(|end| end.saturating_sub(now)) {
        Some(left) if left > SPARE_SECONDS => left - SPARE_SECONDS,
        // They are good for less than that: until the server refuses them.
        Some(left) if left > 0 => left,
        _ => LIFE_SECONDS - SPARE_SECONDS,
    }
}

impl Lender {
    /// Asks once; `None` where the service carries the files itself.
    pub(crate) fn ask(&mut self) -> Done<Option<Lent>> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (*n, v.reveal())).collect();
        let (url, secret) = (&self.url, self.secret.reveal());
        let asked = tokens::ask(&mut self.http, self.dialect, url, &headers, None, secret)?;
        let mut reply = asked.map_err(|told| tokens::fault(&told, self.dialect))?;
        let now = reply.date().unwrap_or_else(|| Timestamp::now().0);
        let row = row(&mut reply, self.dialect.who)?;
        let text = |name| either(&row, name);
        let (id, key) = (text("accessKeyId"), text("secretKey"));
        let lent = Lent {
            server: text("endpoint"),
            bucket: text("bucket"),
            folder: text("prefix").trim_matches('/').to_owned(),
            region: Some(text("region")).filter(|region| !region.is_empty()),
            until: None,
            keys: Keys::new(id.clone(), Secret::new(key.clone())),
        };
        let all = [&lent.server, &lent.bucket, &id, &key];
        if text("mode") != "direct" || all.iter().any(|text| text.is_empty()) {
            return Ok(None);
        }
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !plain(&id) || !plain(&key) {
            return Err(Fault::new(
                Class::Protocol,
                "the service gives no usable keys",
            ));
        }
        let end = either_number(&row, "rotateAfter").and_then(|n| i64::try_from(n).ok());
        let life = u64::try_from(life(end, now)).unwrap_or(0);
        let until = Instant::now().checked_add(Duration::from_secs(life));
        Ok(Some(Lent { until, ..lent }))
    }

    /// The server of a reply; in the clear only where the service itself is.
    fn server(&self, text: &str) -> Done<crate::dest::s3::config::Endpoint> {
        let found = endpoint(text, true, &MANNER, &Options::default());
        let found = found
            .ok()
            .filter(|found| found.tls || self.url.starts_with("http://"));
        found.ok_or_else(|| {
            Fault::new(
                Class::Protocol,
                "the service gives no address of a server with TLS",
            )
        })
    }
}

/// Keys for the client, and who gives the next ones.
pub(super) struct Purse {
    lender: RefCell<Lender>,
    until: Cell<Option<Instant>>,
    /// Those that were asked for last and are not in use yet.
    next: RefCell<Option<Lent>>,
    place: (String, String),
}

impl Purse {
    pub(super) fn is_over(&self) -> bool {
        self.until
            .get()
            .is_some_and(|until| until <= Instant::now())
    }

    pub(super) fn requests(&self) -> u64 {
        self.lender.borrow().http.requests()
    }

    /// Takes up keys for the same place.
    pub(super) fn find(&self, setup: &mut Setup) -> Done<()> {
        let mut lender = self.lender.borrow_mut();
        let lent = match self.next.borrow_mut().take() {
            Some(lent) => Some(lent),
            None => lender.ask()?,
        };
        let lent = lent.filter(|lent| self.place == (lent.bucket.clone(), lent.folder.clone()));
        let other = || {
            Fault::new(
                Class::Transient,
                "the service names another place for the files",
            )
            .hint("run it again")
        };
        let lent = lent.ok_or_else(other)?;
        setup.endpoint = lender.server(&lent.server)?;
        setup.keys = lent.keys;
        self.until.set(lent.until);
        Ok(())
    }
}

/// What a place comes to.
pub(super) fn setup(lender: Lender, lent: Lent) -> Result<(Setup, Purse)> {
    let given = Given {
        manner: &MANNER,
        bucket: lent.bucket.clone(),
        folder: lent.folder.clone(),
        server: lent.server.clone(),
        tls: true,
        region: lent.region.clone(),
        location: String::new(),
        class: None,
        keys: (Keys::new(String::new(), Secret::new(String::new())), None),
    };
    let mut setup = Setup::of(given, &Options::default())?;
    setup.virtual_host = false;
    let purse = Purse {
        lender: RefCell::new(lender),
        until: Cell::new(None),
        place: (lent.bucket.clone(), lent.folder.clone()),
        next: RefCell::new(Some(lent)),
    };
    Ok((setup, purse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_used_until_five_minutes_before_their_end() {
        for (end, used) in [
            (Some(1_000 + 3_600), 3_300),
            (Some(1_000 + 301), 1),
            (Some(1_000 + 300), 300),
            (Some(1_001), 1),
            // A clock that is wrong, or no time.
            (Some(1_000), 600),
            (Some(0), 600),
            (None, 600),
        ] {
            assert_eq!(life(end, 1_000), used, "{end:?}");
        }
    }
}
