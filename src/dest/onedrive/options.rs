//! Options of the three kinds of drives.

use crate::base::opt::{Kind, ignored, options, row, text};
use crate::net::oauth;

/// Fragments are multiples of this.
pub(super) const ALIGN: u64 = 320 << 10;
/// The longest fragment: less than 60 MiB.
const FRAGMENT_MAX: u64 = (60 << 20) - ALIGN;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    DRIVE_ID: text("drive-id", "Drive of onedrivev2; the own one of the account without it.");
    SITE_ID: text("site-id", "Site of sharepoint; not needed where the URL is the address that a browser shows.");
    GROUP_ID: text("group-id", "Group of msgroup.");
    GROUP_EMAIL: text("group-email", "Mail address of the group of msgroup, in place of its id.");
    FRAGMENT: row("fragment-size", Kind::Size(1), "10mb",
        "Files of more than 4 MiB are sent in parts of this length, 320 KiB to 60 MiB.");
    PERMANENT: row("onedrive-delete-permanently", Kind::Flag, "",
        "Deleted files do not go to the recycle bin.");
    ENDPOINT: text("graph-endpoint", "Address of Microsoft Graph, for national clouds, such as https://graph.microsoft.us.");
    RETRIES: ignored("fragment-retry-count", "No effect: see number-of-retries.");
    RETRY_DELAY: ignored("fragment-retry-delay", "No effect: see retry-delay.");
    HTTP_CLIENT: ignored("use-http-client", "No effect.");
    RECYCLER: ignored("delete-to-recycler", "No effect: see onedrive-delete-permanently.");
    DIRECT: ignored("binary-direct-mode", "No effect.");
    WEB_TIMEOUT: ignored("web-timeout", "No effect: see short-timeout.");
    CHUNK: ignored("chunk-size", "No effect: see fragment-size.");
}

/// The length of fragments for a size that was asked for.
pub(super) fn fragment(asked: u64) -> u64 {
    (asked.min(FRAGMENT_MAX) / ALIGN).max(1) * ALIGN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_aligned() {
        for (asked, want) in [
            (0, ALIGN),
            (ALIGN - 1, ALIGN),
            (ALIGN * 2 - 1, ALIGN),
            (10 << 20, 10 << 20),
            (10_000_000, 30 * ALIGN),
            (60 << 20, 191 * ALIGN),
            (u64::MAX, 191 * ALIGN),
        ] {
            assert_eq!(fragment(asked), want, "{asked}");
        }
    }
}
