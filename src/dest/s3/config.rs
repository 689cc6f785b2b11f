//! What an S3 URL and its options mean: endpoint, region, addressing, credentials (`destinations-core.md` 3.1-3.3).

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, parse_flag};
use crate::base::secret::Secret;
use crate::net::opts;
use crate::net::sigv4::Keys;
use crate::net::url::DestUrl;

const fn row(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Opt {
    Opt {
        name,
        aliases: &[],
        kind,
        default,
        help,
        commands: &[],
    }
}

pub(crate) const KEY_ID: Opt = Opt {
    name: "aws-access-key-id",
    aliases: &["access_key_id"],
    kind: Kind::Text,
    default: "",
    help: "Access key id; also auth-username, the URL, or AWS_ACCESS_KEY_ID.",
    commands: &[],
};
pub(crate) const SECRET: Opt = Opt {
    name: "aws-secret-access-key",
    aliases: &["access_key_secret", "access_secret_key"],
    kind: Kind::Secret,
    default: "",
    help: "Secret access key; also auth-password, the URL, or AWS_SECRET_ACCESS_KEY.",
    commands: &[],
};
pub(crate) const TOKEN: Opt = row(
    "aws-session-token",
    Kind::Secret,
    "",
    "Session token of temporary credentials; also AWS_SESSION_TOKEN.",
);
pub(crate) const SERVER: Opt = Opt {
    name: "s3-server-name",
    aliases: &["s3-servername"],
    kind: Kind::Text,
    default: "",
    help: "Host (with port if needed) of the S3 service; s3.amazonaws.com without it.",
    commands: &[],
};
pub(crate) const LOCATION: Opt = row(
    "s3-location-constraint",
    Kind::Text,
    "",
    "Region in which a bucket is made; picks the host of Amazon's regions.",
);
pub(crate) const REGION: Opt = row(
    "s3-authentication-region",
    Kind::Text,
    "",
    "Region to sign for, where it cannot be told from the host name.",
);
pub(crate) const STORAGE_CLASS: Opt = row(
    "s3-storage-class",
    Kind::Text,
    "",
    "Storage class of uploaded files.",
);
pub(crate) const ARCHIVE_CLASSES: Opt = row(
    "s3-archive-classes",
    Kind::Text,
    "DEEP_ARCHIVE,GLACIER,GLACIER_IR,SNOW",
    "Storage classes whose files cannot be read at once.",
);
pub(crate) const CLIENT: Opt = row(
    "s3-client",
    Kind::Choice(&["aws", "minio"]),
    "aws",
    "Accepted for Duplicati's sake; both words mean the same client.",
);
pub(crate) const UNSIGNED_PAYLOAD: Opt = row(
    "s3-disable-payload-signing",
    Kind::Flag,
    "",
    "Do not sign upload bodies; only over TLS.",
);
pub(crate) const LIST_VERSION: Opt = Opt {
    name: "s3-list-api-version",
    aliases: &["list-api-version"],
    kind: Kind::Choice(&["auto", "v1", "v2"]),
    default: "auto",
    help: "Version of the listing request.",
    commands: &[],
};
pub(crate) const RECURSIVE: Opt = row(
    "s3-recursive-list",
    Kind::Flag,
    "",
    "List without a delimiter, for servers that need it.",
);
pub(crate) const PATH_STYLE: Opt = row(
    "s3-ext-forcepathstyle",
    Kind::Flag,
    "",
    "Put the bucket into the path (true) or the host name (false); chosen by host without it.",
);
pub(crate) const DUALSTACK: Opt = Opt {
    name: "s3-dualstack",
    aliases: &["s3-ext-usedualstackendpoint"],
    kind: Kind::Flag,
    default: "",
    help: "Use Amazon's hosts that also speak IPv6.",
    commands: &[],
};
pub(crate) const CHECKSUM: Opt = row(
    "s3-checksum",
    Kind::Choice(&["none", "sha256"]),
    "none",
    "Additional checksum header to send with uploads.",
);
pub(crate) const MULTIPART_FROM: Opt = row(
    "s3-multipart-threshold",
    Kind::Size(1 << 20),
    "1gb",
    "Files larger than this are sent in parts.",
);
pub(crate) const PART_SIZE: Opt = row(
    "s3-part-size",
    Kind::Size(1 << 20),
    "64mb",
    "Size of a part; at least 5 MiB.",
);

/// Every option of the `s3` scheme.
pub(crate) static OPTIONS: &[Opt] = &[
    opts::USE_SSL,
    KEY_ID,
    SECRET,
    TOKEN,
    SERVER,
    LOCATION,
    REGION,
    STORAGE_CLASS,
    ARCHIVE_CLASSES,
    CLIENT,
    UNSIGNED_PAYLOAD,
    LIST_VERSION,
    RECURSIVE,
    PATH_STYLE,
    DUALSTACK,
    CHECKSUM,
    MULTIPART_FROM,
    PART_SIZE,
    row("s3-disable-chunk-encoding", Kind::Ignored, "", "No effect."),
];

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
        let region = match options.text(&REGION).map(str::trim) {
            Some(region) => region.to_owned(),
            None if !location.is_empty() => known_location(&location).to_owned(),
            None => region_of(endpoint.name()).unwrap_or("us-east-1").to_owned(),
        };
        let virtual_host = virtual_host(&endpoint, &bucket, options);
        let (keys, token) = credentials(url, options)?;
        Ok(Setup {
            bucket,
            prefix,
            endpoint,
            region,
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
    let id = options
        .text(&KEY_ID)
        .or(url.user.as_deref().filter(|u| !u.trim().is_empty()))
        .or(options.text(&opts::AUTH_USERNAME))
        .map(|id| id.trim().to_owned());
    let secret = options
        .secret(&SECRET)
        .or_else(|| {
            let given = url.password.as_ref().filter(|p| !p.is_blank());
            given.map(Secret::duplicate)
        })
        .or_else(|| options.secret(&opts::AUTH_PASSWORD));
    let Some(id) = id else {
        return Err(Error::usage("no S3 user id given")
            .hint("use --auth-username, --aws-access-key-id or AWS_ACCESS_KEY_ID"));
    };
    let Some(secret) = secret else {
        return Err(Error::usage("no S3 secret key given")
            .hint("use --auth-password, --aws-secret-access-key or AWS_SECRET_ACCESS_KEY"));
    };
    if id.bytes().any(|b| !(0x21..=0x7e).contains(&b)) {
        return Err(Error::usage(
            "the S3 user id has characters that no access key has",
        ));
    }
    Ok((Keys::new(id, secret), options.secret(&TOKEN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str, line: &[(&str, &str)]) -> Result<Setup> {
        let (url, _) = DestUrl::parse(text)?;
        let mut options = Options::default();
        let mut set = |name: &str, value: &str| {
            let mut rows = OPTIONS
                .iter()
                .chain([&opts::AUTH_USERNAME, &opts::AUTH_PASSWORD]);
            options.set(rows.find(|o| o.is_named(name)).expect("option"), value)
        };
        for (name, value) in line {
            set(name, value)?;
        }
        for (name, value) in &url.query {
            set(name, value.reveal())?;
        }
        Setup::new(&url, &options, None)
    }

    #[test]
    fn endpoints_regions_and_styles() {
        for (query, host, tls, region, virtual_host) in [
            ("", "s3.amazonaws.com", true, "us-east-1", true),
            (
                "s3-location-constraint=EU",
                "s3.eu-west-1.amazonaws.com",
                true,
                "eu-west-1",
                true,
            ),
            (
                "s3-location-constraint=cn-north-1",
                "s3.cn-north-1.amazonaws.com.cn",
                true,
                "cn-north-1",
                true,
            ),
            (
                "s3-dualstack&s3-location-constraint=eu-west-1",
                "s3.dualstack.eu-west-1.amazonaws.com",
                true,
                "eu-west-1",
                true,
            ),
            (
                "s3-server-name=127.0.0.1:9000",
                "127.0.0.1:9000",
                false,
                "us-east-1",
                false,
            ),
            (
                "s3-servername=https://NAS:443/",
                "nas",
                true,
                "us-east-1",
                false,
            ),
            (
                "s3-server-name=http://nas:80",
                "nas",
                false,
                "us-east-1",
                false,
            ),
            (
                "s3-server-name=https://nas:9000&use-ssl=false",
                "nas:9000",
                false,
                "us-east-1",
                false,
            ),
            (
                "s3-server-name=s3.us-west-004.backblazeb2.com",
                "s3.us-west-004.backblazeb2.com",
                true,
                "us-west-004",
                false,
            ),
            (
                "s3-server-name=x.r2.cloudflarestorage.com&use-ssl=off",
                "x.r2.cloudflarestorage.com",
                false,
                "auto",
                false,
            ),
            (
                "s3-server-name=fra1.digitaloceanspaces.com",
                "fra1.digitaloceanspaces.com",
                true,
                "fra1",
                false,
            ),
            (
                "s3-server-name=oss-cn-hangzhou.aliyuncs.com",
                "oss-cn-hangzhou.aliyuncs.com",
                true,
                "cn-hangzhou",
                true,
            ),
            (
                "s3-server-name=cos.ap-paris.myqcloud.com",
                "cos.ap-paris.myqcloud.com",
                true,
                "ap-paris",
                true,
            ),
            (
                "s3-server-name=s3.nas.lan&s3-authentication-region=garage",
                "s3.nas.lan",
                false,
                "garage",
                false,
            ),
            (
                "s3-server-name=[::1]:9000&s3-ext-forcepathstyle=false",
                "[::1]:9000",
                false,
                "us-east-1",
                true,
            ),
            (
                "s3-ext-forcepathstyle=true",
                "s3.amazonaws.com",
                true,
                "us-east-1",
                false,
            ),
            (
                "s3-server-name=bkt.s3.eu-west-1.amazonaws.com",
                "bkt.s3.eu-west-1.amazonaws.com",
                true,
                "eu-west-1",
                true,
            ),
        ] {
            let s = setup(&format!("s3://id:secret@bkt/pre?{query}"), &[]).expect(query);
            assert_eq!(
                (
                    s.endpoint.host.as_str(),
                    s.endpoint.tls,
                    s.region.as_str(),
                    s.virtual_host
                ),
                (host, tls, region, virtual_host),
                "{query}"
            );
        }
        assert_eq!(region_of("s3-eu-west-2.amazonaws.com"), Some("eu-west-2"));
        assert_eq!(region_of("s3.wasabisys.com"), Some("us-east-1"));
        assert_eq!(region_of("minio"), None);
    }

    #[test]
    fn buckets_and_prefixes() {
        for (text, bucket, prefix, virtual_host) in [
            ("s3://i:secret@Bkt/a/b", "Bkt", "a/b/", false),
            ("s3://i:secret@bkt/ a ", "bkt", "a/", true),
            ("s3://i:secret@my.bkt", "my.bkt", "", false),
            ("s3://i:secret@bkt//x/", "bkt", "/x/", true),
        ] {
            let s = setup(text, &[]).expect(text);
            assert_eq!(
                (s.bucket.as_str(), s.prefix.as_str(), s.virtual_host),
                (bucket, prefix, virtual_host)
            );
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (text, part) in [
            ("s3:///x", "missing bucket name"),
            ("s3://b", "AWS_ACCESS_KEY_ID"),
            ("s3://id@b", "AWS_SECRET_ACCESS_KEY"),
            ("s3://id: @b", "AWS_SECRET_ACCESS_KEY"),
            (
                "s3://i:secret@b?s3-server-name=h/x",
                "no path allowed in endpoint",
            ),
            ("s3://i:secret@b?s3-server-name=ftp://h", "http://"),
            ("s3://i:secret@b?s3-client=x", "aws, minio"),
            ("s3://i:secret@b?s3-list-api-version=v3", "v1, v2"),
        ] {
            let e = setup(text, &[]).err().expect(text);
            assert_eq!(e.kind().exit_code(), 200);
            assert!(e.to_string().contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn credentials_by_rank() {
        let line = [
            ("auth-username", "low"),
            ("auth-password", "lowsecret"),
            ("aws-access-key-id", "top"),
        ];
        assert_eq!(setup("s3://mid:x@b", &line).expect("good").keys.id, "top");
        assert_eq!(
            setup("s3://mid:x@b", &line[..2]).expect("good").keys.id,
            "mid"
        );
        assert_eq!(setup("s3://b", &line[..2]).expect("good").keys.id, "low");
        assert_eq!(
            setup("s3://mid@b", &line[..2]).expect("good").keys.id,
            "mid"
        );
    }
}
