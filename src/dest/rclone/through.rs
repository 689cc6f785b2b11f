//! URLs of destinations that have a way of their own, as remotes of rclone: `...?through=rclone`. What cannot be told to rclone by a
//! URL is refused with what can be done.

use serde_json::json;

use crate::base::error::{Error, Result};
use crate::base::opt::{Options, parse_flag};
use crate::base::secret::Secret;
use crate::dest::rclone::secrets::obscure;
#[cfg(feature = "oauth")]
use crate::net::oauth::token_file::{self, TokenFile};
use crate::net::url::{DestUrl, is_near};

/// Schemes of Duplicati's that become a remote without being told to.
pub(super) const CARRIED: [&str; 7] = [
    "smb",
    "cifs",
    "mega",
    "filen",
    "drimecloud",
    "storj",
    "tardigrade",
];

/// What rclone calls the types that its configuration has to be made for, and why a URL is not enough.
const REMOTES: [(&str, &str, &str); 14] = [
    ("box", "box", ROTATES),
    ("jottacloud", "jottacloud", ROTATES),
    ("onedrivev2", "onedrive", NAMES_DRIVE),
    ("od4b", "onedrive", NAMES_DRIVE),
    ("sharepoint", "onedrive", NAMES_DRIVE),
    ("mssp", "onedrive", NAMES_DRIVE),
    ("msgroup", "onedrive", NAMES_DRIVE),
    ("e2", "s3", "rclone wants to know the server of the account"),
    ("ssh", "sftp", UNCHECKED),
    ("sftp", "sftp", UNCHECKED),
    (
        "ftp",
        "ftp",
        "rclone takes passwords and certificates of FTP from its configuration",
    ),
    (
        "ftps",
        "ftp",
        "rclone takes passwords and certificates of FTP from its configuration",
    ),
    (
        "aftp",
        "ftp",
        "rclone takes passwords and certificates of FTP from its configuration",
    ),
    (
        "openstack",
        "swift",
        "rclone takes the log-in of OpenStack from its configuration",
    ),
];
/// Schemes with a way of their own whose URLs rclone takes, by their canonical names.
pub(crate) const TRANSLATED: [&str; 12] = [
    "webdav",
    "s3",
    "cos",
    "aliyunoss",
    "b2",
    "azure",
    "gcs",
    "pcloud",
    "googledrive",
    "dropbox",
    "filen",
    "drimecloud",
];
const ROTATES: &str =
    "its log-in is replaced with each use, and rclone keeps it in its configuration";
const NAMES_DRIVE: &str = "rclone wants to know the number of the drive";
const UNCHECKED: &str = "rclone would not look at the key of the server";

/// Where the settings of a remote go, by their names.
type Add<'a> = dyn FnMut(&str, String) + 'a;

/// Path and account of a URL as a remote; `None` for a scheme that is carried anyway.
pub(super) fn translated(
    url: &DestUrl,
    options: &Options,
    add: &mut Add<'_>,
) -> Result<Option<(String, String)>> {
    let scheme = url.scheme.as_str();
    let given = Given { url, options };
    let whole = format!("{}/{}", url.host, url.path);
    let found = match scheme {
        "webdav" | "webdavs" => (url.path.clone(), given.webdav(add)?),
        "s3" | "s3s" => {
            let server = given.text("s3-server-name");
            let is_aws = server.is_empty() || server.contains("amazonaws.com");
            let region = match given.text("s3-authentication-region") {
                "" => given.text("s3-location-constraint"),
                region => region,
            };
            let provider = if is_aws { "AWS" } else { "Other" };
            let names = ("aws-access-key-id", "aws-secret-access-key");
            let who = given.s3((provider, server, region), names, add)?;
            given.pass_on("s3-location-constraint", "LOCATION_CONSTRAINT", add);
            given.pass_on("s3-storage-class", "STORAGE_CLASS", add);
            given.pass_on("aws-session-token", "SESSION_TOKEN", add);
            (whole, who)
        }
        "cos" => {
            let (name, id) = (given.need("cos-bucket")?, given.text("cos-app-id"));
            let region = given.need("cos-region")?;
            let is_whole = id.is_empty() || name.ends_with(&format!("-{id}"));
            let bucket = if is_whole {
                name.to_owned()
            } else {
                format!("{name}-{id}")
            };
            let server = format!("https://cos.{region}.myqcloud.com");
            let names = ("cos-secret-id", "cos-secret-key");
            let who = given.s3(("TencentCOS", &server, ""), names, add)?;
            given.pass_on("cos-storage-class", "STORAGE_CLASS", add);
            (format!("{bucket}/{whole}"), who)
        }
        "aliyunoss" => {
            let bucket = given.need("oss-bucket-name")?;
            let server = match given.need("oss-endpoint")? {
                short if !short.contains('.') => format!("{short}.aliyuncs.com"),
                server => server.to_owned(),
            };
            let names = ("oss-access-key-id", "oss-access-key-secret");
            let who = given.s3(("Alibaba", &server, ""), names, add)?;
            (format!("{bucket}/{whole}"), who)
        }
        "b2" => {
            let (user, key) = given.keys("b2-accountid", "b2-applicationkey")?;
            add("TYPE", "b2".to_owned());
            add("ACCOUNT", user.clone());
            add("KEY", key);
            add("HARD_DELETE", "true".to_owned());
            given.pass_on("b2-api-url", "ENDPOINT", add);
            (whole, user)
        }
        "azure" => {
            if !given.text("azure-access-sas-token").is_empty() {
                return Err(given.refused("azureblob", "rclone takes a SAS token with its server"));
            }
            let (user, key) = given.keys("azure-account-name", "azure-access-key")?;
            add("TYPE", "azureblob".to_owned());
            add("ACCOUNT", user.clone());
            add("KEY", key);
            // Duplicati does not look at the path.
            let path = match given.flag("azure-use-path") {
                Some(true) => whole,
                _ => url.host.clone(),
            };
            given.pass_on("azure-endpoint", "ENDPOINT", add);
            (path, user)
        }
        "gcs" => {
            add("TYPE", "google cloud storage".to_owned());
            let file = given.text("gcs-service-account-file");
            let json = given.text("gcs-service-account-json");
            match (file.is_empty(), json.is_empty()) {
                (false, _) => add("SERVICE_ACCOUNT_FILE", file.to_owned()),
                (_, false) => add("SERVICE_ACCOUNT_CREDENTIALS", json.to_owned()),
                _ => {
                    let why = "rclone takes a service account, or a log-in that it made";
                    return Err(given.refused("google cloud storage", why));
                }
            }
            given.pass_on("gcs-location", "LOCATION", add);
            given.pass_on("gcs-storage-class", "STORAGE_CLASS", add);
            (whole, String::new())
        }
        "pcloud" => {
            // The token goes to no other host.
            let host = url.host.to_ascii_lowercase();
            if !["api.pcloud.com", "eapi.pcloud.com"].contains(&&*host) || url.port.is_some() {
                return Err(Error::usage("the URL names no server of pCloud").hint("write pcloud://api.pcloud.com/folder, or pcloud://eapi.pcloud.com/folder for an account in the EU"));
            }
            let token = given.need("authid")?;
            let token = json!({ "access_token": token, "token_type": "bearer", "expiry": "0001-01-01T00:00:00Z" });
            add("TYPE", "pcloud".to_owned());
            add("HOSTNAME", host);
            add("TOKEN", token.to_string());
            (url.path.clone(), String::new())
        }
        #[cfg(feature = "oauth")]
        "googledrive" => {
            given.log_in("drive", add)?;
            add("SCOPE", "drive".to_owned());
            given.pass_on("googledrive-teamdrive-id", "TEAM_DRIVE", add);
            // As Duplicati deletes: for good.
            add("USE_TRASH", "false".to_owned());
            (whole, String::new())
        }
        #[cfg(feature = "oauth")]
        "dropbox" => {
            given.log_in("dropbox", add)?;
            // A batch of one is only waited for.
            add("BATCH_MODE", "off".to_owned());
            (whole, String::new())
        }
        _ => {
            let row = REMOTES.iter().find(|row| row.0 == scheme);
            return match row {
                Some((_, kind, why)) => Err(given.refused(kind, why)),
                None if CARRIED.contains(&scheme) => Ok(None),
                None => {
                    let cause = format!("rclone does not reach {scheme}://");
                    Err(Error::usage(cause).hint("leave ?through=rclone out"))
                }
            };
        }
    };
    Ok(Some(found))
}

/// What is given for a destination, by the names of its own options.
struct Given<'a> {
    url: &'a DestUrl,
    options: &'a Options,
}

impl<'a> Given<'a> {
    /// Empty where nothing is given.
    fn text(&self, name: &str) -> &'a str {
        self.options.given(name).unwrap_or_default().trim()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.options.given(name).and_then(parse_flag)
    }

    fn need(&self, name: &str) -> Result<&'a str> {
        match self.text(name) {
            "" => Err(Error::usage(format!(
                "no --{name} given for {}://",
                self.url.scheme
            ))),
            text => Ok(text),
        }
    }

    fn pass_on(&self, name: &str, setting: &str, add: &mut Add<'_>) {
        let text = self.text(name);
        if !text.is_empty() {
            add(setting, text.to_owned());
        }
    }

    /// What a URL and options cannot tell rclone.
    fn refused(&self, kind: &str, why: &str) -> Error {
        let cause = format!(
            "{}:// cannot go through rclone by its URL: {why}",
            self.url.scheme
        );
        Error::usage(cause).hint(format!(
            "make a remote of the type '{kind}' with 'rclone config' and write rclone://REMOTE/folder"
        ))
    }

    /// User and password by the names of their options, in the URL, or in general; either may be empty.
    fn login(&self, user: &str, password: &str) -> (String, String) {
        let in_url = self.url.user.as_deref().unwrap_or_default().trim();
        let secret = self.url.password.as_ref().map_or("", Secret::reveal);
        let one = |own: &'a str, in_url: &str, general: &str| {
            let texts = [own, in_url, self.text(general)];
            let found = texts.into_iter().find(|text| !text.is_empty());
            found.unwrap_or_default().to_owned()
        };
        (
            one(self.text(user), in_url, "auth-username"),
            one(self.text(password), secret, "auth-password"),
        )
    }

    fn keys(&self, user: &str, password: &str) -> Result<(String, String)> {
        let (id, key) = self.login(user, password);
        if id.is_empty() || key.is_empty() {
            let cause = format!("no user or key given for {}://", self.url.scheme);
            return Err(Error::usage(cause).hint(format!("use --{user} and --{password}")));
        }
        Ok((id, key))
    }

    /// An address with its scheme.
    fn address(&self, server: &str) -> String {
        let is_tls = self.flag("use-ssl").unwrap_or(!is_near(server));
        match (server.contains("://"), is_tls) {
            (true, _) => server.to_owned(),
            (false, true) => format!("https://{server}"),
            (false, false) => format!("http://{server}"),
        }
    }

    /// Who logs in.
    fn s3(
        &self,
        (provider, server, region): (&str, &str, &str),
        (user, password): (&str, &str),
        add: &mut Add<'_>,
    ) -> Result<String> {
        let (id, key) = self.keys(user, password)?;
        add("TYPE", "s3".to_owned());
        add("PROVIDER", provider.to_owned());
        add("ACCESS_KEY_ID", id.clone());
        add("SECRET_ACCESS_KEY", key);
        if !server.is_empty() {
            add("ENDPOINT", self.address(server));
        }
        if !region.is_empty() {
            add("REGION", region.to_owned());
        }
        Ok(id)
    }

    fn webdav(&self, add: &mut Add<'_>) -> Result<String> {
        let port = self.url.port.map(|port| format!(":{port}"));
        let is_tls = self.flag("use-ssl") == Some(true);
        let scheme = if is_tls { "https" } else { "http" };
        let (user, password) = self.login("", "");
        add("TYPE", "webdav".to_owned());
        add(
            "URL",
            format!("{scheme}://{}{}/", self.url.host, port.unwrap_or_default()),
        );
        add("VENDOR", "other".to_owned());
        if !user.is_empty() {
            add("USER", user.clone());
            add("PASS", obscure(&Secret::new(password))?);
        }
        Ok(user)
    }

    #[cfg(feature = "oauth")]
    /// A log-in by an own registration, whose refresh token can be used again.
    fn log_in(&self, kind: &str, add: &mut Add<'_>) -> Result<()> {
        let file = match self.text("oauth-token-file") {
            "" => None,
            path => Some(TokenFile::read(path)?),
        };
        let one = |name: &str, field: &str| match (self.text(name), &file) {
            ("", Some(file)) => file.get(field).trim().to_owned(),
            (text, _) => text.to_owned(),
        };
        let id = one("oauth-client-id", token_file::CLIENT_ID);
        let refresh = one("oauth-refresh-token", token_file::REFRESH_TOKEN);
        if id.is_empty() || refresh.is_empty() {
            let why = "an AuthID belongs to the token service; rclone takes --oauth-client-id with --oauth-refresh-token, or a log-in that it made";
            return Err(self.refused(kind, why));
        }
        let token = json!({
            "access_token": "none", "token_type": "Bearer", "refresh_token": refresh, "expiry": "2001-01-01T00:00:00Z"
        });
        add("TYPE", kind.to_owned());
        add("CLIENT_ID", id);
        add(
            "CLIENT_SECRET",
            one("oauth-client-secret", token_file::CLIENT_SECRET),
        );
        add("TOKEN", token.to_string());
        // What it gets for the token it would write down for itself.
        add("RCLONE_CONFIG", "/notfound".to_owned());
        let address = one("oauth-token-url", token_file::TOKEN_URL);
        if !address.is_empty() {
            add("TOKEN_URL", address);
        }
        Ok(())
    }
}
