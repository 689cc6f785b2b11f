//! Tencent COS (`destinations-more.md` 2.13): `cos://folder` on the S3 client, bucket and region by options.

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

/// Longest name of a bucket with its APPID.
const BUCKET_MAX: usize = 60;

const BUCKET: Opt = row(
    "cos-bucket",
    Kind::Text,
    "",
    "Bucket at Tencent COS, with or without its -APPID.",
);
const APP: Opt = row(
    "cos-app-id",
    Kind::Text,
    "",
    "APPID of the Tencent account, for a bucket name without it.",
);
const COS_REGION: Opt = row(
    "cos-region",
    Kind::Text,
    "",
    "Region of the bucket at Tencent COS, such as ap-guangzhou or eu-frankfurt.",
);
const USER: Opt = row(
    "cos-secret-id",
    Kind::Text,
    "",
    "SecretId of Tencent; also auth-username, the URL, or TENCENTCLOUD_SECRET_ID.",
)
.of_login(Part::User, "TENCENTCLOUD_SECRET_ID");
const KEY: Opt = row(
    "cos-secret-key",
    Kind::Secret,
    "",
    "SecretKey of Tencent; also auth-password, the URL, or TENCENTCLOUD_SECRET_KEY.",
)
.of_login(Part::Password, "TENCENTCLOUD_SECRET_KEY");
const CLASS: Opt = row(
    "cos-storage-class",
    Kind::Text,
    "",
    "Storage class of uploaded files at Tencent COS.",
);

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["cos"],
    help: "Tencent COS: cos://folder?cos-bucket=NAME-APPID&cos-region=REGION",
    options: on_client![BUCKET, APP, COS_REGION, USER, KEY, CLASS, SERVER],
    open: |url, options| S3Folder::opened(url, setup(url, options)?, options),
};

static MANNER: Manner = Manner {
    server: "--cos-region",
    user: "--cos-secret-id",
    secret: "--cos-secret-key",
    class: "--cos-storage-class",
    bucket: "--cos-bucket and --cos-app-id",
    missing: "--cos-bucket, --cos-app-id and --cos-region",
    cold: "ARCHIVE,DEEP_ARCHIVE",
    names_region: false,
    conditional: false,
    // It numbers no pages by tokens.
    version: Version::V1,
    reader: "",
};

fn setup(url: &DestUrl, options: &Options) -> Result<Setup> {
    let region = options
        .text(&COS_REGION)
        .ok_or_else(|| checks::missing("region of Tencent COS", "use --cos-region"))?;
    let region = region.trim().to_ascii_lowercase();
    let good = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !region.contains('-') || !region.split('-').all(good) {
        let shown = text::safe_cut(region.as_bytes(), 40);
        return Err(Error::usage(format!("--cos-region={shown} is no region"))
            .hint("regions are written like ap-guangzhou or eu-frankfurt"));
    }
    let server = match options.text(&SERVER) {
        Some(server) => server.to_owned(),
        None => format!("https://cos.{region}.myqcloud.com"),
    };
    let given = Given {
        manner: &MANNER,
        bucket: bucket(options)?,
        folder: folder_of(url),
        server,
        tls: false,
        region: Some(region),
        location: String::new(),
        class: options.text(&CLASS).map(str::to_owned),
        keys: credentials(url, options, (&USER, &KEY))?,
    };
    Setup::of(given, options)
}

/// `NAME-APPID`.
fn bucket(options: &Options) -> Result<String> {
    let name = options.text(&BUCKET).map(str::trim);
    let how = "use --cos-bucket=NAME-APPID";
    let name = name.ok_or_else(|| checks::missing("bucket of Tencent COS", how))?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let has_app = name.rsplit_once('-').is_some_and(|(_, app)| digits(app));
    let bucket = match options.text(&APP).map(str::trim) {
        Some(app) if !digits(app) => {
            return Err(Error::usage("--cos-app-id is not a number"));
        }
        Some(app) if !name.ends_with(&format!("-{app}")) => format!("{name}-{app}"),
        None if !has_app => {
            let cause = "the name of the bucket at Tencent COS lacks the APPID of the account";
            return Err(Error::usage(cause).hint("use --cos-bucket=NAME-APPID, or --cos-app-id"));
        }
        _ => name.to_owned(),
    };
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if bucket.len() > BUCKET_MAX || bucket.starts_with('-') || !bucket.bytes().all(plain) {
        let shown = text::safe_cut(bucket.as_bytes(), 80);
        return Err(
            Error::usage(format!("'{shown}' cannot be a bucket at Tencent COS"))
                .hint("it has at most 60 of a-z, 0-9 and -, with the APPID: correct --cos-bucket"),
        );
    }
    Ok(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dest::s3::config::tests::given;

    fn made(text: &str, line: &[(&str, &str)]) -> Result<Setup> {
        let (url, options) = given(text, SCHEME.options, line)?;
        setup(&url, &options)
    }

    #[test]
    fn what_url_and_options_come_to() {
        let keys = "cos-secret-id=i&cos-secret-key=k";
        let at = "cos.ap-guangzhou.myqcloud.com";
        for (text, bucket, prefix, host, style) in [
            (
                "cos://Some/fol%20der/?cos-bucket=box-125&cos-region=ap-guangzhou",
                "box-125",
                "Some/fol der/",
                at,
                true,
            ),
            (
                "cos://x?cos-bucket=box&cos-app-id=125&cos-region=AP-Guangzhou",
                "box-125",
                "x/",
                at,
                true,
            ),
            (
                "cos://x?cos-bucket=box-125&cos-app-id=125&cos-region=ap-guangzhou",
                "box-125",
                "x/",
                at,
                true,
            ),
            // A number at the end need not be the account's.
            (
                "cos://x?cos-bucket=box-7&cos-app-id=125&cos-region=ap-guangzhou",
                "box-7-125",
                "x/",
                at,
                true,
            ),
            (
                "cos://?cos-bucket=box-125&cos-region=ap-guangzhou",
                "box-125",
                "",
                at,
                true,
            ),
            (
                "cos://x?cos-bucket=box-125&cos-region=eu-frankfurt&s3-server-name=cos.accelerate.myqcloud.com",
                "box-125",
                "x/",
                "cos.accelerate.myqcloud.com",
                true,
            ),
            (
                "cos://x?cos-bucket=box-125&cos-region=na-siliconvalley&s3-server-name=http://127.0.0.1:9",
                "box-125",
                "x/",
                "127.0.0.1:9",
                false,
            ),
        ] {
            let made = made(&format!("{text}&{keys}"), &[]).expect(text);
            assert_eq!(
                (made.bucket.as_str(), made.prefix.as_str()),
                (bucket, prefix),
                "{text}"
            );
            assert_eq!(
                (made.endpoint.host.as_str(), made.virtual_host),
                (host, style),
                "{text}"
            );
            assert_eq!(made.endpoint.tls, !text.contains("http:"), "{text}");
            assert!(made.region_told && made.region.contains('-'), "{text}");
        }
        let text = "cos://u:p%2Fw@x?cos-bucket=b-1&cos-region=ap-beijing-1";
        let made = made(text, &[("cos-storage-class", "STANDARD_IA")]).expect(text);
        assert_eq!(
            (made.keys.id.as_str(), made.region.as_str()),
            ("u", "ap-beijing-1")
        );
        assert_eq!(made.class.as_deref(), Some("STANDARD_IA"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let long = format!("cos-bucket={}-1&cos-region=a-b", "x".repeat(60));
        for (query, part) in [
            ("cos-region=ap-guangzhou", "--cos-bucket"),
            ("cos-bucket=b-1", "--cos-region"),
            ("cos-bucket=b&cos-region=ap-guangzhou", "APPID"),
            (
                "cos-bucket=b&cos-app-id=x&cos-region=ap-guangzhou",
                "not a number",
            ),
            (
                "cos-bucket=B-1&cos-region=ap-guangzhou",
                "cannot be a bucket",
            ),
            (
                "cos-bucket=a.b-1&cos-region=ap-guangzhou",
                "cannot be a bucket",
            ),
            (
                "cos-bucket=-1&cos-region=ap-guangzhou",
                "cannot be a bucket",
            ),
            (&long, "cannot be a bucket"),
            ("cos-bucket=b-1&cos-region=Guangzhou", "no region"),
            ("cos-bucket=b-1&cos-region=cos.ap-guangzhou", "no region"),
            ("cos-bucket=b-1&cos-region=ap-guangzhou", ""),
        ] {
            let text = format!("cos://x?{query}&cos-secret-id=i&cos-secret-key=hunter2");
            let told = made(&text, &[])
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(
                told.contains(part) && told.is_empty() == part.is_empty(),
                "{query}: {told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
        let told = made("cos://x?cos-bucket=b-1&cos-region=ap-guangzhou", &[]).err();
        let told = told.expect("no keys").to_string();
        assert!(told.contains("--cos-secret-id"), "{told}");
    }
}
