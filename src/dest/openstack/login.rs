//! Logging in to OpenStack: Keystone v2 and v3 and the older v1, the token that they give, and where Swift is (OpenStack's
//! Identity API; `destinations-more.md` 2.6).

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::openstack::options::*;
use crate::dest::openstack::refusal::DIALECT;
use crate::net::http::{Http, Pace, Payload, Reply, Request, iso_time};
use crate::net::json::{self, Step};
use crate::net::opts;
use crate::net::service::refusal::not_html;
use crate::net::service::send::send_home;
use crate::net::service::{self, Content, Refusal, Verb};
use crate::net::url::DestUrl;

/// A token is not used any more this long before its end.
const SPARE: Duration = Duration::from_secs(30);
/// Longest reply to a log-in; catalogues of large clouds have some hundred KiB.
const REPLY_MAX_BYTES: u64 = 16 << 20;
/// Names of regions that a notice shows.
const REGIONS_SHOWN: usize = 8;

/// What is sent to log in.
enum Ask {
    /// User and key, in the head.
    V1(String, Secret),
    /// Path below the address, and the body.
    Keystone(&'static str, Secret),
}

/// A log-in that was made, for as long as its token lives.
struct Session {
    token: Secret,
    /// Address of the account's containers, without a slash at its end.
    storage: String,
    until: Option<Instant>,
}

/// How to log in.
pub(super) struct Login {
    uri: String,
    ask: Ask,
    region: Option<String>,
    /// Who logs in, and where; no secret.
    pub(super) account: String,
    session: Option<Session>,
    notices: Vec<String>,
}

impl Login {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Login> {
        let uri = options
            .text(&AUTH_URI)
            .map(|u| u.trim().trim_end_matches('/'));
        let uri =
            uri.ok_or_else(|| opts::missing("address to log in at", "use --openstack-authuri"))?;
        let host = uri.strip_prefix("https://").or(uri.strip_prefix("http://"));
        if host
            .is_none_or(|h| h.is_empty() || h.starts_with('/') || h.contains(['@', '?', '#', ' ']))
        {
            return Err(Error::usage(
                "--openstack-authuri is no address that begins with https:// or http://",
            ));
        }
        let ends = |ends: &[&str]| ends.iter().any(|end| uri.ends_with(end));
        let version = match options.choice(&VERSION) {
            Some(version) => version,
            None if ends(&["/v3"]) => "v3",
            None if ends(&["/v1.0", "/v1"]) => "v1",
            None => "v2",
        };
        let tenant = options.text(&TENANT).map(str::trim);
        let (user, password) = opts::login(url, options, None);
        let need_user = || opts::missing("user", "use --auth-username");
        let need = |secret: Option<Secret>| {
            secret.ok_or_else(|| opts::missing("password", "use --auth-password"))
        };
        let credential = options.text(&CREDENTIAL).map(str::trim);
        let (who, ask) = match (version, credential, options.secret(&API_KEY)) {
            ("v3", Some(id), _) => {
                let secret = options.secret(&CREDENTIAL_SECRET).ok_or_else(|| {
                    let how = "use --openstack-application-credential-secret";
                    opts::missing("secret of the application credential", how)
                })?;
                let body = json!({ "auth": { "identity": {
                    "methods": ["application_credential"],
                    "application_credential": { "id": id, "secret": secret.reveal() },
                } } });
                (id.to_owned(), keystone("/auth/tokens", &body))
            }
            (_, Some(_), _) => {
                return Err(Error::usage("an application credential needs Keystone v3")
                    .hint("use --openstack-authuri=https://HOST/v3"));
            }
            ("v1", ..) => {
                let user = user.ok_or_else(need_user)?;
                (user.clone(), Ask::V1(user, need(password)?))
            }
            ("v2", _, Some(key)) => {
                let user = user.ok_or_else(need_user)?;
                let key = json!({ "username": user, "apiKey": key.reveal().trim() });
                let mut body = json!({ "auth": { "RAX-KSKEY:apiKeyCredentials": key } });
                if let Some(tenant) = tenant {
                    body["auth"]["tenantName"] = tenant.into();
                }
                (user, keystone("/tokens", &body))
            }
            ("v2", ..) => {
                let user = user.ok_or_else(need_user)?;
                let password = need(password)?;
                let how = "use --openstack-tenant-name";
                let tenant = tenant.ok_or_else(|| opts::missing("project (tenant)", how))?;
                let body = json!({ "auth": {
                    "tenantName": tenant,
                    "passwordCredentials": { "username": user, "password": password.reveal() },
                } });
                (format!("{user}@{tenant}"), keystone("/tokens", &body))
            }
            _ => {
                let user = user.ok_or_else(need_user)?;
                let password = need(password)?;
                let domain = options.text(&DOMAIN).map(str::trim);
                let how = "use --openstack-domain-name, which is often Default";
                let domain = domain.ok_or_else(|| opts::missing("domain", how))?;
                let how = "use --openstack-tenant-name";
                let tenant = tenant.ok_or_else(|| opts::missing("project (tenant)", how))?;
                let domain = json!({ "name": domain });
                let body = json!({ "auth": {
                    "identity": { "methods": ["password"], "password": { "user": {
                        "name": user, "password": password.reveal(), "domain": domain,
                    } } },
                    "scope": { "project": { "name": tenant, "domain": domain } },
                } });
                (format!("{user}@{tenant}"), keystone("/auth/tokens", &body))
            }
        };
        Ok(Login {
            uri: uri.to_owned(),
            ask,
            region: options.text(&REGION).map(|r| r.trim().to_owned()),
            account: who,
            session: None,
            notices: Vec::new(),
        })
    }

    /// Which service it is, for who tells places apart.
    pub(super) fn place(&self) -> String {
        let region = self.region.as_deref().unwrap_or_default();
        format!("{} {}", self.uri, region.to_ascii_lowercase())
    }

    /// The session that there is, or a new one.
    fn current(&mut self, http: &mut Http) -> Done<&Session> {
        let session = match self.session.take().filter(|s| !s.is_over()) {
            Some(session) => session,
            None => self.log_in(http)?,
        };
        Ok(self.session.insert(session))
    }

    fn log_in(&mut self, http: &mut Http) -> Done<Session> {
        let (method, url, headers, mut content) = match &self.ask {
            Ask::V1(user, key) => {
                let headers = vec![("x-auth-user", user.as_str()), ("x-auth-key", key.reveal())];
                ("GET", self.uri.clone(), headers, Content::None)
            }
            Ask::Keystone(path, body) => {
                let headers = vec![
                    ("content-type", "application/json"),
                    ("accept", "application/json"),
                ];
                let content = Content::Bytes(body.reveal().as_bytes());
                ("POST", format!("{}{path}", self.uri), headers, content)
            }
        };
        let request = Request {
            method,
            url: &url,
            headers: &headers,
            payload: Payload::None,
            pace: Pace::Short,
            expect: false,
        };
        let mut reply = send_home(http, request, &mut content, &mut || {}).0?;
        if !(200..300).contains(&reply.status) {
            let told = Refusal::of(&mut reply, DIALECT.form);
            return Err(told.fault(&DIALECT, Verb::Login, &[]));
        }
        match self.ask {
            Ask::V1(..) => by_headers(&mut reply),
            Ask::Keystone(..) => self.by_catalogue(&mut reply),
        }
    }

    fn by_catalogue(&mut self, reply: &mut Reply) -> Done<Session> {
        not_html(reply, "JSON", DIALECT.who)?;
        let io = reply.io_fault();
        let now = reply.date().unwrap_or_else(|| Timestamp::now().0);
        let header = reply.header("x-subject-token").map(str::to_owned);
        let mut found = Catalogue::new(self.region.as_deref());
        json::read(reply, REPLY_MAX_BYTES, &io, &mut |step| {
            found.take(step);
            Ok(())
        })?;
        let token = header.or(found.token.take()).filter(|t| !t.is_empty());
        let token = token.ok_or_else(|| lacks("token"))?;
        let best = found.best.take().ok_or_else(|| {
            Fault::new(
                Class::Unsupported,
                "the catalogue of the service has no object store (Swift)",
            )
            .hint("is --openstack-tenant-name the right project?")
        })?;
        if let Some(wanted) = self.region.as_deref().filter(|_| !best.in_region) {
            let shown = |text: &str| text::safe_cut(text.as_bytes(), 40);
            let regions: Vec<String> = found.regions.iter().map(|r| shown(r)).collect();
            let line = format!(
                "the catalogue has no region {}; {} is used of {}",
                shown(wanted),
                shown(&best.region),
                regions.join(", ")
            );
            if !self.notices.contains(&line) {
                self.notices.push(line);
            }
        }
        let life = found.expires.as_deref().and_then(iso_time);
        session(token, &best.url, life.map(|end| end.saturating_sub(now)))
    }
}

impl service::call::Login for Login {
    fn header(&mut self, _: &mut Http) -> Done<Option<Secret>> {
        Ok(None)
    }

    fn sign(
        &mut self,
        http: &mut Http,
        _: &Request<'_>,
        _: u64,
    ) -> Done<Vec<(&'static str, Secret)>> {
        // As `base` left it: one that is over at once is good for this request all the same.
        let token = match &self.session {
            Some(session) => session.token.duplicate(),
            None => self.current(http)?.token.duplicate(),
        };
        Ok(vec![("x-auth-token", token)])
    }

    fn base(&mut self, http: &mut Http) -> Done<String> {
        Ok(self.current(http)?.storage.clone())
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    fn renew(&mut self, refusal: &Refusal) -> bool {
        refusal.status == 401 && self.session.take().is_some()
    }
}

fn keystone(path: &'static str, body: &Json) -> Ask {
    Ask::Keystone(path, Secret::new(body.to_string()))
}

fn lacks(what: &str) -> Fault {
    Fault::new(Class::Protocol, format!("the log-in gives no {what}"))
        .hint("check --openstack-authuri and --openstack-version")
}

fn by_headers(reply: &mut Reply) -> Done<Session> {
    let text = |name: &str| {
        let value = reply.header(name).map(str::to_owned);
        value.filter(|v| !v.is_empty())
    };
    let token = text("x-auth-token").or(text("x-storage-token"));
    let token = token.ok_or_else(|| lacks("token"))?;
    let storage = text("x-storage-url").ok_or_else(|| lacks("address of the storage"))?;
    let life = text("x-auth-token-expires").and_then(|s| s.trim().parse().ok());
    reply.finish()?;
    session(token, &storage, life)
}

/// `life`: seconds that the token lives from now on.
fn session(token: String, storage: &str, life: Option<i64>) -> Done<Session> {
    let storage = storage.trim().trim_end_matches('/');
    let good = storage.starts_with("https://") || storage.starts_with("http://");
    if !good || storage.contains(['?', '#', ' ']) || token.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(lacks("usable address of the storage"));
    }
    // One that is over at once, by whatever clock, is good for a request all the same.
    let life = life.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
    let life = life.map(|s| Duration::from_secs(s).saturating_sub(SPARE));
    Ok(Session {
        token: Secret::new(token),
        storage: storage.to_owned(),
        until: life.and_then(|life| Instant::now().checked_add(life)),
    })
}

impl Session {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// An address of the object store, as the catalogue has it.
#[derive(Clone, Default)]
struct Endpoint {
    region: String,
    url: String,
    public: bool,
    in_region: bool,
}

impl Endpoint {
    /// The public one of the region before any public one before any.
    fn rank(&self) -> u8 {
        match (self.public, self.in_region) {
            (true, true) => 3,
            (true, false) => 2,
            _ => 1,
        }
    }
}

/// What is kept of the reply to a log-in while it is read: one address, whatever the length of the catalogue.
#[derive(Default)]
struct Catalogue<'a> {
    wanted: Option<&'a str>,
    token: Option<String>,
    expires: Option<String>,
    /// The endpoint and the service that are being read.
    endpoint: Endpoint,
    kind: String,
    of_service: Option<Endpoint>,
    best: Option<Endpoint>,
    /// Regions of the object store, for a notice.
    of_regions: Vec<String>,
    regions: Vec<String>,
}

impl<'a> Catalogue<'a> {
    fn new(wanted: Option<&'a str>) -> Catalogue<'a> {
        Catalogue {
            wanted,
            ..Catalogue::default()
        }
    }

    fn take(&mut self, step: Step<'_>) {
        let names = |path: &[String]| path.join("/");
        match step {
            Step::Value { path, value } => {
                let Some(value) = value.text() else { return };
                let path = names(path);
                match path.as_str() {
                    "access/token/id" => self.token = Some(value.to_owned()),
                    "access/token/expires" | "token/expires_at" => {
                        self.expires = Some(value.to_owned());
                    }
                    _ => {}
                }
                let rest = path.strip_prefix("access/serviceCatalog/[]/");
                let Some(field) = rest.or(path.strip_prefix("token/catalog/[]/")) else {
                    return;
                };
                let one = &mut self.endpoint;
                match field {
                    "type" => value.clone_into(&mut self.kind),
                    "endpoints/[]/region" => value.clone_into(&mut one.region),
                    "endpoints/[]/region_id" if one.region.is_empty() => {
                        value.clone_into(&mut one.region);
                    }
                    "endpoints/[]/interface" => one.public = value == "public",
                    "endpoints/[]/url" => value.clone_into(&mut one.url),
                    "endpoints/[]/publicURL" => {
                        one.public = true;
                        value.clone_into(&mut one.url);
                    }
                    "endpoints/[]/internalURL" if one.url.is_empty() => {
                        value.clone_into(&mut one.url);
                    }
                    _ => {}
                }
            }
            Step::Open { .. } => {}
            Step::Close { path } => match names(path).as_str() {
                "access/serviceCatalog/[]/endpoints/[]" | "token/catalog/[]/endpoints/[]" => {
                    self.end_endpoint();
                }
                "access/serviceCatalog/[]" | "token/catalog/[]" => self.end_service(),
                _ => {}
            },
        }
    }

    fn end_endpoint(&mut self) {
        let mut one = std::mem::take(&mut self.endpoint);
        let same = |wanted: &str| wanted.eq_ignore_ascii_case(&one.region);
        one.in_region = self.wanted.is_none_or(same);
        if one.url.is_empty() {
            return;
        }
        if self.of_regions.len() < REGIONS_SHOWN && !self.of_regions.contains(&one.region) {
            self.of_regions.push(one.region.clone());
        }
        if self
            .of_service
            .as_ref()
            .is_none_or(|had| had.rank() < one.rank())
        {
            self.of_service = Some(one);
        }
    }

    /// What kind of service it is may stand behind its addresses.
    fn end_service(&mut self) {
        let regions = std::mem::take(&mut self.of_regions);
        let best = self.of_service.take();
        if !std::mem::take(&mut self.kind).eq_ignore_ascii_case("object-store") {
            return;
        }
        self.regions.extend(regions);
        if let Some(best) = best
            && self
                .best
                .as_ref()
                .is_none_or(|had| had.rank() < best.rank())
        {
            self.best = Some(best);
        }
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
