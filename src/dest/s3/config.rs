//! What an S3 URL and its options mean: endpoint, region, addressing, credentials (`destinations-core.md` 3.1-3.3).

use crate::base::error::{Error, Result};
use crate::base::opt::{Opt, Options, parse_flag};
use crate::base::secret::Secret;
use crate::dest::s3::manner::{self, Given, Manner};
use crate::dest::s3::options::*;
use crate::net::checks;
use crate::net::opts;
use crate::net::sigv4::Keys;
use crate::net::url::{DestUrl, folder};

/// Hosts of public services, by suffix: TLS is on for them unless `use-ssl` says otherwise.
static PUBLIC: &[&str] = &[
    "amazonaws.com",
    "amazonaws.com.cn",
    "wasabisys.com",
    "backblazeb2.com",
    "r2.cloudflarestorage.com",
    "storage.googleapis.com",
    "digitaloceanspaces.com",
    "your-objectstorage.com",
    "linodeobjects.com",
    "scw.cloud",
    "storjshare.io",
    "aliyuncs.com",
    "myqcloud.com",
    "lyvecloud.seagate.com",
    "megas4.com",
    "s4.mega.io",
    "impossibleapi.net",
    "storadera.com",
    "infomaniak.com",
    "infomaniak.cloud",
    "selcloud.ru",
    "srvstorage.uz",
    "srvstorage.kz",
    "rabata.io",
    "internxt.com",
    "sakurastorage.jp",
    "polisystems.ch",
    "dreamhost.com",
    "softlayer.net",
    "appdomain.cloud",
    "hosteurope.de",
    "dunkel.de",
];

/// A server: scheme and authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    /// Lower case, with a port only when it is not the scheme's own.
    pub(crate) host: String,
}

impl Endpoint {
    /// The host without its port.
    pub(crate) fn name(&self) -> &str {
        let end = match self.host.rfind(']') {
            Some(close) => close + 1,
            None => self.host.find(':').unwrap_or(self.host.len()),
        };
        &self.host[..end]
    }

    /// True for a host of this domain or below it.
    pub(crate) fn is_under(&self, domain: &str) -> bool {
        under(self.name(), domain)
    }

    pub(crate) fn is_aws(&self) -> bool {
        self.is_under("amazonaws.com") || self.is_under("amazonaws.com.cn")
    }
}

fn under(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Everything fixed by URL and options.
pub(crate) struct Setup {
    pub(crate) manner: &'static Manner,
    pub(crate) bucket: String,
    /// Empty or ends in `/`.
    pub(crate) prefix: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) region: String,
    /// Options or the host name tell the region; else it is a guess, which the server may correct.
    pub(crate) region_told: bool,
    /// As given, for making the bucket.
    pub(crate) location: String,
    pub(crate) virtual_host: bool,
    /// Storage class of what is uploaded.
    pub(crate) class: Option<String>,
    pub(crate) keys: Keys,
    pub(crate) token: Option<Secret>,
}

impl Setup {
    /// Of `s3` and `e2`. `host` overrides `s3-server-name` (iDrive e2).
    pub(crate) fn new(url: &DestUrl, options: &Options, host: Option<&str>) -> Result<Setup> {
        let bucket = checks::host(url, "bucket", "s3://bucket/folder", usize::MAX)?.to_owned();
        let european = options.flag(&EUROPEAN).then_some("EU");
        let location = options.text(&LOCATION).or(european).unwrap_or("").trim();
        let region = known_location(location);
        let reduced = options.flag(&REDUCED).then_some("REDUCED_REDUNDANCY");
        Setup::of(
            Given {
                manner: &manner::S3,
                bucket,
                folder: url.path.clone(),
                server: match host.or(options.text(&SERVER)) {
                    Some(text) => text.to_owned(),
                    None => aws_host(region, options.flag(&DUALSTACK)),
                },
                tls: false,
                region: (!region.is_empty()).then(|| region.to_owned()),
                location: location.to_owned(),
                class: options.text(&STORAGE_CLASS).or(reduced).map(str::to_owned),
                keys: credentials(url, options, (&KEY_ID, &SECRET))?,
            },
            options,
        )
    }

    /// Of any scheme.
    pub(crate) fn of(given: Given, options: &Options) -> Result<Setup> {
        let manner = given.manner;
        let prefix = folder(given.folder.trim());
        let endpoint = endpoint(&given.server, given.tls, manner, options)?;
        let own = options.text(&REGION).map(|r| r.trim().to_owned());
        let (region, region_told) = match own.or(given.region) {
            Some(region) => (region, true),
            None => match region_of(endpoint.name()) {
                Some(region) => (region.to_owned(), endpoint.name() != "s3.amazonaws.com"),
                None => ("us-east-1".to_owned(), false),
            },
        };
        let (keys, token) = given.keys;
        Ok(Setup {
            manner,
            virtual_host: virtual_host(&endpoint, &given.bucket, options),
            bucket: given.bucket,
            prefix,
            endpoint,
            region,
            region_told,
            location: given.location,
            class: given.class,
            keys,
            token,
        })
    }
}

/// The folder in a bucket that is named by options: the whole of host and path.
#[cfg(any(feature = "dest-cos", feature = "dest-aliyunoss"))]
pub(super) fn folder_of(url: &DestUrl) -> String {
    let path = format!("{}/{}", url.host, url.path);
    path.trim().trim_matches(['/', '\\']).to_owned()
}

fn known_location(location: &str) -> &str {
    if location == "EU" {
        "eu-west-1"
    } else {
        location
    }
}

/// True for text that looks like a region of Amazon: `eu-west-1`.
fn is_aws_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    (3..=4).contains(&parts.len())
        && parts.iter().all(|p| {
            !p.is_empty()
                && p.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
        && parts[0].len() == 2
        && parts
            .last()
            .is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
}

/// Amazon's host for a region, if it is one of Amazon's.
fn aws_host(region: &str, dual: bool) -> String {
    let cn = if region.starts_with("cn-") { ".cn" } else { "" };
    match (is_aws_region(region), dual) {
        (true, true) => format!("s3.dualstack.{region}.amazonaws.com{cn}"),
        (true, false) => format!("s3.{region}.amazonaws.com{cn}"),
        (false, true) => "s3.dualstack.us-east-1.amazonaws.com".to_owned(),
        (false, false) => "s3.amazonaws.com".to_owned(),
    }
}

/// The server that a text names.
pub(super) fn endpoint(
    text: &str,
    tls: bool,
    manner: &Manner,
    options: &Options,
) -> Result<Endpoint> {
    let bad = |cause: &str| Err(Error::usage(cause.replace("{}", manner.server)));
    let lower = text.trim().to_ascii_lowercase();
    let (scheme, rest) = match lower.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        Some(_) => return bad("{} must be a host name, or begin with http:// or https://"),
        None => (None, lower.as_str()),
    };
    let host = rest.trim_matches(['/', '\\']);
    if host.contains(['/', '\\', '?', '#']) {
        return bad("no path allowed in endpoint: {} must be a host name");
    }
    if host.is_empty() || host.contains(['@', ' ']) {
        return bad("{} is not a host name");
    }
    let bare = Endpoint {
        tls: false,
        host: host.to_owned(),
    };
    let name = bare.name();
    let public = tls || PUBLIC.iter().any(|p| under(name, p)) || name.contains(".idrivee2");
    let tls = match options.given(opts::USE_SSL.name).and_then(parse_flag) {
        Some(tls) => tls,
        None => scheme.unwrap_or(public),
    };
    let port = if tls { ":443" } else { ":80" };
    let host = host.strip_suffix(port).unwrap_or(host);
    Ok(Endpoint {
        tls,
        host: host.to_owned(),
    })
}

/// The region that a host name tells.
pub(crate) fn region_of(host: &str) -> Option<&str> {
    let host = host.trim_end_matches('.');
    for (suffix, region) in [
        ("r2.cloudflarestorage.com", "auto"),
        ("storage.googleapis.com", "auto"),
    ] {
        if under(host, suffix) {
            return Some(region);
        }
    }
    if matches!(host, "s3.amazonaws.com" | "s3.wasabisys.com") {
        return Some("us-east-1");
    }
    let labels: Vec<&str> = host.split('.').collect();
    let last_before = |suffix: &str| {
        let rest = host.strip_suffix(suffix)?.strip_suffix('.')?;
        rest.rsplit('.').next()
    };
    for suffix in [
        "digitaloceanspaces.com",
        "your-objectstorage.com",
        "linodeobjects.com",
    ] {
        if let Some(region) = last_before(suffix) {
            return Some(region);
        }
    }
    if let Some(region) = last_before("storage.impossibleapi.net") {
        return Some(region);
    }
    if let Some(label) = last_before("aliyuncs.com") {
        let region = label.strip_prefix("oss-")?;
        // Within a region, and in all of them, there are hosts of other names.
        let region = region.strip_suffix("-internal").unwrap_or(region);
        return Some(region).filter(|r| !r.starts_with("accelerate"));
    }
    if let Some(region) = last_before("myqcloud.com") {
        return Some(region).filter(|r| !matches!(*r, "cos" | "accelerate"));
    }
    if under(host, "amazonaws.com") || under(host, "amazonaws.com.cn") {
        let at = labels.iter().position(|l| *l == "amazonaws")?;
        let before = labels.get(at.checked_sub(1)?)?;
        let region = before.strip_prefix("s3-").unwrap_or(before);
        return Some(if region == "s3" { "us-east-1" } else { region });
    }
    let at = labels.iter().position(|l| *l == "s3")?;
    let region = labels.get(at + 1).copied()?;
    (labels.len() >= at + 4 && region.bytes().any(|b| b.is_ascii_lowercase())).then_some(region)
}

fn virtual_host(endpoint: &Endpoint, bucket: &str, options: &Options) -> bool {
    let label = bucket.len() >= 3
        && bucket.len() <= 63
        && bucket
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && !bucket.starts_with(['.', '-'])
        && !bucket.ends_with(['.', '-'])
        && !bucket.contains("..");
    if endpoint.host.starts_with(&format!("{bucket}.")) {
        return true;
    }
    if !label || (endpoint.tls && bucket.contains('.')) {
        return false;
    }
    match options.given(PATH_STYLE.name).and_then(parse_flag) {
        Some(path_style) => !path_style,
        None => {
            endpoint.is_aws()
                || endpoint.is_under("aliyuncs.com")
                || endpoint.is_under("myqcloud.com")
        }
    }
}

/// The key pair and its session token, by a scheme's own options or in general.
pub(super) fn credentials(
    url: &DestUrl,
    options: &Options,
    own: (&'static Opt, &'static Opt),
) -> Result<(Keys, Option<Secret>)> {
    let names = ("S3 user id", "S3 secret key");
    let (id, secret) = opts::keys(url, options, own, names)?;
    if id.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return Err(Error::usage(
            "the S3 user id has characters that no access key has",
        ));
    }
    Ok((Keys::new(id, secret), options.secret(&TOKEN)))
}

#[cfg(test)]
#[path = "config_tests.rs"]
pub(super) mod tests;
