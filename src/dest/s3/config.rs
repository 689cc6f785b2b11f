//! What an S3 URL and its options mean: endpoint, region, addressing, credentials (`destinations-core.md` 3.1-3.3).

use crate::base::error::{Error, Result};
use crate::base::opt::{Options, parse_flag};

use crate::base::secret::Secret;
use crate::dest::s3::options::*;
use crate::net::opts;
use crate::net::sigv4::Keys;
use crate::net::url::DestUrl;

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
    pub(crate) keys: Keys,
    pub(crate) token: Option<Secret>,
}

impl Setup {
    /// `host` overrides `s3-server-name` (iDrive e2).
    pub(crate) fn new(url: &DestUrl, options: &Options, host: Option<&str>) -> Result<Setup> {
        let bucket = url.host.trim().to_owned();
        if bucket.is_empty() {
            return Err(Error::usage("missing bucket name in the destination URL")
                .hint("write it as s3://bucket/folder"));
        }
        let mut prefix = url.path.trim().to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        let location = options.text(&LOCATION).unwrap_or("").trim().to_owned();
        let endpoint = endpoint(options, host, &location)?;
        let (region, region_told) = match options.text(&REGION).map(str::trim) {
            Some(region) => (region, true),
            None if !location.is_empty() => (known_location(&location), true),
            None => match region_of(endpoint.name()) {
                Some(region) => (region, endpoint.name() != "s3.amazonaws.com"),
                None => ("us-east-1", false),
            },
        };
        let region = region.to_owned();
        let virtual_host = virtual_host(&endpoint, &bucket, options);
        let (keys, token) = credentials(url, options)?;
        Ok(Setup {
            bucket,
            prefix,
            endpoint,
            region,
            region_told,
            location,
            virtual_host,
            keys,
            token,
        })
    }
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

fn endpoint(options: &Options, host: Option<&str>, location: &str) -> Result<Endpoint> {
    let region = known_location(location);
    let cn = if region.starts_with("cn-") { ".cn" } else { "" };
    let dual = options.flag(&DUALSTACK);
    let given = host.or(options.text(&SERVER));
    let text = match given {
        Some(text) => text.trim().to_owned(),
        None if is_aws_region(region) && dual => {
            format!("s3.dualstack.{region}.amazonaws.com{cn}")
        }
        None if is_aws_region(region) => format!("s3.{region}.amazonaws.com{cn}"),
        None if dual => "s3.dualstack.us-east-1.amazonaws.com".to_owned(),
        None => "s3.amazonaws.com".to_owned(),
    };
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = match lower.split_once("://") {
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        Some(_) => {
            return Err(Error::usage(
                "--s3-server-name must be a host name, or begin with http:// or https://",
            ));
        }
        None => (None, lower.as_str()),
    };
    let host = rest.trim_matches(['/', '\\']);
    if host.contains(['/', '\\', '?', '#']) {
        return Err(Error::usage(
            "no path allowed in endpoint: --s3-server-name must be a host name",
        ));
    }
    if host.is_empty() || host.contains(['@', ' ']) {
        return Err(Error::usage("--s3-server-name is not a host name"));
    }
    let bare = Endpoint {
        tls: false,
        host: host.to_owned(),
    };
    let name = bare.name();
    let public = PUBLIC.iter().any(|p| under(name, p)) || name.contains(".idrivee2");
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
    if let Some(region) = last_before("aliyuncs.com") {
        return region.strip_prefix("oss-");
    }
    if let Some(region) = last_before("myqcloud.com") {
        return Some(region).filter(|r| *r != "cos");
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

fn credentials(url: &DestUrl, options: &Options) -> Result<(Keys, Option<Secret>)> {
    let names = ("S3 user id", "S3 secret key");
    let (id, secret) = opts::keys(url, options, (&KEY_ID, &SECRET), names)?;
    if id.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return Err(Error::usage(
            "the S3 user id has characters that no access key has",
        ));
    }
    Ok((Keys::new(id, secret), options.secret(&TOKEN)))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
