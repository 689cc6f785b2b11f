//! Log-ins by AuthID (`destinations-more.md` 2.10): Duplicati's token service gives tokens of a provider for one, so that the
//! provider's own secret stays with it.

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::base::secret::Secret;
use crate::net::http::{Http, Pace, Payload, Request};
use crate::net::service::call::{Login, Token, bearer};
use crate::net::service::refusal::word;
use crate::net::service::rows;
use crate::net::service::{Dialect, Form, Refusal, Verb};

pub(crate) const AUTHID: Opt = row(
    "authid",
    Kind::Secret,
    "",
    "AuthID of Duplicati's token service, or an access token that does not expire.",
);
pub(crate) const OAUTH_URL: Opt = row(
    "oauth-url",
    Kind::Text,
    "https://duplicati-oauth-handler.appspot.com/refresh",
    "Token service that AuthIDs are for.",
);

static DIALECT: Dialect = Dialect {
    form: Form::Json("error", "message"),
    who: "a token service",
    rules: &[],
    words: &[word(Class::Auth, "access denied", "check --authid")],
};

/// The log-in that the options name: an AuthID has a colon, a token none.
pub(crate) fn login(options: &Options) -> Result<Box<dyn Login>> {
    let id = options
        .secret(&AUTHID)
        .ok_or_else(|| Error::usage("no AuthID given").hint("use --authid"))?;
    if !id.reveal().contains(':') {
        return Ok(Box::new(Token(Some(id))));
    }
    Ok(Box::new(AuthId {
        id,
        url: options.text(&OAUTH_URL).unwrap_or_default().to_owned(),
        token: None,
    }))
}

/// Tokens of the service.
struct AuthId {
    id: Secret,
    url: String,
    token: Option<Secret>,
}

impl Login for AuthId {
    fn header(&mut self, http: &mut Http) -> Done<Option<Secret>> {
        if self.token.is_none() {
            let mut reply = http.send(Request {
                method: "GET",
                url: &self.url,
                headers: &[("x-authid", self.id.reveal())],
                payload: Payload::None,
                pace: Pace::Short,
                expect: false,
            })?;
            if reply.status != 200 {
                let told = Refusal::of(&mut reply, DIALECT.form);
                return Err(told.fault(&DIALECT, Verb::Login, &[]));
            }
            let row = rows::row(&mut reply, DIALECT.who)?;
            let token = row.get("access_token").filter(|t| !t.is_empty());
            let missing = || Fault::new(Class::Protocol, "the token service gives no token");
            self.token = Some(Secret::new(token.ok_or_else(missing)?.to_owned()));
        }
        Ok(self.token.as_ref().map(bearer))
    }

    fn renew(&mut self, refusal: &Refusal) -> bool {
        refusal.status == 401 && self.token.take().is_some()
    }
}
