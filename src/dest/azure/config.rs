//! What an Azure URL and its options mean: container, account, key or SAS, where files lie (`destinations-more.md` 2.4).

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Options, Part, ignored, options, row, secret, text};
use crate::dest::azure::{Container, SHAPE, sas};
use crate::dest::objects::{Base, Store};
use crate::net::checks::{self, Naming};
use crate::net::opts;
use crate::net::service::call::Login;
use crate::net::service::shared_key::{SharedKey, Signer};
use crate::net::url::{DestUrl, folder};

options! {
    ACCOUNT: text("azure-account-name", "Storage account; also from AZURE_STORAGE_ACCOUNT or as auth-username.")
        .of_login(Part::User, "AZURE_STORAGE_ACCOUNT").also(&["azure_account_name"]);
    KEY: secret("azure-access-key", "Key of the account; also from AZURE_STORAGE_KEY or as auth-password.")
        .of_login(Part::Password, "AZURE_STORAGE_KEY").also(&["azure_access_key"]);
    SAS: secret("azure-access-sas-token", "SAS token of the container, used instead of a key; also from AZURE_STORAGE_SAS_TOKEN.")
        .of_login(Part::Password, "AZURE_STORAGE_SAS_TOKEN");
    TIER: row("azure-access-tier", Kind::Choice(&["Hot", "Cool", "Cold", "Archive"]), "", "Access tier of new files; the account's own without it.");
    ARCHIVE: row("azure-archive-classes", Kind::Text, "Cold,Archive", "Tiers, separated by commas, whose files count as archived.");
    ENDPOINT: text("azure-endpoint", "Address of the account where it is not https://ACCOUNT.blob.core.windows.net: a cloud of its own, an emulator.");
    USE_PATH: row("azure-use-path", Kind::Flag, "", "Files lie below the path of the URL; Duplicati ignores it and does not find them then.");
    RETRIES: ignored("azure-internal-retries", "No effect: see number-of-retries.");
    POLICY: ignored("azure-blob-immutability-policy-mode", "No effect: files are not locked.");
}

/// The service refuses other names in words that do not say so.
static CONTAINER: Naming = Naming {
    len: (3, 63),
    marks: "-",
    more: "$root $web $logs",
    never: "--",
    any_case: true,
    rule: "is no container name: it has 3 to 63 letters, digits and single hyphens, and begins and ends with a letter or digit",
    hint: "write it as azure://container; an address of the service goes into --azure-endpoint",
};
static STORAGE_ACCOUNT: Naming = Naming {
    len: (3, 24),
    rule: "is no storage account: it has 3 to 24 small letters and digits",
    hint: "give the name of the account alone; an address goes into --azure-endpoint",
    ..Naming::PLAIN
};

/// The container that URL and options name, with its log-in.
pub(super) fn open(url: &DestUrl, options: &Options) -> Result<Store> {
    let name = CONTAINER.of(url, "container", "azure://container")?;
    let form = "https://host or http://127.0.0.1:10000/devstoreaccount1";
    let endpoint = checks::address(options, &ENDPOINT, "https", form)?;
    let sas = options
        .secret(&SAS)
        .map(|sas| sas::token(&sas))
        .transpose()?;
    let hidden = sas.as_ref().map(sas::hidden).unwrap_or_default();
    let (account, login): (_, Box<dyn Login>) = match sas {
        Some(sas) => {
            let (account, _) = opts::login(url, options, Some((&ACCOUNT, &KEY)));
            let account = account.or(endpoint.as_ref().map(|_| String::new()));
            let how = "use --auth-username or --azure-account-name";
            let account = checks::or_missing(account, "storage account", how)?;
            (account.trim().to_owned(), Box::new(sas::Sas(sas)))
        }
        None => {
            let what = ("storage account", "account key or SAS token");
            let (account, key) = opts::keys(url, options, (&ACCOUNT, &KEY), what)?;
            let key = SharedKey::new(&account, key.reveal()).ok_or_else(|| {
                Error::usage("the account key is not in base64").hint(
                    "copy it whole from 'Access keys' of the account; in a URL write / as %2F and + as %2B",
                )
            })?;
            (account, Box::new(Signer::new(key, sas::VERSION)))
        }
    };
    let endpoint = match endpoint {
        Some(endpoint) => endpoint,
        None => {
            STORAGE_ACCOUNT.check(&account)?;
            format!("https://{account}.blob.core.windows.net")
        }
    };
    let path = folder(url.path.trim_matches('/'));
    let (folder, aside) = match options.flag(&USE_PATH) {
        true => (path, String::new()),
        false => (String::new(), path),
    };
    let address = (format!("{endpoint}/{name}"), folder);
    let mut base = Base::new(&SHAPE, options, login, address, url.display())?;
    base.service = base.service.expecting(hidden);
    (base.page, base.account) = (5000, account);
    base.archive = checks::words(options, &ARCHIVE);
    let api = Box::new(Container {
        aside,
        // Only who reads an old path needs it.
        start: format!("{}-", options.given("prefix").unwrap_or("duplicati")),
        tier: options.choice(&TIER),
    });
    Ok(Store { base, api })
}
