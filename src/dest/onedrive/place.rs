//! Which drive, and which folder in it, a URL means (`destinations-more.md` 2.8), also one of Duplicati's older types and one
//! that is the address of a folder in a browser.

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::dest::logins;
use crate::dest::onedrive::client::Client;
use crate::dest::onedrive::options as o;
use crate::net::checks;
use crate::net::oauth::Provider;
use crate::net::redirect::split;
use crate::net::url::{DestUrl, decode_percent, encode};

/// Levels of a web address that are tried as the site.
const LEVELS_MAX: usize = 12;

/// A drive, as it is named.
pub(super) enum Drive {
    /// Where it is, below the address of the service.
    Known(String),
    /// By the id, if that is given, and the mail address of its group.
    Group(String, String),
    /// By host and folders of a web address, and whether they are cut at the end of the site; by the id of the site where they are
    /// no address.
    Web(String, Vec<String>, Option<usize>, String),
}

/// Drive and folders of a URL.
pub(super) fn of(
    url: &DestUrl,
    options: &Options,
) -> Result<(Drive, Vec<String>, &'static Provider)> {
    let whole = format!("{}/{}", url.host, url.path);
    let levels: Vec<String> = whole.split('/').map(decode_percent).collect();
    let filled = |levels: &[String]| -> Vec<String> {
        let filled = levels.iter().filter(|l| !l.is_empty()).cloned();
        filled.collect()
    };
    if levels.iter().any(|l| l == "." || l == "..") {
        return Err(Error::usage(
            "the path of the destination URL must not contain . or ..",
        ));
    }
    let text = |opt| options.text(opt).unwrap_or_default().trim().to_owned();
    let is_web = levels[0].contains('.') && levels[0].to_ascii_lowercase().contains("sharepoint");
    let (drive, folders, provider) = match url.scheme.as_str() {
        "msgroup" => {
            let (id, mail) = (text(&o::GROUP_ID), text(&o::GROUP_EMAIL));
            let drive = match (id.is_empty(), mail.is_empty()) {
                (true, true) => {
                    return Err(checks::missing("group", "use --group-email or --group-id"));
                }
                (false, true) => Drive::Known(format!("/groups/{}/drive", id_in_url(&id))),
                (_, false) => Drive::Group(id, mail),
            };
            (drive, filled(&levels), &logins::MSGROUP)
        }
        "sharepoint" | "mssp" => {
            let site = text(&o::SITE_ID);
            let drive = match (is_web, site.is_empty()) {
                (true, _) => {
                    let end = levels[1..].iter().position(String::is_empty);
                    let end = end.filter(|end| end + 1 < levels.len() - 1);
                    Drive::Web(levels[0].clone(), filled(&levels[1..]), end, site)
                }
                (false, false) => Drive::Known(format!("/sites/{}/drive", id_in_url(&site))),
                (false, true) => {
                    let how = "write the address that a browser shows, as sharepoint://TENANT.sharepoint.com/sites/SITE/Documents/folder, or use --site-id";
                    return Err(checks::missing("site", how));
                }
            };
            (drive, filled(&levels), &logins::SHAREPOINT)
        }
        scheme => {
            let drive = match text(&o::DRIVE_ID) {
                id if id.is_empty() => "/me/drive".to_owned(),
                id => format!("/drives/{}", id_in_url(&id)),
            };
            let all = filled(&levels);
            // TENANT-my.sharepoint.com/personal/USER/LIBRARY/folder
            let is_personal = all
                .get(1)
                .is_some_and(|l| l.eq_ignore_ascii_case("personal"));
            let folders = match scheme == "od4b" && is_web && is_personal {
                true => all.get(4..).unwrap_or_default().to_vec(),
                false => all,
            };
            (Drive::Known(drive), folders, &logins::ONEDRIVE)
        }
    };
    Ok((drive, folders, provider))
}

impl Drive {
    /// What tells this drive from others of the account, without asking.
    pub(super) fn name(&self) -> String {
        match self {
            Drive::Known(at) => at.clone(),
            Drive::Group(id, mail) => format!("/groups/{id}/{mail}"),
            Drive::Web(host, ..) => format!("/sites/{host}"),
        }
    }

    /// Where it is, below the address of the service. A web address is taken out of `folders`.
    pub(super) fn find(&self, client: &mut Client, folders: &mut Vec<String>) -> Done<String> {
        match self {
            Drive::Known(at) => Ok(at.clone()),
            Drive::Group(id, mail) => {
                let quoted = mail.replace('\'', "''");
                let filter =
                    format!("mail eq '{quoted}' or proxyAddresses/any(x:x eq 'smtp:{quoted}')");
                let mut found = Vec::new();
                let url = format!("/groups?$filter={}", encode(&filter));
                client.rows(&url, &mut |row| found.push(row.text("id")))?;
                match &found[..] {
                    [one] if id.is_empty() || id == one => {
                        Ok(format!("/groups/{}/drive", id_in_url(one)))
                    }
                    [_] => Err(usage("--group-id and --group-email are of two groups")),
                    [] => Err(usage("no group has the address of --group-email")),
                    _ => Err(usage("several groups have the address of --group-email")
                        .hint("use --group-id")),
                }
            }
            Drive::Web(host, levels, end, site) => {
                let most = end.unwrap_or(levels.len()).min(levels.len());
                for n in (0..=most).rev().skip(most.saturating_sub(LEVELS_MAX)) {
                    let path: String = levels[..n]
                        .iter()
                        .map(|l| format!("/{}", encode(l)))
                        .collect();
                    let url = match n {
                        0 => format!("/sites/{}", encode(host)),
                        _ => format!("/sites/{}:{path}", encode(host)),
                    };
                    if let Some(row) = client.look(&url)? {
                        return library(client, &row.text("id"), levels, folders);
                    }
                }
                match site.is_empty() {
                    true => Err(usage("no site has the address in the destination URL")
                        .hint("copy it from the browser, or use --site-id")),
                    false => Ok(format!("/sites/{}/drive", id_in_url(site))),
                }
            }
        }
    }
}

/// The library of a site that a web path leads into; what is left of the path goes to `folders`.
fn library(
    client: &mut Client,
    site: &str,
    levels: &[String],
    folders: &mut Vec<String>,
) -> Done<String> {
    let (mut best, mut id) = (0, String::new());
    let url = format!("/sites/{}/drives?$select=id,webUrl", id_in_url(site));
    client.rows(&url, &mut |row| {
        let web = row.text("webUrl");
        let path: Vec<String> = split(&web)
            .1
            .split('/')
            .skip(1)
            .map(decode_percent)
            .collect();
        let leads = path.len() <= levels.len()
            && path
                .iter()
                .zip(levels)
                .all(|(a, b)| a.to_lowercase() == b.to_lowercase());
        if leads && path.len() > best {
            (best, id) = (path.len(), row.text("id"));
        }
    })?;
    if id.is_empty() {
        let what = "no library of the site has the address in the destination URL";
        return Err(Fault::new(Class::FolderMissing, what)
            .hint("the library comes after the site, such as 'Shared Documents'"));
    }
    *folders = levels[best..].to_vec();
    Ok(format!("/drives/{}", id_in_url(&id)))
}

/// An id in an address; the marks that ids have stay, as in the service's own documentation.
pub(super) fn id_in_url(id: &str) -> String {
    encode(id).replace("%2C", ",").replace("%21", "!")
}

fn usage(what: &str) -> Fault {
    Fault::new(Class::Usage, what)
}
