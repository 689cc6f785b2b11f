//! Log-ins by AuthID (`destinations-more.md` 2.7): Duplicati's token service gives tokens of a provider for one, so that the
//! provider's own secret stays with it.

use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::{Kind, Opt, Part, row};
use crate::base::secret::Secret;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::redirect::{Chain, foreign, same_origin, split};
use crate::net::service::call::{Login, Token};
#[cfg(feature = "dest-pcloud")]
use crate::net::service::call::{Signed, bearer};
use crate::net::service::refusal::word;
use crate::net::service::rows;
use crate::net::service::tokens::{self, Lender, Lent, Tokens};
use crate::net::service::{Dialect, Form, Verb, rules};
use crate::net::url::is_near;

pub(crate) const AUTHID: Opt = row(
    "authid",
    Kind::Secret,
    "",
    "AuthID of Duplicati's token service, or an access token that does not expire.",
)
.of_login(Part::Password, "");
pub(crate) const OAUTH_URL: Opt = row(
    "oauth-url",
    Kind::Text,
    "https://duplicati-oauth-handler.appspot.com/refresh",
    "Token service that AuthIDs are for.",
);

/// The service spreads its load: so often it may send elsewhere.
const HOPS_MAX: usize = 2;

static DIALECT: Dialect = Dialect {
    form: Form::Json("error", "message"),
    who: "a token service",
    rules: rules! {
        400 "" => Class::Auth, "the AuthID is not accepted";
        404 "" => Class::Auth, "the token service does not know the AuthID";
        500 "" "authentication provider" => Class::Auth, "the provider does not accept the AuthID any more";
        500 "" => Class::Transient, "the token service failed", "if that stays, the AuthID is dead: make a new one with 'duplet remote login {scheme}'";
    },
    words: &[word(
        Class::Auth,
        "the AuthID is not accepted",
        "check --authid; one that was not used for a year is dead: make a new one with 'duplet remote login {scheme}'",
    )],
};

/// The log-in of an AuthID, for which the service of this address gives tokens: it has a colon, a token none. `scheme` is what
/// `duplet remote login` takes, `notices` what the user has to be told.
pub(crate) fn of(
    id: Secret,
    url: String,
    scheme: &'static str,
    notices: Vec<String>,
) -> Box<dyn Login> {
    match id.reveal().contains(':') {
        true => Box::new(Tokens::of(AuthId {
            id,
            url,
            scheme,
            notices,
        })),
        false => Box::new(Token(Some(id))),
    }
}

/// The log-in of a token that was given once. `notices`: see [`of`].
#[cfg(feature = "dest-pcloud")]
pub(crate) fn token(token: Secret, notices: Vec<String>) -> Box<dyn Login> {
    Box::new(Given { token, notices })
}

/// Such a token.
#[cfg(feature = "dest-pcloud")]
struct Given {
    token: Secret,
    notices: Vec<String>,
}

#[cfg(feature = "dest-pcloud")]
impl Login for Given {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        Ok(vec![("authorization", bearer(&self.token))])
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}

/// Tokens of the service.
struct AuthId {
    id: Secret,
    url: String,
    scheme: &'static str,
    notices: Vec<String>,
}

impl AuthId {
    /// The reply of the service, which may send elsewhere, over TLS, with the AuthID.
    fn ask(&self, http: &mut Http) -> Done<Reply> {
        let (mut chain, mut url) = (Chain::default(), self.url.clone());
        for hop in 0.. {
            let reply = http.send(Request {
                method: "GET",
                url: &url,
                headers: &[("x-authid", self.id.reveal().trim())],
                payload: Payload::None,
                pace: Pace::Short,
                expect: false,
            })?;
            let moved = matches!(reply.status, 301 | 302 | 303 | 307 | 308);
            let Some(location) = reply.location().filter(|_| moved) else {
                return Ok(reply);
            };
            let to = chain.follow(&url, &location)?;
            let near = to.starts_with("http://") && is_near(split(&to).0);
            let known = near || same_origin(&url, &to) || to.starts_with("https://");
            if hop == HOPS_MAX || !known {
                return Err(foreign(&to));
            }
            url = to;
        }
        Err(Fault::new(
            Class::Protocol,
            "the token service sends in a circle",
        ))
    }
}

impl Lender for AuthId {
    fn lend(&mut self, http: &mut Http) -> Done<Lent> {
        let mut reply = self.ask(http)?;
        if reply.status != 200 {
            let reason = reply.header("x-reason").unwrap_or("").to_owned();
            let id = self.id.reveal();
            let mut told = tokens::refused(&mut reply, &DIALECT, id);
            if !reason.is_empty() {
                told.message = reason.replace(id, "***");
            }
            return Err(told.fault(&DIALECT, Verb::Login, &[("scheme", self.scheme)]));
        }
        Lent::of(&rows::row(&mut reply, DIALECT.who)?, "expires")
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
