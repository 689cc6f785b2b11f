//! Microsoft Graph as far as drives need it: requests, and what its refusals mean.

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done};
use crate::base::opt::Options;
use crate::dest::onedrive::options as o;
use crate::net::checks;
use crate::net::http::{Http, Pace, Reply};
use crate::net::oauth::{self, Provider};
use crate::net::redirect::split;
use crate::net::service::call::{Call, Service};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, EachRow, Row};
use crate::net::service::{Content, Dialect, Form, Refusal, Verb, rules, words};
use crate::net::url::is_near;

static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "message"),
    who: "Microsoft Graph",
    rules: rules! {
        0 "" "msa accounts" => Class::Unsupported, "a personal account has no sites and no groups", "write onedrivev2://folder";
        0 "" "mysite" => Class::FolderMissing, "the account has no OneDrive yet", "open it in a browser once";
        0 "quotaLimitReached" => Class::Full;
        509 "" => Class::Throttled(None);
        404 "" [Resume] => Class::NotFound;
        409 "" [MakeFolder] => Class::Exists;
        400 "" "name cannot" => Class::Unsupported, "the service does not take this name", "'duplet help onedrive' says which names there can be";
        400 "" "maximum length" => Class::Unsupported, "the path is too long for the service", "use a folder with a shorter path";
    },
    words: words! {
        Class::FolderMissing => "=the folder does not exist";
        Class::Auth => "access denied", "check the log-in and its rights: 'duplet help onedrive'";
    },
};

/// The service, with its log-in.
pub(super) struct Client {
    service: Service,
    /// With the version of the service.
    base: String,
}

impl Client {
    pub(super) fn new(options: &Options, provider: &'static Provider) -> Result<Client> {
        let form = "https://graph.microsoft.us";
        let server = checks::address(options, &o::ENDPOINT, "https", form)?;
        let server = server.unwrap_or("https://graph.microsoft.com".to_owned());
        if server.starts_with("http://") && !is_near(split(&server).0) {
            return Err(Error::usage("a log-in is not sent in the clear")
                .hint("write --graph-endpoint with https://"));
        }
        let login = oauth::login(options, provider)?;
        let service = Service::new(Http::new(options)?, &DIALECT, login);
        Ok(Client {
            service: service.hopping(),
            base: format!("{server}/v1.0"),
        })
    }

    pub(super) fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// The whole address of what lies at this one below that of the service.
    pub(super) fn url(&self, at: &str) -> String {
        format!("{}{at}", self.base)
    }

    /// A request for something below the address of the service, perhaps with JSON.
    pub(super) fn call(
        &mut self,
        verb: Verb,
        method: &'static str,
        at: &str,
        body: Option<&serde_json::Value>,
    ) -> Done<Reply> {
        let body = body.map(|body| body.to_string().into_bytes());
        let json = [("content-type", "application/json")];
        self.service.call(Call {
            verb,
            method,
            url: self.url(at),
            headers: if body.is_some() { &json } else { &[] },
            content: body.as_deref().map_or(Content::None, Content::Bytes),
            pace: Pace::Short,
        })
    }

    /// As [`Client::call`] with an object for its reply.
    pub(super) fn row(
        &mut self,
        verb: Verb,
        method: &'static str,
        at: &str,
        body: Option<&serde_json::Value>,
    ) -> Done<Row> {
        rows::row(&mut self.call(verb, method, at, body)?, DIALECT.who)
    }

    /// An object; `None` where there is none.
    pub(super) fn look(&mut self, at: &str) -> Done<Option<Row>> {
        match self.row(Verb::Look, "GET", at, None) {
            Err(fault) if fault.class == Class::NotFound => Ok(None),
            row => row.map(Some),
        }
    }

    /// The objects of a short list.
    pub(super) fn rows(&mut self, at: &str, each: &mut dyn FnMut(&Row)) -> Done<()> {
        self.page(&self.url(at), &mut |row| {
            each(row);
            Ok(())
        })
        .map(drop)
    }

    /// A page of a listing at this whole address; the address of the next one, empty after the last.
    pub(super) fn page(&mut self, url: &str, each: &mut EachRow<'_>) -> Done<String> {
        let call = Call {
            verb: Verb::List,
            method: "GET",
            url: url.to_owned(),
            headers: &[],
            content: Content::None,
            pace: Pace::List,
        };
        let tail = self.service.rows(call, "value", each)?;
        match tail.is_nested("value") {
            true => Ok(tail.text("@odata.nextLink")),
            false => Err(incomplete("the reply has no files")),
        }
    }

    /// A request to an address that the service gave, which holds its own permission.
    pub(super) fn given(
        &mut self,
        method: &'static str,
        url: &str,
        range: &str,
        content: Content<'_>,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        let range = [("content-range", range)];
        let pace = match content {
            Content::Part { .. } => Pace::Upload,
            _ => Pace::Short,
        };
        self.service.ask_given(Call {
            verb: Verb::Resume,
            method,
            url: url.to_owned(),
            headers: if range[0].1.is_empty() { &[] } else { &range },
            content,
            pace,
        })
    }
}
