//! Aliyun OSS (`destinations-more.md` 2.13): `aliyunoss://folder` on the S3 client, bucket and endpoint by options.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row};
use crate::base::text;
use crate::dest::Scheme;
use crate::dest::s3::S3Folder;
use crate::dest::s3::config::{Setup, credentials, folder_of};
use crate::dest::s3::manner::{Given, Manner, Version};
use crate::dest::s3::options::*;
use crate::net::checks;
use crate::net::url::DestUrl;

const BUCKET: Opt = Opt {
    aliases: &["oss-bucket"],
    ..row("oss-bucket-name", Kind::Text, "", "Bucket at Aliyun OSS.")
};
const ENDPOINT: Opt = row(
    "oss-endpoint",
    Kind::Text,
    "",
    "Server of Aliyun OSS for the bucket's region: oss-cn-hangzhou.aliyuncs.com and so on.",
);
const USER: Opt = row(
    "oss-access-key-id",
    Kind::Text,
    "",
    "AccessKey ID of Aliyun; also auth-username, the URL, or OSS_ACCESS_KEY_ID.",
)
.of_login(Part::User, "OSS_ACCESS_KEY_ID");
const KEY: Opt = Opt {
    aliases: &["oos-access-key-secret"],
    ..row(
        "oss-access-key-secret",
        Kind::Secret,
        "",
        "AccessKey secret of Aliyun; also auth-password, the URL, or OSS_ACCESS_KEY_SECRET.",
    )
    .of_login(Part::Password, "OSS_ACCESS_KEY_SECRET")
};

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["aliyunoss"],
    help: "Aliyun OSS: aliyunoss://folder?oss-bucket-name=NAME&oss-endpoint=HOST",
    options: on_client![BUCKET, ENDPOINT, USER, KEY],
    open: |url, options| S3Folder::opened(url, setup(url, options)?, options),
};

static MANNER: Manner = Manner {
    server: "--oss-endpoint",
    user: "--oss-access-key-id",
    secret: "--oss-access-key-secret",
    class: "the storage class of the bucket",
    bucket: "--oss-bucket-name",
    missing: "--oss-bucket-name and --oss-endpoint",
    // As it calls them itself, and in S3's words.
    cold: "ARCHIVE,COLDARCHIVE,DEEPCOLDARCHIVE,GLACIER,DEEP_ARCHIVE",
    names_region: false,
    conditional: false,
    version: Version::Auto,
    reader: "",
};

fn setup(url: &DestUrl, options: &Options) -> Result<Setup> {
    let bucket = options
        .text(&BUCKET)
        .ok_or_else(|| checks::missing("bucket of Aliyun OSS", "use --oss-bucket-name"))?;
    let bucket = bucket.trim();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edges = bucket.starts_with('-') || bucket.ends_with('-');
    if !(3..=63).contains(&bucket.len()) || edges || !bucket.bytes().all(plain) {
        let shown = text::safe_cut(bucket.as_bytes(), 80);
        return Err(
            Error::usage(format!("'{shown}' cannot be a bucket at Aliyun OSS"))
                .hint("it has 3 to 63 of a-z, 0-9 and -: correct --oss-bucket-name"),
        );
    }
    let how = "use --oss-endpoint=oss-REGION.aliyuncs.com";
    let endpoint = options.text(&ENDPOINT);
    let endpoint = endpoint.ok_or_else(|| checks::missing("endpoint of Aliyun OSS", how))?;
    let endpoint = endpoint.trim();
    // `oss-cn-hangzhou` is how Aliyun calls the region.
    let server = match endpoint.starts_with("oss-") && !endpoint.contains('.') {
        true => format!("{endpoint}.aliyuncs.com"),
        false => endpoint.to_owned(),
    };
    let given = Given {
        manner: &MANNER,
        bucket: bucket.to_owned(),
        folder: folder_of(url),
        server,
        tls: false,
        region: None,
        location: String::new(),
        class: None,
        keys: credentials(url, options, (&USER, &KEY))?,
    };
    Setup::of(given, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dest::s3::config::tests::given;
    use crate::dest::s3::place::other_name;

    fn made(text: &str) -> Result<Setup> {
        let (url, options) = given(text, SCHEME.options, &[])?;
        setup(&url, &options)
    }

    #[test]
    fn what_url_and_options_come_to() {
        let at = "oss-cn-hangzhou.aliyuncs.com";
        for (endpoint, host, region, style) in [
            (at, at, "cn-hangzhou", true),
            (
                "https://oss-cn-hangzhou.aliyuncs.com/",
                at,
                "cn-hangzhou",
                true,
            ),
            ("OSS-cn-hangzhou.aliyuncs.com", at, "cn-hangzhou", true),
            ("oss-cn-hangzhou", at, "cn-hangzhou", true),
            (
                "oss-eu-central-1-internal.aliyuncs.com",
                "oss-eu-central-1-internal.aliyuncs.com",
                "eu-central-1",
                true,
            ),
            (
                "s3.oss-ap-southeast-1.aliyuncs.com",
                "s3.oss-ap-southeast-1.aliyuncs.com",
                "ap-southeast-1",
                true,
            ),
            ("http://127.0.0.1:9", "127.0.0.1:9", "us-east-1", false),
        ] {
            for names in [
                "oss-bucket-name=box1&oss-access-key-secret=k",
                "oss-bucket=box1&oos-access-key-secret=k",
            ] {
                let text = format!(
                    "aliyunoss://Some/fol%20der?oss-endpoint={endpoint}&oss-access-key-id=i&{names}"
                );
                let made = made(&text).expect(&text);
                assert_eq!(
                    (made.bucket.as_str(), made.prefix.as_str()),
                    ("box1", "Some/fol der/")
                );
                assert_eq!(
                    (made.endpoint.host.as_str(), made.region.as_str()),
                    (host, region),
                    "{text}"
                );
                assert_eq!(
                    (made.virtual_host, made.endpoint.tls),
                    (style, style),
                    "{text}"
                );
            }
        }
        let made = made(
            "aliyunoss://x?oss-bucket=box&oss-endpoint=oss-accelerate.aliyuncs.com&auth-username=i&auth-password=p",
        );
        assert!(!made.expect("no region is told").region_told);
    }

    #[test]
    fn the_other_name_of_a_server() {
        for (host, other) in [
            (
                "oss-cn-hangzhou.aliyuncs.com",
                Some("s3.oss-cn-hangzhou.aliyuncs.com"),
            ),
            ("s3.oss-cn-hangzhou.aliyuncs.com", None),
            ("oss-cn-hangzhou.example.org", None),
            ("127.0.0.1:9", None),
        ] {
            let (tls, host) = (true, host.to_owned());
            let endpoint = crate::dest::s3::config::Endpoint { tls, host };
            assert_eq!(other_name(&endpoint).as_deref(), other);
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let long = format!("oss-bucket={}&oss-endpoint=oss-x", "x".repeat(64));
        for (query, part) in [
            ("oss-endpoint=oss-cn-hangzhou", "--oss-bucket-name"),
            ("oss-bucket=box", "--oss-endpoint"),
            ("oss-bucket=ab&oss-endpoint=oss-x", "cannot be a bucket"),
            ("oss-bucket=Box&oss-endpoint=oss-x", "cannot be a bucket"),
            ("oss-bucket=a.box&oss-endpoint=oss-x", "cannot be a bucket"),
            ("oss-bucket=box-&oss-endpoint=oss-x", "cannot be a bucket"),
            (&long, "cannot be a bucket"),
            (
                "oss-bucket=box&oss-endpoint=https://h/path",
                "--oss-endpoint must be",
            ),
            (
                "oss-bucket=box&oss-endpoint=ftp://h",
                "--oss-endpoint must be",
            ),
            ("oss-bucket=box&oss-endpoint=oss-cn-hangzhou", ""),
        ] {
            let text =
                format!("aliyunoss://x?{query}&oss-access-key-id=i&oss-access-key-secret=hunter2");
            let told = made(&text).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(
                told.contains(part) && told.is_empty() == part.is_empty(),
                "{query}: {told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
        let told = made("aliyunoss://x?oss-bucket=box&oss-endpoint=oss-x").err();
        assert!(
            told.expect("no keys")
                .to_string()
                .contains("--oss-access-key-id")
        );
    }
}
