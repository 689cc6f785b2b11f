//! Tokens that the provider itself gives to an own client: for a refresh token, of which it may give another each time, or for
//! the client alone.

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::net::http::{Http, Reply};
use crate::net::oauth::provider::{Provider, safe_address};
use crate::net::oauth::token_file::{self, TokenFile};
use crate::net::service::refusal::word;
use crate::net::service::rows::{self, Row};
use crate::net::service::tokens::{self, Lender, Lent};
use crate::net::service::{Dialect, Form, Refusal, Verb, rules};
use crate::net::url::encode;

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Json("error", "error_description"),
    who: "a token service",
    rules: rules! {
        0 "invalid_grant interaction_required consent_required login_required" => Class::Auth, "{name} does not accept the log-in any more", "make a new one with 'duplet remote login {scheme}'";
        0 "invalid_client* unauthorized_client" => Class::Auth, "{name} does not accept the client", "check --oauth-client-id and --oauth-client-secret";
        0 "invalid_scope" => Class::Auth, "{name} does not give the client these rights", "give the registration of the client the rights that 'duplet help {scheme}' names";
        0 "temporarily_unavailable" => Class::Throttled(None);
        0 "server_error" => Class::Transient;
    },
    words: &[word(
        Class::Auth,
        "{name} gives no token",
        "check the log-in; 'duplet remote login {scheme}' makes a new one",
    )],
};

/// An own client of a provider.
pub(crate) struct Client {
    pub(crate) provider: &'static Provider,
    /// Empty where a file is to say it.
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    /// Where tokens are given.
    pub(crate) url: String,
}

/// What a token is asked for with.
pub(super) enum Source {
    Refresh(Secret),
    File(Box<Kept>),
    /// The client itself, with these fields of a form.
    Own(String),
}

/// A refresh token in a file.
pub(super) struct Kept {
    file: TokenFile,
    token: Secret,
    /// What the file had when it was last read or written.
    last: Secret,
}

/// Tokens for a client.
pub(super) struct Grant {
    client: Client,
    source: Source,
    notices: Vec<String>,
}

impl Client {
    /// Asks for what the fields of a form say; they are encoded already. A refusal repeats no secret.
    pub(super) fn ask(
        &self,
        http: &mut Http,
        url: &str,
        fields: &str,
        secret: &str,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        let mut form = format!("{fields}&client_id={}", encode(&self.id));
        if let Some(own) = &self.secret {
            form.push_str(&format!("&client_secret={}", encode(own.reveal().trim())));
        }
        let form = Secret::new(form);
        let kind = "application/x-www-form-urlencoded";
        let asked = tokens::ask(http, &DIALECT, url, &[], Some((kind, &form)), secret)?;
        Ok(asked.map_err(|mut told| {
            if let Some(own) = &self.secret {
                told.message = told.message.replace(own.reveal().trim(), "***");
            }
            told
        }))
    }

    /// The fault that a refusal is.
    pub(super) fn fault(&self, told: &Refusal) -> Fault {
        let names = [
            ("name", self.provider.name),
            ("scheme", self.provider.scheme),
        ];
        told.fault(&DIALECT, Verb::Login, &names)
    }
}

impl Grant {
    pub(super) fn new(client: Client, source: Source) -> Grant {
        Grant {
            client,
            source,
            notices: Vec::new(),
        }
    }

    /// What the options say of the client goes before what the file says.
    pub(super) fn of_file(mut client: Client, mut file: TokenFile) -> Result<Grant> {
        let lacks = |what: &str| {
            Error::usage(format!("{} has no {what}", file.shown())).hint(format!(
                "make it anew with 'duplet remote login {}'",
                client.provider.scheme
            ))
        };
        let token = file.get(token_file::REFRESH_TOKEN);
        if token.is_empty() {
            return Err(lacks("refresh token"));
        }
        let id = file.get(token_file::CLIENT_ID);
        if client.id.is_empty() && id.is_empty() {
            return Err(lacks("client id"));
        }
        let (token, last) = (Secret::new(token.to_owned()), Secret::new(token.to_owned()));
        if client.id.is_empty() {
            client.id = id.to_owned();
            let secret = Secret::new(file.get(token_file::CLIENT_SECRET).to_owned());
            client.secret = client.secret.or(Some(secret).filter(|s| !s.is_blank()));
        }
        let url = file.get(token_file::TOKEN_URL).to_owned();
        if !url.is_empty() {
            client.url = safe_address(&url, file.path())?;
        }
        let notices = file.take_notices();
        Ok(Grant {
            client,
            source: Source::File(Box::new(Kept { file, token, last })),
            notices,
        })
    }

    /// Takes over a refresh token that another program has written into the file since. True when there is one.
    fn look_again(&mut self) -> bool {
        let Source::File(kept) = &mut self.source else {
            return false;
        };
        let Ok(new) = TokenFile::read(kept.file.path()) else {
            return false;
        };
        let there = new.get(token_file::REFRESH_TOKEN);
        if there.is_empty() || there == kept.last.reveal() {
            return false;
        }
        kept.token = Secret::new(there.to_owned());
        kept.last = kept.token.duplicate();
        kept.file = new;
        true
    }

    /// Asks once, with what is there.
    fn ask(&self, http: &mut Http) -> Done<std::result::Result<Row, Refusal>> {
        let (fields, secret) = match &self.source {
            Source::Refresh(token) => (refresh(token), token.reveal().trim()),
            Source::File(kept) => (refresh(&kept.token), kept.token.reveal().trim()),
            Source::Own(own) => (format!("grant_type=client_credentials{own}"), ""),
        };
        let fields = Secret::new(fields);
        match self
            .client
            .ask(http, &self.client.url, fields.reveal(), secret)?
        {
            Ok(mut reply) => rows::row(&mut reply, DIALECT.who).map(Ok),
            Err(told) => Ok(Err(told)),
        }
    }

    /// Keeps a refresh token that was given in place of the one used.
    fn keep(&mut self, new: &str) {
        match &mut self.source {
            Source::Own(_) => {}
            _ if new.is_empty() => {}
            Source::Refresh(token) => *token = Secret::new(new.to_owned()),
            Source::File(kept) if kept.token.reveal() == new => {}
            Source::File(kept) => {
                kept.token = Secret::new(new.to_owned());
                kept.file.set(token_file::REFRESH_TOKEN, new);
                match kept.file.save() {
                    Ok(()) => kept.last = kept.token.duplicate(),
                    Err(e) => self.notices.push(format!(
                        "the new refresh token cannot be kept in {}, and the one there may end: {e}",
                        kept.file.shown()
                    )),
                }
            }
        }
    }
}

/// The fields of a form with a refresh token.
fn refresh(token: &Secret) -> String {
    format!(
        "grant_type=refresh_token&refresh_token={}",
        encode(token.reveal().trim())
    )
}

impl Lender for Grant {
    fn lend(&mut self, http: &mut Http) -> Done<Lent> {
        self.look_again();
        let row = match self.ask(http)? {
            Ok(row) => row,
            // Where a refresh token is good for one use, another program may just have used it.
            Err(told) if told.is("invalid_grant") && self.look_again() => {
                self.ask(http)?.map_err(|told| self.client.fault(&told))?
            }
            Err(told) => return Err(self.client.fault(&told)),
        };
        let lent = Lent::of(&row, "expires_in")?;
        self.keep(row.get("refresh_token").unwrap_or_default());
        Ok(lent)
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
