//! An access grant of Storj turned into keys of its S3 gateway, by the gateway's service for that.

use serde_json::json;

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::dest::s3::config::{Setup, endpoint};
use crate::net::http::Http;
use crate::net::redirect::split;
use crate::net::service::refusal::word;
use crate::net::service::rows::row;
use crate::net::service::{Dialect, Form, rules, tokens};
use crate::net::sigv4::Keys;
use crate::net::url::is_near;

static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "error"),
    who: "a service for access grants",
    rules: rules! {
        400 "" => Class::Auth;
        404 "" => Class::Protocol, "there is no service for access grants", "check --storj-auth-service";
        422 "" => Class::Auth;
    },
    words: &[word(
        Class::Auth,
        "the access grant was refused",
        "make a new one and give it as --storj-shared-access",
    )],
};

/// A grant, and where it is exchanged.
pub(super) struct Grant {
    pub(super) grant: Secret,
    /// Address of the service, without a slash at its end.
    service: String,
    /// The server is given, whatever the service says.
    pub(super) keeps_server: bool,
}

impl Grant {
    /// `service`: its address. In the clear only where nobody else is on the way: the grant opens everything.
    pub(super) fn new(grant: Secret, service: &str, keeps_server: bool) -> Result<Grant> {
        let service = service.trim().trim_end_matches('/');
        let near = |rest: &str| is_near(split(&format!("http://{rest}")).0);
        let good = match service.split_once("://") {
            Some(("https", rest)) => !rest.is_empty(),
            Some(("http", rest)) => !rest.is_empty() && near(rest),
            _ => false,
        };
        if !good {
            return Err(Error::usage(
                "--storj-auth-service is no address that begins with https://",
            )
            .hint("http:// is for a service of this machine or network"));
        }
        Ok(Grant {
            grant,
            service: service.to_owned(),
            keeps_server,
        })
    }

    /// Exchanges it: keys, and the server that knows them.
    pub(super) fn find(&self, http: &mut Http, setup: &mut Setup) -> Done<()> {
        let body = json!({ "access_grant": self.grant.reveal().trim(), "public": false });
        let body = Secret::new(body.to_string());
        let url = format!("{}/v1/access", self.service);
        let body = Some(("application/json", &body));
        let secret = self.grant.reveal().trim();
        let asked = tokens::ask(http, &DIALECT, &url, &[], body, secret)?;
        let mut reply = asked.map_err(|told| tokens::fault(&told, &DIALECT))?;
        let row = row(&mut reply, DIALECT.who)?;
        let lacks = |what: &str| {
            Fault::new(
                Class::Protocol,
                format!("the service for access grants gives no {what}"),
            )
        };
        let text = |name: &str| row.get(name).map(str::trim).filter(|t| !t.is_empty());
        let id = text("access_key_id").filter(|id| id.bytes().all(|b| b.is_ascii_graphic()));
        let secret = text("secret_key").ok_or_else(|| lacks("secret key"))?;
        let id = id.ok_or_else(|| lacks("access key"))?;
        if !self.keeps_server {
            let server = text("endpoint").ok_or_else(|| lacks("server"))?;
            let found = endpoint(server, true, setup.manner, &Options::default());
            let found = found.map_err(|_| lacks("address of a server"))?;
            if !found.tls && self.service.starts_with("https") {
                return Err(lacks("server with TLS"));
            }
            setup.endpoint = found;
        }
        setup.keys = Keys::new(id.to_owned(), Secret::new(secret.to_owned()));
        Ok(())
    }
}
