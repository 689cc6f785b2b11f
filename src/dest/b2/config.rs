//! What a B2 URL and its options mean: bucket, folder, key, limits (`destinations-core.md` 5.1).

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row};
use crate::base::secret::Secret;
use crate::net::checks;
use crate::net::opts;
use crate::net::url::{DestUrl, folder};

/// Largest single upload that B2 allows, in bytes.
pub(super) const PUT_MAX_BYTES: u64 = 5_000_000_000;
const PAGE_MAX: u64 = 10_000;
const NAME_MAX_BYTES: usize = 1024;
const SEGMENT_MAX_BYTES: usize = 250;

pub(super) const KEY_ID: Opt = row(
    "b2-accountid",
    Kind::Text,
    "",
    "Application key id; also auth-username, the URL, or B2_APPLICATION_KEY_ID.",
)
.of_login(Part::User, "B2_APPLICATION_KEY_ID");
pub(super) const KEY: Opt = row(
    "b2-applicationkey",
    Kind::Secret,
    "",
    "Application key; also auth-password, the URL, or B2_APPLICATION_KEY.",
)
.of_login(Part::Password, "B2_APPLICATION_KEY");
pub(super) const BUCKET_TYPE: Opt = row(
    "b2-create-bucket-type",
    Kind::Choice(&["allPrivate", "allPublic"]),
    "allPrivate",
    "Who may read a bucket that is made.",
);
pub(super) const PAGE_SIZE: Opt = row(
    "b2-page-size",
    Kind::Text,
    "500",
    "Files asked for at once in a listing, 1 to 10000; each thousand begun is billed.",
);
pub(super) const DOWNLOAD_URL: Opt = row(
    "b2-download-url",
    Kind::Word,
    "",
    "Where to download from instead of Backblaze's own host: a domain that leads to the bucket. It gets the key's token.",
);
pub(super) const LOCK_MODE: Opt = row(
    "b2-lock-mode",
    Kind::Choice(&["governance", "compliance"]),
    "governance",
    "Accepted for Duplicati's sake; file locks are not set.",
);
pub(super) const MULTIPART_FROM: Opt = row(
    "b2-multipart-threshold",
    Kind::Size(1 << 20),
    "1gb",
    "Files larger than this are sent in parts.",
);
pub(super) const PART_SIZE: Opt = row(
    "b2-part-size",
    Kind::Size(1 << 20),
    "",
    "Size of a part; what Backblaze recommends without it.",
);
pub(super) const API_URL: Opt = row(
    "b2-api-url",
    Kind::Word,
    "https://api.backblazeb2.com",
    "Where to log in.",
);
pub(super) const TEST_MODE: Opt = row(
    "b2-test-mode",
    Kind::Choice(&[
        "fail_some_uploads",
        "expire_some_account_authorization_tokens",
        "force_cap_exceeded",
    ]),
    "",
    "Ask Backblaze to misbehave, for tests.",
);

/// Every option of the `b2` scheme.
pub(super) static OPTIONS: &[Opt] = &[
    KEY_ID,
    KEY,
    BUCKET_TYPE,
    PAGE_SIZE,
    DOWNLOAD_URL,
    LOCK_MODE,
    MULTIPART_FROM,
    PART_SIZE,
    API_URL,
    TEST_MODE,
];

/// Everything fixed by URL and options.
pub(super) struct Setup {
    pub(super) bucket: String,
    /// Empty or ends in `/`.
    pub(super) prefix: String,
    pub(super) key_id: String,
    pub(super) key: Secret,
    pub(super) bucket_type: &'static str,
    pub(super) page_size: u64,
    /// Without a trailing `/`, as all base URLs here.
    pub(super) download_url: Option<String>,
    pub(super) api_url: String,
    pub(super) multipart_from: u64,
    pub(super) part_size: Option<u64>,
    pub(super) test_mode: Option<&'static str>,
}

impl Setup {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Setup> {
        let bucket = checks::host(url, "bucket", "b2://bucket/folder", usize::MAX)?.to_owned();
        if url.port.is_some() {
            return Err(Error::usage("a b2:// URL has no port")
                .hint("write it as b2://bucket/folder, with --b2-api-url for another server"));
        }
        let prefix = folder(url.path.trim().trim_start_matches('/'));
        good_name(&format!("{prefix}x"))
            .map_err(|why| Error::usage(format!("the folder in the destination URL {why}")))?;
        let names = (
            "B2 Cloud Storage Account ID",
            "B2 Cloud Storage Application Key",
        );
        let (key_id, key) = opts::keys(url, options, (&KEY_ID, &KEY), names)?;
        let base = |opt: &'static Opt| match options.text(opt) {
            None => Ok(None),
            Some(text) => match base_url(text) {
                Some(base) => Ok(Some(base)),
                None => Err(Error::usage(format!(
                    "--{} must begin with https:// and name a host",
                    opt.name
                ))),
            },
        };
        Ok(Setup {
            bucket,
            prefix,
            key_id,
            key,
            bucket_type: options.choice(&BUCKET_TYPE).unwrap_or("allPrivate"),
            page_size: page_size(options.text(&PAGE_SIZE).unwrap_or("500"))?,
            download_url: base(&DOWNLOAD_URL)?,
            api_url: base(&API_URL)?.unwrap_or_default(),
            multipart_from: options
                .size(&MULTIPART_FROM)
                .unwrap_or(1 << 30)
                .min(PUT_MAX_BYTES),
            part_size: options.size(&PART_SIZE),
            test_mode: options.choice(&TEST_MODE),
        })
    }
}

fn page_size(text: &str) -> Result<u64> {
    match text.trim().parse::<u64>() {
        Ok(n) if n > 0 => Ok(n.min(PAGE_MAX)),
        _ => Err(Error::usage(
            "--b2-page-size must be an integer larger than zero",
        )),
    }
}

/// A base URL that may get credentials: TLS, or plain HTTP to this machine (tests, tunnels). Without trailing `/`.
pub(super) fn base_url(text: &str) -> Option<String> {
    let base = text.trim().trim_end_matches('/');
    let (scheme, rest) = base.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or("");
    let name = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?.0,
        None => authority.split(':').next().unwrap_or(""),
    };
    let clean = rest
        .bytes()
        .all(|b| (0x21..0x7f).contains(&b) && !matches!(b, b'?' | b'#' | b'@' | b'\\' | b'"'));
    let allowed = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => matches!(name, "localhost" | "::1") || name.starts_with("127."),
        _ => false,
    };
    (clean && allowed && !name.is_empty()).then(|| base.to_owned())
}

/// Refuses a full file name that B2 would refuse; the text goes on after "the name".
pub(super) fn good_name(name: &str) -> std::result::Result<(), &'static str> {
    if name.len() > NAME_MAX_BYTES {
        return Err("is longer than the 1024 bytes that B2 allows");
    }
    if name.chars().any(char::is_control) || name.contains('\\') {
        return Err("has characters that B2 does not allow");
    }
    if name.split('/').any(|s| s.len() > SEGMENT_MAX_BYTES) {
        return Err("has a part longer than the 250 bytes that B2 allows");
    }
    if name.is_empty() || name.split('/').any(str::is_empty) {
        return Err("has a part that is empty");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(text: &str) -> Result<Setup> {
        let (url, _) = DestUrl::parse(text)?;
        let mut options = Options::default();
        for (name, value) in &url.query {
            let mut rows = OPTIONS
                .iter()
                .chain([&opts::AUTH_USERNAME, &opts::AUTH_PASSWORD]);
            let opt = rows.find(|o| o.is_named(name)).expect("option");
            options.set(opt, value.reveal())?;
        }
        Setup::new(&url, &options)
    }

    #[test]
    fn urls() {
        for (text, bucket, prefix, id, key) in [
            (
                "b2://bkt/a/b?b2-accountid=i&b2-applicationkey=k",
                "bkt",
                "a/b/",
                "i",
                "k",
            ),
            ("b2://u:p@bkt?b2-accountid=i", "bkt", "", "i", "p"),
            ("b2://u:p@bkt//a/?auth-password=x", "bkt", "a/", "u", "p"),
            (
                "b2://bkt/a+b/?auth-username=i&auth-password=k%2F",
                "bkt",
                "a b/",
                "i",
                "k/",
            ),
        ] {
            let s = setup(text).expect(text);
            let got = (&*s.bucket, &*s.prefix, &*s.key_id, s.key.reveal());
            assert_eq!(got, (bucket, prefix, id, key), "{text}");
            assert_eq!(s.api_url, "https://api.backblazeb2.com");
            assert_eq!((s.page_size, s.bucket_type), (500, "allPrivate"));
        }
        let s = setup("b2://i:k@b?b2-page-size=99999&b2-multipart-threshold=9tb").expect("good");
        assert_eq!((s.page_size, s.multipart_from), (10_000, PUT_MAX_BYTES));
    }

    #[test]
    fn bad_values_say_what_is_expected() {
        let slash = format!("b2://i:k@b/{}", "x".repeat(251));
        let long = format!("b2://i:k@b/{}", "x/".repeat(512));
        for (text, part) in [
            ("b2:///x?b2-accountid=i", "missing bucket name"),
            (
                "b2://b?b2-applicationkey=k",
                "no B2 Cloud Storage Account ID given",
            ),
            ("b2://b?b2-applicationkey=k", "B2_APPLICATION_KEY_ID"),
            ("b2://i@b", "no B2 Cloud Storage Application Key given"),
            ("b2://i:%20@b", "B2_APPLICATION_KEY)"),
            (
                "b2://i:k@b?b2-page-size=0",
                "must be an integer larger than zero",
            ),
            (
                "b2://i:k@b?b2-page-size=x",
                "must be an integer larger than zero",
            ),
            ("b2://i:k@b?b2-lock-mode=x", "governance, compliance"),
            (
                "b2://i:k@b?b2-download-url=http://cdn.example",
                "--b2-download-url must begin with https",
            ),
            (
                "b2://i:k@b?b2-api-url=https://a@b/",
                "--b2-api-url must begin with https",
            ),
            ("b2://i:k@b:99/x", "no port"),
            (&slash, "250 bytes"),
            (&long, "1024 bytes"),
            ("b2://i:k@b/a//b", "empty"),
            ("b2://i:k@b/a%5Cb", "does not allow"),
            ("b2://i:k@b/a%0Ab", "does not allow"),
        ] {
            let e = setup(text).err().expect(text).to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn base_urls() {
        for (text, want) in [
            (
                "https://api001.backblazeb2.com/",
                Some("https://api001.backblazeb2.com"),
            ),
            ("http://127.0.0.1:99", Some("http://127.0.0.1:99")),
            ("http://[::1]:99/x/", Some("http://[::1]:99/x")),
            ("http://localhost", Some("http://localhost")),
            ("http://example.com", None),
            ("http://localhost.example.com", None),
            ("https://", None),
            ("https://a b", None),
            ("https://u@h", None),
            ("https://h?x", None),
            ("ftp://127.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(base_url(text).as_deref(), want, "{text}");
        }
    }
}
