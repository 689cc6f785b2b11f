//! The pages of `duplet help TOPIC`: the Markdown files of `src/manual/`. Those of a destination are there only with it.

use std::sync::OnceLock;

/// All pages, deflated by `src/manual/pack.rs`.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/manual.deflated"));
/// All pages together are not longer, in bytes.
const PAGES_BYTES: usize = 512 * 1024;

/// All pages, once one of them was asked for.
static PAGES: OnceLock<String> = OnceLock::new();

fn pages() -> String {
    let all = miniz_oxide::inflate::decompress_to_vec_with_limit(PACKED, PAGES_BYTES);
    String::from_utf8(all.unwrap_or_default()).unwrap_or_default()
}

/// One page of the manual.
pub(super) struct Topic {
    /// The file's name without `.md`.
    pub(super) name: &'static str,
    /// Other words that it answers to.
    pub(super) aliases: &'static [&'static str],
}

/// Rows of name, other names; the file follows from the name.
macro_rules! topics {
    ($($(#[$only:meta])? $name:literal $(| $alias:literal)*;)*) => {
        /// All pages, in the order of the list of topics.
        pub(super) static TOPICS: &[Topic] = &[$(
            $(#[$only])?
            Topic {
                name: $name,
                aliases: &[$($alias),*],
            },
        )*];
    };
}

topics! {
    "backup";
    "restore" | "cat" | "dump" | "tar";
    "mount" | "fuse";
    "list" | "find" | "compare" | "diff" | "list-filesets" | "list-folder-content" | "list-file-versions" | "search-entries";
    "verify" | "affected" | "list-broken-files";
    "retention" | "delete";
    "repair" | "purge" | "purge-broken-files";
    "filters" | "rules" | "test-filters";
    "remote";
    "copy" | "sync" | "mirror";
    "url" | "urls";
    #[cfg(feature = "dest-file")]
    "file";
    #[cfg(feature = "dest-s3")]
    "s3" | "e2";
    #[cfg(feature = "dest-cos")]
    "cos" | "tencent";
    #[cfg(feature = "dest-aliyunoss")]
    "aliyunoss" | "oss";
    #[cfg(any(feature = "dest-storj", feature = "dest-rclone"))]
    "storj" | "tardigrade";
    #[cfg(feature = "dest-webdav")]
    "webdav" | "webdavs" | "nextcloud";
    #[cfg(feature = "dest-ssh")]
    "ssh" | "sftp";
    #[cfg(feature = "dest-ftp")]
    "ftp" | "ftps" | "aftp";
    #[cfg(feature = "dest-rclone")]
    "rclone" | "smb" | "cifs" | "mega";
    #[cfg(feature = "dest-openstack")]
    "openstack" | "swift";
    #[cfg(feature = "dest-b2")]
    "b2" | "backblaze";
    #[cfg(feature = "dest-azure")]
    "azure" | "azurite" | "blob";
    #[cfg(feature = "dest-gcs")]
    "gcs" | "gs" | "googlecloudstorage";
    #[cfg(feature = "dest-onedrive")]
    "onedrive" | "onedrivev2" | "od4b" | "sharepoint" | "mssp" | "msgroup";
    #[cfg(feature = "dest-googledrive")]
    "googledrive" | "drive";
    #[cfg(feature = "dest-dropbox")]
    "dropbox";
    #[cfg(feature = "dest-jottacloud")]
    "jottacloud" | "jotta";
    #[cfg(feature = "dest-box")]
    "box";
    #[cfg(feature = "dest-pcloud")]
    "pcloud";
    #[cfg(feature = "dest-tahoe")]
    "tahoe" | "tahoes" | "tahoe-lafs" | "lafs";
    #[cfg(any(feature = "dest-filen", feature = "dest-rclone"))]
    "filen";
    #[cfg(any(feature = "dest-drimecloud", feature = "dest-rclone"))]
    "drimecloud" | "drime" | "filejump";
    #[cfg(feature = "dest-duplicati")]
    "storage";
    #[cfg(feature = "dest-ipfs")]
    "ipfs" | "ipns";
    "tasks" | "restic" | "borg" | "others";
    "secrets" | "passwords";
    "parameters" | "config";
    "sizes" | "times" | "dates" | "values";
    "exit-codes" | "exit-code";
    "json";
    "schedule" | "examples" | "cron" | "systemd" | "openwrt" | "container";
    "unattended" | "scripts" | "hooks" | "reports" | "notifications" | "logs" | "locks" | "mail";
    "duplicati";
    "format";
    "limits";
    "security";
    #[cfg(feature = "developer-pages")]
    "benchmarks";
    #[cfg(feature = "developer-pages")]
    "building" | "install";
    #[cfg(feature = "developer-pages")]
    "internals";
}

impl Topic {
    /// True when `word` (lower case) means this page.
    pub(super) fn is_named(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    /// Markdown; begins with one heading.
    pub(super) fn text(&self) -> &'static str {
        let mut parts = PAGES.get_or_init(pages).split('\0');
        let page = parts.by_ref().find(|name| *name == self.name);
        page.and(parts.next()).unwrap_or_default()
    }

    /// The heading of the page.
    pub(super) fn title(&self) -> &'static str {
        let first = self.text().lines().next().unwrap_or_default();
        first.trim_start_matches("# ")
    }

    /// The page without its heading.
    pub(super) fn body(&self) -> &'static str {
        self.text().split_once('\n').map_or("", |(_, body)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_heading_and_names_of_its_own() {
        let mut names: Vec<&str> = TOPICS
            .iter()
            .flat_map(|t| std::iter::once(t.name).chain(t.aliases.iter().copied()))
            .collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]));
        for topic in TOPICS {
            let text = topic.text();
            assert!(text.starts_with("# "), "{}", topic.name);
            // Any terminal, and any reader of a manual page, shows it.
            assert!(text.is_ascii(), "{}", topic.name);
            assert!(topic.body().trim().len() > 100, "{}", topic.name);
            assert!(topic.title().chars().count() <= 60, "{}", topic.name);
        }
    }

    #[test]
    fn a_destination_has_its_page_where_it_is_built_in() {
        for (name, there) in [
            ("file", cfg!(feature = "dest-file")),
            ("s3", cfg!(feature = "dest-s3")),
            ("cos", cfg!(feature = "dest-cos")),
            ("aliyunoss", cfg!(feature = "dest-aliyunoss")),
            ("rclone", cfg!(feature = "dest-rclone")),
            ("openstack", cfg!(feature = "dest-openstack")),
            ("ssh", cfg!(feature = "dest-ssh")),
            ("ftp", cfg!(feature = "dest-ftp")),
            ("webdav", cfg!(feature = "dest-webdav")),
            ("b2", cfg!(feature = "dest-b2")),
            ("azure", cfg!(feature = "dest-azure")),
            ("gcs", cfg!(feature = "dest-gcs")),
            ("onedrive", cfg!(feature = "dest-onedrive")),
            ("googledrive", cfg!(feature = "dest-googledrive")),
            ("dropbox", cfg!(feature = "dest-dropbox")),
            ("jottacloud", cfg!(feature = "dest-jottacloud")),
            ("box", cfg!(feature = "dest-box")),
            ("pcloud", cfg!(feature = "dest-pcloud")),
            ("tahoe", cfg!(feature = "dest-tahoe")),
            (
                "filen",
                cfg!(any(feature = "dest-filen", feature = "dest-rclone")),
            ),
            (
                "drimecloud",
                cfg!(any(feature = "dest-drimecloud", feature = "dest-rclone")),
            ),
            ("storage", cfg!(feature = "dest-duplicati")),
            ("ipfs", cfg!(feature = "dest-ipfs")),
        ] {
            assert_eq!(TOPICS.iter().any(|t| t.name == name), there, "{name}");
        }
        for scheme in crate::dest::SCHEMES {
            for name in scheme.names {
                assert!(TOPICS.iter().any(|t| t.is_named(name)), "{name}");
            }
        }
    }
}
