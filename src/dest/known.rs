//! Every destination type of Duplicati (`destinations-more.md` 1): what reaches it from here, or why nothing does and what to do
//! instead. The help of destinations and the error of a URL say the same.

use crate::dest::SCHEMES;

/// What becomes of a URL.
enum Way {
    /// Spoken here, if built in: what it is, and by which page.
    Native(&'static str),
    /// Spoken here, or by an rclone on this machine, as the log-in wants it: what it is, and the way without rclone.
    Either(&'static str, &'static str),
    /// Carried by an rclone on this machine: what it is, and the way without.
    Rclone(&'static str, &'static str),
    /// Through rclone once it has been set up there: what it is, and its type there.
    Remote(&'static str, &'static str),
    /// Not by its URL: why, and what to do.
    Never(&'static str, &'static str),
}

/// Names, separated by spaces, the one of the URL first.
struct Known(&'static str, Way);

static ALL: &[Known] = &[
    Known("file", Way::Native("a folder of this machine")),
    Known("s3", Way::Native("S3 and what speaks it")),
    Known("e2", Way::Native("IDrive e2")),
    Known("cos", Way::Native("Tencent COS")),
    Known("aliyunoss", Way::Native("Aliyun OSS")),
    Known(
        "storj",
        Way::Either(
            "Storj",
            "make an access grant and give it as --storj-auth-method='Access grant' and --storj-shared-access",
        ),
    ),
    Known("tardigrade", Way::Native("Storj by its old name")),
    Known("webdav", Way::Native("WebDAV")),
    Known("b2", Way::Native("Backblaze B2")),
    Known("azure", Way::Native("Azure Blob Storage")),
    Known("gcs", Way::Native("Google Cloud Storage")),
    Known("googledrive", Way::Native("Google Drive")),
    Known("dropbox", Way::Native("Dropbox")),
    Known("jottacloud", Way::Native("Jottacloud")),
    Known("openstack", Way::Native("OpenStack Swift")),
    Known("ssh sftp", Way::Native("SFTP")),
    Known("ftp ftps", Way::Native("FTP, with or without TLS")),
    Known("aftp", Way::Native("FTP, Duplicati's other client")),
    Known("ipfs ipns", Way::Native("IPFS")),
    Known("rclone", Way::Native("what rclone reaches")),
    Known(
        "smb cifs",
        Way::Rclone(
            "a share of Windows or Samba",
            "mount the share (mount -t cifs) and name the folder",
        ),
    ),
    Known(
        "mega",
        Way::Rclone(
            "MEGA",
            "let MEGAcmd serve the folder (mega-webdav) and write webdav://",
        ),
    ),
    Known(
        "filen",
        Way::Either(
            "Filen",
            "let Filen's own program serve WebDAV and write webdav://",
        ),
    ),
    Known(
        "drimecloud",
        Way::Either("Drime", "download the volumes and name their folder"),
    ),
    Known(
        "cloudfiles",
        Way::Never(
            "Rackspace Cloud Files is reached as OpenStack",
            "write openstack://CONTAINER/folder with its address for v2 as --openstack-authuri, and --openstack-apikey",
        ),
    ),
    Known("onedrivev2", Way::Native("OneDrive")),
    Known(
        "od4b",
        Way::Native("OneDrive for Business by its old log-in"),
    ),
    Known("sharepoint", Way::Native("SharePoint")),
    Known("mssp", Way::Native("SharePoint by its old log-in")),
    Known("msgroup", Way::Native("a Microsoft group")),
    Known("box", Way::Native("Box")),
    Known("pcloud", Way::Native("pCloud")),
    Known("sia", Way::Remote("Sia", "sia")),
    Known("tahoe tahoes", Way::Native("Tahoe-LAFS")),
    Known(
        "onedrive",
        Way::Never(
            "OneDrive is no longer reached so",
            "write onedrivev2://folder: the files are the same",
        ),
    ),
    Known(
        "skydrive",
        Way::Never(
            "OneDrive is no longer reached so",
            "write onedrivev2://folder: the files are the same",
        ),
    ),
    Known(
        "googledocs",
        Way::Never(
            "Google Docs has become Google Drive",
            "write googledrive://folder: the files are the same",
        ),
    ),
    Known(
        "telegram",
        Way::Never(
            "Telegram is not spoken",
            "download the files of the channel and name their folder",
        ),
    ),
    Known(
        "amzcd hubic",
        Way::Never(
            "the service was closed, Amazon Cloud Drive in 2023 and hubiC in 2024",
            "name the folder that its files were downloaded to",
        ),
    ),
    Known("duplicati", Way::Native("Duplicati's own storage")),
    Known(
        "filejump",
        Way::Native("FileJump, which closed its interface for programs in 2025, to restore from"),
    ),
    Known(
        "movistarcloud",
        Way::Never(
            "Movistar Cloud has no interface for programs",
            "download the volumes in a browser and name their folder",
        ),
    ),
];

impl Known {
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.split(' ')
    }

    fn is_built_in(&self) -> bool {
        SCHEMES
            .iter()
            .any(|s| self.names().any(|name| s.names.contains(&name)))
    }

    /// One sentence on what it is here, and one on what to do; either may be empty.
    fn sentences(&self) -> (String, String) {
        match (&self.1, self.is_built_in()) {
            (Way::Native(what) | Way::Either(what, _), true) => {
                let name = self.0.split(' ').next().unwrap_or_default();
                let other = match goes_through_rclone(name) {
                    true => "; also ?through=rclone",
                    false => "",
                };
                (format!("{what}; duplet help {name}{other}"), String::new())
            }
            (Way::Native(what) | Way::Either(what, _), false) => (
                format!("{what}: this program was built without it"),
                "build it with all destinations, or mount it and name the folder".to_owned(),
            ),
            (Way::Rclone(what, _), true) => (
                format!("{what}, through rclone; duplet help rclone"),
                String::new(),
            ),
            (Way::Rclone(what, other), false) => (
                format!("{what}, through rclone, without which this program was built"),
                (*other).to_owned(),
            ),
            (Way::Remote(what, kind), _) => (
                format!("{what} goes through rclone"),
                match cfg!(feature = "dest-rclone") {
                    true => format!(
                        "make a remote of the type '{kind}' with 'rclone config' and write rclone://REMOTE/folder"
                    ),
                    false => {
                        format!("mount it ('rclone mount', type '{kind}') and name the folder")
                    }
                },
            ),
            (Way::Never(why, way), _) => ((*why).to_owned(), (*way).to_owned()),
        }
    }
}

/// Why a URL with this scheme, which is not in the registry, cannot be opened, and what to do; `None` for no scheme of Duplicati's.
pub(crate) fn why_not(scheme: &str) -> Option<(String, String)> {
    let known = ALL
        .iter()
        .find(|known| known.names().any(|name| name == scheme))?;
    Some(known.sentences())
}

/// The destination has a way of its own, and rclone carries it by the same URL.
fn goes_through_rclone(name: &str) -> bool {
    #[cfg(feature = "dest-rclone")]
    return crate::dest::rclone::TRANSLATED.contains(&name);
    #[cfg(not(feature = "dest-rclone"))]
    return name.is_empty();
}

/// How a scheme that rclone carries is reached without, as the end of a sentence; empty for others.
#[cfg(feature = "dest-rclone")]
pub(crate) fn other_way(scheme: &str) -> String {
    let known = ALL
        .iter()
        .find(|known| known.names().any(|name| name == scheme));
    match known {
        Some(Known(_, Way::Rclone(_, other) | Way::Either(_, other))) => format!("; or {other}"),
        _ => String::new(),
    }
}

/// Names and sentences of all, for help.
pub(crate) fn table() -> impl Iterator<Item = (&'static str, String)> {
    ALL.iter().map(|known| {
        let (cause, hint) = known.sentences();
        let end = if hint.is_empty() {
            String::new()
        } else {
            format!("; {hint}")
        };
        (known.0, format!("{cause}{end}"))
    })
}

/// Every destination type that a version of Duplicati accepted from 2014 to 2026: those of its overview page, those that only
/// other pages or its source have, those that went, and the names that ask for TLS.
#[cfg(test)]
pub(crate) const DUPLICATI: [&str; 4] = [
    "file s3 webdav b2 ssh ftp aftp rclone openstack azure gcs onedrivev2 sharepoint msgroup googledrive dropbox box pcloud \
     tahoe cos aliyunoss storj jottacloud filen mega filejump od4b mssp",
    "smb cifs e2 duplicati drimecloud movistarcloud sia cloudfiles",
    "tardigrade onedrive skydrive googledocs amzcd hubic telegram",
    "ftps s3s webdavs tahoes",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_duplicati_is_known_once() {
        for name in DUPLICATI.iter().flat_map(|names| names.split_whitespace()) {
            let rows = ALL.iter().filter(|known| known.names().any(|n| n == name));
            let stem = name.strip_suffix('s').unwrap_or(name);
            let stems = ALL.iter().filter(|known| known.names().any(|n| n == stem));
            assert!(rows.count().max(stems.count()) == 1, "{name}");
            let (cause, hint) = why_not(name).or(why_not(stem)).expect(name);
            assert!(
                !cause.is_empty() && cause.len() + hint.len() < 250,
                "{name}: {cause}; {hint}"
            );
        }
        assert!(why_not("gopher").is_none());
    }

    #[test]
    fn what_is_built_in_is_in_the_table_and_has_its_page() {
        for scheme in SCHEMES {
            let known =
                |name: &&'static str| ALL.iter().any(|known| known.names().any(|n| n == *name));
            assert!(scheme.names.iter().all(known), "{}", scheme.names[0]);
        }
        for known in ALL {
            let spoken = matches!(known.1, Way::Native(_) | Way::Either(..) | Way::Rclone(..));
            assert!(spoken || !known.is_built_in(), "{}", known.0);
        }
    }
}
