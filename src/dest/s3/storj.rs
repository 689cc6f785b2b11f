//! Storj (`destinations-more.md` 2.13): `storj://` on the S3 client, by an access grant or by keys of a gateway. What wants
//! Storj's own protocol, which is an API key and a passphrase, is carried by rclone.

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::base::secret::Secret;
use crate::base::text;
#[cfg(feature = "dest-rclone")]
use crate::dest::rclone;
use crate::dest::s3::S3Folder;
use crate::dest::s3::config::Setup;
use crate::dest::s3::grant::Grant;
use crate::dest::s3::lookup::Lookup;
use crate::dest::s3::manner::{Given, Manner, Version};
use crate::dest::s3::options::*;
use crate::dest::storj::{BUCKET, FOLDER, GRANT, KEY, METHOD, SATELLITE, SECRET};
use crate::dest::{Destination, Scheme};
use crate::net::opts;
use crate::net::sigv4::Keys;
use crate::net::url::DestUrl;

const SERVICE: Opt = row(
    "storj-auth-service",
    Kind::Word,
    "https://auth.storjshare.io",
    "Service that gives keys of a gateway for an access grant of Storj: the hosted one, or that of an own gateway.",
);
const VIA: Opt = row(
    "storj-via",
    Kind::Choice(&["auto", "gateway", "rclone"]),
    "auto",
    "How Storj is reached: by an S3 gateway, which an access grant or its keys open, or by rclone, which an API key needs.",
);
/// The hosted gateway.
const GATEWAY: &str = "https://gateway.storjshare.io";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["storj", "tardigrade"],
    help: "Storj: storj://?storj-bucket=NAME&storj-folder=folder",
    #[cfg(feature = "dest-rclone")]
    options: on_client![
        METHOD,
        GRANT,
        BUCKET,
        FOLDER,
        SERVICE,
        VIA,
        SATELLITE,
        KEY,
        SECRET,
        SERVER,
        rclone::PROGRAM,
        rclone::WORDS,
        rclone::MODE,
    ],
    #[cfg(not(feature = "dest-rclone"))]
    options: on_client![
        METHOD, GRANT, BUCKET, FOLDER, SERVICE, VIA, SATELLITE, KEY, SECRET, SERVER
    ],
    open,
};

static MANNER: Manner = Manner {
    server: "--s3-server-name",
    user: "--auth-username",
    secret: "--auth-password",
    class: "the storage class",
    bucket: "--storj-bucket",
    missing: "--storj-bucket",
    cold: "",
    names_region: false,
    conditional: false,
    version: Version::Auto,
    reader: "Storj's gateway",
};
/// The keys are made of a grant.
static BY_GRANT: Manner = Manner {
    user: "--storj-shared-access",
    secret: "--storj-shared-access",
    ..MANNER
};

/// How a URL logs in.
enum Way {
    Grant(Secret),
    /// Keys of a gateway.
    Keys(String, Secret),
    Rclone,
}

fn way(url: &DestUrl, options: &Options) -> Result<Way> {
    let by_grant = options.choice(&METHOD) == Some("Access grant");
    let via = options.choice(&VIA);
    if via == Some("rclone") {
        return Ok(Way::Rclone);
    }
    let own = options.secret(&KEY).is_some() || options.secret(&SECRET).is_some();
    // A grant that was given without saying so is one, too.
    let grant = options.secret(&GRANT);
    let said = options.given(METHOD.name).is_some();
    match (grant, opts::login(url, options, None)) {
        (Some(grant), _) if by_grant || (!said && !own) => Ok(Way::Grant(grant)),
        (_, (Some(id), Some(secret))) if !by_grant && !own => Ok(Way::Keys(id, secret)),
        _ if via == Some("gateway") => Err(Error::usage("no log-in for a gateway of Storj given")
            .hint("use --storj-auth-method='Access grant' with --storj-shared-access, or its keys as --auth-username and --auth-password")),
        _ => Ok(Way::Rclone),
    }
}

fn open(url: &DestUrl, options: &Options) -> Result<Box<dyn Destination>> {
    let (keys, lookup, manner) = match way(url, options)? {
        Way::Rclone => return carried(url, options),
        Way::Keys(id, secret) => (Keys::new(id.trim().to_owned(), secret), None, &MANNER),
        Way::Grant(grant) => {
            let service = options.text(&SERVICE).unwrap_or_default();
            // Who logs in is told by it until there are keys, and must not show it.
            let mark = Algo::Sha256.hash(grant.reveal().trim().as_bytes());
            let mark = format!("grant-{}", &hex(mark.as_bytes())[..16]);
            let given = options.text(&SERVER).is_some();
            let grant = Grant::new(grant, service, given)?;
            let keys = Keys::new(mark, Secret::new(String::new()));
            (keys, Some(Lookup::Grant(grant)), &BY_GRANT)
        }
    };
    let bucket = options.text(&BUCKET).unwrap_or_default().trim();
    let folder = options.text(&FOLDER).unwrap_or_default().trim();
    let folder = folder.trim_matches('/');
    let given = Given {
        manner,
        bucket: bucket.to_owned(),
        folder: folder.to_owned(),
        server: options.text(&SERVER).unwrap_or(GATEWAY).to_owned(),
        tls: false,
        // Its gateways take any.
        region: Some("us-east-1".to_owned()),
        location: String::new(),
        class: None,
        keys: (keys, options.secret(&TOKEN)),
    };
    let setup = Setup::of(given, options)?;
    let shown = text::safe(format!("storj://{bucket}/{folder}").as_bytes());
    Ok(Box::new(S3Folder::new(shown, setup, lookup, options)?))
}

#[cfg(feature = "dest-rclone")]
fn carried(url: &DestUrl, options: &Options) -> Result<Box<dyn Destination>> {
    rclone::carry(url, options)
}

#[cfg(not(feature = "dest-rclone"))]
fn carried(_: &DestUrl, _: &Options) -> Result<Box<dyn Destination>> {
    Err(Error::usage("an API key of Storj goes through rclone, without which this program was built")
        .hint("make an access grant and give it as --storj-auth-method='Access grant' and --storj-shared-access"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dest::s3::config::tests::given;

    /// Description and account of what is opened, or why it is not.
    fn opened(query: &str, line: &[(&str, &str)]) -> std::result::Result<(String, String), String> {
        let (url, options) =
            given(&format!("storj://x/y?{query}"), SCHEME.options, line).expect("options");
        let opened = open(&url, &options).map_err(|e| e.to_string())?;
        Ok((opened.describe(), opened.account()))
    }

    #[test]
    fn what_a_log_in_is_by() {
        let (by, grant) = (
            "storj-auth-method=Access%20grant",
            "storj-shared-access=hunter2",
        );
        let old = "tardigrade-auth-method=Access%20grant&tardigrade-shared-access=hunter2";
        let keys = "auth-username=i&auth-password=hunter2";
        for (query, shown, account) in [
            (format!("{by}&{grant}"), "storj://duplicati/", "grant-"),
            (
                format!("{grant}&storj-bucket=b&storj-folder=/a/c/"),
                "storj://b/a/c",
                "grant-",
            ),
            (
                format!("{old}&tardigrade-bucket=b&tardigrade-folder=a"),
                "storj://b/a",
                "grant-",
            ),
            (format!("{grant}&{keys}"), "storj://duplicati/", "grant-"),
            (format!("{keys}&storj-folder=a"), "storj://duplicati/a", "i"),
        ] {
            let (description, who) = opened(&query, &[]).expect(&query);
            assert_eq!(description, shown, "{query}");
            assert!(
                who.starts_with(account) && !who.contains("hunter2"),
                "{who}"
            );
        }
        let a = opened(&format!("{by}&{grant}"), &[]).expect("opened").1;
        let b = opened(&format!("{by}&storj-shared-access=other"), &[])
            .expect("opened")
            .1;
        assert!(a != b && a.len() == 22, "{a} {b}");
    }

    #[test]
    fn what_wants_storjs_own_protocol_is_for_rclone() {
        for query in [
            "storj-api-key=hunter2&storj-secret=hunter2",
            "storj-api-key=hunter2&storj-secret=hunter2&storj-auth-method=API%20key",
            "storj-auth-method=Access%20grant&storj-shared-access=hunter2&storj-via=rclone",
        ] {
            match opened(query, &[]) {
                Ok((shown, _)) => assert!(shown.starts_with("storj://duplicati"), "{shown}"),
                Err(told) => assert!(told.contains("through rclone"), "{told}"),
            }
        }
        for query in [
            "",
            "storj-api-key=hunter2",
            "storj-auth-method=API%20key&storj-shared-access=hunter2",
        ] {
            let told = opened(query, &[]).expect_err(query);
            assert!(!told.contains("hunter2"), "{told}");
            let told = opened(&format!("{query}&storj-via=gateway"), &[]).expect_err(query);
            assert!(told.contains("--storj-shared-access"), "{told}");
        }
    }

    #[test]
    fn a_grant_goes_nowhere_in_the_clear() {
        for (service, good) in [
            ("https://auth.example.org", true),
            ("http://127.0.0.1:9/", true),
            ("http://nas:20000", true),
            ("http://auth.storjshare.io", false),
            ("http://", false),
            ("auth.storjshare.io", false),
            ("ftp://x", false),
        ] {
            let opened = opened("storj-shared-access=g", &[("storj-auth-service", service)]);
            assert_eq!(opened.is_ok(), good, "{service}");
        }
    }
}
