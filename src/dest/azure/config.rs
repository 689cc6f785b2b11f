//! What an Azure URL and its options mean: container, account, key or SAS, where files lie (`destinations-more.md` 2.4).

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, Options, Part, row};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::net::opts;
use crate::net::shared_key::SharedKey;
use crate::net::url::{DestUrl, decode_percent};

pub(super) const ACCOUNT: Opt = Opt {
    aliases: &["azure_account_name"],
    ..row(
        "azure-account-name",
        Kind::Text,
        "",
        "Storage account; also from AZURE_STORAGE_ACCOUNT or as auth-username.",
    )
    .of_login(Part::User, "AZURE_STORAGE_ACCOUNT")
};
pub(super) const KEY: Opt = Opt {
    aliases: &["azure_access_key"],
    ..row(
        "azure-access-key",
        Kind::Secret,
        "",
        "Key of the account; also from AZURE_STORAGE_KEY or as auth-password.",
    )
    .of_login(Part::Password, "AZURE_STORAGE_KEY")
};
pub(super) const SAS: Opt = row(
    "azure-access-sas-token",
    Kind::Secret,
    "",
    "SAS token of the container, used instead of a key; also from AZURE_STORAGE_SAS_TOKEN.",
)
.of_login(Part::Password, "AZURE_STORAGE_SAS_TOKEN");
pub(super) const TIER: Opt = row(
    "azure-access-tier",
    Kind::Choice(&["Hot", "Cool", "Cold", "Archive"]),
    "",
    "Access tier of new files; the account's own without it.",
);
pub(super) const ARCHIVE: Opt = row(
    "azure-archive-classes",
    Kind::Text,
    "Cold,Archive",
    "Tiers, separated by commas, whose files count as archived.",
);
pub(super) const ENDPOINT: Opt = row(
    "azure-endpoint",
    Kind::Text,
    "",
    "Address of the account where it is not https://ACCOUNT.blob.core.windows.net: a cloud of its own, an emulator.",
);
pub(super) const USE_PATH: Opt = row(
    "azure-use-path",
    Kind::Flag,
    "",
    "Files lie below the path of the URL; Duplicati ignores it and does not find them then.",
);
/// Every option of the scheme.
pub(super) static OPTIONS: &[Opt] = &[
    ACCOUNT,
    KEY,
    SAS,
    TIER,
    ARCHIVE,
    ENDPOINT,
    USE_PATH,
    row(
        "azure-internal-retries",
        Kind::Ignored,
        "",
        "No effect: see number-of-retries.",
    ),
    row(
        "azure-blob-immutability-policy-mode",
        Kind::Ignored,
        "",
        "No effect: files are not locked.",
    ),
];

/// Everything fixed by URL and options.
pub(super) struct Setup {
    pub(super) account: String,
    /// Signs every request; `None`: the SAS token is in every query, as it is.
    pub(super) key: Option<SharedKey>,
    pub(super) sas: Option<Secret>,
    /// Address of the container, without `/` at its end.
    pub(super) base: String,
    /// Where files lie: empty, or with `/` at its end.
    pub(super) folder: String,
    /// The path of the URL where Duplicati, and so we, ignore it; as `folder`.
    pub(super) aside: String,
    /// How the names of volumes begin.
    pub(super) start: String,
    pub(super) tier: Option<&'static str>,
    /// In lower case.
    pub(super) archive: Vec<String>,
}

impl Setup {
    pub(super) fn new(url: &DestUrl, options: &Options) -> Result<Setup> {
        let container = container(url)?;
        let sas = options.secret(&SAS);
        let given = options.text(&ENDPOINT).map(endpoint).transpose()?;
        let (account, key, sas) = match sas {
            Some(sas) => {
                let (account, _) = opts::login(url, options, Some((&ACCOUNT, &KEY)));
                let account = account.map(|a| a.trim().to_owned());
                if account.is_none() && given.is_none() {
                    return Err(Error::usage("no storage account given")
                        .hint("use --auth-username or --azure-account-name"));
                }
                (account.unwrap_or_default(), None, Some(token(&sas)?))
            }
            None => {
                let what = ("storage account", "account key or SAS token");
                let (account, key) = opts::keys(url, options, (&ACCOUNT, &KEY), what)?;
                let key = SharedKey::new(&account, key.reveal()).ok_or_else(|| {
                    Error::usage("the account key is not in base64").hint(
                        "copy it whole from 'Access keys' of the account; in a URL write / as %2F and + as %2B",
                    )
                })?;
                (account, Some(key), None)
            }
        };
        let endpoint = match given {
            Some(endpoint) => endpoint,
            None => own_endpoint(&account)?,
        };
        let mut path = url.path.trim_matches('/').to_owned();
        if !path.is_empty() {
            path.push('/');
        }
        let used = options.flag(&USE_PATH);
        let (folder, aside) = match used {
            true => (path, String::new()),
            false => (String::new(), path),
        };
        let classes = options.text(&ARCHIVE).unwrap_or("");
        Ok(Setup {
            account,
            key,
            sas,
            base: format!("{endpoint}/{container}"),
            folder,
            aside,
            // Only who reads an old path needs it.
            start: format!("{}-", options.given("prefix").unwrap_or("duplicati")),
            tier: options.choice(&TIER),
            archive: classes
                .split(',')
                .map(|c| c.trim().to_ascii_lowercase())
                .filter(|c| !c.is_empty())
                .collect(),
        })
    }
}

/// The container, whose name has its rules: the service refuses others in words that do not say so.
fn container(url: &DestUrl) -> Result<String> {
    let name = url.host.trim().to_ascii_lowercase();
    let form = "write it as azure://container";
    if name.is_empty() {
        return Err(Error::usage("missing container name in the destination URL").hint(form));
    }
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let plain = (3..=63).contains(&name.len())
        && name.chars().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if url.port.is_some() || !(plain || matches!(name.as_str(), "$root" | "$web" | "$logs")) {
        return Err(Error::usage(format!(
            "'{}' is no container name: it has 3 to 63 letters, digits and single hyphens, and begins and ends with a letter or digit",
            text::safe_cut(name.as_bytes(), 70)
        ))
        .hint(format!("{form}; an address of the service goes into --azure-endpoint")));
    }
    Ok(name)
}

/// An address given by option, with its scheme and without `/` at its end.
fn endpoint(text: &str) -> Result<String> {
    let text = text.trim().trim_end_matches('/');
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "?#@\\".contains(c);
    if !matches!(scheme.as_str(), "http" | "https") || rest.is_empty() || rest.contains(odd) {
        return Err(Error::usage("--azure-endpoint is no address")
            .hint("write it as https://host or http://127.0.0.1:10000/devstoreaccount1"));
    }
    Ok(format!("{scheme}://{rest}"))
}

/// The address of an account of the public service.
fn own_endpoint(account: &str) -> Result<String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=24).contains(&account.len()) || !account.chars().all(good) {
        return Err(Error::usage(format!(
            "'{}' is no storage account: it has 3 to 24 small letters and digits",
            text::safe_cut(account.as_bytes(), 70)
        ))
        .hint("give the name of the account alone; an address goes into --azure-endpoint"));
    }
    Ok(format!("https://{account}.blob.core.windows.net"))
}

/// A SAS token without what may stand before it: a `?`, or the whole address it was copied with.
fn token(given: &Secret) -> Result<Secret> {
    let text = given.reveal().trim();
    let token = text.rsplit_once('?').map_or(text, |(_, token)| token);
    let has = |name: &str| token.split('&').any(|p| p.starts_with(name));
    let odd = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}#".contains(c);
    if !has("sig=") || !has("sv=") || token.contains(odd) {
        return Err(Error::usage("--azure-access-sas-token is no whole SAS token").hint(
            "it holds sv= and sig=; quote it in the shell, and in a URL percent-encode it once more, & as %26 and % as %25",
        ));
    }
    Ok(Secret::new(token.to_owned()))
}

/// When a SAS token ends, as it says, if that is over at a time in seconds since 1970.
pub(super) fn ended(sas: &Secret, now: i64) -> Option<String> {
    let end = sas
        .reveal()
        .split('&')
        .find_map(|p| p.strip_prefix("se="))?;
    let end = decode_percent(end);
    let mut digits: String = end.chars().filter(|c| !"-:Zz".contains(*c)).collect();
    let full = "00000000T000000";
    digits.push_str(full.get(digits.len()..).unwrap_or(""));
    let time = Timestamp::parse_compact(format!("{digits}Z").as_bytes())?;
    (time.0 <= now).then_some(end)
}

/// The spellings of a SAS token that no message may show.
pub(super) fn spellings(sas: &Secret) -> Vec<Secret> {
    let text = sas.reveal();
    let signature = text.split('&').find_map(|p| p.strip_prefix("sig="));
    let signature = signature.unwrap_or_default();
    let all = [
        text.to_owned(),
        signature.to_owned(),
        decode_percent(signature),
    ];
    all.into_iter()
        .filter(|s| s.len() > 3)
        .map(Secret::new)
        .collect()
}
