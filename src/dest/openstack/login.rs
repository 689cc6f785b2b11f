//! Logging in to OpenStack: Keystone v2 and v3 and the older v1, and where in its catalogue Swift is (OpenStack's Identity API;
//! `destinations-more.md` 2.6).

use serde_json::json;

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::openstack::DIALECT;
use crate::dest::openstack::options::*;
use crate::net::checks::{self, need, or_missing};
use crate::net::http::{Http, Reply};
use crate::net::opts;
use crate::net::service::html::not_html;
use crate::net::service::rows::{self, Row};
use crate::net::service::tokens::{self, Lender, Lent};
use crate::net::url::DestUrl;

/// Longest reply to a log-in; catalogues of large clouds have some hundred KiB.
const REPLY_MAX_BYTES: u64 = 16 << 20;
/// Names of regions that a notice shows.
const REGIONS_SHOWN: usize = 8;

/// How to log in.
pub(super) struct Keystone {
    url: String,
    /// Of v1, which they say all of.
    headers: Vec<(&'static str, Secret)>,
    body: Option<Secret>,
    /// Where the reply has its catalogue.
    catalogue: &'static str,
    /// Empty for any.
    region: String,
    notices: Vec<String>,
}

impl Keystone {
    /// Also who logs in, and which service it is, for who tells places apart; no secret.
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<(Keystone, String, String)> {
        need(options, &AUTH_URI, "address to log in at")?;
        let uri = checks::address(options, &AUTH_URI, "", "https://host/v3")?.unwrap_or_default();
        let end = uri.rsplit('/').next().unwrap_or_default();
        let version = options.choice(&VERSION).unwrap_or(match end {
            "v3" => "v3",
            "v1.0" | "v1" => "v1",
            _ => "v2",
        });
        let (user, password) = opts::login(url, options, None);
        let user = or_missing(user, "user", "use --auth-username");
        let password = or_missing(password, "password", "use --auth-password");
        let tenant = || need(options, &TENANT, "project (tenant)");
        let credential = options.text(&CREDENTIAL).map(str::trim);
        let mut headers = Vec::new();
        let (account, auth) = match (version, credential, options.secret(&API_KEY)) {
            ("v3", Some(id), _) => {
                let what = "secret of the application credential";
                let secret = need(options, &CREDENTIAL_SECRET, what)?;
                let identity = json!({
                    "methods": ["application_credential"],
                    "application_credential": { "id": id, "secret": secret },
                });
                (id.to_owned(), json!({ "identity": identity }))
            }
            (_, Some(_), _) => {
                return Err(Error::usage("an application credential needs Keystone v3")
                    .hint("use --openstack-authuri=https://HOST/v3"));
            }
            ("v1", ..) => {
                let user = user?;
                headers.push(("x-auth-user", Secret::new(user.clone())));
                headers.push(("x-auth-key", password?));
                (user, json!(null))
            }
            ("v2", _, Some(key)) => {
                let user = user?;
                let key = json!({ "username": user, "apiKey": key.reveal().trim() });
                let mut auth = json!({ "RAX-KSKEY:apiKeyCredentials": key });
                if let Ok(tenant) = tenant() {
                    auth["tenantName"] = tenant.into();
                }
                (user, auth)
            }
            ("v2", ..) => {
                let (user, password, tenant) = (user?, password?, tenant()?);
                let login = json!({ "username": user, "password": password.reveal() });
                let auth = json!({ "tenantName": tenant, "passwordCredentials": login });
                (format!("{user}@{tenant}"), auth)
            }
            _ => {
                let (user, password) = (user?, password?);
                let how = "use --openstack-domain-name, which is often Default";
                let domain = or_missing(options.text(&DOMAIN), "domain", how)?.trim();
                let (domain, tenant) = (json!({ "name": domain }), tenant()?);
                let login =
                    json!({ "name": user, "password": password.reveal(), "domain": domain });
                let auth = json!({
                    "identity": { "methods": ["password"], "password": { "user": login } },
                    "scope": { "project": { "name": tenant, "domain": domain } },
                });
                (format!("{user}@{tenant}"), auth)
            }
        };
        let (path, catalogue) = match version {
            "v1" => ("", ""),
            "v2" => ("/tokens", "access/serviceCatalog"),
            _ => ("/auth/tokens", "token/catalog"),
        };
        let region = options.text(&REGION).unwrap_or_default().trim().to_owned();
        let place = format!("{uri} {}", region.to_ascii_lowercase());
        let body = json!({ "auth": auth }).to_string();
        let login = Keystone {
            url: format!("{uri}{path}"),
            body: headers.is_empty().then(|| Secret::new(body)),
            headers,
            catalogue,
            region,
            notices: Vec::new(),
        };
        Ok((login, account, place))
    }

    /// Takes up a service of the catalogue: the best of its addresses, with its rank and region, and the regions there are, as
    /// a notice shows them.
    fn look(&self, service: &Row, best: &mut (u8, String, String), regions: &mut Vec<String>) {
        if !service.text("type").eq_ignore_ascii_case("object-store") {
            return;
        }
        for one in service.inner("endpoints") {
            let first = |fields: &[&str]| fields.iter().find_map(|field| one.get(field));
            let region = first(&["region", "region_id"]).unwrap_or_default();
            let Some(url) = first(&["url", "publicURL", "internalURL"]) else {
                continue;
            };
            let shown = shown(region);
            if regions.len() < REGIONS_SHOWN && !regions.contains(&shown) {
                regions.push(shown);
            }
            let public = one.has("publicURL") || one.get("interface") == Some("public");
            let wanted = self.region.is_empty() || self.region.eq_ignore_ascii_case(region);
            // The public one of the region before any public one before any.
            let rank = 1 + u8::from(public) + u8::from(public && wanted);
            if best.0 < rank {
                *best = (rank, region.to_owned(), url.to_owned());
            }
        }
    }

    /// The best address of Swift in the catalogue of a reply, and what stands beside the catalogue.
    fn by_catalogue(&mut self, reply: &mut Reply) -> Done<(Option<String>, Row)> {
        not_html(reply, "JSON", DIALECT.who)?;
        let (io, max) = (reply.io_fault(), REPLY_MAX_BYTES);
        let (mut best, mut regions) = (Default::default(), Vec::new());
        let tail = rows::objects(reply, &io, max, self.catalogue, &mut |service| {
            self.look(service, &mut best, &mut regions);
            Ok(())
        })?;
        let (rank, region, storage) = best;
        if rank > 0 && !self.region.is_empty() && !self.region.eq_ignore_ascii_case(&region) {
            let (wanted, used) = (shown(&self.region), shown(&region));
            let of = regions.join(", ");
            let line = format!("the catalogue has no region {wanted}; {used} is used of {of}");
            self.notices.push(line);
        }
        Ok(((rank > 0).then_some(storage), tail))
    }
}

fn shown(region: &str) -> String {
    text::safe_cut(region.as_bytes(), 40)
}

impl Lender for Keystone {
    fn lend(&mut self, http: &mut Http) -> Done<Lent> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (*n, v.reveal())).collect();
        let body = self.body.as_ref().map(|body| ("application/json", body));
        let asked = tokens::ask(http, &DIALECT, &self.url, &headers, body, "")?;
        let mut reply = asked.map_err(|told| tokens::fault(&told, &DIALECT))?;
        let date = reply.date();
        let header = |name: &&str| {
            reply
                .header(name)
                .filter(|v| !v.is_empty())
                .map(str::to_owned)
        };
        let mut token = ["x-subject-token", "x-auth-token", "x-storage-token"]
            .iter()
            .find_map(header);
        let mut storage = header(&"x-storage-url").or(Some(String::new()));
        let mut life = header(&"x-auth-token-expires").and_then(|s| s.trim().parse().ok());
        if self.catalogue.is_empty() {
            reply.finish()?;
        } else {
            let (url, tail) = self.by_catalogue(&mut reply)?;
            let end = tail
                .get("access/token/expires")
                .or(tail.get("token/expires_at"));
            (storage, life) = (url, end.and_then(|end| tokens::until(end, date)));
            token = token.or(tail.get("access/token/id").map(str::to_owned));
        }
        let token = token.unwrap_or_default();
        let lent = Lent::new("the log-in", token, storage.as_deref(), life);
        let hint = "check --openstack-authuri and --openstack-version";
        let lent = lent.map_err(|fault| fault.hint(hint))?;
        storage.map(|_| lent).ok_or_else(|| {
            let what = "the catalogue of the service has no object store (Swift)";
            let hint = "is --openstack-tenant-name the right project?";
            Fault::new(Class::Unsupported, what).hint(hint)
        })
    }

    fn header(&self, token: &Secret) -> (&'static str, Secret) {
        ("x-auth-token", token.duplicate())
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
