//! Log-ins by tokens that live for a time, once for all services: asked for when the first is needed, used until shortly before
//! its end, and given up when the server does not take it any more. What a token is got for is the [`Lender`]'s.

use std::time::{Duration, Instant};

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
#[cfg(feature = "dest-openstack")]
use crate::base::time::Timestamp;
#[cfg(feature = "dest-openstack")]
use crate::net::http::iso_time;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::service::call::{Login, Signed, bearer};
use crate::net::service::rows::Row;
use crate::net::service::send::send_home;
use crate::net::service::{Content, Dialect, Refusal, Verb};

/// A token is not used any more this long before its end.
const SPARE: Duration = Duration::from_secs(30);

/// A token as it was given.
pub(crate) struct Lent {
    token: Secret,
    /// What stands before the addresses of requests; empty where the service's address is known.
    base: String,
    until: Option<Instant>,
}

impl Lent {
    /// `who` gives it. `base`: an address, with or without `/` at its end; `None` where that is known. `life`: seconds that the token lives from
    /// now on; `None`, or one that is over, where the server does not say: then it is good until the server refuses it.
    pub(crate) fn new(
        who: &str,
        token: String,
        base: Option<&str>,
        life: Option<i64>,
    ) -> Done<Lent> {
        let base = base.map(|base| base.trim().trim_end_matches('/'));
        let odd = |base: &str| {
            !(base.starts_with("https://") || base.starts_with("http://"))
                || base.contains(['?', '#', ' '])
        };
        let lacks = |what| Fault::new(Class::Protocol, format!("{who} gives no {what}"));
        if token.is_empty() {
            return Err(lacks("token"));
        }
        if token.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err(lacks("usable token"));
        }
        if base.is_some_and(odd) {
            return Err(lacks("usable address of the storage"));
        }
        let life = life.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
        let life = life.map(|s| Duration::from_secs(s).saturating_sub(SPARE));
        Ok(Lent {
            token: Secret::new(token),
            base: base.unwrap_or_default().to_owned(),
            until: life.and_then(|life| Instant::now().checked_add(life)),
        })
    }

    /// From the reply of a token service: `access_token`, and its life in the field that is named.
    pub(crate) fn of(row: &Row, life: &str) -> Done<Lent> {
        let life = row.number(life).and_then(|n| i64::try_from(n).ok());
        Lent::new("the token service", row.text("access_token"), None, life)
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// Who gives tokens.
pub(crate) trait Lender {
    /// Asks for a token; one attempt.
    fn lend(&mut self, http: &mut Http) -> Done<Lent>;

    /// The header of a request with the token.
    fn header(&self, token: &Secret) -> (&'static str, Secret) {
        ("authorization", bearer(token))
    }

    /// See [`Login::notices`].
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// The log-in with tokens of a lender.
pub(crate) struct Tokens<L> {
    lender: L,
    lent: Option<Lent>,
}

impl<L: Lender> Tokens<L> {
    pub(crate) fn of(lender: L) -> Tokens<L> {
        Tokens { lender, lent: None }
    }
}

impl<L: Lender> Login for Tokens<L> {
    fn sign(&mut self, http: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        // As `base` left it: one that is over at once is good for this request all the same.
        let lent = match self.lent.take() {
            Some(lent) => lent,
            None => self.lender.lend(http)?,
        };
        let lent = self.lent.insert(lent);
        Ok(vec![self.lender.header(&lent.token)])
    }

    fn base(&mut self, http: &mut Http) -> Done<String> {
        let lent = match self.lent.take().filter(|lent| !lent.is_over()) {
            Some(lent) => lent,
            None => self.lender.lend(http)?,
        };
        Ok(self.lent.insert(lent).base.clone())
    }

    fn notices(&mut self) -> Vec<String> {
        self.lender.notices()
    }

    fn renew(&mut self, refusal: &Refusal) -> bool {
        refusal.status == 401 && self.lent.take().is_some()
    }
}

/// Asks a service that gives tokens or keys, for JSON, and follows it within its address. `body` comes after its media type.
/// What the service repeats of `secret` is masked.
pub(crate) fn ask(
    http: &mut Http,
    dialect: &Dialect,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<(&str, &Secret)>,
    secret: &str,
) -> Done<Result<Reply, Refusal>> {
    let mut headers = headers.to_vec();
    headers.push(("accept", "application/json"));
    headers.extend(body.map(|(kind, _)| ("content-type", kind)));
    let request = Request {
        method: if body.is_some() { "POST" } else { "GET" },
        url,
        headers: &headers,
        payload: Payload::None,
        pace: Pace::Short,
        expect: false,
    };
    let mut content = match body {
        Some((_, body)) => Content::Bytes(body.reveal().as_bytes()),
        None => Content::None,
    };
    let mut reply = send_home(http, request, &mut content, &mut || {}).0?;
    if (200..300).contains(&reply.status) {
        return Ok(Ok(reply));
    }
    Ok(Err(refused(&mut reply, dialect, secret)))
}

/// A refusal in which no secret is repeated.
pub(crate) fn refused(reply: &mut Reply, dialect: &Dialect, secret: &str) -> Refusal {
    let mut told = Refusal::of(reply, dialect.form);
    if !secret.is_empty() {
        told.message = told.message.replace(secret, "***");
    }
    told
}

/// Seconds until a time (ISO 8601) that the server tells in a reply of this date, by its own clock.
#[cfg(feature = "dest-openstack")]
pub(crate) fn until(end: &str, date: Option<i64>) -> Option<i64> {
    let now = date.unwrap_or_else(|| Timestamp::now().0);
    iso_time(end).map(|end| end.saturating_sub(now))
}

/// The fault that the refusal of a log-in is.
pub(crate) fn fault(told: &Refusal, dialect: &Dialect) -> Fault {
    told.fault(dialect, Verb::Login, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(token: &str, base: Option<&str>, life: Option<i64>) -> Result<Lent, String> {
        let lent = Lent::new("the log-in", token.to_owned(), base, life);
        lent.map_err(|fault| fault.text)
    }

    #[test]
    fn tokens_and_addresses_that_can_be_used() {
        for (token, base, missing) in [
            ("t", None, ""),
            ("t", Some("https://h/v1/"), ""),
            ("t", Some("http://h"), ""),
            ("", None, "token"),
            ("a b", None, "usable token"),
            ("a\r\nx: y", None, "usable token"),
            ("t", Some(""), "usable address"),
            ("t", Some("ftp://h"), "usable address"),
            ("t", Some("https://h?x"), "usable address"),
            ("t", Some("https://h a"), "usable address"),
        ] {
            let got = lent(token, base, None);
            match missing {
                "" => {
                    let want = base.unwrap_or_default().trim_end_matches('/');
                    assert_eq!(got.expect(token).base, want);
                }
                _ => assert!(
                    got.err().expect(token).contains(missing),
                    "{token} {base:?}"
                ),
            }
        }
    }

    #[test]
    fn a_token_is_over_shortly_before_its_end() {
        for (life, over) in [
            (None, false),
            (Some(3600), false),
            (Some(i64::MAX), false),
            (Some(30), true),
            (Some(1), true),
            // A clock that is wrong: the server will say.
            (Some(0), false),
            (Some(-5), false),
        ] {
            assert_eq!(
                lent("t", None, life).expect("good").is_over(),
                over,
                "{life:?}"
            );
        }
    }
}
